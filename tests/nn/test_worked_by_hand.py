"""A network computed by hand, which can be followed with pencil and paper.

It has two inputs, two hidden units with ReLU and two classes; two samples show the mean over samples. The logarithms
in the second layer are chosen so that the softmax gives fifths.
"""

from math import log

import numpy as np
import pytest

from byhand import Network
from byhand.nn.backprop import Pass
from byhand.nn.losses import SoftmaxCrossEntropy, softmax
from byhand.nn.optimizers import GradientDescent

LN2, LN3 = log(2), log(3)

X = np.array([[1.0, 2.0], [4.0, 0.0]])
Y = np.array([1, 0])


@pytest.fixture
def network():
    network = Network([2, 2, 2], rng=np.random.default_rng(0), dtype=np.float64)
    first, last = network.dense
    first.W[...] = [[0.5, -1.0], [0.25, 0.5]]  # one column per unit
    first.b[...] = [0.0, 0.5]
    last.W[...] = [[0.0, LN2], [2 * LN3, 0.0]]
    last.b[...] = [0.0, 0.0]
    return network


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)


def test_the_forward_pass_agrees_with_the_computation_by_hand(network):
    # sample 1: Z1 = (1·½ + 2·¼ + 0,  1·−1 + 2·½ + ½) = (1, ½)        H1 = (1, ½)
    # sample 2: Z1 = (4·½ + 0·¼ + 0,  4·−1 + 0·½ + ½) = (2, −3½)      H1 = (2, 0): the second unit is off
    # sample 1: Z2 = (1·0 + ½·2 ln 3,  1·ln 2 + ½·0) = (ln 3, ln 2)   P = (3/5, 2/5)
    # sample 2: Z2 = (2·0 + 0·2 ln 3,  2·ln 2 + 0·0) = (0, ln 4)      P = (1/5, 4/5)
    Z2 = network.forward(X)
    close(Z2, [[LN3, LN2], [0, 2 * LN2]])
    close(softmax(Z2), [[3 / 5, 2 / 5], [1 / 5, 4 / 5]])


def test_the_loss_agrees_with_the_computation_by_hand(network):
    # sample 1 is a 1 and was given 2/5, sample 2 is a 0 and was given 1/5:  loss = (ln 5/2 + ln 5) / 2
    # dZ2 = (P − Y) / 2:   ((3/5 − 0)/2, (2/5 − 1)/2) = (.3, −.3)     ((1/5 − 1)/2, (4/5 − 0)/2) = (−.4, .4)
    Z2 = network.forward(X)
    loss, dZ2 = SoftmaxCrossEntropy()(Z2, Y)
    assert loss == pytest.approx((log(5 / 2) + log(5)) / 2, abs=1e-15)
    close(dZ2, [[0.3, -0.3], [-0.4, 0.4]])


def test_gradients_and_one_step_agree_with_the_computation_by_hand(network):
    # dW2 = H1ᵀ dZ2: row 1: 1·(.3, −.3) + 2·(−.4, .4) = (−.5, .5)      row 2: ½·(.3, −.3) + 0·(…) = (.15, −.15)
    # db2 = (.3 − .4, −.3 + .4) = (−.1, .1)
    # dH1 = dZ2 W2ᵀ:   sample 1: (.3·0 − .3 ln 2,  .3·2 ln 3 − .3·0) = (−.3 ln 2, .6 ln 3)
    #                  sample 2: (−.4·0 + .4 ln 2, −.4·2 ln 3 + .4·0) = (.4 ln 2, −.8 ln 3)
    # dZ1: the second unit was off for sample 2:   (−.3 ln 2, .6 ln 3)   (.4 ln 2, 0)
    # dW1 = Xᵀ dZ1: row 1: 1·(−.3 ln 2, .6 ln 3) + 4·(.4 ln 2, 0) = (1.3 ln 2, .6 ln 3)
    #               row 2: 2·(−.3 ln 2, .6 ln 3) + 0·(…)          = (−.6 ln 2, 1.2 ln 3)
    # db1 = (.1 ln 2, .6 ln 3)
    pass_ = Pass(network)
    _, dZ2 = SoftmaxCrossEntropy()(pass_.forward(X), Y)
    pass_.backward(dZ2)
    derivative = dict(network.named(pass_.gradient))
    close(derivative["0.W"], [[1.3 * LN2, 0.6 * LN3], [-0.6 * LN2, 1.2 * LN3]])
    close(derivative["0.b"], [0.1 * LN2, 0.6 * LN3])
    close(derivative["2.W"], [[-0.5, 0.5], [0.15, -0.15]])
    close(derivative["2.b"], [-0.1, 0.1])

    # p ← p − 10 dp
    rule = GradientDescent()
    rule.update(
        network.parameters, pass_.gradient, rule.start(network.parameters), 10.0, weight_slice=network.weight_slice
    )
    first, last = network.dense
    np.testing.assert_allclose(first.W, [[0.5 - 13 * LN2, -1 - 6 * LN3], [0.25 + 6 * LN2, 0.5 - 12 * LN3]], atol=1e-14)
    np.testing.assert_allclose(first.b, [-LN2, 0.5 - 6 * LN3], atol=1e-14)
    np.testing.assert_allclose(last.W, [[5, LN2 - 5], [2 * LN3 - 1.5, 1.5]], atol=1e-14)
    np.testing.assert_allclose(last.b, [1, -1], atol=1e-14)
