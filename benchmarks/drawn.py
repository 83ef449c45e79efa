"""Drawn handwriting: pictures of digits, rows and non-digits, made from the pen strokes of real writers.

The strokes are those of the UCI pen digits (E. Alpaydin, F. Alimoglu), 30 writers who drew about 250 digits each. The
digits of some writers are kept apart for validation. Each kind of picture imitates a source: a pad, a scan, a pencil, a
photo, squared paper, tight crops of 16 × 16 pixels, the pattern of a cheque. Everything follows from a seed.

    digits = read_pen_digits("pendigits-orig.tra.gz")
    pictures = drawn(digits, KINDS, seed=0)                    uint8 (H, W) each, of different sizes
"""

import gzip
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Rng = np.random.Generator
#: Strokes of points x, y; y grows downward.
Strokes = tuple[Floats, ...]

#: Writers of the pen digits whose digits are for validation only.
HELD_OUT = frozenset(range(23, 31))


@dataclass(frozen=True)
class PenDigit:
    """A digit as pen strokes, scaled so that its longest side is 1."""

    label: str
    writer: int
    strokes: Strokes


def read_pen_digits(path: str | Path) -> list[PenDigit]:
    """Read the UNIPEN text of the UCI pen digits."""
    text = gzip.decompress(Path(path).read_bytes()).decode("latin-1")
    digits = []
    for part in text.split(".SEGMENT")[1:]:
        head = re.search(r"\.COMMENT\s+(\d)\s+(\d+)", part)
        strokes = [points(pen) for pen in part.split(".PEN_DOWN")[1:]]
        if head and strokes:
            digits.append(PenDigit(head[1], int(head[2]), unit(tuple(strokes))))
    return digits


def points(pen: str) -> Floats:
    numbers = np.array(re.findall(r"-?\d+", pen.partition(".PEN_UP")[0]), np.float64).reshape(-1, 2)
    return numbers * [1, -1]


def unit(strokes: Strokes) -> Strokes:
    """Move and scale the strokes to a box whose longest side is 1."""
    everything = np.concatenate(strokes)
    low, size = everything.min(axis=0), max(float(np.ptp(everything, axis=0).max()), 1e-9)
    return tuple((stroke - low) / size for stroke in strokes)


def read_bitmaps(path: str | Path) -> tuple[Bytes, list[str]]:
    """Read the UCI optical digits: bitmaps of 32 × 32, 255 where there is ink, and their labels."""
    lines = gzip.decompress(Path(path).read_bytes()).decode("ascii").splitlines()
    images, labels = [], []
    for start in range(len(lines) % 33, len(lines) - 32, 33):
        images.append([[255 * int(bit) for bit in line] for line in lines[start : start + 32]])
        labels.append(lines[start + 32].strip())
    return np.array(images, np.uint8), labels


# Ink: coverage from 0 to 1.


def inked(strokes: Strokes, size: float, pen: float, margin: float, *, stretch: bool = False) -> Floats:
    """Draw strokes with round caps.    size: longest side of their center lines; pen: width of the strokes, in pixels

    margin: pixels between the ink and the edge; if negative, the ink is cut.  stretch: to a square
    """
    fine = 4 if size < 200 else 2
    box = np.ptp(np.concatenate(strokes), axis=0)
    scale = size / np.maximum(box, 0.15) if stretch else np.full(2, size)
    width, height = np.maximum(1, np.ceil(box * scale + pen + 2 * margin)).astype(int)
    canvas = Image.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(canvas)
    radius = fine * pen / 2
    for stroke in strokes:
        line = fine * (stroke * scale + margin + pen / 2)
        draw.line([tuple(p) for p in line], fill=255, width=max(1, round(2 * radius)))
        for x, y in line:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas.reduce(fine), np.float64) / 255


def varied(strokes: Strokes, rng: Rng) -> Strokes:
    """Slant and turn the strokes a little, and change their proportions."""
    angle, slant, wide = rng.normal(0, 4), rng.normal(0, 0.12), np.exp(rng.normal(0, 0.1))
    return unit(transformed(strokes, angle, slant, wide))


def transformed(strokes: Strokes, degrees: float, slant: float = 0.0, wide: float = 1.0) -> Strokes:
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    matrix = turn @ np.array([[wide, -slant], [0, 1]])
    return tuple(stroke @ matrix.T for stroke in strokes)


# Paper and light.


def to_bytes(brightness: Floats) -> Bytes:
    return np.clip(np.rint(brightness), 0, 255).astype(np.uint8)


