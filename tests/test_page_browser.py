"""The page in a real browser: drawn on by three hands, trained, taken apart, listened to, and taken home.

The playground is really served and the exported page really opened from the disk. Whatever goes wrong on the console,
and any request beyond this machine, fails the test that caused it.
"""

import base64
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

import byhand
import byhand.shipped
from browser import browser  # noqa: F401 - a fixture
from byhand.data.handwriting import normalise
from byhand.explain import explain_step
from byhand.export import export
from playground_server import Served, a_playground

ROOT = Path(__file__).resolve().parents[1]
HANDS = json.loads((ROOT / "tests" / "golden" / "strokes.json").read_text("utf-8"))
#: Where on the pad a digit is drawn: the square (left, top, side), as shares of the pad.
PLACES = {"middle": (0.0, 0.0, 1.0), "corner": (-0.06, -0.04, 0.5), "off-centre": (0.42, 0.4, 0.6)}

POINTER = """(strokes) => {
  const pad = document.querySelector("canvas.pad");
  pad.setPointerCapture = () => {};
  for (const points of strokes) {
    const kinds = ["pointerdown", ...points.slice(1).map(() => "pointermove"), "pointerup"];
    kinds.forEach((kind, i) => {
      const [clientX, clientY] = points[Math.min(i, points.length - 1)];
      pad.dispatchEvent(new PointerEvent(kind, { pointerId: 7, pointerType: "pen", clientX, clientY }));
    });
  }
}"""


class Watched:
    """A page that is watched: `troubles` is what must stay empty."""

    def __init__(self, chromium, address: str, *, width: int = 1280, dark: bool = False, touch: bool = False) -> None:
        scheme = "dark" if dark else "light"
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=touch, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.troubles: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", lambda request: self.note(request.url))
        self.page.goto(address)

    def note(self, url: str) -> None:
        if not re.match(r"(http://127\.0\.0\.1:\d+/|file:|data:|blob:)", url):
            self.troubles.append(f"request: {url}")

    def close(self) -> None:
        self.context.close()
        assert not self.troubles, self.troubles

    # ---- drawing

    def draw(self, strokes, place: str = "middle") -> None:
        """Draw with the mouse, as a hand would."""
        box = self.page.locator("canvas.pad").bounding_box()
        for stroke in strokes:
            points = [on_pad(point, place, box) for point in stroke]
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in [*points[1:-1:2], points[-1]]:
                self.page.mouse.move(*point)
            self.page.mouse.up()

    def draw_at_once(self, strokes, place: str) -> None:
        """The same by pointer events that the page gives itself, without waiting for a frame after each."""
        box = self.page.locator("canvas.pad").bounding_box()
        points = [[on_pad(point, place, box) for point in stroke] for stroke in strokes]
        self.page.evaluate(POINTER, points)

    def press(self, name: str, exact: bool = True) -> None:
        self.page.get_by_role("button", name=name, exact=exact).click()

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def until(self, condition: str, seconds: float = 40) -> None:
        """Wait until a JavaScript condition holds. (Playwright's own way needs `eval`, which the page forbids.)"""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.02)


