"""Make tests/golden/version-before/: interrupted runs and their expected results.

Run this tool with the previous version of byhand: a test checks that the current version reads and resumes runs that
the previous one has written. The imported names are those of that version:

    git worktree add /tmp/before c721bfe
    PYTHONPATH=/tmp/before/src python tools/make_golden_run.py

For each run there are:

- NAME/: the run folder after two interruptions; its two checkpoints are from these steps.
- NAME.safetensors: the model of the same command without interruptions.
- expected.json: checksums of the arrays in the checkpoints and models, the records of the uninterrupted run, and the
  probabilities of its model for three test images.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import byhand
from byhand.cli import cli
from byhand.cli import train as command
from byhand.training import checkpoint
from byhand.training.runs import Run

TARGET = Path(__file__).resolve().parents[1] / "tests" / "golden" / "version-before"
COMMON = "train --data mnist-5k --offline --quiet --threads 1 --schedule constant --augment none"
#: Name → (steps after which the run is interrupted, options). The networks are small because the files are committed.
RUNS = {
    "everything": (
        (13, 112),
        """--samples 200 --seed 3 --dtype float64 --maps 2@5/3,3@3/2 --hidden 5 --batch-norm --dropout 0.1
        --optimizer momentum --learning-rate 0.05 --batch-size 32 --epochs 60 --average 0.9 --clip 5
        --label-smoothing 0.1 --validation 40 --patience 2""",
    ),
    "augmented": (
        (14, 26),
        """--samples 150 --seed 4 --hidden 2 --optimizer adam --weight-decay 0.001 --learning-rate 0.02
        --schedule one_cycle --batch-size 40 --epochs 8 --augment shift=2,rotate=10 --gentle 0.5 --max-norm 2""",
    ),
    "whole-data": (
        (9, 17),
        """--samples 300 --seed 5 --dtype float64 --hidden 2 --optimizer sgd --learning-rate 0.1 --batch-size all
        --epochs 25 --record-every 4 --no-deskew""",
    ),
}


def checksum(array: np.ndarray[Any, Any]) -> str:
    """Hash the dtype, the shape and the bytes."""
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


@contextlib.contextmanager
def interrupted_after(step: int | None) -> Iterator[None]:
    """Interrupt `byhand train`, like Ctrl-C, during this step, counted from 1."""
    train = command.train

    def stopping(session: Any, stop: Any, *, after_step: Any) -> Any:
        def after(session: Any) -> None:
            after_step(session)
            if session.progress.step == step:
                stop.set()

        return train(session, stop, after_step=after)

    command.train = stopping
    try:
        yield
    finally:
        command.train = train


def run(words: list[str], stop_after: int | None = None) -> None:
    """Run `byhand` with these arguments in this process."""
    sys.argv = ["byhand", *words]
    with interrupted_after(stop_after), contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli(words, standalone_mode=False)


def make(name: str, stops: tuple[int, int], options: str) -> dict[str, Any]:
    """Make the interrupted and the uninterrupted run in the current folder; return the expected results."""
    words, resume = [*COMMON.split(), *options.split()], ["train", "--offline", "--quiet", "--resume"]
    run([*words, "--run", "whole"])
    run([*words, "--run", name], stops[0])
    run([*resume, name], stops[1])
    shutil.copytree(name, "again")
    run([*resume, "again"])
    interrupted, whole, again = Run(Path(name)), Run(Path("whole")), Run(Path("again"))
    model = whole.model()
    assert checksums(again.model()) == checksums(model), "a resumed run must be bit-identical"
    saved = {slot: checkpoint.read(interrupted.folder / "state" / slot) for slot in checkpoint.SLOTS}
    steps = sorted(state.plain["step"] for state in saved.values())
    assert steps == list(stops), (steps, [record.validation_loss for record in whole.records()])
    images = byhand.load("mnist-5k").test.images[[3, 500, 911]]
    expected = {
        "ending": model.card["ending"],
        "checkpoints": {
            slot: {
                "step": state.plain["step"],
                "arrays": {key: checksum(array) for key, array in state.arrays.items()},
            }
            for slot, state in saved.items()
        },
        "models": {"interrupted": checksums(interrupted.model()), "finished": checksums(model)},
        "probabilities": model.probabilities(images).tolist(),
        "records": [record.to_json() for record in whole.records()],
    }
    shutil.copy(whole.model_path, f"{name}.safetensors")
    shutil.rmtree("whole")
    shutil.rmtree("again")
    (interrupted.folder / "state" / "lock").unlink()
    return expected


def checksums(model: byhand.Model) -> list[str]:
    """Hash the parameters and the batch-norm statistics of a model."""
    return [checksum(vector) for vector in (model.network.parameters, model.network.statistics)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        expected = {name: make(name, *settings) for name, settings in RUNS.items()}
        Path("expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(folder, TARGET)
        os.chdir(TARGET)
    for name, run_expected in expected.items():
        epochs = [record["epoch"] for record in run_expected["records"]]
        print(f"{name}: {run_expected['ending']} after epoch {epochs[-1]}")


if __name__ == "__main__":
    main()
