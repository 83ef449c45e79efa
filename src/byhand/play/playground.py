"""The playground: a model, its training with the learning curve, and the images that were added by hand.

It has no lock: only the training thread uses it.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, Self

import numpy as np

from byhand.checks import integer
from byhand.data import Dataset, TrainTest, load
from byhand.data.catalog import known_name
from byhand.data.loading import named_sets
from byhand.errors import UsageError
from byhand.model import Model
from byhand.model.file import naming
from byhand.nn.arrays import Array
from byhand.play.own import Functions, Own, OwnTrainer
from byhand.play.setup import GENTLE_RATE, VALIDATION, Setup, fits
from byhand.play.storage import RunStorage, kept_in, metadata, start_of
from byhand.training import EpochRecord, StepRecord, Trainer
from byhand.training.checkpoint import Checkpoints, State
from byhand.training.runs import DATA, STATE, Run

#: Copies of each added image in the training set, so that it has an effect among thousands.
ADDED_TIMES = 10
MAX_ADDED = 500

#: Maximum number of points of a curve; beyond it, pairs of points are merged.
MAX_POINTS = 400
#: Minimum number of points per epoch, and maximum number per event.
POINTS_PER_EPOCH, POINTS_PER_EVENT = 20, 40


class Point(NamedTuple):
    """Means over some steps; `epoch` is the middle of them, such as 2.5."""

    epoch: float
    loss: float
    accuracy: float
    steps: int


class Curve:
    """The learning curve: points of a few steps each, and records of epochs. Its length is limited.

    Beyond MAX_POINTS, every point has twice as many steps, new ones too, so that the whole training is shown evenly. In
    the same way, every second epoch is kept, with the first and the last.
    """

    def __init__(self, points: Iterable[Point] = (), epochs: Iterable[EpochRecord] = ()) -> None:
        self.points, self.epochs = list(points), list(epochs)
        #: Maximum number of steps of a merged point: that of the largest, so that a restored curve goes on alike.
        self.grain = max((point.steps for point in self.points), default=1)
        #: Number of epochs between two that are kept.
        self.stride = self.epochs[1].epoch - self.epochs[0].epoch if len(self.epochs) > 2 else 1

    def add(self, point: Point) -> None:
        if self.points and self.points[-1].steps + point.steps <= self.grain:
            self.points[-1] = joined(self.points[-1], point)
        else:
            self.points.append(point)
            self.grain = max(self.grain, point.steps)
        if len(self.points) > MAX_POINTS:
            pairs = zip(self.points[:-1:2], self.points[1::2], strict=False)
            alone = self.points[-1:] if len(self.points) % 2 else []
            self.points = [*(joined(left, right) for left, right in pairs), *alone]
            self.grain = max(point.steps for point in self.points)

    def add_epoch(self, record: EpochRecord) -> None:
        if self.epochs and (self.epochs[-1].epoch - 1) % self.stride:
            self.epochs.pop()
        self.epochs.append(record)
        if len(self.epochs) > MAX_POINTS:
            self.stride *= 2
            self.epochs = [kept for kept in self.epochs if (kept.epoch - 1) % self.stride == 0 or kept is record]


def joined(left: Point, right: Point) -> Point:
    """Merge two adjacent points."""
    steps = left.steps + right.steps
    epoch, loss, accuracy = (
        (a * left.steps + b * right.steps) / steps for a, b in zip(left[:3], right[:3], strict=True)
    )
    return Point(epoch, loss, accuracy, steps)


def points_of(records: list[StepRecord], batches_per_epoch: int) -> list[Point]:
    """Return the points of these steps: one, or several if they are a large part of an epoch."""
    span = max(1, batches_per_epoch // POINTS_PER_EPOCH, -(-len(records) // POINTS_PER_EVENT))
    points = []
    for start in range(0, len(records), span):
        part = records[start : start + span]
        loss, accuracy = fmean(record.loss for record in part), fmean(record.accuracy for record in part)
        middle = ((part[0].step + part[-1].step) / 2 + 1) / batches_per_epoch
        points.append(Point(middle, loss, accuracy, len(part)))
    return points


def epoch_json(record: EpochRecord) -> dict[str, Any]:
    """Return an epoch's record for the page."""
    names = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "images_per_second")
    return {name: getattr(record, name) for name in names}


