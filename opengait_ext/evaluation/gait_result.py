"""The result of an evaluation by views: one matrix of accuracies per condition."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .result import aligned, further, percent, plain


@dataclass(frozen=True, eq=False)
class ConditionResult:
    """The accuracies of one condition.

    Attributes:
        probes: Number of probes of the protocol.
        gallery: Number of gallery tracklets of the protocol.
        identities: Number of identities among the probes.
        unmatched: Paths of the probes without a match in the gallery of some view; they count as
            wrong there.
        probe_views: Views of the probes, the rows.
        gallery_views: Views of the gallery, the columns.
        identical_view: Whether pairs of one view count in the mean.
        percent: Accuracy in percent, ``[rows, columns]``, by rank.
    """

    probes: int
    gallery: int
    identities: int
    unmatched: list[str]
    probe_views: list[str]
    gallery_views: list[str]
    identical_view: bool
    percent: Mapping[int, np.ndarray]

    def mean(self, rank: int, identical_view: bool | None = None) -> float:
        """Return the mean accuracy as a fraction, with or without pairs of one view.

        Args:
            rank: A rank in ``percent``.
            identical_view: Whether pairs of one view count; None: as in the protocol.
        """
        with_same = self.identical_view if identical_view is None else identical_view
        same = np.array(self.probe_views)[:, None] == np.array(self.gallery_views)
        counts = np.ones_like(same) if with_same else ~same
        sizes = counts.sum(1)
        if not sizes.any():
            return float("nan")
        sums = np.where(counts, self.percent[rank], 0).sum(1)
        return float((sums[sizes > 0] / sizes[sizes > 0]).mean() / 100)

    def scores(self) -> dict[str, float]:
        """Return the mean accuracy at each rank as a fraction, by name (``R1``)."""
        return {f"R{rank}": self.mean(rank) for rank in self.percent}


@dataclass(frozen=True, eq=False)
class GaitViewResult:
    """The accuracies of all conditions and their settings; ``str`` returns tables.

    Attributes:
        dataset: Name of the data set.
        split: The evaluated split.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.
        parts: Number of parts of an embedding.
        protocol: The protocol of the partition.
        conditions: Results by condition.
        notes: Further facts from the host, printed and stored unchanged.
    """

    dataset: str
    split: str
    metric: str
    parts: int
    protocol: dict[str, Any]
    conditions: dict[str, ConditionResult]
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def mean_average_precision(self) -> float:
        """Return the mean accuracy at the first rank, the score that selects checkpoints.

        The name matches the other evaluator's result; average precision is not measured here.
        """
        return next(iter(self.mean_scores().values()))

    def mean_scores(self) -> dict[str, float]:
        """Return the mean of each score over the conditions."""
        scores = [condition.scores() for condition in self.conditions.values()]
        return {name: sum(each[name] for each in scores) / len(scores) for name in scores[0]}

    def scalars(self) -> dict[str, float]:
        """Return every score by its TensorBoard tag, ``scalar/<condition>/<score>``."""
        return {
            f"scalar/{name}/{score}": value
            for name, condition in self.conditions.items()
            for score, value in condition.scores().items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dictionaries, lists, texts and numbers, for JSON.

        Scores are fractions; the matrices are in percent, rounded as the protocol says.
        """
        return plain(
            {
                "dataset": self.dataset,
                "split": self.split,
                "metric": self.metric,
                "parts": self.parts,
                "protocol": self.protocol,
                "rerank": None,
                "notes": self.notes,
                "mean": self.mean_scores(),
                "conditions": {
                    name: {
                        **condition.scores(),
                        "with_identical_view": {
                            f"R{rank}": condition.mean(rank, True) for rank in condition.percent
                        },
                        "without_identical_view": {
                            f"R{rank}": condition.mean(rank, False) for rank in condition.percent
                        },
                        "probes": condition.probes,
                        "gallery": condition.gallery,
                        "identities": condition.identities,
                        "unmatched": condition.unmatched,
                        "probe_views": condition.probe_views,
                        "gallery_views": condition.gallery_views,
                        "percent": {
                            str(rank): cells.tolist() for rank, cells in condition.percent.items()
                        },
                    }
                    for name, condition in self.conditions.items()
                },
            }
        )

    def __str__(self) -> str:
        ranks = list(self.mean_scores())
        titles = [f"{rank} {kind}" for rank in ranks for kind in ("", "identical in", "out")]
        heads = [title.rstrip() for title in titles]
        rows = [["percent", *heads, "probes", "gallery", "unmatched"]]
        for name, condition in self.conditions.items():
            means = [
                condition.mean(rank, kind)
                for rank in condition.percent
                for kind in (None, True, False)
            ]
            counts = (condition.probes, condition.gallery, len(condition.unmatched))
            rows.append([name, *map(percent, means), *map(str, counts)])
        lines = [f"{self.dataset}, split {self.split}", *aligned(rows)]
        for name, condition in self.conditions.items():
            for rank, cells in condition.percent.items():
                table = [[f"{name}, R{rank}", *condition.gallery_views]]
                for view, row in zip(condition.probe_views, cells, strict=True):
                    table.append([view, *(percent(value / 100) for value in row)])
                lines += aligned(table)
        kept = "in" if self.protocol.get("identical_view") else "left out"
        facts = {
            "protocol": self.protocol.get("name", "unnamed"),
            "identical view": kept,
            **{key: value for key, value in further(self.protocol).items()
               if key in ("probe types", "gallery types", "decimals", "view until", "pool views")},
            "distance": f"{self.metric}, mean over {self.parts} parts",
            **self.notes,
        }  # fmt: skip
        lines.append("; ".join(f"{name}: {value}" for name, value in facts.items()))
        lines.append(
            "rows: view of the probe, columns: of the gallery; unmatched: probes without a match "
            "in the gallery of some view, wrong there"
        )
        return "\n".join(lines)
