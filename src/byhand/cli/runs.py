"""Commands for runs: `eval` and `compare`."""

import sys

import click

from byhand.cli.output import (
    PLACE,
    Console,
    console_options,
    load_run_data,
    model_data,
    offline,
    option,
    shifts,
    split,
    warn_if_trained_on,
)
from byhand.model import Reader
from byhand.model.ensemble import ShiftAveraged
from byhand.report import evaluate, html_report
from byhand.report.comparison import check_several, compare_runs
from byhand.text import percent
from byhand.training.runs import Run, load_model, load_reader


@click.command("eval")
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@model_data
@split
@option("--threshold SHARE", click.FloatRange(0, 1), "Minimum accuracy: exit with status 1 if it is lower.")
@shifts
@offline
@console_options(html=True)
def eval_(
    run: str,
    data: str | None,
    split: str,
    threshold: float | None,
    shifts: bool,
    offline: bool,
    console: Console,
) -> None:
    """Evaluate the model of RUN: accuracy, confusion matrix, and the worst errors."""
    alone = load_reader(run)
    model: Reader = ShiftAveraged(alone) if shifts else alone
    config = Run.open(run).config()
    digits = load_run_data(config, model.metadata, data, offline, console)
    images = getattr(digits, split)
    warn_if_trained_on(run, model.metadata, images, console)
    evaluation = evaluate(model, images)
    settings = config | {"shifts": True} if shifts else config
    console.write_page(lambda: html_report(evaluation, load_model(run), Run.open(run).records(), settings))
    console.show(lambda: evaluation.to_json() | {"shifts": shifts}, evaluation.text)
    if threshold is not None and evaluation.accuracy < threshold:
        console.info(f"accuracy must be at least {percent(threshold)}, got {percent(evaluation.accuracy)}")
        sys.exit(1)


@click.command()
@click.argument("runs", type=PLACE, metavar="RUN RUN…", nargs=-1, required=True)
@model_data
@offline
@console_options(html=True)
def compare(runs: tuple[str, ...], data: str | None, offline: bool, console: Console) -> None:
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
