"""Checkpoints: a resumed run is bit-identical to an uninterrupted one."""

import json
import threading
import time
from functools import partial
from itertools import count, islice, pairwise

import numpy as np
import pytest

from byhand.errors import ModelFileError, StorageError, UsageError
from byhand.nn.optimizers import OPTIMIZERS, AdamW, optimizer_named
from byhand.nn.schedules import schedule_named
from byhand.training import Trainer, steps, train
from byhand.training import checkpoint as module
from byhand.training.checkpoint import Checkpoints, differences, fingerprint
from byhand.training.plan import Plan
from byhand.training.runs import Run
from helpers import kills_and_faults, small_run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def stopped(run, at, **settings):
    """Train a run for some steps, and save its state."""
    with small_run.session(**settings) as session, Checkpoints(run) as checkpoints:
        for _ in islice(steps(session), at):
            pass
        checkpoints.save(session, force=True)


def resumed(run, **settings):
    """Resume the run; return its fingerprint at the end."""
    with small_run.session(**settings) as session:
        session.restore(*Checkpoints(run).load())
        for _ in steps(session):
            pass
        return small_run.fingerprint(session)


@pytest.fixture(scope="module")
def everything():
    """The fingerprint of a run with augmentation, dropout, batch norm, EMA and early stopping."""
    return small_run.uninterrupted()


@pytest.mark.parametrize("at", [0, 1, 9, 10, 11, 25, 39, 79])
def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(run, at, everything):
    stopped(run, at)
    assert resumed(run) == everything


def test_the_fingerprint_detects_a_state_not_fully_restored(run, everything):
    stopped(run, 25)
    for name in ("parameters", "statistics", "average", "optimizer.first", "optimizer.second"):
        arrays, plain = Checkpoints(run).load()
        arrays[name][0] += np.float32(0.01)
        with small_run.session() as session:
            session.restore(arrays, plain)
            for _ in steps(session):
                pass
            assert small_run.fingerprint(session) != everything, name


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_resumes_bit_identically(run, kind, dtype):
    optimizer = optimizer_named(kind, weight_decay=0.01)
    settings = {"chosen": small_run.recipe(optimizer, epochs=2, patience=None), "dtype": dtype}
    stopped(run, 13, **settings)
    assert resumed(run, **settings) == small_run.uninterrupted(**settings)


def test_a_run_with_early_stopping_resumes_to_the_best_weights(run):
    settings = {"chosen": small_run.recipe(epochs=30, patience=1, learning_rate=0.3)}
    with small_run.session(**settings) as session:
        taken = sum(1 for _ in steps(session))
        assert session.should_stop
        assert taken < session.total_steps
    stopped(run, taken - 3, **settings)
    assert resumed(run, **settings) == small_run.uninterrupted(**settings)


def test_a_run_with_blocks_and_threads_resumes_bit_identically(run, monkeypatch):
    monkeypatch.setattr("byhand.training.setup.plan_for", lambda *_, **__: Plan(workers=2, blas=1, block=30))
    chosen = small_run.recipe(batch_size=None, epochs=6, validation=0, patience=None)
    settings = {"chosen": chosen, "batch_norm": False}
    with small_run.session(**settings) as session:
        assert session.plan.workers == 2
    stopped(run, 3, **settings)
    assert resumed(run, **settings) == small_run.uninterrupted(**settings)


def test_a_run_can_be_resumed_repeatedly(run, everything):
    stopped(run, 0)
    for _ in range(12):
        with small_run.session() as session, Checkpoints(run) as checkpoints:
            session.restore(*checkpoints.load())
            for _ in islice(steps(session), 7):
                pass
            checkpoints.save(session, force=True)
    assert small_run.fingerprint(session) == everything


def test_resuming_a_finished_run_changes_nothing(run, everything):
    stopped(run, 10_000)
    assert resumed(run) == everything


