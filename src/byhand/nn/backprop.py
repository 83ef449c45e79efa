"""Backpropagation: one pass through a network, forward and back.

Forward, each layer's output is the next one's input. Backward, the same row of layers is walked from its end: each
layer turns the derivative by its output into the derivative by its input, and writes the derivatives by its own
parameters into the gradient vector. That is all of backpropagation; what a layer does in each direction is in
`byhand.nn.layers` (and `byhand.nn.convolution`).

    pass_ = Pass(network)
    Z = pass_.forward(X)                  the outputs
    loss, dZ = SoftmaxCrossEntropy()(Z, y)
    pass_.backward(dZ)                    `pass_.gradient` is now the derivative of the loss by `network.parameters`

A pass owns every array that the layers write into, made once for batches of one size (a batch of another size has them
made again, in the same memory if it is smaller). So a pass belongs to one thread, and what `forward` returns is
overwritten by the next `forward`. Prediction, the gradient check and the explanations use the same pass and read its
arrays: `ins[i]` and `outs[i]` are the input and output of layer i, `dins[i]` and `douts[i]` the derivatives by them,
`caches[i]` what the layer kept.
"""

from collections.abc import Callable, Sequence
from typing import Any

from byhand.errors import UsageError
from byhand.nn.arrays import Array, Cache, aligned
from byhand.nn.layers import BatchNorm, Layer
from byhand.nn.rng import StepKey


class Pass:
    """Take batches through `network`, a `byhand.nn.network.Network`, forward and back.

    gradient: the vector to write into, zeros at first, instead of a new one. layers: the network's layers in another
    form (see `byhand.training.plan`). needs_gradient=False makes a pass for prediction, which can't go back.
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
        self.in_size = getattr(self.layers[0], "inputs", network.in_size)
        #: The first layer with parameters is the last one backward: the derivative by the pixels is not needed.
        self.last_back = next(i for i, layer in enumerate(network.layers) if layer.shapes)
        needs_dX = [needs_gradient and i > self.last_back for i in range(len(self.layers))]
        self.caches = [Cache(self.dtype, needs_dX=needed) for needed in needs_dX]
        self.outs: list[Array] = []
        self.douts: list[Array | None] = []
        #: The arrays of the loss that follows the last layer.
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

        `key` says which step of training this is. Without one it is inference: dropout does nothing and batch norm
        uses its running averages.
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
        """Write the derivatives by all parameters into `gradient`       dout: (N, out_size)"""
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
        """The derivative by the input of each layer, None where it was not needed."""
        below: list[Array | None] = [None] * self.last_back
        return [*below, self.dX, *self.douts[self.last_back : -1]]

    def update_statistics(self, N: int) -> None:
        """Add the batch's means and variances to the running averages of batch norm; N: samples in the batch."""
        for layer, cache in zip(self.layers, self.caches, strict=True):
            if isinstance(layer, BatchNorm):
                layer.update_statistics(cache, N)

    def prepare(self, X: Array) -> None:
        """Make the arrays for batches of this shape, or raise an error if the network can't take them."""
        if X.ndim != 2 or X.shape[1] != self.in_size:
            raise UsageError(f"X must have the shape (N, {self.in_size}), got {X.shape}")
        if X.dtype != self.dtype:
            raise UsageError(f"X must be {self.dtype}, as the network is, got {X.dtype}")
        size = self.in_size
        for layer, cache in zip(self.layers, self.caches, strict=True):
            layer.prepare(cache, len(X), size)
            size = layer.out_size(size)
        self.shape = X.shape
