"""The gradient check: every layer × activation × loss passes it, and every planted mistake fails it."""

import dataclasses
import inspect
import re
import textwrap
from itertools import product

import numpy as np
import pytest

import byhand
from byhand.nn import activations, layers, losses
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.convolution import Convolution
from byhand.nn.gradcheck import TensorCheck, gradcheck
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.network import LAYERS, Network
from byhand.nn.rng import StepKey

N, D, K = 6, 5, 4
AT = StepKey(seed=4, step=2, row=3)


def stacks(activation):
    """Return each layer in a place where its parameters or its dX matter."""
    return {
        "dense": [Dense(D, 6), Activation(activation), Dense(6, K)],
        "deep": [Dense(D, 6), Activation(activation), Dense(6, 5), Activation(activation), Dense(5, K)],
        "dropout": [Dropout(0.2), Dense(D, 6), Activation(activation), Dropout(0.4), Dense(6, K)],
        "batch norm": [Dense(D, 6), BatchNorm(6), Activation(activation), Dense(6, K)],
        "batch norm first": [BatchNorm(D), Dense(D, 6), Activation(activation), BatchNorm(6), Dense(6, K)],
        "convolution": [
            Convolution(6, 5, 2, 3, size=3, stride=1),
            Activation(activation),
            Convolution(4, 3, 3, 2, size=2, stride=1),  # overlapping windows
            Dense(3 * 2 * 2, K),
        ],
        "at the end": [Dense(D, 6), Dropout(0.3), BatchNorm(6), Dense(6, K), Activation(activation)],
    }


STACKS = list(stacks("relu"))


def targets():
    rng = np.random.default_rng(1)
    y, weights = rng.integers(0, K, N), rng.random(N) + 0.2
    ce, mse = SoftmaxCrossEntropy(), MeanSquaredError()
    return {
        "labels": (ce, y, None),
        "one-hot": (ce, np.eye(K)[y], None),
        "probabilities, weights": (ce, rng.dirichlet(np.ones(K), N), weights),
        "smoothing": (SoftmaxCrossEntropy(0.2), y, None),
        "one-hot, smoothing, weights": (SoftmaxCrossEntropy(0.2), np.eye(K)[y], weights),
        "weights": (ce, y, weights),
        "mse, labels": (mse, y, None),
        "mse, numbers": (mse, rng.standard_normal((N, K)), None),
        "mse, weights": (mse, y, weights),
    }


def make(stack, activation="tanh", seed=0):
    rng = np.random.default_rng(seed)
    network = Network(stacks(activation)[stack], rng=rng, dtype=np.float64)
    network.parameters += 0.3 * rng.standard_normal(network.size)
    network.statistics += 0.5 * rng.random(network.statistics.size)
    return network, rng.standard_normal((N, network.in_size))


def combinations():
    """Yield stacks × activations × losses; the first tier has each stack with each activation."""
    for (i, stack), (j, activation), (k, loss) in product(*map(enumerate, (STACKS, ACTIVATIONS, targets()))):
        quick = k == (i + j) % len(targets())
        yield pytest.param(stack, activation, loss, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("stack", "activation", "loss"), [*combinations()])
def test_every_layer_activation_and_loss_passes(stack, activation, loss):
    network, X = make(stack, activation)
    function, target, weights = targets()[loss]
    # Without a key, dropout and batch norm are in inference mode; the other layers compute the same.
    for at in (AT, None) if re.search("Dropout|BatchNorm", repr(network.layers)) else (AT,):
        check = gradcheck(network, X, target, loss=function, weights=weights, key=at)
        assert check, str(check)
        assert check.worst.error < 1e-6
        for (name, values), tensor in zip(network.named(), check.tensors, strict=True):
            assert tensor.name == name
            assert tensor.checked + tensor.kinks == values.size
            assert tensor.checked > values.size / 2


def test_the_network_is_not_changed_and_may_be_float32():
    network = Network([D, 3, K], rng=np.random.default_rng(0))
    before = network.parameters.copy()
    X = np.random.default_rng(1).standard_normal((N, D)).astype(np.float32)
    assert byhand.gradcheck(network, X, np.zeros(N, int))
    np.testing.assert_array_equal(network.parameters, before)
    assert network.dtype == np.float32


