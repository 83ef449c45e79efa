"""The checker's small functions on made-up values: variants of the reference, diagnosis, and verdicts on errors."""

import dataclasses
import gzip
import math
import pickle
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from byhand.course.check import (
    PAGES,
    TARGETS,
    Check,
    Failed,
    answer,
    data_files,
    modules_beside,
    pages_of,
    pixel_verdicts,
)
from byhand.course.check.diagnosis import MISTAKES, Evidence, Report, Verdict, _agrees, close, diagnose, flat
from byhand.course.check.variants import _inverted, _quiet, _same_random_numbers, _variants, explained, variants_of
from byhand.course.probes import Function, MisshapenError, Probe
from byhand.course.sandbox.runner import Limits, Outcome
from byhand.reference import l_layer

# ---- variants: every edit of a line, in order

VARIANTS = [
    (
        "def f(a): return a + 2.5",
        """
        `return a - 2.5`
        `return a * 2.5`
        `return a / 2.5`
        `return a`
        `return 2.5`
        `return 2.5 + a`
        `return abs(a + 2.5)`
        `return a + 1 + 2.5`
        `return a - 1 + 2.5`
        `return a[0] + 2.5`
        `return a.T + 2.5`
        `return a + 3.5`
        `return a + 1.5`
        `return a + 25.0`
        `return a + 0.25`
        `return a + -2.5`
        `return a + 0`
        """,
    ),
    (
        "def f(a, b): return np.dot(a, b.T) / 3",
        """
        `return np.dot(a, b.T) + 3`
        `return np.dot(a, b.T) - 3`
        `return np.dot(a, b.T) * 3`
        `return np.dot(a, b.T)`
        `return 3`
        `return 3 / np.dot(a, b.T)`
        `return np.dot(a, b.T) // 3`
        `return np.dot(a, b.T) / (3 + 1)`
        `return np.dot(a, b.T) / (3 - 1)`
        `return np.multiply(a, b.T) / 3`
        `return a / 3`
        `return b.T / 3`
        `return np.dot(b.T, a) / 3`
        `return np.dot(a.T, b.T) / 3`
        `return np.dot(a, b.T.T) / 3`
        `return np.dot(b, b.T) / 3`
        `return np.dot(a + 1, b.T) / 3`
        `return np.dot(a - 1, b.T) / 3`
        `return np.dot(a[0], b.T) / 3`
        `return np.dot(a.T, b.T) / 3`
        `return np.dot(a, b) / 3`
        `return np.dot(a, a.T) / 3`
        `return np.dot(a, (b + 1).T) / 3`
        `return np.dot(a, (b - 1).T) / 3`
        `return np.dot(a, b[0].T) / 3`
        `return np.dot(a, b.T.T) / 3`
        `return np.dot(a, b.T) / 4`
        `return np.dot(a, b.T) / 2`
        `return np.dot(a, b.T) / 30`
        `return np.dot(a, b.T) / 0.3`
        `return np.dot(a, b.T) / -3`
        `return np.dot(a, b.T) / 0`
        """,
    ),
    (
        "def f(a): return (a - 1) * 4",
        """
        `return a - 1 + 4`
        `return a - 1 - 4`
        `return (a - 1) / 4`
        `return a - 1`
        `return 4`
        `return 4 * (a - 1)`
        `return a - 1 * 4`
        `return (a + 1) * 4`
        `return a * 1 * 4`
        `return a / 1 * 4`
        `return a * 4`
        `return 1 * 4`
        `return (1 - a) * 4`
        `return abs(a - 1) * 4`
        `return (a + 1 - 1) * 4`
        `return (a - 1 - 1) * 4`
        `return (a[0] - 1) * 4`
        `return (a.T - 1) * 4`
        `return (a - 2) * 4`
        `return (a - 0) * 4`
        `return (a - 10) * 4`
        `return (a - 0.1) * 4`
        `return (a - -1) * 4`
        `return (a - 1) * 5`
        `return (a - 1) * 3`
        `return (a - 1) * 40`
        `return (a - 1) * 0.4`
        `return (a - 1) * -4`
        `return (a - 1) * 0`
        """,
    ),
    (
        "def f(a): return 4 / (a + 1)",
        """
        `return 4 + (a + 1)`
        `return 4 - (a + 1)`
        `return 4 * (a + 1)`
        `return 4`
        `return a + 1`
        `return (a + 1) / 4`
        `return 4 // (a + 1)`
        `return 4 / (a + 1 + 1)`
        `return 4 / (a + 1 - 1)`
        `return 4 / a + 1`
        `return 5 / (a + 1)`
        `return 3 / (a + 1)`
        `return 40 / (a + 1)`
        `return 0.4 / (a + 1)`
        `return -4 / (a + 1)`
        `return 0 / (a + 1)`
        `return 4 / (a - 1)`
        `return 4 / (a * 1)`
        `return 4 / (a / 1)`
        `return 4 / a`
        `return 4 / 1`
        `return 4 / (1 + a)`
        `return 4 / abs(a + 1)`
        `return 4 / (a + 1 + 1)`
        `return 4 / (a - 1 + 1)`
        `return 4 / (a[0] + 1)`
        `return 4 / (a.T + 1)`
        `return 4 / (a + 2)`
        `return 4 / (a + 0)`
        `return 4 / (a + 10)`
        `return 4 / (a + 0.1)`
        `return 4 / (a + -1)`
        """,
    ),
    (
        "def f(x): y = np.sum(x, axis=1, keepdims=True); return -y",
        """
        `y = …` left out
        `y = np.max(x, axis=1, keepdims=True)`
        `y = np.mean(x, axis=1, keepdims=True)`
        `y = np.min(x, axis=1, keepdims=True)`
        `y = x`
        `y = np.sum(x, keepdims=True)`
        `y = np.sum(x)`
        `y = np.sum(x, axis=1, keepdims=True)`
        `y = np.sum(x, axis=1)`
        `y = np.sum(y, axis=1, keepdims=True)`
        `y = np.sum(x + 1, axis=1, keepdims=True)`
        `y = np.sum(x - 1, axis=1, keepdims=True)`
        `y = np.sum(x[0], axis=1, keepdims=True)`
        `y = np.sum(x.T, axis=1, keepdims=True)`
        `y = np.sum(x, axis=2, keepdims=True)`
        `y = np.sum(x, axis=0, keepdims=True)`
        `y = np.sum(x, axis=10, keepdims=True)`
        `y = np.sum(x, axis=0.1, keepdims=True)`
        `y = np.sum(x, axis=-1, keepdims=True)`
        `return y`
        `return -x`
        `return -(y + 1)`
        `return -(y - 1)`
        `return -y[0]`
        `return -y.T`
        """,
    ),
    (
        "def f(x): return 'relu', x > 0",
        """
        `'sigmoid'`
        `'softmax'`
        `x > 0`
        `x >= 0`
        `x < 0`
        `x <= 0`
        `x == 0`
        `x != 0`
        `x`
        `0 > 0`
        `x + 1 > 0`
        `x - 1 > 0`
        `x[0] > 0`
        `x.T > 0`
        `x > 1`
        `x > -1`
        `x > 0`
        """,
    ),
    (
        "def f(x): x += 1; print(x); return float(x), np.maximum(0, x)",
        """
        `x += 1` left out
        `x += 2`
        `x += 0`
        `x += 10`
        `x += 0.1`
        `x += -1`
        `print(x)` left out
        `x`
        `print(x + 1)`
        `print(x - 1)`
        `print(x[0])`
        `print(x.T)`
        `float(x + 1)`
        `float(x - 1)`
        `float(x[0])`
        `float(x.T)`
        `np.minimum(0, x)`
        `0`
        `x`
        `np.maximum(x, 0)`
        `np.maximum(1, x)`
        `np.maximum(-1, x)`
        `np.maximum(0, x)`
        `np.maximum(0, x + 1)`
        `np.maximum(0, x - 1)`
        `np.maximum(0, x[0])`
        `np.maximum(0, x.T)`
        """,
    ),
]


