"""`byhand train`: train a network, or with `--committee` an ensemble, in a run's folder.

The options become a `Recipe` (see `byhand.cli.train_options`); `byhand.training` and `byhand.distributed` do the work.
"""

import shlex
import sys
from typing import Any

import click

from byhand.cli import train_options
from byhand.cli.output import Console, console_options, data, load_data, offline, option, seed, show_json
from byhand.data import TrainTest
from byhand.distributed import mpi
from byhand.distributed.ensemble import EnsembleResult, resume_ensemble, train_ensemble
from byhand.errors import UsageError
from byhand.training import PRESETS, ProgressBar, RunResult, train_run
from byhand.training import resume as resume_run
from byhand.training.run import changes_on_resume, data_of
from byhand.training.runs import Run


@click.command()
@train_options.preset_option(
    "Where all choices start: " + "; ".join(f"{p.name}: {p.about}" for p in PRESETS.values()) + "."
)
@data
@train_options.of_recipe
@seed
@train_options.options(train_options.OF_RUN)
@option("--checkpoint-every", float, "Seconds between saved states.", default=30.0)
@offline
@console_options()
def command(
    preset: str,
    data: str | None,
    seed: int,
    run: str | None,
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
    ranks = mpi.communicator()
    leads = ranks is None or ranks.rank == 0
    console.is_silent |= not leads

    def load(name: str | None) -> TrainTest:
        with mpi.rank_0_first(ranks):
            return load_data(name, offline, console)

    with mpi.aborting(ranks):
        stopped = Run.open(resume) if resume is not None else None
        settings: dict[str, Any] = {"checkpoint_every": checkpoint_every}
        if is_ensemble := bool(stopped.members) if stopped else committee is not None:
            if ranks is not None:
                raise UsageError(
                    f"a committee's members have processes of their own: no mpiexec, got {ranks.size} ranks"
                )
            settings |= {"offline": offline, "on_message": console.info}
        else:
            settings |= {"shard": ranks, "callbacks": [] if console.is_silent else [ProgressBar()]}
        result: RunResult | EnsembleResult
        if stopped is not None:
            changes = changes_on_resume(stopped, train_options.settings_of_resume(options))
            if is_ensemble:
                test = load(data if data is not None else data_of(stopped.config())).test
                jobs = changes.get("threads")
                result = resume_ensemble(stopped.folder, data=data, test=test, jobs=jobs, **settings)
            else:
                result = resume_run(stopped.folder, data=data, load=load, **changes, **settings)
        else:
            digits = load(data)
            model, recipe, images = train_options.untrained(preset, digits, seed, options)
            settings |= {"test": digits.test, "source": data, "preset": preset}
            settings["command"] = shlex.join(["byhand", *sys.argv[1:]])
            if committee is None:
                result = train_run(run, model, images, recipe, seed=seed, **settings)
            else:
                result = train_ensemble(
                    run,
                    lambda seed: train_options.untrained(preset, digits, seed, options)[0],
                    images,
                    recipe,
                    seeds=range(seed, seed + committee),
                    jobs=recipe.threads,
                    **settings,
                )
    if leads:
        show(result, console)


def show(result: RunResult | EnsembleResult, console: Console) -> None:
    """Print the result and, on stderr, what to do next; exit with the code for an interruption."""
    found = result.to_json()
    run, is_interrupted = shlex.quote(found["run"]), found["ending"] == "interrupted"
    if console.as_json:
        show_json(found)
    else:
        if text := result.text():
            click.echo(text)
        if is_interrupted:
            console.info(f"interrupted; go on with:  byhand train --resume {run}")
        else:
            if found["ending"] == "stopped early":
                console.info("stopped early: the validation loss had stopped falling; the best weights were kept")
            report = "" if isinstance(result, EnsembleResult) else ", and an HTML report"
            console.info(f"next:  byhand predict --run {run} digit.png     read a picture of your own")
            console.info(f"       byhand eval {run}                        the worst mistakes{report}")
    if is_interrupted:
        sys.exit(130)
