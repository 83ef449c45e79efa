"""The explanation as one HTML page: no script, no network; arrays as small pictures with their numbers beneath."""

import numpy as np

from byhand.explain.document import Document, Figure, Step, Sum, Unit, grid, numeral
from byhand.explain.source import Quote
from byhand.page.document import asset, document, escape, folded, gray_image, signed_image, table
from byhand.text import percent

#: Arrays of at most so many numbers have all of them in their table; of larger ones the table has the largest.
WHOLE, LARGEST = 400, 20
#: Terms of a worked sum that stand in its line; all of them are in the table.
TERMS = 5


def as_page(explanation: Document) -> str:
    """The whole page."""
    return Page(explanation).html()


class Page:
    """Writes one page; remembers which arrays it has drawn, for nothing is shown twice."""

    def __init__(self, explanation: Document) -> None:
        self.explanation = explanation
        self.drawn: set[str] = set()

    def html(self) -> str:
        steps = self.explanation.steps
        links = [(step.key, step.title) for step in steps] + [("units", "Units worked out")]
        nav = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in links)
        sections = "".join(self.step(step, str(number)) for number, step in enumerate(steps, start=1))
        units = "".join(self.unit(unit) for unit in self.explanation.units)
        return document(
            f"One step of learning from {self.explanation.title}",
            f'{self.header()}<nav aria-label="Steps"><ol>{nav}</ol></nav><main>{sections}'
            '<section class="card" id="units"><h2>Units worked out</h2><p>Single units, to the last addition. '
            f"Units count from 0; the largest terms come first.</p>{units}</section></main>",
            style=asset("page.css", "byhand.explain"),
        )

    def header(self) -> str:
        e = self.explanation
        picture = gray_image(e.images[0])
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in e.settings.items())
        learned = ""
        if e.labels is not None and e.loss is not None and e.loss_after is not None and e.afterwards is not None:
            k = int(e.labels[0])
            learned = (
                f" Its label says <b>{escape(e.classes[k])}</b>. One step of learning takes the loss from "
                f"{numeral(e.loss)} to {numeral(e.loss_after)}, and the probability of {escape(e.classes[k])} from "
                f"{percent(e.probabilities[0, k], 1)} to {percent(e.afterwards[0, k], 1)}."
            )
        title = "One step of learning" if e.labels is not None else "What the network makes of it"
        return (
            f'<header class="top"><div class="seen"><img src="{picture}" alt="The picture: {escape(e.title)}"></div>'
            f'<div><h1>{title}</h1><p class="verdict">The network says <b>{escape(e.answer())}</b>.{learned}</p>'
            f'<dl class="facts">{facts}</dl></div></header>'
        )

    def step(self, step: Step, number: str) -> str:
        """One step and the steps inside it."""
        is_part = "." in number
        level = "h3" if is_part else "h2"
        body = [f"<{level}>{number} · {escape(step.title)}</{level}>", f"<p>{escape(step.text)}</p>"]
        if step.formula:
            body.append(f'<div class="formula">{escape(step.formula)}</div>')
        if step.shapes:
            body.append(f'<p class="shapes">{escape(step.shapes)}</p>')
        new = [figure for figure in step.figures if figure.symbol not in self.drawn]
        self.drawn |= {figure.symbol for figure in new}
        if new:
            body.append(f'<div class="arrays">{"".join(self.figure(figure) for figure in new)}</div>')
        if step.lines:
            body.append(f'<ul class="lines">{"".join(f"<li>{escape(line)}</li>" for line in step.lines)}</ul>')
        body += [code(what, quote) for what, quote in step.code]
        body += [self.step(part, f"{number}.{index}") for index, part in enumerate(step.parts, start=1)]
        return f'<section{"" if is_part else " class=card"} id="{escape(step.key)}">{"".join(body)}</section>'

    def figure(self, figure: Figure) -> str:
        """An array: its picture, what its numbers come to, and the numbers."""
        if figure.array.size == 1:
            return f'<figure class="array"><figcaption class="mono">{escape(figure.caption)}</figcaption></figure>'
        drawing = self.bars(figure) if figure.symbol == "P" else cells(figure)
        notes = [
            f"<b>{escape(figure.symbol)}</b> {escape(figure.array.shape)}",
            f'<span class="down">lowest {numeral(figure.lowest)}</span> at {figure.place_of(figure.lowest)}',
            f'<span class="up">highest {numeral(figure.highest)}</span> at {figure.place_of(figure.highest)}',
            f"sum {numeral(figure.total)}",
        ]
        if figure.zeros:
            notes.append(f"{figure.zeros:,} of {figure.array.size:,} are 0")
        return f'<figure class="array">{drawing}<figcaption>{" · ".join(notes)}</figcaption>{numbers(figure)}</figure>'

    def bars(self, figure: Figure) -> str:
        """The first sample's probabilities."""
        e = self.explanation
        right = None if e.labels is None else int(e.labels[0])
        rows = "".join(
            f'<tr{" class=right" if k == right else ""}><th scope="row">{escape(name)}</th>'
            f'<td><i style="width: {100 * float(share):.1f}%"></i></td><td>{numeral(float(share))}</td></tr>'
            for k, (name, share) in enumerate(zip(e.classes, figure.array[0], strict=True))
        )
        return f'<table class="bars"><tbody>{rows}</tbody></table>'

    def unit(self, unit: Unit) -> str:
        """One unit, line by line, with its weights as a picture where they can be seen as one."""
        drawn = "".join(self.figure(figure) for figure in unit.pictures)
        drawn = f'<div class="arrays">{drawn}</div>' if drawn else ""
        rows = "".join(
            f'<tr><th scope="row">{escape(what)}</th><td>{escape(line)}</td></tr>' for what, line in unit.lines(TERMS)
        )
        sums = [("every term of the sum", unit.sum), ("every term of the blame", unit.upstream_gradient)]
        all_terms = "".join(folded(f"{title}: {s.symbol}", terms(s)) for title, s in sums if s is not None)
        return (
            f"<section><h3>{escape(unit.name.capitalize())}</h3>{drawn}"
            f'<table class="worked"><tbody>{rows}</tbody></table><div class="terms">{all_terms}</div></section>'
        )


