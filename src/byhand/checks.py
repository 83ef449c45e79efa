"""Argument checks: return the value as a plain Python number, or raise `UsageError` with name, rule and value.

NumPy scalars are accepted. `True` and `False` are not numbers here, although `bool` is a subclass of `int`.
"""

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from byhand.errors import UsageError, did_you_mean, short_repr


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


def choice(name: str, value: Any, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """Return one of the known names; `elsewhere` are names in other libraries, and what to type here."""
    if value in (names := tuple(known)):
        return str(value)
    hint = did_you_mean(value.lower(), names, elsewhere) if isinstance(value, str) else ""
    raise UsageError(f"{name} must be one of {', '.join(names)}, got {value!r:.60}{hint}")


def array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return an array of numbers or texts; reject rows of different lengths, and generators."""
    try:
        found = np.asarray(value)
    except ValueError:
        raise UsageError(f"{name} must have rows of one length, got {short_repr(value)} with different ones") from None
    if found.ndim == 0 and found.dtype == object and value is not None:
        raise UsageError(f"{name} must be an array, got {short_repr(value)}: use np.array(list({name}))")
    return found


def flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise UsageError(f"{name} must be True or False, got {value!r:.60}")


def seed(value: Any) -> int:
    """Return a seed: an integer of at least 0."""
    return integer("seed", value, 0)
