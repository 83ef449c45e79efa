"""Layers: what each kind of layer shows of its forward and of its backward.

`byhand.explain.trace` has run the real layers; here their arrays get a formula, a sentence and the code that computed
them. A convolution has the form of a dense layer, with one array more: P, whose rows are what its window sees.
"""

from collections.abc import Callable, Sequence

from byhand.explain.document import Figure, Step
from byhand.explain.source import Quote, formula, formulas, quote
from byhand.explain.trace import Symbols
from byhand.nn import convolution
from byhand.nn.arrays import Array, Cache
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer, Views

NOTHING_BELOW = " Nothing is handed on: below are only the pixels, and nobody can change those."


def forward_step(at: Symbols, X: Array, out: Array, cache: Cache) -> Step:
    """Return what the layer did on the way forward."""
    return WRITERS[type(at.layer)][0](at, at.layer, at.rows(at.source, X), at.rows(at.result, out), cache)


def backward_step(at: Symbols, dout: Array, dX: Array | None, gradient: Views) -> Step:
    """Return what the layer did on the way back."""
    below = () if dX is None else (at.rows(f"d{at.source}", dX),)
    return WRITERS[type(at.layer)][1](at, at.layer, at.rows(f"d{at.result}", dout), below, gradient)


def step(
    at: Symbols,
    way: str,
    title: str,
    text: str,
    formula: str,
    inputs: Sequence[Figure],
    outputs: Sequence[Figure],
    *code: tuple[str, Quote],
    shapes: str = "",
) -> Step:
    """Return a layer's step: its figures are the inputs and the outputs, and so are its shapes."""
    return Step(
        key=f"{way}.{at.layer.index}",
        title=title,
        text=text,
        formula=formula,
        shapes=shapes or f"{shapes_of(inputs)} → {shapes_of(outputs)}",
        figures=(*inputs, *outputs),
        code=code,
    )


def shapes_of(figures: Sequence[Figure]) -> str:
    """`X (1, 784), W1 (784, 128)`"""
    return ", ".join(f"{figure.symbol} {figure.array.shape}" for figure in figures)


def dense_forward(at: Symbols, layer: Dense, source: Figure, result: Figure, cache: Cache) -> Step:
    laid_out = ""
    if at.takes is not None and at.takes[2] > 1:
        rows, columns, maps = at.takes
        laid_out = f" Its inputs are the {maps} maps of {rows} × {columns} numbers, laid out as one row."
    W, b = at.weights(at.own("W"), layer.W), Figure(at.own("b"), layer.b)
    return step(
        at,
        "forward",
        f"Layer {at.number} weighs and adds",
        f"Each of the {layer.units} units multiplies every one of its {layer.inputs} inputs by a weight of its own, "
        f"adds the products up, and adds its bias.{laid_out}",
        at.here(formula(Dense.forward)),
        (source, W, b),
        (result,),
        (f"{at.source} {W.symbol}", quote(Dense.forward, "self.W")),
        (at.result, quote(Dense.forward, "self.b")),
    )


def dense_backward(at: Symbols, layer: Dense, dZ: Figure, below: tuple[Figure, ...], gradient: Views) -> Step:
    dW, db = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])
    equations = at.here(formula(Dense.backward)).split(",  ")
    handed_on = " The rest of the blame is handed on to the inputs, along the same weights."
    return step(
        at,
        "backward",
        f"Layer {at.number}: who is to blame",
        "A weight is to blame as far as its input was large and its unit wrong: the slope of the loss by a weight is "
        f"the input times the unit's own slope, added up over the samples.{handed_on if below else NOTHING_BELOW}",
        "\n".join(equations if below else equations[:2]),
        (dZ,),
        (dW, db, *below),
        (dW.symbol, quote(Dense.backward, "cache.dW")),
        (db.symbol, quote(Dense.backward, "cache.db")),
        *((dX.symbol, quote(Dense.backward, "self.W.T")) for dX in below),
    )


def convolution_forward(at: Symbols, layer: Convolution, source: Figure, result: Figure, cache: Cache) -> Step:
    P, W, b = at.windows(cache.P), at.weights(at.own("W"), layer.W), Figure(at.own("b"), layer.b)
    seen = "pixels" if at.source == "X" else f"numbers in each of the {layer.channels} maps below"
    return step(
        at,
        "forward",
        f"Layer {at.number} looks through a window",
        f"A window of {layer.size} × {layer.size} {seen} is put to {layer.rows} × {layer.columns} places, moved by "
        f"{layer.stride} from one to the next. What it sees in a place is a row of {P.symbol}. All places share the "
        f"same weights: each of the {layer.maps} maps has {len(layer.W)} of them and a bias, and says of every place "
        "how well it fits them.",
        at.here(formulas(convolution)),
        (source, P, W, b),
        (result,),
        (P.symbol, quote(Convolution.forward, "windows")),
        (f"windows of {at.source}", quote(Convolution.windows)),
        (f"{P.symbol} {W.symbol}", quote(Convolution.forward, "self.W")),
        (at.result, quote(Convolution.forward, "self.b")),
        shapes=f"{shapes_of([source])} → {shapes_of([P, W, b])} → {shapes_of([result])}",
    )


