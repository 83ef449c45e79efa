"""Data-parallel training over MPI: `mpiexec -n 4 byhand train …`.

Every rank computes its rows of each batch, an all-reduce sums the gradients, and all ranks take the same step. The
result equals that of one process up to rounding. Only rank 0 writes files and messages.
"""

import contextlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from byhand.errors import ByhandError, MissingExtraError
from byhand.nn.arrays import Array

#: Environment variables that MPI launchers set (MPICH and its derivatives, Open MPI, PMIx).
LAUNCHED = ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "MPI_LOCALNRANKS")
REPORT_DELAY = 3.0  # seconds that other ranks wait, since rank 0 may report the same error first
ABORT_DELAY = 0.5  # seconds, since the launcher drops unread output of a process that it ends


class Communicator:
    """A `byhand.training.batches.Shard` over MPI."""

    def __init__(self, MPI: Any) -> None:
        self.world = MPI.COMM_WORLD
        self.rank: int = self.world.Get_rank()
        self.size: int = self.world.Get_size()
        self.neighbours: int = self.world.Split_type(MPI.COMM_TYPE_SHARED).Get_size()
        #: The process and node of each rank, as in the launcher's message about a dead one.
        self.places: list[str] = self.world.allgather(f"process {os.getpid()} on {platform.node()}")
        self._in_place = MPI.IN_PLACE

    def sum(self, vector: Array) -> Array:
        """Sum the vector over all ranks, in place, and return it."""
        self.world.Allreduce(self._in_place, vector)
        return vector

    def broadcast(self, value: Any) -> Any:
        """Return the value of rank 0."""
        return self.world.bcast(value, root=0)


def communicator() -> Communicator | None:
    """Return the communicator, or None if mpiexec did not start this process as one of several."""
    if not any(name in os.environ for name in LAUNCHED):
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingExtraError("mpi4py", "mpi") from error
    return Communicator(MPI) if MPI.COMM_WORLD.Get_size() > 1 else None


@contextlib.contextmanager
def rank_0_first(ranks: Communicator | None) -> Iterator[None]:
    """Run the block on rank 0, then on the others, which find the data that rank 0 has downloaded."""
    if ranks is not None and ranks.rank > 0:
        ranks.world.Barrier()
    yield
    if ranks is not None and ranks.rank == 0:
        ranks.world.Barrier()


@contextlib.contextmanager
def aborting(ranks: Communicator | None) -> Iterator[None]:
    """Abort all ranks if one raises an exception, with a message that names the rank."""
    try:
        yield
    except Exception as error:
        if ranks is None:
            raise
        code = error.exit_code if isinstance(error, ByhandError) else 1
        if ranks.rank > 0:
            time.sleep(REPORT_DELAY)
        if not isinstance(error, ByhandError):
            traceback.print_exc()
        where = f"rank {ranks.rank}: " if ranks.rank > 0 else ""
        print(f"byhand: {where}{error}", file=sys.stderr, flush=True)
        time.sleep(ABORT_DELAY)
        ranks.world.Abort(code)
        os._exit(code)  # the launcher may need a moment to end this process
