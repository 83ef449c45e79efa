"""The 784-10-10 page as the checker sees it: probes of its functions, in the order of the text.

Networks have ten hidden units and ten classes here, as the text's program has, because many programs say so in so many
words; the pictures are smaller where the number of pixels doesn't matter.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from byhand.course.probes.backward import bias_mistakes
from byhand.course.probes.forward import softmax_mistakes
from byhand.course.probes.probing import (
    Array,
    Function,
    Outputs,
    Page,
    Probe,
    away_from_zero,
    numbers,
    one,
    parts,
    several,
    slope,
)
from byhand.reference import two_layer as page

PARAMETERS = ("W1", "b1", "W2", "b2")
GRADIENTS = ("dW1", "db1", "dW2", "db2")


def _init_params_outputs(value: Any, _printed: str) -> Outputs:
    """Shapes, and where the numbers lie: any way to draw them is right. All of W1's 7,840 reach both ends."""
    arrays = [numbers(array, name) for array, name in zip(parts(value, *PARAMETERS), PARAMETERS, strict=True)]
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    return {
        **{f"shape of {name}": np.array(array.shape) for name, array in zip(PARAMETERS, arrays, strict=True)},
        "lowest number": np.clip(round(low, 1), -1, 1),
        "highest number": np.clip(round(high, 1), -1, 1),
    }


def _init_params(_rng: np.random.Generator) -> Iterator[Probe]:
    wrong: dict[str, Outputs] = {
        "half not subtracted": {"lowest number": 0, "highest number": 1},
        "randn for rand": {"lowest number": -1, "highest number": 1},
        "one number for all": {"lowest number": 0, "highest number": 0},
    }
    yield Probe({}, _init_params_outputs(page.init_params(rng=np.random.RandomState(2)), ""), wrong)


def _relu(rng: np.random.Generator) -> Iterator[Probe]:
    Z = away_from_zero(rng, 4, 6)
    wrong = {
        "leaky relu": {"A": np.where(Z > 0, Z, 0.01 * Z)},
        "absolute value": {"A": np.abs(Z)},
        "minimum for maximum": {"A": np.minimum(0, Z)},
        "mask for relu": {"A": Z > 0},
    }
    yield Probe({"Z": Z}, {"A": page.ReLU(Z)}, wrong)


def _softmax(rng: np.random.Generator) -> Iterator[Probe]:
    for Z in (rng.normal(size=(4, 6)), rng.normal(size=(5, 5)), 1000 + rng.normal(size=(3, 4))):
        wrong = {mistake: {"A": array} for mistake, array in softmax_mistakes(Z).items()}
        yield Probe({"Z": Z}, {"A": page.softmax(Z)}, wrong)


def _network(rng: np.random.Generator, inputs: int, m: int) -> tuple[dict[str, Array], Array, Array]:
    """Parameters, pictures (inputs, m) and labels (m,), a nine among them."""
    shapes = (10, inputs), (10, 1), (10, 10), (10, 1)
    parameters = dict(zip(PARAMETERS, (rng.random(shape) - 0.5 for shape in shapes), strict=True))
    return parameters, rng.random((inputs, m)), (9 - rng.permutation(m)) % 10


def _forward_prop(rng: np.random.Generator) -> Iterator[Probe]:
    names = ("Z1", "A1", "Z2", "A2")
    for inputs, m in ((7, 12), (10, 8)):
        P, X, _ = _network(rng, inputs, m)
        right = dict(zip(names, page.forward_prop(**P, X=X), strict=True))

        def forward(P: Any = P, X: Any = X, first: Any = page.ReLU, last: Any = page.softmax) -> Outputs:
            Z1 = P["W1"] @ X + P["b1"]
            Z2 = P["W2"] @ first(Z1) + P["b2"]
            return {"Z1": Z1, "A1": first(Z1), "Z2": Z2, "A2": last(Z2)}

        wrong = {
            "bias left out": forward({**P, "b1": 0 * P["b1"], "b2": 0 * P["b2"]}),
            "softmax left out": forward(last=page.ReLU),
            "softmax left out ": forward(last=lambda Z: Z),
            "activation left out": forward(first=lambda Z: Z),
            "softmax in every layer": forward(first=page.softmax),
            "weights transposed": forward({**P, "W2": P["W2"].T}),
        }
        if inputs == len(right["A1"]):  # where the second layer could take X at all
            Z2 = P["W2"] @ X + P["b2"]
            wrong["X into every layer"] = {"Z2": Z2, "A2": page.softmax(Z2)}
        yield Probe({**P, "X": X}, right, wrong, known=right, m=m)


