"""Handwriting: the small functions on small random pictures, against their definitions written with loops."""

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from byhand.data import handwriting
from byhand.data.handwriting import ink, line
from byhand.data.handwriting.line import Row, RowsError, _Group, _Piece
from byhand.errors import NothingDrawnError


def refused(function, *arguments, **settings):
    """Return the message of the error that a call raises, or its result if it raises none."""
    try:
        return function(*arguments, **settings)
    except NothingDrawnError as error:
        return str(error)


def components(mask):
    """Return the 8-connected components as sets of pixels."""
    left, found = {(int(i), int(j)) for i, j in np.argwhere(mask)}, []
    while left:
        todo, piece = [left.pop()], set()
        while todo:
            i, j = pixel = todo.pop()
            piece.add(pixel)
            near = {(i + down, j + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= near
            todo += near
        found.append(piece)
    return found


# ---- ink and paper


def is_dark(gray):
    """Return the docstring's decision on the polarity, and the branch that made it."""
    darker, brighter = 0, 0
    height, width = gray.shape
    for (i, j), value in np.ndenumerate(gray):
        ends = [int(gray[place]) for place in ((i, 0), (i, width - 1), (0, j), (height - 1, j))]
        darker += max(0, min(ends) - int(value)) ** 3
        brighter += max(0, int(value) - max(ends)) ** 3
    low, high = int(gray.min()), int(gray.max())
    two_levels = 10 * sum(int(value) in (low, high) for value in gray.flat) >= 9 * gray.size
    if max(darker, brighter) >= 8 * min(darker, brighter) and not two_levels:
        return darker > brighter, "cubes"
    side = np.sign(2 * gray.astype(int) - low - high)
    edge = [*side[0], *side[-1], *side[:, 0], *side[:, -1]]
    if len(set(edge)) == 1 and edge[0]:
        return edge[0] > 0, "edge"
    pieces = {sign: sum(100 * len(one) >= gray.size for one in components(side == sign)) for sign in (1, -1)}
    votes = Fraction(int(side.sum()), gray.size) + 3 * Fraction(int(sum(edge)), len(edge))
    return votes + Fraction(pieces[1] - pieces[-1], 2) > 0, "votes"


def test_the_polarity_is_that_of_its_definition():
    rng, seen = np.random.default_rng(0), []
    for number in range(160):
        height, width = rng.integers(3, 14, 2)
        gray = rng.integers(0, 256, (height, width))
        if number % 4 == 1:
            gray = np.where(rng.random((height, width)) < rng.random(), rng.integers(0, 256), rng.integers(0, 256))
        elif number % 4 == 2:
            gray = 120 + rng.integers(-20, 21) + rng.integers(-9, 10, (height, width))
            gray[1:-1, 1:-1] += rng.integers(-40, 41, (height - 2, width - 2))
        gray = gray.clip(0, 255).astype(np.uint8)
        expected, branch = is_dark(gray)
        assert ink.is_dark_on_light(gray) == expected, (number, branch)
        seen.append((branch, expected))
    assert min(map(seen.count, itertools.product(("cubes", "votes"), (True, False)))) >= 8
    assert ("edge", True) in seen
    assert ("edge", False) in seen


def test_pieces_of_one_percent_count_for_the_polarity():
    for size, expected in ((5, False), (6, True)):  # of 504 pixels, as many dark as bright ones, at the edges too
        gray = np.full((21, 24), 200, np.uint8)
        gray[:, 12:] = 50
        gray[5, 14 : 14 + size] = gray[9, 14 : 14 + size] = 200
        singles = [(i, j) for i in range(5, 17, 2) for j in (3, 7)][: 2 * size]
        for pixel in singles:
            gray[pixel] = 50
        assert (gray == 200).sum() == (gray == 50).sum()
        assert ink.is_dark_on_light(gray) is bool(is_dark(gray)[0]) is expected


def paper_of(bright, extent):
    """Return the definition of `background`."""
    side = -(-extent // 32)
    rows, columns = (-(-length // side) for length in bright.shape)
    padded = np.pad(bright, ((0, rows * side - len(bright)), (0, columns * side - bright.shape[1])), mode="edge")
    medians = np.array([
        [sorted(padded[i * side : (i + 1) * side, j * side : (j + 1) * side].flat)[(side * side - 1) // 2]
         for j in range(columns)] for i in range(rows)
    ]).astype(int)  # fmt: skip
    for choose in (min, max):
        near = [
            [choose(medians[max(0, i - 5) : i + 6, max(0, j - 5) : j + 6].flat) for j in range(columns)]
            for i in range(rows)
        ]
        medians = np.array(near)

    def between(place, count):
        position = min(max(Fraction(2 * place + 1, 2 * side) - Fraction(1, 2), 0), count - 1)
        before = int(position)
        return before, min(before + 1, count - 1), position - before

    made = np.zeros(bright.shape, int)
    for i, j in np.ndindex(bright.shape):
        (up, down, y), (left, right, x) = between(i, rows), between(j, columns)
        above = (1 - x) * int(medians[up, left]) + x * int(medians[up, right])
        below = (1 - x) * int(medians[down, left]) + x * int(medians[down, right])
        made[i, j] = math.floor((1 - y) * above + y * below + Fraction(1, 2))
    return made


@pytest.mark.parametrize(
    ("shape", "extent"), [((9, 7), 64), ((16, 31), 65), ((14, 14), 33), ((23, 20), 20), ((5, 40), 96)]
)
def test_the_background_is_that_of_its_definition(shape, extent):
    rng = np.random.default_rng(sum(shape))
    light = np.add.outer(np.linspace(60, 140, shape[0]), np.linspace(0, 90, shape[1]))
    bright = (light + rng.integers(0, 26, shape)).astype(np.uint8)
    np.testing.assert_array_equal(ink.background(bright, extent), paper_of(bright, extent))


def contrast(bright, ground, inverted):
    """Return the definition of `normalize_contrast`."""
    d = np.array([
        [max(int(b) - int(g), 0) * (255 if inverted else 1) // (max(255 - int(g), 128) if inverted else 1)
         for b, g in zip(*rows, strict=True)] for rows in zip(bright, ground, strict=True)
    ])  # fmt: skip
    noise = []
    for turned in (d, d.T):
        steps = sorted(abs(int(a) - int(b)) for row in turned for a, b in itertools.pairwise(row))
        noise.append(11 * steps[len(steps) // 4] // 5)
    noise, largest = min(noise), sorted(d.flat, reverse=True)
    strong = sorted(one for one in largest if 2 * one > largest[max(1, max(d.shape) // 8) - 1])
    level = int(strong[len(strong) // 2]) if strong else 0
    if level < 16:
        return f"nothing drawn: ink and paper must differ by at least 16 gray levels, got {level}"
    if level < 6 * noise:
        return f"no digit: noise with a standard deviation of {noise}, and no ink that stands out"
    even = len(set(ground.flat)) == 1
    floor = 4 * noise if even else max(4 * noise, level // 3)
    made = np.where(d > floor, d, 0)
    if even and level >= 192:
        return made.tolist()
    scaled = [
        min(255, math.floor(Fraction(255 * (int(one) - floor), level - floor) + Fraction(1, 2))) for one in d.flat
    ]
    return np.where(d > floor, np.reshape(scaled, d.shape), 0).tolist()


def test_contrast_is_normalized_as_defined():
    rng, seen = np.random.default_rng(0), set()
    for number in range(120):
        shape = rng.integers(2, 40), rng.integers(2, 12)
        ground = np.full(shape, rng.integers(0, 200))
        if number % 2:
            ground = ground + rng.integers(0, 8, shape)
        bright = ground + rng.integers(0, 1 + number % 5 * number % 9, shape)
        some = rng.random(shape) < 0.4
        bright[some] += rng.integers(0, [12, 18, 60, 150, 260][number % 5] + 1, shape)[some]
        values = bright.clip(0, 255).astype(np.uint8), ground.clip(0, 255).astype(np.uint8)
        found = refused(ink.normalize_contrast, *values, number % 3 == 0)
        found = found if isinstance(found, str) else found.tolist()
        expected = contrast(*values, number % 3 == 0)
        assert found == expected, number
        seen.add(expected[:10] if isinstance(expected, str) else number % 2)
    assert seen == {"nothing dr", "no digit: ", 0, 1}


@pytest.mark.parametrize(("level", "full"), [(15, None), (16, 255), (191, 255), (192, 192), (255, 255)])
def test_ink_of_192_levels_is_not_stretched(level, full):
    bright, ground = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    bright[3:6, 3:6] = level
    found = refused(ink.normalize_contrast, bright, ground, False)
    assert (None if isinstance(found, str) else found.max()) == full


@pytest.mark.parametrize(("longest", "shrink"), [(799, 1), (800, 1), (801, 2), (1600, 2), (1601, 3)])
def test_pictures_of_more_than_800_pixels_are_averaged(longest, shrink):
    gray = np.zeros((longest, 6), np.uint8)
    gray[10:200, 2:4] = 255
    found = ink.find_ink(gray)
    assert (found.shrink, found.ink.shape) == (shrink, (longest // shrink, 6 // shrink))
    assert not found.inverted


def kept(drawn, at_edge):
    """Return the definition of `remove_dirt`, or without `at_edge` of `remove_specks`."""
    pieces = components(drawn > 0)
    amounts = [sum(int(drawn[pixel]) for pixel in piece) for piece in pieces]
    heaviest = amounts.index(max(amounts))
    edges = [{(i, j) for i, j in piece if i in (0, len(drawn) - 1) or j in (0, drawn.shape[1] - 1)} for piece in pieces]
    outside = [bool(edge) and at_edge for edge in edges]
    if 4 * len(edges[heaviest]) ** 2 <= len(pieces[heaviest]):
        outside[heaviest] = False
    of_inside = sum(amount for amount, out in zip(amounts, outside, strict=True) if not out)
    if 4 * of_inside < sum(amounts) - of_inside:
        outside = [False] * len(pieces)
    inside = [(amount, piece) for amount, piece, out in zip(amounts, pieces, outside, strict=True) if not out]
    most, best = max(inside, key=lambda one: one[0])
    peak = max(int(drawn[pixel]) for pixel in best)
    stay = [
        piece for amount, piece in inside
        if 100 * amount >= 3 * most and 2 * max(int(drawn[pixel]) for pixel in piece) >= peak
    ]  # fmt: skip
    made = np.zeros_like(drawn)
    for pixel in set().union(*stay):
        made[pixel] = drawn[pixel]
    return made.tolist(), len(stay)


def test_dirt_is_removed_as_defined():
    rng, counts = np.random.default_rng(0), set()
    for number in range(60):
        height, width = rng.integers(8, 24, 2)
        drawn = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(2, 8)):
            top, left = rng.integers(0, height - 2), rng.integers(0, width - 2)
            down, across = rng.integers(1, [3, 5, 9][number % 3], 2)
            drawn[top : top + down, left : left + across] = rng.integers(1, 256)
        amounts = sorted(sum(int(drawn[pixel]) for pixel in piece) for piece in components(drawn > 0))
        if len(amounts) > 1 and amounts[-1] == amounts[-2]:
            continue  # either may be the heaviest
        for remove, at_edge in ((ink.remove_dirt, True), (ink.remove_specks, False)):
            made, count = remove(drawn)
            assert (made.tolist(), count) == kept(drawn, at_edge), number
            counts.add((at_edge, count))
    assert len(counts) >= 6


# ---- normalization


def test_the_limits_of_stroke_widths_are_exact():
    for longest, outline_unit in ((40, 1), (60, 1), (79, 1)):
        bar = np.zeros((100, 60), np.uint8)
        bar[5 : 5 + longest, 5:9] = 255
        outline = handwriting.smooth_outline_of(bar)
        assert outline == outline_unit * 2 * (longest + 4)
        for limit, target in ((Fraction(13, 10), Fraction(22, 10)), (Fraction(45, 10), Fraction(32, 10))):
            # w · 20 / L = limit, where w = 2 · mass / 255 / (11/14 · outline)
            mass = limit * longest / 20 * Fraction(11, 14) * outline / 2 * 255
            for change in (-1, 0, 1):
                total = math.floor(mass) + change
                drawn = bar.astype(int)
                drawn[:] = 0
                drawn[5 : 5 + longest, 5:9] = 64
                rest = total - int(drawn.sum())
                room = np.argwhere(drawn > 0)
                for i, j in room:  # as dark as needed; no other pixel has a quarter of the maximum
                    more = min(191, rest)
                    drawn[i, j] += more
                    rest -= more
                faint = np.argwhere(drawn == 0)
                for i, j in faint:
                    more = min(63, rest)
                    drawn[i, j] += more
                    rest -= more
                if rest or drawn.max() < 255 or handwriting.smooth_outline_of(drawn.astype(np.uint8)) != outline:
                    continue
                pen = Fraction(2 * total * 14, 255 * 11 * outline)
                on_mnist = pen * 20 / longest
                is_thin, is_thick = on_mnist < Fraction(13, 10), on_mnist > Fraction(45, 10)
                aim = Fraction(22, 10) if is_thin else Fraction(32, 10) if is_thick else None
                expected = math.floor((aim * longest / 20 - pen) / 2 + Fraction(1, 2)) if aim else 0
                assert handwriting.pen_steps(drawn.astype(np.uint8)) == expected, (longest, limit, change, target)


def test_the_smallest_digit_has_five_pixels():
    for size, message in ((4, "no digit: the ink must be at least 5 pixels high or wide, got 4"), (5, None)):
        picture = np.zeros((20, 20), np.uint8)
        picture[8 : 8 + size, 8:10] = 255
        found = refused(handwriting.normalize, picture)
        assert found == message if message else found.box[2] - found.box[0] >= 5
    assert refused(handwriting.normalize, np.zeros((9, 9), np.uint8), is_pad=True) == "nothing drawn"


def test_strokes_erode_only_if_half_of_the_ink_is_left():
    soft = np.zeros((9, 9), np.uint8)
    soft[2:7, 2:7] = 100
    for left, expected in ((49, 100), (50, 50), (60, 60)):
        picture = soft.copy()
        picture[3:6, 3:6] = left
        picture[2, 2] = 100
        eroded = handwriting.with_pen(picture, -1)
        assert eroded.shape == (9, 9)
        assert eroded.max() == expected


# ---- pieces of a row


def piece(top, bottom, left, right, number=0):
    return _Piece(number, top, bottom, left, right)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(0, 10, 0, 4), (0, 10, 6, 10)], [(0, 4), (6, 10)]),
        ([(0, 4, 0, 4), (6, 10, 1, 5)], [(0, 5)]),  # three of four columns
        ([(0, 4, 0, 4), (6, 10, 2, 6)], [(0, 4), (2, 6)]),  # half of the columns
        ([(0, 4, 0, 10), (6, 10, 8, 11)], [(0, 11)]),  # two of the three columns of the narrower
        ([(0, 4, 0, 10), (6, 10, 9, 11)], [(0, 10), (9, 11)]),
        ([(0, 4, 6, 10), (0, 4, 0, 4)], [(0, 4), (6, 10)]),
        ([(0, 4, 0, 4), (5, 9, 0, 4), (0, 4, 3, 8)], [(0, 4), (3, 8)]),
    ],
)
def test_pieces_that_share_most_columns_are_one_mark(boxes, expected):
    groups = line._grouped([piece(*box, number) for number, box in enumerate(boxes)])
    assert [(group.left, group.right) for group in groups] == expected
    assert sum(len(group.pieces) for group in groups) == len(boxes)
    assert [group.tallest for group in groups] == [max(one.height for one in group.pieces) for group in groups]


@pytest.mark.parametrize(
    ("rows", "gap"),
    [
        ([(0, 10), (11, 21)], 10), ([(0, 10), (10, 20)], None), ([(0, 20), (21, 41)], None), ([(0, 20), (22, 42)], 21),
        ([(0, 10), (20, 24)], None), ([(0, 10), (20, 25)], 15), ([(0, 10), (5, 15), (20, 30)], 17),
        ([(0, 10), (2, 5), (12, 20)], 11), ([(0, 4), (20, 30), (40, 50)], 35), ([(0, 10)], None),
        ([(0, 10), (9, 12), (30, 42)], 21),
    ],
)  # fmt: skip
def test_a_gap_between_tall_parts_separates_rows(rows, gap):
    group = _Group(0, 4, [piece(top, bottom, 0, 4) for top, bottom in rows])
    assert line._gap(group) == gap


def test_a_third_of_the_marks_with_two_digits_are_several_rows():
    two, one = (_Group(0, 4, [piece(*rows, 0, 4) for rows in given]) for given in ([(0, 10), (20, 30)], [(0, 30)]))
    for groups, has_rows in (([two], True), ([two, one, one], True), ([two, one, one, one], False), ([one], False)):
        found = refused(line._check_one_row, groups, 3)
        assert found == ("no line of digits: the picture has several rows; cut it near row 45" if has_rows else None)
    three = [two, _Group(0, 4, [piece(0, 10, 0, 4), piece(40, 50, 0, 4)])]
    with pytest.raises(RowsError, match=r"near row 25$"):
        line._check_one_row(three, 1)


def test_frames_and_rules_are_removed():
    inner = [piece(10, 20, 10, 14, 1), piece(10, 20, 20, 24, 2), piece(10, 13, 30, 34, 3)]
    frame = piece(0, 30, 0, 40)
    assert line._without_frames([frame, *inner]) == inner
    assert line._without_frames([frame, inner[0], inner[2]]) == [frame, inner[0], inner[2]]
    four = dataclasses.replace(inner[2], bottom=14)  # four tenths of the median height
    assert line._without_frames([frame, *inner[:1], four, piece(60, 70, 0, 4, 4)]) == [
        inner[0], four, piece(60, 70, 0, 4, 4)
    ]  # fmt: skip
    digit = piece(0, 10, 0, 5)
    for height, width, stays in ((4, 40, True), (3, 13, True), (3, 14, False), (10, 99, True)):
        other = piece(20, 20 + height, 0, width)
        assert (other in line._without_rules([digit, other])) is stays


def test_the_box_in_the_picture_is_that_around_the_turned_box():
    place = np.array([[2.0, 0.0, -3.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])
    row = Row(np.zeros((9, 9), np.uint8), np.zeros((9, 9), int), [None], 9, place)
    assert row.box_in_picture((1, 2, 4, 5)) == (4, 1, 13, 7)
    assert row.box_in_picture((1, 0, 4, 5)) == (4, 0, 13, 7)
    quarter = dataclasses.replace(row, place=np.array([[0.0, -1.0, 9.5], [1.0, 0.0, -2.25], [0.0, 0.0, 1.0]]))
    assert quarter.box_in_picture((1, 2, 4, 5)) == (0, 5, 3, 9)


def row_of(*slices, cuts, height=20):
    """Return a row of slices (top, bottom, left, right), each full of ink."""
    numbers = np.full((40, 80), -1)
    for number, (top, bottom, left, right) in enumerate(slices):
        numbers[top:bottom, left:right] = number
    return Row(np.where(numbers < 0, 0, 200).astype(np.uint8), numbers, cuts, height, np.eye(3))


@pytest.mark.parametrize(
    ("slices", "cuts", "expected"),
    [
        # a mark alone: no cost of a usual size, 0.5 · 0.5 for half of the usual height, and so on
        ([(0, 20, 0, 12)], [None], {(0, 1): (0.6, 0)}),
        ([(0, 16, 0, 12)], [None], {(0, 1): (0.6, 0)}),
        ([(0, 8, 0, 12)], [None], {(0, 1): (0.6, 0.5 * 0.4)}),
        ([(0, 20, 0, 2)], [None], {(0, 1): (0.2, 0.5 * 0.2 * (math.log(0.62 / 0.2) - 0.3))}),
        ([(0, 20, 0, 40)], [None], {(0, 1): (2.0, 0.5 * 2 * (math.log(2 / 0.62) - 0.3))}),
        # two slices of a mark: each with the cost of its cut
        ([(0, 20, 0, 12), (0, 20, 12, 24)], [None, 0.3],
         {(0, 1): (0.6, 0), (1, 2): (0.6, 0.5), (0, 2): (1.2, 0.6 * (math.log(1.2 / 0.62) - 0.3))}),
        # 1.3 heights at most, 0.12 at least, 0.4 high at least; whole marks may be wider
        ([(0, 20, 0, 26), (0, 20, 26, 27)], [None, 0.0], {(0, 1): (1.3, 0.65 * (math.log(1.3 / 0.62) - 0.3)),
                                                         (0, 2): (1.35, 0.675 * (math.log(1.35 / 0.62) - 0.3))}),
        ([(0, 8, 0, 12), (0, 7, 12, 24), (0, 20, 24, 25)], [None, 0.0, 0.0],
         {(0, 1): (0.6, 0.2), (0, 2): (1.2, 0.2 + 0.6 * (math.log(1.2 / 0.62) - 0.3)),
          (1, 3): (0.65, 0.2), (0, 3): (1.25, 0.625 * (math.log(1.25 / 0.62) - 0.3))}),
        # two marks may be one digit: at most 0.9 heights wide, with a gap of at most 0.12 heights
        ([(0, 20, 0, 8), (0, 20, 10, 18)], [None, None],
         {(0, 1): (0.4, 0.2 * (math.log(0.62 / 0.4) - 0.3)), (1, 2): (0.4, 0.2 * (math.log(0.62 / 0.4) - 0.3)),
          (0, 2): (0.9, 1.0 + 0.45 * (math.log(0.9 / 0.62) - 0.3))}),
        ([(0, 20, 0, 8), (0, 20, 10, 19)], [None, None], {(0, 1): None, (1, 2): None}),
        ([(0, 20, 0, 6), (0, 20, 9, 15)], [None, None], {(0, 1): None, (1, 2): None}),
        ([(0, 20, 0, 4), (0, 20, 5, 9), (0, 20, 10, 14)], [None, None, None],
         {(0, 1): None, (1, 2): None, (2, 3): None, (0, 2): None, (1, 3): None}),
    ],
)  # fmt: skip
def test_segments_have_the_size_of_a_digit_and_their_cost(slices, cuts, expected):
    found = {(one.first, one.last): one for one in row_of(*slices, cuts=cuts).segments()}
    assert sorted(found) == sorted(expected)
    for key, values in expected.items():
        if values is not None:
            width, cost = values
            assert (found[key].width, found[key].cost) == pytest.approx((width, max(0, cost)))
        first, last = key
        rows, columns = np.nonzero(np.isin(row_of(*slices, cuts=cuts).slices, range(first, last)))
        box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        assert found[key].box == box
        margin = 1 + max(box[2] - box[0], box[3] - box[1]) // 3
        assert found[key].ink.shape == (box[2] - box[0] + 2 * margin, box[3] - box[1] + 2 * margin)
        assert found[key].ink.sum() == 200 * len(rows)


# ---- cuts


def cheapest(mark, column, height):
    """Return the cost and the columns of the best path, by trying all of them."""
    reach, width = max(1, round(0.35 * height)), mark.shape[1]
    offsets = range(-reach, reach + 1)
    best = dict.fromkeys(offsets, (0.0, ()))
    for row in mark / 255:
        best = {
            offset: min(
                (best[offset + step][0] + (0.1 if step else 0), abs(step), best[offset + step][1])
                for step in (0, -1, 1) if offset + step in best
            ) for offset in offsets
        }  # fmt: skip
        best = {
            offset: (cost + row[min(max(column + offset, 0), width - 1)] + 0.01 * abs(offset), (*path, offset))
            for offset, (cost, _, path) in best.items()
        }
    cost, path = min(best.values())
    return cost, [min(max(column + offset, 0), width - 1) for offset in path]


def cost_of(mark, column, path):
    steps = sum(0.1 for a, b in itertools.pairwise(path) if a != b)
    return steps + sum(mark[i, j] / 255 + 0.01 * abs(j - column) for i, j in enumerate(path))


def test_a_cut_is_the_path_with_the_least_ink():
    rng = np.random.default_rng(0)
    for height in (3, 6, 11):
        mark = rng.integers(0, 256, (height, 40)).astype(np.uint8)
        columns = [8, 17, 30]
        for column, path in zip(columns, line._paths(mark, columns, height), strict=True):
            cost, right = cheapest(mark, column, height)
            assert cost_of(mark, column, path) == pytest.approx(cost)
            assert path.tolist() == right
    at_border = line._paths(mark, [0, 39], 11)
    assert at_border.min() >= 0
    assert at_border.max() <= 39


def test_cuts_begin_where_little_ink_is_or_at_even_distances():
    rng = np.random.default_rng(0)
    for height, width in itertools.product((6, 13, 25, 40, 100), (5, 12, 30, 61)):
        amounts = rng.integers(0, 20, width)
        apart, count = max(1, round(0.08 * height)), max(1, round(2 * width / height))
        expected = []
        for column in range(apart, width - apart):
            is_lowest = amounts[column] == min(amounts[column - apart : column + apart + 1])
            if is_lowest and all(column - other >= apart for other in expected):
                expected.append(column)
        for column in (round(k * width / count) for k in range(1, count)):
            if min((abs(column - other) for other in expected), default=width) >= apart:
                expected.append(column)
        assert line._columns(amounts[None].astype(np.uint8), height) == sorted(expected)


def test_a_mark_is_sliced_where_both_sides_have_enough_ink():
    mark = np.zeros((20, 40), np.uint8)
    mark[:, :15] = mark[:, 18:] = 255
    mark[9, 15:18] = 255  # a thin bridge
    numbers, crossed = line._sliced(mark, 20, 0.4)
    assert [int((numbers[0] == number).sum()) for number in range(numbers.max() + 1)] != [40]
    assert min(crossed) == pytest.approx(1 / 20)
    bridge = int(np.argmin(crossed)) + 1
    assert set(numbers[:, 14]) == {bridge - 1}
    assert set(numbers[:, 18]) == {bridge}
    assert line._sliced(mark, 20, 2.0)[1] == []
    assert line._sliced(mark, 20, 1.99)[1] != []
    for amount, count in ((0, 0), (250, 0), (260, 1), (999, 1)):  # 0.01 of 10² pixels of full ink
        few = np.zeros((1, 9), np.uint8)
        few[0, :4] = 255
        few[0, 5:] = [min(255, max(0, amount - 255 * k)) for k in range(4)]
        assert (len(line._sliced(few, 10, 0.1)[1]) >= 1) == (count == 1)
    with pytest.raises(NothingDrawnError, match="at most 20 times as wide as its line is high, got 61 × 3 pixels"):
        line._sliced(np.ones((3, 61), np.uint8), 3, 0.4)
    assert line._sliced(np.ones((3, 60), np.uint8), 3, 99)[1] == []


# ---- the picture of a row


def test_runs_from_the_edges_and_squares_are_those_of_loops():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.8, 0.95):
        mask = rng.random((9, 12)) < share
        runs, every, some = line._from_edges(mask), line._over_squares(mask, np.all), line._over_squares(mask, np.any)
        wide = np.pad(mask, 2, mode="edge")
        for i, j in np.ndindex(mask.shape):
            lines = (mask[i, : j + 1], mask[i, j:], mask[: i + 1, j], mask[i:, j])
            assert runs[i, j] == any(one.all() for one in lines)
            assert every[i, j] == wide[i : i + 5, j : j + 5].all()
            assert some[i, j] == wide[i : i + 5, j : j + 5].any()


def test_flat_corners_may_differ_by_one_level():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:60, :70]
    for step, is_found in ((0, True), (1, True), (2, False)):
        for down, across in itertools.product((1, -1), (1, -1)):
            gray = rng.integers(140, 161, (60, 70))
            corner = (rows + columns < 22)[::down, ::across]
            gray[corner] = 20 + step * ((rows + columns) % 2)[corner]
            filled, paper = line.without_flat_corners(gray.astype(np.uint8))
            assert (not paper[corner].any()) is is_found
            assert paper[25:35, 30:40].all()
            assert bool(filled.min() >= 140) is is_found
    small = np.zeros((20, 90), np.uint8) + np.arange(90, dtype=np.uint8)
    assert line.without_flat_corners(small)[0] is small


def test_pixels_without_paper_are_filled_from_the_nearest_in_their_column():
    rng = np.random.default_rng(1)
    gray, is_paper = rng.integers(0, 256, (20, 200)).astype(np.uint8), rng.random((20, 200)) < 0.4
    is_paper[:, 7] = False
    filled, known = line._extended(gray, is_paper)
    depth = np.random.default_rng(0).integers(0, 8, (20, 200))
    assert known.all(axis=0).tolist() == is_paper.any(axis=0).tolist()
    for j in np.flatnonzero(is_paper.any(axis=0)):
        places = np.flatnonzero(is_paper[:, j])
        for i in range(20):
            nearest = min(places, key=lambda place: (abs(place - i), place))
            deeper = min(max(nearest - depth[i, j] if nearest <= i else nearest + depth[i, j], 0), 19)
            source = i if is_paper[i, j] else deeper if is_paper[deeper, j] else nearest
            assert filled[i, j] == gray[source, j]


def test_the_printed_lines_are_long_and_near_the_edges():
    picture = np.zeros((50, 20), np.uint8)
    for row, share in ((3, 12), (9, 11), (10, 20), (39, 20), (40, 12), (46, 20)):
        picture[row, :share] = 200
    assert np.flatnonzero(line._printed(picture, 0.6)).tolist() == [2, 3, 4, 9, 40, 41, 45, 46, 47]
    picture[:6] = 200  # more than half of the fifth at the edge
    assert np.flatnonzero(line._printed(picture, 0.6)).tolist() == [40, 41, 45, 46, 47]


@pytest.mark.parametrize("degrees", [-20, -7, 0, 1, 12, 20])
def test_the_slope_of_a_page_is_that_of_its_lines(degrees):
    rows, columns = np.mgrid[:200, :200] - 100
    across = rows * np.cos(np.radians(degrees)) - columns * np.sin(np.radians(degrees))
    mask = (np.floor(across).astype(int) % 40 < 4) & (np.hypot(rows, columns) < 95)
    assert line._page_skew(mask, 24) == degrees
    assert line._page_skew(np.hypot(rows, columns) < 95, 24) == 0


def test_the_slope_of_a_row_is_a_regression():
    mask = np.zeros((60, 200), bool)
    for column in range(200):
        mask[10 + column // 5 : 20 + column // 5, column] = True
    rows, columns = np.nonzero(mask)
    common = ((rows - rows.mean()) * (columns - columns.mean())).mean()
    expected = math.degrees(math.atan(common / (columns.var() + 24**2 / 12)))
    assert line.skew(mask, 24) == pytest.approx(expected)
    assert 10 < expected < 11.3


def test_marks_of_six_tenths_of_the_height_are_a_crowd():
    def crowded(*marks):
        picture = np.zeros((80, 200), np.uint8)
        for number, (height, width, level) in enumerate(marks):
            picture[20 : 20 + height, 20 + 60 * number : 20 + 60 * number + width] = level
        return line.is_crowded(picture, picture)

    assert crowded((40, 10, 255), (24, 10, 255))
    assert not crowded((40, 10, 255), (23, 10, 255))
    assert crowded((40, 20, 255), (40, 4, 255))  # a fifth of the ink
    assert not crowded((40, 21, 255), (40, 4, 255))
    assert not crowded((40, 20, 255))
    assert (
        line.is_crowded(np.kron([[1], [0], [1]], np.full((30, 30), 255)).astype(np.uint8), np.eye(2, dtype=np.uint8))
        is False
    )
