"""Verdicts, and the diagnosis: the known mistake that produces exactly the wrong numbers.

Each wrong output is compared with that of every known mistake for the same inputs. The program text is not analyzed.
"""

import contextlib
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from byhand.course.check.variants import explained
from byhand.course.notebooks import FOLDER
from byhand.course.probes import Array, Function, Outputs, Page, Probe, Reader, as_numbers, kind_of
from byhand.text import listed

Status = Literal["right", "wrong", "not run", "missing"]
SIGNS: dict[Status, str] = {"right": "✓", "wrong": "✗", "not run": "?", "missing": "·"}
RELATIVE, OF_LARGEST = 1e-4, 1e-5  # accept float32 and any order of summation; every known mistake differs by more

TINY = 1e-12  # a rounded 0
SAME = 1e-5  # relative difference of two equal factors
COUNTS = ("number of", "lowest", "highest")  # outputs that are not multiplied by a factor
LAST = ("output missing", "not a number", "zero")  # true, but a description rather than a cause
GENERAL = (  # possible for any output
    *("transposed", "axis lost", "wrong sign", "1/m missing", "1/m twice", "multiplied by m", "divided by all", *LAST),
    *(
        "the wrong array",
        "Z and H mixed up",
        "changed in place",
        "divided by another size",
        "constant factor",
        "one line wrong",
        "numerator and denominator exchanged",
    ),
)
Fit = tuple[str, str]  # a mistake and its sentence

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
    case: str = ""  # the only calls that are wrong, such as activation="sigmoid"

    @property
    def words(self) -> tuple[str, ...]:
        """The reason, the evidence and the remarks, one per line."""
        only = f"only wrong with {self.case}" if self.case else ""
        return tuple(filter(None, (self.reason, only, str(self.evidence or ""), *self.remarks)))


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
    found: Sequence[tuple[Probe, Outputs]],
    function: Function,
    page: Page,
    changed: AbstractSet[str] = frozenset(),
    refused: Sequence[Probe] = (),
) -> Verdict:
    """Return the verdict with the fewest mistakes that explain all wrong outputs of a function.

    `found` has every call that returned, right or wrong; `refused` those that raised or returned something else;
    `changed` the arguments that were changed in place. A mistake
    must explain an output in each call where it is wrong. If the known mistakes leave an output unexplained, or if it
    takes more than one of them, a variant of the reference with a single edit is preferred.
    """
    wrong = [(probe, got) for probe, got in found if differing(probe, got)]
    fits: dict[str, list[Fit]] = {}
    for probe, got in wrong:
        for name in differing(probe, got):
            own = matches(name, probe, got, changed)
            fits[name] = [fit for fit in fits[name] if fit in own] if name in fits else own
    if len(fits) > 1:
        fits.pop("accuracy printed", None)  # it follows from the predictions
    denied = {name for probe, got in wrong for name in _denied(probe, got)}
    sentences: list[str] = []
    mistakes: list[str] = []
    unexplained = dict(fits)
    while votes := [fit for own in unexplained.values() for fit in own]:
        # the first of the mistakes that explain most; a missing output comes last, it may result from another mistake
        count = Counter(mistake for own in unexplained.values() for mistake in {fit[0] for fit in own})
        best = max(votes, key=lambda fit: (fit[0] not in LAST, count[fit[0]], votes.count(fit), fit[0] not in denied))
        names = [name for name, own in unexplained.items() if best in own]
        unexplained = {name: own for name, own in unexplained.items() if best not in own}
        if all(name.startswith(COUNTS) for name in names) and any(not own for own in fits.values()):
            continue  # where other outputs are wrong for an unknown reason, a count follows from that
        if best[0] in mistakes and best[0] in ("the wrong array", "Z and H mixed up"):
            sentences[-1] += f"; {listed(names)}: {best[1]}"
        elif best[0] != "output missing" or not mistakes:
            both = _as_likely(best, [fits[name] for name in names]) if not unexplained and not mistakes else None
            sentences.append(f"{listed(names)}: {best[1]}{f'; or {both[1]}' if both else ''}")
            mistakes += [best[0], *([both[0]] if both else [])]
    is_simple = not unexplained and len(sentences) == 1 and mistakes[0] not in LAST[1:]
    edits: list[str] = []
    if not is_simple and _is_telling(wrong):
        case = _case(found)  # the only one that the quote is for
        right = [(probe, got) for probe, got in found if not differing(probe, got) and case in ("", probe.case)]
        edits = explained(
            page.module, function.name, partial(_agrees, [*sorted(wrong, key=_size), *right], refused, function.outputs)
        )
    if edits:
        sentences, mistakes = [MISTAKES["one edit"].format(" or ".join(edits))], ["one edit"]
    elif unexplained:
        name = next(iter(unexplained))
        probe, got = next((one for one in wrong if name in differing(*one) and name in one[1]), wrong[0])
        shape = _describe(name, probe, got)
        sentences.append(f"{listed(list(unexplained))}: {shape or function.default_message}")
        mistakes += ["wrong shape"] if "shape" in shape and not mistakes else []
    return Verdict(
        function.name,
        "wrong",
        "; ".join(sentences),
        tuple(dict.fromkeys(mistakes)),
        _evidence(wrong),
        case=_case(found),
    )


