"""One training step: every number that is shown is recomputed by other code (`recompute`), in float64."""

import html
import re

import numpy as np
import pytest

import byhand
from byhand.data import Dataset, Sample
from byhand.errors import DivergedError, UsageError
from byhand.explain import explain_step
from byhand.explain.document import Figure, Grid, Sum, grid, numeral
from byhand.explain.terminal import two_cells
from byhand.explain.trace import sum_of
from byhand.model.preparation import Preparation
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.network import Network
from byhand.nn.optimizers import OPTIMIZERS
from byhand.nn.schedules import Constant
from byhand.training import Recipe, Trainer
from helpers.recomputed_step import recompute

SIZES = {1: [12, 3], 2: [12, 6, 3], 3: [12, 6, 5, 3], 4: [12, 6, 5, 4, 3]}
RATE = 0.05


def pictures(count, seed=0, shape=(3, 4)):
    rng = np.random.default_rng(seed)
    return Dataset(
        rng.integers(0, 256, (count, *shape)).astype(np.uint8), rng.integers(0, 3, count), classes=("a", "b", "c")
    )


def model_of(layers, dtype=np.float64, seed=1, **settings):
    preparation = settings.pop("preparation", Preparation.standard())
    model = byhand.Model(layers, seed=seed, preparation=preparation, classes=("a", "b", "c"), dtype=dtype, **settings)
    for name, view in model.network.named():
        if name.endswith(("b", "beta")):  # biases of 0 would hide a missing bias
            view[...] = np.random.default_rng(seed).normal(0, 0.3, view.shape)
    return model


def independent(model, data, explanation, **settings):
    """Recompute the step from the parameters and the bytes."""
    views = [*model.network.named(), *model.network.named_statistics()]
    parameters = {name: view.astype(np.float64) for name, view in views}
    p = model.preparation
    X = (data.images.reshape(len(data), -1) / p.divisor - p.mean) / p.deviation
    masks = [explanation[f"M{k}"] for k in range(9) if f"M{k}" in names(explanation)]
    config, settings = model.network.config(), {"rate": RATE, "masks": masks, **settings}
    right = recompute(config, parameters, X, data.labels, **settings)
    right["again"] = recompute(config, right["new"], X, data.labels, **settings)
    return right


def names(explanation):
    return {figure.symbol for step in explanation.walk() for figure in step.figures}


def number(text):
    return float(text.replace("−", "-").replace(",", "").strip("()"))


def agrees(shown, right, slack=0.0):
    """Return True if a number as written is the right one, to the digits written."""
    digits = shown.replace("−", "").replace(",", "").strip("()")
    mantissa, _, power = digits.partition("e")
    decimals = len(mantissa.partition(".")[2])
    half = 0.5 * 10.0 ** (int(power or 0) - decimals)
    return abs(number(shown) - right) <= half * 1.001 + slack


def check_figures(explanation, right, eps):
    """Compare every shown array with the recomputed one; return their number."""
    text, count = explanation.text(400), 0
    for figure in (figure for step in explanation.walk() for figure in step.figures):
        if figure.symbol not in ("picture", "upright"):
            array = right[figure.symbol]
            slack = eps * max(1.0, float(np.abs(array).max()))
            np.testing.assert_allclose(figure.array, array, rtol=0, atol=slack, err_msg=figure.symbol)
            assert figure.caption in text
            count += 1
    return count


def check_units(explanation, right, eps):
    """Compare the numbers of every unit with the recomputed arrays; return their number."""
    count = 0
    last = max(int(name[1:]) for name in right if re.fullmatch(r"W\d", name))
    for unit in explanation.units:
        for item in (item for items in unit.arithmetic.values() for item in items):
            symbol, index = re.match(r"(\w+)\[(.+?)\]", item.symbol if isinstance(item, Sum) else item).groups()
            place = tuple(int(i) for i in index.split(", "))
            place = place if symbol.startswith(("W", "b", "dW", "db")) else (0, *place)
            value = right[symbol][place]
            slack = eps * max(1.0, abs(value)) * 10
            if isinstance(item, Sum):
                assert item.total == pytest.approx(value, abs=slack), symbol
                assert item.products.sum() + (item.bias or 0) == pytest.approx(value, abs=slack), symbol
                count += len(item.products)
                continue
            if symbol[0] in "Wb":
                value = right["new"][new_name(right, symbol)][place]
            elif "→" in item:
                value = right["again"][symbol][place]
            assert agrees(re.split(" = | → ", item)[-1], value, slack * 10), item
            count += 1
        terms_are_the_largest(unit, right, last)
        the_gradient_comes_from_above(unit, right)
        if "largest gradient" in unit.arithmetic:
            column = unit.unit % right[f"b{unit.layer}"].size
            heaviest = int(np.abs(right[f"dW{unit.layer}"][:, column]).argmax())
            assert unit.arithmetic["largest gradient"][0].symbol == f"dW{unit.layer}[{heaviest}, {column}]"
    return count


