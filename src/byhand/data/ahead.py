"""Prefetching: a second thread prepares what comes next while the first still works on what is there.

`training` draws augmented pictures through it. The results come in the order of the jobs, and they are the same as
those of `map`: the thread changes when they are made, never what they are. If no thread can be started (in a browser,
or at the system's limit), each result is made in the caller's own thread when it is needed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from byhand.errors import UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")


def ahead(function: Callable[[Job], Result], jobs: Iterable[Job], *, depth: int = 2) -> Iterator[Result]:
    """Yield function(job) for each job in order, at most `depth` of them made before they are asked for.

    The jobs are taken from `jobs` in the caller's own thread. An error in `function` is raised where its result
    would have come. Closing the iterator (a `break`, an error, `contextlib.closing`) drops the jobs not yet begun
    and waits for the one that has.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise UsageError(f"depth must be a whole number from 1, got {depth!r}")
    return _ahead(function, jobs, depth)


def _ahead(function: Callable[[Job], Result], jobs: Iterable[Job], depth: int) -> Iterator[Result]:
    begun: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="byhand-ahead") as second:
        has_thread = True
        try:
            for job in jobs:
                if has_thread:
                    try:
                        begun.append(second.submit(function, job))
                    except RuntimeError:  # can't start new thread
                        has_thread = False
                if not has_thread:
                    yield from (future.result() for future in begun)
                    begun.clear()
                    yield function(job)
                elif len(begun) > depth:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
