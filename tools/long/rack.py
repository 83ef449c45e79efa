"""The rack: what byhand is put through, for minutes or hours.

    python tools/long/rack.py [share of the full load [part …]]

kills           a run is killed with SIGKILL at random moments and taken up again, until it ends: always the same bits
faults          one call of the system fails, each in turn, in a real process (strace puts the error in, in the kernel's
                place); and a real file system fills up, at every size in turn
mutations       model files, checkpoints and the texts of runs, changed blindly and knowingly
configurations  network × optimiser × schedule × data × precision, by chance, against what must always hold
saving          what checkpoints cost, as a share of the time of training

The full load (1) takes about an hour on one thread; `rack.py 0.1` some minutes. A failure ends the rack with its
number, and the same number gives the same failure. What was found is written to benchmarks/results/rack.json, from
which `docs/promises.md` quotes.
"""

import contextlib
import errno
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import byhand
from byhand.files import write_text

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "rack.json"
TESTS = str(ROOT / "tests")
sys.path.insert(0, TESTS)

import configurations  # noqa: E402
import mutations  # noqa: E402
import torture  # noqa: E402
from byhand.errors import ByhandError  # noqa: E402
from byhand.model import Model  # noqa: E402
from byhand.nn.optimizers import AdamW  # noqa: E402
from byhand.training import Recipe, Session, steps  # noqa: E402
from byhand.training.checkpoint import Checkpoints  # noqa: E402
from byhand.training.runs import Run  # noqa: E402

#: The full load.
KILLS, MUTATIONS, CONFIGURATIONS = 2_000, 1_000_000, 10_000

#: What the kernel answers, call by call.
CALLS = {
    "openat": (errno.EMFILE, errno.EACCES, errno.ENOSPC, errno.EROFS),
    "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT),
    "fsync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EIO, errno.EACCES, errno.ENOSPC),
    "mkdir": (errno.EROFS, errno.ENOSPC),
    "newfstatat": (errno.EIO, errno.EACCES),
    "read": (errno.EIO,),
    "flock": (errno.ENOLCK, errno.EINTR),
    "getdents64": (errno.EIO,),
}
SAVES = 3


def kills(share: float, folder: Path) -> dict[str, Any]:
    """Runs killed until so many kills have struck; each must end as if nothing had happened."""
    runs, struck = 0, 0
    for seed, times, fingerprint in torture.kills(folder, max(10, round(KILLS * share)), longest=0.2):
        whole = torture.uninterrupted(seed=seed, chosen=torture.LONG)
        assert fingerprint == whole, f"run {seed}, killed {times} times, ended otherwise"
        shutil.rmtree(folder / str(seed))
        runs, struck = runs + 1, struck + times
    return {"kills": struck, "runs": runs, "lost": 0}


def faults(share: float, folder: Path) -> dict[str, Any]:
    """Each call fails in turn, in a real process: what was said to be saved must be there, whatever else is."""
    if shutil.which("strace") is None:
        return {"skipped": "there is no strace on this system"}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        save_some(folder / "warm", theirs)  # what is imported on the way must not be what fails
    found: Counter[str] = Counter()
    for call, codes in CALLS.items():
        for code in codes:
            for at in range(1, 100):
                run = folder / f"{call}-{code}-{at}"
                said, struck = one_fault(run, call, code, at)
                if not struck:
                    break
                what = f"{call} {errno.errorcode[code]} at {at}: {said}"
                assert said[-1] in ("done", "refused in one line"), what
                check_state(run, sum(line.isdigit() for line in said), what)
                found[call] += 1
                found["survived" if said[-1] == "done" else "refused"] += 1
    return {"faults": sum(found[call] for call in CALLS), **found, "lost": 0}


def save_some(run: Path, out: socket.socket) -> None:
    """Save three states of a run, and tell of each; this is what the faults strike."""
    try:
        with torture.session() as session, Checkpoints(Run(run)) as checkpoints:
            for _ in zip(range(SAVES), steps(session), strict=False):
                checkpoints.save(session, force=True)
                out.send(f"{session.progress.step}\n".encode())
        out.send(b"done\n")
    except ByhandError as error:
        out.send(b"refused in one line\n" if str(error).isprintable() else f"refused: {error}\n".encode())


