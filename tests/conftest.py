"""Set-up for all tests: the two tiers, a cache of their own, and a summary of the tests that were not run.

`pytest` runs the first tier, `pytest -m slow` the second: the tests marked `slow`, which need a browser, PyTorch, the
full MNIST, other processes for long, or more than a second. `BYHAND_DATA` names a folder with the full MNIST. Property
tests (Hypothesis) run in both tiers, with 30 examples in the first and 100 in the second.
"""

import functools
import gc
import os
import signal
import sys
import types
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from helpers import quick_sandbox as quick_sandboxes
from helpers.needs import full_mnist_folder, needs

#: Fixtures and markers that put a test into the second tier.
SLOW = {"browser", "torch", "full_mnist", "mpiexec_found"}
#: Functions that import packages which the extra `test` does not install: the tests that call them are slow.
OPTIONAL = {"needs", "frame_of", "run_onnx"}

#: A line of the files whose tests are all slow.
WHOLLY_SLOW = "\npytestmark = pytest.mark.slow\n"

not_run = {"slow": 0, "files": 0}


def pytest_configure(config):
    # An example has no time limit, because its duration depends on the machine's load.
    examples = 30 if config.option.markexpr == "not slow" else 100
    settings.register_profile("byhand", deadline=None, max_examples=examples)
    settings.load_profile("byhand")
    os.environ.setdefault("MPLBACKEND", "Agg")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in `nohup pytest &`; processes of the tests inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("COLUMNS", None)  # xdist sets it to 80, which would wrap long lines
    # Each worker of `pytest -n 2` keeps to one processor, with all processes that it starts: two processes with two
    # BLAS threads each are many times slower. NumPy reads the number of processors when it is imported, after this.
    if hasattr(config, "workerinput") and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        worker = int(config.workerinput["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, {processors[worker % len(processors)]})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    second_tier = config.option.markexpr == "slow"
    for item in items:
        is_property = second_tier and getattr(item.obj, "is_hypothesis_test", False)
        marks = {*item.fixturenames, *(mark.name for mark in item.iter_markers())}
        if is_property or SLOW & marks or OPTIONAL & {*item.obj.__code__.co_names}:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # thousands of collected tests, which each garbage collection would go through: 10 % of the time


def pytest_ignore_collect(collection_path, config):
    """Skip files of slow tests in the first tier: importing them and their packages takes seconds."""
    if config.option.markexpr == "not slow" and collection_path.suffix == ".py":
        if WHOLLY_SLOW not in collection_path.read_text("utf-8"):
            return None
        not_run["files"] += any(Path(argument).resolve() in collection_path.parents for argument in config.args)
        return True
    return None


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
def forked_sandbox():
    """A stand-in for `subprocess.Popen` that forks a sandbox from one process, which has imported NumPy."""
    process, control = quick_sandboxes.started()
    with process, control:
        yield functools.partial(quick_sandboxes.Process, control)


@pytest.fixture
def quick_sandbox(request, monkeypatch):
    """In the first tier, start the sandboxes of `byhand check` with `forked_sandbox`."""
    if sys.platform == "linux" and not request.node.get_closest_marker("slow"):
        from byhand.course.sandbox import runner

        names = {**vars(runner.subprocess), "Popen": request.getfixturevalue("forked_sandbox")}
        monkeypatch.setattr(runner, "subprocess", types.SimpleNamespace(**names))


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
        files = f" and {not_run['files']} files of them" * bool(not_run["files"])
        terminalreporter.write_line(f"not run: {not_run['slow']} slow tests{files}, which `pytest -m slow` runs")
    if packages:
        terminalreporter.write_line(f"not run: {len(packages)} tests or files without the packages {', '.join(names)}")
    if others:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in sorted(others.items()))
        terminalreporter.write_line(f"not run: {reasons}")
