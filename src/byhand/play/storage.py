"""Keeping: what is trained in the playground is a run's folder, like any other, so that nothing is lost when it stops.

Besides what every run has (`config.json`, `metrics.jsonl`, `model.safetensors`, `state/`) it holds `added.npz`, the
pictures added by hand, and `start.safetensors`, the weights that training began with where they were not new. `resume`
puts a playground back where it stood; nothing is written before the first step.
"""

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from byhand.errors import ByhandError, ModelFileError, UsageError
from byhand.files import write_bytes
from byhand.model import Model
from byhand.play.curve import Point
from byhand.play.setup import Setup
from byhand.training.checkpoint import SLOTS, Checkpoints
from byhand.training.runs import Run

if TYPE_CHECKING:
    from byhand.play.playground import Playground

ADDED, START = "added.npz", "start.safetensors"


class Keeper:
    """Writes one playground into one run's folder: the one given, or the next number under `runs/`."""

    def __init__(self, run: Run | None = None) -> None:
        self.run = run
        self.checkpoints: Checkpoints | None = None
        self.is_new = True

    def begin(self, playground: "Playground") -> None:
        """A new training takes the place of the one before, from its first step on."""
        self._close_checkpoints()
        self.is_new = True

    def after_step(self, playground: "Playground") -> None:
        """Save what is due; to be called after each step."""
        assert playground.session is not None
        if self.is_new:
            self._open(playground)
        assert self.checkpoints is not None
        self.checkpoints.save(playground.session)

    def save(self, playground: "Playground") -> None:
        """Save everything now."""
        session = playground.session
        if self.run is None or self.is_new or session is None:
            return
        assert self.checkpoints is not None
        self.checkpoints.save(session, force=True)
        self.run.write_records(playground.curve.epochs)
        file = io.BytesIO()
        np.savez_compressed(file, images=playground.added_images, labels=playground.added_labels)
        write_bytes(self.run.folder / ADDED, file.getvalue())
        network = session.model.network
        if np.isfinite(network.parameters).all() and np.isfinite(network.statistics).all():
            self.run.write_model(session.model)

    def close(self, playground: "Playground") -> None:
        self.save(playground)
        self._close_checkpoints()

    def _open(self, playground: "Playground") -> None:
        """Claim the folder, and write down what is asked."""
        session = playground.session
        assert session is not None
        self.run = self.run or Run.new()
        self.checkpoints = Checkpoints(self.run)
        for slot in SLOTS:  # the state of the training before this one
            (self.checkpoints.folder / slot).unlink(missing_ok=True)
        session.model.metadata = card(playground)
        self.run.write_config(
            {
                "command": "byhand play",
                "playground": playground.setup.to_json(),
                "data_name": playground.digits.name,
                "data_checksum": playground.digits.train.checksum,
                "seed": playground.setup.seed,
                "dtype": str(session.model.network.dtype),
                "network": session.model.network.config(),
                "preparation": session.model.preparation.config(),
                "recipe": session.recipe.config(),
            }
        )
        (self.run.folder / START).unlink(missing_ok=True)
        if playground.setup.start == "loaded":
            playground.loaded.save(self.run.folder / START)
        self.is_new = False
        self.save(playground)  # and with that nothing is left of the training before this one

    def _close_checkpoints(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.close()
            self.checkpoints = None


def card(playground: "Playground") -> dict[str, Any]:
    """What the model's file says of its making."""
    return {
        "about": f"Trained in the playground on {playground.digits.name}.",
        "data": {"name": playground.digits.name, "checksum": playground.digits.train.checksum},
        "setup": playground.setup.to_json(),
    }


def setup_of(run: Run) -> Setup | None:
    """The setup of a run that was made in the playground; None of any other run."""
    values = run.config().get("playground")
    if not isinstance(values, dict):
        return None
    try:
        return Setup.from_json(values)
    except UsageError as error:
        raise ModelFileError(f"{run.folder}: config.json: {error}") from None


def start_of(run: Run) -> Model | None:
    """The weights that the run began with, where they were not new."""
    path = run.folder / START
    return Model.load(path) if path.is_file() else None


def resume(playground: "Playground", run: Run) -> None:
    """Put the playground back where the run stopped: its pictures, its weights, its optimiser, its curve."""
    keeper, playground.keeper = playground.keeper, None
    path = run.folder / ADDED
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as file:
                for image, label in zip(file["images"], file["labels"], strict=True):
                    playground.add(image, int(label))
        except (ValueError, KeyError, OSError, zipfile.BadZipFile, ByhandError) as error:
            raise ModelFileError(f"{path}: must hold images and labels, as the playground wrote it: {error}") from None
    playground.begin(playground.setup)
    session = playground.session
    assert session is not None
    checkpoints = Checkpoints(run)
    session.restore(*checkpoints.load())
    session.model.metadata = card(playground)
    playground.curve.epochs = run.records()
    playground.curve.points = [Point(r.epoch, r.loss, r.accuracy, 1) for r in playground.curve.epochs]
    if keeper is not None:
        keeper.run, keeper.checkpoints, keeper.is_new = run, checkpoints, False
        playground.keeper = keeper
