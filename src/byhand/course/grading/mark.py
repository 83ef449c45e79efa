"""One submission's mark: points by function and by extra check, with the words that go to the student.

A function gets its points when everything that it returns is right, for fresh random numbers that follow from the
teacher's seed and the submission's own bytes: the same submission gets the same mark, and nobody knows the numbers
beforehand. What the student's process returns is compared here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from byhand.course.check.checking import Check, checking
from byhand.course.check.verdicts import Report, Status, Verdict
from byhand.course.grading.checks import Checks
from byhand.course.grading.extras import Extra, attempt
from byhand.course.grading.submissions import Submission
from byhand.course.notebooks.syllabus import lesson_of
from byhand.course.sandbox.runner import Limits
from byhand.errors import ByhandError

LONGEST = 600  # characters of one sentence: what a submission says about itself has an end
MOST_NOTES = 20
LIMITS = Limits(waits=4.0)  # a mark must not hang on what else the machine has to do


@dataclass(frozen=True)
class Item:
    """One thing that points are given for: a function, or an extra check (`extra`, with what it is about)."""

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
    """The mark of one submission. `state` is "not marked", and `why` says it, where there was nothing to mark.

    `look` is for the teacher: what was not run, or ended by a limit. `digest` is of the submission, `checks` of what it
    was marked by; a mark is made again when one of them changes.
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
        """Whether there are points at all, be they none; not of somebody whose submission could not be marked."""
        return self.state == "marked"

    @property
    def points(self) -> float:
        """What was earned, all together."""
        return sum(item.points for item in self.items)

    @property
    def of(self) -> float:
        """What could be earned."""
        return sum(item.of for item in self.items)

    def as_dict(self) -> dict[str, Any]:
        """The mark as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Self:
        """The mark of a record; TypeError, KeyError or ValueError where it is none."""
        items = tuple(
            Item(**{**item, "words": tuple(item["words"]), "mistakes": tuple(item["mistakes"])})
            for item in entries["items"]
        )
        lists = {name: tuple(entries[name]) for name in ("notes", "look")}
        return cls(**{**entries, **lists, "items": items})


def digest_of(submission: Submission) -> str:
    """SHA-256 of the file, or of what is wrong where there is none."""
    if submission.problem:
        return hashlib.sha256(submission.problem.encode("utf-8", "surrogateescape")).hexdigest()
    try:
        with submission.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return hashlib.sha256(str(error).encode("utf-8", "surrogateescape")).hexdigest()


def mark_file(submission: Submission, checks: Checks) -> Mark:
    """Mark one submission, here and now; its code runs in a process apart, under limits."""
    digest = digest_of(submission)
    seed = hashlib.sha256(f"{checks.seed}:{digest}".encode()).digest()
    if submission.problem:
        return not_marked(submission, checks, submission.problem, digest)
    try:
        with checking(
            submission.path,
            page=checks.page,
            seed=int.from_bytes(seed[:8]),
            timeout=checks.timeout,
            limits=LIMITS,
            rounds=checks.rounds,
            names=checks.names,
        ) as check:
            report = check.report()
            items = [_of_function(name, report, checks) for name in checks.points]
            items += [_of_extra(one, check, report, seed) for one in checks.extras]
    except (ByhandError, OSError) as error:
        why = str(error).removeprefix(f"{submission.path}: ")
        return not_marked(submission, checks, why, digest)
    look = [f"{item.name}: {item.words[0]}" for item in items if _deserves_a_look(item)]
    notes = [_short(note) for note in report.notes[:MOST_NOTES]]
    return Mark(
        shown(submission.name),
        shown(submission.path.name),
        digest,
        checks.digest,
        "marked",
        tuple(items),
        notes=tuple(notes),
        look=tuple(dict.fromkeys(look)),
    )


def not_marked(submission: Submission, checks: Checks, why: str, digest: str = "") -> Mark:
    """The row of somebody whose submission could not be marked: no points, and the reason."""
    items = [Item(name, 0, points, "not run") for name, points in checks.points.items()]
    items += [Item(one.name, 0, one.points, "not run", about=one.about, extra=True) for one in checks.extras]
    name, file = shown(submission.name), shown(submission.path.name)
    return Mark(name, file, digest, checks.digest, "not marked", tuple(items), why=_short(why), look=(_short(why),))


def shown(text: str) -> str:
    """A file's name as text that can be written anywhere: what is no printable character becomes \\x1b or the like."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in readable)


def _of_function(name: str, report: Report, checks: Checks) -> Item:
    found = {verdict.function: verdict for verdict in report.verdicts}
    verdict = found.get(name, Verdict(name, "missing", "there is no function of this name"))
    of = checks.points[name]
    place = "" if verdict.status == "right" else _short(verdict.place)
    words = tuple(map(_short, filter(None, (verdict.reason, str(verdict.evidence or ""), *verdict.remarks))))
    about = next((task.formula for task in lesson_of(checks.page).tasks if task.name == name), "")
    earned = of if verdict.status == "right" else 0
    return Item(name, earned, of, verdict.status, words, verdict.mistakes, place, about)


def _of_extra(one: Extra, check: Check, report: Report, seed: bytes) -> Item:
    statuses = {verdict.function: verdict.status for verdict in report.verdicts}
    status = statuses.get(one.function, "missing")
    if status in ("missing", "not run"):
        words = "not written yet" if status == "missing" else "not run"
        return Item(one.name, 0, one.points, status, (f"{one.function}: {words}",), about=one.about, extra=True)
    wrong = {name for name, found in statuses.items() if found != "right"}
    failed = _short(attempt(one, check, seed, wrong))
    if failed:
        return Item(one.name, 0, one.points, "wrong", (failed,), about=one.about, extra=True)
    return Item(one.name, one.points, one.points, "right", about=one.about, extra=True)


def _deserves_a_look(item: Item) -> bool:
    """What the student may not be to blame for: it was not run, or ran into a limit."""
    return bool(item.words) and (item.status == "not run" or "did not end" in item.words[0])


def _short(text: str) -> str:
    """One line of printable text, cut where it goes on and on."""
    line = shown(" ".join(text[: 2 * LONGEST].split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"
