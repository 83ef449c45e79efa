"""Make the screenshots in `docs/screenshots`: `python tools/make_screenshots.py`, about a minute.

Headless Chromium opens the playground, trains, draws a digit and clicks. There are screenshots of the whole page in
both themes, and of each panel and the exported page on a desktop (light) and a phone (dark). The others show the
report, the pages of `explain` and `lr-find`, and `explain` in a terminal. Needs Chromium and Playwright. A palette
keeps the files small. Look at the screenshots before you commit them.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

import byhand.model
from byhand.export import export

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "long")]

from soak import HANDS, draw  # noqa: E402

from helpers.own_data import folder_of_shapes  # noqa: E402
from helpers.playground_server import Served, a_playground  # noqa: E402

SCREENSHOTS = ROOT / "docs" / "screenshots"
TABS = ("Experiments", "Learning", "Network", "Teach", "Your data", "Setup", "Errors", "One step", "Share")
COLORS = 128
#: End of the file name, width of the page, theme.
VIEWS = (("", 1280, "light"), ("-phone", 400, "dark"))


def keep(name: str, picture: bytes) -> None:
    """Write the screenshot with a palette: the page has few colors."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    path = SCREENSHOTS / f"{name}.png"
    image.quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {image.width} × {image.height}, {path.stat().st_size / 1000:.0f} kB")


def opened(browser, address: str, width: int, theme: str, **settings):
    """Open an address in a new page with this width and theme."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce", **settings
    )
    page.goto(address)
    return page


def playing(browser, served: Served, width: int, theme: str):
    """Open the playground and draw a digit."""
    page = opened(browser, served.address, width, theme)
    page.wait_for_selector("html[data-ready]")
    draw(page, HANDS["slanted"]["4"])
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    return page


def panel(page, tab: str, *, whole: bool) -> bytes:
    """Open a tab; return the screenshot of its panel, or of the whole page."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if tab == "Network":
        page.evaluate("void byhand.network.excite({ stage: 0, unit: 3 })")
        page.get_by_role("heading", name="Unit 3 of layer 1", exact=True).wait_for()
    elif tab == "Errors":
        page.locator("#errors .pictures figure").first.wait_for()
    elif tab == "One step":
        page.locator("#step .worked-out").wait_for()
    elif tab == "Your data":
        page.locator("#data input[webkitdirectory]").set_input_files(folder_of_shapes(Path("shapes"), 12))
        page.get_by_role("button", name="Train a new network on these pictures").wait_for()
        page.evaluate("scrollTo(0, 0)")
    elif tab == "Setup" and not whole:
        page.get_by_text("Advanced", exact=True).click()
    if whole:
        return page.screenshot(full_page=True)
    return page.locator(".tab-panel:not([hidden])").screenshot()


def run(*words: str) -> str:
    """Run a command of byhand, and return what it prints."""
    command = [sys.executable, "-m", "byhand", *words]
    environment = {
        **os.environ,
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": "88",
    }
    environment.pop("NO_COLOR", None)
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def reports(browser) -> None:
    """Train a network, and make the screenshots of its report and explanations."""
    run("train", "--data", "mnist-5k", "--hidden", "64", "--run", "runs/002", "--quiet")
    run("eval", "runs/002", "--html", "report.html")
    for name, heading, theme in (
        ("report-confusion-dark", "Confusion matrix", "dark"),
        ("report-mistakes-light", "Worst mistakes", "light"),
        ("report-weights-dark", "First-layer weights", "dark"),
    ):
        page = opened(browser, Path("report.html").resolve().as_uri(), 1100, theme)
        page.set_viewport_size({"width": 1100, "height": 800})
        if name.startswith("report-confusion"):
            page.locator("table button").filter(has_text=re.compile(r"^[2-9]$")).first.click()
        page.get_by_role("heading", name=heading).first.evaluate("heading => heading.scrollIntoView()")
        keep(name, page.screenshot())
        page.close()
    page = opened(browser, Path("report.html").resolve().as_uri(), 400, "dark")
    page.set_viewport_size({"width": 400, "height": 800})
    keep("report-phone-dark", page.screenshot())
    page.close()
    for name, words in (("explain-light", ()), ("explain-unit-light", ("--unit", "1:24"))):
        run("explain", "runs/002", "--sample", "7", "--html", f"{name}.html", *words)
        page = opened(browser, Path(f"{name}.html").resolve().as_uri(), 1100, "light")
        if words:
            page.get_by_role("link", name="Single units").click()
        keep(name, page.screenshot())
        page.close()
    terminal(browser, "explain-terminal", run("explain", "runs/002", "--sample", "7"), lines=84)
    run("lr-find", "--data", "mnist-5k", "--html", "rates.html")
    page = opened(browser, Path("rates.html").resolve().as_uri(), 800, "dark")
    page.set_viewport_size({"width": 800, "height": 640})
    keep("lr-find-dark", page.screenshot())
    page.close()


def terminal(browser, name: str, text: str, *, lines: int) -> None:
    """Make a screenshot of the first lines of a command's output."""
    console = Console(
        record=True, width=88, file=io.StringIO(), force_terminal=True, color_system="truecolor", no_color=False
    )
    console.print(Text.from_ansi("\n".join(text.splitlines()[:lines])))
    Path("terminal.html").write_text(console.export_html(theme=MONOKAI, inline_styles=True), "utf-8")
    page = opened(browser, Path("terminal.html").resolve().as_uri(), 820, "dark")
    keep(name, page.screenshot(full_page=True))
    page.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("BYHAND_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--hide-scrollbars"])
        os.chdir(folder)
        served = Served(a_playground(Path("runs/001"), layers=(32,)))
        try:
            served.post("/api/control", stop_at=12, action="play")
            served.wait("paused")
            for end, width, theme in VIEWS:
                page = playing(browser, served, width, theme)
                for tab in TABS:
                    keep(f"panel-{tab.split()[-1].lower()}{end}", panel(page, tab, whole=bool(end)))
                page.close()
            for theme in ("light", "dark"):
                page = playing(browser, served, 1280, theme)
                page.get_by_role("tab", name="Learning").click()
                page.set_viewport_size({"width": 1280, "height": 860})
                keep(f"playground-{theme}", page.screenshot())
                page.close()
        finally:
            served.close()
        exported = Path("digits.html").resolve()
        export(byhand.model.shipped_model(), exported)
        for end, width, theme in VIEWS:
            page = opened(browser, exported.as_uri(), width, theme)
            draw(page, HANDS["upright"]["8"])
            page.mouse.move(0, 0)
            page.get_by_text("Same numbers as Python").wait_for()
            keep(f"exported-page{end}", page.screenshot(full_page=not end))
            page.close()
        reports(browser)
        browser.close()


if __name__ == "__main__":
    main()
