"""Pictures that the shipped model learns from: digits of many hands and pens, and what is no digit.

Digits come from MNIST, from the strokes and bitmaps of the UCI writers, and from European shapes (`benchmarks.shapes`).
They are drawn with pens of many widths, on papers as in `benchmarks.drawn`, and normalized as `byhand predict` does.
Non-digits are letters, signs, scribbles, blobs, noise, two or three digits in one picture, and pieces of digits.

    images, labels = made(sources, kind, range(100))     a hundred of the kind; label NO_DIGIT: no digit
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks import drawn, shapes
from benchmarks.drawn import Bytes, Floats, PenDigit, Rng, Strokes
from byhand.data.handwriting import normalize
from byhand.errors import DataError

NO_DIGIT = 10
#: Writers whose digits are drawn for training; 21 and 22 are for the calibration, and the others for validation.
WRITERS = range(1, 21)
CALIBRATION = (21, 22)
SEED = 7
#: Letters of the font that look like no digit.
LETTERS = "ACDEFHJKLMNPRTUVWXYacdefhkmnprtuvwx+=%#&?@$<>*§€"
#: Relative numbers of the shapes drawn for each digit: more for those whose shapes differ more.
WEIGHTS = (2, 4, 2, 1.5, 3, 2, 1, 4, 1, 4)


@dataclass(frozen=True)
class Sources:
    """The digits that the pictures are made from; images are bright ink on black, uint8 (N, H, W)."""

    pens: Sequence[PenDigit]
    bitmaps: Bytes
    bitmap_labels: Sequence[str]
    mnist: Bytes
    mnist_labels: NDArray[np.integer]


# Strokes to pictures.


def warped(strokes: Strokes, rng: Rng) -> Strokes:
    """Bend the strokes smoothly: each point moves by two waves in x and in y."""
    frequency, phase = rng.normal(0, 1, (2, 2, 2)), rng.uniform(0, 6.28, (2, 2, 2))
    amount = abs(rng.normal(0, 0.03))

    def moved(stroke: Floats) -> Floats:
        x, y = stroke.T
        along = [
            sum(
                np.sin(n * (f[0] * x + f[1] * y) + p[0]) for n, f, p in zip((3, 5), frequency[k], phase[k], strict=True)
            )
            for k in (0, 1)
        ]
        return stroke + amount * np.stack(along, axis=1)

    return drawn.unit(tuple(moved(stroke) for stroke in strokes))


def bright(ink: Floats, rng: Rng) -> Bytes:
    """Bright ink on black, a little stronger or weaker."""
    return drawn.to_bytes(255 * np.clip(ink * rng.uniform(0.8, 1.15), 0, 1))


def plainly(strokes: Strokes, rng: Rng) -> Bytes:
    """Strokes without paper, drawn by a pen of any width; sometimes blurred, or with breaks in the ink."""
    size = rng.uniform(45, 110)
    pen = size * np.exp(rng.uniform(np.log(0.025), np.log(0.22)))
    ink = drawn.inked(drawn.varied(warped(strokes, rng), rng), size, pen, size * rng.uniform(0.02, 0.4))
    form = rng.random()
    if form < 0.2:
        ink = drawn.blurred(ink, rng.uniform(0.3, 2))
    if form > 0.85:
        ink = ink * np.clip(0.9 + 0.4 * drawn.smooth_noise(ink.shape, rng.uniform(2, 8), rng), 0, 1)
    return drawn.plain(ink, rng) if rng.random() < 0.5 else bright(ink, rng)


def picture(strokes: Strokes, rng: Rng, share: float = 0.65) -> Bytes:
    """Draw strokes, a share of them without paper, the others in one of the kinds of `benchmarks.drawn`."""
    if rng.random() < share:
        return plainly(strokes, rng)
    kinds = list(drawn.KINDS.values())
    return kinds[int(rng.integers(len(kinds)))](warped(strokes, rng), rng)


def on_paper(ink: Floats, rng: Rng) -> Bytes:
    return PAPERS[int(rng.integers(len(PAPERS)))](ink, rng)


PAPERS = (drawn.plain, drawn.penciled, drawn.photographed, drawn.cheque, drawn.aged, drawn.hazy, bright)


def enlarged(image: Bytes, rng: Rng, size: int) -> Bytes:
    """A small image, enlarged, with a wider or narrower pen, another slant and other proportions, on paper."""
    large = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    is_wider = rng.random() < 0.6
    width = int(rng.integers(0, 3)) * 2 + 1
    if width > 1 and is_wider:
        large = large.filter(ImageFilter.MaxFilter(width))
    elif width > 1:
        large = large.filter(ImageFilter.MinFilter(3 if width == 5 and size < 100 else width))
    ink = np.pad(np.asarray(large, np.float64) / 255, int(size * rng.uniform(0, 0.3)))
    wide, (height, length) = np.exp(rng.normal(0, 0.12)), ink.shape
    matrix = (1 / wide, rng.normal(0, 0.08), length / 2 * (1 - 1 / wide), 0, 1, 0)
    slanted = Image.fromarray(np.float32(ink)).transform(
        (length, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return on_paper(np.clip(np.asarray(slanted, np.float64), 0, 1), rng)


def chosen(digits: Sequence[PenDigit], rng: Rng) -> PenDigit:
    return digits[int(rng.integers(len(digits)))]


# Digits.

Labelled = tuple[int, Bytes]


def pen_digit(sources: Sources, rng: Rng) -> Labelled:
    digit = chosen(sources.pens, rng)
    return int(digit.label), picture(digit.strokes, rng)


def shaped_digit(sources: Sources, rng: Rng) -> Labelled:
    """A digit of `benchmarks.shapes`: crossed 7, hooked 9, 1 with a long upstroke, open 4, slashed 0."""
    weights = np.array(WEIGHTS)
    label = int(rng.choice(10, p=weights / weights.sum()))
    shape = shapes.one_of(shapes.DIGITS[str(label)], rng)
    return label, picture(drawn.unit(shapes.traced(shape, rng, abs(rng.normal(0, 0.05)))), rng)


def bitmap_digit(sources: Sources, rng: Rng) -> Labelled:
    k = int(rng.integers(len(sources.bitmaps)))
    return int(sources.bitmap_labels[k]), enlarged(sources.bitmaps[k], rng, int(rng.integers(40, 110)))


def mnist_digit(sources: Sources, rng: Rng) -> Labelled:
    k = int(rng.integers(len(sources.mnist)))
    return int(sources.mnist_labels[k]), enlarged(sources.mnist[k], rng, int(rng.integers(48, 110)))


def digit_with_a_rest(sources: Sources, rng: Rng) -> Labelled:
    """A digit with a piece of its neighbor at one side: it is still the digit."""
    digit, neighbor = chosen(sources.pens, rng), chosen(sources.pens, rng)
    size = rng.uniform(45, 80)
    pen = size * rng.uniform(0.05, 0.12)
    ink, rest = (drawn.inked(drawn.varied(one.strokes, rng), size, pen, 0) for one in (digit, neighbor))
    reach = max(2, int(min(rest.shape[1] * 0.35, size * 0.18) * rng.uniform(0.3, 1)))
    rest = rest[:, :reach] if rng.random() < 0.5 else rest[:, -reach:]
    height = max(len(ink), len(rest))
    ink = np.pad(ink, ((0, height - len(ink)), (0, 0)))
    top = int(rng.integers(0, height - len(rest) + 1))
    rest = np.pad(rest, ((top, height - len(rest) - top), (0, 0)))
    gap = np.zeros((height, int(rng.integers(0, 3))))
    parts = [ink, gap, rest] if rng.random() < 0.5 else [rest, gap, ink]
    return int(digit.label), bright(np.pad(np.concatenate(parts, axis=1), int(size * 0.3)), rng)


# Non-digits.


def sign(sources: Sources, rng: Rng) -> Labelled:
    """A letter or sign of `benchmarks.shapes`, drawn by hand."""
    shape = list(shapes.OTHERS.values())[int(rng.integers(len(shapes.OTHERS)))]
    return NO_DIGIT, picture(drawn.unit(shapes.traced(shape, rng, abs(rng.normal(0, 0.06)))), rng)


def printed(sources: Sources, rng: Rng) -> Labelled:
    """A letter or sign of Pillow's font, slanted."""
    letter = LETTERS[int(rng.integers(len(LETTERS)))]
    font = ImageFont.load_default(size=float(rng.uniform(50, 100)))
    sheet = Image.new("L", (180, 180))
    ImageDraw.Draw(sheet).text((40, 25), letter, fill=255, font=font, stroke_width=int(rng.integers(0, 5)))
    left, top, right, bottom = sheet.getbbox() or (0, 0, 180, 180)
    tight = sheet.crop((left - 3, top - 3, right + 3, bottom + 3))
    matrix = (1, rng.normal(0, 0.25), -30 - rng.normal(0, 5), rng.normal(0, 0.08), 1, -30)
    size = (tight.width + 60, tight.height + 60)
    slanted = tight.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return NO_DIGIT, on_paper(np.asarray(slanted, np.float64) / 255, rng)


