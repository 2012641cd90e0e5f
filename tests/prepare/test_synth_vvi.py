"""SynthVVI is drawn right, written in the layout of HITSZ-VCM, and the same on every machine."""

import hashlib
import json
import math
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from opengait_ext.prepare.synth.body import COCO, cosine, sine, walk
from opengait_ext.prepare.synth.camera import CAMERAS, scene
from opengait_ext.prepare.synth.draw import Part, View, capsule, paint
from opengait_ext.prepare.synth.files import SPLITS, Options, SynthError, plan_identity
from opengait_ext.prepare.synth.render import draw_identity, render_tracklet
from opengait_ext.prepare.synth.run import generate, main

OPTIONS = Options(seed=7, train_identities=2, test_identities=2, tracklets=2, frames=13, height=48)
NAME = re.compile(r"(\d{4})M([12])D(\d{1,2})T(\d+)F(\d+)\.jpg")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("data")
    generate(target, OPTIONS)
    return target


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def rows_of(root: Path, split: str) -> list[list[int]]:
    text = (root / "info" / f"track_{split.lower()}_info.txt").read_text()
    return [[int(x) for x in line.split(" ")] for line in text.splitlines()]


def names_of(root: Path, split: str) -> list[str]:
    return (root / "info" / f"{split.lower()}_name.txt").read_text().splitlines()


def render(pid: int, camera: int, modality: str, frames: int = 4, height: int = 96):
    rng = np.random.default_rng([11, pid, camera])
    size = (height, height // 2)
    return render_tracklet(draw_identity(7, pid), CAMERAS[camera], modality, frames, size, rng)


def test_sine_and_cosine_equal_those_of_the_math_library():
    for turns in np.linspace(-3.1, 3.1, 101):
        assert sine(turns) == pytest.approx(math.sin(2 * math.pi * turns), abs=1e-8)
        assert cosine(turns) == pytest.approx(math.cos(2 * math.pi * turns), abs=1e-8)


@pytest.mark.slow
def test_arrays_are_the_same_on_every_machine_and_with_every_version_of_opencv():
    digest = hashlib.sha256()
    for pid in (1, 2, 3, 4):
        for camera, modality in ((1, "visible"), (3, "infrared"), (10, "visible")):
            one = render(pid, camera, modality)
            for array in (one.frames, one.silhouettes, one.keypoints, one.parts):
                digest.update(np.ascontiguousarray(array).tobytes())
    expected = "a61a502c4733a905a4f2adc058bac20a56fcc026ab072f7b4715d34106dc064e"
    assert digest.hexdigest() == expected


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(root, tmp_path):
    generate(tmp_path, OPTIONS, workers=2)
    assert contents(tmp_path) == contents(root)


def test_frames_are_color_in_visible_and_gray_in_three_channels_in_infrared():
    visible, infrared = render(1, 1, "visible").frames, render(1, 1, "infrared").frames
    assert visible.shape == infrared.shape == (4, 96, 48, 3)
    assert visible.dtype == np.uint8
    assert (infrared[..., 0] == infrared[..., 1]).all()
    assert (infrared[..., 0] == infrared[..., 2]).all()
    assert (visible[..., 0] != visible[..., 2]).mean() > 0.5


@pytest.mark.slow
def test_the_person_fills_most_of_the_height_and_little_of_the_box():
    for pid in range(1, 9):
        rows = render(pid, 1 if pid % 2 else 3, "visible").silhouettes.any(axis=2)
        height = rows.sum(axis=1) / rows.shape[1]
        assert (height > 0.6).all()
        assert height.max() > 0.75


def test_feet_touch_the_ground_and_never_sink_into_it():
    identity = draw_identity(7, 5)
    pose = walk(identity.body, identity.gait, np.linspace(0.0, 1.0, 25))
    feet = np.stack([pose[f"{s}_{j}"][:, 2] for s in ("left", "right") for j in ("heel", "toe")])
    np.testing.assert_allclose(feet.min(axis=0), 0.0, atol=1e-12)


def test_legs_take_turns_and_arms_swing_against_them():
    identity = draw_identity(7, 6)
    pose = walk(identity.body, identity.gait, np.array([0.0, 0.5]))
    legs = pose["left_ankle"][:, 0] - pose["right_ankle"][:, 0]
    arms = pose["left_elbow"][:, 0] - pose["right_elbow"][:, 0]
    assert legs[0] > 0.0 > legs[1]
    assert arms[0] < arms[1]


def test_bones_keep_their_length_while_walking():
    identity = draw_identity(7, 7)
    pose = walk(identity.body, identity.gait, np.linspace(0.0, 2.0, 30))
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("heel", "toe")):
        bone = np.linalg.norm(pose[f"left_{a}"] - pose[f"left_{b}"], axis=1)
        assert np.ptp(bone) < 1e-6 * bone.mean()


