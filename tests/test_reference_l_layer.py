"""The L-layer reference: published values digit for digit, equations, rejected arguments, and the worked run."""

import gzip
import inspect

import numpy as np
import pytest

from byhand.errors import DivergedError, UsageError
from byhand.reference import beyond, l_layer, rules, two_layer
from byhand.reference.l_layer import (
    L_layer_backward,
    L_layer_forward,
    L_layer_model,
    compute_loss,
    initialize_parameters,
    layer_backward,
    layer_forward,
    one_hot,
    predict,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    update_parameters,
)
from helpers.needs import full_mnist_folder, needs

# The assignment's example of a layer: two inputs, three units, five samples.
H_PREV = np.array([[1, 0, 5, 10, 2], [2, 5, 3, 10, 2]])
W = np.array([[10, 5], [2, 0], [1, 0]])
B = np.array([10, 5, 0]).reshape((3, 1))

# Confirmed by tests/long/reference.py, which shares no code with the reference.
WORKED_RUN = [2.422624, 2.129232, 1.876095, 1.604213, 1.350205]


def shown(array, digits=8):
    """Return the array as NumPy prints it, as the values were published."""
    return np.array2string(np.asarray(array), precision=digits, floatmode="maxprec")


def test_softmax_gives_the_published_values():
    H, memory = softmax(np.array([[11, 19, 10], [12, 21, 23]]))
    published = [[0.268941421, 0.119202922, 2.26032430e-06], [0.731058579, 0.880797078, 0.99999774]]
    np.testing.assert_allclose(H, published, rtol=2e-9)
    np.testing.assert_array_equal(memory, [[11, 19, 10], [12, 21, 23]])


def test_layer_forward_gives_the_published_values():
    H, _ = layer_forward(H_PREV, W, B, activation="sigmoid")
    assert shown(H[1]) == "[0.99908895 0.99330715 0.99999969 1.         0.99987661]"
    assert shown(H[2]) == "[0.73105858 0.5        0.99330715 0.9999546  0.88079708]"


def test_layer_backward_gives_the_published_values():
    _, memory = layer_forward(H_PREV, W, B, activation="relu")
    dH = np.random.RandomState(2).rand(3, 5)
    dH_prev, dW, db = layer_backward(dH, memory, activation="relu")
    assert shown(dW) == "[[1.67565336 1.56891359]\n [1.39137819 1.4143854 ]\n [1.3597389  1.43013369]]"
    assert shown(db) == "[[0.37345476]\n [0.34414727]\n [0.29074635]]"
    assert dH_prev.shape == (2, 5)


def test_compute_loss_gives_the_published_value():
    HL = np.random.RandomState(2).rand(10, 5)
    assert compute_loss(HL, one_hot(np.array([3, 5, 3, 6, 1]))) == pytest.approx(0.89646002613340, abs=1e-12)


def test_sigmoid_is_one_over_one_plus_e_to_the_minus_Z():
    H, memory = sigmoid(np.array([[0.0, np.log(3)], [-np.log(3), 0.0]]))  # 1/(1+1/3) = 3/4, 1/(1+3) = 1/4
    np.testing.assert_allclose(H, [[0.5, 0.75], [0.25, 0.5]], rtol=1e-15)
    np.testing.assert_array_equal(memory, [[0.0, np.log(3)], [-np.log(3), 0.0]])


def test_relu_is_the_larger_of_0_and_Z():
    Z = np.array([[1, 3], [-1, -4], [0, 7]])
    H, memory = relu(Z)
    np.testing.assert_array_equal(H, [[1, 3], [0, 0], [0, 7]])
    assert memory is Z


def test_softmax_normalizes_each_column():
    H, _ = softmax(np.log([[1.0, 2.0], [1.0, 6.0], [2.0, 2.0]]))
    np.testing.assert_allclose(H, [[0.25, 0.2], [0.25, 0.6], [0.5, 0.2]], rtol=1e-15)


