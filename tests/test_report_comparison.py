"""Comparison of runs: figures, settings, and significance."""

import numpy as np
import pytest

import byhand
from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model.ensemble import Ensemble, ShiftAveraged
from byhand.report.comparison import ComparedRun, compare, mcnemar_p
from byhand.report.evaluation import Evaluation
from byhand.training.records import EpochRecord
from helpers.needs import needs

LABELS = np.array([0, 1] * 10)
DATA = Dataset(np.zeros((20, 2, 2), np.uint8), LABELS, classes=("a", "b"), name="made up")


def compared(name, wrong, model=None, **config):
    predictions = LABELS.copy()
    predictions[wrong] = 1 - predictions[wrong]
    P = np.full((20, 2), 0.2, np.float32)
    P[np.arange(20), predictions] = 0.8
    evaluation = Evaluation(DATA, DATA.classes, LABELS, predictions, P, 0.3)
    records = [EpochRecord(k, k, 1 / k, 0.5, 2 / k, 0.6, 0.1, 1.0, (), 10.0, 0.5) for k in (1, 2, 3)]
    return ComparedRun(name, model or byhand.Model([4, 2]), evaluation, records, config)


@pytest.mark.parametrize(("b", "c", "p"), [(5, 0, 2 / 32), (0, 5, 2 / 32), (3, 1, 10 / 16), (2, 2, 1.0), (0, 0, 1.0)])
def test_mcnemars_p_agrees_with_the_computation_by_hand(b, c, p):
    """5 : 0 is one of 2 in 2⁵ outcomes; 3 : 1 is one of 2·(1 + 4) in 2⁴."""
    assert mcnemar_p(b, c) == pytest.approx(p)


def test_mcnemars_p_agrees_with_scipy():
    stats = needs("scipy.stats")
    for heads, tails in ((22, 9), (54, 12), (300, 250), (7, 8)):
        assert mcnemar_p(heads, tails) == pytest.approx(stats.binomtest(heads, heads + tails).pvalue, rel=1e-9)


def test_a_pairwise_test_counts_images_that_only_one_classifies_correctly():
    good, bad = compared("good", [0, 1]), compared("bad", [1, 2, 3, 4, 5, 6, 7, 8])
    comparison = compare([bad, good])
    assert comparison.best is good
    (test,) = comparison.tests
    assert test.only_best == [2, 3, 4, 5, 6, 7, 8]
    assert test.only_other == [0]
    assert test.sentence == "Only good is right on 7 images, only bad on 1: not significant (p = 0.07)."
    worse = compared("worse", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert ": significant (p = 0.021)" in compare([good, worse]).tests[0].sentence


def test_equal_predictions_are_reported_as_equal():
    sentence = compare([compared("x", [3]), compared("y", [3])]).tests[0].sentence
    assert sentence == "x and y classify the same images correctly."


def test_only_differing_settings_are_shown():
    one = compared("one", [0], seed=1, recipe={"learning_rate": 0.1, "batch_size": 128}, command="a")
    two = compared("two", [1], seed=1, recipe={"learning_rate": 0.2, "batch_size": 128}, command="b")
    assert compare([one, two]).settings() == [("learning_rate", ["0.1", "0.2"])]


def test_rows_of_the_comparison_have_unique_names():
    two = [compared(name, [0], recipe={"epochs": epochs}) for name, epochs in (("one", 3), ("two", 9))]
    names = [name for name, _ in compare(two).figures()]
    assert "epochs" in names
    assert len(names) == len(set(names))


def test_convolutional_and_dense_runs_differ_by_their_settings():
    maps = byhand.Model([4, 2], maps=[(3, 2, 1)], dropout=0.25, batch_norm=True, activation="gelu")
    settings = compare([compared("maps", [0], maps), compared("dense", [1])]).settings()
    assert settings == [
        ("maps", ["3@2/1", "none"]),
        ("activation", ["gelu", "none"]),
        ("dropout", ["0.25", "0"]),
        ("batch norm", ["yes", "no"]),
    ]


def test_different_filters_with_maps_of_equal_size_are_distinguished():
    wide, narrow = (byhand.Model([784, 10], maps=[(4, size, 2)]) for size in (6, 5))
    assert wide.network.architecture == narrow.network.architecture
    several = ShiftAveraged(Ensemble([narrow, byhand.Model([784, 10], maps=[4], seed=1)]))
    comparison = compare([compared("wide", [], wide), compared("several", [], several)])
    assert comparison.settings() == [("maps", ["4@6/2", "4@5/2"])]
    assert [run["network"] for run in comparison.to_json()["runs"]] == ["784-4@12×12-10", "2 × 784-4@12×12-10"]


def test_runs_that_cannot_be_compared_are_rejected():
    with pytest.raises(UsageError, match="at least 2 runs, got 1"):
        compare([compared("one", [])])
    other = compared("other", [])
    moved = Dataset(np.ones((20, 2, 2), np.uint8), LABELS, classes=("a", "b"))
    evaluation = Evaluation(moved, moved.classes, LABELS, LABELS, other.evaluation.probabilities, 0.1)
    with pytest.raises(UsageError, match="on the same images, got 2 different sets"):
        compare([other, ComparedRun("moved", other.model, evaluation)])


def test_the_comparison_page_has_every_run_and_the_verdict():
    comparison = compare([compared("<good>", [0]), compared("bad", [1, 2]), compared("none", [])])
    page = comparison.html()
    assert "&lt;good&gt;" in page
    assert "<good>" not in page
    assert page.count('role="img" aria-label="image') == 3  # "none" compared with the two others: one image and two
    assert "p = 1" in page


def test_a_comparison_is_available_as_json():
    plain = compare([compared("a", [0]), compared("b", [1, 2])]).to_json()
    assert plain["best"] == "a"
    assert plain["against_best"] == [{"run": "b", "only_best_right": 2, "only_other_right": 1, "p": 1.0}]
