"""Frames that are there twice, against a loop over all pairs of frames."""

import numpy as np
import pytest
from check_trees import named, results, run_check, sound_prepared, sound_raw, texts
from vcm_tree import Walk, people


def drawn(seed):
    """A few tracklets of a few frames with few different contents."""
    from opengait_ext.prepare.check.plan import Listed
    from opengait_ext.prepare.check.tracklets import Checked

    rng = np.random.default_rng(seed)
    tracklets, checked = [], []
    for number in range(8):
        contents = rng.integers(1, 12, int(rng.integers(0, 5)))
        damaged = np.flatnonzero(rng.random(len(contents)) < 0.1).tolist()
        pid, modality = f"{rng.integers(3)}", str(rng.choice(["visible", "infrared"]))
        split = "test" if pid == "0" else "train"
        tracklets.append(Listed(f"t{number}", pid, 1, modality, split, 1, "", (), str))
        digests = b"".join(int(c).to_bytes(16, "little") for c in contents)
        checked.append(Checked("", len(contents), digests, damaged))
    return tracklets, checked


def by_loop(tracklets, checked):
    """Counts, for every frame, with which tracklet the first frame of its content is shared."""
    counts = dict.fromkeys(("splits", "identities", "modalities", "tracklets", "within"), 0)
    seen = {}
    for tracklet, one in zip(tracklets, checked, strict=True):
        for place in range(one.frames):
            content = one.digests[16 * place : 16 * place + 16]
            if place in one.damaged:
                continue
            first = seen.setdefault(content, (tracklet, place))
            if first == (tracklet, place):
                continue
            if first[0] is tracklet:
                counts["within"] += 1
            elif first[0].split != tracklet.split:
                counts["splits"] += 1
            elif first[0].pid != tracklet.pid:
                counts["identities"] += 1
            elif first[0].modality != tracklet.modality:
                counts["modalities"] += 1
            else:
                counts["tracklets"] += 1
    return counts


@pytest.mark.parametrize("seed", range(20))
def test_duplicates_equal_a_loop_over_all_frames(seed):
    from opengait_ext.prepare.check.duplicates import check_duplicates
    from opengait_ext.prepare.check.findings import Findings

    tracklets, checked = drawn(seed)
    findings = Findings()
    check_duplicates(tracklets, checked, False, findings)
    numbers = findings.results["duplicates"].numbers
    expected = by_loop(tracklets, checked)
    assert numbers["frames_twice_in_a_tracklet"] == expected.pop("within")
    assert {k: numbers[f"frames_in_two_{k}"] for k in expected} == expected
    assert sum(expected.values()) > 0


def test_the_worst_is_told_first(tmp_path):
    data = sound_raw(tmp_path / "raw")
    image = (data / "Train/0001/rgb/D3/1.jpg").read_bytes()
    for name in ("Train/0001/rgb/D3/6", "Train/0002/rgb/D3/1", "Test/0504/rgb/D3/1"):
        (data / f"{name}.jpg").write_bytes(image)
    _, report = run_check(data, "--min-frames", "3")
    first, second, third = texts(report, "duplicates")
    assert "a leak from test to train" in first
    assert "is identity 0002" in second
    assert "is in the same tracklet, too" in third
    entry = results(report)["duplicates"]
    assert (entry["faults"], entry["warnings"]) == (2, 1)


def test_damaged_frames_are_not_duplicates_of_each_other(tmp_path):
    data = sound_raw(tmp_path / "raw")
    for name in ("Train/0001/rgb/D3/1", "Train/0002/rgb/D3/1", "Test/0504/rgb/D3/1"):
        (data / f"{name}.jpg").write_bytes(b"")
    _, report = run_check(data, "--min-frames", "3")
    assert named(report, "fault") == {"empty"}


def test_a_frame_number_of_a_quick_check_is_that_in_the_tracklet(tmp_path):
    from opengait_ext.data.layout import read_frames, write_tracklet

    data = sound_prepared(tmp_path / "data")
    frames = read_frames(data / "0001/rgb/D3-T4", range(4))
    write_tracklet(data / "0001/rgb/D3-T4", [*frames[:3], frames[2]])
    _, report = run_check(data, "--quick")
    text = "0001/rgb/D3-T4 frame 2: is in the same tracklet, too, as frame 3"
    assert texts(report, "duplicates") == [text]


def test_official_counts_that_differ_are_warnings(tmp_path, monkeypatch):
    from opengait_ext.prepare.check import plan as check_plan
    from opengait_ext.prepare.check import published as check_vcm

    walks = [*people("Train", (1, 2)), *people("Test", (503,)), Walk("Train", 1, "visible", 4, 12)]
    data = sound_raw(tmp_path / "raw", walks)
    for module in (check_plan, check_vcm):
        monkeypatch.setattr(module, "OFFICIAL_ROWS", {"Train": 10, "Test": 3})
    tracklets = {("Train", "visible"): 1, ("Train", "infrared"): 7}
    monkeypatch.setattr(check_plan, "OFFICIAL_TRACKLETS", tracklets)
    _, report = run_check(data)
    assert texts(report, "official") == [
        "Train, rows of the list: 9, officially 10",
        "Test, rows of the list: 4, officially 3",
        "Train, infrared tracklets of 12 frames or more: 0, officially 7",
    ]
    numbers = results(report)["official"]["numbers"]
    assert numbers["Train, visible tracklets of 12 frames or more"] == {"official": 1, "found": 1}
    assert results(report)["official"]["result"] == "warning"
    _, report = run_check(data, "--min-frames", "3")
    assert len(results(report)["official"]["numbers"]) == 2, "other tracklets than the official"
