"""Runs from Python: the same folder as that of `byhand train`, exact resuming, and callbacks."""

import csv
import json
import re
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import byhand
from byhand.cli.group import cli
from byhand.errors import DataMissingError, MissingExtraError, ModelFileError, UsageError
from byhand.nn.losses import SoftmaxCrossEntropy
from byhand.training import Callback, History, ProgressBar, Recipe, begin_run, fit, preset, progress, resume, train_run
from byhand.training.batches import Inputs, batch_of
from byhand.training.checkpoint import Checkpoints
from byhand.training.records import Z_95, wilson
from byhand.training.run import changes_on_resume, data_of
from byhand.training.runs import Run
from byhand.training.setup import weights_of_classes
from byhand.training.watchdog import evaluate
from helpers import processes
from helpers.needs import needs

DIGITS = byhand.load("mnist-5k")
RECIPE = Recipe(epochs=3, batch_size=100, validation=0.1, ema_decay=0.9, patience=3)


class StopAfter(Callback):
    """Stops the training after a number of steps."""

    def __init__(self, count):
        self.count = count

    def on_step(self, trainer, record):
        if record.step + 1 == self.count:
            trainer.stop()


def untrained(seed=0):
    return byhand.Model([784, 8, 10], seed=seed, dropout=0.1)


def bits(run):
    """Return the parameters of the model in the folder, and its records without times."""
    records = [record.to_json() | {"seconds": 0, "images_per_second": 0} for record in run.records()]
    return run.model().network.parameters.tobytes(), records


def config_of(run):
    return json.loads((run.folder / "config.json").read_text())


def test_a_run_from_python_equals_that_of_the_command(tmp_path):
    words = ["train", "--data", "mnist-5k", "--preset", "fast", "--epochs", "2", "--samples", "600", "--seed", "3"]
    cli([*words, "--threads", "1", "-q", "--run", str(tmp_path / "a")], standalone_mode=False)
    chosen, recipe = preset("fast"), preset("fast").recipe.replace(epochs=2, threads=1)
    model = chosen.model(784, DIGITS.classes, seed=3)
    result = train_run(
        tmp_path / "b", model, DIGITS.train[:600], recipe, seed=3, test=DIGITS.test, source="mnist-5k", preset="fast"
    )
    command, python = Run(tmp_path / "a"), Run(tmp_path / "b")
    files = [sorted(str(p.relative_to(r.folder)) for p in r.folder.rglob("*")) for r in (command, python)]
    assert files[0] == files[1]
    assert bits(command) == bits(python)
    assert config_of(command) | {"command": None} == config_of(python)
    assert command.model().metadata == python.model().metadata
    assert result.test_accuracy == python.model().metadata["test"]["accuracy"]
    assert (result.epochs, result.samples, result.history.ending) == (2, 600, "done")


@pytest.mark.parametrize("stop", [1, 12, 18])
def test_a_stopped_run_resumes_bit_identically(tmp_path, stop):
    train = DIGITS.train[:1000]
    fit(untrained(), train, recipe=RECIPE, run=tmp_path / "whole", seed=1)
    history = fit(untrained(), train, recipe=RECIPE, run=tmp_path / "cut", callbacks=[StopAfter(stop)], seed=1)
    assert history.ending == "interrupted"
    assert resume(tmp_path / "cut").history.ending == "done"
    assert bits(Run(tmp_path / "whole")) == bits(Run(tmp_path / "cut"))


@pytest.mark.parametrize(("augment", "ending"), [("", ""), ("default", " and the epochs of weak augmentation")])
def test_a_message_names_what_other_epochs_change(tmp_path, augment, ending):
    recipe = RECIPE.replace(epochs=1, **({"augment": augment, "weak_augment": 0.5} if augment else {}))
    begin_run(tmp_path, untrained(), DIGITS.train[:100], recipe, seed=1)
    messages = []
    listener = Callback()
    listener.on_message = messages.append
    resume(tmp_path, epochs=2, callbacks=[listener])
    assert messages[0] == (f"2 epochs instead of 1: this changes the schedule{ending}")


