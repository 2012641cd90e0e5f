"""All calls of torch.distributed; they are no-ops in a single process."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .meeting import PATIENCE, announce, missed, own_place

# Long enough for rank 0 to prepare a data set or to rank a large gallery while the others wait.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes:
        rank: Index of this process.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Return whether this process writes the files (rank 0)."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank, in each process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def collect(self, value: Any) -> list[Any] | None:
        """Return the values of all processes, by rank, in the first one; None in the others."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.leads else None
        dist.gather_object(value, values)
        return values

    def largest(self, value: int, device: torch.device) -> int:
        """Return the largest value over all processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, device=device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def gathered(self, values: Tensor) -> Tensor:
        """Return the stacked tensors of all processes, of equal shape, without gradient."""
        values = values.detach().contiguous()
        if self.size == 1:
            return values[None]
        found = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(found, values)
        return torch.stack(found)

    def place(self, rows: int, device: torch.device) -> tuple[int, int]:
        """Return the number of rows of the lower ranks, and of all processes."""
        counts = self.gathered(torch.tensor(rows, device=device)).tolist()
        return sum(counts[: self.rank]), sum(counts)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients of parameters outside the wrapped model."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if self.size == 1 or not trained:
            return
        own = torch.tensor([one.grad is not None for one in trained], device=trained[0].device)
        anywhere = self.gathered(own).any(0).tolist()
        for parameter, has in zip(trained, anywhere, strict=True):
            if has:
                gradient = parameter.grad
                gradient = torch.zeros_like(parameter) if gradient is None else gradient
                parameter.grad = self.gathered(gradient).mean(0)

    def joined(self, tensor: Tensor) -> Tensor:
        """Return the concatenated tensors of all processes, with gradient.

        The loss of the union is the same number on every rank, and each rank propagates the
        gradient of its own rows only. DistributedDataParallel's average over ranks would shrink
        that gradient, so it is multiplied by the number of ranks.
        """
        return tensor if self.size == 1 or not tensor.dim() else _Joined.apply(tensor, self)

    def wrapped(self, model: nn.Module, find_unused_parameters: bool = False) -> nn.Module:
        """Return the model wrapped so that backward averages gradients over the processes."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(
            model, find_unused_parameters=find_unused_parameters
        )


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Group) -> Tensor:  # noqa: D102
        lengths = group.gathered(torch.tensor(len(tensor), device=tensor.device)).tolist()
        padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        parts = group.gathered(padded)
        ctx.group, ctx.start, ctx.length = group, sum(lengths[: group.rank]), len(tensor)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: D102
        own = gradients[0].narrow(0, ctx.start, ctx.length)
        return own * ctx.group.size, None


def met_group() -> Group:
    """Return the group of the initialized processes; without one, this process is alone."""
    if not dist.is_initialized():
        return Group(own_place().rank)
    return Group(dist.get_rank(), dist.get_world_size())


@contextmanager
def process_group(device_type: str) -> Iterator[Group]:
    """Join the processes started by torchrun; without it, this process is alone.

    Args:
        device_type: ``cuda`` selects the backend nccl, anything else gloo.

    Raises:
        MeetingError: If the environment contradicts itself, or other processes do not join.
    """
    place = own_place()
    if place.size == 1:
        yield Group()
        return
    announce(place)
    backend = "nccl" if device_type == "cuda" else "gloo"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=PATIENCE)))
        store.set_timeout(_PATIENCE)  # all have joined; from here on they wait for work
        dist.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.size, timeout=_PATIENCE
        )
    except (RuntimeError, OSError, ValueError) as fault:
        raise missed(place, fault) from fault
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
