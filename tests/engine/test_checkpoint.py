import json
import pickle
import resource

import pytest
import torch
from torch import nn

from opengait_ext.engine.checkpoint import (
    CheckpointError,
    CheckpointStore,
    differences_of,
    load_weights,
    read_checkpoint,
)
from opengait_ext.engine.files import write_json, write_whole


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", "toy")


def content(iteration, best=None, size=4):
    model = {"weight": torch.full((size,), float(iteration))}
    return {"model": model, "iteration": iteration, "best": best}


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


def test_the_two_newest_and_the_best_checkpoint_stay(store):
    for iteration in (10, 20, 30, 40):
        best = {"iteration": 20, "score": 0.5, "measured_on": "val"} if iteration >= 20 else None
        store.save(content(iteration, best))
    assert names(store) == ["best.json", "toy-00020.pt", "toy-00030.pt", "toy-00040.pt"]
    assert store.iterations() == [20, 30, 40]
    assert store.best() == {"iteration": 20, "score": 0.5, "measured_on": "val"}


def test_all_checkpoints_stay_if_asked_for(tmp_path):
    store = CheckpointStore(tmp_path, "toy", keep=0)
    for iteration in (1, 2, 3, 123456):
        store.save(content(iteration))
    assert store.iterations() == [1, 2, 3, 123456]


def test_files_of_other_runs_are_left_alone(store):
    store.save(content(1))
    (store.folder / "toy-best.pt").touch()
    (store.folder / "toys-00009.pt").touch()
    assert store.iterations() == [1]


def test_a_hint_names_a_checkpoint(store, tmp_path):
    assert store.find("auto") is None
    for iteration in (10, 20):
        store.save(content(iteration, {"iteration": 10, "score": 0.5, "measured_on": "val"}))
    assert store.find("auto") == store.path(20)
    assert store.find("auto", keep="best") == store.path(10)
    assert store.find(10) == store.path(10)
    assert store.find(str(store.path(10))) == store.path(10)
    with pytest.raises(CheckpointError, match=r"toy-00015.pt: there is no such.*: 10, 20\)"):
        store.find(15)
    with pytest.raises(CheckpointError, match="elsewhere.pt: there is no such checkpoint"):
        store.find(str(tmp_path / "elsewhere.pt"))


def test_going_back_moves_later_checkpoints_and_a_later_best_away(store):
    for iteration in (10, 20):
        store.save(content(iteration, {"iteration": 20, "score": 0.5, "measured_on": "val"}))
    store.set_aside(above=10)
    assert names(store) == ["toy-00010.pt"]
    aside = store.folder.with_name("checkpoints-before-1")
    assert sorted(path.name for path in aside.iterdir()) == ["best.json", "toy-00020.pt"]
    store.set_aside(above=0)
    assert store.folder.with_name("checkpoints-before-2").is_dir()


def test_what_a_killed_run_left_behind_is_removed(store):
    store.save(content(1))
    (store.folder / ".toy-00002.pt.77.tmp").touch()
    store.clean()
    assert names(store) == ["toy-00001.pt"]


