"""Export: a trained model as an HTML page, ONNX or NumPy arrays, compared with the model before it is written."""

import base64
import io
import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

import byhand
from byhand.data import Dataset, load
from byhand.errors import DataError, UsageError
from byhand.export.onnx import as_onnx
from byhand.files import write_bytes
from byhand.model import Model
from byhand.nn.activations import activation_named
from byhand.nn.arrays import Array
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.losses import softmax
from byhand.page import bundled, model_description, model_weights, source
from byhand.page.document import script_json

KINDS = ("html", "onnx", "npz")
#: Maximum difference between a probability of the export and of the model.
TOLERANCE = 1e-5
#: Number of images embedded in the page, as samples and for its self-test.
EMBEDDED = 20
#: Number of images on which the effect of rounding to float16 is measured.
MEASURED = 1_000


def export(model: Model, path: str | Path, *, to: str | None = None, pictures: Dataset | None = None) -> str:
    """Write `model` to `path`, and return a sentence about its accuracy.

    to: `html`, `onnx` or `npz`; defaults to the extension of the path
    pictures: images for the check and the page's samples; default: the test set of the bundled sample
    """
    path = Path(path)
    kind = kind_of(path, to)
    if model.input == "floats" and kind == "html":
        raise UsageError("html needs a model of images, got one trained on floats: use onnx or npz")
    if model.is_color and kind == "html":
        raise UsageError("html needs a model of gray images, got one of color pictures: use onnx or npz")
    content, about = exporter(kind)(model, pictures if pictures is not None else sample_for(model))
    write_bytes(path, content)
    return about


def kind_of(path: Path, to: str | None) -> str:
    """Return `to`, by default the extension of the path, which must match."""
    ending = path.suffix.removeprefix(".").lower()
    if to is None and not ending:
        raise UsageError(f"{path} must have an extension (.{', .'.join(KINDS)}), unless `to` is given")
    if to is not None and ending in KINDS and ending != to:
        raise UsageError(f"to must match the extension, got {to!r} and {path}")
    return ending if to is None else to


def exporter(to: str) -> Callable[[Model, Dataset], tuple[bytes, str]]:
    """Return the function that returns the file and a sentence about its accuracy."""
    if to not in KINDS:
        raise UsageError(f"to must be one of {', '.join(KINDS)}, got {to!r}")
    return {"html": as_html, "onnx": _as_onnx, "npz": as_npz}[to]


def _as_onnx(model: Model, pictures: Dataset) -> tuple[bytes, str]:
    return as_onnx(model, inputs_for(model, pictures), name_of(model, pictures))


def training_data_of(model: Model, source: str | None = None) -> Dataset | None:
    """Return the test set of the model's training data, or None if it is not on this machine.

    source: the argument of `load` for the data; by default the name in the model's metadata
    """
    data = model.metadata.get("data")
    if source is None and isinstance(data, dict) and isinstance(data.get("name"), str):
        source = data["name"]
    if source is None:
        return None
    try:
        test = load(source, offline=True, color=model.is_color).test
    except (DataError, UsageError):
        return None
    fits = test.images[0].size == model.network.in_size and len(test.classes) == len(model.classes)
    return test if fits else None


