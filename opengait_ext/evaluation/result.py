"""The result of a retrieval evaluation: scores with the protocol that they belong to.

Scores are fractions in [0, 1]; only the text has percent.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_HEADINGS = {"d_prime": "d'"}


@dataclass(frozen=True)
class DirectionResult:
    """The scores of one direction, such as ``infrared_to_visible``.

    Attributes:
        queries: Number of query tracklets of the protocol, including the dropped ones.
        gallery: Number of gallery tracklets of the protocol.
        identities: Number of identities among the queries.
        dropped: Paths of the queries without a match in the gallery after the camera rule; no
            score counts them.
        ignored_pairs: Number of pairs of query and gallery tracklet that the camera rule ignores.
        cmc: Rank to the fraction of the scored queries with a match at or before it.
        mean_average_precision: mAP over the scored queries; NaN if there are none.
        mean_inverse_negative_penalty: mINP over the scored queries.
        unmatched: Paths of the queries without a match that count as misses in every score, if
            the protocol says so; ``dropped`` is then empty.
        further: Verification scores: true accept rates ``TAR@<false accept rate>``, d prime.
        trials: Number of galleries drawn. With several, scores, ``queries`` and ``gallery`` are
            means, ``ignored_pairs`` is the sum, and ``dropped`` lists queries of any trial.
        spread: Standard deviation of each score over the trials, if there are several.
        intervals: Lower and upper bound of each score, if they were requested.
        pairs: Numbers of genuine and impostor pairs, and rates and threshold at each false
            accept rate. Only for a single trial.
    """

    queries: int
    gallery: int
    identities: int
    dropped: list[str]
    ignored_pairs: int
    cmc: dict[int, float]
    mean_average_precision: float
    mean_inverse_negative_penalty: float
    unmatched: list[str] = field(default_factory=list)
    further: dict[str, float] = field(default_factory=dict)
    trials: int = 1
    spread: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    pairs: dict[str, Any] = field(default_factory=dict)

    def scores(self) -> dict[str, float]:
        """Return the scores by their names in the table: R1, ..., mAP, mINP."""
        return {
            **{f"R{rank}": score for rank, score in self.cmc.items()},
            "mAP": self.mean_average_precision,
            "mINP": self.mean_inverse_negative_penalty,
            **self.further,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return scores and counts; those that were not requested are left out."""
        found = {
            **self.scores(),
            "queries": self.queries,
            "gallery": self.gallery,
            "identities": self.identities,
            "dropped_queries": len(self.dropped),
            "dropped": self.dropped,
            "ignored_pairs": self.ignored_pairs,
        }
        further = {
            "unmatched": self.unmatched,
            "spread": self.spread,
            "intervals": self.intervals,
            "pairs": self.pairs,
        }
        trials = {"trials": self.trials} if self.trials > 1 else {}
        return {**found, **trials, **{name: value for name, value in further.items() if value}}


