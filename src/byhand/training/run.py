"""Runs: a training in a folder, with checkpoints, which can be resumed.

    result = train_run("runs/007", model, digits, recipe, seed=0)      start a run, and train to the end
    result = resume("runs/007")                                        continue a stopped run

`byhand.fit(…, run="runs/007")`, in `fitting`, is the short form. `byhand train` calls the same functions, so a run from
a notebook has the same files and bits.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from byhand.checks import integer, number
from byhand.data import Dataset, TrainTest, load
from byhand.data.catalog import CATALOG, known_name
from byhand.data.loading import ENVIRONMENT
from byhand.errors import UsageError
from byhand.files import StrPath
from byhand.model import Model
from byhand.model.file import naming
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array
from byhand.nn.losses import Loss, loss_named
from byhand.nn.network import layers_from_config
from byhand.schema import checked
from byhand.text import counted
from byhand.threads import available
from byhand.training.batches import Shard
from byhand.training.checkpoint import Checkpoints, differences, fingerprint
from byhand.training.loop import Callback, Trainer, complete, interruptible
from byhand.training.recipe import Recipe
from byhand.training.records import History, tested, tested_lines
from byhand.training.runs import CONFIG, Run, runs_in
from byhand.training.setup import ARRAYS, ClassWeights, Data, training_data, weights_of_classes, with_class_weights


@dataclass(frozen=True)
class RunResult:
    """The result of a run. `samples` excludes held-out ones, and `seconds` includes saving."""

    run: Run
    model: Model
    history: History
    samples: int
    epochs: int
    steps: int
    test_accuracy: float | None
    training_seconds: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values, for `byhand train --json`."""
        last = self.history[-1] if len(self.history) else None
        return {
            "run": str(self.run.folder),
            "model": str(self.run.model_path),
            "network": self.model.network.architecture,
            "data": self.model.metadata["data"]["name"],
            "trained_on": self.samples,
            "epochs": self.epochs,
            "steps": self.steps,
            "ending": self.history.ending,
            "training_seconds": round(self.training_seconds, 3),
            "seconds": round(self.seconds, 3),
            **tested(self.model.metadata),
            "train_accuracy": last and last.accuracy,
            "validation_accuracy": last and last.validation_accuracy,
        }

    def text(self) -> str:
        amount = counted(self.epochs, "iteration" if self.steps == self.epochs else "epoch")
        trained = f"{amount} over {counted(self.samples, 'image')}, {self.training_seconds:.1f} s of training"
        return "\n".join(
            [
                f"{self.model.network.architecture} on {self.model.metadata['data']['name']}: {trained}",
                *tested_lines(self.model.metadata),
                f"saved {self.run.model_path}",
            ]
        )


def train_run(
    folder: StrPath | None,
    model: Model,
    data: Data | TrainTest,
    recipe: Recipe,
    *,
    seed: int,
    test: Dataset | None = None,
    sample_weights: Array | None = None,
    class_weights: ClassWeights | None = None,
    validation_data: Data | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint_every: float = 30.0,
    source: str | None = None,
    preset: str | None = None,
    command: str | None = None,
    shard: Shard | None = None,
) -> RunResult:
    """Train a model in a new or empty folder (None: the next `runs/NNN`) until the end or Ctrl-C.

    data: as for `fit`, or the result of `byhand.load`, with the `test` set
    checkpoint_every: seconds between checkpoints
    source: the argument of `byhand.load`, for `resume`, if it is not the name of the data
    preset, command: recorded in config.json
    shard: this process, if several share the run; only rank 0 writes the folder
    """
    began = time.perf_counter()
    train, test = (data.train, data.test) if isinstance(data, TrainTest) else (data, test)
    train = training_data(model, train)
    leads = shard is None or shard.rank == 0
    if leads:
        Run.new(folder)  # raises an error before any work
    weights = None if class_weights is None else weights_of_classes(class_weights, model, train)
    if weights is not None:
        sample_weights = with_class_weights(sample_weights, weights, train)
    extra: Any = {"sample_weights": sample_weights, "validation_data": validation_data}
    with Trainer(model, train, recipe, seed=seed, shard=shard, **extra) as trainer:
        config = _config(trainer, data_config(train, **extra), source, preset, command, weights)
        run, held = Run.take(folder) if leads else (Run(Path("of rank 0")), None)
        with Checkpoints(run, every=checkpoint_every, held=held) as checkpoints:
            return _complete(run, trainer, config, checkpoints, test, callbacks, began)


def begin_run(
    folder: StrPath | None,
    model: Model,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    class_weights: ClassWeights | None = None,
    source: str | None = None,
    preset: str | None = None,
    command: str | None = None,
) -> Run:
    """Write the folder of a run before its first step, for `resume` in any process."""
    weights = None if class_weights is None else weights_of_classes(class_weights, model, data)
    samples = None if weights is None else with_class_weights(None, weights, data)
    with Trainer(model, data, recipe, seed=seed, sample_weights=samples) as trainer:
        config = _config(trainer, data_config(data, samples, None), source, preset, command, weights)
        run, held = Run.take(folder)
        with Checkpoints(run, held=held) as checkpoints:
            _begin(run, trainer, config, checkpoints)
    return run


