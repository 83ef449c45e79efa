"""Work done ahead: a second thread prepares what comes next while the first is still busy with what is there.

`training` draws augmented pictures through it. The results come in the order of the jobs, and they are the same as
`map` would give: the thread changes when they are made, never what they are.
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
        try:
            for job in jobs:
                begun.append(second.submit(function, job))
                if len(begun) > depth:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
