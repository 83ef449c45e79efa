"""`byhand train`: train a network, or an ensemble, and save it in the folder of a run."""

import shlex
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from byhand.cli.output import PLACE, Console, console_options, data, load_data, offline, option, seed, show_json
from byhand.data import Dataset, TrainTest
from byhand.distributed import mpi
from byhand.distributed.ensemble import EnsembleResult, resume_ensemble, train_ensemble
from byhand.errors import UsageError
from byhand.model import Model
from byhand.model.preparation import INPUTS
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.losses import LOSSES
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.rng import INITIALIZERS
from byhand.nn.schedules import SCHEDULES
from byhand.training import PRESETS, ProgressBar, Recipe, RunResult, preset, train_run
from byhand.training import resume as resume_run
from byhand.training.recipe import OLD_NAMES, SCALES, with_overrides
from byhand.training.run import changes_on_resume, data_of
from byhand.training.runs import MAX_MEMBERS, Run

#: The options that change a preset: names, type and help. `byhand lr-find` has them too.
RECIPE_OPTIONS: tuple[tuple[str, Any, str], ...] = (
    ("--hidden N,N,…", str, "Hidden layer sizes (units per layer); `none` for no hidden layer."),
    (
        "--maps N,N,…",
        str,
        (
            "Convolutional layers before the hidden layers: number of filters per layer. `16@3/1` sets a 3 × 3 kernel "
            "and stride 1 (default: 5 × 5 and 2); `none` for no convolution."
        ),
    ),
    ("--activation", ACTIVATIONS, "Activation function of the hidden layers."),
    ("--dropout", float, "Dropout rate of the hidden layers and of the last convolution."),
    ("--batch-norm/--no-batch-norm", None, "Batch normalization of the hidden layers."),
    ("--init", INITIALIZERS, "Weight initialization."),
    ("--dtype", ("float32", "float64"), "Floating-point precision (dtype)."),
    ("--deskew/--no-deskew", None, "Deskewing: shear slanted digits upright. Saved with the model."),
    ("--scale", SCALES, "Input scaling: the divisor of a pixel, or `standard` for mean 0 and standard deviation 1."),
    ("--input", INPUTS[:2], "How `predict` makes an input of a picture: normalize handwriting, or only scale."),
    ("--epochs", int, "Number of epochs (passes over the training set)."),
    ("--batch-size N|all", str, "Mini-batch size; `all` for full-batch training."),
    ("--learning-rate", float, "Step size (learning rate)."),
    ("--optimizer", OPTIMIZERS, "Optimizer (update rule)."),
    ("--momentum", float, "Momentum coefficient (optimizer momentum)."),
    ("--nesterov/--no-nesterov", None, "Nesterov momentum (optimizer momentum)."),
    ("--weight-decay", float, "L2 penalty on the weights (weight decay)."),
    ("--schedule", SCHEDULES, "Learning-rate schedule."),
    ("--loss", LOSSES, "Loss function to minimize."),
    ("--label-smoothing", float, "Label smoothing (loss cross_entropy)."),
    ("--clip", float, "Gradient clipping: maximum norm of the gradient."),
    ("--max-norm", float, "Max-norm constraint: maximum norm of the incoming weights of a unit."),
    ("--ema-decay DECAY", float, "Decay of an exponential moving average (EMA) of the weights, e.g. 0.999."),
    ("--augment none|default|SPEC", str, "Data augmentation, e.g. `shift=2,rotate=10,scale=0.1`."),
    ("--weak-augment SHARE", float, "Fraction of the epochs, at the end, with half-strength data augmentation."),
    ("--validation", float, "Held-out validation set: a fraction under 1, or a number of images."),
    ("--patience", int, "Early stopping: number of epochs without a lower validation loss."),
    ("--record-every", int, "Logging interval: epochs (with --batch-size all: iterations) per record."),
    ("--samples", int, "Training set size: use the first N images only."),
    ("--threads", int, "Number of threads. Defaults to all available."),
)
PRESET_LIST = ", ".join(f"{each.name} ({each.about})" for each in PRESETS.values())


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that change a preset, with the names of the previous version."""
    for old in reversed(OLD_NAMES):
        command = click.option(f"--{old}", type=float, hidden=True)(command)
    for row in reversed(RECIPE_OPTIONS):
        command = option(*row)(command)
    return command


@click.command()
@option("--preset", PRESETS, f"Preset (recipe and network): {PRESET_LIST}.", default="digits")
@data
@recipe_options
@seed
@option("--run DIR", PLACE, "Folder of the run, new or empty. Defaults to the next `runs/NNN`.")
@option("--resume RUN", PLACE, "Resume a run from its checkpoint, bit-identical to an uninterrupted run.")
@option(
    "--committee N",
    click.IntRange(1, MAX_MEMBERS),
    "Train an ensemble of N networks with the seeds --seed, --seed + 1, …, each in its own process, --threads in "
    "parallel. Their probabilities are averaged.",
)
@option("--checkpoint-every", float, "Seconds between checkpoints.", default=30.0)
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

    Without arguments, trains the default network on MNIST and prints its test accuracy. Ctrl-C ends the run after the
    current step, saves a checkpoint, and prints the command that resumes it.
    """
    ranks = mpi.communicator()
    is_rank_0 = ranks is None or ranks.rank == 0
    console.is_silent |= not is_rank_0

    def load(name: str | None) -> TrainTest:
        with mpi.rank_0_first(ranks):
            return load_data(name, offline, console)

    with mpi.aborting(ranks):
        resumed = Run.open(resume) if resume is not None else None
        settings: dict[str, Any] = {"checkpoint_every": checkpoint_every}
        if is_ensemble := bool(resumed.members) if resumed else committee is not None:
            if ranks is not None:
                raise UsageError(f"an ensemble starts its own processes: use no mpiexec, got {ranks.size} ranks")
            settings |= {"offline": offline, "on_message": console.info}
        else:
            settings |= {"shard": ranks, "callbacks": [] if console.is_silent else [ProgressBar()]}
        result: RunResult | EnsembleResult
        if resumed is not None:
            changes = changes_on_resume(resumed, resume_settings(options))
            if is_ensemble:
                test = load(data if data is not None else data_of(resumed.config())).test
                jobs = changes.get("threads")
                result = resume_ensemble(resumed.folder, data=data, test=test, jobs=jobs, **settings)
            else:
                result = resume_run(resumed.folder, data=data, load=load, **changes, **settings)
        else:
            digits = load(data)
            model, recipe, images = untrained(preset, digits, seed, options)
            settings |= {"test": digits.test, "source": data, "preset": preset}
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
    if is_rank_0:
        show(result, console)


