"""A convolutional network in a browser: the exported page and the playground predict, show and train it."""

import re

import numpy as np
import pytest

import byhand
from byhand.export import export
from byhand.model.preparation import Preparation
from byhand.nn.backprop import Pass
from byhand.play.playground import Playground
from byhand.play.setup import Setup
from byhand.play.storage import RunStorage
from byhand.training.runs import Run
from helpers.browser import browser
from helpers.playground_server import Served
from helpers.watched_page import HANDS, Watched, opened

#: The colors of a canvas.
PAINTED = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, Array.from(data)];
}"""


@pytest.fixture(scope="module")
def model():
    digits = byhand.load("mnist-5k")
    model = byhand.Model([784, 12, 10], maps=[4, (6, 3, 1)], seed=1, preparation=Preparation.standard())
    byhand.fit(model, digits.train, epochs=2, seed=0)
    return model


def maps_of(model, picture):
    """Return the first layer's maps of an image                         uint8 (784,) → (rows, columns, maps)"""
    convolution, pass_ = model.network.layers[0], Pass(model.network)
    pass_.forward(model.preparation(np.array(picture, np.uint8)[None]))
    return pass_.outs[1].reshape(convolution.rows, convolution.columns, convolution.maps)


def strength(canvas):
    """Return the shown values, from −1 (blue) to 1 (orange)                          → (height, width)"""
    height, width, data = canvas.evaluate(PAINTED)
    red, _, blue, _ = np.moveaxis(np.array(data, float).reshape(height, width, 4), 2, 0)
    return np.where(red >= blue, red, -blue) / 255


def test_the_exported_page_predicts_and_shows_a_convolution(browser, model, tmp_path):
    export(model, tmp_path / "maps.html")
    page = Watched(browser, (tmp_path / "maps.html").as_uri())
    page.until("window.byhand")
    assert page.text("#self-test").startswith("✓ Same numbers as Python: 20 images")
    assert page.text("#summary") == f"{model.network.architecture}, {model.network.size:,} weights"
    page.draw(HANDS["upright"]["3"])
    picture, seen, given = page.page.evaluate(
        "(({picture, seen, probabilities}) => [Array.from(picture), Array.from(seen), probabilities])"
        "(byhand.recognize())"
    )
    image = np.array(picture, np.uint8).reshape(1, 28, 28)
    np.testing.assert_allclose(given, model.probabilities(image)[0], atol=1e-3)  # the weights are float16

    canvases = page.page.locator("#units canvas")
    assert canvases.count() == 2 * 4
    convolution = model.network.layers[0]
    maps = maps_of(model, seen)
    for unit in range(4):
        window = convolution.W[:, unit].reshape(5, 5)
        limit = np.sort(np.abs(window).ravel())[int(0.99 * 25)]
        np.testing.assert_allclose(strength(canvases.nth(2 * unit)), window / limit, atol=0.01)
        np.testing.assert_allclose(strength(canvases.nth(2 * unit + 1)), maps[:, :, unit] / maps.max(), atol=0.01)
    page.press("Clear")
    assert not strength(canvases.nth(1)).any()
    assert "Each image shows the filter of one map" in page.text("#legend")
    page.troubles = [t for t in page.troubles if "readback" not in t]  # caused by this test
    page.close()


@pytest.fixture
def served(model, tmp_path):
    setup = Setup(start="loaded", layers=(12,), maps="4,6@3/1")
    storage = RunStorage(Run(tmp_path / "run"))
    running = Served(Playground(model, "a run", byhand.load("mnist-5k"), setup, storage))
    yield running
    running.close()


def test_the_playground_predicts_shows_and_trains_a_convolution(browser, model, served):
    play = opened(browser, served)
    shape = model.network.architecture
    assert play.text("#model-shape") == f"{shape}, a run"
    play.draw(HANDS["upright"]["3"])
    seen = play.page.evaluate("Array.from(byhand.draw.result.seen)")
    given = play.page.evaluate("byhand.draw.result.probabilities")
    np.testing.assert_allclose(given, model.probabilities(np.array(seen, np.uint8).reshape(1, 28, 28))[0], atol=1e-5)
    play.until("byhand.network.diagram.tiles?.[0]?.length === 4")
    maps = maps_of(model, seen)
    tile = "byhand.network.diagram.tiles[0][2]"
    np.testing.assert_allclose(
        strength(play.page.evaluate_handle(tile).as_element()), maps[:, :, 2] / maps.max(), atol=0.01
    )
    assert play.page.evaluate("byhand.network.diagram.at.map((units) => units.length)") == [4, 6, 12, 10]
    for stage, unit, name in ((0, 2, "Map 2 of layer 1"), (1, 5, "Map 5 of layer 2"), (3, 3, "Output 3")):
        play.page.evaluate(f"void byhand.network.excite({{ stage: {stage}, unit: {unit} }})")
        play.page.get_by_role("heading", name=name, exact=True).wait_for()
    assert play.page.locator("#network .pictures figure").count() == 12

    play.tab("Learning")
    play.press("One epoch")
    play.until("byhand.state.status === 'paused' && byhand.reader?.version === byhand.state.version")
    assert play.text("#model-shape") == f"{shape}, from the loaded weights"
    now = np.array(play.page.evaluate("Array.from(byhand.reader.weights)"), np.float32)
    assert 0 < np.abs(now[:100] - model.network.parameters[:100]).max() < 0.5
    play.close()


def test_another_setup_shows_its_own_images(browser, served):
    play = opened(browser, served)
    play.draw(HANDS["upright"]["3"])
    play.tab("Setup")
    play.page.get_by_text("Advanced", exact=True).click()
    play.page.get_by_label("Start from").select_option("new")
    play.page.get_by_label("Convolutions").fill("3, 5@3/1")
    play.press("Use this setup")
    play.until("document.querySelector('#model-shape').textContent.startsWith('784-3@12×12-5@10×10-12-10')")
    play.until("byhand.network.diagram.at?.map((units) => units.length).join() === '3,5,12,10'")
    assert "maps=3%2C+5%403%2F1" in play.page.evaluate("location.hash")
    play.page.get_by_label("Convolutions").fill("")
    play.page.get_by_label("Hidden layers").fill("9")
    play.press("Use this setup")
    play.until("document.querySelector('#model-shape').textContent.startsWith('784-9-10')")
    play.until("byhand.network.diagram.at?.map((units) => units.length).join() === '9,10'")
    play.until("byhand.network.diagram.tiles[0]?.length === 9")
    play.page.get_by_label("Convolutions").fill("3, a few")
    play.press("Use this setup")
    play.until("document.querySelector('#problem').textContent.startsWith('Convolutions must be like 32,64')")
    play.troubles = [t for t in play.troubles if "400" not in t]  # the browser logs the rejected request
    play.close()


def test_an_unsupported_export_is_reported_in_the_page(browser, served):
    play = opened(browser, served)
    play.tab("Share")
    play.press("NumPy arrays")
    play.until("/Convolution.28, 28, 1, 4, .*: use onnx/.test(document.querySelector('#problem').textContent)")
    play.troubles = [t for t in play.troubles if "400" not in t]  # the browser logs the rejected request
    play.close()