@pytest.mark.parametrize("activation", [sigmoid, softmax])
@pytest.mark.parametrize("height", [1e4, 710.0, -1e4])
def test_activations_are_finite_for_extreme_inputs(activation, height):
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        H, _ = activation(np.array([[height, 0.0], [-height, 1.0], [0.0, height]]))
    assert np.isfinite(H).all()


def test_initialize_parameters_draws_a_tenth_of_randn_in_order():
    parameters = initialize_parameters([3, 2, 4])
    stream = np.random.RandomState(2)
    np.testing.assert_array_equal(parameters["W1"], stream.randn(2, 3) * 0.1)
    np.testing.assert_array_equal(parameters["W2"], stream.randn(4, 2) * 0.1)
    np.testing.assert_array_equal(parameters["b1"], np.zeros((2, 1)))
    np.testing.assert_array_equal(parameters["b2"], np.zeros((4, 1)))


def test_initialize_parameters_leaves_the_global_generator_unchanged():
    before = np.random.get_state()[1].tobytes()
    initialize_parameters([3, 2, 4])
    assert np.random.get_state()[1].tobytes() == before


def test_initialize_parameters_accepts_a_generator():
    first = initialize_parameters([3, 2], rng=np.random.default_rng(0))
    again = initialize_parameters([3, 2], rng=np.random.default_rng(0))
    np.testing.assert_array_equal(first["W1"], again["W1"])
    assert (first["W1"] != initialize_parameters([3, 2])["W1"]).all()


def test_layer_forward_returns_inputs_and_sum_as_memory():
    H_prev, b = np.array([[1.0, 2.0]]), np.array([[1.0], [-3.0]])
    weights = np.array([[2.0], [1.0]])
    H, ((first, second, third), Z) = layer_forward(H_prev, weights, b)
    np.testing.assert_array_equal(Z, [[3, 5], [-2, -1]])  # 2·1+1, 2·2+1; 1·1−3, 1·2−3
    np.testing.assert_array_equal(H, [[3, 5], [0, 0]])
    assert first is H_prev and second is weights and third is b  # noqa: PT018


def test_compute_loss_of_uniform_probabilities_is_ln_10():
    assert compute_loss(np.full((10, 4), 0.1), one_hot(np.array([0, 3, 9, 9]))) == pytest.approx(2.302585, abs=5e-7)


def test_compute_loss_is_the_same_from_the_logits():
    ZL = np.random.default_rng(0).normal(size=(4, 6)) * 3
    Y = one_hot(np.array([0, 1, 2, 3, 0, 1]), classes=4)
    assert compute_loss(softmax(ZL)[0], Y, ZL=ZL) == pytest.approx(compute_loss(softmax(ZL)[0], Y), rel=1e-13)


def test_compute_loss_from_logits_is_finite_where_softmax_underflows():
    ZL = np.array([[1e4], [-1e4]])
    HL, Y = softmax(ZL)[0], np.array([[0.0], [1.0]])
    assert compute_loss(HL, Y) == np.inf
    assert compute_loss(HL, Y, ZL=ZL) == 2e4


def test_compute_loss_sums_in_float64_for_any_input():
    HL = softmax(np.random.default_rng(0).normal(size=(10, 1000)))[0]
    Y, ZL = one_hot(np.arange(1000) % 10), np.log(HL)
    exact = compute_loss(HL, Y, ZL=ZL.astype(np.float32).astype(float))
    assert compute_loss(HL, Y.astype(np.float32), ZL=ZL.astype(np.float32)) == pytest.approx(exact, rel=1e-7)
    assert compute_loss(HL, np.asfortranarray(Y)) == compute_loss(HL, Y)
    assert compute_loss(HL, Y.astype(bool)) == compute_loss(HL, Y)


def test_sigmoid_backward_is_dH_times_H_times_one_minus_H():
    dZ = sigmoid_backward(np.array([[4.0, 16.0]]), np.array([[0.0, np.log(3)]]))
    np.testing.assert_allclose(dZ, [[1.0, 3.0]], rtol=1e-15)  # 4·½·½, 16·¾·¼


def test_relu_backward_is_dH_where_Z_is_positive():
    dH = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(relu_backward(dH, np.array([[-1.0, 0.0, 0.5]])), [[0, 0, 3]])
    np.testing.assert_array_equal(dH, [[1, 2, 3]])


