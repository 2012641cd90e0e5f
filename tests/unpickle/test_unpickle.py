"""Pickles as data: what Python's own reader reads is read, and nothing is made of a name."""

import collections
import io
import math
import pickle
import struct

import numpy as np
import pytest

from opengait_ext.unpickle import NUMPY, BrokenPickleError, ForeignObjectError, Machine, Source
from opengait_ext.unpickle.tensors import TORCH

VALUES = {
    "texts": ["", "a", "ä" * 300, "\n'\"\\", "x" * 2000],
    "numbers": [0, -1, 255, 65536, 2**40, -(2**70), 0.5, -1e300, math.inf, True, False, None],
    "nested": ({"a": [1, (2, 3), ()], 3: {}, None: []}, [[[[]]]], ({}, (), [])),
    "sets": [{1, 2}, frozenset({"a"}), set()],
    "bytes": [b"", b"abc", bytes(range(256)) * 20],
    "long": list(range(3000)),
    "many": {f"layer{number}": number for number in range(3000)},
    "shared": [[1, 2]] * 3,
}


def read(content, makers=NUMPY, **options):
    return Machine(Source(io.BytesIO(content), len(content)), makers, **options).load()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", VALUES)
def test_plain_values_are_read_as_python_reads_them(name, protocol):
    if name == "sets" and protocol < 4:
        pytest.raises(ForeignObjectError, read, pickle.dumps(VALUES[name], protocol))
        return
    assert read(pickle.dumps(VALUES[name], protocol)) == VALUES[name]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "kind", ["?", "i1", "u1", "<u2", ">i4", "<i8", "<f2", "<f4", ">f8", "<c8", "<U3", "S2"]
)
def test_arrays_and_scalars_of_plain_types_are_read_as_python_reads_them(kind, protocol):
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    for given in (values, np.asfortranarray(values), values[:, ::2], values[:0], values[0, 0, 0]):
        content = pickle.dumps({"x": given, "again": [given]}, protocol)
        expected = pickle.loads(content)["x"]
        found = read(content)
        np.testing.assert_array_equal(found["x"], expected)
        if isinstance(given, np.ndarray):
            assert found["x"].dtype == expected.dtype.newbyteorder("=")
            assert found["x"].flags.writeable
            assert found["again"][0] is found["x"]
        else:
            assert not isinstance(found["x"], np.generic)


