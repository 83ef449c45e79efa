"""`byhand predict`: read pictures of digits. A picture is brought to the form that MNIST has, then read by a model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click
import numpy as np

from byhand.cli.common import Talk, as_json, percent, quiet, shifts, show_json
from byhand.committee import Reader, Shifted
from byhand.data.handwriting import normalise, read_picture, segment_line
from byhand.errors import ByhandError, DataError, DataMissingError
from byhand.model import Model
from byhand.nn.scratch import Array
from byhand.training.runs import load_reader

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}

#: From dark to light, two rows of pixels a line of text.
SHADES = " .:-=+*#%@"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE|FOLDER|-…")
@click.option("--run", metavar="RUN|MODEL", help="The model to read with. Without it, the one that ships with byhand.")
@click.option("--line", is_flag=True, help="Each picture holds several digits in a row: cut it and read one by one.")
@click.option("--show-input", is_flag=True, help="Show the 28×28 picture that the network saw.")
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
    talk = Talk(quiet)
    reader = load_reader(run) if run is not None else shipped()
    model: Reader = Shifted(reader) if shifts else reader
    results = []
    for name, image, problem in images(pictures, line):
        if problem is not None:
            talk.say(f"byhand: {problem}")
            results.append({"picture": name, "error": str(problem)})
            continue
        result = reading(model, name, image, top)
        results.append(result)
        if not as_json:
            click.echo(as_line(result))
            if show_input:
                click.echo(as_text(image))
    if line and not as_json and results:
        click.echo("".join(result.get("digit", "?") for result in results))
    if as_json:
        show_json(results)
    if any("error" in result for result in results):
        sys.exit(DataError.exit_code)


def shipped() -> Model:
    """The model that ships with byhand."""
    from byhand import shipped as room

    return room.model()


def images(places: tuple[str, ...], line: bool) -> Iterator[tuple[str, Array, ByhandError | None]]:
    """(name, 28×28 picture, what was wrong with it) for each picture meant by the arguments."""
    nothing = np.zeros((28, 28), np.uint8)
    for place in places:
        if place == "-":
            yield from numbers(sys.stdin)
            continue
        try:
            paths = found(Path(place))
        except DataError as error:
            yield place, nothing, error
            continue
        for path in paths:
            try:
                grey = read_picture(path)
                parts = segment_line(grey) if line else [grey]
            except DataError as error:
                yield str(path), nothing, error
                continue
            for number, part in enumerate(parts, start=1):
                name = f"{path}:{number}" if line else str(path)
                try:
                    yield name, normalise(part).image, None
                except DataError as error:
                    yield name, nothing, type(error)(f"{name}: {error}") if str(path) not in str(error) else error


def found(path: Path) -> list[Path]:
    """The picture at a path, or the pictures in a folder, by name."""
    if path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in ENDINGS)
        if not inside:
            raise DataMissingError(f"{path}: no pictures in that folder ({', '.join(sorted(ENDINGS))})")
        return inside
    if not path.exists():
        raise DataMissingError(f"{path}: no picture there")
    return [path]


def numbers(stream: TextIO) -> Iterator[tuple[str, Array, ByhandError | None]]:
    """A picture for each line of 784 numbers; a line that isn't one is named by its number."""
    for count, text in enumerate(stream, start=1):
        name = f"-:{count}"
        parts = text.replace(",", " ").split()
        if not parts:
            continue
        try:
            values = np.array([float(part) for part in parts])
        except ValueError:
            yield (
                name,
                np.zeros((28, 28), np.uint8),
                DataError(f"line {count} must hold numbers, got {text[:40].strip()!r}"),
            )
            continue
        if values.size != 784 or not ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
            rule = f"line {count} must hold 784 whole numbers from 0 to 255, got {values.size}"
            if values.size == 784:
                wrong = values[~((values >= 0) & (values <= 255) & (values == np.floor(values)))][0]
                rule = f"line {count} must hold whole numbers from 0 to 255, got {wrong:g}"
            yield name, np.zeros((28, 28), np.uint8), DataError(rule)
            continue
        yield name, values.astype(np.uint8).reshape(28, 28), None


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
