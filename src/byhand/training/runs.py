"""The folder of a run.

A checkpoint in `state/` is the whole state of a training: one file, which is replaced atomically. Before the first one,
the process creates the folder, locks it (`state/lock`) and writes `config.json`, the settings. The other files follow
from the state: `metrics.jsonl`, a line per record, and at the end `model.safetensors`. An ensemble has the runs of its
members: `member-1/`, `member-2/`, …; its `config.json` comes last. So after a kill at any moment, the folder has a
checkpoint and can be resumed, or it holds no step, and a training can begin in it (`holds_no_step`).
"""

import json
import os
import platform
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, TypedDict

import numpy as np

import byhand
from byhand.data.catalog import known_name
from byhand.errors import ModelFileError, UsageError
from byhand.files import StrPath, append, flush_folder, lock, make_folder, remove_parts, write_bytes, write_text
from byhand.model import Model
from byhand.model.ensemble import Ensemble
from byhand.model.file import naming, read_arrays
from byhand.model.model import RUN_FILE
from byhand.schema import Natural, checked, json_value
from byhand.text import near_path
from byhand.threads import blas_libraries
from byhand.training.records import RECORD_RULE, EpochRecord

CONFIG, METRICS, MODEL, STATE, LOCK = "config.json", "metrics.jsonl", RUN_FILE, "state", "lock"
#: File of a playground's initial weights, if they were not new.
START = "start.safetensors"
#: The data set, if it was uploaded to the playground's page.
DATA = "data.npz"
#: The two files of the checkpoints in `STATE`, and their format.
SLOTS = ("a.safetensors", "b.safetensors")
CHECKPOINT, CHECKPOINT_VERSION = "byhand checkpoint", 1
HOME = Path("runs")

#: Maximum number of members of an ensemble.
MAX_MEMBERS = 1_000
#: Maximum sizes: of the settings, and of 200,000 records of 300 bytes.
MAX_CONFIG_BYTES, MAX_RECORDS_BYTES = 1_000_000, 64_000_000


class RunConfig(TypedDict, total=False):
    """The keys of `config.json`; a run has those that its command writes."""

    command: str | None
    preset: str | None
    data: str | None
    data_name: str
    data_checksum: str
    samples: int | None
    sample_weights: str
    validation_data: str
    seed: Natural
    dtype: Literal["float32", "float64"]
    network: list[dict[str, Any]]
    preparation: dict[str, Any]
    recipe: dict[str, Any]
    class_weights: list[float]
    classes: list[str]
    committee: Annotated[int, (1, MAX_MEMBERS)] | None
    card: dict[str, Any]
    playground: dict[str, Any]
    made_with: dict[str, str]


