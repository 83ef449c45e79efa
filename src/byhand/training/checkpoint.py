"""Checkpoints: all that a run is, saved while it trains, so that a run that is stopped at any moment loses little.

    with Checkpoints(run) as checkpoints:
        for record in steps(trainer):
            checkpoints.save(trainer)                                   # writes when it is time
    trainer.restore(*Checkpoints(run).load())                           # and the steps that follow are the same ones

A checkpoint is one safetensors file with a checksum, as a model's is. There are two, `state/a.safetensors` and
`state/b.safetensors`, and each save replaces the older: the newer stays until its successor has been written, flushed,
renamed into place and read back. The loop only copies its arrays; a second thread does the rest.
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
from byhand.files import lock, make_folder
from byhand.model import file as modelfile
from byhand.nn.arrays import Array
from byhand.training.loop import Callback, Trainer
from byhand.training.records import EpochRecord, StepRecord
from byhand.training.runs import STATE, Run, versions

SLOTS = ("a.safetensors", "b.safetensors")
FORMAT, VERSION = "byhand checkpoint", 1

#: Between two saves there is at least this many times the time that one takes.
RARER = 100


@dataclass(frozen=True)
class Checkpoint:
    """One saved state. `number` counts the saves of a run; `environment`: versions, plan, seed, recipe."""

    arrays: dict[str, Array]
    plain: dict[str, Any]
    environment: dict[str, Any]
    number: int


class Checkpoints(Callback):
    """The checkpoints of one run. Use it as a context, or close it, so that the last write is waited for.

    every: seconds between two saves, 0 after each step; more if saving would take over a hundredth of the time
    """

    def __init__(self, run: Run, *, every: float = 30.0) -> None:
        if not every >= 0:
            raise UsageError(f"the seconds between checkpoints must be at least 0, got {every}")
        self.run, self.folder = run, run.folder / STATE
        self.every = self._wait = every
        #: The newest checkpoint of an earlier process, if it was read.
        self.loaded: Checkpoint | None = None
        self._environment: dict[str, Any] = {}
        self._proven: tuple[str, int] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._writing: Future[float] | None = None
        #: Seconds that saving has taken: of the loop's time, and of the processor's in the second thread.
        self.spent = 0.0
        self._saved_at = time.monotonic()
        self._step = -1
        self._lock: BinaryIO | None = None

    # ---- saving

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Save if it is time."""
        self.save(trainer)

    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        """Write the records of the epochs so far."""
        self.run.write_records(trainer.progress.records)

    def save(self, trainer: Trainer, force: bool = False) -> None:
        """Save the trainer's state if it is time; to be called after each step.

        `force` saves now and waits until the file is verified, and so does the run's last step: the state is then that
        of before `finish`, from which a longer run could still go on. An error of the second thread is raised by the
        next call.
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
        self._environment = self._environment or fingerprint(trainer)
        self._pool = self._pool or ThreadPoolExecutor(1, "byhand-checkpoint")
        self._writing = self._pool.submit(self._write, copies, plain, self._environment)
        self._step, self._saved_at = trainer.progress.step, time.monotonic()
        self.spent += time.perf_counter() - began
        if force:
            self._settle()

    def _settle(self) -> None:
        """Wait for the second thread, and raise what went wrong there."""
        assert self._writing is not None
        writing, self._writing = self._writing, None
        took = writing.result()
        self.spent += took
        self._wait = max(self.every, RARER * took) if self.every else 0.0

    def _write(self, arrays: dict[str, Array], plain: dict[str, Any], environment: dict[str, Any]) -> float:
        """Replace the older file, read it back, and return the processor time that this took."""
        began = time.thread_time()
        if not all(np.isfinite(array).all() for array in arrays.values()):
            return 0.0  # the next step will say that the run diverged; the last good state is worth more than this one
        try:
            self.lock()
            if self._proven is None:
                with contextlib.suppress(ModelFileError):  # the first checkpoint of the run, or none is intact
                    self.load()
            slot, number = self._proven or (SLOTS[1], 0)
            other = SLOTS[1 - SLOTS.index(slot)]
            write(self.folder / other, Checkpoint(arrays, plain, environment, number + 1))
            self._proven = other, number + 1
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"{self.folder}: the checkpoint can't be saved: {error.strerror or error}; {self._left()}"
            ) from error
        except ModelFileError as error:
            raise StorageError(f"the checkpoint can't be read back: {error}; {self._left()}") from None
        return time.thread_time() - began

    def _left(self) -> str:
        """Describe what the run can be resumed from after a failed save."""
        return f"the one before it is intact: {self.folder / self._proven[0]}" if self._proven else "there is none yet"

    def lock(self) -> None:
        """Lock the run, and remove temporary files left by a killed process."""
        if self._lock is not None:
            return
        make_folder(self.folder)
        self._lock = lock(self.folder / "lock", f"{self.run.folder}: another process is training this run")
        for part in self.folder.glob(".*.safetensors.*.part"):
            part.unlink(missing_ok=True)

    # ---- loading

    def load(self, warn: Callable[[str], object] = lambda _: None) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the newest intact state, for `Trainer.restore`; call `warn` if a damaged one is skipped."""
        good: list[tuple[Checkpoint, str]] = []
        problems: list[str] = []
        for slot in SLOTS:
            if (path := self.folder / slot).exists():
                try:
                    good.append((read(path), slot))
                except ModelFileError as error:
                    problems.append(str(error))
        if not good and not problems:
            raise ModelFileError(f"{self.run.folder}: no checkpoint there: the run ended before it could save one")
        if not good:
            raise ModelFileError(f"no checkpoint can be used: {'; '.join(problems)}")
        newest, slot = max(good, key=lambda entry: entry[0].number)
        for problem in problems:
            warn(f"{problem}; going on from {slot}, saved after step {newest.plain['step']:,}")
        self._proven, self.loaded = (slot, newest.number), newest
        return newest.arrays, newest.plain

    # ---- ends

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


