"""`byhand compare`: runs side by side on the same pictures. The work is done in `byhand.report.comparison`."""

import click

from byhand.cli.output import (
    PLACE,
    Console,
    as_json,
    data,
    html,
    load_data_of_run,
    offline,
    quiet,
    show_json,
    warn_if_trained_on,
)
from byhand.files import write_text
from byhand.report.comparison import check_several, compare_runs
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
    digits = load_data_of_run(Run.open(runs[0]).config(), load_reader(runs[0]).metadata, data, offline, console)
    comparison = compare_runs(runs, digits.test)
    for one in comparison.runs:
        warn_if_trained_on(one.name, one.model.metadata, digits.test, console)
    if page is not None:
        write_text(page, comparison.html())
        console.info(f"wrote {page}")
    if as_json:
        show_json(comparison.to_json())
    else:
        click.echo(comparison.text())
