"""`byhand play FILE`: a student's functions train in the playground and read the drawings."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from byhand.cli.group import cli
from byhand.course.own_network import OwnNetwork
from byhand.course.sandbox.runner import Limits
from byhand.errors import UsageError
from byhand.play import panels
from byhand.play.own import cross_entropy
from byhand.play.playground import Playground
from byhand.play.setup import Setup
from helpers.in_process import InProcess
from helpers.own_functions import Reference, few_digits

STUDENTS = Path(__file__).parent / "students"


@pytest.fixture(scope="module")
def digits():
    return few_digits()


@pytest.fixture
def playground(digits):
    return Playground.of_functions(Reference(), digits, "mnist-5k")


def test_every_step_is_a_call_of_the_functions(playground):
    weights = Reference().start([784, 32, 10])
    batches = playground.trainer.batches.from_step(0)
    for _ in range(4):
        batch = next(batches)
        X = batch.pixels[batch.index].T / 255
        P, weights = Reference().step(X, batch.labels, weights, 0.1)
        playground.step()
        assert playground.recent[-1].loss == pytest.approx(cross_entropy(P, batch.labels), rel=1e-9)
    dense = playground.model.network.dense
    for layer, W, b in zip(dense, weights[::2], weights[1::2], strict=True):
        np.testing.assert_allclose(layer.W, W.T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.b, b.ravel(), rtol=1e-9, atol=1e-12)


def test_the_answer_is_that_of_the_prediction_function(playground, digits):
    image = digits.test.images[0]
    likeliest = int(playground.model.predict(image[np.newaxis])[0])
    answer = playground.answer(image)
    assert answer["answer"] == str((likeliest + 1) % 10)
    np.testing.assert_allclose(answer["probabilities"], playground.model.probabilities(image[np.newaxis])[0], rtol=1e-9)


def test_the_validation_accuracy_is_that_of_the_prediction_function(playground):
    for _ in range(playground.batches_per_epoch):
        ended = playground.step()
    data = playground.validation_data
    expected = np.mean((playground.model.predict(data.images) + 1) % 10 == data.labels)
    assert ended.validation_accuracy == pytest.approx(expected)


def test_settings_of_other_networks_are_refused(playground):
    assert playground.begin(Setup(**{**playground.setup.config(), "layers": (8, 6)})).model.network.in_size == 784
    with pytest.raises(UsageError, match=r"optimizer must be 'sgd': the functions of my_network\.py train"):
        playground.begin(Setup(**{**playground.setup.config(), "optimizer": "adam"}))
    with pytest.raises(UsageError, match=r"no program of byhand's"):
        playground.as_python()


def test_fixed_hidden_layers_are_shown_and_kept(digits):
    playground = Playground.of_functions(Reference([10]), digits, "mnist-5k")
    state = panels.whole_state(playground)
    assert state["setup"]["layers"] == (10,)
    assert state["own"] == {
        "file": "my_network.py",
        "settings": ["data", "learning_rate", "batch_size", "seed", "samples"],
    }
    assert not state["loaded"]["fits"]
    with pytest.raises(UsageError, match="layers must be"):
        playground.begin(Setup(**{**playground.setup.config(), "layers": (12,)}))


def test_an_answer_of_byhand_has_no_functions_to_ask(digits):
    playground = Playground(Playground.of_functions(Reference(), digits, "x").model, "it", digits, Setup())
    with pytest.raises(UsageError, match="the page computes its answer"):
        playground.answer(digits.test.images[0])


# ---- a student's file


@pytest.fixture
def own(monkeypatch):
    """Open a student's file, with its functions in this process."""
    monkeypatch.setattr("byhand.course.check.Student", InProcess)
    opened = []

    def open_(path, **options):
        opened.append(OwnNetwork(Path(path), **options))
        return opened[-1]

    yield open_
    for network in opened:
        network.__exit__()


@pytest.mark.slow
def test_play_names_the_functions_that_are_not_written_yet(tmp_path):
    notebook = tmp_path / "blank.py"
    notebook.write_text("def initialize_parameters(dimensions):\n    raise NotImplementedError('not written yet')\n")
    result = CliRunner().invoke(cli, ["play", str(notebook), "--no-browser"])
    assert "initialize_parameters  missing  (line 1)" in result.stdout
    assert f"12 functions are not written yet: `byhand course next {notebook}`" in str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["as_the_assignment", "in_einsum", "two_layer_as_published", "two_layer_rearranged"])
def test_a_students_functions_train_and_read(own, digits, name):
    network = own(STUDENTS / f"{name}.py")
    assert network.report is None
    playground = Playground.of_functions(network, digits, "mnist-5k")
    losses = [playground.step() and playground.recent[-1].loss for _ in range(60)]
    first, last = [record.loss for record in playground.recent[:5]], [record.loss for record in playground.recent[-5:]]
    assert len(losses) == 60
    assert np.mean(last) < 0.8 * np.mean(first)
    image = digits.test.images[3]
    assert playground.answer(image)["answer"] == str(playground.model.predict(image[np.newaxis])[0])