@dataclass(frozen=True)
class Run:
    """The folder of a run."""

    folder: Path

    @classmethod
    def new(cls, folder: StrPath | None = None) -> "Run":
        """Return a new run in a new or empty folder; None takes the next `runs/NNN`."""
        return cls(new_folder("run", folder, HOME))

    @classmethod
    def take(cls, folder: StrPath | None = None) -> "tuple[Run, BinaryIO]":
        """Create and lock the folder of a new run; return the run and its lock. The rules are those of `new`."""
        path, held = take_folder("run", folder, HOME, lambda path: cls(path).lock())
        return cls(path), held

    def lock(self) -> BinaryIO:
        """Lock the run, and remove temporary files left by a killed process; closing the file releases the lock."""
        state = self.folder / STATE
        for path in (state, *(state / name for name in (*SLOTS, LOCK)), *map(self.folder.joinpath, WRITTEN)):
            if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
                raise UsageError(f"{path}: must be a file of the run, got a link or a special file: remove it")
        held = lock(state / LOCK, f"{self.folder}: another process is training this run")
        remove_parts(self.folder, *WRITTEN)
        remove_parts(state, *SLOTS)
        return held

    @classmethod
    def open(cls, path: StrPath) -> "Run":
        """Return the run in a folder, or the run of a model file."""
        path = Path(path)
        folder = path.parent if path.is_file() else path
        if not path.exists():
            if known_name(str(path)):
                raise ModelFileError(f"{path}: no such run: this is a data set, as in byhand train {path}")
            inside = HOME / path.name
            near = near_path(path) or (f" (did you mean {inside}?)" if inside.exists() else near_path(inside))
            raise ModelFileError(f"{path}: no such run{near or ': create one with byhand train'}")
        return cls(folder)

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL

    @property
    def members(self) -> list["Run"]:
        """The runs of the members of an ensemble; empty for a single network."""
        count = self.config().get("committee")
        return [] if count is None else [Run(self.folder / f"member-{number}") for number in range(1, count + 1)]

    def reader(self) -> Model | Ensemble:
        """Return the trained model, or the ensemble."""
        members = [] if self.model_path.is_file() else self.members
        if not members:
            return self.model()
        if missing := [member.folder for member in members if not member.model_path.is_file()]:
            raise ModelFileError(
                f"{missing[0]}: this member of the ensemble has no model yet: "
                f"resume with byhand train --resume {self.folder}"
            )
        return Ensemble([member.model() for member in members], metadata=self.config().get("card"))

    def model(self) -> Model:
        if not self.model_path.is_file():
            if members := self.members:
                raise ModelFileError(
                    f"{self.folder} is an ensemble of {len(members)} networks: pass a member, such as "
                    f"{members[0].folder}"
                )
            inside = f" (did you mean {shlex.quote(str(runs[-1].folder))}?)" if (runs := runs_in(self.folder)) else ""
            if any((self.folder / STATE / name).is_file() for name in SLOTS):
                inside = f": byhand train --resume {shlex.quote(str(self.folder))}"
            raise ModelFileError(
                f"{self.folder}: no {MODEL} in this folder: it is not a run, or has not saved yet{inside}"
            )
        try:
            return Model.load(self.model_path)
        except ModelFileError as error:
            if not any((self.folder / STATE).glob("*.safetensors")):
                raise
            raise ModelFileError(
                f"{error}; resume from the last checkpoint: byhand train --resume {self.folder}"
            ) from None

    def config(self) -> dict[str, Any]:
        """Return the settings; empty if there is only a model."""
        path = self.folder / CONFIG
        return read_object(path, RunConfig) if path.is_file() else {}

    def records(self) -> list[EpochRecord]:
        path = self.folder / METRICS
        if not path.is_file():
            return []
        records = []
        with naming(path), open_limited(path, MAX_RECORDS_BYTES) as file:
            for line in file:
                try:
                    records.append(EpochRecord.from_json(json_value(line, RECORD_RULE)))
                except UsageError:
                    if line.endswith(b"\n"):
                        raise
                    # the power failed while this line was appended: `resume` writes it again
        return records

    def files(self) -> list[Path]:
        """Return the files that training writes into the folder."""
        inside = (path for run in (self, *self.members) for path in (run.folder / STATE).glob("*") if path.is_file())
        named = (run.folder / name for run in (self, *self.members) for name in WRITTEN)
        return sorted([*inside, *(path for path in named if path.is_file())])

    def delete(self) -> bool:
        """Delete the files of the run, and its folder if nothing else is in it; return True if the folder is gone."""
        members = self.members  # from the config, which is deleted below
        for state in (run.folder / STATE for run in (self, *members)):
            if state.is_dir():
                lock(state / LOCK, f"{self.folder}: another process is training this run").close()
        for path in self.files():
            path.unlink()
        for folder in (*(path for run in members for path in (run.folder / STATE, run.folder)), self.folder / STATE):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()

    def write_config(self, config: dict[str, Any]) -> None:
        write_text(
            self.folder / CONFIG, json.dumps(config | {"made_with": versions()}, indent=2, ensure_ascii=False) + "\n"
        )

    def write_records(self, records: list[EpochRecord], size: int | None = None) -> int:
        """Write the records, and return the size of their file. If it has this `size`, append the last record only."""
        path = self.folder / METRICS
        if size is None or not path.is_file() or path.stat().st_size != size:
            content = b"".join(map(record_line, records))
            write_bytes(path, content)
            return len(content)
        append(path, line := record_line(records[-1]))
        return size + len(line)


#: The files that a training writes into its folder.
WRITTEN = (CONFIG, METRICS, MODEL, START, DATA)


def record_line(record: EpochRecord) -> bytes:
    """Return the line of `metrics.jsonl` for a record."""
    return f"{json.dumps(record.to_json())}\n".encode()


