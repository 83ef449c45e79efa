"""Schedules: values computed by hand, and rejected settings of schedules and optimizers."""

import pytest

from byhand.errors import UsageError
from byhand.nn.optimizers import optimizer_named
from byhand.nn.schedules import Constant, Cosine, Exponential, OneCycle, Step, schedule_config, schedule_named


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        (Constant(), 57, 1.0),
        (Step(factor=0.1, parts=4), 0, 1.0),
        (Step(factor=0.1, parts=4), 24, 1.0),
        (Step(factor=0.1, parts=4), 25, 0.1),
        (Step(factor=0.1, parts=4), 99, 0.001),
        (Step(factor=0.1, parts=4), 100, 0.001),
        (Step(factor=0.99, parts=100), 99, 0.99**99),
        (Exponential(), 100, 0.01),
        (Exponential(end=1), 100, 1.0),
        (Exponential(end=0.01), 0, 1.0),
        (Exponential(end=0.01), 50, 0.1),
        (Exponential(end=0.01), 100, 0.01),
        (Cosine(), 0, 1.0),
        (Cosine(), 50, 0.5),
        (Cosine(end=0.2), 50, 0.6),
        (Cosine(end=0.2), 100, 0.2),
        (Cosine(warmup=0.2), 0, 1 / 21),
        (Cosine(warmup=0.2), 19, 20 / 21),
        (Cosine(warmup=0.2), 20, 1.0),
        (Cosine(warmup=0.2), 60, 0.5),
        (OneCycle(start=0.1, warmup=0.3), 0, 0.1),
        (OneCycle(start=0.1, warmup=0.3), 15, 0.55),
        (OneCycle(start=0.1, warmup=0.3), 30, 1.0),
        (OneCycle(start=0.1, warmup=0.3), 65, 0.5),
        (OneCycle(start=0.1, warmup=0.3, end=0.2), 100, 0.2),
        (OneCycle(), 1000, 0.0),
    ],
)
def test_a_schedule_has_the_factor_of_its_formula(schedule, step, factor):
    assert schedule(step, 100) == pytest.approx(factor, abs=1e-12)
    assert schedule_named(**schedule_config(schedule)) == schedule


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Step(factor=0), "factor must be greater than 0 and at most 1, got 0"),
        (lambda: Step(parts=0), "parts must be a positive integer, got 0"),
        (lambda: Exponential(end=2), "end must be greater than 0 and at most 1, got 2"),
        (lambda: Cosine(warmup=1), "warmup must be at least 0 and less than 1, got 1"),
        (lambda: OneCycle(warmup=0), "warmup must be greater than 0 and less than 1, got 0"),
        (lambda: OneCycle(start=-1), "start must be a number from 0 to 1, got -1"),
        (lambda: schedule_named("linear"), "schedule must be one of constant, step, exponential, cosine, one_cycle"),
        (lambda: schedule_named("step", end=1), "settings of step must be among factor, parts, got end"),
        (lambda: schedule_named("constant", end=1), "settings of constant must be among (none), got end"),
        (lambda: optimizer_named("adagrad"), "optimizer must be one of sgd, momentum, rmsprop, adam, adamw"),
        (
            lambda: optimizer_named("adam", momentum=1),
            "settings of adam must be among weight_decay, beta1, beta2, epsilon, got momentum",
        ),
        (
            lambda: optimizer_named("momentum", momentum="high"),
            "momentum must be at least 0 and less than 1, got 'high'",
        ),
        (lambda: optimizer_named("adam", beta1=1.0), "beta1 must be at least 0 and less than 1, got 1.0"),
        (lambda: optimizer_named("adam", epsilon=0), "epsilon must be a positive number, got 0"),
        (lambda: optimizer_named("sgd", weight_decay=-1), "weight_decay must be a number of at least 0, got -1"),
    ],
)
def test_an_invalid_setting_is_rejected(make, words):
    with pytest.raises(UsageError) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize("schedule", [Constant(), Step(), Exponential(), Cosine(end=0.2), Cosine(), OneCycle()])
def test_a_schedule_is_at_its_end_after_the_last_step(schedule):
    assert schedule(150, 100) == pytest.approx(schedule(100, 100), abs=1e-12)
    assert Cosine(end=0.2)(1, 1) == pytest.approx(0.2)
