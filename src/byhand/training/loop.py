"""The training loop. `Trainer.step` is one step, from the next batch to the new weights.

    history = complete(trainer, callbacks)     train to the end, and call the callbacks
    for record in train(trainer): …            one record per epoch
    for record in steps(trainer): …            one record per step

Random numbers depend only on the seed and the step, so the state of a run is arrays and counters. After
`Trainer.restore(*Trainer.state())` the steps are bit-identical.
"""

import contextlib
import math
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from types import FrameType
from typing import Any, Self

import numpy as np

from byhand import threads
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.losses import count_correct
from byhand.nn.network import max_norm
from byhand.nn.optimizers import CHUNK, clip_norm
from byhand.nn.rng import StepKey
from byhand.threads import blas_threads
from byhand.training.batches import Batch, Inputs, Shard, check_same, part_of
from byhand.training.recipe import Recipe
from byhand.training.records import OPTIONAL_STATE, EpochRecord, History, Progress, StepRecord, check_state
from byhand.training.setup import Data, Setup
from byhand.training.watchdog import Watchdog, evaluate, probe


class Trainer:
    """Trains a model on a data set by a recipe, step by step.

    Use it as a context manager, or close it, to end its threads. While it trains, it sets the BLAS threads of the whole
    process, once: after a change, idle BLAS threads spin for 0.1 s, on the cores that the other threads need.
    `start_epoch` and `optimizer_state` continue an earlier training. `max_records`: keep the last N only.
    """

    def __init__(
        self,
        model: Model,
        data: Data,
        recipe: Recipe,
        *,
        seed: int,
        sample_weights: Array | None = None,
        validation_data: Data | None = None,
        start_epoch: int = 0,
        optimizer_state: dict[str, Array] | None = None,
        max_records: int | None = None,
        shard: Shard | None = None,
    ) -> None:
        setup = Setup(model, data, recipe, seed, sample_weights, validation_data, shard)
        self.model, self.recipe, self.seed, self.shard = model, recipe, setup.seed, shard
        self.batches, self.plan, self.threads = setup.batches, setup.plan, setup.threads
        self.batches_per_epoch = setup.batches.per_epoch
        self.total_steps = recipe.epochs * self.batches_per_epoch
        network = model.network
        self.gradient, self._message = setup.gradient, setup.message
        self._inputs, self._pass, self._team = setup.inputs(), setup.new_pass(setup.gradient), setup.team()
        self._validation, self._probe = setup.validation, setup.probe
        self._evaluation_inputs = Inputs(model.preparation.to_floats, network.dtype)
        self.optimizer_state = recipe.optimizer.start(network.parameters)
        for name, vector in (optimizer_state or {}).items():
            self.optimizer_state[name][...] = vector
        self._parts = recipe.optimizer.parts(
            network.parameters, self.gradient, self.optimizer_state, network.weight_slice
        )
        self.ema = network.parameters.copy() if recipe.ema_decay else None
        self._scratch = np.empty_like(network.parameters[:CHUNK])
        self.best: Array | None = None
        self.best_statistics: Array | None = None
        self.progress = Progress(step=start_epoch * self.batches_per_epoch)
        self.max_records = max_records
        self._stop_requested = self._stop_agreed = False
        self.watchdog = Watchdog(network, self.batches.labels[self.batches.index], recipe.learning_rate)
        self._stream: Iterator[Batch] | None = None
        #: The step that the stream's next batch is for.
        self._stream_step = 0
        self._blas = ExitStack()
        weakref.finalize(self, self._blas.close)

    # ---- one step

    @np.errstate(over="ignore", invalid="ignore")  # divergence is reported by the loss
    def step(self, learning_rate: float | None = None) -> StepRecord:
        """Take one step, and return its record. `learning_rate` replaces that of the recipe."""
        began = time.perf_counter()
        recipe, network, pass_, number = self.recipe, self.model.network, self._pass, self.progress.step
        batch = self._next_batch()
        key = StepKey(self.seed, number, batch.first)  # the key of this step's random numbers

        if self._team is None:
            X = self._inputs(batch)  # (N, D)
            Z = pass_.forward(X, key)  # (N, K)
            loss, dZ = recipe.loss.value_and_gradient(
                Z, batch.labels, pass_.loss_cache, weights=batch.weights, total=batch.total
            )
            correct = count_correct(Z, batch.labels)
            pass_.backward(dZ)  # writes self.gradient
        else:  # the same for blocks of the batch, on several threads: see `byhand.training.plan`
            loss, correct = self._team(batch, key)
        if self.shard is not None:
            loss, correct = self._all_reduce(self.shard, loss, correct)

        epoch = number // self.batches_per_epoch + 1
        ends_epoch = (number + 1) % self.batches_per_epoch == 0
        norm = clip_norm(self.gradient, recipe.clip) if recipe.clip is not None or ends_epoch else None
        if not (math.isfinite(loss) and (norm is None or math.isfinite(norm))):
            self._restart_stream()  # no step was taken: the next call gets the same batch
            self.watchdog.check(number, {"loss": loss, "the gradient": norm})  # raises DivergedError
        if network.needs_whole_batch:
            pass_.update_statistics(batch.count)
        if learning_rate is None:
            learning_rate = recipe.learning_rate * recipe.schedule(number, self.total_steps)
        recipe.optimizer.step(self._parts, self.optimizer_state, learning_rate)
        if recipe.max_norm is not None:
            max_norm(network, recipe.max_norm)
        if self.ema is not None and recipe.ema_decay is not None:
            update_ema(self.ema, network.parameters, recipe.ema_decay, number, self._scratch)

        seconds = time.perf_counter() - began
        count = batch.count
        self._count(loss, correct, batch, norm, seconds)
        speed = count / max(seconds, 1e-9)
        return StepRecord(number, epoch, loss, correct / count, learning_rate, norm, count, speed, ends_epoch)

    def _count(self, loss: float, correct: int, batch: Batch, norm: float | None, seconds: float) -> None:
        progress = self.progress
        progress.step += 1
        progress.loss += loss * batch.total
        progress.weight += batch.total
        progress.correct += correct
        progress.samples += batch.count
        progress.norm = norm or 0.0
        progress.seconds += seconds
        progress.total_seconds += seconds

    def _next_batch(self) -> Batch:
        """Return the next batch, and set the BLAS threads of the plan."""
        if self._stream is None or self._stream_step != self.progress.step:
            self._restart_stream()
            self._stream = self.batches.from_step(self.progress.step)
        if threads.in_force != self.plan.blas:
            self.release_blas()
            self._blas.enter_context(blas_threads(self.plan.blas))
        self._stream_step = self.progress.step + 1
        return next(self._stream)

    def release_blas(self) -> None:
        self._blas.close()

    def _restart_stream(self) -> None:
        """Close the stream of batches; the next step starts a new one."""
        if self._stream is not None:
            self._stream.close()  # type: ignore[attr-defined]
            self._stream = None

    def _all_reduce(self, shard: Shard, loss: float, correct: int) -> tuple[float, int]:
        """Sum the gradient, the loss and the stop requests over all processes."""
        self._message[-3:] = loss, correct, self._stop_requested
        shard.sum(self._message)
        total_loss, total_correct, requests = self._message[-3:]
        self._stop_agreed = bool(requests)
        return float(total_loss), round(float(total_correct))

    @np.errstate(over="ignore", invalid="ignore")
    def end_epoch(self) -> EpochRecord | None:
        """End an epoch, and return its record, or None if it is not recorded."""
        progress, record = self.progress, None
        epoch = progress.step // self.batches_per_epoch
        if (epoch - 1) % self.recipe.record_every == 0 or epoch == self.recipe.epochs:
            record = self._record(epoch)
            progress.records.append(record)
            if self.max_records is not None:
                del progress.records[: max(0, len(progress.records) - self.max_records)]
            if self.recipe.patience is not None:
                self._remember_best(record)
        progress.loss = progress.weight = progress.norm = progress.seconds = 0.0
        progress.correct = progress.samples = 0
        return record

    def _record(self, epoch: int) -> EpochRecord:
        progress, recipe, network = self.progress, self.recipe, self.model.network
        if self.shard is not None:
            check_same(self.shard, "numbers after an epoch", network.parameters.tobytes())
        validation_loss, validation_accuracy = self.validate()
        with blas_threads(self.plan.blas):
            outputs, dead = probe(network, self._evaluation_inputs, self._probe)
        # No further step would detect NaN after the last epoch.
        self.watchdog.check(
            progress.step - 1, {"the network's output": outputs, "the validation loss": validation_loss}
        )
        record = EpochRecord(
            epoch=epoch,
            step=progress.step - 1,
            loss=progress.loss / progress.weight,
            accuracy=progress.correct / progress.samples,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            rate=recipe.learning_rate * recipe.schedule(progress.step - 1, self.total_steps),
            gradient_norm=progress.norm,
            dead=dead,
            images_per_second=progress.samples / max(progress.seconds, 1e-9),
            seconds=progress.total_seconds,
        )
        return self.watchdog.with_warnings(record)

    def validate(self) -> tuple[float | None, float | None]:
        """Return the validation loss and accuracy, with the averaged weights."""
        if self._validation is None:
            return None, None
        with self.averaged(), blas_threads(self.plan.blas):
            batch = part_of(self._validation, self.shard)
            values = np.array(evaluate(self.model.network, self.recipe.loss, self._evaluation_inputs, batch))
        if self.shard is not None:
            self.shard.sum(values)
        return float(values[0]), float(values[1])

    def _remember_best(self, record: EpochRecord) -> None:
        assert record.validation_loss is not None
        progress = self.progress
        if record.validation_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch, progress.waited = record.validation_loss, record.epoch, 0
            network = self.model.network
            self.best = (network.parameters if self.ema is None else self.ema).copy()
            self.best_statistics = network.statistics.copy()
        else:
            progress.waited += 1

    @property
    def validation_labels(self) -> Array | None:
        """The labels of the validation samples, or None if there are none."""
        return None if self._validation is None else self._validation.labels

    @property
    def samples(self) -> int:
        """The number of training samples, without the held-out ones."""
        return len(self.batches.index)

    @property
    def should_stop(self) -> bool:
        """True if the validation loss has not fallen for `patience` records."""
        return self.recipe.patience is not None and self.progress.waited >= self.recipe.patience

    @property
    def is_over(self) -> bool:
        """True if there is no further step."""
        return self.progress.finished or self.progress.step >= self.total_steps or self.should_stop

    def stop(self) -> None:
        """End the training after the current step, in all processes."""
        self._stop_requested = True

    @property
    def is_stopped(self) -> bool:
        """True if `stop` was called, in any process before the last all-reduce."""
        return self._stop_requested if self.shard is None else self._stop_agreed

    def finish(self) -> None:
        """Mark the run as finished, and load the final weights."""
        self.progress.finished = True
        self.load_final_weights()

    def load_final_weights(self) -> None:
        """Load the best, the averaged, or the last weights into the model."""
        network = self.model.network
        if self.best is not None and self.best_statistics is not None:
            network.parameters[...] = self.best
            network.statistics[...] = self.best_statistics
        elif self.ema is not None:
            network.parameters[...] = self.ema

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the averaged weights in a `with` block, if there are any."""
        parameters = self.model.network.parameters
        kept = parameters.copy()
        if self.ema is not None:
            parameters[...] = self.ema
        try:
            yield
        finally:
            parameters[...] = kept

    def history(self) -> History:
        """Return the records so far, and how the run ended."""
        ending = "stopped early" if self.should_stop else "done"
        if self.is_stopped and not self.progress.finished:
            ending = "interrupted"
        return History(list(self.progress.records), ending, self.progress.best_epoch or None)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the state as arrays (not copies) and plain values."""
        network = self.model.network
        arrays = {"parameters": network.parameters, "statistics": network.statistics}
        arrays |= {f"optimizer.{name}": vector for name, vector in self.optimizer_state.items()}
        optional = {"average": self.ema, "best": self.best, "best_statistics": self.best_statistics}
        arrays |= {name: vector for name, vector in optional.items() if vector is not None}
        return arrays, asdict(self.progress) | {"start_lengths": self.watchdog.start_lengths}

    def restore(self, arrays: dict[str, Array], plain: dict[str, Any]) -> None:
        """Restore a state of this run; reject that of another run."""
        own_arrays, own_plain = self.state()
        progress, start_lengths = check_state(arrays, plain, own_arrays, own_plain, self.total_steps)
        for name in own_arrays.keys() - OPTIONAL_STATE.keys():
            own_arrays[name][...] = arrays[name]
        self.best, self.best_statistics = arrays.get("best"), arrays.get("best_statistics")
        self.progress, self.watchdog.start_lengths = progress, start_lengths
        self.watchdog.restore(progress.records)
        self._restart_stream()

    def close(self) -> None:
        """End the threads, and restore the number of BLAS threads."""
        with ExitStack() as stack:  # releases all, even after an error
            if self._team is not None:
                stack.callback(self._team.close)
            stack.callback(self.release_blas)
            self._restart_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Callback:
    """Base class of callbacks. They may call `trainer.stop()`."""

    def on_start(self, trainer: Trainer) -> None:
        """Called before the first step."""

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Called after each step, when the state can be saved."""

    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        """Called after each recorded epoch, after `on_step`."""

    def on_end(self, trainer: Trainer, history: History) -> None:
        """Called at the end, also after an error."""

    def on_message(self, text: str) -> None:
        """Called with a message for the user."""


def steps(trainer: Trainer) -> Iterator[StepRecord]:
    """Yield the record of each step; those of epochs are in `trainer.progress.records`."""
    for record, _ in _loop(trainer):
        yield record


def train(trainer: Trainer, callbacks: Iterable[Callback] = ()) -> Iterator[EpochRecord]:
    """Yield the record of each recorded epoch, until the run is over or stopped."""
    for record, epoch in _loop(trainer):
        for callback in callbacks:
            callback.on_step(trainer, record)
        if epoch is not None:
            for callback in callbacks:
                callback.on_epoch(trainer, epoch)
            yield epoch


def _loop(trainer: Trainer) -> Iterator[tuple[StepRecord, EpochRecord | None]]:
    """Yield the record of each step, and of the epoch that it ends."""
    try:
        while not (trainer.is_over or trainer.is_stopped):
            record = trainer.step()
            yield record, trainer.end_epoch() if record.ends_epoch else None
        if trainer.is_over:
            trainer.finish()
    finally:
        trainer.release_blas()


def complete(trainer: Trainer, callbacks: Sequence[Callback] = ()) -> History:
    """Train until the end, Ctrl-C or a callback's `stop`, and return the history."""
    with interruptible(trainer.stop):
        try:
            for callback in callbacks:
                callback.on_start(trainer)
            for _ in train(trainer, callbacks):
                pass
        finally:
            for callback in callbacks:
                callback.on_end(trainer, trainer.history())
    return trainer.history()


@contextlib.contextmanager
def interruptible(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C; a second one raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def update_ema(average: Array, parameters: Array, decay: float, number: int, scratch: Array) -> None:
    """Update the exponential moving average: a ← a + (1 − d)(p − a)

    d rises to `decay`, so that the initial weights soon lose their influence.

    scratch: a buffer for a block of the weights
    """
    decay = min(decay, (1 + number) / (10 + number))
    for start in range(0, len(average), len(scratch)):
        part = slice(start, start + len(scratch))
        change = np.subtract(parameters[part], average[part], out=scratch[: len(average) - start])
        change *= 1 - decay
        average[part] += change
