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

#: Who limits the BLAS in the usual way limits us too.
LIMITS = ("BYHAND_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def available() -> int:
    """How many threads to use: the processors this process may run on, or what the environment says if that is less."""
    count = len(processors())
    asked = [int(os.environ[name]) for name in LIMITS if os.environ.get(name, "").isdecimal()]
    return max(1, min([count, *asked]))


def processors() -> set[int]:
    """The processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


#: The BLAS has one number for the whole process: this is held by the thread whose word counts.
_word = threading.RLock()


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Let the BLAS use `count` threads inside this block, and what it used before after it.

    While one thread of a program is inside, those that come too change nothing: they would change it for the first.
    """
    libraries = blas_libraries()
    if not _word.acquire(blocking=False):
        yield
        return
    before = [library.num_threads for library in libraries]
    try:
        set_threads(libraries, [count] * len(libraries))
        yield
    finally:
        set_threads(libraries, before)
        _word.release()


def set_threads(libraries: list[Any], counts: list[int]) -> None:
    """Tell each library its number, where that is another one than it has."""
    for library, count in zip(libraries, counts, strict=True):
        if library.num_threads != count:
            library.set_num_threads(count)
            # threadpoolctl from 3.8 on listens to the first thread that ever called, until that one takes its leave
            getattr(library, "clear_controlling_thread", nothing)()


def nothing() -> None:
    """What older versions of threadpoolctl need instead."""


@functools.cache
def blas_libraries() -> list[Any]:
    """The BLAS libraries that are loaded: looked up once, for looking takes longer than a step."""
    import numpy  # noqa: F401 – only what is loaded is found
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
