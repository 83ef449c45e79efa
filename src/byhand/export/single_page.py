"""One page: a model, the pad and the network's formulas in a single HTML file that opens from a disk.

The page's modules are those of the playground (`byhand.page`), joined into one script. The weights are kept as float16,
deflated, which brings [784, 128, 10] under 300 kB. A few pictures and what Python made of them are embedded, so that
the page can prove itself: its probabilities must be Python's, with the same weights, to 1e-5. What the rounding to
float16 does to the model is measured here, on all pictures given, and stated in the page.
"""

import base64
import zlib

import numpy as np

import byhand
from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.losses import softmax
from byhand.page import bundled, model_description, model_weights, source
from byhand.page.document import script_json

#: Pictures embedded for the self-test and as samples, and how near the page must come to Python on them.
EMBEDDED = 20
TOLERANCE = 1e-5
#: Pictures on which the rounding to float16 is measured.
MEASURED = 1_000


def as_html(model: Model, pictures: Dataset) -> tuple[bytes, str]:
    """Return the page, and how far the rounding moves any probability."""
    rounded = rounded_to_half(model)
    images = pictures.images[:MEASURED]
    apart = float(np.abs(model.probabilities(images) - rounded.probabilities(images)).max())
    moves = f"no probability moves by more than {apart:.1e}" if apart else "no probability moves at all"
    about = f"weights rounded to float16: on {len(images):,} pictures of {pictures.name} {moves}"
    embedded = one_of_each(pictures)
    # All low bytes before all high bytes: the high ones are alike, and deflate well.
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
    """Return a copy whose every parameter is a float16 number."""
    network = model.network.copy()
    for vector in (network.parameters, network.statistics):
        if vector.size and np.abs(vector).max() > np.finfo(np.float16).max:
            raise UsageError(f"weights must be at most 65,504 to fit a page, the largest is {np.abs(vector).max():.3g}")
        vector[...] = vector.astype(np.float16)
    return Model(network, preparation=model.preparation, classes=model.classes)


def exact_probabilities(model: Model, images: Array) -> Array:
    """Return the probabilities in float64, from the same float32 inputs         images: uint8 (N, H, W) → (N, K)"""
    out = model.network.copy(np.float64).forward(model.preparation(images, np.float32).astype(np.float64))
    return softmax(out)


def one_of_each(pictures: Dataset) -> Array:
    """Return the first pictures of each class in turn                           uint8 (EMBEDDED, H, W)"""
    places = [np.flatnonzero(pictures.labels == k) for k in range(len(pictures.classes))]
    deepest = max(map(len, places))
    in_turn = [int(place[i]) for i in range(deepest) for place in places if i < len(place)]
    return pictures.images[in_turn[:EMBEDDED]]


def packed(content: bytes) -> str:
    """Return the bytes deflated, in base64."""
    return base64.b64encode(zlib.compress(content, 9)).decode()
