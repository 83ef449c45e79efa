"""Training: the step, the loop over epochs, settings, and runs that are saved in a folder.

Start reading with `loop`. Its batches come from `batches`, its settings from a `recipe`, its arrays from `setup`, by a
`plan` for this machine. `run` saves a training in a folder; `fitting` has the short form, `fit`. Only `progress`
prints.
"""

from byhand.lazy import renamed
from byhand.training.fitting import fit
from byhand.training.loop import Callback, Trainer, steps, train
from byhand.training.progress import ProgressBar
from byhand.training.recipe import PRESETS, Preset, Recipe, preset
from byhand.training.records import EpochRecord, History, StepRecord
from byhand.training.run import RunResult, begin_run, resume, train_run

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

__getattr__ = renamed(__name__, {"Session": "Trainer", "history_of": "Trainer.history"})
