"""Probes of the L-layer network: each generator yields the probes of the function with its name.

Some probes have sizes that are all different, so that arrays cannot be mixed up. In others the sizes are equal, because
only then does a transposed or swapped array have the right shape.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from byhand.course import probes
from byhand.course.probes import Array, MisshapenError, Mistakes, Outputs, Page, Probe, Random
from byhand.reference import beyond
from byhand.reference import l_layer as ref

PLAY = f"""{probes.PLAY}
import numpy as byhand_np

def byhand_named(weights):
    return dict((("W", "b")[k % 2] + str(k // 2 + 1), one) for k, one in enumerate(weights))

def byhand_listed(parameters):
    return [parameters[name + str(l)] for l in range(1, len(parameters) // 2 + 1) for name in "Wb"]

def byhand_start(sizes):
    return byhand_listed(byhand_call(initialize_parameters, dimensions=sizes))

def byhand_step(X, labels, weights, learning_rate):
    HL, memories = byhand_call(L_layer_forward, X=X, parameters=byhand_named(weights))
    Y = byhand_np.eye(len(HL))[labels].T
    gradients = byhand_call(L_layer_backward, HL=HL, Y=Y, memories=memories)
    named = byhand_named(weights)
    after = byhand_call(update_parameters, parameters=named, gradients=gradients, learning_rate=learning_rate)
    return HL, byhand_listed(after)

def byhand_read(X, weights):
    HL, _ = byhand_call(L_layer_forward, X=X, parameters=byhand_named(weights))
    Y = byhand_np.eye(len(HL))[:, :1].repeat(X.shape[1], axis=1)
    return HL, byhand_call(predict, X=X, y=Y, parameters=byhand_named(weights))
"""
L_LAYER = Page("l_layer", beyond, given=("one_hot", "mini_batches", "update_with_momentum"), play=PLAY)
SHAPES = ((4, 3, 5), (3, 6, 7), (4, 4, 6), (5, 5, 5))  # (n_prev, n, m)
SIGN = r"(?:(?<![\w)])-)?"
NUMBER = rf"{SIGN}\d+(?:\.\d+)?(?:e[-+]?\d+)?"
SHARE = rf"{NUMBER}(?=\s*%)|{SIGN}\d+\.\d+(?:e[-+]?\d+)?"  # in percent, or with a decimal point


def _depth(dimensions: list[int]) -> str:
    """Describe a network without hidden layers, the case in which a loop over them runs zero times."""
    return "" if len(dimensions) > 2 else "a network without hidden layers"


def network(rng: Random, dimensions: list[int], m: int) -> tuple[dict[str, Array], Array, Array]:
    """Draw parameters, images (n_0, m) and one-hot labels (10, m)."""
    parameters: dict[str, Array] = {}
    for layer in range(1, len(dimensions)):
        fan = dimensions[layer - 1]
        parameters[f"W{layer}"] = rng.normal(size=(dimensions[layer], fan)) / np.sqrt(fan)
        parameters[f"b{layer}"] = 0.3 * rng.normal(size=(dimensions[layer], 1))
    return parameters, rng.random((dimensions[0], m)), ref.one_hot(rng.permutation(m) % 10)


@L_LAYER.function(probes.one("one-hot"))
def one_hot(rng: Random) -> Iterator[Probe]:
    return probes.one_hot_probes(rng, ref.one_hot, "j")


# ---- feedforward


@L_LAYER.function(probes.several("H", "Z in the memory"))
def sigmoid(rng: Random) -> Iterator[Probe]:
    for Z in (3 * rng.normal(size=(3, 5)), 3 * rng.normal(size=(4, 4))):
        H, _ = ref.sigmoid(Z)
        wrong = [
            ("sign of the exponent", 1 - H),
            ("tanh for sigmoid", np.tanh(Z)),
            ("derivative for function", H * (1 - H)),
        ]
        yield Probe({"Z": Z}, wrong)
    yield Probe({"Z": np.array([[-1000.0, 1000.0, 720.0], [3.0, -720.0, 0.0]])}, remark=probes.OVERFLOW)


@L_LAYER.function(probes.several("H", "Z in the memory"))
def relu(rng: Random) -> Iterator[Probe]:
    for shape in ((3, 5), (4, 4)):
        Z = probes.away_from_zero(rng, *shape)
        yield Probe({"Z": Z}, probes.relu_mistakes(Z))


@L_LAYER.function(probes.several("H", "Z in the memory"))
def softmax(rng: Random) -> Iterator[Probe]:
    return probes.softmax_probes(rng)


@L_LAYER.function(
    probes.dictionary("parameters"),
    default_message="not the numbers of seed(2): randn(n, n_prev) * 0.1 layer by layer, biases 0",
)
def initialize_parameters(_rng: Random) -> Iterator[Probe]:
    for dimensions in ([6, 4, 10], [5, 5, 3, 10]):
        right = ref.initialize_parameters(dimensions)
        weights = {name: value for name, value in right.items() if name.startswith("W")}
        uniform, turned = np.random.RandomState(2), np.random.RandomState(2)
        wrong: Mistakes = [
            ("wrong scale of the weights", {name: W * 10 for name, W in weights.items()}),
            ("wrong scale of the weights", {name: W / 10 for name, W in weights.items()}),
            ("rand for randn", {name: uniform.rand(*W.shape) * 0.1 for name, W in weights.items()}),
            ("weights drawn transposed", {name: turned.randn(*W.shape[::-1]).T * 0.1 for name, W in weights.items()}),
            ("biases not zero", {name: np.ones_like(b) for name, b in right.items() if name.startswith("b")}),
        ]
        yield Probe({"dimensions": dimensions}, wrong)


def _memory_parts(memory: Any, of: str = "") -> dict[str, Any]:
    linear, activation = probes.parts(memory, "linear_memory", "activation_memory")
    if isinstance(activation, tuple | list) and not isinstance(linear, tuple | list):
        raise MisshapenError(
            "memory must be (linear_memory, activation_memory), but the two are swapped", "memories swapped"
        )
    H_prev, W, b = probes.parts(linear, "H_prev", "W", "b")
    names = (f"{what} in the memory{of}" for what in ("H_prev", "W", "b", "Z"))
    return dict(zip(names, (H_prev, W, b, activation), strict=True))


def _layer_forward_outputs(value: Any, _printed: str) -> Outputs:
    H, memory = probes.parts(value, "H", "memory")
    return {"H": H, **_memory_parts(memory)}


@L_LAYER.function(_layer_forward_outputs, uses=("sigmoid", "relu", "softmax"))
def layer_forward(rng: Random) -> Iterator[Probe]:
    activations = {"relu": ref.relu, "sigmoid": ref.sigmoid, "softmax": ref.softmax}
    for name, activation in activations.items():
        for n_prev, n, m in SHAPES:
            H_prev, W, b = rng.normal(size=(n_prev, m)), rng.normal(size=(n, n_prev)), rng.normal(size=(n, 1))
            Z = W @ H_prev + b
            sums = [("bias left out", Z - b), ("bias subtracted", Z - 2 * b)]
            if n == n_prev:
                sums.append(("weights transposed", W.T @ H_prev + b))
            others = [other(Z)[0] for other_name, other in activations.items() if other_name != name]
            wrong: Mistakes = [
                *((mistake, {"H": activation(z)[0], "Z in the memory": z}) for mistake, z in sums),
                *(("activation ignored", other) for other in others),
                ("activation left out", Z),
            ]
            inputs = {"H_prev": H_prev, "W": W, "b": b}
            yield Probe({**inputs, "activation": name}, wrong, m=m, case=f'activation="{name}"')


def _L_layer_forward_outputs(value: Any, _printed: str) -> Outputs:
    HL, memories = probes.parts(value, "HL", "memories")
    if not isinstance(memories, list | tuple):
        raise MisshapenError(f"memories must be a list, one memory per layer, got {probes.kind_of(memories)}")
    outputs = {"HL": HL, "number of memories": len(memories)}
    for layer, memory in enumerate(memories, 1):
        outputs |= _memory_parts(memory, f" of layer {layer}")
    return outputs


@L_LAYER.function(_L_layer_forward_outputs, uses=("layer_forward",))
def L_layer_forward(rng: Random) -> Iterator[Probe]:
    changes: list[tuple[str, dict[str, Any]]] = [
        ("softmax left out", {"last": ref.relu}),
        ("softmax left out", {"last": ref.sigmoid}),
        ("softmax left out", {"last": lambda Z: (Z, Z)}),
        ("softmax in every layer", {"hidden": ref.softmax}),
        ("activations exchanged", {"hidden": ref.softmax, "last": ref.relu}),
        ("sigmoid for relu", {"hidden": ref.sigmoid}),
        ("activation left out", {"hidden": lambda Z: (Z, Z)}),
    ]
    squares: list[tuple[str, dict[str, Any]]] = [
        ("X into every layer", {"again": (2, 3)}),
        ("X into every layer", {"again": (2,)}),  # except for the last
    ]
    for dimensions, m in (([5, 4, 6, 10], 7), ([10, 10, 10, 10], 8), ([6, 10], 5)):
        parameters, X, _ = network(rng, dimensions, m)
        possible = [*changes, *squares] if len(set(dimensions)) == 1 else changes
        wrong: Mistakes = [
            *((mistake, _forward(X, parameters, **change)) for mistake, change in possible),
            ("last memory left out", {"number of memories": len(dimensions) - 2}),
        ]
        yield Probe({"X": X, "parameters": parameters}, wrong, m=m, case=_depth(dimensions))


def _forward(X: Array, P: Any, hidden: Any = ref.relu, last: Any = ref.softmax, again: Any = ()) -> Outputs:
    """Return the outputs with other activations, and with X as the input of the layers `again`."""
    L, H, memories = len(P) // 2, X, []
    for layer in range(1, L + 1):
        H_prev, W, b = X if layer in again else H, P[f"W{layer}"], P[f"b{layer}"]
        Z = W @ H_prev + b
        H = (last if layer == L else hidden)(Z)[0]
        memories.append(((H_prev, W, b), Z))
    return _L_layer_forward_outputs((H, memories), "")


def _loss_outputs(value: Any, _printed: str) -> Outputs:
    number = np.asarray(value, dtype=float) if isinstance(value, np.ndarray) else value
    return {"loss": number.reshape(()) if isinstance(number, np.ndarray) and number.size == 1 else number}


_UNDERFLOWN = Probe(
    {"HL": np.array([[1.0, 0.5], *([0.0, 0.0625],) * 8, [0.0, 0.0]]), "Y": np.eye(10)[:, [0, 0]]},
    right={"loss": np.log(2) / 2},
    remark="NaN where a probability is exactly 0 and its label too: 0 · log 0",
)


@L_LAYER.function(_loss_outputs)
def compute_loss(rng: Random) -> Iterator[Probe]:
    for K, m in ((10, 6), (10, 13), (10, 10)):
        HL, _ = ref.softmax(rng.normal(size=(K, m)))
        Y = ref.one_hot(rng.permutation(m) % 10)
        loss, terms = ref.compute_loss(HL, Y), -Y * np.log(HL)
        wrong = [
            ("mean over all entries", loss / K),
            ("binary cross-entropy", (terms - (1 - Y) * np.log(1 - HL)).sum() / m),
            ("wrong logarithm", loss / np.log(2)),
            ("wrong logarithm", loss / np.log(10)),
            ("logarithm left out", -(Y * HL).sum() / m),
            ("not summed to one number", terms.sum(axis=0)),
            ("not summed to one number", terms / m),
            ("not summed to one number", terms.sum(axis=0) / m),
            ("not summed to one number", terms.sum(axis=1, keepdims=True) / m),
            ("squared error", ((HL - Y) ** 2).sum() / m),
        ]
        yield Probe({"HL": HL, "Y": Y}, wrong, m=m)
    yield _UNDERFLOWN


# ---- backpropagation


def _total(dH: Array, activation: Any) -> Any:
    """Return the function Z ↦ Σ dH ⊗ activation(Z), whose slopes are dZ."""
    return lambda Z: np.sum(dH * activation(Z)[0])


@L_LAYER.function(probes.one("dZ"), uses=("sigmoid",))
def sigmoid_backward(rng: Random) -> Iterator[Probe]:
    for shape in ((3, 5), (4, 4)):
        dH, Z = rng.normal(size=shape), rng.normal(size=shape)
        H, _ = ref.sigmoid(Z)
        again, _ = ref.sigmoid(H)
        wrong = [
            ("Z taken for H", dH * Z * (1 - Z)),
            ("sigmoid taken twice", dH * again * (1 - again)),
            ("dH left out", H * (1 - H)),
            ("factor left out", dH * H),
            ("factor left out", dH * (1 - H)),
            ("derivative left out", dH),
        ]
        slopes = {"dZ": probes.slope(_total(dH, ref.sigmoid), Z)}
        yield Probe({"dH": dH, "sigmoid_memory": Z}, wrong, slopes=slopes)


@L_LAYER.function(probes.one("dZ"), uses=("relu",))
def relu_backward(rng: Random) -> Iterator[Probe]:
    for shape in ((3, 5), (4, 4)):
        dH, Z = rng.normal(size=shape), probes.away_from_zero(rng, *shape)
        wrong = [
            ("sign of dH for sign of Z", np.maximum(0, dH)),
            ("relu turned round", np.where(Z > 0, 0, dH)),
            ("dH left out", Z > 0),
            ("relu of the memory", np.maximum(0, Z)),
            ("derivative left out", dH),
            ("wrong derivative", dH * _sigmoid_slope(Z)),
        ]
        slopes = {"dZ": probes.slope(_total(dH, ref.relu), Z)}
        yield Probe({"dH": dH, "relu_memory": Z}, wrong, slopes=slopes)


def _sigmoid_slope(Z: Array) -> Any:
    H, _ = ref.sigmoid(Z)
    return H * (1 - H)


@L_LAYER.function(probes.several("dH_prev", "dW", "db"), uses=("sigmoid_backward", "relu_backward"))
def layer_backward(rng: Random) -> Iterator[Probe]:
    backs = ref.relu_backward, ref.sigmoid_backward
    for activation, own, other in (("relu", *backs), ("sigmoid", *backs[::-1])):
        for n_prev, n, m in SHAPES:
            H_prev, W, b = rng.normal(size=(n_prev, m)), rng.normal(size=(n, n_prev)), rng.normal(size=(n, 1))
            dH, (H, memory) = rng.normal(size=(n, m)), ref.layer_forward(H_prev, W, b, activation)
            Z = memory[1]
            dZ = own(dH, Z)
            right = probes.linear_backward(dZ, H_prev, W)
            wrong = [
                ("derivative left out", probes.linear_backward(dH, H_prev, W)),
                ("wrong derivative", probes.linear_backward(other(dH, Z), H_prev, W)),
                ("1/m where it does not belong", {"dH_prev": right["dH_prev"] / m}),
                ("divided by units", {"dW": right["dW"] * m / n, "db": right["db"] * m / n}),
                ("divided by units", {"dW": right["dW"] * m / n_prev, "db": right["db"] * m / n_prev}),
                ("H for H_prev", {"dW": dZ @ H.T / m}),
                ("Z for H_prev", {"dW": dZ @ Z.T / m}),
                *probes.bias_mistakes({"db": dZ}),
            ]
            if n == n_prev:
                wrong.append(("weights not transposed", {"dH_prev": W @ dZ}))

            def total(inputs: dict[str, Array], dH: Array = dH, activation: str = activation) -> Any:
                return np.sum(dH * ref.layer_forward(**inputs, activation=activation)[0])

            slopes = probes.slopes_of(total, {"H_prev": H_prev, "W": W, "b": b}, {"W": m, "b": m})
            arguments = {"dH": dH, "memory": memory, "activation": activation}
            yield Probe(arguments, wrong, slopes=slopes, m=m, case=f'activation="{activation}"')


@L_LAYER.function(probes.dictionary("gradients"), uses=("layer_backward",))
def L_layer_backward(rng: Random) -> Iterator[Probe]:
    for dimensions, m in (([5, 4, 6, 10], 7), ([10, 10, 10, 10], 8), ([6, 10], 5)):
        parameters, X, Y = network(rng, dimensions, m)
        HL, memories = ref.L_layer_forward(X, parameters)
        right, dZ, L = ref.L_layer_backward(HL, Y, memories), HL - Y, len(memories)
        wrong = [
            ("Y minus HL", probes.gradients_from(Y - HL, memories)),
            ("derivative of softmax again", probes.gradients_from(dZ * HL * (1 - HL), memories)),
            ("relu in the last layer", probes.gradients_from(dZ * (memories[-1][1] > 0), memories)),
            ("derivative left out", probes.gradients_from(dZ, memories, np.ones_like)),
            ("wrong derivative", probes.gradients_from(dZ, memories, _sigmoid_slope)),
            ("1/m where it does not belong", {name: dH / m for name, dH in right.items() if name.startswith("dH")}),
        ]
        if len(set(dimensions)) == 1:
            for order in ([1, 2, 2], [2, 1, 0], [0, 0, 2]):
                shuffled = [memories[k] for k in order]
                wrong.append(("memory of the wrong layer", probes.gradients_from(dZ, shuffled)))
        dZs = {f"db{L}": dZ}
        for layer in range(L - 1, 0, -1):
            dZs[f"db{layer}"] = ref.relu_backward(right[f"dH{layer}"], memories[layer - 1][1])

        def loss(parameters: dict[str, Array], X: Array = X, Y: Array = Y) -> float:
            return ref.compute_loss(ref.L_layer_forward(X, parameters)[0], Y)

        slopes = probes.slopes_of(loss, parameters) if L > 1 else {}
        arguments = {"HL": HL, "Y": Y, "memories": memories}
        yield Probe(arguments, [*wrong, *probes.bias_mistakes(dZs)], slopes=slopes, m=m, case=_depth(dimensions))


# ---- updates, training, predictions


@L_LAYER.function(probes.dictionary("parameters"), in_place=("parameters",))
def update_parameters(rng: Random) -> Iterator[Probe]:
    for dimensions in ([5, 4, 10], [6, 6, 6, 10]):
        parameters, _, _ = network(rng, dimensions, 3)
        gradients = {f"d{name}": rng.normal(size=value.shape) for name, value in parameters.items()}
        wrong = probes.update_mistakes(parameters, {name: gradients[f"d{name}"] for name in parameters}, 0.37)
        yield Probe({"parameters": parameters, "gradients": gradients, "learning_rate": 0.37}, wrong)


@L_LAYER.function(
    probes.dictionary("parameters"),
    uses=("initialize_parameters", "L_layer_forward", "compute_loss", "L_layer_backward", "update_parameters"),
)
def L_layer_model(rng: Random) -> Iterator[Probe]:
    # at least ten iterations: programs that print ten times divide by num_iterations // 10
    for dimensions, rate, k in (([6, 5, 10], 0.4, 12), ([8, 10], 0.3, 10)):
        _, X, Y = network(rng, dimensions, 9)

        def trained(steps: int, size: float, X: Any = X, Y: Any = Y, d: Any = dimensions) -> dict[str, Array]:
            parameters = ref.initialize_parameters(d)
            for _ in range(steps):
                HL, memories = ref.L_layer_forward(X, parameters)
                ref.update_parameters(parameters, ref.L_layer_backward(HL, Y, memories), size)
            return parameters

        wrong = [*probes.training_mistakes(trained, k, rate), ("learning rate not passed on", trained(k, 0.0075))]
        arguments = {"X": X, "Y": Y, "dimensions": dimensions, "learning_rate": rate, "num_iterations": k}
        yield Probe(arguments, wrong, m=9, right=trained(k, rate))


def _predict_outputs(value: Any, printed: str) -> Outputs:
    """Return the classes and the printed accuracy, if there is one, as a fraction.

    It is the first fraction, percentage or number after the word "accuracy", or the last number after a colon.
    """
    outputs = {"predictions": value.ravel() if isinstance(value, np.ndarray) and 1 in value.shape else value}
    after = printed.lower().partition("accuracy")[2]
    last = re.findall(NUMBER, printed.rpartition(":")[2])[-1:]
    for accuracy in map(float, (re.findall(SHARE, after) or re.findall(NUMBER, after) or last)[:1]):
        outputs["accuracy printed"] = accuracy / 100 if accuracy > 1 else accuracy
    return outputs


@L_LAYER.function(_predict_outputs, uses=("L_layer_forward",))
def predict(rng: Random) -> Iterator[Probe]:
    for dimensions, m in (([6, 5, 10], 20), ([7, 10], 10)):
        parameters, X, _ = network(rng, dimensions, m)
        HL, _ = ref.L_layer_forward(X, parameters)
        classes = HL.argmax(axis=0)
        labels = np.where(np.arange(m) < 5, classes, (classes + 1) % 10)
        share = float(np.mean(classes == labels))
        matches = int(np.sum(classes == ref.one_hot(labels)))
        wrong: Mistakes = [
            ("argmax along the wrong axis", HL.argmax(axis=1)),
            ("probabilities for classes", HL),
            ("probabilities for classes", HL.max(axis=0)),
            ("right ones counted", {"accuracy printed": share * m / 100}),
            ("labels left one-hot", {"accuracy printed": matches / (10 * m)}),
            ("labels left one-hot", {"accuracy printed": matches / m if matches <= m else matches / m / 100}),
        ]
        right = {"predictions": classes, "accuracy printed": share}
        yield Probe({"X": X, "y": ref.one_hot(labels), "parameters": parameters}, wrong, right=right, m=m)


# ---- beyond the assignment: mini-batches and momentum


def _batches_outputs(value: Any, _printed: str) -> Outputs:
    if not isinstance(value, list | tuple):
        mistake = "nothing returned" if value is None else ""
        raise MisshapenError(f"must return a list of pairs (X_batch, Y_batch), got {probes.kind_of(value)}", mistake)
    outputs: dict[str, Any] = {"number of batches": len(value)}
    for place, pair in enumerate(value, 1):
        X, Y = probes.parts(pair, "X_batch", "Y_batch")
        X_batch, Y_batch = probes.numbers(X, "X_batch"), probes.numbers(Y, "Y_batch")
        if X_batch.ndim != 2 or Y_batch.ndim != 2 or X_batch.shape[1] != Y_batch.shape[1]:
            shapes = f"{X_batch.shape} and {Y_batch.shape}"
            raise MisshapenError(f"X_batch and Y_batch must have one column per sample, got {shapes}")
        # stacked, because either of the two may have the wrong order
        outputs[f"batch {place}, X above Y"] = np.vstack([X_batch, Y_batch])
    return outputs


@L_LAYER.function(_batches_outputs)
def mini_batches(rng: Random) -> Iterator[Probe]:
    for m, batch_size in ((12, 4), (11, 4), (3, 5)):
        _, X, Y = network(rng, [6, 10], m)
        straight, order = np.arange(m), np.roll(rng.permutation(m), 1)
        if np.array_equal(order, straight):
            order = order[::-1].copy()

        def cut(of_X: Array, of_Y: Array, X: Array = X, Y: Array = Y, size: int = batch_size) -> Outputs:
            starts = range(0, X.shape[1], size)
            pairs = [(X[:, of_X[k : k + size]], Y[:, of_Y[k : k + size]]) for k in starts]
            return _batches_outputs(pairs, "")

        wrong = [
            ("pictures and labels parted", cut(order, straight)),
            ("pictures and labels parted", cut(straight, order)),
            ("order ignored", cut(straight, straight)),
        ]
        if m % batch_size:
            wrong.append(("last batch left out", {"number of batches": m // batch_size}))
        yield Probe({"X": X, "Y": Y, "order": order, "batch_size": batch_size}, wrong, m=m)


def _momentum_outputs(value: Any, _printed: str) -> Outputs:
    parameters, velocities = probes.parts(value, "parameters", "velocities")
    speeds = {f"velocity of {name}": array for name, array in probes.entries(velocities, "velocities").items()}
    return {**probes.entries(parameters, "parameters"), **speeds}


@L_LAYER.function(_momentum_outputs, in_place=("parameters", "velocities"))
def update_with_momentum(rng: Random) -> Iterator[Probe]:
    for dimensions in ([5, 4, 10], [6, 6, 10]):
        parameters, _, _ = network(rng, dimensions, 3)
        steps = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
        old = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
        rate, momentum = 0.37, 0.8

        def moved(keep: float, new: float, size: float, p: Any = parameters, g: Any = steps, v: Any = old) -> Outputs:
            after = {name: keep * v[name] + new * g[name] for name in p}
            return _momentum_outputs(({name: p[name] - size * after[name] for name in p}, after), "")

        wrong = [
            ("old velocity dropped", moved(0, 1, rate)),
            ("old velocity kept whole", moved(1, 1, rate)),
            ("averaged velocity", moved(momentum, 1 - momentum, rate)),
            ("learning rate in the velocity", moved(momentum, rate, 1)),
            ("learning rate left out", moved(momentum, 1, 1)),
            ("climbing", moved(momentum, 1, -rate)),
            ("not updated", _momentum_outputs((parameters, old), "")),
        ]
        arguments = {
            "parameters": parameters,
            "gradients": {f"d{name}": step for name, step in steps.items()},
            "velocities": old,
            "learning_rate": rate,
            "momentum": momentum,
        }
        yield Probe(arguments, wrong)
