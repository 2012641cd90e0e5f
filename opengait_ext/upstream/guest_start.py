"""The checks and the folder lock of our engine, before OpenGait's engine starts."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ..engine.checkpoint import read_checkpoint
from ..engine.holding import agreed, held, set_run_aside
from ..engine.tester import chosen_checkpoint
from ..engine.trained import check_goes_on, check_tested
from .guest_run import GuestRun

_HELD: dict[Path, ExitStack] = {}


def begin(run: GuestRun, phase: str) -> None:
    """Lock the run's folder, and refuse what our engine would refuse; call it in all processes.

    Args:
        run: The run; nothing has been written for it yet.
        phase: ``train`` or ``test``.

    Raises:
        UserError: If another run holds the folder, or the checkpoint is from another training.
    """
    _hold(run)
    if phase == "train":
        _begin_training(run)
        return
    path = chosen_checkpoint(run, run.store, trained=True)[0]
    strict = run.settings.evaluator.restore_strict
    agreed(run.group, partial(check_tested, run, read_checkpoint(path), path, strict))


def let_go() -> None:
    """Release the folders locked by this process; its exit releases them too."""
    while _HELD:
        _HELD.popitem()[1].close()


def describe_checkpoint(run: GuestRun, iteration: int) -> None:
    """Add our facts about the training to a checkpoint of OpenGait."""
    run.store.amend(iteration, run.facts)


def _hold(run: GuestRun) -> None:
    folder = run.folder.resolve()
    if folder not in _HELD:
        stack = ExitStack()
        stack.enter_context(held(run.folder, run.group))
        _HELD[folder] = stack


def _begin_training(run: GuestRun) -> None:
    hint = run.settings.trainer.restore_hint
    path = run.store.find(hint) if hint != 0 else None
    weights_alone = isinstance(hint, str) and hint != "auto"
    if path is not None and not weights_alone:
        agreed(run.group, partial(check_goes_on, run, read_checkpoint(path), path, run.facts))
    run.group.barrier()  # every process has read its checkpoint before files are moved
    own = path is not None and path.resolve().is_relative_to(run.folder.resolve())
    # Weights in this folder must stay until OpenGait has read them.
    if run.group.leads and (hint == 0 or weights_alone and not own):
        set_run_aside(run.folder)
    run.group.barrier()
