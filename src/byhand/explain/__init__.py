"""Explanations: one training step with formulas, actual numbers and code.

    explanation = byhand.explain_step(model, digits.test[7])
    print(explanation.text())                for a terminal; `.html()` returns a page, which a notebook shows

`trace` runs the step and keeps every array, `layers` explains each layer, and this module the other parts. `document`
is the result as data, which `terminal` and `page` draw; `source` quotes the code.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.explain.document import Document, Figure, Step, Unit, numeral
from byhand.explain.layers import backward_step, forward_step
from byhand.explain.page import Page
from byhand.explain.source import Quote, formula, formulas, quote
from byhand.explain.trace import Trace, check_unit, default_units, samples_of, unit_arithmetic
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.gradcheck import GradCheck, TensorCheck, gradcheck
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer
from byhand.nn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy, log_softmax, softmax
from byhand.nn.optimizers import GradientDescent, Momentum, Optimizer
from byhand.nn.rng import StepKey
from byhand.threads import blas_threads

__all__ = ["Explanation", "Figure", "Step", "Unit", "check_gradients", "explain_step"]

#: Gradient check: batch size, elements per tensor, the same for networks of LARGE parameters.
SAMPLES, ELEMENTS, FEW_ELEMENTS, LARGE = 4, 50, 10, 500_000
#: Batch size and step length of a second check, for tensors with many kinks.
FEW_SAMPLES, SHORT_STEP = 2, 1e-5
#: Names of losses and optimizers; the other classes have the field's own name.
NAMES = {
    "SoftmaxCrossEntropy": "cross-entropy",
    "MeanSquaredError": "mean squared error",
    **dict.fromkeys(("GradientDescent", "Momentum"), "gradient descent"),
}


class Explanation(Document):
    """The explanation of one training step."""

    def text(self, width: int = 100, *, color: bool = False, units_only: bool = False) -> str:
        """Return text for a terminal, or only the units with all terms."""
        from byhand.explain.terminal import as_text

        return as_text(self, width, color=color, units_only=units_only)

    def html(self) -> str:
        """Return a self-contained HTML page."""
        return Page(self).html()

    def _repr_html_(self) -> str:
        """Return the page in an iframe, to isolate its style."""
        page = html.escape(self.html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" title="{html.escape(self.title)}" sandbox="" '
            'style="width: 100%; height: 640px; border: 1px solid #8884; border-radius: 6px"></iframe>'
        )

    def __repr__(self) -> str:
        loss = "" if self.loss is None else f", loss {numeral(self.loss)} → {numeral(self.loss_after or 0.0)}"
        return f"<Explanation of {self.title}: {self.answer()}{loss}; print(….text()) shows it>"


def explain_step(
    model: Model,
    image: Any,
    label: Any = None,
    *,
    learning_rate: float = 0.01,
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
    units: Sequence[tuple[int, int]] = (),
    seed: int = 0,
) -> Explanation:
    """Explain one training step, without changing the model.

    image: uint8 (H, W) or a `Sample`; a batch: uint8 (N, H, W) or a `Dataset`
    label: a class by number or name, or one per image; None for the forward pass only
    units: (layer, unit) to show in detail, layers from 1 and units from 0; default: one unit per layer
    seed: of the dropout masks
    """
    images, labels, title = samples_of(model, image, label)
    optimizer, loss = optimizer or GradientDescent(), loss or SoftmaxCrossEntropy()
    trace = Trace(model, images, labels, learning_rate, optimizer, loss, seed)
    for layer, unit in units:
        check_unit(trace.network, layer, unit)
    steps = [preparation_step(trace), forward_steps(trace), prediction_step(trace)]
    layers = ", ".join(map(named, trace.network.layers))
    settings = {"model": repr(model)[1:-1].removeprefix("Model "), "layers": layers}
    learned: dict[str, Any] = {}
    if labels is not None:
        settings["loss"] = described(trace.loss)
        settings["update rule"] = f"{described(trace.optimizer)}, learning rate {trace.rate:g}"
        settings["samples in the batch"] = str(len(images))
        settings["reference"] = "byhand/reference/l_layer.py; there, samples are columns, and dW and db have the 1/N"
        steps += [loss_step(trace), backward_steps(trace), update_step(trace)]
        learned = {"loss": trace.loss_before, "loss_after": trace.loss_after, "afterwards": trace.probabilities_after}
    shown = tuple(unit_arithmetic(trace, layer, unit) for layer, unit in units or default_units(trace))
    return Explanation(
        title, images, labels, model.classes, settings, tuple(steps), shown, trace.probabilities, **learned
    )


def named(layer: Layer) -> str:
    """Return a layer in a few words: `dense 784 → 128`, `relu`."""
    match layer:
        case Dense():
            return f"dense {layer.inputs} → {layer.units}"
        case Convolution():
            window = f"convolution {layer.size} × {layer.size}, stride {layer.stride}"
            return f"{window}, {layer.channels} → {layer.maps} maps"
        case Activation():
            return layer.function.name
        case Dropout():
            return f"dropout {layer.rate:.0%}"
    return layer.kind.replace("_", " ")


def described(thing: Loss | Optimizer) -> str:
    """Return a loss or an optimizer with its settings that are not zero: `gradient descent, momentum 0.9`."""
    values = {each.name: getattr(thing, each.name) for each in fields(thing)}
    parts = [f"{name.replace('_', ' ')} {value:g}" for name, value in values.items() if value]
    return ", ".join([NAMES.get(type(thing).__name__, type(thing).__name__), *parts])


def preparation_step(trace: Trace) -> Step:
    """Return the conversion of bytes to floats."""
    preparation, images, X = trace.model.preparation, trace.images, trace.X
    arrays = {"picture": images, "upright": preparation.pictures(images), "X": X}
    if not preparation.deskew:
        del arrays["upright"]
    N, height, *rest = images.shape
    equation, values = "x = byte / divisor", f"divisor {preparation.divisor}"
    if not preparation.is_plain:
        equation = "x = (byte / divisor − mean) / deviation"
        values += f", mean {preparation.mean:g}, standard deviation {preparation.deviation:g}"
    deskewed = " The image is deskewed first." if preparation.deskew else ""
    return Step(
        key="picture",
        title="Preparation",
        text=f"{X.shape[1]} pixels from 0 to 255 are scaled and flattened, row by row ({values}).{deskewed}",
        formula=equation,
        shapes=f"picture {images.shape} → X {X.shape}",
        figures=tuple(
            Figure(symbol, array.reshape(N, -1), "rows", (height, math.prod(rest)), each="sample")
            for symbol, array in arrays.items()
        ),
        code=(("X", quote(Preparation.to_floats, None if preparation.is_plain else "self.deviation")),),
    )


def forward_steps(trace: Trace) -> Step:
    pass_ = trace.pass_
    parts = tuple(map(forward_step, trace.symbols, pass_.ins, pass_.outs, pass_.caches))
    text = "The output of each layer is the input of the next."
    layers = quote(Pass.forward, "layer.forward(out, cache)")
    same = 'layer_forward(H, parameters[f"W{l}"], parameters[f"b{l}"], hidden)'
    code = (("for each layer", layers.beside("L_layer_forward", same)),)
    return Step("forward", "Forward pass", text, code=code, parts=parts)


def prediction_step(trace: Trace) -> Step:
    """Return the softmax of the logits."""
    Z, P, classes = trace.symbols[-1].result, trace.probabilities, trace.model.classes
    likeliest = np.argsort(-P[0], kind="stable")[:3]
    return Step(
        key="answer",
        title=f"Prediction: {classes[likeliest[0]]}",
        text="Softmax turns the outputs (logits) into probabilities. The prediction is the most probable class.",
        formula=formula(softmax).replace("Z", Z),
        shapes=f"{Z} {P.shape} → P {P.shape}",
        figures=(Figure(Z, trace.pass_.outs[-1]), Figure("P", P)),
        code=softmax_code(),
        lines=(", ".join(f"{classes[k]}: {numeral(P[0, k])}" for k in likeliest),),
    )


def loss_step(trace: Trace) -> Step:
    """Return the loss and its gradient with respect to the logits."""
    Z, dZ = trace.symbols[-1].result, trace.dlogits
    return Step(
        key="loss",
        title=f"Loss: {numeral(trace.loss_before)}",
        text="The loss is small if the right class has a high probability. It is the mean over the batch, so that each "
        "sample contributes 1/N to the gradient.",
        formula=formulas(type(trace.loss)).replace("Z", Z),
        shapes=f"{Z} {dZ.shape}, y {dZ.shape[:1]} → loss (), d{Z} {dZ.shape}",
        figures=(Figure(f"d{Z}", dZ),),
        code=loss_code(trace.loss, Z),
        lines=loss_lines(trace),
    )


def loss_lines(trace: Trace) -> tuple[str, ...]:
    """Return the arithmetic of the cross-entropy."""
    labels, N = trace.labels, len(trace.X)
    likely = trace.probabilities[np.arange(N), labels].astype(np.float64)
    if labels is None or not isinstance(trace.loss, SoftmaxCrossEntropy) or trace.loss.smoothing or not likely.all():
        return ()
    shown = [f"P[{trace.model.classes[k]}] = {numeral(p)}" for k, p in zip(labels[:4], likely[:4], strict=True)]
    parts = [f"−log {numeral(p)}" for p in likely[:4]]
    if N > 4:
        parts.append(f"… ({N - 4} more: {numeral(-np.log(likely[4:]).sum())})")
    total = parts[0] if N == 1 else f"({' + '.join(parts)}) / {N}"
    return ", ".join(shown), f"loss = {total} = {numeral(trace.loss_before)}"


def backward_steps(trace: Trace) -> Step:
    pass_ = trace.pass_
    arrays = zip(trace.symbols, pass_.douts, pass_.dins, trace.gradients, strict=True)
    parts = [backward_step(at, dout, din, gradient) for at, dout, din, gradient in arrays if dout is not None]
    text = (
        "From the last layer to the first: each turns the gradient with respect to its output (upstream gradient) into "
        "the gradients with respect to its weights and its input."
    )
    layers = quote(Pass.backward, "self.layers[i]")
    same = 'layer_backward(gradients[f"dH{l}"], memories[l - 1], hidden)'
    code = (("for each layer, in reverse", layers.beside("L_layer_backward", same)),)
    return Step("backward", "Backward pass", text, code=code, parts=tuple(reversed(parts)))


def update_step(trace: Trace) -> Step:
    """Return the update of the parameters and its effect on the same samples."""
    before, after, rule = trace.before, trace.network, type(trace.optimizer)
    figures = []
    for (name, old), (_, new) in zip(
        [*before.named(), *before.named_statistics()], [*after.named(), *after.named_statistics()], strict=True
    ):
        index, own = name.split(".")
        at = trace.symbols[int(index)]
        symbol = f"Δ{at.own({'gamma': 'γ', 'beta': 'β'}.get(own, own))}"
        figures.append(at.weights(symbol, new - old) if own == "W" else Figure(symbol, new - old))
    label = 0 if trace.labels is None else int(trace.labels[0])
    P, P_after = trace.probabilities[0, label], trace.probabilities_after[0, label]
    code = [("parameters", rule_code(trace.optimizer))]
    if any(isinstance(layer, BatchNorm) for layer in after.layers):
        code.append(("running averages", quote(BatchNorm.update_statistics)))
    state = " The state of the optimizer starts at 0." if rule.state_names else ""
    return Step(
        key="update",
        title="Update",
        text=f"Each parameter p moves against its gradient g, with learning rate η = {trace.rate:g}.{state} The loss "
        "is then computed again.",
        formula=formula(rule),
        shapes=f"p, g ({after.size},)",
        figures=tuple(figures),
        code=tuple(code),
        lines=(
            f"loss: {numeral(trace.loss_before)} → {numeral(trace.loss_after)}",
            f"P[{trace.model.classes[label]}]: {numeral(P)} → {numeral(P_after)}",
        ),
    )


def rule_code(optimizer: Optimizer) -> Quote:
    """Return the code of the update, beside the reference if it has the same rule."""
    code = quote(type(optimizer).rule)
    if optimizer.weight_decay:
        return code
    match optimizer:
        case GradientDescent():
            return code.beside("update_parameters", 'value - learning_rate * gradients[f"d{name}"]')
        case Momentum(nesterov=False):
            return code.beside("update_with_momentum", None, "beyond")
    return code


def softmax_code() -> tuple[tuple[str, Quote], ...]:
    return (
        ("P", quote(log_softmax, "np.exp(S, out=P)").beside("softmax")),
        ("P", quote(log_softmax, "np.add.reduce(P, axis=0, out=log_sum)")),
    )


def loss_code(loss: Loss, Z: str) -> tuple[tuple[str, Quote], ...]:
    compute = type(loss).value_and_gradient
    if isinstance(loss, MeanSquaredError):
        return (
            (f"{Z} − Y", quote(compute, "dZ[np.arange(N), target]")),
            ("loss", quote(compute, "np.vdot(dZ, weighted)")),
            (f"d{Z}", quote(compute, "2 * scale")),
        )
    difference = quote(SoftmaxCrossEntropy.subtract_target, "P.reshape(-1)[places]")
    mean = quote(compute, "np.add.reduce(log_p, dtype=np.float64)")
    if not loss.smoothing:
        difference = difference.beside("L_layer_backward", "HL - Y")
        mean = mean.beside("compute_loss", "np.sum(product(Y, log_HL))")
    return (
        *softmax_code(),
        ("P − Y", difference),
        ("loss", mean),
        (f"d{Z}", quote(compute, "np.multiply(P.T, scale, out=cache.dZ)")),
    )


def check_gradients(model: Model, data: Dataset, *, loss: Loss | None = None, seed: int = 0) -> GradCheck:
    """Check the gradients of a trained model in float64, with the first images of `data`.

    A weight of a convolution affects thousands of ReLUs, and nearly always one of them switches. Tensors with more
    such kinks than checked elements are checked again with fewer images and a shorter step.
    """

    def checked(samples: int, **settings: Any) -> GradCheck:
        batch = data[:samples]
        X = model.preparation(model.check_images(batch.images), np.float64)
        rng = np.random.default_rng(seed)
        return gradcheck(model.network, X, batch.labels, loss=loss, rng=rng, key=StepKey(seed, 0), **settings)

    def better(one: TensorCheck, other: TensorCheck) -> TensorCheck:
        """Return the check of more elements, unless the first one found an error."""
        return other if one.error < first.tolerance and other.checked > one.checked else one

    with blas_threads(1):  # the products are too small for threads
        first = checked(SAMPLES, elements=ELEMENTS if model.network.size < LARGE else FEW_ELEMENTS)
        if all(one.checked >= one.kinks for one in first.tensors):
            return first
        second = checked(FEW_SAMPLES, elements=FEW_ELEMENTS, step=SHORT_STEP)
    return GradCheck(tuple(map(better, first.tensors, second.tensors)), first.tolerance)
