"""`byhand course practice`: five minutes with the check, as a notebook and as a file."""

from functools import partial

import pytest

MENDED = "np.sum(X, axis=1, keepdims=True)"


@pytest.fixture
def run(run):
    """Type `byhand course …` in an empty folder: (exit code, stdout, stderr)."""
    return partial(run, "course")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["practice.ipynb", "practice.py"])
def test_the_practice_goes_from_a_mistake_to_a_mark(run, tmp_path, name):
    code, out, err = run("practice", name)
    assert (code, out) == (0, f"wrote {name}\n")
    assert f"byhand course check {name}" in err
    path = tmp_path / name
    blank = path.read_text("utf-8")
    assert f"byhand course practice --mark {name}" in blank
    code, out, _ = run("check", name)
    assert code == 1
    assert "average: 1/m is missing: divide the sum over the samples by their number, m" in out
    path.write_text(blank.replace(MENDED, f"{MENDED} / 5"), encoding="utf-8")
    code, out, _ = run("check", name)
    assert (code, f"Is it a mark? byhand course practice --mark {name}" in out) == (0, True)
    code, out, _ = run("practice", "--mark", name)
    assert (code, "0 of 10 points" in out) == (1, True)
    path.write_text(blank.replace(MENDED, f"{MENDED} / m"), encoding="utf-8")
    code, out, _ = run("practice", "--mark", name)
    assert (code, "\n10 of 10 points" in out) == (0, True)
    assert "whether you know why it works" in out


def test_an_existing_practice_is_kept(run, tmp_path):
    (tmp_path / "practice.ipynb").write_text("my work")
    assert run("practice")[:2] == (0, "kept the existing practice.ipynb\n")
    assert (tmp_path / "practice.ipynb").read_text() == "my work"


def test_a_practice_must_be_a_notebook_or_a_python_file(run):
    code, _, err = run("practice", "practice.txt")
    assert code == 2
    assert "NOTEBOOK must be a .ipynb or .py file, got practice.txt" in err
