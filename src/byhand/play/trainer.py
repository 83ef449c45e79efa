"""The trainer: one thread that owns the playground.

Whoever wants something of the playground hands in a small job and waits for its result; the thread does it between two
steps. So nothing is shared, and nothing needs a lock.
"""

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from byhand.errors import ByhandError, DivergedError, UsageError
from byhand.play.curve import epoch_json
from byhand.play.playground import Playground
from byhand.training.records import EpochRecord

Result = TypeVar("Result")

#: Jobs that may wait; more is an overload.
MOST_WAITING = 64


class OverloadedError(ByhandError):
    """More was asked than can be done in time: ask again later."""


class Trainer:
    """Runs the playground. `status`: ready (no step yet), training, paused, failed (see `message`)."""

    def __init__(self, playground: Playground) -> None:
        self.playground = playground
        self.status = "paused" if playground.step_number else "ready"
        self.message = ""
        self.stop_at: int | None = None
        self._steps_left: int | None = None
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        self._epochs: list[EpochRecord] = []
        self._is_reset = False
        self._told: dict[str, Any] = {}
        self._moments = itertools.count(1)
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="byhand-trainer", daemon=True)
        self._thread.start()

    # ---- from other threads

    def submit(self, job: Callable[[Playground], Result]) -> "Future[Result]":
        """Have a job done between two steps. Too many waiting ones are an `OverloadedError`."""
        future: Future[Result] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job(self.playground))
                except BaseException as error:
                    future.set_exception(error)

        if self._is_closing.is_set():
            raise OverloadedError("the playground is closing")
        try:
            self._jobs.put_nowait(work)
        except queue.Full:
            raise OverloadedError(f"{MOST_WAITING} requests are waiting already: ask again in a moment") from None
        return future

    def close(self) -> None:
        """Stop after the step it is in, save, and end the thread."""
        self._is_closing.set()
        while self._thread.is_alive():
            try:
                self._jobs.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._thread.join(0.5)

    # ---- jobs that change what it does; the page's buttons

    def control(self, action: str, playground: Playground) -> None:
        """`play`, `pause`, `batch` (one), `epoch` (to its end), `rewind`."""
        if action == "play":
            self._play(None)
        elif action == "pause":
            self._pause()
        elif action == "batch":
            self._play(1)
        elif action == "epoch":
            each = playground.batches_per_epoch
            self._play(each - playground.step_number % each if playground.session else 0)
        elif action == "rewind":
            self._restarted(playground.rewind)
        else:
            raise UsageError(f"action must be play, pause, batch, epoch or rewind, got {action!r}"[:200])

    def begin(self, setup: Any, playground: Playground) -> None:
        """A new training, from another setup."""
        self._restarted(lambda: playground.begin(setup))

    def _play(self, steps: int | None) -> None:
        playground = self.playground
        if self.status == "failed":
            raise UsageError("the training failed: rewind, or change the setup")
        if playground.session is None:
            playground.begin(playground.setup)
            self._reset()
        if steps == 0:
            steps = playground.batches_per_epoch
        if self.stop_at is not None and playground.step_number >= self.stop_at * playground.batches_per_epoch:
            self.stop_at = None
        self._steps_left = steps
        self.status, self.message = "training", ""

    def _pause(self) -> None:
        if self.status == "training":
            self.status = "paused"
            self._save()

    def _restarted(self, begin: Callable[[], None]) -> None:
        begin()
        self.status, self.message, self._steps_left = "ready", "", None
        self._reset()

    def _reset(self) -> None:
        self._epochs, self._is_reset = [], True

    # ---- the thread

    def _run(self) -> None:
        while not self._is_closing.is_set():
            if self.status == "training":
                self._do_what_waits()
                if self.status == "training":
                    self._step()
            else:
                job = self._jobs.get()
                if job is not None:
                    job()
        try:
            self.playground.close()
        except ByhandError as error:
            self.message = str(error)

    def _do_what_waits(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job()

    def _step(self) -> None:
        try:
            ended = self.playground.step()
        except StopIteration:
            self._fail(f"{self.playground.setup.data}: the training has come to its end")
            return
        except DivergedError as error:
            self._fail(for_the_page(str(error)))
            return
        except ByhandError as error:  # the disk is full, another process took the folder: training can go on from here
            self.status, self.message = "paused", str(error)
            return
        except MemoryError:
            self._fail("the memory of this machine is used up: take a smaller network or batch")
            return
        if ended is not None:
            self._epochs.append(ended)
            if ended.warnings:
                self.message = for_the_page(ended.warnings[-1])
            if self.stop_at == ended.epoch:
                self.stop_at, self._steps_left = None, 1
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left <= 0:
                self._steps_left = None
                self.status = "paused"
                self._save()

    def _fail(self, message: str) -> None:
        self.status, self.message, self._steps_left = "failed", message, None

    def _save(self) -> None:
        try:
            if self.playground.keeper:
                self.playground.keeper.save(self.playground)
        except (ByhandError, OSError) as error:
            self.message = f"this training could not be saved: {error}"

    # ---- what is told

    def state(self, playground: Playground) -> dict[str, Any]:
        """Where the training stands, in few words; `moment` tells a page which of two such states is the newer one."""
        return {"moment": next(self._moments), **self._standing(playground)}

    def _standing(self, playground: Playground) -> dict[str, Any]:
        keeper = playground.keeper
        return {
            "status": self.status,
            "message": self.message,
            "step": playground.step_number,
            "batches_per_epoch": playground.batches_per_epoch,
            "stop_at": self.stop_at,
            "version": playground.version,
            "added": len(playground.added_labels),
            "waiting": playground.waiting,
            "saved_in": str(keeper.run.folder) if keeper and keeper.run and not keeper.is_new else None,
        }

    def news(self, playground: Playground) -> dict[str, Any] | None:
        """What happened since the last call, if anything: the state, points of the curve, the epochs that ended."""
        standing = self._standing(playground)
        if standing == self._told and not self._is_reset:
            return None
        points = playground.collect()
        epochs, self._epochs = self._epochs, []
        is_reset, self._is_reset = self._is_reset, False
        self._told = standing
        told = {
            "moment": next(self._moments),
            **standing,
            "points": [point.to_json() for point in points],
            "epochs": [epoch_json(record) for record in epochs],
        }
        return told | {"reset": True} if is_reset else told


def for_the_page(warning: str) -> str:
    """The watchdog's words where the learning rate is a field of a form, not an option of a command."""
    return warning.replace("--learning-rate ", "a learning rate of ")
