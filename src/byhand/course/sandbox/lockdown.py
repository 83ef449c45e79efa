"""Limits for the student's process: memory, files, no other processes, no network, and no look at the answer key.

`close` can't be undone from inside: limits are lowered for good, and an audit hook can't be taken away. Files are read
where Python and its packages lie and in the folder that the process starts in, and written in that folder only: other
people's submissions, hidden checks and marks are out of sight. On Linux the process also gets a network of its own,
with nothing on it, and ends when the process that started it ends.
Determined people will still find a way out; accidents and star-imports of the answer key will not.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

FORBIDDEN = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.killpg",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.sendto",
)
READS = ("os.listdir", "os.scandir")
CHANGES = (
    *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename"),
    *("os.rmdir", "os.symlink", "os.truncate", "os.utime"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/dev", "/System", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")
NEW_USER, NEW_NETWORK, DIE_WITH_PARENT = 0x10000000, 0x40000000, 1  # <linux/sched.h>, <linux/prctl.h>


def close(memory: int, seconds: int) -> None:
    """From here on: at most `memory` bytes, `seconds` of processor time, 16 MB a file, and no byhand."""
    if sys.platform == "linux":
        _set_apart()
    with contextlib.suppress(ImportError):
        import resource

        for what, limit in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_FSIZE, 16 * 2**20),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):  # a system that doesn't know this limit
                resource.setrlimit(what, (limit, limit))
    package = str(Path(__file__).resolve().parents[2])
    for name in [name for name in sys.modules if name.split(".")[0] == "byhand"]:
        del sys.modules[name]
    guard = _Guard(package)
    sys.addaudithook(guard.judge)


def _set_apart() -> None:
    """No network, where a process may give it up; and an end when the parent ends, even one by SIGKILL."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        libc = ctypes.CDLL(None)
        if libc.unshare(NEW_NETWORK) != 0:  # without privileges this takes a user namespace
            libc.unshare(NEW_USER | NEW_NETWORK)
        libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)


class _Guard:
    """Judges what the student's code is about to do, and raises where it reaches for what it must not have."""

    def __init__(self, package: str) -> None:
        self.package, self.folder = package, os.path.realpath(os.curdir)
        roots = (self.folder, sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path), *SYSTEM)
        self.readable = {os.path.realpath(root) for root in (*roots, os.environ.get("SYSTEMROOT", self.folder))}
        self.readable.add(f"/proc/{os.getpid()}")

    def judge(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            if str(args[0]).split(".")[0] == "byhand":
                raise ImportError("byhand can't be imported while it checks this file")
        elif event == "open":
            written = isinstance(args[2], int) and args[2] & WRITING
            self._within(args[0], {self.folder, os.devnull} if written else self.readable, "written" if written else "")
        elif event in READS:
            self._within(args[0], self.readable)
        elif event in CHANGES:
            for path in args[: 2 if event in ("os.link", "os.rename", "os.symlink") else 1]:
                self._within(path, {self.folder}, "changed")
        elif event in FORBIDDEN:
            raise PermissionError(f"{event} is not allowed while this file is checked")

    def _within(self, path: Any, roots: set[str], done: str = "") -> None:
        """Raise unless the path lies below one of the roots, and not in byhand."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        full = os.path.realpath(os.fsdecode(path))
        if _below(full, self.package) or not any(_below(full, root) for root in roots):
            raise PermissionError(f"{os.fsdecode(path)} can't be {done or 'read'} while this file is checked")


def _below(path: str, root: str) -> bool:
    return (path + os.sep).startswith(root.rstrip(os.sep) + os.sep)
