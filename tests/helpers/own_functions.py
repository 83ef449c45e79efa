"""Functions that train in the playground like a student's, in this process."""

import numpy as np

from byhand.data import TrainTest, load
from byhand.reference import l_layer as ref


def few_digits():
    sample = load("mnist-5k")
    return TrainTest(sample.train[:300], sample.test[:50], sample.source)


class Reference:
    """The reference's functions, whose answer is one more than the likeliest class."""

    file = "my_network.py"

    def __init__(self, layers=None):
        self.layers = layers

    def start(self, sizes):
        sizes = sizes if self.layers is None else [sizes[0], *self.layers, sizes[-1]]
        parameters = ref.initialize_parameters(sizes)
        return [parameters[f"{name}{layer}"] for layer in range(1, len(sizes)) for name in "Wb"]

    def step(self, X, labels, weights, rate):
        P, memories = ref.L_layer_forward(X, named(weights))
        after = ref.update_parameters(named(weights), ref.L_layer_backward(P, np.eye(10)[labels].T, memories), rate)
        return P, [after[f"{name}{layer}"] for layer in range(1, len(weights) // 2 + 1) for name in "Wb"]

    def read(self, X, weights):
        P, _ = ref.L_layer_forward(X, named(weights))
        return P, (P.argmax(axis=0) + 1) % 10


def named(weights):
    return {f"{'Wb'[k % 2]}{k // 2 + 1}": one for k, one in enumerate(weights)}
