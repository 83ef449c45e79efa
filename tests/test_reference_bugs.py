"""Bugs of docs/bugs.md: for each a check that the reference passes, and that fails with the bug planted."""

import ast
import importlib.util
import inspect
import io
import re
import types
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from byhand.errors import UsageError
from byhand.reference import l_layer, two_layer

ROOT = Path(__file__).parents[1]


def app():
    spec = importlib.util.spec_from_file_location("app", ROOT / "examples" / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planted(page, *changes):
    """Return the reference as a module, with each (right, wrong) replaced in its source."""
    source = inspect.getsource(page)
    for right, wrong in changes:
        assert right in source, f"{right!r} is not in the reference: plant the bug elsewhere"
        source = source.replace(right, wrong)
    module = types.ModuleType(page.__name__)
    module.source = source
    exec(compile(source, page.__name__, "exec"), module.__dict__)
    return module


def quietly(function, *args, **keywords):
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        return function(*args, **keywords)


def problem(*, classes=4, samples=9):
    """Return images (6, m) and integer labels (m,)."""
    rng = np.random.default_rng(11)
    return rng.random((6, samples)), rng.integers(classes, size=samples)


def l_layer_gradients(page, X, labels, *, classes=4, hidden="relu"):
    parameters = page.initialize_parameters([len(X), 5, classes])
    HL, memories = page.L_layer_forward(X, parameters, hidden=hidden)
    return parameters, page.L_layer_backward(HL, page.one_hot(labels, classes=classes), memories, hidden=hidden)


def two_layer_gradients(page, X, labels, *, classes=4):
    W1, b1, W2, b2 = page.init_params(inputs=len(X), hidden=5, classes=classes, rng=np.random.default_rng(0))
    return page.backward_prop(*page.forward_prop(W1, b1, W2, b2, X), W1, W2, X, labels)


def check_l_layer_biases_have_one_derivative_a_unit(page):
    _, gradients = l_layer_gradients(page, *problem())
    assert np.shape(gradients["db2"]) == (4, 1)
    assert np.abs(gradients["db2"]).min() > 1e-6
    assert np.shape(gradients["db1"]) == (5, 1)


def check_two_layer_biases_have_one_derivative_a_unit(page):
    _, db1, _, db2 = two_layer_gradients(page, *problem())
    assert np.shape(db1) == (5, 1)
    assert np.shape(db2) == (4, 1)
    assert np.abs(db2).min() > 1e-6


def check_softmax_does_not_overflow_with_bytes(page):
    Z = np.array([[2000.0, 1500.0], [1999.0, -1500.0]])
    out = quietly(page.softmax, Z)
    H = out[0] if isinstance(out, tuple) else out
    assert np.isfinite(H).all()


def check_training_rejects_bytes(page):
    X, labels = problem()
    try:
        if hasattr(page, "L_layer_model"):
            quietly(page.L_layer_model, X * 255, page.one_hot(labels, classes=4), [6, 4], num_iterations=1)
        else:
            quietly(page.gradient_descent, X * 255, labels, 0.1, 1, classes=4)
        message = "nothing"
    except UsageError as error:
        message = str(error)
    assert "must be pixels from 0 to 1, got bytes" in message


def check_every_sum_names_its_axis(page):
    """Python's `sum` adds along the first axis; `np.sum` without `axis` is only for the loss."""
    source = getattr(page, "source", None) or inspect.getsource(page)
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if getattr(call.func, "id", "") == "sum"]
    out = page.softmax(np.log([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    np.testing.assert_allclose((out[0] if isinstance(out, tuple) else out).sum(axis=0), 1)


def check_loss_falls(page):
    X, labels = problem()
    Y = page.one_hot(labels, classes=4)
    parameters, losses = page.initialize_parameters([6, 5, 4]), []
    for _ in range(200):
        HL, memories = page.L_layer_forward(X, parameters)
        losses.append(page.compute_loss(HL, Y))
        page.update_parameters(parameters, page.L_layer_backward(HL, Y, memories), 0.3)
    assert losses[-1] < losses[0] - 0.1


def check_likelihood_rises(page):
    X, labels = problem()
    P, chances = page.init_params(inputs=6, hidden=5, classes=4, rng=np.random.default_rng(0)), []
    for _ in range(1000):
        forward = page.forward_prop(*P, X)
        chances.append(forward[3][labels, np.arange(len(labels))].mean())
        P = page.update_params(*P, *page.backward_prop(*forward, P[0], P[2], X, labels), 0.3)
    assert chances[-1] > chances[0] + 0.3


def check_a_batch_without_a_nine_has_ten_classes(page):
    assert page.one_hot(np.array([0, 3, 1])).shape == (10, 3)


def check_loss_is_a_number_where_softmax_underflows(page):
    ZL = np.array([[900.0], [0.0], [-900.0]])
    HL, Y = page.softmax(ZL)[0], np.array([[1.0], [0.0], [0.0]])
    assert quietly(page.compute_loss, HL, Y) == 0
    assert quietly(page.compute_loss, HL, Y[::-1], ZL=ZL) == 1800


def check_l_layer_gradients_are_means(page):
    X, labels = problem()
    _, once = l_layer_gradients(page, X, labels)
    _, twice = l_layer_gradients(page, np.hstack([X, X]), np.hstack([labels, labels]))
    for name in ("dW1", "db1", "dW2", "db2"):
        np.testing.assert_allclose(twice[name], once[name], rtol=1e-12)
    assert np.abs(once["db2"]).max() > 1e-3


def check_two_layer_gradients_are_means(page):
    X, labels = problem()
    once = two_layer_gradients(page, X, labels)
    twice = two_layer_gradients(page, np.hstack([X, X]), np.hstack([labels, labels]))
    for first, second in zip(once, twice, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-12)
    assert np.abs(once[3]).max() > 1e-3


def check_l_layer_is_general(page):
    """Compare a derivative with a difference of losses, for three classes and sigmoid units."""
    X, labels = problem(classes=3)
    parameters, gradients = l_layer_gradients(page, X, labels, classes=3, hidden="sigmoid")
    sides = []
    for step in (1e-6, -1e-6):
        moved = {**parameters, "W1": parameters["W1"] + step * np.eye(5, 6)}
        HL, _ = page.L_layer_forward(X, moved, hidden="sigmoid")
        sides.append(page.compute_loss(HL, page.one_hot(labels, classes=3)))
    assert np.trace(gradients["dW1"]) == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5)


def check_two_layer_is_general(page):
    try:
        _, _, dW2, _ = two_layer_gradients(page, *problem(classes=3), classes=3)
    except ValueError as error:
        raise AssertionError(str(error)) from error
    assert dW2.shape == (3, 5)


def check_dev_accuracy_comes_with_its_half_width(page):
    assert page.with_half_width(0.85, 1000) == "85 % ± 2.2 points (95 %, 1,000 images)"


AXIS_1 = "np.sum(dZ, axis=1, keepdims=True)"
MAXIMUM = "np.exp(Z - np.max(Z, axis=0, keepdims=True))"
COLUMN_SUM = "np.sum(E, axis=0, keepdims=True)"

BUGS = {
    "db summed over everything": [
        (check_l_layer_biases_have_one_derivative_a_unit, l_layer, (AXIS_1, "np.sum(dZ)")),
        (
            check_two_layer_biases_have_one_derivative_a_unit,
            two_layer,
            ("np.sum(dZ2, axis=1, keepdims=True)", "np.sum(dZ2)"),
        ),
        (
            check_two_layer_biases_have_one_derivative_a_unit,
            two_layer,
            ("np.sum(dZ2, axis=1, keepdims=True)", "np.sum(dZ2) * np.ones((K, 1))"),
        ),
    ],
    "softmax without the maximum": [
        (check_softmax_does_not_overflow_with_bytes, l_layer, (MAXIMUM, "np.exp(Z)")),
        (check_softmax_does_not_overflow_with_bytes, two_layer, (MAXIMUM, "np.exp(Z)")),
        (check_training_rejects_bytes, l_layer, ('require_pixels("X", X)', "pass")),
        (check_training_rejects_bytes, two_layer, ('require_pixels("X", X)', "pass")),
    ],
    "Python's sum over an array": [
        (check_every_sum_names_its_axis, l_layer, (COLUMN_SUM, "sum(E)")),
        (check_every_sum_names_its_axis, two_layer, (COLUMN_SUM, "sum(E)")),
        (check_every_sum_names_its_axis, l_layer, (COLUMN_SUM, "np.sum(E, axis=1, keepdims=True)")),
        (check_every_sum_names_its_axis, two_layer, (COLUMN_SUM, "np.sum(E)")),
    ],
    "the old weight dropped in the update": [
        (check_loss_falls, l_layer, ("value - learning_rate *", "learning_rate *")),
        (check_likelihood_rises, two_layer, ("W2 - alpha * dW2", "alpha * dW2")),
    ],
    "one_hot sized by the largest label": [
        (
            check_a_batch_without_a_nine_has_ten_classes,
            l_layer,
            ("np.zeros((classes, len(j)))", "np.zeros((np.max(j) + 1, len(j)))"),
        ),
        (check_a_batch_without_a_nine_has_ten_classes, two_layer, ("np.arange(classes)", "np.arange(np.max(Y) + 1)")),
    ],
    "Y * log(HL) where HL is 0": [
        (
            check_loss_is_a_number_where_softmax_underflows,
            l_layer,
            ("np.log(H, out=np.full(H.shape, -np.inf), where=np.asarray(H) > 0)", "np.log(H)"),
            ("np.multiply(Y, log_HL, out=np.zeros(np.shape(Y)), where=np.asarray(Y) != 0)", "np.multiply(Y, log_HL)"),
        ),
        (check_loss_is_a_number_where_softmax_underflows, l_layer, ("log_softmax(ZL)", "log(HL)")),
    ],
    "divided by all 42,000": [
        (check_l_layer_gradients_are_means, l_layer, ("m = H_prev.shape[1]", "m = 42_000")),
        (check_l_layer_gradients_are_means, l_layer, ("L, m = len(memories), HL.shape[1]", "L, m = 2, 42_000")),
        (check_two_layer_gradients_are_means, two_layer, ("keepdims=True) / m", "keepdims=True) / 42_000")),
    ],
    "ten classes and relu, hard-wired": [
        (check_l_layer_is_general, l_layer, ("memories[l - 1], hidden)", "memories[l - 1])")),
        (check_l_layer_is_general, l_layer, ('parameters[f"b{l}"], hidden)', 'parameters[f"b{l}"])')),
        (check_two_layer_is_general, two_layer, ("one_hot(Y, classes=K)", "one_hot(Y)")),
    ],
    "a tenth of a percent from a dev set of 1,000": [
        (check_dev_accuracy_comes_with_its_half_width, "app", ("± {half:.1f} points ", "")),
        (check_dev_accuracy_comes_with_its_half_width, "app", ("{100 * accuracy:.0f} %", "{100 * accuracy:.1f} %")),
    ],
}  # fmt: skip

CASES = [
    pytest.param(check, page, changes, id=f"{bug}-{number}")
    for bug, plantings in BUGS.items()
    for number, (check, page, *changes) in enumerate(plantings, 1)
]


@pytest.mark.parametrize(("check", "page", "changes"), CASES)
def test_each_check_passes_without_its_bug_and_fails_with_it(check, page, changes):
    page = app() if page == "app" else page
    check(page)
    with pytest.raises(AssertionError):
        quietly(check, planted(page, *changes))


def test_docs_bugs_lists_every_planted_bug():
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "bugs.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(BUGS)
