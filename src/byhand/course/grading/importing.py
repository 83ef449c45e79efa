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
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from byhand.course.check import PAGES, Check, pages_of
from byhand.course.check.diagnosis import Report
from byhand.course.notebooks import code_cells, entry, is_graded, lesson_of, plain, read_notebook, source_of
from byhand.course.probes import Page
from byhand.course.sandbox import slicing
from byhand.course.sandbox.runner import Limits
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.files import write_text
from byhand.text import listed

POINTS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:points?|pts|marks?)\b|\bpoints?\s*[:=]\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
BLANK = {"nothing returned", "no value"}  # the mistakes of a function that is only begun
IS_BLANK = 0.25  # least part of the functions that are blank in a notebook to hand out
SIMILAR, SIMILAR_WITH_ARGUMENTS = 0.8, 0.3  # least similarity of two names, and the same for equal arguments


@dataclass(frozen=True)
class Found:
    """A function of the notebook: its name, the numbers of its code cells (from 1), its arguments, and its mark."""

    name: str
    cells: tuple[int, ...]
    arguments: tuple[str, ...]
    graded: bool = False


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
    given: tuple[str, ...]  # functions without points: outside the graded cells, or filled in in a blank notebook
    own_points: Mapping[str, float]  # the teacher's, for graded functions
    report: Report  # on the notebook as it is
    title: str

    @property
    def points(self) -> dict[str, float]:
        """Return the points per function, 100 in all: the teacher's own, otherwise in proportion to the course's."""
        worth = {task.name: float(task.points) for task in lesson_of(self.page).tasks}
        graded = [name for name in self.functions if name in worth and name not in self.given]
        return _to_hundred({name: self.own_points.get(name, worth[name]) for name in graded}, bool(self.own_points))

    @property
    def written(self) -> tuple[str, ...]:
        """Return the functions with points that are filled in."""
        return tuple(name for name in self.points if self.report[name].status == "right")

    @property
    def filled(self) -> tuple[str, ...]:
        """Return the functions in graded cells that are filled in although others are blank."""
        return tuple(name for name in self.given if self.functions[name].graded)

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

    def lines(self) -> list[str]:
        """Return a line for each function, with its points and state, and for everything that has no points."""
        width = max(len(name) for name in self.functions)
        states = {"missing": "not written yet", "right": "filled in", "wrong": "incomplete", "not run": "not run"}
        lines, points = [], self.points
        for name, one in self.functions.items():
            where = "code cell " + " and ".join(map(str, one.cells))
            copies = ", the last written copy counts" if len(one.cells) > 1 else ""
            called = f", named {one.name} here: please confirm" if name in self.names else ""
            worth = f"{points[name]:g} points" if name in points else "no points"
            state = "given" if name in self.given else states[self.report[name].status]
            lines.append(f"{name:{width}}  {state:15}  {worth:>11}  {where}{copies}{called}")
        lines += ["", *([f"not found: {', '.join(self.absent)}"] if self.absent else [])]
        for one in self.unknown:
            place = f"code cell {one.cells[0]} is graded and defines {one.name}"
            lines.append(f"{place}, which is not part of the assignment: no points assigned")
        lines += [f"code cell {n} is graded and defines no function: no points assigned" for n in self.empty]
        total = sum(self.own_points.get(name, 0) for name in points)
        without = [name for name in points if name not in self.own_points]
        if not self.own_points:
            lines.append("points: the notebook states none, so those of byhand's course, scaled to 100")
        elif without:
            lines.append(f"points: the notebook's and, for {listed(without)}, those of byhand's course, scaled to 100")
        else:
            lines.append(f"points: the notebook's{'' if total == 100 else f', scaled from {total:g} to 100'}")
        return lines

    def warnings(self) -> list[str]:
        """Return what a teacher must know about functions that are filled in."""
        if self.written:
            are = "is" if len(self.written) == 1 else "are"
            of = f"{len(self.written)} of {len(self.points)} graded functions {are} filled in"
            return [f"{of}: this copy contains the answers"]
        if self.filled:
            are, them = ("is", "it") if len(self.filled) == 1 else ("are", "them")
            marked = f"{listed(self.filled)} {are} filled in, but marked #Graded: no points"
            return [f"{marked}; if students must write {them}, empty {them} and import the notebook again"]
        return []


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
    graded = {number for number, source in enumerate(sources, 1) if is_graded(source)}
    defined = {name: replace(one, graded=not graded.isdisjoint(one.cells)) for name, one in defined.items()}
    functions, names = _matched(page, defined, graded or set(range(1, len(sources) + 1)))
    if not functions:
        raise DataError(f"{path}: must define functions of the assignment, got {', '.join(defined) or 'none'}")
    taken = {one.name for one in functions.values()}
    offered = {task.name for task in lesson_of(page.name).tasks}
    with Check(path, page.name, Limits(), names=names, always=functions) as check:
        report = check.report()
    given = _given(page, functions, report)
    own = _own_points(notebook["cells"], {name: one for name, one in functions.items() if name not in given})
    return Imported(
        _marked(notebook, page, functions, names, given),
        page.name,
        functions,
        names,
        absent=tuple(f.name for f in page.functions if f.name in offered - set(page.given) and f.name not in functions),
        unknown=tuple(one for one in defined.values() if one.name not in taken and graded & set(one.cells)),
        given=given,
        own_points={name: one for name, one in own.items() if name in offered},
        report=report,
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


def _given(page: Page, functions: Mapping[str, Found], report: Report) -> tuple[str, ...]:
    """Return the functions that are given to the students: they are not in graded cells, or not blank as others are."""
    offered = {task.name for task in lesson_of(page.name).tasks}.difference(page.given)
    unwritten = {name for name in offered & functions.keys() if report[name].status == "missing"}
    candidates = [name for name, one in functions.items() if one.graded]
    candidates = [*candidates, *unwritten.difference(candidates)] if candidates else [*offered & functions.keys()]
    blank = [name for name in candidates if name in unwritten or BLANK & {*report[name].mistakes}]
    filled = [name for name in candidates if report[name].status == "right"]
    filled = filled if len(blank) >= IS_BLANK * len(candidates) else []
    return tuple(name for name in functions if name not in candidates or name in filled)


def _own_points(cells: list[Any], functions: Mapping[str, Found]) -> dict[str, float]:
    """Return the points that the notebook states for its functions.

    They are in a comment at the top of the cell, in the text above it, or in nbgrader's metadata of it or of the tests
    below it. Functions in one cell share them.
    """
    code = code_cells(cells)
    places = [next(k for k, cell in enumerate(cells) if cell is one) for one in code]
    found: dict[str, float] = {}
    for name, one in functions.items():
        number = one.cells[-1] - 1
        place, before = places[number], places[number - 1] if number else -1
        comments = "\n".join(line for line in source_of(code[number]).split("\n") if line.lstrip().startswith("#"))
        above = "\n".join(source_of(cell) for cell in cells[before + 1 : place] if isinstance(cell, dict))
        tests = [code[number], *code[number + 1 : number + 2]]
        stated = POINTS.search(comments) or [*POINTS.finditer(above)][-1:] or None
        metadata = [entry(cell, "metadata", "nbgrader", "points") for cell in tests]
        points = [value for value in metadata if type(value) in (int, float) and value > 0]
        if stated is not None:
            match = stated if isinstance(stated, re.Match) else stated[0]
            points = [float(match[1] or match[2])]
        if points:
            found[name] = float(points[0]) / sum(other.cells[-1] == one.cells[-1] for other in functions.values())
    return found


def _to_hundred(worth: Mapping[str, float], is_own: bool) -> dict[str, float]:
    """Return points in the same proportions, 100 in all: in steps of 1, or of 0.1 if they are the teacher's own."""
    total, steps = sum(worth.values()), 10 if is_own else 1
    if total in (0, 100):
        return {name: int(one) if one == int(one) else one for name, one in worth.items()}
    exact = {name: one * 100 * steps / total for name, one in worth.items()}
    left = round(100 * steps - sum(map(int, exact.values())))
    nearest = sorted(exact, key=lambda name: int(exact[name]) - exact[name])[:left]  # the largest remainders
    whole = {name: int(one) + (name in nearest) for name, one in exact.items()}
    return {name: one // steps if one % steps == 0 else one / steps for name, one in whole.items()}


def _marked(
    notebook: Mapping[str, Any],
    page: Page,
    functions: Mapping[str, Found],
    names: Mapping[str, str],
    given: Collection[str],
) -> dict[str, Any]:
    """Return a copy with `#Graded` at the top of each cell with a graded function, and byhand's entries as metadata.

    If the notebook has such cells, they stay as they are.
    """
    marked = copy.deepcopy(dict(notebook))
    cells = code_cells(marked["cells"])
    tasks: dict[int, list[str]] = {}
    for name, one in functions.items():
        for number in one.cells if name not in given else ():
            tasks.setdefault(number, []).append(name)
    for number, graded in tasks.items():
        cell = cells[number - 1]
        source = source_of(cell)
        if not is_graded(plain(source)) and not set(page.given).issuperset(graded):
            magic, rest = re.match(r"(%%.*\n)?([\s\S]*)", source).groups()  # type: ignore[union-attr]
            cell["source"] = f"{magic or ''}#Graded\n{rest}".splitlines(keepends=True)
        _set_metadata(cell, {"graded": graded})
    ours: dict[str, Any] = {"page": page.name, "names": dict(names)}
    ours["given"] = [name for name in given if functions[name].graded]
    _set_metadata(marked, {key: value for key, value in ours.items() if value})
    return marked


def _set_metadata(part: dict[str, Any], ours: Mapping[str, Any]) -> None:
    """Set byhand's metadata of a notebook or cell."""
    metadata = entry(part, "metadata")
    part["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), "byhand": ours}
