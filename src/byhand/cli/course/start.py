"""`byhand course start`: the student's notebooks in a folder, with data beside them, and what to do next."""

import importlib.util
from pathlib import Path

import click

from byhand.cli.output import PLACE, Console, Place, quiet
from byhand.course.notebooks.syllabus import LESSONS


@click.command("start")
@click.argument("folder", metavar="[DIR]", default=".", type=Place(path_type=Path))
@click.option(
    "--data",
    type=PLACE,
    metavar="NAME|PATH",
    help="Pictures to learn from. Without it the full MNIST if it is on this machine, else the bundled sample; "
    "`byhand data get mnist` fetches the full one.",
)
@quiet
def command(folder: Path, data: str | None, quiet: bool) -> None:
    """Put the notebooks of the course into DIR, with data to learn from. Needs no network.

    Files that are there already are left as they are: they may hold somebody's work.
    """
    from byhand.course.notebooks.release import start

    started = start(folder, data)
    for path in started.written:
        click.echo(f"wrote {path}" + (f" ({started.data})" if path.suffix == ".npz" else ""))
    for path in started.kept:
        click.echo(f"kept {path}, which was there")
    notebook = folder / f"{LESSONS[0].name}.ipynb"
    opens = "" if importlib.util.find_spec("jupyterlab") else ", after pip install 'byhand[course]', or in any editor"
    console = Console(quiet)
    console.info(f"open it: jupyter lab {notebook}{opens}")
    console.info(f"then:    byhand course next {notebook}   what to write next")
    console.info(f"         byhand course check {notebook}  what is right, what is wrong, and likely why")
