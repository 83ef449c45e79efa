"""The feed: which samples make up each batch, in which order, and as what.

Pixels stay bytes until the moment of the first product. A batch names rows of an array of pixels; `Floats` turns the
rows of one block into floats, in the cache. The order of an epoch is a function of (seed, epoch), so a run can be taken
up again at any step; with augmentation the pictures are distorted ahead of time by another thread, and the result is
the same as without it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from byhand.data.ahead import ahead
from byhand.data.augment import Augmentation, augment
from byhand.errors import UsageError
from byhand.nn.scratch import Array, Fresh
from byhand.preparation import Preparation
from byhand.training.shard import Shard, share

#: Samples distorted at once by the thread that works ahead.
AHEAD = 4_096


@dataclass(frozen=True)
class Batch:
    """Samples to train on: rows of `pixels` named by `index`, with their labels and weights.

    pixels: uint8 or float (M, D);  index: slice or (N,);  labels: (N,) or (N, K);  weights: (N,) or None

    Where several processes share a batch, these are the rows of one: they begin at `first` of the `count` there are,
    and `total` is what all together weigh.
    """

    pixels: Array
    index: slice | Array
    labels: Array
    weights: Array | None = None
    first: int = 0
    count: int = -1
    total: float = -1.0

    def __post_init__(self) -> None:
        if self.count < 0:
            weight = len(self.labels) if self.weights is None else self.weights.sum(dtype=np.float64)
            object.__setattr__(self, "count", len(self.labels))
            object.__setattr__(self, "total", float(weight))

    def part(self, shard: Shard | None) -> "Batch":
        """The share of one process."""
        if shard is None:
            return self
        rows = share(self.count, shard)
        if isinstance(self.index, slice):
            start = self.index.start
            index: slice | Array = slice(start + rows.start, start + rows.stop)
        else:
            index = self.index[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.pixels, index, self.labels[rows], weights, rows.start, self.count, self.total)


class Floats:
    """Turns rows of a batch into the network's inputs, in the workspace's memory.

    With `leaves_scale` bytes become the same numbers as floats, and the first product does the scaling.
    """

    def __init__(self, preparation: Preparation, dtype: np.dtype[np.floating], *, leaves_scale: bool = False) -> None:
        self.preparation = preparation
        self.dtype = dtype
        self.leaves_scale = leaves_scale

    def __call__(self, batch: Batch, rows: slice, work: Fresh) -> Array:
        """X: (rows, D)"""
        pixels = self.gathered(batch, rows, work)
        if pixels.dtype == self.dtype:
            return pixels
        out = work.empty(("feed", "X"), pixels.shape, self.dtype)
        return self.preparation.floats(pixels, out, leaves_scale=self.leaves_scale)

    @staticmethod
    def gathered(batch: Batch, rows: slice, work: Fresh) -> Array:
        """The rows as they are kept: a view where they lie together, gathered where they don't."""
        if isinstance(batch.index, slice):
            return batch.pixels[batch.index][rows]
        index = batch.index[rows]
        out = work.empty(("feed", "pixels"), (len(index), batch.pixels.shape[1]), batch.pixels.dtype)
        return np.take(batch.pixels, index, axis=0, out=out, mode="clip")


class Feed:
    """The batches of each epoch over the samples `index` of a data set."""

    def __init__(
        self,
        pictures: Array,
        labels: Array,
        *,
        index: Array,
        weights: Array | None,
        batch_size: int | None,
        seed: int,
        augmentation: Augmentation,
        gentle_from: int,
        preparation: Preparation,
        shard: Shard | None = None,
    ) -> None:
        self.shard = shard
        self.pictures = pictures
        self.pixels = pictures.reshape(len(pictures), -1)
        self.labels, self.weights, self.index = labels, weights, index
        self.batch_size = min(batch_size or len(index), len(index))
        self.seed = seed
        self.augmentation, self.gentle_from = augmentation, gentle_from
        self.preparation = preparation
        if augmentation and pictures.dtype != np.uint8:
            raise UsageError(f"augment needs pictures of bytes, got {pictures.dtype}")

    def hold(self, columns: Array) -> None:
        """Keep only these columns of the samples, in their order: for a whole-data batch."""
        self.pixels = self.pixels[np.ix_(self.index, columns)]
        self.labels = self.labels[self.index]
        self.weights = None if self.weights is None else self.weights[self.index]
        self.index = np.arange(len(self.pixels))

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.index) // self.batch_size)

    @property
    def is_whole(self) -> bool:
        """Whether an epoch is one batch: then nothing needs shuffling."""
        return self.batches_per_epoch == 1

    def order(self, epoch: int) -> Array:
        """The samples in the order of this epoch: every one once."""
        if self.is_whole:
            return self.index
        return self.index[np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.index))]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch `start` on."""
        order = self.order(epoch)
        if self.augmentation:
            yield from self.distorted(order, epoch, start)
            return
        for left in range(start * self.batch_size, len(order), self.batch_size):
            index = order[left : left + self.batch_size]
            yield self.batch(self.pixels, self.together(index), index).part(self.shard)

    def distorted(self, order: Array, epoch: int, start: int) -> Iterator[Batch]:
        """The same with augmentation, worked ahead in groups of batches."""
        group = max(1, AHEAD // self.batch_size) * self.batch_size
        spec = self.augmentation if epoch < self.gentle_from else self.augmentation.halved()

        def distort(left: int) -> tuple[list[Batch], Array]:
            stop = min(left + group, len(order))
            batches = [
                self.batch(self.pixels, index, index).part(self.shard)
                for index in (order[i : min(i + self.batch_size, stop)] for i in range(left, stop, self.batch_size))
            ]
            index = np.concatenate([batch.index for batch in batches])
            pictures = augment(self.pictures, index, seed=self.seed, epoch=epoch, spec=spec)
            return batches, self.preparation.pictures(pictures).reshape(len(index), -1)

        for batches, pixels in ahead(distort, range(start * self.batch_size, len(order), group)):
            taken = 0
            for batch in batches:
                rows = slice(taken, taken + len(batch.labels))
                yield replace(batch, pixels=pixels, index=rows)
                taken = rows.stop

    def batch(self, pixels: Array, place: slice | Array, index: Array) -> Batch:
        weights = None if self.weights is None else self.weights[index]
        return Batch(pixels, place, self.labels[index], weights)

    def together(self, index: Array) -> slice | Array:
        """A slice where the samples lie one after another (the whole data as one batch), else the index itself."""
        first, last = int(index[0]), int(index[-1])
        if self.is_whole and last - first == len(index) - 1:
            return slice(first, last + 1)
        return index
