"""The setup: the settings of a training in the playground, and their checks."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from byhand.checks import flag, integer, is_integer, number
from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model.model import MAX_BLOCK_SAMPLES, Model, memory
from byhand.model.preparation import Preparation
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation
from byhand.nn.network import layers_of, number_of, parameter_shapes
from byhand.nn.optimizers import OPTIMIZERS, Momentum, Optimizer, optimizer_named
from byhand.threads import available
from byhand.training import Recipe
from byhand.training.recipe import maps_of
from byhand.training.runs import START

MAX_LAYERS, MAX_UNITS = 8, 10**8
#: Assumed memory in bytes if the system does not report it.
ASSUMED_MEMORY = 4 * 2**30
#: Fraction of the memory that a training may use.
MEMORY_SHARE = 0.25
#: Number of parameter vectors: parameters, gradient, two of the optimizer, and copies for requests.
COPIES = 8
#: Learning rate for a network that has already learned.
GENTLE_RATE = 0.02
#: Fraction of the training images held out for validation.
VALIDATION = 0.1
#: The usual number of steps of an epoch is at least this, unless a batch would be smaller than the other number.
MIN_STEPS, MIN_BATCH = 10, 8
#: The usual learning rate with smaller batches, whose gradients are noisier.
SMALL_RATE = 0.01
#: Maximum number of epochs; the schedule is constant, so that it has no other effect.
EPOCHS = 100_000

CHOICES = {
    "activation": tuple(ACTIVATIONS),
    "optimizer": tuple(OPTIMIZERS),
    "augment": ("none", "default"),
    "start": ("new", "loaded"),
}
LIMITS: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-6, 100.0),
    "batch_size": (1, 10_000),
    "seed": (0, 2**31 - 1),
    "samples": (0, 10**9),
}


@dataclass(frozen=True)
class Setup:
    """The values of the Setup panel. `layers` are the hidden layers, `maps` the convolutions as in `--maps`."""

    data: str = "mnist-5k"
    layers: tuple[int, ...] = (32,)
    maps: str = ""
    activation: str = "relu"
    optimizer: str = "momentum"
    learning_rate: float = 0.05
    batch_size: int = 128
    augment: str = "none"
    deskew: bool = True
    seed: int = 0
    start: str = "new"
    #: Number of training images, the first ones; 0 for all.
    samples: int = 0

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name, (least, most) in LIMITS.items():
            check: Any = number if name == "learning_rate" else integer
            check(name, getattr(self, name), least, most)
        flag("deskew", self.deskew)
        if not isinstance(self.data, str):
            raise UsageError(f"data must be the name of a data set, got {self.data!r}")
        are_sizes = isinstance(self.layers, tuple) and all(is_integer(units, 1, MAX_UNITS) for units in self.layers)
        if not are_sizes or len(self.layers) > MAX_LAYERS:
            raise UsageError(f"layers must be at most {MAX_LAYERS} positive integers, got {self.layers!r}")
        if not isinstance(self.maps, str) or len(maps_of(self.maps)) > MAX_LAYERS:
            raise UsageError(f"maps must be at most {MAX_LAYERS} convolutions, got {self.maps!r}")

    @classmethod
    def usual(cls, data: str, train: Dataset) -> Self:
        """Return the usual setup for a data set. A small one has smaller batches, so that its epochs have steps."""
        size = max(MIN_BATCH, int(len(train) * (1 - VALIDATION) / MIN_STEPS))
        if size >= cls.batch_size:
            return cls(data=data)
        return cls(data=data, batch_size=1 << size.bit_length() - 1, learning_rate=SMALL_RATE)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create a setup from plain values; missing ones have their defaults."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in config if name not in known]:
            raise UsageError(f"a setup has {', '.join(known)}; got {', '.join(unknown)}")
        layers = config.get("layers", cls.layers)
        return cls(**{**config, "layers": tuple(layers) if isinstance(layers, list) else layers})

    def config(self) -> dict[str, Any]:
        """Return the setup as plain values."""
        return asdict(self)

    @classmethod
    def like(cls, model: Model, **values: Any) -> Self:
        """Return a setup with the layers and the activation of a model; without convolutions that it can't describe."""
        layers = model.network.parametric_layers
        hidden = tuple(layer.units for layer in model.network.dense[:-1])
        convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
        are_first = convolutions == layers[: len(convolutions)] and all(c.channels == 1 for c in convolutions[:1])
        maps = ",".join(f"{c.maps}@{c.size}/{c.stride}" for c in convolutions)
        if not are_first or any(c.height != c.width for c in convolutions):
            maps = ""
        functions = (layer.function.name for layer in model.network.layers if isinstance(layer, Activation))
        activation = next(functions, cls.activation)
        return cls(layers=hidden if hidden or maps else cls.layers, maps=maps, activation=activation, **values)

    # ---- its network and training

    def sizes(self, data: Dataset) -> list[int]:
        """Return the sizes of the inputs, the hidden layers and the outputs."""
        return [math.prod(data.shape), *self.layers, len(data.classes)]

    @property
    def init(self) -> str:
        """The initializer that goes with the activation."""
        return "glorot" if self.activation in ("tanh", "sigmoid") else "he"

    def check_memory(self, data: Dataset, machine: int | None = None) -> None:
        """Reject a network that needs too much memory, before any is allocated."""
        inputs, *sizes = self.sizes(data)
        layers = layers_of([inputs, *sizes], maps=maps_of(self.maps), init=self.init)
        convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
        parameters = number_of(parameter_shapes(layers))
        units = inputs + sum(layer.outputs for layer in convolutions) + sum(sizes)
        windows = sum(layer.im2col_size for layer in convolutions)
        numbers = COPIES * parameters + 6 * max(self.batch_size, 1_000) * units
        needed = 4 * (numbers + 2 * max(self.batch_size, MAX_BLOCK_SAMPLES) * windows)
        limit = int(MEMORY_SHARE * (machine or memory() or ASSUMED_MEMORY))
        if needed > limit:
            network = f"{list(self.layers)}" + f" after maps {self.maps}" * bool(convolutions)
            raise UsageError(
                f"layers must fit into {limit / 1e9:.1f} GB of memory, {network} would need {needed / 1e9:,.1f} GB"
            )

    def network(self, data: Dataset) -> dict[str, Any]:
        """Arguments of a new model, besides its sizes and classes.

        As in `byhand train`, only images in MNIST's form are deskewed, and others are scaled by their own mean.
        """
        is_handwriting = data.has_mnist_form
        preparation = Preparation.standard(deskew=self.deskew) if is_handwriting else Preparation.of(data.images)
        return {
            "seed": self.seed,
            "maps": maps_of(self.maps),
            "activation": self.activation,
            "init": self.init,
            "output_scale": 0.1,
            "preparation": preparation,
        }

    @property
    def optimizer_object(self) -> Optimizer:
        """The optimizer; momentum is Nesterov's."""
        return Momentum(nesterov=True) if self.optimizer == "momentum" else optimizer_named(self.optimizer)

    @property
    def training(self) -> dict[str, Any]:
        """The settings of a recipe, besides the epochs. One thread is left to the page."""
        return {
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "optimizer": self.optimizer_object,
            "schedule": "constant",
            "augment": self.augment,
            "threads": threads(),
        }

    def model(self, data: Dataset) -> Model:
        """Return a new model."""
        return Model(self.sizes(data), classes=data.classes, **self.network(data))

    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(epochs=EPOCHS, **self.training)

    def as_python(self, epochs: int, data: Dataset, source: str | None = None) -> str:
        """Return a program that gives the same numbers.  source: where its data are, by default `data`"""

        def written(settings: dict[str, Any]) -> str:
            return "".join(f"    {name}={value!r},\n" for name, value in settings.items())

        fewer = f"train = train[:{self.samples}]\n" if self.samples else ""
        imports = f"from byhand.nn.optimizers import {type(self.optimizer_object).__name__}\n"
        if self.start == "loaded":
            model = f'model = byhand.Model.load("{START}")  # the initial weights, from the folder of the run'
        else:
            imports = f"from byhand.model.preparation import Preparation\n{imports}"
            sizes = ", ".join(["digits.train.images[0].size", *map(str, self.layers), "len(digits.classes)"])
            model = (
                f"model = byhand.Model(\n    [{sizes}],\n    classes=digits.classes,\n{written(self.network(data))})"
            )
        return f"""import numpy as np

import byhand
{imports}
digits = byhand.load({source or self.data!r}){"  # from the folder of the run" if source else ""}
train, held_out = digits.train.split({VALIDATION}, rng=np.random.default_rng([{self.seed}, 0]))
{fewer}{model}
history = byhand.fit(
    model,
    train,
    validation_data=held_out,
    epochs={epochs},
    seed={self.seed},
{written(self.training)})
print(history)
print(f"test accuracy {{model.accuracy(digits.test):.2%}}")
model.save("digits.safetensors")
"""


def threads() -> int:
    """Return the number of BLAS threads for training: one core is left for requests."""
    return max(1, available() - 1)


def fits(model: Model, data: Dataset) -> bool:
    """True if the model has the size of these images and as many classes."""
    return math.prod(data.shape) == model.network.in_size and len(data.classes) == len(model.classes)
