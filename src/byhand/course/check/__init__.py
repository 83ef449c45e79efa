"""Check a student's file, function by function, against a reference implementation.

Each function is tested with the student's own earlier functions and, if that fails, with the reference versions of
them. If an earlier function is wrong, the reference versions come first. Passing either way counts as passing, so that
one mistake counts once. The student's code runs in the sandbox; the expected values stay in this process.
"""

import contextlib
import gzip
import hashlib
import inspect
import itertools
import os
import pickle
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from byhand.course.check.diagnosis import MISTAKES, Evidence, Report, Verdict, diagnose, differing
from byhand.course.notebooks import read_cells, read_file
from byhand.course.probes import Function, MisshapenError, Outputs, Page, Probe
from byhand.course.probes.adapters import load_adapter, named_adapter
from byhand.course.probes.l_layer import L_LAYER
from byhand.course.probes.two_layer import TWO_LAYER
from byhand.course.sandbox import Unsendable
from byhand.course.sandbox.runner import Answer, Limits, Outcome, Student
from byhand.errors import ByhandError, UsageError
from byhand.text import closest, listed

PAGES: dict[str, Page] = {page.name: page for page in (L_LAYER, TWO_LAYER)}
TARGETS = sorted({function.name for page in PAGES.values() for function in page.functions})
PLAY = ("byhand_start", "byhand_step", "byhand_read")  # see `Page.play`
MUTABLE = {"parameters", "velocities", "W1", "b1", "W2", "b2"}  # arguments that an update may change in place
UNKNOWN = re.compile(r"(?:name|cannot access local variable) '(\w+)'")  # in Python's messages
ERRORS = (  # the mistake that an exception shows, and a pattern of its type and message
    (
        "shapes do not fit",
        "^ValueError: .*(shape|broadcast|aligned|mismatch|dimension|reshape|subscript|sequence|ambiguous)",
    ),
    ("key missing", "^KeyError"),
    ("index out of range", "^IndexError"),
    ("wrong kind of value", "^(TypeError|AttributeError|AxisError|.*AxisError)"),
    ("calls itself", "^RecursionError"),
    ("value refused", "^(ValueError|ZeroDivisionError|OverflowError|FloatingPointError)"),
    ("own assertion", "^AssertionError"),
)
PIXELS = ("X_train", "X_dev", "X_test", "train_set_x", "test_set_x")  # the assignment's names for arrays of pixels
ROWS = 1200  # of a generated data file: 1,000 for the dev set, the rest for training


def pages_of(cells: Sequence[str]) -> list[str]:
    """Return the reference with more names in the file: both in a tie, the L-layer one without any name."""
    text = "\n".join(cells)
    starts = re.findall(r"^[ \t]*+(?:def (\w+)|(\w+)[ \t]*=)", text, re.MULTILINE)
    named = {name for pair in starts for name in pair}
    found = {name: sum(function.name in named for function in page.functions) for name, page in PAGES.items()}
    most = max(found.values())
    return [name for name in found if found[name] == most][: None if most else 1]


def check_file(
    path: str | os.PathLike[str],
    *,
    timeout: float = 60.0,
    page: str | Page | None = None,
    adapter: str | None = None,
    seed: int | None = None,
    limits: Limits | None = None,
) -> Report:
    """Check a student's .py or .ipynb file, function by function, in at most `timeout` seconds.

    `page` is the reference, "l_layer" or "two_layer"; by default the one with more names in the file or, in a tie, with
    more right functions. `adapter` is the name of an adapter for other assignments, or a TOML file; a file may name a
    shipped one itself. `seed` is derived from the file's content by default, so that the same file gets the same
    report, but the random numbers cannot be known in advance.
    """
    limits = replace(limits or Limits(), total=timeout)
    check, report = open_check(Path(path), limits, page=page, adapter=adapter, seed=seed)
    with check:
        return report


