"""`byhand compare`: runs side by side on the same pictures. The work is done in `byhand.report.comparison`."""

import os
from collections.abc import Sequence

import click

from byhand.cli.output import PLACE, Console, as_json, data, html, offline, quiet, show_json
from byhand.cli.run_data import load_data_of, warn_if_seen
from byhand.data import Dataset
from byhand.files import write_text
from byhand.model import Reader
from byhand.report import evaluate
from byhand.report.comparison import Comparison, Contestant, check_several, compare
from byhand.training.runs import Run, load_reader


@click.command()
@click.argument("runs", type=PLACE, metavar="RUN RUN…", nargs=-1, required=True)
@data
@html
@offline
@quiet
@as_json
def command(
    runs: tuple[str, ...], data: str | None, page: str | None, offline: bool, quiet: bool, as_json: bool
) -> None:
    """Put runs side by side: what came of them, where they were set differently, and whether the difference is luck.

    All of them read the test pictures of the data that the first was trained on, or of --data.
    """
    console = Console(quiet)
    check_several(runs)  # before anything is loaded
    readers = [load_reader(run) for run in runs]
    digits = load_data_of(Run.open(runs[0]).config(), readers[0].metadata, data, offline, console)
    called = names(runs)
    for reader, name in zip(readers, called, strict=True):
        warn_if_seen(name, reader.metadata, digits.test, console)
    comparison = compare(
        [contestant(*each, digits.test) for each in zip(runs, called, readers, strict=True)],
    )
    if page is not None:
        from byhand.report.comparison_page import comparison_report

        write_text(page, comparison_report(comparison))
        console.info(f"wrote {page}")
    if as_json:
        show_json(comparison.to_json())
    else:
        show(comparison)


def contestant(run: str, name: str, model: Reader, data: Dataset) -> Contestant:
    """One run, evaluated."""
    opened = Run.open(run)
    is_file = os.path.isfile(run) and os.path.basename(run) != opened.model_path.name
    records, config = ([], {}) if is_file else (opened.records(), opened.config())
    return Contestant(name, model, evaluate(model, data), records, config)


def names(runs: Sequence[str]) -> list[str]:
    """What to call the runs: their folders' names where these differ, else their whole paths."""
    short = [os.path.basename(os.path.normpath(run)) for run in runs]
    return (
        short
        if len(set(short)) == len(short)
        else [f"{run} ({k})" if list(runs).count(run) > 1 else run for k, run in enumerate(runs, 1)]
    )


def show(comparison: Comparison) -> None:
    """The table and the verdicts, on stdout."""
    rows = [("", [one.name for one in comparison.contestants]), *comparison.figures()]
    first = max(len(what) for what, _ in rows)
    widths = [max(len(values[k]) for _, values in rows) for k in range(len(comparison.contestants))]
    for what, values in rows:
        cells = "  ".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
        click.echo(f"{what:{first}}  {cells}".rstrip())
    click.echo()
    for duel in comparison.duels:
        click.echo(duel.sentence)
