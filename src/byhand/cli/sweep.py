"""`byhand sweep`: a hyperparameter search. Each trial is a line on stderr, the best one the result on stdout."""

import sys
import threading
from pathlib import Path
from typing import Any

import click

from byhand.cli.output import PLACE, Console, console_options, data, offline, option, seed, show_json
from byhand.distributed.engines import Dask, Engine
from byhand.distributed.space import Space
from byhand.distributed.sweep import DONE, Folder, Result, Trial, resume, sweep
from byhand.errors import UsageError
from byhand.text import percent
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
    pool = chosen_engine(engine, address, jobs)
    console.info(f"sweep: {place.path}")
    common: dict[str, Any] = {"folder": place, "jobs": jobs, "engine": pool, "offline": offline}
    stop = threading.Event()
    with interruptible(stop.set):
        common |= {"stop": stop, "on_trial": lambda trial: console.info(line(trial))}
        if searched is None:
            result = resume(trials=trials, **common)
        else:
            result = sweep(searched, trials=trials or 50, data=data, seed=seed, **common)
    show(result, console)
    if result.interrupted:
        sys.exit(130)


def chosen_engine(engine: str, address: str | None, jobs: int | None) -> Engine | None:
    """Return the Dask cluster, or None for a pool on this machine."""
    if engine == "dask":
        if address is None:
            raise UsageError("--engine dask needs --address tcp://HOST:PORT, the cluster's scheduler")
        return Dask(address, jobs)
    if address is not None:
        raise UsageError("--address goes with --engine dask")
    return None


def line(trial: Trial) -> str:
    """Return the line of a trial that is over."""
    settings = "  ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in trial.values.items()
    )
    epochs = trial.records[-1].epoch if trial.records else 0
    text = f"trial {trial.number:3}  {trial.status:8}  {percent(trial.accuracy):>8}  {epochs:3} epochs  {settings}"
    return f"{text}  ({trial.message})" if trial.message else text


def show(result: Result, console: Console) -> None:
    """Write the best trial to stdout, and where all of them are to stderr."""
    best = result.best
    if console.as_json:
        show_json(
            {
                "folder": str(result.folder.path),
                "trials": len(result.trials),
                "done": sum(trial.status == DONE for trial in result.trials),
                "interrupted": result.interrupted,
                "best": best and {"trial": best.number, "validation_accuracy": best.accuracy, "values": best.values},
                "command": result.command,
                "importances": result.importances,
            }
        )
    elif best:
        click.echo(f"best: trial {best.number}, {percent(best.accuracy)} of the held-out images")
        click.echo(result.command)
    else:
        click.echo("no trial came to its end")
    console.info(f"every trial: {result.folder.path / 'sweep.html'}, {result.folder.path / 'trials.csv'}")
    if result.interrupted:
        console.info(f"interrupted; go on with:  byhand sweep --resume {result.folder.path}")
