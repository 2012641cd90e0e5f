"""A tested run of six identities with made-up embeddings, as small as a page can show."""

import json
import re

import numpy as np
import simplejpeg

from opengait_ext.data.layout import (
    FOLDERS,
    Partition,
    Task,
    Tracklet,
    write_partition,
    write_tracklet,
)
from opengait_ext.evaluation import evaluate_cross_modality
from opengait_ext.evaluation.inputs import Embedded

PIDS = ("0001", "0002", "0003", "0004", "0005", "0006")
CAMERAS = (1, 2, 3)


def partition_of(pids=PIDS, ignore="same_pid_camid", **protocol):
    """Gives two modalities by three cameras of each identity, all of the split test."""
    tracklets = [
        Tracklet(f"{pid}/{FOLDERS[modality]}/D{camera}-T{camera}", pid, camera, modality,
                 3 + (number + camera) % 4, "test")
        for number, pid in enumerate(pids)
        for modality in FOLDERS
        for camera in CAMERAS
    ]  # fmt: skip
    sides = {
        modality: [place for place, each in enumerate(tracklets) if each.modality == modality]
        for modality in FOLDERS
    }
    tasks = {
        "infrared_to_visible": Task(sides["infrared"], sides["visible"]),
        "visible_to_infrared": Task(sides["visible"], sides["infrared"]),
    }
    rules = {"name": "toy", "ignore": ignore, **protocol}
    return Partition("Toy", tracklets, {"test": tasks}, rules, {"digest": "d" * 64})


def embeddings_of(partition, noise=1.0, seed=0):
    """Gives [n, 8, 2]: a place for each identity, and noise."""
    rng = np.random.default_rng(seed)
    places = {pid: rng.normal(size=(8, 2)) for pid in sorted({t.pid for t in partition.tracklets})}
    return np.stack(
        [places[tracklet.pid] + noise * rng.normal(size=(8, 2)) for tracklet in partition.tracklets]
    ).astype(np.float32)


def write_data(root, partition, size=(48, 24)):
    """Writes frames of noise and the partition."""
    rng = np.random.default_rng(1)
    for tracklet in partition.tracklets:
        images = [
            simplejpeg.encode_jpeg(rng.integers(0, 255, (*size, 3), dtype=np.uint8))
            for _ in range(tracklet.frames)
        ]
        write_tracklet(root / tracklet.path, images)
    write_partition(root / "partition.json", partition)


def record_of(partition, embeddings, seed=0, save_name="toy", rerank=None, **changes):
    """Gives what metrics.json holds of a test."""
    embedded = Embedded(embeddings, range(len(embeddings)), partition)
    result = evaluate_cross_modality(embedded, "Toy", rerank=rerank).to_dict()
    result["notes"] = {"frames": "2 per tracklet (first_in_run)", "checkpoint": "toy-00010.pt"}
    trainer = {"seed": seed, "save_name": save_name, "total_iter": 10}
    content = {
        "result": result,
        "protocol": partition.protocol,
        "data": {"dataset": "Toy", "partition": "partition.json", "source": partition.source},
        "iteration": 10,
        "checkpoint": "checkpoints/toy-00010.pt",
        "selection": "last",
        "config": {
            "model_cfg": {"model": "Tiny"},
            "trainer_cfg": trainer,
            "evaluator_cfg": {"save_name": save_name, "metric": "euclidean"},
        },
        "seed": seed,
        "versions": {"numpy": "1.2.3"},
        "commit": {"hash": "abc123", "changed": True},
        **changes,
    }
    return json.loads(json.dumps(content))


def write_run(folder, partition, embeddings, **changes):
    """Writes the folder of a run: record, embeddings, curves."""
    (folder / "test").mkdir(parents=True)
    record = record_of(partition, embeddings, **changes)
    (folder / "test" / "metrics.json").write_text(json.dumps(record))
    np.savez(
        folder / "test" / "embeddings.npz",
        embeddings=embeddings,
        path=np.array([tracklet.path for tracklet in partition.tracklets]),
        position=np.arange(len(partition.tracklets)),
    )
    lines = [{"iteration": step, "loss/total": 5 / step, "rest": 1.0} for step in (1, 2, 3)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"iteration": 4, "loss/to')
    return record


def data_of(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    return json.loads(text)
