"""Pictures: arrays of numbers as small PNGs inside a page.

Signed numbers become two colours whose opacity is how large they are, so that 0 is the page itself, dark or light.
Bytes become shades of grey, in sixteen steps, which a digit doesn't miss and a file does.
"""

import base64
import io

import numpy as np
from PIL import Image

from byhand.nn.arrays import Array

POSITIVE, NEGATIVE = (226, 113, 0), (28, 116, 235)
GREYS = 16


def signed(cells: Array, scale: float) -> bytes:
    """A PNG with a pixel for each number; NaN and 0 are clear.                cells: (rows, columns)"""
    strength = np.zeros(cells.shape) if scale == 0 else np.nan_to_num(cells / scale)
    index = np.rint(128 + 127 * np.sign(strength) * np.abs(strength) ** 0.8).astype(np.uint8)
    image = Image.fromarray(index)
    image = image.convert("P")
    image.putpalette([*NEGATIVE * 128, *POSITIVE * 128])
    opacity = bytes(round(abs(k - 128) * 255 / 127) if k else 255 for k in range(256))
    return _png(image, transparency=opacity)


def grey(pixels: Array) -> bytes:
    """A PNG of bytes in sixteen shades.                                       pixels: uint8 (rows, columns)"""
    index = np.rint(pixels.astype(np.float64) * (GREYS - 1) / 255).astype(np.uint8)
    image = Image.fromarray(index).convert("P")
    image.putpalette([level * 255 // (GREYS - 1) for level in range(GREYS) for _ in range(3)])
    return _png(image, bits=4)


def sheet(images: Array, columns: int) -> Array:
    """Pictures in rows of `columns`, edge to edge               uint8 (N, H, W) → (rows · H, columns · W)"""
    count, height, width = images.shape
    rows = max(1, -(-count // columns))
    full = np.zeros((rows * columns, height, width), np.uint8)
    full[:count] = images
    laid: Array = full.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    return laid


def data_uri(png: bytes) -> str:
    """The PNG as an address that needs no file and no network."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _png(image: Image.Image, **settings: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "png", optimize=True, **settings)
    return file.getvalue()
