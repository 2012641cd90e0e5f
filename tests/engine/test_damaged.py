"""Files that a run reads back: damaged ones hinder no run, and full disks lose nothing."""

import json
import logging
import multiprocessing
import os
import random
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_parts import CATALOG, changed, make_config

from opengait_ext.engine import run
from opengait_ext.engine.checkpoint import CheckpointError, CheckpointStore
from opengait_ext.engine.events import Events, GrowingFile
from opengait_ext.engine.files import append_whole, put_aside
from opengait_ext.engine.partial import PartialEmbeddings
from opengait_ext.engine.progress import LiveLine, logging_to
from opengait_ext.engine.random_state import seed_everything
from opengait_ext.engine.summary import Summary

GARBAGE = [
    b"\x00\xff\xfe\x80" * 40,
    b"[" * 200_000,
    b"PK\x03\x04" + b"x" * 90,
    b"[1, 2]",
    b"null\n",
]
FOLDER = Path("output/Toy/Tiny/toy")
BEST = {"trainer_cfg.eval_iter": 3, "trainer_cfg.save_iter": 3, "trainer_cfg.keep": "best"}


def go(config, phase="both"):
    return run(config, phase, "cpu", False, [], CATALOG)


def asides(folder):
    return [path.name for path in folder.iterdir() if ".damaged" in path.name]


@pytest.mark.slow
@pytest.mark.parametrize("content", [*GARBAGE, b"", None])
def test_damaged_files_of_a_run_are_put_aside_and_the_run_goes_on(toy_root, work, caplog, content):
    config = changed(make_config(toy_root), BEST)
    expected = go(config)["result"]
    names = ["test/.embeddings-0.partial", "metrics.jsonl", "checkpoints/best.json"]
    for name in names:
        path = work / FOLDER / name
        path.unlink(missing_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)
    found = go(config)
    assert found["result"] == expected
    assert found["selection"] == "best on validation"
    for name in names:
        told = [line for line in caplog.messages if f"{name} " in line and "was renamed" in line]
        # A cache that is empty was begun by a test that was ended at once; so were curves.
        assert len(told) == (content != b"" or name == names[2])
        assert len(asides((work / FOLDER / name).parent)) == len(told)
    note = json.loads((work / FOLDER / names[2]).read_text())
    assert note["measured_on"] == "validation"


def test_whole_lines_of_damaged_curves_stay(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    lines = [b'{"iteration": 2, "a": 1.0}', b"\xff\xfe", b'{"iteration": "x"}', b'{"iteration": 4}']
    path.write_bytes(b"\n".join(lines) + b'\n{"iteration": 6, "cut')
    Summary(tmp_path, start=10)
    assert path.read_bytes() == lines[0] + b"\n" + lines[3] + b"\n"
    assert "holds 2 lines that are no point of a curve: it was renamed to" in caplog.text
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes().startswith(lines[0])


def test_a_file_in_the_place_of_the_curves_folder_is_put_aside(tmp_path):
    (tmp_path / "summary").write_text("mine")
    Summary(tmp_path).scalars({"a": 1.0}, 1)
    assert (tmp_path / "summary.damaged").read_text() == "mine"
    assert len(list((tmp_path / "summary").iterdir())) == 1


def test_nothing_that_was_put_aside_before_is_lost(tmp_path):
    for number in range(3):
        (tmp_path / "a").write_text(str(number))
        put_aside(tmp_path / "a", "is damaged", "begun anew")
    assert [(tmp_path / f"a.damaged{end}").read_text() for end in ("", "-2", "-3")] == [*"012"]


def test_a_changed_byte_in_the_cache_of_a_test_is_found_and_the_rest_embedded_again(
    tmp_path, caplog
):
    path = tmp_path / "x.partial"
    file = PartialEmbeddings(path, "c")
    for start in (0, 4, 8):
        positions = np.arange(start, start + 4)
        file.add(positions, np.full((4, 3, 2), float(start), np.float32))
    whole = path.read_bytes()
    head = len(b"opengait_ext/partial/2\n") + 32
    length = (len(whole) - head) // 3
    for place in range(head + length, head + 2 * length):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        parts = PartialEmbeddings(path, "c").parts
        assert [positions.tolist() for positions, _ in parts] == [[0, 1, 2, 3]]
        assert path.stat().st_size == head + length
    assert "is damaged behind 1 batches; what comes after them is embedded again" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 5000, None])
