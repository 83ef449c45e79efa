"""Probes of the 784-10-10 network: each generator yields the probes of the function with its name.

The networks have ten hidden units and ten classes, because many programs contain these numbers literally. The images
are smaller if the number of pixels doesn't matter.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from byhand.course import probes
from byhand.course.probes import Array, Outputs, Page, Probe, Random
from byhand.reference import two_layer as ref

PARAMETERS = ("W1", "b1", "W2", "b2")
GRADIENTS = ("dW1", "db1", "dW2", "db2")
PLAY = f"""{probes.PLAY}
def byhand_named(weights):
    return dict(zip({PARAMETERS}, weights))

def byhand_start(sizes):
    return list(init_params())

def byhand_step(X, labels, weights, learning_rate):
    named = byhand_named(weights)
    sums = dict(zip(("Z1", "A1", "Z2", "A2"), byhand_call(forward_prop, **named, X=X)))
    gradients = byhand_call(backward_prop, **sums, W1=weights[0], W2=weights[2], X=X, Y=labels)
    gradients = dict(zip({GRADIENTS}, gradients))
    return sums["A2"], list(byhand_call(update_params, **named, **gradients, alpha=learning_rate))

def byhand_read(X, weights):
    named = byhand_named(weights)
    return byhand_call(forward_prop, **named, X=X)[3], byhand_call(make_predictions, X=X, **named)
