"""Enhancement of each stream's global vector by the stripes of the other: LGE and PBMGE.

Source: Yang et al., "DINOv2 Driven Gait Representation Learning for Video-Based
Visible-Infrared Person Re-Identification" (DinoGRL), ACM MM 2025,
https://doi.org/10.1145/3746027.3755413, Eq. 11-16.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .line_sums import line_factors, line_sums
from .parts import PartLinear
from .pooling import HorizontalPyramid, SetPooling, Statistic
from .set_norms import SetNorms, joinable


class LocalGlobalEnhancement(nn.Module):
    """Update of a global vector by one stripe after the other (LGE, Eq. 11-16).

    A vector of ``c`` numbers is read as a sequence of length ``c`` with one channel;
    ``query``, ``key`` and ``value`` lift it to ``d`` channels. ``f`` ``[c, c]`` is the affinity
    of every entry of the global vector with every entry of the stripe. Its positive part
    ``relu(f)`` carries what the stripe confirms, its negative part ``relu(-f)`` what it
    contradicts::

        f = query(x)^T key(strip) / c
        x = x + positive(value(strip) relu(f)) - negative(value(strip) relu(-f))

    The paper's Eq. 11-15 do not define the sizes, nor the way back from ``d`` channels. Without
    a projection back, Eq. 14 is ``value relu(f) - value relu(-f)``, which is ``value f``: linear
    in ``f``, so the split would change nothing. Here, as in the authors' published network, two
    different projections ``positive`` and ``negative`` bring the sums back to one channel and
    normalize them over the batch. They start at zero, so that training starts from the unchanged
    vector. The query is computed again from the updated vector at each stripe.

    No ``[d, c]`` or ``[c, c]`` array is ever allocated: over the entries of a stripe, ``f`` is a
    straight line (:mod:`~opengait_ext.layers.line_sums`) whose slope and offset follow from the
    weights. Half precision is too coarse for its sums; they are computed in float32 even under
    autocast.

    Args:
        channels: Length ``c`` of the vectors.
        width: Channels ``d`` of query, key and value; None: ``c``.

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
        """Update the vectors ``[n, c]`` by the stripes ``[n, c, p]``, in their order."""
        return enhanced([self], [vector], [strips])[0]


def enhanced(
    sets: Sequence[LocalGlobalEnhancement], vectors: Sequence[Tensor], strips: Sequence[Tensor]
) -> list[Tensor]:
    """Update a vector by each of several sets of weights, all sets at once.

    Args:
        sets: s modules; one may occur several times, and its running statistics are then updated
            for one place after the other.
        vectors: ``[n, c]`` for each set.
        strips: Stripes ``[n, c, p]`` for each set, of any number p, used in their order.

    Returns:
        The updated vectors.
    """
    if len(sets) > 1 and not joinable(_norms(sets)):
        each = zip(sets, vectors, strips, strict=True)
        return [enhanced([one], [vector], [own])[0] for one, vector, own in each]
    dtype = torch.promote_types(vectors[0].dtype, torch.float32)
    # Sets with many stripes come first: the sets that remain at a step are then the first ones.
    order = sorted(range(len(sets)), key=lambda place: -strips[place].shape[2])
    columns = [strips[place].unbind(2) for place in order]
    current = torch.stack([vectors[place] for place in order], dim=1).to(dtype)  # [n, s, c]
    done: list[Tensor] = []  # the last set first
    with torch.autocast(current.device.type, enabled=False):
        weights = _Weights([sets[place] for place in order], current.shape[2])
        for step in range(len(columns[0])):
            active = sum(len(column) > step for column in columns)
            done += reversed(current[:, active:].unbind(1))
            strip = torch.stack([column[step] for column in columns[:active]], dim=1)
            current = weights.updated(current[:, :active], strip.to(dtype))
    done += reversed(current.unbind(1))
    places = [order.index(place) for place in range(len(sets))]
    weights.follow(places)
    return [done[-1 - place] for place in places]


