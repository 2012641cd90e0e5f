"""Cuts both streams into strips, which enhance the other's global vector: LGE and PBMGE.

Source: Yang et al., "DinoGRL: DINOv2-driven Gait Representation Learning for
Video-Based Visible-Infrared Person Re-Identification", ACM MM 2025,
https://doi.org/10.1145/3746027.3755413, Eq. 11-16.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .parts import PartLinear
from .pooling import HorizontalPyramid, SetPooling, Statistic


class LocalGlobalEnhancement(nn.Module):
    """Updates a global vector by one strip after the other (LGE, Eq. 11-16).

    A vector of ``c`` numbers is read as a sequence of length ``c`` with one channel;
    ``query``, ``key`` and ``value`` lift it to ``d`` channels. Of the affinity of every
    entry of the global vector with every entry of the strip, ``f`` ``[c, c]``, the
    positive part ``relu(f)`` carries what the strip confirms and the negative part
    ``relu(-f)`` what it contradicts::

        f = query(x)^T key(strip) / c
        x = x + positive(value(strip) relu(f)) - negative(value(strip) relu(-f))

    The paper's Eq. 11-15 leave the sizes and the way back from ``d`` channels open. Here,
    as in the authors' published network, ``positive`` and ``negative`` bring the sums
    back to one channel and normalize them over the batch; they start at zero, so that
    training starts from the unchanged vector, and the query is taken anew from the
    updated vector at each strip.

    No ``[d, c]`` or ``[c, c]`` array is ever made. Every entry ``q`` of the global vector
    sees ``f`` as a straight line over the entries ``k`` of the strip::

        f = slope * k + offset,   slope = alpha * q + gamma,   offset = beta * q + delta

    with four numbers that follow from the weights, so ``relu(f)`` keeps the entries on one
    side of ``-offset / slope``. With the strip sorted once, both sums that are needed,
    of ``relu(f) * k`` and of ``relu(f)``, are differences of running sums: exact, in
    ``c log c`` instead of ``c * c * d`` steps. Half precision is too coarse for these
    sums; they are made in float32 also under autocast.

    Args:
        channels: Length ``c`` of the vectors.
        width: Channels ``d`` of query, key and value; ``c`` if not given.

    Shape:
        - ``vector``: ``[n, c]``; ``strips``: ``[n, c, p]``, used in the order of ``p``.
        - Output: ``[n, c]``.
    """

    def __init__(self, channels: int, width: int | None = None) -> None:
        super().__init__()
        width = width or channels
        self.query = nn.Conv1d(1, width, 1)
        self.key = nn.Conv1d(1, width, 1)
        self.value = nn.Conv1d(1, width, 1)
        self.positive = nn.Conv1d(width, 1, 1)
        self.negative = nn.Conv1d(width, 1, 1)
        self.positive_norm = nn.BatchNorm1d(1)
        self.negative_norm = nn.BatchNorm1d(1)
        nn.init.zeros_(self.positive_norm.weight)
        nn.init.zeros_(self.negative_norm.weight)

    def forward(self, vector: Tensor, strips: Tensor) -> Tensor:
        """Updates the vectors ``[n, c]`` by the strips ``[n, c, p]``, in their order."""
        with torch.autocast(vector.device.type, enabled=False):
            dtype = torch.promote_types(vector.dtype, torch.float32)
            vector, strips = vector.to(dtype), strips.to(dtype)
            line, way_back = self._numbers(strips.shape[1])
            entries = strips.permute(2, 0, 1).contiguous().sort(dim=-1).values  # [p, n, c]
            sums = torch.stack([entries.cumsum(-1), entries.square().cumsum(-1)], dim=2)
            sums = nn.functional.pad(sums, (1, 0))  # [p, n, 2, c + 1]
            for strip, strip_sums in zip(entries, sums, strict=True):
                vector = vector + self._change(vector, strip, strip_sums, line, way_back)
            return vector

    def _numbers(self, channels: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """All that a step needs of the weights: two 2 x 2 matrices, taken apart once.

        ``line``: factors of q in slope and offset of the affinity, and what is added to them.
        ``way_back[i][j]``: factor of (sum of r * k, sum of r)[j] in the output of
        (positive, negative)[i].
        """
        query, key, value = (_affine(layer) for layer in (self.query, self.key, self.value))
        outputs = torch.cat([self.positive.weight, self.negative.weight]).flatten(1)  # [2, d]
        return (query.T @ key / channels).flatten().unbind(), (outputs @ value).unbind()

    def _change(
        self,
        vector: Tensor,
        strip: Tensor,
        sums: Tensor,
        line: Sequence[Tensor],
        way_back: Sequence[Tensor],
    ) -> Tensor:
        """What a sorted strip ``[n, c]`` with running sums ``[n, 2, c + 1]`` adds to the vector."""
        slope = line[0] * vector + line[2]  # [n, c]
        offset = line[1] * vector + line[3]
        positive, negative = sums_of_relu(slope, offset, strip, sums)
        positive = self.positive_norm(_mix(self.positive, way_back[0], positive))  # [n, 1, c]
        negative = self.negative_norm(_mix(self.negative, way_back[1], negative))
        return (positive - negative).squeeze(1)


def sums_of_relu(
    slope: Tensor, offset: Tensor, entries: Tensor, sums: Tensor
) -> tuple[Tensor, Tensor]:
    """Gives the sums over ``k`` of ``relu(f) * k`` and of ``relu(f)``, ``f = slope * k + offset``.

    The derivatives by all four arguments are exact: moving the limit between the entries
    that are kept and dropped changes nothing, as the line is zero there.

    Args:
        slope: ``[n, m]``; every column is a line.
        offset: ``[n, m]``.
        entries: The numbers ``k`` in rising order, ``[n, c]``.
        sums: Running sums of ``k`` and of its square, from zero: ``[n, 2, c + 1]``.

    Returns:
        The two sums for ``relu(f)``, and the same for ``relu(-f)``: ``[n, 2, m]`` each.
    """
    with torch.no_grad():  # a flat line has its limit at plus or minus infinity
        limit = -offset / slope
        limit = torch.searchsorted(entries, limit.contiguous())  # how many entries lie below
        rising = ~torch.signbit(slope)[:, None]
    below = sums.gather(2, limit[:, None].expand(-1, 2, -1))
    below = _sums_of_line(slope, offset, below, limit)
    total = _sums_of_line(slope, offset, sums[:, :, -1:], entries.shape[-1])
    above = total - below
    return torch.where(rising, above, below), -torch.where(rising, below, above)


def _sums_of_line(slope: Tensor, offset: Tensor, sums: Tensor, count: Tensor | int) -> Tensor:
    """Sums of f * k and of f over the ``count`` lowest entries: ``[n, 2, m]``."""
    of_entries, of_squares = sums.unbind(1)
    with_entries = slope * of_squares + offset * of_entries
    alone = slope * of_entries + offset * count
    return torch.stack([with_entries, alone], dim=1)


class PBMGE(nn.Module):
    """Enhances the global vectors of both streams at every granularity (PBMGE, Section 3.3).

    At a granularity of ``b`` strips, the appearance stream's global vector is updated by
    the ``b`` gait strips from top to bottom, and the gait stream's by the ``b`` appearance
    strips. All granularities start from the unchanged vectors, and strips never change.

    Args:
        channels: Length ``c`` of a part.
        bins: Strips per level, in the order of the parts; the first is 1, the global part.
        share_granularities: One set of weights a stream for all granularities, as in the
            authors' published network, instead of one a granularity, as in the paper.

    Shape:
        - gait, appearance: ``[n, c, p]`` with ``p = sum(bins)``.
        - Output: the global vectors of gait and of appearance, ``[n, c, g]`` each with
          ``g = len(bins)``: the vector as it was, then enhanced at each granularity.

    Raises:
        ValueError: If ``bins`` does not start with 1; in ``forward``, if the number of parts
            is not ``sum(bins)``.
    """

    def __init__(
        self, channels: int, bins: Sequence[int], share_granularities: bool = False
    ) -> None:
        super().__init__()
        if list(bins[:1]) != [1]:
            raise ValueError(
                f"bins {list(bins)}: expected 1, the global part, and then the numbers of strips, "
                "as in [1, 2, 4]"
            )
        self.bins = list(bins)
        sets = min(len(bins) - 1, 1) if share_granularities else len(bins) - 1
        self.gait = nn.ModuleList(LocalGlobalEnhancement(channels) for _ in range(sets))
        self.appearance = nn.ModuleList(LocalGlobalEnhancement(channels) for _ in range(sets))

    def forward(self, gait: Tensor, appearance: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the global vectors of the parts ``[n, c, p]`` of both streams."""
        return (
            self._globals(self.gait, gait, appearance),
            self._globals(self.appearance, appearance, gait),
        )

    def _globals(self, sets: nn.ModuleList, own: Tensor, other: Tensor) -> Tensor:
        """The first of the stream's own parts, and that updated by the other stream's strips."""
        if other.shape[2] != sum(self.bins):
            raise ValueError(
                f"{other.shape[2]} parts: bins {self.bins} make {sum(self.bins)} parts"
            )
        start = own[:, :, 0]
        vectors = [start]
        for granularity, strips in enumerate(other.split(self.bins, dim=2)[1:]):
            enhance = sets[min(granularity, len(sets) - 1)]
            vectors.append(enhance(start, strips))
        return torch.stack(vectors, dim=2)


