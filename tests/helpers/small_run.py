"""A small run that uses every kind of state: optimizer, augmentation, EMA, early stopping, gradient clipping."""

import hashlib

import numpy as np

from byhand.data import Dataset
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.optimizers import AdamW, Optimizer
from byhand.training import Recipe, Trainer, steps


def digits(count: int = 120, side: int = 8) -> Dataset:
    """Return images that a small network can classify: a bright square whose place depends on the class."""
    rng = np.random.default_rng(7)
    labels = np.arange(count) % 4
    images = rng.integers(0, 120, (count, side, side)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = divmod(label, 2)
        image[4 * top : 4 * top + 4, 4 * left : 4 * left + 4] += 120
    return Dataset(images, labels, classes=tuple("abcd"), name="blots")


def model(**settings: object) -> Model:
    settings = {"dropout": 0.2, "batch_norm": True, **settings}
    return Model([64, 12, 4], seed=1, classes="abcd", preparation=Preparation(deskew=True), **settings)


def recipe(optimizer: Optimizer | None = None, **choices: object) -> Recipe:
    """Return a recipe with augmentation, EMA, early stopping and clipping; 10 steps per epoch, the last batch short."""
    settings: dict[str, object] = {
        "epochs": 8,
        "batch_size": 10,
        "learning_rate": 0.01,
        "augment": "default",
        "weak_augment": 0.5,
        "ema_decay": 0.95,
        "validation": 24,
        "patience": 5,
        "clip": 5.0,
        **choices,
    }
    return Recipe(optimizer=optimizer or AdamW(), **settings)


#: The same recipe, long enough to be killed many times.
LONG = recipe(epochs=60, patience=50)


def session(*, seed: int = 5, chosen: Recipe | None = None, **settings: object) -> Trainer:
    return Trainer(model(**settings), digits(), chosen or recipe(), seed=seed)


def fingerprint(session: Trainer) -> str:
    """Return a hash of every bit of the model, and of every record except its times."""
    network, digest = session.model.network, hashlib.sha256()
    digest.update(network.parameters.tobytes() + network.statistics.tobytes())
    for record in session.progress.records:
        values = record.to_json()
        del values["seconds"], values["images_per_second"]
        digest.update(repr(values).encode())
    return digest.hexdigest()


def uninterrupted(**settings: object) -> str:
    with session(**settings) as whole:
        for _ in steps(whole):
            pass
        return fingerprint(whole)
