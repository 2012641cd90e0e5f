"""Measure the evaluation at the size of HITSZ-VCM: time of the ranking, memory in total.

    python benchmarks/evaluation.py                      # ranking both directions, against loops
    python benchmarks/evaluation.py --whole 1            # and the whole evaluation
    python benchmarks/evaluation.py --whole 10 --no-ranking

Ranking: one distance matrix of 4,584 infrared queries and 5,099 visible gallery tracklets of 427
identities and 12 cameras, and its transpose; identities and cameras in, CMC, mAP and mINP out.
The references are two loops over the queries, written from the definitions. Each sorts the gallery
and drops entries of the same identity and camera. One computes the precision along the whole list,
as published evaluations do ("list"); the other walks it once and computes the precision at the
matches only ("walk"). Both are first compared with ours, then measured on some of the queries;
their time for all queries is extrapolated.

Whole: an evaluation of both directions from random embeddings of 70 parts of 256 in a memory-mapped
file. Reported are its time and the peak memory of this process, with and without the pages of the
file (which the system reclaims if needed).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opengait_ext.data.layout import Partition, Task, Tracklet
from opengait_ext.evaluation.evaluators import evaluate_cross_modality
from opengait_ext.evaluation.inputs import Embedded
from opengait_ext.evaluation.metrics import cmc_curve, score_identities
from opengait_ext.evaluation.protocols import CAMERA_RULES

QUERIES, GALLERY, IDENTITIES, CAMERAS = 4584, 5099, 427, 12
EMBEDDING, PARTS = 256, 70

Names = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # identities, cameras; both sides


def names_of(queries: int, gallery: int, seed: int) -> Names:
    """Return identities and cameras, ordered by identity as in the lists of the data."""
    rng = np.random.default_rng(seed)
    pids = [np.sort(rng.integers(0, IDENTITIES, count)) for count in (queries, gallery)]
    cameras = [rng.integers(1, CAMERAS + 1, count) for count in (queries, gallery)]
    return pids[0], pids[1], cameras[0], cameras[1]


def by_counting(distance: np.ndarray, names: Names) -> tuple[np.ndarray, float, float]:
    """Return CMC, mAP and mINP as the evaluation does."""
    wanted, offered, here, there = names
    scores = []
    for start in range(0, len(distance), 512):
        block = slice(start, start + 512)
        same = CAMERA_RULES["same_pid_camid"](
            wanted[block, None] == offered, here[block, None] == there
        )
        scores.append(score_identities(distance[block], wanted[block], offered, same))
    columns = [np.concatenate(parts) for parts in zip(*scores, strict=True)]
    means = [float(np.nanmean(column)) for column in columns[:2]]
    return cmc_curve(columns[2]), means[0], means[1]


def by_list(distance: np.ndarray, names: Names) -> tuple[np.ndarray, float, float]:
    """Return the same from a sort per query and the precision at every rank."""
    return _by_sorting(distance, names, _scores_of_list)


def by_walk(distance: np.ndarray, names: Names) -> tuple[np.ndarray, float, float]:
    """Return the same from a sort per query and one walk along the list."""
    return _by_sorting(distance, names, _scores_of_walk)


def _by_sorting(
    distance: np.ndarray, names: Names, score: Callable[[np.ndarray], tuple[float, float, int]]
) -> tuple[np.ndarray, float, float]:
    wanted, offered, here, there = names
    found = []
    for query in range(len(distance)):
        order = np.argsort(distance[query], kind="stable")
        match = offered[order] == wanted[query]
        kept = match[~(match & (there[order] == here[query]))]
        if kept.any():
            found.append(score(kept))
    precision, penalty, first = np.array(found).T
    curve = [float((first <= rank).mean()) for rank in range(1, 21)]
    return np.array(curve), float(precision.mean()), float(penalty.mean())


def _scores_of_list(match: np.ndarray) -> tuple[float, float, int]:
    hits = match.astype(np.int32)
    counts = hits.cumsum()
    precisions = [count / (place + 1.0) for place, count in enumerate(counts)]
    last = int(np.flatnonzero(hits).max())
    average = float((np.asarray(precisions) * hits).sum() / hits.sum())
    return average, float(counts[last] / (last + 1.0)), int(np.argmax(hits)) + 1


def _scores_of_walk(match: np.ndarray) -> tuple[float, float, int]:
    count, total, first, rank = 0, 0.0, 0, 0
    for place, is_match in enumerate(match.tolist(), 1):
        if is_match:
            count, rank = count + 1, place
            first = first or place
            total += count / place
    return total / count, count / rank, first


def measure_ranking(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare all sides on some queries, then measure them in turn."""
    rng = np.random.default_rng(1)
    forward = rng.random((QUERIES, GALLERY), dtype=np.float32)
    names = names_of(QUERIES, GALLERY, 2)
    wanted, offered, here, there = names
    directions = [
        (forward, names),
        (np.ascontiguousarray(forward.T), (offered, wanted, there, here)),
    ]
    sides = {"counting": by_counting, "loop, list": by_list, "loop, walk": by_walk}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    some = arguments.queries
    for distance, sorts in directions:
        chosen = np.linspace(0, len(distance) - 1, some).astype(int)
        part = distance[chosen], (sorts[0][chosen], sorts[1], sorts[2][chosen], sorts[3])
        ours = by_counting(*part)
        for name in ("loop, list", "loop, walk"):
            for mine, theirs in zip(ours, sides[name](*part), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            total = 0.0
            for distance, sorts in directions:
                count = len(distance) if name == "counting" else some
                begin = time.perf_counter()
                side(distance[:count], (sorts[0][:count], sorts[1], sorts[2][:count], sorts[3]))
                total += (time.perf_counter() - begin) * len(distance) / count
            seconds[name].append(total)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return [
        {
            "side": name,
            "queries measured": "all" if name == "counting" else f"{some} of each direction",
            "seconds for both directions": round(median, 3),
            "times counting": round(median / medians["counting"], 1),
        }
        for name, median in medians.items()
    ]


class Memory(threading.Thread):
    """Thread that records the peak memory of this process; Linux only."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.anonymous = self.resident = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample the memory every 10 milliseconds."""
        while not self._ended.wait(0.01):
            fields = dict(
                line.split(":")[:2] for line in Path("/proc/self/status").read_text().splitlines()
            )
            anonymous, resident = (
                int(fields[name].split()[0]) / 2**20 for name in ("RssAnon", "VmRSS")
            )
            self.anonymous = max(self.anonymous, anonymous)
            self.resident = max(self.resident, resident)

    def end(self) -> None:
        """Stop sampling."""
        self._ended.set()
        self.join()


def measure_whole(arguments: argparse.Namespace) -> dict[str, Any]:
    """Evaluate random embeddings from a file in both directions."""
    gallery = GALLERY * arguments.whole
    wanted, offered, here, there = names_of(QUERIES, gallery, 3)
    tracklets = []
    for folder, modality, pids, cameras in (
        ("ir", "infrared", wanted, here), ("rgb", "visible", offered, there),
    ):  # fmt: skip
        for place, (pid, camera) in enumerate(zip(pids.tolist(), cameras.tolist(), strict=True)):
            path = f"{pid:04d}/{folder}/D{camera}-T{place}"
            tracklets.append(Tracklet(path, f"{pid:04d}", camera, modality, 12, "test"))
    first, second = list(range(QUERIES)), list(range(QUERIES, len(tracklets)))
    tasks = {"infrared_to_visible": Task(first, second)}
    tasks["visible_to_infrared"] = Task(second, first)
    if arguments.one_direction:
        del tasks["visible_to_infrared"]
    protocol = {"name": "vcm", "ignore": "same_pid_camid", "min_frames": 12}
    partition = Partition("random", tracklets, {"test": tasks}, protocol)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "embeddings.bin")
        rng = np.random.default_rng(4)
        with path.open("wb") as file:
            for start in range(0, len(tracklets), 256):
                count = min(256, len(tracklets) - start)
                rng.standard_normal((count, EMBEDDING, PARTS), np.float32).tofile(file)
        shape = (len(tracklets), EMBEDDING, PARTS)
        embeddings = np.memmap(path, np.float32, "c", shape=shape)
        memory = Memory()
        memory.start()
        begin = time.perf_counter()
        embedded = Embedded(embeddings, range(len(tracklets)), partition)
        result = evaluate_cross_modality(embedded, "random")
        seconds = time.perf_counter() - begin
        memory.end()
    print(result)
    return {
        "gallery": gallery,
        "directions": len(tasks),
        "seconds": round(seconds, 1),
        "GiB without file pages": round(memory.anonymous, 2),
        "GiB with file pages": round(memory.resident, 2),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--queries", type=int, default=300, help="of each direction for the loops")
    add("--rounds", type=int, default=5, help="of which the median is taken")
    add("--no-ranking", action="store_true", help="leave out the comparison with the loops")
    add("--whole", type=int, default=0, help="evaluate all, with so many times the gallery")
    add("--one-direction", action="store_true", help="whole evaluation: infrared queries only")
    add("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    add("--folder", default=None, help="for the file of embeddings (default: the system's)")
    add("--json", default=None, help="file for the results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {}
    if not arguments.no_ranking:
        results["ranking"] = measure_ranking(arguments)
        for row in [list(results["ranking"][0]), *(list(r.values()) for r in results["ranking"])]:
            print("  ".join(f"{value!s:>27}" for value in row))
    if arguments.whole:
        results["whole"] = measure_whole(arguments)
        print(", ".join(f"{name}: {value}" for name, value in results["whole"].items()))
    if arguments.json:
        about = {"arguments": vars(arguments), "cores": os.cpu_count(), "results": results}
        Path(arguments.json).write_text(json.dumps(about, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