def test_a_run_without_a_step_can_be_resumed(tmp_path):
    begin_run(tmp_path / "begun", untrained(), DIGITS.train[:500], RECIPE, seed=1)
    assert resume(tmp_path / "begun").epochs == 3
    fit(untrained(), DIGITS.train[:500], recipe=RECIPE, run=tmp_path / "whole", seed=1)
    assert bits(Run(tmp_path / "whole")) == bits(Run(tmp_path / "begun"))


def test_records_after_the_last_checkpoint_are_cut_when_a_run_is_resumed(tmp_path):
    fit(untrained(), DIGITS.train[:500], recipe=RECIPE, run=tmp_path / "whole", seed=1)
    begin_run(tmp_path / "killed", untrained(), DIGITS.train[:500], RECIPE, seed=1)
    Run(tmp_path / "killed").write_records(Run(tmp_path / "whole").records()[:2])
    resume(tmp_path / "killed", callbacks=[StopAfter(1)])
    assert Run(tmp_path / "killed").records() == []
    resume(tmp_path / "killed")
    assert bits(Run(tmp_path / "whole")) == bits(Run(tmp_path / "killed"))


def test_a_run_killed_before_its_first_step_can_begin_again(tmp_path):
    begin_run(tmp_path / "run", untrained(seed=2), DIGITS.train[:300], RECIPE, seed=2)
    for path in (tmp_path / "run" / "state").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelFileError, match="the run ended before the first save: begin it again"):
        resume(tmp_path / "run")
    fit(untrained(), DIGITS.train[:500], recipe=RECIPE, run=tmp_path / "run", seed=1)
    fit(untrained(), DIGITS.train[:500], recipe=RECIPE, run=tmp_path / "whole", seed=1)
    assert bits(Run(tmp_path / "whole")) == bits(Run(tmp_path / "run"))


def test_a_run_on_arrays_needs_the_same_arrays_to_resume(tmp_path):
    X, y = DIGITS.train.images[:300].reshape(300, -1) / np.float32(255), DIGITS.train.labels[:300]
    weights, recipe = np.linspace(0.5, 1, 300), RECIPE.replace(validation=0)
    extra = {"sample_weights": weights, "validation_data": (X[:50], y[:50])}
    fit(untrained(), (X, y), recipe=recipe, run=tmp_path / "whole", **extra)
    fit(untrained(), (X, y), recipe=recipe, run=tmp_path / "cut", callbacks=[StopAfter(4)], **extra)
    with pytest.raises(UsageError, match="the run was trained on arrays: pass them as data"):
        resume(tmp_path / "cut")
    with pytest.raises(UsageError, match="sample_weights must be the same as in the run"):
        resume(tmp_path / "cut", data=(X, y), validation_data=extra["validation_data"])
    with pytest.raises(UsageError, match="data must be the data set of the run, arrays"):
        resume(tmp_path / "cut", data=(X + 1, y), **extra)
    resume(tmp_path / "cut", data=(X, y), **extra)
    assert bits(Run(tmp_path / "whole")) == bits(Run(tmp_path / "cut"))


def test_data_that_cannot_be_found_can_be_passed(tmp_path):
    strange = byhand.load("mnist-5k").train[:500].renamed("strange")
    fit(untrained(), strange, recipe=RECIPE, run=tmp_path / "r", callbacks=[StopAfter(2)])
    with pytest.raises((UsageError, DataMissingError)):
        resume(tmp_path / "r", data=DIGITS.train[500:1000])
    assert resume(tmp_path / "r", data=strange, test=DIGITS.test).test_accuracy > 0.1


def test_run_true_uses_the_next_numbered_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(untrained(), DIGITS.train[:200], epochs=1, augment="none", run=True)
    fit(untrained(), DIGITS.train[:200], epochs=1, augment="none", run=True)
    assert Run(tmp_path / "runs" / "002").model().metadata["ending"] == "done"
    with pytest.raises(UsageError, match="must be new or empty"):
        fit(untrained(), DIGITS.train[:200], run="runs/002")


class Calls(Callback):
    """Records each call."""

    def __init__(self):
        self.names = []

    def on_start(self, trainer):
        self.names.append("start")

    def on_step(self, trainer, record):
        self.names.append(f"step {record.step}")

    def on_epoch(self, trainer, record):
        self.names.append(f"epoch {record.epoch}")
        assert trainer.progress.records[-1] is record

    def on_end(self, trainer, history):
        self.names.append(f"{history.ending} with {len(history)}")


