"""The setup: everything that the page may choose about a training, checked before any memory is taken for it."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model.inference import MAX_BLOCK_SAMPLES
from byhand.model.model import Model, memory
from byhand.model.preparation import Preparation
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.optimizers import OPTIMIZERS, Momentum, Optimizer, optimizer_named
from byhand.nn.schedules import Constant
from byhand.nn.stacks import convolutions
from byhand.threads import available
from byhand.training import Recipe
from byhand.training.settings import maps_of

MOST_LAYERS = 8
#: Bytes of memory to reckon with where the system doesn't tell.
UNTOLD_MEMORY = 4 * 2**30
#: The share of this machine's memory that a network may take with all that training it needs.
SHARE = 0.25
#: Vectors of the network's size at once: parameters, gradient, the optimiser's two, and copies on their way out.
COPIES = 8
#: The playground goes on until it is stopped; its schedule is constant, so that this number decides nothing.
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
}


@dataclass(frozen=True)
class Setup:
    """What the Setup panel says. `layers` are the hidden ones, `maps` the convolutions before them, as `byhand train`
    has them; `start` is new weights, or those that were loaded.
    """

    data: str = "mnist-5k"
    layers: tuple[int, ...] = (64,)
    maps: str = ""
    activation: str = "relu"
    optimizer: str = "momentum"
    learning_rate: float = 0.05
    batch_size: int = 128
    augment: str = "none"
    deskew: bool = True
    seed: int = 0
    start: str = "new"

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"[:200])
        for name, (lowest, highest) in LIMITS.items():
            value: Any = getattr(self, name)
            kinds, words = ((int, float), "a number") if name == "learning_rate" else ((int,), "a whole number")
            if type(value) not in kinds or not lowest <= value <= highest:
                raise UsageError(f"{name} must be {words} from {lowest:g} to {highest:g}, got {value!r}"[:200])
        if not isinstance(self.data, str) or not self.data or len(self.data) > 1_000:
            raise UsageError(f"data must be the name of a data set, got {self.data!r}"[:200])
        if not isinstance(self.deskew, bool):
            raise UsageError(f"deskew must be true or false, got {self.deskew!r}"[:200])
        sizes_are_right = isinstance(self.layers, tuple) and all(type(n) is int and n > 0 for n in self.layers)
        if not sizes_are_right or len(self.layers) > MOST_LAYERS:
            got = list(self.layers) if isinstance(self.layers, tuple) else self.layers
            raise UsageError(f"layers must be at most {MOST_LAYERS} positive whole numbers, got {got!r}"[:200])
        if not isinstance(self.maps, str) or len(maps_of(self.maps)) > MOST_LAYERS:
            raise UsageError(f"maps must be at most {MOST_LAYERS} convolutions, got {self.maps!r}"[:200])

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The setup that the page sent; what is left out has its usual value, an unknown name is an error."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in values if name not in known]:
            raise UsageError(f"a setup has {', '.join(known)}; got {', '.join(unknown)}"[:300])
        values = dict(values)
        if isinstance(values.get("layers"), list):
            values["layers"] = tuple(values["layers"])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    # ---- what it means

    def sizes(self, data: Dataset) -> list[int]:
        """Inputs, hidden units, outputs."""
        height, width = data.shape
        return [height * width, *self.layers, len(data.classes)]

    @property
    def init(self) -> str:
        """What goes with the activation."""
        return "glorot" if self.activation in ("tanh", "sigmoid") else "he"

    def check_memory(self, data: Dataset, machine: int | None = None) -> None:
        """Refuse a network that this machine could not train, by arithmetic, before it takes the memory."""
        inputs, *sizes = self.sizes(data)
        sliding = list(convolutions(inputs, maps_of(self.maps), self.init))
        outs = [inputs, *(layer.outputs for layer in sliding)]
        seen = sum(layer.im2col_size for layer in sliding)
        parameters = sum(math.prod(shape) for layer in sliding for shape in layer.shapes.values())
        parameters += sum((before + 1) * units for before, units in itertools.pairwise([outs[-1], *sizes]))
        numbers = (
            6 * max(self.batch_size, 1_000) * sum([*outs, *sizes]) + 2 * max(self.batch_size, MAX_BLOCK_SAMPLES) * seen
        )
        needed = 4 * (COPIES * parameters + numbers)
        limit = int(SHARE * (machine or memory() or UNTOLD_MEMORY))
        if needed > limit:
            asked = f"{list(self.layers)}" + f" after maps {self.maps}" * bool(sliding)
            raise UsageError(
                f"layers must fit into {limit / 1e9:.1f} GB of memory, {asked} would need {needed / 1e9:,.1f} GB"[:200]
            )

    def model(self, data: Dataset) -> Model:
        """A new model, as the seed makes it."""
        preparation = Preparation.standard(deskew=self.deskew)
        return Model(
            self.sizes(data),
            seed=self.seed,
            maps=maps_of(self.maps),
            activation=self.activation,
            init=self.init,
            output_scale=0.1,
            preparation=preparation,
            classes=data.classes,
        )

    def recipe(self) -> Recipe:
        """How to train it: one thread is left to the page."""
        return Recipe(
            epochs=EPOCHS,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            optimizer=self.rule(),
            schedule=Constant(),
            augment=self.augment,
            threads=threads(),
        )

    def rule(self) -> Optimizer:
        """The optimiser of that name; momentum looks ahead."""
        return Momentum(nesterov=True) if self.optimizer == "momentum" else optimizer_named(self.optimizer)


def threads() -> int:
    """Threads for training: one fewer than there are, so that the page is answered while it trains."""
    return max(1, available() - 1)


def fitting(model: Model, data: Dataset) -> bool:
    """Whether the model takes these pictures and knows as many classes."""
    return math.prod(data.shape) == model.network.in_size and len(data.classes) == len(model.classes)
