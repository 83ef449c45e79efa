"""`byhand explain`: one step of learning with its real numbers. The work is done in `byhand.explain`."""

import re
import sys

import click

from byhand.cli.output import PLACE, Console, console_options, data, load_data_of_run, offline, option, seed, split
from byhand.errors import UsageError
from byhand.explain import Explanation, explain_step
from byhand.nn.optimizers import OPTIMIZERS, optimizer_named
from byhand.training.run import loss_of
from byhand.training.runs import Run, load_model


def unit(text: str) -> tuple[int, int]:
    """`1:17` → (1, 17)"""
    if not re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", text):
        raise click.BadParameter(f"must be LAYER:UNIT, as 1:17, got {text!r}")
    layer, number = text.split(":")
    return int(layer), int(number)


@click.command()
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@option("--sample", click.IntRange(min=0), "Which picture, from 0.", default=0)
@option("--batch", click.IntRange(min=1), "Learn from so many at once: the sample and those after it.")
@data
@split
@option(
    "--unit L:J",
    unit,
    "Only unit J (from 0) of layer L (from 1), worked out to the last term; in a convolution every number of its maps "
    "is one. May be given again.",
    "chosen",
    multiple=True,
)
@option("--learning-rate", float, "How far the step goes.", default=0.01)
@option(
    "--optimizer",
    OPTIMIZERS,
    "The rule that makes a step of a gradient; it begins with an empty memory.",
    default="sgd",
)
@seed
@offline
@console_options(html=True)
def command(
    run: str,
    sample: int,
    batch: int | None,
    data: str | None,
    split: str,
    chosen: tuple[tuple[int, int], ...],
    learning_rate: float,
    optimizer: str,
    seed: int,
    offline: bool,
    console: Console,
) -> None:
    """Show one step of learning: every formula beside its real numbers and the code that computed them.

    The model of RUN looks at one picture (forward), is told how wrong it was (loss), finds out which weights are to
    blame (backward), and changes them (update). Nothing is saved: the model stays as it is.
    """
    model, config = load_model(run), Run.open(run).config()
    digits = load_data_of_run(config, model.metadata, data, offline, console)
    images = getattr(digits, split)
    count = batch or (8 if model.network.needs_whole_batch else 1)
    if count > len(images):
        raise UsageError(f"batch must be at most the {len(images)} pictures of the {split} half, got {count}")
    if sample + count > len(images):
        raise UsageError(f"sample must be 0 to {len(images) - count} of the {split} half, got {sample}")
    if batch is None and count > 1:
        console.info(
            f"batch norm learns from several pictures at once: showing samples {sample} to {sample + count - 1}"
        )
    explanation = explain_step(
        model,
        images[sample] if count == 1 else images[sample : sample + count],
        learning_rate=learning_rate,
        optimizer=optimizer_named(optimizer),
        loss=loss_of(config, model.metadata),
        units=chosen,
        seed=seed,
    )
    console.write_page(explanation.html)
    if console.as_json or console.page is None:
        console.show(explanation.to_json, lambda: text_for_terminal(explanation, units_only=bool(chosen)))


def text_for_terminal(explanation: Explanation, *, units_only: bool) -> str:
    """Return the text in the terminal's width, with images in color where it has enough of them."""
    from rich.console import Console as RichConsole

    terminal = RichConsole(file=sys.stdout)
    color = terminal.color_system in ("256", "truecolor") and not terminal.no_color
    return explanation.text(min(terminal.width, 120), color=color, units_only=units_only).rstrip("\n")
