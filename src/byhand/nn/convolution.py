"""Convolution: a dense layer that looks through a window, and is slid over the picture.

A dense layer has to learn a stroke anew in every place where it may stand. Here the same few weights are put to every
place: what comes out is a stack of `maps`, smaller pictures, each of which shows where in the old picture something was
found. Laid out as rows of numbers, one row for each place of the window, it is the very product of a dense layer:

    P = windows of X       (N·places, size·size·channels)      each row is what the window sees in one place
    Z = P W + b            (N·places, maps)                    the same W for all of them

Pictures are rows of a batch like any others. Within a row the channels of a pixel stand together: (height, width,
channels), so that what a window sees of one line is one run of numbers, and out comes (rows, columns, maps), the
same way. A window never reaches over the edge.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.arrays import Array, Cache
from byhand.nn.layers import Layer, Shapes, Views
from byhand.nn.rng import Rng, initializer_named

#: The largest input of a convolution, and the most numbers that im2col may make of one sample: a small model file must
#: not claim gigabytes.
MAX_INPUTS, MAX_IM2COL_SIZE = 2**22, 2**24


class Convolution(Layer):
    """The same weights in every place: Z = P W + b, with W (size·size·channels, maps) and b (maps,)."""

    kind = "convolution"
    settings = ("height", "width", "channels", "maps", "size", "stride", "init")

    def __init__(
        self, height: int, width: int, channels: int, maps: int, *, size: int = 5, stride: int = 2, init: str = "he"
    ) -> None:
        sizes = {"height": height, "width": width, "channels": channels, "maps": maps, "size": size, "stride": stride}
        self.height, self.width, self.channels, self.maps, self.size, self.stride = (
            checks.integer(name, value, 1) for name, value in sizes.items()
        )
        if self.size > min(self.height, self.width):
            raise UsageError(f"a window must fit the picture of {height} × {width}, got a size of {size}")
        self.init = init
        initializer_named(init)
        #: The number of places of the window, down and across.
        self.rows = (self.height - self.size) // self.stride + 1
        self.columns = (self.width - self.size) // self.stride + 1
        #: The numbers that im2col makes of one sample: each pixel once for every window that covers it.
        self.im2col_size = self.rows * self.columns * self.size * self.size * self.channels
        if self.inputs > MAX_INPUTS or self.im2col_size > MAX_IM2COL_SIZE:
            raise UsageError(
                f"a convolution must take pictures of at most {MAX_INPUTS:,} numbers and see at most "
                f"{MAX_IM2COL_SIZE:,}, got {self.inputs:,}, of which its windows see {self.im2col_size:,}"
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

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        places, window = N * self.rows * self.columns, self.size * self.size * self.channels
        cache.new("P", places, window)
        cache.new("Z", places, self.maps)
        cache.new("ones", places).fill(1)
        if cache.needs_dX:
            cache.new("dP", places, window)
            cache.new("dX", N, self.inputs)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = P W + b        X: (N, inputs) → P: (N·places, size·size·channels) → Z: (N, places·maps)

        Copying the windows into the rows of P is called im2col.
        """
        windows = self.windows(X)
        np.copyto(cache.P.reshape(windows.shape), windows)
        Z = np.matmul(cache.P, self.W, out=cache.Z)
        Z += self.b
        return Z.reshape(len(X), self.outputs)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Pᵀ dZ,  db = Σ dZ over places and samples,  dP = dZ Wᵀ        dZ: (N, places·maps) → dX: (N, inputs)

        A pixel was seen by every window that covers it, so its derivative is the sum of theirs.
        """
        dZ = dout.reshape(-1, self.maps)
        np.matmul(cache.P.T, dZ, out=cache.dW)
        np.matmul(cache.ones, dZ, out=cache.db)
        if not cache.needs_dX:
            return None
        cache.dX.fill(0)
        into = self.windows(cache.dX, writeable=True)
        dP = np.matmul(dZ, self.W.T, out=cache.dP).reshape(into.shape)
        for column in range(self.columns):  # one line of the windows of one column: these don't overlap
            for line in range(self.size):
                into[:, :, column, line] += dP[:, :, column, line]
        return cache.dX

    def windows(self, X: Array, *, writeable: bool = False) -> Array:
        """X as its windows see it: a view, in which most numbers are many times.

        X: (N, inputs) → (N, rows, columns, size, size·channels)
        """
        lines = X.reshape(len(X), self.height, self.width * self.channels)
        window = (self.size, self.size * self.channels)
        everywhere = sliding_window_view(lines, window, axis=(1, 2), writeable=writeable)
        return everywhere[:, :: self.stride, :: self.stride * self.channels]
