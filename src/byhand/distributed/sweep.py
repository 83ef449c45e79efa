"""Hyperparameter search: Optuna suggests the settings, and an engine trains the trials.

    result = sweep(Space.read("space.toml"), trials=50, jobs=2)
    result.best.values, result.best.accuracy

After every few epochs, a trial is saved, its accuracy on held-out images is reported to Optuna, and it is pruned if
it is worse than the median of earlier trials. Its values depend on the seed, its number and the trials that ended
before. The folder of a sweep contains

    sweep.json                  the space, the data, the seed, the number of trials
    trials/0007.json            one trial: its values, its status, a record for each epoch
    trials/0007.safetensors     the state of a running trial
    trials.csv, sweep.html      all trials, as a table and as a page

A killed sweep loses at most the epochs that its workers were training.
"""

import csv
import functools
import io
import json
import math
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NotRequired, TypedDict, cast

import numpy as np

from byhand.data import load
from byhand.distributed.engines import Engine, Local, WorkerDiedError
from byhand.distributed.space import Space, Value
from byhand.errors import ByhandError, DataError, DivergedError, MissingExtraError, ModelFileError, UsageError
from byhand.files import lock, remove_parts, write_text
from byhand.model.file import naming
from byhand.nn.arrays import Array
from byhand.schema import Natural
from byhand.text import percent
from byhand.threads import available
from byhand.training import Trainer, checkpoint, train
from byhand.training.records import EpochRecord
from byhand.training.runs import LOCK, new_folder, read_object, take_folder, versions

HOME = Path("sweeps")
#: Maximum size of the file of a trial: the records of 50,000 epochs.
MAX_TRIAL_BYTES = 16_000_000
RUNNING, DONE, PRUNED, DIVERGED, FAILED = "running", "done", "pruned", "diverged", "failed"
#: Optuna's name of each status.
STATES = {RUNNING: "RUNNING", DONE: "COMPLETE", PRUNED: "PRUNED", DIVERGED: "PRUNED", FAILED: "FAIL"}
ADVANCES = 10  # the number of parts in which a trial is trained
#: Number of trials before any is pruned, and fraction of its epochs before a trial can be pruned.
FIRST_TRIALS, FIRST_FRACTION = 5, 0.2

State = tuple[dict[str, Array], dict[str, Any]]  # from `Trainer.state`


class SweepConfig(TypedDict):
    """The keys of `sweep.json`."""

    space: dict[str, Any]
    data: str | None
    checksum: str
    seed: Natural
    trials: Annotated[int, (1, 10**9)]
    made_with: NotRequired[dict[str, str]]


class TrialConfig(TypedDict):
    """The keys of a trial's file."""

    number: Natural
    values: dict[str, Value]
    status: Literal["running", "done", "pruned", "diverged", "failed"]
    records: list[dict[str, Any]]
    message: NotRequired[str]


@dataclass
class Trial:
    """One trial, with a record for each of its epochs so far."""

    number: int
    values: dict[str, Value]
    status: str = RUNNING
    records: list[EpochRecord] = field(default_factory=list)
    message: str = ""

    @property
    def accuracy(self) -> float | None:
        """Accuracy on the held-out images after the last epoch; trials are ranked by it."""
        return self.records[-1].validation_accuracy if self.records else None

    @property
    def seconds(self) -> float:
        return self.records[-1].seconds if self.records else 0.0

    def __str__(self) -> str:
        settings = "  ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.values.items()
        )
        epochs = self.records[-1].epoch if self.records else 0
        text = f"trial {self.number:3}  {self.status:8}  {percent(self.accuracy):>8}  {epochs:3} epochs  {settings}"
        return f"{text}  ({self.message})" if self.message else text


def advance(
    config: dict[str, Any], values: dict[str, Value], state: State | None, epochs: int, offline: bool
) -> tuple[State, bool]:
    """Train a trial for `epochs` more epochs; return its state, and True at its end.

    The result depends on the arguments and the data only, so any worker can run this, or run it again.
    """
    space = Space.from_config(config["space"])
    images = space.images(load_once(config["data"], offline=offline).train)
    if images.checksum != config["checksum"]:
        sums = f"{images.checksum[:12]} and {config['checksum'][:12]}"
        raise DataError(f"{images.name}: every worker must have the same data, got checksums {sums}")
    model, recipe = space.build(
        values, in_size=math.prod(images.shape), classes=images.classes, seed=config["seed"], data=images
    )
    with Trainer(model, images, recipe, seed=config["seed"]) as trainer:
        if state is not None:
            trainer.restore(*state)
        first = trainer.progress.step // trainer.batches_per_epoch
        for record in train(trainer):
            if record.epoch - first >= epochs:
                break
        arrays, plain = trainer.state()
        return ({name: array.copy() for name, array in arrays.items()}, plain), trainer.is_over


