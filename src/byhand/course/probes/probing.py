"""Probes: one call of one function, with the right answer, the measured slopes, and what each known mistake would give.

`byhand.course.probes` makes them for every function of the two reference pages, from fresh random numbers;
`byhand.course.check.checking` has the student's function answer them, and `byhand.course.check.diagnosis` compares.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byhand.course.sandbox.wire import Unsendable
from byhand.text import listed

Array = NDArray[Any]
Outputs = Mapping[str, Any]


class MisshapenError(Exception):
    """What a function returned has not the parts that it must have; `mistake` names it where it has a name."""

    def __init__(self, words: str, mistake: str = "") -> None:
        super().__init__(words)
        self.mistake = mistake


@dataclass(frozen=True)
class Probe:
    """One call: `arguments` by the names of the assignment, and for each output by name what is right.

    `wrong` holds, for each mistake that is looked for, what it would give (only the outputs that it touches);
    `known` are the arrays at hand, to say "this is H, not Z"; `slopes` are measured by differences.
    """

    arguments: Mapping[str, Any]
    right: Outputs
    wrong: Mapping[str, Outputs] = field(default_factory=dict)
    known: Outputs = field(default_factory=dict)
    slopes: Outputs = field(default_factory=dict)
    m: int = 0
    seed: int = 2


@dataclass(frozen=True)
class Function:
    """One function of a page: its name, the functions of the page that it calls, its probes, and its outputs by name.

    `otherwise` is what to say where no known mistake fits; `remark` is a probe whose failure is worth telling and not
    wrong, with the words to tell it in; `in_place` are the arguments that the caller expects to be written into.
    """

    name: str
    uses: tuple[str, ...]
    probes: Callable[[np.random.Generator], Iterable[Probe]]
    outputs: Callable[[Any, str], Outputs]  # (what it returned, what it printed) → by name
    otherwise: str = "differs from the right value"
    remark: tuple[Probe, str] | None = None
    in_place: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A reference page and the functions of it that a student writes, in the order of the assignment."""

    name: str
    module: ModuleType
    functions: tuple[Function, ...]
    given: tuple[str, ...] = ()  # functions that are handed out, or not asked of all: no complaint when missing

    def __getitem__(self, name: str) -> Function:
        return next(function for function in self.functions if function.name == name)

    def leans_on(self, function: Function) -> set[str]:
        """The functions that it calls, those that they call, and so on."""
        return set(function.uses).union(*(self.leans_on(self[name]) for name in function.uses))


# ---- the helpers that probes are made with


def one(name: str) -> Callable[[Any, str], Outputs]:
    """The outputs of a function that returns a single thing."""

    def outputs(value: Any, _printed: str) -> Outputs:
        if isinstance(value, tuple):
            raise MisshapenError(f"must return {name} alone, it returns {len(value)} things", "too much returned")
        return {name: value}

    return outputs


def several(*names: str) -> Callable[[Any, str], Outputs]:
    """The outputs of a function that returns a tuple."""

    def outputs(value: Any, _printed: str) -> Outputs:
        return dict(zip(names, parts(value, *names), strict=True))

    return outputs


def parts(value: Any, *names: str) -> tuple[Any, ...]:
    """`value` as the tuple of these things that it must be."""
    wanted = listed(names)
    if isinstance(value, tuple | list) and len(value) == len(names):
        return tuple(value)
    got = f"{len(value)} things" if isinstance(value, tuple | list) else "nothing" if value is None else "one thing"
    fewer = not isinstance(value, tuple | list) or len(value) < len(names)
    mistake = "nothing returned" if value is None else "too little returned" if fewer else "too much returned"
    raise MisshapenError(f"must be {wanted}, got {got}", mistake)


def named(value: Any, name: str) -> Outputs:
    """The entries of a dictionary, which may be called anything."""
    if not isinstance(value, dict):
        mistake = "nothing returned" if value is None else ""
        raise MisshapenError(f"must return the dictionary {name}, it returns {kind_of(value)}", mistake)
    return {str(key): entry for key, entry in value.items()}


def as_numbers(value: Any) -> Array | None:
    """An array of floats, or None for anything else."""
    if value is None or isinstance(value, str | Unsendable | dict):
        return None
    try:
        return np.asarray(value, dtype=float)
    except (ValueError, TypeError):
        return None


def numbers(value: Any, name: str) -> Array:
    """The array of numbers, at least one, that this must be."""
    array = as_numbers(value)
    if array is None or not array.size:
        raise MisshapenError(f"{name} must be an array of numbers, it is {kind_of(value)}")
    return array


def kind_of(value: Any) -> str:
    """What something is, in a word or two."""
    if isinstance(value, Unsendable):
        return value.what
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.ndim else "a number"
    return "nothing" if value is None else f"a {type(value).__name__}"


def slope(f: Callable[[Array], Any], x: Array, h: float = 1e-5) -> Array:
    """(f(x + h) − f(x − h)) / 2h for each number of x; f gives one number."""
    slopes = np.zeros(x.shape)
    for where in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[where] = h
        slopes[where] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes


def away_from_zero(rng: np.random.Generator, *shape: int) -> Array:
    """Normal numbers, none within 0.05 of the corner of relu."""
    Z = rng.normal(size=shape)
    return Z + 0.05 * np.sign(Z)
