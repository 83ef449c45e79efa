"""Beyond the assignment: mini-batches and momentum for the network of `byhand.reference.l_layer`.

The assignment computes each step on the whole training set. `mini_batches` splits it, in a new random order for each
epoch, and `update_with_momentum` replaces `update_parameters`.
"""

from __future__ import annotations

from byhand.reference import rules
from byhand.reference.l_layer import *  # noqa: F403 - this module extends l_layer
from byhand.reference.l_layer import Array
from byhand.reference.rules import checked

__all__ = ["mini_batches", "update_with_momentum"]


@checked(rules.mini_batches)
def mini_batches(X: Array, Y: Array, order: Array, batch_size: int) -> list[tuple[Array, Array]]:
    """The columns order[0 : batch_size] of X and Y, then the next batch_size, to the end of order

    X: (n_0, m)   Y: (K, m)   order: (m,), a permutation of the samples   the last batch may be smaller
    """
    starts = range(0, X.shape[1], batch_size)
    return [(X[:, order[k : k + batch_size]], Y[:, order[k : k + batch_size]]) for k in starts]


@checked(rules.update_with_momentum)
def update_with_momentum(
    parameters: dict[str, Array],
    gradients: dict[str, Array],
    velocities: dict[str, Array],
    learning_rate: float,
    momentum: float = 0.9,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """v := momentum · v + dW, W := W − learning_rate · v, the same for b      both dictionaries are updated in place

    velocities: for each parameter, an array of its shape under its name, initially 0
    """
    for name, value in parameters.items():
        velocities[name] = momentum * velocities[name] + gradients[f"d{name}"]
        parameters[name] = value - learning_rate * velocities[name]
    return parameters, velocities