@pytest.mark.parametrize(("source", "statements"), VARIANTS, ids=[source for source, _ in VARIANTS])
def test_a_line_has_these_variants(source, statements):
    expected = [line.strip() for line in statements.strip().splitlines()]
    made = [one for one in _variants(source) if one.code is not None]
    assert [one.quote() for one in made] == expected
    assert {one.called for one in made} == {"f"}


def test_variants_compute_what_they_quote():
    for one in _variants("def f(a): return (a - 1) * 4"):
        names = {}
        exec(one.code, names)
        quoted = one.quote().strip("`").removeprefix("return ")
        a = np.array([[3.0, 5.0]])
        assert np.array_equal(_quiet(names["f"])(a)[0], eval(quoted, {"a": a}))


def test_a_division_is_also_varied_as_a_factor():
    assert _inverted("def f(a, m): return a / m + 2 / (m * 2)").splitlines()[1].strip() == (
        "return 1 / m * a + 1 / (m * 2) * 2"
    )
    spellings = [[quote() for quote, _ in made] for made in variants_of(l_layer, "compute_loss")]
    assert len(spellings) == 5  # three spellings, and the first two of them with a factor
    assert [any(one.startswith("`m = ") for one in made) for made in (spellings[0], spellings[3])] == [True, False]
    assert "`loss = 1 / m * -1 + np.sum(Y * np.log(HL))`" in spellings[3]


def test_a_variant_runs_quietly_with_a_seed_and_its_own_arguments():
    def noisy(a):
        a += 1
        print("printed")
        return a, np.random.rand(), np.log(np.zeros(1))

    given, before = np.zeros(2), np.random.get_state()[1].copy()
    with _same_random_numbers():
        (made, random, _), printed = _quiet(noisy)(given)
    assert (given.tolist(), made.tolist(), printed) == ([0, 0], [1, 1], "printed\n")
    assert random == np.random.RandomState(2).rand()
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda Z: np.minimum(0, Z), ["`H = np.minimum(0, Z)`"]),
        (lambda Z: np.maximum(1, Z), ["`H = np.maximum(1, Z)`"]),
        (lambda Z: np.maximum(0, Z + 1), ["`H = np.maximum(0, Z + 1)`"]),
        (lambda Z: Z, ["`H = Z`"]),
        (lambda Z: np.maximum(0, Z) + 17, []),
    ],
)
def test_the_edit_that_gives_the_same_numbers_is_found(wrong, expected):
    Z = np.array([[-2.0, 0.25, 3.0], [1.5, -0.75, -4.0]])

    def agrees(function):
        try:
            return np.array_equal(function(Z)[0][0], wrong(Z))
        except Exception:
            return False

    assert explained(l_layer, "relu", agrees)[:1] == expected


# ---- diagnosis

RIGHT = np.array([[1.0, 2.0, -3.0], [4.0, 5.0, 6.0], [7.0, 9.0, 8.0]])
FIRST = np.where(np.arange(3)[:, None] == 0, RIGHT + 1, RIGHT)
RELU = Function("relu", lambda value, printed: {"H": value}, iter, default_message="differs", in_place=("Z",))
ONE = Probe({"Z": RIGHT}, right={"H": RIGHT})
OTHERS = {"X": RIGHT + RIGHT.T, "Y": RIGHT**2 + 3}
SIZES = {"X": np.zeros((7, 5))}


def diagnosis(right, got, *more, m=5, changed=frozenset(), name="relu", refused=(), **settings):
    """Return the verdict on one call, and on `more` calls, (right, got)."""
    function = Function(name, lambda value, printed: {}, iter, default_message="differs")
    calls = [({**settings, "right": one}, two) for one, two in ((right, got), *more)]
    found = [(Probe(**{"arguments": {}, "m": m, **entries}), got) for entries, got in calls]
    return diagnose(found, function, PAGES["l_layer"], changed, refused)


