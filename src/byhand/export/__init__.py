"""Export: a trained model in a form that needs no byhand.

`html` is one page with pad, network and weights inside; `onnx` is for other runtimes, with the whole preparation in
it; `npz` is plain arrays under the names of the reference pages, which any NumPy loads. Each is checked before it is
written: the probabilities that another program will compute are compared with the model's own.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from byhand.data import Dataset, load
from byhand.errors import UsageError
from byhand.export.onnx import as_onnx
from byhand.export.single_page import as_html
from byhand.files import write_bytes
from byhand.model import Model
from byhand.nn.activations import activation_named
from byhand.nn.arrays import Array
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.losses import softmax
from byhand.page import picture_shape

KINDS = ("html", "onnx", "npz")
#: Maximum difference of a probability between the folded arrays and the model.
TOLERANCE = 1e-5


def export(model: Model, path: str | Path, *, to: str | None = None, pictures: Dataset | None = None) -> str:
    """Write `model` as `html`, `onnx` or `npz` to `path`, and return a sentence on how near the export is to it.

    Without `to` the extension of the path decides. `pictures` are what the export is checked on, and the page's
    samples; by default the test digits of the bundled sample.
    """
    path = Path(path)
    content, about = exporter(kind_of(path, to))(model, pictures if pictures is not None else sample_for(model))
    write_bytes(path, content)
    return about


def kind_of(path: Path, to: str | None) -> str:
    """Return `to`, or the extension of the path; the two must not contradict each other."""
    ending = path.suffix.removeprefix(".").lower()
    if to is None and not ending:
        raise UsageError(f"{path} has no ending that says what to make: .{', .'.join(KINDS)}, or name it with `to`")
    if to is not None and ending in KINDS and ending != to:
        raise UsageError(f"to must be what the name's ending says, got {to!r} and {path}")
    return ending if to is None else to


def exporter(to: str) -> Callable[[Model, Dataset], tuple[bytes, str]]:
    """Return the function that makes a file of that kind, and a sentence on how near it is to the model."""
    if to not in KINDS:
        raise UsageError(f"to must be one of {', '.join(KINDS)}, got {to!r}")
    return {"html": as_html, "onnx": as_onnx, "npz": as_npz}[to]


def sample_for(model: Model) -> Dataset:
    """Return pictures that the model can take: the bundled test digits, or noise if it takes another size."""
    digits = load("mnist-5k").test
    shape = picture_shape(model)
    if shape == digits.shape:
        return digits
    count = max(1, min(64, 2**20 // (shape[0] * shape[1])))
    noise = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Dataset(noise, np.zeros(len(noise), np.int64), name="noise")


def as_npz(model: Model, pictures: Dataset) -> tuple[bytes, str]:
    """Return plain arrays as a file, and how near they are to the model.

        with np.load("model.npz") as file:
            Z1 = file["W1"] @ X + file["b1"]             X: (784, m), a column a picture: pixels / file["divisor"]

    W1 is (units, inputs) and b1 (units, 1), as in `byhand.reference`. The rest of the model is folded into them: the
    standardization of the pixels into the first layer, batch norm into the layer before it. `deskew` is True if the
    pictures must be deskewed first (`byhand.data.handwriting.deskew`).
    """
    arrays = reference_arrays(model)
    images = pictures.images[:200]
    apart = float(np.abs(model.probabilities(images) - probabilities(arrays, model.preparation.pictures(images))).max())
    if not apart <= TOLERANCE:
        raise UsageError(f"npz must give the model's probabilities to {TOLERANCE:g}, got {apart:.1e}: use onnx")
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    about = f"on {len(images)} pictures of {pictures.name} no probability differs by more than {apart:.1e}"
    return file.getvalue(), about


def reference_arrays(model: Model) -> dict[str, Array]:
    """Return `W1, b1, …` in float64, `activations`, a name for each hidden layer, and the preparation of a picture."""
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
    """Return the probabilities that the arrays give in plain NumPy         pictures: uint8 (N, H, W) → (N, K)"""
    H = pictures.reshape(len(pictures), -1).T / arrays["divisor"]
    names = [*map(str, arrays["activations"]), "identity"]
    for number, name in enumerate(names, start=1):
        H = activation_named(name).forward(arrays[f"W{number}"] @ H + arrays[f"b{number}"])
    return softmax(H.T)
