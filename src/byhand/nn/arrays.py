"""Arrays and caches: memory is allocated once and reused at every step."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from byhand.nn.rng import Array, StepKey

__all__ = ["ALIGNMENT", "Array", "Cache", "aligned"]

ALIGNMENT = 64


def aligned(size: int, dtype: DTypeLike) -> Array:
    """Return a vector of zeros that starts on a cache line, where the BLAS and SIMD instructions are fastest."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(size * itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    vector: Array = raw[start : start + size * itemsize].view(dtype)
    return vector


class Cache:
    """The cache of one layer in a `Pass`: its outputs, its gradients, and what `backward` needs from `forward`.

    dW, db, …    views into the pass's gradient vector, one for each parameter of the layer
    key          the training step, from which dropout draws its masks; None means inference

    Layers add arrays with `new`. After the first batches, a step allocates no array as large as an activation.
    """

    key: StepKey | None = None
    shape: tuple[int, ...] = ()
    #: Keyword arguments for the backward of an activation function: memory for intermediate results.
    scratch: dict[str, Array]

    def __init__(self, dtype: DTypeLike, *, needs_dX: bool = True) -> None:
        self.dtype = np.dtype(dtype)
        self.needs_dX = needs_dX
        #: All-reduce: returns the sum of a vector over the processes that share a batch.
        self.sum_over_processes: Callable[[Array], Array] = lambda sums: sums
        self._memory: dict[str, Array] = {}

    def new(self, name: str, *shape: int, dtype: DTypeLike | None = None) -> Array:
        """Set the attribute `name` to an array of this shape, and reuse its memory if it is large enough."""
        size, dtype = math.prod(shape), np.dtype(dtype or self.dtype)
        memory = self._memory.get(name)
        if memory is None or memory.size < size or memory.dtype != dtype:
            memory = self._memory[name] = aligned(size, dtype)
        array = memory[:size].reshape(shape)
        setattr(self, name, array)
        return array

    if TYPE_CHECKING:  # the attributes depend on the layer

        def __getattr__(self, name: str) -> Array: ...

        def __setattr__(self, name: str, value: Any) -> None: ...
