"""`byhand train`: from pictures to a saved model, with its progress on stderr and its result on stdout.

The choices of the command line become a `Recipe` (see `byhand.cli.train_options`), the trainer does the work, and
what it yields is shown here.
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from byhand.cli import ensemble as ensembles
from byhand.cli import train_options
from byhand.cli.output import PLACE, Console, console_options, data, load_data, offline, seed, show_json
from byhand.data import TrainTest
from byhand.distributed import mpi
from byhand.errors import UsageError
from byhand.report import wilson
from byhand.text import counted, percent
from byhand.training import PRESETS, Callback, ProgressBar, RunResult, Trainer, train_run
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
            ensemble = ensembles.resume(Run(Path(resume)), data, seed_typed, options, **given)
        else:
            ensemble = ensembles.train(folder, int(committee or 1), preset, data, seed, options, **given)
        leave(ensembles.summary(ensemble), ensembles.headlines, console)
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
        leave(summary(outcome), headlines, console)


def callbacks(ranks: mpi.Communicator | None, run: Run, console: Console) -> list[Callback]:
    """Return what shows the training."""
    return [] if console.is_silent else [RanksShown(ranks, run, console), ProgressBar()]


class RanksShown(Callback):
    """Shows the processes that share the run, and how to go on if one of them dies."""

    def __init__(self, ranks: mpi.Communicator | None, run: Run, console: Console) -> None:
        self.ranks, self.run, self.console = ranks, run, console

    def on_start(self, trainer: Trainer) -> None:
        if self.ranks is not None:
            threads = trainer.plan.blas * trainer.plan.workers
            self.console.info(f"{self.ranks.size} ranks, {counted(threads, 'thread')} each")
            for rank, place in enumerate(self.ranks.places):
                self.console.info(f"  rank {rank} is {place}")
            self.console.info(f"if one dies, the run ends; go on with:  byhand train --resume {self.run.folder}")


def summary(result: RunResult) -> dict[str, Any]:
    """Return the result as plain values."""
    last = result.history[-1] if len(result.history) else None
    test = result.model.metadata["test"]
    return {
        "run": str(result.run.folder),
        "model": str(result.run.model_path),
        "network": result.model.network.architecture,
        "data": result.model.metadata["data"]["name"],
        "trained_on": result.samples,
        "tested_on": test["images"],
        "epochs": result.epochs,
        "steps": result.steps,
        "ending": result.history.ending,
        "training_seconds": round(result.training_seconds, 3),
        "seconds": round(result.seconds, 3),
        "test_accuracy": test["accuracy"],
        "interval": wilson(round(test["accuracy"] * test["images"]), test["images"]),
        "train_accuracy": last and last.accuracy,
        "validation_accuracy": last and last.validation_accuracy,
    }


def is_typed(name: str) -> bool:
    """Whether this option of the command was given, even if as what it is without."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def headlines(result: dict[str, Any]) -> list[str]:
    """Return what was trained."""
    unit = "iteration" if result["steps"] == result["epochs"] else "epoch"
    amount = f"{counted(result['epochs'], unit)} over {counted(result['trained_on'], 'image')}"
    return [f"{result['network']} on {result['data']}: {amount}, {result['training_seconds']:.1f} s of training"]


def leave(result: dict[str, Any], headlines: Callable[[dict[str, Any]], list[str]], console: Console) -> None:
    """Show the result of a run or an ensemble, and exit with the code for an interruption."""
    if console.as_json:
        show_json(result)
    else:
        show(result, headlines, console)
    if result["ending"] == "interrupted":
        sys.exit(130)


def show(result: dict[str, Any], headlines: Callable[[dict[str, Any]], list[str]], console: Console) -> None:
    """Print the result, and on stderr what to do next."""
    run, is_ensemble = shlex.quote(result["run"]), "committee" in result
    if "test_accuracy" in result:  # an ensemble that was interrupted has none
        low, high = result["interval"]
        click.echo("\n".join(headlines(result)))
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
