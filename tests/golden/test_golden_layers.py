"""The smaller layers of both streams against the published ones."""

from golden_values import Part, fill, golden_tensor, reads, their_name

from opengait_ext.layers.attention import AttentionFusion
from opengait_ext.layers.gait import AppearancePriorEncoder, GaitPriorEncoder, MaskBranch
from opengait_ext.layers.parts import PartBNNeck, PartLinear
from opengait_ext.layers.pooling import HorizontalPyramid, SetPooling
from opengait_ext.losses.silhouette import MaskLoss
from opengait_ext.released import GAIT

BINS = (1, 2, 4, 8, 16)
ENTRIES = 48  # of a running statistic, from its start
FUSION = Part(GAIT, "dinov2.gait_net.fusion.", "sasg.fusion.")
MASK = Part(GAIT, "dinov2.Mask_Branch.", "sasg.mask.")
DENOISING = Part(GAIT, "dinov2.Denoising_Branch.", "sasg.gait_prior.")
APPEARANCE = Part(GAIT, "dinov2.Appearance_Branch.", "sasg.appearance_prior.")
LINEAR = Part(GAIT, "dinov2.gait_net.FCs.", "gait_parts.linear.")
NECKS = Part(GAIT, "dinov2.gait_net.BNNecks.", "necks.gait.")


@reads("fusion/*")
def test_fusion_mixes_the_denoising_and_the_appearance_map_as_published(golden):
    first, second = (  # [n, c, s, h, w]
        golden.tensor(f"fusion/{name}") for name in ("f0_denoising", "f1_appearance")
    )
    frames = first.shape[0], first.shape[2]
    first, second = (maps.transpose(1, 2).flatten(0, 1) for maps in (first, second))
    for mode in ("eval", "train"):
        fusion = fill(AttentionFusion(64), FUSION, "fusion.", golden.salt)
        mixed = fusion.train(mode == "train")(first, second)
        golden.check(f"fusion/{mode}/out", mixed.unflatten(0, frames).transpose(1, 2))


def check_statistics(golden, branch, part, prefix):
    for name, buffer in branch.named_buffers():
        if "num_batches" not in name:
            key = f"{prefix}/train/buffer/{their_name(name, part)}"
            golden.check(key, buffer.flatten()[:ENTRIES])


def check_unused(golden, branch, channels):
    """The second normalization of two branches is never called; ours have none."""
    for statistic in ("running_mean", "running_var"):
        as_made = golden_tensor(f"distill.{branch}.bn_t.{statistic}", (channels,), golden.salt)
        golden.check(f"distill/{branch}/train/buffer/bn_t.{statistic}", as_made)


@reads("distill/x384", "distill/mask/*")
def test_the_mask_branch_gives_the_published_classes_error_and_running_statistics(golden):
    pixels = golden.tensor("distill/x384").unsqueeze(0)  # [1, 12, c]
    for mode in ("eval", "train"):
        branch = fill(MaskBranch(384), MASK, "distill.mask.", golden.salt)
        scores = branch.train(mode == "train")(pixels)
        golden.check(f"distill/mask/{mode}/out", scores[0].softmax(-1))
        loss, _ = MaskLoss(squared=True)(branch.decode(scores), pixels)
        golden.check(f"distill/mask/{mode}/mse", loss)
    check_statistics(golden, branch, MASK, "distill/mask")
    check_unused(golden, "mask", 2)


@reads("distill/x1536", "distill/denoising/*")
def test_the_gait_prior_is_the_published_denoising_branch(golden):
    pixels = golden.tensor("distill/x1536").unsqueeze(0)  # [1, 12, c]
    for mode in ("eval", "train"):
        branch = fill(GaitPriorEncoder(1536), DENOISING, "distill.denoising.", golden.salt)
        scores = branch.train(mode == "train")(pixels)
        golden.check(f"distill/denoising/{mode}/out", scores[0].softmax(-1))
    check_statistics(golden, branch, DENOISING, "distill/denoising")
    check_unused(golden, "denoising", 16)


@reads("distill/x1536", "distill/appearance/*")
def test_the_appearance_prior_is_the_published_appearance_branch(golden):
    pixels = golden.tensor("distill/x1536").unsqueeze(0)  # [1, 12, c]
    for mode in ("eval", "train"):
        branch = fill(AppearancePriorEncoder(1536), APPEARANCE, "distill.appearance.", golden.salt)
        scores = branch.train(mode == "train")(pixels)
        golden.check(f"distill/appearance/{mode}/out", scores[0].sigmoid())
    check_statistics(golden, branch, APPEARANCE, "distill/appearance")


@reads("hpp/*")
def test_the_maximum_over_frames_and_the_pyramid_give_the_published_parts(golden):
    tracklets = golden.tensor("hpp/seq_ncthw").transpose(1, 2)  # [n, s, c, h, w]
    pooled = SetPooling("max")(tracklets.flatten(0, 1), [tracklets.shape[1]] * len(tracklets))
    golden.check("hpp/out31", HorizontalPyramid(BINS)(pooled))


@reads("fcs/*")
def test_the_matrices_of_the_parts_give_the_published_vectors(golden):
    linear = fill(PartLinear(sum(BINS), 32, 16), LINEAR, "fcs.", golden.salt)
    golden.check("fcs/out", linear(golden.tensor("fcs/x")))


@reads("bnnecks/*")
def test_the_necks_give_the_published_features_and_cosines(golden):
    embeddings = golden.tensor("bnnecks/x")
    for mode in ("eval", "train"):
        neck = fill(PartBNNeck(sum(BINS) + 4, 16, classes=10), NECKS, "bnnecks.", golden.salt)
        features, logits = neck.train(mode == "train")(embeddings)
        golden.check(f"bnnecks/{mode}/feature", features)
        golden.check(f"bnnecks/{mode}/logits", logits)
