"""Published data in archives: read as they are, with the result of the unpacked folder."""

import io
import os
import stat
import tarfile
import zipfile
import zlib

import pytest
from vcm_tree import (
    age,
    contents_of,
    files_below,
    pack_files,
    pack_tree,
    prepare_tree,
    write_vcm_tree,
)

from opengait_ext.data.layout import read_frames, read_partition

FORMS = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def files(tmp_path):
    """All published files by their names."""
    write_vcm_tree(tmp_path / "raw")
    return files_below(tmp_path / "raw")


@pytest.fixture
def expected(tmp_path):
    """Checksums of what the unpacked folder becomes, without the partition, which names it."""
    write_vcm_tree(tmp_path / "unpacked")
    assert prepare_tree(tmp_path / "unpacked", tmp_path / "plain") == 0
    return prepared(tmp_path / "plain")


def prepared(root):
    return {path: digest for path, digest in contents_of(root).items() if path != "partition.json"}


def same_partition(found, expected):
    found, expected = (read_partition(root / "partition.json") for root in (found, expected))
    assert (found.tracklets, found.tasks) == (expected.tracklets, expected.tasks)
    assert found.source.pop("layout") != expected.source.pop("layout")
    return found.source == expected.source


@pytest.mark.parametrize("suffix", FORMS)
def test_three_archives_become_the_same_files_as_the_folder(
    tmp_path, out, expected, capsys, suffix
):
    pack_tree(tmp_path / "raw", tmp_path / "archives", suffix)
    assert prepare_tree(tmp_path / "archives", out) == 0
    told = capsys.readouterr().out
    places = "identities in Train{0}:Train/ and Test{0}:Test/, lists in info{0}:info/; 20 tracklets"
    assert places.format(suffix) in told
    assert prepared(out) == expected
    assert same_partition(out, tmp_path / "plain")
    assert ("which goes when all is done" in told) == (suffix not in (".zip", ".tar"))


@pytest.mark.slow
def test_a_deflated_archive_and_several_processes_give_the_same_files(
    tmp_path, out, files, expected
):
    archive = pack_files(files, tmp_path / "all.zip", zipfile.ZIP_DEFLATED)
    assert prepare_tree(archive, out, "--workers", "2") == 0
    assert prepared(out) == expected


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ("split", "identities in d.zip:Train/ and d.zip:Test/, lists in d.zip:info/"),
        ("flat", "identities in one folder (d.zip), lists in d.zip:info/"),
        ("beside", "identities in one folder (d.zip), lists in the same folder"),
    ],
)
@pytest.mark.parametrize("wrap", ["", "VCM-HITSZ/"])
def test_every_layout_is_recognized_in_one_archive(
    tmp_path, out, expected, capsys, layout, told, wrap
):
    write_vcm_tree(tmp_path / "raw", layout=layout)
    archive = pack_files(files_below(tmp_path / "raw", wrap), tmp_path / "d.zip")
    assert prepare_tree(archive, out) == 0
    inside = told.replace("d.zip:", f"d.zip:{wrap}").replace("(d.zip)", f"(d.zip:{wrap})")
    assert (inside if wrap else told) in capsys.readouterr().out
    assert prepared(out) == expected


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_folders_wrapped_in_folders_and_leftovers_of_systems_do_no_harm(
    tmp_path, out, files, expected, capsys, suffix
):
    wrapped = {f"__MACOSX/{name}": content for name, content in files.items()}
    for name, content in files.items():
        wrapped[f"./VCM-HITSZ/{name.replace('Train/', 'Train/Train/')}"] = content
        folder, _, file = name.rpartition("/")
        wrapped[f"__MACOSX/VCM-HITSZ/{folder}/._{file}"] = b"\0\5\26\7"
        wrapped[f"./VCM-HITSZ/{folder}/._{file}"] = b"\0\5\26\7"
        wrapped[f"./VCM-HITSZ/{folder}/.DS_Store"] = wrapped[f"VCM-HITSZ/{folder}/Thumbs.db"] = b"x"
    assert prepare_tree(pack_files(wrapped, tmp_path / f"data{suffix}"), out) == 0
    assert prepared(out) == expected
    assert "in no list" not in capsys.readouterr().out


