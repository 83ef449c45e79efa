"""Handwriting: every step by its definition, MNIST's images almost unchanged, and rejected images."""

import base64
import contextlib
import dataclasses
import io
import json
import math
import struct
import warnings
import zlib
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from byhand.data import handwriting, load
from byhand.data.formats import images
from byhand.data.handwriting import ink, line, normalize, read_photo, segment_line
from byhand.data.handwriting.deskew import deskew
from byhand.data.handwriting.line import Segment, best_segments, find_row, is_crowded, skew, without_flat_corners
from byhand.errors import DataError, DataMissingError, NothingDrawnError, UsageError
from helpers.processes import python

GOLDEN = json.loads((Path(__file__).parent / "golden" / "handwriting.json").read_text("utf-8"))
SAMPLE = load("mnist-5k").test.images[::10]

gray = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def unpacked(entry):
    return np.frombuffer(zlib.decompress(base64.b64decode(entry["zlib"])), np.uint8).reshape(entry["shape"])


def enlarged(digit, factor=6):
    return np.kron(digit, np.ones((factor, factor), np.uint8))


def on_canvas(digit, height=200, width=260, top=90, left=150):
    canvas = np.zeros((height, width), np.uint8)
    canvas[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return canvas


def difference(one, other):
    return np.abs(one.astype(int) - other.astype(int)).mean()


def difference_but_a_pixel(one, other):
    """Return the smallest difference over shifts by a pixel, because the center of mass is rounded."""
    steps = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return min(difference(np.roll(one, step, (0, 1)), other) for step in steps)


def ring(size=120, radius=40, pen=3.0):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.rint(255 * np.clip(pen / 2 + 0.5 - np.abs(np.hypot(x, y) - radius), 0, 1)).astype(np.uint8)


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_every_step_gives_the_golden_bytes(case):
    picture = unpacked(case["grey"])
    if "refused" in case:
        with pytest.raises(NothingDrawnError) as caught:
            normalize(picture)
        assert str(caught.value) == case["refused"]
        return
    found, digit = ink.find_ink(picture), normalize(picture)
    assert (found.shrink, found.inverted, digit.inverted) == (case["shrink"], case["inverted"], case["inverted"])
    assert (digit.grown, list(digit.box)) == (case["grown"], case["box"])
    cleaned, _ = ink.remove_dirt(found.ink)
    for name, step in [
        ("ink", found.ink),
        ("cleaned", cleaned),
        ("scaled", digit.scaled),
        ("image", digit.image),
        ("deskewed", deskew(digit.image[None])[0]),
    ]:
        np.testing.assert_array_equal(step, unpacked(case[name]), err_msg=name)


def test_golden_images_cover_every_branch():
    taken = [case for case in GOLDEN if "refused" not in case]
    assert {case["inverted"] for case in taken} == {False, True}
    assert {np.sign(case["grown"]) for case in taken} == {-1, 0, 1}
    assert max(case["shrink"] for case in taken) > 1
    assert any(case["ink"] != case["cleaned"] for case in taken)
    assert len({case["refused"][:12] for case in GOLDEN if "refused" in case}) >= 2


def test_mnist_images_are_almost_unchanged():
    digits = [normalize(image) for image in SAMPLE]
    same = [np.array_equal(digit.image, image) for digit, image in zip(digits, SAMPLE, strict=True)]
    assert np.mean(same) > 0.9
    assert difference(np.array([digit.image for digit in digits]), SAMPLE) < 1.5


def test_a_pad_keeps_ink_at_its_edge_and_is_never_inverted():
    pad = np.zeros((280, 280), np.uint8)
    pad[40:280, 120:140] = 255  # leaves the pad below
    pad[40:60, 60:200] = 255
    assert normalize(pad, is_pad=True).box == (40, 60, 280, 200)
    wide = np.full((280, 280), 255, np.uint8)
    wide[:, 100:160] = 0
    assert not normalize(wide, is_pad=True).inverted
    pad[20, 250] = 255  # a speck
    assert normalize(pad, is_pad=True).box == (40, 60, 280, 200)
    with pytest.raises(NothingDrawnError, match=r"^nothing drawn$"):
        normalize(np.zeros((280, 280), np.uint8), is_pad=True)
    small = np.zeros((280, 280), np.uint8)
    small[3:6, 3:6] = 255
    with pytest.raises(NothingDrawnError, match="at least 5 pixels"):
        normalize(small, is_pad=True)


def test_an_inverted_image_gives_the_same_digit():
    for image in SAMPLE:
        straight, inverted = normalize(image), normalize(255 - image)
        assert (straight.inverted, inverted.inverted) == (False, True)
        np.testing.assert_array_equal(inverted.image, straight.image)


def test_normalization_does_not_depend_on_place_and_size():
    for image in SAMPLE[:30]:
        plain = normalize(image).image
        for moved in (on_canvas(image), on_canvas(image, top=0, left=232), np.pad(image, ((6, 1), (0, 9)))):
            np.testing.assert_array_equal(normalize(moved).image, plain)
        if normalize(image).grown == 0:
            assert difference(normalize(enlarged(image)).image, plain) < 6


def test_normalization_is_almost_idempotent():
    for image in SAMPLE[:30]:
        once = normalize(on_canvas(enlarged(image, 3))).image
        assert difference(normalize(once).image, once) < 4


@pytest.mark.parametrize("pen", [1.0, 2.0, 4.0, 8.0, 16.0, 26.0])
def test_strokes_of_any_width_become_as_wide_as_mnists(pen):
    digit = normalize(ring(pen=pen))
    mass_of_mnist = np.quantile(SAMPLE.sum(axis=(1, 2), dtype=np.int64), [0.005, 0.995])
    assert mass_of_mnist[0] < digit.image.sum(dtype=np.int64) < mass_of_mnist[1]
    assert digit.image[13:15, 13:15].max() < 60, "the ring stays open"


def test_normalization_does_not_depend_on_light_and_noise():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:168, :168]
    light = 120 + 90 * x / 168 + 40 * y / 168
    for image in SAMPLE[:20]:
        black = enlarged(image)
        photo = light * (1 - 0.6 * black / 255) + rng.normal(0, 3, black.shape)
        digit = normalize(np.clip(photo, 0, 255).astype(np.uint8))
        assert digit.inverted
        assert difference_but_a_pixel(digit.image, normalize(black).image) < 12


