"""How far a notebook is: which functions are still to be written. Read off the text alone, nothing is run."""

import ast
from collections.abc import Iterable
from pathlib import Path

from byhand.course.notebooks.reading import read_cells
from byhand.course.notebooks.syllabus import LESSONS, Lesson, Task
from byhand.course.sandbox.slicing import cut, stubs


def progress(path: Path) -> tuple[Lesson, list[Task]]:
    """The lesson that a notebook (or a .py file) belongs to, and its functions that are not written yet, in order."""
    cells = read_cells(path)
    done = written(cells)
    named = _named(cells)
    lesson = max(LESSONS, key=lambda one: len({task.name for task in one.tasks} & named))
    return lesson, [task for task in lesson.tasks if task.name not in done]


def written(cells: list[str]) -> set[str]:
    """Functions with a body of their own: no stub, and no `raise NotImplementedError` that is sure to be reached."""
    pieces, _ = cut(cells)
    blank = stubs(pieces)
    functions: dict[str, ast.FunctionDef] = {
        piece.node.name: piece.node for piece in pieces if isinstance(piece.node, ast.FunctionDef)
    }
    return {name for name, node in functions.items() if name not in blank and not _ends_unwritten(node.body)}


def _ends_unwritten(body: Iterable[ast.stmt]) -> bool:
    for line in body:
        if isinstance(line, ast.Return):
            return False
        if isinstance(line, ast.Raise):
            raised = line.exc.func if isinstance(line.exc, ast.Call) else line.exc
            return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return False


def _named(cells: list[str]) -> set[str]:
    """Every function that the notebook has, blanks that are no Python yet included."""
    pieces, broken = cut(cells)
    names = {piece.node.name for piece in pieces if isinstance(piece.node, ast.FunctionDef)}
    return names.union(*(one.names for one in broken))
