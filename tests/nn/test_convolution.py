"""Convolution: a case by hand, an independent loop, and its properties as a linear map."""

from functools import partial

import numpy as np
import pytest

import byhand
from byhand.errors import UsageError
from byhand.nn import convolution
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.network import Network
from byhand.training import Recipe
from helpers.layer_cache import cache_for


def made(layer, seed=0, dtype=np.float64):
    """Return the layer with random parameters."""
    rng = np.random.default_rng(seed)
    network = Network([layer, Dense(layer.out_size(layer.inputs), 2)], rng=rng, dtype=dtype)
    network.parameters[...] = rng.standard_normal(network.size)
    return layer


def forward(layer, X):
    """Return the output, in a new array."""
    return layer.forward(X, cache_for(layer, *X.shape, X.dtype))


def by_loops(layer, X):
    """Compute the definition element by element: each window's pixels times the weights."""
    pictures = X.reshape(len(X), layer.height, layer.width, layer.channels)
    kernel = layer.W.reshape(layer.size, layer.size, layer.channels, layer.maps)
    out = np.zeros((len(X), layer.rows, layer.columns, layer.maps))
    for n, y, x, m in np.ndindex(out.shape):
        total = layer.b[m]
        for i, j, c in np.ndindex(kernel.shape[:3]):
            total += pictures[n, y * layer.stride + i, x * layer.stride + j, c] * kernel[i, j, c, m]
        out[n, y, x, m] = total
    return out.reshape(len(X), -1)


def test_a_convolution_agrees_with_the_computation_by_hand():
    layer = made(Convolution(3, 3, 1, 1, size=2, stride=1))
    layer.W[...], layer.b[...] = [[1], [2], [3], [4]], 0.5
    X = np.array([[1.0, 0, 2, 0, 1, 0, 3, 0, 1]])  # lines 1 0 2, 0 1 0, 3 0 1
    cache = cache_for(layer, 1, 9)
    out = layer.forward(X, cache)
    assert out.tolist() == [[1 + 4 + 0.5, 4 + 3 + 0.5, 2 + 9 + 0.5, 1 + 4 + 0.5]]
    dX = layer.backward(np.array([[1.0, 0, 0, 10]]), cache)
    assert cache.db.tolist() == [11]
    assert cache.dW.ravel().tolist() == [1 + 10, 0, 0, 1 + 10]  # the first window, and ten times the last
    assert dX.tolist() == [[1, 2, 0, 3, 4 + 10, 20, 0, 30, 40]]


@pytest.mark.parametrize("seed", range(10))
def test_random_shapes_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    channels, maps, size, stride = (int(n) for n in rng.integers(1, [4, 4, 5, 4]))
    height, width = (int(n) + size for n in rng.integers(0, 5, 2))
    layer = made(Convolution(height, width, channels, maps, size=size, stride=stride), seed)
    X = rng.standard_normal((2, layer.inputs))
    np.testing.assert_allclose(forward(layer, X), by_loops(layer, X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3, 6])
def test_backward_is_the_transpose_of_forward(stride):
    """⟨conv X, D⟩ = ⟨X, convᵀ D⟩ for any X and D, with overlapping windows, gaps, and pixels that no window covers."""
    layer = made(Convolution(11, 9, 2, 3, size=4, stride=stride))
    layer.b[...] = 0
    rng = np.random.default_rng(1)
    X, D = rng.standard_normal((3, layer.inputs)), rng.standard_normal((3, layer.out_size(layer.inputs)))
    cache = cache_for(layer, *X.shape)
    out = layer.forward(X, cache)
    dX = layer.backward(D, cache)
    assert np.vdot(out, D) == pytest.approx(np.vdot(X, dX), rel=1e-12)
    assert np.vdot(out, D) == pytest.approx(np.vdot(layer.W, cache.dW), rel=1e-12)
    cache.needs_dX = False
    assert layer.backward(D, cache) is None


def test_a_shifted_image_gives_shifted_maps():
    layer = made(Convolution(20, 20, 1, 4))
    picture = np.zeros((2, 20, 20))
    picture[0, 6:11, 6:11] = picture[1, 8:13, 4:9] = np.random.default_rng(2).random((5, 5))
    there, moved = forward(layer, picture.reshape(2, -1)).reshape(2, layer.rows, layer.columns, 4)
    np.testing.assert_allclose(there[:-1, 1:], moved[1:, :-1], atol=1e-12)


def test_an_empty_batch_gives_zero_gradients():
    """A worker or process may have no sample of a short batch."""
    layer = made(Convolution(9, 7, 2, 3))
    cache = cache_for(layer, 0, layer.inputs)
    cache.dW[...], cache.db[...] = 1, 1
    out = layer.forward(np.zeros((0, layer.inputs)), cache)
    assert out.shape == (0, layer.outputs)
    assert layer.backward(out, cache).shape == (0, layer.inputs)
    assert not cache.dW.any()
    assert not cache.db.any()


