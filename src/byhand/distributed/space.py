"""The search space of a sweep: fixed settings, and the ranges of searched ones.

preset = "digits"                                        # the base of all settings; this is the default

[fixed]                                                  # options of `byhand train`, with _ for -
epochs = 8

[search]
learning_rate = { low = 0.01, high = 0.5, log = true }   # a number; log: uniform in its logarithm
hidden = { low = 64, high = 512, step = 64 }             # an integer if both bounds are; one hidden layer
optimizer = { choices = ["momentum", "adam"] }           # one of these; `hidden` may be "256,128" here
maps = { choices = ["none", "8,16", "16@3/1,32"] }       # convolutions, as in `byhand train --maps`
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self, TypedDict

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.network import convolutions
from byhand.nn.optimizers import OPTIMIZERS
from byhand.schema import checked, toml_value
from byhand.training import Recipe, preset
from byhand.training.recipe import NAMES, OPTIMIZER, maps_of, sizes_of, with_overrides

Value = str | int | float | bool
Bound = Annotated[int, (-(10**15), 10**15)] | Annotated[float, (-1e15, 1e15)]


class Range(TypedDict, total=False):
    """The range of a searched setting: bounds, or choices."""

    low: Bound
    high: Bound
    log: bool
    step: Bound
    choices: list[Value]


class SpaceConfig(TypedDict, total=False):
    """The tables of a space."""

    preset: str
    fixed: dict[str, Value]
    search: dict[str, Range]


LARGE = 128 * 128  # pixels of an image in which every reasonable filter fits
VALIDATION = 0.1  # default fraction of held-out images


@dataclass(frozen=True)
class Space:
    """A search space. `search`: name → {low, high, log, step} or {choices}; `fixed`: name → value."""

    search: dict[str, dict[str, Any]]
    fixed: dict[str, Any] = field(default_factory=dict)
    preset: str = "digits"

    def __post_init__(self) -> None:
        chosen = preset(self.preset)
        if not self.search:
            raise UsageError("a search space must have at least one setting under [search], got none")
        known = [*NAMES, "samples"]
        for name in [*self.fixed, *self.search]:
            if name not in known:
                raise UsageError(f"a setting of the search space must be one of {', '.join(known)}, got {name!r}")
        for name, values in self.search.items():
            if name in self.fixed:
                raise UsageError(f"{name} must be fixed or searched, not both")
            if name in ("samples", "validation", "threads"):
                raise UsageError(f"{name} must be under [fixed]: trials that differ in it are not comparable")
            check_range(name, values)
        if not self.fixed.get("validation", chosen.recipe.validation or VALIDATION):
            raise UsageError("validation must be positive, got 0: trials are compared on held-out images")
        for name, values in self.search.items():
            for value in values.get("choices", [values.get("low"), values.get("high")]):
                self._check_value(name, value)

    def _check_value(self, name: str, value: Value) -> None:
        """Raise an error if no network can be built with this value.

        The image size is not known yet, so convolutions are built separately, for large images.
        """
        values = {**self.first(), name: value}
        maps = {**self.fixed, **values}.get("maps", "none")
        list(convolutions(LARGE, maps_of(str(maps)), "he"))
        if hidden := {**self.fixed, **values}.get("hidden"):
            values["hidden"] = (
                ",".join("1" for _ in sizes_of(str(hidden))) or "none"
            )  # large ones would fill the memory
        self.build({**values, "maps": "none"}, in_size=1, classes=("0", "1"), seed=0)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a space from a TOML file."""
        if not Path(path).is_file():
            raise UsageError(f"{path}: no such file; see `byhand sweep --help` for its format")
        try:
            return cls.from_config(toml_value(Path(path).read_bytes()))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a space from the plain values that `config` returns."""
        found = checked(SpaceConfig, config)
        return cls(found.get("search", {}), found.get("fixed", {}), found.get("preset", "digits"))

    def config(self) -> dict[str, Any]:
        """Return the space as plain values."""
        return {"preset": self.preset, "fixed": self.fixed, "search": self.search}

    def first(self) -> dict[str, Value]:
        """Return the first value of each searched setting."""
        return {name: one["choices"][0] if "choices" in one else one["low"] for name, one in self.search.items()}

    def distributions(self) -> dict[str, Any]:
        """Return the ranges as Optuna's distributions."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        def distribution(values: Mapping[str, Any]) -> Any:
            if "choices" in values:
                return CategoricalDistribution(values["choices"])
            low, high, log, step = values["low"], values["high"], values.get("log", False), values.get("step")
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log, step=step or 1)
            return FloatDistribution(low, high, log=log, step=step)

        return {name: distribution(values) for name, values in self.search.items()}

    def settings(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Return the settings of a trial that replace those of the preset.

        Options of other optimizers are omitted, so a space may search both momentum and Adam.
        """
        settings = {"validation": preset(self.preset).recipe.validation or VALIDATION, **self.fixed, **values}
        if "optimizer" in self.search and values["optimizer"] in OPTIMIZERS:
            options = OPTIMIZERS[str(values["optimizer"])].__dataclass_fields__
            settings = {name: value for name, value in settings.items() if name not in OPTIMIZER or name in options}
        return settings

    def build(
        self,
        values: Mapping[str, Value],
        *,
        in_size: int,
        classes: tuple[str, ...],
        seed: int,
        data: Dataset | None = None,
    ) -> tuple[Model, Recipe]:
        """Return the model and the recipe of a trial. The default is one thread."""
        settings = self.settings(values)
        settings.pop("samples", None)
        texts: dict[str, Any] = {name: str(settings[name]) for name in ("hidden", "maps") if name in settings}
        settings = {"threads": 1, "epochs": self.epochs(values), **settings, **texts}
        return with_overrides(preset(self.preset), settings, in_size=in_size, classes=classes, seed=seed, data=data)

    def images(self, train: Dataset) -> Dataset:
        """Return the images that the trials are trained on."""
        count = self.fixed.get("samples", preset(self.preset).samples)
        return train if count is None else train[:count]

    def epochs(self, values: Mapping[str, Value]) -> int:
        default = preset(self.preset).recipe.epochs
        return int({"epochs": default, **self.first(), **self.fixed, **values}["epochs"])

    def command(self, values: Mapping[str, Value], *, data: str | None, seed: int) -> str:
        """Return the `byhand train` command with the settings of a trial."""
        words = ["byhand", "train", "--preset", self.preset, *(["--data", data] if data else []), "--seed", str(seed)]
        for name, value in self.settings(values).items():
            option = name.replace("_", "-")
            words += [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
        return shlex.join(words)


def check_range(name: str, values: Mapping[str, Any]) -> None:
    """Raise an error unless `values` has ordered bounds or a list of choices."""
    if "choices" in values:
        if len(values) > 1:
            raise UsageError(f"{name} must have either choices or low and high, not both")
        if not values["choices"]:
            raise UsageError(f"{name}: choices must be a list of strings or numbers, got []")
        return
    low, high, step = (values.get(key) for key in ("low", "high", "step"))
    if low is None or high is None:
        raise UsageError(f"{name}: low and high must be numbers, got {low!r} and {high!r}")
    if not low < high:
        raise UsageError(f"{name}: low must be less than high, got {low} and {high}")
    if values.get("log") and not low > 0:
        raise UsageError(f"{name}: low must be positive with log, got {low}")
    if values.get("log") and step is not None:
        raise UsageError(f"{name} must have either log or step, not both")
    if step is not None and not 0 < step <= high - low:
        raise UsageError(f"{name}: step must be positive and at most high − low, got {step}")
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, int | None):
        raise UsageError(f"{name}: step must be an integer between integers, got {step}")