def convolution_backward(
    at: Symbols, layer: Convolution, dZ: Figure, below: tuple[Figure, ...], gradient: Views
) -> Step:
    dW, db, dP = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"]), at.own("dP")
    equations = at.here(formula(Convolution.backward)).split(",  ")
    shapes, handed_on = f"{shapes_of([dZ])} → {shapes_of([dW, db])}", NOTHING_BELOW
    if below:
        (dX,) = below
        places = len(dX.array) * layer.rows * layer.columns
        shapes += f", {dP} {(places, len(layer.W))} → {shapes_of(below)}"
        equations.append(f"{dX.symbol} = Σ {dP} over the windows that see the number")
        handed_on = (
            f" Along the same weights the blame of each place goes to what its window saw, a row of {dP}; a number "
            "that several windows saw gets the sum."
        )
    return step(
        at,
        "backward",
        f"Layer {at.number}: who is to blame",
        "A weight was used in every place, so its blame is added up over all of them: what the window saw there, times "
        f"how wrong the map was there.{handed_on}",
        "\n".join(equations if below else equations[:2]),
        (dZ,),
        (dW, db, *below),
        (dW.symbol, quote(Convolution.backward, "cache.dW")),
        (db.symbol, quote(Convolution.backward, "cache.db")),
        *((f"{dP}, {dX.symbol}", quote(Convolution.backward, "into")) for dX in below),
        shapes=shapes,
    )


def activation_forward(at: Symbols, layer: Activation, Z: Figure, H: Figure, cache: Cache) -> Step:
    function = layer.function.forward
    return step(
        at,
        "forward",
        f"{layer.function.name}, the bend",
        "Each sum is bent by the same function, one by one. Without the bend, layers in a row would be no more than "
        "one layer.",
        at.here(formula(function)),
        (Z,),
        (H,),
        (H.symbol, quote(function)),
    )


def activation_backward(at: Symbols, layer: Activation, dH: Figure, below: tuple[Figure, ...], gradient: Views) -> Step:
    function = layer.function.backward
    return step(
        at,
        "backward",
        f"{layer.function.name}, backwards",
        "A change of the sum changes the answer as much as the function is steep there: the blame is multiplied by "
        "that slope.",
        at.here(formula(function)),
        (dH,),
        below,
        (f"d{at.source}", quote(function)),
    )


def dropout_forward(at: Symbols, layer: Dropout, source: Figure, result: Figure, cache: Cache) -> Step:
    if cache.key is None or layer.rate == 0:
        return step(
            at,
            "forward",
            "Dropout does nothing",
            "Units are silenced while training only; here everything passes as it is.",
            f"{at.result} = {at.source}",
            (source,),
            (result,),
        )
    return step(
        at,
        "forward",
        f"Dropout silences {layer.rate:.0%}",
        "Each unit is silenced with this probability, and the others are made louder to match, so that no unit learns "
        "to rely on one other.",
        at.here(formula(Dropout.forward)),
        (source, Figure(at.own("M"), cache.mask)),
        (result,),
        (at.result, quote(Dropout.forward, "out")),
    )


def dropout_backward(at: Symbols, layer: Dropout, dresult: Figure, below: tuple[Figure, ...], gradient: Views) -> Step:
    return step(
        at,
        "backward",
        "Dropout, backwards",
        "What was silenced is not to blame.",
        at.here(formula(Dropout.backward)),
        (dresult,),
        below,
        (f"d{at.source}", quote(Dropout.backward, "dX")),
    )


def batch_norm_forward(at: Symbols, layer: BatchNorm, source: Figure, result: Figure, cache: Cache) -> Step:
    own = (
        Figure(at.own("μ"), cache.mean),
        Figure(at.own("σ²"), cache.variance),
        Figure(at.own("γ"), layer.gamma),
        Figure(at.own("β"), layer.beta),
    )
    return step(
        at,
        "forward",
        "Batch norm",
        "Each unit gets mean 0 and deviation 1 over the samples of the batch, and then a scale and a middle of its "
        "own, which it learns.",
        at.here(formula(BatchNorm.forward)),
        (source, *own),
        (result,),
        ("X̂", quote(BatchNorm.forward, "cache.scale")),
        (at.result, quote(BatchNorm.forward, "self.gamma")),
        (at.result, quote(BatchNorm.forward, "self.beta")),
    )


def batch_norm_backward(
    at: Symbols, layer: BatchNorm, dresult: Figure, below: tuple[Figure, ...], gradient: Views
) -> Step:
    return step(
        at,
        "backward",
        "Batch norm, backwards",
        "Every sample of the batch moved the mean and the deviation, so every sample gets a part of the blame.",
        at.here(formula(BatchNorm.backward)).replace(",  ", "\n"),
        (dresult,),
        (Figure(at.own("dγ"), gradient["gamma"]), Figure(at.own("dβ"), gradient["beta"]), *below),
        (f"d{at.source}", quote(BatchNorm.backward)),
    )


WRITERS: dict[type[Layer], tuple[Callable[..., Step], Callable[..., Step]]] = {
    Dense: (dense_forward, dense_backward),
    Convolution: (convolution_forward, convolution_backward),
    Activation: (activation_forward, activation_backward),
    Dropout: (dropout_forward, dropout_backward),
    BatchNorm: (batch_norm_forward, batch_norm_backward),
}
