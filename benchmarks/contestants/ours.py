"""byhand, as `byhand.fit` runs it: bytes in, a trainer stepped through its epochs."""

import itertools

import numpy as np

from byhand import training
from benchmarks.contestants import Contestant
from benchmarks.work import Work
from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.optimizers import optimizer_named
from byhand.nn.schedules import Constant
from byhand.training import Recipe
from byhand.training.batches import order_of_epoch

#: An epoch's records are made at its end; so many epochs are more than anyone measures.
ENDLESS = 1_000_000


class Trainer(Contestant):
    """One trainer, taken step by step, so that nothing is timed but the steps."""

    def __init__(self, work: Work) -> None:
        pixels, labels = work.pictures
        model = Model(list(work.sizes))
        for layer, (W, b) in zip(model.network.dense, work.start, strict=True):
            layer.W[...], layer.b[...] = W, b
        recipe = Recipe(
            epochs=ENDLESS,
            batch_size=work.batch,
            learning_rate=work.rate,
            optimizer=optimizer_named(work.optimizer),
            schedule=Constant(),
        )
        if work.batch is not None:
            # in the first epoch all contestants take the pictures as they stand: so put them where our first shuffle
            # will look for them
            order = order_of_epoch(work.images, 0, 0)
            pixels, labels = pixels[np.argsort(order)], labels[np.argsort(order)]
        self.steps = work.steps
        self.trainer = training.Trainer(model, Dataset(pixels.reshape(-1, 28, 28), labels), recipe, seed=0)

    def epoch(self, number: int) -> float:
        return sum(self.trainer.step().loss for _ in itertools.repeat(None, self.steps)) / self.steps
