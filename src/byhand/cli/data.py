"""`byhand data`: list, fetch, verify and import data sets.

Results go to stdout, messages and progress to stderr. The work is done in `byhand.data`, which a notebook can call too.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from byhand.cli.group import CommandGroup
from byhand.cli.output import PLACE, Console, Place, console_options, offline, option, show_json
from byhand.data import loading
from byhand.data.catalog import CATALOG
from byhand.data.dataset import TrainTest
from byhand.errors import DataError


@click.group(cls=CommandGroup)
def command() -> None:
    """List, get, verify and import data sets.

    A data set is named (mnist, fashion-mnist, kmnist, mnist-5k, or what you imported) or given by its path: a folder
    of IDX files, CSV, mnist.pkl.gz, mnist.npz, or a folder with a sub-folder of pictures for each class.
    """


@command.command("list")
@console_options(quiet=False)
def list_(console: Console) -> None:
    """List the data sets by name, with the place of each."""
    sets = loading.named_sets()
    if console.as_json:
        show_json([{key: value for key, value in asdict(one).items() if key != "problem" or value} for one in sets])
        return
    width, problems = max(len(one.name) for one in sets), set()
    for one in sets:
        problem = "the same" if one.problem in problems else one.problem  # BYHAND_DATA is searched for each name
        problems.add(one.problem or "")
        where = one.where or problem or f"not here; `byhand data get {one.name}` fetches it"
        click.echo(f"{one.name:{width}}  {one.about}: {where}")


@command.command()
@click.argument("name")
@offline
@console_options()
def get(name: str, offline: bool, console: Console) -> None:
    """Fetch the data set NAME into the cache if it is not there."""
    with console.downloads() as progress:
        digits = loading.fetch(name, offline=offline, say=console.info, progress=progress)
    _show(digits, console)


@command.command()
@click.argument("place", type=PLACE)
@console_options(quiet=False)
def verify(place: str, console: Console) -> None:
    """Verify the data set at the path or with the name PLACE.

    Prints one line per problem and exits with 3, or one line that describes a valid data set.
    """
    report = loading.verify(place)
    if console.as_json:
        facts = _facts(report.digits) if report.digits else {}
        show_json({**facts, "where": report.where, "ok": not report.problems, "problems": report.problems})
    elif report.digits and not report.problems:
        is_known = report.digits.name in CATALOG
        sums = "every checksum is right" if is_known else "sound; its checksums are of no known data set"
        click.echo(f"{report.where}: {_line(report.digits)}; {sums}")
    else:
        click.echo("\n".join(report.problems))
    if report.problems:
        click.get_current_context().exit(DataError.exit_code)


@command.command("import")
@click.argument("path", type=Place(path_type=Path))
@click.argument("name", required=False)
@option("--force", bool, "Replace a different data set with that name.")
@console_options()
def import_(path: Path, name: str | None, force: bool, console: Console) -> None:
    """Import the data set at PATH into the cache. From then on it is loaded as NAME.

    Without NAME, the name is that of the known data set with the same checksums, or else that of the file.
    """
    digits = loading.import_dataset(path, name, force=force)
    console.info(f"imported as {digits.name!r}")
    _show(digits, console)


def _facts(digits: TrainTest) -> dict[str, Any]:
    return {
        "name": digits.name,
        "train": len(digits.train),
        "test": len(digits.test),
        "shape": digits.train.shape,
        "classes": digits.classes,
        "source": digits.source,
    }


def _line(digits: TrainTest) -> str:
    height, width = digits.train.shape
    return (
        f"{digits.name}, {len(digits.train):,} + {len(digits.test):,} images of {height}×{width}, "
        f"{len(digits.classes)} classes"
    )


def _show(digits: TrainTest, console: Console) -> None:
    console.show(lambda: _facts(digits), lambda: f"{_line(digits)}: {digits.source}")
