"""The space of a sweep: which settings are held still, and which are searched between what bounds.

    preset = "digits"                                        # where all settings start; the default

    [fixed]                                                  # as on the command line of `byhand train`
    epochs = 8

    [search]
    learning_rate = { low = 0.01, high = 0.5, log = true }   # a number between two; log: by its order of magnitude
    hidden = { low = 64, high = 512, step = 64 }             # both bounds whole: a whole number; one hidden layer
    optimizer = { choices = ["momentum", "adam"] }           # one of these; `hidden` may be "256,128" here
    maps = { choices = ["none", "8,16", "16@3/1,32"] }       # convolutions, as `byhand train --maps` takes them

It is read from a TOML file or made from a dictionary, and refused by name where something in it can't be.
"""

import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.stacks import convolutions
from byhand.training import Recipe, preset
from byhand.training.settings import NAMES, OPTIMIZER, maps_of, settled

Value = str | int | float | bool
KEYS = ("low", "high", "log", "step", "choices")
#: Pixels of a picture into which every sensible window fits.
LARGE = 128 * 128
#: Held out of the training images to judge the trials by, unless the space says otherwise.
VALIDATION = 0.1


@dataclass(frozen=True)
class Space:
    """`fixed`: name → value.  `search`: name → {low, high, log, step} or {choices}."""

    search: dict[str, dict[str, Any]]
    fixed: dict[str, Any] = field(default_factory=dict)
    preset: str = "digits"

    def __post_init__(self) -> None:
        chosen = preset(self.preset)
        if not self.search:
            raise UsageError("a space must search at least one setting, got none under [search]")
        known = [*NAMES, "samples"]
        for name in [*self.fixed, *self.search]:
            if name not in known:
                raise UsageError(f"a space knows {', '.join(known)}; got {name!r}")
        for name in self.search:
            if name in self.fixed:
                raise UsageError(f"{name} must be fixed or searched, not both")
            if name in ("samples", "validation", "threads"):
                raise UsageError(f"{name} must be fixed: trials that differ in it can't be compared")
            check_range(name, self.search[name])
        if not self.fixed.get("validation", chosen.recipe.validation or VALIDATION):
            raise UsageError("validation must be more than 0: trials are judged by images that they don't train on")
        for name, values in self.search.items():
            for value in values.get("choices", [values.get("low"), values.get("high")]):
                check_value(self, name, value)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The space in a TOML file."""
        if not Path(path).is_file():
            raise UsageError(f"{path}: no such file; see `byhand sweep --help` for what it holds")
        try:
            return cls.from_config(tomllib.loads(Path(path).read_text("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: must be TOML: {error}") from None
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The space that these plain values describe."""
        if unknown := set(config) - {"preset", "fixed", "search"}:
            raise UsageError(f"a space has preset, [fixed] and [search]; got {', '.join(sorted(unknown))}")
        for part in ("fixed", "search"):
            if not isinstance(config.get(part, {}), Mapping):
                raise UsageError(f"{part} must be a table, got {config[part]!r}")
        return cls(
            {name: dict_of(name, values) for name, values in config.get("search", {}).items()},
            dict(config.get("fixed", {})),
            config.get("preset", "digits"),
        )

    def config(self) -> dict[str, Any]:
        """The space as plain values."""
        return {"preset": self.preset, "fixed": self.fixed, "search": self.search}

    def first(self) -> dict[str, Value]:
        """The first value of each searched setting."""
        return {
            name: values["choices"][0] if "choices" in values else values["low"] for name, values in self.search.items()
        }

    def draw(self, trial: Any) -> dict[str, Value]:
        """The values that an Optuna trial suggests."""
        return {name: suggested(trial, name, values) for name, values in self.search.items()}

    def settings(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """All that a trial changes in the preset: what is fixed, and these values.

        Settings that the drawn optimiser doesn't know are left out: a space may search momentum beside Adam.
        """
        settings = {"validation": preset(self.preset).recipe.validation or VALIDATION, **self.fixed, **values}
        if "optimizer" in self.search and values["optimizer"] in OPTIMIZERS:
            takes = OPTIMIZERS[str(values["optimizer"])].__dataclass_fields__
            settings = {name: value for name, value in settings.items() if name not in OPTIMIZER or name in takes}
        return settings

    def build(
        self, values: Mapping[str, Value], *, in_size: int, classes: tuple[str, ...], seed: int
    ) -> tuple[Model, Recipe]:
        """The model and recipe of a trial. A worker has one thread, so that so many workers have so many."""
        settings = self.settings(values)
        settings.pop("samples", None)
        if "hidden" in settings:
            settings["hidden"] = sizes(settings["hidden"])
        if "maps" in settings:
            settings["maps"] = str(settings["maps"])
        return settled(preset(self.preset), {"threads": 1, **settings}, in_size=in_size, classes=classes, seed=seed)

    def images(self, train: Dataset) -> Dataset:
        """The part of the training images that the trials use."""
        count = self.fixed.get("samples", preset(self.preset).samples)
        return train if count is None else train[:count]

    def command(self, values: Mapping[str, Value], *, data: str | None, seed: int) -> str:
        """The command that trains a trial's network again."""
        words = ["byhand", "train", "--preset", self.preset, *(["--data", data] if data else []), "--seed", str(seed)]
        for name, value in self.settings(values).items():
            option = name.replace("_", "-")
            words += [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
        return shlex.join(words)


def suggested(trial: Any, name: str, values: Mapping[str, Any]) -> Value:
    """Ask Optuna for one value."""
    value: Value
    if "choices" in values:
        value = trial.suggest_categorical(name, values["choices"])
    elif isinstance(values["low"], int) and isinstance(values["high"], int):
        value = trial.suggest_int(
            name, values["low"], values["high"], step=values.get("step", 1), log=values.get("log", False)
        )
    else:
        value = trial.suggest_float(
            name, values["low"], values["high"], step=values.get("step"), log=values.get("log", False)
        )
    return value


def sizes(value: Any) -> tuple[int, ...]:
    """128 → (128,), "256,128" → (256, 128), "none" → ()"""
    if value in ("none", ""):
        return ()
    try:
        return tuple(int(part) for part in str(value).split(","))
    except ValueError:
        raise UsageError(f"hidden must be whole numbers between commas, or none; got {value!r}") from None


def check_value(space: Space, name: str, value: Value) -> None:
    """Build what a value makes, or say what is wrong with it.

    How large the pictures are is not known yet, so maps are tried by themselves, on huge ones. Where the real ones turn
    out too small for their windows the trial fails, and says so.
    """
    values = {**space.first(), name: value}
    maps = {**space.fixed, **values}.get("maps", "none")
    list(convolutions(LARGE, maps_of(str(maps)), "he"))
    space.build({**values, "maps": "none"}, in_size=1, classes=("0", "1"), seed=0)


def dict_of(name: str, values: Any) -> dict[str, Any]:
    """A range as a dictionary, or an error that shows how one looks."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{name} must be like {{ low = 1, high = 9 }} or {{ choices = [1, 9] }}, got {values!r}")
    return dict(values)


def check_range(name: str, values: Mapping[str, Any]) -> None:
    """Bounds the right way round, or a list of plain choices."""
    if unknown := set(values) - set(KEYS):
        raise UsageError(f"{name} has {', '.join(KEYS)}; got {', '.join(sorted(unknown))}")
    if "choices" in values:
        choices = values["choices"]
        if len(values) > 1:
            raise UsageError(f"{name} must have choices, or low and high, not both")
        if not isinstance(choices, list) or not choices or not all(isinstance(c, str | int | float) for c in choices):
            raise UsageError(f"{name}: choices must be a list of words or numbers, got {choices!r}")
        return
    low, high = values.get("low"), values.get("high")
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise UsageError(f"{name} must have two numbers, low and high, got {low!r} and {high!r}")
    if not low < high:  # type: ignore[operator]
        raise UsageError(f"{name}: low must be under high, got {low} and {high}")
    if values.get("log") and not low > 0:  # type: ignore[operator]
        raise UsageError(f"{name}: low must be positive with log, got {low}")
    if values.get("log") and "step" in values:
        raise UsageError(f"{name} must have log or step, not both")
