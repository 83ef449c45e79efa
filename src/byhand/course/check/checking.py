"""Checking a student's file: every function of the page it follows, one after another, each by itself.

A function is tried as it stands, with the student's own earlier functions, and where that is not right, with the
right ones in their place; the other way round where one of them is already known to be wrong. Right one way is right:
one mistake counts once. The student's code runs in `runner`'s process; the right answers stay here.
"""

import contextlib
import hashlib
import inspect
import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from byhand.course.check import pixels
from byhand.course.check.absence import UNKNOWN, absent, finds_any, needed_package
from byhand.course.check.diagnosis import diagnose, differing
from byhand.course.check.mistakes import MISTAKES
from byhand.course.check.verdicts import Report, Verdict
from byhand.course.notebooks.reading import names_in, read_cells, renamed
from byhand.course.probes import PAGES, WANTED, page_of, pages_of
from byhand.course.probes.probing import Function, MisshapenError, Outputs, Page, Probe
from byhand.course.sandbox.runner import Answer, Limits, Outcome, Place, Student
from byhand.course.sandbox.wire import Unsendable
from byhand.errors import UsageError

IN_PLACE = {"parameters", "velocities", "W1", "b1", "W2", "b2"}  # what an update may write into


def check_file(
    path: str | os.PathLike[str],
    *,
    timeout: float = 60.0,
    page: str | None = None,
    seed: int | None = None,
    limits: Limits | None = None,
) -> Report:
    """What is right and what is wrong in a student's .py or .ipynb file, function by function.

    `page` is "l_layer" or "two_layer", else the one whose names the file uses; where it uses as many of both (`softmax`
    is on either), the one by which more is right. The numbers of the probes are new for each `seed`; without one they
    follow from the file's content, so that the same file gets the same report and no answer can be known beforehand.
    `timeout` is in seconds, for the whole file.
    """
    reports = []
    for name in pages_of(_cells(Path(path))) if page is None else [page]:
        with checking(path, timeout=timeout, page=name, seed=seed, limits=limits) as check:
            reports.append(check.report())
    return max(reports, key=lambda report: report.counts()["right"])


@contextlib.contextmanager
def checking(
    path: str | os.PathLike[str],
    *,
    timeout: float = 60.0,
    page: str | None = None,
    seed: int | None = None,
    limits: Limits | None = None,
    rounds: int = 1,
    names: Mapping[str, str] | None = None,
) -> Iterator["Check"]:
    """The check of one file while its functions can still be called; what `check_file` and the marker are made of.

    The probes are drawn `rounds` times. `names` are the file's own names for functions of the page, {page's: file's};
    without them, those that `byhand course import` has written into the notebook.
    """
    path = Path(path)
    cells = _cells(path, names)
    if page is not None and page not in PAGES:
        raise UsageError(f"page must be one of {', '.join(PAGES)}, got {page!r}")
    digest = hashlib.sha256("\0".join(cells).encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]) if seed is None else seed)
    limits = replace(limits or Limits(), total=timeout)
    with Student(cells, WANTED, limits, pixels.data_files(cells)) as student:
        yield Check(str(path), student, PAGES[page or page_of(cells)], rng, rounds, len(cells) > 1)


def _cells(path: Path, names: Mapping[str, str] | None = None) -> list[str]:
    """The file's cells, its own names for functions replaced by the page's."""
    return renamed(read_cells(path), names_in(path) if names is None else names)


