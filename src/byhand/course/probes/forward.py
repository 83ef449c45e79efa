"""Probes of the L-layer page, the way forward: activations, parameters, layers, loss."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from byhand.course.probes.probing import (
    Array,
    Function,
    MisshapenError,
    Outputs,
    Probe,
    away_from_zero,
    kind_of,
    named,
    one,
    parts,
    several,
)
from byhand.reference import l_layer as page

SHAPES = ((4, 3, 5), (3, 6, 7), (4, 4, 6), (5, 5, 5))  # (n_prev, n, m): two that let nothing be mixed up, and squares
IGNORE = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}


def softmax_mistakes(Z: Array) -> dict[str, Array]:
    """What softmax gives with each mistake; used by both pages."""
    E = np.exp(Z - Z.max(axis=0))
    rows = np.exp(Z - Z.max(axis=1, keepdims=True))
    with np.errstate(**IGNORE):  # type: ignore[arg-type]
        plain = np.exp(Z)
        mistakes = {
            "softmax along the wrong axis": rows / rows.sum(axis=1, keepdims=True),
            "softmax over everything": np.exp(Z - Z.max()) / np.exp(Z - Z.max()).sum(),
            "softmax without the maximum": plain / plain.sum(axis=0),
            "softmax not normalised": plain,
        }
    if Z.shape[0] == Z.shape[1]:  # E / E.sum(axis=1), without keepdims, goes through only here
        mistakes["softmax along the wrong axis "] = E / E.sum(axis=1)
    return mistakes


def _sigmoid(rng: np.random.Generator) -> Iterator[Probe]:
    far = np.array([[-1000.0, 1000.0, 720.0], [3.0, -720.0, 0.0]])
    for Z in (3 * rng.normal(size=(3, 5)), 3 * rng.normal(size=(4, 4)), far):
        H, _ = page.sigmoid(Z)
        with np.errstate(**IGNORE):  # type: ignore[arg-type]
            wrong = {
                "sign of the exponent": {"H": 1 - H},
                "tanh for sigmoid": {"H": np.tanh(Z)},
                "derivative for function": {"H": H * (1 - H)},
                "exponent overflows": {"H": np.exp(Z) / (1 + np.exp(Z))},
            }
        yield Probe({"Z": Z}, {"H": H, "Z in the memory": Z}, wrong, known={"H": H, "Z": Z})


def _relu(rng: np.random.Generator) -> Iterator[Probe]:
    for shape in ((3, 5), (4, 4)):
        Z = away_from_zero(rng, *shape)
        H, _ = page.relu(Z)
        wrong = {
            "leaky relu": {"H": np.where(Z > 0, Z, 0.01 * Z)},
            "absolute value": {"H": np.abs(Z)},
            "minimum for maximum": {"H": np.minimum(0, Z)},
            "mask for relu": {"H": Z > 0},
        }
        yield Probe({"Z": Z}, {"H": H, "Z in the memory": Z}, wrong, known={"H": H, "Z": Z})


def _softmax(rng: np.random.Generator) -> Iterator[Probe]:
    for Z in (rng.normal(size=(4, 6)), rng.normal(size=(5, 5)), 1000 + rng.normal(size=(3, 4))):
        H, _ = page.softmax(Z)
        wrong = {mistake: {"H": array} for mistake, array in softmax_mistakes(Z).items()}
        yield Probe({"Z": Z}, {"H": H, "Z in the memory": Z}, wrong, known={"H": H, "Z": Z})


def _initialize_parameters(_rng: np.random.Generator) -> Iterator[Probe]:
    for dimensions in ([6, 4, 10], [5, 5, 3, 10]):
        right = page.initialize_parameters(dimensions)
        weights = {name: value for name, value in right.items() if name.startswith("W")}
        uniform, turned = np.random.RandomState(2), np.random.RandomState(2)
        wrong: dict[str, Outputs] = {
            "wrong scale of the weights": {name: W * 10 for name, W in weights.items()},
            "wrong scale of the weights ": {name: W / 10 for name, W in weights.items()},
            "rand for randn": {name: uniform.rand(*W.shape) * 0.1 for name, W in weights.items()},
            "weights drawn transposed": {name: turned.randn(*W.shape[::-1]).T * 0.1 for name, W in weights.items()},
            "biases not zero": {name: np.ones_like(b) for name, b in right.items() if name.startswith("b")},
        }
        yield Probe({"dimensions": dimensions}, right, wrong)


def memory_parts(memory: Any, of: str = "") -> dict[str, Any]:
    """The four arrays of one layer's memory, by name."""
    linear, activation = parts(memory, "linear_memory", "activation_memory")
    if isinstance(activation, tuple | list) and not isinstance(linear, tuple | list):
        raise MisshapenError(
            "memory must be (linear_memory, activation_memory), the two are swapped", "memories swapped"
        )
    H_prev, W, b = parts(linear, "H_prev", "W", "b")
    names = (f"{what} in the memory{of}" for what in ("H_prev", "W", "b", "Z"))
    return dict(zip(names, (H_prev, W, b, activation), strict=True))


