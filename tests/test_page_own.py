"""The playground's page of a student's functions, in a browser."""

from byhand.play.playground import Playground
from helpers.browser import browser
from helpers.own_functions import Reference, few_digits
from helpers.playground_server import Served
from helpers.watched_page import Watched


def test_the_page_shows_the_answer_of_the_functions(browser):
    served = Served(Playground.of_functions(Reference(), few_digits(), "mnist-5k"))
    play = Watched(browser, served.address)
    try:
        play.until("document.documentElement.dataset.ready === 'yes'")
        assert play.text("#model-line").startswith("The functions of my_network.py train and read.")
        play.page.locator(".examples button").first.click()
        play.until("document.querySelector('#answer .answer').textContent.length === 1")
        likeliest = play.page.evaluate("(p => p.indexOf(Math.max(...p)))(byhand.draw.result.probabilities)")
        assert play.text("#answer .answer") == str((likeliest + 1) % 10)
        assert not play.page.get_by_role("button", name="Back to the trained network").is_visible()
        play.tab("Setup")
        play.page.locator("details.advanced summary").click()
        assert play.page.get_by_label("Learning rate").is_visible()
        assert not play.page.get_by_label("Optimizer").is_visible()
        play.tab("Experiments")
        assert not play.page.get_by_role("button", name="A convolution").is_visible()
        play.press("Tiny training set")
        play.until("byhand.state.step > 0 && byhand.state.setup.samples === 100")
        play.until("document.querySelector('#answer .answer').textContent.length === 1")
    finally:
        play.close()
        served.close()
