"""Self-contained HTML files for dark and light mode, phones and print. Their policy forbids every request.

Arrays are embedded as small PNG images: signed numbers in two colors whose opacity is their magnitude, so that 0 is the
background; bytes in sixteen shades of gray, which are enough for a digit and make a small file.
"""

import base64
import html
import io
import json
from collections.abc import Iterable, Mapping
from importlib import resources

import numpy as np

from byhand.nn.arrays import Array

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
POSITIVE, NEGATIVE = (226, 113, 0), (28, 116, 235)
GRAYS = 16


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """Return the HTML file. `body`, `style` and `script` are not escaped; pass untrusted text through `escape`."""
    scripts = f"<script>\n{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{source('document.css')}{style}</style>\n</head>\n"
        f"<body>\n{body}\n{scripts}</body>\n</html>\n"
    )


def script_json(value: object) -> str:
    """Return a value as JSON for a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def source(name: str, package: str = "byhand.page") -> str:
    """Read a file of the package."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def escape(text: object) -> str:
    """Escape text for HTML content and quoted attributes."""
    return html.escape(str(text), quote=True)


class Cell(str):
    """A cell of a table as HTML: `<td class="right">7</td>`."""


def table(head: Iterable[object], rows: Iterable[Iterable[object]], caption: str = "", *, kind: str = "") -> str:
    """Return a table whose first column has the row headers. All cells except a `Cell` are escaped.

    A table that is too wide can be scrolled with the keyboard.
    """
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = []
    for first, *rest in rows:
        cells = "".join(cell if isinstance(cell, Cell) else f"<td>{escape(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    title, style = f"<caption>{escape(caption)}</caption>" if caption else "", f' class="{kind}"' if kind else ""
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll" tabindex="0"><table{style}>{title}{body}</table></div>'


def folded(summary: str, content: str) -> str:
    """Return collapsed content."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def cards(sections: Iterable[tuple[str, str, str]]) -> str:
    """Return sections (id, title, content) as cards; empty ones are left out."""
    return "".join(
        f'<section class="card" id="{key}"><h2>{escape(title)}</h2>{content}</section>'
        for key, title, content in sections
        if content
    )


def facts(values: Mapping[str, object]) -> str:
    """Return names and values as a definition list."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in values.items())
    return f'<dl class="facts">{rows}</dl>'


# ---- images


def tiled(stack: Array, across: int) -> Array:
    """Tile images, with gaps of NaN one cell wide                          (count, H, W) → (rows, columns)"""
    count, height, width = stack.shape
    across = min(across, count)
    sheet = np.full((-(-count // across) * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for place, picture in enumerate(stack):
        top, left = place // across * (height + 1), place % across * (width + 1)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def signed_image(cells: Array, scale: float) -> str:
    """Return a data URI with one pixel per number; NaN and 0 are transparent                  cells: (rows, columns)"""
    strength = np.zeros(cells.shape) if scale == 0 else np.nan_to_num(cells / scale)
    index = np.rint(128 + 127 * np.sign(strength) * np.abs(strength) ** 0.8)
    opacity = bytes(round(abs(k - 128) * 255 / 127) if k else 255 for k in range(256))
    return data_uri(png(index, [*NEGATIVE * 128, *POSITIVE * 128], transparency=opacity))


def gray_image(pixels: Array) -> str:
    """Return the data URI of an image of bytes               pixels: uint8 (rows, columns) or (rows, columns, 3)"""
    return data_uri(gray_png(pixels))


def gray_png(pixels: Array) -> bytes:
    """Return a PNG of bytes in sixteen shades, or in color   pixels: uint8 (rows, columns) or (rows, columns, 3)"""
    if pixels.ndim == 3:
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png", optimize=True)
        return file.getvalue()
    index = (pixels.astype(float) * (GRAYS - 1) / 255).round()
    return png(index, [level * 255 // (GRAYS - 1) for level in range(GRAYS) for _ in range(3)], bits=4)


def png(index: Array, palette: list[int], **settings: object) -> bytes:
    """Return a PNG with a palette."""
    from PIL import Image

    file = io.BytesIO()
    image = Image.fromarray(index.astype("uint8")).convert("P")
    image.putpalette(palette)
    image.save(file, "png", optimize=True, **settings)
    return file.getvalue()


def data_uri(content: bytes) -> str:
    """Return a PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
