"""The plan: how a step is executed on this machine. The one place that decides; the mathematics doesn't know.

A batch can be worked whole, with the BLAS on all threads, or cut into blocks of rows that threads of our own share
out, each with the BLAS to itself. Blocks are small enough that a block's activations stay in the second-level cache
between forward and backward, so the pixels are read from memory once a step and no activation of the whole batch is
ever stored. Widths that waste the BLAS's tiles are padded inside the product. The results agree to rounding whatever
the plan, and to the bit for one plan.
"""

from dataclasses import dataclass

from byhand.nn.network import Network
from byhand.nn.scratch import Padding
from byhand.training import threads

#: The BLAS computes in tiles of this many columns (one AVX-512 register of float32).
TILE = 16
#: Under so many multiplications a product is over before padding could pay for its packing.
WORTH_PADDING = 500_000
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


def plan_for(network: Network, batch_size: int, wanted_threads: int | None = None) -> Plan:
    """The plan for batches of this size."""
    count = wanted_threads or threads.available()
    if network.needs_whole_batch:
        return Plan(workers=1, blas=count, block=batch_size, padding=pad_to_tile)
    if batch_size < WORTH_THREADS:
        return Plan(workers=1, blas=count, block=batch_size, padding=pad_to_tile)
    workers = min(count, -(-batch_size // BLOCK))
    return Plan(workers=workers, blas=1, block=BLOCK, padding=pad_to_tile)


def pad_to_tile(rows: int, inner: int, columns: int) -> int:
    """The columns to compute a product with: up to the next tile where that is cheaper than a ragged edge."""
    if columns % TILE == 0 or columns > 6 * TILE or rows * inner * columns < WORTH_PADDING:
        return columns
    return -(-columns // TILE) * TILE
