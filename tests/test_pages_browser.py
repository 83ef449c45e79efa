"""HTML pages in a browser: no errors, no requests, readable in dark and light, on desktop and phone."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import byhand
from byhand.explain import explain_step
from byhand.report import compare, evaluate, html_report
from byhand.report.comparison import ComparedRun
from byhand.report.lr_find import range_test_page
from byhand.report.sweep import sweep_page
from byhand.training import Recipe
from byhand.training.lr_find import lr_find
from byhand.training.records import EpochRecord
from helpers.browser import browser, open_page

__all__ = ["browser", "open_page"]

#: Both themes, on desktop and phone.
VIEWS = [(1100, False), (1100, True), (400, False), (400, True)]


def a_sweep() -> str:
    """Return the page of a search with five trials."""

    def trial(number, rate, hidden, accuracy):
        record = EpochRecord(3, 30, 0.5, 0.8, 0.4, accuracy, rate, 1.0, (), 1000.0, 0.1)
        values = {"learning_rate": rate, "hidden": hidden}
        return SimpleNamespace(
            number=number, values=values, status="done", records=[record], message="", accuracy=accuracy, seconds=number
        )

    trials = [
        trial(k, 10.0 ** -(k % 3), ("16", "32,16")[k % 2], accuracy)
        for k, accuracy in enumerate((0.5, 0.93, 0.71, 0.98, 0.8))
    ]
    search = {"learning_rate": {"low": 0.01, "high": 1.0, "log": True}, "hidden": {"choices": ["16", "32,16"]}}
    command = "byhand train --data mnist-5k --hidden 32,16 --learning-rate 1 --epochs 3 --seed 0 --optimizer momentum"
    return sweep_page(trials, search=search, importances={}, best=trials[3], command=command)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every kind of page, as a file."""
    folder = tmp_path_factory.mktemp("pages")
    digits = byhand.load("mnist-5k")
    runs = []
    for name, seed in (("one", 0), ("two", 1)):
        model = byhand.Model([784, 16, 10], seed=seed)
        history = byhand.fit(model, digits.train, epochs=2, validation=0.1, seed=seed)
        config = {"command": f"byhand train --seed {seed}", "seed": seed, "recipe": Recipe().config()}
        runs.append(ComparedRun(name, model, evaluate(model, digits.test), list(history), config))
    one = runs[0]
    sliding = byhand.Model([784, 16, 10], maps=[16, 24])
    content = {
        "sweep": a_sweep(),
        "explain": explain_step(one.model, digits.test[7]).html(),
        "report": html_report(one.evaluation, one.model, one.records, one.config),
        "explain-maps": explain_step(sliding, digits.test[:2]).html(),
        "report-maps": html_report(evaluate(sliding, digits.test), sliding),
        "compare": compare(runs).html(),
        "lr-find": range_test_page(lr_find(one.model, digits.train, steps=60), "a network"),
    }
    for name, page in content.items():
        (folder / f"{name}.html").write_text(page, "utf-8")
    return folder