def resume(
    folder: StrPath,
    *,
    data: Data | TrainTest | str | None = None,
    test: Dataset | None = None,
    sample_weights: Array | None = None,
    validation_data: Data | None = None,
    epochs: int | None = None,
    threads: int | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint_every: float = 30.0,
    load: Callable[..., TrainTest] = load,
    shard: Shard | None = None,
) -> RunResult:
    """Continue a stopped run; the result is bit-identical to an uninterrupted run.

    data: the same data, or an argument of `load`, if it has moved
    epochs: a new number of epochs, which also changes the schedule
    """
    began = time.perf_counter()
    run = Run.open(folder)
    config = run.config()
    if not config and runs_in(run.folder):
        run.model()  # raises an error that names a run in this folder
    with naming(run.folder / CONFIG):
        for name in ("recipe", "network", "preparation", "samples", "seed", "dtype", "data_checksum", "data_name"):
            if name not in config:
                hint = f": resume it with byhand play {run.folder}" if "playground" in config else ""
                raise UsageError(f"must be written by byhand train, got no {name}{hint}")
        recipe = Recipe.from_config(config["recipe"])
        layers = layers_from_config(config["network"])
        preparation = checked(Preparation, config["preparation"], "preparation")
        weights = [number("class_weights", weight, 0) for weight in config.get("class_weights", [])]
    count, seed, dtype = config["samples"], config["seed"], config["dtype"]
    if data is None and config["data_name"] == ARRAYS:
        raise UsageError(f"{run.folder}: the run was trained on arrays: pass them as data")
    if data is None or isinstance(data, str):
        data = load(data or data_of(config), **({"color": True} if color_of(config) else {}))
    train, test = (data.train, data.test) if isinstance(data, TrainTest) else (data, test)
    if isinstance(train, Dataset) and count is not None and count < len(train):
        train = train[:count]
    classes = train.classes if isinstance(train, Dataset) else config["classes"]
    model = Model(layers, preparation=preparation, classes=classes, dtype=dtype)
    train = training_data(model, train)
    if weights:
        sample_weights = with_class_weights(sample_weights, weights, train)
    extra: Any = {"sample_weights": sample_weights, "validation_data": validation_data}
    found = data_config(train, **extra)
    check_same_data(config, found)
    changed = recipe if epochs is None else recipe.replace(epochs=epochs)
    if threads is not None:
        changed = changed.replace(threads=threads)
    if changed.epochs != recipe.epochs:
        weak = " and the epochs of weak augmentation" if changed.weak_augment else ""
        change = f"{changed.epochs} epochs instead of {recipe.epochs}"
        _message(callbacks, f"{change}: this changes the schedule{weak}")
    config |= {"recipe": changed.config(), "samples": found["samples"]}
    with (
        Checkpoints(run, every=checkpoint_every) as checkpoints,
        Trainer(model, train, changed, seed=seed, shard=shard, **extra) as trainer,
    ):
        state: Any = None
        if leads := shard is None or shard.rank == 0:
            checkpoints.lock()
            state = checkpoints.load(lambda text: _message(callbacks, text))
        trainer.restore(*(state if shard is None else shard.broadcast(state)))
        if leads:
            step = f"step {trainer.progress.step:,} of {trainer.total_steps:,}"
            _message(callbacks, f"resuming {run.folder} at {step}")
            before = checkpoints.loaded.environment if checkpoints.loaded else {}
            for difference in differences(before, fingerprint(trainer)):
                _message(callbacks, f"settings changed, results may differ slightly: {difference}")
        return _complete(run, trainer, config, checkpoints, test, callbacks, began)


def _complete(
    run: Run,
    trainer: Trainer,
    config: dict[str, Any],
    checkpoints: Checkpoints,
    test: Dataset | None,
    callbacks: Sequence[Callback],
    began: float,
) -> RunResult:
    """Train until the end or a stop, and write the files of the run."""
    model, accuracy = trainer.model, None
    with interruptible(trainer.stop):
        if trainer.shard is not None and trainer.shard.rank > 0:
            history = complete(trainer)
        else:
            if trainer.threads > available():
                processors = counted(available(), "processor")
                _message(callbacks, f"warning: {trainer.threads} threads on {processors} make training much slower")
            if trainer.shard is not None:
                threads = counted(trainer.plan.blas * trainer.plan.workers, "thread")
                _message(callbacks, f"{trainer.shard.size} ranks, {threads} each")
                for rank, place in enumerate(trainer.shard.places):
                    _message(callbacks, f"  rank {rank} is {place}")
                _message(callbacks, f"if a rank dies, the run ends; resume it:  byhand train --resume {run.folder}")
            _begin(run, trainer, config, checkpoints)
            history = complete(trainer, (checkpoints, *callbacks))
            checkpoints.save(trainer, force=True)
            with trainer.averaged() if history.ending == "interrupted" else nullcontext():
                model.metadata = _metadata(config, history)
                if test is not None:
                    accuracy = model.accuracy(test)
                    model.metadata["test"] = {"name": test.name, "images": len(test), "accuracy": accuracy}
                model.save(run.model_path)
    return RunResult(
        run=run,
        model=model,
        history=history,
        samples=trainer.samples,
        epochs=trainer.progress.step // trainer.batches_per_epoch,
        steps=trainer.progress.step,
        test_accuracy=accuracy,
        training_seconds=trainer.progress.total_seconds,
        seconds=time.perf_counter() - began,
    )


