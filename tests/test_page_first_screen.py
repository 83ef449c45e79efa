"""The playground's first screen in a browser: the diagram, the speeds, the experiments and the tour."""

import base64
import io
import re
import time
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from byhand.nn.backprop import Pass
from byhand.page import model_weights
from byhand.play.setup import GENTLE_RATE, Setup
from helpers.browser import browser
from helpers.playground_server import a_playground
from helpers.watched_page import HANDS, opened, play, served


def click_unit(play, stage: int, unit: int) -> None:
    """Click a unit in the diagram."""
    box = play.page.evaluate(f"byhand.network.diagram.at[{stage}][{unit}]")
    play.page.locator(".network-canvas").click(position={name: box[name] + box["size"] / 2 for name in ("x", "y")})


def test_a_click_on_a_unit_shows_its_largest_activations(play):
    play.until("byhand.network.diagram.at?.length === 5")
    click_unit(play, 0, 5)
    play.page.get_by_role("heading", name="Map 5 of layer 1", exact=True).wait_for()
    assert play.page.locator("#network .pictures figure").count() == 12
    click_unit(play, 4, 3)
    play.page.get_by_role("heading", name="Output 3", exact=True).wait_for()
    shown = play.page.locator("#network .pictures figcaption").all_inner_texts()
    assert all(caption.startswith("3: ") for caption in shown)


def test_a_unit_shows_its_sum_by_pointer_and_keyboard(play, served):
    play.draw(HANDS["upright"]["3"])
    play.until("byhand.network.flow?.result && byhand.network.diagram.at?.length === 5")
    pass_ = Pass(served.playground.loaded.network, needs_gradient=False)
    seen = np.array(play.page.evaluate("Array.from(byhand.draw.result.seen)"), np.uint8)
    preparation = replace(served.playground.loaded.preparation, deskew=False)
    logits = pass_.forward(preparation(seen.reshape(1, 28, 28), np.float32))[0]
    hidden = pass_.outs[-2][0]
    play.page.locator(".network-canvas").focus()
    for key, name, value in (
        ("ArrowDown", "Output 0", logits[0]),
        ("ArrowDown", "Output 1", logits[1]),
        ("ArrowLeft", "Unit", None),
    ):
        play.page.keyboard.press(key)
        play.until(f"document.querySelector('.unit-card b')?.textContent.startsWith('{name}')")
        if value is not None:
            shown = re.search(r"z = Σ w·x \+ b = (\S+)", play.text(".unit-card"))[1]
            assert float(shown.replace("−", "-")) == pytest.approx(float(value), rel=1e-3)
    unit = int(re.match(r"Unit (\d+)", play.text(".unit-card b"))[1])
    shown = re.search(r"→ (\S+)", play.text(".unit-card"))[1]
    assert float(shown.replace("−", "-")) == pytest.approx(float(hidden[unit]), rel=1e-3, abs=1e-6)
    terms = "(() => { const { flow } = byhand.network; return flow.arithmetic(flow.stages[4], 3, 1e9); })()"
    sum_of = play.page.evaluate(terms)
    assert sum(term["product"] for term in sum_of["terms"]) + sum_of["rest"] == pytest.approx(
        float(logits[3]), rel=1e-4
    )


def test_a_step_of_backpropagation_is_shown_part_by_part(play, served):
    play.tab("Network")
    play.draw(HANDS["upright"]["3"])
    play.page.locator("#network select").select_option("8")
    play.press("Step through backpropagation")
    play.until("document.querySelector('.phase').textContent.startsWith('1 of 11. Forward, layer 1')")
    for _ in range(5):
        play.press("Next")
    assert play.text(".phase").startswith("6 of 11. The loss, if the right answer is 8")
    model = served.playground.loaded
    picture = np.array(play.page.evaluate("Array.from(byhand.draw.result.picture)"), np.uint8).reshape(28, 28)
    probabilities = model.probabilities(picture[None])[0].astype(float)
    deltas = play.page.evaluate("byhand.network.diagram.phase.deltas.at(-1)")
    np.testing.assert_allclose(deltas, probabilities - np.eye(10)[8], atol=1e-5)
    for _ in range(5):
        play.press("Next")
    assert play.text(".phase").startswith("11 of 11. The update")
    play.press("End the step")
    assert play.page.evaluate("byhand.network.diagram.phase") is None


