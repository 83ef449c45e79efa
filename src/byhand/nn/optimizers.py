"""Optimizers: `update(parameters, gradient, state, rate)` takes one step, in place.

The formulas are those of PyTorch; tests compare every optimizer with it. The symbols are: p parameters, g gradient,
η learning rate, λ weight decay. `state` holds the vectors that an optimizer keeps between steps, such as the velocity.
It is a dictionary, so that a checkpoint can save it. `weight_slice` is the part of the vector that weight decay applies
to: the weights, not the biases.

Large vectors are updated in chunks, so that all operations on a chunk find it in the L2 cache.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from byhand import checks
from byhand.nn.arrays import Array
from byhand.schema import of_kind

State = dict[str, Array]

#: Size of a chunk. Measured with 2 MiB of L2 cache, SGD and Adam, on 100,000 to 1.3 million parameters: no size from
#: 16,384 to 131,072 was faster, and for small networks a step took up to 7 % less time.
CHUNK = 32_768


class Part(NamedTuple):
    """A chunk of each vector: parameters, gradient and state; `decays` is True if weight decay applies to it."""

    p: Array
    g: Array
    moments: State
    decays: bool
    scratch: Array


@dataclass(frozen=True)
class Optimizer:
    """Base class of the optimizers. `weight_decay` is the factor λ of the L2 penalty λ/2 Σ p² on the weights."""

    weight_decay: float = 0.0

    kind: ClassVar[str]
    #: The names of the vectors in the state.
    state_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool):
                continue
            if name in ("momentum", "beta1", "beta2", "alpha"):
                number = checks.fraction(name, value, zero=True)
            else:
                number = checks.positive(name, value) if name == "epsilon" else checks.number(name, value, 0)
            object.__setattr__(self, name, number)  # with a NumPy float64, float32 vectors would become float64

    def start(self, parameters: Array) -> State:
        """Return the state before the first step: zeros."""
        return {"steps": np.zeros(1, np.int64), **{name: np.zeros_like(parameters) for name in self.state_names}}

    def update(self, parameters: Array, gradient: Array, state: State, rate: float, *, weight_slice: slice) -> None:
        """Change `parameters` and `state` by one step, in place                       parameters, gradient: (P,)"""
        self.step(self.parts(parameters, gradient, state, weight_slice), state, rate)

    def parts(self, parameters: Array, gradient: Array, state: State, weight_slice: slice) -> list[Part]:
        """Split the vectors into chunks for `step`; training does this once."""
        scratch = np.empty((2, min(CHUNK, len(parameters))), parameters.dtype)
        boundary = weight_slice.stop if self.weight_decay else 0
        return [
            Part(
                parameters[chunk],
                gradient[chunk],
                {name: state[name][chunk] for name in self.state_names},
                chunk.stop <= boundary,
                scratch[:, : chunk.stop - chunk.start],
            )
            for chunk in chunks(len(parameters), boundary)
        ]

    def step(self, parts: list[Part], state: State, rate: float) -> None:
        """Take one step; `parts` is the result of the method `parts`."""
        number, rate = int(state["steps"][0]) + 1, float(rate)
        state["steps"][0] = number
        for p, g, moments, decays, (scratch, more_scratch) in parts:
            self.rule(p, self.decay(p, g, rate, more_scratch) if decays else g, moments, rate, number, scratch)

    def decay(self, p: Array, g: Array, rate: float, scratch: Array) -> Array:
        """g + λ p: the gradient of the loss plus the L2 penalty λ/2 Σ p²"""
        decayed = np.multiply(p, self.weight_decay, out=scratch)
        decayed += g
        return decayed

    def rule(self, p: Array, g: Array, moments: State, rate: float, step: int, scratch: Array) -> None:
        """Update one chunk in place."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the optimizer and its settings as plain values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """p ← p − η g"""

    kind: ClassVar[str] = "sgd"

    def rule(self, p: Array, g: Array, moments: State, rate: float, step: int, scratch: Array) -> None:
        p -= np.multiply(g, rate, out=scratch)


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v ← μ v + g;  p ← p − η v, or with Nesterov momentum  p ← p − η (g + μ v)"""

    momentum: float = 0.9
    nesterov: bool = False

    kind: ClassVar[str] = "momentum"
    state_names: ClassVar[tuple[str, ...]] = ("velocity",)

    def rule(self, p: Array, g: Array, moments: State, rate: float, step: int, scratch: Array) -> None:
        v = moments["velocity"]
        v *= self.momentum
        v += g
        if self.nesterov:
            np.multiply(v, self.momentum, out=scratch)
            scratch += g
            scratch *= rate
        else:
            np.multiply(v, rate, out=scratch)
        p -= scratch


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s ← α s + (1 − α) g²;  p ← p − η g / (√s + ε)"""

    alpha: float = 0.99
    epsilon: float = 1e-8

    kind: ClassVar[str] = "rmsprop"
    state_names: ClassVar[tuple[str, ...]] = ("square",)

    def rule(self, p: Array, g: Array, moments: State, rate: float, step: int, scratch: Array) -> None:
        s = moments["square"]
        np.multiply(g, g, out=scratch)
        scratch *= 1 - self.alpha
        s *= self.alpha
        s += scratch
        np.sqrt(s, out=scratch)
        scratch += self.epsilon
        np.divide(g, scratch, out=scratch)
        scratch *= rate
        p -= scratch


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  p ← p − η m̂ / (√v̂ + ε),  m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)

    m and v are exponential moving averages (EMA); m̂ and v̂ correct their bias toward 0. The state holds
    m′ = m/(1 − β₁) and v′ = v/(1 − β₂), which saves two multiplications. With a = √((1 − β₂)/(1 − β₂ᵗ)):

        p ← p − [η (1 − β₁) / ((1 − β₁ᵗ) a)] m′ / (√v′ + ε/a)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    kind: ClassVar[str] = "adam"
    state_names: ClassVar[tuple[str, ...]] = ("first", "second")

    def rule(self, p: Array, g: Array, moments: State, rate: float, step: int, scratch: Array) -> None:
        m, v = moments["first"], moments["second"]
        m *= self.beta1
        m += g
        v *= self.beta2
        v += np.multiply(g, g, out=scratch)
        a = math.sqrt((1 - self.beta2) / (1 - self.beta2**step))
        np.sqrt(v, out=scratch)
        scratch += self.epsilon / a
        np.divide(m, scratch, out=scratch)
        scratch *= rate * (1 - self.beta1) / ((1 - self.beta1**step) * a)
        p -= scratch


@dataclass(frozen=True)
class AdamW(Adam):
    """p ← p − η λ p, then Adam's step: decoupled weight decay, which is not divided by √v̂"""

    weight_decay: float = 0.01

    kind: ClassVar[str] = "adamw"

    def decay(self, p: Array, g: Array, rate: float, scratch: Array) -> Array:
        p *= 1 - rate * self.weight_decay
        return g


