"""The accuracy benchmark: runs, variants of the images, and tables."""

import json
import shutil
import sys

import numpy as np
import pytest

import byhand
from benchmarks import accuracy, robustness, tables
from benchmarks.__main__ import main
from benchmarks.robustness import PLAIN, VARIANTS, Images
from byhand.errors import ByhandError, UsageError
from byhand.model import shipped_model
from byhand.model.ensemble import Ensemble, ShiftAveraged
from helpers.needs import needs

pytestmark = pytest.mark.slow
SAMPLE = byhand.load("mnist-5k").test


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


def bench(monkeypatch, capsys, home, *words):
    """Run `python -m benchmarks accuracy` on the bundled sample: (exit code, stdout, stderr)."""
    standard = ["--data", "mnist-5k", "--runs", str(home / "runs"), "--out", str(home / "results")]
    monkeypatch.setattr(sys, "argv", ["benchmarks", "accuracy", *standard, *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_presets_are_trained_once_and_their_results_collected(home, monkeypatch, capsys):
    code, out, err = bench(monkeypatch, capsys, home, "--preset", "fast", "--seeds", "3,4", "--pace", "1", "--json")
    assert code == 0, err
    row = json.loads(out)["accuracy"]["presets"]["fast"]
    models = [byhand.Model.load(home / "runs" / f"fast-{seed}" / "model.safetensors") for seed in (3, 4)]
    assert row["accuracy"] == [model.accuracy(SAMPLE) for model in models]
    assert row["mean"] == pytest.approx(sum(row["accuracy"]) / 2)
    assert row["spread"] == pytest.approx(abs(row["accuracy"][0] - row["accuracy"][1]))
    P = (models[0].probabilities(SAMPLE.images) + models[1].probabilities(SAMPLE.images)) / 2
    assert row["committee_of_all"] == np.mean(P.argmax(axis=1) == SAMPLE.labels)
    assert row["accuracy_shifted"] == [ShiftAveraged(model).accuracy(SAMPLE) for model in models]
    assert row["committee_shifted"] == ShiftAveraged(Ensemble(models)).accuracy(SAMPLE)
    assert (row["seeds"], row["tested_on"]) == ([3, 4], 1000)
    assert all(seconds > 0 for seconds in [*row["process_seconds"], *row["training_seconds"]])
    assert row["pace"]["whole_training_seconds"] > 0
    kept = json.loads((home / "results" / "accuracy.json").read_text())
    assert kept["machine"]["versions"]["numpy"] == np.__version__
    assert kept["figures"]["data"] == SAMPLE.name

    code, out, err = bench(monkeypatch, capsys, home, "--preset", "fast", "--seeds", "3")
    assert code == 0
    assert "fast-3: finished already" in err
    again = json.loads((home / "results" / "accuracy.json").read_text())["figures"]["presets"]["fast"]
    assert again["process_seconds"] == [pytest.approx(row["process_seconds"][0], abs=1e-3)]
    assert "| `fast` | 784-192-10, deskewed |" in out


def test_results_of_other_presets_are_kept(home, monkeypatch, capsys):
    path = home / "results" / "accuracy.json"
    if not path.exists():
        pytest.fail("the test before this one writes it")
    kept = json.loads(path.read_text())
    kept["figures"]["presets"]["best"] = kept["figures"]["presets"]["fast"]
    path.write_text(json.dumps(kept))
    code, out, _ = bench(monkeypatch, capsys, home, "--preset", "fast", "--seeds", "3")
    assert code == 0
    assert "`best`" in out
    kept["figures"]["data"] = "something else"
    path.write_text(json.dumps(kept))
    code, _, err = bench(monkeypatch, capsys, home, "--preset", "fast", "--seeds", "3")
    assert code == UsageError.exit_code
    assert "holds figures for something else, the new ones are for mnist-5k" in err


OTHERS = {
    "seed": lambda config: config | {"seed": 8},
    "network": lambda config: config | {"network": [*config["network"][:1], {"kind": "activation", "name": "tanh"}]},
    "preparation": lambda config: config | {"preparation": {"divisor": 256}},
    "recipe": lambda config: config | {"recipe": config["recipe"] | {"epochs": 5}},
    "no recipe": lambda config: {"preset": "fast", "seed": 9},
}


def test_a_run_older_than_a_setting_counts_as_its_default(home, monkeypatch, capsys):
    folder = home / "runs" / "fast-3"
    config = json.loads((folder / "config.json").read_text())
    del config["recipe"]["gentle"]
    (folder / "config.json").write_text(json.dumps(config))
    code, _, err = bench(monkeypatch, capsys, home, "--preset", "fast", "--seeds", "3", "--out", home / "once more")
    assert code == 0, err
    assert "fast-3: finished already" in err


@pytest.mark.parametrize("other", OTHERS)
def test_a_run_with_other_settings_is_rejected(home, monkeypatch, capsys, other):
    config = json.loads((home / "runs" / "fast-3" / "config.json").read_text()) | {"seed": 9}
    folder = home / "runs" / "fast-9"
    shutil.copytree(home / "runs" / "fast-3", folder, dirs_exist_ok=True)
    (folder / "config.json").write_text(json.dumps(OTHERS[other](config)))
    code, _, err = bench(monkeypatch, capsys, home, "--preset", "fast", "--seeds", "9")
    assert code == UsageError.exit_code
    assert "fast-9: must be a run of the preset fast as it is now, with the seed 9" in err


@pytest.mark.parametrize("seeds", ["", "a", "1,1", "-1", "1.5", "0,,2"])
def test_invalid_seeds_are_rejected(home, monkeypatch, capsys, seeds):
    code, _, err = bench(monkeypatch, capsys, home, "--seeds", seeds)
    assert code == UsageError.exit_code
    assert "must be different integers separated by commas" in err


def test_a_failed_training_is_reported_with_its_error(tmp_path):
    with pytest.raises(ByhandError, match=r"byhand train --resume .*no such run"):
        accuracy.train("--resume", str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_changes_the_image_and_stays_readable(name):
    digits = SAMPLE[:40]
    made = robustness.normalized(digits, {name: VARIANTS[name]})
    assert made[name].rejected == 0
    assert made[name].images.shape == (40, 28, 28)
    assert robustness.accuracy_of(shipped_model(), made)[name] >= 0.85
    if name != PLAIN:
        picture = VARIANTS[name](digits.images[3], np.random.default_rng(0))
        assert picture.dtype == np.uint8
        assert picture.shape != (28, 28) or (picture != digits.images[3]).any()


def ink(name, seed=0, index=2):
    """Return the ink of a variant, in pixels of the original image."""
    picture = VARIANTS[name](SAMPLE.images[index], np.random.default_rng(seed)).astype(float)
    return picture.sum() / 255


def test_variants_match_their_names():
    image = SAMPLE.images[2]
    plain = image.sum() / 255
    np.testing.assert_array_equal(VARIANTS["inverted"](image, np.random.default_rng(0)), 255 - image)
    assert ink("scaled by 0.7") == pytest.approx(0.49 * plain, rel=0.1)
    assert ink("scaled by 1.3") == pytest.approx(1.69 * plain, rel=0.1)
    assert ink("turned by up to 20°") == pytest.approx(plain, rel=0.05)
    assert ink("three times as large, off-center") == pytest.approx(9 * plain, rel=0.1)
    wide = [ink(name) for name in ("strokes 1 pixel narrower", "strokes 1 pixel wider", "strokes 2 pixels wider")]
    assert wide[0] < 0.8 * 16 * plain < 16 * plain < wide[1] < wide[2]
    dot = np.zeros((28, 28), np.uint8)
    dot[14, 14] = 255
    places = [np.argwhere(robustness.moved(dot, np.random.default_rng(seed))) for seed in range(200)]
    reach = np.concatenate(places) - 14
    assert reach.min() == -4
    assert reach.max() == 4
    paper = VARIANTS["photographed, uneven light"](np.zeros((28, 28), np.uint8), np.random.default_rng(0))
    in_order = np.sort(paper.ravel())
    assert in_order[100] < 120
    assert in_order[-100] > 210


def test_a_stroke_grows_by_the_stated_pixels():
    bar = np.zeros((28, 28), np.uint8)
    bar[:, 12:16] = 255
    width = {
        name: int((VARIANTS[name](bar, np.random.default_rng(0))[60] > 127).sum()) / 4
        for name in VARIANTS
        if "strokes" in name
    }
    assert width == {"strokes 1 pixel wider": 5.0, "strokes 2 pixels wider": 6.0, "strokes 1 pixel narrower": 3.0}


def test_a_rejected_image_counts_as_a_mistake():
    blank = np.zeros((28, 28), np.uint8)
    pictures = robustness.normalize_all([SAMPLE.images[0], blank], SAMPLE.labels[:2])
    assert (len(pictures.images), pictures.rejected) == (1, 1)

    class Right:
        def predict(self, images):
            return SAMPLE.labels[: len(images)]

    assert robustness.accuracy_of(Right(), {"v": pictures}) == {"v": 0.5}
    assert robustness.accuracy_of(Right(), {"v": Images(pictures.images[:0], pictures.labels[:0], 3)}) == {"v": 0.0}


def test_variants_that_cost_too_much_accuracy_are_listed():
    shares = {PLAIN: 0.99, "inverted": 0.98, "scaled by 0.7": 0.97, "turned by up to 20°": 0.965}
    assert robustness.too_costly(shares) == {"scaled by 0.7": pytest.approx(2.0)}


def test_digits_of_another_data_set_are_recognized():
    needs("sklearn")
    digits = robustness.small_digits()
    assert (len(digits), digits.images.shape, digits.images.max()) == (1797, (1797, 8, 8), 255)
    first = robustness.normalized(digits[:30], robustness.ENLARGED)
    assert next(iter(robustness.accuracy_of(shipped_model(), first).values())) > 0.8


def test_the_table_of_accuracy_uses_the_extrapolated_time_if_measured():
    row = {
        "network": "784-800-800-10",
        "preparation": {"deskew": True},
        "recipe": {"augment": "shift=1"},
        "accuracy": [0.9951, 0.9953],
        "accuracy_shifted": [0.9954, 0.9958],
        "committee_of_all": 0.9961,
        "training_seconds": [4000.0, 5000.0],
    }
    table = tables.TABLES["accuracy"]({"presets": {"best": row}})
    line = "| `best` | 784-800-800-10, deskewed, augmented | {} | 99.51, 99.53 % | **99.52 %** | 99.56 % | 99.61 % |"
    assert line.format("75 min") in table
    table = tables.TABLES["accuracy"]({"presets": {"best": row | {"pace": {"whole_training_seconds": 600.0}}}})
    assert line.format("10 min") in table


def test_a_run_that_was_killed_before_its_first_step_is_begun_again(home, monkeypatch):
    words = []
    monkeypatch.setattr(accuracy, "train", lambda *given: words.extend(given))
    byhand.training.runs.Run(home / "new" / "fast-3").write_config({})
    accuracy.train_run("fast", 3, "mnist-5k", home / "new", lambda line: None)
    assert words[:2] == ["--preset", "fast"]
