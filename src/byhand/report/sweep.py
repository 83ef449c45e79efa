"""The page of a hyperparameter search: the best trial and its command, learning curves, importances, all numbers.

One HTML file that needs nothing else, made of the same pieces as the report of a run. `byhand.distributed` runs the
search; its trials are handed in.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from byhand.page.charts import Axis, Series, around, chart
from byhand.page.document import cards, document, escape, folded, source, table
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
    found = "<p>No trial has come to its end.</p>"
    if best:
        rows = [(name, shown(value)) for name, value in best.values.items()]
        found = (
            f"<p>Trial {best.number}: {percent(best.accuracy)} right after {best.records[-1].epoch} epochs "
            f"and {best.seconds:.1f} s of training.</p>{table(('setting', 'value'), rows)}"
            f"<pre><code>{escape(command)}</code></pre>"
        )
    parts = [
        ("best", "The best", found),
        ("curves", "Every trial's curve", curves(trials, best)),
        ("mattered", "What mattered", mattered(trials, search, importances)),
        ("trials", "Every trial", trial_table(trials)),
    ]
    return document(
        title,
        f"<header><h1>{escape(title)}</h1><p>{escape(counts)}. Judged by images that were held out of training; the "
        f"test images were not used.</p></header><main>{cards(parts)}</main>",
        style=source("report.css", "byhand.report"),
    )


def curves(trials: Sequence[Trial], best: Trial | None) -> str:
    """Return the validation accuracy by the epoch: the best trial stands out, those stopped early are dotted."""
    begun = [trial for trial in trials if trial.records]
    if not begun:
        return "<p>No trial has finished an epoch yet.</p>"
    points = {t.number: [(r.epoch, 100 * (r.validation_accuracy or 0.0)) for r in t.records] for t in begun}
    lines = [Series("", points[t.number], "faint", is_dotted=t.status != DONE) for t in begun if t is not best]
    if best:
        lines.append(Series(f"trial {best.number}, the best", points[best.number]))
    ends = sorted(y for line in lines for _, y in line.points)
    low, high = around(ends[len(ends) // 20 :])
    x = Axis("epoch", 1, max(2, *(t.records[-1].epoch for t in begun)), is_whole=True)
    y = Axis("% of held-out images read right", max(low, 0), min(high, 100))
    width = max(min(5, len(t.records)) for t in begun)
    rows = []
    for t in begun:
        last = [percent(r.validation_accuracy, missing="") for r in t.records[-5:]]
        rows.append((t.number, t.status, *last, *[""] * (width - len(last))))
    numbers = table(("trial", "", *["…"] * width), rows, "The last epochs of each trial")
    return chart("% of held-out images read right; dotted: stopped early", x, y, lines) + folded("The numbers", numbers)


def mattered(trials: Sequence[Trial], search: Mapping[str, Mapping[str, Any]], importances: Mapping[str, float]) -> str:
    """Return the importance of each setting, and a chart of each setting against the accuracy."""
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
    """Yield one chart a setting: its value against the accuracy, for the trials that ran to their end."""
    done = [
        (trial.values, 100 * trial.accuracy) for trial in trials if trial.status == DONE and trial.accuracy is not None
    ]
    if not done:
        return
    y = Axis("% right", *around([accuracy for _, accuracy in done]))
    for name, values in ranges.items():
        if choices := values.get("choices"):
            place: Callable[[Any], float] = choices.index
            label = f"{name}: " + ", ".join(f"{i} = {shown(choice)}" for i, choice in enumerate(choices))
            x = Axis(label, -0.5, len(choices) - 0.5, is_whole=True)
        else:
            place, x = float, Axis(name, values["low"], values["high"], is_log=values.get("log", False))
        dots = [Series("", [(place(trial[name]), accuracy)]) for trial, accuracy in done]
        yield chart(f"% right, by {name}", x, y, dots)


def trial_table(trials: Sequence[Trial]) -> str:
    """Return all the numbers, the best trial first."""
    if not trials:
        return "<p>None yet.</p>"
    ordered = sorted(trials, key=lambda trial: (trial.status != DONE, -(trial.accuracy or 0.0)))
    rows = []
    for t in ordered:
        epochs = t.records[-1].epoch if t.records else 0
        accuracy, seconds = percent(t.accuracy, missing=""), f"{t.seconds:.1f}"
        rows.append((t.number, t.status, accuracy, epochs, seconds, *map(shown, t.values.values()), t.message))
    return table(("trial", "", "held-out", "epochs", "seconds", *trials[0].values, ""), rows)


def shown(value: object) -> str:
    """Return a value in at most four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
