"""Separate the ink from the paper in a drawing, a scan, or a photo in uneven light.

All steps use integer arithmetic, so that `page/ink.js` computes the same bytes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byhand.errors import NothingDrawnError, UsageError

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # top, left, bottom, right, the last two excluded

LONGEST = 800  # maximum pixels per side; more only cost time
TILES = 32  # maximum number of tiles per side for the estimate of the background
WINDOW = 11  # tiles: anything narrower is not background
FAINTEST = 16  # minimum difference between ink and paper in gray levels
DARKEST_PAPER = 128  # below this, contrast is not amplified further, because noise would be too
FULL = 192  # minimum level of full ink, which is not stretched to 255
UNDECIDED = 8  # ratio of the evidence for one polarity to the other, below which the edge of the picture decides
SPECK = 3  # percent of the ink of the heaviest component, below which a component is dirt


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink of a picture, and how it was found."""

    ink: Bytes  # (H, W), 255 at full ink, 0 without ink
    inverted: bool  # True if the ink was darker than the paper
    shrink: int  # side of the squares that were averaged first


def find_ink(gray: Bytes, *, extent: int | None = None) -> Ink:
    """Return the ink of a grayscale picture, uint8 (H, W).

    Strokes must be narrower than a third of `extent` (default: the longest side).
    """
    gray = np.asarray(gray)
    if gray.dtype != np.uint8 or gray.ndim != 2 or gray.size == 0:
        raise UsageError(f"a picture must be uint8 (H, W) with H and W at least 1, got {gray.dtype} {gray.shape}")
    shrink = -(-max(gray.shape) // LONGEST)
    small = shrunk(gray, shrink)
    inverted = is_dark_on_light(small)
    bright = 255 - small if inverted else small
    extent = max(gray.shape) if extent is None else max(shrink, extent)
    ground = np.full_like(bright, bright.min()) if is_two_level(small) else background(bright, extent // shrink)
    return Ink(normalize_contrast(bright, ground, inverted), inverted, shrink)


def shrunk(gray: Bytes, side: int) -> Bytes:
    """Return the means ⌊Σ/n + ½⌋ of complete squares of side × side pixels."""
    if side == 1:
        return gray
    height, width = (max(1, length // side) for length in gray.shape)
    squares = gray[: height * side, : width * side]
    rows = np.add.reduceat(squares, np.arange(0, len(squares), side), axis=0, dtype=np.uint32)
    sums = np.add.reduceat(rows, np.arange(0, squares.shape[1], side), axis=1, dtype=np.int64)
    n = squares.size // (height * width)
    means: Bytes = ((2 * sums + n) // (2 * n)).astype(np.uint8)
    return means


def is_dark_on_light(gray: Bytes) -> bool:
    """Return True if the ink is darker than the paper.

    Each pixel is compared with the four ends of its row and column. The cubes of the difference are summed where it
    is darker, and where it is brighter, than all four; the larger sum decides. Shadows reach an end, so they do not
    count, and cubes give little weight to slightly uneven areas.

    Ink that reaches the edges hides the paper there. So if the larger sum is less than UNDECIDED times the smaller one,
    or the picture has only two levels, an edge that is all bright or all dark is paper. Otherwise, signs are added:
    paper has more pixels, at the edge too (weight 3), and strokes that reach the edges divide it into more pieces of
    at least one percent of the pixels (weight 1/2).
    """
    pixels = gray.astype(np.int64)
    ends = [pixels[:, :1], pixels[:, -1:], pixels[:1], pixels[-1:]]
    darkest = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
    brightest = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
    darker = int((np.maximum(darkest - pixels, 0) ** 3).sum())  # whole numbers below 2⁵³
    brighter = int((np.maximum(pixels - brightest, 0) ** 3).sum())
    if max(darker, brighter) >= UNDECIDED * min(darker, brighter) and not is_two_level(gray):
        return darker > brighter
    side = np.sign(2 * pixels - int(gray.min()) - int(gray.max()))  # −1 where dark, 1 where bright
    at_edge = np.concatenate([side[0], side[-1], side[:, 0], side[:, -1]])
    if abs(at_edge.sum()) == at_edge.size:
        return bool(at_edge[0] > 0)
    bright, dark = (int((100 * connected_components(side == sign)[1] >= gray.size).sum()) for sign in (1, -1))
    more = 2 * (side.sum() * at_edge.size + 3 * at_edge.sum() * side.size)
    return bool(more + (bright - dark) * side.size * at_edge.size > 0)


def is_two_level(gray: Bytes) -> bool:
    """Return True if nine of ten pixels have the lowest or the highest level, as in a drawing or a binarized scan."""
    extreme = (gray == gray.min()) | (gray == gray.max())
    return bool(10 * extreme.sum() >= 9 * extreme.size)


def background(bright: Bytes, extent: int) -> Bytes:
    """Return the brightness of the paper at each pixel.    bright, result: (H, W)

    The (lower) median of each square tile of side ⌈extent/TILES⌉, then a morphological opening with WINDOW × WINDOW
    tiles, which removes the ink but not wider shadows, then bilinear interpolation.
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
    return ((2 * both + unit) // (2 * unit)).astype(np.uint8)


def _over_windows(tiles: Bytes, smaller_or_larger: np.ufunc) -> Bytes:
    """Return the minimum (or maximum) over the window around each tile: (h, w) → (h, w)."""
    reach = WINDOW // 2
    for _ in range(2):  # along columns, then along rows
        wide = np.pad(tiles, [(reach, reach), (0, 0)], mode="edge")
        tiles = wide[: len(tiles)]
        for step in range(1, WINDOW):
            tiles = smaller_or_larger(tiles, wide[step : step + len(tiles)])
        tiles = tiles.T
    return tiles


def _between(tiles: Integers, length: int, side: int) -> Integers:
    """Return 2·side times the linear interpolation of the tiles: (h, w) → (length, w)."""
    place = np.maximum(2 * np.arange(length) + 1 - side, 0)
    before, part = np.divmod(place, 2 * side)
    after = np.minimum(before + 1, len(tiles) - 1)
    mixed: Integers = (2 * side - part)[:, None] * tiles[before] + part[:, None] * tiles[after]
    return mixed


def normalize_contrast(bright: Bytes, ground: Bytes, inverted: bool) -> Bytes:
    """Map the ink above the background to 0 (noise) … 255 (full ink).    bright, ground, result: (H, W)

    d      = max(bright − ground, 0); for dark ink on paper of brightness p = 255 − ground (at least 128), ⌊255·d/p⌋,
             so that ink is as black in a shadow as in the light
    noise  = 11/5 of the lower quartile of the differences of d between adjacent pixels, horizontal or vertical,
             whichever is less (the standard deviation for Gaussian noise)
    level  = the median of all d over half the peak, where the peak is the (longest side / 8)-th largest d
    floor  = 4·noise, and at least ⌊level/3⌋ on uneven paper
    ink    = 0 where d ≤ floor; otherwise d on even paper with level ≥ FULL, or else
             min(255, ⌊255·(d − floor)/(level − floor) + ½⌋)
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
        raise NothingDrawnError(
            f"nothing drawn: ink and paper must differ by at least {FAINTEST} gray levels, got {level}"
        )
    if level < 6 * noise:
        raise NothingDrawnError(f"no digit: noise with a standard deviation of {noise}, and no ink that stands out")
    even = ground.min() == ground.max()
    floor = 4 * noise if even else max(4 * noise, level // 3)
    above[above <= floor] = 0
    if not even or level < FULL:
        span = level - floor
        above = np.where(above > 0, np.minimum((510 * (above - floor) + span) // (2 * span), 255), 0)
    ink: Bytes = above.astype(np.uint8)
    return ink


def _quartile(numbers: Integers) -> int:
    """Return the lower quartile, sorted[⌊n/4⌋], or 0 without numbers."""
    return int(np.sort(numbers, axis=None)[numbers.size // 4]) if numbers.size else 0


def remove_dirt(ink: Bytes) -> tuple[Bytes, int]:
    """Remove the components that touch the edge (a table, a margin, the next digit), then specks; count the others.

    The heaviest component stays if its contact with the edge is short, like that of a stroke which leaves the picture,
    and all components at the edge stay if the others have less than a quarter of their ink.
    """
    pieces, sizes = connected_components(ink > 0)
    amounts = _amounts(ink, pieces, len(sizes))
    inside = np.zeros(ink.shape, bool)
    inside[1:-1, 1:-1] = True
    contact = np.bincount(pieces[~inside] + 1, minlength=len(sizes) + 1)[1:]
    at_edge = contact > 0
    heaviest = int(amounts.argmax())
    at_edge[heaviest] &= 4 * contact[heaviest] ** 2 > sizes[heaviest]
    if 4 * amounts[~at_edge].sum() < amounts[at_edge].sum():
        at_edge[:] = False
    return _without_specks(ink, pieces, amounts, ~at_edge)


def remove_specks(ink: Bytes) -> tuple[Bytes, int]:
    """Remove components with little ink, or only faint ink, compared with the heaviest one; count the others."""
    pieces, sizes = connected_components(ink > 0)
    return _without_specks(ink, pieces, _amounts(ink, pieces, len(sizes)), np.ones(len(sizes), bool))


def _without_specks(ink: Bytes, pieces: Integers, amounts: Integers, keep: Mask) -> tuple[Bytes, int]:
    peaks = np.zeros(len(amounts) + 1, np.uint8)
    np.maximum.at(peaks, pieces, ink)  # the last one, −1, is outside
    heaviest = int(np.where(keep, amounts, -1).argmax())
    keep &= (100 * amounts >= SPECK * amounts[heaviest]) & (2 * peaks[:-1].astype(np.int64) >= peaks[heaviest])
    return np.where(np.append(keep, False)[pieces], ink, 0).astype(np.uint8), int(keep.sum())


def _amounts(ink: Bytes, pieces: Integers, count: int) -> Integers:
    """Return the sum of the ink of each component."""
    return np.bincount(pieces.ravel() + 1, weights=ink.ravel(), minlength=count + 1)[1:].astype(np.int64)


def connected_components(mask: Mask) -> tuple[Integers, Integers]:
    """Label the 8-connected components of a mask (H, W), in the order of their first pixels.

    Returns the labels (H, W), −1 outside the mask, and the size of each component.
    Union-find: adjacent pixels take the smaller label, then each label is replaced by its root, until nothing changes.
    """
    height, width = mask.shape
    pixels = np.flatnonzero(mask)
    number = np.full((height, width), -1, np.int64)
    number.ravel()[pixels] = np.arange(len(pixels))
    adjacent = [
        (number[:, :-1], number[:, 1:]),
        (number[:-1], number[1:]),
        (number[:-1, :-1], number[1:, 1:]),
        (number[:-1, 1:], number[1:, :-1]),
    ]
    one, other = (np.concatenate([pair[side][(pair[0] >= 0) & (pair[1] >= 0)] for pair in adjacent]) for side in (0, 1))
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
