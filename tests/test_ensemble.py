"""Ensembles: predictions, and members trained in processes that can be interrupted, killed and resumed."""

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import byhand
from byhand.distributed.ensemble import MemberFailedError, is_over, train_ensemble, train_members
from byhand.errors import ModelFileError, UsageError
from byhand.model.ensemble import Ensemble
from byhand.nn.losses import softmax
from byhand.training import fit, preset
from byhand.training.recipe import with_overrides
from byhand.training.runs import Run, load_model, load_reader
from helpers import processes
from helpers.needs import needs

TINY = ["--data", "mnist-5k", "--preset", "fast", "--samples", "800", "--hidden", "8", "--batch-size", "64"]
#: Arguments of a member's process besides its folder.
SETTINGS = {"data": None, "offline": True, "checkpoint_every": 30.0}
SHORT = [*TINY, "--epochs", "3"]
#: A member writes 110 kB of progress, more than its pipe and that of `begun` hold, so it can't end before its output is
#: read: a test may interrupt it at any time after its first epoch, on a busy machine too.
LONG = [*TINY, "--samples", "128", "--epochs", "1300"]


def type_in(folder, *words, **more):
    """Run a command in a process of its own."""
    return processes.byhand(*words, cwd=folder, timeout=None, **more)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an ensemble of two in `c`, and the same two networks trained alone in `a` and `b`."""
    folder = tmp_path_factory.mktemp("ensembles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = processes.command("train", *SHORT, "--committee", 2, "--seed", 5, "--run", "c", "--json")
        (folder / "c.json").write_text(made.stdout)
        for name, seed in (("a", 5), ("b", 6)):
            processes.command("train", *SHORT, "--seed", seed, "--threads", 1, "--run", name)
    return folder


@pytest.fixture
def run(monkeypatch, type_in, home):
    """Run a command in the folder of the ensembles: (exit code, stdout, stderr)."""
    monkeypatch.chdir(home)
    return type_in


def test_probabilities_are_the_mean_over_the_members():
    images = byhand.load("mnist-5k").test.images[:20]
    members = [byhand.Model([784, 6, 10], seed=seed, dtype=np.float64) for seed in (1, 2, 3)]
    ensemble = Ensemble(members)
    P = (
        softmax(members[0].logits(images)) + softmax(members[1].logits(images)) + softmax(members[2].logits(images))
    ) / 3
    np.testing.assert_allclose(ensemble.probabilities(images), P, rtol=1e-12)
    np.testing.assert_allclose(softmax(ensemble.logits(images)), P, rtol=1e-12)
    np.testing.assert_array_equal(ensemble.predict(images), P.argmax(axis=1))
    assert len(ensemble) == 3
    assert ensemble.size == 3 * members[0].network.size
    assert "Ensemble of 3" in repr(ensemble)


def test_probabilities_are_averaged_rather_than_votes_or_logits():
    """Probabilities are averaged, not votes and not logits: (0.55 + 0.55 + 0)/3 < (0.45 + 0.45 + 1)/3."""
    sure = byhand.Model([4, 2], seed=0, dtype=np.float64)
    members = [sure, *(byhand.Model([4, 2], seed=0, dtype=np.float64) for _ in range(2))]
    for member, probability in zip(members, (1e-9, 0.55, 0.55), strict=True):
        member.network.parameters[...] = 0
        member.network.dense[-1].b[...] = np.log([probability, 1 - probability])
    image = np.zeros((1, 2, 2), np.uint8)
    ensemble = Ensemble(members)
    assert [int(member.predict(image)[0]) for member in members] == [1, 0, 0]
    np.testing.assert_allclose(ensemble.probabilities(image), [[1.1 / 3, 1.9 / 3]], atol=1e-8)
    assert ensemble.predict(image)[0] == 1


def test_logits_are_finite_if_a_probability_is_0():
    member = byhand.Model([4, 2], seed=0)
    member.network.parameters[...] = 0
    member.network.dense[-1].b[...] = 1e4, -1e4
    logits = Ensemble([member, member]).logits(np.zeros((3, 2, 2), np.uint8))
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(softmax(logits), [[1, 0]] * 3, atol=1e-300)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "at least 1 member, got none"),
        ([[784, 10], [784, 9]], "member 2 has 784 pixels and 9 classes, the first 784 and 10"),
        ([[784, 10], [100, 10]], "member 2 has 100 pixels and 10 classes"),
    ],
)
def test_members_of_different_shapes_are_rejected(members, message):
    with pytest.raises(UsageError, match=message):
        Ensemble([byhand.Model(sizes, seed=0) for sizes in members])


@pytest.mark.slow
def test_members_equal_runs_trained_alone(home):
    for member, alone in (("c/member-1", "a"), ("c/member-2", "b")):
        one, other = load_model(home / member), load_model(home / alone)
        np.testing.assert_array_equal(one.network.parameters, other.network.parameters)


@pytest.mark.slow
def test_train_ensemble_gives_the_same_networks_as_the_command(home, tmp_path):
    digits = byhand.load("mnist-5k")
    settings = {"hidden": (8,), "batch_size": 64, "epochs": 3}

    def untrained(seed):
        return with_overrides(preset("fast"), settings, in_size=784, classes=digits.train.classes, seed=seed)

    result = train_ensemble(
        tmp_path / "e",
        lambda seed: untrained(seed)[0],
        digits.train[:800],
        untrained(0)[1],
        seeds=(5, 6),
        test=digits.test,
        offline=True,
    )
    expected = load_reader(home / "c")
    assert result.ensemble.metadata["test"] == expected.metadata["test"]
    for one, other in zip(result.ensemble.members, expected.members, strict=True):
        np.testing.assert_array_equal(one.network.parameters, other.network.parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": ()}, "at least one seed"),
        ({"jobs": 0}, "jobs must be a positive integer, got 0"),
        ({"data": (np.zeros((3, 4)), np.zeros(3, int))}, "must be a data set that byhand.load can load"),
    ],
)
def test_invalid_arguments_leave_no_folder(tmp_path, change, message):
    arguments = {"data": byhand.load("mnist-5k"), "seeds": (0,), **change}
    with pytest.raises(UsageError, match=message):
        train_ensemble(tmp_path / "e", byhand.Model, recipe=preset("fast").recipe, **arguments)
    assert not (tmp_path / "e").exists()


@pytest.mark.slow
def test_every_preset_can_be_used_for_ensembles(tmp_path):
    tiny = ["--data", "mnist-5k", "--samples", 300, "--epochs", 1, "--hidden", "6,5"]
    made = type_in(tmp_path, "train", "--preset", "record", "--committee", 1, *tiny, "--run", "r", "--json")
    assert made.returncode == 0, made.stderr
    (member,) = load_reader(tmp_path / "r").members
    assert member.metadata["recipe"]["optimizer"]["kind"] == "adamw"
    assert member.metadata["recipe"]["augment"] == preset("best").recipe.augment
    assert member.preparation.deskew


@pytest.mark.slow
def test_json_of_train_has_the_accuracies_of_all_members(home):
    result = json.loads((home / "c.json").read_text())
    test = byhand.load("mnist-5k").test
    ensemble = load_reader(home / "c")
    assert isinstance(ensemble, Ensemble)
    assert result["test_accuracy"] == ensemble.accuracy(test) == ensemble.metadata["test"]["accuracy"]
    assert result["members_test_accuracy"] == [load_model(home / name).accuracy(test) for name in "ab"]
    assert (result["committee"], result["seeds"], result["ending"]) == (2, [5, 6], "done")
    assert result["network"] == "2 × 784-8-10"


@pytest.mark.slow
def test_eval_predict_and_compare_accept_an_ensemble(home, run, monkeypatch):
    code, out, _ = run("eval", "c", "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == json.loads((home / "c.json").read_text())["test_accuracy"]

    image = byhand.load("mnist-5k").test.images[3]
    monkeypatch.setattr("sys.stdin", io.StringIO(" ".join(map(str, image.ravel()))))
    code, out, _ = run("predict", "-", "--run", "c", "--json", "--top", "10")
    guesses = {guess["class"]: guess["probability"] for guess in json.loads(out)[0]["guesses"]}
    P = (load_model(home / "a").probabilities(image[None]) + load_model(home / "b").probabilities(image[None]))[0] / 2
    assert code == 0
    np.testing.assert_allclose([guesses[str(k)] for k in range(10)], P, rtol=1e-5)

    code, out, _ = run("compare", "c", "a")
    assert code == 0
    assert "2 × 784-8-10" in out
    assert "12,740" in out
    assert "card" not in out


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("export", "c", "--to", "npz", "-o", "x.npz"),
        ("explain", "c"),
        ("play", "c"),
        ("check", "c"),
        ("eval", "c", "--html", "x.html"),
    ],
)
def test_commands_for_a_single_network_reject_an_ensemble(home, run, words):
    code, _, err = run(*words)
    assert code == ModelFileError.exit_code
    assert "c is an ensemble of 2 networks: pass a member, such as c/member-1" in err
    assert not list(home.glob("x.*"))


@pytest.mark.parametrize("count", ["two", -1, True, 10**9, None, 1.5])
def test_an_invalid_number_of_members_is_rejected(tmp_path, count):
    (tmp_path / "config.json").write_text(json.dumps({"committee": count}))
    with pytest.raises(ModelFileError, match=r"must be an integer from 1 to 1000, got|no model\.safetensors"):
        Run.open(tmp_path).reader()


def begun(folder, *words):
    """Start `byhand train --committee`; return the process after a member's first epoch."""
    command = [sys.executable, "-m", "byhand", "train", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "pipesize": 4096}
    process = subprocess.Popen(command, cwd=folder, text=True, **pipes)
    assert any("epoch" in line for line in process.stderr), process.wait()
    return process


