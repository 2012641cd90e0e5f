"""Files of weights: what torch and safetensors write is read, what lies is refused."""

import argparse
import collections
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from opengait_ext.dinov2_names import check_heads, metas_names
from opengait_ext.engine.checkpoint import read_checkpoint
from opengait_ext.errors import UserError
from opengait_ext.layers.vit import VisionTransformer, frozen_dinov2, load_dinov2
from opengait_ext.unpickle import BrokenPickleError, ForeignObjectError
from opengait_ext.weight_files import read_weight_file
from opengait_ext.weights import load_weights, read_file

BASE = torch.arange(24.0).reshape(2, 3, 4)
CONTENT = {
    "state": nn.BatchNorm2d(3).state_dict(),
    "views": [BASE, BASE[:, 1:], BASE.transpose(0, 2), BASE[1, 1, 1], torch.ones(1).expand(5, 6)],
    "empty": [torch.empty(0), torch.empty(3, 0, 2)],
    "types": [
        torch.arange(2).to(kind)
        for kind in (
            torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
            torch.int8, torch.uint8, torch.bool, torch.complex64,
        )
    ],
    "parameter": nn.Parameter(torch.ones(2)),
    "numpy": [np.arange(6.0).reshape(2, 3), np.zeros(2, np.uint8)],
    "mAP": np.float64(0.25),
    "best": np.int64(3),
    "plain": {"a": [1, 2.5, None, True, "text", b"bytes"], 3: (), "size": torch.Size([2, 3])},
    "counts": collections.Counter({3: 1}),
    "history": collections.defaultdict(list, {"loss": [1.0]}),
    "set": {1, 2},
    "kind": torch.float32,
}  # fmt: skip


def equal(found, expected):
    if isinstance(expected, torch.Tensor):
        same = found.dtype == expected.dtype and found.stride() == expected.stride()
        return same and torch.equal(found, expected)
    if isinstance(expected, np.ndarray):
        return np.array_equal(found, expected) and found.dtype == expected.dtype
    if isinstance(expected, dict):
        return [*found] == [*expected] and all(equal(found[k], expected[k]) for k in expected)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(equal, found, expected))
    return found == expected


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_read_value_by_value(tmp_path, zipped, protocol):
    path = tmp_path / "w.pt"
    torch.save(CONTENT, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    found = read_weight_file(path)
    for name, expected in CONTENT.items():
        assert equal(found[name], expected), name
    assert not isinstance(found["mAP"], np.generic)
    assert found["views"][0].data_ptr() == found["views"][2].data_ptr()


def test_the_state_of_an_optimizer_and_a_schedule_goes_on_after_reading(tmp_path):
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    weight.grad = torch.ones(3)
    optimizer.step()
    schedule.step()
    torch.save({"o": optimizer.state_dict(), "s": schedule.state_dict()}, tmp_path / "w.pt")
    found = read_weight_file(tmp_path / "w.pt")
    optimizer.load_state_dict(found["o"])
    schedule.load_state_dict(found["s"])
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-5)


def safetensors(tensors, **changes):
    table, content = {"__metadata__": {"format": "pt"}}, b""
    kinds = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64", torch.bool: "BOOL"}
    for name, value in tensors.items():
        values = value.reshape(-1).view(torch.uint8).numpy().tobytes()
        places = [len(content), len(content) + len(values)]
        table[name] = {"dtype": kinds[value.dtype], "shape": [*value.shape], "data_offsets": places}
        content += values
    for name, change in changes.items():
        table[name] = {**table.get(name, {}), **change}
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + content


TENSORS = {"b": BASE, "a": BASE.bfloat16(), "c": torch.tensor([3]), "d": torch.tensor([True])}


def test_safetensors_are_read_value_by_value(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(TENSORS))
    assert equal(read_weight_file(path), TENSORS)
    module = nn.Linear(2, 3)
    path.write_bytes(safetensors(nn.Linear(2, 3).state_dict()))
    load_weights(module, str(path), where="a")