def test_large_tensors_are_checked_along_random_directions():
    network = Network([30, 20, K], rng=np.random.default_rng(0), activation="tanh")
    X = np.random.default_rng(1).standard_normal((N, 30))
    check = gradcheck(network, X, np.zeros(N, int), elements=50)
    assert check
    assert [tensor.checked for tensor in check.tensors] == [50, 50, 20, K]  # 600 and 80 elements are over the limit
    for tensor in check.tensors[:2]:
        assert tensor.place == ()
        assert re.search(r"worst relative error \S+ at \d\.W \(", str(tensor))
    other = gradcheck(network, X, np.zeros(N, int), elements=50, rng=np.random.default_rng(9))
    assert other.tensors[0] != check.tensors[0]


def test_an_element_at_a_kink_is_counted_and_skipped():
    network = Network([Dense(1, 2), Activation("relu"), Dense(2, 2)], rng=np.random.default_rng(0))
    first = network.dense[0]
    first.W[...], first.b[...] = [[1, 1]], [0, 0.5]  # for x = 0 the first unit's sum is 0, at the kink
    check = gradcheck(network, np.zeros((1, 1)), np.array([0]))
    by_name = {tensor.name: tensor for tensor in check.tensors}
    assert (by_name["0.b"].checked, by_name["0.b"].kinks) == (1, 1)
    assert (by_name["0.W"].checked, by_name["0.W"].kinks) == (2, 0)
    assert "1 checked, 1 skipped at a kink" in str(check)
    assert check


def test_a_failed_check_is_repeated_with_a_longer_and_a_shorter_step():
    sums = []

    def loss(Z, target, *, weights=None):
        sums.append(float(Z[0, 0]))
        return float(Z[0, 0] ** 2), np.full_like(Z, 100.0)  # a wrong derivative

    network = Network([Dense(1, 1)], rng=np.random.default_rng(0))
    assert not gradcheck(network, np.ones((1, 1)), np.zeros((1, 1)), loss=loss, step=0.5)
    steps = {round(abs(number - sums[0]), 9) for number in sums}
    assert steps == {0, 0.5, 1, 2, 4, 0.125, 0.25}  # each with h and 2h


def test_without_any_error_all_numbers_of_a_tensor_are_0():
    network = Network([Dense(2, 3)], rng=np.random.default_rng(0))
    check = gradcheck(network, np.ones((1, 2)), np.zeros(1, int), loss=lambda Z, *_, **__: (0.0, np.zeros_like(Z)))
    assert check.tensors[0] == TensorCheck("0.W", 0.0, (), 0.0, 0.0, checked=6, kinks=0)


def test_a_tensor_that_could_not_be_checked_fails():
    network = Network([Dense(1, 2), Activation("relu"), Dense(2, 2)], rng=np.random.default_rng(0))
    first = network.dense[0]
    first.W[...], first.b[...] = [[1, 1]], [0, 0]  # both biases are at the kink, so db cannot be checked
    check = gradcheck(network, np.zeros((1, 1)), np.array([0]))
    assert not check
    assert "0.b: not checked, 2 skipped at a kink" in str(check)
    assert "gradient check FAILED" in str(check)


class SlightlyWrong(MeanSquaredError):  # noqa: N818
    def __call__(self, *args, **kwargs):
        loss, dZ = super().__call__(*args, **kwargs)
        return loss, dZ * 1.0005


def test_a_relative_error_of_a_half_per_mille_is_rejected():
    # z = w x = 1 · 1 against 0: the loss is z², its slope along w is 2
    network = Network([Dense(1, 1)], rng=np.random.default_rng(0), dtype=np.float64)
    network.parameters[...] = [1, 0]
    X, target = np.ones((1, 1)), np.zeros((1, 1))
    assert gradcheck(network, X, target, loss=MeanSquaredError())
    check = gradcheck(network, X, target, loss=SlightlyWrong())
    assert not check
    assert check.worst.analytic == pytest.approx(2.001)
    assert check.worst.numeric == pytest.approx(2.0)
    assert (
        "0.W: worst relative error 5.0e-04 at 0.W[0, 0] (backward 2.001000e+00, slope 2.000000e+00; 1 checked)"
        in str(check).splitlines()
    )
    assert str(check).endswith("gradient check FAILED (tolerance 1e-06)")


