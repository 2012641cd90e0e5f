"""Protocols as data: every published one against loops over the definition."""

import json
import math
import random

import numpy as np
import pytest
from evaluator_data import evaluate_cross_modality
from reference_loops import scores_of

from opengait_ext.evaluation.evaluators import EvaluationError
from opengait_ext.evaluation.protocols import PROTOCOLS, Trials, checked, draw

MODALITIES = {"ir": "infrared", "rgb": "visible"}


def toy(seed=0, people=6, per_person=8, cameras=6, modality="by_camera", levels=0):
    """Tracklets of some people in some cameras, with an embedding of one number each."""
    rng = np.random.default_rng(seed)
    tracklets = []
    for person in range(people):
        for number in range(per_person):
            camera = int(rng.integers(1, cameras + 1))
            folder = "ir" if camera in (3, 6) else "rgb"
            if modality == "random":
                folder = ["ir", "rgb"][int(rng.integers(2))]
            tracklets.append(
                {
                    "path": f"{person:04d}/{folder}/D{camera}-T{number}",
                    "pid": f"{person:04d}",
                    "camid": camera,
                    "modality": MODALITIES[folder],
                }
            )
    tracklets = [tracklets[place] for place in rng.permutation(len(tracklets))]
    values = rng.random(len(tracklets))
    if levels:  # equal embeddings, because equal differences do not survive the rounding
        values = values[rng.integers(0, levels, len(tracklets))]
    infrared = [at for at, each in enumerate(tracklets) if each["modality"] == "infrared"]
    visible = [at for at, each in enumerate(tracklets) if each["modality"] == "visible"]
    tasks = {
        "infrared_to_visible": {"query": infrared, "gallery": visible},
        "visible_to_infrared": {"query": visible, "gallery": infrared},
    }
    content = {"tracklets": tracklets, "tasks": {"test": tasks}, "protocol": {}}
    names = [each["path"].split("/") for each in tracklets]
    data = {
        "embeddings": values.astype(np.float64)[:, None, None],
        **{
            key: [name[at] for name in names] for at, key in enumerate(("labels", "types", "views"))
        },
    }
    return content, data, values


def evaluate(content, data, protocol, **arguments):
    return evaluate_cross_modality(
        data, "toy", partition={**content, "protocol": protocol}, **arguments
    )


def by_loops(content, values, query, gallery, left_out, zero=False, ap="hits", cmc="first_hit"):
    """R1, R2, mAP, mINP of one gallery, and the paths of queries without a match."""
    tracklets = content["tracklets"]
    rows, unmatched = [], []
    for one in query:
        distance = [abs(float(values[one]) - float(values[other])) for other in gallery]
        ignore = [left_out(tracklets[one], tracklets[other]) for other in gallery]
        people = [tracklets[other]["pid"] for other in gallery]
        row = scores_of(distance, tracklets[one]["pid"], people, ignore, ap, cmc)
        if math.isnan(row[0]):
            unmatched.append(tracklets[one]["path"])
            if not zero:
                continue
            row = [0, 0, math.inf]
        rows.append([row[2] <= 1, row[2] <= 2, row[0], row[1]])
    return np.mean(rows, axis=0), unmatched


def check(found, expected):
    values = [found.cmc[1], found.cmc[2], found.mean_average_precision]
    np.testing.assert_allclose(
        [*values, found.mean_inverse_negative_penalty], expected, rtol=1e-9, atol=1e-12
    )


def nothing(one, other):
    return False


def same_pid_camid(one, other):
    return one["pid"] == other["pid"] and one["camid"] == other["camid"]


def same_place(one, other):
    return one["camid"] == 3 and other["camid"] == 2


RULES = {"vcm": same_pid_camid, "bupt_official": nothing, "bupt_m3reid": same_pid_camid}
RULES.update({"regdb": nothing, "ccpg_reid": same_pid_camid})


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("levels", [0, 5])
@pytest.mark.parametrize("direction", ["infrared_to_visible", "visible_to_infrared"])
def test_protocols_without_trials_are_those_of_the_definition(name, levels, direction):
    content, data, values = toy(1, modality="random", levels=levels)
    found = evaluate(content, data, PROTOCOLS[name], ranks=(1, 2)).directions[direction]
    task = content["tasks"]["test"][direction]
    expected, unmatched = by_loops(content, values, task["query"], task["gallery"], RULES[name])
    check(found, expected)
    assert found.dropped == unmatched


