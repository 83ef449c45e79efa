"""Grade submissions: marks.csv, and a record and a feedback page per submission.

A function gets its points if everything that it returns is right. The random numbers follow from the teacher's seed and
the submission's bytes, so that the same submission gets the same mark but the numbers cannot be known in advance.
"""

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from byhand.course.check import Check
from byhand.course.check.diagnosis import Report, Status
from byhand.course.grading.checks import Checks, CustomCheck, custom_check, read_checks, run_custom_check
from byhand.course.notebooks import lesson_of
from byhand.course.sandbox.runner import Limits
from byhand.errors import ByhandError
from byhand.schema import checked

__all__ = ["Checks", "Item", "Mark", "Submission", "custom_check", "mark_file", "not_marked", "read_checks"]

MAX_LINE = 600  # characters of one message, which may contain text of the submission
MAX_NOTES = 20
LIMITS = Limits(wall_clock=4.0)  # so that a mark does not depend on the load of the machine
BOUNDARY = "a boundary of the kernel (Landlock and seccomp)"


@dataclass(frozen=True)
class Submission:
    """One submission: the name of its file or folder, the file to grade, and the problem if it cannot be graded."""

    name: str
    path: Path
    problem: str = ""

    def digest(self) -> str:
        """Return the SHA-256 of the file, or of the problem if there is none."""
        problem = self.problem
        try:
            if not problem:
                with self.path.open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            problem = str(error)
        return hashlib.sha256(problem.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Item:
    """Points for a function, or for a custom check (`extra`), described by `about`."""

    name: str
    points: float
    of: float
    status: Status
    words: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    place: str = ""
    about: str = ""
    extra: bool = False


@dataclass(frozen=True)
class Mark:
    """The mark of one submission."""

    student: str
    file: str
    digest: str  # of the submission
    checks: str  # the digest of the checks
    state: Literal["marked", "not marked"]
    items: tuple[Item, ...]
    why: str = ""  # the reason if it is not marked
    notes: tuple[str, ...] = ()
    look: tuple[str, ...] = ()  # for the teacher: items that were not run, or stopped by a limit
    sandbox: str = ""  # how the process was closed; empty if nothing was run

    @property
    def is_marked(self) -> bool:
        return self.state == "marked"

    @property
    def points(self) -> float:
        return sum(item.points for item in self.items)

    @property
    def of(self) -> float:
        return sum(item.of for item in self.items)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Self:
        """Return the mark of a record; raise UsageError if it is invalid."""
        mark: Self = checked(cls, entries)
        return mark


def described(no_boundary: str | None) -> str:
    """Return the kind of sandbox, given the reason why the kernel gives no boundary."""
    return f"no security boundary: {no_boundary}" if no_boundary else BOUNDARY if no_boundary == "" else ""


def mark_file(submission: Submission, checks: Checks, *, boundary: bool = False) -> Mark:
    """Grade one submission, whose code runs in the sandbox, and only within a boundary of the kernel if `boundary`."""
    digest = submission.digest()
    seed = hashlib.sha256(f"{checks.seed}:{digest}".encode()).digest()
    if submission.problem:
        return not_marked(submission, checks, submission.problem, digest)
    try:
        limits = replace(LIMITS, total=checks.timeout, boundary=boundary)
        start = int.from_bytes(seed[:8])
        rounds, names, graded = checks.rounds, checks.names, checks.graded
        with Check(
            submission.path, checks.page, limits, seed=start, rounds=rounds, names=names, always=graded
        ) as check:
            report = check.report()
            items = [_function_item(name, report, checks) for name in checks.points]
            items += [_custom_item(one, check, report, seed) for one in checks.custom_checks]
    except (ByhandError, OSError) as error:
        return not_marked(submission, checks, str(error).removeprefix(f"{submission.path}: "), digest)
    blameless = [one for one in items if one.status == "not run" or "did not end" in "".join(one.words[:1])]
    look = [f"{item.name}: {item.words[0]}" for item in blameless if item.words]
    notes = tuple(_short(note) for note in report.notes[:MAX_NOTES])
    name, file, seen = shown(submission.name), shown(submission.path.name), tuple(dict.fromkeys(look))
    sandbox = described(check.student.no_boundary)
    return Mark(name, file, digest, checks.digest, "marked", tuple(items), "", notes, seen, sandbox)


def not_marked(submission: Submission, checks: Checks, why: str, digest: str = "") -> Mark:
    """Return the mark of a submission that could not be graded."""
    items = [Item(name, 0, points, "not run") for name, points in checks.points.items()]
    items += [Item(one.name, 0, one.points, "not run", about=one.about, extra=True) for one in checks.custom_checks]
    name, file = shown(submission.name), shown(submission.path.name)
    return Mark(name, file, digest, checks.digest, "not marked", tuple(items), _short(why), look=(_short(why),))


def shown(text: str) -> str:
    """Return a file's name with unprintable characters escaped, such as \\x1b."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in readable)


def _function_item(name: str, report: Report, checks: Checks) -> Item:
    verdict = report[name]
    of, is_right = checks.points[name], verdict.status == "right"
    place = "" if is_right else _short(verdict.place)
    words = tuple(map(_short, verdict.words))
    about = next((task.formula for task in lesson_of(checks.page).tasks if task.name == name), "")
    return Item(name, of if is_right else 0, of, verdict.status, words, verdict.mistakes, place, about)


def _custom_item(one: CustomCheck, check: Check, report: Report, seed: bytes) -> Item:
    status = report[one.function].status
    if status in ("missing", "not run"):
        words = f"{one.function}: {'not written yet' if status == 'missing' else 'not run'}"
    else:
        wrong = {verdict.function for verdict in report.verdicts if verdict.status != "right"}
        words = _short(run_custom_check(one, check, seed, wrong))
        status = "wrong" if words else "right"
    points = one.points if status == "right" else 0
    return Item(one.name, points, one.points, status, tuple(filter(None, [words])), about=one.about, extra=True)


def _short(text: str) -> str:
    """Return one line of printable text of limited length."""
    line = shown(" ".join(text[: 2 * MAX_LINE].split()))
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} …"


def work(name: str, path: str, page: str, checks_file: str, boundary: str = "") -> None:
    """Grade one submission in a process that `run` has started, and write the mark to standard output as JSON.

    The output of custom checks goes to standard error. When standard input closes, because the main process has ended,
    this process ends too, with the student's process.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_the_main_process, daemon=True).start()
    submission = Submission(name, Path(path))
    checks = read_checks(Path(checks_file) if checks_file else None, page)
    try:
        mark = mark_file(submission, checks, boundary=bool(boundary))
    except Exception as error:  # an attack on the sandbox may lead to any error here
        mark = not_marked(submission, checks, f"grading failed: {type(error).__name__}: {error}")
    answers.write(json.dumps(asdict(mark)).encode())
    answers.close()


def _end_with_the_main_process() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
