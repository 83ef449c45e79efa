"""Layers as steps: what each kind of layer has to say of its forward and of its backward.

`byhand.explain.step` runs the real layers and hands what they gave to `forward_step` and `backward_step`, which add
the names, the formula, the sentence and the code. Nothing is computed here. What a convolution has to say is in
`byhand.explain.sliding`.
"""

from collections.abc import Callable

from byhand.explain.names import NOTHING_BELOW, Named, joined
from byhand.explain.sliding import convolution_backward, convolution_forward
from byhand.explain.source import Quote, formula, quote
from byhand.explain.steps import Figure, Step
from byhand.nn.arrays import Array, Cache
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer, Views


def forward_step(at: Named, X: Array, out: Array, cache: Cache) -> Step:
    """What the layer did on the way forward."""
    return _WRITERS[type(at.layer)][0](at, at.layer, X, out, cache)


def backward_step(at: Named, dout: Array, dX: Array | None, gradient: Views) -> Step:
    """What the layer did on the way back."""
    return _WRITERS[type(at.layer)][1](at, at.layer, dout, dX, gradient)


def _dense_forward(at: Named, layer: Dense, X: Array, out: Array, cache: Cache) -> Step:
    source, W = at.rows(at.source, X), at.weights(at.own("W"), layer.W)
    b, result = Figure(at.own("b"), layer.b), at.rows(at.result, out)
    return Step(
        key=f"forward.{at.index}",
        title=f"Layer {at.number} weighs and adds",
        text=f"Each of the {layer.units} units multiplies every one of its {layer.inputs} inputs by a weight of its "
        f"own, adds the products up, and adds its bias.{laid_out(at)}",
        formula=at.here(formula(Dense.forward), _dense_letters(at)),
        shapes=joined(source, W, b, to=result),
        figures=(source, W, b, result),
        code=(
            (f"{at.source} {at.own('W')}", quote(Dense.forward, "self.W")),
            (at.result, quote(Dense.forward, "self.b")),
        ),
    )


def _dense_backward(at: Named, layer: Dense, dout: Array, dX: Array | None, gradient: Views) -> Step:
    dZ = at.rows(f"d{at.result}", dout)
    dW, db = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])
    code: list[tuple[str, Quote]] = [
        (dW.symbol, quote(Dense.backward, "cache.dW")),
        (db.symbol, quote(Dense.backward, "cache.db")),
    ]
    figures, shapes = [dZ, dW, db], [f"{f.symbol} {f.array.shape}" for f in (dZ, dW, db)]
    text = (
        "A weight is to blame as far as its input was large and its unit wrong: the slope of the loss by a weight is "
        "the input times the unit's own slope, added up over the samples."
    )
    if dX is None:
        text += NOTHING_BELOW
    else:
        dsource = at.rows(f"d{at.source}", dX)
        figures.append(dsource)
        shapes.append(f"{dsource.symbol} {dX.shape}")
        code.append((dsource.symbol, quote(Dense.backward, "self.W.T")))
        text += " The rest of the blame is handed on to the inputs, along the same weights."
    equations = at.here(formula(Dense.backward), _dense_letters(at)).split(",  ")
    return Step(
        key=f"backward.{at.index}",
        title=f"Layer {at.number}: who is to blame",
        text=text,
        formula="\n".join(equations if dX is not None else equations[:2]),
        shapes=f"{shapes[0]} → {', '.join(shapes[1:])}",
        figures=tuple(figures),
        code=tuple(code),
    )


def laid_out(at: Named) -> str:
    """Where maps come in, that to this layer they are one row of numbers."""
    if at.takes is None or at.takes[2] == 1:
        return ""
    rows, columns, maps = at.takes
    return f" Its inputs are the {maps} maps of {rows} × {columns} numbers, laid out as one row."


def _dense_letters(at: Named) -> dict[str, str]:
    return {"X": at.source, "Z": at.result, "W": at.own("W"), "b": at.own("b")}


def _activation_forward(at: Named, layer: Activation, X: Array, out: Array, cache: Cache) -> Step:
    Z, H = at.rows(at.source, X), at.rows(at.result, out)
    function = layer.function.forward
    return Step(
        key=f"forward.{at.index}",
        title=f"{layer.function.name}, the bend",
        text="Each sum is bent by the same function, one by one. Without the bend, layers in a row would be no more "
        "than one layer.",
        formula=at.here(formula(function), {"Z": at.source, "H": at.result}),
        shapes=joined(Z, to=H),
        figures=(Z, H),
        code=((at.result, quote(function)),),
    )


