"""The playground: a model, the session that trains it, and the pictures that were added by hand.

It knows nothing of threads or of the web: `trainer` calls it from one thread, and a test calls it as it is. The model
in use is the one in training, or, before any training, the one that was loaded.
"""

import functools
import time
from collections.abc import Iterator

import numpy as np

from byhand.data import Dataset, Digits, bundled, load
from byhand.data.loading import named_sets
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.play.curve import Curve, Point, points_of
from byhand.play.setup import Setup, fitting
from byhand.play.storage import Keeper
from byhand.training import EpochRecord, StepRecord, Trainer, steps

#: Held out of the training pictures to watch.
VALIDATION = 0.1
#: A picture that was added by hand counts as often as this, or nobody would see it among thousands.
ADDED_TIMES = 10
MOST_ADDED = 500


class Playground:
    """What the page plays with. `loaded` is the model that it began with, `origin` says where that is from."""

    def __init__(self, loaded: Model, origin: str, digits: Digits, setup: Setup, keeper: Keeper | None = None) -> None:
        self.loaded, self.origin = loaded, origin
        self.digits, self.setup = digits, setup
        self._known = {setup.data: digits}
        self.keeper = keeper
        self.session: Trainer | None = None
        self.steps: Iterator[StepRecord] = iter(())
        self.curve = Curve()
        self.recent: list[StepRecord] = []
        self.added_images = np.zeros((0, *digits.train.shape), np.uint8)
        self.added_labels = np.zeros(0, np.int64)
        self.waiting = 0
        #: Counts the sets of weights there have been, so that the page knows when its own are old.
        self.version = 0
        #: Counts the trainings that were begun: weights of another one may be of another shape.
        self.training = 0
        self._copy: tuple[int, Model] | None = None
        self._copied_at = 0.0
        self._split()

    # ---- the model in use

    @property
    def model(self) -> Model:
        return self.session.model if self.session else self.loaded

    @property
    def step_number(self) -> int:
        return self.session.progress.step if self.session else 0

    @property
    def batches_per_epoch(self) -> int:
        return self.session.batches_per_epoch if self.session else 1

    def copy(self, older: float = 0.0) -> tuple[int, Model]:
        """The model as it is now, for others to read while this one goes on: (version, copy).

        `older`: a copy made so many seconds ago is good enough, whatever has been learned since.
        """
        now = time.monotonic()
        if self._copy is None or (self._copy[0] != self.version and now - self._copied_at >= older):
            self._copy, self._copied_at = (self.version, fresh_copy(self.model)), now
        return self._copy

    # ---- training

    def begin(self, setup: Setup) -> None:
        """A new session from this setup: new weights from its seed, or the loaded ones. The same setup, the same run.

        Anything wrong with the setup is an error before anything changes.
        """
        digits = self._digits(setup.data)
        setup.check_memory(digits.train)
        if setup.start == "loaded" and not fitting(self.loaded, digits.train):
            raise UsageError(f"the loaded model can't be trained on {digits.name}: its pictures or classes are others")
        model = setup.model(digits.train) if setup.start == "new" else fresh_copy(self.loaded)
        if self.keeper:
            self.keeper.save(self)  # the training before this one stays what is kept until this one's first step
        if digits is not self.digits:
            self.added_images = np.zeros((0, *digits.train.shape), np.uint8)
            self.added_labels = np.zeros(0, np.int64)
        self.digits, self.setup = digits, setup
        self.training += 1
        self._split()
        self._hold(self._session(model))
        self.curve, self.recent, self.waiting = Curve(), [], 0
        if self.keeper:
            self.keeper.begin(self)

    def rewind(self) -> None:
        """Back to before the first step, with the same seed: the numbers that follow are the same ones."""
        self.begin(self.setup)

    def step(self) -> EpochRecord | None:
        """Take one step; where it ends an epoch, that epoch's record."""
        if self.session is None:
            self.begin(self.setup)
        assert self.session is not None
        before = self.session.progress.records[-1:]
        self.version += 1
        record = next(self.steps)
        self.recent.append(record)
        ended = None
        if self.session.progress.records[-1:] != before:
            ended = self.session.progress.records[-1]
            self.curve.add_epoch(ended)
        if self.keeper:
            self.keeper.after_step(self)
        if record.ends_epoch and self.waiting:
            self._take_in()
        return ended

    def collect(self) -> list[Point]:
        """Make points of the curve of the steps since the last ones, if there were any."""
        points = points_of(self.recent, self.batches_per_epoch)
        for point in points:
            self.curve.add(point)
        self.recent = []
        return points

    # ---- pictures added by hand

    def add(self, image: Array, label: int) -> int:
        """Add a picture to the training set, from the next epoch on; how many there are now.    image: uint8 (H, W)"""
        if image.shape != self.digits.train.shape:
            raise UsageError(f"a picture must be {self.digits.train.shape}, got {image.shape}")
        if not 0 <= label < len(self.digits.classes):
            raise UsageError(f"label must be 0 to {len(self.digits.classes) - 1}, got {label}")
        if len(self.added_labels) >= MOST_ADDED:
            raise UsageError(f"at most {MOST_ADDED} pictures can be added by hand")
        self.added_images = np.concatenate([self.added_images, image[None]])
        self.added_labels = np.append(self.added_labels, label)
        if self.session is None or self.session.progress.step == 0:
            if self.session is not None:
                self.begin(self.setup)
        else:
            self.waiting += 1
        return len(self.added_labels)

    def _take_in(self) -> None:
        """At an epoch's end: the same run on the larger set. Weights, optimiser and epochs go on as they are."""
        old = self.session
        assert old is not None
        arrays, plain = old.state()
        arrays = {name: array.copy() for name, array in arrays.items()}
        epochs = old.progress.step // old.batches_per_epoch
        session = self._session(old.model)
        session.restore(arrays, plain | {"step": epochs * session.batches_per_epoch})
        self._hold(session)
        self.waiting = 0

    def _training_set(self) -> Dataset:
        """The pictures to train on, those added by hand among them."""
        if not len(self.added_labels):
            return self.kept
        images = np.concatenate([self.kept.images, *[self.added_images] * ADDED_TIMES])
        labels = np.concatenate([self.kept.labels, *[self.added_labels] * ADDED_TIMES])
        return Dataset(images, labels, classes=self.kept.classes, name=self.kept.name, scale=self.kept.scale)

    # ---- sessions

    @property
    def data_names(self) -> list[str]:
        """The data sets that can be had: those in use so far, and those that are here."""
        return list(dict.fromkeys([*self._known, *data_here()]))

    def _digits(self, name: str) -> Digits:
        if name not in self._known:
            if name not in data_here():
                raise UsageError(f"data must be one of {', '.join(self.data_names)}, got {name!r}"[:300])
            self._known[name] = load(name, offline=True)
        return self._known[name]

    def _split(self) -> None:
        """Hold the validation pictures out once, so that adding pictures never moves one of them across."""
        rng = np.random.default_rng([self.setup.seed, 0])
        self.kept, self.held = self.digits.train.split(VALIDATION, rng=rng)

    def _session(self, model: Model) -> Trainer:
        data = self._training_set()
        # the curve keeps what is shown: a long run must not pile up records
        return Trainer(model, data, self.setup.recipe(), seed=self.setup.seed, validation_data=self.held, max_records=1)

    def _hold(self, session: Trainer) -> None:
        if self.session is not None:
            self.session.close()
        self.session = session
        self.steps = steps(session)
        self.version += 1

    def close(self) -> None:
        """Save what there is, and end the session's threads."""
        if self.keeper:
            self.keeper.close(self)
        if self.session is not None:
            self.session.close()


@functools.cache
def data_here() -> tuple[str, ...]:
    """The names of the data sets that can be loaded without the network, as this program found them when it began."""
    here = [one.name for one in named_sets() if one.where]
    return tuple(sorted(here, key=lambda name: name != bundled.NAME))


def fresh_copy(model: Model) -> Model:
    """The same model over vectors of its own."""
    return Model(
        model.network.copy(), preparation=model.preparation, classes=model.classes, metadata=dict(model.metadata)
    )
