import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from opengait_ext.gallery import Gallery, GalleryError, ModelMark, Record
from opengait_ext.gallery.searching import Searcher
from opengait_ext.gallery.state import writing

MARK = ModelMark("a" * 64, (3, 2), "euclidean")
ROOT = Path(__file__).parents[2]


def records(count, first=0, pid="1", modality="visible"):
    return [Record(f"{pid}/rgb/D1-T{first + n}", modality, pid, 1) for n in range(count)]


def embeddings(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, 2)).astype(np.float32)


@pytest.fixture
def gallery(tmp_path):
    return Gallery.create(tmp_path / "g", MARK, "run/model.pt")


def test_what_was_added_is_there_after_opening_again(gallery):
    first, second = embeddings(2, 1), embeddings(3, 2)
    gallery.add(first, records(2), MARK)
    told = Record("7/ir/D3-T9", "infrared", "7", 3, "2024-05-01T10:00:00", "data")
    gallery.add(second, [*records(2, 2), told], MARK)
    again = Gallery(gallery.folder)
    assert len(again) == 5
    assert (again.mark, again.state.checkpoint) == (MARK, "run/model.pt")
    np.testing.assert_array_equal(again.embeddings, np.concatenate([first, second]))
    assert again.get(4)[0] == told
    np.testing.assert_array_equal(again.get(4)[1], second[2])
    assert again.rows_of("infrared").tolist() == [4]
    assert isinstance(again._by_part, np.memmap)


def test_a_torn_end_is_not_seen_and_overwritten(gallery):
    gallery.add(embeddings(2), records(2), MARK)
    for path, rest in (("embeddings-1.f32", b"\x7f" * 37), ("records-1.jsonl", b'{"path": "1/r')):
        with (gallery.folder / path).open("ab") as file:
            file.write(rest)
    assert len(Gallery(gallery.folder)) == 2
    gallery.add(embeddings(1, 5), records(1, 2), MARK)
    again = Gallery(gallery.folder)
    np.testing.assert_array_equal(again.get(2)[1], embeddings(1, 5)[0])
    assert (gallery.folder / "embeddings-1.f32").stat().st_size == 3 * 4 * 6


WRITER = """
import sys, numpy as np
from opengait_ext.gallery import Gallery, ModelMark, Record
gallery = Gallery(sys.argv[1])
while True:
    first = len(gallery)
    rows = np.arange(first, first + 7)[:, None, None] + np.zeros((1, 3, 2))
    gallery.add(rows, [Record(f"t{n}", "visible", str(n)) for n in rows[:, 0, 0]], gallery.mark)
    print(len(gallery), flush=True)
"""


