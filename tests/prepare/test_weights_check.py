"""Weights of DINOv2 and of the mask branch; and what the check tells of a file."""

import pickle

import pytest
import torch
from published_files import (
    Hostile,
    best_model,
    best_shape,
    filled,
    mask_branch,
    published,
    vit,
    write_published,
)

from opengait_ext.engine.checkpoint import read_checkpoint
from opengait_ext.layers.gait import MaskBranch
from opengait_ext.layers.resnet import resnet_stem
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.pretrained.run import main
from opengait_ext.weights import load_weights


@pytest.fixture
def states():
    return published()


def shapes_of(state):
    return {name: list(value.shape) for name, value in state.items()}


def small_vit():
    return VisionTransformer(8, 2, 2, (28, 14), pretrain_grid=4, taps=(0, 1))


def imported(task, content, tmp_path):
    """Runs an import of one file; gives its exit status and the target."""
    torch.save(content, tmp_path / "source.pth")
    target = tmp_path / "target.pt"
    target.unlink(missing_ok=True)
    options = ["--source", str(tmp_path / "source.pth"), "--target", str(target)]
    return main([f"import-{task}", *options]), target


def test_an_imported_dinov2_loads_where_the_config_takes_it(tmp_path, capsys):
    source, vit_here = small_vit(), small_vit()
    assert shapes_of(source.state_dict()) == vit(width=8, depth=2, grid=4)
    status, target = imported("dinov2", source.state_dict(), tmp_path)
    assert status == 0
    load_weights(vit_here, str(target), where="model_cfg.dinov2_weights")
    for name, value in source.state_dict().items():
        assert torch.equal(vit_here.state_dict()[name], value)
    said = capsys.readouterr().out
    assert "embed_dim: 8, depth: 2, num_heads: 1, patch_size: 14, pretrain_grid: 4" in said
    assert f"model_cfg.dinov2_weights: {target}" in said


def test_the_published_dinov2_fits(tmp_path):
    status, target = imported("dinov2", filled(vit()), tmp_path)
    assert status == 0
    assert shapes_of(read_checkpoint(target)["model"]) == vit()


def without_block_1(state):
    return {name: value for name, value in state.items() if not name.startswith("blocks.1.")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: state | {"register_tokens": torch.ones(1, 4, 8)},
            "The version without registers is needed: dinov2_vits14_pretrain.pth",
        ),
        (without_block_1, "blocks.2.norm1.weight: [8] in the file, no such tensor expected"),
        (without_block_1, "blocks.1.norm1.weight: not in the file, [8] expected"),
        (
            lambda state: state | {"blocks.0.mlp.w12.weight": torch.ones(64, 8)},
            "blocks.0.mlp.w12.weight: [64, 8] in the file, no such tensor expected",
        ),
        (lambda state: state | {"norm.bias": torch.ones(8).log() / 0}, "norm.bias: holds NaN"),
        (lambda state: {"teacher": state}, "these are none: teacher"),
        (lambda state: filled(best_shape()), "source.pth looks like best_shape.pth"),
    ],
)
def test_another_transformer_than_a_plain_dinov2_is_refused(tmp_path, capsys, change, said):
    status, target = imported("dinov2", change(filled(vit(width=8, depth=3, grid=4))), tmp_path)
    assert status == 1
    assert said in capsys.readouterr().err
    assert not target.exists()


def hugging_face(state):
    """A DINOv2 under names that `metas_names` brings back, as tests/test_weight_files.py shows."""
    named = {
        name.replace("norm.", "layernorm."): state[name] for name in state if name[:5] == "norm."
    }
    for name in ("cls_token", "mask_token"):
        named[f"embeddings.{name}"] = state[name]
    named["embeddings.position_embeddings"] = state["pos_embed"]
    for kind in ("weight", "bias"):
        projected = state[f"patch_embed.proj.{kind}"]
        named[f"embeddings.patch_embeddings.projection.{kind}"] = projected
    for name in (name for name in state if name.startswith("blocks.")):
        _, block, rest = name.split(".", 2)
        start = f"encoder.layer.{block}."
        if rest.startswith("attn.qkv."):
            for part, value in zip(("query", "key", "value"), state[name].chunk(3), strict=True):
                named[f"{start}attention.attention.{part}.{rest[9:]}"] = value
        else:
            rest = rest.replace("attn.proj.", "attention.output.dense.")
            rest = rest.replace("ls1.gamma", "layer_scale1.lambda1")
            named[start + rest.replace("ls2.gamma", "layer_scale2.lambda1")] = state[name]
    return named


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [hugging_face, lambda state: {f"module.{n}": v for n, v in state.items()}]
)
def test_a_dinov2_of_other_libraries_is_imported_under_metas_names(tmp_path, capsys, change):
    state = filled(vit())
    status, target = imported("dinov2", change(state), tmp_path)
    assert status == 0
    found = read_checkpoint(target)["model"]
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert torch.equal(found[name], value)
    assert "embed_dim: 384, depth: 12, num_heads: 6" in capsys.readouterr().out
    said = checked(change(state), tmp_path, capsys)
    assert "num_heads   6, with embed_dim 384" in said
    assert "kind        DINOv2" in said