def open_check(
    path: Path, limits: Limits, *, page: str | Page | None = None, adapter: str | None = None, **options: Any
) -> "tuple[Check, Report]":
    """Return the check by the reference with the most right functions, whose process still runs, and its report."""
    cells = read_cells(path)
    if page is None:
        adapter = adapter or named_adapter(cells)
    pages: list[Page | str] = [page] if page else [load_adapter(adapter)] if adapter else [*pages_of(cells)]
    found: list[tuple[Check, Report]] = []
    with contextlib.ExitStack() as stack:
        for one in pages:
            check = stack.enter_context(Check(path, one, limits, with_modules=True, **options))
            found.append((check, check.report()))
        best = max(found, key=lambda pair: pair[1].counts()["right"])
        for check, _ in found:
            if check is not best[0]:
                check.close()
        stack.pop_all()
    return best


@dataclass(frozen=True)
class Failed:
    """The calls of a wrong function: those that returned, those that did not, and the arguments changed in place."""

    found: list[tuple[Probe, Outputs]]
    refused: list[tuple[Probe, Outcome | MisshapenError]]
    changed: set[str]


class Check(contextlib.AbstractContextManager["Check"]):
    """The check of one file, as a context. Call `report` first, then `call` for single functions.

    The probes are drawn `rounds` times. For `names`, see `read_cells`. `with_modules` also reads the modules beside the
    file that it imports; in a folder of submissions, those are other students' files. Functions that the notebook gives
    are used but not checked, except for those in `always`. `with_play` also loads the page's functions that train.
    """

    def __init__(
        self,
        path: Path,
        page: str | Page,
        limits: Limits,
        *,
        seed: int | None = None,
        rounds: int = 1,
        names: Mapping[str, str] | None = None,
        with_modules: bool = False,
        always: Collection[str] = (),
        with_play: bool = False,
    ) -> None:
        cells, given = read_file(path, names)
        self.given = given.difference(always)
        if isinstance(page, str) and page not in PAGES:
            raise UsageError(f"page must be one of {', '.join(PAGES)}, got {page!r}")
        self.page = page if isinstance(page, Page) else PAGES[page]
        self.modules = {**self.page.modules, **(modules_beside(path, cells) if with_modules else {})}
        digest = hashlib.sha256("\0".join(cells).encode("utf-8", "surrogatepass")).digest()
        self.rng = np.random.default_rng(int.from_bytes(digest[:8]) if seed is None else seed)
        self.file, self.rounds, self.in_cells = str(path), rounds, len(cells) > 1
        written = re.findall(r"^# %%writefile (\w+)\.py$", "\n".join(cells), re.MULTILINE)
        sources = [*self.modules.values(), *cells]
        self.size = len(sources)
        if self.page.glue and re.search(rf"^class {self.page.glue_class}\b", "\n".join(cells), re.MULTILINE):
            sources.append(self.page.glue)
        self.targets = [one.name for one in self.page.functions] if isinstance(page, Page) else TARGETS
        if with_play:
            sources.append(self.page.play)
            self.targets = [*self.targets, *PLAY]
        self.student = Student(sources, self.targets, limits, data_files(sources), [*self.modules, *written])
        self.verdicts: dict[str, Verdict] = {}
        self.changed: set[str] = set()  # arguments that the current function changed in place

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the student's process."""
        self.student.__exit__()

    def report(self) -> Report:
        loading = self.student.load()
        if loading.died:
            reason = f"reading the file {loading.died}"
            verdicts = [Verdict(function.name, "not run", reason) for function in self.page.functions]
            return Report(self.file, self.page.name, tuple(verdicts), (reason,))
        self.given = {name for name in self.given if name in self.targets and not self._uncallable(name)}
        for function in self.page.functions:
            if function.name in self.given:
                continue
            verdict = self._verdict(function)
            if verdict.status != "missing" or verdict.place or function.name not in self.page.given:
                self.verdicts[function.name] = verdict
        verdicts = list(self.verdicts.values())
        found = bool(self.given) or any(verdict.status != "missing" or verdict.place for verdict in verdicts)
        if self.student.files:
            verdicts += pixel_verdicts(self.student.largest(PIXELS))
        return Report(self.file, self.page.name, tuple(verdicts), tuple(self._notes()), found)

    def _notes(self) -> Iterator[str]:
        loaded, names = self.student.loaded, {function.name for function in self.page.functions}
        if given := [function.name for function in self.page.functions if function.name in self.given]:
            yield f"outside the #Graded cells, so used but not checked: {listed(given)}"
        for one in loaded["broken"]:
            if not one["stub"] and names.isdisjoint(one["names"]):
                yield f"{self._at(one)} is not valid Python: {one['message']}"
        for one in loaded["failed"]:
            if one["line"] and names.isdisjoint(one["defines"]):
                slow = one["type"] == "TooSlowError"
                reason = "took too long and was skipped" if slow else f"{one['type']}: {one['message']}"
                yield f"{self._at(one)}: {reason}"
        for name, cells in loaded["copies"].items():
            places = " and ".join(self._cell(cell) for cell in cells)
            yield f"{name} is written {len(cells)} times, in {places}: the last one counts"

    def _at(self, error: Mapping[str, Any]) -> str:
        """Describe the place of an error; empty if it is not in the file."""
        cell, line = error["cell"], error["line"]
        if cell is None or line is None or cell >= self.size:
            return ""
        where = self._cell(cell) if self.in_cells or cell < len(self.modules) else ""
        return f"{where}, line {line}" if where else f"line {line}"

    def _cell(self, cell: int) -> str:
        """Describe a cell, or the module that was read before the file's own cells."""
        modules = [f"{name}.py" for name in self.modules]
        return modules[cell] if cell < len(modules) else f"code cell {cell - len(modules) + 1}"

    def _verdict(self, function: Function) -> Verdict:
        name = function.name
        if uncallable := self._uncallable(name):
            return uncallable
        if self.student.spent:
            return Verdict(
                name, "not run", f"the time limit of {self.student.limits.total:g} seconds for the file is used up"
            )
        probes = [probe for _ in range(self.rounds) for probe in function.probes(self.rng)]
        earlier = itertools.takewhile(lambda one: one.name != name, self.page.functions)
        references = {one.name: self.right_answer(one.name) for one in earlier}
        seeded = {name: answer for name, answer in references.items() if name in function.seeded}
        used = [self.verdicts[one] for one in self.page.depends_on(function) if one in self.verdicts]
        own_first = all(one.status == "right" for one in used)
        first = self._test(function, probes, seeded if own_first else references)
        if isinstance(first, Failed) and function.lenient and self._keeps_shapes("update_params", "gradient_descent"):
            function = replace(function, outputs=function.lenient)
            first = self._test(function, probes, seeded if own_first else references)
        if isinstance(first, Failed) and references:
            second = self._test(function, probes, references if own_first else seeded)
            first = second if isinstance(second, Verdict) and second.status == "right" else first
        verdict = self._wrong(function, first) if isinstance(first, Failed) else first
        if verdict.status == "wrong" and not verdict.place:
            verdict = replace(verdict, place=self._at(self.student.loaded["functions"][name]))
        return verdict

    def _keeps_shapes(self, *names: str) -> bool:
        """Return True if one of the student's functions returns the right shapes although a db has one axis, or if
        none returns them only where it has two: then nothing shows that the missing axis does harm.
        """
        harms = False
        for function in (self.page[name] for name in names if not self._uncallable(name)):
            probe = next(iter(function.probes(np.random.default_rng(0))))
            flat = {name: one.ravel() for name, one in probe.arguments.items() if name in ("db1", "db2")}
            seeded = {name: self.right_answer(name) for name in function.seeded}
            if self._has_shapes(function, replace(probe, arguments={**probe.arguments, **flat}), seeded):
                return True
            harms |= self._has_shapes(function, probe, {**seeded, "backward_prop": self.right_answer("backward_prop")})
        return not harms

    def _has_shapes(self, function: Function, probe: Probe, answers: Mapping[str, Answer]) -> bool:
        """Return True if the outputs of one call have the right shapes."""
        outcome = self.call(function.name, probe, answers)
        with contextlib.suppress(MisshapenError, TypeError, ValueError):
            outputs = {} if outcome.died or outcome.error else function.outputs(outcome.value, outcome.printed)
            return all(getattr(outputs.get(name), "shape", None) == right.shape for name, right in probe.right.items())
        return False

    def _test(self, function: Function, probes: list[Probe], answers: Mapping[str, Answer]) -> "Verdict | Failed":
        """Call the student's function with all probes, until one ends the process."""
        name = function.name
        found: list[tuple[Probe, Outputs]] = []
        refused: list[tuple[Probe, Outcome | MisshapenError]] = []
        self.changed = set()
        for probe in probes:
            outcome = self.call(name, probe, answers)
            if outcome.died:
                endless = ("no end",) if "did not end" in outcome.died and not outcome.cut else ()
                return Verdict(name, "not run" if outcome.cut else "wrong", outcome.died, endless)
            if outcome.error:
                refused.append((probe, outcome))
                continue
            try:
                found.append((probe, function.outputs(outcome.value, outcome.printed)))
            except MisshapenError as error:
                refused.append((probe, error))
            except (TypeError, ValueError) as error:  # a student's objects may raise anything
                refused.append((probe, MisshapenError(f"the returned value can't be used: {error}")))
        failed = [probe for probe, outputs in found if differing(probe, outputs)] + [probe for probe, _ in refused]
        if all(probe.remark for probe in failed):
            return Verdict(name, "right", remarks=(*self._changes(function), *dict.fromkeys(p.remark for p in failed)))
        return Failed(found, refused, self.changed - MUTABLE)

    def _wrong(self, function: Function, failed: "Failed") -> Verdict:
        """Return the verdict on a function with wrong outputs, or calls that raised or returned something else."""
        name, found, refused = function.name, failed.found, failed.refused
        raised = [one for probe, one in refused if not probe.remark and isinstance(one, Outcome)]
        misshapen = [one for probe, one in refused if not probe.remark and isinstance(one, MisshapenError)]
        if raised and raised[0].error == "NotImplementedError":
            return Verdict(name, "missing", "not written yet", place=self._at(vars(raised[0])))
        found = [(probe, outputs) for probe, outputs in found if not probe.remark]
        if any(differing(probe, outputs) for probe, outputs in found):
            own = [isinstance(one, Outcome) and one.error == "AssertionError" for _, one in refused]
            raising = [probe for (probe, _), is_own in zip(refused, own, strict=True) if not (probe.remark or is_own)]
            verdict = diagnose(found, function, self.page, failed.changed, raising)
            if raised and not verdict.mistakes:
                return self._error_verdict(name, raised[0])
            return verdict if verdict.mistakes else replace(verdict, reason=verdict.reason + self._own_helpers(name))
        if misshapen:
            return Verdict(name, "wrong", str(misshapen[0]), (misshapen[0].mistake or "wrong kind",))
        return self._error_verdict(name, raised[0])

    def _own_helpers(self, name: str) -> str:
        """Return a hint at the student's own functions that a function calls: the mistake may be in one of them."""
        loaded = self.student.loaded
        if not self._at(loaded["functions"][name]):
            return ""  # an adapter's function, which calls a method
        own = [
            one for one in loaded["functions"][name]["names"] if one in loaded["defined"] and one not in self.targets
        ]
        return f"; it calls {listed(own)}, which the assignment does not have: look there too" if own else ""

    def _changes(self, function: Function) -> Iterator[str]:
        """Yield a remark if a right function changes its arguments in place, or does not where it should."""
        if changed := sorted(self.changed - MUTABLE):
            yield f"changes {listed(changed)} in place: the caller may still need the old values"
        if unchanged := sorted(set(function.in_place) - self.changed):
            yield f"does not change {listed(unchanged)} in place: training must use the returned values"

    def _error_verdict(self, name: str, outcome: Outcome) -> Verdict:
        """Return the verdict on an exception. A missing package is not the student's mistake."""
        place = self._at(vars(outcome))
        where = f" in `{outcome.text}`" if outcome.text else ""
        if package := self._needed_package(outcome.error, outcome.message):
            return Verdict(name, "not run", package, place=place)
        unknown = UNKNOWN.match(outcome.message)
        if unknown and outcome.error in ("NameError", "UnboundLocalError"):
            reason = f"{unknown[1]}{where}: {self._without_value(name, unknown[1])}"
            return Verdict(name, "wrong", reason, ("no value",), place=place)
        known = next((one for one, words in ERRORS if re.search(words, f"{outcome.error}: {outcome.message}")), "")
        mistakes = (known,) if known else ()
        return Verdict(name, "wrong", f"{outcome.error}: {outcome.message}{where}", mistakes, place=place)

    def _without_value(self, function: str, name: str) -> str:
        """Return the reason why a name has no value, with the name that may be meant."""
        loaded = self.student.loaded
        failed = next((one for one in loaded["failed"] if name in one["names"] and one["line"]), None)
        if failed:
            slow = failed["type"] == "TooSlowError"
            reason = "took too long" if slow else f"failed: {failed['type']}: {failed['message']}"
            return f"{self._at(failed)}, which defines it, {reason}"
        names = [*loaded["functions"][function]["names"], *loaded["defined"]]
        names = [one for one in names if one not in (name, function)]
        same = [one for one in names if one.lower() == name.lower()]
        near = same[0] if same else closest(name, names, cutoff=0.8) if len(name) > 2 else None
        if near is None and callable(getattr(np, name, None)):
            return f"{MISTAKES['no value']}; did you mean NumPy's, np.{name}?"
        return MISTAKES["no value"] + (f"; did you mean {near}?" if near else "")

    def _uncallable(self, name: str) -> Verdict | None:
        """Return the verdict on a function that is missing, a stub, or invalid; None if it can be called."""
        loaded = self.student.loaded
        written = loaded["functions"].get(name)
        if written and not written["stub"]:
            return None  # whether or not a broken or blank copy exists
        broken = next((one for one in loaded["broken"] if name in one["names"]), None)
        failed = next((one for one in loaded["failed"] if name in one["defines"]), None)
        one: Mapping[str, Any] | None = broken or written or failed
        if one is None:
            return Verdict(name, "missing", self._not_found(name))
        place = self._at(one)
        if one.get("stub", name in loaded["stubs"]):
            return Verdict(name, "missing", "not written yet", place=place)
        if broken:
            return Verdict(name, "wrong", f"invalid Python: {one['message']}", place=place)
        if package := self._needed_package(one["type"], one["message"]):
            return Verdict(name, "not run", package, place=place)
        slow = one["type"] == "TooSlowError"
        reason = "took too long" if slow else f"failed: {one['type']}: {one['message']}"
        return Verdict(name, "wrong", f"its definition {reason}", place=place)

    def _not_found(self, name: str) -> str:
        """Return the reason why a function is missing, with the place or the name where it may be."""
        loaded = self.student.loaded
        if name in loaded["inside"]:
            return f"not found at the top level, only inside {loaded['inside'][name]}: move it out"
        defined = {other.lower(): other for other in loaded["defined"] if other not in self.targets}
        near = closest(name.lower(), defined, cutoff=0.75)
        return f"not found; is {defined[near]} meant?" if near else "not found"

    def why_failed(self, name: str, outcome: Outcome) -> str:
        """Describe a call that raised an error or ended its process, with its place in the file."""
        if outcome.died:
            return outcome.died
        verdict = self._error_verdict(name, outcome)
        return ": ".join(filter(None, (verdict.place, verdict.reason)))

    def _needed_package(self, error: str, message: str) -> str:
        """Describe the missing package, if a name is unknown because its import failed."""
        unknown = UNKNOWN.match(message) if error in ("NameError", "UnboundLocalError") else None
        failed = [one for one in self.student.loaded["failed"] if unknown and unknown[1] in one["names"]]
        needed = failed and failed[0]["type"] == "ModuleNotFoundError"
        return f"needs a package: {failed[0]['message']}" if needed else ""

    def call(self, name: str, probe: Probe, answers: Mapping[str, Answer]) -> Outcome:
        """Call the student's function: by keyword if the parameters have the assignment's names, otherwise by position.

        A function with fewer parameters is passed only those, unless it has a parameter like `*args`.
        """
        arguments, described = probe.arguments, self.student.loaded["functions"][name]
        mine = {parameter.lower(): parameter for parameter in described["parameters"] or ()}
        required = {parameter.lower() for parameter in (described["parameters"] or ())[: described["required"]]}
        given = [key for key in arguments if key.lower() in mine]
        by_name = len(given) == len(arguments) or (len(given) == len(mine) and not described["more"])
        if by_name and required <= {key.lower() for key in arguments}:
            keywords = {mine[key.lower()]: arguments[key] for key in given}
            outcome = self.student.call(name, (), keywords, answers=answers)
        else:
            given = list(arguments)
            outcome = self.student.call(name, list(arguments.values()), answers=answers)
        if isinstance(outcome.value, Unsendable):
            return Outcome(error="TypeError", message=f"must return numbers, got {outcome.value.what}")
        self.changed |= {given[k] for k in outcome.changed if k < len(given)}
        return outcome

    def right_answer(self, name: str) -> Answer:
        """Return the reference's function, callable with the names and surplus arguments of the student's own."""
        return answer(self.page, name)


