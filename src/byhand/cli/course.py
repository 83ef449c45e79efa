"""`byhand course`: commands for students and for teachers."""

import importlib.util
import tempfile
from pathlib import Path

import click

from byhand.cli import check as checking
from byhand.cli.group import CommandGroup
from byhand.cli.output import PLACE, Console, Place, console_options, option, timeout
from byhand.errors import DataMissingError, UsageError
from byhand.text import near_path

FIRST = Path("network.ipynb")
HIDDEN = (
    "Hidden checks were not run: the grader tests the same functions with other numbers, and may run additional checks."
)
UNSEEN = (
    "The grader's numbers are not those of the check. And neither sees whether your code is fast, whether others can "
    "read it, or whether you know why it works."
)
WARNING = "it prevents accidents and simple shortcuts: grade strangers' files where you would run them"


@click.group("course", cls=CommandGroup)
def command() -> None:
    """The course: write a neural network yourself, function by function, in a notebook.

    Begin with `byhand course start`.
    """


# ---- for students


@command.command("start", short_help="Write the notebooks and their data to a folder.")
@click.argument("folder", metavar="[DIR]", default=".", type=Place(path_type=Path))
@option(
    "--data NAME|PATH",
    PLACE,
    "Data set by name or path. Defaults to full MNIST if it is on this machine (`byhand data get mnist` downloads it), "
    "otherwise the bundled sample.",
)
@console_options(json=False)
def start(folder: Path, data: str | None, console: Console) -> None:
    """Write the notebooks of the course and their data to DIR. Existing files are kept. Needs no network."""
    from byhand.course.notebooks import release

    written, kept, described = release.start(folder, data)
    for path in written:
        click.echo(f"wrote {path}" + (f" ({described})" if path.suffix == ".npz" else ""))
    for path in kept:
        click.echo(f"kept the existing {path}")
    notebook = folder / FIRST
    hint = "" if importlib.util.find_spec("jupyterlab") else ", after pip install jupyterlab, or in an editor"
    console.info(f"open it: jupyter lab {notebook}{hint}")
    console.info(f"then:    byhand course next {notebook}   shows the next function to write")
    console.info(f"         byhand course check {notebook}  tests your functions")


def existing(notebook: Path) -> Path:
    """Return the path of a notebook, or raise an error if it is missing."""
    if notebook.suffix not in (".ipynb", ".py"):
        raise UsageError(f"NOTEBOOK must be a .ipynb or .py file, got {notebook}{near_path(notebook)}")
    if not notebook.exists():
        near = near_path(notebook) or "; `byhand course start` writes the notebooks to this folder"
        raise DataMissingError(f"{notebook}: no such file{near}")
    return notebook


@command.command("next", short_help="Show the next function to write: its formula and its shapes.")
@click.argument("notebook", default=FIRST, type=Place(path_type=Path))
def next_(notebook: Path) -> None:
    """Show the next function to write in NOTEBOOK: its formula, its inputs and its outputs.

    NOTEBOOK defaults to network.ipynb in this folder. Nothing is run: `byhand course check` tests your functions.
    """
    from byhand.course.notebooks import progress

    lesson, left = progress(existing(notebook))
    done = len(lesson.tasks) - len(left)
    if not left:
        click.echo(f"all {done} functions of {lesson.name} are written\nnext: byhand course check {notebook}")
        return
    task = left[0]
    step = f", {task.where} of the algorithm" if task.where else ""
    click.echo(f"{task.name}   ({task.chapter}{step}; {task.points} points)\n")
    for head, words in (("formula", task.formula), ("inputs", task.takes), ("outputs", task.gives)):
        click.echo(f"  {head:10} {words}")
    after = f"; the one after it is {left[1].name}" if len(left) > 1 else ""
    click.echo(f"\n{done} of {len(lesson.tasks)} functions are written{after}")


