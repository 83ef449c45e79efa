"""The student's code in a process of its own: a guard against accidents and easy shortcuts, not a security boundary.

`runner` starts `python -m byhand.course.sandbox` (`__main__`), which sets its limits and hides the reference
(`environment`), runs the statements of the file that are worth running (`slicing`), and serves one call after another.
This file has the messages between the two processes, which don't trust each other: nothing that arrives is executed,
and nothing is allocated that is not already there as bytes. A value that can't be sent arrives as `Unsendable`.

A message is two lengths (4 bytes each), a tree in JSON, and the bytes of its arrays. In the tree, JSON's own values
stand for themselves and everything else is a one-entry object: tuple `t`, list `l`, dictionary `d`, array `a`,
unsendable `u`.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

LIMIT = 32 * 2**20  # bytes in a message: a thousand times what an honest answer needs
DEEPEST = 12


@dataclass(frozen=True)
class Unsendable:
    """A value that is neither a number, a text nor a container of them; `what` names its type."""

    what: str


class BrokenMessageError(Exception):
    """The bytes that arrived are not a message."""


def packed(value: Any) -> bytes:
    """Return the bytes of one message; equal values have equal bytes."""
    arrays: list[bytes] = []
    tree = json.dumps(_tree(value, arrays, 0)).encode()
    blob = b"".join(arrays)
    if len(tree) + len(blob) > LIMIT:
        tree, blob = json.dumps({"u": "more than 32 MB"}).encode(), b""
    return struct.pack(">II", len(tree), len(blob)) + tree + blob


def send(stream: BinaryIO, value: Any) -> None:
    """Write one message, at once."""
    stream.write(packed(value))
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message; EOFError when the other side has gone."""
    tree_size, blob_size = struct.unpack(">II", _exactly(stream, 8))
    if tree_size + blob_size > LIMIT:
        raise BrokenMessageError(f"a message of {tree_size + blob_size} bytes")
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
    """Return the JSON of `value`; the bytes of its arrays are appended to `arrays`."""
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
    if depth < DEEPEST and len(arrays) < 10_000:
        if isinstance(value, tuple | list):
            return {"t" if isinstance(value, tuple) else "l": [_tree(one, arrays, depth + 1) for one in value]}
        if isinstance(value, dict) and all(type(key) is str for key in value):
            return {"d": [[key, _tree(one, arrays, depth + 1)] for key, one in value.items()]}
    return {"u": "a very large int" if is_large else type(value).__name__}


def _value(tree: Any, blob: bytes) -> Any:
    """Return the value of a tree, its arrays copied out of `blob` in order."""
    start = 0

    def build(node: Any) -> Any:
        nonlocal start
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        if kind == "a":
            dtype, shape, size = np.dtype(content[0]), tuple(content[1]), content[2]
            plain = dtype.kind in "biuf" and all(isinstance(n, int) and n >= 0 for n in shape)
            if not plain or size != prod(shape) * dtype.itemsize or start + size > len(blob):
                raise ValueError("an array whose size is not that of its bytes")
            start += size
            return np.frombuffer(blob[start - size : start], dtype).reshape(shape).copy()
        if kind == "d":
            return {str(key): build(one) for key, one in content}
        if kind == "u":
            return Unsendable(str(content)[:100])
        return {"t": tuple, "l": list}[kind](build(one) for one in content)

    return build(tree)
