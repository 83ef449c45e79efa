"""The gradient check: is the derivative that `backward` gives the slope that `forward` has?

Every parameter is moved a little both ways, and the differences of the losses are held against the derivative a:

    n = [8 (L(p + h) − L(p − h)) − (L(p + 2h) − L(p − 2h))] / 12h       relative error = |a − n| / max(|a|, |n|, 1e-6)

in float64. (The plain difference (L(p + h) − L(p − h)) / 2h errs by h²; the second pair of points takes that term away,
so h can be a thousandth, where rounding doesn't matter yet.) A right derivative agrees to about 1e-8. Small networks
are checked element by element, large ones along random directions. Where a relu's sum changes sign between the points
there is no slope to compare with: such places are counted and skipped.
"""

from dataclasses import dataclass

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
        return (
            f"{self.name}: worst relative error {self.error:.1e} at {self.name}{where} "
            f"(backward {self.analytic:.6e}, slope {self.numeric:.6e}; {self.checked} checked{skipped})"
        )


@dataclass(frozen=True)
class GradCheck:
    """The whole check. True when every tensor's worst relative error is under `tolerance`."""

    tensors: tuple[TensorCheck, ...]
    tolerance: float

    @property
    def worst(self) -> TensorCheck:
        """The tensor furthest from its slope."""
        return max(self.tensors, key=lambda tensor: tensor.error)

    def __bool__(self) -> bool:
        return self.worst.error < self.tolerance and any(tensor.checked for tensor in self.tensors)

    def __str__(self) -> str:
        verdict = "passed" if self else "FAILED"
        return "\n".join([*map(str, self.tensors), f"gradient check {verdict} (tolerance {self.tolerance:.0e})"])


def gradcheck(
    network: Network,
    X: Array,
    target: Array,
    *,
    loss: Loss | None = None,
    rng: np.random.Generator | None = None,
    at: Moment | None = None,
    tolerance: float = 1e-6,
    step: float = 1e-3,
    elements: int = 200,
) -> GradCheck:
    """Compare `network.backward` with central differences of the loss, tensor by tensor.

    X: (N, in_size), target: labels (N,) or (N, K). The network is copied to float64 first and is not changed. A tensor
    of at most `elements` numbers is checked element by element; a larger one along `elements` random directions, drawn
    from `rng`. `at` is the moment of training, which switches dropout and batch norm to what they do there.
    """
    loss = loss or SoftmaxCrossEntropy()
    rng = rng or np.random.default_rng(0)
    network = network.copy(np.float64)
    X = np.asarray(X, np.float64)

    out, caches = network.forward(X, at=at)
    _, dout = loss(out, target)
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
            near, smooth_near = _rise(network, X, target, loss, at, values, direction * step)
            far, smooth_far = _rise(network, X, target, loss, at, values, direction * (2 * step))
            numeric = (8 * near - far) / (12 * step)
            is_smooth = smooth_near and smooth_far
            if not is_smooth:
                kinks += 1
                continue
            checked += 1
            analytic = float(np.vdot(derivative, direction))
            error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), FLOOR)
            if error > worst.error or not np.isfinite(error):
                error = error if np.isfinite(error) else np.inf
                place = tuple(int(i) for i in np.unravel_index(index, values.shape)) if whole else ()
                worst = TensorCheck(name, error, place, analytic, numeric, 0, 0)
        tensors.append(TensorCheck(name, worst.error, worst.place, worst.analytic, worst.numeric, checked, kinks))
    return GradCheck(tuple(tensors), tolerance)


def _rise(
    network: Network, X: Array, target: Array, loss: Loss, at: Moment | None, values: Array, change: Array
) -> tuple[float, bool]:
    """L(p + change) − L(p − change), and whether no unit with a kink switched between the two."""
    start = values.copy()
    sides = []
    for sign in (1, -1):
        values[...] = start + sign * change
        out, caches = network.forward(X, at=at)
        sides.append((loss(out, target)[0], _switches(network, caches)))
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
