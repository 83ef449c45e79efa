"""Cost of checkpoints: `python tests/long/checkpoint_cost.py [seconds]`, as a fraction of the training time.

A small and a large network train for some seconds (40 by default) with the settings of `byhand train`: a checkpoint
before the first step, then every 30 seconds, or less often if that would take over one percent of the time. The time of
the loop and the processor time of the writing thread count. Adam and EMA make the state large: four vectors. Needs a
quiet machine. Results go to benchmarks/results/checkpoints.json; `docs/promises.md` quotes them.
"""

import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import byhand
from byhand.files import write_text
from byhand.model import Model
from byhand.nn.optimizers import AdamW
from byhand.training import Recipe, Trainer, steps
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "checkpoints.json"


def saving(hidden: tuple[int, ...], seconds: float, folder: Path) -> dict[str, Any]:
    """Train and save for some seconds; return the number, size and cost of the checkpoints."""
    digits = byhand.load("mnist-5k", offline=True)
    recipe = Recipe(epochs=1_000_000, optimizer=AdamW(), ema_decay=0.99, threads=1)
    run = Run(folder)
    with Trainer(Model([784, *hidden, 10], seed=0), digits.train, recipe, seed=0) as session:
        with Checkpoints(run) as checkpoints:
            began = time.perf_counter()
            checkpoints.save(session, force=True)
            for _ in steps(session):
                checkpoints.save(session)
                if time.perf_counter() - began >= seconds:
                    break
        took = time.perf_counter() - began
    (saved := Checkpoints(run)).load()
    size = max(file.stat().st_size for file in (folder / "state").glob("*.safetensors"))
    return {
        "seconds": round(took, 1),
        "steps": session.progress.step,
        "saves": saved.loaded.number,
        "megabytes": round(size / 1e6, 1),
        "share_of_time": round(checkpoints.spent / took, 5),
    }


def main(seconds: float) -> None:
    found: dict[str, Any] = {"machine": platform.machine(), "numpy": np.__version__}
    for hidden in ((128,), (800, 800)):
        with tempfile.TemporaryDirectory() as folder:
            found["-".join(map(str, (784, *hidden, 10)))] = saving(hidden, seconds, Path(folder))
    print(json.dumps(found, indent=1))
    write_text(RESULTS, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 40.0)
