"""One training step on a copy of the network, with names for its arrays.

The step uses the same layers, loss and optimizer as training. `unit_arithmetic` splits the sums of a unit into terms.
Layers are numbered from 1, units from 0. Each number of a feature map is a unit.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from byhand.checks import integer, is_integer, positive
from byhand.data import Dataset, Sample
from byhand.errors import DivergedError, UsageError, short_repr
from byhand.explain.document import Figure, Sum, Unit, bracketed, equation, largest_first, numeral, sum_text
from byhand.model import Model
from byhand.nn.arrays import Array, Cache
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer
from byhand.nn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy, softmax
from byhand.nn.network import Network
from byhand.nn.optimizers import GradientDescent, Optimizer
from byhand.nn.rng import StepKey

#: Rows, columns and channels of an image or feature maps.
Extent = tuple[int, int, int]

#: Symbol of the output, then the letters in the formulas: input, output, own arrays.
LETTERS: dict[type[Layer], tuple[str, str, str, tuple[str, ...]]] = {
    Dense: ("Z", "X", "Z", ("W", "b")),
    Convolution: ("Z", "X", "Z", ("P", "W", "b")),
    Activation: ("H", "Z", "H", ()),
    BatchNorm: ("B", "X", "out", ("γ", "β", "μ", "σ²")),
    Dropout: ("D", "X", "out", ("M",)),
}


@dataclass(frozen=True)
class Symbols:
    """The symbols of a layer's arrays: X → Z1 → H1 → Z2 …

    number: of the last layer with weights, from 1;  source, result: symbols of the input and the output
    takes, gives: extents of the input and the output, if they are images or feature maps
    """

    layer: Layer
    number: int
    source: str
    result: str
    takes: Extent | None
    gives: Extent | None

    def own(self, name: str) -> str:
        """Return the symbol of an array of the layer: W → W1."""
        return f"{name}{self.number}"

    def here(self, text: str) -> str:
        """Return a formula with the layer's symbols: `dW = Xᵀ dZ` → `dW2 = H1ᵀ dZ2`."""
        _, source, result, own = LETTERS[type(self.layer)]
        symbols = {source: self.source, result: self.result} | {name: self.own(name) for name in own}
        pattern = rf"(?<!\w)(d?)({'|'.join(map(re.escape, symbols))})(?!\u0302)(?=[ᵀ²]|(?!\w))"
        return re.sub(pattern, lambda found: found[1] + symbols[found[2]], text)

    def rows(self, symbol: str, array: Array) -> Figure:
        """Return an input, output or gradient, as images if possible          (N, n)"""
        maps = {self.source: self.takes, self.result: self.gives}[symbol.removeprefix("d")]
        if maps is None:
            return Figure(symbol, array)
        return Figure(symbol, array, "rows", maps[:2], channels=maps[2], each="sample" if maps[2] == 1 else "map")

    def weights(self, symbol: str, array: Array) -> Figure:
        """Return weights, their gradient, or columns of them, as images if possible."""
        if isinstance(self.layer, Convolution):
            return over_maps(symbol, array, "columns", (self.layer.size, self.layer.size, self.layer.channels), "map")
        return Figure(symbol, array) if self.takes is None else over_maps(symbol, array, "columns", self.takes, "unit")

    def windows(self, P: Array) -> Figure:
        """Return the contents of a convolution's window, one image per position."""
        layer = self.layer
        assert isinstance(layer, Convolution)
        figure = over_maps(self.own("P"), P, "rows", (layer.size, layer.size, layer.channels), "window")
        if layer.channels > 1:
            return figure
        return replace(figure, across=layer.columns, note="contents of the window at each position")


def over_maps(symbol: str, array: Array, pictures: str, maps: Extent, each: str) -> Figure:
    """Return an array whose rows or columns are images, with a channel per map."""
    rows, columns, channels = maps
    if channels == 1:
        return Figure(symbol, array, pictures, (rows, columns), each=each)
    note = f"one line per {each}, with an image for each of the {channels} input maps"
    return Figure(symbol, array, pictures, (rows, columns), channels, "image", across=channels, note=note)