def cells(figure: Figure) -> str:
    """The array as a picture, a cell a number."""
    is_tiled = bool(figure.pictures)
    laid = grid(figure, columns=231 if is_tiled else 96, rows=231 if is_tiled else 48)
    if laid.is_gray:
        image = gray_image(np.nan_to_num(laid.cells).astype(np.uint8))
    else:
        image = signed_image(laid.cells, laid.scale)
    rows, columns = laid.cells.shape
    size = cell_size(rows, columns)
    note = f'<div class="small soft">{escape(laid.note)}</div>' if laid.note else ""
    kind = "cells bytes" if laid.is_gray else "cells"
    return (
        f'<div class="{kind}"><img src="{image}" width="{columns * size}" height="{rows * size}" '
        f'alt="{escape(figure.caption)}"></div>{note}'
    )


def cell_size(rows: int, columns: int) -> int:
    """Pixels of the screen for a cell: large where there are few."""
    for size, most in ((18, 16), (10, 40), (6, 80), (3, 120)):
        if columns <= most and rows <= most:
            return min(size, 5) if rows > 20 else size
    return 2


def numbers(figure: Figure) -> str:
    """The picture's twin in figures: all of them where there are few, else the largest."""
    values = figure.array
    if values.size <= WHOLE:
        matrix = values.reshape(1, -1) if values.ndim == 1 else values
        if len(matrix) == 1:
            line = [(k, numeral(float(value))) for k, value in enumerate(matrix[0])]
            return folded(f"all {values.size} numbers", table(("", figure.symbol), line))
        head = ["", *range(matrix.shape[1])]
        body = [(k, *(numeral(float(value)) for value in row)) for k, row in enumerate(matrix)]
        return folded(f"all {values.size} numbers", table(head, body))
    order = np.argsort(-np.abs(values.astype(np.float64)).ravel(), kind="stable")[:LARGEST]
    places = [tuple(int(i) for i in np.unravel_index(flat, values.shape)) for flat in order]
    rows = [(str(list(place)), numeral(float(values[place]))) for place in places]
    return folded(f"the {LARGEST} largest of {values.size:,} numbers", table(("", figure.symbol), rows))


def terms(one: Sum) -> str:
    """Every term of a sum that is not zero, with what it has come to so far."""
    products, running = one.products, 0.0
    rows: list[tuple[object, ...]] = []
    for i in one.order:
        running += products[i]
        rows.append((i, numeral(one.left[i]), numeral(one.right[i]), numeral(products[i]), numeral(running)))
    if one.bias is not None:
        rows.append(("bias", "", "", numeral(one.bias), numeral(running + one.bias)))
    return table(("input", "its value", "its weight", "product", "so far"), rows)


def code(what: str, quote: Quote) -> str:
    """The lines that computed it."""
    return (
        f'<figure class="code"><figcaption><b>{escape(what)}</b><span>{escape(quote.place)} · '
        f"{escape(quote.function)}</span></figcaption><pre><code>{escape(quote.text)}</code></pre></figure>"
    )
