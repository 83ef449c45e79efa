"""`byhand course`: the student's three commands, and the teacher's three.

Each lives in a module here and is imported only when it runs, as the commands above it are.
"""

from pathlib import Path
from typing import ClassVar

import click

from byhand.cli.group import LazyGroup
from byhand.errors import DataMissingError, UsageError

COMMANDS = {
    "start": "Put the notebooks into a folder, with data to learn from.",
    "next": "The next function to write: its formula and its shapes.",
    "check": "What is right in a notebook, what is wrong, and likely why.",
    "release": "For teachers: every version of the notebooks, from one source.",
    "grade": "For teachers: marks for a folder of submissions.",
    "import": "For teachers: make an existing notebook of this assignment checkable.",
}


class CourseGroup(LazyGroup):
    """The commands of the course."""

    package: ClassVar[str] = "byhand.cli.course"
    table: ClassVar[dict[str, str]] = COMMANDS

    def module_of(self, cmd_name: str) -> str:
        return "importing" if cmd_name == "import" else cmd_name


@click.group("course", cls=CourseGroup)
def command() -> None:
    """The course: write a neural network yourself, function by function, from a blank notebook to a mark.

    `byhand course start` puts the notebooks into a folder and says what to do next.
    """


def notebook_at(path: Path | None) -> Path:
    """The student's notebook that is meant: without a path, the first of the course, in this folder."""
    from byhand.course.notebooks.syllabus import LESSONS

    path = path or Path(f"{LESSONS[0].name}.ipynb")
    if path.suffix not in (".ipynb", ".py"):
        raise UsageError(f"NOTEBOOK must be a .ipynb or .py file, got {path}")
    if not path.exists():
        raise DataMissingError(f"{path}: there is no such notebook; `byhand course start` puts one here")
    return path
