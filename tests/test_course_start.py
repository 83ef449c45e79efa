"""`byhand course start` and `next`: typical and wrong usage."""

import json
import os
from functools import partial

import numpy as np
import pytest

import byhand
from byhand.course.notebooks import LESSONS, progress, release
from byhand.data import Dataset, TrainTest

NETWORK, TWO_LAYER = LESSONS
FULL = os.environ.get("BYHAND_DATA", "")  # before a fixture removes it


@pytest.fixture
def run(run):
    """Type `byhand course …` in an empty folder: (exit code, stdout, stderr)."""
    return partial(run, "course")


def test_start_writes_notebooks_and_data_and_names_the_next_commands(run, tmp_path):
    code, out, err = run("start", "course")
    assert code == 0
    folder = tmp_path / "course"
    assert {path.name for path in folder.iterdir()} == {"network.ipynb", "two-layer.ipynb", "digits.npz"}
    words = "mnist-5k: 3,333 images for training, 667 for validation, 1,000 for test"
    assert out.splitlines()[-1] == f"wrote course/digits.npz ({words})"
    assert "byhand course next course/network.ipynb" in err
    assert "byhand course check course/network.ipynb" in err
    with np.load(folder / "digits.npz") as digits:
        assert digits["train_images"].shape == (3333, 28, 28)
        assert digits["train_images"].dtype == np.uint8
        labels = np.concatenate([digits["train_labels"], digits["validation_labels"]])
    assert np.array_equal(labels, byhand.load("mnist-5k").train.labels)


def test_start_uses_the_current_folder_and_quiet_leaves_stderr_empty(run, tmp_path):
    code, _, err = run("start", "--quiet")
    assert (code, err) == (0, "")
    assert (tmp_path / "network.ipynb").exists()


def test_start_keeps_existing_files(run, tmp_path):
    (tmp_path / "network.ipynb").write_text("hours of work")
    code, out, _ = run("start")
    assert code == 0
    assert (tmp_path / "network.ipynb").read_text() == "hours of work"
    assert "kept the existing network.ipynb" in out
    assert "wrote two-layer.ipynb" in out
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, _ = run("start")
    assert code == 0
    assert "wrote" not in out
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_start_does_not_replace_existing_data(run):
    run("start")
    code, _, err = run("start", "--data", "mnist-5k")
    assert code == 2
    assert err == "byhand: digits.npz already exists: move it to use other data\n"


@pytest.mark.parametrize("words", [[], ["--data", "mnist-5k"]])
@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"weights": np.zeros(3), "biases": np.zeros(3)}, "train_images is missing"),
        ({"train_images": np.zeros(1), "train_labels": np.zeros(1)}, "validation_images is missing"),
        (None, "it is not an npz file"),
    ],
)
def test_start_rejects_an_unrelated_file_named_like_the_data(run, tmp_path, words, arrays, what):
    if arrays is None:
        (tmp_path / "digits.npz").write_bytes(b"not an archive")
    else:
        np.savez(tmp_path / "digits.npz", **arrays)
    before = (tmp_path / "digits.npz").read_bytes()
    code, out, err = run("start", *words)
    assert (code, out) == (2, "")
    assert err == (
        f"byhand: digits.npz already exists and is not the data of the course ({what}): move it, or choose "
        "another folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]
    assert (tmp_path / "digits.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--data", "nothing-of-this-name"], 3, "no data set or file named 'nothing-of-this-name'"),
        (["taken"], 2, "DIR must be a folder or a new name, got the file taken"),
        (["--data", "mnist"], 3, "`byhand data get mnist` downloads it"),
    ],
)
def test_a_start_that_fails_gives_one_line_and_writes_nothing(run, tmp_path, words, code, line):
    (tmp_path / "taken").write_text("")
    left, out, err = run("start", *words)
    assert (left, out) == (code, "")
    assert line in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_images_of_another_size_are_rejected():
    tiny = Dataset(np.zeros((12, 8, 8), np.uint8), np.arange(12) % 10, name="tiny")
    with pytest.raises(byhand.ByhandError, match="tiny: must have ten classes of images of 28 × 28, got"):
        release.packed(TrainTest(tiny, tiny, "memory"))