load_once = functools.lru_cache(maxsize=2)(load)


@dataclass(frozen=True)
class Folder:
    """The folder of a sweep."""

    path: Path

    @classmethod
    def new(cls, path: str | os.PathLike[str] | None = None) -> "Folder":
        """Return a folder that is new or empty (default: the next number under `sweeps/`)."""
        return cls(new_folder("sweep", path, HOME))

    @classmethod
    def take(cls, path: str | os.PathLike[str] | None = None) -> "tuple[Folder, BinaryIO]":
        """Create and lock the folder of a new sweep; return it and its lock."""
        folder, held = take_folder("sweep", path, HOME, lambda path: cls(path).lock())
        return cls(folder), held

    def lock(self) -> BinaryIO:
        """Lock the sweep, and remove temporary files left by a killed process; closing the file releases the lock."""
        held = lock(self.path / LOCK, f"{self.path}: another process is running this sweep")
        remove_parts(self.path, "sweep.json", "trials.csv", "sweep.html")
        remove_parts(self.path / "trials", "*")
        return held

    def config(self) -> dict[str, Any]:
        """Return the space, the data, the seed and the number of trials."""
        path = self.path / "sweep.json"
        if not path.is_file():
            raise UsageError(f"{self.path}: no sweep.json in this folder; `byhand sweep` starts a sweep")
        return cast(dict[str, Any], read_object(path, SweepConfig))

    def write_config(self, config: dict[str, Any]) -> None:
        write_text(self.path / "sweep.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")

    def trials(self) -> list[Trial]:
        """Return all trials in order; the records of a running one come from its saved state."""
        found: list[Trial] = []
        for path in sorted((self.path / "trials").glob("*.json")):
            config = read_object(path, TrialConfig, MAX_TRIAL_BYTES)
            with naming(path):
                trial = Trial(**config | {"records": records_of(config)})
            if trial.number != len(found):
                raise ModelFileError(f"{path}: trials must be numbered without gaps, trial {len(found)} is missing")
            if trial.status == RUNNING and (state := self.state(trial)) is not None:
                with naming(self._path(trial, "safetensors")):
                    trial.records = records_of(state[1])
            found.append(trial)
        return found

    def write(self, trial: Trial) -> None:
        """Write a trial, and delete its state if it has ended."""
        write_text(self._path(trial, "json"), json.dumps(asdict(trial), ensure_ascii=False) + "\n")
        if trial.status != RUNNING:
            self._path(trial, "safetensors").unlink(missing_ok=True)

    def state(self, trial: Trial) -> State | None:
        """Return the saved state of a running trial, or None."""
        path = self._path(trial, "safetensors")
        if not path.is_file():
            return None
        saved = checkpoint.read(path)
        return saved.arrays, saved.plain

    def write_state(self, trial: Trial, state: State) -> None:
        checkpoint.write(self._path(trial, "safetensors"), checkpoint.Checkpoint(*state, {}, trial.number))

    def write_csv(self, trials: list[Trial]) -> None:
        """Write a table with a row for each trial."""
        names = list(trials[0].values) if trials else []
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["trial", "status", "validation_accuracy", "epochs", "seconds", *names])
        for t in trials:
            accuracy = "" if t.accuracy is None else t.accuracy
            table.writerow([t.number, t.status, accuracy, len(t.records), round(t.seconds, 3), *t.values.values()])
        write_text(self.path / "trials.csv", text.getvalue())

    def _path(self, trial: Trial, suffix: str) -> Path:
        return self.path / "trials" / f"{trial.number:04}.{suffix}"


def records_of(config: dict[str, Any]) -> list[EpochRecord]:
    """Return the records of a trial or a state from their plain values."""
    return [EpochRecord.from_json(record) for record in config["records"]]


