"""Layers as steps: what each kind of layer has to say of its forward and of its backward.

`byhand.explain.step` runs the real layers and hands what they gave to `forward_step` and `backward_step`, which add
the names, the formula, the sentence and the code. Nothing is computed here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from byhand.explain.source import Quote, formula, quote
from byhand.explain.steps import Figure, Step
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer, Views
from byhand.nn.scratch import Array

LETTER = {Dense: "Z", Activation: "H", BatchNorm: "B", Dropout: "D"}


@dataclass(frozen=True)
class Named:
    """One layer of the network with the names that its arrays have in this network.

    `number` is that of the last dense layer up to here, from 1; `source` is the name of what goes in, `result` of what
    comes out: X → Z1 → H1 → Z2 …  `pictures` is the shape of an input seen as a picture, where the inputs are pixels.
    """

    layer: Layer
    index: int
    number: int
    source: str
    result: str
    pictures: tuple[int, int] | None = None

    def own(self, name: str) -> str:
        """The name of one of its own arrays: W → W1."""
        return f"{name}{self.number}"

    def here(self, text: str, letters: dict[str, str]) -> str:
        """A formula of the layer's kind in the names of this layer: `dW = Xᵀ dZ` → `dW2 = H1ᵀ dZ2`"""
        pattern = rf"(?<!\w)(d?)({'|'.join(map(re.escape, letters))})(?!\u0302)(?=[ᵀ²]|(?!\w))"
        return re.sub(pattern, lambda found: found[1] + letters[found[2]], text)

    def rows(self, symbol: str, array: Array) -> Figure:
        """An array with a row a sample; its rows can be pictures where it is what goes into the network."""
        if self.pictures and symbol == "X":
            return Figure(symbol, array, "rows", self.pictures)
        return Figure(symbol, array)

    def weights(self, symbol: str, array: Array) -> Figure:
        """An array of the shape of the weights; its columns can be pictures where the inputs are pixels."""
        if self.pictures and self.source == "X":
            return Figure(symbol, array, "columns", self.pictures)
        return Figure(symbol, array)


def named(layers: Sequence[Layer], pictures: tuple[int, int] | None) -> list[Named]:
    """Give the arrays of every layer their names."""
    result: list[Named] = []
    number, source, taken = 0, "X", {"X"}
    for index, layer in enumerate(layers):
        number += isinstance(layer, Dense)
        name = f"{next(letter for kind, letter in LETTER.items() if isinstance(layer, kind))}{number}"
        while name in taken:
            name += "′"
        taken.add(name)
        result.append(Named(layer, index, number, source, name, pictures if source == "X" else None))
        source = name
    return result


def forward_step(at: Named, X: Array, out: Array, cache: Any) -> Step:
    """What the layer did on the way forward."""
    return _WRITERS[type(at.layer)][0](at, at.layer, X, out, cache)


def backward_step(at: Named, dout: Array, dX: Array | None, gradient: Views) -> Step:
    """What the layer did on the way back."""
    return _WRITERS[type(at.layer)][1](at, at.layer, dout, dX, gradient)


def joined(*arrays: Figure, to: Figure) -> str:
    """`X (1, 784), W1 (784, 128) → Z1 (1, 128)`"""
    return f"{', '.join(f'{f.symbol} {f.array.shape}' for f in arrays)} → {to.symbol} {to.array.shape}"


def _dense_forward(at: Named, layer: Dense, X: Array, out: Array, cache: Any) -> Step:
    source, W = at.rows(at.source, X), at.weights(at.own("W"), layer.W)
    b, result = Figure(at.own("b"), layer.b), Figure(at.result, out)
    return Step(
        key=f"forward.{at.index}",
        title=f"Layer {at.number} weighs and adds",
        text=f"Each of the {layer.units} units multiplies every one of its {layer.inputs} inputs by a weight of its "
        "own, adds the products up, and adds its bias.",
        formula=at.here(formula(Dense.forward), _dense_letters(at)),
        shapes=joined(source, W, b, to=result),
        figures=(source, W, b, result),
        code=(
            (f"{at.source} {at.own('W')}", quote(Dense.forward, "self.W")),
            (at.result, quote(Dense.forward, "self.b")),
        ),
    )