def test_a_finished_run_can_be_extended(run):
    """The state of the last step is saved before the averaged weights are loaded."""
    same = {
        "patience": None,
        "schedule": schedule_named("constant"),
        "weak_augment": 0.0,
    }  # independent of the number of epochs
    short, longer = ({"chosen": small_run.recipe(epochs=epochs, **same)} for epochs in (3, 5))
    with small_run.session(**short) as session, Checkpoints(run) as checkpoints:
        for _ in steps(session):
            checkpoints.save(session)
        checkpoints.save(session, force=True)
    assert resumed(run, **short) == small_run.uninterrupted(**short)
    assert resumed(run, **longer) == small_run.uninterrupted(**longer)


def test_a_resumed_run_has_the_same_records_and_warnings(run):
    settings = {"chosen": small_run.recipe(epochs=5, patience=None, learning_rate=1e-9, validation=0)}
    with small_run.session(**settings) as whole:
        records = list(train(whole))
    stopped(run, 24, **settings)
    with small_run.session(**settings) as session:
        session.restore(*Checkpoints(run).load())
        list(train(session))
        assert [r.warnings for r in session.progress.records] == [r.warnings for r in records]
        assert [r.loss for r in session.progress.records] == [r.loss for r in records]


@pytest.mark.slow
@pytest.mark.timing
def test_ten_kills_lose_nothing(tmp_path):
    struck = 0
    for seed, times, found in kills_and_faults.kills(tmp_path, 10):
        assert found == small_run.uninterrupted(seed=seed, chosen=small_run.LONG)
        struck += times
    assert struck >= 10


def test_temporary_files_of_a_killed_run_are_removed_on_resume(run):
    stopped(run, 3)
    stale = run.folder / "state" / ".a.safetensors.0123456789ab.part"
    stale.write_bytes(b"half a chec")
    stopped(run, 4)
    assert not stale.exists()
    assert sorted(path.name for path in stale.parent.iterdir()) == ["a.safetensors", "b.safetensors", "lock"]


