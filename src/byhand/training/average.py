"""The moving average of the weights: it follows them step by step, and takes their place where they are judged."""

import numpy as np

from byhand.nn.scratch import Array, Workspace


def fold(average: Array, parameters: Array, decay: float, number: int, work: Workspace) -> None:
    """a ← a + (1 − d)(p − a), with d rising to `decay` so that the start is soon forgotten; step `number` from 0"""
    decay = min(decay, (1 + number) / (10 + number))
    change = work.empty(("average", "change"), average.shape, average.dtype)
    np.subtract(parameters, average, out=change)
    change *= 1 - decay
    average += change


class Swapped:
    """A context in which `parameters` holds the values of `other`; nothing happens where there is no other."""

    def __init__(self, parameters: Array, other: Array | None) -> None:
        self.parameters, self.other = parameters, other

    def __enter__(self) -> None:
        if self.other is not None:
            self.kept = self.parameters.copy()
            self.parameters[...] = self.other

    def __exit__(self, *_: object) -> None:
        if self.other is not None:
            self.parameters[...] = self.kept
