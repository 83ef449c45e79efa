"""Causes that the long run with an independent oracle (tests/long/single_edits.py) found to be missing or wrong."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from byhand.course.check import PAGES, TARGETS, Check
from byhand.course.check.variants import explained
from byhand.course.probes.two_layer import TWO_LAYER
from helpers import in_process
from helpers.planted_mistakes import planted

STUDENTS = Path(__file__).parent / "students"


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Check one of the solutions with changes in some functions: {function: (right, wrong)}."""

    def run(base, page, changes):
        source = planted(
            (STUDENTS / f"{base}.py").read_text("utf-8"), [(name, "", one) for name, one in changes.items()]
        )
        path = tmp_path / "student.py"
        path.write_text(source, encoding="utf-8")
        return in_process.check(path, page, monkeypatch, seed=4)

    return run


@pytest.mark.slow
def test_no_known_mistake_is_named_if_the_right_outputs_contradict_it(check):
    changes = {
        "L_layer_backward": ('["db" + str(L)] = (1./m)', '["db" + str(L)] = (1.//m)'),
        "L_layer_forward": ("L = len(parameters) // 2", "L = 2"),
        "predict": ("str(np.sum", "str(-np.sum"),
        "layer_backward": ("(1./m) * np.dot", "(0.1/m) * np.dot"),
    }
    report = check("as_the_assignment", "l_layer", changes)
    assert report["L_layer_backward"].mistakes == ("zero",)  # not: summed over everything, which is 0 too
    assert report["L_layer_forward"].reason.startswith("these are the numbers of `L = 2`")  # not: not appended
    assert report["predict"].mistakes == ("wrong sign",)
    assert report["layer_backward"].mistakes == ("constant factor",)


@pytest.mark.slow
def test_the_sign_of_one_gradient_is_not_blamed_on_the_last_layer(check):
    changes = {"backward_prop": ("db2 = 1 / m", "db2 = -1 / m"), "init_params": ("rand(10, 10)", "rand(10, 9)")}
    report = check("two_layer_as_published", "two_layer", changes)
    assert report["backward_prop"].reason == "db2: the sign is wrong"
    assert report["init_params"].reason == "shape of W2: must be (10, 10), got (10, 9)"


@pytest.mark.slow
def test_no_edit_is_quoted_for_numbers_that_are_a_rounded_zero(check):
    change = ("return -log((P * targets).sum(axis=0)).mean()", "return -log(P.sum(axis=0)).mean()")
    assert check("in_einsum", "l_layer", {"compute_loss": change})["compute_loss"].mistakes == ("zero",)


@pytest.mark.slow
def test_the_number_of_classes_and_a_written_factor_get_true_sentences(check):
    report = check("as_the_assignment", "l_layer", {"compute_loss": ("(-1./m)", "(-.1/m)")})
    assert report["compute_loss"].reason.startswith("loss: a tenth of the right value, as if averaged over")
    report = check("as_the_assignment", "l_layer", {"compute_loss": ("(-1./m)", "(-2./m)")})
    assert report["compute_loss"].reason.startswith("loss: 2 times the right value")
    report = check("as_the_assignment", "l_layer", {"compute_loss": ("np.log(HL)", "np.log2(HL)")})
    assert report["compute_loss"].mistakes == ("wrong logarithm",)  # 1.4427 is not a number that anyone writes


@pytest.mark.slow
def test_an_accuracy_is_not_called_a_multiple_of_the_right_one(check):
    change = ("found == argmax(targets, axis=0)", "found != argmax(targets, axis=0)")
    verdict = check("in_einsum", "l_layer", {"predict": change})["predict"]
    assert verdict.status == "wrong"
    assert "constant factor" not in verdict.mistakes


@pytest.mark.slow
def test_an_edit_that_concerns_weights_and_biases_alike_is_quoted(check):
    change = ("rate * grads", "rate / grads")
    verdict = check("in_einsum", "l_layer", {"update_parameters": change})["update_parameters"]
    assert verdict.mistakes == ("one edit",)


@pytest.mark.slow
def test_a_quote_may_be_for_one_activation_only(check):
    old = "Z = np.dot(W, H_prev) + b\n        linear_memory = (H_prev, W, b)\n        H, activation_memory = sigmoid"
    change = (old, old.replace("np.dot(W, H_prev) + b", "abs(np.dot(W, H_prev) + b)"))
    verdict = check("as_the_assignment", "l_layer", {"layer_forward": change})["layer_forward"]
    assert verdict.reason == "these are the numbers of `Z = abs(np.dot(W, H_prev) + b)`"
    assert verdict.case == 'activation="sigmoid"'


