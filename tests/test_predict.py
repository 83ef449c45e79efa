"""`byhand predict`: lines of digits, hints, and files that cannot be read."""

import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import byhand
from byhand import Model
from byhand.data.handwriting import normalize
from byhand.data.handwriting.line import is_crowded
from byhand.errors import NothingDrawnError, UsageError
from byhand.model.reading import Reading
from helpers.needs import program

SAMPLE = byhand.load("mnist-5k").test
HINT = "more than one digit? try --line"


@pytest.fixture
def run(run):
    """Type `byhand predict …` in an empty folder: (exit code, stdout, stderr)."""
    return partial(run, "predict")


def on_paper(*digits, side=84):
    """Draw the digits next to each other, dark on light on a larger sheet."""
    large = [np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) for digit in digits]
    return 255 - np.pad(np.concatenate(large, axis=1), ((30, 86), (50, 26)))


def written(path, *indices):
    """Write an image of some bundled test digits; return their labels."""
    Image.fromarray(on_paper(*(SAMPLE.images[index] for index in indices))).save(path)
    return "".join(str(SAMPLE.labels[index]) for index in indices)


def noise(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120), np.uint8)).save(path, "PNG")


def test_each_image_with_several_digits_gives_one_line_of_output(run):
    first, second = written("a.png", 0, 100, 200), written("b.png", 300, 400)
    noise("noise.png")
    code, out, err = run("--line", "a.png", "noise.png", "b.png")
    lines = out.splitlines()
    assert code == 3
    assert [lines[3], lines[-1]] == [first, second]
    assert [line.split()[0] for line in lines[:3]] == ["a.png:1", "a.png:2", "a.png:3"]
    assert err.startswith("byhand: noise.png: no")
    assert err.count("noise.png") == len(err.splitlines()) == 1


def test_a_line_of_digits_has_its_text_in_json(run):
    text = written("a.png", 0, 100, 200)
    noise("noise.png")
    _, out, _ = run("--line", "--json", "a.png", "noise.png")
    line, nothing = json.loads(out)
    assert (line["picture"], line["text"]) == ("a.png", text)
    assert [digit["digit"] for digit in line["digits"]] == list(text)
    assert line["digits"][1]["picture"] == "a.png:2"
    assert nothing["picture"] == "noise.png"
    assert nothing["error"].startswith("noise.png: no")


def test_an_image_named_like_part_of_the_message_is_reported(run):
    noise("no")
    assert run("no")[2].startswith("byhand: no: no digit: ")


def test_several_digits_read_as_one_give_one_hint(run):
    for name in ("a.png", "b.png"):
        written(name, 0, 100)
    code, _, err = run("a.png", "b.png")
    assert (code, err) == (0, f"a.png: {HINT}\n")
    assert HINT not in run("--line", "a.png")[2]
    assert run("-q", "a.png")[2] == ""


def test_several_rows_of_digits_give_a_hint(run):
    rows = [on_paper(*SAMPLE.images[[first, second]]) for first, second in ((0, 100), (200, 300))]
    Image.fromarray(np.concatenate(rows)).save("rows.png")
    code, _, err = run("rows.png")
    assert (code, err) == (0, f"rows.png: {HINT}\n")
    code, _, err = run("--line", "rows.png")
    assert code == 3
    assert "rows.png: no line of digits: the picture has several rows; cut it near row" in err


@pytest.mark.slow
def test_a_single_digit_almost_never_gives_the_hint():
    """All bundled test digits, some of them in two pieces, especially 4 and 5; and a 5 in two strokes."""
    taken = [index for index, image in enumerate(SAMPLE.images) if seems_crowded(on_paper(image, side=56))]
    assert len(taken) < len(SAMPLE) / 200
    assert not seems_crowded(on_paper(two_strokes()))


def two_strokes():
    """Return a 5 whose bar is separate from its body, to its right."""
    five = np.zeros((28, 28), np.uint8)
    five[6:20, 8:10] = five[18:20, 8:16] = five[12:20, 14:16] = five[12:14, 8:16] = 255
    five[4:6, 18:24] = 255
    return five


def seems_crowded(gray):
    return is_crowded(gray, normalize(gray).ink)


