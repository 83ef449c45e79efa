"""Batches: the samples of each step, in a shuffled order, as floats.

Samples stay bytes until `Inputs` converts them, just before the first product. The order of an epoch is a function of
(seed, epoch), so a run can be resumed at any step.

Data parallelism: each of several processes computes some rows of a batch, and `Shard.sum` is an all-reduce with the
same bits for all. `byhand.distributed.mpi` implements it.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from byhand.data.augment import Augmentation, augment
from byhand.errors import ByhandError, UsageError
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array, Cache
from byhand.training.recipe import Recipe

#: Samples per block of augmentation, and the number of blocks that may be prefetched. An epoch starts with its first
#: block, which is not prefetched.
PREFETCH_SIZE, PREFETCH_DEPTH = 1_024, 2

Job = TypeVar("Job")
Result = TypeVar("Result")


class Shard(Protocol):
    """One of `size` processes; `neighbours` of them (with this one) run on this machine."""

    rank: int
    size: int
    neighbours: int
    #: A description of each rank's process, for messages.
    places: list[str]

    def broadcast(self, value: Any) -> Any:
        """Return the value that rank 0 passes. Every process must call it."""

    def sum(self, vector: Array) -> Array:
        """Sum a vector in place, and return it. Every process must call it."""


def check_same(shard: Shard, what: str, *parts: bytes) -> None:
    """Raise an error if the processes have different bytes."""
    mine = 0
    for part in parts:
        mine = zlib.crc32(part, mine)
    sums = np.array([mine, mine % 65_521], np.float64)  # sums below 2⁵³ are exact
    shard.sum(sums)
    if sums[0] != shard.size * float(mine) or sums[1] != shard.size * float(mine % 65_521):
        raise ByhandError(f"every rank must have the same {what}; these differ")


@dataclass(slots=True)
class Batch:
    """A batch of samples: the rows `index` of `pixels`, with their labels and weights.

    pixels: uint8 or float (M, D);  index: slice or (N,);  labels: (N,) or (N, K);  weights: (N,) or None

    With several processes, these are the rows of one of them, from row `first` on. `count` and `total`, the number of
    samples and the sum of their weights, are those of the whole batch.
    """

    pixels: Array
    index: slice | Array
    labels: Array
    weights: Array | None
    first: int
    count: int
    total: float


def batch_of(pixels: Array, index: slice | Array, labels: Array, weights: Array | None = None) -> Batch:
    """Return a batch that is not divided between processes."""
    total = float(len(labels)) if weights is None else float(weights.sum(dtype=np.float64))
    return Batch(pixels, index, labels, weights, 0, len(labels), total)


def part_of(batch: Batch, shard: Shard | None) -> Batch:
    """Return the rows of a batch that this process computes."""
    if shard is None:
        return batch
    rows = slice(batch.count * shard.rank // shard.size, batch.count * (shard.rank + 1) // shard.size)
    if isinstance(batch.index, slice):
        start = batch.index.start
        index: slice | Array = slice(start + rows.start, start + rows.stop)
    else:
        index = batch.index[rows]
    weights = None if batch.weights is None else batch.weights[rows]
    return replace(batch, index=index, labels=batch.labels[rows], weights=weights, first=rows.start)


class Inputs:
    """Converts rows of a batch to inputs, in arrays that it reuses. Not thread-safe."""

    def __init__(self, to_floats: Callable[[Array, Array], Array], dtype: np.dtype[np.floating]) -> None:
        self.to_floats = to_floats
        self.dtype = dtype
        self.cache = Cache(dtype)
        self.rows = self.X = np.empty((0, 0), dtype)

    def __call__(self, batch: Batch, block: slice | None = None) -> Array:
        """Return the inputs of a batch, or of a block of its rows    → X: (N, D)"""
        pixels, index = batch.pixels, batch.index
        if isinstance(index, slice):
            pixels = pixels[index] if block is None else pixels[index][block]
        else:
            index = index if block is None else index[block]
            if self.rows.shape != (len(index), pixels.shape[1]) or self.rows.dtype != pixels.dtype:
                self.rows = self.cache.new("rows", len(index), pixels.shape[1], dtype=pixels.dtype)
            pixels = np.take(pixels, index, axis=0, out=self.rows, mode="clip")
        if pixels.dtype == self.dtype:
            return pixels
        if self.X.shape != pixels.shape:
            self.X = self.cache.new("X", *pixels.shape)
        return self.to_floats(pixels, self.X)


class Batches:
    """The batches of each epoch over the samples `index` of a data set."""

    def __init__(
        self,
        images: Array,
        labels: Array,
        index: Array,
        weights: Array | None,
        recipe: Recipe,
        seed: int,
        preparation: Preparation,
        shard: Shard | None,
    ) -> None:
        self.augmentation, self.weak_from = Augmentation.parse(recipe.augment), recipe.weak_from
        if self.augmentation and images.dtype != np.uint8:
            raise UsageError(f"augment needs uint8 images, got {images.dtype}")
        self.images, self.pixels = images, images.reshape(len(images), -1)
        self.labels, self.weights, self.index = labels, weights, index
        self.batch_size = min(recipe.batch_size or len(index), len(index))
        self.per_epoch = -(-len(index) // self.batch_size)
        #: The batch of all samples, if there is only one batch.
        self.whole: Batch | None = None
        self.seed, self.preparation, self.shard = seed, preparation, shard

    @property
    def is_whole(self) -> bool:
        """True if one batch has all samples."""
        return self.per_epoch == 1

    def all_as_one(self) -> Batch:
        """Return a batch of all samples, contiguous in memory."""
        rows = slice(None) if len(self.index) == len(self.pixels) else self.index
        weights = None if self.weights is None else self.weights[rows]
        return batch_of(self.pixels[rows], slice(0, len(self.index)), self.labels[rows], weights)

    def order(self, epoch: int) -> Array:
        """Return the samples, shuffled for this epoch; a single batch is not shuffled."""
        if self.is_whole:
            return self.index
        return self.index[np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.index))]

    def from_step(self, step: int) -> Iterator[Batch]:
        """Yield the batches from this step on, endlessly."""
        epoch, start = divmod(step, self.per_epoch)
        while True:
            yield from self.epoch(epoch, start)
            epoch, start = epoch + 1, 0

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, from batch `start` on."""
        if self.whole is not None:
            yield self.whole
            return
        order = self.order(epoch)
        if self.augmentation:
            yield from self.augmented(order, epoch, start)
        else:
            yield from self.cut(order[start * self.batch_size :])

    def cut(self, order: Array) -> Iterator[Batch]:
        """Yield the batches of the samples in this order."""
        labels = self.labels[order]
        weights = None if self.weights is None else self.weights[order]
        for left in range(0, len(labels), self.batch_size):
            rows = slice(left, left + self.batch_size)
            batch = batch_of(self.pixels, order[rows], labels[rows], None if weights is None else weights[rows])
            yield part_of(batch, self.shard)

    def augmented(self, order: Array, epoch: int, start: int) -> Iterator[Batch]:
        """Yield the batches in this order, augmented in blocks of several batches."""
        group = max(1, PREFETCH_SIZE // self.batch_size) * self.batch_size
        spec = self.augmentation if epoch < self.weak_from else self.augmentation.halved()

        def distort(left: int) -> tuple[list[Batch], Array]:
            batches = list(self.cut(order[left : left + group]))
            index = np.concatenate([batch.index for batch in batches])
            images = augment(self.images, index, seed=self.seed, epoch=epoch, spec=spec)
            return batches, self.preparation.pictures(images).reshape(len(index), -1)

        for batches, pixels in prefetch(distort, range(start * self.batch_size, len(order), group)):
            taken = 0
            for batch in batches:
                rows = slice(taken, taken + len(batch.labels))
                yield replace(batch, pixels=pixels, index=rows)
                taken = rows.stop


def prefetch(function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """Yield function(job) for each job, prefetched by a second thread.

    If no thread can be started (in a browser, for example), the caller's thread computes the results. An error is
    raised in place of its result. Closing the iterator waits for the running job, and drops the others.
    """
    results: deque[Callable[[], Result]] = deque()
    second = ThreadPoolExecutor(max_workers=1, thread_name_prefix="byhand-prefetch")
    try:
        for job in jobs:
            try:
                results.append(second.submit(function, job).result)
            except RuntimeError:  # can't start new thread
                results.append(partial(function, job))
            if len(results) > PREFETCH_DEPTH:
                yield results.popleft()()
        while results:
            yield results.popleft()()
    finally:
        second.shutdown(cancel_futures=True)
