"""A student's network: the functions of a checked file, which train and predict in the sandbox."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from byhand.course.check import open_check
from byhand.course.check.diagnosis import Report
from byhand.course.probes import Array, as_numbers
from byhand.course.sandbox.runner import Limits
from byhand.errors import UsageError

#: Seconds of CPU time for the whole file: a training is not limited, each of its calls is.
DAY = 86_400.0


class OwnNetwork(contextlib.AbstractContextManager["OwnNetwork"]):
    """The functions of a student's file that train a network, as a context.

    First the file is checked. `report` then has the functions that training needs, unless all of them are right.
    Weights are W1, b1, W2, b2, …, with shapes (n, n_prev) and (n, 1). They are kept by the caller: if a call exceeds a
    limit, its process ends, and the next call starts another one.
    """

    def __init__(self, path: Path, adapter: str | None = None, limits: Limits | None = None) -> None:
        self.file = path.name
        self._check, report = open_check(path, replace(limits or Limits(), total=DAY), adapter=adapter, with_play=True)
        page = self._check.page
        try:
            if not page.play:
                raise UsageError(f"the adapter {page.name} has no `play`: its networks can't be trained on digits")
            called = [one for one in page.functions if re.search(rf"\b{one.name}\b", page.play)]
            needed = {one.name for one in called}.union(*map(page.depends_on, called)) - self._check.given
            verdicts = tuple(one for one in report.verdicts if one.function in needed and one.status != "right")
            self.report: Report | None = replace(report, verdicts=verdicts) if verdicts or not report.found else None
        except BaseException:
            self._check.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._check.close()

    def start(self, sizes: Sequence[int]) -> list[Array]:
        """Return the initial weights of a network; its hidden layers may have other sizes, if they are fixed."""
        weights = self._weights("byhand_start", self._call("byhand_start", [int(size) for size in sizes]))
        matrices = weights[::2]
        if matrices[0].shape[1] != sizes[0] or len(matrices[-1]) != sizes[-1]:
            got = f"{matrices[0].shape[1]} inputs and {len(matrices[-1])} outputs"
            raise UsageError(f"{self.file}: the network must have {sizes[0]} inputs and {sizes[-1]} outputs, got {got}")
        return weights

    def step(self, X: Array, labels: Array, weights: list[Array], rate: float) -> tuple[Array, list[Array]]:
        """Return the probabilities (K, m) before a step, and the weights after it.  X: (D, m)   labels: (m,)"""
        value = self._call("byhand_step", X, labels, weights, rate)
        outputs, after = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
        after = self._weights("byhand_step", after)
        if [one.shape for one in after] != [one.shape for one in weights]:
            raise UsageError(f"{self.file}: a step changed the shapes of the weights")
        return self._array(outputs, (len(weights[-1]), X.shape[1])), after

    def read(self, X: Array, weights: list[Array]) -> tuple[Array, Array]:
        """Return the probabilities (K, m) and the predicted classes (m,).  X: (D, m)"""
        value = self._call("byhand_read", X, weights)
        outputs, classes = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
        numbers = as_numbers(classes)
        return self._array(outputs, (len(weights[-1]), X.shape[1])), self._array(
            None if numbers is None else numbers.ravel(), (X.shape[1],)
        )

    def _call(self, name: str, *arguments: Any) -> Any:
        outcome = self._check.student.call(name, arguments)
        if outcome.died or outcome.error:
            hint = " (a smaller batch takes less time)" if "did not end" in outcome.died else ""
            raise UsageError(f"{self.file}: {self._check.why_failed(name, outcome)}{hint}")
        return outcome.value

    def _weights(self, name: str, value: Any) -> list[Array]:
        found = [as_numbers(one) for one in value] if isinstance(value, list | tuple) else []
        arrays = [one for one in found if one is not None]
        matrices, biases = arrays[::2], arrays[1::2]
        fit = len(found) == len(arrays) == 2 * len(biases) > 0 and all(one.ndim == 2 and one.size for one in matrices)
        if not fit or any(len(W) != b.size for W, b in zip(matrices, biases, strict=True)):
            raise UsageError(f"{self.file}: {name} must return the weights W1, b1, …, as arrays that fit each other")
        return [one if k % 2 == 0 else one.reshape(-1, 1) for k, one in enumerate(arrays)]

    def _array(self, value: Any, shape: tuple[int, ...]) -> Array:
        numbers = as_numbers(value)
        if numbers is None or numbers.shape != shape:
            raise UsageError(f"{self.file}: the outputs of the network must be an array of shape {shape}")
        return numbers
