"""Noise: random numbers that depend on where they are used and on nothing else.

A dropout mask is a function of (seed, layer, step, row of the batch, unit). A batch can be cut into blocks, shared by
threads or processes, or run again after a stop, and every part sees the numbers that the whole would have seen.

The generator is counter-based: it hashes a counter with two rounds of xor-shift and multiply (the constants are those
that Chris Wellons found by search, with a bias under 0.2 % in every output bit). It has no state and works on arrays.
"""

from typing import NamedTuple

import numpy as np

from byhand.nn.arrays import Array, Cache

_MULTIPLY_1 = np.uint32(0x7FEB352D)
_MULTIPLY_2 = np.uint32(0x846CA68B)
_GOLDEN = 0x9E3779B97F4A7C15
_MASK_64 = (1 << 64) - 1


class StepKey(NamedTuple):
    """The key of a step's random numbers: the run's seed, the step, and the row of the batch where the block begins."""

    seed: int
    step: int
    row: int = 0


def dropout_mask(keep: float, key: StepKey, layer: int, cache: Cache) -> Array:
    """Return 1 with probability `keep`, else 0, for each row and unit of the layer's input       boolean (N, n)"""
    N, n = cache.mask.shape
    stream = _mix(_mix(_mix(int(key.seed)) ^ int(key.step)) ^ layer)
    rows = np.arange(key.row, key.row + N, dtype=np.uint32)
    rows *= np.uint32(0x9E3779B9)
    rows += np.uint32(stream >> 32)
    units = np.arange(n, dtype=np.uint32)
    units *= np.uint32(0x85EBCA6B)
    units += np.uint32(stream & 0xFFFFFFFF)
    _scramble(rows, np.empty_like(rows))
    _scramble(units, np.empty_like(units))
    np.add(rows[:, None], units, out=cache.bits)
    _scramble(cache.bits, cache.shifted)
    return np.less(cache.bits, np.uint32(min(round(keep * 2**32), 2**32 - 1)), out=cache.mask)


def _scramble(bits: Array, shifted: Array) -> None:
    """Hash each 32-bit number in place; `shifted` is scratch of the same shape."""
    np.right_shift(bits, 16, out=shifted)
    np.bitwise_xor(bits, shifted, out=bits)
    np.multiply(bits, _MULTIPLY_1, out=bits)
    np.right_shift(bits, 15, out=shifted)
    np.bitwise_xor(bits, shifted, out=bits)
    np.multiply(bits, _MULTIPLY_2, out=bits)
    np.right_shift(bits, 16, out=shifted)
    np.bitwise_xor(bits, shifted, out=bits)


def _mix(number: int) -> int:
    """Return the SplitMix64 hash of a 64-bit integer."""
    z = (number + _GOLDEN) & _MASK_64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return z ^ (z >> 31)
