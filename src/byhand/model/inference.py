"""Reading: a network's outputs for many samples, block by block, in memory that is kept from call to call.

Two threads of our own over the blocks, each with the BLAS to itself, were tried: a tenth faster alone, and half as fast
for the first tenth of a second after anything that let the BLAS use its own threads, because those keep spinning while
they wait for work. So the BLAS splits each product over its threads, and the rest runs on one thread.
"""

import threading
import weakref
from collections.abc import Callable, Iterator

import numpy as np

from byhand.nn.arrays import Array, Cache
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.network import Network

#: Samples prepared and read at once: few enough for the cache, enough for two BLAS threads to be worth waking.
BLOCK = 1_000
#: Maximum block size for convolutions: im2col multiplies the memory per sample, and larger blocks overflow the L2
#: cache.
MAX_BLOCK_SAMPLES = 32
#: Numbers that im2col may make of a block; of larger pictures, a block holds fewer.
MAX_IM2COL_ELEMENTS = 2**22


def max_block_size(network: Network, most: int) -> int:
    """Return how many samples to compute at once: `most`, or fewer if the network has convolutions."""
    largest = max((layer.im2col_size for layer in network.layers if isinstance(layer, Convolution)), default=0)
    return min(most, MAX_BLOCK_SAMPLES, max(1, MAX_IM2COL_ELEMENTS // largest)) if largest else most


def forward_in_blocks(network: Network, inputs: Callable[[slice, Cache], Array], count: int) -> Array:
    """Return the network's outputs for `count` samples; `inputs` makes the floats of a block        → (count, K)"""
    logits = np.empty((count, network.out_size), network.dtype)
    passes = thread_passes(network)
    for rows in blocks(count, max_block_size(network, BLOCK)):
        logits[rows] = passes.pass_for(rows).forward(inputs(rows, passes.cache))
    return logits


class ThreadPasses:
    """One thread's passes through one network, and the memory for its inputs."""

    def __init__(self, network: Network) -> None:
        own = weakref.ref(self)
        self.network = weakref.ref(network, lambda _: free(own()))
        self.cache = Cache(network.dtype)
        #: One pass for whole blocks and one for the last, shorter one, so that neither makes its arrays anew.
        self.whole, self.rest = (Pass(network, needs_gradient=False) for _ in range(2))
        self.largest = 0

    def pass_for(self, rows: slice) -> Pass:
        """Return the pass for a block of this size."""
        size = rows.stop - rows.start
        self.largest = max(self.largest, size)
        return self.whole if size == self.largest else self.rest


def free(passes: ThreadPasses | None) -> None:
    """Free the memory when the network is gone: the passes hold the layers, and these hold the parameters."""
    if passes is not None:
        del passes.whole, passes.rest, passes.cache


#: Each thread's passes: a model serves many threads at once.
_kept = threading.local()


def thread_passes(network: Network) -> ThreadPasses:
    """Return this thread's passes, the same from call to call as long as the network is the same.

    New memory at every call costs as much as the computation: the system hands it out page by page.
    """
    passes: ThreadPasses | None = getattr(_kept, "passes", None)
    if passes is None or passes.network() is not network:
        passes = _kept.passes = ThreadPasses(network)
    return passes


def blocks(count: int, size: int) -> Iterator[slice]:
    """Yield slices of `size` rows that cover 0 … count."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