def test_a_shadow_across_the_page_does_not_change_the_polarity():
    y, x = np.mgrid[:168, :168]
    shadow = np.where(x + y // 2 < 60, 0.65, 1.0)
    for image in SAMPLE[:20]:
        black = enlarged(image)
        photo = (200 * shadow * (1 - 0.7 * black / 255)).astype(np.uint8)
        assert normalize(photo).inverted


@settings(max_examples=3 * settings.default.max_examples)
@given(gray)
def test_any_image_gives_a_digit_or_one_error(picture):
    try:
        digit = normalize(picture)
    except NothingDrawnError:
        return
    assert digit.image.shape == digit.scaled.shape == (28, 28)
    assert digit.image.dtype == digit.scaled.dtype == np.uint8
    assert digit.image.max() > 0


def test_normalize_does_not_change_its_argument():
    for picture in (SAMPLE[0].copy(), 255 - SAMPLE[0], enlarged(SAMPLE[0], 40)):
        before = picture.copy()
        picture.flags.writeable = False
        normalize(picture)
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (1, 300), (900, 700)])
def test_an_image_of_one_color_is_rejected(value, shape):
    with pytest.raises(
        NothingDrawnError, match="nothing drawn: ink and paper must differ by at least 16 gray levels, got 0"
    ):
        normalize(np.full(shape, value, np.uint8))


@pytest.mark.parametrize("size", [28, 100, 300, 1000])
def test_noise_is_rejected(size):
    rng = np.random.default_rng(size)
    shape = (size, size)
    for picture in [
        rng.integers(0, 256, shape),
        rng.integers(0, 2, shape) * 255,
        np.clip(rng.normal(128, 20, shape), 0, 255),
        np.clip(rng.normal(225, 4, shape), 0, 255),
        (rng.random(shape) < 0.05) * 255,
        (rng.random(shape) > 0.05) * 255,
    ]:
        with pytest.raises(NothingDrawnError):
            normalize(picture.astype(np.uint8))


def checkered(noise, ink_level, size=32):
    """Return a checkerboard of 0 and `noise` with a square of ink; every difference is the noise."""
    picture = np.indices((size, size)).sum(axis=0) % 2 * noise
    picture[8:16, 8:16] = ink_level
    return picture.astype(np.uint8)


def test_ink_must_be_six_times_the_noise():
    ground = np.zeros((32, 32), np.uint8)
    found = ink.normalize_contrast(checkered(5, 66), ground, inverted=False)  # noise 11: 11/5 of the difference
    assert found[8:16, 8:16].min() == 255
    assert np.count_nonzero(found) == 64
    with pytest.raises(NothingDrawnError, match="noise with a standard deviation of 11"):
        ink.normalize_contrast(checkered(5, 65), ground, inverted=False)


@pytest.mark.parametrize(("paper", "floor"), [("even", 44), ("uneven", 50)])
def test_ink_begins_above_four_times_the_noise_or_a_third(paper, floor):
    ground = np.zeros((32, 32), np.uint8)
    ground[-1, -1] = paper == "uneven"
    picture = checkered(5, 150)
    picture[24, 23:25] = floor, floor + 1
    picture[8, 8] = 200
    found = ink.normalize_contrast(picture, ground, inverted=False)
    span = 150 - floor
    assert found[24, 23] == 0
    assert found[24, 24] == math.floor(255 / span + 0.5)
    assert found[9, 9] == found[8, 8] == 255


def test_an_almost_black_image_is_rejected():
    picture = np.full((60, 60), 4, np.uint8)
    picture[20:40, 28:32] = 0
    with pytest.raises(NothingDrawnError, match="must differ by at least 16 gray levels, got 7"):
        normalize(picture)


@pytest.mark.parametrize(
    "picture", [np.zeros((2, 3)), np.zeros((2, 3, 3), np.uint8), np.zeros((0, 5), np.uint8), np.zeros(784, np.uint8)]
)
def test_arrays_that_are_not_gray_images_are_rejected(picture):
    for function in (normalize, segment_line):
        with pytest.raises(UsageError, match=r"a picture must be uint8 \(H, W\) with H and W at least 1, got "):
            function(picture)


@given(gray, st.integers(1, 5))
def test_shrunk_is_the_mean_of_squares(picture, side):
    small = ink.shrunk(picture, side)
    for row, column in np.ndindex(small.shape):
        square = picture[row * side : (row + 1) * side, column * side : (column + 1) * side].astype(int)
        assert small[row, column] == math.floor(square.mean() + 0.5)


