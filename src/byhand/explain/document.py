"""An explanation as data, which `byhand.explain.terminal` and `page` draw.

`grid` lays an array out in cells, one per number. Numbers are not averaged; those that do not fit are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.explain.source import Quote
from byhand.nn.arrays import Array
from byhand.page.document import tiled

#: Length at which a row of numbers is wrapped.
WRAP = 32


def numeral(value: float) -> str:
    """Format a number with four significant digits or more: −0.03125, 2.4e−05, 13,317."""
    is_long = 1000 <= abs(value) < 1e9
    return f"{value + 0.0:{',.0f' if is_long else '.4g'}}".replace("-", "−")


def bracketed(value: float) -> str:
    """Format a number after an operator: in parentheses if it is negative."""
    text = numeral(value)
    return f"({text})" if text.startswith("−") else text


@dataclass(frozen=True, eq=False)
class Figure:
    """An array with its symbol.

    pictures: "rows" (samples) or "columns" (weights of a unit) if these are images of `shape`, with `channels`
    each: the name of one image;  across: images per line, which `note` describes
    """

    symbol: str
    array: Array
    pictures: str = ""
    shape: tuple[int, int] = (0, 0)
    channels: int = 1
    each: str = "unit"
    across: int = 0
    note: str = ""

    @property
    def summary(self) -> dict[str, float]:
        """Minimum, maximum, sum (added in float64) and number of zeros."""
        array = self.array
        return {
            "lowest": float(array.min()),
            "highest": float(array.max()),
            "sum": float(array.sum(dtype=np.float64)),
            "zeros": int(array.size - np.count_nonzero(array)),
        }

    @property
    def notes(self) -> list[str]:
        """The summary as text: `lowest −2.1 at [0, 3]`, …, `sum 12.5`, `41 of 128 are 0`."""
        array, summary = self.array, self.summary
        notes = [f"{name} {numeral(summary[name])}" for name in ("lowest", "highest", "sum")]
        for k, first in enumerate((array.argmin(), array.argmax())):
            notes[k] += f" at {[int(i) for i in np.unravel_index(first, array.shape)]}"
        return notes + ([f"{summary['zeros']:,} of {array.size:,} are 0"] if summary["zeros"] else [])

    @property
    def caption(self) -> str:
        """The symbol, the shape, and the notes or the only number."""
        notes = self.notes if self.array.size > 1 else [numeral(float(self.array.item()))]
        return "  ".join([f"{self.symbol} {self.array.shape}", *notes])


@dataclass(frozen=True, eq=False)
class Step:
    """A part of the explanation, which can have parts itself.

    code: (result, lines that computed it);  lines: arithmetic of single numbers
    """

    key: str
    title: str
    text: str
    formula: str = ""
    figures: tuple[Figure, ...] = ()
    code: tuple[tuple[str, Quote], ...] = ()
    shapes: str = ""
    lines: tuple[str, ...] = ()
    parts: tuple["Step", ...] = ()


@dataclass(frozen=True, eq=False)
class Sum:
    """Σ left · right (+ bias) = total, where total is the network's own result."""

    symbol: str
    left: Array
    right: Array
    total: float
    bias: float | None = None

    @property
    def products(self) -> Array:
        """The products in float64          (n,)"""
        return self.left.astype(np.float64) * self.right.astype(np.float64)

    @property
    def order(self) -> list[int]:
        """The indices of the nonzero products, the largest first."""
        return largest_first(self.products)

    def line(self, shown: int) -> str:
        """Format the sum: `Z1[3] = 0.31·0.92 + … (99 more: 0.8) + 0.05 = 1.27`."""
        terms = [f"{numeral(self.left[i])}·{bracketed(self.right[i])}" for i in self.order[:shown]]
        text = sum_text(terms, self.products[self.order[shown:]])
        return equation(self.symbol, text if self.bias is None else f"{text} + {bracketed(self.bias)}", self.total)


def largest_first(values: Array) -> list[int]:
    """Return the indices of the nonzero values, the largest magnitude first."""
    return [int(i) for i in np.argsort(-np.abs(values), kind="stable") if values[i] != 0]


def sum_text(terms: list[str], rest: Array) -> str:
    """Format a sum: `0.31·0.92 + … (99 more: 0.8)`, or `0` without terms."""
    more = [f"… ({len(rest)} more: {numeral(rest.sum(dtype=np.float64))})"] if len(rest) else []
    return " + ".join([*(terms or ["0"]), *more])


def equation(symbol: str, arithmetic: str, value: float) -> str:
    """Format an equation: `H1[3] = relu(1.27) = 1.27`."""
    return f"{symbol} = {arithmetic} = {numeral(value)}"


@dataclass(frozen=True, eq=False)
class Unit:
    """The arithmetic of one unit: weighted sum, output, gradients and update.

    layer: from 1, of the layers with weights;  unit: from 0;  pictures: the window, the weights and their gradient
    """

    layer: int
    unit: int
    name: str
    arithmetic: dict[str, tuple[Sum | str, ...]]
    pictures: tuple[Figure, ...]

    def lines(self, shown: int = 4) -> Iterator[tuple[str, str]]:
        """Yield (name, arithmetic), with `shown` terms of each sum."""
        for what, items in self.arithmetic.items():
            for item in items:
                yield what, item.line(shown) if isinstance(item, Sum) else item


