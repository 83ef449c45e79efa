"""`Model`: the settings and data that it rejects, and its memory."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import byhand
from byhand.data import Dataset
from byhand.errors import ModelFileError, UsageError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preparation": 255}, r"preparation must be a Preparation, got 255"),
        ({"preparation": "standard"}, r"preparation must be a Preparation, got 'standard'"),
        ({"metadata": [1]}, "metadata must be a dictionary, got a list of 1"),
        ({"output_scale": float("nan")}, r"output_scale of a network\) must be a finite number, got nan"),
        ({"output_scale": "x"}, r"output_scale of a network\) must be a finite number, got 'x'"),
        ({"batch_norm": "yes"}, "batch_norm must be True or False, got 'yes'"),
        ({"dropout": "x"}, "dropout must be at least 0 and less than 1, got 'x'"),
        ({"activatoin": "relu"}, r"unknown setting 'activatoin' of a network \(did you mean activation\?\)"),
        ({"random_state": 1}, r"unknown setting 'random_state' of a network \(did you mean seed\?\)"),
        ({"clases": "abc"}, r"\(did you mean classes\?\)"),
        ({"color": 1}, "unknown setting 'color' of a network: the settings are maps, activation, dropout, "),
    ],
)
def test_invalid_settings_of_a_model_are_rejected(settings, message):
    with pytest.raises(UsageError, match=message):
        byhand.Model([6, 5, 3], seed=0, **settings)


def test_a_model_is_not_evaluated_on_other_classes():
    data = Dataset(np.zeros((4, 28, 28), np.uint8), np.array([0, 1, 0, 1]), classes=("a", "b"))
    with pytest.raises(UsageError, match="data must have the model's 10 classes, got 2"):
        byhand.Model([784, 10], seed=0).accuracy(data)


def test_a_seed_too_large_for_the_published_generator_is_rejected():
    from byhand.training import preset

    with pytest.raises(UsageError, match="seed must be under"):
        preset("l-layer").model(784, tuple("0123456789"), seed=2**32)


def test_a_deleted_model_is_freed():
    made = byhand.Model([784, 8, 10], seed=0)
    made.predict(np.zeros((3, 28, 28), np.uint8))
    seen = weakref.ref(made.network)
    weights = weakref.ref(made.network.dense[0])
    del made
    gc.collect()
    assert seen() is None
    assert weights() is None


def trained():
    digits = byhand.load("mnist-5k").train[:200]
    model = byhand.Model([784, 10], seed=0)
    return model, digits, model.fit(digits, epochs=1, augment="none")


def test_the_methods_of_a_model_are_the_functions_of_byhand():
    model, digits, history = trained()
    other = byhand.Model([784, 10], seed=0)
    assert history.column("loss") == byhand.fit(other, digits, epochs=1, augment="none").column("loss")
    assert model.evaluate(digits).accuracy == byhand.evaluate(model, digits).accuracy == model.accuracy(digits)
    assert (model.predict_proba(digits.images) == model.probabilities(digits.images)).all()


def test_a_summary_is_shown_as_lines():
    summary = byhand.Model([784, 10]).summary()
    assert repr(summary) == str(summary)
    assert len(summary.splitlines()) > 3


def test_features_and_labels_may_be_two_arguments():
    X = np.random.default_rng(0).normal(size=(60, 6))
    y = (X[:, 0] > 0).astype(int)
    one, two = byhand.Model([6, 2], seed=0), byhand.Model([6, 2], seed=0)
    one.fit(X, y, epochs=20)
    byhand.fit(two, (X, y), epochs=20)
    assert (one.network.parameters == two.network.parameters).all()
    assert one.accuracy((X, y)) == np.mean(one.predict(X) == y) > 0.9
    with pytest.raises(UsageError, match=r"y must have the shape \(60,\), got \(50,\)"):
        one.accuracy((X, y[:50]))


def test_a_model_is_loaded_from_its_file_or_run_folder(tmp_path):
    digits = byhand.load("mnist-5k").train[:200]
    model = byhand.Model([784, 10], seed=0)
    model.fit(digits, epochs=1, augment="none", run=tmp_path / "run")
    for load in (byhand.Model.load, byhand.load_model):
        for path in (tmp_path / "run", str(tmp_path / "run"), tmp_path / "run" / "model.safetensors"):
            assert (load(path).network.parameters == model.network.parameters).all()
        with pytest.raises(ModelFileError, match=r"model\.safetensors"):
            load(tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("score", "accuracy"),
        ("acuracy", "accuracy"),
        ("eval", "evaluate"),
        ("compile", "byhand.fit(model, data, optimizer=…, loss=…)"),
        ("train", "byhand.fit"),
        ("state_dict", "network.parameters"),
        ("load_weights", "byhand.load_model"),
        ("forward", "network"),
        ("probabilites", "probabilities"),
        ("classes_", "classes"),
    ],
)
def test_an_unknown_attribute_gets_the_name_to_type(name, meant):
    with pytest.raises(AttributeError) as refused:
        getattr(byhand.Model([4, 2]), name)
    assert str(refused.value) == f"Model has no attribute '{name}' (did you mean {meant}?)"


def test_an_unknown_name_of_byhand_gets_the_name_to_type():
    with pytest.raises(AttributeError, match=r"module 'byhand' has no attribute 'Modle' \(did you mean Model\?\)"):
        byhand.Modle  # noqa: B018
    assert not hasattr(byhand, "quite_different")


def test_a_model_is_copied_and_pickled():
    model = byhand.Model([4, 2], seed=0)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert (copied.network.parameters == model.network.parameters).all()
