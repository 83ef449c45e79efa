"""A run's folder: round trips, and untrusted content, which is read or rejected in one line."""

import json

import pytest

from byhand.errors import ModelFileError, UsageError
from byhand.files import lock
from byhand.training import steps
from byhand.training.runs import CONFIG, METRICS, MODEL, STATE, Run, load_model, next_number, versions
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
    run.write_config({"seed": 3, "command": "größer"})
    assert run.config() == {"seed": 3, "command": "größer", "made_with": versions()}


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
    for name, read, most in ((CONFIG, run.config, "1,000,000"), (METRICS, run.records, "64,000,000")):
        with (run.folder / name).open("wb") as file:
            file.truncate(1 << 40)  # a sparse file
        with pytest.raises(ModelFileError, match=f"must have at most {most} bytes, got 1,099,511,627,776"):
            read()


@pytest.mark.parametrize("numbers", [range(60), pytest.param(range(60, 600), marks=pytest.mark.slow)], ids=repr)
@pytest.mark.parametrize("name", ["config", "records"])
def test_mutated_files_are_read_or_rejected(name, numbers, tmp_path):
    found = model_file_mutations.outcomes(name, tmp_path, numbers)
    assert found["read"] > len(numbers) / 12
    assert found["refused"] > len(numbers) / 12


@pytest.fixture
def home(run, type_in, monkeypatch, tmp_path):
    """Three runs in `runs/`, made in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for number, accuracy in enumerate((0.91, 0.93, None), start=1):
        one = Run.new()
        one.folder.mkdir(parents=True)
        model = small_run.model()
        model.metadata["data"] = {"name": "mnist", "images": 100}
        if accuracy is not None:
            model.metadata["test"] = {"name": "mnist", "images": 1000, "accuracy": accuracy}
        model.save(one.model_path)
        one.write_config({"command": f"byhand train --seed {number}", "recipe": {"epochs": number}})
    return tmp_path / "runs"


def test_runs_are_listed_within_40_columns(home, type_in):
    code, out, err = type_in("runs", "list")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["runs/001", "91.00"],
        ["runs/002", "93.00"],
        ["runs/003", "–"],
    ]
    assert max(map(len, out.splitlines())) <= 40


def test_the_best_run_is_printed_for_a_shell(home, type_in):
    assert type_in("runs", "best", "-q") == (0, "runs/002\n", "")
    assert type_in("runs", "best", "--data", "kmnist")[2] == "byhand: runs: no run with a test accuracy on kmnist\n"
    assert json.loads(type_in("runs", "best", "--json")[1])["test_accuracy"] == 0.93


def test_only_the_files_of_a_run_are_deleted(home, type_in):
    (home / "002" / "notes.txt").write_text("mine")
    assert type_in("runs", "delete", "runs/001", "runs/002")[2] == "byhand: deleting needs a confirmation: add --yes\n"
    assert (home / "001").exists()
    err = type_in("runs", "delete", "-y", "runs/001", "runs/002")[2]
    assert err == "deleted runs/001\ndeleted the run in runs/002; other files are kept\n"
    assert not (home / "001").exists()
    assert [path.name for path in (home / "002").iterdir()] == ["notes.txt"]
    assert type_in("runs", "delete", "-y", "runs/002")[0] == 2
    assert (
        type_in("runs", "delete", "-y", "runs")[2] == "byhand: runs: not the folder of a run: it has no config.json\n"
    )


def test_a_run_in_training_is_not_deleted(home, type_in):
    (home / "001" / STATE).mkdir()
    with lock(home / "001" / STATE / "lock", "busy"):
        code, _, err = type_in("runs", "delete", "-y", "runs/001")
    assert (code, err) == (2, "byhand: runs/001: another process is training this run\n")
    assert (home / "001" / MODEL).exists()


def test_info_shows_the_facts_of_a_run(home, type_in):
    facts = json.loads(type_in("info", "runs/001", "--json")[1])
    assert (facts["data"], facts["test_accuracy"], facts["settings"]) == ("mnist", 0.91, {"epochs": 1})
    assert set(facts["files"]) == {CONFIG, MODEL}
    out = type_in("info", "runs/001")[1]
    assert "test accuracy  91.00 % of 1,000 images (95 % interval" in out
    assert type_in("info", "runs/001/model.safetensors")[1] == out
    (home / "001" / MODEL).rename(home / "001" / "best.safetensors")
    assert "run            runs/001/best.safetensors" in type_in("info", "runs/001/best.safetensors")[1]


def test_a_damaged_run_is_reported_and_the_others_listed(home, type_in):
    (home / "002" / MODEL).write_bytes(b"x")
    code, out, err = type_in("runs", "list")
    assert (code, len(out.splitlines()), len(err.splitlines())) == (0, 2, 1)
    assert type_in("runs")[1] == out


def test_a_model_card_names_data_accuracy_and_limitations(home, type_in, tmp_path):
    code, out, _ = type_in("card", "runs/001")
    assert code == 0
    for words in ("# Model card: ", "data: mnist (100 images)", "91.00 % of 1,000", "## Limitations", "train --seed 1"):
        assert words in out
    type_in("card", "runs/001", "-o", tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text("utf-8") == out
