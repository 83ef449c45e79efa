"""What the commands share: messages and progress on stderr, common options, data sets, JSON on stdout."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from byhand.errors import DataError, UsageError
from byhand.files import write_text

if TYPE_CHECKING:
    from byhand.data import Dataset, TrainTest

Command = Callable[..., Any]
Config = Mapping[str, Any]

#: A data set whose images are among the training images of another one.
SUBSETS = {"mnist-5k": "mnist"}


class Place(click.Path):
    """A file, a folder, a run or a data set. An empty one is an error: `--html "$UNSET"` would mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            named = param.opts[0] if isinstance(param, click.Option) else "an argument"
            raise UsageError(f"{named} must not be empty")
        return super().convert(value, param, ctx)


#: Any place, as it was typed: whether it can be read is for the library to find out.
PLACE = Place(readable=False)


def option(
    written: str, kind: Any, about: str, dest: str | None = None, **settings: Any
) -> Callable[[Command], Command]:
    """Return an option: its names and its metavar, as in `--run DIR`, its type, and its help, which shows the default.

    A type that is a collection holds the values to choose from; `bool` is a flag, and None a flag with an opposite,
    which is None if neither is given.  dest: the argument of the command, if it is not called like the option
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
        type=click.Choice(list(kind)) if isinstance(kind, dict | tuple) else kind,
        is_flag=True if kind is bool else None,
        metavar=metavar or None,
        help=about,
        **settings,
    )


split = option("--split", ("test", "train"), "Which half of the data.", default="test")
offline = option("--offline", bool, "Never use the network.")
shifts = option(
    "--shifts",
    bool,
    "Test-time augmentation: read each picture five times, also shifted by a pixel in four directions. Fewer mistakes "
    "for five times the work.",
)
timeout = option(
    "--timeout",
    click.FloatRange(min=1),
    "Seconds of processor time for the whole file, of which one call may take 3; twice as long by the clock.",
    default=60.0,
)
seed = option("--seed", click.IntRange(min=0), "Random seed.", default=0)
data = option(
    "--data NAME|PATH",
    PLACE,
    "Data set by name (mnist, fashion-mnist, kmnist, mnist-5k) or path. Defaults to full MNIST if it is available or "
    "can be downloaded, otherwise the bundled sample.",
)
JSON = option("--json", bool, "Print the result as JSON on stdout.", "as_json")
QUIET = option("--quiet -q", bool, "Suppress messages and progress on stderr.", "is_quiet")
HTML = option("--html FILE", Place(dir_okay=False), "Write it as one HTML page.", "html_file")


class Console:
    """What a command prints: results on stdout, as text or JSON, and on a page; messages and progress on stderr.

    There are no messages with `--quiet`, nor in nbgrader, which counts any output as an error.
    """

    def __init__(self, quiet: bool, as_json: bool = False, page: str | None = None) -> None:
        self.is_silent = quiet or bool(os.environ.get("NBGRADER_EXECUTION"))
        self.as_json, self.page = as_json, page

    @property
    def is_live(self) -> bool:
        """True if a line can be drawn over: stderr is a terminal."""
        return not self.is_silent and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def info(self, line: str) -> None:
        """Write one line."""
        if not self.is_silent:
            click.echo(line, err=True)

    def show(self, to_json: Callable[[], Any], text: Callable[[], str]) -> None:
        """Print a result, as JSON with `--json`."""
        if self.as_json:
            show_json(to_json())
        else:
            click.echo(text())

    def write_page(self, html: Callable[[], str]) -> None:
        """Write a result as a page with `--html`."""
        if self.page is not None:
            write_text(self.page, html())
            self.info(f"wrote {self.page}")

    @contextmanager
    def downloads(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yield a function that shows how far the download of a file is: (file, bytes done, total bytes, 0 if unknown).

        On a terminal each file has a bar, drawn when its download starts; elsewhere each has a line when it is done.
        """
        with ExitStack() as stack:
            bars = functools.cache(lambda: stack.enter_context(download_bars()))
            bar_of = functools.cache(lambda file: bars().add_task(file))

            def show(file: str, done: int, total: int) -> None:
                if self.is_live:
                    bars().update(bar_of(file), completed=done, total=total or None)
                elif done == total:
                    self.info(f"{file}: {done:,} bytes")

            yield show


def console_options(*, quiet: bool = True, json: bool = True, html: bool = False) -> Callable[[Command], Command]:
    """Give a command `--quiet`, `--json` and `--html`, together as its argument `console`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def decorated(is_quiet: bool = False, as_json: bool = False, html_file: str | None = None, **rest: Any) -> Any:
            return command(console=Console(is_quiet, as_json, html_file), **rest)

        for is_wanted, option in ((json, JSON), (quiet, QUIET), (html, HTML)):
            if is_wanted:
                option(decorated)
        return decorated

    return decorate


def load_data(name: str | None, offline: bool, console: Console) -> "TrainTest":
    """Load a data set by name or path, with a line that says what it is and where it came from."""
    from byhand.data import load

    with console.downloads() as progress:
        digits = load(name, offline=offline, say=console.info, progress=progress)
    console.info(f"data: {digits!r}"[:400])
    return digits


def load_data_of_run(
    config: Config, metadata: Config, data: str | None, offline: bool, console: Console
) -> "TrainTest":
    """Load the data set that was named, or else the one that the run was trained on."""
    from byhand.training.run import data_of

    return load_data(data if data is not None else data_of(config, metadata), offline, console)


def load_any_data(config: Config, metadata: Config, console: Console) -> "TrainTest":
    """Load the data set that a run was trained on if it is on this machine, else any: where all pictures will do."""
    from byhand.training.run import data_of

    name = data_of(config, metadata)
    try:
        return load_data(name, True, console)
    except DataError as error:
        if name is None:
            raise
        console.info(str(error))
        return load_data(None, True, console)


def warn_if_trained_on(name: str, metadata: Config, images: "Dataset", console: Console) -> None:
    """Warn if a model is tested with images that it was trained on under another name."""
    trained_on = metadata.get("data", {}).get("name")
    if trained_on is not None and SUBSETS.get(images.name) == trained_on:
        console.info(
            f"watch out: {name} was trained on {trained_on}, and {images.name} is taken from its training images: "
            "these figures say nothing of pictures never seen"
        )


def show_json(value: Any) -> None:
    """One JSON value on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def download_bars() -> Any:
    """Return Rich's progress bars for downloads; Rich is imported here because most commands never need it."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(24), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=RichConsole(stderr=True))
