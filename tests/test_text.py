"""Text: percentages, counts, lists and misspelled names."""

import math

import pytest

from byhand.text import aligned, closest, counted, hanging, html_percent, listed, percent, printable


def test_percent_formats_a_fraction():
    assert [percent(x) for x in (0.98765, 1.0, 0.0, 1e-7)] == ["98.77 %", "100.00 %", "0.00 %", "0.00 %"]
    assert [percent(0.98765, digits) for digits in (0, 1)] == ["99 %", "98.8 %"]
    assert [percent(None), percent(math.nan), percent(None, missing="")] == ["–", "–", ""]


def test_html_percent_has_a_fixed_space_and_marks_tiny_values():
    shown = [html_percent(x) for x in (0.98765, 1.0, 0.0, 1e-7, math.nan, None)]
    assert shown == ["98.77\u00a0%", "100.00\u00a0%", "0.00\u00a0%", "<0.01\u00a0%", "–", "–"]
    assert html_percent(1e-7, 1) == "<0.1\u00a0%"


def test_counted_adds_the_plural():
    assert [counted(n, "epoch") for n in (0, 1, 2000)] == ["0 epochs", "1 epoch", "2,000 epochs"]


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["dW1"], "dW1"), (["dW1", "b"], "dW1 and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listed_joins_names(names, text):
    assert listed(names) == text


def test_closest_finds_a_similar_name():
    assert closest("mnits", ["kmnist", "mnist"]) == "mnist"
    assert closest("photo", ["mnist"]) is None
    assert closest("learnrate", ["learning_rate"], cutoff=0.9) is None


def test_printable_replaces_control_characters():
    assert printable("a\nb\x1b[2J é") == "a·b·[2J é"
    assert printable("x" * 200, 10) == "x" * 10 + "…"


def test_a_table_wider_than_the_terminal_continues_below():
    rows = [["", "a", "b", "c"], ["one", "1", "22", "3.5"]]
    assert aligned(rows) == ["     a   b    c", "one  1  22  3.5"]
    assert aligned(rows, 11) == ["     a   b", "one  1  22", "", "       c", "one  3.5"]
    assert aligned(rows, 1)[3:5] == ["      b", "one  22"]
    assert aligned(rows, gap="") == ["   a b  c", "one1223.5"]


def test_a_text_beside_a_label_is_wrapped_in_a_narrow_terminal():
    assert hanging("data  ", "a long text about it", None) == "data  a long text about it"
    assert hanging("data  ", "a text of two or more lines", 26) == "data  a text of two or\n      more lines"
    assert hanging("test accuracy  ", "of a thousand images", 30) == "test accuracy  of a thousand\n  images"
