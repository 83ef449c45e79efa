"""The small pictures: curves, bars and paths, computed here and drawn as they are."""

from collections.abc import Callable

import numpy as np

from byhand.course.notebooks.drawings.pieces import (
    BLUE,
    INK,
    ORANGE,
    PALE_BLUE,
    PALE_GREY,
    SOFT,
    box,
    card,
    dot,
    formula,
    line,
    words,
)

Curve = Callable[[float], float]


class Axes:
    """A corner of the card with its own scale: `at` turns (x, y) of a curve into places on the card."""

    def __init__(
        self, left: float, top: float, width: float, height: float, x: tuple[float, float], y: tuple[float, float]
    ):
        self.left, self.top, self.width, self.height, self.x, self.y = left, top, width, height, x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def cross(self) -> str:
        """The two axes, through 0 where it is in sight."""
        zero_x, zero_y = (min(max(0.0, low), high) for low, high in (self.x, self.y))
        across = line([self.at(self.x[0], zero_y), self.at(self.x[1], zero_y)], SOFT, 1)
        return across + line([self.at(zero_x, self.y[0]), self.at(zero_x, self.y[1])], SOFT, 1)

    def curve(self, f: Curve, colour: str = BLUE, width: float = 2.2, start: float | None = None) -> str:
        xs = np.linspace(self.x[0] if start is None else start, self.x[1], 61)
        return line([self.at(float(x), f(float(x))) for x in xs], colour, width)

    def title(self, text: str) -> str:
        return words(self.left + self.width / 2, self.top - 8, text, 13)


def _sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def _relu(z: float) -> float:
    return max(0.0, z)


def activations() -> str:
    """sigmoid and relu, and below each its slope."""
    pieces = []
    for left, name, f, slope, top in (
        (30, "sigmoid", _sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z)), 1.1),
        (310, "relu", _relu, lambda z: float(z > 0), 4.2),
    ):
        above, below = Axes(left, 34, 230, 100, (-4, 4), (0, top)), Axes(left, 168, 230, 70, (-4, 4), (0, 1.1))
        pieces += [above.title(name), above.cross(), above.curve(f), below.title(f"its slope, {name}′")]
        if name == "relu":
            pieces += [below.cross(), line([below.at(-4, 0), below.at(0, 0)], ORANGE, 2.2)]
            pieces += [line([below.at(0, 1), below.at(4, 1)], ORANGE, 2.2)]
        else:
            pieces += [below.cross(), below.curve(slope, ORANGE), words(left + 190, 224, "at most ¼", 11, SOFT)]
    return card(570, 254, pieces)


def bends() -> str:
    """Two layers without a bend between them, and with one."""
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
            straight.title("two layers, nothing between them"),
            straight.cross(),
            straight.curve(lambda x: slope[0] + (slope[1] - slope[0]) * x, ORANGE),
            words(145, 188, "a straight line: one layer could do it", 11, SOFT),
            bent.title("the same two layers, relu between them"),
            bent.cross(),
            bent.curve(lambda x: network(x, _relu)),
            words(425, 188, "a bend for each hidden unit", 11, SOFT),
        ],
    )


def softmax() -> str:
    """One column of scores, and the same column as probabilities."""
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
    pieces += [words(171, 172, "e^Z, divided by the column’s sum", 11, SOFT), words(360, 172, "together 1", 11, SOFT)]
    return card(510, 184, pieces)


def one_hot() -> str:
    """Three labels and their columns."""
    labels = (3, 5, 0)
    pieces = [words(30, 24, "label", 12, SOFT), words(30, 100, "row", 12, SOFT)]
    for column, label in enumerate(labels):
        x = 78 + 46 * column
        pieces.append(words(x + 17, 24, str(label), 15, BLUE))
        for row in range(10):
            y, is_it = 34 + 17 * row, row == label
            pieces += [
                box(x, y, 34, 17, BLUE if is_it else PALE_GREY, SOFT, 0),
                words(x + 17, y + 13, "1" if is_it else "0", 11, "#ffffff" if is_it else SOFT),
            ]
    pieces += [words(66, 47 + 17 * row, str(row), 10, SOFT, "end") for row in range(10)]
    return card(230, 216, pieces)


def loss() -> str:
    """−log p"""
    axes = Axes(50, 26, 300, 140, (0, 1), (0, 5))
    x, y = axes.at(0.1, float(np.log(10)))
    return card(
        380,
        206,
        [
            axes.cross(),
            axes.curve(lambda p: float(-np.log(p)), start=0.0068),
            words(200, 20, "loss of one sample: −log p", 13),
            dot(x, y, ORANGE, 4),
            words(x + 10, y - 2, "undecided among ten: 2.3", 12, ORANGE, "start"),
            words(350, 184, "1", 12, SOFT),
            words(50, 184, "0", 12, SOFT),
            words(200, 196, "p, the probability that the right digit got", 12, SOFT),
        ],
    )


def descent() -> str:
    """Steps down a curve, each against the slope."""
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
    """The same valley, steep across and shallow along: plain steps, and steps with momentum."""
    pieces = []
    for left, title, keep, rate in ((20, "plain steps", 0.0, 0.172), (310, "with momentum", 0.7, 0.05)):
        axes = Axes(left, 36, 250, 110, (-5.4, 1.4), (-1.6, 1.6))
        for size in (0.35, 0.75, 1.15):
            turn = np.linspace(0, 2 * np.pi, 61)
            ring = [axes.at(float(4.4 * size * np.cos(t)), float(1.25 * size * np.sin(t))) for t in turn]
            pieces.append(line([point for point in ring if left <= point[0] <= left + 250], PALE_GREY, 2))
        place, speed, points = np.array([-4.8, 1.1]), np.zeros(2), []
        for _ in range(16):
            points.append(axes.at(float(place[0]), float(place[1])))
            speed = keep * speed + place * np.array([0.9, 11.0])
            place = place - rate * speed
        colour = ORANGE if keep == 0 else BLUE
        pieces += [words(left + 125, 24, title, 13), line(points, colour, 1.6), dot(*axes.at(0, 0), INK, 4)]
        pieces += [dot(x, y, colour, 2.2) for x, y in points]
    return card(580, 164, pieces)
