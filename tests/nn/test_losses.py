"""Losses: formulas, golden values, extremes, sums over blocks, and rejected arguments."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byhand.errors import UsageError
from byhand.nn.arrays import Cache
from byhand.nn.losses import LOSSES, MeanSquaredError, SoftmaxCrossEntropy, softmax

FLOATS = [np.float32, np.float64]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_uniform_logits_over_ten_classes_give_ln_10():
    for value in (0.0, 3.0, -1e4, 1e4):
        Z = np.full((7, 10), value)
        loss, _ = SoftmaxCrossEntropy()(Z, np.arange(7))
        assert loss == pytest.approx(math.log(10), rel=1e-15)
    assert f"{loss:.6f}" == "2.302585"


def test_uniform_logits_give_ln_10_with_smoothing_and_weights_too(rng):
    loss, _ = SoftmaxCrossEntropy(0.3)(np.zeros((7, 10)), np.arange(7), weights=rng.random(7))
    assert loss == pytest.approx(math.log(10), rel=1e-15)


def test_cross_entropy_and_its_gradient_have_their_formulas(rng):
    Z, y = rng.standard_normal((8, 5)) * 4, rng.integers(0, 5, 8)
    P, Y = softmax(Z), np.eye(5)[y]
    loss, dZ = SoftmaxCrossEntropy()(Z, y)
    assert loss == pytest.approx(-(Y * np.log(P)).sum() / 8, rel=1e-14)
    np.testing.assert_allclose(dZ, (P - Y) / 8, atol=1e-16)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothing_mixes_the_target_with_one_over_K(smoothing, rng):
    Z, y = rng.standard_normal((8, 5)) * 4, rng.integers(0, 5, 8)
    mixed = (1 - smoothing) * np.eye(5)[y] + smoothing / 5
    expected = SoftmaxCrossEntropy()(Z, mixed)
    for target in (y, np.eye(5)[y]):
        loss, dZ = SoftmaxCrossEntropy(smoothing)(Z, target)
        assert loss == pytest.approx(expected[0], rel=1e-14)
        np.testing.assert_allclose(dZ, expected[1], atol=1e-16)


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SoftmaxCrossEntropy(0.1), MeanSquaredError()], ids=repr)
def test_a_weight_of_2_equals_the_sample_twice(loss, rng):
    Z, y = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])
    weights = np.array([1.0, 2.0, 1.0, 0.0])
    twice = [0, 1, 1, 2]
    expected, dZ_twice = loss(Z[twice], y[twice])
    value, dZ = loss(Z, y, weights=weights)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(dZ, [dZ_twice[0], dZ_twice[1] * 2, dZ_twice[3], dZ_twice[0] * 0], atol=1e-16)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_labels_and_one_hot_rows_agree(kind, dtype, rng):
    Z = rng.standard_normal((9, 4)).astype(dtype)
    y = rng.integers(0, 4, 9)
    expected, dZ_expected = LOSSES[kind]()(Z, y)
    for label in (np.uint8, np.int32, np.int64):
        loss, dZ = LOSSES[kind]()(Z, y.astype(label))
        assert loss == expected
        np.testing.assert_array_equal(dZ, dZ_expected)
    for one_hot in (bool, np.uint8, np.int64, np.float32, np.float64):
        loss, dZ = LOSSES[kind]()(Z, np.eye(4, dtype=one_hot)[y])
        assert loss == pytest.approx(expected, rel=1e-6)
        assert dZ.dtype == dtype
        np.testing.assert_allclose(dZ, dZ_expected, atol=1e-7)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("one_hot", [False, True])
def test_logits_of_ten_thousand_do_not_overflow(dtype, smoothing, one_hot):
    Z = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    y = np.array([0, 1, 2])
    target = np.eye(3, dtype=dtype)[y] if one_hot else y
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        loss, dZ = SoftmaxCrossEntropy(smoothing)(Z, target)
    # certain and right: 0; certain and wrong: 20,000; uniform: ln 3; smoothed: a third of 0 + 10,000 + 20,000
    each = [smoothing * 1e4, (1 - smoothing) * 2e4 + smoothing * 1e4, math.log(3)]
    assert loss == pytest.approx(sum(each) / 3, rel=1e-6)
    Y = (1 - smoothing) * np.eye(3)[y] + smoothing / 3
    np.testing.assert_allclose(dZ, (softmax(Z) - Y) / 3, atol=1e-7)
    assert dZ.dtype == dtype


def test_a_shift_of_all_logits_changes_nothing(rng):
    Z, y = rng.integers(-5, 5, (6, 4)).astype(float), rng.integers(0, 4, 6)
    loss, dZ = SoftmaxCrossEntropy()(Z, y)
    shifted, dZ_shifted = SoftmaxCrossEntropy()(Z + 512, y)
    assert shifted == loss
    np.testing.assert_array_equal(dZ_shifted, dZ)


def test_mean_squared_error_is_the_mean_over_samples_and_outputs(rng):
    Z, Y = rng.standard_normal((6, 4)), rng.standard_normal((6, 4))
    loss, dZ = MeanSquaredError()(Z, Y)
    assert loss == pytest.approx(np.mean((Z - Y) ** 2), rel=1e-14)
    np.testing.assert_allclose(dZ, 2 * (Z - Y) / 24, atol=1e-16)


def test_softmax_rows_sum_to_1_and_do_not_overflow():
    Z = np.array([[1e4, -1e4, 0], [1, 2, 3]])
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        P = softmax(Z)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(P[1], np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum())
    assert softmax(Z.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(Z[1], [1, 2, 3])


@given(st.data())
def test_losses_of_blocks_add_up_to_that_of_the_batch(data):
    N, K = data.draw(st.integers(1, 40)), data.draw(st.integers(2, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    loss = data.draw(st.sampled_from([SoftmaxCrossEntropy(), SoftmaxCrossEntropy(0.2), MeanSquaredError()]))
    Z, y = rng.standard_normal((N, K)) * 3, rng.integers(0, K, N)
    target = np.eye(K)[y] if data.draw(st.booleans()) else y
    weights = rng.random(N) + 0.01 if data.draw(st.booleans()) else None
    if weights is not None and N > 1 and data.draw(st.booleans()):
        weights[: N // 2] = 0  # the weights of a block may all be 0
    total = float(N) if weights is None else float(weights.sum())
    expected, dZ_expected = loss(Z, target, weights=weights)
    edges = sorted({0, N, *data.draw(st.lists(st.integers(0, N), max_size=4))})
    losses, parts = 0.0, []
    for start, stop in itertools.pairwise(edges):
        part = None if weights is None else weights[start:stop]
        value, dZ = loss.value_and_gradient(
            Z[start:stop], target[start:stop], Cache(Z.dtype), weights=part, total=total
        )
        losses += value
        parts.append(dZ)
    assert losses == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(np.concatenate(parts), dZ_expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_and_cross_entropy_are_finite_for_any_finite_logits(dtype, smoothing):
    big, tiny = np.finfo(dtype).max, np.finfo(dtype).tiny
    rows = np.array(list(itertools.product([big, -big, big / 2, 1.0, tiny, 0.0], repeat=3)), dtype)
    sure, soft = np.eye(3)[np.arange(len(rows)) % 3], np.full((len(rows), 3), 1 / 3)
    loss = SoftmaxCrossEntropy(smoothing)
    for target in (np.arange(len(rows)) % 3, sure.astype(dtype), soft.astype(dtype), np.roll(sure, 1, 0)):
        for weights in (None, np.linspace(0, 9, len(rows), dtype=dtype)):
            value, dZ = loss(rows, target, weights=weights)
            assert math.isfinite(value)
            assert value >= 0
            assert np.isfinite(dZ).all()
    P = softmax(rows)
    assert np.isfinite(P).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    assert softmax(np.array([[big, -big]], dtype)).tolist() == [[1, 0]]
    assert SoftmaxCrossEntropy()(np.array([[big, -big]], dtype), np.array([[1.0, 0.0]], dtype))[0] == 0


@pytest.mark.parametrize("kind", LOSSES)
def test_arguments_are_unchanged(kind, rng):
    Z, Y, weights = rng.standard_normal((5, 3)), np.eye(3)[[0, 1, 2, 1, 0]], rng.random(5)
    kept = Z.copy(), Y.copy(), weights.copy()
    LOSSES[kind]()(Z, Y, weights=weights)
    for array, before in zip((Z, Y, weights), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_float32_losses_are_summed_without_losing_small_ones():
    # the sum of 2²⁰ equal losses in float32 would lose precision
    loss, _ = SoftmaxCrossEntropy()(np.zeros((1 << 20, 2), np.float32), np.zeros(1 << 20, np.uint8))
    assert loss == pytest.approx(math.log(2), rel=1e-7)


REJECTED = {
    "target must have the shape (3,) or (3, 4), got (4,)": ((3, 4), np.zeros(4, int), None),
    "target must have the shape (3,) or (3, 4), got (3, 1)": ((3, 4), np.zeros((3, 1)), None),
    "target must have the shape (3,) or (3, 4), got (1, 4)": ((3, 4), np.zeros((1, 4)), None),
    "target must have the shape (3,) or (3, 4), got ()": ((3, 4), np.array(1), None),
    "a target of one dimension must have integer labels, got float64": ((3, 4), np.zeros(3), None),
    "labels must be from 0 to 3, got 0 to 4": ((3, 4), np.array([0, 4, 1]), None),
    "labels must be from 0 to 3, got -1 to 1": ((3, 4), np.array([0, -1, 1]), None),
    "weights must have the shape (3,), got (3, 1)": ((3, 4), np.zeros(3, int), np.ones((3, 1))),
    "weights must have the shape (3,), got (2,)": ((3, 4), np.zeros(3, int), np.ones(2)),
    "the weights of a batch must add up to more than 0, got 0.0": ((3, 4), np.zeros(3, int), np.zeros(3)),
    "a batch must have at least one sample, got 0": ((0, 4), np.zeros(0, int), None),
}


@pytest.mark.parametrize("words", REJECTED)
@pytest.mark.parametrize("kind", LOSSES)
def test_invalid_arguments_are_rejected(kind, words):
    shape, target, weights = REJECTED[words]
    with pytest.raises(UsageError, match=f"^{re.escape(words)}$"):
        LOSSES[kind]()(np.zeros(shape), target, weights=weights)


@pytest.mark.parametrize(("row", "total"), [([0, 0, 0], "0"), ([1, 1, 0], "2"), ([0.5, 0.2, 0.2], "0.9")])
def test_cross_entropy_rejects_rows_that_are_not_probabilities(row, total):
    target = np.array([[0, 1, 0], row], float)
    with pytest.raises(UsageError, match=f"^each row of target must add up to 1, got {total} in row 1$"):
        SoftmaxCrossEntropy()(np.zeros((2, 3)), target)


@pytest.mark.parametrize("smoothing", [-0.1, 1, math.nan])
def test_invalid_smoothing_is_rejected(smoothing):
    with pytest.raises(UsageError, match=f"^smoothing must be at least 0 and less than 1, got {smoothing}$"):
        SoftmaxCrossEntropy(smoothing)