@pytest.mark.parametrize(
    ("got", "settings", "mistakes"),
    [
        (RIGHT * 5, {}, ("1/m missing",)),
        (RIGHT * 25, {}, ("multiplied by m",)),
        (RIGHT / 5, {}, ("1/m twice",)),
        (RIGHT * (1 + 3e-5), {"m": 1}, None),
        (RIGHT * 5 / 7, {"arguments": SIZES}, ("divided by another size",)),
        (RIGHT * 5 / 7, {}, ("divided by all",)),
        (RIGHT * 5 / 5.6, {}, ("constant factor",)),
        (RIGHT * 5 / 1000.005, {}, ("divided by all",)),
        (RIGHT * 5 / 1000.02, {}, ("constant factor",)),
        (RIGHT * 5 / 4, {}, ("constant factor",)),
        (RIGHT * 2, {"m": 2}, ("1/m missing",)),
        (RIGHT * 2, {"m": 1}, ("constant factor",)),
        (RIGHT * 2, {"m": 0}, ("constant factor",)),
        (-RIGHT, {"m": 1}, ("wrong sign",)),
        (-RIGHT * 5, {}, ("constant factor",)),
        (RIGHT.T, {}, ("transposed",)),
        (RIGHT[None], {}, ("wrong shape",)),
        (RIGHT.reshape(9), {}, ("axis lost",)),
        (1 / RIGHT, {}, ("numerator and denominator exchanged",)),
        (RIGHT * 0, {}, ("zero",)),
        (RIGHT * math.nan, {}, ("not a number",)),
        (FIRST, {}, ("one line wrong",)),
        (FIRST[::-1], {}, ()),
        (np.where(np.arange(3) == 2, RIGHT + 1, RIGHT), {}, ("one line wrong",)),
        (np.where(np.arange(3) == 1, RIGHT + 1, RIGHT), {}, ()),
        (np.where(np.arange(3)[:, None] == 2, RIGHT + 1, RIGHT), {}, ("one line wrong",)),
        (None, {}, ("nothing returned",)),
        ("text", {}, ("wrong shape",)),
    ],
)
def test_scale_shape_and_place_of_wrong_numbers_are_named(got, settings, mistakes):
    if mistakes is None:
        assert close(got, RIGHT)
    else:
        assert diagnosis({"dW": RIGHT}, {"dW": got}, **settings).mistakes == mistakes


@pytest.mark.parametrize(
    ("got", "settings", "words"),
    [
        (RIGHT * 1.25, {}, "dW: 1.25 times the right value"),
        (RIGHT * 5 / 7, {}, MISTAKES["divided by all"].format(7)),
        (FIRST, {}, MISTAKES["one line wrong"].format("first", "row")),
        (np.where(np.arange(3) == 2, RIGHT + 1, RIGHT), {}, MISTAKES["one line wrong"].format("last", "column")),
        ("text", {}, "dW: must be an array of shape (3, 3), got a str"),
        (RIGHT[:2], {}, "dW: must have shape (3, 3), got (2, 3)"),
        (RIGHT[None], {}, "dW: must have shape (3, 3), got (1, 3, 3)"),
    ],
)
def test_the_sentence_has_the_numbers_of_the_mistake(got, settings, words):
    assert words in diagnosis({"dW": RIGHT}, {"dW": got}, **settings).reason


def test_lines_of_two_rows_and_numbers_alone_are_no_pattern():
    two = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert diagnosis({"dW": RIGHT[:2]}, {"dW": RIGHT[:2].T}).mistakes == ("transposed",)
    assert diagnosis({"dW": two}, {"dW": two + np.array([[1.0], [0.0]])}).mistakes == ()
    assert diagnosis({"loss": np.array(2.1)}, {"loss": 3.15}).mistakes == ("constant factor",)  # 1.5 is plain
    assert diagnosis({"loss": np.array(2.1)}, {"loss": 3.15}, m=1).mistakes == ()
    assert diagnosis({"loss": np.array(2.1)}, {"loss": 3.1731}).mistakes == ()  # 1.511 is not
    assert diagnosis({"accuracy": np.array(0.4)}, {"accuracy": 0.6}).mistakes == ()  # shares of five samples
    assert diagnosis({"loss": np.array(2.0)}, {"loss": 10.0}).mistakes == ("1/m missing",)
    assert diagnosis({"number of ones": np.array(2.0)}, {"number of ones": 10.0}).reason == "number of ones: differs"
    shape = {"shape of W": np.array([3.0, 4.0])}
    assert diagnosis(shape, {"shape of W": np.array([4.0, 3.0])}).reason == "shape of W: must be (3, 4), got (4, 3)"


def test_another_array_is_named_and_where_it_was_changed_in_place():
    other = RIGHT + RIGHT.T
    assert diagnosis({"Z": RIGHT, "H": other}, {"Z": other, "H": other}).reason == "Z: this is H, not Z"
    assert diagnosis({"Z": RIGHT, "H": other}, {"Z": other, "H": other}).mistakes == ("Z and H mixed up",)
    assert diagnosis({"W1": RIGHT}, {"W1": other}, arguments={"W2": other}).mistakes == ("the wrong array",)
    both = diagnosis({"a": RIGHT, "b": RIGHT}, {"a": other, "b": other * 2}, arguments={"X": other, "Y": other * 2})
    assert (both.reason, both.mistakes) == ("a: this is X, not a; b: this is Y, not b", ("the wrong array",))
    in_place = diagnosis({"dH": RIGHT}, {"dH": other}, arguments={"Z": other}, changed={"dH"})
    assert (in_place.mistakes, in_place.reason) == (
        ("changed in place",), f"dH: {MISTAKES['changed in place'].format('dH')}"
    )  # fmt: skip
    same = diagnosis({"W1": RIGHT}, {"W1": other}, arguments={"W1 before": other})
    assert same.mistakes == ()
    few = np.eye(3)
    assert diagnosis({"W1": RIGHT}, {"W1": few}, arguments={"W2": few}).mistakes == ()