@pytest.mark.parametrize("folder", [False, True])
def test_callbacks_are_called_in_order(tmp_path, folder):
    calls, recipe = Calls(), Recipe(epochs=2, batch_size=100)
    run = tmp_path / "r" if folder else False
    fit(untrained(), DIGITS.train[:200], recipe=recipe, callbacks=[calls], run=run)
    assert calls.names == ["start", "step 0", "step 1", "epoch 1", "step 2", "step 3", "epoch 2", "done with 2"]


def test_on_end_is_called_after_an_error_too():
    calls = Calls()

    class Fails(Callback):
        def on_epoch(self, trainer, record):
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        fit(untrained(), DIGITS.train[:200], recipe=Recipe(batch_size=100), callbacks=[calls, Fails()])
    assert calls.names[-1].endswith("with 1")


def test_deprecated_names_of_settings_give_a_warning(tmp_path):
    with pytest.warns(DeprecationWarning, match="average is deprecated, use ema_decay"):
        recipe = Recipe(average=0.5)
    with pytest.warns(DeprecationWarning, match="gentle is deprecated, use weak_augment"):
        assert recipe.replace(gentle=0.25).weak_augment == 0.25
    with pytest.warns(DeprecationWarning, match="Recipe.but is deprecated, use replace"):
        assert recipe.but(epochs=3).epochs == 3
    with pytest.warns(DeprecationWarning, match="average"):
        assert recipe.average == recipe.ema_decay == 0.5
    assert recipe.config()["average"] == 0.5  # files keep the old name
    assert Recipe.from_config(recipe.config()) == recipe


def test_deprecated_options_give_a_warning(tmp_path, capsys):
    words = ["train", "--data", "mnist-5k", "--epochs", "1", "--samples", "100", "--hidden", "4", "-q"]
    cli([*words, "--average", "0.5", "--gentle", "1", "--run", str(tmp_path / "r")], standalone_mode=False)
    assert "--average is deprecated, use --ema-decay" in capsys.readouterr().err
    recipe = Recipe.from_config(config_of(Run(tmp_path / "r"))["recipe"])
    assert (recipe.ema_decay, recipe.weak_augment) == (0.5, 1)


def test_the_history_is_written_as_csv(tmp_path):
    history = fit(untrained(), DIGITS.train[:200], recipe=Recipe(epochs=2, batch_size=100))
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["epoch"]), float(row["loss"])) for row in rows] == [(r.epoch, r.loss) for r in history]


def test_a_progress_bar_prints_lines_without_a_terminal(capsys):
    fit(untrained(), DIGITS.train[:200], recipe=Recipe(epochs=2, batch_size=100), callbacks=[ProgressBar()])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]


def test_a_line_of_progress_has_the_validation_accuracy(history, capsys):
    fit(untrained(), DIGITS.train[:200], recipe=Recipe(epochs=1, validation=0.2), callbacks=[ProgressBar()])
    assert re.search(r"  accuracy \d+\.\d\d %  validation \d+\.\d\d %  ", capsys.readouterr().err)


def test_the_bar_in_a_terminal_counts_prints_lines_and_ends(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    bar = progress.TerminalBar(10)
    bar.update(3, "5 images/s")
    (task,) = bar.progress.tasks
    assert (task.completed, task.total, task.description) == (3, 10, "5 images/s")
    bar.write("epoch 12  loss 0.5 [red]" + "x" * 200)
    bar.close()
    assert bar.progress.live.is_started is False
    assert "epoch 12  loss 0.5 [red]" + "x" * 200 in capsys.readouterr().err  # no colors, no wrapping


def test_the_bar_in_a_notebook_keeps_its_lines_and_is_removed(monkeypatch):
    shown = []
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(HTML=str, display=lambda *_, **__: handle)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=display))
    bar = progress.NotebookBar(10)
    bar.write("epoch 1 < 2")
    bar.update(3, "5 images/s")
    bar.close()
    line = "<pre>epoch 1 &lt; 2</pre>"
    assert shown == [line, f'{line}<progress value="3" max="10"></progress> 5 images/s', line]


