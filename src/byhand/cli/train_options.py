"""The options of `byhand train` that change a preset; an option that is not given leaves the preset's choice."""

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.core import ParameterSource

from byhand.cli.output import PLACE, Command, option
from byhand.data import Dataset, TrainTest
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.losses import LOSSES
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.rng import INITIALIZERS
from byhand.nn.schedules import SCHEDULES
from byhand.training import PRESETS, Recipe, preset
from byhand.training.recipe import OLD_NAMES, SCALES, with_overrides
from byhand.training.runs import MAX_MEMBERS

#: The options that change a preset: how each is written, its type and its help.
OF_RECIPE: tuple[tuple[str, Any, str], ...] = (
    ("--hidden N,N,…", str, "Units in each hidden layer; `none` for no hidden layer."),
    (
        "--maps N,N,…",
        str,
        (
            "Maps of each convolution before the hidden layers; `16@3/1` has a window of 3 × 3 that moves by 1, "
            "in place of 5 and 2; `none` for no convolution."
        ),
    ),
    ("--activation", ACTIVATIONS, "Activation function of the hidden layers."),
    ("--dropout", float, "Dropout rate of the hidden layers (and of the last maps)."),
    ("--batch-norm/--no-batch-norm", None, "Batch normalization of the hidden layers."),
    ("--init", INITIALIZERS, "Initialization of the weights."),
    ("--dtype", ("float32", "float64"), "Floating-point precision."),
    ("--deskew/--no-deskew", None, "Deskew the images first; saved with the model."),
    ("--scale", SCALES, "What a pixel is divided by; `standard`: mean 0, deviation 1."),
    ("--epochs", int, "Passes over the training images."),
    ("--batch-size N|all", str, "Images per step; `all` takes the whole data as one batch."),
    ("--learning-rate", float, "Step size."),
    ("--optimizer", OPTIMIZERS, "Optimizer."),
    ("--momentum", float, "Momentum coefficient (optimizer momentum)."),
    ("--nesterov/--no-nesterov", None, "Nesterov momentum."),
    ("--weight-decay", float, "L2 penalty on the weights."),
    ("--schedule", SCHEDULES, "Learning-rate schedule."),
    ("--loss", LOSSES, "Loss function to minimize."),
    ("--label-smoothing", float, "Label smoothing (loss cross_entropy)."),
    ("--clip", float, "Gradient clipping: the largest norm."),
    ("--max-norm", float, "The largest norm of a unit's incoming weights."),
    ("--ema-decay DECAY", float, "Decay of a moving average (EMA) of the weights, e.g. 0.999."),
    ("--augment none|default|SPEC", str, "Distort the training images, e.g. `shift=2,rotate=10,scale=0.1`."),
    ("--weak-augment SHARE", float, "Halve the augmentation in this last share of the epochs."),
    ("--validation", float, "Images held out for validation: a share under 1, or a number."),
    ("--patience", int, "Early stopping: epochs without a lower validation loss."),
    ("--record-every", int, "Epochs (with --batch-size all: iterations) between two records."),
    ("--samples", int, "Train on the first N images only."),
    ("--threads", int, "Number of threads. Default: all available."),
)
#: The options of `byhand train` about the run's folder.
OF_RUN: tuple[tuple[str, Any, str], ...] = (
    ("--run DIR", PLACE, "The run's folder, new or empty. Without it, the next `runs/NNN`."),
    ("--resume RUN", PLACE, "Go on with a run that was stopped, to the bits it would have given."),
    (
        "--committee N",
        click.IntRange(1, MAX_MEMBERS),
        (
            "Train N networks from the seeds --seed, --seed + 1, …, each in a process of its own, --threads at a time; "
            "they read together, by the mean of their probabilities."
        ),
    ),
)


def options(table: Iterable[tuple[str, Any, str]]) -> Callable[[Command], Command]:
    """Give a command the options of a table."""

    def decorate(command: Command) -> Command:
        for row in reversed([*table]):
            command = option(*row)(command)
        return command

    return decorate


def of_recipe(command: Command) -> Command:
    """Give a command the options that change a preset, also under the names of the version before."""
    for old in reversed(OLD_NAMES):
        command = click.option(f"--{old}", type=float, hidden=True)(command)
    return options(OF_RECIPE)(command)


def preset_option(about: str) -> Callable[[Command], Command]:
    """Return the option for the preset from which all other choices start."""
    return option("--preset", PRESETS, about, default="digits")


def settings_given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, by name."""
    for old, name in OLD_NAMES.items():
        if (value := options.pop(old, None)) is not None:
            click.echo(f"byhand: --{old} is called --{name.replace('_', '-')} now", err=True)
            options[name] = value
    return {name: value for name, value in options.items() if value is not None}


def untrained(preset_name: str, digits: TrainTest, seed: int, options: dict[str, Any]) -> tuple[Model, Recipe, Dataset]:
    """Return the model and the recipe of a preset, changed by the options that were given, and the data to train on."""
    given = settings_given(options)
    chosen = preset(preset_name)
    samples = given.pop("samples", chosen.samples)
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be positive, got {samples}")
    images = digits.train if samples is None else digits.train[:samples]
    height, width = images.shape
    model, recipe = with_overrides(chosen, given, in_size=height * width, classes=images.classes, seed=seed)
    return model, recipe, images


def settings_of_resume(options: dict[str, Any]) -> dict[str, Any]:
    """Return all that was given beside --resume, also what says how to begin a new run."""
    context = click.get_current_context()
    named = {"preset": "--preset", "run": "--run", "seed": "seed", "committee": "committee"}
    typed = [name for name in named if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return settings_given(options) | {named[name]: context.params[name] for name in typed}
