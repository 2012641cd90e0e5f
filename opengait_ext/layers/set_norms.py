"""Several single-channel batch normalizations, applied in one operation."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def joinable(norms: Sequence[nn.BatchNorm1d]) -> bool:
    """Return whether :class:`SetNorms` can replace these modules."""
    return all(
        type(norm) is nn.BatchNorm1d and norm.momentum and norm.training == norms[0].training
        for norm in norms
    )


class SetNorms:
    """Normalization of m channels by m single-channel modules, called several times in a row.

    In training the running statistics do not change until :meth:`follow`, so that the modules can
    update theirs in another order than that of the calls.

    Args:
        norms: m modules that are :func:`joinable`; a module may occur several times.
    """

    def __init__(self, norms: Sequence[nn.BatchNorm1d]) -> None:
        self.norms = norms
        self.weight = torch.cat([norm.weight for norm in norms])
        self.bias = torch.cat([norm.bias for norm in norms])
        self.training, self.eps = norms[0].training, norms[0].eps
        self.means = torch.cat([cast(Tensor, norm.running_mean) for norm in norms])
        self.variances = torch.cat([cast(Tensor, norm.running_var) for norm in norms])
        self.seen: list[tuple[Tensor, Tensor]] = []  # statistics of each call

    def __call__(self, values: Tensor) -> Tensor:
        """Normalize ``[n, k, c]`` by the first k modules."""
        some = slice(values.shape[1])
        weight, bias = self.weight[some], self.bias[some]
        mean, variance = self.means[some].clone(), self.variances[some].clone()
        # With a momentum of 1, the running statistics become those of this batch.
        share = 1.0 if self.training else 0.0
        result = functional.batch_norm(
            values, mean, variance, weight, bias, self.training, share, self.eps
        )
        self.seen.append((mean, variance))
        return result

    @torch.no_grad()
    def follow(self, place: int) -> None:
        """Update the running statistics of the module at a place by all calls that included it."""
        norm = self.norms[place]
        share = cast(float, norm.momentum)
        calls = [stats for stats in self.seen if len(stats[0]) > place]
        if not (self.training and calls):
            return
        later = torch.arange(len(calls) - 1, -1, -1).to(self.means)  # number of calls after each
        cast(Tensor, norm.num_batches_tracked).add_(len(calls))
        for running, kind in ((norm.running_mean, 0), (norm.running_var, 1)):
            values = torch.stack([stats[kind][place] for stats in calls])
            moved = share * ((1 - share) ** later * values).sum()
            cast(Tensor, running).mul_((1 - share) ** len(calls)).add_(moved)
