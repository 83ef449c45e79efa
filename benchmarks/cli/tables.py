"""`python -m benchmarks tables`: the kept results into the README and the documentation."""

from pathlib import Path

import click

from benchmarks.tables import fill
from benchmarks.cli.speed import RESULTS

DOCUMENTS = tuple(map(Path, ("README.md", "docs/performance.md", "docs/recipes.md", "docs/handwriting.md")))


@click.command("tables", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("documents", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--results",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="The folder where the results are kept.",
)
def command(documents: tuple[Path, ...], folder: Path) -> None:
    """Replace the tables between the marks `<!-- bench: NAME -->` and `<!-- /bench -->`.

    Without DOCUMENTS: README.md and the pages of docs/ that have tables, of the working folder.
    """
    for document in documents or DOCUMENTS:
        missing = fill(document, folder)
        click.echo(f"{document}: " + (f"no results for {', '.join(missing)}" if missing else "filled"))
