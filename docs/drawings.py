"""Drawings of the book, made when the site is built. Their colors follow the theme of the page.

`figure(name, caption)` calls the function of that name below, or reads a drawing of the course.
"""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import byhand
from byhand.data import Dataset
from byhand.data.handwriting import normalize, with_pen
from byhand.data.handwriting.deskew import deskew
from byhand.data.handwriting.ink import background, is_dark_on_light, normalize_contrast, remove_dirt
from byhand.page.charts import Axis, Series, around, chart
from byhand.page.document import escape, gray_image, signed_image, tiled
from byhand.reference import beyond, l_layer
from byhand.training import Callback, StepRecord, Trainer
from docs.three_ways import table

COURSE = Path(byhand.__file__).parent / "course" / "lessons" / "drawings"
#: Colors of the course's drawings, which are dark on white, and the variables of book.css in their place.
THEMED = {
    "#1f2937": "var(--ink)", "#6b7280": "var(--soft)", "#1d4ed8": "var(--blue)", "#c2410c": "var(--orange)",
    "#15803d": "var(--green)", "#ffffff": "var(--paper)", "#f3f4f6": "var(--well)", "#f8fafc": "var(--well)",
    "#dbeafe": "var(--pale-blue)", "#ffedd5": "var(--pale-orange)", "#dcfce7": "var(--pale-green)",
}  # fmt: skip


@threadpool_limits.wrap(limits=1)  # the products are small
def figure(name: str, caption: str) -> str:
    """Return a drawing with its caption, as HTML."""
    kind, _, rest = name.partition(":")
    content = course(rest, caption) if kind == "course" else globals()[name](caption)
    return f'<figure class="drawing">{content}<figcaption>{escape(caption)}</figcaption></figure>'


def course(name: str, caption: str) -> str:
    """Return a drawing of the course."""
    svg = (COURSE / f"{name}.svg").read_text("utf-8")
    svg = re.sub("|".join(THEMED), lambda found: THEMED[found[0]], svg)
    svg = re.sub(r"(id='|url\(#)(ink|blue|orange)", rf"\g<1>{name}-\2", svg)  # ids are unique in a page
    svg = svg.replace("<svg ", f"<svg role='img' aria-label='{escape(caption)}' ", 1)
    # On a telephone, a wide drawing keeps a legible size and scrolls, by keyboard too.
    return f'<div class="wide" tabindex="0">{svg}</div>' if "width='768'" in svg else svg


def picture(source: str, caption: str, width: int) -> str:
    """Return an image from a data URI, enlarged to `width` screen pixels."""
    return f'<img class="pixels" width="{width}" src="{source}" alt="{escape(caption)}">'


def svg(width: float, height: float, content: str, caption: str) -> str:
    """Return an SVG."""
    label = escape(caption)
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">{content}</svg>'


def sheet(images: np.ndarray, across: int) -> np.ndarray:
    """Return images side by side                        (count, H, W) → uint8 (rows, columns)"""
    return np.nan_to_num(tiled(images.astype(float), across)).astype(np.uint8)


def plot(
    x: str, y: str, series: list[Series], *, title: str, low: float | None = None, high: float | None = None
) -> str:
    """Return a chart whose axes fit the lines."""
    points = [point for one in series for point in one.points]
    below, above = around([b for _, b in points])
    across = [a for a, _ in points]
    vertical = Axis(y, below if low is None else low, above if high is None else high)
    return chart(title, Axis(x, min(across), max(across)), vertical, series)


@functools.cache
def training() -> Dataset:
    return byhand.load("mnist-5k").train


@functools.cache
def trained() -> byhand.Model:
    """Return a small network, trained for a few seconds."""
    model = byhand.Model([784, 24, 10], seed=0)
    byhand.fit(model, training(), epochs=4, seed=0, verbose=False)
    return model


# ---- 1. the problem


def samples(caption: str) -> str:
    return picture(gray_image(sheet(training().images[:20], 10)), caption, 580)


def averages(caption: str) -> str:
    data = training()
    means = np.stack([data.images[data.labels == k].mean(axis=0) for k in range(10)])
    return picture(gray_image(sheet(means, 10)), caption, 580)


