"""Downloads: a bar for each file where someone watches a terminal, one line a file where nobody does.

`byhand.load(…, progress=downloads.show)` tells how far it is; what it says goes above the bars.
"""

from typing import Any

from byhand.cli.output import Talk


class Downloads:
    """Shows what `load` fetches. A context, because the bars have to be put away; nothing is drawn until one starts."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> "Downloads":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def show(self, file: str, done: int, total: int) -> None:
        """`done` of `total` bytes have come (0: it isn't known how many there are)."""
        if not self.talk.is_live:
            if done == total:
                self.talk.say(f"{file}: {done:,} bytes")
            return
        if self.bars is None:
            self._start()
        if file not in self.tasks:
            self.tasks[file] = self.bars.add_task(file)
        self.bars.update(self.tasks[file], completed=done, total=total or None)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(24), DownloadColumn(), TransferSpeedColumn())
        self.bars = Progress(*columns, console=Console(stderr=True))
        self.bars.start()
