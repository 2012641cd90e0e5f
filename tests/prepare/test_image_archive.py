"""Archives that are damaged, of another kind or half downloaded: what is said, what is kept."""

import random
import subprocess
import sys
import zipfile

import pytest
from vcm_tree import (
    ROOT,
    contents_of,
    files_below,
    pack_files,
    pack_tree,
    prepare_tree,
    write_vcm_tree,
)

IMAGE = "Train/0001/ir/D2/6.jpg"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def files(tmp_path):
    """All published files by their names."""
    write_vcm_tree(tmp_path / "raw")
    return files_below(tmp_path / "raw")


def refused(source, out, capsys, *expected):
    """Expects each text in the message, and no partition."""
    assert prepare_tree(source, out) == 1
    message = capsys.readouterr().err
    for text in expected:
        assert text in message
    assert not (out / "partition.json").exists()
    return message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "Train.rar",
            b"Rar!\x1a\7\1\0",
            "is a rar archive, which is not read here; unpack it (for",
        ),
        ("Train.7z", b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive, which is not read here; unpack"),
        ("Train.zip", b"Rar!\x1a\7\1\0", "is a rar archive"),
        ("Train.tar.zst", b"\x28\xb5\x2f\xfd", "is a zstd archive, which is not read here"),
        ("Train.zip.001", b"PK\3\4", "is a part of a split archive; unpack it (for instance: 7z x"),
        ("Train.z01", b"PK\7\x08PK\3\4", "is a part of a split archive"),
        ("Train.zip", b"PK\7\x08PK\3\4", "is a part of a split archive"),
        ("Train.zip", b"<!DOCTYPE html><html>", "begins with b'<!DOCTYPE html><'; perhaps a page"),
        ("Train.tar", b"", "is no zip and no tar, it begins with b''"),
        ("Train.zip", b"PK\3\4\x14\0", "Train.zip: is cut off or damaged"),
        ("Train.tgz", b"\x1f\x8b\x08\0", "Train.tgz: is cut off or damaged"),
        ("Train.tar.bz2", b"BZh91AY&SY", "Train.tar.bz2: is cut off or damaged"),
        ("Train.tar.xz", b"\xfd7zXZ\0\0\0", "Train.tar.xz: is cut off or damaged"),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_no_readable_archive_is_named_with_what_to_do(
    tmp_path, out, capsys, name, content, expected, alone
):
    pack_tree(tmp_path / "raw", tmp_path / "archives", ".zip")
    (tmp_path / "archives" / "Train.zip").unlink()
    path = tmp_path / "archives" / name
    path.write_bytes(content)
    refused(path if alone else path.parent, out, capsys, f"{path}: ", expected)


def test_the_last_part_of_a_split_zip_is_known_by_its_neighbor(tmp_path, out, capsys):
    (tmp_path / "Train.z01").write_bytes(b"PK\7\x08PK\3\4")
    (tmp_path / "Train.zip").write_bytes(b"the rest of an image")
    refused(tmp_path / "Train.zip", out, capsys, "Train.zip: is a part of a split archive")


def test_an_encrypted_zip_is_named(tmp_path, out, files, capsys):
    path = pack_files(files, tmp_path / "data.zip")
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2")
    content[place + 8] |= 1
    path.write_bytes(content)
    refused(path, out, capsys, "data.zip: is encrypted; unpack it", "to --source")


def test_another_method_of_compression_is_named(tmp_path, out, files, capsys):
    path = pack_files(files, tmp_path / "data.zip", zipfile.ZIP_LZMA)
    refused(path, out, capsys, "data.zip: Test/0503/", "compressed by method 14, which is not")


def test_an_archive_in_an_archive_is_told(tmp_path, out, capsys):
    pack_tree(tmp_path / "raw", tmp_path / "archives", ".zip")
    path = pack_files(files_below(tmp_path / "archives"), tmp_path / "all.zip")
    refused(path, out, capsys, "Test.zip is an archive in an archive: unpack the outer one")


def test_a_missing_archive_is_told(tmp_path, out, capsys):
    pack_tree(tmp_path / "raw", tmp_path / "archives", ".zip")
    (tmp_path / "archives" / "Test.zip").unlink()
    expected = "the Test half: none of its 2 identities (0503, 0504, ...) is there\nexpected one of"
    refused(tmp_path / "archives", out, capsys, expected, "or all of them")
    refused(tmp_path / "archives" / "Train.zip", out, capsys, "no lists here (found: ['Train'])")
    (tmp_path / "archives" / "info.zip").unlink()
    message = refused(tmp_path / "archives", out, capsys, "no lists here (found: ['Train.zip', ")
    assert "an archive in an archive" not in message


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_archive_that_was_cut_off_is_named(tmp_path, out, files, capsys, suffix, share):
    path = pack_files(files, tmp_path / f"data{suffix}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, out, capsys, f"data{suffix}: is cut off or damaged", "get it again")
    assert not list(out.rglob("0-frames.zip"))


@pytest.mark.slow
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_inside_a_zip_is_told_with_the_member_and_can_be_left_out(
    tmp_path, out, files, capsys, method
):
    path = pack_files(files, tmp_path / "data.zip", method)
    content = bytearray(path.read_bytes())
    place = content.index(IMAGE.encode()) + len(IMAGE) + 50
    content[place] ^= 0xFF
    path.write_bytes(content)
    refused(path, out, capsys, "1 damaged images", f"{path}:{IMAGE}: the archive is damaged here")
    assert f"{path}:{IMAGE}" in (out / "damaged.txt").read_text()
    assert prepare_tree(path, out, "--skip-damaged") == 0


def test_a_damaged_list_in_an_archive_is_named(tmp_path, out, files, capsys):
    path = pack_files(files, tmp_path / "data.zip")
    path.write_bytes(path.read_bytes().replace(b"0001M1D2T1F6.jpg", b"0001M1D2T1F7.jpg"))
    place, reason = f"{path}:info: 1 fault", "train_name.txt: cannot be read as text (the archive"
    refused(path, out, capsys, place, reason)


def test_a_decompressed_tar_is_kept_until_all_is_done(tmp_path, out, files, capsys):
    good, files[IMAGE] = files[IMAGE], b""
    archives = [
        pack_files({n: c for n, c in files.items() if ("T" in n) == is_image}, tmp_path / name)
        for name, is_image in (("images.tgz", True), ("lists.tgz", False))
    ]
    command = [str(path) for path in archives]
    (out / ".unpacked").mkdir(parents=True)
    (out / ".unpacked" / "old.tmp").write_bytes(b"left over by a run that was killed")
    assert prepare_tree(command[0], out, "--source", command[1]) == 1
    capsys.readouterr()
    kept = sorted((out / ".unpacked").iterdir())
    assert [path.name.split(".")[0] for path in kept] == ["images", "lists"]
    files[IMAGE] = good
    pack_files({n: c for n, c in files.items() if "T" in n}, archives[0])
    assert prepare_tree(command[0], out, "--source", command[1]) == 0
    told = capsys.readouterr().out
    assert "lists.tgz: decompressed before" in told
    assert "images.tgz: a compressed tar, decompressed to" in told
    assert not (out / ".unpacked").exists()
    write_vcm_tree(tmp_path / "again")
    assert prepare_tree(tmp_path / "again", tmp_path / "expected") == 0
    found, expected = contents_of(out), contents_of(tmp_path / "expected")
    assert {k for k in found if found[k] != expected[k]} == {"partition.json"}


def test_too_little_room_for_a_compressed_tar_is_told_before(
    tmp_path, out, files, capsys, monkeypatch
):
    from opengait_ext.prepare import sources as image_source

    class Usage:
        free = 10

    path = pack_files(files, tmp_path / "data.tgz")
    monkeypatch.setattr(image_source.shutil, "disk_usage", lambda folder: Usage)
    refused(path, out, capsys, "data.tgz: a compressed tar is decompressed to", "less room than")


def test_a_foreign_target_is_refused_before_anything_is_decompressed(tmp_path, out, files, capsys):
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    refused(pack_files(files, tmp_path / "data.tgz"), out, capsys, "was not made by this script")
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_random_damage_is_told_and_never_a_traceback_and_writes_nothing_outside(
    tmp_path, files, capsys, suffix
):
    chance = random.Random(suffix)
    path = pack_files(files, tmp_path / "in" / f"data{suffix}")
    content = path.read_bytes()
    for number in range(25):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 5, 50))):
            place = chance.randrange(len(damaged))
            if chance.random() < 0.5:  # the directory of a zip
                place = len(damaged) - 1 - chance.randrange(min(6000, len(damaged)))
            damaged[place] = chance.randrange(256)
        path.write_bytes(damaged)
        assert prepare_tree(path, tmp_path / "out" / str(number)) in (0, 1)
    assert {path.name for path in tmp_path.iterdir()} <= {"raw", "in", "out"}


@pytest.mark.slow
def test_a_run_from_archives_leaves_no_open_file(tmp_path, out):
    pack_tree(tmp_path / "raw", tmp_path / "archives", ".zip")
    command = [str(ROOT / "datasets/prep/hitsz_vcm.py"), "--source", str(tmp_path / "archives")]
    command += ["--target", str(out), "--min-frames", "3", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr
    assert "Exception ignored" not in done.stderr
