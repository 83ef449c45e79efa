"""Worked: one unit as data, every sum of it with its terms, before anybody draws it.

`byhand.explain.units` makes a `Unit` out of a step's arrays; an `Explanation` holds several of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from byhand.explain.steps import Figure, bracketed, numeral
from byhand.nn.arrays import Array


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum of products, and what the network's code got for it: Σ left · right (+ bias) = total."""

    symbol: str
    left: Array
    right: Array
    total: float
    bias: float | None = None

    @property
    def products(self) -> Array:
        """Each term, in float64                                        (n,)"""
        return self.left.astype(np.float64) * self.right.astype(np.float64)

    @property
    def order(self) -> list[int]:
        """The terms that are not zero, the largest first."""
        products = self.products
        largest_first = np.argsort(-np.abs(products), kind="stable")
        return [int(i) for i in largest_first if products[i] != 0]

    def line(self, shown: int = 4) -> str:
        """`0.31·0.92 + 0.5·(−0.7) + … (99 more: 0.8) + 0.05 = 1.27`"""
        order, products = self.order, self.products
        terms = [f"{numeral(self.left[i])}·{bracketed(self.right[i])}" for i in order[:shown]]
        if rest := order[shown:]:
            terms.append(f"… ({len(rest)} more: {numeral(products[rest].sum())})")
        if not order:
            terms = ["0"]
        if self.bias is not None:
            terms.append(bracketed(self.bias))
        return f"{self.symbol} = {' + '.join(terms)} = {numeral(self.total)}"


@dataclass(frozen=True)
class Stage:
    """One number on its way through a unit: its name, how it came about, and what it is."""

    symbol: str
    how: str
    value: float

    def __str__(self) -> str:
        return f"{self.symbol} = {self.how} = {numeral(self.value)}"


@dataclass(frozen=True)
class Change:
    """One parameter before and after the update, and its derivative between them. `how` is the arithmetic, if plain."""

    symbol: str
    before: float
    gradient: float
    after: float
    how: str

    def __str__(self) -> str:
        if self.how:
            return f"{self.symbol} = {self.how} = {numeral(self.after)}"
        return f"{self.symbol}: {numeral(self.before)} → {numeral(self.after)}"


@dataclass(frozen=True, eq=False)
class Unit:
    """One unit worked out: its sum, its answer, its part of the blame, and what it learned from it.

    `layer` counts the layers with weights from 1, `unit` counts from 0 and `row` is the sample of the batch. Of a
    convolution `place` says which map it is, and where, and `seen` is what the window sees there.
    """

    layer: int
    unit: int
    row: int
    sum: Sum
    stages: tuple[Stage, ...]
    blame: Sum | None = None
    blame_stages: tuple[Stage, ...] = ()
    weight_gradient: Sum | None = None
    bias_gradient: Stage | None = None
    changes: tuple[Change, ...] = ()
    afterwards: float | None = None
    weights: Figure | None = None
    gradient: Figure | None = None
    place: str = ""
    seen: Figure | None = None

    @property
    def name(self) -> str:
        """`unit 3 of layer 1`; of a convolution `unit 301 of layer 1, map 1 in line 6, column 3`"""
        return f"unit {self.unit} of layer {self.layer}{', ' if self.place else ''}{self.place}"

    @property
    def pictures(self) -> tuple[Figure, ...]:
        """What can be seen of it: what its window sees, its weights and their derivatives."""
        return tuple(figure for figure in (self.seen, self.weights, self.gradient) if figure and figure.pictures)

    def lines(self, shown: int = 4) -> Iterator[tuple[str, str]]:
        """(what it is, the arithmetic) line by line, from the inputs to the update."""
        yield "the sum", self.sum.line(shown)
        for stage in self.stages:
            yield "the answer", str(stage)
        if self.blame is not None:
            yield "the blame", self.blame.line(shown)
        for stage in self.blame_stages:
            yield "the blame", str(stage)
        if self.weight_gradient is not None:
            yield "its largest slope", self.weight_gradient.line(shown)
        if self.bias_gradient is not None:
            yield "its bias's slope", str(self.bias_gradient)
        for change in self.changes:
            yield "the update", str(change)
        if self.afterwards is not None:
            yield "afterwards", f"{self.sum.symbol}: {numeral(self.sum.total)} → {numeral(self.afterwards)}"
