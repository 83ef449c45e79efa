"""The playground's curve shows the way, however quickly it was gone."""

import pytest

from byhand.data import load
from byhand.play.curve import AN_EPOCH, AT_ONCE, points_of
from byhand.play.playground import Playground
from byhand.play.setup import Setup
from byhand.training import StepRecord


def steps(count):
    return [StepRecord(i, 1, 1 / (1 + i), i / count, 0.1, 1.0, 64, 1000.0, False) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "batches", "points"),
    [
        (0, 469, 0),
        (1, 469, 1),
        (20, 469, 1),  # slow: a piece of news is less than a twentieth of an epoch
        (469, 469, AN_EPOCH + 1),  # an epoch between two pieces of news
        (10 * 469, 469, AT_ONCE),
        (5, 1, 5),  # the whole data as one batch: each step is an epoch
        (1000, 1, AT_ONCE),
    ],
)
def test_how_many_points_are_made_of_what_happened(count, batches, points):
    records = steps(count)
    made = points_of(records, batches)
    assert len(made) == points
    assert sum(point.steps for point in made) == count
    assert sum(point.loss * point.steps for point in made) == pytest.approx(sum(r.loss for r in records))
    assert [point.epoch for point in made] == sorted({point.epoch for point in made})
    assert not made or made[-1].epoch == count / batches


def test_a_training_over_before_the_first_news_has_a_curve():
    digits = load("mnist-5k")
    setup = Setup()
    playground = Playground(setup.model(digits.train), "new", digits, setup)
    playground.begin(playground.setup)
    while not (playground.session and playground.session.progress.step >= 2 * playground.batches_per_epoch):
        playground.step()
    collected = playground.collect()
    assert len(collected) >= AN_EPOCH
    assert playground.curve.points == collected
    assert playground.collect() == []
    playground.close()
