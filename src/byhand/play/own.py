"""Training with functions that are not byhand's: those of a student's file.

byhand chooses the batches, records the loss and draws the page; every step and every answer is a call of the functions.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.model.model import blocks
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array
from byhand.nn.network import Network
from byhand.play.setup import Setup
from byhand.training import StepRecord, Trainer

#: The settings that don't concern the functions.
FREE = ("data", "learning_rate", "batch_size", "seed", "samples")
#: The hidden layers of the first network, if the functions make any.
LAYERS = (32,)


class Functions(Protocol):
    """Functions that train. Weights are W1, b1, W2, …, of shapes (n, n_prev) and (n, 1); X is (D, m)."""

    file: str

    def start(self, sizes: list[int]) -> list[Array]:
        """Return initial weights."""

    def step(self, X: Array, labels: Array, weights: list[Array], rate: float) -> tuple[Array, list[Array]]:
        """Return the probabilities (K, m) before a step, and the weights after it."""

    def read(self, X: Array, weights: list[Array]) -> tuple[Array, Array]:
        """Return the probabilities (K, m) and the classes (m,)."""


@dataclass(frozen=True)
class Own:
    """The functions, the setup that they begin with, and the settings that can be changed."""

    functions: Functions
    usual: Setup
    settings: tuple[str, ...]

    @classmethod
    def of(cls, functions: Functions, data: Dataset, name: str) -> "Own":
        """Find out which hidden layers the functions make."""
        weights = functions.start([math.prod(data.shape), *LAYERS, len(data.classes)])
        layers = tuple(len(W) for W in weights[:-2:2])
        usual = Setup(data=name, layers=layers, optimizer="sgd", learning_rate=0.1, deskew=False)
        return cls(functions, usual, (*FREE, "layers") if layers == LAYERS else FREE)

    def model(self, setup: Setup, data: Dataset) -> Model:
        """Return a new network with the functions' initial weights; reject settings that they can't have."""
        for name, value in setup.config().items():
            if name not in self.settings and value != self.usual.config()[name]:
                kept = self.usual.config()[name]
                raise UsageError(
                    f"{name} must be {kept!r}: the functions of {self.functions.file} train, got {value!r}"
                )
        weights = self.functions.start(setup.sizes(data))
        sizes = [weights[0].shape[1], *map(len, weights[::2])]
        model = Model(sizes, classes=data.classes, preparation=Preparation(), dtype=np.float64)
        put_weights(model.network, weights)
        return model

    def answer(self, model: Model, image: Array) -> dict[str, Any]:
        """Return the probabilities and the class that the functions give for an image    image: uint8 (H, W)"""
        X = model.preparation(image[np.newaxis], model.network.dtype).T
        P, classes = self.functions.read(X, weights_of(model.network))
        if not np.isfinite(P).all() or classes[0] not in range(len(model.classes)):
            raise UsageError(f"{self.functions.file}: the prediction is not a class: {classes[0]:g}")
        return {"probabilities": P[:, 0].tolist(), "answer": model.classes[int(classes[0])]}


def weights_of(network: Network) -> list[Array]:
    return [one for layer in network.dense for one in (layer.W.T.copy(), layer.b.reshape(-1, 1).copy())]


def put_weights(network: Network, weights: list[Array]) -> None:
    for layer, W, b in zip(network.dense, weights[::2], weights[1::2], strict=True):
        layer.W[...], layer.b[...] = W.T, b.reshape(layer.b.shape)


def cross_entropy(P: Array, labels: Array) -> float:
    """−log of the probability of the right class, averaged over the samples      P: (K, m)   labels: (m,)"""
    return float(-np.mean(np.log(np.maximum(P[labels, np.arange(len(labels))], np.finfo(float).tiny))))


class OwnTrainer(Trainer):
    """A trainer whose steps and validation are calls of the functions."""

    def __init__(self, functions: Functions, model: Model, *arguments: Any, **settings: Any) -> None:
        super().__init__(model, *arguments, **settings)
        self.functions = functions

    def step(self, learning_rate: float | None = None) -> StepRecord:
        """Take one step, and return its record."""
        began, number, network = time.perf_counter(), self.progress.step, self.model.network
        rate = self.recipe.learning_rate if learning_rate is None else learning_rate
        batch = self._next_batch()
        try:
            P, weights = self.functions.step(self._inputs(batch).T, batch.labels, weights_of(network), rate)
            loss = cross_entropy(P, batch.labels)
            self.watchdog.check(number, {"loss": loss, **{f"weight {k + 1}": one for k, one in enumerate(weights)}})
        except BaseException:
            self._restart_stream()  # no step was taken: the next call gets the same batch
            raise
        put_weights(network, weights)
        epoch, count, correct = (
            number // self.batches_per_epoch + 1,
            batch.count,
            int((P.argmax(0) == batch.labels).sum()),
        )
        seconds = time.perf_counter() - began
        self._count(loss, correct, batch, None, seconds)
        ends = self.progress.step % self.batches_per_epoch == 0
        return StepRecord(number, epoch, loss, correct / count, rate, None, count, count / max(seconds, 1e-9), ends)

    def validate(self) -> tuple[float | None, float | None]:
        """Return the validation loss and accuracy, in calls as large as a step."""
        batch, size = self._validation, self.recipe.batch_size
        if batch is None:
            return None, None
        losses, correct = 0.0, 0
        for rows in blocks(len(batch.labels), size or len(batch.labels)):
            labels = batch.labels[rows]
            P, classes = self.functions.read(self._evaluation_inputs(batch, rows).T, weights_of(self.model.network))
            losses += cross_entropy(P, labels) * len(labels)
            correct += int((classes == labels).sum())
        return losses / len(batch.labels), correct / len(batch.labels)
