"""Activations: each formula of a docstring has its test, at ordinary places, at the kink and far out."""

import math

import numpy as np
import pytest

from byhand.errors import UsageError
from byhand.nn.activations import (
    ACTIVATIONS,
    activation_named,
    gelu,
    gelu_backward,
    identity,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)

Z = np.array([[-30.0, -2.0, -0.5, 0.0, 0.5, 2.0, 30.0]])
DH = np.array([[1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0]])
FAR = np.array([[-1e30, -1e4, -100, -20, 20, 100, 1e4, 1e30]])


def test_relu_is_max_of_0_and_Z():
    np.testing.assert_array_equal(relu(Z), [[0, 0, 0, 0, 0.5, 2, 30]])


def test_relu_backward_is_dH_where_the_unit_was_on():
    np.testing.assert_array_equal(relu_backward(DH, relu(Z)), [[0, 0, 0, 0, 5, -6, 7]])


def test_leaky_relu_is_Z_or_a_hundredth_of_it():
    np.testing.assert_array_equal(leaky_relu(Z), [[-0.3, -0.02, -0.005, 0, 0.5, 2, 30]])


def test_leaky_relu_backward_is_dH_or_a_hundredth_of_it():
    expected = [[0.01, -0.02, 0.03, -0.04, 5, -6, 7]]
    np.testing.assert_allclose(leaky_relu_backward(DH, leaky_relu(Z)), expected, rtol=1e-15)


def test_sigmoid_is_1_over_1_plus_exp_of_minus_Z():
    np.testing.assert_allclose(sigmoid(Z), 1 / (1 + np.exp(-Z)), rtol=1e-15, atol=2e-16)


def test_sigmoid_backward_is_dH_H_1_minus_H():
    H = sigmoid(Z)
    np.testing.assert_allclose(sigmoid_backward(DH, H), DH * H * (1 - H), rtol=1e-15)


def test_tanh_and_its_derivative():
    np.testing.assert_allclose(tanh(Z), (np.exp(2 * Z) - 1) / (np.exp(2 * Z) + 1), rtol=1e-14)
    np.testing.assert_allclose(tanh_backward(DH, tanh(Z)), DH * (1 - np.tanh(Z) ** 2), rtol=1e-15)


def test_gelu_is_the_tanh_form():
    expected = [[z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) for z in Z[0]]]
    np.testing.assert_allclose(gelu(Z), expected, rtol=1e-13, atol=1e-16)


def test_gelu_backward_is_its_formula():
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * Z * (1 + 0.044715 * Z**2))
    expected = DH * (1 + t + Z * (1 - t**2) * c * (1 + 3 * 0.044715 * Z**2)) / 2
    np.testing.assert_allclose(gelu_backward(DH, Z), expected, rtol=1e-13, atol=1e-14)


def test_identity_is_Z():
    np.testing.assert_array_equal(identity(Z), Z)


SLOPE_FAR = {"relu": (0, 1), "leaky_relu": (0.01, 1), "sigmoid": (0, 0), "tanh": (0, 0), "gelu": (0, 1)}
SLOPE_FAR["identity"] = (1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_far_out_nothing_overflows_and_the_slope_is_the_limit(name, dtype):
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
def test_out_is_filled_and_no_argument_is_written_into(name, dtype):
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


def test_activation_named_lists_the_names():
    expected = "activation must be one of relu, leaky_relu, sigmoid, tanh, gelu, identity, got 'swish'"
    with pytest.raises(UsageError, match=f"^{expected}$"):
        activation_named("swish")
