"""Files that are whole or not there."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..data.layout import atomic_write


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Lets ``write`` make a large file under a temporary name, then gives it its own.

    If anything goes wrong, the temporary file is removed and an older file of that name stays.

    Args:
        path: The file's name; its folder is made.
        write: Gets the temporary path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes JSON whole or not at all; NaN, which JSON has not, is refused."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    atomic_write(path, text.encode())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
