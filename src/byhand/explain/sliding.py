"""Convolutions as steps: the dense layer's product, once for every place of a window.

The same form as the steps of `byhand.explain.layers`, with one array more: P, whose rows are what the window sees.
"""

from byhand.explain.names import NOTHING_BELOW, Named, below, joined
from byhand.explain.source import Quote, formula, formulas, quote
from byhand.explain.steps import Figure, Step
from byhand.nn import convolution
from byhand.nn.arrays import Array, Cache
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Views


def convolution_forward(at: Named, layer: Convolution, X: Array, out: Array, cache: Cache) -> Step:
    """What is seen in every place, and what the maps make of it."""
    source, P, W = at.rows(at.source, X), windows(at, layer, cache.P), at.weights(at.own("W"), layer.W)
    b, result = Figure(at.own("b"), layer.b), at.rows(at.result, out)
    seen = "pixels" if at.source == "X" else f"numbers in each of the {layer.channels} maps below"
    return Step(
        key=f"forward.{at.index}",
        title=f"Layer {at.number} looks through a window",
        text=f"A window of {layer.size} × {layer.size} {seen} is put to {layer.rows} × {layer.columns} places, moved "
        f"by {layer.stride} from one to the next. What it sees in a place is a row of {P.symbol}. All places share "
        f"the same weights: each of the {layer.maps} maps has {len(layer.W)} of them and a bias, and says of every "
        "place how well it fits them.",
        formula=at.here(formulas(convolution), letters(at)),
        shapes=f"{source.symbol} {X.shape} → {joined(P, W, b, to=result)}",
        figures=(source, P, W, b, result),
        code=(
            (P.symbol, quote(Convolution.forward, "windows")),
            (f"windows of {at.source}", quote(Convolution.windows)),
            (f"{P.symbol} {W.symbol}", quote(Convolution.forward, "self.W")),
            (at.result, quote(Convolution.forward, "self.b")),
        ),
    )


def convolution_backward(at: Named, layer: Convolution, dout: Array, dX: Array | None, gradient: Views) -> Step:
    """The blame of weights that were used everywhere, and of numbers that several windows saw."""
    dZ = at.rows(f"d{at.result}", dout)
    dW, db = at.weights(at.own("dW"), gradient["W"]), Figure(at.own("db"), gradient["b"])
    code: list[tuple[str, Quote]] = [
        (dW.symbol, quote(Convolution.backward, "cache.dW")),
        (db.symbol, quote(Convolution.backward, "cache.db")),
    ]
    figures, shapes = (
        [dZ, dW, db],
        f"{dZ.symbol} {dout.shape} → {dW.symbol} {layer.W.shape}, {db.symbol} {db.array.shape}",
    )
    equations = at.here(formula(Convolution.backward), letters(at)).split(",  ")
    text = (
        "A weight was used in every place, so its blame is added up over all of them: what the window saw there, times "
        "how wrong the map was there."
    )
    if dX is None:
        equations.pop()
        text += NOTHING_BELOW
    else:
        dsource, dP = at.rows(f"d{at.source}", dX), at.own("dP")
        figures.append(dsource)
        shapes += f", {dP} {(len(dX) * layer.rows * layer.columns, len(layer.W))} → {dsource.symbol} {dX.shape}"
        code.append((f"{dP}, {dsource.symbol}", quote(Convolution.backward, "into")))
        equations.append(f"{dsource.symbol} = Σ {dP} over the windows that see the number")
        text += (
            f" Along the same weights the blame of each place goes to what its window saw, a row of {dP}; a number "
            "that several windows saw gets the sum."
        )
    return Step(
        key=f"backward.{at.index}",
        title=f"Layer {at.number}: who is to blame",
        text=text,
        formula="\n".join(equations),
        shapes=shapes,
        figures=tuple(figures),
        code=tuple(code),
    )


def windows(at: Named, layer: Convolution, P: Array) -> Figure:
    """What the window sees, a picture a place, lying as the places do."""
    seen = below(at.own("P"), P, "rows", (layer.size, layer.size, layer.channels), "window")
    if layer.channels > 1:
        return seen
    note = "what the window sees, in the order of its places"
    return Figure(seen.symbol, P, "rows", seen.shape, each="window", across=layer.columns, note=note)


def letters(at: Named) -> dict[str, str]:
    """The letters of the layer's formulas, and what they are called here."""
    return {"X": at.source, "Z": at.result} | {name: at.own(name) for name in ("P", "W", "b")}
