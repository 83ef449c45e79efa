"""At the edges: what a second reader of the engine found. Last steps, odd numbers, and what is kept too long."""

import contextlib
import copy
import gc
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import byhand
from byhand.data import Dataset
from byhand.data.handwriting import read_photo
from byhand.data.handwriting.line import segment_line
from byhand.distributed.ensemble import MemberFailedError
from byhand.errors import ByhandError, DataError, DivergedError, MissingExtraError, ModelFileError, UsageError
from byhand.files import write_text
from byhand.nn.optimizers import Adam, GradientDescent, clip_norm
from byhand.nn.schedules import Constant
from byhand.report import evaluate
from byhand.training import Recipe, Trainer, fit
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 6)).astype(np.float32), RNG.integers(0, 3, 60)
WHOLE = Recipe(epochs=1, batch_size=None, optimizer=GradientDescent(), schedule=Constant())


def model(**settings):
    return byhand.Model([6, 5, 3], seed=0, **settings)


# ---- the last step of a run


@pytest.mark.parametrize("rate", [3e38, 1e30])
@pytest.mark.parametrize("more", [{}, {"validation": 0.2}, {"ema_decay": 0.9}])
def test_a_run_that_diverges_in_its_last_step_has_diverged(rate, more):
    with pytest.raises(DivergedError, match="Try --learning-rate"):
        fit(model(), (X * 1e5, Y), recipe=WHOLE.replace(learning_rate=rate, **more))


def test_the_command_says_so_too(tmp_path):
    words = ["--data", "mnist-5k", "--samples", "300", "--hidden", "8", "--epochs", "1", "--batch-size", "all"]
    words += ["--learning-rate", "3e38", "--schedule", "constant", "--optimizer", "sgd", "--run", "r"]
    command = [sys.executable, "-m", "byhand", "train", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "r" / "model.safetensors").exists()
    for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_after_a_step_that_failed_the_next_one_is_the_same_step():
    with Trainer(model(), (X, Y), WHOLE.replace(batch_size=20, learning_rate=0.1), seed=0) as session:
        session.step()
        right, session.model.network.parameters[0] = session.model.network.parameters[0], np.nan
        for _ in range(5):
            with pytest.raises(DivergedError, match="at step 1"):
                session.step()
        session.model.network.parameters[0] = right
        assert session.step().step == 1
        assert session.step().ends_epoch


# ---- a run that somebody is training


def test_who_may_not_go_on_with_a_run_leaves_its_config_alone(tmp_path):
    words = ["--data", "mnist-5k", "--samples", "300", "--hidden", "8", "--epochs", "1", "--run", "r"]
    command = [sys.executable, "-m", "byhand", "train"]
    subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, check=True)
    before = (tmp_path / "r" / "config.json").read_bytes()
    pytest.importorskip("fcntl")
    with Checkpoints(Run(tmp_path / "r")) as held:
        held.lock()
        done = subprocess.run(
            [*command, "--resume", "r", "--epochs", "3"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert "another process is training this run" in done.stderr
    assert (tmp_path / "r" / "config.json").read_bytes() == before


# ---- what is given to training


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ((X * 255).astype(np.uint8), "bytes are pixels"),
        (X.astype(str), "X must be numbers, got <U"),
        (X.astype(complex), "X must be numbers, got complex"),
        (X.astype(object), "X must be numbers, got object"),
    ],
)
def test_inputs_that_would_be_misunderstood_are_refused(inputs, says):
    with pytest.raises(UsageError, match=says):
        fit(model(), (inputs, Y), epochs=1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((X, Y, Y), r"data must be a pair \(X, y\), weights go into sample_weights; got a tuple of 3"),
        (X, r"data must be a Dataset or a pair \(X, y\), got an array float32 \(60, 6\)"),
        (None, r"data must be a Dataset or a pair \(X, y\), got None"),
        ((X, Y[:, None]), r"y must have the shape \(60,\) or \(60, 3\), got \(60, 1\)"),
        ((X, Y[:50]), r"y must have the shape \(60,\) or \(60, 3\), got \(50,\)"),
        ((X, 3), r"y must have the shape \(60,\) or \(60, 3\), got \(\)"),
    ],
)
def test_what_is_no_pair_is_refused(data, says):
    with pytest.raises(UsageError, match=says):
        fit(model(), data, epochs=1)


def test_whole_numbers_are_inputs():
    fit(model(), ((X > 0.5).astype(int), Y), epochs=1)
    fit(model(), (X > 0.5, Y), epochs=1)