def test_a_known_mistake_explains_all_outputs_and_calls_or_none():
    known, other = RIGHT - 1, RIGHT**2
    name, second = "bias left out", "bias subtracted"
    wrong = ((name, {"dW": known}), (second, {"dW": other}))
    found = diagnosis({"dW": RIGHT}, {"dW": known}, wrong=wrong)
    assert (found.mistakes, found.reason) == ((name,), f"dW: {MISTAKES[name]}")
    assert diagnosis({"dW": RIGHT}, {"dW": known}, ({"dW": RIGHT}, {"dW": known}), wrong=wrong).mistakes == (name,)
    assert diagnosis({"dW": RIGHT}, {"dW": known}, ({"dW": RIGHT}, {"dW": other}), wrong=wrong).mistakes == ()
    both = diagnosis({"dW": RIGHT}, {"dW": known}, wrong=((name, {"dW": known}), (second, {"dW": known})))
    assert both.mistakes == (name, second)
    assert both.reason == f"dW: {MISTAKES[name]}; or {MISTAKES[second]}"
    unchanged = diagnosis({"dW": RIGHT}, {"dW": RIGHT * 5}, wrong=((name, {"dW": RIGHT * 5}),))
    assert unchanged.mistakes == (name,)
    zero = ((name, {"dW": RIGHT * 0}),)
    assert diagnosis({"dW": RIGHT}, {"dW": RIGHT * 0}, wrong=zero).mistakes == ("zero",)
    zero = ((name, {"loss": 0.0}),)
    assert diagnosis({"loss": np.array(2.0)}, {"loss": 0.0}, wrong=zero).mistakes == (name,)
    two = diagnosis(
        {"a": RIGHT, "b": RIGHT}, {"a": known, "b": other}, wrong=((name, {"a": known}), (second, {"b": other}))
    )
    assert two.reason == f"a: {MISTAKES[name]}; b: {MISTAKES[second]}"
    shared = diagnosis({"a": RIGHT, "b": RIGHT}, {"a": known, "b": other}, wrong=((name, {"a": known, "b": other}),))
    assert shared.reason == f"a and b: {MISTAKES[name]}"


def test_a_mistake_that_a_right_output_contradicts_comes_last():
    known = RIGHT - 1
    wrong = (("bias left out", {"a": known, "b": known}), ("bias subtracted", {"a": known}))
    found = diagnosis({"a": RIGHT, "b": RIGHT}, {"a": known, "b": RIGHT}, wrong=wrong)
    assert found.mistakes[0] == "bias subtracted"
    agreeing = diagnosis({"a": RIGHT, "b": RIGHT}, {"a": known, "b": known}, wrong=wrong)
    assert agreeing.mistakes[0] == "bias left out"


def test_only_given_functions_that_can_be_called_are_left_out(monkeypatch):
    check = checking(functions={"relu": written(), "softmax": written(stub=True)})
    check.student.load = Outcome
    check.given, check.file = {"relu", "softmax", "sigmoid", "unknown"}, "x.py"
    monkeypatch.setattr(Check, "_verdict", lambda self, function: Verdict(function.name, "right"))
    report = check.report()
    assert check.given == {"relu"}
    assert (report.found, report.ok, report.file) == (True, True, "x.py")
    names = [function.name for function in PAGES["l_layer"].functions if function.name != "relu"]
    assert [verdict.function for verdict in report.verdicts] == names
    for place in ("", "line 3"):
        check.given, check.verdicts = set(), {}
        missing = Verdict("relu", "missing", place=place)
        monkeypatch.setattr(Check, "_verdict", lambda self, function, missing=missing: missing)
        assert check.report().found is bool(place)
    check.student.load = lambda: Outcome(died="took too long")
    assert {verdict.reason for verdict in check.report().verdicts} == {"reading the file took too long"}


def test_a_count_follows_from_another_wrong_output():
    right = {"W": RIGHT, "number of rows": np.array(3.0)}
    odd = np.where(RIGHT == 5, 5.5, RIGHT)
    verdict = diagnosis(right, {"W": odd, "number of rows": 4.0}, wrong=())
    assert verdict.reason == "W and number of rows: differs"
    printed = {"predictions": RIGHT, "accuracy printed": np.array(0.5)}
    assert diagnosis(printed, {"predictions": odd, "accuracy printed": 0.25}).reason == "predictions: differs"
    alone = diagnosis(printed, {"predictions": RIGHT, "accuracy printed": 0.25 + 0.017})
    assert alone.reason == "accuracy printed: differs"
    name = "bias left out"
    counted = ((name, {"number of rows": 4.0}),)
    assert diagnosis(right, {"W": odd, "number of rows": 4.0}, wrong=counted).reason == "W: differs"
    assert diagnosis(right, {"W": RIGHT, "number of rows": 4.0}, wrong=counted).mistakes == (name,)


def test_the_case_is_named_if_only_its_calls_are_wrong():
    function = Function("relu", lambda value, printed: value, iter, default_message="differs")

    def case(*calls):
        found = [(Probe({}, m=5, right={"a": RIGHT}, case=case), {"a": got}) for case, got in calls]
        return diagnose(found, function, PAGES["l_layer"]).case

    assert case(("x", -RIGHT), ("y", RIGHT)) == "x"
    assert case(("x", -RIGHT), ("x", -RIGHT), ("y", RIGHT)) == "x"
    assert case(("x", -RIGHT), ("x", RIGHT)) == ""
    assert case(("x", -RIGHT), ("y", -RIGHT), ("z", RIGHT)) == ""
    assert Verdict("relu", "wrong", "reason", case="L = 2").words == ("reason", "only wrong with L = 2")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1.0, 1.0, True), (1.00009, 1.0, True), (1.00012, 1.0, False), ([0.0, 100.0], [0.0009, 100.0], True),
        ([0.0, 100.0], [0.0012, 100.0], False), (0.0, 1e-12, True), (0.0, 2e-12, False), ([1.0], 1.0, False),
        (math.inf, math.inf, True), (math.inf, 1.0, False), ([1.0, math.inf], [1.001, math.inf], False),
        (math.nan, math.nan, True), ("1", 1.0, False), (None, 1.0, False), (1.0, None, False), ([], [], True),
    ],
)  # fmt: skip
def test_close_numbers_differ_by_rounding_only(a, b, expected):
    assert close(a, b) is expected


