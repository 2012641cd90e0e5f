"""Measure k-reciprocal re-ranking against its plain form, at the size of HITSZ-VCM.

    python benchmarks/rerank.py --json rerank.json
    python benchmarks/rerank.py --queries 400 --gallery 500

The embeddings are random around one center per identity, shifted by modality and camera. The plain
form is the paper's formulas in numpy: the matrix of all distances, a full sort of every row, sets
as boolean matrices, the encodings as a matrix. Both sides are first compared in float64 on a small
case. Then each runs in its own process, for separate memory peaks: once from the same matrix of all
distances, and once from the embeddings, where the plain side computes the distances part by part.
Memory is that of the process, including the embeddings.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from opengait_ext.evaluation.rerank import rerank_distances, rerank_space
from opengait_ext.evaluation.rerank_neighbors import tile_size

K1, K2, SHARE = 20, 6, 0.3
SETTINGS = {"type": "k_reciprocal", "k1": K1, "k2": K2, "lambda": SHARE, "strict": True}


class Given:
    """The distance space of a given matrix of all distances, ``[n, n]``."""

    def __init__(self, distance: Tensor, queries: int) -> None:
        self.distance, self.queries, self.size = distance, queries, len(distance)

    def blocks(self) -> Iterator[tuple[int, int, Tensor]]:
        """Yield tiles of the upper triangle."""
        begins = [*range(0, self.queries, tile_size(self.queries))]
        begins += range(self.queries, self.size, tile_size(self.size - self.queries))
        spans = list(zip(begins, [*begins[1:], self.size], strict=True))
        for place, (column, stop) in enumerate(spans):
            for row, end in (spans[place], *spans[:place]):
                yield row, column, self.distance[row:end, column:stop]

    def between(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the distances of single pairs."""
        return self.distance[rows, columns]


def sparse_from_distance(distance: np.ndarray, queries: int) -> np.ndarray:
    """Re-rank from a matrix of all distances, with the steps of ``rerank_distances``."""
    space = Given(torch.from_numpy(distance), queries)
    return rerank_space(space, SETTINGS, squared=True, strict=True).numpy()


def plain_from_distance(distance: np.ndarray, queries: int) -> np.ndarray:
    """Re-rank from a matrix of all distances by the paper's formulas, each matrix whole.

    A set of tracklets is a row of booleans. Rows of the encoding sum to one, and the minimum and
    maximum of two numbers add up to their sum, so the sum of maxima follows from that of minima.
    """
    relative = np.square(distance)
    relative /= relative.max(axis=1, keepdims=True)
    order = np.argsort(relative, axis=1)
    encoding = _encoding(relative, order)
    encoding = sum(encoding[order[:, place]] for place in range(K2)) / K2
    mass = encoding.sum(axis=1)
    by_tracklet = np.ascontiguousarray(encoding[queries:].T)  # [n, gallery]
    jaccard = np.empty((queries, len(distance) - queries), dtype=distance.dtype)
    for query, row in enumerate(encoding[:queries]):
        there = row > 0
        minima = np.minimum(row[there, None], by_tracklet[there]).sum(axis=0)
        maxima = mass[query] + mass[queries:] - minima
        jaccard[query] = 1 - minima / maxima
    return (1 - SHARE) * jaccard + SHARE * relative[:queries, queries:]


