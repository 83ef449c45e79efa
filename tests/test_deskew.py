"""Deskewing: exact results, unusual images, and limits."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from byhand.data.handwriting.deskew import BLOCK, LIMIT, deskew, slants
from byhand.errors import UsageError

pictures = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)))


def slant_by_definition(picture):
    """Return slope and ȳ of one image (H, W), in Python's integers."""
    height, width = picture.shape
    ink = [(y - height // 2, x - width // 2, int(picture[y, x])) for y in range(height) for x in range(width)]
    m = sum(p for _, _, p in ink)
    mx, my = sum(p * x for _, x, p in ink), sum(p * y for y, _, p in ink)
    mxy, myy = sum(p * x * y for y, x, p in ink), sum(p * y * y for y, _, p in ink)
    spread = m * myy - my * my
    slope = min(max((m * mxy - mx * my) / spread, -LIMIT), LIMIT) if spread else 0.0
    return slope, my / m if m else 0.0


def by_definition(picture):
    """Compute the module's docstring pixel by pixel: image (H, W) → (H, W)."""
    height, width = picture.shape
    slope, y_mean = slant_by_definition(picture)
    out = np.zeros_like(picture)
    for row in range(height):
        t = math.floor(256 * slope * (row - height // 2 - y_mean) + 0.5)
        i, f = t >> 8, t & 255
        for x in range(width):
            left = int(picture[row, x + i]) if 0 <= x + i < width else 0
            right = int(picture[row, x + i + 1]) if 0 <= x + i + 1 < width else 0
            out[row, x] = ((256 - f) * left + f * right + 128) >> 8
    return out


def strokes(count, size=28, seed=0):
    """Return slanted strokes with soft edges: uint8 (count, size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    slope = rng.uniform(-0.9, 0.9, (count, 1, 1))
    x0, y0 = rng.uniform(-2, 2, (2, count, 1, 1))
    distance = np.abs(x - x0 - slope * (y - y0))
    return np.where(np.abs(y - y0) < 9, 255 * np.clip(2.5 - distance, 0, 1), 0).astype(np.uint8)


@given(pictures)
def test_deskew_equals_its_definition_exactly(images):
    np.testing.assert_array_equal(deskew(images), [by_definition(picture) for picture in images])


def test_deskew_equals_its_definition_on_strokes_and_noise():
    images = np.concatenate([strokes(30), np.random.default_rng(1).integers(0, 256, (10, 28, 28), dtype=np.uint8)])
    images.flags.writeable = False
    np.testing.assert_array_equal(deskew(images), [by_definition(picture) for picture in images])


@pytest.mark.parametrize("shape", [(28, 28), (61, 47), (90, 3)])
def test_slants_are_quotients_of_exact_integers(shape):
    images = np.random.default_rng(2).integers(0, 256, (20, *shape), dtype=np.uint8)
    np.testing.assert_array_equal(np.transpose(slants(images)), [slant_by_definition(picture) for picture in images])


def test_two_pixels_of_the_faintest_ink_have_a_slant():
    faint = np.eye(2, dtype=np.uint8)[None]
    assert slants(faint)[0] == slants(255 * faint)[0] == [1]


def test_a_row_shifted_out_of_the_image_becomes_empty():
    narrow = np.zeros((1, 17, 2), np.uint8)
    narrow[0, 8, 0] = narrow[0, 9, 1] = 255  # sets the slope
    narrow[0, [0, -1]] = 1  # far away, and with little weight
    for images in (narrow, narrow[:, :, ::-1]):
        np.testing.assert_array_equal(deskew(images), [by_definition(picture) for picture in images])
        assert not deskew(images)[:, [0, -1]].any()


def test_deskew_sets_a_slanted_stroke_upright():
    slope_before, _ = slants(strokes(200))
    slope_after, _ = slants(deskew(strokes(200)))
    assert np.abs(slope_before).mean() > 0.3
    assert np.abs(slope_after).max() < 0.02


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, 28, 28), np.uint8),
        np.full((3, 28, 28), 255, np.uint8),
        np.eye(28, dtype=np.uint8)[None, :, :1] * 9,
        np.pad(np.full((1, 1, 20), 200, np.uint8), ((0, 0), (13, 14), (4, 4))),
    ],
    ids=["blank", "full", "one column", "a level line"],
)
def test_images_without_slant_are_unchanged(images):
    np.testing.assert_array_equal(deskew(images), images)


def test_the_shear_of_an_almost_horizontal_dash_is_limited():
    dash = np.zeros((1, 28, 28), np.uint8)
    dash[0, 13, :14] = dash[0, 14, 14:] = 255
    assert slants(dash)[0] == [LIMIT]
    assert deskew(dash).sum() > 0.95 * dash.sum()


def test_deskewing_does_not_depend_on_the_other_images():
    images = strokes(2 * BLOCK + 3)
    whole = deskew(images)
    np.testing.assert_array_equal(whole[BLOCK - 1 : BLOCK + 2], deskew(images[BLOCK - 1 : BLOCK + 2]))
    np.testing.assert_array_equal(whole[-1:], deskew(images[-1:]))


def test_deskew_accepts_strided_and_empty_arrays():
    images = strokes(20)
    np.testing.assert_array_equal(deskew(images[::-2]), deskew(images)[::-2])
    assert deskew(images[:0]).shape == (0, 28, 28)
    assert deskew(np.zeros((2, 0, 5), np.uint8)).shape == (2, 0, 5)
    assert slants(images[:0])[0].shape == (0,)


def test_deskew_works_in_blocks():
    images = strokes(4000)
    deskew(images[:1])
    tracemalloc.start()
    deskew(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < images.nbytes + 6e6  # the result, and the scratch of one block


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28)), r"images must be uint8 \(N, H, W\), got float64 \(2, 28, 28\)"),
        (np.zeros((28, 28), np.uint8), r"images must be uint8 \(N, H, W\), got uint8 \(28, 28\)"),
        (np.zeros((2, 784), np.uint8), r"images must be uint8 \(N, H, W\), got uint8 \(2, 784\)"),
    ],
)
def test_deskew_rejects_arrays_that_are_not_images(images, message):
    with pytest.raises(UsageError, match=message):
        deskew(images)


def test_a_slope_of_more_than_two_pixels_per_row_is_clipped():
    for slope, clipped in ((1.0, 1.0), (2.0, 2.0), (3.0, 2.0), (-3.0, -2.0)):
        picture = np.zeros((1, 9, 41), np.uint8)
        for row in range(9):
            picture[0, row, round(20 + slope * (row - 4))] = 200
        assert slants(picture)[0] == pytest.approx(clipped, abs=0.02)
