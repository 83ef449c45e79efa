"""What scikit-learn's names mean here: parameters become a recipe, weights lose their zeros, a curve settles.

`of` is the classifier whose parameters are read; see `byhand.sklearn.classifier` for the list of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from byhand.errors import UsageError
from byhand.nn.arrays import Array
from byhand.nn.optimizers import Adam, AdamW, GradientDescent, Momentum, Optimizer, RMSprop
from byhand.nn.schedules import SCHEDULES
from byhand.training import Recipe
from byhand.training.recipe import is_number

SOLVERS = ("adam", "sgd", "adamw", "rmsprop")
#: What scikit-learn calls an activation, where byhand calls it something else.
ACTIVATION_NAMES = {"logistic": "sigmoid"}


#: The parameters that are numbers, what they must fulfil, and how that is said.
NUMBERS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("alpha", lambda value: 0 <= value < np.inf, "finite and at least 0"),
    ("learning_rate_init", lambda value: 0 < value < np.inf, "a positive number"),
    ("tol", lambda value: not np.isnan(value), "a number"),
    ("validation_fraction", lambda value: 0 < value < 1, "over 0 and under 1"),
    ("beta_1", lambda value: 0 <= value < 1, "at least 0 and under 1"),
    ("beta_2", lambda value: 0 <= value < 1, "at least 0 and under 1"),
)


def check_parameters(of: Any) -> None:
    """Refuse what the rooms below would not know under these names."""
    if of.solver not in SOLVERS:
        raise UsageError(f"solver must be one of {', '.join(SOLVERS)}, got {of.solver!r}")
    if of.learning_rate not in tuple(SCHEDULES):
        raise UsageError(f"learning_rate must be one of {', '.join(SCHEDULES)}, got {of.learning_rate!r}")
    for name, holds, rule in NUMBERS:
        value = getattr(of, name)
        if not (is_number(value) and holds(value)):
            raise UsageError(f"{name} must be {rule}, got {value!r}")
    for name in ("max_iter", "n_iter_no_change"):
        if not is_count(value := getattr(of, name)):
            raise UsageError(f"{name} must be a positive integer, got {value!r}")
    if of.batch_size not in ("auto", None) and not is_count(of.batch_size):
        raise UsageError(f"batch_size must be a positive integer, 'auto' or None, got {of.batch_size!r}")


def is_count(value: Any) -> bool:
    """Whether this is an integer from 1."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def recipe_for(of: Any, samples: int, weights: Array | None, epochs: int, *, held_out: bool) -> Recipe:
    """The recipe for so many samples."""
    validation = of.validation_fraction if of.early_stopping and held_out else 0.0
    batch = min(200, samples) if of.batch_size == "auto" else of.batch_size
    rows = min(samples if batch is None else int(batch), samples - round(validation * samples))
    mean_weight = 1.0 if weights is None else float(weights.mean())
    return Recipe(
        epochs=epochs,
        batch_size=None if batch is None else int(batch),
        learning_rate=of.learning_rate_init,
        optimizer=optimizer_for(of, of.alpha / (max(rows, 1) * mean_weight)),
        schedule=SCHEDULES[of.learning_rate](),
        validation=validation,
        threads=of.threads,
    )


def optimizer_for(of: Any, penalty: float) -> Optimizer:
    """`penalty` is the weight of the L2 term in one batch's mean loss."""
    if of.solver == "sgd":
        if of.momentum == 0:
            return GradientDescent(weight_decay=penalty)
        return Momentum(weight_decay=penalty, momentum=of.momentum, nesterov=of.nesterovs_momentum)
    if of.solver == "rmsprop":
        return RMSprop(weight_decay=penalty, epsilon=of.epsilon)
    if of.solver == "adamw":
        return AdamW(weight_decay=of.alpha, beta1=of.beta_1, beta2=of.beta_2, epsilon=of.epsilon)
    return Adam(weight_decay=penalty, beta1=of.beta_1, beta2=of.beta_2, epsilon=of.epsilon)


class Settling:
    """Watches a value that should rise, and says when it has not risen by `tol` for `patience` looks."""

    def __init__(self, tol: float, patience: int) -> None:
        self.tol, self.patience = tol, patience
        self.best, self.waited = -np.inf, 0

    def improves(self, value: float) -> bool:
        """Take the next value; whether it is the best so far."""
        self.waited = self.waited + 1 if value < self.best + self.tol else 0
        is_best = value > self.best
        self.best = max(self.best, value)
        return is_best

    @property
    def is_over(self) -> bool:
        return self.waited > self.patience


def with_weights(X: Array, labels: Array, sample_weight: Any) -> tuple[Array, Array, Array | None]:
    """Samples, labels and weights without the samples that weigh nothing."""
    if sample_weight is None:
        return X, labels, None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(len(X), weights)
    if weights.shape != (len(X),):
        raise UsageError(f"sample_weight must have the shape ({len(X)},), got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise UsageError("sample_weight must be finite, at least 0 and not all zero")
    counts = weights > 0
    return (X, labels, weights) if counts.all() else (X[counts], labels[counts], weights[counts])
