"""Argument checks: return the value as a plain Python number, or raise `UsageError` with name, rule and value.

NumPy scalars are accepted. `True` and `False` are not numbers here, although `bool` is a subclass of `int`.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

from byhand.errors import UsageError


def is_integer(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Return True if `value` is an integer from `least` to `most`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Return True if `value` is a finite real number from `least` to `most`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value) and least <= float(value) <= most
    except OverflowError:  # an integer too large for a float
        return False


def integer(name: str, value: Any, least: int, most: float = math.inf) -> int:
    """Return an integer from `least` to `most`."""
    if is_integer(value, least, most):
        return int(value)
    if most < math.inf:
        rule = f"an integer from {least} to {most:g}"
    else:
        rule = "a positive integer" if least == 1 else f"an integer of at least {least}"
    raise UsageError(f"{name} must be {rule}, got {value!r:.60}")


def number(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """Return a finite number from `least` to `most`."""
    if is_number(value, least, most):
        return float(value)
    rule = f"a number from {least:g} to {most:g}" if most < math.inf else f"a number of at least {least:g}"
    raise UsageError(f"{name} must be {rule}, got {value!r:.60}")


def positive(name: str, value: Any) -> float:
    """Return a finite number greater than 0."""
    if is_number(value, 0) and value > 0:
        return float(value)
    raise UsageError(f"{name} must be a positive number, got {value!r:.60}")


def fraction(name: str, value: Any, *, zero: bool = False, one: bool = False) -> float:
    """Return a number between 0 and 1; `zero` and `one` include the end points."""
    if is_number(value, 0, 1) and (zero or value > 0) and (one or value < 1):
        return float(value)
    low, high = "at least 0" if zero else "greater than 0", "at most 1" if one else "less than 1"
    raise UsageError(f"{name} must be {low} and {high}, got {value!r:.60}")


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """Return one of the known names."""
    if value in (names := tuple(known)):
        return str(value)
    raise UsageError(f"{name} must be one of {', '.join(names)}, got {value!r:.60}")


def flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise UsageError(f"{name} must be True or False, got {value!r:.60}")


def seed(value: Any) -> int:
    """Return a seed: an integer of at least 0."""
    return integer("seed", value, 0)
