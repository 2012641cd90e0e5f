"""Bounded reading of the YAML of config files, with line numbers in errors.

A config of this project has about a hundred values. Text that is far larger, repeats itself
endlessly, or is misleading (a key twice, a number of base 8 or 60, an object) is refused. A date is
kept as text.
"""

import codecs
import math
import re
from typing import Any

import yaml

_LARGEST = 50_000  # maximum bytes
_MOST = 3_000  # maximum values: PyYAML reads so many in a second; aliases count each time
_DEEPEST = 30  # maximum levels
_SHOWN = 60  # characters of a value in a message
_PREFIX = "tag:yaml.org,2002:"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNEXPECTED = (LookupError, AttributeError, TypeError, ValueError, OverflowError)
_SCALARS = ("int", "float", "bool", "timestamp", "str", "null")
_FORMS = {  # class of a node with such a tag
    **{_PREFIX + kind: (yaml.ScalarNode, "a scalar") for kind in _SCALARS},
    _PREFIX + "map": (yaml.MappingNode, "a mapping"),
    _PREFIX + "seq": (yaml.SequenceNode, "a sequence"),
}
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_OTHER_BASE = re.compile(r"[-+]?0[0-7_]+|.*:.*")  # 010 is 8 to YAML, and 1:30 is 90
_NESTED = re.compile(rf"(?:[\[{{]\s*){{{_DEEPEST + 1}}}")


class YAMLError(ValueError):
    """A text is not YAML, or not allowed in a config; the message starts with the line."""


def parse(content: bytes | str) -> Any:
    """Return the plain values of a text: mappings, lists, texts, numbers, true, false and null.

    Args:
        content: UTF-8, or UTF-16 with a byte order mark, as some Windows programs write it.

    Raises:
        YAMLError: If the text is refused; the message has the line, the fault and the remedy.
    """
    if len(content) > _LARGEST:
        raise YAMLError(f"{len(content):,} bytes, expected at most {_LARGEST:,} of a config file")
    text = content if isinstance(content, str) else _decoded(content)
    if match := _CONTROL.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise YAMLError(f"line {line}: a control character ({ascii(match[0])}); remove it")
    if match := _NESTED.search(text):  # PyYAML looks far ahead in these
        line = text.count("\n", 0, match.start()) + 1
        raise YAMLError(f"line {line}: more than {_DEEPEST} levels")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as fault:
        raise YAMLError(_told(fault)) from None
    except YAMLError:
        raise
    except _UNEXPECTED as fault:
        line = loader.get_mark().line + 1
        text = ascii(str(fault))[1:-1][:80]
        raise YAMLError(f"line {line} or before: a value that cannot be read ({text})") from fault
    finally:
        loader.dispose()


def written(value: Any) -> str:
    """Return plain values as YAML that :func:`parse` reads back to the same values."""
    return yaml.safe_dump(
        value, sort_keys=False, default_flow_style=None, width=1000, allow_unicode=True
    )


