"""The two tiers of the tests: some cases of a long table in the first, all others in the second."""

from collections.abc import Sequence

import pytest


def tiers(count: int, cases: Sequence) -> list:
    """Return the cases of a table, all but the first `count` marked slow."""
    others = [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow) for case in cases[count:]
    ]
    return [*cases[:count], *others]