def the_gradient_comes_from_above(unit, right):
    """Check each term of the upstream gradient: the gradient of a unit of the next layer times its weight."""
    gradient = unit.arithmetic["upstream gradient"][0]
    if not isinstance(gradient, Sum):  # the last layer: it comes from the loss
        return
    assert gradient.total == pytest.approx(gradient.products.sum(), rel=1e-3, abs=1e-6)
    if f"P{unit.layer + 1}" not in right:
        products = right[f"dZ{unit.layer + 1}"][0] * right[f"W{unit.layer + 1}"][unit.unit]
        np.testing.assert_allclose(gradient.products, products, rtol=1e-3, atol=1e-6)
        assert gradient.total == pytest.approx(products.sum(), rel=1e-3, abs=1e-6)


def check_outcome(explanation, right, eps):
    """Check the lines of the loss and of the update: probabilities, costs, and the effect of the step."""
    text = explanation.text(400)
    N, label = len(explanation.labels), int(explanation.labels[0])
    name = explanation.classes[label]
    parts = re.search(r"loss = (.+) = (\S+)\n", text)
    costs = -np.log(right["P"][np.arange(N), explanation.labels])
    shown = [number(p) for p in re.findall(r"−log (\S+?)(?:\)| |$)", parts[1])]
    np.testing.assert_allclose(-np.log(shown), costs[: len(shown)], rtol=2e-3)
    if N > 4:
        more, rest = re.search(r"… \((\d+) more: (\S+)\)", parts[1]).groups()
        assert int(more) == N - 4
        assert agrees(rest, costs[4:].sum(), eps * N)
        assert parts[1].endswith(f"/ {N}")
    assert agrees(parts[2], costs.mean(), eps)
    before, after = re.search(r"loss: (\S+) → (\S+)", text).groups()
    assert agrees(before, right["loss"], eps)
    assert agrees(after, right["again"]["loss"], eps * 10)
    before, after = re.search(rf"P\[{name}\]: (\S+) → (\S+)", text).groups()
    assert agrees(before, right["P"][0, label], eps)
    assert agrees(after, right["again"]["P"][0, label], eps * 10)
    np.testing.assert_allclose(explanation.afterwards, right["again"]["P"], rtol=1e-3, atol=eps)


def new_name(right, symbol):
    """Return the parameter's name for a symbol (W2 → "2.W"), which counts layers of every kind."""
    own, which = symbol[0], int(symbol[1:])
    of_kind = sorted(
        (name for name in right["new"] if name.endswith(f".{own}")), key=lambda name: int(name.split(".")[0])
    )
    return of_kind[which - 1]


