"""Segmentation: divide a row of handwritten digits into pictures of one digit each.

Separate digits are found even if their columns overlap. Touching digits are divided by *cuts*: paths from top to bottom
that cross little ink. More cuts are proposed than needed, because the ink alone doesn't show which loop belongs to
which digit. The ink between two adjacent cuts is a *slice*. A *segment* is a sequence of slices that may be one
digit. Segments that cover the row are a possible reading, with the score

    Σ width·log p − cost          width, in heights of the row; p: probability of the segment's most likely class

where the cost is that of crossed ink and of unusual widths and heights. `best_segments` finds the sequence with the
highest score by dynamic programming, so that recognition and segmentation decide together. The model computes p;
`segment_line` needs none, takes p = 1, and cuts only what is too wide for one digit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from byhand.data.handwriting.ink import (
    Box,
    Bytes,
    Floats,
    Integers,
    Mask,
    connected_components,
    find_ink,
    is_two_level,
    remove_specks,
    shrunk,
)
from byhand.errors import NothingDrawnError

MOST_PIECES, MOST_PIECES_OF_PAGE = 200, 1000  # maximum number of components: more are noise
HAZE = 16  # ink below this level joins no components
TOO_LOW = 0.4  # of the height of the line: anything lower is a comma, a dot or dirt
TOO_WIDE = 1.3  # times the height of the line: maximum width of a digit (97 % of MNIST's are narrower)
MOST_TOUCHING = 20  # heights: anything wider is a ruled line
ROW = 0.5  # of the height of the taller part: minimum height of another row
ROWS_APART = 0.1  # of that height: minimum gap between rows (the gap in a broken digit is smaller)
TALL, INKED = 0.6, 0.2  # of the maximum height and ink: marks with less are strokes of a digit or dirt
LEAST_PRINTED, LEAST_PRINTED_SIDE = 0.6, 0.7  # shares of a printed line that are ink: above or below, at the sides
MOST_PRINTED = 0.5  # of the fifth of the picture at an edge
FLAT, FLAT_SIDE = 1, 5  # maximum noise of a flat corner in gray levels; side of the squares that show it
LEAST_FLAT, MOST_FLAT, FEW = 0.003, 0.5, 0.1  # shares of the picture that are corners; of flat paper, in corners
GRAIN = 8  # pixels of paper beside a flat corner
SHARPER = 1.1  # minimum ratio of the sharpness of a turned page to that of the page
LEAST_SKEW, LOWER = 3, 0.95  # degrees, below which a row is not turned; maximum ratio of its height after to before

# Cuts: lengths in heights of the row. A path moves by at most one column per row.
APART = 0.08  # minimum distance of the columns in which cuts begin
EVEN = 0.5  # usual distance of cuts in a mark without places of little ink
REACH = 0.35  # maximum distance of a path from its column
LEAN, AWAY = 0.1, 0.01  # costs of a step to another column, and of each pixel of distance, in pixels of full ink
LEAST_SLICE = 0.01  # of the square of the height: minimum ink of a slice
LEAST_CUT = 0.4  # marks that are narrower are not cut

# Costs of segments, chosen for the rows of writers 1 to 22 in benchmarks/drawn.py.
CUT, CUT_INK = 0.2, 1.0  # of a cut, and of the ink that it crosses
JOINED, JOINED_WIDTH, JOINED_GAP = 1.0, 0.9, 0.12  # of two marks that are one digit; their maximum width and gap
USUAL_WIDTH, NARROWEST, UNUSUAL = 0.62, 0.12, 0.5  # the last: of the logarithm of the ratio to the usual width
FREE, LEAST_WEIGHT = 0.3, 0.2  # logarithm without cost; minimum weight of a segment
USUAL_HEIGHT, LOW = 0.8, 0.5  # the last: of each height below the usual one


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

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

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


@dataclass(frozen=True, slots=True)
class Segment:
    """Slices of a row that may be one digit: `first` … `last` − 1."""

    first: int
    last: int
    ink: Bytes  # bright on black, with a margin
    box: Box  # top, left, bottom, right in the row's ink, the last two excluded
    width: float  # in heights of the row
    cost: float  # of the cut before it, of joined marks, and of an unusual size


@dataclass(frozen=True, slots=True)
class Row:
    """The ink of a row of digits, divided into slices that are numbered from left to right."""

    ink: Bytes  # (H, W)
    slices: Integers  # (H, W), the slice of each pixel, −1 outside
    cuts: list[float | None]  # ink in the cut before each slice, in heights; None where a separate mark begins
    height: int  # of a digit
    place: Floats  # (3, 3), the matrix from column, row, 1 to those of the picture

    def box_in_picture(self, box: Box) -> Box:
        """Return the box of pixels of the picture around a box of this row's ink."""
        top, left, bottom, right = box
        corners = self.place @ [[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]]
        (left, top), (right, bottom) = np.floor(corners[:2].min(axis=1)), np.ceil(corners[:2].max(axis=1))
        return max(0, int(top)), max(0, int(left)), int(bottom), int(right)

    def segments(self) -> list[Segment]:
        """Return all segments: each whole mark, and the slices of a mark, or of two, that have the size of a digit."""
        boxes = [_box(self.slices == number) for number in range(len(self.cuts))]
        pairs = [(first, last) for first in range(len(boxes)) for last in range(first + 1, len(boxes) + 1)]
        return [segment for pair in pairs if (segment := self._segment(*pair, boxes)) is not None]

    def _segment(self, first: int, last: int, boxes: list[Box]) -> Segment | None:
        top, left, bottom, right = _around(boxes[first:last])
        width, height = (right - left) / self.height, (bottom - top) / self.height
        starts = [k for k, cut in enumerate([*self.cuts, None]) if cut is None and first <= k <= last]
        joined = [k for k in starts if first < k < last]
        if starts != [first, last]:  # not exactly one whole mark
            if not NARROWEST <= width <= TOO_WIDE or height < TOO_LOW:
                return None
            if joined and (len(joined) > 1 or width > JOINED_WIDTH):
                return None
            if joined and boxes[joined[0]][1] - _around(boxes[first : joined[0]])[3] > JOINED_GAP * self.height:
                return None
        place = np.s_[top:bottom, left:right]
        ink = np.where((self.slices[place] >= first) & (self.slices[place] < last), self.ink[place], 0)
        cut, weight = self.cuts[first], max(width, LEAST_WEIGHT)
        cost = (0 if cut is None else CUT + CUT_INK * cut) + JOINED * len(joined) + LOW * max(0, USUAL_HEIGHT - height)
        cost += UNUSUAL * weight * max(0, abs(np.log(weight / USUAL_WIDTH)) - FREE)
        margin = 1 + max(ink.shape) // 3
        return Segment(first, last, np.pad(ink, margin).astype(np.uint8), (top, left, bottom, right), weight, cost)


