"""The only calls of torch.distributed; all of them do nothing in a single process."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .meeting import PATIENCE, announce, missed, own_place

# Long enough for rank 0 to prepare a dataset or to rank a large gallery while the others wait.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes:
        rank: Number of this process.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Tells whether this process writes the files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.size > 1:
            dist.barrier()

    def gather(self, value: Any) -> list[Any]:
        """Gives the values of all processes, by rank, to each of them."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def collect(self, value: Any) -> list[Any] | None:
        """Gives the values of all processes, by rank, to the first one; None to the others."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.leads else None
        dist.gather_object(value, values)
        return values

    def largest(self, value: int, device: torch.device) -> int:
        """Gives the largest value of all processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, device=device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def gathered(self, values: Tensor) -> Tensor:
        """Return the equally large tensors of all processes, stacked, without a gradient."""
        values = values.detach().contiguous()
        if self.size == 1:
            return values[None]
        found = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(found, values)
        return torch.stack(found)

    def place(self, rows: int, device: torch.device) -> tuple[int, int]:
        """Return how many rows stand before those of this process, and how many all have."""
        counts = self.gathered(torch.tensor(rows, device=device)).tolist()
        return sum(counts[: self.rank]), sum(counts)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients of parameters that are not part of a wrapped model."""
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
        """Gives the tensors of all processes, one behind the other, with their gradient.

        The loss of the union is the same number on every rank, and each rank sends back
        the gradient of its own rows only. Averaging over ranks, as
        DistributedDataParallel does, would then shrink it, so it is multiplied by their number.
        """
        return tensor if self.size == 1 or not tensor.dim() else _Joined.apply(tensor, self)

    def wrapped(self, model: nn.Module, find_unused_parameters: bool = False) -> nn.Module:
        """Gives the model whose backward pass averages gradients over the processes."""
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
    """Return the processes that have met; one that has met none is alone, whatever its number."""
    if not dist.is_initialized():
        return Group(own_place().rank)
    return Group(dist.get_rank(), dist.get_world_size())


@contextmanager
def process_group(device_type: str) -> Iterator[Group]:
    """Joins the processes that torchrun started; without it, this process is alone.

    Args:
        device_type: ``cuda`` chooses the backend nccl, anything else gloo.

    Raises:
        MeetingError: If the environment is at odds with itself, or the others do not come.
    """
    place = own_place()
    if place.size == 1:
        yield Group()
        return
    announce(place)
    backend = "nccl" if device_type == "cuda" else "gloo"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=PATIENCE)))
        store.set_timeout(_PATIENCE)  # all are there; from here on they wait for work
        dist.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.size, timeout=_PATIENCE
        )
    except (RuntimeError, OSError, ValueError) as fault:
        raise missed(place, fault) from fault
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
