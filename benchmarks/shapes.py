"""Shapes of digits and letters as pen strokes: European digits, and letters and signs that are no digit.

A shape is text: strokes separated by `;`, each a list of points `x y` separated by commas, in hundredths of a box; y
grows downward. A stroke that begins with `~` is a smooth curve through its points. `traced` draws a shape as an
unsteady hand would: every point moves a little.

    strokes = traced(DIGITS["7"][0], rng)
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator
Strokes = tuple[Floats, ...]

POINTS_PER_SEGMENT = 8

#: Shapes of each digit that are rare in MNIST, whose writers learned to write in the United States.
DIGITS: dict[str, tuple[str, ...]] = {
    "0": (
        "~ 50 0, 10 30, 10 75, 50 100, 90 70, 88 25, 50 0; 90 0, 10 100",
        "~ 50 0, 12 30, 12 75, 50 100, 88 70, 85 25, 50 0; 75 20, 28 82",
        "~ 60 5, 20 20, 5 60, 40 100, 85 80, 90 35, 60 5, 40 15",
    ),
    "1": (
        "0 55, 60 0, 60 100",
        "0 40, 45 0, 45 100",
        "5 70, 55 0, 50 100",
        "0 30, 30 0, 30 100; 0 100, 62 100",
        "~ 0 45, 30 25, 50 0; 50 0, 42 100",
        "0 60, 75 0, 60 100",
    ),
    "2": (
        "~ 5 25, 40 0, 75 20, 60 55, 10 95; ~ 10 95, 25 75, 45 90, 90 92",
        "~ 10 20, 50 0, 80 25, 45 65, 5 100; 5 100, 85 100",
        "~ 5 30, 35 0, 70 20, 55 60, 15 90, 5 80, 20 75, 50 95, 90 95",
    ),
    "3": (
        "5 0, 80 0, 35 42; ~ 35 42, 80 55, 75 90, 35 100, 0 88",
        "5 3, 75 0, 40 40; ~ 40 40, 78 62, 60 98, 5 95",
    ),
    "4": (
        "35 0, 0 62, 90 60; 65 30, 60 100",
        "~ 10 0, 5 40, 15 55, 85 50; 80 0, 75 100",
        "70 0, 0 68, 95 68; 70 30, 70 100",
        "20 0, 5 55, 80 55; 80 5, 78 100",
        "70 100, 72 0, 0 65, 100 65",
    ),
    "5": (
        "20 0, 15 40; ~ 15 40, 60 38, 80 70, 45 100, 5 88; 20 0, 85 0",
        "75 3, 25 3, 18 42; ~ 18 42, 65 42, 72 82, 10 98",
        "~ 18 5, 15 45, 65 45, 75 80, 40 100, 5 92; 25 12, 90 0",
    ),
    "6": (
        "~ 70 0, 25 35, 5 75, 35 100, 70 80, 55 58, 10 72",
        "~ 45 0, 12 45, 10 85, 45 100, 70 80, 45 62, 12 78",
    ),
    "7": (
        "0 5, 85 0, 35 100; 20 52, 85 48",
        "0 20, 5 3, 85 3, 40 100; 25 55, 80 48",
        "~ 0 12, 20 3, 50 12, 88 0; 88 0, 45 100; 25 52, 88 45",
        "0 5, 80 0, 55 50, 45 100; 30 50, 85 55",
        "~ 0 18, 25 2, 55 10, 85 0; ~ 85 0, 55 50, 45 100",
        "0 3, 75 3, 60 100; 35 50, 92 50",
    ),
    "8": (
        "~ 50 48, 15 25, 50 0, 82 22, 50 48, 10 75, 50 100, 90 75, 50 48",
        "~ 75 10, 40 0, 20 25, 75 70, 50 100, 15 80, 70 30, 78 12",
    ),
    "9": (
        "~ 80 15, 45 0, 8 25, 40 50, 80 20; ~ 80 20, 78 70, 45 100, 5 92",
        "~ 75 10, 40 0, 5 28, 40 48, 75 12; 75 12, 70 100",
        "~ 78 20, 40 2, 10 28, 42 46, 78 20, 75 65, 30 100, 0 85",
        "~ 70 15, 35 0, 8 22, 35 42, 68 25; ~ 68 15, 72 60, 20 100",
    ),
}

#: Letters and signs that look like no digit.
OTHERS: dict[str, str] = {
    "A": "45 0, 0 100; 45 0, 90 100; 15 62, 78 62",
    "C": "~ 85 15, 45 0, 8 45, 40 100, 88 85",
    "D": "0 0, 0 100; ~ 0 0, 80 15, 82 80, 0 100",
    "E": "0 0, 0 100; 0 0, 70 0; 0 50, 60 50; 0 100, 70 100",
    "F": "0 0, 0 100; 0 0, 75 0; 0 48, 60 48",
    "H": "0 0, 0 100; 80 0, 80 100; 0 50, 80 50",
    "J": "30 0, 90 0; ~ 60 0, 60 80, 30 100, 0 80",
    "K": "0 0, 0 100; 75 0, 0 55, 80 100",
    "L": "0 0, 0 100, 70 100",
    "M": "0 100, 8 0, 48 70, 90 0, 100 100",
    "N": "0 100, 0 0, 80 100, 80 0",
    "P": "0 100, 0 0; ~ 0 0, 70 8, 68 45, 0 52",
    "R": "0 100, 0 0; ~ 0 0, 70 8, 68 45, 0 52; 20 52, 80 100",
    "T": "0 0, 90 0; 45 0, 45 100",
    "U": "~ 0 0, 0 70, 40 100, 80 70, 80 0",
    "V": "0 0, 42 100, 85 0",
    "W": "0 0, 25 100, 50 30, 75 100, 100 0",
    "X": "0 0, 80 100; 80 0, 0 100",
    "Y": "0 0, 40 50; 85 0, 40 50, 40 100",
    "a": "~ 70 45, 35 35, 8 65, 30 98, 70 60; ~ 72 38, 70 85, 92 98",
    "d": "~ 60 55, 25 48, 5 75, 30 100, 60 65; 64 0, 62 100",
    "e": "~ 8 62, 80 55, 50 25, 10 55, 40 100, 85 82",
    "f": "~ 75 12, 50 0, 35 30, 32 100; 5 42, 70 42",
    "h": "5 0, 5 100; ~ 5 65, 40 48, 60 65, 60 100",
    "k": "5 0, 5 100; 60 45, 5 72, 62 100",
    "m": "0 45, 0 100; ~ 0 62, 28 45, 42 60, 42 100; ~ 42 62, 72 45, 88 60, 88 100",
    "n": "0 40, 0 100; ~ 0 62, 38 40, 62 60, 62 100",
    "p": "0 30, 0 120; ~ 0 45, 45 30, 60 60, 30 85, 0 72",
    "r": "0 40, 0 100; ~ 0 65, 30 40, 60 45",
    "t": "40 0, 38 90, 70 98; 5 32, 80 32",
    "u": "~ 0 40, 0 80, 35 98, 60 70; 62 40, 64 100",
    "w": "~ 0 40, 15 95, 45 55, 65 95, 92 40",
    "x": "~ 0 0, 45 50, 90 100; ~ 90 0, 40 50, 0 100",
    "+": "0 50, 100 50; 50 0, 50 100",
    "−": "0 0, 100 0",
    "=": "0 0, 100 0; 0 40, 100 40",
    "÷": "0 50, 100 50; 48 12, 52 16; 48 85, 52 88",
    "%": "95 0, 5 100; ~ 20 5, 5 18, 20 32, 35 18, 20 5; ~ 80 68, 65 82, 80 96, 95 82, 80 68",
    "#": "30 0, 20 100; 75 0, 65 100; 0 35, 100 30; 0 70, 100 65",
    "&": "~ 90 100, 30 25, 45 0, 65 20, 10 70, 40 100, 85 55",
    "?": "~ 5 25, 45 0, 80 22, 45 55, 42 72; 42 95, 44 99",
    "!": "0 0, 0 68; 0 95, 2 99",
    "*": "50 0, 50 100; 5 25, 95 75; 95 25, 5 75",
    "@": "~ 65 35, 35 40, 40 70, 68 60, 70 30, 65 60, 90 70, 95 25, 50 0, 5 40, 20 90, 80 95",
    "$": "~ 85 20, 45 8, 10 28, 85 70, 50 92, 8 80; 50 0, 46 100",
    "<": "85 0, 0 50, 85 100",
    ">": "0 0, 85 50, 0 100",
    "✓": "0 60, 30 100, 100 0",
    "√": "0 60, 15 55, 35 100, 55 0, 110 0",
    "∞": "~ 50 50, 20 25, 0 50, 20 75, 50 50, 80 25, 100 50, 80 75, 50 50",
    "△": "50 0, 0 90, 100 90, 50 0",
    "□": "0 0, 0 90, 95 92, 95 0, 0 0",
    "♡": "~ 50 30, 25 0, 0 30, 50 100, 100 30, 75 0, 50 30",
    "→": "0 50, 100 50; 70 20, 100 50, 70 80",
}


def points(stroke: str) -> Floats:
    return np.array([pair.split() for pair in stroke.replace("~", "").split(",")], np.float64) / 100


def curve(through: Floats) -> Floats:
    """Return points of a smooth curve through the given ones: a Catmull-Rom spline."""
    padded = np.concatenate([2 * through[:1] - through[1:2], through, 2 * through[-1:] - through[-2:-1]])
    t = np.linspace(0, 1, POINTS_PER_SEGMENT, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        parts.append(b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - a - 3 * c + d))))
    return np.concatenate([*parts, through[-1:]])


def swaying(through: Floats, rng: Rng) -> Floats:
    """Return points of straight lines that a hand bends a little."""
    parts = []
    along = np.linspace(0, 1, POINTS_PER_SEGMENT, endpoint=False)[:, None]
    for start, end in itertools.pairwise(through):
        parts.append(start + along * (end - start) + rng.normal(0, 0.025, 2) * np.sin(np.pi * along))
    return np.concatenate([*parts, through[-1:]])


def traced(shape: str, rng: Rng, unsteady: float = 0.04) -> Strokes:
    """Draw a shape; each of its points moves by about `unsteady` of the box."""
    moved: dict[tuple[float, ...], Floats] = {}  # strokes that meet in a point still meet
    strokes = []
    for stroke in shape.split(";"):
        through = np.array(
            [moved.setdefault(tuple(point), point + rng.normal(0, unsteady, 2)) for point in points(stroke)]
        )
        strokes.append(curve(through) if "~" in stroke else swaying(through, rng))
    return tuple(strokes)


def one_of(shapes: Sequence[str], rng: Rng) -> str:
    return shapes[int(rng.integers(len(shapes)))]