def _activation_backward(at: Named, layer: Activation, dout: Array, dX: Array | None, gradient: Views) -> Step:
    function = layer.function.backward
    dH, dZ = at.rows(f"d{at.result}", dout), at.rows(f"d{at.source}", _there(dX))
    return Step(
        key=f"backward.{at.index}",
        title=f"{layer.function.name}, backwards",
        text="A change of the sum changes the answer as much as the function is steep there: the blame is multiplied "
        "by that slope.",
        formula=at.here(formula(function), {"Z": at.source, "H": at.result}),
        shapes=joined(dH, to=dZ),
        figures=(dH, dZ),
        code=((dZ.symbol, quote(function)),),
    )


def _dropout_forward(at: Named, layer: Dropout, X: Array, out: Array, cache: Cache) -> Step:
    source, result = at.rows(at.source, X), at.rows(at.result, out)
    if cache.key is None or layer.rate == 0:
        return Step(
            key=f"forward.{at.index}",
            title="Dropout does nothing",
            text="Units are silenced while training only; here everything passes as it is.",
            formula=f"{at.result} = {at.source}",
            shapes=joined(source, to=result),
            figures=(result,),
        )
    mask = Figure(at.own("M"), cache.mask)
    return Step(
        key=f"forward.{at.index}",
        title=f"Dropout silences {layer.rate:.0%}",
        text="Each unit is silenced with this probability, and the others are made louder to match, so that no unit "
        "learns to rely on one other.",
        formula=at.here(formula(Dropout.forward), _dropout_letters(at)),
        shapes=joined(source, mask, to=result),
        figures=(source, mask, result),
        code=((at.result, quote(Dropout.forward, "out")),),
    )


def _dropout_backward(at: Named, layer: Dropout, dout: Array, dX: Array | None, gradient: Views) -> Step:
    dresult, dsource = at.rows(f"d{at.result}", dout), at.rows(f"d{at.source}", _there(dX))
    return Step(
        key=f"backward.{at.index}",
        title="Dropout, backwards",
        text="What was silenced is not to blame.",
        formula=at.here(formula(Dropout.backward), _dropout_letters(at)),
        shapes=joined(dresult, to=dsource),
        figures=(dresult, dsource),
        code=((dsource.symbol, quote(Dropout.backward, "dX")),),
    )


def _dropout_letters(at: Named) -> dict[str, str]:
    return {"X": at.source, "out": at.result, "M": at.own("M")}


def _batch_norm_forward(at: Named, layer: BatchNorm, X: Array, out: Array, cache: Cache) -> Step:
    source, result = at.rows(at.source, X), at.rows(at.result, out)
    own = (
        Figure(at.own("μ"), cache.mean),
        Figure(at.own("σ²"), cache.variance),
        Figure(at.own("γ"), layer.gamma),
        Figure(at.own("β"), layer.beta),
    )
    return Step(
        key=f"forward.{at.index}",
        title="Batch norm",
        text="Each unit gets mean 0 and deviation 1 over the samples of the batch, and then a scale and a middle of "
        "its own, which it learns.",
        formula=at.here(formula(BatchNorm.forward), _batch_norm_letters(at)),
        shapes=joined(source, *own, to=result),
        figures=(source, *own, result),
        code=(
            ("X̂", quote(BatchNorm.forward, "cache.scale")),
            (at.result, quote(BatchNorm.forward, "self.gamma")),
            (at.result, quote(BatchNorm.forward, "self.beta")),
        ),
    )


def _batch_norm_backward(at: Named, layer: BatchNorm, dout: Array, dX: Array | None, gradient: Views) -> Step:
    dresult, dsource = at.rows(f"d{at.result}", dout), at.rows(f"d{at.source}", _there(dX))
    own = Figure(at.own("dγ"), gradient["gamma"]), Figure(at.own("dβ"), gradient["beta"])
    equations = at.here(formula(BatchNorm.backward), _batch_norm_letters(at)).split(",  ")
    return Step(
        key=f"backward.{at.index}",
        title="Batch norm, backwards",
        text="Every sample of the batch moved the mean and the deviation, so every sample gets a part of the blame.",
        formula="\n".join(equations),
        shapes=f"{dresult.symbol} {dout.shape} → {', '.join(f'{f.symbol} {f.array.shape}' for f in (*own, dsource))}",
        figures=(dresult, *own, dsource),
        code=((dsource.symbol, quote(BatchNorm.backward)),),
    )


def _batch_norm_letters(at: Named) -> dict[str, str]:
    return {"X": at.source, "out": at.result} | {name: at.own(name) for name in ("γ", "β", "μ", "σ²")}


def _there(dX: Array | None) -> Array:
    assert dX is not None, "only a layer with parameters of its own may keep what it hands on to itself"
    return dX


_WRITERS: dict[type[Layer], tuple[Callable[..., Step], Callable[..., Step]]] = {
    Dense: (_dense_forward, _dense_backward),
    Convolution: (convolution_forward, convolution_backward),
    Activation: (_activation_forward, _activation_backward),
    Dropout: (_dropout_forward, _dropout_backward),
    BatchNorm: (_batch_norm_forward, _batch_norm_backward),
}
