"""Initialisers: where the weights start.

A layer that starts too large saturates or explodes, too small and nothing comes through. Each rule below keeps the
size of the signal about the same from layer to layer for one family of activations. The last two are what the
reference pages do, which is not the same thing.
"""

from collections.abc import Callable

import numpy as np

from byhand.errors import UsageError
from byhand.nn.arrays import Array

#: The generator of numbers: a new one, or the old kind whose streams the reference pages reproduce.
Rng = np.random.Generator | np.random.RandomState
Initializer = Callable[[int, int, Rng], tuple[Array, Array]]


def he(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ N(0, 2 / fan_in), b = 0: for relu, which throws half of the signal away

    Here and below: W (fan_in, fan_out), b (fan_out,).
    """
    return rng.standard_normal((fan_in, fan_out)) * np.sqrt(2 / fan_in), np.zeros(fan_out)


def glorot(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ U(−a, a), a = √(6 / (fan_in + fan_out)), b = 0: for tanh and sigmoid"""
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out)), np.zeros(fan_out)


def lecun(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ N(0, 1 / fan_in), b = 0: for layers with no activation after them"""
    return rng.standard_normal((fan_in, fan_out)) * np.sqrt(1 / fan_in), np.zeros(fan_out)


def l_layer(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ 0.1 N(0, 1), whatever the size, b = 0: as `byhand.reference.l_layer` starts

    Drawn as (fan_out, fan_in) and turned, so that the same numbers land on the same connections as on the page.
    """
    return (rng.standard_normal((fan_out, fan_in)) * 0.1).T, np.zeros(fan_out)


def two_layer(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W, b ~ U(−½, ½), whatever the size: as `byhand.reference.two_layer` starts"""
    return (rng.uniform(size=(fan_out, fan_in)) - 0.5).T, rng.uniform(size=fan_out) - 0.5


INITIALIZERS: dict[str, Initializer] = {
    "he": he,
    "glorot": glorot,
    "lecun": lecun,
    "l_layer": l_layer,
    "two_layer": two_layer,
}


def initializer_named(name: str) -> Initializer:
    """The rule of that name, or an error that lists the names there are."""
    if name not in INITIALIZERS:
        raise UsageError(f"init must be one of {', '.join(INITIALIZERS)}, got {name!r}")
    return INITIALIZERS[name]
