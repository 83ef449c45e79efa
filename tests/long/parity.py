"""The exported page and Python on the same drawings: `python tests/long/parity.py [DRAWINGS] [SEED]`.

Strokes of the golden hands are slanted, scaled, moved (also beyond the edge of the pad) and jittered, and one drawing
in ten is a scribble. For each, the normalized image must be equal to the byte, and the probabilities up to 1e-5. Needs
Chromium and Playwright.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from byhand.data.handwriting import normalize
from byhand.errors import DataError
from byhand.export import export
from byhand.model import shipped_model
from helpers.browser import FLAGS, chromium
from helpers.watched_page import HANDS, Watched

FOUND = """(() => {
  const {picture, probabilities} = byhand.recognize();
  return [Array.from(byhand.pad.gray().pixels), picture ? Array.from(picture) : null, probabilities];
})()"""


def drawing(rng: np.random.Generator) -> list[list[list[float]]]:
    """Return strokes in units of the pad."""
    if rng.random() < 0.1:
        return [rng.random((rng.integers(2, 25), 2)).tolist()]
    hand, digit = rng.choice(list(HANDS)), str(rng.integers(10))
    angle, slant, size, aspect = rng.normal(0, 0.15), rng.normal(0, 0.2), rng.uniform(0.3, 1.3), rng.uniform(0.8, 1.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape = size * turn @ np.array([[aspect, slant], [0, 1]])
    place = rng.normal(0.5, 0.1, 2)
    return [
        ((np.array(stroke) - 0.5) @ shape.T + place + rng.normal(0, 0.004, (len(stroke), 2))).tolist()
        for stroke in HANDS[hand][digit]
    ]


def main(count: int = 300, seed: int = 0) -> int:
    model, rng = shipped_model(), np.random.default_rng(seed)
    different, empty, largest = 0, 0, 0.0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = Path(folder) / "page.html"
        export(model, page)
        watched = Watched(browser, page.as_uri())
        watched.until("window.byhand")
        for number in range(count):
            watched.page.evaluate("byhand.pad.clear()")
            watched.draw_at_once(drawing(rng), "middle")
            pad, picture, probabilities = watched.page.evaluate(FOUND)
            try:
                image = normalize(np.array(pad, np.uint8).reshape(280, 280), is_pad=True).image
            except DataError:
                empty += 1
                different += picture is not None
                continue
            if picture is None or not np.array_equal(np.array(picture).reshape(28, 28), image):
                different += 1
                print(f"drawing {number}: other pixels")
                continue
            largest = max(largest, float(np.abs(np.array(probabilities) - model.probabilities(image[None])[0]).max()))
        browser.close()
    print(f"{count} drawings, {empty} without a digit: {different} differ")
    print(f"largest difference of a probability: {largest:.1e}")
    return 1 if different or largest > 1e-5 else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