def test_azimuth_zero_sees_the_face_a_quarter_the_left_side_and_a_half_the_back():
    view = View(np.array([0.0, 0.25, 0.5]), 0.0, 8.0)
    ahead = view.rotate(np.array([[1.0, 0.0, 0.0]] * 3))
    left = view.rotate(np.array([[0.0, 1.0, 0.0]] * 3))
    np.testing.assert_allclose(ahead[:, 2], [1.0, 0.0, -1.0], atol=1e-8)
    np.testing.assert_allclose(left[:, 2], [0.0, 1.0, 0.0], atol=1e-8)
    np.testing.assert_allclose(left[:, 0], [1.0, 0.0, -1.0], atol=1e-8)


def test_the_nearer_part_hides_the_farther_one():
    a, b = np.array([[-0.3, 0.0, 0.0]] * 2), np.array([[0.3, 0.0, 0.0]] * 2)
    limb = [(capsule(a, b, 0.1, 0.1), "skin", 1.0)]
    parts = [Part("first", np.array([0.0, 1.0]), limb), Part("second", np.array([0.5, 0.5]), limb)]
    canvas = paint(parts, {"skin": (9, 8, 7)}, np.full(2, 20.0), np.full((2, 2), 8.0), (16, 16))
    assert canvas[:, 16, 16, 3].tolist() == [2, 1]
    assert canvas[0, 16, 16, :3].tolist() == [9, 8, 7]


@pytest.mark.slow
def test_key_points_are_hidden_on_the_far_side_and_seen_on_the_near_one():
    seen = Counter()
    for pid in range(1, 13):
        one = render(pid, 1, "visible", frames=6)
        left_is_near = one.keypoints[0, COCO.index("nose"), 0] < one.keypoints[0, 5, 0]
        near, far = ("left", "right") if left_is_near else ("right", "left")
        for side, name in ((near, "near"), (far, "far")):
            for joint in ("shoulder", "elbow", "wrist"):
                flags = one.keypoints[:, COCO.index(f"{side}_{joint}"), 2]
                seen[name] += int((flags == 2).sum())
    assert seen["near"] > 2 * seen["far"] > 0


@pytest.mark.slow
def test_key_points_lie_on_the_silhouette_where_they_are_seen():
    for pid in range(1, 7):
        one = render(pid, 2, "infrared")
        for mask, points in zip(one.silhouettes, one.keypoints, strict=True):
            wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
            for x, y, flag in points:
                assert flag < 2 or wide[int(y), int(x)]


def test_a_scene_has_one_geometry_but_two_independent_paintings():
    gray = [
        cv2.cvtColor(scene(CAMERAS[2], m, (96, 48)), cv2.COLOR_BGR2GRAY).astype(float)
        for m in ("visible", "infrared")
    ]
    edges = [np.abs(np.diff(cv2.GaussianBlur(g, (5, 5), 0), axis=1)).ravel() for g in gray]
    assert np.corrcoef(*edges)[0, 1] > 0.3
    assert np.abs(gray[0] - gray[1]).mean() > 10.0


@pytest.mark.slow
def test_lists_have_the_codec_and_the_ranges_of_hitsz_vcm(root):
    for split in SPLITS:
        names, rows = names_of(root, split), rows_of(root, split)
        assert rows[0][1] == 1
        assert rows[-1][2] == len(names)
        assert all(b[1] == a[2] + 1 for a, b in zip(rows, rows[1:], strict=False))
        for modality, start, end, pid, camera in rows:
            for name in names[start - 1 : end]:
                found = [int(x) for x in NAME.fullmatch(name).groups()]
                assert found[:3] == [pid, modality, camera]
                folder = f"{pid:04d}/{'ir' if modality == 1 else 'rgb'}/D{camera}"
                assert (root / split / folder / f"{found[4]}.jpg").stat().st_size > 0


@pytest.mark.slow
def test_frame_numbers_step_by_five_and_occur_once_in_identity_modality_and_camera(root):
    for split in SPLITS:
        numbers: dict[tuple, list[int]] = {}
        for name in names_of(root, split):
            pid, modality, camera, _, frame = NAME.fullmatch(name).groups()
            numbers.setdefault((pid, modality, camera), []).append(int(frame))
        for found in numbers.values():
            assert found == list(range(1, 5 * len(found), 5))


def test_no_image_is_in_no_list(root):
    for split in SPLITS:
        assert len(list((root / split).rglob("*.jpg"))) == len(names_of(root, split))


