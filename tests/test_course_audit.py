"""`byhand course audit`: the mistakes that the checks of a notebook let through, and the checks that catch them."""

import json

import pytest
from click.testing import CliRunner

from byhand.cli.course import command
from byhand.course.grading.audit import audit
from helpers.submissions import body_of, notebook, solution

pytestmark = pytest.mark.usefixtures("quick_sandbox")

DERIVATIVE = "import numpy as np\n\ndef ReLU_deriv(Z):\n    return Z > 0\n"
Z = "Z = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -0.5]])\n"
WEAK = "G = ReLU_deriv(Z)\nassert G.shape == Z.shape\nassert G[0, 0] == 1\n"
STRONG = """
def test_derivative():
    np.testing.assert_allclose(ReLU_deriv(Z), [[1, 0, 1], [1, 1, 0]])
"""


def audited(tmp_path, *cells):
    path = tmp_path / "assignment.ipynb"
    path.write_bytes(notebook(cells))
    return audit(path)


def test_a_check_of_shape_and_one_number_lets_mistakes_through(tmp_path):
    result = audited(tmp_path, DERIVATIVE, Z, WEAK)
    (one,) = result.functions
    assert (result.page, result.checks, result.unused, one.is_tested) == ("two_layer", 2, (), True)
    assert 0 < len(one.passed) < one.mistakes
    assert one.suggested == len(one.passed)
    (after,) = audited(tmp_path, DERIVATIVE, Z, WEAK, "\n".join(one.suggestions)).functions
    assert (after.mistakes, after.passed) == (one.mistakes, ())


def test_functions_that_pytest_would_call_are_run_and_can_catch_everything(tmp_path):
    result = audited(tmp_path, DERIVATIVE, Z, STRONG)
    count = result.functions[0].mistakes
    assert (result.checks, result.functions[0].passed) == (1, ())
    assert [*result.lines()][1:] == [
        "            mistakes  caught  let through",
        f"ReLU_deriv  {count:8}  {count:6}",
    ]


def test_checks_in_a_module_beside_the_notebook_are_run(tmp_path):
    tests = STRONG.replace("test_derivative()", "verify(ReLU_deriv)")
    (tmp_path / "public_tests.py").write_text(f"import numpy as np\n{Z}{tests}")
    result = audited(tmp_path, f"from public_tests import *\n{DERIVATIVE}", "verify(ReLU_deriv)")
    assert (result.checks, result.functions[0].passed) == (1, ())


def test_a_check_that_fails_with_the_reference_is_reported_and_not_used(tmp_path):
    result = audited(tmp_path, DERIVATIVE, Z, "assert ReLU_deriv(Z)[0, 0] == 2, 'must be 2'", STRONG)
    assert result.unused == ("code cell 3, `assert ReLU_deriv(Z)[0, 0] == 2, 'must be 2'`: AssertionError: must be 2",)
    assert (result.checks, result.functions[0].passed) == (1, ())
    assert [*result.lines()][-1].startswith("\nnot used, it fails with the reference too: code cell 3")


MOMENTUM = """
import numpy as np

def update_with_momentum(parameters, gradients, velocities, learning_rate, momentum=0.9):
    raise NotImplementedError
"""
IN_PLACE = """
old = {"W1": np.array([[1.0, 2.0]])}, {"dW1": np.array([[1.0, -3.0]])}, {"W1": np.array([[10.0, 4.0]])}
new = update_with_momentum(*old, 0.1, 0.5)
assert new[0] is old[0] and new[1] is old[2]
"""
CHANGED = """
parameters, speeds = {"W1": np.array([[1.0, 2.0]])}, {"W1": np.array([[10.0, 4.0]])}
update_with_momentum(parameters, {"dW1": np.array([[1.0, -3.0]])}, speeds, 0.1, 0.5)
np.testing.assert_allclose(parameters["W1"], [[0.4, 2.1]])
np.testing.assert_allclose(speeds["W1"], [[6.0, -1.0]])
"""


def test_checks_of_dictionaries_that_a_function_changes_are_used(tmp_path):
    result = audited(tmp_path, MOMENTUM, IN_PLACE, CHANGED)
    (one,) = result.functions
    assert (result.checks, result.unused, one.is_tested) == (3, (), True)
    assert len(one.passed) < one.mistakes / 4


def test_a_function_without_a_check_gets_a_suggestion(tmp_path):
    (one,) = audited(tmp_path, DERIVATIVE, "while True: pass", "print(ReLU_deriv(3))").functions
    assert not one.is_tested
    assert one.suggestions[0].startswith("assert np.isclose(ReLU_deriv(np.sin(range(1, 25)).reshape(4, 6))[")
    assert next(one.lines()) == "ReLU_deriv: no check calls it; suggested"


def test_the_command_prints_a_table_or_json(tmp_path):
    path = tmp_path / "assignment.ipynb"
    path.write_bytes(notebook([DERIVATIVE, Z, WEAK]))
    ran = CliRunner().invoke(command, ["audit", str(path)])
    assert "ReLU_deriv lets " in ran.stdout
    assert "    assert np.isclose(ReLU_deriv(" in ran.stdout
    assert " mistakes pass\n" in ran.stderr
    ran = CliRunner().invoke(command, ["audit", str(path), "--json", "-q"])
    assert json.loads(ran.stdout)["functions"][0]["function"] == "ReLU_deriv"
    assert ran.stderr == ""


@pytest.mark.slow
def test_a_mistake_is_caught_by_the_checks_of_functions_that_call_it(tmp_path):
    functions = "\n".join(["import numpy as np", *(body_of(one, solution()) for one in ("relu", "layer_forward"))])
    check = "H, _ = layer_forward(Z, np.ones((1, 2)), np.zeros((1, 1)), 'relu')\nassert np.allclose(H, [[1.5, 2, 2.5]])"
    relu, layer = audited(tmp_path, functions, Z, check).functions
    assert 0 < len(relu.passed) < relu.mistakes  # no sum is negative
    assert 0 < len(layer.passed) < layer.mistakes