@dataclass(frozen=True)
class Result:
    """Result of a sweep: its trials in order, and the importance of each setting."""

    folder: Folder
    trials: list[Trial]
    interrupted: bool = False
    importances: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The most accurate of the trials that ran to their end."""
        done = [trial for trial in self.trials if trial.status == DONE]
        return max(done, key=lambda trial: trial.accuracy or 0.0, default=None)

    @property
    def command(self) -> str | None:
        """The `byhand train` command with the settings of the best trial."""
        config, best = self.folder.config(), self.best
        if best is None:
            return None
        return Space.from_config(config["space"]).command(best.values, data=config["data"], seed=config["seed"])

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `byhand sweep --json` prints them."""
        best = self.best
        return {
            "folder": str(self.folder.path),
            "trials": len(self.trials),
            "done": sum(trial.status == DONE for trial in self.trials),
            "interrupted": self.interrupted,
            "best": best and {"trial": best.number, "validation_accuracy": best.accuracy, "values": best.values},
            "command": self.command,
            "importances": self.importances,
        }

    def text(self) -> str:
        """Return the best trial and its command for a terminal."""
        if (best := self.best) is None:
            return "no trial was completed"
        return f"best: trial {best.number}, {percent(best.accuracy)} accuracy on held-out images\n{self.command}"


def sweep(
    space: Space,
    *,
    trials: int = 50,
    data: str | None = None,
    seed: int = 0,
    folder: Folder | None = None,
    offline: bool = False,
    on_start: Callable[[Path], object] = lambda folder: None,
    **settings: Any,
) -> Result:
    """Start a sweep.  on_start: called with its folder.  settings: as for `resume` (jobs, engine, stop, on_trial)"""
    load_optuna()
    images = space.images(load_once(data, offline=offline).train)
    config = {"space": space.config(), "data": data, "checksum": images.checksum, "seed": seed, "trials": trials}
    folder, held = Folder.take(None if folder is None else folder.path)
    with held:
        folder.write_config({**config, "made_with": versions()})
        on_start(folder.path)
        return resume(folder, held=held, offline=offline, **settings)


def resume(
    folder: Folder,
    *,
    held: BinaryIO | None = None,
    trials: int | None = None,
    jobs: int | None = None,
    engine: Engine | None = None,
    offline: bool = False,
    stop: threading.Event | None = None,
    on_trial: Callable[[Trial], object] = lambda trial: None,
) -> Result:
    """Resume a sweep that was stopped or killed; `trials` changes the number of trials.

    held: the lock of the folder, if the caller has it.  on_trial: called when a trial ends
    jobs: parallel trials on this machine, unless there is an `engine`
    """
    folder.config()  # raises an error if there is no sweep in the folder
    with held or folder.lock():
        config = folder.config()
        if trials is not None and trials != config["trials"]:
            config["trials"] = trials
            folder.write_config(config)
        return Sweep(folder, config, offline).run(engine or Local(jobs or available()), stop, on_trial)


