"""The machine and the page: `byhand.nn` in float64 takes the steps that `byhand.reference` takes.

The formulas stand twice on purpose; this holds them together. Samples are rows here and columns there.
"""

import numpy as np
import pytest

from byhand import Network
from byhand.nn.backprop import Pass
from byhand.nn.losses import SoftmaxCrossEntropy
from byhand.nn.optimizers import GradientDescent
from byhand.reference import l_layer, two_layer

RATE, STEPS = 0.5, 100
INPUTS, CLASSES, N = 9, 4, 60


@pytest.fixture
def batch():
    rng = np.random.default_rng(5)
    return rng.random((N, INPUTS)), rng.integers(0, CLASSES, N)


def train(network, X, y):
    """STEPS full-batch steps of gradient descent; the loss before each."""
    rule, loss = GradientDescent(), SoftmaxCrossEntropy()
    state = rule.start(network.parameters)
    pass_ = Pass(network)
    losses = []
    for _ in range(STEPS):
        value, dout = loss(pass_.forward(X), y)
        pass_.backward(dout)
        rule.update(network.parameters, pass_.gradient, state, RATE, weight_slice=network.weight_slice)
        losses.append(value)
    return losses


@pytest.mark.parametrize("hidden", ["relu", "sigmoid"])
@pytest.mark.parametrize("between", [[7], [7, 6], [7, 6, 5]], ids=["one", "two", "three"])
def test_l_layer_after_100_steps(batch, between, hidden):
    X, y = batch
    sizes = [INPUTS, *between, CLASSES]
    rng = np.random.RandomState(2)
    network = Network(sizes, rng=rng, init="l_layer", activation=hidden, dtype=np.float64)
    parameters = l_layer.initialize_parameters(sizes)
    for number, layer in enumerate(network.dense, start=1):
        np.testing.assert_array_equal(layer.W, parameters[f"W{number}"].T)
        np.testing.assert_array_equal(layer.b, parameters[f"b{number}"][:, 0])

    start = network.parameters.copy()
    losses = train(network, X, y)

    Y = l_layer.one_hot(y, classes=CLASSES)
    for step in range(STEPS):
        HL, memories = l_layer.L_layer_forward(X.T, parameters, hidden=hidden)
        assert losses[step] == pytest.approx(l_layer.compute_loss(HL, Y), abs=1e-12)
        gradients = l_layer.L_layer_backward(HL, Y, memories, hidden=hidden)
        parameters = l_layer.update_parameters(parameters, gradients, RATE)

    for number, layer in enumerate(network.dense, start=1):
        np.testing.assert_allclose(layer.W, parameters[f"W{number}"].T, rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer.b, parameters[f"b{number}"][:, 0], rtol=0, atol=1e-12)
    assert np.abs(network.parameters - start).max() > 0.1, "nothing was learned, so nothing was compared"
    assert losses[-1] < losses[0]


def test_two_layer_after_100_steps(batch, capsys):
    X, y = batch
    sizes = [INPUTS, 7, CLASSES]
    network = Network(sizes, rng=np.random.RandomState(3), init="two_layer", dtype=np.float64)
    first, last = network.dense
    W1, b1, W2, b2 = two_layer.init_params(inputs=INPUTS, hidden=7, classes=CLASSES, rng=np.random.RandomState(3))
    for ours, page in ((first.W, W1.T), (first.b, b1[:, 0]), (last.W, W2.T), (last.b, b2[:, 0])):
        np.testing.assert_array_equal(ours, page)

    train(network, X, y)

    page = two_layer.gradient_descent(X.T, y, RATE, STEPS, hidden=7, classes=CLASSES, rng=np.random.RandomState(3))
    capsys.readouterr()
    for ours, theirs in zip((first.W, first.b, last.W, last.b), page, strict=True):
        np.testing.assert_allclose(ours, theirs.T.reshape(ours.shape), rtol=0, atol=1e-12)
