"""What every picture is made of: boxes, lines, arrows, words; and the card that they lie on.

The card is white and the ink dark whatever the page around it: a picture inside an `<img>` can't see the page's theme.
"""

import re
from collections.abc import Iterable

INK, SOFT, BLUE, ORANGE, GREEN = "#1f2937", "#6b7280", "#1d4ed8", "#c2410c", "#15803d"
PALE_BLUE, PALE_ORANGE, PALE_GREY, PALE_GREEN = "#dbeafe", "#ffedd5", "#f3f4f6", "#dcfce7"
FONT = "font-family='DejaVu Sans, Verdana, Arial, sans-serif'"
INDEXED = re.compile(
    r"(?P<d>d?)(?P<letter>[A-Za-z]+?)(?P<index>L−1|l−1|l\+1|L|l|\d+)?(?P<under>_[A-Za-z0-9]+)?(?P<rest>[ᵀ′]?)"
)


def card(width: float, height: float, pieces: Iterable[str]) -> str:
    """The whole picture."""
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
    """Plain words; `x` is their middle unless `anchor` says otherwise."""
    return f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size:g}' fill='{colour}' text-anchor='{anchor}'>{text}</text>"


def formula(x: float, y: float, text: str, size: float = 14, colour: str = INK, anchor: str = "middle") -> str:
    """Words in which `W1`, `H_prev`, `dZL` and `Hl−1` get their indices below the line."""
    return words(x, y, " ".join(indexed(word, size) for word in text.split(" ")), size, colour, anchor)


def indexed(word: str, size: float) -> str:
    """`dH_prev` → dH with a small `prev` below; what is no letter of ours stays as it is."""
    found = INDEXED.fullmatch(word)
    if not found or not (found["index"] or found["under"]):
        return word
    if found["letter"][0].islower() and found["letter"] != "b" and not found["under"]:
        return word  # a plain word that ends like an index: `all`, `rel`
    below = (found["index"] or "") + (found["under"] or "").removeprefix("_")
    return f"{found['d']}{found['letter']}{_below(below, size)}{found['rest']}"


def _below(text: str, size: float) -> str:
    drop = size * 0.25
    return f"<tspan font-size='{size * 0.72:g}' dy='{drop:g}'>{text}</tspan><tspan dy='{-drop:g}'>\u200b</tspan>"


def path(steps: str, colour: str = INK, width: float = 1.5, head: str = "", dashed: bool = False) -> str:
    """A line along an SVG path; `head` is the name of an arrow head at its end."""
    arrow = f" marker-end='url(#{head})'" if head else ""
    dash = " stroke-dasharray='4 3'" if dashed else ""
    return f"<path d='{steps}' fill='none' stroke='{colour}' stroke-width='{width:g}'{arrow}{dash}/>"


def line(points: Iterable[tuple[float, float]], colour: str = INK, width: float = 1.5, head: str = "") -> str:
    """A line through points."""
    return path("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points), colour, width, head)


def dot(x: float, y: float, colour: str = INK, radius: float = 3) -> str:
    return f"<circle cx='{x:g}' cy='{y:g}' r='{radius:g}' fill='{colour}'/>"
