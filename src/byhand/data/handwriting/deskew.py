"""Deskewing: a slanted digit is set upright, so that the network need not learn every slant.

Takes a stack of pictures as bytes and gives the same stack as bytes, each picture sheared along its rows until its
ink no longer leans. It is the picture → picture half of a model's preparation, used alike in training and prediction.

The result is defined to the bit, so that any other language can repeat it. With p(y, x) the byte in row y, column x,

    m = Σp    mx = Σp·x    my = Σp·y    mxy = Σp·x·y    myy = Σp·y²          integers, x and y counted from H//2, W//2
    slope = (m·mxy − mx·my) / (m·myy − my²)           μxy/μyy, one division of two integers; 0 when myy has no spread
    slope is kept within ±LIMIT
    t(y) = ⌊256 · slope · (y − my/m) + ½⌋             how far row y is shifted, in 256ths of a pixel, in float64
    i, f = t >> 8, t & 255                            whole pixels, and the rest
    out(y, x) = ((256 − f)·p(y, x+i) + f·p(y, x+i+1) + 128) >> 8            pixels outside the picture are 0
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from byhand.errors import UsageError

LIMIT = 2.0
"""The steepest shear, in pixels a row. MNIST's steepest digit needs 1.87; a lying dash would need a hundred."""

BLOCK = 256  # pictures handled at once: the working arrays of a block of MNIST stay in the second-level cache

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


def deskew(images: Bytes) -> Bytes:
    """Shear each picture upright about its centre of mass.               images, result: uint8 (N, H, W)

    Each row is moved sideways by a fraction of a pixel, read between its two neighbours: a window of W + 1 bytes a
    row, taken from rows with enough empty space between them, and one linear mix.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise UsageError(f"images must be uint8 (N, H, W), got {images.dtype} {images.shape}")
    count, height, width = images.shape
    out = np.empty(images.shape, np.uint8)
    if images.size == 0:
        return out

    gap = width + 1  # a row shifted by its whole width reads nothing but this
    stride = gap + width
    block = min(BLOCK, count)
    spaced = np.zeros(block * height * stride + gap, np.uint8)
    rows = spaced[:-gap].reshape(block, height, stride)[:, :, gap:]
    windows = sliding_window_view(spaced, width + 1)
    row_starts = gap + stride * np.arange(block * height).reshape(block, height)
    y = np.arange(height) - height // 2

    for start in range(0, count, block):
        stack = images[start : start + block]
        n = len(stack)
        slope, y_mean = slants(stack)
        shift = np.floor(256 * slope[:, None] * (y - y_mean[:, None]) + 0.5).astype(np.int64)
        np.clip(shift, -256 * width, 256 * width, out=shift)  # beyond that a row is empty anyway
        rows[:n] = stack
        taken = windows[row_starts[:n] + (shift >> 8)].astype(np.uint16)
        left, right = taken[..., :-1], taken[..., 1:]
        mixed = right - left  # may wrap below 0; the sum is back in range, below 2¹⁶
        mixed *= (shift & 255).astype(np.uint16)[:, :, None]
        mixed += left << 8
        mixed += 128
        mixed >>= 8
        out[start : start + n] = mixed
    return out


def slants(stack: Bytes) -> tuple[Floats, Floats]:
    """Return how far each picture leans, within ±LIMIT, and its mean row ȳ, counted from H//2; 0 for no ink or one row.

    slope = (m·mxy − mx·my) / (m·myy − my²),  ȳ = my/m                 stack: (n, H, W); slope, y_mean: (n,)
    """
    n, height, width = stack.shape
    masks = _moment_masks(height, width)
    pixels = stack.reshape(n, height * width).astype(masks.dtype)
    m, mx, my, mxy, myy = (pixels @ masks).astype(np.float64).T
    covariance, spread = m * mxy - mx * my, m * myy - my * my
    slope = np.divide(covariance, spread, out=np.zeros(n), where=spread > 0)
    y_mean = np.divide(my, m, out=np.zeros(n), where=m > 0)
    return np.clip(slope, -LIMIT, LIMIT), y_mean


def _moment_masks(height: int, width: int) -> NDArray[np.floating]:
    """The weights 1, x, y, x·y, y² of every pixel, so that all moments are one product.        (H·W, 5)

    float32 where every partial sum is an integer below 2²⁴, and so exact in any order (28 × 28 is); else float64.
    """
    y, x = np.mgrid[:height, :width] - np.array([height // 2, width // 2]).reshape(2, 1, 1)
    masks = np.stack([np.ones_like(x), x, y, x * y, y * y], axis=-1).reshape(height * width, 5)
    largest = 255 * np.abs(masks).sum(axis=0).max()
    return masks.astype(np.float32 if largest < 2**24 else np.float64)
