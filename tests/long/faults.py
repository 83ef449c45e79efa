"""Faults: parts of the rack in which the system fails a process that saves, call by call and disk by disk.

`faults` lets the kernel answer one call with an error, each call in turn (strace puts the error in); `full_disks`
mounts a real file system that fills up, at every size in turn. Whatever was said to be saved must be there afterwards.
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


def faults(folder: Path) -> dict[str, Any]:
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
        with small_run.session() as session, Checkpoints(Run(run)) as checkpoints:
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


def full_disks(folder: Path) -> dict[str, Any]:
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
