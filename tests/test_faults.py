"""Faults: full disk, read-only folder, failing write. Each gives one clear error, and the last good state is intact."""

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from byhand import files, load
from byhand.errors import ByhandError, StorageError, UsageError
from byhand.model.model import Model, memory
from byhand.training import checkpoint as module
from byhand.training import steps
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run
from helpers import kills_and_faults, processes, small_run
from helpers.waiting import until


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


@contextmanager
def small_disk(folder, size):
    """Mount a real file system of that many kilobytes, if the user may."""
    folder.mkdir()
    if processes.run("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder).returncode:
        pytest.skip("mounting a small file system needs root, and a system that lets root do it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def largest_file(size):
    """Limit the size of files of this process: a write is short, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def leftovers(folder):
    return list(folder.rglob("*.part"))


def attempt(function, *arguments, **keywords):
    """Return the OSError that the function raises, or None."""
    try:
        function(*arguments, **keywords)
    except OSError as error:
        return error
    return None


@pytest.mark.parametrize("code", kills_and_faults.CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("short", [False, True])
def test_a_failing_call_leaves_the_old_or_the_new_file(tmp_path, code, short):
    path = tmp_path / "file"
    struck = set()
    for at in range(50):
        path.write_bytes(b"old")
        with kills_and_faults.Fault(at, code, short=short) as fault:
            error = attempt(files.write_bytes, path, b"new and longer")
        assert path.read_bytes() == (b"old" if error else b"new and longer")
        assert error is None or (error.errno, error.filename) == (code, str(path))
        assert leftovers(tmp_path) == []
        if not fault.struck:
            break
        struck.add(fault.struck)
    assert struck >= {"open", "fdopen", "write", "flush", "fsync", "replace"}


@pytest.mark.parametrize("short", [False, True])
def test_a_failing_call_of_a_checkpoint_leaves_the_last_state_intact(run, short):
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        walk = steps(session)
        next(walk)
        checkpoints.save(session, force=True)
        last, at, failures = 1, 0, []
        while True:
            next(walk)
            with kills_and_faults.Fault(at, errno.ENOSPC, short=short) as fault:
                error = attempt(checkpoints.save, session, force=True)
            last = last if error else session.progress.step
            assert Checkpoints(run).load()[1]["step"] == last
            if not fault.struck:
                break
            failures += [str(error)] if error else []  # that a rename is flushed too is a wish, not a need
            at += 1
    assert len(failures) >= 6
    assert all(
        "can't be saved: No space left on device; the previous one is intact: " in line and "\n" not in line
        for line in failures
    )
    assert leftovers(run.folder) == []


def test_a_planted_fault_strikes_the_given_call(tmp_path):
    with kills_and_faults.Fault(0, errno.EIO) as fault, pytest.raises(OSError, match="Input/output error"):
        files.write_bytes(tmp_path / "file", b"x")
    assert fault.struck == "open"


def test_exceeding_the_file_size_limit_leaves_the_old_file(run):
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        walk = steps(session)
        next(walk)
        checkpoints.save(session, force=True)
        size = (checkpoints.folder / "a.safetensors").stat().st_size
        for limit in [0, 1, *range(1000, size, size // 12), size - 1]:
            next(walk)
            with (
                largest_file(limit),
                pytest.raises(StorageError, match="can't be saved: File too large; the previous one"),
            ):
                checkpoints.save(session, force=True)
            assert Checkpoints(run).load()[1]["step"] == 1
        assert leftovers(run.folder) == []


def test_a_full_disk_leaves_the_last_state_intact(tmp_path):
    with small_disk(tmp_path / "disk", 96), small_run.session() as session:
        run = Run(tmp_path / "disk" / "run")
        with Checkpoints(run) as checkpoints:
            walk = steps(session)
            next(walk)
            checkpoints.save(session, force=True)
            filler = tmp_path / "disk" / "filler"
            with pytest.raises(OSError, match="No space"):
                filler.write_bytes(bytes(200_000))
            next(walk)
            with pytest.raises(StorageError, match=r"No space left on device; the previous one is intact: .*a\.safe"):
                checkpoints.save(session, force=True)
            assert Checkpoints(run).load()[1]["step"] == 1
            filler.unlink()
            checkpoints.save(session, force=True)
        assert Checkpoints(run).load()[1]["step"] == 2
        assert leftovers(run.folder) == []


def test_a_run_continues_saving_after_its_state_was_deleted(run):
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        walk = steps(session)
        next(walk)
        checkpoints.save(session, force=True)
        shutil.rmtree(run.folder)
        next(walk)
        checkpoints.save(session, force=True)
    assert Checkpoints(run).load()[1]["step"] == 2


def test_a_file_deleted_before_it_is_verified_is_an_error(run, monkeypatch):
    from byhand.model import file as modelfile

    write = modelfile.write_arrays

    def deleted(path, *rest):
        checksum = write(path, *rest)
        path.unlink()
        return checksum

    monkeypatch.setattr(modelfile, "write_arrays", deleted)
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        next(steps(session))
        with pytest.raises(
            StorageError, match=r"can't be read back: .*no such checkpoint file; there is no previous one"
        ):
            checkpoints.save(session, force=True)


def test_a_folder_in_place_of_a_checkpoint_is_an_error(run):
    (run.folder / "state" / "a.safetensors").mkdir(parents=True)
    (run.folder / "state" / "b.safetensors").mkdir(parents=True)
    with small_run.session() as session, Checkpoints(run) as checkpoints:
        next(steps(session))
        with pytest.raises(StorageError, match="can't be saved: is a folder, not a file"):
            checkpoints.save(session, force=True)


def test_jumps_of_the_system_clock_change_nothing(run, monkeypatch):
    jumps = iter(np.random.default_rng(0).uniform(-1e9, 1e9, 100_000))
    monkeypatch.setattr("time.time", lambda: next(jumps))
    monkeypatch.setattr("time.time_ns", lambda: int(next(jumps)))
    with small_run.session() as session, Checkpoints(run, every=0) as checkpoints:
        for _ in islice(steps(session), 25):
            checkpoints.save(session)
        checkpoints.save(session, force=True)
    with small_run.session() as session:
        session.restore(*Checkpoints(run).load())
        assert session.progress.step == 25
        for _ in steps(session):
            pass
        assert small_run.fingerprint(session) == small_run.uninterrupted()


@pytest.mark.parametrize("sizes", [[784, 2_000_000_000, 10], [10**12, 1], [784, 100_000, 1_000_000, 10]])
def test_a_network_too_large_for_memory_is_rejected_before_allocation(sizes):
    with pytest.raises(UsageError, match=r"a network must fit the memory of [\d,]+ GB, got [\d,]+ parameters, which"):
        Model(sizes)


@pytest.mark.parametrize("answer", [-1, 0, ValueError, OSError])
def test_an_unknown_memory_size_rejects_no_network(answer, monkeypatch):
    def sysconf(_name):
        if isinstance(answer, int):
            return answer
        raise answer

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert memory() is None
    assert Model([784, 8, 10]).network.size == 784 * 8 + 8 + 80 + 10


def byhand(*arguments, cwd, before=()):
    """Run the program in a process, with `before` in front of the command."""
    environment = {"PATH": os.environ["PATH"], "BYHAND_CACHE": str(cwd / "cache"), "HOME": str(cwd)}
    return processes.run(*before, sys.executable, "-m", "byhand", *arguments, cwd=cwd, env=environment)


def one_line(done, code):
    """Return the error message: a single line, with that exit code and without a traceback."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == code, (done.returncode, done.stderr)
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("byhand: ")
    return lines[0]


TRAIN = ("train", "--offline", "--data", "mnist-5k", "--quiet", "--hidden", "8", "--epochs", "1", "--samples", "200")


@pytest.mark.slow
def test_the_program_reports_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", 8):
        line = one_line(byhand(*TRAIN, "--run", tmp_path / "disk" / "run", cwd=tmp_path), StorageError.exit_code)
    assert "No space left on device" in line
    assert str(tmp_path / "disk" / "run") in line


@pytest.mark.slow
def test_the_program_reports_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "run").write_text("a file")
    line = one_line(byhand(*TRAIN, "--run", tmp_path / "run" / "x", cwd=tmp_path), 2)
    assert line == f"byhand: {tmp_path / 'run'}: is a file, not a folder"


@pytest.mark.slow
@pytest.mark.parametrize("inside", ["x.html", "deeper/x.html"])
def test_a_file_in_place_of_a_parent_folder_is_named(inside, tmp_path):
    (tmp_path / "notes").write_text("precious")
    with pytest.raises(NotADirectoryError) as caught:
        files.write_bytes(tmp_path / "notes" / inside, b"x")
    assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / "notes"), "is a file, not a folder")
    line = one_line(byhand("export", "-o", tmp_path / "notes" / inside, "-q", cwd=tmp_path), 2)
    assert line == f"byhand: {tmp_path / 'notes'}: is a file, not a folder"


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_folder_in_place_of_a_file_is_rejected(name):
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"):
        files.write_bytes(name, b"x")


