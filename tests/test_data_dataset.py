"""`Dataset`: samples, checks, splits, batches, and its representation."""

import base64
import copy
import io
import pickle
import re

import numpy as np
import pytest
from PIL import Image

from byhand.data import Dataset, Sample, TrainTest, load
from byhand.errors import DataError, UsageError
from helpers.needs import needs


def some(count=20, classes=10):
    labels = np.arange(count) % classes
    images = np.arange(count * 12, dtype=np.int64).reshape(count, 3, 4).astype(np.uint8)
    return Dataset(images, labels, classes=tuple(map(str, range(classes))), name="some")


def test_an_integer_gives_a_sample_and_other_indices_a_data_set():
    data = some()
    sample = data[3]
    assert isinstance(sample, Sample)
    assert (sample.image == data.images[3]).all()
    assert sample.label == 3
    assert type(sample.label) is int
    assert data[-1].label == data[np.int64(19)].label == 9
    assert data[2:5].labels.tolist() == [2, 3, 4]
    assert data[np.array([5, 1])].labels.tolist() == data[[5, 1]].labels.tolist() == [5, 1]
    assert data[data.labels == 7].labels.tolist() == [7, 7]
    assert len(data[[]]) == 0
    with pytest.raises(IndexError):
        data[20]
    for index in (np.array([[1, 2], [3, 4]]), np.array(3), np.ones((20, 3, 4), bool)):
        with pytest.raises(UsageError, match=r"index must be a number, a slice or an array \(n,\), got an array \("):
            data[index]
    assert [sample.label for sample in data] == data.labels.tolist()


def test_a_data_set_is_read_only_and_its_source_stays_writable():
    images, labels = np.zeros((2, 3, 3), np.uint8), np.array([0, 1])
    data = Dataset(images, labels)
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1
    images[0], labels[0] = 1, 1  # the caller's arrays are still writable


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_a_copy_is_read_only_too(again):
    data = some()
    checksum = data.checksum
    copied = again(data)
    for array in (copied.images, copied.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert copied.checksum == copied.renamed("else").checksum == checksum
    assert (copied.classes, copied.name, copied.scale) == (data.classes, data.name, data.scale)


def test_labels_are_int64_and_images_bytes():
    data = Dataset(np.zeros((2, 3, 3), np.uint8), np.array([0, 9], np.uint8))
    assert data.labels.dtype == np.int64
    assert data.images.dtype == np.uint8
    assert data.scale == 255
    assert data.classes == tuple("0123456789")
    assert data.shape == (3, 3)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 3, 3)), np.array([0, 1]), r"x: images must be bytes \(N, H, W\), got float64 \(2, 3, 3\)"),
        (np.zeros((2, 9), np.uint8), np.array([0, 1]), r"images must be bytes \(N, H, W\), got uint8 \(2, 9\)"),
        (np.zeros((2, 3, 3), np.uint8), np.array([0.0, 1.0]), r"labels must be integers \(N,\), got float64 \(2,\)"),
        (np.zeros((2, 3, 3), np.uint8), np.array([0]), "each image needs one label, got 2 images, 1 labels"),
        (np.zeros((2, 3, 3), np.uint8), np.array([0, 10]), r"labels must be 0 to 9, got 10 at index 1"),
        (np.zeros((2, 3, 3), np.uint8), np.array([-1, 1]), r"labels must be 0 to 9, got -1 at index 0"),
        (np.zeros((0, 3, 3), np.uint8), np.array([], int), "there must be at least one image with pixels"),
        (np.zeros((2, 0, 3), np.uint8), np.array([0, 1]), "there must be at least one image with pixels"),
    ],
)
def test_invalid_images_and_labels_are_rejected(images, labels, message):
    with pytest.raises(DataError, match=message):
        Dataset(images, labels, name="x")


def test_the_checksum_depends_on_images_labels_and_shape():
    data = some()
    assert data.checksum == some().checksum
    assert len(data.checksum) == 64
    others = [
        data[:-1],
        data[np.arange(20)[::-1]],
        Dataset(data.images.reshape(20, 4, 3), data.labels),
        Dataset(data.images, (data.labels + 1) % 10),
        Dataset(data.images ^ 1, data.labels),
    ]
    assert len({data.checksum, *(other.checksum for other in others)}) == 6
    assert data.renamed("else").checksum == data.checksum
    assert data.renamed("else").name == "else"


