"""Augmentation: reproducible per seed, epoch and image, in any batch, and with the right distributions."""

import math
import threading
import time
import tracemalloc
from contextlib import closing
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byhand.data import augment as module
from byhand.data.augment import DEFAULT, NONE, Augmentation, augment, random_words
from byhand.errors import UsageError
from byhand.training.batches import prefetch
from helpers.waiting import until

AFFINE = Augmentation.parse("default,elastic=0")
specs = st.builds(
    Augmentation,
    shift=st.floats(0, 30),
    rotate=st.floats(0, 180),
    scale=st.floats(0, 0.9),
    shear=st.floats(0, 2),
    elastic=st.floats(0, 20),
)


def blobs(count, height=28, width=28, seed=0):
    """Return soft round blobs far from the border: uint8 (count, height, width)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    x0, y0 = rng.uniform(10, 17, (2, count, 1, 1))
    return np.rint(255 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 12)).astype(np.uint8)


def center(images):
    """Return x̄, ȳ of each image relative to its center: (n,), (n,)."""
    ink = images.astype(float)
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    mass = ink.sum(axis=(1, 2))
    x_mean, y_mean = ((ink * axis).sum(axis=(1, 2)) / mass for axis in (x, y))
    return x_mean - (images.shape[2] - 1) / 2, y_mean - (images.shape[1] - 1) / 2


@given(specs, st.permutations(range(9)), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_augmentation_of_an_image_does_not_depend_on_its_batch(spec, order, seed, epoch):
    images = blobs(9)
    whole = augment(images, np.arange(9), seed=seed, epoch=epoch, spec=spec)
    np.testing.assert_array_equal(augment(images, order, seed=seed, epoch=epoch, spec=spec), whole[order])
    np.testing.assert_array_equal(augment(images, [4], seed=seed, epoch=epoch, spec=spec)[0], whole[4])


@pytest.mark.parametrize("pixels", [1, 784, 5 * 784, 10**7])
def test_augment_does_not_depend_on_the_size_of_its_blocks(monkeypatch, pixels):
    images = blobs(150)
    expected = augment(images, np.arange(150), seed=1, epoch=2, spec=DEFAULT)
    monkeypatch.setattr(module, "BLOCK_PIXELS", pixels)
    np.testing.assert_array_equal(augment(images, np.arange(150), seed=1, epoch=2, spec=DEFAULT), expected)


def test_augment_does_not_depend_on_the_thread():
    images, out = blobs(300), np.zeros((300, 28, 28), np.uint8)

    def work(part):
        out[part] = augment(images, np.arange(300)[part], seed=1, epoch=0, spec=DEFAULT)

    threads = [threading.Thread(target=work, args=(slice(k * 75, k * 75 + 75),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(out, augment(images, np.arange(300), seed=1, epoch=0, spec=DEFAULT))


def test_elastic_sums_are_exact_in_float32():
    """No BLAS, block size or order of summation can change a bit."""
    for height, width in [(28, 28), (13, 50), (1, 1)]:
        splines, _ = module._splines(height, width)
        np.testing.assert_array_equal(splines, np.rint(splines))
        assert 255 * splines.sum(axis=0).max() < 2**24


def test_every_epoch_seed_and_image_has_its_own_distortion():
    images = np.repeat(blobs(1), 50, axis=0)
    first = augment(images, np.arange(50), seed=1, epoch=0, spec=DEFAULT)
    assert len(np.unique(first.reshape(50, -1), axis=0)) == 50
    for seed, epoch in [(1, 1), (2, 0), (0, 1)]:
        other = augment(images, np.arange(50), seed=seed, epoch=epoch, spec=DEFAULT)
        assert not (first == other).all(axis=(1, 2)).any()


def test_augment_gives_the_golden_bytes():
    """A changed generator changes every seeded run: it needs a new version and a line in the changelog."""
    spec = Augmentation(shift=1.5, rotate=10, scale=0.1, shear=0.15, elastic=1)
    picture = augment(blobs(4), [3], seed=7, epoch=11, spec=spec)[0]
    assert picture[12:16, 12:16].tolist() == [[6, 4, 2, 1], [14, 8, 4, 2], [28, 16, 8, 4], [46, 26, 14, 6]]


def by_definition(picture, x, y):
    """Interpolate in Python's numbers: image (H, W), x and y (H, W) in pixels."""
    height, width = picture.shape
    out = np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        left, top = math.floor(x[row, column]), math.floor(y[row, column])
        u, v = x[row, column] - left, y[row, column] - top
        for down, across, weight in [
            (0, 0, (1 - v) * (1 - u)),
            (0, 1, (1 - v) * u),
            (1, 0, v * (1 - u)),
            (1, 1, v * u),
        ]:
            if 0 <= top + down < height and 0 <= left + across < width:
                out[row, column] += weight * int(picture[top + down, left + across])
    return out


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_bilinear_interpolation_equals_its_formula(height, width, seed):
    rng = np.random.default_rng(seed)
    stack = rng.integers(0, 256, (2, height, width), dtype=np.uint8)
    x, y = rng.integers(-4 * 256, 14 * 256, (2, 2, height, width)) / 256
    out = module._bilinear(stack, (x * 65536).astype(np.int32), (y * 65536).astype(np.int32))
    expected = [by_definition(*arguments) for arguments in zip(stack, x, y, strict=True)]
    np.testing.assert_array_equal(out, np.floor(np.array(expected) + 0.5))


