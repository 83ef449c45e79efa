"""What the reference pages refuse, and the words they use: the thing, the rule, the value.

The pages call these before they compute, because NumPy would broadcast most of these mistakes into a wrong number
without a word. Each function returns nothing, or raises `UsageError`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from byhand.errors import UsageError


def require_shape(name: str, array: Any, shape: tuple[int, ...], because: str) -> None:
    """`array` must have exactly `shape`; `because` says in a few words what the axes stand for."""
    if np.shape(array) != shape:
        raise UsageError(f"{name} must have shape {shape}, {because}, got {np.shape(array)}")


def require_matrix(name: str, array: Any) -> None:
    """`array` must have two axes, one sample a column."""
    if np.ndim(array) != 2:
        raise UsageError(f"{name} must have two axes, one sample a column, got shape {np.shape(array)}")


def require_pixels(name: str, X: Any) -> None:
    """`X` must be a matrix with a sample in it, and hold fractions rather than the bytes 0 to 255.

    Bytes as they come make the sums of a layer reach thousands, and what follows is overflow or a dead network.
    Inputs that go below 0 were standardised by someone who knows, and pass.
    """
    require_matrix(name, X)
    if np.size(X) == 0:
        raise UsageError(f"{name} must hold at least one sample, got shape {np.shape(X)}")
    low, high = np.min(X), np.max(X)
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{name} must hold finite numbers, got {low + high}")
    if np.asarray(X).dtype == np.uint8 or (low >= 0 and high > 1):
        raise UsageError(f"{name} must hold pixels from 0 to 1, got bytes from {low} to {high}: divide them by 255")


def require_labels(name: str, labels: Any, classes: int) -> None:
    """`labels` must be one row of whole numbers from 0 to `classes` - 1."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise UsageError(f"{name} must be one row of labels, shape (m,), got shape {labels.shape}")
    wrong = labels[~np.isin(labels, np.arange(classes))]
    if wrong.size:
        raise UsageError(f"{name} must be whole numbers from 0 to {classes - 1}, got {wrong[0]}")


def require_dimensions(dimensions: Sequence[int]) -> None:
    """`dimensions` must give the inputs and at least one layer, each a positive whole number."""
    whole = all(isinstance(d, int | np.integer) and d > 0 for d in dimensions)
    if len(dimensions) < 2 or not whole:
        raise UsageError(f"dimensions must be two or more positive whole numbers, got {list(dimensions)}")


def require_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """`value` must be one of `choices`."""
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def require_names(name: str, given: Mapping[str, Any], needed: Iterable[str]) -> None:
    """The dictionary `given` must hold every key that is `needed`."""
    for key in needed:
        if key not in given:
            raise UsageError(f"{name} must hold {key}, got {', '.join(given) or 'nothing'}")


def require_steps(rate_name: str, rate: float, count_name: str, count: int) -> None:
    """Training takes `count` steps of size `rate`: a positive number, and a whole one that is not negative."""
    if not (np.isfinite(rate) and rate > 0):
        raise UsageError(f"{rate_name} must be a positive number, got {rate}")
    if not isinstance(count, int | np.integer) or count < 0:
        raise UsageError(f"{count_name} must be a whole number, 0 or more, got {count}")
