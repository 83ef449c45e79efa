"""The explanation as a self-contained HTML page without scripts."""

import numpy as np

from byhand.explain.document import Document, Figure, Step, Sum, Unit, grid, numeral
from byhand.explain.source import Quote
from byhand.page.document import document, escape, facts, folded, gray_image, signed_image, source, table
from byhand.text import percent

#: Maximum size of a full table, and size of the table of the largest numbers.
WHOLE, LARGEST = 400, 20
#: Terms of a sum in its line; the table has all of them.
TERMS = 5
#: Pixels per cell, and the maximum rows and columns for that size.
CELL_SIZES = ((18, 16), (10, 40), (6, 80), (3, 120))


class Page:
    """Writes one page, and draws each array only once."""

    def __init__(self, explanation: Document) -> None:
        self.explanation = explanation
        self.drawn: set[str] = set()

    def html(self) -> str:
        steps = self.explanation.steps
        links = [(step.key, step.title) for step in steps] + [("units", "Single units")]
        nav = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in links)
        sections = "".join(self.step(step, str(number)) for number, step in enumerate(steps, start=1))
        units = "".join(self.unit(unit) for unit in self.explanation.units)
        return document(
            f"One training step for {self.explanation.title}",
            f'{self.header()}<nav aria-label="Steps"><ol>{nav}</ol></nav><main>{sections}'
            '<section class="card" id="units"><h2>Single units</h2><p>The arithmetic of single units, with the largest '
            f"terms first. Indices start at 0.</p>{units}</section></main>",
            style=source("page.css", "byhand.explain"),
        )

    def header(self) -> str:
        e = self.explanation
        title, learned = "Forward pass", ""
        if e.labels is not None and e.loss is not None and e.loss_after is not None and e.afterwards is not None:
            k = int(e.labels[0])
            name = escape(e.classes[k])
            title = "One training step"
            learned = (
                f" Label: <b>{name}</b>. The step changes the loss from {numeral(e.loss)} to {numeral(e.loss_after)}, "
                f"and the probability of {name} from {percent(e.probabilities[0, k], 1)} to "
                f"{percent(e.afterwards[0, k], 1)}."
            )
        return (
            f'<header class="top"><div class="seen"><img src="{gray_image(e.images[0])}" '
            f'alt="The image: {escape(e.title)}"></div>'
            f'<div><h1>{title}</h1><p class="verdict">Prediction: <b>{escape(e.answer())}</b>.{learned}</p>'
            f"{facts(e.settings)}</div></header>"
        )

    def step(self, step: Step, number: str) -> str:
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
            body.append(f'<div class="arrays">{"".join(map(self.figure, new))}</div>')
        if step.lines:
            body.append(f'<ul class="lines">{"".join(f"<li>{escape(line)}</li>" for line in step.lines)}</ul>')
        for what, quote in step.code:
            body.append(code(what, quote))
            if quote.reference and quote.reference.text:
                body.append(code("the same in the reference", quote.reference))
        body += [self.step(part, f"{number}.{index}") for index, part in enumerate(step.parts, start=1)]
        return f'<section{"" if is_part else " class=card"} id="{escape(step.key)}">{"".join(body)}</section>'

    def figure(self, figure: Figure) -> str:
        """Return an array: its image, caption and numbers."""
        if figure.array.size == 1:
            return f'<figure class="array"><figcaption class="mono">{escape(figure.caption)}</figcaption></figure>'
        drawing = self.bars(figure) if figure.symbol == "P" else cells(figure)
        lowest, highest, *others = figure.notes
        notes = [f'<span class="down">{lowest}</span>', f'<span class="up">{highest}</span>', *others]
        caption = " · ".join([f"<b>{escape(figure.symbol)}</b> {escape(figure.array.shape)}", *notes])
        return f'<figure class="array">{drawing}<figcaption>{caption}</figcaption>{numbers(figure)}</figure>'

    def bars(self, figure: Figure) -> str:
        """Return the probabilities of the first sample as a bar chart."""
        e = self.explanation
        right = None if e.labels is None else int(e.labels[0])
        rows = "".join(
            f'<tr{" class=right" if k == right else ""}><th scope="row">{escape(name)}</th>'
            f'<td><i style="width: {100 * share:.1f}%"></i></td><td>{numeral(share)}</td></tr>'
            for k, (name, share) in enumerate(zip(e.classes, figure.array[0].tolist(), strict=True))
        )
        return f'<table class="bars"><tbody>{rows}</tbody></table>'

    def unit(self, unit: Unit) -> str:
        """Return the arithmetic of a unit, and its weights as an image if possible."""
        drawn = f'<div class="arrays">{"".join(map(self.figure, unit.pictures))}</div>' if unit.pictures else ""
        rows = "".join(
            f'<tr><th scope="row">{escape(what)}</th><td>{escape(line)}</td></tr>' for what, line in unit.lines(TERMS)
        )
        all_terms = "".join(
            folded(f"every term of {item.symbol}", terms(item))
            for name in ("weighted sum", "upstream gradient")
            for item in unit.arithmetic.get(name, ())
            if isinstance(item, Sum)
        )
        return (
            f"<section><h3>{escape(unit.name.capitalize())}</h3>{drawn}"
            f'<table class="worked"><tbody>{rows}</tbody></table><div class="terms">{all_terms}</div></section>'
        )


