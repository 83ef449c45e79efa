"""Layers: what a network is made of. Each has its forward directly above its backward.

    forward(X, work)           → (out, cache)      what comes out, and what the way back will need
    backward(dout, cache, …)   → dX                the way back; a layer's own derivatives go into `gradient`

A layer holds its parameters and nothing that depends on the data, so one network can serve many threads at once.
Its parameters are views into the network's one vector (see `byhand.nn.network`): `shapes` says what a layer needs,
`bind` hands it the views, and `gradient` holds views of the same names and shapes into a gradient vector.
"""

from typing import Any

import numpy as np

from byhand.errors import UsageError
from byhand.nn.activations import activation_named
from byhand.nn.initializers import Rng, initializer_named
from byhand.nn.noise import Moment, keep_mask
from byhand.nn.scratch import Array, Fresh

Views = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]


class Layer:
    """What all layers share: a place in the network, and by default no parameters."""

    kind: str
    #: The layer's place in its network; −1 while it has none.
    index = -1
    #: A layer whose result for one sample depends on the others in the batch: it can't be worked in blocks.
    needs_whole_batch = False

    @property
    def shapes(self) -> Shapes:
        """The parameters learned by gradient: weights (decayed, of two dimensions) and biases."""
        return {}

    @property
    def statistics(self) -> Shapes:
        """What is saved with the layer but not learned by gradient."""
        return {}

    def out_size(self, in_size: int) -> int:
        """How many numbers a sample has after this layer."""
        return in_size

    def bind(self, parameters: Views, statistics: Views) -> None:
        """Keep the views that are this layer's part of the network's vectors."""

    def initialize(self, rng: Rng) -> None:
        """Fill the parameters with where they start."""

    def forward(self, X: Array, work: Fresh, at: Moment | None) -> tuple[Array, Any]:
        """out, cache. `at` is the moment of training; None means that nobody is training."""
        raise NotImplementedError

    def backward(self, dout: Array, cache: Any, gradient: Views, work: Fresh, needs_dX: bool) -> Array | None:
        """dX, or None where nobody needs it; the layer's own derivatives are written into `gradient`."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """What makes this layer again, as plain values for a model's file."""
        return {"kind": self.kind}


class Dense(Layer):
    """Every input connected to every unit: Z = X W + b, with W (inputs, units) and b (units,)."""

    kind = "dense"

    def __init__(self, inputs: int, units: int, *, init: str = "he", scale: float = 1.0) -> None:
        self.inputs = positive("inputs", inputs)
        self.units = positive("units", units)
        self.init = init
        if not is_finite(scale):
            raise UsageError(f"scale of a layer, output_scale of a network, must be a finite number, got {scale!r}")
        self.scale = float(scale)
        initializer_named(init)

    def __repr__(self) -> str:
        return f"Dense({self.inputs}, {self.units})"

    @property
    def shapes(self) -> Shapes:
        return {"W": (self.inputs, self.units), "b": (self.units,)}

    def out_size(self, in_size: int) -> int:
        if in_size != self.inputs:
            raise UsageError(f"{self!r} must get {self.inputs} inputs, got {in_size} from the layer before")
        return self.units

    def bind(self, parameters: Views, statistics: Views) -> None:
        self.W, self.b = parameters["W"], parameters["b"]

    def initialize(self, rng: Rng) -> None:
        W, b = initializer_named(self.init)(self.inputs, self.units, rng)
        self.W[...] = W * self.scale
        self.b[...] = b * self.scale

    def forward(self, X: Array, work: Fresh, at: Moment | None) -> tuple[Array, Array]:
        """Z = X W + b                                          X: (N, inputs) → Z: (N, units)"""
        Z = work.matmul(X, self.W, (self, "XW"))
        together = Z if Z.flags.c_contiguous else work.empty((self, "Z"), Z.shape, Z.dtype)  # a padded one has gaps
        return np.add(Z, self.b, out=together), X

    def backward(self, dout: Array, cache: Array, gradient: Views, work: Fresh, needs_dX: bool) -> Array | None:
        """dW = Xᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ       dZ: (N, units) → dX: (N, inputs)

        The sum is a product too, with a row of ones: the BLAS adds up three times as quickly.
        """
        X, dZ = cache, dout
        work.matmul_into(gradient["W"], X.T, dZ, (self, "dW"))
        np.matmul(work.ones(len(dZ), dZ.dtype), dZ, out=gradient["b"])
        return work.matmul(dZ, self.W.T, (self, "dX")) if needs_dX else None

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "inputs": self.inputs, "units": self.units, "init": self.init, "scale": self.scale}


