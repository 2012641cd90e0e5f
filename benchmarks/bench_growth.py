"""Growth of cost: each part at three sizes, each twice the one before, and the exponent.

With an exponent of 1, the cost doubles with the size. An exponent below 1 means that part of the
cost does not depend on the size.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import evaluation
import numpy as np
import rerank
import torch
from bench_measure import seconds
from bench_model import FLOAT32, batch, embed, network, objective, take
from torch import Tensor, nn

from opengait_ext.evaluation.distance import part_distance
from opengait_ext.layers.parts import PartBNNeck
from opengait_ext.losses import CrossEntropyLoss, TripletLoss

_SHORT = 0.1  # seconds; several shorter passes are timed together
_ALIKE = 22  # tracklets per identity in gallery and queries together, as in HITSZ-VCM

Pass = Callable[[], Any]
Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class Growth:
    """A row of the table.

    Attributes:
        name: Name of the measured part.
        by: The unit of the sizes, and the quantities that stay constant.
        small: The sizes measured.
        full: The sizes of the full benchmark.
        make: Function of ``small`` or ``full`` that returns a function from a size to its pass.
    """

    name: str
    by: str
    small: Sizes
    full: Sizes
    make: Callable[[str], Callable[[int], Pass]]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log cost over log size, by least squares."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


def measured(growth: Growth, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure a part at all of its sizes in turn; report the medians."""
    sizes = growth.full if arguments.size == "full" else growth.small
    prepared = growth.make(arguments.size)
    passes = [prepared(size) for size in sizes]
    passes[0]()  # warm-up, outside of the measurement
    rounds = [[seconds(run, _SHORT) for run in passes] for _ in range(arguments.rounds)]
    times = [list(each) for each in zip(*rounds, strict=True)]
    medians = [statistics.median(each) for each in times]
    return {
        "row": growth.name,
        "by": growth.by,
        "sizes": list(sizes),
        "seconds": medians,
        "exponent": exponent(sizes, medians),
        "times": times,
    }


def embedding(size: str) -> Callable[[int], Pass]:
    """Embed one tracklet with the whole network."""
    model = network(size).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(frames: int) -> Pass:
        inputs = batch(size, 1, frames)
        return lambda: embed(model, inputs, FLOAT32)

    return prepare


def training(size: str) -> Callable[[int], Pass]:
    """Take a training step on tracklets of two frames."""
    model = FLOAT32.place(network(size).train(), training=True)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.Adam(trained, lr=1e-6, fused=True), objective()

    def prepare(tracklets: int) -> Pass:
        inputs = batch(size, tracklets, 2)
        return lambda: take(model, optimizer, losses, inputs, FLOAT32)

    return prepare


def identity_losses(size: str) -> Callable[[int], Pass]:
    """Compute both losses of a stream with gradients, for eight tracklets per identity."""
    parts, channels, classes = (35, 256, 500) if size == "full" else (18, 256, 50)
    losses = TripletLoss(margin=0.2, anchor_is_positive=True), CrossEntropyLoss()

    def prepare(identities: int) -> Pass:
        labels = torch.arange(identities).repeat_interleave(8)
        given = [
            torch.randn(len(labels), each, parts).requires_grad_() for each in (channels, classes)
        ]

        def run() -> None:
            terms = [loss(each, labels)[0] for loss, each in zip(losses, given, strict=True)]
            torch.autograd.grad(torch.stack(terms).sum(), given)

        return run

    return prepare


def neck(size: str) -> Callable[[int], Pass]:
    """Classify 32 tracklets with a neck for all parts, forward and backward."""
    parts = 35 if size == "full" else 18
    features = torch.randn(32, 256, parts, requires_grad=True)

    def prepare(identities: int) -> Pass:
        module: nn.Module = PartBNNeck(parts, 256, identities).train()
        wanted = [features, *module.parameters()]
        return lambda: torch.autograd.grad(module(features)[1].square().sum(), wanted)

    return prepare


def queries_of(size: str) -> int:
    """Return the number of queries, which is the same for all galleries."""
    return 1000 if size == "full" else 200


def ranking(size: str) -> Callable[[int], Pass]:
    """Rank a gallery for all queries."""
    queries = queries_of(size)

    def prepare(gallery: int) -> Pass:
        distance = np.random.default_rng(1).random((queries, gallery), dtype=np.float32)
        names = evaluation.names_of(queries, gallery, 2)
        return lambda: evaluation.by_counting(distance, names)

    return prepare


def distances(size: str) -> Callable[[int], Pass]:
    """Compute the distances of all queries to a gallery, over 70 parts."""
    torch.manual_seed(0)
    query = torch.randn(queries_of(size), 256, 70)

    def prepare(gallery: int) -> Callable[[], Tensor]:
        others = torch.randn(gallery, 256, 70)
        return lambda: part_distance(query, others)

    return prepare


def reranking(size: str) -> Callable[[int], Pass]:
    """Re-rank from all distances; a larger gallery has more identities."""
    queries = queries_of(size)

    def prepare(gallery: int) -> Pass:
        people = (queries + gallery) // _ALIKE
        crowd = argparse.Namespace(
            queries=queries, gallery=gallery, embedding=256, parts=1, people=people, spread=1.5
        )
        matrix = rerank.plain_distance(rerank.crowd(crowd)).numpy()
        return lambda: rerank.sparse_from_distance(matrix, queries)

    return prepare


GALLERY = "tracklets of the gallery, 1,000 queries (small: 200)"
GALLERIES: tuple[Sizes, Sizes] = ((250, 500, 1000), (1250, 2500, 5000))
FEW: tuple[Sizes, Sizes] = ((2, 4, 8), (2, 4, 8))
FRAMES: tuple[Sizes, Sizes] = ((3, 6, 12), (3, 6, 12))
ROWS = [
    Growth("growth, embedding, float32", "frames of one tracklet", *FRAMES, embedding),
    Growth("growth, training step, float32", "tracklets of two frames", *FEW, training),
    Growth("growth, triplet loss and cross-entropy", "identities of a batch, 8 tracklets each",
           (4, 8, 16), (8, 16, 32), identity_losses),
    Growth("growth, classifier neck, training", "identities of the training set, 32 tracklets",
           (100, 200, 400), (500, 1000, 2000), neck),
    Growth("growth, ranking", GALLERY, *GALLERIES, ranking),
    Growth("growth, distances of 70 parts", GALLERY, *GALLERIES, distances),
    Growth("growth, k-reciprocal re-ranking", GALLERY, *GALLERIES, reranking),
]  # fmt: skip
