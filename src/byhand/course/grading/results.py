"""Results of grading: marks.csv, the summary on the terminal, and the feedback pages."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from byhand import files
from byhand.course.check.diagnosis import SIGNS
from byhand.course.grading import Checks, Item, Mark
from byhand.page.document import document, escape

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
MAX_REASON = 60  # characters of the reason for an unknown mistake
HEADS = ("points", "right", "wrong", "missing", "not run")  # of the overview
HEAD = ("student", "file", "points", "of", "state", "look")


def number(points: float) -> str:
    """Format points: `5` or `2.5`."""
    return f"{round(points, 6):.15g}"


def points_of(mark: Mark) -> str:
    """Format a mark: `5 of 14`, or `not marked`."""
    return f"{number(mark.points)} of {number(mark.of)}" if mark.is_marked else mark.state


def write_table(path: Path, marks: Sequence[Mark], checks: Checks) -> None:
    """Write the table, without points for submissions that could not be graded, so that averages are right."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow([*HEAD, *checks.points, *(one.name for one in checks.custom_checks)])
    for mark in marks:
        earned = (mark.points, *(item.points for item in mark.items))
        total, *points = [number(one) if mark.is_marked else "" for one in earned]
        head = (safe(mark.student), safe(mark.file), total, number(mark.of), mark.state, safe("; ".join(mark.look)))
        writer.writerow([*head, *points])
    files.write_bytes(path, table.getvalue().encode("utf-8-sig"))  # spreadsheets need the byte order mark


def as_json(marks: Sequence[Mark]) -> dict[str, Any]:
    totals = ({"points": mark.points if mark.is_marked else None, "of": mark.of} for mark in marks)
    return {"marks": [{**asdict(mark), **total} for mark, total in zip(marks, totals, strict=True)]}


def safe(text: str) -> str:
    """Return the text as a cell that spreadsheets do not interpret as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def overview(marks: Sequence[Mark]) -> list[tuple[str, ...]]:
    """Return a row for each function and custom check: its name, the columns `HEADS`, and the most frequent mistake."""
    rows = []
    for column in zip(*(mark.items for mark in marks if mark.is_marked), strict=True):
        counts = Counter(item.status for item in column)
        mistakes = Counter(mistake for item in column for mistake in _mistakes(item))
        often = ", ".join(f"{mistake} ({count})" for mistake, count in mistakes.most_common(1))
        rows.append((column[0].name, number(column[0].of), *(str(counts[head]) for head in HEADS[1:]), often))
    return rows


def _mistakes(item: Item) -> tuple[str, ...]:
    if item.status != "wrong" or item.mistakes not in ((), ("one edit",)):  # an edit has no name
        return item.mistakes
    return tuple(one if len(one) <= MAX_REASON else f"{one[:MAX_REASON]} …" for one in item.words[:1])


def summary(marks: Sequence[Mark]) -> list[str]:
    """Return the lines for the terminal: the overview, the average, and the submissions to look at."""
    marked = [mark for mark in marks if mark.is_marked]
    lines = []
    if rows := overview(marks):
        width = max(len(row[0]) for row in rows)
        for name, *numbers, often in [("", *HEADS, "most often"), *rows]:
            columns = "  ".join(f"{one:>{len(head)}}" for head, one in zip(HEADS, numbers, strict=True))
            lines.append(f"{name:{width}}  {columns}  {often}".rstrip())
        mean = sum(mark.points for mark in marked) / len(marked)
        lines += ["", f"{len(marked)} marked, {mean:.1f} of {number(marked[0].of)} points on average"]
    lines += [f"not marked: {mark.student}: {mark.why}" for mark in marks if not mark.is_marked]
    return lines + [f"look at {mark.student}: {mark.look[0]}" for mark in marked if mark.look]


# ---- feedback pages

STYLE = """
.total { font-size: 2.4rem; font-weight: 750; letter-spacing: -.02em; }
.items { list-style: none; padding: 0; margin: 0; }
.items li { display: grid; grid-template-columns: 1.6rem 1fr auto; gap: .1rem .5rem; padding: .7rem 0;
  border-top: 1px solid var(--line); }
.items li:first-child { border-top: 0; }
.items code { font-weight: 650; overflow-wrap: anywhere; }
.items .points { font-variant-numeric: tabular-nums; white-space: nowrap; }
.items p { grid-column: 2 / -1; margin: 0; overflow-wrap: anywhere; }
.items .about { color: var(--soft); font-size: .9rem; }
.right .sign { color: var(--good); } .wrong .sign { color: var(--bad); }
.sign { font-weight: 700; }
"""
HOW = (
    "Your functions were called with random numbers that cannot be known in advance. The same file always gets the "
    "same numbers. The results were compared with the right values. How you write a function does not matter. "
    "A mistake counts once: if an earlier function was wrong, later ones were also tested with a right version of it."
)


def feedback(mark: Mark) -> str:
    """Return the student's page: points per function, and mistakes with their likely cause. All texts are escaped."""
    if mark.is_marked:
        total = f"{points_of(mark)} points"
        custom = [item for item in mark.items if item.extra]
        cards = _items("Function by function", [item for item in mark.items if not item.extra])
        cards += _items("Further checks", custom) if custom else ""
        notes = "".join(f"<li>{escape(note)}</li>" for note in mark.notes)
        cards += _card("Notes", f"<ul>{notes}</ul>") if notes else ""
        cards += _card("How this was graded", f"<p>{HOW}</p>")
    else:
        total = mark.state
        again = "<p>Ask your teacher if you may submit it again.</p>"
        cards = _card("This submission could not be graded", f"<p>{escape(mark.why)}</p>{again}")
    return document(
        f"{mark.student}: {total}",
        f'<header class="top"><h1><bdi>{escape(mark.student)}</bdi></h1><p><bdi>{escape(mark.file)}</bdi></p>'
        f'<p class="total">{total}</p></header><main>{cards}</main>',
        style=STYLE,
    )


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h2>{title}</h2>{content}</section>'


def _items(title: str, items: list[Item]) -> str:
    points, of = sum(item.points for item in items), sum(item.of for item in items)
    rows = "".join(map(_row, items))
    return _card(f"{title}, {number(points)} of {number(of)}", f'<ul class="items">{rows}</ul>')


def _row(item: Item) -> str:
    status = "not written yet" if item.status == "missing" else item.status
    words = "".join(f"<p>{escape(line)}</p>" for line in item.words if line != status)
    place = f" ({escape(item.place)})" if item.place else ""
    return (
        f'<li class="{item.status.replace(" ", "-")}"><span class="sign" aria-hidden="true">{SIGNS[item.status]}</span>'
        f"<span><code>{escape(item.name)}</code> {status}{place}</span>"
        f'<span class="points">{number(item.points)} of {number(item.of)}</span>'
        f'<p class="about">{escape(item.about)}</p>{words}</li>'
    )