def test_nested_arrays_are_flattened_by_name():
    one, two = np.zeros(1), np.ones(2)
    found = flat({"a": one, "b": {"c": two, "d": 3}, "e": (one, [two])})
    assert {name: array.tolist() for name, array in found.items()} == {"a": [0], "c": [1, 1], "e": [1, 1]}
    assert flat(one, "x")["x"] is one


def test_a_report_counts_its_verdicts():
    verdicts = [Verdict("a", "right"), Verdict("b", "missing"), Verdict("c", "missing")]
    report = Report("file", "l_layer", tuple(verdicts))
    assert report.counts() == {"right": 1, "wrong": 0, "not run": 0, "missing": 2}
    assert (report.ok, dataclasses.replace(report, found=False).ok) == (True, False)
    for status in ("wrong", "not run"):
        assert not Report("file", "l_layer", (*verdicts, Verdict("d", status))).ok
    assert report["b"] is verdicts[1]
    assert report["z"] == Verdict("z", "missing", "not found")
    assert str(Evidence("Z[0]", 1.5, 2.0, 1.9999)) == "Z[0]: yours 1.5, right 2, finite difference 1.9999"


@pytest.mark.parametrize(
    ("got", "is_asked"),
    [
        ({"a": -RIGHT, "b": RIGHT}, False),
        ({"a": RIGHT + RIGHT.T + 0.5, "b": RIGHT}, True),
        ({"a": -RIGHT, "b": RIGHT * 2}, True),
        ({"a": OTHERS["X"], "b": OTHERS["Y"]}, False),
        ({"a": RIGHT * 5 / 7, "b": RIGHT * 5 / 8}, True),
        ({"a": RIGHT * 0, "b": RIGHT}, False),
        ({"a": RIGHT * math.nan, "b": RIGHT}, True),
        ({"b": RIGHT}, False),
        ({"a": np.eye(3), "b": RIGHT}, False),
        ({"a": np.eye(4), "b": RIGHT}, True),
        ({"a": np.zeros((4, 4)), "b": RIGHT}, False),
        ({"a": np.eye(3) * 2, "b": RIGHT}, True),
        ({"a": "text", "b": RIGHT}, True),
    ],
)
def test_an_edit_is_searched_only_if_the_numbers_tell_something(got, is_asked, monkeypatch):
    monkeypatch.setattr("byhand.course.check.diagnosis.explained", lambda *_: ["`x`", "`y`"])
    found = diagnosis({"a": RIGHT, "b": RIGHT}, got, arguments=OTHERS)
    assert (found.mistakes == ("one edit",)) is is_asked
    assert (found.reason == MISTAKES["one edit"].format("`x` or `y`")) is is_asked


def test_a_variant_must_agree_in_every_call():
    def outputs(value, printed):
        return dict(zip("ab", value, strict=False))

    probe = Probe({"Z": 2.0}, right={"a": 0.0, "b": 0.0})

    def agrees(got, *values, refused=(), run=None):
        return _agrees([(probe, got)] * bool(got), refused, outputs, run or (lambda Z: (values, "")))

    assert agrees({"a": 1.0, "b": 2.0}, 1.0, 2.0)
    assert not agrees({"a": 1.0, "b": 2.0}, 1.0, 2.1)
    assert not agrees({"a": 1.0, "b": 2.0}, 1.0)
    assert not agrees({"a": 1.0}, 1.0, 2.0)
    assert agrees({"a": 1.0}, 1.0)
    assert not agrees({"a": 1.0}, run=lambda Z: 1 / 0)
    assert agrees({}, refused=[probe], run=lambda Z: 1 / 0)
    assert not agrees({}, 1.0, refused=[probe])


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["`a = 1`"], ["`a = 1`"]),
        (["`a = 1`", "`b = 22`", "`c = 3`"], ["`a = 1`", "`b = 22`", "`c = 3`"]),
        (["`a = 1`", "`b = 2`", "`c = 3`", "`d = 4`"], []),
        (["`a = 333`", "`a = 1`", "`a = 22`", "`a = 4444`"], ["`a = 1`", "`a = 22`"]),
        (["`a = b * 1`", "`a = c`"], ["`a = c`"]),
        (["`a = b / 1`", "`a = 1 * b`", "`a = b + 10`"], ["`a = b + 10`"]),
        (["`a = b * 1`"], ["`a = b * 1`"]),
        ([], ["`next`"]),
    ],
)
def test_a_few_edits_are_quoted_and_the_trivial_ones_last(statements, expected, monkeypatch):
    made = [[(partial(str, one), abs) for one in statements + statements[:1]], [(partial(str, "`next`"), abs)]]
    monkeypatch.setattr("byhand.course.check.variants.variants_of", lambda module, name: map(iter, made))
    assert explained(l_layer, "relu", lambda function: True) == expected


def test_the_calls_that_raise_by_themselves_count_in_the_diagnosis(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "byhand.course.check.diagnose", lambda *values: seen.append(values[-1]) or Verdict("relu", "wrong", "x", ("y",))
    )
    own, error = (Outcome(error=kind, message="") for kind in ("AssertionError", "KeyError"))
    probes = [dataclasses.replace(ONE, remark=remark, case=case) for remark, case in (("r", "1"), ("", "2"), ("", "3"))]
    refused = [(probes[0], error), (probes[1], own), (probes[2], error)]
    assert checking()._wrong(RELU, Failed([(ONE, {"H": -RIGHT})], refused, set())).mistakes == ("y",)
    assert seen == [[probes[2]]]


