"""A document: one HTML file that needs nothing else, neither network nor library, and can be printed and mailed.

What goes in is the body of a page; what comes out has the house's style, works in dark and light and on a telephone,
and carries a policy that forbids the browser to fetch anything at all.
"""

import html
from collections.abc import Iterable
from importlib import resources

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """The whole file. `body`, `style` and `script` are trusted; text that came from outside goes through `escape`."""
    scripts = f"<script>\n{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{asset('document.css')}{style}</style>\n</head>\n"
        f"<body>\n{body}\n{scripts}</body>\n</html>\n"
    )


def asset(name: str, package: str = "byhand.page") -> str:
    """The text of a file that is installed with the package."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def escape(text: object) -> str:
    """Any text, safe between tags and inside a quoted attribute."""
    return html.escape(str(text), quote=True)


def table(head: Iterable[object], rows: Iterable[Iterable[object]], caption: str = "") -> str:
    """A table with its first column as the rows' headings. Cells are escaped."""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = []
    for row in rows:
        first, *rest = row
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{title}{body}</table></div>'


def folded(summary: str, content: str) -> str:
    """What only some want to see: the text twin of a picture, mostly."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"
