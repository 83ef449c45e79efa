"""Compatibility: an ensemble, a sweep and a playground that the version before left are read and finished.

The folders in tests/golden/version-before were made by tools/make_golden_folders.py, with the code of that version.
See there for what each holds. `folders.json` says what that version made of them.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import byhand
from byhand.cli.group import cli
from byhand.training.runs import Run, load_reader

GOLDEN = Path(__file__).parent / "golden" / "version-before"
EXPECTED = json.loads((GOLDEN / "folders.json").read_text("utf-8"))


@pytest.fixture
def copied(tmp_path):
    return lambda name: Path(shutil.copytree(GOLDEN / name, tmp_path / name))


def checksum(array):
    """The same as in tools/make_golden_folders.py."""
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def run(*words):
    result = CliRunner().invoke(cli, [*map(str, words), "--offline", "--quiet"])
    assert result.exit_code == 0, result.output
    return result


def test_an_interrupted_ensemble_is_finished(copied):
    folder, expected = copied("ensemble"), EXPECTED["ensemble"]
    first = Run(folder / "member-1").model()
    assert checksum(first.network.parameters) == expected["first"]
    run("train", "--resume", folder, "--threads", 1)
    reader = load_reader(folder)
    images = byhand.load("mnist-5k").test.images[[3, 500, 911]]
    np.testing.assert_allclose(reader.probabilities(images), expected["probabilities"], atol=1e-9)
    metadata = Run(folder).config()["card"]
    assert {**metadata, "recipe": None} == {**expected["card"], "recipe": None}


def test_an_interrupted_sweep_is_finished(copied):
    pytest.importorskip("optuna")
    folder, expected = copied("sweep"), EXPECTED["sweep"]
    found = [json.loads(path.read_text("utf-8")) for path in sorted((folder / "trials").glob("*.json"))]
    assert [trial["status"] for trial in found] == expected["statuses"]
    run("sweep", "--resume", folder, "--jobs", 1)
    found = [json.loads(path.read_text("utf-8")) for path in sorted((folder / "trials").glob("*.json"))]
    assert len(found) == len(expected["trials"])
    for now, then in zip(found, expected["trials"], strict=True):
        assert (now["values"], now["status"]) == (then["values"], then["status"])
        assert now["records"][-1]["validation_accuracy"] == then["accuracy"]


def test_a_playground_is_resumed(copied):
    from byhand.play.playground import Playground
    from byhand.play.storage import setup_of

    kept, expected = Run.open(copied("playground")), EXPECTED["playground"]
    model = byhand.Model([784, 2, 10], seed=9)
    playground = Playground.resume(kept, model, "a model", byhand.load("mnist-5k"), setup_of(kept))
    assert playground.step_number == expected["step"]
    assert checksum(playground.model.network.parameters) == expected["left"]
    assert [record.epoch for record in playground.curve.epochs] == expected["epochs"]
    for _ in range(20):
        playground.step()
    np.testing.assert_allclose(playground.model.network.parameters, expected["later"], atol=1e-5)
    playground.close()