def symbols_of(layers: Sequence[Layer], picture: tuple[int, int] | None) -> list[Symbols]:
    """Return the symbols of every layer; `picture` is the shape of input images."""
    result: list[Symbols] = []
    number, source, taken = 0, "X", {"X"}
    takes: Extent | None = (*picture, 1) if picture else None
    for layer in layers:
        number += isinstance(layer, Dense | Convolution)
        gives = None if isinstance(layer, Dense) else takes
        if isinstance(layer, Convolution):
            takes, gives = (layer.height, layer.width, layer.channels), (layer.rows, layer.columns, layer.maps)
        symbol = f"{LETTERS[type(layer)][0]}{number}"
        while symbol in taken:
            symbol += "′"
        taken.add(symbol)
        result.append(Symbols(layer, number, source, symbol, takes, gives))
        source, takes = symbol, gives
    return result


def samples_of(model: Model, image: Any, label: Any) -> tuple[Array, Array | None, str]:
    """Return images uint8 (N, H, W) or (N, H, W, 3), labels (N,) or None, and a title."""
    if isinstance(image, Sample):
        image, label = image.image, image.label if label is None else label
    elif isinstance(image, Dataset):
        image, label = image.images, image.labels if label is None else label
    images = np.asarray(image)
    if images.ndim in (1, 2) or images.shape == model.image_shape:
        images = images[None]
        label = None if label is None else [label]
    images = model.check_images(images)
    if len(images) == 0:
        raise UsageError("an explanation needs at least one image, got none")
    title = "an image" if len(images) == 1 else f"{len(images)} images"
    if label is None:
        return images, None, title
    if not isinstance(label, list | tuple | np.ndarray) or len(label) != len(images):
        raise UsageError(f"label must have a class for each of the {len(images)} images, got {short_repr(label)}")
    numbers = [model.classes.index(one) if isinstance(one, str) and one in model.classes else one for one in label]
    for one in numbers:
        if not is_integer(one, 0, len(model.classes) - 1):
            raise UsageError(f"label must be a class, 0 to {len(model.classes) - 1} or its name, got {one!r}")
    labels = np.array(numbers, np.int64)
    return images, labels, f"{title}{', the first' if len(images) > 1 else ''} of class {model.classes[labels[0]]}"


class Trace:
    """One training step, and a second forward pass after it.

    `pass_` and `before` have the arrays and parameters before the update, `again` and `network` those after it. Without
    labels, there is only a forward pass in inference mode.
    """

    def __init__(
        self,
        model: Model,
        images: Array,
        labels: Array | None,
        learning_rate: float,
        optimizer: Optimizer,
        loss: Loss,
        seed: int,
    ) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.rate, self.optimizer, self.loss = positive("learning_rate", learning_rate), optimizer, loss
        self.before, self.network = model.network.copy(), model.network.copy()
        network = self.network
        if labels is not None and network.needs_whole_batch and len(images) < 2:
            raise UsageError("training with batch normalization needs at least 2 images, got 1")
        height, width = images.shape[1], math.prod(images.shape[2:])
        self.symbols = symbols_of(self.before.layers, (height, width) if height > 1 else None)
        self.X = model.preparation(images, network.dtype)
        key = None if labels is None else StepKey(seed, 0)
        self.pass_ = Pass(network)
        logits = self.pass_.forward(self.X, key)
        if not np.isfinite(logits).all():
            raise DivergedError("the outputs of the network are not finite for this image")
        self.probabilities = softmax(logits)
        if labels is None:
            return
        self.loss_before, self.dlogits = loss(logits, labels)
        self.pass_.backward(self.dlogits)
        gradient = self.pass_.gradient
        self.gradients = network.by_layer(gradient)
        state = optimizer.start(network.parameters)
        optimizer.update(network.parameters, gradient, state, self.rate, weight_slice=network.weight_slice)
        if network.needs_whole_batch:
            self.pass_.update_statistics(len(self.X))
        self.again = Pass(network)
        logits = self.again.forward(self.X, key)
        self.loss_after, _ = loss(logits, labels)
        self.probabilities_after = softmax(logits)


