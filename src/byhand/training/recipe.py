"""Recipes (the settings of a run) and presets (named recipes, with a network and a preparation).

With the same data, seed and recipe, a run is bit-identical. The presets were chosen on a validation split of the
training images (`docs/recipes.md`). `with_overrides` applies options of `byhand train` or of a sweep to a preset.
"""

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import DTypeLike

from byhand import checks
from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.losses import ELSEWHERE as LOSSES_ELSEWHERE
from byhand.nn.losses import LOSSES, Loss, SoftmaxCrossEntropy, loss_named
from byhand.nn.network import Maps
from byhand.nn.optimizers import OPTIMIZERS, AdamW, GradientDescent, Momentum, Optimizer, optimizer_named
from byhand.nn.schedules import SCHEDULES, Constant, OneCycle, Schedule, schedule_config, schedule_named
from byhand.schema import checked, inside, of_kind
from byhand.text import did_you_mean

#: Settings that are objects: their type, and the classes by name.
NAMED: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("optimizer", Optimizer, OPTIMIZERS),
    ("schedule", Schedule, SCHEDULES),
    ("loss", Loss, LOSSES),
)
#: Maximum number of epochs of a run.
MAX_EPOCHS = 10**9
#: Deprecated names of settings, which are still the names in the files of a run.
OLD_NAMES = {"average": "ema_decay", "gentle": "weak_augment"}
#: Names in other libraries, and what to type here.
ELSEWHERE = {
    **dict.fromkeys(("lr", "learning_rate_init", "eta"), "learning_rate"),
    **dict.fromkeys(("max_iter", "n_epochs", "num_epochs", "iterations"), "epochs"),
    **dict.fromkeys(("bs", "batch"), "batch_size"),
    **dict.fromkeys(("validation_split", "validation_fraction", "val", "val_split"), "validation"),
    **dict.fromkeys(("early_stopping", "n_iter_no_change"), "patience"),
    **dict.fromkeys(("clipnorm", "grad_clip", "max_grad_norm"), "clip"),
    **dict.fromkeys(("lr_scheduler", "scheduler"), "schedule"),
    **dict.fromkeys(("solver", "optim"), "optimizer"),
    **dict.fromkeys(("momentum", "nesterov"), 'optimizer="momentum"'),
    **dict.fromkeys(("weight_decay", "wd", "alpha", "l2"), "optimizer=AdamW(weight_decay=…)"),
    **dict.fromkeys(("criterion", "loss_function", "loss_fn"), "loss"),
    **{name: f"byhand.Model(…, {name}=…)" for name in ("maps", "activation", "dropout", "batch_norm", "init", "dtype")},
    **dict.fromkeys(("hidden", "hidden_layer_sizes"), "byhand.Model([784, 128, 10])"),
    "random_state": "seed",
    "n_jobs": "threads",
    "metrics": '(history["accuracy"] is always there)',
    "shuffle": "(samples are always shuffled)",
    "steps_per_epoch": "batch_size",
    "initial_epoch": "(a second fit continues with the weights)",
}


class RecipeSettings(TypedDict, total=False):
    """The fields of `Recipe` as keyword arguments, for editors and type checkers."""

    epochs: int
    batch_size: int | None
    learning_rate: float
    optimizer: Optimizer | str
    schedule: Schedule | str
    loss: Loss | str
    augment: str
    weak_augment: float
    clip: float | None
    max_norm: float | None
    ema_decay: float | None
    validation: float
    patience: int | None
    record_every: int
    threads: int | None


