"""The explanation of each kind of layer, forward and backward."""

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
    layer, W, inputs, result = at.layer, at.own("W"), at.rows(at.source, X), at.rows(at.result, out)
    method = layer.function.forward if isinstance(layer, Activation) else type(layer).forward
    equations, lines = at.here(formula(method)), partial(quote, method)
    own: tuple[Figure, ...] = ()
    code: list[tuple[str, Quote]] = []
    if isinstance(layer, Dense | Convolution):
        own = at.weights(W, layer.W), Figure(at.own("b"), layer.b)
        products = lines("self.W").beside("layer_forward", "np.dot(W, H_prev)")
        code = [(f"{at.source} {W}", products), (at.result, lines("self.b"))]
    match layer:
        case Dense():
            title = f"Layer {at.number}: dense"
            text = f"Each of the {layer.units} units adds its bias to the weighted sum of the {layer.inputs} inputs."
            if at.takes is not None and at.takes[2] > 1:
                rows, columns, maps = at.takes
                text += f" The inputs are {maps} feature maps of {rows} × {columns} numbers, flattened."
        case Convolution():
            P, equations = at.own("P"), at.here(formulas(convolution))
            seen = "pixels" if at.source == "X" else f"numbers in each of the {layer.channels} input maps"
            title = f"Layer {at.number}: convolution"
            text = (
                f"A window of {layer.size} × {layer.size} {seen} moves to {layer.rows} × {layer.columns} positions "
                f"(stride {layer.stride}). Its contents at each position are a row of {P} (im2col). Each of the "
                f"{layer.maps} filters has {len(layer.W)} weights and a bias, shared by all positions, and computes a "
                "feature map."
            )
            own = at.windows(cache.P), *own
            windows = (P, lines("windows")), (f"windows of {at.source}", quote(Convolution.windows))
            code = [*windows, (f"{P} {W}", code[0][1]), code[1]]
        case Activation():
            title = f"Activation: {layer.function.name}"
            text = "Without a nonlinear function between them, several layers would be equivalent to one."
            code = [(at.result, of_activation(layer, lines(), ""))]
        case Dropout() if cache.key is None or layer.rate == 0:
            title, equations = "Dropout: inactive", f"{at.result} = {at.source}"
            text = "Units are dropped only during training. Here all values pass unchanged."
        case Dropout():
            title = f"Dropout: {layer.rate:.0%}"
            text = (
                "Each unit is set to 0 with this probability, and the others are scaled up to compensate, so that no "
                "unit depends on a single other one."
            )
            own, code = (Figure(at.own("M"), cache.mask),), [(at.result, lines("out"))]
        case BatchNorm():
            title = "Batch normalization"
            text = "Each unit is standardized over the batch. Its scale γ and its shift β are learned."
            arrays = {"μ": cache.mean, "σ²": cache.variance, "γ": layer.gamma, "β": layer.beta}
            own = tuple(Figure(at.own(name), array) for name, array in arrays.items())
            code = [("X̂", lines("cache.scale")), *((at.result, lines(f"self.{name}")) for name in ("gamma", "beta"))]
    then = " → " if isinstance(layer, Convolution) else ", " if own else ""
    shapes = f"{shapes_of([inputs])}{then}{shapes_of(own)} → {shapes_of([result])}"
    return Step(f"forward.{layer.index}", title, text, equations, (inputs, *own, result), tuple(code), shapes)


def backward_step(at: Symbols, dout: Array, dX: Array | None, gradient: Views) -> Step:
    layer, dsource, dresult = at.layer, f"d{at.source}", at.rows(f"d{at.result}", dout)
    below = () if dX is None else (at.rows(dsource, dX),)
    method = layer.function.backward if isinstance(layer, Activation) else type(layer).backward
    equations, lines = at.here(formula(method)).split(",  "), partial(quote, method)
    own: tuple[Figure, ...] = ()
    code = [(dsource, lines())]
    then, passed_on = ", ", " The gradient with respect to the pixels is not needed."
    if isinstance(layer, Dense | Convolution):
        title = f"Layer {at.number}: gradients"
        own = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])
        weights = lines("cache.dW").beside("layer_backward", "np.dot(dZ, H_prev.T)")
        biases = lines("cache.db").beside("layer_backward", "np.sum(dZ, axis=1, keepdims=True)")
        code = [(at.own("dW"), weights), (at.own("db"), biases)]
        equations = equations if below else equations[:2]
    match layer:
        case Dense():
            if below:
                passed_on = " The gradient with respect to the inputs flows back through the same weights."
                code.append((dsource, lines("self.W.T").beside("layer_backward", "np.dot(W.T, dZ)")))
            text = f"The gradient of a weight is the sum of input × upstream gradient over the samples.{passed_on}"
        case Convolution():
            if below:
                dP = at.own("dP")
                then = f", {dP} {(len(dout) * layer.rows * layer.columns, len(layer.W))} → "
                equations.append(f"{dsource} = Σ {dP} over the windows that contain the number")
                passed_on = (
                    f" Each row of {dP} is the gradient with respect to one window; a number in several windows gets "
                    "the sum."
                )
                code.append((f"{dP}, {dsource}", lines("dX_windows")))
            text = (
                "The gradient of a weight is the number in its place of the window times the upstream gradient, summed "
                f"over all positions.{passed_on}"
            )
        case Activation():
            title = f"Activation: {layer.function.name}"
            code = [(dsource, of_activation(layer, lines(), "_backward"))]
            text = "Chain rule: the upstream gradient is multiplied by the derivative of the activation function."
        case Dropout():
            title, text = "Dropout", "The gradient of a dropped unit is 0."
            code = [(dsource, lines("dX"))]
        case BatchNorm():
            title = "Batch normalization"
            text = "The mean and the variance depend on every sample, so every sample gets a part of the gradient."
            own = Figure(at.own("dγ"), gradient["gamma"]), Figure(at.own("dβ"), gradient["beta"])
    shapes = f"{shapes_of([dresult])} → {then.join(filter(None, (shapes_of(own), shapes_of(below))))}"
    figures = dresult, *own, *below
    return Step(f"backward.{layer.index}", title, text, "\n".join(equations), figures, tuple(code), shapes)


def of_activation(layer: Activation, lines: Quote, which: str) -> Quote:
    """Return the quote beside the same function of the reference, which has two activations."""
    name = layer.function.name
    return lines.beside(f"{name}{which}") if name in ("relu", "sigmoid") else lines


def shapes_of(figures: Sequence[Figure]) -> str:
    """Format shapes: `X (1, 784), W1 (784, 128)`."""
    return ", ".join(f"{figure.symbol} {figure.array.shape}" for figure in figures)