def test_the_result_of_a_run_has_its_figures_as_plain_values(tmp_path):
    recipe = Recipe(epochs=2, batch_size=100, validation=0.2)
    result = train_run(tmp_path / "r", untrained(), DIGITS.train[:300], recipe, seed=0)
    plain = json.loads(json.dumps(result.to_json()))
    assert (plain["train_accuracy"], plain["validation_accuracy"]) == (
        result.history[-1].accuracy,
        result.history[-1].validation_accuracy,
    )
    assert (plain["epochs"], plain["steps"], plain["trained_on"], plain["ending"]) == (2, 6, 240, "done")
    assert ": 2 epochs over 240 images, " in result.text()


def test_an_epoch_of_one_step_is_an_iteration(tmp_path):
    recipe = Recipe(epochs=2, batch_size=None)
    result = train_run(tmp_path / "r", untrained(), DIGITS.train[:30], recipe, seed=0)
    assert ": 2 iterations over 30 images, " in result.text()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"committee": 3}, "r is the run of one network: an ensemble needs a new run"),
        ({"threads": 0}, "threads must be a positive integer, got 0"),
        ({"seed": 2}, "--resume can change epochs and threads only, got seed"),
    ],
)
def test_a_setting_that_cannot_change_on_resume_is_rejected(given, says):
    run = SimpleNamespace(config=lambda: {"seed": 1}, members=[], folder="r")
    with pytest.raises(UsageError, match=re.escape(says)):
        changes_on_resume(run, given)
    assert changes_on_resume(run, {"seed": 1, "threads": 1, "epochs": 5}) == {"threads": 1, "epochs": 5}


def test_the_data_of_a_run_are_found_by_their_names():
    assert data_of({"data": "folder", "data_name": "mnist"}) == "folder"
    assert data_of({"data_name": "mnist"}) == "mnist"
    assert data_of({}, {"data": {"name": "mnist"}}) == "mnist"
    assert data_of({"data_name": "my own"}, {"data": {}}) is None


def test_validation_weighs_samples_by_their_weights():
    X, y = np.eye(4), np.array([0, 1, 2, 3])
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    model = byhand.Model([4, 4], dtype="float64")
    model.network.parameters[...] = 0
    model.network.dense[0].W[...] = np.diag([9.0, 9.0, 0, 0])  # the last two are predicted as class 0
    batch = batch_of(X, slice(0, 4), y, weights)
    loss, accuracy = evaluate(model.network, SoftmaxCrossEntropy(), Inputs(lambda rows, out: rows, X.dtype), batch)
    assert accuracy == pytest.approx(3 / 10)
    known, unknown = np.log(1 + 3 * np.exp(-9)), np.log(4)
    assert loss == pytest.approx((3 * known + 7 * unknown) / 10)


@pytest.mark.parametrize(("right", "count"), [(0, 10), (1, 10), (95, 100), (9_900, 10_000), (10, 10)])
def test_wilsons_interval_solves_its_equation(right, count):
    """Its ends are the probabilities q that differ from the observed one by Z_95 of their own deviations."""
    low, high = wilson(right, count)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= right / count <= high + 1e-12
    for q in (low, high):
        assert (right / count - q) ** 2 == pytest.approx(Z_95**2 * q * (1 - q) / count, abs=1e-15)


@pytest.fixture(scope="module")
def history():
    return fit(untrained(), DIGITS.train[:200], recipe=Recipe(epochs=2, batch_size=100, validation=0.2))


def test_a_history_has_columns_records_and_slices(history):
    assert history["loss"] == [record.loss for record in history] == history.column("loss")
    assert history[-1].epoch == 2
    assert [record.epoch for record in history[:1]] == [1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("val_loss", "no column 'val_loss' (did you mean validation_loss?)"),
        ("acc", "no column 'acc' (did you mean accuracy?)"),
        ("los", "no column 'los' (did you mean loss?)"),
        ("lr", "no column 'lr' (did you mean rate?)"),
        ("xyz", "no column 'xyz': a record has epoch, step, loss, accuracy, "),
    ],
)
def test_an_unknown_column_gets_the_name_to_type(history, name, says):
    with pytest.raises(UsageError) as refused:
        history[name]
    assert str(refused.value).startswith(says)


