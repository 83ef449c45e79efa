"""`byhand lr-find`: a learning-rate range test, with the options of `byhand train`."""

import shlex
import sys
from typing import Any

import click

from byhand.cli.output import Console, columns, console_options, load_data, offline, option
from byhand.cli.train_options import check_options, training_options, untrained
from byhand.report.lr_find import range_test_page, range_test_text, verdict
from byhand.training.lr_find import lr_find


@click.command()
@option("--lowest", float, "Learning rate of the first step.", default=1e-4)
@option("--highest", float, "Learning rate of the last step.", default=10.0)
@option("--steps", int, "Number of steps of the range test.", default=120)
@training_options
@offline
@console_options(html=True)
def command(
    lowest: float,
    highest: float,
    steps: int,
    preset: str,
    data: str | None,
    color: bool,
    seed: int,
    options: dict[str, Any],
    offline: bool,
    console: Console,
) -> None:
    """Find a learning rate with a range test: increase it at every step of a short run until training diverges.

    Takes the options of `byhand train`, so that the rate fits the network to be trained. No model is saved. For a
    one-cycle schedule, the suggestion is the maximum learning rate.
    """
    check_options(preset, data, seed, options)
    digits = load_data(data, offline, console, color=color)
    model, recipe, images = untrained(preset, digits, seed, options)
    sweep = lr_find(model, images, recipe, lowest=lowest, highest=highest, steps=steps, seed=seed)
    title = f"{model!r} on {images.name}"[1:].replace(">", "")
    console.write_page(lambda: range_test_page(sweep, title, shlex.join(["byhand", *sys.argv[1:]])))
    console.show(sweep.to_json, lambda: f"{range_test_text(sweep, min((columns() or 80) - 8, 72))}\n{verdict(sweep)}")
