"""Storage of a playground's training in a run folder.

Besides the files of every run, the folder has `added.npz`, the images added by hand, and `start.safetensors`, the
initial weights if they were not new.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from byhand.data import TrainTest
from byhand.data.formats.arrays import npz_arrays
from byhand.errors import ByhandError, ModelFileError, UsageError, short_repr
from byhand.files import write_bytes
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.play.setup import START, Setup
from byhand.training import EpochRecord, Trainer
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import SLOTS, Run

ADDED = "added.npz"


class RunStorage:
    """Writes one training at a time to a run's folder: `run`, or the next number in `runs/`."""

    def __init__(self, run: Run | None = None, checkpoints: Checkpoints | None = None) -> None:
        self.run = run
        #: None before the first step of a training.
        self.checkpoints = checkpoints

    @property
    def folder(self) -> Path | None:
        """The folder, if the training is stored in it."""
        return self.run.folder if self.run is not None and self.checkpoints is not None else None

    def open(self, trainer: Trainer, setup: Setup, digits: TrainTest, loaded: Model) -> None:
        """Lock the folder, remove an earlier training, and write the configuration of this one."""
        self.run = self.run or Run.new()
        model, checkpoints = trainer.model, Checkpoints(self.run)
        model.metadata = metadata(setup, digits)
        config = {
            "command": "byhand play",
            "playground": setup.config(),
            "data_name": digits.name,
            "data_checksum": digits.train.checksum,
            "seed": setup.seed,
            "dtype": str(model.network.dtype),
            "network": model.network.config(),
            "preparation": model.preparation.config(),
            "recipe": trainer.recipe.config(),
        }
        try:
            checkpoints.lock()
            for slot in SLOTS:
                (checkpoints.folder / slot).unlink(missing_ok=True)
            self.run.write_config(config)
            (self.run.folder / START).unlink(missing_ok=True)
            if setup.start == "loaded":
                loaded.save(self.run.folder / START)
        except BaseException:
            checkpoints.close()
            raise
        self.checkpoints = checkpoints

    def save(self, trainer: Trainer, records: list[EpochRecord], added: list[tuple[Array, int]]) -> None:
        """Save the state, the records, the added images and the model, if a step was taken."""
        if self.run is None or self.checkpoints is None:
            return
        self.checkpoints.save(trainer, force=True)
        self.run.write_records(records)
        file = io.BytesIO()
        images, labels = [image for image, _ in added], [label for _, label in added]
        np.savez_compressed(file, images=np.array(images, np.uint8), labels=np.array(labels, np.int64))
        write_bytes(self.run.folder / ADDED, file.getvalue())
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
    try:
        return Setup.from_config(config)
    except UsageError as error:
        raise ModelFileError(f"{run.folder}: config.json: {error}") from None


def start_of(run: Run) -> Model | None:
    """Return the initial model of the run, or None if its weights were new."""
    path = run.folder / START
    return Model.load(path) if path.is_file() else None


def restore_added(run: Run, add: Callable[[Array, int], object]) -> None:
    """Call `add` with each image that was added by hand, and its label."""
    path = run.folder / ADDED
    if not path.is_file():
        return
    try:
        images, labels = npz_arrays(path, ("images", "labels"))
        if images.dtype != np.uint8 or labels.dtype != np.int64 or labels.shape != (len(images),):
            raise UsageError(f"got {short_repr(images)} and {short_repr(labels)}")
        for image, label in zip(images, labels, strict=True):
            add(image, int(label))
    except ByhandError as error:
        raise ModelFileError(f"{path}: must contain the images and labels of a playground: {error}") from None