def unbroken(seed):
    """Return the parameters of an uninterrupted LONG run, trained here."""
    digits = byhand.load("mnist-5k")
    settings = {"hidden": (8,), "batch_size": 64, "epochs": 1300, "threads": 1}
    model, recipe = with_overrides(preset("fast"), settings, in_size=784, classes=digits.train.classes, seed=seed)
    fit(model, digits.train[:128], recipe=recipe, seed=seed)
    return model.network.parameters


@pytest.mark.slow
@pytest.mark.timing
def test_an_interrupted_ensemble_resumes_to_bit_identical_members(tmp_path):
    process = begun(tmp_path, *LONG, "--committee", "2", "--run", "broken", "--threads", "2")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "resume with:  byhand train --resume broken" in err
    assert not all(is_over(member) for member in Run(tmp_path / "broken").members)

    # The members end by themselves after a kill, because the pipe of their output is closed.
    killed = [sys.executable, "-m", "byhand", "train", "--resume", "broken"]
    process = subprocess.Popen(killed, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any("epoch" in line for line in process.stderr)
    process.kill()
    process.communicate()

    for _ in range(600):
        done = type_in(tmp_path, "train", "--resume", "broken", "--json")
        if "another process is training this run" not in done.stderr:
            break
        time.sleep(0.1)
    assert done.returncode == 0, done.stderr
    for seed, member in enumerate(load_reader(tmp_path / "broken").members):
        np.testing.assert_array_equal(member.network.parameters, unbroken(seed))


@pytest.mark.slow
def test_a_finished_ensemble_is_not_trained_again(run):
    code, out, err = run("train", "--resume", "c")
    assert code == 0
    assert "member-" not in err
    assert "ensemble, 2 × 784-8-10 on mnist-5k" in out


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--committee", "2"), ("--resume", "c")])
def test_the_number_of_threads_must_be_positive(home, run, words):
    code, _, err = run("train", "--data", "mnist-5k", *words, "--threads", "0")
    assert code == UsageError.exit_code
    assert "threads must be a positive integer, got 0" in err
    assert not (home / "runs").exists()


@pytest.mark.slow
def test_resume_cannot_change_an_ensemble(run):
    code, _, err = run("train", "--resume", "c", "--epochs", "5", "--committee", "3")
    assert code == UsageError.exit_code
    assert f"only, got {', '.join(['committee', 'epochs'])}" in err
    code, _, err = run("train", "--resume", "a", "--committee", "2")
    assert code == UsageError.exit_code
    assert "a is the run of one network: an ensemble needs a new run" in err
    code, _, err = run("train", "--resume", "c", "--seed", "9")
    assert code == UsageError.exit_code
    assert "only, got seed" in err


@pytest.mark.slow
def test_a_failing_member_is_reported_and_the_others_are_trained(home, tmp_path):
    shutil.copytree(home / "c", tmp_path / "c")
    members = Run(tmp_path / "c").members
    for member in members:
        member.model_path.unlink()
    with pytest.raises(ModelFileError, match="member-1: this member of the ensemble has no model yet"):
        load_reader(tmp_path / "c")
    for state in (members[0].folder / "state").glob("*.safetensors"):
        state.write_bytes(b"damaged")
    messages = []
    with pytest.raises(MemberFailedError, match=r"member-1: no valid checkpoint") as failed:
        train_members(members, jobs=1, stop=threading.Event(), on_message=messages.append, **SETTINGS)
    assert failed.value.exit_code == ModelFileError.exit_code
    assert not is_over(members[0])
    assert is_over(members[1])
    assert any(line.startswith("member-2: ") for line in messages)


@pytest.mark.slow
@pytest.mark.timing
def test_a_killed_member_is_reported_and_can_be_resumed(tmp_path):
    process = begun(tmp_path, *LONG, "--committee", "2", "--run", "c", "--threads", "2")
    psutil = needs("psutil")
    victim = next(p for p in psutil.Process(process.pid).children() if "member-1" in p.cmdline()[-1])
    victim.kill()
    _, err = process.communicate()
    assert process.returncode == 1
    assert re.search(r"member-1: its process was killed \(exit code -9\).*byhand train --resume c", err)
    first, second = Run(tmp_path / "c").members
    assert (is_over(first), is_over(second)) == (False, True)
    assert type_in(tmp_path, "train", "--resume", "c").returncode == 0
    np.testing.assert_array_equal(first.model().network.parameters, unbroken(0))


@pytest.mark.slow
def test_no_member_is_started_after_a_stop_request(home, tmp_path):
    shutil.copytree(home / "c", tmp_path / "c")
    members = Run(tmp_path / "c").members
    members[1].model_path.unlink()
    stop, messages = threading.Event(), []
    stop.set()
    assert not train_members(members, jobs=1, stop=stop, on_message=messages.append, **SETTINGS)
    assert messages == []
