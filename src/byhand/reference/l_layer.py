"""The L-layer network: forward pass, cross-entropy loss, backpropagation and gradient descent.

`L_layer_model` repeats the four functions `L_layer_forward`, `compute_loss`, `L_layer_backward` and
`update_parameters`, each time on the whole training set. Arrays are float64, with one sample per column:

    m samples · layer l has n_l units, and n_0 inputs

    H0 = X (n_0, m)    Wl (n_l, n_{l-1})    bl (n_l, 1)    Zl, Hl (n_l, m)    HL, Y (K, m)

A column of dZ or dH is the gradient of the loss of one sample. dW and db are gradients of the mean loss, hence the 1/m.
A memory (cache) keeps the arrays of the forward pass that backward needs. The step numbers are those of the assignment:
forward 1 to 3, backward 1 to 5. `@checked(...)` checks the arguments with the function of that name in `rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byhand import checks
from byhand.errors import DataMissingError, DivergedError
from byhand.reference import rules, show
from byhand.reference.rules import checked, require_dimensions, require_pixels, require_shape

Array = NDArray[Any]
Memory = tuple[tuple[Array, Array, Array], Array]
Pair = tuple[Array, Array]
Random = np.random.RandomState | np.random.Generator

__all__ = ["data_wrapper", "load_data", "one_hot"]
__all__ += ["L_layer_forward", "initialize_parameters", "layer_forward", "relu", "sigmoid", "softmax"]
__all__ += ["L_layer_backward", "compute_loss", "layer_backward", "relu_backward", "sigmoid_backward"]
__all__ += ["L_layer_model", "predict", "update_parameters"]

_WITHOUT_MNIST = (
    "put mnist.pkl.gz into the working folder, or run `byhand data get mnist` once with an internet connection; "
    "or use the 5,000 bundled images: load_data(sample=True), data_wrapper(sample=True)"
)


# ---- data preparation ------------------------------------------------------------------------------------------


def load_data(*, sample: bool = False) -> tuple[Pair, Pair, Pair]:
    """(images, labels) for training, validation and test         images: (m, 784) float32, byte/256   labels: (m,)

    Load `mnist.pkl.gz` from the working folder if it exists, otherwise MNIST with `byhand.load`, and split it like that
    file into 50,000, 10,000 and 10,000 images. `sample=True` loads the bundled images and splits them in the same way.
    """
    from byhand.data import load

    file = Path("mnist.pkl.gz")
    try:
        digits = load("mnist-5k" if sample else file if file.exists() else "mnist")
    except DataMissingError as error:
        raise DataMissingError(f"{error}; {_WITHOUT_MNIST}") from error
    (images, labels), test = (
        (part.images.reshape(len(part), -1) / np.float32(256), np.array(part.labels)) for part in digits
    )
    cut = len(labels) * 5 // 6
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:]), test


@checked(rules.one_hot)
def one_hot(j: Array, *, classes: int = 10) -> Array:
    """Y[k, i] = 1 where sample i is of class k, 0 elsewhere               j: (m,)   Y: (classes, m)

    The number of classes is an argument, because a batch may lack the largest label.
    """
    Y = np.zeros((classes, len(j)))
    Y[np.asarray(j, dtype=int), np.arange(len(j))] = 1
    return Y


def data_wrapper(*, sample: bool = False) -> tuple[Array, Array, Array, Array]:
    """train_set_x (784, 50000), train_set_y (10, 50000), test_set_x (784, 10000), test_set_y (10, 10000)

    One image per column: the transpose of the result of `load_data`, without a copy.
    """
    (X, y), _, (X_test, y_test) = load_data(sample=sample)
    return X.T, one_hot(y), X_test.T, one_hot(y_test)


# ---- feedforward -----------------------------------------------------------------------------------------------


def sigmoid(Z: Array) -> Pair:
    """H = 1 / (1 + e^−Z)                                    step 2.2      Z, H: (n, m)   memory: Z"""
    E = np.exp(-np.abs(Z))  # cannot overflow: the exponent is at most 0
    H = np.where(np.asarray(Z) >= 0, 1, E) / (1 + E)
    return H, Z


def relu(Z: Array) -> Pair:
    """H = max(0, Z)                                         step 2.2      Z, H: (n, m)   memory: Z"""
    return np.maximum(0, Z), Z


def softmax(Z: Array) -> Pair:
    """H = e^Z / Σ e^Z, the sum down each column             step 3        Z, H: (K, m)   memory: Z

    Subtracting the maximum of each column does not change the result, and prevents overflow.
    """
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True), Z


ACTIVATIONS = {"relu": relu, "sigmoid": sigmoid, "softmax": softmax}


@checked(rules.initialize_parameters)
def initialize_parameters(dimensions: Sequence[int], *, rng: Random | None = None) -> dict[str, Array]:
    """Wl = 0.1 · randn(n_l, n_{l-1}), bl = 0, for l = 1 … L               dimensions: [n_0, …, n_L]

    The default `rng` has the seed 2. NumPy's global generator is not changed.
    """
    rng = np.random.RandomState(2) if rng is None else rng
    parameters = {}
    for l in range(1, len(dimensions)):
        parameters[f"W{l}"] = rng.standard_normal((dimensions[l], dimensions[l - 1])) * 0.1
        parameters[f"b{l}"] = np.zeros((dimensions[l], 1))
    return parameters


@checked(rules.layer_forward)
def layer_forward(H_prev: Array, W: Array, b: Array, activation: str = "relu") -> tuple[Array, Memory]:
    """Z = W · H_prev + b, H = activation(Z)                 step 2

    H_prev: (n_prev, m)   W: (n, n_prev)   b: (n, 1)   H: (n, m)   memory: ((H_prev, W, b), Z)
    """
    Z = np.dot(W, H_prev) + b  # 2.1
    H, activation_memory = ACTIVATIONS[activation](Z)  # 2.2
    return H, ((H_prev, W, b), activation_memory)


@checked(rules.L_layer_forward)
def L_layer_forward(X: Array, parameters: dict[str, Array], *, hidden: str = "relu") -> tuple[Array, list[Memory]]:
    """H0 = X, Hl = hidden(Wl · Hl−1 + bl), HL = softmax(WL · HL−1 + bL)   steps 1 to 3

    X: (n_0, m)   HL: (K, m)   memories: one memory per layer, first layer first
    """
    L = len(parameters) // 2
    memories = []
    H = X  # 1
    for l in range(1, L):
        H, memory = layer_forward(H, parameters[f"W{l}"], parameters[f"b{l}"], hidden)  # 2
        memories.append(memory)
    HL, memory = layer_forward(H, parameters[f"W{L}"], parameters[f"b{L}"], "softmax")  # 3
    memories.append(memory)
    return HL, memories


# ---- loss ------------------------------------------------------------------------------------------------------


@checked(rules.compute_loss)
def compute_loss(HL: Array, Y: Array, *, ZL: Array | None = None) -> float:
    """loss = −1/m Σ Y ⊗ log HL                                            HL, Y, ZL: (K, m)

    Where Y is 0 the term is 0, even if HL has underflowed to 0. If HL is 0 where Y is 1, the loss is infinite; computed
    from the logits `ZL`, the input of the softmax, it is finite if their differences are.
    """
    log_HL = log(HL) if ZL is None else log_softmax(ZL)
    return float(-np.sum(product(Y, log_HL)) / HL.shape[1])


def log(H: Array) -> Array:
    """log H, and −∞ where H is 0, without NumPy's warning                 H: (K, m)"""
    return np.log(H, out=np.full(H.shape, -np.inf), where=np.asarray(H) > 0)


