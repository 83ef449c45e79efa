"""Training: the loop that turns a model and a data set into a better model, and says what happens on the way.

From the top: `loop` (steps, epochs, `fit`) drives a `session` (one run, step by step), which takes its batches from the
`feed`, its gradients from the `engine`, and its choices from a `recipe`; the `plan` decides how a step is executed on
this machine. Nothing here prints.
"""

from byhand.training.loop import fit, history_of, steps, train
from byhand.training.presets import PRESETS, Preset, preset
from byhand.training.recipe import Recipe
from byhand.training.records import EpochRecord, History, StepRecord
from byhand.training.session import Session

__all__ = [
    "PRESETS",
    "EpochRecord",
    "History",
    "Preset",
    "Recipe",
    "Session",
    "StepRecord",
    "fit",
    "history_of",
    "preset",
    "steps",
    "train",
]
