"""Verdicts: what a check found, function by function, in words and as data.

`byhand.course.check.checking` makes them; the command line prints `Report.lines()`, machines take `Report.as_dict()`.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["right", "wrong", "not run", "missing"]


@dataclass(frozen=True)
class Evidence:
    """One number that shows it: where it stands, the student's, the right one, and the slope that was measured."""

    where: str
    yours: float
    right: float
    measured: float | None = None

    def __str__(self) -> str:
        slope = "" if self.measured is None else f", measured by differences {self.measured:.6g}"
        return f"{self.where}: yours {self.yours:.6g}, right {self.right:.6g}{slope}"


@dataclass(frozen=True)
class Verdict:
    """What was found about one function.

    `mistakes` are the names of the mistakes that its numbers fit (see `byhand.course.check.mistakes`), empty where it
    is wrong in a way that has no name; `reason` says it in words; `remarks` are worth knowing, and not wrong.
    """

    function: str
    status: Status
    reason: str = ""
    mistakes: tuple[str, ...] = ()
    evidence: Evidence | None = None
    place: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All verdicts about one file, in the order of the assignment; `notes` are about the file as a whole.

    `found` is whether the file has any function of the assignment, be it a blank.
    """

    file: str
    page: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    found: bool = True

    @property
    def ok(self) -> bool:
        """Something is there, nothing of it is wrong and nothing went unrun; what is not written yet is not wrong."""
        return self.found and all(verdict.status in ("right", "missing") for verdict in self.verdicts)

    def counts(self) -> dict[str, int]:
        """How many functions got each status."""
        statuses = [verdict.status for verdict in self.verdicts]
        return {status: statuses.count(status) for status in ("right", "wrong", "not run", "missing")}

    def __getitem__(self, function: str) -> Verdict:
        """The verdict about one function."""
        return next(verdict for verdict in self.verdicts if verdict.function == function)

    def as_dict(self) -> dict[str, Any]:
        """The whole report as JSON can hold it; what is no number there, NaN or infinite, is a text."""
        report = {**asdict(self), "ok": self.ok, "counts": self.counts()}
        for evidence in filter(None, (verdict["evidence"] for verdict in report["verdicts"])):
            evidence |= {
                name: str(one) for name, one in evidence.items() if isinstance(one, float) and not math.isfinite(one)
            }
        return report