def terms_are_the_largest(unit, right, last):
    """Check that the terms of the sum are x·w of the recomputed arrays, all nonzero ones, sorted by size."""
    x = right[unit_source(unit, right)][0]
    w = right[f"W{unit.layer}"][:, unit.unit % right[f"W{unit.layer}"].shape[1]]
    if f"P{unit.layer}" in right:  # a convolution: the window at the unit's position
        x = right[f"P{unit.layer}"].reshape(len(right["X"]), -1, len(w))[0, unit.unit // right[f"b{unit.layer}"].size]
    order = unit.arithmetic["weighted sum"][0].order
    assert sorted(order) == list(np.flatnonzero(np.abs(x * w) > 1e-300)) or len(order) >= np.count_nonzero(x * w) - 1
    np.testing.assert_allclose(unit.arithmetic["weighted sum"][0].products[order], (x * w)[order], rtol=1e-4, atol=1e-6)
    assert np.all(np.diff(np.abs(unit.arithmetic["weighted sum"][0].products[order])) <= 0)
    assert unit.layer <= last


def unit_source(unit, right):
    """Return the name of a dense layer's input: the last array before its Z."""
    before = [name for name in right if re.fullmatch(r"[XHBDZ]\d?", name)]
    return before[before.index(f"Z{unit.layer}") - 1]


CASES = [(3, activation, np.float64) for activation in ACTIVATIONS] + [(1, "tanh", np.float64), (4, "tanh", np.float64)]


@pytest.mark.parametrize(("depth", "activation", "dtype"), [*CASES, *((depth, "relu", np.float32) for depth in SIZES)])
def test_every_shown_number_agrees_with_an_independent_computation(depth, activation, dtype):
    model = model_of(SIZES[depth], dtype, activation=activation)
    data = pictures(1)
    explanation = explain_step(model, data[0], learning_rate=RATE)
    right = independent(model, data, explanation)
    eps = 1e-12 if dtype == np.float64 else 2e-5
    assert check_figures(explanation, right, eps) >= 4 * depth
    assert check_units(explanation, right, eps) >= 12 * depth
    check_outcome(explanation, right, eps)


@pytest.mark.parametrize(
    "middle",
    [
        [Dense(12, 6), BatchNorm(6), Activation("tanh"), Dropout(0.5), Dense(6, 3)],
        [Dense(12, 6), Activation("relu"), Dropout(0.3), Dense(6, 5), BatchNorm(5), Activation("sigmoid"), Dense(5, 3)],
        [BatchNorm(12), Dense(12, 6), Activation("gelu"), Dense(6, 3)],
        [Dropout(0.2), Dense(12, 3)],
        [Dense(12, 3), Activation("tanh")],
        [
            Convolution(3, 4, 1, 2, size=2, stride=1),
            Activation("relu"),
            Convolution(2, 3, 2, 3, size=2, stride=1),
            Activation("tanh"),
            Dense(6, 3),
        ],
        [
            Convolution(3, 4, 1, 2, size=2, stride=2),
            BatchNorm(4),
            Activation("gelu"),
            Dropout(0.3),
            Dense(4, 5),
            Activation("relu"),
            Dense(5, 3),
        ],
    ],
    ids=lambda layers: " ".join(layer.kind for layer in layers),
)
def test_every_kind_of_layer_is_explained_in_a_batch(middle):
    model = model_of(Network(middle, rng=np.random.default_rng(3), dtype=np.float64), preparation=Preparation())
    data = pictures(7)
    explanation = explain_step(model, data, learning_rate=RATE, seed=4)
    right = independent(model, data, explanation)
    assert check_figures(explanation, right, 1e-11) >= 5
    assert check_units(explanation, right, 1e-11) >= 10
    check_outcome(explanation, right, 1e-11)


@pytest.mark.parametrize(
    ("loss", "settings", "slope"),
    [
        (MeanSquaredError(), {"loss": "mse"}, "− 1) / (5 · 3)"),
        (SoftmaxCrossEntropy(0.2), {"smoothing": 0.2}, "− 0.8667) / 5"),
        (SoftmaxCrossEntropy(), {}, "− 1) / 5"),
    ],
)
def test_every_loss_is_explained(loss, settings, slope):
    model, data = model_of(SIZES[2]), pictures(5)
    explanation = explain_step(model, data, learning_rate=RATE, loss=loss)
    right = independent(model, data, explanation, **settings)
    assert check_figures(explanation, right, 1e-11) > 8
    assert check_units(explanation, right, 1e-11) > 8
    assert explanation.loss == pytest.approx(right["loss"], rel=1e-12)
    assert f"{slope} = " in explanation.units[-1].arithmetic["upstream gradient"][0]


def test_captions_and_lines_of_units_have_four_digits():
    array = np.array([[1.5, -2.0, 0.0]])
    assert (
        Figure("Z1", array).caption == "Z1 (1, 3)  lowest −2 at [0, 1]  highest 1.5 at [0, 0]  sum −0.5  1 of 3 are 0"
    )
    unit = explain_step(model_of(SIZES[2]), pictures(5), learning_rate=RATE).units[0]
    assert [line for _, line in unit.lines(3)] == [
        "Z1[1] = 2.223·(−0.4376) + 2.541·0.3101 + 2.338·0.3354 + … (9 more: 0.4625) + 0.2465 = 1.308",
        "H1[1] = relu(1.308) = 1.308",
        "dH1[1] = −0.195·(−0.8555) + 0.1415·0.5172 + 0.05346·(−0.1993) = 0.2294",
        "dZ1[1] = 0.2294 · 1 = 0.2294",
        "dW1[11, 1] = 2.541·0.2294 = 0.5829",
        "db1[1] = 0.2294 = 0.2294",
        "W1[11, 1] = 0.3101 − 0.05 · 0.5829 = 0.2809",
        "b1[1] = 0.2465 − 0.05 · 0.2294 = 0.235",
        "Z1[1]: 1.308 → 1.013",
    ]
    assert sum_of(np.array([0.5, 0.0, -2.0, 1.0, 0.25, 0.125, 3.0])) == "3 + (−2) + 1 + 0.5 + … (2 more: 0.375)"


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
def test_the_update_equals_that_of_training(kind):
    model, data = model_of(SIZES[3], np.float64), pictures(6)
    rule = OPTIMIZERS[kind](weight_decay=0.01)
    explanation = explain_step(model, data, learning_rate=RATE, optimizer=rule)
    trained = byhand.Model(model.network.copy(), preparation=model.preparation, classes=model.classes)
    recipe = Recipe(epochs=1, batch_size=None, learning_rate=RATE, optimizer=rule, schedule=Constant())
    before = dict(model.network.named())
    with Trainer(trained, data, recipe, seed=0) as session:
        session.step()
    for name, after in trained.network.named():
        index, own = name.split(".")
        symbol = f"Δ{own}{int(index) // 2 + 1}"
        np.testing.assert_allclose(explanation[symbol], after - before[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_page_shows_the_same_numbers_as_the_terminal():
    model, data = model_of(SIZES[3]), pictures(1)
    explanation = explain_step(model, data[0], learning_rate=RATE)
    page = explanation.html()
    right = independent(model, data, explanation)
    found = re.findall(
        r"<b>(\S+)</b> \([\d, ]+\) · <span class=\"down\">lowest (\S+) at \[[\d, ]+\]</span> · "
        r"<span class=\"up\">highest (\S+) at \[[\d, ]+\]</span> · sum ([^\s<]+)",
        page,
    )
    found = [caption for caption in found if caption[0] in right]
    assert len(found) >= 15
    for symbol, low, high, total in found:
        assert agrees(low, right[symbol].min(), 1e-12), symbol
        assert agrees(high, right[symbol].max(), 1e-12), symbol
        assert agrees(total, right[symbol].sum(), 1e-12), symbol
    for unit in explanation.units:
        for _, line in unit.lines(5):
            assert html.escape(line) in page


def test_tables_in_the_page_have_every_term_and_the_running_sum():
    model, data = model_of(SIZES[2]), pictures(1)
    explanation = explain_step(model, data[0], learning_rate=RATE, units=[(1, 2)])
    right = independent(model, data, explanation)
    table = re.search(r"every term of Z1.*?<tbody>(.*?)</tbody>", explanation.html())[1]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("</tr>") if row]
    running = 0.0
    for place, x, w, product, so_far in rows[:-1]:
        running += right["X"][0, int(place)] * right["W1"][int(place), 2]
        assert agrees(x, right["X"][0, int(place)])
        assert agrees(w, right["W1"][int(place), 2])
        assert agrees(product, right["X"][0, int(place)] * right["W1"][int(place), 2])
        assert agrees(so_far, running, 1e-12)
    assert [int(row[0]) for row in rows[:-1]] == list(np.argsort(-np.abs(right["X"][0] * right["W1"][:, 2])))
    assert rows[-1][0] == "bias"
    assert agrees(rows[-1][4], right["Z1"][0, 2], 1e-12)


def test_if_not_all_units_fit_the_largest_are_drawn():
    weights = np.arange(24.0).reshape(4, 6)  # six units of 2 × 2 pixels; unit 5 has the largest numbers
    weights[:, 1] = 100
    laid = grid(Figure("W1", weights, "columns", (2, 2)), columns=5, rows=2)
    np.testing.assert_array_equal(laid.cells, [[100, 100, np.nan, 5, 11], [100, 100, np.nan, 17, 23]])
    assert laid.note == "units with the largest values, of 6: 1, 5"
    assert laid.scale == 100


def test_cells_that_do_not_fit_are_omitted_with_a_note():
    matrix = np.arange(60.0).reshape(20, 3)
    laid = grid(Figure("W2", matrix), columns=8, rows=2)
    np.testing.assert_array_equal(laid.cells, matrix.T[:2, :8])
    assert laid.note == "transposed: a row is a unit, the first 2 of 3 units, the first 8 of 20 inputs"
    row = grid(Figure("Z1", np.arange(70.0)[None]), columns=64, rows=2)
    assert row.cells.shape == (2, 32)
    assert row.note == "wrapped after 32, the first 64 of 70 numbers"


def test_maps_are_drawn_one_after_another():
    """Two maps of 2 × 2 are stored as (place, map): 0 and 10 for the first place, 1 and 11 for the second, …"""
    maps = np.array([[0.0, 10, 1, 11, 2, 12, 3, 13]])
    laid = grid(Figure("Z1", maps, "rows", (2, 2), channels=2, each="map"), columns=9, rows=9)
    np.testing.assert_array_equal(laid.cells, [[0, 1, np.nan, 10, 11], [2, 3, np.nan, 12, 13]])
    assert laid.note == "one image per map"


def test_images_of_one_line_stay_together():
    weights = np.zeros((8, 3))  # three maps, whose window sees 2 × 2 numbers in each of two maps below
    weights[:, 0], weights[0, 2], weights[1, 2] = 1, 5, 6
    figure = Figure("W2", weights, "columns", (2, 2), channels=2, each="picture", across=2, note="one line per map")
    laid = grid(figure, columns=20, rows=5)
    line = [[5, 0, np.nan, 6, 0], [0, 0, np.nan, 0, 0]]
    ones = [[1, 1, np.nan, 1, 1], [1, 1, np.nan, 1, 1]]
    np.testing.assert_array_equal(laid.cells, [*line, [np.nan] * 5, *ones])
    assert laid.note == "one line per map; lines with the largest values, of 3: 2, 0"
    narrow = grid(figure, columns=4, rows=2)
    np.testing.assert_array_equal(narrow.cells, [[6, 0], [0, 0]])
    assert narrow.note == "pictures with the largest values, of 6: 5"


def test_every_unit_of_every_convolution_is_computed():
    """Overlapping windows, gaps and pixels without a window, in a batch, recomputed by other code."""
    layers = [
        Convolution(9, 8, 1, 2, size=3, stride=2),
        Activation("tanh"),
        Convolution(4, 3, 2, 3, size=2, stride=2),
        Activation("relu"),
        Dense(6, 3),
    ]
    model = model_of(Network(layers, rng=np.random.default_rng(3), dtype=np.float64))
    data = pictures(3, shape=(9, 8))
    asked = [(1, j) for j in range(24)] + [(2, j) for j in range(6)] + [(3, j) for j in range(3)]
    explanation = explain_step(model, data, learning_rate=RATE, units=asked)
    right = independent(model, data, explanation)
    assert check_units(explanation, right, 1e-11) > 20 * len(asked)
    unseen = explanation.units[4]  # of the third column of places, which no window of the next layer reaches
    assert unseen.name == "unit 4 of layer 1, map 0, row 0, column 2"
    assert unseen.arithmetic["upstream gradient"][0].line(4) == "dH1[4] = 0 = 0"


def test_a_unit_of_a_convolution_shows_the_pixels_of_its_window():
    model = byhand.Model([784, 10], maps=[4, 6])
    image = byhand.load("mnist-5k").test.images[7]
    unit = explain_step(model, image, 2, units=[(1, 4 * (12 * 5 + 6) + 3)]).units[0]
    assert unit.name == "unit 267 of layer 1, map 3, row 5, column 6"
    X = model.preparation(image[None], np.float32).reshape(28, 28)
    np.testing.assert_array_equal(unit.pictures[0].array.reshape(5, 5), X[10:15, 12:17])
    np.testing.assert_array_equal(unit.pictures[1].array.ravel(), model.network.layers[0].W[:, 3])
    assert [figure.symbol for figure in unit.pictures] == ["P1[66]", "W1[:, 3]", "dW1[:, 3]"]


def test_a_convolution_is_explained_in_the_form_of_a_dense_layer():
    model = byhand.Model([784, 16, 10], maps=[4, 8])
    explanation = explain_step(model, byhand.load("mnist-5k").test[7])
    step = {step.key: step for step in explanation.walk()}
    assert step["forward.0"].shapes == "X (1, 784) → P1 (144, 25), W1 (25, 4), b1 (4,) → Z1 (1, 576)"
    assert step["forward.2"].title == "Layer 2: convolution"
    assert "5 × 5 numbers in each of the 4 input maps moves to 4 × 4 positions (stride 2)" in step["forward.2"].text
    assert "8 feature maps of 4 × 4 numbers, flattened" in step["forward.4"].text
    assert step["backward.2"].shapes == "dZ2 (1, 128) → dW2 (100, 8), db2 (8,), dP2 (16, 100) → dH1 (1, 576)"
    assert step["backward.0"].shapes == "dZ1 (1, 576) → dW1 (25, 4), db1 (4,)"
    page = explanation.html()
    assert "contents of the window at each position" in page
    assert "one line per unit, with an image for each of the 8 input maps" in page
    assert len(page) < 400_000


def test_a_planted_wrong_number_is_found():
    model, data = model_of(SIZES[2]), pictures(1)
    explanation = explain_step(model, data[0], learning_rate=RATE)
    right = independent(model, data, explanation)
    right["dW1"] = right["dW1"] * 1.001
    with pytest.raises(AssertionError, match="dW1"):
        check_figures(explanation, right, 1e-12)
    with pytest.raises(AssertionError, match="dW1"):
        check_units(explanation, right, 1e-12)


def test_a_chosen_unit_is_shown_with_all_its_terms():
    model, data = model_of(SIZES[2]), pictures(1)
    unit = explain_step(model, data[0], units=[(1, 4)]).units[0]
    line = dict(unit.lines(shown=100))["weighted sum"]
    assert line.count("·") == 12
    assert "more" not in line


def test_explaining_does_not_change_the_model():
    model = model_of(SIZES[3], dropout=0.2)
    before = model.network.parameters.copy()
    explain_step(model, pictures(1)[0], learning_rate=1.0)
    np.testing.assert_array_equal(model.network.parameters, before)


def test_without_a_label_only_the_forward_pass_is_explained():
    model = model_of(SIZES[2], dropout=0.5)
    explanation = explain_step(model, pictures(1).images[0])
    assert [step.key for step in explanation.steps] == ["picture", "forward", "answer"]
    assert explanation.loss is None
    assert "Dropout: inactive" in explanation.text()
    assert "<h1>Forward pass</h1>" in explanation.html()
    np.testing.assert_allclose(explanation.probabilities, model.probabilities(pictures(1).images), rtol=1e-12)


def test_samples_images_with_labels_and_class_names_are_equivalent():
    model, data = model_of(SIZES[2]), pictures(1)
    label = int(data.labels[0])
    texts = {
        explain_step(model, image, given).text()
        for image, given in (
            (data[0], None),
            (data.images[0], label),
            (data.images[0], "abc"[label]),
            (data.images[:1], [label]),
            (Sample(data.images[0], label), None),
        )
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m, d: explain_step(m, d.images[0], 3), r"label must be a class, 0 to 2 or its name, got 3"),
        (lambda m, d: explain_step(m, d.images[0], "seven"), r"label must be a class, 0 to 2 or its name, got 'seven'"),
        (lambda m, d: explain_step(m, d.images, 1), r"label must have a class for each of the 4 images, got 1"),
        (lambda m, d: explain_step(m, d.images, [1]), r"label must have a class for each of the 4 images, got a list"),
        (lambda m, d: explain_step(m, d[0], units=[(3, 0)]), "the layer of the unit must be an integer from 1"),
        (lambda m, d: explain_step(m, d[0], units=[(1, 6)]), r"unit of layer 1 must be an integer from 0 to 5, got 6"),
        (lambda m, d: explain_step(m, d[0], learning_rate=0), r"learning_rate must be a positive number, got 0"),
        (lambda m, d: explain_step(m, d.images[0] / 254.0, 1), r"images must be bytes"),
        (lambda m, d: explain_step(m, d.images[:0], []), r"needs at least one image"),
    ],
)
def test_invalid_arguments_are_rejected_by_name(ask, message):
    with pytest.raises(UsageError, match=message):
        ask(model_of(SIZES[2]), pictures(4))


