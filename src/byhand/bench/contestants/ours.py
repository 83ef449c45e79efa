"""byhand, as `byhand.fit` runs it: bytes in, a session stepped through its epochs."""

import itertools
from typing import Any

from byhand.bench.contestants import Contestant
from byhand.bench.work import Work
from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.optimizers import optimizer_named
from byhand.nn.schedules import Constant
from byhand.training import Recipe, Session

#: An epoch's records are made at its end; so many epochs are more than anyone measures.
ENDLESS = 1_000_000


class Trainer(Contestant):
    """One session, taken step by step, so that nothing is timed but the steps."""

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
        self.steps = work.steps
        self.session = Session(model, Dataset(pixels.reshape(-1, 28, 28), labels), recipe, seed=0)
        self._shuffled: Any = self.session.feed.order
        self.session.feed.order = lambda epoch: self._shuffled(epoch) if epoch else self.session.feed.index  # type: ignore[method-assign]

    def epoch(self, number: int) -> float:
        return sum(self.session.step().loss for _ in itertools.repeat(None, self.steps)) / self.steps