@pytest.mark.slow
@pytest.mark.full_mnist
def test_start_uses_the_full_mnist_if_available(run, tmp_path, full_mnist, monkeypatch):
    monkeypatch.setenv("BYHAND_DATA", FULL)
    code, out, _ = run("start")
    assert code == 0
    assert "digits.npz (mnist: 50,000 images for training, 10,000 for validation, 10,000 for test)" in out
    with np.load(tmp_path / "digits.npz") as digits:
        assert np.array_equal(digits["test_images"], full_mnist.test.images)


def write_functions(path, lesson, names):
    """Write these functions into a student's notebook."""
    answers = {cell["id"]: cell["source"] for cell in release.student(lesson, solved=True)["cells"]}
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        if cell["id"] in {name.replace("_", "-") for name in names}:
            cell["source"] = answers[cell["id"]]
    path.write_text(json.dumps(notebook), "utf-8")


def test_next_shows_the_first_function_with_its_formula_and_shapes(run):
    run("start")
    code, out, _ = run("next")
    assert code == 0
    assert out == (
        "sigmoid   (Feedforward, step 2.2 of the algorithm; 3 points)\n\n"
        "  formula    H = 1 / (1 + e^−Z)\n"
        "  inputs     Z (n, m)\n"
        "  outputs    H (n, m), and Z as its memory\n\n"
        "0 of 16 functions are written; the one after it is relu\n"
    )
    assert run("next", "two-layer.ipynb")[1].startswith("init_params   (Initialization; 5 points)\n")


@pytest.mark.slow
@pytest.mark.parametrize("lesson", [NETWORK, TWO_LAYER], ids=lambda lesson: lesson.name)
def test_next_follows_the_syllabus_to_its_end(run, tmp_path, lesson):
    run("start")
    path = tmp_path / f"{lesson.name}.ipynb"
    for done, task in enumerate(lesson.tasks):
        found, left = progress(path)
        assert (found, left) == (lesson, list(lesson.tasks[done:]))
        write_functions(path, lesson, [task.name])
    code, out, _ = run("next", path.name)
    assert code == 0
    assert out.startswith(f"all {len(lesson.tasks)} functions of {lesson.name} are written\n")
    assert f"byhand course check {path.name}" in out


def test_a_function_that_still_raises_counts_as_written_if_it_returns_first(tmp_path):
    path = tmp_path / "student.py"
    path.write_text(
        "def sigmoid(Z):\n    return Z, Z\n    raise NotImplementedError\n\n"
        "def relu(Z):\n    H = Z\n    raise NotImplementedError\n"
    )
    assert [task.name for task in progress(path)[1]][:2] == ["relu", "softmax"]


def test_next_reads_older_blanks_that_are_not_valid_python(tmp_path):
    path = tmp_path / "student.py"
    path.write_text("def sigmoid(Z):\n    H = # write your code here\n    return H, Z\n")
    lesson, left = progress(path)
    assert (lesson, left[0].name) == (NETWORK, "sigmoid")


@pytest.mark.parametrize(
    ("name", "content", "code", "line"),
    [
        ("", None, 3, "network.ipynb: no such file; `byhand course start` writes the notebooks to this folder"),
        ("mine.ipynb", "{", 3, "mine.ipynb: must be a notebook, got invalid JSON"),
        ("notes.txt", "", 2, "NOTEBOOK must be a .ipynb or .py file, got notes.txt"),
    ],
)
def test_a_next_that_fails_gives_one_line(run, tmp_path, name, content, code, line):
    if content is not None:
        (tmp_path / name).write_text(content)
    left, out, err = run("next", *filter(None, [name]))
    assert (left, out) == (code, "")
    assert err.startswith(f"byhand: {line}")
    assert err.count("\n") == 1
