"""Report on the kind and content of a weight file."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor

from opengait_ext.dinov2_names import WIDTHS, heads_of, metas_names
from opengait_ext.escaping import escaped
from opengait_ext.pretrained.files import DINOV2, DINOV2_HF, Source, is_finite, kind_of, some_lines
from opengait_ext.pretrained.fit import vit_sizes
from opengait_ext.weights import bare_names

_LONGEST = 120  # most characters of a name in a table


def tell(source: Source, names: bool) -> None:
    """Print the kind of weights, their number, and whether all values are finite.

    Args:
        source: The file.
        names: Whether to list every tensor.
    """
    content = source.content
    entry = content.get("model") if isinstance(content, Mapping) else None
    weights = bare_names(dict(_tensors(entry if isinstance(entry, Mapping) else content)))
    print(source.path)
    for title, value in (
        ("kind", _kind(content, weights)),
        *_entries(content, entry),
        *_heads(weights),
        ("size", f"{source.size:,} bytes"),
        ("sha256", source.sha256),
        ("tensors", f"{len(weights):,}, with {_values(weights):,} values"),
        ("types", _types(weights) or "none"),
        ("not finite", _listed([name for name, value in weights.items() if not is_finite(value)])),
    ):
        print(f"  {title:<12}{value}")
    print("\n" + "\n".join(some_lines(list(_table(weights)))))
    if names:
        width = max(map(len, map(_short, weights)), default=0)
        print()
        for name, tensor in weights.items():
            print(f"{_short(name):<{width}}  {_type(tensor):<9} {list(tensor.shape)}")


def _kind(content: Any, weights: Mapping[str, Tensor]) -> str:
    kind = kind_of(weights)
    described = kind.described if kind else "unknown"
    if not isinstance(content, Mapping) or not isinstance(content.get("model"), Mapping):
        return described
    if isinstance(content.get("source"), Mapping):
        return f"imported checkpoint: {described}"
    if "iteration" in content:
        model = _within(content, "config", "model_cfg", "model")
        of_model = f" of {escaped(model)}" if model is not None else ""
        return f"checkpoint{of_model} at iteration {escaped(content['iteration'])}: {described}"
    return described


def _heads(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield the number of heads of a DINOv2, which no tensor shows."""
    if kind_of(weights) in (DINOV2, DINOV2_HF):
        with suppress(ValueError):
            width = vit_sizes(metas_names(weights))["embed_dim"]
            if width in WIDTHS:
                yield "num_heads", f"{heads_of(width)}, with embed_dim {width}"


def _within(content: Any, *keys: str) -> Any:
    """Return a value from nested mappings; None if it is missing."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _entries(content: Any, entry: Any) -> Iterator[tuple[str, str]]:
    """Yield the described entry, the other entries, and the origin of the weights."""
    if not isinstance(entry, Mapping):
        return
    beside = [escaped(key) for key in content if key != "model"]
    yield "entry", f"model; beside it: {', '.join(beside) or 'nothing'}"
    origin = content.get("source")
    if not isinstance(origin, Mapping):
        return
    yield "imported by", f"{escaped(origin.get('tool'))}, version {escaped(origin.get('version'))}"
    files = origin.get("files")
    for facts in files.values() if isinstance(files, Mapping) else ():
        name, size, digest = (_within(facts, key) for key in ("name", "bytes", "sha256"))
        yield "from", f"{escaped(name)}, {escaped(size)} bytes, sha256 {escaped(digest)}"


def _tensors(content: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield all tensors with their key paths; visit each container once."""
    waiting, seen = [("", content)], {id(content)}
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Tensor):
            yield name or "tensor", value
            continue
        if isinstance(value, Mapping):
            inner = [(str(key), item) for key, item in value.items()]
        elif isinstance(value, list | tuple | set):
            inner = [(str(number), item) for number, item in enumerate(value)]
        else:
            continue
        for key, item in reversed(inner):
            if isinstance(item, Tensor) or id(item) not in seen:
                seen.add(id(item))
                waiting.append((f"{name}.{key}" if name else key, item))


def _table(weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the lines of the table, grouped by the first two parts of the names."""
    tensors: Counter[str] = Counter()
    values: Counter[str] = Counter()
    for name, value in weights.items():
        group = ".".join(name.split(".")[:2])
        tensors[group] += 1
        values[group] += value.numel()
    width = max([*map(len, map(_short, tensors)), len("group")])
    yield f"{'group':<{width}}{'tensors':>10}{'values':>14}"
    for group, number in tensors.items():
        yield f"{_short(group):<{width}}{number:>10,}{values[group]:>14,}"


def _short(name: str) -> str:
    """Return a name shortened for a table, so one long name does not widen every line."""
    text = escaped(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _values(weights: Mapping[str, Tensor]) -> int:
    return sum(value.numel() for value in weights.values())


def _types(weights: Mapping[str, Tensor]) -> str:
    counts = Counter(map(_type, weights.values()))
    return ", ".join(f"{kind} ({number:,})" for kind, number in counts.items())


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _listed(names: list[str]) -> str:
    return (
        f"{len(names):,}: {', '.join(some_lines(list(map(escaped, names))))}" if names else "none"
    )