@pytest.mark.slow
def test_two_digits_give_the_hint():
    """Except if they touch, or one is half as high as the other."""
    pairs = np.random.default_rng(0).integers(0, len(SAMPLE), (50, 2))
    assert sum(seems_crowded(on_paper(*SAMPLE.images[pair])) for pair in pairs) >= 45


def page(path):
    """Write a page of two rows of bundled test digits; return their labels."""
    rows = [(0, 100), (200, 300, 400)]
    sheets = [on_paper(*(SAMPLE.images[index] for index in row)) for row in rows]
    width = max(sheet.shape[1] for sheet in sheets)
    paper = [np.pad(sheet, ((0, 0), (0, width - sheet.shape[1])), constant_values=255) for sheet in sheets]
    Image.fromarray(np.concatenate(paper)).save(path)
    return ["".join(str(SAMPLE.labels[index]) for index in row) for row in rows]


def test_a_page_gives_a_line_of_text_per_row(run):
    texts = page("page.png")
    assert run("--page", "page.png") == (0, "\n".join(texts) + "\n", "")
    (result,) = json.loads(run("--page", "--json", "page.png")[1])
    assert [line["text"] for line in result["lines"]] == texts
    boxes = [digit["box"] for line in result["lines"] for digit in line["digits"]]
    assert all(box["top"] < box["bottom"] and box["left"] < box["right"] for box in boxes)
    ink = np.asarray(Image.open("page.png")) < 128
    assert sum(ink[box["top"] : box["bottom"], box["left"] : box["right"]].sum() for box in boxes) == ink.sum()
    assert run("page.png", "--line")[0] == 3  # it has several rows


def test_boxes_are_drawn_around_the_digits(run):
    page("page.png")
    assert run("--page", "page.png", "--show-boxes", "boxes.png")[0] == 0
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in ("page.png", "boxes.png"))
    assert before.shape == after.shape
    assert (before != after).any()
    for options in (["page.png"], ["--page", "page.png", "page.png"], ["--page", "."]):
        code, _, err = run(*options, "--show-boxes", "boxes.png")
        assert (code, "needs one image and --line or --page" in err) == (2, True)
    assert run("--page", "--line", "page.png")[0] == 2


