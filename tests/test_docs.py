"""The site: its links lead somewhere, its examples print what the page shows, and it builds without a warning."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs import api, pages
from helpers.browser import browser
from helpers.needs import needs

__all__ = ["browser"]

ROOT = Path(__file__).parents[1]


def test_links_and_anchors_of_all_pages_exist():
    files = [*ROOT.glob("*.md"), *pages.DOCS.rglob("*.md")]
    assert [link for page in files for link in pages.broken_links(page)] == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# One, two\n", "utf-8")
    (page := tmp_path / "page.md").write_text("[a](other.md#one-two) [b](other.md#two) [c](no.md)", "utf-8")
    assert [message.rpartition(" ")[2] for message in pages.broken_links(page)] == ["other.md#two", "no.md"]


def test_an_example_or_a_number_that_differs_is_found(tmp_path):
    (page := tmp_path / "page.md").write_text(
        "It is 2.303, and 7.\n\n```python\n>>> x = 3\n>>> x + 1\n5\n```\n\n<!-- python\nfrom math import log\n-->\n"
        "<!-- 2.303 = log(10) -->\n<!-- 7 = 2 * x -->\n<!-- 4 = x + 1 -->\n",
        "utf-8",
    )
    example, number, absent = pages.failures(page)
    assert "Expected:\n    5\nGot:\n    4" in example
    assert number.endswith("2 * x is 6, the page has 7")
    assert absent.endswith("4 is not in the text")


def test_code_runs_in_an_empty_folder_unless_it_says_why_not(tmp_path):
    (page := tmp_path / "page.md").write_text(
        "<!-- python\nimport os\nassert os.listdir() == []\n-->\n"
        "```python\nopen('a', 'w').close()\nnames = os.listdir()\n```\n"
        "<!-- not run: there is no such name -->\n```python\nunknown\n```\n<!-- a = names[0] -->\nHere is a.\n\n"
        "```python\nmissing\n```\n",
        "utf-8",
    )
    (failure,) = pages.failures(page)
    assert failure.endswith("16: NameError: name 'missing' is not defined")


def test_chapters_take_existing_paragraphs_of_the_lessons():
    chapters = [page.read_text("utf-8") for page in pages.DOCS.rglob("*.md")]
    blocks = [block for text in chapters for block in re.findall(r"^```{lesson}\n(.*?)^```$", text, re.M | re.S)]
    assert len(blocks) > 15
    for opening in "".join(blocks).splitlines():
        pages.lesson(opening)


def test_no_ten_words_stand_in_a_chapter_and_a_lesson():
    def runs(text):
        words = re.findall(r"\w+", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL).lower())
        return {" ".join(words[k : k + 10]) for k in range(len(words) - 9)}

    chapters = [pages.FENCED.sub("", page.read_text("utf-8")) for page in (pages.DOCS / "book").glob("*.md")]
    said = set().union(*map(runs, pages.lesson_paragraphs()))
    assert [words for text in chapters for words in sorted(runs(text) & said)] == []


def test_the_environment_page_has_every_variable_that_is_read():
    lines = [line for path in (ROOT / "src").rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    near = [line for line in lines if "environ" in line or line.startswith(("LIMITS", "LAUNCHED"))]
    variables = set(re.findall(r'"([A-Z][A-Z_]+)"', "\n".join(near))) | set(
        re.findall(r"BYHAND_[A-Z]+", "\n".join(lines))
    )
    page = (pages.DOCS / "environment.md").read_text("utf-8")
    assert len(variables) > 12
    assert [name for name in sorted(variables) if f"`{name}`" not in page] == []


@pytest.mark.slow
def test_the_api_page_has_every_public_name():
    page = (pages.DOCS / "api.md").read_text("utf-8")
    found = re.findall(r"^(byhand[\w.]*)\.(\w+)$", page, re.MULTILINE)
    shown = [getattr(importlib.import_module(module), name) for module, name in found]
    packages = ("", ".data", ".data.handwriting", ".explain", ".model", ".report", ".training", ".course")
    modules = [importlib.import_module(f"byhand{package}") for package in packages]
    public = {name: getattr(module, name) for module in modules for name in module.__all__}
    assert [name for name, value in public.items() if callable(value) and value not in shown] == []


def test_an_api_entry_has_the_signature_and_docstring_of_the_source():
    entry = api.entry("byhand.Dataset")
    assert "{py:class} byhand.Dataset(images: Bytes, labels: Array, *, classes: Sequence[str]=DIGITS" in entry
    assert "```{py:method} split(held_out: float, *, rng: np.random.Generator) -> tuple[Dataset, Dataset]\n" in entry
    assert "stratified by class" in entry
    assert "one_hot" not in entry
    layer = api.entry("byhand.reference.l_layer.layer_backward")
    assert "`steps 5.1" in layer or "`dH_prev: (n_prev, m)" in layer, "shapes are code on a line of their own"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. The build fails if an example or a number of a page differs, so its message names them."""
    for package in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        needs(package)
    folder, installed = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "src" / "byhand", installed / "byhand")  # not beside the examples, as after `pip install .`
    command, environment = [sys.executable, "-m", "docs", "--no-open", folder], {**os.environ, "PYTHONPATH": installed}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_is_small(site):
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 15e6


@pytest.mark.slow
def test_the_site_is_local_its_search_questions_and_live_figures_work(site, browser):
    page = browser.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{site.as_uri()}/index.html")
    page.goto(f"{site.as_uri()}/search.html?q=deskewing")
    page.wait_for_selector("#search-results a[href*='glossary.html']")  # results come one after the other
    page.goto(f"{site.as_uri()}/book/01-the-problem.html")
    question = page.locator("details.predict").first
    question.locator("summary").click()
    answer = question.locator("> div")
    assert not answer.is_visible(), "covered until the reader has answered"
    question.locator("input").fill("10 × 4000")
    question.locator("button").click()
    assert answer.is_visible()
    assert "10 × 4000" in question.inner_text()
    page.goto(f"{site.as_uri()}/book/07-updates.html")
    figure = page.locator(".live")
    figure.locator("input").fill("10")
    assert figure.locator(".frame:visible").get_attribute("data-name") == figure.locator("output").inner_text()
    page.goto(f"{site.as_uri()}/book/10-your-own-digit.html")
    page.locator("iframe.pad").scroll_into_view_if_needed()
    page.frame_locator("iframe.pad").get_by_text("Same numbers as Python").wait_for()
    page.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
