"""Ensembles: networks from several seeds, each trained in a process of its own.

    def network(seed):
        return byhand.Model([784, 128, 10], seed=seed)

    result = train_ensemble("runs/three", network, byhand.load("mnist"), recipe, seeds=(0, 1, 2))
    result.ensemble.predict(images)

Each member is a run in `member-1`, `member-2`, …, and can be resumed like any run, with bit-identical results. The
ensemble's `config.json` is written last: a folder that has one can be resumed.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from byhand.checks import integer
from byhand.data import Dataset, TrainTest, load
from byhand.errors import ByhandError, UsageError, short_repr
from byhand.model import Model
from byhand.model.ensemble import Ensemble
from byhand.text import percent
from byhand.threads import ONE_THREAD, available
from byhand.training import ProgressBar, Recipe, begin_run, resume
from byhand.training.loop import interruptible
from byhand.training.records import tested, tested_lines
from byhand.training.run import color_of, data_of
from byhand.training.runs import Run
from byhand.training.setup import ClassWeights

INTERRUPTED = 130  # exit code of a process that was interrupted and has saved its run
POLL_INTERVAL = 0.1  # seconds


class MemberFailedError(ByhandError):
    """The process of a member failed; `exit_code` is that of the process."""

    def __init__(self, message: str, exit_code: int = 1) -> None:  # the default is for copies
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class EnsembleResult:
    """Result of training an ensemble; `ensemble` is None if the training was interrupted."""

    run: Run
    ensemble: Ensemble | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `byhand train --committee N --json` prints them."""
        members = self.run.members
        values = {
            "run": str(self.run.folder),
            "committee": len(members),
            "data": self.run.config()["data_name"],
            "ending": "interrupted" if self.ensemble is None else "done",
            "seconds": round(self.seconds, 3),
        }
        if self.ensemble is None:
            return values
        return values | {
            "network": f"{len(members)} × {self.ensemble.members[0].architecture}",
            "seeds": self.ensemble.metadata["seeds"],
            "members_test_accuracy": self.ensemble.metadata["test"]["members"],
            "training_seconds": [round(member.records()[-1].seconds, 3) for member in members],
            **tested(self.ensemble.metadata),
        }

    def text(self) -> str:
        """Return the results for a terminal; empty if the training was interrupted."""
        if self.ensemble is None:
            return ""
        values = self.to_json()
        accuracies = ", ".join(percent(accuracy) for accuracy in values["members_test_accuracy"])
        lines = [
            f"ensemble, {values['network']} on {values['data']}, {self.seconds:.1f} s",
            f"test accuracy of its members: {accuracies}",
            *tested_lines(self.ensemble.metadata),
            f"saved {self.run.folder}",
        ]
        return "\n".join(lines)


def train_ensemble(
    folder: str | os.PathLike[str] | None,
    model: Callable[[int], Model],
    data: TrainTest | Dataset,
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    test: Dataset | None = None,
    class_weights: ClassWeights | None = None,
    source: str | None = None,
    preset: str | None = None,
    command: str | None = None,
    jobs: int | None = None,
    **settings: Any,
) -> EnsembleResult:
    """Train `model(seed)` for each seed, in a new folder (None: the next `runs/NNN`).

    data, test, class_weights, source, preset, command: as for `train_run`; each process loads the data itself
    jobs, settings: as for `resume_ensemble` (offline, checkpoint_every, on_message)
    """
    train, test = (data.train, data.test) if isinstance(data, TrainTest) else (data, test)
    if not isinstance(train, Dataset):
        raise UsageError(f"data must be a data set that byhand.load can load, got {short_repr(data)}")
    if not seeds:
        raise UsageError("seeds must have at least one seed, got none")
    jobs = available() if jobs is None else integer("jobs", jobs, 1)
    run, held = Run.take(folder)
    shared: dict[str, Any] = {"source": source, "preset": preset, "command": command, "class_weights": class_weights}
    recipe = recipe.replace(threads=1)
    with held:
        for number, seed in enumerate(seeds, start=1):
            begin_run(run.folder / f"member-{number}", model(seed), train, recipe, seed=seed, **shared)
        run.write_config(Run(run.folder / "member-1").config() | {"committee": len(seeds)})
        return _train(run, test=test, jobs=jobs, **settings)


def resume_ensemble(
    folder: str | os.PathLike[str],
    *,
    data: str | None = None,
    test: Dataset | None = None,
    jobs: int | None = None,
    offline: bool = False,
    checkpoint_every: float = 30.0,
    on_message: Callable[[str], object] = lambda text: None,
) -> EnsembleResult:
    """Train the unfinished members of an ensemble, `jobs` at a time (default: one per processor).

    data: name or path of the data, if they have moved.  test: evaluation data (default: the test set).  on_message:
    called with each output line of a member. Ctrl-C saves each member after its current step.
    """
    jobs = available() if jobs is None else integer("jobs", jobs, 1)
    run = Run.open(folder)
    if not run.members:
        raise UsageError(f"{run.folder} must be the run of an ensemble, got the run of a single network")
    with run.lock():
        return _train(run, data, test, jobs, offline, checkpoint_every, on_message)


