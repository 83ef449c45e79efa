"""Probes: one call of one function, with the right outputs, the measured slopes, and the outputs of each known mistake.

`l_layer` and `two_layer` make them for every function of the two reference pages, from fresh random numbers. The check
calls the student's function with the arguments of a probe and compares the outputs. The second half of this file holds
the helpers that both pages use.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byhand.course.sandbox import Unsendable
from byhand.text import listed

Array = NDArray[Any]
Outputs = Mapping[str, Any]
Reader = Callable[[Any, str], Outputs]  # (what the function returned, what it printed) → outputs by name
Mistakes = Sequence[tuple[str, Any]]  # (name, the outputs that it changes, or the value of the first); names may repeat
Random = np.random.Generator
Generator = Callable[[Random], Iterable["Probe"]]


class MisshapenError(Exception):
    """A function returned something without the required parts; `mistake` is the name of the mistake, if it has one."""

    def __init__(self, message: str, mistake: str = "") -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True)
class Probe:
    """One call: `arguments` by their names in the assignment, and the outputs of each mistake.

    `related_arrays` are the other arrays of the computation, to recognize one that is returned in place of another;
    `slopes` are measured by differences; `m` is the number of samples, if the outputs depend on it; `right` are the
    right outputs, if they are not those of the page's own function.
    """

    arguments: Mapping[str, Any]
    wrong: Mistakes = ()
    related_arrays: Outputs = field(default_factory=dict)
    slopes: Outputs = field(default_factory=dict)
    m: int = 0
    right: Outputs = field(default_factory=dict)


@dataclass(frozen=True)
class Function:
    """One function of a page: its name, the functions of the page that it calls, its probes, and its outputs by name.

    `default_message` is for wrong values that no known mistake explains; `remark` is a probe that a correct function
    may fail, with the words that are then shown; `in_place` are the arguments that the function must write into.
    """

    name: str
    outputs: Reader
    probes: Generator
    uses: tuple[str, ...] = ()
    default_message: str = "differs from the right value"
    remark: tuple[Probe, str] | None = None
    in_place: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A reference page and the functions of it that a student writes, in the order of the assignment.

    `given` are functions that are handed out or optional: a file without them is complete.
    """

    name: str
    module: ModuleType
    given: tuple[str, ...] = ()
    functions: list[Function] = field(default_factory=list)

    def __getitem__(self, name: str) -> Function:
        return next(function for function in self.functions if function.name == name)

    def function(self, outputs: Reader, **entries: Any) -> Callable[[Generator], Generator]:
        """Return the decorator that adds a function to the page: the generator of its probes, which has its name."""

        def add(probes: Generator) -> Generator:
            right_function = getattr(self.module, probes.__name__)

            def completed(rng: Random) -> Iterator[Probe]:
                for probe in probes(rng):
                    right = probe.right or outputs(right_function(*deepcopy(list(probe.arguments.values()))), "")
                    first = next(iter(right))
                    wrong = [(name, one if isinstance(one, dict) else {first: one}) for name, one in probe.wrong]
                    yield replace(probe, right=right, wrong=wrong)

            self.functions.append(Function(probes.__name__, outputs, completed, **entries))
            return probes

        return add

    def depends_on(self, function: Function) -> set[str]:
        """Return the functions that it calls, directly or not."""
        return set(function.uses).union(*(self.depends_on(self[name]) for name in function.uses))


# ---- reading what a function returned


def one(name: str) -> Reader:
    """Return the reader for a function that returns a single thing."""

    def outputs(value: Any, _printed: str) -> Outputs:
        if isinstance(value, tuple):
            raise MisshapenError(f"must return {name} alone, it returns {len(value)} things", "too much returned")
        return {name: value}

    return outputs


def several(*names: str) -> Reader:
    """Return the reader for a function that returns a tuple."""
    return lambda value, _printed: dict(zip(names, parts(value, *names), strict=True))


def dictionary(name: str) -> Reader:
    """Return the reader for a function that returns a dictionary."""
    return lambda value, _printed: entries(value, name)


def parts(value: Any, *names: str) -> tuple[Any, ...]:
    """Return `value` as the tuple of these things that it must be."""
    is_sequence = isinstance(value, tuple | list)
    if is_sequence and len(value) == len(names):
        return tuple(value)
    got = f"{len(value)} things" if is_sequence else "nothing" if value is None else "one thing"
    fewer = not is_sequence or len(value) < len(names)
    mistake = "nothing returned" if value is None else "too little returned" if fewer else "too much returned"
    raise MisshapenError(f"must be {listed(names)}, got {got}", mistake)


def entries(value: Any, name: str) -> Outputs:
    """Return the entries of a dictionary, whose keys may be anything."""
    if not isinstance(value, dict):
        mistake = "nothing returned" if value is None else ""
        raise MisshapenError(f"must return the dictionary {name}, it returns {kind_of(value)}", mistake)
    return {str(key): entry for key, entry in value.items()}


def as_numbers(value: Any) -> Array | None:
    """Return an array of floats, or None for anything else."""
    if value is None or isinstance(value, str | Unsendable | dict):
        return None
    try:
        return np.asarray(value, dtype=float)
    except (ValueError, TypeError):
        return None


