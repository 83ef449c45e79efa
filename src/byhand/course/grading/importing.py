"""Prepare an existing notebook of the assignment for checking and grading.

A function with another name is recognized by its name and arguments, and reported as a guess. The result is a
checks file and a copy of the notebook with marked cells and, in the metadata, its own function names.
"""

import ast
import copy
import difflib
import inspect
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byhand.course.check import PAGES, pages_of
from byhand.course.check.diagnosis import Report
from byhand.course.notebooks import code_cells, entry, lesson_of, plain, read_notebook, source_of, written
from byhand.course.probes import Page
from byhand.course.sandbox import slicing
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.files import write_text

GRADED = re.compile(r"\s*#\s*graded\b", re.IGNORECASE)
SIMILAR, SIMILAR_WITH_ARGUMENTS = 0.8, 0.3  # least similarity of two names, and the same for equal arguments


@dataclass(frozen=True)
class Found:
    """A function of the notebook: its name, the numbers of its code cells (from 1), and its arguments."""

    name: str
    cells: tuple[int, ...]
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """The copy of the notebook, and the functions that were found, by the names of the reference."""

    notebook: Mapping[str, Any]
    page: str
    functions: Mapping[str, Found]
    names: Mapping[str, str]  # {name in the reference: other name in the notebook}
    absent: tuple[str, ...]
    unknown: tuple[Found, ...]  # in graded cells, but not part of the assignment
    empty: tuple[int, ...]  # graded cells without a function
    written: tuple[str, ...]  # functions with points that are not stubs
    title: str

    @property
    def points(self) -> dict[str, int]:
        worth = {task.name: task.points for task in lesson_of(self.page).tasks}
        return {name: worth[name] for name in self.functions if name in worth}

    def checks(self) -> str:
        """Return the text of a checks file for this notebook, with a random seed."""
        points = "".join(f'    "{name}": {points},\n' for name, points in self.points.items())
        names = f"names = {json.dumps(self.names)}  # assignment's name: notebook's name\n" if self.names else ""
        absent = f"# not in this notebook: {', '.join(self.absent)}\n" if self.absent else ""
        return (
            f'"""Checks for {self.title}: points per function. docs/marking.md describes all entries."""\n\n'
            f'page = "{self.page}"\nseed = {secrets.randbelow(10**9)}  # keep it to yourself\n{names}'
            f"points = {{\n{points}}}\n{absent}"
        )

    def write(self, out: Path, *, force: bool) -> tuple[Path, Path]:
        """Write the copy to `out` and the checks file next to it; return both paths."""
        if out.suffix != ".ipynb":
            raise UsageError(f"--out must be a .ipynb file, got {out}")
        checks = out.with_name(f"{out.name.removesuffix('.ipynb').removesuffix('.byhand')}_checks.py")
        for path in (out, checks):
            if path.exists() and not force:
                raise UsageError(f"{path} already exists: use --force to overwrite it, or --out for another name")
        write_text(out, json.dumps(self.notebook, indent=1, ensure_ascii=False) + "\n")
        write_text(checks, self.checks())
        return out, checks

    def lines(self, report: Report) -> list[str]:
        """Return a line for each function, with its status in `report`, and for everything that has no points."""
        width = max(len(name) for name in self.functions)
        lines = []
        for name, one in self.functions.items():
            where = "code cell " + " and ".join(map(str, one.cells))
            copies = ", the last written copy counts" if len(one.cells) > 1 else ""
            called = f", named {one.name} here: please confirm" if name in self.names else ""
            status = report[name].status.replace("missing", "not written yet")
            lines.append(f"{name:{width}}  {status:15}  {where}{copies}{called}")
        lines += ["", *([f"not found: {', '.join(self.absent)}"] if self.absent else [])]
        for one in self.unknown:
            place = f"code cell {one.cells[0]} is graded and defines {one.name}"
            lines.append(f"{place}, which is not part of the assignment: no points assigned")
        return lines + [f"code cell {n} is graded and defines no function: no points assigned" for n in self.empty]


