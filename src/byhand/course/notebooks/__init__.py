"""Read notebooks and Python files as lists of cells, without running them; and the syllabus of the lessons.

There are two lessons, each a notebook: `network` has the assignment (`byhand.reference.l_layer`) with two more
functions, and `two-layer` the 784-10-10 network. `lessons/syllabus.toml` has the points, formulas and shapes of their
functions, for the notebooks, for grading and for `byhand course next`.
"""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from byhand.course.sandbox.slicing import cut, does_nothing, functions, stubs
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.schema import json_value
from byhand.text import near_path

MAX_BYTES, MAX_DEPTH = 64 * 2**20, 200
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")  # the rest of the cell is still Python
IPYTHON = re.compile(r"([ \t]*+)(?:[%!?].*|\w+(?:\.\w+)*\?{1,2}[ \t]*|[\w, ]+=[ \t]*[!%](?!=).*)$", re.MULTILINE)
GRADED = re.compile(r"^\s*#\s*graded\b", re.IGNORECASE | re.MULTILINE)
EXPORTED = re.compile(r"^# (?:In\[.*\]:|%%(?!writefile).*)$", re.MULTILINE)  # the start of a cell in a .py file
WRITTEN = re.compile(r"\s*%%(?:writefile|file)\s+(?:-a\s+)?(\w+\.py)[ \t]*\n")
PYLAB = "import numpy as np, numpy; from matplotlib import pyplot as plt; from pylab import *"  # what %pylab does
ATOM = re.compile(  # a token of Python, as needed to find the start of statements: strings and comments are whole
    r"""#[^\n]*|(\"{3}|'{3})(?:\\.|.)*?(?:\1|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\\\n|[^#"'\\\n()\[\]{}]+|.""",
    re.DOTALL,
)
ONLY_A_STATEMENT = re.compile(r"[ \t]*(?:def|class|return|import|while|with|try)\b")  # never within brackets
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")


FOLDER = resources.files("byhand.course") / "lessons"


@dataclass(frozen=True)
class Task:
    name: str
    chapter: str
    formula: str
    takes: str
    gives: str
    points: int
    step: str = ""

    @property
    def where(self) -> str:
        """Its place in the algorithm: `step 2.1`, `steps 1 to 3`, or empty."""
        return self.step and f"step{'s' if ' to ' in self.step else ''} {self.step}"


@dataclass(frozen=True)
class Lesson:
    """One notebook: its name, the reference that checks it, and its functions."""

    name: str
    page: str
    tasks: tuple[Task, ...]

    def __getitem__(self, function: str) -> Task:
        return next(task for task in self.tasks if task.name == function)


LESSONS = tuple(
    Lesson(one["name"], one["page"], tuple(Task(**task) for task in one["task"]))
    for one in tomllib.loads((FOLDER / "syllabus.toml").read_text(encoding="utf-8"))["lesson"]
)


def lesson_of(page: str) -> Lesson:
    """Return the lesson of a reference, "l_layer" or "two_layer"."""
    return next(lesson for lesson in LESSONS if lesson.page == page)


def read_cells(path: Path, names: Mapping[str, str] | None = None) -> list[str]:
    """Return the Python code of each cell; a Python file is one cell. Lines keep their numbers.

    `names` maps functions of the reference to other names in the file, which are replaced. By default they are read
    from the metadata that `byhand course import` writes.
    """
    return read_file(path, names)[0]


def read_file(path: Path, names: Mapping[str, str] | None = None) -> tuple[list[str], set[str]]:
    """Return the cells, as `read_cells` does, and the functions that the notebook gives to the student."""
    if path.suffix.lower() not in (".py", ".ipynb"):
        raise UsageError(f"FILE must be a .py or .ipynb file, got {path}")
    if not path.is_file():
        raise DataMissingError(f"{path}: no such file{near_path(path)}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise DataError(f"{path}: must be at most {MAX_BYTES >> 20} MB, got {size / 2**20:.0f} MB")
    if path.suffix.lower() == ".py":
        cells = _renamed([_with_newlines(_decoded(path, path.read_bytes()))], names or {})
        return cells, given(cells)
    notebook = read_notebook(path)
    if names is None:
        found = entry(notebook, "metadata", "byhand", "names")
        entries = found.items() if isinstance(found, dict) else ()
        names = {str(name): one for name, one in entries if isinstance(one, str) and one.isidentifier()}
    cells = _renamed([plain(source_of(cell)) for cell in code_cells(_cells_of(path, notebook))], names)
    listed = entry(notebook, "metadata", "byhand", "given")
    return cells, given(cells).union(one for one in listed or () if isinstance(one, str))


def is_graded(cell: str) -> bool:
    """Return True if there is a comment `#Graded` above the first definition of a cell."""
    return bool(GRADED.search(re.split(r"^(?:def|class|async)\b", cell, maxsplit=1, flags=re.MULTILINE)[0]))


def given(cells: Sequence[str]) -> set[str]:
    """Return the functions that are defined only outside the graded cells; none if no cell is graded."""
    parts = [part for cell in cells for part in EXPORTED.split(cell)]
    named: dict[bool, set[str]] = {True: set(), False: set()}
    for part in parts:
        named[is_graded(part)].update(re.findall(r"^def (\w+)", part, re.MULTILINE))
    return named[False] - named[True] if named[True] else set()


def _renamed(cells: list[str], names: Mapping[str, str]) -> list[str]:
    ours = {theirs: name for name, theirs in names.items()}
    words = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, ours))})(?!\w)")
    return [words.sub(lambda found: ours[found[1]], cell) for cell in cells] if ours else cells