@pytest.mark.slow
def test_a_gallery_is_whole_after_a_kill_at_any_moment_of_an_append(gallery):
    pause = np.random.default_rng(0)
    told = 0
    for _ in range(6):
        command = [sys.executable, "-c", WRITER, str(gallery.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            told = int(process.stdout.readline())
            time.sleep(pause.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            told = max([told, *map(int, process.stdout.read().splitlines())])
        again = Gallery(gallery.folder)
        # What was told is there; one append more may have been committed and not yet told.
        assert len(again) in (told, told + 7)
        values = np.arange(len(again))[:, None, None] * np.ones((1, 3, 2))
        np.testing.assert_array_equal(again.embeddings, values)
        assert [record.pid for record in again.records] == [str(float(n)) for n in values[:, 0, 0]]
    assert told > 6 * 7


def test_a_kill_between_the_writes_loses_the_append_and_nothing_else(gallery, monkeypatch):
    gallery.add(embeddings(2), records(2), MARK)
    from opengait_ext.gallery import disk

    real, calls = disk.append, []

    def torn(path, end, content):
        calls.append(path)
        real(path, end, content[: len(content) // 2] if len(calls) == 2 else content)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(disk, "append", torn)
    with pytest.raises(KeyboardInterrupt):
        gallery.add(embeddings(4, 3), records(4, 2), MARK)
    monkeypatch.setattr(disk, "append", real)
    assert len(Gallery(gallery.folder)) == 2
    gallery.add(embeddings(4, 3), records(4, 2), MARK)
    np.testing.assert_array_equal(Gallery(gallery.folder).embeddings[2:], embeddings(4, 3))


def test_a_second_writer_is_refused_with_the_process_that_writes(gallery):
    with (
        writing(gallery.folder),
        pytest.raises(GalleryError, match=rf"somebody else is writing.*process {os.getpid()} on"),
    ):
        gallery.add(embeddings(1), records(1), MARK)
    gallery.add(embeddings(1), records(1), MARK)


def test_a_lock_that_a_dead_writer_left_behind_hinders_nobody(gallery):
    (gallery.folder / "lock").write_text("")
    (gallery.folder / "lock.holder").write_text("process 99999999 on elsewhere since 2020\n")
    gallery.add(embeddings(1), records(1), MARK)
    assert len(gallery) == 1


def test_a_writer_sees_what_another_has_appended_since_it_opened(gallery):
    other = Gallery(gallery.folder)
    gallery.add(embeddings(2), records(2), MARK)
    other.add(embeddings(1, 4), records(1, 2), MARK)
    assert len(Gallery(gallery.folder)) == 3


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (ModelMark("b" * 64, (3, 2), "euclidean"), "checkpoint: the gallery has aaaaaaaaaaaa"),
        (ModelMark("a" * 64, (3, 4), "euclidean"), r"parts\]: the gallery has \[3, 2\], these"),
        (ModelMark("a" * 64, (3, 2), "cosine"), "metric: the gallery has euclidean"),
    ],
)
def test_embeddings_of_another_model_are_refused_with_the_tracklet(gallery, mark, message):
    with pytest.raises(GalleryError, match=message) as error:
        gallery.add(np.zeros((1, *mark.shape)), records(1), mark)
    assert str(error.value).startswith("1/rgb/D1-T0: embeddings of another model")
    assert len(gallery) == 0


def test_a_wrong_embedding_is_refused_with_the_tracklet_and_nothing_is_added(gallery):
    wrong = embeddings(3)
    wrong[1, 0, 0] = np.nan
    with pytest.raises(GalleryError, match="1/rgb/D1-T1: 1 of 3 embeddings are not finite"):
        gallery.add(wrong, records(3), MARK)
    with pytest.raises(GalleryError, match=r"1/rgb/D1-T0: the embeddings are \[1, 3, 5\]"):
        gallery.add(np.zeros((1, 3, 5)), records(1), MARK)
    with pytest.raises(GalleryError, match=r"are \[2, 3, 2\] for 1 tracklets"):
        gallery.add(np.zeros((2, 3, 2)), records(1), MARK)
    with pytest.raises(GalleryError, match=r"^a\\x1b\[2J: 1 of 1 embeddings are not finite"):
        gallery.add(wrong[1:2], [Record("a\x1b[2J", "visible")], MARK)
    with pytest.raises(GalleryError, match="9: modality 'uv', expected one of infrared"):
        gallery.add(embeddings(1), [Record("9", "uv")], MARK)
    assert len(Gallery(gallery.folder)) == 0


def test_a_tracklet_is_added_once(gallery):
    gallery.add(embeddings(1), records(1), MARK)
    with pytest.raises(GalleryError, match="1/rgb/D1-T0: this tracklet is in the gallery"):
        gallery.add(embeddings(1), records(1), MARK)
    with pytest.raises(GalleryError, match="1/rgb/D1-T5: this tracklet is in the gallery"):
        gallery.add(embeddings(2), [*records(1, 5), *records(1, 5)], MARK)
    assert records(1)[0] in gallery
    assert records(1, 5)[0] not in gallery


def test_a_removed_identity_is_found_no_more_and_can_be_added_again(gallery):
    gallery.add(embeddings(4), [*records(2), *records(2, pid="2")], MARK)
    assert gallery.remove("1") == 2
    again = Gallery(gallery.folder)
    assert len(again) == 2
    assert again.rows_of().tolist() == [2, 3]
    assert set(Searcher(again)(embeddings(4), 10).rows.flat) == {2, 3}
    with pytest.raises(GalleryError, match="there is no tracklet in row 0, or no longer"):
        again.get(0)
    with pytest.raises(GalleryError, match=r"no tracklet has the identity '1' \(there are 1: 2\)"):
        again.remove("1")
    again.add(embeddings(1, 9), records(1), MARK)
    assert Gallery(gallery.folder).rows_of().tolist() == [2, 3, 4]


def test_a_purge_deletes_what_was_removed_from_the_disk(gallery):
    stored = embeddings(4)
    gallery.add(stored, [*records(2), *records(2, pid="2")], MARK)
    gallery.remove("1")
    assert gallery.purge() == 2
    again = Gallery(gallery.folder)
    np.testing.assert_array_equal(again.embeddings, stored[2:])
    assert [record.pid for record in again.records] == ["2", "2"]
    content = b"".join(path.read_bytes() for path in gallery.folder.iterdir())
    assert stored[0].T.tobytes() not in content
    assert b'"1/rgb' not in content
    assert stored[2].T.tobytes() in content
    gallery.add(embeddings(1, 9), records(1), MARK)
    assert len(Gallery(gallery.folder)) == 3


def test_a_folder_that_is_no_gallery_or_damaged_is_refused(gallery, tmp_path):
    with pytest.raises(GalleryError, match=r"there is no gallery here \(no gallery.json\)"):
        Gallery(tmp_path)
    with pytest.raises(GalleryError, match="holds files already"):
        Gallery.create(gallery.folder, MARK)
    with pytest.raises(GalleryError, match="method: expected one of auto, exact, faiss"):
        Gallery(gallery.folder, method="fast")
    gallery.add(embeddings(2), records(2), MARK)
    log, data = gallery.folder / "records-1.jsonl", gallery.folder / "embeddings-1.f32"
    content = log.read_bytes()
    log.write_bytes(b"[]" + content[2:])
    with pytest.raises(GalleryError, match="records-1.jsonl: damaged behind 0 tracklets"):
        Gallery(gallery.folder)
    log.write_bytes(content[:-5])
    with pytest.raises(GalleryError, match="has 1 tracklets, gallery.json speaks of 2"):
        Gallery(gallery.folder)
    log.write_bytes(content)
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(GalleryError, match="has 47 bytes, 2 rows need 48"):
        Gallery(gallery.folder)
    state = gallery.folder / "gallery.json"
    good = json.loads(state.read_text())
    for bad, message in (
        ({**good, "format": "x/2"}, "format is 'x/2', expected"),
        ({**good, "rows": -1}, "not the state of a gallery"),
        ({**good, "model": 3}, "not the state of a gallery"),
    ):
        state.write_text(json.dumps(bad))
        with pytest.raises(GalleryError, match=message):
            Gallery(gallery.folder)
