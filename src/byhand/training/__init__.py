"""Training: the loop that turns a model and a data set into a better model, and yields records of what happens.

`loop` is the page to read: one step, the epochs. It takes its batches from `batches`, and its choices from a `recipe`;
`setup` makes once what every step uses, by a `plan` of how a step is executed on this machine. `run` keeps a training
in a folder. Nothing here prints.
"""

from typing import Any

from byhand.training.loop import Callback, Trainer, steps, train
from byhand.training.progress import ProgressBar
from byhand.training.recipe import PRESETS, Preset, Recipe, preset
from byhand.training.records import EpochRecord, History, StepRecord
from byhand.training.run import RunResult, begin_run, fit, resume, train_run

__all__ = [
    "PRESETS",
    "Callback",
    "EpochRecord",
    "History",
    "Preset",
    "ProgressBar",
    "Recipe",
    "RunResult",
    "StepRecord",
    "Trainer",
    "begin_run",
    "fit",
    "preset",
    "resume",
    "steps",
    "train",
    "train_run",
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
