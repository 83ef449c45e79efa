"""Progress: a bar where someone watches a terminal, one line an epoch where nobody does."""

from typing import Any

from byhand.cli.output import Console
from byhand.text import percent
from byhand.training import Callback, EpochRecord, History, Trainer


class Progress(Callback):
    """Shows the records of one training."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Any = None

    def on_message(self, text: str) -> None:
        self.console.info(text)

    def on_start(self, trainer: Trainer) -> None:
        self.trainer = trainer
        if self.console.is_live:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeRemainingColumn())
            self.bar = Bar(*columns, console=RichConsole(stderr=True), transient=True)
            self.task = self.bar.add_task("starting", total=self.trainer.total_steps)
            self.bar.start()

    def on_end(self, trainer: Trainer, history: History) -> None:
        if self.bar is not None:
            self.bar.stop()

    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        """An epoch's line, and the bar moved on."""
        line = self.line(record)
        if self.bar is not None:
            self.bar.console.print(line, highlight=False, soft_wrap=True)
            self.bar.update(
                self.task, completed=record.step + 1, description=f"{record.images_per_second:,.0f} images/s"
            )
        else:
            self.console.info(line)
        for warning in record.warnings:
            self.console.info(f"  watch out: {warning}")

    def line(self, record: EpochRecord) -> str:
        """`epoch 3/10  loss 0.1234  accuracy 96.52 %  validation 96.10 %  120,000 images/s  0:04 left`"""
        if self.trainer.batches.is_whole:
            where = f"iteration {record.step:>{len(str(self.trainer.total_steps))}}  loss {record.loss:.6f}"
        else:
            total = self.trainer.recipe.epochs
            where = f"epoch {record.epoch:>{len(str(total))}}/{total}  loss {record.loss:.4f}"
        parts = [where, f"accuracy {percent(record.accuracy)}"]
        if record.validation_accuracy is not None:
            parts.append(f"validation {percent(record.validation_accuracy)}")
        parts += [f"{record.images_per_second:,.0f} images/s", f"{clock(self.left(record))} left"]
        return "  ".join(parts)

    def left(self, record: EpochRecord) -> float:
        """Seconds left, if the rest goes as the run went so far."""
        done = record.step + 1
        return record.seconds / done * (self.trainer.total_steps - done)


def clock(seconds: float) -> str:
    """75 → `1:15`"""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