def test_a_derivative_that_is_nan_is_rejected(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "tanh", dataclasses.replace(ACTIVATIONS["tanh"], backward=_nan))
    network, X = make("dense")
    check = gradcheck(network, X, np.zeros(N, int))
    assert not check
    assert check.worst.error == np.inf


def _nan(dH, H, out=None):
    return np.full_like(dH, np.nan)


#: Function → planted mistakes, each the right text and the wrong one.
MISTAKES = {
    activations.relu_backward: [("np.greater(H, 0", "np.less(H, 0"), ("np.multiply(dH, slope", "np.add(dH, slope")],
    activations.leaky_relu_backward: [
        ("np.greater(H", "np.less(H"),
        ("1 - LEAK", "1"),
        ("slope += LEAK", "slope += 0"),
        ("slope += LEAK", "slope += 1.1 * LEAK"),
    ],
    activations.sigmoid_backward: [("dZ *= H", "dZ *= 1"), ("(1, H", "(1.001, H"), ("dZ *= dH", "dZ += dH")],
    activations.tanh_backward: [("(H, H,", "(H, 1,"), ("(1, dZ", "(1.001, dZ"), ("dZ *= dH", "dZ += dH")],
    activations.gelu_backward: [
        ("-GELU_FLAT, GELU_FLAT", "-1, 1"),
        ("square *= square", "square *= 1"),
        ("(square, GELU_SCALE * GELU_CUBIC", "(square, GELU_CUBIC"),
        ("t += GELU_SCALE", "t += 1"),
        ("t *= Z", "t *= 1"),
        ("3 * GELU_SCALE", "2 * GELU_SCALE"),
        ("dZ += GELU_SCALE", "dZ += 1"),
        ("dZ *= Z", "dZ *= 1"),
        ("t -= 2", "t -= 1"),
        ("t += 2", "t += 1"),
        ("np.subtract(t, dZ", "np.add(t, dZ"),
        ("dZ *= 0.5", "dZ *= 0.4999"),
        ("dZ *= dH", "dZ *= 1"),
    ],
    activations.identity_backward: [("np.positive(dH", "np.negative(dH"), ("np.positive(dH", "np.positive(H")],
    layers.Dense.backward: [
        ("X.T, dZ,", "X.T, dZ * 1.001,"),
        ("cache.X.T, dZ,", "-cache.X.T, dZ,"),
        ("dZ, out=cache.db", "dZ * 1.001, out=cache.db"),
        ("dZ, out=cache.db", "dZ[::-1] * np.arange(1, len(dZ) + 1, dtype=dZ.dtype)[:, None], out=cache.db"),
        ("dZ, self.W.T", "dZ, self.W.T + 0.01"),
        ("dZ, self.W.T", "dZ, -self.W.T"),
    ],
    Convolution.backward: [
        ("P.T, dZ,", "P.T, dZ * 1.001,"),
        ("dZ, out=cache.db", "dZ * 1.001, out=cache.db"),
        ("dZ, self.W.T", "dZ, self.W.T + 0.01"),
        ("range(self.columns)", "range(self.columns - 1)"),
        ("range(self.size)", "range(self.size - 1)"),
        ("+= dP", "= dP"),
        ("dP[:, :, column, line]", "dP[:, :, column, 0]"),
        ("dX.fill(0)", "dX.fill(0.01)"),
    ],
    layers.Dropout.backward: [
        ("np.multiply(dout, cache.mask", "np.multiply(dout, 1"),
        ("1 / (1 - self.rate)", "1"),
        ("1 / (1 - self.rate)", "(1 - self.rate)"),
        ("return dX", "return dout"),
    ],
    layers.BatchNorm.backward: [
        ("(dout, cache.X_hat, out", "(dout, 1, out"),
        ("np.add.reduce(dX", "np.add.reduce(-dX"),
        ("np.add.reduce(dout", "np.add.reduce(dX"),
        ("-dgamma", "dgamma"),
        ("-dgamma", "0 * dgamma"),
        ("dX += dout", "dX += 0.999 * dout"),
        ("dX -= dbeta", "dX -= 0 * dbeta"),
        ("(cache, len(dout)", "(cache, len(dout) - 1"),
        ("dX *= self.gamma * cache.scale", "dX *= self.gamma"),
        ("dX *= self.gamma * cache.scale", "dX *= cache.scale"),
        ("dout, self.gamma * cache.scale", "dout, self.gamma"),
        ("dout, self.gamma * cache.scale", "dX, cache.scale"),
        ("if cache.key is None", "if cache.key is not None"),
    ],
    losses.SoftmaxCrossEntropy.value_and_gradient: [
        ("P *= weights", "P *= 1"),
        ("log_p *= weights", "log_p *= 1"),
        ("P.T, scale", "P.T, 1"),
        ("P.T, scale", "P.T, scale * len(P) / len(Z)"),
        ("-scale * float", "-float"),
        ("log_p -= log_sum", "log_p -= 0"),
        ("-scale * float", "scale * float"),
    ],
    losses.SoftmaxCrossEntropy.subtract_target: [
        ("-= 1 - float(self.smoothing)", "-= 1"),
        ("Y *= 1 - float(self.smoothing)", "Y *= 1"),
    ],
    losses.SoftmaxCrossEntropy.smooth: [("P -= s / len(P)", "P -= 0"), ("log_p *= 1 - s", "log_p *= 1")],
    losses.log_softmax: [("P /= log_sum", "P /= 1")],
    losses.MeanSquaredError.value_and_gradient: [
        ("2 * scale", "1 * scale"),
        ("2 * scale", "2 * scale * K"),
        ("loss = scale * float", "loss = float"),
        ("np.vdot(dZ, weighted)", "np.abs(dZ).sum()"),
        ("np.multiply(weighted, 2", "np.multiply(dZ, 2"),
    ],
}


