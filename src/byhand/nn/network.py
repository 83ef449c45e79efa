"""The network: layers in a row, over one vector of parameters. `byhand.nn.backprop` takes batches through it.

    Network([784, 128, 10], rng=rng)                                        the everyday way: dense layers, relu between
    Network([784, 256, 10], maps=[32, 64], rng=rng)                         two convolutions before them
    Network([Dense(784, 128), Activation("gelu"), Dropout(0.1), Dense(128, 10)], rng=rng)              the general way

All weights and biases are named views into `parameters`, one contiguous vector; a gradient is a vector of the same
shape. So an optimizer is a few vector operations, a checkpoint is one array, and an all-reduce is one message. The
weights come first and everything else after them, so that weight decay is an operation on one slice.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from byhand.errors import UsageError
from byhand.nn.arrays import Array, aligned
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.initializers import Rng
from byhand.nn.layers import Dense, Layer, Shapes, Views
from byhand.nn.stacks import Maps, check_chain, layers_from_config, layers_of


class Network:
    """Layers in a row. See the module's text for the two ways to make one."""

    def __init__(
        self,
        layers: Sequence[int] | Sequence[Layer],
        *,
        rng: Rng,
        maps: Sequence[Maps] = (),
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: str = "he",
        output_scale: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.dtype = float_type(dtype)
        options = maps, activation, dropout, batch_norm, init, output_scale
        self.layers: tuple[Layer, ...] = tuple(layers_of(layers, *options))
        self.in_size, self.out_size = check_chain(self.layers)
        #: True if a sample's result depends on the others in its batch.
        self.needs_whole_batch = any(layer.needs_whole_batch for layer in self.layers)
        self._places = parameter_shapes(self.layers)
        self._statistics_places = statistics_shapes(self.layers)
        self.size = number_of(self._places)
        self.weight_slice = slice(
            0, number_of({name: shape for name, shape in self._places.items() if len(shape) == 2})
        )
        self.parameters = aligned(self.size, self.dtype)
        self.statistics = aligned(number_of(self._statistics_places), self.dtype)
        parameters = self.by_layer(self.parameters)
        statistics = by_layer(self.statistics, self._statistics_places, self.layers)
        for i, layer in enumerate(self.layers):
            layer.index = i
            layer.bind(parameters[i], statistics[i])
            layer.initialize(rng)

    def forward(self, X: Array) -> Array:
        """Return the outputs for a batch, in inference            X: (N, in_size) → (N, out_size)"""
        return Pass(self, needs_gradient=False).forward(X)

    def by_layer(self, vector: Array) -> list[Views]:
        """Views into a vector of the parameters' shape: for each layer, name → array."""
        return by_layer(vector, self._places, self.layers)

    def named(self, vector: Array | None = None) -> Iterator[tuple[str, Array]]:
        """`("0.W", array)`, … in the vector's order: the parameters, or a vector of their shape."""
        yield from named_views(self.parameters if vector is None else vector, self._places)

    def named_statistics(self) -> Iterator[tuple[str, Array]]:
        """`("1.mean", array)`, …: what is saved but not learned by gradient."""
        yield from named_views(self.statistics, self._statistics_places)

    @property
    def dense(self) -> list[Dense]:
        """The dense layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    @property
    def parametric_layers(self) -> list[Dense | Convolution]:
        """The layers that have weights, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Dense | Convolution)]

    @property
    def architecture(self) -> str:
        """784-128-10, and with convolutions 784-32@12×12-64@4×4-256-10: so many maps of that size"""
        sizes = [str(self.in_size)]
        for layer in self.parametric_layers:
            if isinstance(layer, Dense):
                sizes.append(str(layer.units))
            else:
                sizes.append(f"{layer.maps}@{layer.rows}×{layer.columns}")
        return "-".join(sizes)

    def copy(self, dtype: DTypeLike | None = None) -> "Network":
        """The same network over vectors of its own, in another precision if asked."""
        return rebuild(self.config(), np.dtype(dtype or self.dtype), self.parameters, self.statistics)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled or deep copy is built anew, so that its layers' arrays are views into its own vector."""
        return rebuild, (self.config(), self.dtype, self.parameters, self.statistics)

    def config(self) -> list[dict[str, Any]]:
        """What makes this network again, as plain values."""
        return [layer.config() for layer in self.layers]

    @classmethod
    def from_config(cls, config: list[dict[str, Any]], *, dtype: DTypeLike = np.float32) -> "Network":
        """A network of that shape, with parameters that wait to be filled."""
        return cls(layers_from_config(config), rng=np.random.default_rng(0), dtype=dtype)

    def summary(self) -> str:
        """A table: each layer, what comes out of it, how many parameters it has."""
        rows = [("layer", "out", "parameters")]
        size = self.in_size
        for layer in self.layers:
            size = layer.out_size(size)
            rows.append((repr(layer), str(size), f"{sum(math.prod(shape) for shape in layer.shapes.values()):,}"))
        rows.append(("total", "", f"{self.size:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.layers))}])"


def rebuild(config: list[dict[str, Any]], dtype: np.dtype[Any], parameters: Array, statistics: Array) -> Network:
    """The network of that shape with these parameters and statistics: what a pickle calls when it is read."""
    network = Network.from_config(config, dtype=dtype)
    network.parameters[...] = parameters
    network.statistics[...] = statistics
    return network


def parameter_shapes(layers: Sequence[Layer]) -> Shapes:
    """Return `0.W` → shape, … of all parameters in the vector's order: the weights (matrices) first."""
    shapes = [(f"{i}.{name}", shape) for i, layer in enumerate(layers) for name, shape in layer.shapes.items()]
    return dict(sorted(shapes, key=lambda place: len(place[1]) != 2))


def statistics_shapes(layers: Sequence[Layer]) -> Shapes:
    """Return `1.mean` → shape, … of what is saved but not learned by gradient."""
    return {f"{i}.{name}": shape for i, layer in enumerate(layers) for name, shape in layer.statistics.items()}


def number_of(shapes: Shapes) -> int:
    """Return how many numbers arrays of these shapes hold together."""
    return sum(math.prod(shape) for shape in shapes.values())


def by_layer(vector: Array, places: Shapes, layers: Sequence[Layer]) -> list[Views]:
    """Cut a vector into named views and give each layer its own, under its own names."""
    views: list[Views] = [{} for _ in layers]
    for place, view in named_views(vector, places):
        index, name = place.split(".")
        views[int(index)][name] = view
    return views


def named_views(vector: Array, places: Shapes) -> Iterator[tuple[str, Array]]:
    """Cut a vector into arrays, one after another, in the order of `places`."""
    start = 0
    for place, shape in places.items():
        size = math.prod(shape)
        yield place, vector[start : start + size].reshape(shape)
        start += size


def max_norm(network: Network, limit: float) -> None:
    """Shorten the incoming weights of each unit to at most `limit`, where they are longer     W: (inputs, units)"""
    for layer in network.parametric_layers:
        lengths = np.sqrt(np.einsum("iu,iu->u", layer.W, layer.W))
        layer.W *= float(limit) / np.maximum(lengths, float(limit))


def float_type(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64, or an error."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise UsageError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise UsageError(f"dtype must be float32 or float64, got {kind}")
    return kind