def check_unit(network: Network, layer: int, unit: int) -> None:
    """Raise an error if the network has no such unit."""
    layers = network.parametric_layers
    chosen = layers[integer("the layer of the unit", layer, 1, len(layers)) - 1]
    integer(f"the unit of layer {layer}", unit, 0, chosen.out_size(chosen.inputs) - 1)


def default_units(trace: Trace) -> list[tuple[int, int]]:
    """Return one unit per layer: the one with the largest upstream gradient; in the last layer, the right class.

    Without labels: the one with the largest weighted sum; in the last layer, the predicted class.
    """
    values = trace.pass_.outs if trace.labels is None else trace.pass_.douts
    answer = int(trace.probabilities[0].argmax()) if trace.labels is None else int(trace.labels[0])
    *hidden, last = [required(values[layer.index])[0] for layer in trace.network.parametric_layers]
    chosen = [int(np.abs(row).argmax()) for row in hidden] + [min(answer, len(last) - 1)]
    return list(enumerate(chosen, start=1))


def unit_arithmetic(trace: Trace, number: int, j: int) -> Unit:
    """Return the arithmetic of unit `j` of layer `number`, for the first sample."""
    layers, pass_ = trace.before.layers, trace.pass_
    i, end = [*(layer.index for layer in trace.before.parametric_layers), len(layers)][number - 1 : number + 1]
    at, layer = trace.symbols[i], trace.before.parametric_layers[number - 1]
    place, column = divmod(j, layer.b.size)  # row and column of Z = X W + b
    name, inputs, pictures = f"unit {j} of layer {number}", pass_.ins[i], []
    if isinstance(layer, Convolution):
        inputs = pass_.caches[i].P
        row, map_column = divmod(place, layer.columns)
        name += f", map {column}, row {row}, column {map_column}"
        pictures.append(replace(at.windows(inputs[place : place + 1]), symbol=f"{at.own('P')}[{place}]"))
    W, b = layer.W[:, column], float(layer.b[column])
    Z = Sum(f"{at.result}[{j}]", inputs[place], W, float(pass_.outs[i][0, j]), bias=b)
    outputs = [
        equation(f"{trace.symbols[k].result}[{j}]", applied(layers[k], pass_.ins[k][0, j]), float(pass_.outs[k][0, j]))
        for k in range(i + 1, end)
    ]
    arithmetic: dict[str, tuple[Sum | str, ...]] = {"weighted sum": (Z,), "output": tuple(outputs)}
    pictures.append(at.weights(f"{at.own('W')}[:, {column}]", W[:, None]))
    if trace.labels is not None:
        dW, db = trace.gradients[i]["W"][:, column], float(trace.gradients[i]["b"][column])
        pictures.append(at.weights(f"{at.own('dW')}[:, {column}]", dW[:, None]))
        largest = int(np.abs(dW).argmax())
        which, slope = f"[{largest}, {column}]", float(dW[largest])
        dZ = required(pass_.douts[i]).reshape(len(inputs), -1)[:, column]  # one for each use of the weights
        added = f"d{at.result}[{j}]" if len(dZ) == 1 else sum_of(dZ)
        new = trace.network.parametric_layers[number - 1]
        rate = trace.rate if type(trace.optimizer) is GradientDescent else None
        weight_rate = None if trace.optimizer.weight_decay else rate
        Z_after = float(trace.again.outs[i][0, j])
        arithmetic |= {
            "upstream gradient": upstream_gradient(trace, i, end, j),
            "largest gradient": (Sum(f"{at.own('dW')}{which}", inputs[:, largest], dZ, slope),),
            "bias gradient": (equation(f"{at.own('db')}[{column}]", added, db),),
            "update": (
                updated(f"{at.own('W')}{which}", float(W[largest]), slope, float(new.W[largest, column]), weight_rate),
                updated(f"{at.own('b')}[{column}]", b, db, float(new.b[column]), rate),
            ),
            "after the update": (f"{Z.symbol}: {numeral(Z.total)} → {numeral(Z_after)}",),
        }
    shown = tuple(replace(figure, across=0, each="map") for figure in pictures if figure.pictures)
    return Unit(number, j, name, arithmetic, shown)


