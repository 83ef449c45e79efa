"""Extra checks: a teacher's own, in plain Python, beside the probes that every function gets.

An extra check is a function of two arguments. `student` has the functions of the page, under the names of the page;
calling one runs the student's, over there, and gives what it returned. `rng` is a generator, fresh for each submission.
It passes when it returns, and fails when it raises; the words of an `assert` are the student's feedback.

    @extra("softmax", points=2)
    def columns_of_a_large_batch(student, rng):
        \"\"\"The columns of softmax sum to 1, with 500 samples too.\"\"\"
        H, _ = student.softmax(rng.normal(size=(10, 500)))
        assert abs(H.sum(axis=0) - 1).max() < 1e-9, "some columns do not sum to 1"
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.course.check.checking import Check
from byhand.course.probes.probing import Page, Probe
from byhand.course.sandbox.runner import Answer
from byhand.errors import UsageError

Call = Callable[[str, Mapping[str, Any]], Any]
MARKER = "_byhand_extra"


@dataclass(frozen=True)
class Extra:
    """One extra check: its name, the function of the page that it is about, what it is worth, and how to run it."""

    name: str
    function: str
    points: float
    about: str
    run: Callable[[Any, np.random.Generator], object]


class StudentError(Exception):
    """What went wrong in the student's function, in words for the student."""


def extra(function: str, *, points: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make an extra check of the function below: about `function` of the page, worth `points`."""

    def marked(run: Callable[..., Any]) -> Callable[..., Any]:
        about = (inspect.getdoc(run) or run.__name__.replace("_", " ")).splitlines()[0]
        setattr(run, MARKER, Extra(run.__name__, function, points, about, run))
        return run

    return marked


class Functions:
    """The functions of a page, called through `call`: the student's, the reference's, or some that do nothing."""

    def __init__(self, page: Page, call: Call) -> None:
        self._page, self._call = page, call

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in {function.name for function in self._page.functions}:
            raise AttributeError(f"{self._page.name} has no function {name}")

        def call(*arguments: Any, **keywords: Any) -> Any:
            signature = inspect.signature(getattr(self._page.module, name))
            return self._call(name, signature.bind(*arguments, **keywords).arguments)

        return call


def attempt(one: Extra, check: Check, seed: bytes, wrong: set[str]) -> str:
    """What is wrong by this extra check, in words; nothing if it passes.

    It is tried with the student's own functions and, where that fails, with the right ones in place of those that are
    known to be `wrong`, except for the one that it is about.
    """
    failed = _tried(one, check, seed, {})
    others = {name: check.right_answer(name) for name in sorted(wrong - {one.function})}
    if failed and others and not _tried(one, check, seed, others):
        return ""
    return failed


def _tried(one: Extra, check: Check, seed: bytes, answers: Mapping[str, Answer]) -> str:
    def call(name: str, arguments: Mapping[str, Any]) -> Any:
        if check.student.spent:
            raise StudentError(f"the {check.student.limits.total:g} seconds for the file are used up")
        if name in answers:
            return answers[name]((), dict(arguments))
        if name not in check.student.loaded["functions"]:
            raise StudentError(f"{name} is not there")
        outcome = check.call(name, Probe(arguments, {}), answers)
        if outcome.died or outcome.error:
            raise StudentError(f"{name}: {outcome.died or f'{outcome.error}: {outcome.message}'}")
        return outcome.value

    return _outcome(one, Functions(check.page, call), seed)


def _outcome(one: Extra, student: Functions, seed: bytes) -> str:
    """Run it; whatever it raises means that it failed, and says how."""
    rng = np.random.default_rng(list(seed + one.name.encode()))
    try:
        with np.errstate(all="ignore"):
            one.run(student, rng)
    except StudentError as error:
        return str(error)
    except AssertionError as error:
        return str(error) or "this does not hold"
    except Exception as error:  # the check stumbled over what came back: it is not of the form that was expected
        return f"what came back can't be used ({type(error).__name__}: {error})"
    return ""


def prove(one: Extra, page: Page, seed: int) -> None:
    """Refuse an extra check that the right answers fail, or that functions which return nothing pass."""

    def right(name: str, arguments: Mapping[str, Any]) -> Any:
        return getattr(page.module, name)(**arguments)

    start = str(seed).encode()
    failed = _outcome(one, Functions(page, right), start)
    if failed:
        raise UsageError(f"the extra check {one.name} must pass with the right functions, it says: {failed}")
    if not _outcome(one, Functions(page, lambda _name, _arguments: None), start):
        raise UsageError(f"the extra check {one.name} must fail where functions return nothing, it passes")
