"""Our BigGait beside that of a checkout, of the same weights and the same frames, in float64.

Their transformer has a size of its own; to save time, both have its first four blocks alone, apart
from one test.
"""

import os
import random
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from opengait_ext.config import build, load_config
from opengait_ext.layers.foreground import shaped_as
from opengait_ext.losses import LOSSES
from opengait_ext.models.biggait import BigGait
from opengait_ext.released import BIGGAIT, MASK_BRANCH, translate
from opengait_ext.upstream.zoo_package import Package

CHECKOUT = os.environ.get("OPENGAIT_ROOT", "")
pytestmark = [
    pytest.mark.needs_opengait,
    pytest.mark.skipif(not CHECKOUT, reason="OPENGAIT_ROOT names no checkout of OpenGait"),
]
CONFIG = Path(__file__).parents[2] / "configs" / "biggait_ccpg.yaml"
CLASSES = 5
RATIOS = torch.tensor([[0.5], [0.3], [0.77], [0.36]])  # [n, s], width by height
close = partial(torch.testing.assert_close, rtol=1e-7, atol=1e-9)


class Base(nn.Module):
    """What a model file of the checkout needs of the class it derives from."""

    def __init__(self, model_cfg):
        super().__init__()
        self.iteration = 0
        self.msg_mgr = Silent()
        self.build_network(model_cfg)
        self.init_parameters()


class Silent:
    """Takes what a model tells."""

    def log_info(self, text):
        """Tells nobody."""


class Both:
    """The two networks, their frames, and what theirs gave away of its inner values."""

    def __init__(self, folder, blocks):
        self.package = Package(Path(CHECKOUT), Base)
        self.folder, self.blocks, self.seen = folder, blocks, {}
        vit = self.fresh(12).dinov2
        for parameter in vit.parameters():  # shifts start at zero
            parameter.data += 0.05 * torch.randn_like(parameter)
        torch.save(vit.state_dict(), folder / "dinov2.pt")
        self.theirs = self.build_theirs()
        self.theirs.backbone.blocks = self.theirs.backbone.blocks[:blocks]
        scatter(self.theirs)
        self.state = {name: value.clone() for name, value in self.theirs.state_dict().items()}
        mask = {k: v + 0.1 for k, v in self.theirs.Mask_Branch.state_dict().items()}
        torch.save({"model": mask}, folder / "mask.pt")
        torch.save(translate(mask, MASK_BRANCH).weights, folder / "mask_here.pt")
        self.listen()

    def fresh(self, blocks, **changes):
        section = load_config(CONFIG)["model_cfg"]
        step = blocks // 4
        section["dinov2"] |= {"depth": blocks, "taps": [step * n - 1 for n in range(1, 5)]}
        model = BigGait()
        model.build_network(section | {"num_identities": CLASSES, "mask_weights": None} | changes)
        return model

    def build_theirs(self):
        network = self.package.module("modeling.models.BigGait").BigGait__Dinov2_Gaitbase
        given = Path(CHECKOUT) / "configs" / "biggait" / "BigGait_CCPG.yaml"
        given = yaml.safe_load(given.read_text())["model_cfg"]
        given["pretrained_dinov2"] = str(self.folder / "dinov2.pt")
        given["pretrained_mask_branch"] = str(self.folder / "mask.pt")
        given["SeparateBNNecks"]["class_num"] = CLASSES
        return network(given).double()

    def listen(self):
        def remember(name, value):
            self.seen[name] = value

        theirs = self.theirs
        theirs.backbone.register_forward_hook(lambda _m, _i, output: remember("tokens", output))
        theirs.gait_net.register_forward_pre_hook(lambda _m, given: remember("maps", given[:2]))
        edge = theirs.get_edge

        def get_edge(silhouettes):
            remember("silhouettes", edge(silhouettes))
            return self.seen["silhouettes"].clone()

        theirs.get_edge = get_edge

    def restart(self, iteration=0, training=False, mask_weights=None):
        """Gives both networks the weights from which they were compared first."""
        self.theirs.load_state_dict(self.state)
        self.ours = self.fresh(self.blocks, mask_weights=mask_weights).double()
        self.ours.load_state_dict(translate(self.state, BIGGAIT).weights)
        for model in (self.ours, self.theirs):
            model.train(training)
            model.iteration = iteration

    def run(self, inputs):
        """Gives what each returns, drawing the same random numbers."""
        outputs = []
        for model in (self.ours, self.theirs):
            random.seed(3)
            torch.manual_seed(3)
            with torch.no_grad():
                outputs.append(model(inputs))
        return outputs


def scatter(model):
    """Moves all weights and statistics behind the transformer away from where they start."""
    torch.manual_seed(1)
    for name, value in model.state_dict().items():
        if name.startswith("backbone.") or not value.is_floating_point():
            continue
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        else:
            value.add_(0.05 * torch.randn_like(value))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Both(tmp_path_factory.mktemp("biggait"), blocks=4)


def batch(size=(256, 128), ratios=RATIOS):
    torch.manual_seed(2)
    n, s = ratios.shape
    frames = torch.randn(n, s, 3, *size, dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])[:n]
    return [frames, ratios.double()], labels, ["U0_D0"] * n, ["00_1"] * n, None