@dataclass(frozen=True, eq=False)
class Document:
    """The whole explanation; without labels, only the forward pass.

    images: uint8 (N, H, W);  labels: (N,) or None;  probabilities, afterwards: (N, K)
    """

    title: str
    images: Array
    labels: Array | None
    classes: tuple[str, ...]
    settings: dict[str, str]
    steps: tuple[Step, ...]
    units: tuple[Unit, ...]
    probabilities: Array
    loss: float | None = None
    loss_after: float | None = None
    afterwards: Array | None = None

    def walk(self) -> Iterator[Step]:
        """Yield every step, each before its parts."""
        for step in self.steps:
            yield from (step, *step.parts)

    def __getitem__(self, symbol: str) -> Array:
        """Return an array by its symbol: `explanation["dW2"]`."""
        arrays = {figure.symbol: figure.array for step in self.walk() for figure in step.figures}
        if symbol not in arrays:
            raise KeyError(f"array must be one of {', '.join(arrays)}, got {symbol}")
        return arrays[symbol]

    def answer(self) -> str:
        """Format the prediction for the first sample: `7 (98.1 %)`."""
        best = int(self.probabilities[0].argmax())
        return f"{self.classes[best]} ({100 * self.probabilities[0, best]:.1f} %)"

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as plain values."""
        return {
            "title": self.title,
            "settings": self.settings,
            "answer": self.answer(),
            "loss": self.loss,
            "loss_after": self.loss_after,
            "steps": [
                {
                    "key": step.key,
                    "title": step.title,
                    "formula": step.formula,
                    "shapes": step.shapes,
                    "lines": list(step.lines),
                    "code": [{"computes": what, **quote.to_json()} for what, quote in step.code],
                    "arrays": [{"symbol": f.symbol, "shape": list(f.array.shape), **f.summary} for f in step.figures],
                }
                for step in self.walk()
            ],
            "units": [{"unit": unit.name, "lines": list(unit.lines())} for unit in self.units],
        }


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells to draw, NaN for empty ones. `scale` is the value of the full color.

    `is_gray`: shades of gray for bytes, instead of two colors for the two signs
    """

    cells: Array
    note: str
    scale: float
    is_gray: bool = False


def grid(figure: Figure, *, columns: int, rows: int) -> Grid:
    """Lay the figure out in at most `columns` × `rows` cells."""
    values = figure.array.astype(np.float64)
    is_gray = figure.array.dtype == np.uint8
    if figure.pictures:
        cells, note = side_by_side(values, figure, columns, rows)
    elif values.ndim == 1 or len(values) == 1:
        cells, note = wrapped(values.ravel(), min(WRAP, columns), rows)
    else:
        cells, note = cropped(values, columns, rows)
    return Grid(cells, note, 255.0 if is_gray else float(np.abs(values).max(initial=0.0)), is_gray)


def side_by_side(values: Array, figure: Figure, columns: int, rows: int) -> tuple[Array, str]:
    """Return images side by side, with a gap of one cell          → (rows, columns)

    The channels of a sample or unit are adjacent, and in one line if they fit.
    If not all images fit, those with the largest values are shown.
    """
    each = values if figure.pictures == "rows" else values.T
    stack = each.reshape(len(each), -1, figure.channels).swapaxes(1, 2).reshape(len(each) * figure.channels, -1)
    height, width = figure.shape
    fit = max(1, min(len(stack), (columns + 1) // (width + 1)))
    line = figure.across if figure.across <= fit else 0
    across, unit = line or fit, line or 1
    strengths = np.abs(stack).max(axis=1).reshape(-1, unit).max(axis=1)
    room = max(1, (rows + 1) // (height + 1)) * across // unit
    chosen = list(range(len(strengths)))
    if room < len(strengths):
        chosen = [int(k) for k in np.argsort(-strengths, kind="stable")[:room]]
    cells = tiled(stack.reshape(-1, unit, height, width)[chosen].reshape(-1, height, width), across)
    if len(stack) == 1:
        return cells, f"{height} × {width}"
    whole = figure.note if line else f"one image per {figure.each}"
    if len(chosen) == len(strengths):
        return cells, whole
    names = ", ".join(map(str, chosen)) if len(chosen) <= 8 else f"{len(chosen):,}"
    kind = f"{whole}; lines" if line else f"{figure.each}s"
    return cells, f"{kind} with the largest values, of {len(strengths):,}: {names}"


def wrapped(values: Array, columns: int, rows: int) -> tuple[Array, str]:
    """Return a row of numbers, wrapped          (n,) → (rows, columns)"""
    down = min(rows, -(-len(values) // columns))
    width = min(columns, len(values))
    shown = min(len(values), down * width)
    cells = np.full(down * width, np.nan)
    cells[:shown] = values[:shown]
    wraps = f"wrapped after {width}" if down > 1 else ""
    return cells.reshape(down, width), wraps + truncation(shown, len(values), "numbers")


def cropped(values: Array, columns: int, rows: int) -> tuple[Array, str]:
    """Return a matrix, transposed if it then fits better          (N, n) → (rows, columns)"""
    transposed = values.shape[0] > rows and values.shape[1] < values.shape[0]
    cells = values.T if transposed else values
    height, width = cells.shape
    note = "transposed: a row is a unit" if transposed else ""
    note += truncation(min(rows, height), height, "units" if transposed else "rows")
    note += truncation(min(columns, width), width, "inputs" if transposed else "columns")
    return cells[:rows, :columns], note.removeprefix(", ")


def truncation(shown: int, count: int, what: str) -> str:
    """Return `, the first 64 of 128 units`, or nothing if all are shown."""
    return f", the first {shown:,} of {count:,} {what}" if shown < count else ""
