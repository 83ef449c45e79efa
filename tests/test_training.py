"""Training: reproducibility, the published run, records, early stopping, and the watchdog."""

import json
import os
import signal
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import byhand
from byhand.data import Dataset
from byhand.data.augment import Augmentation, augment
from byhand.errors import DivergedError, UsageError
from byhand.model import Model
from byhand.model.model import MAX_BLOCK_SAMPLES, max_block_size
from byhand.model.preparation import Preparation
from byhand.nn.layers import Dense, Dropout
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.optimizers import Adam, AdamW, GradientDescent, Momentum
from byhand.nn.schedules import Constant, Cosine, OneCycle
from byhand.reference import l_layer, two_layer
from byhand.training import Recipe, Trainer, fit, preset, steps, train
from byhand.training import plan as plans
from byhand.training.batches import Inputs
from byhand.training.loop import interruptible
from byhand.training.plan import Form, Plan, shares_of
from byhand.training.recipe import PRESETS
from byhand.training.setup import Setup, check_weights, held_out, labels_of
from byhand.training.watchdog import probe
from helpers import processes
from helpers.tiers import tiers


@pytest.fixture(scope="module")
def digits():
    return byhand.load("mnist-5k")


def trained(data, *, sizes=(784, 16, 10), seed=0, preparation=None, dtype=np.float32, network=None, **choices):
    """Return a model after a short run, with its history."""
    model = Model(list(sizes), seed=seed, preparation=preparation, dtype=dtype, **(network or {}))
    history = fit(model, data, recipe=Recipe(**{"epochs": 2, **choices}), seed=seed)
    return model, history


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"optimizer": Adam(), "learning_rate": 0.001},
        {"augment": "default"},
        {"augment": "default", "weak_augment": 0.5},
        {"batch_size": None},
        {"ema_decay": 0.99, "validation": 0.1, "patience": 3},
    ],
)
def test_two_runs_with_one_seed_are_bit_identical(digits, choices):
    first, _ = trained(digits.train[:600], network={"dropout": 0.2}, **choices)
    second, _ = trained(digits.train[:600], network={"dropout": 0.2}, **choices)
    assert first.network.parameters.tobytes() == second.network.parameters.tobytes()


def test_another_seed_gives_another_result(digits):
    first, _ = trained(digits.train[:600])
    second, _ = trained(digits.train[:600], seed=1)
    assert first.network.parameters.tobytes() != second.network.parameters.tobytes()


@pytest.mark.slow
def test_two_processes_with_one_seed_are_bit_identical(tmp_path):
    for number in range(2):
        words = ["--data", "mnist-5k", "--epochs", 1, "--samples", 512, "--run", number]
        processes.byhand("train", *words, check=True, cwd=tmp_path)
    first, second = (Model.load(tmp_path / str(number) / "model.safetensors") for number in range(2))
    assert first.network.parameters.tobytes() == second.network.parameters.tobytes()


def test_training_does_not_use_numpys_global_generator(digits):
    np.random.seed(5)
    before = np.random.get_state()[1].tobytes()
    trained(digits.train[:256])
    assert np.random.get_state()[1].tobytes() == before


@pytest.mark.parametrize(("share", "distorted_fully"), [(0.0, 5), (0.4, 3), (1.0, 0)])
def test_the_last_epochs_are_augmented_with_half_the_strength(digits, share, distorted_fully):
    data, far = digits.train[:64], Augmentation(rotate=30, elastic=2)
    recipe = Recipe(epochs=5, batch_size=64, augment=str(far), weak_augment=share)
    with Trainer(Model([784, 10]), data, recipe, seed=3) as session:
        for epoch in range(5):
            (batch,) = session.batches.epoch(epoch)
            spec = far if epoch < distorted_fully else Augmentation(rotate=15, elastic=1)
            expected = augment(data.images, session.batches.order(epoch), seed=3, epoch=epoch, spec=spec)
            np.testing.assert_array_equal(batch.pixels[batch.index].reshape(-1, 28, 28), expected)


@pytest.mark.parametrize(
    ("epochs", "share", "weak_epochs"),
    [
        (10, 0.15, 2),
        (10, 0.25, 3),
        (10, 0.2, 2),
        (100, 0.07, 7),
        (300, np.float32(0.2), 60),
        (3, 0.5, 2),
        (1, 0.01, 1),
        (7, 0, 0),
    ],
)
def test_the_number_of_weakly_augmented_epochs_is_rounded_up(epochs, share, weak_epochs):
    assert epochs - Recipe(epochs=epochs, weak_augment=share).weak_from == weak_epochs


@pytest.mark.parametrize(
    ("hidden", "activation"),
    tiers(3, [((12, 8, 6)[: number % 3 + 1], ("relu", "sigmoid")[number % 2]) for number in range(6)]),
)
def test_a_trainer_equals_the_reference_after_100_steps(digits, hidden, activation):
    sizes = [784, *hidden, 10]
    data = digits.train[:300]
    X = data.images.reshape(300, -1).T / 256
    Y = l_layer.one_hot(data.labels)
    parameters = l_layer.initialize_parameters(sizes)
    model = Model(sizes, preparation=Preparation(divisor=256), dtype=np.float64, activation=activation)
    for i, layer in enumerate(model.network.dense, start=1):
        layer.W[...] = parameters[f"W{i}"].T
        layer.b[...] = parameters[f"b{i}"].ravel()
    losses = []
    for _ in range(100):
        HL, memories = l_layer.L_layer_forward(X, parameters, hidden=activation)
        losses.append(l_layer.compute_loss(HL, Y))
        gradients = l_layer.L_layer_backward(HL, Y, memories, hidden=activation)
        l_layer.update_parameters(parameters, gradients, 0.05)
    recipe = Recipe(epochs=100, batch_size=None, learning_rate=0.05, optimizer=GradientDescent(), schedule=Constant())
    history = fit(model, data, recipe=recipe)
    np.testing.assert_allclose(history.column("loss"), losses, rtol=0, atol=1e-12)
    for i, layer in enumerate(model.network.dense, start=1):
        assert np.abs(layer.W - parameters[f"W{i}"].T).max() < 1e-12
        assert np.abs(layer.b - parameters[f"b{i}"].ravel()).max() < 1e-12