def test_a_history_becomes_a_data_frame(history, monkeypatch):
    needs("pandas")
    frame = history.to_frame()
    assert frame["validation_loss"].tolist() == history["validation_loss"]
    assert frame["epoch"].tolist() == [1, 2]
    assert list(History().to_frame().columns) == list(frame.columns)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"this needs pandas: pip install '\.\[pandas\]'"):
        history.to_frame()


def test_a_history_plots_its_columns(history):
    matplotlib = needs("matplotlib")
    matplotlib.use("agg")
    for axes, name in ((history.plot(), "loss"), (history.plot("accuracy"), "accuracy")):
        assert [line.get_ydata().tolist() for line in axes.lines] == [history[name], history[f"validation_{name}"]]
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("is_terminal", "settings", "lines"),
    [
        (False, {}, 0),
        (False, {"verbose": True}, 2),
        (False, {"verbose": True, "callbacks": [ProgressBar()]}, 2),
        (True, {}, 2),
        (True, {"verbose": False}, 0),
    ],
)
def test_fit_shows_progress_in_a_terminal_or_if_asked(capsys, monkeypatch, is_terminal, settings, lines):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    fit(untrained(), DIGITS.train[:200], recipe=Recipe(epochs=2, batch_size=100), **settings)
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")]) == lines


