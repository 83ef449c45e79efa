"""The data of a run: it is found again, and never confused with other data."""

import gzip
import json
import shutil

import numpy as np
import pytest

import byhand
from byhand.data.catalog import BUNDLED as NAME

TINY = ["--preset", "fast", "--epochs", "1", "--hidden", "8", "--samples", "600", "--quiet"]
SAMPLE = byhand.load("mnist-5k")


@pytest.fixture
def type_in(type_in, monkeypatch, tmp_path):
    """Run a command in a folder without the full MNIST: (exit code, stdout, stderr)."""
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    monkeypatch.setenv("BYHAND_CACHE", str(tmp_path / "cache"))

    def type_in_folder(folder, *words, **environment):
        with monkeypatch.context() as patched:
            patched.chdir(folder)
            for name, value in environment.items():
                patched.setenv(name, value)
            return type_in(*words)

    return type_in_folder


def write_set(folder, pictures, labels, tested=200):
    """Write an IDX folder of a data set that is not in the catalog."""
    folder.mkdir(parents=True)
    halves = {"train": slice(None, -tested), "t10k": slice(-tested, None)}
    for half, rows in halves.items():
        for kind, array in (("images-idx3", pictures[rows]), ("labels-idx1", labels[rows].astype(np.uint8))):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (folder / f"{half}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes(), 1))
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Another data set: the sample's images, upside down."""
    folder = tmp_path_factory.mktemp("others")
    return write_set(folder / "flipped", SAMPLE.train.images[:1200, ::-1], SAMPLE.train.labels[:1200])


def test_a_run_on_default_data_records_which_data_set_it_was(type_in, tmp_path, others):
    assert type_in(tmp_path, "train", *TINY, "--offline", "--run", "r")[0] == 0
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert config["data"] == NAME
    # Later BYHAND_DATA names another data set, which must not be used.
    there = {"BYHAND_DATA": str(others)}
    for words in (["eval", "r"], ["compare", "r", "r"], ["explain", "r"], ["train", "--resume", "r"]):
        code, _, err = type_in(tmp_path, *words, **there)
        assert code == 0, err
        assert f"data: {NAME}: " in err


def test_the_data_of_an_older_run_are_found_by_name(type_in, tmp_path, others):
    assert type_in(tmp_path, "train", *TINY, "--offline", "--run", "r")[0] == 0
    path = tmp_path / "r" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": None}))
    code, _, err = type_in(tmp_path, "train", "--resume", "r", BYHAND_DATA=str(others))
    assert code == 0, err
    assert f"data: {NAME}: " in err


def test_a_relative_path_is_found_from_another_folder(type_in, tmp_path, others):
    shutil.copytree(others, tmp_path / "inside" / "own")
    code, _, err = type_in(tmp_path / "inside", "train", *TINY, "--data", "own", "--run", "r")
    assert code == 0, err
    code, out, err = type_in(tmp_path, "eval", "inside/r", "--json")
    assert code == 0, err
    assert json.loads(out)["data"] == "own"


def test_data_from_the_environment_are_recorded(type_in, tmp_path, others):
    assert type_in(tmp_path, "train", *TINY, "--run", "r", BYHAND_DATA=str(others))[0] == 0
    code, out, err = type_in(tmp_path, "eval", "r", "--json")
    assert code == 0, err
    assert json.loads(out)["data"] == "flipped"


def test_a_moved_data_set_can_be_given_when_resuming(type_in, tmp_path, others):
    shutil.copytree(others, tmp_path / "first")
    assert type_in(tmp_path, "train", *TINY, "--data", "first", "--run", "r")[0] == 0
    (tmp_path / "first").rename(tmp_path / "second")
    code, _, err = type_in(tmp_path, "train", "--resume", "r")
    assert code == 3
    assert "first" in err
    code, _, err = type_in(tmp_path, "train", "--resume", "r", "--data", "second")
    assert code == 0, err
    code, _, err = type_in(tmp_path, "train", "--resume", "r", "--data", NAME)
    assert code == 2
    assert "pass the data set of the run with --data" in err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--run", "other"], "--run"),
        (["--preset", "digits"], "--preset"),
        (["--preset", "fast", "--run", "r"], "--preset, --run"),
        (["--seed", "0"], "seed"),
        (["--hidden", "9"], "hidden"),
    ],
)
def test_resume_rejects_options_that_it_would_ignore(type_in, tmp_path, words, named):
    assert type_in(tmp_path, "train", *TINY, "--data", NAME, "--seed", "3", "--run", "r")[0] == 0
    code, _, err = type_in(tmp_path, "train", "--resume", "r", *words)
    assert code == 2
    assert f"--resume can change epochs and threads only, got {named}\n" in err
    assert type_in(tmp_path, "train", "--resume", "r", "--seed", "3")[0] == 0


