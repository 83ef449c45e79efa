"""Threads: how many there are, and how many of them the BLAS may use at this moment.

The one place where threadpoolctl is called. NumPy's products go to a BLAS that has threads of its own; where byhand
runs its own threads over blocks of rows, each must have the BLAS to itself, on one thread.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any

#: Environment variables that cap the number of threads: those of byhand and of the usual BLAS libraries.
LIMITS = ("BYHAND_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def available() -> int:
    """Return how many threads to use: the processors this process may run on, or the environment's cap if lower."""
    count = len(processors())
    caps = [int(os.environ[name]) for name in LIMITS if os.environ.get(name, "").isdecimal()]
    return max(1, min([count, *caps]))


def processors() -> set[int]:
    """Return the processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


#: The requests that are open, first to last: (thread, number of BLAS threads).
_requests: list[tuple[int, int]] = []
#: What the libraries used before the first open request.
_before: list[int] = []
#: The number that the open requests ask for; None while there are none.
in_force: int | None = None
_lock = threading.RLock()  # a dropped trainer may be finalized while its thread is in here


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Limit the BLAS to `count` threads inside this block, and restore the number after it.

    The number is global to the process. If several blocks are open at once, in whatever order they end, the thread that
    came first decides, and of its blocks the newest.
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
    """Set the number that the open requests ask for."""
    global in_force  # noqa: PLW0603 – there is one BLAS in a process
    libraries = blas_libraries()
    if not _requests:
        in_force = None
        set_threads(libraries, _before)
        return
    first_thread, _ = _requests[0]
    *_, in_force = (count for thread, count in _requests if thread == first_thread)
    set_threads(libraries, [in_force] * len(libraries))


def set_threads(libraries: list[Any], counts: list[int]) -> None:
    """Set each library's number of threads, if it has another."""
    for library, count in zip(libraries, counts, strict=True):
        if library.num_threads != count:
            library.set_num_threads(count)
            # threadpoolctl from 3.8 on obeys only the first thread that ever called, until its claim is cleared
            getattr(library, "clear_controlling_thread", nothing)()


def has_small_matrix_kernels() -> bool:
    """True if the BLAS multiplies small matrices without copying them first: OpenBLAS with its AVX-512 kernels."""
    kernels = {getattr(library, "architecture", "") for library in blas_libraries()}
    return bool(kernels & {"SkylakeX", "Cooperlake", "SapphireRapids"})


def nothing() -> None:
    """Stand in for the method that older versions of threadpoolctl don't have."""


@functools.cache
def blas_libraries() -> list[Any]:
    """Return the BLAS libraries that are loaded, if any: looked up once, since a look-up takes longer than a step."""
    import numpy  # noqa: F401 – only what is loaded is found
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