def test_the_two_layer_preset_equals_its_reference(digits):
    data = digits.train[:400]
    model = preset("two-layer").model(784, data.classes, seed=0, dtype="float64")
    first, second = model.network.dense
    W1, b1, W2, b2 = first.W.T.copy(), first.b[:, None].copy(), second.W.T.copy(), second.b[:, None].copy()
    assert all(np.abs(array).max() <= 0.5 for array in (W1, b1, W2, b2))
    X, Y = data.images.reshape(400, -1).T / 255, data.labels
    for _ in range(20):
        Z1, A1, Z2, A2 = two_layer.forward_prop(W1, b1, W2, b2, X)
        slopes = two_layer.backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y)
        W1, b1, W2, b2 = two_layer.update_params(W1, b1, W2, b2, *slopes, 0.1)
    fit(model, data, recipe=preset("two-layer").recipe.replace(epochs=20, validation=0))
    for layer, W, b in ((first, W1, b1), (second, W2, b2)):
        assert np.abs(layer.W - W.T).max() < 1e-12
        assert np.abs(layer.b - b.ravel()).max() < 1e-12


@pytest.mark.slow
@pytest.mark.full_mnist
def test_the_published_losses_of_the_worked_run_through_the_command_line(tmp_path):
    """The whole run is in tests/long/reference.py."""
    words = ["--preset", "l-layer", "--dtype", "float64", "--data", "mnist", "--offline", "--quiet", "--epochs", "301"]
    processes.byhand("train", *words, "--run", tmp_path / "run", check=True, timeout=None)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = {record["step"]: f"{record['loss']:.6f}" for record in records}
    assert [losses[step] for step in (0, 100, 200)] == ["2.422624", "2.129232", "1.876095"]


@pytest.mark.parametrize(
    ("plan", "extra"), [(Plan(1, 1, 1_000_000), 0), (Plan(1, 1, 100), 3), (Plan(2, 1, 64), 7), (Plan(3, 1, 50), 0)]
)
@pytest.mark.parametrize("preparation", [Preparation(), Preparation.standard()])
def test_every_plan_gives_the_same_result_except_for_rounding(digits, monkeypatch, plan, extra, preparation):
    runs = []
    for chosen in (None, plan):
        if chosen is not None:
            monkeypatch.setattr("byhand.training.setup.plan_for", lambda *_, **__: plan)
            monkeypatch.setattr(plans, "padded_width", lambda rows, inner, columns: columns + extra)
        model = Model([784, 45, 10], preparation=preparation, dtype=np.float64, dropout=0.1)
        recipe = Recipe(epochs=5, batch_size=None, learning_rate=0.1, optimizer=Momentum())
        fit(model, digits.train[:500], recipe=recipe)
        runs.append(model.network.parameters.copy())
    assert np.abs(runs[0] - runs[1]).max() < 1e-12


def setup_of(model, data, recipe):
    return Setup(model, data, recipe, 0, None, None, None)


def test_leaving_out_dark_pixels_does_not_change_the_result(digits, monkeypatch):
    runs = []
    for leaves_out in (True, False):
        if not leaves_out:
            monkeypatch.setattr("byhand.training.setup.form_of", lambda *_: None)
        model = Model([784, 20, 10], dtype=np.float64)
        start = model.network.dense[0].W.copy()
        recipe = Recipe(epochs=8, batch_size=None, optimizer=Adam())
        form = setup_of(model, digits.train[:500], recipe).form
        assert (form is not None and form.columns is not None) == leaves_out
        fit(model, digits.train[:500], recipe=recipe)
        runs.append(model.network.parameters.copy())
        dark = ~digits.train[:500].images.reshape(500, -1).any(axis=0)
        assert np.array_equal(model.network.dense[0].W[dark], start[dark])
    assert np.abs(runs[0] - runs[1]).max() < 1e-12


@pytest.mark.parametrize(
    ("preparation", "choices", "scale"),
    [
        (Preparation.standard(), {}, None),
        (Preparation(), {"optimizer": AdamW()}, 1 / 255),
        (Preparation(divisor=256), {"max_norm": 2.0}, 1 / 256),
        (Preparation(), {"augment": "shift=1"}, None),
        (Preparation(), {"batch_size": 100}, None),
    ],
)
def test_pixels_are_kept_if_their_weights_could_change(digits, preparation, choices, scale):
    model = Model([784, 20, 10], preparation=preparation)
    recipe = Recipe(**{"epochs": 1, "batch_size": None, **choices})
    form = setup_of(model, digits.train[:200], recipe).form
    assert (form.scale if form else None) == scale
    assert form is None or form.columns is None


