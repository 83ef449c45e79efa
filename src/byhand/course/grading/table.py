"""marks.csv: a row for each submission, safe to open in a spreadsheet; and what all of them have in common.

A cell that a spreadsheet would take for a formula gets an apostrophe before it. The file starts with a byte order mark,
by which spreadsheets know that it is UTF-8.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from byhand import files
from byhand.course.grading.checks import Checks
from byhand.course.grading.mark import Item, Mark

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
LONGEST = 60  # characters of a mistake without a name
HEAD = ("student", "file", "points", "of", "state", "look")


def write_table(path: Path, marks: Sequence[Mark], checks: Checks) -> None:
    """Put the table at `path`, whole or not at all; who could not be marked has empty cells, no zeros to average."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow([*HEAD, *checks.points, *(one.name for one in checks.extras)])
    for mark in marks:
        look = "; ".join(mark.look)
        earned = (mark.points, *(item.points for item in mark.items))
        total, *points = [number(one) if mark.is_marked else "" for one in earned]
        head = (safe(mark.student), safe(mark.file), total, number(mark.of), mark.state, safe(look))
        writer.writerow([*head, *points])
    files.write_bytes(path, page.getvalue().encode("utf-8-sig"))


def safe(text: str) -> str:
    """The text, as a cell that no spreadsheet computes."""
    return f"'{text}" if text.startswith(FORMULA) else text


def number(points: float) -> str:
    """5 or 2.5"""
    return f"{round(points, 6):.15g}"


def points_of(mark: Mark) -> str:
    """5 of 14, or that there are none."""
    return f"{number(mark.points)} of {number(mark.of)}" if mark.is_marked else mark.state


@dataclass(frozen=True)
class Row:
    """How everybody did with one function or extra check."""

    name: str
    of: float
    right: int
    wrong: int
    missing: int
    not_run: int
    most_often: str  # what was wrong most often, and how often: the mistake by its name, else the words about it


def overview(marks: Sequence[Mark]) -> list[Row]:
    """A row for each function and extra check, over the submissions that were marked."""
    marked = [mark.items for mark in marks if mark.is_marked]
    rows = []
    for column in zip(*marked, strict=True):
        counts = Counter(item.status for item in column)
        mistakes = Counter(mistake for item in column for mistake in _mistakes(item))
        often = ", ".join(f"{mistake} ({count})" for mistake, count in mistakes.most_common(1))
        first = column[0]
        rows.append(
            Row(first.name, first.of, counts["right"], counts["wrong"], counts["missing"], counts["not run"], often)
        )
    return rows


def _mistakes(item: Item) -> tuple[str, ...]:
    """What is wrong, by name; most mistakes have none, and are known by the beginning of what is said about them."""
    if item.mistakes or item.status != "wrong":
        return item.mistakes
    return tuple(one if len(one) <= LONGEST else f"{one[:LONGEST]} …" for one in item.words[:1])
