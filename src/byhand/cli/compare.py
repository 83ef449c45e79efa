"""`byhand compare`: compare runs on the same test images."""

import click

from byhand.cli.output import PLACE, Console, console_options, load_run_data, model_data, offline, warn_if_trained_on
from byhand.report.comparison import check_several, compare_runs
from byhand.training.runs import Run, load_reader


@click.command()
@click.argument("runs", type=PLACE, metavar="RUN RUN…", nargs=-1, required=True)
@model_data
@offline
@console_options(html=True)
def command(runs: tuple[str, ...], data: str | None, offline: bool, console: Console) -> None:
    """Compare runs: their results, their different settings, and whether the difference is statistically significant.

    All models are tested on the same test set, by default that of the first model.
    """
    check_several(runs)  # before loading
    digits = load_run_data(Run.open(runs[0]).config(), load_reader(runs[0]).metadata, data, offline, console)
    comparison = compare_runs(runs, digits.test)
    for one in comparison.runs:
        warn_if_trained_on(one.name, one.model.metadata, digits.test, console)
    console.write_page(comparison.html)
    console.show(comparison.to_json, comparison.text)