def _denied(probe: Probe, got: Outputs) -> set[str]:
    """Return the known mistakes that make an output wrong that is right in this call."""
    right = probe.right.keys() - differing(probe, got)
    made = [(name, one, value) for name, outputs in probe.wrong for one, value in outputs.items() if one in right]
    return {name for name, one, value in made if not close(value, probe.right[one])}


def _as_likely(best: Fit, fits: Sequence[list[Fit]]) -> Fit | None:
    """Return another specific mistake that explains the same outputs, if there is one."""
    others = [fit for fit in fits[0] if fit[0] != best[0] and fit[0] not in GENERAL and all(fit in own for own in fits)]
    return others[0] if others and best[0] not in GENERAL else None


def _case(found: Sequence[tuple[Probe, Outputs]]) -> str:
    """Return the case to which all wrong calls belong, if calls of other cases are right."""
    cases = {probe.case for probe, got in found if differing(probe, got)}
    others = {probe.case for probe, _ in found} - cases
    return cases.pop() if len(cases) == 1 and others else ""


def _is_telling(wrong: Sequence[tuple[Probe, Outputs]]) -> bool:
    """Return False if the wrong numbers are only 0 and 1 in a few places: many edits give those."""
    arrays = [as_numbers(got.get(name)) for probe, got in wrong for name in differing(probe, got)]
    numbers = np.concatenate([array.ravel() for array in arrays if array is not None] or [np.zeros(0)]).round(12)
    many = np.unique(numbers).size == 2 and numbers.size > 9
    return many or not numbers.size or bool(np.setdiff1d(numbers, (0, 1)).size)


def _size(call: tuple[Probe, Outputs]) -> int:
    """Return the number of the arguments' elements: most variants differ in the smallest call already."""
    return sum(array.size for array in flat(call[0].arguments).values())


def _agrees(
    found: Sequence[tuple[Probe, Outputs]], refused: Sequence[Probe], outputs: Reader, run: Callable[..., Any]
) -> bool:
    """Return True if a variant of the reference has the student's outputs in every call, and raises where it does."""
    for probe, got in found:
        try:
            made = outputs(*run(*probe.arguments.values()))
        except Exception:  # an edit may raise anything
            return False
        for name in probe.right:
            if (name in got) != (name in made) or (name in got and not close(got[name], made[name])):
                return False
    for probe in refused:
        with contextlib.suppress(Exception):
            outputs(*run(*probe.arguments.values()))
            return False
    return True


def matches(name: str, probe: Probe, got: Outputs, changed: AbstractSet[str]) -> list[Fit]:
    """Return every mistake that produces this output, specific ones first, with their sentences."""
    if name not in got:
        return [("output missing", MISTAKES["output missing"])]
    value, right = got[name], np.asarray(probe.right[name], dtype=float)
    fits = [
        (mistake, MISTAKES[mistake])
        for mistake, outputs in probe.wrong
        if name in outputs
        and close(value, outputs[name])
        and not close(right, outputs[name])
        and (right.size == 1 or np.shape(outputs[name]) != right.shape or np.any(np.abs(outputs[name]) > TINY))
    ]
    another = _another_array(name, value, probe, changed)
    fits = [*another, *fits] if name.endswith("memory") else [*fits, *another]
    return sorted(dict.fromkeys([*fits, *_general(name, value, right, probe)]), key=lambda fit: fit[0] in LAST)


def _general(name: str, value: Any, right: Array, probe: Probe) -> list[Fit]:
    """Return the mistakes of scale, sign and shape, which are possible for any output."""
    got = as_numbers(value)
    if got is None:
        return [("nothing returned", MISTAKES["nothing returned"])] if value is None else []
    if name.startswith("shape of"):
        return [("wrong shape", f"must be {_shape(right)}, got {_shape(got)}")]
    if got.shape != right.shape:
        turned = got.shape == right.shape[::-1] and close(got.T, right)
        lost = got.ndim < right.ndim and got.size == right.size and close(got.reshape(right.shape), right)
        return [(one, MISTAKES[one]) for one, fits in (("transposed", turned), ("axis lost", lost)) if fits]
    if name.startswith(COUNTS):
        return []
    with np.errstate(all="ignore"):
        tests = [
            ("transposed", right.ndim == 2 and close(got.T, right)),
            ("numerator and denominator exchanged", close(got * right, np.ones(right.shape))),
            ("zero", np.all(np.abs(got) < TINY)),
            ("not a number", not np.isfinite(got).all()),
        ]
        found = [*_factor(got, right, probe), *(mistake for mistake, fits in tests if fits)]
    return [(one, MISTAKES[one]) if isinstance(one, str) else one for one in found] + _one_line(got, right)


