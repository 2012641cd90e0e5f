"""Damaged forms of a file: what disks, downloads, editors and hostile hands make of it."""

import random
import re
import struct

_DIGITS = b"9" * 5000
TOKENS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e19", b"1e400", b"-1", b"0", b"null", b"true", b'""',
    b"{}", b"[]", b'"text"', b"18446744073709551616", b"9223372036854775807", b"-0.0", b"1e-400",
    _DIGITS, b'"\\ud800"', b'"\\u0000"', b'"../../x"', b"[" * 200_000, b'{"a":' * 100_000,
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_VALUE = re.compile(rb'"[^"\\]*"|-?\d+(?:\.\d+)?|true|false|null|\[[^][]*\]|\{[^{}]*\}')
_ODD = (b"\x1b[2J", b"\r", b"\0", b'"', b",", b";;", b"\xc3", "\u202e".encode(), b"'")
_SIZES = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 2**62, 2**63 - 1, 2**64 - 1)


def mutated(content: bytes, rng: random.Random, is_text: bool) -> bytes:
    """Return a damaged form of a file.

    Args:
        content: The whole file.
        rng: All that is random.
        is_text: Whether it is text, of which values and lines are exchanged; of other files,
            bytes, blocks and sizes are.
    """
    kinds = (_OF_TEXT if is_text else _OF_BYTES) + _OF_ALL
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(kinds)(content, rng)
    return content


def _place(content: bytes, rng: random.Random) -> int:
    return rng.randrange(len(content) + 1)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def _without_block(content: bytes, rng: random.Random) -> bytes:
    start = _place(content, rng)
    return content[:start] + content[start + rng.choice((1, 4, 16, 512)) :]


def _repeated_block(content: bytes, rng: random.Random) -> bytes:
    start = _place(content, rng)
    return content[:start] + content[start : start + rng.choice((1, 8, 64, 4096))] + content[start:]


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8)) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _noise(content: bytes, rng: random.Random) -> bytes:
    start = _place(content, rng)
    noise = rng.randbytes(rng.choice((1, 4, 32)))
    return content[:start] + noise + content[start + len(noise) :]


def _nothing(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\0", b"\0" * 4096, b"\xef\xbb\xbf", b"\xff\xfe", b"\n"))


def _size(content: bytes, rng: random.Random) -> bytes:
    """Write an extreme number over two, four or eight bytes."""
    start, order = _place(content, rng), rng.choice("<>")
    form, width = rng.choice((("H", 16), ("I", 32), ("Q", 64)))
    number = struct.pack(order + form, rng.choice(_SIZES) % 2**width)
    return content[:start] + number + content[start + len(number) :]


def _exchanged(pattern: re.Pattern[bytes], content: bytes, rng: random.Random) -> bytes:
    found = list(pattern.finditer(content))
    if not found:
        return content
    start, end = rng.choice(found).span()
    return content[:start] + rng.choice(TOKENS) + content[end:]


def _number(content: bytes, rng: random.Random) -> bytes:
    return _exchanged(_NUMBER, content, rng)


def _value(content: bytes, rng: random.Random) -> bytes:
    return _exchanged(_VALUE, content, rng)


def _swapped_values(content: bytes, rng: random.Random) -> bytes:
    found = list(_VALUE.finditer(content))
    if len(found) < 2:
        return content
    first, second = sorted(rng.sample(found, 2), key=lambda each: each.start())
    between = content[first.end() : second.start()]
    return (
        content[: first.start()] + second[0] + between + first[0] + content[second.end() :]
        if first.end() <= second.start()
        else content
    )


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    kind, place = rng.randrange(4), rng.randrange(len(lines))
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(place, lines[rng.randrange(len(lines))])
    elif kind == 2:
        rng.shuffle(lines)
    else:
        lines[place] = rng.choice(TOKENS) + b"\n"
    return b"".join(lines)


def _characters(content: bytes, rng: random.Random) -> bytes:
    start = _place(content, rng)
    odd = rng.choice(
        (b"\x1b[2J", b"\r", b"\0", b'"', b",", b";;", b"\xc3", "\u202e".encode(), b"'")
    )
    return content[:start] + odd + content[start:]


_OF_ALL = (_cut, _flipped, _noise, _without_block, _repeated_block, _nothing)
_OF_BYTES = (_size, _size, _flipped)
_OF_TEXT = (_number, _number, _value, _value, _swapped_values, _lines, _characters)
