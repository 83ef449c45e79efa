"""A training on several ranks: ranks are bit-identical, and agree with one process except for rounding.

With real processes, started by the mpiexec next to this Python or on the path.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from byhand.distributed import mpi
from byhand.errors import ByhandError
from byhand.model import Model
from byhand.nn.layers import BatchNorm, Dense
from byhand.nn.network import Network
from byhand.nn.rng import StepKey
from byhand.training import Recipe, resume, train_run
from byhand.training.batches import batch_of, check_same, part_of
from helpers import processes
from helpers.layer_cache import cache_for
from helpers.needs import missing, needs
from helpers.waiting import until

RANK = Path(__file__).parent / "helpers" / "mpi_rank.py"
MPIEXEC = next(
    (p for p in (Path(sys.executable).with_name("mpiexec"), shutil.which("mpiexec")) if p and Path(p).exists()), None
)
RANKS = ("PMI_RANK=1", "OMPI_COMM_WORLD_RANK=1", "PMIX_RANK=1")


@pytest.fixture(scope="module")
def mpiexec_found():
    needs("mpi4py")
    if MPIEXEC is None:
        missing("the program mpiexec")


def mpiexec(ranks, *words, cwd, **settings):
    """Run a Python program on a number of ranks; return the finished process."""
    return processes.run(MPIEXEC, "-n", ranks, sys.executable, *words, cwd=cwd, **settings)


CASES = {
    "sgd": {"optimizer": {"kind": "sgd", "weight_decay": 1e-3}, "recipe": {"learning_rate": 0.1, "clip": 0.5}},
    "adam, dropout, augmentation, averaging": {
        "optimizer": {"kind": "adam"},
        "recipe": {"learning_rate": 0.002, "augment": "default", "ema_decay": 0.9},
        "network": {"dropout": 0.3},
    },
    "batch norm, a last batch of 2, sample weights": {
        "optimizer": {"kind": "momentum"},
        "recipe": {"learning_rate": 0.05, "batch_size": 128},
        "network": {"batch_norm": True},
        "samples": 998,
        "weights": True,
    },
    "the whole data as one batch, in float32": {
        "optimizer": {"kind": "sgd"},
        "recipe": {"learning_rate": 0.3, "batch_size": None},
        "network": {"dtype": "float32"},
    },
}


@pytest.mark.usefixtures("mpiexec_found")
@pytest.mark.parametrize("name", CASES)
def test_ranks_are_bit_identical_and_agree_with_one_process(name, tmp_path):
    """The results after 100 steps; the script compares the ranks bit by bit after every step."""
    case, tolerance = json.dumps(CASES[name]), 1e-3 if "float32" in name else 1e-7
    subprocess.run([sys.executable, RANK, "1.npz", case], cwd=tmp_path, check=True)
    with np.load(tmp_path / "1.npz") as alone:
        assert len(alone["curves"]) > 10 or name.startswith("the whole")
        for ranks in (2, 4) if name != "sgd" else (2, 3):
            done = mpiexec(ranks, RANK, f"{ranks}.npz", case, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            with np.load(tmp_path / f"{ranks}.npz") as several:
                assert set(several) == set(alone)
                for array in set(alone) - {"places"}:
                    np.testing.assert_allclose(
                        several[array], alone[array], rtol=tolerance, atol=tolerance / 100, err_msg=array
                    )


@pytest.mark.usefixtures("mpiexec_found")
def test_the_comparison_finds_a_planted_difference_between_ranks(tmp_path):
    """The same script with a rank that adds a value of its own."""
    text = RANK.read_text()
    bad = text.replace(
        "with mpi", "real = shard.sum\nshard.sum = lambda v: (real(v), v.__iadd__(shard.rank * 1e-3))\nwith mpi"
    )
    (tmp_path / "bad.py").write_text(bad)
    done = mpiexec(2, "bad.py", "x.npz", json.dumps(CASES["sgd"]), cwd=tmp_path)
    assert done.returncode != 0
    assert "differ" in done.stderr


TRAIN = ["-m", "byhand", "train", "--data", "mnist-5k", "--offline", "--samples", "1500"]
TRAIN += ["--hidden", "64", "--validation", "0.1", "--dtype", "float64"]


@pytest.mark.usefixtures("mpiexec_found")
def test_only_rank_0_writes_and_prints(tmp_path):
    done = mpiexec(3, *TRAIN, "--epochs", "2", "--run", "r", "--batch-size", "16", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["784-64-10", "test", "saved"]
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("3 ranks, ")]
    assert [line.split()[:4] for line in lines if line.startswith("  rank ")] == [
        ["rank", str(rank), "is", "process"] for rank in range(3)
    ]
    assert len([line for line in lines if line.startswith("epoch ")]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"r"}


@pytest.mark.usefixtures("mpiexec_found")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--learning-rate", "1e30"), 4, "byhand: loss became NaN at step"),
        (("--run", "taken"), 2, "byhand: the run's folder must be new or empty, got taken"),
    ],
)
def test_an_error_of_all_ranks_is_printed_once(tmp_path, words, code, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "something").touch()
    done = mpiexec(2, *TRAIN, "--epochs", "2", *words, cwd=tmp_path)
    assert done.returncode == code
    assert [message in line for line in done.stderr.splitlines() if line.startswith("byhand")] == [True]


@pytest.mark.usefixtures("mpiexec_found")
def test_an_error_of_one_rank_ends_all_and_names_it(tmp_path):
    (tmp_path / "one.py").write_text(
        "from byhand.distributed.mpi import aborting, communicator\nfrom byhand.errors import UsageError\n"
        "ranks = communicator()\n"
        "with aborting(ranks):\n"
        "    if ranks.rank == 1:\n        raise UsageError('no room here')\n"
        "    ranks.world.Barrier()\n"
    )
    done = mpiexec(2, "one.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "byhand: rank 1: no room here" in done.stderr


@pytest.mark.usefixtures("mpiexec_found")
def test_ranks_with_different_seeds_are_rejected(tmp_path):
    (tmp_path / "seeds.py").write_text(
        "import sys\nfrom byhand.distributed.mpi import communicator\nfrom byhand.cli import main\n"
        "sys.argv = ['byhand', *sys.argv[1:], '--seed', str(communicator().rank)]\nmain()\n"
    )
    done = mpiexec(2, "seeds.py", *TRAIN[2:], "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "every rank must have the same network, recipe and seed; these differ" in done.stderr


@pytest.mark.usefixtures("mpiexec_found")
@pytest.mark.timing
def test_a_killed_rank_leaves_a_checkpoint_for_any_number_of_ranks(tmp_path):
    words = (*TRAIN, "--epochs", "12", "--batch-size", "16", "--threads", "1", "--learning-rate", "0.01")
    subprocess.run([sys.executable, *words, "--run", "whole", "--quiet"], cwd=tmp_path, check=True, capture_output=True)
    command = [str(MPIEXEC), "-n", "2", sys.executable, *words, "--run", "cut", "--checkpoint-every", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) >= 2)
    victim = until(lambda: rank_1(process.pid))
    os.kill(victim, signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode != 0
    assert f"rank 1 is process {victim} on " in said
    assert "if a rank dies, the run ends; resume it:  byhand train --resume cut" in said
    if "BAD TERMINATION" in said:  # MPICH's launcher
        assert f"PID {victim} RUNNING AT" in said
    assert len(metrics.read_text().splitlines()) < 12
    for ranks in (1, 3):
        shutil.copytree(tmp_path / "cut", tmp_path / f"on {ranks}")
        done = mpiexec(
            ranks, "-m", "byhand", "train", "--resume", f"on {ranks}", "--threads", "1", "--offline", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "resuming " in done.stderr
        assert_same_run(tmp_path / f"on {ranks}", tmp_path / "whole")


@pytest.mark.usefixtures("mpiexec_found")
@pytest.mark.timing
def test_ctrl_c_stops_every_rank_after_the_same_step_and_saves(tmp_path):
    command = [str(MPIEXEC), "-n", "2", sys.executable, *TRAIN, "--epochs", "500", "--run", "r"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    metrics = tmp_path / "r" / "metrics.jsonl"
    until(lambda: metrics.exists() and metrics.read_text())
    os.kill(until(lambda: rank_1(process.pid)), signal.SIGINT)  # only one rank gets the signal
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted; resume with:  byhand train --resume r" in said


def rank_1(parent):
    """Return the process id of rank 1 under this mpiexec."""
    psutil = needs("psutil")
    for process in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if set(RANKS) & {f"{k}={v}" for k, v in process.environ().items()} and "byhand" in process.cmdline():
                return process.pid
    return None


def assert_same_run(one, other):
    """Check that two runs have the same curves, except for rounding."""
    curves = [
        np.array(
            [
                [r["loss"], r["validation_loss"]]
                for r in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
            ]
        )
        for run in (one, other)
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-6, atol=1e-9)


@pytest.fixture
def two_hosts():
    """Two connected network namespaces, 10.77.0.1 and 10.77.0.2; needs root."""
    names, ip = ("byhand-a", "byhand-b"), shutil.which("ip")
    if ip is None or os.geteuid() != 0:
        pytest.skip("needs root and the command ip, to make two network namespaces")

    run = partial(processes.run, ip)
    try:
        made = [run("netns", "add", name) for name in names]
        made.append(
            run("link", "add", "wire-a", "netns", names[0], "type", "veth", "peer", "name", "wire-b", "netns", names[1])
        )
        for name, end, address in zip(names, ("wire-a", "wire-b"), ("10.77.0.1", "10.77.0.2"), strict=True):
            made.append(run("-n", name, "addr", "add", f"{address}/24", "dev", end))
            made += [run("-n", name, "link", "set", device, "up") for device in (end, "lo")]
        if problems := [done.stderr.strip() for done in made if done.returncode]:
            pytest.skip(f"this machine makes no network namespaces: {problems[0]}")
        yield names
    finally:
        for name in names:
            run("netns", "del", name)


@pytest.mark.usefixtures("mpiexec_found")
def test_two_ranks_on_two_hosts_take_the_same_steps(tmp_path, two_hosts):
    needs("mpi4py")
    if "HYDRA" not in processes.run(MPIEXEC, "--version").stdout:
        pytest.skip("written for MPICH's launcher, Hydra")
    case = json.dumps(CASES["sgd"])
    launcher = tmp_path / "launcher"  # called by Hydra instead of ssh: HOST COMMAND…
    launcher.write_text(
        '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nhost=$1; shift\n'
        f'case $host in 10.77.0.1) n={two_hosts[0]};; *) n={two_hosts[1]};; esac\nexec ip netns exec $n sh -c "$*"\n'
    )
    launcher.chmod(0o755)
    ranks = [MPIEXEC, "-launcher", "ssh", "-launcher-exec", launcher, "-hosts", "10.77.0.1,10.77.0.2"]
    program = ["-iface", "wire-a", "-n", 2, sys.executable, RANK, "two.npz", case]
    environment = {**os.environ, "HYDRA_HOST_FILE": "", "MPIR_CVAR_CH4_OFI_ENABLE_SHM": "0"}
    done = processes.run("ip", "netns", "exec", two_hosts[0], *ranks, *program, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    subprocess.run([sys.executable, RANK, "1.npz", case], cwd=tmp_path, check=True)
    with np.load(tmp_path / "two.npz") as two, np.load(tmp_path / "1.npz") as one:
        assert list(two["places"]) == [1, 2], "each rank must be alone at its address"
        np.testing.assert_allclose(two["parameters"], one["parameters"], rtol=1e-7, atol=1e-9)


class Two:
    """A shard that adds given sums in place of another process."""

    def __init__(self, rank, size, others=()):
        self.rank, self.size, self.others = rank, size, list(others)

    def sum(self, vector):
        vector += self.others.pop(0)
        return vector


@pytest.mark.parametrize(("count", "size"), [(128, 2), (5, 4), (2, 4), (7, 3), (1, 1)])
def test_shares_add_up_to_the_batch_and_are_even(count, size):
    samples = np.arange(count)
    batches = [batch_of(samples, samples, samples), batch_of(samples, slice(0, count), samples)]
    shares, slices = ([part_of(batch, Two(rank, size)) for rank in range(size)] for batch in batches)
    assert [part.labels.tolist() for part in shares] == [samples[part.index].tolist() for part in slices]
    shares = [part.index.tolist() for part in shares]
    assert [row for rows in shares for row in rows] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert part_of(batches[0], None) is batches[0]


def test_different_bytes_on_ranks_are_rejected():
    check_same(Two(0, 1, [0]), "data", b"abc")
    with pytest.raises(ByhandError, match="every rank must have the same data; these differ"):
        check_same(Two(0, 2, [np.array([1.0, 1.0])]), "data", b"abc")


def test_batch_norm_over_two_ranks_equals_batch_norm_over_the_batch():
    """Forward, backward and running averages; the other rank's sums are computed here by the formulas."""
    rng = np.random.default_rng(0)
    X, dout = rng.normal(size=(10, 3)), rng.normal(size=(10, 3))
    network = Network([BatchNorm(3), Dense(3, 2)], rng=rng, dtype="float64")
    whole = network.layers[0]
    cache, part_cache = cache_for(whole, 10, 3, key=StepKey(0, 0)), cache_for(whole, 4, 3, key=StepKey(0, 0))
    out = whole.forward(X, cache)
    dX = whole.backward(dout, cache)
    mine, theirs = slice(0, 4), slice(4, 10)
    mean = X.mean(axis=0)
    sums = [
        np.append(X[theirs].sum(axis=0), 6),
        np.append(((X[theirs] - mean) ** 2).sum(axis=0), 6),
        np.concatenate([(dout[theirs] * cache.X_hat[theirs]).sum(axis=0), dout[theirs].sum(axis=0), [6]]),
    ]
    part_cache.sum_over_processes = Two(0, 2, sums).sum
    part = whole.forward(X[mine], part_cache)
    part_dX = whole.backward(dout[mine], part_cache)
    np.testing.assert_allclose(part, out[mine], rtol=1e-12)
    np.testing.assert_allclose(part_dX, dX[mine], rtol=1e-12)
    np.testing.assert_allclose(part_cache.mean, cache.mean, rtol=1e-12)
    np.testing.assert_allclose(part_cache.variance, cache.variance, rtol=1e-12)
    np.testing.assert_allclose(part_cache.dbeta, dout[mine].sum(axis=0), rtol=1e-12)


