"""The session: one training run, a step at a time, with all of its state in the open.

A step is: the next batch, its gradient, the optimiser's update. Everything random in it follows from the seed and the
number of the step, so the state is only arrays and counters: `state()` gives them, `restore()` takes them back, and the
steps that follow are the same to the bit.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from byhand.data.augment import Augmentation
from byhand.errors import DivergedError, ModelFileError, UsageError
from byhand.model import Model, check_model, check_seed
from byhand.nn.network import max_norm
from byhand.nn.noise import Moment
from byhand.nn.optimizers import clip_norm
from byhand.nn.scratch import Array, Workspace
from byhand.threads import available, blas_threads
from byhand.training.average import Swapped, fold
from byhand.training.engine import LOOKED_AT, Engine, evaluate, look
from byhand.training.feed import Batch, Feed, Floats
from byhand.training.plan import first_product, plan_for
from byhand.training.recipe import Recipe
from byhand.training.records import EpochRecord, StepRecord
from byhand.training.samples import (
    Data,
    check_weights,
    held_out,
    pictures_of,
    prepared_rows,
    validation_batch,
)
from byhand.training.shard import Shard, check_same
from byhand.training.state import check_arrays, check_plain, records_in
from byhand.training.watchdog import Watchdog


@dataclass
class Progress:
    """Where a run stands: steps taken, and the sums that the epoch's record will be made of."""

    step: int = 0
    loss: float = 0.0
    correct: int = 0
    samples: int = 0
    weight: float = 0.0
    norm: float = 0.0
    seconds: float = 0.0
    total_seconds: float = 0.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    waited: int = 0
    finished: bool = False
    records: list[EpochRecord] = field(default_factory=list)


