"""Drawings by several hands, fingers and keys in a browser, and the exported page."""

import re

import numpy as np
import pytest

import byhand
import byhand.model
from byhand.data.handwriting import normalize
from byhand.export import export
from helpers.browser import browser
from helpers.watched_page import HANDS, PLACES, Watched, exported, home, on_pad, opened


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hand", HANDS)
def test_ten_digits_of_each_hand_are_recognized(home, hand, place):
    read = ""
    for digit, strokes in HANDS[hand].items():
        home.page.evaluate("byhand.pad.clear()")
        if place == "middle":
            home.draw(strokes)
        else:
            home.draw_at_once(strokes, place)
        read += home.text("#answer")
        assert home.page.evaluate("byhand.recognize().probabilities")[int(digit)] > 0.5, f"{digit} read as {read[-1]}"
    assert read == "0123456789"


def test_a_drawing_gives_the_same_pixels_and_probabilities_as_python(home):
    model = byhand.model.shipped_model()
    for hand, digits in HANDS.items():
        for digit in "2580":
            home.page.evaluate("byhand.pad.clear()")
            home.draw_at_once(digits[digit], "off-centre" if hand == "slanted" else "middle")
            pad = np.array(home.page.evaluate("Array.from(byhand.pad.gray().pixels)"), np.uint8).reshape(280, 280)
            found = home.page.evaluate(
                "(({picture, seen, probabilities}) => [Array.from(picture), Array.from(seen), probabilities])"
                "(byhand.recognize())"
            )
            image = normalize(pad, is_pad=True).image
            np.testing.assert_array_equal(np.array(found[0]).reshape(28, 28), image)
            np.testing.assert_array_equal(np.array(found[1]), model.preparation.pictures(image[None]).ravel())
            np.testing.assert_allclose(found[2], model.probabilities(image[None])[0], atol=1e-5)


def test_ink_at_the_edge_of_the_pad_is_kept_and_nothing_inverted(home):
    """A 4 whose stem leaves the pad, and a scribble over most of it."""
    four = [[[0.3, 0.1], [0.22, 0.55], [0.75, 0.55]], [[0.62, 0.35], [0.6, 1.2]]]
    scribble = [[[0.05 + 0.9 * (k % 2), 0.04 * k] for k in range(25)]]
    for strokes in (four, scribble):
        home.page.evaluate("byhand.pad.clear()")
        home.draw(strokes)
        pad = np.array(home.page.evaluate("Array.from(byhand.pad.gray().pixels)"), np.uint8).reshape(280, 280)
        picture = np.array(home.page.evaluate("Array.from(byhand.recognize().picture ?? [])"))
        if strokes is four:
            np.testing.assert_array_equal(picture.reshape(28, 28), normalize(pad, is_pad=True).image)
            assert home.text("#answer") == "4"
        else:
            assert home.text("#answer").startswith("no digit")


def test_a_stroke_that_begins_outside_counts_from_the_edge(home):
    box = home.page.locator("canvas.pad").bounding_box()
    home.page.mouse.move(box["x"] - 20, box["y"] + 0.5 * box["height"])
    home.page.mouse.down()
    home.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    home.page.mouse.up()
    strokes = home.page.evaluate("byhand.pad.strokes")
    assert len(strokes) == 1
    assert strokes[0][0][0] < 100
    assert strokes[0][-1] == pytest.approx([140, 140], abs=2)


def test_fingers_draw_and_do_not_scroll(browser, exported):
    page = Watched(browser, exported.as_uri(), width=400, touch=True)
    page.until("window.byhand")
    box = page.page.locator("canvas.pad").bounding_box()
    fingers = page.context.new_cdp_session(page.page)
    for digit in "37":
        page.page.evaluate("byhand.pad.clear()")
        for stroke in HANDS["upright"][digit]:
            for i, point in enumerate(stroke):
                x, y = on_pad(point, "middle", box)
                kind = "touchStart" if i == 0 else "touchMove"
                fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.until(f"document.querySelector('#answer').textContent === '{digit}'")
    assert page.page.evaluate("scrollY") == 0
    page.close()


