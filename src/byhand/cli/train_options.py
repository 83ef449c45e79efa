"""The choices of `byhand train`: options that change a preset, and the task they add up to.

An option that nobody gave leaves the preset's choice as it is. The task is all that a run needs; its `config` is what
is written into the run's folder, and what `--resume` reads back.
"""

import shlex
import sys
from dataclasses import dataclass
from typing import Any

import click

from byhand.cli.output import Command, Console, whole_numbers
from byhand.cli.run_data import load_data_of, remembered
from byhand.data import Dataset, Digits
from byhand.errors import ModelFileError, UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.initializers import INITIALIZERS
from byhand.nn.losses import LOSSES
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.schedules import SCHEDULES
from byhand.nn.stacks import layers_from_config
from byhand.training import History, Recipe, preset
from byhand.training.runs import Run
from byhand.training.settings import SCALES, settled

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
    click.option("--activation", type=click.Choice(list(ACTIVATIONS)), help="What the hidden units do with their sum."),
    click.option(
        "--dropout", type=float, help="Share of hidden units (and of the last maps) silenced at each training step."
    ),
    click.option("--batch-norm/--no-batch-norm", default=None, help="Normalise each hidden layer over the batch."),
    click.option("--init", type=click.Choice(list(INITIALIZERS)), help="Where the weights start."),
    click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Precision of everything."),
    click.option("--deskew/--no-deskew", default=None, help="Set slanted digits upright first; saved with the model."),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        help="What a pixel is divided by; `standard`: mean 0, deviation 1.",
    ),
    click.option("--epochs", type=int, help="Passes over the training images."),
    click.option("--batch-size", metavar="N|all", help="Images a step; `all` takes the whole data as one batch."),
    click.option("--learning-rate", type=float, help="How far a step goes."),
    click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), help="The rule that makes a step of a gradient."),
    click.option("--momentum", type=float, help="Share of the last step that the next one keeps (optimizer momentum)."),
    click.option("--nesterov/--no-nesterov", default=None, help="Look ahead along the momentum."),
    click.option("--weight-decay", type=float, help="Pull of the weights towards zero."),
    click.option("--schedule", type=click.Choice(list(SCHEDULES)), help="How the learning rate changes on the way."),
    click.option("--loss", type=click.Choice(list(LOSSES)), help="What is made small."),
    click.option(
        "--label-smoothing", type=float, help="How much certainty to take off the labels (loss cross_entropy)."
    ),
    click.option("--clip", type=float, help="Shorten gradients longer than this."),
    click.option("--max-norm", type=float, help="Shorten a unit's incoming weights longer than this."),
    click.option("--average", type=float, metavar="DECAY", help="Use a moving average of the weights, such as 0.999."),
    click.option(
        "--augment",
        metavar="none|default|SPEC",
        help="Distort the training images, e.g. `shift=2,rotate=10,scale=0.1`.",
    ),
    click.option("--gentle", type=float, metavar="SHARE", help="Distort half as far in this last share of the epochs."),
    click.option(
        "--validation", type=float, help="Held out of training to watch: a share under 1, or a number of images."
    ),
    click.option("--patience", type=int, help="Stop when the validation loss has not fallen for so many epochs."),
    click.option("--record-every", type=int, help="Epochs (with --batch-size all: iterations) between two records."),
    click.option("--samples", type=int, help="Train on the first so many images only."),
    click.option("--threads", type=int, help="Threads to use. Without it, all there are."),
)


def options(command: Command) -> Command:
    """Give a command all the options above, in that order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Task:
    """All that a run needs."""

    run: Run
    model: Model
    train: Dataset
    test: Dataset
    recipe: Recipe
    seed: int
    config: dict[str, Any]
    resumes: bool = False

    def card(self, history: History, accuracy: float) -> dict[str, Any]:
        """What the model's file says of its making."""
        return {
            "data": {"name": self.train.name, "checksum": self.train.checksum, "images": len(self.train)},
            "preset": self.config["preset"],
            "recipe": self.recipe.config(),
            "seed": self.seed,
            "epochs": history[-1].epoch if len(history) else 0,
            "ending": history.ending,
            "test": {"name": self.test.name, "images": len(self.test), "accuracy": accuracy},
        }


def new(preset_name: str, digits: Digits, data: str | None, seed: int, options: dict[str, Any], run: Run) -> Task:
    """The task of a new run: the preset, changed by the options that were given."""
    given = {name: value for name, value in options.items() if value is not None}
    chosen = preset(preset_name)
    samples = given.pop("samples", chosen.samples)
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be positive, got {samples}")
    images = digits.train if samples is None else digits.train[:samples]
    height, width = images.shape
    model, recipe = settled(chosen, given, in_size=height * width, classes=images.classes, seed=seed)
    config = {
        "command": shlex.join(["byhand", *sys.argv[1:]]),
        "preset": preset_name,
        "data": remembered(data, digits),
        "data_name": images.name,
        "data_checksum": images.checksum,
        "samples": samples,
        "seed": seed,
        "dtype": str(model.network.dtype),
        "network": model.network.config(),
        "preparation": model.preparation.config(),
        "recipe": recipe.config(),
    }
    return Task(run, model, images, digits.test, recipe, seed, config)


def resumed(
    folder: str, data: str | None, seed: int | None, options: dict[str, Any], console: Console, offline: bool
) -> Task:
    """The task of a run that was stopped, as its folder describes it. Options that say otherwise are refused.

    `data` says where its data set is now, where that is another place; it must be the same by its checksum.
    """
    run = Run.open(folder)
    config = run.config()
    try:
        recipe = Recipe.from_config(config["recipe"])
        layers = layers_from_config(config["network"])
        preparation = Preparation(**config["preparation"])
        samples, seed_then, checksum = (config[name] for name in ("samples", "seed", "data_checksum"))
    except (KeyError, TypeError, UsageError):
        raise ModelFileError(f"{run.folder}: config.json must describe a run of `byhand train`") from None
    given = {name: value for name, value in options.items() if value is not None}
    allowed = {"epochs", "threads"}
    if others := sorted(set(given) - allowed) + (["seed"] if seed not in (None, seed_then) else []):
        raise UsageError(f"--resume goes on with the run's own settings; it can't change {', '.join(others)}")
    digits = load_data_of(config, {}, data, offline, console)
    images = digits.train if samples is None else digits.train[:samples]
    if images.checksum != checksum:
        raise UsageError(
            f"the run was made on {config['data_name']} (checksum {checksum[:12]}…), this is {images.name} "
            f"({images.checksum[:12]}…): say with --data where the run's data set is now"
        )
    changed = recipe.but(**given)
    if changed.epochs != recipe.epochs:
        follows = "the schedule and the gentle epochs change" if recipe.gentle else "the schedule changes"
        console.info(f"the run was for {recipe.epochs} epochs, now {changed.epochs}: {follows} with it")
    model = Model(layers, preparation=preparation, classes=images.classes, dtype=config["dtype"])
    return Task(
        run, model, images, digits.test, changed, seed_then, config | {"recipe": changed.config()}, resumes=True
    )
