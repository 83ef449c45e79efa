"""Convolution: the same small filters at every position of the image.

A dense layer must learn a stroke separately for each position. A convolution slides a window over the image and
multiplies it by the same weights W at every position. Each filter makes one map, which shows where in the image its
pattern is. If the windows are copied to the rows of a matrix (im2col), a convolution is the product of a dense layer:

    P = windows of X       (N·places, size·size·channels)      one row per position of the window
    Z = P W + b            (N·places, maps)                    the same W and b everywhere

A sample is a row in the order (height, width, channels), so that one line of a window is contiguous in memory. The
output has the order (rows, columns, maps). There is no padding: windows stay inside the image.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.arrays import Array, Cache
from byhand.nn.layers import Layer, Shapes, Views
from byhand.nn.rng import Rng, initializer_named

#: Limits per sample, of the input and of im2col: a small model file must not make byhand allocate gigabytes.
MAX_INPUTS, MAX_IM2COL_SIZE = 2**22, 2**24


class Convolution(Layer):
    """Convolution layer: Z = P W + b, with W (size·size·channels, maps) and b (maps,)."""

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
            raise UsageError(f"the window must fit the image of {height} × {width}, got a size of {size}")
        self.init = init
        initializer_named(init)
        #: The height and width of a map: the number of places of the window, down and across.
        self.rows = (self.height - self.size) // self.stride + 1
        self.columns = (self.width - self.size) // self.stride + 1
        self.inputs = self.height * self.width * self.channels
        self.outputs = self.rows * self.columns * self.maps
        #: The size of one sample after im2col: each pixel is copied once for every window that covers it.
        self.im2col_size = self.rows * self.columns * self.size * self.size * self.channels
        if self.inputs > MAX_INPUTS or self.im2col_size > MAX_IM2COL_SIZE:
            raise UsageError(
                f"a convolution must have at most {MAX_INPUTS:,} inputs, and {MAX_IM2COL_SIZE:,} after im2col, "
                f"got {self.inputs:,} and {self.im2col_size:,}"
            )

    def __repr__(self) -> str:
        window = f"size={self.size}, stride={self.stride}"
        return f"Convolution({self.height}, {self.width}, {self.channels}, {self.maps}, {window})"

    @property
    def shapes(self) -> Shapes:
        return {"W": (self.size * self.size * self.channels, self.maps), "b": (self.maps,)}

    def bind(self, parameters: Views, statistics: Views) -> None:
        self.W, self.b = parameters["W"], parameters["b"]

    def initialize(self, rng: Rng) -> None:
        window, maps = self.W.shape
        self.W[...], self.b[...] = initializer_named(self.init)(window, maps, rng)

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        places, window = N * self.rows * self.columns, self.size * self.size * self.channels
        cache.new("P", places, window)
        cache.new("Z", places, self.maps)
        cache.new("ones", places).fill(1)
        if cache.needs_dX:
            cache.new("dP", places, window)
            cache.new("dX", N, self.inputs)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = P W + b        X: (N, inputs) → P: (N·places, size·size·channels) → Z: (N, places·maps)"""
        windows = self.windows(X)
        np.copyto(cache.P.reshape(windows.shape), windows)
        Z = np.matmul(cache.P, self.W, out=cache.Z)
        Z += self.b
        return Z.reshape(len(X), self.outputs)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Pᵀ dZ,  db = Σ dZ over places and samples,  dP = dZ Wᵀ        dZ: (N, places·maps) → dX: (N, inputs)

        Each pixel is in several windows, and its gradient is the sum over them (col2im).
        """
        dZ = dout.reshape(-1, self.maps)
        np.matmul(cache.P.T, dZ, out=cache.dW)
        np.matmul(cache.ones, dZ, out=cache.db)
        if not cache.needs_dX:
            return None
        cache.dX.fill(0)
        dX_windows = self.windows(cache.dX, writeable=True)
        dP = np.matmul(dZ, self.W.T, out=cache.dP).reshape(dX_windows.shape)
        for column in range(self.columns):  # the same line of all windows of one column: these do not overlap
            for line in range(self.size):
                dX_windows[:, :, column, line] += dP[:, :, column, line]
        return cache.dX

    def windows(self, X: Array, *, writeable: bool = False) -> Array:
        """Return all windows as a view of X      X: (N, inputs) → (N, rows, columns, size, size·channels)"""
        lines = X.reshape(len(X), self.height, self.width * self.channels)
        window = (self.size, self.size * self.channels)
        all_windows = sliding_window_view(lines, window, axis=(1, 2), writeable=writeable)
        return all_windows[:, :: self.stride, :: self.stride * self.channels]