@pytest.mark.parametrize("labels", [Y.astype(str), Y.astype(float), Y.astype(object), Y - 1])
def test_labels_that_are_none_are_refused_in_one_line(labels):
    with pytest.raises(UsageError, match="labels must be integers 0 to 2, got"):
        fit(model(), (X, labels), epochs=1)


def test_weights_that_are_no_numbers_are_refused_in_one_line():
    with pytest.raises(UsageError, match="sample_weights must be numbers, got <U"):
        fit(model(), (X, Y), epochs=1, sample_weights=Y.astype(str))


def test_weights_that_leave_nothing_to_learn_from_are_refused():
    recipe = Recipe(epochs=1, validation=0.5)
    with Trainer(model(), (X, Y), recipe, seed=0) as session:
        kept = session.batches.index
    weights = np.ones(60)
    weights[kept] = 0
    with pytest.raises(UsageError, match="leave nothing to train on"):
        fit(model(), (X, Y), recipe=recipe, sample_weights=weights)


@pytest.mark.parametrize("size", [1e-50, 1e39, 1e-30])
def test_only_the_proportions_of_weights_count(size):
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
def test_a_validation_split_is_a_share_or_a_whole_number(value):
    with pytest.raises(UsageError, match="validation must be"):
        Recipe(validation=value)


@pytest.mark.parametrize("name", ["learning_rate", "clip", "max_norm", "ema_decay", "validation"])
def test_a_recipe_of_words_is_refused_in_one_line(name):
    with pytest.raises(UsageError, match=f"{name} must be"):
        Recipe(**{name: "high"})


def test_patience_may_watch_a_data_set_of_its_own():
    history = fit(model(), (X, Y), epochs=30, patience=1, learning_rate=0.5, validation_data=(X[:20], Y[:20]))
    assert history.best_epoch
    with pytest.raises(UsageError, match="patience needs a validation split to watch"):
        fit(model(), (X, Y), epochs=1, patience=1)


@pytest.mark.parametrize(
    ("slip", "says"),
    [
        (fit, r"got a TrainTest: pass its \.train"),
        (lambda own, digits: fit(own, digits.train, validation_data=digits), "got a TrainTest"),
        (lambda own, digits: fit("m.safetensors", digits.train), "model must be a Model, got 'm.safetensors': "),
        (lambda own, digits: fit(own.network, digits.train), "model must be a Model, got a Network: "),
        (lambda own, digits: own.predict(digits.test), "images must be an array, .* got a Dataset"),
        (lambda own, digits: own.predict(digits), "images must be an array, .* got a TrainTest"),
        (lambda own, digits: own.predict(digits.test[0]), "images must be an array, .* got a Sample"),
        (lambda own, digits: own.accuracy(digits), "data must be a Dataset, got a TrainTest"),
        (lambda own, digits: own.accuracy(digits.test.images), r"data must be a Dataset, got an array uint8 \(1000, "),
        (evaluate, "data must be a Dataset, got a TrainTest"),
    ],
)
def test_a_slip_of_the_everyday_calls_is_named(slip, says):
    with pytest.raises(UsageError, match=says):
        slip(byhand.Model([784, 10], seed=0), byhand.load("mnist-5k"))


def test_a_model_is_not_judged_on_other_classes():
    data = Dataset(np.zeros((4, 28, 28), np.uint8), np.array([0, 1, 0, 1]), classes=("a", "b"))
    with pytest.raises(UsageError, match="the model knows 10 classes, the data has 2"):
        byhand.Model([784, 10], seed=0).accuracy(data)


# ---- numbers at the ends of float32


@pytest.mark.parametrize("size", [1e19, 1e30, 1e-24, 1e-30])
def test_the_length_of_a_gradient_does_not_leave_the_numbers(size):
    gradient = np.full(100, size, np.float32)
    for limit in (None, 20 * size):  # shorter than the limit: left as it is
        assert clip_norm(gradient, limit) == pytest.approx(10 * size, rel=1e-5)
    assert clip_norm(gradient, 5 * size) == pytest.approx(10 * size, rel=1e-5)
    np.testing.assert_allclose(gradient, np.float32(size / 2), rtol=1e-5)


def test_a_gradient_of_zeros_and_one_that_is_none():
    assert clip_norm(np.zeros(3, np.float32), 1.0) == 0
    assert np.isnan(clip_norm(np.array([1, np.nan], np.float32), 1.0))
    assert clip_norm(np.array([1, np.inf], np.float32), 1.0) == np.inf


# ---- what is saved


def test_what_would_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "m.safetensors"
    model().save(path)
    before = path.read_bytes()
    broken = model()
    broken.network.parameters[3] = np.nan
    deep = model(metadata={"a": {}})
    inner = deep.metadata["a"]
    for _ in range(30):
        inner["a"] = {}
        inner = inner["a"]
    for bad in (broken, deep, model(metadata={"a": "x" * 5_000_000})):
        with pytest.raises(ModelFileError):
            bad.save(path)
        assert path.read_bytes() == before