def test_archives_may_be_given_one_by_one_and_one_beside_a_folder(tmp_path, out, expected):
    pack_tree(tmp_path / "raw", tmp_path / "archives", ".zip")
    (tmp_path / "archives" / "Test.zip").rename(tmp_path / "half.download")
    options = ["--source", str(tmp_path / "raw/info"), str(tmp_path / "half.download")]
    assert prepare_tree(tmp_path / "archives" / "Train.zip", out, *options) == 0
    assert prepared(out) == expected


def test_a_half_may_be_spread_over_archives_and_a_folder_that_was_not_unpacked_to_the_end(
    tmp_path, out, files, expected, capsys
):
    images = sorted(name for name in files if name.startswith("Train/"))
    lists = {name: content for name, content in files.items() if name not in images}
    some = {name: files[name] for name in (*images[::3], *images[2::3])}
    pack_files({**lists, **some}, tmp_path / "s" / "1.zip")
    pack_files({name: files[name] for name in images[1::3]}, tmp_path / "s" / "2.tar")
    for name in images[2::3]:
        path = tmp_path / "s" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    age(tmp_path / "s")
    assert prepare_tree(tmp_path / "s", out) == 0
    assert prepared(out) == expected
    assert "in no list" not in capsys.readouterr().out


def test_an_archive_is_not_opened_if_the_folder_holds_everything(tmp_path, out, files):
    (tmp_path / "raw" / "Train.zip").write_bytes(b"PK\3\4 cut off")
    (tmp_path / "raw" / "weights.rar").write_bytes(b"Rar!")
    assert prepare_tree(tmp_path / "raw", out) == 0


def test_other_letters_in_names_of_an_archive_are_accepted(tmp_path, out, files, capsys):
    changed = {name.replace("ir/", "IR/").replace(".jpg", ".JPG"): c for name, c in files.items()}
    assert prepare_tree(pack_files(changed, tmp_path / "data.zip"), out) == 0
    told = capsys.readouterr().out
    assert "data.zip:Train: 48 names (0001/IR/D10/1.JPG) differ from the list in the case" in told
    assert "in no list" not in told
    assert read_frames(out / "0001/ir/D2-T1", [0]) == [files["Train/0001/ir/D2/1.jpg"]]


def test_names_with_backslashes_are_read(tmp_path, out, files, expected):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as packed:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.filename = name.replace("/", "\\")
            packed.writestr(member, content)
    os.utime(tmp_path / "data.zip", (1e9, 1e9))
    assert prepare_tree(tmp_path / "data.zip", out) == 0
    assert prepared(out) == expected


OUTSIDE = (
    "../evil.jpg",
    "/evil.jpg/x",
    "Train/../../evil/1.jpg",
    "C:\\evil\\1.jpg",
    "..\\evil/1.jpg",
)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_names_that_lead_out_of_the_archive_are_ignored_and_nothing_is_written_there(
    tmp_path, files, capsys, suffix
):
    home = tmp_path / "deep" / "home"
    files |= dict.fromkeys(OUTSIDE, b"evil")
    archive = pack_files(files, home / f"data{suffix}")
    before = set(tmp_path.rglob("*"))
    assert prepare_tree(archive, home / "out") == 0
    assert f"data{suffix}: 5 links or names that lead elsewhere are ignored" in (
        capsys.readouterr().out
    )
    made = {path for path in set(tmp_path.rglob("*")) - before if home / "out" not in path.parents}
    assert made == {home / "out"}
    assert not any(b"evil" in path.read_bytes() for path in (home / "out").rglob("0-*.zip"))
    assert not list((home / "out").rglob("*evil*"))