class Session:
    """Training of one model on one data set by one recipe. Use it as a context, or close it, to end its threads."""

    def __init__(
        self,
        model: Model,
        data: Data,
        recipe: Recipe,
        *,
        seed: int,
        sample_weights: Array | None = None,
        validation_data: Data | None = None,
        shard: Shard | None = None,
    ) -> None:
        self.shard = shard
        self.model, self.recipe, self.seed = model, recipe, check_seed(seed)
        network = check_model(model).network
        augmentation = Augmentation.parse(recipe.augment)
        pictures, labels = pictures_of(model, data, prepared=not augmentation)
        weights = check_weights(sample_weights, len(labels))
        share = recipe.validation if validation_data is None else 0  # what is given is watched in place of a part
        kept, held = held_out(labels, share, len(model.classes), self.seed)
        if weights is not None and not weights[kept].any():
            raise UsageError("sample_weights must not leave nothing to train on: they weigh only what is held out")
        self.feed = Feed(
            pictures,
            labels,
            index=kept,
            weights=weights,
            batch_size=recipe.batch_size,
            seed=self.seed,
            augmentation=augmentation,
            gentle_from=recipe.gentle_from,
            preparation=model.preparation,
            shard=shard,
        )
        self.floats = Floats(model.preparation, network.dtype)
        raw = bool(augmentation)
        self.validation = validation_batch(model, pictures, labels, weights, held, validation_data, raw=raw)
        if recipe.patience is not None and self.validation is None:
            raise UsageError("patience needs a validation split to watch, got validation 0")
        look = kept[:: max(1, len(kept) // LOOKED_AT)][:LOOKED_AT]
        self.looked_at = Batch(prepared_rows(model, pictures, look, raw=raw), slice(0, len(look)), labels[look])

        self.total_steps = recipe.epochs * self.feed.batches_per_epoch
        if shard is not None:
            settings = repr((network.config(), recipe.but(threads=None).config(), self.seed))
            check_same(shard, "network, recipe and seed", settings.encode(), network.parameters.tobytes())
            check_same(shard, "data", labels.tobytes())
        self.threads = recipe.threads or max(1, available() // (shard.neighbours if shard else 1))
        rows = -(-self.feed.batch_size // (shard.size if shard else 1))
        self.plan = plan_for(network, rows, self.threads, busy=1 if augmentation else 0)
        first = None
        if self.feed.is_whole:
            first = first_product(self.feed.pixels[kept], network, recipe, model.preparation)
            if first is not None and first.columns is not None:
                self.feed.hold(first.columns)
        floats = Floats(model.preparation, network.dtype, leaves_scale=first is not None)
        self.engine = Engine(network, recipe.loss, floats, self.plan, first, shard)
        self.optimizer_state = recipe.optimizer.start(network.parameters)
        self.average = network.parameters.copy() if recipe.average else None
        self.best: Array | None = None
        self.best_statistics: Array | None = None
        self.progress = Progress()
        self.work = Workspace()
        self.watchdog = Watchdog(network, labels[kept], recipe.learning_rate)
        self._batches: Iterator[Batch] = iter(())
        self._batches_of = -1

    # ---- one step

    def step(self) -> StepRecord:
        """Take one step: a batch, its gradient, the update."""
        began = time.perf_counter()
        recipe, network, number = self.recipe, self.model.network, self.progress.step
        epoch, batch = self._next_batch()
        with blas_threads(self.plan.blas):
            loss, correct = self.engine(batch, Moment(self.seed, number))
            with np.errstate(over="ignore", invalid="ignore"):
                norm = clip_norm(self.engine.gradient, recipe.clip)
                try:
                    self.watchdog.check_step(number, loss, norm)
                except DivergedError:
                    self._close_batches()  # the step was not taken: who asks again gets the same batch
                    self._batches_of = -1
                    raise
                rate = recipe.learning_rate * recipe.schedule(number, self.total_steps)
                recipe.optimizer.update(
                    network.parameters,
                    self.engine.gradient,
                    self.optimizer_state,
                    rate,
                    decayed=network.decayed,
                    work=self.work,
                )
                if recipe.max_norm is not None:
                    max_norm(network, recipe.max_norm)
                if self.average is not None and recipe.average is not None:
                    fold(self.average, network.parameters, recipe.average, number, self.work)
        seconds = time.perf_counter() - began
        count = batch.count
        ends = (number + 1) % self.feed.batches_per_epoch == 0
        self._count(loss, correct, batch, norm, seconds)
        return StepRecord(number, epoch, loss, correct / count, rate, norm, count, count / max(seconds, 1e-9), ends)

    def _next_batch(self) -> tuple[int, Batch]:
        """The epoch that the next step belongs to, from 1, and its batch."""
        epoch, place = divmod(self.progress.step, self.feed.batches_per_epoch)
        if self._batches_of != epoch:
            self._close_batches()
            self._batches, self._batches_of = self.feed.epoch(epoch, place), epoch
        return epoch + 1, next(self._batches)

    def _count(self, loss: float, correct: int, batch: Batch, norm: float, seconds: float) -> None:
        progress = self.progress
        progress.step += 1
        progress.loss += loss * batch.total
        progress.weight += batch.total
        progress.correct += correct
        progress.samples += batch.count
        progress.norm += norm * batch.count
        progress.seconds += seconds
        progress.total_seconds += seconds

    # ---- one epoch

    @np.errstate(over="ignore", invalid="ignore")  # of a run that has diverged; the watchdog says so
    def epoch_record(self) -> EpochRecord:
        """Close the epoch: its record, made of its steps and of the validation split."""
        progress = self.progress
        if self.shard is not None:
            check_same(self.shard, "numbers after an epoch", self.model.network.parameters.tobytes())
        validation_loss, validation_accuracy = self._validate()
        answers, dead = look(self.model.network, self.floats, self.looked_at)
        self.watchdog.check_epoch(progress.step - 1, answers, validation_loss)
        record = EpochRecord(
            epoch=progress.step // self.feed.batches_per_epoch,
            step=progress.step - 1,
            loss=progress.loss / progress.weight,
            accuracy=progress.correct / progress.samples,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            rate=self.recipe.learning_rate * self.recipe.schedule(progress.step - 1, self.total_steps),
            gradient_norm=progress.norm / progress.samples,
            dead=dead,
            images_per_second=progress.samples / max(progress.seconds, 1e-9),
            seconds=progress.total_seconds,
        )
        record = self.watchdog.with_warnings(record)
        progress.records.append(record)
        if self.recipe.patience is not None:
            self._remember_best(record)
        return record

    def forget_epoch(self) -> None:
        """Start the sums of the next epoch."""
        progress = self.progress
        progress.loss, progress.weight, progress.correct, progress.samples = 0.0, 0.0, 0, 0
        progress.norm, progress.seconds = 0.0, 0.0

    def _validate(self) -> tuple[float | None, float | None]:
        if self.validation is None:
            return None, None
        with self.averaged(), blas_threads(self.threads):
            told = np.array(
                evaluate(self.model.network, self.recipe.loss, self.floats, self.validation.part(self.shard))
            )
        if self.shard is not None:
            self.shard.sum(told)
        return float(told[0]), float(told[1])

    def _remember_best(self, record: EpochRecord) -> None:
        assert record.validation_loss is not None
        progress = self.progress
        if record.validation_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch, progress.waited = record.validation_loss, record.epoch, 0
            with self.averaged():
                self.best = self.model.network.parameters.copy()
            self.best_statistics = self.model.network.statistics.copy()
        else:
            progress.waited += 1

    @property
    def should_stop(self) -> bool:
        """Whether the validation loss has kept still for as long as the recipe waits."""
        return self.recipe.patience is not None and self.progress.waited >= self.recipe.patience

    @property
    def is_over(self) -> bool:
        """Whether no step is left to take."""
        return self.progress.finished or self.progress.step >= self.total_steps or self.should_stop

    # ---- the weights that count

    def averaged(self) -> "Swapped":
        """A context in which the network holds the averaged weights, where the recipe keeps any."""
        return Swapped(self.model.network.parameters, self.average)

    def finish(self) -> None:
        """Say that it is over, and leave in the model the weights that the recipe asks for."""
        self.progress.finished = True
        self.hand_over()

    def hand_over(self) -> None:
        """Leave in the model the weights that the recipe asks for: the best, the averaged, or the last."""
        network = self.model.network
        if self.best is not None and self.best_statistics is not None:
            network.parameters[...] = self.best
            network.statistics[...] = self.best_statistics
        elif self.average is not None:
            network.parameters[...] = self.average

    # ---- state

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """All that the run is, as arrays and as plain values; `restore` takes both."""
        network = self.model.network
        arrays = {"parameters": network.parameters, "statistics": network.statistics}
        arrays |= {f"optimizer.{name}": vector for name, vector in self.optimizer_state.items()}
        optional = {"average": self.average, "best": self.best, "best_statistics": self.best_statistics}
        arrays |= {name: vector for name, vector in optional.items() if vector is not None}
        plain = asdict(self.progress) | {"records": [record.to_json() for record in self.progress.records]}
        plain["start_lengths"] = self.watchdog.start_lengths
        return arrays, plain

    def restore(self, arrays: dict[str, Array], plain: dict[str, Any]) -> None:
        """Become the run that `state` described; a state that is not of such a run is refused, and nothing changes."""
        own_arrays, own_plain = self.state()
        check_arrays(arrays, own_arrays)
        check_plain(plain, own_plain)
        records = records_in(plain)
        if plain["step"] > self.total_steps:
            raise ModelFileError(f"step of the state must be at most {self.total_steps}, got {plain['step']}")
        network = self.model.network
        network.parameters[...] = arrays["parameters"]
        network.statistics[...] = arrays["statistics"]
        for name, vector in self.optimizer_state.items():
            vector[...] = arrays[f"optimizer.{name}"]
        if self.average is not None:
            self.average[...] = arrays["average"]
        self.best = arrays["best"].copy() if "best" in arrays else None
        self.best_statistics = arrays["best_statistics"].copy() if "best" in arrays else None
        values = dict(plain)
        self.watchdog.start_lengths = [float(length) for length in values.pop("start_lengths")]
        self.watchdog.recall(records)
        self.progress = Progress(**{**values, "records": records})
        self._close_batches()

    # ---- ends

    def _close_batches(self) -> None:
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()
        self._batches, self._batches_of = iter(()), -1

    def close(self) -> None:
        """End the run's threads."""
        self._close_batches()
        self.engine.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
