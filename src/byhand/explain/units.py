"""Units: one unit worked out to the last addition, from its inputs to its new weights.

The numbers are read out of the arrays that the layers gave (`byhand.explain.step.OneStep`); only the sums are taken
apart into their terms. Layers count from 1 as everywhere in byhand, units from 0 as in the arrays. Of a convolution
each number of its maps is a unit: one place of the window, one map.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from byhand.errors import UsageError
from byhand.explain.names import Named
from byhand.explain.sliding import windows
from byhand.explain.steps import Figure, bracketed, numeral
from byhand.explain.worked import Change, Stage, Sum, Unit
from byhand.nn.arrays import Array, Cache
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer
from byhand.nn.losses import MeanSquaredError
from byhand.nn.network import Network
from byhand.nn.optimizers import GradientDescent

if TYPE_CHECKING:
    from byhand.explain.step import OneStep


def check_unit(network: Network, layer: int, unit: int) -> None:
    """A unit that is there, or an error that says which are."""
    if not 1 <= layer <= len(network.weighted):
        raise UsageError(f"the layer of a unit must be 1 to {len(network.weighted)}, got {layer}")
    chosen = network.weighted[layer - 1]
    last = chosen.out_size(chosen.inputs) - 1
    if not 0 <= unit <= last:
        raise UsageError(f"the units of layer {layer} are 0 to {last}, got {unit}")


def telling_units(step: "OneStep") -> list[tuple[int, int]]:
    """One unit of each layer: the one with most of the blame, and last the unit of the right class.

    Where nothing is learned, the one that says most, and last the unit of the answer.
    """
    weighted = [i for i, layer in enumerate(step.network.layers) if isinstance(layer, Dense | Convolution)]
    chosen = []
    for number, i in enumerate(weighted, start=1):
        values = step.pass_.outs[i] if step.labels is None else step.pass_.douts[i]
        assert values is not None
        if number < len(weighted):
            chosen.append((number, int(np.abs(values[0]).argmax())))
        else:
            answer = int(step.probabilities[0].argmax()) if step.labels is None else int(step.labels[0])
            chosen.append((number, min(answer, values.shape[1] - 1)))
    return chosen


@dataclass(frozen=True, eq=False)
class Place:
    """Where a unit stands in its layer's product: the row of what goes in and the column of the weights.

    inputs: (N, inputs), of a convolution (N·places, size·size·channels);  old: the layer as it was before the update
    """

    old: Dense | Convolution
    inputs: Array
    row: int
    column: int
    words: str = ""
    seen: Figure | None = None

    def blames(self, dout: Array) -> Array:
        """The derivatives by all sums that share the unit's weights, a row of the product each."""
        blames: Array = dout.reshape(len(self.inputs), -1)[:, self.column]
        return blames


def place_of(at: Named, old: Layer, X: Array, cache: Cache, j: int, row: int) -> Place:
    """Where unit `j` of this layer stands for one sample of the batch."""
    if isinstance(old, Dense):
        return Place(old, X, row, j)
    assert isinstance(old, Convolution)
    place, column = divmod(j, old.maps)
    line, along = divmod(place, old.columns)
    here = row * old.rows * old.columns + place
    seen = replace(windows(at, old, cache.P[here : here + 1]), symbol=f"{at.own('P')}[{here}]")
    return Place(old, cache.P, here, column, f"map {column} in line {line}, column {along}", alone(seen))


def alone(figure: Figure) -> Figure:
    """What one unit has of an array: not lines of pictures, but one line, which may be wrapped."""
    return replace(figure, across=0, each="map")


def unit(step: "OneStep", number: int, j: int, row: int = 0) -> Unit:
    """Work out unit `j` of layer `number` for one sample of the batch."""
    layers = step.network.layers
    weighted = [k for k, layer in enumerate(layers) if isinstance(layer, Dense | Convolution)]
    i, end = [*weighted, len(layers)][number - 1 : number + 1]
    at, pass_ = step.layers[i], step.pass_
    place = place_of(at, step.before.layers[i], pass_.ins[i], pass_.caches[i], j, row)
    old, column = place.old, place.column
    sums = place.inputs[place.row], old.W[:, column]
    z = Sum(f"{at.result}[{j}]", *sums, float(pass_.outs[i][row, j]), bias=float(old.b[column]))
    stages = [
        Stage(
            f"{step.layers[k].result}[{j}]",
            forward_words(layers[k], pass_.ins[k][row, j]),
            float(pass_.outs[k][row, j]),
        )
        for k in range(i + 1, end)
    ]
    weights = alone(at.weights(f"{at.own('W')}[:, {column}]", old.W[:, column : column + 1]))
    if step.labels is None:
        return Unit(number, j, row, z, tuple(stages), weights=weights, place=place.words, seen=place.seen)

    dZ = pass_.douts[i]
    assert dZ is not None
    blame, blame_stages = blame_of(step, i, end, j, row)
    dW, db = step.views[i]["W"], step.views[i]["b"]
    heaviest, blames = int(np.abs(dW[:, column]).argmax()), place.blames(dZ)
    which = f"[{heaviest}, {column}]"
    slope = Sum(f"{at.own('dW')}{which}", place.inputs[:, heaviest], blames, float(dW[heaviest, column]))
    added = f"d{at.result}[{j}]" if len(blames) == 1 else added_up(blames)
    new = layers[i]
    assert isinstance(new, Dense | Convolution)
    return Unit(
        number,
        j,
        row,
        z,
        tuple(stages),
        blame,
        tuple(blame_stages),
        weight_gradient=slope,
        bias_gradient=Stage(f"{at.own('db')}[{column}]", added, float(db[column])),
        changes=(
            change(
                step,
                f"{at.own('W')}{which}",
                float(old.W[heaviest, column]),
                float(dW[heaviest, column]),
                float(new.W[heaviest, column]),
            ),
            change(
                step,
                f"{at.own('b')}[{column}]",
                float(old.b[column]),
                float(db[column]),
                float(new.b[column]),
                decays=False,
            ),
        ),
        afterwards=float(step.again.outs[i][row, j]),
        weights=weights,
        gradient=alone(at.weights(f"{at.own('dW')}[:, {column}]", dW[:, column : column + 1])),
        place=place.words,
        seen=place.seen,
    )