@pytest.mark.slow
def test_the_program_reports_that_memory_is_exhausted(tmp_path):
    """Running out of memory anywhere gives one line."""
    code = "import sys; sys.argv = ['byhand', 'data', 'list']; import byhand.cli as c, byhand.data.loading as d\n"
    code += "def full(): raise MemoryError('Unable to allocate 9 GiB')\n"
    code += "d.named_sets = full; c.main()"
    line = one_line(processes.python("-c", code), 2)
    assert line == "byhand: not enough memory: Unable to allocate 9 GiB"


def test_a_closed_pipe_exits_with_141_silently(tmp_path):
    end, start = os.pipe()
    os.close(end)
    try:
        command = [sys.executable, "-m", "byhand", "data", "list"]
        done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, cwd=tmp_path, timeout=300, check=False)
    finally:
        os.close(start)
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full on this system")
@pytest.mark.parametrize(
    ("stream", "words", "said", "status"),
    [("stdout", "data list", b"byhand: No space left on device\n", 2), ("stderr", "info missing", b"", 5)],
)
def test_output_that_cannot_be_written_is_an_error_with_its_status(stream, words, said, status, tmp_path):
    command = [sys.executable, "-m", "byhand", *words.split()]
    with open("/dev/full", "wb") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run(command, **streams, cwd=tmp_path, timeout=300, check=False)
    assert (done.stdout or b"") + (done.stderr or b"") == said
    assert done.returncode == status


