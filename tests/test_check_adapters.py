"""`byhand check --adapter`: the assignments of others, with right solutions in their styles and planted mistakes."""

import pytest
from click.testing import CliRunner

from byhand.cli.check import command
from byhand.course import check_file
from byhand.course.probes.adapters import FOLDER, load_adapter
from byhand.errors import DataError, DataMissingError, UsageError
from helpers import in_process

DEEP = """
import numpy as np
from dnn_utils_v2 import sigmoid, sigmoid_backward, relu, relu_backward

def initialize_parameters_deep(layer_dims):
    np.random.seed(3)
    p = {}
    for l in range(1, len(layer_dims)):
        p['W' + str(l)] = np.random.randn(layer_dims[l], layer_dims[l-1]) / np.sqrt(layer_dims[l-1])
        p['b' + str(l)] = np.zeros((layer_dims[l], 1))
    return p

def linear_forward(A, W, b):
    return W @ A + b, (A, W, b)

def linear_activation_forward(A_prev, W, b, activation):
    Z, linear_cache = linear_forward(A_prev, W, b)
    A, activation_cache = {"relu": relu, "sigmoid": sigmoid}[activation](Z)
    return A, (linear_cache, activation_cache)

def L_model_forward(X, parameters):
    A, caches, L = X, [], len(parameters) // 2
    for l in range(1, L + 1):
        kind = "relu" if l < L else "sigmoid"
        A, cache = linear_activation_forward(A, parameters[f"W{l}"], parameters[f"b{l}"], kind)
        caches += [cache]
    return A, caches

def compute_cost(AL, Y):
    m = Y.shape[1]
    return np.squeeze(-(np.dot(Y, np.log(AL).T) + np.dot(1 - Y, np.log(1 - AL).T)) / m)

def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    return W.T @ dZ, dZ @ A_prev.T / m, dZ.mean(axis=1, keepdims=True)

def linear_activation_backward(dA, cache, activation):
    linear_cache, Z = cache
    dZ = relu_backward(dA, Z) if activation == "relu" else sigmoid_backward(dA, Z)
    return linear_backward(dZ, linear_cache)

def L_model_backward(AL, Y, caches):
    grads, L = {}, len(caches)
    dA = np.divide(1 - Y, 1 - AL) - np.divide(Y, AL)
    for l in reversed(range(L)):
        kind = "sigmoid" if l == L - 1 else "relu"
        dA, grads[f"dW{l+1}"], grads[f"db{l+1}"] = linear_activation_backward(dA, caches[l], kind)
        grads[f"dA{l}"] = dA
    return grads

def update_parameters(params, grads, learning_rate):
    return {key: value - learning_rate * grads["d" + key] for key, value in params.items()}
"""

PLANAR = """
import numpy as np
from planar_utils import sigmoid, load_planar_dataset

def initialize_parameters(n_x, n_h, n_y):
    return {"W1": 0.01 * np.random.randn(n_h, n_x), "b1": np.zeros((n_h, 1)),
            "W2": 0.01 * np.random.randn(n_y, n_h), "b2": np.zeros((n_y, 1))}

def forward_propagation(X, parameters):
    Z1 = parameters["W1"] @ X + parameters["b1"]
    A1 = np.tanh(Z1)
    Z2 = parameters["W2"] @ A1 + parameters["b2"]
    A2 = sigmoid(Z2)
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}

def compute_cost(A2, Y):
    return float(np.mean(-np.log(np.where(Y == 1, A2, 1 - A2))))

def backward_propagation(parameters, cache, X, Y):
    m = X.shape[1]
    dZ2 = cache["A2"] - Y
    dZ1 = parameters["W2"].T @ dZ2 * (1 - np.power(cache["A1"], 2))
    return {"dW1": dZ1 @ X.T / m, "db1": dZ1.sum(axis=1, keepdims=True) / m,
            "dW2": dZ2 @ cache["A1"].T / m, "db2": dZ2.sum(axis=1, keepdims=True) / m}

def update_parameters(parameters, grads, learning_rate=1.2):
    return {key: value - learning_rate * grads["d" + key] for key, value in parameters.items()}

def predict(parameters, X):
    return np.round(forward_propagation(X, parameters)[0])
"""

