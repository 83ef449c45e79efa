"""The gradient check: is the derivative that `backward` gives the slope that `forward` has?

Every parameter is moved a little both ways, and the differences of the losses are held against the derivative a:

    n = [8 (L(p + h) − L(p − h)) − (L(p + 2h) − L(p − 2h))] / 12h       relative error = |a − n| / max(|a|, |n|, 1e-6)

in float64. (The plain difference (L(p + h) − L(p − h)) / 2h errs by h²; the second pair of points takes that term away,
so h can be a thousandth, where rounding doesn't matter yet.) A right derivative agrees to about 1e-8. Small networks
are checked element by element, large ones along random directions. Where a relu's sum changes sign between the points
there is no slope to compare with: such places are counted and skipped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from byhand.nn.layers import Activation
from byhand.nn.losses import Loss, SoftmaxCrossEntropy
from byhand.nn.network import Network
from byhand.nn.noise import Moment
from byhand.nn.scratch import Array

FLOOR = 1e-6


@dataclass(frozen=True)
class TensorCheck:
    """One tensor's worst place: where the analytic and the numeric derivative are furthest apart."""

    name: str
    error: float
    place: tuple[int, ...]
    analytic: float
    numeric: float
    checked: int
    kinks: int

    def __str__(self) -> str:
        where = f"[{', '.join(map(str, self.place))}]" if self.place else ""
        skipped = f", {self.kinks} on a kink skipped" if self.kinks else ""
        if not self.checked:
            return f"{self.name}: not checked{skipped}"
        return (
            f"{self.name}: worst relative error {self.error:.1e} at {self.name}{where} "
            f"(backward {self.analytic:.6e}, slope {self.numeric:.6e}; {self.checked} checked{skipped})"
        )


@dataclass(frozen=True)
class GradCheck:
    """The whole check. True when every tensor was checked and its worst relative error is under `tolerance`."""

    tensors: tuple[TensorCheck, ...]
    tolerance: float

    @property
    def worst(self) -> TensorCheck:
        """The tensor furthest from its slope."""
        return max(self.tensors, key=lambda tensor: tensor.error)

    def __bool__(self) -> bool:
        return self.worst.error < self.tolerance and all(tensor.checked for tensor in self.tensors)

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
    at: Moment | None = None,
    tolerance: float = 1e-6,
    step: float = 1e-3,
    elements: int = 200,
) -> GradCheck:
    """Compare `network.backward` with central differences of the loss, tensor by tensor.

    X: (N, in_size), target: labels (N,) or (N, K), weights: (N,). The network is copied to float64 first and is not
    changed. A tensor of at most `elements` numbers is checked element by element; a larger one along `elements` random
    directions, drawn from `rng`. `at` is the moment of training, which switches dropout and batch norm to what they do
    there. A place that seems wrong is looked at again with a longer and a shorter `step`, and the best counts.
    """
    loss = loss or SoftmaxCrossEntropy()
    rng = rng or np.random.default_rng(0)
    network = network.copy(np.float64)
    X, target = np.asarray(X, np.float64), np.asarray(target)

    def evaluate() -> tuple[float, list[Array]]:
        out, caches = network.forward(X, at=at)
        return loss(out, target, weights=weights)[0], _switches(network, caches)

    out, caches = network.forward(X, at=at)
    _, dout = loss(out, target, weights=weights)
    vector, views = network.gradient_like()
    network.backward(dout, caches, views)

    tensors = []
    for (name, values), (_, derivative) in zip(network.named(), network.named(vector), strict=True):
        whole = values.size <= elements
        worst = TensorCheck(name, 0.0, (), 0.0, 0.0, 0, 0)
        checked = kinks = 0
        for index in range(values.size if whole else elements):
            if whole:
                direction = np.zeros(values.shape)
                direction.flat[index] = 1
            else:
                direction = rng.standard_normal(values.shape)
                direction /= np.linalg.norm(direction)
            numeric, is_smooth = _slope(evaluate, values, direction, step)
            if not is_smooth:
                kinks += 1
                continue
            checked += 1
            analytic = float(np.vdot(derivative, direction))
            error = _relative_error(analytic, numeric)
            for other in (4 * step, step / 4):  # rounding spoils a short step, a sharp bend a long one
                if error < tolerance:
                    break
                again, is_smooth = _slope(evaluate, values, direction, other)
                if is_smooth and _relative_error(analytic, again) < error:
                    numeric, error = again, _relative_error(analytic, again)
            if error > worst.error:
                place = tuple(int(i) for i in np.unravel_index(index, values.shape)) if whole else ()
                worst = TensorCheck(name, error, place, analytic, numeric, 0, 0)
        tensors.append(replace(worst, checked=checked, kinks=kinks))
    return GradCheck(tuple(tensors), tolerance)


def _relative_error(analytic: float, numeric: float) -> float:
    """|a − n| / max(|a|, |n|, 1e-6), infinite where one of them is no number"""
    error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), FLOOR)
    return error if np.isfinite(error) else np.inf


Evaluate = Callable[[], tuple[float, list[Array]]]


def _slope(evaluate: Evaluate, values: Array, direction: Array, h: float) -> tuple[float, bool]:
    """[8 (L(p + h) − L(p − h)) − (L(p + 2h) − L(p − 2h))] / 12h, and whether no unit with a kink switched"""
    near, smooth_near = _rise(evaluate, values, h * direction)
    far, smooth_far = _rise(evaluate, values, 2 * h * direction)
    return (8 * near - far) / (12 * h), smooth_near and smooth_far


def _rise(evaluate: Evaluate, values: Array, change: Array) -> tuple[float, bool]:
    """L(p + change) − L(p − change), and whether no unit with a kink switched between the two."""
    start = values.copy()
    sides = []
    for sign in (1, -1):
        values[...] = start + sign * change
        sides.append(evaluate())
    values[...] = start
    (above, on_above), (below, on_below) = sides
    same = all(np.array_equal(a, b) for a, b in zip(on_above, on_below, strict=True))
    return above - below, same


def _switches(network: Network, caches: list[Array]) -> list[Array]:
    """For each activation with a kink, which units were on                          [(N, n) boolean, …]"""
    return [
        cache > 0
        for layer, cache in zip(network.layers, caches, strict=True)
        if isinstance(layer, Activation) and layer.pair.has_kink
    ]