def test_layer_backward_by_hand():
    # One unit, two inputs, two samples; Z = 1·1 + 2·2 + 0 = 5 and 1·3 + 2·4 = 11, both on.
    memory = layer_forward(np.array([[1.0, 3.0], [2.0, 4.0]]), np.array([[1.0, 2.0]]), np.array([[0.0]]))[1]
    dH_prev, dW, db = layer_backward(np.array([[10.0, 20.0]]), memory)
    np.testing.assert_array_equal(dW, [[(10 * 1 + 20 * 3) / 2, (10 * 2 + 20 * 4) / 2]])
    np.testing.assert_array_equal(db, [[(10 + 20) / 2]])
    np.testing.assert_array_equal(dH_prev, [[10, 20], [20, 40]])


@pytest.mark.parametrize("hidden", ["relu", "sigmoid"])
@pytest.mark.parametrize("dimensions", [[4, 3], [5, 4, 3], [6, 5, 4, 2], [3, 4, 5, 4, 11]])
def test_L_layer_backward_agrees_with_finite_differences(hidden, dimensions):
    rng = np.random.default_rng(len(dimensions))
    X = rng.random((dimensions[0], 7))
    Y = one_hot(rng.integers(dimensions[-1], size=7), classes=dimensions[-1])
    parameters = {
        name: value + rng.normal(size=value.shape) for name, value in initialize_parameters(dimensions).items()
    }
    HL, memories = L_layer_forward(X, parameters, hidden=hidden)
    gradients = L_layer_backward(HL, Y, memories, hidden=hidden)
    for name, value in parameters.items():
        assert gradients[f"d{name}"].shape == value.shape
        np.testing.assert_allclose(
            gradients[f"d{name}"], differences(X, Y, parameters, name, hidden), rtol=1e-6, atol=1e-8
        )
    assert sorted(gradients) == sorted(
        [f"d{name}" for name in parameters] + [f"dH{layer}" for layer in range(len(dimensions) - 1)]
    )


def differences(X, Y, parameters, name, hidden):
    """Return (loss(p + h) − loss(p − h)) / 2h for each element p of one parameter."""
    h = 1e-6
    slopes = np.zeros(parameters[name].shape)
    for where in np.ndindex(*slopes.shape):
        sides = []
        for step in (h, -h):
            moved = {key: value.copy() for key, value in parameters.items()}
            moved[name][where] += step
            sides.append(compute_loss(L_layer_forward(X, moved, hidden=hidden)[0], Y))
        slopes[where] = (sides[0] - sides[1]) / (2 * h)
    return slopes


def test_update_parameters_steps_down_the_gradient_in_place():
    parameters = {"W1": np.array([[1.0, 2.0]]), "b1": np.array([[0.5]])}
    before = parameters["W1"]
    gradients = {"dW1": np.array([[10.0, -10.0]]), "db1": np.array([[1.0]]), "dH0": np.zeros((2, 1))}
    assert update_parameters(parameters, gradients, 0.1) is parameters
    np.testing.assert_array_equal(parameters["W1"], [[0.0, 3.0]])
    np.testing.assert_array_equal(parameters["b1"], [[0.4]])
    np.testing.assert_array_equal(before, [[1.0, 2.0]])  # the old array may still be in a memory


