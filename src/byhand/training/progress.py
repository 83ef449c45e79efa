"""Show the progress of a training: a bar on a terminal or in a notebook, and a line per epoch."""

import html
import os
import sys
import time
from typing import Any

from byhand.text import percent, printable_lines
from byhand.training.loop import Callback, Trainer
from byhand.training.records import EpochRecord, History, StepRecord

#: Seconds between two updates of the bar, and the number of lines in a notebook.
INTERVAL, NOTEBOOK_LINES = 0.1, 12


class ProgressBar(Callback):
    """Callback that writes epochs, warnings and the remaining time to stderr."""

    bar: Any = None

    def on_start(self, trainer: Trainer) -> None:
        self.updated = time.monotonic()
        if in_notebook():
            self.bar = NotebookBar(trainer.total_steps)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self.bar = TerminalBar(trainer.total_steps)

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        if self.bar is not None and (now := time.monotonic()) - self.updated > INTERVAL:
            self.updated = now
            self.bar.update(record.step + 1, f"{record.images_per_second:,.0f} images/s")

    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        for line in (epoch_line(trainer, record), *(f"  warning: {warning}" for warning in record.warnings)):
            self.on_message(line)

    def on_end(self, trainer: Trainer, history: History) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_message(self, text: str) -> None:
        text = printable_lines(text)
        if self.bar is not None:
            self.bar.write(text)
        else:
            print(text, file=sys.stderr, flush=True)


class TerminalBar:
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
    """A bar in a notebook, without rich, which would need ipywidgets."""

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
        lines = html.escape("\n".join(self.lines[-NOTEBOOK_LINES:]))
        self.handle.update(self.html(f"<pre>{lines}</pre>{bar}"))


def is_interactive() -> bool:
    """Return True in a notebook, or if stderr is a terminal."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def in_notebook() -> bool:
    """Return True in a Jupyter notebook, and False in IPython on a terminal."""
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
