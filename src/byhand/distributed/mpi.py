"""One training on several processes, over MPI: `mpiexec -n 4 byhand train …`.

Every rank has the whole recipe and works its own rows of each batch; their gradients become one in one all-reduce, and
everybody takes the same step. What is random is a function of seed, step and sample, so four ranks draw what one would
have drawn, and the result is that of one process to rounding. Rank 0 alone writes and shows.

The messages are MPI's own (mpi4py), or on one machine none at all (`byhand.distributed.together`); nothing is pickled
on the way of a step.
"""

import contextlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

from numpy.typing import DTypeLike

from byhand.distributed import cost
from byhand.distributed.together import Pool
from byhand.errors import ByhandError, MissingExtraError
from byhand.nn.arrays import Array, aligned
from byhand.nn.network import Network
from byhand.threads import processors

#: What the launchers of MPI (MPICH and its kin, Open MPI, PMIx) leave in the environment of each process.
LAUNCHED = ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "MPI_LOCALNRANKS")
#: Seconds that the other ranks leave to rank 0 to say what is wrong, where all of them know.
PATIENCE = 2.0
#: Seconds in which a launcher that has read a line has passed it on.
HANDED_ON = 0.2
#: The share of a training's time in sums from which sharing the work has not paid: two ranks then gain under 1.2 ×.
TOO_MUCH = 0.4
#: A process of its own, that speaks where rank 0 was ended without a word: see `Comm.witness`.
WITNESS = "import sys\nif not sys.stdin.read(): print(sys.argv[1], file=sys.stderr, flush=True)"


def ranks() -> "Comm | Alone":
    """This process among the others, or alone."""
    return communicator() or Alone()


def communicator() -> "Comm | None":
    """This process's place among the others; None unless it was started as one of several by mpiexec."""
    if not any(name in os.environ for name in LAUNCHED):
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingExtraError("mpi4py", "mpi") from error
    return Comm(MPI) if MPI.COMM_WORLD.Get_size() > 1 else None


def wait_until_read(stream: TextIO, patience: float = 5.0) -> None:
    """Give the launcher the time to read what this process has just said.

    It hears of an abort by another way than the one our words take, ends everybody at once, and now and then drops what
    was still in the pipe. Where the system can say how much that is (Linux), we wait until it is nothing, and in any
    case the moment that passing it on takes.
    """
    end = time.monotonic() + patience
    with contextlib.suppress(ImportError, OSError):
        import fcntl
        import termios

        fd, unread = stream.fileno(), bytearray(4)
        while stat.S_ISFIFO(os.fstat(fd).st_mode) and time.monotonic() < end:
            fcntl.ioctl(fd, termios.FIONREAD, unread)
            if not any(unread):
                break
            time.sleep(0.01)
    time.sleep(HANDED_ON)


class Alone:
    """A process that has no others: what a rank can do, where there is nothing to do."""

    shard = None
    leads = True
    size = 1

    def broadcast(self, value: Any) -> Any:
        """What rank 0 gives."""
        return value

    def witness(self, line: str) -> contextlib.AbstractContextManager[None]:
        """Alone, one is killed without a witness."""
        return contextlib.nullcontext()

    def forecast(self, network: Network, batch: int, memory: int) -> str | None:
        """Nothing will be shared."""
        return None

    def verdict(self, seconds: float) -> str | None:
        """Nothing was shared."""
        return None

    together = one_by_one = contextlib.nullcontext


class Comm:
    """One rank of several: a `byhand.training.batches.Shard` over MPI."""

    def __init__(self, MPI: Any) -> None:
        self.world = MPI.COMM_WORLD
        self.rank: int = self.world.Get_rank()
        self.size: int = self.world.Get_size()
        machine = self.world.Split_type(MPI.COMM_TYPE_SHARED)
        self.neighbours: int = machine.Get_size()
        #: Those that the ranks of this machine run on; a launcher may have bound each of them to one.
        self.processors = len(set().union(*machine.allgather(processors())))
        #: Seconds spent in sums so far, waiting for the slowest included.
        self.seconds = 0.0
        self._in_place = MPI.IN_PLACE
        self._pool = Pool(MPI, self.world, self.processors) if self.neighbours == self.size else None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which writes and shows."""
        return self.rank == 0

    @property
    def shard(self) -> "Comm":
        """What a session is given."""
        return self

    def vector(self, size: int, dtype: DTypeLike) -> Array:
        """A vector of zeros; where all ranks are on one machine it lies in memory that all of them see."""
        taken = self._pool.take(size, dtype) if self._pool else None
        return aligned(size, dtype) if taken is None else taken

    def release(self, vector: Array) -> None:
        """Nobody uses this vector any more."""
        if self._pool:
            self._pool.give_back(vector)

    def sum(self, vector: Array) -> None:
        """Add the vector up over all ranks, in place."""
        began = time.perf_counter()
        together = self._pool.of(vector) if self._pool else None
        if together is not None:
            together.sum()
        else:
            self.world.Allreduce(self._in_place, vector)
        self.seconds += time.perf_counter() - began

    def forecast(self, network: Network, batch: int, memory: int) -> str | None:
        """A warning where sharing such steps will hardly pay, by the cost model.

        It knows nothing of other wires, and nothing of convolutions.
        """
        sizes = cost.dense_sizes(network)
        return cost.forecast(sizes, batch, memory, self.size, self.processors) if self._pool and sizes else None

    def verdict(self, seconds: float) -> str | None:
        """A warning where sharing the work did not pay, from how much of the training's seconds went into sums."""
        share = self.seconds / max(seconds, 1e-9)
        if share < TOO_MUCH:
            return None
        return (
            f"{share:.0%} of the time went into adding up over {self.size} ranks and waiting for one another: "
            "a larger --batch-size or fewer ranks would pay"
        )

    def broadcast(self, value: Any) -> Any:
        """What rank 0 gives, on every rank."""
        return self.world.bcast(value, root=0)

    @contextlib.contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Rank 0 first, then the others: what rank 0 fetches, the others find."""
        if not self.leads:
            self.world.Barrier()
        yield
        if self.leads:
            self.world.Barrier()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """End all ranks where one ends with an error, so that none waits for it for ever."""
        try:
            yield
        except Exception as error:
            code = error.exit_code if isinstance(error, ByhandError) else 1
            if not self.leads:
                time.sleep(PATIENCE)
            where = "" if self.leads else f"rank {self.rank}: "
            if not isinstance(error, ByhandError):
                import traceback

                traceback.print_exc()
            print(f"byhand: {where}{error}", file=sys.stderr, flush=True)
            wait_until_read(sys.stderr)
            self.world.Abort(code)
            os._exit(code)  # the launcher ends us, but not always at once

    @contextlib.contextmanager
    def witness(self, line: str) -> Iterator[None]:
        """Have `line` said on stderr if this process is ended from outside while the block runs.

        When a rank dies, the launcher ends all the others at once, and none of them can say anything any more. A small
        process in a session of its own outlives them: it reads until its input ends, and speaks if it was told nothing.
        """
        arguments = [sys.executable, "-I", "-S", "-c", WITNESS, line]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, start_new_session=True, env={}) as process:
            try:
                yield
            finally:
                process.communicate(b"all is well")
