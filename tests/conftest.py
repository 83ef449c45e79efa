"""Set-up for all tests: the two tiers, a cache of their own, and a summary of the tests that were not run.

`pytest` runs the first tier, `pytest -m slow` the second: the tests marked `slow`, which need a browser, PyTorch, the
full MNIST, other processes for long, or more than a second. `BYHAND_DATA` names a folder with the full MNIST.
"""

import os
import sys
from collections import Counter

import pytest
from hypothesis import settings

from helpers.needs import full_mnist_folder, needs

#: Fixtures and markers that put a test into the second tier.
SLOW = {"browser", "torch", "full_mnist", "mpiexec_found"}

not_run = {"slow": 0}


def pytest_configure(config):
    settings.register_profile("byhand", deadline=None)  # the duration of an example depends on the machine's load
    settings.load_profile("byhand")
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.pop("COLUMNS", None)  # xdist sets it to 80, which would wrap long lines
    # Each worker of `pytest -n 2` keeps to one processor, with all processes that it starts: two processes with two
    # BLAS threads each are many times slower. NumPy reads the number of processors when it is imported, after this.
    if hasattr(config, "workerinput") and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        worker = int(config.workerinput["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, {processors[worker % len(processors)]})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if SLOW & {*item.fixturenames, *(mark.name for mark in item.iter_markers())}:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the tests from reading or filling the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BYHAND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def full_mnist():
    """The full MNIST; without its files the test is skipped."""
    import byhand

    full_mnist_folder()
    return byhand.load("mnist", offline=True)


@pytest.fixture
def type_in(monkeypatch, capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""
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
    """Run a command in an empty folder, without the full MNIST: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    return type_in


@pytest.fixture(scope="session")
def torch():
    return needs("torch")


def pytest_runtest_setup(item):
    if item.get_closest_marker("full_mnist"):
        full_mnist_folder()


def pytest_deselected(items):
    not_run["slow"] += sum(item.get_closest_marker("slow") is not None for item in items)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["not run"] = not_run


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    not_run.update(getattr(node, "workeroutput", {}).get("not run", {}))  # each worker collects all tests


@pytest.hookimpl(wrapper=True, tryfirst=True)  # after pytest's list of failures
def pytest_terminal_summary(terminalreporter):
    yield
    skipped = [report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])]
    packages = [reason for reason in skipped if reason.startswith("needs the package")]
    others = Counter(reason for reason in skipped if reason not in packages)
    names = sorted({reason.split()[-1].partition(".")[0] for reason in packages})
    if not_run["slow"]:
        terminalreporter.write_line(f"not run: {not_run['slow']} slow tests, which `pytest -m slow` runs")
    if packages:
        terminalreporter.write_line(f"not run: {len(packages)} tests or files without the packages {', '.join(names)}")
    if others:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in sorted(others.items()))
        terminalreporter.write_line(f"not run: {reasons}")
