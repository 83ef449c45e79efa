"""Evaluation during training, and the watchdog.

The watchdog ends a run whose loss is NaN or infinite. After an epoch it warns of a growing loss, of dead ReLUs (0 for
every sample), and of an accuracy no better than always predicting the most frequent class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from byhand.errors import DivergedError
from byhand.model.model import blocks, max_block_size
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense
from byhand.nn.losses import Loss
from byhand.nn.network import Network
from byhand.training.batches import Batch, Inputs
from byhand.training.records import EpochRecord

#: Samples per block.
BLOCK = 250
#: Training samples in which dead units are searched, after each epoch.
PROBE_SIZE = 1_000
#: Warn of a layer with this fraction of dead units, and of a loss this many times its minimum.
DEAD_FRACTION, LOSS_GROWTH_LIMIT = 0.5, 1.5
#: Warn if the accuracy differs by less from the fraction of the most frequent class.
CHANCE_TOLERANCE = 0.005


def evaluate(network: Network, loss: Loss, inputs: Inputs, batch: Batch) -> tuple[float, float]:
    """Return loss and accuracy of a batch, or what its rows contribute to both."""
    pass_ = Pass(network, needs_gradient=False)
    losses, correct = 0.0, 0.0
    for rows in blocks(len(batch.labels), max_block_size(network, BLOCK)):
        labels = batch.labels[rows]
        weights = None if batch.weights is None else batch.weights[rows]
        Z = pass_.forward(inputs(batch, rows))
        losses += loss.value_and_gradient(Z, labels, pass_.loss_cache, weights=weights, total=batch.total)[0]
        right = Z.argmax(axis=1) == (labels if labels.ndim == 1 else labels.argmax(axis=1))
        correct += float(right.sum() if weights is None else weights[right].sum())
    return losses, correct / batch.total


def probe(network: Network, inputs: Inputs, batch: Batch) -> tuple[Array, tuple[float, ...]]:
    """Return the outputs, and the fraction of dead units of each ReLU layer."""
    pass_ = Pass(network, needs_gradient=False)
    outputs: list[Array] = []
    on: list[Array] = []
    for rows in blocks(len(batch.labels), max_block_size(network, PROBE_SIZE)):
        outputs.append(pass_.forward(inputs(batch, rows)).copy())
        here = switched_on(pass_)
        on = [before | now for before, now in zip(on, here, strict=True)] if on else here
    return np.concatenate(outputs), tuple(float(np.mean(~units)) for units in on)


def switched_on(pass_: Pass) -> list[Array]:
    """Return a mask of the active units or maps of each ReLU layer: above 0 anywhere    (units,) each"""
    on: list[Array] = []
    units = 0
    for layer, out in zip(pass_.layers, pass_.outs, strict=True):
        if isinstance(layer, Dense | Convolution):
            units = len(layer.b)
        elif isinstance(layer, Activation) and layer.function.name == "relu":
            on.append(np.any(out.reshape(-1, units or out.shape[1]) > 0, axis=0))
    return on


class Watchdog:
    """Monitors one run. `start_lengths` are the norms of the layers' initial weights."""

    def __init__(self, network: Network, labels: Array, learning_rate: float) -> None:
        self.network, self.learning_rate = network, learning_rate
        self.advice = f"Try --learning-rate {float(f'{learning_rate / 10:.1g}'):g}."
        counts = np.bincount(labels) if labels.ndim == 1 else labels.sum(axis=0)
        are_classes = len(labels) and (labels.ndim == 1 or bool((np.abs(labels.sum(axis=1) - 1) < 1e-3).all()))
        self.largest_share = float(counts.max() / counts.sum()) if are_classes else 1.0
        self.start_lengths = self.lengths()
        self.lowest_loss = float("inf")
        self.at_one_class = 0

    def lengths(self) -> list[float]:
        """Return the norm √Σ W² of each layer with weights."""
        with np.errstate(over="ignore", invalid="ignore"):
            return [float(np.sqrt(np.vdot(layer.W, layer.W))) for layer in self.network.parametric_layers]

    def check(self, step: int, measured: Mapping[str, float | Array | None]) -> None:
        """Raise an error with the likely cause if a value is NaN or infinite."""
        for name, value in measured.items():
            if value is not None and not (finite := np.isfinite(value)).all():
                became = "NaN" if np.isnan(np.asarray(value)[~finite][0]) else "infinite"
                raise DivergedError(f"{name} became {became} at step {step}: {self.cause()}. {self.advice}")

    def cause(self) -> str:
        """Return the likely cause: the layer whose norm grew most."""
        growth = [now / max(start, 1e-30) for now, start in zip(self.lengths(), self.start_lengths, strict=True)]
        rate = f"{self.learning_rate:g}"
        worst = max(range(len(growth)), key=lambda i: np.inf if np.isnan(growth[i]) else growth[i])
        if not np.isfinite(growth[worst]):
            return f"with learning rate {rate}, the weights of layer {worst + 1} became infinite"
        if growth[worst] > 2:
            times = f"{growth[worst]:,.0f}" if growth[worst] < 1e9 else f"{growth[worst]:.0e}"
            return f"with learning rate {rate}, the weights of layer {worst + 1} grew {times} times larger"
        return f"the learning rate is {rate} and no weights have grown: check for very large inputs"

    def restore(self, records: Sequence[EpochRecord]) -> None:
        """Restore the state from earlier records."""
        self.lowest_loss, self.at_one_class = float("inf"), 0
        for record in records:
            self._remember(record)

    def _remember(self, record: EpochRecord) -> None:
        self.lowest_loss = min(self.lowest_loss, record.loss)
        is_chance = abs(record.accuracy - self.largest_share) < CHANCE_TOLERANCE
        self.at_one_class = self.at_one_class + 1 if is_chance else 0

    def with_warnings(self, record: EpochRecord) -> EpochRecord:
        """Return the record with its warnings."""
        warnings = [
            f"{share:.0%} of the units in layer {layer} are dead (0 for every sample). {self.advice}"
            for layer, share in enumerate(record.dead, start=1)
            if share >= DEAD_FRACTION
        ]
        if record.loss > LOSS_GROWTH_LIMIT * self.lowest_loss:
            warnings.append(f"the loss grows: it is {record.loss:.4g}, and was {self.lowest_loss:.4g}. {self.advice}")
        self._remember(record)
        if self.at_one_class > 1 and self.largest_share < 1:
            warnings.append(
                f"the network predicts one class for all samples: its accuracy is {record.accuracy:.1%}. {self.advice}"
            )
        return replace(record, warnings=tuple(warnings))
