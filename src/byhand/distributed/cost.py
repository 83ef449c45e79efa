"""What a step costs, and what sharing it over ranks would gain: a model of few constants, fitted on measured steps.

A step of R ranks on a batch of N rows, P parameters:

    step = overhead + products(N/R)/rate + P·(descent + m·memory)  +  sum(R, P)
    sum  = latency·⌈log₂ R⌉ + 2(R − 1)/R · 4P / pace                             0 for one rank

The first terms are one rank's own: what Python and small operations take whatever the size; the multiplications of the
products, the only part that is shared out; and the optimiser's passes over the parameters, with m vectors that it
remembers. The last is the sum of the gradients: in the best of algorithms each number leaves a rank once and comes back
once.

`HERE` was fitted by benchmarks/scaling.py on the measurements of benchmarks/results/mpi.json; `docs/scaling.md` shows
how well it fits and what it foretells.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from byhand.nn.network import Network

#: Columns that a product computes at once, and bytes of a number: float32.
TILE, BYTES = 16, 4
#: A gain from which one would say that ranks pay.
PAYS = 1.25


@dataclass(frozen=True)
class Wire:
    """How ranks reach one another: seconds that a message takes at least, and bytes a second."""

    latency: float
    pace: float

    def sum(self, ranks: int, parameters: int) -> float:
        """Seconds of a sum of so many numbers over the ranks."""
        if ranks == 1:
            return 0.0
        return self.latency * math.ceil(math.log2(ranks)) + moved(ranks, parameters) / self.pace


@dataclass(frozen=True)
class Rank:
    """What one rank, a processor with one thread, takes for the parts of a step."""

    #: Seconds a step, whatever its size.
    overhead: float
    #: Additions and multiplications a second in products.
    rate: float
    #: Seconds for each parameter: the norm and plain descent; and for each vector that the optimiser remembers.
    descent: float
    memory: float

    def step(self, sizes: Sequence[int], rows: float, memory: int) -> float:
        """Seconds of a step on so many rows, before any sum; `memory` vectors are what the optimiser remembers."""
        return (
            self.overhead
            + products(sizes, rows) / self.rate
            + parameters(sizes) * (self.descent + memory * self.memory)
        )


@dataclass(frozen=True)
class Cluster:
    """Ranks of one kind on one wire. `processors` is how many there are, where that is less than the ranks."""

    rank: Rank
    wire: Wire
    processors: int | None = None

    def step(self, sizes: Sequence[int], batch: int, memory: int, ranks: int) -> float:
        """Seconds of a step of all ranks together. Ranks that share a processor take turns."""
        turns = ranks / min(ranks, self.processors or ranks)
        own = self.rank.step(sizes, batch / ranks, memory)
        return turns * (own + self.wire.sum(ranks, parameters(sizes)))

    def gain(self, sizes: Sequence[int], batch: int, memory: int, ranks: int) -> float:
        """How many times faster than one rank."""
        return self.step(sizes, batch, memory, 1) / self.step(sizes, batch, memory, ranks)

    def batch_that_pays(self, sizes: Sequence[int], memory: int, ranks: int, least: float = PAYS) -> int | None:
        """The smallest power of two, as a batch, with which the ranks gain so much; None if none up to 2²⁰ does."""
        for batch in (1 << i for i in range(math.ceil(math.log2(ranks)), 21)):
            if self.gain(sizes, batch, memory, ranks) >= least:
                return batch
        return None


#: One thread of the machine that was measured, and the memory that its ranks share.
HERE = Cluster(
    Rank(overhead=6.45e-05, rate=1.04e11, descent=4.41e-10, memory=5.18e-10), Wire(latency=1.23e-05, pace=9.99e9)
)


def forecast(sizes: Sequence[int], batch: int, memory: int, ranks: int, processors: int) -> str | None:
    """A warning where so many ranks on one machine would hardly gain anything, with what would help."""
    here = Cluster(HERE.rank, HERE.wire, processors)
    gain = here.gain(sizes, batch, memory, ranks)
    if gain >= PAYS:
        return None
    enough = here.batch_that_pays(sizes, memory, ranks)
    advice = "no batch size would change that" if enough is None else f"from about {enough:,} on they pay"
    return (
        f"{ranks} ranks will be about {gain:.1f} × as fast as one with one thread at --batch-size {batch:,}: {advice}"
    )


def dense_sizes(network: Network) -> list[int] | None:
    """The sizes of the network's layers; None where it has convolutions, of whose steps nothing was measured."""
    if len(network.parametric_layers) > len(network.dense):
        return None
    return [network.in_size, *(layer.units for layer in network.dense)]


def products(sizes: Sequence[int], rows: float) -> float:
    """Additions and multiplications of a step: forward and dW in every layer, dX in every layer but the first."""
    pairs = itertools.pairwise(sizes)
    return sum(2 * rows * inputs * tiled(units) * (2 if i == 0 else 3) for i, (inputs, units) in enumerate(pairs))


def tiled(units: int) -> int:
    """The columns that a product of so many computes."""
    return math.ceil(units / TILE) * TILE


def parameters(sizes: Sequence[int]) -> int:
    """Weights and biases."""
    return sum((inputs + 1) * units for inputs, units in itertools.pairwise(sizes))


def moved(ranks: int, parameters: int) -> float:
    """Bytes that a rank sends, and gets, in a sum: all parts but its own, and then all sums but its own."""
    return 2 * (ranks - 1) / ranks * BYTES * parameters
