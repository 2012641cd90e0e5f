import json
import logging
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_parts import SIZE, Tiny, catalog_of, make_config, same, weights
from fake_clock import CLOCK
from torch import nn

from opengait_ext.config import ConfigError
from opengait_ext.data.collate import Batch
from opengait_ext.engine import run
from opengait_ext.engine.compiled import Compilation
from opengait_ext.engine.devices import Computation, choose_computation
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.objective import Objective
from opengait_ext.engine.steps import Step
from opengait_ext.layers.frozen import freeze
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.losses import CrossEntropyLoss, TripletLoss
from opengait_ext.models import MODELS

CPU = torch.device("cpu")
# What torch needs to compile for a processor.
COMPILES = bool(shutil.which("g++")) and Path(sysconfig.get_path("include"), "Python.h").is_file()
SIZES = {
    "embed_dim": 16,
    "depth": 1,
    "num_heads": 2,
    "patch_size": 14,
    "input_size": [56, 28],
    "pretrain_grid": 4,
    "taps": [0],
}


class Slow(VisionTransformer):
    def forward(self, frames):
        if not torch.compiler.is_compiling():
            CLOCK.passes(0.05)
        return super().forward(frames)


class Gait(Tiny):
    """The tiny model behind a frozen transformer of one block, which is slow where it can be."""

    frozen_parts = ("dinov2",)

    def build(self, num_identities):
        super().build(num_identities)
        sizes = {key: value for key, value in SIZES.items() if key != "input_size"}
        self.dinov2 = freeze(Slow(image_size=SIZES["input_size"], **sizes))

    def forward(self, inputs):
        frames = inputs[0][0].flatten(0, 1)
        with torch.no_grad():
            tokens = self.dinov2(frames)[0]  # [f, t, d]
        outputs = super().forward(inputs)
        pooled = torch.stack([part.mean((0, 1)) for part in tokens.split(inputs[0][0].shape[1])])
        outputs["inference_feat"]["embeddings"] = pooled[..., None]  # [n, d, 1]
        return outputs


def stored(folder):
    with np.load(folder / "output/Toy/Gait/toy/test/embeddings.npz") as file:
        return file["embeddings"]


@pytest.mark.slow
def test_a_test_with_a_compiled_transformer_gives_the_same_embeddings(
    toy_root, work, caplog, monkeypatch
):
    CLOCK.put_in(monkeypatch)
    caplog.set_level(logging.INFO)
    catalog = catalog_of(Gait)
    config = make_config(toy_root, {"model_cfg.model": "Gait", "trainer_cfg.total_iter": 1})
    assert run(config, "both", "cpu", catalog=catalog)["compiled"] == []
    plain = stored(work)
    config["evaluator_cfg"]["compile"] = "auto"  # batches of 10, 10 and 4 frames
    with torch._inductor.config.patch({"cpp.simdlen": 1}):  # shorter code: compiled sooner
        record = run(config, "test", "cpu", catalog=catalog)
    assert record == json.loads((work / "output/Toy/Gait/toy/test/metrics.json").read_text())
    np.testing.assert_allclose(stored(work), plain, atol=1e-5)
    (line,) = (line for line in caplog.messages if line.startswith("compile: "))
    if COMPILES:
        assert record["compiled"] == ["dinov2"]
        assert ": compiled (found out in " in line
    elif not record["compiled"]:
        assert line.startswith("compile: dinov2 stays as it is: it cannot be compiled here: ")


class Wave(nn.Module):
    def forward(self, frames):
        return (frames.exp() * 3).round().sin()


@pytest.mark.slow
def test_without_a_compiler_a_part_stays_as_it_is_and_the_log_says_why(caplog):
    frames, part = torch.rand(4, 3), Wave()
    expected = part(frames)
    model = nn.ModuleDict({"wave": part})
    model.frozen_parts = ("wave",)
    compilation = choose_computation(CPU, "float32", "trainer_cfg", "auto").compilation
    with torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        for _ in range(2):
            with compilation.of(model):
                assert torch.equal(part(frames), expected)
    assert compilation.used == set()
    (line,) = (line for line in caplog.messages if line.startswith("compile: "))
    assert line.startswith("compile: wave stays as it is: it cannot be compiled here: ")
    assert "no-such-compiler" in line


@pytest.mark.slow
def test_a_model_without_frozen_parts_says_so_once_a_section_and_runs(toy_root, work, caplog):
    caplog.set_level(logging.INFO)
    config = make_config(toy_root, {"trainer_cfg.total_iter": 2})
    plain = run(config, "both", "cpu", catalog=catalog_of(Tiny))
    kept = weights(work, 2)["model"]
    config = make_config(
        toy_root,
        {
            "trainer_cfg.total_iter": 2,
            "trainer_cfg.restore_hint": 0,
            "trainer_cfg.compile": "auto",
            "evaluator_cfg.compile": "auto",
        },
    )
    again = run(config, "both", "cpu", catalog=catalog_of(Tiny))
    assert same(weights(work, 2)["model"], kept)
    assert (again["result"], again["compiled"]) == (plain["result"], [])
    lines = [line for line in caplog.messages if line.startswith("compile: ")]
    assert lines == 2 * ["compile: Tiny has no frozen part; left as it is"]


@pytest.mark.slow
def test_a_training_step_compiles_only_what_is_frozen():
    model, asked = Gait(), []
    model.build(4)

    def asking(call):
        asked.append(call.__self__)
        return call

    computation = Computation(CPU, compilation=Compilation(CPU, compiler=asking))
    images = torch.randint(256, (4, 2, 3, *SIZE), dtype=torch.uint8)
    given = Batch(images, torch.arange(4), ["rgb"] * 4, ["a"] * 4, None, torch.arange(4))
    objective = Objective({"id": CrossEntropyLoss(), "triplet": TripletLoss(margin=0.2)}, Group())
    Step(model, objective, computation, computation.scaler(), pieces=2)(given)
    assert asked == [model.dinov2]
    assert model.convolution.weight.grad is not None


@pytest.mark.parametrize("section", ["trainer_cfg", "evaluator_cfg"])
def test_another_word_than_never_and_auto_is_refused(toy_root, section):
    config = make_config(toy_root, {f"{section}.compile": "always"})
    with pytest.raises(ConfigError, match="compile: expected one of never, auto, found 'always'"):
        run(config, "both", "cpu", catalog=catalog_of(Tiny))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BigGait", "DinoGRL", "DinoGRLReleased"])
def test_the_frozen_part_of_every_model_with_a_transformer_is_that(name):
    model = MODELS[name]()
    sizes = {"image_size": [32, 16], "dinov2": SIZES, "dinov2_weights": None, "bins": [1, 2]}
    more = {} if name == "BigGait" else {"backbone_weights": None}
    model.build(num_identities=3, part_channels=8, **sizes, **more)
    parts = [model.get_submodule(part) for part in model.frozen_parts]
    assert parts == [module for module in model.modules() if isinstance(module, VisionTransformer)]
    assert not any(weight.requires_grad for part in parts for weight in part.parameters())
