"""`byhand eval`: evaluate a model on a data set."""

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
from byhand.text import percent
from byhand.training.runs import Run, load_model, load_reader


@click.command()
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@model_data
@split
@option("--threshold SHARE", click.FloatRange(0, 1), "Minimum accuracy: exit with status 1 if it is lower.")
@shifts
@offline
@console_options(html=True)
def command(
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
