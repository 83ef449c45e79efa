"""What all tests share: a cache of their own, and honesty about what was not run.

`BYHAND_DATA` names a folder with the full MNIST; without it the tests marked `full_mnist` are skipped, with the reason.
Where `BYHAND_REQUIRE_FULL_MNIST` is set they must run, and without the data they fail.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is slow, not wrong: the time of an example says nothing about the code.
settings.register_profile("byhand", deadline=None)
settings.load_profile("byhand")

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("COLUMNS", None)  # how wide somebody's terminal is; xdist says 80, and lines would be broken

# `pytest -n 2` runs two workers. A BLAS with two threads is many times slower where one of its processors is busy, so
# each worker, with all that it starts, keeps to a processor of its own; before NumPy is there, which asks how many.
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(processors)]})


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or fills the user's cache."""
    before = os.environ.get("BYHAND_CACHE")
    os.environ["BYHAND_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["BYHAND_CACHE"]
    else:
        os.environ["BYHAND_CACHE"] = before


@pytest.fixture(scope="session")
def full_mnist():
    """The full MNIST, or a skip that says why."""
    import byhand

    if not has_full_mnist():
        pytest.skip("needs the full MNIST: set BYHAND_DATA to its folder")
    return byhand.load("mnist", offline=True)


def has_full_mnist() -> bool:
    folder = os.environ.get("BYHAND_DATA")
    return bool(folder) and Path(folder).is_dir()


@pytest.fixture
def type_in(monkeypatch, capsys):
    """Type a command, in this process: (exit code, stdout, stderr)."""
    from byhand.cli import main

    def typed(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["byhand", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return typed


@pytest.fixture
def run(monkeypatch, type_in, tmp_path):
    """Type a command in an empty folder, without the full MNIST: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    return type_in


@pytest.fixture(scope="session")
def torch():
    """PyTorch, to compare with. It is no dependency: without it the comparison is skipped."""
    return pytest.importorskip("torch", reason="compares with PyTorch, which is no dependency: pip install torch")


def pytest_collection_modifyitems(items):
    required = bool(os.environ.get("BYHAND_REQUIRE_FULL_MNIST"))
    for item in items:
        if item.get_closest_marker("full_mnist") and not has_full_mnist() and not required:
            item.add_marker(pytest.mark.skip(reason="needs the full MNIST: set BYHAND_DATA to its folder"))


def pytest_runtest_setup(item):
    if item.get_closest_marker("full_mnist") and not has_full_mnist():
        pytest.fail("BYHAND_REQUIRE_FULL_MNIST is set, and BYHAND_DATA does not name a folder with the full MNIST")
