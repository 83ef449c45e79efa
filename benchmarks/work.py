"""The work: what every contestant has to do, the same for all to the last number.

The weights to start from, the pictures, the batch size, the rule of the update: a contestant adds nothing of its own
but the way it is done. In the first epoch, which is not timed, all take the samples in the same order, so that their
losses must agree; afterwards each shuffles as it does.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from byhand.data import load
from byhand.nn.arrays import Array


@dataclass(frozen=True)
class Work:
    """Train this network on this many pictures, in batches of `batch` or, if None, with the whole data as one."""

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
        """Bytes and labels                                     uint8 (M, 784), int64 (M,)"""
        train = load(self.data, offline=True).train
        if len(train) < self.images:
            raise ValueError(f"{self.data} has {len(train):,} pictures, the work needs {self.images:,}")
        return train.images[: self.images].reshape(self.images, -1), train.labels[: self.images]

    def floats(self, dtype: Any = np.float32) -> tuple[Array, Array]:
        """Pixels from 0 to 1, and labels: what the peers are handed ready made          (M, 784), int64 (M,)"""
        pixels, labels = self.pictures
        return np.divide(pixels, 255, dtype=dtype), labels.astype(np.int64)

    @cached_property
    def start(self) -> list[tuple[Array, Array]]:
        """He's weights and biases of 0 for each layer          (inputs, units), (units,)"""
        rng = np.random.default_rng(0)
        return [
            ((rng.standard_normal((n, units)) * np.sqrt(2 / n)).astype(np.float32), np.zeros(units, np.float32))
            for n, units in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]

    @property
    def operations(self) -> float:
        """Floating-point operations of the products in an epoch: forward, dW, and dX but for the first layer."""
        layers = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        each = sum(2 * 2 * n * units for n, units in layers) + sum(2 * n * units for n, units in layers[1:])
        return float(each * self.images)

    def config(self) -> dict[str, Any]:
        """The work as plain values."""
        return {
            "name": self.name,
            "sizes": list(self.sizes),
            "batch": self.batch,
            "optimizer": self.optimizer,
            "images": self.images,
            "rate": self.rate,
        }
