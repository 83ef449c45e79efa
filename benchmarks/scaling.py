"""The scaling model and the tables of docs/scaling.md: `python -m benchmarks.scaling` (takes a second; needs SciPy).

A step of R ranks on a batch of N rows, P parameters:

    step = overhead + products(N/R)/rate + P·(descent + m·memory)  +  sum(R, P)
    sum  = latency·⌈log₂ R⌉ + 2(R − 1)/R · 4P / pace                             0 for one rank

The first terms are computed by each rank alone: the overhead of Python and small operations, independent of the batch
size; the matrix products, the only part that is divided; and the optimizer's passes over the parameters and its m state
vectors. The last is the all-reduce of the gradients: an optimal algorithm sends and receives each number once per rank.

The constants are fitted to what tests/long/mpi_throughput.py measured with one rank and with two
(benchmarks/results/mpi.json) and kept in benchmarks/results/scaling.json. The model is then compared with four ranks on
two processors, and extrapolated to clusters.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import nnls

from byhand.files import write_text

#: Columns that a product computes at once, and bytes of a number: float32.
TILE, BYTES = 16, 4


@dataclass(frozen=True)
class Wire:
    """A network between ranks: minimum seconds of a message, and bytes per second."""

    latency: float
    pace: float

    def sum(self, ranks: int, parameters: int) -> float:
        """Seconds of an all-reduce of a given number of values."""
        if ranks == 1:
            return 0.0
        return self.latency * math.ceil(math.log2(ranks)) + moved(ranks, parameters) / self.pace


@dataclass(frozen=True)
class Rank:
    """Costs of one rank, which is a processor with one thread."""

    #: Seconds per step, independent of its size.
    overhead: float
    #: Additions and multiplications per second in products.
    rate: float
    #: Seconds per parameter: the norm and plain descent; and for each state vector of the optimizer.
    descent: float
    memory: float

    def step(self, sizes: Sequence[int], rows: float, memory: int) -> float:
        """Seconds of a step on `rows` rows, without the all-reduce; `memory` is the number of state vectors."""
        return (
            self.overhead
            + products(sizes, rows) / self.rate
            + parameters(sizes) * (self.descent + memory * self.memory)
        )


@dataclass(frozen=True)
class Cluster:
    """Ranks of one kind on one wire. `processors` is given if there are fewer processors than ranks."""

    rank: Rank
    wire: Wire
    processors: int | None = None

    def step(self, sizes: Sequence[int], batch: int, memory: int, ranks: int) -> float:
        """Seconds of a step of all ranks. Ranks that share a processor take turns."""
        turns = ranks / min(ranks, self.processors or ranks)
        own = self.rank.step(sizes, batch / ranks, memory)
        return turns * (own + self.wire.sum(ranks, parameters(sizes)))

    def gain(self, sizes: Sequence[int], batch: int, memory: int, ranks: int) -> float:
        """Speedup over one rank."""
        return self.step(sizes, batch, memory, 1) / self.step(sizes, batch, memory, ranks)


def products(sizes: Sequence[int], rows: float) -> float:
    """Additions and multiplications of a step: forward and dW in every layer, dX in every layer but the first."""
    pairs = itertools.pairwise(sizes)
    return sum(2 * rows * inputs * tiled(units) * (2 if i == 0 else 3) for i, (inputs, units) in enumerate(pairs))


def tiled(units: int) -> int:
    """Columns that the BLAS computes for a product of a given width."""
    return math.ceil(units / TILE) * TILE


def parameters(sizes: Sequence[int]) -> int:
    """Number of weights and biases."""
    return sum((inputs + 1) * units for inputs, units in itertools.pairwise(sizes))


def moved(ranks: int, parameters: int) -> float:
    """Bytes that a rank sends, and receives, in an all-reduce: all parts but its own, then all sums but its own."""
    return 2 * (ranks - 1) / ranks * BYTES * parameters


ROOT = Path(__file__).resolve().parents[1]
MEASURED, RESULTS = (ROOT / "benchmarks" / "results" / name for name in ("mpi.json", "scaling.json"))
PAGE = ROOT / "docs" / "scaling.md"

MEMORY = {"sgd": 0, "adam": 2}
#: Networks with typical published figures, not measured here.
WIRES = {
    "Ethernet, 10 Gbit/s": Wire(latency=30e-6, pace=1.1e9),
    "fabric, 100 Gbit/s": Wire(latency=3e-6, pace=11e9),
}
RANKS = (16, 256, 4_096)
WEIGHTS = (10**5, 10**6, 10**7, 10**8, 10**9)


def shapes(found: dict[str, Any]) -> Iterator[tuple[str, list[int], int, int, dict[str, Any]]]:
    """Yield (name, sizes, batch, number of state vectors of the optimizer, figures)."""
    for name, figures in found["shapes"].items():
        kind, network, _, batch = name.split()
        yield name, [int(size) for size in network.split("-")], int(batch), MEMORY[kind], figures


def fitted(measured: dict[str, Any]) -> dict[str, float]:
    """Fit the constants by non-negative least squares of the relative errors; the latency is the smallest sum."""
    latency = 1e-6 * min(measured["2 ranks"]["sums_us"].values())
    rows, times = [], []
    for _, sizes, batch, memory, figures in shapes(measured["2 ranks"]):
        P = parameters(sizes)
        for contestant, share, sums in (("alone", batch, 0), ("limit", batch / 2, 0), ("shared", batch / 2, 1)):
            rows.append([1, products(sizes, share), P, P * memory, sums * moved(2, P)])
            times.append(1e-3 * figures[f"{contestant}_ms"] - sums * latency)
    found, _ = nnls(np.array(rows) / np.array(times)[:, None], np.ones(len(times)))
    overhead, product, descent, remembered, byte = (float(value) for value in found)
    constants = {"overhead": overhead, "rate": 1 / product, "descent": descent, "memory": remembered}
    return {name: float(f"{value:.3g}") for name, value in {**constants, "latency": latency, "pace": 1 / byte}.items()}


def cluster(constants: dict[str, float], processors: int | None = None) -> Cluster:
    """The machine with these constants."""
    rank = Rank(**{name: constants[name] for name in ("overhead", "rate", "descent", "memory")})
    return Cluster(rank, Wire(constants["latency"], constants["pace"]), processors)


def network(weights: int) -> list[int]:
    """Layer sizes 784, n, n, 10 with about the given number of weights."""
    n = round((-794 + np.sqrt(794**2 + 4 * weights)) / 2)
    return [784, n, n, 10]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def constants_table(constants: dict[str, float]) -> str:
    rows = [
        ("overhead", f"{1e6 * constants['overhead']:.0f} µs per step"),
        ("rate", f"{1e-9 * constants['rate']:.0f} GFLOP/s"),
        ("descent", f"{1e9 * constants['descent']:.2f} ns per parameter"),
        ("memory", f"{1e9 * constants['memory']:.2f} ns per parameter and state vector"),
        ("latency", f"{1e6 * constants['latency']:.1f} µs"),
        ("pace", f"{1e-9 * constants['pace']:.1f} GB/s"),
    ]
    return table(["constant", "here"], [list(row) for row in rows])


def two_ranks_table(here: Cluster, measured: dict[str, Any]) -> str:
    rows = []
    for name, sizes, batch, memory, figures in shapes(measured["2 ranks"]):
        middle, low, high = figures["shared_gain"]
        row = [name, f"{figures['alone_ms']:.2f}", f"{1e3 * here.step(sizes, batch, memory, 1):.2f}"]
        row += [f"{figures['shared_ms']:.2f}", f"{1e3 * here.step(sizes, batch, memory, 2):.2f}"]
        row += [f"{middle:.2f} ({low:.2f}–{high:.2f})", f"{here.gain(sizes, batch, memory, 2):.2f}"]
        rows.append([*row, f"{figures['limit_gain'][0]:.2f}"])
    head = ["ms per step", "1 rank", "model", "2 ranks", "model", "gain", "model", "gain if sums were free"]
    return table(head, rows)


def four_ranks_table(two: Cluster, measured: dict[str, Any]) -> str:
    rows = []
    for name, sizes, batch, memory, figures in shapes(measured["4 ranks"]):
        foretold = 1e3 * two.step(sizes, batch, memory, 4)
        rows.append(
            [name, f"{figures['shared_ms']:.2f}", f"{foretold:.2f}", f"{figures['shared_ms'] / foretold:.1f} ×"]
        )
    return table(["4 ranks on 2 processors, ms per step", "measured", "model", "ratio"], rows)


def errors(here: Cluster, measured: dict[str, Any]) -> list[float]:
    """The model's relative errors for one rank and two."""
    return [
        here.step(sizes, batch, memory, ranks) / (1e-3 * figures[f"{name}_ms"]) - 1
        for _, sizes, batch, memory, figures in shapes(measured["2 ranks"])
        for name, ranks in (("alone", 1), ("shared", 2))
    ]


