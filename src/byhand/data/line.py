"""A line of digits, written next to each other, is cut into its digits.

Takes a grey picture and gives grey pictures of one digit each, left to right, which `handwriting.normalise` takes.
Digits that stand apart are told apart even where they lean into each other's columns. Digits that touch are cut where
the ink is thinnest near an even division: that is a guess, and a cut through a digit is possible.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byhand.data.ink import find_ink, find_pieces, without_specks
from byhand.errors import DataError

Bytes = NDArray[np.uint8]

MOST_DIGITS = 100
TOO_WIDE = 1.3  # times its height: 97 of 100 of MNIST's digits are narrower than that
USUAL_WIDTH = 0.8  # of a digit's height, where several touch


@dataclass(slots=True)
class _Group:
    """Pieces of ink that are one digit, or several that touch: columns left … right − 1."""

    left: int
    right: int
    pieces: list[int]


def segment_line(grey: Bytes) -> list[Bytes]:
    """Cut the picture of a line into pictures of one digit each, left to right.

    grey: uint8 (H, W); returns uint8 pictures of their own sizes, bright ink on black with room around it.
    """
    ink, _ = without_specks(find_ink(grey).ink)
    pieces, _ = find_pieces(ink > 0)
    digits: list[Bytes] = []
    for group in _grouped(pieces):
        alone = np.where(np.isin(pieces, group.pieces), ink, 0).astype(np.uint8)
        digits += [_with_room(part) for part in _apart(alone[:, group.left : group.right])]
    if len(digits) > MOST_DIGITS:
        raise DataError(f"a line must have at most {MOST_DIGITS} digits, got {len(digits)} marks")
    return digits


def _grouped(pieces: NDArray[np.int64]) -> list[_Group]:
    """Pieces that stand above each other (over half of the narrower one's columns) are one digit."""
    groups: list[_Group] = []
    spans = []
    for piece in range(int(pieces.max()) + 1):
        columns = np.flatnonzero((pieces == piece).any(axis=0))
        spans.append((int(columns[0]), int(columns[-1]) + 1, piece))
    for left, right, piece in sorted(spans, key=lambda span: (span[0] - span[1], span)):  # the widest first
        for group in groups:
            common = min(right, group.right) - max(left, group.left)
            if 2 * common > min(right - left, group.right - group.left):
                group.left, group.right = min(left, group.left), max(right, group.right)
                group.pieces.append(piece)
                break
        else:
            groups.append(_Group(left, right, [piece]))
    return sorted(groups, key=lambda group: (group.left + group.right, group.left))


def _apart(ink: Bytes) -> list[Bytes]:
    """Cut what is too wide for one digit, at the columns with the least ink near an even division."""
    rows = np.flatnonzero(ink.any(axis=1))
    height, width = int(rows[-1] - rows[0] + 1), ink.shape[1]
    if width <= TOO_WIDE * height:
        return [ink]
    count = max(2, round(width / (USUAL_WIDTH * height)))
    amount = ink.sum(axis=0, dtype=np.int64)
    cuts = [0]
    for k in range(1, count):
        even, reach = round(k * width / count), max(1, width // (4 * count))
        near = np.arange(max(cuts[-1] + 1, even - reach), min(width - 1, even + reach) + 1)
        cuts.append(int(min(near, key=lambda column: (amount[column], abs(column - even)))))
    parts = [ink[:, left:right] for left, right in zip(cuts, [*cuts[1:], width], strict=True)]
    return [part for part in parts if part.any()]


def _with_room(ink: Bytes) -> Bytes:
    """The ink in its own box, with a third of its longest side of black around it."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    tight = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(tight, 1 + max(tight.shape) // 3)
