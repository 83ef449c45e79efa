"""Arrays: memory that is made once, and used again at every step.

A `Cache` holds the arrays of one layer in one pass through the network (see `byhand.nn.backprop`), as plain attributes.
Its memory is reused: after the first batches, a step allocates no array of the size of an activation.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from byhand.nn.rng import Array, StepKey

__all__ = ["ALIGNMENT", "Array", "Cache", "aligned"]

ALIGNMENT = 64


def aligned(size: int, dtype: DTypeLike) -> Array:
    """Return a vector of zeros that starts on a cache line, where the BLAS and the vector units are fastest."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(size * itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    vector: Array = raw[start : start + size * itemsize].view(dtype)
    return vector


class Cache:
    """The arrays of one layer in one pass: those it writes into, and what its `backward` needs from its `forward`.

    dW, db, …    views into the pass's gradient vector, one for each parameter of the layer
    key          the step of training, from which dropout draws its masks; None means inference

    Every layer adds arrays of its own with `new`.
    """

    key: StepKey | None = None
    shape: tuple[int, ...] = ()
    #: Arguments of an activation's backward that hold memory for it.
    scratch: dict[str, Array]

    def __init__(self, dtype: DTypeLike, *, needs_dX: bool = True) -> None:
        self.dtype = np.dtype(dtype)
        self.needs_dX = needs_dX
        #: Adds a vector up over the processes that share a batch, and returns it.
        self.sum_over_processes: Callable[[Array], Array] = lambda sums: sums
        self._memory: dict[str, Array] = {}

    def new(self, name: str, *shape: int, dtype: DTypeLike | None = None) -> Array:
        """Set the attribute `name` to an array of this shape, in the memory that it had before if that is enough."""
        size = 1
        for length in shape:
            size *= length
        memory = self._memory.get(name)
        dtype = np.dtype(dtype or self.dtype)
        if memory is None or memory.size < size or memory.dtype != dtype:
            memory = self._memory[name] = aligned(size, dtype)
        array = memory[:size].reshape(shape)
        setattr(self, name, array)
        return array

    if TYPE_CHECKING:  # the arrays have the names that the layers give them

        def __getattr__(self, name: str) -> Array: ...

        def __setattr__(self, name: str, value: Any) -> None: ...