def test_the_spec_none_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(augment(images, [3, 1, 1], seed=0, epoch=0, spec=NONE), images[[3, 1, 1]])


@pytest.mark.parametrize("name", ["shift", "rotate", "scale", "shear", "elastic"])
def test_a_distortion_too_small_to_see_changes_nothing(name):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    spec = Augmentation(**{name: 1e-6})
    np.testing.assert_array_equal(augment(images, np.arange(5), seed=0, epoch=0, spec=spec), images)


def test_shift_moves_the_center_uniformly_up_to_its_limit():
    images = blobs(2000)
    moved = augment(images, np.arange(2000), seed=0, epoch=0, spec=Augmentation(shift=3))
    for before, after in zip(center(images), center(moved), strict=True):
        offset = after - before
        assert 2.9 < np.abs(offset).max() < 3.05
        assert abs(offset.mean()) < 0.12
        assert offset.std() == pytest.approx(3 / math.sqrt(3), rel=0.05)


def test_rotate_keeps_distances_from_the_center():
    images = blobs(500)
    turned = augment(images, np.arange(500), seed=0, epoch=0, spec=Augmentation(rotate=90))
    (x, y), (x_new, y_new) = center(images), center(turned)
    np.testing.assert_allclose(np.hypot(x_new, y_new), np.hypot(x, y), atol=0.1)
    far = np.hypot(x, y) > 2
    angle = np.degrees(np.angle((x_new + 1j * y_new) / (x + 1j * y)))[far]
    assert 80 < np.abs(angle).max() < 93
    assert abs(angle.mean()) < 10


def test_scale_stretches_width_and_height_independently():
    images = np.zeros((400, 28, 28), np.uint8)
    images[:, 9:19, 9:19] = 255
    stretched = augment(images, np.arange(400), seed=0, epoch=0, spec=Augmentation(scale=0.2)) / 255
    wide, tall = stretched.sum(axis=2).max(axis=1), stretched.sum(axis=1).max(axis=1)
    for side in (wide, tall):
        assert 10 / 1.25 < side.min() < 10 / 1.15
        assert 10 / 0.85 < side.max() < 10 / 0.78
    assert abs(np.corrcoef(wide, tall)[0, 1]) < 0.15


