"""Loss functions: the mean loss of a batch, and dZ, its gradient with respect to the outputs Z.

Backpropagation starts with dZ. A loss function returns both, because they share most of the computation. With sample
weights, the loss is the weighted mean. A batch can be split into blocks, whose losses and gradients add up to those of
the batch: `total` is the number of samples, or the sum of the weights, of the whole batch.

    loss(Z, target)                                             check the target, then compute
    loss.value_and_gradient(Z, target, cache, weights=, total=) compute only: training checks all targets once
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.arrays import Array, Cache
from byhand.schema import of_kind


class _Loss:
    """Base class of the loss functions."""

    def __call__(self, Z: Array, target: Array, *, weights: Array | None = None) -> tuple[float, Array]:
        """loss, dZ                     Z, dZ: (N, K), target: y (N,) integers or Y (N, K), weights: (N,)"""
        check_target(Z.shape, target, weights)
        self.check(target)
        target = target if target.ndim == 2 else target.astype(np.intp, copy=False)
        if len(Z) == 0:
            raise UsageError("a batch must have at least one sample, got 0")
        total = float(len(Z) if weights is None else weights.sum(dtype=np.float64))
        if not total > 0:
            raise UsageError(f"the weights of a batch must add up to more than 0, got {total}")
        return self.value_and_gradient(self.bounded(Z), target, Cache(Z.dtype), weights=weights, total=total)

    def bounded(self, Z: Array) -> Array:
        """Return the outputs within the range in which the loss does not overflow                  Z: (N, K)"""
        return Z

    def value_and_gradient(
        self, Z: Array, target: Array, cache: Cache, *, weights: Array | None, total: float
    ) -> tuple[float, Array]:
        """loss, dZ                     Z, dZ: (N, K), target: y (N,) intp or Y (N, K), weights: (N,)"""
        raise NotImplementedError

    def check(self, target: Array) -> None:
        """Reject a target that has the right shape but values for which `dZ` would be wrong."""


@dataclass(frozen=True)
class SoftmaxCrossEntropy(_Loss):
    """Softmax followed by cross-entropy, computed from the logits Z in log space.

        log P = Z − max Z − log Σ exp(Z − max Z)
        loss  = −(1/N) Σ Y log P
        dZ    = (P − Y) / N

    Subtracting the maximum prevents overflow in exp. In dZ, the derivatives of the logarithm and the softmax cancel:
    predicted minus true probabilities. Label smoothing s replaces Y by (1 − s) Y + s/K.

    `loss(Z, target)` is finite for any finite logits. Training skips `bounded`: there, such logits are a divergence.
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        checks.fraction("smoothing", self.smoothing, zero=True)

    def bounded(self, Z: Array) -> Array:
        """Return logits at most max · 2⁻²⁰ below the maximum of their row, since a difference may exceed `max`

        max is the largest float: 3.4 · 10³⁸ in float32, so the bound is 3.2 · 10³² below the maximum.
        """
        with np.errstate(over="ignore"):
            lowest = Z.max(axis=1, keepdims=True) - np.finfo(Z.dtype).max * Z.dtype.type(2**-20)
        logits: Array = np.maximum(Z, lowest)
        return logits

    def check(self, target: Array) -> None:
        """Reject rows that do not add up to 1: their gradient is not P − Y               target: (N,) or (N, K)"""
        sums = target.sum(axis=1) if target.ndim == 2 else np.ones(len(target))
        wrong = ~(np.abs(sums - 1) < 1e-3)
        if wrong.any():
            row = int(wrong.argmax())
            raise UsageError(f"each row of target must add up to 1, got {sums[row]:g} in row {row}")

    def value_and_gradient(
        self, Z: Array, target: Array, cache: Cache, *, weights: Array | None, total: float
    ) -> tuple[float, Array]:
        """loss, dZ                     Z, dZ: (N, K), target: y (N,) integers or Y (N, K), weights: (N,)"""
        P, shifted, log_sum = log_softmax(Z, cache)
        log_p = self.subtract_target(P, shifted, target, cache)
        log_p -= log_sum
        if self.smoothing:
            self.smooth(P, log_p, shifted, log_sum)
        if weights is not None:
            log_p *= weights
            P *= weights
        scale = 1 / float(total) if total else 0.0  # all sample weights of the batch may be 0
        dZ = np.multiply(P.T, scale, out=cache.dZ)
        return -scale * float(np.add.reduce(log_p, dtype=np.float64)), dZ

    def subtract_target(self, P: Array, shifted: Array, target: Array, cache: Cache) -> Array:
        """Return Σ Y (Z − max Z) over the classes, and change P to P − (1 − s) Y in place         P: (K, N) → (N,)"""
        if target.ndim == 1:
            places = target * P.shape[1] + cache.samples  # index in the flattened array: class · N + sample
            P.reshape(-1)[places] -= 1 - float(self.smoothing)
            log_p: Array = shifted.reshape(-1)[places]
            return log_p
        Y = cache.new("Y", *P.shape)
        np.copyto(Y, target.T, casting="same_kind")
        log_p = np.einsum("kn,kn->n", Y, shifted)
        Y *= 1 - float(self.smoothing)
        P -= Y
        return log_p

    def smooth(self, P: Array, log_p: Array, shifted: Array, log_sum: Array) -> None:
        """Add the terms of label smoothing in place: s · mean log P to `log_p`, −s/K to P"""
        s = float(self.smoothing)
        log_p *= 1 - s
        log_p += s * (shifted.mean(axis=0) - log_sum)
        P -= s / len(P)