def one_fault(run: Path, call: str, code: int, at: int) -> tuple[list[str], bool]:
    """What a process said whose kernel answered the `at`-th such call with that error, and whether it came to that.

    A child is forked, waits until strace holds it, and talks over a socket: no call of its own is in the way.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        theirs.recv(1)
        with contextlib.suppress(BaseException):  # whatever is not said counts as lost
            save_some(run, theirs)
        os._exit(0)
    theirs.close()
    log = run.with_suffix(".strace")
    inject = f"inject={call}:error={errno.errorcode[code]}:when={at}"
    command = ["strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", inject, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        held = strace.stderr.readline()
        assert "attached" in held, held
        ours.send(b"g")
        os.waitpid(child, 0)
        strace.wait()
    said = b""
    while piece := ours.recv(10_000):
        said += piece
    ours.close()
    struck = "(INJECTED)" in log.read_text()
    log.unlink()
    return said.decode().split("\n")[:-1] or ["nothing"], struck


def check_state(run: Path, saved: int, what: str) -> None:
    """The newest state that was said to be saved is there, or a later one; nothing half-written counts."""
    if saved:
        arrays, plain = Checkpoints(Run(run)).load()
        assert plain["step"] >= saved, what
        assert all(np.isfinite(array).all() for array in arrays.values()), what
    shutil.rmtree(run, ignore_errors=True)


def full_disks(share: float, folder: Path) -> dict[str, Any]:
    """A real file system that fills up at every size in turn, four kilobytes apart."""
    tried = 0
    for size in range(4, 120, 4):
        disk = folder / "disk"
        disk.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return {"skipped": "mounting a file system needs root"}
        ours, theirs = socket.socketpair()
        try:
            save_some(disk / "run", theirs)
            theirs.close()
            said = ours.recv(10_000).decode().split("\n")[:-1]
            assert said[-1] in ("done", "refused in one line"), (size, said)
            check_state(disk / "run", sum(line.isdigit() for line in said), f"a disk of {size} kB: {said}")
            tried += 1
        finally:
            ours.close()
            subprocess.run(["umount", "-l", str(disk)], check=True)
    return {"disks": tried, "lost": 0}


def mutated(share: float, folder: Path) -> dict[str, Any]:
    """Mutations of each kind of file; the numbers of the suite come first, and nothing is tried twice."""
    times = round(MUTATIONS * share / len(mutations.READERS))
    found = {name: mutations.outcomes(name, folder, range(times)) for name in mutations.READERS}
    return {"mutations": times * len(found), **found}


def configured(share: float, folder: Path) -> dict[str, Any]:
    """Configurations of every kind."""
    times = round(CONFIGURATIONS * share)
    found = Counter(configurations.tried(number) for number in range(times))
    return {"configurations": times, **found}


def saving(share: float, folder: Path) -> dict[str, Any]:
    """What saving costs with the settings of `byhand train`, in a small network and a large one."""
    digits = byhand.load("mnist-5k", offline=True)
    found = {}
    for hidden, epochs in (((128,), 1_500), ((800, 800), 150)):
        model = Model([784, *hidden, 10], seed=0)
        recipe = Recipe(epochs=max(2, round(epochs * min(1.0, 5 * share))), optimizer=AdamW(), average=0.99)
        run = Run(folder / f"{hidden}")
        with Session(model, digits.train, recipe, seed=0) as session, Checkpoints(run) as checkpoints:
            began = time.perf_counter()
            for _ in steps(session):
                checkpoints.save(session)
            took = time.perf_counter() - began
            saves = Checkpoints(run).newest().number
            cost = checkpoints.spent / took
        name = "-".join(map(str, (784, *hidden, 10)))
        found[name] = {"seconds": round(took, 1), "saves": saves, "share_of_time": round(cost, 5)}
    return found


PARTS = {part.__name__: part for part in (kills, faults, full_disks, mutated, configured, saving)}


def main(share: float, names: list[str]) -> None:
    """Run the parts, all or those named, and put their results beside those that are there."""
    warnings.simplefilter("error")
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if names and RESULTS.exists() else {}
    found |= {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "share_of_the_full_load": share,
    }
    for part in [PARTS[name] for name in names or PARTS]:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found[part.__name__] = part(share, Path(folder))
        found[part.__name__]["seconds"] = round(time.perf_counter() - began, 1)
        print(part.__name__, json.dumps(found[part.__name__]), flush=True)
        write_text(RESULTS, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, sys.argv[2:])