def drawn_by_loops(tracklets, places, per_camera, seed):
    generator, chosen = random.Random(seed), []
    for pid in sorted({tracklets[place]["pid"] for place in places}):
        for camera in range(1, 7):
            there = sorted(
                (int(tracklets[place]["path"].split("-T")[1]), place)
                for place in places
                if (tracklets[place]["pid"], tracklets[place]["camid"]) == (pid, camera)
            )
            if there and per_camera == 1:
                chosen.append(generator.choice(there)[1])
            elif there:
                chosen += [at for _, at in generator.sample(there, min(per_camera, len(there)))]
    return [place for place in places if place in chosen]


@pytest.mark.parametrize("levels", [0, 5])
@pytest.mark.parametrize("block_size", [3, 512])
@pytest.mark.parametrize("cameras", ["all", "indoor"])
@pytest.mark.parametrize(("shots", "per_camera"), [("single", 1), ("multi", 2)])
def test_sysu_ignores_camera_2_for_camera_3_and_means_over_drawn_galleries(
    cameras, shots, per_camera, levels, block_size
):
    content, data, values = toy(2, people=8, per_person=14, levels=levels)
    protocol = json.loads(json.dumps(PROTOCOLS[f"sysu_{cameras}_{shots}"]))
    protocol["trials"].update(per_camera=per_camera, count=4)
    del content["tasks"]["test"]["visible_to_infrared"]
    task = content["tasks"]["test"]["infrared_to_visible"]
    kept = (1, 2, 4, 5) if cameras == "all" else (1, 2)
    pool = [at for at in task["gallery"] if content["tracklets"][at]["camid"] in kept]
    trials = []
    for trial in range(4):
        gallery = drawn_by_loops(content["tracklets"], pool, per_camera, trial)
        trials.append(
            by_loops(content, values, task["query"], gallery, same_place, cmc="distinct_identities")
        )
    result = evaluate(content, data, protocol, ranks=(1, 2), block_size=block_size)
    found = result.directions["infrared_to_visible"]
    check(found, np.mean([scores for scores, _ in trials], axis=0))
    spread = np.std([scores for scores, _ in trials], axis=0)
    np.testing.assert_allclose(list(found.spread.values()), spread, atol=1e-12)
    assert found.trials == 4
    assert set(found.dropped) == {path for _, paths in trials for path in paths}


def test_the_published_galleries_are_ten_of_one_or_ten_images():
    for name, shots in (("sysu_all_single", 1), ("sysu_indoor_multi", 10)):
        assert checked(PROTOCOLS[name]).trials == Trials(10, shots, 0)


@pytest.mark.parametrize("name", ["llcm_strict", "llcm_paper_code"])
@pytest.mark.parametrize("direction", ["infrared_to_visible", "visible_to_infrared"])
def test_llcm_has_two_readings_of_visible_to_infrared(name, direction):
    content, data, values = toy(3, per_person=12, modality="random")
    found = evaluate(content, data, PROTOCOLS[name], ranks=(1, 2)).directions[direction]
    task = content["tasks"]["test"][direction]
    trials = []
    for trial in range(10):
        gallery = drawn_by_loops(content["tracklets"], task["gallery"], 1, trial)
        sides = (task["query"], gallery)
        if name == "llcm_paper_code" and direction == "visible_to_infrared":
            sides = (gallery, task["query"])  # drawn infrared probes, all visible as gallery
        trials.append(
            by_loops(content, values, *sides, same_pid_camid, cmc="distinct_identities")[0]
        )
    check(found, np.mean(trials, axis=0))


