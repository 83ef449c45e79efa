"""The assignment's own code, as the source texts describe it: float64, samples in columns, a new array for everything.

It is kept as slow as it is taught: sigmoid and softmax as written, dH0 computed though nobody needs it, the loss only
every hundredth iteration. Only the hidden function is relu, as the texts have it for their second network, and as all
others here take.
"""

import numpy as np

from benchmarks.contestants import COMPARED_WHOLE, Contestant
from benchmarks.work import Work
from byhand.nn.arrays import Array


class Trainer(Contestant):
    """The whole data as one batch, one iteration an epoch."""

    def __init__(self, work: Work) -> None:
        if work.batch is not None or work.optimizer != "sgd":
            raise ValueError("the assignment takes the whole data as one batch, with plain gradient descent")
        X, y = work.floats(np.float64)
        self.X = X.T
        self.Y = np.zeros((work.sizes[-1], len(y)))
        self.Y[y, np.arange(len(y))] = 1
        self.parameters = {}
        for layer, (W, b) in enumerate(work.start, 1):
            self.parameters[f"W{layer}"] = W.T.astype(float)
            self.parameters[f"b{layer}"] = b[:, None].astype(float)
        self.L, self.rate = len(work.start), work.rate

    def epoch(self, number: int) -> float:
        P, L, m = self.parameters, self.L, self.X.shape[1]
        H, memories = self.X, []
        for layer in range(1, L + 1):
            Z = np.dot(P[f"W{layer}"], H) + P[f"b{layer}"]
            memories.append((H, P[f"W{layer}"], Z))
            H = np.maximum(0, Z) if layer < L else softmax(Z)
        loss = float("nan")
        if number % 100 == COMPARED_WHOLE:
            loss = float(-np.sum(self.Y * np.log(H)) / m)

        gradients = {}
        dZ = H - self.Y
        for layer in range(L, 0, -1):
            H_prev, W, _ = memories[layer - 1]
            gradients[f"W{layer}"] = np.dot(dZ, H_prev.T) / m
            gradients[f"b{layer}"] = np.sum(dZ, axis=1, keepdims=True) / m
            dH = np.dot(W.T, dZ)  # at layer 1 this is dH0, which nobody needs
            if layer > 1:
                dZ = np.array(dH, copy=True)
                dZ[memories[layer - 2][2] <= 0] = 0
        for name, gradient in gradients.items():
            P[name] = P[name] - self.rate * gradient
        return loss


def softmax(Z: Array) -> Array:
    """Down each column                                         (K, m)"""
    E = np.exp(Z)
    probabilities: Array = E / np.sum(E, axis=0)
    return probabilities