def test_scaling_the_first_weights_equals_scaling_the_pixels(digits, monkeypatch):
    """Weight decay forbids leaving out pixels; dividing the weights instead of the pixels is still equivalent."""
    runs = []
    for form in (None, Form(None, 1 / 255), Form(None, 1 / 254)):
        monkeypatch.setattr("byhand.training.setup.form_of", lambda *_, form=form: form)
        model = Model([784, 20, 10], dtype=np.float64)
        choices = {"epochs": 5, "batch_size": None, "augment": "none", "learning_rate": 0.01}
        fit(model, digits.train[:500], optimizer=AdamW(), **choices)
        runs.append(model.network.parameters.copy())
    assert np.abs(runs[0] - runs[1]).max() < 1e-12
    assert np.abs(runs[0] - runs[2]).max() > 1e-6, "a wrong scale must change the result"


def test_a_layer_before_the_first_weights_gets_scaled_pixels(digits):
    model = Model([Dropout(0.1), Dense(784, 10)])
    assert setup_of(model, digits.train[:200], Recipe(epochs=1, batch_size=None)).form is None


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 31, 96, 160, 256, 1000])
def test_workers_share_a_batch_evenly(workers, count):
    plan = Plan(workers, 1, 32)
    shares = shares_of(count, plan)
    assert [i for share in shares for rows in share for i in range(rows.start, rows.stop)] == list(range(count))
    assert max(rows.stop - rows.start for share in shares for rows in share) <= 32
    counts = [sum(rows.stop - rows.start for rows in share) for share in shares]
    assert max(counts) - min(counts) <= max(1, -(-count // 32) // workers + 1)


@pytest.mark.parametrize(
    "maps", [(), pytest.param(((32, 3, 1), (40, 4)), marks=pytest.mark.slow)], ids=["dense", "convolutions"]
)
def test_no_large_array_is_allocated_after_the_third_step(digits, maps):
    """The batch's activations and a layer's weights are 800 kB or more. NumPy's buffers are up to 96 KiB per thread."""
    model = Model([784, 800, 10], preparation=Preparation.standard(), dropout=0.1, maps=maps)
    recipe = Recipe(epochs=2, batch_size=256, optimizer=Adam(), ema_decay=0.99, clip=5.0, max_norm=3.0, threads=1)
    with Trainer(model, digits.train, recipe, seed=0) as session:
        for _ in range(3):
            session.step()
        tracemalloc.start()
        for _ in range(5):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            session.step()
            assert tracemalloc.get_traced_memory()[1] - before < 110_000
        tracemalloc.stop()


def test_records_have_epochs_losses_and_times(digits):
    model = Model([784, 32, 10], preparation=Preparation.standard())
    history = fit(model, digits.train, recipe=Recipe(epochs=3, validation=0.1), seed=0)
    assert [record.epoch for record in history] == [1, 2, 3]
    last = history[-1]
    assert history.ending == "done"
    assert history.column("loss") == sorted(history.column("loss"), reverse=True)
    assert 0.9 < last.accuracy <= 1
    assert 0.85 < last.validation_accuracy <= 1
    assert last.images_per_second > 0
    assert last.gradient_norm > 0
    assert len(last.dead) == 1
    assert last.step == 3 * 29 - 1
    assert "3 epochs" in repr(history)
    assert "<table>" in history._repr_html_()


def test_an_epoch_uses_every_sample_once_and_weights_batches_by_size(digits):
    data = digits.train[:130]
    model = Model([784, 8, 10])
    recipe = Recipe(epochs=1, batch_size=50, learning_rate=1e-12, optimizer=GradientDescent(), schedule=Constant())
    with Trainer(model, data, recipe, seed=3) as session:
        order = session.batches.order(0)
        assert sorted(order) == list(range(130))
        assert list(order) != list(session.batches.order(1))
        records = list(steps(session))
        assert [record.samples for record in records] == [50, 50, 30]
        weighted = sum(record.loss * record.samples for record in records) / 130
        assert session.progress.records[0].loss == pytest.approx(weighted, rel=1e-12)


def test_the_record_of_a_step_has_its_number_epoch_and_samples():
    data = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    with Trainer(Model([3, 2]), data, Recipe(epochs=2, batch_size=4), seed=0) as trainer:
        records = [(record.step, record.epoch, record.samples, record.ends_epoch) for record in steps(trainer)]
    first = [(0, 1, 4, False), (1, 1, 4, False), (2, 1, 2, True)]
    assert records == [*first, (3, 2, 4, False), (4, 2, 4, False), (5, 2, 2, True)]


def test_sums_of_an_epoch_begin_at_0_again():
    data = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    recipe = Recipe(epochs=3, batch_size=4, learning_rate=1e-12)
    with Trainer(Model([3, 2], dtype="float64"), data, recipe, seed=0) as trainer:
        first, *others = train(trainer)
    for record in others:  # with this learning rate, no epoch differs from the first
        assert record.accuracy == first.accuracy == pytest.approx(round(first.accuracy * 10) / 10)
        assert record.loss == pytest.approx(first.loss)
        assert record.gradient_norm > 0


def test_early_stopping_counts_records_without_improvement(digits):
    recipe = Recipe(epochs=9, validation=0.5, patience=3, learning_rate=1e-30)
    with Trainer(Model([784, 10]), digits.train[:20], recipe, seed=0) as trainer:
        records = list(train(trainer))
    assert len(records) == 1 + 3
    assert trainer.history().best_epoch == 1


def test_a_trainer_can_begin_at_a_later_epoch():
    data = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    with Trainer(Model([3, 2]), data, Recipe(epochs=3, batch_size=4), seed=0, start_epoch=2) as trainer:
        assert trainer.progress.step == 6
        assert [record.epoch for record in train(trainer)] == [3]


def test_integer_sample_weights_equal_repeated_samples(digits):
    data = digits.train[:60]
    twice = np.where(np.arange(60) < 20, 2.0, 1.0)
    repeated = byhand.Dataset.from_arrays(
        np.concatenate([data.images, data.images[:20]]), np.concatenate([data.labels, data.labels[:20]])
    )
    recipe = Recipe(epochs=10, batch_size=None, optimizer=GradientDescent(), learning_rate=0.1)
    weighted, doubled = Model([784, 8, 10], dtype="float64"), Model([784, 8, 10], dtype="float64")
    fit(weighted, data, recipe=recipe, sample_weights=twice)
    fit(doubled, repeated, recipe=recipe)
    assert np.abs(weighted.network.parameters - doubled.network.parameters).max() < 1e-12


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_of_weight_0_leaves_the_weights_unchanged(threads):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 4)).astype(np.float32), np.arange(6) % 3
    weights = np.array([1.0, 0, 1, 0, 2, 0])
    model = Model([4, 5, 3], seed=0)
    recipe = Recipe(epochs=1, batch_size=1, optimizer=GradientDescent(), threads=threads)
    with Trainer(model, (X, y), recipe, seed=0, sample_weights=weights) as session:
        order, before = session.batches.order(0), model.network.parameters.copy()
        for record, sample in zip(steps(session), order, strict=True):
            after = model.network.parameters.copy()
            assert (before == after).all() == (weights[sample] == 0)
            assert np.isfinite(record.loss)
            before = after
    with pytest.raises(UsageError, match="sample_weights must not be 0 for all 2 samples that validation holds out"):
        Trainer(model, (X, y), recipe.replace(validation=2), seed=0, sample_weights=np.eye(6)[held_in(X, y)])


