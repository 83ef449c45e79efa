"""The playground in a browser: training, panels and export."""

import re
import time

import numpy as np
import pytest

from byhand.explain import explain_step
from helpers.browser import browser
from helpers.watched_page import HANDS, Watched, exported, home, opened, play, same_curve, served, wait


def advanced(play: Watched) -> None:
    """Open all settings."""
    play.tab("Setup")
    if not play.page.get_by_label("Hidden layers").is_visible():
        play.page.get_by_text("Advanced", exact=True).click()


def test_two_epochs_after_a_rewind_give_the_same_weights(play):
    assert "the shipped model" in play.text("#model-shape")
    play.tab("Learning")
    lines = "Array.from(document.querySelectorAll('#learning path.training'), (line) => line.getAttribute('d').length)"
    assert play.page.evaluate(lines) == [0, 0]
    for epoch in (1, 2):
        play.press("One epoch")
        play.until(f"byhand.state.status === 'paused' && byhand.curve.epochs.length === {epoch}")
    assert "trained here" in play.text("#model-line")
    assert play.text("#model-shape") == "784-16-10"
    assert min(play.page.evaluate(lines)) > 0
    table = play.page.locator("#learning details").first
    table.locator("summary").click()
    play.until("document.querySelectorAll('#learning details')[0].querySelectorAll('tbody tr').length === 2")
    play.until("byhand.reader?.version === byhand.state.version")
    first = play.page.evaluate("byhand.reader.weights.join()")

    play.press("One batch")
    play.until("byhand.state.step === 59 && byhand.reader?.version === byhand.state.version")
    assert play.page.evaluate("byhand.reader.weights.join()") != first
    play.press("Start over")
    play.until("byhand.state.step === 0 && byhand.state.status === 'ready' && byhand.curve.points.length === 0")
    play.page.get_by_label("Stop at epoch").fill("2")
    play.page.get_by_label("Stop at epoch").press("Tab")
    play.page.evaluate("void byhand.control({ action: 'play' })")
    play.until("byhand.state.step === 58 && byhand.state.status === 'paused'")
    play.until("byhand.reader?.version === byhand.state.version")
    assert play.page.evaluate("byhand.reader.weights.join()") == first


def test_a_chart_shows_values_at_the_pointer_and_a_log_scale(play):
    play.tab("Learning")
    play.press("One epoch")
    play.until("byhand.state.status === 'paused' && byhand.curve.epochs.length === 1")
    chart = play.page.locator("#learning .chart").first
    box = chart.bounding_box()
    play.page.mouse.move(box["x"] + 0.98 * box["width"], box["y"] + 60)
    epoch, loss = play.page.evaluate("byhand.curve.points.at(-1)")[:2]
    validation = play.page.evaluate("byhand.curve.epochs[0].validation_loss")
    shown = chart.locator("text.pointed").text_content()
    assert shown == f"epoch {epoch:.1f}: {loss:.4g}, validation {validation:.4g}"
    ticks = "Array.from(document.querySelectorAll('#learning .chart')[0].querySelectorAll('text'), (t) => t.innerHTML)"
    assert "0" in play.page.evaluate(ticks)
    play.page.mouse.move(0, 0)
    assert chart.locator(".pointed").count() == 0
    play.page.get_by_label("log scale").check()
    assert {"0.5", "1", "2"} <= set(play.page.evaluate(ticks)) or "0.1" in play.page.evaluate(ticks)


def test_other_layers_restart_training_and_are_in_the_address(play, browser, served):
    advanced(play)
    play.page.get_by_label("Hidden layers").fill("20, 12")
    play.page.get_by_label("Activation").select_option("tanh")
    assert play.page.get_by_text("Not in use yet.").is_visible()
    play.press("Use this setup")
    play.until("document.querySelector('#model-shape').textContent.startsWith('784-20-12-10')")
    address = play.page.evaluate("location.hash")
    assert "layers=20%2C12" in address
    assert "activation=tanh" in address
    assert "token" not in play.page.evaluate("location.href")
    other = Watched(browser, served.address + "#layers=9&seed=5&rubbish=1")
    other.until("document.documentElement.dataset.ready")
    other.until("document.querySelector('#model-shape').textContent.startsWith('784-9-10')")
    assert other.page.evaluate("byhand.state.setup.seed") == 5
    other.close()


def test_an_error_is_shown_until_it_is_closed(play):
    play.page.evaluate("void byhand.control({ action: 'play' })")
    play.until("byhand.state.step > 0")
    advanced(play)
    play.page.get_by_label("Hidden layers").fill("90000, 90000")
    play.press("Use this setup")
    play.until("document.querySelector('#problem').textContent.startsWith('Hidden layers must fit into')")
    step = play.page.evaluate("byhand.state.step")
    play.until(f"byhand.state.step > {step + 100}")  # events since then did not remove it
    assert play.text("#problem").startswith("Hidden layers must fit into")
    play.press("Close")
    message = play.page.locator("#problem").text_content()  # training may show a message of its own
    assert not message.startswith("Hidden layers must fit into")
    assert play.page.locator("#notice").is_hidden() == (message == "")
    play.troubles = [t for t in play.troubles if "400" not in t]  # the browser logs the rejected request