def without_root_rights():
    """Return a prefix for a command that removes root's right to write anywhere; empty for other users."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and there is no setpriv to take that right away")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.slow
def test_a_read_only_folder_is_reported(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    line = one_line(byhand(*TRAIN, "--run", locked / "run", cwd=tmp_path, before=without_root_rights()), 2)
    assert line == f"byhand: {locked / 'run'}: Permission denied"


@pytest.mark.slow
def test_a_folder_that_becomes_read_only_during_training_is_reported(tmp_path):
    run = Run(tmp_path / "run")
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from helpers import small_run\n"
        "from pathlib import Path; from byhand.training import steps; from byhand.training.checkpoint import *\n"
        "with small_run.session() as session, Checkpoints(Run(Path(sys.argv[2]))) as checkpoints:\n"
        "    walk = steps(session); next(walk); checkpoints.save(session, force=True)\n"
        "    os.chmod(checkpoints.folder, 0o555); next(walk)\n"
        "    try: checkpoints.save(session, force=True)\n"
        "    except StorageError as error: print(error)\n"
    )
    done = processes.run(*without_root_rights(), sys.executable, "-c", code, Path(__file__).parent, run.folder)
    state = run.folder / "state"
    assert done.stdout == (
        f"{state}: the checkpoint can't be saved: Permission denied; the previous one is intact: "
        f"{state / 'a.safetensors'}\n"
    ), done.stderr
    assert Checkpoints(run).load()[1]["step"] == 1


@pytest.mark.slow
def test_the_program_runs_without_a_home_folder(tmp_path):
    """Without HOME and without an entry in the list of users, the bundled sample is used."""
    code = (
        "import pwd, sys\n"
        "def unknown(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = unknown\n"
        "sys.argv[0] = 'byhand'\n"
        "from byhand.cli import main; main()\n"
    )
    environment = {"PATH": os.environ["PATH"]}
    done = processes.python("-c", code, *TRAIN, "--run", tmp_path / "run", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.slow
def test_a_damaged_model_is_reported_with_its_checkpoint(tmp_path):
    run = Run(tmp_path / "run")
    assert byhand(*TRAIN, "--run", run.folder, cwd=tmp_path).returncode == 0
    content = bytearray(run.model_path.read_bytes())
    content[-5] ^= 4
    run.model_path.write_bytes(content)
    with pytest.raises(ByhandError) as caught:
        run.model()
    assert str(caught.value) == (
        f"{run.model_path}: damaged: the content does not match the checksum; "
        f"resume from the last checkpoint: byhand train --resume {run.folder}"
    )
    assert caught.value.exit_code == 5
    done = byhand("train", "--resume", run.folder, "--offline", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run.model().accuracy(load("mnist-5k", offline=True).test[:100]) > 0


@pytest.mark.slow
@pytest.mark.timing
def test_the_killed_program_resumes_to_bit_identical_weights(tmp_path):
    long = (*TRAIN[:-3], "40", "--samples", "1000", "--augment", "default", "--dropout", "0.1", "--ema-decay", "0.9")
    assert byhand(*long, "--run", tmp_path / "whole", cwd=tmp_path).returncode == 0
    run = Run(tmp_path / "killed")
    words = [sys.executable, "-m", "byhand", *long, "--run", str(run.folder), "--checkpoint-every", "0"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL) as training:
        until((run.folder / "state" / "a.safetensors").exists)
        training.kill()
    assert training.returncode == -signal.SIGKILL
    assert not run.model_path.exists()
    done = byhand("train", "--resume", run.folder, "--offline", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    whole, resumed = Run(tmp_path / "whole").model().network, run.model().network
    assert resumed.parameters.tobytes() == whole.parameters.tobytes()
    assert [r.loss for r in run.records()] == [r.loss for r in Run(tmp_path / "whole").records()]


@pytest.mark.slow
def test_two_damaged_checkpoints_give_one_line_and_exit_5(tmp_path):
    run = Run(tmp_path / "run")
    assert byhand(*TRAIN, "--run", run.folder, cwd=tmp_path).returncode == 0
    for slot in module.SLOTS:
        (run.folder / "state" / slot).write_bytes(b"rubbish")
    line = one_line(byhand("train", "--resume", run.folder, "--offline", "--quiet", cwd=tmp_path), 5)
    assert re.match("byhand: no valid checkpoint: .*a.safetensors: .*; .*b.safetensors: ", line)
