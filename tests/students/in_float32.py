"""A solution with @, float32 on the way, classes and lambdas, and definitions behind a condition."""

import numpy as np

try:
    import a_package_that_nobody_has as xp
except ImportError:
    xp = np


class Activation:
    def __init__(self, f, slope):
        self.f, self.slope = f, slope

    def __call__(self, Z):
        return self.f(Z.astype(np.float32)), Z


stable = lambda Z: np.where(Z >= 0, 1 / (1 + np.exp(-np.abs(Z))), np.exp(-np.abs(Z)) / (1 + np.exp(-np.abs(Z))))
sigmoid = Activation(stable, lambda Z: stable(Z) * (1 - stable(Z)))
relu = Activation(lambda Z: Z * (Z > 0), lambda Z: (Z > 0).astype(float))

if True:

    def softmax(Z):
        E = xp.exp(Z - xp.amax(Z, 0))
        return E / E.sum(0), Z


def initialize_parameters(dimensions):
    np.random.seed(2)
    return {
        name: value
        for l in range(1, len(dimensions))
        for name, value in (
            (f"W{l}", 0.1 * np.random.standard_normal((dimensions[l], dimensions[l - 1]))),
            (f"b{l}", np.zeros([dimensions[l], 1])),
        )
    }


def layer_forward(H_prev, W, b, activation="relu"):
    Z = W.astype(np.float32) @ H_prev.astype(np.float32) + b
    H, activation_memory = globals()[activation](Z)
    return [H, [[H_prev, W, b], activation_memory]]


def L_layer_forward(X, parameters):
    memories = []
    for l in range(1, len(parameters) // 2):
        X, memory = layer_forward(X, parameters[f"W{l}"], parameters[f"b{l}"], activation="relu")
        memories += [memory]
    L = len(parameters) // 2
    HL, memory = layer_forward(X, parameters[f"W{L}"], parameters[f"b{L}"], activation="softmax")
    return HL, [*memories, memory]


def compute_loss(HL, Y):
    eps = 1e-9
    return np.array([[-np.sum(Y * np.log(HL + eps)) / HL.shape[-1]]])


def sigmoid_backward(dH, sigmoid_memory):
    return dH * sigmoid.slope(sigmoid_memory)


def relu_backward(dH, relu_memory):
    dH[relu_memory <= 0] = 0  # in place: the check adds a note
    return dH


def layer_backward(dH, memory, activation="relu"):
    (H_prev, W, b), Z = memory
    dZ = dH * globals()[activation].slope(Z)
    return W.T @ dZ, dZ @ H_prev.T / dZ.shape[1], np.mean(dZ, 1, keepdims=True)


def L_layer_backward(HL, Y, memories):
    m = float(HL.shape[1])
    dZ = (HL - Y) / m  # divided by m here already
    gradients = {}
    for l in reversed(range(len(memories))):
        (H_prev, W, _), Z = memories[l]
        if l < len(memories) - 1:
            dZ = gradients[f"dH{l + 1}"] / m * relu.slope(Z)
        gradients.update({f"dW{l + 1}": dZ @ H_prev.T, f"db{l + 1}": dZ.sum(1)[:, np.newaxis]})
        gradients[f"dH{l}"] = W.T @ dZ * m
    return gradients


def update_parameters(parameters, gradients, learning_rate):
    for l in range(1, len(parameters) // 2 + 1):
        parameters[f"W{l}"] += -learning_rate * gradients[f"dW{l}"]
        parameters[f"b{l}"] += -learning_rate * gradients[f"db{l}"]
    return parameters


def L_layer_model(X, Y, dimensions, learning_rate=0.0075, num_iterations=3000, print_loss=False):
    parameters = initialize_parameters(dimensions)
    losses = []
    for i in range(num_iterations):
        HL, memories = L_layer_forward(X, parameters)
        losses.append(compute_loss(HL, Y).item())
        parameters = update_parameters(parameters, L_layer_backward(HL, Y, memories), learning_rate)
    return parameters


def predict(X, y, parameters):
    p = L_layer_forward(X, parameters)[0].argmax(0)
    print("Accuracy:", np.count_nonzero(p == y.argmax(0)) / p.size)
    return p
