"""Memory: what training needs beyond the data, and whether it grows with them.

    python -m benchmarks.memory KIND IMAGES [FILE]

is one process that trains and then tells the most memory that it held (Linux counts it). `ours` and `assignment` take
the pictures in memory; `mapped` takes them from a file that is mapped, so that its pages are the system's to drop, and
only what is anonymous counts.
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rounds import Say, spread
from benchmarks.work import Work
from byhand.data import Dataset, load
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.optimizers import GradientDescent
from byhand.nn.schedules import Constant
from byhand.training import Recipe, Trainer

WHOLE = (784, 10, 10)
BATCHES, BATCH = (784, 128, 10), 128
MANY = 1_000_000
#: Image counts for time against size; the last is the mapped file.
GROWTH = (5_000, 60_000, MANY)
#: At least so many images are timed, in whole epochs.
TIMED = 120_000


def whole_batch(kind: str, images: int) -> dict[str, float]:
    """Three iterations of the whole data as one batch."""
    from benchmarks.contestants import contestant

    before = peak()
    trainer = contestant({"ours": "byhand", "assignment": "assignment"}[kind], Work(WHOLE, None, images=images))
    trainer.epochs(0, 3)
    return {"peak": peak(), "before": before}


def mini_batches(images: int, file: str | None) -> dict[str, float]:
    """Seconds an epoch in mini-batches, from a mapped file or from memory, and the most anonymous memory held."""
    watch = Anonymous()
    train = load("mnist", offline=True).train
    if file is None:
        data = train[: min(images, len(train))]
        data = Dataset(data.images.copy(), data.labels)
    else:
        data = Dataset(np.load(file, mmap_mode="r"), np.resize(train.labels, images))
    recipe = Recipe(
        epochs=1_000, batch_size=BATCH, learning_rate=0.05, optimizer=GradientDescent(), schedule=Constant()
    )
    with Trainer(Model(list(BATCHES), seed=0), data, recipe, seed=0) as trainer:
        steps = trainer.batches_per_epoch
        for _ in range(min(steps, 400)):
            trainer.step()  # a warm-up: the file's pages, the threads
        while trainer.progress.step % steps:
            trainer.step()
        began, epochs = time.perf_counter(), max(1, round(TIMED / images))
        for _ in range(epochs * steps):
            trainer.step()
        seconds = time.perf_counter() - began
    return {"seconds_an_epoch": seconds / epochs, "anonymous": watch.most()}


class Anonymous(threading.Thread):
    """Looks, ten times a second, how much memory of its own this process holds: mapped files don't count."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.done = 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.done.wait(0.1):
            self.peak = max(self.peak, anonymous())

    def most(self) -> float:
        self.done.set()
        return max(self.peak, anonymous())


def anonymous() -> float:
    """Bytes of anonymous memory that are resident, from Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024.0 * int(line.split()[1])
    raise UsageError("anonymous memory is told by Linux only")


def peak() -> float:
    """The most resident memory so far, in bytes."""
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def elsewhere(*arguments: object) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise UsageError(f"memory of {arguments[0]} could not be measured: {ended.stderr.strip().splitlines()[-1]}")
    figures: dict[str, float] = json.loads(ended.stdout)
    return figures


def measure_peak(say: Say) -> dict[str, Any]:
    """Full batches of 60,000: ours against the assignment's code, and ours at half the images."""
    rows = {
        f"{kind}, {images:,}": elsewhere(kind, images)
        for kind, images in (("ours", 30_000), ("ours", 60_000), ("assignment", 60_000))
    }
    for name, row in rows.items():
        say(f"  {name} images: {row['peak'] / 1e6:,.0f} MB")
    return {
        "sizes": list(WHOLE),
        "bytes": rows,
        "share_of_assignment": rows["ours, 60,000"]["peak"] / rows["assignment, 60,000"]["peak"],
    }


def measure_growth(rounds: int, say: Say) -> dict[str, Any]:
    """Time an epoch against the number of images; the largest from a mapped file that is made for it and removed."""
    times: dict[int, list[float]] = {images: [] for images in GROWTH}
    held = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.npy"
        lay_out(file)
        for number in range(rounds):
            for images in GROWTH:
                figures = elsewhere("epoch", images, *([file] if images == MANY else []))
                times[images].append(figures["seconds_an_epoch"] / images * 1e6)
                if images == MANY:
                    held.append(figures["anonymous"])
            say(f"  growth: round {number + 1} of {rounds}")
    in_memory = times[60_000]
    return {
        "sizes": list(BATCHES),
        "batch": BATCH,
        "microseconds_an_image": {f"{images:,}": spread(values) for images, values in times.items()},
        "against_60,000": {
            f"{images:,}": spread([a / b for a, b in zip(values, in_memory, strict=True)])
            for images, values in times.items()
        },
        "anonymous_bytes_mapped": spread(held),
    }


def lay_out(file: Path) -> None:
    """A million pictures: MNIST's over and over, each time moved a little further to the side."""
    images = load("mnist", offline=True).train.images
    out = np.lib.format.open_memmap(file, "w+", np.uint8, (MANY, *images.shape[1:]))
    for shift, start in enumerate(range(0, MANY, len(images))):
        count = min(len(images), MANY - start)
        out[start : start + count] = np.roll(images[:count], shift % 5 - 2, axis=2)
    out.flush()


if __name__ == "__main__":
    kind, images, *file = sys.argv[1:]
    if kind == "epoch":
        print(json.dumps(mini_batches(int(images), file[0] if file else None)))
    else:
        print(json.dumps(whole_batch(kind, int(images))))