def test_a_damaged_checkpoint_is_refused_and_the_newest_whole_one_named(toy_root, work, content):
    config = changed(make_config(toy_root), {"trainer_cfg.save_iter": 2})
    config = changed(config, {"trainer_cfg.keep_checkpoints": 0})
    go(config)
    folder = FOLDER / "checkpoints"
    if content is None:
        content = (folder / "toy-00006.pt").read_bytes()[:-300]
    (folder / "toy-00006.pt").write_bytes(content)
    for phase in ("train", "test"):
        with pytest.raises(CheckpointError) as error:
            go(config, phase)
        assert str(error.value).startswith(str(folder / "toy-00006.pt"))
        assert str(error.value).endswith(
            f"The newest whole checkpoint of this run is {folder / 'toy-00004.pt'}; take it by "
            "--iter 4"
        )
    go(changed(config, {"evaluator_cfg.restore_hint": 4}), "test")
    go(changed(config, {"trainer_cfg.restore_hint": 4}), "train")  # the remedy
    assert (folder.parent / "checkpoints-before-1" / "toy-00006.pt").read_bytes() == content
    for path in folder.glob("*.pt"):
        path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="No other checkpoint in .* is whole"):
        go(config, "test")


def test_for_a_damaged_checkpoint_of_elsewhere_none_of_this_run_is_named(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", "a")
    store.save({"model": {"w": torch.zeros(1)}, "iteration": 4})
    (tmp_path / "b.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="b.pt") as error:
        store.read(tmp_path / "b.pt")
    assert "of this run" not in str(error.value)
    assert "is whole" not in str(error.value)


STRANGE = {
    "optimizer": [5, [1], None, {}, {"param_groups": [5]}, {"state": {}, "param_groups": 3}],
    "scheduler": [3, None],
    "objective": [[1], 3],
    "scaler": [3],
    "iteration": ["x", -1, 1.5, True, None],
    "evaluated": ["x"],
}


@pytest.mark.slow
@pytest.mark.parametrize("key", STRANGE)
def test_a_checkpoint_with_something_else_in_a_part_is_refused_by_line(toy_root, work, key):
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    go(config, "train")
    path = FOLDER / "checkpoints" / "toy-00001.pt"
    content = torch.load(path, weights_only=True)
    for value in STRANGE[key]:
        torch.save({**content, key: value}, path)
        with pytest.raises(CheckpointError, match="toy-00001.pt"):
            go(changed(config, {"trainer_cfg.total_iter": 2}), "train")


@pytest.mark.parametrize("states", [5, [3], [{}], [{"python": 1}]])
def test_random_states_that_are_none_are_told_as_missing(toy_root, work, states, caplog):
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    go(config, "train")
    path = FOLDER / "checkpoints" / "toy-00001.pt"
    torch.save({**torch.load(path, weights_only=True), "rng": states}, path)
    assert go(changed(config, {"trainer_cfg.total_iter": 2}), "train") == {"iteration": 2}
    assert "holds no random states for 1 processes" in caplog.text


def test_a_seed_above_what_numpy_takes_draws_the_same_each_time():
    for seed in (2**32 - 1, 2**32 + 4):  # the highest of a config, and one gone on with
        draws = []
        for _ in range(2):
            seed_everything(seed)
            array = np.random.rand()  # noqa: NPY002 - what is seeded
            draws.append((random.random(), array, float(torch.rand(()))))
        assert draws[0] == draws[1]


def test_a_damaged_note_without_checkpoints_tells_that_no_best_is_known(tmp_path, caplog):
    store = CheckpointStore(tmp_path, "a")
    (tmp_path / "best.json").write_text("{}")
    assert store.best() is None
    store.mend()
    assert "best.json cannot be read: it was renamed to best.json.damaged, and by the " in (
        caplog.text
    )
    assert "no best one is known" in caplog.text


# ---- a disk that takes no more: the system's limit for the size of a file, in another process


def limited(work, size, results):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    lines = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("opengait_ext").addHandler(handler)
    try:
        work()
    except Exception as fault:
        lines.append(f"{type(fault).__name__}: {fault}")
    results.put(lines)


def on_a_full_disk(work, size):
    """Run something in a process that can write no file longer than so many bytes."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=limited, args=(work, size, results))
    process.start()
    lines = results.get()
    process.join()
    return lines


def test_a_record_that_finds_no_room_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"whole\n")
    lines = on_a_full_disk(lambda: append_whole(path, b"x" * 5000), 1000)
    assert lines[0].startswith("OSError: [Errno 27]")
    assert path.read_bytes() == b"whole\n"


@pytest.mark.slow
def test_curves_without_room_are_told_once_and_do_not_stop_the_training(tmp_path):
    def work():
        summary = Summary(tmp_path)
        for iteration in range(40):
            summary.scalars({f"curve/{n}": 1.0 for n in range(9)}, iteration)
            summary.images({"image/a": torch.rand(8, 3, 40, 40)}, iteration)

    lines = on_a_full_disk(work, 4000)
    assert len(lines) == 2  # of either file
    assert all("File too large: the file grows beyond what is allowed" in line for line in lines)
    assert all("until then its curves are not written" in line for line in lines)
    written = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in written] == list(range(len(written)))
    assert 5 < len(written) < 40


def test_curves_are_written_again_when_there_is_room_again(tmp_path, caplog):
    file = GrowingFile(tmp_path / "gone" / "a")
    file.add(b"1\n")
    file.add(b"2\n")
    (tmp_path / "gone").mkdir()
    file.add(b"3\n")
    assert (tmp_path / "gone" / "a").read_bytes() == b"3\n"
    assert len(caplog.messages) == 1


def test_the_curves_are_what_tensorboard_reads(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = Events(tmp_path, purge_step=1)
    events.scalars([("loss/id", 0.5), ("mAP", 0.25)], 1)
    events.scalars([("loss/id", 0.25)], 2)
    events.image("maps", torch.rand(3, 4, 6), 2)
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(each.step, each.value) for each in found.Scalars("loss/id")] == [
        (1, 0.5),
        (2, 0.25),
    ]
    (picture,) = found.Images("maps")
    assert (picture.height, picture.width) == (4, 6)


def test_a_test_without_room_for_its_cache_goes_on_without_it(tmp_path):
    path = tmp_path / "x.partial"

    def work():
        file = PartialEmbeddings(path, "c")
        for start in range(0, 400, 4):
            file.add(np.arange(start, start + 4), np.ones((4, 3, 2), np.float32))
        assert len(file.parts) == 100
        file.close()

    (line,) = on_a_full_disk(work, 4000)
    assert f"{path}: File too large" in line
    kept = len(PartialEmbeddings(path, "c").parts)
    assert 0 < kept < 100
    assert f"The test goes on, but would be taken up behind {kept} batches if it" in line


def test_a_test_without_room_for_any_batch_says_that_it_would_begin_anew(tmp_path):
    (line,) = on_a_full_disk(lambda: PartialEmbeddings(tmp_path / "x.partial", "c"), 10)
    assert "The test goes on, but would begin anew if it were stopped" in line


def test_facts_without_room_leave_the_checkpoint_of_the_other_engine(tmp_path):
    store = CheckpointStore(tmp_path, "a")
    torch.save({"model": {"w": torch.zeros(900)}, "more": [1]}, store.path(3))
    before = store.path(3).read_bytes()
    (line,) = on_a_full_disk(lambda: store.amend(3, {"b": 1}), 1000)
    assert "CheckpointError" in line
    assert "a-00003.pt is whole" in line
    assert store.path(3).read_bytes() == before
    store.amend(3, {"b": 1})
    content = torch.load(store.path(3), weights_only=True)
    assert (content["more"], content["b"]) == ([1], 1)


def test_a_checkpoint_without_room_keeps_the_last_one(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", "a", keep=1)
    store.save({"iteration": 1, "model": {"w": torch.zeros(2)}})
    content = {"iteration": 2, "model": {"w": torch.zeros(20_000)}}
    (line,) = on_a_full_disk(lambda: store.save(content), 8000)
    assert line.startswith(f"CheckpointError: {store.path(2)}: the checkpoint could not be written")
    assert f"{store.path(1)} is whole" in line
    assert [path.name for path in store.folder.iterdir()] == ["a-00001.pt"]


def test_a_log_file_without_room_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def work():
        with Path(os.devnull).open("w") as null, logging_to(tmp_path, LiveLine(null)):
            for number in range(50):
                logging.getLogger("opengait_ext.x").info("line %d of many", number)

    (line,) = on_a_full_disk(work, 500)
    assert ".txt: File too large" in line
    assert "The log goes on without the file" in line