def on_pad(point, place: str, box) -> tuple[float, float]:
    left, top, side = PLACES[place]
    return box["x"] + (left + point[0] * side) * box["width"], box["y"] + (top + point[1] * side) * box["height"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "digits.html"
    export(byhand.shipped.model(), path)
    return path


@pytest.fixture
def home(browser, exported):  # noqa: F811
    """The exported page, opened from the disk."""
    page = Watched(browser, exported.as_uri())
    page.until("window.byhand")
    yield page
    page.close()


@pytest.fixture
def served(tmp_path):
    running = Served(a_playground(tmp_path / "run"))
    yield running
    running.close()


@pytest.fixture
def play(browser, served):  # noqa: F811
    """The playground, opened by its address."""
    page = opened(browser, served)
    yield page
    page.close()


def opened(browser, served, behind: str = "", **settings) -> Watched:  # noqa: F811
    """The playground, ready; `behind` is what stands behind its address."""
    page = Watched(browser, served.address + behind, **settings)
    page.until("document.documentElement.dataset.ready")
    return page


# ---- drawing


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hand", HANDS)
def test_ten_digits_of_each_hand_are_read(home, hand, place):
    read = ""
    for digit, strokes in HANDS[hand].items():
        home.page.evaluate("byhand.pad.clear()")
        if place == "middle":
            home.draw(strokes)
        else:
            home.draw_at_once(strokes, place)
        read += home.text("#answer")
        assert home.page.evaluate("byhand.recognise().probabilities")[int(digit)] > 0.5, f"{digit} read as {read[-1]}"
    assert read == "0123456789"


def test_a_drawing_gives_the_same_bytes_and_numbers_as_python(home):
    model = byhand.shipped.model()
    for hand, digits in HANDS.items():
        for digit in "2580":
            home.page.evaluate("byhand.pad.clear()")
            home.draw_at_once(digits[digit], "off-centre" if hand == "slanted" else "middle")
            pad = np.array(home.page.evaluate("Array.from(byhand.pad.grey().pixels)"), np.uint8).reshape(280, 280)
            found = home.page.evaluate(
                "(({picture, seen, probabilities}) => [Array.from(picture), Array.from(seen), probabilities])"
                "(byhand.recognise())"
            )
            image = normalise(pad).image
            np.testing.assert_array_equal(np.array(found[0]).reshape(28, 28), image)
            np.testing.assert_array_equal(np.array(found[1]), model.preparation.pictures(image[None]).ravel())
            np.testing.assert_allclose(found[2], model.probabilities(image[None])[0], atol=1e-5)


def test_fingers_draw_and_do_not_scroll(browser, exported):  # noqa: F811
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


def test_the_keyboard_draws(home):
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


def test_a_blank_pad_says_so_and_undo_takes_a_stroke_back(home):
    assert home.text("#answer") == "nothing drawn"
    home.draw(HANDS["slanted"]["7"][:1])
    once = home.page.evaluate("byhand.pad.grey().pixels.join()")
    home.draw(HANDS["slanted"]["7"][1:])
    home.press("Undo")
    assert home.page.evaluate("byhand.pad.grey().pixels.join()") == once
    home.press("Clear")
    assert home.text("#answer") == "nothing drawn"


def test_a_pad_that_is_cleared_under_the_pen_waits_for_the_next_stroke(home):
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


# ---- the exported page


def test_the_exported_page_proves_itself(home, exported):
    assert exported.stat().st_size < 300_000
    assert re.fullmatch(
        r"✓ Same numbers as Python: 20 pictures, no probability differs by more than \S+\.", home.text("#self-test")
    )
    pictures = np.array(home.page.evaluate("byhand.pictures.map((p) => Array.from(p))"), np.uint8).reshape(-1, 28, 28)
    given = home.page.evaluate("byhand.pictures.map((p) => byhand.reader.read(p).probabilities)")
    np.testing.assert_allclose(given, byhand.shipped.model().probabilities(pictures), atol=1e-5)


def test_a_damaged_exported_page_says_that_it_is_not_to_be_trusted(browser, exported, tmp_path):  # noqa: F811
    text = exported.read_text("utf-8")
    (tmp_path / "bent.html").write_text(text.replace('"deskew":true', '"deskew":false'), "utf-8")
    page = Watched(browser, (tmp_path / "bent.html").as_uri())
    page.until("document.querySelector('#self-test').textContent.startsWith('✗ NOT the same numbers as Python')")
    page.close()


def test_weights_nobody_rounded_stay_within_a_thousandth(browser, tmp_path):  # noqa: F811
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


def test_a_model_of_other_pictures_has_samples_instead_of_a_pad(browser, tmp_path):  # noqa: F811
    export(byhand.Model([64, 10]), tmp_path / "small.html")
    page = Watched(browser, (tmp_path / "small.html").as_uri())
    page.until("document.querySelector('#self-test').textContent.startsWith('✓')")
    assert page.text("#pad") == "This model reads pictures of 8 × 8: load a sample."
    page.press("Load a sample")
    page.close()


# ---- the playground


def test_two_epochs_move_the_curves_and_a_rewind_gives_the_same_numbers(play):
    assert "the shipped model" in play.text("#model-line")
    lines = "Array.from(document.querySelectorAll('#run path.training'), (line) => line.getAttribute('d').length)"
    assert play.page.evaluate(lines) == [0, 0]
    for epoch in (1, 2):
        play.press("One epoch")
        play.until(f"byhand.state.status === 'paused' && byhand.curve.epochs.length === {epoch}")
    assert "784-16-10, trained here" in play.text("#model-line")
    assert min(play.page.evaluate(lines)) > 0
    table = play.page.locator("#run details").first
    table.locator("summary").click()
    play.until("document.querySelectorAll('#run details')[0].querySelectorAll('tbody tr').length === 2")
    play.until("byhand.reader?.version === byhand.state.version")
    first = play.page.evaluate("byhand.reader.weights.join()")

    play.press("One batch")
    play.until("byhand.state.step === 59 && byhand.reader?.version === byhand.state.version")
    assert play.page.evaluate("byhand.reader.weights.join()") != first
    play.press("Rewind")
    play.until("byhand.state.step === 0 && byhand.state.status === 'ready' && byhand.curve.points.length === 0")
    play.page.get_by_label("Stop at epoch").fill("2")
    play.page.get_by_label("Stop at epoch").press("Tab")
    play.press("Play")
    play.until("byhand.state.step === 58 && byhand.state.status === 'paused'")
    play.until("byhand.reader?.version === byhand.state.version")
    assert play.page.evaluate("byhand.reader.weights.join()") == first


def test_play_and_pause(play):
    play.press("Play")
    play.until("byhand.curve.epochs.length > 3")
    assert play.text("#status") == "training …"
    play.press("Pause")
    play.until("byhand.state.status === 'paused'")
    step = play.page.evaluate("byhand.state.step")
    time.sleep(0.3)
    assert play.page.evaluate("byhand.state.step") == step


def test_other_layers_begin_anew_and_stand_in_the_address(play, browser, served):  # noqa: F811
    play.page.get_by_label("Hidden layers").fill("20, 12")
    play.page.get_by_label("Activation").select_option("tanh")
    assert play.page.get_by_text("Not in use yet.").is_visible()
    play.press("Use this setup")
    play.until("document.querySelector('#model-line').textContent.startsWith('784-20-12-10')")
    address = play.page.evaluate("location.hash")
    assert "layers=20%2C12" in address
    assert "activation=tanh" in address
    assert "token" not in play.page.evaluate("location.href")
    other = Watched(browser, served.address + "#layers=9&seed=5&rubbish=1")
    other.until("document.documentElement.dataset.ready")
    other.until("document.querySelector('#model-line').textContent.startsWith('784-9-10')")
    assert other.page.evaluate("byhand.state.setup.seed") == 5
    other.close()


def test_what_is_refused_is_said_until_it_is_read(play):
    play.press("Play")
    play.until("byhand.state.step > 0")
    play.page.get_by_label("Hidden layers").fill("90000, 90000")
    play.press("Use this setup")
    play.until("document.querySelector('#problem').textContent.startsWith('layers must fit into')")
    step = play.page.evaluate("byhand.state.step")
    play.until(f"byhand.state.step > {step + 100}")  # the news that came since took nothing away
    assert play.text("#problem").startswith("layers must fit into")
    play.press("Close")
    assert play.page.locator("#notice").is_hidden()
    play.troubles = [t for t in play.troubles if "400" not in t]  # the browser notes the refusal on its console


def test_layers_that_are_no_numbers_are_not_even_sent(play):
    layers = play.page.get_by_label("Hidden layers")
    for text in ("abc", "12.5", "-5", "0", "64; 32"):
        layers.fill(text)
        play.press("Use this setup")
        assert play.text("#setup .note") == "Hidden layers are whole numbers between commas."
        assert layers.evaluate("(input) => !input.checkValidity()")
    layers.fill("64 32")
    play.press("Use this setup")
    play.until("document.querySelector('#model-line').textContent.startsWith('784-64-32-10')")


def test_an_address_that_makes_no_sense_is_refused_in_words(browser, served):  # noqa: F811
    page = opened(browser, served, behind="#learning_rate=banana&layers=x&seed=&batch_size=0&rubbish=1")
    page.until("document.querySelector('#problem').textContent.startsWith('batch_size must be a whole number from 1')")
    page.page.get_by_text("It is a", exact=False).first.wait_for()  # other panels' questions don't take that away
    page.page.get_by_text("right: ", exact=False).wait_for()
    assert page.page.locator("#notice").is_visible()
    assert page.page.get_by_label("Learning rate").input_value() == "0.05"
    page.troubles = [t for t in page.troubles if "400" not in t]
    page.close()


def test_a_click_on_a_unit_shows_what_excites_it(play):
    assert play.page.locator("#network .units button").count() == 128
    play.page.get_by_role("button", name=re.compile("^Unit 5, weights")).click()
    play.page.get_by_role("heading", name="Unit 5 of layer 1").wait_for()
    assert play.page.locator("#network .pictures figure").count() == 12
    play.page.locator("#network select").select_option("1")
    play.page.locator("#network").get_by_role("button", name="3", exact=True).click()
    play.page.get_by_role("heading", name="Unit 3 of layer 2").wait_for()
    shown = play.page.locator("#network .pictures figcaption").all_inner_texts()
    assert all(caption.startswith("3: ") for caption in shown)


def test_the_step_panels_numbers_are_pythons(play, served):
    play.page.get_by_label("Test digit").fill("11")
    play.press("Take the step apart")
    play.until("byhand.step.asked.index === 11 && !document.querySelector('#step .stale:not([hidden])')")
    play.page.get_by_text("It is a", exact=False).first.wait_for()
    playground = served.playground
    sample = playground.digits.test[11]
    setup = playground.setup
    told = explain_step(
        playground.loaded, sample, learning_rate=setup.learning_rate, optimizer=setup.rule(), units=[]
    ).to_json()
    play.until(f"document.querySelector('#step .reading').textContent.includes('It is a {sample.label}')")
    page_text = play.page.locator("#step").evaluate("(node) => node.textContent")
    for unit in told["units"]:
        for _, line in unit["lines"]:
            assert line in page_text
    for step in told["steps"]:
        assert step["formula"] in page_text
        for code in step["code"]:
            assert code["text"] in page_text
            assert code["place"] in page_text
    shown = re.search(r"Loss (\S+) → (\S+)\. ", page_text)
    assert [float(n.replace("−", "-")) for n in shown.groups()] == pytest.approx(
        [told["loss"], told["loss_after"]], rel=1e-3
    )


def test_errors_show_the_pictures_behind_a_number(play, served):
    play.page.get_by_text("right: ", exact=False).wait_for()
    test, model = served.playground.digits.test, served.playground.loaded
    predicted = model.predict(test.images)
    wrong = np.flatnonzero(predicted != test.labels)
    assert f"{1000 - len(wrong)} of 1,000" in play.text("#errors")
    label, answer = int(test.labels[wrong[0]]), int(predicted[wrong[0]])
    count = int(((test.labels == label) & (predicted == answer)).sum())
    play.press(f"{count} of class {label} read as {answer}")
    play.page.get_by_role("heading", name=f"{label} read as {answer}: {count}").wait_for()
    assert play.page.locator("#errors .pictures figure").count() == count


def test_wrong_it_is_a_7(play, served):
    play.draw(HANDS["upright"]["7"])
    play.page.get_by_role("group", name="Add it to the training set as").get_by_role("button", name="7").click()
    play.page.get_by_text("1 of yours in the training set").wait_for()
    assert served.playground.added_labels.tolist() == [7]
    seen = play.page.evaluate("Array.from(byhand.draw.result.picture)")
    assert served.playground.added_images[0].ravel().tolist() == seen


def test_without_centring_the_network_sees_the_whole_pad(play):
    play.draw(HANDS["upright"]["5"], "corner")
    assert play.text("#draw .answer") == "5"
    play.page.get_by_label("Find and centre the digit").uncheck()
    picture = np.array(play.page.evaluate("Array.from(byhand.draw.result.picture)")).reshape(28, 28)
    pad = np.array(play.page.evaluate("Array.from(byhand.draw.pad.grey().pixels)")).reshape(28, 10, 28, 10)
    np.testing.assert_array_equal(picture, np.floor(pad.sum(axis=(1, 3)) / 100 + 0.5))
    assert picture[14:].max() == 0


def test_a_sample_can_be_loaded_and_is_read(play, served):
    play.press("Load a sample")
    play.until("document.querySelector('#draw .answer').textContent.length === 1")


def test_the_network_goes_home_from_the_page(play, browser, tmp_path, served):  # noqa: F811
    with play.page.expect_download() as download:
        play.press("HTML page")
    assert download.value.suggested_filename == "digits.html"
    download.value.save_as(tmp_path / "digits.html")
    page = Watched(browser, (tmp_path / "digits.html").as_uri())
    page.until("document.querySelector('#self-test').textContent.startsWith('✓')")
    page.close()
    play.press("Copy as Python")
    play.page.get_by_text("history = byhand.fit(", exact=False).wait_for()


def test_closing_the_tab_and_stopping_the_server(browser, served):  # noqa: F811
    first = opened(browser, served)
    first.press("Play")
    first.until("byhand.state.step > 0")
    first.close()
    time.sleep(0.2)
    second = opened(browser, served)
    assert second.page.evaluate("byhand.state.status") == "training"
    assert second.page.evaluate("byhand.curve.epochs.length") > 0
    served.close()
    second.until("document.querySelector('#problem').textContent.includes('doesn\\'t answer')")
    second.troubles.clear()  # the browser notes every attempt to reconnect
    second.close()


def test_a_page_that_was_cut_off_catches_up(play, served):
    play.press("Play")
    play.until("byhand.curve.epochs.length > 2")
    play.context.set_offline(True)
    epochs = len(served.playground.curve.epochs)
    wait(lambda: len(served.playground.curve.epochs) > epochs + 2)
    play.context.set_offline(False)
    play.press("Pause")
    play.until("byhand.state.status === 'paused'")
    same_curve(play, served)
    play.troubles = [t for t in play.troubles if "ERR_INTERNET_DISCONNECTED" not in t]


# ---- slow answers: each goes its own way, and may be overtaken by the events


class Held:
    """Answers to a path, given by the server at once but kept back from the page until `release`."""

    def __init__(self, play: Watched, path: str) -> None:
        self.play, self.path, self.answers = play, f"**/api/{path}", []
        play.page.route(self.path, lambda route: self.answers.append((route, route.fetch())))

    def release(self) -> None:
        for route, answer in self.answers:
            route.fulfill(response=answer)
        self.play.page.unroute(self.path)


def test_an_answer_overtaken_by_the_news_undoes_nothing(play, served):
    play.press("One batch")
    play.until("byhand.state.step === 1 && byhand.curve.points.length === 1")
    answers = Held(play, "control")
    play.page.evaluate("() => void byhand.control({ action: 'batch' }).then(() => { window.isAnswered = true; })")
    play.until("byhand.state.step === 2 && byhand.state.status === 'paused'")
    answers.release()
    play.until("window.isAnswered")
    assert play.page.evaluate("[byhand.state.step, byhand.state.status]") == [2, "paused"]


def test_weights_that_grew_old_on_their_way_are_fetched_again(play, served):
    play.press("One batch")
    play.until("byhand.state.step === 1 && byhand.reader?.version === byhand.state.version")
    answers = Held(play, "weights")
    play.press("One batch")
    play.until("byhand.state.step === 2")
    wait(lambda: answers.answers, play)
    play.press("One batch")
    play.until("byhand.state.step === 3")
    answers.release()
    play.until("byhand.reader?.version === byhand.state.version")


def test_weights_of_another_shape_are_not_taken_for_those_that_are_known(play, served):
    answers = Held(play, "weights")
    play.press("One batch")
    wait(lambda: answers.answers, play)
    play.page.evaluate(
        """() => {
          window.said = [];
          const say = byhand.notice.say.bind(byhand.notice);
          byhand.notice.say = (cause, text) => say(cause, text, text && window.said.push(text));
        }"""
    )
    play.page.get_by_label("Hidden layers").fill("9")
    play.press("Use this setup")
    play.until("document.querySelector('#model-line').textContent.startsWith('784-9-10')")
    answers.release()
    play.until("byhand.reader?.version === byhand.state.version")
    assert play.page.evaluate("byhand.reader.weights.length") == 784 * 9 + 9 + 9 * 10 + 10
    assert play.page.evaluate("window.said") == []


def test_a_state_that_was_long_on_its_way_loses_nothing(play, served):
    answers = Held(play, "state")
    play.press("One epoch")  # the first step of all: everything is asked anew
    wait(lambda: answers.answers, play)
    wait(lambda: served.trainer.status == "paused")
    answers.release()
    play.until("byhand.state.status === 'paused' && byhand.curve.epochs.length === 1")
    same_curve(play, served)


def same_curve(play: Watched, served: Served) -> None:
    """What the page drew is what was trained, to the last point."""
    curve = served.playground.curve
    assert play.page.evaluate("byhand.curve.epochs.map((record) => record.epoch)") == [r.epoch for r in curve.epochs]
    assert play.page.evaluate("byhand.curve.points.map(([epoch, , , steps]) => [epoch, steps])") == [
        [round(point.epoch, 4), point.steps] for point in curve.points
    ]


def wait(condition, play: Watched | None = None, seconds: float = 40) -> None:
    """Wait until something holds outside the page; the page's answers are only seen while Playwright listens."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        if play is not None:
            play.page.evaluate("0")
        time.sleep(0.02)


# ---- quick, small, and for everybody


def test_from_the_end_of_a_stroke_to_the_answer_takes_under_16_ms(play):
    play.page.evaluate(
        """() => {
          const { pad } = byhand.draw;
          window.times = [];
          const finished = pad.finished.bind(pad);
          pad.finished = () => {
            const began = performance.now();
            finished();
            window.times.push(performance.now() - began);
          };
        }"""
    )
    for digits in HANDS.values():
        for strokes in digits.values():
            play.page.evaluate("byhand.draw.pad.clear()")
            play.draw_at_once(strokes, "middle")
    times = np.array(play.page.evaluate("window.times"))
    print(f"stroke's end to answer: median {np.median(times):.1f} ms, 95 % {np.percentile(times, 95):.1f} ms")
    assert len(times) > 60
    assert np.median(times) < 16


def test_thousands_of_events_leave_the_page_small(play):
    """Events as training gives them, an epoch in each; `tools/long/soak.py` watches ten real minutes."""
    inspector = play.context.new_cdp_session(play.page)

    def heap() -> float:
        inspector.send("HeapProfiler.collectGarbage")
        return play.page.evaluate("performance.memory.usedJSHeapSize")

    feed = """async () => {
      for (let i = 1; i <= 1200; i++) {
        const epoch = byhand.state.step / 29 + 1;
        byhand.happened({
          status: "training", message: "", step: 29 * epoch, batches_per_epoch: 29, stop_at: null,
          version: byhand.state.version, added: 0, waiting: 0, saved_in: null, point: [epoch, 1 / epoch, 0.9, 29],
          epochs: [{ epoch, loss: 1 / epoch, accuracy: 0.9, validation_loss: 0.3, validation_accuracy: 0.9,
                     images_per_second: 1e5, warnings: [] }],
        });
        if (i % 100 === 0) await new Promise(requestAnimationFrame);
      }
    }"""
    play.page.evaluate("byhand.state.origin = 'training'")
    play.page.evaluate(feed)
    before = inspector.send("Runtime.getHeapUsage")["usedSize"] if heap() else 0
    play.page.evaluate(feed)
    heap()
    grown = inspector.send("Runtime.getHeapUsage")["usedSize"] - before
    print(f"grown by {grown / 1e6:.2f} MB over 1,200 events")
    assert grown < 2e6
    assert play.page.evaluate("byhand.curve.points.length + byhand.curve.epochs.length") <= 800


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(browser, served, exported, dark):  # noqa: F811
    source = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("asks axe-core, which is not installed: npm install")
    play = opened(browser, served, dark=dark)
    play.press("One epoch")
    play.until("byhand.state.status === 'paused'")
    play.draw(HANDS["upright"]["3"])
    play.page.locator("#network .units button").first.click()
    play.page.get_by_role("heading", name="Unit 0 of layer 1").wait_for()
    play.page.get_by_text("It is a", exact=False).first.wait_for()
    play.page.get_by_text("right: ", exact=False).wait_for()
    play.press("Copy as Python")
    home = Watched(browser, exported.as_uri(), dark=dark)
    home.until("window.byhand")
    home.draw(HANDS["upright"]["3"])
    for page in (play, home):
        page.page.evaluate(source.read_text("utf-8") + "; void 0")
        found = page.page.evaluate("axe.run()")
        serious = [
            f"{v['id']}: {v['help']}: {[node['html'][:120] for node in v['nodes']][:3]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert not serious, "\n".join(serious)
        page.close()


def test_every_control_is_reached_by_tab_and_has_a_name(play):
    controls = play.page.evaluate(
        """() => Array.from(document.querySelectorAll("button, input, select, summary, canvas[tabindex]"))
                 .filter((node) => node.checkVisibility() && !node.disabled).length"""
    )
    seen = set()
    play.page.evaluate("document.body.focus()")
    for _ in range(controls + 40):
        play.page.keyboard.press("Tab")
        place = play.page.evaluate(
            """() => {
              const all = Array.from(document.querySelectorAll("button, input, select, summary, canvas[tabindex]"));
              return all.indexOf(document.activeElement);
            }"""
        )
        seen.add(place)
    seen.discard(-1)
    assert len(seen) >= controls


@pytest.mark.parametrize("width", [400, 800, 1500])
def test_nothing_sticks_out_at_the_side(browser, served, home, width):  # noqa: F811
    play = opened(browser, served, width=width)
    play.page.get_by_text("It is a", exact=False).first.wait_for()
    play.page.get_by_text("right: ", exact=False).wait_for()
    assert play.page.evaluate("document.documentElement.scrollWidth") <= width
    play.close()
    home.page.set_viewport_size({"width": width, "height": 800})
    assert home.page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_the_page_encodes_the_server_decodes(play, served):
    image = served.playground.digits.test.images[5]
    sent = play.page.evaluate(
        "async (text) => { const { encode, decode } = await import('/page/server.js'); return encode(decode(text)); }",
        base64.b64encode(image.tobytes()).decode(),
    )
    assert base64.b64decode(sent) == image.tobytes()
