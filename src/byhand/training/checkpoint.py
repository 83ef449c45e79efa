"""Checkpoints: the state of a run, saved during the training.

    with Checkpoints(run) as checkpoints:
        for record in steps(trainer):
            checkpoints.save(trainer)                 # writes every 30 seconds
    trainer.restore(*Checkpoints(run).load())         # the next steps are bit-identical

A checkpoint is a safetensors file. Each save replaces the older of two files, `state/a.safetensors` and
`state/b.safetensors`, and is read back. The loop only copies its arrays; a second thread writes them.
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from byhand.checks import is_integer
from byhand.errors import ModelFileError, StorageError, UsageError
from byhand.model import file as modelfile
from byhand.nn.arrays import Array
from byhand.training.loop import Callback, Trainer
from byhand.training.records import EpochRecord, StepRecord
from byhand.training.runs import CHECKPOINT, CHECKPOINT_VERSION, SLOTS, STATE, Run, versions

#: Minimum interval between two saves, as a multiple of the duration of a save.
INTERVAL_FACTOR = 100


#: Arrays and plain values.
State = tuple[dict[str, Array], dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A saved state. `number` counts the saves; `environment` is the `fingerprint`; `extra` is of the playground."""

    arrays: dict[str, Array]
    plain: dict[str, Any]
    environment: dict[str, Any]
    number: int
    extra: State | None = None


class Checkpoints(Callback):
    """The checkpoints of a run: a context manager that finishes the last write.

    every: seconds between saves (0: each step); more if saving takes over 1 % of the time
    held: the lock of the run, if it is held already
    """

    def __init__(self, run: Run, *, every: float = 30.0, held: BinaryIO | None = None) -> None:
        if not every >= 0:
            raise UsageError(f"the seconds between checkpoints must be at least 0, got {every}")
        self.run, self.folder = run, run.folder / STATE
        self.every = self._wait = every
        self.loaded: Checkpoint | None = None
        #: Returns more values that belong to the state, if there are any.
        self.extra: Callable[[], State] | None = None
        self._extra: State | None = None
        self._environment: tuple[Trainer, dict[str, Any]] | None = None
        self._verified: tuple[str, int] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._writing: Future[float] | None = None
        #: Seconds spent on saving: in the loop, and CPU time in the second thread.
        self.spent = 0.0
        self._saved_at = time.monotonic()
        self._step = -1
        self._lock = held
        #: Size of the file of the records, after this process has written it.
        self._records_size: int | None = None

    def on_start(self, trainer: Trainer) -> None:
        """Write the records of the state: a killed process may have written later ones."""
        self._records_size = self.run.write_records(trainer.progress.records)

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        self.save(trainer)

    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        self._records_size = self.run.write_records(trainer.progress.records, self._records_size)

    def save(self, trainer: Trainer, force: bool = False) -> None:
        """Save the state if the interval is over. An error of the second thread is raised by the next call.

        `force` saves now and waits until the file is verified. So does the last step, for more epochs later.
        """
        force = force or trainer.is_over
        if self._writing is not None and (force or self._writing.done()):
            self._settle()
        if trainer.progress.finished and self._step == trainer.progress.step:
            return
        if self._writing is not None or not (force or time.monotonic() - self._saved_at >= self._wait):
            return
        began = time.perf_counter()
        arrays, plain = trainer.state()
        copies = {name: array.copy() for name, array in arrays.items()}
        if self._environment is None or self._environment[0] is not trainer:
            self._environment = trainer, fingerprint(trainer)
        self._extra = None if self.extra is None else self.extra()
        self._pool = self._pool or ThreadPoolExecutor(1, "byhand-checkpoint")
        self._writing = self._pool.submit(self._write, copies, plain, self._environment[1])
        self._step, self._saved_at = trainer.progress.step, time.monotonic()
        self.spent += time.perf_counter() - began
        if force:
            self._settle()

    def _settle(self) -> None:
        """Wait for the second thread, and raise its error."""
        assert self._writing is not None
        writing, self._writing = self._writing, None
        took = writing.result()
        self.spent += took
        self._wait = max(self.every, INTERVAL_FACTOR * took) if self.every else 0.0

    def _write(self, arrays: dict[str, Array], plain: dict[str, Any], environment: dict[str, Any]) -> float:
        """Replace the older file, read it back, and return the CPU time."""
        began = time.thread_time()
        if not all(np.isfinite(array).all() for array in arrays.values()):
            return 0.0  # keep the last finite state; the next step raises DivergedError
        try:
            self.lock()
            if self._verified is None:
                with contextlib.suppress(ModelFileError):  # no intact checkpoint yet
                    self.load()
            slot, number = self._verified or (SLOTS[1], 0)
            other = SLOTS[1 - SLOTS.index(slot)]
            write(self.folder / other, Checkpoint(arrays, plain, environment, number + 1, self._extra))
            self._verified = other, number + 1
        except StorageError:
            raise
        except OSError as error:
            message = f"{self.folder}: the checkpoint can't be saved: {error.strerror or error}; {self._left()}"
            raise StorageError(message) from error
        except ModelFileError as error:
            raise StorageError(f"the checkpoint can't be read back: {error}; {self._left()}") from None
        return time.thread_time() - began

    def _left(self) -> str:
        """Describe the checkpoint that is left after a failed save."""
        if self._verified is None:
            return "there is no previous one"
        return f"the previous one is intact: {self.folder / self._verified[0]}"

    def lock(self) -> None:
        """Lock the run until `close`."""
        self._lock = self._lock or self.run.lock()

    def load(self, warn: Callable[[str], object] = lambda _: None) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the newest intact state, for `Trainer.restore`; `warn` of a damaged one."""
        good: list[tuple[Checkpoint, str]] = []
        problems: list[str] = []
        for slot in SLOTS:
            if (path := self.folder / slot).exists():
                try:
                    good.append((read(path), slot))
                except ModelFileError as error:
                    problems.append(str(error))
        if not good and not problems:
            raise ModelFileError(
                f"{self.run.folder}: no checkpoint in this folder: the run ended before the first save: begin it again"
            )
        if not good:
            raise ModelFileError(f"no valid checkpoint: {'; '.join(problems)}")
        newest, slot = max(good, key=lambda entry: entry[0].number)
        for problem in problems:
            warn(f"{problem}; resuming from {slot}, saved after step {newest.plain['step']:,}")
        self._verified, self.loaded = (slot, newest.number), newest
        return newest.arrays, newest.plain

    def close(self) -> None:
        """Wait for the last write, raise its error, and unlock the run."""
        try:
            if self._writing is not None:
                self._settle()
        finally:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(StorageError) if kind is not None else contextlib.nullcontext():
            self.close()


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, and read it back."""
    arrays = checkpoint.arrays | {"plain": as_bytes(checkpoint.plain)}
    if checkpoint.extra is not None:
        extra_arrays, extra = checkpoint.extra
        arrays |= {"extra": as_bytes(extra), **{f"extra.{name}": array for name, array in extra_arrays.items()}}
    texts = {
        "format": CHECKPOINT,
        "version": CHECKPOINT_VERSION,
        "number": checkpoint.number,
        "made": checkpoint.environment,
    }
    written = modelfile.write_arrays(path, arrays, texts)
    _, metadata = modelfile.read_arrays(path, CHECKPOINT, CHECKPOINT_VERSION)
    if metadata["checksum"] != written:
        raise ModelFileError(f"{path}: the content differs from what was written")


