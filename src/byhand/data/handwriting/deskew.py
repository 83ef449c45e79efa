"""Deskewing: shear a slanted digit along its rows until it stands upright.

Other implementations get bit-identical results from this definition. With p(y, x) the byte in row y, column x,

    m = Σp    mx = Σp·x    my = Σp·y    mxy = Σp·x·y    myy = Σp·y²      integers; y and x from the origin H//2, W//2
    slope = (m·mxy − mx·my) / (m·myy − my²)           μxy/μyy, clipped to ±LIMIT; 0 if the denominator is 0
    t(y) = ⌊256 · slope · (y − my/m) + ½⌋             shift of row y in 256ths of a pixel, in float64
    i, f = t >> 8, t & 255                            whole pixels and fraction
    out(y, x) = ((256 − f)·p(y, x+i) + f·p(y, x+i+1) + 128) >> 8         pixels outside the image are 0
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from byhand.errors import UsageError

#: Maximum shear in pixels per row. MNIST needs up to 1.87; a horizontal dash would need a hundred.
LIMIT = 2.0
BLOCK = 256  # block size, so that the arrays of a block of MNIST fit in the L2 cache

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


def deskew(images: Bytes) -> Bytes:
    """Deskew each image about its center of mass.    images, result: uint8 (N, H, W)

    Each shifted row is a window of W + 1 bytes of a zero-padded row, interpolated linearly.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise UsageError(f"images must be uint8 (N, H, W), got {images.dtype} {images.shape}")
    count, height, width = images.shape
    out = np.empty(images.shape, np.uint8)
    if images.size == 0:
        return out

    gap = width + 1  # zeros for a row that is shifted by its whole width
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
        np.clip(shift, -256 * width, 256 * width, out=shift)  # beyond that, a row is empty
        rows[:n] = stack
        taken = windows[row_starts[:n] + (shift >> 8)].astype(np.uint16)
        left, right = taken[..., :-1], taken[..., 1:]
        mixed = right - left  # may wrap around; the sum below is less than 2¹⁶ again
        mixed *= (shift & 255).astype(np.uint16)[:, :, None]
        mixed += left << 8
        mixed += 128
        mixed >>= 8
        out[start : start + n] = mixed
    return out


def slants(stack: Bytes) -> tuple[Floats, Floats]:
    """Return the clipped slope of each image, and its mean row my/m.    (n, H, W) → (n,), (n,)

    The moments are computed row by row, with one product per image: products of a whole block would be divided between
    BLAS threads, which wait for one another, on a busy machine a hundred times longer than the product takes.
    """
    n, height, width = stack.shape
    y, x = (np.arange(side) - side // 2 for side in (height, width))
    # float32 if all sums are integers below 2²⁴ and so exact (as for 28 × 28), or else float64
    largest = 255 * max(width * (y * y).sum(), height * abs(x).sum(), abs(x).sum() * abs(y).sum())
    dtype = np.float32 if largest < 2**24 else np.float64
    rows = stack.astype(dtype) @ np.stack([np.ones(width), x], axis=1).astype(dtype)  # Σp and Σp·x    (n, H, 2)
    weights = np.stack([np.ones(height), y, y * y], axis=1).astype(dtype)
    m, my, myy = (rows[:, :, 0] @ weights).astype(np.float64).T
    mx, mxy = (rows[:, :, 1] @ weights[:, :2]).astype(np.float64).T
    covariance, spread = m * mxy - mx * my, m * myy - my * my
    slope = np.divide(covariance, spread, out=np.zeros(n), where=spread > 0)
    y_mean = np.divide(my, m, out=np.zeros(n), where=m > 0)
    return np.clip(slope, -LIMIT, LIMIT), y_mean
