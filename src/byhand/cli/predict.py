"""`byhand predict`: predict the digits in images."""

import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from byhand.cli.output import PLACE, Console, console_options, option, shifts, show_json
from byhand.data.formats.images import ENDINGS, SIGNATURES
from byhand.errors import DataError, DataMissingError
from byhand.model import Reader, shipped_model
from byhand.model.ensemble import ShiftAveraged
from byhand.model.reading import Reading, read, read_line, read_numbers
from byhand.training.runs import CONFIG, MODEL, load_reader


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PLACE, metavar="IMAGE|FOLDER|-…")
@option("--run --model RUN|MODEL", PLACE, "Model for the predictions. Defaults to the shipped model.")
@option("--line", bool, "Line segmentation: each image has several digits in a row, which are predicted one by one.")
@option("--show-input", bool, "Show the 28 × 28 network input after normalization; in JSON as 28 rows.")
@option("--top", click.IntRange(1), "Number of most probable classes to show (top-k).", default=3)
@shifts
@console_options()
def command(
    pictures: tuple[str, ...],
    run: str | None,
    line: bool,
    show_input: bool,
    top: int,
    shifts: bool,
    console: Console,
) -> None:
    """Predict the digits in images: photos, drawings or scans, dark on light or light on dark.

    A folder stands for the images in it. `-` reads standard input: the bytes of an image file, or an image per line:
    784 numbers from 0 to 255, not normalized. Unreadable images are reported and skipped.
    """
    model = load_reader(run) if run is not None else shipped_model()
    reader = ShiftAveraged(model) if shifts else model
    results: list[dict[str, Any]] = []
    has_failed = has_hinted = False
    for source, readings in sources(pictures, reader, line):
        digits: list[dict[str, Any]] = []
        for reading in readings:
            digits.append(result := reading.to_json(top))
            if reading.problem is not None:
                console.info(f"byhand: {reading.problem}")
                has_failed = True
            elif console.as_json and show_input:
                result["input"] = reading.image.tolist()
            elif not console.as_json:
                click.echo(reading.text(top) + (f"\n{reading.drawing()}" if show_input else ""))
            if reading.is_crowded and not has_hinted:
                console.info(f"{reading.name}: more than one digit? try --line")
                has_hinted = True
        if not line or [digit["picture"] for digit in digits if "error" in digit] == [source]:
            results += digits
        else:
            text = "".join(digit.get("digit", "?") for digit in digits)
            results.append({"picture": source, "text": text, "digits": digits})
            if not console.as_json:
                click.echo(text)
    if console.as_json:
        show_json(results)
    if has_failed:
        sys.exit(DataError.exit_code)


def sources(places: tuple[str, ...], reader: Reader, line: bool) -> Iterator[tuple[str, Iterable[Reading]]]:
    """Yield each image with its readings; standard input has many readings."""
    for place in places:
        try:
            if place == "-":
                yield place, readings_of_input(sys.stdin, reader, line)
            else:
                yield from ((str(path), readings_of(path, reader, line)) for path in pictures_at(Path(place)))
        except DataError as error:
            yield place, [Reading(place, problem=error)]
        except OSError as error:  # such as a name that is too long
            yield place, [Reading(place, problem=DataError(f"{place:.80}: can't be read: {error.strerror}"))]


def pictures_at(path: Path) -> list[Path]:
    """Return the path of an image, or the sorted paths of the images in a folder."""
    if not path.exists():
        raise DataMissingError(f"{path}: file not found")
    is_run = any((path / name).is_file() for name in (CONFIG, MODEL))
    inside = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in ENDINGS) if path.is_dir() else [path]
    if path.suffix == Path(MODEL).suffix or (is_run and not inside):
        what = "a run" if is_run else "a model"
        raise DataMissingError(f"{path} is {what}, not an image: did you mean --run {shlex.quote(str(path))}?")
    if inside:
        return inside
    raise DataMissingError(f"{path}: no images in this folder ({', '.join(sorted(ENDINGS))})")


def readings_of(picture: Path | bytes, reader: Reader, line: bool) -> list[Reading]:
    """Return the readings of an image (`-` for bytes); an error becomes a reading with a `problem`."""
    name = "-" if isinstance(picture, bytes) else str(picture)
    try:
        return read_line(picture, reader, name) if line else [read(picture, reader, name)]
    except DataError as error:
        return [Reading(name, problem=error)]


def readings_of_input(stream: TextIO, reader: Reader, line: bool) -> Iterator[Reading]:
    """Yield the readings of standard input: the bytes of an image file, or lines of numbers."""
    binary: Any = getattr(stream, "buffer", None)
    try:
        if hasattr(binary, "peek") and binary.peek(1).startswith(SIGNATURES):
            yield from readings_of(binary.read(), reader, line)
        else:
            yield from read_numbers(stream, reader)
    except UnicodeDecodeError:
        yield Reading("-", problem=DataError("-: standard input must be lines of 784 numbers, got binary data"))
