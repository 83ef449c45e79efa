"""Grading: a folder of submissions becomes marks.csv, a record and a page of feedback for each.

`checks` reads the teacher's file with its custom checks; this file marks one submission, in a process of its own; `run`
finds the submissions and marks all of them, several at once; `results` writes what comes of it.

A function gets its points if everything that it returns is right, for random numbers that follow from the teacher's
seed and the submission's own bytes: the same submission gets the same mark, and nobody knows the numbers beforehand.
What the student's process returns is compared here.
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

__all__ = ["Checks", "Item", "Mark", "Submission", "custom_check", "mark_file", "not_marked", "read_checks"]

LONGEST = 600  # characters of one sentence, some of which a submission writes itself
MOST_NOTES = 20
LIMITS = Limits(waits=4.0)  # a mark must not depend on what else the machine has to do


@dataclass(frozen=True)
class Submission:
    """One submission: the student's name as the file or folder has it, the file to mark, or why there is none."""

    name: str
    path: Path
    problem: str = ""

    def digest(self) -> str:
        """Return the SHA-256 of the file, or of the problem if there is none."""
        problem = self.problem
        if not problem:
            try:
                with self.path.open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                problem = str(error)
        return hashlib.sha256(problem.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Item:
    """One thing that points are given for: a function, or a custom check (`extra`, with a line `about` it)."""

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
    """The mark of one submission. If it could not be marked, `state` is "not marked" and `why` is the reason.

    `look` is for the teacher: what was not run, or was ended by a limit. `digest` is of the submission, `checks` of the
    checks; a mark is made again when one of them changes.
    """

    student: str
    file: str
    digest: str
    checks: str
    state: Literal["marked", "not marked"]
    items: tuple[Item, ...]
    why: str = ""
    notes: tuple[str, ...] = ()
    look: tuple[str, ...] = ()

    @property
    def is_marked(self) -> bool:
        """True if the submission has points, even if they are 0; False if it could not be marked."""
        return self.state == "marked"

    @property
    def points(self) -> float:
        """The sum of the points that were earned."""
        return sum(item.points for item in self.items)

    @property
    def of(self) -> float:
        """The sum of the points that could be earned."""
        return sum(item.of for item in self.items)

    def as_dict(self) -> dict[str, Any]:
        """Return the mark as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Self:
        """Return the mark of a record; TypeError, KeyError or ValueError if it is none."""
        items = tuple(
            Item(**{**item, "words": tuple(item["words"]), "mistakes": tuple(item["mistakes"])})
            for item in entries["items"]
        )
        return cls(**{**entries, "notes": tuple(entries["notes"]), "look": tuple(entries["look"]), "items": items})


def mark_file(submission: Submission, checks: Checks) -> Mark:
    """Mark one submission; its code runs in a process apart, under limits."""
    digest = submission.digest()
    seed = hashlib.sha256(f"{checks.seed}:{digest}".encode()).digest()
    if submission.problem:
        return not_marked(submission, checks, submission.problem, digest)
    try:
        limits = replace(LIMITS, total=checks.timeout)
        start = int.from_bytes(seed[:8])
        with Check(submission.path, checks.page, limits, seed=start, rounds=checks.rounds, names=checks.names) as check:
            report = check.report()
            items = [_of_function(name, report, checks) for name in checks.points]
            items += [_of_custom_check(one, check, report, seed) for one in checks.custom_checks]
    except (ByhandError, OSError) as error:
        return not_marked(submission, checks, str(error).removeprefix(f"{submission.path}: "), digest)
    # what the student may not be to blame for: it was not run, or ran into a limit
    look = [
        f"{item.name}: {item.words[0]}"
        for item in items
        if item.words and (item.status == "not run" or "did not end" in item.words[0])
    ]
    notes = tuple(_short(note) for note in report.notes[:MOST_NOTES])
    name, file = shown(submission.name), shown(submission.path.name)
    return Mark(name, file, digest, checks.digest, "marked", tuple(items), "", notes, tuple(dict.fromkeys(look)))


def not_marked(submission: Submission, checks: Checks, why: str, digest: str = "") -> Mark:
    """Return the mark of a submission that could not be marked: no points, and the reason."""
    items = [Item(name, 0, points, "not run") for name, points in checks.points.items()]
    items += [Item(one.name, 0, one.points, "not run", about=one.about, extra=True) for one in checks.custom_checks]
    name, file = shown(submission.name), shown(submission.path.name)
    return Mark(name, file, digest, checks.digest, "not marked", tuple(items), _short(why), look=(_short(why),))


def shown(text: str) -> str:
    """Return a file's name as text that can be written anywhere: unprintable characters become \\x1b or the like."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in readable)


def _of_function(name: str, report: Report, checks: Checks) -> Item:
    verdict = report[name]
    of, is_right = checks.points[name], verdict.status == "right"
    place = "" if is_right else _short(verdict.place)
    words = tuple(map(_short, verdict.words))
    about = next((task.formula for task in lesson_of(checks.page).tasks if task.name == name), "")
    return Item(name, of if is_right else 0, of, verdict.status, words, verdict.mistakes, place, about)


def _of_custom_check(one: CustomCheck, check: Check, report: Report, seed: bytes) -> Item:
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
    """Return one line of printable text, cut after `LONGEST` characters."""
    line = shown(" ".join(text[: 2 * LONGEST].split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"


# ---- in a process of its own


def work(name: str, path: str, page: str, checks_file: str) -> None:
    """Mark one submission in this process, which `run` has started, and write the mark to standard output as JSON.

    What a teacher's checks print goes to standard error. When the other end of standard input closes, because the main
    process has ended in whatever way, this process ends its student's process and itself.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_the_main_process, daemon=True).start()
    submission = Submission(name, Path(path))
    checks = read_checks(Path(checks_file) if checks_file else None, page)
    try:
        mark = mark_file(submission, checks)
    except Exception as error:  # the student's process sent what no honest one sends
        mark = not_marked(submission, checks, f"marking it ended in {type(error).__name__}: {error}")
    answers.write(json.dumps(mark.as_dict()).encode())
    answers.close()


def _end_with_the_main_process() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