def pixels(caption: str) -> str:
    """Return the middle of an image, with the number of each pixel."""
    side, image = 34, training().images[0][8:20, 8:20]
    cells = []
    for (row, column), value in np.ndenumerate(image):
        color = "#ffffff" if value < 128 else "#000000"
        cells.append(
            f'<rect x="{column * side}" y="{row * side}" width="{side}" height="{side}" fill="rgb{(int(value),) * 3}"/>'
            f'<text x="{(column + 0.5) * side}" y="{row * side + 22}" fill="{color}" font-size="13" '
            f'text-anchor="middle">{value}</text>'
        )
    size = side * len(image)
    return svg(size, size, "".join(cells), caption)


# ---- 2. a neuron


def unit(caption: str) -> str:
    """Return an image, the weights of the unit that responds most to it, and their products."""
    model = trained()
    layer = model.network.dense[0]
    image = training().images[1]
    x = model.preparation(image[np.newaxis], np.float32)[0]
    side = image.shape[0]
    weights = layer.W[:, int(np.argmax(x @ layer.W + layer.b))].astype(float)
    products = weights * np.where(image.ravel() > 0, image.ravel() / 255, 0)
    sources = (
        ("image", gray_image(image)),
        ("weights", signed_image(weights.reshape(side, side), float(np.abs(weights).max()))),
        ("products", signed_image(products.reshape(side, side), float(np.abs(products).max()))),
    )
    parts = (f"<div>{picture(source, name, 168)}<span>{name}</span></div>" for name, source in sources)
    return f'<div class="row">{"".join(parts)}</div>'


def bias(_caption: str) -> str:
    grid = np.linspace(-4, 4, 161)
    lines = [
        Series(f"b = {b}".replace("-", "−"), [(float(x), max(0.0, float(x) + b)) for x in grid], look)
        for b, look in ((2, "one"), (0, "two"), (-2, "three"))
    ]
    return plot("input x", "output h", lines, title="h = max(0, x + b)")


# ---- 4. why ReLU


def wave(_caption: str) -> str:
    """Return two networks that learn a curve, one with ReLU and one without."""
    x = np.linspace(-1, 1, 40)[np.newaxis]
    y = np.sin(4 * x)
    grid = np.linspace(-1, 1, 161)[np.newaxis]
    lines = [Series("points", [(float(a), float(b)) for a, b in zip(x[0], y[0], strict=True)], "faint", is_dotted=True)]
    for name, bends, look in (("with ReLU", True, "one"), ("without", False, "two")):
        rng = np.random.default_rng(4)
        W1, b1 = rng.normal(size=(12, 1)) * 2, rng.normal(size=(12, 1))
        W2, b2 = rng.normal(size=(1, 12)) * 0.3, np.zeros((1, 1))
        for _ in range(3000):
            Z = W1 @ x + b1
            H = np.maximum(0, Z) if bends else Z
            dZ2 = (W2 @ H + b2 - y) / x.size
            dZ1 = W2.T @ dZ2 * ((Z > 0) if bends else 1)
            W2, b2 = W2 - 0.1 * dZ2 @ H.T, b2 - 0.1 * dZ2.sum(axis=1, keepdims=True)
            W1, b1 = W1 - 0.1 * dZ1 @ x.T, b1 - 0.1 * dZ1.sum(axis=1, keepdims=True)
        Z = W1 @ grid + b1
        out = W2 @ (np.maximum(0, Z) if bends else Z) + b2
        lines.append(Series(name, [(float(a), float(b)) for a, b in zip(grid[0], out[0], strict=True)], look))
    return plot("x", "y", lines, title="A wave, learned with and without a bend")


# ---- 6. backpropagation


def seven(caption: str) -> str:
    """Return the network of seven parameters, with the numbers of the forward pass."""
    parts = []
    for x1, y1, x2, y2, name, at in (
        (60, 60, 240, 100, "w₁ = 0.5", (150, 66)),
        (60, 150, 240, 110, "w₂ = 0.25", (150, 154)),
        (240, 105, 430, 60, "v₀ = ln 3", (335, 66)),
        (240, 105, 430, 150, "v₁ = ln 2", (335, 154)),
    ):
        parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="var(--soft)" stroke-width="2"/>')
        parts.append(label(*at, name, "var(--orange)"))
    for x, y, name, below in (
        (60, 60, "1", "x₁"), (60, 150, "2", "x₂"), (240, 105, "1", "h, b = 0"),
        (430, 60, "ln 3", "z₀, c₀ = 0"), (430, 150, "ln 2", "z₁, c₁ = 0"),
    ):  # fmt: skip
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="24" fill="var(--pale-blue)" stroke="var(--blue)"/>'
            f"{label(x, y + 5, name)}{label(x, y + 40, below, 'var(--soft)')}"
        )
    parts += [label(520, 65, "3/5"), label(520, 155, "2/5"), label(520, 196, "softmax", "var(--soft)")]
    parts += [f'<line x1="456" y1="{y}" x2="496" y2="{y}" stroke="var(--soft)" stroke-width="2"/>' for y in (60, 150)]
    return svg(560, 205, "".join(parts), caption)


