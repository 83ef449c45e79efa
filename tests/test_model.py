"""`Model`: the settings and data that it rejects, and its memory."""

import gc
import weakref

import numpy as np
import pytest

import byhand
from byhand.data import Dataset
from byhand.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"preparation": 255}, r"preparation must be a Preparation, got 255"),
        ({"preparation": "standard"}, r"preparation must be a Preparation, got 'standard'"),
        ({"metadata": [1]}, "metadata must be a dictionary, got a list of 1"),
        ({"output_scale": float("nan")}, r"output_scale of a network\) must be a finite number, got nan"),
        ({"output_scale": "x"}, r"output_scale of a network\) must be a finite number, got 'x'"),
        ({"batch_norm": "yes"}, "batch_norm must be True or False, got 'yes'"),
        ({"dropout": "x"}, "dropout must be at least 0 and under 1, got 'x'"),
    ],
)
def test_a_model_is_not_made_of_what_it_can_not_use(settings, says):
    with pytest.raises(UsageError, match=says):
        byhand.Model([6, 5, 3], seed=0, **settings)


def test_a_model_is_not_judged_on_other_classes():
    data = Dataset(np.zeros((4, 28, 28), np.uint8), np.array([0, 1, 0, 1]), classes=("a", "b"))
    with pytest.raises(UsageError, match="data must have the model's 10 classes, got 2"):
        byhand.Model([784, 10], seed=0).accuracy(data)


def test_a_seed_too_large_for_the_published_generator_is_refused():
    from byhand.training import preset

    with pytest.raises(UsageError, match="seed must be under"):
        preset("l-layer").model(784, tuple("0123456789"), seed=2**32)


def test_a_model_that_is_gone_is_gone():
    made = byhand.Model([784, 8, 10], seed=0)
    made.predict(np.zeros((3, 28, 28), np.uint8))
    seen = weakref.ref(made.network)
    weights = weakref.ref(made.network.dense[0])
    del made
    gc.collect()
    assert seen() is None
    assert weights() is None
