"""Compare a version of byhand with this one, in turns: the time of a training step, and of a whole training.

    git worktree add /tmp/before REVISION
    BYHAND_DATA=… python -m benchmarks.versions /tmp/before/src

Every contestant is a process of its own and only one works at a time. Mini-batches are raced beside the same
mathematics in flat NumPy, with as many BLAS threads as this version plans. A ratio is made within one round; reported
are the median and the least and the greatest. The result goes to benchmarks/results/versions.json, from which
`python -m benchmarks tables` fills the documentation.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import results
from benchmarks.rounds import spread
from benchmarks.suites import MINI, WHOLE
from benchmarks.work import Work

HERE = Path(__file__).resolve().parents[1] / "src"
PAUSE = 0.25
#: Whole iterations in a turn of a whole-data work.
ITERATIONS = 50


class Contestant:
    """One version in a process of its own, or flat NumPy."""

    def __init__(self, name: str, source: Path, work: Work) -> None:
        command = [sys.executable, __file__, "--serve", name, repr(work)]
        environment = os.environ | {"PYTHONPATH": str(source)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self, steps: int) -> float:
        """Take so many steps; return the seconds a step."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def serve(name: str, work: Work) -> None:
    """Answer each number of steps with the seconds a step."""
    if name == "flat NumPy":
        from benchmarks.contestants.flat import Trainer as Flat

        flat = Flat(work)
        epoch = lambda _: flat.epoch(1)  # noqa: E731
    else:
        epoch = trainer_of(work)
    for line in sys.stdin:
        steps, began = int(line), time.perf_counter()
        epoch(steps)
        print((time.perf_counter() - began) / steps, flush=True)


def trainer_of(work: Work):
    """Return what takes so many steps, in the version that is imported."""
    from byhand import training
    from byhand.data import Dataset
    from byhand.model import Model
    from byhand.nn.optimizers import optimizer_named
    from byhand.nn.schedules import Constant

    kind = getattr(training, "Trainer", None) or training.Session  # what it was called before
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


def race(work: Work, before: Path, rounds: int) -> dict:
    """Race both versions, and flat NumPy if there are mini-batches, over one work."""
    steps = work.steps if work.batch else ITERATIONS
    places = {"before": before, "after": HERE} | ({"flat NumPy": HERE} if work.batch else {})
    contestants = {name: Contestant(name, source, work) for name, source in places.items()}
    seconds = {name: [] for name in contestants}
    try:
        for contestant in contestants.values():
            contestant.turn(steps)  # a warm-up
        for number in range(rounds):
            names = list(contestants)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                time.sleep(PAUSE)
                seconds[name].append(contestants[name].turn(steps))
    finally:
        for contestant in contestants.values():
            contestant.process.kill()
            contestant.process.wait()
    row = {
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


def ratios(these: list[float], those: list[float]) -> dict[str, float]:
    return spread([a / b for a, b in zip(these, those, strict=True)])


def whole_process(before: Path, rounds: int) -> dict:
    """Time the whole process to 98 %: starting Python, loading, deskewing, training and scoring."""
    seconds = {"before": [], "after": []}
    for _ in range(rounds):
        for name, source in (("before", before), ("after", HERE)):
            time.sleep(PAUSE)
            began = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.target", "byhand", "."]
            subprocess.run(command, env=os.environ | {"PYTHONPATH": str(source)}, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    print("whole process", seconds, flush=True)
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "speedup": ratios(seconds["before"], seconds["after"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path, help="the src folder of the other version")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=HERE.parent / "benchmarks" / "results")
    arguments = parser.parse_args()
    figures = {
        "works": [race(work, arguments.before, arguments.rounds) for work in (*MINI, *WHOLE)],
        "whole_process": whole_process(arguments.before, arguments.rounds),
    }
    print("kept in", results.write(arguments.out, "versions", figures, ()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], eval(sys.argv[3], {"Work": Work}))
    else:
        main()
