"""Make the folders ensemble, sweep and playground in tests/golden/version-before/.

Run this tool with the previous version of byhand: a test checks that the current version reads and resumes folders that
the previous one has written. The imported names are those of that version:

    git worktree add /tmp/before e8702dd
    PYTHONPATH=/tmp/before/src python tools/make_golden_folders.py

`folders.json` contains the expected results:

- ensemble/: two members. The first is trained; the second has only the state before its first step.
- sweep/: four trials, of which two are done and one is running when the sweep is interrupted.
- playground/: a run of the playground with an added image, stopped in its second epoch.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from byhand.distributed.trials import Folder
from byhand.web.keeping import Keeper
from byhand.web.playground import Playground
from byhand.web.setup import Setup

import byhand
from byhand.cli import cli
from byhand.cli import committee as command
from byhand.distributed.space import Space
from byhand.distributed.sweep import resume, sweep
from byhand.training.runs import Run, load_reader

TARGET = Path(__file__).resolve().parents[1] / "tests" / "golden" / "version-before"
ENSEMBLE = ["train", "--committee", "2", "--data", "mnist-5k", "--offline", "--quiet", "--threads", "1"]
ENSEMBLE += ["--samples", "150", "--seed", "6", "--hidden", "2", "--dtype", "float64", "--optimizer", "adam"]
ENSEMBLE += ["--learning-rate", "0.02", "--batch-size", "50", "--epochs", "6", "--augment", "none"]
ENSEMBLE += ["--schedule", "constant"]
SPACE = {
    "fixed": {"epochs": 3, "samples": 120, "deskew": False, "hidden": "2", "dtype": "float64"},
    "search": {"learning_rate": {"low": 0.01, "high": 0.5, "log": True}},
}


def checksum(array: np.ndarray[Any, Any]) -> str:
    """Hash the dtype, the shape and the bytes."""
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def run(words: list[str]) -> None:
    """Run `byhand` with these arguments in this process."""
    sys.argv = ["byhand", *words]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli(words, standalone_mode=False)


def ensemble() -> dict[str, Any]:
    """Train an ensemble, and another one that is interrupted after its first member."""
    images = byhand.load("mnist-5k").test.images[[3, 500, 911]]
    run([*ENSEMBLE, "--run", "whole"])
    train = command.committee.train_members

    def only_the_first(members: Any, **_: Any) -> bool:
        run(["train", "--offline", "--quiet", "--resume", str(members[0].folder)])
        return False

    command.committee.train_members = only_the_first
    try:
        run([*ENSEMBLE, "--run", "ensemble"])
    finally:
        command.committee.train_members = train
    whole = load_reader("whole")
    expected = {
        "probabilities": whole.probabilities(images).tolist(),
        "members": [checksum(model.network.parameters) for model in whole.members],
        "first": checksum(Run(Path("ensemble/member-1")).model().network.parameters),
        "card": Run(Path("whole")).config()["card"],
    }
    shutil.rmtree("whole")
    return expected


def searched() -> dict[str, Any]:
    """Run a sweep, and another one that is interrupted in its third trial."""
    space = Space.from_config(SPACE)
    options: dict[str, Any] = {"trials": 4, "jobs": 1, "data": "mnist-5k", "seed": 7, "offline": True}
    whole = sweep(space, folder=Folder(Path("whole")), **options)
    stop = threading.Event()
    write_state = Folder.write_state

    def stop_in_the_third_trial(self: Folder, trial: Any, state: Any) -> None:
        write_state(self, trial, state)
        if trial.number == 2:
            stop.set()

    Folder.write_state = stop_in_the_third_trial  # type: ignore[method-assign]
    sweep(space, folder=Folder(Path("sweep")), stop=stop, **options)
    Folder.write_state = write_state  # type: ignore[method-assign]
    left = [trial.status for trial in Folder(Path("sweep")).trials()]
    assert left == ["done", "done", "running"], left
    shutil.copytree("sweep", "again")
    again = resume(Folder(Path("again")), jobs=1, offline=True)
    trials = [{"values": trial.values, "status": trial.status, "accuracy": trial.accuracy} for trial in whole.trials]
    assert trials == [{"values": t.values, "status": t.status, "accuracy": t.accuracy} for t in again.trials]
    shutil.rmtree("whole")
    shutil.rmtree("again")
    return {"statuses": left, "trials": trials}


def played() -> dict[str, Any]:
    """Train in the playground without a server; return its state when it is closed, and 20 steps later."""
    setup = Setup(layers=(2,), learning_rate=0.2, batch_size=100, seed=8)
    playground = Playground(
        byhand.Model([784, 2, 10], seed=9), "a model", byhand.load("mnist-5k"), setup, Keeper(Run(Path("playground")))
    )
    for number in range(45):
        if number == 10:
            playground.add(np.full((28, 28), 200, np.uint8), 3)
        playground.step()
    playground.close()
    left = playground.session.model.network.parameters.copy()
    through = Playground(byhand.Model([784, 2, 10], seed=9), "a model", byhand.load("mnist-5k"), setup)
    for number in range(65):
        if number == 10:
            through.add(np.full((28, 28), 200, np.uint8), 3)
        if number == 45:
            assert (through.session.model.network.parameters == left).all()
        through.step()
    return {
        "step": playground.step_number,
        "left": checksum(left),
        "later": through.session.model.network.parameters.tolist(),
        "epochs": [record.epoch for record in playground.curve.epochs],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        expected = {"ensemble": ensemble(), "sweep": searched(), "playground": played()}
        for path in [*Path().rglob("lock"), Path("sweep/sweep.html")]:
            path.unlink()
        for name in expected:
            shutil.rmtree(TARGET / name, ignore_errors=True)
            shutil.copytree(name, TARGET / name)
        os.chdir(TARGET)
    (TARGET / "folders.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")
    print({name: list(value) for name, value in expected.items()})


if __name__ == "__main__":
    main()
