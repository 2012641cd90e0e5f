"""The mask branch of the demo, fitted to tokens of the frozen small ViT without labels."""

import torch
from torch import Tensor
from torch.nn import functional

from opengait_ext.layers.gait import MaskBranch


def fit_mask_branch(
    tokens: Tensor, seed: int = 0, iterations: int = 300, starts: int = 3, batch: int = 32
) -> tuple[MaskBranch, float]:
    """Fit a mask branch as in BigGait: tokens are reconstructed from two soft classes.

    Source: Ye et al., "BigGait: Learning Gait Representation You Want by Large Vision Models",
    CVPR 2024, https://arxiv.org/abs/2402.19122, section 3.2.

    Args:
        tokens: Last tokens ``[f, t, d]`` of training frames.
        seed: Seed of the initial weights and the batches.
        iterations: Steps of each fit.
        starts: Number of fits with different initial weights; the one with the least error is
            kept.
        batch: Frames per step.

    Returns:
        The branch, in eval mode, and its error: the mean squared reconstruction error as a
        fraction of the variance of the tokens.
    """
    torch.manual_seed(seed)
    variance = tokens.flatten(0, 1).var(0, unbiased=False).mean()
    best: tuple[MaskBranch, float] | None = None
    for _ in range(starts):
        branch = _fit(MaskBranch(tokens.shape[-1]), tokens, iterations, batch)
        with torch.no_grad():
            error = functional.mse_loss(branch.decode(branch(tokens)), tokens) / variance
        if best is None or float(error) < best[1]:
            best = branch, float(error)
    assert best is not None
    return best


def _fit(branch: MaskBranch, tokens: Tensor, iterations: int, batch: int) -> MaskBranch:
    branch.to(tokens.device)
    branch.decoder.bias.data.copy_(tokens.mean((0, 1)))
    batch = min(batch, len(tokens))
    optimizer = torch.optim.Adam(branch.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for _ in range(iterations):
        drawn = tokens[torch.randint(len(tokens), (batch,))]
        error = functional.mse_loss(branch.decode(branch(drawn)), drawn)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        schedule.step()
    return branch.eval()