def added_up(values: Array) -> str:
    """`0.2 + (−0.1) + … (60 more: 0.05)`: the largest first, without those that are 0."""
    order = [k for k in np.argsort(-np.abs(values), kind="stable") if values[k] != 0]
    shown = [bracketed(values[k]) for k in order[:4]] or ["0"]
    shown[0] = shown[0].strip("()")  # nothing stands before it
    rest = f" + … ({len(order) - 4} more: {numeral(values[order[4:]].sum(dtype=np.float64))})" if order[4:] else ""
    return " + ".join(shown) + rest


def fed_by(layer: Layer, dZ: Array, j: int) -> tuple[Array, Array]:
    """The blame of every sum that input `j` of the layer goes into, and the weight by which it does    dZ: (outputs,)

    Into a dense layer's units it goes once; into a map once for each window that sees it.
    """
    if isinstance(layer, Dense):
        return dZ, layer.W[j]
    assert isinstance(layer, Convolution)
    numbers = np.arange(layer.inputs)[None]
    place, weight = np.nonzero(layer.windows(numbers).reshape(-1, len(layer.W)) == j)
    return dZ.reshape(-1, layer.maps)[place].ravel(), layer.W[weight].ravel()


def blame_of(step: "OneStep", i: int, end: int, j: int, row: int) -> tuple[Sum | None, list[Stage]]:
    """How the loss changes with the unit's sum: from the units that it feeds, or from the loss, back to layer i."""
    layers, pass_ = step.network.layers, step.pass_
    stages: list[Stage] = []
    blame = None
    if end < len(layers):  # the next layer with weights: dH[j] = Σ over its units of dZ · W
        above, fed = step.before.layers[end], pass_.douts[end]
        received = pass_.dins[end]
        assert fed is not None
        assert received is not None
        blame = Sum(f"d{step.layers[end].source}[{j}]", *fed_by(above, fed[row], j), float(received[row, j]))
    else:
        stages.append(Stage(f"d{step.layers[-1].result}[{j}]", loss_words(step, j, row), float(step.dlogits[row, j])))
    for k in range(end - 1, i, -1):
        dout, din = pass_.douts[k], pass_.dins[k]
        assert dout is not None
        assert din is not None
        words = backward_words(layers[k], pass_.caches[k], dout, row, j)
        stages.append(Stage(f"d{step.layers[k].source}[{j}]", words, float(din[row, j])))
    return blame, stages


def forward_words(layer: Layer, value: float) -> str:
    """`relu(1.27)`"""
    if isinstance(layer, Activation):
        return f"{layer.function.name}({numeral(value)})"
    if isinstance(layer, Dropout):
        return f"dropout({numeral(value)})"
    assert isinstance(layer, BatchNorm)
    return f"batch_norm({numeral(value)})"


def backward_words(layer: Layer, cache: Cache, dout: Array, row: int, j: int) -> str:
    """`0.0512 · 1`: what arrives, times the slope there; for batch norm, what arrives.

    The slope is what the layer's backward returns for a derivative of 1.
    """
    arriving = numeral(float(dout[row, j]))
    if isinstance(layer, BatchNorm):
        return f"batch_norm backward of {arriving}"
    if isinstance(layer, Activation):
        slope = layer.function.backward(np.ones_like(dout), cache.kept)
    else:
        assert isinstance(layer, Dropout)
        slope = cache.mask / (1 - layer.rate) if cache.key is not None and layer.rate else np.ones_like(dout)
    return f"{arriving} · {bracketed(float(slope[row, j]))}"


def loss_words(step: "OneStep", j: int, row: int) -> str:
    """`(0.03 − 1) / 8`: the loss's derivative by one output, from its formula."""
    assert step.labels is not None
    N, K = step.dlogits.shape
    target = float(step.labels[row] == j)
    if isinstance(step.loss, MeanSquaredError):
        return f"2 · ({numeral(float(step.pass_.outs[-1][row, j]))} − {numeral(target)}) / ({N} · {K})"
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
