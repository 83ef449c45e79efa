"""The speed suites: their measurements, and the packages whose versions are stored with the results."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import busy, memory, reading, rounds, target
from benchmarks.contestants import FLAT, PEER_DISTRIBUTIONS, PEERS
from benchmarks.rounds import Log, spread
from benchmarks.work import MINI, WHOLE

STARTUP = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import byhand": ["-c", "import byhand"],
    "byhand --help": ["-m", "byhand", "--help"],
}


@dataclass(frozen=True)
class Suite:
    """A suite: `measure(rounds, log)` returns plain values."""

    measure: Callable[[int, Log], Any]
    distributions: tuple[str, ...] = ()


def full_batch(count: int, log: Log) -> list[dict[str, Any]]:
    return [rounds.benchmark(work, ["byhand", "assignment", *PEERS], count, log) for work in WHOLE]


def mini_batches(count: int, log: Log) -> list[dict[str, Any]]:
    return [rounds.benchmark(work, ["byhand", FLAT, *PEERS], count, log) for work in MINI]


def to_target(count: int, log: Log) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return target.benchmark(Path(folder), count, log)


def startup(count: int, log: Log) -> dict[str, Any]:
    """Milliseconds of each process in turns, and the difference from an empty Python."""
    times: dict[str, list[float]] = {name: [] for name in STARTUP}
    for _ in range(max(count, 5)):
        for name, arguments in STARTUP.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times[name].append(1e3 * (time.perf_counter() - began))
    empty = times["python -c pass"]
    more = {name: spread([a - b for a, b in zip(values, empty, strict=True)]) for name, values in times.items()}
    log(f"  byhand --help: {more['byhand --help']['median']:.0f} ms more than an empty Python")
    return {"milliseconds": {name: spread(values) for name, values in times.items()}, "more_than_empty": more}


SUITES = {
    "full-batch": Suite(full_batch, PEER_DISTRIBUTIONS),
    "mini-batches": Suite(mini_batches, PEER_DISTRIBUTIONS),
    "target": Suite(to_target, PEER_DISTRIBUTIONS),
    "reading": Suite(reading.benchmark, ("scikit-learn", "torch", "onnxruntime")),
    "memory": Suite(lambda count, log: memory.measure_peak(log)),
    "growth": Suite(memory.measure_growth),
    "startup": Suite(startup),
    "busy": Suite(busy.measure),
}
