"""Engines: pools of processes that train the trials of a sweep.

`Local` is joblib's pool on this machine, each process with one BLAS thread; `Dask` is a cluster that is already
running. Both restart the work that a worker was doing when it died.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from byhand.errors import ByhandError, MissingExtraError, UsageError

#: Limits the BLAS of a process to one thread, if it is in the environment before NumPy is loaded.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
#: How many workers may die during one piece of work before it is given up.
ATTEMPTS = 3
#: Seconds after which a dead worker that joblib has not reported is taken to have blocked the result queue.
GRACE = 3.0


class WorkerDiedError(ByhandError):
    """Every worker that started this work died."""


class Engine(Protocol):
    """A pool of `jobs` workers."""

    jobs: int

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Start function(*arguments), under a key."""

    def next(self, timeout: float) -> tuple[int, Any] | None:
        """Return the key of the work that ends next, with its result or its error; None after `timeout` seconds."""

    def close(self) -> None:
        """Drop unfinished work."""


class Local:
    """joblib's pool of processes. A process that dies is replaced, and its work is started again."""

    def __init__(self, jobs: int) -> None:
        try:
            from joblib.externals.loky import get_reusable_executor
            from joblib.externals.loky.process_executor import BrokenProcessPool
        except ImportError as error:
            raise MissingExtraError("joblib", "sweep") from error
        self.jobs = jobs
        self._executor = get_reusable_executor
        self._broken = BrokenProcessPool
        #: For each key: the function and its arguments, and how often they were started.
        self._work: dict[int, tuple[tuple[Any, ...], int]] = {}
        self._finished: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._current: Any = None
        self._first_seen_dead: float | None = None

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        self._start(key, (function, *arguments), 1)

    def _start(self, key: int, call: tuple[Any, ...], attempt: int) -> None:
        self._work[key] = call, attempt
        try:
            future = self._pool().submit(*call)
        except self._broken:  # another piece of work broke the pool at this moment: the next call makes a new one
            future = self._pool().submit(*call)
        future.add_done_callback(lambda future: self._finished.put((key, future)))

    def _pool(self) -> Any:
        """Return the pool, or a new one if that is broken."""
        self._current = self._executor(
            max_workers=self.jobs, env=ONE_THREAD, initializer=exit_with_parent, initargs=(os.getpid(),)
        )
        return self._current

    def next(self, timeout: float) -> tuple[int, Any] | None:
        with contextlib.suppress(Empty):
            key, future = self._finished.get(timeout=timeout)
            call, attempt = self._work.pop(key)
            error = future.exception()
            if not isinstance(error, self._broken):
                return key, error or future.result()
            if attempt >= ATTEMPTS:
                return key, WorkerDiedError(f"{ATTEMPTS} workers died over it, one after another")
            self._start(key, call, attempt + 1)
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
        if pool is None or pool._flags.broken or not has_dead_worker(pool):
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
        if has_dead_worker(self._current):
            break_pool(self._current)  # a blocked queue would block the shutdown too
        self._current.shutdown(wait=True, kill_workers=True)


def has_dead_worker(pool: Any) -> bool:
    """True if a worker of a joblib pool ended with an error."""
    return any(worker.exitcode for worker in list(pool._processes.values()))


def break_pool(pool: Any) -> None:
    """Kill the workers of a joblib pool and close its result queue, so that the reader gets the end of the file."""
    from joblib.externals.loky.backend.utils import kill_process_tree

    for worker in list(pool._processes.values()):
        kill_process_tree(worker)
    with contextlib.suppress(OSError):  # joblib may have closed it meanwhile
        writer = pool._result_queue._writer
        own = type(writer)(writer.fileno(), readable=False)
        writer._handle = None  # joblib closes the queue too, in a thread of its own, at the end of the file
        own.close()


def exit_with_parent(parent: int) -> None:
    """Exit soon after the parent process has ended, in whatever way."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Dask:
    """A Dask cluster. Its scheduler gives the work of a worker that died to another one."""

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
        self._futures: dict[int, Any] = {}

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        future = self.client.submit(function, *arguments, pure=False, key=None)
        self._futures[key] = future
        future.add_done_callback(lambda future: self._finished.put((key, future)))

    def next(self, timeout: float) -> tuple[int, Any] | None:
        with contextlib.suppress(Empty):
            key, future = self._finished.get(timeout=timeout)
            del self._futures[key]
            error = future.exception()
            if isinstance(error, self._killed):
                return key, WorkerDiedError("worker after worker died over it")
            return key, error or future.result()
        return None

    def close(self) -> None:
        self.client.cancel(list(self._futures.values()))
        self.client.close()
