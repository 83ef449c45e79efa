"""The teacher's checks file: points per function, the seed of the hidden numbers, and custom checks.

It is a Python file, or TOML without custom checks; docs/marking.md has an example. A custom check is a function
`(student, rng)` that calls the student's functions, and raises an error with the feedback if they are wrong.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import byhand
from byhand.checks import is_integer, is_number
from byhand.course.check import PAGES, Check
from byhand.course.notebooks import lesson_of
from byhand.course.probes import Page, Probe
from byhand.course.sandbox.runner import Answer
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.schema import toml_value
from byhand.text import closest

ENTRIES = ("page", "seed", "rounds", "timeout", "points", "names")
MARKER = "_byhand_custom_check"

Call = Callable[[str, Mapping[str, Any]], Any]


@dataclass(frozen=True)
class CustomCheck:
    name: str
    function: str
    points: float
    about: str
    run: Callable[[Any, np.random.Generator], object]


@dataclass(frozen=True)
class Checks:
    """Settings of grading. `points` are in the order of the assignment; `digest` is a hash of the checks file."""

    page: str
    points: Mapping[str, float]
    seed: int = 0
    rounds: int = 1
    timeout: float = 60.0
    names: Mapping[str, str] = field(default_factory=dict)
    custom_checks: tuple[CustomCheck, ...] = ()
    digest: str = ""

    @property
    def graded(self) -> set[str]:
        """Return the functions that points depend on."""
        return {*self.points, *(one.function for one in self.custom_checks)}

    @property
    def of(self) -> float:
        return sum(self.points.values()) + sum(one.points for one in self.custom_checks)


def read_checks(path: Path | None = None, page: str = "l_layer") -> Checks:
    """Read and validate a checks file; without a file, use the functions and points of the course."""
    content: bytes = b""
    found: dict[str, Any] = {"page": page}
    if path is not None:
        if path.suffix not in (".py", ".toml"):
            raise UsageError(f"the checks must be a .py or .toml file, got {path}")
        if not path.is_file():
            raise DataMissingError(f"{path}: no such file")
        content = path.read_bytes()
        found = _from_toml(path, content) if path.suffix == ".toml" else _from_python(path, content)
    marked = (getattr(value, MARKER, None) for value in found.values())
    custom = tuple(dict.fromkeys(one for one in marked if isinstance(one, CustomCheck)))
    entries = {name: found[name] for name in ENTRIES if name in found}
    digest = hashlib.sha256(repr((byhand.__version__, entries.get("page"), content)).encode()).hexdigest()
    checks = _checked(path, entries, custom, digest)
    for one in custom:
        self_test(one, PAGES[checks.page], checks.seed)
    return checks


def _from_toml(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = toml_value(content)
    except UsageError as error:
        raise DataError(f"{path}: {error}") from error
    for name in found:
        if name not in ENTRIES:
            raise UsageError(f"{path}: entries must be {', '.join(ENTRIES)}, got {name}")
    return found


def _from_python(path: Path, content: bytes) -> dict[str, Any]:
    """Run the file and return its names; it can import modules from its folder."""
    found: dict[str, Any] = {"__name__": "checks", "__file__": str(path)}
    sys.path.append(str(path.resolve().parent))
    try:
        exec(compile(content, str(path), "exec"), found)
    except Exception as error:
        raise DataError(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return found


def _checked(path: Path | None, found: Mapping[str, Any], custom: tuple[CustomCheck, ...], digest: str) -> Checks:
    def must(holds: bool, rule: str, value: Any) -> None:
        if not holds:
            raise UsageError(f"{path or 'the checks'}: {rule}, got {value!r}")

    page, seed, rounds = found.get("page", "l_layer"), found.get("seed", 0), found.get("rounds", 1)
    timeout, names = found.get("timeout", 60), found.get("names", {})
    must(isinstance(page, str) and page in PAGES, f"page must be one of {', '.join(PAGES)}", page)
    must(is_integer(seed, 0), "seed must be an integer of at least 0", seed)
    must(is_integer(rounds, 1, 100), "rounds must be an integer from 1 to 100", rounds)
    must(is_number(timeout, 1, 3600), "timeout must be from 1 to 3600 seconds", timeout)
    known = [function.name for function in PAGES[page].functions]
    given = found.get("points", {task.name: task.points for task in lesson_of(page).tasks})
    must(isinstance(given, Mapping), "points must be a dictionary {function: points}", given)
    must(isinstance(names, Mapping), "names must be a dictionary {function: name in the notebook}", names)
    worth = [(f"points[{name!r}]", name, value) for name, value in given.items()]
    worth += [(f"the custom check {one.name}", one.function, one.points) for one in custom]
    for what, name, value in worth:
        near = closest(str(name), known)
        hint = f" (did you mean {near}?)" if near else ""
        must(name in known, f"{what} must be for a function of {page}{hint}", name)
        must(type(value) in (int, float) and is_number(value, 0), f"{what} must be at least 0 points", value)
    for one in custom:
        must(one.name not in known, "a custom check must not have the name of a function", one.name)
    for ours, theirs in names.items():
        must(ours in known, f"names must be for functions of {page}", ours)
        must(isinstance(theirs, str) and theirs.isidentifier(), f"names[{ours!r}] must be a Python name", theirs)
    points = {name: given[name] for name in known if given.get(name)}
    must(bool(points or custom), "points must not all be 0", given)
    return Checks(page, points, int(seed), int(rounds), float(timeout), dict(names), custom, digest)


# ---- custom checks


def custom_check(function: str, *, points: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that makes a custom check of a function of the assignment."""

    def marked(run: Callable[..., Any]) -> Callable[..., Any]:
        about = (inspect.getdoc(run) or run.__name__.replace("_", " ")).splitlines()[0]
        setattr(run, MARKER, CustomCheck(run.__name__, function, points, about, run))
        return run

    return marked


