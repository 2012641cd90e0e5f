"""Ranks and addresses of a run's processes, from the variables that torchrun and clusters set."""

import logging
import os
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import UserError

logger = logging.getLogger(__name__)

PATIENCE = 300  # seconds in which all processes of a run must join
_ALONE = "To run alone: unset WORLD_SIZE. To start several processes: torchrun"


class MeetingError(UserError):
    """The environment describes impossible processes, or some do not join."""


class Place(NamedTuple):
    """The place of this process in the run.

    Attributes:
        rank: Index of this process.
        size: Number of processes.
        address: Rendezvous address, ``host:port``; empty if this process is alone.
    """

    rank: int = 0
    size: int = 1
    address: str = ""

    @property
    def others(self) -> str:
        """Return a text that names the processes that this one waits for."""
        if self.rank:
            return f"process 0 of {self.size}"
        return "process 1 of 2" if self.size == 2 else f"processes 1 to {self.size - 1}"


def own_place(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process.

    Raises:
        MeetingError: If a variable is missing or out of range.
    """
    if "WORLD_SIZE" not in environment:
        return Place()
    size = _number(environment, "WORLD_SIZE", 1, None)
    if size == 1:
        return Place()
    rank = _number(environment, "RANK", 0, size - 1)
    port = _number(environment, "MASTER_PORT", 0, 65535)
    host = environment.get("MASTER_ADDR", "")
    if not host:
        raise MeetingError(
            f"WORLD_SIZE is {size} in the environment, but MASTER_ADDR, where the processes meet, "
            f"is missing. {_ALONE}"
        )
    return Place(rank, size, f"{host}:{port}")


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the index of this process on its machine.

    Raises:
        MeetingError: If LOCAL_RANK is not a number.
    """
    return _number(environment, "LOCAL_RANK", 0, None) if "LOCAL_RANK" in environment else 0


def announce(place: Place) -> None:
    """Log the awaited processes at once: left-over variables look like a slow start."""
    if place.rank and "TORCHELASTIC_RUN_ID" in os.environ:
        return  # torchrun started the others, and the first process logs
    logger.warning(
        "process %d of %d waits for %s at %s (WORLD_SIZE, MASTER_ADDR in the environment), "
        "%d seconds at most. Alone: unset WORLD_SIZE",
        place.rank, place.size, place.others, place.address, PATIENCE,
    )  # fmt: skip


def missed(place: Place, fault: BaseException) -> MeetingError:
    """Return the error for processes that did not join."""
    reason = str(fault).strip().split("\n")[0][:200]
    return MeetingError(
        f"process {place.rank} of {place.size} waited for {place.others} at {place.address} in "
        f"vain ({reason}). {_ALONE}"
    )


def _number(environment: Mapping[str, str], name: str, least: int, most: int | None) -> int:
    text = environment.get(name)
    is_number = text is not None and text.strip().isascii() and text.strip().isdecimal()
    value = int(text or "0") if is_number and len(text or "") < 10 else -1
    if value < least or (most is not None and value > most):
        size = environment.get("WORLD_SIZE")
        beside = "" if name == "WORLD_SIZE" else f", with WORLD_SIZE {size}"
        expected = f"a number from {least}" + (f" to {most}" if most is not None else "")
        found = "is missing" if text is None else f"is {text[:40]!r}"
        raise MeetingError(
            f"{name} {found} in the environment{beside}; expected {expected}. {_ALONE}"
        )
    return value
