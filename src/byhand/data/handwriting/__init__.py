"""Handwriting: any picture of one digit becomes the 28 × 28 bytes that MNIST would have held.

Takes a grey picture of any size, from `read_photo` or from the drawing pad; finds its ink, leaves out dirt, brings
hair-thin and bold strokes to a pen's width, scales the ink to a box of 20 × 20 by area averaging, and places it with
its centre of mass in the middle. `predict` and the page give the result to the model, whose own preparation follows.

MNIST's convention, measured on its 60,000 training images: the longest side of the ink is 20 pixels in 59,987 of them
and 19 in the rest; the centre of mass, counted in pixels from the first one's middle, is spread evenly over
13.5 … 14.5 in both directions (mean 14.007 across, 13.996 down): ink is moved by whole pixels, to the place where its
centre of mass is nearest to pixel (14, 14), a little right of and below the picture's own middle, which is 13.5.

Each step is arithmetic on whole numbers, defined in its docstring: the page's JavaScript gives the same bytes, and
golden vectors hold the two together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byhand.data.formats.images import read_photo
from byhand.data.handwriting.ink import find_ink, remove_border_components, remove_small_components
from byhand.data.handwriting.line import segment_line
from byhand.errors import NothingDrawnError
from byhand.lazy import renamed

__all__ = ["Digit", "normalize", "read_photo", "segment_line"]

__getattr__ = renamed(__name__, {"normalise": "normalize", "read_picture": "read_photo"})

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Box = tuple[int, int, int, int]

SIZE = 28  # MNIST's pictures …
BOX = 20  # … the longest side of the ink in them …
MIDDLE = 14  # … and the pixel that the centre of mass is nearest to

MOST_PIECES = 24  # a written digit has one to three
SMALLEST = 5  # pixels, the longest side of what can be a digit
LONGEST_OUTLINE = 14  # times the longest side; MNIST's most curled digit has 9.1


@dataclass(frozen=True, slots=True)
class Digit:
    """A digit as MNIST would have held it, and how it was found."""

    image: Bytes
    """(28, 28)"""
    inverted: bool
    """the ink was darker than the paper"""
    ink: Bytes
    """(H, W): the picture's ink, bright on black, after shrinking, levelling, cleaning and growing"""
    box: Box
    """top, left, bottom, right of the ink, the last two excluded"""
    grown: int
    """by how many pixels the ink was grown on each side; below 0, shrunk"""
    scaled: Bytes
    """(28, 28): the ink in its box of 20, before it was centred"""


def normalize(grey: Bytes) -> Digit:
    """Return a picture of one digit as MNIST would have held it.                    grey: uint8 (H, W)

    A picture with nothing in it, or nothing but noise, is a `NothingDrawnError`.
    """
    found = find_ink(grey)
    ink, pieces = remove_small_components(remove_border_components(found.ink))
    if pieces > MOST_PIECES:
        raise NothingDrawnError(f"no digit: a digit must have at most {MOST_PIECES} pieces, got {pieces}")
    longest, outline = _longest(box_of(ink)), outline_of(ink)
    if longest < SMALLEST:
        raise NothingDrawnError(f"no digit: the ink must be at least {SMALLEST} pixels high or wide, got {longest}")
    if outline > LONGEST_OUTLINE * longest:
        rule = f"a digit's outline must be at most {LONGEST_OUTLINE} times its longest side"
        hint = "noise or a pattern; ruled or squared paper? crop to the digit"
        raise NothingDrawnError(f"no digit: {rule}, got {outline / longest:.0f} times: {hint}")
    steps = pen_steps(ink)
    ink = with_pen(ink, steps)
    box = box_of(ink)
    scaled = to_scale(ink, box)
    return Digit(centred(scaled), found.inverted, ink, box, steps, scaled)


def box_of(ink: Bytes) -> Box:
    """Return the box around all pixels with a quarter of the brightest one's level: top, left, bottom, right."""
    inside = 4 * ink.astype(np.int64) >= max(int(ink.max()), 1)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _longest(box: Box) -> int:
    top, left, bottom, right = box
    return max(bottom - top, right - left)


