"""Memory: peak usage of training, and its growth with the number of images.

    python -m benchmarks.memory KIND IMAGES [FILE]

is one process that trains, then prints its peak memory, as Linux reports it, as JSON. `ours` and `assignment` have the
images in memory; `epoch` with a FILE maps them, so the system may drop the file's pages, and only anonymous memory
counts.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import contestant
from benchmarks.rounds import Log, ratios, spread
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
#: Numbers of images whose times are compared; the last is a mapped file.
GROWTH = (5_000, 60_000, MANY)
#: Minimum number of images that are timed, in whole epochs.
TIMED = 120_000


def whole_batch(kind: str, images: int) -> dict[str, float]:
    """Peak memory of three iterations with the whole data as one batch, and the peak before them, in bytes."""
    before = peak()
    trainer = contestant({"ours": "byhand", "assignment": "assignment"}[kind], Work(WHOLE, None, images=images))
    trainer.run_epochs(0, 3)
    return {"peak": peak(), "before": before}


def mini_batches(images: int, file: str | None) -> dict[str, float]:
    """Seconds per epoch in mini-batches, from a mapped file or from memory, and the peak of anonymous memory."""
    sampler = AnonymousMemory()
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
    return {"seconds_an_epoch": seconds / epochs, "anonymous": sampler.stop()}


class AnonymousMemory(threading.Thread):
    """Samples this process's anonymous memory ten times a second; mapped files don't count."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.done = 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.done.wait(0.1):
            self.peak = max(self.peak, anonymous())

    def stop(self) -> float:
        """Stop sampling; return the peak in bytes."""
        self.done.set()
        return max(self.peak, anonymous())


def anonymous() -> float:
    """Bytes of anonymous memory that are resident, from Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024.0 * int(line.split()[1])
    raise UsageError("anonymous memory can only be measured on Linux")


def peak() -> float:
    """Peak resident memory so far, in bytes."""
    import resource  # not on Windows, where the rest of this package can be imported

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_process(*arguments: object) -> dict[str, float]:
    """Run this module in a process of its own; return its measurements."""
    command = [sys.executable, "-m", "benchmarks.memory", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise UsageError(f"memory of {arguments[0]} could not be measured: {ended.stderr.strip().splitlines()[-1]}")
    figures: dict[str, float] = json.loads(ended.stdout)
    return figures


def measure_peak(log: Log) -> dict[str, Any]:
    """Peak memory at full batches of 60,000: byhand, the assignment's code, and byhand at half the images."""
    rows = {
        f"{kind}, {images:,}": in_process(kind, images)
        for kind, images in (("ours", 30_000), ("ours", 60_000), ("assignment", 60_000))
    }
    for name, row in rows.items():
        log(f"  {name} images: {row['peak'] / 1e6:,.0f} MB")
    return {
        "sizes": list(WHOLE),
        "bytes": rows,
        "share_of_assignment": rows["ours, 60,000"]["peak"] / rows["assignment, 60,000"]["peak"],
    }


def measure_growth(rounds: int, log: Log) -> dict[str, Any]:
    """Time per image for growing numbers of images; the largest is a temporary file that is mapped."""
    times: dict[int, list[float]] = {images: [] for images in GROWTH}
    anonymous_bytes = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.npy"
        write_images(file)
        for number in range(rounds):
            for images in GROWTH:
                figures = in_process("epoch", images, *([file] if images == MANY else []))
                times[images].append(figures["seconds_an_epoch"] / images * 1e6)
                if images == MANY:
                    anonymous_bytes.append(figures["anonymous"])
            log(f"  growth: round {number + 1} of {rounds}")
    in_memory = times[60_000]
    return {
        "sizes": list(BATCHES),
        "batch": BATCH,
        "microseconds_an_image": {f"{images:,}": spread(values) for images, values in times.items()},
        "against_60,000": {f"{images:,}": ratios(values, in_memory) for images, values in times.items()},
        "anonymous_bytes_mapped": spread(anonymous_bytes),
    }


def write_images(file: Path) -> None:
    """Write a million images: copies of MNIST's, each shifted horizontally."""
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