def _ReLU_deriv(rng: np.random.Generator) -> Iterator[Probe]:
    Z = away_from_zero(rng, 4, 6)
    wrong: dict[str, Outputs] = {
        "relu turned round": {"g′(Z)": Z < 0},
        "relu of the memory": {"g′(Z)": np.maximum(0, Z)},
    }
    yield Probe({"Z": Z}, {"g′(Z)": Z > 0}, wrong, slopes={"g′(Z)": (page.ReLU(Z + 1e-6) - page.ReLU(Z - 1e-6)) / 2e-6})


def _one_hot(rng: np.random.Generator) -> Iterator[Probe]:
    for labels in (np.append(rng.integers(10, size=6), 9), rng.permutation(7), np.append(rng.permutation(9), 9)):
        Y = page.one_hot(labels)
        wrong: dict[str, Outputs] = {"one_hot sized by the largest label": {"one-hot": Y[: labels.max() + 1]}}
        yield Probe({"Y": labels}, {"one-hot": Y}, wrong)


def _as_columns(value: Any, _printed: str) -> Outputs:
    """The four gradients. db may be a row of numbers: programs that reshape it in the update are right, too."""
    outputs = dict(zip(GRADIENTS, parts(value, *GRADIENTS), strict=True))
    for name in ("db1", "db2"):
        db = outputs[name]
        if isinstance(db, np.ndarray) and db.ndim == 1 and db.size > 1:
            outputs[name] = db.reshape(-1, 1)
    return outputs


def _backward_prop(rng: np.random.Generator) -> Iterator[Probe]:
    for inputs, m in ((7, 12), (10, 13), (10, 10)):
        P, X, Y = _network(rng, inputs, m)
        Z1, A1, Z2, A2 = page.forward_prop(**P, X=X)
        right = dict(zip(GRADIENTS, page.backward_prop(Z1, A1, Z2, A2, P["W1"], P["W2"], X, Y), strict=True))
        hot = page.one_hot(Y)

        def backward(
            dZ2: Any, mask: Any = Z1 > 0, W2: Any = P["W2"].T, A1: Any = A1, X: Any = X, m: int = m
        ) -> dict[str, Any]:
            dZ1 = W2 @ dZ2 * mask
            return {
                "dW1": dZ1 @ X.T / m,
                "db1": dZ1.sum(axis=1, keepdims=True) / m,
                "dW2": dZ2 @ A1.T / m,
                "db2": dZ2.sum(axis=1, keepdims=True) / m,
            }

        wrong = {
            "Y minus HL": backward(hot - A2),
            "labels not one-hot": backward(A2 - Y),
            "derivative of softmax again": backward((A2 - hot) * A2 * (1 - A2)),
            "derivative left out": backward(A2 - hot, mask=1),
            "wrong derivative": backward(A2 - hot, mask=A1),
            "weights not transposed": backward(A2 - hot, W2=P["W2"]),
            "Z for H_prev": {"dW2": (A2 - hot) @ Z1.T / m},
            "divided by units": {name: value * m / 10 for name, value in right.items()},
        }
        dZ1 = P["W2"].T @ (A2 - hot) * (Z1 > 0)
        for name, dZ in (("db1", dZ1), ("db2", A2 - hot)):
            for mistake, db in bias_mistakes(dZ).items():
                wrong.setdefault(mistake, {})[name] = db
        slopes = {f"d{name}": _loss_slope(P, X, Y, name) for name in PARAMETERS}
        arguments = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "W1": P["W1"], "W2": P["W2"], "X": X, "Y": Y}
        yield Probe(arguments, right, wrong, slopes=slopes, m=m)


def _loss_slope(P: dict[str, Array], X: Array, Y: Array, name: str) -> Array:
    def loss(value: Array) -> Any:
        A2 = page.forward_prop(**{**P, name: value}, X=X)[3]
        return -np.mean(np.log(A2[Y, np.arange(len(Y))]))

    return slope(loss, P[name])


