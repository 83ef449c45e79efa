"""Probes of the L-layer page, the way back: derivatives, updates, training, predictions."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from byhand.course.probes.forward import SHAPES, network
from byhand.course.probes.probing import Array, Function, Outputs, Probe, away_from_zero, named, one, several, slope
from byhand.reference import l_layer as page

NUMBER = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?"
SHARE = rf"{NUMBER}(?=\s*%)|\d+\.\d+(?:e[-+]?\d+)?"  # in percent, or with a point


def _sigmoid_backward(rng: np.random.Generator) -> Iterator[Probe]:
    for shape in ((3, 5), (4, 4)):
        dH, Z = rng.normal(size=shape), rng.normal(size=shape)
        H, _ = page.sigmoid(Z)
        again, _ = page.sigmoid(H)
        wrong = {
            "Z taken for H": dH * Z * (1 - Z),
            "sigmoid taken twice": dH * again * (1 - again),
            "dH left out": H * (1 - H),
            "factor left out": dH * H,
            "factor left out ": dH * (1 - H),
            "derivative left out": dH,
        }
        slopes = {"dZ": slope(_weighed(dH, page.sigmoid), Z)}
        yield _for_one("dZ", {"dH": dH, "sigmoid_memory": Z}, page.sigmoid_backward(dH, Z), wrong, slopes)


def _relu_backward(rng: np.random.Generator) -> Iterator[Probe]:
    for shape in ((3, 5), (4, 4)):
        dH, Z = rng.normal(size=shape), away_from_zero(rng, *shape)
        wrong = {
            "sign of dH for sign of Z": np.maximum(0, dH),
            "relu turned round": np.where(Z > 0, 0, dH),
            "dH left out": Z > 0,
            "relu of the memory": np.maximum(0, Z),
            "derivative left out": dH,
            "wrong derivative": dH * page.sigmoid(Z)[0] * (1 - page.sigmoid(Z)[0]),
        }
        slopes = {"dZ": slope(_weighed(dH, page.relu), Z)}
        yield _for_one("dZ", {"dH": dH, "relu_memory": Z}, page.relu_backward(dH, Z), wrong, slopes)


def _weighed(dH: Array, activation: Any) -> Any:
    """Z ↦ Σ dH ⊗ activation(Z), whose slopes are dZ"""
    return lambda Z: np.sum(dH * activation(Z)[0])


def _layer_slopes(dH: Array, H_prev: Array, W: Array, b: Array, activation: Any) -> dict[str, Array]:
    """The slopes of Σ dH ⊗ activation(W · H_prev + b); those of W and b as means over the samples."""
    total, m = _weighed(dH, activation), H_prev.shape[1]
    return {
        "dH_prev": slope(lambda value: total(W @ value + b), H_prev),
        "dW": slope(lambda value: total(value @ H_prev + b), W) / m,
        "db": slope(lambda value: total(W @ H_prev + value), b) / m,
    }


def _for_one(name: str, arguments: Outputs, right: Any, wrong: dict[str, Any], slopes: Outputs) -> Probe:
    return Probe(arguments, {name: right}, {mistake: {name: value} for mistake, value in wrong.items()}, {}, slopes)


def bias_mistakes(dZ: Array) -> dict[str, Array]:
    """What db may come out as, in place of the sum over the samples divided by m; used by both pages."""
    n, m = dZ.shape
    return {
        "bias summed over everything": np.asarray(dZ.sum() / m),
        "bias summed over everything ": np.full((n, 1), dZ.sum() / m),
        "bias summed over everything  ": np.full((1, 1), dZ.sum() / m),
        "bias summed over units": dZ.sum(axis=0, keepdims=True) / m,
        "bias summed over units ": dZ.sum(axis=0) / m,
        "bias not summed": dZ / m,
        "bias not summed ": dZ,
    }


def _layer_backward(rng: np.random.Generator) -> Iterator[Probe]:
    for activation, function in (("relu", page.relu), ("sigmoid", page.sigmoid)):
        for n_prev, n, m in SHAPES:
            H_prev, W, b = rng.normal(size=(n_prev, m)), rng.normal(size=(n, n_prev)), rng.normal(size=(n, 1))
            dH, (H, memory) = rng.normal(size=(n, m)), page.layer_forward(H_prev, W, b, activation)
            right = dict(zip(("dH_prev", "dW", "db"), page.layer_backward(dH, memory, activation), strict=True))
            Z = memory[1]
            back = {"relu": page.relu_backward, "sigmoid": page.sigmoid_backward}
            dZ = back[activation](dH, Z)
            other = back["sigmoid" if activation == "relu" else "relu"](dH, Z)
            wrong: dict[str, dict[str, Any]] = {
                "derivative left out": _linear_backward(dH, H_prev, W),
                "wrong derivative": _linear_backward(other, H_prev, W),
                "1/m where it does not belong": {"dH_prev": right["dH_prev"] / m},
                "divided by units": {"dW": right["dW"] * m / n, "db": right["db"] * m / n},
                "divided by units ": {"dW": right["dW"] * m / n_prev, "db": right["db"] * m / n_prev},
                **{mistake: {"db": db} for mistake, db in bias_mistakes(dZ).items()},
            }
            if n == n_prev:
                wrong["H for H_prev"] = {"dW": dZ @ H.T / m}
                wrong["Z for H_prev"] = {"dW": dZ @ Z.T / m}
                wrong["weights not transposed"] = {"dH_prev": W @ dZ}
            slopes = _layer_slopes(dH, H_prev, W, b, function)
            arguments = {"dH": dH, "memory": memory, "activation": activation}
            yield Probe(arguments, right, wrong, slopes=slopes, m=m)


def _linear_backward(dZ: Array, H_prev: Array, W: Array) -> dict[str, Any]:
    m = dZ.shape[1]
    return {"dH_prev": W.T @ dZ, "dW": dZ @ H_prev.T / m, "db": dZ.sum(axis=1, keepdims=True) / m}


def _L_layer_backward(rng: np.random.Generator) -> Iterator[Probe]:
    for dimensions, m in (([5, 4, 6, 10], 7), ([10, 10, 10, 10], 8), ([6, 10], 5)):
        parameters, X, Y = network(rng, dimensions, m)
        HL, memories = page.L_layer_forward(X, parameters)
        right = page.L_layer_backward(HL, Y, memories)
        softmax_again = (HL - Y) * HL * (1 - HL)
        wrong = {
            "Y minus HL": _backward(Y - HL, memories),
            "derivative of softmax again": _backward(softmax_again, memories),
            "relu in the last layer": _backward((HL - Y) * (memories[-1][1] > 0), memories),
            "derivative left out": _backward(HL - Y, memories, derivative=np.ones_like),
            "wrong derivative": _backward(
                HL - Y, memories, derivative=lambda Z: page.sigmoid(Z)[0] * (1 - page.sigmoid(Z)[0])
            ),
            "1/m where it does not belong": {name: dH / m for name, dH in right.items() if name.startswith("dH")},
        }
        if len(set(dimensions)) == 1:
            wrong["memory of the wrong layer"] = _backward(HL - Y, [*memories[1:], memories[-1]])
            wrong["memory of the wrong layer "] = _backward(HL - Y, memories[::-1])
            wrong["memory of the wrong layer  "] = _backward(HL - Y, [memories[0], *memories[:-2], memories[-1]])
        for name in (name for name in right if name.startswith("db")):
            layer = int(name[2:])
            dZ = HL - Y if layer == len(memories) else page.relu_backward(right[f"dH{layer}"], memories[layer - 1][1])
            for mistake, db in bias_mistakes(dZ).items():
                wrong.setdefault(mistake, {})[name] = db
        slopes = {f"d{name}": _loss_slope(X, Y, parameters, name) for name in parameters if len(memories) > 1}
        yield Probe({"HL": HL, "Y": Y, "memories": memories}, right, wrong, slopes=slopes, m=m)


def _backward(dZ: Array, memories: Any, derivative: Any = lambda Z: Z > 0) -> dict[str, Any]:
    """All gradients from a dZ of the last layer that may be wrong, a derivative too."""
    gradients: dict[str, Any] = {}
    for layer in range(len(memories), 0, -1):
        (H_prev, W, _), _ = memories[layer - 1]
        part = _linear_backward(dZ, H_prev, W)
        gradients |= {f"dH{layer - 1}": part["dH_prev"], f"dW{layer}": part["dW"], f"db{layer}": part["db"]}
        if layer > 1:
            dZ = part["dH_prev"] * derivative(memories[layer - 2][1])
    return gradients


def _loss_slope(X: Array, Y: Array, parameters: dict[str, Array], name: str) -> Array:
    return slope(
        lambda value: page.compute_loss(page.L_layer_forward(X, {**parameters, name: value})[0], Y), parameters[name]
    )


def _update_parameters(rng: np.random.Generator) -> Iterator[Probe]:
    for dimensions in ([5, 4, 10], [6, 6, 6, 10]):
        parameters, _, _ = network(rng, dimensions, 3)
        gradients = {f"d{name}": rng.normal(size=value.shape) for name, value in parameters.items()}
        rate = 0.37
        steps = {name: gradients[f"d{name}"] for name in parameters}
        wrong = {
            "old weight dropped": {name: rate * step for name, step in steps.items()},
            "old weight dropped ": {name: -rate * step for name, step in steps.items()},
            "climbing": {name: parameters[name] + rate * step for name, step in steps.items()},
            "learning rate left out": {name: parameters[name] - step for name, step in steps.items()},
            "not updated": dict(parameters),
        }
        right = page.update_parameters(dict(parameters), gradients, rate)
        yield Probe({"parameters": parameters, "gradients": gradients, "learning_rate": rate}, right, wrong)


def _L_layer_model(rng: np.random.Generator) -> Iterator[Probe]:
    # ten iterations at least: programs that print ten times divide by num_iterations // 10
    for dimensions, rate, k in (([6, 5, 10], 0.4, 12), ([8, 10], 0.3, 10)):
        _, X, Y = network(rng, dimensions, 9)

        def trained(steps: int, size: float, X: Any = X, Y: Any = Y, d: Any = dimensions) -> dict[str, Array]:
            parameters = page.initialize_parameters(d)
            for _ in range(steps):
                HL, memories = page.L_layer_forward(X, parameters)
                page.update_parameters(parameters, page.L_layer_backward(HL, Y, memories), size)
            return parameters

        wrong = {
            "an iteration too many": trained(k + 1, rate),
            "an iteration too few": trained(k - 1, rate),
            "learning rate not passed on": trained(k, 0.0075),
            "begun again in every iteration": trained(1, rate),
            "not trained": trained(0, rate),
            "climbing": trained(k, -rate),
        }
        arguments = {"X": X, "Y": Y, "dimensions": dimensions, "learning_rate": rate, "num_iterations": k}
        yield Probe(arguments, trained(k, rate), wrong, m=9)


def _predict_outputs(value: Any, printed: str) -> Outputs:
    """The classes, and the accuracy that was printed, if a number was; in percent is as good."""
    accuracy = _accuracy_in(printed)
    outputs = {"predictions": value.ravel() if isinstance(value, np.ndarray) and 1 in value.shape else value}
    return outputs if accuracy is None else {**outputs, "accuracy printed": accuracy}


def _accuracy_in(printed: str) -> float | None:
    """The first share after the word, or else the first number; without the word, the last number after a colon."""
    after = printed.lower().partition("accuracy")[2]
    last = re.findall(NUMBER, printed.rpartition(":")[2])[-1:]
    numbers = re.findall(SHARE, after) or re.findall(NUMBER, after) or last
    if not numbers:
        return None
    accuracy = float(numbers[0])
    return accuracy / 100 if accuracy > 1 else accuracy


def _predict(rng: np.random.Generator) -> Iterator[Probe]:
    for dimensions, m in (([6, 5, 10], 20), ([7, 10], 10)):
        parameters, X, _ = network(rng, dimensions, m)
        HL, _ = page.L_layer_forward(X, parameters)
        classes = HL.argmax(axis=0)
        labels = np.where(np.arange(m) < 5, classes, (classes + 1) % 10)
        share = float(np.mean(classes == labels))
        matches = int(np.sum(classes == page.one_hot(labels)))  # of two arrays that should not be compared
        right = {"predictions": classes, "accuracy printed": share}
        wrong = {
            "argmax along the wrong axis": {"predictions": HL.argmax(axis=1)},
            "probabilities for classes": {"predictions": HL},
            "probabilities for classes ": {"predictions": HL.max(axis=0)},
            "right ones counted": {"accuracy printed": share * m / 100},
            "labels left one-hot": {"accuracy printed": matches / (10 * m)},
            "labels left one-hot ": {"accuracy printed": matches / m if matches <= m else matches / m / 100},
        }
        yield Probe({"X": X, "y": page.one_hot(labels), "parameters": parameters}, right, wrong)


BACKWARD = (
    Function("sigmoid_backward", ("sigmoid",), _sigmoid_backward, one("dZ")),
    Function("relu_backward", ("relu",), _relu_backward, one("dZ")),
    Function(
        "layer_backward",
        ("sigmoid_backward", "relu_backward"),
        _layer_backward,
        several("dH_prev", "dW", "db"),
    ),
    Function(
        "L_layer_backward",
        ("layer_backward",),
        _L_layer_backward,
        lambda value, _printed: named(value, "gradients"),
    ),
    Function("update_parameters", (), _update_parameters, lambda value, _printed: named(value, "parameters")),
    Function(
        "L_layer_model",
        ("initialize_parameters", "L_layer_forward", "compute_loss", "L_layer_backward", "update_parameters"),
        _L_layer_model,
        lambda value, _printed: named(value, "parameters"),
    ),
    Function("predict", ("L_layer_forward",), _predict, _predict_outputs),
)
