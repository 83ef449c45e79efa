"""Rounds: contestants in processes of their own take turns, and their times are compared round by round.

Each contestant has a process, because each library brings threads of its own, which would otherwise compete; only one
works at a time. Before the rounds each does the same few epochs, and their losses must agree, so that none can win by
doing less work. A ratio is computed within one round, in which the machine was the same for all; the median of the
ratios is reported, with the smallest and the largest.
"""

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np

from benchmarks.contestants import FLAT, contestant
from benchmarks.work import COMPARED_BATCHES, COMPARED_WHOLE, Work
from byhand.errors import ByhandError, UsageError

#: Minimum seconds of a turn, which is a number of whole epochs.
TURN = 0.4
#: Seconds between turns, until the threads of the last contestant sleep.
PAUSE = 0.25
#: Maximum relative difference of losses. Each library sums in another order, and scikit-learn's Adam adds its ε at
#: another place, which shows in the third digit after 1,875 steps. Another batch size or rate gives far larger ones.
AGREE = 5e-3
#: The machine's rate in large matrix products, measured like a contestant; and the size of these products.
LIMIT, LARGE = "sgemm", 2048

T = TypeVar("T")
Log = Callable[[str], None]


class Worker:
    """A contestant in a process of its own."""

    def __init__(self, name: str, work: Work) -> None:
        here, there = multiprocessing.Pipe()
        self.name, self.connection = name, here
        self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, name, work), daemon=True)
        self.process.start()
        there.close()
        self.request()

    def request(self, *message: Any) -> Any:
        """Send a message, if any, and wait for the response."""
        try:
            if message:
                self.connection.send(message)
            answer = self.connection.recv()
        except (EOFError, BrokenPipeError):
            raise UsageError(f"{self.name} exited during its turn") from None
        if isinstance(answer, str):
            raise UsageError(f"{self.name}: {answer}")
        return answer

    def close(self) -> None:
        self.connection.close()
        self.process.join(5)
        self.process.kill()


def serve(connection: Connection, name: str, work: Work) -> None:
    """Worker process: answer each (first epoch, count) with (seconds, loss), until the connection is closed."""
    try:
        turn = (lambda first, count: sgemm_rate()) if name == LIMIT else contestant(name, work).run_epochs
        connection.send(True)
        while True:
            first, count = connection.recv()
            began = time.perf_counter()
            loss = turn(first, count)
            connection.send((time.perf_counter() - began, loss))
    except (EOFError, KeyboardInterrupt):
        return
    except (ByhandError, ValueError) as error:
        connection.send(str(error))


def sgemm_rate(seconds: float = 0.25) -> float:
    """Measure the floating-point operations per second in large float32 products, with all threads: the best rate."""
    A = np.ones((LARGE, LARGE), np.float32)
    out = np.empty_like(A)
    best, until = float("inf"), time.perf_counter() + seconds
    while True:
        began = time.perf_counter()
        np.matmul(A, A, out=out)
        best = min(best, time.perf_counter() - began)
        if time.perf_counter() > until:
            return 2 * LARGE**3 / best


@contextmanager
def workers(names: Sequence[str], work: Work) -> Iterator[list[Worker]]:
    """Start a worker for each contestant; close them at the end."""
    started: list[Worker] = []
    try:
        started.extend(Worker(name, work) for name in names)
        yield started
    finally:
        for worker in started:
            worker.close()


def benchmark(work: Work, names: Sequence[str], rounds: int, log: Log) -> dict[str, Any]:
    """Time the contestants in turns, the first of them byhand; return times, ratios and the share of peak GEMM."""
    compared = COMPARED_WHOLE if work.batch is None else COMPARED_BATCHES
    with workers([*names, LIMIT], work) as everyone:
        losses, first_seconds = {}, {}
        for worker in everyone[:-1]:
            first_seconds[worker.name], _ = worker.request(0, 1) if compared else (0.0, 0)
            start = 1 if compared else 0
            seconds, losses[worker.name] = worker.request(start, compared + 1 - start)
            first_seconds[worker.name] = first_seconds[worker.name] or seconds
        check_losses(losses)
        counts, places = {}, {}
        for worker in everyone[:-1]:
            seconds, _ = worker.request(compared + 1, 1)
            counts[worker.name] = max(1, round(TURN / seconds))
            places[worker.name] = compared + 2
        times: dict[str, list[float]] = {name: [] for name in names}
        rates: list[float] = []
        for number in range(rounds):
            for worker in in_turn(everyone, number):
                time.sleep(PAUSE)
                if worker.name == LIMIT:
                    rates.append(worker.request(0, 1)[1])
                    continue
                seconds, _ = worker.request(places[worker.name], counts[worker.name])
                places[worker.name] += counts[worker.name]
                times[worker.name].append(seconds / counts[worker.name])
            log(f"  {work.name}: round {number + 1} of {rounds}")
    return outcome(work, times, rates, losses, first_seconds)


def outcome(
    work: Work,
    times: dict[str, list[float]],
    rates: list[float],
    losses: dict[str, float],
    first_seconds: dict[str, float],
) -> dict[str, Any]:
    """Return the result of one benchmark as plain values: one row of a suite.

    For peers the ratio is their time divided by byhand's (a speedup), for flat NumPy the reverse (an overhead).
    """
    ours = next(iter(times))
    overhead = {"overhead": ratios(times[ours], times[FLAT])} if FLAT in times else {}
    needed = [work.operations / rate for rate in rates]
    return {
        **work.config(),
        "seconds_an_epoch": {name: spread(values) for name, values in times.items()},
        "times_as_fast_as": speedups({name: values for name, values in times.items() if name != FLAT}),
        **overhead,
        "share_of_sgemm": ratios(needed, times[ours]),
        "sgemm": spread(rates),
        "loss": losses,
        "first_epoch_seconds": first_seconds,
    }


def check_losses(losses: dict[str, float]) -> None:
    """Raise if the losses differ: then the contestants did not do the same work."""
    for (one, a), (other, b) in itertools.combinations(losses.items(), 2):
        if not abs(a - b) <= AGREE * abs(a):
            raise UsageError(f"{one} and {other} must reach the same loss, got {a:.6f} and {b:.6f}")


def in_turn(contestants: list[T], number: int) -> list[T]:
    """Return the contestants in the order of a round: each round begins with the next one."""
    shift = number % len(contestants)
    return contestants[shift:] + contestants[:shift]


def speedups(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the ratio of each contestant's times to those of the first, which is byhand."""
    ours, *others = times
    return {name: ratios(times[name], times[ours]) for name in others}


def ratios(a: Sequence[float], b: Sequence[float]) -> dict[str, float]:
    """Divide two series of times round by round."""
    return spread([x / y for x, y in zip(a, b, strict=True)])


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the smallest and the largest value."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}
