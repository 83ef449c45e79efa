"""Probes: calls of the student's functions with random arguments, the expected outputs, and those of known mistakes.

`l_layer` and `two_layer` have the probes for every function of the two references. The second half of this file has the
helpers that both use.
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
Reader = Callable[[Any, str], Outputs]  # (returned value, printed text) → outputs by name
Mistakes = Sequence[tuple[str, Any]]  # (name, outputs that differ, or the value of the first); a name may repeat
Slope = Callable[[tuple[Any, ...]], float]  # the finite difference of an element: only one of them is shown
Random = np.random.Generator
Generator = Callable[[Random], Iterable["Probe"]]
#: Remarks: the function is right, but not for these arguments.
OVERFLOW = "right for ordinary numbers, overflows beyond 709: e^Z is then infinite"
BY_LARGEST = "right if the largest class occurs, one row too few otherwise: the size depends on the labels"
#: Begins `Page.play`: a call by the names of the parameters, if they are the assignment's, as `Check.call` does it.
PLAY = """
import inspect as byhand_inspect

def byhand_call(function, **given):
    parameters = list(byhand_inspect.signature(function).parameters.values())
    known = {name.lower(): one for name, one in given.items()}
    named = {one.name: known[one.name.lower()] for one in parameters if one.name.lower() in known}
    others = [one for one in parameters if one.name not in named and one.default is one.empty]
    return function(*given.values()) if others else function(**named)
