"""The result of a learning-rate range test, as an HTML page and as text."""

import math

import numpy as np

from byhand.page.charts import BOTTOM, HEIGHT, TOP, Axis, Series, chart, spot, text
from byhand.page.document import document, escape, folded, source, table
from byhand.training.lr_find import Sweep

#: Lines of the text plot, and its top as a multiple of the first loss.
LINES, ROOM = 12, 1.3
BLOCKS = " ▁▂▃▄▅▆▇█"


def verdict(sweep: Sweep) -> str:
    """Return the result in one or two sentences."""
    if sweep.diverged_at is None:
        end = f"Training did not diverge up to {sweep.rates[-1]:.2g}; try a higher --highest."
    else:
        end = f"Training diverged at step {sweep.diverged_at}, at a rate of {sweep.rates[sweep.diverged_at]:.2g}."
    if sweep.suggestion is None or sweep.steepest is None:
        return f"The loss never fell: no rate can be suggested. {end} Try a lower --lowest."
    return (
        f"Try a learning rate of {sweep.suggestion:g}. The loss fell fastest at {sweep.rates[sweep.steepest]:.2g} and "
        f"was lowest at {sweep.rates[sweep.lowest]:.2g}. {end}"
    )


def axes(sweep: Sweep) -> tuple[Axis, Axis]:
    """Return the axes of rates and of losses; losses far above the first one are cut off."""
    top = max(sweep.smoothed[0], min(sweep.smoothed)) * ROOM
    return Axis("learning rate", sweep.rates[0], sweep.rates[-1], is_log=True), Axis("", 0.0, top)


def range_test_page(sweep: Sweep, title: str, command: str = "") -> str:
    """Return a page that plots the loss against the rate, with the suggestion and the divergence."""
    x, y = axes(sweep)
    diverged = None if sweep.diverged_at is None else sweep.rates[sweep.diverged_at]
    marks = ""
    for rate, words, kind in ((sweep.suggestion, "suggested", "good"), (diverged, "diverged", "bad")):
        if rate is not None:
            at, _ = spot(x, y, rate, 0)
            marks += f'<line class="mark {kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            marks += text(f"mark {kind}", at - 5, TOP + 11, f"{words} {rate:.2g}", "end")
    raw = Series("each batch", list(zip(sweep.rates, sweep.losses, strict=True)), "faint")
    smoothed = Series("smoothed", list(zip(sweep.rates, sweep.smoothed, strict=True)))
    plot = chart("Loss against learning rate", x, y, [raw, smoothed], marks)
    steps = enumerate(zip(sweep.rates, sweep.losses, sweep.smoothed, strict=True))
    rows = [(k, f"{rate:.3g}", f"{loss:.4g}", f"{mean:.4g}") for k, (rate, loss, mean) in steps]
    twin = folded("the curve as a table", table(("step", "rate", "loss of the batch", "smoothed"), rows))
    repeat = f'<pre class="command"><code>{escape(command)}</code></pre>' if command else ""
    return document(
        f"Learning rates: {title}",
        f"<header><h1>Learning-rate range test</h1><p class=soft>{escape(title)}</p></header>"
        f'<main class="card"><p>{escape(verdict(sweep))}</p>{plot}{twin}{repeat}</main>',
        style=source("report.css", "byhand.report"),
    )


def range_test_text(sweep: Sweep, width: int = 72) -> str:
    """Return the same plot in block characters."""
    x, y = axes(sweep)
    columns: list[list[float]] = [[] for _ in range(width)]
    for rate, loss in zip(sweep.rates, sweep.smoothed, strict=True):
        columns[min(width - 1, int(x.place(rate, 0, width)))].append(loss)
    heights = [max(values) if values else math.nan for values in columns]
    known = [k for k, height in enumerate(heights) if not math.isnan(height)]
    heights = list(np.interp(range(width), known, [min(heights[k], y.high) for k in known]))
    lines = []
    for level in reversed(range(LINES)):
        eighths = [min(8, max(0, round((height / y.high * LINES - level) * 8))) for height in heights]
        edge = f"{y.high * (level + 1) / LINES:6.2f} │" if level % 3 == 2 else "       │"
        lines.append(edge + "".join(BLOCKS[k] for k in eighths))
    axis, names = ["─"] * width, [" "] * (width + 8)
    for tick in x.ticks():
        at = min(width - 1, int(x.place(tick, 0, width)))
        axis[at] = "┴"
        for k, letter in enumerate(f"{tick:g}"):
            if at + k < len(names):
                names[at + k] = letter
    if sweep.suggestion is not None:
        axis[min(width - 1, int(x.place(sweep.suggestion, 0, width)))] = "▲"
    if sweep.diverged_at is not None:
        axis[-1] = "✗"
    return "\n".join([*lines, f"     0 └{''.join(axis)}", f"        {''.join(names).rstrip()}"])