def find_row(gray: Bytes, *, least_cut: float = LEAST_CUT) -> Row:
    """Find the digits in a picture of one row, uint8 (H, W), and propose cuts in marks wider than `least_cut` heights.

    The height of the row is the (upper) median of the digits' tallest pieces. Low marks, frames and underlines are
    ignored.
    """
    ink, place = _ink_of(gray)
    return _row(ink, place, least_cut, is_page=False)


def find_rows(gray: Bytes) -> list[Row]:
    """Find the rows of digits in a picture of a page, uint8 (H, W), from top to bottom.

    The page is turned by the angle at which the ink is in the fewest rows of pixels. Then a piece belongs to the row
    whose middle is less than half a digit away from its own.
    """
    ink, place = _ink_of(gray)
    numbers, groups = _found(ink, MOST_PIECES_OF_PAGE)
    height = sorted(group.tallest for group in groups)[len(groups) // 2]
    if degrees := _page_skew(numbers >= 0, height):
        ink, place = turned(ink, degrees), place @ _turn(ink.shape, degrees)
        numbers, groups = _found(ink, MOST_PIECES_OF_PAGE)
    pieces = sorted((piece for group in groups for piece in group.pieces), key=lambda piece: piece.middle)
    rows: list[list[_Piece]] = []
    for piece in pieces:
        if piece.height >= TOO_LOW * height:
            if not rows or piece.middle - _mean_middle(rows[-1]) > height / 2:
                rows.append([])
            rows[-1].append(piece)
    middles = np.array([_mean_middle(row) for row in rows])
    for piece in pieces:
        if piece.height < TOO_LOW * height:  # such as the bar of a 5
            rows[int(abs(middles - piece.middle).argmin())].append(piece)
    found = []
    for row in rows:
        is_row = np.isin(numbers, [piece.number for piece in row])
        top, left, bottom, right = _box(is_row)
        own = np.pad(np.where(is_row, ink, 0)[top:bottom, left:right], 1)
        found.append(_row(own, place @ _shift(left - 1, top - 1), LEAST_CUT, is_page=True))
    return found


def _ink_of(gray: Bytes) -> tuple[Bytes, Floats]:
    """Return the ink of a picture, without flat corners, and the matrix from its pixels to those of the picture."""
    filled, paper = without_flat_corners(gray)
    found = find_ink(filled, extent=min(np.shape(gray), default=0))
    ink = np.where(shrunk(255 * paper.astype(np.uint8), found.shrink) == 255, found.ink, 0).astype(np.uint8)
    return ink, np.diag([found.shrink, found.shrink, 1.0])


def _row(ink: Bytes, place: Floats, least_cut: float, *, is_page: bool) -> Row:
    """Turn the ink of a row, and propose cuts.    place: matrix from its pixels to those of the picture"""
    numbers, groups = _found(ink, has_frame=not is_page)
    degrees = skew(numbers >= 0, sorted(group.tallest for group in groups)[len(groups) // 2])
    if abs(degrees) >= LEAST_SKEW:
        level = turned(ink, degrees)
        level_numbers, level_groups = _found(level, has_frame=not is_page)
        if _height(level_groups) < LOWER * _height(groups):
            place = place @ _turn(ink.shape, degrees)
            ink, numbers, groups = level, level_numbers, level_groups
    if not is_page:
        _check_one_row(groups, round(np.sqrt(np.linalg.det(place))))
    height = sorted(group.tallest for group in groups)[len(groups) // 2]
    slices, cuts = np.full(ink.shape, -1), list[float | None]()
    for group in groups:
        if group.tallest >= TOO_LOW * height:
            is_mark = np.isin(numbers, [piece.number for piece in group.pieces])
            top, left, bottom, right = _box(is_mark)
            mark, box = is_mark[top:bottom, left:right], np.s_[top:bottom, left:right]
            number, crossed = _sliced(np.where(mark, ink[box], 0), max(height, bottom - top), least_cut)
            slices[box] = np.where(mark, len(cuts) + number, slices[box])
            cuts += [None, *crossed]
    edges = sliding_window_view(np.pad(slices, 1, constant_values=-1), (3, 3)).max(axis=(2, 3))
    return Row(ink, np.where((slices < 0) & (ink > 0), edges, slices), cuts, height, place)


def _mean_middle(pieces: list[_Piece]) -> float:
    return sum(piece.middle for piece in pieces) / len(pieces)


def _shift(columns: float, rows: float) -> Floats:
    return np.array([[1.0, 0.0, columns], [0.0, 1.0, rows], [0.0, 0.0, 1.0]])


def _turn(shape: tuple[int, ...], degrees: float) -> Floats:
    """Return the matrix from the pixels of a turned picture to those of the picture, of this shape, before."""
    height, width = shape
    new_height, new_width = turned(np.zeros(shape, np.uint8), degrees).shape
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    matrix: Floats = _shift(width / 2, height / 2) @ turn @ _shift(-new_width / 2, -new_height / 2)
    return matrix


def _found(ink: Bytes, most: int = MOST_PIECES, *, has_frame: bool = True) -> tuple[Integers, list[_Group]]:
    """Return the component of each pixel of the marks, −1 elsewhere (H, W), and the marks."""
    solid = np.where(ink < HAZE, 0, ink).astype(np.uint8)
    solid = _without_printed_lines(solid) if has_frame else solid
    what = "line" if most == MOST_PIECES else "page"
    if not solid.any():
        raise NothingDrawnError(f"no {what} of digits: the ink is too faint, or only a frame")
    solid, count = remove_specks(solid)
    if count > most:
        raise NothingDrawnError(f"no {what} of digits: it must have at most {most} pieces of ink, got {count}")
    numbers, _ = connected_components(solid > 0)
    pieces = _without_rules(_without_frames(_pieces(numbers, count)))
    return np.where(np.isin(numbers, [piece.number for piece in pieces]), numbers, -1), _grouped(pieces)


def _without_printed_lines(ink: Bytes) -> Bytes:
    """Remove the lines of a printed frame near the edges, except where strokes cross them.

    The lower and upper lines may have gaps; the other two are lines only if one of those is.
    """
    ink = ink.copy()
    for picture, least in ((ink, LEAST_PRINTED), (ink.T, LEAST_PRINTED_SIDE)):
        is_line = _printed(picture, least)
        if not is_line.any():
            break
        reach = np.convolve(is_line, np.ones(5), "same") > 0  # the line and its soft edge
        stays = np.zeros(picture.shape, bool)
        for first, last in np.flatnonzero(np.diff(np.pad(reach, 1))).reshape(-1, 2):
            beside = [picture[k] > 0 for k in (first - 1, last) if 0 <= k < len(picture)]
            stays[first:last] = np.any(beside, axis=0)
        picture[reach[:, None] & ~stays] = 0
    return ink


def _printed(ink: Bytes, least: float) -> Mask:
    """Return the rows near the edges of which at least this share is ink, one row higher or lower included."""
    near = np.pad(ink > 0, ((1, 1), (0, 0)))
    is_line: Mask = (near[:-2] | near[1:-1] | near[2:]).mean(axis=1) >= least
    margin = len(ink) // 5
    is_line[margin : len(ink) - margin] = False
    for edge in (is_line[:margin], is_line[len(ink) - margin :]):
        edge[:] = edge & (edge.sum() <= MOST_PRINTED * margin)
    return is_line


def _height(groups: list[_Group]) -> int:
    """Return the height of all groups together."""
    pieces = [piece for group in groups for piece in group.pieces]
    return max(piece.bottom for piece in pieces) - min(piece.top for piece in pieces)


def without_flat_corners(gray: Bytes) -> tuple[Bytes, Mask]:
    """Fill the corners of a picture that was turned after it was taken: they are flat, but the paper is not.

    A level is that of flat corners if squares of this level lie between the paper and the edges of the picture, if
    paper touches the edges too, and if nearly nothing of the paper is as flat. The outermost pixels are filled too.
    Returns the picture, and a mask of the paper that was there.
    """
    gray = np.asarray(gray)
    if gray.ndim != 2 or min(gray.shape) <= 4 * FLAT_SIDE or is_two_level(gray):
        return gray, np.ones(gray.shape, bool)
    levels = gray.astype(np.int64)
    flat = np.zeros(gray.shape, bool)
    for level in {int(levels[row, column]) for row in (0, -1) for column in (0, -1)}:
        same = abs(levels - level) <= FLAT
        outside, squares = _from_edges(same), _over_squares(same, np.all)
        inner = outside[FLAT_SIDE:-FLAT_SIDE, FLAT_SIDE:-FLAT_SIDE]
        at_edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
        is_between = squares.sum() <= (1 + FEW) * (squares & outside).sum() and not at_edge.all()
        if is_between and LEAST_FLAT <= outside.mean() <= MOST_FLAT:
            flat |= outside
    if not flat.any():
        return gray, ~flat
    flat[[0, -1]] = flat[:, [0, -1]] = True
    paper = ~_over_squares(flat, np.any)
    by_columns, known = _extended(gray, paper)
    return _extended(by_columns.T, known.T)[0].T, paper


def _from_edges(mask: Mask) -> Mask:
    """Return the runs of a mask that begin at the edges, along rows and columns."""
    runs = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        runs |= np.logical_and.accumulate(mask, axis=axis)
        runs |= np.flip(np.logical_and.accumulate(np.flip(mask, axis), axis=axis), axis)
    return runs


def _over_squares(mask: Mask, all_or_any: Callable[..., Mask]) -> Mask:
    """Return all or any of the square around each pixel."""
    squares = sliding_window_view(np.pad(mask, FLAT_SIDE // 2, mode="edge"), (FLAT_SIDE, FLAT_SIDE))
    return all_or_any(squares, axis=(2, 3))


def _extended(gray: Bytes, is_paper: Mask) -> tuple[Bytes, Mask]:
    """Fill the pixels that are not paper from the nearest paper of their column, with its grain.

    Returns the picture, and a mask of what is paper or filled.
    """
    count, rows = len(gray), np.arange(len(gray))[:, None]
    above = np.maximum.accumulate(np.where(is_paper, rows, -count), axis=0)
    below = np.minimum.accumulate(np.where(is_paper, rows, 2 * count)[::-1], axis=0)[::-1]
    is_above = rows - above <= below - rows
    nearest = np.clip(np.where(is_above, above, below), 0, count - 1)
    depth = np.random.default_rng(0).integers(0, GRAIN, gray.shape)
    source = np.clip(np.where(is_above, nearest - depth, nearest + depth), 0, count - 1)
    source = np.where(np.take_along_axis(is_paper, source, 0), source, nearest)
    filled = np.take_along_axis(gray, np.where(is_paper, rows, source), 0)
    return filled, np.broadcast_to(is_paper.any(axis=0), gray.shape)


def skew(is_ink: Mask, height: int) -> float:
    """Return the slope of a row in degrees, positive if it goes down: the regression of the ink's rows on its columns.

    The variance of the columns is increased by that of a digit, so that a row of few digits seems less steep.
    """
    rows, columns = np.nonzero(is_ink)
    (spread, common), _ = np.cov(columns, rows, bias=True)
    return float(np.degrees(np.arctan2(common, spread + height**2 / 12)))


def _page_skew(is_ink: Mask, height: int) -> float:
    """Return the slope of the rows of a page, by the largest sum of squares of the ink in rows of pixels."""
    rows, columns = (values[:: 1 + len(values) // 20_000] for values in np.nonzero(is_ink))

    def sharpness(degrees: float) -> float:
        shifted = rows * np.cos(np.radians(degrees)) - columns * np.sin(np.radians(degrees))
        counts = np.bincount(((shifted - shifted.min()) * 8 / height).astype(np.int64))
        return float((counts.astype(np.float64) ** 2).sum())

    best = max(range(-20, 21), key=sharpness)
    return best if sharpness(best) > SHARPER * sharpness(0) else 0


def turned(ink: Bytes, degrees: float) -> Bytes:
    """Turn a row counterclockwise, with its whole ink."""
    from PIL import Image

    return np.asarray(Image.fromarray(ink).rotate(degrees, Image.Resampling.BILINEAR, expand=True))


def best_segments(segments: Sequence[Segment], log_p: Sequence[float]) -> list[int]:
    """Return the numbers of the segments that cover the row with the maximum score Σ width·log p − cost."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]  # for each number of slices, from the left
    for last in range(1, 1 + max(segment.last for segment in segments)):
        ways = [
            (best[each.first][0] + each.width * p - each.cost, [*best[each.first][1], number])
            for number, (each, p) in enumerate(zip(segments, log_p, strict=True))
            if each.last == last
        ]
        best.append(max(ways, default=(-np.inf, [])))
    return best[-1][1]


def segment_line(gray: Bytes) -> list[Bytes]:
    """Return the digits in a picture of a line, uint8 (H, W), from left to right.

    The results are bright ink on black with a margin, uint8, of different sizes. Only the ink decides where marks that
    are too wide for one digit are cut; `byhand.read_line` lets a model decide.
    """
    segments = find_row(gray, least_cut=TOO_WIDE).segments()
    return [segments[number].ink for number in best_segments(segments, [0.0] * len(segments))]


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


def _sliced(mark: Bytes, height: int, least_cut: float) -> tuple[Integers, list[float]]:
    """Return the slice of each pixel of a mark, from 0, and the ink in each cut, in heights.    mark, result: (H, W)"""
    width = mark.shape[1]
    if width > MOST_TOUCHING * height:
        rule = f"a mark must be at most {MOST_TOUCHING} times as wide as its line is high"
        raise NothingDrawnError(f"no line of digits: {rule}, got {width} × {height} pixels")
    number = np.zeros(mark.shape, np.int64)
    columns = _columns(mark, height) if width > least_cut * height else []
    if not columns:
        return number, []
    crossed = []
    rest, least = np.ones(mark.shape, bool), 255 * LEAST_SLICE * height**2
    for path in np.maximum.accumulate(_paths(mark, columns, height), axis=0):
        on_right = np.arange(width) >= path[:, None]
        if min(mark[rest & ~on_right].sum(), mark[on_right].sum()) >= least:
            number += on_right
            crossed.append(float(np.take_along_axis(mark, path[:, None], 1).sum()) / (255 * height))
            rest = on_right
    return number, crossed


def _columns(mark: Bytes, height: int) -> list[int]:
    """Return columns in which cuts may begin: those with the least ink nearby, and even divisions."""
    amount, width = mark.sum(axis=0, dtype=np.int64), mark.shape[1]
    apart, count = max(1, round(APART * height)), max(1, round(width / (EVEN * height)))
    columns: list[int] = []
    for column in range(apart, width - apart):
        is_lowest = amount[column] == amount[column - apart : column + apart + 1].min()
        if is_lowest and (not columns or column - columns[-1] >= apart):
            columns.append(column)
    for column in (round(k * width / count) for k in range(1, count)):
        if all(abs(column - other) >= apart for other in columns):
            columns.append(column)
    return sorted(columns)


def _paths(mark: Bytes, columns: list[int], height: int) -> Integers:
    """Return the path with the least ink near each column, from top to bottom: (paths, rows)."""
    reach = max(1, round(REACH * height))
    offsets = np.arange(-reach, reach + 1)
    at = np.clip(np.array(columns)[:, None] + offsets, 0, mark.shape[1] - 1)
    sums = np.zeros(at.shape)
    steps = np.zeros((len(mark), *at.shape), np.int64)
    for row, ink in enumerate(mark / 255):
        wide = np.pad(sums, ((0, 0), (1, 1)), constant_values=np.inf)
        ways = np.stack([wide[:, 1:-1], wide[:, :-2] + LEAN, wide[:, 2:] + LEAN])
        best = ways.argmin(axis=0)
        steps[row] = np.array([0, -1, 1])[best]
        sums = np.take_along_axis(ways, best[None], 0)[0] + ink[at] + AWAY * abs(offsets)
    paths = np.zeros((len(columns), len(mark)), np.int64)
    place, each = sums.argmin(axis=1), np.arange(len(columns))
    for row in reversed(range(len(mark))):
        paths[:, row] = at[each, place]
        place = place + steps[row, each, place]
    return paths


def _box(mask: Mask) -> Box:
    """Return the top, left, bottom and right of a mask, the last two excluded."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _around(boxes: Sequence[Box]) -> Box:
    """Return the box around boxes."""
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)
