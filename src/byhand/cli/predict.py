"""`byhand predict`: predict the digits in images."""

import os
import shlex
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from byhand.cli.output import PLACE, Console, console_options, option, shifts, show_json
from byhand.data.handwriting.line import RowsError
from byhand.errors import DataError, DataMissingError
from byhand.files import write_bytes
from byhand.model import shipped_model
from byhand.model.ensemble import ShiftAveraged
from byhand.model.reading import Reading, images_in, read, read_all, read_line, read_page, with_boxes
from byhand.training.runs import CONFIG, MODEL, load_reader


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PLACE, metavar="IMAGE|FOLDER|-…")
@option("--run --model RUN|MODEL", PLACE, "Model for the predictions. Defaults to the shipped model.")
@option("--line", bool, "Line segmentation: each image has several digits in a row, which are predicted one by one.")
@option("--page", bool, "Page segmentation: each image has several rows of digits; prints a line of text per row.")
@option("--show-boxes", PLACE, "PNG file to write: the image with the bounding box and class of each digit.")
@option("--show-input", bool, "Show the 28 × 28 network input after normalization; in JSON as 28 rows.")
@option("--top", click.IntRange(1), "Number of most probable classes to show (top-k).", default=3)
@shifts
@console_options()
def command(
    pictures: tuple[str, ...],
    run: str | None,
    line: bool,
    page: bool,
    show_boxes: str | None,
    show_input: bool,
    top: int,
    shifts: bool,
    console: Console,
) -> None:
    """Predict the digits in images: photos, drawings or scans, dark on light or light on dark.

    A folder stands for the images in it. `-` reads standard input: the bytes of an image file, or an image per line:
    784 numbers from 0 to 255, not normalized. Unreadable images are reported and skipped.
    """
    check_options(pictures, line, page, show_boxes)
    for place in pictures:
        check_not_a_run(Path(place))  # before the other images are read with another model
    model = load_reader(run) if run is not None else shipped_model()
    reader = ShiftAveraged(model) if shifts else model
    results: list[dict[str, Any]] = []
    all_readings: list[Reading] = []
    has_failed = has_hinted = False
    for source, readings in read_all(pictures, reader, read_line if line else read_page if page else read):
        digits: list[dict[str, Any]] = []
        for reading in readings:
            digits.append(result := reading.to_json(top))
            if reading.problem is not None:
                hint = "; --page reads all rows" if isinstance(reading.problem, RowsError) else ""
                console.info(f"byhand: {reading.problem}{hint}")
                has_failed = True
            elif console.as_json and show_input:
                result["input"] = reading.image.tolist()
            elif not console.as_json and (show_input or not page):
                click.echo(reading.text(top) + (f"\n{reading.drawing()}" if show_input else ""))
            if reading.is_crowded and not has_hinted:
                console.info(f"{reading.name}: more than one digit? try --line")
                has_hinted = True
            all_readings.append(reading)
        if not (line or page) or [digit["picture"] for digit in digits if "error" in digit] == [source]:
            results += digits
            continue
        results.append(result := result_of_rows(source, digits, page))
        if not console.as_json:
            click.echo(result["text"])
    if show_boxes is not None and any(reading.box for reading in all_readings):
        write_bytes(show_boxes, with_boxes(pictures[0], all_readings))
    if console.as_json:
        show_json(results)
    if has_failed:
        sys.exit(DataError.exit_code)


def check_options(pictures: tuple[str, ...], line: bool, page: bool, show_boxes: str | None) -> None:
    """Raise an error for options that exclude each other."""
    if line and page:
        raise click.UsageError("--line and --page exclude each other: --page reads one row too")
    if show_boxes is not None and (not (line or page) or len(pictures) > 1 or os.path.isdir(pictures[0])):
        raise click.UsageError("--show-boxes needs one image and --line or --page")


def result_of_rows(source: str, digits: list[dict[str, Any]], page: bool) -> dict[str, Any]:
    """Return the text and the digits of an image, for a page by lines.

    The name of a digit is that of its row, a colon and a number.
    """
    rows = [list(row) for _, row in groupby(digits, lambda digit: digit["picture"].rpartition(":")[0])]
    texts = ["".join(digit.get("digit", "?") for digit in row) for row in rows]
    lines = [{"text": text, "digits": row} for text, row in zip(texts, rows, strict=True)]
    return {"picture": source, "text": "\n".join(texts)} | ({"lines": lines} if page else {"digits": digits})


def check_not_a_run(path: Path) -> None:
    """Raise an error for a run without images, or a model file, in place of an image."""
    is_run = any(os.path.isfile(path / name) for name in (CONFIG, MODEL)) and not images_in(path)
    if is_run or (path.suffix == Path(MODEL).suffix and os.path.isfile(path)):
        what = "a run" if is_run else "a model"
        raise DataMissingError(f"{path} is {what}, not an image: did you mean --run {shlex.quote(str(path))}?")