def held_in(X, y):
    """Return a sample that validation=2 trains on."""
    return held_out(y, 2, 3, 0)[0][0]


def test_early_stopping_restores_the_best_weights(digits):
    model = Model([784, 64, 10], preparation=Preparation.standard())
    recipe = Recipe(epochs=60, learning_rate=0.2, validation=0.2, patience=2, schedule=Constant())
    with Trainer(model, digits.train[:600], recipe, seed=0) as session:
        for _ in train(session):
            pass
        history = session.history()
        losses = history.column("validation_loss")
        assert history.ending == "stopped early"
        assert len(history) < 60
        assert history.best_epoch == int(np.argmin(losses)) + 1
        assert len(history) == history.best_epoch + 2
        assert session.validate()[0] == pytest.approx(min(losses), rel=1e-6)


def test_the_averaged_weights_are_the_ema_of_all_steps(digits):
    model = Model([784, 8, 10], dtype="float64")
    recipe = Recipe(epochs=1, batch_size=50, ema_decay=0.9)
    with Trainer(model, digits.train[:500], recipe, seed=0) as session:
        average = model.network.parameters.copy()
        for number in range(10):
            session.step()
            decay = min(0.9, (1 + number) / (10 + number))
            average = decay * average + (1 - decay) * model.network.parameters
        assert np.abs(session.ema - average).max() < 1e-14
        session.finish()
        assert np.abs(model.network.parameters - average).max() < 1e-14


def test_samples_held_out_with_weight_0_only_are_rejected():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with Trainer(Model([3, 2]), (X, y), Recipe(validation=0.5), seed=0) as trainer:
        kept = trainer.batches.index
    weights = np.zeros(20)
    weights[kept] = 1
    with pytest.raises(UsageError, match="must not be 0 for all 10 samples that validation holds out"):
        Trainer(Model([3, 2]), (X, y), Recipe(validation=0.5), seed=0, sample_weights=weights)
    with pytest.raises(UsageError, match="must be positive for at least one training sample"):
        Trainer(Model([3, 2]), (X, y), Recipe(validation=0.5), seed=0, sample_weights=1 - weights)
    weights[np.setdiff1d(np.arange(20), kept)[0]] = weights[kept[0]] = 1
    weights[kept[1:]] = 0
    Trainer(Model([3, 2]), (X, y), Recipe(validation=0.5), seed=0, sample_weights=weights).close()


def test_the_blas_threads_of_the_plan_are_set_during_training():
    data = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    with Trainer(Model([3, 2]), data, Recipe(batch_size=4), seed=0) as trainer:
        trainer.step()
        assert byhand.threads.in_force == trainer.plan.blas == 1
    assert byhand.threads.in_force is None


def test_consecutive_steps_use_one_stream_of_batches(monkeypatch):
    data = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    with Trainer(Model([3, 2]), data, Recipe(batch_size=2), seed=0) as trainer:
        starts, from_step = [], trainer.batches.from_step
        monkeypatch.setattr(trainer.batches, "from_step", lambda step: starts.append(step) or from_step(step))
        for _ in range(7):
            trainer.step()
    assert starts == [0]


def test_without_new_threads_a_team_works_alone(digits, monkeypatch):
    def trained_with(start):
        monkeypatch.setattr(threading.Thread, "start", start)
        model = Model([784, 8, 10], dtype="float64")
        plan = Plan(workers=3, blas=1, block=50)
        monkeypatch.setattr("byhand.training.setup.plan_for", lambda *_, **__: plan)
        fit(model, digits.train[:300], recipe=Recipe(epochs=1, batch_size=300))
        return model.network.parameters.tobytes()

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    start = threading.Thread.start
    assert trained_with(start) == trained_with(refuse)


