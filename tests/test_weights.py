import hashlib
import os

import pytest
import torch
from torch import nn

from opengait_ext.errors import UserError
from opengait_ext.weights import load_weights


def saved(content, path):
    torch.save(content, path)
    return str(path)


def linear():
    return nn.Linear(2, 3)


def test_weights_are_loaded_and_described_for_the_log(tmp_path):
    source, module = linear(), linear()
    path = saved(source.state_dict(), tmp_path / "w.pt")
    summary = load_weights(module, path, where="model_cfg.vit.weights")
    assert torch.equal(module.weight, source.weight)
    assert torch.equal(module.bias, source.bias)
    digest = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    assert summary == {"file": path, "tensors": 2, "sha256": digest[:12]}


def test_half_precision_on_disk_becomes_the_precision_of_the_module(tmp_path):
    source, module = linear(), linear()
    path = saved({k: v.half() for k, v in source.state_dict().items()}, tmp_path / "w.pt")
    load_weights(module, path, where="a")
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, source.weight.half().float())


def test_an_entry_a_prefix_and_other_names_are_followed(tmp_path):
    source, module = linear(), linear()
    state = {f"net.down.{k}": v for k, v in source.state_dict().items()}
    state |= {"net.unused.weight": torch.ones(1), "other.weight": torch.ones(1)}
    module_of = nn.Sequential()
    module_of.add_module("encoder", module)
    path = saved({"epoch": 3, "model": state}, tmp_path / "w.pt")
    names = {"down.": "encoder.", "unused.": ""}
    load_weights(module_of, path, where="a", entry="model", prefix="net.", names=names)
    assert torch.equal(module.weight, source.weight)


def test_a_missing_file_is_named_with_the_key_and_how_to_get_it(tmp_path):
    path = str(tmp_path / "none.pt")
    with pytest.raises(UserError) as fault:
        load_weights(linear(), path, where="model_cfg.vit.weights", hint="Download it: URL.")
    assert path in str(fault.value)
    assert "model_cfg.vit.weights" in str(fault.value)
    assert "Download it: URL." in str(fault.value)


def test_all_differing_names_and_shapes_are_in_one_error(tmp_path):
    path = saved({"weight": torch.ones(3, 4), "gamma": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(UserError) as fault:
        load_weights(linear(), path, where="a")
    message = str(fault.value)
    assert "does not fit Linear (2 tensors in the file, 2 expected)" in message
    assert "missing in the file: bias" in message
    assert "not in the module: gamma" in message
    assert "weight: the file has [3, 4], the module [3, 2]" in message


def test_a_module_is_left_as_it_was_when_the_weights_do_not_fit(tmp_path):
    module = linear()
    before = module.weight.clone()
    path = saved({"weight": torch.ones(3, 2)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="missing in the file: bias"):
        load_weights(module, path, where="a")
    assert torch.equal(module.weight, before)


def test_no_more_than_twenty_differences_are_listed(tmp_path):
    path = saved({f"layer{i}": torch.ones(1) for i in range(30)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="and 12 more") as fault:
        load_weights(linear(), path, where="a")
    assert str(fault.value).count("not in the module") == 18


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"model": {}}, "no entry 'state'; the file holds: model"),
        ({"state": torch.ones(1)}, "expected a dictionary of tensors; the file holds a Tensor"),
        ({"state": {}}, "expected a dictionary of tensors; the file holds: nothing"),
        ({"state": {"lr": 0.1}}, "these are none: lr"),
        ({"state": {0: torch.ones(1)}}, "these are none: 0"),
    ],
)
def test_a_file_of_another_form_says_what_it_holds(tmp_path, content, said):
    with pytest.raises(UserError, match=said):
        load_weights(linear(), saved(content, tmp_path / "w.pt"), where="a", entry="state")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_and_does_not_run(tmp_path, zipped):
    made = tmp_path / "made"
    path = tmp_path / "w.pt"
    torch.save({"weight": Hostile(str(made))}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UserError, match=r"w.pt: refused, and nothing was run: it asks for posix.mkdir, but weights"
    ):
        load_weights(linear(), str(path), where="a")
    assert not made.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_named(tmp_path, zipped, kept):
    path = tmp_path / "w.pt"
    state = nn.Linear(20, 30).state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match=r"w.pt \([\d,]+ bytes\) cannot be read .* Get it again"):
        load_weights(nn.Linear(20, 30), str(path), where="a")


def test_a_page_of_text_in_place_of_the_file_is_named(tmp_path):
    path = tmp_path / "w.pt"
    path.write_text("<html>404 not found</html>")
    with pytest.raises(UserError, match="incomplete or something else"):
        load_weights(linear(), str(path), where="a")
