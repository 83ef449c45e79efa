"""The payload: a model as the page takes it. What `network.js` cuts apart is put together here, in the same order."""

from typing import Any

import numpy as np

from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.convolution import Convolution


def description(model: Model) -> dict[str, Any]:
    """What the page needs to know of a model besides its weights."""
    return {
        "architecture": model.network.config(),
        "preparation": model.preparation.config(),
        "classes": list(model.classes),
        "shape": list(picture_shape(model)),
    }


def picture_shape(model: Model) -> tuple[int, int]:
    """Height and width of the pictures it reads: a convolution says it, else a square where that is possible."""
    first = model.network.weighted[0]
    if isinstance(first, Convolution):
        return first.height, first.width * first.channels
    size = model.network.in_size
    side = int(np.sqrt(size))
    return (side, side) if side * side == size else (1, size)


def weights(model: Model) -> Array:
    """All parameters, and then the statistics, of each layer in turn               float32 (P,)"""
    named = dict([*model.network.named(), *model.network.named_statistics()])
    parts = [
        named[f"{layer.index}.{name}"].ravel()
        for layer in model.network.layers
        for name in (*layer.shapes, *layer.statistics)
    ]
    return np.concatenate(parts).astype(np.float32)
