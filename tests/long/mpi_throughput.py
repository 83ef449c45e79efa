"""Speedup by MPI: `python tests/long/mpi_throughput.py [ranks [seconds]]`, 2 ranks by default.

Four shapes, SGD and Adam, one BLAS thread per rank. The contestants take turns, round by round, in the same processes:

alone     rank 0 alone, while the others sleep
limit     every rank alone on its part of the batch, simultaneously: the speedup if sums were free
shared    the ranks together

The result of a round is the median of its steps; the median of the rounds and their range are reported. A round in
which a rank had its processor for less than 97 % of the time does not count: the machine was busy. Needs a quiet
machine, the full MNIST (BYHAND_DATA) and the extra `mpi`. Results go to benchmarks/results/mpi.json, next to those for
other numbers of ranks; `docs/scaling.md` quotes them.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import byhand
from byhand.files import write_text
from byhand.model import Model
from byhand.nn.optimizers import optimizer_named
from byhand.training import Recipe, Trainer

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "mpi.json"
#: hidden layers, batch, steps in a round
SHAPES = (((128,), 128, 120), ((512, 256), 128, 40), ((128,), 32, 200), ((800, 800), 256, 12))
OPTIMIZERS = ("sgd", "adam")
ROUNDS, BUSY = 9, 0.97
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Ranks:
    """The ranks, and how they take turns without disturbing each other."""

    def __init__(self) -> None:
        from mpi4py import MPI

        from byhand.distributed import mpi

        comm = mpi.communicator()
        assert comm is not None, "start this with mpiexec, or without the argument `rank`"
        self.comm, self.world, self.least = comm, comm.world, MPI.MIN
        #: Seconds spent in sums so far, including waiting for the slowest rank.
        self.seconds, self._sum = 0.0, comm.sum
        comm.sum = self.sum  # type: ignore[method-assign]

    def sum(self, vector: Any) -> Any:
        """Sum the vector over the ranks, and measure how long that takes."""
        began = time.perf_counter()
        self._sum(vector)
        self.seconds += time.perf_counter() - began
        return vector

    def gather(self) -> None:
        """Wait for all ranks, asleep: MPI's own barrier would keep a processor busy."""
        request = self.world.Ibarrier()
        while not request.Test():
            time.sleep(2e-4)

    def round(self, session: Trainer | None, steps: int) -> tuple[float, bool]:
        """Return the median time of this rank's steps in milliseconds, and True if no rank was disturbed."""
        self.gather()
        self.world.Barrier()
        took, busy = [], 1.0
        if session is not None:
            wall, processor = time.perf_counter(), time.process_time()
            for _ in range(steps):
                began = time.perf_counter()
                session.step()
                took.append(time.perf_counter() - began)
            busy = (time.process_time() - processor) / (time.perf_counter() - wall)
        self.gather()
        return 1e3 * median(took or [0.0]), self.world.allreduce(busy, op=self.least) >= BUSY


def measured(ranks: Ranks, hidden: tuple[int, ...], batch: int, steps: int, kind: str, until: float) -> dict[str, Any]:
    """Measure one shape with one optimizer, in rounds, until there are enough of them or the time is over."""
    data = byhand.load(os.environ.get("BYHAND_DATA", "mnist")).train

    def session(batch_size: int, shard: Any) -> Trainer:
        recipe = Recipe(epochs=10_000, batch_size=batch_size, optimizer=optimizer_named(kind), threads=1)
        return Trainer(Model([784, *hidden, 10], seed=0), data, recipe, seed=0, shard=shard)

    comm = ranks.comm
    sessions = {
        "alone": session(batch, None) if comm.rank == 0 else None,
        "limit": session(max(1, batch // comm.size), None),
        "shared": session(batch, comm),
    }
    rounds: list[dict[str, float]] = []
    dropped = 0
    ranks.round(sessions["shared"], steps)
    while len(rounds) < ROUNDS and ranks.world.bcast(time.monotonic() < until):
        figures, quiet = {}, True
        before = ranks.seconds
        for name, one in sessions.items():
            figures[name], is_quiet = ranks.round(one, steps)
            quiet = quiet and (is_quiet or comm.size > 2)
        figures["sums"] = 1e3 * (ranks.seconds - before) / steps
        if quiet:
            rounds.append(figures)
        dropped += not quiet
    for one in sessions.values():
        if one is not None:
            one.close()
    if not rounds:
        return {"rounds": 0, "dropped": dropped}
    found: dict[str, Any] = {"rounds": len(rounds), "dropped": dropped}
    found |= {f"{name}_ms": round(median(r[name] for r in rounds), 4) for name in (*sessions, "sums")}
    for name in ("limit", "shared"):
        gains = sorted(r["alone"] / r[name] for r in rounds)
        found[f"{name}_gain"] = [round(gain, 3) for gain in (median(gains), gains[0], gains[-1])]
    return found


def pace_of_sums(ranks: Ranks) -> dict[str, float]:
    """Return the microseconds of a sum over the ranks, by its number of elements."""
    found = {}
    for size in (1_000, 10_000, 101_773, 535_821, 1_276_813, 5_000_000):
        vector = np.ones(size, np.float32)
        took = []
        ranks.gather()
        for _ in range(60):
            ranks.world.Barrier()
            began = time.perf_counter()
            ranks.comm.sum(vector)
            took.append(time.perf_counter() - began)
            vector[:] = 1
        found[str(size)] = round(1e6 * float(np.percentile(took, 25)), 1)
    return found


def on_a_rank(seconds: float) -> None:
    """Measure on each rank; rank 0 writes the results."""
    ranks = Ranks()
    found: dict[str, Any] = {"sums_us": pace_of_sums(ranks), "shapes": {}}
    runs = [(shape, kind) for kind in OPTIMIZERS for shape in SHAPES]
    began = time.monotonic()
    for i, ((hidden, batch, steps), kind) in enumerate(runs):
        name = f"{kind} {'-'.join(map(str, (784, *hidden, 10)))} / {batch}"
        found["shapes"][name] = measured(ranks, hidden, batch, steps, kind, began + seconds * (i + 1) / len(runs))
        if ranks.comm.rank == 0:
            print(name, found["shapes"][name], flush=True)
    if ranks.comm.rank == 0:
        before = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        made_on = {"machine": platform.machine(), "processors": os.cpu_count(), "numpy": np.__version__}
        write_text(RESULTS, json.dumps(before | made_on | {f"{ranks.comm.size} ranks": found}, indent=1) + "\n")


def main(count: int, seconds: float) -> int:
    """Start the ranks."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else "mpiexec"
    command = [mpiexec, "-n", str(count), sys.executable, __file__, "rank", str(seconds)]
    return subprocess.run(command, env=os.environ | ONE_THREAD, check=False).returncode


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["rank"]:
        on_a_rank(float(words[1]))
    else:
        sys.exit(main(int(words[0]) if words else 2, float(words[1]) if len(words) > 1 else 90.0))