def _train(
    run: Run,
    data: str | None = None,
    test: Dataset | None = None,
    jobs: int = 1,
    offline: bool = False,
    checkpoint_every: float = 30.0,
    on_message: Callable[[str], object] = lambda text: None,
) -> EnsembleResult:
    """Train the unfinished members of a locked ensemble, and write its test accuracy."""
    began = time.perf_counter()
    config, members = run.config(), run.members
    on_message(f"an ensemble of {len(members)}: {run.folder}")
    stop = threading.Event()
    settings = {"data": data, "offline": offline, "checkpoint_every": checkpoint_every}
    with interruptible(stop.set):
        is_complete = train_members(members, jobs=jobs, stop=stop, on_message=on_message, **settings)
    if not is_complete:
        return EnsembleResult(run, None, time.perf_counter() - began)
    if test is None:
        test = load(data or data_of(config), offline=offline, color=color_of(config)).test
    models = [member.model() for member in members]
    first = models[0].metadata
    metadata = {name: first[name] for name in ("data", "preset", "recipe")}
    metadata["seeds"] = [member.metadata["seed"] for member in models]
    alone = [member.metadata["test"]["accuracy"] if "test" in member.metadata else None for member in models]
    accuracy = Ensemble(models).accuracy(test)
    metadata["test"] = {"name": test.name, "images": len(test), "accuracy": accuracy, "members": alone}
    run.write_config(config | {"card": metadata})
    return EnsembleResult(run, Ensemble(models, metadata=metadata), time.perf_counter() - began)


def train_members(
    members: Sequence[Run], *, jobs: int, stop: threading.Event, on_message: Callable[[str], object], **settings: Any
) -> bool:
    """Train the unfinished members until `stop` is set; True if all are finished. Errors are raised at the end."""
    waiting = [run for run in members if not is_over(run)]
    running: list[_Member] = []
    ended: list[_Member] = []
    try:
        while running or (waiting and not stop.is_set()):
            while waiting and len(running) < jobs and not stop.is_set():
                running.append(_Member(waiting.pop(0), on_message, settings))
            for member in [member for member in running if member.process.poll() is not None]:
                running.remove(member)
                ended.append(member)
            if stop.is_set():
                for member in running:
                    member.interrupt()
            time.sleep(POLL_INTERVAL)
    except BaseException:  # a second Ctrl-C: each member keeps its last checkpoint
        for member in running:
            member.process.kill()
        raise
    for member in ended:
        member.check(was_stopped=stop.is_set())
    return not waiting and all(member.process.returncode == 0 for member in ended)


def is_over(run: Run) -> bool:
    """Return True if the training of a member is finished."""
    return run.model_path.is_file() and run.model().metadata.get("ending") not in (None, "interrupted")


class _Member:
    """The process that trains one member."""

    def __init__(self, run: Run, on_message: Callable[[str], object], settings: dict[str, Any]) -> None:
        self.run, self.last_line, self.was_interrupted = run, "", False
        arguments = json.dumps({"folder": str(run.folder), **settings})
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "byhand.distributed.ensemble", arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # if the parent dies, the member ends at its next line of output
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | ONE_THREAD,
            start_new_session=True,  # it must get Ctrl-C only once, from `interrupt`
        )
        self.reader = threading.Thread(target=self._read, args=(on_message,), daemon=True)
        self.reader.start()

    def _read(self, on_message: Callable[[str], object]) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.last_line = line.rstrip()
                on_message(f"{self.run.folder.name}: {self.last_line}")

    def interrupt(self) -> None:
        """Send SIGINT once, so that the member ends after its current step."""
        if not self.was_interrupted:
            self.process.send_signal(signal.SIGINT)
            self.was_interrupted = True

    def check(self, *, was_stopped: bool) -> None:
        """Raise an error unless the process finished or was interrupted."""
        self.reader.join()
        code = self.process.returncode
        if code in (0, INTERRUPTED) or (was_stopped and code == -signal.SIGINT):  # SIGINT before its handler was set
            return
        reason = "its process was killed" if code < 0 else self.last_line
        hint = f"to resume, run byhand train --resume {self.run.folder.parent}"
        raise MemberFailedError(f"{self.run.folder}: {reason} (exit code {code}); {hint}", code if code > 0 else 1)


def main(folder: str, data: str | None, offline: bool, checkpoint_every: float) -> int:
    """Train one member in this process, and return the exit code."""
    by_name = functools.partial(load, offline=offline)
    try:
        result = resume(folder, data=data, load=by_name, checkpoint_every=checkpoint_every, callbacks=[ProgressBar()])
    except ByhandError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return INTERRUPTED if result.history.ending == "interrupted" else 0


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))
