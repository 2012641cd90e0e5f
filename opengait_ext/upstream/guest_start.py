"""What our engine checks and keeps at the start of a run, done before OpenGait's engine starts."""

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
    """Hold the run's folder, and refuse what our engine would refuse; all processes call it.

    Args:
        run: The run; nothing is written for it yet.
        phase: ``train`` or ``test``.

    Raises:
        UserError: If another run holds the folder, or the checkpoint is of another training.
    """
    _hold(run)
    if phase == "train":
        _begin_training(run)
        return
    path = chosen_checkpoint(run, run.store, trained=True)[0]
    strict = run.settings.evaluator.restore_strict
    agreed(run.group, partial(check_tested, run, read_checkpoint(path), path, strict))


def let_go() -> None:
    """Give up the folders that this process holds; its end does so as well."""
    while _HELD:
        _HELD.popitem()[1].close()


def describe_checkpoint(run: GuestRun, iteration: int) -> None:
    """Add to a checkpoint of OpenGait's what one of ours says about its training."""
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
    run.group.barrier()  # before files are moved, every process has read its own
    own = path is not None and path.resolve().is_relative_to(run.folder.resolve())
    # Weights out of this very folder have to stay until OpenGait has read them.
    if run.group.leads and (hint == 0 or weights_alone and not own):
        set_run_aside(run.folder)
    run.group.barrier()
