"""The data of a config: preparation if they are missing, and checks."""

import logging
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..data.dataset import TrackletDataset
from ..data.layout import Partition, read_partition
from ..errors import UserError
from ..programs import FOLDER, command_of, here
from .distributed import Group
from .options import DataOptions

logger = logging.getLogger(__name__)

PREPARATION = Path(FOLDER)


class DataError(UserError):
    """The data of a config are missing, cannot be prepared, or do not fit the config."""


def ready_partition(options: DataOptions, group: Group) -> Partition:
    """Return the partition, after preparing the data if they are missing and the config allows it.

    Args:
        options: ``data_cfg``.
        group: The processes; the first one prepares the data, the others wait.

    Raises:
        DataError: If the data are missing, or a command failed or did not produce them.
    """
    path = Path(options.dataset_partition)
    if group.leads and not path.is_file():
        _prepare(options, path)
    group.barrier()
    return read_partition(path)


def check_identities(model_cfg: Any, dataset: TrackletDataset) -> None:
    """Raise an error if the model's classes do not fit the identities of the training data.

    OpenGait's models have a key ``class_num`` at any depth and may have more classes.

    Raises:
        DataError: If ``model_cfg.num_identities`` differs, or a ``class_num`` is too small.
    """
    found = len(dataset.pids)
    wanted = model_cfg.get("num_identities")
    wrong = [("num_identities", wanted)] if wanted is not None and wanted != found else []
    wrong += [("class_num", number) for number in _class_numbers(model_cfg) if number < found]
    for key, number in wrong:
        raise DataError(
            f"model_cfg.{key} is {number}, but the training data have {found} identities "
            f"(data_cfg.train_splits). Set {key}: {found}, or prepare the data again."
        )


def _class_numbers(section: Mapping[str, Any]) -> Iterator[int]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _class_numbers(value)
        elif key == "class_num" and type(value) is int:
            yield value


def _prepare(options: DataOptions, path: Path) -> None:
    plan = options.prepare
    commands = "\n".join(f"  {here(command)}" for command in plan.commands)
    if not plan.run or not plan.commands:
        raise DataError(
            f"{path}: the data are not there (data_cfg.dataset_partition).\n"
            f"Where to ask for them: {plan.access}\n"
            f"Then run, with your own paths:\n{commands}"
        )
    programs = [_program(command) for command in plan.commands]
    for command, program in zip(plan.commands, programs, strict=True):
        logger.info("the data are missing; running: %s", here(command))
        status = subprocess.run([sys.executable, *program], check=False).returncode
        if status:
            raise DataError(
                f"data_cfg.prepare.commands: '{here(command)}' ended with exit status {status}; "
                "its messages stand above"
            )
    if not path.is_file():
        raise DataError(
            f"{path}: data_cfg.prepare.commands ran, but did not make this file "
            f"(data_cfg.dataset_partition):\n{commands}"
        )


def _program(command: str) -> list[str]:
    """Return Python's arguments for a preparation script that a config may start.

    If the script does not exist, as in an installed wheel, the package runs it itself.
    """
    words = shlex.split(command)
    words = words[1:] if words[:1] == ["python"] else words
    allowed = PREPARATION.resolve()
    script = Path(words[0]).resolve() if words else allowed
    if script.suffix != ".py" or not script.is_relative_to(allowed):
        raise DataError(
            f"data_cfg.prepare.commands: expected a Python script below {PREPARATION}, "
            f"found {command!r}"
        )
    if script.is_file():
        return words
    known = command_of(words[0])
    if known is None:
        raise DataError(
            f"data_cfg.prepare.commands: there is no {script}; start from the folder that holds "
            f"{PREPARATION}"
        )
    return ["-m", "opengait_ext.cli", *known, *words[1:]]
