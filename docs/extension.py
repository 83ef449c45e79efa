"""Sphinx extension of this site: formulas as MathML, drawings, examples that are run, and links to the repository.

Browsers show MathML themselves, so a page needs no script and no font from another host for its formulas.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

from byhand.export import export
from byhand.model import shipped_model
from docs import api, drawings, pages

SOURCE = "https://github.com/byhand-nn/byhand/blob/main/"
ROOT = pages.DOCS.parent
logger = getLogger(__name__)


class Drawing(Directive):
    """A function of `docs.drawings` by its name; the content is the caption, which describes the drawing."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        caption = " ".join(self.content)
        return [nodes.raw("", drawings.figure(self.arguments[0], caption), format="html")]


class Api(SphinxDirective):
    """Entries of the API reference, for the names in the content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [node for path in self.content if path for node in self.parse_text_to_nodes(api.entry(path))]


class Lesson(SphinxDirective):
    """Paragraphs of the course's lessons; each line of the content is the first words of one."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [node for opening in self.content for node in self.parse_text_to_nodes(pages.lesson(opening))]


def mathml(node: nodes.Element, display: str) -> str:
    """Return a formula as MathML, with a thin space between ln and its argument, and := as one sign."""
    formula = convert(node.astext(), display=display).replace("<mi>ln</mi>", '<mi>ln</mi><mspace width="0.17em"/>')
    return formula.replace("<mi>:</mi><mo>&#x0003D;</mo>", "<mo>:=</mo>")


def inline(self: Any, node: nodes.Element) -> None:
    self.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def display(self: Any, node: nodes.Element) -> None:
    self.body.append(f'<div class="formula">{mathml(node, "block")}</div>\n')
    raise nodes.SkipNode


def link_to_repository(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace relative links to files outside of `docs` by links to the repository."""
    folder = posixpath.dirname(f"docs/{docname}")

    def replaced(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[1]))
        return found[0] if target.startswith("docs/") else f"]({SOURCE}{target})"

    source[0] = re.sub(r"\]\((\.\./[^()\s]+)\)", replaced, source[0])


def check(app: Sphinx) -> None:
    """Warn about examples whose result differs, and about links that lead nowhere."""
    for page in pages.executed():
        for message in pages.failures(page):
            logger.warning(message)
    for page in Path(app.srcdir).rglob("*.md"):
        for message in pages.broken_links(page):
            logger.warning("broken link: %s", message)


def write_pad(app: Sphinx, error: Exception | None) -> None:
    """Write the exported page of the shipped model, for the chapter on one's own digit."""
    if error is None:
        export(shipped_model(), app.outdir / "pad.html")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("drawing", Drawing)
    app.add_directive("api", Api)
    app.add_directive("lesson", Lesson)
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.connect("builder-inited", check)
    app.connect("build-finished", write_pad)
    app.connect("source-read", link_to_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
