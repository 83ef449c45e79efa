"""The report of a model as one HTML page: accuracy, mistakes, learning curves, and the command of the run.

Every chart has its numbers in a table below it. The cells of the confusion matrix are buttons that show their images.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from byhand.model import Model
from byhand.page.charts import Axis, Series, around, chart, spot
from byhand.page.document import Cell, cards, document, escape, facts, folded, script_json, source, table
from byhand.report.evaluation import Evaluation, Mistake
from byhand.report.images import COLUMNS, first_layer_section, sprites
from byhand.text import html_percent
from byhand.training.records import EpochRecord

#: Maximum number of mistakes shown as cards, and of rows of a table.
WORST, ROWS = 24, 60

#: (epoch, loss, accuracy); (name, style, dotted, points)
Point = tuple[int, float, float]
Curve = tuple[str, str, bool, Sequence[Point]]


def html_report(
    evaluation: Evaluation, model: Model, records: Sequence[EpochRecord] = (), config: Mapping[str, Any] | None = None
) -> str:
    """Return the page. `records` and `config` are those of the run, if there is one."""
    return Report(evaluation, model, records, config or {}).html()


class Report:
    def __init__(
        self, evaluation: Evaluation, model: Model, records: Sequence[EpochRecord], config: Mapping[str, Any]
    ) -> None:
        self.evaluation, self.model, self.records, self.config = evaluation, model, records, config
        self.worst = evaluation.mistakes[:WORST]
        self.doubtful = sorted(evaluation.label_errors)
        self.sprites = sprites(evaluation, [*(m.index for m in self.worst), *self.doubtful])

    def html(self) -> str:
        e = self.evaluation
        sections = [
            ("curves", "Learning curves", learning_curves(self.records)),
            ("confusion", "Confusion matrix", self.confusion()),
            ("mistakes", "The worst mistakes", self.mistakes()),
            ("doubtful", "Doubtful labels", self.doubts()),
            ("classes", "Precision and recall", self.classes()),
            ("calibration", "Calibration", calibration(e)),
            ("weights", "First-layer weights", first_layer_section(self.model, e.data)),
            ("run", "Reproduce this run", self.run()),
        ]
        nav = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title, body in sections if body)
        return document(
            f"{html_percent(e.accuracy)} on {e.data.name}",
            f'{self.header()}<nav aria-label="Sections"><ol>{nav}</ol></nav><main>{cards(sections)}</main>'
            f'<script type="application/json" id="data">{script_json(self.data())}</script>',
            style=source("report.css", "byhand.report") + self.sprites.style(),
            script=source("report.js", "byhand.report"),
        )

    def header(self) -> str:
        e = self.evaluation
        low, high = e.interval
        figures = {
            "correct": f"{e.correct:,} of {len(e):,}",
            "mistakes": f"{len(e.mistakes):,}",
            "mean loss": f"{e.loss:.4f}",
            "network": f"{self.model.architecture}, {self.model.size:,} parameters",
        }
        if self.records:
            figures["training"] = f"{self.records[-1].seconds:.1f} s, {self.records[-1].epoch:,} epochs"
        tiles = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items())
        return (
            f'<header class="top"><p class="soft">byhand · {escape(e.data.name)}, {len(e):,} images</p>'
            f'<h1><span class="accuracy">{html_percent(e.accuracy)}</span> accuracy</h1>'
            f"<p>95 % confidence interval: <b>{html_percent(low)}</b> to <b>{html_percent(high)}</b>.</p>"
            f'<dl class="tiles">{tiles}</dl></header>'
        )

    def confusion(self) -> str:
        """Return the confusion matrix as a table of buttons."""
        e = self.evaluation
        off = e.confusion.copy()
        np.fill_diagonal(off, 0)
        most, largest = max(1, int(off.max())), max(1, int(e.confusion.max()))

        def cell(i: int, j: int) -> str:
            count = int(e.confusion[i, j])
            if not count:
                return "·"
            kind, share = ("right", count / largest) if i == j else ("wrong", count / most)
            label = escape(f"{count} images of {e.classes[i]} read as {e.classes[j]}")
            return Cell(
                f'<td class="{kind}" style="--share:{math.sqrt(share):.2f}"><button type="button" '
                f'data-cell="{i},{j}" aria-label="{label}">{count}</button></td>'
            )

        rows = [(name, *(cell(i, j) for j in range(len(e.classes)))) for i, name in enumerate(e.classes)]
        head = "true \\ read as", *e.classes
        pairs = sorted(((int(off[i, j]), i, j) for i, j in zip(*np.nonzero(off), strict=True)), reverse=True)[:3]
        names = ", ".join(f"{escape(e.classes[i])} read as {escape(e.classes[j])} ({count})" for count, i, j in pairs)
        names = f" Most frequent mistakes: {names}." if names else ""
        return (
            f"<p>Rows are true classes, columns are predictions.{names} Click a number to see its images; "
            "the arrow keys move between cells.</p>"
            f'{table(head, rows, kind="confusion")}<div id="cell" aria-live="polite"></div>'
        )

    def mistakes(self) -> str:
        e = self.evaluation
        if not e.mistakes:
            return "<p>None: every image was classified correctly.</p>"
        rows = [
            (
                m.index,
                *e.names(m.index),
                html_percent(m.confidence, 1),
                f"{m.label_probability:.2g}",
                "doubtful label" if m.doubtful else "",
            )
            for m in e.mistakes[: 4 * ROWS]
        ]
        head = ("image", "label", "read as", "confidence", "probability of the label", "note")
        count = f"{len(self.worst)} of {len(e.mistakes):,} mistakes" if len(self.worst) < len(e.mistakes) else "all"
        return (
            f"<p>Sorted by the probability of the label, the lowest first ({count}).</p>"
            f'<ul class="cards">{"".join(map(self.card, self.worst))}</ul>'
            f"{folded('the mistakes as a table', table(head, rows))}"
        )

    def card(self, mistake: Mistake) -> str:
        """Return one mistake with its most probable classes."""
        e = self.evaluation
        P, (label, answer) = e.probabilities[mistake.index], map(escape, e.names(mistake.index))
        thoughts = "".join(
            f'<li class="{"is" if k == mistake.label else ""}"><i style="--w:{float(P[k]):.3f}"></i>'
            f"<span>{escape(e.classes[k])}</span><b>{html_percent(float(P[k]), 1)}</b></li>"
            for k in dict.fromkeys([*np.argsort(-P, kind="stable")[:3].tolist(), mistake.label])
        )
        doubt = '<span class="doubt">doubtful label</span>' if mistake.doubtful else ""
        return (
            f"<li>{self.tile(mistake.index)}<div><p>label <b>{label}</b>, read as "
            f'<b class="bad">{answer}</b> <span class="soft">#{mistake.index}</span>{doubt}</p>'
            f'<ul class="thoughts">{thoughts}</ul></div></li>'
        )

    def doubts(self) -> str:
        e = self.evaluation
        if not self.doubtful:
            return ""
        wrong = sum(m.doubtful for m in e.mistakes)
        items = "".join(
            f"<li>{self.tile(index)}<p>label <b>{label}</b><br>read as <b>{answer}</b><br>"
            f'<span class="soft">#{index}</span></p></li>'
            for index in self.doubtful
            for label, answer in [map(escape, e.names(index))]
        )
        return (
            f"<p>Five people labeled each of these {len(self.doubtful)} images, and fewer than three agreed with the "
            f"label of MNIST. They count as labeled: {wrong} are among the {len(e.mistakes):,} mistakes.</p>"
            f'<ul class="few">{items}</ul>'
        )

    def classes(self) -> str:
        head = ("class", "images", "precision", "recall", "F1")
        rows = [(c.name, f"{c.count:,}", *map(bar, (c.precision, c.recall, c.f1))) for c in self.evaluation.per_class]
        return (
            "<p>Precision: the share of the images predicted as this class that have it. Recall: the share of the "
            "images with this class that were predicted as it. F1: their harmonic mean.</p>"
            f"{table(head, rows, kind='classes')}"
        )

    def run(self) -> str:
        command = self.config.get("command")
        repeat = (
            f'<pre class="command"><code>{escape(command)}</code></pre>'
            if command
            else "<p>The command is unknown, because the model was loaded without its run.</p>"
        )
        settings = dict(flat_settings({key: value for key, value in self.config.items() if key != "command"}))
        every = folded("all settings", facts(settings)) if settings else ""
        return f'{repeat}<pre class="summary">{escape(self.model.summary())}</pre>{every}'

    def tile(self, index: int) -> str:
        label, answer = self.evaluation.names(index)
        return self.sprites.tile(index, f"image {index}: label {label}, read as {answer}")

    def data(self) -> dict[str, Any]:
        """Return the data of the script: counts, and the index, label, prediction and confidence of each image."""
        e, order = self.evaluation, self.sprites.order
        sure = [round(share, 3) for share in e.probabilities[order].max(axis=1).tolist()]
        doubtful = [int(index in e.label_errors) for index in order]
        tiles = zip(order, e.labels[order].tolist(), e.predictions[order].tolist(), sure, doubtful, strict=True)
        return {"columns": COLUMNS, "classes": e.classes, "counts": e.confusion.tolist(), "tiles": list(tiles)}


def bar(share: float) -> Cell:
    """Return a table cell with a bar."""
    width = 0.0 if math.isnan(share) else share
    return Cell(f'<td class="bar" style="--w:{width:.3f}">{html_percent(share, 1)}</td>')


def learning_curves(records: Sequence[EpochRecord]) -> str:
    """Return loss and accuracy per epoch, with the watchdog's warnings; empty without records."""
    if not records:
        return ""
    training, validated = curve_points(records)
    curves: list[Curve] = [("training", "one", False, training)]
    if validated:
        curves.append(("validation", "two", True, validated))
    head = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy", "learning rate", "images/s")
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
    warnings = "".join(f"<li>epoch {r.epoch}: {escape(warning)}</li>" for r in records for warning in r.warnings)
    note = f"<p>Warnings during training:</p><ul>{warnings}</ul>" if warnings else ""
    note += "" if validated else "<p class=soft>No validation set was used.</p>"
    return f"{curve_plots(curves)}{note}{folded('the curves as a table', table(head, rows))}"