def test_a_card_of_objects_is_named(tmp_path):
    for card, got in (
        ({"x": object()}, "got an object"),
        ({"x": X}, "got an array float32"),
        ({(1, 2): 3}, "keys must"),
    ):
        with pytest.raises(UsageError, match=f"^card must hold plain values only: {got}"):
            model(metadata=card).save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"preparation": 255}, r"preparation must be a Preparation, such as .*, got 255"),
        ({"preparation": "standard"}, r"preparation must be a Preparation, such as .*, got 'standard'"),
        ({"metadata": [1]}, "metadata must be a dictionary, got a list of 1"),
        ({"output_scale": float("nan")}, "output_scale of a network, must be a finite number, got nan"),
        ({"output_scale": "x"}, "output_scale of a network, must be a finite number, got 'x'"),
        ({"batch_norm": "yes"}, "batch_norm must be True or False, got 'yes'"),
        ({"dropout": "x"}, "dropout must be at least 0 and under 1, got 'x'"),
    ],
)
def test_a_model_is_not_made_of_what_it_can_not_use(settings, says):
    with pytest.raises(UsageError, match=says):
        model(**settings)


def test_numpys_numbers_can_be_saved(tmp_path):
    made = model(output_scale=np.float32(0.5), metadata={"share": np.float32(0.25), "count": np.int64(7)})
    recipe = Recipe(
        epochs=np.int64(1),
        batch_size=np.int32(20),
        learning_rate=np.float32(0.5),
        validation=np.float64(0.5),
        optimizer=Adam(beta1=np.float32(0.5)),
    )
    fit(made, (X, Y), recipe=recipe)
    made.save(tmp_path / "m.safetensors")
    assert byhand.Model.load(tmp_path / "m.safetensors").metadata == {"share": 0.25, "count": 7}
    assert json.loads(json.dumps(recipe.config()))["epochs"] == 1
    with Trainer(made, (X, Y), recipe, seed=0) as session, Checkpoints(Run(tmp_path / "r")) as checkpoints:
        checkpoints.save(session, force=True)


def test_a_model_that_is_gone_is_gone():
    made = byhand.Model([784, 8, 10], seed=0)
    made.predict(np.zeros((3, 28, 28), np.uint8))
    seen = weakref.ref(made.network)
    weights = weakref.ref(made.network.dense[0])
    del made
    gc.collect()
    assert seen() is None
    assert weights() is None


# ---- files


def test_pictures_of_true_and_false(tmp_path):
    bits = RNG.random((5, 4, 4)) > 0.5
    data = Dataset.from_arrays(bits, np.arange(5))
    np.testing.assert_array_equal(data.images, bits * 255)
    np.savez(tmp_path / "m.npz", x_train=bits, y_train=np.arange(5), x_test=bits, y_test=np.arange(5))
    np.testing.assert_array_equal(byhand.load(tmp_path / "m.npz").train.images, bits * 255)


def test_a_kind_of_number_that_there_is_not(tmp_path):
    file = io.BytesIO()
    np.save(file, np.zeros(3, "<f4"))
    arrays = {"x_train": np.zeros((3, 4, 4), np.uint8), "y_train": np.zeros(3, np.uint8)}
    np.savez(tmp_path / "m.npz", **arrays, x_test=arrays["x_train"], y_test=np.zeros(3, "<f4"))
    content = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(content.replace(b"'<f4'", b"'<f1'"))
    with pytest.raises(DataError):
        byhand.load(tmp_path / "m.npz")


def test_a_text_that_is_named_many_times_is_not_made_bytes_as_often(tmp_path):
    """Old pickles hold an array's bytes as text; one text can be named by many arrays."""
    from byhand.data.formats import arrays

    text = b"X" + (1_000_000).to_bytes(4, "little") + b"x" * 1_000_000 + b"q\0"
    encoded = b"c_codecs\nencode\nh\0X\6\0\0\0latin1\x86R"
    path = tmp_path / "bomb.pkl"
    path.write_bytes(b"\x80\2](" + text + 500 * encoded + b"e.")
    tracemalloc.start()
    with pytest.raises(DataError, match="must hold one to three pairs"):
        arrays.read_pickle(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("height", [1, 2, 3])
def test_a_dash_is_not_hundreds_of_digits(height):
    page = np.zeros((300, 800), np.uint8)
    page[150 : 150 + height, 20:780] = 255
    try:
        parts = segment_line(page)
    except DataError:
        parts = []
    assert len(parts) <= 3


def test_a_photograph_with_a_preview_inside(tmp_path):
    """Some phones write a JPEG with a second, smaller one behind it (MPO)."""
    picture = Image.fromarray(np.pad(byhand.load("mnist-5k").test.images[0], 20)).convert("RGB")
    picture.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[picture.resize((20, 20))])
    with Image.open(tmp_path / "phone.jpg") as both:
        assert both.n_frames == 2
    assert read_photo(tmp_path / "phone.jpg").shape == (68, 68)


