"""Images of a report: a sprite sheet of the pictures that it shows, and the weights of the first layer as pictures.

The sprite sheet holds each picture once. Of every cell of the confusion matrix it has the worst mistakes, or the right
answers with the least confidence; how many depends on the size that the page may have. The weights of a dense layer
are a picture a unit, those of a convolution a picture a map, and the page also shows the maps of one picture.
"""

from dataclasses import dataclass

import numpy as np

from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense, Layer
from byhand.page.document import data_uri, escape, folded, gray_image, gray_png, signed_image, table, tiled
from byhand.report.evaluation import Evaluation

#: Maximum size of the sprite sheet in bytes, before it is written into the page in base64 (a third more).
BUDGET = 900_000
PER_CELL, LARGEST_SIDE, COLUMNS = 24, 32, 40
#: Pixels of the screen that a picture's longer side takes.
TILE = 56
#: Units shown as pictures, and how many of them side by side.
UNITS, ACROSS = 40, 8
#: Pixels of the screen that the side of a unit's picture should take, and the smallest size of its cells.
SIDE, LEAST = 72, 3


# ---- the sprite sheet


@dataclass(frozen=True, eq=False)
class Sprites:
    """A sprite sheet of pictures of one size. `order` has their indices, in the order of the sheet."""

    png: bytes
    order: list[int]
    height: int
    width: int

    def tile(self, index: int, label: str) -> str:
        """Return one picture as an element of the page, with a label for those who don't see it."""
        row, column = divmod(self.order.index(index), COLUMNS)
        return f'<span class="tile" role="img" aria-label="{escape(label)}" style="--x:{column};--y:{row}"></span>'

    def style(self) -> str:
        """Return the style by which a tile finds its picture in the sheet."""
        scale = TILE / max(self.height, self.width)
        h, w = self.height * scale, self.width * scale
        rows = max(1, -(-len(self.order) // COLUMNS))
        return (
            f".tile {{ width: {w:g}px; height: {h:g}px; "
            f"background-size: {COLUMNS * w:g}px {rows * h:g}px; "
            f"background-position: calc(var(--x) * -{w:g}px) calc(var(--y) * -{h:g}px); "
            f"background-image: url({data_uri(self.png)}); }}\n"
        )


def sprites(evaluation: Evaluation, first: list[int]) -> Sprites:
    """Return a sheet of the pictures `first`, and then as many of each cell as the budget allows."""
    by_cell = cells(evaluation)
    per_cell = PER_CELL
    while True:
        chosen = list(dict.fromkeys([*first, *(index for cell in by_cell for index in cell[:per_cell])]))
        made = sprite_sheet(evaluation.data.images, chosen)
        if len(made.png) <= BUDGET or per_cell == 0:
            return made
        per_cell = min(per_cell - 1, int(per_cell * BUDGET / len(made.png)))


def sprite_sheet(images: Array, chosen: list[int]) -> Sprites:
    """Return a sheet of these pictures, in rows of `COLUMNS`           images: uint8 (M, H, W)"""
    stack = np.stack([reduced(images[index]) for index in chosen]) if chosen else np.zeros((1, 1, 1), np.uint8)
    count, height, width = stack.shape
    rows = -(-count // COLUMNS)
    full = np.zeros((rows * COLUMNS, height, width), np.uint8)
    full[:count] = stack
    sheet = full.reshape(rows, COLUMNS, height, width).swapaxes(1, 2).reshape(rows * height, COLUMNS * width)
    return Sprites(gray_png(sheet), chosen, height, width)


def cells(evaluation: Evaluation) -> list[list[int]]:
    """Return the pictures of each cell of the confusion matrix, the worst mistakes and the least certain first."""
    K = len(evaluation.classes)
    indices: list[list[int]] = [[] for _ in range(K * K)]
    right = np.flatnonzero(evaluation.right)
    least_certain = right[np.argsort(evaluation.probabilities[right].max(axis=1), kind="stable")]
    cell = (evaluation.labels * K + evaluation.predictions).tolist()
    for index in [*(mistake.index for mistake in evaluation.mistakes), *least_certain.tolist()]:
        indices[cell[index]].append(index)
    return indices


def reduced(image: Array) -> Array:
    """Return a picture as it is or, if it is large, reduced by averaging                uint8 (H, W)"""
    if max(image.shape) <= LARGEST_SIDE:
        return image
    from PIL import Image

    scale = LARGEST_SIDE / max(image.shape)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BOX))


# ---- the first layer


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """The weights of the first layer as pictures: those of the units, or maps, with the largest norms.

    chosen: their numbers;  pictures: (chosen, H, W);  norms: (units,), of all of them;  each: `unit` or `map`
    """

    layer: Dense | Convolution
    each: str
    chosen: Array
    pictures: Array
    norms: Array


def first_layer(layer: Layer, picture: tuple[int, int], count: int = UNITS) -> FirstLayer | None:
    """Return the layer's weights as pictures; None if its inputs are not the pixels of a picture."""
    if isinstance(layer, Convolution) and layer.channels == 1:
        each, picture = "map", (layer.size, layer.size)
    elif isinstance(layer, Dense) and layer.inputs == picture[0] * picture[1] and picture[0] > 1:
        each = "unit"
    else:
        return None
    norms = np.linalg.norm(layer.W.astype(np.float64), axis=0)
    chosen = np.sort(np.argsort(-norms, kind="stable")[:count])
    return FirstLayer(layer, each, chosen, layer.W.T[chosen].reshape(-1, *picture), norms)


def first_layer_section(model: Model, data: Dataset) -> str:
    """Return the page's section, empty if the weights of the first layer are no pictures."""
    first = first_layer(model.network.layers[0], data.shape)
    if first is None:
        return ""
    count, each, b = len(first.norms), first.each, first.layer.b
    which = f"all of its {count} {each}s" if count > 1 else f"its one {each}"
    if len(first.chosen) < count:
        which = f"the {len(first.chosen)} of its {count} {each}s with the longest weights"
    rows = [
        (int(u), *(f"{value:.3g}" for value in (first.norms[u], w.min(), w.max(), b[u])))
        for u, w in zip(first.chosen, first.pictures, strict=True)
    ]
    drawn = image(first.pictures, f"The weights of {which}, a picture each; their figures are below")
    twin = folded(f"the {each}s as a table", table((each, "length", "lowest", "highest", "bias"), rows))
    return f"<p>{legend(first, which)}</p>{drawn}{twin}{first_maps(model, data, first)}"


def legend(first: FirstLayer, which: str) -> str:
    """Return what a square is, and what its colors mean."""
    orange, blue = '<span class="up">orange</span>', '<span class="down">blue</span>'
    if isinstance(first.layer, Dense):
        return (
            f"Each square is one unit's weights, one for each pixel ({which}): ink on {orange} switches it on, ink on "
            f"{blue} switches it off."
        )
    height, width = first.pictures.shape[1:]
    return (
        f"The first layer is a convolution: a window of {height} × {width} pixels, put to {first.layer.rows} × "
        f"{first.layer.columns} places. Each square is what one map looks for in all of them ({which}): ink on "
        f"{orange} raises the map in that place, ink on {blue} lowers it."
    )


def first_maps(model: Model, data: Dataset, first: FirstLayer) -> str:
    """Return the maps of a convolution for the first picture of the data, in the order of their windows."""
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
    maps = out.reshape(first.layer.rows, first.layer.columns, first.layer.maps).transpose(2, 0, 1)[first.chosen]
    name = data.classes[int(data.labels[0])]
    title = f"What the maps say of picture 0, a {name}"
    return (
        f"<h3>{escape(title)}</h3><p>In the order of the windows above{after}: where a window found what it looks for it is "
        f'<span class="up">orange</span>.</p><div class="found"><img class="seen" src="{gray_image(data.images[0])}" '
        f'width="84" alt="Picture 0, a {escape(name)}">{image(maps, title)}</div>'
    )


def image(pictures: Array, alt: str) -> str:
    """Return pictures side by side as one image, with cells that are large enough to see."""
    size, sheet = max(LEAST, SIDE // max(pictures.shape[1:])), tiled(pictures, ACROSS)
    uri = signed_image(sheet, float(np.nanmax(np.abs(sheet), initial=0.0)))
    height, width = sheet.shape
    return f'<img class="weights" src="{uri}" width="{width * size}" height="{height * size}" alt="{escape(alt)}">'
