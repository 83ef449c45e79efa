"""The suites by name: what each measures, and whose versions belong to its figures."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import memory, reading, rounds, startup, target
from benchmarks.contestants import CONTESTANTS, FLAT
from benchmarks.rounds import Say
from benchmarks.work import Work

PEERS = ("PyTorch", "JAX", "scikit-learn")
WHOLE = (
    Work((784, 45, 10), None, images=5_000, rate=0.1),
    Work((784, 10, 10), None, images=60_000, rate=0.1),
)
SHAPES = (((784, 128, 10), 128), ((784, 128, 10), 32), ((784, 512, 256, 10), 128), ((784, 800, 800, 10), 256))
MINI = tuple(
    Work(sizes, batch, optimizer, rate=0.05 if optimizer == "sgd" else 0.001)
    for sizes, batch in SHAPES
    for optimizer in ("sgd", "adam")
)
DISTRIBUTIONS = tuple(CONTESTANTS[name][1] for name in PEERS)


@dataclass(frozen=True)
class Suite:
    """`measure(rounds, say)` gives plain values."""

    about: str
    measure: Callable[[int, Say], Any]
    distributions: tuple[str, ...] = ()


def full_batch(count: int, say: Say) -> list[dict[str, Any]]:
    return [rounds.race(work, ["byhand", "assignment", *PEERS], count, say) for work in WHOLE]


def mini_batches(count: int, say: Say) -> list[dict[str, Any]]:
    return [rounds.race(work, ["byhand", FLAT, *PEERS], count, say) for work in MINI]


def to_target(count: int, say: Say) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return target.race(Path(folder), count, say)


SUITES = {
    "full-batch": Suite("One iteration over the whole data, beside the assignment's code.", full_batch, DISTRIBUTIONS),
    "mini-batches": Suite("An epoch in mini-batches: four shapes, SGD and Adam.", mini_batches, DISTRIBUTIONS),
    "target": Suite("From nothing to 98 %: whole processes.", to_target, DISTRIBUTIONS),
    "reading": Suite("Prediction of the test images.", reading.race, ("scikit-learn", "torch", "onnxruntime")),
    "memory": Suite("The most memory held.", lambda count, say: memory.measure_peak(say)),
    "growth": Suite("Time and memory from 5,000 to 1,000,000 images, the last mapped.", memory.measure_growth),
    "startup": Suite("How long it takes to start.", startup.measure),
}
