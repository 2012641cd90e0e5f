"""The drawn galleries of SYSU-MM01 and LLCM, against the facts of the published test code.

There: images lie in ``cam<c>/<identity>/<number>.jpg``, identities of four digits, numbers of
four digits from 0001. Trial t seeds Python's generator with t and goes through the identities,
for each through the gallery's cameras in ascending order; where there are images, it takes one
of their names, which are sorted as text. Prepared, the n-th image of a person in a camera is
the tracklet ``D<c>-T<n>``, so its number has no leading zeros.
"""

import math
import random

import numpy as np
import pytest
from evaluator_data import evaluate_cross_modality
from reference_loops import scores_of

from opengait_ext.evaluation.protocols import PROTOCOLS, Trials, draw
from opengait_ext.ordering import natural_key

VISIBLE = (1, 2, 4, 5)


def photographed(seed, infrared_cameras=(3, 6)):
    """Images by camera and identity, up to 25 of each, and the embedding of each."""
    rng = np.random.default_rng(seed)
    images, found = {}, {}
    for camera in (*VISIBLE, *infrared_cameras):
        for person in (7, 11, 102, 230, 9):
            count = int(rng.integers(0, 26))
            if count:  # a folder may be missing
                images[camera, f"{person:04d}"] = [f"{n:04d}.jpg" for n in range(1, count + 1)]
    for (camera, pid), names in images.items():
        for name in names:
            found[camera, pid, name] = rng.normal(size=(4, 1)) + int(pid) % 5
    return images, found


def published_gallery(images, cameras, trial):
    random.seed(trial)
    drawn = []
    for pid in sorted({pid for _, pid in images}):
        for camera in cameras:
            if (camera, pid) in images:
                drawn.append((camera, pid, random.choice(sorted(images[camera, pid]))))
    return drawn


def published_scores(found, query, gallery, left_out):
    """R1, R5, mAP, mINP over the queries that have something to find."""
    rows = []
    for camera, pid, name in query:
        distance = [np.linalg.norm(found[camera, pid, name] - found[each]) for each in gallery]
        ignore = [left_out((camera, pid), each[:2]) for each in gallery]
        people = [each[1] for each in gallery]
        ap, inp, first = scores_of(distance, pid, people, ignore, cmc="distinct_identities")
        if not math.isnan(ap):
            rows.append([first <= 1, first <= 5, ap, inp])
    return np.mean(rows, axis=0)


def prepared(found, infrared_cameras=(3, 6)):
    """A partition and its data, the tracklets in the order of their names as text."""
    folders = {}
    for camera, pid, name in found:
        kind = "ir" if camera in infrared_cameras else "rgb"
        folders[camera, pid, name] = f"{pid}/{kind}/D{camera}-T{int(name[:4])}"
    keys = sorted(found, key=folders.get)
    tracklets = [{"path": folders[key], "pid": key[1], "camid": key[0]} for key in keys]
    infrared = [place for place, key in enumerate(keys) if key[0] in infrared_cameras]
    visible = sorted(set(range(len(keys))) - set(infrared))
    tasks = {
        "infrared_to_visible": {"query": infrared, "gallery": visible},
        "visible_to_infrared": {"query": visible, "gallery": infrared},
    }
    names = np.array([folders[key].split("/") for key in keys])
    data = {
        "embeddings": np.stack([found[key] for key in keys]),
        **{key: names[:, at].tolist() for at, key in enumerate(("labels", "types", "views"))},
    }
    return {"tracklets": tracklets, "tasks": {"test": tasks}}, data


def means(content, data, name, direction):
    task = {direction: content["tasks"]["test"][direction]}
    partition = {**content, "tasks": {"test": task}, "protocol": PROTOCOLS[name]}
    result = evaluate_cross_modality(data, "toy", partition=partition, ranks=(1, 5))
    found = result.directions[direction]
    mean = [found.cmc[1], found.cmc[5], found.mean_average_precision]
    return [*mean, found.mean_inverse_negative_penalty]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "cameras"), [("all", VISIBLE), ("indoor", (1, 2))])
def test_the_ten_trial_means_of_sysu_are_those_of_the_published_draw(seed, name, cameras):
    images, found = photographed(seed)

    def left_out(one, other):
        return one[0] == 3 and other[0] == 2

    query = [key for key in found if key[0] in (3, 6)]
    trials = [
        published_scores(found, query, published_gallery(images, cameras, trial), left_out)
        for trial in range(10)
    ]
    scores = means(*prepared(found), f"sysu_{name}_single", "infrared_to_visible")
    np.testing.assert_allclose(scores, np.mean(trials, axis=0), rtol=0, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("llcm_strict", "infrared_to_visible"),
        ("llcm_strict", "visible_to_infrared"),
        ("llcm_paper_code", "visible_to_infrared"),
    ],
)
def test_the_ten_trial_means_of_llcm_are_those_of_the_published_draw(name, direction):
    infrared = (11, 12, 14)
    images, found = photographed(5, infrared)

    def left_out(one, other):
        return one == other  # identity and camera

    to_visible = direction == "infrared_to_visible"
    query = [key for key in found if (key[0] in infrared) == to_visible]
    trials = []
    for trial in range(10):
        gallery = published_gallery(images, VISIBLE if to_visible else infrared, trial)
        sides = (gallery, query) if name == "llcm_paper_code" else (query, gallery)
        trials.append(published_scores(found, *sides, left_out))
    scores = means(*prepared(found, infrared), name, direction)
    np.testing.assert_allclose(scores, np.mean(trials, axis=0), rtol=0, atol=1e-7)


def test_a_draw_goes_through_identities_and_names_by_their_numbers():
    pids = ["9"] * 12 + ["10"] * 12
    paths = [f"{pid}/rgb/D1-T{number}" for pid in ("9", "10") for number in range(1, 13)]
    order = np.random.default_rng(0).permutation(24)
    for trial in range(5):
        random.seed(trial)
        expected = {f"9/rgb/D1-T{random.choice(range(1, 13))}"}
        expected.add(f"10/rgb/D1-T{random.choice(range(1, 13))}")
        shuffled = [[each[place] for place in order] for each in (pids, paths)]
        drawn = draw(shuffled[0], [1] * 24, shuffled[1], Trials(5, 1, 0), trial)
        assert {shuffled[1][place] for place in drawn} == expected


def test_names_are_ordered_by_their_numbers_and_then_by_their_text():
    names = [
        "T10",
        "T2",
        "t1",
        "T02",
        "2",
        "D2-T1",
        "D10-T1",
        "T",
        "",
        "T2b",
        "T2a",
        "T" + "9" * 5000,
    ]
    ordered = ["", "2", "D2-T1", "D10-T1", "T", "T02", "T2", "T2a", "T2b", "T10"]
    assert sorted(names, key=natural_key) == [*ordered, "T" + "9" * 5000, "t1"]