class Check:
    """One check of one file: `report` first, then any function of it by `call`."""

    def __init__(
        self, file: str, student: Student, page: Page, rng: np.random.Generator, rounds: int, in_cells: bool
    ) -> None:
        self.file, self.student, self.page = file, student, page
        self.rng, self.rounds, self.in_cells = rng, rounds, in_cells
        self.verdicts: dict[str, Verdict] = {}
        self.changed: set[str] = set()  # arguments that the function at hand wrote into
        self.ended = False  # whether it took the process with it

    def report(self) -> Report:
        """Every function of the page, one after another."""
        loading = self.student.load()
        if loading.died:
            verdicts = [Verdict(f.name, "not run", f"reading the file {loading.died}") for f in self.page.functions]
            return Report(self.file, self.page.name, tuple(verdicts), (f"reading the file {loading.died}",))
        for function in self.page.functions:
            verdict = self._verdict(function)
            if verdict.status != "missing" or verdict.place or function.name not in self.page.given:
                self.verdicts[function.name] = verdict  # a blank is shown, its place says that it is there
        scaled = pixels.verdicts(self.student.peek(pixels.NAMES)) if self.student.files else []
        together = (*self.verdicts.values(), *scaled)
        found = finds_any({function.name for function in self.page.functions}, self.student.loaded)
        return Report(self.file, self.page.name, together, tuple(self._notes()), found)

    def _notes(self) -> list[str]:
        loaded, names = self.student.loaded, {function.name for function in self.page.functions}
        notes = [
            f"{self._at(one['cell'], one['line'])} is not Python: {one['message']}"
            for one in loaded["broken"]
            if not one["stub"] and not set(one["names"]) & names
        ]
        for one in loaded["failed"]:
            if one["line"] and not set(one["defines"]) & names:
                what = (
                    "took too long and was left out"
                    if one["type"] == "TooSlowError"
                    else f"{one['type']}: {one['message']}"
                )
                notes.append(f"{self._at(one['cell'], one['line'])}: {what}")
        for name, cells in loaded["copies"].items():
            written = " and ".join(f"code cell {cell + 1}" for cell in cells)
            notes.append(f"{name} is written {len(cells)} times, in {written}: the last one counts")
        return notes

    def _at(self, cell: int, line: int) -> str:
        return f"code cell {cell + 1}, line {line}" if self.in_cells else f"line {line}"

    # ---- one function

    def _verdict(self, function: Function) -> Verdict:
        uncallable = absent(function.name, self.student.loaded, self._at)
        if uncallable:
            return uncallable
        if self.student.spent:
            return Verdict(
                function.name, "not run", f"the {self.student.limits.total:g} seconds for the file are used up"
            )
        probes = [probe for _ in range(self.rounds) for probe in function.probes(self.rng)]
        earlier = itertools.takewhile(lambda one: one.name != function.name, self.page.functions)
        answers = {one.name: self.right_answer(one.name) for one in earlier}
        known = [self.verdicts.get(name, Verdict(name, "right")) for name in self.page.leans_on(function)]
        tries = ({}, answers) if all(one.status == "right" for one in known) else (answers, {})
        verdict = self._judged(function, probes, tries[0])
        if verdict.status == "wrong" and answers and not self.ended:
            otherwise = self._judged(function, probes, tries[1])
            if otherwise.status == "right":
                verdict = otherwise
        if verdict.status == "right" and function.remark:
            verdict = self._with_remark(verdict, function, *function.remark)
        described = self.student.loaded["functions"][function.name]
        if verdict.status == "wrong" and not verdict.place and described["line"]:
            verdict = replace(verdict, place=self._at(described["cell"], described["line"]))
        return verdict

    def _judged(self, function: Function, probes: list[Probe], answers: Mapping[str, Answer]) -> Verdict:
        """All probes of one function, put to the student's; the first that kills the process is the last."""
        found: list[tuple[Probe, Outputs]] = []
        raised: list[Outcome] = []
        misshapen: list[MisshapenError] = []
        self.changed, self.ended = set(), False
        for probe in probes:
            outcome = self.call(function.name, probe, answers)
            if outcome.died:
                self.ended = True
                return Verdict(function.name, "not run" if outcome.cut else "wrong", outcome.died)
            if outcome.error:
                raised.append(outcome)
                continue
            try:
                outputs = function.outputs(outcome.value, outcome.printed)
            except MisshapenError as error:
                misshapen.append(error)
                continue
            except (TypeError, ValueError) as error:  # nothing that a function returns may end the check
                misshapen.append(MisshapenError(f"what is returned can't be used: {error}"))
                continue
            found.append((probe, outputs))
        return self._summed_up(function, found, raised, misshapen)

    def _summed_up(
        self,
        function: Function,
        found: list[tuple[Probe, Outputs]],
        raised: list[Outcome],
        misshapen: list[MisshapenError],
    ) -> Verdict:
        name = function.name
        if raised and raised[0].error == "NotImplementedError":
            return Verdict(name, "missing", "not written yet", place=self._place(raised[0].place))
        wrong = [(probe, outputs) for probe, outputs in found if differing(probe, outputs)]
        if wrong:
            reason, mistakes, evidence = diagnose(wrong, function.otherwise)
            return Verdict(name, "wrong", reason, mistakes, evidence)
        if misshapen:
            mistakes = (misshapen[0].mistake,) if misshapen[0].mistake else ()
            return Verdict(name, "wrong", str(misshapen[0]), mistakes)
        if raised:
            return self._of_error(name, raised[0])
        remarks: list[str] = []
        if written_into := self.changed - IN_PLACE:
            names = ", ".join(sorted(written_into))
            remarks.append(f"writes into its argument {names}: whoever still holds it is surprised")
        if left := set(function.in_place) - self.changed:
            names = " and ".join(sorted(left))
            remarks.append(f"leaves {names} as they were: training that ignores what is returned learns nothing")
        return Verdict(name, "right", remarks=tuple(remarks))

    def _of_error(self, name: str, outcome: Outcome) -> Verdict:
        """An exception, in words; one that comes from a missing package is not the student's mistake."""
        place = self._place(outcome.place)
        where = f" in `{outcome.place.text}`" if outcome.place and outcome.place.text else ""
        package = needed_package(outcome.error, outcome.message, self.student.loaded)
        if package:
            return Verdict(name, "not run", package, place=place)
        unknown = UNKNOWN.match(outcome.message)
        if outcome.error in ("NameError", "UnboundLocalError") and unknown:
            mistake = "name from outside" if outcome.error == "NameError" else ""
            words = f"{unknown[1]}: {MISTAKES[mistake]}" if mistake else f"{unknown[1]} is used before it has a value"
            return Verdict(name, "wrong", words + where, (mistake,) if mistake else (), place=place)
        return Verdict(name, "wrong", f"{outcome.error}: {outcome.message}{where}", place=place)

    def _with_remark(self, verdict: Verdict, function: Function, probe: Probe, words: str) -> Verdict:
        outcome = self.call(function.name, probe, {})
        if (
            not outcome.died
            and not outcome.error
            and differing(probe, function.outputs(outcome.value, outcome.printed))
        ):
            return replace(verdict, remarks=(*verdict.remarks, words))
        return verdict

    def _place(self, place: Place | None) -> str:
        return self._at(place.cell, place.line) if place else ""

    # ---- calling, by the student's own names for the arguments

    def call(self, name: str, probe: Probe, answers: Mapping[str, Answer]) -> Outcome:
        """By name where the student kept the names, in whatever order; else in the order of the assignment.

        A function that names fewer is given those, unless it takes `*more` of them without a name.
        """
        arguments, described = probe.arguments, self.student.loaded["functions"][name]
        mine = {parameter.lower(): parameter for parameter in described["parameters"] or ()}
        required = {parameter.lower() for parameter in (described["parameters"] or ())[: described["required"]]}
        given = [key for key in arguments if key.lower() in mine]
        by_name = len(given) == len(arguments) or (len(given) == len(mine) and not described["more"])
        if by_name and required <= {key.lower() for key in arguments}:
            keywords = {mine[key.lower()]: arguments[key] for key in given}
            outcome = self.student.call(name, (), keywords, answers=answers, seed=probe.seed)
        else:
            given = list(arguments)
            outcome = self.student.call(name, list(arguments.values()), answers=answers, seed=probe.seed)
        if isinstance(outcome.value, Unsendable):
            return Outcome(error="TypeError", message=f"returns something that is no number: {outcome.value.what}")
        self.changed |= {given[k] for k in outcome.changed if k < len(given)}
        return outcome

    def right_answer(self, name: str) -> Answer:
        """The reference's function, called as the student calls theirs, without what it has no use for."""
        function = getattr(self.page.module, name)
        names = {parameter.lower(): parameter for parameter in inspect.signature(function).parameters}

        def answer(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
            if name == "init_params":
                return function(rng=np.random.RandomState(2))
            arguments = arguments[: len(names)]
            keywords = _without_extras(keywords, names, len(names) - len(arguments))
            if all(key.lower() in names for key in keywords):
                given = {names[key.lower()]: value for key, value in keywords.items()}
                bound = inspect.signature(function).bind_partial(*arguments, **given)
                filled = {p: None for p in inspect.signature(function).parameters if p in ("W1",)} | bound.arguments
                return function(**filled)
            return function(*arguments, *keywords.values())

        return answer


def _without_extras(keywords: Mapping[str, Any], known: Collection[str], most: int) -> dict[str, Any]:
    """As many arguments as the right function takes: what it doesn't know (`verbose`) is left out, the last first."""
    extras = [key for key in reversed(list(keywords)) if key.lower() not in known][: max(0, len(keywords) - most)]
    return {key: value for key, value in keywords.items() if key not in extras}
