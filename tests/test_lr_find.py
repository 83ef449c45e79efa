"""The learning-rate range test: its suggestion works, and the model is unchanged."""

import math

import numpy as np
import pytest

import byhand
from byhand.errors import UsageError
from byhand.nn.optimizers import Adam
from byhand.report.lr_find import range_test_page, range_test_text, verdict
from byhand.training import lr_find as module
from byhand.training import preset
from byhand.training.lr_find import Sweep, has_diverged, lr_find


@pytest.fixture(scope="module")
def digits():
    return byhand.load("mnist-5k")


@pytest.fixture(scope="module")
def swept(digits):
    model = preset("digits").model(784, digits.classes, seed=0, hidden=(32,))
    before = model.network.parameters.copy()
    sweep = lr_find(model, digits.train, preset("digits").recipe, seed=0)
    np.testing.assert_array_equal(model.network.parameters, before)
    return sweep


def made(smoothed, diverged_at=None, rates=None):
    rates = rates or tuple(10.0 ** (k / 10 - 4) for k in range(len(smoothed)))
    return Sweep(rates, tuple(smoothed), tuple(smoothed), diverged_at)


@pytest.mark.slow
def test_the_suggested_rate_trains_well(digits, swept):
    model = preset("digits").model(784, digits.classes, seed=0, hidden=(32,))
    byhand.fit(model, digits.train, recipe=preset("digits").recipe.replace(learning_rate=swept.suggestion, epochs=3))
    assert model.accuracy(digits.test) > 0.9


def test_the_range_test_continues_until_divergence(swept):
    assert swept.diverged_at == len(swept.rates) - 1
    assert swept.suggestion <= swept.rates[swept.diverged_at] / 4
    assert swept.rates[0] == pytest.approx(1e-4)
    assert len(swept.losses) == len(swept.smoothed) == len(swept.rates)
    assert swept.smoothed[-1] > 4 * min(swept.smoothed) or swept.smoothed[-1] > swept.smoothed[0]


def test_explosion_and_return_to_the_start_count_as_divergence():
    assert has_diverged([2.0, 1.0, 0.5, 2.1])  # over four times the lowest
    assert has_diverged([2.0, 1.7, 2.01])  # had learned, and is back
    assert not has_diverged([2.0, 1.0, 0.5, 1.9])
    assert not has_diverged([2.0, 1.9, 2.01])  # had not learned yet


def test_the_steps_that_the_suggestion_leaves_out_show_no_divergence(digits, monkeypatch):
    monkeypatch.setattr(module, "has_diverged", lambda smoothed: True)
    sweep = lr_find(preset("digits").model(784, digits.classes, seed=0, hidden=(2,)), digits.train, steps=20)
    assert sweep.diverged_at == module.MARGIN + 1


def test_the_suggestion_lies_between_the_steepest_and_the_lowest():
    """A loss of 2 that falls linearly from step 10 to 30, then rises: steepest 10 … 29, lowest 30."""
    smoothed = [2.0] * 11 + [2 - 0.09 * k for k in range(1, 21)] + [0.5, 3.0]
    sweep = made(smoothed)
    assert sweep.lowest == 30
    assert 10 <= sweep.steepest <= 29
    between = math.sqrt(sweep.rates[sweep.steepest] * sweep.rates[30])
    assert sweep.suggestion == pytest.approx(between, rel=0.05)


def test_the_suggestion_is_well_below_the_diverged_rate():
    """The loss falls until it diverges at rate 0.1: the suggestion is at most a quarter of that."""
    sweep = made([2 - 0.03 * k**1.1 for k in range(30)] + [9.0], diverged_at=30)
    assert sweep.rates[30] == pytest.approx(0.1)
    assert sweep.suggestion == 0.025


def test_a_loss_that_never_falls_gives_no_suggestion():
    sweep = made([1.0 + 0.1 * k for k in range(30)])
    assert sweep.suggestion is None
    assert "no rate can be suggested" in verdict(sweep)


def test_the_smoothed_loss_begins_at_the_first_loss(swept):
    """The moving average is corrected for its start at 0: m/(1 − 0.9ᵗ)."""
    assert swept.smoothed[0] == pytest.approx(swept.losses[0])
    second = (0.09 * swept.losses[0] + 0.1 * swept.losses[1]) / 0.19
    assert swept.smoothed[1] == pytest.approx(second)


def test_the_range_test_is_reproducible(digits):
    model = preset("digits").model(784, digits.classes, seed=0, hidden=(8,))
    recipe = preset("digits").recipe.replace(optimizer=Adam(), batch_size=64)
    one, two = (lr_find(model, digits.train, recipe, steps=30, seed=3) for _ in range(2))
    assert one == two


def test_infinite_numbers_end_the_range_test(digits):
    model = preset("digits").model(784, digits.classes, seed=0, hidden=(8,))
    sweep = lr_find(model, digits.train, preset("digits").recipe, lowest=1e20, highest=1e38, steps=20)
    assert sweep.diverged_at == len(sweep.rates) - 1
    assert sweep.to_json()["losses"][-1] is None or sweep.smoothed[-1] > 4 * min(sweep.smoothed)
    assert "diverged at step" in verdict(sweep)
    assert range_test_text(sweep)
    assert "Learning-rate range test" in range_test_page(sweep, "t")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowest": 0}, "lowest must be positive and below highest, got 0"),
        ({"lowest": 1, "highest": 0.1}, "lowest must be positive and below highest, got 1 and 0.1"),
        ({"steps": 3}, "steps must be at least 20, got 3"),
    ],
)
def test_invalid_ranges_are_rejected(digits, settings, message):
    with pytest.raises(UsageError, match=message):
        lr_find(byhand.Model([784, 10]), digits.train, **settings)


def test_the_plot_in_the_terminal_has_axis_and_marks(swept):
    lines = range_test_text(swept, 60).splitlines()
    assert len(lines) == 14
    assert "▲" in lines[-2]
    assert lines[-2].endswith("✗")
    assert lines[-1].split() == ["0.0001", "0.001", "0.01", "0.1"]
    assert {len(line) for line in lines[:-1]} == {68}


def test_the_page_marks_both_rates_and_has_its_table(swept):
    page = range_test_page(swept, "a <network>", "byhand lr-find")
    assert f"suggested {swept.suggestion:.2g}" in page
    assert f"diverged {swept.rates[-1]:.2g}" in page
    assert page.count("<tr>") == len(swept.rates) + 1
    assert "a &lt;network&gt;" in page
