"""Schedules, initialisers, noise, scratch, and the network's own words: values worked by hand, and what is refused."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byhand.errors import UsageError
from byhand.nn.arrays import Cache, aligned
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.network import Network, max_norm
from byhand.nn.optimizers import optimizer_named
from byhand.nn.rng import INITIALIZERS, StepKey, dropout_mask
from byhand.nn.schedules import Constant, Cosine, Exponential, OneCycle, Step, schedule_config, schedule_named
from byhand.training.plan import SplitDense
from nn.one_layer import cache_for

# ---- the network's own words


@pytest.mark.parametrize(
    ("setting", "value"),
    [("activation", "tanh"), ("dropout", 0.5), ("batch_norm", True), ("init", "glorot"), ("output_scale", 0.1)],
)
def test_settings_of_layers_that_are_given_are_refused_by_name(setting, value):
    with pytest.raises(UsageError, match=f"^{setting} must go with sizes, not with layers"):
        Network([Dense(2, 3)], rng=np.random.default_rng(0), **{setting: value})
    assert Network([2, 3], rng=np.random.default_rng(0), **{setting: value}).size == 9


# ---- schedules


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        (Constant(), 57, 1.0),
        (Step(factor=0.1, parts=4), 0, 1.0),
        (Step(factor=0.1, parts=4), 24, 1.0),
        (Step(factor=0.1, parts=4), 25, 0.1),
        (Step(factor=0.1, parts=4), 99, 0.001),
        (Step(factor=0.1, parts=4), 100, 0.001),
        (Exponential(end=0.01), 0, 1.0),
        (Exponential(end=0.01), 50, 0.1),
        (Exponential(end=0.01), 100, 0.01),
        (Cosine(), 0, 1.0),
        (Cosine(), 50, 0.5),
        (Cosine(end=0.2), 50, 0.6),
        (Cosine(end=0.2), 100, 0.2),
        (Cosine(warmup=0.2), 0, 1 / 21),
        (Cosine(warmup=0.2), 19, 20 / 21),
        (Cosine(warmup=0.2), 20, 1.0),
        (Cosine(warmup=0.2), 60, 0.5),
        (OneCycle(start=0.1, warmup=0.3), 0, 0.1),
        (OneCycle(start=0.1, warmup=0.3), 15, 0.55),
        (OneCycle(start=0.1, warmup=0.3), 30, 1.0),
        (OneCycle(start=0.1, warmup=0.3), 65, 0.5),
        (OneCycle(start=0.1, warmup=0.3, end=0.2), 100, 0.2),
        (OneCycle(), 1000, 0.0),
    ],
)
def test_a_schedule_has_the_factor_that_its_formula_gives(schedule, step, factor):
    assert schedule(step, 100) == pytest.approx(factor, abs=1e-12)
    assert schedule_named(**schedule_config(schedule)) == schedule


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Step(factor=0), "factor must be over 0 and at most 1, got 0"),
        (lambda: Step(parts=0), "parts must be a positive integer, got 0"),
        (lambda: Exponential(end=2), "end must be over 0 and at most 1, got 2"),
        (lambda: Cosine(warmup=1), "warmup must be at least 0 and under 1, got 1"),
        (lambda: OneCycle(warmup=0), "warmup must be over 0 and under 1, got 0"),
        (lambda: OneCycle(start=-1), "start must be a number from 0 to 1, got -1"),
        (lambda: schedule_named("linear"), "schedule must be one of constant, step, exponential, cosine, one_cycle"),
        (lambda: schedule_named("step", end=1), "step takes factor, parts, got end"),
        (lambda: schedule_named("constant", end=1), "constant takes no settings, got end"),
        (lambda: optimizer_named("adagrad"), "optimizer must be one of sgd, momentum, rmsprop, adam, adamw"),
        (lambda: optimizer_named("adam", momentum=1), "adam takes weight_decay, beta1, beta2, epsilon, got momentum"),
        (lambda: optimizer_named("momentum", momentum="high"), "momentum must be a number of at least 0, got 'high'"),
        (lambda: optimizer_named("adam", beta1=1.0), "beta1 must be at least 0 and under 1, got 1.0"),
        (lambda: optimizer_named("adam", epsilon=0), "epsilon must be a positive number, got 0"),
        (lambda: optimizer_named("sgd", weight_decay=-1), "weight_decay must be a number of at least 0, got -1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(UsageError) as caught:
        make()
    assert words in str(caught.value)


# ---- initialisers


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("he", math.sqrt(2 / 400)),
        ("glorot", math.sqrt(2 / (400 + 300))),
        ("lecun", math.sqrt(1 / 400)),
        ("l_layer", 0.1),
        ("two_layer", math.sqrt(1 / 12)),
    ],
)
def test_weights_start_with_the_spread_that_the_rule_names(name, deviation):
    W, b = INITIALIZERS[name](400, 300, np.random.default_rng(0))
    assert W.shape == (400, 300)
    assert b.shape == (300,)
    assert W.std() == pytest.approx(deviation, rel=0.01)
    assert abs(W.mean()) < 4 * deviation / math.sqrt(W.size)
    assert b.any() == (name == "two_layer")


def test_the_reference_initialisers_draw_the_numbers_of_the_page():
    stream = np.random.RandomState(2)
    W, _ = INITIALIZERS["l_layer"](5, 3, np.random.RandomState(2))
    np.testing.assert_array_equal(W.T, stream.randn(3, 5) * 0.1)
    stream = np.random.RandomState(2)
    W, b = INITIALIZERS["two_layer"](5, 3, np.random.RandomState(2))
    np.testing.assert_array_equal(W.T, stream.rand(3, 5) - 0.5)
    np.testing.assert_array_equal(b, stream.rand(3) - 0.5)


# ---- noise


def mask(at, *, keep=0.7, shape=(64, 40), layer=1):
    cache = Cache(np.float32)
    Dropout(0.5).prepare(cache, *shape)
    return dropout_mask(keep, at, layer, cache.mask, cache.bits, cache.shifted)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 10**6), st.integers(1, 63))
def test_blocks_of_a_batch_see_the_masks_that_the_whole_sees(seed, step, cut):
    whole = mask(StepKey(seed, step))
    first, second = mask(StepKey(seed, step), shape=(cut, 40)), mask(StepKey(seed, step, cut), shape=(64 - cut, 40))
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_mask_keeps_the_share_that_it_should(keep):
    shares = np.array([mask(StepKey(0, step), keep=keep, shape=(200, 200)).mean() for step in range(25)])
    spread = math.sqrt(keep * (1 - keep) / 40_000)
    assert abs(shares.mean() - keep) < 4 * spread / 5
    assert np.abs(shares - keep).max() < 5 * spread


@pytest.mark.parametrize(
    "other", [{"at": StepKey(1, 0)}, {"at": StepKey(0, 1)}, {"layer": 2}, {"at": StepKey(0, 0, 300)}]
)
def test_masks_of_other_seeds_steps_layers_and_rows_are_unrelated(other):
    shape = (300, 200)
    a = mask(StepKey(0, 0), keep=0.5, shape=shape)
    b = mask(other.get("at", StepKey(0, 0)), keep=0.5, shape=shape, layer=other.get("layer", 1))
    assert abs(np.mean(a == b) - 0.5) < 5 * 0.5 / math.sqrt(a.size)


def test_rows_and_units_of_a_mask_are_unrelated():
    a = mask(StepKey(3, 5), keep=0.5, shape=(400, 400)) * 2.0 - 1
    rows, units = a @ a.T / 400, a.T @ a / 400
    for agreement in (rows, units):
        others = agreement[~np.eye(400, dtype=bool)]
        assert others.std() == pytest.approx(1 / 20, rel=0.05)
        assert np.abs(others).max() < 6 / 20


# ---- scratch


def test_a_vector_starts_on_a_cache_line():
    for size in (1, 7, 1000):
        for dtype in (np.float32, np.float64):
            vector = aligned(size, dtype)
            assert (vector.size, vector.dtype, vector.ctypes.data % 64) == (size, dtype, 0)
            assert not vector.any()


def test_a_cache_gives_the_same_memory_for_as_many_numbers_or_fewer():
    cache = Cache(np.float32)
    large = cache.new("x", 10, 4)
    assert large is cache.x
    assert np.shares_memory(large, cache.new("x", 3, 4))
    assert np.shares_memory(large, cache.new("x", 40))
    assert not np.shares_memory(large, cache.new("y", 10, 4))
    assert not np.shares_memory(large, cache.new("x", 20, 4))
    assert cache.new("y", 10, 4, dtype=np.uint8).dtype == np.uint8


# ---- products in parts


@settings(max_examples=60, deadline=None)
@given(*(st.integers(1, size) for size in (12, 9, 9, 20)), st.integers(0, 2**32 - 1))
def test_parts_of_a_product_add_up_to_it(N, parts, rows, units, seed):
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


# ---- the network's own words


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda rng: Network([784], rng=rng), "sizes must name at least the inputs and the outputs, got [784]"),
        (lambda rng: Network([784, 0, 10], rng=rng), "sizes must be positive integers, got [784, 0, 10]"),
        (lambda rng: Network([784, 1.5], rng=rng), "sizes must be positive integers, got [784, 1.5]"),
        (lambda rng: Network([3, True], rng=rng), "sizes must be positive integers"),
        (lambda rng: Network([3, 2, 2], rng=rng, activation="relo"), "activation must be one of relu, leaky_relu"),
        (lambda rng: Network([3, 2], rng=rng, init="xavier"), "init must be one of he, glorot, lecun"),
        (lambda rng: Network([3, 2], rng=rng, dtype=np.int32), "dtype must be float32 or float64, got int32"),
        (lambda rng: Network([Dense(3, 2), Dense(3, 2)], rng=rng), "Dense(3, 2) must get 3 inputs, got 2"),
        (lambda rng: Network([Dense(3, 2), BatchNorm(4)], rng=rng), "BatchNorm(4) must get 4 inputs, got 2"),
        (lambda rng: Network([Activation("relu")], rng=rng), "a network must have at least one Dense layer"),
        (lambda rng: Dense(3, -1), "units must be a positive integer, got -1"),
        (lambda rng: Dropout(1.0), "dropout must be at least 0 and under 1, got 1.0"),
        (lambda rng: BatchNorm(3, epsilon=0), "epsilon must be a positive number, got 0"),
        (lambda rng: Network.from_config([{"kind": "conv"}]), "a layer's kind must be one of dense, convolution"),
        (lambda rng: Network([3, 2], rng=rng).forward(np.zeros((1, 4), np.float32)), "X must have the shape (N, 3)"),
        (lambda rng: Network([3, 2], rng=rng).forward(np.zeros((1, 3))), "X must be float32, as the network is"),
    ],
)
def test_what_makes_no_network_is_refused_in_words(make, words):
    with pytest.raises(UsageError) as caught:
        make(np.random.default_rng(0))
    assert words in str(caught.value)


def rich_network():
    layers = [Dense(6, 5), BatchNorm(5), Activation("gelu"), Dropout(0.2), Dense(5, 4, init="glorot", scale=0.1)]
    return Network(layers, rng=np.random.default_rng(0))


def test_parameters_are_one_vector_weights_first():
    network = rich_network()
    names = [name for name, _ in network.named()]
    assert names == ["0.W", "4.W", "0.b", "1.gamma", "1.beta", "4.b"]
    assert network.weight_slice == slice(0, 6 * 5 + 5 * 4)
    assert all(np.shares_memory(view, network.parameters) for _, view in network.named())
    assert np.shares_memory(network.dense[0].W, network.parameters)
    network.parameters[...] = 7
    assert (network.dense[1].b == 7).all()


@pytest.mark.parametrize("twin_of", [Network.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copy_is_the_same_network_over_vectors_of_its_own(twin_of):
    network = rich_network()
    twin = twin_of(network)
    X = np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32)
    np.testing.assert_array_equal(twin.forward(X), network.forward(X))
    assert twin.config() == network.config()
    twin.parameters[...] = 0
    assert network.parameters.any()
    assert not twin.dense[0].W.any()


def test_summary_and_repr_say_what_is_there():
    network = rich_network()
    assert repr(network).startswith("Network([Dense(6, 5), BatchNorm(5), Activation('gelu'), Dropout(0.2)")
    lines = network.summary().splitlines()
    assert lines[0].split() == ["layer", "out", "parameters"]
    assert lines[-1].split() == ["total", str(35 + 10 + 24)]


def test_max_norm_shortens_only_what_is_too_long():
    network = Network([2, 2], rng=np.random.default_rng(0), dtype=np.float64)
    network.dense[0].W[...] = [[3, 0.3], [4, 0.4]]
    max_norm(network, 1.0)
    np.testing.assert_allclose(network.dense[0].W, [[0.6, 0.3], [0.8, 0.4]])