def product(Y: Array, log_HL: Array) -> Array:
    """Y ⊗ log HL, and 0 where Y is 0, because 0 · log 0 is NaN            Y, log HL: (K, m)"""
    return np.multiply(Y, log_HL, out=np.zeros(np.shape(Y)), where=np.asarray(Y) != 0)


def log_softmax(Z: Array) -> Array:
    """log H = Z − max − log Σ e^(Z − max), max and Σ down each column     Z: (K, m)"""
    shifted = Z - np.max(Z, axis=0, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=0, keepdims=True))


# ---- backpropagation -------------------------------------------------------------------------------------------


@checked(rules.sigmoid_backward)
def sigmoid_backward(dH: Array, sigmoid_memory: Array) -> Array:
    """dZ = dH ⊗ H ⊗ (1 − H), H = sigmoid(Z)                 step 5.1      dH, Z, dZ: (n, m)"""
    H, _ = sigmoid(sigmoid_memory)
    return dH * H * (1 - H)


@checked(rules.relu_backward)
def relu_backward(dH: Array, relu_memory: Array) -> Array:
    """dZ = dH where Z > 0, 0 elsewhere                      step 5.1      dH, Z, dZ: (n, m)"""
    return np.where(np.asarray(relu_memory) > 0, dH, 0)


@checked(rules.layer_backward)
def layer_backward(dH: Array, memory: Memory, activation: str = "relu") -> tuple[Array, Array, Array]:
    """dZ = dH ⊗ activation′(Z), dW = 1/m dZ · H_prevᵀ, db = 1/m Σ dZ, dH_prev = Wᵀ · dZ      steps 5.1 to 5.4

    dH: (n, m)   dH_prev: (n_prev, m)   dW: (n, n_prev)   db: (n, 1), summed over the samples only
    """
    (H_prev, W, _), Z = memory
    m = H_prev.shape[1]
    dZ = relu_backward(dH, Z) if activation == "relu" else sigmoid_backward(dH, Z)  # 5.1
    dW = np.dot(dZ, H_prev.T) / m  # 5.2
    db = np.sum(dZ, axis=1, keepdims=True) / m  # 5.3
    dH_prev = np.dot(W.T, dZ)  # 5.4
    return dH_prev, dW, db


