"""Argument checks: accepted values, and the text of each error."""

import dataclasses
import importlib
from pkgutil import iter_modules

import numpy as np
import pytest

from byhand import checks
from byhand.errors import UsageError

NOT_NUMBERS = [None, "3", True, np.True_, [3], 3j, float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_an_integer_of_any_type_becomes_a_plain_int(value):
    assert checks.integer("size", value, 1, 3) == 3
    assert type(checks.integer("size", value, 1)) is int


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 3.0, np.float32(3)])
def test_a_value_that_is_not_an_integer_is_rejected(value):
    assert not checks.is_integer(value)
    with pytest.raises(UsageError, match="size must be a positive integer, got "):
        checks.integer("size", value, 1)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 10**400])
def test_a_value_that_is_not_a_finite_number_is_rejected(value):
    assert not checks.is_number(value)
    with pytest.raises(UsageError, match="rate must be a number from 0 to 1, got "):
        checks.number("rate", value, 0, 1)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5)])
def test_a_number_of_any_type_becomes_a_plain_float(value):
    assert checks.number("rate", value, 0, 1) == checks.positive("rate", value) == checks.fraction("rate", value) == 0.5
    assert type(checks.number("rate", value, 0)) is float


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.integer("epochs", 0, 1), "epochs must be a positive integer, got 0"),
        (lambda: checks.integer("members", 65, 1, 64), "members must be an integer from 1 to 64, got 65"),
        (lambda: checks.seed(-1), "seed must be an integer of at least 0, got -1"),
        (lambda: checks.number("rate", 1.5, 0, 1), "rate must be a number from 0 to 1, got 1.5"),
        (lambda: checks.number("decay", -1, 0), "decay must be a number of at least 0, got -1"),
        (lambda: checks.positive("learning rate", 0), "learning rate must be a positive number, got 0"),
        (lambda: checks.flag("deskew", 1), "deskew must be True or False, got 1"),
        (lambda: checks.fraction("ema_decay", 0.0), "ema_decay must be greater than 0 and less than 1, got 0.0"),
        (lambda: checks.fraction("dropout", 1, zero=True), "dropout must be at least 0 and less than 1, got 1"),
        (lambda: checks.fraction("end", 0, one=True), "end must be greater than 0 and at most 1, got 0"),
        (lambda: checks.fraction("warmup", "x"), "warmup must be greater than 0 and less than 1, got 'x'"),
        (lambda: checks.choice("loss", ["mse"], {"mse": 1, "l1": 2}), "loss must be one of mse, l1, got ['mse']"),
    ],
)
def test_the_error_names_the_argument_the_rule_and_the_value(call, message):
    with pytest.raises(UsageError) as error:
        call()
    assert str(error.value) == message


def test_the_ends_of_a_fraction_and_a_known_name_pass():
    assert checks.fraction("dropout", 0, zero=True) == 0
    assert checks.fraction("end", 1, one=True) == 1
    assert checks.choice("loss", "mse", {"mse": 1, "l1": 2}) == "mse"


def test_values_are_frozen_and_only_states_change():
    found = {}
    for part in ("nn", "training", "data.handwriting", "course.check"):
        package = importlib.import_module(f"byhand.{part}")
        modules = [
            package,
            *(importlib.import_module(f"byhand.{part}.{info.name}") for info in iter_modules(package.__path__)),
        ]
        for module in modules:
            own = [one for one in vars(module).values() if dataclasses.is_dataclass(one) and isinstance(one, type)]
            found |= {one.__name__: one for one in own if one.__module__ == module.__name__}
    assert len(found) > 30
    changing = {name for name, one in found.items() if not one.__dataclass_params__.frozen}
    assert changing == {"Batch", "History", "Progress", "_Group"}
    assert {name for name, one in found.items() if "__slots__" in vars(one)} == {
        "Batch", "Digit", "Ink", "Row", "Segment", "_Group", "_Piece"
    }  # fmt: skip
