"""Names: what the arrays of each layer are called in this network, and which of them can be seen as pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from byhand.explain.steps import Figure
from byhand.nn.arrays import Array
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer

LETTER = {Dense: "Z", Convolution: "Z", Activation: "H", BatchNorm: "B", Dropout: "D"}
NOTHING_BELOW = " Nothing is handed on: below are only the pixels, and nobody can change those."

#: Rows, columns and channels of a row of numbers that is a picture, or several maps; the channels stand together.
Extent = tuple[int, int, int]


@dataclass(frozen=True)
class Named:
    """One layer of the network with the names that its arrays have in this network.

    `number` is that of the last layer with weights up to here, from 1; `source` is the name of what goes in, `result`
    of what comes out: X → Z1 → H1 → Z2 …  `takes` and `gives` say how the two lie, where they are pictures or maps.
    """

    layer: Layer
    index: int
    number: int
    source: str
    result: str
    takes: Extent | None = None
    gives: Extent | None = None

    def own(self, name: str) -> str:
        """The name of one of its own arrays: W → W1."""
        return f"{name}{self.number}"

    def here(self, text: str, letters: dict[str, str]) -> str:
        """A formula of the layer's kind in the names of this layer: `dW = Xᵀ dZ` → `dW2 = H1ᵀ dZ2`"""
        pattern = rf"(?<!\w)(d?)({'|'.join(map(re.escape, letters))})(?!\u0302)(?=[ᵀ²]|(?!\w))"
        return re.sub(pattern, lambda found: found[1] + letters[found[2]], text)

    def rows(self, symbol: str, array: Array) -> Figure:
        """An array with a row a sample, what goes in or what comes out; a picture for each map where it has any."""
        maps = {self.source: self.takes, self.result: self.gives}[symbol.removeprefix("d")]
        if maps is None:
            return Figure(symbol, array)
        return Figure(symbol, array, "rows", maps[:2], channels=maps[2], each="sample" if maps[2] == 1 else "map")

    def weights(self, symbol: str, array: Array) -> Figure:
        """An array of the shape of the weights, or of some columns of it; pictures, where they stand over any."""
        if isinstance(self.layer, Convolution):
            return below(symbol, array, "columns", (self.layer.size, self.layer.size, self.layer.channels), "map")
        return Figure(symbol, array) if self.takes is None else below(symbol, array, "columns", self.takes, "unit")


def below(symbol: str, array: Array, pictures: str, maps: Extent, each: str) -> Figure:
    """An array whose rows or columns have a number for each number of the maps below, or of a part of them."""
    rows, columns, channels = maps
    if channels == 1:
        return Figure(symbol, array, pictures, (rows, columns), each=each)
    note = f"a line for each {each}, in it a picture for each of the {channels} maps below"
    return Figure(
        symbol, array, pictures, (rows, columns), channels=channels, each="picture", across=channels, note=note
    )


def named(layers: Sequence[Layer], picture: tuple[int, int] | None) -> list[Named]:
    """Give the arrays of every layer their names; `picture` is the shape of the inputs, where they are pixels."""
    result: list[Named] = []
    number, source, taken = 0, "X", {"X"}
    takes: Extent | None = (*picture, 1) if picture else None
    for index, layer in enumerate(layers):
        number += isinstance(layer, Dense | Convolution)
        gives = takes
        if isinstance(layer, Dense):
            gives = None
        if isinstance(layer, Convolution):
            takes, gives = (layer.height, layer.width, layer.channels), (layer.rows, layer.columns, layer.maps)
        name = f"{next(letter for kind, letter in LETTER.items() if isinstance(layer, kind))}{number}"
        while name in taken:
            name += "′"
        taken.add(name)
        result.append(Named(layer, index, number, source, name, takes, gives))
        source, takes = name, gives
    return result


def joined(*arrays: Figure, to: Figure) -> str:
    """`X (1, 784), W1 (784, 128) → Z1 (1, 128)`"""
    return f"{', '.join(f'{f.symbol} {f.array.shape}' for f in arrays)} → {to.symbol} {to.array.shape}"
