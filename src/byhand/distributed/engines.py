"""Pools of worker processes for the trials of a sweep: joblib on this machine, or Dask."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from byhand.errors import ByhandError, MissingExtraError, UsageError
from byhand.threads import ONE_THREAD

ATTEMPTS = 3  # maximum number of times that a task is started
GRACE = 3.0  # seconds in which joblib must report a dead worker, or else the result queue is blocked


class WorkerDiedError(ByhandError):
    """Every worker that started the task died."""


class Engine(Protocol):
    """A pool of `jobs` workers."""

    jobs: int

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Start the task function(*arguments); `key` identifies its result."""

    def next(self, timeout: float) -> tuple[int, Any] | None:
        """Return the next finished task's key and its result or exception; None after `timeout` seconds."""

    def close(self) -> None:
        """Cancel unfinished tasks."""


class Local:
    """joblib's process pool, one BLAS thread per process. Tasks of dead processes are restarted."""

    def __init__(self, jobs: int) -> None:
        try:
            from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor
        except ImportError as error:
            raise MissingExtraError("joblib", "sweep") from error
        self.jobs = jobs
        self._executor = ProcessPoolExecutor
        self._broken = BrokenProcessPool
        #: For each key: the function with its arguments, and the number of attempts.
        self._tasks: dict[int, tuple[tuple[Any, ...], int]] = {}
        self._finished: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._current: Any = None
        self._first_seen_dead: float | None = None

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        self._start(key, (function, *arguments), 1)

    def _start(self, key: int, call: tuple[Any, ...], attempt: int) -> None:
        self._tasks[key] = call, attempt
        try:
            future = self._pool().submit(*call)
        except self._broken:  # by another task, just now
            future = self._pool().submit(*call)
        future.add_done_callback(lambda future: self._finished.put((key, future)))

    def _pool(self) -> Any:
        """Return the pool, or a new one if it is broken. Joblib's reusable pool would be shared with other callers."""
        if self._current is None or self._current._flags.broken:
            self._current = self._executor(
                self.jobs, env=ONE_THREAD, initializer=exit_with_parent, initargs=(os.getpid(),)
            )
        return self._current

    def next(self, timeout: float) -> tuple[int, Any] | None:
        with contextlib.suppress(Empty):
            key, future = self._finished.get(timeout=timeout)
            call, attempt = self._tasks.pop(key)
            error = future.exception()
            if not isinstance(error, self._broken):
                return key, error or future.result()
            if attempt >= ATTEMPTS:
                return key, WorkerDiedError(f"{ATTEMPTS} worker processes died during this trial")
            self._start(key, call, attempt + 1)
            return None
        self._unblock()
        return None

    def _unblock(self) -> None:
        """Break the pool if a worker died while it was sending a result.

        Then half a message is in the result queue and its lock is taken, so joblib and the other workers wait
        forever. When all writers of the queue are closed, joblib reads EOF and reports a broken pool.
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
        if self._current is not None:
            if has_dead_worker(self._current):
                break_pool(self._current)  # a blocked queue would block the shutdown too
            self._current.shutdown(wait=True, kill_workers=True)
            self._current = None


def has_dead_worker(pool: Any) -> bool:
    """Return True if a worker of a joblib pool ended with an error."""
    return any(worker.exitcode for worker in list(pool._processes.values()))


def break_pool(pool: Any) -> None:
    """Kill the workers of a joblib pool and close its result queue."""
    from joblib.externals.loky.backend.utils import kill_process_tree

    for worker in list(pool._processes.values()):
        kill_process_tree(worker)
    with contextlib.suppress(OSError):  # already closed by joblib
        writer = pool._result_queue._writer
        own = type(writer)(writer.fileno(), readable=False)
        writer._handle = None  # at EOF, a thread of joblib closes the queue too
        own.close()


def exit_with_parent(parent: int) -> None:
    """Start a thread that ends this process when the parent process has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Dask:
    """A running Dask cluster. Its scheduler restarts the tasks of a worker that dies."""

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
            rule = "the address of a Dask scheduler, such as tcp://host:8786"
            raise UsageError(f"--address must be {rule}, got {address}: {error}") from None
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
                return key, WorkerDiedError("several Dask workers died during this trial")
            return key, error or future.result()
        return None

    def close(self) -> None:
        self.client.cancel(list(self._futures.values()))
        self.client.close()
