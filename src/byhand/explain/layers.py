"""Layers: what each kind of layer shows of its forward and of its backward.

`byhand.explain.trace` has run the real layers; here their arrays get a formula, a sentence and the code that computed
them. A convolution has the form of a dense layer, with one array more: P, whose rows are what its window sees.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from byhand.explain.document import Figure, Step
from byhand.explain.source import formula, formulas, quote
from byhand.explain.trace import Symbols
from byhand.nn import convolution
from byhand.nn.arrays import Array, Cache
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer, Views

NOTHING_BELOW = " Nothing is handed on: below are only the pixels, and nobody can change those."


def forward_step(at: Symbols, X: Array, out: Array, cache: Cache) -> Step:
    """Return what the layer did on the way forward."""
    own = WRITERS[type(at.layer)][0](at, at.layer, cache)
    inputs, result = (at.rows(at.source, X), *own.figures), at.rows(at.result, out)
    shapes = f"{own.shapes or shapes_of(inputs)} → {shapes_of([result])}"
    return replace(own, key=f"forward.{at.layer.index}", figures=(*inputs, result), shapes=shapes)


def backward_step(at: Symbols, dout: Array, dX: Array | None, gradient: Views) -> Step:
    """Return what the layer did on the way back."""
    below = () if dX is None else (at.rows(f"d{at.source}", dX),)
    own = WRITERS[type(at.layer)][1](at, at.layer, gradient, below)
    dresult, outputs = at.rows(f"d{at.result}", dout), (*own.figures, *below)
    shapes = f"{shapes_of([dresult])} → {own.shapes or shapes_of(outputs)}"
    return replace(own, key=f"backward.{at.layer.index}", figures=(dresult, *outputs), shapes=shapes)


def shapes_of(figures: Sequence[Figure]) -> str:
    """`X (1, 784), W1 (784, 128)`"""
    return ", ".join(f"{figure.symbol} {figure.array.shape}" for figure in figures)


# The writers give the arrays that are the layer's own; key, input and output are added above.


def dense_forward(at: Symbols, layer: Dense, cache: Cache) -> Step:
    laid_out = ""
    if at.takes is not None and at.takes[2] > 1:
        rows, columns, maps = at.takes
        laid_out = f" Its inputs are the {maps} maps of {rows} × {columns} numbers, laid out as one row."
    return Step(
        f"Layer {at.number} weighs and adds",
        f"Each of the {layer.units} units multiplies every one of its {layer.inputs} inputs by a weight of its own, "
        f"adds the products up, and adds its bias.{laid_out}",
        at.here(formula(Dense.forward)),
        (at.weights(at.own("W"), layer.W), Figure(at.own("b"), layer.b)),
        (
            (f"{at.source} {at.own('W')}", quote(Dense.forward, "self.W")),
            (at.result, quote(Dense.forward, "self.b")),
        ),
    )


def dense_backward(at: Symbols, layer: Dense, gradient: Views, below: tuple[Figure, ...]) -> Step:
    equations = at.here(formula(Dense.backward)).split(",  ")
    handed_on = " The rest of the blame is handed on to the inputs, along the same weights."
    return Step(
        f"Layer {at.number}: who is to blame",
        "A weight is to blame as far as its input was large and its unit wrong: the slope of the loss by a weight is "
        f"the input times the unit's own slope, added up over the samples.{handed_on if below else NOTHING_BELOW}",
        "\n".join(equations if below else equations[:2]),
        (at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])),
        (
            (at.own("dW"), quote(Dense.backward, "cache.dW")),
            (at.own("db"), quote(Dense.backward, "cache.db")),
            *((dX.symbol, quote(Dense.backward, "self.W.T")) for dX in below),
        ),
    )


def convolution_forward(at: Symbols, layer: Convolution, cache: Cache) -> Step:
    own = at.windows(cache.P), at.weights(at.own("W"), layer.W), Figure(at.own("b"), layer.b)
    P = at.own("P")
    seen = "pixels" if at.source == "X" else f"numbers in each of the {layer.channels} maps below"
    return Step(
        f"Layer {at.number} looks through a window",
        f"A window of {layer.size} × {layer.size} {seen} is put to {layer.rows} × {layer.columns} places, moved by "
        f"{layer.stride} from one to the next. What it sees in a place is a row of {P}. All places share the same "
        f"weights: each of the {layer.maps} maps has {len(layer.W)} of them and a bias, and says of every place how "
        "well it fits them.",
        at.here(formulas(convolution)),
        own,
        (
            (P, quote(Convolution.forward, "windows")),
            (f"windows of {at.source}", quote(Convolution.windows)),
            (f"{P} {at.own('W')}", quote(Convolution.forward, "self.W")),
            (at.result, quote(Convolution.forward, "self.b")),
        ),
        f"{at.source} {(len(cache.P) // (layer.rows * layer.columns), layer.inputs)} → {shapes_of(own)}",
    )


def convolution_backward(at: Symbols, layer: Convolution, gradient: Views, below: tuple[Figure, ...]) -> Step:
    own, dP = (at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])), at.own("dP")
    equations, shapes, handed_on = at.here(formula(Convolution.backward)).split(",  "), "", NOTHING_BELOW
    if below:
        (dX,) = below
        places = len(dX.array) * layer.rows * layer.columns
        shapes = f"{shapes_of(own)}, {dP} {(places, len(layer.W))} → {shapes_of(below)}"
        equations.append(f"{dX.symbol} = Σ {dP} over the windows that see the number")
        handed_on = (
            f" Along the same weights the blame of each place goes to what its window saw, a row of {dP}; a number "
            "that several windows saw gets the sum."
        )
    return Step(
        f"Layer {at.number}: who is to blame",
        "A weight was used in every place, so its blame is added up over all of them: what the window saw there, times "
        f"how wrong the map was there.{handed_on}",
        "\n".join(equations if below else equations[:2]),
        own,
        (
            (at.own("dW"), quote(Convolution.backward, "cache.dW")),
            (at.own("db"), quote(Convolution.backward, "cache.db")),
            *((f"{dP}, {dX.symbol}", quote(Convolution.backward, "into")) for dX in below),
        ),
        shapes,
    )


def activation_forward(at: Symbols, layer: Activation, cache: Cache) -> Step:
    return Step(
        f"{layer.function.name}, the bend",
        "Each sum is bent by the same function, one by one. Without the bend, layers in a row would be no more than "
        "one layer.",
        at.here(formula(layer.function.forward)),
        code=((at.result, quote(layer.function.forward)),),
    )


def activation_backward(at: Symbols, layer: Activation, gradient: Views, below: tuple[Figure, ...]) -> Step:
    return Step(
        f"{layer.function.name}, backwards",
        "A change of the sum changes the answer as much as the function is steep there: the blame is multiplied by "
        "that slope.",
        at.here(formula(layer.function.backward)),
        code=((f"d{at.source}", quote(layer.function.backward)),),
    )


def dropout_forward(at: Symbols, layer: Dropout, cache: Cache) -> Step:
    if cache.key is None or layer.rate == 0:
        text = "Units are silenced while training only; here everything passes as it is."
        return Step("Dropout does nothing", text, f"{at.result} = {at.source}")
    return Step(
        f"Dropout silences {layer.rate:.0%}",
        "Each unit is silenced with this probability, and the others are made louder to match, so that no unit learns "
        "to rely on one other.",
        at.here(formula(Dropout.forward)),
        (Figure(at.own("M"), cache.mask),),
        ((at.result, quote(Dropout.forward, "out")),),
    )


def dropout_backward(at: Symbols, layer: Dropout, gradient: Views, below: tuple[Figure, ...]) -> Step:
    return Step(
        "Dropout, backwards",
        "What was silenced is not to blame.",
        at.here(formula(Dropout.backward)),
        code=((f"d{at.source}", quote(Dropout.backward, "dX")),),
    )


def batch_norm_forward(at: Symbols, layer: BatchNorm, cache: Cache) -> Step:
    own = {"μ": cache.mean, "σ²": cache.variance, "γ": layer.gamma, "β": layer.beta}
    return Step(
        "Batch norm",
        "Each unit gets mean 0 and deviation 1 over the samples of the batch, and then a scale and a middle of its "
        "own, which it learns.",
        at.here(formula(BatchNorm.forward)),
        tuple(Figure(at.own(name), array) for name, array in own.items()),
        (
            ("X̂", quote(BatchNorm.forward, "cache.scale")),
            (at.result, quote(BatchNorm.forward, "self.gamma")),
            (at.result, quote(BatchNorm.forward, "self.beta")),
        ),
    )


def batch_norm_backward(at: Symbols, layer: BatchNorm, gradient: Views, below: tuple[Figure, ...]) -> Step:
    return Step(
        "Batch norm, backwards",
        "Every sample of the batch moved the mean and the deviation, so every sample gets a part of the blame.",
        at.here(formula(BatchNorm.backward)).replace(",  ", "\n"),
        (Figure(at.own("dγ"), gradient["gamma"]), Figure(at.own("dβ"), gradient["beta"])),
        ((f"d{at.source}", quote(BatchNorm.backward)),),
    )


WRITERS: dict[type[Layer], tuple[Callable[..., Step], Callable[..., Step]]] = {
    Dense: (dense_forward, dense_backward),
    Convolution: (convolution_forward, convolution_backward),
    Activation: (activation_forward, activation_backward),
    Dropout: (dropout_forward, dropout_backward),
    BatchNorm: (batch_norm_forward, batch_norm_backward),
}