def test_query_file_is_one_line_with_all_infrared_test_rows(root):
    lines = (root / "info" / "query_IDX.txt").read_text().splitlines()
    infrared = [i for i, row in enumerate(rows_of(root, "Test"), start=1) if row[0] == 1]
    assert [[int(x) for x in line.split(" ")] for line in lines] == [infrared]


def test_everybody_passes_two_cameras_in_each_modality_and_one_camera_has_two_digits():
    cameras, lengths = set(), []
    for pid in range(1, 61):
        plans = plan_identity(Options(), pid)
        for modality in ("visible", "infrared"):
            own = {p.camera for p in plans if p.modality == modality}
            assert len(own) >= 2
            cameras |= own
            assert all(p.frames >= 12 for p in plans if p.tracklet == 1)
        lengths += [p.frames for p in plans]
    assert cameras == set(CAMERAS)
    assert len(cameras) >= 4
    assert max(cameras) >= 10
    assert 0.02 < np.mean(np.array(lengths) < 12) < 0.25


def test_truth_holds_silhouettes_and_key_points_of_every_image(root):
    for split in SPLITS:
        listed = names_of(root, split)
        held = []
        for pid in OPTIONS.pids(split):
            truth = np.load(root / "truth" / split / f"{pid:04d}.npz")
            held += truth["names"].tolist()
            bits = np.unpackbits(truth["silhouettes"], axis=1)
            height, width = truth["shape"]
            assert bits.shape == (len(truth["names"]), height * width)
            assert 0.03 < bits.mean() < 0.6
            assert truth["keypoints"].shape == (len(truth["names"]), 17, 3)
        assert held == listed


def test_parameters_of_every_identity_are_written(root):
    written = json.loads((root / "truth" / "identities.json").read_text())
    assert written["options"]["seed"] == OPTIONS.seed
    person = written["identities"]["Test"]["0503"]
    assert person["gait"]["cadence"] == draw_identity(OPTIONS.seed, 503).gait.cadence
    assert {"body", "gait", "outfit"} <= set(person)


@pytest.mark.slow
def test_a_second_run_draws_only_what_is_missing_or_cut(root, tmp_path):
    generate(tmp_path, OPTIONS)
    whole = contents(tmp_path)
    (tmp_path / "info" / "test_name.txt").unlink()
    missing = next((tmp_path / "Train" / "0001").rglob("*.jpg"))
    cut = next((tmp_path / "Test" / "0504").rglob("*.jpg"))
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    (tmp_path / "truth" / "Test" / "0503.npz").write_bytes(b"cut")
    kept = tmp_path / "truth" / "Train" / "0002.npz"
    before = kept.stat().st_mtime_ns
    generate(tmp_path, OPTIONS)
    assert contents(tmp_path) == whole
    assert kept.stat().st_mtime_ns == before


def test_test_identities_come_after_the_training_identities():
    assert Options(test_identities=2).pids("Test") == [503, 504]
    many = Options(train_identities=600, test_identities=2)
    assert many.pids("Test") == [601, 602]
    assert not set(many.pids("Train")) & set(many.pids("Test"))


def test_a_target_with_other_options_is_refused(root):
    with pytest.raises(SynthError, match=r"holds data drawn with .*'seed': 7.* Give another"):
        generate(root, Options(seed=8))


def test_a_target_with_data_of_another_origin_is_refused(tmp_path):
    (tmp_path / "info").mkdir()
    with pytest.raises(SynthError, match="not made by this script; give another --target"):
        generate(tmp_path, OPTIONS)


def test_numbers_out_of_range_are_refused_with_their_flag_and_range(tmp_path, capsys):
    with pytest.raises(SynthError, match=r"--frames is 0; expected 1 to 500\."):
        Options(frames=0)
    with pytest.raises(SynthError, match="--height is 97; expected an even number"):
        Options(height=97)
    with pytest.raises(SynthError, match="--workers is 0; expected 1 or more"):
        generate(tmp_path, OPTIONS, workers=0)
    assert main(["--target", str(tmp_path), "--train-identities", "9999"]) == 2
    assert "--train-identities is 9999; expected 1 to 5000." in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_says_how_much_it_made(tmp_path, capsys):
    sizes = ["--train-identities", "1", "--test-identities", "1", "--height", "48"]
    rest = ["--tracklets", "1", "--frames", "2", "--workers", "1", "--seed", "3"]
    assert main(["--target", str(tmp_path), *sizes, *rest]) == 0
    frames = len(list(tmp_path.rglob("*.jpg")))
    assert f"tracklets, {frames} frames" in capsys.readouterr().out