def test_shear_slants_and_keeps_rows():
    images = np.zeros((400, 28, 28), np.uint8)
    images[:, 6:22, 13:15] = 255
    slanted = augment(images, np.arange(400), seed=0, epoch=0, spec=Augmentation(shear=0.5))
    np.testing.assert_allclose(slanted.sum(axis=2), images.sum(axis=2), atol=3)
    x = (slanted * np.arange(28.0)).sum(axis=2)[:, 6:22] / slanted.sum(axis=2)[:, 6:22]
    slope = np.polyfit(np.arange(16), x.T, 1)[0]
    assert 0.47 < np.abs(slope).max() < 0.51
    assert abs(slope.mean()) < 0.05


def test_the_elastic_field_is_smooth_and_has_its_standard_deviation():
    random = random_words(0, 0, np.arange(500), count=module.FIELD_WORDS)
    fields = module._elastic_fields(random, Augmentation(elastic=1.5), 28, 28)
    for field in fields:
        pixels = field / 65536
        assert np.sqrt(np.square(pixels).mean()) == pytest.approx(1.5, rel=0.03)
        assert abs(pixels.mean()) < 0.05
        assert np.abs(np.diff(pixels, axis=1)).max() < 1.5
        assert np.abs(np.diff(pixels, 3, axis=2)).max() < 0.35  # white noise would have 20
    assert abs(np.corrcoef(fields[0].ravel(), fields[1].ravel())[0, 1]) < 0.05


@given(specs)
def test_any_spec_leaves_a_blank_image_blank(spec):
    blank = np.zeros((2, 11, 17), np.uint8)
    assert not augment(blank, [0, 1], seed=0, epoch=0, spec=spec).any()
    assert augment(blank + 255, [0, 1], seed=0, epoch=0, spec=spec).shape == (2, 11, 17)


def test_the_largest_images_and_amounts_do_not_overflow():
    images = np.full((1, module.MAX_SIDE, module.MAX_SIDE), 255, np.uint8)
    spec = Augmentation(shift=100, rotate=180, scale=0.9, shear=2, elastic=20)
    out = augment(images, np.zeros(2, int), seed=3, epoch=0, spec=spec)
    assert out[:, 128, 128].all()  # an overflow would move the center out of the image


def test_augment_works_in_blocks():
    images = blobs(3000)
    augment(images, [0], seed=0, epoch=0, spec=DEFAULT)
    tracemalloc.start()
    augment(images, np.arange(3000), seed=0, epoch=0, spec=DEFAULT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < images.nbytes + 5e6


def test_random_words_are_those_of_splitmix64():
    """The published stream of the seed 1234567, and the nesting in Python's integers."""
    stream = module._stream(np.array([1234567], np.uint64), np.arange(3, dtype=np.uint64))
    assert stream.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def word(key, k):
        return mix((key + (k + 1) * 0x9E3779B97F4A7C15) % 2**64)

    expected = [[word(word(word(mix(5), 6), sample), k) for k in range(4)] for sample in (0, 9)]
    assert random_words(5, 6, np.array([0, 9]), count=4).tolist() == expected


@pytest.mark.parametrize("value", [-1, 2**64, 1.5, True, "3", None])
@pytest.mark.parametrize("name", ["seed", "epoch"])
def test_seed_and_epoch_must_be_64_bit_integers(name, value):
    arguments = {"seed": 0, "epoch": 0} | {name: value}
    with pytest.raises(UsageError, match=rf"{name} must be an integer from 0 to 1.84467e.19, got"):
        augment(blobs(1), [0], spec=DEFAULT, **arguments)


@given(specs)
def test_a_spec_is_restored_from_its_text(spec):
    assert Augmentation.parse(str(spec)) == spec


def test_parse_reads_the_documented_forms():
    assert Augmentation.parse("none") == Augmentation() == NONE
    assert Augmentation.parse(" default ") == DEFAULT
    assert Augmentation.parse("shift=2,rotate=10, elastic = 1.5") == Augmentation(shift=2, rotate=10, elastic=1.5)
    assert Augmentation.parse("default,elastic=0") == AFFINE
    assert str(Augmentation(shift=2, elastic=1.5)) == "shift=2,elastic=1.5"
    assert (str(NONE), str(DEFAULT), bool(NONE), bool(DEFAULT)) == ("none", "default", False, True)


@pytest.mark.parametrize(
    "text", ["", "defaults", "shift", "shift=1,shift=2", "blur=2", "shift=2,default", "shift=2,", "=2"]
)
def test_parse_rejects_unknown_text(text):
    with pytest.raises(UsageError, match=r"augment must be none, default, or any of shift=…, rotate=…, .*, got '"):
        Augmentation.parse(text)


def test_parse_rejects_amounts_that_are_not_numbers():
    with pytest.raises(UsageError, match="augment: shift must be a number, got 'two'"):
        Augmentation.parse("shift=two")


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("shift", -1, 100),
        ("rotate", 181, 180),
        ("scale", 1, 0.9),
        ("shear", math.inf, 2),
        ("elastic", math.nan, 20),
        ("shift", "2", 100),
        ("shift", True, 100),
    ],
)
def test_amounts_out_of_range_are_rejected(name, value, limit):
    with pytest.raises(UsageError, match=f"{name} must be a number from 0 to {limit:g}, got {value!r}"):
        Augmentation(**{name: value})