@pytest.mark.parametrize("name", ["explain", "explain-maps", "report", "report-maps", "compare", "lr-find", "sweep"])
def test_a_page_opens_without_errors_in_every_view(open_page, pages, name):
    for width, dark in VIEWS:
        page = open_page(pages / f"{name}.html", width=width, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page must not scroll sideways"
        assert faint_texts(page) == [], f"text with too little contrast ({'dark' if dark else 'light'})"
        assert page.locator("img:not([alt]), [role=img]:not([aria-label])").count() == 0
        assert page.locator("h1").count() == 1


def faint_texts(page):
    """Return texts whose contrast with the background is under 4.5 : 1."""
    return page.evaluate("""() => {
      const light = (color) => {
        const [r, g, b] = color.match(/[0-9.]+/g).map(Number).slice(0, 3).map((c) => {
          c /= 255;
          return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
          const color = getComputedStyle(e).backgroundColor;
          if (/^rgb\\(/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
      };
      const found = [];
      const words = "h1, h2, h3, p, li, td, th, dt, dd, a, summary, figcaption, code, b, span";
      for (const element of document.querySelectorAll(words)) {
        if (!element.textContent.trim() || !element.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) found.push(element.outerHTML.slice(0, 80));
      }
      return found;
    }""")


def test_a_cell_of_the_confusion_matrix_shows_its_images(open_page, pages):
    page = open_page(pages / "report.html")
    button = page.locator("[data-cell='4,9']")
    count = int(button.inner_text())
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    title = page.locator("#cell h3").inner_text()
    assert title.startswith("4 read as 9: ")
    tiles = page.locator("#cell .tile")
    assert tiles.count() == min(count, 24)
    label = tiles.first.get_attribute("aria-label")
    assert re.fullmatch(r"image \d+: label 4, read as 9", label)
    size = tiles.first.bounding_box()
    assert (size["width"], size["height"]) == (56, 56)


def test_the_confusion_matrix_works_from_the_keyboard(open_page, pages):
    page = open_page(pages / "report.html")
    assert page.locator("[data-cell][tabindex='0']").count() == 1
    page.locator("[data-cell='0,0']").focus()
    for key in ("ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    where = page.evaluate("document.activeElement.dataset.cell")
    row, column = map(int, where.split(","))
    assert column == 0
    assert row >= 2
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    row_now, column_now = map(int, page.evaluate("document.activeElement.dataset.cell").split(","))
    assert row_now == row
    assert column_now > 0
    assert page.locator("#cell h3").inner_text().startswith(f"{row_now} read as {column_now}: ")
    assert page.locator("[data-cell][tabindex='0']").count() == 1


def test_the_report_has_the_same_content_without_scripts(open_page, pages):
    page = open_page(pages / "report.html", javascript=False)
    assert page.locator(".confusion button").count() > 10
    assert page.locator(".cards > li").count() == 24


def test_a_tile_shows_its_image(open_page, pages):
    """The first card's tile, as the browser draws it, is the image of its index."""
    page = open_page(pages / "report.html")
    tile = page.locator(".cards .tile").first
    index = int(re.match(r"image (\d+)", tile.get_attribute("aria-label"))[1])
    tile.evaluate("""tile => {
      document.body.replaceChildren(tile);
      document.body.style = "margin: 0; padding: 0; max-width: none; line-height: 0";
    }""")
    shot = page.screenshot(clip={"x": 0, "y": 0, "width": 56, "height": 56})
    painted = np.asarray(Image.open(io.BytesIO(shot)).convert("L")).astype(float)
    smaller = painted.reshape(28, 2, 28, 2).mean(axis=(1, 3))
    image = byhand.load("mnist-5k").test.images[index]
    inside = (slice(3, -3), slice(3, -3))  # without the rounded corners
    assert np.abs(smaller - image)[inside].max() < 12


def test_the_explanation_unfolds_its_numbers(open_page, pages):
    page = open_page(pages / "explain.html", width=400)
    details = page.locator("#units .terms details").first
    details.locator("summary").click()
    assert details.locator("tbody tr").count() > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_page_of_a_sweep_sorts_and_shows_settings_together(open_page, pages):
    page = open_page(pages / "sweep.html")
    accuracies = "Array.from(document.querySelectorAll('#trials tbody tr'), (row) => row.cells[2].textContent)"
    assert page.evaluate(accuracies) == ["98.00 %", "93.00 %", "80.00 %", "71.00 %", "50.00 %"]
    header = page.get_by_role("columnheader", name="validation accuracy")
    header.click()
    assert page.evaluate(accuracies) == ["50.00 %", "71.00 %", "80.00 %", "93.00 %", "98.00 %"]
    header.press("Enter")
    assert page.evaluate(accuracies)[0] == "98.00 %"
    assert header.get_attribute("aria-sort") == "descending"
    lines = page.locator(".parallel polyline")
    assert lines.count() == 5
    best = lines.last
    assert best.get_attribute("class") == "line"
    assert best.locator("title").text_content() == "trial 3: learning_rate 1, hidden 32,16, accuracy, % 98"
    places = [tuple(map(float, point.split(","))) for point in best.get_attribute("points").split()]
    assert [y for _, y in places[:2]] == [30.0, 30.0]  # the largest rate, the last choice
    ticks = page.locator("#mattered .plot").nth(1).locator("text.tick").all_text_contents()
    assert ticks[-2:] == ["16", "32,16"]
    assert page.locator("#best code").evaluate("(node) => node.scrollWidth <= node.parentElement.clientWidth")
