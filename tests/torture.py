"""What byhand is put through, for the suite (a short form) and for tests/long/rack.py (minutes or hours).

Kills: `kills` trains in a process that is killed with SIGKILL at random moments and taken up again, until it is done.
Faults: `faults` lets one write of a run fail, each call in turn.
Mutations and random configurations are in `mutations.py` and `configurations.py`.
"""

import contextlib
import errno
import hashlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from byhand import files
from byhand.data import Dataset
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.optimizers import AdamW, Optimizer
from byhand.training import Recipe, Trainer, steps
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run

# ---- a run that has everything in it


def digits(count: int = 120, side: int = 8) -> Dataset:
    """Blots that a small network can tell apart: a bright square, in a place that its class decides."""
    rng = np.random.default_rng(7)
    labels = np.arange(count) % 4
    images = rng.integers(0, 120, (count, side, side)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = divmod(label, 2)
        image[4 * top : 4 * top + 4, 4 * left : 4 * left + 4] += 120
    return Dataset(images, labels, classes=tuple("abcd"), name="blots")


def model(**settings: object) -> Model:
    settings = {"dropout": 0.2, "batch_norm": True, **settings}
    return Model([64, 12, 4], seed=1, classes="abcd", preparation=Preparation(deskew=True), **settings)


def recipe(optimizer: Optimizer | None = None, **choices: object) -> Recipe:
    """Augmentation, averages, early stopping, clipping: all that has a state. 10 steps an epoch, the last short."""
    settings: dict[str, object] = {
        "epochs": 8,
        "batch_size": 10,
        "learning_rate": 0.01,
        "augment": "default",
        "weak_augment": 0.5,
        "ema_decay": 0.95,
        "validation": 24,
        "patience": 5,
        "clip": 5.0,
        **choices,
    }
    return Recipe(optimizer=optimizer or AdamW(), **settings)


#: The same, long enough to be killed many times.
LONG = recipe(epochs=60, patience=50)


def session(*, seed: int = 5, chosen: Recipe | None = None, **settings: object) -> Trainer:
    return Trainer(model(**settings), digits(), chosen or recipe(), seed=seed)


def fingerprint(session: Trainer) -> str:
    """A hash of every bit of the model, and of every record but its times."""
    network, digest = session.model.network, hashlib.sha256()
    digest.update(network.parameters.tobytes() + network.statistics.tobytes())
    for record in session.progress.records:
        values = record.to_json()
        del values["seconds"], values["images_per_second"]
        digest.update(repr(values).encode())
    return digest.hexdigest()


def uninterrupted(**settings: object) -> str:
    with session(**settings) as whole:
        for _ in steps(whole):
            pass
        return fingerprint(whole)


# ---- kill −9

WORKER = """
import os, sys
sys.path.insert(0, {tests!r})
import torture
for line in sys.stdin:
    seed, folder = line.split(maxsplit=1)
    child = os.fork()
    if child == 0:
        torture.train_on(int(seed), folder.strip())
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def train_on(seed: int, folder: str) -> None:
    """Begin the run, or go on with it; save as often as can be; when it is over, leave its fingerprint."""
    run = Run(Path(folder))
    checkpoints = Checkpoints(run, every=0)
    with session(seed=seed, chosen=LONG) as going, checkpoints:
        if any((run.folder / "state").glob("[ab].safetensors")):
            going.restore(*checkpoints.load())
        for _ in steps(going):
            checkpoints.save(going)
        files.write_text(run.folder / "done", fingerprint(going))


def kills(folder: Path, wanted: int, *, longest: float = 0.15) -> Iterator[tuple[int, int, str]]:
    """Run after run, each killed again and again until it ends by itself, until `wanted` kills have struck.

    Gives for each run its seed, how often it was killed, and the fingerprint that it ended with. A real process is
    killed: the fork of one that has imported everything.
    """
    rng = np.random.default_rng(0)
    code = WORKER.format(tests=str(Path(__file__).parent))
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
                    select.select([mother.stdout], [], [], rng.uniform(0.01, longest))  # or until it ends by itself
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                status = int(mother.stdout.readline())
                assert status in (0, signal.SIGKILL), f"the run ended with status {status}"
                times += status == signal.SIGKILL
            yield seed, times, (run / "done").read_text()
            struck, seed = struck + times, seed + 1
        mother.stdin.close()


# ---- faults


class Fault:
    """Lets the `at`-th call to the system fail with `code`, counting from 0, among those that write files.

    With `short` a write puts down half of its bytes first, as a disk does that fills up.
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
