"""The options of `byhand train` that change a preset; an option that is not given leaves the preset's choice."""

from typing import Any

import click

from byhand.cli.output import Command
from byhand.data import Dataset, TrainTest
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.losses import LOSSES
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.rng import INITIALIZERS
from byhand.nn.schedules import SCHEDULES
from byhand.training import Recipe, preset
from byhand.training.recipe import OLD_NAMES, SCALES, with_overrides
from byhand.training.runs import Run


def whole_numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """`128,64` → (128, 64)"""
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    if any(number < 1 for number in numbers) or (not numbers and text.strip() not in ("", "none")):
        raise click.BadParameter(f"must be positive integers between commas, or `none`, got {text!r}", ctx, parameter)
    return numbers


OPTIONS = (
    click.option(
        "--hidden",
        metavar="N,N,…",
        callback=whole_numbers,
        help="Units in each hidden layer; `none` for no hidden layer.",
    ),
    click.option(
        "--maps",
        metavar="N,N,…",
        help="Maps of each convolution before the hidden layers; `16@3/1` has a window of 3 × 3 that moves by 1, "
        "in place of 5 and 2; `none` for no convolution.",
    ),
    click.option(
        "--activation", type=click.Choice(list(ACTIVATIONS)), help="Activation function of the hidden layers."
    ),
    click.option("--dropout", type=float, help="Dropout rate of the hidden layers (and of the last maps)."),
    click.option("--batch-norm/--no-batch-norm", default=None, help="Batch normalization of the hidden layers."),
    click.option("--init", type=click.Choice(list(INITIALIZERS)), help="Initialization of the weights."),
    click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Floating-point precision."),
    click.option("--deskew/--no-deskew", default=None, help="Deskew the images first; saved with the model."),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        help="What a pixel is divided by; `standard`: mean 0, deviation 1.",
    ),
    click.option("--epochs", type=int, help="Passes over the training images."),
    click.option("--batch-size", metavar="N|all", help="Images per step; `all` takes the whole data as one batch."),
    click.option("--learning-rate", type=float, help="Step size."),
    click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), help="Optimizer."),
    click.option("--momentum", type=float, help="Momentum coefficient (optimizer momentum)."),
    click.option("--nesterov/--no-nesterov", default=None, help="Nesterov momentum."),
    click.option("--weight-decay", type=float, help="L2 penalty on the weights."),
    click.option("--schedule", type=click.Choice(list(SCHEDULES)), help="Learning-rate schedule."),
    click.option("--loss", type=click.Choice(list(LOSSES)), help="Loss function to minimize."),
    click.option("--label-smoothing", type=float, help="Label smoothing (loss cross_entropy)."),
    click.option("--clip", type=float, help="Gradient clipping: the largest norm."),
    click.option("--max-norm", type=float, help="The largest norm of a unit's incoming weights."),
    click.option(
        "--ema-decay",
        type=float,
        metavar="DECAY",
        help="Decay of a moving average (EMA) of the weights, e.g. 0.999.",
    ),
    click.option(
        "--augment",
        metavar="none|default|SPEC",
        help="Distort the training images, e.g. `shift=2,rotate=10,scale=0.1`.",
    ),
    click.option(
        "--weak-augment",
        type=float,
        metavar="SHARE",
        help="Halve the augmentation in this last share of the epochs.",
    ),
    click.option("--validation", type=float, help="Images held out for validation: a share under 1, or a number."),
    click.option("--patience", type=int, help="Early stopping: epochs without a lower validation loss."),
    click.option("--record-every", type=int, help="Epochs (with --batch-size all: iterations) between two records."),
    click.option("--samples", type=int, help="Train on the first N images only."),
    click.option("--threads", type=int, help="Number of threads. Default: all available."),
    *(click.option(f"--{old}", type=float, hidden=True) for old in OLD_NAMES),
)


def options(command: Command) -> Command:
    """Give a command all the options above, in that order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


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


def changes_on_resume(options: dict[str, Any], seed: int | None, run: Run) -> dict[str, Any]:
    """Return the options that `resume` takes; reject those that a run can't change any more."""
    given = settings_given(options)
    if others := sorted(set(given) - {"epochs", "threads"}) + (
        ["seed"] if seed not in (None, run.config().get("seed")) else []
    ):
        raise UsageError(f"--resume goes on with the run's own settings; it can't change {', '.join(others)}")
    return given
