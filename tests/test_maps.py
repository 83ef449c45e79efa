"""`--maps`: convolutions from the command line, from parsing to resuming."""

import json
import re

import pytest

from byhand.errors import UsageError
from byhand.training import preset
from byhand.training.recipe import maps_of, with_overrides
from byhand.training.runs import load_model

TINY = ("train", "--data", "mnist-5k", "--samples", 600, "--hidden", 8, "--batch-size", 64)


@pytest.mark.parametrize(
    ("text", "maps"), [("32,64", (32, 64)), (" 16@3/1, 32@4 ,8", ((16, 3, 1), (32, 4), 8)), ("none", ()), ("", ())]
)
def test_maps_are_parsed(text, maps):
    assert maps_of(text) == maps


@pytest.mark.parametrize("text", ["a", "3@", "3@4/", "3,,4", "-3", "1@2/3/4", "1.5", "٣", "9" * 7])
def test_invalid_maps_are_rejected_with_the_syntax(text):
    with pytest.raises(UsageError, match=re.escape("maps must be like 32,64 or 16@3/1,32@4/2")):
        maps_of(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--maps", "4,4,4,4"),
            "each convolution must fit its input, got [4, 4, 4, 4]: the window must fit the image of 4 × 4, ",
        ),
        (("--maps", "many"), "maps must be like 32,64"),
    ],
)
def test_maps_that_do_not_fit_give_a_one_line_error(type_in, tmp_path, words, message):
    code, out, err = type_in(*TINY, *words, "--run", tmp_path / "r", "--quiet")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("byhand: ")
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_run_with_convolutions_is_trained_evaluated_and_resumed(type_in, tmp_path):
    words = (*TINY, "--maps", "4@3/1,6", "--dropout", 0.2, "--augment", "default", "--epochs", 2)
    code, out, err = type_in(*words, "--run", tmp_path / "whole", "--json", "--quiet")
    assert code == 0, err
    assert json.loads(out)["network"] == "784-4@26×26-6@11×11-8-10"
    model = load_model(tmp_path / "whole")
    assert repr(model).startswith("<Model 784-4@26×26-6@11×11-8-10, ")
    assert type_in("eval", tmp_path / "whole", "--json")[0] == 0

    assert type_in(*words[:-1], 1, "--run", tmp_path / "cut", "--quiet")[0] == 0
    assert type_in("train", "--resume", tmp_path / "cut", "--maps", 4)[0] == 2


def test_the_preset_record_has_convolutions_that_can_be_removed():
    made = {"in_size": 784, "classes": tuple("0123456789"), "seed": 0}
    model, recipe = with_overrides(preset("record"), {}, **made)
    assert model.network.architecture == "784-16@26×26-32@12×12-48@10×10-64@4×4-256-10"
    assert recipe.weak_augment
    dense, _ = with_overrides(preset("record"), {"maps": "none"}, **made)
    assert dense.network.architecture == "784-256-10"
    assert with_overrides(preset("digits"), {"maps": "8"}, **made)[0].network.architecture == "784-8@12×12-256-10"


def test_other_presets_have_no_convolutions():
    for name in ("digits", "fast", "best", "l-layer", "two-layer"):
        model, _ = with_overrides(preset(name), {}, in_size=784, classes=tuple("0123456789"), seed=0)
        assert model.network.parametric_layers == model.network.dense
