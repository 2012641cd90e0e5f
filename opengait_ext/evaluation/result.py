"""What an evaluation gives back: numbers with the protocol that they belong to.

Scores are fractions in [0, 1]; percent only in the text.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DirectionResult:
    """Holds the scores of one direction, for instance ``infrared_to_visible``.

    Attributes:
        queries: Query tracklets of the protocol, the dropped ones among them.
        gallery: Gallery tracklets of the protocol.
        identities: Different identities among the queries.
        dropped: Paths of the queries for which the gallery holds no match that the camera
            rule leaves in; no score counts them.
        ignored_pairs: Pairs of query and gallery tracklet that the camera rule leaves out.
        cmc: Rank to the fraction of the scored queries with a match at or before it.
        mean_average_precision: mAP over the scored queries; NaN if there is none.
        mean_inverse_negative_penalty: mINP over the same.
    """

    queries: int
    gallery: int
    identities: int
    dropped: list[str]
    ignored_pairs: int
    cmc: dict[int, float]
    mean_average_precision: float
    mean_inverse_negative_penalty: float

    def scores(self) -> dict[str, float]:
        """Gives the scores by the names of the table: R1, ..., mAP, mINP."""
        return {
            **{f"R{rank}": score for rank, score in self.cmc.items()},
            "mAP": self.mean_average_precision,
            "mINP": self.mean_inverse_negative_penalty,
        }


@dataclass(frozen=True)
class RetrievalResult:
    """Holds the scores of all directions and what they depend on; ``str`` gives a table.

    Attributes:
        dataset: Name of the data set.
        split: Split whose tasks were evaluated.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.
        parts: Parts of an embedding.
        protocol: The protocol of the partition, its camera rule under ``"ignore"``.
        directions: Results by direction.
        notes: What the host has to say beside: frames per tracklet, the checkpoint and how
            it was chosen. Printed and stored as it is.
    """

    dataset: str
    split: str
    metric: str
    parts: int
    protocol: dict[str, Any]
    directions: dict[str, DirectionResult]
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def mean_average_precision(self) -> float:
        """Gives the mean of the directions' mAP, by which checkpoints are compared."""
        return self.mean_scores()["mAP"]

    def mean_scores(self) -> dict[str, float]:
        """Gives the mean over the directions of each score; NaN if one has none."""
        scores = [direction.scores() for direction in self.directions.values()]
        return {name: sum(each[name] for each in scores) / len(scores) for name in scores[0]}

    def scalars(self) -> dict[str, float]:
        """Gives every score as ``scalar/<direction>/<score>``, the tags of TensorBoard."""
        return {
            f"scalar/{name}/{score}": value
            for name, direction in self.directions.items()
            for score, value in direction.scores().items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Gives everything as dictionaries, lists, texts and numbers, for JSON.

        A score that does not exist is None, because JSON has no NaN.
        """
        return _plain(
            {
                "dataset": self.dataset,
                "split": self.split,
                "metric": self.metric,
                "parts": self.parts,
                "protocol": self.protocol,
                "notes": self.notes,
                "mean": self.mean_scores(),
                "directions": {
                    name: {
                        **direction.scores(),
                        "queries": direction.queries,
                        "gallery": direction.gallery,
                        "identities": direction.identities,
                        "dropped_queries": len(direction.dropped),
                        "dropped": direction.dropped,
                        "ignored_pairs": direction.ignored_pairs,
                    }
                    for name, direction in self.directions.items()
                },
            }
        )

    def __str__(self) -> str:
        rows = [["percent", *self.mean_scores(), *("queries", "gallery", "dropped", "ignored")]]
        for name, direction in self.directions.items():
            counts = (direction.queries, direction.gallery, len(direction.dropped))
            rows.append(
                [
                    name.replace("_", " "),
                    *map(_percent, direction.scores().values()),
                    *map(str, (*counts, direction.ignored_pairs)),
                ]
            )
        rows.append(["mean", *map(_percent, self.mean_scores().values()), *("",) * 4])
        return "\n".join([f"{self.dataset}, split {self.split}", *_aligned(rows), *self._legend()])

    def _legend(self) -> list[str]:
        """Gives the lines that say what the numbers depend on."""
        rule = self.protocol.get("ignore", "none")
        facts = {
            "protocol": self.protocol.get("name", "unnamed"),
            "camera rule": rule,
            "distance": f"{self.metric}, mean over {self.parts} parts",
            **self.notes,
        }
        return [
            "; ".join(f"{name}: {value}" for name, value in facts.items()),
            f"dropped: queries without a match in the gallery, in no score; ignored: pairs "
            f"left out by the camera rule {rule}",
        ]


def _percent(fraction: float) -> str:
    return "-" if math.isnan(fraction) else f"{100 * fraction:.2f}"


def _aligned(rows: list[list[str]]) -> list[str]:
    """Gives lines of equally wide columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return lines


def _plain(value: Any) -> Any:
    """Gives a value that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, type(None))) else str(value)