def smooth_noise(shape: tuple[int, ...], cell: float, rng: Rng) -> Floats:
    """Noise of standard deviation about 1 whose structures are `cell` pixels wide."""
    coarse = rng.normal(0, 1, [max(2, int(np.ceil(n / cell)) + 1) for n in shape]).astype(np.float32)
    height, width = shape
    fine: Floats = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return fine


def light(shape: tuple[int, ...], rng: Rng, darkest: float) -> Floats:
    """Light that falls off in one direction from 1 to at least `darkest`."""
    y, x = np.mgrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    share: Floats = 1 - rng.uniform(0, 1 - darkest) * np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)
    return share


def shadow(shape: tuple[int, ...], rng: Rng) -> Floats:
    """A shadow with a soft edge over part of the paper."""
    y, x = np.mgrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    side = (x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.3, 0.3)) / rng.uniform(0.01, 0.1)
    share: Floats = 1 - rng.uniform(0.15, 0.5) / (1 + np.exp(-np.clip(side, -30, 30)))
    return share


def as_jpeg(gray: Bytes, quality: int) -> Bytes:
    file = io.BytesIO()
    Image.fromarray(gray).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("L"))


def blurred(ink: Floats, radius: float) -> Floats:
    return np.asarray(Image.fromarray(to_bytes(255 * ink)).filter(ImageFilter.GaussianBlur(radius)), np.float64) / 255


def resized(brightness: Floats, height: int, width: int) -> Floats:
    image = Image.fromarray(np.float32(brightness))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)


def plain(ink: Floats, rng: Rng) -> Bytes:
    """Scanned: dark ink on white paper."""
    return to_bytes(rng.uniform(225, 255) - rng.uniform(140, 220) * ink + rng.normal(0, 1.5, ink.shape))


def penciled(ink: Floats, rng: Rng) -> Bytes:
    """Pencil: gray, grainy, with gaps."""
    grain = np.clip(0.75 + 0.35 * smooth_noise(ink.shape, 1.6, rng), 0, 1)
    paper = rng.uniform(190, 240) + 2.5 * smooth_noise(ink.shape, 2, rng) + 4 * smooth_noise(ink.shape, 40, rng)
    return to_bytes(paper * light(ink.shape, rng, 0.8) - rng.uniform(55, 110) * ink * grain)


def photographed(ink: Floats, rng: Rng) -> Bytes:
    """Photographed by hand: uneven light, sometimes a shadow, blur, noise, JPEG."""
    bright = rng.uniform(150, 235) * light(ink.shape, rng, 0.45)
    if rng.random() < 0.4:
        bright = bright * shadow(ink.shape, rng)
    picture = bright * (1 - rng.uniform(0.45, 0.85) * blurred(ink, rng.uniform(0.3, 1.5)))
    return as_jpeg(to_bytes(picture + rng.normal(0, rng.uniform(1, 5), ink.shape)), int(rng.integers(40, 92)))


def ruled(ink: Floats, rng: Rng, *, squared: bool) -> Bytes:
    """Lined or squared paper, photographed; the lines are fainter than the ink."""
    step, strength = rng.uniform(22, 60), rng.uniform(0.05, 0.22)
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]].astype(np.float64)
    tilt = np.deg2rad(rng.normal(0, 1.5))
    y, x = y * np.cos(tilt) + x * np.sin(tilt) + rng.uniform(0, step), x * np.cos(tilt) + rng.uniform(0, step)
    lines = (y % step < 1.6) | (squared & (x % step < 1.6))
    picture = rng.uniform(200, 245) * light(ink.shape, rng, 0.7) * (1 - strength * lines)
    picture *= 1 - rng.uniform(0.55, 0.85) * ink
    return to_bytes(picture + rng.normal(0, 2, ink.shape))


def cheque(ink: Floats, rng: Rng) -> Bytes:
    """A printed pattern of fine waves and dots under the ink, scanned coarsely."""
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]].astype(np.float64)
    period, bend = rng.uniform(5, 12), rng.uniform(8, 30)
    waves = np.sin(2 * np.pi * (y + 3 * np.sin(x / bend)) / period) * np.sin(2 * np.pi * x / rng.uniform(6, 20))
    picture = rng.uniform(170, 230) + rng.uniform(8, 26) * waves + 6 * smooth_noise(ink.shape, 3, rng)
    return as_jpeg(to_bytes(picture * (1 - rng.uniform(0.5, 0.85) * blurred(ink, 0.7))), int(rng.integers(50, 90)))


