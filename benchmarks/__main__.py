"""The commands: `python -m benchmarks SUITE` measures a suite, `python -m benchmarks tables` writes the tables."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

import byhand
from benchmarks import accuracy, handwriting, results, tables
from benchmarks.rounds import Log
from benchmarks.suites import SUITES
from byhand.errors import ByhandError, UsageError
from byhand.model.model import shipped_model
from byhand.training import PRESETS

HELP = {"help_option_names": ["-h", "--help"]}
ABOUT = {
    "full-batch": "One iteration over the whole data.",
    "mini-batches": "An epoch in mini-batches.",
    "target": "Whole processes, from the start of Python to 98 %.",
    "reading": "Prediction of the test images.",
    "memory": "Peak memory.",
    "growth": "Time and memory up to a million images.",
    "startup": "Start-up time.",
    "busy": "Small networks beside busy loops.",
}
DOCUMENTS = tuple(map(Path, ("README.md", "docs/performance.md", "docs/recipes.md", "docs/handwriting.md")))

folder_option = partial(
    click.option, type=click.Path(file_okay=False, path_type=Path), default=results.FOLDER, metavar="DIRECTORY"
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON instead of a table.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Suppress messages and progress.")


@click.group(context_settings=HELP)
def cli() -> None:
    """Benchmark byhand and its peers in turns, on this machine.

    Needs the extra `bench` and full MNIST. Nothing else should run meanwhile: a busy machine gives wide spreads.
    """


def speed(name: str) -> click.Command:
    """Return the command of a suite of speed."""

    @click.command(name, help=ABOUT[name], context_settings=HELP)
    @click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Turns of each contestant.")
    @folder_option("--out", help="Folder of the results.")
    @as_json_option
    @quiet_option
    def command(rounds: int, out: Path, as_json: bool, quiet: bool) -> None:
        suite, log = SUITES[name], logger(quiet)
        path = results.write(out, name, suite.measure(rounds, log), suite.distributions)
        result = results.read(out, name)
        assert result is not None
        if as_json:
            click.echo(json.dumps(result, ensure_ascii=False))
        else:
            click.echo(tables.TABLES[name](result["figures"]) + tables.made_on(result["machine"]))
        log(f"written to {path}")

    return command


for suite_name in SUITES:
    cli.add_command(speed(suite_name))


def distinct_integers(_ctx: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """`0,1,2` → (0, 1, 2)"""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise click.BadParameter(f"must be different integers separated by commas, got {text!r}")
    return tuple(map(int, parts))


@cli.command("accuracy", context_settings=HELP)
@click.option(
    "--preset",
    "presets",
    type=click.Choice(list(PRESETS)),
    multiple=True,
    default=accuracy.PRESETS,
    show_default=True,
    help="A preset; may be given several times. `best` and `record` take minutes per seed.",
)
@click.option(
    "--seeds",
    default="0,1,2",
    show_default=True,
    metavar="N,N,…",
    callback=distinct_integers,
    help="Train one run per seed.",
)
@click.option(
    "--runs",
    "home",
    type=click.Path(file_okay=False, path_type=Path),
    default=accuracy.HOME,
    show_default=True,
    help="Folder of the runs. Finished runs are used as they are; interrupted ones are resumed.",
)
@click.option(
    "--pace",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="Also time N seconds of each training alone and extrapolate: for runs that shared the machine, or take "
    "minutes or hours.",
)
@click.option("--robustness", is_flag=True, help="Also score shifted, rotated, scaled, … and photographed test images.")
@click.option("--data", default="mnist", show_default=True, metavar="NAME|PATH", help="The data set, by name or path.")
@folder_option("--out", help="Folder of the results; the figures of other presets in it stay.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@quiet_option
@as_json_option
def accuracy_command(
    presets: tuple[str, ...],
    seeds: tuple[int, ...],
    home: Path,
    pace: float | None,
    robustness: bool,
    data: str,
    out: Path,
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the presets over several seeds; score the test set once.

    Every choice was made on a validation split before; the test images are scored once, when a run has ended.
    """
    log = logger(quiet)
    digits = byhand.load(data, offline=offline, say=log)
    figures = accuracy.measure(presets, seeds, digits, data, home, log)
    if pace is not None:
        for name in presets:
            figures[name]["pace"] = accuracy.pace(name, digits, seconds=pace)
    kept = {"accuracy": keep(out, "accuracy", {"data": digits.test.name, "presets": figures}, log)}
    if robustness:
        more = accuracy.robust(presets, seeds, digits, home, log)
        kept["robustness"] = keep(out, "robustness", {"data": digits.test.name, **more}, log)
    if as_json:
        click.echo(json.dumps(kept, ensure_ascii=False, indent=2, allow_nan=False))
        return
    for suite, now in kept.items():
        click.echo(tables.TABLES[suite](now))