def log_softmax(Z: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """P = exp(S) / Σ exp(S),  S = Z − max Z,  log Σ exp(S)         Z: (N, K) → P, S: (K, N), log sum: (N,)

    The results are transposed, one class per row: sums over the classes are then long, fast vector operations.
    """
    if cache.shape != Z.shape:
        N, K = cache.shape = Z.shape
        for name, shape in {"S": (K, N), "P": (K, N), "log_sum": (N,), "dZ": (N, K)}.items():
            cache.new(name, *shape)
        cache.samples = np.arange(N)
    S, P, log_sum = cache.S, cache.P, cache.log_sum
    np.copyto(S, Z.T)
    np.maximum.reduce(S, axis=0, out=log_sum)
    S -= log_sum
    np.exp(S, out=P)
    np.add.reduce(P, axis=0, out=log_sum)
    P /= log_sum
    np.log(log_sum, out=log_sum)
    return P, S, log_sum


@dataclass(frozen=True)
class MeanSquaredError(_Loss):
    """Mean squared error over samples and outputs.

    loss = (1/NK) Σ (Z − Y)²
    dZ   = 2 (Z − Y) / NK
    """

    def value_and_gradient(
        self, Z: Array, target: Array, cache: Cache, *, weights: Array | None, total: float
    ) -> tuple[float, Array]:
        """loss, dZ                     Z, dZ: (N, K), target: y (N,) integers or Y (N, K), weights: (N,)"""
        N, K = Z.shape
        dZ = cache.new("dZ", N, K)
        np.copyto(dZ, Z)
        if target.ndim == 1:
            dZ[np.arange(N), target] -= 1
        else:
            dZ -= target
        weighted = dZ
        if weights is not None:
            weighted = np.multiply(dZ, weights[:, None], out=cache.new("weighted", N, K))
        scale = 1 / (float(total) * K) if total else 0.0  # all sample weights of the batch may be 0
        loss = scale * float(np.vdot(dZ, weighted))
        np.multiply(weighted, 2 * scale, out=dZ)
        return loss, dZ


Loss = SoftmaxCrossEntropy | MeanSquaredError
LOSSES: dict[str, type[Loss]] = {"cross_entropy": SoftmaxCrossEntropy, "mse": MeanSquaredError}


#: Names in other libraries, and those here.
ELSEWHERE = {
    **dict.fromkeys(("sparse_categorical_crossentropy", "log_loss", "nll", "softmax"), "cross_entropy"),
    **dict.fromkeys(("squared_error", "mean_squared_error", "l2"), "mse"),
}


def loss_named(kind: str, **settings: Any) -> Loss:
    """Return the loss function with this name and these settings."""
    return of_kind("loss", LOSSES, {"kind": kind, **settings}, ELSEWHERE)


def softmax(Z: Array) -> Array:
    """P = exp(Z − max Z) / Σ exp(Z − max Z)                       Z, P: (N, K), each row of P sums to 1"""
    with np.errstate(over="ignore"):  # a difference of −∞ is a probability of 0
        P, _, _ = log_softmax(Z, Cache(Z.dtype))
    return np.ascontiguousarray(P.T)


def count_correct(Z: Array, target: Array) -> int:
    """Return the number of samples whose largest output is the right class      Z: (N, K), target: (N,) or (N, K)"""
    labels = target if target.ndim == 1 else target.argmax(axis=1)
    return int(np.count_nonzero(Z.argmax(axis=1) == labels))


def check_target(shape: tuple[int, int], target: Array, weights: Array | None) -> None:
    """Reject targets and weights of wrong shapes, which NumPy could broadcast, and labels outside 0 … K − 1.

    shape: (N, K), that of the outputs   target: (N,) or (N, K)   weights: (N,)
    """
    N, K = shape
    if target.shape not in ((N,), (N, K)):
        raise UsageError(f"target must have the shape ({N},) or ({N}, {K}), got {target.shape}")
    if weights is not None and weights.shape != (N,):
        raise UsageError(f"weights must have the shape ({N},), got {weights.shape}")
    if target.ndim == 2:
        return
    if target.dtype.kind not in "iu":
        raise UsageError(f"a target of one dimension must have integer labels, got {target.dtype}")
    if N and not (target.min() >= 0 and target.max() < K):
        raise UsageError(f"labels must be from 0 to {K - 1}, got {target.min()} to {target.max()}")
