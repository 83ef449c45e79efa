"""The playground without the web server: training, rewinding, added images, and resuming."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import byhand
from byhand.data import Dataset, TrainTest
from byhand.errors import ModelFileError, StorageError, UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense
from byhand.nn.losses import SoftmaxCrossEntropy
from byhand.play.panels import activations, gradients, largest_activations, one_step, whole_state
from byhand.play.playground import (
    ADDED_TIMES,
    MAX_POINTS,
    POINTS_PER_EPOCH,
    POINTS_PER_EVENT,
    Curve,
    Playground,
    Point,
    points_of,
)
from byhand.play.setup import Setup
from byhand.play.storage import RunStorage, check_data, data_of, setup_of, start_of
from byhand.play.thread import FIRST_RATE, PACES, RATE_STEPS, TrainingThread
from byhand.training import EpochRecord, StepRecord, checkpoint, preset
from byhand.training.recipe import adapted
from byhand.training.runs import Run
from helpers import killed_playground
from helpers.own_data import shapes
from helpers.playground_server import a_playground
from helpers.waiting import until


def weights(playground):
    return playground.model.network.parameters.copy()


def resumed(run):
    return Playground.resume(run, byhand.model.shipped_model(), "a run", byhand.load("mnist-5k"), setup_of(run))


def take(playground, steps):
    for _ in range(steps):
        playground.step()


def test_before_any_step_the_model_is_the_loaded_one():
    playground = a_playground()
    assert playground.model is playground.loaded
    assert playground.step_number == 0
    playground.step()
    assert playground.model is not playground.loaded
    assert [layer.units for layer in playground.model.network.dense] == [16, 10]


@pytest.mark.parametrize("maps", ["", "3, 4@3/1"])
def test_the_playground_trains_like_byhand_fit(maps):
    playground = a_playground(maps=maps)
    take(playground, 2 * 29)
    np.testing.assert_array_equal(weights_of_the_program(playground), weights(playground))


def test_the_playground_trains_loaded_weights_like_byhand_fit(tmp_path, monkeypatch):
    playground = a_playground(tmp_path, start="loaded")
    take(playground, 29)
    playground.close()
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(weights_of_the_program(playground), weights(playground))


def test_other_images_are_prepared_as_by_byhand_train():
    images, labels = shapes(10, 12, 12)
    data = Dataset(images, labels, classes="abcd")
    model = Setup(layers=(8,)).model(data)
    assert model.preparation == adapted(preset("digits"), data).preparation
    assert f"preparation={model.preparation!r}" in Setup(layers=(8,)).as_python(1, data)
    digits = byhand.load("mnist-5k").train
    assert Setup().model(digits).preparation == Preparation.standard(deskew=True)


def weights_of_the_program(playground):
    """Run the program that the page exports; return the trained weights."""
    made = {}
    exec(playground.as_python().split("print(history)")[0], made)
    return made["model"].network.parameters


def test_fewer_training_images_are_the_first_ones():
    playground = a_playground(layers=(8,), samples=100, batch_size=20)
    take(playground, 5)
    assert playground.batches_per_epoch == 5
    everything = a_playground(layers=(8,)).training_data
    np.testing.assert_array_equal(playground.training_data.images, everything.images[:100])
    np.testing.assert_array_equal(weights(playground), weights_of_the_program(playground))


def test_the_gradients_of_the_diagram_are_those_of_the_formulas():
    model = Model([784, 6, 5, 10], seed=2)
    image = byhand.load("mnist-5k").test.images[3]
    found = gradients(model, image, 4)
    pass_ = Pass(model.network)
    logits = pass_.forward(model.preparation(image[None], model.network.dtype))[0].astype(float)
    p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    arrays = {name: array.astype(float) for name, array in model.network.named()}
    d3 = p - np.eye(10)[4]
    d2 = (arrays["4.W"] @ d3) * (pass_.outs[2][0] > 0)
    d1 = (arrays["2.W"] @ d2) * (pass_.outs[0][0] > 0)
    assert found["loss"] == pytest.approx(-np.log(p[4]), rel=1e-5)
    for got, expected in zip(found["deltas"], (d1, d2, d3), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    with pytest.raises(UsageError, match="label must be an integer from 0 to 9, got 10"):
        gradients(model, image, 10)


def test_the_gradient_of_a_map_is_its_largest_by_size():
    model = Model([784, 10], maps=[3], seed=1)
    image = byhand.load("mnist-5k").test.images[0]
    pass_ = Pass(model.network)
    labels = np.array([7])
    _, dZ = SoftmaxCrossEntropy()(pass_.forward(model.preparation(image[None], model.network.dtype)), labels)
    pass_.backward(dZ)
    places = pass_.douts[0].reshape(-1, 3)
    found = np.array(gradients(model, image, 7)["deltas"][0], np.float32)
    np.testing.assert_allclose(np.abs(found), np.abs(places).max(axis=0), rtol=1e-6)
    assert all(value in column for value, column in zip(found, places.T, strict=True))


def test_a_warning_is_removed_after_ten_epochs_without_one(monkeypatch):
    playground = a_playground(layers=(2,))
    epochs = iter(range(1, 30))

    def step():
        epoch = next(epochs)
        return replace(epoch_record(epoch), warnings=("units are dead",) if epoch in (2, 5) else ())

    monkeypatch.setattr(playground, "step", step)
    thread = TrainingThread(playground)  # idle: it takes no step by itself
    try:
        messages = []
        for _ in range(16):
            thread._step()
            messages.append(thread.message)
        assert messages == [""] + ["units are dead"] * 13 + [""] * 2
    finally:
        thread.close()


def test_a_slow_training_begins_slowly_and_becomes_faster(monkeypatch):
    thread = TrainingThread(a_playground(layers=(2,)))  # idle: it takes no step by itself
    try:
        monkeypatch.setattr("byhand.play.thread.time.monotonic", lambda: 100.0)
        waits = {}
        for pace in PACES:
            thread.set_pace(pace)
            thread._step()
            thread.status = "training"
            waits[pace] = thread._wait()
            thread.status = "paused"
        assert waits == {
            "slow": pytest.approx(1 / FIRST_RATE),
            "fast": pytest.approx(1 / (10 * (FIRST_RATE + 1 / RATE_STEPS))),
            "full": 0.0,
        }
        assert thread._wait() is None
        with pytest.raises(UsageError, match="pace must be one of slow, fast, full, got 'warp'"):
            thread.set_pace("warp")
    finally:
        monkeypatch.undo()
        thread.close()


def test_training_from_loaded_weights_does_not_change_them():
    playground = a_playground(start="loaded")
    before = playground.loaded.network.parameters.copy()
    take(playground, 3)
    assert playground.model.network.architecture == playground.loaded.network.architecture
    np.testing.assert_array_equal(playground.loaded.network.parameters, before)
    assert 0 < np.abs(weights(playground) - before).max() < 0.5
    playground.begin(playground.setup)
    np.testing.assert_array_equal(weights(playground), before)


@pytest.mark.parametrize("maps", [(), (4, 8), ((3, 4, 2), (5, 3, 1))])
def test_a_setup_describes_the_loaded_model(maps):
    model = Model([784, 12, 10], maps=maps)
    setup = Setup.like(model)
    assert setup.model(a_playground().digits.train).network.architecture == model.network.architecture


def test_unsupported_convolutions_are_left_out_of_a_setup():
    slid = Convolution(14, 56, 1, 2)
    assert Setup.like(Model([slid, Dense(slid.out_size(784), 10)])) == Setup()
    assert Setup.like(Model([Dense(784, 49), Convolution(7, 7, 1, 2), Dense(8, 10)])).maps == ""


def test_an_added_image_is_learned_from_the_next_epoch():
    playground = a_playground()
    take(playground, 30)
    epochs = playground.trainer.progress.step / playground.batches_per_epoch
    image = np.full((28, 28), 255, np.uint8)
    assert playground.add(image, 7) == 1
    assert playground.waiting == 1
    assert playground.trainer.samples == 3600
    take(playground, 2 * 29 - 30)
    assert playground.waiting == 0
    assert playground.trainer.samples == 3600 + ADDED_TIMES
    assert playground.trainer.progress.step / playground.batches_per_epoch == 2 > epochs
    assert len(playground.validation_data) == 400  # unchanged by the added image
    before = playground.model.probabilities(image[None])[0, 7]
    take(playground, 10 * playground.batches_per_epoch)
    assert playground.model.probabilities(image[None])[0, 7] > max(before, 0.9)


def test_added_images_must_match_the_data_set():
    playground = a_playground()
    with pytest.raises(UsageError, match=r"image shape must be \(28, 28\), got \(3, 3\)"):
        playground.add(np.zeros((3, 3), np.uint8), 0)
    with pytest.raises(UsageError, match="label must be an integer from 0 to 9, got 10"):
        playground.add(np.zeros((28, 28), np.uint8), 10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": [0]}, r"layers must be at most 8 positive integers, got \(0,\)"),
        ({"layers": [1.5]}, "layers must be"),
        ({"layers": [True]}, "layers must be"),
        ({"layers": [1] * 9}, "layers must be"),
        ({"layers": "16"}, "layers must be"),
        ({"maps": "x"}, "maps must be like 32,64 or .*, got 'x'"),
        ({"maps": 7}, "maps must be at most 8 convolutions, got 7"),
        ({"maps": "1@1," * 8 + "1"}, "maps must be at most 8 convolutions, got '1@1,"),
        ({"activation": "sine"}, "activation must be one of relu, .*, got 'sine'"),
        ({"optimizer": None}, "optimizer must be one of sgd, momentum"),
        ({"start": "old"}, "start must be one of new, loaded"),
        ({"augment": "elastic=20"}, "augment must be one of none, default"),
        ({"learning_rate": 0}, "learning_rate must be a number from 1e-06 to 100, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"batch_size": 0}, "batch_size must be an integer from 1 to 10000, got 0"),
        ({"batch_size": 1.0}, "batch_size must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": True}, "seed must be"),
        ({"deskew": 1}, "deskew must be True or False, got 1"),
        ({"data": 7}, "data must be the name of a data set, got 7"),
        ({"color": "red"}, "a setup has data, layers, .*; got color"),
    ],
)
def test_an_invalid_setup_is_rejected_by_name(wrong, message):
    with pytest.raises(UsageError, match=message):
        Setup.from_config(wrong)


def test_a_setup_is_restored_from_json():
    setup = Setup(layers=(30, 20), maps="8,16@3/1", activation="gelu", learning_rate=0.3, seed=9, deskew=False)
    assert Setup.from_config(json.loads(json.dumps(setup.config()))) == setup


def test_a_network_that_needs_100_gb_is_rejected_without_allocation():
    playground = a_playground()
    with pytest.raises(
        UsageError, match=r"layers must fit into .* GB of memory, \[60000, 60000\] would need 1\d\d\.\d GB"
    ):
        playground.begin(Setup(layers=(60_000, 60_000)))
    with pytest.raises(UsageError, match=r"\[\] after maps 900000@1/1 would need \d\d,\d\d\d\.\d GB"):
        playground.begin(Setup(layers=(), maps="900000@1/1"))
    with pytest.raises(
        UsageError, match=r"each convolution must fit its input, .* the window must fit the image of 4 × 4"
    ):
        playground.begin(Setup(maps="8,8,8"))
    assert playground.trainer is None
    Setup(maps="16@3/1,32@4/2,64@4/2", layers=(256,)).check_memory(playground.digits.train, machine=4 * 2**30)
    Setup(layers=(2000, 1500, 1000)).check_memory(playground.digits.train, machine=4 * 2**30)


def test_only_available_data_can_be_chosen():
    with pytest.raises(UsageError, match=r"data must be one of mnist-5k.*, got '/etc'"):
        a_playground().begin(Setup(data="/etc"))


def own_shapes(name="mine"):
    """Return 60 pictures of four classes that are not in the order of the alphabet."""
    images, labels = shapes(15, 12, 12)
    data = Dataset(images, labels, classes=("10", "9", "b", "a"), name=name)
    return TrainTest(data[:50], data[50:], name)


def test_an_upload_gets_a_free_name_and_replaces_the_one_before():
    playground = a_playground()
    assert playground.offer(own_shapes()) == Setup(data="mine", batch_size=8, learning_rate=0.01)
    assert playground.offer(own_shapes("mnist-5k")).data == "mnist-5k-2"
    assert "mine" not in playground.data_names
    playground.begin(playground.offer(own_shapes()))
    assert playground.offer(own_shapes()).data == "mine-2"
    assert {"mine", "mine-2", "mnist-5k"} <= {*playground.data_names}


def test_the_run_of_an_upload_keeps_its_data_and_is_resumed(tmp_path, run):
    playground = a_playground(tmp_path / "first" / "r")
    playground.begin(playground.offer(own_shapes()))
    take(playground, 7)
    assert 'byhand.load("data.npz")' in playground.as_python().replace("'", '"')
    playground.close()
    saved = weights(playground)
    config = json.loads((tmp_path / "first" / "r" / "config.json").read_text())
    assert config["data"] == str(tmp_path / "first" / "r" / "data.npz")
    (tmp_path / "first").rename(tmp_path / "moved")
    again = Run(tmp_path / "moved" / "r")
    setup = setup_of(again)
    place = data_of(again, setup)
    assert place == str(again.folder / "data.npz")
    digits = byhand.load(place).renamed(setup.data)
    check_data(again, setup, digits)
    assert digits.classes == ("10", "9", "b", "a")
    resumed = Playground.resume(again, byhand.model.shipped_model(), "a run", digits, setup)
    np.testing.assert_array_equal(weights(resumed), saved)
    resumed.begin(replace(setup, seed=1))
    assert resumed.uploads == {"mine"}
    resumed.close()
    with pytest.raises(UsageError, match=r"data must be the data set of the run, mine .*got mnist-5k"):
        check_data(again, setup, byhand.load("mnist-5k"))
    code, _, err = run("train", "--resume", again.folder)
    assert code == 5
    assert f"resume it with byhand play {again.folder}" in err
    assert run("eval", again.folder, "--data", place, "--quiet")[0] == 0


def test_a_run_on_own_data_names_their_place(tmp_path, monkeypatch):
    images, labels = shapes(15, 12, 12)
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8])
    monkeypatch.chdir(tmp_path)
    playground = Playground(
        byhand.model.shipped_model(), "", byhand.load("own.npz"), Setup(data="own.npz"), RunStorage(Run(tmp_path / "r"))
    )
    take(playground, 1)
    playground.close()
    run = Run(tmp_path / "r")
    assert data_of(run, setup_of(run)) == str(tmp_path / "own.npz")
    assert not (tmp_path / "r" / "data.npz").exists()


def test_small_data_get_small_batches():
    data = own_shapes().train
    assert Setup.usual("x", data).batch_size == 8
    assert Setup.usual("x", byhand.load("mnist-5k").train) == Setup(data="x")


def test_the_curve_stays_short_and_even_and_keeps_its_means():
    curve = Curve()
    for i in range(5000):
        curve.add(Point(i + 1, loss=float(i), accuracy=i / 5000, steps=1))
    assert MAX_POINTS / 2 <= len(curve.points) <= MAX_POINTS
    assert sum(p.steps for p in curve.points) == 5000
    assert sum(p.loss * p.steps for p in curve.points) == pytest.approx(sum(range(5000)))
    assert all(p.epoch == pytest.approx(p.loss + 1) for p in curve.points)  # drawn at the middle
    assert {p.steps for p in curve.points[:-1]} == {16}
    assert curve.points[0].epoch == pytest.approx(8.5)


def epoch_record(epoch):
    return EpochRecord(epoch, epoch, 0.5, 0.8, 0.6, 0.7, 0.1, 1.0, (), 1000.0, 0.1)


def test_the_curve_keeps_its_first_and_last_epoch_and_every_nth():
    curve = Curve()
    for epoch in range(1, 3001):
        curve.add_epoch(epoch_record(epoch))
        assert len(curve.epochs) <= MAX_POINTS
        assert curve.epochs[-1].epoch == epoch
    kept = [record.epoch for record in curve.epochs]
    assert kept == [*range(1, 3001, 8), 3000]


@pytest.mark.parametrize("steps", [30, 700, 1111])
def test_a_restored_curve_goes_on_like_the_first(steps):
    rng = np.random.default_rng(steps)
    through, first = Curve(), Curve()
    points = [Point(i + 1, 1.0, 0.5, int(rng.integers(1, 9))) for i in range(3 * steps)]
    for point in points[:steps]:
        for curve in (through, first):
            curve.add(point)
            curve.add_epoch(epoch_record(int(point.epoch)))
    again = Curve(first.points, first.epochs)
    for point in points[steps:]:
        for curve in (through, again):
            curve.add(point)
            curve.add_epoch(epoch_record(int(point.epoch)))
    assert again.points == through.points
    assert again.epochs == through.epochs


def step_records(count):
    return [StepRecord(i, 1, 1 / (1 + i), i / count, 0.1, 1.0, 64, 1000.0, False) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "batches", "points"),
    [
        (0, 469, 0),
        (1, 469, 1),
        (20, 469, 1),  # slow: less than a twentieth of an epoch between two events
        (469, 469, POINTS_PER_EPOCH + 1),  # an epoch between two events
        (10 * 469, 469, POINTS_PER_EVENT),
        (5, 1, 5),  # the whole data as one batch: each step is an epoch
        (1000, 1, POINTS_PER_EVENT),
    ],
)
def test_the_number_of_points_per_event_is_limited(count, batches, points):
    records = step_records(count)
    made = points_of(records, batches)
    assert len(made) == points
    assert sum(point.steps for point in made) == count
    assert sum(point.loss * point.steps for point in made) == pytest.approx(sum(r.loss for r in records))
    assert [point.epoch for point in made] == sorted({point.epoch for point in made})
    assert not made or made[-1].epoch == pytest.approx((count - (made[-1].steps - 1) / 2) / batches)


def test_a_short_training_has_a_curve():
    playground = a_playground()
    take(playground, 2 * 29)
    collected = playground.collect()
    assert len(collected) >= POINTS_PER_EPOCH
    assert playground.curve.points == collected
    assert playground.collect() == []


def test_a_state_does_not_change_during_training():
    playground = a_playground()
    take(playground, 1)
    state = whole_state(playground)
    playground.collect()
    assert state["points"] == []


def test_a_playground_run_resumes_bit_identically(tmp_path):
    folder = tmp_path / "run"
    playground = a_playground(folder)
    take(playground, 35)
    playground.add(np.full((28, 28), 200, np.uint8), 3)
    take(playground, 30)
    playground.close()
    through = a_playground()
    take(through, 35)
    through.add(np.full((28, 28), 200, np.uint8), 3)
    take(through, 30 + 40)

    run = Run.open(folder)
    assert setup_of(run) == playground.setup
    again = resumed(run)
    assert again.step_number == 65
    np.testing.assert_array_equal(weights(again), weights(playground))
    take(again, 40)
    np.testing.assert_array_equal(weights(again), weights(through))
    assert [r.epoch for r in again.curve.epochs] == [1, 2, 3]
    again.close()
    model = byhand.Model.load(folder / "model.safetensors")
    np.testing.assert_array_equal(model.network.parameters, weights(again))
    assert model.metadata["data"]["name"] == "mnist-5k"


def test_a_run_from_loaded_weights_saves_them(tmp_path):
    playground = a_playground(tmp_path, start="loaded")
    take(playground, 3)
    playground.close()
    start = start_of(Run.open(tmp_path))
    np.testing.assert_array_equal(start.network.parameters, playground.loaded.network.parameters)


def test_an_abandoned_training_is_kept_until_the_next_one_starts(tmp_path):
    playground = a_playground(tmp_path)
    take(playground, 40)
    left = weights(playground).copy()
    playground.begin(Setup(layers=(9,), learning_rate=1.0))
    playground.close()
    kept = Run.open(tmp_path)
    assert setup_of(kept).layers == (16,)
    np.testing.assert_array_equal(kept.model().network.parameters, left)
    assert len(kept.records()) == 1
    again = resumed(kept)
    assert again.step_number == 40


def test_a_training_of_an_epoch_stays_a_run_of_its_own(tmp_path):
    playground = a_playground(tmp_path / "mine")
    left = []
    for layers in ((16,), (9,), (8,)):
        if left:
            playground.begin(Setup(layers=layers))
        take(playground, 30)
        left.append(weights(playground).copy())
    playground.close()
    for name, layers, before in zip(("mine", "mine-2", "mine-3"), ((16,), (9,), (8,)), left, strict=True):
        kept = Run.open(tmp_path / name)
        assert setup_of(kept).layers == layers
        np.testing.assert_array_equal(kept.model().network.parameters, before)
        resumed(kept).close()  # nothing holds its lock


def test_the_runs_of_a_playground_are_numbered_like_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    playground = a_playground()
    playground.storage = RunStorage()
    take(playground, 30)
    playground.begin(playground.setup)
    take(playground, 1)
    playground.close()
    assert sorted(path.name for path in Path("runs").iterdir()) == ["001", "002"]


def test_the_first_step_removes_files_of_an_abandoned_training(tmp_path):
    playground = a_playground(tmp_path, start="loaded")
    playground.add(np.full((28, 28), 200, np.uint8), 3)
    take(playground, 20)  # less than an epoch
    playground.begin(Setup(layers=(9,)))
    take(playground, 1)  # then the process is killed
    kept = Run.open(tmp_path)
    assert setup_of(kept).layers == (9,)
    assert kept.records() == []
    assert not (tmp_path / "start.safetensors").exists()
    np.testing.assert_array_equal(kept.model().network.parameters, weights(playground))
    again = resumed(kept)
    assert again.step_number == 1
    playground.close()


def test_damaged_added_images_give_one_line(tmp_path):
    run = Run(shutil.copytree(Path(__file__).parent / "golden" / "version-before" / "playground", tmp_path / "run"))
    (run.folder / "added.npz").write_bytes(b"PK not a zip")
    with pytest.raises(ModelFileError, match=r"added\.npz: must contain the images and labels"):
        resumed(run)


def killed(playground, folder):
    """Save a checkpoint, train on, and return the run as a kill would leave it."""
    playground.storage.checkpoints.save(playground.trainer, force=True)
    expected = (weights(playground), [label for _, label in playground.added], playground.state()[1])
    take(playground, 3)
    copy = Run(shutil.copytree(playground.storage.folder, folder))
    return copy, expected


@pytest.mark.parametrize("steps", [5, 24, 40], ids=["waiting", "waiting at the end of the epoch", "included"])
def test_a_killed_playground_keeps_added_images_curve_and_model(tmp_path, steps):
    playground, through = a_playground(tmp_path / "run"), a_playground()
    for one in (playground, through):
        take(one, 33)
        for label in range(4):
            one.add(np.full((28, 28), 50 * label, np.uint8), label)
        take(one, steps)
    run, (parameters, labels, state) = killed(playground, tmp_path / "copy")
    again = resumed(run)
    np.testing.assert_array_equal(weights(again), parameters)
    assert [label for _, label in again.added] == labels == [0, 1, 2, 3]
    assert json.dumps(again.state()[1]) == json.dumps(state)
    assert again.batches_per_epoch == through.batches_per_epoch
    for one in (again, through):
        take(one, 40)
    np.testing.assert_array_equal(weights(again), weights(through))
    again.close()
    playground.close()


def test_a_kill_before_the_checkpoint_of_a_setup_keeps_the_training(tmp_path):
    playground = a_playground(tmp_path)
    take(playground, 3)
    playground.begin(Setup(layers=(9,)))
    playground.storage.checkpoints.save = lambda *_, **__: pytest.fail("killed")
    with pytest.raises(pytest.fail.Exception):
        playground.step()
    assert Run(tmp_path).config()["playground"]["layers"] == [9]
    assert setup_of(Run(tmp_path)).layers == (16,)
    again = resumed(Run(tmp_path))
    assert (again.step_number, again.setup.layers) == (3, (16,))
    playground.storage.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, plain: plain.update(waiting=9),
        lambda arrays, plain: plain.update(points=[[1.0]]),
        lambda arrays, plain: plain.update(epochs=[{"epoch": 1}]),
        lambda arrays, plain: plain.pop("setup"),
        lambda arrays, plain: arrays.update(labels=np.zeros(7)),
        lambda arrays, plain: arrays.pop("images"),
        lambda arrays, plain: arrays.update(images=np.zeros((1, 3, 3), np.uint8), labels=np.zeros(1, np.int64)),
    ],
)
def test_a_wrong_state_of_a_playground_gives_one_line(tmp_path, change):
    playground = a_playground(tmp_path)
    take(playground, 2)
    playground.close()
    path = max((tmp_path / "state").glob("*.safetensors"), key=lambda path: checkpoint.read(path).number)
    state = checkpoint.read(path)
    change(*state.extra)
    checkpoint.write(path, state)
    with pytest.raises(ModelFileError, match=r"^\S+(state|safetensors): .+") as caught:
        resumed(Run(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_pauses_training_and_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    playground = a_playground()
    playground.storage = RunStorage(folder=tmp_path / "file" / "run")
    thread = TrainingThread(playground)
    for _ in range(2):
        thread.submit(lambda _: thread.control("batch")).result(60)
        until(lambda: thread.status == "paused" or None)
        assert "is a file, not a folder" in thread.message
    assert thread.submit(lambda playground: playground.step_number).result(60) == 2
    with pytest.raises(StorageError, match=r"file: the training could not be saved: is a file, not a folder"):
        thread.close()


def test_a_playground_never_replaces_a_run_that_another_one_began(tmp_path):
    first, second = (a_playground() for _ in range(2))
    for one in (first, second):
        one.storage = RunStorage(folder=tmp_path / "run")
    take(first, 3)
    first.close()
    with pytest.raises(UsageError, match="must be new or empty"):
        take(second, 1)
    with pytest.raises(UsageError, match="must be new or empty"):
        second.close()
    assert resumed(Run(tmp_path / "run")).step_number == 3


def test_a_locked_folder_is_not_changed(tmp_path):
    first, second = a_playground(tmp_path), a_playground(tmp_path, layers=(9,))
    take(first, 3)
    for _ in range(2):
        with pytest.raises(StorageError, match="another process is training this run"):
            take(second, 1)
    assert setup_of(Run.open(tmp_path)).layers == (16,)
    first.close()
    take(second, 1)
    assert setup_of(Run.open(tmp_path)).layers == (9,)
    second.close()


def test_nothing_is_written_before_the_first_step(tmp_path):
    playground = a_playground(tmp_path / "run")
    playground.begin(playground.setup)
    playground.close()
    assert not (tmp_path / "run").exists()


def test_the_shown_images_have_the_largest_activations():
    playground = a_playground()
    data, model = playground.training_data, Model([784, 128, 10], preparation=playground.loaded.preparation)
    found = largest_activations(model, data, 0, 5)
    X = model.preparation(data.images)
    layer = model.network.dense[0]
    outputs = np.maximum(X @ layer.W[:, 5] + layer.b[5], 0)
    best = np.argsort(-outputs, kind="stable")[:12]
    assert [picture["index"] for picture in found["pictures"]] == best.tolist()
    np.testing.assert_allclose([picture["answer"] for picture in found["pictures"]], outputs[best], rtol=1e-5)
    assert found["silent"] == pytest.approx((outputs <= 0).mean())
    np.testing.assert_allclose(
        activations(model, data.images[:9], 1), model.logits(data.images[:9]), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(UsageError, match="layer and unit must exist in the network, got layer 0, unit 128"):
        largest_activations(model, data, 0, 128)


def test_the_activation_of_a_map_is_its_maximum():
    model, data = Model([784, 9, 10], maps=[3, (4, 3, 2)], seed=1, batch_norm=True), a_playground().training_data[:700]
    model.network.statistics[...] = np.random.default_rng(0).uniform(0.5, 2, len(model.network.statistics))
    pass_ = Pass(model.network)
    pass_.forward(model.preparation(data.images))
    layers = zip(model.network.layers, pass_.outs, strict=True)
    outputs = [out for layer, out in layers if isinstance(layer, Activation)]
    for number, (maps, places) in enumerate([(3, 144), (4, 25), (9, 1)]):
        loudest = outputs[number].reshape(700, places, maps).max(axis=1)
        np.testing.assert_allclose(activations(model, data.images, number), loudest, rtol=1e-5, atol=1e-6)
        best = np.argsort(-loudest[:, 2], kind="stable")[:12]
        assert [
            picture["index"] for picture in largest_activations(model, data, number, 2)["pictures"]
        ] == best.tolist()
    for layer, unit in ((0, 3), (1, 4), (4, 0)):
        with pytest.raises(UsageError, match=f"must exist in the network, got layer {layer}, unit {unit}"):
            largest_activations(model, data, layer, unit)


def test_the_step_panels_numbers_are_those_of_forward_and_backward():
    playground = a_playground()
    model, (image, label) = Model([784, 128, 10]), playground.digits.test[11]
    told = one_step(model, image, label, playground.setup, (1, 5))
    from byhand.nn.losses import SoftmaxCrossEntropy

    network = model.network.copy()
    pass_ = Pass(network)
    out = pass_.forward(model.preparation(image[None]))
    loss, dout = SoftmaxCrossEntropy()(out, np.array([label]))
    pass_.backward(dout)
    views = network.by_layer(pass_.gradient)
    assert told["loss"] == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(told["probabilities"], model.probabilities(image[None])[0], atol=1e-6)
    figures = {}

    def walk(steps):
        for step in steps:
            figures.update({f["symbol"]: f["values"] for f in step["figures"] if f["values"]})
            walk(step["parts"])

    walk(told["steps"])
    np.testing.assert_allclose(figures["db2"], views[2]["b"], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(figures["Z2"], out[0], rtol=1e-5)
    assert [unit["name"] for unit in told["units"]] == ["unit 5 of layer 1"]
    json.dumps(told, allow_nan=False)


@pytest.mark.slow
def test_six_kills_of_a_playground_lose_nothing(tmp_path):
    assert killed_playground.kills(tmp_path, 6)["lost"] == 0
