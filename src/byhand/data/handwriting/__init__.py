"""Normalization: convert a picture of one digit to 28 × 28 bytes in the format of MNIST.

Find the ink, remove dirt, adjust the stroke width, scale the ink to 20 × 20 by area averaging, and shift its center of
mass to pixel (14, 14), as in MNIST (see `docs/handwriting.md`). `page/handwriting.js` computes the same bytes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byhand.data.formats.images import read_photo
from byhand.data.handwriting.ink import Box, Bytes, Ink, find_ink, remove_dirt, remove_specks, shrunk
from byhand.data.handwriting.line import segment_line
from byhand.errors import NothingDrawnError
from byhand.lazy import renamed

__all__ = ["Digit", "normalize", "read_photo", "segment_line"]

__getattr__ = renamed(__name__, {"normalise": "normalize", "read_picture": "read_photo"})

SIZE = 28  # side of an image
BOX = 20  # longest side of the ink
MIDDLE = 14  # row and column of the center of mass
MOST_PIECES = 24  # maximum number of components; a handwritten digit has one to three
SMALLEST = 5  # minimum of the longest side in pixels
COARSE = 40  # squares: minimum of the longest side after averaging over squares
LONGEST_OUTLINE = 14  # maximum ratio of the smooth outline to the longest side; in MNIST at most 9.1
GRAINIEST = 4  # maximum ratio of the outline to the smooth one, for each pixel of a square's side; noise has 10


@dataclass(frozen=True, slots=True)
class Digit:
    """A normalized digit, and the results of the steps."""

    image: Bytes  # (28, 28)
    inverted: bool  # True if the ink was darker than the paper
    ink: Bytes  # (H, W), after all steps except scaling and centering
    box: Box  # top, left, bottom, right of the ink, the last two excluded
    grown: int  # growth of the ink on each side in pixels; negative if it was thinned
    scaled: Bytes  # (28, 28), the ink before centering


def normalize(gray: Bytes, *, is_pad: bool = False) -> Digit:
    """Normalize a picture of one digit, uint8 (H, W); a `NothingDrawnError` if there is none.

    is_pad: every bright pixel is ink: there is no paper, nothing is inverted, and ink at the edge is kept
    """
    if is_pad and not gray.any():
        raise NothingDrawnError("nothing drawn")
    found = Ink(gray, inverted=False, shrink=1) if is_pad else find_ink(gray)
    ink, pieces = (remove_specks if is_pad else remove_dirt)(found.ink)
    if pieces > MOST_PIECES:
        raise NothingDrawnError(f"no digit: a digit must have at most {MOST_PIECES} pieces, got {pieces}")
    longest, outline = _longest(box_of(ink)), smooth_outline_of(ink)
    if longest < SMALLEST:
        raise NothingDrawnError(f"no digit: the ink must be at least {SMALLEST} pixels high or wide, got {longest}")
    if outline > LONGEST_OUTLINE * longest or outline_of(ink) > GRAINIEST * coarse_side(ink) * outline:
        rule = f"a digit's outline must be at most {LONGEST_OUTLINE} times its longest side"
        hint = "noise or a pattern; ruled or squared paper? crop to the digit"
        raise NothingDrawnError(f"no digit: {rule}, got {max(outline, outline_of(ink)) / longest:.0f} times: {hint}")
    steps = pen_steps(ink)
    ink = with_pen(ink, steps)
    box = box_of(ink)
    scaled = to_scale(ink, box)
    return Digit(centered(scaled), found.inverted, ink, box, steps, scaled)


def box_of(ink: Bytes) -> Box:
    """Return the box of the pixels with at least a quarter of the maximum."""
    inside = 4 * ink.astype(np.int64) >= max(int(ink.max()), 1)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _longest(box: Box) -> int:
    top, left, bottom, right = box
    return max(bottom - top, right - left)


def outline_of(ink: Bytes) -> int:
    """Return the length of the outline of these pixels, in sides of pixels."""
    inside = np.pad(4 * ink.astype(np.int64) >= int(ink.max()), 1)
    return int((inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum())


def coarse_side(ink: Bytes) -> int:
    """Return the largest side of squares, at least 1, of which the longest side of the box holds at least COARSE."""
    return max(1, _longest(box_of(ink)) // COARSE)


def smooth_outline_of(ink: Bytes) -> int:
    """Return the length of the outline after averaging over squares, so that the grain of a pencil does not count."""
    side = coarse_side(ink)
    return side * outline_of(shrunk(np.pad(ink, [(0, -length % side) for length in ink.shape]), side))


def to_scale(ink: Bytes, box: Box) -> Bytes:
    """Scale the box by area averaging: its longest side L becomes 20 pixels, from row and column 4 on.

    Pixel (r, c) is the mean of a square of side L/20 with the corner (top + (r−4)·L/20, left + (c−4)·L/20):
    out = ⌊Σ down(r, y)·ink(y, x)·across(c, x) / L² + ½⌋, with integer overlaps in twentieths of a pixel.
    """
    top, left, _, _ = box
    longest = _longest(box)
    down = _overlaps(top, longest, ink.shape[0])
    across = _overlaps(left, longest, ink.shape[1])
    sums = (down @ ink.astype(np.float64) @ across.T).astype(np.int64)  # integers below 2⁵³: exact
    return ((2 * sums + longest**2) // (2 * longest**2)).astype(np.uint8)


def _overlaps(start: int, longest: int, length: int) -> NDArray[np.float64]:
    """Return the overlaps of source and target pixels in twentieths of a pixel: (28, length)."""
    margin = (SIZE - BOX) // 2
    begin = BOX * start + longest * (np.arange(SIZE)[:, None] - margin)
    pixel = BOX * np.arange(length)
    common: NDArray[np.int64] = np.minimum(begin + longest, pixel + BOX) - np.maximum(begin, pixel)
    return np.maximum(common, 0).astype(np.float64)


def centered(scaled: Bytes) -> Bytes:
    """Shift the ink by ⌊14 + ½ − Σp·x/Σp⌋ columns, and rows likewise, within the image."""
    top, left, bottom, right = box_of(scaled)
    mass = int(scaled.sum())
    down, across = (int(scaled.sum(axis=axis) @ np.arange(SIZE)) for axis in (1, 0))
    row, column = (((2 * MIDDLE + 1) * mass - 2 * moment) // (2 * mass) for moment in (down, across))
    row = min(max(row, -top), SIZE - bottom)
    column = min(max(column, -left), SIZE - right)
    return np.pad(scaled, SIZE)[SIZE - row : 2 * SIZE - row, SIZE - column : 2 * SIZE - column].copy()


def pen_steps(ink: Bytes) -> int:
    """Return the growth on each side (negative: thinning) that makes the stroke width usual in MNIST.

    With A = Σp/255 the area, L the longest side of the box, and C the outline, about 14/11 of its length:
        w = 2·A / (11/14·C)                     stroke width; w·20/L on MNIST's scale
        steps = ⌊(2.2·L/20 − w)/2 + ½⌋          if w·20/L < 1.3 (one in 200 of MNIST's digits)
        steps = ⌊(3.2·L/20 − w)/2 + ½⌋          if w·20/L > 4.5 (one in 80)
    """
    mass, longest = int(ink.sum()), _longest(box_of(ink))
    unit = 561 * smooth_outline_of(ink)  # so that w·20/L = 112·Σp / (unit·L), in integers
    if 1120 * mass < 13 * unit * longest:
        target = 22
    elif 1120 * mass > 45 * unit * longest:
        target = 32
    else:
        return 0
    return (unit * (target * longest + 200) - 1120 * mass) // (400 * unit)


def with_pen(ink: Bytes, steps: int) -> Bytes:
    """Dilate the ink `steps` times, with a cross and a square in turn: (H + 2·steps, W + 2·steps).

    Negative steps erode it, (H, W) → (H, W), unless too little would be left.
    """
    if steps < 0:
        left = 255 - with_pen(255 - ink, -steps)[-steps:steps, -steps:steps]
        return left if 2 * int(left.max()) >= int(ink.max()) else ink
    ink = np.pad(ink, steps)
    for step in range(steps):
        across = ink.copy()
        np.maximum(across[:, 1:], ink[:, :-1], out=across[:, 1:])
        np.maximum(across[:, :-1], ink[:, 1:], out=across[:, :-1])
        source = across if step % 2 else ink
        grown = across.copy()
        np.maximum(grown[1:], source[:-1], out=grown[1:])
        np.maximum(grown[:-1], source[1:], out=grown[:-1])
        ink = grown
    return ink
