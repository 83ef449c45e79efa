"""The 784-10-10 program with its arguments in another order, biases as rows, and another generator."""

import numpy as np

rng = np.random.default_rng()


def init_params():
    def uniform(*shape):
        return rng.uniform(-0.5, 0.5, shape)

    return uniform(10, 784), uniform(10, 1), uniform(10, 10), uniform(10, 1)


def ReLU(z):
    return np.where(z > 0, z, 0.0)


def ReLU_deriv(z):
    return np.heaviside(z, 0)


def softmax(z):
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0)


def one_hot(y, num_classes=10):
    return np.eye(num_classes)[y].T


def forward_prop(X, W1, b1, W2, b2):
    Z1 = np.matmul(W1, X) + b1
    A1 = ReLU(Z1)
    Z2 = np.einsum("ij,jk->ik", W2, A1) + b2
    return Z1, A1, Z2, softmax(Z2)


def backward_prop(Z1, A1, Z2, A2, W2, X, Y):
    samples = X.shape[1]
    dZ2 = A2.copy()
    dZ2[Y, np.arange(samples)] -= 1
    dZ1 = ReLU_deriv(Z1) * (W2.T @ dZ2)
    return dZ1 @ X.T / samples, np.sum(dZ1, 1) / samples, dZ2 @ A1.T / samples, np.sum(dZ2, 1) / samples


def update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha):
    W1 -= alpha * dW1
    b1 -= alpha * np.reshape(db1, (10, 1))
    W2 -= alpha * dW2
    b2 -= alpha * np.reshape(db2, (10, 1))
    return W1, b1, W2, b2


def get_predictions(A2):
    return A2.argmax(axis=0)


def get_accuracy(predictions, Y):
    return (predictions == Y).mean()


def gradient_descent(X, Y, iterations, alpha):
    params = init_params()
    for _ in range(iterations):
        Z1, A1, Z2, A2 = forward_prop(X, *params)
        grads = backward_prop(Z1, A1, Z2, A2, params[2], X, Y)
        params = update_params(*params, *grads, alpha)
    return params


def make_predictions(X, W1, b1, W2, b2):
    return get_predictions(forward_prop(X, W1, b1, W2, b2)[-1])
