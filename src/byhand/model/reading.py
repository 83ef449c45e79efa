"""Read digits from a photo, a scan or a drawing, with any model or ensemble.

    byhand.read("seven.jpg")                       # <Reading 7, 99.8 %>, by the installed model
    byhand.read("seven.jpg", model).guesses(2)     # [("7", 0.998), ("1", 0.001)]
    [each.digit for each in byhand.read_line("note.jpg")]
    for path, readings in read_all(["scans/"]): …

Photos are first normalized to images like those of MNIST (`byhand.data.handwriting`).
"""

import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from byhand.data.dataset import as_gray
from byhand.data.formats.detect import endings_in
from byhand.data.formats.image_sets import is_picture
from byhand.data.formats.images import ENDINGS, SIGNATURES, resized
from byhand.data.handwriting import SIZE, normalize, read_photo
from byhand.data.handwriting.ink import Box
from byhand.data.handwriting.line import Row, best_segments, find_row, find_rows, is_crowded
from byhand.errors import DataError, DataMissingError, UsageError, short_repr
from byhand.files import StrPath
from byhand.model.model import Reader, shipped_model
from byhand.nn.arrays import Array
from byhand.text import near_path, percent

Picture = StrPath | bytes | Array

#: Characters for pixels, from 0 to 255.
SHADES = " .:-=+*#%@"

LEAST = 1e-9  # probability of a segment that is no digit
BOX_COLORS = {"digit": (0, 110, 220), "other": (210, 60, 0)}  # in pictures: read, or not sure