def test_a_dinov3_is_named(tmp_path, capsys):
    state = filled(vit(width=8, depth=2, grid=4)) | {"storage_tokens": torch.ones(1)}
    status, target = imported("dinov2", state, tmp_path)
    assert status == 1
    assert "this is a DINOv3, another network than DINOv2" in capsys.readouterr().err
    assert not target.exists()
    assert "kind        DINOv3, which this project does not use" in checked(state, tmp_path, capsys)


def test_a_mask_branch_is_imported_without_its_entry_too(tmp_path):
    state = filled(mask_branch(8))
    status, target = imported("mask", state, tmp_path)
    assert status == 0
    (tmp_path / "b").mkdir()
    expected = imported("mask", {"model": state}, tmp_path / "b")[1]
    found, expected = (read_checkpoint(path)["model"] for path in (target, expected))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value)


@pytest.mark.parametrize("counted", [True, False])
def test_an_imported_mask_branch_loads_where_the_config_takes_it(tmp_path, capsys, counted):
    state = filled(mask_branch(8))
    if not counted:
        state = {name: value for name, value in state.items() if "batches" not in name}
    status, target = imported("mask", {"model": state, "iteration": 5}, tmp_path)
    assert status == 0
    branch = MaskBranch(8)
    load_weights(branch, str(target), where="model_cfg.mask_weights")
    for ours, theirs in (
        (branch.norm.running_mean, "bn_s.running_mean"),
        (branch.norm.running_var, "bn_s.running_var"),
        (branch.encoder.weight, "down_sampling.weight"),
        (branch.encoder.bias, "down_sampling.bias"),
        (branch.decoder.weight, "up_sampling.weight"),
        (branch.decoder.bias, "up_sampling.bias"),
    ):
        assert torch.equal(ours, state[theirs])
    count = state["bn_s.num_batches_tracked"].item() if counted else 0
    assert branch.norm.num_batches_tracked.item() == count
    said = capsys.readouterr().out
    assert "source.pth: bn_t.running_mean" in said
    assert f"model_cfg.mask_weights: {target}" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: {"model": state | {"up_sampling.bias": torch.ones(9)}},
            "up_sampling.bias: [9] in the file, [8] expected",
        ),
        (
            lambda state: {"model": {n: v for n, v in state.items() if n != "bn_s.running_var"}},
            "bn_s.running_var: not in the file, [8] expected",
        ),
        (lambda state: {"model": filled(best_model())}, "looks like best_model.pth"),
    ],
)
def test_another_mask_branch_is_refused(tmp_path, capsys, change, said):
    status, target = imported("mask", change(filled(mask_branch(8))), tmp_path)
    assert status == 1
    assert said in capsys.readouterr().err
    assert not target.exists()


