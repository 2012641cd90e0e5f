"""Answers to searches: never the query itself, own names of cameras, galleries of one modality."""

import json

import numpy as np
import pytest

from opengait_ext.commands.embed import camera_names, check_target
from opengait_ext.commands.index import described
from opengait_ext.errors import UserError
from opengait_ext.gallery import Gallery, ModelMark, Record
from opengait_ext.gallery.answers import answered, told
from opengait_ext.gallery.files import EmbeddingFile, read_embeddings, write_embeddings
from opengait_ext.gallery.records import GalleryError

MARK = ModelMark("c" * 64, (4, 2), "euclidean")
ROWS = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 4, 2), np.float32)


def record_of(number, modality="visible", root="data"):
    return Record(f"{number}/rgb/D1-T{number}", modality, str(number), 1, root=root, camera="gate")


@pytest.fixture
def gallery(tmp_path):
    made = Gallery.create(tmp_path / "g", MARK)
    made.add(ROWS, [record_of(n) for n in range(6)], MARK)
    return made


def found(gallery, record, row, top=3, among="visible", threshold=None):
    """Return the answer to one query, and the lines that show it."""
    answer = answered(gallery, EmbeddingFile(ROWS[row : row + 1], [record], MARK, "c.pt"), among,
                      top, threshold)  # fmt: skip
    (query,) = answer["queries"]
    return query, told(answer)


@pytest.mark.parametrize("among", ["visible", "rgb", "any"])
def test_a_query_never_finds_itself(gallery, among):
    query, lines = found(gallery, record_of(2), 2, among=among)
    assert [match["pid"] for match in query["matches"]] == ["1", "3", "0"]
    assert [match["rank"] for match in query["matches"]] == [1, 2, 3]
    assert query["itself"] is True
    assert "  (the query itself is in the gallery, and left out)" in lines


def test_a_query_from_a_copy_of_the_data_does_not_find_itself_either(gallery):
    query, _ = found(gallery, record_of(2, root="copy"), 2)
    assert [match["pid"] for match in query["matches"]] == ["1", "3", "0"]
    query, _ = found(gallery, record_of(2, root="other data of these names"), 4)
    assert [match["pid"] for match in query["matches"]] == ["4", "3", "5"]
    assert query["itself"] is False


def test_all_others_are_found_however_many_are_asked_for(gallery):
    query, _ = found(gallery, record_of(2), 2, top=50)
    assert len(query["matches"]) == 5


def test_a_gallery_of_nothing_but_the_query_finds_nobody(tmp_path):
    gallery = Gallery.create(tmp_path / "one", MARK)
    gallery.add(ROWS[:1], [record_of(0)], MARK)
    query, lines = found(gallery, record_of(0), 0, threshold={"distance": 9.0, "source": "x"})
    assert (query["matches"], query["nobody"]) == ([], True)
    assert "  the gallery holds nothing else to compare it with" in lines
    assert found(gallery, record_of(0), 0)[0]["nobody"] is None


def test_a_gallery_of_one_modality_is_searched_in_it_or_gets_the_other(gallery):
    with pytest.raises(GalleryError) as refusal:
        found(gallery, record_of(2), 2, among="other")
    message = str(refusal.value)
    assert "there is no infrared tracklet to search (6 tracklets in all, visible)" in message
    assert "Search among these: --among visible; or add others: opengait-ext embed" in message


def test_own_names_of_cameras_are_kept_and_told(gallery, tmp_path):
    query, lines = found(gallery, record_of(2), 2)
    assert query["matches"][0]["camera"] == "gate"
    assert any("  1  camera gate  1/rgb/D1-T1" in line for line in lines)
    assert "cameras: 1" in described(gallery)
    path = tmp_path / "x.npz"
    content = EmbeddingFile(ROWS[:2], [record_of(0), Record("a", "ir", camid=7)], MARK, "c.pt")
    write_embeddings(path, content)
    assert [(r.camera, r.camid) for r in read_embeddings(path).records] == [("gate", 1), (None, 7)]


def test_files_and_galleries_without_names_of_cameras_are_read(gallery, tmp_path):
    path = tmp_path / "x.npz"
    write_embeddings(path, EmbeddingFile(ROWS[:1], [record_of(0)], MARK, "c.pt"))
    with np.load(path) as file:
        columns = {name: file[name] for name in file.files if name != "camera"}
    np.savez(path, **columns)
    assert read_embeddings(path).records[0].camera is None
    (log,) = gallery.folder.glob("records-*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    text = "".join(json.dumps({k: v for k, v in x.items() if k != "camera"}) + "\n" for x in lines)
    log.write_text(text)
    state = json.loads((gallery.folder / "gallery.json").read_text())
    state["log_bytes"] = len(text)
    (gallery.folder / "gallery.json").write_text(json.dumps(state))
    query, lines = found(Gallery(gallery.folder), record_of(2), 2)
    assert any("  1  camera 1  1/rgb/D1-T1" in line for line in lines)


def test_cameras_are_called_as_the_preparation_noted_them():
    assert camera_names({"cameras": {"gate": 1, "7": 7, "cam2": 2}}) == {1: "gate", 2: "cam2"}
    assert camera_names({}) == {}
    assert camera_names({"cameras": ["gate"]}) == {}


def test_people_without_a_pid_are_no_identities_of_a_gallery(gallery):
    records = [Record("u/1", "ir", "unknown-00003"), Record("u/2", "thermal")]
    gallery.add(ROWS[:2], records, MARK)
    lines = described(gallery)
    assert "identities: 6, and 2 tracklets of unknown" in lines
    assert "infrared 2, visible 6" in lines[0]
    assert len(gallery.rows_of("nir")) == 2


@pytest.mark.parametrize("name", ["out.csv", "out.CSV", "out.json", "out.npy", "out.NPZ"])
def test_a_target_of_another_form_is_refused(name):
    with pytest.raises(UserError, match=f"--target {name}: embeddings go into a file .npz .* or"):
        check_target(name)


def test_a_target_may_be_npz_or_a_folder_and_no_other_file(tmp_path):
    for name in ("a.npz", "gallery", "gallery.v2", "a/b"):
        check_target(str(tmp_path / name))
    (tmp_path / "note").write_text("x")
    with pytest.raises(UserError, match="is a file, expected FILE.npz or a gallery's folder"):
        check_target(str(tmp_path / "note"))


def test_a_threshold_of_pairs_across_the_modalities_judges_no_pair_of_one(gallery):
    calibrated = {"distance": 9.0, "source": "calibrated", "wanted_far": 0.01}
    query, lines = found(gallery, record_of(2), 2, threshold=calibrated)
    assert query["nobody"] is None
    assert {match["near"] for match in query["matches"]} == {None}
    assert any("matches of the query's own modality are not judged by it" in line for line in lines)
    assert not any("a stranger is nearer" in line for line in lines)
    query, lines = found(gallery, record_of(2, "infrared", "else"), 2, threshold=calibrated)
    assert query["nobody"] is False
    assert [match["near"] for match in query["matches"]] == [True, True, True]
    assert any("a stranger is nearer" in line for line in lines)
    by_hand = {"distance": 9.0, "source": "--threshold"}
    query, _ = found(gallery, record_of(2), 2, threshold=by_hand)
    assert {match["near"] for match in query["matches"]} == {True}
