"""`byhand play`: the playground in a browser. The work is done in `byhand.play`."""

import contextlib
import shlex

import click

from byhand.cli.output import PLACE, Console, console_options, load_any_data, load_data, offline, option
from byhand.errors import UsageError
from byhand.training.runs import Run, load_model


@click.command()
@click.argument("run", required=False, type=PLACE, metavar="[RUN]")
@option(
    "--data NAME|PATH",
    PLACE,
    "The data set to train on. Without it, what is there, without the network: full MNIST, or the bundled sample.",
)
@option("--port", click.IntRange(0, 65535), "Where to listen, on loopback only. [default: 8765, or any]")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@option("--run FOLDER", PLACE, "Where to keep what is trained. [default: runs/NNN]", "folder")
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
    """Watch a network learn, draw a digit, look inside, take it home.

    It begins with the model of RUN (a run's folder or a model's file), or without one with the shipped model; a run
    that was made here goes on where it stopped. Everything is on this machine: the page asks nobody else.
    Ctrl-C saves and ends.
    """
    import webbrowser

    from byhand.model import shipped_model
    from byhand.play.playground import Playground
    from byhand.play.server import serve
    from byhand.play.setup import Setup, fits
    from byhand.play.storage import RunStorage, setup_of

    home = Run.open(run) if run is not None else None
    model, origin = (load_model(run), run) if run is not None else (shipped_model(), "the shipped model")
    before = setup_of(home) if home else None
    name = data or (before.data if before else None)
    if name is not None:
        digits = load_data(name, offline or data is None, console)
    else:
        digits = load_any_data(home.config() if home else {}, model.metadata if home else {}, console)
    if run is not None and not fits(model, digits.train):
        raise UsageError(
            f"{run}: the model takes {model.network.in_size} pixels and knows {len(model.classes)} classes, which "
            f"{digits.name} has not: name the data it was made on with --data"
        )
    if home and before:
        playground = Playground.resume(home, model, origin, digits, before)
    else:
        setup = Setup.like(model, data=data or digits.name, start="loaded" if home else "new")
        playground = Playground(model, origin, digits, setup, RunStorage(Run.new(folder) if folder else None))

    def opened(address: str) -> None:
        console.info(f"the playground is open at {address}\nCtrl-C saves and ends it")
        if browser and not webbrowser.open(address):
            console.info("no browser could be opened: open that address yourself")
        if console.is_silent:
            click.echo(address)

    with contextlib.suppress(KeyboardInterrupt):
        serve(playground, port=port, opened=opened)
    saved = playground.storage.folder if playground.storage else None
    if saved is not None:
        console.info(f"saved: `byhand play {shlex.quote(str(saved))}` goes on from here")
    else:
        console.info("ended; nothing was trained, so there was nothing to save")
