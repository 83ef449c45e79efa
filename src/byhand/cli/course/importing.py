"""`byhand course import`: an existing notebook of the assignment, made checkable and gradable."""

import json
from pathlib import Path

import click

from byhand.cli.output import Place
from byhand.errors import UsageError


@click.command("import")
@click.argument("notebook", type=Place(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=Place(dir_okay=False, path_type=Path),
    help="The copy, a .ipynb file.  [default: NOTEBOOK's name with .byhand before its end]",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
def command(notebook: Path, out: Path | None, force: bool) -> None:
    """Find the functions of the assignment in an existing NOTEBOOK, and make it checkable and gradable.

    Writes a copy, in which every cell with a function begins with #Graded, and beside it a file for
    `byhand course grade --checks`, with points for the functions that were found: look through it, it is yours.
    """
    from byhand import files
    from byhand.course import check_file
    from byhand.course.grading.importing import import_notebook

    out = out or notebook.with_suffix(".byhand.ipynb")
    if out.suffix != ".ipynb":
        raise UsageError(f"--out must be a .ipynb file, got {out}")
    checks = out.with_name(f"{out.name.removesuffix('.ipynb').removesuffix('.byhand')}_checks.py")
    found = import_notebook(notebook)
    for path in (out, checks):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already: --force writes over it, --out chooses another name")
    files.write_text(out, json.dumps(found.notebook, indent=1, ensure_ascii=False) + "\n")
    files.write_text(checks, found.checks())
    report = {verdict.function: verdict for verdict in check_file(out, page=found.page).verdicts}
    width = max(len(name) for name in found.functions)
    click.echo(f"{notebook}, the functions of byhand.reference.{found.page}\n")
    for name, one in found.functions.items():
        where = "code cell " + " and ".join(map(str, one.cells))
        copies = ", the last that is written counts" if len(one.cells) > 1 else ""
        called = f", called {one.name} here: is that it?" if name in found.names else ""
        verdict = report.get(name)
        status = "" if verdict is None else "not written yet" if verdict.status == "missing" else verdict.status
        click.echo(f"{name:{width}}  {status:15}  {where}{copies}{called}")
    click.echo()
    if found.absent:
        click.echo(f"not found: {', '.join(found.absent)}")
    for one in found.unknown:
        click.echo(f"code cell {one.cells[0]} is graded and defines {one.name}, which is on no page: no points for it")
    for number in found.empty:
        click.echo(f"code cell {number} is graded and defines no function: no points for it")
    copy = "your notebook, answers and all" if found.written else "the notebook to hand out"
    click.echo(f"{out}: {copy}; {checks}: points, for `byhand course grade --checks`")
    if found.written:
        are = "is" if len(found.written) == 1 else "are"
        filled = f"{len(found.written)} of {len(found.points)} graded functions {are} filled in"
        click.echo(f"{filled}: whoever gets this copy has the answers", err=True)
