"""LGE and PBMGE, which here sort instead of multiplying matrices, against the published ones."""

import torch
from golden_values import Part, fill, reads, their_name

from opengait_ext.layers.enhancement import PBMGE, LocalGlobalEnhancement
from opengait_ext.released import ATTENTION

STEP = Part(ATTENTION, "enhance_app_net_3.", "pbmge.appearance.0.")
BOTH = Part(ATTENTION, "", "pbmge.")
BINS = (1, 2, 4, 8, 16)
ENTRIES = 32  # of a gradient, from its start
# In training the normalization behind them takes them out again: what is there is rounding.
WITHOUT_EFFECT = ("W1.0.bias", "W2.0.bias")


def check_step(golden, case, mode):
    vector, strip, factors = (golden.tensor(f"{case}/{name}") for name in "qkr")
    channels = vector.shape[1]
    lge = fill(LocalGlobalEnhancement(channels), STEP, f"{case}.", golden.salt)
    lge.train(mode == "train")
    vector.requires_grad_(), strip.requires_grad_()
    output = lge(vector, strip.unsqueeze(2))
    (output * factors).sum().backward()
    golden.check(f"{case}/{mode}/out", output)
    golden.check(f"{case}/{mode}/dq", vector.grad)
    golden.check(f"{case}/{mode}/dk", strip.grad)
    for name, parameter in lge.named_parameters():
        theirs = their_name(name, STEP)
        scale = None
        if mode == "train" and theirs in WITHOUT_EFFECT:
            scale = factors.abs().sum().item()
        gradient = parameter.grad.flatten()[:ENTRIES]
        golden.check(f"{case}/{mode}/grad/{theirs}", gradient, scale)
    for name, buffer in lge.named_buffers():
        if "num_batches" not in name:
            golden.check(f"{case}/{mode}/buffer/{their_name(name, STEP)}", buffer)


@reads("lge256/*", "lge16/*")
def test_a_step_of_lge_gives_the_published_values_gradients_and_running_statistics(golden):
    for case in ("lge256", "lge16"):
        for mode in ("eval", "train"):
            check_step(golden, case, mode)


@reads("pbmge/*")
def test_pbmge_gives_the_published_vectors_and_running_statistics(golden):
    for mode in ("eval", "train"):
        module = PBMGE(256, BINS, share_granularities=True)
        fill(module, BOTH, "", golden.salt).train(mode == "train")
        gait, appearance = golden.tensor("pbmge/shape31"), golden.tensor("pbmge/app31")
        with torch.no_grad():
            gait, appearance = module(gait, appearance)
        golden.check(f"pbmge/{mode}/shape_enh4", gait[:, :, 1:])
        golden.check(f"pbmge/{mode}/app_enh4", appearance[:, :, 1:])
        for name, buffer in module.named_buffers():
            golden.check(f"pbmge/{mode}/buffer/{their_name(name, BOTH)}", buffer)