def old(values, protocol):
    """An array as Python 2 with an early numpy pickles it, written by hand."""
    kind, order = values.dtype.str[1:].encode(), values.dtype.str[:1].encode()
    content = values.tobytes()

    def text(value):
        if protocol == 0:
            return b"S" + repr(value)[1:].encode() + b"\n"
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value):
        return b"I%d\n" % value if protocol == 0 else b"J" + struct.pack("<i", value)

    shape = b"".join(map(number, values.shape))
    false = b"I00\n" if protocol < 2 else b"\x89"
    return b"".join(
        [
            b"\x80\x02" if protocol == 2 else b"",
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(",
            number(0), b"t", text(b"b"), b"tR(", number(1), b"(", shape, b"tcnumpy\ndtype\n(",
            text(kind), number(0), number(1), b"tR(", number(3), text(order), b"NNN",
            number(-1), number(-1), number(0), b"tb", false, text(content), b"tb.",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("kind", ["|u1", "<f4", ">f8"])
def test_arrays_that_python_2_pickled_are_read(protocol, kind):
    values = np.arange(256).reshape(2, 8, 16).astype(kind)
    content = old(values, protocol)
    np.testing.assert_array_equal(pickle.loads(content, encoding="latin1"), values)
    np.testing.assert_array_equal(read(content), values)


def name(module, function):
    return b"c" + module.encode() + b"\n" + function.encode() + b"\n"


def integer(value):
    return pickle.dumps(value, 2)[2:-1]


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def raw(value):
    return b"B" + struct.pack("<I", len(value)) + value


U1 = name("numpy", "dtype") + text("u1") + b"\x85R"


def array(shape, kind, content, order=b"\x89"):
    start = name("numpy._core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray")
    start += b"(" + integer(0) + b"t" + raw(b"b") + b"tR(" + integer(1)
    return start + b"(" + b"".join(map(integer, shape)) + b"t" + kind + order + content + b"tb"


def described(kind, flags, *parts):
    state = integer(3) + text("|") + b"".join(parts or [b"NNN"])
    return (
        name("numpy", "dtype") + b"(" + text(kind) + b"\x89\x88tR(" + state
        + integer(-1) + integer(-1) + integer(flags) + b"tb"
    )  # fmt: skip


POINTERS = raw(struct.pack("<Q", 0x4141414141414141))
FOREIGN = {
    "pointers": array([1], described("O8", 0), POINTERS),
    "pointers in a buffer": name("numpy._core.numeric", "_frombuffer")
    + b"(" + POINTERS + described("O8", 0) + b"(" + integer(1) + b"t" + text("C") + b"tR",
    "objects": array([1], U1, b"]" + integer(5) + b"a"),
    "fields": array([1], described("u1", 0, b"N", text("a"), b"N"), raw(b"a")),
    "a part": array([1], described("u1", 0, U1, b"NN"), raw(b"a")),
    "void": array([1], name("numpy", "dtype") + text("V2000000000") + b"\x85R", raw(b"a")),
    "dates": array([1], name("numpy", "dtype") + text("M8[ns]") + b"\x85R", raw(b"a" * 8)),
    "long texts": array([1], name("numpy", "dtype") + text("U500000000") + b"\x85R", raw(b"a")),
    "nested type": name("numpy", "dtype") + text("(" * 9999 + "2" + ")" * 9999 + "i4") + b"\x85R",
    "a call": name("numpy", "ndarray") + b"(" + integer(10**9) + b"tR",
    "a class": name("numpy", "ndarray"),
    "a state": name("numpy", "ndarray") + b"}b",
    "an instance": b"(S'id'\nios\nsystem\n",
    "an object": b"(" + name("numpy", "ndarray") + b"o",
    "a new object": name("numpy", "ndarray") + b")\x81",
    "a new object with words": name("numpy", "ndarray") + b")}\x92",
    "a name on the stack": text("builtins") + text("eval") + b"\x93",
    "a name with a dot": text("numpy") + text("ndarray.tofile") + b"\x93",
}  # fmt: skip


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_plain_array_is_refused_by_name_in_a_short_line(case):
    with pytest.raises(ForeignObjectError) as fault:
        read(b"\x80\x04" + FOREIGN[case] + b".")
    assert str(fault.value).startswith("it asks for ")
    assert len(str(fault.value)) < 200
    assert str(fault.value).isascii()


def test_control_characters_of_a_name_are_escaped():
    with pytest.raises(ForeignObjectError, match=r"it asks for a\\x1b\[31m\.b\\x07"):
        read(b"ca\x1b[31m\nb\x07\n.")


def tuples(depth):
    return b")" + b"".join(b"q\x00h\x00h\x00\x86" for _ in range(depth))


BROKEN = {
    "memo without end": b"Nr\xff\xff\xff\xffh\x01.",
    "memo as text": b"Np99999999999999\ng3\n.",
    "bytes of 2**63": b"\x8e" + struct.pack("<Q", 2**63 - 1) + b"x.",
    "bytearray of 2**40": b"\x96" + struct.pack("<Q", 2**40) + b"x.",
    "text of 2**40": b"\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "old text below 0": b"T\xff\xff\xff\xff.",
    "a frame of 2**40": b"\x95" + struct.pack("<Q", 2**40) + b"N.",
    "an integer of megabytes": b"\x8b" + struct.pack("<I", 4000000) + b"\x7f" * 4000000 + b".",
    "an integer of many digits": b"I" + b"9" * 4000000 + b"\n.",
    "deep lists": b"]" * 5000 + b"a" * 4999 + b".",
    "deep tuples": b"(" * 5000 + b"t" * 5000 + b".",
    "itself": b"]q\x00h\x00a.",
    "a key that takes years": b"}" + tuples(60) + b"Ns.",
    "a member that takes years": b"\x8f(" + tuples(60) + b"\x90.",
    "large keys": b"}" + b"".join(integer(2**61 * k * 2**61) + b"Ns" for k in (1, 2)) + b".",
    "an array larger than its bytes": array([10**9, 10**9], U1, raw(b"abc")) + b".",
    "an array smaller than its bytes": array([2], U1, raw(b"abc")) + b".",
    "a shape below 0": array([-1, -1], U1, raw(b"a")) + b".",
    "a shape of text": array([], U1, raw(b"a")).replace(b"(tcnumpy", b"(Nt" + b"cnumpy") + b".",
    "an empty shape of 2**62": array([0, 2**62], U1, raw(b"")) + b".",
    "no order": array([1], name("numpy", "dtype") + text("u1") + b"\x85RNb", raw(b"a")) + b".",
    "no type": array([1], b"N", raw(b"a")) + b".",
    "another type": name("numpy", "dtype") + b"(" + text("u1") + b"tRK\x05b.",
    "no values": array([1], U1, raw(b"a")).split(b"(" + integer(1))[0] + b".",
    "described twice": name("numpy._core.numeric", "_frombuffer")
    + b"(" + raw(b"a") + U1 + b"(" + integer(1) + b"t" + text("C") + b"tRNb.",
    "an unknown instruction": b"\xff.",
    "a number of an extension": b"\x82\x01.",
    "a copy of the top": b")2\x86.",
    "an id of something outside": b"Pfoo\n.",
    "a buffer outside": b"\x97.",
    "too few values": b"\x86.",
    "values below a mark": b"N(a.",
    "no mark": b"t.",
    "append to a text": text("a") + b"Na.",
    "keys for a list": b"]NNs.",
    "members for a list": b"](N\x90.",
    "a key alone": b"}(Nu.",
    "a call of a text": text("a") + b")R.",
    "arguments that are no tuple": name("numpy", "dtype") + b"]R.",
    "a number too many": name("_codecs", "encode") + b"(" + text("a") * 3 + b"tR.",
    "another encoding": name("_codecs", "encode") + b"(" + text("a") + text("zlib") + b"tR.",
    "a state of a number": b"K\x01}b.",
    "text without quotation marks": b"Sabc\n.",
    "text that is not UTF-8": b"X\x01\x00\x00\x00\xff.",
    "a name that is no text": b"K\x01K\x01\x93.",
    "an object of no class": b"(o.",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_pickle_that_claims_what_it_has_not_is_refused_in_a_short_line(case):
    with pytest.raises(BrokenPickleError) as fault:
        read(b"\x80\x04" + BROKEN[case])
    assert 5 < len(str(fault.value)) < 200
    assert str(fault.value).isascii()


def test_bytes_that_are_used_too_often_are_refused():
    encode = name("_codecs", "encode")
    text_once = encode + b"(" + text("a" * 2**16) + b"q\x01" + text("latin1") + b"tR"
    text_again = encode + b"(h\x01" + text("latin1") + b"tR"
    bytes_once = raw(b"a" * 2**16) + b"q\x01"
    bytes_again = array([2**16], U1, b"h\x01")
    for once, again in ((text_once, text_again), (bytes_once, bytes_again)):
        read(b"\x80\x04(" + once + again + b"t.")
        with pytest.raises(BrokenPickleError, match="uses its own bytes too often"):
            read(b"\x80\x04(" + once + again * 40 + b"t.")


def members(kind, start, end, one, count):
    return start + b"(" + one * count + end + b"q\x01" + kind + b"q\x02("


COPIED = {
    "counter": (name("collections", "Counter"), b"}", b"u", b"K\x01K\x01"),
    "set": (name("builtins", "set"), b"]", b"e", b"K\x01"),
    "size": (name("torch", "Size"), b"]", b"e", b"K\x01"),
    "pairs": (name("collections", "OrderedDict"), b"]", b"e", b"K\x01K\x01\x86"),
}


@pytest.mark.parametrize("case", COPIED)
def test_a_list_that_is_copied_too_often_is_refused(case):
    kind, start, end, one = COPIED[case]
    one = one if case != "counter" else b"".join(b"M" + struct.pack("<H", k) + b"K\x01"
                                                 for k in range(9000))  # fmt: skip
    content = members(kind, start, end, one, 9000 if case != "counter" else 1)
    read(b"\x80\x04" + content + b"h\x02h\x01\x85Rt.", TORCH)
    with pytest.raises(BrokenPickleError, match="uses its own bytes too often"):
        read(b"\x80\x04" + content + b"h\x02h\x01\x85R" * 40 + b"t.", TORCH)


def test_what_is_copied_must_be_a_list():
    for kind in ("set", "OrderedDict"):
        module = "builtins" if kind == "set" else "collections"
        with pytest.raises(BrokenPickleError, match="a list that is of type str"):
            read(b"\x80\x04" + name(module, kind) + text("ab") + b"\x85R.", TORCH)


@pytest.mark.slow
@pytest.mark.parametrize(
    "one", [b"]", b"}", b"\x8f", b"(l", b"(d", b"(\x91", b"h\x01h\x02R", b"h\x03h\x04\x93"]
)
def test_more_objects_than_any_file_of_weights_has_are_refused(one):
    start = b"\x80\x04" + name("collections", "defaultdict") + b"q\x01)q\x02"
    start += text("builtins") + b"q\x03" + text("set") + b"q\x04("
    read(start + one * 1000 + b"t" + b"0N.", TORCH)
    with pytest.raises(BrokenPickleError, match="more than 300,000 lists, dictionaries and obj"):
        read(start + one * 300_001 + b"t0N.", TORCH)


def test_a_pickle_of_too_many_instructions_is_refused():
    with pytest.raises(BrokenPickleError, match="more than 1,000 instructions"):
        read(b"N0" * 2000 + b"N.", most=1000)


def test_no_pickle_cut_anywhere_is_read():
    content = pickle.dumps({"a": np.arange(300.0), "b": [1, 2.5, "text"]}, 4)
    for kept in range(len(content)):
        with pytest.raises(BrokenPickleError):
            read(content[:kept])


def test_a_pickle_with_any_byte_changed_is_read_or_refused():
    content = bytearray(pickle.dumps(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), 2))
    outcomes = collections.Counter()
    for place in range(len(content)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128):
            content[place] ^= change
            try:
                read(bytes(content))
                outcomes["read"] += 1
            except (BrokenPickleError, ForeignObjectError) as fault:
                outcomes[type(fault).__name__] += 1
            content[place] ^= change
    assert set(outcomes) == {"read", "BrokenPickleError", "ForeignObjectError"}
    read(bytes(content))
