"""The result of a test says which images a discard list took out."""

import json
import logging
from dataclasses import replace

import pytest
from engine_parts import CATALOG, Tiny, catalog_of, changed, make_config

from opengait_ext.config import ConfigError
from opengait_ext.data.layout import read_partition, write_partition
from opengait_ext.engine import run
from opengait_ext.errors import UserError

TRAIN = {"file": "a.txt", "sha256": "0", "entries": 9, "removed_frames": 7, "removed_tracklets": 1}
TEST = {"file": "b.txt", "sha256": "1", "entries": 4, "removed_frames": 3, "removed_tracklets": 0}
MISSING = object()


def go(config, phase, catalog=CATALOG):
    return run(config, phase, "cpu", False, [], catalog)


def with_lists(toy_root, folder, lists):
    """Gives the changes of a config that uses the toy data with another account of the lists."""
    partition = read_partition(toy_root / "partition.json")
    source = {**partition.source, **({} if lists is MISSING else {"discard_lists": lists})}
    path = folder / "other" / "partition.json"
    write_partition(path, replace(partition, source=source))
    return {"data_cfg.dataset_partition": str(path)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lists", "note"),
    [
        (MISSING, "none"),
        (None, "none"),
        (
            {"train": TRAIN, "test": TEST},
            "train: a.txt removed 7 frames and 1 tracklets, "
            "test: b.txt removed 3 frames and 0 tracklets",
        ),
        (
            {"train": TRAIN, "test": None},
            "train: a.txt removed 7 frames and 1 tracklets, test: none",
        ),
    ],
)
def test_the_note_tells_of_the_lists_of_both_halves(toy_root, work, caplog, lists, note):
    caplog.set_level(logging.INFO)
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    metrics = go(changed(config, with_lists(toy_root, work, lists)), "both")
    assert metrics["result"]["notes"]["discard lists"] == note
    (stored,) = work.rglob("metrics.json")
    assert json.loads(stored.read_text())["result"]["notes"]["discard lists"] == note
    (printed,) = [message for message in caplog.messages if message.startswith("result\n")]
    assert f"; discard lists: {note}\n" in printed
    expected = {"digest": "d"} if lists is MISSING else {"digest": "d", "discard_lists": lists}
    assert metrics["data"]["source"] == expected


@pytest.mark.parametrize("lists", ["b.txt", {"test": "b.txt"}, {"test": {"file": "b.txt"}}])
def test_an_account_of_another_form_is_refused_before_the_test(toy_root, work, lists):
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    go(config, "train")
    with pytest.raises(ConfigError, match=r"partition.json: source.discard_lists is .*b.txt"):
        go(changed(config, with_lists(toy_root, work, lists)), "test")
    assert not list(work.rglob("test/*"))


@pytest.mark.slow
def test_a_test_that_was_broken_off_does_not_go_on_with_other_images(toy_root, work):
    seen = []

    class BreakingOff(Tiny):
        def forward(self, inputs):
            seen.append(len(inputs[1]))
            if len(seen) == 2:
                raise MemoryError("broken off")
            return super().forward(inputs)

    BreakingOff.__name__ = "Tiny"
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    go(config, "train")
    config = changed(config, with_lists(toy_root, work, {"train": None, "test": TEST}))
    with pytest.raises(UserError):
        go(config, "test", catalog_of(BreakingOff))
    with_lists(toy_root, work, {"train": None, "test": {**TEST, "sha256": "2"}})
    go(config, "test", catalog_of(BreakingOff))
    assert seen == [5, 5, 5, 5, 2]
