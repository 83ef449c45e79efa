"""docs/promises.md: every promise names existing tests, and its figures are those of the results."""

import json
import re
from pathlib import Path

import pytest

from helpers.processes import python

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "promises.md").read_text("utf-8")
RESULTS = ROOT / "benchmarks" / "results" / "rack.json"
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def promises(page):
    """Return each item of the lists before "What is not promised", on one line."""
    body = page.split("## What is not promised")[0]
    return [" ".join(item.split()) for item in re.split(r"\n- ", body)[1:]]


def functions_in(path):
    return set(re.findall(r"^def (\w+)\(", path.read_text("utf-8"), re.MULTILINE))


def missing(page):
    """Return the named tests that do not exist."""
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    return [
        f"{file}::{name}"
        for file, name in NAMED.findall(page)
        if file not in files or name not in functions_in(files[file])
    ]


def test_every_promise_names_its_tests():
    assert len(promises(PAGE)) > 30
    assert [promise for promise in promises(PAGE) if not NAMED.search(promise)] == []


def test_every_named_test_exists():
    assert missing(PAGE) == []


def test_a_missing_test_is_found():
    assert missing("`test_promises.py::test_that_was_renamed` `test_gone.py::test_x`") == [
        "test_promises.py::test_that_was_renamed",
        "test_gone.py::test_x",
    ]


def test_figures_of_long_runs_are_those_of_the_results():
    if not RESULTS.exists():
        pytest.skip("the results are not in benchmarks/results")
    found = json.loads(RESULTS.read_text("utf-8"))
    for figure in (
        f"| kills | {found['kills']['kills']:,} in {found['kills']['runs']:,} runs |",
        f"| faults | {found['faults']['faults']:,} |",
        f"| full disks | {found['full_disks']['disks']:,} |",
        f"| configurations | {found['configurations']['tried']:,} |",
        f"| mutations | {found['mutations']['tried']:,} |",
    ):
        assert figure in PAGE
    assert all(found[part]["lost"] == 0 for part in ("kills", "faults", "full_disks"))


def test_the_measured_cost_of_checkpoints_is_under_two_percent():
    results = RESULTS.with_name("checkpoints.json")
    if not results.exists():
        pytest.skip("the results are not in benchmarks/results")
    found = {name: values for name, values in json.loads(results.read_text("utf-8")).items() if "-" in name}
    assert len(found) == 2
    for name, run in found.items():
        assert run["seconds"] >= 30
        assert run["share_of_time"] < 0.02
        assert f"| {name} | {run['seconds']:.0f} s | {run['saves']} | {run['megabytes']} MB |" in PAGE
        assert f"| {run['share_of_time']:.1%} |" in PAGE


def test_importing_byhand_loads_nothing_else():
    code = (
        "import sys; before = {name.split('.')[0] for name in sys.modules}; import byhand\n"
        "new = {name.split('.')[0] for name in sys.modules} - before - set(sys.stdlib_module_names)\n"
        "assert new == {'byhand'}, new"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
