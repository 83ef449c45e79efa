"""`byhand data`: which data sets are here, fetching them, verifying them, importing one's own.

Results go to stdout, messages and progress to stderr. The work is done in `byhand.data`, which a notebook can call too.
"""

from pathlib import Path
from typing import Any

import click

from byhand.cli.output import PLACE, Console, Place, as_json, offline, quiet, show_json
from byhand.data import bundled, catalog, loading, store
from byhand.data import verify as verifying
from byhand.data.dataset import Digits
from byhand.errors import DataError, UsageError


@click.group()
def command() -> None:
    """List, get, verify and import data sets.

    A data set is named (mnist, fashion-mnist, kmnist, mnist-5k, or what you imported) or given by its path: a folder
    of IDX files, CSV, mnist.pkl.gz, mnist.npz, or a folder with a sub-folder of pictures for each class.
    """


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the data sets by name, and where each of them is."""
    rows = [{"name": name, "about": _about(name), **_found(name)} for name in _names()]
    if as_json:
        show_json(rows)
        return
    width = max(map(len, _names()))
    said: set[str | None] = set()
    for row in rows:
        problem = row.get("problem")
        if problem is not None and problem in said:  # one BYHAND_DATA is looked through for each name
            problem = "the same"
        said.add(problem)
        where = row["where"] or problem or f"not here; `byhand data get {row['name']}` fetches it"
        click.echo(f"{row['name']:{width}}  {row['about']}: {where}")


@command.command()
@click.argument("name")
@offline
@quiet
@as_json
def get(name: str, offline: bool, quiet: bool, as_json: bool) -> None:
    """Fetch the data set NAME into the cache, if it isn't there."""
    known = catalog.known_name(name)
    if known is None:
        raise UsageError(f"NAME must be one of {', '.join(catalog.CATALOG)}, got {name!r}")
    entry = catalog.CATALOG[known]
    console = Console(quiet)
    with console.downloads() as progress:
        search = loading.Search(offline, None, console.info, progress)
        if known == bundled.NAME:
            digits = bundled.load()
        elif offline:
            digits = search.named(entry)
        else:
            digits = search.in_cache(entry) or search.fetched(entry)
    _show(digits, as_json)


@command.command()
@click.argument("place", type=PLACE)
@as_json
def verify(place: str, as_json: bool) -> None:
    """Verify the data set at the path or with the name PLACE.

    Each problem is one line, and the exit code is 3; a sound data set is one line that says what it is.
    """
    report = verifying.verify(place)
    if as_json:
        what = _facts(report.digits) if report.digits else {}
        result = {**what, "where": report.where, "ok": not report.problems, "problems": report.problems}
        show_json(result)
    for problem in [] if as_json else report.problems:
        click.echo(problem)
    if report.problems:
        click.get_current_context().exit(DataError.exit_code)
    if report.digits and not as_json:
        sums = "every checksum is right" if report.known else "sound; its checksums are of no known data set"
        click.echo(f"{report.where}: {_line(report.digits)}; {sums}")


@command.command("import")
@click.argument("path", type=Place(path_type=Path))
@click.argument("name", required=False)
@click.option("--force", is_flag=True, help="Replace another data set of that name.")
@quiet
@as_json
def import_(path: Path, name: str | None, force: bool, quiet: bool, as_json: bool) -> None:
    """Read the data set at PATH into the cache, to be loaded as NAME from then on.

    Without NAME it is called what its checksums say, or else what its file is called.
    """
    digits = loading.bring_in(path, name, force=force)
    Console(quiet).info(f"kept in the cache: {digits.name} is its name from now on")
    _show(digits, as_json)


def _names() -> list[str]:
    return [*catalog.CATALOG, *(name for name in store.names() if name not in catalog.CATALOG)]


def _about(name: str) -> str:
    return catalog.CATALOG[name].about if name in catalog.CATALOG else "imported"


def _found(name: str) -> dict[str, str | None]:
    try:
        return {"where": _where(name)}
    except DataError as error:
        return {"where": None, "problem": str(error)}


def _where(name: str) -> str | None:
    """Where `load` would find it without the network."""
    if name == bundled.NAME:
        return "bundled"
    search = loading.Search(True, None, lambda _: None, None)
    entry = catalog.CATALOG.get(name)
    digits = (entry and search.in_environment(entry)) or store.kept(store.place_of_set(name, None))
    return digits.source if digits else None


def _facts(digits: Digits) -> dict[str, Any]:
    return {
        "name": digits.name,
        "train": len(digits.train),
        "test": len(digits.test),
        "shape": digits.train.shape,
        "classes": digits.classes,
        "source": digits.source,
    }


def _line(digits: Digits) -> str:
    height, width = digits.train.shape
    return (
        f"{digits.name}, {len(digits.train):,} + {len(digits.test):,} images of {height}×{width}, "
        f"{len(digits.classes)} classes"
    )


def _show(digits: Digits, as_json: bool) -> None:
    if as_json:
        show_json(_facts(digits))
    else:
        click.echo(f"{_line(digits)}: {digits.source}")
