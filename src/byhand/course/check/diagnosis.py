"""Diagnosis: verdicts, the mistakes that a check knows by name, and which of them would have given these numbers.

Nothing is guessed from the text of the program. Each output that differs from the right one is compared with what every
known mistake would have produced with the same inputs; a mistake is named only if all the numbers fit.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from byhand.course.notebooks import FOLDER
from byhand.course.probes import Array, Outputs, Probe, as_numbers, kind_of
from byhand.text import listed

Status = Literal["right", "wrong", "not run", "missing"]
SIGNS: dict[Status, str] = {"right": "✓", "wrong": "✗", "not run": "?", "missing": "·"}
RELATIVE, OF_LARGEST = 1e-4, 1e-5  # float32 and another order of summation pass; no mistake is as small

#: The sentence for each mistake that has a name; docs/check.md lists them.
MISTAKES: dict[str, str] = tomllib.loads((FOLDER / "mistakes.toml").read_text(encoding="utf-8"))


# ---- verdicts


@dataclass(frozen=True)
class Evidence:
    """One number that shows a mistake: its place, the student's value, the right one, and the measured slope."""

    where: str
    yours: float
    right: float
    measured: float | None = None

    def __str__(self) -> str:
        slope = "" if self.measured is None else f", measured by differences {self.measured:.6g}"
        return f"{self.where}: yours {self.yours:.6g}, right {self.right:.6g}{slope}"


@dataclass(frozen=True)
class Verdict:
    """The result of the check of one function.

    `mistakes` are the names of the mistakes that its numbers fit in `MISTAKES`, empty if the function is wrong in
    a way that has no name; `reason` is the sentence; `remarks` are worth knowing, and not wrong.
    """

    function: str
    status: Status
    reason: str = ""
    mistakes: tuple[str, ...] = ()
    evidence: Evidence | None = None
    place: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Everything to be read about the function, line by line."""
        return tuple(filter(None, (self.reason, str(self.evidence or ""), *self.remarks)))


@dataclass(frozen=True)
class Report:
    """All verdicts about one file, in the order of the assignment; `notes` are about the file as a whole.

    `found` is True if the file has any function of the assignment, even if it is a stub.
    """

    file: str
    page: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    found: bool = True

    @property
    def ok(self) -> bool:
        """True if a function was found and none of the written ones is wrong or was not run."""
        return self.found and all(verdict.status in ("right", "missing") for verdict in self.verdicts)

    def counts(self) -> dict[str, int]:
        """Return the number of functions with each status."""
        statuses = [verdict.status for verdict in self.verdicts]
        return {status: statuses.count(status) for status in ("right", "wrong", "not run", "missing")}

    def __getitem__(self, function: str) -> Verdict:
        """Return the verdict about one function; the report leaves out those that are optional and not there."""
        missing = Verdict(function, "missing", "there is no function of this name")
        return next((verdict for verdict in self.verdicts if verdict.function == function), missing)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; NaN and infinity become texts."""
        report = {**asdict(self), "ok": self.ok, "counts": self.counts()}
        for evidence in filter(None, (verdict["evidence"] for verdict in report["verdicts"])):
            evidence |= {
                name: str(one) for name, one in evidence.items() if isinstance(one, float) and not math.isfinite(one)
            }
        return report


# ---- from numbers to mistakes


def close(a: Any, b: Any) -> bool:
    """Return True if the two are as equal as any correct ways of computing them are; NaN equals NaN."""
    a, b = as_numbers(a), as_numbers(b)
    if a is None or b is None or a.shape != b.shape:
        return False
    finite = b[np.isfinite(b)]
    slack = OF_LARGEST * np.max(np.abs(finite), initial=0.0) + 1e-12
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=slack, equal_nan=True))


def differing(probe: Probe, got: Outputs) -> list[str]:
    """Return the outputs that are not right, including missing ones."""
    return [name for name, right in probe.right.items() if name not in got or not close(got[name], right)]


def diagnose(
    found: Sequence[tuple[Probe, Outputs]], default_message: str
) -> tuple[str, tuple[str, ...], Evidence | None]:
    """Return (reason, names of the mistakes, one telling number) for all wrong answers to the probes of one function.

    The fewest mistakes are named that explain everything that is wrong; `default_message` is for what none explains.
    """
    unexplained = {
        (name, place): _all_that_fit(name, probe, got)
        for place, (probe, got) in enumerate(found)
        for name in differing(probe, got)
    }
    sentences: list[str] = []
    mistakes: list[str] = []
    while unexplained:
        votes = [mistake for fits in unexplained.values() for mistake in fits]
        if not votes:
            (name, place), *_ = unexplained
            names = list(dict.fromkeys(name for name, _ in unexplained))
            sentences.append(f"{listed(names)}: {_plainly(name, *found[place]) or default_message}")
            break
        # the first of those that explain most; what is missing is said last, it may follow from a mistake with a name
        mistake, words = best = max(votes, key=lambda vote: (vote[0] != "output missing", votes.count(vote)))
        explained = [key for key, fits in unexplained.items() if best in fits]
        unexplained = {key: fits for key, fits in unexplained.items() if best not in fits}
        if mistake != "output missing" or not mistakes:
            sentences.append(f"{listed(list(dict.fromkeys(name for name, _ in explained)))}: {words}")
            mistakes.append(mistake)
    return "; ".join(sentences), tuple(dict.fromkeys(mistakes)), _evidence(found)