@given(gray)
def test_inverting_an_image_inverts_its_polarity(picture):
    straight, inverted = ink.is_dark_on_light(picture), ink.is_dark_on_light(255 - picture)
    assert not (straight and inverted)


@given(gray, st.integers(0, 255))
def test_the_background_follows_the_light_and_never_exceeds_the_image(picture, light):
    picture = picture // 2
    ground = ink.background(picture, 40)
    assert ground.shape == picture.shape
    assert ground.max() <= picture.max()
    np.testing.assert_array_equal(ink.background(picture + light // 2, 40), ground + light // 2)


def test_the_background_ignores_marks_narrower_than_a_third():
    y, x = np.mgrid[:120, :120]
    bare = (60 + x // 4 + (y > 59) * 50).astype(np.uint8)
    written = bare.copy()
    written[30:90, 50:70] = 255
    inside = (slice(24, 96), slice(24, 96))
    assert np.abs(ink.background(written, 120)[inside].astype(int) - ink.background(bare, 120)[inside]).max() <= 12
    assert (
        np.abs(ink.background(bare, 120)[:, :80].astype(int) - bare[:, :80])[np.abs(np.arange(120) - 60) > 5].max() <= 2
    )


def test_ink_in_a_shadow_has_full_contrast():
    picture = np.full((96, 96), 240, np.uint8)
    picture[48:] = 160
    picture[20:76, 46:50] //= 4
    found = ink.find_ink(picture)
    assert found.ink[25:40, 46:50].min() == found.ink[60:72, 46:50].min() == 255


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_connected_components_equal_those_of_a_flood_fill(mask):
    expected, sizes = np.full(mask.shape, -1), []
    for start in zip(*np.nonzero(mask), strict=True):
        if expected[start] >= 0:
            continue
        expected[start], waiting, size = len(sizes), [start], 0
        while waiting:
            y, x = waiting.pop()
            size += 1
            for near in np.ndindex(3, 3):
                at = (y + near[0] - 1, x + near[1] - 1)
                if 0 <= at[0] < mask.shape[0] and 0 <= at[1] < mask.shape[1] and mask[at] and expected[at] < 0:
                    expected[at] = len(sizes)
                    waiting.append(at)
        sizes.append(size)
    pieces, counts = ink.connected_components(mask)
    np.testing.assert_array_equal(pieces, expected)
    assert counts.tolist() == sizes


def test_a_spiral_is_one_component():
    spiral = np.zeros((101, 101), bool)
    for k in range(0, 50, 2):
        spiral[k, k : 101 - k] = spiral[100 - k, k : 101 - k] = spiral[k : 101 - k, 100 - k] = True
        spiral[k + 2 : 101 - k, k] = True
        spiral[k + 2, k : k + 3] = True
    assert len(ink.connected_components(spiral)[1]) == 1


def test_digits_of_two_levels_that_fill_the_picture_have_the_right_polarity():
    wrong = 0
    for image in load("mnist-5k").test.images[::5]:
        top, left, bottom, right = normalize(image).box
        rows, columns = (np.arange(16) * length // 16 for length in (bottom - top, right - left))
        tight = np.where(image[top:bottom, left:right][rows][:, columns] > 100, 255, 0).astype(np.uint8)
        wrong += ink.is_dark_on_light(tight) + (not ink.is_dark_on_light(255 - tight))
    assert wrong <= 8, "of 400"


def test_bold_strokes_of_two_levels_are_not_taken_for_paper():
    bold = np.full((300, 300), 255, np.uint8)
    bold[130:170, 130:170] = 0
    assert ink.find_ink(np.pad(bold, 10)).ink.all(where=np.pad(bold, 10) > 0)


def test_a_faint_haze_larger_than_the_digit_is_removed():
    digit = on_canvas(enlarged(SAMPLE[0], 4), top=40, left=110)
    hazy = digit.copy()
    hazy[:, :60] = 30
    assert normalize(hazy).box[1] > 100


def test_a_stroke_may_leave_the_picture_beside_a_speck():
    digit = np.zeros((120, 100), np.uint8)
    digit[30:, 45:53] = 255  # leaves at the bottom
    digit[30:38, 25:53] = 255
    beside = digit.copy()
    beside[50:72, 80:92] = 255  # an eighth of the ink is enough to be kept, but not to push the digit out
    assert normalize(digit).image[20, 12:17].max() == 255
    cleaned, pieces = ink.remove_dirt(beside)
    assert pieces == 2
    assert cleaned[-1, 45:53].all()


def test_the_grain_of_a_pencil_is_not_taken_for_noise():
    rng = np.random.default_rng(0)
    large = enlarged(SAMPLE[0], 20)
    grainy = np.where(np.kron(rng.random((280, 280)) < 0.25, np.ones((2, 2))) > 0, 0, large).astype(np.uint8)
    assert handwriting.outline_of(grainy) > 14 * 400
    assert difference_but_a_pixel(normalize(grainy).image, normalize(large).image) < 20


def test_specks_and_components_at_the_edge_are_removed():
    digit = on_canvas(enlarged(SAMPLE[0], 4), top=40, left=60)
    dirty = digit.copy()
    dirty[5:8, 5:8] = 255
    dirty[:, 255:] = 255
    np.testing.assert_array_equal(normalize(dirty).image, normalize(digit).image)


def test_a_digit_that_touches_the_edge_is_kept():
    box = normalize(SAMPLE[0]).box
    tight = SAMPLE[0][box[0] : box[2], box[1] : box[3]]
    assert difference(normalize(tight).image, normalize(SAMPLE[0]).image) < 3


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32))
def test_to_scale_is_the_mean_over_areas(height, width, top, left, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height + top, width + left), dtype=np.uint8)
    box = (top, left, top + height, left + width)
    scaled = handwriting.to_scale(picture, box)
    longest = max(height, width)
    # Each target pixel is the mean of longest × longest of the 20 × 20 subpixels that each pixel is divided into.
    room = 5 + 2 * longest
    wide = np.pad(picture, room).astype(np.int64)
    r, c = np.random.default_rng(seed).integers(0, 28, 2)
    rows = (20 * (top + room) + longest * (r - 4) + np.arange(longest)) // 20
    columns = (20 * (left + room) + longest * (c - 4) + np.arange(longest)) // 20
    assert scaled[r, c] == math.floor(wide[np.ix_(rows, columns)].sum() / longest**2 + 0.5)


@given(st.integers(0, 2**32), st.integers(1, 784))
def test_the_center_of_mass_is_moved_to_the_middle_if_possible(seed, count):
    rng = np.random.default_rng(seed)
    scaled = np.zeros((28, 28), np.uint8)
    scaled.ravel()[rng.integers(0, 784, count)] = rng.integers(1, 256)
    top, left, bottom, right = handwriting.box_of(scaled)
    y, x = (scaled.sum(axis=axis) @ np.arange(28) / scaled.sum() for axis in (1, 0))
    down = min(max(math.floor(14.5 - y), -top), 28 - bottom)
    across = min(max(math.floor(14.5 - x), -left), 28 - right)
    expected = np.pad(scaled, 28)[28 - down : 56 - down, 28 - across : 56 - across]
    np.testing.assert_array_equal(handwriting.centered(scaled), expected)


def test_strokes_grow_by_octagons_and_shrink_back():
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 9
    once, twice = handwriting.with_pen(dot, 1), handwriting.with_pen(dot, 2)
    assert (once.shape, twice.shape) == ((7, 7), (9, 9))
    assert (int((once > 0).sum()), int((twice > 0).sum())) == (5, 21)
    np.testing.assert_array_equal(handwriting.with_pen(dot, 0), dot)
    np.testing.assert_array_equal(handwriting.with_pen(dot, -1), dot)  # otherwise nothing would remain
    square = np.pad(np.full((9, 9), 255, np.uint8), 8)
    np.testing.assert_array_equal(handwriting.with_pen(square, -2)[10:15, 10:15], 255)
    assert handwriting.with_pen(square, -2).sum() == 255 * 25


def test_pen_steps_of_a_bar_follow_from_its_width():
    def steps(width, longest=200):
        bar = np.zeros((300, 100), np.uint8)
        bar[20 : 20 + longest, 20 : 20 + width] = 255
        return handwriting.pen_steps(bar)

    # a bar of 200 × 10: area 2000, outline 420, w = 28·2000/(11·420) = 12.12, on MNIST's scale 1.21: thin
    # steps = ⌊(2.2·10 − 12.12)/2 + ½⌋ = ⌊5.44⌋
    assert steps(10) == 5
    assert [steps(width) for width in (11, 20, 40)] == [0, 0, 0]
    # 200 × 50: area 10000, outline 500, w = 50.9, on MNIST's scale 5.09: thick; ⌊(32 − 50.9)/2 + ½⌋ = ⌊−8.95⌋
    assert steps(50) == -9


@pytest.mark.parametrize("shape", [(200, 9), (200, 11), (90, 4), (1, 300), (400, 90), (350, 350), (311, 230)])
def test_pen_steps_equal_the_formula_in_exact_fractions(shape):
    side = max(1, max(shape) // 40)  # of the squares over which the outline is smoothed
    outline = 2 * side * sum(math.floor(Fraction(length, side) + Fraction(3, 4)) for length in shape)
    area, longest = math.prod(shape), max(shape)
    pen = Fraction(2 * area * 14, 11 * outline)
    on_mnist = pen * 20 / longest
    target = Fraction(22, 10) if on_mnist < Fraction(13, 10) else Fraction(32, 10) if on_mnist > Fraction(45, 10) else 0
    expected = math.floor((target * longest / 20 - pen) / 2 + Fraction(1, 2)) if target else 0
    assert handwriting.pen_steps(np.full(shape, 255, np.uint8)) == expected


def test_pixels_of_a_quarter_of_the_maximum_are_inside():
    picture = np.zeros((6, 9), np.uint8)
    picture[2, 3:7] = [63, 252, 63, 62]
    assert handwriting.box_of(picture) == (2, 3, 3, 6)
    assert handwriting.outline_of(picture) == 8


def bars(*heights, width=8, gap=12, start=20):
    """Return bright bars with a common bottom, and margins."""
    picture = np.zeros((max(heights) + 2 * start, len(heights) * (width + gap) + 2 * start), np.uint8)
    for i, height in enumerate(heights):
        left = start + i * (width + gap)
        picture[start + max(heights) - height : start + max(heights), left : left + width] = 255
    return picture


def test_a_digit_has_at_most_24_pieces():
    assert normalize(bars(*[30] * 24, width=6, gap=6)).image.any()
    with pytest.raises(NothingDrawnError, match="must have at most 24 pieces, got 25"):
        normalize(bars(*[30] * 25, width=6, gap=6))


def test_the_height_of_a_line_is_the_upper_median():
    assert len(segment_line(bars(15, 15, 40, 40))) == 2  # 15 is too low for a line of 40
    assert len(segment_line(bars(15, 15, 15, 40))) == 4
    assert len(segment_line(bars(16, 40, 40))) == 3  # exactly 0.4 of the height


def test_a_frame_is_removed_if_it_surrounds_two_marks_of_digit_height():
    picture = np.zeros((140, 260), np.uint8)
    picture[20:120, 20:120] = 255
    picture[24:116, 24:116] = 0
    picture[60:76, 45:53] = picture[60:76, 80:88] = 255  # 16 is exactly 0.4 of the median, 40
    picture[48:88, 150:158] = picture[48:88, 200:208] = 255
    assert [part.any(axis=1).sum() for part in segment_line(picture)] == [16, 16, 40, 40]


def test_a_tall_digit_beside_low_ones_is_not_a_frame():
    picture = bars(60, 60, 60, 60)
    picture[20:30, 60:] = picture[70:, 60:] = 0  # those after the first two begin lower and end higher
    assert len(segment_line(picture)) == 4


def test_a_low_or_faint_mark_beside_a_digit_is_no_crowd():
    def crowded(*heights):
        picture = bars(*heights)
        return is_crowded(picture, picture)

    assert crowded(40, 40)
    assert crowded(40, 25)
    assert not crowded(40, 22)  # less than 0.6 of the height
    assert not crowded(40)


def line_of(digits, gap=10, factor=3):
    tight = []
    for digit in digits:
        columns = np.flatnonzero(digit.any(axis=0))
        tight += [enlarged(digit[:, columns[0] : columns[-1] + 1], factor), np.zeros((28 * factor, gap), np.uint8)]
    return np.pad(np.concatenate(tight, axis=1), 12)


def whole(digits):
    """Return digits whose ink is one component, and of a usual width."""
    return [
        digit
        for digit in digits
        if len(ink.connected_components(digit > 0)[1]) == 1 and np.ptp(digit.any(axis=0).nonzero()) > 5
    ]


def test_a_line_is_segmented_into_its_digits_in_order():
    digits = whole(SAMPLE)[:40]
    for start in range(0, 40, 8):
        chosen = digits[start : start + 8]
        for picture in (line_of(chosen), 255 - line_of(chosen)):
            parts = segment_line(picture)
            assert len(parts) == 8
            for part, digit in zip(parts, chosen, strict=True):
                assert difference(normalize(part).image, normalize(enlarged(digit, 3)).image) < 2


def test_slanted_overlapping_digits_are_separated():
    picture = np.zeros((80, 120), np.uint8)
    for left in (20, 45):
        for row in range(60):
            picture[10 + row, left + 30 - row // 2 : left + 36 - row // 2] = 255
    assert len(segment_line(picture)) == 2


def test_a_broken_digit_stays_one_and_a_comma_is_ignored():
    picture = np.zeros((80, 140), np.uint8)
    picture[10:70, 20:26] = 255
    picture[10:16, 60:90] = picture[24:70, 62:68] = 255  # a bar separated from its digit
    picture[62:72, 110:114] = 255
    assert len(segment_line(picture)) == 2


def framed(picture, thick=3):
    """Add a frame that touches nothing."""
    picture = np.pad(picture, 20)
    picture[8 : 8 + thick, 8:-8] = picture[-8 - thick : -8, 8:-8] = 255
    picture[8:-8, 8 : 8 + thick] = picture[8:-8, -8 - thick : -8] = 255
    return picture


def framed_with_gaps(picture):
    """Add a faded frame: each line is in two pieces."""
    picture = framed(picture)
    picture[:12, 30:34] = picture[-12:, 60:70] = picture[50:54, :12] = picture[70:76, -12:] = 0
    return picture


def underlined(picture):
    picture = np.pad(picture, ((0, 24), (0, 0)))
    picture[-14:-10, 6:-6] = 255
    return picture


def ruled(picture):
    picture = np.pad(picture, ((20, 20), (0, 0)))
    picture[8:10] = picture[-10:-8] = 160
    return picture


def with_colon(picture):
    picture = np.pad(picture, ((0, 0), (0, 40)))
    picture[40:50, -25:-15] = picture[70:80, -25:-15] = 255
    return picture


def equals(picture):
    picture = np.pad(picture, ((0, 0), (0, 80)))
    picture[45:51, -65:-20] = picture[65:71, -65:-20] = 255
    return picture


@pytest.mark.parametrize("decorated", [framed, framed_with_gaps, underlined, ruled, with_colon, equals])
def test_frames_lines_and_signs_around_digits_are_ignored(decorated):
    digits = whole(SAMPLE)[:24]
    for start in range(0, 24, 4):
        picture = line_of(digits[start : start + 4])
        plain = segment_line(picture)
        parts = segment_line(decorated(picture))
        assert len(parts) == len(plain) == 4
        for part, other in zip(parts, plain, strict=True):
            assert difference(normalize(part).image, normalize(other).image) < 4


def test_a_line_that_slopes_down_is_segmented():
    """The second digit begins below the end of the first, to its right."""
    first, second = (line_of([digit]) for digit in whole(SAMPLE)[:2])
    picture = np.zeros((len(first) + len(second), first.shape[1] + second.shape[1]), np.uint8)
    picture[: len(first), : first.shape[1]] = first
    picture[len(first) :, first.shape[1] :] = second
    assert len(segment_line(picture)) == 2


@pytest.mark.parametrize("degrees", [0, 2, 4])
def test_rows_are_detected_on_a_tilted_page(degrees):
    digits = whole(SAMPLE)
    seen = 0
    for start in range(0, 80, 8):
        rows = [line_of(digits[start + i : start + i + 4], gap=20)[:, :300] for i in (0, 4)]
        page = Image.fromarray(np.concatenate([np.pad(row, ((0, 0), (0, 300 - row.shape[1]))) for row in rows]))
        try:
            segment_line(np.asarray(page.rotate(degrees, Image.Resampling.BICUBIC, expand=True)))
        except NothingDrawnError as error:
            seen += "several rows" in str(error)
    assert seen >= 8


def test_the_suggested_cut_is_in_pixels_of_a_large_photo():
    digits = whole(SAMPLE)
    rows = [np.pad(line_of([digit], factor=30), ((0, 0), (0, 1000)))[:, :1000] for digit in digits[:2]]
    with pytest.raises(NothingDrawnError, match="near row") as caught:
        segment_line(np.concatenate(rows))
    assert abs(int(str(caught.value).split()[-1]) - len(rows[0])) < 150


def test_several_rows_are_rejected_with_a_suggested_cut():
    digits = whole(SAMPLE)[:8]
    for across in (1, 2, 4):  # a column of digits is not a line
        upper, lower = line_of(digits[:across]), line_of(digits[4 : 4 + across])
        width = max(upper.shape[1], lower.shape[1])
        rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]))) for row in (upper, lower)]
        picture = np.concatenate(rows)
        with pytest.raises(NothingDrawnError, match="the picture has several rows; cut it near row") as caught:
            segment_line(picture)
        cut = int(str(caught.value).split()[-1])
        assert len(segment_line(picture[:cut])) == len(segment_line(picture[cut:])) == across


