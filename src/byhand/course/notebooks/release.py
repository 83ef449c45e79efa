"""Make the notebooks of the course from the lessons: the student's, the solved one, nbgrader's and otter's.

A lesson is a text notebook in the percent format: `# %%` begins a code cell and `# %% [markdown]` a text cell. A cell
with a function to write has the attribute `graded="sigmoid"` and a region `### BEGIN SOLUTION … ### END SOLUTION`; the
cell that tests it has `checks="sigmoid"` and a region `HIDDEN TESTS`.

The notebooks read the data from `digits.npz` and do not need byhand, so that the answer key cannot be imported where
they are graded. nbgrader and otter need not be installed.
"""

import base64
import io
import json
import os
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from byhand.course.notebooks import FOLDER, LESSONS, Lesson, Task
from byhand.data import TrainTest, load
from byhand.errors import DataError, UsageError
from byhand.files import write_bytes, write_text

Notebook = dict[str, Any]
NBGRADER_SCHEMA = 3
STUB = '# write your code here\nraise NotImplementedError("{} is not written yet: put your code in place of this line")'
DATA = "digits.npz"
SHAPE = (28, 28)
ARRAYS = tuple(f"{part}_{what}" for part in ("train", "validation", "test") for what in ("images", "labels"))
NBGRADER_CONFIG = '''\
"""Settings for nbgrader: the stubs are the same as those of the course."""

c = get_config()  # noqa: F821 - nbgrader provides it
c.CourseDirectory.course_id = "byhand"
c.ClearSolutions.code_stub = {
    "python": "# write your code here\\nraise NotImplementedError('not written yet: your code goes here')"
}
'''

_PICTURE = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<kind>drawing|shapes):(?P<what>[^)]+)\)")
_TASK = re.compile(r"<!-- task (?P<name>\w+) -->")


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson, and the name of the function to write or to test in it, if any."""

    text: str
    is_markdown: bool = False
    graded: str = ""
    checks: str = ""


def lesson_source(name: str) -> list[Cell]:
    cells: list[Cell] = []
    for line in (FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            cells.append(Cell("", "[markdown]" in line, **dict(re.findall(r'(\w+)="([^"]*)"', line))))
        elif cells:
            plain = re.sub(r"^# ?", "", line) if cells[-1].is_markdown else line
            cells[-1] = replace(cells[-1], text=f"{cells[-1].text}{plain}\n")
    return [replace(cell, text=cell.text.strip("\n")) for cell in cells]


def between(text: str, what: str, put: str | None = None) -> str:
    """Replace the regions `what` by `put`, with the same indentation; without `put`, remove only the two markers."""

    def replacement(found: re.Match[str]) -> str:
        return found[2] if put is None else "".join(f"{found[1]}{line}\n" for line in put.splitlines())

    return _region(what).sub(replacement, f"{text}\n").removesuffix("\n")


def region(text: str, what: str) -> str:
    """Return the text of the region `what`, without its indentation."""
    found = _region(what).search(f"{text}\n")
    return "\n".join(line.removeprefix(found[1]) for line in found[2].strip("\n").split("\n")) if found else ""


def _region(what: str) -> re.Pattern[str]:
    return re.compile(rf"^( *)### BEGIN {what}\n(.*?)^ *### END {what}\n", re.MULTILINE | re.DOTALL)


# ---- versions of a lesson


def student(lesson: Lesson, *, solved: bool = False) -> Notebook:
    """Return the student's notebook, with stubs (or solutions) and the public checks."""
    locked = {} if solved else {"editable": False, "deletable": False}
    cells: list[dict[str, Any]] = []
    for cell in lesson_source(lesson.name):
        if cell.graded:
            put = None if solved else STUB.format(cell.graded)
            cells.append(_code(f"#Graded\n{between(cell.text, 'SOLUTION', put)}", cell.graded))
        elif cell.checks:
            public = f"{between(cell.text, 'HIDDEN TESTS', '')}\n{_passed(cell)}"
            cells.append(_code(public, f"check-{cell.checks}", locked))
        else:
            cells.append(_given(cell, lesson))
    return _notebook(cells)


