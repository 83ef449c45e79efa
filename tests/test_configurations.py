"""Random configurations: the invariants hold for all of them. `tests/long/rack.py` runs thousands."""

import numpy as np
import pytest

from byhand.nn.activations import ACTIVATIONS
from byhand.nn.layers import Activation
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.schedules import SCHEDULES
from byhand.training import Trainer, train
from helpers import random_configurations, small_run

TIMES = 90


@pytest.mark.parametrize("numbers", [range(8), pytest.param(range(8, TIMES), marks=pytest.mark.slow)])
def test_the_invariants_hold_for_random_configurations(numbers):
    found = [random_configurations.tried(number) for number in numbers]
    assert found.count("finished") > len(numbers) / 2


@pytest.mark.parametrize("number", [814])
def test_configurations_that_once_failed_pass(number):
    """814: evaluating a run that is about to diverge must not raise NumPy's warnings."""
    random_configurations.tried(number)


def test_random_configurations_cover_every_choice():
    chosen = [random_configurations.configuration(np.random.default_rng([9, number])) for number in range(TIMES)]
    assert {c.recipe.optimizer.kind for c in chosen} == set(OPTIMIZERS)
    assert {c.recipe.schedule.kind for c in chosen} == set(SCHEDULES)
    assert {c.network["activation"] for c in chosen} == set(ACTIVATIONS)
    assert {c.network["dtype"] for c in chosen} == {"float32", "float64"}
    assert {c.recipe.threads for c in chosen} == {1, 2}
    assert any("maps" in c.network for c in chosen)
    assert any(c.wild for c in chosen)
    assert any(c.recipe.patience for c in chosen)


def try_thirty():
    for number in range(30):
        random_configurations.tried(number)


def test_a_planted_loss_of_optimizer_state_is_found(monkeypatch):
    """Planted: a state that is not restored."""
    restore = Trainer.restore

    def forgets(self, arrays, plain):
        restore(self, arrays, plain)
        for name, vector in self.optimizer_state.items():
            if name != "steps":
                vector[...] = 0

    monkeypatch.setattr(Trainer, "restore", forgets)
    with pytest.raises(AssertionError, match="resuming gave another result"):
        try_thirty()


def test_a_planted_wrong_derivative_is_found(monkeypatch):
    backward = Activation.backward
    monkeypatch.setattr(Activation, "backward", lambda self, *a, **k: backward(self, *a, **k) * 1.001)
    with pytest.raises(AssertionError, match="worst relative error"):
        try_thirty()


def test_the_small_data_set_can_be_learned():
    with small_run.session(
        chosen=small_run.recipe(ema_decay=None, patience=None, epochs=15, augment="none")
    ) as session:
        accuracies = [record.validation_accuracy for record in train(session)]
    assert max(accuracies) > 0.9
