"""`byhand explain`: one training step with its actual numbers."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from byhand.checks import integer
from byhand.cli.output import (
    PLACE,
    Console,
    console_options,
    load_run_data,
    model_data,
    offline,
    option,
    seed,
    show_json,
    split,
)
from byhand.data import Dataset, Sample
from byhand.errors import UsageError
from byhand.explain import Explanation, explain_step
from byhand.explain.animation import animated_step
from byhand.explain.quiz import questions
from byhand.files import write_text
from byhand.model import Model
from byhand.model.reading import read
from byhand.nn.losses import Loss
from byhand.nn.optimizers import OPTIMIZERS, optimizer_named
from byhand.training.run import loss_of
from byhand.training.runs import Run, load_model

#: Number of images among which the default sample is chosen.
CANDIDATES = 1000


def unit(text: str) -> tuple[int, int]:
    """Parse `1:17` as (1, 17)."""
    if not re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", text):
        raise click.BadParameter(f"must be LAYER:UNIT, such as 1:17, got {text!r}")
    layer, number = text.split(":")
    return int(layer), int(number)


@click.command()
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@click.argument("picture", type=PLACE, metavar="[PICTURE]", required=False)
@option("--label CLASS", str, "Class of PICTURE (its label). Defaults to the predicted class.")
@option(
    "--sample",
    click.IntRange(min=0),
    "Index of the sample, from 0. Defaults to a training image about which the model is unsure.",
)
@option("--batch", click.IntRange(min=1), "Batch size: the sample and the ones after it.")
@model_data
@split
@option(
    "--unit L:J",
    unit,
    "Show only unit J (from 0) of layer L (from 1), with every term of its sums. Each number of a feature map is a "
    "unit. Can be repeated.",
    "chosen",
    multiple=True,
)
@option("--ask", bool, "Quiz: ask for shapes, signs and numbers of the step before they are shown.")
@option("--svg FILE", PLACE, "Write an animated picture of the step, for slides.", "svg_file")
@option("--pager/--no-pager", None, "Show the text in a pager (PAGER). Default in a terminal, if the text is long.")
@option("--learning-rate", float, "Step size (learning rate).", default=0.01)
@option("--optimizer", OPTIMIZERS, "Optimizer (update rule); its state starts at 0.", default="sgd")
@seed
@offline
@console_options(html=True)
def command(
    run: str,
    picture: str | None,
    label: str | None,
    sample: int | None,
    batch: int | None,
    data: str | None,
    split: str,
    chosen: tuple[tuple[int, int], ...],
    ask: bool,
    svg_file: str | None,
    pager: bool | None,
    learning_rate: float,
    optimizer: str,
    seed: int,
    offline: bool,
    console: Console,
) -> None:
    """Show one training step: every formula with its actual numbers and the code that computed them.

    The image is PICTURE, a photo or drawing as in `byhand predict`, or a sample of the data set.
    The step has a forward pass for one image, its loss, a backward pass (the gradients), and an update of the weights.
    The model of RUN is not changed.
    """
    if picture is not None and Path(picture).is_dir() and Path(run).is_file():
        raise UsageError(f"the run is first: byhand explain {shlex.quote(picture)} {shlex.quote(run)}")
    model, config = load_model(run), Run.open(run).config()
    shown: Sample | Dataset
    if picture is not None:
        if picture.isdecimal() and not Path(picture).exists():
            raise UsageError(f"no image file named {picture}: did you mean --sample {picture}?")
        if batch is not None or data is not None or sample is not None:
            raise UsageError("PICTURE is the sample: remove --sample, --batch and --data")
        shown = labelled(picture, label, model, console)
    else:
        if label is not None:
            raise UsageError("--label needs a PICTURE: samples of a data set have their own labels")
        digits = load_run_data(config, model, data, offline, console)
        count = batch or (8 if model.network.needs_whole_batch else 1)
        images = getattr(digits, split)
        if sample is None and count == 1:
            if click.get_current_context().get_parameter_source("split") is ParameterSource.DEFAULT:
                images = digits.train
            sample = unsure(model, images)
            console.info(f"sample {sample} of {images.name}: the model is unsure; --sample shows another one")
        sample = sample or 0
        integer("batch", count, 1, len(images))
        integer("sample", sample, 0, len(images) - count)
        if batch is None and count > 1:
            console.info(f"batch normalization needs a batch: showing samples {sample} to {sample + count - 1}")
        shown = images[sample] if count == 1 else images[sample : sample + count]
    loss = loss_of(config, model.metadata)
    if svg_file is not None:
        write_animation(svg_file, model, shown, loss, console)
    explanation = explain_step(
        model,
        shown,
        learning_rate=learning_rate,
        optimizer=optimizer_named(optimizer),
        loss=loss,
        units=chosen,
        seed=seed,
    )
    console.write_page(explanation.html)
    if ask:
        run_quiz(explanation)
    show(
        explanation, console, has_file=console.page is not None or svg_file is not None, pager=pager, units=bool(chosen)
    )


def unsure(model: Model, images: Dataset) -> int:
    """Return the index of the image whose label has the probability nearest to 1/2, among the first ones."""
    first = images[:CANDIDATES]
    probabilities = model.probabilities(first.images)[range(len(first)), first.labels]
    return int(abs(probabilities - 0.5).argmin())


def run_quiz(explanation: Explanation) -> None:
    """Ask the questions about a step; Enter skips one, and the end of the input ends the quiz."""
    if not sys.stdin.isatty():
        raise UsageError("--ask needs a terminal to type the answers")
    asked = list(questions(explanation))
    right = 0
    click.echo("A shape like 1, 10; a sign: + or -; or a number, within 5 %. Enter skips, Ctrl-D ends.")
    for number, question in enumerate(asked, start=1):
        click.echo(f"\n{number}/{len(asked)}  {question.text}")
        try:
            typed = input("> ")
        except EOFError:
            click.echo()
            break
        is_right = bool(typed.strip()) and question.is_right(typed)
        right += is_right
        click.echo(f"{'right' if is_right else 'answer'}: {question.shown}   ({question.why})")
    click.echo(f"\n{right} of {len(asked)} right\n")


def show_text(text: str, pager: bool | None) -> None:
    """Print text, or show it in the pager if it is longer than the terminal."""
    is_long = text.count("\n") + 2 > shutil.get_terminal_size().lines
    if pager or (pager is None and is_long and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"):
        os.environ.setdefault("LESS", "-FRX")
        click.echo_via_pager(text + "\n", color=click.get_current_context().color)
    else:
        click.echo(text)


def labelled(picture: str, label: str | None, model: Model, console: Console) -> Sample:
    """Return the model's input for a picture, with its label."""
    if model.network.needs_whole_batch:
        raise UsageError("batch normalization needs a batch: use --sample instead of PICTURE")
    if label is not None and label not in model.classes:
        raise UsageError(f"--label must be a class of the model ({', '.join(model.classes):.80}), got {label!r}")
    reading = read(picture, model)
    if label is None:
        console.info(f"label: {reading.digit}, the predicted class; --label sets another one")
    return Sample(reading.image, model.classes.index(label if label is not None else reading.digit))


def show(explanation: Explanation, console: Console, *, has_file: bool, pager: bool | None, units: bool) -> None:
    """Print the explanation as JSON or, if it was not written to a file, as text."""
    if console.as_json:
        show_json(explanation.to_json())
    elif not has_file:
        show_text(text_for_terminal(explanation, units_only=units), pager)


def write_animation(file: str, model: Model, shown: Sample | Dataset, loss: Loss, console: Console) -> None:
    """Write the animated picture."""
    if not isinstance(shown, Sample):
        raise UsageError("--svg shows a step on one image: not with --batch, nor batch normalization")
    write_text(file, animated_step(model, shown.image, shown.label, loss))
    console.info(f"wrote {file}")


def text_for_terminal(explanation: Explanation, *, units_only: bool) -> str:
    """Return the text for this terminal, in color if it has 256 colors or more."""
    from rich.console import Console as RichConsole

    terminal = RichConsole(file=sys.stdout)
    color = terminal.color_system in ("256", "truecolor") and not terminal.no_color
    click.get_current_context().color = color or None  # click removes colors from a pipe, also with FORCE_COLOR
    return explanation.text(min(terminal.width, 120), color=color, units_only=units_only).rstrip("\n")