def test_validation_is_stratified_and_never_trained_on(digits):
    with Trainer(Model([784, 8, 10]), digits.train, Recipe(validation=0.25), seed=0) as session:
        held = np.setdiff1d(np.arange(len(digits.train)), session.batches.index)
        assert len(held) == 1000
        assert np.bincount(digits.train.labels[held]).tolist() == [100] * 10


def test_a_validation_set_may_be_given(digits):
    with Trainer(
        Model([784, 8, 10]), digits.train[:200], Recipe(epochs=1), seed=0, validation_data=digits.test
    ) as session:
        record = next(train(session))
    assert record.validation_accuracy == pytest.approx(session.model.accuracy(digits.test))


def test_explicit_validation_data_replace_the_held_out_split(digits):
    data = digits.train[:200]
    recipe = Recipe(epochs=1, validation=0.5, patience=1)
    with Trainer(Model([784, 8, 10]), data, recipe, seed=0, validation_data=digits.test[:50]) as session:
        assert session.samples == 200
    assert len(Setup(Model([784, 8, 10]), data, recipe, 0, None, digits.test[:50], None).validation.labels) == 50


@pytest.mark.timing
def test_ctrl_c_ends_the_run_after_the_current_step(digits):
    model = Model([784, 32, 10])
    with Trainer(model, digits.train, Recipe(epochs=1000), seed=0) as session, interruptible(session.stop):
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        for _ in train(session):
            pass
        history = session.history()
    assert history.ending == "interrupted"
    assert 0 < session.progress.step < session.total_steps


def test_a_loop_can_be_left_and_continued(digits):
    whole, _ = trained(digits.train[:500], epochs=3)
    model = Model([784, 16, 10])
    with Trainer(model, digits.train[:500], Recipe(epochs=3), seed=0) as session:
        for number, _ in enumerate(steps(session)):
            if number == 4:
                break
        for _ in steps(session):
            pass
    assert model.network.parameters.tobytes() == whole.network.parameters.tobytes()


def test_floats_can_be_trained_on_directly():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    model = Model([5, 16, 2])
    history = fit(model, (X, y), epochs=40, learning_rate=0.1)
    assert history[-1].accuracy > 0.97


@pytest.mark.parametrize(("loss", "rate"), [(SoftmaxCrossEntropy(0.1), 0.1), (MeanSquaredError(), 0.3)])
def test_other_losses_learn_too(digits, loss, rate):
    scaled = Preparation.standard()
    sizes, choices = (784, 64, 10), {"loss": loss, "learning_rate": rate, "epochs": 8}
    model, _ = trained(digits.train, sizes=sizes, preparation=scaled, network={"output_scale": 0.1}, **choices)
    assert model.accuracy(digits.test) > 0.9


def test_a_learning_rate_far_too_high_raises_one_clear_error(digits):
    model = Model([784, 64, 64, 10], init="two_layer")
    recipe = Recipe(learning_rate=1e6, optimizer=GradientDescent(), schedule=Constant())
    with pytest.raises(
        DivergedError, match=r"(loss|the gradient) became (NaN|infinite) at step \d+: .* Try --learning-rate 100000"
    ):
        fit(model, digits.train, recipe=recipe)


def test_the_watchdog_names_the_layer_whose_weights_grew(digits):
    model = Model([784, 16, 10])
    with Trainer(model, digits.train[:200], Recipe(learning_rate=3.0), seed=0) as session:
        model.network.dense[1].W *= 40
        with pytest.raises(DivergedError) as caught:
            session.watchdog.check(312, {"loss": float("nan")})
    assert str(caught.value) == (
        "loss became NaN at step 312: with learning rate 3, the weights of layer 2 grew 40 times larger. "
        "Try --learning-rate 0.3."
    )


def test_a_map_counts_as_one_unit_for_dead_units(digits):
    model = Model([784, 8, 10], maps=[4, 5])
    first, second = model.network.parametric_layers[:2]
    first.b[1] = second.b[0] = second.b[3] = -1e6
    batch = setup_of(model, digits.train[:900], Recipe(epochs=1)).probe
    probabilities, dead = probe(model.network, Inputs(model.preparation.to_floats, model.network.dtype), batch)
    assert dead[:2] == (1 / 4, 2 / 5)
    assert probabilities.shape == (900, 10)
    np.testing.assert_allclose(probabilities, model.logits(digits.train.images[:900]), atol=1e-3)


@pytest.mark.slow
def test_convolutions_use_small_blocks(digits):
    model = Model([784, 8, 10], maps=[(16, 3, 1), (32, 4, 1)])  # im2col gives 135,424 numbers per image
    plan = Plan(workers=2, blas=1, block=30)
    assert plans.plan_for(model.network, 256, 2) == plan
    assert plans.plan_for(model.network, 256, 2, busy=1) == plan  # augmentation is a tenth of the work
    assert plans.plan_for(model.network, 20, 2).workers == 1
    assert max_block_size(Model([784, 10], maps=[8]).network, 256) == MAX_BLOCK_SAMPLES
    assert max_block_size(Model([784, 10], maps=[(8, 5, 24), (9, 1)]).network, 7) == 7
    assert max_block_size(Model([784, 10]).network, 256) == 256
    with Trainer(model, digits.train[:3000], Recipe(epochs=1, validation=0.5), seed=0) as session:
        session.step()
        tracemalloc.start()
        session.end_epoch()
        model.predict(digits.test.images)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 250e6  # 1,000 in one block would take 700e6


