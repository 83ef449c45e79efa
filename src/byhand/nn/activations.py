"""Activation functions: H = g(Z), element by element, each above its derivative.

Backward is the chain rule, dZ = dH · g′(Z): it multiplies the upstream gradient dH by the local derivative. Most
derivatives are computed from the output H; only GELU needs the input Z. Results are written to `out` if it is passed.
`ACTIVATIONS` is the table of all functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from byhand import checks
from byhand.nn.arrays import Array


def relu(Z: Array, out: Array | None = None) -> Array:
    """H = max(0, Z)                                                Z, H: (N, n)"""
    return np.maximum(Z, 0, out=out)


def relu_backward(dH: Array, H: Array, out: Array | None = None) -> Array:
    """dZ = dH where H > 0, 0 elsewhere                             dH, H, dZ: (N, n)"""
    slope = np.greater(H, 0, out=np.empty_like(dH) if out is None else out)
    return np.multiply(dH, slope, out=slope)


LEAK = 0.01


def leaky_relu(Z: Array, out: Array | None = None) -> Array:
    """H = Z where Z > 0, 0.01 Z elsewhere                          Z, H: (N, n)"""
    H = np.multiply(Z, LEAK, out=out)
    return np.maximum(Z, H, out=H)


def leaky_relu_backward(dH: Array, H: Array, out: Array | None = None) -> Array:
    """dZ = dH where H > 0, 0.01 dH elsewhere                       dH, H, dZ: (N, n)"""
    slope = np.greater(H, 0, out=np.empty_like(dH) if out is None else out)
    slope *= 1 - LEAK
    slope += LEAK
    return np.multiply(dH, slope, out=slope)


def sigmoid(Z: Array, out: Array | None = None) -> Array:
    """H = 1 / (1 + exp(−Z)) = (1 + tanh(Z / 2)) / 2                Z, H: (N, n)

    The second form cannot overflow.
    """
    H = np.multiply(Z, 0.5, out=out)
    np.tanh(H, out=H)
    H += 1
    H *= 0.5
    return H


def sigmoid_backward(dH: Array, H: Array, out: Array | None = None) -> Array:
    """dZ = dH · H (1 − H)                                          dH, H, dZ: (N, n)"""
    dZ = np.subtract(1, H, out=out)
    dZ *= H
    dZ *= dH
    return dZ


def tanh(Z: Array, out: Array | None = None) -> Array:
    """H = tanh(Z)                                                  Z, H: (N, n)"""
    return np.tanh(Z, out=out)


def tanh_backward(dH: Array, H: Array, out: Array | None = None) -> Array:
    """dZ = dH (1 − H²)                                             dH, H, dZ: (N, n)"""
    dZ = np.multiply(H, H, out=out)
    np.subtract(1, dZ, out=dZ)
    dZ *= dH
    return dZ


GELU_SCALE = float(np.sqrt(2 / np.pi))
GELU_CUBIC = 0.044715
#: Z is clipped to ±10 before it is squared, so that Z² cannot overflow. There tanh is exactly 1, also in float64.
GELU_FLAT = 10.0


def gelu(Z: Array, out: Array | None = None) -> Array:
    """H = Z (1 + t) / 2,  t = tanh(c Z (1 + 0.044715 Z²)),  c = √(2/π)          Z, H: (N, n)"""
    H = np.clip(Z, -GELU_FLAT, GELU_FLAT, out=out)
    H *= H
    H *= GELU_SCALE * GELU_CUBIC
    H += GELU_SCALE
    H *= Z
    np.tanh(H, out=H)
    H += 1
    H *= Z
    H *= 0.5
    return H


def gelu_backward(dH: Array, Z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """dZ = dH [ 1 + t + Z (1 − t²) c (1 + 3 · 0.044715 Z²) ] / 2                dH, Z, dZ: (N, n)

    (1 − t²) is computed as (1 − t)(1 + t), so that two arrays are enough.
    """
    square = np.clip(Z, -GELU_FLAT, GELU_FLAT, out=out)
    square *= square
    t = np.multiply(square, GELU_SCALE * GELU_CUBIC, out=scratch)
    t += GELU_SCALE
    t *= Z
    np.tanh(t, out=t)
    dZ = square
    dZ *= 3 * GELU_SCALE * GELU_CUBIC
    dZ += GELU_SCALE
    dZ *= Z
    t += 1
    dZ *= t
    t -= 2
    dZ *= t
    t += 2
    np.subtract(t, dZ, out=dZ)
    dZ *= 0.5
    dZ *= dH
    return dZ


def identity(Z: Array, out: Array | None = None) -> Array:
    """H = Z                                                        Z, H: (N, n)"""
    return np.positive(Z, out=out)


def identity_backward(dH: Array, H: Array, out: Array | None = None) -> Array:
    """dZ = dH                                                      dH, H, dZ: (N, n)"""
    return np.positive(dH, out=out)


@dataclass(frozen=True)
class ActivationFunction:
    """A row of `ACTIVATIONS`: g, its backward, and the array that backward needs.

    `has_kink` is True if g has no derivative at 0, and `needs_scratch` if backward needs memory of its own.
    """

    name: str
    forward: Callable[..., Array]
    backward: Callable[..., Array]
    backward_needs: Literal["H", "Z"] = "H"
    has_kink: bool = False
    needs_scratch: bool = False


ACTIVATIONS = {
    function.name: function
    for function in (
        ActivationFunction("relu", relu, relu_backward, has_kink=True),
        ActivationFunction("leaky_relu", leaky_relu, leaky_relu_backward, has_kink=True),
        ActivationFunction("sigmoid", sigmoid, sigmoid_backward),
        ActivationFunction("tanh", tanh, tanh_backward),
        ActivationFunction("gelu", gelu, gelu_backward, backward_needs="Z", needs_scratch=True),
        ActivationFunction("identity", identity, identity_backward),
    )
}


def activation_named(name: str) -> ActivationFunction:
    """Return the activation function with this name."""
    return ACTIVATIONS[checks.choice("activation", name, ACTIVATIONS, {"softmax": "(softmax is part of the loss)"})]
