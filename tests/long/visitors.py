"""A hundred visits of the playground, as a person would move: `python tests/long/visitors.py [VISITS]`.

Each visit has its own server and page. It draws a digit at the pace of a hand, and waits for the answer. It presses
the large button and watches a new network until 80 % of a batch are right, and until 90 % of the validation set are.
The times are from the first paint, and from that press.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Page, sync_playwright

from helpers.browser import FLAGS, chromium
from helpers.playground_server import Served, a_playground
from helpers.watched_page import HANDS, on_pad

#: Visits at the same time: they mostly wait.
TOGETHER = 5
#: Seconds between two points of a stroke, and before the first stroke.
POINT, THINK = 0.02, 1.0


class Visit:
    """One page with its server. `step` goes on without waiting, so that several visits take turns."""

    def __init__(self, browser, folder: Path, number: int) -> None:
        self.served = Served(a_playground(folder, layers=(32,)))
        self.served.training.pace = "slow"
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 800})
        self.page.goto(self.served.address)
        self.page.wait_for_selector("canvas.pad")
        self.began = time.monotonic()
        hands = [strokes for hand in HANDS.values() for strokes in hand.values()]
        self.draw(hands[number % len(hands)])

    def draw(self, strokes) -> None:
        time.sleep(THINK)
        box = self.page.locator("canvas.pad").bounding_box()
        for stroke in strokes:
            points = [on_pad(point, "middle", box) for point in stroke]
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in points[1:]:
                time.sleep(POINT)
                self.page.mouse.move(*point)
            self.page.mouse.up()
        while len(self.page.locator("#answer .answer").inner_text()) != 1:
            time.sleep(0.01)
        self.read = time.monotonic() - self.began
        self.page.get_by_role("button", name="Watch a new network learn").click()
        self.pressed = time.monotonic()
        self.seen = self.learned = None

    def step(self) -> bool:
        """Look once; return True at the end."""
        batch, validation = self.page.evaluate(
            "[byhand.curve.points.at(-1)?.[2] ?? 0, byhand.curve.epochs.at(-1)?.validation_accuracy ?? 0]"
        )
        now = time.monotonic() - self.pressed
        if batch >= 0.8 and self.seen is None:
            self.seen = now
        if validation >= 0.9:
            self.learned = now
        return self.learned is not None

    def close(self) -> None:
        self.page.close()
        self.served.close()


def main() -> None:
    visits = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    done: list[Visit] = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        here: list[Visit] = []
        number = 0
        while number < visits or here:
            if number < visits and len(here) < TOGETHER:
                here.append(Visit(browser, Path(folder) / str(number), number))
                number += 1
            for visit in list(here):
                if visit.step():
                    visit.close()
                    here.remove(visit)
                    done.append(visit)
            time.sleep(0.1)
        browser.close()
    for name in ("read", "seen", "learned"):
        times = sorted(getattr(visit, name) for visit in done)
        median = statistics.median(times)
        print(f"{name}: median {median:.1f} s, from {times[0]:.1f} to {times[-1]:.1f} s, {len(times)} visits")


if __name__ == "__main__":
    main()
