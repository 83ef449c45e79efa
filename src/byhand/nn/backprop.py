"""Backpropagation: the forward and backward pass of a batch through a network.

Forward, the output of each layer is the input of the next. Backward goes through the same layers in reverse order. Each
layer receives its upstream gradient `dout`, the gradient with respect to its output. By the chain rule, it returns
the gradient with respect to its input, which is the upstream gradient of the previous layer. It also writes the
gradients with respect to its own parameters. The formulas of each layer are in `layers` and `convolution`.

    pass_ = Pass(network)
    Z = pass_.forward(X)
    loss, dZ = SoftmaxCrossEntropy()(Z, y)
    pass_.backward(dZ)                    `pass_.gradient` is now the gradient with respect to `network.parameters`

A pass owns all arrays that the layers write to, so each thread needs its own pass. `forward` overwrites the arrays that
the previous `forward` returned. The gradient check and the explanations read them. For layer i, `ins[i]` and `outs[i]`
are its input and output, `dins[i]` and `douts[i]` the gradients with respect to them, and `caches[i]` is its cache.
"""

from collections.abc import Callable, Sequence
from typing import Any

from byhand.errors import UsageError
from byhand.nn.arrays import Array, Cache, aligned
from byhand.nn.layers import BatchNorm, Layer
from byhand.nn.rng import StepKey


class Pass:
    """Forward and backward passes through `network`, a `byhand.nn.network.Network`.

    gradient: the vector to write the gradient to, initially zeros; by default a new one.
    layers: replacements for the network's layers, as `byhand.training.plan` makes them.
    needs_gradient: False for prediction, without `backward`. sum_over_processes: an all-reduce, see `Cache`.
    """

    def __init__(
        self,
        network: Any,
        *,
        gradient: Array | None = None,
        layers: Sequence[Layer] | None = None,
        needs_gradient: bool = True,
        sum_over_processes: Callable[[Array], Array] | None = None,
    ) -> None:
        self.layers = tuple(layers or network.layers)
        self.dtype = network.dtype
        self.in_size = self.layers[0].inputs or network.in_size
        #: Backward ends at the first layer with parameters: the gradient with respect to the pixels is not needed.
        self.last_back = next(i for i, layer in enumerate(network.layers) if layer.shapes)
        needs_dX = [needs_gradient and i > self.last_back for i in range(len(self.layers))]
        self.caches = [Cache(self.dtype, needs_dX=needed) for needed in needs_dX]
        self.outs: list[Array] = []
        self.douts: list[Array | None] = []
        #: The cache of the loss function.
        self.loss_cache = Cache(network.dtype)
        self.shape = (-1, -1)
        if needs_gradient:
            self.gradient = aligned(network.size, network.dtype) if gradient is None else gradient
            for cache, views in zip(self.caches, network.by_layer(self.gradient), strict=True):
                for name, view in views.items():
                    setattr(cache, f"d{name}", view)
        if sum_over_processes is not None:
            for cache in self.caches:
                cache.sum_over_processes = sum_over_processes

    def forward(self, X: Array, key: StepKey | None = None) -> Array:
        """Return the outputs for a batch                        X: (N, in_size) → (N, out_size)

        `key` identifies the training step. None means inference: no dropout, and batch norm uses its running averages.
        """
        if X.shape != self.shape or X.dtype != self.dtype:
            self.prepare(X)
        self.X, self.outs = X, []
        out = X
        for layer, cache in zip(self.layers, self.caches, strict=True):
            cache.key = key
            out = layer.forward(out, cache)
            self.outs.append(out)
        return out

    def backward(self, dout: Array) -> None:
        """Write the gradient with respect to all parameters to `gradient`       dout: (N, out_size)"""
        self.douts = [None] * len(self.layers)
        for i in range(len(self.layers) - 1, self.last_back - 1, -1):
            self.douts[i] = dout
            dout = self.layers[i].backward(dout, self.caches[i])
        self.dX: Array | None = dout

    @property
    def ins(self) -> list[Array]:
        """The input of each layer."""
        return [self.X, *self.outs[:-1]]

    @property
    def dins(self) -> list[Array | None]:
        """The gradient with respect to each layer's input, or None where it was not needed."""
        below: list[Array | None] = [None] * self.last_back
        return [*below, self.dX, *self.douts[self.last_back : -1]]

    def update_statistics(self, N: int) -> None:
        """Add the batch's means and variances to the running averages of batch norm; N is the batch size."""
        for layer, cache in zip(self.layers, self.caches, strict=True):
            if isinstance(layer, BatchNorm):
                layer.update_statistics(cache, N)

    def prepare(self, X: Array) -> None:
        """Allocate the arrays for batches of this shape, after a check of the shape and the dtype."""
        if X.ndim != 2 or X.shape[1] != self.in_size:
            raise UsageError(f"X must have the shape (N, {self.in_size}), got {X.shape}")
        if X.dtype != self.dtype:
            raise UsageError(f"X must have the network's dtype {self.dtype}, got {X.dtype}")
        size = self.in_size
        for layer, cache in zip(self.layers, self.caches, strict=True):
            layer.prepare(cache, len(X), size)
            size = layer.out_size(size)
        self.shape = X.shape
