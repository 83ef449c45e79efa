"""Evaluation during training: the loss and accuracy of held-out samples, and the units that never switch on."""

import numpy as np

from byhand.model.inference import blocks, max_block_size
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense
from byhand.nn.losses import Loss
from byhand.nn.network import Network
from byhand.training.batches import Batch, Inputs

#: Samples computed at once.
BLOCK = 250
#: Training samples checked, after each epoch, for units that never switch on.
PROBE_SIZE = 1_000


def evaluate(network: Network, loss: Loss, inputs: Inputs, batch: Batch) -> tuple[float, float]:
    """Return the mean loss and the accuracy of a batch, in inference; of one process's rows, their part of both."""
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
    """Return the network's outputs, and for each activation that can switch off, the fraction of its dead units."""
    pass_ = Pass(network, needs_gradient=False)
    outputs: list[Array] = []
    on: list[Array] = []
    for rows in blocks(len(batch.labels), max_block_size(network, PROBE_SIZE)):
        outputs.append(pass_.forward(inputs(batch, rows)).copy())
        here = switched_on(pass_)
        on = [before | now for before, now in zip(on, here, strict=True)] if on else here
    return np.concatenate(outputs), tuple(float(np.mean(~units)) for units in on)


def switched_on(pass_: Pass) -> list[Array]:
    """For each activation that can switch off, which of its units some sample switched on         (units,) each

    A map of a convolution is one unit: its weights are the same everywhere, and it is alive if it is on anywhere.
    """
    on: list[Array] = []
    units = 0
    for layer, out in zip(pass_.layers, pass_.outs, strict=True):
        if isinstance(layer, Dense | Convolution):
            units = len(layer.b)
        elif isinstance(layer, Activation) and layer.function.name == "relu":
            on.append(np.any(out.reshape(-1, units or out.shape[1]) > 0, axis=0))
    return on
