"""Robustness: accuracy on digits that do not look like MNIST's.

Each test image is transformed into a variant: shifted, rotated, scaled, inverted, put on a larger sheet, drawn with
another pen, photographed. The result goes through `byhand.data.handwriting` to the network, like any photo. The images
are the same for every network. One that is rejected (nothing drawn, noise) counts as a mistake.

    variants = normalized(test, VARIANTS)               once
    accuracy_of(model, variants)                        for each network
"""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from byhand.data import Dataset
from byhand.data.handwriting import normalize
from byhand.errors import MissingExtraError, NothingDrawnError
from byhand.model import Reader

Bytes = NDArray[np.uint8]
Variant = Callable[[Bytes, np.random.Generator], Bytes]

#: The variant without any change, to which the others are compared.
PLAIN = "as it is"
#: Maximum loss of accuracy by a variant, in percentage points.
ALLOWED, ALLOWED_TURNED = 1.5, 3.0


def moved(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Shift by up to 4 pixels in each direction; pixels outside the image are lost."""
    down, across = rng.integers(-4, 5, 2)
    wide = np.pad(image, 4)
    return wide[4 - down : 32 - down, 4 - across : 32 - across]


def turned(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Rotate by up to 20 degrees about the center."""
    sheet = Image.fromarray(np.pad(image, 6))
    return np.asarray(sheet.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC))


def scaled(factor: float) -> Variant:
    """Scale by a factor, on a sheet of 48 × 48."""

    def variant(image: Bytes, _rng: np.random.Generator) -> Bytes:
        return on_sheet(enlarged(image, factor), 48, 0.5, 0.5)

    return variant


def inverted(image: Bytes, _rng: np.random.Generator) -> Bytes:
    """Invert: dark ink on light paper."""
    return 255 - image


def off_centre(factor: float, side: int) -> Variant:
    """Enlarge, and put at a random place on a larger sheet."""

    def variant(image: Bytes, rng: np.random.Generator) -> Bytes:
        return on_sheet(enlarged(image, factor), side, *rng.uniform(0, 1, 2))

    return variant


def pen(pixels: float) -> Variant:
    """Make strokes wider or narrower by a number of MNIST's pixels, at four times the size."""

    def variant(image: Bytes, _rng: np.random.Generator) -> Bytes:
        large = Image.fromarray(enlarged(np.pad(image, 3), 4))
        steps = round(4 * abs(pixels)) // 2  # on each side
        sieve = ImageFilter.MaxFilter(2 * steps + 1) if pixels > 0 else ImageFilter.MinFilter(2 * steps + 1)
        return np.asarray(large.filter(sieve))

    return variant


def photographed(quality: int | None = None, *, uneven: bool = True) -> Variant:
    """Photograph dark ink on light paper, four times as large: light that falls off to 40 %, noise, and JPEG."""

    def variant(image: Bytes, rng: np.random.Generator) -> Bytes:
        ink = np.pad(enlarged(image, 4), 28).astype(np.float64) / 255
        picture = 235 - 185 * ink
        if uneven:
            y, x = np.mgrid[-0.5 : 0.5 : len(ink) * 1j, -0.5 : 0.5 : len(ink) * 1j]
            angle = rng.uniform(0, 2 * np.pi)
            along = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)
            picture = picture * (0.4 + 0.6 * along) + rng.normal(0, 4, ink.shape)
        grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        return grey if quality is None else as_jpeg(grey, quality)

    return variant


def enlarged(image: Bytes, factor: float) -> Bytes:
    """Enlarge by bicubic interpolation."""
    size = tuple(round(factor * length) for length in reversed(image.shape))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def on_sheet(image: Bytes, side: int, down: float, across: float) -> Bytes:
    """Put on a dark square sheet, at a fraction of the free space from the top and the left."""
    sheet = np.zeros((side, side), np.uint8)
    top, left = (round(share * (side - n)) for share, n in zip((down, across), image.shape, strict=True))
    sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def as_jpeg(grey: Bytes, quality: int) -> Bytes:
    """Compress as a JPEG and decode."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


VARIANTS: dict[str, Variant] = {
    PLAIN: lambda image, _rng: image,
    "moved by up to 4 pixels": moved,
    "turned by up to 20°": turned,
    "scaled by 0.7": scaled(0.7),
    "scaled by 1.3": scaled(1.3),
    "inverted": inverted,
    "on a sheet four times as large, off-center": off_centre(1, 112),
    "three times as large, off-center": off_centre(3, 140),
    "strokes 1 pixel wider": pen(1),
    "strokes 2 pixels wider": pen(2),
    "strokes 1 pixel narrower": pen(-1),
    "photographed, uneven light": photographed(),
    "photographed, JPEG of quality 50": photographed(50),
    "photographed, JPEG of quality 10": photographed(10),
    "even light, JPEG of quality 10": photographed(10, uneven=False),
}


@dataclass(frozen=True)
class Images:
    """The network's inputs for one variant, and the number of images that were rejected.

    images: uint8 (n, 28, 28);  labels: (n,)
    """

    images: Bytes
    labels: NDArray[np.int64]
    rejected: int


def normalized(data: Dataset, variants: Mapping[str, Variant], *, seed: int = 0) -> dict[str, Images]:
    """Normalize each variant of every image as `byhand predict` does."""
    return {
        name: normalize_all(
            (variant(image, np.random.default_rng([seed, index])) for index, image in enumerate(data.images)),
            data.labels,
        )
        for name, variant in variants.items()
    }


def normalize_all(pictures: Iterable[Bytes], labels: NDArray[np.int64]) -> Images:
    """Normalize images of any size to MNIST's form."""
    images, kept = [], []
    for picture, label in zip(pictures, labels, strict=True):
        try:
            images.append(normalize(picture).image)
        except NothingDrawnError:
            continue
        kept.append(label)
    stack = np.stack(images) if images else np.zeros((0, 28, 28), np.uint8)
    return Images(stack, np.asarray(kept, np.int64), len(labels) - len(kept))


def accuracy_of(reader: Reader, variants: Mapping[str, Images]) -> dict[str, float]:
    """Accuracy on each variant."""
    return {
        name: float(np.sum(reader.predict(these.images) == these.labels)) / (len(these.labels) + these.rejected)
        if len(these.labels)
        else 0.0
        for name, these in variants.items()
    }


def small_digits() -> Dataset:
    """scikit-learn's 1,797 digits of 8 × 8, by other writers than MNIST's (UCI, Alpaydin and Kaynak, 1998)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "sklearn") from error
    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Dataset(images, bunch.target.astype(np.int64), name="scikit-learn's digits")


#: The variant of these small digits.
ENLARGED: dict[str, Variant] = {"8 × 8 digits, ten times as large": lambda image, _rng: np.pad(enlarged(image, 10), 20)}


def too_costly(shares: Mapping[str, float]) -> dict[str, float]:
    """Variants that cost more accuracy than allowed, and their cost in percentage points."""
    costs = {name: 100 * (shares[PLAIN] - share) for name, share in shares.items() if name != PLAIN}
    return {
        name: cost for name, cost in costs.items() if cost > (ALLOWED_TURNED if name.startswith("turned") else ALLOWED)
    }