@pytest.mark.parametrize(
    "words", [["--validation", "700"], ["--augment", "foo=3"], ["--patience", "2"], ["--hidden", "9" * 12]]
)
def test_a_rejected_option_leaves_no_folder(type_in, tmp_path, words):
    code, _, err = type_in(tmp_path, "train", *TINY, "--data", NAME, "--run", "r", *words)
    assert code == 2, err
    assert not (tmp_path / "r").exists()
    assert type_in(tmp_path, "train", *TINY, "--data", NAME, "--run", "r")[0] == 0


def test_evaluating_on_training_data_gives_a_warning(type_in, tmp_path):
    """The sample's test images are MNIST's training images: a score on them would mean nothing."""
    model = byhand.Model([784, 10], seed=0, metadata={"data": {"name": "mnist", "images": 60_000}})
    model.save(tmp_path / "m.safetensors")
    model.metadata["data"]["name"] = NAME
    model.save(tmp_path / "n.safetensors")
    warning = "was trained on mnist, which contains the images of mnist-5k"
    code, _, err = type_in(tmp_path, "eval", "m.safetensors", "--data", NAME)
    assert code == 0
    assert f"m.safetensors {warning}" in err
    assert warning not in type_in(tmp_path, "eval", "n.safetensors", "--data", NAME)[2]
    err = type_in(tmp_path, "compare", "n.safetensors", "m.safetensors", "--data", NAME)[2]
    assert err.count(warning) == 1
    assert f"m.safetensors {warning}" in err


def test_comparing_a_single_run_is_rejected_without_loading_data(type_in, tmp_path):
    byhand.Model([784, 10], seed=0).save(tmp_path / "m.safetensors")
    code, out, err = type_in(tmp_path, "compare", "m.safetensors")
    assert (code, out) == (2, "")
    assert err == "byhand: a comparison needs at least 2 runs, got 1\n"


def test_play_uses_the_data_of_the_run_or_fails(type_in, tmp_path):
    small = write_set(tmp_path / "small", SAMPLE.train.images[:700, ::2, ::2], SAMPLE.train.labels[:700])
    code, _, err = type_in(
        tmp_path, "train", "--preset", "fast", "--epochs", "1", "--data", "small", "--run", "r", "-q"
    )
    assert code == 0, err
    code, _, err = type_in(tmp_path, "play", "r", "--no-browser", "--data", NAME)
    assert code == 2
    assert "r: the model has 196 inputs and 10 classes, which does not match mnist-5k" in err
    small.rename(tmp_path / "gone")
    code, _, err = type_in(tmp_path, "play", "r", "--no-browser", "--offline")
    assert code == 2
    assert "pass its own data set with --data" in err


def test_commands_in_hints_are_quoted_for_the_shell(type_in, tmp_path):
    err = type_in(tmp_path, "train", *TINY[:-1], "--data", NAME, "--run", "my run")[2]
    assert "byhand predict --run 'my run' digit.png" in err
    assert "byhand eval 'my run' " in err


def test_more_threads_than_processors_give_a_warning(type_in, tmp_path):
    small = ["--samples", "200", "--hidden", "4", "--epochs", "1", "--preset", "fast", "--data", NAME]
    err = type_in(tmp_path, "train", *small, "--threads", "99", "--run", "r")[2]
    assert "warning: 99 threads on " in err
    assert "warning" not in type_in(tmp_path, "train", *small, "--threads", "1", "--run", "s")[2]


def test_a_count_of_one_is_singular(type_in, tmp_path):
    out = type_in(tmp_path, "train", *TINY, "--data", NAME, "--run", "r")[1]
    assert ": 1 epoch over 600 images, " in out
