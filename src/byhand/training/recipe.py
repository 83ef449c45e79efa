"""The recipe: everything about a training run that is a choice. With the data and the seed it decides every bit.

A recipe is plain values all the way down, so it can be written beside the model and read back.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Self

import numpy as np

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.losses import LOSSES, Loss, SoftmaxCrossEntropy, loss_named
from byhand.nn.optimizers import Momentum, Optimizer, optimizer_named
from byhand.nn.schedules import OneCycle, Schedule, schedule_config, schedule_named

#: The choices that are objects, what they must be, and what makes one of its name.
NAMED: tuple[tuple[str, Any, Callable[[str], Any]], ...] = (
    ("optimizer", Optimizer, optimizer_named),
    ("schedule", Schedule, schedule_named),
    ("loss", Loss, loss_named),
)
#: Names of choices in the version before, and in the files of a run.
OLD_NAMES = {"average": "ema_decay", "gentle": "weak_augment"}


@dataclass(frozen=True)
class Recipe:
    """How to train. `batch_size=None` takes the whole data as one batch, as the assignment does.

    The optimizer, the schedule and the loss may be given by their names on the command line: "adam" is `Adam()`.
    """

    epochs: int = 10
    batch_size: int | None = 128
    learning_rate: float = 0.1
    optimizer: Optimizer = Momentum(momentum=0.9, nesterov=True)
    schedule: Schedule = OneCycle()
    loss: Loss = SoftmaxCrossEntropy()
    augment: str = "none"
    #: Fraction of the final epochs trained with half-strength augmentation, rounded up to whole epochs.
    weak_augment: float = 0.0
    #: Gradient clipping: the largest norm of a gradient.
    clip: float | None = None
    #: The largest norm of a unit's incoming weights.
    max_norm: float | None = None
    #: Decay of an exponential moving average (EMA) of the weights, which replaces the last weights at the end.
    ema_decay: float | None = None
    #: Held out of the training data: a share under 1, or a number of samples.
    validation: float = 0.0
    #: Early stopping: after this many records without a lower validation loss. The best weights are kept.
    patience: int | None = None
    #: A record every so many epochs; with the whole data as one batch an epoch is one step.
    record_every: int = 1
    #: Threads to use; None takes what the machine has.
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, kind, named in NAMED:
            if not isinstance(value := getattr(self, name), kind):
                object.__setattr__(self, name, named(value))
        if not isinstance(self.augment, str):
            raise UsageError(f"augment must be text such as 'none' or 'shift=2,rotate=10', got {self.augment!r}")
        for name in ("epochs", "record_every"):
            checks.integer(name, getattr(self, name), 1)
        checks.positive("learning_rate", self.learning_rate)
        for name in ("batch_size", "patience", "threads", "clip", "max_norm"):
            if (value := getattr(self, name)) is not None:
                check = checks.positive if name in ("clip", "max_norm") else partial(checks.integer, least=1)
                check(name, value)
        if self.ema_decay is not None and not (checks.is_number(self.ema_decay) and 0 < self.ema_decay < 1):
            raise UsageError(f"ema_decay must be over 0 and under 1, got {self.ema_decay!r}")
        if not checks.is_number(self.weak_augment, 0, 1):
            raise UsageError(f"weak_augment must be a share of the epochs, 0 to 1, got {self.weak_augment!r}")
        held = self.validation
        if not (checks.is_number(held, 0) and (held < 1 or held == int(held))):
            raise UsageError(f"validation must be a share under 1 or a number of samples, got {held!r}")
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # can't be written as JSON
                object.__setattr__(self, name, value.item())

    @property
    def weak_from(self) -> int:
        """The first epoch, counted from 0, with half-strength augmentation."""
        return self.epochs - math.ceil(round(self.epochs * self.weak_augment, 3))  # 100 · 0.07 is a little over 7

    def replace(self, **changes: Any) -> Self:
        """Return the same recipe with some choices changed; an unknown name is an error that lists the names."""
        changes = renamed(changes)
        known = [field.name for field in fields(self)]
        if unknown := [name for name in changes if name not in known]:
            raise UsageError(f"a recipe has {', '.join(known)}; got {', '.join(unknown)}")
        return replace(self, **changes)

    def but(self, **changes: Any) -> Self:
        """Return `replace(**changes)`; the name of the version before."""
        warnings.warn("Recipe.but is called replace now", DeprecationWarning, stacklevel=2)
        return self.replace(**changes)

    def __getattr__(self, name: str) -> Any:
        if name not in OLD_NAMES:
            raise AttributeError(f"Recipe has no {name}")
        return getattr(self, *renamed({name: None}))

    def config(self) -> dict[str, Any]:
        """Return plain values, under the names that they have in a run's files."""
        old = {new: name for name, new in OLD_NAMES.items()}
        plain = {old.get(field.name, field.name): getattr(self, field.name) for field in fields(self)}
        plain["optimizer"] = self.optimizer.config()
        plain["schedule"] = schedule_config(self.schedule)
        kind = next(name for name, kind in LOSSES.items() if type(self.loss) is kind)
        plain["loss"] = {"kind": kind, **vars(self.loss)}
        return plain

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the recipe that `config` described."""
        values = {OLD_NAMES.get(name, name): value for name, value in config.items()}
        for name, named in (("optimizer", optimizer_named), ("schedule", schedule_named), ("loss", loss_named)):
            values[name] = named(**values[name])
        return cls(**values)


def _initialize(self: Recipe, *values: Any, **choices: Any) -> None:
    """Accept the names of the version before too."""
    _initialize_fields(self, *values, **renamed(choices))


_initialize_fields, Recipe.__init__ = Recipe.__init__, _initialize  # type: ignore[method-assign]


def renamed(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return choices under their present names, and warn of names of the version before."""
    for old in choices.keys() & OLD_NAMES.keys():
        warnings.warn(f"{old} is called {OLD_NAMES[old]} now", DeprecationWarning, stacklevel=3)
    return {OLD_NAMES.get(name, name): value for name, value in choices.items()}
