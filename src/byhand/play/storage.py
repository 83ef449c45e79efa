"""Storage of a playground's training in a run folder.

A checkpoint contains the whole state: besides the trainer's, the setup, the images added by hand and the curve. So it
is consistent after a kill at any moment. The records and the model follow from it when the training pauses.
`start.safetensors` has the initial weights if they were not new, and `data.npz` the data set if it was uploaded to the
page. `added.npz` is from earlier versions.
"""

import contextlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from byhand.data import TrainTest
from byhand.data.formats.arrays import npz_arrays, write_npz
from byhand.errors import ByhandError, ModelFileError, UsageError, short_repr
from byhand.files import StrPath
from byhand.model import Model
from byhand.model.file import naming
from byhand.nn.arrays import Array
from byhand.play.setup import Setup
from byhand.schema import Natural, checked
from byhand.training import EpochRecord, Trainer
from byhand.training.checkpoint import Checkpoints, State
from byhand.training.run import check_same_data, source_of
from byhand.training.runs import CONFIG, DATA, HOME, START, STATE, Run, holds_no_step

ADDED = "added.npz"


class PlaygroundState(TypedDict):
    """The plain values of a playground in a checkpoint. `waiting`: added images that the epoch does not use yet."""

    setup: dict[str, Any]
    waiting: Natural
    points: list[list[Annotated[float, (-1e300, 1e300)]]]
    epochs: list[dict[str, Any]]


class RunStorage:
    """Writes one training to a run's folder.

    run: this run; its training is replaced.  folder: a new run in this folder, or in the next `runs/NNN`
    """

    def __init__(
        self, run: Run | None = None, checkpoints: Checkpoints | None = None, folder: StrPath | None = None
    ) -> None:
        self.run, self._wanted = run, folder
        #: They hold the lock of the run.
        self.checkpoints = checkpoints
        #: True if the current training is stored.
        self.is_begun = checkpoints is not None

    @property
    def folder(self) -> Path | None:
        """The folder, if the training is stored in it."""
        return self.run.folder if self.run is not None and self.is_begun else None

    def next(self) -> "RunStorage":
        """Finish a training, which stays in its folder; return the storage of the next one, in a folder beside it."""
        self.close()
        assert self.run is not None
        folder = self.run.folder
        if folder.parent == HOME and folder.name.isdecimal():
            return RunStorage()
        name = re.sub(r"-\d+$", "", folder.name)
        beside = (folder.with_name(f"{name}-{number}") for number in itertools.count(2))
        return RunStorage(folder=next(path for path in beside if holds_no_step(path)))

    def begin(
        self,
        trainer: Trainer,
        setup: Setup,
        digits: TrainTest,
        loaded: Model,
        extra: Callable[[], State],
        *,
        has_data: bool = False,
    ) -> None:
        """Lock the folder, and write the configuration of a training. Its first checkpoint replaces an earlier one.

        has_data: the data set is nowhere else, and is saved too
        """
        if self.run is None:
            self.run, held = Run.take(self._wanted)
            self.checkpoints = Checkpoints(self.run, held=held)
        elif self.checkpoints is None:
            checkpoints = Checkpoints(self.run)
            checkpoints.lock()
            self.checkpoints = checkpoints
        assert self.checkpoints is not None
        model = trainer.model
        model.metadata = metadata(setup, digits)
        data = self.run.folder / DATA
        if has_data:
            write_npz(data, *digits)
        self.run.write_config(
            {
                "command": "byhand play",
                "playground": setup.config(),
                "data": source_of(str(data) if has_data else setup.data, digits.name),
                "data_name": digits.name,
                "data_checksum": digits.train.checksum,
                "seed": setup.seed,
                "dtype": str(model.network.dtype),
                "network": model.network.config(),
                "preparation": model.preparation.config(),
                "recipe": trainer.recipe.config(),
            }
        )
        if setup.start == "loaded":
            loaded.save(self.run.folder / START)
        self.checkpoints.extra = extra
        self.checkpoints.save(trainer, force=True)
        self.is_begun = True
        if setup.start == "new":
            (self.run.folder / START).unlink(missing_ok=True)
        if not has_data:
            data.unlink(missing_ok=True)

    def save(self, trainer: Trainer, records: list[EpochRecord]) -> None:
        """Save the state, and write the records and the model."""
        assert self.run is not None
        assert self.checkpoints is not None
        self.checkpoints.save(trainer, force=True)
        self.run.write_records(records)
        network = trainer.model.network
        if np.isfinite(network.parameters).all() and np.isfinite(network.statistics).all():
            trainer.model.save(self.run.model_path)

    def close(self) -> None:
        """Wait for the last checkpoint, then unlock the run."""
        if self.checkpoints is not None:
            self.checkpoints.close()


