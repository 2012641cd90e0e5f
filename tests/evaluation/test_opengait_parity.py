"""The numbers of OpenGait's evaluators, read from a checkout, and ours on the same embeddings.

They need a checkout of OpenGait, its path in OPENGAIT_ROOT; its evaluators run in a process of
their own, with distances on the CPU.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluator_data import evaluate_cross_modality, evaluate_gait_views

from opengait_ext.evaluation.gait import GAIT_PROTOCOLS

pytestmark = pytest.mark.needs_opengait

PROGRAM = """
import json, sys
import numpy as np, torch
from opengait_ext.vision import torchvision  # imported so that it works beside any torch
torch.Tensor.cuda = lambda tensor, *args, **kwargs: tensor
sys.path.insert(0, sys.argv[1])
from evaluation import evaluator, metric
told = []
class Manager:
    def log_info(self, *args):
        told.append(args)
evaluator.get_msg_mgr = lambda: Manager()
many = evaluator.evaluate_many
def noted(*args, **kwargs):
    cmc, mean, penalty = many(*args, **kwargs)
    reid.append([float(cmc[0]), float(mean), float(penalty)])
    return cmc, mean, penalty
reid = []
evaluator.evaluate_many = noted
content = np.load("data.npz")
data = {key: content[key].tolist() for key in ("labels", "types", "views")}
data["embeddings"] = content["embeddings"]
found = getattr(evaluator, sys.argv[2])(data, sys.argv[3], metric=sys.argv[4])
found = {key: np.asarray(value).tolist() for key, value in found.items()}
json.dump({"found": found, "reid": reid}, open("found.json", "w"))
"""

METRICS = {"euc": "euclidean", "cos": "cosine"}


@pytest.fixture
def upstream(tmp_path):
    """Gives what an evaluator of the checkout finds; tells its version."""
    root = os.environ.get("OPENGAIT_ROOT")
    if not root:
        pytest.skip("OPENGAIT_ROOT names no checkout of OpenGait")

    def evaluate(data, function, dataset, metric, **lists):
        for name, content in lists.items():
            place = tmp_path / "datasets" / dataset / f"{dataset}.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps({name: content}))
        np.savez(tmp_path / "data.npz", **data)
        place = str(Path(root).resolve() / "opengait")
        command = [sys.executable, "-B", "-c", PROGRAM, place, function, dataset, metric]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "found.json").read_text())

    return evaluate


def random_data(types, views, people, seed=0):
    """Embeddings of which some find their person and others do not."""
    rng = np.random.default_rng(seed)
    names = [
        (f"{pid:04d}", kind, view) for pid in range(people) for kind in types for view in views
    ]
    labels, kinds, seen = (list(column) for column in zip(*names, strict=True))
    own = rng.standard_normal((people, 8, 3))
    embeddings = own[[int(label) for label in labels]] + rng.normal(0, 1.3, (len(names), 8, 3))
    return {"embeddings": embeddings.astype(np.float32), "labels": labels, "types": kinds,
            "views": seen}  # fmt: skip


def by_views(data, protocol, metric):
    partition = {"TEST_SET": sorted(set(data["labels"])), "protocol": GAIT_PROTOCOLS[protocol]}
    return evaluate_gait_views(data, "toy", metric=METRICS[metric], partition=partition)


def by_tasks(data, tasks, ignore, metric, camera):
    tracklets = [
        {"path": "/".join(name), "pid": name[0], "camid": camera(name), "split": "test"}
        for name in zip(data["labels"], data["types"], data["views"], strict=True)
    ]
    partition = {"tracklets": tracklets, "tasks": {"test": tasks}, "protocol": {"ignore": ignore}}
    metric = METRICS[metric]
    return evaluate_cross_modality(data, "toy", metric=metric, partition=partition).directions


CASIA_TYPES = [f"nm-{number:02d}" for number in range(1, 7)] + ["bg-01", "bg-02", "cl-01", "cl-02"]
SUSTECH_TYPES = ["00-nm", "01-nm", "01-bg", "02-cl", "03-cr-ub", "02-uf-oc", "04-nt", "05-nm-nt"]
CCPG_TYPES = ["U0_D0_BG", "U0_D0", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("dataset", "protocol", "types", "views"),
    [
        ("CASIA-B", "gait_casia_b", CASIA_TYPES, ("000", "018", "090", "180")),
        ("OUMVLP", "gait_oumvlp", ["00", "01"], ("000", "015", "270")),
        ("SUSTech1K", "gait_sustech1k", SUSTECH_TYPES, ("000", "000-far", "045", "315")),
    ],
)
def test_the_view_matrix_has_the_means_of_evaluate_indoor_dataset(
    upstream, dataset, protocol, types, views, metric
):
    data = random_data(types, views, people=9)
    theirs = upstream(data, "evaluate_indoor_dataset", dataset, metric)["found"]
    ours = by_views(data, protocol, metric)
    assert len(theirs) == len(ours.conditions)
    for name, condition in ours.conditions.items():
        known = {"Umbrella": "Umberalla"}.get(name, name)
        expected = theirs[f"scalar/test_accuracy/{known}@R1"]
        assert 5 < expected < 95
        assert 100 * condition.mean(1) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_ccpg_by_views_has_every_cell_of_evaluate_ccpg(upstream, metric):
    data = random_data(CCPG_TYPES, ("01_a", "02_b", "10_c"), people=9, seed=1)
    theirs = upstream(data, "evaluate_CCPG", "CCPG", metric)["found"]
    ours = by_views(data, "gait_ccpg", metric)
    for name, condition in ours.conditions.items():
        assert condition.probe_views == condition.gallery_views == ["01", "02", "10"]
        expected = np.array(theirs[f"scalar/test_accuracy/{name}"])
        np.testing.assert_allclose(condition.percent[1], expected, atol=1e-6)
        assert len(set(expected.flatten())) > 3


@pytest.mark.parametrize("metric", METRICS)
def test_ccpg_by_tasks_has_the_identification_numbers_of_evaluate_ccpg(upstream, metric):
    people = 16  # OpenGait's function needs 50 gallery tracklets at least in every condition
    data = random_data(CCPG_TYPES, ("01_a", "01_b", "02_b", "10_c"), people, seed=2)
    theirs = upstream(data, "evaluate_CCPG", "CCPG", metric)["reid"]
    rules = GAIT_PROTOCOLS["gait_ccpg"]
    tasks = {
        name: {
            side: [row for row, kind in enumerate(data["types"]) if kind in rules[key][name]]
            for side, key in (("query", "probe"), ("gallery", "gallery"))
        }
        for name in ("CL", "UP", "DN", "BG")
    }
    ours = by_tasks(data, tasks, "same_pid_camid", metric, lambda name: int(name[2].split("_")[0]))
    for direction, expected in zip(ours.values(), theirs, strict=True):
        scores = direction.scores()
        found = [scores["R1"], scores["mAP"], scores["mINP"]]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert 0.05 < min(expected) < 0.95


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("dataset", "protocol", "types"),
    [
        ("GREW", "gait_grew", ["00", "01", "02"]),
        ("HID2021", "gait_hid2021", ["0", "1"]),
        ("TTG-200", "gait_ttg200", ["1", "2", "3", "4", "5", "6"]),
    ],
)
def test_pooled_views_have_the_ranks_of_evaluate_real_scene(
    upstream, dataset, protocol, types, metric
):
    data = random_data(types, ("a", "b"), people=14, seed=3)
    names = zip(data["labels"], data["types"], strict=True)
    kept = [name != ("0003", types[-2]) for name in names]  # a probe or a gallery without match
    data = {key: np.array(value)[kept] for key, value in data.items()}
    theirs = upstream(data, "evaluate_real_scene", dataset, metric)["found"]
    (ours,) = by_views(data, protocol, metric).conditions.values()
    for rank in (1, 5):
        expected = theirs[f"scalar/test_accuracy/Rank-{rank}"]
        assert 100 * ours.mean(rank) == pytest.approx(expected, abs=1e-6)
        assert 5 < expected < 99


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("function", "dataset", "listed"),
    [
        ("evaluate_Gait3D", "Gait3D", "PROBE_SET"),
        ("evaluate_FreeGait", "FreeGait", "PROBE_SET"),
        ("evaluate_CCGR_MINI", "CCGR-MINI", "GALLERY_SET"),
    ],
)
def test_listed_probes_have_the_scores_of_the_evaluators_that_read_lists(
    upstream, function, dataset, listed, metric
):
    data = random_data(["camid1_videoid2", "camid9_videoid1"], ("seq0", "seq1"), 12, seed=4)
    keys = [
        "-".join(name) for name in zip(data["labels"], data["types"], data["views"], strict=True)
    ]
    chosen = [key for key in keys if key.endswith("camid9_videoid1-seq1")]
    chosen += [key for key in keys if key.startswith("0003") and key not in chosen]  # no match
    theirs = upstream(data, function, dataset, metric, **{listed: chosen})["found"]
    sides = ["query", "gallery"] if listed == "PROBE_SET" else ["gallery", "query"]
    rows = [[row for row, key in enumerate(keys) if (key in chosen) == there] for there in (1, 0)]
    tasks = {"visible_to_visible": dict(zip(sides, rows, strict=True))}
    (ours,) = by_tasks(data, tasks, "none", metric, lambda name: 1).values()
    assert len(ours.dropped) == (4 if listed == "PROBE_SET" else 0)
    for name, key in (("R1", "Rank-1"), ("R5", "Rank-5"), ("R10", "Rank-10"),
                      ("mAP", "mAP"), ("mINP", "mINP")):  # fmt: skip
        expected = theirs[f"scalar/test_accuracy/{key}"] / 100
        assert ours.scores()[name] == pytest.approx(expected, abs=1e-6)
        assert 0.02 < expected <= 1
