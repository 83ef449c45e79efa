"""Shared by the commands: options, output, and loading of data sets."""

import functools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from byhand.errors import DataError, UsageError
from byhand.files import write_text
from byhand.text import printable_lines

if TYPE_CHECKING:
    from byhand.data import Dataset, TrainTest
    from byhand.model import Reader

Command = Callable[..., Any]
Config = Mapping[str, Any]

#: Data sets whose images are training images of another one.
SUBSETS = {"mnist-5k": "mnist"}


class Place(click.Path):
    """A path or a name that must not be empty, as in `--html "$UNSET"`; `~` is the home folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            named = param.opts[0] if isinstance(param, click.Option) else "an argument"
            raise UsageError(f"{named} must not be empty")
        if isinstance(value, str) and value.startswith("~") and not os.path.exists(value):
            value = os.path.expanduser(value)  # the shell keeps the one in `--run=~/runs/1`
        return super().convert(value, param, ctx)


class Choices(click.Choice[str]):
    """A choice that is case-insensitive and takes `-` for `_`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        plain = value.lower().replace("-", "_") if isinstance(value, str) else value
        return super().convert(plain if plain in self.choices else value, param, ctx)


#: A path or name as it was typed; the library checks it.
PLACE = Place(readable=False)


def option(
    written: str, kind: Any, about: str, dest: str | None = None, **settings: Any
) -> Callable[[Command], Command]:
    """Return a click option with names and metavar (`--run DIR`), type and help.

    kind: a type; a collection of choices; `bool` for a flag; None for `--x/--no-x`, with None as the default
    dest: the name of the command's argument, if it differs from the option
    """
    names = [word for word in written.split() if word.startswith("-")]
    metavar = " ".join(word for word in written.split() if word not in names)
    if "default" in settings:
        settings["show_default"] = True
    elif kind is None:
        settings["default"] = None
    return click.option(
        *names,
        *([dest] if dest else []),
        type=Choices(list(kind), case_sensitive=False) if isinstance(kind, dict | tuple) else kind,
        is_flag=True if kind is bool else None,
        metavar=metavar or None,
        help=about,
        **settings,
    )


split = option("--split", ("test", "train"), "Split of the data set: test set or training set.", default="test")
offline = option("--offline", bool, "Offline mode: never download data. Also set by BYHAND_OFFLINE=1.")
shifts = option(
    "--shifts",
    bool,
    "Test-time augmentation: average the probabilities of each image and of four copies shifted by one pixel. Fewer "
    "errors, five times the work.",
)
timeout = option(
    "--timeout",
    click.FloatRange(min=1),
    "Time limit for the whole file, in seconds of CPU time; twice that in wall-clock time. One call may take 3 s.",
    default=60.0,
)
seed = option("--seed", click.IntRange(min=0), "Random seed.", default=0)
DATA = "Data set by name (mnist, fashion-mnist, kmnist, mnist-5k) or path. Defaults to "
data = option(
    "--data NAME|PATH",
    PLACE,
    f"{DATA}full MNIST if it is available or can be downloaded, otherwise the bundled sample.",
)
model_data = option("--data NAME|PATH", PLACE, f"{DATA}the one that the model was trained on.")
JSON = option("--json", bool, "Print the result as JSON on stdout.", "as_json")
QUIET = option("--quiet -q", bool, "Suppress messages and progress on stderr.", "is_quiet")
HTML = option("--html FILE", Place(dir_okay=False), "Write the result to FILE as an HTML report.", "html_file")


