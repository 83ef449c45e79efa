"""`byhand course`: the student's three commands, and the teacher's three.

What a command needs is imported when it runs: most of it is heavier than the command line itself.
"""

import importlib.util
import json
from pathlib import Path

import click

from byhand import files
from byhand.cli import check as checking
from byhand.cli.group import CommandGroup
from byhand.cli.output import PLACE, Console, Place, console_options, option, show_json, timeout
from byhand.errors import DataMissingError, UsageError

FIRST = Path("network.ipynb")
HIDDEN = (
    "Hidden checks were not run: whoever marks the notebook tries the same functions with other numbers, and may "
    "check more."
)
BOUNDARY = (
    "each submission runs in a process of its own with limits; that guards against accidents and easy shortcuts, it "
    "is no security boundary: mark strangers' files where you would run them"
)


@click.group("course", cls=CommandGroup)
def command() -> None:
    """The course: write a neural network yourself, function by function, from a blank notebook to a mark.

    `byhand course start` puts the notebooks into a folder and says what to do next.
    """


# ---- for students


@command.command("start", short_help="Put the notebooks into a folder, with data to learn from.")
@click.argument("folder", metavar="[DIR]", default=".", type=Place(path_type=Path))
@option(
    "--data NAME|PATH",
    PLACE,
    "Pictures to learn from. Without it the full MNIST if it is on this machine, else the bundled sample; `byhand data "
    "get mnist` fetches the full one.",
)
@console_options(json=False)
def start(folder: Path, data: str | None, console: Console) -> None:
    """Put the notebooks of the course into DIR, with data to learn from. Needs no network.

    Files that are there already are left as they are: they may hold somebody's work.
    """
    from byhand.course.notebooks import release

    written, kept, described = release.start(folder, data)
    for path in written:
        click.echo(f"wrote {path}" + (f" ({described})" if path.suffix == ".npz" else ""))
    for path in kept:
        click.echo(f"kept {path}, which was there")
    notebook = folder / FIRST
    opens = "" if importlib.util.find_spec("jupyterlab") else ", after pip install 'byhand[course]', or in any editor"
    console.info(f"open it: jupyter lab {notebook}{opens}")
    console.info(f"then:    byhand course next {notebook}   what to write next")
    console.info(f"         byhand course check {notebook}  what is right, what is wrong, and likely why")


def existing(notebook: Path) -> Path:
    """Return the path of a notebook, or raise an error if there is none."""
    if notebook.suffix not in (".ipynb", ".py"):
        raise UsageError(f"NOTEBOOK must be a .ipynb or .py file, got {notebook}")
    if not notebook.exists():
        raise DataMissingError(f"{notebook}: there is no such notebook; `byhand course start` puts one here")
    return notebook


@command.command("next", short_help="The next function to write: its formula and its shapes.")
@click.argument("notebook", default=FIRST, type=Place(path_type=Path))
def next_(notebook: Path) -> None:
    """Show the next function to write in NOTEBOOK: its formula, what goes in, what comes out.

    Without NOTEBOOK, network.ipynb in this folder is meant. Nothing is run: whether what you have written is right,
    `byhand course check` says.
    """
    from byhand.course.notebooks import progress

    lesson, left = progress(existing(notebook))
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


@command.command("check", short_help="What is right in a notebook, what is wrong, and likely why.")
@click.argument("notebook", default=FIRST, type=Place(path_type=Path))
@timeout
@console_options(quiet=False)
def check(notebook: Path, timeout: float, console: Console) -> None:
    """Say what is right in a NOTEBOOK (or .py file), what is wrong and likely why, and what was not run.

    Without NOTEBOOK, network.ipynb in this folder is meant. These are the public checks: every function is called with
    fresh numbers, in a process of its own with limits; an earlier mistake is not held against the later functions.
    Leaves with 1 if something is wrong, or no function of the assignment is there.
    """
    from byhand.course import check_file

    report = check_file(existing(notebook), timeout=timeout)
    counts = report.counts()
    if not report.found:
        result = "Nothing was checked."
    elif counts["wrong"] or counts["not run"]:
        result = "Not all public checks passed."
    elif counts["missing"]:
        result = "The public checks passed for what is written so far; `byhand course next` shows what comes next."
    else:
        result = "All public checks passed."
    checking.show(report, console, ["", result, HIDDEN], hidden_checks="not run")


# ---- for teachers


