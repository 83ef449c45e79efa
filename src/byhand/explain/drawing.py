"""Drawing: an array of any shape as a small grid of numbers, each of which becomes one coloured cell.

Both renderers take their grids from here. Nothing is averaged away: a cell is one number, and what doesn't fit is left
out and said.
"""

from dataclasses import dataclass

import numpy as np

from byhand.explain.steps import Figure
from byhand.nn.arrays import Array

#: Cells in a row before a single row of numbers is wrapped.
WRAP = 32


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells to draw, float64 (rows, columns) with NaN where there is none. `scale` is what full colour stands for."""

    cells: Array
    note: str
    scale: float
    #: Shades of grey for bytes; else two colours for the two signs.
    is_grey: bool = False


def grid(figure: Figure, *, columns: int, rows: int) -> Grid:
    """The figure laid out in at most so many columns and rows of cells."""
    values = figure.array.astype(np.float64)
    scale = float(np.abs(values).max()) if values.size else 0.0
    is_grey = figure.array.dtype == np.uint8
    if figure.pictures:
        cells, note = tiled(stacked(values, figure), figure, columns, rows)
    elif values.ndim == 1 or len(values) == 1:
        cells, note = wrapped(values.ravel(), min(WRAP, columns), rows)
    else:
        cells, note = cropped(values, columns, rows)
    return Grid(cells, note, 255.0 if is_grey else scale, is_grey)


def stacked(values: Array, figure: Figure) -> Array:
    """A picture a row, the channels of one sample or unit after one another         → (count, H·W)"""
    each = values if figure.pictures == "rows" else values.T
    return each.reshape(len(each), -1, figure.channels).swapaxes(1, 2).reshape(len(each) * figure.channels, -1)


def tiled(stack: Array, figure: Figure, columns: int, rows: int) -> tuple[Array, str]:
    """Each row of the stack as a picture, side by side with a gap of one cell      (count, H·W) → (rows, columns)

    Where not all have room those with the largest numbers are taken; pictures that belong in one line stay together.
    """
    height, width = figure.shape
    fit = max(1, min(len(stack), (columns + 1) // (width + 1)))
    line = figure.across if figure.across <= fit else 0
    across, unit = line or fit, line or 1
    strengths = np.abs(stack).max(axis=1).reshape(-1, unit).max(axis=1)
    room = max(1, (rows + 1) // (height + 1)) * across // unit
    chosen = list(range(len(strengths)))
    if room < len(strengths):
        chosen = [int(k) for k in np.argsort(-strengths, kind="stable")[:room]]
    down = -(-len(chosen) * unit // across)
    cells = np.full((down * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for place, k in enumerate(k * unit + j for k in chosen for j in range(unit)):
        top, left = place // across * (height + 1), place % across * (width + 1)
        cells[top : top + height, left : left + width] = stack[k].reshape(height, width)
    if len(stack) == 1:
        return cells, f"{height} × {width}"
    return cells, which(figure, chosen, len(strengths), is_in_lines=line > 0)


def which(figure: Figure, chosen: list[int], count: int, *, is_in_lines: bool) -> str:
    """What the pictures are of, and which they are where some were left out."""
    whole = figure.note if is_in_lines else f"a picture for each {figure.each}"
    if len(chosen) == count:
        return whole
    names = ", ".join(map(str, chosen)) if len(chosen) <= 8 else f"{len(chosen):,}"
    before = f"{whole}; of the {count:,} lines" if is_in_lines else f"of the {count:,} {figure.each}s"
    return f"{before} those with the largest numbers: {names}"


def wrapped(values: Array, columns: int, rows: int) -> tuple[Array, str]:
    """A row of numbers, wrapped                                                 (n,) → (rows, columns)"""
    down = min(rows, -(-len(values) // columns))
    width = min(columns, len(values))
    shown = min(len(values), down * width)
    cells = np.full(down * width, np.nan)
    cells[:shown] = values[:shown]
    wraps = f"wrapped after {width}" if down > 1 else ""
    return cells.reshape(down, width), wraps + first_of(shown, len(values), "numbers")


def cropped(values: Array, columns: int, rows: int) -> tuple[Array, str]:
    """A matrix as it is, or turned on its side where it then fits better          (N, n) → (rows, columns)"""
    turned = values.shape[0] > rows and values.shape[1] < values.shape[0]
    cells = values.T if turned else values
    height, width = cells.shape
    note = "turned: a row is a unit" if turned else ""
    note += first_of(min(rows, height), height, "units" if turned else "rows")
    note += first_of(min(columns, width), width, "inputs" if turned else "columns")
    return cells[:rows, :columns], note.removeprefix(", ")


def first_of(shown: int, count: int, what: str) -> str:
    """`, the first 64 of 128 units`, or nothing where all are shown."""
    return f", the first {shown:,} of {count:,} {what}" if shown < count else ""