# ---- others


def test_a_seed_too_large_for_the_published_generator_is_refused():
    from byhand.training import preset

    with pytest.raises(UsageError, match="seed must be under"):
        preset("l-layer").model(784, tuple("0123456789"), seed=2**32)


def test_one_who_fails_to_ask_the_blas_gives_the_word_back(monkeypatch):
    from byhand import threads

    def broken():
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(threads, "blas_libraries", broken)
        with pytest.raises(OSError), threads.blas_threads(1):  # noqa: PT011
            pytest.fail("it never gets here")
    before = [library.num_threads for library in threads.blas_libraries()]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limited, threads).result() == [1 for _ in before]
    assert [library.num_threads for library in threads.blas_libraries()] == before


def limited(threads):
    with threads.blas_threads(1):
        return [library.num_threads for library in threads.blas_libraries()]


def every_error(kind=ByhandError):
    """Our errors, of every room that has some."""
    yield kind
    for below in kind.__subclasses__():
        yield from every_error(below)


def test_an_error_arrives_whole_from_another_process():
    failed = MemberFailedError("member 2 ended", 139)
    errors = [kind("onnx", "onnx") if kind is MissingExtraError else kind("what went wrong") for kind in every_error()]
    assert len(errors) >= 11
    for error in [*errors, failed]:
        for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert (type(again), str(again), again.exit_code) == (type(error), str(error), error.exit_code)
    assert str(MissingExtraError("joblib", "sweep")) == "this needs joblib: pip install 'byhand[sweep]'"


# ---- files that are there already


@pytest.mark.skipif(not hasattr(os, "fchmod"), reason="needs POSIX permissions")
def test_a_file_that_is_replaced_keeps_its_permissions_and_its_links(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write_text(real, "one")
    real.chmod(0o600)
    link.symlink_to(real)
    write_text(link, "two")
    assert link.is_symlink()
    assert real.read_text() == "two"
    assert real.stat().st_mode & 0o777 == 0o600
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "new")
    write_text(dangling, "three")
    assert (tmp_path / "new").read_text() == "three"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    told = []
    reader = threading.Thread(target=lambda: told.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", "told")
    reader.join(10)
    assert told == ["told"]
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_folder_in_the_way_is_named_and_what_else_fails_too(tmp_path, monkeypatch):
    folder, file = tmp_path / "m", tmp_path / "m.safetensors"
    folder.mkdir()
    with pytest.raises(
        IsADirectoryError, match=rf"^\[Errno \d+\] is a folder, not a file: '{re.escape(str(folder))}'$"
    ):
        model().save(folder)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match=rf"^\[Errno 13\] Permission denied: '{re.escape(str(file))}'$"):
        model().save(file)
    assert list(tmp_path.iterdir()) == [folder]


def test_the_longest_name_that_a_file_system_takes(tmp_path):
    name = "n" * 255
    write_text(tmp_path / name, "x")
    write_text(tmp_path / name, "y")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "y")]


# ---- who is stopped on the way


def test_fit_that_is_interrupted_leaves_the_weights_that_were_asked_for(monkeypatch):
    from byhand.training import run

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

    monkeypatch.setattr(run, "interruptible", stopped_at_once)
    monkeypatch.setattr(run, "Trainer", Watched)
    made = model()
    assert fit(made, (X, Y), epochs=3, ema_decay=0.9).ending == "interrupted"
    assert (made.network.parameters == 7).all()
    assert len(seen) == 1


def test_a_label_of_any_kind_has_a_class():
    classifier = pytest.importorskip("byhand.sklearn").NetworkClassifier(hidden_layer_sizes=(4,), max_iter=1)
    labels = np.array(["a\nb", "x" * 300, "c"])[Y]
    assert set(classifier.fit(X, labels).predict(X)) <= set(labels)


def test_the_command_of_the_best_trial_can_be_pasted():
    pytest.importorskip("optuna")
    from byhand.distributed.space import Space

    command = Space({"learning_rate": {"low": 0.1, "high": 0.2}}, preset="fast").command(
        {"learning_rate": 0.15}, data="/my data/x", seed=1
    )
    assert "--data '/my data/x' --seed 1" in command
