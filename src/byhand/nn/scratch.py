"""Scratch: the arrays that a step needs and then forgets, and the products that fill them.

Layers ask a `Workspace` for their arrays by name. One kept from step to step hands out the same memory each time, so
from the third step on nothing is allocated; without one (`FRESH`) every array is new, which is what makes `predict`
safe in a threaded server. A workspace belongs to one thread.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Key = tuple[object, str]

#: (rows, inner, columns) of a product → the number of columns to compute it with.
Padding = Callable[[int, int, int], int]

ALIGNMENT = 64


def aligned(size: int, dtype: DTypeLike) -> Array:
    """A vector of zeros whose first element lies on a cache line, where the BLAS and the vector units like it."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(size * itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    vector: Array = raw[start : start + size * itemsize].view(dtype)
    return vector


class Fresh:
    """A workspace that keeps nothing: each array is new and belongs to whoever asked."""

    #: The inputs that are in X, where the others are known to be zero and were left out; None where all are there.
    columns: Array | None = None

    def empty(self, key: Key, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        return np.empty(shape, dtype)

    def matmul(self, A: Array, B: Array, key: Key) -> Array:
        """A B                                                    A: (N, D), B: (D, n) → (N, n)"""
        product: Array = np.matmul(A, B)
        return product

    def matmul_into(self, out: Array, A: Array, B: Array, key: Key) -> None:
        """out = A B, for an `out` that already has its place (a gradient)."""
        np.matmul(A, B, out=out)


FRESH = Fresh()


class Workspace(Fresh):
    """Named arrays made once and used again at every step.

    `padding` says how wide a product should be computed: a BLAS works in tiles, and 45 columns can cost more than 48.
    The zeros are packed here, inside the product, and sliced off its result; nothing outside ever sees them.

    `columns` names the inputs that are ever anything but zero, where X holds only those: a product with X then uses
    only their rows of W, and gives a gradient that is zero for the others, as it would be.
    """

    def __init__(self, padding: Padding | None = None, columns: Array | None = None) -> None:
        self.padding = padding
        self.columns = columns
        self._buffers: dict[tuple[Key, DTypeLike], Array] = {}
        self._views: dict[tuple[Key, tuple[int, ...], DTypeLike], Array] = {}

    def empty(self, key: Key, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """The array of that name: the same memory each time, whatever is left in it from before.

        A smaller batch gets the first rows of the same memory; a larger one replaces it.
        """
        view = self._views.get((key, shape, dtype))
        if view is None:
            size = int(np.prod(shape))
            buffer = self._buffers.get((key, dtype))
            if buffer is None or buffer.size < size:
                buffer = self._buffers[key, dtype] = aligned(size, dtype)
                self._views = {
                    place: kept for place, kept in self._views.items() if (place[0], place[2]) != (key, dtype)
                }
            view = self._views[key, shape, dtype] = buffer[:size].reshape(shape)
        return view

    def matmul(self, A: Array, B: Array, key: Key) -> Array:
        rows, inner = A.shape
        columns = B.shape[1]
        width = self._width(rows, inner, columns)
        out = self.empty(key, (rows, width), A.dtype)
        np.matmul(A, self._packed(B, inner, width, key), out=out)
        return out if width == columns else out[:, :columns]

    def matmul_into(self, out: Array, A: Array, B: Array, key: Key) -> None:
        rows, inner = A.shape
        columns = B.shape[1]
        width = self._width(rows, inner, columns)
        if width == columns and rows == len(out):
            np.matmul(A, B, out=out)
            return
        wide = self.empty(key, (rows, width), A.dtype)
        np.matmul(A, self._packed(B, inner, width, key), out=wide)
        if rows == len(out):
            np.copyto(out, wide[:, :columns])
        else:
            out[self.columns] = wide[:, :columns]

    def _width(self, rows: int, inner: int, columns: int) -> int:
        return columns if self.padding is None else self.padding(rows, inner, columns)

    def _packed(self, B: Array, inner: int, width: int, key: Key) -> Array:
        """The rows of B that the product needs, with columns of zeros up to `width`       B: (D, n) → (inner, width)"""
        if len(B) != inner:
            assert self.columns is not None
            chosen = self.empty((key, "chosen"), (inner, B.shape[1]), B.dtype)
            B = np.take(B, self.columns, axis=0, out=chosen, mode="clip")
        if B.shape[1] == width:
            return B
        place = ((key, width), "packed")  # of its own for each width, so that the zeros stay where they are
        is_new = (place, (inner, width), B.dtype) not in self._views
        packed = self.empty(place, (inner, width), B.dtype)
        if is_new:
            packed[:, B.shape[1] :] = 0
        np.copyto(packed[:, : B.shape[1]], B)
        return packed