@pytest.mark.parametrize("place", ["update_params", "gradient_descent", ""])
def test_a_bias_without_its_axis_is_right_if_reshaped_later(place, check):
    flat = ("db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)", "db1 = 1 / m * np.sum(dZ1, axis=1)")
    changes = {"backward_prop": flat}
    changes |= {"update_params": ("alpha * db1", "alpha * db1.reshape(10, 1)")} if place == "update_params" else {}
    if place == "gradient_descent":
        changes["gradient_descent"] = ("dW1, db1, dW2, db2, alpha)", "dW1, db1.reshape(10, 1), dW2, db2, alpha)")
    report = check("two_layer_as_published", "two_layer", changes)
    assert report["backward_prop"].mistakes == (() if place else ("axis lost",))
    assert report.counts()["wrong"] == (0 if place else 1)


def test_a_wrong_update_is_no_evidence_against_a_bias_without_its_axis(check):
    changes = {
        "backward_prop": ("db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)", "db1 = 1 / m * np.sum(dZ1, axis=1)"),
        "update_params": ("    return W1, b1, W2, b2", "    W1, b1, W2, b2"),
    }
    report = check("two_layer_as_published", "two_layer", changes)
    assert [one.function for one in report.verdicts if one.status == "wrong"] == ["update_params"]


@pytest.mark.slow
def test_functions_of_ones_own_and_other_spellings_are_named(check):
    changes = {
        "gradient_descent": ("W1, b1, W2, b2 = update_params(", "W1, b1, W2, b2 = step("),
        "forward_prop": ("A1 = ReLU(Z1)", "A1 = relu(Z1)"),
        "ReLU": ("return np.maximum(Z, 0)\n", "return np.maximum(Z, 0)\n\n\ndef step(*given):\n    return given[:4]\n"),
    }
    changes["ReLU"] = (changes["ReLU"][0], changes["ReLU"][1].replace("given[:4]", "[2 * one for one in given[:4]]"))
    report = check("two_layer_as_published", "two_layer", changes)
    assert report["gradient_descent"].reason.endswith(
        "; it calls step, which the assignment does not have: look there too"
    )
    assert report["forward_prop"].reason.endswith("; did you mean ReLU?")


@pytest.mark.parametrize("names", [[], ["step"], ["step", "twice"]])
def test_the_hint_names_the_functions_that_the_assignment_does_not_have(names):
    loaded = {"functions": {"ReLU": {"names": ["np", "softmax", *names]}}, "defined": ["softmax", "step", "twice"]}
    student = SimpleNamespace(loaded=loaded)
    one = SimpleNamespace(student=student, targets=TARGETS, _at=lambda _: "line 1")
    hint = Check._own_helpers(one, "ReLU")
    calls = f"; it calls {' and '.join(names)}, which the assignment does not have: look there too"
    assert hint == (calls if names else "")


def test_an_output_may_be_missing_in_one_call_and_wrong_in_another(check):
    change = ("return parameters", "return {k: 2 * v for k, v in parameters.items() if L == 2 or k != 'W1'}")
    verdict = check("as_the_assignment", "l_layer", {"update_parameters": change})["update_parameters"]
    assert verdict.status == "wrong"
    assert "W1: differs from the right value" in verdict.reason


def test_new_parameters_are_accepted_with_a_remark(check):
    change = ("    L = len(parameters) // 2\n", "    parameters = dict(parameters)\n    L = len(parameters) // 2\n")
    verdict = check("as_the_assignment", "l_layer", {"update_parameters": change})["update_parameters"]
    assert verdict.status == "right"
    assert verdict.remarks == ("does not change parameters in place: training must use the returned values",)


@pytest.mark.parametrize("page", PAGES.values(), ids=[*PAGES])
def test_the_finite_difference_of_each_gradient_is_the_right_value(page):
    rng, seen = np.random.default_rng(5), set()
    for function in page.functions:
        for probe in function.probes(rng) if "backward" in function.name or "deriv" in function.name else ():
            for name, slope in probe.slopes.items():
                where = tuple(int(rng.integers(size)) for size in probe.right[name].shape)
                assert slope(where) == pytest.approx(float(probe.right[name][where]), rel=1e-5, abs=1e-8)
                seen.add(function.name)
    assert len(seen) >= 2


def test_the_search_for_an_edit_leaves_the_random_numbers_alone():
    def never(run):
        with contextlib.suppress(Exception):
            run(np.eye(3))
        return False

    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    assert explained(TWO_LAYER.module, "get_predictions", never) == []
    np.testing.assert_array_equal(np.random.get_state()[1], before)
