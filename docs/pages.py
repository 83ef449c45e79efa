"""Check the pages without Sphinx: run their examples, find links that lead nowhere, and read the lessons.

A page may contain four kinds of code. They run in their order, in an empty folder, with the same names:

    ```python              examples with `>>>`: the printed result must be the one on the page
    ```python              other code, which must run
    <!-- python ... -->    code that the reader does not see
    <!-- 2.303 = x -->     the text contains the number 2.303, and x, rounded to as many digits, must be equal to it

Code below a line `<!-- not run: REASON -->` does not run.
"""

import contextlib
import doctest
import io
import re
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from byhand.course.notebooks import LESSONS
from byhand.course.notebooks.release import lesson_source

DOCS = Path(__file__).parent
CODE = re.compile(
    r"^<!-- not run: (?P<reason>[^\n]+) -->\n```python\n.*?^```$"
    r"|^```python\n(?P<example>>>> .*?)^```$|^```python\n(?P<plain>.*?)^```$|^<!-- python\n(?P<hidden>.*?)-->$"
    r"|^<!-- (?P<number>\S+) = (?P<value>[^\n]*) -->$",
    re.DOTALL | re.MULTILINE,
)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def executed() -> list[Path]:
    """Return the pages with code that is run."""
    return [page for page in sorted(DOCS.rglob("*.md")) if CODE.search(page.read_text("utf-8"))]


def failures(page: Path) -> Iterator[str]:
    """Run the code of a chapter, and yield a message for each result that differs from the page."""
    text = page.read_text("utf-8")
    shown = COMMENT.sub("", text)
    names: dict[str, Any] = {}
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        # one thread, because the products are small
        for found in CODE.finditer(text):
            line = text.count("\n", 0, found.start())
            if found["example"]:
                runner, messages = doctest.DocTestRunner(verbose=False), list[str]()
                parsed = doctest.DocTestParser().get_doctest(found["example"], names, page.name, str(page), line + 1)
                runner.run(parsed, out=messages.append, clear_globs=False)
                names = parsed.globs
                yield from messages
            elif code := found["hidden"] or found["plain"]:
                try:
                    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
                        exec(compile(code, f"{page.name}:{line + 1}", "exec"), names)
                except Exception as error:
                    yield f"{page}:{line + 1}: {type(error).__name__}: {error}"
            elif found["number"]:
                value = rounded(eval(found["value"], names), found["number"])
                if value != found["number"]:
                    yield f"{page}:{line + 1}: {found['value']} is {value}, the page has {found['number']}"
                if found["number"] not in shown:
                    yield f"{page}:{line + 1}: {found['number']} is not in the text"


def lesson(opening: str) -> str:
    """Return the paragraph of a lesson of the course that begins with these words: chapters and lessons share it."""
    found = [paragraph for paragraph in lesson_paragraphs() if paragraph.startswith(opening)]
    if len(found) != 1:
        raise ValueError(f"{opening!r} must be the first words of one paragraph of the lessons, got {len(found)}")
    return found[0]


@cache
def lesson_paragraphs() -> list[str]:
    cells = [cell for one in LESSONS for cell in lesson_source(one.name) if cell.is_markdown]
    return [paragraph for cell in cells for paragraph in cell.text.split("\n\n")]


def rounded(value: Any, like: str) -> str:
    """Return a number with the digits of another one: 2.30258 like `2.303` → `2.303`; other values as text."""
    if isinstance(value, str | tuple):
        return str(value).replace(" ", "")
    digits = len(like.partition(".")[2])
    return f"{value:,.{digits}f}".replace("-", "−")


def broken_links(page: Path) -> Iterator[str]:
    """Yield the relative links of a page whose file or heading does not exist."""
    for target in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield f"{page}: {target}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