def test_the_diagram_is_saved_as_svg_with_the_weights(play, served, tmp_path):
    served.post("/api/setup", **a_playground(layers=(12,)).setup.config())
    play.until(
        "document.querySelector('#model-shape').textContent === '784-12-10' && byhand.network.flow.stages.length === 2"
    )
    play.draw(HANDS["upright"]["3"])
    play.tab("Network")
    with play.page.expect_download() as download:
        play.press("Save the diagram as SVG")
    download.value.save_as(tmp_path / "network.svg")
    root = ElementTree.parse(tmp_path / "network.svg").getroot()
    kinds = Counter(child.tag.rpartition("}")[2] for child in root)
    assert kinds["image"] == 1 + 12  # the input, and the weights of each unit
    assert kinds["circle"] == 10
    assert 100 < kinds["line"] <= 320
    picture = base64.b64decode(root.findall("{*}image")[1].get("href").partition(",")[2])
    shown = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)
    weights = dict(served.playground.model.network.named())["0.W"][:, 0].reshape(28, 28)
    large = np.abs(weights) > np.quantile(np.abs(weights), 0.5)
    assert np.array_equal(shown[large][:, 0] > shown[large][:, 2], weights[large] > 0)  # orange, not blue


def test_a_new_network_is_watched_and_finished_by_one_click(play, served):
    play.press("Watch a new network learn")
    play.until("byhand.state.step > 0 && byhand.state.pace === 'slow'")
    assert play.page.get_by_role("tab", name="Learning").get_attribute("aria-selected") == "true"
    assert play.text("#model-shape") == "784-16-10"
    play.press("Finish")
    play.until("byhand.state.status === 'paused' && byhand.state.step === 580")
    play.press("Back to the trained network")
    play.until("byhand.state.setup.start === 'loaded' && byhand.reader?.version === byhand.state.version")
    assert play.text("#model-line").startswith("This network has learned to read")
    np.testing.assert_array_equal(
        np.array(play.page.evaluate("Array.from(byhand.reader.weights)"), np.float32),
        model_weights(served.playground.loaded),
    )
    play.press("Watch a new network learn")
    play.until("byhand.state.setup.start === 'new' && byhand.state.step > 0")
    assert served.playground.setup == Setup()  # not the shape and the rate of the trained one
    assert play.text(".look").startswith("One hidden layer. ")


def test_an_experiment_starts_a_training_and_says_what_to_look_for(play, served):
    for chip, shape in (("No hidden layer", "784-10"), ("A convolution", "784-8@12×12-32-10")):
        play.press(chip)
        play.until(f"document.querySelector('#model-shape').textContent === '{shape}'")
        play.until("byhand.state.step > 0 && byhand.state.status === 'training'")
        play.until(f"document.querySelector('.look').textContent.startsWith('{chip}. ')")
        play.tab("Experiments")
    play.press("Tiny training set")
    play.until("byhand.state.digits.train === 100 && byhand.state.step > 0")
    assert len(served.playground.training_data) == 100


def test_going_back_ends_an_experiment_and_its_settings(play, served):
    play.press("Tiny training set")
    play.until("byhand.experiments.current && byhand.state.step > 0")
    play.press("Pause")
    play.press("Back to the trained network")
    play.until("!byhand.experiments.current && byhand.state.setup.start === 'loaded'")
    assert played(served) == {"samples": 0, "batch_size": 128, "learning_rate": GENTLE_RATE, "layers": (88,)}
    assert play.page.locator(".look").is_hidden()
    play.press("Train it further")
    play.until("byhand.state.step > 0 && byhand.state.status === 'training'")
    served.post("/api/control", pace="full", stop_at=1)
    play.until("byhand.state.status === 'paused'")
    assert served.playground.curve.epochs[-1].validation_accuracy > 0.95


def played(served) -> dict:
    setup = served.playground.setup
    return {name: getattr(setup, name) for name in ("samples", "batch_size", "learning_rate", "layers")}


