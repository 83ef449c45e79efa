"""Gradient check: compare the gradient of backpropagation with finite differences of the loss.

Each parameter p is changed by h and 2h in both directions, in float64. The differences of the loss L give the numeric
derivative n, which is compared with the analytic derivative a of `backward`:

    n = [8 (L(p + h) − L(p − h)) − (L(p + 2h) − L(p − 2h))] / 12h       relative error = |a − n| / max(|a|, |n|, 1e-6)

The central difference (L(p + h) − L(p − h)) / 2h has an error of the order h². The points at 2h cancel it, so that h
can be 0.001, where rounding errors are still small. Right derivatives agree to about 1e-8. Small tensors are checked
element by element, large ones along random directions. If the input of a ReLU changes its sign between the points, the
loss has no derivative there: such places are counted and skipped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.layers import Activation
from byhand.nn.losses import Loss, SoftmaxCrossEntropy
from byhand.nn.network import Network
from byhand.nn.rng import StepKey

FLOOR = 1e-6

#: () → loss, and for each activation with a kink which outputs are positive.
Evaluate = Callable[[], tuple[float, list[Array]]]
#: (direction, length h of the step) → slope, or None at a kink.
Slope = Callable[[Array, float], float | None]


@dataclass(frozen=True)
class TensorCheck:
    """Result for one tensor: the place where the analytic and the numeric derivative differ most."""

    name: str
    error: float
    place: tuple[int, ...]
    analytic: float
    numeric: float
    checked: int
    kinks: int

    def __str__(self) -> str:
        where = f"[{', '.join(map(str, self.place))}]" if self.place else ""
        skipped = f", {self.kinks} skipped at a kink" if self.kinks else ""
        if not self.checked:
            return f"{self.name}: not checked{skipped}"
        return (
            f"{self.name}: worst relative error {self.error:.1e} at {self.name}{where} "
            f"(backward {self.analytic:.6e}, slope {self.numeric:.6e}; {self.checked} checked{skipped})"
        )


@dataclass(frozen=True)
class GradCheck:
    """Result of a gradient check; True if every tensor was checked and no relative error reaches `tolerance`."""

    tensors: tuple[TensorCheck, ...]
    tolerance: float

    @property
    def worst(self) -> TensorCheck:
        """The tensor with the largest error."""
        return max(self.tensors, key=lambda tensor: tensor.error)

    def __bool__(self) -> bool:
        return self.worst.error < self.tolerance and all(tensor.checked for tensor in self.tensors)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values, for `byhand check RUN --json`."""
        names = {"analytic": "backward", "numeric": "slope", "kinks": "kinks_skipped"}
        tensors = [{names.get(name, name): value for name, value in vars(one).items()} for one in self.tensors]
        return {"ok": bool(self), "tolerance": self.tolerance, "tensors": tensors}

    def __str__(self) -> str:
        verdict = "passed" if self else "FAILED"
        return "\n".join([*map(str, self.tensors), f"gradient check {verdict} (tolerance {self.tolerance:.0e})"])


def gradcheck(
    network: Network,
    X: Array,
    target: Array,
    *,
    loss: Loss | None = None,
    weights: Array | None = None,
    rng: np.random.Generator | None = None,
    key: StepKey | None = None,
    tolerance: float = 1e-6,
    step: float = 1e-3,
    elements: int = 200,
) -> GradCheck:
    """Compare the gradient of each parameter with finite differences of the loss, on a float64 copy of the network.

    X: (N, in_size), target: labels (N,) or (N, K), weights: (N,). A tensor of at most `elements` numbers is checked
    element by element, a larger one along `elements` random directions from `rng`. With a `key`, dropout and batch norm
    behave as in that training step. `step` is h; where the check fails, it is repeated with 4h and h/4.
    """
    loss, rng = loss or SoftmaxCrossEntropy(), rng or np.random.default_rng(0)
    network = network.copy(np.float64)
    X, target, pass_ = np.asarray(X, np.float64), np.asarray(target), Pass(network)

    def evaluate() -> tuple[float, list[Array]]:
        Z = pass_.forward(X, key)
        return loss(Z, target, weights=weights)[0], _switches(pass_)

    _, dZ = loss(pass_.forward(X, key), target, weights=weights)
    pass_.backward(dZ)
    tensors = []
    for (name, values), (_, derivative) in zip(network.named(), network.named(pass_.gradient), strict=True):
        slope = partial(_slope, evaluate, values)
        tensors.append(_check_tensor(name, values, derivative, slope, rng, tolerance, step, elements))
    return GradCheck(tuple(tensors), tolerance)


