"""Devices, precision, and the transfer of batches to the device."""

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..config import ConfigError
from .compiled import Compilation
from .meeting import local_rank
from .options import Compile

# Mean and standard deviation of ImageNet's RGB values, each in 0..1.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

_NO_MEMORY = re.compile("allocate memory|out of memory")  # messages of the CPU and of other devices
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device of a run.

    Args:
        name: ``auto`` (cuda, else mps, else cpu), ``cpu``, ``cuda`` or ``mps``. With cuda,
            each process of a machine uses the device of its local rank.

    Raises:
        ConfigError: If this machine or this build of torch lacks the device.
    """
    available = [kind for kind in ("cuda", "mps", "cpu") if _is_available(kind)]
    kind = available[0] if name == "auto" else name
    if kind not in available:
        raise ConfigError(
            f"--device {name}: torch {torch.__version__} finds no such device here "
            f"(there is: {', '.join(available)})"
        )
    if kind != "cuda":
        return torch.device(kind)
    if local_rank() >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local_rank()} of this machine has no device of its own: there are "
            f"{torch.cuda.device_count()}. Start fewer processes (torchrun --nproc_per_node)."
        )
    device = torch.device("cuda", local_rank())
    torch.cuda.set_device(device)
    return device


@dataclass(frozen=True)
class Computation:
    """Device and precision of a forward pass.

    Attributes:
        device: Device of the tensors.
        dtype: Type to which autocast lowers matrix products; float32: no autocast.
        compilation: Optional compilation of frozen parts; None: none.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    compilation: Compilation | None = field(default=None, compare=False)

    @property
    def precision(self) -> str:
        """Return the name of the precision, as in a config."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def described(self) -> str:
        """Return the name of the precision, with a note if the device has to emulate it."""
        emulated = self.dtype is torch.bfloat16 and not computes_bfloat16(self.device)
        return f"{self.precision} (emulated, slower than float32)" if emulated else self.precision

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the autocast context of a forward pass."""
        if self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    @property
    def compiled(self) -> list[str]:
        """Return the names of the parts that were called compiled."""
        return sorted(self.compilation.used) if self.compilation else []

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Any]:
        """Return the output of a model (wrapped or not) for a batch of the loader."""
        calling = self.compilation.of(model) if self.compilation else nullcontext()
        with self.autocast(), calling:
            return model(self.inputs(batch))

    def scaler(self) -> torch.amp.GradScaler:
        """Return the loss scaler, which is enabled only for float16 on cuda."""
        enabled = self.device.type == "cuda" and self.dtype is torch.float16
        return torch.amp.GradScaler(self.device.type, enabled=enabled)

    def place(self, model: nn.Module, training: bool = False) -> nn.Module:
        """Move a model to the device, with kernels in channels-last order where that is faster.

        A model with ``channels_last`` False keeps the default order, and so does one trained in
        float32 on the CPU: there, torch's batch normalization sums channels-last maps pixel by
        pixel and is a hundred times less exact.

        Args:
            model: The model.
            training: Whether the model will be trained.
        """
        model = model.to(self.device)
        fitting = getattr(model, "channels_last", True)
        if training and self.device.type == "cpu" and self.dtype is torch.float32:
            fitting = False
        if self.device.type in ("cpu", "cuda") and fitting:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    def inputs(self, batch: Any) -> tuple[Any, ...]:
        """Move a batch to the device and return OpenGait's tuple.

        Args:
            batch: ``frames`` uint8 ``[n, s, c, h, w]`` (or ``[1, f, c, h, w]`` with
                ``lengths``), ``labels`` ``[n]``, ``types``, ``views``, ``lengths``.

        Returns:
            ``([frames], labels, types, views, lengths)``. The frames are float32 in 0..1;
            frames of three channels are then normalized by ImageNet's mean and deviation.
        """
        frames = batch.frames.to(self.device, non_blocking=True).float().div_(255)
        if frames.shape[2] == len(MEAN):
            mean = torch.tensor(MEAN, device=self.device).view(3, 1, 1)
            deviation = torch.tensor(DEVIATION, device=self.device).view(3, 1, 1)
            frames = frames.sub_(mean).div_(deviation)
        labels = batch.labels.to(self.device, non_blocking=True)
        return [frames], labels, list(batch.types), list(batch.views), batch.lengths


def choose_computation(
    device: torch.device, precision: str, where: str, compile: Compile = "never"
) -> Computation:
    """Return the computation of a config's precision; for ``auto`` the best one.

    Args:
        device: The device.
        precision: ``float32``, ``bfloat16``, ``float16`` or ``auto``: bfloat16 if the device has
            instructions for it, else float32.
        where: Place of the key, for the message.
        compile: Whether to compile frozen parts where that is faster.

    Raises:
        ConfigError: If the device cannot compute in that precision.
    """
    if precision == "auto":
        precision = "bfloat16" if computes_bfloat16(device) else "float32"
    dtype = _DTYPES[precision]
    if dtype is torch.float16 and device.type == "cpu":
        raise ConfigError(f"{where}: float16 needs cuda or mps; on cpu take bfloat16 or float32")
    compilation = Compilation(device, dtype) if compile == "auto" else None
    return Computation(device, dtype, compilation)


def is_out_of_memory(fault: BaseException) -> bool:
    """Return whether an error means that the device is out of memory."""
    if isinstance(fault, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(fault, RuntimeError) and _NO_MEMORY.search(str(fault)) is not None


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    # Private names: any of them may be missing in another version of torch.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(hasattr(torch.cpu, name) and getattr(torch.cpu, name)() for name in probes)


def _is_available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())