ROWS = """
import numpy as np

def affine_forward(x, w, b):
    return x.reshape(x.shape[0], -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T @ dout, dout.sum(axis=0)

def relu_forward(x):
    return x * (x > 0), x

def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)

def softmax_loss(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    N = x.shape[0]
    dx = np.exp(log_p)
    dx[range(N), y] -= 1
    return -log_p[range(N), y].sum() / N, dx / N

class TwoLayerNet(object):
    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {"W1": std * np.random.randn(input_size, hidden_size)}

    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = (self.params[key] for key in ("W1", "b1", "W2", "b2"))
        H = np.maximum(X.dot(W1) + b1, 0)
        loss, dscores = softmax_loss(H.dot(W2) + b2, y)
        loss += reg * ((W1 ** 2).sum() + (W2 ** 2).sum())
        dH = dscores.dot(W2.T)
        dH[H <= 0] = 0
        grads = {"W2": H.T.dot(dscores) + 2 * reg * W2, "b2": dscores.sum(axis=0)}
        grads["W1"] = X.T.dot(dH) + 2 * reg * W1
        grads["b1"] = dH.sum(axis=0)
        return loss, grads
"""

METHODS = """
import random
import numpy as np

class Network(object):
    def __init__(self, sizes):
        self.num_layers, self.sizes = len(sizes), sizes
        self.biases = [np.random.randn(n, 1) for n in sizes[1:]]
        self.weights = [np.random.randn(n, p) for p, n in zip(sizes, sizes[1:])]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = sigmoid(w @ a + b)
        return a

    def update_mini_batch(self, mini_batch, eta):
        total_b, total_w = [np.zeros(b.shape) for b in self.biases], [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            db, dw = self.backprop(x, y)
            total_b = [t + d for t, d in zip(total_b, db)]
            total_w = [t + d for t, d in zip(total_w, dw)]
        self.weights = [w - eta / len(mini_batch) * t for w, t in zip(self.weights, total_w)]
        self.biases = [b - eta / len(mini_batch) * t for b, t in zip(self.biases, total_b)]

    def backprop(self, x, y):
        a, zs, activations = x, [], [x]
        for l in range(self.num_layers - 1):
            zs.append(self.weights[l] @ a + self.biases[l])
            a = sigmoid(zs[-1])
            activations.append(a)
        db, dw = [0] * len(zs), [0] * len(zs)
        delta = self.cost_derivative(activations[-1], y) * sigmoid_prime(zs[-1])
        for l in range(1, self.num_layers):
            db[-l], dw[-l] = delta, delta @ activations[-l - 1].T
            if l < self.num_layers - 1:
                delta = self.weights[-l].T @ delta * sigmoid_prime(zs[-l - 1])
        return db, dw

    def cost_derivative(self, output_activations, y):
        return output_activations - y

def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))

def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))
"""
SOLUTIONS = {"deeplearning-l-layer": DEEP, "deeplearning-two-layer": PLANAR, "cs231n": ROWS, "nielsen": METHODS}


def checked(adapter, source, tmp_path, monkeypatch):
    path = tmp_path / "student.py"
    path.write_text(source)
    return in_process.check(path, load_adapter(adapter), monkeypatch, seed=1)


@pytest.mark.parametrize("adapter", SOLUTIONS)
def test_a_right_solution_of_another_assignment_is_right(adapter, tmp_path, monkeypatch):
    report = checked(adapter, SOLUTIONS[adapter], tmp_path, monkeypatch)
    assert {one.function: one.status for one in report.verdicts} == dict.fromkeys(
        (one.name for one in load_adapter(adapter).functions), "right"
    )
    assert not any(one.remarks for one in report.verdicts)


