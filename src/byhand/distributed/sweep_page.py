"""The page of a sweep: the best trial and its command, every trial's curve, what mattered, all the numbers.

One HTML file that needs nothing else, made of the same pieces as the report of a run.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from byhand.distributed.space import Space
from byhand.distributed.trials import DONE, Trial
from byhand.page.document import asset, document, escape, folded, table
from byhand.report.charts import Axis, Series, around, chart
from byhand.text import percent

if TYPE_CHECKING:
    from byhand.distributed.sweep import Result


def html_page(result: "Result", space: Space, *, data: str | None, seed: int) -> str:
    """The whole page."""
    counts = {
        status: sum(t.status == status for t in result.trials)
        for status in dict.fromkeys(t.status for t in result.trials)
    }
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    best = result.best
    title = f"{len(result.trials)} trials" + (f", the best {percent(best.accuracy)}" if best else "")
    parts = [
        ("best", "The best", best_part(best, space, data, seed) if best else "<p>No trial has come to its end.</p>"),
        ("curves", "Every trial's curve", curves(result)),
        ("mattered", "What mattered", mattered(result, space)),
        ("trials", "Every trial", trial_table(result.trials)),
    ]
    cards = "".join(f'<section class="card" id="{key}"><h2>{name}</h2>{body}</section>' for key, name, body in parts)
    return document(
        title,
        f"<header><h1>{escape(title)}</h1><p>{escape(told)}. Judged by images that were held out of training; the test "
        f"images were not used.</p></header><main>{cards}</main>",
        style=asset("report.css", "byhand.report"),
    )


def best_part(best: Trial, space: Space, data: str | None, seed: int) -> str:
    """The best trial's settings, and the command that trains it again."""
    rows = [(name, shown(value)) for name, value in best.values.items()]
    return (
        f"<p>Trial {best.number}: {percent(best.accuracy)} right after {best.records[-1].epoch} epochs "
        f"and {best.seconds:.1f} s of training.</p>{table(('setting', 'value'), rows)}"
        f"<pre><code>{escape(space.command(best.values, data=data, seed=seed))}</code></pre>"
    )


def curves(result: "Result") -> str:
    """Accuracy on the held-out images, epoch by epoch: the best trial stands out, those stopped early are dotted."""
    lines = [
        Series(
            "",
            [(r.epoch, 100 * (r.validation_accuracy or 0.0)) for r in trial.records],
            look="faint",
            is_dotted=trial.status != DONE,
        )
        for trial in result.trials
        if trial.records and trial is not result.best
    ]
    if result.best:
        points = [(r.epoch, 100 * (r.validation_accuracy or 0.0)) for r in result.best.records]
        lines.append(Series(f"trial {result.best.number}, the best", points))
    if not lines:
        return "<p>No trial has finished an epoch yet.</p>"
    ends = sorted(y for line in lines for _, y in line.points)
    low, high = around(ends[len(ends) // 20 :])
    last = max(x for line in lines for x, _ in line.points)
    x = Axis("epoch", 1, max(last, 2), is_whole=True)
    y = Axis("% of held-out images read right", max(low, 0), min(high, 100))
    rows = [
        (trial.number, trial.status, *(percent(r.validation_accuracy, missing="") for r in trial.records[-5:]))
        for trial in result.trials
        if trial.records
    ]
    width = max(len(row) for row in rows)
    padded = [(*row, *[""] * (width - len(row))) for row in rows]
    numbers = table(("trial", "", *["…"] * (width - 2)), padded, "The last epochs of each trial")
    return chart("% of held-out images read right; dotted: stopped early", x, y, lines) + folded("The numbers", numbers)


def mattered(result: "Result", space: Space) -> str:
    """How much each setting explains, and each setting against what came of it."""
    words = "<p>Too few trials are over to say which settings mattered.</p>"
    if result.importances:
        rows = [(name, percent(share)) for name, share in result.importances.items()]
        words = (
            "<p>How much of what sets the good trials apart from the others each setting explains (PED-ANOVA); trials "
            f"stopped early count among the others.</p>{table(('setting', 'share'), rows)}"
        )
    names = list(result.importances) or list(space.search)
    return f'{words}<div class="plots">{"".join(charts(result, space, names))}</div>'


def charts(result: "Result", space: Space, names: list[str]) -> Iterator[str]:
    """One chart a setting: its value against the accuracy, for the trials that came to their end."""
    done = [trial for trial in result.trials if trial.status == DONE and trial.accuracy is not None]
    if not done:
        return
    y = Axis("% right", *around([100 * (trial.accuracy or 0.0) for trial in done]))
    for name in names:
        values = space.search[name]
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


def trial_table(trials: list[Trial]) -> str:
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
