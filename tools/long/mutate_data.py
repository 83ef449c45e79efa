"""100,000 mutations of each data format: `python tools/long/mutate_data.py [times] [format …]`.

Every one must be a valid data set or one `DataError`, in little time and memory and with nothing left behind. The
suite does 500 a format; the same numbers give the same mutations, so a failure here is repeated by its number.
What was found is written to benchmarks/results/mutations.json.
"""

import json
import platform
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np

from byhand.files import write_text

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "mutations.json"
sys.path.insert(0, str(ROOT / "tests"))

import data_mutations  # noqa: E402


def run(name: str, times: int) -> dict[str, object]:
    """The outcomes of one format; a mutation that fails ends the run with its number."""
    outcomes: Counter[str] = Counter()
    started = time.perf_counter()
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder:
        for number, path in data_mutations.mutations(data_mutations.FORMATS[name], Path(folder), range(times)):
            try:
                outcomes[data_mutations.outcome(path, Path(folder) / "cache")] += 1
            except BaseException as error:
                error.add_note(f"mutation {number} of {name}")
                raise
    tracemalloc.stop()
    return {"times": times, **outcomes, "seconds": round(time.perf_counter() - started, 1)}


def main(arguments: list[str]) -> None:
    times = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 100_000
    for name in arguments or data_mutations.FORMATS:
        found = {name: run(name, times)}
        print(found, flush=True)
        before = json.loads(RESULTS.read_text())["formats"] if RESULTS.exists() else {}
        result = {"python": platform.python_version(), "numpy": np.__version__, "formats": before | found}
        write_text(RESULTS, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
