"""The network: a sequence of layers whose parameters are views into one vector.

    Network([784, 128, 10], rng=rng)                                                       dense layers with ReLU
    Network([784, 256, 10], maps=[32, 64], rng=rng)                                        two convolutions first
    Network([Dense(784, 128), Activation("gelu"), Dropout(0.1), Dense(128, 10)], rng=rng)  any layers

`parameters` is one contiguous vector, and so is the gradient. An optimizer is then a few vector operations, a
checkpoint is one array, and an all-reduce is one message. The weights come first, so that weight decay applies to one
slice. `byhand.nn.backprop.Pass` runs batches through a network.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.arrays import Array, aligned
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer, Shapes, Views
from byhand.nn.rng import Rng
from byhand.schema import of_kind
from byhand.text import did_you_mean

#: A convolution: the number of maps, or (maps, window size, stride); the defaults are a 5 × 5 window and stride 2.
Maps = int | Sequence[int]

#: The kinds of layers by their names in model files.
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Dense, Convolution, Activation, Dropout, BatchNorm)}


class Network:
    """A sequence of layers, or of dense layers with these sizes: see the module's docstring."""

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
        options = {"maps": maps, "activation": activation, "dropout": dropout, "batch_norm": batch_norm, "init": init}
        self.layers: tuple[Layer, ...] = tuple(layers_of(layers, **options, output_scale=output_scale))
        self.in_size, self.out_size = check_chain(self.layers)
        self.needs_whole_batch = any(layer.needs_whole_batch for layer in self.layers)
        self._shapes = parameter_shapes(self.layers)
        self._statistics_shapes = statistics_shapes(self.layers)
        self.size = number_of(self._shapes)
        self.weight_slice = slice(0, sum(math.prod(shape) for shape in self._shapes.values() if len(shape) == 2))
        self.parameters = aligned(self.size, self.dtype)
        self.statistics = aligned(number_of(self._statistics_shapes), self.dtype)
        parameters = self.by_layer(self.parameters)
        statistics = by_layer(self.statistics, self._statistics_shapes, self.layers)
        for i, layer in enumerate(self.layers):
            layer.index = i
            layer.bind(parameters[i], statistics[i])
            layer.initialize(rng)

    def forward(self, X: Array) -> Array:
        """Return the outputs for a batch, in inference mode       X: (N, in_size) → (N, out_size)"""
        return Pass(self, needs_gradient=False).forward(X)

    def by_layer(self, vector: Array) -> list[Views]:
        """Return views into a vector like `parameters`: for each layer, name → array."""
        return by_layer(vector, self._shapes, self.layers)

    def named(self, vector: Array | None = None) -> Iterator[tuple[str, Array]]:
        """Yield `("0.W", array)`, … in the order of the vector: of `parameters`, or of a vector like it."""
        yield from named_views(self.parameters if vector is None else vector, self._shapes)

    def named_statistics(self) -> Iterator[tuple[str, Array]]:
        """Yield `("1.mean", array)`, …: the arrays that are saved but not trained by gradient."""
        yield from named_views(self.statistics, self._statistics_shapes)

    @property
    def dense(self) -> list[Dense]:
        """The dense layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    @property
    def parametric_layers(self) -> list[Dense | Convolution]:
        """The layers with weights, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Dense | Convolution)]

    @property
    def architecture(self) -> str:
        """The sizes as text: 784-128-10, or with convolutions (maps@height×width) 784-32@12×12-64@4×4-256-10."""
        sizes = [str(self.in_size)]
        for layer in self.parametric_layers:
            if isinstance(layer, Dense):
                sizes.append(str(layer.units))
            else:
                sizes.append(f"{layer.maps}@{layer.rows}×{layer.columns}")
        return "-".join(sizes)

    def copy(self, dtype: DTypeLike | None = None) -> "Network":
        """Return a copy with vectors of its own, of type `dtype` if it is passed."""
        return rebuild(self.config(), np.dtype(dtype or self.dtype), self.parameters, self.statistics)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make pickle and deepcopy rebuild the network, so that its layers are views into its own vector."""
        return rebuild, (self.config(), self.dtype, self.parameters, self.statistics)

    def config(self) -> list[dict[str, Any]]:
        """Return the layers as plain values, for `from_config`."""
        return [layer.config() for layer in self.layers]

    @classmethod
    def from_config(cls, config: list[dict[str, Any]], *, dtype: DTypeLike = np.float32) -> "Network":
        """Return a network with the layers of `config`; the caller must set its parameters."""
        return cls(layers_from_config(config), rng=np.random.default_rng(0), dtype=dtype)

    def summary(self) -> str:
        """Return a table of the layers, with their numbers of outputs and parameters."""
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
    """Return a network with this configuration and copies of these vectors; pickles call this function."""
    network = Network.from_config(config, dtype=dtype)
    network.parameters[...] = parameters
    network.statistics[...] = statistics
    return network


def parameter_shapes(layers: Sequence[Layer]) -> Shapes:
    """Return `0.W` → shape, … of all parameters in the order of the vector: weights (matrices) first."""
    shapes = [(f"{i}.{name}", shape) for i, layer in enumerate(layers) for name, shape in layer.shapes.items()]
    return dict(sorted(shapes, key=lambda item: len(item[1]) != 2))


def statistics_shapes(layers: Sequence[Layer]) -> Shapes:
    """Return `1.mean` → shape, … of the arrays that are saved but not trained by gradient."""
    return {f"{i}.{name}": shape for i, layer in enumerate(layers) for name, shape in layer.statistics.items()}


def number_of(shapes: Shapes) -> int:
    """Return the total size of arrays of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def by_layer(vector: Array, shapes: Shapes, layers: Sequence[Layer]) -> list[Views]:
    """Split a vector into views, and return them for each layer: name → array."""
    views: list[Views] = [{} for _ in layers]
    for key, view in named_views(vector, shapes):
        index, name = key.split(".")
        views[int(index)][name] = view
    return views


