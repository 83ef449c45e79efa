"""The report of a model as one HTML page: its accuracy, its mistakes, its training and the command that repeats it.

The page needs no network and no library. Every chart has its numbers in a table beneath it; the confusion matrix is a
table whose cells show their pictures when pressed. The figures come from `byhand.report.evaluation`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from byhand.model import Model
from byhand.page.charts import Axis, Series, around, chart, spot
from byhand.page.document import asset, document, escape, folded, script_json, table
from byhand.report.evaluation import Evaluation, Mistake
from byhand.report.images import COLUMNS, first_layer_section, sprites
from byhand.text import html_percent
from byhand.training.records import EpochRecord

#: Mistakes shown as cards, and rows of a long table.
WORST, ROWS = 24, 60


def html_report(
    evaluation: Evaluation, model: Model, records: Sequence[EpochRecord] = (), config: Mapping[str, Any] | None = None
) -> str:
    """The page. `records` and `config` are the run's (`Run.records()`, `Run.config()`); without them it says less."""
    return Report(evaluation, model, list(records), dict(config or {})).html()


class Report:
    """Writes one page, section by section."""

    def __init__(
        self, evaluation: Evaluation, model: Model, records: list[EpochRecord], config: dict[str, Any]
    ) -> None:
        self.evaluation, self.model, self.records, self.config = evaluation, model, records, config
        self.worst = evaluation.mistakes[:WORST]
        self.doubtful = sorted(evaluation.label_errors)
        self.sprites = sprites(evaluation, [*(m.index for m in self.worst), *self.doubtful])

    def html(self) -> str:
        evaluation = self.evaluation
        sections = [
            ("curves", "How it learned", learning_curves(self.records)),
            ("confusion", "Confusion matrix", self.confusion()),
            ("mistakes", "The worst mistakes", self.mistakes()),
            ("doubtful", "Labels known to be doubtful", self.doubts()),
            ("classes", "Class by class", self.classes()),
            ("calibration", "Calibration", calibration(evaluation)),
            ("weights", "What the first layer looks for", first_layer_section(self.model, evaluation.data)),
            ("run", "Reproduce this run", self.run()),
        ]
        shown = [(key, title, body) for key, title, body in sections if body]
        nav = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title, _ in shown)
        cards = "".join(f'<section class="card" id="{k}"><h2>{escape(t)}</h2>{b}</section>' for k, t, b in shown)
        return document(
            f"{html_percent(self.evaluation.accuracy)} on {self.evaluation.data.name}",
            f'{self.header()}<nav aria-label="Sections"><ol>{nav}</ol></nav><main>{cards}</main>'
            f'<script type="application/json" id="data">{script_json(self.data())}</script>',
            style=asset("report.css", "byhand.report") + self.sprites.style(),
            script=asset("report.js", "byhand.report"),
        )

    # ---- the sections

    def header(self) -> str:
        e = self.evaluation
        low, high = e.interval
        facts = [
            ("right", f"{e.correct:,} of {len(e):,}"),
            ("mistakes", f"{len(e.mistakes):,}"),
            ("mean loss", f"{e.loss:.4f}"),
            ("network", f"{self.model.architecture}, {self.model.network.size:,} parameters"),
        ]
        if self.records:
            facts.append(("training", f"{self.records[-1].seconds:.1f} s, {self.records[-1].epoch:,} epochs"))
        cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
        return (
            f'<header class="top"><p class="soft">byhand · {escape(e.data.name)}, {len(e):,} pictures</p>'
            f'<h1><span class="accuracy">{html_percent(e.accuracy)}</span> read right</h1>'
            f"<p>With 95 % confidence the accuracy on pictures like these lies between <b>{html_percent(low)}</b> and "
            f'<b>{html_percent(high)}</b>.</p><dl class="tiles">{cells}</dl></header>'
        )

    def confusion(self) -> str:
        e = self.evaluation
        off = e.confusion.copy()
        np.fill_diagonal(off, 0)
        most, largest = max(1, int(off.max())), max(1, int(e.confusion.max()))
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in e.classes)
        rows = []
        for i, name in enumerate(e.classes):
            cells = []
            for j, count in enumerate(int(c) for c in e.confusion[i]):
                if not count:
                    cells.append("<td>·</td>")
                    continue
                share = math.sqrt(count / (largest if i == j else most))
                kind = "right" if i == j else "wrong"
                label = f"{count} pictures of {name} read as {e.classes[j]}"
                cells.append(
                    f'<td class="{kind}" style="--share:{share:.2f}"><button type="button" data-cell="{i},{j}" '
                    f'aria-label="{escape(label)}">{count}</button></td>'
                )
            rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
        pairs = sorted(((int(off[i, j]), i, j) for i, j in zip(*np.nonzero(off), strict=True)), reverse=True)[:3]
        said = ", ".join(f"{escape(e.classes[i])} for {escape(e.classes[j])} ({count})" for count, i, j in pairs)
        most_often = f" Most often taken: {said}." if said else ""
        return (
            f"<p>A row is what a picture is, a column what it was read as.{most_often} Press a number to see its "
            "pictures; arrow keys move from cell to cell.</p>"
            '<div class="scroll"><table class="confusion"><thead><tr><th scope="col">is \\ read as</th>'
            f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            '<div id="cell" aria-live="polite"></div>'
        )

    def mistakes(self) -> str:
        e = self.evaluation
        if not e.mistakes:
            return "<p>None: every picture was read right.</p>"
        cards = "".join(self.card(mistake) for mistake in self.worst)
        rows = [
            (
                m.index,
                e.classes[m.label],
                e.classes[m.predicted],
                html_percent(m.confidence, 1),
                f"{m.label_probability:.2g}",
                "doubtful label" if m.doubtful else "",
            )
            for m in e.mistakes[: 4 * ROWS]
        ]
        head = ("picture", "is", "read as", "sure", "probability of the label", "")
        count = f"{len(self.worst)} of {len(e.mistakes):,} mistakes" if len(self.worst) < len(e.mistakes) else "all"
        return (
            f"<p>First those where the right answer was thought least likely ({count}).</p>"
            f'<ul class="cards">{cards}</ul>{folded("the mistakes as a table", table(head, rows))}'
        )

    def card(self, mistake: Mistake) -> str:
        """One mistake: the picture, what it is, what it was read as, and what else was thought of."""
        e = self.evaluation
        P = e.probabilities[mistake.index]
        thoughts = "".join(
            f'<li class="{"is" if k == mistake.label else ""}"><i style="--w:{float(P[k]):.3f}"></i>'
            f"<span>{escape(e.classes[k])}</span><b>{html_percent(float(P[k]), 1)}</b></li>"
            for k in dict.fromkeys([*np.argsort(-P, kind="stable")[:3].tolist(), mistake.label])
        )
        doubt = '<span class="doubt">label doubtful</span>' if mistake.doubtful else ""
        return (
            f"<li>{self.tile(mistake.index)}<div><p>is <b>{escape(e.classes[mistake.label])}</b>, read as "
            f'<b class="bad">{escape(e.classes[mistake.predicted])}</b> '
            f'<span class="soft">#{mistake.index}</span>{doubt}</p>'
            f'<ul class="thoughts">{thoughts}</ul></div></li>'
        )

    def doubts(self) -> str:
        e = self.evaluation
        if not self.doubtful:
            return ""
        wrong = sum(int(e.predictions[index] != e.labels[index]) for index in self.doubtful)
        items = "".join(
            f"<li>{self.tile(index)}<p>labelled <b>{escape(e.classes[e.labels[index]])}</b><br>read as "
            f'<b>{escape(e.classes[e.predictions[index]])}</b><br><span class="soft">#{index}</span></p></li>'
            for index in self.doubtful
        )
        return (
            f"<p>Of five people who looked at each of these {len(self.doubtful)} pictures fewer than three agreed "
            f"with the label. They count like all others: {wrong} are among the {len(e.mistakes):,} mistakes.</p>"
            f'<ul class="few">{items}</ul>'
        )

    def classes(self) -> str:
        names = ("class", "pictures", "precision", "recall", "F1")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = "".join(
            f'<tr><th scope="row">{escape(c.name)}</th><td>{c.count:,}</td>'
            f"{bar(c.precision)}{bar(c.recall)}{bar(c.f1)}</tr>"
            for c in self.evaluation.per_class
        )
        return (
            "<p>Precision: of all pictures read as this class, how many are. Recall: of all pictures that are, how "
            "many were read so. F1 lies between the two, nearer to the worse.</p>"
            f'<div class="scroll"><table class="classes"><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )

    def run(self) -> str:
        command = self.config.get("command")
        repeat = (
            f'<p>The command that repeats this run:</p><pre class="command"><code>{escape(command)}</code></pre>'
            if command
            else "<p>The model came without its run, so the command that made it is not known.</p>"
        )
        rows = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
            for name, value in flat_settings({key: value for key, value in self.config.items() if key != "command"})
        )
        summary = escape(self.model.summary())
        settings = folded("every setting", f'<dl class="facts">{rows}</dl>') if rows else ""
        return f'{repeat}<pre class="summary">{summary}</pre>{settings}'

    # ---- pictures

    def tile(self, index: int) -> str:
        """A picture of the data set, out of the one image that holds them all."""
        e = self.evaluation
        label = f"picture {index}: is {e.classes[e.labels[index]]}, read as {e.classes[e.predictions[index]]}"
        return self.sprites.tile(index, label)

    def data(self) -> dict[str, Any]:
        """What the script needs: for each picture in the image its index, class, answer and confidence; the counts."""
        e = self.evaluation
        return {
            "columns": COLUMNS,
            "classes": e.classes,
            "counts": e.confusion.tolist(),
            "tiles": [
                [
                    index,
                    int(e.labels[index]),
                    int(e.predictions[index]),
                    round(float(e.probabilities[index].max()), 3),
                    int(index in e.label_errors),
                ]
                for index in self.sprites.order
            ],
        }