def label(x: float, y: float, words: str, color: str = "var(--ink)") -> str:
    """Return a text in a drawing."""
    return f'<text x="{x}" y="{y}" fill="{color}" font-size="15" text-anchor="middle">{words}</text>'


# ---- 7. and 8. updates, training and its curves


@functools.cache
def arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images and labels as the reference takes them      X: (784, count)   Y: (10, count)"""
    data = training()
    return data.images[:count].reshape(count, -1).T / 255, l_layer.one_hot(data.labels[:count])


def descend(learning_rate: float, iterations: int, *, count: int = 300, scale: float = 1) -> list[float]:
    """Return the losses of gradient descent with the reference, on the first images."""
    X, Y = arrays(count)
    X, parameters, losses = X * scale, l_layer.initialize_parameters([784, 45, 10]), []
    for _ in range(iterations):
        HL, memories = l_layer.L_layer_forward(X, parameters)
        losses.append(l_layer.compute_loss(HL, Y, ZL=memories[-1][1]))
        l_layer.update_parameters(parameters, l_layer.L_layer_backward(HL, Y, memories), learning_rate)
    return losses


def learning_rates(_caption: str) -> str:
    lines = [
        Series(f"learning rate {rate:g}", list(enumerate(descend(rate, 41))), look)
        for rate, look in ((0.0075, "faint"), (0.1, "one"), (1.0, "three"), (4.0, "two"))
    ]
    return plot("iteration", "loss", lines, title="Loss over the first 40 iterations", low=0, high=5)


def curves(_caption: str) -> str:
    """Return the losses of a network that learns 300 images by heart."""
    X, Y = arrays(1300)
    X_new, Y_new = X[:, 300:], Y[:, 300:]
    X, Y = X[:, :300], Y[:, :300]
    parameters, rng = l_layer.initialize_parameters([784, 45, 10]), np.random.default_rng(0)
    velocities = {name: np.zeros_like(value) for name, value in parameters.items()}
    lines: dict[str, list[tuple[float, float]]] = {"training images": [], "new images": []}
    for epoch in range(41):
        for name, images, labels in (("training images", X, Y), ("new images", X_new, Y_new)):
            HL, memories = l_layer.L_layer_forward(images, parameters)
            lines[name].append((epoch, l_layer.compute_loss(HL, labels, ZL=memories[-1][1])))
        for X_batch, Y_batch in beyond.mini_batches(X, Y, rng.permutation(300), 50):
            HL, memories = l_layer.L_layer_forward(X_batch, parameters)
            gradients = l_layer.L_layer_backward(HL, Y_batch, memories)
            beyond.update_with_momentum(parameters, gradients, velocities, 0.05)
    looks = zip(lines.items(), ("one", "two"), strict=True)
    return plot("epoch", "loss", [Series(name, line, look) for (name, line), look in looks], title="Loss", low=0)


# ---- figures with a slider: live.js shows one frame at a time; without it, the last one is seen


def frames(parts: Iterable[tuple[str, str]], kind: str) -> str:
    """Return elements of which one is shown; each has a text for the slider, and content."""
    found = list(parts)
    return "".join(
        f'<{kind} class="frame" data-name="{escape(name)}"{"" if name == found[-1][0] else hidden}>{content}</{kind}>'
        for name, content in found
        for hidden in (' style="display: none"',)
    )


def growing(caption: str) -> str:
    """Return the weights of twelve units after some of the first steps of a training."""
    at, found = {1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000}, []

    class Camera(Callback):
        def on_start(self, trainer: Trainer) -> None:
            found.append((0, trainer.model.network.dense[0].W.T[:12].astype(float)))

        def on_step(self, trainer: Trainer, record: StepRecord) -> None:
            if record.step + 1 in at:
                found.append((record.step + 1, trainer.model.network.dense[0].W.T[:12].astype(float)))

    model = byhand.Model([784, 24, 10], seed=0)
    byhand.fit(model, training(), epochs=32, seed=0, threads=1, augment="none", callbacks=[Camera()], verbose=False)
    limit = max(float(np.abs(weights).max()) for _, weights in found) / 2
    pictures = (
        (f"after {step:,} steps", picture(signed_image(tiled(weights.reshape(-1, 28, 28), 6), limit), caption, 580))
        for step, weights in found
    )
    return f'<div class="live" data-label="Steps of training">{frames(pictures, "div")}</div>'


def landscape(caption: str) -> str:
    """Return the loss over two parameters as contour lines, and the ways of two balls on it."""
    data, rate, count, size = training(), 5.0, 60, 360
    both = np.isin(data.labels, (0, 1))
    x, y = data.images[both].mean(axis=(1, 2)) / 25, (data.labels[both] == 0).astype(float)

    def loss_and_slope(w: Any, b: Any) -> tuple[Any, Any]:
        z = np.multiply.outer(x, w) + b
        p = 1 / (1 + np.exp(-z))
        dz = (p.T - y).T
        return np.mean(np.logaddexp(0, z) - (z.T * y).T, axis=0), np.array([(dz.T * x).T.mean(axis=0), dz.mean(axis=0)])

    def way(momentum: float, rate: float) -> list[np.ndarray]:
        place, velocity = np.array([-1.0, 2.0]), np.zeros(2)
        places = [place]
        for _ in range(count):
            velocity = momentum * velocity + loss_and_slope(*place)[1]
            place = place - rate * velocity
            places.append(place)
        return places

    (left, right), (low, high) = (-2.0, 12.0), (-14.0, 4.0)
    w, b = np.linspace(left, right, 61), np.linspace(low, high, 61)
    losses, _ = loss_and_slope(*np.meshgrid(w, b))

    def at(place: np.ndarray) -> tuple[float, float]:
        return (place[0] - left) / (right - left) * size, (high - place[1]) / (high - low) * size

    levels = np.geomspace(losses.min() * 1.02, losses.max() * 0.8, 14)
    lines = "".join(f'<path class="contour" d="{contour(losses, level, size)}"/>' for level in levels)
    ways = [("plain", "two", way(0, rate)), ("momentum", "one", way(0.9, rate / 4))]

    def frame(step: int) -> str:
        parts = []
        for _, look, places in ways:
            points = " ".join("{:.1f},{:.1f}".format(*at(place)) for place in places[: step + 1])
            across, down = at(places[step])
            parts.append(f'<g class="{look}"><polyline class="line" points="{points}"/>')
            parts.append(f'<circle class="dot" cx="{across:.1f}" cy="{down:.1f}" r="6"/></g>')
        return "".join(parts)

    def name(step: int) -> str:
        values = (f"{kind} {float(loss_and_slope(*places[step])[0]):.3f}" for kind, _, places in ways)
        return f"step {step}: loss {', '.join(values)}"

    balls = frames(((name(step), frame(step)) for step in range(count + 1)), "g")
    row, column = np.unravel_index(losses.argmin(), losses.shape)
    across, down = at(np.array([w[column], b[row]]))
    axes = f'<circle class="contour" style="stroke: var(--ink)" cx="{across:.1f}" cy="{down:.1f}" r="10"/>'
    axes += label(size / 2, size + 18, "weight w, from −2 to 12", "var(--soft)")
    axes += (
        f'<g transform="rotate(-90 -10 {size / 2})">{label(-10, size / 2, "bias b, from −14 to 4", "var(--soft)")}</g>'
    )
    keys = "".join(f'<span class="key {look}">{kind}</span>' for kind, look, _ in ways)
    drawing = svg(size + 30, size + 26, f'<g transform="translate(28)">{lines}{balls}{axes}</g>', caption)
    return f'<div class="live" data-label="Steps">{drawing}<div class="legend">{keys}</div></div>'


def contour(values: np.ndarray, level: float, size: float) -> str:
    """Return a contour line as the path of an SVG: a segment in each triangle that it crosses (marching triangles)."""
    side = size / (len(values) - 1)
    parts = []
    for i, k in np.ndindex(len(values) - 1, len(values) - 1):
        for corners in (((i, k), (i, k + 1), (i + 1, k)), ((i + 1, k + 1), (i, k + 1), (i + 1, k))):
            points = []
            for one, two in ((0, 1), (1, 2), (2, 0)):
                a, b = values[corners[one]], values[corners[two]]
                if (a < level) != (b < level):
                    t = (level - a) / (b - a)
                    row, column = (p + t * (q - p) for p, q in zip(corners[one], corners[two], strict=True))
                    points.append(f"{column * side:.1f} {size - row * side:.1f}")
            if points:
                parts.append(f"M{points[0]}L{points[1]}")
    return "".join(parts)


# ---- 9. scaling


def scales(_caption: str) -> str:
    lines = [
        Series(name, list(enumerate(descend(0.0075, 61, scale=scale))), look)
        for name, scale, look in (
            ("0 to 1", 1, "one"),
            ("bytes, 0 to 255", 255, "two"),
            ("0 to 1/255", 1 / 255, "three"),
        )
    ]
    return plot("iteration", "loss", lines, title="The same network and learning rate, three scales", low=1.5, high=8)


# ---- 10. one's own digit


def pad(caption: str) -> str:
    """Return the exported page, which the extension writes beside the pages of the site."""
    return f'<iframe class="pad" src="../pad.html" title="{escape(caption)}" loading="lazy"></iframe>'


def shifts(_caption: str) -> str:
    test, model = byhand.load("mnist-5k").test, byhand.Model([784, 128, 10])
    byhand.fit(model, training(), epochs=10, augment="none", threads=1, verbose=False)
    points = [(k, 100 * model.accuracy((np.roll(test.images, k, axis=2), test.labels))) for k in range(9)]
    return plot("shift in pixels", "%", [Series("", points, "two")], title="Accuracy in percent", low=0, high=100)


def photograph(image: np.ndarray, pen: int = 0) -> np.ndarray:
    """Return a picture like a photo: a digit in a corner, dark on gray paper, with a shadow    (224, 224)"""
    ink = with_pen(np.kron(image, np.ones((4, 4), np.uint8)), pen)[:112, :112] / 255
    paper = np.linspace(205, 150, 224)[np.newaxis] * np.linspace(1, 0.85, 224)[:, np.newaxis]
    paper[100:212, 16:128] -= 110 * ink
    return paper.astype(np.uint8)


def row(pictures: Iterable[tuple[str, np.ndarray]], width: int) -> str:
    """Return gray images side by side, with their names."""
    parts = (
        # three channels, because gray images have only sixteen shades
        f"<div>{picture(gray_image(np.stack([image] * 3, axis=-1)), name, width)}<span>{name}</span></div>"
        for name, image in pictures
    )
    return f'<div class="row">{"".join(parts)}</div>'


def photo(_caption: str) -> str:
    """Return a picture like a photo of a digit, the same shrunk to 28 × 28, and normalized."""
    photo = photograph(training().images[0])
    shrunk = photo.reshape(28, 8, 28, 8).mean(axis=(1, 3)).astype(np.uint8)
    return row((("photo", photo), ("shrunk", shrunk), ("normalized", normalize(photo).image)), 168)


def normalization(_caption: str) -> str:
    """Return the result of each step of the normalization, computed by the functions of byhand in their order."""
    gray = photograph(training().images[0], -3)
    gray[30:32, 170:173] -= 80  # a speck
    gray[:30, 218:] -= 90  # a thing at the edge
    bright = 255 - gray if is_dark_on_light(gray) else gray
    ground = background(bright, max(gray.shape))
    ink = normalize_contrast(bright, ground, True)
    clean, _ = remove_dirt(ink)
    digit = normalize(gray)
    steps = (
        ("photo", gray), ("light on dark", bright), ("brightness of the paper", ground), ("ink", ink),
        ("without dirt", clean), ("pen", digit.ink), ("scaled", digit.scaled), ("centered", digit.image),
        ("deskewed", deskew(digit.image[np.newaxis])[0]),
    )  # fmt: skip
    return row(steps, 130)


# ---- 11. from page to machine


def three_ways(_caption: str) -> str:
    return table()


# ---- 12. beyond


def filters(_caption: str) -> str:
    """Return an image, and the results of three edge filters."""
    image = training().images[2].astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    horizontal = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
    diagonal = np.array([[1, 1, 0], [1, 0, -1], [0, -1, -1]])
    sources = [("image", gray_image(training().images[2]))]
    for name, weights in (("horizontal", horizontal), ("vertical", horizontal.T), ("diagonal", diagonal)):
        sources.append((name, signed_image((windows * weights).sum(axis=(2, 3)), 765)))
    parts = (f"<div>{picture(source, name, 140)}<span>{name}</span></div>" for name, source in sources)
    return f'<div class="row">{"".join(parts)}</div>'
