"""Reading: a network's answers to many samples, block by block, in memory that is kept from call to call.

Two threads of our own over the blocks, each with the BLAS to itself, were tried: a tenth faster by themselves, and
half as fast for the first tenth of a second after anything that let the BLAS use its own threads, for those go on
waiting for work at full speed. So the BLAS shares out each product, and the rest is one thread's.
"""

import threading
import weakref
from collections.abc import Callable, Iterator

import numpy as np

from byhand.nn.network import Network
from byhand.nn.scratch import Array, First, Workspace

#: Samples prepared and read at once: few enough for the cache, enough for two threads of the BLAS to be worth waking.
BLOCK = 1_000


def read(
    network: Network, inputs: Callable[[slice, Workspace], Array], count: int, first: First | None = None
) -> Array:
    """The network's answers to `count` samples; `inputs` makes the floats of a block        → (count, K)"""
    logits = np.empty((count, network.out_size), network.dtype)
    work = own_workspace(network, first)
    for rows in blocks(count, network.together(BLOCK)):
        logits[rows], _ = network.forward(inputs(rows, work), work)
    return logits


#: Each thread's workspace, and the network that it last worked for: a model serves many threads at once.
_kept = threading.local()


def own_workspace(network: Network, first: First | None) -> Workspace:
    """This thread's workspace, the same from call to call as long as it reads with the same network.

    Memory that is new at every call costs as much as the reading: the system hands it out page by page.
    """
    of = getattr(_kept, "network", None)
    if of is None or of() is not network or _kept.first != first:
        kept = _kept.__dict__  # this thread's, whichever thread sees the network's end
        kept |= {
            "network": weakref.ref(network, lambda _: kept.clear()),
            "first": first,
            "work": Workspace(first=first),
        }
    work: Workspace = _kept.work
    return work


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of `size` rows that cover 0 … count."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
