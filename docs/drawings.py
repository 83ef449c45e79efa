"""Drawings of the book, made when the site is built. Their colors follow the theme of the page.

`figure(name, caption)` calls the function of that name below, or reads a drawing of the course.
"""

import re

from byhand.course.notebooks import LESSONS
from byhand.page.document import escape

#: Colors of the course's drawings, which are dark on white, and the variables of book.css in their place.
THEMED = {
    "#1f2937": "var(--ink)", "#6b7280": "var(--soft)", "#1d4ed8": "var(--blue)", "#c2410c": "var(--orange)",
    "#15803d": "var(--green)", "#ffffff": "var(--paper)", "#f3f4f6": "var(--well)", "#f8fafc": "var(--well)",
    "#dbeafe": "var(--pale-blue)", "#ffedd5": "var(--pale-orange)", "#dcfce7": "var(--pale-green)",
}  # fmt: skip


def figure(name: str, caption: str) -> str:
    """Return a drawing with its caption, as HTML."""
    kind, _, rest = name.partition(":")
    content = course(rest, caption) if kind == "course" else globals()[name](caption)
    return f'<figure class="drawing">{content}<figcaption>{escape(caption)}</figcaption></figure>'


def course(name: str, caption: str) -> str:
    """Return a drawing of the course."""
    svg = (LESSONS / "drawings" / f"{name}.svg").read_text("utf-8")
    svg = re.sub("|".join(THEMED), lambda found: THEMED[found[0]], svg)
    svg = re.sub(r"(id='|url\(#)(ink|blue|orange)", rf"\g<1>{name}-\2", svg)  # ids are unique in a page
    return svg.replace("<svg ", f"<svg role='img' aria-label='{escape(caption)}' ", 1)
