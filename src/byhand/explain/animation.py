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
from byhand.nn.layers import Activation, BatchNorm, Layer
from byhand.nn.losses import Loss, SoftmaxCrossEntropy, softmax
from byhand.page.document import data_uri, escape, gray_png

#: Maximum number of units drawn of a layer, and of edges into it.
SHOWN, EDGES = 24, 90
#: Seconds of each part.
SECONDS = 3.0
WIDTH, HEIGHT, TOP, CAPTION = 900, 500, 40, 60
IMAGE = 130
POSITIVE, NEGATIVE, QUIET, GROUND, TEXT = "#ffa84c", "#5096ff", "#3a3e48", "#0d0e12", "#ecebe6"


@dataclass(frozen=True)
class LayerValues:
    """The values of one stage for one image.

    inputs: (n,);  outputs, deltas: (units,), after the activation, and the gradient of the sums
    places: (units,), the strongest positions of maps, or None
    """

    layer: Layer
    W: Array
    inputs: Array
    outputs: Array
    deltas: Array
    places: Array | None
    function: str

    @property
    def count(self) -> int:
        return len(self.outputs)

    def edges(self, sources: int, empty: float, *, back: bool) -> Array:
        """Return the products along the edges, summed over positions                   → (sources, units)

        Forward, weight times input; `back`, weight times gradient.
        """
        layer = self.layer
        if not isinstance(layer, Convolution):
            products: Array = self.W * (self.deltas if back else (self.inputs - empty)[:, None])
            summed: Array = products.reshape(-1, sources, self.count).sum(axis=0)
            return summed
        assert self.places is not None
        W = self.W.reshape(-1, layer.channels, layer.maps)
        if back:
            every: Array = W.sum(axis=0) * self.deltas
            return every
        maps = self.inputs.reshape(layer.height, layer.width, layer.channels) - empty
        columns = []
        for unit, place in enumerate(self.places):
            row, column = np.array(divmod(int(place), layer.columns)) * layer.stride
            window = maps[row : row + layer.size, column : column + layer.size].reshape(-1, layer.channels)
            columns.append((window * W[:, :, unit]).sum(axis=0))
        return np.stack(columns, axis=1)


