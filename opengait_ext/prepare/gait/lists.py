"""OpenGait's JSON file of a data set: which identities train, which are tested, who queries."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from opengait_ext.prepare.faults import Faults, SourceError
from opengait_ext.prepare.gait.sets import GaitSet


@dataclass(frozen=True)
class Lists:
    """Holds the lists.

    Attributes:
        path: The file.
        train: Identities of the training half.
        test: Those of the test half.
        listed: Tracklets ``identity-type-view`` that are probes, or the gallery; empty for data
            sets whose types say it.
        digest: SHA-256 of the file.
    """

    path: Path
    train: list[str]
    test: list[str]
    listed: list[str] = field(default_factory=list)
    digest: str = ""


def find_lists(given: Path | None, source: Path, gait_set: GaitSet) -> Path:
    """Gives the file: the one given, or one beside the data or in a checkout of OpenGait.

    Raises:
        SourceError: If there is none.
    """
    if given is not None:
        return given
    name = f"{gait_set.title}.json"
    places = [source / name, source.resolve().parent / name]
    root = os.environ.get("OPENGAIT_ROOT")
    if root:
        places.append(Path(root) / "datasets" / gait_set.title / name)
    for place in places:
        if place.is_file():
            return place
    raise SourceError(
        f"{name}: the lists of identities are neither in {source} nor beside it"
        + ("" if root else ", and OPENGAIT_ROOT names no checkout of OpenGait")
        + f"; say where they are: --lists <checkout>/datasets/{gait_set.title}/{name}"
    )


def read_lists(path: Path, gait_set: GaitSet) -> Lists:
    """Reads the file.

    Raises:
        SourceError: If it cannot be read, lacks a list, or contradicts itself.
    """
    try:
        data = path.read_bytes()
        content = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}); see --lists") from error
    faults = Faults()
    keys = ["TRAIN_SET", "TEST_SET", *([gait_set.listed] if gait_set.listed else [])]
    train, test, *rest = (_texts(content, key, path, faults) for key in keys)
    for pid in sorted(set(train) & set(test)):
        faults.add(f"{path}: identity {pid!r} is both in TRAIN_SET and in TEST_SET")
    faults.raise_if_any(str(path))
    return Lists(path, train, test, rest[0] if rest else [], sha256(data).hexdigest())


def _texts(content: Any, key: str, path: Path, faults: Faults) -> list[str]:
    value = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(value, list) or not value:
        faults.add(f"{path}: {key} is {str(value)[:60]}, expected a list of names")
        return []
    wrong = [each for each in value if not _is_name(each)]
    if wrong:
        faults.add(f"{path}: {key}: {wrong[0]!r} is no name of a folder")
    twice = sorted({each for each in map(str, value) if value.count(each) > 1}) if (
        len(set(map(str, value))) < len(value)) else []  # fmt: skip
    if twice:
        faults.add(f"{path}: {key}: {', '.join(twice[:5])} more than once")
    return [str(each) for each in value]


def _is_name(value: Any) -> bool:
    forbidden = set("/\\:")
    return isinstance(value, str) and value not in ("", ".", "..") and not forbidden & set(value)
