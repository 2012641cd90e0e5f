"""Tables of whole numbers in MATLAB's files."""

import contextlib
import random

import numpy as np
import pytest
from matlab_files import CODES, mat_file

from opengait_ext.prepare.faults import SourceError
from opengait_ext.prepare.matlab import read_table


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (1, 3), (0, 0)])
def test_tables_of_every_type_and_order_come_back(dtype, order, compressed, shape):
    table = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    content = mat_file({"other": np.ones((2, 2)), "wanted": table}, order, compressed)
    found = read_table(content, "wanted", "x.mat")
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, table)


def test_unsigned_numbers_may_be_compared_with_negative_ones():
    found = read_table(mat_file({"query_IDX": np.array([[1, 65535]], np.uint16)}), "query_IDX", "")
    assert (found - 2).tolist() == [[-1, 65533]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no MATLAB file of level 5"),
        (b"<html>" * 40, "no MATLAB file of level 5"),
        (b"\x89HDF\r\n" + bytes(200), "MATLAB 7.3"),
        (b"MATLAB 7.3 MAT-file".ljust(126) + b"IM", "MATLAB 7.3"),
        (mat_file({"a": np.ones((2, 2))}), "has no table 'wanted' (there are: a)"),
        (mat_file({"wanted": np.full((2, 2), 0.5)}), "not whole"),
        (mat_file({"wanted": np.full((2, 2), np.nan)}), "not whole"),
        (mat_file({"wanted": np.ones((9, 9))}, compressed=False)[:-40], "is damaged"),
    ],
)
def test_what_is_no_table_is_refused_with_the_file(content, said):
    with pytest.raises(SourceError) as fault:
        read_table(content, "wanted", "lists/x.mat")
    assert str(fault.value).startswith("lists/x.mat")
    assert said in str(fault.value)


def test_whatever_is_damaged_is_a_sentence_or_a_table():
    whole = mat_file({"wanted": np.arange(40.0).reshape(10, 4)}, compressed=False)
    generator = random.Random(0)
    for _ in range(300):
        spoiled = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            spoiled[generator.randrange(len(spoiled))] = generator.randrange(256)
        with contextlib.suppress(SourceError):
            read_table(bytes(spoiled[: generator.randint(1, len(spoiled))]), "wanted", "x.mat")