def sample_for(model: Model) -> Dataset:
    """Return images of the model's size: the bundled test set, or noise."""
    digits = load("mnist-5k").test
    shape = model.image_shape
    if shape == digits.shape:
        return digits
    count = max(1, min(64, 2**20 // math.prod(shape)))
    noise = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Dataset(noise, np.zeros(len(noise), np.int64), name="noise")


def inputs_for(model: Model, pictures: Dataset) -> Array:
    """Return the test inputs for an export: the images, or random numbers for a model that takes floats."""
    if model.input != "floats":
        return pictures.images
    return np.random.default_rng(0).normal(size=(200, model.network.in_size)).astype(model.network.dtype)


def name_of(model: Model, pictures: Dataset) -> str:
    return "random inputs" if model.input == "floats" else f"images of {pictures.name}"


def as_html(model: Model, pictures: Dataset) -> tuple[bytes, str]:
    """Return a page that works offline, and the effect of its float16 weights."""
    rounded = rounded_to_half(model)
    images = pictures.images[:MEASURED]
    difference = float(np.abs(model.probabilities(images) - rounded.probabilities(images)).max())
    change = f"no probability changes by more than {difference:.1e}" if difference else "no probability changes"
    about = f"weights rounded to float16: on {len(images):,} images of {pictures.name} {change}"
    embedded = one_of_each(pictures)
    # All low bytes before all high bytes, which are similar and compress well.
    halves = model_weights(rounded).astype("<f2").view(np.uint8).reshape(-1, 2).T
    known = [model.metadata.get(name) for name in ("about", "data_license")]
    sentences = "".join(f"{sentence.rstrip('.')}. " for sentence in known if isinstance(sentence, str))
    content = {
        "description": model_description(model),
        "weights": packed(halves.tobytes()),
        "test": {
            "pictures": packed(embedded.tobytes()),
            "probabilities": np.round(exact_probabilities(rounded, embedded), 8).tolist(),
            "tolerance": TOLERANCE,
        },
        "about": f"{sentences}Made by byhand {byhand.__version__}; {about}.",
    }
    page = source("export.html")
    for mark, text in (
        ("/*STYLE*/", source("byhand.css")),
        ("/*MODEL*/", script_json(content)),
        ("/*SCRIPT*/", bundled("export.js")),
    ):
        page = page.replace(mark, text)
    return page.encode(), about


def rounded_to_half(model: Model) -> Model:
    """Return a copy with all parameters rounded to float16."""
    network = model.network.copy()
    for vector in (network.parameters, network.statistics):
        if vector.size and np.abs(vector).max() > np.finfo(np.float16).max:
            raise UsageError(f"weights must be at most 65,504 for float16, got {np.abs(vector).max():.3g}")
        vector[...] = vector.astype(np.float16)
    return Model(network, preparation=model.preparation, classes=model.classes)


def exact_probabilities(model: Model, images: Array) -> Array:
    """Return the probabilities in float64          images: uint8 (N, H, W) → (N, K)"""
    out = model.network.copy(np.float64).forward(model.preparation(images, np.float32).astype(np.float64))
    return softmax(out)


def one_of_each(pictures: Dataset) -> Array:
    """Return the first images of each class in turn          uint8 (EMBEDDED, H, W)"""
    places = [np.flatnonzero(pictures.labels == k) for k in range(len(pictures.classes))]
    deepest = max(map(len, places))
    in_turn = [int(place[i]) for i in range(deepest) for place in places if i < len(place)]
    return pictures.images[in_turn[:EMBEDDED]]


def packed(content: bytes) -> str:
    """Compress the bytes, and encode them in base64."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def as_npz(model: Model, pictures: Dataset) -> tuple[bytes, str]:
    """Return NumPy arrays as a file, and their maximum difference from the model.

        with np.load("model.npz") as file:
            Z1 = file["W1"] @ X + file["b1"]        X: (784, m), the columns are pixels / file["divisor"]

    W1 is (units, inputs) and b1 (units, 1), as in `byhand.reference`. Standardization and batch normalization are
    folded into them. If `deskew` is True, images must be deskewed first (`byhand.data.handwriting.deskew`).
    """
    arrays = reference_arrays(model)
    images = inputs_for(model, pictures)[:200]
    exported = probabilities(arrays, model.preparation.pictures(images))
    difference = float(np.abs(model.probabilities(images) - exported).max())
    if not difference <= TOLERANCE:
        raise UsageError(f"npz must give the model's probabilities to {TOLERANCE:g}, got {difference:.1e}: use onnx")
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    about = f"on {len(images)} {name_of(model, pictures)} no probability differs by more than {difference:.1e}"
    return file.getvalue(), about


def reference_arrays(model: Model) -> dict[str, Array]:
    """Return `W1, b1, …` in float64, the activations, and the preparation."""
    preparation = model.preparation
    weights: list[Array] = []
    biases: list[Array] = []
    activations: list[str] = []
    for layer in model.network.layers:
        is_complete = len(activations) == len(weights)  # no dense layer yet, or its activation was found
        if isinstance(layer, Dense):
            if weights and not is_complete:
                activations.append("identity")
            weights.append(layer.W.T.astype(np.float64))
            biases.append(layer.b.astype(np.float64)[:, None])
        elif isinstance(layer, Activation) and not is_complete:
            activations.append(layer.function.name)
        elif isinstance(layer, BatchNorm) and not is_complete:
            scale = (layer.gamma / np.sqrt(layer.variance.astype(np.float64) + layer.epsilon))[:, None]
            weights[-1] = weights[-1] * scale
            biases[-1] = (biases[-1] - layer.mean[:, None]) * scale + layer.beta[:, None]
        elif not isinstance(layer, Dropout):
            raise UsageError(f"npz supports only dense layers, each with one activation, got {layer!r}: use onnx")
    if len(activations) == len(weights):
        raise UsageError(f"npz supports no activation after the last layer, got {activations[-1]}: use onnx")
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
    """Compute the probabilities          pictures: uint8 (N, H, W) → (N, K)"""
    H = pictures.reshape(len(pictures), -1).T / arrays["divisor"]
    names = [*map(str, arrays["activations"]), "identity"]
    for number, name in enumerate(names, start=1):
        H = activation_named(name).forward(arrays[f"W{number}"] @ H + arrays[f"b{number}"])
    return softmax(H.T)