@pytest.mark.slow
def test_a_progress_bar_in_a_notebook_is_redrawn_in_place(tmp_path):
    nbformat = needs("nbformat")
    nbclient = needs("nbclient")
    needs("ipykernel")
    cell = """import byhand
model = byhand.Model([784, 8, 10], seed=0)
byhand.fit(model, byhand.load("mnist-5k").train[:200], epochs=2, augment="none");"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kernel's own warnings do not count
        nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (output,) = (one for one in book.cells[0].outputs if one.output_type == "display_data")
    assert "epoch 2/2" in output["data"]["text/html"]
    assert "<progress" not in output["data"]["text/html"]


def test_the_command_exits_with_4_after_divergence(tmp_path):
    words = ["--data", "mnist-5k", "--samples", "300", "--hidden", "8", "--epochs", "1", "--batch-size", "all"]
    words += ["--learning-rate", "3e38", "--schedule", "constant", "--optimizer", "sgd", "--run", "r"]
    done = processes.byhand("train", *words, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "r" / "model.safetensors").exists()
    for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


@pytest.mark.slow
def test_a_locked_run_is_not_changed(tmp_path):
    words = ["--data", "mnist-5k", "--samples", "300", "--hidden", "8", "--epochs", "1", "--run", "r"]
    processes.byhand("train", *words, cwd=tmp_path, check=True)
    before = (tmp_path / "r" / "config.json").read_bytes()
    pytest.importorskip("fcntl")
    with Checkpoints(Run(tmp_path / "r")) as held:
        held.lock()
        done = processes.byhand("train", "--resume", "r", "--epochs", 3, cwd=tmp_path)
    assert "another process is training this run" in done.stderr
    assert (tmp_path / "r" / "config.json").read_bytes() == before


# ---- class weights


def unbalanced():
    """Two overlapping classes, nine samples of the first for each of the second."""
    rng = np.random.default_rng(0)
    y = (np.arange(600) % 10 == 0).astype(int)
    return rng.normal(size=(600, 2)) + y[:, None], y


def test_balanced_class_weights_are_those_of_sklearn():
    X, y = unbalanced()
    model = byhand.Model([2, 2], seed=0)
    assert weights_of_classes("balanced", model, (X, y)) == pytest.approx([600 / (2 * 540), 600 / (2 * 60)])
    three = byhand.Model([2, 3], seed=0)  # a class without samples
    assert weights_of_classes("balanced", three, (X, y))[:2] == weights_of_classes("balanced", model, (X, y))


@pytest.mark.parametrize("given", ["balanced", {0: 5 / 9, 1: 5}, {"1": 9}, [1, 9], np.array([1.0, 9.0])])
def test_class_weights_are_sample_weights(given):
    X, y = unbalanced()
    fitted = [byhand.Model([2, 8, 2], seed=0) for _ in range(2)]
    fit(fitted[0], (X, y), epochs=5, class_weights=given)
    fit(fitted[1], (X, y), epochs=5, sample_weights=np.where(y == 1, 9.0, 1.0))
    np.testing.assert_allclose(fitted[0].network.parameters, fitted[1].network.parameters, rtol=1e-4, atol=1e-5)


def test_balanced_classes_are_found_more_often():
    X, y = unbalanced()
    found = {}
    for given in (None, "balanced"):
        model = byhand.Model([2, 8, 2], seed=0)
        fit(model, (X, y), epochs=20, class_weights=given)
        found[given] = np.mean(model.predict(X)[y == 1])
    assert found["balanced"] > 2 * found[None]


def test_class_weights_multiply_sample_weights():
    X, y = unbalanced()
    own = np.linspace(1, 2, len(y))
    fitted = [byhand.Model([2, 8, 2], seed=0) for _ in range(2)]
    fit(fitted[0], (X, y), epochs=2, class_weights=[1, 9], sample_weights=own)
    fit(fitted[1], (X, y), epochs=2, sample_weights=own * np.where(y == 1, 9.0, 1.0))
    np.testing.assert_allclose(fitted[0].network.parameters, fitted[1].network.parameters, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("balance", "class_weights must be 'balanced', a dictionary or one weight per class, got 'balance'"),
        ([1, 2, 3], "class_weights must have one weight for each of 2 classes, got 3"),
        ([1, -1], "class_weights must be a number of at least 0, got -1"),
        ({2: 1}, "class_weights has no class 2: the classes are 0 1"),
        ({"0": "much"}, "class_weights must be a number of at least 0, got 'much'"),
        (7, "class_weights must be 'balanced', a dictionary or one weight per class, got 7"),
    ],
)
def test_wrong_class_weights_are_rejected(given, says):
    with pytest.raises(UsageError, match=says):
        fit(byhand.Model([2, 2]), unbalanced(), epochs=1, class_weights=given)


def test_a_run_with_class_weights_is_resumed_to_the_same_bits(tmp_path, type_in):
    words = ["train", "--data", "mnist-5k", "--preset", "fast", "--epochs", "2", "--samples", "600", "--hidden", "8"]
    words += ["--threads", "1", "--class-weights", "balanced", "-q", "--run"]
    cli([*words, str(tmp_path / "a")], standalone_mode=False)
    chosen, recipe = preset("fast"), preset("fast").recipe.replace(epochs=2, threads=1)
    model, data = chosen.model(784, DIGITS.classes, seed=0, hidden=(8,)), DIGITS.train[:600]
    shared = {"class_weights": "balanced", "source": "mnist-5k", "preset": "fast"}
    begin_run(tmp_path / "b", model, data, recipe, seed=0, **shared)
    resume(tmp_path / "b")
    assert bits(Run(tmp_path / "a")) == bits(Run(tmp_path / "b"))
    counts = np.bincount(data.labels)
    assert config_of(Run(tmp_path / "a"))["class_weights"] == (600 / (10 * counts)).tolist()
    code, _, err = type_in("train", "--resume", str(tmp_path / "a"), "--class-weights", "balanced")
    assert code == 2
    assert "--resume can change epochs and threads only, got class_weights" in err


def test_a_config_with_wrong_class_weights_is_rejected(tmp_path):
    run = begin_run(tmp_path / "r", untrained(), DIGITS.train[:200], RECIPE, seed=0, class_weights="balanced")
    config = config_of(run)
    for wrong, got in ((7, "7"), (["x"], "'x'"), ([-1.0] * 10, "-1.0")):
        run.write_config(config | {"class_weights": wrong})
        with pytest.raises(ModelFileError, match=rf"config\.json: class_weights.* must be .*, got {got}"):
            resume(tmp_path / "r", data=DIGITS.train[:200])
    run.write_config(config | {"class_weights": [1.0]})
    with pytest.raises(UsageError, match="sample_weights must be the same as in the run"):
        resume(tmp_path / "r", data=DIGITS.train[:200])
