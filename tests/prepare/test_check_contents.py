"""The check of prepared data, both forms: faults of partition.json and inside of files."""

import pickle

import pytest
from check_plants import Planted
from check_plants_prepared import (
    B,
    Code,
    claim,
    compress,
    container,
    encrypt,
    entry,
    huge_array,
    members,
    partition,
    pipe,
    place,
    recolor,
)
from check_trees import A, check_planted

PLANTED = {
    "no JSON": Planted(
        lambda root: (root / "partition.json").write_text("{"),
        "lists",
        "partition.json: cannot be read (",
        others=("empty",),
    ),
    "JSON of another kind": Planted(
        lambda root: (root / "partition.json").write_text("[]"),
        "lists",
        "holds list, expected an object",
        others=("empty",),
    ),
    "JSON without end": Planted(
        lambda root: (root / "partition.json").write_text("[" * 100_000),
        "lists",
        "partition.json: cannot be read (",
        others=("empty",),
    ),
    "another format": Planted(
        partition(lambda content: content.update(format="other/1")),
        "lists",
        "format is 'other/1', expected 'opengait_ext/partition/1'",
    ),
    "a field of another type": Planted(entry(camid="3"), "lists", "camid is '3', expected int"),
    "an unknown split": Planted(entry(split="dev"), "lists", "split 'dev', expected one of"),
    "a tracklet twice": Planted(
        partition(lambda content: content["tracklets"].append(content["tracklets"][0])),
        "lists",
        "is listed twice",
    ),
    "an unknown camera rule": Planted(
        partition(lambda content: content["protocol"].update(ignore="all")),
        "lists",
        "the partition's protocol says ignore: 'all'; no camera rule is called so "
        "(known: same_pid_camid, none, same_location)",
    ),
    "a position that is not there": Planted(
        partition(lambda c: c["tasks"]["test"]["visible_to_infrared"]["query"].append(99)),
        "lists",
        "position 99, there are 20 tracklets",
    ),
    "an empty file": Planted(container(lambda _: b""), "empty", f"{A}/0-frames."),
    "an archive without frames": Planted(
        members(lambda all: all.clear()),
        "empty",
        f"{A}/0-frames.zip: holds no frame",
        forms=("packed",),
    ),  # fmt: skip
    "an empty frame": Planted(
        members(lambda all: [(n, b"" if n == "000002.jpg" else c) for n, c in all]),
        "empty",
        f"{A}/0-frames.zip, 000002.jpg: the file is empty",
        forms=("packed",),
    ),
    "no frames in the list": Planted(
        entry(frames=0), "empty", f"{A}: partition.json says 0 frames", others=("lengths", "ranges")
    ),
    "no tracklets": Planted(
        partition(
            lambda content: content.update(tracklets=[], TRAIN_SET=[], TEST_SET=[], tasks={})
        ),
        "empty",
        "partition.json: lists no tracklet",
    ),
    "an infrared frame in color": Planted(
        recolor(B, gray=False), "pixels", f"{B}: 1 of 4 infrared frames are in color", "warning"
    ),
    "a gray visible frame": Planted(
        recolor(A, gray=True), "pixels", f"{A}: 1 of 4 visible frames are gray (25%)", "warning"
    ),
    "a pickle that carries code": Planted(
        container(lambda _: pickle.dumps(Code())),
        "safety",
        "refused, nothing was run: it asks for",
        forms=("opengait",),
    ),  # fmt: skip
    "an array that claims too much": Planted(
        container(huge_array),
        "safety",
        "refused, nothing was run: it asks for a call of numpy.ndarray",
        forms=("opengait",),
    ),  # fmt: skip
    "a zip bomb": Planted(
        compress,
        "safety",
        "member '000000.jpg' is compressed, expected a stored image",
        forms=("packed",),
    ),  # fmt: skip
    "a member that claims too much": Planted(
        container(claim(1 << 30)), "safety", "its members claim 1,07", forms=("packed",)
    ),
    "an encrypted member": Planted(
        container(encrypt), "safety", "member '000000.jpg' is encrypted", forms=("packed",)
    ),
    "a member with a way out": Planted(
        members(lambda all: [(f"../{n}", c) for n, c in all]),
        "safety",
        "member '../000000.jpg' stands where frame 000000 should",
        forms=("packed",),
    ),
    "a missing member": Planted(
        members(lambda all: all[:1] + all[2:]),
        "safety",
        "member '000002.jpg' stands where frame 000001",
        forms=("packed",),
    ),  # fmt: skip
    "an absolute path": Planted(
        partition(lambda c: c["tracklets"][place(c, A)].update(path="/etc/rgb/D3-T4")),
        "safety",
        "path '/etc/rgb/D3-T4' leads out of the folder",
    ),
    "a path with a way out": Planted(
        partition(lambda c: c["tracklets"][place(c, A)].update(path="../rgb/D3-T4")),
        "safety",
        "path '../rgb/D3-T4' leads out of the folder",
    ),
    "a pipe": Planted(pipe, "safety", "is no regular file"),
}
CASES = [(name, form) for name, planted in PLANTED.items() for form in planted.forms]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), CASES, ids=[f"{n}, {f}" for n, f in CASES])
def test_a_planted_fault_is_found_by_its_check_and_by_no_other(tmp_path, monkeypatch, name, form):
    check_planted(tmp_path, monkeypatch, PLANTED[name], form)