def by_weights(cell: Callable[[Cluster, list[int], int], str], rank: Rank) -> str:
    """A row for each wire and number of ranks, a column for each number of weights."""
    rows = [
        [f"{name}, {ranks:,} ranks", *(cell(Cluster(rank, wire), network(weights), ranks) for weights in WEIGHTS)]
        for name, wire in WIRES.items()
        for ranks in RANKS
    ]
    return table(["", *(f"10{power(weights)}" for weights in WEIGHTS)], rows)


def power(number: int) -> str:
    """100,000 → ⁵"""
    return "⁰¹²³⁴⁵⁶⁷⁸⁹"[len(str(number)) - 1]


def same_batch(one: Cluster, sizes: list[int], ranks: int) -> str:
    """Speedup over one rank at a batch of 4,096."""
    return f"{one.gain(sizes, 4_096, 2, ranks):,.1f} ×"


def growing_batch(one: Cluster, sizes: list[int], ranks: int) -> str:
    """Efficiency at 128 rows per rank: the fraction of the time that a rank computes."""
    return f"{one.step(sizes, 128, 2, 1) / one.step(sizes, 128 * ranks, 2, ranks):.0%}"


def rows_that_pay(one: Cluster, sizes: list[int], ranks: int) -> str:
    """The smallest power of two of rows per rank for which products take half of the time."""
    for rows in (2**i for i in range(21)):
        if products(sizes, rows) / one.rank.rate >= one.step(sizes, rows * ranks, 2, ranks) / 2:
            return f"{rows:,}"
    return "over 2²⁰"


