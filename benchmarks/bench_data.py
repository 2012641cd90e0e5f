"""Benchmark rows of data and evaluation: reading frames, ranking, distances, re-ranking."""

import argparse
import pickle
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import evaluation
import forms
import numpy as np
import rerank
import torch
from bench_measure import Row, Sides
from PIL import Image

from opengait_ext.data.frames import decode
from opengait_ext.evaluation.distance import part_distance

FRAMES = 6


def encoded(count: int) -> list[bytes]:
    """Return JPEG images of 256 x 128 pixels and about 11 KB each."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(count):
        coarse = cv2.resize(rng.integers(0, 256, (16, 8, 3), np.uint8), (128, 256))
        noisy = np.clip(coarse + rng.normal(0, 5, coarse.shape), 0, 255).astype(np.uint8)
        images.append(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return images


def pickled(folder: Path, wanted: Sequence[int]) -> forms.Pixels:
    """Read a whole tracklet and select some frames."""
    with (folder / "0-frames.pkl").open("rb") as file:
        frames = pickle.load(file)
    return [np.ascontiguousarray(frames[index].transpose(1, 2, 0)) for index in wanted]


def by_pillow(folder: Path, wanted: Sequence[int]) -> forms.Pixels:
    """Read one file per frame."""
    return [np.asarray(Image.open(folder / f"{index:06d}.jpg").convert("RGB")) for index in wanted]


def reading(form: str, read: Callable[..., forms.Pixels], other: str,
            read_other: Callable[..., forms.Pixels]) -> Callable[[str], Sides]:  # fmt: skip
    """Return the function that prepares the row of reading two forms."""

    def make(size: str) -> Sides:
        temporary = tempfile.TemporaryDirectory()
        tracklets = 300 if size == "full" else 60
        images = encoded(24)
        homes = {name: Path(temporary.name, name) for name in (form, other)}
        for name, home in homes.items():
            for number in range(tracklets):
                forms.FORMS[name][0](home / str(number), images)
        rng = np.random.default_rng(1)
        order = rng.permutation(tracklets).tolist()
        wanted = [np.sort(rng.choice(24, FRAMES, replace=False)).tolist() for _ in order]

        def run(name: str, function: Callable[..., forms.Pixels]) -> list[forms.Pixels]:
            found: forms.Pixels = []
            for place, which in zip(order, wanted, strict=True):
                found = function(homes[name] / str(place), which)
            return [found]

        def difference() -> tuple[float, float]:
            first, second = (
                np.stack(run(*side)[0]) for side in ((form, read), (other, read_other))
            )
            return float(np.abs(first.astype(int) - second.astype(int)).max()), 0.0

        def disk(name: str) -> float:
            return sum(path.stat().st_size for path in homes[name].rglob("*") if path.is_file())

        bytes_of = {"raw pixels": FRAMES * 256 * 128 * 3, "JPEG, packed": FRAMES * len(images[0])}
        notes = {
            "size": f"{tracklets} tracklets of 24 frames, {FRAMES} read of each, warm cache",
            "stored, of a pickle's bytes": disk(form) / (tracklets * 24 * 256 * 128 * 3),
        }
        return Sides(
            lambda: run(form, read), lambda: run(other, read_other), difference,
            bytes=tracklets * bytes_of[form], kept=temporary, notes=notes,
        )  # fmt: skip

    return make


def ranking(size: str) -> Sides:
    """Rank both directions of a distance matrix; the loop ranks only part of the queries."""
    queries, gallery, some = (4584, 5099, 200) if size == "full" else (1000, 1100, 100)
    distance = np.random.default_rng(1).random((queries, gallery), dtype=np.float32)
    wanted, offered, here, there = evaluation.names_of(queries, gallery, 2)
    directions = [
        (distance, (wanted, offered, here, there)),
        (np.ascontiguousarray(distance.T), (offered, wanted, there, here)),
    ]

    def run(side: Callable[..., Any], count: int) -> list[Any]:
        return [
            side(matrix[:count], (names[0][:count], names[1], names[2][:count], names[3]))
            for matrix, names in directions
        ]

    def difference() -> tuple[float, float]:
        pairs = zip(run(evaluation.by_counting, some), run(evaluation.by_list, some), strict=True)
        gaps = [np.abs(np.asarray(x) - np.asarray(y)).max()
                for one, other in pairs for x, y in zip(one, other, strict=True)]  # fmt: skip
        return float(max(gaps)), 1e-9

    return Sides(
        lambda: run(evaluation.by_counting, max(queries, gallery)),
        lambda: run(evaluation.by_list, some), difference,
        plain_share=2 * some / (queries + gallery), bytes=2 * 4.0 * queries * gallery,
        notes={"size": f"{queries} x {gallery}, both directions; the loop: {some} queries each"},
    )  # fmt: skip


def distances(size: str) -> Sides:
    """Compute the mean Euclidean distance over 70 parts."""
    queries, gallery = (4584, 5099) if size == "full" else (600, 700)
    torch.manual_seed(0)
    query, others = torch.randn(queries, 256, 70), torch.randn(gallery, 256, 70)

    def by_part() -> torch.Tensor:
        total = torch.zeros(queries, gallery)
        for part in range(70):
            x, y = query[:, :, part], others[:, :, part]
            squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.t()
            total += squared.clamp_min(0).sqrt()
        return total / 70

    def difference() -> tuple[float, float]:
        return float((part_distance(query, others) - by_part()).abs().max()), 1e-3

    return Sides(
        lambda: part_distance(query, others), by_part, difference,
        flops=lambda: 2.0 * queries * gallery * 256 * 70, notes={"size": f"{queries} x {gallery}"},
    )  # fmt: skip


def reranking(size: str) -> Sides:
    """Re-rank from a matrix of all distances."""
    queries, gallery = (4584, 5099) if size == "full" else (600, 700)
    people = 427 if size == "full" else 60
    crowd = argparse.Namespace(
        queries=queries, gallery=gallery, embedding=256, parts=1, people=people, spread=1.5
    )
    matrix = rerank.plain_distance(rerank.crowd(crowd)).numpy()
    return Sides(
        lambda: rerank.sparse_from_distance(matrix, queries),
        lambda: rerank.plain_from_distance(matrix, queries),
        lambda: (rerank.difference(), 1e-9),
        bytes=4.0 * (len(matrix) ** 2 / 2 + queries * gallery),  # each pair read once, then written
        notes={"size": f"{queries} x {gallery}, from all distances"},
    )


def decoded(folder: Path, wanted: Sequence[int]) -> forms.Pixels:
    """Read the form in use."""
    return [decode(image) for image in forms.read_frames(folder, wanted)]


PICKLE, PACKED, SINGLE = "OpenGait's pickle", "JPEG, packed", "JPEG, single files"
ROWS = [
    Row("loader, raw pixels", "whole-tracklet pickles", 2, None,
        reading("raw pixels", forms.read_raw, PICKLE, pickled)),
    Row("loader, packed JPEG", "a file each through Pillow", 2, None,
        reading(PACKED, decoded, SINGLE, by_pillow)),
    Row("ranking", "a loop over the queries", 40, 0, ranking),
    Row("distances of 70 parts", "one product a part", 3, 0, distances),
    Row("k-reciprocal re-ranking", "the formulas, whole matrices", 10, 1 / 4, reranking),
]  # fmt: skip