@pytest.mark.parametrize("scale", [255, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flat", [False, True])
def test_floats_are_converted_back_to_their_bytes(scale, dtype, flat):
    images = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    floats = images.astype(dtype) / dtype(scale)
    data = Dataset.from_arrays(floats.reshape(4, -1) if flat else floats, [0, 1, 2, 3])
    assert (data.images == images).all()
    assert data.scale == scale


def test_bytes_may_have_other_types():
    images = np.arange(256).reshape(4, 8, 8)
    for dtype in (np.int64, np.float32, np.float64, np.uint16):
        data = Dataset.from_arrays(images.astype(dtype), np.arange(4.0))
        assert (data.images == images).all()
        assert data.scale == 255
    assert Dataset.from_arrays(images.tolist(), [[0], [1], [2], [3]]).labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((1, 4), 0.3), "floats from 0 to 1 must be whole bytes divided by 255 or 256, but some are neither"),
        (np.full((1, 4), 1.5), "pixels from 0 to 1.5 must be integers, but some have a fraction"),
        (np.full((1, 4), -1.0), "pixels must be 0 to 255, or floats from 0 to 1, got -1 to -1"),
        (np.full((1, 4), 256), "pixels must be 0 to 255, or floats from 0 to 1, got 256 to 256"),
        (np.full((1, 4), np.nan), "pixels must be 0 to 255, or floats from 0 to 1, got nan to nan"),
        (np.full((1, 4), np.inf), "pixels must be 0 to 255"),
        (np.full((1, 5), 0.0), "a row must hold the pixels of a square, got 5 columns"),
        (np.array([["a", "b"]]), "pixels must be numbers, got <U1"),
        (np.array([[None] * 4]), "pixels must be numbers, got object"),
    ],
)
def test_pixels_that_are_not_bytes_are_rejected(images, message):
    with pytest.raises(DataError, match=f"arrays: {message}"):
        Dataset.from_arrays(images, [0])


def test_standardized_floats_are_rejected():
    floats = (np.arange(256).reshape(4, 64) / 255 - 0.1307) / 0.3081
    with pytest.raises(DataError, match=r"pixels must be 0 to 255, or floats from 0 to 1, got -0\.42"):
        Dataset.from_arrays(floats, [0, 1, 2, 3])


def test_class_names_are_accepted():
    data = Dataset.from_arrays(np.zeros((2, 4), np.uint8), [0, 1], classes=["cat", "dog"])
    assert data.classes == ("cat", "dog")
    with pytest.raises(DataError, match="labels must be 0 to 1, got"):
        Dataset.from_arrays(np.zeros((2, 4), np.uint8), [0, 2], classes=["cat", "dog"])


def test_the_label_of_a_frame_is_found_first_or_by_name():
    pandas = needs("pandas")
    table = np.c_[np.arange(6), np.arange(24).reshape(6, 4)]
    for columns in (None, ["label", "p0", "p1", "p2", "p3"]):
        data = Dataset.from_frame(pandas.DataFrame(table, columns=columns))
        assert data.labels.tolist() == list(range(6))
        assert (data.images.reshape(6, 4) == table[:, 1:]).all()
    last = pandas.DataFrame(table[:, [1, 2, 3, 4, 0]], columns=["p0", "p1", "p2", "p3", "label"])
    assert Dataset.from_frame(last).labels.tolist() == list(range(6))


def test_a_frame_with_the_first_image_as_header_is_rejected():
    pandas = needs("pandas")
    text = "5,0,0,3,0\n1,2,3,4,0\n"
    with pytest.raises(DataError, match=r"column names are numbers \(5, 0, 0.1, …\), so the first image was read as"):
        Dataset.from_frame(pandas.read_csv(io.StringIO(text)))
    assert len(Dataset.from_frame(pandas.read_csv(io.StringIO(text), header=None))) == 2


