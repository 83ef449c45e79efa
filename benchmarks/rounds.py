"""Rounds: contestants in processes of their own take turns, and their times are compared round by round.

A process a contestant, because each library brings threads of its own, which would otherwise stand in one another's
way; only one works at a time. Before the rounds each does the same few epochs, and their losses must agree: so nobody
is fast by doing less. A ratio is made within one round, in which the machine was the same for all; what is reported is
the median of the ratios and the least and the greatest of them.
"""

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.contestants import COMPARED_BATCHES, COMPARED_WHOLE, FLAT, contestant
from benchmarks.machine import sgemm_rate
from benchmarks.work import Work
from byhand.errors import ByhandError, UsageError

#: Every contestant's turn takes at least so long, in whole epochs.
TURN = 0.4
#: Between turns, until the threads of the last one have gone to sleep.
PAUSE = 0.25
#: Losses may differ by so much, relatively: all add up in orders of their own, and scikit-learn's Adam puts its ε at
#: another place, which after 1,875 steps is seen in the third digit. Another batch size or rate is far outside.
AGREE = 5e-3
#: The machine itself, as a contestant: how fast it multiplies large matrices.
LIMIT = "sgemm"

Say = Callable[[str], None]


class Other:
    """A contestant in a process of its own."""

    def __init__(self, name: str, work: Work) -> None:
        here, there = multiprocessing.Pipe()
        self.name, self.connection = name, here
        self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, name, work), daemon=True)
        self.process.start()
        there.close()
        self.ask()

    def ask(self, *request: Any) -> Any:
        """Send a request, if any, and wait for the answer."""
        try:
            if request:
                self.connection.send(request)
            answer = self.connection.recv()
        except (EOFError, BrokenPipeError):
            raise UsageError(f"{self.name} ended before its turn was over") from None
        if isinstance(answer, str):
            raise UsageError(f"{self.name}: {answer}")
        return answer

    def close(self) -> None:
        self.connection.close()
        self.process.join(5)
        self.process.kill()


def serve(connection: Connection, name: str, work: Work) -> None:
    """The other process: answers (first epoch, count) with (seconds, loss), until nobody asks any more."""
    try:
        turn = limit() if name == LIMIT else contestant(name, work).epochs
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


def limit() -> Callable[[int, int], float]:
    """The machine's own rate instead of a loss."""
    return lambda first, count: sgemm_rate()


@contextmanager
def together(names: Sequence[str], work: Work) -> Iterator[list[Other]]:
    """All of them, ready, and gone at the end."""
    others: list[Other] = []
    try:
        others.extend(Other(name, work) for name in names)
        yield others
    finally:
        for other in others:
            other.close()


def race(work: Work, names: Sequence[str], rounds: int, say: Say) -> dict[str, Any]:
    """Time the contestants in turns, the first of them byhand; return times, ratios and the share of peak GEMM."""
    compared = COMPARED_WHOLE if work.batch is None else COMPARED_BATCHES
    with together([*names, LIMIT], work) as others:
        losses, first_seconds = {}, {}
        for other in others[:-1]:
            first_seconds[other.name], _ = other.ask(0, 1) if compared else (0.0, 0)
            start = 1 if compared else 0
            seconds, losses[other.name] = other.ask(start, compared + 1 - start)
            first_seconds[other.name] = first_seconds[other.name] or seconds
        check_losses(losses)
        counts, places = {}, {}
        for other in others[:-1]:
            seconds, _ = other.ask(compared + 1, 1)
            counts[other.name] = max(1, round(TURN / seconds))
            places[other.name] = compared + 2
        times: dict[str, list[float]] = {name: [] for name in names}
        rates: list[float] = []
        for number in range(rounds):
            shift = number % len(others)
            for other in others[shift:] + others[:shift]:
                time.sleep(PAUSE)
                if other.name == LIMIT:
                    rates.append(other.ask(0, 1)[1])
                    continue
                seconds, _ = other.ask(places[other.name], counts[other.name])
                places[other.name] += counts[other.name]
                times[other.name].append(seconds / counts[other.name])
            say(f"  {work.name}: round {number + 1} of {rounds}")
    return outcome(work, times, rates, losses, first_seconds)


def outcome(
    work: Work,
    times: dict[str, list[float]],
    rates: list[float],
    losses: dict[str, float],
    first_seconds: dict[str, float],
) -> dict[str, Any]:
    """Return the result of one race as plain values: one row of a suite.

    For peers the ratio is their time divided by byhand's (a speedup), for flat NumPy the reverse (an overhead).
    """
    ours, *others = times
    peers = [name for name in others if name != FLAT]
    overhead = {}
    if FLAT in times:
        overhead["overhead"] = spread([mine / flat for mine, flat in zip(times[ours], times[FLAT], strict=True)])
    needed = [work.operations / rate for rate in rates]
    return {
        **work.config(),
        "seconds_an_epoch": {name: spread(values) for name, values in times.items()},
        "times_as_fast_as": {
            name: spread([theirs / mine for theirs, mine in zip(times[name], times[ours], strict=True)])
            for name in peers
        },
        **overhead,
        "share_of_sgemm": spread([least / mine for least, mine in zip(needed, times[ours], strict=True)]),
        "sgemm": spread(rates),
        "loss": losses,
        "first_epoch_seconds": first_seconds,
    }


def check_losses(losses: dict[str, float]) -> None:
    """All did the same work: else their losses would differ."""
    for (one, a), (other, b) in itertools.combinations(losses.items(), 2):
        if not abs(a - b) <= AGREE * abs(a):
            raise UsageError(f"{one} and {other} must come to the same loss, got {a:.6f} and {b:.6f}")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}
