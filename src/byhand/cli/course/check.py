"""`byhand course check`: the public checks on a student's notebook, and what they do not say."""

import os
import sys
from pathlib import Path

import click

from byhand.cli.check import lines
from byhand.cli.course import notebook_at
from byhand.cli.output import Place, as_json, show_json, timeout
from byhand.course.check.diagnosis import Report

HIDDEN = (
    "Hidden checks were not run: whoever marks the notebook tries the same functions with other numbers, and may "
    "check more."
)


@click.command("check")
@click.argument("notebook", required=False, type=Place(path_type=Path))
@timeout
@as_json
def command(notebook: Path | None, timeout: float, as_json: bool) -> None:
    """Say what is right in a NOTEBOOK (or .py file), what is wrong and likely why, and what was not run.

    Without NOTEBOOK, network.ipynb in this folder is meant. These are the public checks: every function is called with
    fresh numbers, in a process of its own with limits; an earlier mistake is not held against the later functions.
    Leaves with 1 if something is wrong, or no function of the assignment is there.
    """
    from byhand.course import check_file

    report = check_file(notebook_at(notebook), timeout=timeout)
    if as_json:
        show_json({**report.as_dict(), "hidden_checks": "not run"})
    else:
        shown = [*lines(report), "", *_in_the_end(report)]
        click.echo("\n".join(shown), color=False if os.environ.get("NO_COLOR") else None)
    if not report.ok:
        sys.exit(1)


def _in_the_end(report: Report) -> list[str]:
    """Passed or not, what to do next, and that these checks are not all."""
    counts = report.counts()
    if not report.found:
        said = "Nothing was checked."
    elif counts["wrong"] or counts["not run"]:
        said = "Not all public checks passed."
    elif counts["missing"]:
        said = "The public checks passed for what is written so far; `byhand course next` shows what comes next."
    else:
        said = "All public checks passed."
    return [said, HIDDEN]
