"""Settings: a preset changed by name, as the options of `byhand train` and the parameters of a sweep change it.

`with_overrides(preset("digits"), {"hidden": (128,), "learning_rate": 0.05}, …)` returns the model and the recipe.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from byhand.errors import UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.losses import SoftmaxCrossEntropy, loss_named
from byhand.nn.optimizers import optimizer_named
from byhand.nn.schedules import schedule_named
from byhand.nn.stacks import Maps
from byhand.training.presets import Preset
from byhand.training.recipe import OLD_NAMES, Recipe, renamed

NETWORK = ("hidden", "maps", "activation", "dropout", "batch_norm", "init")
OPTIMIZER = ("momentum", "nesterov", "weight_decay")
#: Every name that `with_overrides` understands.
CHOICES = tuple(field.name for field in fields(Recipe))
NAMES = (*NETWORK, "dtype", "deskew", "scale", *CHOICES, *OPTIMIZER, "label_smoothing", *OLD_NAMES)


def with_overrides(
    chosen: Preset, given: Mapping[str, Any], *, in_size: int, classes: tuple[str, ...], seed: int
) -> tuple[Model, Recipe]:
    """The untrained model and the recipe of a preset with some settings changed."""
    given = renamed(given)
    recipe = changed_recipe(chosen.recipe, given)
    network = {name: given[name] for name in NETWORK if name in given}
    if isinstance(network.get("maps"), str):
        network["maps"] = maps_of(network["maps"])
    preparation = changed_preparation(chosen.preparation, given)
    model = chosen.model(in_size, classes, seed=seed, dtype=given.get("dtype"), preparation=preparation, **network)
    return model, recipe


def changed_recipe(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """The preset's recipe with the options that were given."""
    plain = {name: given[name] for name in CHOICES if name in given and name not in ("optimizer", "schedule", "loss")}
    if "batch_size" in plain:
        plain["batch_size"] = batch_size(str(plain["batch_size"]))
    settings = {name: given[name] for name in OPTIMIZER if name in given}
    if "optimizer" in given:
        plain["optimizer"] = optimizer_named(given["optimizer"], **settings)
    elif settings:
        plain["optimizer"] = optimizer_named(**(recipe.optimizer.config() | settings))
    if "schedule" in given:
        plain["schedule"] = schedule_named(given["schedule"])
    loss = loss_named(given["loss"]) if "loss" in given else recipe.loss
    if "label_smoothing" in given:
        if not isinstance(loss, SoftmaxCrossEntropy):
            raise UsageError("label smoothing goes with the loss cross_entropy, got mse")
        loss = SoftmaxCrossEntropy(given["label_smoothing"])
    return recipe.replace(**plain, loss=loss)


#: What a pixel may be divided by, as it is typed.
SCALES = ("255", "256", "standard")


def changed_preparation(preparation: Preparation, given: Mapping[str, Any]) -> Preparation:
    """The preset's preparation with the options that were given."""
    if "scale" in given:
        scale = str(given["scale"])
        if scale not in SCALES:
            raise UsageError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        preparation = Preparation.standard() if scale == "standard" else Preparation(divisor=int(scale))
    return replace(preparation, deskew=given.get("deskew", preparation.deskew))


def maps_of(text: str) -> tuple[Maps, ...]:
    """`32,64` → (32, 64), `16@3/1,32@4` → ((16, 3, 1), (32, 4)), `none` → ()"""
    parts = [] if text.strip() in ("none", "") else text.split(",")
    forms = [re.fullmatch(r"(\d{1,6})(?:@(\d{1,6})(?:/(\d{1,6}))?)?", part.strip(), re.ASCII) for part in parts]
    if not all(forms):
        raise UsageError(f"maps must be like 32,64 or 16@3/1,32@4/2 (so many maps @ window / step), got {text!r:.60}")
    numbers = [tuple(int(number) for number in form.groups() if number) for form in forms if form]
    return tuple(each if len(each) > 1 else each[0] for each in numbers)


def batch_size(text: str) -> int | None:
    """`all` → None, `128` → 128"""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"batch_size must be a positive integer or `all`, got {text!r}")
    return int(text)
