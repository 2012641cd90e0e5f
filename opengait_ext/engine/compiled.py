"""Optional compilation of a model's frozen parts, used where it is faster on this machine."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from . import random_state

logger = logging.getLogger(__name__)

Call = Callable[..., Any]

_PASSES, _SECONDS = 3, 0.2  # timed passes of each form: at least so many, so long
_FLOAT32, _LOWER = 1e-4, 8  # tolerance, of a token's norm; in lower precisions: in roundings


def compiled_by_torch(call: Call) -> Call:
    """Return the compiled form of a function of tensors with a variable first dimension."""
    compiled = torch.compile(call)

    def called(*inputs: Tensor) -> Any:
        for tensor in inputs:
            torch._dynamo.mark_dynamic(tensor, 0)  # else a second size is compiled again
        return compiled(*inputs)

    return called


class Compilation:
    """Compile the frozen parts of a model if that is faster on this machine.

    The first batch decides: each part computes it in both forms, the results are compared, the
    forms are timed in turns, and the faster one is used from then on. If the compiled form ever
    fails, the part is called uncompiled. Each decision is logged.

    Parts are replaced only inside :meth:`of`, so state dicts, checkpoints and copies are
    unaffected.

    Args:
        device: Device of the model.
        dtype: Type to which autocast lowers products.
        compiler: Function that returns the compiled form of a function.

    Attributes:
        used: Names of the parts that have been called compiled.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        compiler: Callable[[Call], Call] = compiled_by_torch,
    ) -> None:
        self.device, self.compiler = device, compiler
        self.tolerance = _FLOAT32 if dtype is torch.float32 else _LOWER * torch.finfo(dtype).eps
        self.used: set[str] = set()
        self._choices: dict[str, _Choice] = {}
        self._told = False

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Use the faster form of a model's ``frozen_parts`` in this context; it may be wrapped."""
        plain: Any = getattr(model, "module", model)
        parts = {name: plain.get_submodule(name) for name in getattr(plain, "frozen_parts", ())}
        if not parts and not self._told:
            logger.info("compile: %s has no frozen part; left as it is", type(plain).__name__)
            self._told = True
        try:
            for name, part in parts.items():
                if name not in self._choices or self._choices[name].part is not part:
                    self._choices[name] = _Choice(name, part, self)
                part.forward = self._choices[name]
            yield
        finally:
            for part in parts.values():
                vars(part).pop("forward", None)


class _Choice:
    """Replacement for a part's ``forward`` that chooses its form at the first batch."""

    def __init__(self, name: str, part: nn.Module, compilation: Compilation) -> None:
        self.part, self._name, self._compilation = part, name, compilation
        self._plain: Call = part.forward
        self._compiled: Call | None = None
        self._chosen = False

    def __call__(self, *inputs: Tensor) -> Any:
        if len(inputs[0]) < 2:  # torch would compile it again
            return self._plain(*inputs)
        if not self._chosen:
            with random_state.preserved(self._compilation.device):
                self._compiled = self._faster(inputs)
            self._chosen = True
        if self._compiled is not None:
            try:
                self._compilation.used.add(self._name)
                return self._compiled(*inputs)
            except Exception as error:
                self._stays(f"its compiled form failed: {_reason(error)}")
                self._compiled = None
        return self._plain(*inputs)

    def _faster(self, inputs: Sequence[Tensor]) -> Call | None:
        """Return the compiled form if it is correct and faster, else None."""
        start = time.perf_counter()
        expected = self._plain(*inputs)  # outside the try: its errors are not of compiling
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a compiler's own warnings
                compiled = self._compilation.compiler(self._plain)
                difference = _difference(expected, compiled(*inputs))
            del expected  # the timed passes need the memory
            if not difference <= self._compilation.tolerance:  # or it is NaN
                self._stays(f"compiled, its result differs by {difference:.2g} of its size")
                return None
            plain, other = _timed((self._plain, compiled), inputs, self._compilation.device)
        except Exception as error:
            self._stays(f"it cannot be compiled here: {_reason(error)}")
            return None
        logger.info(
            "compile: %s takes %.3g s compiled, %.3g s as it is: %s (found out in %.0f s)",
            self._name, other, plain, "compiled" if other < plain else "as it is",
            time.perf_counter() - start,
        )  # fmt: skip
        return compiled if other < plain else None

    def _stays(self, why: str) -> None:
        logger.warning("compile: %s stays as it is: %s", self._name, why)


def _timed(calls: Sequence[Call], inputs: Sequence[Tensor], device: torch.device) -> list[float]:
    """Return the median time of each call, in seconds."""
    seconds: list[list[float]] = [[] for _ in calls]
    wait: Callable[[], None] = getattr(torch, device.type).synchronize  # no-op on the CPU
    end = time.perf_counter() + _SECONDS
    while len(seconds[0]) < _PASSES or time.perf_counter() < end:
        for call, taken in zip(calls, seconds, strict=True):
            wait()
            start = time.perf_counter()
            call(*inputs)
            wait()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in seconds]


def _difference(expected: Any, found: Any) -> float:
    """Return the largest relative distance from an expected vector; NaN propagates."""
    farthest = []
    for one, other in zip(_tensors(expected), _tensors(found), strict=True):
        if one.shape != other.shape:
            raise ValueError(f"its result is {list(other.shape)}, expected {list(one.shape)}")
        length = torch.linalg.vector_norm(one.float(), dim=-1).clamp_min(1e-12)
        distance = torch.linalg.vector_norm(other.float() - one.float(), dim=-1)
        farthest.append((distance / length).max())
    return float(torch.stack(farthest).max())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def _reason(error: Exception) -> str:
    """Return the first line of an error, or of the compiler's error that torch wrapped."""
    inner = getattr(error, "inner_exception", None) or error
    return f"{type(inner).__name__}: {str(inner).strip()}".splitlines()[0]
