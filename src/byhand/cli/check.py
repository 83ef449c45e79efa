"""`byhand check`: test a student's functions, or the gradients of a trained network."""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from byhand.cli.output import Console, Place, columns, console_options, load_any_data, option, show_json, timeout
from byhand.errors import UsageError
from byhand.text import hanging, near_path

if TYPE_CHECKING:
    from byhand.course import Report, Verdict

COLORS = {"right": "green", "wrong": "red", "not run": "yellow", "missing": "bright_black"}


@click.command("check")
@click.argument("path", metavar="FILE|RUN", type=Place(path_type=Path))
@timeout
@option(
    "--adapter NAME|FILE",
    str,
    "Adapter for another assignment: deeplearning-two-layer, deeplearning-l-layer, cs231n, nielsen, or a TOML file "
    "(docs/check.md).",
)
@console_options(quiet=False)
def command(path: Path, timeout: float, adapter: str | None, console: Console) -> None:
    """Test the functions of a student's FILE (.py or .ipynb), and report mistakes with their likely cause.

    With a RUN or a model file, check the gradients of the trained network with finite differences.

    The functions are those of byhand.reference.l_layer or byhand.reference.two_layer. They run in a process of their
    own with limits, and are compared with reference values. Exits with status 1 if a function is wrong or cannot be
    run, or if the file has no function of the assignment.
    """
    if path.is_dir() or path.suffix == ".safetensors":
        check_run(path, console)
        return
    if path.suffix.lower() not in (".py", ".ipynb"):
        raise UsageError(
            f"FILE must be a .py, .ipynb or .safetensors file or the folder of a run, got {path}{near_path(path)}"
        )
    from byhand.course import check_file

    show(check_file(path, timeout=timeout, adapter=adapter), console)


def show(report: "Report", console: Console, last_lines: Sequence[str] = (), **last_entries: Any) -> None:
    """Show the report on a student's file, and exit with status 1 if it is not ok."""
    if console.as_json:
        show_json({**report.as_dict(), **last_entries})
    else:
        text = "\n".join([*_lines(report), *last_lines])
        is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        click.echo(text, color=False if is_plain else None)
    if not report.ok:
        sys.exit(1)


def _lines(report: "Report") -> list[str]:
    width = max((len(verdict.function) for verdict in report.verdicts), default=0)
    is_ours = report.page in ("l_layer", "two_layer")
    lines = [f"{report.file}: functions of {'byhand.reference.' if is_ours else 'the adapter '}{report.page}", ""]
    for verdict in report.verdicts:
        lines += _lines_of(verdict, width)
    lines += ["", *(f"note: {note}" for note in report.notes)]
    lines.append(", ".join(f"{count} {status}" for status, count in report.counts().items() if count))
    outside = " at the top level" if any("only inside" in verdict.reason for verdict in report.verdicts) else ""
    return lines if report.found else [*lines, f"{report.file} has no function of the assignment{outside}"]


def _lines_of(verdict: "Verdict", width: int) -> list[str]:
    from byhand.course.check.diagnosis import SIGNS

    status = "right, but" if verdict.status == "right" and verdict.remarks else verdict.status
    head = click.style(f"{SIGNS[verdict.status]} {verdict.function:{width}}", fg=COLORS[verdict.status])
    place = f"  ({verdict.place})" if verdict.place else ""
    room = shutil.get_terminal_size((120, 24)).columns
    margin = " " * (width + 4 if room >= width + 44 else 4)
    fold = partial(textwrap.fill, initial_indent=margin, subsequent_indent=margin, break_long_words=False)
    if width + len(status) + len(place) + 4 > room:
        place = f"\n{margin}{place.strip()}"
    return [f"{head}  {status}{place}", *(fold(line, max(room, 40)) for line in verdict.words)]


def check_run(path: Path, console: Console) -> None:
    """Check the gradients of a run's network, show a line per tensor, and exit with status 1 if one is wrong."""
    from byhand.explain import check_gradients
    from byhand.training.run import loss_of
    from byhand.training.runs import Run, load_model

    model, config = load_model(path), Run.open(path).config()
    digits = load_any_data(config, model, Console(quiet=console.as_json))
    checked = check_gradients(model, digits.test, loss=loss_of(config, model.metadata))
    console.show(checked.to_json, lambda: "\n".join(hanging("", line, columns()) for line in str(checked).splitlines()))
    if not checked:
        sys.exit(1)
