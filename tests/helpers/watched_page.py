"""The pages in a browser: `Watched` records their errors, and fixtures open them.

The playground is served and the exported page opened from the disk. Errors on the console and requests to other hosts
fail the test. Import the fixtures that a file's tests use.
"""

import json
import re
from pathlib import Path

import pytest

import byhand
import byhand.model
from byhand.export import export
from helpers.browser import browser  # noqa: F401 - a fixture
from helpers.playground_server import Served, a_playground
from helpers.waiting import until

ROOT = Path(__file__).resolve().parents[2]
HANDS = json.loads((ROOT / "tests" / "golden" / "strokes.json").read_text("utf-8"))
#: Places of a digit on the pad: the square (left, top, side), as fractions of the pad.
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
    """A page whose errors are recorded in `troubles`."""

    def __init__(
        self,
        chromium,
        address: str,
        *,
        width: int = 1280,
        dark: bool = False,
        touch: bool = False,
        forced: bool = False,
    ) -> None:
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            forced_colors="active" if forced else "none",
            has_touch=touch,
            accept_downloads=True,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
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
        """Draw with pointer events created in the page, without waiting for a frame after each."""
        box = self.page.locator("canvas.pad").bounding_box()
        points = [[on_pad(point, place, box) for point in stroke] for stroke in strokes]
        self.page.evaluate(POINTER, points)

    def press(self, name: str, exact: bool = True) -> None:
        self.page.get_by_role("button", name=name, exact=exact).click()

    def tab(self, name: str) -> None:
        """Open a panel by its tab."""
        self.page.get_by_role("tab", name=name, exact=True).click()

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def until(self, condition: str) -> None:
        """Wait until a JavaScript condition holds. (Playwright's own function needs `eval`, which the page forbids.)"""
        until(lambda: self.page.evaluate(condition))


def on_pad(point, place: str, box) -> tuple[float, float]:
    left, top, side = PLACES[place]
    return box["x"] + (left + point[0] * side) * box["width"], box["y"] + (top + point[1] * side) * box["height"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "digits.html"
    export(byhand.model.shipped_model(), path)
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
    """Return the playground, ready; `behind` is appended to its address."""
    page = Watched(browser, served.address + behind, **settings)
    page.until("document.documentElement.dataset.ready")
    return page


def same_curve(play: Watched, served: Served) -> None:
    """Wait until the page's curve has every point and epoch of the training."""

    def drawn():
        epochs = play.page.evaluate("byhand.curve.epochs.map((record) => record.epoch)")
        return epochs, play.page.evaluate("byhand.curve.points.map(([epoch, , , steps]) => [epoch, steps])")

    def trained():
        curve = served.playground.curve
        return [r.epoch for r in curve.epochs], [[point.epoch, point.steps] for point in curve.points]

    until(lambda: drawn() == trained())


def wait(condition, play: Watched | None = None) -> None:
    """Wait for a condition outside the page; events of the page are processed only while Playwright runs."""
    until(lambda: (play and play.page.evaluate("0"), condition())[1])