def test_a_check_reads_modules_beside_the_file_only_on_request(tmp_path, monkeypatch):
    ended = []

    class Sandboxed:
        def __init__(self, *values):
            self.values = values

        def __exit__(self, *error):
            ended.append(self)

    monkeypatch.setattr("byhand.course.check.Student", Sandboxed)
    (tmp_path / "tools.py").write_text("a = 1\n")
    path = tmp_path / "student.py"
    path.write_text("import tools\n")
    with Check(path, "l_layer", Limits()) as alone, Check(path, "l_layer", Limits(), with_modules=True) as both:
        assert (alone.modules, both.modules) == ({}, {"tools": "a = 1\n"})
        assert (alone.size, both.size, alone.in_cells, alone.rounds) == (1, 2, False, 1)
        assert both.student.values[0] == ["a = 1\n", *alone.student.values[0]]
    assert ended == [both.student, alone.student]


# ---- verdicts on errors, from what the sandbox returns


def written(stub=False, **entries):
    return {
        "stub": stub,
        "cell": 0,
        "line": 7,
        "names": [],
        "parameters": ["Z"],
        "required": 1,
        "more": False,
        **entries,
    }


def checking(cells=1, modules=(), **loaded):
    """Return a check whose sandbox has loaded these values."""
    empty = {"functions": {}, "broken": [], "failed": [], "copies": {}, "stubs": [], "inside": {}, "defined": []}
    check = Check.__new__(Check)
    check.student = SimpleNamespace(loaded=empty | loaded, files={}, spent=False, limits=Limits())
    check.page, check.targets, check.given = PAGES["l_layer"], TARGETS, set()
    check.modules, check.size, check.in_cells = dict.fromkeys(modules, ""), cells + len(modules), cells > 1
    check.changed, check.verdicts = set(), {}
    return check


def failure(kind="ValueError", message="bad", **entries):
    return {"names": ["scale"], "defines": [], "cell": 0, "line": 3, "type": kind, "message": message, **entries}


def short(verdict):
    return (verdict.status, verdict.reason, verdict.mistakes, verdict.place)


@pytest.mark.parametrize(
    ("error", "message", "status", "reason", "mistakes"),
    [
        ("ValueError", "shapes (3,4) and (3,4) not aligned", "wrong", None, ("shapes do not fit",)),
        ("ValueError", "math domain error", "wrong", None, ("value refused",)),
        ("ZeroDivisionError", "division by zero", "wrong", None, ("value refused",)),
        ("KeyError", "'W3'", "wrong", None, ("key missing",)),
        ("IndexError", "list index out of range", "wrong", None, ("index out of range",)),
        ("TypeError", "unsupported", "wrong", None, ("wrong kind of value",)),
        ("AttributeError", "no x", "wrong", None, ("wrong kind of value",)),
        ("numpy.exceptions.AxisError", "axis 2", "wrong", None, ("wrong kind of value",)),
        ("RecursionError", "maximum depth", "wrong", None, ("calls itself",)),
        ("AssertionError", "", "wrong", None, ("own assertion",)),
        ("OSError", "no", "wrong", None, ()),
        ("NameError", "name 'exp' is not defined", "wrong",
         f"exp in `y = 1`: {MISTAKES['no value']}; did you mean NumPy's, np.exp?", ("no value",)),
        ("NameError", "name 'zq' is not defined", "wrong", f"zq in `y = 1`: {MISTAKES['no value']}", ("no value",)),
        ("NameError", "name 'hidden1' is not defined", "wrong",
         f"hidden1 in `y = 1`: {MISTAKES['no value']}; did you mean hidden?", ("no value",)),
        ("UnboundLocalError", "cannot access local variable 'HIDDEN' where", "wrong",
         f"HIDDEN in `y = 1`: {MISTAKES['no value']}; did you mean hidden?", ("no value",)),
        ("NameError", "name 'scale' is not defined", "wrong",
         "scale in `y = 1`: line 3, which defines it, failed: ValueError: bad", ("no value",)),
        ("NameError", "name 'slow' is not defined", "wrong",
         "slow in `y = 1`: line 4, which defines it, took too long", ("no value",)),
        ("NameError", "name 'plt' is not defined", "not run", "needs a package: No module named 'x'", ()),
        ("ValueError", "name 'plt' is not defined", "wrong", None, ("value refused",)),
    ],
)  # fmt: skip
def test_an_exception_is_explained(error, message, status, reason, mistakes):
    failed = [failure(), failure("TooSlowError", names=["slow"], line=4)]
    failed += [failure("ModuleNotFoundError", "No module named 'x'", names=["plt"])]
    check = checking(functions={"relu": written(names=["hidden"])}, defined=["relu", "other"], failed=failed)
    outcome = Outcome(error=error, message=message, text="y = 1", cell=0, line=9)
    expected = reason or f"{error}: {message} in `y = 1`"
    assert short(check._error_verdict("relu", outcome)) == (status, expected, mistakes, "line 9")


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        ({"functions": {"relu": written()}}, None),
        ({"functions": {"relu": written()}, "broken": [failure(names=["relu"])]}, None),
        ({"functions": {"relu": written(stub=True)}}, ("missing", "not written yet", (), "line 7")),
        ({"failed": [failure(defines=["relu"])], "stubs": ["relu"]}, ("missing", "not written yet", (), "line 3")),
        ({"broken": [failure(names=["relu"], stub=True)]}, ("missing", "not written yet", (), "line 3")),
        ({"broken": [failure(names=["relu"], stub=False)]}, ("wrong", "invalid Python: bad", (), "line 3")),
        ({"failed": [failure(defines=["relu"])]}, ("wrong", "its definition failed: ValueError: bad", (), "line 3")),
        (
            {"failed": [failure("TooSlowError", defines=["relu"])]},
            ("wrong", "its definition took too long", (), "line 3"),
        ),
        (
            {
                "failed": [
                    failure("NameError", "name 'plt' is not defined", defines=["relu"]),
                    failure("ModuleNotFoundError", "No module named 'x'", names=["plt"]),
                ]
            },
            ("not run", "needs a package: No module named 'x'", (), "line 3"),
        ),
        ({}, ("missing", "not found", (), "")),
        ({"defined": ["RELU_"]}, ("missing", "not found; is RELU_ meant?", (), "")),
        ({"defined": ["softmax", "sigmoid"]}, ("missing", "not found", (), "")),
        (
            {"inside": {"relu": "class Net"}},
            ("missing", "not found at the top level, only inside class Net: move it out", (), ""),
        ),
    ],
)
def test_a_function_that_cannot_be_called_has_the_reason(loaded, expected):
    found = checking(**loaded)._uncallable("relu")
    assert found is None if expected is None else short(found) == expected


