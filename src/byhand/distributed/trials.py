"""Trials, and the folder of a sweep that holds them.

    sweep.json                  what was asked: the space, the data, the seed, the number of trials
    trials/0007.json            one trial: its values, how it stands, a record an epoch
    trials/0007.safetensors     the state of one that is still running
    trials.csv, sweep.html      all of it, to be read by people and programs

Every file is replaced whole, so a sweep that is killed at any moment has lost at most what its workers had in hand.
"""

import csv
import io
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from byhand.distributed.space import Value
from byhand.distributed.work import State
from byhand.errors import ModelFileError, StorageError, UsageError
from byhand.files import write_text
from byhand.training import checkpoint
from byhand.training.records import EpochRecord
from byhand.training.runs import next_number

HOME = Path("sweeps")
RUNNING, DONE, PRUNED, DIVERGED, FAILED = "running", "done", "pruned", "diverged", "failed"


@dataclass
class Trial:
    """One trial. `records` has one for each epoch so far."""

    number: int
    values: dict[str, Value]
    status: str = RUNNING
    records: list[EpochRecord] = field(default_factory=list)
    message: str = ""

    @property
    def accuracy(self) -> float | None:
        """What it is judged by: the accuracy on the held-out images after its last epoch."""
        return self.records[-1].validation_accuracy if self.records else None

    @property
    def seconds(self) -> float:
        """Training time."""
        return self.records[-1].seconds if self.records else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Trial":
        """The trial that these plain values describe."""
        return cls(**{**values, "records": [EpochRecord.from_json(record) for record in values["records"]]})


class Folder:
    """A sweep's folder, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @classmethod
    def new(cls, path: str | os.PathLike[str] | None = None) -> "Folder":
        """A new or empty folder, or the next number under `sweeps/`."""
        folder = Path(path) if path is not None else HOME / next_number(HOME)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"the sweep's folder must be new or empty, got {folder}; --resume goes on with a sweep")
        return cls(folder)

    def config(self) -> dict[str, Any]:
        """What was asked."""
        path = self.path / "sweep.json"
        if not path.is_file():
            raise UsageError(f"{self.path}: no sweep there: `byhand sweep` makes one")
        return read_json(path)

    def write_config(self, config: dict[str, Any]) -> None:
        write_text(self.path / "sweep.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")

    def trials(self) -> list[Trial]:
        """Every trial that was begun, in order; a running one as far as its state has come."""
        found: list[Trial] = []
        for path in sorted((self.path / "trials").glob("*.json")):
            try:
                trial = Trial.from_json(read_json(path))
            except (TypeError, KeyError, ValueError):
                raise ModelFileError(f"{path}: must be a trial as `byhand sweep` wrote it") from None
            if trial.number != len(found):
                raise ModelFileError(f"{path}: trials must be numbered without gaps, trial {len(found)} is missing")
            if trial.status == RUNNING and (state := self.state(trial)) is not None:
                trial.records = [EpochRecord.from_json(record) for record in state[1]["records"]]
            found.append(trial)
        return found

    def write(self, trial: Trial) -> None:
        """Keep a trial; what it needs to go on is swept up when it is over."""
        write_text(self._place(trial, "json"), json.dumps(trial.to_json(), ensure_ascii=False) + "\n")
        if trial.status != RUNNING:
            self._place(trial, "safetensors").unlink(missing_ok=True)

    def state(self, trial: Trial) -> State | None:
        """What a running trial goes on from; None where it had not come so far."""
        path = self._place(trial, "safetensors")
        if not path.is_file():
            return None
        saved = checkpoint.read(path)
        return saved.arrays, saved.plain

    def write_state(self, trial: Trial, state: State) -> None:
        checkpoint.write(self._place(trial, "safetensors"), checkpoint.Checkpoint(*state, {}, trial.number))

    def write_csv(self, trials: list[Trial]) -> None:
        """A line a trial."""
        names = list(trials[0].values) if trials else []
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["trial", "status", "validation_accuracy", "epochs", "seconds", *names])
        for t in trials:
            accuracy = "" if t.accuracy is None else t.accuracy
            table.writerow([t.number, t.status, accuracy, len(t.records), round(t.seconds, 3), *t.values.values()])
        write_text(self.path / "trials.csv", text.getvalue())

    def write_page(self, page: str) -> None:
        write_text(self.path / "sweep.html", page)

    def _place(self, trial: Trial, ending: str) -> Path:
        return self.path / "trials" / f"{trial.number:04}.{ending}"

    # ---- held by one process

    def hold(self) -> None:
        """Take the folder for this process, where the system has locks."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StorageError(f"{self.path}: another process is running this sweep") from None

    def release(self) -> None:
        """Let the folder go."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ModelFileError(f"{path}: must be a JSON object")
    return value
