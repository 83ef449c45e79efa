"""Scratch: the arrays that a step needs and then forgets, and the products that fill them.

Layers ask a `Workspace` for their arrays by name. One kept from step to step hands out the same memory each time, so
from the third step on nothing is allocated; without one (`FRESH`) every array is new, which is what makes `predict`
safe in a threaded server. A workspace belongs to one thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class First:
    """How the first product meets the inputs, where they are kept in a form that saves work, and makes good for it.

    `columns` names the inputs that are ever anything but zero, where X holds only those: the product then uses only
    their rows of W, and gives a gradient that is zero for the others, as it would be. `scale` is what X is still to be
    multiplied with: scaling W instead, which is packed anyway, saves a pass over the pixels, and dW is scaled in turn.
    """

    columns: Array | None = None
    scale: float = 1.0


class Fresh:
    """A workspace that keeps nothing: each array is new and belongs to whoever asked."""

    #: The inputs that are in X, where the others are known to be zero and were left out; None where all are there.
    columns: Array | None = None

    def empty(self, key: Key, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        return np.empty(shape, dtype)

    def ones(self, size: int, dtype: DTypeLike) -> Array:
        """(1, 1, … 1), to be left as it is"""
        return np.ones(size, dtype)

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

    `first` says in which form the inputs come; only the products of the network's first layer look at it.
    """

    def __init__(self, padding: Padding | None = None, first: First | None = None) -> None:
        self.padding = padding
        self.first = first or First()
        self.columns = self.first.columns
        self._buffers: dict[tuple[Key, DTypeLike], Array] = {}
        self._ones: dict[DTypeLike, Array] = {}
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

    def ones(self, size: int, dtype: DTypeLike) -> Array:
        kept = self._ones.get(dtype)
        if kept is None or len(kept) < size:
            kept = self._ones[dtype] = np.ones(size, dtype)
        return kept[:size]

    def matmul(self, A: Array, B: Array, key: Key) -> Array:
        rows, inner = A.shape
        columns = B.shape[1]
        width = self._width(rows, inner, columns)
        out = self.empty(key, (rows, width), A.dtype)
        np.matmul(A, self._packed(B, width, key, self._first(key)), out=out)
        return out if width == columns else out[:, :columns]

    def matmul_into(self, out: Array, A: Array, B: Array, key: Key) -> None:
        """out = A B; the rows of inputs that were left out stay as they are: 0, in a gradient that began as zeros"""
        rows, inner = A.shape
        columns = B.shape[1]
        width = self._width(rows, inner, columns)
        first = self._first(key)
        if width == columns and first is None:
            np.matmul(A, B, out=out)
            return
        wide = self.empty(key, (rows, width), A.dtype)
        np.matmul(A, self._packed(B, width, key, None), out=wide)
        product = wide[:, :columns]
        if first is None:
            np.copyto(out, product)
        elif first.columns is None:
            np.multiply(product, first.scale, out=out)
        else:
            product *= first.scale
            out[first.columns] = product

    def _width(self, rows: int, inner: int, columns: int) -> int:
        return columns if self.padding is None else self.padding(rows, inner, columns)

    def _first(self, key: Key) -> First | None:
        """What is to be made good, where this is a product of the first layer and there is anything."""
        is_plain = self.first.columns is None and self.first.scale == 1
        return None if is_plain or getattr(key[0], "index", -1) != 0 else self.first

    def _packed(self, B: Array, width: int, key: Key, first: First | None) -> Array:
        """The rows of B that the product needs, scaled, and zeros up to `width`       B: (D, n) → (inner, width)"""
        if first is not None and first.columns is not None:
            chosen = self.empty((key, "chosen"), (len(first.columns), B.shape[1]), B.dtype)
            B = np.take(B, first.columns, axis=0, out=chosen, mode="clip")
        if B.shape[1] == width and first is None:
            return B
        shape = (len(B), width)
        place = ((key, width), "packed")  # of its own for each width, so that the zeros stay where they are
        is_new = (place, shape, B.dtype) not in self._views
        packed = self.empty(place, shape, B.dtype)
        if is_new:
            packed[:, B.shape[1] :] = 0
        np.multiply(B, 1.0 if first is None else first.scale, out=packed[:, : B.shape[1]])
        return packed
