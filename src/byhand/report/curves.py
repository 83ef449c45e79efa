"""The report's curves: how the model learned, and whether it is as right as it is sure. Each with its table."""

import math
from collections.abc import Sequence

from byhand.page.charts import Axis, Series, around, chart, spot
from byhand.page.document import escape, folded, table
from byhand.report.evaluation import Evaluation
from byhand.text import html_percent
from byhand.training.records import EpochRecord

#: Rows of a long table.
ROWS = 60


def curves(records: Sequence[EpochRecord]) -> str:
    """How it learned: loss and accuracy by the epoch, and what the watchdog said; nothing where no record is."""
    if not records:
        return ""
    validated = [r for r in records if r.validation_loss is not None and r.validation_accuracy is not None]
    x = Axis("epoch", min(r.epoch for r in records) - 0.3, max(r.epoch for r in records) + 0.3, is_whole=True)
    losses = [[(float(r.epoch), r.loss) for r in records]]
    shares = [[(float(r.epoch), 100 * r.accuracy) for r in records]]
    if validated:
        losses.append([(float(r.epoch), float(r.validation_loss or 0)) for r in validated])
        shares.append([(float(r.epoch), 100 * float(r.validation_accuracy or 0)) for r in validated])
    names = ("training", "validation")
    plots = []
    for title, lines in (("Loss", losses), ("Accuracy, %", shares)):
        low, high = around([value for line in lines for _, value in line], least=1e-3)
        high = min(high, 100.0) if title.startswith("Acc") else high
        series = [
            Series(name, line, look, is_dotted=name == "validation")
            for name, line, look in zip(names, lines, ("one", "two"), strict=False)
        ]
        plots.append(chart(title, x, Axis("", low, high), series))
    head = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy", "rate", "images a second")
    every = max(1, -(-len(records) // ROWS))
    rows = [
        (
            r.epoch,
            f"{r.loss:.4f}",
            html_percent(r.accuracy),
            "" if r.validation_loss is None else f"{r.validation_loss:.4f}",
            "" if r.validation_accuracy is None else html_percent(r.validation_accuracy),
            f"{r.rate:.3g}",
            f"{r.images_per_second:,.0f}",
        )
        for k, r in enumerate(records)
        if k % every == 0 or k == len(records) - 1
    ]
    warnings = [f"epoch {r.epoch}: {warning}" for r in records for warning in r.warnings]
    said = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    note = f"<p>The watchdog said:</p><ul>{said}</ul>" if said else ""
    note += "" if validated else "<p class=soft>No part of the training data was held out to watch.</p>"
    return f'<div class="plots">{"".join(plots)}</div>{note}{folded("the curves as a table", table(head, rows))}'


def calibration(e: Evaluation) -> str:
    """Whether it knows when it doesn't know: how sure it was, against how often it was right."""
    x, y = Axis("how sure it was, %", 0, 100), Axis("", 0, 100)
    points = [(100 * b.confidence, 100 * b.accuracy) for b in e.calibration]
    biggest = max(b.count for b in e.calibration)
    marks = []
    for (a, b), one in zip(points, e.calibration, strict=True):
        cx, cy = spot(x, y, a, b)
        radius = 3 + 9 * math.sqrt(one.count / biggest)
        marks.append(f'<circle class="dot two" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:.1f}"/>')
    series = [
        Series("if it knew", [(0, 0), (100, 100)], "faint", is_dotted=True),
        Series("this model", points, "two"),
    ]
    rows = [
        (f"{b.low:.0%} to {b.high:.0%}", f"{b.count:,}", html_percent(b.confidence, 1), html_percent(b.accuracy, 1))
        for b in e.calibration
    ]
    over = sum(b.count * (b.confidence - b.accuracy) for b in e.calibration) / len(e)
    word = "surer than it should be" if over > 0 else "less sure than it could be"
    return (
        f"<p>Of the pictures on which it was, say, 80 % sure, 80 % should be read right. It is off by "
        f"{html_percent(e.calibration_error, 1)} on average, on the whole {word}. Large dots are many pictures.</p>"
        f"{chart('Right how often, %', x, y, series, ''.join(marks))}"
        f"{folded('calibration as a table', table(('sure', 'pictures', 'sure on average', 'right'), rows))}"
    )
