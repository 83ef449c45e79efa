"""The way through a network and back, with everything that came up on it kept.

Training forgets an array once the next layer has read it; an explanation shows them all. The layers' own `forward`
and `backward` are called, in the order in which `byhand.nn.network.Network` calls them.
"""

from dataclasses import dataclass
from typing import Any

from byhand.nn.layers import Views
from byhand.nn.network import Network
from byhand.nn.noise import Moment
from byhand.nn.scratch import FRESH, Array


@dataclass(frozen=True, eq=False)
class Way:
    """Everything that came up: inputs and outputs of every layer, forward and, where there was a label, back.

    outs[i] and caches[i] are what layer i gave; ins[i] is what it got. douts[i] and dins[i] are the derivatives by the
    same two, None where nobody needed them.
    """

    ins: list[Array]
    outs: list[Array]
    caches: list[Any]
    douts: list[Array | None]
    dins: list[Array | None]


def forward(network: Network, X: Array, at: Moment | None) -> Way:
    """`Network.forward`, with every layer's output kept                     X: (N, D)"""
    ins, outs, caches = [], [], []
    out = X
    for layer in network.layers:
        ins.append(out)
        out, cache = layer.forward(out, FRESH, at)
        outs.append(out)
        caches.append(cache)
    nothing: list[Array | None] = [None] * len(network.layers)
    return Way(ins, outs, caches, list(nothing), list(nothing))


def backward(network: Network, way: Way, dout: Array, gradient: list[Views]) -> None:
    """`Network.backward`, with every derivative kept in `way`               dout: (N, K)"""
    first = next(i for i, layer in enumerate(network.layers) if layer.shapes)
    for i in range(len(network.layers) - 1, first - 1, -1):
        way.douts[i] = dout
        handed_on = network.layers[i].backward(dout, way.caches[i], gradient[i], FRESH, i > first)
        if i > first:
            assert handed_on is not None
            way.dins[i] = dout = handed_on
        elif not network.layers[i].shapes.get("W"):
            way.dins[i] = handed_on