def test_a_split_is_stratified_and_keeps_every_image():
    digits = load("mnist-5k").train
    uneven = digits[np.r_[np.flatnonzero(digits.labels == 1), np.flatnonzero(digits.labels == 8)[:37], 0:100]]
    for held_out, number in ((0.1, round(0.1 * len(uneven))), (50, 50), (1, 1), (len(uneven) - 1, len(uneven) - 1)):
        rest, held = uneven.split(held_out, rng=np.random.default_rng(1))
        assert len(held) == number
        assert len(rest) + len(held) == len(uneven)
        share = np.bincount(uneven.labels, minlength=10) * number / len(uneven)
        assert (np.abs(np.bincount(held.labels, minlength=10) - share) < 1).all()

        def seen(data):
            return sorted((sample.label, sample.image.tobytes()) for sample in data)

        assert sorted(seen(rest) + seen(held)) == seen(uneven)


def test_a_split_is_reproducible_by_its_generator():
    data = load("mnist-5k").train
    once, again, other = (data.split(0.2, rng=np.random.default_rng(seed))[1].checksum for seed in (0, 0, 1))
    assert once == again != other


@pytest.mark.parametrize("held_out", [0, 1.0, 20, 0.0, -0.5, 2.5, 1e-9, float("nan")])
def test_a_split_of_nothing_or_everything_is_rejected(held_out):
    with pytest.raises(UsageError, match="held_out must be a fraction between 0 and 1, or 1 to 19, got"):
        some().split(held_out, rng=np.random.default_rng(0))


def test_batches_use_every_image_once_in_a_new_order():
    data, rng = some(), np.random.default_rng(0)
    first, second = ([batch.images for batch in data.batches(8, rng=rng)] for _ in range(2))
    assert [len(batch) for batch in first] == [8, 8, 4]
    for epoch in (first, second):
        assert sorted(image.tobytes() for batch in epoch for image in batch) == sorted(i.tobytes() for i in data.images)
    assert (np.concatenate(first) != np.concatenate(second)).any()
    in_order = list(data.batches(8, rng=None))
    assert np.concatenate([batch.labels for batch in in_order]).tolist() == data.labels.tolist()
    assert in_order[0].classes == data.classes
    with pytest.raises(UsageError, match="size of a batch must be at least 1, got 0"):
        next(data.batches(0, rng=None))


def test_repr_has_name_size_and_classes():
    assert repr(some()) == "<Dataset some: 20 images of 3×4, 10 classes>"
    digits = load("mnist-5k")
    assert repr(digits) == "<TrainTest mnist-5k: 4,000 to train on, 1,000 to test; the bundled sample>"


def test_a_notebook_shows_a_contact_sheet():
    data = some()
    page = data.renamed("<some>")._repr_html_()
    assert "&lt;some&gt;" in page
    png = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    assert sheet.shape == (10 * 4 - 1, 16 * 5 - 1)
    for label in range(10):
        for column in range(2):
            tile = sheet[label * 4 : label * 4 + 3, column * 5 : column * 5 + 4]
            assert (tile == data.images[label + 10 * column]).all()
    assert load("mnist-5k")._repr_html_().count("<img") == 2


def test_training_and_test_set_must_match():
    one, other = some(), Dataset(np.zeros((2, 4, 4), np.uint8), np.array([0, 1]))
    with pytest.raises(DataError, match=r"here: both sets need images of one size, got \(3, 4\) and \(4, 4\)"):
        TrainTest(one, other, "here")
    with pytest.raises(DataError, match="here: both sets need the same classes"):
        TrainTest(one, some(classes=3), "here")
    train, test = TrainTest(one, one, "here")
    assert train is test is one


def test_boolean_images_become_black_and_white(tmp_path):
    bits = np.random.default_rng(0).random((5, 4, 4)) > 0.5
    data = Dataset.from_arrays(bits, np.arange(5))
    np.testing.assert_array_equal(data.images, bits * 255)
    np.savez(tmp_path / "m.npz", x_train=bits, y_train=np.arange(5), x_test=bits, y_test=np.arange(5))
    np.testing.assert_array_equal(load(tmp_path / "m.npz").train.images, bits * 255)
