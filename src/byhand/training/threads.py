"""Threads: how many there are, and how many of them the BLAS may use at this moment.

The one place where threadpoolctl is called. NumPy's products go to a BLAS that has threads of its own; where training
runs its own threads over blocks of rows, each must have the BLAS to itself, on one thread.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

#: Who limits the BLAS in the usual way limits us too.
LIMITS = ("BYHAND_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def available() -> int:
    """How many threads to use: the processors this process may run on, or what the environment says if that is less."""
    count = len(processors())
    asked = [int(os.environ[name]) for name in LIMITS if os.environ.get(name, "").isdigit()]
    return max(1, min([count, *asked]))


def processors() -> set[int]:
    """The processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Let the BLAS use `count` threads inside this block, and what it used before after it."""
    libraries = blas_libraries()
    before = [library.num_threads for library in libraries]
    changed = [(library, was) for library, was in zip(libraries, before, strict=True) if was != count]
    try:
        for library, _ in changed:
            library.set_num_threads(count)
        yield
    finally:
        for library, was in changed:
            library.set_num_threads(was)


@functools.cache
def blas_libraries() -> list[Any]:
    """The BLAS libraries that are loaded: looked up once, for looking takes longer than a step."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
