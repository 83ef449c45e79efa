"""Stress tests of byhand, for minutes or hours.

    python tests/long/rack.py [fraction of the full load [part …]]

kills           a run is killed with SIGKILL at random moments and resumed until it ends: always bit-identical
faults          one system call fails, each in turn, in a real process (see faults.py)
full_disks      a real file system fills up, at every size in turn
configurations  random networks, optimizers, schedules, data and precisions, checked against invariants
mutations       models, checkpoints, files of runs and data sets of every format, damaged blindly and deliberately

The full load (1) takes an hour and a half of one processor, `rack.py 0.1` some minutes. A failure ends the program with
its number, and the same number gives the same failure. Results go to benchmarks/results/rack.json; `docs/promises.md`
quotes them. Configurations and mutations are written in pieces, and the program continues where that file ends: delete
it to start anew.
"""

import json
import platform
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from byhand.files import write_text

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "rack.json"
sys.path.insert(0, str(ROOT / "tests"))

import faults as failing  # noqa: E402

from helpers import data_files, kills_and_faults, model_file_mutations, random_configurations, small_run  # noqa: E402

#: The full load.
KILLS, CONFIGURATIONS, MUTATIONS = 2_000, 10_000, 1_000_000

#: Cases of each kind between two writes of the results.
PIECE = 250

Found = dict[str, Any]
#: (folder, numbers) → count of each outcome; anything forbidden is an error.
Trial = Callable[[Path, range], dict[str, int]]


def kills(fraction: float, folder: Path, before: Found) -> Iterator[Found]:
    """Kill runs until the number of kills is reached; each must end with the same result."""
    runs, struck = 0, 0
    for seed, times, fingerprint in kills_and_faults.kills(folder, max(10, round(KILLS * fraction)), longest=0.2):
        whole = small_run.uninterrupted(seed=seed, chosen=small_run.LONG)
        assert fingerprint == whole, f"run {seed}, killed {times} times, ended with another result"
        shutil.rmtree(folder / str(seed))
        runs, struck = runs + 1, struck + times
    yield {"kills": struck, "runs": runs, "lost": 0}


def faults(fraction: float, folder: Path, before: Found) -> Iterator[Found]:
    """Let every system call fail once."""
    yield failing.faults(folder)


def full_disks(fraction: float, folder: Path, before: Found) -> Iterator[Found]:
    """Fill disks of every size."""
    yield failing.full_disks(folder)


def configurations(fraction: float, folder: Path, before: Found) -> Iterator[Found]:
    """Check random configurations."""

    def trial(folder: Path, numbers: range) -> dict[str, int]:
        return Counter(random_configurations.tried(number) for number in numbers)

    return in_pieces({"all": trial}, round(CONFIGURATIONS * fraction), folder, before)


def mutations(fraction: float, folder: Path, before: Found) -> Iterator[Found]:
    """Check mutations of each kind of file, equally many; the numbers of the suite come first."""

    def trial(module: Any, name: str) -> Trial:
        return lambda folder, numbers: module.outcomes(name, folder, numbers)

    kinds = {name: trial(model_file_mutations, name) for name in model_file_mutations.READERS}
    kinds |= {name: trial(data_files, name) for name in data_files.FORMATS}
    return in_pieces(kinds, round(MUTATIONS * fraction / len(kinds)), folder, before)


def in_pieces(kinds: dict[str, Trial], times: int, folder: Path, before: Found) -> Iterator[Found]:
    """Run the numbers under `times` of each kind, a piece of each in turn, starting where `before` ended."""
    found = {kind: Counter(before.get(kind, {})) for kind in kinds}
    while left := [kind for kind in kinds if found[kind].total() < times]:
        for kind in left:
            start = found[kind].total()
            found[kind] += Counter(kinds[kind](folder, range(start, min(start + PIECE, times))))
        yield {"tried": sum(counts.total() for counts in found.values()), **found}


PARTS = {part.__name__: part for part in (kills, faults, full_disks, configurations, mutations)}


def results() -> Found:
    """Return the results so far."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def main(fraction: float, names: list[str]) -> None:
    """Run the parts, all or those named, and merge their results into the file."""
    warnings.simplefilter("error")
    for name in names or PARTS:
        before = results().get(name, {})
        with tempfile.TemporaryDirectory() as folder:
            for found in PARTS[name](fraction, Path(folder), before):
                made_on = {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__}
                write_text(RESULTS, json.dumps(results() | made_on | {name: found}, indent=1) + "\n")
                print(name, json.dumps(found), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, sys.argv[2:])