@dataclass(frozen=True, repr=False)
class Reading:
    """A digit read by a model, or the error.

    name: the path of the photo, with the number of the digit in a line
    image: the input of the model, uint8 (28, 28);  probabilities: (K,)
    is_crowded: True if the photo may have more than one digit
    thresholds: those of the model (`Reader.thresholds`)
    box: in a row or page, the top, left, bottom and right of the digit in the photo, the last two excluded
    """

    name: str
    image: Array = field(default_factory=lambda: np.zeros((SIZE, SIZE), np.uint8))
    probabilities: Array = field(default_factory=lambda: np.zeros(0))
    classes: tuple[str, ...] = ()
    is_crowded: bool = False
    problem: DataError | None = None
    thresholds: tuple[float, float] | None = None
    box: Box | None = None

    def guesses(self, top: int) -> list[tuple[str, float]]:
        """Return the most likely classes and their probabilities."""
        order = np.argsort(-self.probabilities, kind="stable")[:top]
        return [(self.classes[k], float(self.probabilities[k])) for k in order]

    @property
    def digit(self) -> str:
        """The most likely class; `?` after an error."""
        return self.guesses(1)[0][0] if self.problem is None else "?"

    @property
    def probability(self) -> float:
        """The probability of the most likely class."""
        return float(self.probabilities.max(initial=0))

    @property
    def verdict(self) -> str:
        """`digit`, `not sure` or `no digit`; always `digit` for a model that has not learned from non-digits.

        A drawing between two digits shares the probability among two classes, anything else among many.
        """
        if self.thresholds is None or self.problem is not None:
            return "digit"
        sure, digit = self.thresholds
        first, second = (probability for _, probability in self.guesses(2))
        if first + second < digit:
            return "no digit"
        return "digit" if first >= sure else "not sure"

    def to_json(self, top: int = 3) -> dict[str, Any]:
        """Return plain values."""
        if self.problem is not None:
            return {"picture": self.name, "error": str(self.problem)} | self._box_to_json()
        guesses = [{"class": name, "probability": probability} for name, probability in self.guesses(top)]
        found = {"picture": self.name, "digit": self.digit, "probability": self.probability, "guesses": guesses}
        found |= self._box_to_json()
        return found if self.thresholds is None else found | {"verdict": self.verdict}

    def _box_to_json(self) -> dict[str, Any]:
        sides = ("top", "left", "bottom", "right")
        return {} if self.box is None else {"box": dict(zip(sides, self.box, strict=True))}

    def text(self, top: int = 3) -> str:
        """`seven.png  7  98.2 %   (1: 1.1 %, 9: 0.4 %)`, or `seven.png  not sure (7: 61.0 %, 1: 30.2 %)`"""
        if self.verdict != "digit":
            guesses = ", ".join(f"{name}: {percent(probability, 1)}" for name, probability in self.guesses(max(top, 2)))
            return f"{self.name}  {self.verdict} ({guesses})"
        others = ", ".join(f"{name}: {percent(probability, 1)}" for name, probability in self.guesses(top)[1:])
        return f"{self.name}  {self.digit}  {percent(self.probability, 1)}" + (f"   ({others})" if others else "")

    def drawing(self) -> str:
        """Return the image as text, with two rows of pixels per line."""
        gray = as_gray(self.image) if self.image.ndim == 3 else self.image
        height, width = gray.shape
        rows = np.pad(gray, ((0, height % 2), (0, 0))).reshape(-1, 2, width).max(axis=1)
        return "\n".join("".join(SHADES[int(p) * (len(SHADES) - 1) // 255] for p in row).rstrip() for row in rows)

    def __repr__(self) -> str:
        doubt = "" if self.verdict == "digit" else f", {self.verdict}"
        return f"<Reading {self.digit}, {self.problem or percent(self.probability, 1)}{doubt}>"


#: `read`, `read_line` or `read_page`.
ReadAs = Callable[[Path | bytes, Reader, str], Reading | list[Reading] | list[list[Reading]]]


def read(picture: Picture, reader: Reader | None = None, name: str | None = None) -> Reading:
    """Read one picture: handwriting (dark on light or light on dark), or an image of the model's own kind.

    Handwriting is normalized; raise `NothingDrawnError` if there is none. For a model of other images, the picture is
    scaled to their size.

    picture: a path, the bytes of a file, gray levels, uint8 (H, W), or for a model of color pictures (H, W, 3)
    reader: by default the installed model
    name: for messages, by default the path
    """
    reader = reader or shipped_model()
    gray, name = _opened(picture, name, color=reader.input == "image" and reader.is_color)
    with _naming(name):
        if reader.input == "image":
            return read_image(resized(gray, reader.image_shape), reader, name)
        _check_takes_handwriting(reader)
        digit = normalize(gray)
    return read_image(digit.image, reader, name, is_crowded=is_crowded(gray, digit.ink))


def _check_takes_handwriting(reader: Reader) -> None:
    """Reject a model whose inputs can't be made from a picture of handwriting."""
    if reader.input == "floats":
        raise DataError("the model was trained on floats, not on images: use model.predict(X)")
    if reader.image_shape != (SIZE, SIZE):
        size = "×".join(map(str, reader.image_shape))
        raise DataError(f"reading handwriting needs a model of {SIZE}×{SIZE} images, got a model of {size}")


def read_line(picture: Picture, reader: Reader | None = None, name: str | None = None) -> list[Reading]:
    """Read a line of digits, left to right; one that can't be read has a `problem`.

    The model reads all segments that the ink allows, and the most likely ones that cover the line are returned.
    """
    reader = reader or shipped_model()
    gray, name = _opened(picture, name)
    with _naming(name):
        _check_takes_rows(reader)
        row = find_row(gray)
    return _read_row(row, reader, name)


def read_page(picture: Picture, reader: Reader | None = None, name: str | None = None) -> list[list[Reading]]:
    """Read the rows of digits on a page, from top to bottom, each like `read_line`."""
    reader = reader or shipped_model()
    gray, name = _opened(picture, name)
    with _naming(name):
        _check_takes_rows(reader)
        rows = find_rows(gray)
    return [_read_row(row, reader, f"{name}:{number}") for number, row in enumerate(rows, start=1)]


def _check_takes_rows(reader: Reader) -> None:
    if reader.input == "image":
        raise DataError("reading a line needs a model of handwriting, got a model of other images")
    _check_takes_handwriting(reader)


def _read_row(row: Row, reader: Reader, name: str) -> list[Reading]:
    segments = row.segments()
    images, problems = np.zeros((len(segments), SIZE, SIZE), np.uint8), dict[int, DataError]()
    for number, segment in enumerate(segments):
        try:
            images[number] = normalize(segment.ink).image
        except DataError as error:
            problems[number] = error
    probabilities = reader.probabilities(images)
    most = [LEAST if number in problems else max(LEAST, each.max()) for number, each in enumerate(probabilities)]
    readings = []
    for count, number in enumerate(best_segments(segments, [math.log(p) for p in most]), start=1):
        part, box = f"{name}:{count}", row.box_in_picture(segments[number].box)
        if (problem := problems.get(number)) is not None:
            readings.append(Reading(part, problem=type(problem)(f"{part}: {problem}"), box=box))
        else:
            reading = Reading(part, images[number], probabilities[number], reader.classes)
            readings.append(replace(reading, thresholds=reader.thresholds, box=box))
    return readings


def with_boxes(picture: Picture, readings: Iterable[Reading]) -> bytes:
    """Draw the box and the class of each reading of a row or page into the picture; return the bytes of a PNG."""
    from PIL import Image, ImageDraw, ImageFont

    gray, _ = _opened(picture, None)
    image = Image.fromarray(gray).convert("RGB")
    draw = ImageDraw.Draw(image)
    for reading in readings:
        if reading.box is not None:
            top, left, bottom, right = reading.box
            color = BOX_COLORS["digit" if reading.problem is None and reading.verdict == "digit" else "other"]
            width = max(1, (bottom - top) // 40)
            draw.rectangle((left, top, right, bottom), None, color, width)
            font = ImageFont.load_default(max(10, (bottom - top) // 3))
            draw.text((left + 2 * width, top), reading.digit, fill=color, font=font, anchor="ls")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def read_all(
    places: Iterable[StrPath], reader: Reader | None = None, read_as: ReadAs | None = None
) -> Iterator[tuple[str, list[Reading] | Iterator[Reading]]]:
    """Yield each picture with its readings; one that can't be read has a `problem`.

    places: paths of pictures and of folders of pictures, and `-` for standard input, which has many readings: the bytes
    of a picture, or a picture per line (`read_numbers`)
    read_as: `read`, the default, `read_line` or `read_page`
    """
    reader, read_as = reader or shipped_model(), read_as or read
    for place in map(str, places):
        try:
            if place == "-":
                yield place, _readings_of_input(reader, read_as)
            else:
                yield from ((str(path), _readings_of(path, reader, read_as)) for path in _pictures_at(Path(place)))
        except DataError as error:
            yield place, [Reading(place, problem=error)]
        except OSError as error:  # such as a name that is too long
            yield place, [Reading(place, problem=DataError(f"{place:.80}: can't be read: {error.strerror}"))]


def images_in(folder: Path) -> list[Path]:
    """Return the sorted paths of the images in a folder."""
    return sorted(filter(is_picture, folder.iterdir()))


def _pictures_at(path: Path) -> list[Path]:
    if not path.exists():
        raise DataMissingError(f"{path}: file not found{near_path(path)}")
    if inside := images_in(path) if path.is_dir() else [path]:
        return inside
    rule = f"no images in this folder ({', '.join(sorted(ENDINGS))})"
    found = endings_in(path)
    raise DataMissingError(f"{path}: {rule}, found {found}" + (": convert them to PNG" if found != "none" else ""))


def _readings_of(picture: Path | bytes, reader: Reader, read_as: ReadAs) -> list[Reading]:
    name = "-" if isinstance(picture, bytes) else str(picture)
    try:
        found = read_as(picture, reader, name)
    except DataError as error:
        return [Reading(name, problem=error)]
    rows = found if isinstance(found, list) else [found]
    return [reading for row in rows for reading in (row if isinstance(row, list) else [row])]


def _readings_of_input(reader: Reader, read_as: ReadAs) -> Iterator[Reading]:
    binary: Any = getattr(sys.stdin, "buffer", None)
    try:
        if hasattr(binary, "peek") and binary.peek(1).startswith(SIGNATURES):
            yield from _readings_of(binary.read(), reader, read_as)
        else:
            yield from read_numbers(sys.stdin, reader)
    except UnicodeDecodeError:
        yield Reading("-", problem=DataError("-: standard input must be lines of 784 numbers, got binary data"))


def read_image(
    image: Array, reader: Reader | None = None, name: str = "the picture", *, is_crowded: bool = False
) -> Reading:
    """Read an image in the format of the model's images    image: uint8 (H, W)"""
    reader = reader or shipped_model()
    probabilities = reader.probabilities(image[None])[0]
    return Reading(name, image, probabilities, reader.classes, is_crowded, thresholds=reader.thresholds)


def read_numbers(lines: Iterable[str], reader: Reader | None = None) -> Iterator[Reading]:
    """Read an image per line: its pixels, separated by commas or spaces."""
    reader = reader or shipped_model()
    shape = reader.image_shape
    is_empty = True
    for count, line in enumerate(lines, start=1):
        if parts := line.replace(",", " ").split():
            is_empty = False
            try:
                yield read_image(_image(parts, shape), reader, f"-:{count}")
            except DataError as error:
                yield Reading(f"-:{count}", problem=DataError(f"line {count} {error}"))
    if is_empty:
        yield Reading("-", problem=DataMissingError("-: standard input must have a line per image, got none"))


def _image(parts: list[str], shape: tuple[int, ...]) -> Array:
    size = math.prod(shape)
    rule = f"must have {size} integers from 0 to 255"
    try:
        values = np.array(parts, np.float64)
    except ValueError:
        raise DataError(f"{rule}, got {' '.join(parts)[:40]!r}") from None
    is_byte = (values >= 0) & (values <= 255) & (values == np.floor(values))
    if not is_byte.all() or values.size != size:
        raise DataError(f"{rule}, got {values.size if is_byte.all() else values[~is_byte][0]:g}")
    return values.astype(np.uint8).reshape(shape)


def _opened(picture: Picture, name: str | None, *, color: bool = False) -> tuple[Array, str]:
    """Return the gray levels or the colors of a photo, and its name."""
    if name is None:
        name = str(picture) if isinstance(picture, str | os.PathLike) else "the picture"
    if isinstance(picture, np.ndarray):
        return picture, name
    if hasattr(picture, "convert"):  # a Pillow image
        return np.asarray(picture.convert("RGB" if color else "L")), name
    if not isinstance(picture, str | os.PathLike | bytes):
        rule = "a path, the bytes of a file, a Pillow image or an array uint8 (H, W)"
        raise UsageError(f"a picture must be {rule}, got {short_repr(picture)}")
    return read_photo(picture, color=color), name


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Prefix the messages of errors with a name."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{name}: {error}") from None
