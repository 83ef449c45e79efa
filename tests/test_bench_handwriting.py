"""The scores of handwriting: pictures from a folder, and pictures drawn from pen strokes."""

import gzip
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks import drawn, handwriting
from benchmarks.__main__ import cli
from byhand.data import load
from byhand.errors import UsageError
from byhand.model.model import shipped_model

SEVEN = '.SEGMENT DIGIT 0 ? "7"\n.COMMENT 7 {writer} 1\n.PEN_DOWN\n 100 400\n 300 400\n 180 100\n.PEN_UP\n.DT 100\n'


@pytest.fixture
def strokes(tmp_path):
    path = tmp_path / "strokes.gz"
    path.write_bytes(gzip.compress(b".INCLUDE x\n" + "".join(SEVEN.format(writer=w) for w in (1, 24)).encode()))
    return path


def test_strokes_are_read_with_the_y_axis_downward(strokes):
    digit = drawn.read_pen_digits(strokes)[1]
    assert (digit.label, digit.writer) == ("7", 24)
    np.testing.assert_allclose(digit.strokes[0], [[0, 0], [2 / 3, 0], [0.8 / 3, 1]])


@pytest.mark.parametrize("kind", drawn.KINDS)
def test_a_drawn_digit_follows_from_its_seed(kind, strokes):
    digits = drawn.read_pen_digits(strokes)[:1]
    one, other, changed = (next(drawn.drawn(digits, drawn.KINDS[kind], seed))[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.uint8
    assert one.shape != changed.shape or (one != changed).any()


@pytest.mark.parametrize("row", drawn.ROWS)
def test_a_drawn_row_has_the_digits_of_its_label(row, strokes):
    label, picture = next(drawn.drawn_rows(drawn.read_pen_digits(strokes), drawn.ROWS[row], 1, 0))
    assert set(label) == {"7"}
    assert 3 <= len(label) <= 7
    assert picture.shape[1] > picture.shape[0] > 30


def test_pictures_of_a_folder_are_labelled_by_subfolder_or_name(tmp_path):
    test = load("mnist-5k").test
    (tmp_path / "3").mkdir()
    for name in ("7_a.png", "12-b.png", "3/x.png", "0.png"):
        Image.fromarray(test.images[0]).save(tmp_path / name)
    assert sorted(label for label, _ in handwriting.pictures_of(tmp_path)) == ["0", "12", "3", "7"]
    Image.fromarray(test.images[0]).save(tmp_path / "seven.png")
    with pytest.raises(UsageError, match="must begin with the digits"):
        list(handwriting.pictures_of(tmp_path))


def test_scores_count_mistakes_refusals_and_rows():
    test = load("mnist-5k").test
    pictures = [(str(label), image) for label, image in zip(test.labels[::40], test.images[::40], strict=True)]
    wrong = str((int(pictures[0][0]) + 1) % 10)
    figures = handwriting.digits(
        shipped_model(), [*pictures, (wrong, pictures[0][1]), ("1", np.zeros((28, 28), np.uint8))]
    )
    assert figures["pictures"] == len(pictures) + 2
    assert figures["refused"] == 1
    assert figures["confusion"][f"{wrong} → {pictures[0][0]}"] == 1
    assert figures["right"] + sum(figures["confusion"].values()) + 1 == figures["pictures"]
    assert figures["interval"][0] < figures["right"] / figures["pictures"] < figures["interval"][1]
    row = np.concatenate([np.pad(image, 4) for _, image in pictures[:3]], axis=1)
    label = "".join(label for label, _ in pictures[:3])
    figures = handwriting.rows(shipped_model(), [(label, row), (label[:2], row)])
    assert (figures["pictures"], figures["right"], figures["right_length"]) == (2, 1, 1)


def test_the_calibration_error_is_the_gap_between_probability_and_accuracy():
    probabilities = np.array([0.95] * 10 + [0.55] * 10)
    hits = np.array([True] * 10 + [False] * 10)
    assert handwriting.calibration_error(probabilities, hits) == pytest.approx(0.5 * 0.05 + 0.5 * 0.55)


def test_the_command_needs_one_source_and_prints_json(tmp_path):
    Image.fromarray(load("mnist-5k").test.images[0]).save(tmp_path / "7.png")
    done = CliRunner().invoke(cli, ["handwriting", "--data", str(tmp_path), "--json"])
    assert json.loads(done.output)["digits"][tmp_path.name]["pictures"] == 1
    assert isinstance(CliRunner().invoke(cli, ["handwriting"]).exception, UsageError)
