"""`byhand play`: the playground in the browser."""

import contextlib
import shlex
from dataclasses import replace

import click

from byhand.cli.output import PLACE, Console, console_options, load_any_data, load_data, offline, option
from byhand.errors import UsageError
from byhand.training.runs import Run, holds_no_step, load_model


@click.command()
@click.argument("run", required=False, type=PLACE, metavar="[RUN]")
@option(
    "--data NAME|PATH",
    PLACE,
    "Data set to train on, by name or path. Defaults to full MNIST if it is on this machine, otherwise the bundled "
    "sample.",
)
@option("--port", click.IntRange(0, 65535), "Port on localhost.  [default: 8765, or any free one]")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@option("--run FOLDER", PLACE, "Folder of the run, new or empty. Defaults to the next `runs/NNN`.", "folder")
@offline
@console_options(json=False)
def command(
    run: str | None,
    data: str | None,
    port: int | None,
    browser: bool,
    folder: str | None,
    offline: bool,
    console: Console,
) -> None:
    """Open the playground: train a network, draw digits, inspect the model and export it, in the browser.

    Starts with the model of RUN (the folder of a run, or a model file), by default the shipped model. A playground
    run is resumed. The server listens on localhost only, and makes no outgoing requests. Ctrl-C saves and ends.
    """
    import webbrowser

    from byhand.model import shipped_model
    from byhand.play.playground import Playground
    from byhand.play.server import serve
    from byhand.play.setup import Setup, fits
    from byhand.play.storage import RunStorage, setup_of
    from byhand.training.checkpoint import Checkpoints

    previous = Run.open(run) if run is not None else None
    previous_setup = setup_of(previous) if previous else None
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
    name = data or (previous_setup.data if previous_setup else None)
    if name is not None:
        digits = load_data(name, offline or data is None, console)
    else:
        digits = load_any_data(previous.config() if previous else {}, model if previous else None, console)
    if is_loaded and not fits(model, digits.train):
        raise UsageError(
            f"{run}: the model has {model.network.in_size} inputs and {len(model.classes)} classes, "
            f"which does not match {digits.name}: pass its own data set with --data"
        )
    if previous and previous_setup:
        playground = Playground.resume(previous, model, origin, digits, previous_setup, checkpoints)
    else:
        if folder is not None:
            Run.new(folder)  # raises an error if it holds something else
        setup = previous_setup or (
            Setup.like(model, data=data or digits.name, start="loaded") if previous else Setup(data=data or digits.name)
        )
        playground = Playground(model, origin, digits, setup, RunStorage(folder=folder))

    def opened(address: str) -> None:
        console.info(f"playground: {address}\nCtrl-C saves and ends it")
        if browser and not webbrowser.open(address):
            console.info("no browser found: open this address yourself")
        if console.is_silent:
            click.echo(address)

    with contextlib.suppress(KeyboardInterrupt):
        serve(playground, port=port, opened=opened)
    saved = (playground.storage.folder if playground.storage else None) or playground.last_folder
    if saved is not None:
        console.info(f"saved; resume with:  byhand play {shlex.quote(str(saved))}")
    else:
        console.info("ended; nothing to save, because no network was trained")