def for_nbgrader(lesson: Lesson) -> Notebook:
    """Return the source notebook for `nbgrader generate_assignment`, which makes the student's from it."""
    cells: list[dict[str, Any]] = []
    for cell in lesson_source(lesson.name):
        if cell.graded:
            made = _code(f"#Graded\n{cell.text}", cell.graded, _nbgrader(cell.graded, solution=True))
        elif cell.checks:
            name, points = f"check-{cell.checks}", lesson[cell.checks].points
            marks = _nbgrader(name, grade=True, locked=True, points=points)
            made = _code(f"{cell.text}\n{_passed(cell)}", name, marks)
        else:
            made = _given(cell, lesson)
            if re.search(r"^def ", cell.text, re.MULTILINE):  # nbgrader restores locked helpers before grading
                made["metadata"] = _nbgrader(f"given-{len(cells)}", locked=True)
        cells.append(made)
    return _notebook(cells)


def for_otter(lesson: Lesson) -> Notebook:
    """Return the master notebook for `otter assign`, which makes the student's and the autograder from it."""
    config = {
        "name": lesson.name,
        "files": [DATA],
        "requirements": ["numpy", "matplotlib"],
        "solutions_pdf": False,
        "export_cell": {"pdf": False},
    }
    cells = [_raw("# ASSIGNMENT CONFIG", **config)]
    for cell in lesson_source(lesson.name):
        if cell.graded:
            task = lesson[cell.graded]
            cells += [
                _raw("# BEGIN QUESTION", name=task.name, points=task.points, all_or_nothing=True),
                _raw("# BEGIN SOLUTION"),
                _code(_otter_solution(cell)),
                _raw("# END SOLUTION"),
            ]
        elif cell.checks:
            hidden = region(cell.text, "HIDDEN TESTS")
            tests = [_code(between(cell.text, "HIDDEN TESTS", "")), _code(f"# HIDDEN\n{hidden}")]
            cells += [_raw("# BEGIN TESTS"), *tests, _raw("# END TESTS"), _raw("# END QUESTION")]
        else:
            cells.append(_given(cell, lesson))
    return _notebook(cells)


def _otter_solution(cell: Cell) -> str:
    """Return a cell with otter's markers, in which the stub is a string."""
    prompt = f'""" # BEGIN PROMPT\n{STUB.format(cell.graded)}\n"""; # END PROMPT'
    solution = f"# BEGIN SOLUTION NO PROMPT\n{region(cell.text, 'SOLUTION')}\n# END SOLUTION\n{prompt}"
    return f"#Graded\n{between(cell.text, 'SOLUTION', solution)}"


def _passed(cell: Cell) -> str:
    """Return the last line of a check: a print, because nbgrader uses a number at the end as the points."""
    return f'print("{cell.checks}: the public checks pass (hidden ones are not run here)")'


def _given(cell: Cell, lesson: Lesson) -> dict[str, Any]:
    """Return a cell that is not graded; text gets its pictures and headings."""
    if not cell.is_markdown:
        return _code(cell.text)
    text = _TASK.sub(lambda found: _heading(lesson[found["name"]]), cell.text)
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": _PICTURE.sub(_embedded, text)}


def _heading(task: Task) -> str:
    """Return a heading with a table: the inputs, the outputs, the step and the points of a function."""
    columns = {"inputs": task.takes, "outputs": task.gives, "in the algorithm": task.where, "points": task.points}
    shown = {head: words for head, words in columns.items() if words}
    rows = (shown.keys(), ("---",) * len(shown), shown.values())
    return f"### `{task.name}`\n\n" + "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _embedded(found: re.Match[str]) -> str:
    """Return a picture as an `<img>`: JupyterLab shows no SVG in attachments and no inline SVG."""
    svg = base64.b64encode(picture(found["kind"], found["what"]).encode()).decode()
    words = found["words"].replace('"', "&quot;")
    return f'<img alt="{words}" src="data:image/svg+xml;base64,{svg}">'


def picture(kind: str, what: str) -> str:
    file = FOLDER / "drawings" / f"{drawing_name(kind, what)}.svg"
    return file.read_text(encoding="utf-8").rstrip("\n")


def drawing_name(kind: str, what: str) -> str:
    """Return the file name, without suffix, of `drawing:what` or `shapes:what`."""
    return what if kind == "drawing" else "-".join(["shapes", *re.findall(r"[A-Za-z0-9_]+", what)])


def _notebook(cells: list[dict[str, Any]]) -> Notebook:
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
    """Return a marker for otter, with its settings as JSON (a subset of YAML)."""
    lines = [head, *(f"{key}: {json.dumps(value)}" for key, value in config.items())]
    return {"cell_type": "raw", "id": "", "metadata": {}, "source": "\n".join(lines)}