def planted(function, old, new):
    """Return `function` compiled with the mistake in its own module."""
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{old!r} is not in {function.__qualname__}: plant another mistake"
    namespace = {}
    exec(compile(source.replace(old, new, 1), function.__qualname__, "exec"), function.__globals__, namespace)
    return namespace[function.__name__]


def checks(function):
    """Yield checks that run each line of each backward, those that run `function` first."""

    def of_activations():
        for activation in sorted(ACTIVATIONS, key=lambda name: not function.__name__.startswith(name)):
            network, X = make("deep", activation)
            yield network, X * 3, *targets()["weights"], AT

    def of_losses():
        for loss in targets().values():
            yield *make("dense"), *loss, AT

    def of_layers():
        kind = function.__qualname__.partition(".")[0]
        for stack in sorted(STACKS, key=lambda name: kind not in repr(make(name)[0])):
            for at in (AT, None):
                yield *make(stack), *targets()["labels"], at

    first = {activations: of_activations, losses: of_losses}.get(inspect.getmodule(function), of_layers)
    for some in (first, *{of_activations, of_losses, of_layers} - {first}):
        yield from some()


@pytest.mark.parametrize(
    ("function", "old", "new"),
    [(function, old, new) for function, mistakes in MISTAKES.items() for old, new in mistakes],
    ids=lambda value: value.__qualname__ if callable(value) else value.strip(),
)
def test_every_planted_mistake_is_rejected(function, old, new, monkeypatch):
    wrong = planted(function, old, new)
    if function is losses.log_softmax:
        monkeypatch.setattr(losses, "log_softmax", wrong)
    elif "." in function.__qualname__:
        owner = getattr(inspect.getmodule(function), function.__qualname__.split(".")[0])
        monkeypatch.setattr(owner, function.__name__, wrong)
    else:
        name = function.__name__.removesuffix("_backward")
        monkeypatch.setitem(ACTIVATIONS, name, dataclasses.replace(ACTIVATIONS[name], backward=wrong))
    assert any(
        not gradcheck(network, X, target, loss=loss, weights=weights, key=at, elements=4)
        for network, X, loss, target, weights, at in checks(function)
    )


def test_every_backward_has_planted_mistakes():
    backwards = {pair.backward for pair in ACTIVATIONS.values()}
    backwards |= {kind.backward for kind in LAYERS.values() if kind is not Activation}
    backwards |= {loss.value_and_gradient for loss in losses.LOSSES.values()}
    parts = {losses.SoftmaxCrossEntropy.subtract_target, losses.SoftmaxCrossEntropy.smooth, losses.log_softmax}
    assert backwards | parts == set(MISTAKES)