class Sweep:
    """A running sweep: its trials, and the same trials in an Optuna study."""

    def __init__(self, folder: Folder, config: dict[str, Any], offline: bool) -> None:
        self.optuna = load_optuna()
        self.folder, self.config, self.offline = folder, config, offline
        with naming(folder.path / "sweep.json"):
            self.space = Space.from_config(config["space"])
        self.count = config["trials"]
        self.trials = folder.trials()
        warm_up = math.ceil(self.space.epochs({}) * FIRST_FRACTION)
        pruner = self.optuna.pruners.MedianPruner(n_startup_trials=FIRST_TRIALS, n_warmup_steps=warm_up)
        self.study = self.optuna.create_study(direction="maximize", pruner=pruner)
        #: Optuna's object for each running trial.
        self.suggestions: dict[int, Any] = {}
        for trial in self.trials:
            with naming(folder.path / f"trials/{trial.number:04}.json"):
                self._add_to_study(trial)

    def _add_to_study(self, trial: Trial) -> None:
        """Add a trial of an earlier process to the study."""
        state = self.optuna.trial.TrialState[STATES[trial.status]]
        value = (trial.accuracy or 0.0) if trial.status in (DONE, PRUNED, DIVERGED) else None
        reports = {record.epoch: record.validation_accuracy or 0.0 for record in trial.records}
        self.study.add_trial(self._frozen(trial, state=state, value=value, intermediate_values=reports))
        if trial.status == RUNNING:
            trial_id = self.study.trials[trial.number]._trial_id
            self.suggestions[trial.number] = self.optuna.trial.Trial(self.study, trial_id)

    def _frozen(self, trial: Trial, **values: Any) -> Any:
        """Return Optuna's object for a trial of an earlier process."""
        distributions = self.space.distributions()
        return self.optuna.trial.create_trial(params=trial.values, distributions=distributions, **values)

    def run(self, engine: Engine, stop: threading.Event | None, on_trial: Callable[[Trial], object]) -> Result:
        """Train until all trials have ended, or `stop` is set."""
        stop = stop or threading.Event()
        waiting = [trial for trial in self.trials if trial.status == RUNNING]
        busy: set[int] = set()
        try:
            while not stop.is_set():
                while len(busy) < engine.jobs and (waiting or len(self.trials) < self.count):
                    trial = waiting.pop(0) if waiting else self._new_trial()
                    self._submit(engine, trial, self.folder.state(trial))
                    busy.add(trial.number)
                if not busy:
                    break
                finished = engine.next(timeout=0.2)
                if finished is None:
                    continue
                trial = self.trials[finished[0]]
                state = self._record(trial, finished[1])
                if trial.status == RUNNING:
                    self._submit(engine, trial, state)
                else:
                    busy.discard(trial.number)
                    self.folder.write_csv(self.trials)
                    on_trial(trial)
        finally:
            engine.close()
        return self._result(interrupted=bool(busy))

    def _new_trial(self) -> Trial:
        """Return a new trial; its values depend on the seed, its number and the results so far."""
        number = len(self.trials)
        seed = int(np.random.SeedSequence([self.config["seed"], number]).generate_state(1)[0])
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.suggestions[number] = self.study.ask(self.space.distributions())
        trial = Trial(number, self.suggestions[number].params)
        self.trials.append(trial)
        self.folder.write(trial)
        return trial

    def _submit(self, engine: Engine, trial: Trial, state: State | None) -> None:
        epochs = math.ceil(self.space.epochs(trial.values) / ADVANCES)
        engine.submit(trial.number, advance, self.config, trial.values, state, epochs, self.offline)

    def _record(self, trial: Trial, outcome: tuple[State, bool] | Exception) -> State | None:
        """Report a result to Optuna and save it; return the state if the trial continues."""
        if isinstance(outcome, Exception):
            if not isinstance(outcome, DivergedError | UsageError | WorkerDiedError):
                raise outcome
            self._end(trial, DIVERGED if isinstance(outcome, DivergedError) else FAILED, str(outcome))
            return None
        state, is_over = outcome
        reported = len(trial.records)
        trial.records = records_of(state[1])
        suggestion = self.suggestions[trial.number]
        for record in trial.records[reported:]:
            suggestion.report(record.validation_accuracy, record.epoch)
        if is_over or suggestion.should_prune():
            self._end(trial, DONE if is_over else PRUNED)
            return None
        self.folder.write_state(trial, state)
        return state

    def _end(self, trial: Trial, status: str, message: str = "") -> None:
        trial.status, trial.message = status, message
        suggestion = self.suggestions[trial.number]
        if status == DIVERGED and not trial.records:
            suggestion.report(0.0, 1)  # Optuna requires a value for a pruned trial
        state = self.optuna.trial.TrialState[STATES[status]]
        self.study.tell(suggestion, trial.accuracy if status == DONE else None, state=state)
        self.folder.write(trial)

    def _result(self, *, interrupted: bool) -> Result:
        """Write the table and the page, and return the result."""
        from byhand.report.sweep import sweep_page

        result = Result(self.folder, self.trials, interrupted, self._importances())
        best, command = result.best, result.command or ""
        page = sweep_page(
            self.trials, search=self.space.search, importances=result.importances, best=best, command=command
        )
        self.folder.write_csv(self.trials)
        write_text(self.folder.path / "sweep.html", page)
        if not interrupted and result.best is None and (failed := [t for t in self.trials if t.status == FAILED]):
            raise ByhandError(f"no trial was completed; trial {failed[0].number}: {failed[0].message}")
        return result

    def _importances(self) -> dict[str, float]:
        """Return each setting's share of the variance of accuracy (PED-ANOVA), largest first."""
        ended = [trial for trial in self.trials if trial.status in (DONE, PRUNED, DIVERGED)]
        if len(ended) < 2 * FIRST_TRIALS or len({trial.accuracy for trial in ended}) < 2:
            return {}
        study = self.optuna.create_study(direction="maximize")  # here pruned trials count, with low accuracies
        for trial in ended:
            study.add_trial(self._frozen(trial, value=trial.accuracy or 0.0))
        evaluator = self.optuna.importance.PedAnovaImportanceEvaluator()
        return dict(self.optuna.importance.get_param_importances(study, evaluator=evaluator))


def load_optuna() -> Any:
    """Import Optuna; the error of a missing package names the extra to install."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "sweep") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