def _update_params(rng: np.random.Generator) -> Iterator[Probe]:
    for inputs in (7, 10):
        P, _, _ = _network(rng, inputs, 3)
        steps = {name: rng.normal(size=value.shape) for name, value in P.items()}
        alpha = 0.37
        wrong = {
            "old weight dropped": {name: alpha * step for name, step in steps.items()},
            "old weight dropped ": {name: -alpha * step for name, step in steps.items()},
            "climbing": {name: P[name] + alpha * step for name, step in steps.items()},
            "learning rate left out": {name: P[name] - step for name, step in steps.items()},
            "not updated": dict(P),
        }
        right = {name: P[name] - alpha * step for name, step in steps.items()}
        arguments = {**P, **{f"d{name}": step for name, step in steps.items()}, "alpha": alpha}
        yield Probe(arguments, right, wrong)


def _get_predictions(rng: np.random.Generator) -> Iterator[Probe]:
    for m in (12, 10):
        A2 = page.softmax(rng.normal(size=(10, m)))
        wrong = {
            "argmax along the wrong axis": {"predictions": A2.argmax(axis=1)},
            "probabilities for classes": {"predictions": A2.max(axis=0)},
        }
        yield Probe({"A2": A2}, {"predictions": page.get_predictions(A2)}, wrong)


def _get_accuracy(rng: np.random.Generator) -> Iterator[Probe]:
    Y = rng.permutation(20) % 10
    predictions = np.where(np.arange(20) < 7, Y, (Y + 3) % 10)
    wrong: dict[str, Outputs] = {
        "right ones counted": {"accuracy": 7},
        "percent for a share": {"accuracy": 35},
    }
    yield Probe({"predictions": predictions, "Y": Y}, {"accuracy": 0.35}, wrong)


def _gradient_descent(rng: np.random.Generator) -> Iterator[Probe]:
    X, Y = rng.random((784, 12)), rng.permutation(12) % 10
    for alpha, k in ((0.2, 11), (0.1, 10)):  # ten at least: programs that print ten times divide by iterations // 10

        def trained(steps: int, size: float) -> Outputs:
            P = page.init_params(rng=np.random.RandomState(2))
            for _ in range(steps):
                gradients = page.backward_prop(*page.forward_prop(*P, X), P[0], P[2], X, Y)
                P = page.update_params(*P, *gradients, size)
            return dict(zip(PARAMETERS, P, strict=True))

        wrong = {
            "an iteration too many": trained(k + 1, alpha),
            "an iteration too few": trained(k - 1, alpha),
            "begun again in every iteration": trained(1, alpha),
            "not trained": trained(0, alpha),
            "climbing": trained(k, -alpha),
        }
        yield Probe({"X": X, "Y": Y, "alpha": alpha, "iterations": k}, trained(k, alpha), wrong, m=12)


def _make_predictions(rng: np.random.Generator) -> Iterator[Probe]:
    for inputs, m in ((7, 12), (9, 10)):
        P, X, _ = _network(rng, inputs, m)
        A2 = page.forward_prop(**P, X=X)[3]
        wrong = {
            "argmax along the wrong axis": {"predictions": A2.argmax(axis=1)},
            "probabilities for classes": {"predictions": A2},
        }
        yield Probe({"X": X, **P}, {"predictions": A2.argmax(axis=0)}, wrong)


FUNCTIONS = (
    Function("init_params", (), _init_params, _init_params_outputs),
    Function("ReLU", (), _relu, one("A")),
    Function("softmax", (), _softmax, one("A")),
    Function("forward_prop", ("ReLU", "softmax"), _forward_prop, several("Z1", "A1", "Z2", "A2")),
    Function("ReLU_deriv", (), _ReLU_deriv, one("g′(Z)")),
    Function("one_hot", (), _one_hot, one("one-hot")),
    Function("backward_prop", ("one_hot", "ReLU_deriv"), _backward_prop, _as_columns),
    Function("update_params", (), _update_params, several(*PARAMETERS)),
    Function("get_predictions", (), _get_predictions, one("predictions")),
    Function("get_accuracy", (), _get_accuracy, one("accuracy")),
    Function(
        "gradient_descent",
        ("init_params", "forward_prop", "backward_prop", "update_params", "get_predictions", "get_accuracy"),
        _gradient_descent,
        several(*PARAMETERS),
    ),
    Function("make_predictions", ("forward_prop", "get_predictions"), _make_predictions, one("predictions")),
)

TWO_LAYER = Page("two_layer", page, FUNCTIONS)