def rewritten(path, change=lambda name, content: content, compression=zipfile.ZIP_STORED):
    """The file of two tensors with its members changed."""
    torch.save({"x": torch.arange(4.0), "y": torch.ones(2, 3)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            changed = change(name.partition("/")[2], content)
            if changed is not None:
                archive.writestr(name, changed)
    return path


def in_pickle(old, new):
    return lambda name, content: content.replace(old, new) if name == "data.pkl" else content


def without(member):
    return lambda name, content: None if name == member else content


LARGE = b"J" + struct.pack("<i", 2**31 - 1)
BROKEN = {
    "a storage larger than its bytes": (in_pickle(b"K\x04t", LARGE + b"t"), "a storage of 8,589"),
    "a tensor larger than its storage": (
        in_pickle(b"K\x04\x85", LARGE + b"\x85"),
        "a tensor of 2,1",
    ),
    "a tensor behind its storage": (in_pickle(b"QK\x00K\x04", b"QK\x03K\x04"), "with 4 values for"),
    "a stride out of its storage": (
        in_pickle(b"K\x01\x85", LARGE + b"\x85"),
        "with 4 values for it",
    ),
    "a size below 0": (in_pickle(b"K\x04\x85", b"J\xff\xff\xff\xff\x85"), "an impossible shape"),
    "no storage": (without("data/0"), "an archive without 'data/0'"),
    "no pickle": (without("data.pkl"), "an archive without data.pkl"),
    "another order": (
        lambda name, content: b"big" if name == "byteorder" else content,
        "in the order of another kind of machine",
    ),
    "another reference": (in_pickle(b"X\x07\0\0\0storage", b"X\x07\0\0\0storAge"), "no storage"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_archive_that_contradicts_itself_is_refused(tmp_path, case):
    change, said = BROKEN[case]
    with pytest.raises(BrokenPickleError, match=said):
        read_weight_file(rewritten(tmp_path / "w.pt", change))


def test_an_archive_that_is_compressed_or_claims_too_much_is_refused(tmp_path):
    path = rewritten(tmp_path / "w.pt", compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(BrokenPickleError, match="compressed or encrypted, as torch writes none"):
        read_weight_file(path)
    content = rewritten(path).read_bytes()
    place = content.rfind(b"PK\1\2")
    path.write_bytes(content[: place + 24] + b"\xff\xff\xff\x7f" + content[place + 28 :])
    with pytest.raises(BrokenPickleError, match="its members claim more bytes than the file has"):
        read_weight_file(path)


def test_a_repeated_value_may_fill_a_tensor_but_not_the_memory(tmp_path):
    torch.save(torch.ones(1).expand(2**29), tmp_path / "w.pt")
    with pytest.raises(BrokenPickleError, match="a tensor of 536,870,912 values with 1 values"):
        read_weight_file(tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path, zipped):
    path = tmp_path / "w.pt"
    torch.save({"x": torch.arange(4.0)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for kept in range(0, len(whole), 7):
        path.write_bytes(whole[:kept])
        with pytest.raises(BrokenPickleError):
            read_weight_file(path)


@pytest.mark.parametrize("value", [np.arange(3), np.arange(0), [1], "text", 1.0, None, True])
def test_a_pickle_that_is_none_of_torch_is_refused_whatever_it_holds(tmp_path, value):
    path = tmp_path / "w.pt"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(BrokenPickleError, match="a pickle, but none of torch.save"):
        read_weight_file(path)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("b", {"shape": [10**9, 10**9]}, "bytes and shape do not agree"),
        ("b", {"shape": [-2, -3, 4]}, "an impossible shape"),
        ("b", {"shape": [2**62, 0]}, "an impossible shape"),
        ("b", {"shape": [2**61, 2**61, 0]}, "an impossible shape"),
        ("b", {"shape": 3}, "a table that is not understood"),
        ("b", {"data_offsets": [1, 97]}, "overlap, or are not side by side"),
        ("b", {"data_offsets": [0]}, "a table that is not understood"),
        ("b", {"dtype": "F8_E4M3"}, "not understood .*F8_E4M3"),
        ("e", {"dtype": "U8", "shape": [10**6], "data_offsets": [153, 1000153]}, "it ends early"),
    ],
)
def test_safetensors_that_lie_are_refused(tmp_path, name, change, said):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors(TENSORS, **{name: change}))
    with pytest.raises(BrokenPickleError, match=said):
        read_weight_file(path)


@pytest.mark.parametrize("table", [b"{" + b"[" * 99999, b"{}x", b"{\xff}", b'{"a": 1}', b"{1: 2}"])
def test_safetensors_with_another_table_are_refused(tmp_path, table):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(table)) + table)
    with pytest.raises(BrokenPickleError, match="a table that is"):
        read_weight_file(path)
    path.write_bytes(struct.pack("<Q", 2**27) + b"{")
    os.truncate(path, 2**27 + 20)  # sparse
    with pytest.raises(BrokenPickleError, match="a table of 134,217,728 bytes"):
        read_weight_file(path)


class Other:
    pass


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (argparse.Namespace(lr=1), "argparse.Namespace"),
        (np.array([None]), r"numpy.dtype\(O8\)"),
        (torch.ones(2).to_sparse(), "torch._utils._rebuild_sparse_tensor"),
        (nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        (Other(), "test_weight_files.Other"),
        (print, "(__builtin__|builtins).print"),
    ],
)
def test_any_other_object_is_refused_by_name_with_one_text_everywhere(
    tmp_path, value, name, zipped
):
    path = tmp_path / "w.pt"
    torch.save(
        {"model": {"a": torch.ones(1)}, "x": value}, path, _use_new_zipfile_serialization=zipped
    )
    said = (
        rf"w\.pt: refused, and nothing was run: it asks for (a call of )?{name}.*save the weights"
    )
    for read in (read_file, read_checkpoint):
        with pytest.raises(UserError, match=said) as fault:
            read(path)
        assert "\n" not in str(fault.value)
        assert "delete" not in str(fault.value)
        assert "remove" not in str(fault.value)


def test_a_torchscript_program_is_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"linear/{name}", b"")
    with pytest.raises(ForeignObjectError, match="it asks for a TorchScript program"):
        read_weight_file(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_the_prefixes_of_wrappers_are_left_out_wherever_weights_are_read(tmp_path, prefix):
    source, module = nn.Linear(2, 3), nn.Linear(2, 3)
    state = {prefix + name: value for name, value in source.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    load_weights(module, str(tmp_path / "w.pt"), where="a")
    assert torch.equal(module.weight, source.weight)
    assert read_checkpoint(tmp_path / "w.pt")["model"].keys() == {"weight", "bias"}


SIZES = {"embed_dim": 16, "depth": 2, "num_heads": 2, "image_size": (28, 14), "taps": (0, 1)}


def hugging_face(state, prefix=""):
    """The names of Hugging Face's Dinov2Model, written out one by one."""
    found = {
        "embeddings.cls_token": state["cls_token"],
        "embeddings.mask_token": state["mask_token"],
        "embeddings.position_embeddings": state["pos_embed"],
        "embeddings.patch_embeddings.projection.weight": state["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": state["patch_embed.proj.bias"],
        "layernorm.weight": state["norm.weight"],
        "layernorm.bias": state["norm.bias"],
    }
    for block in range(2):
        there, here = f"encoder.layer.{block}.", f"blocks.{block}."
        for kind in ("weight", "bias"):
            query, key, value = state[f"{here}attn.qkv.{kind}"].chunk(3)
            found[f"{there}attention.attention.query.{kind}"] = query
            found[f"{there}attention.attention.key.{kind}"] = key
            found[f"{there}attention.attention.value.{kind}"] = value
            found[f"{there}attention.output.dense.{kind}"] = state[f"{here}attn.proj.{kind}"]
            for layer in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                found[f"{there}{layer}.{kind}"] = state[f"{here}{layer}.{kind}"]
        found[f"{there}layer_scale1.lambda1"] = state[f"{here}ls1.gamma"]
        found[f"{there}layer_scale2.lambda1"] = state[f"{here}ls2.gamma"]
    return {prefix + name: value for name, value in found.items()}


def random_vit():
    vit = VisionTransformer(**SIZES)
    for value in vit.state_dict().values():
        value.normal_()
    return vit


@pytest.mark.parametrize(
    "other",
    [
        lambda state: state,
        hugging_face,
        lambda state: hugging_face(state, "dinov2.") | {"classifier.weight": torch.ones(2, 2)},
        lambda state: {n: v for n, v in state.items() if n != "mask_token"},  # timm's
    ],
)
def test_a_dinov2_with_the_names_of_other_libraries_gives_the_same_features(tmp_path, other):
    source, vit = random_vit(), VisionTransformer(**SIZES)
    torch.save(other(source.state_dict()), tmp_path / "w.pt")
    load_dinov2(vit, str(tmp_path / "w.pt"))
    frames = torch.rand(2, 3, 28, 14)
    for found, expected in zip(vit(frames), source(frames), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["storage_tokens", "rope_embed.periods"], "this is a DINOv3, another network"),
        (["embeddings.cls_token", "layer.0.attention.q_proj.weight"], "this is a DINOv3"),
        (["model.layer.3.attention.q_proj.weight"], "this is a DINOv3"),
        (["register_tokens"], "this is a DINOv2 with register tokens"),
        (["embeddings.register_tokens"], "this is a DINOv2 with register tokens"),
        (["reg_token"], "this is a DINOv2 with register tokens"),
    ],
)
def test_registers_and_dinov3_are_refused_by_name(tmp_path, names, said):
    state = random_vit().state_dict() | {name: torch.ones(1) for name in names}
    with pytest.raises(ValueError, match=said):
        metas_names(state)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(UserError, match=rf"model_cfg\.dinov2_weights: .*w\.pt: {said}"):
        load_dinov2(VisionTransformer(**SIZES), str(tmp_path / "w.pt"))


@pytest.mark.parametrize(
    ("width", "heads"), [(384, 6), (768, 12), (1024, 16), (1536, 24), (128, 4)]
)
def test_the_heads_of_a_dinov2_have_64_channels(width, heads):
    check_heads(width, heads)
    if width == 128:  # nobody published one
        return
    with pytest.raises(
        ValueError, match=rf"num_heads {heads // 2} with .*write num_heads: {heads}"
    ):
        check_heads(width, heads // 2)


def test_a_model_is_not_built_with_heads_that_give_other_features():
    sizes = {"embed_dim": 768, "depth": 1, "num_heads": 6, "patch_size": 14}
    with pytest.raises(ValueError, match="num_heads 6 with embed_dim 768.*write num_heads: 12"):
        frozen_dinov2({**sizes, "input_size": [28, 14], "pretrain_grid": 2, "taps": [0]})
