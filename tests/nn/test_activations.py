"""Activations: their formulas at ordinary places and at the kink, and their limits far from 0."""

import math

import numpy as np
import pytest

from byhand.errors import UsageError
from byhand.nn.activations import ACTIVATIONS, activation_named

Z = np.array([[-30.0, -2.0, -0.5, 0.0, 0.5, 2.0, 30.0]])
DH = np.array([[1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0]])
FAR = np.array([[-1e30, -1e4, -100, -20, 20, 100, 1e4, 1e30]])


C = math.sqrt(2 / math.pi)
T = np.tanh(C * (Z + 0.044715 * Z**3))
#: Name → H with its tolerances (relative, absolute), and the function of H that gives dZ with its tolerances.
FORMULAS = {
    "relu": ([[0, 0, 0, 0, 0.5, 2, 30]], (0, 0), lambda _: [[0, 0, 0, 0, 5, -6, 7]], (0, 0)),
    "leaky_relu": (
        [[-0.3, -0.02, -0.005, 0, 0.5, 2, 30]], (0, 0), lambda _: [[0.01, -0.02, 0.03, -0.04, 5, -6, 7]], (1e-15, 0),
    ),
    "sigmoid": (1 / (1 + np.exp(-Z)), (1e-15, 2e-16), lambda H: DH * H * (1 - H), (1e-15, 0)),
    "tanh": (
        (np.exp(2 * Z) - 1) / (np.exp(2 * Z) + 1), (1e-14, 0), lambda _: DH * (1 - np.tanh(Z) ** 2), (1e-15, 0),
    ),
    "gelu": (
        Z / 2 * (1 + T), (1e-13, 1e-16),
        lambda _: DH * (1 + T + Z * (1 - T**2) * C * (1 + 3 * 0.044715 * Z**2)) / 2, (1e-13, 1e-14),
    ),
    "identity": (Z, (0, 0), lambda _: DH, (0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_and_its_derivative_have_their_formulas(name):
    pair, (expected, (rtol, atol), backward, (rtol_dZ, atol_dZ)) = ACTIVATIONS[name], FORMULAS[name]
    H = pair.forward(Z)
    np.testing.assert_allclose(H, expected, rtol, atol)
    dZ = pair.backward(DH, H if pair.backward_needs == "H" else Z)
    np.testing.assert_allclose(dZ, backward(H), rtol_dZ, atol_dZ)


SLOPE_FAR = {"relu": (0, 1), "leaky_relu": (0.01, 1), "sigmoid": (0, 0), "tanh": (0, 0), "gelu": (0, 1)}
SLOPE_FAR["identity"] = (1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_far_from_0_values_are_finite_and_slopes_at_their_limit(name, dtype):
    pair = ACTIVATIONS[name]
    far = FAR.astype(dtype)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        H = pair.forward(far)
        dZ = pair.backward(np.ones_like(far), H if pair.backward_needs == "H" else far)
    assert np.isfinite(H).all()
    left, right = SLOPE_FAR[name]
    np.testing.assert_allclose(dZ, np.where(far < 0, left, right), atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_out_is_filled_and_arguments_are_unchanged(name, dtype):
    pair = ACTIVATIONS[name]
    z, dH = Z.astype(dtype), DH.astype(dtype)
    arguments = z.copy(), dH.copy()
    out = np.full_like(z, np.nan)
    H = pair.forward(z, out=out)
    assert H is out
    np.testing.assert_array_equal(H, pair.forward(z))
    memory = H if pair.backward_needs == "H" else z
    kept = memory.copy()
    out = np.full_like(z, np.nan)
    dZ = pair.backward(dH, memory, out=out)
    assert dZ is out
    np.testing.assert_array_equal(dZ, pair.backward(dH, memory))
    assert H.dtype == dZ.dtype == pair.forward(z).dtype == pair.backward(dH, memory).dtype == dtype
    np.testing.assert_array_equal(memory, kept)
    np.testing.assert_array_equal(z, arguments[0])
    np.testing.assert_array_equal(dH, arguments[1])


def test_an_unknown_activation_is_rejected_with_the_known_names():
    expected = "activation must be one of relu, leaky_relu, sigmoid, tanh, gelu, identity, got 'swish'"
    with pytest.raises(UsageError, match=f"^{expected}$"):
        activation_named("swish")