def aged(ink: Floats, rng: Rng) -> Bytes:
    """Old paper: stains, ink that spreads and fades."""
    stains = 12 * smooth_noise(ink.shape, 30, rng) + 5 * smooth_noise(ink.shape, 5, rng)
    fading = np.clip(0.8 + 0.25 * smooth_noise(ink.shape, 12, rng), 0.35, 1)
    picture = rng.uniform(150, 210) + stains - rng.uniform(90, 140) * blurred(ink, rng.uniform(0.5, 1.5)) * fading
    return to_bytes(picture + rng.normal(0, 4, ink.shape))


def hazy(ink: Floats, rng: Rng) -> Bytes:
    """Bright ink on black with a faint haze around, as left by compression."""
    return as_jpeg(to_bytes(255 * ink + rng.uniform(0, 3)), int(rng.integers(10, 30)))


# Kinds of pictures of one digit.

Kind = Callable[[Strokes, Rng], Bytes]


def pad(strokes: Strokes, rng: Rng) -> Bytes:
    """Drawn on a square pad of 280 pixels, anywhere, bright on black; the ink may touch the edge."""
    size, width = rng.uniform(90, 250), rng.uniform(10, 26)
    ink = inked(strokes, size, width, 0)
    sheet = np.zeros((280, 280))
    height, length = (min(n, 280) for n in ink.shape)
    top, left = (int(rng.integers(0, 280 - n + 1)) for n in (height, length))
    sheet[top : top + height, left : left + length] = ink[:height, :length]
    return to_bytes(255 * sheet)


def loose(paper: Callable[[Floats, Rng], Bytes]) -> Kind:
    """A digit with free paper around it."""

    def kind(strokes: Strokes, rng: Rng) -> Bytes:
        size = rng.uniform(60, 220)
        ink = inked(varied(strokes, rng), size, size * rng.uniform(0.02, 0.09), size * rng.uniform(0.2, 0.8))
        return paper(ink, rng)

    return kind


def bold(strokes: Strokes, rng: Rng) -> Bytes:
    """A thick marker, cropped tightly: the ink touches the edges."""
    size = rng.uniform(40, 150)
    ink = inked(varied(strokes, rng), size, size * rng.uniform(0.16, 0.26), rng.uniform(-0.02, 0.03) * size)
    return plain(ink, rng) if rng.random() < 0.7 else to_bytes(255 * ink)


def tiny_two_level(strokes: Strokes, rng: Rng) -> Bytes:
    """16 × 16 pixels of two levels, stretched to the box, dark on light or light on dark."""
    ink = inked(varied(strokes, rng), 120, 120 * rng.uniform(0.08, 0.17), 0, stretch=True)
    small = np.where(resized(ink, 16, 16) > 0.45, 255.0, 0.0)
    return to_bytes(small if rng.random() < 0.5 else 255 - small)


