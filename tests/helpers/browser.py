"""A real browser for the tests of pages: Chromium, found by its path and driven by Playwright.

    def test_page(open_page, tmp_path):
        page = open_page(tmp_path / "report.html", width=400, dark=True)

`open_page` fails the test for any error on the console, any exception in the page and any request beyond the file
itself. Import `browser` and `open_page` in a test file to use them.
"""

import os
from pathlib import Path

import pytest

from helpers.needs import needs, program

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]


def chromium() -> str:
    """Return the browser's path: BYHAND_CHROMIUM, or the first of the usual names."""
    return os.environ.get("BYHAND_CHROMIUM") or program(*NAMES)


@pytest.fixture(scope="module")
def browser():
    """One Chromium per test file: Playwright keeps the thread's event loop while it runs."""
    playwright_api = needs("playwright.sync_api")
    with playwright_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file as a page; at the end of the test no page must have had an error."""
    problems, contexts = [], []

    def open_file(path: Path, *, width: int = 1100, height: int = 900, dark: bool = False, javascript: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("request", lambda request: note(request.url))
        own = Path(path).resolve().as_uri()

        def note(url: str) -> None:
            if url.split("#", maxsplit=1)[0] != own and not url.startswith("data:"):
                problems.append(f"request: {url}")

        page.goto(own)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert not problems, problems