def _layer_forward_outputs(value: Any, _printed: str) -> Outputs:
    H, memory = parts(value, "H", "memory")
    return {"H": H, **memory_parts(memory)}


def _layer_forward(rng: np.random.Generator) -> Iterator[Probe]:
    activations = {"relu": page.relu, "sigmoid": page.sigmoid, "softmax": page.softmax}
    for name, activation in activations.items():
        for n_prev, n, m in SHAPES:
            H_prev, W, b = rng.normal(size=(n_prev, m)), rng.normal(size=(n, n_prev)), rng.normal(size=(n, 1))
            H, memory = page.layer_forward(H_prev, W, b, name)
            Z = memory[1]
            sums = {"bias left out": Z - b, "bias subtracted": Z - 2 * b}
            if n == n_prev:
                sums["weights transposed"] = W.T @ H_prev + b
            wrong = {mistake: {"H": activation(z)[0], "Z in the memory": z} for mistake, z in sums.items()}
            wrong |= {
                f"activation ignored{' ' * k}": {"H": other(Z)[0]}
                for k, (other_name, other) in enumerate(activations.items())
                if other_name != name
            }
            wrong["activation left out"] = {"H": Z}
            right = _layer_forward_outputs((H, memory), "")
            known = {"H": H, "Z": Z, "H_prev": H_prev, "W": W, "b": b}
            yield Probe({"H_prev": H_prev, "W": W, "b": b, "activation": name}, right, wrong, known, m=m)


def _L_layer_forward_outputs(value: Any, _printed: str) -> Outputs:
    HL, memories = parts(value, "HL", "memories")
    if not isinstance(memories, list | tuple):
        raise MisshapenError(f"memories must be a list, one memory a layer, it is {kind_of(memories)}")
    outputs = {"HL": HL, "number of memories": len(memories)}
    for layer, memory in enumerate(memories, 1):
        outputs |= memory_parts(memory, f" of layer {layer}")
    return outputs


def network(rng: np.random.Generator, dimensions: list[int], m: int) -> tuple[dict[str, Array], Array, Array]:
    """Random parameters, pictures (n_0, m) and one-hot labels (10, m) for a network of these dimensions."""
    parameters: dict[str, Array] = {}
    for layer in range(1, len(dimensions)):
        fan = dimensions[layer - 1]
        parameters[f"W{layer}"] = rng.normal(size=(dimensions[layer], fan)) / np.sqrt(fan)
        parameters[f"b{layer}"] = 0.3 * rng.normal(size=(dimensions[layer], 1))
    return parameters, rng.random((dimensions[0], m)), page.one_hot(rng.permutation(m) % 10)


def _L_layer_forward(rng: np.random.Generator) -> Iterator[Probe]:
    changes: dict[str, dict[str, Any]] = {
        "softmax left out": {"last": page.relu},
        "softmax left out ": {"last": page.sigmoid},
        "softmax left out  ": {"last": lambda Z: (Z, Z)},
        "softmax in every layer": {"hidden": page.softmax},
        "sigmoid for relu": {"hidden": page.sigmoid},
        "activation left out": {"hidden": lambda Z: (Z, Z)},
    }
    for dimensions, m in (([5, 4, 6, 10], 7), ([10, 10, 10, 10], 8), ([6, 10], 5)):
        parameters, X, _ = network(rng, dimensions, m)
        HL, memories = page.L_layer_forward(X, parameters)
        wrong: dict[str, dict[str, Any]] = {
            mistake: {"HL": _forward(X, parameters, **change)} for mistake, change in changes.items()
        }
        if len(set(dimensions)) == 1:
            wrong["X into every layer"] = {"HL": _forward(X, parameters, again=(2, 3))}
            wrong["X into every layer "] = {"HL": _forward(X, parameters, again=(2,))}  # the last stands by itself
        right = _L_layer_forward_outputs((HL, memories), "")
        wrong["last memory left out"] = {"number of memories": len(memories) - 1}
        yield Probe({"X": X, "parameters": parameters}, right, wrong, m=m)