def test_touching_digits_are_cut_where_the_ink_is_thin():
    picture = np.pad(np.concatenate([ring(60, 26, 6)[:, 1:-1]] * 3, axis=1), 15)
    parts = segment_line(picture)
    assert len(parts) == 3
    widths = [np.flatnonzero(part.any(axis=0)).size for part in parts]
    assert max(widths) - min(widths) <= 6


def test_probabilities_decide_between_one_wide_digit_and_two():
    row = find_row(np.pad(np.concatenate([ring(60, 26, 6)[:, 1:-1]] * 2, axis=1), 15))
    segments = row.segments()
    is_whole = [segment.last - segment.first == len(row.cuts) for segment in segments]
    assert len(best_segments(segments, [0.0 if whole else -9.0 for whole in is_whole])) == 1
    assert len(best_segments(segments, [-9.0 if whole else 0.0 for whole in is_whole])) >= 2


@pytest.mark.parametrize("degrees", [-18, 9, 0.5])
def test_boxes_in_a_turned_row_are_those_of_the_picture_before(degrees):
    picture = np.zeros((60, 140), np.uint8)
    picture[38:43, 98:103] = 255  # its middle is at (100.5, 40.5)
    turned = line.turned(picture, degrees)
    y, x = (np.average(places + 0.5, weights=turned) for places in np.mgrid[: len(turned), : turned.shape[1]])
    np.testing.assert_allclose(line._turn(picture.shape, degrees) @ [x, y, 1], [100.5, 40.5, 1], atol=0.7)


