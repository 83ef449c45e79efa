"""Audit the checks of a teacher's notebook: which mistakes do they let through? (Mutation testing.)

Each function of the assignment is replaced by the reference with one edit, and the notebook's own checks are run: the
statements with an assertion or with a call of a function that has one. They run in the sandbox; the edited reference
runs in this process. For a mistake that passes, a line of Python is suggested that would catch it.
"""

import ast
import contextlib
import copy
import functools
import inspect
import io
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from byhand.course.check import PAGES, answer, data_files, modules_beside, pages_of
from byhand.course.check.diagnosis import LAST, Fit, close, differing, matches
from byhand.course.check.variants import variants_of
from byhand.course.notebooks import read_cells
from byhand.course.probes import Function, MisshapenError, Outputs, Page, Probe
from byhand.course.sandbox import packed, slicing
from byhand.course.sandbox.runner import Limits, Student
from byhand.text import counted

LIMITS = Limits(call=10.0, total=3600.0)  # one run of all checks takes at most 10 seconds
CHECKING = re.compile(r"_*(assert|check|test|verify|validate)", re.IGNORECASE)  # start of a function's name
RUN, STEP, AT = "byhand_run", "byhand_step", "byhand_at"  # names of the functions that run the checks
RUNNER = f"""def {RUN}(numbers):
    for number in numbers:
        {AT}(number)
        try:
            globals()[f"{STEP}_{{number}}"]()
        except BaseException as error:
            return [number, f"{{type(error).__name__}}: {{error}}"[:200]]
    return []
"""
MAX_MISTAKES = 100  # tried per function
MAX_LINES = 3  # suggested per function
MAX_SHOWN = 6  # mistakes per function on the terminal
MAX_LITERAL = 4  # numbers of an array that is written out
LEAST = 2e-3  # smallest difference that a suggested line relies on

Run = Callable[..., Any]


@dataclass(frozen=True)
class Audited:
    """The result for one function. Mistakes with the same outputs count once."""

    function: str
    mistakes: int
    passed: tuple[str, ...]  # the known mistakes and the edits that no check notices
    suggestions: tuple[str, ...] = ()  # lines of Python that catch mistakes that passed
    suggested: int = 0  # number of mistakes that they catch
    is_tested: bool = True  # False if no check calls the function

    def lines(self) -> Iterator[str]:
        """Yield the mistakes that passed, the known ones first, and the lines that catch them."""
        if not self.is_tested:
            yield f"{self.function}: no check calls it; suggested"
        elif self.passed:
            yield f"{self.function} lets {len(self.passed)} of {self.mistakes} mistakes through, such as"
            yield from (f"  {one}" for one in self.passed[:MAX_SHOWN])
            yield f"  these lines would catch {self.suggested} of them"
        yield from (f"    {one}" for one in self.suggestions)


