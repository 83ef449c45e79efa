"""Noise: random numbers that depend on where they are used and on nothing else.

A dropout mask is a function of (seed, layer, step, row of the batch, unit). So a batch may be cut into blocks, given to
threads or machines, or run again after a stop, and every piece sees the numbers that the whole would have seen.

The generator is a counter put through an integer hash (two rounds of xor-shift and multiply, with the constants that
Chris Wellons found by search: bias under 0.2 % in every output bit); it needs no state and works on whole arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from byhand.nn.scratch import Array, Fresh

_MULTIPLY_1 = np.uint32(0x7FEB352D)
_MULTIPLY_2 = np.uint32(0x846CA68B)
_GOLDEN = 0x9E3779B97F4A7C15
_MASK_64 = (1 << 64) - 1


@dataclass(frozen=True)
class Moment:
    """A moment of training: which run (seed), which step, and where in the batch the rows at hand begin.

    Where several processes share the batch, `sum` adds an array up over all of them, in place.
    """

    seed: int
    step: int
    row: int = 0
    sum: Callable[[Array], None] | None = None


def keep_mask(keep: float, shape: tuple[int, int], at: Moment, layer: int, work: Fresh) -> Array:
    """1 with probability `keep`, else 0, for each of `shape` = (N, n)           boolean (N, n)"""
    N, n = shape
    rows = work.empty((keep_mask, f"rows {layer}"), (N,), np.uint32)
    bits = work.empty((keep_mask, f"bits {layer}"), shape, np.uint32)
    shifted = work.empty((keep_mask, f"shifted {layer}"), shape, np.uint32)
    mask = work.empty((keep_mask, f"mask {layer}"), shape, np.bool_)
    stream = _mix(_mix(_mix(int(at.seed)) ^ int(at.step)) ^ layer)
    np.copyto(rows, np.arange(at.row, at.row + N, dtype=np.uint32))
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
    """One round of SplitMix64 on a whole number: neighbours come out unrelated."""
    z = (number + _GOLDEN) & _MASK_64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return z ^ (z >> 31)