def _decoded(content: bytes) -> str:
    coding = next((coding for mark, coding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(coding)
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise YAMLError(
            f"line {line}: byte {content[fault.start]:#04x} is not {coding.upper()}; save the file "
            "as UTF-8"
        ) from None


def _told(fault: yaml.MarkedYAMLError) -> str:
    mark = fault.problem_mark or fault.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = " ".join(str(fault.problem or fault.context).split())[:200]
    advice = "; indent with spaces" if "'\\t'" in problem else ""
    return f"{place}{problem}{advice}"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounds; it refuses duplicate keys, where PyYAML keeps the last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._read = 0
        self._sizes: dict[int, int] = {}  # number of values of each finished node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count levels and values while the text is read, before anything is built from it."""
        mark = self.peek_event().start_mark
        if self._depth >= _DEEPEST:
            raise YAMLError(f"line {mark.line + 1}: more than {_DEEPEST} levels")
        self._depth, self._read = self._depth + 1, self._read + 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        _check_form(node)
        if id(node) not in self._sizes:
            if node.start_mark != mark and isinstance(node, yaml.CollectionNode):
                raise YAMLError(f"line {mark.line + 1}: an alias (*) of what it stands in")
            self._sizes[id(node)] = 1 + self._size_of(node)
        if max(self._sizes[id(node)], self._read) > _MOST:
            raise YAMLError(f"line {mark.line + 1}: more than {_MOST:,} values, with aliases (*)")
        return node

    def _size_of(self, node: yaml.Node) -> int:
        if isinstance(node, yaml.SequenceNode):
            return sum(self._sizes[id(inner)] for inner in node.value)
        if isinstance(node, yaml.MappingNode):
            return sum(self._sizes[id(inner)] for pair in node.value for inner in pair)
        return 0

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a mapping with a key twice, or with a key that is not a plain value."""
        seen = set()
        for key, _ in node.value:
            if key.tag == _PREFIX + "merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise YAMLError(f"{_line(key)}: a key that is a list or a mapping")
            name = self.construct_object(key)
            if name in seen:
                raise YAMLError(
                    f"line {node.start_mark.line + 1} and after: the key [{_short(name)}] is "
                    "there twice; remove one"
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)

    def number(self, node: yaml.ScalarNode) -> int | float:
        """Return a 64-bit integer or a finite number, and refuse misleading notations."""
        kind = node.tag.removeprefix(_PREFIX)
        try:
            if len(node.value) > _SHOWN:
                raise ValueError
            value = getattr(self, f"construct_yaml_{kind}")(node)
        except (ValueError, OverflowError, IndexError):  # an empty text, a sign alone
            value = math.inf
        if not -(2**63) <= value < 2**63 if kind == "int" else not math.isfinite(value):
            raise YAMLError(
                f"{_line(node)}: {_short(node.value)} is no {kind} that can be computed with"
            )
        if _OTHER_BASE.fullmatch(node.value):
            raise YAMLError(
                f"{_line(node)}: {_short(node.value)} means {value} to YAML; write a number in "
                "base 10 without a leading 0, and a text in quotes"
            )
        return value

    def date(self, node: yaml.ScalarNode) -> str:
        """Return a date as its text: no config value is a date, but a name may look like one."""
        try:
            self.construct_yaml_timestamp(node)
        except (ValueError, AttributeError):  # AttributeError: the text does not look like a date
            raise YAMLError(
                f"{_line(node)}: {_short(node.value)} is an impossible date; write it in quotes if "
                "it is a name"
            ) from None
        return str(node.value)

    def truth(self, node: yaml.ScalarNode) -> bool:
        """Return true or false."""
        if str(self.construct_scalar(node)).lower() not in self.bool_values:
            raise YAMLError(f"{_line(node)}: {_short(node.value)} is no bool; write true or false")
        return bool(self.construct_yaml_bool(node))

    def unknown(self, node: yaml.Node) -> Any:
        """Refuse a value with an unknown tag."""
        tag = node.tag.replace(_PREFIX, "!!")
        raise YAMLError(f"{_line(node)}: {_short(tag)} is no kind of value that a config has")


def _check_form(node: yaml.Node) -> None:
    """Refuse ``!!map 3`` and the like, which PyYAML turns into other errors or other values."""
    form, name = _FORMS.get(node.tag, (yaml.Node, ""))
    if not isinstance(node, form):
        mark, found = node.start_mark, type(node).__name__.removesuffix("Node").lower()
        raise YAMLError(
            f"line {mark.line + 1}, column {mark.column + 1}: expected {name} behind "
            f"{node.tag.replace(_PREFIX, '!!')}, but found a {found}"
        )


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


for _kind in ("int", "float"):
    _Loader.add_constructor(_PREFIX + _kind, _Loader.number)
_Loader.add_constructor(_PREFIX + "timestamp", _Loader.date)
_Loader.add_constructor(_PREFIX + "bool", _Loader.truth)
for _kind in ("binary", "set", "omap", "pairs"):
    _Loader.add_constructor(_PREFIX + _kind, _Loader.unknown)
_Loader.add_constructor(None, _Loader.unknown)
