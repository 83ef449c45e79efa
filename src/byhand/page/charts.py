"""Charts: lines and points as SVG, with the colors of the style sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from byhand.page.document import escape

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 40
#: Maximum number of points of a polyline; longer ones are thinned out.
MOST_POINTS = 400
#: Maximum number of points that are drawn as dots too.
FEW_POINTS = 40


@dataclass(frozen=True)
class Series:
    """A line. `look` is a class of the style sheet: `one`, `two`, … or `faint`."""

    name: str
    points: Sequence[tuple[float, float]]
    look: str = "one"
    is_dotted: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis; with `is_whole`, all ticks are whole numbers; with `names`, they are the names of 0, 1, …"""

    label: str
    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False
    names: Sequence[str] = ()

    def place(self, value: float, start: float, stop: float) -> float:
        """Return the position of a value between two coordinates."""
        low, high = self.scaled(self.low), self.scaled(self.high)
        share = (self.scaled(value) - low) / (high - low) if high > low else 0.5
        return start + (stop - start) * share

    def scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def words(self, value: float) -> str:
        """Return the label of a tick."""
        return self.names[int(value)] if self.names else f"{value:g}"

    def ticks(self) -> list[float]:
        """Return a few round numbers on the axis."""
        if self.names:
            return [float(k) for k in range(len(self.names))]
        if self.is_log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        rough = (self.high - self.low) / 6
        power = 10 ** math.floor(math.log10(rough))
        round_step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough * (1 - 1e-9))
        step = float(max(round_step, self.is_whole))
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def chart(title: str, x: Axis, y: Axis, series: Sequence[Series], marks: str = "") -> str:
    """Return an SVG with axes, lines and a legend. `marks` is more SVG (see `spot`)."""
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in y.ticks():
        at = y.place(value, floor, TOP)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(text("tick", LEFT - 6, at + 4, f"{value:g}", "end"))
    for value in x.ticks():
        parts.append(text("tick", x.place(value, LEFT, right), floor + 16, x.words(value)))
    parts.append(text("name", (LEFT + right) / 2, HEIGHT - 6, x.label))
    for one in series:
        parts += line(one, x, y)
    legend = "".join(f'<span class="key {look(s)}">{escape(s.name)}</span>' for s in series if s.name)
    svg = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    return (
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption>{svg}{"".join(parts)}{marks}</svg>'
        f'<div class="legend">{legend}</div></figure>'
    )


def line(one: Series, x: Axis, y: Axis) -> list[str]:
    """Return a line, with dots if there are few points; points outside the axis are moved to its edge."""
    points = [(a, b) for a, b in one.points if math.isfinite(b)]
    if not points:
        return []
    thinned = points[:: max(1, len(points) // MOST_POINTS)]
    if thinned[-1] != points[-1]:
        thinned.append(points[-1])
    places = [spot(x, y, a, min(max(b, y.low), y.high)) for a, b in thinned]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    dots = places if len(places) <= FEW_POINTS else []
    return [f'<polyline class="line {look(one)}" points="{path}"/>'] + [
        f'<circle class="dot {one.look}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in dots
    ]


def look(one: Series) -> str:
    """Return the CSS classes of a line."""
    return f"{one.look} dotted" if one.is_dotted else one.look


def text(kind: str, x: float, y: float, words: str, anchor: str = "middle") -> str:
    """Return an SVG text."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def spot(x: Axis, y: Axis, a: float, b: float) -> tuple[float, float]:
    """Return the coordinates of the point (a, b) in the SVG."""
    return x.place(a, LEFT, WIDTH - RIGHT), y.place(b, HEIGHT - BOTTOM, TOP)


def around(values: Sequence[float], *, least: float = 0.0) -> tuple[float, float]:
    """Return the limits of an axis for these values, with a margin, at least `least` apart."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = max((high - low) * 0.06, (least - (high - low)) / 2, abs(high) * 1e-6, 1e-12)
    return low - room, high + room
