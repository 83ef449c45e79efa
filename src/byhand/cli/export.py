"""`byhand export`: write a model as an HTML page, as ONNX or as NumPy arrays."""

from pathlib import Path

import click

from byhand.cli.output import PLACE, Console, Place, console_options, option
from byhand.errors import UsageError
from byhand.export import KINDS, export, kind_of, training_data_of
from byhand.model import shipped_model
from byhand.training.run import data_of
from byhand.training.runs import Run, load_model

#: Default names of the exported files. `digits.npz` is the name of the course's data.
NAMES = {"html": "digits.html", "onnx": "model.onnx", "npz": "model.npz"}


@click.command()
@click.argument("run", required=False, type=PLACE, metavar="[RUN]")
@option("--to", KINDS, "Format of the export. Defaults to the extension of --output.")
@option(
    "--output -o",
    Place(path_type=Path),
    "Output file. Defaults to digits.html, model.onnx or model.npz next to the model (for the shipped model: in the "
    "current folder), without overwriting an existing file.",
)
@console_options(json=False)
def command(run: str | None, to: str | None, output: Path | None, console: Console) -> None:
    """Export the model of RUN (the folder of a run, or a model file), by default the shipped model.

    \b
    html  one page with drawing pad, network and weights, which works offline
    onnx  for other runtimes: takes pixels as floats from 0 to 255, preprocessing included
    npz   NumPy arrays W1, b1, … as in the reference implementation

    Each export is compared with the model before it is written. The path of the file is printed on stdout.
    """
    if to is None and output is None:
        raise click.UsageError("missing format: give --to html, onnx or npz, or --output with that extension")
    if output is not None:
        if str(output) == "-":
            raise UsageError("-o must be a file name, got -: stdout is for the path of the file")
        kind_of(output, to)  # check before loading
    model = shipped_model() if run is None else load_model(run)
    if output is None:
        output = (Path() if run is None else Run.open(run).folder) / NAMES[str(to)]
        if output.exists():
            raise UsageError(f"{output} already exists: use -o to overwrite it or to choose another name")
    source = data_of(Run.open(run).config()) if run is not None and Path(run).is_dir() else None
    pictures = None if run is None else training_data_of(model, source)
    console.info(export(model, output, to=to, pictures=pictures))
    click.echo(output)