def test_one_hot_puts_a_one_in_the_row_of_the_label():
    np.testing.assert_array_equal(one_hot(np.array([1, 0, 1]), classes=3), [[0, 1, 0], [1, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(one_hot(np.arange(10)), np.eye(10))


def test_predict_prints_the_accuracy(capsys):
    parameters = {"W1": np.eye(2), "b1": np.zeros((2, 1))}
    X = np.array([[0.9, 0.1, 0.6, 0.2], [0.1, 0.9, 0.4, 0.8]])
    predictions = predict(X, one_hot(np.array([0, 1, 1, 1]), classes=2), parameters)
    np.testing.assert_array_equal(predictions, [0, 1, 0, 1])
    assert capsys.readouterr().out == "Accuracy: 0.75\n"


def test_a_star_import_gives_exactly_the_names_of_the_assignment():
    names = {}
    exec("from byhand.reference.l_layer import *", names)
    assert set(names) - {"__builtins__"} == set(l_layer.__all__)
    assert len(l_layer.__all__) == 17


def ones(*shape):
    return np.ones(shape)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: initialize_parameters([784]), r"dimensions must be two or more positive integers, got \[784\]"),
        (lambda: initialize_parameters([784, 0, 10]), r"positive integers, got \[784, 0, 10\]"),
        (lambda: initialize_parameters([784, 4.5, 10]), r"positive integers, got \[784, 4\.5, 10\]"),
        (
            lambda: layer_forward(H_PREV.T, W, B),
            r"H_prev must have shape \(2, 2\), one row for each column of W, got \(5, 2\)",
        ),
        (
            lambda: layer_forward(H_PREV, W, B[:, 0]),
            r"b must have shape \(3, 1\), one row for each row of W, got \(3,\)",
        ),
        (lambda: layer_forward(H_PREV, W, B, "tanh"), "activation must be one of relu, sigmoid, softmax, got 'tanh'"),
        (lambda: layer_forward(H_PREV[0], W, B), r"H_prev must have two axes, one sample per column, got shape \(5,\)"),
        (lambda: layer_forward(H_PREV, W[0], B), r"W must have two axes, one sample per column, got shape \(2,\)"),
        (
            lambda: predict(np.full((4, 5), 0.5), np.eye(2, 5), initialize_parameters([4, 3])),
            r"y must have shape \(3, 5\), one row per class, one column per sample, got \(2, 5\)",
        ),
        (
            lambda: beyond.update_with_momentum({"W1": W}, {"dW1": W}, {}, 0.1),
            "velocities must contain W1, got nothing",
        ),
        (lambda: L_layer_forward(H_PREV, {}, hidden="tanh"), "hidden must be one of relu, sigmoid, got 'tanh'"),
        (lambda: L_layer_forward(H_PREV, {}), "parameters must contain W1, got nothing"),
        (lambda: compute_loss(ones(3, 2), np.array([0, 1])), r"Y must have shape \(3, 2\), as HL: use one_hot"),
        (lambda: sigmoid_backward(ones(3, 2), ones(3, 1)), r"dH must have shape \(3, 1\), as the Z in the memory"),
        (lambda: relu_backward(ones(3, 2), ones(2, 3)), r"dH must have shape \(2, 3\), as the Z in the memory"),
        (lambda: layer_backward(ones(3, 5), layer_forward(H_PREV, W, B)[1], "softmax"), "must be one of relu, sigmoid"),
        (lambda: L_layer_backward(ones(3, 2), np.array([0, 1]), []), r"Y must have shape \(3, 2\), as HL: use one_hot"),
        (lambda: update_parameters({"W1": W}, {"dW1": W.T}, 0.1), r"dW1 must have shape \(3, 2\), as W1, got \(2, 3\)"),
        (lambda: update_parameters({"W1": W}, {}, 0.1), "gradients must contain dW1, got nothing"),
        (lambda: one_hot(np.array([3, 11])), "j must be integers from 0 to 9, got 11"),
        (lambda: one_hot(np.array([0.5])), r"j must be integers from 0 to 9, got 0\.5"),
        (lambda: one_hot(np.eye(10)), r"j must be a vector of labels, shape \(m,\), got shape \(10, 10\)"),
        (lambda: L_layer_model(ones(3, 2), ones(2, 2), [4, 2]), r"X must have shape \(4, 2\), dimensions\[0\] rows"),
        (lambda: L_layer_model(ones(4, 2), ones(3, 2), [4, 2]), r"Y must have shape \(2, 2\), dimensions\[-1\] rows"),
        (lambda: L_layer_model(ones(4, 0), ones(2, 0), [4, 2]), r"X must have at least one sample, got shape \(4, 0\)"),
        (lambda: L_layer_model(np.full((4, 2), np.nan), ones(2, 2), [4, 2]), "X must be finite numbers, got nan"),
        (lambda: rules.require_pixels("X", np.array([[0.5, np.inf]])), "X must be finite numbers, got inf"),
        (lambda: rules.require_pixels("X", np.array([[0.5, -np.inf]])), "X must be finite numbers, got -inf"),
        (
            lambda: rules.require_pixels("X", np.array([[0.0, 1.01]])),
            r"pixels from 0 to 1, got bytes from 0\.0 to 1\.01",
        ),
        (lambda: rules.require_dimensions([3]), r"dimensions must be two or more positive integers, got \[3\]"),
        (lambda: rules.require_dimensions([3, 0]), r"dimensions must be two or more positive integers, got \[3, 0\]"),
        (lambda: rules.require_labels("j", [0, 3], 3), "j must be integers from 0 to 2, got 3"),
        (lambda: rules.require_labels("j", [0, -1], 3), "j must be integers from 0 to 2, got -1"),
        (lambda: rules.require_names("g", {"a": 1}, "ab"), "g must contain b, got a"),
        (
            lambda: beyond.mini_batches(ones(4, 5), ones(3, 4), np.arange(5), 2),
            r"Y must have shape \(3, 5\), one column for each column of X, got \(3, 4\)",
        ),
        (lambda: beyond.mini_batches(ones(4, 5), ones(3, 5), np.arange(4), 2), r"order must have shape \(5,\), each"),
        (
            lambda: beyond.mini_batches(ones(4, 5), ones(3, 5), np.arange(5), 0),
            "batch_size must be a positive integer, got 0",
        ),
        (
            lambda: L_layer_model(np.full((4, 2), 0.5), ones(2, 2), [4, 2], -1),
            "learning_rate must be a positive number, got -1",
        ),
        (
            lambda: L_layer_model(np.full((4, 2), 0.5), ones(2, 2), [4, 2], 1, -1),
            "num_iterations must be an integer of at least 0, got -1",
        ),
    ],
)
def test_invalid_arguments_are_rejected_with_name_rule_and_value(call, words):
    with pytest.raises(UsageError, match=words):
        call()


