"""A run's folder: round trips, and untrusted content, which is read or rejected in one line."""

import json

import pytest

from byhand.errors import ModelFileError, UsageError
from byhand.files import lock
from byhand.training import runs as module
from byhand.training import steps
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import (
    CONFIG,
    METRICS,
    MODEL,
    START,
    STATE,
    Run,
    holds_no_step,
    load_model,
    next_number,
    versions,
)
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


def begun(folder, *, taken=0):
    """Write the first files of a run, as far as a process may have come before it was killed."""
    run, held = Run.take(folder)
    with small_run.session() as session, Checkpoints(run, held=held) as checkpoints:
        run.write_config({"seed": 3})
        for _ in zip(range(taken), steps(session), strict=False):
            pass
        checkpoints.save(session, force=True)
    return run


def killed_before_a_checkpoint(folder):
    Run(folder).write_config({})
    (folder / STATE).mkdir()
    (folder / STATE / "lock").touch()
    (folder / STATE / ".a.safetensors.0123456789ab.part").write_bytes(b"half")
    (folder / START).write_bytes(b"weights")


def killed_before_a_step(folder):
    begun(folder)
    Run(folder).write_records([])


def killed_before_all_members(folder):
    begun(folder / "member-1")
    killed_before_a_checkpoint(folder / "member-2")


@pytest.mark.parametrize("killed", [killed_before_a_checkpoint, killed_before_a_step, killed_before_all_members])
def test_a_folder_that_holds_no_step_is_new(tmp_path, killed):
    killed(tmp_path / "run")
    assert holds_no_step(tmp_path / "run")
    run, held = Run.take(tmp_path / "run")
    with held:
        left = sorted(str(path.relative_to(run.folder)) for path in run.folder.rglob("*"))
    assert left == [STATE, f"{STATE}/lock"]


@pytest.mark.parametrize(
    "name", ["config.json", "metrics.jsonl", "model.safetensors", "start.safetensors", "state/notes", "member-1/notes"]
)
def test_a_file_of_the_user_is_never_taken_for_a_beginning(tmp_path, name):
    killed_before_a_checkpoint(tmp_path / "run") if "/" in name else (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / name).write_text('{"mine": 1}')
    assert not holds_no_step(tmp_path / "run")
    with pytest.raises(UsageError, match="must be new or empty"):
        Run.take(tmp_path / "run")
    assert (tmp_path / "run" / name).read_text() == '{"mine": 1}'


def test_a_folder_that_holds_a_step_is_not_new(tmp_path):
    begun(tmp_path / "run", taken=1)
    begun(tmp_path / "ensemble" / "member-1", taken=1)
    assert not holds_no_step(tmp_path / "run")
    assert not holds_no_step(tmp_path / "ensemble")


def racing(monkeypatch, other):
    """Let another process act between the first look at a folder and taking it."""
    look, acts = module.new_folder, iter([other])

    def looked(*arguments):
        found = look(*arguments)
        next(acts, lambda: None)()
        return found

    monkeypatch.setattr(module, "new_folder", looked)


def test_a_run_that_another_process_finished_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    racing(monkeypatch, lambda: begun(tmp_path / "run", taken=2))
    with pytest.raises(UsageError, match="must be new or empty"):
        Run.take(tmp_path / "run")
    assert Checkpoints(Run(tmp_path / "run")).load()[1]["step"] == 2


def test_of_two_runs_without_a_folder_the_second_takes_the_next_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    others = []
    racing(monkeypatch, lambda: others.append(Run.take()))
    run, held = Run.take()
    assert (str(others[0][0].folder), str(run.folder)) == ("runs/001", "runs/002")
    held.close()
    others[0][1].close()


@pytest.mark.parametrize("name", [METRICS, CONFIG, MODEL, STATE, f"{STATE}/a.safetensors"])
def test_a_link_in_the_folder_of_a_run_is_not_followed(tmp_path, name):
    begun(tmp_path / "run", taken=1)
    path = tmp_path / "run" / name
    path.rename(tmp_path / "elsewhere") if path.exists() else (tmp_path / "elsewhere").write_text("mine")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"{name}: must be a file of the run, got a link"):
        Checkpoints(Run(tmp_path / "run")).lock()


def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    run = begun(tmp_path / "run", taken=1)
    parts = [run.folder / f".{name}.0123456789ab.part" for name in (CONFIG, METRICS, MODEL, "mine")]
    for part in parts:
        part.touch()
    run.lock().close()
    assert [part for part in parts if part.exists()] == parts[3:]


def test_a_record_is_appended_unless_the_file_has_changed(run):
    written = records()
    size = run.write_records(written[:1])
    before = (run.folder / METRICS).stat().st_ino
    size = run.write_records(written, size)
    assert run.records() == written
    assert (run.folder / METRICS).stat().st_ino == before
    (run.folder / METRICS).unlink()
    run.write_records(written, size)
    assert run.records() == written


def test_a_record_that_was_cut_off_is_left_out(run):
    written = records()
    run.write_records(written)
    with (run.folder / METRICS).open("ab") as file:
        file.write(b'{"epoch": 3, "st')
    assert run.records() == written


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
