"""Failures of the system for tests and tests/long/rack.py: kills and failed writes.

`kills` trains in a process that is killed with SIGKILL at random moments and resumed until it ends.
`Fault` makes one call of a write fail, each in turn.
"""

import contextlib
import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from byhand import files
from byhand.training import steps
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run
from helpers.small_run import LONG, fingerprint, session

WORKER = """
import os, sys
sys.path.insert(0, {tests!r})
from helpers import kills_and_faults
for line in sys.stdin:
    seed, folder = line.split(maxsplit=1)
    child = os.fork()
    if child == 0:
        kills_and_faults.train_on(int(seed), folder.strip())
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def train_on(seed: int, folder: str) -> None:
    """Start or resume the run, save as often as possible, and write its fingerprint at the end."""
    run = Run(Path(folder))
    checkpoints = Checkpoints(run, every=0)
    with session(seed=seed, chosen=LONG) as going, checkpoints:
        if any((run.folder / "state").glob("[ab].safetensors")):
            going.restore(*checkpoints.load())
        for _ in steps(going):
            checkpoints.save(going)
        files.write_text(run.folder / "done", fingerprint(going))


def kills(folder: Path, wanted: int, *, longest: float = 0.15) -> Iterator[tuple[int, int, str]]:
    """Train runs that are killed again and again until they end, until `wanted` kills have happened.

    Yield the seed, the number of kills, and the final fingerprint of each run. The killed process is a fork of one that
    has imported everything.
    """
    rng = np.random.default_rng(0)
    code = WORKER.format(tests=str(Path(__file__).parents[1]))
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "BYHAND_THREADS"), "1")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | one_thread,
        text=True,
    ) as mother:
        assert mother.stdin is not None
        assert mother.stdout is not None
        struck, seed = 0, 0
        while struck < wanted:
            run, times = folder / str(seed), 0
            while not (run / "done").exists():
                print(seed, run, file=mother.stdin, flush=True)
                child = int(mother.stdout.readline())
                if struck + times < wanted:
                    select.select([mother.stdout], [], [], rng.uniform(0.01, longest))  # or until it ends
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                status = int(mother.stdout.readline())
                assert status in (0, signal.SIGKILL), f"the run ended with status {status}"
                times += status == signal.SIGKILL
            yield seed, times, (run / "done").read_text()
            struck, seed = struck + times, seed + 1
        mother.stdin.close()


class Fault:
    """Lets the `at`-th call that writes files fail with `code`, counting from 0.

    With `short` a write stores half of its bytes first, as on a full disk.
    """

    CALLS = ("open", "fsync", "replace", "fdopen")

    def __init__(self, at: int, code: int, *, short: bool = False) -> None:
        self.at, self.code, self.short = at, code, short
        self.calls = 0
        self.struck = ""

    def strikes(self, name: str) -> bool:
        self.calls += 1
        if self.calls - 1 == self.at:
            self.struck = name
            return True
        return False

    def error(self) -> OSError:
        return OSError(self.code, os.strerror(self.code))

    def __enter__(self) -> "Fault":
        self.kept = {name: getattr(os, name) for name in self.CALLS}
        for name in self.CALLS:
            setattr(os, name, self.failing(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, call in self.kept.items():
            setattr(os, name, call)

    def failing(self, name: str):
        call = self.kept[name]

        def wrapped(*arguments, **keywords):
            if self.strikes(name):
                raise self.error()
            result = call(*arguments, **keywords)
            return FailingFile(result, self) if name == "fdopen" else result

        return wrapped


class FailingFile:
    """A file whose writes and flushes may fail."""

    def __init__(self, file, fault: Fault) -> None:
        self.file, self.fault = file, fault

    def write(self, content: bytes) -> int:
        if self.fault.strikes("write"):
            if self.fault.short:
                self.file.write(content[: len(content) // 2])
            raise self.fault.error()
        return self.file.write(content)

    def flush(self) -> None:
        if self.fault.strikes("flush"):
            raise self.fault.error()
        self.file.flush()

    def fileno(self) -> int:
        return self.file.fileno()

    def __enter__(self) -> "FailingFile":
        self.file.__enter__()
        return self

    def __exit__(self, *arguments: object) -> None:
        self.file.__exit__(*arguments)


CODES = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES)
