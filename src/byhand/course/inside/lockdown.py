"""Limits for the student's process: memory, files, no other processes, no network, and no look at the answer key.

`close` can't be undone from inside: limits are lowered for good, and an audit hook can't be taken away.
Determined people will still find a way out; accidents and star-imports of the answer key will not.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

FORBIDDEN = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.sendto",
)


def close(memory: int, seconds: int) -> None:
    """From here on: at most `memory` bytes, `seconds` of processor time, 16 MB a file, and no byhand."""
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
    sys.addaudithook(lambda event, args: _judge(event, args, package))


def _judge(event: str, args: tuple[Any, ...], package: str) -> None:
    """Raise where the student's code reaches for what it must not have."""
    if event == "import":
        if str(args[0]).split(".")[0] == "byhand":
            raise ImportError("byhand can't be imported while it checks this file")
    elif event in ("open", "os.listdir", "os.scandir"):
        if isinstance(args[0], str | bytes | os.PathLike) and _within(args[0], package):
            raise PermissionError(f"{os.fsdecode(args[0])} can't be read while this file is checked")
    elif event in FORBIDDEN:
        raise PermissionError(f"{event} is not allowed while this file is checked")


def _within(path: str | bytes | os.PathLike[Any], package: str) -> bool:
    return (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(package + os.sep)