def test_batch_norm_needs_a_batch():
    with pytest.raises(UsageError, match="at least 2 images, got 1"):
        explain_step(model_of(SIZES[2], batch_norm=True), pictures(1)[0])


def test_a_network_with_nan_weights_is_rejected():
    model = model_of(SIZES[2])
    model.network.parameters[...] = np.nan
    with pytest.raises(DivergedError, match="not finite"):
        explain_step(model, pictures(1)[0])


def test_an_array_is_found_by_its_name():
    explanation = explain_step(model_of(SIZES[2]), pictures(1)[0])
    assert explanation["dW2"].shape == (6, 3)
    with pytest.raises(KeyError, match=r"array must be one of picture, X, W1, .* got dW9"):
        explanation["dW9"]


def test_numbers_are_formatted_with_four_digits():
    shown = [numeral(value) for value in (1.27, -0.03125, 2.4e-5, 0.0, -0.0, 13317.0, 1 / 3, 1e12)]
    assert shown == ["1.27", "−0.03125", "2.4e−05", "0", "0", "13,317", "0.3333", "1e+12"]


def test_the_text_keeps_its_width_except_for_code():
    explanation = explain_step(model_of(SIZES[3]), pictures(1)[0])
    quotes = [quote for step in explanation.walk() for _, quote in step.code]
    quotes += [quote.reference for quote in quotes if quote.reference]
    code = {line for quote in quotes for line in quote.text.splitlines()}
    for line in explanation.text(60).splitlines():
        assert len(line) <= 60 or line.strip() in {c.strip() for c in code}, line


