"""Losses: one number for how wrong a batch is, and how it changes with each of the network's outputs.

Both come from one function, `loss(outputs, target)`, because they share nearly all the work. The number is the mean
over the samples; with sample weights it is the weighted mean. A batch may come in blocks: `total` is then the weight
of the whole batch, and the blocks' losses and gradients simply add up to the batch's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.errors import UsageError
from byhand.nn.scratch import FRESH, Array, Fresh


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Softmax and cross-entropy in one, from the logits, in log space: finite for any finite logits.

        log P = Z − max Z − log Σ exp(Z − max Z)
        loss  = −(1/N) Σ Y log P
        dZ    = (P − Y) / N

    With `smoothing` s the target is (1 − s) Y + s/K: nobody is asked to be certain.
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"smoothing must be at least 0 and under 1, got {self.smoothing}")

    def __call__(
        self,
        Z: Array,
        target: Array,
        *,
        weights: Array | None = None,
        total: float | None = None,
        work: Fresh = FRESH,
    ) -> tuple[float, Array]:
        """loss, dZ                     Z, dZ: (N, K), target: y (N,) integers or Y (N, K), weights: (N,)

        The work is done on Zᵀ, a class a row: sums over ten classes are then long runs, which NumPy does quickly.
        """
        check_target(Z, target, weights)
        N, K = Z.shape
        s = float(self.smoothing)
        total = weight_of_batch(N, weights) if total is None else float(total)
        Zt = work.empty(("loss", "Zt"), (K, N), Z.dtype)
        P = work.empty(("loss", "P"), (K, N), Z.dtype)
        row = work.empty(("loss", "row"), (N,), Z.dtype)

        np.copyto(Zt, Z.T)
        np.maximum.reduce(Zt, axis=0, out=row)
        Zt -= row
        np.exp(Zt, out=P)
        np.add.reduce(P, axis=0, out=row)
        P /= row
        np.log(row, out=row)

        if target.ndim == 1:
            samples = np.arange(N)
            hit = Zt[target, samples]
            P[target, samples] -= 1 - s
        else:
            Yt = work.empty(("loss", "Yt"), (K, N), Z.dtype)
            np.copyto(Yt, target.T, casting="same_kind")
            check_probabilities(Yt)
            hit = np.einsum("kn,kn->n", Yt, Zt)
            Yt *= 1 - s
            P -= Yt
        hit -= row
        if s:
            mean_log_P = Zt.mean(axis=0) - row
            hit *= 1 - s
            hit += s * mean_log_P
            P -= s / K
        if weights is not None:
            hit *= weights
            P *= weights
        dZ = work.empty(("loss", "dZ"), (N, K), Z.dtype)
        np.multiply(P.T, 1 / total, out=dZ)
        return -float(hit.sum(dtype=np.float64)) / total, dZ


@dataclass(frozen=True)
class MeanSquaredError:
    """The mean of the squared differences, over samples and outputs.

    loss = (1/NK) Σ (Z − Y)²
    dZ   = 2 (Z − Y) / NK
    """

    def __call__(
        self,
        Z: Array,
        target: Array,
        *,
        weights: Array | None = None,
        total: float | None = None,
        work: Fresh = FRESH,
    ) -> tuple[float, Array]:
        """loss, dZ                     Z, dZ: (N, K), target: y (N,) integers or Y (N, K), weights: (N,)"""
        check_target(Z, target, weights)
        N, K = Z.shape
        total = weight_of_batch(N, weights) if total is None else float(total)
        dZ = work.empty(("loss", "dZ"), (N, K), Z.dtype)
        np.copyto(dZ, Z)
        if target.ndim == 1:
            dZ[np.arange(N), target] -= 1
        else:
            dZ -= target
        weighted = dZ
        if weights is not None:
            weighted = np.multiply(dZ, weights[:, None], out=work.empty(("loss", "weighted"), (N, K), Z.dtype))
        loss = float(np.vdot(dZ, weighted)) / (total * K)
        np.multiply(weighted, 2 / (total * K), out=dZ)
        return loss, dZ


Loss = SoftmaxCrossEntropy | MeanSquaredError
LOSSES: dict[str, type[Loss]] = {"cross_entropy": SoftmaxCrossEntropy, "mse": MeanSquaredError}


def loss_named(kind: str, **settings: Any) -> Loss:
    """The loss of that name with these settings, or an error that lists what there is."""
    if kind not in LOSSES:
        raise UsageError(f"loss must be one of {', '.join(LOSSES)}, got {kind!r}")
    return LOSSES[kind](**settings)


def softmax(Z: Array) -> Array:
    """P = exp(Z − max Z) / Σ exp(Z − max Z)                       Z, P: (N, K), each row of P sums to 1

    The work is done on Zᵀ, as in the loss above.
    """
    Pt = np.ascontiguousarray(Z.T)
    Pt = np.exp(Pt - Pt.max(axis=0))
    Pt /= Pt.sum(axis=0)
    return np.ascontiguousarray(Pt.T)


def check_target(Z: Array, target: Array, weights: Array | None) -> None:
    """Refuse a target that could only be a mistake: shapes that would broadcast, labels outside the classes."""
    N, K = Z.shape
    if target.shape not in ((N,), (N, K)):
        raise UsageError(f"target must have the shape ({N},) or ({N}, {K}), got {target.shape}")
    if target.ndim == 1:
        if target.dtype.kind not in "iu":
            raise UsageError(f"target of one dimension must hold integer labels, got {target.dtype}")
        if N and not (target.min() >= 0 and target.max() < K):
            raise UsageError(f"labels must be 0 to {K - 1}, got {target.min()} to {target.max()}")
    if weights is not None and weights.shape != (N,):
        raise UsageError(f"weights must have the shape ({N},), got {weights.shape}")


def check_probabilities(Yt: Array) -> None:
    """Refuse rows of a target that are no probabilities: P − Y would not be their derivative          Yt: (K, N)"""
    sums = Yt.sum(axis=0)
    wrong = ~(np.abs(sums - 1) < 1e-3)
    if wrong.any():
        row = int(wrong.argmax())
        raise UsageError(f"each row of target must add up to 1, got {sums[row]:g} in row {row}")


def weight_of_batch(N: int, weights: Array | None) -> float:
    """What the mean divides by: the number of samples, or the sum of their weights               weights: (N,)"""
    if N == 0:
        raise UsageError("a batch must have at least one sample, got 0")
    total = float(N) if weights is None else float(weights.sum(dtype=np.float64))
    if not total > 0:
        raise UsageError(f"the weights of a batch must add up to more than 0, got {total}")
    return total