@dataclass(frozen=True)
class Recipe:
    """The settings of a run. `batch_size=None` puts all samples into one batch.

    The optimizer, the schedule and the loss may be given by name: "adam" is `Adam()`.
    """

    epochs: int = 10
    batch_size: int | None = 128
    learning_rate: float = 0.1
    optimizer: Optimizer = Momentum(momentum=0.9, nesterov=True)
    schedule: Schedule = OneCycle()
    loss: Loss = SoftmaxCrossEntropy()
    augment: str = "none"
    #: Fraction of the final epochs trained with half-strength augmentation, rounded up.
    weak_augment: float = 0.0
    #: Gradient clipping: the maximum norm of the gradient.
    clip: float | None = None
    #: Maximum norm of the incoming weights of a unit.
    max_norm: float | None = None
    #: Decay of an exponential moving average (EMA) of the weights, the final weights.
    ema_decay: float | None = None
    #: Held-out samples: a fraction of the training data, or a number.
    validation: float = 0.0
    #: Early stopping: the number of records without a lower validation loss. The best weights are kept.
    patience: int | None = None
    #: Epochs per record.
    record_every: int = 1
    #: Number of threads; None: one per processor.
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, kind, kinds in NAMED:
            if not isinstance(value := getattr(self, name), kind):
                object.__setattr__(self, name, of_kind(name, kinds, {"kind": value}, LOSSES_ELSEWHERE))
        if not isinstance(self.augment, str):
            raise UsageError(f"augment must be text such as 'none' or 'shift=2,rotate=10', got {self.augment!r}")
        for name in ("epochs", "record_every"):
            checks.integer(name, checks.integer(name, getattr(self, name), 1), 1, MAX_EPOCHS)
        checks.positive("learning_rate", self.learning_rate)
        for name in ("batch_size", "patience", "threads", "clip", "max_norm"):
            if (value := getattr(self, name)) is not None:
                check = checks.positive if name in ("clip", "max_norm") else partial(checks.integer, least=1)
                check(name, value)
        if self.ema_decay is not None and not (checks.is_number(self.ema_decay) and 0 < self.ema_decay < 1):
            raise UsageError(f"ema_decay must be greater than 0 and less than 1, got {self.ema_decay!r}")
        if not checks.is_number(self.weak_augment, 0, 1):
            raise UsageError(f"weak_augment must be a fraction of the epochs, 0 to 1, got {self.weak_augment!r}")
        held = self.validation
        if not (checks.is_number(held, 0) and (held < 1 or held == int(held))):
            raise UsageError(f"validation must be a fraction less than 1 or a number of samples, got {held!r}")
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # JSON needs Python's numbers
                object.__setattr__(self, name, value.item())

    @property
    def weak_from(self) -> int:
        """The first epoch with half-strength augmentation, from 0."""
        return self.epochs - math.ceil(round(self.epochs * self.weak_augment, 3))  # 100 · 0.07 > 7

    def replace(self, **changes: Unpack[RecipeSettings]) -> Self:
        """Return the recipe with some settings changed."""
        check_settings(changes)
        return replace(self, **renamed(changes))

    def but(self, **changes: Any) -> Self:
        """Deprecated name of `replace`."""
        warnings.warn("Recipe.but is deprecated, use replace", DeprecationWarning, stacklevel=2)
        return self.replace(**changes)

    def __getattr__(self, name: str) -> Any:
        if name not in OLD_NAMES:
            raise AttributeError(f"Recipe has no {name}")
        return getattr(self, *renamed({name: None}))

    def config(self) -> dict[str, Any]:
        """Return plain values, under the names in the files of a run."""
        old = {new: name for name, new in OLD_NAMES.items()}
        plain = {old.get(field.name, field.name): getattr(self, field.name) for field in fields(self)}
        plain["optimizer"] = self.optimizer.config()
        plain["schedule"] = schedule_config(self.schedule)
        kind = next(name for name, kind in LOSSES.items() if type(self.loss) is kind)
        plain["loss"] = {"kind": kind, **vars(self.loss)}
        return plain

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        values = {OLD_NAMES.get(name, name): value for name, value in config.items()}
        with inside("recipe"):
            for name, _, kinds in NAMED:
                values[name] = of_kind(name, kinds, values[name])
            recipe: Self = checked(cls, values)
            return recipe


def _initialize(self: Recipe, *values: Any, **choices: Any) -> None:
    """Accept deprecated names too, and reject unknown ones."""
    check_settings(choices)
    _initialize_fields(self, *values, **renamed(choices))


_initialize_fields, Recipe.__init__ = Recipe.__init__, _initialize  # type: ignore[method-assign]


def check_settings(given: Iterable[str], more: Iterable[str] = ()) -> None:
    """Raise an error for a name that is neither a setting of a recipe nor in `more`."""
    known = [*RecipeSettings.__annotations__, *more]
    for name in given:
        if name not in known and name not in OLD_NAMES:
            hint = did_you_mean(name, known, ELSEWHERE) or f": the settings are {', '.join(known)}"
            raise UsageError(f"unknown setting {name!r:.60}{hint}")


