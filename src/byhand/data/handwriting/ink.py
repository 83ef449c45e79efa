"""Ink: what was written in a picture, and nothing of the paper.

Takes a grey picture (a drawing, a scan, a photograph of ink on paper in uneven light) and gives the ink alone: bright
on black, 255 where it is full, 0 where there is none. `handwriting` crops, scales and centres it; `line` cuts it.

Every step is arithmetic on whole numbers, defined in its docstring, so that the page's JavaScript gives the same bytes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byhand.errors import NothingDrawnError, UsageError

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

LONGEST = 800  # pixels a side to work on: more only costs time
TILES = 32  # the paper's brightness is known on a grid of at most this many tiles in the picture's extent …
WINDOW = 11  # … and what is narrower than this many of them is not paper
FAINTEST = 16  # grey levels between ink and paper, below which nothing was drawn
DARKEST_PAPER = 128  # what is darker is dimly lit, and its noise is not blown up further
FULL = 192  # ink of this level or more is left as it is; fainter ink is stretched to 255
SPECK = 3  # percent: a piece with fewer of the largest piece's pixels is dirt


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink of a picture, and how it was found."""

    ink: Bytes
    """(H, W), 255 where the ink is full, 0 where there is none"""
    inverted: bool
    """the ink was darker than the paper"""
    shrink: int
    """the picture was averaged in squares of this side first"""


