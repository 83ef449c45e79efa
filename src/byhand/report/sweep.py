"""The page of a hyperparameter search: the best trial, learning curves, importances, and a table of all trials."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from byhand.page.charts import Axis, Series, around, chart, text
from byhand.page.document import cards, document, escape, folded, source, table
from byhand.text import percent
from byhand.training.records import EpochRecord

#: Status of a completed trial.
DONE = "done"


class Trial(Protocol):
    """A trial of `byhand.distributed`."""

    number: int
    values: dict[str, Any]
    status: str
    records: list[EpochRecord]
    message: str

    @property
    def accuracy(self) -> float | None: ...

    @property
    def seconds(self) -> float: ...


def sweep_page(
    trials: Sequence[Trial],
    *,
    search: Mapping[str, Mapping[str, Any]],
    importances: Mapping[str, float],
    best: Trial | None,
    command: str,
) -> str:
    """Return the page.

    search: {low, high, log} or {choices} of each setting;  command: the command line that trains the best trial
    """
    counts = ", ".join(f"{count} {status}" for status, count in Counter(t.status for t in trials).items())
    title = f"{len(trials)} trials" + (f", best accuracy {percent(best.accuracy)}" if best else "")
    found = "<p>No trial is complete yet.</p>"
    if best:
        rows = [(name, shown(value)) for name, value in best.values.items()]
        found = (
            f"<p>Trial {best.number}: accuracy {percent(best.accuracy)} after {best.records[-1].epoch} epochs "
            f"and {best.seconds:.1f} s of training.</p>{table(('setting', 'value'), rows)}"
            f"<pre><code>{escape(command)}</code></pre>"
        )
    parts = [
        ("best", "Best trial", found),
        ("curves", "Learning curves", curves(trials, best)),
        ("mattered", "Hyperparameter importance", importance(trials, search, importances)),
        ("together", "Settings together", parallel(trials, search, best)),
        ("trials", "All trials", trial_table(trials)),
    ]
    return document(
        title,
        f"<header><h1>{escape(title)}</h1><p>{escape(counts)}. Accuracies are measured on a held-out validation set; "
        f"the test set was not used.</p></header><main>{cards(parts)}</main>",
        style=source("report.css", "byhand.report"),
        script=source("sweep.js", "byhand.report"),
    )


def curves(trials: Sequence[Trial], best: Trial | None) -> str:
    """Return the validation accuracy per epoch, with the best trial highlighted."""
    begun = [trial for trial in trials if trial.records]
    if not begun:
        return "<p>No trial has finished an epoch yet.</p>"
    points = {t.number: [(r.epoch, 100 * (r.validation_accuracy or 0.0)) for r in t.records] for t in begun}
    lines = [Series("", points[t.number], "faint", is_dotted=t.status != DONE) for t in begun if t is not best]
    if best:
        lines.append(Series(f"trial {best.number} (best)", points[best.number]))
    ends = sorted(y for line in lines for _, y in line.points)
    low, high = around(ends[len(ends) // 20 :])
    x = Axis("epoch", 1, max(2, *(t.records[-1].epoch for t in begun)), is_whole=True)
    y = Axis("validation accuracy, %", max(low, 0), min(high, 100))
    width = max(min(5, len(t.records)) for t in begun)
    rows = []
    for t in begun:
        last = [percent(r.validation_accuracy, missing="") for r in t.records[-5:]]
        rows.append((t.number, t.status, *last, *[""] * (width - len(last))))
    numbers = table(("trial", "status", *["…"] * width), rows, "The last epochs of each trial")
    return chart("Validation accuracy, %; dotted: stopped early", x, y, lines) + folded("The numbers", numbers)


def importance(
    trials: Sequence[Trial], search: Mapping[str, Mapping[str, Any]], importances: Mapping[str, float]
) -> str:
    """Return the importance of each setting, and a chart of each setting against the accuracy."""
    words = "<p>Too few trials are complete to estimate importances.</p>"
    if importances:
        rows = [(name, percent(share)) for name, share in importances.items()]
        words = (
            "<p>The share of the difference between good and other trials that each setting explains (PED-ANOVA). "
            f"Trials that were stopped early count as others.</p>{table(('setting', 'importance'), rows)}"
        )
    ranges = {name: search[name] for name in importances or search}
    return f'{words}<div class="plots">{"".join(charts(trials, ranges))}</div>'


def charts(trials: Sequence[Trial], ranges: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield one chart per setting: its value against the accuracy of the completed trials."""
    done = [
        (trial.values, 100 * trial.accuracy) for trial in trials if trial.status == DONE and trial.accuracy is not None
    ]
    if not done:
        return
    y = Axis("accuracy, %", *around([accuracy for _, accuracy in done]))
    for name, values in ranges.items():
        x, place = axis_of(name, values, margin=0.5)
        dots = [Series("", [(place(trial[name]), accuracy)]) for trial, accuracy in done]
        yield chart(f"Accuracy by {name}, %", x, y, dots)