def _check_tensor(
    name: str,
    values: Array,
    derivative: Array,
    slope: Slope,
    rng: np.random.Generator,
    tolerance: float,
    step: float,
    elements: int,
) -> TensorCheck:
    """Check one tensor."""
    whole = values.size <= elements
    worst, checked = TensorCheck(name, 0.0, (), 0.0, 0.0, 0, 0), 0
    count = values.size if whole else elements
    for index in range(count):
        direction = _direction(values.shape, index if whole else None, rng)
        analytic = float(np.vdot(derivative, direction))
        numeric = _best_slope(slope, direction, analytic, tolerance, step)
        if numeric is None:
            continue
        checked += 1
        error = _relative_error(analytic, numeric)
        if error > worst.error:
            place = tuple(int(i) for i in np.unravel_index(index, values.shape)) if whole else ()
            worst = TensorCheck(name, error, place, analytic, numeric, 0, 0)
    return replace(worst, checked=checked, kinks=count - checked)


def _direction(shape: tuple[int, ...], index: int | None, rng: np.random.Generator) -> Array:
    """Return a direction of length 1: along the element `index`, or a random one if it is None."""
    direction = rng.standard_normal(shape) if index is None else np.zeros(shape)
    if index is not None:
        direction.flat[index] = 1
    return direction / np.linalg.norm(direction)


def _best_slope(slope: Slope, direction: Array, analytic: float, tolerance: float, step: float) -> float | None:
    """Return the slope along `direction`, or None at a kink.

    Rounding errors grow with shorter steps, and the errors of curvature with longer ones. If the slope differs from the
    analytic derivative, try a longer and a shorter step, and return the slope that agrees best.
    """
    numeric = slope(direction, step)
    for other in (4 * step, step / 4):
        if numeric is None or (error := _relative_error(analytic, numeric)) < tolerance:
            break
        again = slope(direction, other)
        if again is not None and _relative_error(analytic, again) < error:
            numeric = again
    return numeric


def _relative_error(analytic: float, numeric: float) -> float:
    """|a − n| / max(|a|, |n|, 1e-6), or infinity if a or n is not finite"""
    error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), FLOOR)
    return error if np.isfinite(error) else np.inf


def _slope(evaluate: Evaluate, values: Array, direction: Array, h: float) -> float | None:
    """[8 (L(p + h) − L(p − h)) − (L(p + 2h) − L(p − 2h))] / 12h, or None at a kink"""
    near = _rise(evaluate, values, h * direction)
    far = _rise(evaluate, values, 2 * h * direction)
    return None if near is None or far is None else (8 * near - far) / (12 * h)


def _rise(evaluate: Evaluate, values: Array, change: Array) -> float | None:
    """L(p + change) − L(p − change), or None if a ReLU switched on or off between the two"""
    start = values.copy()
    values[...] = start + change
    above, on_above = evaluate()
    values[...] = start - change
    below, on_below = evaluate()
    values[...] = start
    return above - below if all(map(np.array_equal, on_above, on_below)) else None


def _switches(pass_: Pass) -> list[Array]:
    """Return which outputs of the activations with a kink are positive             [(N, n) boolean, …]"""
    return [
        out > 0
        for layer, out in zip(pass_.layers, pass_.outs, strict=True)
        if isinstance(layer, Activation) and layer.function.has_kink
    ]