def test_layers_that_are_not_numbers_are_rejected_in_the_page(play):
    advanced(play)
    layers = play.page.get_by_label("Hidden layers")
    for text in ("abc", "12.5", "-5", "0", "64; 32"):
        layers.fill(text)
        play.press("Use this setup")
        assert play.text("#setup form .note") == "Hidden layers must be positive integers separated by commas."
        assert layers.evaluate("(input) => !input.checkValidity()")
    layers.fill("64 32")
    play.press("Use this setup")
    play.until("document.querySelector('#model-shape').textContent.startsWith('784-64-32-10')")


def test_an_invalid_address_gives_an_error_message(browser, served):
    page = opened(browser, served, behind="#learning_rate=banana&layers=x&seed=&batch_size=0&rubbish=1")
    page.until(
        "document.querySelector('#problem').textContent.startsWith('Batch size must be a whole number from 1 to ')"
    )
    page.tab("One step")
    page.page.get_by_text(", prediction ", exact=False).first.wait_for()  # requests of other panels do not remove it
    page.tab("Errors")
    page.page.get_by_text("95 % interval", exact=False).wait_for()
    assert page.page.locator("#notice").is_visible()
    advanced(page)
    assert page.page.get_by_label("Learning rate").input_value() == "0.05"
    page.troubles = [t for t in page.troubles if "400" not in t]
    page.close()


def test_the_step_panel_has_the_numbers_of_python(play, served):
    play.tab("One step")
    play.page.get_by_label("Test image").fill("11")
    play.press("Explain the step")
    play.until("byhand.step.asked.index === 11 && !document.querySelector('#step .stale:not([hidden])')")
    play.page.get_by_text(", prediction ", exact=False).first.wait_for()
    playground = served.playground
    sample = playground.digits.test[11]
    setup = playground.setup
    expected = explain_step(
        playground.loaded, sample, learning_rate=setup.learning_rate, optimizer=setup.optimizer_object, units=[]
    ).to_json()
    play.until(f"document.querySelector('#step .reading').textContent.includes('Label {sample.label}, prediction')")
    page_text = play.page.locator("#step").evaluate("(node) => node.textContent")
    for unit in expected["units"]:
        for _, line in unit["lines"]:
            assert line in page_text
    for step in expected["steps"]:
        assert step["formula"] in page_text
        for code in step["code"]:
            assert code["text"] in page_text
            assert code["place"] in page_text
    shown = re.search(r"Loss (\S+) → (\S+)\. ", page_text)
    assert [float(n.replace("−", "-")) for n in shown.groups()] == pytest.approx(
        [expected["loss"], expected["loss_after"]], rel=1e-3
    )


def test_the_errors_panel_shows_the_images_of_a_cell(play, served):
    play.tab("Errors")
    play.page.get_by_text("95 % interval", exact=False).wait_for()
    test, model = served.playground.digits.test, served.playground.loaded
    predicted = model.predict(test.images)
    wrong = np.flatnonzero(predicted != test.labels)
    assert f"{1000 - len(wrong)} of 1,000" in play.text("#errors")
    label, answer = int(test.labels[wrong[0]]), int(predicted[wrong[0]])
    count = int(((test.labels == label) & (predicted == answer)).sum())
    play.press(f"{count} of class {label} read as {answer}")
    play.page.get_by_role("heading", name=f"{label} read as {answer}: {count}").wait_for()
    assert play.page.locator("#errors .pictures figure").count() == count


def test_a_corrected_drawing_is_added_to_the_training_set(play, served):
    play.draw(HANDS["upright"]["7"])
    play.tab("Teach")
    play.page.get_by_role("group", name="Add it to the training set as").get_by_role("button", name="7").click()
    play.page.get_by_text("1 of your drawings in the training set").first.wait_for()
    assert [label for _, label in served.playground.added] == [7]
    seen = play.page.evaluate("Array.from(byhand.draw.result.picture)")
    assert served.playground.added[0][0].ravel().tolist() == seen


def test_without_centering_the_input_is_the_whole_pad(play):
    play.draw(HANDS["upright"]["5"], "corner")
    assert play.text("#answer .answer") == "5"
    play.tab("Teach")
    play.page.get_by_label("Center and scale the digit").uncheck()
    picture = np.array(play.page.evaluate("Array.from(byhand.draw.result.picture)")).reshape(28, 28)
    pad = np.array(play.page.evaluate("Array.from(byhand.draw.pad.gray().pixels)")).reshape(28, 10, 28, 10)
    np.testing.assert_array_equal(picture, np.floor(pad.sum(axis=(1, 3)) / 100 + 0.5))
    assert picture[14:].max() == 0


