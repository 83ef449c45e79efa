"""`python -m benchmarks accuracy`: presets over several seeds. The work is in `benchmarks.accuracy`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks import accuracy, results, tables
from benchmarks.cli.speed import RESULTS
from byhand.cli.output import Talk, as_json, load_data, offline, quiet, show_json
from byhand.errors import UsageError
from byhand.training import PRESETS

DISTRIBUTIONS = ("scikit-learn", "pillow")


def whole_numbers(_ctx: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """`0,1,2` → (0, 1, 2), each once"""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise click.BadParameter(f"must be whole numbers between commas, each once, got {text!r}")
    return tuple(map(int, parts))


@click.command("accuracy", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--preset",
    "presets",
    type=click.Choice(list(PRESETS)),
    multiple=True,
    default=accuracy.PRESETS,
    show_default=True,
    help="Which, may be given several times. `best` and `record` take minutes a seed.",
)
@click.option(
    "--seeds", default="0,1,2", show_default=True, metavar="N,N,…", callback=whole_numbers, help="A run for each."
)
@click.option(
    "--runs",
    "home",
    type=click.Path(file_okay=False, path_type=Path),
    default=accuracy.HOME,
    show_default=True,
    help="Where the runs are kept. What is there is taken as it is; what was stopped goes on.",
)
@click.option(
    "--pace",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="Also measure so many seconds of each training by itself, and say what the whole would take: where the runs "
    "had to share the machine, or have minutes or hours.",
)
@click.option("--robustness", is_flag=True, help="Also read moved, turned, scaled, … and photographed test images.")
@click.option("--data", default="mnist", show_default=True, metavar="NAME|PATH", help="The data set, by name or path.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="The folder where the results are kept; the figures of other presets in it stay.",
)
@offline
@quiet
@as_json
def command(
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
    """Train presets over several seeds, and say how well they read the test set.

    Every choice was made on a validation split before; the test images are scored once, when a run is over.
    """
    talk = Talk(quiet)
    digits = load_data(data, offline, talk)
    figures = accuracy.measure(presets, seeds, digits, data, home, talk.say)
    for name in presets if pace is not None else ():
        figures[name]["pace"] = accuracy.pace(name, digits, seconds=float(pace or 0))
    kept = {"accuracy": keep(out, "accuracy", {"data": digits.test.name, "presets": figures}, talk)}
    if robustness:
        more = accuracy.robust(presets, seeds, digits, home, talk.say)
        kept["robustness"] = keep(out, "robustness", {"data": digits.test.name, **more}, talk)
    if as_json:
        show_json(kept)
        return
    for suite, now in kept.items():
        click.echo(tables.TABLES[suite](now))


def keep(out: Path, suite: str, figures: Mapping[str, Any], talk: Talk) -> Any:
    """Write the figures, beside those of other presets on the same data; give all of them."""
    before = results.read(out, suite)
    merged = dict(figures)
    if before is not None:
        if before["figures"]["data"] != figures["data"]:
            raise UsageError(
                f"{out}: holds figures on {before['figures']['data']}, these are on {figures['data']}; "
                "name another folder with --out"
            )
        merged["presets"] = before["figures"]["presets"] | figures["presets"]
    path = results.write(out, suite, merged, DISTRIBUTIONS)
    talk.say(f"kept in {path}")
    return merged
