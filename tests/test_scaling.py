"""The scaling model, computed by hand, and the tables of docs/scaling.md."""

import json
from pathlib import Path

import pytest

from helpers.needs import needs

needs("scipy")

from benchmarks import scaling
from benchmarks.scaling import Cluster, Rank, Wire

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

needs_results = pytest.mark.skipif(
    not (RESULTS / "scaling.json").exists(), reason="the measurements are not in benchmarks/results"
)


def test_parts_of_a_step_agree_with_the_computation_by_hand():
    """[3, 20, 10]: 20 units are computed as 32, 10 as 16; dX is needed in the second layer only."""
    assert scaling.products([3, 20, 10], rows=5) == 2 * (2 * 5 * 3 * 32) + 3 * (2 * 5 * 20 * 16)
    assert scaling.parameters([3, 20, 10]) == 4 * 20 + 21 * 10
    assert scaling.moved(4, 100) == 2 * 3 / 4 * 400
    wire = Wire(latency=10.0, pace=100.0)
    assert [wire.sum(ranks, 100) for ranks in (1, 2, 4)] == [0.0, 10 + 4, 20 + 6]


def test_a_step_of_several_ranks_agrees_with_the_computation_by_hand():
    rank = Rank(overhead=1.0, rate=1e3, descent=0.01, memory=0.1)
    own = 1 + scaling.products([1, 16], 4) / 1e3 + 32 * (0.01 + 2 * 0.1)
    two = Cluster(rank, Wire(0.5, 256.0))
    assert two.step([1, 16], 8, 2, ranks=2) == pytest.approx(own + 0.5 + 0.5)
    assert Cluster(rank, Wire(0.5, 256.0), processors=1).step([1, 16], 8, 2, ranks=2) == pytest.approx(2 * (own + 1))


@needs_results
def test_the_page_has_the_tables_of_the_model():
    measured, constants = (json.loads((RESULTS / name).read_text("utf-8")) for name in ("mpi.json", "scaling.json"))
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    assert scaling.fitted(measured) == pytest.approx(constants, rel=0.01)
    assert scaling.filled(page, scaling.tables(constants, measured)) == page
    assert scaling.filled(page, {"fit": "other"}) != page


@needs_results
def test_the_model_fits_the_measurements():
    measured, constants = (json.loads((RESULTS / name).read_text("utf-8")) for name in ("mpi.json", "scaling.json"))
    assert max(map(abs, scaling.errors(scaling.cluster(constants), measured))) < 0.15
