"""`byhand sweep`: a hyperparameter search. Each trial is a line on stderr, the best one the result on stdout."""

import sys
import threading
from pathlib import Path
from typing import Any

import click

from byhand.cli.output import PLACE, Console, console_options, data, offline, option, seed
from byhand.distributed.engines import Dask
from byhand.distributed.space import Space
from byhand.distributed.sweep import Folder, resume, sweep
from byhand.errors import UsageError
from byhand.training.loop import interruptible


@click.command()
@option("--space FILE", PLACE, "A TOML file: [fixed] settings, and under [search] the ranges to try.")
@option("--trials", click.IntRange(min=1), "How many settings to try.  [default: 50]")
@option("--jobs", click.IntRange(min=1), "How many at a time. Without it, one a processor.")
@option("--engine", ("local", "dask"), "Processes of this machine (joblib), or a Dask cluster.", default="local")
@option("--address tcp://HOST:PORT", str, "The scheduler of the Dask cluster.")
@option("--folder DIR", PLACE, "The sweep's folder, new or empty. Without it, the next `sweeps/NNN`.")
@option("--resume DIR", PLACE, "Go on with a sweep that was stopped or killed.", "resumed")
@data
@seed
@offline
@console_options()
def command(
    space: str | None,
    trials: int | None,
    jobs: int | None,
    engine: str,
    address: str | None,
    folder: str | None,
    resumed: str | None,
    data: str | None,
    seed: int,
    offline: bool,
    console: Console,
) -> None:
    """Try many settings and find the best.

    Trials are judged by images held out of training, hopeless ones are stopped early, and everything is kept in one
    folder: trials.csv, sweep.html, and what `--resume DIR` needs to go on after Ctrl-C or worse.

    \b
    A space.toml:
        [fixed]
        epochs = 8
        [search]
        learning_rate = { low = 0.01, high = 0.5, log = true }
        hidden = { choices = ["128", "256", "256,128"] }
        maps = { choices = ["none", "8,16"] }
    """
    if (space is None) == (resumed is None):
        raise UsageError("give --space FILE for a new sweep, or --resume DIR to go on with one")
    named = {"--folder": folder, "--data": data, "--seed": seed or None}
    others = [name for name, value in named.items() if value is not None]
    if resumed is not None and others:
        raise UsageError(f"--resume goes on with the sweep's own settings; it can't change {', '.join(others)}")
    place = Folder(Path(resumed)) if resumed is not None else Folder.new(folder)
    searched = Space.read(space) if space is not None else None
    if (engine == "dask") != (address is not None):
        rule = "--engine dask needs --address tcp://HOST:PORT, the cluster's scheduler"
        raise UsageError(rule if address is None else "--address goes with --engine dask")
    stop = threading.Event()
    common: dict[str, Any] = {
        "folder": place,
        "jobs": jobs,
        "engine": Dask(address, jobs) if address is not None else None,
        "offline": offline,
        "stop": stop,
        "on_trial": lambda trial: console.info(str(trial)),
    }
    console.info(f"sweep: {place.path}")
    with interruptible(stop.set):
        if searched is None:
            result = resume(trials=trials, **common)
        else:
            result = sweep(searched, trials=trials or 50, data=data, seed=seed, **common)
    console.show(result.to_json, result.text)
    console.info(f"every trial: {place.path / 'sweep.html'}, {place.path / 'trials.csv'}")
    if result.interrupted:
        console.info(f"interrupted; go on with:  byhand sweep --resume {place.path}")
        sys.exit(130)