@dataclass(frozen=True)
class Audit:
    """The results, the number of checks, and those that fail with the reference and were not used."""

    file: str
    page: str
    checks: int
    unused: tuple[str, ...]
    functions: tuple[Audited, ...]

    def lines(self) -> Iterator[str]:
        """Yield the lines for the terminal: a table, and what each function lets through."""
        yield f"{self.file}: {counted(self.checks, 'check')}, run with mistakes in byhand.reference.{self.page}\n"
        rows = [("", "mistakes", "caught", "let through")]
        for one in self.functions:
            passed = len(one.passed)
            rows.append((one.function, f"{one.mistakes}", f"{one.mistakes - passed}", f"{passed}" if passed else ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *numbers in rows:
            columns = (f"{one:>{width}}" for one, width in zip(numbers, widths[1:], strict=True))
            yield f"{name:{widths[0]}}  {'  '.join(columns)}".rstrip()
        for one in self.functions:
            if lines := [*one.lines()]:
                yield from ("", *lines)
        yield from (f"\nnot used, it fails with the reference too: {one}" for one in self.unused)


def audit(path: Path, done: Callable[[Audited], None] = lambda _: None) -> Audit:
    """Run a notebook's own checks with each mistake in each function; call `done` after each function."""
    cells = read_cells(path)
    page = PAGES[pages_of(cells)[0]]
    modules = modules_beside(path, cells)
    steps, sources, written = _program([*modules.values(), *cells], [one.name for one in page.functions])
    targets = [RUN, *(f"{STEP}_{k}" for k in range(len(steps))), *(one.name for one in page.functions)]
    results = []
    with Student(sources, targets, LIMITS, data_files(sources), [*modules]) as student, _patched(page, {}):
        checks = Checks(student, page, steps)
        for function in (one for one in page.functions if one.name in written):
            results.append(_audited(function, page, checks))
            done(results[-1])
    failed = {k: reason for k, reason in checks.skipped.items() if steps[k].is_check}
    unused = tuple(f"{steps[k].where(len(modules))}: {reason}" for k, reason in failed.items())
    return Audit(str(path), page.name, sum(one.is_check for one in steps) - len(unused), unused, tuple(results))


# ---- the notebook as a program: definitions, and steps that can be run again


@dataclass(frozen=True)
class Step:
    """A statement that is run for each mistake: a check, or one that defines what a check needs."""

    cell: int
    text: str
    binds: frozenset[str]
    uses: frozenset[int]  # the steps that it needs, and itself
    is_check: bool

    def where(self, modules: int) -> str:
        """Describe the place, with the first line of the statement."""
        return f"code cell {self.cell - modules + 1}, `{self.text.partition(chr(10))[0][:60]}`"


def _program(cells: list[str], functions: Sequence[str]) -> tuple[list[Step], list[str], set[str]]:
    """Return the steps, the sources to load in the sandbox, and the functions of the assignment in the cells."""
    pieces, broken = slicing.cut(cells)
    definitions = slicing.functions(pieces)
    checking: set[str] = set()
    while fresh := {
        name
        for name, node in definitions.items()
        if name not in functions
        and name not in checking
        and any(_checks(one, checking, ast.Raise) for one in node.body)
    }:
        checking |= fresh
    run = [one for one in pieces if not isinstance(one.node, slicing.DEFINITIONS | slicing.IMPORTS)]
    used = {name for one in run for name in one.needs}
    for name, node in definitions.items():  # called as pytest would
        if name.startswith("test") and name not in {*used, *functions} and not node.args.args:
            cell = next(one.cell for one in pieces if one.node is node)
            run.append(slicing.Piece(cell, ast.parse(f"{name}()").body[0], frozenset(), frozenset({name})))
    checks = [one for one in run if _checks(one.node, checking)]
    place = {id(one): k for k, one in enumerate(run)}
    bound = frozenset().union(*(one.binds for one in run))
    needs = {}
    for one in checks:  # a call of the same cell may change what the check looks at
        before = [other for other in run[: place[id(one)]] if other.cell == one.cell and {*functions} & other.needs]
        changing = [other for other in before if other.needs & one.needs & bound]
        names = one.needs.union(*(other.needs for other in changing))
        needs[id(one)] = [place.get(id(other), -1) for other in (*slicing.worth_running(pieces, names), *changing)]
    uses = {key: frozenset(k for k in found if 0 <= k < place[key]) | {place[key]} for key, found in needs.items()}
    kept = frozenset().union(*uses.values())
    number = {k: n for n, k in enumerate(sorted(kept))}
    steps = [
        Step(
            run[k].cell,
            ast.unparse(run[k].node),
            run[k].binds - {"*"},
            frozenset(number[one] for one in uses.get(id(run[k]), ())),
            id(run[k]) in uses,
        )
        for k in number
    ]
    defining = [one.node for one in pieces if isinstance(one.node, slicing.DEFINITIONS | slicing.IMPORTS)]
    sources = ["\n".join(map(ast.unparse, defining)), RUNNER]
    written = {*definitions, *(name for one in broken for name in one.names)}
    return steps, [*sources, *(_as_function(k, step) for k, step in enumerate(steps))], written


def _checks(node: ast.AST, checking: set[str], *kinds: type[ast.stmt]) -> bool:
    """Return True if a statement contains an assertion, a call of a function that checks, or one of `kinds`."""
    for one in ast.walk(node):
        if isinstance(one, (ast.Assert, *kinds)):
            return True
        if isinstance(one, ast.Call):
            name = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
            if name in checking or CHECKING.match(name):
                return True
    return False


def _as_function(number: int, step: Step) -> str:
    names = f"    global {', '.join(sorted(step.binds))}\n" if step.binds else ""
    return f"def {STEP}_{number}():\n{names}{textwrap.indent(step.text, '    ')}\n"


# ---- runs of the checks


@contextlib.contextmanager
def _patched(page: Page, functions: Mapping[str, Run]) -> Iterator[None]:
    """Replace functions of the reference everywhere, the others by versions that do not check their arguments."""
    own = {one.name: inspect.unwrap(getattr(page.module, one.name)) for one in page.functions}
    homes = [vars(page.module), *(vars(sys.modules[one.__module__]) for one in own.values())]
    places = {id(home): home for home in homes}
    places |= {id(table): table for home in homes for table in home.values() if isinstance(table, dict)}
    old = [
        (place, key, one, name)
        for place in places.values()
        for key, one in place.items()
        for name in own
        if callable(one) and inspect.unwrap(one) is own[name]
    ]
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for place, key, _, name in old:
                place[key] = functions.get(name, own[name])
            yield
        finally:
            for place, key, one, _ in old:
                place[key] = one


class Checks:
    """The steps of a notebook in the sandbox. Those that fail with the reference are `skipped`, with the error."""

    def __init__(self, student: Student, page: Page, steps: Sequence[Step]) -> None:
        self.student, self.page, self.steps = student, page, steps
        self.skipped: dict[int, str] = {}
        self.calls: dict[int, set[str]] = {}  # of each step, the functions that it calls
        self.at = 0  # the current step
        own = {one.name: getattr(page.module, one.name) for one in page.functions}
        with _patched(page, {name: self._noted(name, run) for name, run in own.items()}):
            while (failed := self.failed(self._usable())) is not None:
                self.skipped[failed[0]] = failed[1]
                self.calls.clear()

    def of(self, function: str) -> list[int]:
        """Return the steps to run for a function: the checks that call it, and what they need."""
        checks = [self.steps[k].uses for k in self._usable() if self.steps[k].is_check]
        calling = [used for used in checks if any(function in self.calls.get(k, ()) for k in used)]
        numbers = sorted(frozenset().union(*calling) - self.skipped.keys())
        return numbers if not numbers or self.failed(numbers) is None else self._usable()

    def failed(self, numbers: Sequence[int]) -> tuple[int, str] | None:
        """Run steps with the functions of the reference, as they are patched; return the first that fails."""
        answers = {one.name: answer(self.page, one.name) for one in self.page.functions}
        outcome = self.student.call(RUN, [list(numbers)], answers={**answers, AT: self._arrive})
        if outcome.died or outcome.error:
            return self.at, outcome.died or f"{outcome.error}: {outcome.message}"
        return tuple(outcome.value) if outcome.value else None

    def _usable(self) -> list[int]:
        return [k for k in range(len(self.steps)) if k not in self.skipped]

    def _arrive(self, arguments: Sequence[Any], _: Mapping[str, Any]) -> None:
        self.at = int(arguments[0])

    def _noted(self, name: str, run: Run) -> Run:
        @functools.wraps(run)
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.calls.setdefault(self.at, set()).add(name)
            return run(*arguments, **keywords)

        return call


# ---- the mistakes of one function


def _audited(function: Function, page: Page, checks: Checks) -> Audited:
    """Try each mistake in a function."""
    numbers = checks.of(function.name)
    probes = [one for one in function.probes(np.random.default_rng(0)) if not one.remark]
    found: dict[bytes, tuple[str, Run, list[Outputs | None]]] = {}
    for spelling in variants_of(page.module, function.name):
        for quote, run in spelling:
            got = [_outputs(function, probe, run) for probe in probes]
            is_wrong = any(one is None or _wrong(probe, one) for probe, one in zip(probes, got, strict=True))
            key = packed([one and dict(one) for one in got]) if is_wrong and any(got) else None
            # an error in each call is no use as a test
            if key is not None and key not in found and not (edit := quote()).startswith("`def "):
                found[key] = edit, run, got
    passed: list[tuple[Fit, str, Run]] = []
    suggestions: list[str] = []
    tried = [*found.values()][:: 1 + (len(found) - 1) // MAX_MISTAKES]
    for edit, run, got in tried:
        with _patched(page, {function.name: run}):
            if numbers and checks.failed(numbers) is not None:
                continue
        passed.append((_known(probes, got), edit, run))
        if len(suggestions) < MAX_LINES and all(_holds(line, function.name, run) for line in suggestions):
            suggestions += [line] if (line := _suggestion(function, page, probes, run)) else []
    suggested = sum(not all(_holds(line, function.name, run) for line in suggestions) for _, _, run in passed)
    first = {mistake: edit for (mistake, _), edit, _ in reversed(passed) if mistake}  # one edit of each is listed first
    passed.sort(key=lambda one: (first.get(one[0][0]) != one[1], bool(one[0][0])))
    words = tuple(f"{edit}: {sentence}" if sentence else edit for (_, sentence), edit, _ in passed)
    return Audited(function.name, len(tried), words, tuple(suggestions), suggested, bool(numbers))


def _wrong(probe: Probe, got: Outputs) -> list[str]:
    """Return the names of the wrong outputs; a variant prints nothing."""
    return [name for name in differing(probe, got) if not name.endswith("printed")]


def _outputs(function: Function, probe: Probe, run: Run) -> Outputs | None:
    """Return the outputs of a function; None if it raises an error or returns something else."""
    np.random.seed(2)
    try:
        made = function.outputs(run(*copy.deepcopy([*probe.arguments.values()])), "")
    except MisshapenError:
        return {}
    except Exception:  # an edit may raise anything
        return None
    return made


def _known(probes: Sequence[Probe], got: Sequence[Outputs | None]) -> Fit:
    """Return the known mistake that explains all wrong outputs, and its sentence; empty if there is none."""
    wrong = [(p, one, name) for p, one in zip(probes, got, strict=True) if one for name in _wrong(p, one)]
    fits = [matches(name, p, one, frozenset()) for p, one, name in wrong]
    fitting = [fit for fit in (fits[0] if fits else []) if all(fit in own for own in fits)]
    return next((fit for fit in fitting if fit[0] not in LAST), ("", ""))


# ---- suggestions: one line with small numbers


def _suggestion(function: Function, page: Page, probes: Sequence[Probe], run: Run) -> str:
    """Return the shortest line that holds with the reference and not with the mistake; empty if there is none."""
    lines = [line for probe in probes for line in [_line(function.name, page, probe, run)] if line]
    reference = getattr(page.module, function.name)
    usable = [one for one in lines if _holds(one, function.name, reference) and not _holds(one, function.name, run)]
    return min(usable, key=len, default="")


def _holds(line: str, name: str, run: Run) -> bool:
    try:
        exec(line, {"np": np, name: run})
    except Exception:
        return False
    return True


def _line(name: str, page: Page, probe: Probe, run: Run) -> str:
    """Return an assertion on the output that differs most, for arguments of the shapes of a probe."""
    start = [1]  # not 0, where relu has its kink
    call = f"{name}({', '.join(_literal(one, start) for one in probe.arguments.values())})"
    try:
        right = dict(_leaves(eval(call, {"np": np, name: getattr(page.module, name)})))
        wrong = dict(_leaves(eval(call, {"np": np, name: run})))
    except Exception:
        wrong = {}
    for path, value in right.items() if wrong else ():
        other = wrong.get(path)
        if other is None or other.shape != value.shape:
            return f"assert np.shape({call}{path}) == {value.shape}"
        if not close(other, value):
            off = np.abs(np.where(np.isfinite(other), other, np.inf) - value)
            place = [int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape)]
            if off[tuple(place)] > LEAST:
                return (
                    f"assert np.isclose({call}{path}{place or ''}, {round(float(value[tuple(place)]), 4):g}, atol=1e-3)"
                )
    return ""


def _literal(value: Any, start: list[int]) -> str:
    """Return a Python expression for a value like this one. Large arrays become formulas with different numbers."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_literal(one, start)}' for key, one in value.items())}}}"
    if isinstance(value, tuple | list):
        inner = ", ".join(_literal(one, start) for one in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    return _array(value, start) if isinstance(value, np.ndarray) else repr(value)


def _array(value: np.ndarray[Any, Any], start: list[int]) -> str:
    if value.dtype.kind != "f":
        return f"np.array({value.tolist()})"
    if value.ndim == 2 and np.isin(value, (0, 1)).all() and (value.sum(axis=0) == 1).all():
        return f"np.eye({len(value)})[:, {value.argmax(axis=0).tolist()}]"
    if value.size <= MAX_LITERAL:
        return f"np.array({(np.round(value, 1) + 0.0).tolist()})"
    first, start[0] = start[0], start[0] + value.size
    square = " ** 2" if (value >= 0).all() else ""
    return f"np.sin(range({first}, {start[0]})).reshape{value.shape}{square}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield each array or number of a returned value, with the expression that selects it."""
    if isinstance(value, dict | tuple | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(one, f"{path}[{key!r}]")
    elif isinstance(value, np.ndarray | np.generic | float | int):
        yield path, np.asarray(value, dtype=float)
