"""`byhand course release`: every version of the notebooks for a teacher, from the one source."""

from pathlib import Path

import click

from byhand.cli.output import PLACE, Console, Place, quiet


@click.command("release")
@click.argument("folder", metavar="DIR", type=Place(path_type=Path))
@click.option(
    "--data",
    type=PLACE,
    metavar="NAME|PATH",
    help="Pictures to put beside the notebooks. Without it, the bundled sample.",
)
@quiet
def command(folder: Path, data: str | None, quiet: bool) -> None:
    """Write all versions of the notebooks into DIR: student's, solved, nbgrader's and otter's.

    The solved ones, and the two for nbgrader and otter, hold the answers: they are for you alone.
    """
    from byhand.course.notebooks.release import release

    for path in release(folder, data):
        click.echo(f"wrote {path}")
    console = Console(quiet)
    console.info(f"give out:  {folder / 'student'}, whole")
    console.info("mark with: byhand course grade SUBMISSIONS --out marks.csv, nbgrader or otter (see docs/course.md)")