def columns() -> int | None:
    """Return the width of the terminal on stdout, or COLUMNS; None for a pipe or a file, which has any width."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return None


class Console:
    """Results on stdout, as text or JSON; messages and progress on stderr.

    Messages are suppressed by `--quiet` and in nbgrader, which treats any output as an error.
    """

    def __init__(self, quiet: bool, as_json: bool = False, page: str | None = None) -> None:
        self.is_silent = quiet or bool(os.environ.get("NBGRADER_EXECUTION"))
        self.as_json, self.page = as_json, page

    @property
    def is_live(self) -> bool:
        """True if stderr is a terminal on which lines can be redrawn."""
        return not self.is_silent and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def info(self, line: str) -> None:
        if not self.is_silent:
            click.echo(printable_lines(line), err=True)

    def show(self, to_json: Callable[[], Any], text: Callable[[], str], *, has_colors: bool = False) -> None:
        """Print a result as text, or as JSON with `--json`. Control characters are replaced unless it has colors."""
        if self.as_json:
            show_json(to_json())
        else:
            click.echo(text() if has_colors else printable_lines(text()))

    def write_page(self, html: Callable[[], str]) -> None:
        """Write a result as an HTML page with `--html`."""
        if self.page is not None:
            write_text(self.page, html())
            self.info(f"wrote {self.page}")

    @contextmanager
    def downloads(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yield a function that shows progress: (file, bytes done, total bytes or 0).

        Shows a progress bar per file on a terminal, and otherwise a line per completed file.
        """
        with ExitStack() as stack:

            @functools.cache
            def bars() -> Any:
                from rich.console import Console as RichConsole
                from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

                columns = "{task.description}", BarColumn(24), DownloadColumn(), TransferSpeedColumn()
                return stack.enter_context(Progress(*columns, console=RichConsole(stderr=True)))

            bar_of = functools.cache(lambda file: bars().add_task(file))

            def show(file: str, done: int, total: int) -> None:
                if self.is_live:
                    bars().update(bar_of(file), completed=done, total=total or None)
                elif done == total:
                    self.info(f"{file}: {done:,} bytes")

            yield show


def console_options(*, quiet: bool = True, json: bool = True, html: bool = False) -> Callable[[Command], Command]:
    """Add `--quiet`, `--json` and `--html` to a command, which gets them as `console`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def decorated(is_quiet: bool = False, as_json: bool = False, html_file: str | None = None, **rest: Any) -> Any:
            return command(console=Console(is_quiet, as_json, html_file), **rest)

        for is_wanted, option in ((json, JSON), (quiet, QUIET), (html, HTML)):
            if is_wanted:
                option(decorated)
        return decorated

    return decorate


def load_data(name: str | None, offline: bool, console: Console, *, color: bool = False) -> "TrainTest":
    """Load a data set by name or path, and print a line about it."""
    from byhand.data import load

    with console.downloads() as progress:
        digits = load(name, offline=offline, color=color, say=console.info, progress=progress)
    console.info(f"data: {digits}"[:400])
    return digits


def load_run_data(config: Config, reader: "Reader", data: str | None, offline: bool, console: Console) -> "TrainTest":
    """Load the named data set, by default the one that the reader was trained on."""
    from byhand.training.run import data_of

    name = data if data is not None else data_of(config, reader.metadata)
    return load_data(name, offline, console, color=reader.is_color)


def load_any_data(config: Config, reader: "Reader | None", console: Console) -> "TrainTest":
    """Load the data set that the reader was trained on, or another local one."""
    from byhand.training.run import data_of

    name = data_of(config, reader.metadata if reader else {})
    try:
        return load_data(name, True, console, color=reader is not None and reader.is_color)
    except DataError as error:
        if name is None:
            raise
        console.info(str(error))
        return load_data(None, True, console)


def warn_if_trained_on(name: str, metadata: Config, images: "Dataset", console: Console) -> None:
    """Warn if the images are part of the model's training data under another name."""
    trained_on = metadata.get("data", {}).get("name")
    if trained_on is not None and SUBSETS.get(images.name) == trained_on:
        console.info(
            f"warning: {name} was trained on {trained_on}, which contains the images of {images.name}: "
            "this accuracy is not a test accuracy"
        )


def show_json(value: Any) -> None:
    is_utf = (sys.stdout.encoding or "utf").lower().startswith("utf")  # or else escapes, which lose nothing
    lines = json.dumps(value, ensure_ascii=not is_utf, indent=2, allow_nan=False).split("\n")
    click.echo("\n".join(line if line.isprintable() else "".join(map(escaped, line)) for line in lines))


def escaped(letter: str) -> str:
    """Return a character of JSON, or its escape if a terminal could take it for a control character."""
    return letter if letter.isprintable() else json.dumps(letter)[1:-1]
