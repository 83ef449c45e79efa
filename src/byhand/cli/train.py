"""`byhand train`: train a network, or with `--committee` an ensemble, in a run's folder.

The options become a `Recipe` (see `byhand.cli.train_options`); `byhand.training` and `byhand.distributed` do the work.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from byhand.checks import integer
from byhand.cli import train_options
from byhand.cli.output import (
    PLACE,
    Console,
    console_options,
    data,
    load_data,
    load_data_of_run,
    offline,
    seed,
    show_json,
)
from byhand.data import TrainTest
from byhand.distributed import mpi
from byhand.distributed.ensemble import EnsembleResult, resume_ensemble, train_ensemble
from byhand.errors import UsageError
from byhand.report import wilson
from byhand.text import counted, percent
from byhand.training import PRESETS, Callback, ProgressBar, RunResult, train_run
from byhand.training import resume as resume_run
from byhand.training.runs import MOST_MEMBERS, Run


@click.command()
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="digits",
    show_default=True,
    help="Where all choices start: " + "; ".join(f"{p.name}: {p.about}" for p in PRESETS.values()) + ".",
)
@data
@train_options.options
@seed
@click.option(
    "--run",
    "folder",
    type=PLACE,
    metavar="DIR",
    help="The run's folder, new or empty. Without it, the next `runs/NNN`.",
)
@click.option(
    "--resume", type=PLACE, metavar="RUN", help="Go on with a run that was stopped, to the bits it would have given."
)
@click.option(
    "--committee",
    type=click.IntRange(1, MOST_MEMBERS),
    metavar="N",
    help="Train N networks from the seeds --seed, --seed + 1, …, each in a process of its own, --threads at a time; "
    "they read together, by the mean of their probabilities.",
)
@click.option("--checkpoint-every", type=float, default=30.0, show_default=True, help="Seconds between saved states.")
@offline
@console_options()
def command(
    preset: str,
    data: str | None,
    seed: int,
    folder: str | None,
    resume: str | None,
    committee: int | None,
    checkpoint_every: float,
    offline: bool,
    console: Console,
    **options: Any,
) -> None:
    """Train a network and save it.

    With no arguments it takes the data that is there, trains the default network, and says how well it reads pictures
    it has never seen. Ctrl-C ends the run after the current step, saves it, and says how to go on.
    """
    typed = {name for name in ("preset", "folder", "seed") if is_typed(name)}
    if resume is not None and (others := typed - {"seed"}):
        named = ", ".join(sorted({"folder": "--run"}.get(name, f"--{name}") for name in others))
        raise UsageError(f"--resume goes on with the run's own settings; it can't change {named}")
    seed_typed = seed if "seed" in typed else None
    ranks = mpi.communicator()
    leads = ranks is None or ranks.rank == 0
    console.is_silent |= not leads
    if committee is not None or (resume is not None and Run.open(resume).members):
        if ranks is not None:
            raise UsageError(f"a committee's members have processes of their own: no mpiexec, got {ranks.size} ranks")
        given: dict[str, Any] = {"console": console, "checkpoint_every": checkpoint_every, "offline": offline}
        if resume is not None:
            options["committee"] = committee
            ensemble = resumed_ensemble(Run(Path(resume)), data, seed_typed, options, **given)
        else:
            ensemble = new_ensemble(folder, int(committee or 1), preset, data, seed, options, **given)
        leave(summary(ensemble), console)
        return
    with mpi.aborting(ranks):

        def load(name: str | None) -> TrainTest:
            with mpi.rank_0_first(ranks):
                return load_data(name, offline, console)

        settings: dict[str, Any] = {"checkpoint_every": checkpoint_every, "shard": ranks}
        if resume is not None:
            run = Run.open(resume)
            changes = train_options.changes_on_resume(options, seed_typed, run)
            settings["callbacks"] = callbacks(ranks, run, console)
            outcome = resume_run(run.folder, data=data, load=load, **changes, **settings)
        else:
            digits = load(data)
            run = Run.new(folder) if leads else Run(Path("of rank 0"))
            model, recipe, images = train_options.untrained(preset, digits, seed, options)
            outcome = train_run(
                run.folder,
                model,
                images,
                recipe,
                seed=seed,
                test=digits.test,
                source=data,
                preset=preset,
                command=shlex.join(["byhand", *sys.argv[1:]]),
                callbacks=callbacks(ranks, run, console),
                **settings,
            )
    if leads:
        leave(summary(outcome), console)


def callbacks(ranks: mpi.Communicator | None, run: Run, console: Console) -> list[Callback]:
    """Return what shows the training."""
    if console.is_silent:
        return []
    return [ProgressBar()] if ranks is None else [mpi.ShowRanks(ranks, run.folder, console.info), ProgressBar()]


def summary(result: RunResult | EnsembleResult) -> dict[str, Any]:
    """Return the result as plain values, with the 95 % interval of the test accuracy."""
    values = result.to_json()
    if values.get("test_accuracy") is not None:
        values["interval"] = wilson(round(values["test_accuracy"] * values["tested_on"]), values["tested_on"])
    return values


def new_ensemble(
    folder: str | None,
    count: int,
    preset: str,
    data: str | None,
    seed: int,
    options: dict[str, Any],
    console: Console,
    **settings: Any,
) -> EnsembleResult:
    """Train a new ensemble from the seeds `seed`, `seed + 1`, …."""
    jobs = jobs_of(options)
    digits = load_data(data, settings["offline"], console)
    _, recipe, images = train_options.untrained(preset, digits, seed, options | {"threads": None})
    return train_ensemble(
        folder,
        lambda seed: train_options.untrained(preset, digits, seed, options | {"threads": None})[0],
        images,
        recipe,
        seeds=range(seed, seed + count),
        test=digits.test,
        source=data,
        preset=preset,
        command=shlex.join(["byhand", *sys.argv[1:]]),
        jobs=jobs,
        on_message=console.info,
        **settings,
    )


def resumed_ensemble(
    run: Run, data: str | None, seed: int | None, options: dict[str, Any], console: Console, **settings: Any
) -> EnsembleResult:
    """Resume an ensemble; reject options that it can't change any more."""
    jobs = jobs_of(options)
    if not run.members:
        raise UsageError(f"{run.folder} is the run of one network: --committee goes with a new run")
    given = set(train_options.settings_given(options)) - {"threads"}
    if others := sorted(given) + (["seed"] if seed not in (None, run.config().get("seed")) else []):
        raise UsageError(f"--resume goes on with the committee's own settings; it can't change {', '.join(others)}")
    test = load_data_of_run(run.config(), {}, data, settings["offline"], console).test
    return resume_ensemble(run.folder, data=data, test=test, jobs=jobs, on_message=console.info, **settings)