"""


class MisshapenError(Exception):
    """The returned value lacks a required part; `mistake` is the name of the known mistake, if any."""

    def __init__(self, message: str, mistake: str = "") -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True)
class Probe:
    """One call of a function, with its expected outputs and those of known mistakes."""

    arguments: Mapping[str, Any]  # by their names in the assignment
    wrong: Mistakes = ()
    slopes: Mapping[str, Slope] = field(default_factory=dict)  # finite differences
    m: int = 0  # number of samples, if the outputs depend on it
    right: Outputs = field(default_factory=dict)  # by default the outputs of the reference
    case: str = ""  # how it differs from the other calls, for a mistake that shows only here
    remark: str = ""  # a right function may fail this call, and then gets this remark


@dataclass(frozen=True)
class Function:
    name: str
    outputs: Reader
    probes: Generator
    uses: tuple[str, ...] = ()  # functions of the assignment that it calls
    default_message: str = "differs from the right value"  # if no known mistake matches
    in_place: tuple[str, ...] = ()  # arguments that it should change in place
    lenient: Reader | None = None  # of outputs that are right only if the student's later functions take them
    seeded: tuple[str, ...] = ()  # functions that return random numbers: always the reference's, with a seed


@dataclass(frozen=True)
class Page:
    """A reference implementation, and the functions that a student writes, in the order of the assignment."""

    name: str
    module: ModuleType
    given: tuple[str, ...] = ()  # functions that are provided or optional: a file without them is complete
    functions: list[Function] = field(default_factory=list)
    modules: Mapping[str, str] = field(default_factory=dict)  # of the assignment, which its files import
    glue: str = ""  # functions that call methods of the student's class `glue_class`
    glue_class: str = ""
    play: str = ""  # `byhand_start`, `byhand_step`, `byhand_read`, which train and predict with the functions

    def __getitem__(self, name: str) -> Function:
        return next(function for function in self.functions if function.name == name)

    def function(self, outputs: Reader, **entries: Any) -> Callable[[Generator], Generator]:
        """Return a decorator that adds a function, given by the generator of its probes, which has the same name."""

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
        """Return the functions that a function calls, directly or indirectly."""
        return set(function.uses).union(*(self.depends_on(self[name]) for name in function.uses))


# ---- readers of a single value, a tuple and a dictionary, and their parts


def one(name: str) -> Reader:
    def outputs(value: Any, _printed: str) -> Outputs:
        if isinstance(value, tuple):
            raise MisshapenError(f"must return only {name}, got {len(value)} values", "too much returned")
        return {name: value}

    return outputs


def several(*names: str) -> Reader:
    return lambda value, _printed: dict(zip(names, parts(value, *names), strict=True))


def dictionary(name: str) -> Reader:
    return lambda value, _printed: entries(value, name)


def parts(value: Any, *names: str) -> tuple[Any, ...]:
    is_sequence = isinstance(value, tuple | list)
    if is_sequence and len(value) == len(names):
        return tuple(value)
    got = f"{len(value)} values" if is_sequence else "nothing" if value is None else "one value"
    fewer = not is_sequence or len(value) < len(names)
    mistake = "nothing returned" if value is None else "too little returned" if fewer else "too much returned"
    raise MisshapenError(f"must be a tuple of {listed(names)}, got {got}", mistake)


def entries(value: Any, name: str) -> Outputs:
    if not isinstance(value, dict):
        mistake = "nothing returned" if value is None else ""
        raise MisshapenError(f"must return the dictionary {name}, got {kind_of(value)}", mistake)
    return {str(key): entry for key, entry in value.items()}


def as_numbers(value: Any) -> Array | None:
    """Return the value as an array of floats, or None if that is impossible."""
    if value is None or isinstance(value, str | Unsendable | dict):
        return None
    try:
        return np.asarray(value, dtype=float)
    except (ValueError, TypeError):
        return None


def numbers(value: Any, name: str) -> Array:
    array = as_numbers(value)
    if array is None or not array.size:
        raise MisshapenError(f"{name} must be an array of numbers, got {kind_of(value)}")
    return array


def kind_of(value: Any) -> str:
    if isinstance(value, Unsendable):
        return value.what
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.ndim else "a number"
    return "nothing" if value is None else f"a {type(value).__name__}"


def slope(f: Callable[[Array], Any], x: Array, divisor: float = 1.0, h: float = 1e-5) -> Slope:
    """Return a function of a place in x: (f(x + h) − f(x − h)) / 2h there, where f returns one number."""

    def at(where: tuple[Any, ...]) -> float:
        step = np.zeros(x.shape)
        step[where] = h
        return float(f(x + step) - f(x - step)) / (2 * h) / divisor

    return at


def slopes_of(
    f: Callable[[dict[str, Array]], Any], arrays: dict[str, Array], divisors: Mapping[str, float] | None = None
) -> dict[str, Slope]:
    """Return the derivatives of f with respect to each of its arrays, under the names of the gradients."""

    def by(name: str) -> Slope:
        return slope(lambda value: f({**arrays, name: value}), arrays[name], (divisors or {}).get(name, 1.0))

    return {f"d{name}": by(name) for name in arrays}


def away_from_zero(rng: Random, *shape: int) -> Array:
    """Draw normal numbers, all at least 0.05 away from the kink of relu."""
    Z = rng.normal(size=shape)
    return Z + 0.05 * np.sign(Z)


# ---- probes of both references, and the outputs with each mistake


def relu_mistakes(Z: Array) -> list[tuple[str, Array]]:
    return [
        ("leaky relu", np.where(Z > 0, Z, 0.01 * Z)),
        ("absolute value", np.abs(Z)),
        ("minimum for maximum", np.minimum(0, Z)),
        ("mask for relu", Z > 0),
    ]


def softmax_probes(rng: Random) -> Iterator[Probe]:
    """Yield the probes of softmax: a batch, a square, and numbers so large that e^Z overflows."""
    for Z in (rng.normal(size=(4, 6)), rng.normal(size=(5, 5))):
        yield Probe({"Z": Z}, softmax_mistakes(Z))
    yield Probe({"Z": 1000 + rng.normal(size=(3, 4))}, remark=OVERFLOW)


def softmax_mistakes(Z: Array) -> list[tuple[str, Array]]:
    E = np.exp(Z - Z.max(axis=0))
    rows = np.exp(Z - Z.max(axis=1, keepdims=True))
    mistakes = [
        ("softmax along the wrong axis", rows / rows.sum(axis=1, keepdims=True)),
        ("softmax over everything", np.exp(Z) / np.exp(Z).sum()),
        ("softmax over everything", E / E.sum()),
        ("softmax not normalized", np.exp(Z)),
        ("softmax not normalized", E),
        ("softmax not normalized", np.exp(Z - Z.max())),
    ]
    if Z.shape[0] == Z.shape[1]:  # E / E.sum(axis=1), without keepdims, is possible only here
        mistakes.append(("softmax along the wrong axis", E / E.sum(axis=1)))
    return mistakes


def one_hot_probes(rng: Random, one_hot: Callable[[Array], Array], argument: str) -> Iterator[Probe]:
    """Yield the probes of one_hot, whose argument has another name in each reference."""
    for labels in (np.append(rng.integers(10, size=6), 9), np.append(rng.permutation(9), 9)):
        yield Probe({argument: labels})
    yield Probe({argument: rng.permutation(7)}, remark=BY_LARGEST)


def linear_backward(dZ: Array, H_prev: Array, W: Array) -> dict[str, Any]:
    m = dZ.shape[1]
    return {"dH_prev": W.T @ dZ, "dW": dZ @ H_prev.T / m, "db": dZ.sum(axis=1, keepdims=True) / m}


def gradients_from(dZ: Array, memories: Any, derivative: Any = lambda Z: Z > 0) -> dict[str, Any]:
    """Return all gradients, from the dZ of the last layer and a derivative of relu, which may both be wrong."""
    gradients: dict[str, Any] = {}
    for layer in range(len(memories), 0, -1):
        (H_prev, W, _), _ = memories[layer - 1]
        part = linear_backward(dZ, H_prev, W)
        gradients |= {f"dH{layer - 1}": part["dH_prev"], f"dW{layer}": part["dW"], f"db{layer}": part["db"]}
        if layer > 1:
            dZ = part["dH_prev"] * derivative(memories[layer - 2][1])
    return gradients


def bias_mistakes(dZs: Mapping[str, Array]) -> list[tuple[str, Outputs]]:
    """Return each db with each mistake, from the dZ of each layer; the correct db is the sum over samples / m."""
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
    return [
        ("old weight dropped", {name: rate * step for name, step in steps.items()}),
        ("old weight dropped", {name: -rate * step for name, step in steps.items()}),
        ("climbing", {name: old[name] + rate * step for name, step in steps.items()}),
        ("learning rate left out", {name: old[name] - step for name, step in steps.items()}),
        ("not updated", dict(old)),
    ]


def training_mistakes(trained: Callable[[int, float], Outputs], k: int, rate: float) -> list[tuple[str, Outputs]]:
    """Return the result of `k` iterations with each mistake. `trained` takes (iterations, learning rate)."""
    return [
        ("an iteration too many", trained(k + 1, rate)),
        ("an iteration too few", trained(k - 1, rate)),
        ("begun again in every iteration", trained(1, rate)),
        ("not trained", trained(0, rate)),
        ("climbing", trained(k, -rate)),
    ]
