"""Presets: whole recipes under a name, network and preparation included.

`l-layer` and `two-layer` repeat the runs of the reference pages; `digits` is what `byhand train` does when nobody says
anything, `fast` is for the impatient, `best` and `record` for those who can wait for some minutes. Their figures were
chosen on a validation split of the training images; `docs/recipes.md` says what each of them bought.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from byhand.errors import UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.optimizers import AdamW, GradientDescent
from byhand.nn.schedules import Constant, OneCycle
from byhand.training.recipe import Recipe


@dataclass(frozen=True)
class Preset:
    """A recipe, with the network it was made for. `samples` is how many of the data it takes, from the first."""

    name: str
    about: str
    recipe: Recipe
    hidden: tuple[int, ...]
    preparation: Preparation = Preparation()
    network: dict[str, Any] = field(default_factory=dict)
    samples: int | None = None
    dtype: str = "float32"
    #: The old generator's seed, where a published run has to be repeated number for number.
    published_seed: int | None = None

    def model(
        self, in_size: int, classes: tuple[str, ...], *, seed: int, dtype: DTypeLike | None = None, **changes: Any
    ) -> Model:
        """A new model of this preset's shape. `changes` go to the network."""
        sizes = [in_size, *changes.pop("hidden", self.hidden), len(classes)]
        rng: np.random.Generator | np.random.RandomState = np.random.default_rng(seed)
        if self.published_seed is not None:
            if (published := self.published_seed + seed) >= 2**32:
                raise UsageError(f"seed must be under {2**32 - self.published_seed:,} for {self.name}, got {seed:,}")
            rng = np.random.RandomState(published)
        preparation = changes.pop("preparation", self.preparation)
        settings = {**self.network, **changes}
        return Model(sizes, rng=rng, dtype=dtype or self.dtype, preparation=preparation, classes=classes, **settings)


#: As far as a large network can bear it that is trained for hundreds of epochs.
FAR = "shift=1,rotate=12,scale=0.15,shear=0.15,elastic=1"

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "digits",
            "the default: deskewed and augmented, so that it reads drawings too; under 20 s on full MNIST",
            Recipe(epochs=10, augment="default"),
            hidden=(256,),
            preparation=Preparation.standard(deskew=True),
            network={"output_scale": 0.1},
        ),
        Preset(
            "fast",
            "deskewed; about a second of training on full MNIST",
            Recipe(epochs=4),
            hidden=(192,),
            preparation=Preparation.standard(deskew=True),
            network={"output_scale": 0.1},
        ),
        Preset(
            "best",
            "two wide layers, deskewed and augmented far; under 15 minutes on full MNIST",
            Recipe(
                epochs=150,
                batch_size=256,
                learning_rate=0.001,
                optimizer=AdamW(weight_decay=0.1),
                schedule=OneCycle(warmup=0.1),
                augment=FAR,
            ),
            hidden=(800, 800),
            preparation=Preparation.standard(deskew=True),
            network={"output_scale": 0.1},
        ),
        Preset(
            "record",
            "four convolutions; under half an hour on full MNIST, and resumable",
            Recipe(
                epochs=50,
                batch_size=256,
                learning_rate=0.001,
                optimizer=AdamW(weight_decay=0.1),
                schedule=OneCycle(warmup=0.1),
                augment=FAR,
                weak_augment=0.2,
            ),
            hidden=(256,),
            preparation=Preparation.standard(deskew=True),
            network={
                "maps": ((16, 3, 1), (32, 4, 2), (48, 3, 1), (64, 4, 2)),
                "activation": "leaky_relu",
                "dropout": 0.3,
                "output_scale": 0.1,
            },
        ),
        Preset(
            "l-layer",
            "the assignment's worked run: 5,000 images, 784-45-10, 2,000 iterations of the whole data",
            Recipe(
                epochs=2000,
                batch_size=None,
                learning_rate=0.0075,
                optimizer=GradientDescent(),
                schedule=Constant(),
                record_every=100,
            ),
            hidden=(45,),
            preparation=Preparation(divisor=256),
            network={"init": "l_layer"},
            samples=5000,
            published_seed=2,
        ),
        Preset(
            "two-layer",
            "the 784-10-10 program: 500 iterations of the whole data",
            Recipe(
                epochs=500,
                batch_size=None,
                learning_rate=0.1,
                optimizer=GradientDescent(),
                schedule=Constant(),
                record_every=10,
                validation=1000,
            ),
            hidden=(10,),
            network={"init": "two_layer"},
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name, or an error that lists the names there are."""
    if name not in PRESETS:
        raise UsageError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