def test_a_spec_is_immutable_and_hashable():
    with pytest.raises(FrozenInstanceError):
        DEFAULT.shift = 3
    assert len({DEFAULT, Augmentation.parse(str(DEFAULT))}) == 1


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28)), r"images must be uint8 \(N, H, W\), got float64"),
        (np.zeros((28, 28), np.uint8), r"images must be uint8 \(N, H, W\), got uint8 \(28, 28\)"),
        (np.zeros((1, 257, 2), np.uint8), r"at most 256 pixels per side for augmentation, got \(257, 2\)"),
    ],
)
def test_augment_rejects_invalid_images(images, message):
    with pytest.raises(UsageError, match=message):
        augment(images, [0], seed=0, epoch=0, spec=DEFAULT)


def test_augment_accepts_an_empty_batch():
    assert augment(blobs(3), [], seed=0, epoch=0, spec=DEFAULT).shape == (0, 28, 28)
    assert augment(blobs(3)[:0], [], seed=0, epoch=0, spec=NONE).shape == (0, 28, 28)


def test_prefetch_gives_the_results_of_map_in_order():
    assert list(prefetch(lambda k: k * k, range(20))) == [k * k for k in range(20)]
    assert list(prefetch(str, [])) == []


@pytest.mark.timing
def test_prefetch_works_in_another_thread_two_results_ahead():
    made = []
    with closing(prefetch(lambda k: made.append((k, threading.current_thread())), range(10))) as results:
        next(results)
        until(lambda: len(made) >= 3)
        time.sleep(0.02)
        assert [k for k, _ in made] == [0, 1, 2]  # the requested one and two ahead
        assert threading.current_thread() not in {thread for _, thread in made}


def test_prefetch_creates_jobs_in_the_callers_thread():
    def jobs():
        for _ in range(5):
            yield threading.current_thread()

    assert set(prefetch(lambda thread: thread, jobs())) == {threading.current_thread()}


def test_prefetch_raises_an_error_in_place_of_its_result():
    def reciprocal(k):
        return 1 / (2 - k)

    results = prefetch(reciprocal, range(10))
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_prefetch_ends_its_thread_when_it_is_closed_early():
    before = threading.active_count()
    begun = []
    results = prefetch(begun.append, range(1000))
    next(results)
    assert threading.active_count() == before + 1
    results.close()
    assert threading.active_count() == before
    assert len(begun) <= 3
    for _ in prefetch(begun.append, range(5)):
        break
    del _
    assert threading.active_count() == before