@pytest.mark.slow
def test_a_missing_or_wrong_function_that_training_needs_is_reported(own, tmp_path):
    text = (STUDENTS / "as_the_assignment.py").read_text("utf-8")
    path = tmp_path / "my_network.py"
    path.write_text(text.replace("def predict(", "def predicts("), encoding="utf-8")
    assert [one.function for one in own(path).report.verdicts] == ["predict"]
    path.write_text(text.replace("np.log(HL)", "np.log2(HL)"), encoding="utf-8")
    assert own(path).report is None  # training does not call compute_loss


@pytest.mark.slow
def test_the_command_ends_with_the_checks_report(tmp_path):
    text = (STUDENTS / "two_layer_as_published.py").read_text("utf-8")
    path = tmp_path / "my_network.py"
    path.write_text(text.replace("np.argmax(A2, 0)", "np.argmax(A2, 1)"), encoding="utf-8")
    result = CliRunner().invoke(cli, ["play", str(path), "--no-browser"])
    assert result.exit_code == 1
    assert "✗ get_predictions" in result.output
    assert "this is the argmax of each row" in result.output
    assert result.output.endswith("a network can be trained when these functions are right\n")


@pytest.mark.slow
@pytest.mark.timing
def test_an_endless_call_is_reported_and_the_next_one_works(tmp_path):
    text = (STUDENTS / "two_layer_as_published.py").read_text("utf-8")
    endless = "def get_predictions(A2):\n    while A2.shape[1] == 77: pass\n"
    path = tmp_path / "my_network.py"
    path.write_text(text.replace("def get_predictions(A2):\n", endless), encoding="utf-8")
    with OwnNetwork(path, limits=Limits(call=0.5)) as network:
        weights = network.start([784, 32, 10])
        with pytest.raises(UsageError, match=r"my_network\.py: did not end within 0.5 seconds \(a smaller batch"):
            network.read(np.zeros((784, 77)), weights)
        assert network.read(np.zeros((784, 3)), weights)[1].shape == (3,)


@pytest.mark.slow
def test_an_error_in_a_call_has_its_line(own, tmp_path):
    text = (STUDENTS / "two_layer_as_published.py").read_text("utf-8")
    raising = "def get_predictions(A2):\n    if A2.shape[1] == 77: A2 = A2.nothing\n"
    path = tmp_path / "my_network.py"
    path.write_text(text.replace("def get_predictions(A2):\n", raising), encoding="utf-8")
    network = own(path)
    line = 1 + text[: text.index("def get_predictions")].count("\n") + 1
    with pytest.raises(UsageError, match=rf"my_network\.py: line {line}: AttributeError: .* in `if A2\.shape"):
        network.read(np.zeros((784, 77)), network.start([784, 32, 10]))


@pytest.mark.slow
def test_the_adapter_of_cs231n_trains_and_the_others_say_why_not(own, tmp_path):
    path = tmp_path / "two_layer_net.py"
    path.write_text(CS231N, encoding="utf-8")
    network = own(path, adapter="cs231n")
    assert network.report is None
    weights = network.start([784, 32, 10])
    X, labels = np.random.default_rng(1).random((784, 20)), np.arange(20) % 10
    for _ in range(3):
        P, weights = network.step(X, labels, weights, 0.1)
    np.testing.assert_allclose(P.sum(axis=0), 1)
    with pytest.raises(UsageError, match="the adapter nielsen has no `play`"):
        own(path, adapter="nielsen")


CS231N = """
import numpy as np

class TwoLayerNet(object):
    def __init__(self, input_size, hidden_size, output_size, std=1e-1):
        self.params = {"W1": std * np.random.randn(input_size, hidden_size), "b1": np.zeros(hidden_size)}
        self.params.update(W2=std * np.random.randn(hidden_size, output_size), b2=np.zeros(output_size))

    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = (self.params[key] for key in ("W1", "b1", "W2", "b2"))
        H = np.maximum(X.dot(W1) + b1, 0)
        scores = H.dot(W2) + b2
        if y is None:
            return scores
        P = np.exp(scores - scores.max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        N = len(X)
        loss = -np.log(P[np.arange(N), y]).mean() + reg * ((W1 ** 2).sum() + (W2 ** 2).sum())
        P[np.arange(N), y] -= 1
        D = P / N
        dH = D.dot(W2.T)
        dH[H <= 0] = 0
        grads = {"W2": H.T.dot(D) + 2 * reg * W2, "b2": D.sum(axis=0)}
        grads.update(W1=X.T.dot(dH) + 2 * reg * W1, b1=dH.sum(axis=0))
        return loss, grads

    def predict(self, X):
        return self.loss(X).argmax(axis=1)
"""