class Activation(Layer):
    """The same function applied to every number: H = g(Z). The functions are in `byhand.nn.activations`."""

    kind = "activation"

    def __init__(self, name: str = "relu") -> None:
        self.pair = activation_named(name)

    def __repr__(self) -> str:
        return f"Activation({self.pair.name!r})"

    def forward(self, X: Array, work: Fresh, at: Moment | None) -> tuple[Array, Array]:
        """H = g(Z)                                             Z, H: (N, n)"""
        Z = X
        H = self.pair.forward(Z, out=work.empty((self, "H"), Z.shape, Z.dtype))
        return H, H if self.pair.remembers == "H" else Z

    def backward(self, dout: Array, cache: Array, gradient: Views, work: Fresh, needs_dX: bool) -> Array:
        """dZ = dH · g′(Z)                                      dH, dZ: (N, n)"""
        dZ = work.empty((self, "dZ"), dout.shape, dout.dtype)
        if self.pair.needs_scratch:
            return self.pair.backward(dout, cache, out=dZ, scratch=work.empty((self, "t"), dout.shape, dout.dtype))
        return self.pair.backward(dout, cache, out=dZ)

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.pair.name}


class Dropout(Layer):
    """In training, silence each unit with probability `rate` and make the others louder to match; else do nothing."""

    kind = "dropout"

    def __init__(self, rate: float = 0.5) -> None:
        if not (is_finite(rate) and 0 <= rate < 1):
            raise UsageError(f"dropout must be at least 0 and under 1, got {rate!r}")
        self.rate = float(rate)

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"

    def forward(self, X: Array, work: Fresh, at: Moment | None) -> tuple[Array, Array | None]:
        """out = X · M / (1 − rate),  M = 1 with probability 1 − rate       X, out: (N, n)"""
        if at is None or self.rate == 0:
            return X, None
        mask = keep_mask(1 - self.rate, X.shape, at, self.index, work)
        out = np.multiply(X, mask, out=work.empty((self, "out"), X.shape, X.dtype))
        out *= 1 / (1 - self.rate)
        return out, mask

    def backward(self, dout: Array, cache: Array | None, gradient: Views, work: Fresh, needs_dX: bool) -> Array:
        """dX = dout · M / (1 − rate)                           dout, dX: (N, n)"""
        if cache is None:
            return dout
        dX = np.multiply(dout, cache, out=work.empty((self, "dX"), dout.shape, dout.dtype))
        dX *= 1 / (1 - self.rate)
        return dX

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "rate": self.rate}


