"""The folder of a run: its settings (`config.json`), the records of its epochs (`metrics.jsonl`), and its model
(`model.safetensors`). While it trains, its state is in `state/` (see `checkpoint`). The run of an ensemble holds those
of its members instead, each a run of its own in `member-1/`, `member-2/`, …

Every file is replaced whole, so a run that is stopped at any moment leaves the last good version of each.
"""

import json
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import byhand
from byhand.checks import is_integer
from byhand.errors import ModelFileError, UsageError
from byhand.files import write_text
from byhand.model import Model
from byhand.model.ensemble import Ensemble
from byhand.model.file import check_depth
from byhand.threads import blas_libraries
from byhand.training.records import EpochRecord

CONFIG, METRICS, MODEL, STATE = "config.json", "metrics.jsonl", "model.safetensors", "state"
HOME = Path("runs")

#: The largest number of members of an ensemble.
MOST_MEMBERS = 1_000

#: A record is some 300 bytes: room for 200,000 of them.
MOST_TEXT = 64_000_000


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path

    @classmethod
    def new(cls, folder: str | os.PathLike[str] | None = None) -> "Run":
        """Return a new run, in the folder named, which must be empty or absent, or the next number under `runs/`."""
        return cls(new_folder("run", folder, HOME))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Return the run in a folder, or the one that a model's file belongs to."""
        path = Path(path)
        folder = path.parent if path.is_file() else path
        if not path.exists():
            raise ModelFileError(f"{path}: no run there: `byhand train` makes one")
        return cls(folder)

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL

    @property
    def members(self) -> list["Run"]:
        """The members' runs of an ensemble, in order; empty for another run."""
        count = self.config().get("committee")
        if count is None:
            return []
        if not is_integer(count, 1, MOST_MEMBERS):
            raise ModelFileError(
                f"{self.folder / CONFIG}: committee must be a number of members from 1 to {MOST_MEMBERS}, "
                f"got {str(count)[:40]}"
            )
        return [Run(self.folder / f"member-{number}") for number in range(1, count + 1)]

    def reader(self) -> Model | Ensemble:
        """Return the trained model, or the ensemble."""
        members = [] if self.model_path.is_file() else self.members
        if not members:
            return self.model()
        if missing := [member.folder for member in members if not member.model_path.is_file()]:
            raise ModelFileError(
                f"{missing[0]}: this member of the committee has no model yet: byhand train --resume {self.folder}"
            )
        return Ensemble([member.model() for member in members], metadata=self.config().get("card"))

    def model(self) -> Model:
        """Return the trained model."""
        if not self.model_path.is_file():
            if members := self.members:
                raise ModelFileError(
                    f"{self.folder}: a committee of {len(members)} networks, and this takes one: "
                    f"name a member, such as {members[0].folder}"
                )
            raise ModelFileError(f"{self.folder}: no {MODEL} in that folder: it is not a run, or one that never saved")
        try:
            return Model.load(self.model_path)
        except ModelFileError as error:
            if not any((self.folder / STATE).glob("*.safetensors")):
                raise
            raise ModelFileError(
                f"{error}; its training can be taken up from the last checkpoint: byhand train --resume {self.folder}"
            ) from None

    def config(self) -> dict[str, Any]:
        """Return the settings; empty if there is only a model."""
        path = self.folder / CONFIG
        return read_object(path) if path.is_file() else {}

    def records(self) -> list[EpochRecord]:
        """Return the records of the epochs; empty if there are none."""
        path = self.folder / METRICS
        lines = text_of(path).splitlines() if path.is_file() else []
        try:
            return [EpochRecord.from_json(json.loads(line)) for line in lines]
        except (ValueError, TypeError, KeyError):
            raise ModelFileError(
                f"{path}: each line must be the record of an epoch, as `byhand train` wrote it"
            ) from None

    def write_config(self, config: dict[str, Any]) -> None:
        write_text(
            self.folder / CONFIG, json.dumps(config | {"made_with": versions()}, indent=2, ensure_ascii=False) + "\n"
        )

    def write_records(self, records: list[EpochRecord]) -> None:
        lines = [json.dumps(record.to_json()) for record in records]
        write_text(self.folder / METRICS, "".join(f"{line}\n" for line in lines))


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file."""
    text = text_of(path)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ModelFileError(f"{path}: must be a JSON object, got {text[:40]!r}")
    return value


def text_of(path: Path) -> str:
    """Return the text of a run's file, or raise an error if it is too large, not text or nested too deep."""
    if (size := path.stat().st_size) > MOST_TEXT:
        raise ModelFileError(f"{path}: must be of at most {MOST_TEXT:,} bytes, has {size:,}")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path}: must be text in UTF-8, and byte {error.start:,} is not") from None
    check_depth(path, text)
    return text


def load_model(path: str | os.PathLike[str]) -> Model:
    """Return the model of a run's folder, or of a model's file."""
    path = Path(path)
    return Model.load(path) if path.is_file() else Run.open(path).model()


def load_reader(path: str | os.PathLike[str]) -> Model | Ensemble:
    """Return the model of a run's folder or of a model's file, or the ensemble of its folder."""
    path = Path(path)
    return Model.load(path) if path.is_file() else Run.open(path).reader()


def new_folder(kind: str, folder: str | os.PathLike[str] | None, home: Path) -> Path:
    """Return a folder that is new or empty; without a name, the next number under `home`."""
    folder = home / next_number(home) if folder is None else Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"the {kind}'s folder must be new or empty, got {folder}: name another")
    return folder


def next_number(home: Path) -> str:
    """Return 001, 002, …: one more than the highest number in the folder."""
    names = [entry.name for entry in home.iterdir()] if home.is_dir() else []
    return f"{max([int(name) for name in names if re.fullmatch(r'[0-9]{1,9}', name)], default=0) + 1:03}"


def versions() -> dict[str, str]:
    """Return the versions of what computes a run: with the same ones, the same seed gives the same bits.

    Of the BLAS also the kernel that it chose for this processor.
    """
    names = [
        f"{library.internal_api} {library.version} {getattr(library, 'architecture', '')}"
        for library in blas_libraries()
    ]
    return {
        "byhand": byhand.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "blas": ", ".join(name.strip() for name in names) or "unknown",
    }
