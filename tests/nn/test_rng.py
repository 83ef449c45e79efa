"""Initializers and dropout masks: their distributions, and the reference implementation's numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byhand.nn.arrays import Cache
from byhand.nn.layers import Dropout
from byhand.nn.rng import INITIALIZERS, StepKey, _hash, dropout_mask


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("he", math.sqrt(2 / 400)),
        ("glorot", math.sqrt(2 / (400 + 300))),
        ("lecun", math.sqrt(1 / 400)),
        ("l_layer", 0.1),
        ("two_layer", math.sqrt(1 / 12)),
    ],
)
def test_initial_weights_have_the_deviation_of_their_rule(name, deviation):
    W, b = INITIALIZERS[name](400, 300, np.random.default_rng(0))
    assert W.shape == (400, 300)
    assert b.shape == (300,)
    assert W.std() == pytest.approx(deviation, rel=0.01)
    assert abs(W.mean()) < 4 * deviation / math.sqrt(W.size)
    assert b.any() == (name == "two_layer")


def test_initializers_of_the_reference_draw_the_same_numbers():
    stream = np.random.RandomState(2)
    W, _ = INITIALIZERS["l_layer"](5, 3, np.random.RandomState(2))
    np.testing.assert_array_equal(W.T, stream.randn(3, 5) * 0.1)
    stream = np.random.RandomState(2)
    W, b = INITIALIZERS["two_layer"](5, 3, np.random.RandomState(2))
    np.testing.assert_array_equal(W.T, stream.rand(3, 5) - 0.5)
    np.testing.assert_array_equal(b, stream.rand(3) - 0.5)


def mask(at, *, keep=0.7, shape=(64, 40), layer=1):
    cache = Cache(np.float32)
    Dropout(0.5).prepare(cache, *shape)
    return dropout_mask(keep, at, layer, cache.mask, cache.bits, cache.shifted)


@given(st.integers(0, 2**63), st.integers(0, 10**6), st.integers(1, 63))
def test_masks_of_blocks_equal_the_mask_of_the_batch(seed, step, cut):
    whole = mask(StepKey(seed, step))
    first, second = mask(StepKey(seed, step), shape=(cut, 40)), mask(StepKey(seed, step, cut), shape=(64 - cut, 40))
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)


def scrambled(x):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        x = (x ^ x >> shift) * factor & 0xFFFFFFFF
    return x


def test_a_mask_equals_its_definition_in_whole_numbers():
    """Saved runs are resumed to the same bits only while these numbers stay."""
    word = 5
    for step in (7, 3):  # SplitMix64 of the seed, then of the step, then of the layer
        word = _hash(word) ^ step
    stream = _hash(word)
    found = mask(StepKey(5, 7, 100), layer=3, keep=0.6, shape=(4, 5))
    for row, unit in np.ndindex(4, 5):
        of_row = scrambled(((100 + row) * 0x9E3779B9 + (stream >> 32)) & 0xFFFFFFFF)
        of_unit = scrambled((unit * 0x85EBCA6B + stream) & 0xFFFFFFFF)
        assert found[row, unit] == (scrambled((of_row + of_unit) & 0xFFFFFFFF) < round(0.6 * 2**32))


def test_the_hash_is_the_published_splitmix64():
    assert _hash(0) == 0xE220A8397B1DCDAF
    assert _hash(1234567) == 6457827717110365317


def test_almost_nothing_is_dropped_at_a_tiny_rate():
    assert mask(StepKey(0, 0), keep=1 - 1e-12).mean() > 0.99


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_mask_keeps_the_given_fraction(keep):
    shares = np.array([mask(StepKey(0, step), keep=keep, shape=(200, 200)).mean() for step in range(25)])
    spread = math.sqrt(keep * (1 - keep) / 40_000)
    assert abs(shares.mean() - keep) < 4 * spread / 5
    assert np.abs(shares - keep).max() < 5 * spread


@pytest.mark.parametrize(
    "other", [{"at": StepKey(1, 0)}, {"at": StepKey(0, 1)}, {"layer": 2}, {"at": StepKey(0, 0, 300)}]
)
def test_masks_of_other_seeds_steps_layers_and_rows_are_independent(other):
    shape = (300, 200)
    a = mask(StepKey(0, 0), keep=0.5, shape=shape)
    b = mask(other.get("at", StepKey(0, 0)), keep=0.5, shape=shape, layer=other.get("layer", 1))
    assert abs(np.mean(a == b) - 0.5) < 5 * 0.5 / math.sqrt(a.size)


def test_rows_and_units_of_a_mask_are_independent():
    a = mask(StepKey(3, 5), keep=0.5, shape=(400, 400)) * 2.0 - 1
    rows, units = a @ a.T / 400, a.T @ a / 400
    for agreement in (rows, units):
        others = agreement[~np.eye(400, dtype=bool)]
        assert others.std() == pytest.approx(1 / 20, rel=0.05)
        assert np.abs(others).max() < 6 / 20