def test_an_example_is_put_on_the_pad_and_recognized(play, served):
    example = play.page.locator("#draw .examples button").first
    example.click()
    play.until("document.querySelector('#answer .answer').textContent.length === 1")
    assert example.get_attribute("aria-label") == f"An example of {play.page.evaluate('byhand.draw.label')}"


def test_the_network_can_be_exported_from_the_page(play, browser, tmp_path, served):
    play.tab("Share")
    with play.page.expect_download() as download:
        play.press("HTML page")
    assert download.value.suggested_filename == "digits.html"
    download.value.save_as(tmp_path / "digits.html")
    page = Watched(browser, (tmp_path / "digits.html").as_uri())
    page.until("document.querySelector('#self-test').textContent.startsWith('✓')")
    page.close()
    play.press("Copy as Python")
    play.page.get_by_text("history = byhand.fit(", exact=False).wait_for()


def test_training_continues_without_a_tab_and_a_stopped_server_is_reported(browser, served):
    first = opened(browser, served)
    first.page.evaluate("void byhand.control({ action: 'play' })")
    first.until("byhand.state.step > 0")
    first.close()
    step = served.playground.step_number
    wait(lambda: served.playground.step_number > step + 10)
    second = opened(browser, served)
    assert second.page.evaluate("byhand.state.status") == "training"
    assert second.page.evaluate("byhand.curve.epochs.length") > 0
    served.close()
    second.until("document.querySelector('#problem').textContent.includes('does not respond')")
    second.troubles.clear()  # the browser logs every attempt to reconnect
    second.close()


def test_a_disconnected_page_catches_up(play, served):
    play.page.evaluate("void byhand.control({ action: 'play' })")
    play.until("byhand.curve.epochs.length > 2")
    assert play.text("#status") == "training …"
    play.context.set_offline(True)
    epochs = len(served.playground.curve.epochs)
    wait(lambda: len(served.playground.curve.epochs) > epochs + 2)
    play.context.set_offline(False)
    play.press("Pause")
    play.until("byhand.state.status === 'paused'")
    same_curve(play, served)
    play.troubles = [t for t in play.troubles if "ERR_INTERNET_DISCONNECTED" not in t]


def test_a_reload_keeps_the_drawing_and_the_tab(play):
    read = "Array.from(byhand.draw.result.picture).join()"
    play.draw(HANDS["upright"]["3"])
    play.tab("Teach")
    before = play.page.evaluate(read)
    play.page.reload()
    play.until("document.documentElement.dataset.ready && byhand.draw.result?.picture")
    assert play.page.evaluate(read) == before
    assert play.page.get_by_role("tab", selected=True).inner_text() == "Teach"
    play.press("Clear")
    play.page.locator(".examples button").first.click()
    before = play.page.evaluate(read)
    play.page.reload()
    play.until("document.documentElement.dataset.ready && byhand.draw.result?.picture")
    assert play.page.evaluate(read) == before
    assert play.page.evaluate("byhand.draw.label") is not None


def test_stop_at_keeps_its_value_after_it_stopped(play):
    play.tab("Learning")
    field = play.page.get_by_label("Stop at epoch")
    field.fill("1")
    field.press("Tab")
    play.page.evaluate("void byhand.control({ action: 'play' })")
    play.until("byhand.state.step === 29 && byhand.state.status === 'paused'")
    assert field.input_value() == "1"
    play.press("Finish")  # what has been passed is no end: it trains on to the next twenty
    play.until("byhand.state.step === 20 * 29 && byhand.state.status === 'paused'")
    assert field.input_value() == "20"


def test_the_parts_of_one_step_are_folded_and_stay_open(play):
    play.tab("One step")
    play.page.locator("#step .worked-out").wait_for()
    details = "document.querySelectorAll('#step .explanation details[open]').length"
    assert play.page.evaluate(details) == 0
    assert play.page.locator("#step").bounding_box()["height"] < 900
    play.page.locator("#step summary").first.click()
    title = play.page.locator("#step summary").first.inner_text()
    play.press("Random image")
    play.until("byhand.step.asked.index !== 7 && document.querySelectorAll('#step details[open]').length === 1")
    assert play.page.locator("#step details[open] summary").first.inner_text().split("\n")[0] == title.split("\n")[0]


def test_the_right_answer_of_a_drawing_can_be_chosen(play):
    play.draw(HANDS["upright"]["3"])
    play.tab("One step")
    truth = play.page.locator("#step").get_by_label("The right answer is")
    assert truth.is_hidden()
    play.press("My drawing")
    play.page.get_by_text("Label 3 (the guess, since no right answer is chosen), prediction 3").wait_for()
    truth.select_option("5")
    play.page.get_by_text("Label 5, prediction 3").wait_for()
    assert play.page.evaluate("byhand.step.asked.label") == 5