QUICK = [
    ("deeplearning-l-layer", "linear_backward", "dZ @ A_prev.T / m", "dZ @ A_prev.T", "dW: 1/m is missing"),
    ("deeplearning-two-layer", "compute_cost", "np.mean(", "np.sum(", "cost: 1/m is missing"),
    ("cs231n", "affine_backward", "dout.sum(axis=0)", "dout.sum(axis=0, keepdims=True)", "db: must have shape ("),
    ("nielsen", "sigmoid_prime", "(1 - sigmoid(z))", "sigmoid(z)", "`return s * s`"),
]  # fmt: skip
BACKWARD = "self.weights[-l].T @ delta"
SLOW = [
    ("deeplearning-l-layer", "linear_forward", "W @ A + b", "W @ A", "`Z = np.dot(W, A)`"),
    ("deeplearning-l-layer", "L_model_backward", "np.divide(Y, AL)", "np.divide(Y, 1 - AL)", "differs from the right"),
    ("deeplearning-l-layer", "compute_cost", "-(np.dot", "(np.dot", "cost: the sign is wrong"),
    ("deeplearning-two-layer", "backward_propagation", "1 - np.power", "np.power", "dZ2) * A1 ** 2`"),
    ("cs231n", "softmax_loss", "dx / N", "dx", "dx: 1/m is missing"),
    ("cs231n", "two_layer_loss", "2 * reg * W1", "reg * W1", "only wrong with reg=0.05"),
    ("nielsen", "backprop", f"{BACKWARD} * sigmoid_prime(zs[-l - 1])", BACKWARD, "(weights[layer + 1].T, delta)`"),
    ("nielsen", "update_mini_batch", "eta / len(mini_batch) * t for w", "eta * t for w", "`weights = [w - eta * sum("),
]  # fmt: skip
MISTAKES = [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)]


@pytest.mark.parametrize(("adapter", "function", "old", "new", "words"), MISTAKES)
def test_a_mistake_in_another_assignment_has_a_cause(adapter, function, old, new, words, tmp_path, monkeypatch):
    assert old in SOLUTIONS[adapter]
    report = checked(adapter, SOLUTIONS[adapter].replace(old, new), tmp_path, monkeypatch)
    assert [one.function for one in report.verdicts if one.status == "wrong"] == [function]
    assert words in "\n".join(report[function].words)


def test_an_adapter_that_is_missing_or_incomplete_gives_one_line(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("title = 'A'")
    with pytest.raises(DataError, match=r"a\.toml: reference must be given"):
        load_adapter(str(path))
    with pytest.raises(DataMissingError, match=r"--adapter must be cs231n, .* or a TOML file, got cs231$"):
        load_adapter("cs231")


@pytest.mark.slow
def test_the_file_names_the_adapter_and_grading_adds_hidden_cases(tmp_path):
    path = tmp_path / "mean.py"
    source = "# byhand: adapter practice\nimport numpy as np\ndef average(X):\n    return X.sum(1, keepdims=True) / 5\n"
    path.write_text(source)
    assert check_file(path).counts()["right"] == 1
    assert not check_file(path, page=load_adapter("practice", with_hidden=True)).ok
    path.write_text(source.replace("practice", "/tmp/mine.toml"))
    with pytest.raises(UsageError, match=r"a file can name one of the adapters cs231n, .*, got /tmp/mine\.toml"):
        check_file(path)


@pytest.mark.slow
def test_the_command_names_the_adapter(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(METHODS)
    ran = CliRunner().invoke(command, [str(path), "--adapter", "nielsen"])
    assert ran.stdout.startswith(f"{path}: functions of the adapter nielsen\n")
    assert ran.stdout.endswith("6 right\n")
    assert {one.stem for one in FOLDER.glob("*.toml")} == {*SOLUTIONS, "practice"}