@pytest.mark.parametrize(
    ("cells", "modules", "cell", "line", "place"),
    [
        (1, (), 0, 3, "line 3"), (3, (), 0, 3, "code cell 1, line 3"), (3, (), 2, 4, "code cell 3, line 4"),
        (3, (), 3, 4, ""), (1, ("tools",), 0, 3, "tools.py, line 3"), (1, ("tools",), 1, 3, "line 3"),
        (2, ("tools",), 2, 3, "code cell 2, line 3"), (1, (), None, 3, ""), (1, (), 0, None, ""),
    ],
)  # fmt: skip
def test_a_place_is_a_line_of_a_cell_or_module(cells, modules, cell, line, place):
    assert checking(cells, modules)._at({"cell": cell, "line": line}) == place


def test_the_notes_describe_what_was_skipped():
    check = checking(
        cells=2,
        broken=[
            failure(names=["other"], stub=False),
            failure(names=["x"], stub=True),
            failure(names=["relu"], stub=False),
        ],
        failed=[failure(), failure("TooSlowError", line=5), failure(line=None), failure(defines=["relu"])],
        copies={"relu": [0, 1]},
    )
    check.given = {"relu", "sigmoid"}
    assert list(check._notes()) == [
        "outside the #Graded cells, so used but not checked: sigmoid and relu",
        "code cell 1, line 3 is not valid Python: bad",
        "code cell 1, line 3: ValueError: bad",
        "code cell 1, line 5: took too long and was skipped",
        "relu is written 2 times, in code cell 1 and code cell 2: the last one counts",
    ]


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (Failed([], [(ONE, Outcome(error="NotImplementedError", message="", cell=0, line=2))], set()),
         ("missing", "not written yet", (), "line 2")),
        (Failed([], [(ONE, MisshapenError("must be two", "too little returned"))], set()),
         ("wrong", "must be two", ("too little returned",), "")),
        (Failed([], [(ONE, MisshapenError("must be two"))], set()), ("wrong", "must be two", ("wrong kind",), "")),
        (Failed([], [(ONE, Outcome(error="KeyError", message="'a'", cell=0, line=2))], set()),
         ("wrong", "KeyError: 'a'", ("key missing",), "line 2")),
        (Failed([(ONE, {"H": RIGHT})], [(ONE, Outcome(error="KeyError", message="'a'", cell=0, line=2))], set()),
         ("wrong", "KeyError: 'a'", ("key missing",), "line 2")),
        (Failed([(ONE, {"H": -RIGHT})], [(ONE, Outcome(error="KeyError", message="'a'", cell=0, line=2))], set()),
         ("wrong", "H: the sign is wrong", ("wrong sign",), "")),
        (Failed([(ONE, {"H": RIGHT + RIGHT.T + 0.123})], [], set()),
         ("wrong", "H: differs; it calls step, which the assignment does not have: look there too", (), "")),
        (Failed([(ONE, {"H": RIGHT + RIGHT.T + 0.123})],
                [(ONE, Outcome(error="KeyError", message="'a'", cell=0, line=2))], set()),
         ("wrong", "KeyError: 'a'", ("key missing",), "line 2")),
        (Failed([(dataclasses.replace(ONE, remark="hm"), {"H": RIGHT * 2}), (ONE, {"H": -RIGHT})], [], set()),
         ("wrong", "H: the sign is wrong", ("wrong sign",), "")),
    ],
)  # fmt: skip
def test_wrong_numbers_come_before_exceptions(failed, expected):
    check = checking(functions={"relu": written(names=["np", "step"])}, defined=["step"])
    assert short(check._wrong(RELU, failed)) == expected


IN_PLACE = "changes Z in place: the caller may still need the old values"
NOT_IN_PLACE = "does not change Z in place: training must use the returned values"


class Replies:
    """A student whose function has prepared outcomes."""

    def __init__(self, *outcomes):
        self.outcomes, self.asked = list(outcomes), []

    def __call__(self, name, positional, keywords=None, *, answers):
        self.asked.append((list(positional), keywords))
        return self.outcomes.pop(0)


@pytest.mark.parametrize(
    ("outcomes", "remark", "expected"),
    [
        ([Outcome(value=RIGHT, changed=[0])], "", ("right", "", (IN_PLACE,))),
        ([Outcome(value=RIGHT)], "", ("right", "", (NOT_IN_PLACE,))),
        ([Outcome(value=RIGHT + 1, changed=[0])], "big", ("right", "", (IN_PLACE, "big"))),
        ([Outcome(error="KeyError", changed=[0])], "big", ("right", "", (IN_PLACE, "big"))),
        ([Outcome(died="did not end within 1 seconds")], "", ("wrong", "did not end within 1 seconds", ())),
        ([Outcome(died="did not end within 1 seconds", cut=True)], "", ("not run", "did not end within 1 seconds", ())),
        ([Outcome(died="was killed")], "", ("wrong", "was killed", ())),
    ],
)  # fmt: skip
def test_a_call_that_ends_the_process_or_is_right_needs_no_diagnosis(outcomes, remark, expected):
    check = checking(functions={"relu": written()})
    check.student.call = Replies(*outcomes)
    verdict = check._test(RELU, [dataclasses.replace(ONE, remark=remark)], {})
    assert (verdict.status, verdict.reason, verdict.remarks) == expected
    assert verdict.mistakes == (("no end",) if verdict.status == "wrong" and "end" in verdict.reason else ())