class Playground:
    """The state of the playground. `loaded` is the initial model, `origin` describes its source; `own` functions train
    in place of byhand's, and their network is not saved.
    """

    def __init__(
        self,
        loaded: Model,
        origin: str,
        digits: TrainTest,
        setup: Setup,
        storage: RunStorage | None = None,
        own: Own | None = None,
    ) -> None:
        self.loaded, self.origin, self.own = loaded, origin, own
        self.digits, self.setup, self.storage = digits, setup, storage
        self._known = {setup.data: digits}
        #: The names of the data sets that were uploaded to the page; their files may be nowhere else.
        self.uploads: set[str] = set()
        #: The folder of the training before this one, if it was kept.
        self.last_folder: Path | None = None
        self.trainer: Trainer | None = None
        self.curve = Curve()
        self.recent: list[StepRecord] = []
        #: The images added by hand, uint8 (H, W), each with its label.
        self.added: list[tuple[Array, int]] = []
        #: Number of added images that the current epoch does not use yet.
        self.waiting = 0
        #: Incremented with the weights, so that the page can detect outdated ones.
        self.version = 0
        #: Incremented for each training, so that the page can reject weights of an earlier one.
        self.training_number = 0
        self._split()

    @classmethod
    def of_functions(cls, functions: Functions, digits: TrainTest, name: str) -> Self:
        """Return the playground of functions that are not byhand's, with a new network."""
        own = Own.of(functions, digits.train, name)
        playground = cls(own.model(own.usual, digits.train), functions.file, digits, own.usual, own=own)
        playground.begin(own.usual)
        return playground

    @classmethod
    def resume(
        cls,
        run: Run,
        model: Model,
        origin: str,
        digits: TrainTest,
        setup: Setup,
        checkpoints: Checkpoints | None = None,
    ) -> Self:
        """Restore the playground of a run.  checkpoints: those that hold the lock of the run"""
        start = start_of(run) if setup.start == "loaded" else None
        playground, checkpoints = cls(start or model, origin, digits, setup), checkpoints or Checkpoints(run)
        state = checkpoints.load()
        assert checkpoints.loaded is not None
        with naming(run.folder / STATE):
            kept = kept_in(run, checkpoints.loaded.extra)
            added = list(zip(kept.images, kept.labels.tolist(), strict=True))
            for image, label in added[: len(added) - kept.waiting]:
                playground.add(image, label)
            trainer = playground.begin(setup)
            trainer.restore(*state)
            for image, label in added[len(added) - kept.waiting :]:
                playground.add(image, label)
        trainer.model.metadata = metadata(setup, digits)
        points = [(r.epoch, r.loss, r.accuracy, 1) for r in kept.epochs] if kept.points is None else kept.points
        playground.curve = Curve([Point(e, loss, accuracy, int(n)) for e, loss, accuracy, n in points], kept.epochs)
        checkpoints.extra = playground.state
        playground.storage = RunStorage(run, checkpoints)
        if (run.folder / DATA).is_file():
            playground.uploads.add(setup.data)
        return playground

    # ---- the current model

    @property
    def model(self) -> Model:
        """The model in training or, before any training, the loaded one."""
        return self.trainer.model if self.trainer else self.loaded

    @property
    def step_number(self) -> int:
        return self.trainer.progress.step if self.trainer else 0

    @property
    def batches_per_epoch(self) -> int:
        return self.trainer.batches_per_epoch if self.trainer else 1

    def answer(self, image: Array) -> dict[str, Any]:
        """Return the answer of functions that are not byhand's     image: uint8 (H, W)"""
        if self.own is None:
            raise UsageError("this network is byhand's: the page computes its answer")
        return self.own.answer(self.model, image)

    def copy(self) -> tuple[int, Model]:
        """Return the version of the model, and a copy of it for another thread."""
        return self.version, copy_of(self.model)

    # ---- training

    def begin(self, setup: Setup) -> Trainer:
        """Begin a new training. If the setup is invalid, raise an error and change nothing."""
        digits = self._digits(setup.data)
        setup.check_memory(digits.train)
        if setup.start == "loaded" and not fits(self.loaded, digits.train):
            raise UsageError(f"the loaded model must have the size and the classes of the images of {digits.name}")
        if self.own:
            model = self.own.model(setup, digits.train)
        else:
            model = setup.model(digits.train) if setup.start == "new" else copy_of(self.loaded)
        if setup.start == "loaded":
            like = Setup.like(self.loaded)
            setup = replace(setup, layers=like.layers, maps=like.maps, activation=like.activation)
        self.save()
        if self.storage and self.storage.is_begun:
            if self.curve.epochs:
                self.last_folder = self.storage.folder
                self.storage = self.storage.next()
            else:
                self.storage.is_begun = False  # the first step of the new training replaces the files
        if digits is not self.digits:
            self.added = []
        self.digits, self.setup = digits, setup
        self._split()
        self.training_number += 1
        self.curve, self.recent, self.waiting = Curve(), [], 0
        return self._train(model)

    def gentle_setup(self) -> Setup | None:
        """Return a setup that trains the loaded model further, without leaving what it has learned.

        It is on the data set in use or, if the model does not fit it, on another one; None without any.
        """
        known = {self.setup.data: self.digits, **self._known}
        data = next((name for name, digits in known.items() if fits(self.loaded, digits.train)), None)
        if data is None or self.own:
            return None
        return Setup.like(self.loaded, data=data, start="loaded", learning_rate=GENTLE_RATE)

    def step(self) -> EpochRecord | None:
        """Take one step; return the epoch's record at the end of an epoch."""
        trainer = self.trainer or self.begin(self.setup)
        if trainer.is_over:
            raise UsageError(f"training ends after {trainer.recipe.epochs:,} epochs")
        self.version += 1
        record = trainer.step()
        ended = trainer.end_epoch() if record.ends_epoch else None
        self.recent.append(record)
        if ended is not None:
            self.curve.add_epoch(ended)
        if record.ends_epoch and self.waiting:
            self._include_added()
        if self.storage:
            if self.storage.is_begun and self.storage.checkpoints:
                self.storage.checkpoints.save(self.trainer or trainer)
            else:
                self.save()
        return ended

    def state(self) -> State:
        """Return what a checkpoint contains besides the trainer's state, as arrays and plain values."""
        images = np.array([image for image, _ in self.added], np.uint8).reshape(-1, *self.digits.train.shape)
        points = [*self.curve.points, *points_of(self.recent, self.batches_per_epoch)]
        return {"images": images, "labels": np.array([label for _, label in self.added], np.int64)}, {
            "setup": self.setup.config(),
            "waiting": self.waiting,
            "points": points,
            "epochs": [record.to_json() for record in self.curve.epochs],
        }

    def as_python(self) -> str:
        """Return a program that repeats the training up to the end of its epoch."""
        if self.own:
            file = self.own.functions.file
            raise UsageError(f"the functions of {file} train this network: no program of byhand's repeats it")
        epochs = max(1, -(-self.step_number // self.batches_per_epoch))
        return self.setup.as_python(epochs, self.digits.train, DATA if self.setup.data in self.uploads else None)

    def collect(self) -> list[Point]:
        """Add the steps since the last call to the curve; return their points."""
        points = points_of(self.recent, self.batches_per_epoch)
        for point in points:
            self.curve.add(point)
        self.recent = []
        return points

    def save(self) -> None:
        """Save everything, if a step was taken."""
        if self.storage and self.trainer and self.step_number:
            if not self.storage.is_begun:
                has_data = self.setup.data in self.uploads
                self.storage.begin(self.trainer, self.setup, self.digits, self.loaded, self.state, has_data=has_data)
            self.storage.save(self.trainer, self.curve.epochs)

    def close(self) -> None:
        """Save, and end the trainer's threads."""
        with contextlib.ExitStack() as stack:  # unlocks the run after an error too
            if self.trainer is not None:
                stack.callback(self.trainer.close)
            if self.storage:
                stack.callback(self.storage.close)
            self.save()

    # ---- images added by hand

    def add(self, image: Array, label: Any) -> int:
        """Add an image to the training set from the next epoch on; return their number      image: uint8 (H, W)"""
        if image.shape != self.digits.train.shape:
            raise UsageError(f"image shape must be {self.digits.train.shape}, got {image.shape}")
        label = integer("label", label, 0, len(self.digits.classes) - 1)
        for known, its_label in self.added:
            if np.array_equal(known, image):
                name = self.digits.classes[its_label]
                raise UsageError(f"this drawing is in the training set already, as {name}: remove it first")
        if len(self.added) >= MAX_ADDED:
            raise UsageError(f"at most {MAX_ADDED} images can be added")
        self.added.append((image, label))
        if self.step_number > 0:
            self.waiting += 1
        elif self.trainer is not None:
            self.begin(self.setup)
        return len(self.added)

    def remove(self, number: int) -> None:
        """Remove an added image. If it is in use, the epoch begins again without it."""
        integer("number", number, 0, len(self.added) - 1)
        is_used = number < len(self.added) - self.waiting
        del self.added[number]
        if not is_used:
            self.waiting -= 1
        elif self.step_number > 0:
            self._include_added()
        elif self.trainer is not None:
            self.begin(self.setup)

    def _include_added(self) -> None:
        """Continue with the changed training set, with the same weights and optimizer state."""
        old = self.trainer
        assert old is not None
        arrays, plain = old.state()
        epochs = old.progress.step // old.batches_per_epoch
        self.waiting = 0
        trainer = self._train(old.model)
        trainer.restore(arrays, plain | {"step": epochs * trainer.batches_per_epoch})

    # ---- data and trainers

    @property
    def data_names(self) -> list[str]:
        """The data sets that have been used or are on this machine."""
        return list(dict.fromkeys([*self._known, *data_here()]))

    def offer(self, digits: TrainTest) -> Setup:
        """Make an uploaded data set available under its name, or one like it; return its usual setup.

        It replaces earlier uploads, except the one in use.
        """
        for name in self.uploads - {self.setup.data}:
            del self._known[name]
        names = itertools.chain([digits.name], (f"{digits.name}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in self.data_names and not known_name(name))
        self.uploads = {name} | self.uploads & {self.setup.data}
        self._known[name] = digits.renamed(name)
        return replace(self.own.usual, data=name) if self.own else Setup.usual(name, digits.train)

    def _digits(self, name: str) -> TrainTest:
        if name not in self.data_names:
            raise UsageError(f"data must be one of {', '.join(self.data_names)}, got {name!r}")
        if name not in self._known:
            self._known[name] = load(name, offline=True)
        return self._known[name]

    def _split(self) -> None:
        """Split off the validation set once per training: added images must not change it."""
        rng = np.random.default_rng([self.setup.seed, 0])
        data, self.validation_data = self.digits.train.split(VALIDATION, rng=rng)
        self.training_data = data[: self.setup.samples or len(data)]

    def _train(self, model: Model) -> Trainer:
        """Create the trainer of this model, with the added images in the training set, except those that wait."""
        data = self.training_data
        if added := self.added[: len(self.added) - self.waiting] * ADDED_TIMES:
            images = np.concatenate([data.images, [image for image, _ in added]])
            labels = np.append(data.labels, [label for _, label in added])
            data = Dataset(images, labels, classes=data.classes, name=data.name, scale=data.scale)
        # The curve keeps the records that are shown; the trainer's would grow without limit.
        settings: Any = {"seed": self.setup.seed, "validation_data": self.validation_data, "max_records": 1}
        make = partial(OwnTrainer, self.own.functions) if self.own else Trainer
        trainer = make(model, data, self.setup.recipe(), **settings)
        if self.trainer is not None:
            self.trainer.close()
        self.trainer = trainer
        self.version += 1
        return trainer


@functools.cache
def data_here() -> tuple[str, ...]:
    """Return the names of the data sets that can be loaded offline; later downloads are not noticed."""
    return tuple(one.name for one in named_sets() if one.where)


def copy_of(model: Model) -> Model:
    """Return a copy of the model."""
    return Model(
        model.network.copy(), preparation=model.preparation, classes=model.classes, metadata=dict(model.metadata)
    )