@pytest.mark.parametrize(
    "X", [np.full((4, 3), 255.0), 255 * np.eye(4, 3), np.eye(4, 3, dtype=np.uint8), np.full((4, 3), 200)]
)
def test_bytes_are_rejected_in_place_of_fractions(X):
    Y = np.eye(3)
    with pytest.raises(UsageError, match=r"X must be pixels from 0 to 1, got bytes from \d+(\.0)? to \d+.*divide"):
        L_layer_model(X, Y, [4, 3], num_iterations=1)
    with pytest.raises(UsageError, match="X must be pixels from 0 to 1"):
        predict(X, Y, initialize_parameters([4, 3]))


def test_arguments_at_the_limits_are_accepted():
    for X in (np.array([[0.0, 1.0]]), np.array([[-0.1, 300.0]]), np.array([[0.0]])):
        assert rules.require_pixels("X", X) is None
    assert rules.require_dimensions([1, 1]) is None
    assert rules.require_labels("j", [0, 2], 3) is None
    batches = beyond.mini_batches(np.arange(10).reshape(2, 5), np.arange(5)[None], np.array([4, 3, 2, 1, 0]), 2)
    assert [Y.tolist() for _, Y in batches] == [[[4, 3]], [[2, 1]], [[0]]]
    assert batches[2][0].tolist() == [[0], [5]]


def test_the_defaults_are_those_of_the_assignment():
    parameters = inspect.signature(L_layer_model).parameters
    defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    assert defaults == {
        "learning_rate": 0.0075, "num_iterations": 3000, "print_loss": False, "hidden": "relu", "rng": None,
        "picture": None,
    }  # fmt: skip


def test_the_bundled_images_are_split_in_six_parts():
    (X, y), (X_validation, y_validation), (X_test, y_test) = l_layer.load_data(sample=True)
    assert (X.shape, X.dtype, y.shape) == ((3333, 784), np.float32, (3333,))
    assert (X_validation.shape, y_validation.shape, X_test.shape) == ((667, 784), (667,), (1000, 784))
    assert X.max() == X_test.max() == np.float32(255 / 256)
    assert len(y_test) == 1000
    assert l_layer.data_wrapper(sample=True)[1].shape == (10, len(y))