class StudentError(Exception):
    """An error in the student's function, with a message for the student."""


class Functions:
    """The functions of the assignment as attributes, implemented by `call(name, arguments)`."""

    def __init__(self, page: Page, call: Call) -> None:
        self._page, self._call = page, call

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in {function.name for function in self._page.functions}:
            raise AttributeError(f"{self._page.name} has no function {name}")
        signature = inspect.signature(getattr(self._page.module, name))
        return lambda *arguments, **keywords: self._call(name, signature.bind(*arguments, **keywords).arguments)


def run_custom_check(one: CustomCheck, check: Check, seed: bytes, wrong: set[str]) -> str:
    """Return the reason why a custom check fails, or "" if it passes.

    If it fails, it is run again with reference versions of the other `wrong` functions.
    """

    def failure(answers: Mapping[str, Answer]) -> str:
        def call(name: str, arguments: Mapping[str, Any]) -> Any:
            if check.student.spent:
                raise StudentError(f"the time limit of {check.student.limits.total:g} seconds for the file is used up")
            if name in answers:
                return answers[name]((), dict(arguments))
            if name not in check.student.loaded["functions"]:
                raise StudentError(f"{name} not found")
            uses = check.page.depends_on(check.page[name])  # a softmax must not reach the reference through later ones
            outcome = check.call(name, Probe(arguments), {one: answers[one] for one in uses & answers.keys()})
            if outcome.died or outcome.error:
                raise StudentError(f"{name}: {outcome.died or f'{outcome.error}: {outcome.message}'}")
            return outcome.value

        return _failure(one, Functions(check.page, call), seed)

    failed = failure({})
    others = {name: check.right_answer(name) for name in sorted(wrong - {one.function})}
    return "" if failed and others and not failure(others) else failed


def _failure(one: CustomCheck, student: Functions, seed: bytes) -> str:
    rng = np.random.default_rng(list(seed + one.name.encode()))
    try:
        with np.errstate(all="ignore"):
            one.run(student, rng)
    except StudentError as error:
        return str(error)
    except AssertionError as error:
        return str(error) or "an assertion fails"
    except Exception as error:  # such as an operation on a value of the wrong type
        return f"the returned value can't be used ({type(error).__name__}: {error})"
    return ""


def self_test(one: CustomCheck, page: Page, seed: int) -> None:
    """Reject a custom check that fails with the reference, or passes with functions that return None."""
    start = str(seed).encode()
    reference = Functions(page, lambda name, arguments: getattr(page.module, name)(**arguments))
    if failed := _failure(one, reference, start):
        raise UsageError(f"the custom check {one.name} must pass with the reference functions, got: {failed}")
    if not _failure(one, Functions(page, lambda _name, _arguments: None), start):
        raise UsageError(f"the custom check {one.name} must fail if the functions return None, but it passes")
