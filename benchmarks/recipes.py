"""Ablation: the recipe of the preset `digits` with one change at a time, on a validation split, three seeds each.

MNIST's last 10,000 training images are held out, the same for every run; the test set is not used.

    python -m benchmarks.recipes            writes benchmarks/results/recipes.json and prints the table

It takes about five minutes on two cores; `--only NAME` measures one line, and the other results stay.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import byhand
from benchmarks import results
from benchmarks.tables import recipes as table
from byhand.data import Dataset
from byhand.data.augment import Augmentation, augment
from byhand.model import Model
from byhand.model.ensemble import Ensemble
from byhand.training import fit, preset
from byhand.training.recipe import LONG, with_overrides

SEEDS = (0, 1, 2)
HELD = 10_000

#: Changes of the preset `digits`.
CHANGES: dict[str, dict[str, Any]] = {
    "neither deskewed nor augmented": {"deskew": False, "augment": "none"},
    "deskewed, not augmented": {"augment": "none"},
    "augmented, not deskewed": {"deskew": False},
    "`digits`: both": {},
    "no elastic distortion": {"augment": "default,elastic=0"},
    "stronger augmentation (that of `best`)": {"augment": LONG.augment},
    "weak augmentation in the last fifth": {"weak_augment": 0.2},
    "EMA of the weights, 0.999": {"ema_decay": 0.999},
    "dropout 0.1": {"dropout": 0.1},
    "label smoothing 0.05": {"label_smoothing": 0.05},
    "weight decay 0.0001": {"weight_decay": 1e-4},
    "AdamW, rate 0.001": {"optimizer": "adamw", "learning_rate": 0.001},
    "512 units": {"hidden": (512,)},
    "two layers of 256": {"hidden": (256, 256)},
}
#: Test-time augmentation: other views of an image, whose probabilities are averaged with its own.
VIEWS: dict[str, Sequence[Augmentation | tuple[int, int]]] = {
    "with shifts by one pixel, four ways": [(0, 1), (0, -1), (1, 0), (-1, 0)],
    "with 8 distorted copies": [Augmentation(rotate=5, scale=0.05, elastic=0.5)] * 8,
}


def main(only: str | None) -> int:
    mnist = byhand.load("mnist").train
    train, held = mnist[:-HELD], mnist[-HELD:]
    kept = results.read(results.FOLDER, "recipes")
    figures: dict[str, Any] = {} if kept is None else kept["figures"]
    for name, changes in CHANGES.items():
        if only not in (None, name) or (only is None and name in figures):
            continue
        models = [trained(train, changes, seed) for seed in SEEDS]
        figures[name] = [error(model.predict(held.images), held) for model in models]
        if not changes:
            figures["`digits`, an ensemble of three"] = [error(Ensemble(models).predict(held.images), held)]
            for view, moves in VIEWS.items():
                figures[f"`digits`, {view}"] = [error(predict_with_views(model, held, moves), held) for model in models]
        print(name, figures[name], flush=True)
        results.write(results.FOLDER, "recipes", figures)
    print(table(figures))
    return 0


def trained(train: Dataset, changes: dict[str, Any], seed: int) -> Model:
    model, recipe = with_overrides(preset("digits"), changes, in_size=784, classes=train.classes, seed=seed)
    fit(model, train, recipe=recipe, seed=seed)
    return model


def error(answers: np.ndarray, held: Dataset) -> float:
    """Error rate in percent."""
    return 100 * float(np.mean(answers != held.labels))


def predict_with_views(model: Model, held: Dataset, moves: Sequence[Augmentation | tuple[int, int]]) -> np.ndarray:
    """Predict by the mean of the probabilities of an image and its views."""
    P = model.probabilities(held.images)
    everything = np.arange(len(held))
    for number, move in enumerate(moves):
        if isinstance(move, Augmentation):
            images = augment(held.images, everything, seed=0, epoch=number, spec=move)
        else:
            images = np.roll(held.images, move, axis=(1, 2))
        P = P + model.probabilities(images)
    answers: np.ndarray = P.argmax(axis=1)
    return answers


if __name__ == "__main__":
    sys.exit(main(sys.argv[2] if sys.argv[1:2] == ["--only"] else None))