@pytest.fixture
def small_disk():
    """Files cannot grow beyond 64 KiB, as if the disk was full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_good_checkpoint_and_nothing_half_written(store, small_disk):
    for iteration in (10, 20):
        store.save(content(iteration))
    with pytest.raises(CheckpointError) as error:
        store.save(content(30, size=100000))
    message = str(error.value)
    assert message.startswith(
        f"{store.path(30)}: the checkpoint could not be written (File too large)"
    )
    assert f"The last good checkpoint: {store.path(20)} is whole. Free some space" in message
    assert names(store) == ["toy-00010.pt", "toy-00020.pt"]
    assert read_checkpoint(store.path(20))["iteration"] == 20
    with pytest.raises(CheckpointError, match="last good checkpoint: there is no earlier one"):
        CheckpointStore(store.folder / "new", "toy").save(content(1, size=100000))


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (print, ("this must not run",))

    path = tmp_path / "x.pt"
    torch.save({"model": Hostile()}, path)
    refused = r"x.pt: refused, and nothing was run: it asks for (__builtin__|builtins).print, but"
    with pytest.raises(CheckpointError, match=refused):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"model": Hostile()}))
    with pytest.raises(CheckpointError, match=refused):
        read_checkpoint(path)


def test_a_damaged_file_and_a_file_without_weights_are_named(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"x.pt \(0 bytes\) cannot be read as a file of torch.save"
    ):
        read_checkpoint(path)
    for wrong in ({"model": {"a": 1}}, {"epoch": 3}, [1, 2], {}, {"model": {}}):
        torch.save(wrong, path)
        with pytest.raises(CheckpointError, match="expected the weights of a model"):
            read_checkpoint(path)


def test_weights_alone_and_weights_of_a_wrapped_model_can_be_read(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"module.weight": torch.ones(2)}, path)
    assert read_checkpoint(path)["model"].keys() == {"weight"}
    torch.save({"model": {"module.weight": torch.ones(2)}, "iteration": 4}, path)
    assert read_checkpoint(path)["iteration"] == 4


def layers(identities=3, bias=True):
    return nn.Sequential(nn.Linear(2, 4, bias=bias), nn.Linear(4, identities))


def test_weights_of_another_model_are_named_by_key_and_shape_all_at_once(tmp_path):
    weights = layers(identities=5).state_dict() | {"extra": torch.ones(7)}
    del weights["0.bias"]
    path = tmp_path / "x.pt"
    with pytest.raises(CheckpointError) as error:
        load_weights(layers(), weights, strict=True, path=path)
    assert str(error.value).splitlines()[:8] == [
        f"{path}: this checkpoint is not of this model (1 of 4 keys fit):",
        "  of another shape (2):",
        "    1.weight: the model has [3, 4], the file [5, 4]",
        "    1.bias: the model has [3], the file [5]",
        "  not in the file (1):",
        "    0.bias [4]",
        "  not in the model (1):",
        "    extra [7]",
    ]


def test_of_many_differences_the_first_twenty_are_shown_and_all_are_counted():
    own = {f"layer{number:02d}": torch.ones(1) for number in range(30)}
    lines = differences_of(own, {})
    assert lines[0] == "  not in the file (30):"
    assert lines[-2:] == ["    layer19 [1]", "    ... and 10 more"]


def test_differences_of_all_kinds_share_twenty_lines_and_short_lists_are_whole():
    own = {f"a{n}": torch.ones(1) for n in range(40)} | {f"b{n}": torch.ones(1) for n in range(30)}
    weights = {f"a{n}": torch.ones(2) for n in range(40)} | {"c": torch.ones(1)}
    lines = differences_of(own, weights)
    assert [line for line in lines if "(" in line or "more" in line] == [
        "  of another shape (40):", "    ... and 30 more",
        "  not in the file (30):", "    ... and 21 more",
        "  not in the model (1):",
    ]  # fmt: skip
    assert len(lines) == 20 + 5
    assert lines[-1] == "    c [1]"


def test_what_fits_is_loaded_if_the_rest_may_differ(tmp_path, caplog):
    weights = layers(identities=5).state_dict()
    model = layers()
    kept = model[1].weight.clone()
    load_weights(model, weights, strict=False, path=tmp_path / "x.pt")
    assert torch.equal(model[0].weight, weights["0.weight"])
    assert torch.equal(model[1].weight, kept)
    assert "2 of 4 keys fit and are loaded" in caplog.text
    with pytest.raises(CheckpointError, match="0 of 4 keys fit"):
        load_weights(model, {"other": torch.ones(1)}, strict=False, path=tmp_path / "x.pt")


def test_losses_that_opengait_saves_beside_the_model_are_passed_over(tmp_path):
    model = layers()
    weights = model.state_dict() | {"loss_aggregator.losses.a.alpha": torch.ones(1)}
    load_weights(model, weights, strict=True, path=tmp_path / "x.pt")


def test_a_failed_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_whole(path, lambda temporary: temporary.write_text(str(1 / 0)))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"score": float("nan")})
    assert path.read_text() == "old"
    write_json(path, {"score": 0.5})
    assert json.loads(path.read_text()) == {"score": 0.5}
    assert len(list(tmp_path.iterdir())) == 1


class WithClassifier(nn.Module):
    training_only = ("classifier.",)

    def __init__(self, classes):
        super().__init__()
        self.body = nn.Linear(2, 2)
        self.classifier = nn.Linear(2, classes)


def test_a_checkpoint_may_lack_what_only_training_uses(tmp_path, caplog):
    caplog.set_level("INFO")
    model, other = WithClassifier(3), WithClassifier(3)
    kept = model.classifier.weight.clone()
    weights = {key: value for key, value in other.state_dict().items() if key.startswith("body.")}
    load_weights(model, weights, True, tmp_path / "w.pt")
    assert torch.equal(model.body.weight, other.body.weight)
    assert torch.equal(model.classifier.weight, kept)
    assert "2 keys that only training uses are not in it" in caplog.text
    del weights["body.bias"]
    with pytest.raises(CheckpointError, match=r"not in the file \(1\):\n    body.bias"):
        load_weights(model, weights, True, tmp_path / "w.pt")


def test_what_only_training_uses_has_to_fit_if_it_is_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"classifier.bias: the model has \[3\], the file"):
        load_weights(WithClassifier(3), WithClassifier(4).state_dict(), True, tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("config", [1, 2]), ("config", {"model_cfg": 5}), ("config", {"trainer_cfg": "x"}),
        ("data", "x"), ("weights", [1, 2]), ("precision", ["x"]), ("started_in", 3),
    ],
)  # fmt: skip
def test_a_checkpoint_that_says_strange_things_of_its_training_is_refused(tmp_path, name, value):
    path = tmp_path / "odd.pt"
    torch.save({**content(3), name: value}, path)
    with pytest.raises(CheckpointError, match=f"says about its training .*{name}") as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)