@command.command("release", short_help="For teachers: every version of the notebooks, from one source.")
@click.argument("folder", metavar="DIR", type=Place(path_type=Path))
@option("--data NAME|PATH", PLACE, "Pictures to put beside the notebooks. Without it, the bundled sample.")
@console_options(json=False)
def release(folder: Path, data: str | None, console: Console) -> None:
    """Write all versions of the notebooks into DIR: student's, solved, nbgrader's and otter's.

    The solved ones, and the two for nbgrader and otter, hold the answers: they are for you alone.
    """
    from byhand.course.notebooks import release

    for path in release.release(folder, data):
        click.echo(f"wrote {path}")
    console.info(f"give out:  {folder / 'student'}, whole")
    console.info("mark with: byhand course grade SUBMISSIONS --out marks.csv, nbgrader or otter (see docs/course.md)")


@command.command("grade", short_help="For teachers: marks for a folder of submissions.")
@click.argument("submissions", type=Place(exists=True, file_okay=False, path_type=Path))
@option("--out", Place(dir_okay=False, path_type=Path), "The table, a .csv file.", required=True)
@option(
    "--checks",
    Place(exists=True, dir_okay=False, path_type=Path),
    "Your file with points, seed and custom checks (.py or .toml). Without it, the functions and points of the course.",
    "checks_file",
)
@option("--page", ("l_layer", "two_layer"), "Which functions are marked, without --checks.", default="l_layer")
@option("--jobs", click.IntRange(1, 64), "Submissions at a time.", default=2)
@option("--again", bool, "Mark all anew, also what has not changed since it was marked.")
@console_options()
def grade(
    submissions: Path,
    out: Path,
    checks_file: Path | None,
    page: str,
    jobs: int,
    again: bool,
    console: Console,
) -> None:
    """Mark every notebook in the folder SUBMISSIONS: points by function, and a page of feedback for each student.

    A submission is a notebook or Python file in the folder, named after its student, or a folder named after its
    student with one in it. Beside the table, a folder of its name gets the pages (feedback/) and the records
    (records/) by which an interrupted run goes on: what is done is not marked again until it or the checks change.
    """
    from byhand.course.grading import Mark, Submission, read_checks
    from byhand.course.grading.results import number, points_of, summary, write_table
    from byhand.course.grading.run import Run, find

    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out must be a .csv file, got {out}")
    folder = out.with_suffix("")
    if folder.resolve() == submissions.resolve():
        raise UsageError(f"--out must be called otherwise than SUBMISSIONS, a folder of its name is filled, got {out}")
    checks = read_checks(checks_file, page)
    found = find(submissions, leave_out=[one for one in (out, folder, checks_file) if one])
    console.info(f"{len(found)} submissions, {number(checks.of)} points to earn; {BOUNDARY}")
    ready = 0

    def done(_: Submission, mark: Mark, is_old: bool) -> None:
        nonlocal ready
        ready += 1
        step = 1 if console.is_live else max(1, len(found) // 10)
        if not is_old and ready % step == 0:
            console.info(f"{ready}/{len(found)}  {mark.student}: {points_of(mark)}")

    with Run(checks, checks_file, folder, again=again) as run:
        try:
            marks = run.marks(found, jobs, done)
        except KeyboardInterrupt:
            console.info(
                f"interrupted: {ready} of {len(found)} are marked and kept; the same command goes on from here"
            )
            raise
    write_table(out, marks, checks)
    if console.as_json:
        totals = ({"points": mark.points if mark.is_marked else None, "of": mark.of} for mark in marks)
        show_json({"marks": [{**mark.as_dict(), **total} for mark, total in zip(marks, totals, strict=True)]})
    else:
        click.echo("\n".join([*summary(marks), f"{out}: the table; {folder / 'feedback'}: a page for each student"]))


@command.command("import", short_help="For teachers: make an existing notebook of this assignment checkable.")
@click.argument("notebook", type=Place(path_type=Path))
@option(
    "-o --out",
    Place(dir_okay=False, path_type=Path),
    "The copy, a .ipynb file.  [default: NOTEBOOK's name with .byhand before its end]",
)
@option("--force", bool, "Write over files that are there.")
def import_(notebook: Path, out: Path | None, force: bool) -> None:
    """Find the functions of the assignment in an existing NOTEBOOK, and make it checkable and gradable.

    Writes a copy, in which every cell with a function begins with #Graded, and beside it a file for
    `byhand course grade --checks`, with points for the functions that were found: look through it, it is yours.
    """
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
    click.echo(f"{notebook}, the functions of byhand.reference.{found.page}\n")
    click.echo("\n".join(found.lines(check_file(out, page=found.page))))
    copy = "your notebook, answers and all" if found.written else "the notebook to hand out"
    click.echo(f"{out}: {copy}; {checks}: points, for `byhand course grade --checks`")
    if found.written:
        are = "is" if len(found.written) == 1 else "are"
        filled = f"{len(found.written)} of {len(found.points)} graded functions {are} filled in"
        click.echo(f"{filled}: whoever gets this copy has the answers", err=True)
