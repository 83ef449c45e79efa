"""Layers: what each kind of layer shows of its forward and of its backward.

`byhand.explain.trace` has run the real layers; here their arrays get a formula, a sentence and the code that computed
them. A convolution has the form of a dense layer, with one array more: P, whose rows are what its window sees.
"""

from collections.abc import Sequence
from functools import partial

from byhand.explain.document import Figure, Step
from byhand.explain.source import Quote, formula, formulas, quote
from byhand.explain.trace import Symbols
from byhand.nn import convolution
from byhand.nn.arrays import Array, Cache
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Views


def forward_step(at: Symbols, X: Array, out: Array, cache: Cache) -> Step:
    """Return what the layer did on the way forward."""
    layer, W, inputs, result = at.layer, at.own("W"), at.rows(at.source, X), at.rows(at.result, out)
    method = layer.function.forward if isinstance(layer, Activation) else type(layer).forward
    equations, lines = at.here(formula(method)), partial(quote, method)
    own: tuple[Figure, ...] = ()
    code: list[tuple[str, Quote]] = []
    if isinstance(layer, Dense | Convolution):
        own = at.weights(W, layer.W), Figure(at.own("b"), layer.b)
        code = [(f"{at.source} {W}", lines("self.W")), (at.result, lines("self.b"))]
    match layer:
        case Dense():
            title = f"Layer {at.number} weighs and adds"
            text = (
                f"Each of the {layer.units} units multiplies every one of its {layer.inputs} inputs by a weight of its "
                "own, adds the products up, and adds its bias."
            )
            if at.takes is not None and at.takes[2] > 1:
                rows, columns, maps = at.takes
                text += f" Its inputs are the {maps} maps of {rows} × {columns} numbers, laid out as one row."
        case Convolution():
            P, equations = at.own("P"), at.here(formulas(convolution))
            seen = "pixels" if at.source == "X" else f"numbers in each of the {layer.channels} maps below"
            title = f"Layer {at.number} looks through a window"
            text = (
                f"A window of {layer.size} × {layer.size} {seen} is put to {layer.rows} × {layer.columns} places, "
                f"moved by {layer.stride} from one to the next. What it sees in a place is a row of {P}. All places "
                f"share the same weights: each of the {layer.maps} maps has {len(layer.W)} of them and a bias, and "
                "says of every place how well it fits them."
            )
            own = at.windows(cache.P), *own
            windows = (P, lines("windows")), (f"windows of {at.source}", quote(Convolution.windows))
            code = [*windows, (f"{P} {W}", code[0][1]), code[1]]
        case Activation():
            title = f"{layer.function.name}, the bend"
            text = (
                "Each sum is bent by the same function, one by one. Without the bend, layers in a row would be no more "
                "than one layer."
            )
            code = [(at.result, lines())]
        case Dropout() if cache.key is None or layer.rate == 0:
            title, equations = "Dropout does nothing", f"{at.result} = {at.source}"
            text = "Units are silenced while training only; here everything passes as it is."
        case Dropout():
            title = f"Dropout silences {layer.rate:.0%}"
            text = (
                "Each unit is silenced with this probability, and the others are made louder to match, so that no unit "
                "learns to rely on one other."
            )
            own, code = (Figure(at.own("M"), cache.mask),), [(at.result, lines("out"))]
        case BatchNorm():
            title = "Batch norm"
            text = (
                "Each unit gets mean 0 and deviation 1 over the samples of the batch, and then a scale and a middle of "
                "its own, which it learns."
            )
            arrays = {"μ": cache.mean, "σ²": cache.variance, "γ": layer.gamma, "β": layer.beta}
            own = tuple(Figure(at.own(name), array) for name, array in arrays.items())
            code = [("X̂", lines("cache.scale")), *((at.result, lines(f"self.{name}")) for name in ("gamma", "beta"))]
    then = " → " if isinstance(layer, Convolution) else ", " if own else ""
    shapes = f"{shapes_of([inputs])}{then}{shapes_of(own)} → {shapes_of([result])}"
    return Step(f"forward.{layer.index}", title, text, equations, (inputs, *own, result), tuple(code), shapes)


def backward_step(at: Symbols, dout: Array, dX: Array | None, gradient: Views) -> Step:
    """Return what the layer did on the way back."""
    layer, dsource, dresult = at.layer, f"d{at.source}", at.rows(f"d{at.result}", dout)
    below = () if dX is None else (at.rows(dsource, dX),)
    method = layer.function.backward if isinstance(layer, Activation) else type(layer).backward
    equations, lines = at.here(formula(method)).split(",  "), partial(quote, method)
    own: tuple[Figure, ...] = ()
    code: list[tuple[str, Quote]] = []
    then, handed_on = ", ", " Nothing is handed on: below are only the pixels, and nobody can change those."
    if isinstance(layer, Dense | Convolution):
        title = f"Layer {at.number}: who is to blame"
        own = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])
        code = [(at.own("dW"), lines("cache.dW")), (at.own("db"), lines("cache.db"))]
        equations = equations if below else equations[:2]
    match layer:
        case Dense():
            if below:
                handed_on = " The rest of the blame is handed on to the inputs, along the same weights."
                code.append((dsource, lines("self.W.T")))
            text = (
                "A weight is to blame as far as its input was large and its unit wrong: the slope of the loss by a "
                f"weight is the input times the unit's own slope, added up over the samples.{handed_on}"
            )
        case Convolution():
            if below:
                dP = at.own("dP")
                then = f", {dP} {(len(dout) * layer.rows * layer.columns, len(layer.W))} → "
                equations.append(f"{dsource} = Σ {dP} over the windows that see the number")
                handed_on = (
                    f" Along the same weights the blame of each place goes to what its window saw, a row of {dP}; a "
                    "number that several windows saw gets the sum."
                )
                code.append((f"{dP}, {dsource}", lines("into")))
            text = (
                "A weight was used in every place, so its blame is added up over all of them: what the window saw "
                f"there, times how wrong the map was there.{handed_on}"
            )
        case Activation():
            title = f"{layer.function.name}, backwards"
            text = (
                "A change of the sum changes the answer as much as the function is steep there: the blame is "
                "multiplied by that slope."
            )
            code = [(dsource, lines())]
        case Dropout():
            title, text = "Dropout, backwards", "What was silenced is not to blame."
            code = [(dsource, lines("dX"))]
        case BatchNorm():
            title = "Batch norm, backwards"
            text = (
                "Every sample of the batch moved the mean and the deviation, so every sample gets a part of the blame."
            )
            own = Figure(at.own("dγ"), gradient["gamma"]), Figure(at.own("dβ"), gradient["beta"])
            code = [(dsource, lines())]
    shapes = f"{shapes_of([dresult])} → {then.join(filter(None, (shapes_of(own), shapes_of(below))))}"
    figures = dresult, *own, *below
    return Step(f"backward.{layer.index}", title, text, "\n".join(equations), figures, tuple(code), shapes)


def shapes_of(figures: Sequence[Figure]) -> str:
    """`X (1, 784), W1 (784, 128)`"""
    return ", ".join(f"{figure.symbol} {figure.array.shape}" for figure in figures)
