"""`byhand course grade`: marks for a folder of submissions, by `byhand.course.grading`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from byhand.cli.output import Console, Place, as_json, quiet, show_json

BOUNDARY = (
    "each submission runs in a process of its own with limits; that guards against accidents and easy shortcuts, it "
    "is no security boundary: mark strangers' files where you would run them"
)


@click.command("grade")
@click.argument("submissions", type=Place(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=Place(dir_okay=False, path_type=Path), required=True, help="The table, a .csv file.")
@click.option(
    "--checks",
    "checks_file",
    type=Place(exists=True, dir_okay=False, path_type=Path),
    help="Your file with points, seed and extra checks (.py or .toml). Without it, the functions and points of the "
    "course.",
)
@click.option(
    "--page",
    type=click.Choice(["l_layer", "two_layer"]),
    default="l_layer",
    show_default=True,
    help="Which functions are marked, without --checks.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Submissions at a time.")
@click.option("--again", is_flag=True, help="Mark all anew, also what has not changed since it was marked.")
@as_json
@quiet
def command(
    submissions: Path,
    out: Path,
    checks_file: Path | None,
    page: str,
    jobs: int,
    again: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Mark every notebook in the folder SUBMISSIONS: points by function, and a page of feedback for each student.

    A submission is a notebook or Python file in the folder, named after its student, or a folder named after its
    student with one in it. Beside the table, a folder of its name gets the pages (feedback/) and the records
    (records/) by which an interrupted run goes on: what is done is not marked again until it or the checks change.
    """
    from byhand.course.grading import Mark, Submission, read_checks
    from byhand.course.grading.results import number, overview, points_of, write_table
    from byhand.course.grading.run import Run, find
    from byhand.errors import UsageError

    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out must be a .csv file, got {out}")
    folder = out.with_suffix("")
    if folder.resolve() == submissions.resolve():
        raise UsageError(f"--out must be called otherwise than SUBMISSIONS, a folder of its name is filled, got {out}")
    console = Console(quiet)
    checks = read_checks(checks_file, page)
    found = find(submissions, leave_out=[one for one in (out, folder, checks_file) if one])
    console.info(f"{len(found)} submissions, {number(checks.of)} points to earn; {BOUNDARY}")
    ready: list[Mark] = []

    def done(submission: Submission, mark: Mark, is_old: bool) -> None:
        ready.append(mark)
        step = 1 if console.is_live else max(1, len(found) // 10)
        if not is_old and len(ready) % step == 0:
            console.info(f"{len(ready)}/{len(found)}  {mark.student}: {points_of(mark)}")

    with Run(checks, checks_file, folder, again=again) as run:
        try:
            marks = run.marks(found, jobs, done)
        except KeyboardInterrupt:
            console.info(
                f"interrupted: {len(ready)} of {len(found)} are marked and kept; the same command goes on from here"
            )
            raise
    write_table(out, marks, checks)
    if as_json:
        show_json({"marks": [_as_dict(mark) for mark in marks]})
    else:
        click.echo("\n".join(_summary(marks, overview(marks), out, folder)))


def _as_dict(mark: Any) -> dict[str, Any]:
    return {**mark.as_dict(), "points": mark.points if mark.is_marked else None, "of": mark.of}


def _summary(marks: Sequence[Any], rows: Sequence[Any], out: Path, folder: Path) -> list[str]:
    """What a teacher wants to see first: how many, how good, what was hard, and whom to look at."""
    from byhand.course.grading.results import number

    marked = [mark for mark in marks if mark.is_marked]
    lines = []
    if rows:
        width = max(len(row.name) for row in rows)
        lines += [f"{'':{width}}  points  right  wrong  missing  not run  most often"]
        lines += [
            f"{row.name:{width}}  {number(row.of):>6}  {row.right:>5}  {row.wrong:>5}  {row.missing:>7}  "
            f"{row.not_run:>7}  {row.most_often}".rstrip()
            for row in rows
        ]
        mean = sum(mark.points for mark in marked) / len(marked)
        lines += ["", f"{len(marked)} marked, {mean:.1f} of {number(marked[0].of)} points on average"]
    lines += [f"not marked: {mark.student}: {mark.why}" for mark in marks if not mark.is_marked]
    lines += [f"look at {mark.student}: {mark.look[0]}" for mark in marked if mark.look]
    return [*lines, f"{out}: the table; {folder / 'feedback'}: a page for each student"]
