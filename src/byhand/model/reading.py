"""Reading: a photo, a scan or a drawing of handwriting becomes digits.

    byhand.read("seven.jpg")                       # <Reading 7, 99.8 %>, by the model that is installed with byhand
    byhand.read("seven.jpg", model).guesses(2)     # [("7", 0.998), ("1", 0.001)]
    [each.digit for each in byhand.read_line("note.jpg")]

A picture is normalized as MNIST's were (`byhand.data.handwriting`), then classified by any model or ensemble.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from byhand.data.handwriting import SIZE, normalize, read_photo, segment_line
from byhand.data.handwriting.line import is_crowded
from byhand.errors import DataError, DataMissingError
from byhand.model.model import Reader, shipped_model
from byhand.nn.arrays import Array
from byhand.text import percent

Picture = str | os.PathLike[str] | bytes | Array

#: From dark to light.
SHADES = " .:-=+*#%@"


@dataclass(frozen=True, repr=False)
class Reading:
    """A digit as a model reads it, or the problem that kept it from being read."""

    name: str
    """the picture's path; for a digit of a line followed by its number"""
    image: Array = field(default_factory=lambda: np.zeros((SIZE, SIZE), np.uint8))
    """uint8 (28, 28): what the model gets"""
    probabilities: Array = field(default_factory=lambda: np.zeros(0))
    """(K,): how likely each class is"""
    classes: tuple[str, ...] = ()
    is_crowded: bool = False
    """the picture may hold more than one digit"""
    problem: DataError | None = None

    def guesses(self, top: int) -> list[tuple[str, float]]:
        """Return the most likely classes with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:top]
        return [(self.classes[k], float(self.probabilities[k])) for k in order]

    @property
    def digit(self) -> str:
        """The most likely class, or `?`."""
        return self.guesses(1)[0][0] if self.problem is None else "?"

    @property
    def probability(self) -> float:
        """The probability of the most likely class."""
        return float(self.probabilities.max(initial=0))

    def to_json(self, top: int = 3) -> dict[str, Any]:
        """Return the digit, its probability and the likeliest classes, or the error."""
        if self.problem is not None:
            return {"picture": self.name, "error": str(self.problem)}
        guesses = [{"class": name, "probability": probability} for name, probability in self.guesses(top)]
        return {"picture": self.name, "digit": self.digit, "probability": self.probability, "guesses": guesses}

    def text(self, top: int = 3) -> str:
        """`seven.png  7  98.2 %   (1: 1.1 %, 9: 0.4 %)`"""
        others = ", ".join(f"{name}: {percent(probability, 1)}" for name, probability in self.guesses(top)[1:])
        return f"{self.name}  {self.digit}  {percent(self.probability, 1)}" + (f"   ({others})" if others else "")

    def drawing(self) -> str:
        """Return the image in characters, two rows of pixels a line."""
        rows = self.image.reshape(SIZE // 2, 2, SIZE).max(axis=1)
        return "\n".join("".join(SHADES[int(p) * (len(SHADES) - 1) // 255] for p in row).rstrip() for row in rows)

    def __repr__(self) -> str:
        return f"<Reading {self.digit}, {self.problem or percent(self.probability, 1)}>"


def read(picture: Picture, reader: Reader | None = None) -> Reading:
    """Read one digit, dark on light or light on dark.

    `picture` is a path, the bytes of a file, or grey levels, uint8 (H, W). A picture without a digit is a
    `NothingDrawnError`.
    """
    grey, name = _opened(picture)
    with _naming(name):
        digit = normalize(grey)
    return read_image(digit.image, reader, name, is_crowded=is_crowded(grey, digit.ink))


def read_line(picture: Picture, reader: Reader | None = None) -> list[Reading]:
    """Read several digits in a row, from left to right. A part that can't be read has its `problem`."""
    reader = reader or shipped_model()
    grey, name = _opened(picture)
    with _naming(name):
        parts = segment_line(grey)
    readings = []
    for part_name, part in ((f"{name}:{number}", part) for number, part in enumerate(parts, start=1)):
        try:
            with _naming(part_name):
                readings.append(read_image(normalize(part).image, reader, part_name))
        except DataError as error:
            readings.append(Reading(part_name, problem=error))
    return readings


def read_image(
    image: Array, reader: Reader | None = None, name: str = "the picture", *, is_crowded: bool = False
) -> Reading:
    """Read an image that already has MNIST's form                                        image: uint8 (28, 28)"""
    reader = reader or shipped_model()
    return Reading(name, image, reader.probabilities(image[None])[0], reader.classes, is_crowded)


def read_numbers(lines: Iterable[str], reader: Reader | None = None) -> Iterator[Reading]:
    """Read an image from each line that is not blank: 784 numbers from 0 to 255, with commas or blanks between."""
    reader = reader or shipped_model()
    is_empty = True
    for count, line in enumerate(lines, start=1):
        if parts := line.replace(",", " ").split():
            is_empty = False
            try:
                yield read_image(_image(parts), reader, f"-:{count}")
            except DataError as error:
                yield Reading(f"-:{count}", problem=DataError(f"line {count} {error}"))
    if is_empty:
        rule = "-: standard input must hold a line for each picture, no line came"
        yield Reading("-", problem=DataMissingError(rule))


def _image(parts: list[str]) -> Array:
    rule = "must hold 784 whole numbers from 0 to 255"
    try:
        values = np.array(parts, np.float64)
    except ValueError:
        raise DataError(f"{rule}, got {' '.join(parts)[:40]!r}") from None
    is_byte = (values >= 0) & (values <= 255) & (values == np.floor(values))
    if not is_byte.all() or values.size != SIZE * SIZE:
        raise DataError(f"{rule}, got {values.size if is_byte.all() else values[~is_byte][0]:g}")
    return values.astype(np.uint8).reshape(SIZE, SIZE)


def _opened(picture: Picture) -> tuple[Array, str]:
    """Return the grey levels and the picture's name."""
    if isinstance(picture, np.ndarray):
        return picture, "the picture"
    return read_photo(picture), "the picture" if isinstance(picture, bytes) else str(picture)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the picture's name before the message of an error."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{name}: {error}") from None
