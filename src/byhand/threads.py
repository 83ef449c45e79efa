"""The number of threads: of byhand, and of the BLAS that computes NumPy's matrix products (with threadpoolctl).

Where byhand runs threads of its own over blocks of a batch, each calls the BLAS with one thread.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

Job = TypeVar("Job")

#: Environment variables that cap the number of threads.
LIMITS = ("BYHAND_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: Environment variables that limit the BLAS to one thread; they must be set before NumPy is imported.
ONE_THREAD = dict.fromkeys(LIMITS[1:], "1")


def available() -> int:
    """Return the number of threads to use: the available processors, or the environment's cap if it is lower."""
    count = len(processors())
    caps = [int(os.environ[name]) for name in LIMITS if os.environ.get(name, "").isdecimal()]
    return max(1, min([count, *caps]))


def processors() -> set[int]:
    """Return the processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


#: The active requests in their order: (thread, number of BLAS threads).
_requests: list[tuple[int, int]] = []
#: The libraries' numbers of threads before the first active request.
_before: list[int] = []
#: The requested number of BLAS threads; None without an active request.
in_force: int | None = None
_lock = threading.RLock()  # reentrant: garbage collection can finalize a trainer while its thread holds the lock


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Limit the BLAS to `count` threads inside this block, and restore the number after it.

    The number is global to the process. If several blocks are active, the latest block of the first thread decides;
    blocks may end in any order.
    """
    request = (threading.get_ident(), count)
    with _lock:
        if not _requests:
            _before[:] = [library.num_threads for library in blas_libraries()]
        _requests.append(request)
        _apply()
    try:
        yield
    finally:
        with _lock:
            _requests[:] = [other for other in _requests if other is not request]
            _apply()


def _apply() -> None:
    """Set the number that the active requests determine."""
    global in_force  # noqa: PLW0603 – the setting is global to the process
    counts = [count for thread, count in _requests if thread == _requests[0][0]]
    in_force = counts[-1] if counts else None
    for library, before in zip(blas_libraries(), _before, strict=True):
        count = before if in_force is None else in_force
        if library.num_threads != count:
            library.set_num_threads(count)
            # since version 3.8, threadpoolctl ignores all threads but the first that called it, until this is cleared
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread()


def for_each(function: Callable[[Job], object], jobs: Sequence[Job]) -> None:
    """Call function(job) for each job, on as many threads as are available, with one BLAS thread each.

    If no thread can be started, the caller's thread calls the function.
    """
    contexts = [copy_context() for _ in jobs]  # of `np.errstate`
    with blas_threads(1):
        if len(jobs) > 1 and available() > 1:
            with suppress(RuntimeError), ThreadPoolExecutor(min(available(), len(jobs))) as pool:
                for _ in pool.map(lambda context, job: context.run(function, job), contexts, jobs):
                    pass
                return
        for job in jobs:
            function(job)


def has_small_matrix_kernels() -> bool:
    """Return True if the BLAS multiplies small matrices without copying them: OpenBLAS with AVX-512 kernels."""
    kernels = {getattr(library, "architecture", "") for library in blas_libraries()}
    return bool(kernels & {"SkylakeX", "Cooperlake", "SapphireRapids"})


@functools.cache
def blas_libraries() -> list[Any]:
    """Return the loaded BLAS libraries; cached, because the search takes longer than a training step."""
    import numpy  # noqa: F401 – only loaded libraries are found
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