def required(array: Array | None) -> Array:
    """Return an array that is not None after `backward`."""
    assert array is not None
    return array


def sum_of(values: Array) -> str:
    """Format a sum: `0.2 + (−0.1) + … (60 more: 0.05)`, the largest terms first."""
    order = largest_first(values)
    terms = [bracketed(values[k]) for k in order[:4]]
    terms[:1] = [term.strip("()") for term in terms[:1]]  # no operator before it
    return sum_text(terms, values[order[4:]])


def upstream_gradient(trace: Trace, i: int, end: int, j: int) -> tuple[Sum | str, ...]:
    """Return the arithmetic of the gradient of a weighted sum, back to layer i."""
    layers, pass_, symbols = trace.before.layers, trace.pass_, trace.symbols
    terms: list[Sum | str] = []
    if end < len(layers):  # dH[j] = Σ dZ · W over the units of the next layer
        above, received = required(pass_.douts[end])[0], required(pass_.dins[end])[0, j]
        terms.append(Sum(f"d{symbols[end].source}[{j}]", *sums_with_input(layers[end], above, j), float(received)))
    else:
        terms.append(equation(f"d{symbols[-1].result}[{j}]", loss_derivative(trace, j), float(trace.dlogits[0, j])))
    for k in range(end - 1, i, -1):
        how = chain_rule(layers[k], pass_.caches[k], required(pass_.douts[k]), j)
        terms.append(equation(f"d{symbols[k].source}[{j}]", how, float(required(pass_.dins[k])[0, j])))
    return tuple(terms)


def sums_with_input(layer: Layer, dZ: Array, j: int) -> tuple[Array, Array]:
    """Return the gradients and weights of all sums with input `j`          dZ: (outputs,)

    A dense unit uses it once, and a feature map once per window that contains it.
    """
    if isinstance(layer, Dense):
        return dZ, layer.W[j]
    assert isinstance(layer, Convolution)
    numbers = np.arange(layer.inputs)[None]
    place, weight = np.nonzero(layer.windows(numbers).reshape(-1, len(layer.W)) == j)
    return dZ.reshape(-1, layer.maps)[place].ravel(), layer.W[weight].ravel()


def applied(layer: Layer, value: float) -> str:
    """Format the forward pass of a layer for one number: `relu(1.27)`."""
    name = layer.function.name if isinstance(layer, Activation) else layer.kind
    return f"{name}({numeral(value)})"


def chain_rule(layer: Layer, cache: Cache, dout: Array, j: int) -> str:
    """Format the chain rule: `0.0512 · 1`. The derivative is the layer's backward of 1."""
    upstream = numeral(float(dout[0, j]))
    if isinstance(layer, BatchNorm):
        return f"backward of batch_norm({upstream})"
    if isinstance(layer, Activation):
        slope = layer.function.backward(np.ones_like(dout), cache.kept)
    else:
        assert isinstance(layer, Dropout)
        slope = cache.mask / (1 - layer.rate) if cache.key is not None and layer.rate else np.ones_like(dout)
    return f"{upstream} · {bracketed(float(slope[0, j]))}"


def loss_derivative(trace: Trace, j: int) -> str:
    """Format the derivative of the loss with respect to a logit: `(0.03 − 1) / 8`."""
    N, K = trace.dlogits.shape
    target = float(required(trace.labels)[0] == j)
    if isinstance(trace.loss, MeanSquaredError):
        return f"2 · ({numeral(float(trace.pass_.outs[-1][0, j]))} − {numeral(target)}) / ({N} · {K})"
    assert isinstance(trace.loss, SoftmaxCrossEntropy)
    target = (1 - trace.loss.smoothing) * target + trace.loss.smoothing / K
    return f"({numeral(float(trace.probabilities[0, j]))} − {numeral(target)}) / {N}"


def updated(symbol: str, before: float, gradient: float, after: float, rate: float | None) -> str:
    """Format an update, with its arithmetic for gradient descent."""
    if rate is None:
        return f"{symbol}: {numeral(before)} → {numeral(after)}"
    return f"{symbol} = {numeral(before)} − {rate:g} · {bracketed(gradient)} = {numeral(after)}"
