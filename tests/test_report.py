"""The evaluation's figures compared with figures computed by hand, and the HTML report."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

import byhand
from byhand.data import Dataset
from byhand.errors import DivergedError, MissingExtraError, UsageError
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Dense
from byhand.nn.network import Network
from byhand.page.charts import Axis, Series, chart
from byhand.page.document import tiled
from byhand.report import Evaluation, evaluate, html_report, wilson
from byhand.report.evaluation import MNIST_LABEL_ERRORS, known_label_errors
from byhand.report.images import BUDGET, COLUMNS, cells, first_layer, sprites
from byhand.report.page import flat_settings
from byhand.text import html_percent
from byhand.training.records import EpochRecord
from helpers.needs import needs
from helpers.processes import python


def small_evaluation():
    """Return an evaluation of eight images of three classes, with known predictions."""
    #            picture     0  1  2  3  4  5  6  7
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    predictions = np.array([0, 0, 1, 1, 1, 0, 0, 2])
    P = np.full((8, 3), 0.05, np.float32)
    P[np.arange(8), predictions] = [0.9375, 0.625, 0.6875, 0.96875, 0.5625, 0.5, 0.8125, 0.9375]
    P[2, 0], P[5, 1], P[6, 2] = 0.0625, 0.4375, 0.125
    images = np.arange(8 * 4, dtype=np.uint8).reshape(8, 2, 2)
    data = Dataset(images, labels, classes=("nil", "one", "two"), name="by hand")
    return Evaluation(data, data.classes, labels, predictions, P, 0.5, frozenset({5}))


@pytest.fixture(scope="module")
def trained():
    digits = byhand.load("mnist-5k")
    model = byhand.Model([784, 24, 10], seed=0)
    history = byhand.fit(model, digits.train, epochs=2, validation=0.1, seed=0)
    return model, evaluate(model, digits.test), history


def test_accuracy_is_the_fraction_of_correct_predictions():
    evaluation = small_evaluation()
    assert (evaluation.correct, evaluation.accuracy) == (5, 5 / 8)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (5, 10, 0.2366, 0.7634),  # the textbook's example of Wilson's interval
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (9871, 10_000, 0.9847, 0.9891),
    ],
)
def test_the_wilson_interval_has_the_published_values(right, count, low, high):
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


def test_the_wilson_interval_solves_its_equation():
    """(p − q)² = z² q (1 − q) / n at both ends q, which defines the interval."""
    for right, count in ((3, 17), (940, 1000), (16, 17)):
        for q in wilson(right, count):
            assert (right / count - q) ** 2 == pytest.approx(1.959963984540054**2 * q * (1 - q) / count)


def test_the_confusion_matrix_counts_true_and_predicted_classes():
    np.testing.assert_array_equal(small_evaluation().confusion, [[2, 1, 0], [1, 2, 0], [1, 0, 1]])


def test_precision_recall_and_f1_agree_with_the_computation_by_hand():
    nil, one, two = small_evaluation().per_class
    assert (nil.precision, nil.recall, nil.f1) == pytest.approx((2 / 4, 2 / 3, 4 / 7))
    assert (one.precision, one.recall) == pytest.approx((2 / 3, 2 / 3))
    assert (two.precision, two.recall, two.f1) == pytest.approx((1 / 1, 1 / 2, 2 / 3))


def test_a_class_without_samples_has_nan_metrics():
    evaluation = small_evaluation()
    data = Dataset(evaluation.data.images, evaluation.labels, classes=("a", "b", "c", "never"))
    P = np.pad(evaluation.probabilities, ((0, 0), (0, 1)))
    wider = Evaluation(data, data.classes, evaluation.labels, evaluation.predictions, P, 0.5)
    never = wider.per_class[3]
    assert math.isnan(never.precision)
    assert math.isnan(never.recall)
    assert math.isnan(never.f1)


def test_the_worst_mistake_is_the_one_whose_label_was_least_likely():
    mistakes = small_evaluation().mistakes
    assert [(m.index, m.label, m.predicted) for m in mistakes] == [(2, 0, 1), (6, 2, 0), (5, 1, 0)]
    assert [m.doubtful for m in mistakes] == [False, False, True]
    assert [m.confidence for m in mistakes] == [0.6875, 0.8125, 0.5]
    assert [m.label_probability for m in mistakes] == [0.0625, 0.125, 0.4375]


def test_calibration_compares_confidence_with_accuracy():
    evaluation = small_evaluation()
    bins = [(b.low, b.count, b.confidence, b.accuracy) for b in evaluation.calibration]
    assert bins == [
        (0.5, 2, 0.53125, 0.5),  # pictures 4 and 5: (0.5625 + 0.5) / 2, one of the two right
        (0.6, 2, 0.65625, 0.5),  # 1 and 2
        (0.8, 1, 0.8125, 0.0),  # 6
        (0.9, 3, (0.9375 + 0.96875 + 0.9375) / 3, 1.0),  # 0, 3 and 7
    ]
    by_hand = (2 * 0.03125 + 2 * 0.15625 + 0.8125 + 3 * (1 - (0.9375 + 0.96875 + 0.9375) / 3)) / 8
    assert evaluation.calibration_error == pytest.approx(by_hand)


def test_a_model_that_is_certain_and_right_is_calibrated():
    labels = np.array([0, 1, 2])
    data = Dataset(np.zeros((3, 2, 2), np.uint8), labels, classes=("a", "b", "c"))
    sure = Evaluation(data, data.classes, labels, labels, np.eye(3, dtype=np.float32), 0.0)
    assert sure.calibration_error == 0
    assert sure.mistakes == ()
    assert "every image was classified correctly" in html_report(sure, byhand.Model([4, 3]), [], {})


def test_evaluate_gives_the_predictions_of_the_model(trained):
    model, evaluation, _ = trained
    test = byhand.load("mnist-5k").test
    np.testing.assert_array_equal(evaluation.predictions, model.predict(test.images))
    np.testing.assert_allclose(evaluation.probabilities, model.probabilities(test.images), rtol=1e-6)
    assert evaluation.accuracy == model.accuracy(test)
    right = evaluation.probabilities[np.arange(len(test)), test.labels].astype(np.float64)
    assert evaluation.loss == pytest.approx(-np.log(right).mean(), rel=1e-4)


def test_data_that_cannot_be_evaluated_are_rejected():
    digits = byhand.load("mnist-5k")
    with pytest.raises(UsageError, match="data must have the model's 3 classes, got 10"):
        evaluate(byhand.Model([784, 3]), digits.test)
    model = byhand.Model([784, 10])
    model.network.parameters[...] = np.nan
    with pytest.raises(DivergedError, match="those for image 0 are not"):
        evaluate(model, digits.test[:5])
    with pytest.raises(UsageError, match="at least one image"):
        evaluate(byhand.Model([784, 10]), digits.test[:0])


def test_label_errors_are_known_for_mnist_only():
    assert known_label_errors(byhand.load("mnist-5k").test) == frozenset()
    assert len(MNIST_LABEL_ERRORS) == 15


@pytest.mark.full_mnist
def test_label_errors_of_mnist_are_identified_by_checksum(full_mnist):
    test = full_mnist.test
    assert known_label_errors(Dataset(test.images, test.labels)) == MNIST_LABEL_ERRORS
    assert known_label_errors(test[::-1]) == frozenset()


def test_the_report_has_every_section_and_figure(trained):
    model, evaluation, history = trained
    config = {"command": "byhand train --epochs 2 <x>", "recipe": {"optimizer": {"kind": "momentum"}}, "seed": 0}
    page = html_report(evaluation, model, list(history), config)
    text = re.sub(r"<[^>]+>", " ", page)
    low, high = evaluation.interval
    assert html_percent(evaluation.accuracy) in text
    assert html_percent(low) in text
    assert html_percent(high) in text
    for title in (
        "Learning curves",
        "Confusion matrix",
        "The worst mistakes",
        "Precision and recall",
        "Calibration",
        "First-layer weights",
        "Reproduce this run",
    ):
        assert title in text
    assert "byhand train --epochs 2 &lt;x&gt;" in page
    assert "recipe.optimizer.kind" in text
    for record in history:
        assert f"{record.loss:.4f}" in text


def test_the_report_is_one_file_of_limited_size(trained):
    model, evaluation, history = trained
    page = html_report(evaluation, model, list(history), {})
    assert len(page.encode()) < 2_000_000
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert set(re.findall(r"url\(([^)]{0,5})", page)) == {"data:"}
    assert "default-src 'none'" in page


def test_long_names_of_classes_are_apart_in_the_text():
    found = replace(small_evaluation(), classes=("nil", "triangle", "rectangle"))
    head = next(line for line in found.text().splitlines() if line.startswith("true"))
    assert head.split()[-4:] == ["nil", "triangle", "rectangle", "recall"]


def test_every_cell_of_the_confusion_matrix_is_a_labeled_button(trained):
    model, evaluation, _ = trained
    page = html_report(evaluation, model)
    cells = re.findall(r'data-cell="(\d+),(\d+)" aria-label="([^"]+)">(\d+)</button>', page)
    assert {(int(i), int(j)): int(n) for i, j, _, n in cells} == {
        (int(i), int(j)): int(evaluation.confusion[i, j])
        for i, j in zip(*np.nonzero(evaluation.confusion), strict=True)
    }
    assert cells[0][2] == f"{cells[0][3]} images of 0 read as 0"


def test_the_data_of_the_script_match_the_sprites(trained):
    model, evaluation, _ = trained
    page = html_report(evaluation, model)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
    made = sprites(evaluation, [m.index for m in evaluation.mistakes[:24]])
    assert [tile[0] for tile in data["tiles"]] == made.order
    for index, label, predicted, sure, _ in data["tiles"]:
        assert (label, predicted) == (evaluation.labels[index], evaluation.predictions[index])
        assert sure == pytest.approx(float(evaluation.probabilities[index].max()), abs=6e-4)


def test_the_sprites_contain_the_images(trained):
    from io import BytesIO

    from PIL import Image

    _, evaluation, _ = trained
    made = sprites(evaluation, [])
    sheet = np.asarray(Image.open(BytesIO(made.png)).convert("L"))
    for place in (0, 1, COLUMNS, len(made.order) - 1):
        row, column = divmod(place, COLUMNS)
        tile = sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28].astype(int)
        assert np.abs(tile - evaluation.data.images[made.order[place]]).max() <= 9  # half a quantization step


@pytest.mark.slow
def test_a_report_on_noise_stays_within_the_size_limit():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 6000)
    data = Dataset(rng.integers(0, 256, (6000, 40, 40)).astype(np.uint8), labels, name="noise")
    P = rng.dirichlet(np.ones(10), 6000).astype(np.float32)
    evaluation = Evaluation(data, data.classes, labels, P.argmax(axis=1), P, 2.3)
    assert len(sprites(evaluation, list(range(24))).png) <= BUDGET
    page = html_report(evaluation, byhand.Model([1600, 40, 10]))
    assert len(page) < 2_000_000


def test_cells_sort_mistakes_and_correct_images_by_confidence():
    found = cells(small_evaluation())
    assert found[0] == [1, 0]  # confidence 0.625 before 0.9375
    assert found[2 * 3 + 0] == [6]


def test_class_names_are_escaped_in_the_page():
    evaluation = small_evaluation()
    names = ("</script><b>", '"', "<")
    data = Dataset(evaluation.data.images, evaluation.labels, classes=names, name="<i>")
    hostile = Evaluation(data, names, evaluation.labels, evaluation.predictions, evaluation.probabilities, 0.5)
    page = html_report(hostile, byhand.Model([4, 3], classes=names), [], {"<key>": "<value>"})
    assert "</script><b>" not in page
    assert "<i>" not in page.replace('<i style="', "")
    assert "<key>" not in page


def test_without_a_run_the_report_states_what_is_unknown():
    page = html_report(small_evaluation(), byhand.Model([4, 3]))
    assert "Learning curves" not in page
    assert "The command is unknown" in page


def test_missing_validation_and_warnings_are_shown():
    record = EpochRecord(1, 9, 0.5, 0.8, None, None, 0.1, 1.0, (0.9,), 1000.0, 0.1, ("90 % of layer 1 is dead",))
    page = html_report(small_evaluation(), byhand.Model([4, 3]), [record])
    assert "No validation set was used" in page
    assert "epoch 1: 90 % of layer 1 is dead" in page


def test_the_report_shows_the_filters_and_maps_of_a_convolution():
    model, test = byhand.Model([784, 10], maps=[6, 8], activation="gelu"), byhand.load("mnist-5k").test
    page = html_report(evaluate(model, test), model)
    assert "a window of 5 × 5 pixels at 12 × 12 positions" in page
    assert "the maps as a table" in page
    assert f"The maps of image 0, a {test.classes[test.labels[0]]}" in page
    assert "In the order of the filters above, after gelu" in page
    bare = byhand.Model(Network([Convolution(28, 28, 1, 3), Dense(432, 10)], rng=np.random.default_rng(0)))
    assert "In the order of the filters above." in html_report(evaluate(bare, test[:20]), bare)


def test_the_class_name_above_the_maps_is_escaped_once():
    digits = byhand.load("mnist-5k").test[:20]
    data = Dataset(digits.images, digits.labels, classes=[f"{k}&" for k in range(10)], name="ampersands")
    model = byhand.Model([784, 10], maps=[6], classes=data.classes)
    page = html_report(evaluate(model, data), model)
    assert page.count(f"mage 0, a {digits.labels[0]}&amp;") == 3
    assert "&amp;amp;" not in page


def test_weights_that_are_not_images_are_omitted():
    model = byhand.Model(Network([Convolution(14, 14, 4, 3), Dense(75, 10)], rng=np.random.default_rng(0)))
    assert "First-layer weights" not in html_report(evaluate(model, byhand.load("mnist-5k").test[:9]), model)


def test_the_weights_of_largest_norm_are_shown_in_order():
    layer = Convolution(4, 4, 1, 3, size=2)
    layer.W, layer.b = np.array([[1.0, 0, 5], [2, 0, 6], [3, 0, 7], [4, 1, 8]]), np.zeros(3)
    first = first_layer(layer, (4, 4), 2)
    assert (first.chosen.tolist(), len(first.norms), first.each) == ([0, 2], 3, "map")
    np.testing.assert_array_equal(tiled(first.pictures, 8), [[1, 2, np.nan, 5, 6], [3, 4, np.nan, 7, 8]])
    assert tiled(first.pictures, 1).shape == (5, 2)
    assert first_layer(Dense(12, 3), (4, 4), 2) is None


def test_ticks_are_round_numbers_inside_the_axis():
    assert Axis("", 0, 100).ticks() == pytest.approx([0, 20, 40, 60, 80, 100])
    assert Axis("", 0.7, 3.3, is_whole=True).ticks() == pytest.approx([1, 2, 3])
    assert Axis("", 1e-4, 10, is_log=True).ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1, 10])


def test_a_chart_omits_nan_and_clips_at_its_edges():
    svg = chart("t", Axis("x", 0, 2), Axis("y", 0, 1), [Series("a", [(0, 0.5), (1, math.nan), (2, 99.0)])])
    points = re.search(r'points="([^"]+)"', svg)[1].split()
    assert len(points) == 2
    assert points[1].endswith(",12.0")  # the top edge


def test_nested_settings_are_flattened():
    nested = {"a": {"b": 1, "c": None}, "d": [{"k": "x"}], "e": [1, 2]}
    assert dict(flat_settings(nested)) == {"a.b": "1", "a.c": "–", "d[0]": "k x", "e": "[1, 2]"}


def test_plots_draw_on_the_given_axes(trained):
    plt = needs("matplotlib.pyplot")
    from byhand.report import plot_confusion, plot_history, plot_mistakes, plot_prediction, plot_weights

    model, evaluation, history = trained
    sliding = byhand.Model([784, 10], maps=[3])
    sample = evaluation.data[0]
    for draw in (
        lambda ax: plot_history(history, ax=ax),
        lambda ax: plot_history(list(history), column="accuracy", ax=ax),
        lambda ax: plot_confusion(evaluation, ax=ax),
        lambda ax: plot_mistakes(evaluation, count=7, ax=ax),
        lambda ax: plot_weights(model, count=10, ax=ax),
        lambda ax: plot_weights(sliding, columns=2, ax=ax),
        lambda ax: plot_prediction(model, sample, ax=ax),
        lambda ax: plot_prediction(model, sample.image, ax=ax),
    ):
        figure, given = plt.subplots()
        assert draw(given) is given
        assert draw(None) is not given
        figure.canvas.draw()
        plt.close("all")


def test_the_loss_curve_shows_the_records(trained):
    plt = needs("matplotlib.pyplot")
    from byhand.report import plot_history, plot_prediction

    model, evaluation, history = trained
    lines = {line.get_label(): list(line.get_ydata()) for line in plot_history(history).get_lines()}
    assert lines == {"training": history.column("loss"), "validation": history.column("validation_loss")}
    ax = plot_prediction(model, evaluation.data[0])
    assert ax.get_title().startswith(f"prediction: {evaluation.predictions[0]} (")
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), evaluation.data.images[0])
    plt.close("all")


def test_plots_reject_invalid_arguments(trained):
    needs("matplotlib")
    from byhand.report import plot_history, plot_mistakes, plot_weights

    _, evaluation, history = trained
    with pytest.raises(UsageError, match="column must be loss or accuracy, got 'los'"):
        plot_history(history, column="los")
    with pytest.raises(UsageError, match="at least one record"):
        plot_history([])
    with pytest.raises(UsageError, match="count must be a positive integer, got 0"):
        plot_mistakes(evaluation, count=0)
    with pytest.raises(UsageError, match="square images, got 12 inputs"):
        plot_weights(byhand.Model([12, 5, 3]))


def test_without_matplotlib_the_extra_is_named(monkeypatch, trained):
    from byhand.report import plot_history

    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"this needs matplotlib: pip install '\.\[plots\]'"):
        plot_history(trained[2])


def test_importing_the_report_loads_no_optional_package():
    code = "import sys, byhand.report; print([m for m in ('PIL', 'matplotlib', 'rich') if m in sys.modules])"
    assert python("-c", code).stdout == "[]\n"
