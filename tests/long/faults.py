"""Faults: parts of rack.py in which the system fails a process that saves, call by call and disk by disk.

`faults` makes the kernel return an error for one call, each in turn (with strace); `full_disks` mounts a real file
system that fills up, at every size in turn. Everything reported as saved must be there afterwards.
"""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from byhand.errors import ByhandError
from byhand.training import steps
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run
from helpers import small_run

#: Errors of the kernel for each call.
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


def faults(folder: Path) -> dict[str, Any]:
    """Let each call fail in turn, in a real process: everything reported as saved must be there."""
    if shutil.which("strace") is None:
        return {"skipped": "there is no strace on this system"}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        save_some(folder / "warm", theirs)  # imports must not fail
    found: Counter[str] = Counter()
    for call, codes in CALLS.items():
        for code in codes:
            for at in range(1, 100):
                run = folder / f"{call}-{code}-{at}"
                report, struck = one_fault(run, call, code, at)
                if not struck:
                    break
                label = f"{call} {errno.errorcode[code]} at {at}: {report}"
                assert report[-1] in ("done", "refused in one line"), label
                check_state(run, sum(line.isdigit() for line in report), label)
                found[call] += 1
                found["survived" if report[-1] == "done" else "refused"] += 1
    return {"faults": sum(found[call] for call in CALLS), **found, "lost": 0}


def save_some(run: Path, out: socket.socket) -> None:
    """Save three states of a run, and report each; the faults occur in here."""
    try:
        with small_run.session() as session, Checkpoints(Run(run)) as checkpoints:
            for _ in zip(range(SAVES), steps(session), strict=False):
                checkpoints.save(session, force=True)
                out.send(f"{session.progress.step}\n".encode())
        out.send(b"done\n")
    except ByhandError as error:
        out.send(b"refused in one line\n" if str(error).isprintable() else f"refused: {error}\n".encode())


def one_fault(run: Path, call: str, code: int, at: int) -> tuple[list[str], bool]:
    """Return the report of a process whose `at`-th such call failed with that error, and whether the call happened.

    A child is forked, waits until strace is attached, and reports over a socket, so that no call of its own interferes.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        theirs.recv(1)
        with contextlib.suppress(BaseException):  # a missing report counts as lost
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
    report = b""
    while piece := ours.recv(10_000):
        report += piece
    ours.close()
    struck = "(INJECTED)" in log.read_text()
    log.unlink()
    return report.decode().split("\n")[:-1] or ["nothing"], struck


def check_state(run: Path, saved: int, label: str) -> None:
    """Check that the newest state reported as saved, or a later one, is there and finite."""
    if saved:
        arrays, plain = Checkpoints(Run(run)).load()
        assert plain["step"] >= saved, label
        assert all(np.isfinite(array).all() for array in arrays.values()), label
    shutil.rmtree(run, ignore_errors=True)


def full_disks(folder: Path) -> dict[str, Any]:
    """Fill a real file system at every size in turn, four kilobytes apart."""
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
            report = ours.recv(10_000).decode().split("\n")[:-1]
            assert report[-1] in ("done", "refused in one line"), (size, report)
            check_state(disk / "run", sum(line.isdigit() for line in report), f"a disk of {size} kB: {report}")
            tried += 1
        finally:
            ours.close()
            subprocess.run(["umount", "-l", str(disk)], check=True)
    return {"disks": tried, "lost": 0}
