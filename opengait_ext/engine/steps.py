"""One forward and backward pass over a batch, whole or in micro-batches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..config import ConfigError
from . import random_state
from .devices import Computation
from .distributed import Group
from .objective import Objective, Terms

Features = dict[str, Any]
Summary = dict[str, Tensor]

_ALONE = Group()


class Step:
    """Compute the gradient of a batch.

    With micro-batches the gradient is still that of the whole batch, although only the graph of one
    micro-batch is in memory: the outputs of all micro-batches are computed without a graph, the
    losses are computed on all of them together, and then each micro-batch is computed again, with
    the same random numbers, to propagate its share of the gradient. Only the statistics of batch
    normalization are per micro-batch; running averages are updated once per micro-batch.

    Source: Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited
    Setup", RepL4NLP 2021, https://arxiv.org/abs/2101.06983.

    Args:
        model: The network, wrapped in a run of several processes.
        objective: The losses.
        computation: Device and precision.
        scaler: The loss scaler, for float16.
        pieces: Number of micro-batches.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        computation: Computation,
        scaler: torch.amp.GradScaler,
        pieces: int = 1,
    ) -> None:
        self.model = model
        self.objective = objective
        self.computation = computation
        self.scaler = scaler
        self.pieces = pieces

    def __call__(self, batch: Any) -> tuple[Terms, Summary]:
        """Add the gradient of a batch to the parameters.

        Args:
            batch: A batch of the loader.

        Returns:
            The losses, and the model's ``visual_summary`` (of the last micro-batch).
        """
        if self.pieces == 1:
            features, summary = self._forward(self.model, batch)
            terms = self.objective(features)
            self._send_back(terms.total)
            return terms, summary
        return self._in_pieces(cut(batch, self.pieces, self.objective.group))

    def _in_pieces(self, batches: Sequence[Any]) -> tuple[Terms, Summary]:
        device = self.computation.device
        plain = getattr(self.model, "module", self.model)
        states, outputs = [], []
        with torch.no_grad(), _unchanged_buffers(plain):
            for batch in batches:
                states.append(random_state.captured(device))
                outputs.append(self._forward(plain, batch)[0])
        leaves = [map_tensors(output, _leaf) for output in outputs]
        terms = self.objective(joined(leaves, [len(batch.labels) for batch in batches]))
        self._send_back(terms.total)
        summary: Summary = {}
        for number, batch in enumerate(batches):
            random_state.restore(states[number], device)
            last = number == len(batches) - 1
            with nullcontext() if last else self._unsynchronized():
                features, summary = self._forward(self.model, batch)
                _send_gradients_back(features, leaves[number])
        return terms, summary

    def _forward(self, model: nn.Module, batch: Any) -> tuple[Features, Summary]:
        result = self.computation.forward(model, batch)
        return result["training_feat"], result.get("visual_summary") or {}

    def _send_back(self, total: Tensor) -> None:
        if not total.requires_grad:
            raise ConfigError(
                "the losses do not depend on any parameter that is trained: is all of the "
                "model frozen?"
            )
        self.scaler.scale(total).backward()
        self.objective.group.average_gradients(self.objective.parameters())

    def _unsynchronized(self) -> Any:
        no_sync: Any = getattr(self.model, "no_sync", nullcontext)
        return no_sync()


def cut(batch: Any, count: int, group: Group = _ALONE) -> list[Any]:
    """Return the micro-batches of a batch, each with its share of both modalities.

    The micro-batches of several processes together equal those of one process with the whole batch,
    unless one of these would have no tracklet of some process: then each process cuts its share
    separately.

    Args:
        batch: A named tuple of the loader.
        count: Number of micro-batches.
        group: The processes that share the batch.

    Returns:
        The micro-batches, of the batch's type.

    Raises:
        ConfigError: If there are fewer tracklets than micro-batches.
    """
    n = len(batch.labels)
    if count > n:
        raise ConfigError(
            f"trainer_cfg.accumulate: a batch of {n} tracklets cannot be cut into {count} pieces"
        )
    pieces = _dealt(group.gather(list(batch.types)), count)
    if all(min(map(len, piece)) for piece in pieces):
        return [_part(batch, piece[group.rank]) for piece in pieces]
    return [_part(batch, places) for (places,) in _dealt([batch.types], count)]


def _dealt(types: Sequence[Sequence[str]], count: int) -> list[list[list[int]]]:
    """Return the assignment of tracklets to micro-batches, type by type.

    Args:
        types: Types of each process's tracklets.
        count: Number of micro-batches.

    Returns:
        For each micro-batch the indices of each process's tracklets, ascending.
    """
    every = [(rank, place) for rank, own in enumerate(types) for place in range(len(own))]
    by_type = sorted(every, key=lambda each: types[each[0]][each[1]])  # stable
    pieces = [sorted(by_type[number::count]) for number in range(count)]
    return [
        [[place for owner, place in piece if owner == rank] for rank in range(len(types))]
        for piece in pieces
    ]


def _part(batch: Any, places: list[int]) -> Any:
    if batch.lengths is None:
        frames, lengths = batch.frames[places], None
    else:
        tracklets = batch.frames[0].split(batch.lengths.flatten().tolist())
        frames = torch.cat([tracklets[place] for place in places]).unsqueeze(0)  # [1, f, 3, h, w]
        lengths = batch.lengths[:, places]
    return batch._replace(
        frames=frames,
        labels=batch.labels[places],
        types=[batch.types[place] for place in places],
        views=[batch.views[place] for place in places],
        lengths=lengths,
        positions=batch.positions[places],
    )


def map_tensors(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return nested dicts with ``change`` applied to every tensor."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: map_tensors(inner, change) for key, inner in value.items()}
    return value


def joined(outputs: Sequence[Any], tracklets: Sequence[int]) -> Any:
    """Return the outputs of the micro-batches, joined along the first dimension.

    Args:
        outputs: Nested dicts with the same keys. Scalar tensors become their mean, weighted by
            the tracklets.
        tracklets: Number of tracklets of each micro-batch.
    """
    first = outputs[0]
    if isinstance(first, dict):
        return {key: joined([output[key] for output in outputs], tracklets) for key in first}
    if not isinstance(first, Tensor):
        return first
    if first.dim():
        return torch.cat(list(outputs))
    weights = torch.tensor(tracklets, dtype=first.dtype, device=first.device)
    return (torch.stack(list(outputs)) * weights).sum() / weights.sum()


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def _send_gradients_back(features: Any, leaves: Any) -> None:
    tensors, gradients = [], []
    for tensor, leaf in zip(_tensors(features), _tensors(leaves), strict=True):
        if tensor.requires_grad and leaf.grad is not None:
            tensors.append(tensor)
            gradients.append(leaf.grad)
    torch.autograd.backward(tensors, gradients)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _tensors(inner)


@contextmanager
def _unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Restore buffers, such as running averages, at the end of this context."""
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
