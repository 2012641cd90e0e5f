"""The losses against the published ones."""

import numpy as np
import torch
from golden_values import NARROW, WIDE, reads

from opengait_ext.losses.cross_entropy import CrossEntropyLoss
from opengait_ext.losses.silhouette import DiversityLoss, SmoothnessLoss
from opengait_ext.losses.triplet import TripletLoss

SIZE = (64, 32)  # of the maps, in pixels


def normal(seed, shape):
    return torch.tensor(np.random.RandomState(int(seed)).standard_normal(shape))


@reads("triplet/*")
def test_the_triplet_loss_of_each_part_and_its_gradient_are_the_published_ones(golden):
    triplet = TripletLoss(margin=0.2, anchor_is_positive=True)
    for case in ("small", "sixteen", "separated", "identical_pair"):
        wide, narrow = WIDE, 8 * NARROW  # theirs was computed in float32, not only stored so
        if case == "identical_pair":
            # |x|^2 + |y|^2 - 2 x y of equal points is 0 or rounding, and the distance its root.
            wide, narrow = (4 * np.finfo(kind).eps ** 0.5 for kind in (np.float64, np.float32))
        embeddings = golden.tensor(f"triplet/{case}/emb_ncp").requires_grad_()
        labels = golden.tensor(f"triplet/{case}/labels")
        losses = torch.stack([triplet(part, labels)[0] for part in embeddings.split(1, dim=2)])
        golden.check(f"triplet/{case}/loss_parts", losses, tolerance=wide)
        golden.check(f"triplet/{case}/loss_parts_official_f32", losses, tolerance=narrow)
        triplet(embeddings, labels)[0].backward()
        if case == "separated":
            assert not embeddings.grad.any()
        else:
            golden.check(f"triplet/{case}/grad_of_mean", embeddings.grad, tolerance=wide)


@reads("ce/*")
def test_cross_entropy_and_accuracy_are_the_published_ones(golden):
    logits, labels = golden.tensor("ce/logits"), golden.tensor("ce/labels")
    loss, info = CrossEntropyLoss()(logits, labels)
    golden.check("ce/loss", loss)
    golden.check("ce/loss_official_f32", loss)
    golden.check("ce/accuracy", info["accuracy"])


@reads("connect/mask_*")
def test_the_smoothness_of_the_mask_is_that_of_the_published_memory_layout(golden):
    probabilities = normal(golden.array("connect/mask_seed"), (4096, 2)).softmax(-1)
    # Not the two classes as channels, but each frame's numbers in their order, cut anew.
    maps = probabilities.view(2, 2, *SIZE)
    loss, _ = SmoothnessLoss(border="zeros", sum_channels=True)(maps)
    golden.check("connect/mask_loss", loss)


def parts(golden):
    """Soft parts ``[f, 16, h, w]``, some pixels without any."""
    of_parts, of_pixels = golden.array("connect/part_seed")
    pixels = normal(of_parts, (2, 2048, 16)).softmax(-1)
    pixels *= torch.tensor(np.random.RandomState(of_pixels).rand(2, 2048, 1) > 0.4)
    return pixels.transpose(1, 2).unflatten(2, SIZE)


@reads("connect/part_*")
def test_the_smoothness_of_the_parts_is_that_of_all_but_the_last(golden):
    loss, _ = SmoothnessLoss(border="zeros", sum_channels=True)(parts(golden)[:, :15])
    golden.check("connect/part_loss", loss)


@reads("connect/part_seed", "diversity/*")
def test_the_diversity_of_the_parts_is_the_published_one(golden):
    diversity, maps = DiversityLoss(), parts(golden)
    golden.check("diversity/loss", diversity(maps)[0])
    each = torch.stack([diversity(frame)[0] for frame in maps.split(1)])
    golden.check("diversity/one_frame", each)
    maps[1] = 0
    golden.check("diversity/loss_with_empty_frame", diversity(maps)[0])
