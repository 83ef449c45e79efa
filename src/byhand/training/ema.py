"""The exponential moving average (EMA) of the weights, which replaces the last weights in validation and at the end."""

import contextlib
from collections.abc import Iterator

import numpy as np

from byhand.nn.arrays import Array


def update_ema(average: Array, parameters: Array, decay: float, number: int, scratch: Array) -> None:
    """a ← a + (1 − d)(p − a), with d rising to `decay`, so that the first weights are soon forgotten

    number: of the step, from 0;  scratch: any memory for some of the numbers at once
    """
    decay = min(decay, (1 + number) / (10 + number))
    for start in range(0, len(average), len(scratch)):
        part = slice(start, start + len(scratch))
        change = np.subtract(parameters[part], average[part], out=scratch[: len(average) - start])
        change *= 1 - decay
        average[part] += change


@contextlib.contextmanager
def temporarily_replaced(parameters: Array, other: Array | None) -> Iterator[None]:
    """Let `parameters` hold the values of `other` inside this block; do nothing if there is no other."""
    if other is None:
        yield
        return
    kept = parameters.copy()
    parameters[...] = other
    try:
        yield
    finally:
        parameters[...] = kept