# ---- one file


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all, and verify that it can be read."""
    plain = np.frombuffer(json.dumps(checkpoint.plain).encode(), np.uint8)
    texts = {"format": FORMAT, "version": VERSION, "number": checkpoint.number, "made": checkpoint.environment}
    written = modelfile.write_arrays(path, checkpoint.arrays | {"plain": plain}, texts)
    _, metadata = modelfile.read_arrays(path, FORMAT, VERSION)
    if metadata["checksum"] != written:
        raise ModelFileError(f"{path}: other than it was written")


def read(path: Path) -> Checkpoint:
    """Read a checkpoint's file, or raise an error that says what is wrong with it."""
    arrays, metadata = modelfile.read_arrays(path, FORMAT, VERSION)
    number = modelfile.parsed(path, metadata, "number", int)
    environment = modelfile.parsed(path, metadata, "made", dict)
    encoded = arrays.pop("plain", np.zeros(0, np.uint8))
    text = encoded.tobytes().decode("utf-8", "replace")
    plain = modelfile.parsed(path, {"plain": text}, "plain", dict)
    if not is_integer(step := plain.get("step"), 0):
        raise ModelFileError(f"{path}: step must be a whole number from 0, got {str(step)[:40]!r}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelFileError(f"{path}: every number of the state must be finite")
    return Checkpoint(arrays, plain, environment, number)


# ---- what the bits of a run depend on


def fingerprint(trainer: Trainer) -> dict[str, Any]:
    """Return what the bits of a run depend on besides its data: with the same values they are the same."""
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
    """Return what differs between two settings, a line each: `recipe.learning_rate was 0.1, is 0.2`."""
    before, now = flat(old), flat(new)
    return [
        f"{name} was {before.get(name, 'not set')}, is {now.get(name, 'not set')}"
        for name in [*before, *(name for name in now if name not in before)]
        if before.get(name) != now.get(name)
    ]


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return every setting under its full name, as JSON: the same whether it comes from a file or from memory."""
    lines: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            lines |= flat(value, f"{prefix}{name}.")
        else:
            lines[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False, default=str)
    return lines
