"""Optimizers, clipping, initial weights and single layers: each by its formula, in plain NumPy."""

import dataclasses

import numpy as np
import pytest

from byhand.nn import optimizers
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.arrays import Cache
from byhand.nn.backprop import Pass
from byhand.nn.gradcheck import GradCheck, TensorCheck, _best_slope, _relative_error, _slope
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.losses import SoftmaxCrossEntropy, check_target, count_correct
from byhand.nn.network import Network, check_chain, convolutions, float_type, layers_of, max_norm
from byhand.nn.optimizers import Adam, AdamW, GradientDescent, Momentum, RMSprop, chunks, clip_norm
from byhand.nn.rng import INITIALIZERS, StepKey
from byhand.nn.schedules import OneCycle, Step


def by_formula(optimizer, p, gradients, rates, decays):
    """Return the parameters after some steps; `decays` is 1 where weight decay applies, elsewhere 0."""
    v = m = np.zeros_like(p)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        decay = optimizer.weight_decay * decays
        g = gradient if isinstance(optimizer, AdamW) else gradient + decay * p
        p = p - rate * decay * p if isinstance(optimizer, AdamW) else p
        match optimizer:
            case Adam():
                m = optimizer.beta1 * m + (1 - optimizer.beta1) * g
                v = optimizer.beta2 * v + (1 - optimizer.beta2) * g**2
                root = np.sqrt(v / (1 - optimizer.beta2**t)) + optimizer.epsilon
                p = p - rate * m / (1 - optimizer.beta1**t) / root
            case RMSprop():
                v = optimizer.alpha * v + (1 - optimizer.alpha) * g**2
                p = p - rate * g / (np.sqrt(v) + optimizer.epsilon)
            case Momentum():
                v = optimizer.momentum * v + g
                p = p - rate * (g + optimizer.momentum * v if optimizer.nesterov else v)
            case GradientDescent():
                p = p - rate * g
    return p


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(
    "optimizer",
    [
        GradientDescent(),
        Momentum(),
        Momentum(momentum=0.5, nesterov=True),
        RMSprop(alpha=0.7, epsilon=0.01),
        RMSprop(),
        Adam(),
        Adam(beta1=0.5, beta2=0.8, epsilon=0.1),
        AdamW(beta1=0.5, beta2=0.8),
    ],
    ids=repr,
)
def test_each_optimizer_follows_its_formula(optimizer, weight_decay, monkeypatch):
    monkeypatch.setattr(optimizers, "CHUNK", 4)
    optimizer = dataclasses.replace(optimizer, weight_decay=weight_decay)
    rng = np.random.default_rng(0)
    p, gradients, rates = rng.normal(size=11), rng.normal(size=(4, 11)), (0.1, 0.2, 0.05, 0.1)
    right = by_formula(optimizer, p, gradients, rates, np.arange(11) < 6)
    state = optimizer.start(p)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.update(p, gradient, state, rate, weight_slice=slice(0, 6))
    np.testing.assert_allclose(p, right, rtol=1e-12)
    assert state["steps"].tolist() == [4]
    assert sorted(state) == sorted(["steps", *optimizer.state_names])


