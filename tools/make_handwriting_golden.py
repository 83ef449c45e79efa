"""Make tests/golden/handwriting.json: the result of each step of `byhand.data.handwriting` for some images.

Tests compare the Python code and the page's JavaScript with this file, byte for byte.

python tools/make_handwriting_golden.py            write the file
python tools/make_handwriting_golden.py --check    compare with the existing file, write nothing
"""

import base64
import json
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byhand.data import load
from byhand.data.handwriting import normalize
from byhand.data.handwriting.deskew import deskew
from byhand.data.handwriting.ink import find_ink, remove_dirt
from byhand.errors import NothingDrawnError
from byhand.files import write_text

TARGET = Path(__file__).resolve().parents[1] / "tests" / "golden" / "handwriting.json"

Bytes = NDArray[np.uint8]


def encoded(array: Bytes) -> dict[str, Any]:
    """Return the shape and the zlib-compressed bytes in base64."""
    packed = zlib.compress(np.ascontiguousarray(array).tobytes(), 9)
    return {"shape": list(array.shape), "zlib": base64.b64encode(packed).decode()}


def strokes(height: int, width: int, path: list[tuple[float, float]], pen: float) -> Bytes:
    """Draw bright antialiased strokes with round caps on black, through points (x, y) from 0 to 1."""
    y, x = np.mgrid[:height, :width] + 0.5
    distance = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in pairwise(path):
        (ax, ay), (bx, by) = (x0 * width, y0 * height), (x1 * width, y1 * height)
        along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9)
        t = np.clip(along, 0, 1)
        distance = np.minimum(distance, np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    return np.rint(255 * np.clip(pen / 2 + 0.5 - distance, 0, 1)).astype(np.uint8)


SEVEN = [(0.3, 0.25), (0.7, 0.22), (0.45, 0.8)]
TWO = [(0.3, 0.35), (0.45, 0.2), (0.65, 0.3), (0.6, 0.5), (0.3, 0.75), (0.7, 0.78)]
FOUR = [(0.5, 0.2), (0.3, 0.55), (0.7, 0.55), (0.62, 0.3), (0.6, 0.85)]


def photographed(ink: Bytes, rng: np.random.Generator) -> Bytes:
    """Return the ink as in a photo: dark on paper, lit from one side, with a shadow and noise."""
    height, width = ink.shape
    y, x = np.mgrid[:height, :width]
    light = 210 - 60 * x / width - 30 * y / height
    light = np.where(2 * x + y > 1.9 * width, 0.7 * light, light)
    picture = light * (1 - 0.7 * ink / 255) + rng.normal(0, 2.5, ink.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def images() -> dict[str, Bytes]:
    rng = np.random.default_rng(5)
    sample = load("mnist-5k").test.images
    corner = np.zeros((140, 200), np.uint8)
    corner[60:140, 120:200] = strokes(80, 80, FOUR, 6)
    dirty = strokes(90, 90, TWO, 7)
    dirty[80, 10] = dirty[4, 60] = 255
    dirty[0:30, 0:3] = 200
    tall = np.zeros((1700, 41), np.uint8)
    tall[200:1500, 15:24] = 255
    return {
        "MNIST 1": sample[3],
        "MNIST 2": sample[500],
        "MNIST 3, dark on light": 255 - sample[911],
        "a pad": strokes(112, 112, SEVEN, 9),
        "a hair-thin pen": strokes(150, 130, TWO, 1.0),
        "a bold pen": strokes(90, 80, FOUR, 17),
        "in a corner": corner,
        "faint": strokes(70, 70, TWO, 5) // 8 + 90,
        "a photograph": photographed(strokes(160, 140, FOUR, 9), rng),
        "a photograph of a thin pen": photographed(strokes(150, 150, SEVEN, 2.5), rng),
        "specks and an edge": dirty,
        "small": np.pad(sample[700][4:24:2, 4:24:2], 2),
        "larger than 800 pixels": tall,
        "blank": np.full((40, 50), 255, np.uint8),
        "almost blank": np.full((40, 50), 240, np.uint8) - 9 * (strokes(40, 50, SEVEN, 5) > 99).astype(np.uint8),
        "noise": rng.integers(0, 256, (40, 40), dtype=np.uint8),
        "black and white noise": 255 * rng.integers(0, 2, (60, 60), dtype=np.uint8),
        "dots": 255 * (rng.random((60, 60)) < 0.05).astype(np.uint8),
        "one dot": np.pad(np.full((2, 2), 255, np.uint8), 12),
    }


def steps(gray: Bytes) -> dict[str, Any]:
    """Return the result of each step, or the error for an image without a digit."""
    try:
        digit = normalize(gray)
    except NothingDrawnError as error:
        return {"refused": str(error)}
    found = find_ink(gray)
    cleaned, _ = remove_dirt(found.ink)
    return {
        "shrink": found.shrink,
        "inverted": found.inverted,
        "ink": encoded(found.ink),
        "cleaned": encoded(cleaned),
        "grown": digit.grown,
        "box": list(digit.box),
        "scaled": encoded(digit.scaled),
        "image": encoded(digit.image),
        "deskewed": encoded(deskew(digit.image[None])[0]),
    }


def main(check: bool) -> int:
    cases = [{"name": name, "grey": encoded(gray), **steps(gray)} for name, gray in images().items()]
    text = json.dumps(cases, indent=1, ensure_ascii=False) + "\n"
    if check:
        same = TARGET.is_file() and TARGET.read_text("utf-8") == text
        print("the same" if same else "NOT the same")
        return 0 if same else 1
    write_text(TARGET, text)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
