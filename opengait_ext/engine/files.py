"""Atomic file writes, and the handling of damaged files."""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..data.layout import atomic_write
from ..edge import placed

logger = logging.getLogger(__name__)


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a large file atomically: ``write`` fills a temporary file, which is then renamed.

    On any error the temporary file is removed and an older file of that name is kept.

    Args:
        path: The file; its folder is created.
        write: Function that writes to the temporary path it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as fault:
        temporary.unlink(missing_ok=True)
        if isinstance(fault, OSError):
            raise placed(fault, path) from fault
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN, which JSON lacks, is an error."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    atomic_write(path, text.encode())


def append_whole(path: Path, content: bytes) -> None:
    """Append to a file atomically.

    Raises:
        OSError: If the disk is full or the file cannot be written; the file is then unchanged.
    """
    with path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except BaseException:
            file.truncate(end)
            raise


def put_aside(path: Path, reason: str, instead: str) -> None:
    """Rename a damaged file, so that it is kept but blocks no run.

    Args:
        path: The file, or a folder in its place.
        reason: The damage, for the message: ``is no JSON``.
        instead: The consequence, for the message.
    """
    number, target = 1, path.with_name(f"{path.name}.damaged")
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{path.name}.damaged-{number}")
    os.rename(path, target)
    logger.warning("%s %s: it was renamed to %s, and %s", path, reason, target.name, instead)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
