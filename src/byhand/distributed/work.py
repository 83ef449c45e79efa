"""The work of a sweep: a function that takes one trial a few epochs further, wherever it is run.

`advance(job, state)` needs nothing but its arguments and the data set that the job names, and gives the new state back.
So it may run in a process of this machine or on another one, be run again where a worker died, and be taken up after
the sweep was killed: the result is the same.
"""

import functools
from dataclasses import dataclass
from typing import Any

from byhand.data import Digits, load
from byhand.distributed.space import Space, Value
from byhand.errors import DataError, DivergedError
from byhand.nn.arrays import Array
from byhand.training import Trainer, train

#: Arrays and plain values, as `Trainer.state` gives them.
State = tuple[dict[str, Array], dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """One trial: its settings, and the data to train on, which must have this checksum."""

    number: int
    space: dict[str, Any]
    values: dict[str, Value]
    data: str | None
    checksum: str
    offline: bool
    seed: int


@dataclass(frozen=True)
class Advance:
    """How far a trial has come: its state, whether its training is over, and why where it went wrong."""

    state: State | None
    is_over: bool = False
    diverged: str | None = None


def advance(job: Job, state: State | None, epochs: int) -> Advance:
    """Train `epochs` epochs more, from `state` or from the start."""
    space = Space.from_config(job.space)
    images = space.images(digits(job.data, job.offline).train)
    if images.checksum != job.checksum:
        raise DataError(
            f"{images.name}: every worker must have the same data, got {images.checksum[:12]} and {job.checksum[:12]}"
        )
    height, width = images.shape
    model, recipe = space.build(job.values, in_size=height * width, classes=images.classes, seed=job.seed)
    with Trainer(model, images, recipe, seed=job.seed) as trainer:
        if state is not None:
            trainer.restore(*state)
        try:
            begun = trainer.progress.step // trainer.batches_per_epoch
            for record in train(trainer):
                if record.epoch - begun >= epochs:
                    break
        except DivergedError as error:
            return Advance(None, is_over=True, diverged=str(error))
        arrays, plain = trainer.state()
        return Advance(({name: array.copy() for name, array in arrays.items()}, plain), is_over=trainer.is_over)


@functools.lru_cache(maxsize=2)
def digits(data: str | None, offline: bool) -> Digits:
    """The data set, read once a process."""
    return load(data, offline=offline)
