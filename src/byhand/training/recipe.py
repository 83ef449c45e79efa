"""The recipe: everything about a training run that is a choice. With the data and the seed it decides every bit.

A recipe is plain values all the way down, so it can be written beside the model and read back.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

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


@dataclass(frozen=True)
class Recipe:
    """How to train. `batch_size=None` takes the whole data as one batch, as the assignment does.

    Optimiser, schedule and loss may be given by their names on the command line: "adam" is `Adam()`.
    """

    epochs: int = 10
    batch_size: int | None = 128
    learning_rate: float = 0.1
    optimizer: Optimizer = Momentum(momentum=0.9, nesterov=True)
    schedule: Schedule = OneCycle()
    loss: Loss = SoftmaxCrossEntropy()
    augment: str = "none"
    #: At least this share of the epochs, the last ones, distorts half as far: what will be read is not distorted.
    gentle: float = 0.0
    #: Shorten a gradient longer than this.
    clip: float | None = None
    #: Shorten a unit's incoming weights where they are longer than this.
    max_norm: float | None = None
    #: Keep a moving average of the weights with this decay, and use it in the end.
    average: float | None = None
    #: Held out of the training data: a share under 1, or a number of samples.
    validation: float = 0.0
    #: Stop when the validation loss has not improved for so many records, and give back the best weights.
    patience: int | None = None
    #: A record every so many epochs; with the whole data as one batch an epoch is one step.
    record_every: int = 1
    #: Threads to use; None takes what the machine has.
    threads: int | None = None

    def __post_init__(self) -> None:
        self._make_named()
        if not isinstance(self.augment, str):
            raise UsageError(f"augment must be text such as 'none' or 'shift=2,rotate=10', got {self.augment!r}")
        for name in ("epochs", "batch_size", "patience", "record_every", "threads"):
            value = getattr(self, name)
            optional = name not in ("epochs", "record_every")
            if not (value is None and optional) and (isinstance(value, bool) or not is_whole(value) or value < 1):
                raise UsageError(f"{name} must be a positive integer{' or None' if optional else ''}, got {value!r}")
            if value is not None:
                object.__setattr__(self, name, int(value))  # NumPy's own would be no plain value to write down
        for name in ("learning_rate", "clip", "max_norm"):
            value = getattr(self, name)
            optional = name != "learning_rate"
            if not (value is None and optional) and not (is_number(value) and 0 < value < np.inf):
                raise UsageError(f"{name} must be a positive number, got {value!r}")
        if self.average is not None and not (is_number(self.average) and 0 < self.average < 1):
            raise UsageError(f"average must be over 0 and under 1, got {self.average!r}")
        if not (is_number(self.gentle) and 0 <= self.gentle <= 1):
            raise UsageError(f"gentle must be a share of the epochs, 0 to 1, got {self.gentle!r}")
        held = self.validation
        if not (is_number(held) and 0 <= held < np.inf and (held < 1 or held == int(held))):
            raise UsageError(f"validation must be a share under 1 or a number of samples, got {held!r}")
        for name in ("learning_rate", "clip", "max_norm", "average", "gentle", "validation"):
            value = getattr(self, name)
            if isinstance(value, np.generic):
                object.__setattr__(self, name, value.item())

    def _make_named(self) -> None:
        """Put the object that was meant where its name was given."""
        for name, kind, named in NAMED:
            if not isinstance(value := getattr(self, name), kind):
                object.__setattr__(self, name, named(value))

    @property
    def gentle_from(self) -> int:
        """The first epoch, counted from 0, that distorts half as far: a share of an epoch counts as a whole one."""
        return self.epochs - math.ceil(round(self.epochs * self.gentle, 3))  # 100 · 0.07 is a little over 7

    def but(self, **changes: Any) -> Self:
        """The same recipe with some choices changed; an unknown name is an error that lists the names there are."""
        known = [field.name for field in fields(self)]
        if unknown := [name for name in changes if name not in known]:
            raise UsageError(f"a recipe has {', '.join(known)}; got {', '.join(unknown)}")
        return replace(self, **changes)

    def config(self) -> dict[str, Any]:
        """The recipe as plain values."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["optimizer"] = self.optimizer.config()
        plain["schedule"] = schedule_config(self.schedule)
        plain["loss"] = {"kind": kind_of(self.loss), **vars(self.loss)}
        return plain

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The recipe that these plain values describe."""
        config = dict(config)
        config["optimizer"] = optimizer_named(**config["optimizer"])
        config["schedule"] = schedule_named(**config["schedule"])
        config["loss"] = loss_named(**config["loss"])
        return cls(**config)


def kind_of(loss: Loss) -> str:
    """The name of a loss in the table of losses."""
    return next(name for name, kind in LOSSES.items() if type(loss) is kind)


def is_whole(value: Any) -> bool:
    """Whether this is an integer of any kind."""
    return isinstance(value, int | np.integer)


def is_number(value: Any) -> bool:
    """Whether this is a real number of any kind."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