def overlapped(one: Cluster, sizes: list[int], ranks: int) -> str:
    """Efficiency with the all-reduce overlapped with the backward pass, two thirds of the products."""
    own, sums = one.rank.step(sizes, 128, 2), one.wire.sum(ranks, parameters(sizes))
    return f"{own / (own + max(0.0, sums - products(sizes, 128) / one.rank.rate * 2 / 3)):.0%}"


def tables(constants: dict[str, float], measured: dict[str, Any]) -> dict[str, str]:
    """Return name → table of the page."""
    here = cluster(constants)
    wrong = [abs(error) for error in errors(here, measured)]
    return {
        "constants": constants_table(constants),
        "fit": f"The model is off by {median(wrong):.0%} in the median and {max(wrong):.0%} at most.",
        "two ranks": two_ranks_table(here, measured),
        "four ranks": four_ranks_table(cluster(constants, 2), measured),
        "same batch": by_weights(same_batch, here.rank),
        "growing batch": by_weights(growing_batch, here.rank),
        "rows that pay": by_weights(rows_that_pay, here.rank),
        "overlapped": by_weights(overlapped, here.rank),
    }


def filled(page: str, parts: dict[str, str]) -> str:
    """Return the page with each part between its markers."""
    for name, part in parts.items():
        marks = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page, count = re.subn(marks, rf"\g<1>{part}\n\g<2>", page, flags=re.DOTALL)
        assert count == 1, f"the page must have one place for {name!r}, got {count}"
    return page


def main() -> None:
    measured = json.loads(MEASURED.read_text("utf-8"))
    constants = fitted(measured)
    write_text(RESULTS, json.dumps(constants, indent=1) + "\n")
    write_text(PAGE, filled(PAGE.read_text("utf-8"), tables(constants, measured)))
    print(json.dumps(constants))


if __name__ == "__main__":
    main()
