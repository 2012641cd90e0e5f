"""Stand-ins for torch's tensors and storages, and for the containers alongside them."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .arrays import NUMPY
from .parts import BrokenPickleError, ForeignObjectError, Inert, Named
from .values import as_key

_REPEATED = 2**28  # limit on the values of a tensor that repeats its storage

_TYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
_STORAGES = {
    **{f"torch.{name}Storage": kind for name, kind in _TYPES.items()},
    "torch.storage.UntypedStorage": torch.uint8,
    "torch.UntypedStorage": torch.uint8,
}


class Storage(Inert):
    """Stand-in for the values that tensors share.

    Args:
        content: The bytes of the values, uint8 ``[n]``.
        kind: The type of the values.
    """

    def __init__(self, content: np.ndarray, kind: torch.dtype) -> None:
        self._content, self.kind = content, kind

    def build(self, state: Any) -> None:
        """Raise `ForeignObjectError`: a storage has no attributes."""
        raise ForeignObjectError("a storage with attributes")

    def value(self) -> Any:
        """Raise `ForeignObjectError`: a storage alone is not a value."""
        raise ForeignObjectError("a storage without a tensor")

    def flat(self, kind: torch.dtype) -> Tensor:
        """Return the values as a flat tensor that shares the memory."""
        if len(self._content) % kind.itemsize:
            raise BrokenPickleError("values that are cut short")
        return typed(self._content, kind)


def typed(content: np.ndarray, kind: torch.dtype) -> Tensor:
    """Return bytes, uint8 ``[n]``, as a flat tensor of a type that shares the memory."""
    if not len(content):
        return torch.empty(0, dtype=kind)
    return torch.from_numpy(content).view(kind)


class _Type(Inert):
    """Stand-in for ``torch.float32`` and the like, which may also be a value."""

    def __init__(self, kind: torch.dtype) -> None:
        self._kind = kind

    def build(self, state: Any) -> None:
        raise ForeignObjectError(str(self._kind))

    def value(self) -> torch.dtype:
        return self._kind


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    """Return a view that lies within a storage; ``rest`` matters to training only."""
    if not isinstance(storage, Storage):
        raise BrokenPickleError("a tensor without a storage")
    kind = next((part.value() for part in rest if isinstance(part, _Type)), storage.kind)
    if any(isinstance(part, dict) and part for part in rest):  # conjugate and negative flags
        raise ForeignObjectError("a tensor with marks or hooks")
    size, stride = tuple(_listed(size)), tuple(_listed(stride))
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or any(
        type(number) is not int or not 0 <= number < 2**62 for number in numbers
    ):
        raise BrokenPickleError("a tensor of an impossible shape")
    flat = storage.flat(kind)
    last, count = offset, 1
    for side, step in zip(size, stride, strict=True):
        last += (side - 1) * step
        count *= side
    if count and last >= len(flat) or count > max(len(flat), _REPEATED):
        raise BrokenPickleError(f"a tensor of {count:,} values with {len(flat):,} values for it")
    if not count:
        return torch.empty(size, dtype=kind)
    return flat.as_strided(size, stride, offset)


def _parameter(tensor: Any, *rest: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise BrokenPickleError("a parameter without a tensor")
    return tensor


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    return {as_key(key): value for key, value in _listed(pairs)}


def _counter(counts: Any = None) -> Counter[Any]:
    if not isinstance(counts, dict) or any(type(count) is not int for count in counts.values()):
        raise BrokenPickleError("a counter that does not count")
    return Counter(counts)


def _default(kind: Any = None) -> dict[Any, Any]:
    return {}


def _size(sides: Any = ()) -> tuple[Any, ...]:
    return tuple(_listed(sides))


def _device(kind: Any, number: Any = None) -> str:
    return str(kind)[:20] if number is None else f"{str(kind)[:20]}:{int(number)}"


def _set(values: Any = ()) -> set[Any]:
    return set(map(as_key, _listed(values)))


def _listed(values: Any) -> Any:
    """Return values to copy one by one; a tensor is rejected: it can exceed its file's size."""
    if not isinstance(values, (list, tuple, dict, set, frozenset)):
        raise BrokenPickleError(f"a list that is of type {type(values).__name__}")
    return values


TORCH: dict[str, Any] = {
    **NUMPY,
    **dict.fromkeys(_STORAGES),
    **{str(kind): _Type(kind) for kind in _TYPES.values()},
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "collections.defaultdict": _default,
    **{
        f"{module}.{name}": make
        for module in ("builtins", "__builtin__")
        for name, make in {
            "set": _set, "list": None, "dict": None, "int": None, "float": None, "str": None,
        }.items()
    },
}  # fmt: skip


def storage_of(key: Any) -> tuple[torch.dtype, str, int, Any]:
    """Return a storage's type, name, number of values, and the note of a part of it."""
    if type(key) is not tuple or len(key) not in (5, 6) or key[0] != "storage":
        raise BrokenPickleError("it refers to something that is no storage")
    _, kind, name, _, count, *part = key
    if not isinstance(kind, Named) or kind.name not in _STORAGES or not isinstance(name, str):
        raise BrokenPickleError("a storage of no type")
    if type(count) is not int or not 0 <= count < 2**60:
        raise BrokenPickleError("a storage of an impossible size")
    return _STORAGES[kind.name], name, count, part[0] if part else None