def renamed(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under their current names, and warn of deprecated ones."""
    for old in choices.keys() & OLD_NAMES.keys():
        warnings.warn(f"{old} is deprecated, use {OLD_NAMES[old]}", DeprecationWarning, stacklevel=3)
    return {OLD_NAMES.get(name, name): value for name, value in choices.items()}


@dataclass(frozen=True)
class Preset:
    """A named recipe with its network. `samples`: train on the first N samples only."""

    name: str
    about: str
    recipe: Recipe
    hidden: tuple[int, ...]
    preparation: Preparation = Preparation()
    network: dict[str, Any] = field(default_factory=dict)
    samples: int | None = None
    #: The seed of the old generator, to reproduce a published run exactly.
    published_seed: int | None = None

    def model(
        self, in_size: int, classes: tuple[str, ...], *, seed: int, dtype: DTypeLike | None = None, **changes: Any
    ) -> Model:
        """Return a new model. `changes` are settings of the network."""
        sizes = [in_size, *changes.pop("hidden", self.hidden), len(classes)]
        rng: np.random.Generator | np.random.RandomState = np.random.default_rng(seed)
        if self.published_seed is not None:
            if (published := self.published_seed + seed) >= 2**32:
                raise UsageError(f"seed must be under {2**32 - self.published_seed:,} for {self.name}, got {seed:,}")
            rng = np.random.RandomState(published)
        preparation = changes.pop("preparation", self.preparation)
        settings = {**self.network, **changes}
        return Model(sizes, rng=rng, dtype=dtype or "float32", preparation=preparation, classes=classes, **settings)


DESKEWED = Preparation.standard(deskew=True)
WHOLE_BATCH = Recipe(batch_size=None, optimizer=GradientDescent(), schedule=Constant())
LONG = Recipe(
    epochs=150,
    batch_size=256,
    learning_rate=0.001,
    optimizer=AdamW(weight_decay=0.1),
    schedule=OneCycle(warmup=0.1),
    augment="shift=1,rotate=12,scale=0.15,shear=0.15,elastic=1",
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "digits",
            "the default: deskewed and augmented, also for drawings; under 20 s on full MNIST",
            Recipe(epochs=10, augment="default"),
            hidden=(256,),
            preparation=DESKEWED,
            network={"output_scale": 0.1},
        ),
        Preset(
            "fast",
            "deskewed; trains in about a second on full MNIST",
            Recipe(epochs=4),
            hidden=(192,),
            preparation=DESKEWED,
            network={"output_scale": 0.1},
        ),
        Preset(
            "best",
            "two wide layers, deskewed, strongly augmented; under 15 minutes on full MNIST",
            LONG,
            hidden=(800, 800),
            preparation=DESKEWED,
            network={"output_scale": 0.1},
        ),
        Preset(
            "record",
            "four convolutions; under half an hour on full MNIST",
            LONG.replace(epochs=50, weak_augment=0.2),
            hidden=(256,),
            preparation=DESKEWED,
            network={
                "maps": ((16, 3, 1), (32, 4, 2), (48, 3, 1), (64, 4, 2)),
                "activation": "leaky_relu",
                "dropout": 0.3,
                "output_scale": 0.1,
            },
        ),
        Preset(
            "l-layer",
            "the assignment's run: 5,000 images, 784-45-10, 2,000 full-batch iterations",
            WHOLE_BATCH.replace(epochs=2000, learning_rate=0.0075, record_every=100),
            hidden=(45,),
            preparation=Preparation(divisor=256),
            network={"init": "l_layer"},
            samples=5000,
            published_seed=2,
        ),
        Preset(
            "two-layer",
            "the 784-10-10 program: 500 full-batch iterations",
            WHOLE_BATCH.replace(epochs=500, learning_rate=0.1, record_every=10, validation=1000),
            hidden=(10,),
            network={"init": "two_layer"},
        ),
    )
}


def preset(name: str) -> Preset:
    if name not in PRESETS:
        raise UsageError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


#: Minimum number of steps on data that are not in MNIST's form. With 300, images of mixed sizes are learned less well.
MIN_STEPS = 600


def adapted(chosen: Preset, data: Dataset) -> Preset:
    """Return the preset for a data set: unchanged for images in MNIST's form.

    For other images, the mean and the standard deviation are computed from the data, there is no deskewing and no
    augmentation (both are made for handwriting), and small data sets get more epochs.
    """
    if data.has_mnist_form:
        return chosen
    preparation, recipe = chosen.preparation, chosen.recipe
    if not preparation.is_plain:
        preparation = Preparation.of(data.images)
    if recipe.augment != "none":
        recipe = recipe.replace(augment="none", weak_augment=0.0)
    recipe = with_min_steps(recipe, len(data))
    return replace(chosen, preparation=replace(preparation, deskew=False), recipe=recipe)


def with_min_steps(recipe: Recipe, samples: int) -> Recipe:
    """Return the recipe with more epochs, if this many samples give too few steps."""
    if recipe.batch_size is None or samples == 0:
        return recipe
    steps = -(-samples // recipe.batch_size)
    return recipe.replace(epochs=max(recipe.epochs, -(-MIN_STEPS // steps)))


NETWORK = ("hidden", "maps", "activation", "dropout", "batch_norm", "init")
OPTIMIZER = ("momentum", "nesterov", "weight_decay")
CHOICES = tuple(field.name for field in fields(Recipe))
#: The names of the settings that `with_overrides` can change.
NAMES = (*NETWORK, "dtype", "deskew", "scale", "input", *CHOICES, *OPTIMIZER, "label_smoothing", *OLD_NAMES)


def with_overrides(
    chosen: Preset,
    given: Mapping[str, Any],
    *,
    in_size: int,
    classes: tuple[str, ...],
    seed: int,
    data: Dataset | None = None,
) -> tuple[Model, Recipe]:
    """Return the untrained model and the recipe of a preset, adapted to the data, with changed settings."""
    given = renamed(given)
    if data is not None:
        chosen = adapted(chosen, data)
    recipe = changed_recipe(chosen.recipe, given)
    network = {name: given[name] for name in NETWORK if name in given}
    for name, parsed in (("hidden", sizes_of), ("maps", maps_of)):
        if isinstance(network.get(name), str):
            network[name] = parsed(network[name])
    preparation = changed_preparation(chosen.preparation, given, data)
    if data is not None and network.get("maps", chosen.network.get("maps")):
        network["shape"] = data.shape
    model = chosen.model(in_size, classes, seed=seed, dtype=given.get("dtype"), preparation=preparation, **network)
    return model, recipe


def changed_recipe(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """Return the recipe with some settings changed."""
    plain = {name: given[name] for name in CHOICES if name in given and name not in ("optimizer", "schedule", "loss")}
    if "batch_size" in plain:
        plain["batch_size"] = batch_size(str(plain["batch_size"]))
    settings = {name: given[name] for name in OPTIMIZER if name in given}
    if "optimizer" in given:
        plain["optimizer"] = optimizer_named(given["optimizer"], **settings)
    elif settings:
        plain["optimizer"] = optimizer_named(**(recipe.optimizer.config() | settings))
    if "schedule" in given:
        plain["schedule"] = schedule_named(given["schedule"])
    loss = loss_named(given["loss"]) if "loss" in given else recipe.loss
    if "label_smoothing" in given:
        if not isinstance(loss, SoftmaxCrossEntropy):
            raise UsageError("label_smoothing needs the loss cross_entropy, got mse")
        loss = SoftmaxCrossEntropy(given["label_smoothing"])
    return recipe.replace(**plain, loss=loss)


#: Scalings of the pixels: a divisor, or mean 0 and standard deviation 1.
SCALES = ("255", "256", "standard")


def changed_preparation(preparation: Preparation, given: Mapping[str, Any], data: Dataset | None = None) -> Preparation:
    """Return the preparation with some settings changed."""
    if "scale" in given:
        scale = str(given["scale"])
        if scale not in SCALES:
            raise UsageError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        if scale != "standard":
            preparation = Preparation(divisor=int(scale))
        elif data is None or data.has_mnist_form:
            preparation = Preparation.standard()
        else:
            preparation = Preparation.of(data.images)
    if (given_input := given.get("input")) is not None:
        preparation = replace(preparation, input=given_input, shape=None if data is None else data.shape)
    return replace(preparation, deskew=given.get("deskew", preparation.deskew))


def sizes_of(text: str) -> tuple[int, ...]:
    """`128,64` → (128, 64), `none` → ()"""
    if text.strip() in ("none", ""):
        return ()
    try:
        sizes = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        meant = re.findall(r"[0-9]+", text)
        hint = f": type {','.join(meant)}" if len(meant) > 1 and not re.search(r"[a-wyz.]", text) else ""
        raise UsageError(f"hidden must be positive integers separated by commas, or none, got {text!r:.60}{hint}")
    return sizes


def maps_of(text: str) -> tuple[Maps, ...]:
    """`32,64` → (32, 64), `16@3/1,32@4` → ((16, 3, 1), (32, 4)), `none` → ()"""
    parts = [] if text.strip() in ("none", "") else text.split(",")
    forms = [re.fullmatch(r"(\d{1,6})(?:@(\d{1,6})(?:/(\d{1,6}))?)?", part.strip(), re.ASCII) for part in parts]
    if not all(forms):
        raise UsageError(f"maps must be like 32,64 or 16@3/1,32@4/2 (maps@window/stride), got {text!r:.60}")
    numbers = [tuple(int(number) for number in form.groups() if number) for form in forms if form]
    return tuple(each if len(each) > 1 else each[0] for each in numbers)


def batch_size(text: str) -> int | None:
    """`all` → None, `128` → 128"""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"batch_size must be a positive integer or all, got {text!r}")
    return int(text)
