"""Accuracy: the presets' accuracy on MNIST's test set, over several seeds.

Each preset and seed is a run of `byhand train` in a process and a folder of its own; an interrupted run is resumed, and
a finished one is not trained again. `train` scores the test images once, at its end, with everything chosen before;
this module only collects the scores. The networks of one preset are also scored with shifts, and as an ensemble.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import robustness
from benchmarks.rounds import Log
from byhand.data import Dataset, TrainTest
from byhand.errors import ByhandError, UsageError
from byhand.files import write_text
from byhand.model import Model
from byhand.model.ensemble import Ensemble, ShiftAveraged
from byhand.model.preparation import Preparation
from byhand.nn.network import Network
from byhand.report import wilson
from byhand.training import Recipe, Trainer, preset
from byhand.training.runs import Run, holds_no_step

#: The default presets, which take a minute.
PRESETS = ("fast", "digits")
#: Default folder of the runs.
HOME = Path("runs/accuracy")
#: File in a run's folder: the seconds of the process that trained it.
PROCESS = "process_seconds.txt"


def measure(presets: Sequence[str], seeds: Sequence[int], digits: TrainTest, data: str, home: Path, log: Log) -> Any:
    """Train the runs that are missing; return the figures of each preset."""
    return {name: of_preset(name, seeds, digits.test, data, home, log) for name in presets}


def of_preset(name: str, seeds: Sequence[int], test: Dataset, data: str, home: Path, log: Log) -> dict[str, Any]:
    """Figures of one preset."""
    seconds = [train_run(name, seed, data, home, log) for seed in seeds]
    runs = [run_of(home, name, seed) for seed in seeds]
    members = [run.model() for run in runs]
    shares = [score(run, test) for run in runs]
    low, high = wilson(round(statistics.fmean(shares) * len(test)), len(test))
    return {
        "network": members[0].architecture,
        "preparation": members[0].preparation.config(),
        "recipe": preset(name).recipe.config(),
        "seeds": list(seeds),
        "tested_on": len(test),
        "accuracy": shares,
        "mean": statistics.fmean(shares),
        "spread": max(shares) - min(shares),
        "interval_of_the_mean": [low, high],
        "accuracy_shifted": [ShiftAveraged(member).accuracy(test) for member in members],
        "training_seconds": [run.records()[-1].seconds for run in runs],
        "process_seconds": seconds,
        "committee_of_all": Ensemble(members).accuracy(test) if len(members) > 1 else None,
        "committee_shifted": ShiftAveraged(Ensemble(members)).accuracy(test) if len(members) > 1 else None,
        "made_with": runs[0].config()["made_with"],
    }


def run_of(home: Path, name: str, seed: int) -> Run:
    """Return the run of a preset and a seed."""
    return Run(home / f"{name}-{seed}")


def score(run: Run, test: Dataset) -> float:
    """Return the accuracy that `byhand train` wrote; raise if it was measured on another test set."""
    card = run.model().metadata
    if (card["test"]["name"], card["test"]["images"]) != (test.name, len(test)):
        raise UsageError(f"{run.folder}: must have been tested on {test.name}, got {card['test']['name']}")
    return float(card["test"]["accuracy"])


def train_run(name: str, seed: int, data: str, home: Path, log: Log) -> float | None:
    """Train one run to its end; return the seconds of the process, None if it was interrupted or started otherwise."""
    run = run_of(home, name, seed)
    note = run.folder / PROCESS
    if not holds_no_step(run.folder):
        if not is_of(name, seed, run.config()):
            raise UsageError(f"{run.folder}: must be a run of the preset {name} as it is now, with the seed {seed}")
        if run.model_path.is_file() and run.model().metadata.get("ending") == "done":
            log(f"{run.folder}: finished already")
            return float(note.read_text()) if note.is_file() else None
        train("--resume", str(run.folder))
        log(f"{run.folder}: resumed")
        return None
    began = time.perf_counter()
    train("--preset", name, "--seed", str(seed), "--data", data, "--run", str(run.folder))
    seconds = time.perf_counter() - began
    write_text(note, f"{seconds:.3f}\n")
    log(f"{run.folder}: trained, {seconds:.1f} s")
    return seconds


def is_of(name: str, seed: int, config: dict[str, Any]) -> bool:
    """True if a run's config is that of the current preset. Settings newer than the run have their defaults."""
    if (config.get("preset"), config.get("seed")) != (name, seed):
        return False
    try:
        recipe = Recipe.from_config(config["recipe"]).replace(threads=None)  # not part of a preset
        network = Network.from_config(config["network"])
        preparation = Preparation(**config["preparation"])
    except (KeyError, TypeError, UsageError):
        return False
    chosen = preset(name)
    model = chosen.model(network.in_size, tuple(map(str, range(network.out_size))), seed=0)
    theirs = (recipe, network.config(), preparation)
    return theirs == (chosen.recipe, model.network.config(), model.preparation)


def train(*words: str) -> None:
    """Run `byhand train` in a process of its own; raise its last line if it fails."""
    command = [sys.executable, "-m", "byhand", "train", "--json", "--quiet", *words]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ByhandError(f"byhand train {' '.join(words)}: {lines[-1].removeprefix('byhand: ')}")


def pace(name: str, digits: TrainTest, *, seconds: float) -> dict[str, float]:
    """Extrapolate the time of a whole training from `seconds` of it: for recipes that take minutes or hours."""
    chosen = preset(name)
    height, width = digits.train.images.shape[1:]
    model = chosen.model(height * width, digits.train.classes, seed=0)
    with Trainer(model, digits.train, chosen.recipe, seed=0) as trainer:
        for _ in range(max(1, 10_000 // trainer.batches.batch_size)):  # warm-up: memory is allocated, prefetching runs
            trainer.step()
        begun, before = time.perf_counter(), trainer.progress.step
        while time.perf_counter() - begun < seconds:
            trainer.step()
        a_step = (time.perf_counter() - begun) / (trainer.progress.step - before)
        return {"steps": trainer.progress.step - before, "whole_training_seconds": a_step * trainer.total_steps}


def robust(presets: Sequence[str], seeds: Sequence[int], digits: TrainTest, home: Path, log: Log) -> dict[str, Any]:
    """Accuracy of those runs on the variants of the test images, normalized as by `byhand predict`."""
    models = {name: [run_of(home, name, seed).model() for seed in seeds] for name in presets}
    shares: dict[str, dict[str, float]] = {name: {} for name in presets}
    for variant, how in robustness.VARIANTS.items():
        pictures = robustness.normalized(digits.test, {variant: how})
        for name in presets:
            shares[name] |= averaged(models[name], pictures)
        log(f"{variant}: " + ", ".join(f"{name} {100 * shares[name][variant]:.2f} %" for name in presets))
    from_elsewhere = robustness.normalized(robustness.small_digits(), robustness.ENLARGED)
    return {
        "presets": {
            name: {
                "images": len(digits.test),
                "seeds": list(seeds),
                "accuracy": shares[name],
                "costs_too_much": robustness.too_costly(shares[name]),
                "from_elsewhere": averaged(models[name], from_elsewhere),
            }
            for name in presets
        }
    }


def averaged(models: Sequence[Model], variants: dict[str, robustness.Images]) -> dict[str, float]:
    """Mean of several models' accuracy."""
    each = [robustness.accuracy_of(model, variants) for model in models]
    return {name: statistics.fmean(shares[name] for shares in each) for name in variants}
