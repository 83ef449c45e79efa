"""Flat NumPy: the same training step as byhand's, written out with no classes, layers or options around the arithmetic.

It is the lower bound for a mini-batch step in NumPy: every array is allocated once, and every call writes into one of
them (`out=`). byhand's time divided by this contestant's time is what byhand's structure costs. It gets bytes, as
byhand does, and uses as many BLAS threads as byhand plans for a step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.work import Contestant, Work
from byhand.model import Model
from byhand.threads import blas_threads
from byhand.training.plan import plan_for

Array = NDArray[Any]

#: Parameters updated at once, so that their chunks of all vectors stay in the second-level cache.
SGD_CHUNK, ADAM_CHUNK = 131_072, 32_768
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Buffers:
    """All arrays of a batch of N samples, but not the parameters."""

    def __init__(self, N: int, sizes: tuple[int, ...]) -> None:
        D, K = sizes[0], sizes[-1]
        self.pixels, self.X = np.empty((N, D), np.uint8), np.empty((N, D), np.float32)
        self.Z = [np.empty((N, units), np.float32) for units in sizes[1:]]  # after the activation they contain H
        self.dZ = [np.empty((N, units), np.float32) for units in sizes[1:]]
        self.positive = [np.empty((N, units), bool) for units in sizes[1:-1]]
        self.labels, self.places, self.first_of_row = np.empty(N, np.intp), np.empty(N, np.intp), np.arange(N) * K
        self.column, self.ones = np.empty((N, 1), np.float32), np.ones(N, np.float32)


class FlatNumPy(Contestant):
    """One vector of parameters and one of gradients, with views of them as W, b, dW and db."""

    def __init__(self, work: Work) -> None:
        pixels, labels = work.pictures
        self.pixels, self.labels = np.ascontiguousarray(pixels), labels.astype(np.intp)
        self.batch, self.rate = min(work.batch or work.images, work.images), work.rate
        self.blas = plan_for(Model(list(work.sizes)).network, self.batch).blas
        shapes = [W.shape for W, _ in work.start]
        size = sum(W.size + b.size for W, b in work.start)
        self.parameters, self.gradient, self.m, self.v = (np.zeros(size, np.float32) for _ in range(4))
        self.W, self.b = views(self.parameters, shapes)
        self.dW, self.db = views(self.gradient, shapes)
        for W, b, (W0, b0) in zip(self.W, self.b, work.start, strict=True):
            W[...], b[...] = W0, b0
        rows = {self.batch, work.images % self.batch} - {0}  # the last batch of an epoch may be shorter
        self.buffers = {N: Buffers(N, work.sizes) for N in rows}
        #: Probability of each sample's true class, and the start of each batch.
        self.right, self.starts = np.empty(work.images, np.float32), np.arange(0, work.images, self.batch)
        length = SGD_CHUNK if work.optimizer == "sgd" else ADAM_CHUNK
        vectors = (self.parameters, self.gradient, np.empty(size, np.float32), self.m, self.v)
        self.chunks = [[vector[at : at + length] for vector in vectors] for at in range(0, size, length)]
        self.update = self.sgd if work.optimizer == "sgd" else self.adam
        self.step_number = 0
        self.rng = np.random.default_rng(0)

    def epoch(self, number: int) -> float:
        count = len(self.labels)
        order = np.arange(count) if number == 0 else self.rng.permutation(count)
        with blas_threads(self.blas):
            for start in self.starts:
                index = order[start : start + self.batch]
                self.step(index, self.right[start : start + self.batch])
        losses = -np.log(np.maximum(self.right, np.finfo(np.float32).tiny))
        counts = np.diff(self.starts, append=count)
        return float((np.add.reduceat(losses, self.starts) / counts).mean())

    def step(self, index: Array, right: Array) -> None:
        """Take one step on these samples; write the probability of each sample's class into `right`     both (N,)"""
        at, last = self.buffers[len(index)], len(self.W) - 1
        np.take(self.pixels, index, axis=0, out=at.pixels, mode="clip")  # other modes copy `out`
        np.take(self.labels, index, out=at.labels, mode="clip")
        np.copyto(at.X, at.pixels)
        np.multiply(at.X, 1 / 255, out=at.X)
        H = at.X
        for k, Z in enumerate(at.Z):
            np.matmul(H, self.W[k], out=Z)
            np.add(Z, self.b[k], out=Z)
            if k < last:
                H = np.maximum(Z, 0, out=Z)
        self.cross_entropy(at, right)
        for k in range(last, -1, -1):
            dZ, H = at.dZ[k], at.Z[k - 1] if k else at.X
            np.matmul(H.T, dZ, out=self.dW[k])
            np.matmul(at.ones, dZ, out=self.db[k])
            if k:
                dH = np.matmul(dZ, self.W[k].T, out=at.dZ[k - 1])
                np.greater(H, 0, out=at.positive[k - 1])
                np.multiply(dH, at.positive[k - 1], out=dH)
        self.step_number += 1
        self.update()

    def cross_entropy(self, at: Buffers, right: Array) -> None:
        """P = softmax(Z), dZ = (P − Y) / N for the last layer; `right` gets the probabilities of the labels."""
        N, P, column, places = len(right), at.Z[-1], at.column, at.places
        np.maximum.reduce(P, axis=1, out=column, keepdims=True)
        np.subtract(P, column, out=P)
        np.exp(P, out=P)
        np.add.reduce(P, axis=1, out=column, keepdims=True)
        np.divide(P, column, out=P)
        np.add(at.labels, at.first_of_row, out=places)
        flat = P.reshape(-1)
        np.take(flat, places, out=right, mode="clip")
        flat[places] = right - 1
        np.multiply(P, 1 / N, out=at.dZ[-1])

    def sgd(self) -> None:
        """p ← p − η g"""
        for p, g, t, _, _ in self.chunks:
            np.multiply(g, self.rate, out=t)
            np.subtract(p, t, out=p)

    def adam(self) -> None:
        """Adam, keeping m/(1 − β₁) and v/(1 − β₂) instead of m and v: then g needs no multiplication."""
        a = float(np.sqrt((1 - BETA2) / (1 - BETA2**self.step_number)))
        scale = self.rate * (1 - BETA1) / ((1 - BETA1**self.step_number) * a)
        for p, g, t, m, v in self.chunks:
            np.multiply(m, BETA1, out=m)
            np.add(m, g, out=m)
            np.multiply(v, BETA2, out=v)
            np.multiply(g, g, out=t)
            np.add(v, t, out=v)
            np.sqrt(v, out=t)
            np.add(t, EPSILON / a, out=t)
            np.divide(m, t, out=t)
            np.multiply(t, scale, out=t)
            np.subtract(p, t, out=p)


def views(vector: Array, shapes: list[tuple[int, ...]]) -> tuple[list[Array], list[Array]]:
    """Split a vector into the weights of all layers, followed by the biases."""
    Ws, bs, start = [], [], 0
    for inputs, units in shapes:
        Ws.append(vector[start : start + inputs * units].reshape(inputs, units))
        start += inputs * units
    for _, units in shapes:
        bs.append(vector[start : start + units])
        start += units
    return Ws, bs