def test_only_colored_text_has_escape_codes():
    explanation = explain_step(model_of(SIZES[2]), pictures(1)[0])
    assert "\x1b[" not in explanation.text()
    colored = explanation.text(color=True)
    assert "38;2;" in colored
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    captions = [line for line in explanation.text().splitlines() if "lowest" in line]
    assert captions == [line for line in plain.splitlines() if "lowest" in line]


def test_empty_cells_keep_the_background_of_the_terminal():
    laid = Grid(np.array([[1.0, np.nan, np.nan], [-1.0, 2.0, np.nan]]), "", 2.0)
    one, empty = float("nan"), float("nan")
    assert two_cells(1.0, -1.0, laid) == ("▀", "rgb(138,90,24) on rgb(42,88,138)")
    assert two_cells(one, 2.0, laid) == ("▄", "rgb(255,159,28)")
    assert two_cells(2.0, empty, laid) == ("▀", "rgb(255,159,28)")
    assert two_cells(one, empty, laid) == (" ", "")


def test_a_notebook_shows_the_page_in_a_frame():
    shown = explain_step(model_of(SIZES[2]), pictures(1)[0])._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "<script" not in shown
    assert "One training step" in html.unescape(shown)


def test_the_page_has_no_external_resources():
    page = explain_step(model_of(SIZES[2]), pictures(1)[0]).html()
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "url(" not in page
    assert len(page) < 200_000


