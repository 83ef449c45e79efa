"""`fit`: the inputs that it accepts and rejects, divergence in the last step, and interruption."""

import contextlib
import dataclasses
import inspect
import typing

import numpy as np
import pytest

import byhand
from byhand.errors import DivergedError, UsageError
from byhand.nn.optimizers import GradientDescent
from byhand.nn.schedules import Constant
from byhand.report import evaluate
from byhand.training import Recipe, Trainer, fit
from byhand.training.recipe import RecipeSettings

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 6)).astype(np.float32), RNG.integers(0, 3, 60)
WHOLE = Recipe(epochs=1, batch_size=None, optimizer=GradientDescent(), schedule=Constant())


def model(**settings):
    return byhand.Model([6, 5, 3], seed=0, **settings)


@pytest.mark.parametrize("rate", [3e38, 1e30])
@pytest.mark.parametrize("more", [{}, {"validation": 0.2}, {"ema_decay": 0.9}])
def test_divergence_in_the_last_step_is_raised(rate, more):
    with pytest.raises(DivergedError, match="Try --learning-rate"):
        fit(model(), (X * 8, Y), recipe=WHOLE.replace(learning_rate=rate, **more))


def test_a_failed_step_is_repeated():
    with Trainer(model(), (X, Y), WHOLE.replace(batch_size=20, learning_rate=0.1), seed=0) as session:
        session.step()
        right, session.model.network.parameters[0] = session.model.network.parameters[0], np.nan
        for _ in range(5):
            with pytest.raises(DivergedError, match="at step 1"):
                session.step()
        session.model.network.parameters[0] = right
        assert session.step().step == 1
        assert session.step().ends_epoch


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (X.astype(str), "X must be numbers, got <U"),
        (X.astype(complex), "X must be numbers, got complex"),
        (X.astype(object), "X must be numbers, got object"),
    ],
)
def test_ambiguous_inputs_are_rejected(inputs, message):
    with pytest.raises(UsageError, match=message):
        fit(model(), (inputs, Y), epochs=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y, Y), r"data must be a pair \(X, y\), got a tuple of 3: pass weights as sample_weights"),
        (X, r"data must be a Dataset or a pair \(X, y\), got an array float32 \(60, 6\)"),
        (None, r"data must be a Dataset or a pair \(X, y\), got None"),
        ((X, Y[:, None, None]), r"y must have the shape \(60,\) or \(60, 3\), got \(60, 1, 1\)"),
        ((X, Y[:50]), r"y must have the shape \(60,\) or \(60, 3\), got \(50,\)"),
        ((X, 3), r"y must have the shape \(60,\) or \(60, 3\), got \(\)"),
    ],
)
def test_data_that_are_not_a_pair_are_rejected(data, message):
    with pytest.raises(UsageError, match=message):
        fit(model(), data, epochs=1)


def test_integers_and_booleans_are_accepted_as_inputs():
    fit(model(), ((X > 0.5).astype(int), Y), epochs=1)
    fit(model(), (X > 0.5, Y), epochs=1)


@pytest.mark.parametrize("labels", [Y + 0.5, Y - 1, Y + 1, np.where(Y == 1, np.nan, Y)])
def test_invalid_labels_are_rejected(labels):
    with pytest.raises(UsageError, match="labels must be integers 0 to 2, got"):
        fit(model(), (X, labels), epochs=1)


@pytest.mark.parametrize("labels", [Y.astype(str), Y.astype(float), Y.astype(object), Y[:, None], Y.tolist()])
def test_labels_of_other_types_mean_the_same_classes(labels):
    expected = fit(model(), X, Y, epochs=1)["loss"]
    assert fit(model(), X, labels, epochs=1)["loss"] == expected


def test_bytes_are_read_as_images():
    digits = byhand.load("mnist-5k").train[:60]
    one, other, third = (byhand.Model([784, 10], seed=0) for _ in range(3))
    expected = fit(one, digits, epochs=1)["loss"]
    assert fit(other, digits.images, digits.labels, epochs=1)["loss"] == expected
    assert fit(third, digits.images.reshape(60, 784), digits.labels, epochs=1)["loss"] == expected
    assert other.preparation == one.preparation
    assert other.accuracy(digits.images, digits.labels) == one.accuracy(digits)


def test_sample_weights_that_are_not_numbers_are_rejected():
    with pytest.raises(UsageError, match="sample_weights must be numbers, got <U"):
        fit(model(), (X, Y), epochs=1, sample_weights=Y.astype(str))


def test_zero_weights_for_all_training_samples_are_rejected():
    recipe = Recipe(epochs=1, validation=0.5)
    with Trainer(model(), (X, Y), recipe, seed=0) as session:
        kept = session.batches.index
    weights = np.ones(60)
    weights[kept] = 0
    with pytest.raises(UsageError, match="sample_weights must be positive for at least one training sample"):
        fit(model(), (X, Y), recipe=recipe, sample_weights=weights)


@pytest.mark.parametrize("size", [1e-50, 1e39, 1e-30])
def test_only_the_proportions_of_sample_weights_matter(size):
    plain, scaled = model(), model()
    fit(plain, (X, Y), epochs=2)
    fit(scaled, (X, Y), epochs=2, sample_weights=np.full(60, size))
    np.testing.assert_allclose(scaled.network.parameters, plain.network.parameters, rtol=1e-4, atol=1e-6)


