"""Explanations: one step of learning with its real numbers, the formulas beside them, and the code that computed them.

    explanation = byhand.explain_step(model, digits.test[7])
    print(explanation.text())                the terminal's form; `.html()` is a page, a notebook shows that page

`trace` takes one step through a `Pass`, which keeps every array, and works out single units; `layers` says what each
kind of layer did, and this module what happens before, between and after the layers. `document` holds the result as
data, `source` quotes the code, `terminal` and `page` draw it all. `check_gradients` checks a trained model.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.explain.document import Document, Figure, Step, Unit, numeral
from byhand.explain.layers import backward_step, forward_step
from byhand.explain.page import Page
from byhand.explain.source import Quote, formula, formulas, quote
from byhand.explain.trace import Trace, check_unit, samples_of, telling_units, unit_arithmetic
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.backprop import Pass
from byhand.nn.gradcheck import GradCheck, TensorCheck, gradcheck
from byhand.nn.layers import BatchNorm
from byhand.nn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy, log_softmax, softmax
from byhand.nn.optimizers import GradientDescent, Optimizer
from byhand.nn.rng import StepKey
from byhand.threads import blas_threads

__all__ = ["Explanation", "Figure", "Step", "Unit", "check_gradients", "explain_step"]

#: The batch of a gradient check, and the places that are checked in each tensor: fewer in a large network.
SAMPLES, ELEMENTS, FEW_ELEMENTS = 4, 50, 10
LARGE = 500_000
#: For tensors that mostly were on a kink: batch and step length of a second check.
FEW_SAMPLES, SHORT_STEP = 2, 1e-5


class Explanation(Document):
    """One step of learning that shows itself: in a notebook, as text for a terminal, and as an HTML page."""

    def text(self, width: int = 100, *, color: bool = False, units_only: bool = False) -> str:
        """Return the explanation for a terminal; or only its units, with every term of their sums."""
        from byhand.explain.terminal import as_text

        return as_text(self, width, color=color, units_only=units_only)

    def html(self) -> str:
        """Return the explanation as one page that needs nothing else."""
        return Page(self).html()

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, so that its style and the notebook's stay apart."""
        page = html.escape(self.html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" title="{html.escape(self.title)}" sandbox="" '
            'style="width: 100%; height: 640px; border: 1px solid #8884; border-radius: 6px"></iframe>'
        )

    def __repr__(self) -> str:
        learned = "" if self.loss is None else f", loss {numeral(self.loss)} → {numeral(self.loss_after or 0.0)}"
        return f"<Explanation of {self.title}: {self.answer()}{learned}; print(….text()) shows it>"


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
    """Explain what happens when the model learns from one picture once; the model itself is not changed.

    image: uint8 (H, W), a `Sample`, or several at once: uint8 (N, H, W) or a `Dataset`. label: a class by number or
    name, or one for each picture; without one there is nothing to learn, and only the way forward is explained.
    units: (layer, unit) to work out, layers from 1 and units from 0; by default the most telling one of each layer.
    `seed` decides which units dropout silences. The optimizer starts with an empty memory.
    """
    images, labels, title = samples_of(model, image, label)
    trace = Trace(
        model, images, labels, learning_rate, optimizer or GradientDescent(), loss or SoftmaxCrossEntropy(), seed
    )
    for layer, unit in units:
        check_unit(trace.network, layer, unit)
    steps = [picture_step(trace), forward_steps(trace), answer_step(trace)]
    settings = {"model": repr(model)[1:-1].removeprefix("Model "), "layers": repr(trace.network)[8:-1]}
    learned: dict[str, Any] = {}
    if labels is not None:
        settings["loss"] = repr(trace.loss)
        settings["update rule"] = f"{trace.optimizer!r}, learning rate {trace.rate:g}"
        settings["samples in the batch"] = str(len(images))
        steps += [loss_step(trace), backward_steps(trace), update_step(trace)]
        learned = {"loss": trace.loss_before, "loss_after": trace.loss_after, "afterwards": trace.probabilities_after}
    worked_out = tuple(unit_arithmetic(trace, layer, unit) for layer, unit in units or telling_units(trace))
    return Explanation(
        title, images, labels, model.classes, settings, tuple(steps), worked_out, trace.probabilities, **learned
    )


