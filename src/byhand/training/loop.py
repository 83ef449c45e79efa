"""The loop: predict, loss, gradient, step, again. It yields what happens and never prints.

for record in steps(session): …        a record a step
for record in train(session): …        a record an epoch
history = fit(model, data, …)          run it to its end
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.scratch import Array
from byhand.training.interrupt import interruptible
from byhand.training.presets import preset
from byhand.training.recipe import Recipe
from byhand.training.records import EpochRecord, History, StepRecord
from byhand.training.samples import Data
from byhand.training.session import Session


def steps(session: Session, stop: threading.Event | None = None) -> Iterator[StepRecord]:
    """Take the session's steps one by one, until it is over or `stop` is set.

    The epoch's record, with its validation, is made between its last step and the next one and lies in
    `session.progress.records`; `train` is the loop that yields those.
    """
    for record, _ in _walk(session, stop):
        yield record


def train(
    session: Session,
    stop: threading.Event | None = None,
    *,
    after_step: Callable[[Session], object] | None = None,
) -> Iterator[EpochRecord]:
    """Take the session's steps, and yield a record for each epoch (each `record_every` epochs).

    `after_step` is called after each step, when the session's state is whole: the place to save it.
    """
    for _, epoch in _walk(session, stop):
        if after_step is not None:
            after_step(session)
        if epoch is not None:
            yield epoch


def _walk(session: Session, stop: threading.Event | None) -> Iterator[tuple[StepRecord, EpochRecord | None]]:
    """Each step's record, with the epoch's where it ends one that is to be recorded."""
    every = session.recipe.record_every
    while not session.is_over and not (stop is not None and stop.is_set()):
        record = session.step()
        epoch = None
        if record.ends_epoch:
            if (record.epoch - 1) % every == 0 or record.epoch == session.recipe.epochs:
                epoch = session.epoch_record()
            session.forget_epoch()
        yield record, epoch
    if session.is_over:
        session.finish()


def fit(
    model: Model,
    data: Data,
    *,
    recipe: Recipe | str | None = None,
    seed: int = 0,
    sample_weights: Array | None = None,
    validation_data: Data | None = None,
    **choices: Any,
) -> History:
    """Train `model` on `data` to the recipe's end, and return the history of its records.

    data: a Dataset, or (X, y) with X (N, in_size) floats and y (N,) integers. `recipe` is a Recipe or a preset's name;
    `choices` change it: `fit(model, digits.train, epochs=10, validation=0.1, seed=0)`. Ctrl-C ends the run after the
    current step and gives the history so far. Without a recipe it is that of `digits`; floats are not augmented.
    `validation_data`, as `data`, is watched in place of a part of `data`: then nothing is held out, whatever the
    recipe's `validation` says.
    """
    if not isinstance(recipe, Recipe):
        recipe = preset(recipe or "digits").recipe
        if not isinstance(data, Dataset):
            recipe = recipe.but(augment="none")
    chosen = recipe.but(**choices)
    with (
        Session(
            model, data, chosen, seed=seed, sample_weights=sample_weights, validation_data=validation_data
        ) as session,
        interruptible() as stop,
    ):
        for _ in train(session, stop):
            pass
        if stop.is_set():
            session.hand_over()
        return history_of(session, interrupted=stop.is_set())


def history_of(session: Session, *, interrupted: bool = False) -> History:
    """What a session has recorded so far, and how it ended."""
    over = session.progress.finished
    ending = "interrupted" if interrupted and not over else "stopped early" if session.should_stop else "done"
    return History(list(session.progress.records), ending, session.progress.best_epoch or None)