def test_a_taught_digit_is_learned_at_once_shown_and_removed(play, served):
    test, model = served.playground.digits.test, served.playground.loaded
    wrong = int(np.flatnonzero(model.predict(test.images) != test.labels)[1])
    label = int(test.labels[wrong])
    pixels = base64.b64encode(test.images[wrong].tobytes()).decode()
    play.page.evaluate(
        "async (text) => { const { decode } = await import('/page/server.js');"
        " byhand.draw.result = { picture: decode(text) }; byhand.draw.showResult({ picture: decode(text) }); }",
        pixels,
    )
    play.tab("Teach")
    play.page.get_by_role("group", name="Add it to the training set as").get_by_role("button", name=str(label)).click()
    play.until("byhand.state.status === 'paused' && byhand.state.step === 29")
    assert served.playground.setup.start == "loaded"
    after = served.playground.model.probabilities(test.images[wrong][None])[0, label]
    assert after > model.probabilities(test.images[wrong][None])[0, label] + 0.2
    assert served.playground.model.accuracy(test) > 0.97
    assert play.page.locator(".taught li").count() == 1
    assert served.refused("/api/added", pixels=pixels, label=0).startswith(
        "this drawing is in the training set already"
    )
    play.press("Remove drawing 1")
    play.until("byhand.state.added === 0 && document.querySelectorAll('.taught li').length === 0")
    assert served.playground.added == []


def test_layers_are_added_and_halved_at_once(play, served):
    play.tab("Setup")
    play.press("Fewer units in layer 1")
    play.until("document.querySelector('#model-shape').textContent === '784-8-10'")
    play.press("Add a layer")
    play.until("document.querySelector('#model-shape').textContent === '784-8-8-10'")
    play.press("More units in layer 2")
    play.until("document.querySelector('#model-shape').textContent === '784-8-16-10'")
    play.press("Remove layer 1")
    play.until("document.querySelector('#model-shape').textContent === '784-16-10'")
    assert served.playground.setup.layers == (16,)


def test_what_is_no_digit_is_named(play):
    """Two digits, an A and a scribble are not read as a digit with confidence."""
    pale = "document.querySelector('#answer .answer').classList.contains('is-faint')"
    assert not play.page.evaluate(pale)
    three, seven = HANDS["upright"]["3"], HANDS["upright"]["7"]
    beside = [
        [[0.45 * x + left, y] for x, y in stroke] for strokes, left in ((seven, 0), (three, 0.55)) for stroke in strokes
    ]
    play.draw(beside)
    assert play.text("#answer .answer") == "two digits? It reads one at a time."
    play.press("Clear")
    assert not play.page.evaluate(pale)
    play.press("Clear")
    play.draw([[[0.2, 0.9], [0.5, 0.1], [0.8, 0.9]], [[0.33, 0.6], [0.67, 0.6]]])
    assert play.text("#answer .answer") == "no digit"
    play.press("Clear")
    play.draw([[[0.1 + 0.8 * (k % 2), 0.1 + 0.05 * k] for k in range(17)]])
    assert play.text("#answer .answer") == "no digit"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_tour_has_something_to_do_and_notices_it(browser, served, width):
    play = opened(browser, served, width=width)

    def unit():
        place = play.page.evaluate("byhand.network.diagram.boxes[0]")
        box = play.page.locator(".network-canvas").bounding_box()
        play.page.mouse.move(box["x"] + place["x"] + 4, box["y"] + place["y"] + 4)

    tasks = [
        lambda: play.draw(HANDS["upright"]["3"]),
        unit,
        lambda: play.press("Watch a new network learn"),
        lambda: play.press("Learning rate too high"),
        lambda: play.press("Copy as Python"),
    ]
    play.press("Tour")
    for place, task in enumerate(tasks, start=1):
        assert play.text(".tour [aria-live]").startswith(f"{place} of 5. ")
        assert play.page.locator(".is-toured").count() == 1
        assert play.text(".tour .is-good") == ""
        task()
        play.until("document.querySelector('.tour .is-good').textContent.startsWith('✓')")
        play.press("Next" if place < 5 else "Done")
    assert play.page.locator(".tour").is_hidden()
    play.close()


def test_the_steps_of_the_tour_can_be_skipped(play):
    play.press("Tour")
    for place in range(1, 6):
        assert play.text(".tour [aria-live]").startswith(f"{place} of 5. ")
        play.press("Skip" if place < 5 else "Done")
    assert play.page.locator(".tour").is_hidden()
    play.press("Tour")
    play.page.keyboard.press("Escape")
    assert play.page.locator(".tour").is_hidden()
