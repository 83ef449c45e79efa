"""Layers: dense, activation, dropout, batch norm. Each has its backward directly below its forward.

    forward(X, cache)      → out        the output; `cache` keeps what backward needs
    backward(dout, cache)  → dX         dout: upstream gradient; the gradients of the parameters go to cache.dW, …

Backward is the chain rule: it multiplies the upstream gradient by the layer's own derivatives. A layer holds only
parameters; everything that depends on the data is in the cache, so several threads can share a network. `prepare`
allocates the cache's arrays for N samples. Parameters are views into the network's vector: `shapes` lists them, and
`bind` sets them.
"""

from typing import Any

import numpy as np

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.activations import activation_named
from byhand.nn.arrays import Array, Cache
from byhand.nn.rng import Rng, dropout_mask, initializer_named

Views = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]


class Layer:
    """Base class of the layers; by default without parameters."""

    kind: str
    #: The names of the constructor's arguments, for `config`.
    settings: tuple[str, ...] = ()
    #: The numbers of inputs and outputs a sample; 0 for a layer that takes any number.
    inputs: int = 0
    outputs: int = 0
    #: The position in the network; −1 outside of a network.
    index = -1
    #: True if the output for a sample depends on the other samples, so that a batch can't be split into blocks.
    needs_whole_batch = False

    @property
    def shapes(self) -> Shapes:
        """Name → shape of the parameters: weights (two dimensions; weight decay applies) and biases."""
        return {}

    @property
    def statistics(self) -> Shapes:
        """Name → shape of the arrays that are saved with the layer but not trained by gradient."""
        return {}

    def out_size(self, in_size: int) -> int:
        """Return the number of outputs per sample; reject a wrong number of inputs."""
        if self.inputs and in_size != self.inputs:
            raise UsageError(f"{self!r} needs {self.inputs} inputs, got {in_size} from the previous layer")
        return self.outputs or in_size

    def bind(self, parameters: Views, statistics: Views) -> None:
        """Store the layer's views into the network's vectors."""

    def initialize(self, rng: Rng) -> None:
        """Fill the parameters with their initial values."""

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        """Allocate the cache's arrays for N samples of `in_size` numbers."""

    def forward(self, X: Array, cache: Cache) -> Array:
        """Return the output for X                              X: (N, inputs) → (N, outputs)"""
        raise NotImplementedError

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """Write the gradients of the parameters to the cache, and return dX, or None if it is not needed."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the kind and the constructor's arguments as plain values, for a model file."""
        return {name: getattr(self, name) for name in ("kind", *self.settings)}


class Dense(Layer):
    """Dense (fully connected) layer: Z = X W + b, with W (inputs, units) and b (units,)."""

    kind = "dense"
    settings = ("inputs", "units", "init", "scale")

    def __init__(self, inputs: int, units: int, *, init: str = "he", scale: float = 1.0) -> None:
        self.inputs = checks.integer("inputs", inputs, 1)
        self.units = self.outputs = checks.integer("units", units, 1)
        self.init = init
        if not checks.is_number(scale):
            raise UsageError(f"scale of a layer (output_scale of a network) must be a finite number, got {scale!r}")
        self.scale = float(scale)
        initializer_named(init)

    def __repr__(self) -> str:
        return f"Dense({self.inputs}, {self.units})"

    @property
    def shapes(self) -> Shapes:
        return {"W": (self.inputs, self.units), "b": (self.units,)}

    def bind(self, parameters: Views, statistics: Views) -> None:
        self.W, self.b = parameters["W"], parameters["b"]

    def initialize(self, rng: Rng) -> None:
        W, b = initializer_named(self.init)(self.inputs, self.units, rng)
        self.W[...] = W * self.scale
        self.b[...] = b * self.scale

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("Z", N, self.units)
        cache.new("ones", N).fill(1)
        if cache.needs_dX:
            cache.new("dX", N, self.inputs)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = X W + b                                          X: (N, inputs) → Z: (N, units)"""
        cache.X = X
        Z = np.matmul(X, self.W, out=cache.Z)
        return np.add(Z, self.b, out=Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Xᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ       dZ: (N, units) → dX: (N, inputs)

        The gradient of a weight is its input times the upstream gradient of its unit, summed over the batch.
        """
        dZ = dout
        np.matmul(cache.X.T, dZ, out=cache.dW)
        np.matmul(cache.ones, dZ, out=cache.db)  # three times as fast as np.sum
        return np.matmul(dZ, self.W.T, out=cache.dX) if cache.needs_dX else None


class Activation(Layer):
    """Activation layer: H = g(Z), with a function of `byhand.nn.activations`."""

    kind = "activation"
    settings = ("name",)

    def __init__(self, name: str = "relu") -> None:
        self.name, self.function = name, activation_named(name)

    def __repr__(self) -> str:
        return f"Activation({self.function.name!r})"

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("H", N, in_size)
        cache.new("dZ", N, in_size)
        cache.scratch = {"scratch": cache.new("t", N, in_size)} if self.function.needs_scratch else {}

    def forward(self, X: Array, cache: Cache) -> Array:
        """H = g(Z)                                             Z, H: (N, n)"""
        Z = X
        H = self.function.forward(Z, out=cache.H)
        cache.kept = H if self.function.backward_needs == "H" else Z
        return H

    def backward(self, dout: Array, cache: Cache) -> Array:
        """dZ = dH · g′(Z)                                      dH, dZ: (N, n)"""
        dH = dout
        return self.function.backward(dH, cache.kept, out=cache.dZ, **cache.scratch)