def test_calls_that_fail_are_sorted_by_what_came_back():
    check = checking(functions={"relu": written()})
    function = dataclasses.replace(RELU, outputs=lambda value, printed: {"H": float(value)})
    check.student.call = Replies(Outcome(value="x"), Outcome(value=2.0), Outcome(error="KeyError", changed=[0]))
    failed = check._test(function, [ONE] * 3, {})
    assert [one.error if isinstance(one, Outcome) else str(one) for _, one in failed.refused] == [
        "the returned value can't be used: could not convert string to float: 'x'", "KeyError"
    ]  # fmt: skip
    assert [outputs for _, outputs in failed.found] == [{"H": 2.0}]
    assert failed.changed == {"Z"}


@pytest.mark.parametrize(
    ("parameters", "required", "more", "positional", "keywords"),
    [
        (["A", "b"], 2, False, [], {"A": 1, "b": 2}),
        (["b", "A"], 2, False, [], {"b": 2, "A": 1}),
        (["a", "B"], 2, False, [], {"a": 1, "B": 2}),
        (["A"], 1, False, [], {"A": 1}),
        (["A"], 1, True, [1, 2], None),
        (["A", "other"], 2, False, [1, 2], None),
        (["A", "b", "c"], 3, False, [1, 2], None),
        (["A", "b", "c"], 2, False, [], {"A": 1, "b": 2}),
        (None, 0, False, [], {}),
    ],
)
def test_arguments_are_passed_by_name_if_the_names_are_the_assignments(
    parameters, required, more, positional, keywords
):
    check = checking(functions={"relu": written(parameters=parameters, required=required, more=more)})
    check.student.call = Replies(Outcome(value=RIGHT, changed=[0, 5]))
    check.call("relu", Probe({"A": 1, "b": 2}), {})
    assert check.student.call.asked == [(positional, keywords)]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(value=RIGHT + 1), True),
        (Outcome(value=RIGHT[:2]), False),
        (Outcome(value=3.0), False),
        (Outcome(error="KeyError"), False),
        (Outcome(died="was killed"), False),
    ],
)
def test_outputs_have_the_right_shapes_whatever_their_numbers(outcome, expected):
    check = checking(functions={"relu": written()})
    check.student.call = Replies(outcome)
    assert check._has_shapes(RELU, ONE, {}) is expected


def test_the_reference_answers_to_other_names_and_more_arguments():
    call = answer(PAGES["l_layer"], "relu")
    Z = RIGHT - 4
    right = np.maximum(0, Z)
    for arguments, keywords in (
        ((Z,), {}), ((), {"z": Z}), ((), {"other": Z}), ((Z, 3), {}), ((Z,), {"verbose": True}), ((), {"Z": Z, "x": 1}),
    ):  # fmt: skip
        assert np.array_equal(call(arguments, keywords)[0], right)
    made = answer(PAGES["two_layer"], "init_params")((), {})
    assert np.array_equal(made[0], PAGES["two_layer"].module.init_params(rng=np.random.RandomState(2))[0])


# ---- files


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["def relu(Z): pass"], ["l_layer"]), (["def ReLU(Z): pass"], ["two_layer"]), (["x = 1"], ["l_layer"]),
        (["def relu(Z): pass\ndef ReLU(Z): pass"], ["l_layer", "two_layer"]),
        (["relu = 1", "sigmoid = 2\ndef ReLU(Z): pass"], ["l_layer"]),
        (["    def update_params(): pass"], ["two_layer"]),
    ],
)  # fmt: skip
def test_the_page_is_the_one_with_more_names(cells, expected):
    assert pages_of(cells) == expected


def test_data_files_have_the_shapes_of_the_assignment():
    files = data_files(["a = 'mnist_train.csv'", 'b = "/x/digits.csv"'])
    assert sorted(files) == ["digits.csv", "mnist_train.csv"]
    for name, content in files.items():
        lines = content.decode().splitlines()
        if name.startswith("digits"):
            assert lines.pop(0).split(",")[:2] == ["label", "pixel0"]
        rows = np.array([list(map(int, line.split(","))) for line in lines[:40]])
        assert (len(lines), rows.shape[1]) == (1200, 785)
        assert (rows[:, 0].min(), rows[:, 0].max()) == (0, 9)
        assert not rows[:, 1:300].any()
        assert not rows[:, 400:].any()
        assert (rows[:, 300:400].min(), rows[:, 300:400].max()) == (0, 255)
    assert data_files(["no file"]) == {}
    pairs = pickle.loads(gzip.decompress(data_files(["open('mnist.pkl.gz')"])["mnist.pkl.gz"]))
    assert [(X.shape, y.shape, X.dtype) for X, y in pairs] == [
        ((n, 784), (n,), np.dtype(np.float32)) for n in (60, 20, 20)
    ]  # fmt: skip


def test_only_modules_beside_the_file_are_read(tmp_path):
    (tmp_path / "tools.py").write_text("a = 1\n")
    (tmp_path / "student.py").write_text("b = 2\n")
    (tmp_path / "json.py").write_text("c = 3\n")
    cells = ["import tools, os", "  from student import b", "import json", "import missing"]
    assert modules_beside(tmp_path / "student.py", cells) == {"tools": "a = 1\n"}


def test_pixels_are_between_a_64th_and_one():
    found = pixel_verdicts({"a": 1.0, "b": 1.0001, "c": 1 / 64, "d": 0.0156, "e": 0.0})
    assert [(one.function, one.mistakes) for one in found] == [
        ("b", ("pixels not scaled",)),
        ("d", ("pixels scaled twice",)),
    ]
    assert found[0].evidence == Evidence("b.max()", 1.0001, 1.0)
    assert found[0].reason == f"b: {MISTAKES['pixels not scaled']}"
