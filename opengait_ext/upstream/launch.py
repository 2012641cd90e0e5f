"""Runs of OpenGait's ``main.py`` with our parts in it."""

import logging
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ctypes import ArgumentError
from pathlib import Path
from typing import Any

import torch

from ..config import ConfigError, load_config
from ..engine.catalog import Catalog, own_catalog
from ..engine.data import DataError, ready_partition
from ..engine.devices import choose_device
from ..engine.distributed import Group, met_group
from ..engine.meeting import own_place
from ..engine.options import DataOptions
from ..engine.progress import LiveLine, logging_to
from ..engine.run import OUTPUT
from ..engine.sections import check
from ..escaping import Formatter
from . import hook
from .authorship import is_ours
from .checkout import CheckoutError, log_terms, log_version
from .config import EXTENSION, absolute, left_over, notes, refuse_unfit, translated
from .cpu import has_cuda, is_patched, without_cuda
from .environment import inside, launcher, next_port
from .guest_run import GuestRun
from .guest_start import begin, let_go
from .injection import inject, use_model

logger = logging.getLogger(__name__)

_NO_CUDA = (
    "OpenGait runs on CUDA only, and this machine has none. The same config runs in our own "
    "engine, on any device: --host embedded. (--upstream-cpu makes OpenGait run on the CPU by "
    "changing torch; that is meant for tests.)"
)


def run_inside(
    checkout: Path,
    config: Mapping[str, Any],
    phase: str = "both",
    log_to_file: bool = False,
    on_cpu: bool = False,
    command: Sequence[str] = (),
    catalog: Catalog | None = None,
    output: Path = OUTPUT,
) -> None:
    """Train and test one of our configs with OpenGait's engine.

    Uses one process, or as many as torchrun started. Changes nothing in the checkout.

    Args:
        checkout: The clone.
        config: The sections of the config file.
        phase: ``train``, ``test``, or both, one after the other.
        log_to_file: OpenGait's option of that name.
        on_cpu: Change torch so that OpenGait runs without CUDA; for tests.
        command: The command line, for the record.
        catalog: Source of the components; None means this package.
        output: Output folder of all runs, as in our engine.

    Raises:
        UserError: If the config does not suit OpenGait, or data, packages or CUDA are missing.
    """
    if not on_cpu and not has_cuda():
        raise CheckoutError(_NO_CUDA)
    folder = Path.cwd()
    phases = ("train", "test") if phase == "both" else (phase,)
    rank = own_place().rank
    with ExitStack() as stack:
        stack.enter_context(logging_to(None, LiveLine(), rank))
        stack.enter_context(_told_once())
        stack.callback(let_go)
        logger.info("host upstream: OpenGait's own engine; outputs in %s", folder / output)
        log_version(checkout)
        log_terms()
        if on_cpu:
            stack.enter_context(without_cuda())
            logger.warning(
                "--upstream-cpu: ten functions of torch are changed so that OpenGait runs without "
                "CUDA (gloo, no device, DistributedDataParallel on the CPU); meant for tests"
            )
        world_size = stack.enter_context(launcher())
        _refuse_zoo(checkout, config, catalog or own_catalog())
        settings = check(config, catalog or own_catalog(), phase)
        for part in phases:
            refuse_unfit(settings, part)
        _ready_data(settings.data, world_size)
        for place, part in enumerate(phases):
            with inside(checkout):
                _run_main(
                    checkout, part, log_to_file,
                    folder=str(folder), config=config, command=command, catalog=catalog,
                    output=output,
                )  # fmt: skip
            if place + 1 < len(phases):
                next_port()


def take_over(
    folder: str | None = None,
    config: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    catalog: Catalog | None = None,
    output: Path = OUTPUT,
) -> None:
    """Add our components to OpenGait's loaded modules, and let it read our configs.

    Args:
        folder: Base of relative paths in the config; None means the working directory.
        config: Content of the file of ``--cfgs``, with the changes of the command line.
        command: The command line, for the record.
        catalog: Our components; None means all of this package.
        output: Output folder of all runs.
    """
    _log_somewhere()
    if config is None:  # else run_inside has logged them
        log_terms()
    catalog = catalog or own_catalog()
    inject(catalog)
    utils: Any = sys.modules["utils"]
    original = utils.config_loader

    def config_loader(path: str) -> dict[str, Any]:
        read = config if config is not None else _ours(path)
        if read is None:
            return original(path)  # one of OpenGait's own
        start = Path(folder or Path.cwd())
        words = list(command or sys.argv)
        result = _for_opengait(read, start, catalog, words, output)
        result[EXTENSION]["command"] = words
        return _with_unknown(result, original)

    utils.config_loader = config_loader


