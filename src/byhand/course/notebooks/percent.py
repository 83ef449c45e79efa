"""The lessons as they are written: text notebooks in the percent format, which Jupytext and editors open as well.

A line `# %%` begins a cell of code, `# %% [markdown]` one of text, each line of it behind a `#`. Two marks are ours:
`graded="sigmoid"` on the cell with the function to write, its solution between `### BEGIN SOLUTION` and
`### END SOLUTION`, and `checks="sigmoid"` on the cell below it that tries it, its hidden part between
`### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`. So little of the format is used that it is read here, by hand.
"""

import re
from dataclasses import dataclass, field
from importlib import resources

from byhand.errors import DataError

MARKER = re.compile(r'# %%(?P<markdown> \[markdown\])?(?P<marks>(?: \w+="[^"]*")*)')


@dataclass(frozen=True)
class Cell:
    """One cell: its text, whether it is prose, and its marks."""

    text: str
    is_markdown: bool = False
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def graded(self) -> str:
        """The function that is to be written in this cell, or nothing."""
        return self.marks.get("graded", "")

    @property
    def checks(self) -> str:
        """The function that this cell tries, or nothing."""
        return self.marks.get("checks", "")


def lesson_source(name: str) -> list[Cell]:
    """The cells of a lesson of ours, by the lesson's name."""
    file = resources.files("byhand.course") / "lessons" / f"{name.replace('-', '_')}.py"
    return read(file.read_text(encoding="utf-8"))


def read(text: str) -> list[Cell]:
    """Every cell of a text notebook, in order."""
    cells: list[Cell] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# %%"):
            marker = MARKER.fullmatch(line)
            if not marker:
                raise DataError(f'line {number}: a cell must begin like `# %% graded="sigmoid"`, got {line}')
            marks = dict(re.findall(r'(\w+)="([^"]*)"', marker["marks"]))
            cells.append(Cell("", bool(marker["markdown"]), marks))
        elif cells:
            last = cells[-1]
            plain = re.sub(r"^# ?", "", line) if last.is_markdown else line
            cells[-1] = Cell(f"{last.text}{plain}\n", last.is_markdown, last.marks)
    return [Cell(cell.text.strip("\n"), cell.is_markdown, cell.marks) for cell in cells]


def between(text: str, what: str, put: str | None = None) -> str:
    """The text with its region `### BEGIN what … ### END what` replaced by `put`; without one, only the marks go.

    `put` is indented as the region is.
    """
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        mark = line.strip()
        if mark == f"### BEGIN {what}":
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + new for new in (put or "").splitlines()]
        elif mark == f"### END {what}":
            inside = False
        elif not (inside and put is not None):
            lines.append(line)
    return "\n".join(lines)


def region(text: str, what: str) -> str:
    """What stands between `### BEGIN what` and `### END what`."""
    inside = re.search(rf"^### BEGIN {what}\n(.*?)^### END {what}$", text, re.MULTILINE | re.DOTALL)
    return inside[1].strip("\n") if inside else ""