def add_link(packed, name, to, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    packed.addfile(member)


def test_links_in_a_tar_are_not_followed_but_hard_links_to_its_own_files_are(
    tmp_path, out, files, capsys
):
    (tmp_path / "secret").write_bytes(b"secret")
    names = ("Train/0001/ir/D2/1.jpg", "Train/0001/ir/D2/6.jpg")
    with tarfile.open(tmp_path / "data.tar", "w") as packed:
        for name, content in files.items():
            if name not in names:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
        add_link(packed, names[0], "Test/0503/ir/D2/1.jpg", tarfile.LNKTYPE)
        add_link(packed, names[1], str(tmp_path / "secret"))
        add_link(packed, "Train/0001/ir/D2/7.jpg", "../../../../secret", tarfile.LNKTYPE)
    assert prepare_tree(tmp_path / "data.tar", out) == 1
    message = capsys.readouterr().err
    assert f"data.tar:{names[1]}: listed in train_name.txt, but not there" in message
    assert "1 fault" in message
    age_of = tmp_path / "data.tar"
    with tarfile.open(age_of, "a") as packed:
        member = tarfile.TarInfo(names[1])
        member.size = len(files[names[1]])
        packed.addfile(member, io.BytesIO(files[names[1]]))
    assert prepare_tree(age_of, out) == 0
    found = read_frames(out / "0001/ir/D2-T1", [0, 1])
    assert found == [files["Test/0503/ir/D2/1.jpg"], files[names[1]]]
    assert "2 links or names that lead elsewhere are ignored" in capsys.readouterr().out


def test_a_link_in_a_zip_is_no_image(tmp_path, out, files, capsys):
    name = "Train/0001/ir/D2/1.jpg"
    del files[name]
    pack_files(files, tmp_path / "data.zip")
    with zipfile.ZipFile(tmp_path / "data.zip", "a") as packed:
        link = zipfile.ZipInfo(name)
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "../../../../../etc/passwd")
    assert prepare_tree(tmp_path / "data.zip", out) == 1
    assert f"{name}: listed in train_name.txt, but not there" in capsys.readouterr().err


def test_an_archive_is_not_read_again_for_what_is_finished(tmp_path, out, files):
    archive = pack_files(files, tmp_path / "data.zip")
    assert prepare_tree(archive, out) == 0
    made = {path: path.stat().st_mtime_ns for path in out.rglob("0-frames.zip")}
    assert prepare_tree(archive, out) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made
    files["Train/0001/ir/D2/1.jpg"] += b"\0"  # of another size
    pack_files(files, tmp_path / "data.zip")
    assert prepare_tree(archive, out) == 0
    changed = [path for path in made if path.stat().st_mtime_ns != made[path]]
    assert changed == [out / "0001/ir/D2-T1/0-frames.zip"]
    os.utime(archive, None)  # newer than all
    assert prepare_tree(archive, out) == 0
    assert all(path.stat().st_mtime_ns != made[path] for path in made)


def test_a_compressed_tar_is_as_old_as_its_archive(tmp_path, out, files):
    archive = pack_files(files, tmp_path / "data.tgz")
    assert prepare_tree(archive, out) == 0
    made = {path: path.stat().st_mtime_ns for path in out.rglob("0-frames.zip")}
    assert prepare_tree(archive, out) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_what_the_archive_says_about_a_member_is_checked(tmp_path):
    from opengait_ext.prepare.sources import DamagedImageError, Member, close_archives, read_image

    content = b"content " * 100
    archive = pack_files({"a": content}, tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    info = zipfile.ZipFile(archive).infolist()[0]
    sound = Member(str(archive), "a", 0, info.compress_size, len(content), 8, info.CRC)
    try:
        assert read_image(sound) == content
        for wrong in (
            sound._replace(crc=info.CRC ^ 1),
            sound._replace(size=len(content) - 1),
            sound._replace(size=len(content) + 1),
            sound._replace(packed=info.compress_size - 3),
            sound._replace(offset=1),
            sound._replace(offset=10**6),
            sound._replace(method=0, size=info.compress_size),
        ):
            with pytest.raises(DamagedImageError, match="the archive is damaged here"):
                read_image(wrong)
        assert zlib.crc32(content) == info.CRC
    finally:
        close_archives()