def _dense_backward(at: Named, layer: Dense, dout: Array, dX: Array | None, gradient: Views) -> Step:
    dZ = Figure(f"d{at.result}", dout)
    dW, db = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])
    code: list[tuple[str, Quote]] = [
        (dW.symbol, quote(Dense.backward, "gradient['W']")),
        (db.symbol, quote(Dense.backward, "gradient['b']")),
    ]
    figures, shapes = [dZ, dW, db], [f"{f.symbol} {f.array.shape}" for f in (dZ, dW, db)]
    text = (
        "A weight is to blame as far as its input was large and its unit wrong: the slope of the loss by a weight is "
        "the input times the unit's own slope, added up over the samples."
    )
    if dX is None:
        text += " Nothing is handed on: below are only the pixels, and nobody can change those."
    else:
        dsource = Figure(f"d{at.source}", dX)
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


def _dense_letters(at: Named) -> dict[str, str]:
    return {"X": at.source, "Z": at.result, "W": at.own("W"), "b": at.own("b")}


def _activation_forward(at: Named, layer: Activation, X: Array, out: Array, cache: Any) -> Step:
    Z, H = Figure(at.source, X), Figure(at.result, out)
    function = layer.pair.forward
    return Step(
        key=f"forward.{at.index}",
        title=f"{layer.pair.name}, the bend",
        text="Each sum is bent by the same function, one by one. Without the bend, layers in a row would be no more "
        "than one layer.",
        formula=at.here(formula(function), {"Z": at.source, "H": at.result}),
        shapes=joined(Z, to=H),
        figures=(Z, H),
        code=((at.result, quote(function)),),
    )


def _activation_backward(at: Named, layer: Activation, dout: Array, dX: Array | None, gradient: Views) -> Step:
    function = layer.pair.backward
    dH, dZ = Figure(f"d{at.result}", dout), Figure(f"d{at.source}", _there(dX))
    return Step(
        key=f"backward.{at.index}",
        title=f"{layer.pair.name}, backwards",
        text="A change of the sum changes the answer as much as the function is steep there: the blame is multiplied "
        "by that slope.",
        formula=at.here(formula(function), {"Z": at.source, "H": at.result}),
        shapes=joined(dH, to=dZ),
        figures=(dH, dZ),
        code=((dZ.symbol, quote(function)),),
    )


def _dropout_forward(at: Named, layer: Dropout, X: Array, out: Array, cache: Array | None) -> Step:
    source, result = Figure(at.source, X), Figure(at.result, out)
    if cache is None:
        return Step(
            key=f"forward.{at.index}",
            title="Dropout does nothing",
            text="Units are silenced while training only; here everything passes as it is.",
            formula=f"{at.result} = {at.source}",
            shapes=joined(source, to=result),
            figures=(result,),
        )
    mask = Figure(at.own("M"), cache)
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
    dresult, dsource = Figure(f"d{at.result}", dout), Figure(f"d{at.source}", _there(dX))
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


def _batch_norm_forward(at: Named, layer: BatchNorm, X: Array, out: Array, cache: tuple[Array, ...]) -> Step:
    source, result = Figure(at.source, X), Figure(at.result, out)
    _, _, mean, variance, *_ = cache
    own = (
        Figure(at.own("μ"), mean),
        Figure(at.own("σ²"), variance),
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
            ("X̂", quote(BatchNorm.forward, "scale")),
            (at.result, quote(BatchNorm.forward, "self.gamma")),
            (at.result, quote(BatchNorm.forward, "self.beta")),
        ),
    )


def _batch_norm_backward(at: Named, layer: BatchNorm, dout: Array, dX: Array | None, gradient: Views) -> Step:
    dresult, dsource = Figure(f"d{at.result}", dout), Figure(f"d{at.source}", _there(dX))
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
    Activation: (_activation_forward, _activation_backward),
    Dropout: (_dropout_forward, _dropout_backward),
    BatchNorm: (_batch_norm_forward, _batch_norm_backward),
}
