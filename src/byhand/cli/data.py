"""`byhand data`: list, download, verify and import data sets."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from byhand.cli.group import CommandGroup
from byhand.cli.output import PLACE, Console, Place, columns, console_options, offline, option, show_json
from byhand.data import loading
from byhand.data.catalog import CATALOG
from byhand.data.dataset import TrainTest
from byhand.errors import DataError
from byhand.text import hanging


@click.group(cls=CommandGroup)
def command() -> None:
    """List, download, verify and import data sets.

    A data set has a name (mnist, fashion-mnist, kmnist, mnist-5k, or an imported one) or a path: a folder of IDX files,
    a CSV file, X.npy with y.npy, a parquet file, mnist.pkl.gz, mnist.npz, or a folder (or a zip) with a subfolder of
    images per class.
    """


@command.command("list")
@console_options(quiet=False)
def list_(console: Console) -> None:
    """List the data sets with their locations."""
    sets = loading.named_sets()
    if console.as_json:
        show_json([{key: value for key, value in asdict(one).items() if key != "problem" or value} for one in sets])
        return
    width, problems = max(len(one.name) for one in sets), set()
    for one in sets:
        problem = "same problem" if one.problem in problems else one.problem  # of BYHAND_DATA, say
        problems.add(one.problem or "")
        where = one.where or problem or f"not downloaded; run `byhand data get {one.name}`"
        click.echo(hanging(f"{one.name:{width}}  ", f"{one.about}: {where}", columns()))


@command.command()
@click.argument("name")
@offline
@console_options()
def get(name: str, offline: bool, console: Console) -> None:
    """Download the data set NAME to the cache, if it is not there yet."""
    with console.downloads() as progress:
        digits = loading.fetch(name, offline=offline, say=console.info, progress=progress)
    _show(digits, console)


@command.command()
@click.argument("place", type=PLACE)
@console_options(quiet=False)
def verify(place: str, console: Console) -> None:
    """Verify the checksums and contents of a data set.

    PLACE is its path or name. Prints a line about a valid data set, or a line per problem and exits with status 3.
    """
    report = loading.verify(place)
    if console.as_json:
        facts = _facts(report.digits) if report.digits else {}
        show_json({**facts, "where": report.where, "ok": not report.problems, "problems": report.problems})
    elif report.digits and not report.problems:
        is_known = report.digits.name in CATALOG
        sums = "all checksums match" if is_known else "valid; its checksums match no known data set"
        click.echo(f"{report.where}: {_line(report.digits)}; {sums}")
    else:
        click.echo("\n".join(report.problems))
    if report.problems:
        click.get_current_context().exit(DataError.exit_code)


@command.command("import")
@click.argument("path", type=Place(path_type=Path))
@click.argument("name", required=False)
@option("--force", bool, "Overwrite a different data set of that name.")
@console_options()
def import_(path: Path, name: str | None, force: bool, console: Console) -> None:
    """Import the data set at PATH into the cache, to be loaded as NAME.

    NAME defaults to the known data set with the same checksums, otherwise to the name of the file.
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
    size = "×".join(map(str, digits.train.shape))
    return (
        f"{digits.name}, {len(digits.train):,} + {len(digits.test):,} images of {size}, {len(digits.classes)} classes"
    )


def _show(digits: TrainTest, console: Console) -> None:
    console.show(lambda: _facts(digits), lambda: f"{_line(digits)}: {digits.source}")
