"""Silhouettes and maps of SynthVVI for gait models."""

from dataclasses import replace

import numpy as np
import pytest

from opengait_ext.data.layout import read_array, read_partition
from opengait_ext.errors import UserError
from opengait_ext.prepare.faults import Faults
from opengait_ext.prepare.sources import UNPACKED, Sources
from opengait_ext.prepare.synth.align import BONES, HEIGHT, WIDTH, align, draw_maps
from opengait_ext.prepare.synth.files import Options
from opengait_ext.prepare.synth.run import generate
from opengait_ext.prepare.synth.streams import MAPS, SILHOUETTES, arguments_of, run
from opengait_ext.prepare.vcm import run as hitsz_vcm
from opengait_ext.prepare.vcm.folders import EXPECTED, read_published

OPTIONS = Options(seed=5, train_identities=4, test_identities=2, tracklets=1, frames=13, height=96)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Generated data, their prepared frames, and the streams."""
    home = tmp_path_factory.mktemp("synth")
    generate(home / "raw", OPTIONS)
    command = ["--source", str(home / "raw"), "--target", str(home / "prepared"), "--workers", "1"]
    assert hitsz_vcm.main([*command, "--name", "SynthVVI"]) == 0
    run(arguments_of(arguments(home)))
    return home


def arguments(home, target="gait"):
    return [
        *("--source", str(home / "raw"), "--prepared", str(home / "prepared")),
        *("--target", str(home / target)),
    ]


def body_of(height, top, left, rows, columns, width=80):
    image = np.zeros((height, width), np.uint8)
    image[top : top + rows, left : left + columns] = 255
    return image


def test_the_body_fills_the_height_and_stands_on_its_median_column():
    aligned, place = align(body_of(100, 30, 5, 64, 20))
    assert aligned.shape == (HEIGHT, WIDTH)
    # 64 rows stay 64; of 20 columns the eleventh is the first that leaves less than half.
    wanted = np.zeros((64, 44), np.uint8)
    wanted[:, 22 - 10 : 22 + 10] = 255
    np.testing.assert_array_equal(aligned, wanted)
    assert place == (30.0, 1.0, 22 - 15)


def test_a_body_of_other_height_keeps_its_proportions():
    aligned, _ = align(body_of(200, 10, 30, 128, 40))
    columns = np.flatnonzero(aligned.max(axis=0) > 127)
    assert aligned.min(axis=0)[columns].min() > 127  # from top to bottom
    assert len(columns) == pytest.approx(20, abs=1)


def test_the_median_is_that_of_pixels_not_of_columns():
    image = body_of(80, 5, 10, 64, 10)
    image[5:10, 40:70] = 255  # an arm far out: 150 of 790 pixels
    aligned, _ = align(image)
    assert (aligned[40, 12:32] == 255).sum() == 10


@pytest.mark.parametrize("pixels", [0, 39])
def test_a_frame_that_shows_nobody_is_all_zero(pixels):
    image = np.zeros((90, 50), np.uint8)
    image[20, :pixels] = 255
    aligned, place = align(image)
    assert not aligned.any()
    assert place is None
    assert not np.any(draw_maps(np.ones((17, 3)), place))


def test_joints_are_drawn_where_the_aligned_body_has_them():
    image = body_of(200, 40, 30, 128, 20)
    _, place = align(image)
    points = np.zeros((17, 3))
    points[5] = (40, 40 + 64, 2)  # in the middle of the body
    limbs, joints = draw_maps(points, place)
    row, column = np.unravel_index(joints.argmax(), joints.shape)
    assert abs(row - 32) <= 2
    assert abs(column - 22) <= 2
    assert not limbs.any()  # a bone has two ends


def test_a_limb_is_drawn_between_two_joints_and_not_to_one_outside_the_box():
    _, place = align(body_of(64, 0, 0, 64, 44, width=44))
    points = np.zeros((17, 3))
    points[11], points[13] = (22, 10, 2), (22, 50, 1)
    limbs, _ = draw_maps(points, place)
    assert limbs[30, 20:25].max() > 127
    assert limbs[:, :15].max() == 0
    assert {joint for bone in BONES for joint in bone} == set(range(17))


@pytest.mark.slow
def test_streams_have_the_tracklets_frames_and_tasks_of_the_prepared_data(places):
    prepared, gait = (
        read_partition(places / name / "partition.json") for name in ("prepared", "gait")
    )
    assert gait.tracklets == prepared.tracklets
    assert gait.tasks == prepared.tasks
    assert gait.source["digest"] == prepared.source["digest"]
    for tracklet in gait.tracklets:
        folder = places / "gait" / tracklet.path
        silhouettes = read_array(folder / f"{SILHOUETTES}.pkl")
        maps = read_array(folder / f"{MAPS}.pkl")
        assert silhouettes.shape == (tracklet.frames, 1, HEIGHT, WIDTH)
        assert maps.shape == (tracklet.frames, 3, HEIGHT, WIDTH)
        np.testing.assert_array_equal(maps[:, 2:], silhouettes)
        assert (silhouettes.mean((1, 2, 3)) > 20).all()
        assert (maps[:, 0].max((1, 2)) > 127).all()


@pytest.mark.slow
def test_the_frames_of_a_tracklet_come_in_their_order(places):
    tracklet = read_partition(places / "gait" / "partition.json").tracklets[0]
    row = next(row for row in _rows(places / "raw") if row.path == tracklet.path)
    truth = np.load(next((places / "raw" / "truth").glob(f"*/{tracklet.pid}.npz")))
    height, width = truth["shape"]
    stored = read_array(places / "gait" / tracklet.path / f"{SILHOUETTES}.pkl")[:, 0]
    for file, image in zip(row.files, stored, strict=True):
        camera, number = file.split("/")[2][1:], file.split("/")[3].removesuffix(".jpg")
        kind = "1" if tracklet.modality == "infrared" else "2"
        names = [str(name) for name in truth["names"]]
        place = next(
            i
            for i, name in enumerate(names)
            if name.startswith(f"{tracklet.pid}M{kind}D{camera}T")
            and name.endswith(f"F{number}.jpg")
        )
        bits = np.unpackbits(truth["silhouettes"][place])[: height * width]
        body = bits.reshape(height, width) * np.uint8(255)
        np.testing.assert_array_equal(align(body)[0], image)


def _rows(raw):
    return read_published(Sources([raw], raw / UNPACKED, EXPECTED), Faults())[1].rows


@pytest.mark.slow
def test_a_second_run_writes_the_same(places):
    file = next((places / "gait").glob(f"*/*/*/{MAPS}.pkl"))
    before = file.read_bytes()
    run(arguments_of(arguments(places)))
    run(arguments_of([*arguments(places), "--anew"]))
    assert file.read_bytes() == before


@pytest.mark.slow
def test_a_source_that_the_frames_were_not_made_of_is_refused(places, tmp_path):
    generate(tmp_path / "raw", replace(OPTIONS, frames=15))
    command = [
        *("--source", str(tmp_path / "raw"), "--prepared", str(places / "prepared")),
        *("--target", str(tmp_path / "gait")),
    ]
    with pytest.raises(UserError, match="give the --source that --prepared was made of"):
        run(arguments_of(command))
    assert not (tmp_path / "gait" / "partition.json").exists()
