"""Config files that are damaged, hostile or odd: one line with the place, within bounds."""

import pytest

from opengait_ext.config import ConfigError, load_config
from opengait_ext.yaml_text import YAMLError, parse

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{here}: &{here} [{','.join([f'*{there}'] * 10)}]\n"
    for there, here in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k0: 1, k1: 1}\n" + "".join(
    f"m{i}: &m{i} {{{', '.join(f'<<: *{there}' for there in [previous])}, n{i}: [*{previous}, "
    f"*{previous}]}}\n"
    for i, previous in enumerate(["a"] + [f"m{j}" for j in range(40)])
)

BAD = {
    "aliases of aliases": (LAUGHS, "line 4: more than 3,000 values, with aliases"),
    "aliases in a list": (
        "- &a0 [x,x]\n" + "".join(f"- &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(9)),
        "more than 3,000 values",
    ),
    "merges of merges": (MERGES, "more than 3,000 values"),
    "many values": ("- 1\n" * 10_000, "line 3000: more than 3,000 values"),
    "many bytes": ("a" * 200_000, "200,000 bytes, expected at most 50,000"),
    "a list in itself": ("a: &a [*a]\n", "line 1: an alias .* of what it stands in"),
    "a mapping in itself": ("a: &a\n  b: {c: *a}\n", "line 2: an alias .* of what it stands in"),
    "deep brackets": ("[" * 5000 + "]" * 5000, "line 1: more than 30 levels"),
    "deep blocks": ("".join(" " * n + "a:\n" for n in range(80)), "line 30: more than 30 levels"),
    "a date": ("a: 1\nb: 2024-13-45", "line 2: '2024-13-45' is an impossible date; write it in"),
    "a time": ("a: 2024-01-01 25:00:00", "line 1: '2024-01-01 25:00:00' is an impossible date"),
    "digits": ("a: " + "9" * 5000, "line 1: '9999.* is no int that can be computed with"),
    "digits of base 16": ("\na: 0x" + "f" * 40, "line 2: '0xfff.* is no int"),
    "two to the 63": ("a: 9223372036854775808", "'9223372036854775808' is no int"),
    "base 8": (
        "a: 1\nb: 010",
        "line 2: '010' means 8 to YAML; write a number in base 10 without a",
    ),
    "base 8 below 0": ("a: -0_17", "line 1: '-0_17' means -15 to YAML; .* a text in quotes"),
    "base 8 as a key": ("010: 1", "line 1: '010' means 8 to YAML"),
    "base 60": ("a: [1:30]", "line 1: '1:30' means 90 to YAML; write a number in base 10"),
    "base 60 with a fraction": ("a: 1:30.5", "line 1: '1:30.5' means 90.5 to YAML"),
    "base 8 by a tag": ("a: !!int '010'", "line 1: '010' means 8 to YAML"),
    "infinity": ("a: .inf", "line 1: '.inf' is no float that can be computed with"),
    "not a number": ("a: .NaN", "'.NaN' is no float"),
    "a large exponent": ("a: 1.0e+999", "'1.0e.999' is no float"),
    "a key twice": ("a: 1\nb: 2\na: 3", r"line 1 and after: the key \['a'\] is there twice"),
    "a merge with a list": ("a: {<<: [1]}", "line 1, column 10: expected a mapping"),
    "a list as a key": ("? [a]\n: b", "line 1: a key that is a list or a mapping"),
    "a mapping as a key": ("x:\n  {a: 1}: b", "line 2: a key that is a list or a mapping"),
    "a tab": ("a:\n\tb: 1", r"line 2, column 1: found character '\\t' that cannot start any token"),
    "an open bracket": ("a: [1\n", "line 2, column 1: expected ',' or ']'"),
    "an unknown alias": ("a: *b", "line 1, column 4: found undefined alias 'b'"),
    "two documents": ("a: 1\n---\nb: 1", "line 2, column 1: but found another document"),
    "an object": ("a: !!python/object:os.system []", "'!!python/object:os.system' is no kind of"),
    "an own tag": ("a: !x 1", "line 1: '!x' is no kind of value that a config has"),
    "bytes": ("a: !!binary x", "line 1: '!!binary' is no kind of value"),
    "a set": ("a: !!set {x}", "'!!set' is no kind of value"),
    "a tag that does not fit": ("a: !!int [1]", "line 1, column 4: expected a scalar"),
    "no int": ("a: !!int ''", "line 1: '' is no int that can be computed with"),
    "no float": ("a: 1\nb: !!float ''", "line 2: '' is no float that can be computed with"),
    "a sign alone": ("a: !!int '-'", "line 1: '-' is no int"),
    "a bool of text": ("a: 1\nb: !!bool foo", "line 2: 'foo' is no bool; write true or false"),
    "a date of text": ("a: !!timestamp foo", "line 1: 'foo' is an impossible date"),
    "a mapping of a number": (
        "a: 1\nb: !!map 3",
        "line 2, column 4: expected a mapping behind !!map, but found a scalar",
    ),
    "a mapping of a list": ("a: !!map [1]", "expected a mapping behind !!map, but found a seq"),
    "a key with a tag": ("a: {? !!map x : 1}", "line 1, column 7: expected a mapping behind !!map"),
    "a list of text": ("a: !!seq x", "column 4: expected a sequence behind !!seq"),
    "a number in a mapping": ("a: !!int {=: 3}", "expected a scalar behind !!int, but found a map"),
    "an escape of no sign": (r'a: "\U00110000"', "line 1 or before: a value that cannot be read"),
    "an escape too large": (r'a: "\UFFFFFFFF"', "line 1 or before: a value that cannot be read"),
    "an int of text": ("a: !!int x", "line 1: 'x' is no int"),
    "a zero byte": ("a: 1\nb: \0", r"line 2: a control character \('\\x00'\); remove it"),
    "an escape": ("a: \x1b[31m", r"line 1: a control character \('\\x1b'\)"),
    "half a pair": ("a: \udc80", r"a control character \('\\udc80'\)"),
    "latin-1": ("a: 1\nb: é".encode("latin1"), "line 2: byte 0xe9 is not UTF-8; save the file"),
    "half of UTF-16": ("a: 1".encode("utf-16")[:-1], "is not UTF-16; save the file as UTF-8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_a_config_that_is_wrong_is_told_in_one_line_with_its_place(tmp_path, case):
    content, said = BAD[case]
    with pytest.raises(YAMLError, match=said) as fault:
        parse(content)
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 300
    assert str(fault.value).isprintable()
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    if case != "half a pair":
        with pytest.raises(ConfigError, match=r"config\.yaml: this is not valid YAML: "):
            load_config(path)


def test_plain_values_are_what_they_look_like():
    text = "{a: 1, b: -0x1f, c: 1.5e-3, d: [yes, null, ~], e: '2024-13-45', f: 2024-01-02, 1: 'x'}"
    assert parse(text) == {
        "a": 1, "b": -31, "c": 0.0015, "d": [True, None, None], "e": "2024-13-45",
        "f": "2024-01-02", 1: "x",
    }  # fmt: skip
    assert parse("") is None
    assert parse("[0, -0, 0.5, 00.5, 0b11, '010', '1:30', 1_000]") == [
        0, 0, 0.5, 0.5, 3, "010", "1:30", 1000,
    ]  # fmt: skip


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_coding_with_a_mark_is_read(coding):
    assert parse("a: [ä, 😀]".encode(coding)) == {"a": ["ä", "😀"]}


def test_a_merge_takes_what_is_not_written_itself():
    assert parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")["b"] == {"x": 1, "y": 3}


def test_a_change_of_one_section_does_not_reach_another_that_shares_it(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: {list: &l [{height: 1}]}\nb: {list: *l}\n")
    config = load_config(path, ["a.list.0.height=5"])
    assert config == {"a": {"list": [{"height": 5}]}, "b": {"list": [{"height": 1}]}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[1", "expected ',' or ']'"),
        ("&a [*a]", "an alias"),
        ("010", "means 8"),
        (".inf", "no float"),
    ],
)
def test_a_change_that_is_no_yaml_is_told_with_the_option(tmp_path, value, said):
    path = tmp_path / "config.yaml"
    path.write_text("a: {b: 1}\n")
    with pytest.raises(ConfigError, match=rf"^--set a\.b=.*: line 1.*{said}"):
        load_config(path, [f"a.b={value}"])