def settings_given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, by name."""
    for old, name in OLD_NAMES.items():
        if (value := options.pop(old, None)) is not None:
            click.echo(f"byhand: --{old} is deprecated, use --{name.replace('_', '-')}", err=True)
            options[name] = value
    return {name: value for name, value in options.items() if value is not None}


def resume_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings given with --resume, including those that only a new run can have."""
    context = click.get_current_context()
    named = {"preset": "--preset", "run": "--run", "seed": "seed", "committee": "committee"}
    typed = [name for name in named if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return settings_given(options) | {named[name]: context.params[name] for name in typed}


def untrained(preset_name: str, digits: TrainTest, seed: int, options: dict[str, Any]) -> tuple[Model, Recipe, Dataset]:
    """Return the model, the recipe and the training images: those of a preset with the options applied."""
    given = settings_given(options)
    chosen = preset(preset_name)
    samples = given.pop("samples", chosen.samples)
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be positive, got {samples}")
    images = digits.train if samples is None else digits.train[:samples]
    height, width = images.shape
    sizes: dict[str, Any] = {"in_size": height * width, "classes": images.classes}
    model, recipe = with_overrides(chosen, given, **sizes, seed=seed, data=images)
    return model, recipe, images


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
                console.info("stopped early: the validation loss no longer fell; the best weights were kept")
            report = "" if isinstance(result, EnsembleResult) else ", with an HTML report"
            console.info(f"next:  byhand predict --run {run} digit.png     predict the digit in an image")
            console.info(f"       byhand eval {run}                        evaluate the model{report}")
    if is_interrupted:
        sys.exit(130)
