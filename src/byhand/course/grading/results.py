"""Results of grading: marks.csv, the summaries, the feedback pages, and the formats of other platforms."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from byhand import files
from byhand.course.check.diagnosis import MISTAKES, SIGNS
from byhand.course.grading import Checks, Item, Mark, Submission
from byhand.course.notebooks import lesson_of
from byhand.page.document import document, escape, table
from byhand.text import counted

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
MAX_NAME = 120  # bytes of a file name, without a hash and a suffix
FORBIDDEN = '<>:"/\\|?*'
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


def file_name(name: str) -> str:
    """Return a portable file name: the student's name if possible, otherwise a similar one with a hash."""
    plain = "".join("_" if one in FORBIDDEN or not one.isprintable() else one for one in name)
    short = plain.encode("utf-8", "replace")[:MAX_NAME].decode("utf-8", "ignore").rstrip(" .")
    if short == name:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{short}-{digest[:8]}"


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


# ---- formats of other platforms: one file per student


def as_gradescope(mark: Mark) -> dict[str, Any]:
    """Return the content of Gradescope's results.json: gradescope-autograders.readthedocs.io/en/latest/specs."""
    tests = [
        {
            "name": item.name,
            "score": item.points,
            "max_score": item.of,
            "status": "passed" if item.status == "right" else "failed",
            "output": _explanation(item),
        }
        for item in mark.items
    ]
    return {"score": mark.points, "output": "\n".join([*filter(None, [mark.why]), *mark.notes]), "tests": tests}


def as_classroom(mark: Mark) -> dict[str, Any]:
    """Return the result that GitHub Classroom's autograding-grading-reporter reads, in base64, from a runner."""
    is_right = {True: "pass", False: "fail"}
    tests = [
        {
            "name": item.name,
            "status": is_right[item.status == "right"],
            "score": item.points,
            "message": _explanation(item),
        }
        for item in mark.items
    ]
    status = is_right[all(item.status == "right" for item in mark.items)] if mark.is_marked else "error"
    return {"version": 1, "status": status, "max_score": mark.of, "tests": tests}


def _explanation(item: Item) -> str:
    status = _status(item)
    head = f"{status} ({item.place})" if item.place else status
    return "\n".join([head, *(line for line in item.words if line != status)])


def _status(item: Item) -> str:
    return "not written yet" if item.status == "missing" else item.status


PLATFORMS: dict[str, Callable[[Mark], dict[str, Any]]] = {"gradescope": as_gradescope, "classroom": as_classroom}


def write_results(
    platform: str, folder: Path, submissions: Sequence[Submission], marks: Sequence[Mark], page: str
) -> Path:
    """Write the result of each student in the format of a platform, and return the folder that contains them.

    nbgrader releases feedback from `feedback/STUDENT/ASSIGNMENT/NOTEBOOK.html` in the folder of the course.
    """
    lesson = lesson_of(page).name
    for submission, mark in zip(submissions, marks, strict=True):
        student = file_name(submission.name)
        if platform in PLATFORMS:
            content = json.dumps(PLATFORMS[platform](mark), indent=1, ensure_ascii=False) + "\n"
            files.write_text(folder / platform / f"{student}.json", content)
            continue
        path, is_own = submission.path, submission.path.parent.name == submission.name
        in_course = path.parent.parent.name == submission.name  # submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb
        assignment, notebook = path.parent.name if in_course else lesson, path.stem if in_course or is_own else lesson
        files.write_text(folder / platform / "feedback" / student / assignment / f"{notebook}.html", feedback(mark))
    return folder / platform


# ---- pages

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


def class_page(marks: Sequence[Mark], checks: Checks) -> str:
    """Return a page about the class: points, results per function, and mistakes with their number. It has no names."""
    marked = [mark for mark in marks if mark.is_marked]
    mean = sum(mark.points for mark in marked) / max(1, len(marked))
    shares = (mark.points / mark.of if mark.of else 1 for mark in marked)
    tenths = Counter(min(int(10 * share), 9) for share in shares)
    spread = [(f"{10 * k} to {10 * k + 10} %", tenths[k]) for k in range(9, -1, -1)]
    found = Counter((item.name, one) for mark in marked for item in mark.items for one in _mistakes(item))
    often = [(count, name, MISTAKES.get(one, one).replace("{}", "…")) for (name, one), count in found.most_common()]
    title = f"{counted(len(marked), 'submission')} marked, {mean:.1f} of {number(checks.of)} points on average"
    title += f", {len(marks) - len(marked)} not marked" if len(marks) > len(marked) else ""
    rows = [row[:-1] for row in overview(marks)]
    content = _card("Function by function", table(("function", *HEADS), rows))
    content += _card("Mistakes", table(("students", "function", "mistake"), often)) if often else ""
    content += _card("Points", table(("points", "students"), spread))
    header = f'<header class="top"><h1>Results of the class</h1><p>{escape(title)}</p></header>'
    return document("Results of the class", f"{header}<main>{content}</main>", style=STYLE)


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h2>{title}</h2>{content}</section>'


def _items(title: str, items: list[Item]) -> str:
    points, of = sum(item.points for item in items), sum(item.of for item in items)
    rows = "".join(map(_row, items))
    return _card(f"{title}, {number(points)} of {number(of)}", f'<ul class="items">{rows}</ul>')


def _row(item: Item) -> str:
    status = _status(item)
    words = "".join(f"<p>{escape(line)}</p>" for line in item.words if line != status)
    place = f" ({escape(item.place)})" if item.place else ""
    return (
        f'<li class="{item.status.replace(" ", "-")}"><span class="sign" aria-hidden="true">{SIGNS[item.status]}</span>'
        f"<span><code>{escape(item.name)}</code> {status}{place}</span>"
        f'<span class="points">{number(item.points)} of {number(item.of)}</span>'
        f'<p class="about">{escape(item.about)}</p>{words}</li>'
    )