def find_ink(grey: Bytes, *, extent: int | None = None) -> Ink:
    """Return the ink of a grey picture, uint8 (H, W): shrink, invert, subtract the background, normalize the contrast.

    A stroke must be narrower than a third of `extent`, the picture's longest side unless said otherwise.
    """
    grey = np.asarray(grey)
    if grey.dtype != np.uint8 or grey.ndim != 2 or grey.size == 0:
        raise UsageError(f"a picture must be uint8 (H, W) with H and W at least 1, got {grey.dtype} {grey.shape}")
    shrink = -(-max(grey.shape) // LONGEST)
    small = shrunk(grey, shrink)
    inverted = is_dark_on_light(small)
    bright = 255 - small if inverted else small
    extent = max(grey.shape) if extent is None else extent
    return Ink(normalize_contrast(bright, background(bright, max(1, extent // shrink)), inverted), inverted, shrink)


def shrunk(grey: Bytes, side: int) -> Bytes:
    """Each square of side × side pixels becomes its mean, ⌊Σ/n + ½⌋; a part of a square at the edge is left out."""
    if side == 1:
        return grey
    height, width = (max(1, length // side) for length in grey.shape)
    squares = grey[: height * side, : width * side]
    rows = np.add.reduceat(squares, np.arange(0, len(squares), side), axis=0, dtype=np.uint32)
    sums = np.add.reduceat(rows, np.arange(0, squares.shape[1], side), axis=1, dtype=np.int64)
    n = squares.size // (height * width)
    means: Bytes = ((2 * sums + n) // (2 * n)).astype(np.uint8)
    return means


def is_dark_on_light(grey: Bytes) -> bool:
    """Return True if the ink is darker than the paper, which the picture's border shows.

    Each pixel is held against four: the two ends of its row and the two ends of its column. The cubes of how much it
    is darker than all of them, or brighter than all of them, are added up; the larger sum is the ink's. A shadow
    across the page reaches one of the ends and counts for neither; a cube gives little for much slightly uneven paper.
    """
    pixels = grey.astype(np.int64)
    ends = [pixels[:, :1], pixels[:, -1:], pixels[:1], pixels[-1:]]
    darkest = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
    brightest = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
    darker, brighter = np.maximum(darkest - pixels, 0), np.maximum(pixels - brightest, 0)
    return bool((darker**3).sum() > (brighter**3).sum())  # whole numbers below 2⁵³


def background(bright: Bytes, extent: int) -> Bytes:
    """Return the brightness of the paper at each pixel, ink or no ink upon it.           bright, result: (H, W)

    The (lower) median of each square tile, whose side is ⌈extent/TILES⌉; of those, the smallest in each window of
    WINDOW × WINDOW tiles, then the largest of these, which takes away all that is narrower than the window (the ink)
    and leaves wider shadows where they are; then, between the tiles' middles, bilinear.
    """
    side = -(-extent // TILES)
    height, width = (-(-length // side) for length in bright.shape)
    filled = np.pad(bright, [(0, height * side - bright.shape[0]), (0, width * side - bright.shape[1])], mode="edge")
    tiles = filled.reshape(height, side, width, side).swapaxes(1, 2).reshape(height, width, side * side)
    medians = np.sort(tiles, axis=2)[:, :, (side * side - 1) // 2]
    opened = _over_windows(_over_windows(medians, np.minimum), np.maximum)
    rows = _between(opened.astype(np.int64), bright.shape[0], side)
    both = _between(rows.T, bright.shape[1], side).T
    unit = 4 * side * side
    ground: Bytes = ((2 * both + unit) // (2 * unit)).astype(np.uint8)
    return ground


def _over_windows(tiles: Bytes, smaller_or_larger: np.ufunc) -> Bytes:
    """Return the smallest (or largest) value within WINDOW//2 tiles up, down and to both sides: (h, w) → (h, w)."""
    reach = WINDOW // 2
    for _ in range(2):  # along columns, then, turned, along rows
        wide = np.pad(tiles, [(reach, reach), (0, 0)], mode="edge")
        tiles = wide[: len(tiles)]
        for step in range(1, WINDOW):
            tiles = smaller_or_larger(tiles, wide[step : step + len(tiles)])
        tiles = tiles.T
    return tiles


def _between(tiles: Integers, length: int, side: int) -> Integers:
    """Return 2·side times the value at each of `length` pixels, linear between tiles' middles: (h, w) → (length, w)."""
    place = np.clip(2 * np.arange(length) + 1 - side, 0, 2 * side * (len(tiles) - 1))
    before, part = np.divmod(place, 2 * side)
    after = np.minimum(before + 1, len(tiles) - 1)
    mixed: Integers = (2 * side - part)[:, None] * tiles[before] + part[:, None] * tiles[after]
    return mixed


def normalize_contrast(bright: Bytes, ground: Bytes, inverted: bool) -> Bytes:
    """Return the ink above its background, from 0 at the noise to 255 at full ink.       bright, ground, result: (H, W)

    d      = max(bright − ground, 0), and for dark ink on paper of the brightness p = 255 − ground (at least 128)
             the share of p that is missing, ⌊255·d/p⌋: ink in a shadow is as black as ink in the light
    noise  = 11/5 of the lower quartile of |d − its neighbour's d|, across or down, whichever is less
             (for Gaussian noise that is its deviation)
    level  = the median of all d over half the peak, where the peak is the (longest side / 8)-th largest d
    floor  = 4·noise, and at least ⌊level/3⌋ where the paper is uneven
    ink    = 0 where d ≤ floor; elsewhere d itself on even paper with level ≥ FULL; else
             min(255, ⌊255·(d − floor)/(level − floor) + ½⌋)

    Too little between ink and paper is nothing drawn, and so is noise: level < 6·noise.
    """
    above = np.maximum(bright.astype(np.int64) - ground, 0)
    if inverted:
        above = 255 * above // np.maximum(255 - ground.astype(np.int64), DARKEST_PAPER)
    noise = min(11 * _quartile(np.abs(np.diff(above, axis=axis))) // 5 for axis in (0, 1))
    in_order = np.sort(above, axis=None)
    peak = int(in_order[-max(1, max(above.shape) // 8)])
    strong = in_order[2 * in_order > peak]
    level = int(strong[len(strong) // 2]) if strong.size else 0
    if level < FAINTEST:
        raise NothingDrawnError(f"nothing drawn: ink and paper must differ by {FAINTEST} grey levels, got {level}")
    if level < 6 * noise:
        raise NothingDrawnError(f"no digit: this is noise, of deviation {noise}, and nothing in it stands out")
    even = ground.min() == ground.max()
    floor = 4 * noise if even else max(4 * noise, level // 3)
    above[above <= floor] = 0
    if not even or level < FULL:
        span = level - floor
        above = np.where(above > 0, np.minimum((510 * (above - floor) + span) // (2 * span), 255), 0)
    ink: Bytes = above.astype(np.uint8)
    return ink


def _quartile(numbers: Integers) -> int:
    """Return the lower quartile: of n numbers in order the ⌊n/4⌋-th, counted from 0; of none, 0."""
    return int(np.sort(numbers, axis=None)[numbers.size // 4]) if numbers.size else 0


def remove_border_components(ink: Bytes) -> Bytes:
    """Leave out what runs off the picture's edge: a table, a margin, the next digit.               (H, W) → (H, W)

    Only if the pieces (of pixels that touch, also at corners) that stand free have a quarter as many pixels together.
    """
    pieces, sizes = connected_components(ink > 0)
    at_edge = np.isin(np.arange(len(sizes)), np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    if 4 * sizes[~at_edge].sum() < sizes[at_edge].sum():
        return ink
    return _only(ink, pieces, ~at_edge)


def remove_small_components(ink: Bytes) -> tuple[Bytes, int]:
    """Leave out dirt: pieces with under SPECK of the pixels of the largest; and count those left.  (H, W) → (H, W)"""
    pieces, sizes = connected_components(ink > 0)
    keep = 100 * sizes >= SPECK * sizes.max()
    return _only(ink, pieces, keep), int(keep.sum())


def _only(ink: Bytes, pieces: Integers, keep: Mask) -> Bytes:
    """Return the ink of the pieces to keep; piece −1, no ink, is never one of them."""
    return np.where(np.append(keep, False)[pieces], ink, 0).astype(np.uint8)


def connected_components(mask: Mask) -> tuple[Integers, Integers]:
    """Number the connected pieces, corners included, in the order of their first pixels, row by row.

    mask: (H, W); returns the piece of each pixel (H, W), −1 for none, and the number of pixels of each piece (P,).
    Connected-component labelling: neighbours take the smaller number, and numbers the number of their number, until
    nothing changes.
    """
    height, width = mask.shape
    pixels = np.flatnonzero(mask)
    number = np.full((height, width), -1, np.int64)
    number.ravel()[pixels] = np.arange(len(pixels))
    neighbours = [
        (number[:, :-1], number[:, 1:]),
        (number[:-1], number[1:]),
        (number[:-1, :-1], number[1:, 1:]),
        (number[:-1, 1:], number[1:, :-1]),
    ]
    one, other = (
        np.concatenate([pair[side][(pair[0] >= 0) & (pair[1] >= 0)] for pair in neighbours]) for side in (0, 1)
    )
    first = np.arange(len(pixels))
    while (first[one] != first[other]).any():
        smaller = np.minimum(first[one], first[other])
        np.minimum.at(first, first[one], smaller)
        np.minimum.at(first, first[other], smaller)
        while (first[first] != first).any():
            first = first[first]
    roots, piece = np.unique(first, return_inverse=True)
    number.ravel()[pixels] = piece
    return number, np.bincount(piece, minlength=len(roots))
