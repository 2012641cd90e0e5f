"""How cost grows: each part at three sizes, each twice the one before, and the exponent.

An exponent of 1 is a cost that doubles with the size; less than 1 says that a part of it does not
depend on the size.
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

_SHORT = 0.1  # seconds: of a pass that is shorter, several are timed
_ALIKE = 22  # tracklets of an identity in a gallery and its queries, as in HITSZ-VCM

Pass = Callable[[], Any]
Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class Growth:
    """A row of the table.

    Attributes:
        name: What is measured.
        by: What the sizes count, and what does not grow with them.
        small: The sizes measured.
        full: The same for the full size.
        make: Gives, for ``small`` or ``full``, what makes the pass of a size.
    """

    name: str
    by: str
    small: Sizes
    full: Sizes
    make: Callable[[str], Callable[[int], Pass]]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Gives the slope of log cost over log size, by least squares."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


def measured(growth: Growth, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures a part at all of its sizes, in turn; the medians count."""
    sizes = growth.full if arguments.size == "full" else growth.small
    prepared = growth.make(arguments.size)
    passes = [prepared(size) for size in sizes]
    passes[0]()  # what is made once, is made
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
    """Embeds one tracklet by the whole network."""
    model = network(size).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(frames: int) -> Pass:
        inputs = batch(size, 1, frames)
        return lambda: embed(model, inputs, FLOAT32)

    return prepare


def training(size: str) -> Callable[[int], Pass]:
    """Takes a training step on tracklets of two frames."""
    model = FLOAT32.place(network(size).train(), training=True)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.Adam(trained, lr=1e-6, fused=True), objective()

    def prepare(tracklets: int) -> Pass:
        inputs = batch(size, tracklets, 2)
        return lambda: take(model, optimizer, losses, inputs, FLOAT32)

    return prepare


def identity_losses(size: str) -> Callable[[int], Pass]:
    """Computes both losses of a stream with their gradients, eight tracklets an identity."""
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
    """Classifies 32 tracklets by a neck of all parts, forward and backward."""
    parts = 35 if size == "full" else 18
    features = torch.randn(32, 256, parts, requires_grad=True)

    def prepare(identities: int) -> Pass:
        module: nn.Module = PartBNNeck(parts, 256, identities).train()
        wanted = [features, *module.parameters()]
        return lambda: torch.autograd.grad(module(features)[1].square().sum(), wanted)

    return prepare


def queries_of(size: str) -> int:
    """Gives how many queries there are, whatever the gallery."""
    return 1000 if size == "full" else 200


def ranking(size: str) -> Callable[[int], Pass]:
    """Ranks a gallery for all queries."""
    queries = queries_of(size)

    def prepare(gallery: int) -> Pass:
        distance = np.random.default_rng(1).random((queries, gallery), dtype=np.float32)
        names = evaluation.names_of(queries, gallery, 2)
        return lambda: evaluation.by_counting(distance, names)

    return prepare


def distances(size: str) -> Callable[[int], Pass]:
    """Gives the distances of 70 parts of all queries to a gallery."""
    torch.manual_seed(0)
    query = torch.randn(queries_of(size), 256, 70)

    def prepare(gallery: int) -> Callable[[], Tensor]:
        others = torch.randn(gallery, 256, 70)
        return lambda: part_distance(query, others)

    return prepare


def reranking(size: str) -> Callable[[int], Pass]:
    """Re-ranks from all distances; a larger gallery has more identities."""
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