OPTIMIZERS: dict[str, type[Optimizer]] = {rule.kind: rule for rule in (GradientDescent, Momentum, RMSprop, Adam, AdamW)}


def optimizer_named(kind: str, **settings: Any) -> Optimizer:
    """Return the optimizer with this name and these settings."""
    return of_kind("optimizer", OPTIMIZERS, {"kind": kind, **settings})


def clip_norm(gradient: Array, limit: float | None) -> float:
    """Return the gradient's norm, and scale the gradient down to `limit` in place if it is larger   gradient: (P,)"""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        square = np.dot(gradient, gradient)
    if np.finfo(gradient.dtype).tiny <= square < np.inf:
        norm = float(np.sqrt(square))
    else:  # the sum of squares can overflow although the norm is finite
        norm = largest = float(np.abs(gradient).max(initial=0))
        if 0 < largest < np.inf:
            scaled = gradient / gradient.dtype.type(largest)
            norm *= float(np.sqrt(np.dot(scaled, scaled)))
    if limit is not None and limit < norm < np.inf:
        gradient *= float(limit) / norm
    return norm


def chunks(size: int, boundary: int) -> Iterator[slice]:
    """Yield slices of at most CHUNK that cover 0 … size and do not cross `boundary`."""
    for start, stop in ((0, boundary), (boundary, size)):
        for left in range(start, stop, CHUNK):
            yield slice(left, min(left + CHUNK, stop))
