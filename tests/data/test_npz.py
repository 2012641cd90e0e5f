"""Archives of arrays: read whole, or refused before memory is taken for what they claim."""

import io
import struct
import zipfile

import numpy as np
import pytest

from opengait_ext.data.npz import read_arrays


def npy(descr, shape, content, version=1, order=False):
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode() + b"\n"
    sized = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + sized + header + content


def packed(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(tmp_path, save):
    arrays = {
        "numbers": np.arange(24.0).reshape(2, 3, 4),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "names": np.array(["a", "bcd"]),
        "one": np.array("text"),
        "none": np.empty((0, 3)),
    }
    save(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert read_arrays(packed(tmp_path / "b.npz", npy("'<i2'", "(1,)", b"\1\0", 2)))["a"] == [1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy("'<f8'", "(10**9,)", b""), "malformed|Cannot parse|not valid"),
        (npy("'<f8'", "(1000000000000,)", b"abc"), "an array of 8,000,000,000,000 bytes, with 3"),
        (npy("'u1'", "(-1, -3)", b"abc"), "an array of 3 bytes, with 3 bytes"),
        (npy("'u1'", "(2,)", b"abc"), "an array of 2 bytes, with 3 bytes"),
        (npy("'|O'", "(1,)", b"N."), "it holds objects, expected numbers and texts"),
        (npy("'V2000000000'", "(4,)", b"a"), "an array of 8,000,000,000 bytes, with 1 bytes"),
        (npy("'" + "(" * 3000 + "'", "(1,)", b"a"), "not a valid|Invalid|Error"),
        (npy("(" * 3000, "(1,)", b"a"), "parse|Error|invalid"),
        (b"\x93NUMPY\x09\0", "version|EOF|magic|header"),
        (npy("'u1'", f"(0, {2**63})", b""), "an array of an impossible shape"),
        (npy("'u1'", f"(0, {'9' * 4000})", b""), "an array of an impossible shape"),
        (b"none", "magic|EOF|expected"),
    ],
)
def test_an_array_that_claims_what_it_has_not_is_refused(tmp_path, content, said):
    with pytest.raises(ValueError, match=said):
        read_arrays(packed(tmp_path / "a.npz", content))


@pytest.mark.slow
def test_an_archive_that_unpacks_to_far_more_than_its_bytes_is_refused(tmp_path):
    content = npy("'u1'", "(30000000,)", bytes(30_000_000))
    path = packed(tmp_path / "a.npz", content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"its arrays claim 30,000,\d+ bytes, expected at most"):
        read_arrays(path)


def test_a_damaged_archive_is_refused_wherever_it_is_cut(tmp_path):
    whole = io.BytesIO()
    np.savez(whole, a=np.arange(50), b=np.array(["x", "y"]))
    path = tmp_path / "a.npz"
    for kept in range(0, len(whole.getvalue()), 23):
        path.write_bytes(whole.getvalue()[:kept])
        with pytest.raises(ValueError, match="BadZipFile|EOF"):
            read_arrays(path)


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_with_a_changed_byte_is_read_or_refused(tmp_path, save):
    whole, path = io.BytesIO(), tmp_path / "a.npz"
    save(whole, a=np.arange(50), b=np.array(["x", "y"]))
    refused = 0
    for place in range(len(whole.getvalue())):
        content = bytearray(whole.getvalue())
        content[place] ^= 0xFF
        path.write_bytes(content)
        try:
            read_arrays(path)
        except ValueError:
            refused += 1
    assert refused > len(content) // 3


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression_than_numpys_is_refused(tmp_path, compression):
    path = packed(tmp_path / "a.npz", npy("'u1'", "(3,)", b"abc"), compression)
    with pytest.raises(ValueError, match="compressed in another way than numpy does"):
        read_arrays(path)
