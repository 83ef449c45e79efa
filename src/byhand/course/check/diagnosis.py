"""Diagnosis: which mistake would have given these numbers?

Nothing is guessed from the text of the program. Each output that differs from the right one is held against what every
known mistake would have produced with the same inputs; a mistake is named only where all the numbers fit.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from byhand.course.check.mistakes import MISTAKES
from byhand.course.check.verdicts import Evidence
from byhand.course.probes.probing import Array, Outputs, Probe, as_numbers, kind_of
from byhand.text import listed

RELATIVE, OF_LARGEST = 1e-4, 1e-5  # float32 and another order of summation pass; no mistake is as small


def close(a: Any, b: Any) -> bool:
    """Equal as far as any correct way of computing it is equal; NaN equals NaN."""
    a, b = as_numbers(a), as_numbers(b)
    if a is None or b is None or a.shape != b.shape:
        return False
    finite = b[np.isfinite(b)]
    slack = OF_LARGEST * np.max(np.abs(finite), initial=0.0) + 1e-12
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=slack, equal_nan=True))


def differing(probe: Probe, got: Outputs) -> list[str]:
    """The outputs that are not right, missing ones included."""
    return [name for name, right in probe.right.items() if name not in got or not close(got[name], right)]


def diagnose(found: Iterable[tuple[Probe, Outputs]], otherwise: str) -> tuple[str, tuple[str, ...], Evidence | None]:
    """(reason, names of the mistakes, one telling number) for all answers to the probes of one function.

    The fewest mistakes are named that explain everything that is wrong; `otherwise` is said of what none explains.
    """
    found = list(found)
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
            sentences.append(f"{listed(names)}: {_plainly(name, *found[place]) or otherwise}")
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
    """Every mistake that gives exactly this output, the particular ones before the general."""
    if name not in got:
        return [("output missing", MISTAKES["output missing"])]
    value, right = got[name], np.asarray(probe.right[name], dtype=float)
    fits = [
        (mistake.strip(), MISTAKES[mistake.strip()])  # several ways to make one mistake differ in spaces at the end
        for mistake, outputs in probe.wrong.items()
        if name in outputs and close(value, outputs[name]) and not close(right, outputs[name])
    ]
    return (
        fits
        + [(mistake, MISTAKES[mistake]) for mistake in _general(value, right, probe)]
        + _swapped(name, value, probe)
    )


def _general(value: Any, right: Array, probe: Probe) -> list[str]:
    """Mistakes that any output may show: its scale, its sign, its shape."""
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
    """Whether a whole number larger than m was divided by, in place of m."""
    largest = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    if m < 2 or not np.isfinite(got).all() or not got[largest]:
        return False
    other = m * right[largest] / got[largest]
    return bool(other > m + 0.5 and abs(other - round(other)) < 1e-6 * other and close(got * round(other) / m, right))


def _swapped(name: str, value: Any, probe: Probe) -> list[tuple[str, str]]:
    """Another array of the same probe, standing where this one belongs."""
    wanted = name.split(" ", maxsplit=1)[0]
    return [
        ("Z and H mixed up" if {other, wanted} == {"Z", "H"} else "the wrong array", f"it holds {other}, not {wanted}")
        for other, array in probe.known.items()
        if other != wanted and close(value, array)
    ]


def _plainly(name: str, probe: Probe, got: Outputs) -> str:
    """What can be said of the kind, the shape or the size when no known mistake fits."""
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


def _evidence(found: list[tuple[Probe, Outputs]]) -> Evidence | None:
    """The number that is furthest off, where shapes allow to point at one."""
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
