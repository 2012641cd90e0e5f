"""Every protocol on galleries with hardly anybody: a number or a sentence, nothing else.

Warnings are errors here as in all tests, so a number comes about without one of numpy's.
"""

import copy
import json
import math

import numpy as np
import pytest
from evaluator_data import evaluate_cross_modality, evaluate_gait_views

from opengait_ext.evaluation import EVALUATORS
from opengait_ext.evaluation.evaluators import EvaluationError
from opengait_ext.evaluation.gait_protocols import GAIT_PROTOCOLS
from opengait_ext.evaluation.protocols import PROTOCOLS

CAMERAS = {"ir": (3, 6), "rgb": (1, 2, 4, 5)}
MODALITIES = {"ir": "infrared", "rgb": "visible"}
# Infrared and visible tracklets, people among each.
SHAPES = {
    "one of each": (1, 1, 1, {}),
    "five": (5, 5, 3, {}),
    "nineteen": (19, 19, 7, {}),
    "one query": (1, 6, 3, {}),
    "one gallery tracklet": (6, 1, 3, {}),
    "one camera each": (6, 6, 3, {"cameras": {"ir": (3,), "rgb": (1,)}}),
    "one camera for all": (6, 6, 3, {"cameras": {"ir": (1,), "rgb": (1,)}}),
    "one place for all": (6, 6, 3, {"cameras": {"ir": (3,), "rgb": (2,)}}),
    "one identity": (5, 5, 1, {}),
    "nobody in common": (5, 5, 3, {"apart": 100}),
    "one embedding": (5, 5, 3, {"same": True}),
    "junk alone": (4, 4, 2, {"junk": True}),
    "an empty gallery": (4, 0, 2, {}),
    "no query": (0, 4, 2, {}),
    "nothing": (0, 0, 1, {}),
}
MEASURES = [
    {"confidence": 3, "tar_at_far": (0.0, 0.001, 1.0), "ranks": (1, 20, 50)},
    {"metric": "cosine", "block_size": 2, "rerank": {"type": "k_reciprocal", "k1": 60, "k2": 40}},
    {"rerank": {"type": "temporal", "k1": 60}, "tar_at_far": (0.01,)},
]


def made(infrared, visible, people, cameras=CAMERAS, apart=0, same=False, junk=False):
    """Tasks of both directions and their data."""
    tracklets = []
    for kind, count in (("ir", infrared), ("rgb", visible)):
        for number in range(count):
            person = number % people + (apart if kind == "rgb" else 0)
            pid = "-1" if junk else f"{person:04d}"
            camid = cameras[kind][number % len(cameras[kind])]
            path = f"{pid}/{kind}/D{camid}-T{number}"
            tracklets.append(
                {"path": path, "pid": pid, "camid": camid, "modality": MODALITIES[kind]}
            )
    sides = [list(range(infrared)), list(range(infrared, infrared + visible))]
    tasks = {
        "infrared_to_visible": {"query": sides[0], "gallery": sides[1]},
        "visible_to_infrared": {"query": sides[1], "gallery": sides[0]},
    }
    embeddings = np.random.default_rng(0).normal(size=(len(tracklets), 4, 2)).astype(np.float32)
    if same:
        embeddings[:] = 1
    data = {"embeddings": embeddings, "halves": (embeddings, embeddings + 0.5)}
    for at, key in enumerate(("labels", "types", "views")):
        data[key] = [each["path"].split("/")[at] for each in tracklets]
    return {"tracklets": tracklets, "tasks": {"test": tasks}}, data


def number_or_sentence(evaluate):
    """The result, after all that is done with one; None if there is a sentence instead."""
    told = ""
    try:
        result = evaluate()
    except EvaluationError as fault:
        result, told = None, str(fault)
    if result is None:
        assert 30 < len(told) < 500
        return None
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["dataset"] in str(result)
    for score in [*result.scalars().values(), result.mean_average_precision]:
        assert isinstance(score, float)
        if not math.isnan(score) and result.protocol["name"] in GAIT_PROTOCOLS:
            assert 0 <= score <= 1
    return result


@pytest.mark.slow  # each is quick, all together are not
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_gives_a_number_or_a_sentence_for_hardly_anybody(name, shape):
    infrared, visible, people, further = SHAPES[shape]
    content, data = made(infrared, visible, people, **further)
    protocol = copy.deepcopy(PROTOCOLS[name])
    if "trials" in protocol:
        protocol["trials"]["count"] = 2
    tasks = content["tasks"]["test"]
    for direction in tasks:
        alone = {**content, "protocol": {**protocol, "swapped": []}}
        if direction in protocol.get("swapped", []):
            alone["protocol"]["swapped"] = [direction]
        alone["tasks"] = {"test": {direction: tasks[direction]}}
        for measures in MEASURES:
            result = number_or_sentence(
                lambda task=alone, told=measures: evaluate_cross_modality(
                    data, "toy", partition=task, **told
                )
            )
            if result is not None:
                scores = result.directions[direction]
                for value in (*scores.cmc.values(), scores.mean_average_precision):
                    assert math.isnan(value) or 0 <= value <= 1
                assert scores.queries
                assert scores.gallery


def test_a_gallery_of_one_that_is_right_is_found_under_every_rank():
    content, data = made(1, 1, 1)
    partition = {**content, "protocol": PROTOCOLS["vcm"]}
    result = evaluate_cross_modality(data, "toy", partition=partition, ranks=(1, 20))
    assert result.mean_scores() == {"R1": 1, "R20": 1, "mAP": 1, "mINP": 1}


VIEWS = {
    "one of each": (1, 1, ["000"], ["000"]),
    "another view": (1, 1, ["000"], ["018"]),
    "one view": (3, 3, ["000"], ["000"]),
    "views of one side": (3, 3, ["000", "018"], ["090"]),
    "a probe without a match": (3, 1, ["000"], ["018"]),
    "no gallery": (2, 0, ["000"], ["000"]),
    "no probe": (0, 2, ["000"], ["000"]),
    "nobody": (0, 0, ["000"], ["000"]),
}


@pytest.mark.parametrize("split", ["test", "val"])
@pytest.mark.parametrize("shape", VIEWS)
@pytest.mark.parametrize("name", GAIT_PROTOCOLS)
def test_every_protocol_of_views_gives_a_number_or_a_sentence(name, shape, split):
    protocol, (probes, galleries, probe_views, gallery_views) = GAIT_PROTOCOLS[name], VIEWS[shape]
    offered = protocol["gallery"]
    if not isinstance(offered, dict):
        offered = dict.fromkeys(protocol["probe"], offered)
    rows = set()
    for people, kinds, views in (
        (probes, protocol["probe"].values(), probe_views),
        (galleries, offered.values(), gallery_views),
    ):
        rows |= {
            (f"{pid:03d}", kind[0], view)
            for pid in range(people)
            for kind in kinds
            for view in views
        }
    rows = sorted(rows)
    data = {"embeddings": np.random.default_rng(0).normal(size=(len(rows), 4, 2))}
    for at, key in enumerate(("labels", "types", "views")):
        data[key] = [row[at] for row in rows]
    tracklets = [{"path": "/".join(row), "pid": row[0], "split": split} for row in rows]
    number_or_sentence(
        lambda: evaluate_gait_views(
            data, "toy", partition={"tracklets": tracklets, "protocol": protocol}, split=split
        )
    )


def test_the_registered_evaluators_are_those_tried_here():
    assert set(EVALUATORS) == {"evaluate_cross_modality", "evaluate_gait_views"}
