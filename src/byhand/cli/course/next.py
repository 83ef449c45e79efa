"""`byhand course next`: the next function to write, its formula and its shapes."""

from pathlib import Path

import click

from byhand.cli.course import notebook_at
from byhand.cli.output import Place


@click.command("next")
@click.argument("notebook", required=False, type=Place(path_type=Path))
def command(notebook: Path | None) -> None:
    """Show the next function to write in NOTEBOOK: its formula, what goes in, what comes out.

    Without NOTEBOOK, network.ipynb in this folder is meant. Nothing is run: whether what you have written is right,
    `byhand course check` says.
    """
    from byhand.course.notebooks import progress

    notebook = notebook_at(notebook)
    lesson, left = progress(notebook)
    done = len(lesson.tasks) - len(left)
    if not left:
        click.echo(f"all {done} functions of {lesson.name} are written")
        click.echo(f"now: byhand course check {notebook}")
        return
    task = left[0]
    step = f", {task.where} of the algorithm" if task.where else ""
    click.echo(f"{task.name}   ({task.chapter}{step}; {task.points} points)\n")
    for head, words in (("formula", task.formula), ("goes in", task.takes), ("comes out", task.gives)):
        click.echo(f"  {head:10} {words}")
    after = f"; after it comes {left[1].name}" if len(left) > 1 else ""
    click.echo(f"\n{done} of {len(lesson.tasks)} functions are written{after}")