def _nbgrader(name: str, **marks: int) -> Notebook:
    kinds = dict.fromkeys(("grade", "solution", "locked", "task"), False)
    return {"nbgrader": {"schema_version": NBGRADER_SCHEMA, "grade_id": name, **kinds, **marks}}


def write(path: str | os.PathLike[str], notebook: Notebook) -> None:
    write_text(path, json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")


def start(folder: str | os.PathLike[str], data: str | None = None) -> tuple[list[Path], list[Path], str]:
    """Write the student's notebooks and their data to `folder`; existing files are kept, because they may be work.

    `data` is a name or a path, by default the full MNIST if it is on this machine, otherwise the bundled sample.
    Nothing is downloaded. Return the written files, the existing ones, and a description of the data.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"DIR must be a folder or a new name, got the file {folder}")
    files = {folder / f"{lesson.name}.ipynb": lesson for lesson in LESSONS}
    kept = [path for path in (*files, folder / DATA) if path.exists()]
    if folder / DATA in kept:
        words = "existing data"
        _reject_other_data(folder / DATA)
        if data is not None:
            raise UsageError(f"{folder / DATA} already exists: move it to use other data")
    else:
        digits = load(data, offline=True)
        write_bytes(folder / DATA, packed(digits))
        cut, count = _cut(len(digits.train)), len(digits.train)
        sets = f"{cut:,} images for training, {count - cut:,} for validation, {len(digits.test):,} for test"
        words = f"{digits.train.name}: {sets}"
    for path, lesson in files.items():
        if path not in kept:
            write(path, student(lesson))
    return [path for path in (*files, folder / DATA) if path not in kept], kept, words


def practice(path: Path) -> None:
    """Write the practice as a notebook, or as a Python file with the same text in comments."""
    if path.suffix == ".ipynb":
        cells = [replace(cell, text=cell.text.replace("FILE", path.name)) for cell in lesson_source("practice")]
        write(path, _notebook([_given(cell, LESSONS[0]) for cell in cells]))
    else:
        write_text(path, (FOLDER / "practice.py").read_text(encoding="utf-8").replace("FILE", path.name))


def release(folder: str | os.PathLike[str], data: str | None = None) -> list[Path]:
    """Write all versions of all lessons, each with the data, to a new or empty folder; return the files."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"DIR must be a new or empty folder, got {folder}")
    content = packed(load(data or "mnist-5k", offline=True))
    written: list[Path] = []
    for lesson in LESSONS:
        versions = {
            "student": student(lesson),
            "solved": student(lesson, solved=True),
            f"nbgrader/source/{lesson.name}": for_nbgrader(lesson),
            f"otter/{lesson.name}": for_otter(lesson),
        }
        for place, notebook in versions.items():
            target = folder / place / f"{lesson.name}.ipynb"
            write(target, notebook)
            if not target.with_name(DATA).exists():
                write_bytes(target.with_name(DATA), content)
            written.append(target)
    written.append(folder / "nbgrader" / "nbgrader_config.py")
    write_text(written[-1], NBGRADER_CONFIG)
    return written


def _reject_other_data(path: Path) -> None:
    """Reject a data file with other content, on which the notebooks would fail."""
    try:
        with zipfile.ZipFile(path) as npz:
            there = {name.removesuffix(".npy") for name in npz.namelist()}
        absent = [name for name in ARRAYS if name not in there]
        what = f"{absent[0]} is missing" if absent else ""
    except zipfile.BadZipFile:
        what = "it is not an npz file"
    except OSError as error:
        what = error.strerror or "it can't be read"
    if what:
        other = f"{path} already exists and is not the data of the course ({what})"
        raise UsageError(f"{other}: move it, or choose another folder")


def packed(digits: TrainTest) -> bytes:
    """Return an npz of three sets, each images (m, 28, 28) uint8 and labels (m,)."""
    train, test = digits.train, digits.test
    if train.images.shape[1:] != SHAPE or len(train.classes) != 10:
        raise DataError(
            f"{train.name}: must have ten classes of images of 28 × 28, got {len(train.classes)} classes of "
            f"{' × '.join(map(str, train.images.shape[1:]))}"
        )
    cut = _cut(len(train))
    sets = (train.images[:cut], train.labels[:cut], train.images[cut:], train.labels[cut:], test.images, test.labels)
    arrays: dict[str, Any] = dict(zip(ARRAYS, sets, strict=True))
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _cut(count: int) -> int:
    return count * 5 // 6  # the last sixth of the training images is for validation