class SetToParts(nn.Module):
    """Pools the frames of each tracklet and cuts the map into parts: what PBMGE works on.

    Args:
        channels: Channels c of a frame's map.
        part_channels: Channels d of a part.
        bins: Strips per level.
        statistic: What is taken of the frames of a tracklet (set pooling).
        whole_rows: See :class:`~opengait_ext.layers.pooling.HorizontalPyramid`.

    Shape:
        - features: ``[f, c, h, w]``; lengths: n numbers of frames.
        - Output: ``[n, d, p]`` with ``p = sum(bins)``.
    """

    def __init__(
        self,
        channels: int,
        part_channels: int,
        bins: Sequence[int],
        statistic: Statistic = "max",
        whole_rows: bool = True,
    ) -> None:
        super().__init__()
        self.set_pooling = SetPooling(statistic, channels)
        self.pyramid = HorizontalPyramid(bins, whole_rows)
        self.linear = PartLinear(sum(bins), channels, part_channels)

    def forward(self, features: Tensor, lengths: list[int]) -> Tensor:
        """Gives the parts of n tracklets."""
        return self.linear(self.pyramid(self.set_pooling(features, lengths)))


def _affine(layer: nn.Conv1d) -> Tensor:
    """Weight and bias of a 1x1 convolution of one channel, side by side: ``[d, 2]``."""
    return torch.stack([layer.weight.flatten(), cast(Tensor, layer.bias)], dim=1)


def _mix(output: nn.Conv1d, factors: Tensor, sums: Tensor) -> Tensor:
    """Output of a convolution to one channel, by its two factors of sums ``[n, 2, c]``."""
    return (factors[:, None] * sums).sum(1, keepdim=True) + cast(Tensor, output.bias)
