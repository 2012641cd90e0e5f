"""Tiny data in the published form of HITSZ-VCM, made on the spot; and its preparation."""

import hashlib
import io
import os
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]

FRAMES = 4
CODES = {"infrared": 1, "visible": 2}
FOLDERS = {"infrared": "ir", "visible": "rgb"}
LISTS = {
    "Train": ("train_name.txt", "track_train_info.txt"),
    "Test": ("test_name.txt", "track_test_info.txt"),
}


@dataclass(frozen=True)
class Walk:
    """One tracklet to be published."""

    half: str
    pid: int
    modality: str
    camera: int
    frames: int = FRAMES


def people(half, pids):
    """Everybody in two cameras of each modality; camera 2 stands for both modalities."""
    cameras = {"infrared": (2, 10), "visible": (2, 3)}
    return [
        Walk(half, pid, modality, camera)
        for pid in pids
        for modality in ("infrared", "visible")
        for camera in cameras[modality]
    ]


WALKS = [*people("Train", (1, 2, 3)), *people("Test", (503, 504))]


def jpeg(value, gray=False):
    """A tiny whole JPEG, 16 x 8."""
    image = np.full((16, 8, 3), value % 256, np.uint8)
    image[: value % 16] //= 2
    return cv2.imencode(".jpg", image[:, :, 0] if gray else image)[1].tobytes()


def write_vcm_tree(root, walks=WALKS, layout="split"):
    """Publishes tracklets; layout is split, flat or beside. Gives the folder of the lists."""
    lists = root if layout == "beside" else root / "info"
    lists.mkdir(parents=True, exist_ok=True)
    next_frame = {}
    for half, (name_list, row_list) in LISTS.items():
        home = root / half if layout == "split" else root
        names, rows = [], []
        mine = [walk for walk in walks if walk.half == half]
        for tracklet, walk in enumerate(mine, 1):
            key = (walk.pid, walk.modality, walk.camera)
            rows.append((CODES[walk.modality], len(names) + 1, len(names) + walk.frames,
                         f"{walk.pid:04d}", walk.camera))  # fmt: skip
            folder = home / f"{walk.pid:04d}" / FOLDERS[walk.modality] / f"D{walk.camera}"
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(walk.frames):
                frame = next_frame.get(key, 1)
                next_frame[key] = frame + 5
                code = f"M{CODES[walk.modality]}D{walk.camera}T{tracklet}F{frame}"
                names.append(f"{walk.pid:04d}{code}.jpg")
                (folder / f"{frame}.jpg").write_bytes(jpeg(len(names) + 7 * walk.pid))
        (lists / name_list).write_text("".join(f"{name}\n" for name in names))
        (lists / row_list).write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
        queries = [str(n) for n, walk in enumerate(mine, 1) if walk.modality == "infrared"]
    (lists / "query_IDX.txt").write_text(" ".join(queries))
    age(root)
    return lists


def age(root):
    """Makes all files a minute old, so that what is prepared now is newer."""
    for path in root.rglob("*.jpg"):
        old = path.stat().st_mtime - 60.0
        os.utime(path, (old, old))


def edit(path, old, new):
    """Replaces text in a list, which must hold it."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def shorten(walks, frames, **wanted):
    """Gives the walks; those with the wanted fields get so many frames."""
    return [
        replace(w, frames=frames) if all(getattr(w, k) == v for k, v in wanted.items()) else w
        for w in walks
    ]


def prepare_tree(source, target, *options):
    """Runs the script in this process; gives its exit status."""
    from opengait_ext.prepare.vcm import run as hitsz_vcm

    command = ["--source", str(source), "--target", str(target), "--min-frames", "3"]
    return hitsz_vcm.main([*command, "--workers", "1", *options])


def contents_of(root):
    """Return the sha256 of every file below a folder, but for the empty one that was locked."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def pack_files(files, archive, method=zipfile.ZIP_STORED):
    """Writes files, name to content, as a zip or tar; its suffix tells which. Gives the archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", method) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
    else:
        ending = archive.name.partition(".tar.")[2] or {".tgz": "gz"}.get(archive.suffix, "")
        with tarfile.open(archive, f"w:{ending}") as packed:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
    old = archive.stat().st_mtime - 60.0
    os.utime(archive, (old, old))
    return archive


def files_below(root, wrap=""):
    """Gives the content of all files below a folder by their names, with a folder before them."""
    return {
        f"{wrap}{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def pack_tree(root, target, suffix, walks=WALKS, wrap=""):
    """Publishes tracklets as three archives in a folder, as HITSZ-VCM comes. Gives the folder."""
    write_vcm_tree(root, walks)
    for part in ("Train", "Test", "info"):
        pack_files(files_below(root / part, f"{wrap}{part}/"), target / f"{part}{suffix}")
    return target