def test_the_optimizers_have_the_usual_defaults():
    assert [rule().config() for rule in (GradientDescent, Momentum, RMSprop, Adam, AdamW)] == [
        {"kind": "sgd", "weight_decay": 0.0},
        {"kind": "momentum", "weight_decay": 0.0, "momentum": 0.9, "nesterov": False},
        {"kind": "rmsprop", "weight_decay": 0.0, "alpha": 0.99, "epsilon": 1e-8},
        {"kind": "adam", "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        {"kind": "adamw", "weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    ]
    assert vars(OneCycle()) == {"start": 0.1, "warmup": 0.3, "end": 0.0}
    assert vars(Step()) == {"factor": 0.1, "parts": 3}


@pytest.mark.parametrize(
    ("size", "boundary", "expected"),
    [
        (5, 0, [(0, 4), (4, 5)]),
        (8, 4, [(0, 4), (4, 8)]),
        (9, 5, [(0, 4), (4, 5), (5, 9)]),
        (0, 0, []),
        (3, 3, [(0, 3)]),
    ],
)
def test_chunks_do_not_cross_the_boundary(size, boundary, expected, monkeypatch):
    monkeypatch.setattr(optimizers, "CHUNK", 4)
    assert [(chunk.start, chunk.stop) for chunk in chunks(size, boundary)] == expected


@pytest.mark.parametrize(
    ("gradient", "limit", "norm", "clipped"),
    [
        ([3, 4], None, 5, [3, 4]),
        ([3, 4], 5, 5, [3, 4]),
        ([3, 4], 2.5, 5, [1.5, 2]),
        ([3e30, 4e30], 1, 5e30, [0.6, 0.8]),
        ([3e-30, 4e-30], 1, 5e-30, [3e-30, 4e-30]),
        ([3e-30, 4e-30], 2.5e-30, 5e-30, [1.5e-30, 2e-30]),
        ([0, 0], 1, 0, [0, 0]),
        ([np.inf, 1], 1, np.inf, [np.inf, 1]),
    ],
)
def test_a_gradient_is_clipped_to_the_norm(gradient, limit, norm, clipped):
    array = np.array(gradient, np.float32)
    assert clip_norm(array, limit) == pytest.approx(norm, rel=1e-6)
    np.testing.assert_allclose(array, np.array(clipped, np.float32), rtol=1e-6)


def test_initial_weights_follow_their_rules():
    n, m = 3, 5

    def normal(shape):
        return np.random.default_rng(1).standard_normal(shape)

    limit = np.sqrt(6 / (n + m))
    right = {
        "he": normal((n, m)) * np.sqrt(2 / n),
        "lecun": normal((n, m)) / np.sqrt(n),
        "glorot": np.random.default_rng(1).uniform(-limit, limit, (n, m)),
        "l_layer": normal((m, n)).T / 10,
        "two_layer": np.random.default_rng(1).uniform(size=(m, n)).T - 0.5,
    }
    assert list(right) == [name for name in ("he", "lecun", "glorot", "l_layer", "two_layer") if name in INITIALIZERS]
    for name, W in right.items():
        made, b = INITIALIZERS[name](n, m, np.random.default_rng(1))
        np.testing.assert_allclose(made, W, rtol=1e-12)
        assert b.shape == (m,)
        assert b.any() == (name == "two_layer")
        assert (np.abs(b) <= 0.5).all()


def test_the_scale_multiplies_the_initial_weights_and_biases():
    full, half = (Dense(3, 4, init="two_layer", scale=scale) for scale in (1.0, 0.5))
    for layer in (full, half):
        Network([layer], rng=np.random.default_rng(2), dtype=np.float64)
    np.testing.assert_allclose(half.W, full.W / 2)
    np.testing.assert_allclose(half.b, full.b / 2)


# ---- the gradient check


@pytest.mark.parametrize(
    ("analytic", "numeric", "error"),
    [(1.0, 1.0, 0), (2.0, 1.0, 0.5), (-1.0, 1.0, 2), (0.0, 5e-7, 0.5), (1e-6, 0.0, 1), (np.nan, 1.0, np.inf)],
)
def test_the_relative_error_has_a_floor(analytic, numeric, error):
    assert _relative_error(analytic, numeric) == pytest.approx(error)


def test_the_slope_is_exact_for_a_polynomial_of_degree_four():
    values, direction = np.array([1.0, 2.0]), np.array([0.6, 0.8])
    at = [values.copy()]

    def evaluate(switch=lambda: np.array([True])):
        at.append(values.copy())
        return float((values**4).sum() - 3 * values[0] ** 3), [switch()]

    right = float((4 * values**3 - [9 * values[0] ** 2, 0]) @ direction)
    assert _slope(evaluate, values, direction, 0.1) == pytest.approx(right, rel=1e-11)
    assert values.tolist() == [1.0, 2.0]
    far = [float((one - values) @ direction) for one in at[1:]]
    assert far == pytest.approx([0.1, -0.1, 0.2, -0.2])
    assert _slope(lambda: evaluate(lambda: values[:1] > 1), values, direction, 0.1) is None
    assert _slope(lambda: evaluate(lambda: values[:1] > 1.1), values, direction, 0.1) is None


@pytest.mark.parametrize(
    ("slopes", "found", "tried"),
    [
        ({1: 1.0}, 1.0, [1]),
        ({1: 1.1, 4: 1.0}, 1.0, [1, 4]),
        ({1: 1.1, 4: 1.2, 0.25: 1.05}, 1.05, [1, 4, 0.25]),
        ({1: 1.1, 4: 1.2, 0.25: 1.3}, 1.1, [1, 4, 0.25]),
        ({1: 1.1, 4: None, 0.25: 1.05}, 1.05, [1, 4, 0.25]),
        ({1: None}, None, [1]),
    ],
)
def test_a_slope_that_differs_is_measured_with_other_steps(slopes, found, tried):
    steps = []

    def slope(_direction, step):
        steps.append(step)
        return slopes[step]

    assert _best_slope(slope, np.ones(1), 1.0, 1e-6, 1.0) == found
    assert steps == tried


def test_a_gradient_check_passes_below_its_tolerance():
    good = TensorCheck("0.W", 1e-8, (1, 2), 0.5, 0.25, 4, 0)
    assert str(good) == (
        "0.W: worst relative error 1.0e-08 at 0.W[1, 2] (backward 5.000000e-01, slope 2.500000e-01; 4 checked)"
    )
    skipped = dataclasses.replace(good, place=(), kinks=2)
    assert str(skipped).endswith("at 0.W (backward 5.000000e-01, slope 2.500000e-01; 4 checked, 2 skipped at a kink)")
    none = dataclasses.replace(good, checked=0, kinks=3, error=0.0)
    assert str(none) == "0.W: not checked, 3 skipped at a kink"
    assert GradCheck((good, skipped), 1e-7)
    assert not GradCheck((good,), 1e-8)
    assert not GradCheck((good, none), 1e-7)
    worse = dataclasses.replace(good, name="0.b", error=2e-8)
    assert GradCheck((good, worse, none), 1e-7).worst is worse
    assert str(GradCheck((worse,), 1e-7)).endswith("\ngradient check passed (tolerance 1e-07)")
    assert str(GradCheck((worse,), 1e-8)).endswith("\ngradient check FAILED (tolerance 1e-08)")
    plain = GradCheck((worse,), 1e-8).to_json()
    assert (plain["ok"], plain["tolerance"], len(plain["tensors"])) == (False, 1e-8, 1)
    values = {"backward": 0.5, "slope": 0.25, "checked": 4, "kinks_skipped": 0}
    assert plain["tensors"][0] == {"name": "0.b", "error": 2e-8, "place": (1, 2), **values}


# ---- small parts


def test_the_table_of_activations_tells_what_each_backward_needs():
    found = {one.name: (one.backward_needs, one.has_kink, one.needs_scratch) for one in ACTIVATIONS.values()}
    smooth = dict.fromkeys(("sigmoid", "tanh", "identity"), ("H", False, False))
    kinks = dict.fromkeys(("relu", "leaky_relu"), ("H", True, False))
    assert found == smooth | kinks | {"gelu": ("Z", False, True)}


def test_the_bound_of_logits_is_a_millionth_of_the_largest_float():
    for dtype in (np.float32, np.float64):
        largest = np.finfo(dtype).max
        Z = np.array([[0, -largest], [1, 2]], dtype)
        assert SoftmaxCrossEntropy().bounded(Z).tolist() == [[0, -float(largest) * 2.0**-20], [1, 2]]


@pytest.mark.parametrize(
    ("target", "weights", "message"),
    [
        (np.zeros(3, int), None, r"target must have the shape \(2,\) or \(2, 3\), got \(3,\)"),
        (np.zeros((2, 2)), None, r"got \(2, 2\)"),
        (np.zeros(2, int), np.zeros(3), r"weights must have the shape \(2,\), got \(3,\)"),
        (np.zeros(2), None, "must have integer labels, got float64"),
        (np.array([0, 3]), None, "labels must be from 0 to 2, got 0 to 3"),
        (np.array([-1, 2]), None, "labels must be from 0 to 2, got -1 to 2"),
        (np.array([0, 2]), np.ones(2), None),
        (np.ones((2, 3)), None, None),
    ],
)
def test_targets_must_fit_the_outputs(target, weights, message):
    if message is None:
        check_target((2, 3), target, weights)
        assert count_correct(np.eye(3)[[0, 2]], target) in (1, 2)
    else:
        with pytest.raises(ValueError, match=message):
            check_target((2, 3), target, weights)


def test_a_cache_keeps_memory_of_the_same_type():
    cache = Cache(np.float32)
    first = cache.new("a", 2, 3)
    assert np.shares_memory(first, cache.new("a", 3, 2))
    assert np.shares_memory(first, cache.new("a", 5))
    assert cache.a.shape == (5,)
    assert not np.shares_memory(first, cache.new("a", 7))
    other = cache.new("a", 2, dtype=np.int64)
    assert (other.dtype, cache.new("a", 2).dtype) == (np.int64, np.float32)


def test_a_pass_records_inputs_and_gradients_of_each_layer():
    rng = np.random.default_rng(0)
    network = Network([Activation("tanh"), Dense(3, 4), Activation("relu"), Dense(4, 2)], rng=rng, dtype=np.float64)
    X = rng.normal(size=(5, 3))
    pass_ = Pass(network)
    Z = pass_.forward(X)
    dZ = rng.normal(size=(5, 2))
    pass_.backward(dZ)
    W1, W2 = (layer.W for layer in network.dense)
    H1 = np.maximum(np.tanh(X) @ W1, 0)
    np.testing.assert_allclose(Z, H1 @ W2)
    for found, right in zip(pass_.ins, [X, np.tanh(X), np.tanh(X) @ W1, H1], strict=True):
        np.testing.assert_allclose(found, right)
    dH1 = dZ @ W2.T
    assert [one is None for one in pass_.douts] == [True, False, False, False]
    assert [one is None for one in pass_.dins] == [True, True, False, False]
    np.testing.assert_allclose(pass_.dins[3], dH1)
    np.testing.assert_allclose(pass_.dins[2], dH1 * (H1 > 0))
    gradients = dict(network.named(pass_.gradient))
    np.testing.assert_allclose(gradients["1.W"], np.tanh(X).T @ (dH1 * (H1 > 0)))
    np.testing.assert_allclose(gradients["3.b"], dZ.sum(axis=0))
    assert (network.architecture, network.weight_slice, network.size) == ("3-4-2", slice(0, 20), 26)
    for bad, message in ((X[:, :2], r"shape \(N, 3\), got \(5, 2\)"), (X[0], r"got \(3,\)"), (X > 0, "got bool")):
        with pytest.raises(ValueError, match=message):
            pass_.forward(bad)


def test_dropout_divides_by_the_kept_share_forward_and_backward():
    network = Network([Dense(3, 400), Dropout(0.2), Dense(400, 2)], rng=np.random.default_rng(0), dtype=np.float64)
    dropout, pass_ = network.layers[1], Pass(network)
    pass_.forward(np.ones((5, 3)), StepKey(0, 0))
    cache, dout = pass_.caches[1], np.random.default_rng(1).normal(size=(5, 400))
    mask = cache.mask.copy()
    assert 0.75 < mask.mean() < 0.85
    np.testing.assert_allclose(pass_.outs[1], pass_.outs[0] * mask / 0.8)
    np.testing.assert_allclose(dropout.backward(dout, cache), dout * mask / 0.8)
    pass_.forward(np.ones((5, 3)))
    assert pass_.outs[1] is pass_.outs[0]
    assert dropout.backward(dout, cache) is dout


def test_batch_norm_follows_its_formulas():
    rng = np.random.default_rng(0)
    norm = BatchNorm(4)
    network = Network([Dense(3, 4), norm, Dense(4, 2)], rng=rng, dtype=np.float64)
    start = (norm.gamma, norm.beta, norm.mean, norm.variance)
    assert [values.tolist() for values in start] == [[1] * 4, [0] * 4, [0] * 4, [1] * 4]
    norm.gamma[...], norm.beta[...] = rng.normal(size=(2, 4))
    pass_ = Pass(network)
    pass_.forward(rng.normal(size=(7, 3)), StepKey(0, 0))
    X, dout = pass_.outs[0].copy(), rng.normal(size=(7, 4))
    mean, variance = X.mean(axis=0), X.var(axis=0)
    scale = 1 / np.sqrt(variance + 1e-5)
    X_hat = (X - mean) * scale
    np.testing.assert_allclose(pass_.outs[1], norm.gamma * X_hat + norm.beta)
    dX = norm.backward(dout, pass_.caches[1])
    np.testing.assert_allclose(pass_.caches[1].dgamma, (dout * X_hat).sum(axis=0))
    np.testing.assert_allclose(pass_.caches[1].dbeta, dout.sum(axis=0))
    inner = dout - dout.mean(axis=0) - X_hat * (dout * X_hat).mean(axis=0)
    np.testing.assert_allclose(dX, norm.gamma * scale * inner)
    pass_.update_statistics(7)
    np.testing.assert_allclose(norm.mean, 0.1 * mean)
    np.testing.assert_allclose(norm.variance, 0.9 + 0.1 * variance * 7 / 6)
    pass_.update_statistics(1)
    np.testing.assert_allclose(norm.mean, 0.19 * mean)
    np.testing.assert_allclose(norm.variance, 0.81 + 0.09 * variance * 7 / 6 + 0.1 * variance)
    pass_.forward(X[:, :3])
    np.testing.assert_allclose(
        pass_.outs[1], norm.gamma * (pass_.outs[0] - norm.mean) / np.sqrt(norm.variance + 1e-5) + norm.beta
    )
    np.testing.assert_allclose(norm.backward(dout, pass_.caches[1]), norm.gamma / np.sqrt(norm.variance + 1e-5) * dout)
    assert (BatchNorm(3).epsilon, BatchNorm(3).momentum, Dropout().rate) == (1e-5, 0.1, 0.5)


def test_the_weights_of_a_unit_are_shortened_to_the_maximum_norm():
    network = Network([2, 3], rng=np.random.default_rng(0), dtype=np.float64)
    network.dense[0].W[...] = [[3, 0.3, 1], [4, 0.4, 0]]
    max_norm(network, 2)
    np.testing.assert_allclose(network.dense[0].W, [[1.2, 0.3, 1], [1.6, 0.4, 0]])
    with pytest.raises(NotImplementedError):
        optimizers.Optimizer().rule(np.ones(1), np.ones(1), {}, 0.1, 1, np.ones(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers_of([2, 2], odd=1), "unknown setting 'odd' of a network: the settings are maps, activation"),
        (lambda: layers_of([2, 2], drop_out=1), r"unknown setting 'drop_out' of a network \(did you mean dropout\?\)"),
        (lambda: float_type("odd"), "dtype must be float32 or float64, got 'odd'"),
        (lambda: float_type("int8"), "dtype must be float32 or float64, got int8"),
        (lambda: layers_of("ab"), "must be a list such as .*, got 'ab'; byhand.load_model reads files"),
        (lambda: layers_of(3), r"must be a list such as \[784, 128, 10\], got 3$"),
        (lambda: layers_of([2]), r"two or more positive integers, got \[2\]"),
        (lambda: layers_of([2, 0]), r"two or more positive integers, got \[2, 0\]"),
        (lambda: layers_of([]), r"two or more positive integers, got \[\]"),
        (lambda: layers_of([Dense(2, 2)], dropout=0.5), "dropout must be used with sizes, not with layers"),
        (lambda: check_chain([Activation("relu")]), "must have at least one Dense layer"),
        (lambda: check_chain([Dense(2, 2)] * 2), "each layer must be its own object, got the same one twice"),
        (lambda: check_chain([Network([2, 2], rng=np.random.default_rng(0)).layers[0]]), "to one network only, got"),
        (lambda: list(convolutions(7, (2,), "he", None)), "maps need a square image, got 7 pixels"),
        (lambda: list(convolutions(9, ((1, 2, 3, 4),), "he", None)), "maps must have one to three numbers each"),
        (lambda: list(convolutions(9, ((),), "he", None)), "maps must have one to three numbers each"),
        (lambda: list(convolutions(9, "ab", "he", None)), "maps must be a list"),
        (lambda: list(convolutions(9, ((1, 4),), "he", None)), "each convolution must fit its input, got"),
    ],
)
def test_layers_that_do_not_fit_are_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_follow_from_sizes_and_maps():
    def kinds(*given, **options):
        return " ".join(map(repr, layers_of(list(given), **options)))

    assert kinds(4, 3, 2) == "Dense(4, 3) Activation('relu') Dense(3, 2)"
    assert kinds(4, 2) == "Dense(4, 2)"
    assert kinds(4, 3, 2, dropout=0.5, batch_norm=True, activation="tanh") == (
        "Dense(4, 3) BatchNorm(3) Activation('tanh') Dropout(0.5) Dense(3, 2)"
    )
    assert kinds(144, 2, maps=[3, (4, 2, 1)], dropout=0.5) == (
        "Convolution(12, 12, 1, 3, size=5, stride=2) Activation('relu') Convolution(4, 4, 3, 4, size=2, stride=1) "
        "Activation('relu') Dropout(0.5) Dense(36, 2)"
    )
    assert kinds(60, 2, maps=[(1, 2, 2)], shape=(4, 5, 3)).startswith("Convolution(4, 5, 3, 1, size=2, stride=2)")
    assert [each.scale for each in layers_of([4, 3, 2], output_scale=0.1) if isinstance(each, Dense)] == [1.0, 0.1]
    summary = Network([4, 3, 2], rng=np.random.default_rng(0)).summary().splitlines()
    assert [line.split()[-2:] for line in summary] == [
        ["out", "parameters"], ["3", "15"], ["3", "0"], ["2", "8"], ["total", "23"]
    ]  # fmt: skip
