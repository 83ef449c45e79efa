"""One training step as an animated SVG: forward, loss, back layer by layer, update. For slides, without JavaScript.

A stage is a layer with weights and what follows it, up to the next one. A unit of a convolution is a map, at its
strongest position. The page's diagram (`page/flow.js`) has the same numbers.
"""

from dataclasses import dataclass

import numpy as np

from byhand.checks import integer
from byhand.errors import UsageError
from byhand.explain.document import numeral
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense
from byhand.nn.losses import Loss, SoftmaxCrossEntropy, softmax
from byhand.page.document import data_uri, escape, gray_png

#: Maximum number of units drawn of a layer, and of edges into it.
SHOWN, EDGES = 24, 90
#: Seconds of each part.
SECONDS = 3.0
WIDTH, HEIGHT, TOP, CAPTION = 900, 500, 40, 60
LEFT, IMAGE = 25, 130
POSITIVE, NEGATIVE, QUIET, GROUND, TEXT = "#ffa84c", "#5096ff", "#3a3e48", "#0d0e12", "#ecebe6"


@dataclass(frozen=True)
class LayerValues:
    """The values of one stage for one image.

    inputs: (n,);  outputs, deltas: (units,), after the activation, and the gradient of the sums
    places: (units,), the strongest positions of the maps
    """

    layer: Dense | Convolution
    inputs: Array
    outputs: Array
    deltas: Array
    places: Array
    function: str

    @property
    def count(self) -> int:
        return len(self.outputs)

    def edges(self, sources: int, empty: float, *, back: bool) -> Array:
        """Return the products along the edges, summed over positions                   → (sources, units)

        Forward, weight times input; `back`, weight times gradient.
        """
        layer = self.layer
        products: Array
        if isinstance(layer, Dense):
            products = layer.W * (self.deltas if back else (self.inputs - empty)[:, None])
            products = products.reshape(-1, sources, self.count)
        else:
            products = layer.W.reshape(-1, layer.channels, layer.maps)
            products = products * (self.deltas if back else self.windows() - empty)
        summed: Array = products.sum(axis=0)
        return summed

    def windows(self) -> Array:
        """Return what each map of a convolution sees at its strongest position        → (pixels, channels, maps)"""
        layer = self.layer
        assert isinstance(layer, Convolution)
        maps, windows = self.inputs.reshape(layer.height, layer.width, layer.channels), []
        for place in self.places:
            row, column = np.array(divmod(int(place), layer.columns)) * layer.stride
            windows.append(maps[row : row + layer.size, column : column + layer.size].reshape(-1, layer.channels))
        return np.stack(windows, axis=2)

    def middles(self, pixels: int) -> Array:
        """Return the output of each map of a first layer, at the middle of its strongest window   → (pixels, maps)"""
        layer = self.layer
        assert isinstance(layer, Convolution)
        rows, columns = (part * layer.stride + layer.size // 2 for part in np.divmod(self.places, layer.columns))
        found = np.zeros((pixels, self.count))
        found[rows * layer.width + columns, np.arange(self.count)] = self.outputs
        return found


def values_of(model: Model, image: Array, label: int, loss: Loss | None = None) -> tuple[float, list[LayerValues]]:
    """Return the loss of one image, and the values of each stage. The model is not changed."""
    network = model.network
    if model.is_color:
        raise UsageError("the picture of a step needs a model of gray images, got one of color pictures")
    if any(isinstance(layer, BatchNorm) for layer in network.layers):
        raise UsageError("batch normalization needs a batch: this shows a step on one image")
    label = integer("label", label, 0, len(model.classes) - 1)
    pass_ = Pass(network)
    logits = pass_.forward(model.preparation(image[None], network.dtype))
    value, dZ = (loss or SoftmaxCrossEntropy())(logits, np.array([label]))
    pass_.backward(dZ)
    weighted = network.parametric_layers
    ends = [layer.index for layer in weighted[1:]] + [len(network.layers)]
    stages = []
    for layer, end in zip(weighted, ends, strict=True):
        units = np.arange(layer.b.size)
        out, dout = pass_.outs[end - 1].reshape(-1, layer.b.size), pass_.douts[layer.index]
        assert dout is not None
        deltas = dout.reshape(out.shape)
        places = out.argmax(axis=0)
        function = next((f.function.name for f in network.layers[layer.index : end] if isinstance(f, Activation)), "")
        stages.append(
            LayerValues(
                layer,
                pass_.ins[layer.index][0],
                out[places, units],
                deltas[np.abs(deltas).argmax(axis=0), units],
                places,
                function,
            )
        )
    return float(value), stages


def animated_step(model: Model, image: Array, label: int, loss: Loss | None = None) -> str:
    """Return the text of an SVG file that shows one training step on one image         image: uint8 (H, W)

    loss: by default cross-entropy
    """
    return Drawing(model, image, label, loss or SoftmaxCrossEntropy()).text()


class Drawing:
    """The places of the units, and the parts of the step that are shown one after the other."""

    def __init__(self, model: Model, image: Array, label: int, loss: Loss) -> None:
        self.model, self.label, self.rule = model, label, loss
        self.loss, self.stages = values_of(model, image, label, loss)
        self.last = len(self.stages) - 1
        self.seen = model.preparation.pictures(image[None])[0]
        self.empty = float(model.preparation(np.zeros_like(image)[None], model.network.dtype).flat[0])
        self.probabilities = softmax(self.stages[-1].outputs[None])[0]
        room, steps = HEIGHT - TOP - CAPTION, (WIDTH - IMAGE - 130) / len(self.stages)
        #: Pixels of the drawing for one of the image, and the top of the image.
        self.scale = IMAGE / max(self.seen.shape)
        self.top = TOP + (room - self.seen.shape[0] * self.scale) / 2
        #: The units that are drawn of each stage, those with the largest outputs and gradients, and their places.
        self.units = [np.sort(np.argsort(-strength(stage))[:SHOWN]) for stage in self.stages]
        self.places = [
            [(IMAGE + 50 + (k + 1) * steps, TOP + room * (i + 0.5) / len(units)) for i in range(len(units))]
            for k, units in enumerate(self.units)
        ]
        self.radius = [min(13.0, 0.42 * room / len(units)) for units in self.units]

    def text(self) -> str:
        parts = self.parts()
        total = SECONDS * len(parts)
        style = (
            f"text {{ font: 15px system-ui, sans-serif; fill: {TEXT}; text-anchor: middle }}"
            f".part {{ opacity: 0; animation: part {total:g}s step-end infinite }}"
            f"@keyframes part {{ 0% {{ opacity: 1 }} {100 / len(parts):.4f}% {{ opacity: 0 }} }}"
        )
        groups = [
            f'<g class="part" style="animation-delay: {SECONDS * i:g}s">{content}'
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 22}">{i + 1} of {len(parts)}. {escape(caption)}</text></g>'
            for i, (caption, content) in enumerate(parts)
        ]
        height, width = self.seen.shape
        picture = (
            f'<image x="{LEFT}" y="{self.top:.1f}" width="{width * self.scale:.1f}" height="{height * self.scale:.1f}" '
            f'style="image-rendering: pixelated" href="{data_uri(gray_png(self.seen))}"/>'
        )
        names = "".join(
            f'<text x="{places[0][0]:.1f}" y="24">{self.name(k)}</text>' for k, places in enumerate(self.places)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
            f"<title>One training step of {escape(self.model.network.architecture)}</title><style>{style}</style>"
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{GROUND}"/>{names}{picture}{"".join(groups)}</svg>\n'
        )

    def name(self, k: int) -> str:
        stage = self.stages[k]
        what = "outputs" if k == self.last else "units" if isinstance(stage.layer, Dense) else "maps"
        return f"{len(self.units[k])} of {stage.count} {what}" if stage.count > SHOWN else f"{stage.count} {what}"

    def parts(self) -> list[tuple[str, str]]:
        """Return each part of the step: its caption, and its SVG elements."""
        parts = []
        for k, stage in enumerate(self.stages):
            caption = f"Forward, layer {k + 1}: z = Σ w·x + b"
            if k == self.last:
                caption = "Forward, outputs: z = Σ w·h + b, and softmax makes probabilities of them"
            elif stage.function:
                caption += f", h = {stage.function.replace('_', ' ')}(z)"
            parts.append((caption, self.lit(range(k + 1), back=False)))
        caption = f"The loss for a {self.model.classes[self.label]}: "
        if self.rule == SoftmaxCrossEntropy():
            caption += f"−log {self.probabilities[self.label]:.3g} = {numeral(self.loss)}; its gradient is p − y"
        else:
            caption += f"{numeral(self.loss)}, and its gradient at the outputs"
        parts.append((caption, self.lit(range(self.last, self.last + 1), back=True)))
        for k in range(self.last - 1, -1, -1):
            caption = f"Back to layer {k + 1}: the gradients of the next layer, times the weights, times the slope"
            parts.append((caption, self.lit(range(k, self.last + 1), back=True)))
        caption = "Update: each weight moves against its gradient, the input of its edge times the gradient of its unit"
        parts.append((caption, self.lit(range(self.last + 1), back=True)))
        return parts

    def lit(self, stages: range, *, back: bool) -> str:
        """Return the edges of all that is computed, and the units, bright in these stages."""
        edges = [self.edges(k, back=back and k in stages) for k in range(self.last + 1) if back or k in stages]
        units = [self.circles(k, is_lit=k in stages, back=back) for k in range(self.last + 1)]
        return "".join(edges + units)

    def circles(self, k: int, *, is_lit: bool, back: bool) -> str:
        """Return the units of a stage, with their outputs or gradients as colors, and the names of the classes."""
        stage, drawn = self.stages[k], []
        values = stage.deltas if back else self.probabilities if k == self.last else stage.outputs
        most = 1.0 if k == self.last and not back else float(np.abs(values).max()) or 1.0
        for unit, (x, y) in zip(self.units[k], self.places[k], strict=True):
            share = float(values[unit]) / most if is_lit else 0.0
            drawn.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{self.radius[k]:.1f}" fill="{color_of(share)}" '
                f'fill-opacity="{min(1.0, 0.06 + abs(share)):.2f}" stroke="{QUIET}"/>'
            )
            if k == self.last:
                drawn.append(f'<text x="{x + 30:.1f}" y="{y + 5:.1f}">{escape(self.model.classes[unit][:6])}</text>')
        return "".join(drawn)

    def edges(self, k: int, *, back: bool) -> str:
        """Return the edges into the drawn units of a stage with the largest products."""
        stage, pixels = self.stages[k], self.seen.size
        if k:
            starts = self.places[k - 1]
            products = stage.edges(self.stages[k - 1].count, 0.0, back=back)[self.units[k - 1]]
        else:
            rows, columns = np.divmod(np.arange(pixels), self.seen.shape[1])
            across, down = LEFT + (columns + 0.5) * self.scale, self.top + (rows + 0.5) * self.scale
            starts = list(zip(across.tolist(), down.tolist(), strict=True))
            is_dense = isinstance(stage.layer, Dense)
            products = stage.edges(pixels, self.empty, back=back) if is_dense else stage.middles(pixels)
        products = products[:, self.units[k]]
        most, lines = float(np.abs(products).max()) or 1.0, []
        for at in np.argsort(-np.abs(products), axis=None)[:EDGES]:
            source, unit = np.unravel_index(int(at), products.shape)
            share = float(products[source, unit]) / most
            if share == 0:
                break
            (x1, y1), (x2, y2) = starts[int(source)], self.places[k][int(unit)]
            lines.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color_of(share)}" '
                f'stroke-width="{0.4 + 2 * abs(share):.1f}" stroke-opacity="{0.08 + 0.8 * abs(share):.2f}"/>'
            )
        return "".join(lines)


def color_of(value: float) -> str:
    return POSITIVE if value >= 0 else NEGATIVE


def strength(stage: LayerValues) -> Array:
    """Return how much a unit has to show: its output and gradient, each as a share of the largest       → (units,)"""
    shares = [np.abs(values) / (np.abs(values).max() or 1) for values in (stage.outputs, stage.deltas)]
    total: Array = shares[0] + shares[1]
    return total