def _begin(run: Run, trainer: Trainer, config: dict[str, Any], checkpoints: Checkpoints) -> None:
    """Write the first files of a locked run."""
    run.write_config(config)
    checkpoints.save(trainer, force=True)


def _config(
    trainer: Trainer,
    data: dict[str, Any],
    source: str | None,
    preset: str | None,
    command: str | None,
    class_weights: list[float] | None,
) -> dict[str, Any]:
    model = trainer.model
    config = {
        "command": command,
        "preset": preset,
        "data": source_of(source, data["data_name"]),
        **data,
        "seed": trainer.seed,
        "dtype": str(model.network.dtype),
        "network": model.network.config(),
        "preparation": model.preparation.config(),
        "recipe": trainer.recipe.config(),
    }
    if class_weights is not None:
        config["class_weights"] = class_weights
    return config if data["data_name"] != ARRAYS else config | {"classes": list(model.classes)}


def _metadata(config: Mapping[str, Any], history: History) -> dict[str, Any]:
    return {
        "data": {"name": config["data_name"], "checksum": config["data_checksum"], "images": config["samples"]},
        "preset": config.get("preset"),
        "recipe": config["recipe"],
        "seed": config["seed"],
        "epochs": history[-1].epoch if len(history) else 0,
        "ending": history.ending,
    }


def _message(callbacks: Sequence[Callback], text: str) -> None:
    for callback in callbacks:
        callback.on_message(text)


def data_config(data: Data, sample_weights: Array | None, validation_data: Data | None) -> dict[str, Any]:
    """Return the names and checksums of the data, for config.json."""
    name, count = (data.name, len(data)) if isinstance(data, Dataset) else (ARRAYS, len(data[0]))
    config = {"data_name": name, "data_checksum": _checksum(data), "samples": count}
    given = {"sample_weights": sample_weights, "validation_data": validation_data}
    return config | {name: _checksum(values) for name, values in given.items() if values is not None}


def _checksum(data: Data | Array) -> str:
    """Return the SHA-256 of a data set or of arrays."""
    if isinstance(data, Dataset):
        return data.checksum
    digest = hashlib.sha256()
    for array in map(np.ascontiguousarray, data if isinstance(data, tuple | list) else [data]):
        digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def check_same_data(config: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise an error if the data are not those of the run."""
    before, now = config["data_checksum"], found["data_checksum"]
    if before != now:
        raise UsageError(
            f"data must be the data set of the run, {config['data_name']} (checksum {before[:12]}…), "
            f"got {found['data_name']} ({now[:12]}…): pass the data set of the run with --data"
        )
    for name in ("sample_weights", "validation_data"):
        if config.get(name) != found.get(name):
            raise UsageError(f"{name} must be the same as in the run")


def changes_on_resume(run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changed settings of a resumed run; reject those that can't be changed.

    The seed may be repeated. For an ensemble, `threads` is the number of members at a time.
    """
    config, members = run.config(), run.members
    if "committee" in given and not members:
        raise UsageError(f"{run.folder} is the run of one network: an ensemble needs a new run")
    changes = {name: value for name, value in given.items() if name != "seed" or value != config.get("seed")}
    if others := sorted(changes.keys() - ({"threads"} if members else {"epochs", "threads"})):
        allowed = "threads" if members else "epochs and threads"
        raise UsageError(f"--resume can change {allowed} only, got {', '.join(others)}")
    if "threads" in changes:
        integer("threads", changes["threads"], 1)
    return changes


def source_of(source: str | None, name: str) -> str | None:
    """Return the argument of `byhand.load` that loads the data in any folder, if known."""
    if source is None:
        if name in CATALOG:
            return name
        source = os.environ.get(ENVIRONMENT)
    if source is None or known_name(source) or not os.path.exists(Path(source).expanduser()):
        return source
    return os.path.abspath(Path(source).expanduser())


def data_of(config: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> str | None:
    """Return the argument of `byhand.load` for the data of a run; None if unknown."""
    if config.get("data") is not None:
        return str(config["data"])
    named = [config.get("data_name"), (metadata or {}).get("data", {}).get("name")]
    return next((name for name in named if name in CATALOG), None)


def color_of(config: Mapping[str, Any]) -> bool:
    """Return True if the images of a run have three channels."""
    return len((config.get("preparation") or {}).get("shape") or ()) == 3


def loss_of(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> Loss:
    """Return the loss function of a run; cross-entropy if unknown."""
    recipe = config.get("recipe") or metadata.get("recipe") or {}
    return loss_named(**(recipe.get("loss") or {"kind": "cross_entropy"}))