def test_the_watchdog_warns_of_dead_layers_and_constant_predictions(digits):
    model = Model([784, 16, 10])
    model.network.dense[0].b -= 1000
    data = digits.train[:1000]
    history = fit(model, data, epochs=6, learning_rate=1e-6, optimizer=GradientDescent())
    warnings = history[-1].warnings
    assert any(warning.startswith("100% of the units in layer 1 are dead") for warning in warnings)
    assert any("predicts one class for all samples" in warning for warning in warnings)


def test_the_watchdog_warns_of_a_growing_loss(digits):
    with Trainer(Model([784, 16, 10]), digits.train[:200], Recipe(), seed=0) as session:
        for _ in range(2):
            session.step()
        record = session._record(1)
        worse = session.watchdog.with_warnings(replace(record, loss=record.loss * 2))
    assert worse.warnings[0].startswith("the loss grows: ")


def test_a_healthy_run_gives_no_warning(digits):
    _, history = trained(digits.train, sizes=(784, 64, 10), preparation=Preparation.standard(), epochs=3)
    assert all(record.warnings == () for record in history)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"epochs": 0}, "epochs must be a positive integer, got 0"),
        ({"batch_size": -1}, "batch_size must be a positive integer, got -1"),
        ({"learning_rate": 0}, "learning_rate must be a positive number, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a positive number, got nan"),
        ({"ema_decay": 1.0}, "ema_decay must be greater than 0 and less than 1, got 1.0"),
        ({"patience": 2}, "patience needs validation data, got validation 0"),
        ({"validation": -1}, "validation must be a fraction less than 1 or a number of samples, got -1"),
        ({"validation": 5000}, "validation must hold out some of the 4000 samples, not all, got 5000"),
        ({"augment": "wobble=3"}, "wobble"),
        ({"weak_augment": 1.5}, "weak_augment must be a fraction of the epochs, 0 to 1, got 1.5"),
        ({"augment": None}, "augment must be text such as 'none' or 'shift=2,rotate=10', got None"),
        ({"optimizer": "adm"}, "optimizer must be one of sgd, momentum, rmsprop, adam, adamw, got 'adm'"),
        ({"optimizer": Adam}, "optimizer must be one of sgd, momentum, rmsprop, adam, adamw, got <class"),
        ({"schedule": None}, "schedule must be one of constant, step, exponential, cosine, one_cycle, got None"),
        ({"loss": "l1"}, "loss must be one of cross_entropy, mse, got 'l1'"),
        ({"eopchs": 3}, "unknown setting 'eopchs' (did you mean epochs?)"),
    ],
)
def test_an_invalid_setting_is_rejected_by_name(digits, choices, words):
    with pytest.raises(UsageError) as caught:
        fit(Model([784, 8, 10]), digits.train, **choices)
    assert words in str(caught.value)


def test_invalid_data_are_rejected_by_name(digits):
    X = np.zeros((4, 3))
    X[2, 1] = np.nan
    with pytest.raises(UsageError, match=r"X must be finite, got nan in row 2, column 1"):
        fit(Model([3, 2]), (X, np.zeros(4, int)))
    with pytest.raises(UsageError, match=r"labels must be integers 0 to 1, got 0 to 5"):
        fit(Model([3, 2]), (np.zeros((2, 3)), np.array([0, 5])))
    with pytest.raises(UsageError, match=r"training needs at least one image"):
        fit(Model([784, 10]), digits.train[:0])
    with pytest.raises(UsageError, match=r"data must have the model's 2 classes, got 10"):
        fit(Model([784, 2]), digits.train)
    with pytest.raises(UsageError, match=r"sample_weights must have the shape \(4000,\), got \(3,\)"):
        fit(Model([784, 10]), digits.train, sample_weights=np.ones(3))
    with pytest.raises(UsageError, match=r"sample_weights must be finite, at least 0 and not all 0"):
        fit(Model([784, 10]), digits.train, sample_weights=np.full(4000, -1.0))


def test_the_labels_of_a_data_set_of_two_images_are_its_own():
    labels = np.array([1, 0])
    assert labels_of(Dataset(np.zeros((2, 2, 2), np.uint8), labels)).tolist() == [1, 0]
    assert labels_of((np.zeros((2, 4)), labels)).tolist() == [1, 0]
    with pytest.raises(UsageError, match=r"a Dataset or a pair \(X, y\)"):
        labels_of((np.zeros((2, 4)), labels, labels))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9).filter(any))
def test_sample_weights_are_scaled_to_a_mean_of_one(weights):
    scaled = check_weights(np.array(weights), len(weights))
    np.testing.assert_allclose(scaled, np.array(weights) * len(weights) / sum(weights), rtol=1e-12)


def test_the_defaults_and_presets_are_the_documented_ones():
    assert Recipe() == Recipe(
        epochs=10, batch_size=128, learning_rate=0.1, optimizer=Momentum(momentum=0.9, nesterov=True),
        schedule=OneCycle(), loss=SoftmaxCrossEntropy(), augment="none", record_every=1,
    )  # fmt: skip
    facts = {
        name: (chosen.recipe.epochs, chosen.recipe.batch_size, chosen.recipe.learning_rate, chosen.hidden)
        for name, chosen in PRESETS.items()
    }
    assert facts == {
        "digits": (10, 128, 0.1, (256,)),
        "fast": (4, 128, 0.1, (192,)),
        "best": (150, 256, 0.001, (800, 800)),
        "record": (50, 256, 0.001, (256,)),
        "l-layer": (2000, None, 0.0075, (45,)),
        "two-layer": (500, None, 0.1, (10,)),
    }
    assert {name: chosen.network.get("output_scale") for name, chosen in PRESETS.items()} == {
        "digits": 0.1, "fast": 0.1, "best": 0.1, "record": 0.1, "l-layer": None, "two-layer": None,
    }  # fmt: skip
    records = {name: (chosen.recipe.record_every, chosen.recipe.validation) for name, chosen in PRESETS.items()}
    usual = dict.fromkeys(("digits", "fast", "best", "record"), (1, 0))
    assert records == usual | {"l-layer": (100, 0), "two-layer": (10, 1000)}


