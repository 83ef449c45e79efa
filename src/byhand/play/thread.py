"""The training thread, the only one that uses the playground: it runs the jobs of other threads between two steps."""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from byhand.errors import ByhandError, DivergedError, StorageError, UsageError
from byhand.play.playground import Playground, epoch_json
from byhand.play.setup import Setup
from byhand.training import EpochRecord

Result = TypeVar("Result")

#: Maximum number of jobs in the queue.
MAX_WAITING = 64

#: Steps per second by pace. `slow` begins with FIRST_RATE and rises by one in RATE_STEPS steps, up to MAX_RATE: the eye
#: can follow the beginning, where most is learned. `fast` is ten times as fast, and `full` has no limit.
PACES: dict[str, int | None] = {"slow": 1, "fast": 10, "full": None}
FIRST_RATE, RATE_STEPS, MAX_RATE = 1.0, 25.0, 60.0

#: Number of epochs without warnings after which the last one is removed.
WARNING_EPOCHS = 10


class OverloadedError(ByhandError):
    """Too many requests at once: try again later."""


class TrainingThread:
    """Trains the playground. `status`: ready (no step yet), training, paused, failed (see `message`)."""

    def __init__(self, playground: Playground) -> None:
        self.playground = playground
        self.status = "paused" if playground.step_number else "ready"
        self.message = ""
        self.stop_at: int | None = None
        self.pace = "slow"
        #: The time of the next step.
        self._due = 0.0
        self._steps_left: int | None = None
        #: The epoch of the warning in `message`.
        self._warned: int | None = None
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING)
        #: Epochs since the last event, and its state; `_is_reset` if a training has begun since.
        self._epochs: list[EpochRecord] = []
        self._reported: dict[str, Any] = {}
        self._is_reset = False
        self._moments = itertools.count(1)
        self._is_closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="byhand-training", daemon=True)
        self._thread.start()

    # ---- called from other threads

    def submit(self, job: Callable[[Playground], Result]) -> "Future[Result]":
        """Run a job between two steps; raise `OverloadedError` if the queue is full."""
        future: Future[Result] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job(self.playground))
                except BaseException as error:
                    future.set_exception(error)

        if self._is_closing:
            raise OverloadedError("the playground is shutting down")
        try:
            self._jobs.put_nowait(work)
        except queue.Full:
            raise OverloadedError("too many requests: try again in a moment") from None
        return future

    def close(self) -> None:
        """Stop after the current step, save, and end the thread; raise an error if the training is not saved."""
        self._is_closing = True
        with contextlib.suppress(queue.Full):
            self._jobs.put(None, timeout=1)
        self._thread.join()
        if isinstance(self._error, OSError) and not isinstance(self._error, ByhandError):
            reason = self._error.strerror or self._error
            raise StorageError(f"{self._error.filename}: the training could not be saved: {reason}")
        if self._error is not None:
            raise self._error

    # ---- jobs

    def control(self, action: str) -> None:
        """Handle a button: `play`, `pause`, `batch` (one step), `epoch` (to its end), `rewind`."""
        playground = self.playground
        if action == "rewind":
            self.begin(playground.setup)
        elif action == "pause":
            if self.status == "training":
                self._pause()
        elif action in ("play", "batch", "epoch"):
            if self.status == "failed":
                raise UsageError("training has failed: rewind or change the setup")
            if playground.trainer is None:
                self.begin(playground.setup)
            step, per_epoch = playground.step_number, playground.batches_per_epoch
            if self.stop_at is not None and step >= self.stop_at * per_epoch:
                self.stop_at = None
            self._steps_left = {"play": None, "batch": 1, "epoch": per_epoch - step % per_epoch}[action]
            self.status, self.message = "training", ""
        else:
            raise UsageError(f"action must be play, pause, batch, epoch or rewind, got {action!r}")

    def set_pace(self, pace: str) -> None:
        """Set the speed, one of PACES."""
        if pace not in PACES:
            raise UsageError(f"pace must be one of {', '.join(PACES)}, got {pace!r}")
        self.pace, self._due = pace, 0.0

    def begin(self, setup: Setup) -> None:
        """Begin a new training."""
        self.playground.begin(setup)
        self._stop("ready", "")
        self._epochs, self._is_reset = [], True

    # ---- the thread itself

    def _run(self) -> None:
        while not self._is_closing:
            try:
                job = self._jobs.get(timeout=self._wait())
            except queue.Empty:
                job = self._step
            if job is not None:
                job()
        try:
            self.playground.close()
        except BaseException as error:
            self._error = error  # raised by `close`

    def _wait(self) -> float | None:
        """Return the seconds until the next step; None without training."""
        return max(0.0, self._due - time.monotonic()) if self.status == "training" else None

    def _step(self) -> None:
        if factor := PACES[self.pace]:
            rate = min(MAX_RATE, FIRST_RATE + self.playground.step_number / RATE_STEPS)
            self._due = max(time.monotonic(), self._due) + 1 / (factor * rate)
        try:
            ended = self.playground.step()
        except DivergedError as error:
            self._stop("failed", for_the_page(str(error)))
            return
        except (ByhandError, OSError) as error:  # such as a full disk: training can continue later
            self._stop("paused", str(error))
            return
        except MemoryError:
            self._stop("failed", "out of memory: choose a smaller network or batch")
            return
        if ended is not None:
            self._epochs.append(ended)
            if ended.warnings:
                self.message, self._warned = for_the_page(ended.warnings[-1]), ended.epoch
            elif self._warned is not None and ended.epoch >= self._warned + WARNING_EPOCHS:
                self.message, self._warned = "", None
            if self.stop_at == ended.epoch:
                self._steps_left = 1
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left == 0:
                self._pause()

    def _stop(self, status: str, message: str) -> None:
        self.status, self.message, self._steps_left = status, message, None

    def _pause(self) -> None:
        self._stop("paused", self.message)
        try:
            self.playground.save()
        except (ByhandError, OSError) as error:
            self.message = f"the training could not be saved: {error}"

    # ---- events

    def state(self) -> dict[str, Any]:
        """Return the state of the training; `moment` is its sequence number."""
        return {"moment": next(self._moments), **self._state()}

    def _state(self) -> dict[str, Any]:
        playground = self.playground
        folder = playground.storage.folder if playground.storage else None
        return {
            "status": self.status,
            "message": self.message,
            "step": playground.step_number,
            "batches_per_epoch": playground.batches_per_epoch,
            "stop_at": self.stop_at,
            "pace": self.pace,
            "version": playground.version,
            "added": len(playground.added),
            "waiting": playground.waiting,
            "saved_in": None if folder is None else str(folder),
        }

    def news(self) -> dict[str, Any] | None:
        """Return the state, the new points and the new epochs; None if nothing has changed since the last call."""
        state = self._state()
        if state == self._reported and not self._is_reset:
            return None
        news = {
            "moment": next(self._moments),
            **state,
            "points": self.playground.collect(),
            "epochs": [epoch_json(record) for record in self._epochs],
        }
        if self._is_reset:
            news["reset"] = True
        self._epochs, self._is_reset, self._reported = [], False, state
        return news


def for_the_page(warning: str) -> str:
    """Replace the command-line option in a warning with the name of the page's field."""
    return warning.replace("--learning-rate ", "a learning rate of ")
