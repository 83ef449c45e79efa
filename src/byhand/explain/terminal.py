"""The explanation as text for a terminal."""

import io
import textwrap

import numpy as np
from rich.console import Console
from rich.text import Text

from byhand.explain.document import Document, Figure, Grid, Step, Unit, grid, numeral
from byhand.explain.source import Quote

#: Colors of positive and negative numbers.
POSITIVE, NEGATIVE = (255, 159, 28), (64, 156, 255)
SHADES, SHADES_BELOW = " ░▒▓█", " ·-=≡"
#: Maximum lines of the drawing of an image and of a matrix.
PICTURE_LINES, MATRIX_LINES = 14, 6
BAR = 30
#: Terms of a sum that are shown without `--unit`.
TERMS = 4


def as_text(document: Document, width: int, *, color: bool, units_only: bool) -> str:
    """Return lines of at most `width` characters (code may be longer)."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=max(40, width),
        force_terminal=color,
        color_system="truecolor" if color else None,
        no_color=not color,
        highlight=False,
        legacy_windows=False,
    )
    Writer(document, console, color).write(units_only)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


class Writer:
    """Writes a document to a console, and draws each array only once."""

    def __init__(self, document: Document, console: Console, color: bool) -> None:
        self.document, self.console, self.color = document, console, color
        self.drawn: set[str] = set()

    def write(self, units_only: bool) -> None:
        """Write everything, or only the units with every term of their sums."""
        document = self.document
        what = "Forward pass" if document.labels is None else "One training step"
        self.line(f"{what} for {document.title}: prediction {document.answer()}", "bold")
        for name, value in document.settings.items():
            self.line(f"  {name}: {value}", "dim", hang=4)
        for number, step in enumerate([] if units_only else document.steps, start=1):
            self.step(step, str(number))
        for unit in document.units:
            self.unit(unit, shown=10_000 if units_only else TERMS)

    def step(self, step: Step, number: str) -> None:
        self.line("")
        self.line(f"{number}  {step.title}", "bold")
        self.line(step.text, indent=3)
        for formula in step.formula.splitlines():
            self.line(formula, "cyan", indent=6)
        if step.shapes:
            self.line(step.shapes, "dim", indent=6)
        for figure in step.figures:
            if figure.symbol not in self.drawn:
                self.drawn.add(figure.symbol)
                self.figure(figure)
        for line in step.lines:
            self.line(line, indent=3)
        for what, quote in step.code:
            self.code(what, quote, "green")
            if quote.reference and quote.reference.text:
                self.code("  reference", quote.reference, "magenta")
        for index, part in enumerate(step.parts, start=1):
            self.step(part, f"{number}.{index}")

    def code(self, what: str, quote: Quote, style: str) -> None:
        self.line(f"{what}: {quote.place}, {quote.function}", "dim", indent=3)
        for line in quote.text.splitlines():
            self.console.print(Text(" " * 6 + line, style=style), soft_wrap=True)

    def figure(self, figure: Figure) -> None:
        """Write the caption of an array, and its drawing if it has several numbers."""
        self.line(figure.caption, "bold" if self.color else "", indent=3, hang=6)
        if figure.symbol == "P":  # the probabilities of the first sample
            classes = self.document.classes
            width = max(map(len, classes))
            for name, share in zip(classes, figure.array[0].tolist(), strict=True):
                self.line(f"{name:>{width}}  {'█' * round(BAR * share):{BAR}}  {numeral(share)}", indent=6)
        elif figure.array.size > 1 and figure.symbol != "X":  # X looks like the image
            lines = PICTURE_LINES if figure.pictures else MATRIX_LINES
            laid = grid(figure, columns=min(self.console.width - 6, 64), rows=2 * lines)
            if laid.note:
                self.line(laid.note, "dim", indent=6)
            self.cells(laid)

    def cells(self, laid: Grid) -> None:
        """Write two rows of cells per line: half blocks in color, or shades."""
        cells = laid.cells
        if len(cells) % 2:
            cells = np.vstack([cells, np.full((1, cells.shape[1]), np.nan)])
        for upper, lower in zip(cells[::2], cells[1::2], strict=True):
            line = Text(" " * 6)
            for above, below in zip(upper, lower, strict=True):
                line.append(*(two_cells(above, below, laid) if self.color else (shade(above, below, laid), "")))
            self.console.print(line, soft_wrap=True)

    def unit(self, unit: Unit, shown: int) -> None:
        """Write the arithmetic of a unit, with `shown` terms of each sum."""
        self.line("")
        self.line(f"{unit.name.capitalize()} (indices start at 0)", "bold")
        for figure in unit.pictures:
            if not figure.symbol.startswith("d"):  # the gradients are in the page
                self.figure(figure)
        before = ""
        for what, line in unit.lines(shown):
            self.line(line, indent=21, label=f"   {'' if what == before else what}")
            before = what

    def line(self, text: str, style: str = "", indent: int = 0, hang: int | None = None, label: str = "") -> None:
        """Write a wrapped paragraph, from `indent`, with later lines at `hang`."""
        lines = textwrap.wrap(
            text,
            self.console.width,
            initial_indent=f"{label:{indent}}",
            subsequent_indent=" " * (indent if hang is None else hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [""]:
            self.console.print(Text(line, style=style), soft_wrap=True)


def two_cells(above: float, below: float, laid: Grid) -> tuple[str, str]:
    """Return a half block and its colors; empty cells keep the background."""
    upper, lower = ("" if np.isnan(value) else rgb(value, laid) for value in (above, below))
    if not upper:
        return ("▄", lower) if lower else (" ", "")
    return "▀", f"{upper} on {lower}" if lower else upper


def rgb(value: float, laid: Grid) -> str:
    strength = abs(value) / laid.scale if laid.scale else 0.0
    if laid.is_gray:
        level = round(255 * strength)
        return f"rgb({level},{level},{level})"
    color = POSITIVE if value > 0 else NEGATIVE
    return f"rgb({','.join(str(round(20 + (c - 20) * strength)) for c in color)})"


def shade(above: float, below: float, laid: Grid) -> str:
    """Return one character for two cells, with other marks for negative numbers."""
    values = [value for value in (above, below) if not np.isnan(value)]
    if not values or not laid.scale:
        return " "
    value = max(values, key=abs)
    marks = SHADES if value > 0 else SHADES_BELOW
    return marks[min(len(marks) - 1, int(np.ceil(abs(value) / laid.scale * (len(marks) - 1) - 0.25)))]
