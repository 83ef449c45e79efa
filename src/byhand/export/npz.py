"""NPZ: plain arrays under the names of the reference pages, which anyone's NumPy loads without byhand.

    with np.load("model.npz") as file:
        Z1 = file["W1"] @ X + file["b1"]                     X: (784, m), a column a picture: pixels / file["divisor"]

W1 is (units, inputs) and b1 (units, 1), as in `byhand.reference`. Whatever else the model does to numbers is folded
into them: the standardising of the pixels into the first layer, batch norm into the layer before it. What can't be
folded is said: `deskew` is True where pictures must be set upright first (`byhand.data.handwriting.deskew.deskew`).
"""

import io

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.activations import activation_named
from byhand.nn.arrays import Array
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.losses import softmax

#: How near the folded arrays must come to the model.
TOLERANCE = 1e-5


def as_npz(model: Model, pictures: Dataset) -> tuple[bytes, str]:
    """The arrays as a file's bytes, and how near they are to the model."""
    arrays = reference_arrays(model)
    images = pictures.images[:200]
    apart = float(np.abs(model.probabilities(images) - probabilities(arrays, model.preparation.pictures(images))).max())
    if not apart <= TOLERANCE:
        raise UsageError(f"npz must give the model's probabilities to {TOLERANCE:g}, got {apart:.1e}: use onnx")
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return (
        file.getvalue(),
        f"on {len(images)} pictures of {pictures.name} no probability differs by more than {apart:.1e}",
    )


def reference_arrays(model: Model) -> dict[str, Array]:
    """`W1, b1, …` as float64, `activations`, one name a hidden layer, and what to do to a picture before."""
    preparation = model.preparation
    weights: list[Array] = []
    biases: list[Array] = []
    activations: list[str] = []
    for layer in model.network.layers:
        bends = len(activations) == len(weights)  # the last dense layer has its activation, or there is none yet
        if isinstance(layer, Dense):
            if weights and not bends:
                activations.append("identity")
            weights.append(layer.W.T.astype(np.float64))
            biases.append(layer.b.astype(np.float64)[:, None])
        elif isinstance(layer, Activation) and not bends:
            activations.append(layer.function.name)
        elif isinstance(layer, BatchNorm) and not bends:
            scale = (layer.gamma / np.sqrt(layer.variance.astype(np.float64) + layer.epsilon))[:, None]
            weights[-1] = weights[-1] * scale
            biases[-1] = (biases[-1] - layer.mean[:, None]) * scale + layer.beta[:, None]
        elif not isinstance(layer, Dropout):
            raise UsageError(
                f"npz can hold dense layers, each with one activation after it; {layer!r} doesn't fit: use onnx"
            )
    if len(activations) == len(weights):
        raise UsageError(f"npz can hold no activation after the last layer, got {activations[-1]}: use onnx")
    # x = (p − mean) / deviation, so W x + b = (W/deviation) p + (b − Σ W · mean/deviation)
    biases[0] = biases[0] - weights[0].sum(axis=1, keepdims=True) * (preparation.mean / preparation.deviation)
    weights[0] = weights[0] / preparation.deviation
    arrays: dict[str, Array] = {}
    for number, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        arrays |= {f"W{number}": np.ascontiguousarray(W), f"b{number}": b}
    return arrays | {
        "activations": np.array(activations, dtype=np.str_),
        "classes": np.array(model.classes, dtype=np.str_),
        "divisor": np.array(preparation.divisor),
        "deskew": np.array(preparation.deskew),
    }


def probabilities(arrays: dict[str, Array], pictures: Array) -> Array:
    """What anyone's NumPy makes of the arrays                              pictures: uint8 (N, H, W) → (N, K)"""
    H = pictures.reshape(len(pictures), -1).T / arrays["divisor"]
    names = [*map(str, arrays["activations"]), "identity"]
    for number, name in enumerate(names, start=1):
        H = activation_named(name).forward(arrays[f"W{number}"] @ H + arrays[f"b{number}"])
    return softmax(H.T)
