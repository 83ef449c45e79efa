"""A damaged file gives a valid data set or one `DataError`: 500 mutations of each format.

`python tests/long/rack.py 1 mutations` runs many more.
"""

import pytest

from byhand.data import load
from helpers import data_files


@pytest.mark.parametrize("numbers", [range(30), pytest.param(range(30, 500), marks=pytest.mark.slow)], ids=repr)
@pytest.mark.parametrize("name", data_files.FORMATS)
@pytest.mark.timing
def test_a_mutated_file_gives_a_valid_data_set_or_one_error(name, numbers, tmp_path):
    outcomes = data_files.outcomes(name, tmp_path, numbers)
    assert sum(outcomes.values()) == len(numbers)
    assert outcomes["refused"] > len(numbers) / 5


@pytest.mark.parametrize("name", data_files.FORMATS)
def test_every_format_gives_the_same_images(name, tmp_path):
    digits = load(data_files.FORMATS[name](tmp_path))
    X, y, X_test, y_test = data_files.arrays()
    data_files.check_valid(digits)
    if "held out" in digits.source:
        if "pictures" in name:
            X, y = X_test, y_test
        assert len(digits.test) == round(len(X) / 7)
        given = {(image.tobytes(), int(label)) for image, label in zip(X, y, strict=True)}
        assert {(s.image.tobytes(), s.label) for part in digits for s in part} == given
    else:
        for part, images, labels in ((digits.train, X, y), (digits.test, X_test, y_test)):
            assert (part.images == images).all()
            assert (part.labels == labels).all()
    assert digits.train.scale == (256 if name.startswith("pickle") else 255)
