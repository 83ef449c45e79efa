"""Convolution: a dense layer that looks through a window, and is slid over the picture.

A dense layer has to learn a stroke anew in every place where it may stand. Here the same few weights are put to every
place: what comes out is a stack of `maps`, smaller pictures, each of which says where in the old picture something was
found. Laid out as rows of numbers, one row for each place of the window, it is the very product of a dense layer:

    P = windows of X       (N·places, size·size·channels)      each row is what the window sees in one place
    Z = P W + b            (N·places, maps)                    the same W for all of them

Pictures are rows of a batch like any others. Within a row the channels of a pixel stand together: (height, width,
channels), so that what a window sees of one line is one run of numbers, and out comes (rows, columns, maps), the
same way. A window never reaches over the edge.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from byhand.errors import UsageError
from byhand.nn.initializers import Rng, initializer_named
from byhand.nn.layers import Layer, Shapes, Views, positive
from byhand.nn.scratch import Array, Fresh

#: Samples worked at once where a window is slid over them: it sees each number many times, and they fill a cache soon.
TOGETHER = 32
#: Numbers that the windows may see of those samples, all in all: of larger pictures fewer are worked at once.
SEEN_TOGETHER = 2**22
#: The largest picture that a convolution takes, in numbers, and the most that its windows may see of one: a small file
#: must not claim gigabytes.
LARGEST, MOST_SEEN = 2**22, 2**24


class Convolution(Layer):
    """The same weights in every place: Z = P W + b, with W (size·size·channels, maps) and b (maps,)."""

    kind = "convolution"

    def __init__(
        self, height: int, width: int, channels: int, maps: int, *, size: int = 5, stride: int = 2, init: str = "he"
    ) -> None:
        self.height, self.width = positive("height", height), positive("width", width)
        self.channels, self.maps = positive("channels", channels), positive("maps", maps)
        self.size, self.stride = positive("size", size), positive("stride", stride)
        if self.size > min(self.height, self.width):
            raise UsageError(f"a window must fit the picture of {height} × {width}, got a size of {size}")
        self.init = init
        initializer_named(init)
        #: How many places the window has, down and across.
        self.rows = (self.height - self.size) // self.stride + 1
        self.columns = (self.width - self.size) // self.stride + 1
        #: How many numbers the windows see of a picture, each counted as often as it is seen.
        self.seen = self.rows * self.columns * self.size * self.size * self.channels
        if self.inputs > LARGEST or self.seen > MOST_SEEN:
            raise UsageError(
                f"a convolution must take pictures of at most {LARGEST:,} numbers and see at most {MOST_SEEN:,}, "
                f"got {self.inputs:,}, of which its windows see {self.seen:,}"
            )

    def __repr__(self) -> str:
        window = f"size={self.size}, stride={self.stride}"
        return f"Convolution({self.height}, {self.width}, {self.channels}, {self.maps}, {window})"

    @property
    def inputs(self) -> int:
        """How many numbers a picture has."""
        return self.height * self.width * self.channels

    @property
    def outputs(self) -> int:
        """How many numbers come of it."""
        return self.rows * self.columns * self.maps

    @property
    def shapes(self) -> Shapes:
        return {"W": (self.size * self.size * self.channels, self.maps), "b": (self.maps,)}

    def out_size(self, in_size: int) -> int:
        if in_size != self.inputs:
            raise UsageError(f"{self!r} must get {self.inputs} inputs, got {in_size} from the layer before")
        return self.outputs

    def bind(self, parameters: Views, statistics: Views) -> None:
        self.W, self.b = parameters["W"], parameters["b"]

    def initialize(self, rng: Rng) -> None:
        sees, maps = self.W.shape
        self.W[...], self.b[...] = initializer_named(self.init)(sees, maps, rng)

    def forward(self, X: Array, work: Fresh, at: Any) -> tuple[Array, Array]:
        """Z = P W + b        X: (N, inputs) → P: (N·places, size·size·channels) → Z: (N, places·maps)"""
        windows = self.windows(X)
        P = work.empty((self, "P"), windows.shape, X.dtype)
        np.copyto(P, windows)
        P = P.reshape(-1, len(self.W))
        Z = work.matmul(P, self.W, (self, "PW"))
        together = Z if Z.flags.c_contiguous else work.empty((self, "Z"), Z.shape, Z.dtype)  # a padded one has gaps
        return np.add(Z, self.b, out=together).reshape(len(X), self.outputs), P

    def backward(self, dout: Array, cache: Array, gradient: Views, work: Fresh, needs_dX: bool) -> Array | None:
        """dW = Pᵀ dZ,  db = Σ dZ over places and samples,  dP = dZ Wᵀ        dZ: (N, places·maps) → dX: (N, inputs)

        A pixel was seen by every window that covers it, so its derivative is the sum of theirs.
        """
        P, N = cache, len(dout)
        dZ = dout.reshape(-1, self.maps)
        work.matmul_into(gradient["W"], P.T, dZ, (self, "dW"))
        np.matmul(work.ones(len(dZ), dZ.dtype), dZ, out=gradient["b"])
        if not needs_dX:
            return None
        dX = work.empty((self, "dX"), (N, self.inputs), dout.dtype)
        dX[...] = 0
        into = self.windows(dX, writeable=True)
        dP = work.matmul(dZ, self.W.T, (self, "dP")).reshape(into.shape)
        for column in range(self.columns):  # one line of the windows of one column, in which none touches another
            for line in range(self.size):
                into[:, :, column, line] += dP[:, :, column, line]
        return dX

    def windows(self, X: Array, *, writeable: bool = False) -> Array:
        """X as its windows see it: a view, in which most numbers are many times.

        X: (N, inputs) → (N, rows, columns, size, size·channels)
        """
        lines = X.reshape(len(X), self.height, self.width * self.channels)
        window = (self.size, self.size * self.channels)
        everywhere = sliding_window_view(lines, window, axis=(1, 2), writeable=writeable)
        return everywhere[:, :: self.stride, :: self.stride * self.channels]

    def config(self) -> dict[str, Any]:
        names = ("kind", "height", "width", "channels", "maps", "size", "stride", "init")
        return {name: getattr(self, name) for name in names}