def scribble(sources: Sources, rng: Rng) -> Labelled:
    strokes = []
    for _ in range(int(rng.integers(1, 4))):
        turns = np.cumsum(rng.normal(0, rng.uniform(0.3, 1.1), int(rng.integers(12, 90))))
        wander = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0)
        strokes.append(wander + rng.normal(0, 3, 2))
    return NO_DIGIT, picture(drawn.unit(tuple(strokes)), rng)


def zigzag(sources: Sources, rng: Rng) -> Labelled:
    corners = int(rng.integers(5, 14))
    x = np.linspace(0, 1, corners) * rng.uniform(0.5, 1.5)
    y = (np.arange(corners) % 2) * rng.uniform(0.2, 1) + rng.normal(0, 0.08, corners)
    line = np.stack([x, y], axis=1)
    if rng.random() < 0.5:
        line = shapes.curve(line)
    if rng.random() < 0.4:
        line = line[:, ::-1]
    return NO_DIGIT, picture(drawn.unit((line,)), rng)


def blobs(sources: Sources, rng: Rng) -> Labelled:
    """Filled polygons and ellipses, as in photos of things."""
    sheet = Image.new("L", (100, 100))
    draw = ImageDraw.Draw(sheet)
    for _ in range(int(rng.integers(1, 5))):
        corners = [tuple(rng.uniform(5, 95, 2)) for _ in range(int(rng.integers(3, 7)))]
        if rng.random() < 0.5:
            draw.polygon(corners, fill=int(rng.integers(120, 256)))
        else:
            x, y = rng.uniform(5, 60, 2)
            box = (x, y, x + rng.uniform(8, 40), y + rng.uniform(8, 40))
            draw.ellipse(box, fill=int(rng.integers(120, 256)), outline=255)
    return NO_DIGIT, on_paper(np.asarray(sheet, np.float64) / 255, rng)