def named_views(vector: Array, shapes: Shapes) -> Iterator[tuple[str, Array]]:
    """Split a vector into views of the shapes in `shapes`, in that order."""
    start = 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        yield name, vector[start : start + size].reshape(shape)
        start += size


def max_norm(network: Network, limit: float) -> None:
    """Scale down the incoming weights of each unit whose norm exceeds `limit`     W: (inputs, units)"""
    for layer in network.parametric_layers:
        lengths = np.sqrt(np.einsum("iu,iu->u", layer.W, layer.W))
        layer.W *= float(limit) / np.maximum(lengths, float(limit))


def float_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64; reject other types."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise UsageError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise UsageError(f"dtype must be float32 or float64, got {kind}")
    return kind


# ---- layers from sizes or from a model file


#: Names of settings in other libraries, and what to type here.
ELSEWHERE = {
    **dict.fromkeys(("hidden", "hidden_layer_sizes", "layers", "units"), "Model([784, 128, 10])"),
    **dict.fromkeys(("conv", "filters", "channels"), "maps"),
    **dict.fromkeys(("bn", "batchnorm", "normalization"), "batch_norm"),
    "random_state": "seed",
    "initializer": "init",
    **{name: f"byhand.fit(model, data, {name}=…)" for name in ("optimizer", "loss", "epochs", "learning_rate")},
}


def layers_of(given: Sequence[Any], **options: Any) -> list[Layer]:
    """Return the layers in `given`, or the layers for the sizes in `given`."""
    defaults = layers_from_sizes.__kwdefaults__ or {}
    if isinstance(given, str) or not isinstance(given, Iterable):
        hint = "; byhand.load_model reads files" if isinstance(given, str) else ""
        raise UsageError(f"sizes must be a list such as [784, 128, 10], got {given!r:.60}{hint}")
    if not (all(isinstance(layer, Layer) for layer in given) and len(given) > 0):
        if unknown := [name for name in options if name not in defaults]:
            known = (*defaults, "seed", "dtype", "classes", "preparation", "metadata")
            hint = did_you_mean(unknown[0], known, ELSEWHERE) or f": the settings are {', '.join(known)}"
            raise UsageError(f"unknown setting {unknown[0]!r:.60} of a network{hint}")
        return list(layers_from_sizes(check_sizes(given), **options))
    if changed := [name for name, value in options.items() if value not in (defaults[name], [])]:
        raise UsageError(f"{', '.join(changed)} must be used with sizes, not with layers")
    return list(given)