class Clock:
    """A clock that the test sets."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


def test_checkpoints_are_saved_at_the_given_interval(run, monkeypatch):
    clock, saved = Clock(monkeypatch), []
    with small_run.session() as session, Checkpoints(run, every=30) as checkpoints:
        checkpoints._write = lambda arrays, plain, made: saved.append(plain["step"]) or 0.0
        for _ in islice(steps(session), 25):
            clock.now += 4
            checkpoints.save(session)
            checkpoints._settle() if checkpoints._writing else None
    assert saved == [8, 16, 24]


def test_slow_saves_increase_the_interval(run, monkeypatch):
    clock, saved = Clock(monkeypatch), []
    with small_run.session() as session, Checkpoints(run, every=1) as checkpoints:
        checkpoints._write = lambda arrays, plain, made: saved.append(plain["step"]) or 0.2
        for _ in islice(steps(session), 60):
            clock.now += 1
            checkpoints.save(session)
            checkpoints._settle() if checkpoints._writing else None
    assert saved[0] <= 2
    assert all(later - earlier >= 20 for earlier, later in pairwise(saved))


def test_training_does_not_wait_for_the_disk(run, monkeypatch):
    gate, written = threading.Event(), []
    write = module.write
    monkeypatch.setattr(module, "write", lambda *args: (gate.wait(300), written.append(args), write(*args)))
    with small_run.session() as session, Checkpoints(run, every=0) as checkpoints:
        walk = steps(session)
        next(walk)
        then = {name: array.copy() for name, array in session.state()[0].items()}
        checkpoints.save(session)
        for _ in islice(walk, 12):
            checkpoints.save(session)
        assert not written
        gate.set()
    arrays, plain = Checkpoints(run).load()  # the copy of that moment
    assert plain["step"] == 1
    assert set(arrays) == set(then)
    assert all((arrays[name] == then[name]).all() for name in then)


def test_a_state_with_nan_never_replaces_a_good_one(run):
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        next(steps(session))
        checkpoints.save(session, force=True)
        session.model.network.parameters[3] = np.nan
        session.progress.step = 2
        checkpoints.save(session, force=True)
        checkpoints.save(session, force=True)
    assert Checkpoints(run).load()[1]["step"] == 1


@pytest.mark.parametrize("every", [-1.0, float("nan")])
def test_an_invalid_interval_is_rejected(run, every):
    with pytest.raises(UsageError, match="the seconds between checkpoints must be at least 0, got"):
        Checkpoints(run, every=every)


def test_the_newer_file_is_kept_while_the_older_is_replaced(run):
    stopped(run, 3)
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        session.restore(*checkpoints.load())
        for _ in steps(session):
            checkpoints.save(session, force=True)
            found = {slot: module.read(checkpoints.folder / slot).plain["step"] for slot in module.SLOTS}
            assert sorted(found.values()) == [session.progress.step - 1, session.progress.step]
            if session.progress.step == 6:
                break


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_used(run, damage, everything):
    stopped(run, 3)
    stopped(run, 6)
    newest = run.folder / "state" / "b.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flip":
        content[-7] ^= 16
    elif damage == "empty":
        content.clear()
    newest.write_bytes(content)
    if damage == "gone":
        newest.unlink()
    messages = []
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        session.restore(*checkpoints.load(messages.append))
        assert session.progress.step == 3
        for _ in steps(session):
            checkpoints.save(session)
    assert small_run.fingerprint(session) == everything
    if damage != "gone":
        assert len(messages) == 1
        assert messages[0].startswith(f"{newest}: ")
        assert messages[0].endswith("; resuming from a.safetensors, saved after step 3")


def test_the_next_save_replaces_the_damaged_file(run):
    stopped(run, 3)
    stopped(run, 6)
    (run.folder / "state" / "b.safetensors").write_bytes(b"rubbish")
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        next(steps(session))
        checkpoints.save(session, force=True)
        assert module.read(checkpoints.folder / "a.safetensors").plain["step"] == 3
        assert module.read(checkpoints.folder / "b.safetensors").plain["step"] == 1


def test_a_missing_checkpoint_is_reported(run):
    with pytest.raises(ModelFileError, match="no checkpoint in this folder: the run ended before the first save"):
        Checkpoints(run).load()


def test_a_file_that_differs_when_read_back_is_an_error(run, monkeypatch):
    stopped(run, 3)
    from byhand.model import file as modelfile

    honest = modelfile.write_arrays

    def a_disk_that_lies(path, *args):
        checksum = honest(path, *args)
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
        return checksum

    monkeypatch.setattr(modelfile, "write_arrays", a_disk_that_lies)
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        next(steps(session))
        with pytest.raises(StorageError, match=r"can't be read back: .*damaged.*the previous one is intact: .*a\.safe"):
            checkpoints.save(session, force=True)
    assert Checkpoints(run).load()[1]["step"] == 3


def test_a_run_is_trained_by_one_process_at_a_time(run):
    with small_run.session() as session, Checkpoints(run) as first, Checkpoints(run) as second:
        next(steps(session))
        first.save(session, force=True)
        with pytest.raises(StorageError, match="another process is training this run"):
            second.save(session, force=True)
        first.close()
        second.save(session, force=True)


@pytest.mark.timing
def test_an_error_of_the_writing_thread_is_raised_in_the_loop(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write", full)

    def trains():
        with small_run.session() as session, Checkpoints(run, every=0) as checkpoints:
            for _ in steps(session):
                checkpoints.save(session)
                time.sleep(0.001)
            pytest.fail("no error was raised")

    with pytest.raises(StorageError, match=r"can't be saved: No space left on device; there is no previous one"):
        trains()


def test_an_error_of_the_writing_thread_does_not_hide_another(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write", full)

    def diverges():
        with small_run.session() as session, Checkpoints(run, every=0) as checkpoints:
            next(steps(session))
            checkpoints.save(session)
            raise ArithmeticError("loss became NaN")

    with pytest.raises(ArithmeticError, match="loss became NaN"):
        diverges()


def test_the_state_of_another_network_is_rejected(run):
    stopped(run, 3)
    with Trainer(small_run.model(batch_norm=False), small_run.digits(), small_run.recipe(), seed=5) as other:
        before = small_run.fingerprint(other)
        with pytest.raises(
            ModelFileError, match=r"state must be of this run: its parameters is float32 \(856,\), here"
        ):
            other.restore(*Checkpoints(run).load())
        assert small_run.fingerprint(other) == before


def test_the_state_of_another_optimizer_or_precision_is_rejected(run):
    stopped(run, 3)
    for settings in ({"chosen": small_run.recipe(optimizer_named("momentum"))}, {"dtype": "float64"}):
        with (
            small_run.session(**settings) as other,
            pytest.raises(ModelFileError, match=r"state must be of this run: it"),
        ):
            other.restore(*Checkpoints(run).load())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", -1), ("step", True), ("step", 1.5), ("loss", float("nan")), ("loss", "1"), ("loss", 1),
        ("finished", 1), ("records", {}), ("start_lengths", [1.0]), ("start_lengths", ["a", "b"]), ("samples", 2**64),
        ("extra", 1), ("records", [1]), ("records", [{"epoch": 1}]), ("waited", None),
    ],
)  # fmt: skip
def test_invalid_values_of_the_state_are_rejected(run, name, value):
    stopped(run, 3)
    arrays, plain = Checkpoints(run).load()
    with small_run.session() as session:
        before = small_run.fingerprint(session)
        with pytest.raises(ModelFileError, match=r"state|record"):
            session.restore(arrays, plain | {name: value})
        assert small_run.fingerprint(session) == before


def test_a_step_beyond_the_end_of_the_run_is_rejected(run):
    stopped(run, 3)
    arrays, plain = Checkpoints(run).load()
    with small_run.session() as session:
        with pytest.raises(ModelFileError, match="step of the state must be at most 80"):
            session.restore(arrays, plain | {"step": 81})
        session.restore(arrays, plain | {"step": 80})
        assert session.is_over


def test_the_time_spent_is_that_of_both_threads(run, monkeypatch):
    clocks = {"perf_counter": count(100.0, 2.0), "thread_time": count(5.0, 0.25)}
    for name, clock in clocks.items():
        monkeypatch.setattr(module.time, name, partial(next, clock))
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        arrays, plain = session.state()
        monkeypatch.setattr(session, "state", lambda: (arrays, plain))
        checkpoints.save(session, force=True)
        assert checkpoints.spent == 2.0 + 0.25


def test_differences_name_every_changed_setting():
    old = {"seed": 1, "recipe": {"epochs": 3, "optimizer": {"kind": "adam"}, "sizes": (1, 2)}, "gone": None}
    new = {"seed": 1, "recipe": {"epochs": 4, "optimizer": {"kind": "sgd"}, "sizes": [1, 2]}, "threads": 2}
    assert differences(old, new) == [
        "recipe.epochs was 3, is 4",
        'recipe.optimizer.kind was "adam", is "sgd"',
        "gone was null, is not set",
        "threads was not set, is 2",
    ]
    assert differences(old, json.loads(json.dumps(old))) == []


def test_a_checkpoint_records_its_settings_and_versions(run):
    stopped(run, 3)
    checkpoints = Checkpoints(run)
    checkpoints.load()
    with small_run.session() as session:
        assert differences(checkpoints.loaded.environment, fingerprint(session)) == []
    with small_run.session(chosen=small_run.recipe(AdamW(weight_decay=0.5), threads=1)) as session:
        now = fingerprint(session) | {"versions": {"numpy": "1.0"}}
        lines = differences(checkpoints.loaded.environment, now)
    assert "recipe.optimizer.weight_decay was 0.01, is 0.5" in lines
    assert any(line.startswith("versions.numpy was ") for line in lines)
