"""`byhand predict`: read pictures of digits. A picture is brought to the form that MNIST has, then read by a model."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click
import numpy as np

from byhand.cli.output import PLACE, Console, as_json, quiet, shifts, show_json
from byhand.data.handwriting import normalise, read_picture, segment_line
from byhand.data.handwriting.ink import find_pieces
from byhand.data.handwriting.line import RowsError
from byhand.errors import ByhandError, DataError, DataMissingError, NothingDrawnError
from byhand.model import Reader, shipped_model
from byhand.model.ensemble import ShiftAveraged
from byhand.nn.arrays import Array
from byhand.text import percent
from byhand.training.runs import CONFIG, MODEL, load_reader

ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
ENDINGS |= {".pbm", ".pgm", ".pnm", ".ppm"}

#: From dark to light, two rows of pixels a line of text.
SHADES = " .:-=+*#%@"

#: Of the tallest mark's height and of the largest one's ink: what has less is a stroke of a digit, or dirt.
TALL, INKED = 0.6, 0.2


class Seen(NamedTuple):
    """A picture of one digit, or why there is none."""

    name: str
    image: Array = np.zeros((28, 28), np.uint8)
    problem: ByhandError | None = None
    is_crowded: bool = False
    """there may be more than one digit in it"""


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PLACE, metavar="PICTURE|FOLDER|-…")
@click.option(
    "--run", type=PLACE, metavar="RUN|MODEL", help="The model to read with. Without it, the one that ships with byhand."
)
@click.option("--line", is_flag=True, help="Each picture holds several digits in a row: cut it and read one by one.")
@click.option("--show-input", is_flag=True, help="Show the 28×28 picture that the network saw; in JSON, its 28 rows.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="How many guesses to show.")
@shifts
@quiet
@as_json
def command(
    pictures: tuple[str, ...],
    run: str | None,
    line: bool,
    show_input: bool,
    top: int,
    shifts: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Read pictures of digits: photos, drawings, scans; dark on light or light on dark.

    A folder stands for the pictures in it. `-` reads one picture a line from standard input, each 784 numbers from 0
    to 255 (commas or blanks between), taken as they are. A picture that can't be read is reported, the others go on.
    """
    console = Console(quiet)
    reader = load_reader(run) if run is not None else shipped_model()
    model: Reader = ShiftAveraged(reader) if shifts else reader
    results: list[dict[str, Any]] = []
    failed, hinted = False, False
    for source, parts in sources(pictures, line):
        digits: list[dict[str, Any]] = []
        for seen in parts:
            if seen.problem is not None:
                console.info(f"byhand: {seen.problem}")
                digits.append({"picture": seen.name, "error": str(seen.problem)})
                failed = True
                continue
            result = reading(model, seen.name, seen.image, top)
            digits.append(result)
            if as_json:
                result |= {"input": seen.image.tolist()} if show_input else {}
            else:
                click.echo(as_line(result))
                if show_input:
                    click.echo(as_text(seen.image))
            if seen.is_crowded and not hinted:
                console.info(f"{seen.name}: more than one digit? try --line")
                hinted = True
        text = "".join(digit.get("digit", "?") for digit in digits)
        if not line or [digit["picture"] for digit in digits if "error" in digit] == [source]:
            results += digits
        else:
            results.append({"picture": source, "text": text, "digits": digits})
            if not as_json:
                click.echo(text)
    if as_json:
        show_json(results)
    if failed:
        sys.exit(DataError.exit_code)


def sources(places: tuple[str, ...], line: bool) -> Iterator[tuple[str, Iterator[Seen]]]:
    """(its name, the pictures of one digit in it) for each picture meant by the arguments; `-` is one with many."""
    for place in places:
        if place == "-":
            yield place, numbers(sys.stdin)
            continue
        try:
            paths = found(Path(place))
        except DataError as error:
            yield place, iter([Seen(place, problem=error)])
            continue
        except OSError as error:  # a name that is too long, a folder that is closed
            yield place, iter([Seen(place, problem=DataError(f"{place:.80}: can't be read: {error.strerror}"))])
            continue
        for path in paths:
            yield str(path), digits_in(path, line)


