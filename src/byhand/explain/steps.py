"""Steps: one step of learning as data, before anybody draws it.

An `Explanation` is a tree of `Step`s (formula, shapes, arrays, the code that computed them, a sentence) and the `Unit`s
that are worked out by hand (`worked`). `byhand.explain.step` makes it; `terminal` and `page` draw it.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from byhand.explain.source import Quote
from byhand.nn.arrays import Array
from byhand.text import percent

if TYPE_CHECKING:
    from byhand.explain.worked import Unit


def numeral(value: float) -> str:
    """A number in four significant digits or more, with a real minus sign: −0.03125, 2.4e−05, 13,317."""
    is_long = 1000 <= abs(value) < 1e9
    return f"{value + 0.0:{',.0f' if is_long else '.4g'}}".replace("-", "−")


def bracketed(value: float) -> str:
    """A number as it is written after an operator: in brackets where it has a sign."""
    text = numeral(value)
    return f"({text})" if text.startswith("−") else text


@dataclass(frozen=True, eq=False)
class Figure:
    """One array of the step under its name, as the network's code had it.

    `pictures` says that its rows (an input: a row is a picture) or its columns (the weights of a unit, one for each
    pixel) can be seen as pictures of `shape`, or as so many `channels` of that shape, whose numbers stand together.
    `each` is what one picture is of. With `across` they stand in lines of so many, and `note` says what a line is.
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
    def lowest(self) -> float:
        return float(self.array.min())

    @property
    def highest(self) -> float:
        return float(self.array.max())

    @property
    def total(self) -> float:
        """The sum of all of its numbers, added in float64."""
        return float(self.array.sum(dtype=np.float64))

    @property
    def zeros(self) -> int:
        return int(self.array.size - np.count_nonzero(self.array))

    def place_of(self, value: float) -> tuple[int, ...]:
        """Where the value stands for the first time."""
        flat = int(np.flatnonzero(self.array.ravel() == value)[0])
        return tuple(int(i) for i in np.unravel_index(flat, self.array.shape))

    @property
    def caption(self) -> str:
        """`Z1 (1, 128)  lowest −2.1 at [0, 3]  highest 3.4 at [0, 17]  sum 12.5  41 zeros`"""
        if self.array.size == 1:
            return f"{self.symbol} {self.array.shape}  {numeral(float(self.array.item()))}"
        parts = [f"{self.symbol} {self.array.shape}"]
        parts += [
            f"{word} {numeral(value)} at {list(self.place_of(value))}"
            for word, value in (("lowest", self.lowest), ("highest", self.highest))
        ]
        parts.append(f"sum {numeral(self.total)}")
        if self.zeros:
            parts.append(f"{self.zeros:,} of {self.array.size:,} are 0")
        return "  ".join(parts)


@dataclass(frozen=True, eq=False)
class Step:
    """One step: what happens, as a formula, as shapes, as numbers, as code. `parts` are the steps inside it."""

    key: str
    title: str
    text: str
    formula: str = ""
    shapes: str = ""
    figures: tuple[Figure, ...] = ()
    #: (what was computed, the lines that did it)
    code: tuple[tuple[str, Quote], ...] = ()
    parts: tuple["Step", ...] = ()
    #: Lines of arithmetic, for what is one number.
    lines: tuple[str, ...] = ()

    def walk(self) -> Iterator["Step"]:
        """This step and all of its parts, in order."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, eq=False)
class Explanation:
    """One step of learning, whole. Shows itself in a notebook; `text()` and `html()` give it as strings.

    images: uint8 (N, H, W);  labels: (N,) or None;  probabilities, afterwards: (N, K)
    """

    title: str
    images: Array
    labels: Array | None
    classes: tuple[str, ...]
    settings: dict[str, str]
    steps: tuple[Step, ...]
    units: tuple["Unit", ...]
    probabilities: Array
    loss: float | None = None
    loss_after: float | None = None
    afterwards: Array | None = None

    def walk(self) -> Iterator[Step]:
        """Every step, in order."""
        for step in self.steps:
            yield from step.walk()

    def __getitem__(self, symbol: str) -> Array:
        """The array of that name: `explanation["Z1"]`, `explanation["dW2"]`."""
        for step in self.walk():
            for figure in step.figures:
                if figure.symbol == symbol:
                    return figure.array
        known = dict.fromkeys(figure.symbol for step in self.walk() for figure in step.figures)
        raise KeyError(f"{symbol}: the arrays of this step are {', '.join(known)}")

    def answer(self, row: int = 0) -> str:
        """What the network answers for one sample, and how sure it is: `7 (98.1 %)`"""
        best = int(self.probabilities[row].argmax())
        return f"{self.classes[best]} ({percent(self.probabilities[row, best], 1)})"

    def text(self, width: int = 100, *, color: bool = False, units_only: bool = False) -> str:
        """The explanation for a terminal; or only its units, with every term of their sums."""
        from byhand.explain.terminal import as_text

        return as_text(self, width, color=color, units_only=units_only)

    def html(self) -> str:
        """The explanation as one page that needs nothing else."""
        from byhand.explain.page import as_page

        return as_page(self)

    def _repr_html_(self) -> str:
        """For a notebook: the page in a frame of its own, so that neither's style reaches the other."""
        page = html.escape(self.html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" title="{html.escape(self.title)}" sandbox="" '
            'style="width: 100%; height: 640px; border: 1px solid #8884; border-radius: 6px"></iframe>'
        )

    def __repr__(self) -> str:
        learned = "" if self.loss is None else f", loss {numeral(self.loss)} → {numeral(self.loss_after or 0.0)}"
        return f"<Explanation of {self.title}: {self.answer()}{learned}; print(….text()) shows it>"

    def to_json(self) -> dict[str, Any]:
        """Every number that is shown, as plain values."""
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
                    "code": [{"computes": what, "place": q.place, "text": q.text} for what, q in step.code],
                    "arrays": [
                        {
                            "symbol": f.symbol,
                            "shape": list(f.array.shape),
                            "lowest": f.lowest,
                            "highest": f.highest,
                            "sum": f.total,
                            "zeros": f.zeros,
                        }
                        for f in step.figures
                    ],
                }
                for step in self.walk()
            ],
            "units": [{"unit": unit.name, "lines": list(unit.lines())} for unit in self.units],
        }
