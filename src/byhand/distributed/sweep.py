"""Sweeps: Optuna chooses what to try, an engine tries it, hopeless trials are stopped early, and nothing is lost.

    result = sweep(Space.read("space.toml"), trials=50, jobs=2)
    result.best.values, result.best.accuracy

A trial advances a few epochs at a time. After each advance its state is written down, its accuracy on held-out images
is told to Optuna, and Optuna says whether it is worth going on (the median of the trials before it, at the same epoch).
What is drawn for a trial follows from the seed, its number and the trials that had ended by then.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from byhand.distributed.engines import Engine, Local, WorkerDiedError
from byhand.distributed.space import Space
from byhand.distributed.trials import DIVERGED, DONE, FAILED, PRUNED, RUNNING, Folder, Trial
from byhand.distributed.work import Advance, Job, State, advance, digits
from byhand.errors import ByhandError, DataError, MissingExtraError, UsageError
from byhand.threads import available
from byhand.training import preset
from byhand.training.runs import versions

#: A trial is looked at so many times on its way.
LOOKS = 10
#: Trials that are run to their end before any is stopped early, and the share of a trial that it always gets.
FIRST_TRIALS, FIRST_SHARE = 5, 0.2


@dataclass(frozen=True)
class Result:
    """What came of a sweep: its trials in order, and whether it was stopped before its end."""

    folder: Folder
    trials: list[Trial]
    interrupted: bool = False
    importances: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The best of the trials that ran to their end."""
        done = [trial for trial in self.trials if trial.status == DONE]
        return max(done, key=lambda trial: trial.accuracy or 0.0, default=None)


def sweep(
    space: Space,
    *,
    trials: int = 50,
    jobs: int | None = None,
    data: str | None = None,
    seed: int = 0,
    folder: Folder | None = None,
    engine: Engine | None = None,
    offline: bool = False,
    stop: threading.Event | None = None,
    say: Callable[[Trial], object] = lambda trial: None,
) -> Result:
    """Try `trials` settings of the space, `jobs` at a time. `say` is told of each trial that is over."""
    check_extra()
    folder = folder or Folder.new()
    images = space.images(digits(data, offline).train)
    config = {
        "space": space.config(),
        "data": data,
        "checksum": images.checksum,
        "seed": seed,
        "trials": trials,
        "made_with": versions(),
    }
    folder.hold()
    try:
        folder.write_config(config)
        return Sweep(folder, config, offline).run(engine or Local(jobs or available()), stop, say)
    finally:
        folder.release()


def resume(
    folder: Folder,
    *,
    trials: int | None = None,
    jobs: int | None = None,
    engine: Engine | None = None,
    offline: bool = False,
    stop: threading.Event | None = None,
    say: Callable[[Trial], object] = lambda trial: None,
) -> Result:
    """Go on with a sweep that was stopped or killed, or take `trials` more than it was for. What is over stays over."""
    check_extra()
    folder.hold()
    try:
        config = folder.config()
        if trials is not None and trials != config["trials"]:
            config["trials"] = trials
            folder.write_config(config)
        return Sweep(folder, config, offline).run(engine or Local(jobs or available()), stop, say)
    finally:
        folder.release()


