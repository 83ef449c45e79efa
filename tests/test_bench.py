"""Benchmarks: all contestants do the same work, and the figures are computed correctly.

No test here asserts a time, because machines may be busy. PyTorch, JAX and onnxruntime take part if installed.
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import busy, flat_numpy, memory, reading, results, rounds, tables
from benchmarks.__main__ import cli
from benchmarks.contestants import CONTESTANTS, FLAT, contestant
from benchmarks.work import Work
from byhand.errors import MissingExtraError, UsageError
from byhand.model import Model
from byhand.training.plan import plan_for
from helpers.needs import needs

# No short last batch: scikit-learn's mean loss is over samples, the others' over batches.
SMALL = Work((784, 12, 10), 32, images=384, data="mnist-5k")
SMALL_ADAM = Work((784, 12, 10), 32, "adam", images=384, rate=0.001, data="mnist-5k")
WHOLE = Work((784, 12, 10), None, images=400, data="mnist-5k")
NEEDS = {"PyTorch": "torch", "JAX": "jax", "scikit-learn": "sklearn"}


def made(name, work):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return contestant(name, work)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name not in ("byhand", "assignment")])
@pytest.mark.parametrize("work", [SMALL, SMALL_ADAM, WHOLE], ids=["SGD", "Adam", "whole"])
def test_every_contestant_reaches_the_same_loss(name, work):
    last = 10 if work.batch is None else 0
    theirs = made(name, work).run_epochs(0, last + 1)
    assert theirs == pytest.approx(contestant("byhand", work).run_epochs(0, last + 1), rel=2e-4)


def test_the_assignment_reaches_the_same_loss_in_float64():
    theirs = contestant("assignment", WHOLE).run_epochs(0, 11)
    assert theirs == pytest.approx(contestant("byhand", WHOLE).run_epochs(0, 11), rel=1e-5)
    with pytest.raises(ValueError, match="whole data as one batch"):
        contestant("assignment", SMALL)


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.05), ("adam", 0.001)])
def test_flat_numpy_trains_on_every_sample_with_a_short_last_batch(optimizer, rate):
    work = Work((784, 12, 8, 10), 32, optimizer, images=410, rate=rate, data="mnist-5k")
    trainer = contestant(FLAT, work)
    losses = [trainer.epoch(number) for number in range(4)]
    assert losses[0] == pytest.approx(contestant("byhand", work).epoch(0), rel=1e-5)
    assert losses == sorted(losses, reverse=True)
    assert trainer.step_number == 4 * 13


def test_flat_numpy_uses_as_many_blas_threads_as_byhand(monkeypatch):
    counts = []

    def recorded(count):
        counts.append(count)
        return contextlib.nullcontext()

    monkeypatch.setattr(flat_numpy, "blas_threads", recorded)
    contestant(FLAT, SMALL).epoch(0)
    assert counts == [plan_for(Model([784, 12, 10]).network, 32).blas]


def test_only_the_first_epoch_is_in_order():
    labels = SMALL.pictures[1]
    batches = contestant("byhand", SMALL).trainer.batches
    first, second = (np.concatenate([batch.labels for batch in batches.epoch(number)]) for number in (0, 1))
    np.testing.assert_array_equal(first, labels)
    np.testing.assert_array_equal(np.sort(second), np.sort(labels))
    assert (second != labels).any()


@pytest.mark.slow
def test_a_benchmark_measures_and_compares():
    needs("sklearn")
    row = rounds.benchmark(WHOLE, ["byhand", "assignment", "scikit-learn"], 2, lambda line: None)
    seconds = {name: spread["median"] for name, spread in row["seconds_an_epoch"].items()}
    assert set(seconds) == {"byhand", "assignment", "scikit-learn"}
    assert all(0 < value < 60 for value in seconds.values())
    for name, spread in row["times_as_fast_as"].items():
        assert spread["least"] <= spread["median"] <= spread["greatest"], name
    assert row["loss"]["byhand"] == pytest.approx(row["loss"]["assignment"], rel=1e-4)
    assert row["sgemm"]["least"] > 1e9
    assert json.loads(json.dumps(results.rounded(row)))["name"] == "400 × [784, 12, 10]"


def test_ratios_are_computed_within_a_round():
    times = {"byhand": [1.0, 10.0], "other": [2.0, 20.0]}
    row = rounds.outcome(WHOLE, times, [1e9, 1e8], {}, {})
    assert row["times_as_fast_as"]["other"] == {"median": 2.0, "least": 2.0, "greatest": 2.0}
    share = WHOLE.operations / 1e9
    assert row["share_of_sgemm"]["greatest"] == pytest.approx(share)


def test_overhead_over_flat_numpy_is_not_a_speedup():
    times = {"byhand": [1.1, 12.0, 1.0], FLAT: [1.0, 10.0, 1.0], "other": [2.0, 20.0, 2.0]}
    row = rounds.outcome(SMALL, times, [1e9, 1e9, 1e9], {}, {})
    assert row["overhead"] == {"median": 1.1, "least": 1.0, "greatest": 1.2}
    assert list(row["times_as_fast_as"]) == ["other"]


def test_different_losses_of_contestants_are_an_error():
    rounds.check_losses({"byhand": 0.5, "other": 0.501})
    with pytest.raises(UsageError, match=r"byhand and other must reach the same loss, got 0\.500000 and 0\.510000"):
        rounds.check_losses({"byhand": 0.5, "other": 0.51})
    with pytest.raises(UsageError, match="nan"):
        rounds.check_losses({"byhand": 0.5, "other": float("nan")})


def test_a_contestant_that_cannot_start_reports_why():
    with (
        pytest.raises(UsageError, match=r"byhand: mnist-5k has 4,000 images, but the work needs 60,000"),
        rounds.workers(["byhand"], Work((784, 10), None, data="mnist-5k")),
    ):
        pass


def test_a_peer_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"this needs torch: pip install '\.\[bench\]'"):
        contestant("PyTorch", SMALL)


def test_operations_agree_with_the_count_by_hand():
    # 3 samples, 2 → 4 → 5: forward 2·2·4 + 2·4·5, dW as many, dX of the second layer 2·4·5
    assert Work((2, 4, 5), None, images=3).operations == 3 * (2 * (16 + 40) + 40)


@pytest.mark.slow
def test_all_libraries_give_the_same_predictions():
    needs("torch")
    needs("onnxruntime")
    figures = reading.benchmark(1, lambda line: None, data="mnist-5k")
    assert set(figures["works"]) == {"from bytes", "from floats"}
    for work in figures["works"].values():
        assert set(work["milliseconds"]) == {"byhand", "scikit-learn", "PyTorch", "onnxruntime"}
        assert max(work["largest_difference"].values()) < 1e-5


def test_peak_memory_is_measured_in_separate_processes():
    with pytest.raises(UsageError, match=r"could not be measured: .*no-such-kind"):
        memory.in_process("no-such-kind", 10)
    assert 1e7 < memory.anonymous() < memory.peak()


WORK = {
    "milliseconds": {"byhand": {"median": 1.0}, "PyTorch": {"median": 2.0}},
    "times_as_fast_as": {"PyTorch": {"median": 2.0, "least": 1.9, "greatest": 2.1}},
}
FIGURES = {"images": 7, "works": {"from bytes": WORK, "from floats": WORK}}


def test_tables_replace_the_text_between_their_marks(tmp_path):
    results.write(tmp_path, "reading", FIGURES, ["scikit-learn"])
    document = tmp_path / "page.md"
    text = (
        "before\n<!-- bench: reading -->\nold\n<!-- /bench -->\nafter\n<!-- bench: growth -->\nkept\n<!-- /bench -->\n"
    )
    document.write_text(text)
    assert tables.fill(document, tmp_path) == ["growth"]
    filled = document.read_text()
    assert "| PyTorch | 2.0 ms | 2.00× (1.90–2.10) | 2.0 ms | 2.00× (1.90–2.10) |" in filled
    assert "old" not in filled
    assert filled.startswith("before\n<!-- bench: reading -->\n| 7 images | time from bytes | speedup |")
    assert filled.endswith("after\n<!-- bench: growth -->\nkept\n<!-- /bench -->\n")
    assert tables.fill(document, tmp_path) == ["growth"]
    assert document.read_text() == filled


def test_the_table_of_mini_batches_has_the_overhead_if_measured():
    times = {"byhand": [1.05], FLAT: [1.0], "PyTorch": [2.1]}
    row = rounds.outcome(SMALL, times, [1e9], {}, {})
    head, _, line = tables.TABLES["mini-batches"]([row]).splitlines()
    assert head == "| work | time per epoch | overhead | speedup vs PyTorch | % of peak GEMM throughput |"
    assert line.startswith("| [784, 12, 10], 32, SGD | 1.050 s | 1.05× (1.05–1.05) | 2.00× (2.00–2.00) |")
    del row["overhead"]
    head, _, line = tables.TABLES["mini-batches"]([row]).splitlines()
    assert "overhead" not in head
    assert line.startswith("| [784, 12, 10], 32, SGD | 1.050 s | 2.00× (2.00–2.00) |")


def test_a_missed_target_is_marked():
    accuracy = {"byhand": {"median": 0.981}, "other": {"median": 0.97}}
    seconds = {name: {"median": 1.0} for name in accuracy}
    speedup = {"other": {"median": 2.0, "least": 1.9, "greatest": 2.1}}
    figures = {"target": 0.98, "seconds": seconds, "accuracy": accuracy, "times_as_fast_as": speedup}
    table = tables.TABLES["target"](figures)
    assert "| whole process | time | test accuracy | speedup |" in table
    assert "| byhand | 1.00 s | 98.10% |  |" in table
    assert "| other | 1.00 s | 97.00% (target not reached) | 2.00× (1.90–2.10) |" in table


def test_the_pages_show_the_stored_results(tmp_path):
    root = Path(__file__).parent.parent
    for page in ("README.md", "docs/performance.md", "docs/recipes.md", "docs/handwriting.md"):
        copy = tmp_path / Path(page).name
        copy.write_bytes((root / page).read_bytes())
        assert tables.fill(copy, root / "benchmarks" / "results") == []
        assert copy.read_bytes() == (root / page).read_bytes()


def test_a_result_of_an_older_version_is_rejected(tmp_path):
    results.write(tmp_path, "reading", WORK, ["scikit-learn"])
    document = tmp_path / "page.md"
    document.write_text("<!-- bench: reading -->\nold\n<!-- /bench -->\n")
    with pytest.raises(UsageError, match=r"reading\.json must be measured again: another version wrote it \('works'\)"):
        tables.fill(document, tmp_path)
    assert "old" in document.read_text()


def test_a_result_that_is_not_json_is_rejected(tmp_path):
    (tmp_path / "reading.json").write_text("{")
    with pytest.raises(UsageError, match=r"reading\.json must hold a suite's results"):
        results.read(tmp_path, "reading")


@pytest.mark.slow
def test_the_startup_suite_runs_from_the_command_line(tmp_path):
    ended = CliRunner().invoke(cli, ["startup", "--rounds", "1", "--out", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    assert "| `byhand --help` |" in ended.output
    machine = json.loads((tmp_path / "startup.json").read_text())["machine"]
    assert machine["versions"]["numpy"] == np.__version__
    assert machine["cores"] >= 1


@pytest.mark.slow
def test_the_busy_suite_measures_processes_beside_busy_loops(tmp_path, monkeypatch):
    monkeypatch.setattr(busy, "PROCESSES", {"nothing": ["-c", "pass"]})
    monkeypatch.setattr(busy, "LOADS", (0, 1))
    ended = CliRunner().invoke(cli, ["busy", "--rounds", "2", "--out", str(tmp_path), "-q"])
    assert ended.exit_code == 0, ended.output
    assert ended.output.count("| `nothing` |") == 2
    assert json.loads((tmp_path / "busy.json").read_text())["figures"][1]["busy_loops"] == 1


def test_the_default_is_compared_with_the_best_setting_round_by_round():
    taken = {"default": [(2.0, 3.0), (4.0, 3.5)], "slow": [(5.0, 1.0), (9.0, 1.0)], "quick": [(2.0, 2.5), (2.0, 2.5)]}
    row = busy.figures("byhand train", 2, taken)
    assert (row["best"], row["default_against_best"]["greatest"]) == ("quick", 2.0)
    line = "| `byhand train` | 2 | 3.00 s | 7.00 s | 2.00 s | 1.50× (1.00–2.00) | 3.25 s | 2.50 s |"
    assert line in tables.busy([row])


def test_help_lists_the_suites_and_loads_none():
    ended = CliRunner().invoke(cli, ["--help"])
    assert all(name in ended.output for name in ("full-batch", "mini-batches", "target", "accuracy", "tables"))
    assert CliRunner().invoke(cli, ["nothing"]).exit_code == 2
