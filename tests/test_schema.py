"""The schemas of files, the limits of JSON, and readers whose time grows in proportion to the input."""

import contextlib
import gc
import json
import time
import tracemalloc
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
import pytest

from byhand.course.check import pages_of
from byhand.course.notebooks import plain
from byhand.course.sandbox.slicing import cut
from byhand.errors import ByhandError, ModelFileError, UsageError
from byhand.model import Model
from byhand.schema import checked, json_value, of_kind, toml_value
from byhand.training import Recipe
from byhand.training.runs import CONFIG, METRICS, Run


@dataclass
class Point:
    x: float
    name: str = ""


class Form(TypedDict):
    count: Annotated[int, (1, 9)]
    kind: Literal["a", "b"]
    points: NotRequired[list[Point]]
    values: NotRequired[dict[str, int | str]]
    share: NotRequired[Annotated[float, (0, 1)] | None]


def test_a_checked_value_has_the_types_of_its_schema():
    value = {"count": 3, "kind": "a", "points": [{"x": 1}, {"x": 0.5, "name": "p"}], "values": {"m": 1}, "share": None}
    assert checked(Form, value) == {**value, "points": [Point(1), Point(0.5, "p")]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 10}, "count must be an integer from 1 to 9, got 10"),
        ({"count": True}, "count must be an integer from 1 to 9, got True"),
        ({"count": 10**400}, "count must be an integer from 1 to 9, got 1000"),
        ({"kind": []}, "kind must be one of a, b, got []"),
        ({"points": {}}, "points must be a list, got a dict"),
        ({"points": [{"x": 1}, {"x": "1"}]}, "points[1].x must be a finite number, got '1'"),
        ({"points": [{"name": "p"}]}, "points[0].x must be given"),
        ({"points": [{"x": 1, "nam": "p"}]}, "points[0].nam is not a key (did you mean name?)"),
        ({"points": [{"x": float("nan")}]}, "points[0].x must be a finite number, got nan"),
        ({"values": {"a\nb": None}}, "values.a·b must be text, got None"),
        ({"share": 1.5}, "share must be a number from 0 to 1, got 1.5"),
        ({"q": 1}, "q is not a key: the keys are count, kind, points, values, share"),
    ],
)
def test_an_error_names_the_path_of_the_key(changes, message):
    with pytest.raises(UsageError) as caught:
        checked(Form, {"count": 3, "kind": "a", **changes})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "thing must be an object or table, got None"),
        ({}, "thing must be one of point, got None"),
        ({"kind": ["point"]}, "thing must be one of point"),
        ({"kind": "point"}, "x of point must be given"),
        ({"kind": "point", "x": 1, "self": 2}, "settings of point must be among x, name, got self"),
    ],
)
def test_an_object_of_a_kind_needs_its_settings(value, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        of_kind("thing", {"point": Point}, value)


def odd(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the settings with another value at a path such as `recipe.epochs`."""
    first, _, rest = path.partition(".")
    return {**config, first: odd(config[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("recipe", [], "recipe must be an object or table, got a list of 0"),
        ("recipe.epochs", "x", "recipe.epochs must be a positive integer, got 'x'"),
        ("recipe.epochs", 10**400, "recipe.epochs must be an integer from 1 to 1e+09, got 1000"),
        ("recipe.epochz", 1, "recipe.epochz is not a key (did you mean epochs?)"),
        ("recipe.loss", None, "recipe.loss must be an object or table, got None"),
        ("recipe.loss", {"kind": "mse", "a": 1}, "recipe: settings of mse must be among (none), got a"),
        ("recipe.augment", {}, "recipe.augment must be text such as"),
        ("recipe.threads", [1], "recipe.threads must be a positive integer, got [1]"),
        ("network", None, "network must be a list, got None"),
        ("network", [3], "network[0] must be an object or table, got 3"),
        ("network", [{"kind": "dense", "inputs": 4}], "units of dense must be given"),
        ("network", [{"kind": "activation", "name": []}], "activation must be one of"),
        ("network", [{"kind": "dense", "inputs": 4, "units": 2, "init": {}}], "init must be one of"),
        ("samples", "all", "samples must be an integer, got 'all'"),
        ("seed", -1, "seed must be an integer from 0 to 9"),
        ("dtype", ",", "dtype must be one of float32, float64, got ','"),
        ("data_checksum", None, "data_checksum must be text, got None"),
        ("preparation", {"shape": 5}, "preparation.shape must be a height and a width, got 5"),
        ("made_with", ["x"], "made_with must be an object or table, got a list of 1"),
    ],
)
def test_a_changed_setting_of_a_run_gives_one_line(path, value, message, tmp_path):
    from byhand.training import resume

    settings = {
        "data": None, "data_name": "arrays", "data_checksum": "0", "samples": 10, "seed": 0, "dtype": "float32",
        "network": Model([4, 3, 2], rng=np.random.default_rng(0), classes=("0", "1")).network.config(),
        "preparation": {}, "recipe": Recipe().config(), "classes": ["0", "1"], "command": None, "preset": None,
    }  # fmt: skip
    (tmp_path / CONFIG).write_text(json.dumps(odd(settings, path, value)))
    with pytest.raises(ModelFileError) as caught:
        resume(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / CONFIG}: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = " + b"[" * 50_000, "must be valid TOML: "),
        (b"a = " + b"9" * 5_000, "must be valid TOML: Exceeds the limit"),
        (b"\xff", "must be valid TOML: 'utf-8' codec"),
        (b"#" * 100_001, "must have at most 100,000 bytes, got 100,001"),
    ],
    ids=["nested", "digits", "bytes", "large"],
)
def test_an_invalid_toml_file_gives_one_line(content, message):
    with pytest.raises(UsageError, match=message):
        toml_value(content)


def test_half_of_a_surrogate_pair_becomes_a_question_mark():
    assert json_value(r'{"\ud800": "a\udc00\ud83d\ude00"}') == {"?": "a?😀"}


def test_control_characters_of_a_strangers_run_do_not_reach_the_terminal(tmp_path, type_in):
    (tmp_path / CONFIG).write_text(json.dumps({"seed\x1b[31m\x9b": 1}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    code, _, errors = type_in("info", str(tmp_path))
    assert code == 5
    assert errors.rstrip("\n").isprintable()
    error = ModelFileError("x: \x1b]0;title\x07\x9b31m\n\u202e, got 1")
    assert str(error) == "x: ·]0;title··31m··, got 1"
    assert str(ByhandError("größer ≥ 3")) == "größer ≥ 3"


#: Texts that grow with n, and that made a reader slow.
GROWING = {
    "open string": lambda n: '"' + r"\"" * n,
    "open strings": lambda n: '"' * (2 * n + 1),
    "backslashes": lambda n: '"' + "\\" * (2 * n + 1),
    "brackets": lambda n: "[]," * n,
    "spaces": lambda n: "\n" + " " * n + "+",
    "lines": lambda n: "\n" * n + "+",
    "names": lambda n: "a." * n,
    "equal signs": lambda n: "=#" * n + "(",
    "definitions": lambda n: "def sigmoid(" * (n // 4),
    "numbers": lambda n: "[" + "1," * n,
    "quotes": lambda n: "'''\"\"\"" * (n // 4),
}


def json_or_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        json_value(text)


READERS = {
    "JSON": json_or_error,
    "cells": plain,
    "lesson": lambda text: pages_of([text]),
    "definitions": lambda text: cut([text]),
}


def seconds(read: Any, text: str) -> float:
    """Return the least of three processor times, without those of collecting the garbage of other tests."""
    times = []
    gc.disable()
    try:
        for _ in range(3):
            began = time.process_time()
            read(text)
            times.append(time.process_time() - began)
    finally:
        gc.enable()
    return min(times)


@pytest.mark.parametrize("shape", GROWING)
@pytest.mark.parametrize("reader", READERS)
def test_the_time_of_a_reader_grows_in_proportion_to_the_text(reader, shape):
    """Sixteen times the text takes less than 100 times as long: a quadratic reader takes 256 times."""
    small, large = (seconds(READERS[reader], GROWING[shape](n)) for n in (100, 1_600))
    assert large < max(100 * small, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[" + "[]," * 333_000, '{"a": ' + r'"\"' + r"\"" * 480_000, "[" + "1," * 480_000])
def test_a_file_of_a_megabyte_takes_little_memory(text, tmp_path):
    (tmp_path / CONFIG).write_text(text)
    (tmp_path / METRICS).write_text(text)
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        Run(tmp_path).config()
    assert Run(tmp_path).records() == [], "a last line without an end was being written"
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()
