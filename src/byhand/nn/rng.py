"""Random numbers: initial weights and dropout masks.

A dropout mask is a function of (seed, layer, step, row of the batch, unit). So it does not change if a batch is split
into blocks, threads or processes, or if a run is resumed. The random numbers are counter-based: each is the hash of its
position, computed with two rounds of xor-shift and multiply, without state. The constants were found by Chris Wellons
with a search; the bias of every output bit is below 0.2 %.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byhand import checks

Array = NDArray[Any]

# ---- dropout masks

_MULTIPLY_1 = np.uint32(0x7FEB352D)
_MULTIPLY_2 = np.uint32(0x846CA68B)
MASK_64 = (1 << 64) - 1
#: The increment of SplitMix64: 2⁶⁴ over the golden ratio, made odd.
GOLDEN_64 = 0x9E3779B97F4A7C15


class StepKey(NamedTuple):
    """Key of the random numbers of a step: the run's seed, the step, and the first row of the block in the batch."""

    seed: int
    step: int
    row: int = 0


def dropout_mask(keep: float, key: StepKey, layer: int, mask: Array, bits: Array, shifted: Array) -> Array:
    """Fill `mask` with 1 with probability `keep`, otherwise 0; layer: its index     mask: boolean (N, n)

    bits, shifted: uint32 (N, n), memory for intermediate results
    """
    N, n = mask.shape
    stream = _hash(_hash(_hash(int(key.seed)) ^ int(key.step)) ^ layer)
    rows = np.arange(key.row, key.row + N, dtype=np.uint32)
    rows *= np.uint32(0x9E3779B9)
    rows += np.uint32(stream >> 32)
    units = np.arange(n, dtype=np.uint32)
    units *= np.uint32(0x85EBCA6B)
    units += np.uint32(stream & 0xFFFFFFFF)
    _scramble(rows, np.empty_like(rows))
    _scramble(units, np.empty_like(units))
    np.add(rows[:, None], units, out=bits)
    _scramble(bits, shifted)
    return np.less(bits, np.uint32(min(round(keep * 2**32), 2**32 - 1)), out=mask)


def _scramble(bits: Array, shifted: Array) -> None:
    """Hash each 32-bit number in place; `shifted` is an array of the same shape for intermediate results."""
    np.right_shift(bits, 16, out=shifted)
    np.bitwise_xor(bits, shifted, out=bits)
    np.multiply(bits, _MULTIPLY_1, out=bits)
    np.right_shift(bits, 15, out=shifted)
    np.bitwise_xor(bits, shifted, out=bits)
    np.multiply(bits, _MULTIPLY_2, out=bits)
    np.right_shift(bits, 16, out=shifted)
    np.bitwise_xor(bits, shifted, out=bits)


def _hash(number: int) -> int:
    """Return the first word of the SplitMix64 stream of a 64-bit integer."""
    word: int = mix64((number + GOLDEN_64) & MASK_64)
    return word


def mix64(z: Any) -> Any:
    """SplitMix64 finalizer: a bijective 64-bit mixer, for a Python integer or an array of uint64."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK_64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK_64
    return z ^ (z >> 31)


# ---- initial weights: `he`, `glorot` and `lecun` keep the variance of the signal about the same from layer to layer

#: A random generator: NumPy's current one, or the legacy one that the reference programs use.
Rng = np.random.Generator | np.random.RandomState
Initializer = Callable[[int, int, Rng], tuple[Array, Array]]


def he(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ N(0, 2 / fan_in), b = 0: for ReLU, which sets half of the sums to 0    W: (fan_in, fan_out), b: (fan_out,)"""
    return rng.standard_normal((fan_in, fan_out)) * np.sqrt(2 / fan_in), np.zeros(fan_out)


def glorot(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ U(−a, a), a = √(6 / (fan_in + fan_out)), b = 0: for tanh and sigmoid"""
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out)), np.zeros(fan_out)


def lecun(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ N(0, 1 / fan_in), b = 0: for layers without an activation function"""
    return rng.standard_normal((fan_in, fan_out)) * np.sqrt(1 / fan_in), np.zeros(fan_out)


def l_layer(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W ~ 0.1 N(0, 1), b = 0: the initial values of `byhand.reference.l_layer`, whose W is (fan_out, fan_in)"""
    return (rng.standard_normal((fan_out, fan_in)) * 0.1).T, np.zeros(fan_out)


def two_layer(fan_in: int, fan_out: int, rng: Rng) -> tuple[Array, Array]:
    """W, b ~ U(−½, ½): the initial values of `byhand.reference.two_layer`, whose W is (fan_out, fan_in)"""
    return (rng.uniform(size=(fan_out, fan_in)) - 0.5).T, rng.uniform(size=fan_out) - 0.5


INITIALIZERS: dict[str, Initializer] = {rule.__name__: rule for rule in (he, glorot, lecun, l_layer, two_layer)}


def initializer_named(name: str) -> Initializer:
    """Return the initializer with this name."""
    return INITIALIZERS[checks.choice("init", name, INITIALIZERS)]
