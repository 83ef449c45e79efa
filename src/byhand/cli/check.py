"""`byhand check`: is every function, every gradient, what it should be?

What is checked depends on what the path is: a student's file goes to `byhand.course.check_file`, a run's folder or a
model's file to the gradient check of its network (`byhand.cli.check_run`).
"""

import json
import os
import shutil
import sys
import textwrap
from pathlib import Path

import click

from byhand.cli.check_run import check_run, is_run
from byhand.cli.output import Place, timeout
from byhand.course.check.diagnosis import Report, Verdict
from byhand.errors import UsageError

MARKS = {"right": ("✓", "green"), "wrong": ("✗", "red"), "not run": ("?", "yellow"), "missing": ("·", "bright_black")}


@click.command("check")
@click.argument("path", metavar="FILE|RUN", type=Place(path_type=Path))
@timeout
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(path: Path, timeout: float, as_json: bool) -> None:
    """Check a student's FILE (.py or .ipynb) function by function, and say what is wrong and likely why.

    Of a RUN, or a model's file, the gradients of the trained network are checked against finite differences.

    The functions are those of either reference page: byhand.reference.l_layer or byhand.reference.two_layer. They run
    in a process of their own with limits, and are held against the right values and against slopes measured by
    differences. Leaves with 1 if something is wrong, or no function of the assignment is there.
    """
    if is_run(path):
        check_run(path, as_json=as_json)
        return
    if path.suffix.lower() not in (".py", ".ipynb"):
        raise UsageError(f"FILE must be a student's .py or .ipynb file or a run's folder, got {path}")
    from byhand.course import check_file

    report = check_file(path, timeout=timeout)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(lines(report)), color=False if os.environ.get("NO_COLOR") else None)
    if not report.ok:
        sys.exit(1)


def lines(report: Report) -> list[str]:
    """The report for a terminal: a line a function, with what is wrong below it."""
    width = max(len(verdict.function) for verdict in report.verdicts)
    shown = [f"{report.file}, the functions of byhand.reference.{report.page}", ""]
    for verdict in report.verdicts:
        shown += _lines_of(verdict, width)
    counts = ", ".join(f"{count} {status}" for status, count in report.counts().items() if count)
    lost = [] if report.found else [f"not one function of the assignment was found in {report.file}"]
    return [*shown, "", *(f"note: {note}" for note in report.notes), counts, *lost]


def _lines_of(verdict: Verdict, width: int) -> list[str]:
    mark, colour = MARKS[verdict.status]
    status = verdict.status if verdict.status != "right" or not verdict.remarks else "right, but"
    head = f"{click.style(f'{mark} {verdict.function:{width}}', fg=colour)}  {status}"
    below = [line for line in (verdict.reason, str(verdict.evidence or ""), *verdict.remarks) if line]
    place = f"  ({verdict.place})" if verdict.place else ""
    margin, columns = " " * (width + 4), max(shutil.get_terminal_size((120, 24)).columns, width + 44)
    folded = [textwrap.fill(line, columns, initial_indent=margin, subsequent_indent=margin) for line in below]
    return [head + place, *folded]
