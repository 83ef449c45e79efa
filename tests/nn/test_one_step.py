"""One training step as in production: float32 throughout, no floating-point warnings, no allocation, no copies."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from byhand import nn
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.backprop import Pass
from byhand.nn.layers import Dense, Dropout
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.network import Network, max_norm
from byhand.nn.optimizers import OPTIMIZERS, clip_norm
from byhand.nn.rng import StepKey
from byhand.training.plan import PackedDense
from helpers.layer_cache import cache_for
from helpers.tiers import tiers

ROOM = str(Path(nn.__file__).parent)
D, K = 50, 10

#: name → loss, whether the target is one-hot, whether samples have weights
LOSSES = {
    "labels": (SoftmaxCrossEntropy(), False, False),
    "one-hot, smoothing, weights": (SoftmaxCrossEntropy(0.1), True, True),
    "labels, smoothing, weights": (SoftmaxCrossEntropy(0.1), False, True),
    "mse": (MeanSquaredError(), True, False),
    "mse, weights": (MeanSquaredError(), False, True),
}


class Training:
    """A network with everything that a step needs; calling it takes a step."""

    def __init__(
        self,
        activation="relu",
        loss="labels",
        optimizer="adam",
        *,
        N=30,
        hidden=40,
        dtype=np.float32,
        number=float,
        packs=True,
        settings=None,
        **layers,
    ):
        rng = np.random.default_rng(0)
        self.network = Network([D, hidden, hidden, K], rng=rng, activation=activation, dtype=dtype, **layers)
        self.loss, one_hot, weighted = LOSSES[loss]
        if isinstance(self.loss, SoftmaxCrossEntropy):
            self.loss = SoftmaxCrossEntropy(number(self.loss.smoothing))
        self.X = rng.standard_normal((N, D)).astype(dtype)
        y = rng.integers(0, K, N)
        self.target = np.eye(K, dtype=dtype)[y] if one_hot else y
        self.weights = (rng.random(N) + 0.1).astype(dtype) if weighted else None
        self.total = number(N if self.weights is None else self.weights.sum(dtype=np.float64))
        settings = {name: number(value) for name, value in (settings or {"weight_decay": 0.01}).items()}
        self.rule = OPTIMIZERS[optimizer](**settings)
        self.state = self.rule.start(self.network.parameters)
        self.pass_ = Pass(self.network, layers=[packed(layer) for layer in self.network.layers] if packs else None)
        vectors = self.network.parameters, self.pass_.gradient, self.state
        self.parts = self.rule.parts(*vectors, self.network.weight_slice)
        self.number = number
        self.step = 0

    def __call__(self):
        network, pass_ = self.network, self.pass_
        out = pass_.forward(self.X, StepKey(1, self.step))
        value, dout = self.loss.value_and_gradient(
            out, self.target, pass_.loss_cache, weights=self.weights, total=self.total
        )
        pass_.backward(dout)
        pass_.update_statistics(len(self.X))
        clip_norm(pass_.gradient, self.number(0.5))
        self.rule.step(self.parts, self.state, self.number(0.01))
        max_norm(network, self.number(1.5))
        self.step += 1
        return value, out


def packed(layer):
    """Return a dense layer with its columns padded to a multiple of 16, as for large batches."""
    return PackedDense(layer, -(-layer.units // 16) * 16) if isinstance(layer, Dense) else layer


def arrays_seen(action):
    """Return every array in a variable of this package during `action`, also inside tuples, lists and dicts."""
    seen = {}

    def note(name, value):
        if isinstance(value, np.ndarray):
            seen.setdefault((name, value.dtype), value.shape)
        elif isinstance(value, list | tuple):
            for item in value:
                note(name, item)
        elif isinstance(value, dict):
            for item in value.values():
                note(name, item)

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        for name, value in frame.f_locals.items():
            note(f"{frame.f_code.co_qualname}: {name}", value)
        if event == "return":
            note(f"{frame.f_code.co_qualname} →", argument)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return seen


def floats(seen, wrong):
    return sorted(f"{name} {shape}" for (name, dtype), shape in seen.items() if dtype == wrong)


@pytest.mark.parametrize("number", [float, np.float64, np.float32], ids=["float", "np.float64", "np.float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_float32_step_has_no_float64_array_with_any_optimizer(optimizer, number):
    train = Training(optimizer=optimizer, number=number, dropout=0.2, batch_norm=True)
    seen = arrays_seen(train)
    assert floats(seen, np.float64) == []
    assert len(floats(seen, np.float32)) > 60
    assert all(vector.dtype in (np.float32, np.int64) for vector in train.state.values())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_float32_step_has_no_float64_array_with_any_activation_or_loss(activation, loss):
    seen = arrays_seen(Training(activation, loss, number=np.float64, dropout=0.2, batch_norm=True))
    assert floats(seen, np.float64) == []


def test_a_float64_step_has_no_float32_array():
    assert floats(arrays_seen(Training(dtype=np.float64, dropout=0.2, batch_norm=True)), np.float32) == []


def test_a_planted_float64_array_is_found(monkeypatch):
    monkeypatch.setattr(Dropout, "backward", lambda self, dout, cache: dout * np.float64(1))
    assert floats(arrays_seen(Training(dropout=0.2)), np.float64)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_settings_may_be_numpy_floats_with_bit_identical_results(optimizer):
    settings = {"weight_decay": 0.013}
    if optimizer != "sgd":
        settings |= {"momentum": 0.87} if optimizer == "momentum" else {"epsilon": 1.3e-7}
    results = []
    for number in (float, np.float64):
        train = Training(loss="one-hot, smoothing, weights", optimizer=optimizer, number=number, settings=settings)
        for _ in range(5):
            train()
        results.append(train.network.parameters)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_step_raises_no_floating_point_warning(activation, loss, dtype):
    train = Training(activation, loss, dtype=dtype, batch_norm=True, dropout=0.2)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        for _ in range(3):
            value, *_ = train()
    assert np.isfinite(value)
    assert np.isfinite(train.network.parameters).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_step_with_logits_of_ten_thousand_raises_no_floating_point_warning(activation, loss, dtype):
    train = Training(activation, loss, dtype=dtype)
    last = train.network.dense[-1]
    last.b[...] = np.where(np.arange(K) % 2, 1e4, -1e4)
    for layer in train.network.dense[:-1]:
        layer.W *= 1e3
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        value, out, *_ = train()
    assert np.isfinite(value)
    assert np.abs(out).max() >= 9e3
    assert np.isfinite(train.network.parameters).all()


def test_max_norm_and_clipping_accept_weights_and_gradients_of_zero():
    network = Network([3, 2], rng=np.random.default_rng(0))
    network.parameters[...] = 0
    with np.errstate(all="raise"):
        max_norm(network, 2.0)
        assert clip_norm(np.zeros(4, np.float32), 1.0) == 0
    np.testing.assert_array_equal(network.parameters, 0)


KINDS = [("relu", loss, "adamw") for loss in LOSSES]
KINDS += [(activation, "labels", "momentum") for activation in ACTIVATIONS]


@pytest.mark.parametrize(("activation", "loss", "optimizer"), tiers(len(LOSSES), KINDS))
def test_no_large_array_is_allocated_after_the_second_step(activation, loss, optimizer):
    # N·K, N·n and the weights are each well over 64 KiB, so that any allocation of that size is detected.
    train = Training(activation, loss, optimizer, N=3000, hidden=200, batch_norm=True, dropout=0.2)
    for _ in range(2):
        train()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(2):
            train()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # NumPy converts booleans in two buffers of 32 KiB, and a few vectors have one number per sample (3,000).
    # The smallest large array, N·K, would add 120 kB.
    assert peak < 125_000


def test_a_planted_allocation_is_found(monkeypatch):
    right = Dense.backward
    monkeypatch.setattr(Dense, "backward", lambda self, dout, cache: right(self, dout.copy(), cache))
    monkeypatch.setattr(sys.modules[__name__], "packed", lambda layer: layer)
    with pytest.raises(AssertionError):
        test_no_large_array_is_allocated_after_the_second_step("relu", "labels", "momentum")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_packed_layers_give_equal_results_except_for_rounding(activation, loss):
    results = []
    for packs in (False, True):
        train = Training(activation, loss, "momentum", dtype=np.float64, packs=packs, batch_norm=True, dropout=0.1)
        values = [train()[0] for _ in range(4)]
        results.append((values, train.network.parameters.copy(), train.network.statistics.copy()))
    for plain, padded in zip(*results, strict=True):
        np.testing.assert_allclose(padded, plain, rtol=1e-10, atol=1e-12)


def test_arrays_are_passed_between_layers_without_copies():
    rng = np.random.default_rng(0)
    network = Network([Dropout(0.5), Dense(D, 8), Dropout(0.0), Dense(8, K)], rng=rng)
    X = rng.standard_normal((5, D)).astype(np.float32)
    pass_ = Pass(network)
    pass_.forward(X)
    assert pass_.ins[1] is X, "dropout in inference returns the very array"
    assert pass_.caches[1].X is X, "dense keeps the very array"
    rate_zero = network.layers[2]
    cache = cache_for(rate_zero, 5, 8, np.float32, key=StepKey(0, 0))
    kept = np.zeros((5, 8), np.float32)
    assert rate_zero.forward(kept, cache) is kept
    assert rate_zero.backward(kept, cache) is kept


def test_a_pass_reuses_its_memory_for_smaller_batches():
    network = Network([D, 8, K], rng=np.random.default_rng(0))
    pass_ = Pass(network)
    memory = pass_.forward(np.zeros((5, D), np.float32))
    for N in (5, 3, 5):
        assert np.shares_memory(pass_.forward(np.zeros((N, D), np.float32)), memory)
    assert not np.shares_memory(pass_.forward(np.zeros((50, D), np.float32)), memory)


@pytest.mark.parametrize("size", [1e19, 1e30, 1e-24, 1e-30])
def test_the_norm_of_a_gradient_does_not_overflow_or_underflow(size):
    gradient = np.full(100, size, np.float32)
    for limit in (None, 20 * size):  # a gradient under the limit is unchanged
        assert clip_norm(gradient, limit) == pytest.approx(10 * size, rel=1e-5)
    assert clip_norm(gradient, 5 * size) == pytest.approx(10 * size, rel=1e-5)
    np.testing.assert_allclose(gradient, np.float32(size / 2), rtol=1e-5)


def test_clipping_a_gradient_of_zeros_nan_or_infinity():
    assert clip_norm(np.zeros(3, np.float32), 1.0) == 0
    assert np.isnan(clip_norm(np.array([1, np.nan], np.float32), 1.0))
    assert clip_norm(np.array([1, np.inf], np.float32), 1.0) == np.inf
