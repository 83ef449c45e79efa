"""`byhand export`: a trained model as one HTML page, as ONNX, or as plain arrays.

The work is done in `byhand.export`; a notebook has the same function.
"""

from pathlib import Path

import click

from byhand.cli.output import PLACE, Console, Place, console_options, option
from byhand.data import Dataset, load
from byhand.errors import DataError, UsageError
from byhand.export import KINDS, export, kind_of
from byhand.model import Model, shipped_model
from byhand.training.runs import Run, load_model

#: What an export is called without --output. `digits.npz` is the name of the course's data.
NAMES = {"html": "digits.html", "onnx": "model.onnx", "npz": "model.npz"}


@click.command()
@click.argument("run", required=False, type=PLACE, metavar="[RUN]")
@option("--to", KINDS, "What to make. Without it, the end of --output's name decides.")
@option(
    "--output -o",
    Place(path_type=Path),
    "Where to write it. Without it, beside the model (the shipped one: in the current folder) as digits.html, "
    "model.onnx or model.npz, and never over a file that is there.",
)
@console_options(json=False)
def command(run: str | None, to: str | None, output: Path | None, console: Console) -> None:
    """Export the model of RUN (a run's folder or a model's file; without it, the shipped model).

    \b
    html  one page with pad, network and weights inside; it opens from a disk and needs no network
    onnx  for other runtimes: takes pictures as floats 0 to 255, the whole preparation is inside
    npz   plain arrays W1, b1, … as in the reference pages

    Each is checked against the model before it is written. The file's path goes to stdout.
    """
    if to is None and output is None:
        raise click.UsageError("name what to make: --to html, onnx or npz, or --output with such an end")
    if output is not None:
        if str(output) == "-":
            raise UsageError("-o must name a file, got -: stdout is for the file's path")
        kind_of(output, to)  # raises an error before anything is loaded
    model = shipped_model() if run is None else load_model(run)
    if output is None:
        output = (Path() if run is None else Run.open(run).folder) / NAMES[str(to)]
        if output.exists():
            raise UsageError(f"{output} is there already: give -o, with this name or another")
    console.info(export(model, output, to=to, pictures=pictures_of(run, model)))
    click.echo(output)


def pictures_of(run: str | None, model: Model) -> Dataset | None:
    """The test pictures of the data that the model was trained on, where they are here and fit it."""
    name = model.metadata.get("data", {}) if run is not None else None
    name = name.get("name") if isinstance(name, dict) else None
    if not isinstance(name, str):
        return None
    try:
        pictures = load(name, offline=True).test
    except DataError:
        return None
    fits = pictures.images[0].size == model.network.in_size and len(pictures.classes) == len(model.classes)
    return pictures if fits else None