def _shape(numbers: Array) -> tuple[int, ...]:
    return tuple(int(one) for one in numbers.ravel())


def _factor(got: Array, right: Array, probe: Probe) -> list[str | Fit]:
    """Return the mistake if the output is the right one, times a number."""
    largest = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    if not np.isfinite(got).all() or not got[largest] or not close(got / (got[largest] / right[largest]), right):
        return []
    factor, m = float(got[largest] / right[largest]), probe.m
    if abs(factor + 1) < SAME:
        return ["wrong sign"]
    # The factor of one number may be any; two shares of m samples often have a plain one by chance.
    is_share = right.size == 1 and abs(right.item() * m - round(right.item() * m)) < SAME
    is_plain = m > 1 and not is_share and abs(float(f"{factor:.2g}") / factor - 1) < SAME
    times: list[str | Fit] = [("constant factor", MISTAKES["constant factor"].format(f"{factor:.4g}"))]
    times = times if right.size > 1 or is_plain else []
    if m > 1:
        sizes = {size for one in flat(probe.arguments).values() for size in one.shape} - {m}
        known = {"1/m missing": m, "1/m twice": 1 / m, "multiplied by m": m * m}
        if named := [mistake for mistake, size in known.items() if abs(factor / size - 1) < SAME]:
            return [*named, *times]
        divisor = m / factor
        if any(abs(divisor - size) < SAME * size for size in sizes):
            return ["divided by another size", *times]
        if divisor > m + 0.5 and abs(divisor - round(divisor)) < SAME * divisor:
            return [("divided by all", MISTAKES["divided by all"].format(round(divisor))), *times]
    return times


def _one_line(got: Array, right: Array) -> list[Fit]:
    """Return the mistake if only the first or the last row or column is wrong."""
    wrong = ~np.isclose(got, right, rtol=RELATIVE, atol=OF_LARGEST)
    for axis, what in enumerate(("row", "column")[: right.ndim if right.ndim == 2 else 0]):
        lines = np.flatnonzero(wrong.any(axis=1 - axis))
        if lines.size == 1 and right.shape[axis] > 2 and lines[0] in (0, right.shape[axis] - 1):
            return [("one line wrong", MISTAKES["one line wrong"].format("last" if lines[0] else "first", what))]
    return []


def _another_array(name: str, value: Any, probe: Probe, changed: AbstractSet[str]) -> list[Fit]:
    """Return the mistake if the output is another output or an argument."""
    expected = name.split(" ", maxsplit=1)[0]
    found = []
    for key, array in {**flat(probe.arguments), **flat(probe.right)}.items():
        other = key.split(" ", maxsplit=1)[0]
        if other != expected and np.unique(array).size > 2 and close(value, array):
            if expected in changed:
                return [("changed in place", MISTAKES["changed in place"].format(expected))]
            mistake = "Z and H mixed up" if {other, expected} == {"Z", "H"} else "the wrong array"
            found.append((mistake, f"this is {other}, not {expected}"))
    return found[:1]


def flat(values: Any, name: str = "") -> dict[str, Array]:
    """Return the arrays of a nested value, by name."""
    if isinstance(values, Mapping):
        entries = [(str(key), one) for key, one in values.items()]
    elif isinstance(values, tuple | list):
        entries = [(name, one) for one in values]
    else:
        return {name: values} if isinstance(values, np.ndarray) else {}
    return {key: array for inner, one in entries for key, array in flat(one, inner).items()}


def _describe(name: str, probe: Probe, got: Outputs) -> str:
    """Describe the type or the shape of a value that no known mistake produces."""
    value, right = got.get(name), np.asarray(probe.right[name], dtype=float)
    numbers = as_numbers(value)
    if numbers is None:
        return f"must be {kind_of(right)}, got {kind_of(value)}"
    return "" if numbers.shape == right.shape else f"must have shape {right.shape}, got {numbers.shape}"


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
            measured = probe.slopes[name](where) if name in probe.slopes else None
            return Evidence(place, float(yours[where]), float(right[where]), measured)
    return None