def curve_points(records: Sequence[EpochRecord]) -> tuple[list[Point], list[Point]]:
    """Return the points of the training data and of the validation data, if any."""
    validated = [
        (r.epoch, r.validation_loss, r.validation_accuracy)
        for r in records
        if r.validation_loss is not None and r.validation_accuracy is not None
    ]
    return [(r.epoch, r.loss, r.accuracy) for r in records], validated


def curve_plots(curves: Sequence[Curve]) -> str:
    """Return a chart of losses next to one of accuracies in percent."""
    epochs = [point[0] for *_, points in curves for point in points]
    x = Axis("epoch", min(epochs) - 0.3, max(epochs) + 0.3, is_whole=True)
    plots = []
    for k, title, factor, most in ((1, "Loss", 1, math.inf), (2, "Accuracy, %", 100, 100.0)):
        series = [
            Series(name, [(point[0], factor * point[k]) for point in points], look, is_dotted)
            for name, look, is_dotted, points in curves
        ]
        low, high = around([value for one in series for _, value in one.points], least=1e-3)
        plots.append(chart(title, x, Axis("", low, min(high, most)), series))
    return f'<div class="plots">{"".join(plots)}</div>'


def calibration(e: Evaluation) -> str:
    """Return the reliability diagram: accuracy against confidence."""
    x, y = Axis("confidence, %", 0, 100), Axis("", 0, 100)
    biggest = max(b.count for b in e.calibration)
    points, marks = [(100 * b.confidence, 100 * b.accuracy) for b in e.calibration], ""
    for point, b in zip(points, e.calibration, strict=True):
        cx, cy = spot(x, y, *point)
        marks += f'<circle class="dot two" cx="{cx:.1f}" cy="{cy:.1f}" r="{3 + 9 * math.sqrt(b.count / biggest):.1f}"/>'
    ideal = Series("perfectly calibrated", [(0, 0), (100, 100)], "faint", is_dotted=True)
    series = [ideal, Series("this model", points, "two")]
    rows = [
        (f"{b.low:.0%} to {b.high:.0%}", f"{b.count:,}", html_percent(b.confidence, 1), html_percent(b.accuracy, 1))
        for b in e.calibration
    ]
    over = sum(b.count * (b.confidence - b.accuracy) for b in e.calibration) / len(e)
    word = "overconfident" if over > 0 else "underconfident"
    head = ("confidence", "images", "mean confidence", "accuracy")
    return (
        f"<p>Of the predictions with a confidence of 80 %, 80 % should be correct. The expected calibration error is "
        f"{html_percent(e.calibration_error, 1)}; on average the model is {word}. A larger dot means more images.</p>"
        f"{chart('Accuracy, %', x, y, series, marks)}"
        f"{folded('calibration as a table', table(head, rows))}"
    )


def flat_settings(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as (name, value): `recipe.optimizer.kind`, `momentum`."""
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                yield f"{name}[{number}]", ", ".join(f"{k} {v}" for k, v in item.items())
        else:
            yield name, "–" if value is None else str(value)
