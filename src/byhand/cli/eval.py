"""`byhand eval`: how well a trained model reads a data set. The figures are made in `byhand.report`."""

import math
import sys
from typing import Any

import click

from byhand.cli.output import PLACE, Console, as_json, data, html, offline, quiet, shifts, show_json
from byhand.cli.run_data import load_data_of, warn_if_seen
from byhand.files import write_text
from byhand.model import Reader
from byhand.model.ensemble import ShiftAveraged
from byhand.report import Evaluation, evaluate
from byhand.text import percent
from byhand.training.runs import Run, load_model, load_reader

#: Mistakes that the terminal shows; the report shows more.
SHOWN = 10


@click.command()
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@data
@click.option(
    "--split", type=click.Choice(["test", "train"]), default="test", show_default=True, help="Which half of the data."
)
@html
@click.option(
    "--threshold", type=click.FloatRange(0, 1), metavar="SHARE", help="Exit with 1 where the accuracy is lower."
)
@shifts
@offline
@quiet
@as_json
def command(
    run: str,
    data: str | None,
    split: str,
    page: str | None,
    threshold: float | None,
    shifts: bool,
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say how well the model of RUN reads, and where it fails.

    Without --data it looks at the data set that the model was trained on: at its test half, which the model has not
    seen, or at its training half with --split train.
    """
    console = Console(quiet)
    alone = load_reader(run)
    model: Reader = ShiftAveraged(alone) if shifts else alone
    config = Run.open(run).config()
    digits = load_data_of(config, model.metadata, data, offline, console)
    images = digits.test if split == "test" else digits.train
    warn_if_seen(run, model.metadata, images, console)
    evaluation = evaluate(model, images)
    if page is not None:
        from byhand.report import html_report

        settings = config | {"shifts": True} if shifts else config
        write_text(page, html_report(evaluation, load_model(run), Run.open(run).records(), settings))
        console.info(f"wrote {page}")
    if as_json:
        show_json(as_plain(evaluation) | {"shifts": shifts})
    else:
        show(evaluation)
    if threshold is not None and evaluation.accuracy < threshold:
        console.info(f"accuracy must be at least {percent(threshold)}, got {percent(evaluation.accuracy)}")
        sys.exit(1)


def show(evaluation: Evaluation) -> None:
    """The figures on stdout: accuracy, confusion, the classes, the worst mistakes."""
    low, high = evaluation.interval
    click.echo(
        f"accuracy {percent(evaluation.accuracy)} ({evaluation.correct:,} of {len(evaluation):,}; "
        f"95 % interval {percent(low)} to {percent(high)}), loss {evaluation.loss:.4f}"
    )
    click.echo()
    names = evaluation.classes
    width = max(6, *(len(name) for name in names))
    click.echo("true \\ read as".ljust(width + 9) + "".join(name.rjust(width) for name in names) + "  recall".rjust(10))
    for row, figures in enumerate(evaluation.per_class):
        counts = "".join((str(count) if count else "·").rjust(width) for count in evaluation.confusion[row])
        click.echo(names[row].ljust(width + 9) + counts + percent(figures.recall, 1).rjust(10))
    precisions = "".join(
        percent(figures.precision, 0).replace(" ", "").rjust(width) for figures in evaluation.per_class
    )
    click.echo("precision".ljust(width + 9) + precisions)
    if evaluation.mistakes:
        click.echo(f"\nthe worst of {len(evaluation.mistakes):,} mistakes:")
    for mistake in evaluation.mistakes[:SHOWN]:
        doubt = "  (its label is doubtful)" if mistake.doubtful else ""
        click.echo(
            f"  image {mistake.index:>5}: a {names[mistake.label]}, read as {names[mistake.predicted]} "
            f"with {percent(mistake.confidence, 1)}{doubt}"
        )


def as_plain(evaluation: Evaluation) -> dict[str, Any]:
    """The same figures for a machine."""
    return {
        "data": evaluation.data.name,
        "images": len(evaluation),
        "accuracy": evaluation.accuracy,
        "interval": evaluation.interval,
        "loss": evaluation.loss,
        "classes": evaluation.classes,
        "confusion": evaluation.confusion.tolist(),
        "per_class": [
            {"class": f.name, "images": f.count, "precision": finite(f.precision), "recall": finite(f.recall)}
            for f in evaluation.per_class
        ],
        "mistakes": [
            {
                "image": m.index,
                "label": evaluation.classes[m.label],
                "predicted": evaluation.classes[m.predicted],
                "confidence": m.confidence,
                "doubtful": m.doubtful,
            }
            for m in evaluation.mistakes
        ],
    }


def finite(number: float) -> float | None:
    """NaN has no place in JSON."""
    return None if math.isnan(number) else number
