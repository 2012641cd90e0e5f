"""What only a CUDA device can show; `make gpu-check` runs these."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine_parts import CATALOG, make_config
from shared_batch import MODEL_CFG, Wide, make, whole_batch

from opengait_ext.engine import random_state, run
from opengait_ext.engine.devices import Computation, choose_computation, choose_device
from opengait_ext.engine.loader import make_loader
from opengait_ext.layers.line_sums import line_factors, line_sums

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]
CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize("name", MODEL_CFG)
def test_a_model_gives_the_embeddings_of_the_cpu_in_float64(name):
    model = make(name).eval()
    found = []
    for device in (torch.device("cpu"), CUDA):
        model = Wide(device).place(model)
        with torch.no_grad():
            output = model(Wide(device).inputs(whole_batch(0)))
        found.append(output["inference_feat"]["embeddings"].cpu())
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-8)


def test_sums_over_lines_and_their_gradients_are_those_of_the_cpu():
    torch.manual_seed(0)
    shapes = [(3, 2, 8), (3, 2, 8), (2, 2, 2), (2, 2, 2)]
    inputs = [torch.randn(shape).double() for shape in shapes]
    found = []
    for device in (torch.device("cpu"), CUDA):
        vector, strip, line, mixing = (x.to(device).detach().requires_grad_() for x in inputs)
        sums = line_sums(vector, strip, line, line_factors(line, mixing))
        sums.square().sum().backward()
        found.append([x.cpu() for x in (sums.detach(), vector.grad, strip.grad, line.grad)])
    torch.testing.assert_close(found[1], found[0])


def test_bfloat16_computes_products_and_leaves_embeddings_near():
    model, batch = make("AGW").float().eval(), whole_batch(0)
    found = []
    for precision in ("float32", "bfloat16"):
        computation = choose_computation(CUDA, precision, "here")
        computation.place(model)
        with torch.no_grad():
            output = computation.forward(model, batch)
        found.append(output["inference_feat"]["embeddings"].float().flatten(1))
    assert not torch.equal(*found)
    assert float(torch.cosine_similarity(*found).min()) > 0.99


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_run_trains_and_tests_in_every_precision(toy_root, work, precision):
    changes = {"trainer_cfg.precision": precision, "trainer_cfg.accumulate": 2}
    result = run(make_config(toy_root, changes), "both", "cuda", False, [], CATALOG)
    assert result["iteration"] == 6
    assert result["device"].startswith("cuda:0 (")
    stored = np.load(work / "output/Toy/Tiny/toy/test/embeddings.npz")["embeddings"]
    assert np.isfinite(stored).all()


def test_a_run_that_stopped_goes_on_to_the_same_weights(toy_root, tmp_path, monkeypatch):
    found = []
    for name, stops in (("whole", (6,)), ("broken", (3, 6))):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        for total in stops:
            config = make_config(toy_root, {"trainer_cfg.total_iter": total})
            run(config, "train", "cuda", False, [], CATALOG)
        path = folder / "output/Toy/Tiny/toy/checkpoints/toy-00006.pt"
        found.append(torch.load(path, weights_only=True, map_location="cpu")["model"])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


def test_the_generator_of_the_device_is_captured_and_restored():
    state = random_state.captured(CUDA)
    first = torch.rand(4, device=CUDA)
    random_state.restore(state, CUDA)
    assert torch.equal(torch.rand(4, device=CUDA), first)


def test_batches_wait_in_pinned_memory():
    sample = SimpleNamespace(
        frames=torch.zeros(2, 3, 4, 4, dtype=torch.uint8), label=0, type="ir", view="v", position=0
    )
    loader = make_loader([sample], [[0, 0]], 0, CUDA)
    (batch,) = loader
    assert batch.frames.is_pinned()
    (frames,), labels, *_ = Computation(CUDA).inputs(batch)
    assert frames.device == labels.device == CUDA


def test_auto_is_the_device_of_this_process():
    assert choose_device("auto") == CUDA
    assert json.dumps(str(choose_device("cuda"))) == '"cuda:0"'