def test_class_names_are_escaped_in_the_page():
    names = ("<b>", '"quoted"', "a & b")
    network = Network([12, 5, 3], rng=np.random.default_rng(0))
    model = byhand.Model(network, classes=names)
    page = explain_step(model, pictures(1).images[0], 0).html()
    assert "&lt;b&gt;" in page
    assert "<b><b>" not in page


@pytest.mark.slow
def test_a_wide_network_makes_a_small_page():
    model = byhand.Model([784, 1000, 800, 10], seed=0)
    digits = byhand.load("mnist-5k")
    page = explain_step(model, digits.test[0]).html()
    assert len(page) < 1_500_000
    assert "units with the largest values, of 1,000" in page


def test_json_has_the_same_numbers():
    explanation = explain_step(model_of(SIZES[2]), pictures(1)[0])
    plain = explanation.to_json()
    dW1 = next(a for step in plain["steps"] for a in step["arrays"] if a["symbol"] == "dW1")
    assert dW1["sum"] == pytest.approx(explanation["dW1"].sum())
    assert plain["steps"][0]["code"][0]["place"].startswith("byhand/model/preparation.py:")


def test_the_default_optimizer_is_plain_gradient_descent():
    explanation = explain_step(model_of(SIZES[2]), pictures(1)[0])
    assert explanation.settings["update rule"] == "gradient descent, learning rate 0.01"
