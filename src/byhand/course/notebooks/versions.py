"""The versions of a lesson, all from its one source: the student's, the solved one, nbgrader's and otter's.

Each function takes a lesson and returns a notebook as the plain JSON that it is (nbformat 4.5). Pictures are put into
the text, headings of functions are filled in from the syllabus, solutions become stubs, hidden checks go where they
belong. nbgrader and otter are not needed here: only their formats are spoken.
"""

import base64
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from byhand.course.notebooks import percent
from byhand.course.notebooks.drawings import picture
from byhand.course.notebooks.syllabus import Lesson, Task
from byhand.errors import DataError
from byhand.files import write_text

Notebook = dict[str, Any]
NBGRADER_SCHEMA = 3
STUB = "# write your code here\nraise NotImplementedError({message})"

_PICTURE = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<kind>drawing|shapes):(?P<what>[^)]+)\)")
_TASK = re.compile(r"<!-- task (?P<name>\w+) -->")


def student(lesson: Lesson) -> Notebook:
    """Stubs, and the public checks below them."""
    cells: list[dict[str, Any]] = []
    for cell in _source(lesson):
        if cell.graded:
            cells.append(_code(_stub(cell, lesson[cell.graded]), cell.graded))
        elif cell.checks:
            cells.append(_code(_public(cell), f"check-{cell.checks}", {"editable": False, "deletable": False}))
        else:
            cells.append(_plain(cell, lesson))
    return _notebook(cells)


def solved(lesson: Lesson) -> Notebook:
    """The same with the solutions in it."""
    cells: list[dict[str, Any]] = []
    for cell in _source(lesson):
        if cell.graded:
            cells.append(_code(_solution(cell), cell.graded))
        elif cell.checks:
            cells.append(_code(_public(cell), f"check-{cell.checks}"))
        else:
            cells.append(_plain(cell, lesson))
    return _notebook(cells)


def for_nbgrader(lesson: Lesson) -> Notebook:
    """The teacher's notebook in nbgrader's format: `nbgrader generate_assignment` makes the student's from it."""
    cells: list[dict[str, Any]] = []
    for cell in _source(lesson):
        if cell.graded:
            made = _code(f"#Graded\n{cell.text}", cell.graded)
            made["metadata"]["nbgrader"] = _nbgrader(cell.graded, solution=True)
        elif cell.checks:
            made = _code(f"{cell.text}\n{_passed(cell)}", f"check-{cell.checks}")
            points = lesson[cell.checks].points
            made["metadata"]["nbgrader"] = _nbgrader(f"check-{cell.checks}", grade=True, locked=True, points=points)
        else:
            made = _plain(cell, lesson)
            if re.search(r"^def ", cell.text, re.MULTILINE):  # helpers are put back as they were before marking
                made["metadata"]["nbgrader"] = _nbgrader(f"given-{len(cells)}", locked=True)
        cells.append(made)
    return _notebook(cells)


def for_otter(lesson: Lesson) -> Notebook:
    """The master notebook in otter's format: `otter assign` makes the student's and the autograder from it."""
    config = {
        "name": lesson.name,
        "files": ["digits.npz"],
        "requirements": ["numpy", "matplotlib"],
        "solutions_pdf": False,
        "export_cell": {"pdf": False},
    }
    cells = [_raw("# ASSIGNMENT CONFIG", **config)]
    for cell in _source(lesson):
        if cell.graded:
            task = lesson[cell.graded]
            cells += [
                _raw("# BEGIN QUESTION", name=task.name, points=task.points, all_or_nothing=True),
                _raw("# BEGIN SOLUTION"),
                _code(_otter_solution(cell, task)),
                _raw("# END SOLUTION"),
            ]
        elif cell.checks:
            hidden = percent.region(cell.text, "HIDDEN TESTS")
            tests = [_code(percent.between(cell.text, "HIDDEN TESTS", "")), _code(f"# HIDDEN\n{hidden}")]
            cells += [_raw("# BEGIN TESTS"), *tests, _raw("# END TESTS"), _raw("# END QUESTION")]
        else:
            cells.append(_plain(cell, lesson))
    return _notebook(cells)


