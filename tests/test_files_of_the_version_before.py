"""Compatibility: files written by the version before this one are read bit for bit, and its folders are finished.

The files in tests/golden/version-before were made by tools/make_golden_run.py (runs) and tools/make_golden_folders.py
(an ensemble, a sweep and a playground), with the code of that version. See there for what each contains.
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
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run, load_reader
from helpers.needs import needs

GOLDEN = Path(__file__).parent / "golden" / "version-before"
EXPECTED, FOLDERS = (json.loads((GOLDEN / name).read_text("utf-8")) for name in ("expected.json", "folders.json"))
#: The runs in float64 differ between machines only by the rounding of their BLAS kernels. The run with augmentation is
#: in float32, and its distorted images are rounded to bytes.
TOLERANCE = {"everything": 1e-9, "whole-data": 1e-9, "augmented": 1e-4}
NOT_NUMBERS, TIMES = {"warnings"}, {"seconds", "images_per_second"}
#: A warning in the golden records, and its wording now.
REWORDED = "layer 1 is dead: no sample switches those units on.", "the units in layer 1 are dead (0 for every sample)."

SLOTS = ("a.safetensors", "b.safetensors")

every_run = pytest.mark.parametrize("name", EXPECTED)


def checksum(array):
    """Return the checksum of tools/make_golden_run.py and tools/make_golden_folders.py."""
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def type_words(*words):
    result = CliRunner().invoke(cli, [*map(str, words), "--offline", "--quiet"])
    assert result.exit_code == 0, result.output


def checksums(model):
    return [checksum(vector) for vector in (model.network.parameters, model.network.statistics)]


@pytest.fixture
def copied(tmp_path):
    """Copy an interrupted run with one of its checkpoints, because resuming a run writes into its folder."""

    def copy(name, slot):
        run = Run.open(shutil.copytree(GOLDEN / name, tmp_path / name))
        (other,) = set(SLOTS) - {slot}
        (run.folder / "state" / other).unlink()
        return run

    return copy


@every_run
def test_model_files_are_read_bit_for_bit(name):
    expected = EXPECTED[name]["models"]
    finished = byhand.Model.load(GOLDEN / f"{name}.safetensors")
    assert checksums(finished) == expected["finished"]
    assert checksums(Run.open(GOLDEN / name).model()) == expected["interrupted"]
    assert finished.metadata["ending"] == EXPECTED[name]["ending"]


@every_run
def test_models_give_the_same_probabilities(name):
    images = byhand.load("mnist-5k").test.images[[3, 500, 911]]
    P = byhand.Model.load(GOLDEN / f"{name}.safetensors").probabilities(images)
    np.testing.assert_allclose(P, EXPECTED[name]["probabilities"], atol=1e-5 if P.dtype == np.float32 else 1e-12)


@every_run
@pytest.mark.parametrize("slot", SLOTS)
def test_checkpoints_are_read_bit_for_bit(name, slot, copied):
    expected = EXPECTED[name]["checkpoints"][slot]
    arrays, plain = Checkpoints(copied(name, slot)).load()
    assert {key: checksum(array) for key, array in arrays.items()} == expected["arrays"]
    assert plain["step"] == expected["step"]


@every_run
def test_the_newest_checkpoint_is_loaded(name):
    _, plain = Checkpoints(Run.open(GOLDEN / name)).load()
    assert plain["step"] == max(expected["step"] for expected in EXPECTED[name]["checkpoints"].values())


@every_run
def test_records_and_configuration_are_read_unchanged(name):
    run = Run.open(GOLDEN / name)
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [json.loads(json.dumps(record.to_json())) for record in run.records()] == lines
    assert run.config() == json.loads((run.folder / "config.json").read_text("utf-8"))


@every_run
@pytest.mark.parametrize("slot", SLOTS)
def test_an_interrupted_run_is_finished_with_the_same_result(name, slot, copied):
    run, tolerance = copied(name, slot), TOLERANCE[name]
    before = {record.epoch: record for record in run.records()}
    step = EXPECTED[name]["checkpoints"][slot]["step"]
    type_words("train", "--resume", run.folder, "--threads", 1)

    records, expected = run.records(), EXPECTED[name]["records"]
    assert all(record == before[record.epoch] for record in records if record.step < step)
    assert len(records) == len(expected)
    for key in expected[0].keys() - TIMES - {"gradient_norm"}:  # once a mean over the epoch, now that of its last step
        now, then = [getattr(record, key) for record in records], [record[key] for record in expected]
        if key in NOT_NUMBERS:
            now, then = ([[line.replace(*REWORDED) for line in lines] for lines in column] for column in (now, then))
            assert now == then
        else:
            now, then = np.array(now, float), np.array(then, float)  # None becomes NaN
            np.testing.assert_allclose(now, then, rtol=tolerance, atol=tolerance, err_msg=key)

    model, finished = run.model(), byhand.Model.load(GOLDEN / f"{name}.safetensors")
    assert model.metadata["ending"] == finished.metadata["ending"]
    images = byhand.load("mnist-5k").test.images[:100]
    np.testing.assert_allclose(model.probabilities(images), finished.probabilities(images), rtol=0, atol=tolerance)
    for vector in ("parameters", "statistics"):
        now, then = getattr(model.network, vector), getattr(finished.network, vector)
        assert now.dtype == then.dtype
        np.testing.assert_allclose(now, then, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_an_interrupted_ensemble_is_finished(tmp_path):
    folder, expected = shutil.copytree(GOLDEN / "ensemble", tmp_path / "ensemble"), FOLDERS["ensemble"]
    first = Run(folder / "member-1").model()
    assert checksum(first.network.parameters) == expected["first"]
    type_words("train", "--resume", folder, "--threads", 1)
    reader = load_reader(folder)
    images = byhand.load("mnist-5k").test.images[[3, 500, 911]]
    np.testing.assert_allclose(reader.probabilities(images), expected["probabilities"], atol=1e-9)
    metadata = Run(folder).config()["card"]
    assert {**metadata, "recipe": None} == {**expected["card"], "recipe": None}


@pytest.mark.slow
def test_an_interrupted_sweep_is_finished(tmp_path):
    needs("optuna")
    folder, expected = shutil.copytree(GOLDEN / "sweep", tmp_path / "sweep"), FOLDERS["sweep"]
    found = [json.loads(path.read_text("utf-8")) for path in sorted((folder / "trials").glob("*.json"))]
    assert [trial["status"] for trial in found] == expected["statuses"]
    type_words("sweep", "--resume", folder, "--jobs", 1)
    found = [json.loads(path.read_text("utf-8")) for path in sorted((folder / "trials").glob("*.json"))]
    assert len(found) == len(expected["trials"])
    for now, then in zip(found, expected["trials"], strict=True):
        assert (now["values"], now["status"]) == (then["values"], then["status"])
        assert now["records"][-1]["validation_accuracy"] == then["accuracy"]


def test_a_playground_is_resumed(tmp_path):
    from byhand.play.playground import Playground
    from byhand.play.storage import setup_of

    kept, expected = Run.open(shutil.copytree(GOLDEN / "playground", tmp_path / "playground")), FOLDERS["playground"]
    model = byhand.Model([784, 2, 10], seed=9)
    playground = Playground.resume(kept, model, "a model", byhand.load("mnist-5k"), setup_of(kept))
    assert playground.step_number == expected["step"]
    assert checksum(playground.model.network.parameters) == expected["left"]
    assert [record.epoch for record in playground.curve.epochs] == expected["epochs"]
    for _ in range(20):
        playground.step()
    np.testing.assert_allclose(playground.model.network.parameters, expected["later"], atol=1e-5)
    playground.close()