@pytest.mark.parametrize(
    ("change", "holds"),
    [({}, True), *(({side: edge}, False) for side, edge in {"top": 2, "bottom": 9, "left": 3, "right": 12}.items())],
)
def test_a_piece_holds_those_strictly_inside_its_box(change, holds):
    piece = line._Piece(0, top=2, bottom=9, left=3, right=12)
    other = line._Piece(1, top=3, bottom=8, left=4, right=11)
    assert piece.holds(dataclasses.replace(other, **change)) is holds


def darker_and_brighter(gray):
    """Return the evidence of `is_dark_on_light`, with loops: pixels darker, and brighter, than all four ends."""
    darker = brighter = 0
    for (i, j), pixel in np.ndenumerate(gray.astype(int)):
        ends = [int(end) for end in (gray[i, 0], gray[i, -1], gray[0, j], gray[-1, j])]
        darker += max(min(ends) - pixel, 0) ** 3
        brighter += max(pixel - max(ends), 0) ** 3
    return darker, brighter


def test_the_polarity_follows_the_four_ends_of_each_row_and_column():
    rng, decided = np.random.default_rng(0), Counter()
    for _ in range(40):
        gray = rng.integers(90, 160, (12, 15)).astype(np.uint8)
        gray[3:9, 4:11] = rng.integers(*((0, 140) if rng.random() < 0.5 else (110, 256)), (6, 7))
        darker, brighter = darker_and_brighter(gray)
        if max(darker, brighter) >= ink.UNDECIDED * min(darker, brighter):
            assert ink.is_dark_on_light(gray) == (darker > brighter)
            decided[darker > brighter] += 1
    assert min(decided[True], decided[False]) >= 5


