"""One training step on one digit: each formula, the reference page's line, the machine's line, and the real numbers.

The lines are quoted from the source, and both programs compute the numbers: they must agree to twelve digits.
"""

import functools
import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from latex2mathml.converter import convert

import byhand
from byhand.explain.source import Quote, quote, reference
from byhand.nn.activations import relu, relu_backward
from byhand.nn.backprop import Pass
from byhand.nn.layers import Dense
from byhand.nn.losses import SoftmaxCrossEntropy, log_softmax, softmax
from byhand.nn.optimizers import GradientDescent
from byhand.page.document import escape
from byhand.reference import l_layer

RATE = 0.1


def lines(function: str, mention: str | None = None) -> Quote:
    return reference(function, mention, "l_layer")


def softmax_lines() -> Quote:
    """Quote the arithmetic of the machine's softmax, without its arrays and the logarithm."""
    whole = quote(log_softmax)
    return replace(whole, text=whole.text[whole.text.index("np.maximum") : whole.text.index("np.log")].rstrip())


class Step(NamedTuple):
    """One formula, with its lines, and one element of its result as computed by the page and by the machine."""

    title: str
    formula: str
    page: Quote
    machine: Quote
    sentence: str
    numbers: tuple[Any, Any]


@functools.cache
def steps() -> list[Step]:
    """Return the steps of forward pass, loss, backward pass and update, with their numbers."""
    train = byhand.load("mnist-5k").train
    X, label = train.images[:1].reshape(1, 784) / 255, int(train.labels[0])
    network = byhand.Network([784, 45, 10], rng=np.random.default_rng(3), dtype=np.float64)
    first, last = network.dense
    parameters = {"W1": first.W.T, "b1": first.b[:, None], "W2": last.W.T, "b2": last.b[:, None]}
    parameters = {name: value.copy() for name, value in parameters.items()}

    HL, memories = l_layer.L_layer_forward(X.T, parameters)
    Y = l_layer.one_hot(train.labels[:1])
    gradients = l_layer.L_layer_backward(HL, Y, memories)
    (_, Z1), ((H1, W2, _), Z2) = memories
    dH1, dZ2 = gradients["dH1"], HL - Y
    dZ1 = l_layer.relu_backward(dH1, Z1)

    run = Pass(network)
    loss, upstream = SoftmaxCrossEntropy()(run.forward(X), train.labels[:1].astype(int))
    run.backward(upstream)
    gradient = dict(network.named(run.gradient))
    (sums, outputs, logits), (down, back, _) = run.outs, run.douts
    probabilities = softmax(logits)
    k, u, p = label, int(H1.argmax()), int(np.where(X < 1, X, 0).argmax())  # the digit, its largest unit, a gray pixel
    old, lit = W2[k, u], int(np.count_nonzero(X))
    return [
        Step(
            "The sums of the hidden units", r"Z_1 = W_1 \cdot X + b_1",
            lines("layer_forward", "np.dot(W, H_prev)"), quote(Dense.forward),
            f"Unit {u + 1} of 45: {lit} pixels are not 0. The sum of their products with the weights is {{:.6f}}.",
            (Z1[u, 0], sums[0, u]),
        ),
        Step(
            "ReLU", r"H_1 = \max(0, Z_1)", lines("relu"), quote(relu),
            f"Unit {u + 1}: max(0, {Z1[u, 0]:.6f}) = {{:.6f}}.", (H1[u, 0], outputs[0, u]),
        ),
        Step(
            "The logits", r"Z_2 = W_2 \cdot H_1 + b_2",
            lines("layer_forward", "np.dot(W, H_prev)"), quote(Dense.forward),
            f"The logit of the right digit, {k}, is {{:.6f}}. It is the same line as above, with other arrays.",
            (Z2[k, 0], logits[0, k]),
        ),
        Step(
            "Softmax", r"H_2 = \frac{e^{Z_2}}{\sum e^{Z_2}}",
            lines("softmax"), softmax_lines(),
            f"The probability of the {k} is {{:.6f}}.", (HL[k, 0], probabilities[0, k]),
        ),
        Step(
            "The loss", r"\text{loss} = -\ln H_2", lines("compute_loss", "np.sum(product(Y, log_HL))"),
            quote(SoftmaxCrossEntropy.value_and_gradient, "np.add.reduce(log_p, dtype=np.float64)"),
            f"−ln {HL[k, 0]:.6f} = {{:.6f}}.", (l_layer.compute_loss(HL, Y), loss),
        ),
        Step(
            "Back: the logits", r"dZ_2 = H_2 - Y", lines("L_layer_backward", "HL - Y"),
            quote(SoftmaxCrossEntropy.subtract_target, "P.reshape(-1)[places]"),
            f"For the right digit: {HL[k, 0]:.6f} − 1 = {{:.6f}}.", (dZ2[k, 0], upstream[0, k]),
        ),
        Step(
            "A weight of the last layer", r"dW_2 = \frac{1}{m}\, dZ_2 \cdot H_1^T",
            lines("layer_backward", "np.dot(dZ, H_prev.T)"), quote(Dense.backward, "cache.dW"),
            f"The weight from unit {u + 1} to the {k}: {dZ2[k, 0]:.6f} · {H1[u, 0]:.6f} = {{:.6f}}.",
            (gradients["dW2"][k, u], gradient["2.W"][u, k]),
        ),
        Step(
            "Its bias", r"db_2 = \frac{1}{m} \sum dZ_2",
            lines("layer_backward", "np.sum(dZ, axis=1, keepdims=True)"), quote(Dense.backward, "cache.db"),
            "With one sample, the sum has one term: {:.6f}.", (gradients["db2"][k, 0], gradient["2.b"][k]),
        ),
        Step(
            "Down to the hidden units", r"dH_1 = W_2^T \cdot dZ_2",
            lines("layer_backward", "np.dot(W.T, dZ)"), quote(Dense.backward, "self.W.T"),
            f"Unit {u + 1} has an effect on ten logits, so ten products are added: {{:.6f}}.", (dH1[u, 0], back[0, u]),
        ),
        Step(
            "Through the ReLU", r"dZ_1 = dH_1 \otimes [Z_1 > 0]",
            lines("relu_backward"), quote(relu_backward),
            f"Z of unit {u + 1} was {Z1[u, 0]:.6f}, so {'it passes' if Z1[u, 0] > 0 else 'nothing passes'}: {{:.6f}}.",
            (dZ1[u, 0], down[0, u]),
        ),
        Step(
            "A weight of the first layer", r"dW_1 = \frac{1}{m}\, dZ_1 \cdot X^T",
            lines("layer_backward", "np.dot(dZ, H_prev.T)"), quote(Dense.backward, "cache.dW"),
            f"The pixel in row {p // 28 + 1}, column {p % 28 + 1}: {dZ1[u, 0]:.6f} · {X[0, p]:.6f} = {{:.6f}}.",
            (gradients["dW1"][u, p], gradient["0.W"][p, u]),
        ),
        Step(
            "The update", r"W_2 := W_2 - \eta\, dW_2",
            lines("update_parameters", 'value - learning_rate * gradients[f"d{name}"]'), quote(GradientDescent.rule),
            f"With η = {RATE}: {old:.6f} − {RATE} · ({gradients['dW2'][k, u]:.6f}) = {{:.6f}}.",
            (old - RATE * gradients["dW2"][k, u], last.W[u, k] - RATE * gradient["2.W"][u, k]),
        ),
    ]  # fmt: skip


def plain(code: str) -> str:
    """Return code without the numbers of its steps in the assignment."""
    return re.sub(r"  # [\d.]+$", "", code, flags=re.MULTILINE)


def table() -> str:
    """Return the steps as HTML."""
    rows = []
    for step in steps():
        page, machine = (float(number) for number in step.numbers)
        if abs(page - machine) > 1e-12:
            raise AssertionError(f"{step.title}: the page has {page}, the machine {machine}")
        code = "".join(
            f"<div><span>{name}</span><pre>{escape(plain(quoted.text))}</pre><small>{escape(quoted.place)}</small></div>"
            for name, quoted in (("reference page", step.page), ("machine", step.machine))
        )
        formula = f"<div><span>formula</span>{convert(step.formula, display='block')}</div>"
        numbers = f"<p>{escape(step.sentence.format(page)).replace('-', '−')}</p>"
        rows.append(f"<section><h2>{step.title}</h2><div>{formula}{code}</div>{numbers}</section>")
    return f'<div class="ways">{"".join(rows)}</div>'