def outline_of(ink: Bytes) -> int:
    """Return the number of sides of pixels between ink, which has a quarter of the brightest one's level, and none."""
    inside = np.pad(4 * ink.astype(np.int64) >= int(ink.max()), 1)
    return int((inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum())


def to_scale(ink: Bytes, box: Box) -> Bytes:
    """Scale the ink so that its box's longest side L becomes 20, at row and column 4 of (28, 28), by area averaging.

    Pixel (r, c) is the mean of the square of side L/20 whose corner is at (top + (r−4)·L/20, left + (c−4)·L/20);
    outside the picture there is no ink. In twentieths of a pixel all overlaps are whole numbers:
    out = ⌊Σ down(r, y)·ink(y, x)·across(c, x) / L² + ½⌋.
    """
    top, left, _, _ = box
    longest = _longest(box)
    down = _overlaps(top, longest, ink.shape[0])
    across = _overlaps(left, longest, ink.shape[1])
    sums = (down @ ink.astype(np.float64) @ across.T).astype(np.int64)  # whole numbers below 2⁵³: exact
    return ((2 * sums + longest**2) // (2 * longest**2)).astype(np.uint8)


def _overlaps(start: int, longest: int, length: int) -> NDArray[np.float64]:
    """Return the overlap of each source pixel with each of 28 target pixels, in twentieths of a pixel: (28, length)."""
    margin = (SIZE - BOX) // 2
    begin = BOX * start + longest * (np.arange(SIZE)[:, None] - margin)
    pixel = BOX * np.arange(length)
    common: NDArray[np.float64] = np.minimum(begin + longest, pixel + BOX) - np.maximum(begin, pixel).astype(np.float64)
    return np.maximum(common, 0, out=common)


def centred(scaled: Bytes) -> Bytes:
    """Move the ink by whole pixels so that its centre of mass is nearest to (14, 14).       (28, 28) → (28, 28)

    By ⌊14 + ½ − Σp·x/Σp⌋ columns, and rows alike; never so far that the ink's box would leave the picture.
    """
    top, left, bottom, right = box_of(scaled)
    mass = int(scaled.sum())
    down, across = (int(scaled.sum(axis=axis) @ np.arange(SIZE)) for axis in (1, 0))
    row, column = (((2 * MIDDLE + 1) * mass - 2 * moment) // (2 * mass) for moment in (down, across))
    row = min(max(row, -top), SIZE - bottom)
    column = min(max(column, -left), SIZE - right)
    return np.pad(scaled, SIZE)[SIZE - row : 2 * SIZE - row, SIZE - column : 2 * SIZE - column].copy()


def pen_steps(ink: Bytes) -> int:
    """Return by how many pixels the ink must grow on each side (shrink, if negative) to be of a width that MNIST's has.

    With M the sum of all pixels, A = M/255 the area, L the box's longest side, and C the outline in sides of
    pixels, so that 11/14·C is about its length:
        w = 2·A / (11/14·C), the stroke's width, and w·20/L on MNIST's scale
        where w·20/L < 1.3 (so thin is one in 200 of MNIST's digits) it is brought to 2.2,
        where w·20/L > 4.5 (so thick is one in 80) to 3.2:    steps = ⌊(2.2·L/20 − w)/2 + ½⌋, or with 3.2
    """
    mass, longest = int(ink.sum()), _longest(box_of(ink))
    unit = 561 * outline_of(ink)  # so that w·20/L = 112·M / (unit·L), and all is in whole numbers
    if 1120 * mass < 13 * unit * longest:
        target = 22
    elif 1120 * mass > 45 * unit * longest:
        target = 32
    else:
        return 0
    return (unit * (target * longest + 200) - 1120 * mass) // (400 * unit)


def with_pen(ink: Bytes, steps: int) -> Bytes:
    """Grow the ink by a pixel on each side, `steps` times: the brightest of a cross, then of a square, and so on.

    (H, W) → (H + 2·steps, W + 2·steps), with room for what has grown. Negative steps: the darkest instead, (H, W) →
    (H, W), and the ink stays as it is where nothing of it would be left.
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