@pytest.mark.parametrize("degrees", [-18, 9])
def test_a_row_that_slopes_is_turned(degrees):
    page = Image.fromarray(line_of(whole(SAMPLE)[:6])).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    row = find_row(np.asarray(page))
    assert abs(skew(row.slices >= 0, row.height)) < 3
    assert len(segment_line(np.asarray(page))) == 6


@pytest.mark.parametrize("level", [20, 130])
def test_the_flat_corners_of_a_turned_photo_are_filled_with_paper(level):
    rng = np.random.default_rng(0)
    paper = 180 - 0.5 * line_of(whole(SAMPLE)[:5]) + rng.normal(0, 3, line_of(whole(SAMPLE)[:5]).shape)
    photo = Image.fromarray(paper.astype(np.uint8)).rotate(7, Image.Resampling.BICUBIC, expand=True, fillcolor=level)
    filled, is_paper = without_flat_corners(np.asarray(photo))
    assert 0.6 < is_paper.mean() < 0.95
    assert abs(np.median(filled[:4, :4]) - 180) < 10
    assert len(segment_line(np.asarray(photo))) == 5


@pytest.mark.parametrize("ink", [0, 1])
def test_the_background_of_a_drawing_is_no_flat_corner(ink):
    picture = line_of(whole(SAMPLE)[:4])
    assert without_flat_corners(abs(255 * ink - picture).astype(np.uint8))[1].all()


