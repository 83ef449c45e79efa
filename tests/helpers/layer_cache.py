"""A cache for one layer, as a pass creates it."""

import numpy as np

from byhand.nn.arrays import Cache


def cache_for(layer, N, in_size, dtype=np.float64, *, needs_dX=True, key=None):
    """Return a cache for N samples, with its own gradients dW, db, …."""
    cache = Cache(dtype, needs_dX=needs_dX)
    cache.key = key
    layer.prepare(cache, N, in_size)
    for name, shape in layer.shapes.items():
        setattr(cache, f"d{name}", np.zeros(shape, dtype))
    return cache