def _decoded(path: Path, content: bytes) -> str:
    """Decode a Python file with the encoding that its first lines declare, by default UTF-8."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError:  # an unknown encoding, or the first lines are not UTF-8: the error below has the position
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError) as error:
        place = error.start if isinstance(error, UnicodeDecodeError) else None
        got = str(error) if place is None else f"byte {content[place]:#04x} at {place}"
        raise DataError(f"{path}: must be {encoding.removesuffix('-sig').upper()} text, got {got}") from error


def read_notebook(path: Path) -> Any:
    """Return the JSON of a notebook. Outputs of other programs may be nested deeply."""
    try:
        return json_value(path.read_bytes(), "invalid JSON", MAX_DEPTH)
    except UsageError as error:
        raise DataError(f"{path}: must be a notebook, got invalid JSON ({error})") from error


def _cells_of(path: Path, notebook: Any) -> list[Any]:
    """Return the cells of a notebook; before version 4 they are in worksheets."""
    cells, worksheets = entry(notebook, "cells"), entry(notebook, "worksheets")
    if cells is None and isinstance(worksheets, list):
        sheets = [entry(sheet, "cells") for sheet in worksheets]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        raise DataError(f"{path}: must be a notebook, got JSON without cells")
    return cells


def entry(value: Any, *path: str) -> Any:
    """Return the value at a path of keys, or None if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def code_cells(cells: Sequence[Any]) -> list[dict[str, Any]]:
    return [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]


def source_of(cell: Mapping[str, Any]) -> str:
    """Return the text of a cell, which is stored as a string or as a list of lines."""
    source = cell.get("source", cell.get("input", ""))
    lines = source if isinstance(source, list) else [source]
    return _with_newlines("".join(line for line in lines if isinstance(line, str)))


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def plain(source: str) -> str:
    """Blank the lines that only IPython understands: `%matplotlib inline`, `!pip …`, `sigmoid?`, `%%bash`, `a = !ls`.

    They are recognized only at the start of a statement: elsewhere `%` is an operator.
    """
    first = source.lstrip().split("\n")[0].split(" ")[0].strip()
    if module := WRITTEN.match(source):  # a module that the notebook writes: its functions are the student's too
        return plain(f"# %%writefile {module[1]}\n{source[module.end() :]}")
    if first.startswith("%%") and first not in PYTHON_MAGICS:
        return "\n" * source.count("\n")
    kept: list[str] = []
    place, depth, at_margin = 0, 0, True
    while place < len(source):
        if at_margin and ONLY_A_STATEMENT.match(source, place):
            depth = 0  # an unclosed bracket makes the cell invalid, but the magics below it are still blanked
        magic = IPYTHON.match(source, place) if at_margin and depth == 0 else None
        found = magic or ATOM.match(source, place)
        assert found is not None  # an atom matches at least one character
        kept.append(magic[1] + (PYLAB if "%pylab" in magic[0] else "pass") if magic else found[0])
        depth = max(0, depth + (found[0] in OPENING) - (found[0] in CLOSING))
        place, at_margin = found.end(), found[0] == "\n"
    return "".join(kept)


def progress(path: Path) -> tuple[Lesson, list[Task]]:
    """Return the lesson of a notebook or .py file, and its functions that are not written yet."""
    cells = read_cells(path)
    pieces, broken = cut(cells)
    named = set(functions(pieces)).union(*(one.names for one in broken))
    lesson = max(LESSONS, key=lambda one: len({task.name for task in one.tasks} & named))
    done = written(cells)
    return lesson, [task for task in lesson.tasks if task.name not in done]


def written(cells: list[str]) -> set[str]:
    """Return the functions that are neither stubs nor raise `NotImplementedError` before any `return`."""
    pieces, _ = cut(cells)
    ends = {
        name: next((line for line in node.body if isinstance(line, ast.Return | ast.Raise)), None)
        for name, node in functions(pieces).items()
    }
    unwritten = {name for name, end in ends.items() if isinstance(end, ast.Raise) and does_nothing(end)}
    return ends.keys() - unwritten - stubs(pieces)
