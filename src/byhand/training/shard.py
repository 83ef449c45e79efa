"""The shard: the part of a run that one process computes, if several processes share a run (data parallelism).

Every process has the recipe, the seed and the order of the samples, and computes its own rows of each batch. `sum` is
an all-reduce: all processes get the same bits, so all take the same step. How it is computed is left to the
implementation, such as that of `byhand.distributed.mpi`.
"""

import zlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from byhand.errors import ByhandError
from byhand.nn.arrays import Array


class Shard(Protocol):
    """One of `size` processes, `neighbours` of which run on this machine (this one counted)."""

    rank: int
    size: int
    neighbours: int

    def vector(self, size: int, dtype: DTypeLike) -> Array:
        """Return a vector of zeros where `sum` is fastest. All processes must call it, and `release` it later."""

    def release(self, vector: Array) -> None:
        """Take back a vector that is no longer used."""

    def broadcast(self, value: Any) -> Any:
        """Return the value that rank 0 passes. All processes must call it."""

    def sum(self, vector: Array) -> None:
        """Sum the vector over all processes in place. All processes must call it, and all get identical bits."""


def summed(shard: Shard | None) -> Callable[[Array], Array] | None:
    """Return the function that sums a vector over all processes and returns it; None without other processes."""
    if shard is None:
        return None

    def total(vector: Array) -> Array:
        shard.sum(vector)
        return vector

    return total


def share(count: int, shard: Shard | None) -> slice:
    """Return the rows of a batch that this process computes: the processes divide it as evenly as possible."""
    if shard is None:
        return slice(0, count)
    return slice(count * shard.rank // shard.size, count * (shard.rank + 1) // shard.size)


def check_same(shard: Shard, what: str, *parts: bytes) -> None:
    """Raise an error if the processes don't hold the same bytes."""
    mine = 0
    for part in parts:
        mine = zlib.crc32(part, mine)
    sums = np.array([mine, mine % 65_521], np.float64)  # whole numbers under 2⁵³: exact
    shard.sum(sums)
    if sums[0] != shard.size * float(mine) or sums[1] != shard.size * float(mine % 65_521):
        raise ByhandError(f"every rank must have the same {what}; these differ")
