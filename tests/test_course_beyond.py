"""Mini-batches and momentum, which the assignment lacks: they have an answer key, and their mistakes are named."""

import numpy as np
import pytest

from byhand.course import check_file
from byhand.errors import UsageError
from byhand.nn.optimizers import Momentum
from byhand.reference import beyond

pytestmark = pytest.mark.usefixtures("quick_sandbox")

RIGHT = """
import numpy as np

def mini_batches(X, Y, order, batch_size):
    batches = []
    for k in range(0, X.shape[1], batch_size):
        chosen = order[k:k + batch_size]
        batches.append((X[:, chosen], Y[:, chosen]))
    return batches

def update_with_momentum(parameters, gradients, velocities, learning_rate, momentum=0.9):
    for name in parameters:
        velocities[name] = momentum * velocities[name] + gradients["d" + name]
        parameters[name] = parameters[name] - learning_rate * velocities[name]
    return parameters, velocities
"""
PLANTED = [
    ("mini_batches", "order ignored", ("order[k:k + batch_size]", "np.arange(X.shape[1])[k:k + batch_size]")),
    ("mini_batches", "pictures and labels parted", ("Y[:, chosen]", "Y[:, k:k + batch_size]")),
    ("mini_batches", "last batch left out", ("X.shape[1], batch_size", "X.shape[1] - batch_size + 1, batch_size")),
    ("mini_batches", "nothing returned", ("return batches", "pass")),
    ("update_with_momentum", "old velocity dropped", ("momentum * velocities[name] + ", "")),
    ("update_with_momentum", "old velocity kept whole", ("momentum * velocities[name]", "velocities[name]")),
    ("update_with_momentum", "averaged velocity", ("+ gradients", "+ (1 - momentum) * gradients")),
    ("update_with_momentum", "climbing", ("- learning_rate", "+ learning_rate")),
    ("update_with_momentum", "learning rate left out", ("learning_rate * ", "")),
    (
        "update_with_momentum",
        "learning rate in the velocity",
        ("+ gradients", "+ learning_rate * gradients"),
        ("- learning_rate * ", "- "),
    ),
]


def check(text, tmp_path):
    path = tmp_path / "student.py"
    path.write_text(text, "utf-8")
    return check_file(path)


def test_right_functions_pass_and_updating_in_place_gets_no_remark(tmp_path):
    report = check(RIGHT, tmp_path)
    for name in ("mini_batches", "update_with_momentum"):
        assert (report[name].status, report[name].remarks) == ("right", ())


def test_an_update_that_changes_nothing_in_place_gets_a_remark(tmp_path):
    body = """
    faster = {name: momentum * velocities[name] + gradients["d" + name] for name in velocities}
    return {name: parameters[name] - learning_rate * faster[name] for name in parameters}, faster
"""
    verdict = check(RIGHT.partition("    for name in parameters")[0] + body, tmp_path)["update_with_momentum"]
    words = "does not change parameters and velocities in place: training must use the returned values"
    assert (verdict.status, verdict.remarks) == ("right", (words,))


def test_functions_beyond_the_assignment_are_optional_and_a_blank_is_listed(tmp_path):
    named = {verdict.function for verdict in check("def sigmoid(Z):\n    pass\n", tmp_path).verdicts}
    assert not named & {"mini_batches", "update_with_momentum"}
    blank = check("def mini_batches(X, Y, order, batch_size):\n    raise NotImplementedError\n", tmp_path)
    assert (blank["mini_batches"].status, blank["mini_batches"].reason) == ("missing", "not written yet")


@pytest.mark.parametrize(("function", "mistake", "changes"), [(a, b, c) for a, b, *c in PLANTED])
def test_each_planted_mistake_is_named(function, mistake, changes, tmp_path):
    text = RIGHT
    for right, wrong in changes:
        assert right in text
        text = text.replace(right, wrong)
    verdict = check(text, tmp_path)[function]
    assert (verdict.status, verdict.mistakes) == ("wrong", (mistake,))


@pytest.mark.parametrize("pair", ["'a', 'b'", "X, {}", "X[:, :0], Y"])
def test_a_batch_that_is_not_a_pair_of_arrays_is_wrong(pair, tmp_path):
    verdict = check(f"def mini_batches(X, Y, order, batch_size):\n    return [({pair})]\n", tmp_path)["mini_batches"]
    assert (verdict.status, verdict.evidence) == ("wrong", None)
    assert "_batch must be an array of numbers, got " in verdict.reason


def test_a_batch_with_another_number_of_labels_is_named(tmp_path):
    verdict = check(RIGHT.replace("Y[:, chosen]", "Y[:, chosen[:1]]"), tmp_path)["mini_batches"]
    assert verdict.reason.startswith("X_batch and Y_batch must have one column per sample, got (6, 4)")


def test_every_sample_is_in_one_batch_and_the_last_may_be_smaller():
    rng = np.random.default_rng(0)
    X, Y, order = rng.normal(size=(3, 11)), rng.normal(size=(2, 11)), rng.permutation(11)
    batches = beyond.mini_batches(X, Y, order, 4)
    assert [part.shape for pair in batches for part in pair] == [(3, 4), (2, 4), (3, 4), (2, 4), (3, 3), (2, 3)]
    assert np.array_equal(np.hstack([pair[0] for pair in batches]), X[:, order])
    assert np.array_equal(np.hstack([pair[1] for pair in batches]), Y[:, order])


def test_momentum_of_the_reference_agrees_with_byhand_nn():
    rng = np.random.default_rng(1)
    parameters = {"W1": rng.normal(size=(4, 3)), "b1": rng.normal(size=(4, 1))}
    vector = np.concatenate([parameters["W1"].ravel(), parameters["b1"].ravel()])
    velocities = {name: np.zeros_like(value) for name, value in parameters.items()}
    rule = Momentum(momentum=0.8)
    state = rule.start(vector)
    for _ in range(5):
        gradients = {f"d{name}": rng.normal(size=value.shape) for name, value in parameters.items()}
        gradient = np.concatenate([gradients["dW1"].ravel(), gradients["db1"].ravel()])
        beyond.update_with_momentum(parameters, gradients, velocities, 0.1, 0.8)
        rule.update(vector, gradient, state, 0.1, weight_slice=slice(0, 0))
    assert np.allclose(np.concatenate([parameters["W1"].ravel(), parameters["b1"].ravel()]), vector, rtol=1e-12)


@pytest.mark.parametrize(
    ("X", "labels", "samples", "batch_size", "words"),
    [
        (np.ones(3), 3, 3, 1, "X must have two axes"),
        (np.ones((2, 3)), 4, 3, 1, r"Y must have shape \(1, 3\)"),
        (np.ones((2, 3)), 3, 2, 1, r"order must have shape \(3,\)"),
        (np.ones((2, 3)), 3, 3, 0, "batch_size must be a positive"),
    ],
)
def test_wrong_arguments_of_mini_batches_are_named(X, labels, samples, batch_size, words):
    with pytest.raises(UsageError, match=words):
        beyond.mini_batches(X, np.ones((1, labels)), np.arange(samples), batch_size)


def test_a_missing_velocity_is_named():
    with pytest.raises(UsageError, match="velocities must contain W1, got nothing"):
        beyond.update_with_momentum({"W1": 1}, {"dW1": 1}, {}, 0.1)