def test_numbers_of_numpy_become_pythons_in_a_recipe():
    recipe = Recipe(epochs=np.int64(3), learning_rate=np.float32(0.5), validation=np.float64(0.25))
    assert json.loads(json.dumps(recipe.config())) == Recipe(epochs=3, learning_rate=0.5, validation=0.25).config()


def test_a_recipe_is_restored_from_json():
    recipe = Recipe(
        optimizer=AdamW(weight_decay=0.1), schedule=OneCycle(warmup=0.2), loss=SoftmaxCrossEntropy(0.1), clip=1.0
    )
    assert Recipe.from_config(json.loads(json.dumps(recipe.config()))) == recipe


def test_a_recipe_accepts_names_of_optimizer_schedule_and_loss():
    named = Recipe().replace(optimizer="adam", schedule="cosine", loss="mse")
    assert named == Recipe(optimizer=Adam(), schedule=Cosine(), loss=MeanSquaredError())


@pytest.mark.slow
def test_the_default_reads_the_bundled_sample(digits):
    chosen = preset("digits")
    model = chosen.model(784, digits.classes, seed=0)
    fit(model, digits.train, recipe=chosen.recipe)
    assert model.accuracy(digits.test) >= 0.94


@pytest.mark.full_mnist
def test_the_default_reads_full_mnist(full_mnist):
    chosen = preset("digits")
    model = chosen.model(784, full_mnist.classes, seed=0)
    fit(model, full_mnist.train, recipe=chosen.recipe.replace(epochs=3))
    assert model.accuracy(full_mnist.test) >= 0.98


@pytest.mark.parametrize(("sizes", "products"), [((784, 10), 2), ((784, 20, 10), 5), ((784, 30, 20, 10), 8)])
@pytest.mark.parametrize("batch_size", [None, 200])
def test_a_step_computes_only_the_needed_products(digits, monkeypatch, sizes, products, batch_size):
    """Forward and dW per layer, dX for all but the first; pixels are converted to floats once."""
    monkeypatch.setattr(plans, "WORTH_THREADS", 400)
    monkeypatch.setattr(plans, "BLOCK", 150)
    done, rows = [], []
    matmul, inputs = np.matmul, Inputs.__call__
    monkeypatch.setattr(np, "matmul", lambda A, B, out: (done.append(A.ndim >= 2), matmul(A, B, out=out))[1])

    def counted(self, batch, block=None):
        rows.append((block.start, block.stop) if block else (0, len(batch.labels)))
        return inputs(self, batch, block)

    monkeypatch.setattr(Inputs, "__call__", counted)
    recipe = Recipe(epochs=2, batch_size=batch_size)
    with Trainer(Model(list(sizes)), digits.train[:600], recipe, seed=0) as session:
        session.step()
    blocks = 4 if batch_size is None else 1
    assert sum(done) == products * blocks  # the others are sums with a row of ones
    assert sum(stop - start for start, stop in rows) == (batch_size or 600)
    assert len(set(rows)) == len(rows) == blocks


@pytest.mark.parametrize(
    ("sizes", "batch_size", "blas"),
    [((784, 128, 10), 32, 1), ((784, 128, 10), 128, 1), ((784, 256, 10), 128, 2), ((784, 800, 800, 10), 256, 2)],
)
def test_small_products_use_one_blas_thread(sizes, batch_size, blas):
    assert plans.plan_for(Model(list(sizes)).network, batch_size, 2).blas == blas
    assert plans.plan_for(Model(list(sizes)).network, batch_size, 1).blas == 1


@pytest.mark.parametrize(("samples", "blas"), [(343, 1), (3_000, 1), (4_000, 2), (60_000, 2)])
def test_a_short_epoch_uses_one_blas_thread(samples, blas):
    network = Model([784, 256, 10]).network
    assert plans.plan_for(network, 128, 2, samples=samples).blas == blas
    setup = setup_of(Model([2352, 256, 4]), (np.zeros((60, 2352), np.float32), np.arange(60) % 4), Recipe(threads=2))
    assert setup.plan.blas == 1


