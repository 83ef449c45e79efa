"""JAX with the whole epoch as one jitted function: a scan over the batches, the last short one after it.

The parameters' buffers are donated and reused for the results. Compiling happens in the first epoch, which is
not timed with the others.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.work import Contestant, Work

State = Any


class JAX(Contestant):
    """Parameters, and Adam's moments, as a tree of arrays."""

    def __init__(self, work: Work) -> None:
        X, y = work.floats()
        self.X, self.y = jnp.asarray(X), jnp.asarray(y)
        parameters = [(jnp.asarray(W), jnp.asarray(b)) for W, b in work.start]
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        moments = None if work.optimizer == "sgd" else (zeros, jax.tree.map(jnp.zeros_like, parameters))
        self.state: State = (parameters, moments, jnp.zeros((), jnp.int32))
        self.rng = np.random.default_rng(0)
        update = partial(step, rate=work.rate)
        if work.batch is None:
            self.run = jax.jit(lambda state, X, y, order: update(state, X, y), donate_argnums=0)
        else:
            self.run = jax.jit(partial(over_batches, update, batch=work.batch), donate_argnums=0)
        self.steps = work.steps

    def epoch(self, number: int) -> float:
        order = np.arange(len(self.X)) if number == 0 else self.rng.permutation(len(self.X))
        self.state, total = self.run(self.state, self.X, self.y, order.astype(np.int32))
        return float(total) / self.steps


def over_batches(update: Any, state: State, X: Any, y: Any, order: Any, *, batch: int) -> tuple[State, Any]:
    """Train on all batches in order; return the sum of their losses."""
    whole = len(order) // batch * batch
    rows = order[:whole].reshape(-1, batch)
    state, losses = jax.lax.scan(lambda state, i: update(state, X[i], y[i]), state, rows)
    total = losses.sum()
    if whole < len(order):
        state, loss = update(state, X[order[whole:]], y[order[whole:]])
        total += loss
    return state, total


def loss_of(parameters: Any, X: Any, y: Any) -> Any:
    """Softmax and cross-entropy on top of dense layers with relu between."""
    for W, b in parameters[:-1]:
        X = jax.nn.relu(X @ W + b)
    W, b = parameters[-1]
    return -jnp.take_along_axis(jax.nn.log_softmax(X @ W + b), y[:, None], axis=1).mean()


def step(state: State, X: Any, y: Any, *, rate: float) -> tuple[State, Any]:
    """Take one step, with Adam if there are moments, otherwise with gradient descent."""
    parameters, moments, t = state
    loss, gradient = jax.value_and_grad(loss_of)(parameters, X, y)
    t = t + 1
    if moments is None:
        parameters = jax.tree.map(lambda p, g: p - rate * g, parameters, gradient)
    else:
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradient)
        scale, root = 1 - 0.9**t, jnp.sqrt(1 - 0.999**t)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate / scale * m / (jnp.sqrt(v) / root + 1e-8), parameters, first, second
        )
        moments = (first, second)
    return (parameters, moments, t), loss
