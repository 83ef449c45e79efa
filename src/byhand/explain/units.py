"""Units: one unit worked out to the last addition, from its inputs to its new weights.

The numbers are read out of the arrays that the layers gave (`byhand.explain.step.OneStep`); only the sums are taken
apart into their terms. Layers count from 1 as everywhere in byhand, units from 0 as in the arrays.
"""

from typing import TYPE_CHECKING

import numpy as np

from byhand.errors import UsageError
from byhand.explain.steps import Change, Stage, Sum, Unit, bracketed, numeral
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer
from byhand.nn.losses import MeanSquaredError
from byhand.nn.network import Network
from byhand.nn.optimizers import GradientDescent
from byhand.nn.scratch import FRESH, Array

if TYPE_CHECKING:
    from byhand.explain.step import OneStep


def check_unit(network: Network, layer: int, unit: int) -> None:
    """A unit that is there, or an error that says which are."""
    if not 1 <= layer <= len(network.dense):
        raise UsageError(f"the layer of a unit must be 1 to {len(network.dense)}, got {layer}")
    if not 0 <= unit < network.dense[layer - 1].units:
        last = network.dense[layer - 1].units - 1
        raise UsageError(f"the units of layer {layer} are 0 to {last}, got {unit}")


def telling_units(step: "OneStep") -> list[tuple[int, int]]:
    """One unit of each layer: the one with most of the blame, and last the unit of the right class.

    Where nothing is learned, the one that says most, and last the unit of the answer.
    """
    dense = [i for i, layer in enumerate(step.network.layers) if isinstance(layer, Dense)]
    chosen = []
    for number, i in enumerate(dense, start=1):
        values = step.way.outs[i] if step.labels is None else step.way.douts[i]
        assert values is not None
        if number < len(dense):
            chosen.append((number, int(np.abs(values[0]).argmax())))
        else:
            answer = int(step.probabilities[0].argmax()) if step.labels is None else int(step.labels[0])
            chosen.append((number, min(answer, values.shape[1] - 1)))
    return chosen


def unit(step: "OneStep", number: int, j: int, row: int = 0) -> Unit:
    """Work out unit `j` of dense layer `number` for one sample of the batch."""
    layers = step.network.layers
    i = [k for k, layer in enumerate(layers) if isinstance(layer, Dense)][number - 1]
    end = next((k for k in range(i + 1, len(layers)) if isinstance(layers[k], Dense)), len(layers))
    at, way = step.layers[i], step.way
    old = step.before.layers[i]
    assert isinstance(old, Dense)
    z = Sum(f"{at.result}[{j}]", way.ins[i][row], old.W[:, j], float(way.outs[i][row, j]), bias=float(old.b[j]))
    stages = [
        Stage(
            f"{step.layers[k].result}[{j}]",
            forward_words(layers[k], way.ins[k][row, j]),
            float(way.outs[k][row, j]),
        )
        for k in range(i + 1, end)
    ]
    weights = at.weights(f"{at.own('W')}[:, {j}]", old.W[:, j : j + 1])
    if step.labels is None:
        return Unit(number, j, row, z, tuple(stages), weights=weights)

    dZ = way.douts[i]
    assert dZ is not None
    blame, blame_stages = blame_of(step, i, end, j, row)
    dW, db = step.views[i]["W"], step.views[i]["b"]
    heaviest = int(np.abs(dW[:, j]).argmax())
    place = f"[{heaviest}, {j}]"
    slope = Sum(f"{at.own('dW')}{place}", way.ins[i][:, heaviest], dZ[:, j], float(dW[heaviest, j]))
    blames = [bracketed(value) for value in dZ[:4, j]] if len(dZ) > 1 else [f"d{at.result}[{j}]"]
    more = f" + … ({len(dZ) - 4} more: {numeral(float(dZ[4:, j].sum(dtype=np.float64)))})" if len(dZ) > 4 else ""
    new = layers[i]
    assert isinstance(new, Dense)
    return Unit(
        number,
        j,
        row,
        z,
        tuple(stages),
        blame,
        tuple(blame_stages),
        weight_gradient=slope,
        bias_gradient=Stage(f"{at.own('db')}[{j}]", " + ".join(blames) + more, float(db[j])),
        changes=(
            change(
                step,
                f"{at.own('W')}{place}",
                float(old.W[heaviest, j]),
                float(dW[heaviest, j]),
                float(new.W[heaviest, j]),
            ),
            change(step, f"{at.own('b')}[{j}]", float(old.b[j]), float(db[j]), float(new.b[j]), decays=False),
        ),
        afterwards=float(step.again.outs[i][row, j]),
        weights=weights,
        gradient=at.weights(f"{at.own('dW')}[:, {j}]", dW[:, j : j + 1]),
    )