def axis_of(name: str, values: Mapping[str, Any], margin: float = 0) -> tuple[Axis, Callable[[Any], float]]:
    """Return the axis of a setting, {low, high, log} or {choices}, and the function from its values to numbers."""
    if choices := values.get("choices"):
        names = [shown(choice) for choice in choices]
        return Axis(name, -margin, len(choices) - 1 + margin, names=names), choices.index
    return Axis(name, values["low"], values["high"], is_log=values.get("log", False)), float


def parallel(trials: Sequence[Trial], search: Mapping[str, Mapping[str, Any]], best: Trial | None) -> str:
    """Return parallel coordinates: an axis for each setting and the accuracy, and a line for each completed trial."""
    done = [(100 * t.accuracy, t) for t in trials if t.status == DONE and t.accuracy is not None]
    if len(done) < 2:
        return ""
    low, high = around([accuracy for accuracy, _ in done])
    axes = [axis_of(name, values) for name, values in search.items()]
    axes.append((Axis("accuracy, %", max(low, 0), min(high, 100)), float))
    width, top, bottom = 150 * len(axes), 30, 230
    across = range(75, width, 150)
    parts = []
    for x, (axis, _) in zip(across, axes, strict=True):
        parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        parts.append(text("name", x, top - 12, axis.label))
        ends = axis.ticks() if axis.names else (axis.low, axis.high)
        parts += [text("tick", x - 6, axis.place(end, bottom, top) + 4, axis.words(end), "end") for end in ends]
    for accuracy, trial in sorted(done, key=lambda each: each[0]):
        values = [*(trial.values[name] for name in search), accuracy]
        points, words = [], []
        for x, (axis, number), value in zip(across, axes, values, strict=True):
            points.append(f"{x},{axis.place(number(value), bottom, top):.1f}")
            words.append(f"{axis.label} {shown(value)}")
        kind, title = "line" if trial is best else "line faint", escape(f"trial {trial.number}: {', '.join(words)}")
        parts.append(f'<polyline class="{kind}" points="{" ".join(points)}"><title>{title}</title></polyline>')
    note = "<p>A line is a trial; the best one is highlighted. Point at a line for its values.</p>"
    size = f'viewBox="0 0 {width} {bottom + 20}" style="max-width: {1.3 * width:g}px"'
    name = 'role="img" aria-label="Settings of the trials"'
    return f'{note}<svg class="chart parallel" {size} {name}>{"".join(parts)}</svg>'


def trial_table(trials: Sequence[Trial]) -> str:
    """Return a table of all trials, the best first."""
    if not trials:
        return "<p>None yet.</p>"
    ordered = sorted(trials, key=lambda trial: (trial.status != DONE, -(trial.accuracy or 0.0)))
    rows = []
    for t in ordered:
        epochs = t.records[-1].epoch if t.records else 0
        accuracy, seconds = percent(t.accuracy, missing=""), f"{t.seconds:.1f}"
        rows.append((t.number, t.status, accuracy, epochs, seconds, *map(shown, t.values.values()), t.message))
    head = ("trial", "status", "validation accuracy", "epochs", "seconds", *trials[0].values, "message")
    return table(head, rows)


def shown(value: object) -> str:
    """Format a value with at most four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