# ---- the steps


def picture_step(trace: Trace) -> Step:
    """From bytes to floats."""
    preparation, images, X = trace.model.preparation, trace.images, trace.X
    arrays = {"picture": images, "upright": preparation.pictures(images), "X": X}
    if not preparation.deskew:
        del arrays["upright"]
    N, *shape = images.shape
    values = f"divisor {preparation.divisor}"
    if not preparation.is_plain:
        values += f", mean {preparation.mean:g}, deviation {preparation.deviation:g}"
    upright = " It is set upright first, as the training pictures were." if preparation.deskew else ""
    return Step(
        key="picture",
        title="The picture becomes numbers",
        text=f"{X.shape[1]} pixels, each a byte from 0 to 255, become as many small numbers, row after row "
        f"({values}).{upright}",
        formula=formula(Preparation),
        shapes=f"picture {images.shape} → X {X.shape}",
        figures=tuple(
            Figure(symbol, array.reshape(N, -1), "rows", (shape[0], shape[1]), each="sample")
            for symbol, array in arrays.items()
        ),
        code=(("X", quote(Preparation.to_floats, None if preparation.is_plain else "self.deviation")),),
    )


def forward_steps(trace: Trace) -> Step:
    """Layer by layer from the inputs to the outputs. The parameters are shown as they were before the update."""
    pass_ = trace.pass_
    return Step(
        key="forward",
        title="Forward",
        text="From layer to layer, each one's answer is the next one's input.",
        code=(("every layer in turn", quote(Pass.forward, "layer.forward(out, cache)")),),
        parts=tuple(map(forward_step, trace.symbols, pass_.ins, pass_.outs, pass_.caches)),
    )


def answer_step(trace: Trace) -> Step:
    """Softmax: from the outputs to probabilities."""
    Z, P, classes = trace.symbols[-1].result, trace.probabilities, trace.model.classes
    likeliest = np.argsort(-P[0], kind="stable")[:3]
    return Step(
        key="answer",
        title=f"The answer: {classes[likeliest[0]]}",
        text="Softmax turns the outputs into shares of one: the largest is the answer.",
        formula=formula(softmax).replace("Z", Z),
        shapes=f"{Z} {P.shape} → P {P.shape}",
        figures=(Figure(Z, trace.pass_.outs[-1]), Figure("P", P)),
        code=softmax_code(),
        lines=(", ".join(f"{classes[k]}: {numeral(P[0, k])}" for k in likeliest),),
    )


def loss_step(trace: Trace) -> Step:
    """One number for how wrong it was, and its derivative by every output."""
    Z, dZ = trace.symbols[-1].result, trace.dlogits
    return Step(
        key="loss",
        title=f"How wrong: {numeral(trace.loss_before)}",
        text="The loss is small where the right class was thought likely. Its derivative by an output says how the "
        "loss would change if that output were a little larger; the samples share it, a part 1/N each.",
        formula=formulas(type(trace.loss)).replace("Z", Z),
        shapes=f"{Z} {dZ.shape}, y {dZ.shape[:1]} → loss (), d{Z} {dZ.shape}",
        figures=(Figure(f"d{Z}", dZ),),
        code=loss_code(trace.loss, Z),
        lines=loss_lines(trace),
    )


def loss_lines(trace: Trace) -> tuple[str, ...]:
    """The plain cross-entropy, worked out: each sample's part and their mean."""
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
    """Layer by layer from the loss to the first weights."""
    pass_ = trace.pass_
    arrays = zip(trace.symbols, pass_.douts, pass_.dins, trace.gradients, strict=True)
    parts = [backward_step(at, dout, din, gradient) for at, dout, din, gradient in arrays if dout is not None]
    return Step(
        key="backward",
        title="Backward",
        text="The same row of layers from its end: each turns the derivative by its answer into the derivatives by "
        "its weights and by its input.",
        code=(("every layer in turn", quote(Pass.backward, "self.layers[i]")),),
        parts=tuple(reversed(parts)),
    )


