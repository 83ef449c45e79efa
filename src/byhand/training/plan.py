"""The plan: how a step is executed on this machine, in which form of the layers, and on which threads.

It is decided once, before the first step. A batch can be computed whole, with the BLAS on several threads, or cut into
blocks of rows that threads of our own share, each with the BLAS to itself. Blocks are small enough that a block's
activations stay in the L2 cache between forward and backward: the pixels are read from memory once a step, and no
activation of the whole batch is stored. Whatever the plan, the results agree to rounding; with the same plan they agree
to the bit.

A dense layer can be computed in another form. **Packed**, for narrow layers over large batches, W is changed, which is
far smaller than the batch:

- *Padding.* A BLAS multiplies in tiles of 16 columns or so, and 45 columns can take longer than 48. W gets columns of
  zeros up to the next tile; the products of those columns are sliced off.
- *Columns that are left out.* A pixel that is 0 in every sample of the training set adds nothing to any sum, and its
  weights have the derivative 0. The inputs come without those columns, W without those rows.
- *The scale.* x / 255 · W is x · (W / 255): scaling W saves a pass over the pixels. dW is scaled in turn.

**Split**, for small batches. Before it multiplies, a BLAS copies W into the order in which its kernel reads it, and for
32 samples the copy takes longer than the product. On processors with AVX-512, OpenBLAS has kernels for small matrices
(up to 10⁶ multiplications) that do without it. So the product is split into parts that are small enough: the rows of
W, and with them the inputs of a sample, in equal parts, whose products are added up.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

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

#: The BLAS computes in tiles of this many columns (one AVX-512 register of float32).
TILE = 16
#: A product with fewer multiplications is over before padding could pay for its packing.
WORTH_PADDING = 2_000_000
#: Products of more than SMALL multiplications and at most WORTH_SPLITTING are split into parts of at most PART, where
#: OpenBLAS has kernels for matrices of at most SMALL.
SMALL, WORTH_SPLITTING, PART = 1_000_000, 6_500_000, 400_000
#: If no product of a step has more multiplications, one BLAS thread is faster than two: the second core would fetch the
#: weights that the first has just changed, and the first would have to take them back for the next update.
WORTH_BLAS_THREADS = 16_000_000
#: Batches from this size on are cut into blocks; below, two threads lose what they gain waiting for one another.
WORTH_THREADS = 2_000
#: Rows in a block: enough that the interpreter's share doesn't count, few enough for the cache.
BLOCK = 1_250


@dataclass(frozen=True)
class Plan:
    """`workers` threads of our own over blocks of `block` rows, `blas` threads inside each product."""

    workers: int
    blas: int
    block: int


def plan_for(network: Network, batch_size: int, max_threads: int | None = None, *, busy: int = 0) -> Plan:
    """Return the plan for batches of this size, while `busy` threads are already at work (augmentation).

    With convolutions, augmentation is a tenth of the work and gets no processor of its own.
    """
    count = max_threads or threads.available()
    block = max_block_size(network, batch_size)
    if block < batch_size and not network.needs_whole_batch:
        return Plan(workers=min(count, -(-batch_size // block)), blas=1, block=block)
    count = max(1, count - busy)
    if network.needs_whole_batch or batch_size < WORTH_THREADS:
        largest = batch_size * max(layer.W.size for layer in network.parametric_layers)
        is_small = largest < WORTH_BLAS_THREADS and len(network.dense) == len(network.parametric_layers)
        return Plan(workers=1, blas=1 if is_small else count, block=batch_size)
    workers = min(count, -(-batch_size // BLOCK))
    return Plan(workers=workers, blas=1, block=BLOCK)


@dataclass(frozen=True)
class Form:
    """The form in which a whole-data batch is kept: only `columns` of its pixels, which are still to be scaled."""

    columns: Array | None
    scale: float


def form_of(pixels: Array, network: Network, recipe: Recipe, preparation: Preparation) -> Form | None:
    """Return the form of a whole-data batch in which the first product does less; None keeps the pixels as they are.

    With plain scaling, the first layer's weights are divided instead of the pixels, which are far more. And a pixel
    that is 0 in every sample gives its weights no gradient, so it can be left out, unless something else changes
    weights (decay, max-norm) or pictures (augmentation). pixels: (N, D)
    """
    is_plain = preparation.is_plain and isinstance(network.layers[0], Dense)
    if not is_plain or pixels.dtype != np.uint8 or recipe.augment != "none":
        return None
    scale, columns = 1 / preparation.divisor, np.flatnonzero(pixels.any(axis=0))
    if recipe.optimizer.weight_decay or recipe.max_norm is not None or not 0 < len(columns) < pixels.shape[1]:
        return Form(None, scale)
    return Form(columns, scale)


def unscaled(pixels: Array, out: Array) -> Array:
    """Turn bytes into the same numbers as floats, as a `Form` needs them          pixels: uint8 (N, D), out: (N, D)"""
    np.copyto(out, pixels)
    return out


def layers_for(network: Network, rows: int, form: Form | None = None) -> Sequence[Layer]:
    """Return the network's layers for blocks of this many rows, in another form those for which it pays."""
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
    """Return into how many equal parts of `inner` a product is split, so that small-matrix kernels compute them."""
    size = rows * inner * columns
    if not SMALL < size <= WORTH_SPLITTING or not threads.has_small_matrix_kernels():
        return 1
    return next(parts for parts in range(1, inner + 1) if inner % parts == 0 and size <= parts * PART)


