"""One step of learning with its real numbers: forward, loss, backward, update.

`explain_step` walks a copy of the network through one step with the layers' own `forward` and `backward`, the loss and
the optimiser, exactly as training does, and keeps every array. What each of them means is written in
`byhand.explain.layers`; single units are worked out in `byhand.explain.units`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from byhand.errors import DivergedError, UsageError
from byhand.explain import units as working
from byhand.explain.layers import backward_step, forward_step
from byhand.explain.names import Named, named
from byhand.explain.sample import sample_of
from byhand.explain.source import formula, formulas, quote
from byhand.explain.steps import Explanation, Figure, Step, numeral
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.layers import BatchNorm
from byhand.nn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy, log_softmax, softmax
from byhand.nn.noise import StepKey
from byhand.nn.optimizers import GradientDescent, Optimizer


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
    """What happens when the model learns from one picture once; the model itself is not changed.

    image: uint8 (H, W), a `Sample`, or several at once: uint8 (N, H, W) or a `Dataset`. label: a class by number or
    name, or one for each picture; without one there is nothing to learn, and only the way forward is explained.
    units: (layer, unit) to work out, layers from 1 and units from 0; without any, the most telling one of each layer.
    `seed` decides what dropout silences. The optimiser starts with an empty memory.
    """
    images, labels, title = sample_of(model, image, label)
    step = OneStep(model, images, labels, learning_rate, optimizer or GradientDescent(), loss, seed)
    for layer, unit in units:
        working.check_unit(step.network, layer, unit)
    return step.explanation(title, units)


class OneStep:
    """One step, taken on a copy of the model's network, with all of its arrays kept."""

    def __init__(
        self,
        model: Model,
        images: Array,
        labels: Array | None,
        learning_rate: float,
        optimizer: Optimizer,
        loss: Loss | None,
        seed: int,
    ) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.rate, self.optimizer = learning_rate, optimizer
        self.loss: Loss = loss or SoftmaxCrossEntropy()
        if not 0 < learning_rate < np.inf:
            raise UsageError(f"learning_rate must be a positive number, got {learning_rate}")
        self.network = model.network.copy()
        if labels is not None and self.network.needs_whole_batch and len(images) < 2:
            raise UsageError("a network with batch norm learns from at least 2 pictures at once, got 1")
        #: Without a label the network runs in inference mode: no dropout, running averages in batch norm.
        self.key = None if labels is None else StepKey(seed, 0)
        height, width = images.shape[1:]
        self.layers = named(self.network.layers, (height, width) if height > 1 else None)
        self.pictures = model.preparation.pictures(images)
        self.X = model.preparation(images, self.network.dtype)
        self.before = self.network.copy()
        self.take()

    def take(self) -> None:
        """Forward, loss, backward, update, and forward once more to see what it did."""
        self.pass_ = Pass(self.network)
        logits = self.pass_.forward(self.X, self.key)
        if not np.isfinite(logits).all():
            raise DivergedError("the network's answers must be finite numbers, for this picture they are not")
        self.probabilities = softmax(logits)
        self.views = self.network.by_layer(self.pass_.gradient)
        if self.labels is None:
            return
        self.loss_before, self.dlogits = self.loss(logits, self.labels)
        self.pass_.backward(self.dlogits)
        state = self.optimizer.start(self.network.parameters)
        self.optimizer.update(
            self.network.parameters, self.pass_.gradient, state, self.rate, decayed=self.network.decayed
        )
        if self.network.needs_whole_batch:
            self.pass_.update_statistics(len(self.X))
        self.again = Pass(self.network)
        self.loss_after, _ = self.loss(self.again.forward(self.X, self.key), self.labels)

    def explanation(self, title: str, units: Sequence[tuple[int, int]]) -> Explanation:
        """All of it, in words."""
        steps = [self.picture_step(), self.forward_steps(), self.answer_step()]
        if self.labels is not None:
            steps += [self.loss_step(), self.backward_steps(), self.update_step()]
        chosen = units or working.telling_units(self)
        learned = self.labels is not None
        return Explanation(
            title=title,
            images=self.images,
            labels=self.labels,
            classes=self.model.classes,
            settings=self.settings(),
            steps=tuple(steps),
            units=tuple(working.unit(self, layer, number) for layer, number in chosen),
            probabilities=self.probabilities,
            loss=self.loss_before if learned else None,
            loss_after=self.loss_after if learned else None,
            afterwards=softmax(self.again.outs[-1]) if learned else None,
        )

    def settings(self) -> dict[str, str]:
        """What was stepped, and by which rule."""
        settings = {"model": repr(self.model)[1:-1].removeprefix("Model "), "layers": repr(self.network)[8:-1]}
        if self.labels is not None:
            settings |= {
                "loss": repr(self.loss),
                "update rule": f"{self.optimizer!r}, learning rate {self.rate:g}",
                "samples in the batch": str(len(self.X)),
            }
        return settings

    def picture_step(self) -> Step:
        """From bytes to floats."""
        preparation = self.model.preparation
        shape = (self.images.shape[1], self.images.shape[2])
        rows = len(self.images)
        figures = [Figure("picture", self.images.reshape(rows, -1), "rows", shape, each="sample")]
        if preparation.deskew:
            figures.append(Figure("upright", self.pictures.reshape(rows, -1), "rows", shape, each="sample"))
        figures.append(Figure("X", self.X, "rows", shape, each="sample"))
        values = f"divisor {preparation.divisor}"
        if not preparation.is_plain:
            values += f", mean {preparation.mean:g}, deviation {preparation.deviation:g}"
        upright = " It is set upright first, as the training pictures were." if preparation.deskew else ""
        return Step(
            key="picture",
            title="The picture becomes numbers",
            text=f"{self.X.shape[1]} pixels, each a byte from 0 to 255, become as many small numbers, row after row "
            f"({values}).{upright}",
            formula=formula(Preparation),
            shapes=f"picture {self.images.shape} → X {self.X.shape}",
            figures=tuple(figures),
            code=(("X", quote(Preparation.to_floats, None if preparation.is_plain else "self.deviation")),),
        )

    def forward_steps(self) -> Step:
        """Layer by layer from the inputs to the outputs. The sums are shown as they were before the update."""
        pass_ = self.pass_
        parts = [
            forward_step(self.old(at), pass_.ins[at.index], pass_.outs[at.index], pass_.caches[at.index])
            for at in self.layers
        ]
        return Step(
            key="forward",
            title="Forward",
            text="From layer to layer, each one's answer is the next one's input.",
            code=(("every layer in turn", quote(Pass.forward, "layer.forward(out, cache)")),),
            parts=tuple(parts),
        )

    def old(self, at: Named) -> Named:
        """The same layer with the parameters that it had before the update."""
        return replace(at, layer=self.before.layers[at.index])

    def answer_step(self) -> Step:
        """Softmax: from the outputs to probabilities."""
        Z = self.layers[-1].result
        P = self.probabilities
        best = int(P[0].argmax())
        named_P = ", ".join(
            f"{self.model.classes[k]}: {numeral(P[0, k])}" for k in np.argsort(-P[0], kind="stable")[:3]
        )
        return Step(
            key="answer",
            title=f"The answer: {self.model.classes[best]}",
            text="Softmax turns the outputs into shares of one: the largest is the answer.",
            formula=formula(softmax).replace("Z", Z),
            shapes=f"{Z} {P.shape} → P {P.shape}",
            figures=(Figure(Z, self.pass_.outs[-1]), Figure("P", P)),
            code=softmax_code(),
            lines=(named_P,),
        )

    def loss_step(self) -> Step:
        """One number for how wrong it was, and its derivative by every output."""
        assert self.labels is not None
        Z = self.layers[-1].result
        return Step(
            key="loss",
            title=f"How wrong: {numeral(self.loss_before)}",
            text="The loss is small where the right class was thought likely. Its derivative by an output says how the "
            "loss would change if that output were a little larger; the samples share it, a part 1/N each.",
            formula=formulas(type(self.loss)).replace("Z", Z),
            shapes=f"{Z} {self.dlogits.shape}, y {self.labels.shape} → loss (), d{Z} {self.dlogits.shape}",
            figures=(Figure(f"d{Z}", self.dlogits),),
            code=loss_code(self.loss, Z),
            lines=self.loss_lines(),
        )

    def loss_lines(self) -> tuple[str, ...]:
        """The plain cross-entropy, worked out: each sample's part and their mean."""
        assert self.labels is not None
        likely = self.probabilities[np.arange(len(self.X)), self.labels].astype(np.float64)
        if not isinstance(self.loss, SoftmaxCrossEntropy) or self.loss.smoothing or not likely.all():
            return ()
        shown = [f"P[{self.model.classes[k]}] = {numeral(p)}" for k, p in zip(self.labels[:4], likely[:4], strict=True)]
        parts = [f"−log {numeral(p)}" for p in likely[:4]]
        if len(likely) > 4:
            parts.append(f"… ({len(likely) - 4} more: {numeral(-np.log(likely[4:]).sum())})")
        total = parts[0] if len(parts) == 1 else f"({' + '.join(parts)}) / {len(likely)}"
        return ", ".join(shown), f"loss = {total} = {numeral(self.loss_before)}"

    def backward_steps(self) -> Step:
        """Layer by layer from the loss to the first weights."""
        parts = []
        for at in reversed(self.layers):
            dout = self.pass_.douts[at.index]
            if dout is not None:
                parts.append(backward_step(self.old(at), dout, self.pass_.dins[at.index], self.views[at.index]))
        return Step(
            key="backward",
            title="Backward",
            text="The same row of layers from its end: each turns the derivative by its answer into the derivatives by "
            "its weights and by its input.",
            code=(("every layer in turn", quote(Pass.backward, "self.layers[i]")),),
            parts=tuple(parts),
        )

    def update_step(self) -> Step:
        """Every parameter moves against its derivative; then the same picture is looked at again."""
        assert self.labels is not None
        rule = type(self.optimizer)
        figures = []
        for (name, old), (_, new) in zip(self.before.named(), self.network.named(), strict=True):
            index, own = name.split(".")
            at = self.layers[int(index)]
            symbol = at.own({"gamma": "γ", "beta": "β"}.get(own, own))
            change = new - old
            figures.append(at.weights(f"Δ{symbol}", change) if own == "W" else Figure(f"Δ{symbol}", change))
        for (name, old), (_, new) in zip(self.before.named_statistics(), self.network.named_statistics(), strict=True):
            index, own = name.split(".")
            figures.append(Figure(f"Δ{own}{self.layers[int(index)].number}", new - old))
        label = int(self.labels[0])
        P, after = self.probabilities[0], softmax(self.again.outs[-1])[0]
        lines = [
            f"loss: {numeral(self.loss_before)} → {numeral(self.loss_after)}",
            f"P[{self.model.classes[label]}]: {numeral(P[label])} → {numeral(after[label])}",
        ]
        code = [("parameters", quote(rule.rule))]
        if any(isinstance(layer, BatchNorm) for layer in self.network.layers):
            code.append(("running averages", quote(BatchNorm.update_statistics)))
        return Step(
            key="update",
            title="The update",
            text=f"Every parameter p moves against its derivative g, with η = {self.rate:g}"
            f"{'' if not rule.memory else '; the rule remembers earlier steps, and here begins with an empty memory'}. "
            "Then the same picture again: what did that step do?",
            formula=formula(rule),
            shapes=f"p, g ({self.network.size},)",
            figures=tuple(figures),
            code=tuple(code),
            lines=tuple(lines),
        )


def softmax_code() -> tuple[tuple[str, Any], ...]:
    """The lines that turn the outputs into probabilities."""
    return (
        ("P", quote(log_softmax, "np.exp(S, out=P)")),
        ("P", quote(log_softmax, "np.add.reduce(P, axis=0, out=log_sum)")),
    )


def loss_code(loss: Loss, Z: str) -> tuple[tuple[str, Any], ...]:
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
        ("loss", quote(compute, "np.add.reduce(hit, dtype=np.float64)")),
        (f"d{Z}", quote(compute, "np.multiply(P.T, scale, out=cache.dZ)")),
    )