"""
TWO_LAYER = Page("two_layer", ref, play=PLAY)


def _network(rng: Random, inputs: int, m: int) -> tuple[dict[str, Array], Array, Array]:
    """Draw parameters, images (inputs, m) and labels (m,) with at least one nine."""
    shapes = (10, inputs), (10, 1), (10, 10), (10, 1)
    parameters = dict(zip(PARAMETERS, (rng.random(shape) - 0.5 for shape in shapes), strict=True))
    return parameters, rng.random((inputs, m)), (9 - rng.permutation(m)) % 10


def _init_params_outputs(value: Any, _printed: str) -> Outputs:
    """Return the shapes and the range of the numbers, for any seed; W1 has 7,840 and comes close to both limits."""
    arrays = [
        probes.numbers(array, name) for array, name in zip(probes.parts(value, *PARAMETERS), PARAMETERS, strict=True)
    ]
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    return {
        **{f"shape of {name}": np.array(array.shape) for name, array in zip(PARAMETERS, arrays, strict=True)},
        "number of signs": float(low < 0) + float(high > 0),
        "lowest number": np.clip(round(low, 1), -1, 1),
        "highest number": np.clip(round(high, 1), -1, 1),
    }


@TWO_LAYER.function(_init_params_outputs)
def init_params(_rng: Random) -> Iterator[Probe]:
    outputs = _init_params_outputs(ref.init_params(rng=np.random.RandomState(2)), "")
    limits = {name: value for name, value in outputs.items() if name in ("lowest number", "highest number")}
    right = {name: value for name, value in outputs.items() if name not in limits}
    yield Probe(
        {},
        [("half not subtracted", {"number of signs": 1}), ("one number for all", {"number of signs": 0})],
        right=right,
    )
    yield Probe({}, right=limits, remark="the numbers have another range than rand − 0.5: training goes another way")


@TWO_LAYER.function(probes.one("A"))
def ReLU(rng: Random) -> Iterator[Probe]:
    Z = probes.away_from_zero(rng, 4, 6)
    yield Probe({"Z": Z}, probes.relu_mistakes(Z))


@TWO_LAYER.function(probes.one("A"))
def softmax(rng: Random) -> Iterator[Probe]:
    return probes.softmax_probes(rng)


@TWO_LAYER.function(probes.several("Z1", "A1", "Z2", "A2"), uses=("ReLU", "softmax"))
def forward_prop(rng: Random) -> Iterator[Probe]:
    for inputs, m in ((7, 12), (10, 8)):
        P, X, _ = _network(rng, inputs, m)

        def forward(P: Any = P, X: Any = X, first: Any = ref.ReLU, last: Any = ref.softmax) -> Outputs:
            Z1 = P["W1"] @ X + P["b1"]
            Z2 = P["W2"] @ first(Z1) + P["b2"]
            return {"Z1": Z1, "A1": first(Z1), "Z2": Z2, "A2": last(Z2)}

        wrong = [
            ("bias left out", forward({**P, "b1": 0 * P["b1"], "b2": 0 * P["b2"]})),
            ("softmax left out", forward(last=ref.ReLU)),
            ("softmax left out", forward(last=lambda Z: Z)),
            ("activation left out", forward(first=lambda Z: Z)),
            ("softmax in every layer", forward(first=ref.softmax)),
            ("weights transposed", forward({**P, "W2": P["W2"].T})),
        ]
        if inputs == 10:  # only then does X fit the second layer
            Z2 = P["W2"] @ X + P["b2"]
            wrong.append(("X into every layer", {"Z2": Z2, "A2": ref.softmax(Z2)}))
        yield Probe({**P, "X": X}, wrong, m=m)


@TWO_LAYER.function(probes.one("g′(Z)"))
def ReLU_deriv(rng: Random) -> Iterator[Probe]:
    Z = probes.away_from_zero(rng, 4, 6)
    wrong = [("relu turned round", Z < 0), ("relu of the memory", np.maximum(0, Z))]
    slopes = {"g′(Z)": lambda where: float(ref.ReLU(Z + 1e-6)[where] - ref.ReLU(Z - 1e-6)[where]) / 2e-6}
    yield Probe({"Z": Z}, wrong, slopes=slopes)


@TWO_LAYER.function(probes.one("one-hot"))
def one_hot(rng: Random) -> Iterator[Probe]:
    return probes.one_hot_probes(rng, ref.one_hot, "Y")


def _as_columns(value: Any, _printed: str) -> Outputs:
    """Return the four gradients, a db with one axis as a column: some programs reshape it in the update."""
    outputs = dict(zip(GRADIENTS, probes.parts(value, *GRADIENTS), strict=True))
    for name in ("db1", "db2"):
        db = outputs[name]
        if isinstance(db, np.ndarray) and db.ndim == 1 and db.size > 1:
            outputs[name] = db.reshape(-1, 1)
    return outputs


@TWO_LAYER.function(probes.several(*GRADIENTS), lenient=_as_columns, uses=("one_hot", "ReLU_deriv"))
def backward_prop(rng: Random) -> Iterator[Probe]:
    for inputs, m in ((7, 12), (10, 13), (10, 10)):
        P, X, Y = _network(rng, inputs, m)
        Z1, A1, Z2, A2 = ref.forward_prop(**P, X=X)
        right = dict(zip(GRADIENTS, ref.backward_prop(Z1, A1, Z2, A2, P["W1"], P["W2"], X, Y), strict=True))
        hot = ref.one_hot(Y)
        dZ2 = A2 - hot

        memories = [((X, P["W1"], P["b1"]), Z1), ((A1, P["W2"], P["b2"]), Z2)]
        turned = [memories[0], ((A1, P["W2"].T, P["b2"]), Z2)]

        wrong = [
            ("Y minus HL", probes.gradients_from(hot - A2, memories)),
            ("labels not one-hot", probes.gradients_from(A2 - Y, memories)),
            ("derivative of softmax again", probes.gradients_from(dZ2 * A2 * (1 - A2), memories)),
            ("derivative left out", probes.gradients_from(dZ2, memories, np.ones_like)),
            ("wrong derivative", probes.gradients_from(dZ2, memories, ref.ReLU)),
            ("weights not transposed", probes.gradients_from(dZ2, turned)),
            ("Z for H_prev", {"dW2": dZ2 @ Z1.T / m}),
            ("divided by units", {name: value * m / 10 for name, value in right.items()}),
            *probes.bias_mistakes({"db1": P["W2"].T @ dZ2 * (Z1 > 0), "db2": dZ2}),
        ]

        def loss(P: dict[str, Array], X: Array = X, Y: Array = Y) -> Any:
            return -np.mean(np.log(ref.forward_prop(**P, X=X)[3][Y, np.arange(len(Y))]))

        arguments = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "W1": P["W1"], "W2": P["W2"], "X": X, "Y": Y}
        yield Probe(arguments, wrong, slopes=probes.slopes_of(loss, P), m=m)


@TWO_LAYER.function(probes.several(*PARAMETERS))
def update_params(rng: Random) -> Iterator[Probe]:
    for inputs in (7, 10):
        P, _, _ = _network(rng, inputs, 3)
        steps = {name: rng.normal(size=value.shape) for name, value in P.items()}
        arguments = {**P, **{f"d{name}": step for name, step in steps.items()}, "alpha": 0.37}
        yield Probe(arguments, probes.update_mistakes(P, steps, 0.37))


@TWO_LAYER.function(probes.one("predictions"))
def get_predictions(rng: Random) -> Iterator[Probe]:
    for m in (12, 10):
        A2 = ref.softmax(rng.normal(size=(10, m)))
        wrong = [("argmax along the wrong axis", A2.argmax(axis=1)), ("probabilities for classes", A2.max(axis=0))]
        yield Probe({"A2": A2}, wrong)


@TWO_LAYER.function(probes.one("accuracy"))
def get_accuracy(rng: Random) -> Iterator[Probe]:
    for m, right in ((20, 7), (30, 18)):
        Y = rng.permutation(m) % 10
        predictions = np.where(np.arange(m) < right, Y, (Y + 3) % 10)
        wrong = [("right ones counted", right), ("percent for a share", 100 * right / m)]
        yield Probe({"predictions": predictions, "Y": Y}, wrong, m=m)


@TWO_LAYER.function(
    probes.several(*PARAMETERS),
    uses=("init_params", "forward_prop", "backward_prop", "update_params", "get_predictions", "get_accuracy"),
    seeded=("init_params",),
)
def gradient_descent(rng: Random) -> Iterator[Probe]:
    X, Y = rng.random((784, 12)), rng.permutation(12) % 10

    def trained(steps: int, size: float) -> Outputs:
        P = ref.init_params(rng=np.random.RandomState(2))
        for _ in range(steps):
            gradients = ref.backward_prop(*ref.forward_prop(*P, X), P[0], P[2], X, Y)
            P = ref.update_params(*P, *gradients, size)
        return dict(zip(PARAMETERS, P, strict=True))

    for alpha, k in ((0.2, 11), (0.1, 10)):  # at least ten: programs that print ten times divide by iterations // 10
        arguments = {"X": X, "Y": Y, "alpha": alpha, "iterations": k}
        yield Probe(arguments, probes.training_mistakes(trained, k, alpha), m=12, right=trained(k, alpha))


@TWO_LAYER.function(probes.one("predictions"), uses=("forward_prop", "get_predictions"))
def make_predictions(rng: Random) -> Iterator[Probe]:
    for inputs, m in ((7, 12), (9, 10)):
        P, X, _ = _network(rng, inputs, m)
        A2 = ref.forward_prop(**P, X=X)[3]
        wrong = [("argmax along the wrong axis", A2.argmax(axis=1)), ("probabilities for classes", A2)]
        yield Probe({"X": X, **P}, wrong)