def test_segments_cover_the_row_with_the_highest_score():
    def segment(first, last, width, cost):
        return Segment(first, last, PICTURE, (0, 0, 1, 1), width, cost)

    segments = [segment(0, 2, 1.0, 0.1), segment(0, 1, 0.5, 0.0), segment(1, 2, 0.5, 0.3), segment(2, 3, 0.5, 0.0)]
    assert best_segments(segments, [-0.1, -0.1, -0.1, -0.1]) == [0, 3]  # 0.2 and 0.4
    assert best_segments(segments, [-0.4, -0.1, -0.1, -0.1]) == [1, 2, 3]  # 0.5 and 0.4


@pytest.mark.parametrize("seed", range(3))
def test_a_line_of_noise_or_nothing_is_rejected(seed):
    rng = np.random.default_rng(seed)
    with pytest.raises(NothingDrawnError, match="nothing drawn"):
        segment_line(np.full((60, 400), 255, np.uint8))
    with pytest.raises(NothingDrawnError, match="it must have at most 200 pieces of ink, got"):
        segment_line(255 * (rng.random((200, 600)) < 0.05).astype(np.uint8))


@given(gray)
@example(np.array([[16], *[[0]] * 19], np.uint8))  # its only ink is a frame
def test_any_line_gives_digits_or_one_error(picture):
    try:
        parts = segment_line(picture)
    except NothingDrawnError:
        return
    assert parts
    for part in parts:
        assert part.any()
        assert not np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]]).any()


PICTURE = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)