def noise(sources: Sources, rng: Rng) -> Labelled:
    side = int(rng.integers(30, 120))
    strength = rng.uniform(10, 60)
    waves = strength * drawn.smooth_noise((side, side), rng.uniform(2, 30), rng)
    return NO_DIGIT, drawn.to_bytes(128 + waves + rng.normal(0, rng.uniform(0, 8), (side, side)))


def several_digits(sources: Sources, rng: Rng) -> Labelled:
    """Two or three digits that touch or nearly touch."""
    digits = [chosen(sources.pens, rng) for _ in range(2 if rng.random() < 0.8 else 3)]
    size = rng.uniform(40, 70)
    pen = size * rng.uniform(0.04, 0.12)
    parts = [drawn.inked(drawn.varied(digit.strokes, rng), size * rng.uniform(0.8, 1.1), pen, 0) for digit in digits]
    starts, right = [], 0
    for part in parts:
        starts.append(right)
        right += max(3, part.shape[1] + round(size * rng.uniform(-0.15, 0.12)))
    sheet = np.zeros((max(map(len, parts)), max(s + p.shape[1] for s, p in zip(starts, parts, strict=True))))
    for start, part in zip(starts, parts, strict=True):
        top = int(rng.integers(0, len(sheet) - len(part) + 1))
        place = sheet[top : top + len(part), start : start + part.shape[1]]
        np.maximum(place, part, out=place)
    sheet = np.pad(sheet, int(size * 0.3))
    return NO_DIGIT, bright(sheet, rng) if rng.random() < 0.6 else drawn.plain(sheet, rng)


def piece(sources: Sources, rng: Rng) -> Labelled:
    """About half of a digit; not of those whose halves look like a digit."""
    while (digit := chosen(sources.pens, rng)).label not in "234568":
        pass
    size = rng.uniform(50, 90)
    ink = drawn.inked(drawn.varied(digit.strokes, rng), size, size * rng.uniform(0.05, 0.14), 0)
    share = rng.uniform(0.35, 0.6)
    if rng.random() >= 0.65:
        ink = ink.T
        half = _half(ink, share, rng).T
    else:
        half = _half(ink, share, rng)
    return NO_DIGIT, bright(np.pad(half, int(size * 0.3)), rng)


def _half(ink: Floats, share: float, rng: Rng) -> Floats:
    columns = max(4, int(ink.shape[1] * share))
    return ink[:, :columns] if rng.random() < 0.5 else ink[:, -columns:]


Maker = Callable[[Sources, Rng], Labelled]
#: The kinds of pictures: how many, and how one is made.
KINDS: dict[str, tuple[int, Maker]] = {
    "strokes of writers": (60000, pen_digit),
    "European shapes": (18000, shaped_digit),
    "bitmaps of writers": (12000, bitmap_digit),
    "MNIST, other pens": (35000, mnist_digit),
    "with a rest of the neighbor": (6000, digit_with_a_rest),
    "letters and signs": (17000, sign),
    "printed letters and signs": (10000, printed),
    "scribbles": (6000, scribble),
    "zigzags": (3000, zigzag),
    "blobs": (3000, blobs),
    "noise": (2000, noise),
    "several digits": (9000, several_digits),
    "pieces of digits": (5000, piece),
}


def normalized(pictures: Iterable[Labelled]) -> tuple[Bytes, NDArray[np.uint8]]:
    """Return the pictures as the model gets them, and their labels; those without ink are left out."""
    images, labels = [], []
    for label, gray in pictures:
        try:
            images.append(normalize(gray).image)
            labels.append(label)
        except DataError:
            continue
    return np.array(images, np.uint8), np.array(labels, np.uint8)


def made(sources: Sources, kind: int, numbers: Sequence[int]) -> tuple[Bytes, NDArray[np.uint8]]:
    """Return the pictures of a kind with these numbers, normalized, and their labels."""
    _, make = list(KINDS.values())[kind]
    return normalized(make(sources, np.random.default_rng([SEED, kind, number])) for number in numbers)


def calibration_digit(digits: Sequence[PenDigit], rng: Rng) -> Labelled:
    digit = chosen(digits, rng)
    return int(digit.label), picture(digit.strokes, rng, share=0.3)
