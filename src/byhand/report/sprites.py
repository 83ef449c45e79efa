"""Sprites: the pictures that a report shows, in one image, each of them once.

Of every cell of the confusion matrix the most telling pictures are taken: of mistakes the worst, of right answers those
it was least sure of. How many depends on what the page may weigh.
"""

from dataclasses import dataclass

import numpy as np

from byhand.nn.arrays import Array
from byhand.page.document import data_uri, escape, gray_png
from byhand.report.evaluation import Evaluation

#: What the image may weigh in bytes, before it is written into the page in base64 (a third more).
BUDGET = 900_000
PER_CELL, LARGEST_SIDE, COLUMNS = 24, 32, 40
#: Pixels of the screen that a picture's longer side takes.
TILE = 56


@dataclass(frozen=True, eq=False)
class Sprites:
    """The image, the places of the pictures in it, and what of each cell is there.

    order: the pictures' indices, in the order of the image
    """

    png: bytes
    order: list[int]
    height: int
    width: int

    @property
    def rows(self) -> int:
        return -(-len(self.order) // COLUMNS)

    def tile(self, index: int, label: str) -> str:
        """One picture on the page, with the words for those who don't see it."""
        row, column = divmod(self.order.index(index), COLUMNS)
        return f'<span class="tile" role="img" aria-label="{escape(label)}" style="--x:{column};--y:{row}"></span>'

    def style(self) -> str:
        """How the style sheet finds a picture in the image."""
        scale = TILE / max(self.height, self.width)
        h, w = self.height * scale, self.width * scale
        return (
            f".tile {{ width: {w:g}px; height: {h:g}px; "
            f"background-size: {COLUMNS * w:g}px {max(1, self.rows) * h:g}px; "
            f"background-position: calc(var(--x) * -{w:g}px) calc(var(--y) * -{h:g}px); "
            f"background-image: url({data_uri(self.png)}); }}\n"
        )


def sprites(evaluation: Evaluation, first: list[int]) -> Sprites:
    """The pictures `first`, and then as many of each cell as the budget allows."""
    by_cell = cells(evaluation)
    per_cell = PER_CELL
    while True:
        chosen = list(dict.fromkeys([*first, *(index for cell in by_cell for index in cell[:per_cell])]))
        made = packed(evaluation.data.images, chosen)
        if len(made.png) <= BUDGET or per_cell == 0:
            return made
        per_cell = min(per_cell - 1, int(per_cell * BUDGET / len(made.png)))


def packed(images: Array, chosen: list[int]) -> Sprites:
    """These pictures as one image                                 images: uint8 (M, H, W)"""
    stack = np.stack([small(images[index]) for index in chosen]) if chosen else np.zeros((1, 1, 1), np.uint8)
    return Sprites(gray_png(sheet(stack)), chosen, stack.shape[1], stack.shape[2])


def sheet(images: Array) -> Array:
    """Pictures in rows of `COLUMNS`, edge to edge               uint8 (N, H, W) → (rows · H, COLUMNS · W)"""
    count, height, width = images.shape
    rows = -(-count // COLUMNS)
    full = np.zeros((rows * COLUMNS, height, width), np.uint8)
    full[:count] = images
    laid: Array = full.reshape(rows, COLUMNS, height, width).swapaxes(1, 2).reshape(rows * height, COLUMNS * width)
    return laid


def cells(evaluation: Evaluation) -> list[list[int]]:
    """The pictures of each cell of the confusion matrix, the most telling first."""
    K = len(evaluation.classes)
    found: list[list[int]] = [[] for _ in range(K * K)]
    for mistake in evaluation.mistakes:
        found[mistake.label * K + mistake.predicted].append(mistake.index)
    confidence = evaluation.probabilities.max(axis=1)
    right = np.flatnonzero(evaluation.predictions == evaluation.labels)
    for index in right[np.argsort(confidence[right], kind="stable")]:
        found[int(evaluation.labels[index]) * (K + 1)].append(int(index))
    return found


def small(image: Array) -> Array:
    """The picture as it is, or, where it is large, made smaller by averaging        uint8 (H, W)"""
    if max(image.shape) <= LARGEST_SIDE:
        return image
    from PIL import Image

    scale = LARGEST_SIDE / max(image.shape)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BOX))