def test_a_single_process_has_no_communicator(monkeypatch):
    for name in mpi.LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    assert mpi.communicator() is None


def test_without_mpi4py_the_message_names_the_extra():
    code = (
        "import sys; sys.modules['mpi4py'] = None; sys.argv = ['byhand', 'train']\nfrom byhand.cli import main; main()"
    )
    done = processes.python("-c", code, env={**os.environ, "PMI_RANK": "0", "PMI_SIZE": "2"})
    assert done.returncode == 2
    assert done.stderr.strip() == "byhand: this needs mpi4py: pip install '.[mpi]' in byhand's folder"


class ThreadShard:
    """One of several ranks that are threads of this process."""

    def __init__(self, rank, size, given, barrier):
        self.rank, self.size, self.neighbours, self.places = rank, size, size, ["here"] * size
        self.given, self.barrier = given, barrier

    def exchanged(self, value):
        self.given[self.rank] = value
        self.barrier.wait(60)
        values = list(self.given)
        self.barrier.wait(60)
        return values

    def broadcast(self, value):
        return self.exchanged(value)[0]

    def sum(self, vector):
        vector[...] = sum(self.exchanged(vector.copy()))
        return vector


def on_ranks(size, work):
    """Call `work(shard)` on threads, and return its results by rank."""
    given, barrier = [None] * size, threading.Barrier(size)

    def call(rank):
        try:
            return work(ThreadShard(rank, size, given, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(call, range(size)))


def test_ranks_as_threads_agree_with_one_process_and_resume(tmp_path):
    """The whole of `train_run` and `resume` without MPI: only rank 0 has a folder."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(41, 6)), np.arange(41) % 3
    weights = rng.uniform(0.5, 2, 41)
    recipe = Recipe(epochs=2, batch_size=16, validation=0.2, patience=5, threads=1, clip=0.5)

    def train(folder, shard=None):
        model = Model([6, 5, 3], seed=0, dtype="float64")
        trained = train_run(folder, model, data, recipe, seed=0, sample_weights=weights, shard=shard)
        changes = {"epochs": 3, "data": data, "sample_weights": weights}
        if shard is not None:
            shard.broadcast(None)  # the folder is complete
        resumed = resume(folder, **changes, shard=shard)
        return [(run.model.network.parameters.copy(), run.history) for run in (trained, resumed)]

    alone = train(tmp_path / "alone")
    for ranks in on_ranks(2, lambda shard: train(tmp_path / "shared", shard)):
        for (mine, history), (others, expected) in zip(ranks, alone, strict=True):
            np.testing.assert_allclose(mine, others, rtol=0, atol=1e-12)
            for name in ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "gradient_norm"):
                np.testing.assert_allclose(history[name], expected[name], rtol=0, atol=1e-12, err_msg=name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "shared"]
