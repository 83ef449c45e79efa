"""The sandbox: run a student's code in a process of its own.

`runner` starts `python -m byhand.course.sandbox` (`__main__`), which limits itself (`environment`, and on Linux
`boundary`), runs the needed statements of the file (`slicing`), and serves calls. This file has the messages between
the two processes: nothing in them is executed, and no array is allocated whose bytes have not arrived.

A message is two lengths (4 bytes each), a tree in JSON, and the bytes of its arrays. In the tree, types that JSON lacks
are objects with one entry: tuple `t`, list `l`, dictionary `d`, array `a`, unsendable `u`.
"""

import json
import re
import struct
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

LIMIT = 32 * 2**20  # bytes per message, a thousand times what an answer needs
MAX_REPLY_TREE = 4 * 2**20  # bytes of a tree from the student's process: its objects take fifty times as much memory
MAX_DEPTH = 12


@dataclass(frozen=True)
class Unsendable:
    """A value that cannot be sent because it is not a number, a string or a container of them; `what` is its type."""

    what: str


class BrokenMessageError(Exception):
    """The received bytes are not a valid message."""


def packed(value: Any) -> bytes:
    """Return the bytes of a message; equal values have equal bytes."""
    arrays: list[bytes] = []
    tree = json.dumps(_tree(value, arrays, 0)).encode()
    blob = b"".join(arrays)
    if len(tree) + len(blob) > LIMIT:
        tree, blob = json.dumps({"u": "more than 32 MB"}).encode(), b""
    return struct.pack(">II", len(tree), len(blob)) + tree + blob


def send(stream: BinaryIO, value: Any) -> None:
    stream.write(packed(value))
    stream.flush()


def receive(stream: BinaryIO, most: int = LIMIT) -> Any:
    """Read one message, with a tree of at most `most` bytes; EOFError if the other process has ended."""
    tree_size, blob_size = struct.unpack(">II", _exactly(stream, 8))
    if tree_size > most or tree_size + blob_size > LIMIT:
        raise BrokenMessageError(f"a message must have at most {LIMIT} bytes, got {tree_size + blob_size}")
    tree, blob = _exactly(stream, tree_size), _exactly(stream, blob_size)
    try:
        return _value(json.loads(tree), blob)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise BrokenMessageError(str(error)) from error


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _tree(value: Any, arrays: list[bytes], depth: int) -> Any:
    """Return the JSON of a value, and append the bytes of its arrays to `arrays`."""
    is_large = type(value) is int and abs(value) >= 2**63
    if value is None or (type(value) in (bool, int, float, str) and not is_large):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            return {"u": f"an array of {array.dtype}"}
        plain = array.astype("<f8" if array.dtype.itemsize > 8 else array.dtype.newbyteorder("<"))
        arrays.append(plain.tobytes())
        return {"a": [plain.dtype.str, list(plain.shape), len(arrays[-1])]}
    if depth < MAX_DEPTH and len(arrays) < 10_000:
        if isinstance(value, tuple | list):
            return {"t" if isinstance(value, tuple) else "l": [_tree(one, arrays, depth + 1) for one in value]}
        if isinstance(value, dict) and all(type(key) is str for key in value):
            return {"d": [[key, _tree(one, arrays, depth + 1)] for key, one in value.items()]}
    return {"u": "a very large int" if is_large else type(value).__name__}


def _value(tree: Any, blob: bytes) -> Any:
    """Return the value of a tree, with its arrays from `blob`."""
    start = 0

    def build(node: Any) -> Any:
        nonlocal start
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        if kind == "a":
            if not re.fullmatch(r"\|b1|[<|][iuf][1248]", content[0]):
                raise ValueError("an array must have numbers")
            dtype, shape, size = np.dtype(content[0]), tuple(content[1]), content[2]
            plain = all(isinstance(n, int) and n >= 0 for n in shape)
            if not plain or size != prod(shape) * dtype.itemsize or start + size > len(blob):
                raise ValueError("the size of an array differs from that of its bytes")
            start += size
            return np.frombuffer(blob[start - size : start], dtype).reshape(shape).copy()
        if kind == "d":
            return {str(key): build(one) for key, one in content}
        if kind == "u":
            return Unsendable(str(content)[:100])
        return {"t": tuple, "l": list}[kind](build(one) for one in content)

    return build(tree)
