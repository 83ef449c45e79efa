"""The plan: how a step is executed on this machine.

A batch is computed as a whole, with several BLAS threads, or in blocks of rows, whose activations stay in the L2 cache,
on several Python threads. With the same plan, results are bit-identical; different plans agree to rounding.

`PackedDense` is a dense layer for few units and large batches:

- Padding: a BLAS multiplies in tiles of about 16 columns, and 45 columns can take longer than 48.
- Omitted columns: a pixel that is 0 in every training sample has no effect, and its weights have the gradient 0.
- Scaling: x / 255 · W = x · (W / 255), and W is far smaller than the batch.

`SplitDense` is a dense layer for small batches. For 32 samples, the BLAS takes longer to copy W than to multiply. With
AVX-512, OpenBLAS has kernels for small matrices (up to 10⁶ multiplications) that do not copy, so W is split.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import inf

import numpy as np

from byhand import threads
from byhand.model.model import max_block_size
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array, Cache
from byhand.nn.backprop import Pass
from byhand.nn.layers import Dense, Layer
from byhand.nn.losses import Loss, count_correct
from byhand.nn.network import Network
from byhand.nn.rng import StepKey
from byhand.training.batches import Batch, Inputs
from byhand.training.recipe import Recipe

#: Columns per BLAS tile: one AVX-512 register of float32.
TILE = 16
#: Products with fewer multiplications are not padded: packing would take longer.
WORTH_PADDING = 2_000_000
#: Products of SMALL to WORTH_SPLITTING multiplications are split into parts of at most PART.
SMALL, WORTH_SPLITTING, PART = 1_000_000, 6_500_000, 400_000
#: Below this many multiplications, one BLAS thread is faster: two would exchange weights between cores.
WORTH_BLAS_THREADS = 16_000_000
#: Below this many multiplications in the forward passes of an epoch, one BLAS thread is used. Two save little of a
#: short epoch, and wait for each other by spinning: if other programs occupy the processors, ten times as long.
WORTH_WAITING = 700_000_000
#: Smaller batches are not cut into blocks: the threads would wait for one another.
WORTH_THREADS = 2_000
#: Rows per block: few enough for the cache, and many compared to the interpreter's overhead.
BLOCK = 1_250


@dataclass(frozen=True)
class Plan:
    """`workers` Python threads, with `blas` BLAS threads each, for blocks of `block` rows."""

    workers: int
    blas: int
    block: int


def plan_for(
    network: Network, batch_size: int, max_threads: int | None = None, *, busy: int = 0, samples: float = inf
) -> Plan:
    """Return the plan for batches of this size, with `busy` threads for augmentation.

    samples: the number of samples in an epoch
    """
    count = max_threads or threads.available()
    block = max_block_size(network, batch_size)
    if block < batch_size and not network.needs_whole_batch:  # convolutions: augmentation is 10 % of the work
        return Plan(workers=min(count, -(-batch_size // block)), blas=1, block=block)
    count = max(1, count - busy)
    if network.needs_whole_batch or batch_size < WORTH_THREADS:
        largest = batch_size * max(layer.W.size for layer in network.parametric_layers)
        is_small = largest < WORTH_BLAS_THREADS or samples * network.size < WORTH_WAITING
        is_dense = len(network.dense) == len(network.parametric_layers)
        return Plan(workers=1, blas=1 if is_small and is_dense else count, block=batch_size)
    workers = min(count, -(-batch_size // BLOCK))
    return Plan(workers=workers, blas=1, block=BLOCK)


@dataclass(frozen=True)
class Form:
    """A batch of all samples, not scaled, and reduced to `columns` of its pixels (None: all)."""

    columns: Array | None
    scale: float


def form_of(pixels: Array, network: Network, recipe: Recipe, preparation: Preparation) -> Form | None:
    """Return the form of a batch of all samples; None for scaled pixels.    pixels: (N, D)

    With weight decay or max-norm, no columns are omitted: these change weights whose gradient is 0.
    """
    is_plain = preparation.is_plain and isinstance(network.layers[0], Dense)
    if not is_plain or pixels.dtype != np.uint8 or recipe.augment != "none":
        return None
    scale, columns = 1 / preparation.divisor, np.flatnonzero(pixels.any(axis=0))
    if recipe.optimizer.weight_decay or recipe.max_norm is not None or not 0 < len(columns) < pixels.shape[1]:
        return Form(None, scale)
    return Form(columns, scale)


def unscaled(pixels: Array, out: Array) -> Array:
    """Convert bytes to floats without scaling, for a `Form`    pixels: uint8 (N, D), out: (N, D)"""
    np.copyto(out, pixels)
    return out


def layers_for(network: Network, rows: int, form: Form | None = None) -> Sequence[Layer]:
    """Return the layers in their fastest forms for blocks of this many rows."""
    layers = list(network.layers)
    for i, layer in enumerate(network.layers):
        if isinstance(layer, Dense):
            width = padded_width(rows, layer.inputs, layer.units)
            parts = parts_of(rows, layer.inputs, layer.units)
            if i == 0 and form is not None:
                layers[i] = PackedDense(layer, width, columns=form.columns, scale=form.scale)
            elif parts > 1:
                layers[i] = SplitDense(layer, parts)
            elif width != layer.units:
                layers[i] = PackedDense(layer, width)
    return layers


def parts_of(rows: int, inner: int, columns: int) -> int:
    """Return the number of parts of a product, for kernels of small matrices."""
    size = rows * inner * columns
    if not SMALL < size <= WORTH_SPLITTING or not threads.has_small_matrix_kernels():
        return 1
    return next(parts for parts in range(1, inner + 1) if inner % parts == 0 and size <= parts * PART)


def padded_width(rows: int, inner: int, columns: int) -> int:
    """Return the number of columns with padding, if that is faster."""
    if columns % TILE == 0 or columns > 6 * TILE or rows * inner * columns < WORTH_PADDING:
        return columns
    return -(-columns // TILE) * TILE


# ---- alternative forms of a dense layer


class DenseForm(Layer):
    """Base class of the forms, which use the parameters of another layer."""

    def __init__(self, layer: Dense, inputs: int) -> None:
        self.layer = layer
        self.inputs, self.outputs = inputs, layer.units

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("Z", N, self.layer.units)
        cache.new("ones", N).fill(1)
        if cache.needs_dX:
            cache.new("dX", N, self.inputs)


class PackedDense(DenseForm):
    """Z = X W + b; W is padded to `width` columns, scaled, and reduced to `columns` of its rows."""

    def __init__(self, layer: Dense, width: int, *, columns: Array | None = None, scale: float = 1.0) -> None:
        super().__init__(layer, layer.inputs if columns is None else len(columns))
        self.width, self.columns, self.scale = width, columns, scale

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        super().prepare(cache, N, in_size)
        units = self.layer.units
        cache.new("rows_of_W", self.inputs, units)
        cache.new("W", self.inputs, self.width)[:, units:] = 0
        cache.new("wide_Z", N, self.width)
        cache.new("wide_dZ", N, self.width)[:, units:] = 0
        cache.new("wide_dW", self.inputs, self.width)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = X W + b    X: (N, columns) → Z: (N, units)"""
        W, units = self.layer.W, self.layer.units
        if self.columns is not None:
            W = np.take(W, self.columns, axis=0, out=cache.rows_of_W, mode="clip")
        np.multiply(W, self.scale, out=cache.W[:, :units])
        cache.X = X
        wide_Z = np.matmul(X, cache.W, out=cache.wide_Z)
        return np.add(wide_Z[:, :units], self.layer.b, out=cache.Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Xᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ    dZ: (N, units) → dX: (N, columns)"""
        units = self.layer.units
        cache.wide_dZ[:, :units] = dZ = dout
        dW = np.matmul(cache.X.T, cache.wide_dZ, out=cache.wide_dW)[:, :units]
        if self.columns is None:
            np.multiply(dW, self.scale, out=cache.dW)
        else:
            dW *= self.scale
            cache.dW[self.columns] = dW  # the gradient of the other rows stays 0
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, cache.W[:, :units].T, out=cache.dX) if cache.needs_dX else None


class SplitDense(DenseForm):
    """Z = Σ Xₚ Wₚ + b, with the rows of W split into `parts`."""

    def __init__(self, layer: Dense, parts: int) -> None:
        super().__init__(layer, layer.inputs)
        self.parts, self.rows = parts, layer.inputs // parts

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        super().prepare(cache, N, in_size)
        cache.new("products", self.parts, N, self.layer.units)
        cache.dW_parts = cache.dW.reshape(self.parts, self.rows, self.layer.units)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = Σ Xₚ Wₚ + b    X: (N, inputs) → Z: (N, units)"""
        cache.X_parts = X.reshape(len(X), self.parts, self.rows).transpose(1, 0, 2)
        W_parts = self.layer.W.reshape(self.parts, self.rows, -1)
        products = np.matmul(cache.X_parts, W_parts, out=cache.products)
        Z: Array = np.add.reduce(products, axis=0, out=cache.Z)
        return np.add(Z, self.layer.b, out=Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dWₚ = Xₚᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ    dZ: (N, units) → dX: (N, inputs)"""
        dZ = dout
        np.matmul(cache.X_parts.transpose(0, 2, 1), dZ, out=cache.dW_parts)
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, self.layer.W.T, out=cache.dX) if cache.needs_dX else None


class Member:
    """A thread's pass, inputs and gradient. The members share the parameters, read-only."""

    def __init__(self, pass_: Pass, inputs: Inputs, total: Array, loss: Loss) -> None:
        self.pass_, self.inputs, self.total, self.loss = pass_, inputs, total, loss

    def __call__(self, batch: Batch, blocks: list[slice], key: StepKey) -> tuple[float, int]:
        """Return loss and correct predictions of these blocks, and set `total`, their gradient."""
        value, correct, pass_ = 0.0, 0, self.pass_
        self.total.fill(0)
        with np.errstate(over="ignore", invalid="ignore"):  # as in `Trainer.step`
            for block in blocks:
                weights = None if batch.weights is None else batch.weights[block]
                labels = batch.labels[block]
                Z = pass_.forward(self.inputs(batch, block), key._replace(row=key.row + block.start))
                loss, dZ = self.loss.value_and_gradient(Z, labels, pass_.loss_cache, weights=weights, total=batch.total)
                value, correct = value + loss, correct + count_correct(Z, labels)
                pass_.backward(dZ)
                self.total += pass_.gradient
        return value, correct


class Team:
    """The threads of a plan, for forward, loss and backward. Close it to end them.

    Gradients are added in a fixed order, so the bits do not depend on timing. If no thread can be started, the members
    are called one after another.
    """

    def __init__(self, members: list[Member], plan: Plan) -> None:
        self.members, self.plan = members, plan
        self.gradient = members[0].total
        self.pool = ThreadPoolExecutor(len(members) - 1, "byhand") if len(members) > 1 else None

    def __call__(self, batch: Batch, key: StepKey) -> tuple[float, int]:
        """Return loss and correct predictions of a batch, and set `gradient`."""
        (first, own_share), *others = zip(self.members, shares_of(len(batch.labels), self.plan), strict=True)
        futures = [self.start(member, batch, share, key) for member, share in others]
        try:
            outcomes = [first(batch, own_share, key)]
            for (member, share), future in zip(others, futures, strict=True):
                was_started = future is not None and not future.cancelled()
                outcomes.append(future.result() if was_started else member(batch, share, key))  # type: ignore[union-attr]
                self.gradient += member.total
        finally:
            wait([future for future in futures if future is not None])  # no thread may still run after an error
        return sum(loss for loss, _ in outcomes), sum(correct for _, correct in outcomes)

    def start(self, member: Member, batch: Batch, share: list[slice], key: StepKey) -> Future[tuple[float, int]] | None:
        """Start a member on a thread; return None if no thread can be started."""
        if self.pool is None:
            return None
        try:
            return self.pool.submit(member, batch, share, key)
        except RuntimeError:  # no thread can be started; the job is already queued
            self.pool.shutdown(cancel_futures=True)
            self.pool = None
            return None

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()


def shares_of(count: int, plan: Plan) -> list[list[slice]]:
    """Return the blocks of each member, of almost equal size."""
    rounds = max(1, -(-count // (plan.block * plan.workers)))
    number = rounds * plan.workers
    edges = [count * i // number for i in range(number + 1)]
    rows = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
    return [rows[i * rounds : (i + 1) * rounds] for i in range(plan.workers)]
