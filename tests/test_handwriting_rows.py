"""Rows of digits: slices, cuts, segments and boxes of drawn rows, and their definitions computed otherwise."""

import json

import pytest

from helpers.drawn_rows import GOLDEN, found, pages, pictures

EXPECTED = json.loads(GOLDEN.read_text("utf-8"))
CASES = [*pictures(), *pages()]


@pytest.mark.parametrize(("name", "picture"), CASES, ids=[name for name, _ in CASES])
def test_a_drawn_row_has_the_golden_slices_and_segments(name, picture):
    assert found(name, picture) == EXPECTED[name]
