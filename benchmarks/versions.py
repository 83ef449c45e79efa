"""Compare a version of byhand with this one, in turns: the time of a training step, and of a whole training.

    git worktree add /tmp/before REVISION
    BYHAND_DATA=… python -m benchmarks.versions /tmp/before/src

Every contestant has a process of its own and only one works at a time. With mini-batches, the same mathematics in flat
NumPy takes part, with as many BLAS threads as this version plans. Ratios are computed within one round; the median, the
least and the greatest are reported. The result goes to benchmarks/results/versions.json, from which
`python -m benchmarks tables` fills the documentation.

A process of the other version imports only `benchmarks.work`, because the rest needs names that it may not have.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import MINI, WHOLE, Work

HERE = Path(__file__).resolve().parents[1] / "src"
PAUSE = 0.25
#: Whole iterations in a turn of a whole-data work.
ITERATIONS = 50


class Worker:
    """One version in a process of its own, or flat NumPy."""

    def __init__(self, name: str, source: Path, work: Work) -> None:
        command = [sys.executable, "-m", "benchmarks.versions", "--serve", name, repr(work)]
        environment = os.environ | {"PYTHONPATH": str(source)}
        self.process = subprocess.Popen(
            command, cwd=HERE.parent, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self, steps: int) -> float:
        """Take this number of steps; return the seconds per step."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def serve(name: str, work: Work) -> None:
    """Answer each number of steps with the seconds per step."""
    run = flat_of(work) if name == "flat NumPy" else trainer_of(work)
    for line in sys.stdin:
        steps, began = int(line), time.perf_counter()
        run(steps)
        print((time.perf_counter() - began) / steps, flush=True)


def flat_of(work: Work) -> Callable[[int], object]:
    """Return a function that trains flat NumPy for an epoch."""
    from benchmarks.flat_numpy import FlatNumPy

    flat = FlatNumPy(work)
    return lambda _: flat.epoch(1)


def trainer_of(work: Work) -> Callable[[int], object]:
    """Return a function that takes the given number of steps, in the imported version."""
    from byhand import training
    from byhand.data import Dataset
    from byhand.model import Model
    from byhand.nn.optimizers import optimizer_named
    from byhand.nn.schedules import Constant

    kind = getattr(training, "Trainer", None) or training.Session  # the former name
    recipe = training.Recipe(
        epochs=1_000_000,
        batch_size=work.batch,
        learning_rate=work.rate,
        optimizer=optimizer_named(work.optimizer),
        schedule=Constant(),
    )
    pixels, labels = work.pictures
    trainer = kind(Model(list(work.sizes), seed=0), Dataset(pixels.reshape(-1, 28, 28), labels), recipe, seed=0)
    return lambda steps: [trainer.step() for _ in range(steps)]


def benchmark(work: Work, before: Path, rounds: int) -> dict[str, Any]:
    """Time both versions on one work, and flat NumPy if it has mini-batches."""
    from benchmarks.rounds import in_turn, ratios, spread

    steps = work.steps if work.batch else ITERATIONS
    places = {"before": before, "after": HERE} | ({"flat NumPy": HERE} if work.batch else {})
    workers = {name: Worker(name, source, work) for name, source in places.items()}
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    try:
        for worker in workers.values():
            worker.turn(steps)  # a warm-up
        for number in range(rounds):
            for name in in_turn(list(workers), number):
                time.sleep(PAUSE)
                seconds[name].append(workers[name].turn(steps))
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.process.wait()
    row: dict[str, Any] = {
        "name": work.name,
        "batch": work.batch,
        "seconds_a_step": {name: spread(values) for name, values in seconds.items()},
        "speedup": ratios(seconds["before"], seconds["after"]),
    }
    if work.batch:
        row["overhead"] = {name: ratios(seconds[name], seconds["flat NumPy"]) for name in ("before", "after")}
    shown = {name: f"{1e6 * each['median']:.0f} µs" for name, each in row["seconds_a_step"].items()}
    print(row["name"], shown, flush=True)
    return row


def whole_process(before: Path, rounds: int) -> dict[str, Any]:
    """Time the whole process to 98 %: starting Python, loading, deskewing, training and scoring."""
    from benchmarks.rounds import ratios, spread

    seconds: dict[str, list[float]] = {"before": [], "after": []}
    for _ in range(rounds):
        for name, source in (("before", before), ("after", HERE)):
            time.sleep(PAUSE)
            began = time.perf_counter()
            own = (source / "byhand" / "bench").is_dir()  # up to version 0.1 the benchmarks were in the package
            command = [sys.executable, "-m", "byhand.bench.target" if own else "benchmarks.target", "byhand", "."]
            environment = os.environ | {"PYTHONPATH": str(source)}
            subprocess.run(command, cwd=HERE.parent, env=environment, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    print("whole process", seconds, flush=True)
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "speedup": ratios(seconds["before"], seconds["after"]),
    }


def main() -> None:
    from benchmarks import results

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path, help="the src folder of the other version")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=results.FOLDER)
    arguments = parser.parse_args()
    figures = {
        "works": [benchmark(work, arguments.before, arguments.rounds) for work in (*MINI, *WHOLE)],
        "whole_process": whole_process(arguments.before, arguments.rounds),
    }
    print("kept in", results.write(arguments.out, "versions", figures))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], eval(sys.argv[3], {"Work": Work}))
    else:
        main()
