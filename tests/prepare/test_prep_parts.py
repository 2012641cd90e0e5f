"""The parts of the preparation: target folder, processes, choice of identities, progress."""

import io
import os

import cv2
import numpy as np
import pytest
from vcm_tree import contents_of, jpeg, prepare_tree, write_vcm_tree

from opengait_ext.data.layout import Partition, Tracklet
from opengait_ext.errors import UserError


@pytest.fixture
def raw(tmp_path):
    write_vcm_tree(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_a_folder_with_other_things_is_not_written_to_and_not_emptied(raw, out, capsys):
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    for options in ([], ["--anew"]):
        assert prepare_tree(raw, out, *options) == 1
        assert f"--target {out}: is not empty and was not made by" in capsys.readouterr().err
        assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_changed_options_and_changed_lists_are_noticed(raw, out, capsys):
    prepare_tree(raw, out)
    before = contents_of(out)
    assert prepare_tree(raw, out, "--validation", "0.4", "--form", "opengait") == 1
    message = capsys.readouterr().err
    assert "begun with other data or options" in message
    assert "validation: 0.1 there, 0.4 now" in message
    assert "form: 'packed' there, 'opengait' now" in message
    assert "height: None there, 256 now" in message
    assert "add --anew to remove what is prepared there" in message
    write_vcm_tree(raw.parent / "more", [*_walks(), *_walks("Train", 9)])
    assert prepare_tree(raw.parent / "more", out) == 1
    assert "digest: " in capsys.readouterr().err
    assert contents_of(out) == before


def _walks(half=None, pid=None):
    from vcm_tree import WALKS, people

    return people(half, (pid,)) if half else WALKS


def test_anew_removes_what_was_prepared_and_nothing_else(raw, out):
    prepare_tree(raw, out, "--form", "opengait", "--height", "8", "--width", "4")
    (out / "0001" / "notes.txt").write_text("mine")
    assert prepare_tree(raw, out, "--anew") == 0
    assert (out / "0001" / "notes.txt").read_text() == "mine"
    assert not list(out.rglob("*.pkl"))
    assert len(list(out.rglob("0-frames.zip"))) == 20


def test_a_note_that_cannot_be_read_is_not_trusted(raw, out, capsys):
    prepare_tree(raw, out)
    (out / ".prepare.json").write_text("{")
    assert prepare_tree(raw, out) == 1
    assert ".prepare.json: the preparation there was begun with" in capsys.readouterr().err
    assert prepare_tree(raw, out, "--anew") == 0


def test_what_a_run_leaves_that_was_killed_at_its_start_is_not_foreign(raw, out):
    (out / ".unpacked").mkdir(parents=True)
    (out / ".unpacked" / "data.tgz.0123.tmp").write_bytes(b"half")
    (out / "..prepare.json.123.tmp").write_bytes(b"{")
    assert prepare_tree(raw, out) == 0
    assert not list(out.rglob("*.tmp"))
    assert not (out / ".unpacked").exists()


def test_a_tracklet_that_cannot_be_written_is_named(raw, out, capsys):
    assert prepare_tree(raw, out) == 0
    for path in (out / "0001" / "ir" / "D2-T1").iterdir():
        path.unlink()
    (out / "0001" / "ir" / "D2-T1").rmdir()
    (out / "0001" / "ir" / "D2-T1").write_text("a file where the folder should be")
    assert prepare_tree(raw, out) == 1
    message = capsys.readouterr().err
    assert "1 tracklets could not be prepared" in message
    assert f"{out / '0001' / 'ir' / 'D2-T1' / '0-frames.zip'}: Not a directory: " in message
    assert not (out / "partition.json").exists()


def test_preparation_stops_after_twenty_failures(raw, out, capsys, monkeypatch):
    from opengait_ext.prepare import pipeline
    from opengait_ext.prepare.packing import Prepared

    asked = []

    def fail(jobs, workers):
        for job in jobs:
            asked.append(job)
            yield Prepared(0, failure=f"{job.folder}: no space left")

    monkeypatch.setattr(pipeline, "prepare_all", fail)
    monkeypatch.setattr(pipeline, "SHOWN", 5)
    assert prepare_tree(raw, out) == 1
    assert "5 tracklets could not be prepared" in capsys.readouterr().err
    assert len(asked) == 5


def test_an_unwritable_target_is_told_without_a_traceback(raw, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert prepare_tree(raw, tmp_path / "file" / "out") == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


class Bomb:
    """Ends the process that unpickles it, as the system does when memory runs out."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.slow
def test_a_process_that_died_is_told_with_what_to_do():
    from opengait_ext.prepare.packing import CHUNK, prepare_all

    with pytest.raises(UserError, match="ended from outside.*fewer --workers"):
        list(prepare_all([Bomb()] * (CHUNK + 1), 2))


def test_an_image_larger_than_any_frame_is_damaged():
    from opengait_ext.prepare.packing import DamagedImageError, decode_whole

    image = bytearray(jpeg(3))
    start = image.index(b"\xff\xc0") + 5
    image[start : start + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(DamagedImageError, match="claims 65535 x 65535 pixels, expected at most"):
        decode_whole(bytes(image))


def test_the_end_mark_of_a_thumbnail_does_not_make_a_cut_image_whole():
    from opengait_ext.prepare.packing import DamagedImageError, decode_whole

    small, image = jpeg(1), jpeg(2)
    thumbnail = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small
    whole = image[:2] + thumbnail + image[2:]
    assert decode_whole(whole).shape == (16, 8, 3)
    assert decode_whole(whole + b"\0\0").shape == (16, 8, 3)
    with pytest.raises(DamagedImageError, match="cut off after"):
        decode_whole(whole[:-10])


def test_validation_takes_a_fixed_share_that_others_do_not_change():
    from opengait_ext.prepare.partition import validation_identities

    pids = {f"{number:04d}" for number in range(1, 501)}
    chosen = validation_identities(pids, 0.1)
    assert len(chosen) == 50
    gone = min(pids - chosen)
    assert validation_identities(pids - {gone}, 0.1) == chosen
    assert validation_identities(pids, 0.0) == set()
    assert len(validation_identities({"1", "2"}, 0.01)) == 1
    assert len(validation_identities({"1", "2"}, 0.99)) == 1


@pytest.mark.slow
def test_official_counts_are_compared_only_with_data_of_that_size():
    from opengait_ext.prepare.published import Row
    from opengait_ext.prepare.vcm.run import official_counts

    rows = [Row("", "0001", 1, "visible", "train", ()) for _ in range(11061)]
    rows += [Row("", "0503", 1, "infrared", "test", ()) for _ in range(10801)]
    tracklets = [Tracklet("", "0503", 1, "infrared", 12, "test")] * 4584
    partition = Partition("HITSZ-VCM", tracklets, {}, {"min_frames": 12})
    counts = [tuple(found) for _, *found in official_counts(rows, partition)]
    assert counts == [
        *((500, 1), (11061, 11061), (232496, 0), (427, 1), (10802, 10801), (230763, 0)),
        *((4291, 0), (98214, 0), (5460, 0), (126543, 0)),
        *((4584, 4584), (105979, 55008), (5099, 0), (118137, 0)),
    ]
    other = Partition("HITSZ-VCM", tracklets, {}, {"min_frames": 6})
    assert len(list(official_counts(rows, other))) == 6
    assert not list(official_counts(rows[:20], partition))


def test_an_official_count_that_differs_is_marked_and_warned_of(capsys):
    from opengait_ext.prepare.report import Official, tell_official

    counts = [Official("Train, identities", 500, 1), Official("Train, rows", 11061, 11061)]
    tell_official("HITSZ-VCM", counts)
    assert capsys.readouterr().out == (
        "\nTrain, identities                         500 official        1 found   differs\n"
        "Train, rows                            11,061 official   11,061 found\n"
        "warning: 1 of 2 counts are not those of HITSZ-VCM; results on these data do not compare "
        "with published ones\n"
    )


def test_progress_into_a_file_is_a_line_now_and_then_not_thousands():
    from opengait_ext.prepare.progress import Progress

    stream = io.StringIO()
    with Progress(3000, "preparing", "frames", stream) as progress:
        for _ in range(1200):
            progress.add()
        assert stream.getvalue() == ""
        progress._bar.start_t -= 100.0
        progress._bar.last_print_t -= 100.0
        progress.add(0)
        assert stream.getvalue().startswith("preparing: 40% 1200/3000 [01:40<02:30, ")
        progress.add(1800)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("preparing: 100% 3000/3000 [01:40<00:00, ")
    assert lines[1].endswith(" frames/s]")


def test_progress_renews_its_line_on_a_terminal(monkeypatch):
    from opengait_ext.prepare.progress import Progress

    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(2, "preparing", "frames", stream) as progress:
        progress._bar.last_print_t -= 1.0
        progress.add()
        progress.add()
    first, second, last = stream.getvalue().split("\r")[1:]
    assert first.startswith("preparing:   0%|")
    assert second.startswith("preparing:  50%|")
    assert last.startswith("preparing: 100%|")
    assert last.endswith("\n")


def test_a_name_in_the_line_of_progress_cannot_command_the_terminal():
    from opengait_ext.prepare.progress import Progress

    stream = io.StringIO()
    with Progress(1, "decompressing a\x1b[2J.tar", "MB", stream):
        pass
    assert stream.getvalue().startswith(r"decompressing a\x1b[2J.tar: 0% 0/1 ")


def test_work_of_an_earlier_run_does_not_count_as_speed():
    from opengait_ext.prepare.progress import Progress

    stream = io.StringIO()
    with Progress(300, "training", "steps", stream) as progress:
        progress.done = 100
        progress._bar.start_t -= 100.0
        progress.add(100)
    assert "200/300 [01:40<01:40, " in stream.getvalue()


def test_a_bar_starts_no_thread_and_no_process():
    import threading

    from opengait_ext.bars import Bar

    before = threading.active_count()
    Bar(io.StringIO(), 3).close()
    assert threading.active_count() == before
    assert Bar.monitor is None


@pytest.mark.parametrize("gray", [True, False])
def test_a_look_without_pixels_finds_what_decoding_finds(gray):
    from opengait_ext.prepare.packing import DamagedImageError, decode_whole

    image = np.random.default_rng(0).integers(256, size=(48, 32, 3), dtype=np.uint8)
    whole = cv2.imencode(".jpg", image[:, :, 0] if gray else image)[1].tobytes()
    verdicts = []
    for place in range(2, len(whole), 7):
        for spoiled in (whole[:place], whole[:place] + bytes(16) + whole[place + 16 :]):
            found = []
            for pixels in (True, False):
                try:
                    decode_whole(spoiled, pixels)
                    found.append("whole")
                except DamagedImageError as error:
                    found.append(str(error))
            assert found[0] == found[1]
            verdicts.append(found[0] == "whole")
    assert not all(verdicts)
    assert decode_whole(whole).shape == (48, 32, 3)
    assert decode_whole(whole, pixels=False).size < 48 * 32


def test_what_a_script_prints_and_refuses_holds_no_raw_character_of_a_file(capsys):
    from opengait_ext.prepare.faults import listed
    from opengait_ext.prepare.options import status_of

    name = "a\x1b[2J\u202eb"

    def work():
        print(f"{name} prepared")
        print(listed("left out", [f"{name}\nforged"]))
        raise UserError(f"{name}: {'x' * 9000}; prepare it again")

    assert status_of(work) == 1
    told = capsys.readouterr()
    shown = r"a\x1b[2J\u202eb"
    assert told.out == f"{shown} prepared\nleft out\n  {shown}\\nforged\n"
    assert told.err.startswith(f"\n{shown}: xxx")
    assert told.err.endswith("; prepare it again\n")
    assert len(told.err) < 2450


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
@pytest.mark.parametrize("gray", [True, False])
def test_a_lossless_image_is_decoded_whole_or_refused_wherever_it_is_cut(suffix, gray):
    from opengait_ext.prepare.packing import DamagedImageError, decode_whole, suffix_of

    image = np.random.default_rng(0).integers(256, size=(24, 10, 3), dtype=np.uint8)
    whole = cv2.imencode(suffix, image[:, :, 0] if gray else image)[1].tobytes()
    expected = image if not gray else np.repeat(image[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(decode_whole(whole), expected)
    assert suffix_of(whole) == suffix
    for cut in range(1, len(whole)):
        with pytest.raises(DamagedImageError):
            decode_whole(whole[:cut])
    if suffix == ".png":
        for place in range(8, len(whole)):
            with pytest.raises(DamagedImageError):
                decode_whole(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


def test_lossless_images_are_packed_unchanged_under_their_own_suffix(tmp_path):
    from zipfile import ZipFile

    from opengait_ext.prepare.packing import Job, prepare

    content = cv2.imencode(".bmp", np.full((8, 6, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "a.bmp").write_bytes(content)
    images = (str(tmp_path / "a.bmp"),)
    assert prepare(Job(str(tmp_path / "out"), images, "packed", 256, 128, 1, False)).frames == 1
    with ZipFile(tmp_path / "out/0-frames.zip") as packed:
        assert packed.namelist() == ["000000.bmp"]
        assert packed.read("000000.bmp") == content