def answer(page: Page, name: str) -> Answer:
    """Return a function of the reference, callable with the names and surplus arguments of the student's own."""
    function = getattr(page.module, name)
    signature = inspect.signature(function)
    names = {parameter.lower(): parameter for parameter in signature.parameters}

    def call(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        if name == "init_params":
            return function(rng=np.random.RandomState(2))
        arguments = arguments[: len(names)]
        # drop unknown arguments (`verbose`), the last ones first, until the function accepts as many
        surplus = max(0, len(arguments) + len(keywords) - len(names))
        unknown = [key for key in reversed(list(keywords)) if key.lower() not in names][:surplus]
        keywords = {key: value for key, value in keywords.items() if key not in unknown}
        if not all(key.lower() in names for key in keywords):
            return function(*arguments, *keywords.values())
        bound = signature.bind_partial(*arguments, **{names[key.lower()]: one for key, one in keywords.items()})
        unused = {"W1": None} if "W1" in signature.parameters else {}  # backward_prop doesn't use it
        return function(**unused | bound.arguments)

    return call


def modules_beside(path: Path, cells: Sequence[str]) -> dict[str, str]:
    """Return the text of each module in the file's folder that the file imports."""
    imported = re.findall(r"^\s*(?:from|import)\s+(\w+)", "\n".join(cells), re.MULTILINE)
    files = {name: path.with_name(f"{name}.py") for name in imported if name not in sys.stdlib_module_names}
    found = {}
    for name, file in files.items():
        with contextlib.suppress(ByhandError):
            if file.resolve() != path.resolve():
                (found[name],) = read_cells(file)
    return found


def data_files(cells: Sequence[str]) -> dict[str, bytes]:
    """Return small random data files for the top-level code of both programs, under the names in the file.

    They make mistakes in scaling pixels visible, and the use of the size of the whole data set (`m, n = data.shape`).
    CSV files have a header, unless the name begins with `mnist`.
    """
    text = "\n".join(cells)
    rng = np.random.default_rng(0)
    files = {}
    if "mnist.pkl" in text:
        pairs = tuple((rng.random((n, 784), np.float32), rng.integers(10, size=n)) for n in (60, 20, 20))
        files["mnist.pkl.gz"] = gzip.compress(pickle.dumps(pairs), 1)
    for name in set(re.findall(r"[\"'/]([\w-]+\.csv)\b", text)):
        labels, pixels = rng.integers(10, size=ROWS), rng.integers(256, size=(ROWS, 100))
        head = "" if name.startswith("mnist") else ",".join(["label", *(f"pixel{k}" for k in range(784))]) + "\n"
        before, after = ",0" * 299, ",0" * 385
        rows = (
            f"{label}{before},{','.join(map(str, row))}{after}\n"
            for label, row in zip(labels, pixels.tolist(), strict=True)
        )
        files[name] = (head + "".join(rows)).encode()
    return files


def pixel_verdicts(largest: Mapping[str, float]) -> list[Verdict]:
    """Return a verdict for each array of pixels that is not scaled to 0 to 1, given its maximum."""
    found = []
    for name, value in largest.items():
        mistake = "pixels not scaled" if value > 1 else "pixels scaled twice" if 0 < value < 1 / 64 else ""
        if mistake:
            evidence = Evidence(f"{name}.max()", value, 1.0)
            found.append(Verdict(name, "wrong", f"{name}: {MISTAKES[mistake]}", (mistake,), evidence))
    return found
