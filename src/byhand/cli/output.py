"""What the commands share: how they talk, the options that mean the same everywhere, and how lists are written."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from byhand.data import Digits, load

Command = Callable[..., Any]

as_json = click.option("--json", "as_json", is_flag=True, help="The result as JSON, on stdout.")
quiet = click.option("--quiet", "-q", is_flag=True, help="No talk and no progress on stderr.")
offline = click.option("--offline", is_flag=True, help="Never touch the network.")
shifts = click.option(
    "--shifts",
    is_flag=True,
    help="Look at each picture five times, also moved by a pixel, four ways: fewer mistakes for five times the work.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds of processor time for the whole file, of which one call may take 3; twice as long by the clock.",
)
seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="All that is random follows from it."
)
data = click.option(
    "--data",
    metavar="NAME|PATH",
    help="The data set, by name (mnist, fashion-mnist, kmnist, mnist-5k) or path. Without it, what is there: full "
    "MNIST if it is found or can be downloaded, else the bundled sample.",
)


class Talk:
    """Says things on stderr, unless nobody wants to hear: `--quiet`, or a marker that counts any word as an error."""

    def __init__(self, quiet: bool) -> None:
        self.is_silent = quiet or bool(os.environ.get("NBGRADER_EXECUTION"))

    @property
    def is_live(self) -> bool:
        """Whether a line may be drawn over: someone is looking at a terminal."""
        return not self.is_silent and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, line: str) -> None:
        if not self.is_silent:
            click.echo(line, err=True)


def load_data(name: str | None, offline: bool, talk: Talk) -> Digits:
    """The data set asked for, with a line that says what it is and where it came from."""
    from byhand.cli.downloads import Downloads

    with Downloads(talk) as downloads:
        digits = load(name, offline=offline, say=talk.say, progress=downloads.show)
    talk.say(f"data: {digits!r}"[:400])
    return digits


def show_json(value: Any) -> None:
    """One JSON value on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


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
