"""Input files of a report: the record, embeddings, partition and training curves of a run."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.layout import Partition, read_partition
from ..data.npz import read_arrays
from ..engine.origin import beginnings, located
from .ranking import ReportError
from .records import Record, read_record

_ARRAYS = ("embeddings", "path")


@dataclass(frozen=True)
class Sources:
    """All inputs of a report.

    Attributes:
        folder: Folder of the run.
        record: Its ``test/metrics.json``.
        embeddings: ``[N, d, p]``.
        positions: ``[N]``, positions of their tracklets in the partition.
        partition: Partition of the data.
        root: Folder of the prepared data, which contains the tracklets.
        curves: Iterations and values of each training curve; empty without a file.
    """

    folder: Path
    record: Record
    embeddings: np.ndarray
    positions: np.ndarray
    partition: Partition
    root: Path
    curves: dict[str, tuple[list[float], list[float]]]


def read_sources(run: Path, data: Path | None = None) -> Sources:
    """Read the files of a tested run.

    Args:
        run: The run's folder, ``output/<dataset>/<model>/<save_name>``.
        data: Folder of the prepared data. None: the recorded one; if it is relative, from the
            folder where the test was started.

    Raises:
        UserError: If a file is missing or damaged, or the data are not those that were tested.
    """
    record = read_record(run)
    stored = record.path.with_name("embeddings.npz")
    embeddings, paths, positions = _embeddings(stored)
    described = record.content.get("data") or {}
    begin = beginnings(record.content.get("started_in"), record.path)
    named = located(str(described.get("partition", "partition.json")), begin)
    place = named if data is None else data / "partition.json"
    if not place.is_file():
        raise ReportError(
            f"{place}: there is no partition; give the folder of the prepared data (--data ROOT)"
        )
    partition = read_partition(place)
    tested = (described.get("source") or {}).get("digest")
    found = partition.source.get("digest")
    if tested != found:
        raise ReportError(
            f"{place}: these are not the data that were tested (digest {found!r}, the record of "
            f"the test says {tested!r}); give the right folder (--data ROOT), or test again"
        )
    if positions is None:
        positions = _found(paths, partition)
    _check_positions(positions, paths, partition, stored)
    root = _root(record, place, begin) if data is None else data
    folder = record.path.parent.parent
    return Sources(folder, record, embeddings, positions, partition, root, _curves(folder))


def _root(record: Record, partition: Path, begin: Sequence[Path]) -> Path:
    named = (record.config.get("data_cfg") or {}).get("dataset_root")
    root = located(str(named), begin) if named else partition.parent
    if not root.is_dir():
        raise ReportError(
            f"{root}: the prepared data are not there; give their folder (--data ROOT)"
        )
    return root


def _embeddings(path: Path) -> tuple[np.ndarray, list[str], np.ndarray | None]:
    """Return embeddings, paths and positions; positions are None in files of earlier versions."""
    try:
        arrays = read_arrays(path)
        embeddings, paths = (arrays[name] for name in _ARRAYS)
    except (OSError, ValueError, KeyError) as fault:
        raise ReportError(
            f"{path}: cannot be read as the embeddings of a test ({fault}); test the run again "
            "(--phase test)"
        ) from None
    if embeddings.ndim != 3 or 0 in embeddings.shape or len(embeddings) != len(paths):
        raise ReportError(
            f"{path}: embeddings {list(embeddings.shape)} of {len(paths)} paths; expected "
            "[tracklets, embedding, parts] and a path for each tracklet"
        )
    wrong = ~np.isfinite(embeddings).all((1, 2))
    if wrong.any():
        raise ReportError(f"{path}: the embedding of {paths[wrong.argmax()]} is not finite")
    return embeddings, [str(name) for name in paths], arrays.get("position")


def _found(paths: Sequence[str], partition: Partition) -> np.ndarray:
    """Return positions in the partition by path, -1 for an unknown path."""
    known = {tracklet.path: place for place, tracklet in enumerate(partition.tracklets)}
    return np.array([known.get(path, -1) for path in paths], dtype=np.int64)


def _check_positions(
    positions: np.ndarray, paths: Sequence[str], partition: Partition, stored: Path
) -> None:
    """Refuse a partition whose tracklets or their order differ from the test's."""
    tracklets = partition.tracklets
    if positions.shape != (len(paths),) or positions.dtype.kind not in "iu":
        raise ReportError(f"{stored}: its positions are no whole number for each tracklet")
    lacking = [
        path
        for position, path in zip(positions, paths, strict=True)
        if not (0 <= position < len(tracklets) and tracklets[position].path == path)
    ]
    if lacking:
        raise ReportError(
            f"{stored}: {len(lacking)} tracklets are not where the partition has them "
            f"({', '.join(lacking[:5])}): the partition is not the one that was tested; give the "
            "right folder (--data ROOT), or test again"
        )


def _curves(folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Return the curves of ``metrics.jsonl``; truncated lines are skipped."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    for line in lines:
        try:
            values = dict(json.loads(line))
            step = float(values.pop("iteration"))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        for name, value in values.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                steps, numbers = curves.setdefault(name, ([], []))
                steps.append(step)
                numbers.append(float(value))
    return curves
