"""Which golden arrays there are, and that none is left out silently."""

import importlib
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from golden_values import KEPT, SALT, small_set, whole_set

NOT_COMPARED = {
    "eval/ties_matter/default_sort/*": "numpy's own sort orders ties as the machine likes it",
}
ONLY_WHOLE = {"eval/mid/*", "eval/wide/*"}


def compared():
    """The patterns of all tests of this folder."""
    files = sorted(Path(__file__).parent.glob("test_golden_*.py"))
    modules = [importlib.import_module(file.stem) for file in files]
    tests = [test for module in modules for test in vars(module).values()]
    return {pattern for test in tests for pattern in getattr(test, "patterns", ())}


def test_every_array_is_compared_by_a_test_or_said_not_to_be(golden):
    assert len(golden.names("*")) > 200
    known = compared() | set(NOT_COMPARED)
    left_out = [
        name
        for name in golden.names("*")
        if not any(fnmatchcase(name, pattern) for pattern in known)
    ]
    assert left_out == []
    nowhere = {pattern for pattern in known if not golden.names(pattern)}
    assert nowhere == (ONLY_WHOLE if golden.cut else set())


def test_the_small_set_is_a_part_of_the_whole_one():
    small, whole = small_set(), whole_set()
    assert small.keys() <= whole.keys()
    if SALT != "public":  # other weights, other numbers
        return
    for name, array in small.items():
        other = whole[name]
        if array.shape != other.shape:
            other = other.ravel()[::KEPT]
        np.testing.assert_array_equal(array, other, strict=True, err_msg=name)