def digits_in(path: Path, line: bool) -> Iterator[Seen]:
    """The digit in a picture or, of a line of them, each by its number. What is wrong is named by the picture."""
    name = str(path)
    try:
        grey = read_picture(path)
    except DataError as error:
        yield Seen(name, problem=error)
        return
    try:
        parts = segment_line(grey) if line else [grey]
    except DataError as error:
        yield Seen(name, problem=type(error)(f"{name}: {error}"))
        return
    for number, part in enumerate(parts, start=1):
        one = f"{name}:{number}" if line else name
        try:
            digit = normalise(part)
        except DataError as error:
            yield Seen(one, problem=type(error)(f"{one}: {error}"))
        else:
            yield Seen(one, digit.image, is_crowded=not line and is_crowded(grey, digit.ink))


def is_crowded(grey: Array, ink: Array) -> bool:
    """Whether the picture may hold more than one digit: two marks apart, each tall and with ink enough to be one.

    A 4 or a 5 in two strokes is one digit: of the sample's 5,000, two are taken for more.
    """
    if len(find_pieces(ink > 0)[1]) < 2:
        return False
    try:
        marks = segment_line(grey)
    except RowsError:
        return True
    except NothingDrawnError:
        return False
    heights = np.array([int(mark.any(axis=1).sum()) for mark in marks])
    amounts = np.array([int(mark.sum()) for mark in marks])
    like_a_digit = (heights >= TALL * heights.max()) & (amounts >= INKED * amounts.max())
    return bool(like_a_digit.sum() > 1)


def found(path: Path) -> list[Path]:
    """The picture at a path, or the pictures in a folder, by name."""
    meant = f"did you mean --run {shlex.quote(str(path))}?"
    if path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in ENDINGS)
        if not inside and any((path / name).is_file() for name in (CONFIG, MODEL)):
            raise DataMissingError(f"{path}: that is a run: {meant}")
        if not inside:
            raise DataMissingError(f"{path}: no pictures in that folder ({', '.join(sorted(ENDINGS))})")
        return inside
    if not path.exists():
        raise DataMissingError(f"{path}: no picture there")
    if path.suffix == Path(MODEL).suffix:
        raise DataError(f"{path}: that is a model: {meant}")
    return [path]


def numbers(stream: TextIO) -> Iterator[Seen]:
    """A picture for each line of 784 numbers; a line that isn't one is named by its number."""
    count, is_empty = 0, True
    while True:
        count += 1
        try:
            text = stream.readline()
        except UnicodeDecodeError:
            yield Seen("-", problem=DataError("-: standard input must be lines of 784 numbers, and it is no text"))
            return
        if not text:
            break
        parts = text.replace(",", " ").split()
        if not parts:
            continue
        is_empty = False
        name = f"-:{count}"
        try:
            values = np.array([float(part) for part in parts])
        except ValueError:
            yield Seen(name, problem=DataError(f"line {count} must hold numbers, got {text[:40].strip()!r}"))
            continue
        whole = (values >= 0) & (values <= 255) & (values == np.floor(values))
        if values.size != 784:
            rule = f"line {count} must hold 784 whole numbers from 0 to 255, got {values.size}"
            yield Seen(name, problem=DataError(rule))
        elif not whole.all():
            rule = f"line {count} must hold whole numbers from 0 to 255, got {values[~whole][0]:g}"
            yield Seen(name, problem=DataError(rule))
        else:
            yield Seen(name, values.astype(np.uint8).reshape(28, 28))
    if is_empty:
        yield Seen("-", problem=DataMissingError("-: standard input must hold a line for each picture, no line came"))


def reading(model: Reader, name: str, image: Array, top: int) -> dict[str, Any]:
    """What the model makes of one picture."""
    P = model.probabilities(image[None])[0]
    order = np.argsort(-P, kind="stable")[:top]
    guesses = [{"class": model.classes[k], "probability": float(P[k])} for k in order]
    return {"picture": name, "digit": model.classes[order[0]], "probability": float(P[order[0]]), "guesses": guesses}


def as_line(result: dict[str, Any]) -> str:
    """`seven.png  7  98.2 %   (1: 1.1 %, 9: 0.4 %)`"""
    others = ", ".join(f"{guess['class']}: {percent(guess['probability'], 1)}" for guess in result["guesses"][1:])
    return f"{result['picture']}  {result['digit']}  {percent(result['probability'], 1)}" + (
        f"   ({others})" if others else ""
    )


def as_text(image: Array) -> str:
    """The picture in characters, darker to lighter, two rows of pixels a line."""
    rows = image.reshape(14, 2, 28).max(axis=1)
    return "\n".join("".join(SHADES[int(p) * (len(SHADES) - 1) // 255] for p in row).rstrip() for row in rows)