@command.command("check", short_help="Test the functions of a notebook, with the likely cause of each mistake.")
@click.argument("notebook", default=FIRST, type=Place(path_type=Path))
@timeout
@console_options(quiet=False)
def check(notebook: Path, timeout: float, console: Console) -> None:
    """Test the functions of a NOTEBOOK (or .py file), and report mistakes with their likely cause.

    NOTEBOOK defaults to network.ipynb in this folder. These are the public checks: every function is called with new
    random numbers, in a process of its own with limits. An earlier mistake does not count against later functions.
    Exits with status 1 if a function is wrong or cannot be run, or if the file has no function of the assignment.
    """
    from byhand.course import check_file

    report = check_file(existing(notebook), timeout=timeout)
    counts = report.counts()
    if not report.found:
        result = "Nothing was checked."
    elif counts["wrong"] or counts["not run"]:
        result = "Not all public checks passed."
    elif counts["missing"]:
        result = "The public checks passed for all functions written so far; `byhand course next` shows the next one."
    elif report.page == "practice":
        result = f"The public checks passed. Is it a mark? byhand course practice --mark {notebook}"
    elif report.page not in ("l_layer", "two_layer"):
        result = "All public checks passed."
    else:
        result = f"All public checks passed. Train your network and draw digits: byhand play {notebook}"
    checking.show(report, console, ["", result, HIDDEN], hidden_checks="not run")


@command.command("practice", short_help="Try the check for five minutes: one function, one mistake.")
@click.argument("notebook", default=Path("practice.ipynb"), type=Place(path_type=Path))
@option("--mark", bool, "Grade NOTEBOOK as a teacher does, with numbers that the check does not have.")
@timeout
@console_options(json=False)
def practice(notebook: Path, mark: bool, timeout: float, console: Console) -> None:
    """Write NOTEBOOK (or a .py file) with one function to fix, to try the check for five minutes.

    NOTEBOOK defaults to practice.ipynb in this folder. An existing one is kept. With --mark, it is graded, and the
    command exits with status 1 unless it gets all points.
    """
    if notebook.suffix not in (".ipynb", ".py"):
        raise UsageError(f"NOTEBOOK must be a .ipynb or .py file, got {notebook}")
    if mark:
        from byhand.course.check import check_file
        from byhand.course.probes.adapters import load_adapter

        report = check_file(existing(notebook), timeout=timeout, page=load_adapter("practice", with_hidden=True))
        points = 10 if report["average"].status == "right" else 0
        checking.show(report, console, ["", f"{points} of 10 points. {UNSEEN}"])
        return
    from byhand.course.notebooks import release

    if notebook.exists():
        click.echo(f"kept the existing {notebook}")
    else:
        release.practice(notebook)
        click.echo(f"wrote {notebook}")
    console.info(f"open it in an editor or with jupyter lab, and type: byhand course check {notebook}")


# ---- for teachers


@command.command("release", short_help="For teachers: write all versions of the notebooks.")
@click.argument("folder", metavar="DIR", type=Place(path_type=Path))
@option("--data NAME|PATH", PLACE, "Data set by name or path. Defaults to the bundled sample.")
@console_options(json=False)
def release(folder: Path, data: str | None, console: Console) -> None:
    """Write all versions of the notebooks to DIR: for students, solved, for nbgrader and for otter.

    Only the students' version has no solutions: keep the other versions to yourself.
    """
    from byhand.course.notebooks import release

    for path in release.release(folder, data):
        click.echo(f"wrote {path}")
    console.info(f"hand out:   {folder / 'student'}, the whole folder")
    console.info("grade with: byhand course grade SUBMISSIONS --out marks.csv, nbgrader or otter (see docs/course.md)")