def _forward(
    X: Array,
    parameters: dict[str, Array],
    *,
    hidden: Any = page.relu,
    last: Any = page.softmax,
    again: tuple[int, ...] = (),
) -> Array:
    """HL with other activations; the layers `again` are given X."""
    L, H = len(parameters) // 2, X
    for layer in range(1, L + 1):
        Z = parameters[f"W{layer}"] @ (X if layer in again else H) + parameters[f"b{layer}"]
        H = (last if layer == L else hidden)(Z)[0]
    return H


def _compute_loss_outputs(value: Any, _printed: str) -> Outputs:
    number = np.asarray(value, dtype=float) if isinstance(value, np.ndarray) else value
    return {"loss": number.reshape(()) if isinstance(number, np.ndarray) and number.size == 1 else number}


def _compute_loss(rng: np.random.Generator) -> Iterator[Probe]:
    for K, m in ((10, 6), (10, 13), (10, 10)):
        HL, _ = page.softmax(rng.normal(size=(K, m)))
        Y = page.one_hot(rng.permutation(m) % 10)
        loss = page.compute_loss(HL, Y)
        terms = -Y * np.log(HL)
        wrong = {
            "mean over all entries": {"loss": loss / K},
            "binary cross-entropy": {"loss": (terms - (1 - Y) * np.log(1 - HL)).sum() / m},
            "wrong logarithm": {"loss": loss / np.log(2)},
            "wrong logarithm ": {"loss": loss / np.log(10)},
            "logarithm left out": {"loss": -(Y * HL).sum() / m},
            "not summed to one number": {"loss": terms.sum(axis=0)},
            "not summed to one number ": {"loss": terms / m},
            "not summed to one number  ": {"loss": terms.sum(axis=0) / m},
            "not summed to one number   ": {"loss": terms.sum(axis=1, keepdims=True) / m},
            "squared error": {"loss": ((HL - Y) ** 2).sum() / m},
        }
        yield Probe({"HL": HL, "Y": Y}, {"loss": loss}, wrong, m=m)


_UNDERFLOWN = Probe(
    {"HL": np.array([[1.0, 0.5], *([0.0, 0.0625],) * 8, [0.0, 0.0]]), "Y": np.eye(10)[:, [0, 0]]},
    {"loss": np.log(2) / 2},
)

FORWARD = (
    Function("sigmoid", (), _sigmoid, several("H", "Z in the memory")),
    Function("relu", (), _relu, several("H", "Z in the memory")),
    Function("softmax", (), _softmax, several("H", "Z in the memory")),
    Function(
        "initialize_parameters",
        (),
        _initialize_parameters,
        lambda value, _printed: named(value, "parameters"),
        otherwise="not the numbers that follow seed(2): randn(n, n_prev) * 0.1 layer by layer, biases 0",
    ),
    Function("layer_forward", ("sigmoid", "relu", "softmax"), _layer_forward, _layer_forward_outputs),
    Function("L_layer_forward", ("layer_forward",), _L_layer_forward, _L_layer_forward_outputs),
    Function(
        "compute_loss",
        (),
        _compute_loss,
        _compute_loss_outputs,
        remark=(_UNDERFLOWN, "NaN where a probability is exactly 0 and its label too: 0 · log 0"),
    ),
)


def _one_hot(rng: np.random.Generator) -> Iterator[Probe]:
    for labels in (np.append(rng.integers(10, size=6), 9), rng.permutation(7), np.append(rng.permutation(9), 9)):
        Y = page.one_hot(labels)
        yield Probe(
            {"j": labels}, {"one-hot": Y}, {"one_hot sized by the largest label": {"one-hot": Y[: labels.max() + 1]}}
        )


ONE_HOT = Function("one_hot", (), _one_hot, one("one-hot"))
