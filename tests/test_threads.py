"""Threads: the number of BLAS threads, and its limits when several threads set it."""

import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from byhand.threads import LIMITS, available, blas_libraries, blas_threads, processors


def now():
    return {library.num_threads for library in blas_libraries()}


@pytest.fixture
def before():
    if not now():
        pytest.skip("threadpoolctl does not know NumPy's BLAS here")
    return now()


def test_the_number_of_blas_threads_is_set_and_restored(before):
    with blas_threads(1):
        assert now() == {1}
        with blas_threads(2):
            assert now() == {2}
        assert now() == {1}
    assert now() == before


def test_the_number_of_blas_threads_is_restored_after_an_error(before):
    with contextlib.suppress(ValueError), blas_threads(1):
        raise ValueError
    assert now() == before


def in_another_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(300)


def test_another_thread_can_set_the_number_afterwards(before):
    def one():
        with blas_threads(1):
            return now()

    with blas_threads(1):
        pass
    assert in_another_thread(one) == {1}
    assert now() == before
    assert one() == {1}


def test_a_second_thread_cannot_change_the_number(before):
    def two():
        with blas_threads(2):
            return now()

    with blas_threads(1):
        assert in_another_thread(two) == {1}
        assert now() == {1}
    assert now() == before


def test_a_thread_that_ends_later_does_not_keep_its_number(before):
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


def test_environment_variables_limit_the_number_of_threads(monkeypatch):
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


def test_an_error_of_the_blas_releases_the_lock(monkeypatch):
    from byhand import threads

    def broken():
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(threads, "blas_libraries", broken)
        with pytest.raises(OSError), threads.blas_threads(1):  # noqa: PT011
            pytest.fail("no error was raised")
    before = [library.num_threads for library in threads.blas_libraries()]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limited, threads).result() == [1 for _ in before]
    assert [library.num_threads for library in threads.blas_libraries()] == before


def limited(threads):
    with threads.blas_threads(1):
        return [library.num_threads for library in threads.blas_libraries()]


FIT = """
import byhand
model, data = byhand.Model([784, 64, 10], seed=0), byhand.load("mnist-5k").train[:1000]
byhand.fit(model, data, epochs=60, batch_size=128, validation=0.2, augment="none", seed=0, verbose=0)
"""
TRAIN = "-m byhand train --data mnist-5k --samples 1000 --hidden 64 --epochs 60 --validation 0.2 --augment none -q"


@pytest.mark.slow
@pytest.mark.parametrize("words", [TRAIN.split(), ["-c", FIT]], ids=["command", "notebook"])
def test_default_threads_waste_no_processor_time_beside_a_busy_loop(words, tmp_path, busy_loop):
    """Processor time, not the clock: BLAS threads that wait for one another, or for work, occupy a core."""
    alone = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    by_default = {name: value for name, value in os.environ.items() if name not in LIMITS}
    taken = [
        [processor_seconds(words, tmp_path, environment) for environment in (by_default, by_default | alone)]
        for _ in range(3)
    ]
    default, one_thread = map(min, zip(*taken, strict=True))
    assert default < 1.35 * one_thread  # before, it was 1.6 to 2.1


@pytest.fixture
def busy_loop():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield
        process.kill()


def processor_seconds(words, folder, environment):
    """Run Python with these words, and return the user and system time of all its threads."""
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    status, usage = os.wait4(process.pid, 0)[1:]
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime
