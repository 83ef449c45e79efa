"""The work, which is exactly the same for every contestant, and the interface of a contestant.

The work defines the initial weights, the images, the batch size and the optimizer. In the first epoch, which is not
timed, all contestants take the samples in the same order, so their losses must agree; afterwards each shuffles in its
own way.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from byhand.data import load
from byhand.nn.arrays import Array


@dataclass(frozen=True)
class Work:
    """Train this network on this many images, in batches of `batch`; None means one batch of the whole data."""

    sizes: tuple[int, ...]
    batch: int | None
    optimizer: str = "sgd"
    images: int = 60_000
    rate: float = 0.05
    data: str = "mnist"

    @property
    def name(self) -> str:
        network = f"[{', '.join(map(str, self.sizes))}]"
        if self.batch is None:
            return f"{self.images:,} × {network}"
        return f"{network}, {self.batch}, {'SGD' if self.optimizer == 'sgd' else 'Adam'}"

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.images // (self.batch or self.images))

    @cached_property
    def pictures(self) -> tuple[Array, Array]:
        """Images as bytes, and labels                           uint8 (M, 784), int64 (M,)"""
        train = load(self.data, offline=True).train
        if len(train) < self.images:
            raise ValueError(f"{self.data} has {len(train):,} images, but the work needs {self.images:,}")
        return train.images[: self.images].reshape(self.images, -1), train.labels[: self.images]

    def floats(self, dtype: Any = np.float32) -> tuple[Array, Array]:
        """Pixels from 0 to 1, and labels: the peers get floats that are already scaled      (M, 784), int64 (M,)"""
        pixels, labels = self.pictures
        return np.divide(pixels, 255, dtype=dtype), labels.astype(np.int64)

    @cached_property
    def start(self) -> list[tuple[Array, Array]]:
        """Initial weights (He) and biases (0) of each layer     (inputs, units), (units,)"""
        rng = np.random.default_rng(0)
        return [
            ((rng.standard_normal((n, units)) * np.sqrt(2 / n)).astype(np.float32), np.zeros(units, np.float32))
            for n, units in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]

    @property
    def operations(self) -> float:
        """Floating-point operations of the matrix products of an epoch: forward, dW, and dX but for the first layer."""
        layers = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        each = sum(2 * 2 * n * units for n, units in layers) + sum(2 * n * units for n, units in layers[1:])
        return float(each * self.images)

    def config(self) -> dict[str, Any]:
        """Return the work as plain values."""
        return {
            "name": self.name,
            "sizes": list(self.sizes),
            "batch": self.batch,
            "optimizer": self.optimizer,
            "images": self.images,
            "rate": self.rate,
        }


#: Whole data as one batch, and mini-batches: four shapes, each with SGD and Adam.
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

#: The epoch whose loss is compared: the first if there are mini-batches, the eleventh if an epoch is one iteration.
COMPARED_BATCHES, COMPARED_WHOLE = 0, 10


class Contestant:
    """A library with the data and the network of one work, ready to train."""

    def __init__(self, work: Work) -> None:
        raise NotImplementedError

    def epoch(self, number: int) -> float:
        """Train for one epoch, the first (number 0) unshuffled; return the mean of the batches' losses."""
        raise NotImplementedError

    def run_epochs(self, first: int, count: int) -> float:
        """Train for `count` epochs, numbered from `first`; return the loss of the last."""
        return [self.epoch(number) for number in range(first, first + count)][-1]
