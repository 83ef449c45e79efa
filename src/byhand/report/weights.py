"""The weights of the first layer, seen as pictures: of a dense layer a picture a unit, of a convolution one a window.

The report's page and its plots draw them. Of a convolution the page shows too what its maps say of one picture.
"""

from dataclasses import dataclass

import numpy as np

from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense, Layer
from byhand.page.document import escape, folded, gray_image, signed_image, table

#: Units shown as pictures, and how many of them side by side.
UNITS, ACROSS = 40, 8
#: Pixels of the screen that a picture's side should take, and its cells at least.
SIDE, LEAST = 72, 3


@dataclass(frozen=True, eq=False)
class First:
    """The first layer's units, or maps, with the longest weights: which they are, and the shape of their pictures."""

    layer: Dense | Convolution
    shape: tuple[int, int]
    chosen: Array

    @property
    def count(self) -> int:
        """How many there are in all."""
        return len(self.layer.b)

    @property
    def each(self) -> str:
        return "map" if isinstance(self.layer, Convolution) else "unit"

    def sheet(self, across: int) -> Array:
        """The weights of those chosen, a picture each                             → (rows, columns)"""
        return sheet(self.layer.W.T[self.chosen].reshape(-1, *self.shape), across)


def first_of(layer: Layer, picture: tuple[int, int], count: int = UNITS) -> First | None:
    """The layer's weights as pictures; None where they stand over something else than the pixels of a picture."""
    if isinstance(layer, Convolution) and layer.channels == 1:
        shape = layer.size, layer.size
    elif isinstance(layer, Dense) and layer.inputs == picture[0] * picture[1] and picture[0] > 1:
        shape = picture
    else:
        return None
    return First(layer, shape, np.sort(np.argsort(-lengths(layer), kind="stable")[:count]))


def lengths(layer: Dense | Convolution) -> Array:
    """How long each unit's weights are                                            → (units,)"""
    squares: Array = np.sqrt((layer.W.astype(np.float64) ** 2).sum(axis=0))
    return squares


def sheet(stack: Array, across: int) -> Array:
    """Pictures side by side, a cell of nothing between them                       (count, H, W) → (rows, columns)"""
    count, height, width = stack.shape
    across = min(across, count)
    cells = np.full((-(-count // across) * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for place, picture in enumerate(stack):
        top, left = place // across * (height + 1), place % across * (width + 1)
        cells[top : top + height, left : left + width] = picture
    return cells


def section(model: Model, data: Dataset) -> str:
    """The page's section; nothing where the first layer's weights are no pictures."""
    first = first_of(model.network.layers[0], data.shape)
    if first is None:
        return ""
    which = f"all of its {first.count} {first.each}s" if first.count > 1 else f"its one {first.each}"
    if len(first.chosen) < first.count:
        which = f"the {len(first.chosen)} of its {first.count} {first.each}s with the longest weights"
    W, long = first.layer.W.T[first.chosen], lengths(first.layer)
    figures = [
        (int(u), *(f"{value:.3g}" for value in (long[u], w.min(), w.max(), first.layer.b[u])))
        for u, w in zip(first.chosen, W, strict=True)
    ]
    drawn = image(first.sheet(ACROSS), first.shape, f"The weights of {which}, a picture each; their figures are below")
    twin = folded(f"the {first.each}s as a table", table((first.each, "length", "lowest", "highest", "bias"), figures))
    return f"<p>{said(first, which)}</p>{drawn}{twin}{found(model, data, first)}"


def said(first: First, which: str) -> str:
    """What a square is, and what its colours mean."""
    orange, blue = '<span class="up">orange</span>', '<span class="down">blue</span>'
    if isinstance(first.layer, Dense):
        return (
            f"Each square is one unit's weights, one for each pixel ({which}): ink on {orange} switches it on, ink on "
            f"{blue} switches it off."
        )
    height, width = first.shape
    return (
        f"The first layer is a convolution: a window of {height} × {width} pixels, put to {first.layer.rows} × "
        f"{first.layer.columns} places. Each square is what one map looks for in all of them ({which}): ink on "
        f"{orange} raises the map in that place, ink on {blue} lowers it."
    )


def found(model: Model, data: Dataset, first: First) -> str:
    """What the maps say of the first picture of the data, in the order of their windows."""
    if not isinstance(first.layer, Convolution):
        return ""
    pass_, after = Pass(model.network, needs_gradient=False), ""
    pass_.forward(model.preparation(data.images[:1], model.network.dtype))
    for layer, result in zip(model.network.layers, pass_.outs, strict=True):
        if isinstance(layer, Dense | Convolution) and layer is not first.layer:
            break
        out = result
        if isinstance(layer, Activation):
            after = f", after {layer.function.name}"
    shape = first.layer.rows, first.layer.columns
    maps = out.reshape(*shape, first.layer.maps).transpose(2, 0, 1)[first.chosen]
    name = escape(data.classes[int(data.labels[0])])
    seen = gray_image(data.images[0])
    words = f"What the maps say of picture 0, a {name}"
    return (
        f"<h3>{words}</h3><p>In the order of the windows above{after}: where a window found what it looks for it is "
        f'<span class="up">orange</span>.</p><div class="found"><img class="seen" src="{seen}" width="84" '
        f'alt="Picture 0, a {name}">{image(sheet(maps, ACROSS), shape, words)}</div>'
    )


def image(cells: Array, shape: tuple[int, int], alt: str) -> str:
    """Pictures of this shape as one image, in cells that the eye can see."""
    size = max(LEAST, SIDE // max(shape))
    uri = signed_image(cells, float(np.nanmax(np.abs(cells), initial=0.0)))
    height, width = cells.shape
    return f'<img class="weights" src="{uri}" width="{width * size}" height="{height * size}" alt="{escape(alt)}">'
