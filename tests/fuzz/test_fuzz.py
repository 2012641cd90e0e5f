"""Damaged files end in a sentence that names them, whoever reads them."""

import random
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutations import mutated
from readers import READERS, Reader
from runner import _outcome, damaged, findings

from opengait_ext.errors import UserError

JSON = [name for name, reader in READERS.items() if "json" in name or name in (
    "lists of gait", "state of a gallery", "calibration",
    "notes of a preparation", "records of a run",
)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_hundred_damaged_files_of_each_kind_end_in_sentences(name):
    pytest.importorskip("resource")  # bounds of a process; Windows has none
    assert findings([name], 100, seed=13) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5_000, b"NaN", b'"text"', b"\xff"]
)
def test_json_that_python_cannot_or_should_not_read_is_a_sentence(name, content, tmp_path):
    reader = READERS[name]
    for path in reader.make(tmp_path):
        if path.suffix in (".json", ".jsonl") or path.name.startswith("."):
            whole = path.read_bytes()
            path.write_bytes(content)
            assert _outcome(reader, tmp_path, path) == ("", "")
            path.write_bytes(whole)


@pytest.mark.parametrize("protocol", [b'"vcm"', b"null", b"[]", b"3", b'{"ignore": NaN}'])
@pytest.mark.parametrize("name", ["partition.json"])
def test_a_protocol_that_is_none_names_the_partition(name, protocol, tmp_path):
    (path,) = READERS[name].make(tmp_path)
    begin, _, rest = path.read_bytes().partition(b'"protocol": {')
    path.write_bytes(begin + b'"protocol": ' + protocol + rest[rest.index(b"}") + 1 :])
    assert _outcome(READERS[name], tmp_path, path) == ("", "")


@pytest.mark.parametrize("size", [2**32, 2**62, 2**63 - 1])
def test_sizes_that_a_zip_cannot_hold_name_the_tracklet(size, tmp_path):
    (path,) = READERS["packed frames"].make(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("000000.jpg", b"x")
        for member in archive.filelist:
            member.file_size = member.compress_size = size
    with pytest.raises(UserError, match=r"0-frames\.zip"):
        READERS["packed frames"].read(tmp_path, path)


@pytest.mark.parametrize("frame", ["1e19", "1e400", "Infinity", "NaN", "-1", "9" * 5_000, "1.5"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_frame_that_no_video_has_is_named_with_the_file_of_boxes(frame, place, tmp_path):
    path = READERS["boxes"].make(tmp_path)[place]
    path.write_text(
        path.read_text() + ("a.mp4," if place == 0 else "") + f"{frame},10,20,30,60,1\n"
    )
    with pytest.raises(UserError, match=path.name):
        READERS["boxes"].read(tmp_path, path)


def test_an_input_follows_from_seed_and_number_alone():
    files = [bytes(range(256)), b"abc" * 50]
    first = [damaged("images", files, number, 3) for number in range(50)]
    assert first == [damaged("images", files, number, 3) for number in range(50)]
    assert first != [damaged("images", files, number, 4) for number in range(50)]
    text = b'{"a": 1, "b": [2, 3]}\n'
    assert len({mutated(text, random.Random(seed), True) for seed in range(200)}) > 100


def test_the_fuzzer_tells_right_from_wrong(tmp_path):
    def outcome(fault):
        def read(folder, path):
            if fault:
                raise fault

        return _outcome(Reader(lambda folder: [], read), tmp_path / "d", tmp_path / "d" / "a.json")

    assert outcome(None) == ("", "")
    assert outcome(UserError("a.json: damaged")) == ("", "")
    assert outcome(UserError("damaged"))[0] == "does not name the file"
    assert outcome(KeyError("x"))[0] == "KeyError"
    assert outcome(MemoryError())[0] == "MemoryError"