def bar(share: float) -> str:
    """A share as a table cell with a bar behind it."""
    width = 0.0 if math.isnan(share) else share
    return f'<td class="bar" style="--w:{width:.3f}">{html_percent(share, 1)}</td>'


def learning_curves(records: Sequence[EpochRecord]) -> str:
    """Return loss and accuracy by the epoch, with the warnings of the watchdog; empty if there is no record."""
    if not records:
        return ""
    losses = [Series("training", [(float(r.epoch), r.loss) for r in records])]
    shares = [Series("training", [(float(r.epoch), 100 * r.accuracy) for r in records])]
    validated = [
        (float(r.epoch), r.validation_loss, r.validation_accuracy)
        for r in records
        if r.validation_loss is not None and r.validation_accuracy is not None
    ]
    if validated:
        losses.append(Series("validation", [(epoch, loss) for epoch, loss, _ in validated], "two", is_dotted=True))
        points = [(epoch, 100 * share) for epoch, _, share in validated]
        shares.append(Series("validation", points, "two", is_dotted=True))
    x = Axis("epoch", min(r.epoch for r in records) - 0.3, max(r.epoch for r in records) + 0.3, is_whole=True)
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
    warnings = "".join(f"<li>epoch {r.epoch}: {escape(warning)}</li>" for r in records for warning in r.warnings)
    note = f"<p>The watchdog said:</p><ul>{warnings}</ul>" if warnings else ""
    note += "" if validated else "<p class=soft>No part of the training data was held out to watch.</p>"
    return f"{curve_plots(x, losses, shares)}{note}{folded('the curves as a table', table(head, rows))}"


def curve_plots(x: Axis, losses: Sequence[Series], accuracies: Sequence[Series]) -> str:
    """Return a chart of losses beside one of accuracies in percent."""
    plots = []
    for title, series, most in (("Loss", losses, math.inf), ("Accuracy, %", accuracies, 100.0)):
        low, high = around([value for one in series for _, value in one.points], least=1e-3)
        plots.append(chart(title, x, Axis("", low, min(high, most)), series))
    return f'<div class="plots">{"".join(plots)}</div>'


def calibration(e: Evaluation) -> str:
    """Return the reliability diagram: confidence against accuracy."""
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
