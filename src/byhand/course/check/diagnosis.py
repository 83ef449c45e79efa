"""Verdicts, and the diagnosis: the known mistake that produces exactly the wrong numbers.

Each wrong output is compared with that of every known mistake for the same inputs. The program text is not analyzed.
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
RELATIVE, OF_LARGEST = 1e-4, 1e-5  # accept float32 and any order of summation; every known mistake differs by more

#: The sentence for each known mistake; docs/check.md lists them.
MISTAKES: dict[str, str] = tomllib.loads((FOLDER / "mistakes.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Evidence:
    """One wrong number: its position, the student's value, the right value, and the finite difference."""

    where: str
    yours: float
    right: float
    measured: float | None = None

    def __str__(self) -> str:
        slope = "" if self.measured is None else f", finite difference {self.measured:.6g}"
        return f"{self.where}: yours {self.yours:.6g}, right {self.right:.6g}{slope}"


@dataclass(frozen=True)
class Verdict:
    """The result for one function."""

    function: str
    status: Status
    reason: str = ""
    mistakes: tuple[str, ...] = ()  # keys of `MISTAKES`
    evidence: Evidence | None = None
    place: str = ""
    remarks: tuple[str, ...] = ()  # hints on a right function

    @property
    def words(self) -> tuple[str, ...]:
        """The reason, the evidence and the remarks, one per line."""
        return tuple(filter(None, (self.reason, str(self.evidence or ""), *self.remarks)))


@dataclass(frozen=True)
class Report:
    """All verdicts on one file, in the order of the assignment."""

    file: str
    page: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()  # on the whole file
    found: bool = True  # False if it has no function of the assignment, not even a stub

    @property
    def ok(self) -> bool:
        """True if a function was found, and none is wrong or was not run."""
        return self.found and all(verdict.status in ("right", "missing") for verdict in self.verdicts)

    def counts(self) -> dict[str, int]:
        statuses = [verdict.status for verdict in self.verdicts]
        return {status: statuses.count(status) for status in ("right", "wrong", "not run", "missing")}

    def __getitem__(self, function: str) -> Verdict:
        """Return the verdict on one function. Optional functions that are missing are not in `verdicts`."""
        missing = Verdict(function, "missing", "not found")
        return next((verdict for verdict in self.verdicts if verdict.function == function), missing)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; NaN and infinity become strings."""
        report = {**asdict(self), "ok": self.ok, "counts": self.counts()}
        for evidence in filter(None, (verdict["evidence"] for verdict in report["verdicts"])):
            evidence |= {
                name: str(one) for name, one in evidence.items() if isinstance(one, float) and not math.isfinite(one)
            }
        return report


# ---- diagnosis


def close(a: Any, b: Any) -> bool:
    """Return True if both have the same shape and equal values, up to rounding; NaN equals NaN."""
    a, b = as_numbers(a), as_numbers(b)
    if a is None or b is None or a.shape != b.shape:
        return False
    finite = b[np.isfinite(b)]
    slack = OF_LARGEST * np.max(np.abs(finite), initial=0.0) + 1e-12
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=slack, equal_nan=True))


def differing(probe: Probe, got: Outputs) -> list[str]:
    """Return the names of the outputs that are wrong or missing."""
    return [name for name, right in probe.right.items() if name not in got or not close(got[name], right)]


def diagnose(
    found: Sequence[tuple[Probe, Outputs]], default_message: str
) -> tuple[str, tuple[str, ...], Evidence | None]:
    """Return (reason, mistakes, evidence) with the fewest mistakes that explain all wrong outputs of a function."""
    unexplained = {
        (name, place): _matches(name, probe, got)
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
            sentences.append(f"{listed(names)}: {_describe(name, *found[place]) or default_message}")
            break
        # the first of the mistakes that explain most; a missing output comes last, it may result from another mistake
        mistake, words = best = max(votes, key=lambda vote: (vote[0] != "output missing", votes.count(vote)))
        explained = [key for key, fits in unexplained.items() if best in fits]
        unexplained = {key: fits for key, fits in unexplained.items() if best not in fits}
        if mistake != "output missing" or not mistakes:
            sentences.append(f"{listed(list(dict.fromkeys(name for name, _ in explained)))}: {words}")
            mistakes.append(mistake)
    return "; ".join(sentences), tuple(dict.fromkeys(mistakes)), _evidence(found)


def _matches(name: str, probe: Probe, got: Outputs) -> list[tuple[str, str]]:
    """Return every mistake that produces this output, specific ones first, with their sentences."""
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
    """Return the mistakes of scale, sign and shape, which are possible for any output."""
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
    """Return True if the output is divided by an integer larger than m in place of m."""
    largest = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    if m < 2 or not np.isfinite(got).all() or not got[largest]:
        return False
    other = m * right[largest] / got[largest]
    return bool(other > m + 0.5 and abs(other - round(other)) < 1e-6 * other and close(got * round(other) / m, right))


def _swapped(name: str, value: Any, probe: Probe) -> list[tuple[str, str]]:
    """Return the mistake if the output is another array of the same computation."""
    expected = name.split(" ", maxsplit=1)[0]
    found = []
    for other, array in probe.related_arrays.items():
        if other != expected and close(value, array):
            mistake = "Z and H mixed up" if {other, expected} == {"Z", "H"} else "the wrong array"
            found.append((mistake, f"this is {other}, not {expected}"))
    return found


def _describe(name: str, probe: Probe, got: Outputs) -> str:
    """Describe the type, the shape or the scale of a value that no known mistake produces."""
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
    """Return the number with the largest error, from the first output with the right shape."""
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
