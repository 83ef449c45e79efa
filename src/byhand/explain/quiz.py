"""Questions about one training step, to answer before its numbers are shown."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from byhand.explain.document import Document, Sum, numeral
from byhand.text import number_meant

#: Relative error of an accepted number, and the absolute one near zero.
TOLERANCE, NEAR_ZERO = 0.05, 0.005
PLUS, MINUS = ("+", "p", "pos", "positive", "plus", "up", "grow", "rise"), ("-", "−", "n", "neg", "negative", "minus")


@dataclass(frozen=True)
class Question:
    """A question with its answer, a shape (numbers), a sign (`+` or `−`) or a number, and the reason."""

    text: str
    answer: tuple[int, ...] | str | float
    why: str

    def is_right(self, typed: str) -> bool:
        """Return True if the typed text is the answer; numbers within 5 %."""
        plain = typed.strip().lower()
        if isinstance(self.answer, tuple):
            return tuple(map(int, re.findall(r"\d+", plain))) == self.answer
        if isinstance(self.answer, str):
            return plain in (PLUS if self.answer == "+" else MINUS)
        guess = number_meant(plain.replace("−", "-"), is_integer=False)
        return guess is not None and abs(guess - self.answer) <= max(TOLERANCE * abs(self.answer), NEAR_ZERO)

    @property
    def shown(self) -> str:
        """The answer as text."""
        return numeral(self.answer) if isinstance(self.answer, float) else str(self.answer)


def questions(document: Document) -> Iterator[Question]:
    """Yield questions about the shapes, signs and numbers of a step, in its order."""
    steps = {step.key: step for step in document.walk()}
    forward = [step for key, step in steps.items() if key.startswith("forward.") and step.title.startswith("Layer")]
    for step in (forward[0], forward[-1]) if len(forward) > 1 else forward:
        given, _, result = step.shapes.rpartition(" → ")
        name, _, shape = result.partition(" ")
        why = f"{step.formula.splitlines()[-1]}: one row per sample, one column per output"
        yield Question(f"{given}. What is the shape of {name}?", numbers(shape), why)
    weights, bias = (document[f"{name}{len(forward)}"] for name in "Wb")
    count = f"{weights.size:,} weights + {bias.size:,} biases"
    yield Question(f"How many parameters does layer {len(forward)} have?", float(weights.size + bias.size), count)
    if document.labels is None or document.loss is None or document.loss_after is None:
        return
    label, symbol = int(document.labels[0]), f"dZ{len(forward)}"
    name, P = document.classes[label], float(document.probabilities[0, label])
    lines, slope = steps["loss"].lines, float(document[symbol][0, label])
    if lines and len(document.images) == 1:
        text = f"P[{name}] = {numeral(P)}, and {name} is the label. What is the loss?"
        yield Question(text, document.loss, lines[-1])
    yield Question(
        f"Is {symbol}[{name}], the gradient for the right class, + or −?",
        "+" if slope > 0 else "−",
        f"{symbol}[{name}] = {numeral(slope)}: a larger output for the right class lowers the loss",
    )
    unit = document.units[-1]
    for line in unit.arithmetic.get("largest gradient", ()):
        if isinstance(line, Sum) and line.total:
            grows = "+" if line.total < 0 else "−"
            why = "the update subtracts learning rate · gradient"
            yield Question(f"{line.symbol} = {numeral(line.total)}. Does the weight change by + or −?", grows, why)
    yield Question(
        f"The loss is {numeral(document.loss)}. Does it change by + or − with this step?",
        "+" if document.loss_after > document.loss else "−",
        f"loss: {numeral(document.loss)} → {numeral(document.loss_after)}: the step goes against the gradient",
    )


def numbers(shape: str) -> tuple[int, ...]:
    """Return the numbers of a shape in a text: `(1, 576): 12 × 12` → (1, 576)"""
    return tuple(map(int, re.findall(r"\d+", shape[: shape.index(")")])))