def test_standardized_inputs_are_accepted():
    L_layer_model(np.random.default_rng(0).normal(size=(4, 3)) * 5, np.eye(3), [4, 3], num_iterations=1)


RULES = [
    *(
        (page, name, name)
        for page in (l_layer, beyond, two_layer)
        for name in page.__all__
        if hasattr(rules, name) and (page, name) != (two_layer, "one_hot")
    ),
    (two_layer, "one_hot", "one_hot_of_Y"),
]


@pytest.mark.parametrize(("page", "name", "rule"), RULES)
def test_a_checked_function_keeps_its_name_parameters_and_source(page, name, rule):
    function, rule = getattr(page, name), getattr(rules, rule)
    shape_of = [
        [
            (parameter.name, parameter.kind, parameter.default)
            for parameter in inspect.signature(one).parameters.values()
        ]
        for one in (function, rule)
    ]
    assert shape_of[0] == shape_of[1]
    assert (function.__name__, function.__module__) == (name, page.__name__)
    assert inspect.getdoc(function).splitlines()[0] in inspect.getsource(function)
    with pytest.raises(TypeError, match=rf"^{name}\(\) missing"):
        function()


def test_every_rule_has_its_function():
    own = {name for name, one in vars(rules).items() if inspect.isfunction(one) and one.__module__ == rules.__name__}
    assert {name for name in own if not name.startswith("require_")} - {"checked"} == {rule for _, _, rule in RULES}


def blobs(classes=3, samples=60):
    """Return points around `classes` centers in the unit square, one per column."""
    rng = np.random.default_rng(5)
    labels = rng.integers(classes, size=samples)
    centers = rng.random((6, classes))
    return np.clip(centers[:, labels] + 0.05 * rng.normal(size=(6, samples)), 0, 1), one_hot(labels, classes=classes)


@pytest.mark.parametrize("hidden", ["relu", "sigmoid"])
def test_L_layer_model_learns_and_prints_every_hundredth_loss(capsys, hidden, tmp_path):
    X, Y = blobs()
    settings = {"hidden": hidden, "rng": np.random.default_rng(0), "picture": tmp_path / "loss.png"}
    parameters = L_layer_model(X, Y, [6, 8, 3], 0.5, 301, True, **settings)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(": ")[0] for line in lines] == [f"Loss after iteration {i}" for i in (0, 100, 200, 300)]
    losses = [float(line.rsplit(": ")[1]) for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert (predict(X, Y, parameters, hidden=hidden) == np.argmax(Y, axis=0)).mean() > 0.9
    needs("matplotlib")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_L_layer_model_works_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    parameters = L_layer_model(*blobs(), [6, 3], num_iterations=1)
    assert sorted(parameters) == ["W1", "b1"]
    assert capsys.readouterr().out == ""


def test_L_layer_model_reports_where_it_diverged():
    message = r"loss became nan at iteration 100: learning_rate 1e\+200 is too large"
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=message):
        L_layer_model(*blobs(), [6, 8, 3], 1e200, 300)


def mnist_file(name):
    return np.frombuffer(gzip.decompress((full_mnist_folder() / name).read_bytes()), np.uint8)


@pytest.mark.full_mnist
def test_the_worked_run_starts_with_the_published_losses(capsys):
    """The whole run is in tests/long/reference.py, the start by the command line in test_training.py."""

    X = mnist_file("train-images-idx3-ubyte.gz")[16:].reshape(-1, 784)[:5000].astype(np.float32) / 256
    Y = one_hot(mnist_file("train-labels-idx1-ubyte.gz")[8:][:5000])
    L_layer_model(X.T, Y, [784, 45, 10], num_iterations=201, print_loss=True)
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"Loss after iteration {100 * i}: {loss:f}" for i, loss in enumerate(WORKED_RUN[:3])]