def file_of(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def header_of(width, height, color=0):
    """Return a PNG that states its size and has no pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_a_gray_file_is_read_unchanged(kind, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(file_of(Image.fromarray(PICTURE), kind))
    for source in (path, str(path), path.read_bytes()):
        read = read_photo(source)
        assert (read.dtype, read.flags.writeable) == (np.uint8, True)
        np.testing.assert_array_equal(read, PICTURE)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_photo_is_read_with_small_differences(kind):
    smooth = np.kron(PICTURE[:4, :5], np.ones((16, 16), np.uint8))
    assert difference(read_photo(file_of(Image.fromarray(smooth), kind, quality=95)), smooth) < 4


def test_colors_become_gray_by_their_luminance():
    picture = np.zeros((1, 3, 3), np.uint8)
    picture[0, [0, 1, 2], [0, 1, 2]] = 255
    assert read_photo(file_of(Image.fromarray(picture))).tolist() == [[76, 150, 29]]
    for mode in ("CMYK", "YCbCr"):
        image = Image.fromarray(PICTURE).convert("RGB").convert(mode)
        read = read_photo(file_of(image, "TIFF" if mode == "CMYK" else "JPEG"))
        assert read.shape == PICTURE.shape


def test_palettes_and_bilevel_images_are_read():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 255, 255, 10, 10, 10])
    palette.putpixel((1, 0), 1)
    assert read_photo(file_of(palette)).tolist() == [[255, 10]]
    bits = Image.fromarray(PICTURE > 100)
    assert np.array_equal(read_photo(file_of(bits)), 255 * (PICTURE > 100))


def test_sixteen_bits_keep_their_upper_byte():
    deep = PICTURE.astype(np.uint16) * 256 + 77
    np.testing.assert_array_equal(read_photo(file_of(Image.fromarray(deep))), PICTURE)
    np.testing.assert_array_equal(read_photo(file_of(Image.fromarray(deep), "TIFF")), PICTURE)


@pytest.mark.parametrize(("ink_is", "paper"), [(0, 255), (255, 0)])
def test_transparent_pixels_become_paper_that_contrasts_with_the_ink(ink_is, paper):
    layers = np.zeros((20, 20, 4), np.uint8)
    layers[5:15, 8:12] = (ink_is, ink_is, ink_is, 255)
    layers[5, 8, 3] = 128
    read = read_photo(file_of(Image.fromarray(layers)))
    assert (read[0, 0], read[10, 10]) == (paper, ink_is)
    assert abs(int(read[5, 8]) - 128) <= 1
    palette = Image.fromarray(layers).convert("RGB").convert("P")
    index = palette.getpixel((0, 0))
    assert read_photo(file_of(palette, transparency=index)).shape == (20, 20)


def test_the_orientation_of_the_camera_is_applied():
    image = Image.fromarray(PICTURE)
    exif = image.getexif()
    exif[0x0112] = 6  # stored rotated by 90°
    np.testing.assert_array_equal(read_photo(file_of(image, exif=exif)), np.rot90(PICTURE, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_like_pillow(orientation):
    image = Image.fromarray(PICTURE)
    exif = image.getexif()
    exif[0x0112] = orientation
    content = file_of(image, exif=exif)
    with Image.open(io.BytesIO(content)) as stored:
        np.testing.assert_array_equal(read_photo(content), np.asarray(ImageOps.exif_transpose(stored)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16", "1"])
def test_a_photo_converted_in_bands_has_the_same_bytes(mode, monkeypatch):
    rng = np.random.default_rng(0)
    pixels = Image.fromarray(rng.integers(0, 256, (23, 17, 4), np.uint8))
    picture = Image.fromarray(rng.integers(0, 2**16, (23, 17), np.uint16)) if mode == "I;16" else pixels.convert(mode)
    whole = read_photo(file_of(picture))
    monkeypatch.setattr(images, "BAND", 40)
    np.testing.assert_array_equal(read_photo(file_of(picture)), whole)


@pytest.mark.slow
def test_a_picture_of_fifty_million_pixels_takes_300_megabytes(tmp_path):
    Image.new("RGBA", (12_400, 4_000), (250, 250, 250, 128)).save(tmp_path / "large.png", compress_level=1)
    program = """
import re, sys
from pathlib import Path
from byhand.data.formats.images import read_photo
assert read_photo(sys.argv[1]).shape == (4000, 12400)
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""
    assert float(python("-c", program, tmp_path / "large.png").stdout) < 300


def test_a_large_photo_is_decoded_at_reduced_size():
    large = Image.fromarray(np.kron(SAMPLE[0], np.full((128, 128), 1, np.uint8)))
    read = read_photo(file_of(large, "JPEG", quality=90))
    assert read.shape == (1792, 1792)
    assert difference(normalize(read).image, normalize(enlarged(SAMPLE[0])).image) < 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the picture must have content, got 0 bytes"),
        (b"seven", r"the picture must be an image \(PNG, JPEG, .*\), got another format"),
        (b"%PDF-1.4 " + bytes(100), "got another format"),
        (header_of(30_000, 30_000), "the picture must have at most 80,000,000 pixels"),
        (header_of(12_000, 10_000), "80,000,000 in total, got 12,000 × 10,000"),  # Pillow only warns here
        (file_of(Image.new("LAB", (30, 30)), "TIFF"), "with 8 or 16 bits per channel, got mode LAB"),
        (header_of(9_100, 9_000), "at most 20,000 pixels per side and 80,000,000 in total, got 9,100 × 9,000"),
        (header_of(20_000, 4_000, color=6), "at most 200,000,000 bytes once decoded, got 320,000,000"),
        (header_of(20_001, 1), "at most 20,000 pixels per side and 80,000,000 in total, got 20,001 × 1"),
        (header_of(30, 30), "the picture is a damaged image: "),
        (header_of(0, 10), "the picture is a damaged image: |got another format"),
        (file_of(Image.fromarray(PICTURE))[:-30], "the picture is a damaged image: "),
        (file_of(Image.fromarray(PICTURE), "JPEG")[:-60], "the picture is a damaged image: "),
        (file_of(Image.fromarray(PICTURE.astype(np.float32)), "TIFF"), r"8 or 16 bits per channel, got mode F"),
        (file_of(Image.fromarray(PICTURE.astype(np.int32)), "TIFF"), r"8 or 16 bits per channel, got mode I"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_invalid_image_files_are_rejected_by_name(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_photo(content)
    path = tmp_path / "digit.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message.replace("the picture", r"digit\.png")):
        read_photo(path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_files_with_several_pages_are_rejected(kind):
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1].copy())]
    moving = file_of(frames[0].convert("RGB"), kind, save_all=True, append_images=[frames[1].convert("RGB")])
    with pytest.raises(DataError, match="the picture must be a single image, got 2 frames or pages"):
        read_photo(moving)


def test_missing_files_and_folders_are_rejected(tmp_path):
    with pytest.raises(DataMissingError, match=r"seven\.png: no such file"):
        read_photo(tmp_path / "seven.png")
    with pytest.raises(DataError, match="must be an image file, got something else"):
        read_photo(tmp_path)


def test_a_damaged_image_gives_a_data_error_or_an_image():
    rng = np.random.default_rng(0)
    originals = [
        file_of(Image.fromarray(SAMPLE[0]), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
    ]
    for _ in range(40):
        for original in originals:
            damaged = bytearray(original)
            for at in rng.integers(0, len(damaged), 3):
                damaged[at] = rng.integers(0, 256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings of the decoders about metadata
                with contextlib.suppress(DataError):
                    assert read_photo(bytes(damaged)).ndim == 2


@pytest.mark.parametrize("height", [1, 2, 3])
def test_a_dash_is_not_hundreds_of_digits(height):
    page = np.zeros((300, 800), np.uint8)
    page[150 : 150 + height, 20:780] = 255
    try:
        parts = segment_line(page)
    except DataError:
        parts = []
    assert len(parts) <= 3


def test_a_photo_with_an_embedded_preview_is_read(tmp_path):
    """Some phones write a JPEG followed by a second, smaller one (MPO)."""
    picture = Image.fromarray(np.pad(SAMPLE[0], 20)).convert("RGB")
    picture.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[picture.resize((20, 20))])
    with Image.open(tmp_path / "phone.jpg") as both:
        assert both.n_frames == 2
    assert read_photo(tmp_path / "phone.jpg").shape == (68, 68)
