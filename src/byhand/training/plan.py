"""The plan: how a step is executed on this machine. It is decided once, before the first step.

A batch can be computed whole, with the BLAS on several threads, or cut into blocks of rows that threads of our own
share, each with the BLAS to itself. Blocks are small enough that a block's activations stay in the L2 cache between
forward and backward: the pixels are read from memory once a step, and no activation of the whole batch is
stored. Some dense layers are computed in another form (see `byhand.nn.packing`). Whatever the plan, the results agree
to rounding; with the same plan they agree to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from byhand import threads
from byhand.model.inference import max_block_size
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array
from byhand.nn.layers import Dense, Layer
from byhand.nn.network import Network
from byhand.nn.packing import PackedDense, SplitDense
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


def plan_for(network: Network, batch_size: int, wanted_threads: int | None = None, *, busy: int = 0) -> Plan:
    """Return the plan for batches of this size, while `busy` threads are already at work (augmentation).

    With convolutions, augmentation is a tenth of the work and gets no processor of its own.
    """
    wanted = wanted_threads or threads.available()
    block = max_block_size(network, batch_size)
    if block < batch_size and not network.needs_whole_batch:
        return Plan(workers=min(wanted, -(-batch_size // block)), blas=1, block=block)
    count = max(1, wanted - busy)
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
            first = form if i == 0 else None
            width = padded_width(rows, layer.inputs, layer.units)
            parts = parts_of(rows, layer.inputs, layer.units)
            if first is not None:
                layers[i] = PackedDense(layer, width, columns=first.columns, scale=first.scale)
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