def test_digits_can_be_drawn_with_the_keyboard(home):
    pad = home.page.get_by_role("application", name="Drawing pad")
    pad.focus()
    for key in ["ArrowUp"] * 7 + ["Space"] + ["ArrowDown"] * 15 + ["Space"]:
        pad.press(key)
    assert home.text("#answer") == "1"
    pad.press("Backspace")
    assert home.text("#answer") == "nothing drawn"
    for key in ["ArrowLeft"] * 6 + ["ArrowUp"] * 15 + ["Space"] + ["ArrowRight"] * 10 + ["ArrowDown"] * 14 + ["Space"]:
        pad.press(key)
    assert home.text("#answer") == "7"
    pad.press("Delete")
    assert home.page.evaluate("byhand.pad.isEmpty")


def test_an_empty_pad_is_reported_and_undo_removes_a_stroke(home):
    assert home.text("#answer") == "nothing drawn"
    home.draw(HANDS["slanted"]["7"][:1])
    once = home.page.evaluate("byhand.pad.gray().pixels.join()")
    home.draw(HANDS["slanted"]["7"][1:])
    home.press("Undo")
    assert home.page.evaluate("byhand.pad.gray().pixels.join()") == once
    home.press("Clear")
    assert home.text("#answer") == "nothing drawn"


def test_clearing_the_pad_ends_the_current_stroke(home):
    box = home.page.locator("canvas.pad").bounding_box()
    home.page.mouse.move(box["x"] + 50, box["y"] + 50)
    home.page.mouse.down()
    home.page.mouse.move(box["x"] + 80, box["y"] + 150)
    home.page.keyboard.press("Delete")
    home.page.mouse.move(box["x"] + 120, box["y"] + 200)
    home.page.mouse.up()
    assert home.page.evaluate("byhand.pad.isEmpty")
    home.draw(HANDS["slanted"]["7"])
    assert home.text("#answer") == "7"


def test_the_exported_page_tests_itself(home, exported):
    assert exported.stat().st_size < 400_000
    assert re.fullmatch(
        r"✓ Same numbers as Python: 20 images, no probability differs by more than \S+\.", home.text("#self-test")
    )
    pictures = np.array(home.page.evaluate("byhand.pictures.map((p) => Array.from(p))"), np.uint8).reshape(-1, 28, 28)
    given = home.page.evaluate("byhand.pictures.map((p) => byhand.reader.read(p).probabilities)")
    np.testing.assert_allclose(given, byhand.model.shipped_model().probabilities(pictures), atol=1e-5)


def test_a_damaged_exported_page_fails_its_test(browser, exported, tmp_path):
    text = exported.read_text("utf-8")
    (tmp_path / "bent.html").write_text(text.replace('"deskew":true', '"deskew":false'), "utf-8")
    page = Watched(browser, (tmp_path / "bent.html").as_uri())
    page.until("document.querySelector('#self-test').textContent.startsWith('✗ NOT the same numbers as Python')")
    page.close()


def test_rounding_weights_changes_probabilities_by_at_most_a_thousandth(browser, tmp_path):
    digits = byhand.load("mnist-5k")
    model = byhand.Model([784, 32, 10], seed=3)
    byhand.fit(model, digits.train, epochs=2, seed=0)
    export(model, tmp_path / "trained.html")
    page = Watched(browser, (tmp_path / "trained.html").as_uri())
    page.until("window.byhand")
    pictures = np.array(page.page.evaluate("byhand.pictures.map((p) => Array.from(p))"), np.uint8).reshape(-1, 28, 28)
    given = page.page.evaluate("byhand.pictures.map((p) => byhand.reader.read(p).probabilities)")
    np.testing.assert_allclose(given, model.probabilities(pictures), atol=1e-3)
    assert page.text("#self-test").startswith("✓")
    page.close()


def test_a_model_of_other_image_sizes_has_samples_instead_of_a_pad(browser, tmp_path):
    export(byhand.Model([64, 10]), tmp_path / "small.html")
    page = Watched(browser, (tmp_path / "small.html").as_uri())
    page.until("document.querySelector('#self-test').textContent.startsWith('✓')")
    assert (
        page.text("#pad")
        == "Drawings are for handwriting; this model was trained on images of 8 × 8 pixels. Load a sample."
    )
    page.press("Load a sample")
    page.close()
