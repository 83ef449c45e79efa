"""Training on systems that cannot start threads, or whose NumPy has no known BLAS."""

import threading
from typing import ClassVar

import numpy as np
import pytest

import byhand
from byhand import threads
from byhand.model.preparation import Preparation
from byhand.training import Recipe, Trainer, steps
from byhand.training.batches import prefetch
from byhand.training.plan import Member


@pytest.fixture
def no_threads(monkeypatch):
    """A system that cannot start threads, such as a browser."""

    def start(self):
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


def trained(recipe):
    model = byhand.Model([784, 16, 10], seed=0, dropout=0.2)
    byhand.fit(model, byhand.load("mnist-5k").train[:2500], recipe=recipe, seed=0)
    return model.network.parameters.tobytes()


@pytest.mark.parametrize(
    "recipe",
    [Recipe(epochs=2, augment="default", threads=2), Recipe(epochs=3, batch_size=None, threads=2)],
    ids=["prefetching", "two workers"],
)
def test_fit_without_threads_is_bit_identical(recipe, no_threads):
    with_threads = trained(recipe)
    no_threads()
    assert trained(recipe) == with_threads


def test_prefetching_without_threads_computes_results_on_demand(no_threads):
    no_threads()
    made = []
    results = prefetch(lambda number: made.append(number) or number, range(5))
    assert made == []
    assert [next(results), next(results)] == [0, 1]
    assert made == [0, 1]
    assert list(results) == [2, 3, 4]


def test_predictions_have_the_same_bits_with_any_number_of_threads(monkeypatch, no_threads):
    images = byhand.load("mnist-5k").test.images
    model = byhand.Model([784, 16, 10], seed=0, preparation=Preparation.standard(deskew=True))
    monkeypatch.setattr("byhand.threads.available", lambda: 3)
    by_three = model.probabilities(images)
    no_threads()
    np.testing.assert_array_equal(model.probabilities(images), by_three)
    monkeypatch.setattr("byhand.threads.available", lambda: 1)
    np.testing.assert_array_equal(model.probabilities(images), by_three)


def test_threads_keep_error_handling_and_raise_errors(monkeypatch):
    monkeypatch.setattr("byhand.threads.available", lambda: 2)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        threads.for_each(np.log, [np.ones(1), np.zeros(1), np.ones(1)])
    with np.errstate(divide="ignore"):
        threads.for_each(np.log, [np.zeros(1), np.zeros(1)])


@pytest.fixture
def no_blas(monkeypatch):
    """A NumPy whose BLAS threadpoolctl does not know."""
    threads.blas_libraries.cache_clear()

    class Nothing:
        lib_controllers: ClassVar = []
        select = staticmethod(lambda **_: Nothing)

    monkeypatch.setattr("threadpoolctl.ThreadpoolController", Nothing)
    yield
    threads.blas_libraries.cache_clear()


def test_fit_works_without_a_blas(no_blas):
    assert threads.blas_libraries() == []
    model = byhand.Model([784, 16, 10], seed=0)
    history = byhand.fit(model, byhand.load("mnist-5k").train[:500], epochs=2, seed=0, augment="none")
    assert history.ending == "done"
    assert np.isfinite(model.network.parameters).all()


def blas_now():
    return [library.num_threads for library in threads.blas_libraries()]


def test_a_trainer_limits_blas_threads_from_first_step_until_close():
    before = blas_now()
    recipe = Recipe(epochs=2, batch_size=50, threads=2)
    with Trainer(byhand.Model([784, 8, 10]), byhand.load("mnist-5k").train[:200], recipe, seed=0) as trainer:
        assert blas_now() == before
        trainer.step()
        assert blas_now() == [trainer.plan.blas for _ in before]
    assert blas_now() == before


def test_a_run_sets_the_blas_threads_once(monkeypatch):
    """Each change makes idle BLAS threads spin for 0.1 s: a run on a busy machine took ten times as long."""

    class Library:
        num_threads, numbers = 2, []

        def set_num_threads(self, number):
            self.num_threads = number
            self.numbers.append(number)

    library = Library()
    monkeypatch.setattr(threads, "blas_libraries", lambda: [library])
    data, recipe = byhand.load("mnist-5k").train[:200], Recipe(epochs=3, batch_size=50, validation=0.2, threads=2)
    byhand.fit(byhand.Model([784, 8, 10]), data, recipe=recipe, seed=0)
    assert library.numbers == [1, 2]


def test_a_deleted_trainer_restores_the_blas_threads():
    before = blas_now()
    trainer = Trainer(byhand.Model([784, 8, 10]), byhand.load("mnist-5k").train[:200], Recipe(threads=1), seed=0)
    trainer.step()
    del trainer
    assert blas_now() == before


def test_blas_limits_that_end_out_of_order_restore_the_threads():
    before = blas_now()
    first, second = threads.blas_threads(1), threads.blas_threads(2)
    first.__enter__()
    second.__enter__()
    assert blas_now() == [2 for _ in before]
    first.__exit__(None, None, None)
    assert blas_now() == [2 for _ in before]
    second.__exit__(None, None, None)
    assert blas_now() == before


def test_a_member_whose_thread_could_not_be_started_works_once(monkeypatch):
    """The pool queues a job before it starts its thread; a thread that did start must not run the job too."""
    recipe = Recipe(epochs=1, batch_size=None, threads=3)
    data = byhand.load("mnist-5k").train[:3900]
    model = byhand.Model([784, 16, 10], seed=0)
    start, started, taken = threading.Thread.start, [], []

    def first_only(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    with Trainer(model, data, recipe, seed=0) as trainer:
        call = Member.__call__
        assert trainer.plan.workers == 3
        monkeypatch.setattr(Member, "__call__", lambda self, *rest: (taken.append(self), call(self, *rest))[1])
        monkeypatch.setattr(threading.Thread, "start", first_only)
        trainer.step()
    assert len(taken) == len(set(map(id, taken))) == 3


def test_alternating_trainers_use_their_own_blas_threads():
    before = blas_now()
    data, seen = byhand.load("mnist-5k").train, []
    with (
        Trainer(byhand.Model([784, 8, 10]), data, Recipe(batch_size=50, threads=2), seed=0) as small,
        Trainer(byhand.Model([784, 256, 10]), data, Recipe(batch_size=500, threads=2), seed=0) as large,
    ):
        assert (small.plan.blas, large.plan.blas) == (1, 2)
        for trainer in (small, large, small, large):
            trainer.step()
            seen.append(blas_now())
    assert seen == [[1 for _ in before], [2 for _ in before]] * 2
    assert blas_now() == before


def test_a_loop_that_is_left_restores_the_blas_threads():
    before = blas_now()
    trainer = Trainer(byhand.Model([784, 8, 10]), byhand.load("mnist-5k").train[:200], Recipe(threads=1), seed=0)
    for _ in steps(trainer):
        break
    assert blas_now() == before
    for _ in steps(trainer):
        pass
    assert blas_now() == before
    trainer.close()
