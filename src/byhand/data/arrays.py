"""Arrays into form: what people have in memory (floats, flat rows, labels in a column) as bytes, pictures and labels.

`Dataset.from_arrays` and `from_frame` come here; nothing is rounded or guessed: what doesn't fit is a `DataError`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from byhand.errors import DataError

Bytes = npt.NDArray[np.uint8]
SCALE = 255


def as_bytes(values: npt.NDArray[Any], name: str) -> tuple[Bytes, int]:
    """The bytes behind `values`, and the number that they were divided by (255 where they were not)."""
    if values.dtype == np.uint8:
        return values, SCALE
    if values.dtype == bool:
        return values * np.uint8(SCALE), SCALE
    if values.dtype == object or values.dtype.kind not in "iufb":
        raise DataError(f"{name}: pixels must be numbers, got {values.dtype}")
    if values.size == 0:
        return values.astype(np.uint8), SCALE
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 255):  # so that NaN is refused too
        raise DataError(f"{name}: pixels must be 0 to 255, or floats from 0 to 1, got {low:g} to {high:g}")
    if values.dtype.kind == "f" and high <= 1:
        for scale in (255, 256):
            pixels = _whole(values * values.dtype.type(scale))
            if pixels is not None:
                return pixels, scale
        raise DataError(f"{name}: floats from 0 to 1 must be whole bytes divided by 255 or 256, some are neither")
    pixels = _whole(values)
    if pixels is None:
        raise DataError(f"{name}: pixels from 0 to {high:g} must be whole numbers, some have a fraction")
    return pixels, SCALE


def _whole(values: npt.NDArray[Any]) -> Bytes | None:
    """`values` as bytes, if they are whole numbers from 0 to 255 (but for float32's rounding)."""
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    if rounded.max() > 255 or np.abs(values - rounded).max() > 1e-3:
        return None
    pixels: Bytes = rounded.astype(np.uint8)
    return pixels


def as_pictures(pixels: Bytes, name: str) -> Bytes:
    """(N, H, W) from itself or from (N, side²)."""
    if pixels.ndim == 2:
        side = round(pixels.shape[1] ** 0.5)
        if side * side != pixels.shape[1]:
            raise DataError(f"{name}: a row must hold the pixels of a square, got {pixels.shape[1]} columns")
        return pixels.reshape(len(pixels), side, side)
    return pixels


def as_labels(labels: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Whole numbers in one row, also where they came as floats or as a column."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "f" and (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
        return labels.astype(np.int64)
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    return labels


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
