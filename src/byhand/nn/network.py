"""The network: layers in a row, over one vector of parameters.

Forward, each layer's answer is the next one's input. Backward, the same row is walked from its end: each layer turns
the derivative by its answer into the derivative by its input, and leaves the derivatives by its own weights in the
gradient vector. That is all of backpropagation; what a layer does in each direction is in `byhand.nn.layers`
(and `byhand.nn.convolution`).

    Network([784, 128, 10], rng=rng)                                        the everyday way: dense layers, relu between
    Network([784, 256, 10], maps=[32, 64], rng=rng)                         two convolutions before them
    Network([Dense(784, 128), Activation("gelu"), Dropout(0.1), Dense(128, 10)], rng=rng)              the general way

All weights and biases are named views into `parameters`, one contiguous vector; a gradient is a vector of the same
shape. So an optimiser is a few vector operations, a checkpoint is one array, and a sum over machines is one message.
The weights come first and everything else after `decayed`, so that weight decay is an operation on one slice.
"""

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from byhand.errors import UsageError
from byhand.nn.convolution import SEEN_TOGETHER, TOGETHER, Convolution
from byhand.nn.initializers import Rng
from byhand.nn.layers import BatchNorm, Dense, Layer, Shapes, Views
from byhand.nn.noise import Moment
from byhand.nn.scratch import FRESH, Array, Fresh, aligned
from byhand.nn.stacks import Maps, check_chain, check_sizes, check_unset, everyday_layers, layers_from_config

Caches = list[Any]


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
        if all(isinstance(layer, Layer) for layer in layers) and len(layers) > 0:
            check_unset(
                maps=len(maps) > 0,
                activation=activation != "relu",
                dropout=dropout != 0,
                batch_norm=batch_norm,
                init=init != "he",
                output_scale=output_scale != 1,
            )
            self.layers: tuple[Layer, ...] = tuple(layers)  # type: ignore[arg-type]
        else:
            sizes = check_sizes(layers)
            self.layers = tuple(everyday_layers(sizes, maps, activation, dropout, batch_norm, init, output_scale))
        self.in_size, self.out_size = check_chain(self.layers)

        places = [(f"{i}.{name}", shape) for i, layer in enumerate(self.layers) for name, shape in layer.shapes.items()]
        self._places = dict(sorted(places, key=lambda place: len(place[1]) != 2))
        self._statistics_places: Shapes = {
            f"{i}.{name}": shape for i, layer in enumerate(self.layers) for name, shape in layer.statistics.items()
        }
        self.size = sum(math.prod(shape) for shape in self._places.values())
        self.decayed = slice(0, sum(math.prod(shape) for shape in self._places.values() if len(shape) == 2))
        check_fits(self.size, self.dtype)
        self.parameters = aligned(self.size, self.dtype)
        self.statistics = aligned(sum(math.prod(shape) for shape in self._statistics_places.values()), self.dtype)

        parameters = self.by_layer(self.parameters)
        statistics = by_layer(self.statistics, self._statistics_places, self.layers)
        for i, layer in enumerate(self.layers):
            layer.index = i
            layer.bind(parameters[i], statistics[i])
            layer.initialize(rng)
        self._first_learning = next((i for i, layer in enumerate(self.layers) if layer.shapes), len(self.layers))

    def forward(self, X: Array, work: Fresh | None = None, *, at: Moment | None = None) -> tuple[Array, Caches]:
        """The outputs, and what `backward` will need                 X: (N, in_size) → (N, out_size)

        `at` is the moment of training; without it nobody is training: dropout does nothing and batch norm uses its
        running averages. With a `work` the result lives in its memory, until the next call.
        """
        work = work or FRESH
        check_inputs(X, self.in_size if work.columns is None else len(work.columns), self.dtype)
        caches: Caches = []
        out = X
        for layer in self.layers:
            out, cache = layer.forward(out, work, at)
            caches.append(cache)
        return out, caches

    def backward(self, dout: Array, caches: Caches, gradient: list[Views], work: Fresh | None = None) -> None:
        """Write the derivatives by every parameter into `gradient`   dout: (N, out_size)

        `gradient` comes from `gradient_like()` or `by_layer(vector)`. The first layer that learns is the last that is
        asked: nobody needs the derivative by the pixels.
        """
        work = work or FRESH
        for i in range(len(self.layers) - 1, self._first_learning - 1, -1):
            dout = self.layers[i].backward(dout, caches[i], gradient[i], work, needs_dX=i > self._first_learning)  # type: ignore[assignment]

    def commit(self, caches: Caches, N: int) -> None:
        """Fold a training batch's means and variances into the running averages; N: samples in the batch."""
        for layer, cache in zip(self.layers, caches, strict=True):
            if isinstance(layer, BatchNorm):
                layer.commit(cache, N)

    def gradient_like(self) -> tuple[Array, list[Views]]:
        """A new gradient vector, and the views into it that `backward` fills."""
        vector = aligned(self.size, self.dtype)
        return vector, self.by_layer(vector)

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
    def weighted(self) -> list[Dense | Convolution]:
        """The layers that have weights, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Dense | Convolution)]

    @property
    def outline(self) -> str:
        """784-128-10, and with convolutions 784-32@12×12-64@4×4-256-10: so many maps of that size"""
        sizes = [str(self.in_size)]
        for layer in self.weighted:
            if isinstance(layer, Dense):
                sizes.append(str(layer.units))
            else:
                sizes.append(f"{layer.maps}@{layer.rows}×{layer.columns}")
        return "-".join(sizes)

    def together(self, most: int) -> int:
        """How many samples to work at once: `most`, or few where windows see each number of them many times."""
        seen = max((layer.seen for layer in self.layers if isinstance(layer, Convolution)), default=0)
        return min(most, TOGETHER, max(1, SEEN_TOGETHER // seen)) if seen else most

    @property
    def needs_whole_batch(self) -> bool:
        """Whether a sample's result depends on the others in its batch."""
        return any(layer.needs_whole_batch for layer in self.layers)

    def copy(self, dtype: DTypeLike | None = None) -> "Network":
        """The same network over vectors of its own, in another precision if asked."""
        return refilled(self.config(), np.dtype(dtype or self.dtype), self.parameters, self.statistics)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled or deep copy is built anew, so that its layers' arrays are views into its own vector."""
        return refilled, (self.config(), self.dtype, self.parameters, self.statistics)

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


