"""A solution in einsum, with other names for the arguments, other memory layouts, and helpers of its own."""

from functools import reduce

from numpy import argmax, asfortranarray, einsum, exp, log, maximum, sign, tanh, where, zeros
from numpy.random import RandomState


def sigmoid(z):
    return 0.5 * (1 + tanh(z / 2)), z


def relu(z):
    return (abs(z) + z) / 2, z


def softmax(z):
    e = exp(z - z.max())  # one maximum for all columns works too, unless they differ by hundreds
    return asfortranarray(e / einsum("ij->j", e)), z


def initialize_parameters(dims):
    stream = RandomState(2)

    def add(parameters, l):
        parameters[f"W{l}"] = asfortranarray(stream.normal(0, 0.1, (dims[l], dims[l - 1])))
        parameters[f"b{l}"] = zeros((dims[l], 1))
        return parameters

    return reduce(add, range(1, len(dims)), {})


ACTIVATIONS = dict(relu=relu, sigmoid=sigmoid)
ACTIVATIONS["softmax"] = softmax


def layer_forward(A, weights, bias, act="relu"):
    z = einsum("ij,jm->im", weights, A) + bias
    h, _ = ACTIVATIONS[act](z)
    return h, ((A, weights, bias), z)


def L_layer_forward(pictures, params):
    depth = len(params) // 2

    def step(state, l):
        h, memories = state
        act = "softmax" if l == depth else "relu"
        out, memory = layer_forward(h, params[f"W{l}"], params[f"b{l}"], act)
        return out, (*memories, memory)

    h, memories = reduce(step, range(1, depth + 1), (pictures, ()))
    return h, list(memories)


def compute_loss(P, targets):
    return -log((P * targets).sum(axis=0)).mean()


def sigmoid_backward(grad, z):
    h = sigmoid(z)[0]
    return einsum("ij,ij,ij->ij", grad, h, 1 - h)


def relu_backward(grad, z):
    return grad * (1 + sign(z)) / 2


def layer_backward(grad, memory, act="relu"):
    (a, w, _), z = memory
    dz = {"relu": relu_backward, "sigmoid": sigmoid_backward}[act](grad, z)
    return einsum("ji,jm->im", w, dz), einsum("im,jm->ij", dz, a) / dz.shape[1], dz.mean(axis=1)[:, None]


def L_layer_backward(P, targets, memories):
    gradients, dz = {}, P - targets
    for l in range(len(memories), 0, -1):
        (a, w, _), _ = memories[l - 1]
        if l < len(memories):
            gradients[f"dH{l - 1}"], gradients[f"dW{l}"], gradients[f"db{l}"] = layer_backward(
                gradients[f"dH{l}"], memories[l - 1]
            )
        else:
            gradients[f"dW{l}"] = einsum("im,jm->ij", dz, a) / dz.shape[1]
            gradients[f"db{l}"] = dz.mean(axis=1, keepdims=True)
            gradients[f"dH{l - 1}"] = einsum("ji,jm->im", w, dz)
    return gradients


def update_parameters(params, grads, rate):
    return {key: value - rate * grads["d" + key] for key, value in params.items()}


def L_layer_model(pictures, targets, dims, learning_rate=0.0075, num_iterations=3000, print_loss=False):
    params = initialize_parameters(dims)
    for i in range(num_iterations):
        P, memories = L_layer_forward(pictures, params)
        if print_loss and i % 100 == 0:
            print(f"Loss after iteration {i}: {compute_loss(P, targets):f}")
        params = update_parameters(params, L_layer_backward(P, targets, memories), learning_rate)
    return params


def predict(pictures, targets, params):
    found = argmax(L_layer_forward(pictures, params)[0], axis=0)
    right = where(found == argmax(targets, axis=0), 1.0, 0.0)
    print("Accuracy: ", maximum(0, right.mean()))
    return found
