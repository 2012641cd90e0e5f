"""Tiny data in the published form of BUPTCampus, made on the spot; and its preparation."""

import json
from dataclasses import dataclass, replace

from vcm_tree import age, contents_of, edit, jpeg

__all__ = [
    "TEST", "TRAINING", "Walk", "contents_of", "edit", "edit_index", "image_of", "jpeg", "longer",
    "prepare_tree", "refused", "shorten", "walks_of", "write_bupt_tree",
]  # fmt: skip

LISTS = {
    "train": "train.txt",
    "auxiliary": "train_auxiliary.txt",
    "query": "query.txt",
    "gallery": "gallery.txt",
}
CAMERAS = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")
FIRST = 8535  # number of the first frame of every walk


@dataclass(frozen=True)
class Walk:
    """One published tracklet: filmed in both modalities, listed in the named ones."""

    part: str
    pid: int
    camera: str
    number: int
    frames: int
    codes: tuple[str, ...] = ("RGB", "IR")


# Lengths of 1, 3, 7 and 12 frames, identities of one to three cameras, two walks in one camera;
# identities are not padded, and as text 10 comes before 2.
TRAINING = [
    Walk("train", 1, "CQ1", 1, 12),
    Walk("train", 1, "CQ1", 2, 3),
    Walk("train", 1, "LS3", 1, 7),
    Walk("train", 1, "TSG2", 1, 3),
    Walk("train", 2, "G25", 1, 7),
    Walk("train", 2, "TSG1", 3, 1),
    Walk("train", 3, "W4", 1, 3),
    Walk("train", 3, "LS3", 1, 3),
    Walk("train", 10, "TSG2", 1, 3),
    Walk("auxiliary", 2830, "TSG1", 1, 3),
    Walk("auxiliary", 2831, "LS3", 2, 1),
]


def test_walks(number):
    """As many test identities: queries of either modality in turn, galleries of both.

    The gallery is filmed by two other cameras; that of every third identity also by the camera
    of the query, in the other modality.
    """
    walks = []
    for place in range(number):
        pid, camera = 1911 + place, CAMERAS[place % 6]
        code, other = ("RGB", "IR") if place % 2 == 0 else ("IR", "RGB")
        walks.append(Walk("query", pid, camera, 1, 1 + place % 3, (code,)))
        walks.append(Walk("gallery", pid, CAMERAS[(place + 1) % 6], 1, 3))
        walks.append(Walk("gallery", pid, CAMERAS[(place + 2) % 6], 1, 2, (other,)))
        if place % 3 == 0:
            walks.append(Walk("gallery", pid, camera, 2, 2, (other,)))
    return walks


test_walks.__test__ = False
TEST = test_walks(7)


def walks_of(number):
    """The usual training identities and another number of test identities."""
    return [*TRAINING, *test_walks(number)]


def write_bupt_tree(root, walks=(*TRAINING, *TEST), fake_ir=True, lists=None):
    """Publishes walks below a folder; gives the folder of the lists."""
    lists = lists or root
    lists.mkdir(parents=True, exist_ok=True)
    index = {}
    for walk in walks:
        for code in ("RGB", "IR"):
            paths = [
                f"{walk.pid}/{code}/{walk.camera}/"
                f"{walk.pid}_{code}_{walk.camera}_{walk.number}_{FIRST + number}.jpg"
                for number in range(walk.frames)
            ]
            for number, path in enumerate(paths):
                value = 40 * (code == "IR") + 7 * walk.pid + 3 * number + CAMERAS.index(walk.camera)
                _write(root / "DATA" / path, value)
                if fake_ir and code == "RGB":
                    _write(root / "DATA" / path.replace("/RGB/", "/FakeIR/"), value + 90)
            cameras = index.setdefault(str(walk.pid), {}).setdefault(code, {})
            cameras.setdefault(walk.camera, {})[str(walk.number)] = paths
    (root / "data_paths.json").write_text(json.dumps(index))
    for part, name in LISTS.items():
        lines = []
        for walk in walks:
            if walk.part == part:
                codes = ["/".join(walk.codes)] if part in ("train", "auxiliary") else walk.codes
                lines += [f"{walk.pid} {code} {walk.camera} {walk.number}\n" for code in codes]
        (lists / name).write_text("".join(lines))
    age(root)
    return lists


def _write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(value))


def shorten(walks, frames, **wanted):
    """Gives the walks; those with the wanted fields get so many frames."""
    return [
        replace(w, frames=frames) if all(getattr(w, k) == v for k, v in wanted.items()) else w
        for w in walks
    ]


def longer(number):
    """Gives many training walks of two frames, for runs that are to be stopped in between."""
    return [
        Walk("train", pid, camera, 1, 2) for pid in range(1, number + 1) for camera in ("LS3", "W4")
    ]


def image_of(raw, pid, code, camera, tracklet, number):
    """The path of one image; FakeIR carries RGB in its name."""
    token = "RGB" if code == "FakeIR" else code
    name = f"{pid}_{token}_{camera}_{tracklet}_{FIRST + number}.jpg"
    return raw / "DATA" / str(pid) / code / camera / name


def edit_index(raw, change):
    """Changes what data_paths.json holds."""
    path = raw / "data_paths.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


def prepare_tree(source, target, *options):
    """Runs the script in this process; gives its exit status."""
    from opengait_ext.prepare.bupt import run as bupt_campus

    command = ["--source", str(source), "--target", str(target), "--workers", "1"]
    return bupt_campus.main([*command, *options])


def refused(tmp_path, capsys, change, *expected, options=()):
    """Publishes data with a defect, expects each text in the message and nothing written."""
    write_bupt_tree(tmp_path / "raw")
    change(tmp_path / "raw")
    assert prepare_tree(tmp_path / "raw", tmp_path / "out", *options) == 1
    message = capsys.readouterr().err
    for text in expected:
        assert text in message
    assert not (tmp_path / "out").exists()