def _all_that_fit(name: str, probe: Probe, got: Outputs) -> list[tuple[str, str]]:
    """Return every mistake that gives exactly this output, specific ones first, with their sentences."""
    if name not in got:
        return [("output missing", MISTAKES["output missing"])]
    value, right = got[name], np.asarray(probe.right[name], dtype=float)
    fits = [
        (mistake, MISTAKES[mistake])
        for mistake, outputs in probe.wrong
        if name in outputs and close(value, outputs[name]) and not close(right, outputs[name])
    ]
    fits += [(mistake, MISTAKES[mistake]) for mistake in _general(value, right, probe)]
    return fits + _swapped(name, value, probe)


def _general(value: Any, right: Array, probe: Probe) -> list[str]:
    """Return the mistakes of scale, sign and shape, which any output may show."""
    got = as_numbers(value)
    if got is None:
        return ["nothing returned"] if value is None else []
    if got.shape != right.shape:
        if got.shape == right.shape[::-1] and close(got.T, right):
            return ["transposed"]
        return ["axis lost"] if got.size == right.size and close(got.reshape(right.shape), right) else []
    tests = [
        ("transposed", right.ndim == 2 and close(got.T, right)),
        ("1/m missing", probe.m > 1 and close(got, right * probe.m)),
        ("1/m twice", probe.m > 1 and close(got, right / probe.m)),
        ("divided by all", _divided_by_more(got, right, probe.m)),
        ("wrong sign", close(got, -right)),
        ("zero", not got.any()),
        ("not a number", not np.isfinite(got).all()),
    ]
    return [mistake for mistake, fits in tests if fits]


def _divided_by_more(got: Array, right: Array, m: int) -> bool:
    """Return True if the divisor is an integer larger than m, in place of m."""
    largest = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    if m < 2 or not np.isfinite(got).all() or not got[largest]:
        return False
    other = m * right[largest] / got[largest]
    return bool(other > m + 0.5 and abs(other - round(other)) < 1e-6 * other and close(got * round(other) / m, right))


def _swapped(name: str, value: Any, probe: Probe) -> list[tuple[str, str]]:
    """Return the mistake of another array of the same probe in place of this one."""
    expected = name.split(" ", maxsplit=1)[0]
    return [
        (
            "Z and H mixed up" if {other, expected} == {"Z", "H"} else "the wrong array",
            f"it holds {other}, not {expected}",
        )
        for other, array in probe.related_arrays.items()
        if other != expected and close(value, array)
    ]


def _plainly(name: str, probe: Probe, got: Outputs) -> str:
    """Describe the kind, the shape or the size of a value that no known mistake gives."""
    value, right = got[name], np.asarray(probe.right[name], dtype=float)
    numbers = as_numbers(value)
    if numbers is None:
        return f"must be {kind_of(right)}, got {kind_of(value)}"
    if numbers.shape != right.shape:
        return f"must have shape {right.shape}, got {numbers.shape}"
    share = numbers.ravel() / np.where(right == 0, np.nan, right).ravel()
    if np.nanmax(share, initial=-np.inf) - np.nanmin(share, initial=np.inf) < 1e-6 * abs(share[0]):
        return f"{share[0]:.6g} times the right value"
    return ""


def _evidence(found: Sequence[tuple[Probe, Outputs]]) -> Evidence | None:
    """Return the number that is furthest off, if the shapes are right."""
    for probe, got in found:
        for name in differing(probe, got):
            yours, right = as_numbers(got.get(name)), np.asarray(probe.right[name], dtype=float)
            if yours is None or yours.shape != right.shape:
                continue
            off = np.abs(np.where(np.isfinite(yours), yours, np.inf) - right)
            where = np.unravel_index(int(np.argmax(off)), off.shape)
            place = f"{name}[{', '.join(map(str, where))}]" if where else name
            measured = float(probe.slopes[name][where]) if name in probe.slopes else None
            return Evidence(place, float(yours[where]), float(right[where]), measured)
    return None