def _ours(path: str) -> dict[str, Any] | None:
    """Read a config; return None for one of OpenGait's own, which our loader may reject."""
    try:
        config = load_config(path)
    except ConfigError:
        if "train_splits" in Path(path).read_text(encoding="utf-8"):
            raise
        return None
    return config if is_ours(config) else None


def _for_opengait(
    config: Mapping[str, Any], start: Path, catalog: Catalog, command: list[str], output: Path
) -> dict[str, Any]:
    """Return one of our configs in OpenGait's form, and log the differences."""
    program = vars(sys.modules["__main__"])
    phase = program["opt"].phase
    program.pop("__file__", None)  # else spawned worker processes would run it again
    world_size = int(os.environ["WORLD_SIZE"])
    settings = check(absolute(config, start), catalog, phase)
    device = choose_device("cpu" if is_patched() else "auto")  # before the processes communicate
    begin(GuestRun(settings, device, met_group(), command, LiveLine(), output, start), phase)
    result = translated(settings, start, phase, world_size, output)
    use_model(settings.model_name)
    for line in notes(settings, world_size):
        logger.info("%s", line)
    return result


def _with_unknown(config: dict[str, Any], original: Callable[[str], Any]) -> dict[str, Any]:
    """Add and log keys of OpenGait's ``default.yaml`` that are unknown here."""
    with tempfile.TemporaryDirectory() as place:
        empty = Path(place, "empty.yaml")
        empty.write_text("{}")
        defaults = original(str(empty))
    for section, keys in left_over(defaults, config).items():
        logger.warning("OpenGait's default.yaml adds to %s: %s", section, keys)
        config[section] = {**config[section], **keys} if section in config else keys
    return config


def _refuse_zoo(checkout: Path, config: Mapping[str, Any], catalog: Catalog) -> None:
    """Refuse one of OpenGait's models in our config, and say where it runs."""
    section = config.get("model_cfg")
    name = section.get("model") if isinstance(section, Mapping) else None
    if name is None or name in catalog.models:
        return
    from .zoo_package import MODELS, classes_in

    if name in classes_in(checkout / "opengait" / MODELS):
        raise ConfigError(
            f"model_cfg.model: {name} is a model of OpenGait. This config, which is one of ours, "
            "runs it in our engine: --host embedded. (In its own engine it runs with a config of "
            "its own: python opengait/main.py in the checkout.)"
        )


def _ready_data(options: DataOptions, world_size: int) -> None:
    """Generate missing data if this is the only process; OpenGait cannot wait for it."""
    if world_size > 1 and not Path(options.dataset_partition).is_file():
        raise DataError(
            f"{options.dataset_partition}: the data are not there. Prepare them first: start the "
            "same command once in one process (without torchrun), or with --host embedded"
        )
    ready_partition(options, Group())


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep our lines out of the root logger, to which OpenGait adds a second console."""
    own = logging.getLogger("opengait_ext")
    before = own.propagate
    own.propagate = bool(logging.getLogger().handlers)
    try:
        yield
    finally:
        own.propagate = before


def _log_somewhere() -> None:
    """Make our log visible if OpenGait was started by its own command line."""
    own = logging.getLogger("opengait_ext")
    if own.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("[%(asctime)s] [%(levelname)s]: %(message)s"))
    own.addHandler(handler)
    own.propagate = False
    own.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)


def _run_main(checkout: Path, phase: str, log_to_file: bool, **asked: Any) -> None:
    """Run ``main.py``; pass the other arguments to :func:`take_over`."""
    hook.activate(**asked)
    sys.argv = ["main.py", "--cfgs", "ours", "--phase", phase]
    sys.argv += ["--log_to_file"] if log_to_file else []
    try:
        runpy.run_path(str(checkout / "opengait" / "main.py"), run_name="__main__")
    except ModuleNotFoundError as fault:
        raise CheckoutError(
            f"{checkout}: OpenGait imports {fault.name}, which is not installed. What it needs "
            "beside our own requirements: pip install 'opengait_ext[opengait]'"
        ) from fault
    except ArgumentError as fault:  # OpenGait raises it for any error in a loss
        raise fault.__context__ or fault from fault
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
