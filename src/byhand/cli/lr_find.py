"""`byhand lr-find`: which learning rate to take. The sweep is in `byhand.training.lr_find`, its picture in
`byhand.report.lr_find`; the choices are those of `byhand train`."""

import shlex
import sys
from typing import Any

import click

from byhand.cli import train_options
from byhand.cli.output import Console, as_json, data, html, load_data, offline, quiet, seed, show_json
from byhand.files import write_text
from byhand.report.lr_find import range_test_page, range_test_text, verdict
from byhand.training import PRESETS
from byhand.training.lr_find import lr_find


@click.command()
@click.option("--lowest", type=float, default=1e-4, show_default=True, help="The rate of the first step.")
@click.option("--highest", type=float, default=10.0, show_default=True, help="The rate of the last step.")
@click.option("--steps", type=int, default=120, show_default=True, help="Steps from the one to the other.")
@html
@click.option("--preset", type=click.Choice(list(PRESETS)), default="digits", show_default=True, help="As in `train`.")
@data
@train_options.options
@seed
@offline
@quiet
@as_json
def command(
    lowest: float,
    highest: float,
    steps: int,
    page: str | None,
    preset: str,
    data: str | None,
    seed: int,
    offline: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find a learning rate: raise it at every step of a short run, and see where the loss falls and where it explodes.

    Takes the options of `byhand train`, so that the rate is found for the network that will be trained. Nothing is
    saved. Where the schedule is a cycle, the suggestion is its peak.
    """
    console = Console(quiet)
    digits = load_data(data, offline, console)
    model, recipe, images = train_options.untrained(preset, digits, seed, options)
    sweep = lr_find(model, images, recipe, lowest=lowest, highest=highest, steps=steps, seed=seed)
    if page is not None:
        title = f"{model!r} on {images.name}"[1:].replace(">", "")
        write_text(page, range_test_page(sweep, title, shlex.join(["byhand", *sys.argv[1:]])))
        console.info(f"wrote {page}")
    if as_json:
        show_json(sweep.to_json())
    else:
        click.echo(range_test_text(sweep))
        click.echo(verdict(sweep))
