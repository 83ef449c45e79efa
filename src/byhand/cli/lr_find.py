"""`byhand lr-find`: which learning rate to take. The sweep is in `byhand.training.lr_find`, its picture in
`byhand.report.lr_find`; the choices are those of `byhand train`."""

import shlex
import sys
from typing import Any

import click

from byhand.cli import train_options
from byhand.cli.output import Console, console_options, data, load_data, offline, option, seed
from byhand.report.lr_find import range_test_page, range_test_text, verdict
from byhand.training.lr_find import lr_find


@click.command()
@option("--lowest", float, "The rate of the first step.", default=1e-4)
@option("--highest", float, "The rate of the last step.", default=10.0)
@option("--steps", int, "Steps from the one to the other.", default=120)
@train_options.preset_option("As in `train`.")
@data
@train_options.of_recipe
@seed
@offline
@console_options(html=True)
def command(
    lowest: float,
    highest: float,
    steps: int,
    preset: str,
    data: str | None,
    seed: int,
    offline: bool,
    console: Console,
    **options: Any,
) -> None:
    """Find a learning rate: raise it at every step of a short run, and see where the loss falls and where it explodes.

    Takes the options of `byhand train`, so that the rate is found for the network that will be trained. Nothing is
    saved. Where the schedule is a cycle, the suggestion is its peak.
    """
    digits = load_data(data, offline, console)
    model, recipe, images = train_options.untrained(preset, digits, seed, options)
    sweep = lr_find(model, images, recipe, lowest=lowest, highest=highest, steps=steps, seed=seed)
    title = f"{model!r} on {images.name}"[1:].replace(">", "")
    console.write_page(lambda: range_test_page(sweep, title, shlex.join(["byhand", *sys.argv[1:]])))
    console.show(sweep.to_json, lambda: f"{range_test_text(sweep)}\n{verdict(sweep)}")