@dataclass(frozen=True)
class RetrievalResult:
    """The scores of all directions and their settings; ``str`` returns a table.

    Attributes:
        dataset: Name of the data set.
        split: The evaluated split.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.
        parts: Number of parts of an embedding.
        protocol: The protocol of the partition, its camera rule under ``"ignore"``.
        directions: Results by direction.
        notes: Further facts from the host: frames per tracklet, the checkpoint and how it was
            chosen. Printed and stored unchanged.
        rerank: Settings of the re-ranking; None if there was none.
        confidence: Level, resamples and seed of the intervals; None if there are none.
    """

    dataset: str
    split: str
    metric: str
    parts: int
    protocol: dict[str, Any]
    directions: dict[str, DirectionResult]
    notes: dict[str, Any] = field(default_factory=dict)
    rerank: dict[str, Any] | None = None
    confidence: dict[str, Any] | None = None

    @property
    def mean_average_precision(self) -> float:
        """Return the mean mAP over the directions, the score that selects checkpoints."""
        return self.mean_scores()["mAP"]

    def mean_scores(self) -> dict[str, float]:
        """Return the mean of each score over the directions; NaN if a direction has no score."""
        scores = [direction.scores() for direction in self.directions.values()]
        return {name: sum(each[name] for each in scores) / len(scores) for name in scores[0]}

    def scalars(self) -> dict[str, float]:
        """Return every score by its TensorBoard tag, ``scalar/<direction>/<score>``."""
        return {
            f"scalar/{name}/{score}": value
            for name, direction in self.directions.items()
            for score, value in direction.scores().items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dictionaries, lists, texts and numbers, for JSON.

        A missing score is None, because JSON has no NaN.
        """
        return plain(
            {
                "dataset": self.dataset,
                "split": self.split,
                "metric": self.metric,
                "parts": self.parts,
                "protocol": self.protocol,
                "rerank": self.rerank,
                "confidence": self.confidence,
                "notes": self.notes,
                "mean": self.mean_scores(),
                "directions": {
                    name: direction.to_dict() for name, direction in self.directions.items()
                },
            }
        )

    def __str__(self) -> str:
        names = [_HEADINGS.get(name, name) for name in self.mean_scores()]
        rows = [["percent", *names, *("queries", "gallery", "dropped", "ignored")]]
        for name, direction in self.directions.items():
            counts = (direction.queries, direction.gallery, len(direction.dropped))
            rows.append(
                [
                    name.replace("_", " "),
                    *_cells(direction.scores()),
                    *map(str, (*counts, direction.ignored_pairs)),
                ]
            )
        rows.append(["mean", *_cells(self.mean_scores()), *("",) * 4])
        lines = [f"{self.dataset}, split {self.split}", *aligned(rows), *self._spread()]
        return "\n".join([*lines, *self._legend()])

    def _spread(self) -> list[str]:
        """Return the lines about trials and intervals."""
        lines = []
        for name, direction in self.directions.items():
            title = name.replace("_", " ")
            if direction.spread:
                cells = zip(direction.spread, _cells(direction.spread), strict=True)
                told = ", ".join(f"{_HEADINGS.get(score, score)} {cell}" for score, cell in cells)
                lines.append(f"{title}, standard deviation over {direction.trials} trials: {told}")
            if direction.intervals and self.confidence:
                ends = ", ".join(
                    f"{score} {percent(low)} to {percent(high)}"
                    for score, (low, high) in direction.intervals.items()
                )
                level = f"{100 * self.confidence['level']:g} % interval"
                drawn = f"{self.confidence['resamples']} resamples of the query identities"
                lines.append(f"{title}, {level} ({drawn}): {ends}")
            if direction.unmatched:
                count = len(direction.unmatched)
                lines.append(f"{title}: {count} queries without a match count as zero")
        return lines

    def _legend(self) -> list[str]:
        """Return the lines that name the settings of the scores."""
        rule = self.protocol.get("ignore", "none")
        facts = {
            "protocol": self.protocol.get("name", "unnamed"),
            "camera rule": rule,
            **further(self.protocol),
            "distance": f"{self.metric}, mean over {self.parts} parts",
            **({"re-ranking": _short(self.rerank)} if self.rerank is not None else {}),
            **self.notes,
        }
        dropped = "queries without a match in the gallery, in no score"
        if self.protocol.get("unmatched") == "count_as_zero":
            dropped = "none, as a query without a match counts as zero in every score"
        return [
            "; ".join(f"{name}: {value}" for name, value in facts.items()),
            f"dropped: {dropped}; ignored: pairs left out by the camera rule {rule}",
        ]


def further(protocol: Mapping[str, Any]) -> dict[str, str]:
    """Return a protocol's keys other than name, camera rule and shortest tracklet, by label."""
    told = {
        key.replace("_", " "): _short(value)
        for key, value in protocol.items()
        if key not in ("name", "ignore", "min_frames") and value is not None
    }
    return {key: value for key, value in told.items() if value}


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_short(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_short, value))
    return str(value)


def _cells(scores: Mapping[str, float]) -> list[str]:
    """Return the scores as text in percent; d prime, which is not a fraction, as it is."""
    return [percent(value / 100 if name == "d_prime" else value) for name, value in scores.items()]


def percent(fraction: float) -> str:
    """Return a fraction as text in percent; a dash for NaN."""
    return "-" if math.isnan(fraction) else f"{100 * fraction:.2f}"


def aligned(rows: list[list[str]]) -> list[str]:
    """Return lines with aligned columns, the first left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return lines


def plain(value: Any) -> Any:
    """Return a value of a type that JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, type(None))) else str(value)