def test_a_batch_is_divided_into_as_many_blocks_as_threads():
    network = Model([784, 128, 10]).network
    found = [plans.plan_for(network, rows, 4).workers for rows in (plans.WORTH_THREADS, 20 * plans.BLOCK)]
    assert found == [min(4, -(-plans.WORTH_THREADS // plans.BLOCK)), 4]
    assert plans.plan_for(network, 20 * plans.BLOCK, 4, busy=1).workers == 3
    assert plans.plan_for(network, 20 * plans.BLOCK, 1, busy=1).workers == 1
    normalized = Model([784, 128, 10], batch_norm=True).network
    assert plans.plan_for(normalized, 20 * plans.BLOCK, 4) == Plan(workers=1, blas=4, block=20 * plans.BLOCK)


@pytest.mark.parametrize(
    ("rows", "inner", "columns", "width"),
    [(512, 784, 10, 16), (512, 784, 16, 16), (512, 784, 17, 32), (512, 784, 90, 96), (512, 784, 97, 97), (1, 2, 3, 3)],
)
def test_narrow_products_are_padded_to_whole_tiles(rows, inner, columns, width):
    assert plans.padded_width(rows, inner, columns) == width


@pytest.mark.parametrize("has_kernels", [True, False])
def test_products_of_small_batches_are_split_if_the_blas_has_kernels(monkeypatch, has_kernels):
    monkeypatch.setattr("byhand.threads.has_small_matrix_kernels", lambda: has_kernels)
    network = Model([784, 128, 10]).network

    def forms(rows):
        return [(type(layer).__name__, getattr(layer, "parts", 0)) for layer in plans.layers_for(network, rows)]

    plain = [("Dense", 0), ("Activation", 0), ("Dense", 0)]
    assert forms(32) == ([("SplitDense", 14), *plain[1:]] if has_kernels else plain)
    assert forms(8) == plain, "too small to split"
    assert forms(128) == plain, "too large to split"


def test_runs_with_split_products_agree_with_plain_ones(digits, monkeypatch):
    runs = []
    for has_kernels in (True, False):
        monkeypatch.setattr("byhand.threads.has_small_matrix_kernels", lambda has=has_kernels: has)
        model = Model([784, 64, 10], dtype=np.float64, dropout=0.1)
        fit(model, digits.train[:300], recipe=Recipe(epochs=3, batch_size=32))
        runs.append(model.network.parameters.copy())
    assert runs[0].tobytes() != runs[1].tobytes(), "the two computations must differ"
    np.testing.assert_allclose(*runs, rtol=0, atol=1e-12)


def test_the_names_of_the_version_before_still_work_with_a_warning(digits):
    from byhand import training

    with pytest.warns(DeprecationWarning, match="Session is deprecated, use Trainer"):
        kind = training.Session
    with pytest.warns(DeprecationWarning, match="history_of is deprecated, use Trainer.history"):
        history_of = training.history_of
    with kind(Model([784, 10]), digits.train[:200], Recipe(epochs=1, batch_size=None), seed=0) as trainer:
        for _ in train(trainer):
            pass
        assert len(history_of(trainer)) == 1
    with pytest.raises(AttributeError, match="has no attribute 'session'"):
        training.session  # noqa: B018


def test_an_interrupted_step_is_repeated_with_the_same_batch(digits, monkeypatch):
    whole, _ = trained(digits.train[:500], epochs=3)
    model = Model([784, 16, 10])
    with Trainer(model, digits.train[:500], Recipe(epochs=3), seed=0) as trainer:
        trainer.step()
        with monkeypatch.context() as patch:
            patch.setattr("byhand.training.loop.count_correct", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                trainer.step()
        for _ in train(trainer):
            pass
    assert model.network.parameters.tobytes() == whole.network.parameters.tobytes()


def test_a_diverging_step_does_not_change_the_running_averages():
    X, y = np.ones((8, 4), np.float32), np.arange(8) % 3
    model = Model([4, 5, 3], batch_norm=True)
    with Trainer(model, (X, y), Recipe(batch_size=4), seed=0) as trainer:
        trainer.step()
        before = model.network.statistics.copy()
        model.network.parameters[...] = np.nan
        with pytest.raises(DivergedError):
            trainer.step()
        np.testing.assert_array_equal(model.network.statistics, before)


def test_images_are_deskewed_before_training_unless_augmented(digits):
    data = digits.train[:40]
    model = Model([784, 10], preparation=Preparation.standard(deskew=True))
    deskewed = model.preparation.pictures(data.images)
    assert (deskewed != data.images).any()
    for augment_, expected in (("none", deskewed), ("default", data.images)):
        setup = setup_of(model, data, Recipe(augment=augment_))
        np.testing.assert_array_equal(setup.batches.images, expected)
        np.testing.assert_array_equal(setup.probe.pixels, deskewed.reshape(40, -1))
    setup = Setup(model, data, Recipe(), 0, None, data, None)
    np.testing.assert_array_equal(setup.validation.pixels, deskewed.reshape(40, -1))


def test_augmentation_takes_one_of_the_threads(digits):
    recipe = Recipe(batch_size=2500, threads=2)
    for augment_, workers in (("none", 2), ("default", 1)):
        setup = setup_of(Model([784, 10]), digits.train[:2500], recipe.replace(augment=augment_))
        assert setup.plan.workers == workers
    assert setup_of(Model([784, 10]), digits.train[:64], recipe).team() is None


def test_a_full_batch_is_created_once(digits):
    recipe = Recipe(epochs=3, batch_size=None, validation=0.2)
    setup = setup_of(Model([784, 10], preparation=Preparation.standard()), digits.train[:200], recipe)
    first, second = (next(setup.batches.epoch(number)) for number in (0, 1))
    assert first is second
    assert isinstance(first.index, slice)
    np.testing.assert_array_equal(first.pixels[first.index], setup.batches.pixels[setup.batches.index])
    np.testing.assert_array_equal(first.labels, setup.batches.labels[setup.batches.index])


def test_only_the_last_records_are_kept(digits):
    for most in (0, 2, None):
        with Trainer(Model([784, 10]), digits.train[:64], Recipe(epochs=4), seed=0, max_records=most) as trainer:
            epochs = [record.epoch for record in train(trainer)]
        assert epochs == [1, 2, 3, 4]
        assert [record.epoch for record in trainer.progress.records] == epochs[4 - (4 if most is None else most) :]