def update_step(trace: Trace) -> Step:
    """Every parameter moves against its derivative; then the same picture is looked at again."""
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
    code = [("parameters", quote(rule.rule))]
    if any(isinstance(layer, BatchNorm) for layer in after.layers):
        code.append(("running averages", quote(BatchNorm.update_statistics)))
    remembers = "; the rule remembers earlier steps, and here begins with an empty memory" if rule.state_names else ""
    return Step(
        key="update",
        title="The update",
        text=f"Every parameter p moves against its derivative g, with η = {trace.rate:g}{remembers}. Then the same "
        "picture again: what did that step do?",
        formula=formula(rule),
        shapes=f"p, g ({after.size},)",
        figures=tuple(figures),
        code=tuple(code),
        lines=(
            f"loss: {numeral(trace.loss_before)} → {numeral(trace.loss_after)}",
            f"P[{trace.model.classes[label]}]: {numeral(P)} → {numeral(P_after)}",
        ),
    )


def softmax_code() -> tuple[tuple[str, Quote], ...]:
    """The lines that turn the outputs into probabilities."""
    return (
        ("P", quote(log_softmax, "np.exp(S, out=P)")),
        ("P", quote(log_softmax, "np.add.reduce(P, axis=0, out=log_sum)")),
    )


def loss_code(loss: Loss, Z: str) -> tuple[tuple[str, Quote], ...]:
    """The lines that compute the loss and its derivative."""
    compute = type(loss).value_and_gradient
    if isinstance(loss, MeanSquaredError):
        return (
            (f"{Z} − Y", quote(compute, "dZ[np.arange(N), target]")),
            ("loss", quote(compute, "np.vdot(dZ, weighted)")),
            (f"d{Z}", quote(compute, "2 * scale")),
        )
    return (
        *softmax_code(),
        ("P − Y", quote(SoftmaxCrossEntropy.subtract_target, "P.reshape(-1)[places]")),
        ("loss", quote(compute, "np.add.reduce(log_p, dtype=np.float64)")),
        (f"d{Z}", quote(compute, "np.multiply(P.T, scale, out=cache.dZ)")),
    )


# ---- the gradient check of a trained model


def check_gradients(model: Model, data: Dataset, *, loss: Loss | None = None, seed: int = 0) -> GradCheck:
    """Check the gradient of every parameter on the first pictures of `data`, as in a step of training, in float64.

    A weight of a convolution enters thousands of sums, and some relu among them nearly always switches. Tensors that
    could hardly be checked for that are checked again with fewer pictures and a shorter step, which meets fewer kinks.
    """

    def checked(samples: int, **settings: Any) -> GradCheck:
        batch = data[:samples]
        X = model.preparation(model.check_images(batch.images), np.float64)
        rng = np.random.default_rng(seed)
        return gradcheck(model.network, X, batch.labels, loss=loss, rng=rng, key=StepKey(seed, 0), **settings)

    def better(one: TensorCheck, other: TensorCheck) -> TensorCheck:
        """Return the one that checked more places, but never instead of one that found an error."""
        return other if one.error < first.tolerance and other.checked > one.checked else one

    with blas_threads(1):  # thousands of small products: threads would wait for one another
        first = checked(SAMPLES, elements=ELEMENTS if model.network.size < LARGE else FEW_ELEMENTS)
        if all(one.checked >= one.kinks for one in first.tensors):
            return first
        second = checked(FEW_SAMPLES, elements=FEW_ELEMENTS, step=SHORT_STEP)
    return GradCheck(tuple(map(better, first.tensors, second.tensors)), first.tolerance)
