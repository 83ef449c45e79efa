"""The data that the assignment starts from, and the programs in examples/."""

import gzip
import os
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import byhand.data
from byhand.errors import DataMissingError
from byhand.reference.l_layer import L_layer_model, data_wrapper, load_data, one_hot
from helpers.needs import full_mnist_folder
from helpers.processes import python

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(program, *arguments):
    """Run an example with the bundled sample in place of MNIST, so that nothing is downloaded."""
    sample = Path(byhand.data.__file__).parent / "sample"
    environment = {**os.environ, "MPLBACKEND": "agg", "BYHAND_DATA": str(sample)}
    return python(EXAMPLES / program, *arguments, env=environment)


def test_load_data_reads_the_pickle_in_the_working_folder():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(256, size=(n, 784)).astype(np.float32) / np.float32(256) for n in (50, 10, 12)]
    pairs = tuple((images, rng.integers(10, size=len(images))) for images in pictures)
    Path("mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps(pairs, protocol=2)))
    for (images, labels), (right_images, right_labels) in zip(load_data(), pairs, strict=True):
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images, right_images)
        np.testing.assert_array_equal(labels, right_labels)


def test_data_wrapper_puts_samples_in_columns():
    X, Y, X_test, Y_test = data_wrapper(sample=True)
    (images, labels), (validation, _), (test, _) = load_data(sample=True)
    assert (X.shape, Y.shape, X_test.shape, Y_test.shape) == ((784, 3333), (10, 3333), (784, 1000), (10, 1000))
    np.testing.assert_array_equal(X, images.T)
    np.testing.assert_array_equal(Y, one_hot(labels))
    assert len(validation) == 667
    assert X.max() == np.float32(255 / 256)
    assert type(images) is type(labels) is type(test) is np.ndarray


def test_without_mnist_the_error_suggests_what_to_do(monkeypatch):
    def nothing(name):
        raise DataMissingError(f"{name}: no mirror answered")

    monkeypatch.setattr(byhand.data, "load", nothing)
    with pytest.raises(
        DataMissingError, match=r"mnist: no mirror answered; put mnist\.pkl\.gz .*load_data\(sample=True"
    ):
        load_data()


@pytest.mark.full_mnist
def test_load_data_splits_mnist_like_the_pickle():
    digits = byhand.data.load("mnist", offline=True)
    training, validation, test = load_data()
    assert [len(labels) for _, labels in (training, validation, test)] == [50_000, 10_000, 10_000]
    np.testing.assert_array_equal(training[0][49_999] * 256, digits.train.images[49_999].ravel())
    np.testing.assert_array_equal(validation[1], digits.train.labels[50_000:])
    assert training[0].max() == 0.99609375
    assert [X.shape for X in data_wrapper()] == [(784, 50_000), (10, 50_000), (784, 10_000), (10, 10_000)]
    np.testing.assert_array_equal(training[1][10:15], [3, 5, 3, 6, 1])