def numbers(value: Any, name: str) -> Array:
    """Return the array of numbers, at least one, that this must be."""
    array = as_numbers(value)
    if array is None or not array.size:
        raise MisshapenError(f"{name} must be an array of numbers, it is {kind_of(value)}")
    return array


def kind_of(value: Any) -> str:
    """Return the kind of a value, in a word or two."""
    if isinstance(value, Unsendable):
        return value.what
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.ndim else "a number"
    return "nothing" if value is None else f"a {type(value).__name__}"


# ---- making probes


def slope(f: Callable[[Array], Any], x: Array, h: float = 1e-5) -> Array:
    """(f(x + h) − f(x − h)) / 2h for each number of x; f gives one number."""
    slopes = np.zeros(x.shape)
    for where in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[where] = h
        slopes[where] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes


def slopes_of(f: Callable[[dict[str, Array]], Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the slopes of f by each of the arrays that it takes, under the names of the gradients."""

    def by(name: str) -> Array:
        return slope(lambda value: f({**arrays, name: value}), arrays[name])

    return {f"d{name}": by(name) for name in arrays}


def away_from_zero(rng: Random, *shape: int) -> Array:
    """Normal numbers, none within 0.05 of the corner of relu."""
    Z = rng.normal(size=shape)
    return Z + 0.05 * np.sign(Z)


# ---- what both pages probe


def relu_mistakes(Z: Array) -> list[tuple[str, Array]]:
    """What relu returns with each mistake."""
    return [
        ("leaky relu", np.where(Z > 0, Z, 0.01 * Z)),
        ("absolute value", np.abs(Z)),
        ("minimum for maximum", np.minimum(0, Z)),
        ("mask for relu", Z > 0),
    ]


def softmax_inputs(rng: Random) -> tuple[Array, ...]:
    """Logits for softmax: a batch, a square, and numbers so large that e^Z overflows."""
    return rng.normal(size=(4, 6)), rng.normal(size=(5, 5)), 1000 + rng.normal(size=(3, 4))


def softmax_mistakes(Z: Array) -> list[tuple[str, Array]]:
    """What softmax returns with each mistake."""
    E = np.exp(Z - Z.max(axis=0))
    rows = np.exp(Z - Z.max(axis=1, keepdims=True))
    with np.errstate(all="ignore"):
        plain = np.exp(Z)
        mistakes = [
            ("softmax along the wrong axis", rows / rows.sum(axis=1, keepdims=True)),
            ("softmax over everything", np.exp(Z - Z.max()) / np.exp(Z - Z.max()).sum()),
            ("softmax without the maximum", plain / plain.sum(axis=0)),
            ("softmax not normalised", plain),
        ]
    if Z.shape[0] == Z.shape[1]:  # E / E.sum(axis=1), without keepdims, is possible only here
        mistakes.append(("softmax along the wrong axis", E / E.sum(axis=1)))
    return mistakes


def one_hot_probes(rng: Random, one_hot: Callable[[Array], Array], argument: str) -> Iterator[Probe]:
    """Probes of one_hot, whose argument has another name on each page."""
    for labels in (np.append(rng.integers(10, size=6), 9), rng.permutation(7), np.append(rng.permutation(9), 9)):
        Y = one_hot(labels)
        yield Probe({argument: labels}, [("one_hot sized by the largest label", Y[: labels.max() + 1])])


def bias_mistakes(dZs: Mapping[str, Array]) -> list[tuple[str, Outputs]]:
    """What each db may be, in place of the sum over the samples divided by m, from the dZ of each layer."""
    ways: list[tuple[str, Callable[[Array, int], Array]]] = [
        ("bias summed over everything", lambda dZ, m: np.asarray(dZ.sum() / m)),
        ("bias summed over everything", lambda dZ, m: np.full((len(dZ), 1), dZ.sum() / m)),
        ("bias summed over everything", lambda dZ, m: np.full((1, 1), dZ.sum() / m)),
        ("bias summed over units", lambda dZ, m: dZ.sum(axis=0, keepdims=True) / m),
        ("bias summed over units", lambda dZ, m: dZ.sum(axis=0) / m),
        ("bias not summed", lambda dZ, m: dZ / m),
        ("bias not summed", lambda dZ, _m: dZ),
    ]
    return [(mistake, {name: way(dZ, dZ.shape[1]) for name, dZ in dZs.items()}) for mistake, way in ways]


def update_mistakes(old: Mapping[str, Array], steps: Mapping[str, Array], rate: float) -> list[tuple[str, Outputs]]:
    """What a step of gradient descent gives with each mistake."""
    return [
        ("old weight dropped", {name: rate * step for name, step in steps.items()}),
        ("old weight dropped", {name: -rate * step for name, step in steps.items()}),
        ("climbing", {name: old[name] + rate * step for name, step in steps.items()}),
        ("learning rate left out", {name: old[name] - step for name, step in steps.items()}),
        ("not updated", dict(old)),
    ]


def training_mistakes(trained: Callable[[int, float], Outputs], k: int, rate: float) -> list[tuple[str, Outputs]]:
    """What training for `k` iterations gives with each mistake; `trained` is given (iterations, learning rate)."""
    return [
        ("an iteration too many", trained(k + 1, rate)),
        ("an iteration too few", trained(k - 1, rate)),
        ("begun again in every iteration", trained(1, rate)),
        ("not trained", trained(0, rate)),
        ("climbing", trained(k, -rate)),
    ]