def test_a_reused_cache_gives_bit_identical_results():
    layer = made(Convolution(12, 12, 3, 5), dtype=np.float32)
    kept = cache_for(layer, 9, layer.inputs, np.float32)
    rng = np.random.default_rng(3)
    for count in (7, 4, 7, 9):
        X = rng.standard_normal((count, layer.inputs)).astype(np.float32)
        fresh = cache_for(layer, count, layer.inputs, np.float32)
        layer.prepare(kept, count, layer.inputs)
        results = [(layer.forward(X, cache), layer.backward(layer.forward(X, cache), cache)) for cache in (kept, fresh)]
        for used, new in zip(*results, strict=True):
            np.testing.assert_array_equal(used, new)
        np.testing.assert_array_equal(kept.dW, fresh.dW)
        np.testing.assert_array_equal(kept.db, fresh.db)


def test_maps_as_numbers_build_a_convolutional_network():
    network = Network([784, 256, 10], maps=[32, 64], batch_norm=True, rng=np.random.default_rng(0))
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [Convolution, BatchNorm, Activation] * 2 + [Dense, BatchNorm, Activation, Dense]
    assert network.architecture == "784-32@12×12-64@4×4-256-10"
    assert "Convolution(12, 12, 32, 64, size=5, stride=2)  1024      51,264" in network.summary()
    again = Network.from_config(network.config())
    assert again.config() == network.config()
    assert [layer.units for layer in network.dense] == [256, 10]
    assert len(network.parametric_layers) == 4


def test_maps_may_have_sizes_and_strides():
    maps = [(16, 3, 1), [32, 4], 64]
    network = Network([784, 128, 10], maps=maps, dropout=0.3, rng=np.random.default_rng(0))
    assert network.architecture == "784-16@26×26-32@12×12-64@4×4-128-10"
    assert [layer.size for layer in network.parametric_layers[:3]] == [3, 4, 5]
    drops = [isinstance(layer, Dropout) for layer in network.layers]
    assert drops == [False] * 6 + [True] + [False] * 2 + [True] + [False]


def test_initial_weights_are_scaled_by_the_size_of_the_window():
    network = Network([784, 10], maps=[400], rng=np.random.default_rng(0))
    assert network.layers[0].W.std() == pytest.approx(np.sqrt(2 / 25), rel=0.03)
    assert not network.layers[0].b.any()


built = partial(Network, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convolution(4, 28, 1, 8), "the window must fit the image of 4 × 28, got a size of 5"),
        (lambda: Convolution(28, 28, 0, 8), "channels must be a positive integer, got 0"),
        (lambda: Convolution(28, 28, 1, True), "maps must be a positive integer, got True"),
        (lambda: Convolution(28, 28, 1, 8, stride=0), "stride must be a positive integer, got 0"),
        (lambda: Convolution(28, 28, 1, 8, init="hee"), "init must be one of"),
        (lambda: Convolution(2000, 2101, 1, 1, size=1, stride=2000), "at most 4,194,304 inputs, and"),
        (lambda: Convolution(400, 400, 1, 1, size=100, stride=2), "got 160,000 and 228,010,000"),
        (lambda: built([784, 10], maps=b"45"), "maps must be a list, such as"),
        (lambda: built([783, 10], maps=[8]), "maps need a square image, got 783"),
        (
            lambda: built([784, 10], maps=[8] * 4),
            "each convolution must fit its input, got .* the window must fit the image of",
        ),
        (
            lambda: built([784, 10], maps=[8, -1]),
            "each convolution must fit its input, got .* maps must be a positive integer, got -1",
        ),
        (lambda: built([784, 10], maps=[(8, 5, 2, 1)]), "maps must have one to three numbers each"),
        (lambda: built([784, 10], maps=8), "maps must be a list, such as"),
        (lambda: built([Dense(4, 2)], maps=[8]), "maps must be used with sizes, not with"),
        (
            lambda: built([Convolution(28, 28, 1, 8), Dense(999, 10)]),
            r"Dense\(999, 10\) needs 999 inputs, got 1152 from the previous layer",
        ),
    ],
)
def test_invalid_convolutions_are_rejected(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.slow
def test_a_convolutional_network_learns_with_any_number_of_threads():
    """The last batch of each epoch has one image, so that one of two threads has none."""
    digits, answers = byhand.load("mnist-5k"), []
    for threads in (1, 2):
        model = byhand.Model([784, 32, 10], maps=[6, 8])
        byhand.fit(model, digits.train[:3969], recipe=Recipe(epochs=4, threads=threads))
        answers.append(model.probabilities(digits.test.images))
    np.testing.assert_allclose(*answers, rtol=0, atol=2e-3)
    assert np.mean(answers[0].argmax(1) == digits.test.labels) > 0.9


@pytest.mark.parametrize(("limit", "size"), [("MAX_INPUTS", 6 * 7 * 2), ("MAX_IM2COL_SIZE", 4 * 5 * 3 * 3 * 2)])
def test_a_convolution_may_be_as_large_as_the_limit(limit, size, monkeypatch):
    monkeypatch.setattr(convolution, limit, size)
    Convolution(6, 7, 2, 4, size=3, stride=1)
    monkeypatch.setattr(convolution, limit, size - 1)
    with pytest.raises(UsageError, match=f"at most .*{size - 1:,}"):
        Convolution(6, 7, 2, 4, size=3, stride=1)
