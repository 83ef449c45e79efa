"""Make tests/golden/reader.json: inputs and outputs of Python's deskewing and networks, to test the page's JavaScript.

python tools/make_page_golden.py            write the file
python tools/make_page_golden.py --check    compare with the existing file, write nothing
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from byhand.data import load
from byhand.data.handwriting.deskew import deskew
from byhand.files import write_text
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense
from byhand.nn.network import Network
from byhand.page import model_description, model_weights

TARGET = Path(__file__).resolve().parents[1] / "tests" / "golden" / "reader.json"


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def deskewed() -> list[dict[str, Any]]:
    """Return digits, blank images, dots, dashes, noise and other shapes, and the deskewed image of each."""
    rng = np.random.default_rng(1)
    pictures = list(load("mnist-5k").test.images[::90])
    empty, dot, row, dash = (np.zeros((28, 28), np.uint8) for _ in range(4))
    dot[3, 25], row[20, 4:9] = 255, 7
    dash[14, :14] = dash[15, 14:] = 255
    pictures += [empty, dot, row, dash]
    pictures += [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((28, 28), (5, 9), (9, 4), (1, 1))]
    return [
        {"shape": picture.shape, "pixels": encoded(picture), "upright": encoded(deskew(picture[None])[0])}
        for picture in pictures
    ]


def networks() -> list[dict[str, Any]]:
    """Return networks of all kinds of layers and preparations, with images and outputs."""
    rng = np.random.default_rng(2)
    made: list[tuple[Network, Preparation]] = []
    for name in ACTIVATIONS:
        made.append((Network([16, 9, 5], rng=rng, activation=name), Preparation.standard(deskew=name == "relu")))
    made.append((Network([16, 8, 7, 6, 4], rng=rng, batch_norm=True, dropout=0.2), Preparation(divisor=256)))
    made.append((Network([16, 3], rng=rng), Preparation()))
    own = np.random.default_rng(3)  # keeps the random numbers of the networks above
    slid = {"maps": [(3, 2, 1), (2, 2, 1)], "batch_norm": True, "dropout": 0.2}
    made.append((Network([16, 5, 3], rng=own, **slid), Preparation.standard(deskew=True)))
    wide = [Convolution(8, 10, 1, 2, size=3, stride=2), Activation("tanh"), Convolution(3, 4, 2, 3, size=2, stride=1)]
    made.append((Network([*wide, Dense(18, 4)], rng=own), Preparation()))  # wide image, odd strides
    cases = []
    for network, preparation in made:
        network.parameters[...] = rng.normal(0, 0.6, network.size)
        network.statistics[...] = rng.uniform(0.2, 2.0, len(network.statistics))
        model = Model(network, preparation=preparation)
        images = rng.integers(0, 256, (3, *model.image_shape), dtype=np.uint8)
        out = network.copy(np.float64).forward(preparation(images).astype(np.float64))
        cases.append(
            {
                **model_description(model),
                "weights": encoded(model_weights(model)),
                "pictures": [encoded(image) for image in images],
                "logits": np.round(out, 6).tolist(),
                "probabilities": np.round(model.probabilities(images).astype(np.float64), 7).tolist(),
            }
        )
    return cases


def alike(old: Any, new: Any) -> bool:
    """Return True if the two are equal up to 2e-6: processors may round a sum differently."""
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) <= 2e-6
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(alike(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(alike, old, new))
    return bool(old == new)


def main(check: bool) -> int:
    text = json.dumps({"deskew": deskewed(), "networks": networks()}, indent=1) + "\n"
    if check:
        same = TARGET.is_file() and alike(json.loads(TARGET.read_text("utf-8")), json.loads(text))
        print("the same" if same else "NOT the same")
        return 0 if same else 1
    write_text(TARGET, text)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
