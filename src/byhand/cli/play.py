"""`byhand play`: the playground in a browser. The work is done in `byhand.play`."""

import contextlib
import shlex
from dataclasses import replace

import click

from byhand.cli.output import PLACE, Console, load_any_data, load_data, offline, quiet
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.convolution import Convolution
from byhand.training.runs import Run, load_model


@click.command()
@click.argument("run", required=False, type=PLACE, metavar="[RUN]")
@click.option(
    "--data",
    type=PLACE,
    metavar="NAME|PATH",
    help="The data set to train on. Without it, what is there, without the network: full MNIST, or the bundled sample.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Where to listen, on loopback only. [default: 8765, or any]"
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@click.option(
    "--run", "folder", type=PLACE, metavar="FOLDER", help="Where to keep what is trained. [default: runs/NNN]"
)
@offline
@quiet
def command(
    run: str | None,
    data: str | None,
    port: int | None,
    browser: bool,
    folder: str | None,
    offline: bool,
    quiet: bool,
) -> None:
    """Watch a network learn, draw a digit, look inside, take it home.

    It begins with the model of RUN (a run's folder or a model's file), or without one with the shipped model; a run
    that was made here goes on where it stopped. Everything is on this machine: the page asks nobody else.
    Ctrl-C saves and ends.
    """
    import webbrowser

    from byhand.play.playground import Playground
    from byhand.play.serving import serve
    from byhand.play.setup import Setup, fitting
    from byhand.play.storage import Keeper, resume, setup_of, start_of

    console = Console(quiet)
    model, origin, home = begun_with(run)
    before = setup_of(home) if home else None
    wanted = data or (before.data if before else None)
    if wanted is not None:
        digits = load_data(wanted, offline or data is None, console)
    else:
        digits = load_any_data(home.config() if home else {}, model.metadata if run is not None else {}, console)
    if run is not None and not fitting(model, digits.train):
        raise UsageError(
            f"{run}: the model takes {model.network.in_size} pixels and knows {len(model.classes)} classes, which "
            f"{digits.name} has not: name the data it was made on with --data"
        )
    if before and home:
        playground = Playground(start_of(home) or model, origin, digits, before, Keeper(home))
        resume(playground, home)
    else:
        start = "loaded" if run is not None else "new"
        hidden, maps = hidden_of(model), convolutions_of(model)
        layers = hidden if hidden or maps else Setup().layers
        setup = replace(Setup(), data=data or digits.name, start=start, layers=layers, maps=maps)
        playground = Playground(model, origin, digits, setup, Keeper(Run.new(folder) if folder else None))

    def opened(address: str) -> None:
        console.info(f"the playground is open at {address}\nCtrl-C saves and ends it")
        if browser and not webbrowser.open(address):
            console.info("no browser could be opened: open that address yourself")
        if quiet:
            click.echo(address)

    with contextlib.suppress(KeyboardInterrupt):
        serve(playground, port=port, opened=opened)
    keeper = playground.keeper
    if keeper and keeper.run and not keeper.is_new:
        console.info(f"saved: `byhand play {shlex.quote(str(keeper.run.folder))}` goes on from here")
    else:
        console.info("ended; nothing was trained, so there was nothing to save")


def begun_with(run: str | None) -> tuple[Model, str, Run | None]:
    """The model, where it is from, and the run's folder."""
    if run is None:
        from byhand.model import shipped_model

        return shipped_model(), "the shipped model", None
    return load_model(run), run, Run.open(run)


def hidden_of(model: Model) -> tuple[int, ...]:
    """The sizes of a model's hidden layers."""
    return tuple(layer.units for layer in model.network.dense[:-1])


def convolutions_of(model: Model) -> str:
    """A model's convolutions as a setup has them: on a square of pixels, before all else. Of others it has none."""
    sliding = [layer for layer in model.network.weighted if isinstance(layer, Convolution)]
    come_first = sliding == model.network.weighted[: len(sliding)] and all(layer.channels == 1 for layer in sliding[:1])
    if not come_first or any(layer.height != layer.width for layer in sliding):
        return ""
    return ",".join(f"{layer.maps}@{layer.size}/{layer.stride}" for layer in sliding)
