"""Commands for runs: `eval`, `compare`, `runs`, `info` and `card`."""

import sys
from pathlib import Path
from typing import Any

import click

from byhand.cli.group import CommandGroup
from byhand.cli.output import (
    PLACE,
    Console,
    Place,
    columns,
    console_options,
    load_run_data,
    model_data,
    offline,
    option,
    shifts,
    split,
    warn_if_trained_on,
)
from byhand.errors import DataMissingError, ModelFileError, UsageError
from byhand.files import write_text
from byhand.model import Reader
from byhand.model.ensemble import ShiftAveraged
from byhand.report import evaluate, html_report
from byhand.report.card import described, facts_of, model_card
from byhand.report.comparison import check_several, compare_runs
from byhand.text import hanging, percent
from byhand.training.runs import CONFIG, HOME, Run, load_model, load_reader, runs_in


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
    digits = load_run_data(config, model, data, offline, console)
    images = getattr(digits, split)
    warn_if_trained_on(run, model.metadata, images, console)
    evaluation = evaluate(model, images)
    settings = config | {"shifts": True} if shifts else config
    console.write_page(lambda: html_report(evaluation, load_model(run), Run.open(run).records(), settings))
    console.show(lambda: evaluation.to_json() | {"shifts": shifts}, lambda: evaluation.text(columns=columns()))
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
    digits = load_run_data(Run.open(runs[0]).config(), load_reader(runs[0]), data, offline, console)
    comparison = compare_runs(runs, digits.test)
    for one in comparison.runs:
        warn_if_trained_on(one.name, one.model.metadata, digits.test, console)
    console.write_page(comparison.html)
    console.show(comparison.to_json, lambda: comparison.text(columns()))


@click.command("info")
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@console_options(quiet=False)
def info(run: str, console: Console) -> None:
    """Show what a run is: network, data, settings, test accuracy and files."""
    facts = facts_of(run)
    console.show(lambda: facts, lambda: described(facts, columns()))


@click.command("card")
@click.argument("run", type=PLACE, metavar="RUN|MODEL")
@option("--output -o FILE", Place(dir_okay=False), "Output file. Defaults to stdout.")
@console_options(json=False)
def card(run: str, output: str | None, console: Console) -> None:
    """Write a model card in Markdown: data, settings, accuracy, limitations and use of the model of RUN."""
    text = model_card(facts_of(run))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        console.info(f"wrote {output}")


@click.group("runs", cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def runs_(context: click.Context) -> None:
    """List, rank and delete runs; without a command, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_, folder=str(HOME))


@runs_.command("list")
@click.argument("folder", type=PLACE, default=str(HOME))
@console_options(quiet=False)
def list_(folder: str, console: Console) -> None:
    """List runs: test accuracy, network and data. FOLDER defaults to `runs`."""
    facts = facts_in(folder, console)
    console.show(lambda: facts, lambda: "\n".join(map(line_of, facts)))


@runs_.command("best")
@click.argument("folder", type=PLACE, default=str(HOME))
@option("--data NAME", PLACE, "Name of the data set: compare only its runs.")
@console_options()
def best(folder: str, data: str | None, console: Console) -> None:
    """Print the run with the highest test accuracy. FOLDER defaults to `runs`.

    For a shell: `byhand eval $(byhand runs best -q)`.
    """
    facts = facts_in(folder, console)
    tested = [one for one in facts if "test_accuracy" in one and data in (None, one["data"])]
    if not tested:
        raise DataMissingError(f"{folder}: no run with a test accuracy" + (f" on {data}" if data else ""))
    if len(names := sorted({str(one["data"]) for one in tested})) > 1:
        console.info(f"warning: the runs have different data ({', '.join(names)}): select one with --data")
    chosen = max(tested, key=lambda one: one["test_accuracy"])
    console.info(line_of(chosen))
    console.show(lambda: chosen, lambda: chosen["run"])


@runs_.command("delete")
@click.argument("runs", type=PLACE, metavar="RUN…", nargs=-1, required=True)
@option("--yes -y", bool, "Delete without confirmation.", "is_confirmed")
@console_options(json=False)
def delete(runs: tuple[str, ...], is_confirmed: bool, console: Console) -> None:
    """Delete runs: their settings, records, models and checkpoints. Other files in their folders are kept."""
    chosen = [Run(Path(run)) for run in runs]
    for run in chosen:
        if not (run.folder / CONFIG).is_file():
            raise UsageError(f"{run.folder}: not the folder of a run: it has no {CONFIG}")
    if not is_confirmed:
        if not sys.stdin.isatty():
            raise UsageError("deleting needs a confirmation: add --yes")
        click.confirm(f"Delete {', '.join(str(run.folder) for run in chosen)}?", abort=True, err=True)
    for run in chosen:
        console.info(
            f"deleted {run.folder}" if run.delete() else f"deleted the run in {run.folder}; other files are kept"
        )


def facts_in(folder: str, console: Console) -> list[dict[str, Any]]:
    """Return the facts of the runs in a folder, at least one; damaged ones are reported and skipped."""
    found = []
    for run in runs_in(folder):
        try:
            found.append(facts_of(run.folder))
        except ModelFileError as error:
            console.info(f"byhand: {error}")
    if not found:
        raise DataMissingError(f"{folder}: no runs in this folder: byhand train makes one")
    return found


def line_of(facts: dict[str, Any]) -> str:
    """Return `runs/001  92.40 %  784-256-10  mnist-5k`."""
    accuracy = f"{facts['run']}  {percent(facts.get('test_accuracy')):>8}  "
    return hanging(accuracy, f"{facts['network']}  {facts['data'] or ''}".rstrip(), columns())