def assert_equal_maps(both, inputs):
    """Compares tokens, foreground and the maps of the branches."""
    frames, ratios = inputs[0][0].flatten(0, 1), inputs[0][1].flatten()
    with torch.no_grad():
        shaped = shaped_as(frames, both.ours.map_size, ratios, "middle")
        last, joined = both.ours.dinov2(shaped)
    tokens = both.seen["tokens"]
    close(last, tokens["x_norm_patchtokens"])
    close(joined, tokens["x_norm_patchtokens_mid4"])
    with torch.no_grad():
        made = both.ours.maps(frames, ratios)
    close(made.silhouettes, both.seen["silhouettes"].view_as(made.silhouettes))
    assert 0.01 < float((made.silhouettes > 0).float().mean()) < 0.99
    for ours, theirs in zip((made.gait, made.appearance), both.seen["maps"], strict=True):
        theirs = theirs.transpose(1, 2).flatten(0, 1)  # [n, 16, s, h, w] -> [f, 16, h, w]
        close(ours, theirs)


def assert_equal_embeddings(outputs):
    close(*(output["inference_feat"]["embeddings"] for output in outputs))


@pytest.mark.parametrize("size", [(256, 128), (64, 64)])
def test_in_a_test_all_values_are_equal(both, size):
    inputs = batch(size)
    both.restart()
    both.ours.image_size = list(size)
    outputs = both.run(inputs)
    assert_equal_maps(both, inputs)
    assert_equal_embeddings(outputs)


def test_with_the_whole_transformer_all_values_are_equal(tmp_path):
    both = Both(tmp_path, blocks=12)
    inputs = batch(ratios=RATIOS[:1])
    both.restart()
    outputs = both.run(inputs)
    assert_equal_maps(both, inputs)
    assert_equal_embeddings(outputs)


def test_tracklets_of_unequal_length_are_embedded_alike(both):
    frames, ratios = (part.transpose(0, 1) for part in batch()[0])  # [1, f, ...]
    lengths = torch.tensor([[3, 1]], dtype=torch.int32)
    both.restart()
    inputs = ([frames, ratios], torch.tensor([0, 1]), ["U0_D0"] * 2, ["00_1"] * 2, lengths)
    assert_equal_embeddings(both.run(inputs))


def assert_equal_training(both, ours, theirs):
    """Compares the losses, each with the factor that it has in the sum, and what they are of."""
    losses = {}
    for section in load_config(CONFIG)["loss_cfg"]:
        prefix = section["log_prefix"]
        settings = {key: value for key, value in section.items() if key != "log_prefix"}
        loss = build(LOSSES, settings, where="loss_cfg")
        losses[prefix] = loss(**ours[prefix])[0] * loss.loss_term_weight
    assert set(losses) == set(theirs)
    expected = {name: value for name, value in theirs.items() if torch.is_tensor(value)}
    triplet = both.package.module("modeling.losses.triplet").TripletLoss(0.2)
    softmax = both.package.module("modeling.losses.ce").CrossEntropyLoss()
    # Without the gathering over processes, of which there is one.
    expected["triplet"] = triplet.forward.__wrapped__(triplet, **theirs["triplet"])[0].mean()
    expected["softmax"] = softmax(**theirs["softmax"])[0].mean()
    for name, value in expected.items():
        single = name in ("triplet", "softmax")  # theirs go on in float32
        close(losses[name], value.double(), rtol=1e-5 if single else 1e-7, msg=name)
    for name, part in (("triplet", "embeddings"), ("softmax", "logits")):
        close(ours[name][part], theirs[name][part])


def test_in_training_all_losses_are_equal(both):
    both.restart(training=True)
    ours, theirs = both.run(batch())
    assert_equal_training(both, ours["training_feat"], theirs["training_feat"])


@pytest.mark.parametrize("iteration", [500, 501])
def test_the_mask_branch_rests_as_theirs_does(both, iteration):
    both.restart(iteration, training=True, mask_weights=str(both.folder / "mask_here.pt"))
    ours, theirs = both.run(batch())
    assert_equal_training(both, ours["training_feat"], theirs["training_feat"])
    expected = translate(both.theirs.Mask_Branch.state_dict(), MASK_BRANCH).weights
    for name, value in both.ours.branches.mask.state_dict().items():
        assert torch.equal(value, expected[name])
    moved = not torch.equal(value, both.state["Mask_Branch.up_sampling.bias"])
    assert moved == (iteration == 500)


def test_after_a_step_the_statistics_are_equal(both):
    both.restart(training=True)
    both.run(batch())
    expected = translate(both.theirs.state_dict(), BIGGAIT).weights
    for name, value in both.ours.state_dict().items():
        close(value, expected[name], msg=name)


def test_both_networks_draw_their_weights_alike(both):
    fresh = both.fresh(12)
    expected = translate(both.build_theirs().state_dict(), BIGGAIT).weights
    compared = 0
    for name, value in fresh.state_dict().items():
        if not name.startswith("dinov2.") and value.numel() > 200 and value.std() > 0:
            assert float(value.std() / expected[name].std()) == pytest.approx(1, abs=0.2), name
            close(float(value.mean()), float(expected[name].mean()), rtol=0, atol=0.01)
            compared += 1
    assert compared > 15
