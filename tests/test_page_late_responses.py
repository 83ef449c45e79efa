"""Slow responses in a browser: each may arrive after newer events."""

from helpers.browser import browser
from helpers.playground_server import Served
from helpers.watched_page import Watched, play, same_curve, served, wait


class Held:
    """Responses to a path that are withheld from the page until `release`."""

    def __init__(self, play: Watched, path: str) -> None:
        self.play, self.path, self.answers = play, f"**/api/{path}", []
        play.page.route(self.path, lambda route: self.answers.append((route, route.fetch())))

    def release(self) -> None:
        for route, answer in self.answers:
            route.fulfill(response=answer)
        self.play.page.unroute(self.path)


def test_a_late_response_does_not_undo_newer_events(play, served):
    play.tab("Learning")
    play.press("One batch")
    play.until("byhand.state.step === 1 && byhand.curve.points.length === 1")
    answers = Held(play, "control")
    play.page.evaluate("() => void byhand.control({ action: 'batch' }).then(() => { window.isAnswered = true; })")
    play.until("byhand.state.step === 2 && byhand.state.status === 'paused'")
    answers.release()
    play.until("window.isAnswered")
    assert play.page.evaluate("[byhand.state.step, byhand.state.status]") == [2, "paused"]


def test_outdated_weights_are_fetched_again(play, served):
    play.tab("Learning")
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


def test_late_weights_of_another_shape_are_discarded(play, served):
    play.tab("Learning")
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
    play.tab("Setup")
    play.page.get_by_text("Advanced", exact=True).click()
    play.page.get_by_label("Hidden layers").fill("9")
    play.press("Use this setup")
    play.until("document.querySelector('#model-shape').textContent.startsWith('784-9-10')")
    answers.release()
    play.until("byhand.reader?.version === byhand.state.version")
    assert play.page.evaluate("byhand.reader.weights.length") == 784 * 9 + 9 + 9 * 10 + 10
    assert play.page.evaluate("window.said") == []


def test_a_late_state_loses_no_event(play, served):
    answers = Held(play, "state")
    play.tab("Learning")
    play.press("One epoch")  # the first step: everything is requested again
    wait(lambda: answers.answers, play)
    wait(lambda: served.training.status == "paused")
    answers.release()
    play.until("byhand.state.status === 'paused' && byhand.curve.epochs.length === 1")
    same_curve(play, served)
