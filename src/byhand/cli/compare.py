"""`byhand compare`: runs side by side on the same pictures. The work is done in `byhand.report.comparison`."""

import click

from byhand.cli.output import PLACE, Console, console_options, data, load_data_of_run, offline, warn_if_trained_on
from byhand.report.comparison import check_several, compare_runs
from byhand.training.runs import Run, load_reader


@click.command()
@click.argument("runs", type=PLACE, metavar="RUN RUN…", nargs=-1, required=True)
@data
@offline
@console_options(html=True)
def command(runs: tuple[str, ...], data: str | None, offline: bool, console: Console) -> None:
    """Put runs side by side: what came of them, where they were set differently, and whether the difference is luck.

    All of them read the test pictures of the data that the first was trained on, or of --data.
    """
    check_several(runs)  # before anything is loaded
    digits = load_data_of_run(Run.open(runs[0]).config(), load_reader(runs[0]).metadata, data, offline, console)
    comparison = compare_runs(runs, digits.test)
    for one in comparison.runs:
        warn_if_trained_on(one.name, one.model.metadata, digits.test, console)
    console.write_page(comparison.html)
    console.show(comparison.to_json, comparison.text)