def test_the_l_layer_program_uses_the_sample_without_mnist(monkeypatch, capsys):
    def offline(name, load=byhand.data.load):
        if name == "mnist":
            raise DataMissingError("mnist: no mirror answered")
        return load(name)

    monkeypatch.setattr(byhand.data, "load", offline)
    words = "l_layer.py --images 20 --dimensions 784 5 10 --iterations 1 --picture curve.png".split()  # noqa: SIM905
    monkeypatch.setattr("sys.argv", words)
    runpy.run_path(str(EXAMPLES / "l_layer.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mnist: no mirror answered"
    assert lines[1].startswith("using the bundled sample instead")
    assert lines[2] == "20 images, layers [784, 5, 10]"
    assert lines[-1].startswith("test set, 1,000 images: Accuracy: 0.")


def test_the_one_page_program_takes_the_steps_of_the_reference():
    page = runpy.run_path(str(EXAMPLES / "one_page.py"))
    X, Y, _, _ = data_wrapper(sample=True)
    X, Y = X[:, :60].astype(float), Y[:, :60]
    for sizes in ([784, 6, 10], [784, 7, 6, 10]):
        lines: list[str] = []
        layers = page["train"](X, Y, sizes, 0.1, 3, lines.append)
        parameters = L_layer_model(X, Y, sizes, 0.1, 3)
        for number, (W, b) in enumerate(layers, start=1):
            np.testing.assert_allclose(W, parameters[f"W{number}"], rtol=0, atol=1e-14)
            np.testing.assert_allclose(b, parameters[f"b{number}"], rtol=0, atol=1e-14)


def test_the_one_page_program_fits_on_200_lines_and_needs_only_numpy():
    source = (EXAMPLES / "one_page.py").read_text("utf-8")
    assert source.count("\n") <= 200
    modules = {word.split()[1].partition(".")[0] for word in source.splitlines() if word.startswith(("import", "from"))}
    assert modules <= {"numpy", *sys.stdlib_module_names}


@pytest.mark.full_mnist
def test_the_one_page_program_prints_the_published_losses():
    page = runpy.run_path(str(EXAMPLES / "one_page.py"))
    X, Y = page["load"](full_mnist_folder(), "train")
    lines: list[str] = []
    with threadpool_limits(1):
        page["train"](X[:, :5000], Y[:, :5000], [784, 45, 10], 0.0075, 101, lines.append)
    assert lines == ["iteration    0: loss 2.422624", "iteration  100: loss 2.129232"]


@pytest.mark.slow
def test_the_l_layer_program_trains_and_draws():
    ran = run("l_layer.py", "--sample", "--images", "500", "--iterations", "101", "--picture", "curve.png")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "500 images, layers [784, 45, 10]"
    losses = [
        float(line.removeprefix(f"Loss after iteration {i}: ")) for i, line in zip((0, 100), lines[1:3], strict=True)
    ]
    assert losses[0] > losses[1]
    assert lines[3].startswith("training set, 500 images: Accuracy: 0.")
    assert lines[4].startswith("test set, 1,000 images: Accuracy: 0.")
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_l_layer_program_reports_an_error_in_one_line():
    ran = run("l_layer.py", "--sample", "--dimensions", "784", "0", "10")
    assert ran.returncode == 1
    assert ran.stderr == "l_layer.py: dimensions must be two or more positive integers, got [784, 0, 10]\n"


@pytest.mark.slow
def test_the_app_reads_csv_files_and_draws_single_predictions():
    digits = byhand.data.load("mnist-5k")
    for name, part, n in (("train", digits.train, 1500), ("test", digits.test, 200)):
        rows = np.column_stack([part.labels[:n], part.images[:n].reshape(n, -1)])
        np.savetxt(f"mnist_{name}.csv", rows, fmt="%d", delimiter=",")
    ran = run("app.py", "--iterations", "41", "--seed", "0", "--pictures", "drawn")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "1,500 training images, 200 test images: mnist_train.csv"
    assert [line.split("  ")[0] for line in lines[1:6]] == [f"Iteration: {i}" for i in (0, 10, 20, 30, 40)]
    assert lines[6].startswith("dev accuracy: ")
    assert lines[6].endswith(" points (95 %, 1,000 images)")
    assert lines[7].endswith(" points (95 %, 200 images)")
    assert [line for line in lines[8:] if line.startswith("Label")] == [f"Label: {y}" for y in digits.test.labels[:4]]
    assert sorted(path.name for path in Path("drawn").iterdir()) == [f"prediction-{i}.png" for i in range(4)]


@pytest.mark.slow
def test_the_app_runs_on_the_available_data():
    ran = run("app.py", "--iterations", "1", "--seed", "0")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("4,000 training images, 1,000 test images: ")


def test_the_app_reports_an_error_in_one_line():
    ran = run("app.py", "--alpha", "-1")
    assert ran.returncode == 1
    assert ran.stderr == "app.py: alpha must be a positive number, got -1.0\n"
