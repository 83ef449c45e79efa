"""`byhand check` on right solutions in 62 styles, and on single edits of five of them."""

from pathlib import Path

import pytest

from byhand.course.check import PAGES
from helpers import in_process
from helpers.right_styles import CHANGES, styles
from helpers.single_edits import CAUSES, FACTS, HARMLESS, drawn, edits_of
from helpers.tiers import tiers

STUDENTS = Path(__file__).parent / "students"
EDITS = 12  # for each file; 60 take minutes
BASES = {"as_the_assignment": "l_layer", "in_einsum": "l_layer", "in_loops": "l_layer"}
BASES |= {"two_layer_as_published": "two_layer", "two_layer_rearranged": "two_layer"}


def report(source, page, tmp_path, monkeypatch):
    path = tmp_path / "student.py"
    for folder in ("/kaggle/input/digit-recognizer/", "data/"):  # only the sandbox finds data under another path
        source = source.replace(folder, "")
    path.write_text(source, encoding="utf-8")
    return in_process.check(path, page, monkeypatch, seed=4)


@pytest.mark.parametrize(("number", "page", "source"), tiers(1, [*styles()]), ids=map(str, range(len(CHANGES))))
def test_a_right_solution_in_any_usual_style_is_right(number, page, source, tmp_path, monkeypatch):
    wrong = [one for one in report(source, page, tmp_path, monkeypatch).verdicts if one.status != "right"]
    assert wrong == [], CHANGES[number]


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_single_edits_are_found_and_none_gets_a_wrong_name(base, tmp_path, monkeypatch):
    source = (STUDENTS / f"{base}.py").read_text("utf-8")
    names = [function.name for function in PAGES[BASES[base]].functions]
    unnamed, wrong = [], 0
    for edit in drawn(edits_of(source, names), EDITS, seed=1):
        verdict = report(edit.source, BASES[base], tmp_path, monkeypatch)[edit.function]
        if verdict.status == "right":
            assert verdict.remarks or edit.kind in HARMLESS, edit
            continue
        wrong += 1
        assert set(verdict.mistakes) <= FACTS | CAUSES.get(edit.kind, set()), (str(edit), verdict)
        unnamed += [] if verdict.mistakes else [str(edit)]
    assert len(unnamed) <= 0.1 * wrong, unnamed