class Dropout(Layer):
    """Dropout: set units to 0 with probability `rate` in training, and divide the others by 1 − `rate`.

    The division keeps the expected output the same, so that inference needs no dropout and no scaling.
    """

    kind = "dropout"
    settings = ("rate",)

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = checks.fraction("dropout", rate, zero=True)

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("dropped", N, in_size)
        cache.new("dX", N, in_size)
        cache.new("mask", N, in_size, dtype=np.bool_)
        cache.new("bits", N, in_size, dtype=np.uint32)
        cache.new("shifted", N, in_size, dtype=np.uint32)

    def forward(self, X: Array, cache: Cache) -> Array:
        """out = X · M / (1 − rate),  M = 1 with probability 1 − rate       X, out: (N, n)"""
        if cache.key is None or self.rate == 0:
            return X
        mask = dropout_mask(1 - self.rate, cache.key, self.index, cache.mask, cache.bits, cache.shifted)
        out = np.multiply(X, mask, out=cache.dropped)
        out *= 1 / (1 - self.rate)
        return out

    def backward(self, dout: Array, cache: Cache) -> Array:
        """dX = dout · M / (1 − rate)                           dout, dX: (N, n)"""
        if cache.key is None or self.rate == 0:
            return dout
        dX = np.multiply(dout, cache.mask, out=cache.dX)
        dX *= 1 / (1 - self.rate)
        return dX


class BatchNorm(Layer):
    """Batch normalization: mean 0 and variance 1 for each unit over the batch, then out = γ X̂ + β.

    Inference uses running averages (EMA) of the mean and variance. Forward writes those of the batch to its cache, and
    `update_statistics` adds them to the running averages, so that forward does not change the layer.
    """

    kind = "batch_norm"
    settings = ("units", "epsilon", "momentum")
    needs_whole_batch = True

    def __init__(self, units: int, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        self.units = self.inputs = self.outputs = checks.integer("units", units, 1)
        self.epsilon = checks.positive("epsilon", epsilon)
        self.momentum = checks.fraction("momentum of batch norm", momentum, one=True)

    def __repr__(self) -> str:
        return f"BatchNorm({self.units})"

    @property
    def shapes(self) -> Shapes:
        return {"gamma": (self.units,), "beta": (self.units,)}

    @property
    def statistics(self) -> Shapes:
        return {"mean": (self.units,), "variance": (self.units,)}

    def bind(self, parameters: Views, statistics: Views) -> None:
        self.gamma, self.beta = parameters["gamma"], parameters["beta"]
        self.mean, self.variance = statistics["mean"], statistics["variance"]

    def initialize(self, rng: Rng) -> None:
        self.gamma[...], self.beta[...] = 1, 0
        self.mean[...], self.variance[...] = 0, 1

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("X_hat", N, in_size)
        cache.new("normalized", N, in_size)
        cache.new("dX", N, in_size)

    def forward(self, X: Array, cache: Cache) -> Array:
        """X̂ = (X − μ) / √(σ² + ε),  out = γ X̂ + β            X, out: (N, n);  μ, σ²: (n,)"""
        N, X_hat, out = len(X), cache.X_hat, cache.normalized
        if cache.key is None:
            cache.mean, cache.variance = self.mean, self.variance
            np.subtract(X, cache.mean, out=X_hat)
        else:
            (cache.mean,) = means_over_batch(cache, N, np.add.reduce(X, axis=0))
            np.subtract(X, cache.mean, out=X_hat)
            squares = np.multiply(X_hat, X_hat, out=out)
            (cache.variance,) = means_over_batch(cache, N, np.add.reduce(squares, axis=0))
        cache.scale = 1 / np.sqrt(cache.variance + self.epsilon)
        X_hat *= cache.scale
        np.multiply(X_hat, self.gamma, out=out)
        out += self.beta
        return out

    def backward(self, dout: Array, cache: Cache) -> Array:
        """dγ = Σ dout X̂,  dβ = Σ dout,  dX = γ/√(σ² + ε) · (dout − dβ/N − X̂ dγ/N)      dout, dX: (N, n)

        The terms with dβ and dγ come from μ and σ², which depend on all samples. In inference μ and σ² are constants,
        and dX = γ/√(σ² + ε) · dout.
        """
        dX: Array = np.multiply(dout, cache.X_hat, out=cache.dX)
        np.add.reduce(dX, axis=0, out=cache.dgamma)
        np.add.reduce(dout, axis=0, out=cache.dbeta)
        if cache.key is None:
            np.multiply(dout, self.gamma * cache.scale, out=dX)
            return dX
        dgamma, dbeta = means_over_batch(cache, len(dout), cache.dgamma, cache.dbeta)
        np.multiply(cache.X_hat, -dgamma, out=dX)
        dX += dout
        dX -= dbeta
        dX *= self.gamma * cache.scale
        return dX

    def update_statistics(self, cache: Cache, N: int) -> None:
        """mean ← (1 − m) mean + m μ, m: momentum; the same for the variance, with σ² N/(N − 1)     N: batch size"""
        corrected = cache.variance * (N / (N - 1)) if N > 1 else cache.variance
        self.mean += self.momentum * (cache.mean - self.mean)
        self.variance += self.momentum * (corrected - self.variance)


def means_over_batch(cache: Cache, N: int, *sums: Array) -> list[Array]:
    """Return the means over the whole batch, including its rows in other processes    sums over N rows: (n,) each"""
    totals = cache.sum_over_processes(np.concatenate([*sums, np.array([N], cache.dtype)]))
    return np.split(totals[:-1] / totals[-1], len(sums))
