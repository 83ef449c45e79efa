"""The plan: how a step is executed on this machine. The one place that decides; the mathematics doesn't know.

A batch can be worked whole, with the BLAS on all threads, or cut into blocks of rows that threads of our own share
out, each with the BLAS to itself. Blocks are small enough that a block's activations stay in the second-level cache
between forward and backward, so the pixels are read from memory once a step and no activation of the whole batch is
ever stored. Widths that waste the BLAS's tiles are padded inside the product. The results agree to rounding whatever
the plan, and to the bit for one plan.
"""

from dataclasses import dataclass

import numpy as np

from byhand import threads
from byhand.nn.network import Network
from byhand.nn.scratch import Array, First, Padding
from byhand.preparation import Preparation
from byhand.training.recipe import Recipe

#: The BLAS computes in tiles of this many columns (one AVX-512 register of float32).
TILE = 16
#: Under so many multiplications a product is over before padding could pay for its packing.
WORTH_PADDING = 2_000_000
#: Batches from this size on are cut into blocks; below, two threads spend their gain on waiting for one another.
WORTH_THREADS = 2_000
#: Rows in a block: long enough that Python's part doesn't count, short enough for the cache.
BLOCK = 1_250


@dataclass(frozen=True)
class Plan:
    """`workers` threads of our own over blocks of `block` rows, `blas` threads inside each product."""

    workers: int
    blas: int
    block: int
    padding: Padding | None = None


def plan_for(network: Network, batch_size: int, wanted_threads: int | None = None, *, busy: int = 0) -> Plan:
    """The plan for batches of this size; `busy` threads are at work already (augmentation) and are left alone.

    Where windows are slid, distorting a picture is a tenth of the work, and is given no processor of its own.
    """
    wanted = wanted_threads or threads.available()
    block = network.together(batch_size)
    if block < batch_size and not network.needs_whole_batch:
        return Plan(workers=min(wanted, -(-batch_size // block)), blas=1, block=block, padding=pad_to_tile)
    count = max(1, wanted - busy)
    if network.needs_whole_batch or batch_size < WORTH_THREADS:
        return Plan(workers=1, blas=count, block=batch_size, padding=pad_to_tile)
    workers = min(count, -(-batch_size // BLOCK))
    return Plan(workers=workers, blas=1, block=BLOCK, padding=pad_to_tile)


def first_product(pixels: Array, network: Network, recipe: Recipe, preparation: Preparation) -> First | None:
    """In which form a whole-data batch keeps its pixels (N, D), so that the first product does less; None: as always.

    With plain scaling the division by 255 moves from the pixels to the first layer's weights, which are far fewer. And
    a pixel that is 0 in every sample gives its weights no gradient, so they stay where they started, and it can be left
    out. That holds only where nothing else moves weights (decay, max-norm) and where no other picture can turn up
    (augmentation). It pays where the whole data is one batch: the copy is made once.
    """
    first = preparation.left_over(network)
    if first is None or pixels.dtype != np.uint8 or recipe.augment != "none":
        return None
    columns = np.flatnonzero(pixels.any(axis=0))
    moved = recipe.optimizer.weight_decay or recipe.max_norm is not None
    if moved or not 0 < len(columns) < pixels.shape[1]:
        return first
    return First(columns, first.scale)


def pad_to_tile(rows: int, inner: int, columns: int) -> int:
    """The columns to compute a product with: up to the next tile where that is cheaper than a ragged edge."""
    if columns % TILE == 0 or columns > 6 * TILE or rows * inner * columns < WORTH_PADDING:
        return columns
    return -(-columns // TILE) * TILE