def blame_of(step: "OneStep", i: int, end: int, j: int, row: int) -> tuple[Sum | None, list[Stage]]:
    """How the loss changes with the unit's sum: from the units that it feeds, or from the loss, back to layer i."""
    layers, way = step.network.layers, step.way
    stages: list[Stage] = []
    blame = None
    if end < len(layers):  # the next dense layer: dH[j] = Σ over its units of dZ · W
        above, fed = step.before.layers[end], way.douts[end]
        received = way.dins[end]
        assert isinstance(above, Dense)
        assert fed is not None
        assert received is not None
        blame = Sum(f"d{step.layers[end].source}[{j}]", fed[row], above.W[j], float(received[row, j]))
    else:
        stages.append(Stage(f"d{step.layers[-1].result}[{j}]", loss_words(step, j, row), float(step.dlogits[row, j])))
    for k in range(end - 1, i, -1):
        dout, din = way.douts[k], way.dins[k]
        assert dout is not None
        assert din is not None
        words = backward_words(layers[k], way.caches[k], dout, row, j)
        stages.append(Stage(f"d{step.layers[k].source}[{j}]", words, float(din[row, j])))
    return blame, stages


def forward_words(layer: Layer, value: float) -> str:
    """`relu(1.27)`"""
    if isinstance(layer, Activation):
        return f"{layer.pair.name}({numeral(value)})"
    if isinstance(layer, Dropout):
        return f"dropout({numeral(value)})"
    assert isinstance(layer, BatchNorm)
    return f"batch_norm({numeral(value)})"


def backward_words(layer: Layer, cache: Array, dout: Array, row: int, j: int) -> str:
    """`0.0512 · 1`: what arrives, times the slope there; for batch norm, what arrives.

    The slope is what the layer's own backward gives for a derivative of 1.
    """
    arriving = numeral(float(dout[row, j]))
    if isinstance(layer, BatchNorm):
        return f"batch_norm backward of {arriving}"
    slope = layer.backward(np.ones_like(dout), cache, {}, FRESH, True)
    assert slope is not None
    return f"{arriving} · {bracketed(float(slope[row, j]))}"


def loss_words(step: "OneStep", j: int, row: int) -> str:
    """`(0.03 − 1) / 8`: the loss's derivative by one output, from its formula."""
    assert step.labels is not None
    N, K = step.dlogits.shape
    target = float(step.labels[row] == j)
    if isinstance(step.loss, MeanSquaredError):
        return f"2 · ({numeral(float(step.way.outs[-1][row, j]))} − {numeral(target)}) / ({N} · {K})"
    target = (1 - step.loss.smoothing) * target + step.loss.smoothing / K
    return f"({numeral(float(step.probabilities[row, j]))} − {numeral(target)}) / {N}"


def change(
    step: "OneStep", symbol: str, before: float, gradient: float, after: float, *, decays: bool = True
) -> Change:
    """A parameter before and after; where the rule is the plain one, with its arithmetic."""
    how = ""
    if type(step.optimizer) is GradientDescent and not (decays and step.optimizer.weight_decay):
        how = f"{numeral(before)} − {step.rate:g} · {bracketed(gradient)}"
    return Change(symbol, before, gradient, after, how)