def runs_in(folder: StrPath = HOME) -> list[Run]:
    """Return the runs with a model in a folder, sorted by name."""
    path = Path(folder)
    inside = sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
    runs = [Run(entry) for entry in inside if (entry / CONFIG).is_file() or (entry / MODEL).is_file()]
    return [run for run in runs if run.model_path.is_file() or run.config().get("card")]


def read_object(path: Path, schema: Any, most: int = MAX_CONFIG_BYTES) -> Any:
    """Return the JSON object in a file, checked by its schema."""
    with naming(path), open_limited(path, most) as file:
        value = json_value(content := file.read(), "must be a JSON object")
        if not isinstance(value, dict):
            raise UsageError(f"must be a JSON object, got {content[:40].decode('utf-8', 'replace')!r}")
        return checked(schema, value)


def open_limited(path: Path, most: int) -> BinaryIO:
    """Open a file of at most `most` bytes."""
    if (size := path.stat().st_size) > most:
        raise ModelFileError(f"{path}: must have at most {most:,} bytes, got {size:,}")
    return path.open("rb")


def load_model(path: StrPath) -> Model:
    """Return the model of a run or of a model file."""
    path = Path(path)
    return Model.load(path) if path.is_file() else Run.open(path).model()


def load_reader(path: StrPath) -> Model | Ensemble:
    """Return the model or ensemble of a run, or the model of a file."""
    path = Path(path)
    return Model.load(path) if path.is_file() else Run.open(path).reader()


def new_folder(kind: str, folder: StrPath | None, home: Path) -> Path:
    """Return a folder that holds no step; None takes the next number under `home`."""
    folder = home / next_number(home) if folder is None else Path(folder)
    if not holds_no_step(folder):
        raise UsageError(f"the {kind}'s folder must be new or empty, got {folder}: name another")
    return folder


def take_folder(
    kind: str, folder: StrPath | None, home: Path, locked: Callable[[Path], BinaryIO]
) -> tuple[Path, BinaryIO]:
    """Create and lock a folder that holds no step, and empty it; return it and its lock.

    Two processes never take the same folder: without `folder`, the second one takes the next number.
    """
    while True:
        path = new_folder(kind, folder, home)
        if folder is None:
            make_folder(home)
            try:
                path.mkdir()
            except FileExistsError:
                continue
            flush_folder(home)
        held = locked(path)
        if holds_no_step(path):  # look again: another process may have used it before the lock
            break
        held.close()
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == CONFIG):
        if entry.name == STATE:
            for slot in SLOTS:
                (entry / slot).unlink(missing_ok=True)
        elif entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()
    return path, held


def holds_no_step(folder: Path) -> bool:
    """True if a training can begin in a folder: it is missing, empty, or left from a training without a step."""
    if not folder.is_dir():
        return not os.path.lexists(folder)
    return all(map(_precedes_steps, folder.iterdir()))


def _precedes_steps(path: Path) -> bool:
    """True if byhand wrote this file or folder before the first step of a training."""
    if path.is_symlink():
        return False
    if path.is_dir():
        return bool(re.fullmatch(rf"{STATE}|member-[1-9][0-9]{{0,3}}", path.name)) and holds_no_step(path)
    if path.name in SLOTS:
        return step_of(path) == 0
    if path.name in (CONFIG, START):
        return _has_config(path.parent)
    is_empty = path.stat().st_size == 0
    return (is_empty and path.name in (METRICS, LOCK)) or bool(re.fullmatch(r"\..+\.[0-9a-f]{12}\.part", path.name))


def _has_config(folder: Path) -> bool:
    """True if the config is byhand's: a file of the user may have the same name."""
    try:
        return "made_with" in Run(folder).config()
    except ModelFileError:
        return False


def step_of(path: Path) -> int | None:
    """Return the number of steps of a checkpoint; None if it is damaged."""
    try:
        arrays, _ = read_arrays(path, CHECKPOINT, CHECKPOINT_VERSION)
        step = json_value(arrays["plain"].tobytes())["step"]
    except (ModelFileError, UsageError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def next_number(home: Path) -> str:
    """Return the next free number in a folder: 001, 002, …"""
    names = [entry.name for entry in home.iterdir()] if home.is_dir() else []
    return f"{max([int(name) for name in names if re.fullmatch(r'[0-9]{1,9}', name)], default=0) + 1:03}"


def versions() -> dict[str, str]:
    """Return the versions and the BLAS kernel that the bits of a run depend on."""
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