@checked(rules.L_layer_backward)
def L_layer_backward(HL: Array, Y: Array, memories: list[Memory], *, hidden: str = "relu") -> dict[str, Array]:
    """dZL = HL − Y, then dW, db and the upstream gradient dH of the previous layer, for l = L … 1   steps 1 to 5

    HL, Y: (K, m)   gradients: dH0 … dH{L−1}, dW1 … dWL, db1 … dbL, each with the shape of its parameter or H
    """
    L, m = len(memories), HL.shape[1]
    gradients = {}
    (H_prev, W, _), _ = memories[-1]
    dZ = HL - Y  # 1
    gradients[f"dW{L}"] = np.dot(dZ, H_prev.T) / m  # 2
    gradients[f"db{L}"] = np.sum(dZ, axis=1, keepdims=True) / m  # 3
    gradients[f"dH{L - 1}"] = np.dot(W.T, dZ)  # 4
    for l in reversed(range(1, L)):  # 5
        dH_prev, dW, db = layer_backward(gradients[f"dH{l}"], memories[l - 1], hidden)
        gradients[f"dH{l - 1}"], gradients[f"dW{l}"], gradients[f"db{l}"] = dH_prev, dW, db
    return gradients


# ---- parameter updates, training, predictions ------------------------------------------------------------------


@checked(rules.update_parameters)
def update_parameters(
    parameters: dict[str, Array], gradients: dict[str, Array], learning_rate: float
) -> dict[str, Array]:
    """Wl := Wl − learning_rate · dWl, bl := bl − learning_rate · dbl      the dictionary is updated in place"""
    for name, value in parameters.items():
        parameters[name] = value - learning_rate * gradients[f"d{name}"]
    return parameters


def L_layer_model(
    X: Array,
    Y: Array,
    dimensions: Sequence[int],
    learning_rate: float = 0.0075,
    num_iterations: int = 3000,
    print_loss: bool = False,
    *,
    hidden: str = "relu",
    rng: Random | None = None,
    picture: str | Path | None = None,
) -> dict[str, Array]:
    """Initialize the parameters, then repeat num_iterations times: forward, loss, backward, update.

    X: (n_0, m), pixels from 0 to 1   Y: (K, m), one-hot   dimensions: [n_0, …, K]
    Every 100 iterations the loss is printed if `print_loss` is True. These losses are plotted as in `show`.
    """
    require_dimensions(dimensions)
    require_pixels("X", X)
    require_shape("X", X, (dimensions[0], X.shape[1]), "dimensions[0] rows, one column per sample")
    require_shape("Y", Y, (dimensions[-1], X.shape[1]), "dimensions[-1] rows, one column per sample")
    checks.positive("learning_rate", learning_rate)
    checks.integer("num_iterations", num_iterations, 0)
    X = np.asarray(X, dtype=float)
    losses: list[float] = []
    parameters = initialize_parameters(dimensions, rng=rng)
    for i in range(num_iterations):
        HL, memories = L_layer_forward(X, parameters, hidden=hidden)
        if i % 100 == 0:
            losses.append(compute_loss(HL, Y, ZL=memories[-1][1]))
            if print_loss:
                print(f"Loss after iteration {i}: {losses[-1]:f}")
            if not np.isfinite(losses[-1]):
                raise DivergedError(
                    f"loss became {losses[-1]} at iteration {i}: learning_rate {learning_rate} is too large"
                )
        gradients = L_layer_backward(HL, Y, memories, hidden=hidden)
        parameters = update_parameters(parameters, gradients, learning_rate)
    show(lambda axes: _plot(axes, losses, learning_rate), picture)
    return parameters


def predict(X: Array, y: Array, parameters: dict[str, Array], *, hidden: str = "relu") -> Array:
    """Return the class with the largest probability in each column, and print the accuracy.

    X: (n_0, m), pixels from 0 to 1   y: (K, m), one-hot   predictions: (m,)
    """
    require_pixels("X", X)
    HL, _ = L_layer_forward(X, parameters, hidden=hidden)
    require_shape("y", y, HL.shape, "one row per class, one column per sample")
    predictions = np.argmax(HL, axis=0)
    print(f"Accuracy: {np.mean(predictions == np.argmax(y, axis=0))}")
    return predictions


def _plot(axes: Any, losses: list[float], learning_rate: float) -> None:
    """Plot the losses, one for every 100 iterations."""
    axes.plot(range(0, 100 * len(losses), 100), losses)
    axes.set(xlabel="iteration", ylabel="loss", title=f"Learning rate = {learning_rate}")