class _Weights:
    """Weights of s sets in the form that a step needs, computed once.

    Query, key and value reduce to two 2 x 2 matrices: ``line``, from which slope and offset of the
    affinity follow for each q, and one that brings the sums of ``relu(f) * k`` and ``relu(f)`` back
    to one channel.
    """

    def __init__(self, sets: Sequence[LocalGlobalEnhancement], channels: int) -> None:
        query, key, value = (
            torch.stack([_affine(getattr(each, name)) for each in sets])  # [s, d, 2]
            for name in ("query", "key", "value")
        )
        outputs = [layer for each in sets for layer in (each.positive, each.negative)]
        weight = torch.cat([layer.weight for layer in outputs]).view(len(sets), 2, -1)
        self.bias = torch.stack([cast(Tensor, layer.bias) for layer in outputs]).view(-1, 2, 1)
        self.line = (key[:, :, :, None] * query[:, :, None]).sum(1) / channels  # [s, 2, 2]
        mixing = (weight[..., None] * value[:, None]).sum(2)
        self.factors = line_factors(self.line, mixing)
        norms = _norms(sets)
        self.norms, self.joined = norms, SetNorms(norms) if joinable(norms) else None

    def updated(self, vectors: Tensor, strip: Tensor) -> Tensor:
        """Return the vectors of the first k sets after one stripe; ``[n, k, c]`` in and out."""
        some = slice(strip.shape[1])
        sums = line_sums(vectors, strip, self.line[some], self.factors[some]) + self.bias[some]
        changes = self._normalized(sums.flatten(1, 2)).unflatten(1, (-1, 2))
        return vectors + (changes[:, :, 0] - changes[:, :, 1])

    def _normalized(self, sums: Tensor) -> Tensor:
        """Normalize ``[n, 2 * k, c]`` over tracklets and entries."""
        if self.joined:
            return self.joined(sums)
        pairs = zip(self.norms, sums.split(1, dim=1), strict=False)
        return torch.cat([norm(values) for norm, values in pairs], dim=1)

    def follow(self, places: Sequence[int]) -> None:
        """Update the running statistics, in the order of the places."""
        if self.joined:
            for place in places:
                self.joined.follow(2 * place)
                self.joined.follow(2 * place + 1)


class PBMGE(nn.Module):
    """Enhancement of the global vectors of both streams at every granularity (PBMGE, Section 3.3).

    At a granularity of ``b`` stripes, the appearance stream's global vector is updated by
    the ``b`` gait stripes from top to bottom, and the gait stream's by the ``b`` appearance
    stripes. All granularities start from the unchanged vectors, and stripes never change.

    Args:
        channels: Length ``c`` of a part.
        bins: Stripes per level, in the order of the parts; the first is 1, the global part.
        share_granularities: One set of weights per stream for all granularities, as in the
            authors' published network, instead of one per granularity, as in the paper.

    Shape:
        - gait, appearance: ``[n, c, p]`` with ``p = sum(bins)``.
        - Output: the global vectors of gait and of appearance, ``[n, c, g]`` each with
          ``g = len(bins)``: the unchanged vector, then the enhanced one of each granularity.

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
        """Return the global vectors for the parts ``[n, c, p]`` of both streams."""
        for parts in (gait, appearance):
            if parts.shape[2] != sum(self.bins):
                raise ValueError(
                    f"{parts.shape[2]} parts: bins {self.bins} make {sum(self.bins)} parts"
                )
        levels, starts = range(len(self.bins) - 1), (gait[:, :, 0], appearance[:, :, 0])
        sets = [
            cast(LocalGlobalEnhancement, modules[min(level, len(modules) - 1)])
            for modules in (self.gait, self.appearance)
            for level in levels
        ]
        vectors = [start for start in starts for _ in levels]
        strips = [part for other in (appearance, gait) for part in other.split(self.bins, 2)[1:]]
        # All granularities of both streams take their steps together.
        found = enhanced(sets, vectors, strips) if sets else []
        return (
            torch.stack([starts[0], *found[: len(levels)]], dim=2),
            torch.stack([starts[1], *found[len(levels) :]], dim=2),
        )


class SetToParts(nn.Module):
    """Parts of each tracklet for PBMGE: set pooling, horizontal pyramid, part linear.

    Args:
        channels: Channels c of a frame's map.
        part_channels: Channels d of a part.
        bins: Stripes per level.
        statistic: Statistic over the frames of a tracklet (set pooling).
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
        """Return the parts of n tracklets."""
        return self.linear(self.pyramid(self.set_pooling(features, lengths)))


def _norms(sets: Sequence[LocalGlobalEnhancement]) -> list[nn.BatchNorm1d]:
    """Return both normalizations of each set."""
    return [norm for each in sets for norm in (each.positive_norm, each.negative_norm)]


def _affine(layer: nn.Conv1d) -> Tensor:
    """Return weight and bias of a 1x1 convolution of one channel, side by side: ``[d, 2]``."""
    return torch.stack([layer.weight.flatten(), cast(Tensor, layer.bias)], dim=1)
