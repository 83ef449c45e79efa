"""The 784-10-10 network: one hidden layer with ReLU, softmax, and gradient descent on the whole training set.

`gradient_descent` initializes the parameters and repeats forward, backward and update. `make_predictions` classifies
images. There is one image per column, with pixels from 0 to 1:

    m samples        X (784, m)    Y (m,)    W1 (10, 784)    W2 (10, 10)    b1, b2 (10, 1)    Z1, A1, Z2, A2 (10, m)

A column of dZ is the gradient of the loss of one sample. dW and db are gradients of the mean loss, hence the 1/m. The
shapes of W1 and W2 determine the numbers of inputs, hidden units and classes. `@checked(...)` checks the arguments
with the function of that name in `rules`. The program was first presented by Samson Zhang.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byhand import checks
from byhand.errors import UsageError
from byhand.reference import rules, show
from byhand.reference.rules import checked, require_pixels, require_shape

Array = NDArray[Any]
Parameters = tuple[Array, Array, Array, Array]
Random = np.random.RandomState | np.random.Generator

__all__ = ["ReLU", "ReLU_deriv", "forward_prop", "init_params", "one_hot", "softmax"]
__all__ += ["backward_prop", "gradient_descent", "update_params"]
__all__ += ["get_accuracy", "get_predictions", "make_predictions", "test_prediction"]


def init_params(*, inputs: int = 784, hidden: int = 10, classes: int = 10, rng: Random | None = None) -> Parameters:
    """W1, b1, W2, b2 = rand − 0.5, in this order            W1: (hidden, inputs)   W2: (classes, hidden)

    The default `rng` is NumPy's global generator, which `numpy.random.seed` seeds.
    """
    shapes = (hidden, inputs), (hidden, 1), (classes, hidden), (classes, 1)
    random = np.random.random if rng is None else rng.random
    W1, b1, W2, b2 = (random(shape) - 0.5 for shape in shapes)
    return W1, b1, W2, b2


def ReLU(Z: Array) -> Array:
    """A = max(0, Z)                                         Z, A: (n, m)"""
    return np.maximum(0, Z)


def softmax(Z: Array) -> Array:
    """A = e^Z / Σ e^Z, the sum down each column             Z, A: (K, m)

    Subtracting the maximum of each column does not change the result, and prevents overflow.
    """
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)


@checked(rules.forward_prop)
def forward_prop(W1: Array, b1: Array, W2: Array, b2: Array, X: Array) -> Parameters:
    """Z1 = W1·X + b1, A1 = ReLU(Z1), Z2 = W2·A1 + b2, A2 = softmax(Z2)      X: (784, m)   the others: (10, m)"""
    Z1 = W1.dot(X) + b1
    A1 = ReLU(Z1)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2


def ReLU_deriv(Z: Array) -> Array:
    """g′(Z) = 1 where Z > 0, 0 elsewhere                    Z: (n, m)"""
    return np.asarray(Z) > 0


@checked(rules.one_hot_of_Y)
def one_hot(Y: Array, *, classes: int = 10) -> Array:
    """1 in row Y[i] of column i, 0 elsewhere                Y: (m,)   one-hot: (classes, m)

    The number of classes is an argument, because a batch may lack the largest label.
    """
    return (np.arange(classes)[:, np.newaxis] == np.asarray(Y)).astype(float)


@checked(rules.backward_prop)
def backward_prop(Z1: Array, A1: Array, Z2: Array, A2: Array, W1: Array, W2: Array, X: Array, Y: Array) -> Parameters:
    """dZ2 = A2 − Y, dW2 = 1/m dZ2·A1ᵀ, db2 = 1/m Σ dZ2, dZ1 = W2ᵀ·dZ2 ⊗ g′(Z1), dW1 = 1/m dZ1·Xᵀ, db1 = 1/m Σ dZ1

    dW1, db1, dW2, db2 have the shapes of W1, b1, W2, b2: db is summed over the samples only.
    """
    K, m = A2.shape
    dZ2 = A2 - one_hot(Y, classes=K)
    dW2 = dZ2.dot(A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = W2.T.dot(dZ2) * ReLU_deriv(Z1)
    dW1 = dZ1.dot(X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return dW1, db1, dW2, db2


@checked(rules.update_params)
def update_params(
    W1: Array, b1: Array, W2: Array, b2: Array, dW1: Array, db1: Array, dW2: Array, db2: Array, alpha: float
) -> Parameters:
    """W1 := W1 − α dW1, b1 := b1 − α db1, W2 := W2 − α dW2, b2 := b2 − α db2      returns the new four"""
    return W1 - alpha * dW1, b1 - alpha * db1, W2 - alpha * dW2, b2 - alpha * db2


def get_predictions(A2: Array) -> Array:
    """The row with the largest probability in each column                 A2: (K, m)   predictions: (m,)"""
    return np.argmax(A2, axis=0)


@checked(rules.get_accuracy)
def get_accuracy(predictions: Array, Y: Array) -> float:
    """The fraction of predictions that equal Y                            predictions, Y: (m,)"""
    return float(np.mean(np.asarray(predictions) == np.asarray(Y)))


def gradient_descent(
    X: Array, Y: Array, alpha: float, iterations: int, *, hidden: int = 10, classes: int = 10, rng: Random | None = None
) -> Parameters:
    """Initialize, then repeat `iterations` times: forward, backward, update  X: (784, m), pixels 0–1   Y: (m,)

    Every 10 iterations the accuracy on X is printed.
    """
    require_pixels("X", X)
    require_shape("Y", Y, (X.shape[1],), "one label per column of X")
    checks.positive("alpha", alpha)
    checks.integer("iterations", iterations, 0)
    W1, b1, W2, b2 = init_params(inputs=X.shape[0], hidden=hidden, classes=classes, rng=rng)
    for i in range(iterations):
        Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
        dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y)
        W1, b1, W2, b2 = update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha)
        if i % 10 == 0:
            print(f"Iteration: {i}  accuracy: {get_accuracy(get_predictions(A2), Y):.4f}")
    return W1, b1, W2, b2


def make_predictions(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    """The predicted class of each image                     X: (784, m), pixels from 0 to 1   predictions: (m,)"""
    require_pixels("X", X)
    _, _, _, A2 = forward_prop(W1, b1, W2, b2, X)
    return get_predictions(A2)


def test_prediction(
    index: int,
    W1: Array,
    b1: Array,
    W2: Array,
    b2: Array,
    *,
    X: Array | None = None,
    Y: Array | None = None,
    picture: str | Path | None = None,
) -> None:
    """Print the prediction for column `index` of `X` and its label, and draw the image as in `show`."""
    if X is None or Y is None:
        raise UsageError("test_prediction needs images and labels: pass X=…, Y=…")
    current_image = X[:, index, np.newaxis]
    prediction = make_predictions(current_image, W1, b1, W2, b2)
    print(f"Prediction: {prediction[0]}\nLabel: {Y[index]}")

    def draw(axes: Any) -> None:
        side = round(current_image.size**0.5)
        axes.imshow(np.reshape(current_image, (side, side)), cmap="gray", interpolation="nearest")
        axes.set_title(f"prediction {prediction[0]}, label {Y[index]}")

    show(draw, picture)


test_prediction.__test__ = False  # type: ignore[attr-defined]  # not a test for pytest
