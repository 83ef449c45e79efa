"""Words: how the report writes shares, settings and the shape of a network."""

from collections.abc import Iterator, Mapping
from typing import Any

from byhand.model.ensemble import Committee, Reader, Shifted
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dropout


def shape_of(reader: Reader) -> str:
    """784-128-10, and of a committee 3 × 784-128-10"""
    if isinstance(reader, Shifted):
        return shape_of(reader.reader)
    if isinstance(reader, Committee):
        shapes = [shape_of(member) for member in reader.members]
        return f"{len(shapes)} × {shapes[0]}" if len(set(shapes)) == 1 else " + ".join(shapes)
    return reader.network.outline


def parameters_of(reader: Reader) -> int:
    """How many numbers were learned."""
    if isinstance(reader, Shifted):
        return parameters_of(reader.reader)
    return reader.size if isinstance(reader, Committee) else reader.network.size


def layers_of(reader: Reader) -> dict[str, str]:
    """How its layers are set, in the words of `byhand train`; those of a committee's members are the first one's."""
    if isinstance(reader, Shifted):
        return layers_of(reader.reader)
    if isinstance(reader, Committee):
        return layers_of(reader.members[0])
    layers = reader.network.layers
    maps = [f"{layer.maps}@{layer.size}/{layer.stride}" for layer in layers if isinstance(layer, Convolution)]
    activations = [layer.function.name for layer in layers if isinstance(layer, Activation)]
    dropouts = [f"{layer.rate:g}" for layer in layers if isinstance(layer, Dropout)]
    return {
        "maps": ",".join(maps) or "none",
        "activation": ", ".join(dict.fromkeys(activations)) or "none",
        "dropout": ", ".join(dict.fromkeys(dropouts)) or "0",
        "batch norm": "yes" if any(isinstance(layer, BatchNorm) for layer in layers) else "no",
        "init": ", ".join(dict.fromkeys(layer.init for layer in reader.network.weighted)),
    }


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (name, value) lines: `recipe.optimizer.kind`, `momentum`."""
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                yield f"{name}[{number}]", ", ".join(f"{k} {v}" for k, v in item.items())
        else:
            yield name, "–" if value is None else str(value)
