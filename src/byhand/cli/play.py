"""`byhand play`: the playground in the browser."""

import contextlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from byhand.cli.output import PLACE, Console, console_options, load_any_data, load_data, offline, option
from byhand.errors import DataMissingError, UsageError
from byhand.text import near_path
from byhand.training.runs import DATA, Run, holds_no_step, load_model

if TYPE_CHECKING:
    from byhand.play.playground import Playground


@click.command()
@click.argument("run", required=False, type=PLACE, metavar="[RUN|FILE]")
@option(
    "--data NAME|PATH",
    PLACE,
    "Data set to train on, by name or path. Defaults to full MNIST if it is on this machine, otherwise the bundled "
    "sample.",
)
@option("--port", click.IntRange(0, 65535), "Port on localhost.  [default: 8765, or any free one]")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@option("--run FOLDER", PLACE, "Folder of the run, new or empty. Defaults to the next `runs/NNN`.", "folder")
@option(
    "--adapter NAME|FILE",
    str,
    "Adapter for a FILE of another assignment: cs231n, or a TOML file (docs/check.md).",
)
@offline
@console_options(json=False)
def command(
    run: str | None,
    data: str | None,
    port: int | None,
    browser: bool,
    folder: str | None,
    adapter: str | None,
    offline: bool,
    console: Console,
) -> None:
    """Open the playground: train a network, draw digits, inspect the model and export it, in the browser.

    Starts with the model of RUN (the folder of a run, or a model file), by default the shipped model. A playground
    run is resumed. The server listens on localhost only, and makes no outgoing requests. Ctrl-C saves and ends.

    With a FILE (.py or .ipynb), the functions of a student train a network and read the drawings. They are checked
    first, as by `byhand check`, and run in a process of their own with limits. This network is not saved.
    """
    from byhand.model import shipped_model
    from byhand.play.playground import Playground
    from byhand.play.setup import Setup, fits
    from byhand.play.storage import RunStorage, check_data, data_of, setup_of
    from byhand.training.checkpoint import Checkpoints

    if (file := own_file(run, folder, adapter)) is not None:
        play_own(file, adapter, data, port, browser, offline, console)
        return
    previous = Run.open(run) if run is not None else None
    previous_setup = setup_of(previous) if previous else None
    name = data_of(previous, previous_setup) if previous and previous_setup and data is None else data
    is_upload = bool(previous and name == str(previous.folder / DATA))
    checkpoints = Checkpoints(previous) if previous and previous_setup else None
    if previous and previous_setup and holds_no_step(previous.folder):  # killed before its first checkpoint
        previous, checkpoints, folder = None, None, run
        previous_setup = replace(previous_setup, start="new")
    if previous and checkpoints:
        checkpoints.lock()
        previous_setup = setup_of(previous)  # now no other process changes it
    # A playground that was killed may have a checkpoint and no model yet.
    is_loaded = run and previous and (previous_setup is None or previous.model_path.is_file())
    model, origin = (load_model(run), run) if run and is_loaded else (shipped_model(), "the shipped model")
    if model.is_color:
        raise UsageError(f"{run}: the playground needs a model of gray images, got one of color pictures")
    if name is None:
        digits = load_any_data(previous.config() if previous else {}, model if previous else None, console)
    else:
        digits = load_data(name, offline or data is None, console)
    if is_upload and previous_setup:
        digits = digits.renamed(previous_setup.data)
    if is_loaded and not fits(model, digits.train):
        raise UsageError(
            f"{run}: the model has {model.network.in_size} inputs and {len(model.classes)} classes, "
            f"which does not match {digits.name}: pass its own data set with --data"
        )
    if previous and previous_setup:
        check_data(previous, previous_setup, digits)
        playground = Playground.resume(previous, model, origin, digits, previous_setup, checkpoints)
    else:
        if folder is not None:
            Run.new(folder)  # raises an error if it holds something else
        name = data or digits.name
        new = Setup.like(model, data=name, start="loaded") if previous else Setup.usual(name, digits.train)
        setup = previous_setup or new
        playground = Playground(model, origin, digits, setup, RunStorage(folder=folder))
        playground.uploads |= {setup.data} if is_upload else set()

    show(playground, port, browser, console)
    saved = (playground.storage.folder if playground.storage else None) or playground.last_folder
    resume = saved and f"saved; resume with:  byhand play {shlex.quote(str(saved))}"
    console.info(resume or "ended; nothing to save, because no network was trained")


def own_file(run: str | None, folder: str | None, adapter: str | None) -> Path | None:
    """Return the student's file, or None for a run; reject options of the other."""
    if run is None or Path(run).suffix.lower() not in (".py", ".ipynb"):
        if adapter is not None:
            raise UsageError("--adapter needs a FILE (.py or .ipynb)")
        return None
    if folder is not None:
        raise UsageError("--run can't be used with a FILE: the network of your own functions is not saved")
    if not Path(run).is_file():
        raise DataMissingError(f"{run}: no such file{near_path(Path(run))}")
    return Path(run)


def play_own(
    file: Path, adapter: str | None, data: str | None, port: int | None, browser: bool, offline: bool, console: Console
) -> None:
    """Train with the functions of a student's file; show the check's report and exit with status 1 if one is wrong."""
    from byhand.cli import check
    from byhand.course.own_network import OwnNetwork
    from byhand.data.catalog import BUNDLED
    from byhand.play.playground import Playground

    with OwnNetwork(file, adapter) as network:
        if network.report is not None:
            check.show(network.report, console, ["", "a network can be trained when these functions are right"])
            hint = f"`byhand course next {shlex.quote(str(file))}` describes the next one"
            raise UsageError(f"{file}: {len(network.report.verdicts)} functions are not written yet: {hint}")
        name = data or BUNDLED
        digits = load_data(name, offline or data is None, console)
        show(Playground.of_functions(network, digits, digits.name), port, browser, console, "ends it; nothing is saved")


def show(
    playground: "Playground", port: int | None, browser: bool, console: Console, ending: str = "saves and ends it"
) -> None:
    """Serve the playground until Ctrl-C."""
    import webbrowser

    from byhand.play.server import serve

    def opened(address: str) -> None:
        console.info(f"playground: {address}\nCtrl-C {ending}")
        if browser and not webbrowser.open(address):
            console.info("no browser found: open this address yourself")
        if console.is_silent:
            click.echo(address)

    with contextlib.suppress(KeyboardInterrupt):
        serve(playground, port=port, opened=opened)