def test_empty_standard_input_is_rejected(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n"))
    message = "byhand: -: standard input must have a line per image, got none\n"
    assert run("-") == (3, "", message)


def test_binary_standard_input_is_rejected(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG\xff\xfe"), encoding="utf-8"))
    assert run("-") == (3, "", "byhand: -: standard input must be lines of 784 numbers, got binary data\n")


def test_an_invalid_file_name_does_not_stop_the_other_images(run):
    digit = written("a.png", 0)
    code, out, err = run("7" * 300, "a.png")
    assert (code, err) == (3, f"byhand: {'7' * 80}: can't be read: File name too long\n")
    assert out.startswith(f"a.png  {digit}")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_an_unreadable_image_is_reported_with_the_reason(run, monkeypatch, error):
    written("a.png", 0)

    def refuses(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", refuses)
    code, _, err = run("a.png")
    assert (code, err) == (3, f"byhand: a.png can't be read: {error.strerror}\n")


def test_every_supported_suffix_is_read_in_a_folder(run, tmp_path):
    (tmp_path / "folder").mkdir()
    written("folder/a.png", 0)
    for ending in ("jfif", "jpe"):
        Image.open("folder/a.png").convert("L").save(f"folder/a.{ending}", "JPEG")
    for ending in ("pbm", "pnm"):
        Image.open("folder/a.png").save(f"folder/a.{ending}", "PPM")
    code, out, _ = run("folder")
    assert (code, len(out.splitlines())) == (0, 5)


def test_a_run_or_model_as_image_gets_a_suggestion(run):
    Model([784, 10]).save("my run/model.safetensors")
    assert run("my run") == (3, "", "byhand: my run is a run, not an image: did you mean --run 'my run'?\n")
    said = "byhand: my run/model.safetensors is a model, not an image: did you mean --run 'my run/model.safetensors'?\n"
    assert run("my run/model.safetensors") == (3, "", said)


def test_a_file_that_is_not_a_model_is_rejected(run):
    written("a.png", 0)
    Path("config.json").write_text('{"network": []}')
    code, _, err = run("--run", "config.json", "a.png")
    assert code == 5
    assert err.startswith("byhand: config.json: not a model file (")


def test_json_has_the_network_input_if_requested(run):
    written("a.png", 0)
    (result,) = json.loads(run("--json", "--show-input", "a.png")[1])
    np.testing.assert_array_equal(result["input"], normalize(np.asarray(Image.open("a.png"))).image)
    assert "input" not in json.loads(run("--json", "a.png")[1])[0]


def test_a_notebook_reads_paths_bytes_and_arrays(tmp_path):
    text = written(tmp_path / "a.png", 0, 100)
    path = tmp_path / "a.png"
    for picture in (path, str(path), path.read_bytes(), np.asarray(Image.open(path))):
        assert "".join(reading.digit for reading in byhand.read_line(picture)) == text
    reading = byhand.read(on_paper(SAMPLE.images[0]), Model([784, 10]))
    assert reading.guesses(2)[0] == (reading.digit, reading.probability)
    assert repr(byhand.read_line(path)[0]).startswith(f"<Reading {text[0]}, ")
    with pytest.raises(NothingDrawnError, match="the picture: nothing drawn"):
        byhand.read(np.zeros((40, 40), np.uint8))


#: Probabilities of three classes, and what a model with the thresholds 0.8 and 0.67 says of them.
VERDICTS = [
    ((0.9, 0.06, 0.04), "digit", "x.png  7  90.0 %   (1: 6.0 %, 9: 4.0 %)", "7"),
    ((0.61, 0.3, 0.09), "not sure", "x.png  not sure (7: 61.0 %, 1: 30.0 %, 9: 9.0 %)", "not sure: 7 or 1"),
    ((0.2, 0.2, 0.6), "not sure", "x.png  not sure (9: 60.0 %, 7: 20.0 %, 1: 20.0 %)", "not sure: 9 or 7"),
    ((1 / 3, 1 / 3, 1 / 3), "no digit", "x.png  no digit (7: 33.3 %, 1: 33.3 %, 9: 33.3 %)", "no digit"),
]


@pytest.mark.parametrize(("probabilities", "verdict", "text", "page"), VERDICTS)
def test_a_reading_says_if_it_is_sure_and_a_digit(probabilities, verdict, text, page):
    reading = Reading("x.png", probabilities=np.array(probabilities), classes=("7", "1", "9"), thresholds=(0.8, 0.67))
    assert (reading.verdict, reading.text(), reading.to_json()["verdict"]) == (verdict, text, verdict)
    assert reading.digit == reading.to_json()["digit"]
    assert ("no digit" in repr(reading), "not sure" in repr(reading)) == (verdict == "no digit", verdict == "not sure")


def test_a_model_without_thresholds_says_only_the_class():
    reading = Reading("x.png", probabilities=np.array([0.2, 0.3, 0.5]), classes=("7", "1", "9"))
    assert (reading.verdict, "verdict" in reading.to_json()) == ("digit", False)
    assert Model([784, 10]).thresholds is None
    assert Model([784, 10], metadata={"thresholds": [0.8, 0.6]}).thresholds == (0.8, 0.6)
    with pytest.raises(UsageError, match="a threshold must be"):
        Model([784, 10], metadata={"thresholds": [0.8, 6]}).thresholds  # noqa: B018


@pytest.mark.slow
def test_the_page_says_the_same_of_the_same_probabilities():
    script = """
    const { Reader } = await import(`${process.argv[1]}/reader.js`);
    const reader = new Reader({ architecture: [], classes: ["7", "1", "9"], thresholds: [0.8, 0.67] }, []);
    console.log(JSON.stringify(JSON.parse(process.argv[2]).map((row) => reader.verdict(row))));
    """
    rows = json.dumps([row for row, *_ in VERDICTS])
    folder = (Path(byhand.__file__).parent / "page").as_uri()
    command = [program("node", required=False), "--input-type=module", "-e", script, folder, rows]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [page for *_, page in VERDICTS]