def metadata(setup: Setup, digits: TrainTest) -> dict[str, Any]:
    """Return the metadata of the model's file."""
    return {
        "about": f"Trained in the playground on {digits.name}.",
        "data": {"name": digits.name, "checksum": digits.train.checksum},
        "setup": setup.config(),
    }


def setup_of(run: Run) -> Setup | None:
    """Return the setup of a run of the playground; None for any other run."""
    config = run.config().get("playground")
    if not isinstance(config, dict):
        return None
    with naming(run.folder / CONFIG):
        setup = Setup.from_config(config)
    checkpoints = Checkpoints(run)
    with contextlib.suppress(ModelFileError):  # raised again if the run is resumed
        checkpoints.load()
    if checkpoints.loaded is None or checkpoints.loaded.extra is None:
        return setup
    with naming(run.folder / STATE):  # a kill may have come between the config and the first checkpoint
        return Setup.from_config(checked(PlaygroundState, checkpoints.loaded.extra[1])["setup"])


def data_of(run: Run, setup: Setup) -> str:
    """Return the argument of `byhand.load` for the data set of a run of the playground: saved in it, or its place."""
    if (run.folder / DATA).is_file():
        return str(run.folder / DATA)
    config = run.config()
    is_same = config.get("playground", {}).get("data") == setup.data  # not killed before the first checkpoint
    return str(config["data"]) if is_same and config.get("data") is not None else setup.data


def check_data(run: Run, setup: Setup, digits: TrainTest) -> None:
    """Raise an error if the data set is not the one of the run."""
    config = run.config()
    if config.get("playground", {}).get("data") == setup.data and "data_checksum" in config:
        check_same_data(config, {"data_name": digits.name, "data_checksum": digits.train.checksum})


@dataclass(frozen=True)
class Kept:
    """Values of a playground besides the state of the trainer."""

    images: Array
    labels: Array
    waiting: int = 0
    points: list[list[float]] | None = None
    epochs: list[EpochRecord] = field(default_factory=list)


def kept_in(run: Run, extra: State | None) -> Kept:
    """Return the values in a checkpoint; in a run of an earlier version, those in its other files."""
    if extra is None:
        images, labels = (np.zeros((0, 1, 1), np.uint8), np.zeros(0, np.int64))
        if (path := run.folder / ADDED).is_file():
            try:
                images, labels = npz_arrays(path, ("images", "labels"))
                check_added(images, labels)
            except ByhandError as error:
                rule = "must contain the images and labels of a playground"
                raise ModelFileError(f"{path}: {rule}: {error}") from None
        return Kept(images, labels, epochs=run.records())
    arrays, plain = extra
    state = checked(PlaygroundState, plain)
    if set(arrays) != {"images", "labels"} or any(len(point) != 4 for point in state["points"]):
        raise UsageError("must have the images, labels and points of a playground")
    check_added(arrays["images"], arrays["labels"])
    if state["waiting"] > len(arrays["labels"]):
        raise UsageError(f"waiting must be at most {len(arrays['labels'])}, got {state['waiting']}")
    epochs = [EpochRecord.from_json(record) for record in state["epochs"]]
    return Kept(arrays["images"], arrays["labels"], state["waiting"], state["points"], epochs)


def check_added(images: Array, labels: Array) -> None:
    if images.dtype != np.uint8 or labels.dtype != np.int64 or labels.shape != (len(images),):
        raise UsageError(f"got {short_repr(images)} and {short_repr(labels)}")


def start_of(run: Run) -> Model | None:
    """Return the initial model of the run, or None if its weights were new."""
    path = run.folder / START
    return Model.load(path) if path.is_file() else None
