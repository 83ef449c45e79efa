"""Sweeps: sampled settings, pruning, and workers that are killed. With real processes."""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import byhand
from byhand.cli.group import cli
from byhand.distributed.engines import Dask, Local, WorkerDiedError
from byhand.distributed.space import Space
from byhand.distributed.sweep import DONE, FAILED, PRUNED, RUNNING, Folder, Result, Trial, advance, resume, sweep
from byhand.errors import ByhandError, DataError, ModelFileError, StorageError, UsageError
from helpers import processes
from helpers.needs import needs
from helpers.waiting import until

psutil = needs("psutil", "optuna", "joblib")
pytestmark = pytest.mark.slow

SPACE = {
    "fixed": {"epochs": 5, "samples": 300, "deskew": False},
    "search": {
        "learning_rate": {"low": 0.003, "high": 1.0, "log": True},
        "hidden": {"choices": ["16", "32", "32,16"]},
        "dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    },
}
TOML = """
[fixed]
epochs = 5
samples = 300
deskew = false
[search]
learning_rate = { low = 0.003, high = 1.0, log = true }
hidden = { choices = ["16", "32", "32,16"] }
dropout = { low = 0.0, high = 0.5, step = 0.1 }
"""


class Here:
    """An engine without processes: work is done when its result is requested."""

    jobs = 1

    def __init__(self):
        self.work, self.done, self.most = [], [], 10**9

    def submit(self, key, function, *arguments):
        self.work.append((key, function, arguments))

    def next(self, timeout):
        key, function, arguments = self.work.pop(0)
        self.done.append(key)
        if len(self.done) > self.most:
            raise KeyboardInterrupt
        try:
            return key, function(*arguments)
        except Exception as error:
            return key, error

    def close(self):
        pass


def outcome(result):
    """Return the result of a sweep without its times."""
    return [
        (t.number, t.status, t.values, [(r.epoch, r.loss, r.validation_accuracy) for r in t.records])
        for t in result.trials
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted sweep, one trial at a time."""
    folder = Folder.new(tmp_path_factory.mktemp("sweeps") / "whole")
    return sweep(Space.from_config(SPACE), trials=12, data="mnist-5k", folder=folder, engine=Here(), offline=True)


def test_a_sweep_finds_a_good_trial_and_prunes_poor_ones(whole):
    assert len(whole.trials) == 12
    assert {trial.status for trial in whole.trials} == {DONE, PRUNED}
    assert whole.best.accuracy == max(t.accuracy for t in whole.trials if t.status == DONE)
    pruned = [trial for trial in whole.trials if trial.status == PRUNED]
    assert all(len(trial.records) < 5 for trial in pruned)
    assert all(len(trial.records) == 5 for trial in whole.trials if trial.status == DONE)
    assert set(whole.importances) == set(SPACE["search"])


def test_the_folder_has_a_table_and_a_page_but_no_state(whole):
    rows = list(csv.DictReader((whole.folder.path / "trials.csv").read_text().splitlines()))
    assert [int(row["trial"]) for row in rows] == list(range(12))
    assert float(rows[whole.best.number]["validation_accuracy"]) == whole.best.accuracy
    assert {row["hidden"] for row in rows} <= {"16", "32", "32,16"}
    page = (whole.folder.path / "sweep.html").read_text()
    assert page.count("<polyline") >= 12
    assert "byhand train --preset digits --data mnist-5k --seed 0" in page
    assert page.count("<script") == 1  # sorts the table
    assert page.count("<title>trial ") == sum(trial.status == DONE for trial in whole.trials)
    assert not list(whole.folder.path.rglob("*.safetensors"))


def test_the_best_trials_command_trains_the_same_network(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = Space.from_config(SPACE).command(whole.best.values, data="mnist-5k", seed=0).split()[1:]
    done = CliRunner().invoke(cli, [*words, "--threads", "1", "--offline", "--quiet", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["validation_accuracy"] == whole.best.accuracy


def test_partial_advances_equal_an_uninterrupted_run(whole):
    digits = byhand.load("mnist-5k").train[:300]
    config = {"space": SPACE, "data": "mnist-5k", "checksum": digits.checksum, "seed": 0}
    at_once, is_over = advance(config, whole.best.values, None, 5, True)
    first, first_is_over = advance(config, whole.best.values, None, 2, True)
    rest, rest_is_over = advance(config, whole.best.values, first, 5, True)
    assert (is_over, first_is_over, rest_is_over) == (True, False, True)
    np.testing.assert_array_equal(rest[0]["parameters"], at_once[0]["parameters"])


def test_other_data_on_a_worker_are_rejected():
    config = {"space": SPACE, "data": "mnist-5k", "checksum": "abc", "seed": 0}
    with pytest.raises(DataError, match=r"every worker must have the same data, got checksums .* and abc"):
        advance(config, Space.from_config(SPACE).first(), None, 1, True)


@pytest.mark.parametrize("advances", [1, 7, 23])
def test_a_stopped_sweep_resumes_to_the_same_result(whole, tmp_path, advances):
    """The sweep is stopped in the middle of a trial, whose unsaved work is lost."""
    engine = Here()
    engine.most = advances
    folder = Folder.new(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        sweep(Space.from_config(SPACE), trials=12, data="mnist-5k", folder=folder, engine=engine, offline=True)
    over = {t.number for t in folder.trials() if t.status != RUNNING}
    again = Here()
    assert outcome(resume(folder, engine=again, offline=True)) == outcome(whole)
    assert not over & set(again.done)
    assert len(engine.done) - 1 + len(again.done) == sum(len(t.records) for t in whole.trials)


@pytest.mark.timing
def test_a_killed_sweep_does_not_repeat_finished_trials(whole, tmp_path):
    (tmp_path / "space.toml").write_text(TOML)
    command = [sys.executable, "-m", "byhand", "sweep", "--offline"]
    new = ["--space", "space.toml", "--trials", "12", "--jobs", "1", "--data", "mnist-5k", "--folder", "killed"]
    process = subprocess.Popen([*command, *new], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    trials = tmp_path / "killed" / "trials"
    until(lambda: (trials / "0004.json").exists() and (trials / "0004.safetensors").exists())
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    contents = {path.name: path.read_bytes() for path in trials.glob("*.json")}
    kept = {name: content for name, content in contents.items() if b'"status": "running"' not in content}
    assert 3 <= len(kept) < 12
    _, left = psutil.wait_procs(workers, timeout=300)
    assert not left, "the workers of a sweep that is killed must end too"
    done = processes.run(*command, "--resume", "killed", "--jobs", 1, "--json", cwd=tmp_path, check=True)
    assert {name: (trials / name).read_bytes() for name in kept} == kept
    result = Result(Folder(tmp_path / "killed"), Folder(tmp_path / "killed").trials())
    assert outcome(result) == outcome(whole)
    assert json.loads(done.stdout)["best"]["trial"] == whole.best.number
    assert len([line for line in done.stderr.splitlines() if line.startswith("trial ")]) == 12 - len(kept)


def test_a_finished_sweep_can_be_extended(whole, tmp_path):
    folder = Folder.new(tmp_path / "more")
    space = Space.from_config(SPACE)
    sweep(space, trials=4, data="mnist-5k", folder=folder, engine=Here(), offline=True)
    engine = Here()
    result = resume(folder, trials=6, engine=engine, offline=True)
    assert set(engine.done) == {4, 5}
    assert outcome(result) == outcome(whole)[:6]


def test_a_sweep_is_run_by_one_process_at_a_time(tmp_path):
    lines = []

    def try_another(trial):
        with pytest.raises(StorageError, match="another process is running this sweep"):
            resume(Folder(tmp_path / "one"))
        lines.append(trial.number)

    folder = Folder.new(tmp_path / "one")
    space = Space.from_config(SPACE)
    sweep(space, trials=1, data="mnist-5k", folder=folder, engine=Here(), offline=True, on_trial=try_another)
    assert lines == [0]
    resume(folder, engine=Here(), offline=True)


def victims():
    """The processes of joblib's pool."""
    return [
        p
        for p in psutil.Process().children(recursive=True)
        if "loky" in " ".join(p.cmdline()) and "popen" in " ".join(p.cmdline())
    ]


@pytest.mark.timing
def test_a_killed_worker_is_replaced(whole, tmp_path):
    killed = []

    def kill_one(trial):
        if not killed:
            killed.append(victims()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    folder = Folder.new(tmp_path / "local")
    space = Space.from_config(SPACE)
    result = sweep(space, trials=6, jobs=2, data="mnist-5k", folder=folder, offline=True, on_trial=kill_one)
    assert killed
    assert [t.status in (DONE, PRUNED) for t in result.trials] == [True] * 6
    assert result.best.accuracy > 0.5


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def threads_of_a_worker():
    import threadpoolctl

    return [library["num_threads"] for library in threadpoolctl.threadpool_info()]


@pytest.mark.timing
def test_a_trial_that_kills_every_worker_is_given_up():
    engine = Local(1)
    engine.submit(7, die)
    finished = until(lambda: engine.next(timeout=1))
    assert finished[0] == 7
    assert isinstance(finished[1], WorkerDiedError)
    engine.submit(8, threads_of_a_worker)
    assert set(until(lambda: engine.next(timeout=1))[1]) <= {1}
    engine.close()


def die_within_a_message(marker):
    """Die on the first call like a worker killed while sending: half a message is written, and the lock is held."""
    if marker.exists():
        return "done"
    marker.touch()
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    queue = frame.f_locals["result_queue"]
    queue._wlock.acquire()
    os.write(queue._writer.fileno(), struct.pack("!i", 100_000) + b"half of it")
    return die()


@pytest.mark.timing
def test_a_worker_killed_while_sending_does_not_block_the_others(tmp_path):
    engine = Local(2)
    engine.submit(1, die_within_a_message, tmp_path / "marker")
    engine.submit(2, threads_of_a_worker)
    finished = {}
    while len(finished) < 2:
        key, result = until(lambda: engine.next(timeout=0.2))
        finished[key] = result
    assert finished[1] == "done"
    assert set(finished[2]) <= {1}
    engine.close()


def test_a_pool_leaves_joblib_usable_in_the_same_process():
    joblib = needs("joblib")
    engine = Local(2)
    engine.submit(1, os.getpid)
    assert until(lambda: engine.next(timeout=1))[0] == 1
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in (-1, -2)) == [1, 2]
    engine.close()
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in (-3, -4)) == [3, 4]


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two real processes."""
    distributed = needs("distributed")
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
    ):
        yield cluster


@pytest.mark.timing
def test_a_killed_dask_worker_is_replaced(cluster, tmp_path):
    engine = Dask(cluster.scheduler_address)
    assert engine.jobs == 2
    killed = []

    def kill_one(trial):
        if not killed:
            killed.append(next(iter(engine.client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    folder = Folder.new(tmp_path / "dask")
    space = Space.from_config(SPACE)
    result = sweep(space, trials=6, data="mnist-5k", folder=folder, engine=engine, offline=True, on_trial=kill_one)
    assert killed
    assert [t.status in (DONE, PRUNED) for t in result.trials] == [True] * 6
    best = result.best
    state, _ = advance(folder.config(), best.values, None, 5, True)
    assert state[1]["records"][-1]["validation_accuracy"] == best.accuracy


def test_a_grid_search_of_scikit_learn_runs_on_dask(cluster):
    import joblib
    from distributed import Client
    from sklearn.model_selection import GridSearchCV

    from byhand.sklearn import NetworkClassifier

    train = byhand.load("mnist-5k").train[:300]
    X, y = train.images.reshape(len(train), -1), train.labels
    grid = GridSearchCV(
        NetworkClassifier(max_iter=3, tol=0, learning_rate="one_cycle", random_state=0),
        {"hidden_layer_sizes": [8, 16]},
        cv=2,
    )
    with Client(cluster.scheduler_address), joblib.parallel_config(backend="dask"):
        on_dask = grid.fit(X, y).cv_results_["mean_test_score"]
    here = grid.set_params(n_jobs=1).fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(on_dask, here)


def test_a_wrong_scheduler_address_gives_one_line():
    with pytest.raises(UsageError, match=r"--address must be the address of a Dask scheduler.*got nowhere"):
        Dask("nowhere")


def test_a_diverged_trial_is_recorded_and_the_sweep_continues(tmp_path):
    space = Space.from_config(
        {
            **SPACE,
            "search": {"learning_rate": {"choices": [0.1, 1e30]}},
            "fixed": {**SPACE["fixed"], "optimizer": "sgd"},
        }
    )
    folder = Folder.new(tmp_path / "wild")
    result = sweep(space, trials=6, data="mnist-5k", folder=folder, engine=Here(), offline=True)
    assert {(t.values["learning_rate"], t.status) for t in result.trials} == {(0.1, DONE), (1e30, "diverged")}
    assert "became" in next(t.message for t in folder.trials() if t.status == "diverged")


class Failing(Here):
    """An engine whose work ends with an error."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def next(self, timeout):
        return self.work.pop(0)[0], self.error


def test_errors_of_trials_are_recorded_and_other_errors_raised(tmp_path):
    space = Space.from_config(SPACE)
    with pytest.raises(byhand.ByhandError, match="no trial was completed; trial 0: too odd"):
        sweep(
            space, trials=2, data="mnist-5k", folder=Folder.new(tmp_path / "a"), engine=Failing(UsageError("too odd"))
        )
    assert [t.status for t in Folder(tmp_path / "a").trials()] == [FAILED, FAILED]
    with pytest.raises(ZeroDivisionError):
        sweep(space, trials=2, data="mnist-5k", folder=Folder.new(tmp_path / "b"), engine=Failing(ZeroDivisionError()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search": {}}, "a search space must have at least one setting"),
        ({"search": {"learning_rat": {"low": 1, "high": 2}}}, "must be one of hidden, .*, got 'learning_rat'"),
        ({"search": {"learning_rate": 0.1}}, "search.learning_rate must be an object or table, got 0.1"),
        ({"search": {"learning_rate": {"low": 1}}}, "learning_rate: low and high must be numbers, got 1 and None"),
        ({"search": {"learning_rate": {"low": 2, "high": 1}}}, "low must be less than high, got 2 and 1"),
        ({"search": {"dropout": {"low": 0.0, "high": 0.5, "log": True}}}, "dropout: low must be positive with log"),
        ({"search": {"dropout": {"low": 0.0, "high": 1.5}}}, "dropout must be at least 0 and less than 1, got 1.5"),
        (
            {"search": {"dropout": {"low": 0.0, "hihg": 1.5}}},
            "dropout.hihg is not a key .did you mean high..",
        ),
        ({"search": {"dropout": {"choices": []}}}, "dropout: choices must be a list of strings or numbers"),
        (
            {"search": {"dropout": {"choices": [0.1], "low": 0.0}}},
            "dropout must have either choices or low and high, not both",
        ),
        ({"search": {"dropout": {"low": 0.1, "high": 0.5, "log": True, "step": 0.1}}}, "must have either log or step"),
        ({"search": {"optimizer": {"choices": ["adamm"]}}}, "optimizer must be one of .* got 'adamm'"),
        ({"search": {"hidden": {"choices": ["1,x"]}}}, "hidden must be positive integers separated by commas"),
        ({"search": {"maps": {"choices": ["8,x"]}}}, "maps must be like 32,64 or 16@3/1,32@4/2 .* got '8,x'"),
        ({"search": {"maps": {"choices": ["8@0"]}}}, "size must be a positive integer, got 0"),
        ({"fixed": {}, "search": {"samples": {"choices": [100]}}}, "samples must be under .fixed."),
        ({"search": {"epochs": {"choices": [5]}}}, "epochs must be fixed or searched, not both"),
        ({"fixed": {"validation": 0}}, "validation must be positive, got 0"),
        ({"preset": "digit"}, "preset must be one of digits.* got 'digit'"),
        ({"sarch": {}}, r"sarch is not a key \(did you mean search\?\)"),
        ({"preset": {}}, "preset must be text, got a dict"),
        ({"fixed": []}, "fixed must be an object or table, got a list"),
        ({"search": {"hidden": {"low": 64, "high": 512, "step": -8}}}, "hidden: step must be positive and at most"),
        ({"search": {"hidden": {"low": 64, "high": 512, "step": 0.5}}}, "hidden: step must be an integer between"),
        ({"search": {"hidden": {"low": 64, "high": 512, "step": []}}}, "search.hidden.step must be .*, got \\[\\]"),
        ({"search": {"hidden": {"low": 1, "high": 10**400}}}, "search.hidden.high must be a number from"),
        ({"search": {"dropout": {"choices": [[0.1]]}}}, r"search.dropout.choices\[0\] must be"),
    ],
)
def test_an_invalid_space_is_rejected_by_name(change, message):
    with pytest.raises(UsageError, match=message):
        Space.from_config({**SPACE, **change})


def test_settings_that_the_optimizer_lacks_are_dropped():
    space = Space.from_config(
        {
            "search": {"optimizer": {"choices": ["adam", "momentum"]}, "momentum": {"low": 0.5, "high": 0.9}},
            "fixed": {"epochs": 2},
        }
    )
    assert "momentum" not in space.settings({"optimizer": "adam", "momentum": 0.7})
    assert space.settings({"optimizer": "momentum", "momentum": 0.7})["momentum"] == 0.7
    assert "--momentum" not in space.command({"optimizer": "adam", "momentum": 0.7}, data=None, seed=0)
    model, recipe = space.build({"optimizer": "momentum", "momentum": 0.7}, in_size=4, classes=("0", "1"), seed=0)
    assert (recipe.optimizer.momentum, recipe.threads, recipe.validation, model.network.in_size) == (0.7, 1, 0.1, 4)


def test_convolutions_can_be_searched():
    space = Space.from_config({"search": {"maps": {"choices": ["none", "4,8", "4@3/1,8"]}}, "fixed": {"hidden": "16"}})

    def shape(value):
        return space.build({"maps": value}, in_size=784, classes=("0", "1"), seed=0)[0].network.architecture

    assert [shape(value) for value in ("none", "4,8", "4@3/1,8")] == [
        "784-16-2",
        "784-4@12×12-8@4×4-16-2",
        "784-4@26×26-8@11×11-16-2",
    ]
    assert "--maps 4@3/1,8" in space.command({"maps": "4@3/1,8"}, data=None, seed=0)
    number = Space.from_config({"search": {"maps": {"low": 2, "high": 8}}})
    assert number.build({"maps": 8}, in_size=784, classes=("0", "1"), seed=0)[0].network.parametric_layers[0].maps == 8


def test_a_preset_with_convolutions_can_be_searched():
    space = Space.from_config({"preset": "record", "search": {"dropout": {"choices": [0.1, 0.3]}}})
    model, _ = space.build({"dropout": 0.1}, in_size=784, classes=("0", "1"), seed=0)
    assert len(model.network.parametric_layers) > len(model.network.dense)


def test_maps_that_do_not_fit_the_images_fail_the_trial(tmp_path):
    space = Space.from_config({"search": {"maps": {"choices": ["4@29"]}}, "fixed": {"epochs": 1, "samples": 100}})
    with pytest.raises(ByhandError, match=r"no trial was completed; trial 0: each convolution must fit its input"):
        sweep(space, trials=1, jobs=1, data="mnist-5k", folder=Folder.new(tmp_path / "sweep"))


def test_the_space_in_the_documentation_is_valid():
    page = (Path(__file__).parents[1] / "docs" / "ecosystem.md").read_text("utf-8")
    block = page.split("```toml\n")[1].split("```")[0]
    assert len(Space.from_config(tomllib.loads(block)).search) == 7


def run(*words):
    out = processes.byhand("sweep", *words)
    return out.returncode, out.stderr.strip().splitlines()[-1]


def test_wrong_usage_gives_one_line_and_exit_2(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("[search\n")
    for words, message in [
        ((), "give either --space FILE for a new sweep, or --resume DIR"),
        (("--space", "nosuch.toml"), "nosuch.toml: no such file"),
        (("--space", str(bad)), "must be valid TOML"),
        (("--resume", str(tmp_path)), "no sweep.json in this folder"),
        (("--resume", str(tmp_path), "--seed", "3"), "--resume keeps the settings of the sweep: remove --seed"),
        (("--space", "x", "--engine", "dask"), "x: no such file"),
        (("--resume", str(tmp_path), "--engine", "dask"), "--engine dask needs --address"),
        (("--resume", str(tmp_path), "--address", "tcp://h:1"), "--address needs --engine dask"),
    ]:
        code, line = run(*words)
        assert (code, message in line) == (2, True), line


def test_without_optuna_the_message_names_the_extra(tmp_path):
    (tmp_path / "space.toml").write_text(TOML)
    code = "import sys; sys.modules['optuna'] = None; from byhand.cli import main; main()"
    done = processes.python("-c", code, "sweep", "--space", "space.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "this needs optuna: pip install '.[sweep]' in byhand's folder" in done.stderr
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize(
    ("missing", "call", "extra"),
    [
        ("joblib.externals.loky", "Local(1)", "joblib: pip install '.[sweep]'"),
        ("distributed", "Dask('tcp://host:1')", "dask and distributed: pip install '.[cluster]'"),
    ],
)
def test_without_an_engine_the_message_names_its_extra(missing, call, extra):
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom byhand.distributed.engines import *\n{call}"
    line = processes.python("-c", code).stderr.strip().splitlines()[-1]
    assert line == f"byhand.errors.MissingExtraError: this needs {extra} in byhand's folder"


def test_a_damaged_sweep_folder_is_rejected(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / "trials").mkdir()
    folder.write(Trial(0, {}))
    folder.write(Trial(2, {}))
    with pytest.raises(ModelFileError, match="trial 1 is missing"):
        folder.trials()
    (tmp_path / "trials" / "0000.json").write_text("{}")
    with pytest.raises(ModelFileError, match=r"0000\.json: number must be given"):
        folder.trials()
    (tmp_path / "sweep.json").write_text("[1]")
    with pytest.raises(ModelFileError, match="must be a JSON object"):
        folder.config()


def test_the_command_of_the_best_trial_is_quoted_for_the_shell():
    command = Space({"learning_rate": {"low": 0.1, "high": 0.2}}, preset="fast").command(
        {"learning_rate": 0.15}, data="/my data/x", seed=1
    )
    assert "--data '/my data/x' --seed 1" in command
