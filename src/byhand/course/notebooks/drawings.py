"""The pictures in the lessons, as SVG: small, sharp, and reviewable as text.

A lesson says `![words](drawing:forward)`, for a file that `tools/make_drawings.py` has made, or
`![words](shapes:W[n,m] · X[m,k] = Z[n,k])`, for shapes of arrays that are drawn here. The words become the picture's
alternative text. The card is white and the ink dark whatever the page around it: a picture inside an `<img>` can't see
the page's theme.
"""

import re
from collections.abc import Iterable

from byhand.course.notebooks import FOLDER
from byhand.errors import DataError

INK, SOFT, BLUE, ORANGE = "#1f2937", "#6b7280", "#1d4ed8", "#c2410c"
PALE_BLUE, PALE_GREY = "#dbeafe", "#f3f4f6"
FONT = "font-family='DejaVu Sans, Verdana, Arial, sans-serif'"
INDEXED = re.compile(
    r"(?P<d>d?)(?P<letter>[A-Za-z]+?)(?P<index>L−1|l−1|l\+1|L|l|\d+)?(?P<under>_[A-Za-z0-9]+)?(?P<rest>[ᵀ′]?)"
)


def card(width: float, height: float, pieces: Iterable[str]) -> str:
    """Return the whole picture."""
    heads = "".join(
        f"<marker id='{name}' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>"
        f"<path d='M0 0 L10 5 L0 10 z' fill='{colour}'/></marker>"
        for name, colour in (("ink", INK), ("blue", BLUE), ("orange", ORANGE))
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
        f"viewBox='0 0 {width:g} {height:g}'><defs>{heads}</defs>"
        f"<rect width='{width:g}' height='{height:g}' rx='8' fill='#ffffff'/>{''.join(pieces)}</svg>"
    )


def box(x: float, y: float, width: float, height: float, fill: str = PALE_GREY, edge: str = INK, rx: float = 3) -> str:
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='{rx:g}' fill='{fill}' stroke='{edge}'/>"
    )


def words(x: float, y: float, text: str, size: float = 13, colour: str = INK, anchor: str = "middle") -> str:
    """Return plain words; `x` is their middle unless `anchor` says otherwise."""
    return f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size:g}' fill='{colour}' text-anchor='{anchor}'>{text}</text>"


def formula(x: float, y: float, text: str, size: float = 14, colour: str = INK, anchor: str = "middle") -> str:
    """Return words in which `W1`, `H_prev`, `dZL` and `Hl−1` get their indices below the line."""
    return words(x, y, " ".join(indexed(word, size) for word in text.split(" ")), size, colour, anchor)


def indexed(word: str, size: float) -> str:
    """Return `dH_prev` as dH with a small `prev` below; other words are returned as they are."""
    found = INDEXED.fullmatch(word)
    if not found or not (found["index"] or found["under"]):
        return word
    if found["letter"][0].islower() and found["letter"] != "b" and not found["under"]:
        return word  # a plain word that ends like an index: `all`, `rel`
    below = (found["index"] or "") + (found["under"] or "").removeprefix("_")
    drop = size * 0.25
    index = f"<tspan font-size='{size * 0.72:g}' dy='{drop:g}'>{below}</tspan><tspan dy='{-drop:g}'>\u200b</tspan>"
    return f"{found['d']}{found['letter']}{index}{found['rest']}"


# ---- shapes of arrays as boxes, in a row

LENGTHS = {
    "m": 84, "n": 46, "n_prev": 66, "K": 40, "10": 40, "784": 96, "45": 58, "n_0": 96, "n_1": 62, "n_2": 50,
    "1": 15, "size": 40, "rest": 20,
}  # fmt: skip
MATRIX = re.compile(r"(?P<name>\S+?)\[(?P<rows>[\w]+),(?P<columns>[\w]+)\]")
GAP, MARGIN, LETTER = 14.0, 16.0, 8.5


def shapes(spec: str) -> str:
    """Return the picture of one line of arrays with signs between them."""
    tokens = spec.split()
    matrices = [found for token in tokens if (found := MATRIX.fullmatch(token))]
    tallest = max(LENGTHS[found["rows"]] for found in matrices)
    middle = MARGIN + 18 + tallest / 2
    pieces, x = [], MARGIN
    for token in tokens:
        found = MATRIX.fullmatch(token)
        if not found:
            pieces.append(formula(x + LETTER * len(token) / 2, middle + 5, token, 16))
            x += LETTER * len(token) + GAP
            continue
        height, width = LENGTHS[found["rows"]], LENGTHS[found["columns"]]
        name = found["name"].replace("log-", "log ").replace("1-H", "1 − H").replace("Z>0", "[Z &gt; 0]")
        rows, wide = found["rows"], LETTER * len(re.sub(r"&gt;", ">", name))
        x += 5.5 * len(rows.replace("_", "")) + 6
        slot = max(width, min(wide, 78))
        left = x + (slot - width) / 2
        inside = wide <= width and height >= 26
        pieces += [
            box(left, middle - height / 2, width, height, PALE_BLUE),
            formula(left - 4, middle + 4, rows, 11, SOFT, "end"),
            formula(left + width / 2, middle - height / 2 - 5, found["columns"], 11, SOFT),
            formula(left + width / 2, middle + 5 if inside else middle + height / 2 + 17, name, 14),
        ]
        x += slot + GAP
    return card(x - GAP + MARGIN, middle + tallest / 2 + 18 + MARGIN / 2, pieces)


def picture(kind: str, what: str) -> str:
    """Return the SVG of `drawing:what` or `shapes:what`."""
    if kind == "shapes":
        return shapes(what)
    drawings = {path.name.removesuffix(".svg"): path for path in (FOLDER / "drawings").iterdir()}
    if what not in drawings:
        raise DataError(f"drawing must be one of {', '.join(sorted(drawings))}, got {what}")
    return drawings[what].read_text(encoding="utf-8").rstrip("\n")