def write(path: str | os.PathLike[str], notebook: Notebook) -> None:
    """Put the notebook there, in the layout that Jupyter itself writes."""
    write_text(path, json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")


# ---- from the source to the pieces


def _source(lesson: Lesson) -> Iterator[percent.Cell]:
    """The lesson's cells; each function of the syllabus is written in one of them and tried in the next."""
    cells = percent.lesson_source(lesson.name)
    written = [cell.graded for cell in cells if cell.graded]
    tried = [after.checks for cell, after in itertools.pairwise(cells) if cell.graded]
    wanted = [task.name for task in lesson.tasks]
    if not written == tried == wanted:
        raise DataError(f"{lesson.name}: must write and then check {wanted}, writes {written} and checks {tried}")
    yield from cells


def _stub(cell: percent.Cell, task: Task) -> str:
    return f"#Graded\n{percent.between(cell.text, 'SOLUTION', STUB.format(message=_message(task)))}"


def _message(task: Task) -> str:
    """What a stub says when it is called, as a line of Python."""
    return f'"{task.name} is not written yet: put your code in place of this line"'


def _solution(cell: percent.Cell) -> str:
    return f"#Graded\n{percent.between(cell.text, 'SOLUTION')}"


def _otter_solution(cell: percent.Cell, task: Task) -> str:
    """otter takes its marks with one `#`, and the stub as a string that is thrown away with the solution."""
    prompt = f'""" # BEGIN PROMPT\n{STUB.format(message=_message(task))}\n"""; # END PROMPT'
    solution = f"# BEGIN SOLUTION NO PROMPT\n{_dedented(cell.text)}\n# END SOLUTION\n{prompt}"
    return f"#Graded\n{percent.between(cell.text, 'SOLUTION', solution)}"


def _dedented(text: str) -> str:
    """The solution of a cell, without its indentation."""
    inside = re.search(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION", text, re.MULTILINE | re.DOTALL)
    assert inside is not None
    return "\n".join(line.removeprefix(inside[1]) for line in inside[2].splitlines())


def _public(cell: percent.Cell) -> str:
    return f"{percent.between(cell.text, 'HIDDEN TESTS', '')}\n{_passed(cell)}"


def _passed(cell: percent.Cell) -> str:
    """The last line of a check. A print: a bare number at the end would be taken for the mark by nbgrader."""
    return f'print("{cell.checks}: the public checks pass (hidden ones are not run here)")'


def _plain(cell: percent.Cell, lesson: Lesson) -> dict[str, Any]:
    """Given code as it is; prose with its pictures and the headings of its functions."""
    if not cell.is_markdown:
        return _code(cell.text)
    text = _TASK.sub(lambda found: _heading(lesson[found["name"]]), cell.text)
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": _PICTURE.sub(_embedded, text)}


def _heading(task: Task) -> str:
    """A function's name, and a table of one line: what goes in, what comes out, its step if it has one, its points."""
    columns = {"goes in": task.takes, "comes out": task.gives, "in the algorithm": task.where, "points": task.points}
    shown = {head: words for head, words in columns.items() if words}
    rows = (shown.keys(), ("---",) * len(shown), shown.values())
    return f"### `{task.name}`\n\n" + "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _embedded(found: re.Match[str]) -> str:
    """The picture itself. As an `<img>`: JupyterLab shows no SVG in attachments, and none that stands in the text."""
    svg = base64.b64encode(picture(found["kind"], found["what"]).encode()).decode()
    words = found["words"].replace('"', "&quot;")
    return f'<img alt="{words}" src="data:image/svg+xml;base64,{svg}">'


# ---- notebook JSON


def _notebook(cells: list[dict[str, Any]]) -> Notebook:
    """The cells with an id each, and the kernel that runs them."""
    for number, cell in enumerate(cells):
        cell["id"] = cell["id"] or f"cell-{number}"
        cell["source"] = cell["source"].splitlines(keepends=True)
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _code(source: str, name: str = "", metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    made = {"cell_type": "code", "execution_count": None, "id": name.replace("_", "-"), "metadata": metadata or {}}
    return {**made, "outputs": [], "source": source}


def _raw(head: str, **config: Any) -> dict[str, Any]:
    """One of otter's marks, its settings as JSON, which is YAML, too."""
    lines = [head, *(f"{key}: {json.dumps(value)}" for key, value in config.items())]
    return {"cell_type": "raw", "id": "", "metadata": {}, "source": "\n".join(lines)}


def _nbgrader(
    name: str, *, solution: bool = False, grade: bool = False, locked: bool = False, points: int | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "schema_version": NBGRADER_SCHEMA,
        "grade_id": name,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
    }
    return made if points is None else {**made, "points": points}