def checked(content, tmp_path, capsys, *more):
    torch.save(content, tmp_path / "any.pt")
    assert main(["check", str(tmp_path / "any.pt"), *more]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_the_check_knows_each_kind_of_weights(states, tmp_path, capsys):
    main(write_published(tmp_path, states))
    capsys.readouterr()
    ours = torch.load(tmp_path / "out.pt", weights_only=True)
    resnet = resnet_stem().state_dict()
    resnet |= {f"layer{n}.0.conv1.weight": torch.ones(1) for n in range(1, 5)}
    trained = {"iteration": 40, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
    trained |= {"config": {"model_cfg": {"model": "AGW"}}}
    for content, kind in (
        (states["model"], "best_model.pth of DinoGRL's authors"),
        (states["attention"], "best_model2.pth of DinoGRL's authors"),
        (states["shape"], "best_shape.pth of DinoGRL's authors"),
        (ours, "imported checkpoint: weights of this project's DinoGRL"),
        (ours["model"], "weights of this project's DinoGRL"),
        (filled(vit(8, 2, 4)), "DINOv2, Meta's names"),
        ({"model": filled(mask_branch(8))}, "mask branch of BigGait, its authors' names"),
        (MaskBranch(8).state_dict(), "mask branch, this project's names"),
        (resnet, "ResNet, torchvision's names"),
        ({"model": resnet} | trained, "checkpoint of AGW at iteration 40: ResNet, torchvision's"),
        ({"model": {"a": torch.ones(1)}, "iteration": 3}, "checkpoint at iteration 3: unknown"),
        ({"a": {"b": torch.ones(1)}}, "unknown"),
        ([], "unknown"),
    ):
        assert f"  kind        {kind}" in checked(content, tmp_path, capsys)
    said = checked({"model": resnet} | trained, tmp_path, capsys)
    assert "  entry       model; beside it: iteration, optimizer, config\n" in said
    said = checked(ours, tmp_path, capsys)
    assert "  imported by datasets/prep/weights.py import-dinogrl, version " in said
    assert "  from        best_shape.pth, " in said


def test_the_check_counts_groups_and_lists_names(tmp_path, capsys):
    state = {"a.b.weight": torch.ones(2, 3), "a.b.bias": torch.ones(3).half(), "c": torch.ones(())}
    state["a.d.weight"] = torch.tensor([1.0, float("nan")])
    said = checked(state, tmp_path, capsys)
    lines = said.splitlines()
    assert "  tensors     4, with 12 values" in lines
    assert "  types       float32 (3), float16 (1)" in lines
    assert "  not finite  1: a.d.weight" in lines
    size = (tmp_path / "any.pt").stat().st_size
    assert f"  size        {size:,} bytes" in lines
    table = [line.split() for line in lines[lines.index("") + 1 :]]
    assert table == [
        ["group", "tensors", "values"],
        ["a.b", "2", "9"],
        ["c", "1", "1"],
        ["a.d", "1", "2"],
    ]
    listed = checked(state, tmp_path, capsys, "--names").removeprefix(said).splitlines()
    assert [line.split(maxsplit=2) for line in listed[1:]] == [
        ["a.b.weight", "float32", "[2, 3]"],
        ["a.b.bias", "float16", "[3]"],
        ["c", "float32", "[]"],
        ["a.d.weight", "float32", "[2]"],
    ]


def test_a_long_name_does_not_widen_the_tables(tmp_path, capsys):
    state = {"x" * 5000: torch.ones(2), "\x1b" * 900 + ".w": torch.ones(1), "short": torch.ones(3)}
    said = checked(state, tmp_path, capsys, "--names")
    assert f"\n{'x' * 117}...         1             2\n" in said
    assert f"\n{'x' * 117}...  float32   [2]\n" in said
    assert f"\n{'short':<120}  float32   [3]\n" in said
    assert max(map(len, said.splitlines())) < 200


def test_the_check_is_not_led_astray_by_a_file(tmp_path, capsys):
    doubled = [torch.ones(3)]
    for _ in range(60):
        doubled = [doubled, doubled]
    content = {"x": [torch.ones(2)], "y": doubled, "\x1b[2J": torch.ones(1)}
    said = checked(content, tmp_path, capsys, "--names")
    assert "  tensors     3, with 6 values" in said
    assert "\x1b" not in said
    assert r"\x1b[2J" in said
    assert r"'\x1b[2J'" not in said  # as everywhere else
    doubled.append(doubled)
    torch.save(content, tmp_path / "any.pt")
    assert main(["check", str(tmp_path / "any.pt")]) == 1
    assert "cannot be read as a file of torch.save or safetensors (it holds itself" in (
        capsys.readouterr().err
    )


def test_a_file_that_cannot_be_read_safely_is_not_checked(tmp_path, capsys):
    path = tmp_path / "any.pt"
    assert main(["check", str(path)]) == 1
    path.write_bytes(pickle.dumps({"a": Hostile(str(tmp_path / "made"))}))
    assert main(["check", str(path)]) == 1
    path.write_text("<html></html>")
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "no file at" in said.err
    assert "incomplete or something else" in said.err
    assert not (tmp_path / "made").exists()
