"""Measure the search of a gallery: exact and with FAISS candidates, recall, queries per second.

    python benchmarks/search.py --size 100000
    python benchmarks/search.py --embeddings output/SynthVVI/DinoGRL/dinogrl/test/embeddings.npz

Random embeddings and queries are normal numbers without any structure, which is the hardest case:
all distances are nearly equal. Embeddings of a run are searched in both directions.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opengait_ext.gallery import Gallery, ModelMark, Record
from opengait_ext.gallery.candidates import NEAREST, CandidateSearch
from opengait_ext.gallery.exact import ExactSearch

_ADDED = 10_000  # rows appended at a time


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=100_000, help="random tracklets")
    parser.add_argument("--embedding", type=int, default=128, help="numbers of a part (d)")
    parser.add_argument("--parts", type=int, default=8, help="parts (p)")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--metric", choices=("euclidean", "cosine"), default="euclidean")
    parser.add_argument("--embeddings", metavar="FILE", help="test/embeddings.npz of a run instead")
    parser.add_argument("--json", metavar="FILE", help="write the numbers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.embeddings:
            results = _of_run(Path(folder), arguments.embeddings, arguments.metric)
        else:
            results = [_random(Path(folder), arguments)]
    content = {"threads": torch.get_num_threads(), "cores": os.cpu_count(), "results": results}
    text = json.dumps(content, indent=2)
    print(text)
    if arguments.json:
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")


def _random(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    d, p = arguments.embedding, arguments.parts
    mark = ModelMark("random", (d, p), arguments.metric)
    gallery = Gallery.create(folder / "gallery", mark)
    begin = time.perf_counter()
    for start in range(0, arguments.size, _ADDED):
        count = min(_ADDED, arguments.size - start)
        rows = rng.standard_normal((count, p, d), np.float32).transpose(0, 2, 1)
        gallery.add(rows, [Record(f"t{start + n}", "visible") for n in range(count)], mark)
    seconds = time.perf_counter() - begin
    queries = rng.standard_normal((arguments.queries, p, d), np.float32).transpose(0, 2, 1)
    measured = _measured(gallery, None, queries)
    return {"data": f"random {arguments.size} x [{d}, {p}]", "append_s": round(seconds, 1),
            **measured}  # fmt: skip


def _of_run(folder: Path, path: str, metric: str) -> list[dict[str, Any]]:
    with np.load(path, allow_pickle=False) as file:
        stored = {name: file[name] for name in ("embeddings", "modality", "path")}
    embeddings = stored["embeddings"]
    mark = ModelMark("run", embeddings.shape[1:], metric)
    gallery = Gallery.create(folder / "gallery", mark)
    pairs = zip(stored["path"].tolist(), stored["modality"].tolist(), strict=True)
    gallery.add(embeddings, [Record(*pair) for pair in pairs], mark)
    return [
        {"data": f"{path}, {query} to {among}",
         **_measured(gallery, among, embeddings[stored["modality"] == query])}
        for query, among in (("infrared", "visible"), ("visible", "infrared"))
    ]  # fmt: skip


def _measured(gallery: Gallery, modality: str | None, queries: np.ndarray) -> dict[str, Any]:
    exact = ExactSearch(gallery.embeddings, gallery.rows_of(modality), gallery.mark.metric)
    begin = time.perf_counter()
    faiss = CandidateSearch(gallery, modality)
    made = time.perf_counter() - begin
    truth, exact_rates = _timed(exact, queries)
    found, faiss_rates = _timed(faiss, queries)
    few = faiss.nearest(queries, NEAREST, 2 * NEAREST)
    return {
        "metric": gallery.mark.metric,
        "tracklets": len(exact.rows),
        "queries": len(queries),
        "candidates": faiss.candidates,
        "recall_at_10": _recall(found.rows, truth.rows),
        "recall_at_10_with_20_candidates": _recall(few.rows, truth.rows),
        "faiss_ready_s": round(made, 1),
        "exact": exact_rates,
        "faiss": faiss_rates,
    }


def _timed(search: Callable[..., Any], queries: np.ndarray) -> tuple[Any, dict[str, float]]:
    """Return the hits, and the queries per second in one batch and one by one."""
    search(queries[:1], NEAREST)
    begin = time.perf_counter()
    hits = search(queries, NEAREST)
    together = time.perf_counter() - begin
    single = queries[:20]
    begin = time.perf_counter()
    for place in range(len(single)):
        search(single[place : place + 1], NEAREST)
    alone = time.perf_counter() - begin
    return hits, {
        "queries_per_s": round(len(queries) / together, 1),
        "one_at_a_time_per_s": round(len(single) / alone, 1),
    }


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    pairs = zip(found, truth, strict=True)
    return sum(len(set(a) & set(b)) for a, b in pairs) / truth.size


if __name__ == "__main__":
    main()
