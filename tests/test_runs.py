"""A run's folder: round trips, and untrusted content, which is read or rejected in one line."""

import json

import pytest

from byhand.errors import ModelFileError, UsageError
from byhand.training import steps
from byhand.training.runs import CONFIG, METRICS, MODEL, Run, load_model, next_number, versions
from helpers import model_file_mutations, small_run


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    return run


def records():
    with small_run.session(chosen=small_run.recipe(epochs=2)) as session:
        for _ in steps(session):
            pass
        return session.progress.records


def test_records_are_restored(run):
    written = records()
    run.write_records(written)
    assert run.records() == written
    assert len((run.folder / METRICS).read_text().splitlines()) == 2


def test_the_config_is_restored_with_versions(run):
    run.write_config({"seed": 3, "text": "größer"})
    assert run.config() == {"seed": 3, "text": "größer", "made_with": versions()}


def test_a_model_is_loaded_from_folder_or_file(run):
    model = small_run.model()
    model.save(run.model_path)
    images = small_run.digits().images
    for loaded in (run.model(), load_model(run.folder), load_model(run.folder / MODEL)):
        assert (loaded.logits(images) == model.logits(images)).all()


def test_a_folder_with_only_a_model_has_no_config_and_no_records(run):
    assert run.config() == {}
    assert run.records() == []


def test_new_runs_are_numbered_from_the_highest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(Run.new().folder) == "runs/001"
    for name in ("007", "notes", "12x", "99999999999999", "-3", "../13"):
        (tmp_path / "runs" / name).mkdir(parents=True, exist_ok=True)
    assert next_number(tmp_path / "runs") == "008"


def test_a_folder_with_content_is_not_used(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"the run's folder must be new or empty, got .*mine: name another"):
        Run.new(tmp_path / "mine")
    with pytest.raises(UsageError, match="must be new or empty"):
        Run.new(tmp_path / "mine" / "thesis.txt")


def test_a_missing_run_or_model_is_reported(tmp_path, run):
    with pytest.raises(ModelFileError, match="no such run: create one with byhand train"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(ModelFileError, match=r"no model.safetensors in this folder"):
        run.model()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a JSON object, got ''"),
        (b"[1]", r"must be a JSON object, got '\[1\]'"),
        (b'{"a": \xff}', "must be UTF-8 text, byte 6 is not"),
        (b"[" * 100_000, "JSON must be nested at most 20 deep"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "JSON must be nested at most 20 deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "must be a JSON object, got '"),
    ],
)
def test_an_invalid_config_is_rejected(run, content, message):
    (run.folder / CONFIG).write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        run.config()


def line(**changes):
    return json.dumps(records()[0].to_json() | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": "1"}, {"epoch": True}, {"epoch": -1}, {"epoch": 2**63}, {"loss": None}, {"loss": "0.1"},
        {"loss": 10**400}, {"accuracy": []}, {"dead": 3}, {"dead": ["x"]}, {"warnings": [1]}, {"warnings": None},
        {"validation_loss": "x"}, {"extra": 1}, {"step": 1.5}, {"images_per_second": {}},
    ],
)  # fmt: skip
def test_a_record_with_wrong_types_is_rejected(run, changes):
    (run.folder / METRICS).write_text(f"{line()}\n{line(**changes)}\n")
    with pytest.raises(ModelFileError, match=r"metrics\.jsonl: each line must be an epoch record"):
        run.records()


def test_a_record_nested_too_deep_is_rejected(run):
    (run.folder / METRICS).write_text(f"{line()}\n{'[' * 50_000}\n")
    with pytest.raises(ModelFileError, match="JSON must be nested at most 20 deep"):
        run.records()


def test_a_file_larger_than_the_limit_is_not_read_from_a_run(run):
    for name, read in ((CONFIG, run.config), (METRICS, run.records)):
        with (run.folder / name).open("wb") as file:
            file.truncate(1 << 40)  # a sparse file
        with pytest.raises(ModelFileError, match="must have at most 64,000,000 bytes, got 1,099,511,627,776"):
            read()


@pytest.mark.parametrize("numbers", [range(60), pytest.param(range(60, 600), marks=pytest.mark.slow)], ids=repr)
@pytest.mark.parametrize("name", ["config", "records"])
def test_mutated_files_are_read_or_rejected(name, numbers, tmp_path):
    found = model_file_mutations.outcomes(name, tmp_path, numbers)
    assert found["read"] > len(numbers) / 12
    assert found["refused"] > len(numbers) / 12
