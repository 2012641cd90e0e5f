"""A small BigGait, and batches for it."""

import random

import torch

from opengait_ext.models.biggait import BigGait

SIZES = {
    "embed_dim": 16,
    "depth": 4,
    "num_heads": 2,
    "patch_size": 14,
    "input_size": [56, 28],
    "pretrain_grid": 4,
    "taps": [0, 1, 2, 3],
}
SMALL = {
    "num_identities": 3,
    "image_size": [32, 16],
    "dinov2": SIZES,
    "dinov2_weights": None,
    "map_size": [8, 4],
    "channels": [8, 8, 16, 16],
    "bins": [1, 2],
    "part_channels": 8,
}


def make(**changes):
    torch.manual_seed(0)
    model = BigGait()
    model.build_network({"model": "BigGait", **SMALL, **changes})
    model.init_parameters()
    return model


def batch(n=4, frames=3, size=(32, 16), ratios=None):
    torch.manual_seed(1)
    images = torch.randn(n, frames, 3, *size)
    given = [images] if ratios is None else [images, torch.as_tensor(ratios)]
    return given, torch.arange(n) % 3, ["rgb", "ir"] * (n // 2) + ["rgb"] * (n % 2), ["v"] * n, None


def trained(model, inputs, iteration=0):
    model.iteration = iteration
    random.seed(0)
    return model.train()(inputs)["training_feat"]


def embeddings(model, inputs):
    with torch.no_grad():
        return model.eval()(inputs)["inference_feat"]["embeddings"]
