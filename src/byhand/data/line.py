"""A line of digits, written next to each other, is cut into its digits.

Takes a grey picture and gives grey pictures of one digit each, left to right, which `handwriting.normalise` takes.
Digits that stand apart are told apart even where they lean into each other's columns. Digits that touch are cut where
the ink is thinnest near an even division: that is a guess, and a cut through a digit is possible.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byhand.data.ink import find_ink, find_pieces, without_specks
from byhand.errors import NothingDrawnError

Bytes = NDArray[np.uint8]

MOST_PIECES = 200  # of ink in a line: more is noise, or a page
TOO_LOW = 0.4  # of the line's height: a comma, a dot, dirt
TOO_WIDE = 1.3  # times the line's height: 97 of 100 of MNIST's digits are narrower than that, in their own
USUAL_WIDTH = 0.8  # of a digit's height, where several touch …
MOST_TOUCHING = 20  # heights in a row: what is wider is a ruled line, and no word of digits
ROW = 0.5  # of the tallest row's height: what else is as tall is a row of digits, not a bar that stands free …
ROWS_APART = 0.2  # … and so far, as a share of that height, rows stand apart; the halves of a broken digit don't
UNUSUAL = 0.2  # … and how much ink, as a share of the height, a cut may save by making them as much wider or narrower


@dataclass(slots=True)
class _Group:
    """Pieces of ink that are one digit, or several that touch: columns left … right − 1."""

    left: int
    right: int
    pieces: list[int]


def segment_line(grey: Bytes) -> list[Bytes]:
    """Cut the picture of a line into pictures of one digit each, left to right.

    grey: uint8 (H, W); returns uint8 pictures of their own sizes, bright ink on black with room around it. The line's
    height is the (upper) median of the marks'; what is much lower is left out.
    """
    ink, count = without_specks(find_ink(grey, extent=min(np.shape(grey), default=0)).ink)
    if count > MOST_PIECES:
        raise NothingDrawnError(f"no line of digits: it must have at most {MOST_PIECES} pieces of ink, got {count}")
    _check_one_row(ink)
    pieces, _ = find_pieces(ink > 0)
    marks = []
    for group in _grouped(pieces):
        alone = np.where(np.isin(pieces, group.pieces), ink, 0).astype(np.uint8)
        marks.append(_tight(alone[:, group.left : group.right]))
    height = sorted(len(mark) for mark in marks)[len(marks) // 2]
    digits = [part for mark in marks if len(mark) >= TOO_LOW * height for part in _apart(mark, height)]
    return [np.pad(digit, 1 + max(digit.shape) // 3) for digit in digits]


def _check_one_row(ink: Bytes) -> None:
    """Digits in rows would be taken for one digit where they stand above each other."""
    inked = np.concatenate([[False], ink.any(axis=1), [False]])
    tops, bottoms = np.flatnonzero(inked[1:] > inked[:-1]), np.flatnonzero(inked[1:] < inked[:-1])
    tall = bottoms - tops >= ROW * (bottoms - tops).max()
    tops, bottoms = tops[tall], bottoms[tall]
    apart = tops[1:] - bottoms[:-1] >= ROWS_APART * (bottoms - tops).max()
    if apart.any():
        row = int((bottoms[:-1] + tops[1:])[apart][0]) // 2
        raise NothingDrawnError(f"no line of digits: these are rows, one above another: cut the picture at row {row}")


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


def _apart(mark: Bytes, height: int) -> list[Bytes]:
    """Cut what is too wide for one digit, at the columns with the least ink near an even division.

    Of the numbers of digits that would fit, the one whose cuts go through the least ink, as a share of the height, and
    whose digits are nearest to the usual width.
    """
    width, height = mark.shape[1], max(height, len(mark))
    if width <= TOO_WIDE * height:
        return [mark]
    if width > MOST_TOUCHING * height:
        raise NothingDrawnError(
            f"no line of digits: a mark is {width} pixels wide and its line {height} high, which is a stroke"
        )
    amount = mark.sum(axis=0, dtype=np.int64) / (255 * height)
    best, least = [0], np.inf
    for count in range(2, max(2, round(2 * width / height)) + 1):
        cuts = _cuts(amount, count)
        unusual = abs(width / (count * height) - USUAL_WIDTH)
        cost = amount[cuts[1:]].mean() + UNUSUAL * unusual if len(cuts) > 1 else np.inf
        if cost < least:
            best, least = cuts, cost
    parts = [mark[:, left:right] for left, right in zip(best, [*best[1:], width], strict=True)]
    return [_tight(part) for part in parts if part.any()]


def _cuts(amount: NDArray[np.float64], count: int) -> list[int]:
    """The first columns of `count` digits: 0, and near each even division the column with the least ink."""
    width = len(amount)
    reach = max(1, width // (4 * count))
    cuts = [0]
    for k in range(1, count):
        even = round(k * width / count)
        near = range(max(cuts[-1] + 1, even - reach), min(width - 1, even + reach) + 1)
        if near:
            cuts.append(min(near, key=lambda column: (amount[column], abs(column - even))))
    return cuts


def _tight(ink: Bytes) -> Bytes:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
