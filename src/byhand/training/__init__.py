"""Training: the loop that turns a model and a data set into a better model, and yields records of what happens.

`loop` is the page to read: one step, the epochs, `fit`. It takes its batches from `batches`, and its choices from a
`recipe`; `setup` makes once what every step uses, by a `plan` of how a step is executed on this machine. Nothing here
prints.
"""

from typing import Any

from byhand.training.loop import Trainer, fit, steps, train
from byhand.training.presets import PRESETS, Preset, preset
from byhand.training.recipe import Recipe
from byhand.training.records import EpochRecord, History, StepRecord

__all__ = [
    "PRESETS",
    "EpochRecord",
    "History",
    "Preset",
    "Recipe",
    "StepRecord",
    "Trainer",
    "fit",
    "preset",
    "steps",
    "train",
]


def __getattr__(name: str) -> Any:
    """Return what had another name in the version before, with a warning."""
    import warnings

    if name == "Session":
        warnings.warn("byhand.training.Session is called Trainer now", DeprecationWarning, stacklevel=2)
        return Trainer
    if name == "history_of":
        warnings.warn("history_of(session) is trainer.history() now", DeprecationWarning, stacklevel=2)
        return Trainer.history
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
