"""The shard: the part of a run that one process works, where several work on one run together.

Every process has the recipe, the seed and the order of the samples. Of each batch it works its own rows; `sum` then
makes one of what they all found, and since everybody gets the same bits, everybody takes the same step. Who adds up,
and over what wire, is not known here: `byhand.distributed.mpi` has one.
"""

import threading
import zlib
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from byhand.errors import ByhandError
from byhand.nn.arrays import Array


class Shard(Protocol):
    """One of `size` processes, `neighbours` of which run on this machine (this one counted)."""

    rank: int
    size: int
    neighbours: int
    #: Set in this process to ask all of them to stop; and set in all of them, after the same step, when one has asked.
    stop: threading.Event
    stopped: threading.Event

    def vector(self, size: int, dtype: DTypeLike) -> Array:
        """A vector of zeros where `sum` is quickest. Everybody must ask for it, and give it back with `release`."""

    def release(self, vector: Array) -> None:
        """Nobody uses this vector any more."""

    def sum(self, vector: Array) -> None:
        """Add the vector up over all processes, in place. Everybody must call it, and everybody gets the same bits."""


def summed(shard: Shard | None) -> Callable[[Array], Array] | None:
    """Return the function that sums a vector over all processes and returns it; None without other processes."""
    if shard is None:
        return None

    def total(vector: Array) -> Array:
        shard.sum(vector)
        return vector

    return total


def share(count: int, shard: Shard | None) -> slice:
    """The rows of a batch that this process works: all together they are the batch, and as even as can be."""
    if shard is None:
        return slice(0, count)
    return slice(count * shard.rank // shard.size, count * (shard.rank + 1) // shard.size)


def check_same(shard: Shard, what: str, *parts: bytes) -> None:
    """Refuse to go on where the processes don't hold the same bytes."""
    mine = 0
    for part in parts:
        mine = zlib.crc32(part, mine)
    sums = np.array([mine, mine % 65_521], np.float64)  # whole numbers under 2⁵³: exact
    shard.sum(sums)
    if sums[0] != shard.size * float(mine) or sums[1] != shard.size * float(mine % 65_521):
        raise ByhandError(f"every rank must have the same {what}; these differ")
