"""The same network in other libraries: examples/side_by_side print the same losses, to the last digit."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.needs import needs

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "side_by_side"
PAGE = (ROOT / "docs" / "book" / "12-one-layer-three-ways.md").read_text("utf-8")
LOSSES = [line.strip() for line in PAGE.splitlines() if line.startswith("    2.")]


def losses(name, **environment):
    ran = subprocess.run(
        [sys.executable, FOLDER / f"in_{name}.py"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["numpy", "byhand"])
def test_the_page_and_the_machine_give_the_losses_of_the_chapter(name):
    assert len(LOSSES) == 5
    assert losses(name) == LOSSES


@pytest.mark.slow
def test_pytorch_gives_the_losses_of_the_chapter():
    needs("torch")
    assert losses("pytorch") == LOSSES


@pytest.mark.slow
def test_jax_gives_the_losses_of_the_chapter():
    pytest.importorskip("jax", reason="needs the package jax")
    assert losses("jax") == LOSSES


@pytest.mark.slow
def test_keras_gives_the_losses_of_the_chapter():
    pytest.importorskip("keras", reason="needs the package keras")
    backend = next(name for name in ("jax", "torch") if importlib.util.find_spec(name))
    assert losses("keras", KERAS_BACKEND=backend) == LOSSES