class BatchNorm(Layer):
    """Give each unit mean 0 and variance 1 over the batch, then let it choose its own: out = γ X̂ + β.

    Outside training it uses running averages of the mean and the variance instead of the batch's own. They are
    statistics, not parameters: forward returns the batch's in its cache and `Network.commit` folds them in, so forward
    itself changes nothing.
    """

    kind = "batch_norm"
    needs_whole_batch = True

    def __init__(self, units: int, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        self.units = positive("units", units)
        if not epsilon > 0:
            raise UsageError(f"epsilon must be positive, got {epsilon}")
        if not 0 < momentum <= 1:
            raise UsageError(f"batch norm's momentum must be over 0 and at most 1, got {momentum}")
        self.epsilon = float(epsilon)
        self.momentum = float(momentum)

    def __repr__(self) -> str:
        return f"BatchNorm({self.units})"

    @property
    def shapes(self) -> Shapes:
        return {"gamma": (self.units,), "beta": (self.units,)}

    @property
    def statistics(self) -> Shapes:
        return {"mean": (self.units,), "variance": (self.units,)}

    def out_size(self, in_size: int) -> int:
        if in_size != self.units:
            raise UsageError(f"{self!r} must get {self.units} inputs, got {in_size} from the layer before")
        return in_size

    def bind(self, parameters: Views, statistics: Views) -> None:
        self.gamma, self.beta = parameters["gamma"], parameters["beta"]
        self.mean, self.variance = statistics["mean"], statistics["variance"]

    def initialize(self, rng: Rng) -> None:
        self.gamma[...], self.beta[...] = 1, 0
        self.mean[...], self.variance[...] = 0, 1

    def forward(self, X: Array, work: Fresh, at: Moment | None) -> tuple[Array, tuple[Any, ...]]:
        """X̂ = (X − μ) / √(σ² + ε),  out = γ X̂ + β            X, out: (N, n);  μ, σ²: (n,)"""
        X_hat = work.empty((self, "X_hat"), X.shape, X.dtype)
        out = work.empty((self, "out"), X.shape, X.dtype)
        if at is None:
            mean, variance = self.mean, self.variance
            np.subtract(X, mean, out=X_hat)
        else:
            mean = mean_of_batch(X, at)
            np.subtract(X, mean, out=X_hat)
            variance = mean_of_batch(np.multiply(X_hat, X_hat, out=out), at)
        scale = 1 / np.sqrt(variance + self.epsilon)
        X_hat *= scale
        np.multiply(X_hat, self.gamma, out=out)
        out += self.beta
        return out, (X_hat, scale, mean, variance, at)

    def backward(self, dout: Array, cache: tuple[Any, ...], gradient: Views, work: Fresh, needs_dX: bool) -> Array:
        """dγ = Σ dout X̂,  dβ = Σ dout,  dX = γ/√(σ² + ε) · (dout − dβ/N − X̂ dγ/N)      dout, dX: (N, n)

        Outside training μ and σ² are constants, and dX = γ/√(σ² + ε) · dout.
        """
        X_hat, scale, _, _, at = cache
        dX: Array = np.multiply(dout, X_hat, out=work.empty((self, "dX"), dout.shape, dout.dtype))
        np.add.reduce(dX, axis=0, out=gradient["gamma"])
        np.add.reduce(dout, axis=0, out=gradient["beta"])
        if at is None:
            np.multiply(dout, self.gamma * scale, out=dX)
            return dX
        dgamma, dbeta, N = sums_over_batch(gradient["gamma"], gradient["beta"], len(dout), at)
        np.multiply(X_hat, dgamma * (-1 / N), out=dX)
        dX += dout
        dX -= dbeta * (1 / N)
        dX *= self.gamma * scale
        return dX

    def commit(self, cache: tuple[Any, ...], N: int) -> None:
        """mean ← (1 − m) mean + m μ;  variance likewise, with the batch's corrected by N/(N − 1)"""
        _, _, mean, variance, _ = cache
        corrected = variance * (N / (N - 1)) if N > 1 else variance
        self.mean += self.momentum * (mean - self.mean)
        self.variance += self.momentum * (corrected - self.variance)

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "units": self.units, "epsilon": self.epsilon, "momentum": self.momentum}


def mean_of_batch(X: Array, at: Moment) -> Array:
    """The mean over the batch, of which these rows may be one process's share             X: (N, n) → (n,)"""
    if at.sum is None:
        mean: Array = X.mean(axis=0)
    else:
        totals = np.append(X.sum(axis=0), X.dtype.type(len(X)))
        at.sum(totals)
        mean = totals[:-1] / totals[-1]
    return mean


def sums_over_batch(dgamma: Array, dbeta: Array, N: int, at: Moment | None) -> tuple[Array, Array, int]:
    """dγ, dβ and the number of samples, over the whole batch where these are one process's share of it      (n,)"""
    if at is None or at.sum is None:
        return dgamma, dbeta, N
    totals = np.concatenate([dgamma, dbeta, [dgamma.dtype.type(N)]])
    at.sum(totals)
    return totals[: len(dgamma)], totals[len(dgamma) : -1], int(totals[-1])


def is_finite(value: Any) -> bool:
    """Whether this is a number to reckon with."""
    return isinstance(value, int | float | np.integer | np.floating) and bool(np.isfinite(value))


def positive(name: str, value: int) -> int:
    """A size that makes sense, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UsageError(f"{name} must be a positive integer, got {value!r}")
    return int(value)
