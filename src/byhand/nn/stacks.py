"""Stacks: the layers of a network in their order, made from sizes or of a model's file, and what must hold of them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from byhand.errors import UsageError
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer

#: A convolution in short: how many maps, and of which size and step its window is, where not 5 and 2.
Maps = int | Sequence[int]

#: Every kind of layer, by the name that it has in a model's file.
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Dense, Convolution, Activation, Dropout, BatchNorm)}


def layers_of(
    given: Sequence[Any],
    maps: Sequence[Maps] = (),
    activation: str = "relu",
    dropout: float = 0.0,
    batch_norm: bool = False,
    init: str = "he",
    output_scale: float = 1.0,
) -> list[Layer]:
    """Return the layers of a network: those that are given, or the everyday ones of the sizes that are given."""
    if not (all(isinstance(layer, Layer) for layer in given) and len(given) > 0):
        sizes = check_sizes(given)
        return list(layers_from_sizes(sizes, maps, activation, dropout, batch_norm, init, output_scale))
    check_unset(
        maps=len(maps) > 0,
        activation=activation != "relu",
        dropout=dropout != 0,
        batch_norm=batch_norm,
        init=init != "he",
        output_scale=output_scale != 1,
    )
    return list(given)


def layers_from_sizes(
    sizes: Sequence[int],
    maps: Sequence[Maps],
    activation: str,
    dropout: float,
    batch_norm: bool,
    init: str,
    output_scale: float,
) -> Iterator[Layer]:
    """Convolutions with these maps, then dense layers of these sizes.

    After each but the last: batch norm if asked, the activation, dropout if asked. The last layer starts `output_scale`
    times smaller: at 0.1 the first answers are nearly even, and learning is calm.
    """
    if not isinstance(batch_norm, bool | np.bool_):
        raise UsageError(f"batch_norm must be True or False, got {batch_norm!r}")

    def followed(layer: Layer, units: int, *, drops: bool = True) -> Iterator[Layer]:
        yield layer
        if batch_norm:
            yield BatchNorm(units)
        yield Activation(activation)
        if dropout and drops:
            yield Dropout(dropout)

    size = sizes[0]
    sliding = list(convolutions(size, maps, init))
    for convolution in sliding:  # what one place of a map doesn't say, its neighbours do: only the last ones drop out
        size = convolution.out_size(size)
        yield from followed(convolution, size, drops=convolution is sliding[-1])
    for units in sizes[1:-1]:
        yield from followed(Dense(size, units, init=init), units)
        size = units
    yield Dense(size, sizes[-1], init=init, scale=output_scale)


def convolutions(in_size: int, maps: Sequence[Maps], init: str) -> Iterator[Convolution]:
    """One convolution after another over a square picture of so many pixels: see `Maps`."""
    if not isinstance(maps, Sequence) or isinstance(maps, str | bytes):
        raise UsageError(f"maps must be a list, such as [32, 64] or [(32, 5, 2), (64, 5, 2)], got {maps!r:.60}")
    rows, channels = math.isqrt(in_size), 1
    if maps and rows * rows != in_size:
        raise UsageError(
            f"maps are for square pictures, got {in_size} pixels; "
            "give layers, the first of them a Convolution(height, width, …)"
        )
    for entry in maps:
        short = tuple(entry) if isinstance(entry, list | tuple) else (entry,)
        if not 1 <= len(short) <= 3:
            raise UsageError(f"maps must have one to three numbers each (how many, window, step), got {list(maps)}")
        settings = dict(zip(("maps", "size", "stride"), short, strict=False))
        try:
            layer = Convolution(rows, rows, channels, **settings, init=init)
        except UsageError as error:
            raise UsageError(f"maps must fit one after another, got {list(maps)}: {error}") from None
        yield layer
        rows, channels = layer.rows, layer.maps


def layers_from_config(config: list[dict[str, Any]]) -> list[Layer]:
    """The layers that `Network.config` described; no memory is taken for their parameters yet."""
    layers = []
    for entry in config:
        settings = dict(entry)
        kind = settings.pop("kind", None)
        if kind not in LAYERS:
            raise UsageError(f"a layer's kind must be one of {', '.join(LAYERS)}, got {kind!r}")
        layers.append(LAYERS[kind](**settings))
    return layers


def check_unset(**given: bool) -> None:
    """Refuse settings of layers that are not made here: they would be passed over in silence."""
    if any(given.values()):
        names = ", ".join(name for name, is_set in given.items() if is_set)
        raise UsageError(f"{names} must go with sizes, not with layers: layers have their own")


def check_sizes(sizes: Sequence[Any]) -> list[int]:
    """At least an input and an output, each a positive integer."""
    if len(sizes) < 2:
        raise UsageError(f"sizes must name at least the inputs and the outputs, got {list(sizes)}")
    if any(isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1 for size in sizes):
        raise UsageError(f"sizes must be positive integers, got {list(sizes)}")
    return [int(size) for size in sizes]


def check_chain(layers: Sequence[Layer]) -> tuple[int, int]:
    """The number of inputs and outputs of layers that fit together, or an error that names the one that doesn't."""
    if len(set(map(id, layers))) != len(layers):
        raise UsageError("each layer must be its own object, got the same one twice")
    for layer in layers:
        if layer.index >= 0:
            raise UsageError(f"a layer must belong to one network only, got {layer!r} of another")
    sized = [layer for layer in layers if isinstance(layer, Dense | Convolution | BatchNorm)]
    if not sized or not any(isinstance(layer, Dense) for layer in layers):
        raise UsageError(f"a network must have at least one Dense layer, got {list(layers)}")
    first = sized[0]
    in_size = first.units if isinstance(first, BatchNorm) else first.inputs
    size = in_size
    for layer in layers:
        size = layer.out_size(size)
    return in_size, size
