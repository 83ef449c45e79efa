"""Engines: where the work of a sweep is run. Each is a pool of workers that other people wrote and look after.

`Local` is joblib's pool of processes on this machine, each with one BLAS thread; `Dask` is a cluster that is already
there. Both take a function and give a future, and both start what a dead worker had in hand again.
"""

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from byhand.errors import ByhandError, MissingExtraError, UsageError

#: What limits the BLAS of a worker before NumPy is loaded there.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
#: How many workers may die over one piece of work before it is taken to be the work's fault.
ATTEMPTS = 3
#: Seconds after which a dead worker that joblib has not reported is taken to have blocked the result queue.
GRACE = 3.0


class WorkerDiedError(ByhandError):
    """Work that no worker lived to finish."""


class Engine(Protocol):
    """A pool of `jobs` workers."""

    jobs: int

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Start function(*arguments) under this key."""

    def next(self, timeout: float) -> tuple[int, Any] | None:
        """The key of whatever is finished next and its result, or the error it ended with; None when the time is up."""

    def close(self) -> None:
        """Drop what is unfinished."""


class Local:
    """joblib's pool of processes. A process that dies is replaced, and its work begun again."""

    def __init__(self, jobs: int) -> None:
        try:
            from joblib.externals.loky import get_reusable_executor
            from joblib.externals.loky.process_executor import BrokenProcessPool
        except ImportError as error:
            raise MissingExtraError("joblib", "sweep") from error
        self.jobs = jobs
        self._executor = get_reusable_executor
        self._broken = BrokenProcessPool
        self._work: dict[int, tuple[Any, ...]] = {}
        self._attempts: dict[int, int] = {}
        self._finished: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._current: Any = None
        self._first_seen_dead: float | None = None

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        self._attempts[key] = 0
        self._start(key, (function, *arguments))

    def _start(self, key: int, call: tuple[Any, ...]) -> None:
        self._work[key] = call
        self._attempts[key] += 1
        try:
            future = self._pool().submit(*call)
        except self._broken:  # another piece of work broke the pool at this moment: the next call makes a new one
            future = self._pool().submit(*call)
        future.add_done_callback(lambda future: self._finished.put((key, future)))

    def _pool(self) -> Any:
        """Return the pool, or a new one if that is broken."""
        self._current = self._executor(
            max_workers=self.jobs, env=ONE_THREAD, initializer=end_with, initargs=(os.getpid(),)
        )
        return self._current

    def next(self, timeout: float) -> tuple[int, Any] | None:
        with contextlib.suppress(Empty):
            key, future = self._finished.get(timeout=timeout)
            call = self._work.pop(key)
            error = future.exception()
            if not isinstance(error, self._broken):
                return key, error or future.result()
            if self._attempts[key] >= ATTEMPTS:
                return key, WorkerDiedError(f"{ATTEMPTS} workers died over it, one after another")
            self._start(key, call)
            return None
        self._unblock()
        return None

    def _unblock(self) -> None:
        """Break the pool if a worker died while it was sending a result.

        Such a worker leaves half a message in the result queue and holds the queue's lock: joblib waits for the other
        half, the other workers wait for the lock, and the death is never reported. Once every writer of the queue is
        closed, joblib reads the end of the file and reports a broken pool, and the work is started again.
        """
        pool = self._current
        if pool is None or pool._flags.broken or not any(worker.exitcode for worker in list(pool._processes.values())):
            self._first_seen_dead = None
            return
        now = time.monotonic()
        if self._first_seen_dead is None:
            self._first_seen_dead = now
        elif now - self._first_seen_dead > GRACE:
            break_pool(pool)

    def close(self) -> None:
        if not self._work or self._current is None:
            return
        if any(worker.exitcode for worker in list(self._current._processes.values())):
            break_pool(self._current)  # a blocked queue would block the shutdown too
        self._current.shutdown(wait=True, kill_workers=True)


def break_pool(pool: Any) -> None:
    """Kill the workers of a joblib pool and close its result queue, so that the reader gets the end of the file."""
    from joblib.externals.loky.backend.utils import kill_process_tree

    for worker in list(pool._processes.values()):
        kill_process_tree(worker)
    with contextlib.suppress(OSError):  # joblib may have closed it meanwhile
        pool._result_queue._writer.close()


def end_with(parent: int) -> None:
    """End this process soon after its parent has ended, however that ended: nobody is left to take its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Dask:
    """A Dask cluster. Its scheduler gives the work of a worker that died to another."""

    def __init__(self, address: str, jobs: int | None = None) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise MissingExtraError("dask and distributed", "cluster") from error
        untyped: Any = Client
        self._killed = KilledWorker
        try:
            self.client = untyped(address, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--address must be a Dask scheduler's, such as tcp://host:8786; got {address}: {error}"
            ) from None
        self.jobs = jobs or max(1, sum(self.client.nthreads().values()))
        self._finished: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._held: dict[int, Any] = {}

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        future = self.client.submit(function, *arguments, pure=False, key=None)
        self._held[key] = future
        future.add_done_callback(lambda future: self._finished.put((key, future)))

    def next(self, timeout: float) -> tuple[int, Any] | None:
        with contextlib.suppress(Empty):
            key, future = self._finished.get(timeout=timeout)
            del self._held[key]
            error = future.exception()
            if isinstance(error, self._killed):
                return key, WorkerDiedError("worker after worker died over it")
            return key, error or future.result()
        return None

    def close(self) -> None:
        self.client.cancel(list(self._held.values()))
        self.client.close()


@contextlib.contextmanager
def joblib_on(client: Any) -> Iterator[None]:
    """joblib, and so every search of scikit-learn, on this Dask client's cluster, where a worker may die.

    joblib's own Dask backend puts each large argument on one worker, and if that one dies the search is lost. Here such
    an argument is a piece of work too, whose result is the argument: what is lost with a worker is made again.
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingExtraError("joblib", "cluster") from error

    async def kept(value: Any, **_: Any) -> Any:
        return client.submit(itself, value, pure=False)

    client.scatter = kept
    try:
        with warnings.catch_warnings(), client.as_current(), joblib.parallel_config(backend="dask"):
            warnings.filterwarnings("ignore", "Sending large graph")
            yield
    finally:
        del client.scatter


def itself(value: Any) -> Any:
    """The value, on a worker."""
    return value
