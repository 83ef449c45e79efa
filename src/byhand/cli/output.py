"""What the commands share: messages and progress on stderr, common options, data sets, JSON on stdout."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

split = click.option(
    "--split", type=click.Choice(["test", "train"]), default="test", show_default=True, help="Which half of the data."
)
offline = click.option("--offline", is_flag=True, help="Never use the network.")
shifts = click.option(
    "--shifts",
    is_flag=True,
    help="Test-time augmentation: read each picture five times, also shifted by a pixel in four directions. Fewer "
    "mistakes for five times the work.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds of processor time for the whole file, of which one call may take 3; twice as long by the clock.",
)
seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
data = click.option(
    "--data",
    type=PLACE,
    metavar="NAME|PATH",
    help="Data set by name (mnist, fashion-mnist, kmnist, mnist-5k) or path. Defaults to full MNIST if it is available "
    "or can be downloaded, otherwise the bundled sample.",
)


JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
QUIET = click.option("--quiet", "-q", "is_quiet", is_flag=True, help="Suppress messages and progress on stderr.")
HTML = click.option(
    "--html", "html_file", metavar="FILE", type=Place(dir_okay=False), help="Write it as one HTML page."
)


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
        bars: Any = None
        tasks: dict[str, Any] = {}

        def show(file: str, done: int, total: int) -> None:
            nonlocal bars
            if not self.is_live:
                if done == total:
                    self.info(f"{file}: {done:,} bytes")
                return
            if bars is None:
                bars = download_bars()
                bars.start()
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=total or None)

        try:
            yield show
        finally:
            if bars is not None:
                bars.stop()


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