def test_the_loss_of_an_epoch_is_the_weighted_mean_over_its_samples():
    weights = np.where(RNG.random(60) < 0.5, 1.0, 100.0)
    recipe = Recipe(epochs=1, batch_size=7, learning_rate=1e-12, optimizer=GradientDescent(), schedule=Constant())
    still = model(dtype=np.float64)
    history = fit(still, (X.astype(float), Y), recipe=recipe, sample_weights=weights)
    Z = still.network.forward(X.astype(float))
    each = np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(60), Y]
    assert history[-1].loss == pytest.approx((weights * each).sum() / weights.sum(), rel=1e-7)


@pytest.mark.parametrize("value", [2.5, "0.1", True])
def test_a_validation_split_is_a_fraction_or_an_integer(value):
    with pytest.raises(UsageError, match="validation must be"):
        Recipe(validation=value)


@pytest.mark.parametrize("name", ["learning_rate", "clip", "max_norm", "ema_decay", "validation"])
def test_numbers_of_a_recipe_must_not_be_strings(name):
    with pytest.raises(UsageError, match=f"{name} must be"):
        Recipe(**{name: "high"})


def test_patience_works_with_explicit_validation_data():
    history = fit(model(), (X, Y), epochs=30, patience=1, learning_rate=0.5, validation_data=(X[:20], Y[:20]))
    assert history.best_epoch
    with pytest.raises(UsageError, match="patience needs validation data"):
        fit(model(), (X, Y), epochs=1, patience=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (fit, r"got a TrainTest: pass its \.train"),
        (lambda own, digits: fit(own, digits.train, validation_data=digits), "got a TrainTest"),
        (lambda own, digits: fit("m.safetensors", digits.train), "model must be a Model, got 'm.safetensors': "),
        (lambda own, digits: fit(own.network, digits.train), "model must be a Model, got a Network: "),
        (lambda own, digits: own.predict(digits.test), "images must be an array, got a Dataset"),
        (lambda own, digits: own.predict(digits), "images must be an array, got a TrainTest"),
        (lambda own, digits: own.predict(digits.test[0]), "images must be an array, got a Sample"),
        (lambda own, digits: own.accuracy(digits), "data must be a Dataset, got a TrainTest"),
        (lambda own, digits: own.accuracy(digits.test.images), r"data must be a Dataset, got an array uint8 \(1000, "),
        (evaluate, "data must be a Dataset, got a TrainTest"),
    ],
)
def test_frequent_mistakes_in_calls_get_specific_errors(call, message):
    with pytest.raises(UsageError, match=message):
        call(byhand.Model([784, 10], seed=0), byhand.load("mnist-5k"))


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("lr", "learning_rate"),
        ("epoch", "epochs"),
        ("batchsize", "batch_size"),
        ("max_iter", "epochs"),
        ("validation_split", "validation"),
        ("early_stopping", "patience"),
        ("scheduler", "schedule"),
        ("sample_weight", "sample_weights"),
        ("callback", "callbacks"),
        ("random_state", "seed"),
        ("weight_decay", "optimizer=AdamW(weight_decay=…)"),
        ("dropout", "byhand.Model(…, dropout=…)"),
    ],
)
def test_an_unknown_setting_of_fit_gets_the_name_to_type(setting, meant):
    with pytest.raises(UsageError) as refused:
        fit(model(), (X, Y), **{setting: 1})
    assert str(refused.value) == f"unknown setting '{setting}' (did you mean {meant}?)"


def test_an_unknown_setting_without_similar_name_lists_all_settings():
    for call in (lambda: fit(model(), (X, Y), color=1), lambda: Recipe(color=1), lambda: Recipe().replace(color=1)):
        with pytest.raises(UsageError, match="unknown setting 'color': the settings are epochs, batch_size, "):
            call()


def test_the_settings_of_fit_are_those_of_the_recipe():
    hints, found = typing.get_type_hints(RecipeSettings), typing.get_type_hints(Recipe)
    assert list(hints) == [field.name for field in dataclasses.fields(Recipe)]
    by_name = {"optimizer", "schedule", "loss"}
    assert hints == {name: kind | str if name in by_name else kind for name, kind in found.items()}
    code = fit.__code__
    own = [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    assert [*inspect.signature(fit).parameters] == [*own, *hints]


def test_an_interrupted_fit_loads_the_averaged_weights(monkeypatch):
    from byhand.training import fitting

    seen = []

    @contextlib.contextmanager
    def stopped_at_once(stop):
        stop()
        yield

    class Watched(Trainer):
        def load_final_weights(self):
            self.ema[...] = 7
            super().load_final_weights()
            seen.append(self)

    monkeypatch.setattr(fitting, "interruptible", stopped_at_once)
    monkeypatch.setattr(fitting, "Trainer", Watched)
    made = model()
    assert fit(made, (X, Y), epochs=3, ema_decay=0.9).ending == "interrupted"
    assert (made.network.parameters == 7).all()
    assert len(seen) == 1