def as_bytes(values: dict[str, Any]) -> Array:
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def read(path: Path) -> Checkpoint:
    arrays, metadata = modelfile.read_arrays(path, CHECKPOINT, CHECKPOINT_VERSION)
    number = modelfile.parsed(path, metadata, "number", int)
    environment = modelfile.parsed(path, metadata, "made", dict)
    more = {name: arrays.pop(name) for name in list(arrays) if name in ("plain", "extra") or name.startswith("extra.")}
    texts: dict[str, str] = {
        name: more.pop(name).tobytes().decode("utf-8", "replace") for name in ("plain", "extra") if name in more
    }
    plain = modelfile.parsed(path, texts, "plain", dict)
    extra = None
    if "extra" in texts:
        found = modelfile.parsed(path, texts, "extra", dict)
        extra = {name.removeprefix("extra."): array for name, array in more.items()}, found
    if not is_integer(step := plain.get("step"), 0):
        raise ModelFileError(f"{path}: step must be an integer of at least 0, got {str(step)[:40]!r}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelFileError(f"{path}: all numbers of the state must be finite")
    return Checkpoint(arrays, plain, environment, number, extra)


def fingerprint(trainer: Trainer) -> dict[str, Any]:
    """Return everything that the bits of a run depend on, except the data."""
    return {
        "seed": trainer.seed,
        "recipe": trainer.recipe.config(),
        "network": trainer.model.network.config(),
        "preparation": trainer.model.preparation.config(),
        "samples": trainer.samples,
        "plan": asdict(trainer.plan),
        "versions": versions(),
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line per changed setting: `recipe.learning_rate was 0.1, is 0.2`."""
    before, now = flat(old), flat(new)
    return [
        f"{name} was {before.get(name, 'not set')}, is {now.get(name, 'not set')}"
        for name in before | now
        if before.get(name) != now.get(name)
    ]


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings under dotted names, with their values as JSON."""
    lines: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            lines |= flat(value, f"{prefix}{name}.")
        else:
            lines[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False, default=str)
    return lines
