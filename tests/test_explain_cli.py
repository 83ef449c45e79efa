"""The commands `explain`, `compare`, `lr-find`, and `check` of a run."""

import io
import json
import re
from xml.etree import ElementTree

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import byhand
from byhand.cli.explain import run_quiz
from byhand.cli.group import cli
from byhand.errors import UsageError
from byhand.explain.animation import animated_step, values_of
from byhand.explain.quiz import questions
from byhand.model.preparation import Preparation
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Dense
from byhand.nn.losses import MeanSquaredError
from byhand.training.records import EpochRecord
from byhand.training.runs import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs: plain, with batch norm, dropout and another loss, and with convolutions."""
    home = tmp_path_factory.mktemp("runs")
    digits = byhand.load("mnist-5k")
    shapes = {"plain": {}, "rich": {"batch_norm": True, "dropout": 0.2, "activation": "gelu"}, "maps": {"maps": [4, 8]}}
    for name, settings in shapes.items():
        model = byhand.Model([784, 12, 10], seed=0, **settings)
        history = byhand.fit(model, digits.train[:500], epochs=1, seed=0)
        run = Run.new(home / name)
        loss = {"kind": "mse"} if name == "rich" else {"kind": "cross_entropy", "smoothing": 0.1}
        run.write_config({"command": "byhand train", "data": "mnist-5k", "recipe": {"loss": loss}})
        run.write_records(list(history))
        model.save(run.model_path)
    return home


def call(*words):
    """Return the result of a command."""
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def test_explain_accepts_an_image_file(runs, tmp_path):
    sheet = np.full((90, 60), 255, np.uint8)
    sheet[15:75, 28:33] = 0
    Image.fromarray(sheet).save(tmp_path / "one.png")
    model = byhand.Model.load(runs / "plain" / "model.safetensors")
    read = byhand.read(tmp_path / "one.png", model)
    found = json.loads(call("explain", runs / "plain", tmp_path / "one.png", "--json", "-q").stdout)
    with_label = json.loads(call("explain", runs / "plain", tmp_path / "one.png", "--label", 7, "--json", "-q").stdout)
    assert found != with_label
    assert f"label: {read.digit}, the predicted class" in call("explain", runs / "plain", tmp_path / "one.png").stderr


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["plain", "a.png", "--sample", 3], "PICTURE is the sample: remove --sample, --batch and --data"),
        (["plain", "--label", 3], "--label needs a PICTURE"),
        (["plain", "a.png", "--label", "x"], "--label must be a class of the model"),
        (["rich", "a.png"], "batch normalization needs a batch: use --sample"),
    ],
)
def test_explain_rejects_options_that_do_not_apply_to_an_image(runs, words, rule):
    with pytest.raises(UsageError, match=rule):
        call("explain", runs / words[0], *words[1:])


def test_explain_prints_the_step(runs):
    shown = call("explain", runs / "plain", "--sample", 7).stdout
    assert shown.startswith("One training step for an image of class ")
    assert "  layers: dense 784 → 12, relu, dense 12 → 10\n  loss: cross-entropy, smoothing 0.1\n" in shown
    assert "dW1 = Xᵀ dZ1" in shown
    assert "byhand/nn/layers.py:" in shown
    assert "\x1b" not in shown


def test_explain_prints_colors_to_a_pipe_only_if_they_are_forced(runs, monkeypatch):
    for name, value in (("NO_COLOR", None), ("TERM", "xterm-256color"), ("COLORTERM", "truecolor")):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    assert "\x1b[" not in call("explain", runs / "plain").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1mOne training step" in call("explain", runs / "plain").stdout


def test_explain_chooses_an_image_about_which_the_model_is_unsure(runs):
    model = Run.open(runs / "plain").model()
    train = byhand.load("mnist-5k").train[:1000]
    probabilities = model.probabilities(train.images)[range(1000), train.labels]
    chosen = abs(probabilities - 0.5).argmin()
    assert f"sample {chosen} of mnist-5k: the model is unsure" in call("explain", runs / "plain").stderr
    assert "unsure" not in call("explain", runs / "plain", "--sample", 7).stderr


def test_explain_shows_long_text_in_the_pager(runs, monkeypatch):
    shown = []
    monkeypatch.setattr(click, "echo_via_pager", lambda text, color: shown.append(text))
    assert call("explain", runs / "plain", "--pager").stdout == ""
    assert [call("explain", runs / "plain", word).stdout for word in ("-q", "--no-pager")] == 2 * shown


def test_a_quiz_accepts_shapes_signs_and_numbers(runs, monkeypatch, capsys):
    model = Run.open(runs / "plain").model()
    explanation = byhand.explain_step(model, byhand.load("mnist-5k").test[7])
    asked = list(questions(explanation))
    assert [question.answer for question in asked[:3]] == [(1, 12), (1, 10), 130.0]
    assert asked[3].answer == explanation.loss
    assert len(asked) == 7
    right = ["(1, 12)", "1 10", "0130", f"{explanation.loss:.4f}".replace(".", ","), *(q.answer for q in asked[4:])]
    assert all(question.is_right(typed) for question, typed in zip(asked, right, strict=True))
    assert not any(question.is_right(typed) for question in asked for typed in ("", "x", "1, 2, 3", "-7"))
    terminal = io.StringIO("(1, 12)\n\n7\n")  # right, skipped, wrong, and the end of the input
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    run_quiz(explanation)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if "   (" in line] == ["> right", "> answer", "> answer"]
    assert "1 of 7 right" in lines


@pytest.mark.parametrize("name", ["rich", "maps"])
def test_a_quiz_fits_every_network(runs, name):
    images = byhand.load("mnist-5k").test[:8]
    model = Run.open(runs / name).model()
    assert 5 <= len(list(questions(byhand.explain_step(model, images, loss=MeanSquaredError())))) <= 8


def test_a_quiz_needs_a_terminal(runs):
    with pytest.raises(UsageError, match="--ask needs a terminal to type the answers"):
        call("explain", runs / "plain", "--ask")


def test_explain_shows_single_units_with_all_terms(runs):
    shown = call("explain", runs / "plain", "--unit", "1:3", "--unit", "2:9").stdout
    assert "Unit 3 of layer 1" in shown
    assert "Unit 9 of layer 2" in shown
    assert "more:" not in shown
    assert "Layer 1: dense" not in shown


def test_explain_shows_a_convolution_and_its_units(runs):
    shown = call("explain", runs / "maps", "--sample", 7).stdout
    assert "dW1 = P1ᵀ dZ1" in shown
    assert "byhand/nn/convolution.py:" in shown
    shown = call("explain", runs / "maps", "--unit", "1:301", "--unit", "3:5").stdout
    assert "Unit 301 of layer 1, map 1, row 6, column 3 (indices start at 0)" in shown
    assert "Unit 5 of layer 3 (indices start at 0)" in shown


def test_explain_writes_a_page_and_json(runs, tmp_path):
    page = tmp_path / "step.html"
    shown = call("explain", runs / "plain", "--html", page, "--json", "--quiet")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(shown.stdout)["steps"][0]["title"] == "Preparation"


@pytest.mark.parametrize(("name", "parts", "circles"), [("plain", 5, 12 + 10), ("maps", 9, 4 + 8 + 12 + 10)])
def test_explain_writes_an_animated_picture(runs, tmp_path, name, parts, circles):
    result = call("explain", runs / name, "--sample", 7, "--svg", tmp_path / "step.svg")
    assert "wrote" in result.stderr
    assert result.stdout == ""
    root = ElementTree.parse(tmp_path / "step.svg").getroot()
    groups = [child for child in root if child.get("class") == "part"]
    assert len(groups) == parts
    captions = [group.findall("{*}text")[-1].text for group in groups]
    assert captions[0].startswith(f"1 of {parts}. Forward, layer 1: z = Σ w·x + b, h = relu(z)")
    assert captions[-1].startswith(f"{parts} of {parts}. Update: each weight moves")
    assert all(len(group.findall("{*}circle")) == circles for group in groups)
    lines = [len(group.findall("{*}line")) for group in groups]
    assert 0 < lines[0] < lines[1]


def test_the_edges_of_the_picture_add_up_to_the_sums(runs):
    model = byhand.Model([784, 12, 10], maps=[4, 8], seed=1)
    image = byhand.load("mnist-5k").test.images[7]
    _, stages = values_of(model, image, 3)
    pass_ = Pass(model.network)
    pass_.forward(model.preparation(image[None], model.network.dtype))
    sources = image.size
    for stage in stages:
        sums = pass_.outs[stage.layer.index].reshape(-1, stage.count)
        expected = sums[stage.places, np.arange(stage.count)] - stage.layer.b
        np.testing.assert_allclose(stage.edges(sources, 0.0, back=False).sum(axis=0), expected, atol=1e-4)
        sources = stage.count


def test_the_animated_picture_needs_gray_images(tmp_path):
    model = byhand.Model([12, 10], preparation=Preparation(shape=(2, 2, 3)))
    with pytest.raises(UsageError, match="a model of gray images"):
        animated_step(model, np.zeros((2, 2, 3), np.uint8), 1)


def test_the_animated_picture_needs_one_image(runs, type_in, tmp_path):
    for words in ((runs / "rich",), (runs / "plain", "--batch", 2)):
        code, _, err = type_in("explain", *words, "--svg", tmp_path / "step.svg")
        assert code == 2
        assert "--svg shows a step on one image: not with --batch, nor batch normalization" in err


def test_explain_uses_a_batch_if_batch_norm_needs_one(runs):
    result = call("explain", runs / "rich")
    assert "batch normalization needs a batch: showing samples 0 to 7" in result.stderr
    assert "samples in the batch: 8" in result.stdout
    assert "loss: mean squared error" in result.stdout
    assert "samples in the batch: 3" in call("explain", runs / "rich", "--batch", 3, "--optimizer", "adam").stdout


def test_explain_rejects_samples_units_and_runs_that_do_not_exist(runs, type_in):
    ask = ("explain", runs / "plain", "--quiet")
    for words, message in (
        (("--sample", 1000), "sample must be an integer from 0 to 999, got 1000"),
        (("--unit", "9:0"), "the layer of the unit must be an integer from 1 to 2, got 9"),
        (("--unit", "2:10"), "the unit of layer 2 must be an integer from 0 to 9, got 10"),
        (("--unit", "1-0"), "must be LAYER:UNIT, such as 1:17, got '1-0'"),
        (("--learning-rate", "0"), "learning_rate must be a positive number, got 0.0"),
    ):
        code, _, err = type_in(*ask, *words)
        assert code == 2
        assert message in err
    code, _, err = type_in("explain", runs / "maps", "--quiet", "--unit", "1:576")
    assert (code, err) == (2, "byhand: the unit of layer 1 must be an integer from 0 to 575, got 576\n")
    code, _, err = type_in("explain", runs / "nowhere")
    assert code == 5
    assert "no such run" in err


def test_compare_prints_a_table_and_verdicts(runs, tmp_path):
    page = tmp_path / "compare.html"
    shown = call("compare", runs / "plain", runs / "rich", "--html", page).stdout
    lines = shown.splitlines()
    assert lines[0].split() == ["plain", "rich"]
    assert lines[1].startswith("accuracy")
    assert any(line.startswith("loss.kind") for line in lines)
    assert "significant (p = " in lines[-1]
    assert "Comparison of 2 runs" in page.read_text("utf-8")


def test_compare_distinguishes_runs_of_the_same_name(runs, tmp_path):
    twin = tmp_path / "plain"
    Run.open(runs / "plain").model().save(Run.new(twin).model_path)
    shown = call("compare", runs / "plain", twin, "--data", "mnist-5k").stdout
    assert str(twin) in shown
    assert "classify the same images correctly" in shown


def test_compare_gives_json(runs):
    plain = json.loads(call("compare", runs / "plain", runs / "rich", "--json", "--quiet").stdout)
    assert {run["run"] for run in plain["runs"]} == {"plain", "rich"}


def test_lr_find_draws_and_suggests(tmp_path):
    page = tmp_path / "rates.html"
    result = call("lr-find", "--data", "mnist-5k", "--hidden", "16", "--steps", 60, "--html", page)
    assert "Try a learning rate of " in result.stdout
    assert "▲" in result.stdout
    assert "784-16-10" in page.read_text("utf-8")
    assert not (tmp_path / "unsaved").exists()


def test_lr_find_gives_json():
    shown = call("lr-find", "--data", "mnist-5k", "--hidden", "8", "--steps", 40, "--json", "--quiet").stdout
    plain = json.loads(shown)
    assert 1e-4 < plain["suggestion"] <= plain["diverged_rate"] / 4
    assert plain["steepest_rate"] <= plain["lowest_loss_rate"]
    assert len(plain["rates"]) == len(plain["losses"]) == plain["diverged_at"] + 1


def test_check_of_a_run_passes_with_right_gradients(runs):
    for name in ("plain", "rich", "maps"):
        result = call("check", runs / name)
        assert result.exit_code == 0
        assert result.stdout.splitlines()[-1].startswith("gradient check passed")
        assert result.stdout.startswith("0.W: worst relative error")


@pytest.fixture
def wide(tmp_path):
    """A run whose weights feed so many ReLUs that a long step always switches one."""
    model = byhand.Model([784, 10], maps=[(16, 3, 1)], seed=0)
    model.network.layers[0].b[...] = np.random.default_rng(1).normal(0, 0.1, 16)
    run = Run.new(tmp_path / "wide")
    run.write_config({"command": "byhand train", "data": "mnist-5k"})
    model.save(run.model_path)
    return run.folder


@pytest.mark.slow
def test_check_retries_with_smaller_steps_near_kinks(wide, monkeypatch):
    result = call("check", wide)
    assert result.exit_code == 0
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines()[:-1])
    assert set(lines) == {"0.W", "2.W", "0.b", "2.b"}
    assert all(int(re.search(r"(\d+) checked", line)[1]) >= 5 for line in lines.values())
    right = Convolution.backward

    def is_a_little_off(self, dout, cache):
        dX = right(self, dout, cache)
        cache.dW *= 1.00001
        return dX

    monkeypatch.setattr(Convolution, "backward", is_a_little_off)
    result = call("check", wide, "--json")
    assert result.exit_code == 1
    plain = json.loads(result.stdout)
    assert {tensor["name"] for tensor in plain["tensors"] if tensor["error"] > plain["tolerance"]} == {"0.W"}


def test_check_of_a_run_fails_with_a_wrong_gradient(runs, monkeypatch):
    right = Dense.backward

    def forgets_the_bias(self, dout, cache):
        dX = right(self, dout, cache)
        cache.db *= 1.01
        return dX

    monkeypatch.setattr(Dense, "backward", forgets_the_bias)
    result = call("check", runs / "plain", "--json")
    assert result.exit_code == 1
    plain = json.loads(result.stdout)
    assert plain["ok"] is False
    wrong = {tensor["name"] for tensor in plain["tensors"] if tensor["error"] > plain["tolerance"]}
    assert wrong == {"0.b", "2.b"}


def test_eval_writes_the_report(runs, tmp_path):
    page = tmp_path / "report.html"
    call("eval", runs / "plain", "--html", page)
    text = page.read_text("utf-8")
    assert "<h2>The worst mistakes</h2>" in text
    assert EpochRecord.__name__ not in text