def refilled(config: list[dict[str, Any]], dtype: np.dtype[Any], parameters: Array, statistics: Array) -> Network:
    """The network of that shape with these parameters and statistics: what a pickle calls when it is read."""
    network = Network.from_config(config, dtype=dtype)
    network.parameters[...] = parameters
    network.statistics[...] = statistics
    return network


def all_shapes(layers: Sequence[Layer]) -> Shapes:
    """Name → shape of everything that is saved with these layers."""
    return {f"{i}.{name}": s for i, layer in enumerate(layers) for name, s in (layer.shapes | layer.statistics).items()}


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
    for layer in network.weighted:
        lengths = np.sqrt(np.einsum("iu,iu->u", layer.W, layer.W))
        layer.W *= float(limit) / np.maximum(lengths, float(limit))


def check_fits(size: int, dtype: np.dtype[Any]) -> None:
    """Refuse what could never fit this machine's memory, before a system that promises too much kills the process.

    Counted are the parameters, and the numbers in float64, twice, from which the initialiser makes them.
    """
    needs, has = size * (dtype.itemsize + 16), memory()
    if has is not None and needs > has:
        raise UsageError(
            f"a network must fit the memory of {has / 1e9:,.0f} GB, got {size:,} parameters, "
            f"which need {needs / 1e9:,.0f} GB"
        )


def memory() -> int | None:
    """The bytes of memory of this machine, where it tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


def check_inputs(X: Array, in_size: int, dtype: np.dtype[Any]) -> None:
    """Refuse inputs that could only be a mistake: a wrong shape, or another precision, which would spread."""
    if X.ndim != 2 or X.shape[1] != in_size:
        raise UsageError(f"X must have the shape (N, {in_size}), got {X.shape}")
    if X.dtype != dtype:
        raise UsageError(f"X must be {dtype}, as the network is, got {X.dtype}")


def float_type(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64, or an error."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise UsageError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise UsageError(f"dtype must be float32 or float64, got {kind}")
    return kind
