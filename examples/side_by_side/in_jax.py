"""784-45-10 in JAX."""

import jax
from jax import numpy as jnp
from start import W1, W2, X, b1, b2, iterations, labels, rate

jax.config.update("jax_enable_x64", True)
parameters = {
    "W1": jnp.array(W1.T),
    "b1": jnp.array(b1),
    "W2": jnp.array(W2.T),
    "b2": jnp.array(b2),
}


def loss_of(p):
    H = jax.nn.relu(X @ p["W1"] + p["b1"])
    Z = H @ p["W2"] + p["b2"]
    log_p = jax.nn.log_softmax(Z)
    right = log_p[jnp.arange(len(labels)), labels]
    return -right.mean()


step = jax.value_and_grad(loss_of)
for _ in range(iterations):
    loss, gradients = step(parameters)
    print(f"{loss:.8f}")
    for name, gradient in gradients.items():
        parameters[name] -= rate * gradient