def keep(out: Path, suite: str, figures: Mapping[str, Any], log: Log) -> Any:
    """Write the figures next to those of other presets on the same data; return all of them."""
    before = results.read(out, suite)
    merged = dict(figures)
    if before is not None:
        if before["figures"]["data"] != figures["data"]:
            raise UsageError(
                f"{out}: holds figures for {before['figures']['data']}, the new ones are for {figures['data']}; "
                "choose another folder with --out"
            )
        merged["presets"] = before["figures"]["presets"] | figures["presets"]
    path = results.write(out, suite, merged, ("scikit-learn", "pillow"))
    log(f"written to {path}")
    return merged


@cli.command("handwriting", context_settings=HELP)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Pictures of digits or rows; the name of the file, or the subfolder, begins with the digits.",
)
@click.option(
    "--strokes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The UCI pen digits, pendigits-orig.tra.gz: pictures are drawn from the strokes of eight writers.",
)
@click.option("--count", type=click.IntRange(5), default=250, show_default=True, help="Drawn digits of each kind.")
@click.option("--model", type=click.Path(exists=True), metavar="FILE", help="A model; default: the shipped one.")
@as_json_option
@quiet_option
def handwriting_command(
    data: Path | None, strokes: Path | None, count: int, model: str | None, as_json: bool, quiet: bool
) -> None:
    """Score a model on pictures of handwriting: your own (--data), or drawn ones (--strokes).

    Prints the accuracy with its 95 % interval, refused pictures, the most frequent mistakes, the calibration, and the
    accuracy of the same model with pictures that are only resized.
    """
    if (data is None) == (strokes is None):
        raise UsageError("handwriting needs --data DIRECTORY or --strokes FILE")
    reader = shipped_model() if model is None else byhand.Model.load(model)
    if strokes is not None:
        figures = handwriting.of_strokes(reader, strokes, count, logger(quiet))
    else:
        assert data is not None
        figures = handwriting.of_folder(reader, data)
    click.echo(json.dumps(figures, ensure_ascii=False) if as_json else "\n".join(handwriting.lines(figures)))


@cli.command("tables", context_settings=HELP)
@click.argument("documents", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@folder_option("--results", "folder", help="Folder of the results.")
def tables_command(documents: tuple[Path, ...], folder: Path) -> None:
    """Replace the tables between the markers `<!-- bench: NAME -->` and `<!-- /bench -->`.

    Without DOCUMENTS: README.md and the pages of docs/ that have tables.
    """
    root = Path(__file__).resolve().parents[1]
    for document in documents or [root / name for name in DOCUMENTS]:
        missing = tables.fill(document, folder)
        click.echo(f"{document}: " + (f"no results for {', '.join(missing)}" if missing else "filled"))


def logger(quiet: bool) -> Log:
    """Return the function that writes messages: to stderr, or nowhere."""
    return (lambda line: None) if quiet else partial(click.echo, err=True)


def main() -> None:
    """Run a command; an error of byhand is one line and its exit code."""
    try:
        cli(prog_name="python -m benchmarks")
    except ByhandError as error:
        click.echo(f"benchmarks: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
