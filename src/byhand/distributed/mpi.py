"""One training in several processes, over MPI: `mpiexec -n 4 byhand train …`.

Every rank has the whole recipe and computes its own rows of each batch; one all-reduce sums their gradients, and all
take the same step. Random numbers are functions of seed, step and sample, so four ranks draw what one process would
have drawn, and the result is that of one process, to rounding. Rank 0 alone writes files and messages.
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

#: Set by the launchers of MPI (MPICH and its relatives, Open MPI, PMIx) in the environment of each process.
LAUNCHED = ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "MPI_LOCALNRANKS")
#: Seconds that the other ranks wait before they report an error, since rank 0 may have the same one.
PATIENCE = 3.0
#: Seconds between a message and the abort: the launcher drops what it has not yet read from a process that it ends.
READING = 0.5


class Communicator:
    """All ranks, seen from one of them: a `byhand.training.batches.Shard` over MPI."""

    def __init__(self, MPI: Any) -> None:
        self.world = MPI.COMM_WORLD
        self.rank: int = self.world.Get_rank()
        self.size: int = self.world.Get_size()
        self.neighbours: int = self.world.Split_type(MPI.COMM_TYPE_SHARED).Get_size()
        #: The process of each rank; the launcher's message about one that died has the same two names.
        self.places: list[str] = self.world.allgather(f"process {os.getpid()} on {platform.node()}")
        self._in_place = MPI.IN_PLACE

    def sum(self, vector: Array) -> None:
        """Sum the vector over all ranks, in place."""
        self.world.Allreduce(self._in_place, vector)

    def broadcast(self, value: Any) -> Any:
        """Return the value that rank 0 passes."""
        return self.world.bcast(value, root=0)


def communicator() -> Communicator | None:
    """Return the ranks, or None if this process was not started as one of several by mpiexec."""
    if not any(name in os.environ for name in LAUNCHED):
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingExtraError("mpi4py", "mpi") from error
    return Communicator(MPI) if MPI.COMM_WORLD.Get_size() > 1 else None


@contextlib.contextmanager
def rank_0_first(ranks: Communicator | None) -> Iterator[None]:
    """Run the block on rank 0, then on the others: they find the data that it downloads."""
    if ranks is not None and ranks.rank > 0:
        ranks.world.Barrier()
    yield
    if ranks is not None and ranks.rank == 0:
        ranks.world.Barrier()


@contextlib.contextmanager
def aborting(ranks: Communicator | None) -> Iterator[None]:
    """End all ranks if one ends with an error, with a message that names it; none of them waits for it forever."""
    try:
        yield
    except Exception as error:
        if ranks is None:
            raise
        code = error.exit_code if isinstance(error, ByhandError) else 1
        if ranks.rank > 0:
            time.sleep(PATIENCE)
        if not isinstance(error, ByhandError):
            traceback.print_exc()
        where = f"rank {ranks.rank}: " if ranks.rank > 0 else ""
        print(f"byhand: {where}{error}", file=sys.stderr, flush=True)
        time.sleep(READING)
        ranks.world.Abort(code)
        os._exit(code)  # the launcher ends this process, but not always at once