def layers_from_sizes(
    sizes: Sequence[int],
    *,
    maps: Sequence[Maps] = (),
    activation: str = "relu",
    dropout: float = 0.0,
    batch_norm: bool = False,
    init: str = "he",
    output_scale: float = 1.0,
    shape: tuple[int, ...] | None = None,
) -> Iterator[Layer]:
    """Yield convolutions with these maps, then dense layers of these sizes.

    `shape` is the height and width of the images, and for color 3, for the convolutions; by default a gray square.
    Batch norm (optional), the activation and dropout (optional) follow each layer except the last. `output_scale`
    multiplies the initial weights of the last: at 0.1 the first probabilities are nearly equal, and training is stable.
    """
    checks.flag("batch_norm", batch_norm)

    def with_activation(layer: Layer, units: int, *, has_dropout: bool = True) -> Iterator[Layer]:
        yield layer
        if batch_norm:
            yield BatchNorm(units)
        yield Activation(activation)
        if dropout and has_dropout:
            yield Dropout(dropout)

    size = sizes[0]
    first = list(convolutions(size, maps, init, shape))
    for convolution in first:  # neighboring places of a map are correlated: dropout follows only the last convolution
        size = convolution.outputs
        yield from with_activation(convolution, size, has_dropout=convolution is first[-1])
    for units in sizes[1:-1]:
        yield from with_activation(Dense(size, units, init=init), units)
        size = units
    yield Dense(size, sizes[-1], init=init, scale=output_scale)


def convolutions(
    in_size: int, maps: Sequence[Maps], init: str, shape: tuple[int, ...] | None = None
) -> Iterator[Convolution]:
    """Yield the convolutions that `maps` describes, for images of this shape, by default a square of `in_size`."""
    if not isinstance(maps, Sequence) or isinstance(maps, str | bytes):
        raise UsageError(f"maps must be a list, such as [32, 64] or [(32, 5, 2), (64, 5, 2)], got {maps!r:.60}")
    rows, columns, channels = (*(shape or (math.isqrt(in_size),) * 2), 1)[:3]
    if maps and rows * columns * channels != in_size:
        hint = "pass shape=(height, width), for color (height, width, 3)"
        raise UsageError(f"maps need a square image, got {in_size} pixels: {hint}")
    for entry in maps:
        numbers = tuple(entry) if isinstance(entry, list | tuple) else (entry,)
        if not 1 <= len(numbers) <= 3:
            raise UsageError(f"maps must have one to three numbers each (maps, window size, stride), got {list(maps)}")
        settings = dict(zip(("maps", "size", "stride"), numbers, strict=False))
        try:
            layer = Convolution(rows, columns, channels, **settings, init=init)
        except UsageError as error:
            raise UsageError(f"each convolution must fit its input, got {list(maps)}: {error}") from None
        yield layer
        rows, columns, channels = layer.rows, layer.columns, layer.maps


def layers_from_config(config: list[dict[str, Any]]) -> list[Layer]:
    """Return the layers of a `Network.config`, without parameters."""
    return [of_kind("a layer's kind", LAYERS, entry) for entry in config]


def check_sizes(sizes: Sequence[Any]) -> list[int]:
    """Return the sizes: two or more positive integers."""
    if len(sizes) < 2 or not all(checks.is_integer(size, 1) for size in sizes):
        raise UsageError(f"sizes must be two or more positive integers, got {list(sizes)}")
    return [int(size) for size in sizes]


def check_chain(layers: Sequence[Layer]) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of the layers; reject layers that do not fit together."""
    if len(set(map(id, layers))) != len(layers):
        raise UsageError("each layer must be its own object, got the same one twice")
    for layer in layers:
        if layer.index >= 0:
            raise UsageError(f"a layer must belong to one network only, got {layer!r} of another")
    if not any(isinstance(layer, Dense) for layer in layers):
        raise UsageError(f"a network must have at least one Dense layer, got {list(layers)}")
    in_size = size = next(layer.inputs for layer in layers if layer.inputs)
    for layer in layers:
        size = layer.out_size(size)
    return in_size, size
