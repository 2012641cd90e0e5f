"""CUDA devices visible to OpenGait, and OpenGait without CUDA.

Without CUDA, ten names in torch that OpenGait uses are patched temporarily. This is for tests. To
train without CUDA, use our own engine.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

logger = logging.getLogger(__name__)

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_patched = False


def has_cuda() -> bool:
    """Return whether OpenGait can run here without patches."""
    return torch.cuda.is_available()


def see_devices(count: int) -> None:
    """Hide all devices but the first ``count``; OpenGait needs a process per visible device."""
    if _patched or torch.cuda.device_count() <= count:
        return
    named = os.environ.get(_VISIBLE)
    devices = named.split(",") if named else [str(place) for place in range(count)]
    os.environ[_VISIBLE] = ",".join(devices[:count])
    logger.info("OpenGait sees %d of the devices: %s=%s", count, _VISIBLE, os.environ[_VISIBLE])


def is_patched() -> bool:
    """Return whether torch is patched for the CPU now."""
    return _patched


@contextmanager
def without_cuda() -> Iterator[None]:
    """Patch torch so that OpenGait runs on the CPU within the context.

    Ten names of torch are replaced. The process group uses gloo. There are as many devices as
    processes, the current one is 0, and selecting one does nothing. Tensors and modules stay
    where they are. DistributedDataParallel gets no devices. Checkpoints are loaded to the CPU.
    ``sync_BN`` does not change batch normalization.
    """
    global _patched  # noqa: PLW0603 - torch is one as well
    patches = _patches()
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, replacement in patches:
        setattr(owner, name, replacement)
    _patched = True
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
        _patched = False


def _patches() -> list[tuple[Any, str, Callable[..., Any]]]:
    return [
        (torch.distributed, "init_process_group", _with_gloo(torch.distributed.init_process_group)),
        (torch.cuda, "device_count", lambda: int(os.environ.get("WORLD_SIZE", "1"))),
        (torch.cuda, "set_device", lambda device: None),
        (torch.cuda, "current_device", lambda: 0),
        (nn.Module, "to", _staying(nn.Module.to)),
        (nn.Module, "cuda", lambda module, device=None: module),
        (torch.Tensor, "cuda", lambda tensor, *_, **__: tensor),
        (
            nn.parallel.DistributedDataParallel,
            "__init__",
            _without_devices(nn.parallel.DistributedDataParallel.__init__),
        ),
        (torch, "load", _to_cpu(torch.load)),
        (nn.SyncBatchNorm, "convert_sync_batchnorm", lambda module, *_, **__: module),
    ]


def _with_gloo(original: Callable[..., Any]) -> Callable[..., Any]:
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("gloo", *args, **kwargs)

    return init_process_group


def _staying(original: Callable[..., Any]) -> Callable[..., Any]:
    def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        device = args[0] if args else kwargs.get("device")
        if isinstance(device, int) or str(device).startswith("cuda"):
            return module
        return original(module, *args, **kwargs)

    return to


def _without_devices(original: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Any, module: nn.Module, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        kwargs.update(device_ids=None, output_device=None)
        original(self, module, *args, **kwargs)

    return __init__


def _to_cpu(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(f: Any, map_location: Any = None, **kwargs: Any) -> Any:
        return original(f, map_location="cpu", **kwargs)

    return load
