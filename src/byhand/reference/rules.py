"""Argument checks of the reference implementations: each function returns None or raises `UsageError`.

Many wrong shapes broadcast in NumPy and give wrong numbers without an error. The checks are here, so that the other
modules contain only formulas: `@checked(rules.layer_forward)` calls this module's `layer_forward` first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from byhand import checks
from byhand.errors import UsageError

HIDDEN = ("relu", "sigmoid")

P = ParamSpec("P")
T = TypeVar("T")


def checked(rule: Callable[..., None]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function so that `rule` is called first with the same arguments."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def checked_function(*args: P.args, **kwargs: P.kwargs) -> T:
            rule(*args, **kwargs)
            return function(*args, **kwargs)

        return checked_function

    return decorate


# ---- l_layer: each check has the name and the parameters of its function -----------------------------------------


def one_hot(j: Any, *, classes: int = 10) -> None:
    require_labels("j", j, classes)


def initialize_parameters(dimensions: Any, *, rng: Any = None) -> None:
    require_dimensions(dimensions)


def layer_forward(H_prev: Any, W: Any, b: Any, activation: Any = "relu") -> None:
    checks.choice("activation", activation, (*HIDDEN, "softmax"))
    require_matrix("W", W)
    require_matrix("H_prev", H_prev)
    require_shape("H_prev", H_prev, (W.shape[1], H_prev.shape[1]), "one row for each column of W")
    require_shape("b", b, (W.shape[0], 1), "one row for each row of W")


def L_layer_forward(X: Any, parameters: Any, *, hidden: Any = "relu") -> None:
    checks.choice("hidden", hidden, HIDDEN)
    L = max(1, len(parameters) // 2)
    require_names("parameters", parameters, [f"{kind}{l}" for l in range(1, L + 1) for kind in "Wb"])


def compute_loss(HL: Any, Y: Any, *, ZL: Any = None) -> None:
    require_matrix("HL", HL)
    require_shape("Y", Y, HL.shape, "as HL: use one_hot(labels)")


def sigmoid_backward(dH: Any, sigmoid_memory: Any) -> None:
    require_shape("dH", dH, np.shape(sigmoid_memory), "as the Z in the memory")


def relu_backward(dH: Any, relu_memory: Any) -> None:
    require_shape("dH", dH, np.shape(relu_memory), "as the Z in the memory")


def layer_backward(dH: Any, memory: Any, activation: Any = "relu") -> None:
    checks.choice("activation", activation, HIDDEN)  # relu_backward and sigmoid_backward check the shape of dH


def L_layer_backward(HL: Any, Y: Any, memories: Any, *, hidden: Any = "relu") -> None:
    require_shape("Y", Y, np.shape(HL), "as HL: use one_hot(labels)")


def update_parameters(parameters: Any, gradients: Any, learning_rate: Any) -> None:
    require_names("gradients", gradients, [f"d{name}" for name in parameters])
    for name, value in parameters.items():
        require_shape(f"d{name}", gradients[f"d{name}"], value.shape, f"as {name}")


# ---- beyond ------------------------------------------------------------------------------------------------------


def mini_batches(X: Any, Y: Any, order: Any, batch_size: Any) -> None:
    require_matrix("X", X)
    require_shape("Y", Y, (Y.shape[0], X.shape[1]), "one column for each column of X")
    require_shape("order", order, (X.shape[1],), "each column index of X once")
    checks.integer("batch_size", batch_size, 1)


def update_with_momentum(
    parameters: Any, gradients: Any, velocities: Any, learning_rate: Any, momentum: Any = 0.9
) -> None:
    require_names("velocities", velocities, parameters)
    update_parameters(parameters, gradients, learning_rate)


# ---- two_layer ---------------------------------------------------------------------------------------------------


def forward_prop(W1: Any, b1: Any, W2: Any, b2: Any, X: Any) -> None:
    require_matrix("X", X)
    require_shape("X", X, (W1.shape[1], X.shape[1]), "one row for each column of W1")
    require_shape("b1", b1, (W1.shape[0], 1), "one row for each row of W1")
    require_shape("W2", W2, (W2.shape[0], W1.shape[0]), "one column for each row of W1")
    require_shape("b2", b2, (W2.shape[0], 1), "one row for each row of W2")


def one_hot_of_Y(Y: Any, *, classes: int = 10) -> None:
    require_labels("Y", Y, classes)


one_hot_of_Y.__qualname__ = "one_hot"  # the name in a TypeError for missing or surplus arguments


def backward_prop(Z1: Any, A1: Any, Z2: Any, A2: Any, W1: Any, W2: Any, X: Any, Y: Any) -> None:
    _, m = A2.shape
    require_shape("Y", Y, (m,), "one label per column of A2")


def update_params(W1: Any, b1: Any, W2: Any, b2: Any, dW1: Any, db1: Any, dW2: Any, db2: Any, alpha: Any) -> None:
    require_shape("dW1", dW1, W1.shape, "as W1")
    require_shape("db1", db1, b1.shape, "as b1")
    require_shape("dW2", dW2, W2.shape, "as W2")
    require_shape("db2", db2, b2.shape, "as b2")


def get_accuracy(predictions: Any, Y: Any) -> None:
    require_shape("predictions", predictions, np.shape(Y), "as Y")


# ---- shared checks -----------------------------------------------------------------------------------------------


def require_shape(name: str, array: Any, shape: tuple[int, ...], because: str) -> None:
    """Require that `array` has this shape; `because` explains it in a few words."""
    if np.shape(array) != shape:
        raise UsageError(f"{name} must have shape {shape}, {because}, got {np.shape(array)}")


def require_matrix(name: str, array: Any) -> None:
    """Require that `array` has two axes, one sample per column."""
    if np.ndim(array) != 2:
        raise UsageError(f"{name} must have two axes, one sample per column, got shape {np.shape(array)}")


def require_pixels(name: str, X: Any) -> None:
    """Require that `X` is a matrix with at least one sample, and that its values are not the bytes 0 to 255.

    With bytes the sums of a layer reach thousands: the exponentials overflow, or all units become dead ReLUs.
    Inputs with negative values count as standardized and are accepted.
    """
    require_matrix(name, X)
    if np.size(X) == 0:
        raise UsageError(f"{name} must have at least one sample, got shape {np.shape(X)}")
    low, high = np.min(X), np.max(X)
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{name} must be finite numbers, got {low + high}")
    if np.asarray(X).dtype == np.uint8 or (low >= 0 and high > 1):
        raise UsageError(f"{name} must be pixels from 0 to 1, got bytes from {low} to {high}: divide them by 255")


def require_labels(name: str, labels: Any, classes: int) -> None:
    """Require that `labels` is a vector of integers from 0 to `classes` - 1."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise UsageError(f"{name} must be a vector of labels, shape (m,), got shape {labels.shape}")
    wrong = labels[~np.isin(labels, np.arange(classes))]
    if wrong.size:
        raise UsageError(f"{name} must be integers from 0 to {classes - 1}, got {wrong[0]}")


def require_dimensions(dimensions: Sequence[int]) -> None:
    """Require that `dimensions` holds two or more positive integers."""
    if len(dimensions) < 2 or not all(checks.is_integer(d, 1) for d in dimensions):
        raise UsageError(f"dimensions must be two or more positive integers, got {list(dimensions)}")


def require_names(name: str, given: Mapping[str, Any], needed: Iterable[str]) -> None:
    """Require that the dictionary `given` has all keys in `needed`."""
    for key in needed:
        if key not in given:
            raise UsageError(f"{name} must contain {key}, got {', '.join(given) or 'nothing'}")
