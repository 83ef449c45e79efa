"""Test-time augmentation by shifts: the mean over the image and four shifts by a pixel."""

import json

import numpy as np
import pytest
from PIL import Image

import byhand
from byhand.errors import UsageError
from byhand.model import ensemble, shipped_model
from byhand.model.ensemble import Ensemble, ShiftAveraged, shifted
from byhand.nn.losses import softmax

TEST = byhand.load("mnist-5k").test


def by_padding(model, images):
    """Compute the same mean another way: each view is cut out of the image with a margin."""
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    views = [wide[:, top : top + 28, left : left + 28] for top, left in corners]
    return np.mean([softmax(model.logits(view).astype(np.float64)) for view in views], axis=0)


def test_probabilities_are_the_mean_over_the_image_and_four_shifts():
    model, images = shipped_model(), TEST.images[:40]
    reader = ShiftAveraged(model)
    np.testing.assert_allclose(reader.probabilities(images), by_padding(model, images), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(softmax(reader.logits(images)), by_padding(model, images), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(reader.predict(images), by_padding(model, images).argmax(axis=1))
    assert np.abs(reader.probabilities(images) - model.probabilities(images)).max() > 1e-3
    np.testing.assert_array_equal(reader.predict(images.reshape(40, 784)), reader.predict(images))
    assert reader.classes == model.classes
    assert "5 views" in repr(reader)


def test_an_ensemble_can_be_averaged_over_shifts():
    members = [byhand.Model([784, 6, 10], seed=seed, dtype=np.float64) for seed in (1, 2)]
    images = TEST.images[:10]
    expected = (by_padding(members[0], images) + by_padding(members[1], images)) / 2
    reader = ShiftAveraged(Ensemble(members))
    np.testing.assert_allclose(reader.probabilities(images), expected, rtol=1e-12)
    assert reader.architecture == "2 × 784-6-10"
    assert reader.size == 2 * members[0].network.size


@pytest.mark.parametrize("move", [(1, 0), (-1, 0), (0, 1), (0, -1), (2, -3)])
def test_shifted_pixels_do_not_wrap_around(move):
    down, right = move
    images = np.random.default_rng(0).integers(1, 256, (2, 7, 9), np.uint8)
    result = shifted(images, down, right)
    for row in range(7):
        for column in range(9):
            inside = 0 <= row - down < 7 and 0 <= column - right < 9
            expected = images[:, row - down, column - right] if inside else 0
            np.testing.assert_array_equal(result[:, row, column], expected)


def test_images_without_two_dimensions_are_rejected():
    with pytest.raises(UsageError, match=r"must have the shape \(N, H, W\), got \(3, 1, 6\)"):
        ShiftAveraged(byhand.Model([6, 2], seed=0)).predict(np.zeros((3, 6), np.uint8))


def test_members_of_an_ensemble_must_be_models():
    model = byhand.Model([784, 10], seed=0)
    assert len(Ensemble(byhand.Model([784, 10], seed=seed) for seed in range(3))) == 3
    with pytest.raises(UsageError, match="members of an ensemble must be models, got an Ensemble"):
        Ensemble([Ensemble([model]), model])
    with pytest.raises(UsageError, match="members of an ensemble must be a list of models, got a Model"):
        Ensemble(model)
    with pytest.raises(UsageError, match="reader must be a Model or an Ensemble, got a ShiftAveraged"):
        ShiftAveraged(ShiftAveraged(model))


def test_deprecated_names_of_ensembles_and_metadata_give_a_warning():
    old = "byhand.model.ensemble.Committee"
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated, use Ensemble"):
        assert ensemble.Committee is Ensemble
    with pytest.warns(DeprecationWarning, match="card is deprecated, use metadata"):
        model = byhand.Model([784, 10], card={"note": "a"})
    with pytest.warns(DeprecationWarning, match="card is deprecated, use metadata"):
        model.card = model.card | {"more": "b"}
    assert model.metadata == {"note": "a", "more": "b"}
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = ensemble.Nothing


def test_an_empty_data_set_is_rejected():
    with pytest.raises(UsageError, match="at least one image"):
        ShiftAveraged(shipped_model()).accuracy(TEST[:0])


def test_eval_and_predict_average_over_shifts_if_requested(run, tmp_path):
    model = byhand.Model([784, 16, 10], seed=0)
    model.save(tmp_path / "m.safetensors")
    read = ["eval", "m.safetensors", "--data", "mnist-5k", "--json"]
    once, often = (json.loads(run(*read, *more)[1]) for more in ([], ["--shifts", "--html", "r.html"]))
    assert (once["shifts"], once["accuracy"]) == (False, model.accuracy(TEST))
    assert (often["shifts"], often["accuracy"]) == (True, ShiftAveraged(model).accuracy(TEST))
    assert once["loss"] != often["loss"]
    assert ">shifts<" in (tmp_path / "r.html").read_text("utf-8")
    Image.fromarray(255 - TEST.images[0]).resize((140, 140)).save(tmp_path / "digit.png")
    read = ["predict", "digit.png", "--run", "m.safetensors", "--json"]
    (once,), (often,) = (json.loads(run(*read, *more)[1]) for more in ([], ["--shifts"]))
    assert once["probability"] != often["probability"]
