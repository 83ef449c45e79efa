"""The page of a hyperparameter search: the best trial and its command, learning curves, importances, all numbers.

One HTML file that needs nothing else, made of the same pieces as the report of a run. `byhand.distributed` runs the
search; its trials are handed in.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from byhand.page.charts import Axis, Series, around, chart
from byhand.page.document import asset, cards, document, escape, folded, table
from byhand.text import percent
from byhand.training.records import EpochRecord

#: The status of a trial that ran to its end.
DONE = "done"


class Trial(Protocol):
    """One trial of a search, as `byhand.distributed` has it."""

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
    """Return the whole page.

    `search` holds the range of each setting: {low, high, log} or {choices}. `importances` may be empty. `command` is
    the command line that trains the network of the best trial, if there is one.
    """
    counts = ", ".join(f"{count} {status}" for status, count in Counter(t.status for t in trials).items())
    title = f"{len(trials)} trials" + (f", the best {percent(best.accuracy)}" if best else "")
    parts = [
        ("best", "The best", best_part(best, command) if best else "<p>No trial has come to its end.</p>"),
        ("curves", "Every trial's curve", curves(trials, best)),
        ("mattered", "What mattered", mattered(trials, search, importances)),
        ("trials", "Every trial", trial_table(trials)),
    ]
    return document(
        title,
        f"<header><h1>{escape(title)}</h1><p>{escape(counts)}. Judged by images that were held out of training; the "
        f"test images were not used.</p></header><main>{cards(parts)}</main>",
        style=asset("report.css", "byhand.report"),
    )


def best_part(best: Trial, command: str) -> str:
    """The best trial's settings, and the command that trains it again."""
    rows = [(name, shown(value)) for name, value in best.values.items()]
    return (
        f"<p>Trial {best.number}: {percent(best.accuracy)} right after {best.records[-1].epoch} epochs "
        f"and {best.seconds:.1f} s of training.</p>{table(('setting', 'value'), rows)}"
        f"<pre><code>{escape(command)}</code></pre>"
    )


def curves(trials: Sequence[Trial], best: Trial | None) -> str:
    """Accuracy on the held-out images, epoch by epoch: the best trial stands out, those stopped early are dotted."""
    lines = [
        Series(
            "",
            [(r.epoch, 100 * (r.validation_accuracy or 0.0)) for r in trial.records],
            look="faint",
            is_dotted=trial.status != DONE,
        )
        for trial in trials
        if trial.records and trial is not best
    ]
    if best:
        points = [(r.epoch, 100 * (r.validation_accuracy or 0.0)) for r in best.records]
        lines.append(Series(f"trial {best.number}, the best", points))
    if not lines:
        return "<p>No trial has finished an epoch yet.</p>"
    ends = sorted(y for line in lines for _, y in line.points)
    low, high = around(ends[len(ends) // 20 :])
    last = max(x for line in lines for x, _ in line.points)
    x = Axis("epoch", 1, max(last, 2), is_whole=True)
    y = Axis("% of held-out images read right", max(low, 0), min(high, 100))
    rows = [
        (trial.number, trial.status, *(percent(r.validation_accuracy, missing="") for r in trial.records[-5:]))
        for trial in trials
        if trial.records
    ]
    width = max(len(row) for row in rows)
    padded = [(*row, *[""] * (width - len(row))) for row in rows]
    numbers = table(("trial", "", *["…"] * (width - 2)), padded, "The last epochs of each trial")
    return chart("% of held-out images read right; dotted: stopped early", x, y, lines) + folded("The numbers", numbers)


def mattered(trials: Sequence[Trial], search: Mapping[str, Mapping[str, Any]], importances: Mapping[str, float]) -> str:
    """How much each setting explains, and each setting against what came of it."""
    words = "<p>Too few trials are over to say which settings mattered.</p>"
    if importances:
        rows = [(name, percent(share)) for name, share in importances.items()]
        words = (
            "<p>How much of what sets the good trials apart from the others each setting explains (PED-ANOVA); trials "
            f"stopped early count among the others.</p>{table(('setting', 'share'), rows)}"
        )
    ranges = {name: search[name] for name in importances or search}
    return f'{words}<div class="plots">{"".join(charts(trials, ranges))}</div>'


def charts(trials: Sequence[Trial], ranges: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One chart a setting: its value against the accuracy, for the trials that came to their end."""
    done = [trial for trial in trials if trial.status == DONE and trial.accuracy is not None]
    if not done:
        return
    y = Axis("% right", *around([100 * (trial.accuracy or 0.0) for trial in done]))
    for name, values in ranges.items():
        choices = values.get("choices")
        place = {choice: i for i, choice in enumerate(choices or [])}
        points = [
            (float(place[t.values[name]] if choices else t.values[name]), 100 * (t.accuracy or 0.0)) for t in done
        ]
        if choices:
            label = f"{name}: " + ", ".join(f"{i} = {shown(choice)}" for choice, i in place.items())
            x = Axis(label, -0.5, len(choices) - 0.5, is_whole=True)
        else:
            x = Axis(name, values["low"], values["high"], is_log=values.get("log", False))
        dots = [Series("", [point]) for point in points]
        yield chart(f"% right, by {name}", x, y, dots)


def trial_table(trials: Sequence[Trial]) -> str:
    """All the numbers, the best first."""
    if not trials:
        return "<p>None yet.</p>"
    ordered = sorted(trials, key=lambda trial: (trial.status != DONE, -(trial.accuracy or 0.0)))
    head = ("trial", "", "held-out", "epochs", "seconds", *trials[0].values, "")
    rows = [
        (
            t.number,
            t.status,
            percent(t.accuracy, missing=""),
            t.records[-1].epoch if t.records else 0,
            f"{t.seconds:.1f}",
            *map(shown, t.values.values()),
            t.message,
        )
        for t in ordered
    ]
    return table(head, rows)


def shown(value: object) -> str:
    """A value, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
