"""Progress: a callback that shows a training on a terminal, in a notebook, or as lines of a log.

    fit(model, digits.train, callbacks=[ProgressBar()])

There is a line for each epoch, and a bar where it can be redrawn: with rich on a terminal, as HTML in a notebook.
"""

import html
import os
import sys
import time
from typing import Any

from byhand.text import percent
from byhand.training.loop import Callback, Trainer
from byhand.training.records import EpochRecord, History, StepRecord

#: Seconds between two drawings of a bar.
REDRAW = 0.1
#: Lines shown in a notebook, the last ones.
SHOWN = 12


class ProgressBar(Callback):
    """Shows the epochs of a training, with a bar, the warnings and the time left. Lines go to stderr."""

    bar: Any = None

    def on_start(self, trainer: Trainer) -> None:
        self.drawn = time.monotonic()
        if in_notebook():
            self.bar = NotebookBar(trainer.total_steps)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self.bar = TerminalBar(trainer.total_steps)

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        if self.bar is not None and (now := time.monotonic()) - self.drawn > REDRAW:
            self.drawn = now
            self.bar.update(record.step + 1, f"{record.images_per_second:,.0f} images/s")

    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        for line in (epoch_line(trainer, record), *(f"  watch out: {warning}" for warning in record.warnings)):
            self.on_message(line)

    def on_end(self, trainer: Trainer, history: History) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_message(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text)
        else:
            print(text, file=sys.stderr, flush=True)


class TerminalBar:
    """A bar below the lines of a terminal, drawn by rich."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeRemainingColumn())
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("starting", total=total)
        self.progress.start()

    def write(self, line: str) -> None:
        self.progress.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def update(self, done: int, speed: str) -> None:
        self.progress.update(self.task, completed=done, description=speed)

    def close(self) -> None:
        self.progress.stop()


class NotebookBar:
    """The last lines above an HTML progress element. (rich needs ipywidgets to redraw in a notebook.)"""

    def __init__(self, total: int) -> None:
        from IPython import display

        self.total, self.lines = total, list[str]()
        self.html: Any = display.HTML
        self.handle: Any = display.display(self.html(""), display_id=True)  # type: ignore[no-untyped-call]

    def write(self, line: str) -> None:
        self.lines.append(line)
        self.show("")

    def update(self, done: int, speed: str) -> None:
        self.show(f'<progress value="{done}" max="{self.total}"></progress> {speed}')

    def close(self) -> None:
        self.show("")

    def show(self, bar: str) -> None:
        lines = html.escape("\n".join(self.lines[-SHOWN:]))
        self.handle.update(self.html(f"<pre>{lines}</pre>{bar}"))


def in_notebook() -> bool:
    """Return True in a notebook, whose outputs can be redrawn."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def epoch_line(trainer: Trainer, record: EpochRecord) -> str:
    """`epoch 3/10  loss 0.1234  accuracy 96.52 %  validation 96.10 %  120,000 images/s  0:04 left`"""
    if trainer.batches.is_whole:
        where = f"iteration {record.step:>{len(str(trainer.total_steps))}}  loss {record.loss:.6f}"
    else:
        total = trainer.recipe.epochs
        where = f"epoch {record.epoch:>{len(str(total))}}/{total}  loss {record.loss:.4f}"
    parts = [where, f"accuracy {percent(record.accuracy)}"]
    if record.validation_accuracy is not None:
        parts.append(f"validation {percent(record.validation_accuracy)}")
    done = record.step + 1
    left = record.seconds / done * (trainer.total_steps - done)
    return "  ".join([*parts, f"{record.images_per_second:,.0f} images/s", f"{clock(left)} left"])


def clock(seconds: float) -> str:
    """75 → `1:15`"""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