def padded_width(rows: int, inner: int, columns: int) -> int:
    """Return the columns to compute a product with: those of the next tile, if that is cheaper than a partial one."""
    if columns % TILE == 0 or columns > 6 * TILE or rows * inner * columns < WORTH_PADDING:
        return columns
    return -(-columns // TILE) * TILE


# ---- other forms of a dense layer


class DenseForm(Layer):
    """Base class of the forms: it holds the layer whose parameters they use."""

    def __init__(self, layer: Dense, inputs: int) -> None:
        self.layer = layer
        self.inputs = inputs

    def out_size(self, in_size: int) -> int:
        return self.layer.units

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("Z", N, self.layer.units)
        cache.new("ones", N).fill(1)
        if cache.needs_dX:
            cache.new("dX", N, self.inputs)


class PackedDense(DenseForm):
    """Z = X W + b, with W packed: padded to `width` columns, without the rows that `columns` leaves out, and scaled."""

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
        """Z = X W + b                                          X: (N, columns) → Z: (N, units)"""
        W, units = self.layer.W, self.layer.units
        if self.columns is not None:
            W = np.take(W, self.columns, axis=0, out=cache.rows_of_W, mode="clip")
        np.multiply(W, self.scale, out=cache.W[:, :units])
        cache.X = X
        wide_Z = np.matmul(X, cache.W, out=cache.wide_Z)
        return np.add(wide_Z[:, :units], self.layer.b, out=cache.Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Xᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ       dZ: (N, units) → dX: (N, columns)"""
        units = self.layer.units
        cache.wide_dZ[:, :units] = dZ = dout
        dW = np.matmul(cache.X.T, cache.wide_dZ, out=cache.wide_dW)[:, :units]
        if self.columns is None:
            np.multiply(dW, self.scale, out=cache.dW)
        else:
            dW *= self.scale
            cache.dW[self.columns] = dW  # the gradient of the other rows is 0, as in a new vector
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, cache.W[:, :units].T, out=cache.dX) if cache.needs_dX else None


class SplitDense(DenseForm):
    """Z = X W + b, with the product split into `parts` of its rows of W: Z = Σ Xₚ Wₚ + b."""

    def __init__(self, layer: Dense, parts: int) -> None:
        super().__init__(layer, layer.inputs)
        self.parts, self.rows = parts, layer.inputs // parts

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        super().prepare(cache, N, in_size)
        cache.new("products", self.parts, N, self.layer.units)
        cache.dW_parts = cache.dW.reshape(self.parts, self.rows, self.layer.units)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = Σ Xₚ Wₚ + b                                      X: (N, inputs) → Z: (N, units)"""
        cache.X_parts = X.reshape(len(X), self.parts, self.rows).transpose(1, 0, 2)
        W_parts = self.layer.W.reshape(self.parts, self.rows, -1)
        products = np.matmul(cache.X_parts, W_parts, out=cache.products)
        Z: Array = np.add.reduce(products, axis=0, out=cache.Z)
        return np.add(Z, self.layer.b, out=Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dWₚ = Xₚᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ     dZ: (N, units) → dX: (N, inputs)"""
        dZ = dout
        np.matmul(cache.X_parts.transpose(0, 2, 1), dZ, out=cache.dW_parts)
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, self.layer.W.T, out=cache.dX) if cache.needs_dX else None


# ---- several threads


class Member:
    """One thread's pass, inputs and gradient. The members share the parameters, and only read them."""

    def __init__(self, pass_: Pass, inputs: Inputs, total: Array, loss: Loss) -> None:
        self.pass_, self.inputs, self.total, self.loss = pass_, inputs, total, loss

    def __call__(self, batch: Batch, blocks: list[slice], key: StepKey) -> tuple[float, int]:
        """Return these blocks' parts of the loss and of the correct answers; `total` is their part of the gradient."""
        value, correct, pass_ = 0.0, 0, self.pass_
        self.total.fill(0)
        with np.errstate(over="ignore", invalid="ignore"):  # of a run that diverges, as in `Trainer.step`
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
    """The threads of a plan: `Trainer.step` calls it instead of forward, loss and backward. Close it to end them.

    Each member adds up the gradients of its blocks in order; then the members' sums are added in order. So the same
    plan gives the same bits, whichever thread is faster. If no thread can be started, the members work one after
    another.
    """

    def __init__(self, members: list[Member], plan: Plan) -> None:
        self.members, self.plan = members, plan
        self.gradient = members[0].total
        self.pool = ThreadPoolExecutor(len(members) - 1, "byhand") if len(members) > 1 else None

    def __call__(self, batch: Batch, key: StepKey) -> tuple[float, int]:
        """Return the batch's loss and number of correct answers; its gradient is in `gradient` until the next call."""
        (first, own_share), *others = zip(self.members, shares_of(len(batch.labels), self.plan), strict=True)
        futures = [self.start(member, batch, share, key) for member, share in others]
        try:
            outcomes = [first(batch, own_share, key)]
            for (member, share), future in zip(others, futures, strict=True):
                was_started = future is not None and not future.cancelled()
                outcomes.append(future.result() if was_started else member(batch, share, key))  # type: ignore[union-attr]
                self.gradient += member.total
        finally:
            wait([future for future in futures if future is not None])  # an error must leave no thread at work
        return sum(loss for loss, _ in outcomes), sum(correct for _, correct in outcomes)

    def start(self, member: Member, batch: Batch, share: list[slice], key: StepKey) -> Future[tuple[float, int]] | None:
        """Start a member's work on a thread; None if no thread can be started."""
        if self.pool is None:
            return None
        try:
            return self.pool.submit(member, batch, share, key)
        except RuntimeError:  # can't start new thread; the job is queued already, and must not be done twice
            self.pool.shutdown(cancel_futures=True)
            self.pool = None
            return None

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()


def shares_of(count: int, plan: Plan) -> list[list[slice]]:
    """Return the blocks of rows of each member: as even as can be, none longer than the plan's."""
    rounds = max(1, -(-count // (plan.block * plan.workers)))
    number = rounds * plan.workers
    edges = [count * i // number for i in range(number + 1)]
    rows = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
    return [rows[i * rounds : (i + 1) * rounds] for i in range(plan.workers)]
