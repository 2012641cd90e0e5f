"""Records of tested runs, ``test/metrics.json``. Needs the standard library only."""

import glob
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError

METRICS = Path("test", "metrics.json")
_ASIDE = re.compile(r"\.old-\d+(?=[/\\]|$)")  # a run that a later one of its name moved aside
_UNNAMED = "not stated"
_RERANKING = ("rerank", "reranking", "re-ranking", "re_ranking")


class RecordError(UserError):
    """A record of a run is missing, damaged, or cannot be compared."""


@dataclass(frozen=True)
class Record:
    """The record of one tested run.

    Attributes:
        path: The record's file.
        content: The file's whole content.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def result(self) -> Mapping[str, Any]:
        """Return the result: protocol, notes, scores by direction."""
        return self.content["result"]

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the config of the test, empty if the record holds none.

        Records of earlier versions have one config for both training and test.
        """
        return _mapping(self.content.get("test_config", self.content.get("config")))

    @property
    def training_config(self) -> Mapping[str, Any]:
        """Return the config of the training, empty if the checkpoint held none."""
        return _mapping(self.content.get("training_config", self.content.get("config")))

    @property
    def model(self) -> str:
        """Return the model's name."""
        return str(_mapping(self.config.get("model_cfg")).get("model", "unnamed"))

    @property
    def save_name(self) -> str:
        """Return the name under which the run was saved."""
        named = _mapping(self.config.get("trainer_cfg")).get("save_name")
        return str(named or self.path.parent.parent.name)

    @property
    def directions(self) -> dict[str, dict[str, float]]:
        """Return the scores, fractions by direction and name; NaN where there is none.

        In a test by views, the conditions take the place of the directions.
        """
        return {
            name: {
                score: math.nan if value is None else float(value)
                for score, value in direction.items()
                if is_score(score) and (value is None or _is_number(value))
            }
            for name, direction in _parts(self.result).items()
        }

    def conditions(self) -> dict[str, str]:
        """Return, by name, what must be equal for two runs to share a column."""
        result, data = self.result, _mapping(self.content.get("data"))
        protocol = _mapping(result.get("protocol") or self.content.get("protocol"))
        rest = {key: value for key, value in protocol.items() if key not in ("name", "ignore")}
        notes = _mapping(result.get("notes"))
        return {
            "dataset": _said(result.get("dataset")),
            "split": _said(result.get("split")),
            "protocol": " ".join([_said(protocol.get("name")), *_pairs(rest)]),
            "camera rule": _said(protocol.get("ignore")),
            "distance": _said(result.get("metric")),
            "data digest": _said(_mapping(data.get("source")).get("digest")),
            "frames": _said(notes.get("frames")),
            "re-ranking": self.reranking,
            "discard lists": _said(notes.get("discard lists", "none")),
        }

    @property
    def reranking(self) -> str:
        """Return the re-ranking of the test, or ``none``."""
        places = [self.result, _mapping(self.result.get("notes"))]
        found = [place[key] for place in places for key in _RERANKING if place.get(key)]
        return _said(found[0]) if found else "none"


def is_score(name: str) -> bool:
    """Return whether a value of a direction is a score: a fraction, shown in percent."""
    return name.startswith(("mAP", "mINP", "TAR")) or (name[:1] == "R" and name[1:].isdigit())


def read_record(path: Path) -> Record:
    """Read one ``metrics.json``, or that of a run's folder.

    Args:
        path: The file, or a folder that holds ``test/metrics.json`` or ``metrics.json``.

    Raises:
        RecordError: If it cannot be read or holds no result.
    """
    if path.is_dir():
        path = next(
            (place for place in (path / METRICS, path / METRICS.name) if place.is_file()),
            path / METRICS,
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise RecordError(
            f"{path}: cannot be read as the record of a test ({fault}). Test the run again "
            "(--phase test), or leave the file out"
        ) from None
    directions = _parts(_mapping(_mapping(content).get("result")))
    if not directions or not all(isinstance(each, Mapping) for each in directions.values()):
        raise RecordError(
            f"{path}: there is no result.directions with scores in it; expected the "
            "metrics.json that a test writes (output/<dataset>/<model>/<save_name>/test)"
        )
    return Record(path, content)


def find_records(places: Sequence[str]) -> list[Path]:
    """Return the record files that files, folders and patterns name, each once.

    Args:
        places: ``metrics.json`` files, folders that contain them at any depth, or patterns in
            which ``**`` stands for any folders (for shells that do not resolve them). Runs that
            were kept aside (``<save_name>.old-<number>``) are found only if a place names them.

    Raises:
        RecordError: If one of the places has no such file.
    """
    found: dict[Path, Path] = {}
    for place in places:
        paths = sorted(_files(place))
        if not paths:
            raise RecordError(
                f"{place}: there is no metrics.json; expected such files, folders above them, or "
                "a pattern, as in 'output/**/metrics.json'"
            )
        found.update({path.resolve(): path for path in paths if path.resolve() not in found})
    return list(found.values())


def _files(place: str) -> Iterator[Path]:
    path = Path(place)
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from _below(path)
    else:
        for name in glob.glob(place, recursive=True):
            found = Path(name)
            if _ASIDE.search(place) or not _ASIDE.search(name):
                yield from [found] if found.is_file() else _below(found)


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob(METRICS.name):
        if not _ASIDE.search(str(path.relative_to(folder))):
            yield path


def _parts(result: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(result.get("directions") or result.get("conditions"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(_pairs(value)) or "none"
    return _UNNAMED if value is None else str(value)


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value, sort_keys=True)}" for key, value in sorted(values.items())]
