"""Threads: how many there are, and whose word counts where several tell the BLAS."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from byhand.threads import LIMITS, available, blas_libraries, blas_threads, processors


def now():
    return {library.num_threads for library in blas_libraries()}


@pytest.fixture
def before():
    if not now():
        pytest.skip("NumPy's BLAS here is none whose threads can be counted")
    return now()


def test_the_number_holds_inside_and_the_old_one_after(before):
    with blas_threads(1):
        assert now() == {1}
        with blas_threads(2):
            assert now() == {2}
        assert now() == {1}
    assert now() == before


def test_it_is_put_back_after_an_error(before):
    with contextlib.suppress(ValueError), blas_threads(1):
        raise ValueError
    assert now() == before


def in_another_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(300)


def test_another_thread_may_have_its_turn_afterwards(before):
    def one():
        with blas_threads(1):
            return now()

    with blas_threads(1):
        pass
    assert in_another_thread(one) == {1}
    assert now() == before
    assert one() == {1}


def test_while_one_thread_is_inside_another_changes_nothing(before):
    def two():
        with blas_threads(2):
            return now()

    with blas_threads(1):
        assert in_another_thread(two) == {1}
        assert now() == {1}
    assert now() == before


def test_whoever_stays_longer_than_the_first_keeps_nothing(before):
    entered, left = threading.Event(), threading.Event()

    def long():
        with blas_threads(2):
            entered.set()
            left.wait(300)

    with ThreadPoolExecutor(1) as pool:
        with blas_threads(1):
            other = pool.submit(long)
            assert entered.wait(300)
        left.set()
        other.result(300)
    assert now() == before


def test_the_usual_limits_limit(monkeypatch):
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    assert available() == len(processors()) >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    assert available() == len(processors())
    monkeypatch.setenv("BYHAND_THREADS", "0")
    assert available() == 1
    for word in ("many", "²"):
        monkeypatch.setenv("BYHAND_THREADS", word)
        assert available() == len(processors())


def test_one_who_fails_to_ask_the_blas_gives_the_word_back(monkeypatch):
    from byhand import threads

    def broken():
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(threads, "blas_libraries", broken)
        with pytest.raises(OSError), threads.blas_threads(1):  # noqa: PT011
            pytest.fail("it never gets here")
    before = [library.num_threads for library in threads.blas_libraries()]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limited, threads).result() == [1 for _ in before]
    assert [library.num_threads for library in threads.blas_libraries()] == before


def limited(threads):
    with threads.blas_threads(1):
        return [library.num_threads for library in threads.blas_libraries()]
