"""`byhand sweep`: a hyperparameter search."""

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
@option("--space FILE", PLACE, "Search space: a TOML file with [fixed] settings and [search] ranges.")
@option("--trials", click.IntRange(min=1), "Number of trials.  [default: 50]")
@option("--jobs", click.IntRange(min=1), "Number of parallel jobs. Defaults to one per processor.")
@option("--engine", ("local", "dask"), "Backend: local processes (joblib), or a Dask cluster.", default="local")
@option("--address tcp://HOST:PORT", str, "Address of the Dask scheduler.")
@option("--folder DIR", PLACE, "Folder of the sweep, new or empty. Defaults to the next `sweeps/NNN`.")
@option("--resume DIR", PLACE, "Resume an interrupted sweep.", "resumed")
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
    """Run a hyperparameter search, and print the best trial.

    Trials are ranked by their loss on a held-out validation set, and bad ones are stopped early (pruned). The folder
    has trials.csv, sweep.html, and the state from which `--resume DIR` resumes an interrupted or killed search.

    \b
    Example of a search space:
        [fixed]
        epochs = 8
        [search]
        learning_rate = { low = 0.01, high = 0.5, log = true }
        hidden = { choices = ["128", "256", "256,128"] }
        maps = { choices = ["none", "8,16"] }
    """
    if (space is None) == (resumed is None):
        raise UsageError("give either --space FILE for a new sweep, or --resume DIR")
    named = {"--folder": folder, "--data": data, "--seed": seed or None}
    others = [name for name, value in named.items() if value is not None]
    if resumed is not None and others:
        raise UsageError(f"--resume keeps the settings of the sweep: remove {', '.join(others)}")
    if folder is not None:
        Folder.new(folder)  # raises an error before any work
    searched = Space.read(space) if space is not None else None
    if (engine == "dask") != (address is not None):
        rule = "--engine dask needs --address tcp://HOST:PORT of the scheduler"
        raise UsageError(rule if address is None else "--address needs --engine dask")
    stop = threading.Event()
    common: dict[str, Any] = {
        "jobs": jobs,
        "engine": Dask(address, jobs) if address is not None else None,
        "offline": offline,
        "stop": stop,
        "on_trial": lambda trial: console.info(str(trial)),
    }

    def started(folder: Path) -> None:
        console.info(f"sweep: {folder}")

    with interruptible(stop.set):
        if searched is None:
            place = Folder(Path(str(resumed)))
            started(place.path)
            result = resume(place, trials=trials, **common)
        else:
            wanted = None if folder is None else Folder(Path(folder))
            result = sweep(
                searched, trials=trials or 50, data=data, seed=seed, folder=wanted, on_start=started, **common
            )
            place = result.folder
    console.show(result.to_json, result.text)
    console.info(f"all trials: {place.path / 'sweep.html'}, {place.path / 'trials.csv'}")
    if result.interrupted:
        console.info(f"interrupted; resume with:  byhand sweep --resume {place.path}")
        sys.exit(130)
