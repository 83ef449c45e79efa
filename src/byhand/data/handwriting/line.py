"""Segmentation: cut a line of handwritten digits into pictures of one digit each.

Separate digits are found even if their columns overlap. Touching digits are cut where the ink is thinnest.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from byhand.data.handwriting.ink import Bytes, connected_components, find_ink, remove_specks
from byhand.errors import NothingDrawnError

MOST_PIECES = 200  # maximum number of components in a line: more are noise or a page
TOO_LOW = 0.4  # of the height of the line: anything lower is a comma, a dot or dirt
TOO_WIDE = 1.3  # times the height of the line: maximum width of a digit (97 % of MNIST's are narrower)
USUAL_WIDTH = 0.8  # of its height: usual width of a digit that touches others
UNUSUAL = 0.2  # penalty for another width, in units of the ink in a cut
MOST_TOUCHING = 20  # heights: anything wider is a ruled line
ROW = 0.5  # of the height of the taller part: minimum height of another row
ROWS_APART = 0.1  # of that height: minimum gap between rows (the gap in a broken digit is smaller)
TALL, INKED = 0.6, 0.2  # of the maximum height and ink: marks with less are strokes of a digit or dirt


class RowsError(NothingDrawnError):
    """The picture has several rows of digits."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A connected component and its box, which excludes `bottom` and `right`."""

    number: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def holds(self, other: "_Piece") -> bool:
        """Return True if the other piece lies strictly inside the box of this one."""
        rows = self.top < other.top and other.bottom < self.bottom
        return rows and self.left < other.left and other.right < self.right


@dataclass(slots=True)
class _Group:
    """The pieces of one digit, or of several that touch, in the columns left … right − 1."""

    left: int
    right: int
    pieces: list[_Piece]

    @property
    def tallest(self) -> int:
        return max(piece.height for piece in self.pieces)


def segment_line(gray: Bytes) -> list[Bytes]:
    """Return the digits in a picture of a line, uint8 (H, W), from left to right.

    The results are bright ink on black with a margin, uint8, of different sizes. The height of the line is the (upper)
    median of the digits' tallest pieces. Low marks, frames and underlines are ignored.
    """
    found = find_ink(gray, extent=min(np.shape(gray), default=0))
    ink, count = remove_specks(found.ink)
    if count > MOST_PIECES:
        raise NothingDrawnError(f"no line of digits: it must have at most {MOST_PIECES} pieces of ink, got {count}")
    numbers, _ = connected_components(ink > 0)
    groups = _grouped(_without_rules(_without_frames(_pieces(numbers, count))))
    _check_one_row(groups, found.shrink)
    height = sorted(group.tallest for group in groups)[len(groups) // 2]
    digits: list[Bytes] = []
    for group in groups:
        if group.tallest >= TOO_LOW * height:
            mark = np.where(np.isin(numbers, [piece.number for piece in group.pieces]), ink, 0).astype(np.uint8)
            digits += _apart(_tight(mark[:, group.left : group.right]), height)
    return [np.pad(digit, 1 + max(digit.shape) // 3) for digit in digits]


def is_crowded(gray: Bytes, ink: Bytes) -> bool:
    """Return True if a picture has several digit-sized marks.    gray: uint8 (H, W); ink: from `normalize`

    Of the bundled sample's 5,000 digits, two are false alarms.
    """
    if len(connected_components(ink > 0)[1]) < 2:
        return False
    try:
        marks = segment_line(gray)
    except RowsError:
        return True
    except NothingDrawnError:
        return False
    heights = np.array([int(mark.any(axis=1).sum()) for mark in marks])
    amounts = np.array([int(mark.sum()) for mark in marks])
    like_a_digit = (heights >= TALL * heights.max()) & (amounts >= INKED * amounts.max())
    return bool(like_a_digit.sum() > 1)


def _pieces(numbers: NDArray[np.int64], count: int) -> list[_Piece]:
    """Return the boxes of the components; `numbers` (H, W) has the component of each pixel."""
    pieces = []
    for number in range(count):
        rows, columns = np.nonzero(numbers == number)
        pieces.append(_Piece(number, int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1))
    return pieces


def _without_frames(pieces: list[_Piece]) -> list[_Piece]:
    """Remove the pieces that surround several others: boxes, rings."""
    tall = [piece for piece in pieces if piece.height >= TOO_LOW * sorted(p.height for p in pieces)[len(pieces) // 2]]
    return [piece for piece in pieces if sum(piece.holds(other) for other in tall) < 2]


def _without_rules(pieces: list[_Piece]) -> list[_Piece]:
    """Remove low and wide pieces: underlines, ruled lines, the edge of a table."""
    tallest = max(piece.height for piece in pieces)
    return [p for p in pieces if p.height >= TOO_LOW * tallest or p.right - p.left <= TOO_WIDE * tallest]


def _grouped(pieces: list[_Piece]) -> list[_Group]:
    """Group the pieces that share more than half of the narrower one's columns."""
    groups: list[_Group] = []
    for piece in sorted(pieces, key=lambda piece: (piece.left - piece.right, piece.left, piece.number)):  # widest first
        for group in groups:
            common = min(piece.right, group.right) - max(piece.left, group.left)
            if 2 * common > min(piece.right - piece.left, group.right - group.left):
                group.left, group.right = min(group.left, piece.left), max(group.right, piece.right)
                group.pieces.append(piece)
                break
        else:
            groups.append(_Group(piece.left, piece.right, [piece]))
    return sorted(groups, key=lambda group: (group.left + group.right, group.left))


def _check_one_row(groups: list[_Group], shrink: int) -> None:
    """Raise an error if at least a third of the groups have digits above each other."""
    gaps = [gap for group in groups if (gap := _gap(group)) is not None]
    if 3 * len(gaps) >= len(groups):
        row = shrink * sorted(gaps)[len(gaps) // 2]
        raise RowsError(f"no line of digits: the picture has several rows; cut it near row {row}")


def _gap(group: _Group) -> int | None:
    """Return the middle of the vertical gap between two digit-sized parts of a group, or None."""
    parts: list[tuple[int, int]] = []
    for top, bottom in sorted((piece.top, piece.bottom) for piece in group.pieces):
        if parts and top < parts[-1][1]:
            parts[-1] = (parts[-1][0], max(bottom, parts[-1][1]))
        else:
            parts.append((top, bottom))
    tallest = max(bottom - top for top, bottom in parts)
    tall = [(top, bottom) for top, bottom in parts if bottom - top >= ROW * tallest]
    for (_, bottom), (top, _) in pairwise(tall):
        if top - bottom >= ROWS_APART * tallest:
            return (bottom + top) // 2
    return None


def _apart(mark: Bytes, height: int) -> list[Bytes]:
    """Cut a mark that is too wide for one digit.

    The number of digits minimizes the mean ink in the cuts plus a penalty for an unusual width.
    """
    width, height = mark.shape[1], max(height, len(mark))
    if width <= TOO_WIDE * height:
        return [mark]
    if width > MOST_TOUCHING * height:
        rule = f"a mark must be at most {MOST_TOUCHING} times as wide as its line is high"
        raise NothingDrawnError(f"no line of digits: {rule}, got {width} × {height} pixels")
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
    """Return the first columns of the digits: 0, and those with the least ink near even divisions."""
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
