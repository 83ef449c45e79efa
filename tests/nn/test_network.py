"""`Network`: its parameter vector, copies, max-norm, rejected settings; caches, and dense layers in parts."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byhand.errors import UsageError
from byhand.nn.arrays import Cache, aligned
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.network import Network, max_norm
from byhand.training.plan import SplitDense
from helpers.layer_cache import cache_for


@pytest.mark.parametrize(
    ("setting", "value"),
    [("activation", "tanh"), ("dropout", 0.5), ("batch_norm", True), ("init", "glorot"), ("output_scale", 0.1)],
)
def test_layers_and_settings_of_sizes_cannot_be_combined(setting, value):
    with pytest.raises(UsageError, match=f"^{setting} must be used with sizes, not with layers"):
        Network([Dense(2, 3)], rng=np.random.default_rng(0), **{setting: value})
    assert Network([2, 3], rng=np.random.default_rng(0), **{setting: value}).size == 9


def test_aligned_vectors_start_on_a_cache_line():
    for size in (1, 7, 1000):
        for dtype in (np.float32, np.float64):
            vector = aligned(size, dtype)
            assert (vector.size, vector.dtype, vector.ctypes.data % 64) == (size, dtype, 0)
            assert not vector.any()


def test_a_cache_reuses_memory_unless_more_is_needed():
    cache = Cache(np.float32)
    large = cache.new("x", 10, 4)
    assert large is cache.x
    assert np.shares_memory(large, cache.new("x", 3, 4))
    assert np.shares_memory(large, cache.new("x", 40))
    assert not np.shares_memory(large, cache.new("y", 10, 4))
    assert not np.shares_memory(large, cache.new("x", 20, 4))
    assert cache.new("y", 10, 4, dtype=np.uint8).dtype == np.uint8


@given(*(st.integers(1, size) for size in (12, 9, 9, 20)), st.integers(0, 2**32 - 1))
def test_a_dense_layer_in_parts_gives_the_same_results(N, parts, rows, units, seed):
    rng = np.random.default_rng(seed)
    network = Network([parts * rows, units], rng=rng, dtype=np.float64)
    layer = network.dense[0]
    layer.b[...] = rng.standard_normal(units)
    split, cache = SplitDense(layer, parts), cache_for(layer, 0, 0)
    for count in (N, max(1, N // 2)):
        X, dZ = rng.standard_normal((count, parts * rows)), rng.standard_normal((count, units))
        split.prepare(cache, count, parts * rows)
        np.testing.assert_allclose(split.forward(X, cache), X @ layer.W + layer.b, atol=1e-12)
        np.testing.assert_allclose(split.backward(dZ, cache), dZ @ layer.W.T, atol=1e-12)
        np.testing.assert_allclose(cache.dW, X.T @ dZ, atol=1e-12)
        np.testing.assert_allclose(cache.db, dZ.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda rng: Network([784], rng=rng), "sizes must be two or more positive integers, got [784]"),
        (lambda rng: Network([784, 0, 10], rng=rng), "sizes must be two or more positive integers, got [784, 0, 10]"),
        (lambda rng: Network([784, 1.5], rng=rng), "sizes must be two or more positive integers, got [784, 1.5]"),
        (lambda rng: Network([3, True], rng=rng), "sizes must be two or more positive integers"),
        (lambda rng: Network([3, 2, 2], rng=rng, activation="relo"), "activation must be one of relu, leaky_relu"),
        (lambda rng: Network([3, 2], rng=rng, init="xavier"), "init must be one of he, glorot, lecun"),
        (lambda rng: Network([3, 2], rng=rng, dtype=np.int32), "dtype must be float32 or float64, got int32"),
        (lambda rng: Network([Dense(3, 2), Dense(3, 2)], rng=rng), "Dense(3, 2) needs 3 inputs, got 2"),
        (lambda rng: Network([Dense(3, 2), BatchNorm(4)], rng=rng), "BatchNorm(4) needs 4 inputs, got 2"),
        (lambda rng: Network([Activation("relu")], rng=rng), "a network must have at least one Dense layer"),
        (lambda rng: Dense(3, -1), "units must be a positive integer, got -1"),
        (lambda rng: Dropout(1.0), "dropout must be at least 0 and less than 1, got 1.0"),
        (lambda rng: BatchNorm(3, epsilon=0), "epsilon must be a positive number, got 0"),
        (lambda rng: Network.from_config([{"kind": "conv"}]), "a layer's kind must be one of dense, convolution"),
        (lambda rng: Network([3, 2], rng=rng).forward(np.zeros((1, 4), np.float32)), "X must have the shape (N, 3)"),
        (lambda rng: Network([3, 2], rng=rng).forward(np.zeros((1, 3))), "X must have the network's dtype float32"),
    ],
)
def test_an_invalid_network_is_rejected_with_the_rule(make, words):
    with pytest.raises(UsageError) as caught:
        make(np.random.default_rng(0))
    assert words in str(caught.value)


def rich_network():
    layers = [Dense(6, 5), BatchNorm(5), Activation("gelu"), Dropout(0.2), Dense(5, 4, init="glorot", scale=0.1)]
    return Network(layers, rng=np.random.default_rng(0))


def test_parameters_are_one_vector_with_weights_first():
    network = rich_network()
    names = [name for name, _ in network.named()]
    assert names == ["0.W", "4.W", "0.b", "1.gamma", "1.beta", "4.b"]
    assert network.weight_slice == slice(0, 6 * 5 + 5 * 4)
    assert all(np.shares_memory(view, network.parameters) for _, view in network.named())
    assert np.shares_memory(network.dense[0].W, network.parameters)
    network.parameters[...] = 7
    assert (network.dense[1].b == 7).all()


@pytest.mark.parametrize("twin_of", [Network.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copy_is_equal_and_shares_no_memory(twin_of):
    network = rich_network()
    twin = twin_of(network)
    X = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32)
    np.testing.assert_array_equal(twin.forward(X), network.forward(X))
    assert twin.config() == network.config()
    twin.parameters[...] = 0
    assert network.parameters.any()
    assert not twin.dense[0].W.any()


def test_summary_and_repr_list_layers_and_parameters():
    network = rich_network()
    assert repr(network).startswith("Network([Dense(6, 5), BatchNorm(5), Activation('gelu'), Dropout(0.2)")
    lines = network.summary().splitlines()
    assert lines[0].split() == ["layer", "out", "parameters"]
    assert lines[-1].split() == ["total", str(35 + 10 + 24)]


def test_max_norm_shortens_only_columns_over_the_limit():
    network = Network([2, 2], rng=np.random.default_rng(0), dtype=np.float64)
    network.dense[0].W[...] = [[3, 0.3], [4, 0.4]]
    max_norm(network, 1.0)
    np.testing.assert_allclose(network.dense[0].W, [[0.6, 0.3], [0.8, 0.4]])
