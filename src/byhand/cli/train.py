"""`byhand train`: train a network, or an ensemble, and save it in the folder of a run."""

import shlex
import sys
from typing import Any

import click

from byhand.cli.output import PLACE, Console, console_options, load_data, offline, option, show_json
from byhand.cli.train_options import check_options, resume_settings, training_options, untrained
from byhand.data import TrainTest
from byhand.distributed import mpi
from byhand.distributed.ensemble import EnsembleResult, resume_ensemble, train_ensemble
from byhand.errors import UsageError
from byhand.training import ProgressBar, RunResult, train_run
from byhand.training import resume as resume_run
from byhand.training.run import changes_on_resume, color_of, data_of
from byhand.training.runs import MAX_MEMBERS, Run


@click.command()
@training_options
@option("--run -o DIR", PLACE, "Folder of the run, new or empty. Defaults to the next `runs/NNN`.")
@option("--resume RUN", PLACE, "Resume a run from its checkpoint, bit-identical to an uninterrupted run.")
@option(
    "--committee N",
    click.IntRange(1, MAX_MEMBERS),
    "Train an ensemble of N networks with the seeds --seed, --seed + 1, …, each in its own process, --threads in "
    "parallel. Their probabilities are averaged.",
)
@option("--class-weights", ("balanced",), "Class weights: `balanced` gives every class the same total weight.")
@option("--checkpoint-every", float, "Seconds between checkpoints.", default=30.0)
@offline
@console_options()
def command(
    preset: str,
    data: str | None,
    color: bool,
    seed: int,
    options: dict[str, Any],
    run: str | None,
    resume: str | None,
    committee: int | None,
    class_weights: str | None,
    checkpoint_every: float,
    offline: bool,
    console: Console,
) -> None:
    """Train a network and save it.

    DATA is the same as --data. Without arguments, trains the default network on MNIST and prints its test accuracy.
    Ctrl-C ends the run after the current step, saves a checkpoint, and prints the command that resumes it.
    """
    ranks = mpi.communicator()
    console.is_silent |= ranks is not None and ranks.rank > 0

    def load(name: str | None, color: bool = False) -> TrainTest:
        with mpi.rank_0_first(ranks):
            return load_data(name, offline, console, color=color)

    with mpi.aborting(ranks):
        resumed = Run.open(resume) if resume is not None else None
        settings: dict[str, Any] = {"checkpoint_every": checkpoint_every}
        if is_ensemble := bool(resumed.members) if resumed else committee is not None:
            if ranks is not None:
                raise UsageError(f"an ensemble starts its processes itself: omit mpiexec, got {ranks.size} ranks")
            settings |= {"offline": offline, "on_message": console.info}
        else:
            settings |= {"shard": ranks, "callbacks": [] if console.is_silent else [ProgressBar()]}
        result: RunResult | EnsembleResult
        if resumed is not None:
            changes = changes_on_resume(resumed, resume_settings(options))
            if is_ensemble:
                config = resumed.config()
                test = load(data if data is not None else data_of(config), color_of(config)).test
                jobs = changes.get("threads")
                result = resume_ensemble(resumed.folder, data=data, test=test, jobs=jobs, **settings)
            else:
                result = resume_run(resumed.folder, data=data, load=load, **changes, **settings)
        else:
            check_options(preset, data, seed, options, run)
            digits = load(data, color)
            model, recipe, images = untrained(preset, digits, seed, options)
            settings |= {"test": digits.test, "source": data, "preset": preset, "class_weights": class_weights}
            settings["command"] = shlex.join(["byhand", *sys.argv[1:]])
            if committee is None:
                result = train_run(run, model, images, recipe, seed=seed, **settings)
            else:
                result = train_ensemble(
                    run,
                    lambda seed: untrained(preset, digits, seed, options)[0],
                    images,
                    recipe,
                    seeds=range(seed, seed + committee),
                    jobs=recipe.threads,
                    **settings,
                )
    if ranks is None or ranks.rank == 0:
        show(result, console)


def show(result: RunResult | EnsembleResult, console: Console) -> None:
    """Print the result, and on stderr the next commands; exit with status 130 after an interruption."""
    found = result.to_json()
    run, is_interrupted = shlex.quote(found["run"]), found["ending"] == "interrupted"
    if console.as_json:
        show_json(found)
    else:
        if text := result.text():
            click.echo(text)
        if is_interrupted:
            console.info(f"interrupted; resume with:  byhand train --resume {run}")
        else:
            if found["ending"] == "stopped early":
                console.info("stopped early: the validation loss stopped improving; the best weights were kept")
            report = "" if isinstance(result, EnsembleResult) else ", with an HTML report"
            console.info(f"next:  byhand predict --run {run} digit.png     predict the digit in an image")
            console.info(f"       byhand eval {run}                        evaluate the model{report}")
    if is_interrupted:
        sys.exit(130)