def _encoding(relative: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the weights of the extended sets of reciprocal neighbors, ``[n, n]``."""
    whole, half = (_reciprocal(order, k) for k in (K1, round(K1 / 2)))
    encoding = np.zeros_like(relative)
    for place, neighbors in enumerate(whole):
        theirs = half[neighbors]  # one row per neighbor
        shared = (theirs & neighbors).sum(axis=1)
        joining = theirs[3 * shared > 2 * theirs.sum(axis=1)]
        extended = neighbors | joining.any(axis=0)
        encoding[place, extended] = np.exp(-relative[place, extended])
    return encoding / encoding.sum(axis=1, keepdims=True)


def _reciprocal(order: np.ndarray, k: int) -> np.ndarray:
    """Return which pairs are mutually among their k nearest: ``[n, n]``, symmetric."""
    near = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(near, order[:, : k + 1], values=True, axis=1)  # itself and k others
    return near & near.T


def plain_distance(embeddings: Tensor) -> Tensor:
    """Return all pairwise distances, ``[n, n]``, by a loop over the parts."""
    total = embeddings.new_zeros(len(embeddings), len(embeddings))
    for part in range(embeddings.shape[2]):
        x = embeddings[:, :, part]
        norms = x.square().sum(1)
        squared = norms[:, None] + norms[None, :] - 2 * x @ x.t()
        total += squared.clamp_min_(0).sqrt_()
    return total.div_(embeddings.shape[2]).fill_diagonal_(0)


def crowd(arguments: argparse.Namespace, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return queries, then gallery, ``[n, d, p]``, drawn around a center per identity."""
    noise = torch.Generator().manual_seed(0)
    d, p, people = arguments.embedding, arguments.parts, arguments.people
    centers = torch.randn(people, d, p, generator=noise)
    shifts = torch.randn(2, d, p, generator=noise), torch.randn(12, d, p, generator=noise)
    size = arguments.queries + arguments.gallery
    found = torch.empty(size, d, p, dtype=dtype)
    for row in range(size):
        who, camera = torch.randint(people, (1,), generator=noise), row % 12
        modality = int(row >= arguments.queries)
        found[row] = centers[who][0] + 0.5 * shifts[0][modality] + 0.5 * shifts[1][camera]
        found[row] += arguments.spread * torch.randn(d, p, generator=noise)
    return found


def _whole(embeddings: Tensor, queries: int) -> object:
    return rerank_distances(embeddings[:queries], embeddings[queries:], SETTINGS)


def _plain_whole(embeddings: Tensor, queries: int) -> object:
    return plain_from_distance(plain_distance(embeddings).numpy(), queries)


def _on_matrix(rerank: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[Tensor, int], object]:
    return lambda matrix, queries: rerank(matrix.numpy(), queries)


SIDES: dict[str, tuple[bool, Callable[[Tensor, int], object]]] = {
    "from distances, ours": (True, _on_matrix(sparse_from_distance)),
    "from distances, plain": (True, _on_matrix(plain_from_distance)),
    "from embeddings, ours": (False, _whole),
    "from embeddings, plain": (False, _plain_whole),
}


def one_side(arguments: argparse.Namespace) -> dict[str, float]:
    """Run one side in this process."""
    given, run = SIDES[arguments.side]
    torch.set_num_threads(arguments.threads)
    if given:
        # Faster than distances from the embeddings: from one part only.
        arguments.parts = 1
        data = plain_distance(crowd(arguments))
    else:
        data = crowd(arguments)
    before = peak()
    wall, cpu = time.perf_counter(), time.process_time()
    run(data, arguments.queries)
    return {
        "seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mib": round(peak()),
        "peak_before_mib": round(before),
    }


def peak() -> float:
    """Return the peak memory of this process in MiB (on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def difference() -> float:
    """Return the largest difference of both sides on a small case in float64."""
    small = argparse.Namespace(
        queries=150, gallery=200, embedding=16, parts=3, people=25, spread=0.7
    )
    embeddings = crowd(small, torch.float64)
    distance = plain_distance(embeddings).numpy()
    plain = plain_from_distance(distance, 150)
    others = sparse_from_distance(distance, 150), np.asarray(_whole(embeddings, 150))
    return float(max(np.abs(plain - other).max() for other in others))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--queries", type=int, default=4584, help="tracklets (default: %(default)s)")
    add("--gallery", type=int, default=5099, help="tracklets (default: %(default)s)")
    add("--embedding", type=int, default=256, help="numbers of a part (default: %(default)s)")
    add("--parts", type=int, default=70, help="of an embedding (default: %(default)s)")
    add("--people", type=int, default=427, help="identities (default: %(default)s)")
    add("--spread", type=float, default=1.5, help="of an identity; centers have 1")
    add("--threads", type=int, default=1, help="of both sides (default: %(default)s)")
    add("--rounds", type=int, default=1, help="the one of least CPU time is taken")
    add("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="which to run")
    add("--json", default=None, help="file for the results")
    add("--side", choices=SIDES, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(one_side(arguments)))
        return 0
    gap = difference()
    print(f"largest difference of both sides, small case in float64: {gap:.1e}")
    assert gap < 1e-9
    results: dict[str, dict[str, float]] = {}
    for _ in range(arguments.rounds):
        for side in arguments.sides:  # in turn, for equal conditions
            found = _in_a_process(side)
            if side not in results or found["cpu_seconds"] < results[side]["cpu_seconds"]:
                results[side] = found
    for side, numbers in results.items():
        print(f"{side:<24}" + "  ".join(f"{key} {value:,}" for key, value in numbers.items()))
    ratios = {}
    for form in ("from distances", "from embeddings"):
        pair = [results.get(f"{form}, {name}") for name in ("plain", "ours")]
        if pair[0] and pair[1]:
            ratios[form] = {
                key: round(pair[0][key] / pair[1][key], 1) for key in ("seconds", "cpu_seconds")
            }
            times = ratios[form]
            print(f"{form}: {times['seconds']} x faster, {times['cpu_seconds']} x in CPU time")
    if arguments.json:
        about = {"arguments": vars(arguments), "cores": os.cpu_count(), "difference": gap}
        text = json.dumps({**about, "results": results, "ratios": ratios}, indent=2)
        Path(arguments.json).write_text(text + "\n")
    return 0


def _in_a_process(side: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