def values_of(model: Model, image: Array, label: int, loss: Loss | None = None) -> tuple[float, list[LayerValues]]:
    """Return the loss of one image, and the values of each stage. The model is not changed."""
    network = model.network
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
                dict(network.named())[f"{layer.index}.W"],
                pass_.ins[layer.index][0],
                out[places, units],
                deltas[np.abs(deltas).argmax(axis=0), units],
                places if isinstance(layer, Convolution) else None,
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
        self.seen = model.preparation.pictures(image[None])[0]
        self.empty = float(model.preparation(np.zeros_like(image)[None], model.network.dtype).flat[0])
        self.probabilities = softmax(self.stages[-1].outputs[None])[0]
        #: The units that are drawn of each stage: those with the largest outputs and gradients.
        self.units = [np.sort(np.argsort(-strength(stage))[:SHOWN]) for stage in self.stages]
        room = HEIGHT - TOP - CAPTION
        steps = (WIDTH - IMAGE - 130) / len(self.stages)
        self.places = [
            {
                int(unit): (IMAGE + 50 + (k + 1) * steps, TOP + room * (i + 0.5) / len(units))
                for i, unit in enumerate(units)
            }
            for k, units in enumerate(self.units)
        ]
        self.radius = [min(13.0, 0.42 * room / len(units)) for units in self.units]

    def text(self) -> str:
        parts = self.parts()
        total = SECONDS * len(parts)
        shown = 100 / len(parts)
        style = (
            f"text {{ font: 15px system-ui, sans-serif; fill: {TEXT}; text-anchor: middle }}"
            f".part {{ opacity: 0; animation: part {total:g}s step-end infinite }}"
            f"@keyframes part {{ 0% {{ opacity: 1 }} {shown:.4f}% {{ opacity: 0 }} }}"
        )
        groups = [
            f'<g class="part" style="animation-delay: {SECONDS * i:g}s">{content}'
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 22}">{i + 1} of {len(parts)}. {escape(caption)}</text></g>'
            for i, (caption, content) in enumerate(parts)
        ]
        height, width = self.seen.shape
        scale = IMAGE / max(height, width)
        room = HEIGHT - TOP - CAPTION
        picture = (
            f'<image x="25" y="{TOP + (room - height * scale) / 2:.1f}" width="{width * scale:.1f}" '
            f'height="{height * scale:.1f}" style="image-rendering: pixelated" href="{data_uri(gray_png(self.seen))}"/>'
        )
        names = "".join(
            f'<text x="{self.places[k][int(units[0])][0]:.1f}" y="24">{self.name(k)}</text>'
            for k, units in enumerate(self.units)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
            f"<title>One training step of {escape(self.model.network.architecture)}</title><style>{style}</style>"
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{GROUND}"/>{names}{picture}{"".join(groups)}</svg>\n'
        )

    def name(self, k: int) -> str:
        stage = self.stages[k]
        what = "outputs" if k == len(self.stages) - 1 else "maps" if stage.places is not None else "units"
        return f"{len(self.units[k])} of {stage.count} {what}" if stage.count > SHOWN else f"{stage.count} {what}"

    def parts(self) -> list[tuple[str, str]]:
        """Return each part of the step: its caption, and its SVG elements."""
        last = len(self.stages) - 1
        name = self.model.classes[self.label]
        forward = []
        for k, stage in enumerate(self.stages):
            caption = f"Forward, layer {k + 1}: z = Σ w·x + b"
            if k == last:
                caption = "Forward, outputs: z = Σ w·h + b, and softmax makes probabilities of them"
            elif stage.function:
                caption += f", h = {stage.function.replace('_', ' ')}(z)"
            forward.append((caption, self.lit(k, back=False)))
        caption = f"The loss for a {name}: {numeral(self.loss)}, and its gradient at the outputs"
        if self.rule == SoftmaxCrossEntropy():
            p = self.probabilities[self.label]
            caption = f"The loss for a {name}: −log {p:.3g} = {numeral(self.loss)}; its gradient is p − y"
        loss = (caption, self.lit(last, back=True))
        back = [
            (
                f"Back to layer {k + 1}: the gradients of the next layer, times the weights, times the slope",
                self.lit(k, back=True),
            )
            for k in range(last - 1, -1, -1)
        ]
        update = (
            "Update: each weight moves against its gradient, the input of its edge times the gradient of its unit",
            self.lit(0, back=True),
        )
        return [*forward, loss, *back, update]

    def lit(self, stage: int, *, back: bool) -> str:
        """Return the units and edges that are computed up to this stage, forward or back."""
        drawn = []
        for k in range(len(self.stages)):
            is_lit = k >= stage if back else k <= stage
            drawn.append(self.edges(k, back=back and is_lit) if is_lit or back else "")
        for k, one in enumerate(self.stages):
            is_lit = k >= stage if back else k <= stage
            values = one.deltas if back else self.probabilities if k == len(self.stages) - 1 else one.outputs
            most = 1.0 if not back and k == len(self.stages) - 1 else float(np.abs(values).max()) or 1.0
            for unit, (x, y) in self.places[k].items():
                share = float(values[unit]) / most if is_lit else 0.0
                color = POSITIVE if share >= 0 else NEGATIVE
                drawn.append(
                    f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{self.radius[k]:.1f}" fill="{color}" '
                    f'fill-opacity="{min(1.0, 0.06 + abs(share)):.2f}" stroke="{QUIET}"/>'
                )
                if k == len(self.stages) - 1:
                    words = escape(self.model.classes[unit][:6])
                    drawn.append(f'<text x="{x + 30:.1f}" y="{y + 5:.1f}">{words}</text>')
        return "".join(drawn)

    def edges(self, k: int, *, back: bool) -> str:
        """Return the edges into a stage with the largest products."""
        height, width = self.seen.shape
        sources = self.stages[k - 1].count if k else self.stages[0].inputs.size
        products = (
            self.stages[k].edges(sources, 0.0 if k else self.empty, back=back)
            if k or not self.windows
            else self.strongest()
        )
        hidden = np.ones(products.shape, bool)
        hidden[np.ix_(self.units[k - 1] if k else np.arange(len(products)), self.units[k])] = False
        products = np.where(hidden, 0, products)
        most = float(np.abs(products).max()) or 1.0
        lines = []
        for at in np.argsort(-np.abs(products), axis=None)[:EDGES]:
            source, unit = divmod(int(at), products.shape[1])
            share = float(products[source, unit]) / most
            if share == 0:
                break
            if k:
                x1, y1 = self.places[k - 1][source]
            else:
                scale = IMAGE / max(height, width)
                row, column = divmod(source * height * width // len(products), width)
                x1 = 25 + (column + 0.5) * scale
                y1 = TOP + (HEIGHT - TOP - CAPTION - height * scale) / 2 + (row + 0.5) * scale
            x2, y2 = self.places[k][unit]
            color = POSITIVE if share > 0 else NEGATIVE
            lines.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
                f'stroke-width="{0.4 + 2 * abs(share):.1f}" stroke-opacity="{0.08 + 0.8 * abs(share):.2f}"/>'
            )
        return "".join(lines)

    @property
    def windows(self) -> bool:
        """True if the first layer is a convolution: an edge then begins in the middle of its strongest window."""
        return self.stages[0].places is not None

    def strongest(self) -> Array:
        """Return the output of each map at the middle of its strongest window            → (pixels, units)"""
        stage = self.stages[0]
        layer = stage.layer
        assert isinstance(layer, Convolution)
        assert stage.places is not None
        rows, columns = np.divmod(stage.places, layer.columns)
        pixels = (rows * layer.stride + layer.size // 2) * layer.width + columns * layer.stride + layer.size // 2
        found = np.zeros((layer.height * layer.width, stage.count))
        found[pixels, np.arange(stage.count)] = stage.outputs
        return found


def strength(stage: LayerValues) -> Array:
    """Return how much a unit has to show: its output and gradient, each as a share of the largest       → (units,)"""
    shares = [np.abs(values) / (np.abs(values).max() or 1) for values in (stage.outputs, stage.deltas)]
    total: Array = shares[0] + shares[1]
    return total