@command.command("grade", short_help="For teachers: grade a folder of submissions.")
@click.argument("submissions", type=Place(exists=True, path_type=Path))
@option("--out", Place(dir_okay=False, path_type=Path), "Output file for the table of marks (.csv).", required=True)
@option(
    "--checks",
    Place(exists=True, dir_okay=False, path_type=Path),
    "File with points, seed and custom checks (.py or .toml). Defaults to the functions and points of the course.",
    "checks_file",
)
@option("--page", ("l_layer", "two_layer"), "Functions to grade without --checks.", default="l_layer")
@option("--jobs", click.IntRange(1, 64), "Number of submissions to grade in parallel.", default=2)
@option(
    "--for",
    ("gradescope", "classroom", "nbgrader"),
    "Also write the result of each student in the format of this platform: Gradescope, GitHub Classroom, or nbgrader's "
    "feedback folder.",
    "platform",
)
@option("--again", bool, "Grade everything again, including unchanged submissions.")
@option("--require-boundary", bool, "Run submissions only if the kernel gives a security boundary (Linux).", "boundary")
@console_options()
def grade(
    submissions: Path,
    out: Path,
    checks_file: Path | None,
    page: str,
    jobs: int,
    platform: str | None,
    again: bool,
    boundary: bool,
    console: Console,
) -> None:
    """Grade every notebook in the folder SUBMISSIONS: points per function, and a feedback page per student.

    A submission is a notebook or Python file named after its student, or a folder or zip file named after its student
    that contains one. SUBMISSIONS may also be the zip file that Moodle or Canvas makes, or a single file. A folder next
    to the table, with the same name, gets the pages (feedback/, class.html) and the records (records/). An interrupted
    run is resumed by the same command: a submission is graded again only if it or the checks change.
    """
    from byhand.course.grading import Mark, described
    from byhand.course.grading.results import (
        as_json,
        class_page,
        number,
        points_of,
        summary,
        write_results,
        write_table,
    )
    from byhand.course.grading.run import Run, prepare
    from byhand.course.sandbox.runner import missing_boundary
    from byhand.files import write_text

    unpacked = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="byhand-grade-"))
    folder, checks, found = prepare(submissions, Path(unpacked), out, checks_file, page)
    count, done = len(found), 0
    if (reason := missing_boundary()) and boundary:
        raise UsageError(f"--require-boundary: there is no boundary around the sandbox on this machine: {reason}")
    sandbox = described(reason) + (f"; {WARNING}" if reason else "")
    console.info(f"{count} submissions, {number(checks.of)} points possible\nsandbox: {sandbox}")

    def report(_: object, mark: Mark, is_old: bool) -> None:
        nonlocal done
        done += 1
        if not is_old and (console.is_live or done % max(1, count // 10) == 0):
            console.info(f"{done}/{count}  {mark.student}: {points_of(mark)}")

    with Run(checks, checks_file, folder, again=again, boundary=boundary) as run:
        try:
            marks = run.marks(found, jobs, report)
        except KeyboardInterrupt:
            console.info(f"interrupted: {done} of {count} are graded; run the same command again to resume")
            raise
    write_table(out, marks, checks)
    write_text(folder / "class.html", class_page(marks, checks))
    pages = f"{folder / 'feedback'}: a page per student; {folder / 'class.html'}: the mistakes of the class"
    lines = [*summary(marks), f"{out}: the table; {pages}"]
    if platform:
        lines.append(f"{write_results(platform, folder, found, marks, checks.page)}: results for {platform}")
    console.show(lambda: as_json(marks), lambda: "\n".join(lines))


@command.command("audit", short_help="For teachers: find the mistakes that the checks of a notebook let through.")
@click.argument("notebook", type=Place(path_type=Path))
@console_options()
def audit(notebook: Path, console: Console) -> None:
    """Find the mistakes that the checks of your NOTEBOOK let through, and suggest checks that catch them.

    Checks are the assertions in its cells, and the functions with assertions that they call. They are run with a right
    version of every function except one, which has a mistake: an edit of the formula, tried one after the other.
    """
    from dataclasses import asdict

    from byhand.course.grading.audit import Audited, audit

    def report(one: Audited) -> None:
        console.info(f"{one.function}: {len(one.passed)} of {one.mistakes} mistakes pass")

    result = audit(existing(notebook), report)
    console.show(lambda: asdict(result), lambda: "\n".join(result.lines()))


@command.command("import", short_help="For teachers: prepare an existing notebook of this assignment for grading.")
@click.argument("notebook", type=Place(path_type=Path))
@option(
    "-o --out",
    Place(dir_okay=False, path_type=Path),
    "Output file for the copy (.ipynb).  [default: NOTEBOOK with .byhand before its suffix]",
)
@option("--force", bool, "Overwrite existing files.")
def import_(notebook: Path, out: Path | None, force: bool) -> None:
    """Find the functions of the assignment in an existing NOTEBOOK, and prepare it for checking and grading.

    Writes a copy, in which every cell with a graded function begins with #Graded, and a file for `byhand course grade
    --checks`, with points for the graded functions, 100 in all. If the notebook has cells that begin with #Graded, they
    are kept, and all other functions are given to the students. Review that file.
    """
    from byhand.course.grading.importing import import_notebook

    found = import_notebook(notebook)
    out, checks = found.write(out or notebook.with_suffix(".byhand.ipynb"), force=force)
    click.echo(f"{notebook}: functions of byhand.reference.{found.page}\n")
    click.echo("\n".join(found.lines()))
    copy = "your notebook, with answers" if found.written else "the notebook to hand out"
    click.echo(f"{out}: {copy}; {checks}: points, for `byhand course grade --checks`")
    for warning in found.warnings():
        click.echo(warning, err=True)