def code(what: str, quote: Quote) -> str:
    """Return quoted lines with their place."""
    return (
        f'<figure class="code"><figcaption><b>{escape(what)}</b><span>{escape(quote.place)} · '
        f"{escape(quote.function)}</span></figcaption><pre><code>{escape(quote.text)}</code></pre></figure>"
    )


def cells(figure: Figure) -> str:
    """Return the array as an image, one cell per number."""
    columns, rows = (231, 231) if figure.pictures else (96, 48)
    laid = grid(figure, columns=columns, rows=rows)
    if laid.is_gray:
        image = gray_image(np.nan_to_num(laid.cells).astype(np.uint8))
    else:
        image = signed_image(laid.cells, laid.scale)
    rows, columns = laid.cells.shape
    size = next((size for size, most in CELL_SIZES if max(rows, columns) <= most), 2)
    size = min(size, 5) if rows > 20 else size
    note = f'<div class="small soft">{escape(laid.note)}</div>' if laid.note else ""
    return (
        f'<div class="cells{" bytes" if laid.is_gray else ""}"><img src="{image}" width="{columns * size}" '
        f'height="{rows * size}" alt="{escape(figure.caption)}"></div>{note}'
    )


def numbers(figure: Figure) -> str:
    """Return a table of all numbers of an array, or of the largest ones."""
    values = figure.array
    if values.size > WHOLE:
        order = np.argsort(-np.abs(values.astype(np.float64)).ravel(), kind="stable")[:LARGEST]
        places = [tuple(int(i) for i in np.unravel_index(flat, values.shape)) for flat in order]
        rows = [(str(list(place)), numeral(float(values[place]))) for place in places]
        return folded(f"the {LARGEST} largest of {values.size:,} numbers", table(("", figure.symbol), rows))
    matrix = np.atleast_2d(values)
    matrix, names = (
        (matrix.T, [figure.symbol]) if len(matrix) == 1 else (matrix, list(map(str, range(matrix.shape[1]))))
    )
    body = [(k, *map(numeral, row)) for k, row in enumerate(matrix.tolist())]
    return folded(f"all {values.size} numbers", table(("", *names), body))


def terms(one: Sum) -> str:
    """Return a table of the nonzero terms of a sum, with the running sum."""
    products, running = one.products, 0.0
    rows: list[tuple[object, ...]] = []
    for i in one.order:
        running += products[i]
        rows.append((i, numeral(one.left[i]), numeral(one.right[i]), numeral(products[i]), numeral(running)))
    if one.bias is not None:
        rows.append(("bias", "", "", numeral(one.bias), numeral(running + one.bias)))
    return table(("input", "value", "weight", "product", "running sum"), rows)
