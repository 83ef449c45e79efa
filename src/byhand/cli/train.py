"""`byhand train`: from pictures to a saved model, with its progress on stderr and its result on stdout.

The choices of the command line become a `Recipe` (see `byhand.cli.train_options`), the trainer does the work, and
what it yields is shown here.
"""

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from byhand.cli import committee as committees
from byhand.cli import train_options
from byhand.cli.output import PLACE, Console, as_json, data, load_data, offline, quiet, seed, show_json
from byhand.cli.progress import Progress
from byhand.distributed import mpi
from byhand.errors import DivergedError, UsageError
from byhand.report import wilson
from byhand.text import counted, percent
from byhand.threads import available
from byhand.training import PRESETS, Trainer, train
from byhand.training.checkpoint import Checkpoints
from byhand.training.interrupt import interruptible
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
@quiet
@as_json
def command(
    preset: str,
    data: str | None,
    seed: int,
    folder: str | None,
    resume: str | None,
    committee: int | None,
    checkpoint_every: float,
    offline: bool,
    quiet: bool,
    as_json: bool,
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
    ranks = mpi.ranks()
    console = Console(quiet or not ranks.leads)
    if committee is not None or (resume is not None and Run.open(resume).members):
        if ranks.size > 1:
            raise UsageError(f"a committee's members have processes of their own: no mpiexec, got {ranks.size} ranks")
        passed_on = ["--checkpoint-every", str(checkpoint_every), *(["--offline"] if offline else [])]
        if resume is not None:
            result = committees.again(
                resume, data, options | {"committee": committee}, seed_typed, offline, console, passed_on
            )
        else:
            result = committees.new(
                folder, int(committee or 1), preset, data, seed, options, offline, console, passed_on
            )
        leave(result, as_json, committees.show, console)
        return
    with ranks.together():
        with ranks.one_by_one():
            digits = None if resume is not None else load_data(data, offline, console)
            if digits is None:
                task = train_options.resumed(str(resume), data, seed_typed, options, console, offline)
        if digits is not None:
            run = Run.new(folder) if ranks.leads else Run(Path("of rank 0"))
            task = train_options.new(preset, digits, data, seed, options, run)
        if not ranks.leads:
            follow(task, ranks)
            return
        result = carry_out(task, console, checkpoint_every, ranks)
    leave(result, as_json, show, console)


def is_typed(name: str) -> bool:
    """Whether this option of the command was given, even if as what it is without."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def leave(
    result: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any], Console], None], console: Console
) -> None:
    """Show the result, and go with the exit code that it stands for."""
    if as_json:
        show_json(result)
    else:
        show(result, console)
    if result["ending"] == "interrupted":
        sys.exit(130)


def carry_out(
    task: train_options.Task, console: Console, checkpoint_every: float, ranks: mpi.Comm | mpi.Alone
) -> dict[str, Any]:
    """Run the trainer to its end, or to Ctrl-C; save as it goes; give what came of it."""
    run, model, recipe = task.run, task.model, task.recipe
    began = time.perf_counter()
    checkpoints = Checkpoints(run, every=checkpoint_every)
    witness = ranks.witness(
        f"byhand: a rank died, and the run with it; go on with:  byhand train --resume {run.folder}"
    )
    with Trainer(model, task.train, recipe, seed=task.seed, shard=ranks.shard) as trainer, witness:
        if ranks.size > 1:
            threads = trainer.plan.blas * trainer.plan.workers
            console.info(f"{ranks.size} ranks, {counted(threads, 'thread')} each")
        if trainer.threads > available():
            console.info(
                f"watch out: {trainer.threads} threads for {counted(available(), 'processor')}: they will wait for one "
                "another, and training takes many times as long"
            )
        if warning := ranks.forecast(model.network, trainer.batch_size, len(recipe.optimizer.memory)):
            console.info(warning)
        if task.resumes:
            trainer.restore(*ranks.from_first(checkpoints.load(console.info)))
            console.info(f"going on with {run.folder} at step {trainer.progress.step:,} of {trainer.total_steps:,}")
            for difference in checkpoints.differences(trainer):
                console.info(f"not as before, so the bits may differ: {difference}")
        with interruptible() as asked, Progress(trainer, console) as progress, checkpoints:
            stop = ranks.listen(asked)
            checkpoints.hold()
            run.write_config(
                task.config
            )  # not before: what was refused leaves no trace, and a run in use stays as it is
            checkpoints.save(trainer, force=True)  # from here on there is something to go on from
            try:
                for record in train(trainer, stop, after_step=checkpoints.save):
                    progress.show(record)
                    run.write_records(trainer.progress.records)
            except DivergedError:
                run.write_records(trainer.progress.records)
                raise
            checkpoints.save(trainer, force=True)
        if warning := ranks.verdict(trainer.progress.total_seconds):
            console.info(warning)
        history = trainer.history(interrupted=stop.is_set())
        with trainer.averaged() if history.ending == "interrupted" else nullcontext():
            accuracy = model.accuracy(task.test)
            model.metadata = task.card(history, accuracy)
            run.write_model(model)
    return {
        "run": str(run.folder),
        "model": str(run.model_path),
        "network": model.network.outline,
        "data": task.train.name,
        "trained_on": trainer.samples,
        "tested_on": len(task.test),
        "epochs": trainer.progress.step // trainer.batches_per_epoch,
        "steps": trainer.progress.step,
        "ending": history.ending,
        "training_seconds": round(trainer.progress.total_seconds, 3),
        "seconds": round(time.perf_counter() - began, 3),
        "test_accuracy": accuracy,
        "interval": wilson(round(accuracy * len(task.test)), len(task.test)),
        "train_accuracy": history[-1].accuracy if len(history) else None,
        "validation_accuracy": history[-1].validation_accuracy if len(history) else None,
    }


def follow(task: train_options.Task, ranks: mpi.Comm | mpi.Alone) -> None:
    """Take the same steps as rank 0, which writes and shows them."""
    with Trainer(task.model, task.train, task.recipe, seed=task.seed, shard=ranks.shard) as trainer:
        if task.resumes:
            trainer.restore(*ranks.from_first(None))
        with interruptible() as asked:
            for _ in train(trainer, ranks.listen(asked)):
                pass


def show(result: dict[str, Any], console: Console) -> None:
    """The result on stdout, and on stderr what one might do next."""
    low, high = result["interval"]
    unit = "iteration" if result["steps"] == result["epochs"] else "epoch"
    click.echo(
        f"{result['network']} on {result['data']}: {counted(result['epochs'], unit)} "
        f"over {counted(result['trained_on'], 'image')}, "
        f"{result['training_seconds']:.1f} s of training"
    )
    click.echo(
        f"test accuracy {percent(result['test_accuracy'])} on {result['tested_on']:,} images never seen "
        f"(95 % interval {percent(low, 1)} to {percent(high, 1)})"
    )
    run = result["run"]
    click.echo(f"saved {result['model']}")
    if result["ending"] == "interrupted":
        console.info(f"interrupted; go on with:  byhand train --resume {shlex.quote(run)}")
        return
    if result["ending"] == "stopped early":
        console.info("stopped early: the validation loss had stopped falling; the best weights were kept")
    console.info(f"next:  byhand predict --run {shlex.quote(run)} digit.png     read a picture of your own")
    console.info(f"       byhand eval {shlex.quote(run)}                        the worst mistakes, and an HTML report")
