"""Vectors that the ranks of one machine add up in the memory that they share.

Each rank writes into a vector of its own, which the others can read. To add them up, each rank adds one part of all of
them, in the order of the ranks, and then everybody fetches the parts of the others: every number is added once, by one
rank, so everybody holds the same bits. For two ranks it takes about half the time of MPI's own sum.
"""

import itertools
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from byhand.nn.arrays import ALIGNMENT, Array

#: Where the memory that processes share is taken from, on Linux; and how much of what is free there is taken at most.
SHARED, SHARE = Path("/dev/shm"), 0.5
#: Numbers added at a time, so that a partial sum stays in the cache while the vectors of all ranks are added to it.
CHUNK = 32_768
#: Seconds slept between two looks at whether all have come, where another rank may need the processor meanwhile.
NAP = 1e-5


class Together:
    """The vectors of one size that the ranks of `world` see of one another: `vectors[rank]`; `own` is this rank's."""

    def __init__(self, MPI: Any, world: Any, processors: int, size: int, dtype: DTypeLike) -> None:
        self.world, self.rank = world, world.Get_rank()
        itemsize = np.dtype(dtype).itemsize
        self.window = MPI.Win.Allocate_shared(size * itemsize + ALIGNMENT, 1, comm=world)
        self.window.Lock_all()
        self.vectors = [shared(self.window.Shared_query(rank)[0], size, dtype) for rank in range(world.Get_size())]
        self.own: Array = self.vectors[self.rank]
        self.own[:] = 0
        edges = [size * rank // len(self.vectors) for rank in range(len(self.vectors) + 1)]
        self.parts = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
        self.scratch = np.empty(CHUNK, dtype)
        #: More ranks than processors: MPI would wait on one of them without letting those work whom it waits for.
        self.is_crowded = len(self.vectors) > processors

    def sum(self) -> None:
        """own ← Σ over the ranks, for all of them"""
        self._meet()  # everybody has written
        self._add(self.parts[self.rank])
        self._meet()  # every part is added
        for rank, part in enumerate(self.parts):
            if rank != self.rank:
                self.own[part] = self.vectors[rank][part]
        self._meet()  # nobody reads any more

    def _meet(self) -> None:
        """Wait for all; what they wrote before can be seen after."""
        self.window.Sync()
        if self.is_crowded:
            request = self.world.Ibarrier()
            while not request.Test():
                time.sleep(NAP)
        else:
            self.world.Barrier()
        self.window.Sync()

    def _add(self, part: slice) -> None:
        for start in range(part.start, part.stop, CHUNK):
            chunk = slice(start, min(start + CHUNK, part.stop))
            total = self.scratch[: chunk.stop - chunk.start]
            np.add(self.vectors[0][chunk], self.vectors[1][chunk], out=total)
            for vector in self.vectors[2:]:
                total += vector[chunk]
            self.own[chunk] = total


class Pool:
    """The vectors that the ranks of `world` share on their `processors`.

    Those given back are used again, for a window can only be freed by all at once.

    Everybody asks and gives back in the same order, so everybody has the same vectors in hand.
    """

    def __init__(self, MPI: Any, world: Any, processors: int) -> None:
        self._mpi, self._world, self._processors = MPI, world, processors
        self._in_use: dict[int, Together] = {}
        self._free: dict[tuple[int, str], list[Together]] = defaultdict(list)

    def take(self, size: int, dtype: DTypeLike) -> Array | None:
        """A vector of zeros that `of` knows; None where the machine has no room for it."""
        free = self._free[size, np.dtype(dtype).str]
        needs = self._world.Get_size() * (size * np.dtype(dtype).itemsize + ALIGNMENT)
        if not free and not self._world.bcast(has_room(needs)):
            return None
        together = free.pop() if free else Together(self._mpi, self._world, self._processors, size, dtype)
        together.own[:] = 0
        self._in_use[id(together.own)] = together
        return together.own

    def give_back(self, vector: Array) -> None:
        """Use this vector for the next who asks for such a one."""
        together = self._in_use.pop(id(vector), None)
        if together is not None:
            self._free[len(vector), vector.dtype.str].append(together)

    def of(self, vector: Array) -> Together | None:
        """What adds this vector up, if it is one of these."""
        return self._in_use.get(id(vector))


def shared(memory: Any, size: int, dtype: DTypeLike) -> Array:
    """The aligned vector in a window's memory: at the same place in it, whichever rank looks."""
    raw = np.frombuffer(memory, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    vector: Array = raw[start : start + size * np.dtype(dtype).itemsize].view(dtype)
    return vector


def has_room(needs: int) -> bool:
    """Whether so many bytes can be shared: who takes more than there is, is ended when it writes there."""
    try:
        free = os.statvfs(SHARED)
    except (OSError, AttributeError):  # another system than Linux
        return False
    return needs <= SHARE * free.f_bavail * free.f_frsize