def test_mars_leaves_junk_out_counts_misses_and_takes_the_trapezoid():
    content, data, values = toy(4, cameras=2, modality="random")
    for place, tracklet in enumerate(content["tracklets"]):
        if tracklet["pid"] == "0005":
            tracklet.update(pid="00-1", path="00-1" + tracklet["path"][4:])
            data["labels"][place] = "00-1"
    names = content["tasks"]["test"]["infrared_to_visible"]
    sides = [
        [place for place in names[side] if content["tracklets"][place]["pid"] != "00-1"]
        for side in ("query", "gallery")
    ]
    lone = next(at for at in sides[0])
    sides[1] = [
        at
        for at in sides[1]
        if content["tracklets"][at]["pid"] != content["tracklets"][lone]["pid"]
    ]
    names["gallery"] = [
        at for at in names["gallery"] if at in sides[1] or data["labels"][at] == "00-1"
    ]
    del content["tasks"]["test"]["visible_to_infrared"]
    result = evaluate(content, data, PROTOCOLS["mars"], ranks=(1, 2), confidence=20)
    found = result.directions["infrared_to_visible"]
    expected, unmatched = by_loops(
        content, values, *sides, same_pid_camid, zero=True, ap="trapezoid"
    )
    check(found, expected)
    assert found.unmatched == unmatched
    assert unmatched
    assert found.dropped == []
    assert f"{len(unmatched)} queries without a match count as zero" in str(result)
    assert found.intervals["mAP"][0] <= found.mean_average_precision <= found.intervals["mAP"][1]


def test_a_drawing_depends_on_seed_and_trial_and_not_on_the_order_of_the_gallery():
    pids, cameras = ["a", "a", "b", "a", "a", "a"], [1, 1, 1, 1, 1, 2]
    paths = [f"path{number}" for number in range(6)]
    trials = Trials(10, 2, 0)
    drawings = [draw(pids, cameras, paths, trials, trial).tolist() for trial in range(10)]
    assert len({tuple(drawn) for drawn in drawings}) > 1
    assert all({2, 5} <= set(drawn) and len(drawn) == 4 for drawn in drawings)
    assert draw(pids, cameras, paths, Trials(1, 2, 3), 4).tolist() == drawings[7]
    backwards = draw(pids[::-1], cameras[::-1], paths[::-1], trials, 0)
    assert sorted(5 - backwards) == drawings[0]


def test_every_published_protocol_is_named_checked_and_json():
    assert json.loads(json.dumps(PROTOCOLS)) == PROTOCOLS
    for name, protocol in PROTOCOLS.items():
        assert protocol["name"] == name
        checked(protocol)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"cmc": "unique"}, r"cmc: 'unique'; no cmc is called so \(known: first_hit, distinct"),
        ({"ap": "area"}, r"ap: 'area'; no ap is called so"),
        ({"unmatched": 0}, r"unmatched: 0; no unmatched is called so"),
        ({"locations": [3, 2]}, r"locations: \[3, 2\]; expected camera numbers"),
        ({"junk": "-1"}, r"junk: '-1'; expected identities"),
        ({"gallery_cameras": ["a"]}, r"gallery_cameras: \['a'\]; expected camera numbers"),
        ({"trials": {"count": 0}}, r"trials: \{'count': 0\}; expected numbers such as"),
        ({"trials": {"galleries": 3}}, r"trials: \{'galleries': 3\}; expected numbers such as"),
        ({"trial": {"count": 3}}, r"a key 'trial'; did you mean 'trials'\?"),
        ({"swapped": ["there"]}, r"swapped: \['there'\]; the split 'test' has the directions inf"),
    ],
)
def test_faults_of_a_protocol_are_named(further, message):
    content, data, _ = toy()
    with pytest.raises(EvaluationError, match=message):
        evaluate(content, data, {"name": "toy", "ignore": "none", **further})


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"junk": [f"000{number}" for number in range(6)]}, r"leaves no query \(test, infrared_to"),
        ({"gallery_cameras": [99]}, r"leaves no gallery \(test, infrared_to_visible\).*000./rgb"),
    ],
)
def test_a_protocol_that_leaves_nobody_is_refused_with_tracklets_names(further, message):
    content, data, _ = toy()
    with pytest.raises(EvaluationError, match=message):
        evaluate(content, data, {"name": "toy", "ignore": "none", **further})