class Sweep:
    """One sweep while it runs: the trials, Optuna's study of them, and what the engine has in hand."""

    def __init__(self, folder: Folder, config: dict[str, Any], offline: bool) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.offline = folder, offline
        self.space = Space.from_config(config["space"])
        self.data, self.checksum = config["data"], config["checksum"]
        self.seed, self.wanted = config["seed"], config["trials"]
        if isinstance(self.wanted, bool) or not isinstance(self.wanted, int) or self.wanted < 1:
            raise UsageError(f"trials must be a positive integer, got {self.wanted!r}")
        self.trials = folder.trials()
        self.study = optuna.create_study(direction="maximize", pruner=self._pruner())
        self.asked: dict[int, Any] = {}
        for trial in self.trials:
            self._remember(trial)

    def _pruner(self) -> Any:
        import optuna

        return optuna.pruners.MedianPruner(
            n_startup_trials=FIRST_TRIALS, n_warmup_steps=math.ceil(self.epochs({}) * FIRST_SHARE)
        )

    def epochs(self, values: dict[str, Any]) -> int:
        """How many epochs a trial is for."""
        standard = {"epochs": preset(self.space.preset).recipe.epochs}
        return int({**standard, **self.space.first(), **self.space.fixed, **values}["epochs"])

    def _remember(self, trial: Trial) -> None:
        """Tell the study of a trial that an earlier process began."""
        import optuna

        states = {DONE: optuna.trial.TrialState.COMPLETE, RUNNING: optuna.trial.TrialState.RUNNING}
        states |= dict.fromkeys((PRUNED, DIVERGED), optuna.trial.TrialState.PRUNED)
        self.study.add_trial(
            optuna.trial.create_trial(
                state=states.get(trial.status, optuna.trial.TrialState.FAIL),
                value=(trial.accuracy or 0.0) if trial.status in (DONE, PRUNED, DIVERGED) else None,
                params=trial.values,
                distributions=self.space.draw(Recorder()),  # type: ignore[arg-type]
                intermediate_values={r.epoch: r.validation_accuracy or 0.0 for r in trial.records},
            )
        )
        if trial.status == RUNNING:
            self.asked[trial.number] = optuna.trial.Trial(self.study, self.study.trials[trial.number]._trial_id)

    # ---- the loop

    def run(self, engine: Engine, stop: threading.Event | None, say: Callable[[Trial], object]) -> Result:
        """Keep every worker busy until all trials are over, or `stop` is set."""
        stopped = stop or threading.Event()
        waiting = [trial for trial in self.trials if trial.status == RUNNING]
        busy: set[int] = set()
        try:
            while not stopped.is_set():
                while len(busy) < engine.jobs and (waiting or len(self.trials) < self.wanted):
                    trial = waiting.pop(0) if waiting else self._draw()
                    self._send(engine, trial, self.folder.state(trial))
                    busy.add(trial.number)
                if not busy:
                    break
                finished = engine.next(timeout=0.2)
                if finished is None:
                    continue
                trial = self.trials[finished[0]]
                state = self._take(trial, finished[1])
                if trial.status == RUNNING:
                    self._send(engine, trial, state)
                else:
                    busy.discard(trial.number)
                    self.folder.write_csv(self.trials)
                    say(trial)
        finally:
            engine.close()
        return self._result(interrupted=bool(busy))

    def _draw(self) -> Trial:
        """A new trial, with values that follow from the seed, its number and what is known by now."""
        import optuna

        number = len(self.trials)
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.asked[number] = self.study.ask()
        trial = Trial(number, self.space.draw(self.asked[number]))
        self.trials.append(trial)
        self.folder.write(trial)
        return trial

    def _send(self, engine: Engine, trial: Trial, state: State | None) -> None:
        job = Job(trial.number, self.space.config(), trial.values, self.data, self.checksum, self.offline, self.seed)
        engine.submit(trial.number, advance, job, state, math.ceil(self.epochs(trial.values) / LOOKS))

    def _take(self, trial: Trial, outcome: Advance | Exception) -> State | None:
        """Write down how far a trial has come, tell Optuna, and decide whether it goes on."""
        if isinstance(outcome, Exception):
            if not isinstance(outcome, UsageError | WorkerDiedError) or isinstance(outcome, DataError):
                raise outcome
            self._end(trial, FAILED, str(outcome))
            return None
        if outcome.diverged is not None:
            self._end(trial, DIVERGED, outcome.diverged)
            return None
        assert outcome.state is not None
        known = len(trial.records)
        trial.records = Trial.from_json({**trial.to_json(), "records": outcome.state[1]["records"]}).records
        for record in trial.records[known:]:
            self.asked[trial.number].report(record.validation_accuracy, record.epoch)
        if outcome.is_over:
            self._end(trial, DONE)
            return None
        if self.asked[trial.number].should_prune():
            self._end(trial, PRUNED)
            return None
        self.folder.write_state(trial, outcome.state)
        return outcome.state

    def _end(self, trial: Trial, status: str, message: str = "") -> None:
        import optuna

        trial.status, trial.message = status, message
        if status in (PRUNED, DIVERGED):
            if not trial.records:
                self.asked[trial.number].report(0.0, 1)
            self.study.tell(self.asked[trial.number], state=optuna.trial.TrialState.PRUNED)
        elif status == FAILED:
            self.study.tell(self.asked[trial.number], state=optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(self.asked[trial.number], trial.accuracy)
        self.folder.write(trial)

    def _result(self, *, interrupted: bool) -> Result:
        """The result, with its page."""
        from byhand.report.sweep import sweep_page

        result = Result(self.folder, self.trials, interrupted, self._importances())
        best = result.best
        self.folder.write_csv(self.trials)
        self.folder.write_page(
            sweep_page(
                self.trials,
                search=self.space.search,
                importances=result.importances,
                best=best,
                command=self.space.command(best.values, data=self.data, seed=self.seed) if best else "",
            )
        )
        if not interrupted and result.best is None and (failed := [t for t in self.trials if t.status == FAILED]):
            raise ByhandError(f"no trial came to its end; trial {failed[0].number}: {failed[0].message}")
        return result

    def _importances(self) -> dict[str, float]:
        """How much of the difference between good and other trials each setting explains, the largest first."""
        import optuna

        over = [trial for trial in self.trials if trial.status in (DONE, PRUNED, DIVERGED)]
        if len(over) < 2 * FIRST_TRIALS or len({trial.accuracy for trial in over}) < 2:
            return {}
        ranges = self.space.draw(Recorder())
        study = optuna.create_study(direction="maximize")  # where those that were stopped early count, as poor ones
        for trial in over:
            study.add_trial(
                optuna.trial.create_trial(value=trial.accuracy or 0.0, params=trial.values, distributions=ranges)  # type: ignore[arg-type]
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


class Recorder:
    """Stands in for an Optuna trial and gives the distribution of each setting in the place of a value."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(choices)

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> Any:
        from optuna.distributions import IntDistribution

        return IntDistribution(low, high, log=log, step=step)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> Any:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(low, high, log=log, step=step)


def check_extra() -> None:
    """Say what to install before anything is begun."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("optuna", "sweep") from error
