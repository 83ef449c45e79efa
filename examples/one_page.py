"""A neural network that reads handwriting, on one page: NumPy, and nothing else.

    python examples/one_page.py FOLDER

FOLDER contains the four files of MNIST, compressed or not. The network has 784 inputs, 45 hidden units and ten outputs.
It trains on the first 5,000 images, for 2,000 iterations: about half a minute. The loss is 2.422624 at iteration 0,
2.129232 at 100, and 0.457054 at 1900. Then 87.74 % of these images and 86.74 % of the test images are read correctly.

An array has one sample per column:  X (784, m)   Y (10, m)   W (units, inputs)   b (units, 1)   Z, H (units, m)
"""

import gzip
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

# ---- the data


def idx(folder, name, header):
    """Return the bytes of an IDX file, without its header."""
    path = next(Path(folder).glob(f"{name}*"))
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return np.frombuffer(content, np.uint8, offset=header)


def load(folder, part):
    """X: pixels from 0 to 1, one image per column (784, m)   Y: one-hot labels (10, m)"""
    X = idx(folder, f"{part}-images", 16).reshape(-1, 784).T / 256
    return X, one_hot(idx(folder, f"{part}-labels", 8))


def one_hot(labels):
    """Y[k, i] = 1 where sample i is the digit k, 0 elsewhere"""
    Y = np.zeros((10, len(labels)))
    Y[labels, np.arange(len(labels))] = 1
    return Y


# ---- forward: from the pixels to the probabilities


def initialize(sizes):
    """W = 0.1 · randn, b = 0, for each layer"""
    rng = np.random.RandomState(2)
    return [(0.1 * rng.randn(n, n_prev), np.zeros((n, 1))) for n_prev, n in pairwise(sizes)]


def relu(Z):
    """max(0, Z)"""
    return np.maximum(0, Z)


def softmax(Z):
    """e^Z / Σ e^Z in each column; subtracting the maximum prevents overflow"""
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)


def forward(X, layers):
    """H0 = X, H = relu(W · H_prev + b), and softmax in the last layer; returns H0 … HL"""
    H = [X]
    for k, (W, b) in enumerate(layers, start=1):
        Z = W @ H[-1] + b
        H.append(softmax(Z) if k == len(layers) else relu(Z))
    return H


# ---- loss: how wrong the probabilities are


def cross_entropy(HL, Y):
    """−1/m Σ ln of the probability of the right digit"""
    return -np.log(HL[Y == 1]).mean()


# ---- backward: how the loss depends on each parameter


def backward(H, Y, layers):
    """dZL = HL − Y; then for each layer, from the last: dW = 1/m dZ · H_prevᵀ, db = 1/m Σ dZ, dH_prev = Wᵀ · dZ"""
    gradients, m = [], Y.shape[1]
    dZ = H[-1] - Y
    for k in reversed(range(len(layers))):
        W, H_prev = layers[k][0], H[k]
        gradients.append((dZ @ H_prev.T / m, dZ.sum(axis=1, keepdims=True) / m))
        dZ = (W.T @ dZ) * (H_prev > 0)  # the slope of relu: 1 where its output is positive, otherwise 0
    return gradients[::-1]


# ---- update, and the loop


def update(layers, gradients, learning_rate):
    """W := W − rate · dW, b := b − rate · db"""
    pairs = zip(layers, gradients, strict=True)
    return [(W - learning_rate * dW, b - learning_rate * db) for (W, b), (dW, db) in pairs]


def train(X, Y, sizes, learning_rate, iterations, show=print):
    """Repeat: forward, loss, backward, update."""
    layers = initialize(sizes)
    for i in range(iterations):
        H = forward(X, layers)
        if i % 100 == 0:
            show(f"iteration {i:4}: loss {cross_entropy(H[-1], Y):.6f}")
        layers = update(layers, backward(H, Y, layers), learning_rate)
    return layers


def accuracy(X, Y, layers):
    """The fraction of images whose most probable digit is the right one"""
    return np.mean(forward(X, layers)[-1].argmax(axis=0) == Y.argmax(axis=0))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python one_page.py FOLDER, with the four files of MNIST")
    X, Y = load(sys.argv[1], "train")
    X, Y = X[:, :5000], Y[:, :5000]
    layers = train(X, Y, [784, 45, 10], learning_rate=0.0075, iterations=2000)
    print(f"training images: {accuracy(X, Y, layers):.4f}")
    print(f"test images: {accuracy(*load(sys.argv[1], 't10k'), layers):.4f}")
