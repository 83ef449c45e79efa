"""Images of a report: a sprite sheet of the samples that it shows, and the weights of the first layer.

For each cell of the confusion matrix, the sprite sheet has the worst mistakes, or the correct predictions with the
lowest confidence. Their number depends on the size limit of the page.
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

#: Maximum size of the sprite sheet in bytes, before base64.
BUDGET = 900_000
PER_CELL, LARGEST_SIDE, COLUMNS = 24, 32, 40
#: Screen pixels of an image's longer side.
TILE = 56
#: Maximum number of units shown, and units per row.
UNITS, ACROSS = 40, 8
#: Screen pixels of the side of a unit's image, and the minimum of a cell.
SIDE, LEAST = 72, 3


# ---- the sprite sheet


@dataclass(frozen=True, eq=False)
class Sprites:
    """A sprite sheet; `order` has the indices of its images."""

    png: bytes
    order: list[int]
    height: int
    width: int

    def tile(self, index: int, label: str) -> str:
        """Return one image as an HTML element with an accessible label."""
        row, column = divmod(self.order.index(index), COLUMNS)
        return f'<span class="tile" role="img" aria-label="{escape(label)}" style="--x:{column};--y:{row}"></span>'

    def style(self) -> str:
        """Return the CSS of the tiles."""
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
    """Return a sheet of the images `first`, then as many of each cell as the budget allows."""
    by_cell = cells(evaluation)
    per_cell = PER_CELL
    while True:
        chosen = list(dict.fromkeys([*first, *(index for cell in by_cell for index in cell[:per_cell])]))
        made = sprite_sheet(evaluation.data.images, chosen)
        if len(made.png) <= BUDGET or per_cell == 0:
            return made
        per_cell = min(per_cell - 1, int(per_cell * BUDGET / len(made.png)))


def sprite_sheet(images: Array, chosen: list[int]) -> Sprites:
    """Return a sheet of the chosen images               images: uint8 (M, H, W) or (M, H, W, 3)"""
    stack = np.stack([reduced(images[index]) for index in chosen]) if chosen else np.zeros((1, 1, 1), np.uint8)
    count, height, width, *channels = stack.shape
    rows = -(-count // COLUMNS)
    full = np.zeros((rows * COLUMNS, height, width, *channels), np.uint8)
    full[:count] = stack
    grid = full.reshape(rows, COLUMNS, height, width, *channels).swapaxes(1, 2)
    sheet = grid.reshape(rows * height, COLUMNS * width, *channels)
    return Sprites(gray_png(sheet), chosen, height, width)


def cells(evaluation: Evaluation) -> list[list[int]]:
    """Return the indices in each cell of the confusion matrix, the worst or least certain first."""
    K = len(evaluation.classes)
    indices: list[list[int]] = [[] for _ in range(K * K)]
    right = np.flatnonzero(evaluation.right)
    least_certain = right[np.argsort(evaluation.probabilities[right].max(axis=1), kind="stable")]
    cell = (evaluation.labels * K + evaluation.predictions).tolist()
    for index in [*(mistake.index for mistake in evaluation.mistakes), *least_certain.tolist()]:
        indices[cell[index]].append(index)
    return indices


def reduced(image: Array) -> Array:
    """Reduce a large image by averaging                                   uint8 (H, W) or (H, W, 3)"""
    if max(image.shape) <= LARGEST_SIDE:
        return image
    from PIL import Image

    scale = LARGEST_SIDE / max(image.shape)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BOX))


# ---- the first layer


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """Weights of the units, or maps, with the largest norms       pictures: (chosen, H, W), norms: (units,)"""

    layer: Dense | Convolution
    each: str
    chosen: Array
    pictures: Array
    norms: Array


def first_layer(layer: Layer, picture: tuple[int, ...], count: int = UNITS) -> FirstLayer | None:
    """Return the layer's weights as images; None if its inputs are not pixels."""
    if isinstance(layer, Convolution) and layer.channels == 1:
        each, picture = "map", (layer.size, layer.size)
    elif isinstance(layer, Dense) and len(picture) == 2 and layer.inputs == picture[0] * picture[1] and picture[0] > 1:
        each = "unit"
    else:
        return None
    norms = np.linalg.norm(layer.W.astype(np.float64), axis=0)
    chosen = np.sort(np.argsort(-norms, kind="stable")[:count])
    return FirstLayer(layer, each, chosen, layer.W.T[chosen].reshape(-1, *picture), norms)


def first_layer_section(model: Model, data: Dataset) -> str:
    """Return the section, empty if the first layer's weights are not images."""
    first = first_layer(model.network.layers[0], data.shape)
    if first is None:
        return ""
    count, each, b = len(first.norms), first.each, first.layer.b
    which = f"all of its {count} {each}s" if count > 1 else f"its one {each}"
    if len(first.chosen) < count:
        which = f"the {len(first.chosen)} of its {count} {each}s with the largest norms"
    rows = [
        (int(u), *(f"{value:.3g}" for value in (first.norms[u], w.min(), w.max(), b[u])))
        for u, w in zip(first.chosen, first.pictures, strict=True)
    ]
    drawn = image(first.pictures, f"The weights of {which}, one image each; numbers are in the table below")
    twin = folded(f"the {each}s as a table", table((each, "norm", "minimum", "maximum", "bias"), rows))
    return f"<p>{legend(first, which)}</p>{drawn}{twin}{first_maps(model, data, first)}"


def legend(first: FirstLayer, which: str) -> str:
    """Return the explanation of the squares and their colors."""
    orange, blue = '<span class="up">orange</span>', '<span class="down">blue</span>'
    if isinstance(first.layer, Dense):
        return (
            f"Each square shows one unit's weights, one per pixel ({which}). Ink on {orange} pixels raises its output, "
            f"ink on {blue} pixels lowers it."
        )
    height, width = first.pictures.shape[1:]
    return (
        f"The first layer is a convolution: a window of {height} × {width} pixels at {first.layer.rows} × "
        f"{first.layer.columns} positions. Each square shows the filter of one map ({which}). Ink on {orange} pixels "
        f"raises the map at that position, ink on {blue} pixels lowers it."
    )


def first_maps(model: Model, data: Dataset, first: FirstLayer) -> str:
    """Return the maps of a convolution for the first image of the data."""
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
    title = f"The maps of image 0, a {name}"
    return (
        f"<h3>{escape(title)}</h3><p>In the order of the filters above{after}. Large values, where the filter "
        f'matches, are <span class="up">orange</span>.</p><div class="found"><img class="seen" '
        f'src="{gray_image(data.images[0])}" width="84" alt="Image 0, a {escape(name)}">{image(maps, title)}</div>'
    )


def image(pictures: Array, alt: str) -> str:
    """Return images side by side as one HTML image."""
    size, sheet = max(LEAST, SIDE // max(pictures.shape[1:])), tiled(pictures, ACROSS)
    uri = signed_image(sheet, float(np.nanmax(np.abs(sheet), initial=0.0)))
    height, width = sheet.shape
    return f'<img class="weights" src="{uri}" width="{width * size}" height="{height * size}" alt="{escape(alt)}">'
