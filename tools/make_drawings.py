"""Make the drawings of the lessons, in src/byhand/course/lessons/drawings, as SVG.

python tools/make_drawings.py            write the files
python tools/make_drawings.py --check    compare with the existing files, write nothing

A lesson refers to a function below with `![words](drawing:forward)`, and to a drawing of array shapes with
`![words](shapes:W[n,m] · X[m,k] = Z[n,k])`. Drawings are always dark on white, because an image in an `<img>` element
cannot adapt to the theme of the page.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from byhand.course.notebooks import LESSONS
from byhand.course.notebooks.release import drawing_name, lesson_source

TARGET = Path(__file__).resolve().parents[1] / "src" / "byhand" / "course" / "lessons" / "drawings"
INK, SOFT, BLUE, ORANGE, GREEN = "#1f2937", "#6b7280", "#1d4ed8", "#c2410c", "#15803d"
PALE_BLUE, PALE_ORANGE, PALE_GRAY, PALE_GREEN = "#dbeafe", "#ffedd5", "#f3f4f6", "#dcfce7"
FONT = "font-family='DejaVu Sans, Verdana, Arial, sans-serif'"
INDEXED = re.compile(
    r"(?P<d>d?)(?P<letter>[A-Za-z]+?)(?P<index>L−1|l−1|l\+1|L|l|\d+)?(?P<under>_[A-Za-z0-9]+)?(?P<rest>[ᵀ′]?)"
)


def card(width: float, height: float, pieces: Iterable[str]) -> str:
    """Return an SVG drawing."""
    heads = "".join(
        f"<marker id='{name}' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>"
        f"<path d='M0 0 L10 5 L0 10 z' fill='{color}'/></marker>"
        for name, color in (("ink", INK), ("blue", BLUE), ("orange", ORANGE))
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
        f"viewBox='0 0 {width:g} {height:g}'><defs>{heads}</defs>"
        f"<rect width='{width:g}' height='{height:g}' rx='8' fill='#ffffff'/>{''.join(pieces)}</svg>"
    )


def box(x: float, y: float, width: float, height: float, fill: str = PALE_GRAY, edge: str = INK, rx: float = 3) -> str:
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='{rx:g}' fill='{fill}' stroke='{edge}'/>"
    )


def words(x: float, y: float, text: str, size: float = 13, color: str = INK, anchor: str = "middle") -> str:
    """Return a line of text; `x` is its middle unless `anchor` is "start" or "end"."""
    return f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size:g}' fill='{color}' text-anchor='{anchor}'>{text}</text>"


def formula(x: float, y: float, text: str, size: float = 14, color: str = INK, anchor: str = "middle") -> str:
    """Return a line of text in which the indices of `W1`, `H_prev`, `dZL` and `Hl−1` are subscripts."""
    return words(x, y, " ".join(indexed(word, size) for word in text.split(" ")), size, color, anchor)


def indexed(word: str, size: float) -> str:
    """Return `dH_prev` as dH with the subscript `prev`; return other words unchanged."""
    found = INDEXED.fullmatch(word)
    if not found or not (found["index"] or found["under"]):
        return word
    if found["letter"][0].islower() and found["letter"] != "b" and not found["under"]:
        return word  # a plain word that ends like an index: `all`, `rel`
    below = (found["index"] or "") + (found["under"] or "").removeprefix("_")
    drop = size * 0.25
    index = f"<tspan font-size='{size * 0.72:g}' dy='{drop:g}'>{below}</tspan><tspan dy='{-drop:g}'>\u200b</tspan>"
    return f"{found['d']}{found['letter']}{index}{found['rest']}"


def path(steps: str, color: str = INK, width: float = 1.5, head: str = "", dashed: bool = False) -> str:
    """Return a line along an SVG path; `head` is the name of an arrow head at its end."""
    arrow = f" marker-end='url(#{head})'" if head else ""
    dash = " stroke-dasharray='4 3'" if dashed else ""
    return f"<path d='{steps}' fill='none' stroke='{color}' stroke-width='{width:g}'{arrow}{dash}/>"


def line(points: Iterable[tuple[float, float]], color: str = INK, width: float = 1.5, head: str = "") -> str:
    """Return a line through points."""
    return path("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points), color, width, head)


def dot(x: float, y: float, color: str = INK, radius: float = 3) -> str:
    return f"<circle cx='{x:g}' cy='{y:g}' r='{radius:g}' fill='{color}'/>"


# ---- shapes of arrays as boxes, in a row

LENGTHS = {
    "m": 84, "n": 46, "n_prev": 66, "K": 40, "10": 40, "784": 96, "45": 58, "n_0": 96, "n_1": 62, "n_2": 50,
    "1": 15, "size": 40, "rest": 20,
}  # fmt: skip
MATRIX = re.compile(r"(?P<name>\S+?)\[(?P<rows>[\w]+),(?P<columns>[\w]+)\]")
GAP, MARGIN, LETTER = 14.0, 16.0, 8.5


def shapes(spec: str) -> str:
    """Return a drawing of array shapes as boxes, with operators between them."""
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


# ---- the two algorithms and the training loop


def forward() -> str:
    """Forward pass, left to right: H0, a loop over the layers 1 to L−1, the last layer, the loss; and the memories."""
    pieces = [
        formula(60, 78, "H0 = X", 15),
        words(60, 24, "step 1", 11, SOFT),
        line([(96, 73), (132, 73)], INK, head="ink"),
        box(120 + 14, 36, 276, 74, "#f8fafc", SOFT, 6),
        words(272, 24, "step 2, for l = 1 … L−1", 11, SOFT),
        box(146, 50, 122, 46, PALE_BLUE),
        formula(207, 71, "Zl = Wl · Hl−1 + bl", 12.5),
        words(207, 88, "2.1", 10, SOFT),
        line([(268, 73), (292, 73)], INK, head="ink"),
        box(294, 50, 104, 46, PALE_BLUE),
        formula(346, 71, "Hl = relu( Zl )", 12.5),
        words(346, 88, "2.2", 10, SOFT),
        line([(410, 73), (446, 73)], INK, head="ink"),
        words(552, 24, "step 3, layer L", 11, SOFT),
        box(448, 50, 208, 46, PALE_BLUE),
        formula(552, 78, "HL = softmax( WL · HL−1 + bL )", 12.5),
        line([(656, 73), (688, 73)], INK, head="ink"),
        box(690, 50, 62, 46, PALE_ORANGE, ORANGE),
        words(721, 78, "loss", 13),
    ]
    for x, text in ((272, "( Hl−1 , Wl , bl ) , Zl"), (552, "( HL−1 , WL , bL ) , ZL")):
        pieces += [
            path(f"M{x} 110 V132" if x == 272 else f"M{x} 96 V132", GREEN, dashed=True),
            box(x - 92, 134, 184, 30, PALE_GREEN, GREEN),
            formula(x, 154, text, 12.5),
        ]
    pieces.append(words(412, 188, "the memories, kept for the backward pass", 11, SOFT))
    return card(768, 200, pieces)


def backward() -> str:
    """Backward pass, right to left: from HL − Y through the last layer, then a loop down to layer 1."""
    pieces = [
        box(676, 50, 80, 46, PALE_ORANGE, ORANGE),
        words(716, 71, "loss", 13),
        formula(716, 88, "HL , Y", 11, SOFT),
        line([(676, 73), (650, 73)], ORANGE, head="orange"),
        words(556, 24, "steps 1 to 4, layer L", 11, SOFT),
        box(464, 40, 184, 66, PALE_ORANGE, ORANGE),
        formula(556, 61, "dZL = HL − Y", 12.5),
        formula(556, 80, "dWL = 1/m · dZL · HL−1ᵀ", 12.5),
        formula(556, 99, "dbL = 1/m · Σ dZL", 12.5),
        line([(464, 73), (406, 73)], ORANGE, head="orange"),
        formula(436, 66, "dHL−1", 11.5, ORANGE),
        formula(436, 92, "= WLᵀ · dZL", 9.5, SOFT),
        words(268, 24, "step 5, for l = L−1 … 1", 11, SOFT),
        box(132, 34, 272, 78, "#f8fafc", SOFT, 6),
        box(270, 44, 126, 58, PALE_ORANGE, ORANGE),
        formula(333, 68, "dZl = dHl ⊗ relu′", 12.5),
        words(333, 90, "5.1", 10, SOFT),
        line([(270, 73), (258, 73)], ORANGE, head="orange"),
        box(140, 44, 116, 58, PALE_ORANGE, ORANGE),
        formula(198, 62, "dWl , dbl", 12.5),
        formula(198, 80, "dHl−1 = Wlᵀ · dZl", 11),
        words(198, 96, "5.2 to 5.4", 10, SOFT),
        line([(132, 73), (92, 73)], ORANGE, head="orange"),
        formula(60, 78, "dH0", 15),
    ]
    for x, text in ((268, "( Hl−1 , Wl , bl ) , Zl"), (556, "( HL−1 , WL , bL ) , ZL")):
        pieces += [
            box(x - 92, 134, 184, 30, PALE_GREEN, GREEN),
            formula(x, 154, text, 12.5),
            line([(x, 134), (x, 113 if x == 268 else 107)], GREEN),
        ]
    pieces.append(words(412, 188, "each layer uses its memory from the forward pass", 11, SOFT))
    return card(768, 200, pieces)


def circle() -> str:
    """The training loop: forward, loss, backward, update."""
    places = ((16, 20, "L_layer_forward"), (226, 20, "compute_loss"), (226, 104, "L_layer_backward"))
    pieces = [box(x, y, 170, 40, PALE_BLUE) + words(x + 85, y + 25, name, 13) for x, y, name in places]
    pieces += [
        box(16, 104, 170, 40, PALE_ORANGE, ORANGE),
        words(101, 129, "update_parameters", 13),
        line([(186, 40), (224, 40)], INK, head="ink"),
        line([(311, 60), (311, 102)], INK, head="ink"),
        line([(226, 124), (188, 124)], INK, head="ink"),
        line([(101, 104), (101, 62)], INK, head="ink"),
        words(206, 87, "num_iterations times", 12, BLUE),
    ]
    return card(412, 164, pieces)


# ---- curves, bars and paths

Curve = Callable[[float], float]


class Axes:
    """A plot in a part of the drawing: `at` converts data coordinates to drawing coordinates."""

    def __init__(
        self, left: float, top: float, width: float, height: float, x: tuple[float, float], y: tuple[float, float]
    ):
        self.left, self.top, self.width, self.height, self.x, self.y = left, top, width, height, x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def cross(self) -> str:
        """Return the two axes, through 0 if it is in the plot."""
        zero_x, zero_y = (min(max(0.0, low), high) for low, high in (self.x, self.y))
        across = line([self.at(self.x[0], zero_y), self.at(self.x[1], zero_y)], SOFT, 1)
        return across + line([self.at(zero_x, self.y[0]), self.at(zero_x, self.y[1])], SOFT, 1)

    def curve(self, f: Curve, color: str = BLUE, width: float = 2.2, start: float | None = None) -> str:
        xs = np.linspace(self.x[0] if start is None else start, self.x[1], 61)
        return line([self.at(float(x), f(float(x))) for x in xs], color, width)

    def title(self, text: str) -> str:
        return words(self.left + self.width / 2, self.top - 8, text, 13)


def _sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def _relu(z: float) -> float:
    return max(0.0, z)


def activations() -> str:
    """Sigmoid and ReLU with their derivatives."""
    pieces = []
    for left, name, f, slope, top in (
        (30, "sigmoid", _sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z)), 1.1),
        (310, "relu", _relu, lambda z: float(z > 0), 4.2),
    ):
        above, below = Axes(left, 34, 230, 100, (-4, 4), (0, top)), Axes(left, 168, 230, 70, (-4, 4), (0, 1.1))
        pieces += [above.title(name), above.cross(), above.curve(f), below.title(f"its derivative, {name}′")]
        if name == "relu":
            pieces += [below.cross(), line([below.at(-4, 0), below.at(0, 0)], ORANGE, 2.2)]
            pieces += [line([below.at(0, 1), below.at(4, 1)], ORANGE, 2.2)]
        else:
            pieces += [below.cross(), below.curve(slope, ORANGE), words(left + 190, 224, "at most ¼", 11, SOFT)]
    return card(570, 254, pieces)


def bends() -> str:
    """Two layers without and with a nonlinear activation function between them."""
    weights, shifts, out = (1.0, -1.4, 0.9), (1.2, 0.3, -1.1), (0.9, 0.8, -1.9)
    straight = Axes(30, 36, 230, 130, (-3, 3), (-3, 9.4))
    bent = Axes(310, 36, 230, 130, (-3, 3), (-1.5, 4.5))

    def network(x: float, activation: Curve) -> float:
        return sum(o * activation(w * x + s) for w, s, o in zip(weights, shifts, out, strict=True))

    slope = [network(x, lambda z: z) for x in (0.0, 1.0)]
    return card(
        570,
        200,
        [
            straight.title("two layers without activation"),
            straight.cross(),
            straight.curve(lambda x: slope[0] + (slope[1] - slope[0]) * x, ORANGE),
            words(145, 188, "a straight line, as from one layer", 11, SOFT),
            bent.title("the same layers with relu between them"),
            bent.cross(),
            bent.curve(lambda x: network(x, _relu)),
            words(425, 188, "a bend for each hidden unit", 11, SOFT),
        ],
    )


def softmax() -> str:
    """A column of logits and the same column as probabilities."""
    Z = np.array([2.0, 1.0, 3.2, -1.0])
    H = np.exp(Z) / np.exp(Z).sum()
    pieces = [formula(70, 24, "one column of Z", 13), formula(360, 24, "the same column of H", 13)]
    for k, (z, h) in enumerate(zip(Z, H, strict=True)):
        y = 38 + 30 * k
        pieces += [
            box(46, y, 48, 24, PALE_BLUE),
            words(70, y + 17, f"{z:g}".replace("-", "−"), 13),
            line([(106, y + 12), (236, y + 12)], SOFT, 1, "ink"),
            box(246, y + 2, max(2.0, 220 * float(h)), 20, BLUE, BLUE, 1),
            words(256 + 220 * float(h), y + 17, f"{h:.2f}", 13, anchor="start"),
        ]
    pieces += [words(171, 172, "e^Z, divided by the sum of the column", 11, SOFT), words(360, 172, "sum 1", 11, SOFT)]
    return card(510, 184, pieces)


def one_hot() -> str:
    """Three labels and their one-hot columns."""
    labels = (3, 5, 0)
    pieces = [words(30, 24, "label", 12, SOFT), words(30, 100, "row", 12, SOFT)]
    for column, label in enumerate(labels):
        x = 78 + 46 * column
        pieces.append(words(x + 17, 24, str(label), 15, BLUE))
        for row in range(10):
            y, is_it = 34 + 17 * row, row == label
            pieces += [
                box(x, y, 34, 17, BLUE if is_it else PALE_GRAY, SOFT, 0),
                words(x + 17, y + 13, "1" if is_it else "0", 11, "#ffffff" if is_it else SOFT),
            ]
    pieces += [words(66, 47 + 17 * row, str(row), 10, SOFT, "end") for row in range(10)]
    return card(230, 216, pieces)


def loss() -> str:
    """Cross-entropy loss of a sample: −ln p."""
    axes = Axes(50, 26, 300, 140, (0, 1), (0, 5))
    x, y = axes.at(0.1, float(np.log(10)))
    return card(
        380,
        206,
        [
            axes.cross(),
            axes.curve(lambda p: float(-np.log(p)), start=0.0068),
            words(200, 20, "loss of one sample: −ln p", 13),
            dot(x, y, ORANGE, 4),
            words(x + 10, y - 2, "ten equal probabilities: 2.3", 12, ORANGE, "start"),
            words(350, 184, "1", 12, SOFT),
            words(50, 184, "0", 12, SOFT),
            words(200, 196, "p, the probability of the right digit", 12, SOFT),
        ],
    )


def descent() -> str:
    """Gradient descent on a curve."""
    axes = Axes(40, 20, 330, 140, (-2.3, 1.9), (0, 2.9))

    def f(w: float) -> float:
        return 0.55 * w * w + 0.25 * w + 0.3

    w, pieces = -2.0, [axes.cross(), axes.curve(f)]
    for _ in range(6):
        after = w - 0.42 * (1.1 * w + 0.25)
        pieces += [
            line([axes.at(w, f(w)), axes.at(after, f(after))], ORANGE, 1.5, "orange"),
            dot(*axes.at(w, f(w)), ORANGE),
        ]
        w = after
    pieces += [words(205, 180, "one weight", 12, SOFT), words(62, 32, "loss", 12, SOFT, "start")]
    return card(400, 192, pieces)


def momentum() -> str:
    """Gradient descent in a long valley, without and with momentum."""
    pieces = []
    for left, title, keep, rate in ((20, "without momentum", 0.0, 0.172), (310, "with momentum", 0.7, 0.05)):
        axes = Axes(left, 36, 250, 110, (-5.4, 1.4), (-1.6, 1.6))
        for size in (0.35, 0.75, 1.15):
            turn = np.linspace(0, 2 * np.pi, 61)
            ring = [axes.at(float(4.4 * size * np.cos(t)), float(1.25 * size * np.sin(t))) for t in turn]
            pieces.append(line([point for point in ring if left <= point[0] <= left + 250], PALE_GRAY, 2))
        place, speed, points = np.array([-4.8, 1.1]), np.zeros(2), []
        for _ in range(16):
            points.append(axes.at(float(place[0]), float(place[1])))
            speed = keep * speed + place * np.array([0.9, 11.0])
            place = place - rate * speed
        color = ORANGE if keep == 0 else BLUE
        pieces += [words(left + 125, 24, title, 13), line(points, color, 1.6), dot(*axes.at(0, 0), INK, 4)]
        pieces += [dot(x, y, color, 2.2) for x, y in points]
    return card(580, 164, pieces)


DRAWINGS = {
    draw.__name__: draw
    for draw in (activations, backward, bends, circle, descent, forward, loss, momentum, one_hot, softmax)
}


def main(check: bool = False) -> int:
    """Write the files, or compare them with the existing ones."""
    text = "".join(cell.text for lesson in LESSONS for cell in lesson_source(lesson.name))
    made = {f"{name}.svg": draw() for name, draw in DRAWINGS.items()}
    for spec in sorted(set(re.findall(r"\(shapes:([^)]+)\)", text))):
        name = f"{drawing_name('shapes', spec)}.svg"
        assert name not in made, f"two drawings are called {name}"
        made[name] = shapes(spec)
    if check:
        return int(made != {path.name: path.read_text(encoding="utf-8").rstrip("\n") for path in TARGET.iterdir()})
    TARGET.mkdir(exist_ok=True)
    for name, svg in made.items():
        (TARGET / name).write_text(f"{svg}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