def jobs_of(options: dict[str, Any]) -> int | None:
    """Return how many members to train at a time: for an ensemble, that is the meaning of --threads."""
    return None if options["threads"] is None else integer("threads", options["threads"], 1)


def is_typed(name: str) -> bool:
    """Return True if this option was given, even with its default value."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def leave(result: dict[str, Any], console: Console) -> None:
    """Show the result of a run or an ensemble, and exit with the code for an interruption."""
    if console.as_json:
        show_json(result)
    else:
        show(result, console)
    if result["ending"] == "interrupted":
        sys.exit(130)


def show(result: dict[str, Any], console: Console) -> None:
    """Print the result, and on stderr what to do next."""
    run, is_ensemble = shlex.quote(result["run"]), "committee" in result
    if "test_accuracy" in result:  # an ensemble that was interrupted has none
        low, high = result["interval"]
        if is_ensemble:
            click.echo(f"a committee, {result['network']} on {result['data']}, {result['seconds']:.1f} s")
            alone = ", ".join(percent(share) for share in result["members_test_accuracy"])
            click.echo(f"its members alone: {alone}")
        else:
            unit = "iteration" if result["steps"] == result["epochs"] else "epoch"
            amount = f"{counted(result['epochs'], unit)} over {counted(result['trained_on'], 'image')}"
            seconds = f"{result['training_seconds']:.1f} s of training"
            click.echo(f"{result['network']} on {result['data']}: {amount}, {seconds}")
        click.echo(
            f"test accuracy {percent(result['test_accuracy'])} on {result['tested_on']:,} images never seen "
            f"(95 % interval {percent(low, 1)} to {percent(high, 1)})"
        )
        click.echo(f"saved {result['run' if is_ensemble else 'model']}")
    if result["ending"] == "interrupted":
        console.info(f"interrupted; go on with:  byhand train --resume {run}")
        return
    if result["ending"] == "stopped early":
        console.info("stopped early: the validation loss had stopped falling; the best weights were kept")
    report = "" if is_ensemble else ", and an HTML report"
    console.info(f"next:  byhand predict --run {run} digit.png     read a picture of your own")
    console.info(f"       byhand eval {run}                        the worst mistakes{report}")
