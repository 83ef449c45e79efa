"""Rows and pages of digits, drawn from seeds, and what `byhand.data.handwriting.line` finds in them.

`PYTHONPATH=src:tests python -m helpers.drawn_rows` writes `tests/golden/rows.json`. Look at what changed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from byhand.data import load
from byhand.data.handwriting.line import Row, best_segments, find_row, find_rows
from byhand.errors import NothingDrawnError

GOLDEN = Path(__file__).parents[1] / "golden" / "rows.json"
SAMPLE = load("mnist-5k").test.images[3:1000:10]


def tight(digit, factor):
    columns = np.flatnonzero(digit.any(axis=0))
    return np.kron(digit[:, columns[0] : columns[-1] + 1], np.ones((factor, factor), np.uint8))


def drawn(rng, count, gaps, factor=2, slope=0):
    """Return a row of digits, bright on black; negative gaps let them touch."""
    digits = [tight(SAMPLE[rng.integers(len(SAMPLE))], factor) for _ in range(count)]
    picture = np.zeros(
        (28 * factor + 30 + slope * count, sum(d.shape[1] for d in digits) + count * max(gaps) + 20), np.uint8
    )
    left = 10
    for number, digit in enumerate(digits):
        top = 10 + int(rng.integers(0, 9)) + slope * number
        place = np.s_[top : top + len(digit), left : left + digit.shape[1]]
        picture[place] = np.maximum(picture[place], digit)
        left += digit.shape[1] + int(rng.integers(*gaps))
    return picture[:, : left + 8]


def framed(picture, rng):
    """Add a printed frame with gaps, and a soft edge."""
    picture = np.pad(picture, 6)
    _height, width = picture.shape
    for side in (picture[3:5], picture[-5:-3], picture[:, 3:5], picture[:, -5:-3]):
        side[:] = 220
    start = int(rng.integers(10, width - 12))
    picture[:6, start : start + 5] = 0
    picture[5, : width // 2] = np.maximum(picture[5, : width // 2], 60)
    return picture


def on_paper(picture, rng, noise=2.0):
    """Return dark ink on paper that is lit from one side."""
    light = np.linspace(230, 150, picture.shape[1])
    return np.clip(np.rint(light * (1 - 0.8 * picture / 255) + rng.normal(0, noise, picture.shape)), 0, 255).astype(
        np.uint8
    )


def turned(picture, degrees, fill=0):
    image = Image.fromarray(picture)
    return np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=fill))


def pictures() -> Iterator[tuple[str, Any]]:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        yield f"apart {seed}", drawn(rng, 3, (3, 9))
        yield f"touching {seed}", drawn(rng, 3, (-8, 1))
        yield f"dark {seed}", 255 - drawn(rng, 2, (-2, 6), factor=1)
        yield f"framed {seed}", framed(drawn(rng, 3, (2, 8)), rng)
        yield f"on paper {seed}", on_paper(drawn(rng, 2, (-3, 8)), rng)
        yield f"sloping {seed}", drawn(rng, 4, (-4, 4), factor=1, slope=3 + seed)
        yield f"turned {seed}", turned(drawn(rng, 4, (1, 6), factor=1), [-14, -5, -2, 2, 4, 12][seed])
        scan = on_paper(drawn(rng, 2, (2, 8)), rng)
        yield f"with flat corners {seed}", turned(scan, [-12, -6, -3, 4, 7, 15][seed], [0, 0, 90, 255, 20, 140][seed])
        marks = np.pad(drawn(rng, 2, (2, 8)), ((0, 12), (0, 34)))
        marks[40 : 40 + 2 * seed + 3, -22:-16] = 255  # a comma or a stroke
        marks[-8:-5, 6 : 40 + 20 * seed] = 200  # an underline
        marks[2 : 4 + seed, -12:-9] = 30 * seed + 5  # haze
        yield f"with marks {seed}", marks
    yield "large", np.kron(drawn(np.random.default_rng(9), 3, (-4, 4)), np.ones((7, 7), np.uint8))
    long = np.zeros((60, 300), np.uint8)
    long[20:50, 10:14] = long[33:37, 10:280] = 255
    yield "a ruled line across", long


def pages() -> Iterator[tuple[str, Any]]:
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        rows = [drawn(rng, 3, (2, 7), factor=1) for _ in range(3)]
        width = max(row.shape[1] for row in rows)
        page = np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]))) for row in rows])
        page[int(rng.integers(12, 30)), 3:8] = 255
        yield f"page {seed}", turned(page, [0, 3, -6, 11][seed])


def summary(row: Row) -> dict[str, Any]:
    segments = row.segments()
    parts = [[s.first, s.last, *s.box, round(1000 * s.width), round(1000 * s.cost), s.ink.shape[0]] for s in segments]
    reading = best_segments(segments, [-0.3] * len(segments)) if segments else []
    sizes = np.bincount(row.slices.ravel() + 1)
    return {
        "height": row.height,
        "cuts": [None if cut is None else round(cut, 3) for cut in row.cuts],
        "pixels of slices": [int(size) for size in sizes],
        "ink of slices": [int(row.ink[row.slices == k].sum()) for k in range(len(row.cuts))],
        "segments": parts,
        "boxes": [row.box_in_picture(segments[number].box) for number in reading],
    }


def found(name: str, picture: Any) -> Any:
    try:
        rows = find_rows(picture) if name.startswith("page") else [find_row(picture)]
    except NothingDrawnError as error:
        return str(error)
    return json.loads(json.dumps([summary(row) for row in rows]))


if __name__ == "__main__":
    cases = {name: found(name, picture) for make in (pictures, pages) for name, picture in make()}
    lines = [f" {json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in cases.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