def import_notebook(path: Path) -> Imported:
    """Find the functions of the assignment in a notebook, and prepare its copy."""
    if path.suffix.lower() != ".ipynb":
        raise UsageError(f"NOTEBOOK must be a .ipynb file, got {path}")
    if not path.is_file():
        raise DataMissingError(f"{path}: no such file")
    notebook = read_notebook(path)
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        older = isinstance(notebook, dict) and "worksheets" in notebook
        got = "an older version: save it with Jupyter first" if older else "JSON without cells"
        raise DataError(f"{path}: must be a notebook of version 4, got {got}")
    sources = [plain(source_of(cell)) for cell in code_cells(notebook["cells"])]
    page = PAGES[pages_of(sources)[0]]
    defined = _functions(sources)
    graded = {number for number, source in enumerate(sources, 1) if GRADED.match(source)}
    functions, names = _matched(page, defined, graded or set(range(1, len(sources) + 1)))
    if not functions:
        raise DataError(f"{path}: must define functions of the assignment, got {', '.join(defined) or 'none'}")
    taken = {one.name for one in functions.values()}
    offered = {task.name for task in lesson_of(page.name).tasks}
    filled = written(sources)
    return Imported(
        _marked(notebook, page, functions, names),
        page.name,
        functions,
        names,
        absent=tuple(f.name for f in page.functions if f.name in offered - set(page.given) and f.name not in functions),
        unknown=tuple(one for one in defined.values() if one.name not in taken and graded & set(one.cells)),
        written=tuple(name for name, one in functions.items() if name in offered and one.name in filled),
        empty=tuple(sorted(graded - {cell for one in defined.values() for cell in one.cells})),
        title=path.name.encode("utf-8", "replace").decode().replace('"', "'").replace("\\", "/"),
    )


def _functions(sources: list[str]) -> dict[str, Found]:
    """Return the functions that are defined at the top level, including stubs that are not valid Python."""
    pieces, broken = slicing.cut(sources)
    there = [
        (piece.node.name, piece.cell + 1, tuple(one.arg for one in piece.node.args.args))
        for piece in pieces
        if isinstance(piece.node, ast.FunctionDef)
    ]
    for one in broken:
        for name in one.names:
            head = re.search(rf"def\s+{name}\s*\(([^)]{{0,2000}})\)", sources[one.cell])
            parts = head[1].split(",") if head else ()
            there.append((name, one.cell + 1, tuple(re.split(r"[=:]", part)[0].strip() for part in parts)))
    found: dict[str, Found] = {}
    for name, cell, arguments in there:
        before = found[name].cells if name in found else ()
        found[name] = Found(name, tuple(sorted({*before, cell})), arguments)
    return found


def _matched(page: Page, defined: Mapping[str, Found], graded: set[int]) -> tuple[dict[str, Found], dict[str, str]]:
    """Return the functions of the assignment, and the notebook's names of those with other names."""
    taken = {function.name: function.name for function in page.functions if function.name in defined}
    left = [one for one in defined.values() if one.name not in taken and graded & set(one.cells)]
    missing = [function.name for function in page.functions if function.name not in taken]
    for score, name, theirs in sorted(
        (-_similarity(page, name, one), name, one.name) for name in missing for one in left
    ):
        if score and name not in taken and theirs not in taken.values():
            taken[name] = theirs
    functions = {one.name: defined[taken[one.name]] for one in page.functions if one.name in taken}
    return functions, {name: theirs for name, theirs in taken.items() if name != theirs}


def _similarity(page: Page, name: str, one: Found) -> float:
    """Return the similarity of two names, regardless of the order of their words; 0 if it is too small."""
    ours, theirs = ("".join(sorted(text.lower().split("_"))) for text in (name, one.name))
    score = difflib.SequenceMatcher(None, ours, theirs).ratio()
    expected = [parameter.lower() for parameter in inspect.signature(getattr(page.module, name)).parameters]
    same = [argument.lower() for argument in one.arguments] == expected[: len(one.arguments)] and bool(one.arguments)
    return score + same if score >= (SIMILAR_WITH_ARGUMENTS if same else SIMILAR) else 0.0


def _marked(
    notebook: Mapping[str, Any], page: Page, functions: Mapping[str, Found], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return a copy with `#Graded` at the top of each cell with a function, and the names in the metadata."""
    marked = copy.deepcopy(dict(notebook))
    cells = code_cells(marked["cells"])
    for name, one in functions.items():
        for number in one.cells:
            cell = cells[number - 1]
            source = source_of(cell)
            if not GRADED.match(plain(source)) and name not in page.given:
                magic, rest = re.match(r"(%%.*\n)?([\s\S]*)", source).groups()  # type: ignore[union-attr]
                cell["source"] = f"{magic or ''}#Graded\n{rest}".splitlines(keepends=True)
            graded = entry(cell, "metadata", "byhand", "graded")
            _set_metadata(cell, {"graded": [*(graded if isinstance(graded, list) else []), name]})
    _set_metadata(marked, {"page": page.name, **({"names": dict(names)} if names else {})})
    return marked


def _set_metadata(part: dict[str, Any], ours: Mapping[str, Any]) -> None:
    """Set byhand's metadata of a notebook or cell."""
    metadata = entry(part, "metadata")
    part["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), "byhand": ours}
