"""The options of a training, shared by `byhand train` and `byhand lr-find`, and the recipe that they make."""

import functools
import math
import os
import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from byhand.cli.output import PLACE, Command, data, option, seed
from byhand.data import Dataset, TrainTest, catalog
from byhand.data.formats.images import ENDINGS
from byhand.errors import UsageError, short_repr
from byhand.model import Model
from byhand.model.preparation import INPUTS
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.losses import LOSSES
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.rng import INITIALIZERS
from byhand.nn.schedules import SCHEDULES
from byhand.schema import toml_value
from byhand.text import did_you_mean, printable
from byhand.training import PRESETS, Recipe, preset
from byhand.training.recipe import ELSEWHERE, OLD_NAMES, SCALES, changed_recipe, with_overrides
from byhand.training.runs import CONFIG as CONFIG_FILE
from byhand.training.runs import MODEL, Run

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
    ("--epochs -e", int, "Number of epochs (passes over the training set)."),
    ("--batch-size --bs N|all", str, "Mini-batch size; `all` for full-batch training."),
    ("--learning-rate --lr", float, "Step size (learning rate)."),
    ("--optimizer", OPTIMIZERS, "Optimizer (update rule)."),
    ("--momentum", float, "Momentum coefficient (optimizer momentum)."),
    ("--nesterov/--no-nesterov", None, "Nesterov momentum (optimizer momentum)."),
    ("--weight-decay --wd", float, "L2 penalty on the weights (weight decay)."),
    ("--schedule", SCHEDULES, "Learning-rate schedule."),
    ("--loss", LOSSES, "Loss function to minimize."),
    ("--label-smoothing", float, "Label smoothing (loss cross_entropy)."),
    ("--clip", float, "Gradient clipping: maximum norm of the gradient."),
    ("--max-norm", float, "Max-norm constraint: maximum norm of the incoming weights of a unit."),
    ("--ema-decay DECAY", float, "Decay of an exponential moving average (EMA) of the weights, e.g. 0.999."),
    ("--augment none|default|SPEC", str, "Data augmentation, e.g. `shift=2,rotate=10,scale=0.1`."),
    ("--weak-augment SHARE", float, "Fraction of the epochs, at the end, with half-strength data augmentation."),
    ("--validation --val", float, "Held-out validation set: a fraction less than 1, or a number of images."),
    ("--patience", int, "Early stopping: number of epochs without a lower validation loss."),
    ("--record-every", int, "Logging interval: epochs (with --batch-size all: iterations) per record."),
    ("--samples", int, "Training set size: use the first N images only."),
    ("--threads", int, "Number of threads. Defaults to all available."),
)
CONFIG = (
    "Configuration file (TOML) with defaults of the options, such as `learning-rate = 0.1` or `hidden = [128, 64]`."
)
PRESET_LIST = ", ".join(f"{each.name} ({each.about})" for each in PRESETS.values())


def training_options(command: Command) -> Command:
    """Add the options of a training: the command gets `preset`, `data`, `color`, `seed`, and the given `options`.

    The data are an argument or `--data`. Options with a new name keep their old name too.
    """
    names = [row[0].split()[0].split("/")[0][2:].replace("-", "_") for row in RECIPE_OPTIONS] + [*OLD_NAMES]

    @functools.wraps(command)
    def decorated(source: str | None, data: str | None, **given: Any) -> Any:
        is_typed = click.get_current_context().get_parameter_source("data") is ParameterSource.COMMANDLINE
        if source is not None and is_typed:
            raise UsageError(f"give the data once: either {source!r} or --data {data!r}")
        if source is not None:
            check_is_data(source)
        options = settings_given({name: given.pop(name) for name in names})
        return command(data=data if source is None else source, options=options, **given)

    seed(decorated)
    option("--color", bool, "Color images: train on red, green and blue. By default, pictures are read as gray.")(
        decorated
    )
    for old in reversed(OLD_NAMES):
        click.option(f"--{old}", type=float, hidden=True)(decorated)
    for row in reversed(RECIPE_OPTIONS):
        option(*row)(decorated)
    option("--config FILE", PLACE, CONFIG, expose_value=False, is_eager=True, callback=set_defaults)(decorated)
    data(decorated)
    click.argument("source", type=PLACE, metavar="[DATA]", required=False)(decorated)
    option("--preset", PRESETS, f"Preset (recipe and network): {PRESET_LIST}.", default="digits")(decorated)
    return decorated


def check_is_data(source: str) -> None:
    """Raise an error for a run, a model file or an image in place of a data set."""
    path, quoted = Path(source), shlex.quote(source)
    if os.path.isfile(path / CONFIG_FILE) or path.suffix == Path(MODEL).suffix:
        raise UsageError(f"{source} is a run, not a data set: did you mean --resume {quoted}?")
    if path.suffix.lower() in ENDINGS and os.path.isfile(path):
        raise UsageError(f"{source} is an image, not a data set: did you mean byhand predict {quoted}?")


def set_defaults(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Set the defaults of the options from a TOML file: the names of options, with values or lists of numbers."""
    if path is None:
        return
    try:
        found = toml_value(Path(path).read_bytes())
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    options = [each for each in context.command.params if isinstance(each, click.Option) and each.expose_value]
    known = {name[2:].replace("-", "_"): each.name for each in options for name in each.opts if name.startswith("--")}
    defaults: dict[str, Any] = {}
    for name, value in found.items():
        key = name.replace("-", "_")
        if key not in known:
            raise UsageError(f"{path}: unknown option {printable(name)!r}{did_you_mean(key, known, ELSEWHERE)}")
        if not isinstance(value, str | int | float | list):
            raise UsageError(f"{path}: {name} must be a number, a text, true, false or a list, got {short_repr(value)}")
        plain = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        defaults[str(known[key])] = value if isinstance(value, bool) else plain
    context.default_map = {**(context.default_map or {}), **defaults}


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
    named = {
        "preset": "--preset",
        "run": "--run",
        "seed": "seed",
        "committee": "committee",
        "class_weights": "class_weights",
        "color": "--color",
    }
    typed = [name for name in named if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return options | {named[name]: context.params[name] for name in typed}


def check_options(
    preset_name: str, data: str | None, seed: int, options: dict[str, Any], run: str | None = None
) -> None:
    """Raise an error about options before data is loaded; for images of 28 × 28, also about the network."""
    if run is not None:
        Run.new(run)  # raises an error if the folder is not empty
    changed_recipe(preset(preset_name).recipe, options)
    if data is None or catalog.known_name(data):
        untrained(preset_name, catalog.bundled(), seed, options)


def untrained(preset_name: str, digits: TrainTest, seed: int, options: dict[str, Any]) -> tuple[Model, Recipe, Dataset]:
    """Return the model, the recipe and the training images: those of a preset with the options applied."""
    given = dict(options)
    chosen = preset(preset_name)
    samples = given.pop("samples", chosen.samples)
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be positive, got {samples}")
    images = digits.train if samples is None else digits.train[:samples]
    sizes: dict[str, Any] = {"in_size": math.prod(images.shape), "classes": images.classes}
    model, recipe = with_overrides(chosen, given, **sizes, seed=seed, data=images)
    return model, recipe, images
