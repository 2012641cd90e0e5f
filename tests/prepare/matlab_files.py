"""MATLAB files of level 5, written for tests."""

import struct
import zlib

import numpy as np

CODES = {"int8": (1, 8), "uint8": (2, 9), "int16": (3, 10), "uint16": (4, 11), "int32": (5, 12),
         "uint32": (6, 13), "float32": (7, 7), "float64": (9, 6)}  # fmt: skip


def mat_file(tables, order="<", compressed=True):
    """Return the bytes of a file with tables by their names."""
    mark = {"<": b"IM", ">": b"MI"}[order]
    head = b"MATLAB 5.0 MAT-file, of a test".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark
    parts = []
    for name, table in tables.items():
        whole = matrix(name, np.asarray(table), order)
        if compressed:
            packed = zlib.compress(whole)
            whole = struct.pack(f"{order}II", 15, len(packed)) + packed
        parts.append(whole)
    return head + b"".join(parts)


def matrix(name, table, order):
    kind, array_class = CODES[table.dtype.name]
    values = table.astype(table.dtype.newbyteorder(order)).tobytes("F")
    body = element(6, struct.pack(f"{order}II", array_class, 0), order)
    body += element(5, struct.pack(f"{order}ii", *table.shape), order)
    body += element(1, name.encode(), order)
    body += element(kind, values, order)
    return element(14, body, order)


def element(kind, content, order):
    """Return an element, in the short form where it fits."""
    if 0 < len(content) <= 4:
        return struct.pack(f"{order}I", len(content) << 16 | kind) + content.ljust(4, b"\0")
    padding = bytes(-len(content) % 8)
    return struct.pack(f"{order}II", kind, len(content)) + content + padding