def tiny_gray(strokes: Strokes, rng: Rng) -> Bytes:
    """16 × 16 gray pixels, cropped tightly."""
    ink = inked(varied(strokes, rng), 120, 120 * rng.uniform(0.08, 0.18), 0)
    height, width = ink.shape
    square = np.pad(ink, [((max(height, width) - n) // 2,) * 2 for n in (height, width)])
    small = 255 * np.clip(1.3 * resized(square, 16, 16), 0, 1)
    return to_bytes(small if rng.random() < 0.7 else 255 - small)


def cut_out(strokes: Strokes, rng: Rng) -> Bytes:
    """Cut out of a cheque or a form, with parts of the neighbors and of a line at the edges."""
    size = rng.uniform(40, 90)
    ink = inked(varied(strokes, rng), size, size * rng.uniform(0.05, 0.11), size * rng.uniform(0.05, 0.2))
    for _ in range(int(rng.integers(0, 3))):
        row, reach = int(rng.integers(0, len(ink))), int(rng.integers(2, 2 + max(1, ink.shape[1] // 8)))
        part = slice(row, row + int(rng.integers(3, len(ink) // 2)))
        side = slice(0, reach) if rng.random() < 0.5 else slice(-reach, None)
        ink[part, side] = np.maximum(ink[part, side], rng.uniform(0.6, 1))
    if rng.random() < 0.2:
        ink[-int(rng.integers(1, 4)) :] = rng.uniform(0.5, 1)
    return cheque(ink, rng) if rng.random() < 0.6 else plain(ink, rng)


KINDS: dict[str, Kind] = {
    "pad": pad,
    "scan": loose(plain),
    "pencil": loose(penciled),
    "photo": loose(photographed),
    "ruled paper": loose(lambda ink, rng: ruled(ink, rng, squared=False)),
    "squared paper": loose(lambda ink, rng: ruled(ink, rng, squared=True)),
    "cheque": loose(cheque),
    "old paper": loose(aged),
    "haze": loose(hazy),
    "bold, tight": bold,
    "16 × 16, two levels": tiny_two_level,
    "16 × 16, gray": tiny_gray,
    "cut out": cut_out,
}


# Rows of digits.


def row_ink(digits: Sequence[PenDigit], rng: Rng, *, gap: float, size: float = 70.0) -> Floats:
    """Digits side by side.    gap: between their boxes, in heights; negative: they touch or overlap"""
    pen = size * rng.uniform(0.04, 0.09)
    parts = [inked(varied(digit.strokes, rng), size * rng.uniform(0.85, 1.1), pen, 0) for digit in digits]
    height = int(1.35 * max(len(part) for part in parts))
    starts, right = [], 0
    for part in parts:
        starts.append(right)
        right += max(4, part.shape[1] + round(size * (gap + rng.normal(0, 0.04))))
    margin = int(size * rng.uniform(0.3, 0.7))
    width = max(start + part.shape[1] for start, part in zip(starts, parts, strict=True))
    sheet = np.zeros((height + 2 * margin, width + 2 * margin))
    for start, part in zip(starts, parts, strict=True):
        top = margin + int(rng.uniform(0.3, 0.7) * (height - len(part)))
        place = sheet[top : top + len(part), margin + start : margin + start + part.shape[1]]
        np.maximum(place, part, out=place)
    return sheet


def turned(picture: Bytes, degrees: float, fill: int | None) -> Bytes:
    """Rotate; the corners are filled with the level of the paper, or with a flat gray."""
    level = int(np.median(picture)) if fill is None else fill
    image = Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=level)
    return np.asarray(image)


Row = Callable[[Sequence[PenDigit], Rng], Bytes]


def on(paper: Callable[[Floats, Rng], Bytes], gap: float = 0.25) -> Row:
    return lambda digits, rng: paper(row_ink(digits, rng, gap=gap), rng)


def rotated_row(digits: Sequence[PenDigit], rng: Rng) -> Bytes:
    """A row on paper that is turned by up to 15°."""
    ink = turned(to_bytes(255 * row_ink(digits, rng, gap=0.25)), rng.uniform(-15, 15), 0)
    return plain(ink / 255, rng)


def straightened_row(digits: Sequence[PenDigit], rng: Rng) -> Bytes:
    """A photo that was turned: its corners are flat gray."""
    return turned(photographed(row_ink(digits, rng, gap=0.25), rng), rng.uniform(-8, 8), int(rng.integers(0, 256)))


def cells(digits: Sequence[PenDigit], rng: Rng) -> Bytes:
    """A cell of a register with its printed frame."""
    ink = row_ink(digits, rng, gap=0.15)
    inset, thick = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    for edge in (np.s_[inset : inset + thick], np.s_[:, inset : inset + thick]):
        ink[edge] = np.maximum(ink[edge], 0.8)
    ink[-inset - thick : -inset] = ink[:, -inset - thick : -inset] = 0.8
    return aged(ink, rng)


def amount(digits: Sequence[PenDigit], rng: Rng) -> Bytes:
    """A cheque's amount: pattern, digits that partly touch, cropped closely."""
    ink = row_ink(digits, rng, gap=rng.uniform(-0.1, 0.1), size=50)
    crop = int(rng.integers(0, 12))
    return cheque(ink[crop : len(ink) - crop, crop // 2 : ink.shape[1] - crop // 2], rng)


ROWS: dict[str, Row] = {
    "plain": on(plain),
    "ruled": on(lambda ink, rng: ruled(ink, rng, squared=False)),
    "squared": on(lambda ink, rng: ruled(ink, rng, squared=True)),
    "pencil": on(penciled),
    "photo": on(photographed),
    "JPEG of quality 15": on(lambda ink, rng: as_jpeg(plain(ink, rng), 15)),
    "touching": on(plain, gap=-0.08),
    "rotated up to 15°": rotated_row,
    "flat gray corners": straightened_row,
    "cells": cells,
    "cheque amounts": amount,
}


# Signs, letters and scribbles.


def scribble(rng: Rng) -> Strokes:
    """One or two long strokes that wander."""
    strokes = []
    for _ in range(int(rng.integers(1, 3))):
        turns = np.cumsum(rng.normal(0, 0.9, int(rng.integers(25, 90))))
        strokes.append(np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0))
    return unit(tuple(strokes))


def lines(*ends: tuple[float, float, float, float]) -> Strokes:
    return tuple(np.array([[x0, y0], [x1, y1]]) for x0, y0, x1, y1 in ends)


OPERATORS: dict[str, Strokes] = {
    "+": lines((0, 0.5, 1, 0.5), (0.5, 0, 0.5, 1)),
    "×": lines((0, 0, 1, 1), (1, 0, 0, 1)),
    "=": lines((0, 0.3, 1, 0.3), (0, 0.7, 1, 0.7)),
    "÷": lines((0, 0.5, 1, 0.5), (0.5, 0.1, 0.52, 0.13), (0.5, 0.87, 0.52, 0.9)),
    "%": lines((1, 0, 0, 1), (0.1, 0.15, 0.25, 0.1), (0.75, 0.9, 0.9, 0.85)),
    "#": lines((0.3, 0, 0.2, 1), (0.75, 0, 0.65, 1), (0, 0.35, 1, 0.3), (0, 0.7, 1, 0.65)),
    "A": lines((0.5, 0, 0, 1), (0.5, 0, 1, 1), (0.2, 0.6, 0.8, 0.6)),
    "E": lines((0, 0, 0, 1), (0, 0, 0.7, 0), (0, 0.5, 0.6, 0.5), (0, 1, 0.7, 1)),
    "F": lines((0, 0, 0, 1), (0, 0, 0.7, 0), (0, 0.5, 0.6, 0.5)),
    "H": lines((0, 0, 0, 1), (0.8, 0, 0.8, 1), (0, 0.5, 0.8, 0.5)),
    "K": lines((0, 0, 0, 1), (0.7, 0, 0, 0.5), (0, 0.5, 0.75, 1)),
    "M": lines((0, 1, 0.1, 0), (0.1, 0, 0.5, 0.7), (0.5, 0.7, 0.9, 0), (0.9, 0, 1, 1)),
    "N": lines((0, 1, 0, 0), (0, 0, 0.8, 1), (0.8, 1, 0.8, 0)),
    "T": lines((0, 0, 1, 0), (0.5, 0, 0.5, 1)),
    "W": lines((0, 0, 0.25, 1), (0.25, 1, 0.5, 0.3), (0.5, 0.3, 0.75, 1), (0.75, 1, 1, 0)),
    "X": lines((0, 0, 0.8, 1), (0.8, 0, 0, 1)),
    "Y": lines((0, 0, 0.4, 0.5), (0.8, 0, 0.4, 0.5), (0.4, 0.5, 0.4, 1)),
}


def no_digit(rng: Rng) -> Strokes:
    """A sign, a letter with straight strokes, or a scribble, drawn by an unsteady hand."""
    if rng.random() < 0.35:
        return scribble(rng)
    strokes = OPERATORS[list(OPERATORS)[int(rng.integers(len(OPERATORS)))]]
    bent = []
    for stroke in strokes:
        along = np.linspace(0, 1, 12)[:, None]
        line = stroke[0] + along * (stroke[1] - stroke[0])
        sway = rng.normal(0, 0.04, 2) * np.sin(np.pi * along) + rng.normal(0, 0.025, 2)
        bent.append(line + sway)
    return unit(tuple(bent))


def drawn(digits: Sequence[PenDigit], kind: Kind, seed: int) -> Iterator[tuple[str, Bytes]]:
    """Yield each digit's label and picture."""
    for number, digit in enumerate(digits):
        yield digit.label, kind(digit.strokes, np.random.default_rng([seed, number]))


def drawn_rows(digits: Sequence[PenDigit], row: Row, count: int, seed: int) -> Iterator[tuple[str, Bytes]]:
    """Yield rows of three to seven digits of one writer, with the number written in them."""
    writers = sorted({digit.writer for digit in digits})
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        theirs = [digit for digit in digits if digit.writer == writers[number % len(writers)]]
        chosen = [theirs[int(i)] for i in rng.integers(0, len(theirs), int(rng.integers(3, 8)))]
        yield "".join(digit.label for digit in chosen), row(chosen, rng)
