"""The page in a browser is fast, small and accessible."""

import base64

import numpy as np
import pytest

from helpers.browser import browser
from helpers.own_data import folder_of_shapes
from helpers.watched_page import HANDS, ROOT, Watched, exported, home, opened, play, served

TABS = ["Experiments", "Learning", "Network", "Teach", "Your data", "Setup", "Errors", "One step", "Share"]


def filled(play: Watched, tab: str) -> None:
    """Wait for what the panel fetches."""
    if tab == "One step":
        play.page.locator("#step .worked-out").wait_for()
    if tab == "Errors":
        play.page.locator("#errors .pictures figure").first.wait_for()


@pytest.mark.timing
def test_a_prediction_takes_no_longer_than_twenty_million_additions(play):
    """Measured as CPU time of the page's main thread; well below a frame of 16 ms on a usual machine."""
    inspector = play.context.new_cdp_session(play.page)
    inspector.send("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu_seconds() -> float:
        metrics = inspector.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "ThreadTime")

    def cost(script: str) -> float:
        """CPU seconds of one of sixty runs, without frames in between."""
        began = cpu_seconds()
        play.page.evaluate(f"() => {{ let sum = 0; for (let run = 0; run < 60; run++) {{ {script} }} return sum; }}")
        return (cpu_seconds() - began) / 60

    for digits in HANDS.values():
        for strokes in digits.values():
            play.page.evaluate("byhand.draw.pad.clear()")
            play.draw_at_once(strokes, "middle")
    answer = cost("byhand.draw.pad.finished();")
    additions = cost(
        "const bytes = byhand.draw.pad.gray().pixels; for (let i = 0; i < 2e6; i++) sum += bytes[i % 78400];"
    )
    print(f"CPU ms: an answer {1000 * answer:.1f}, two million additions {1000 * additions:.1f}")
    assert additions > 1e-4  # the clock runs
    assert answer < 10 * additions


def test_thousands_of_events_do_not_grow_the_page(play):
    """Events as in training, one epoch each; `tests/long/soak.py` measures ten minutes."""
    inspector = play.context.new_cdp_session(play.page)

    def heap() -> float:
        inspector.send("HeapProfiler.collectGarbage")
        return play.page.evaluate("performance.memory.usedJSHeapSize")

    feed = """async () => {
      for (let i = 1; i <= 1200; i++) {
        const epoch = byhand.state.step / 29 + 1;
        byhand.happened({
          status: "training", message: "", step: 29 * epoch, batches_per_epoch: 29, stop_at: null,
          version: byhand.state.version, added: 0, waiting: 0, saved_in: null, pace: "full",
          point: [epoch, 1 / epoch, 0.9, 29],
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


#: The color schemes, as the media features that Playwright emulates.
SCHEMES = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced colors": {"color_scheme": "light", "forced_colors": "active"},
}


def serious(page, options: str) -> list[str]:
    """Return the serious problems that axe finds in what is visible."""
    found = page.evaluate(f"axe.run({options})")
    return [
        f"{v['id']}: {v['help']}: {[node['html'][:120] for node in v['nodes']][:3]}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("width", [1280, 768, 640, 390])
def test_axe_finds_no_serious_problem_in_any_tab_and_scheme(browser, served, exported, tmp_path, width):
    """640 pixels are a window of 1280 at a zoom of 200 %. The schemes differ in colors only."""
    source = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("needs axe-core: npm install")
    play = opened(browser, served, width=width)
    play.tab("Learning")
    play.press("One epoch")
    play.until("byhand.state.status === 'paused'")
    play.draw(HANDS["upright"]["3"])
    play.page.evaluate("void byhand.network.excite({ stage: 0, unit: 0 })")
    play.page.get_by_role("heading", name="Unit 0 of layer 1", exact=True).wait_for()
    for tab in ("One step", "Errors", "Share"):
        play.tab(tab)
        filled(play, tab)
    play.press("Copy as Python")
    play.page.locator("#share .program").wait_for()
    play.tab("One step")
    for _ in range(2):  # the parts, then the parts in them
        play.page.evaluate("for (const node of document.querySelectorAll('#step details')) node.open = true")
    play.tab("Your data")
    play.page.locator("#data input[webkitdirectory]").set_input_files(folder_of_shapes(tmp_path / "mine"))
    play.page.get_by_role("heading", name="mine: 32 pictures in 4 classes").wait_for()
    home = Watched(browser, exported.as_uri(), width=width)
    home.until("window.byhand")
    home.draw(HANDS["upright"]["3"])
    for page, tabs in ((play, TABS), (home, ["whole page"])):
        page.page.evaluate(source.read_text("utf-8") + "; void 0")
        for tab in tabs:
            if page is play:
                page.tab(tab)
            for scheme, media in SCHEMES.items():
                if scheme != "light" and width not in (1280, 390):
                    continue  # the colors do not depend on the width
                page.page.emulate_media(**media)
                options = "" if scheme == "light" else "{ runOnly: ['color-contrast'] }"
                assert serious(page.page, options) == [], (tab, scheme)
        page.close()


def test_every_control_of_each_panel_is_reached_by_tab(play):
    """Not by the Tab key: the other tabs, which the arrow keys open."""
    every = """Array.from(document.querySelectorAll("a.skip, button, input, select, summary, canvas[tabindex]"))"""
    play.page.evaluate("document.body.focus()")
    for tab in TABS:
        if tab != TABS[0]:
            play.page.get_by_role("tab", selected=True).press("ArrowRight")
        assert play.page.get_by_role("tab", selected=True).inner_text() == tab
        filled(play, tab)
        reachable = f"{every}.filter((node) => node.checkVisibility() && !node.disabled && node.tabIndex >= 0)"
        controls = play.page.evaluate(f"{reachable}.length")
        assert controls < 60
        seen = set()
        for _ in range(controls + 12):
            play.page.keyboard.press("Tab")
            seen.add(play.page.evaluate(f"{reachable}.indexOf(document.activeElement)"))
        assert len(seen - {-1}) == controls


@pytest.mark.parametrize("width", [400, 800, 1500])
def test_the_page_never_scrolls_sideways(browser, served, home, width):
    play = opened(browser, served, width=width)
    for tab in TABS:
        play.tab(tab)
        filled(play, tab)
        assert play.page.evaluate("document.documentElement.scrollWidth") <= width, tab
    play.close()
    home.page.set_viewport_size({"width": width, "height": 800})
    assert home.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_server_decodes_what_the_page_encodes(play, served):
    image = served.playground.digits.test.images[5]
    sent = play.page.evaluate(
        "async (text) => { const { encode, decode } = await import('/page/server.js'); return encode(decode(text)); }",
        base64.b64encode(image.tobytes()).decode(),
    )
    assert base64.b64decode(sent) == image.tobytes()
