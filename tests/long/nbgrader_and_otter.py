"""Grade the released notebooks with a real nbgrader and a real otter, and check the marks.

    python tests/long/nbgrader_and_otter.py --tools FOLDER

FOLDER keeps a virtual environment for each of the two, created on the first run (they install some two hundred
packages, so that neither is a dependency). Three submissions of each lesson are graded: solved, only stubs, and half of
the functions written. Results go to benchmarks/results/course_formats.json; a wrong mark exits with 1.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

from byhand.course.notebooks import LESSONS, Lesson, release

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "course_formats.json"
PACKAGES = {
    "nbgrader": ["nbgrader", "numpy", "matplotlib"],
    "otter": ["otter-grader", "nbconvert", "ipykernel", "numpy", "matplotlib"],
}
Run = Callable[..., str]


def environment(tools: Path, name: str) -> Run:
    """Create a virtual environment for one of the two; return a function that runs its commands."""
    home = tools / name
    if not (home / "bin" / "python").exists():
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "-q", *PACKAGES[name]], check=True)
    surroundings = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "VIRTUAL_ENV")}
    surroundings["PATH"] = f"{home / 'bin'}{os.pathsep}{surroundings['PATH']}"

    def run(*command: object, folder: Path, check: bool = True) -> str:
        words = [str(home / "bin" / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"{' '.join(words)} exited with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout + done.stderr

    return run


def submissions(lesson: Lesson) -> dict[str, tuple[str, ...]]:
    """Return the functions written in each submission."""
    names = tuple(task.name for task in lesson.tasks)
    return {"solved": names, "stubs": (), "half": names[: len(names) // 2]}


def filled(given: Path, lesson: Lesson, names: tuple[str, ...], target: Path) -> None:
    """Write the students' notebook with these functions filled in."""
    answers = {}
    for cell in release.student(lesson, solved=True)["cells"]:
        source = "".join(cell["source"])
        if found := re.match(r"#Graded\ndef (\w+)", source):
            answers[found[1]] = source
    notebook = json.loads(given.read_text("utf-8"))
    for cell in notebook["cells"]:
        found = re.match(r"#Graded\ndef (\w+)", "".join(cell["source"]))
        if found:
            assert "SOLUTION" not in "".join(cell["source"]), f"{given}: the answer to {found[1]} is still in it"
            assert "NotImplementedError" in "".join(cell["source"]), f"{given}: {found[1]} has no stub"
            if found[1] in names:
                cell["source"] = answers[found[1]].splitlines(keepends=True)
        assert "HIDDEN" not in "".join(cell["source"]), f"{given}: hidden tests are still in it"
    release.write(target, notebook)


def with_nbgrader(released: Path, lesson: Lesson, run: Run) -> dict[str, float]:
    """Run generate_assignment, validate, autograde and export; return the score of each submission."""
    course = released / "nbgrader"
    run("nbgrader", "generate_assignment", lesson.name, "--create", "--force", folder=course)
    given = course / "release" / lesson.name / f"{lesson.name}.ipynb"
    for who, names in submissions(lesson).items():
        shutil.copytree(given.parent, course / "submitted" / who / lesson.name)
        filled(given, lesson, names, course / "submitted" / who / lesson.name / given.name)
    output = run("nbgrader", "validate", course / "source" / lesson.name / given.name, folder=course)
    assert "Success" in output, output
    run("nbgrader", "autograde", lesson.name, folder=course)
    run("nbgrader", "export", "--to", "marks.csv", folder=course)
    with (course / "marks.csv").open(newline="") as file:
        return {
            row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == lesson.name
        }


def with_otter(released: Path, lesson: Lesson, run: Run) -> dict[str, float]:
    """Run otter assign, which tests the solution, then otter run; return the score of each submission.

    Unlike nbgrader, otter sets no variable while grading, so the long training is shortened here.
    """
    folder = released / "otter" / lesson.name
    master = folder / f"{lesson.name}.ipynb"
    master.write_text(re.sub(r"ITERATIONS = (2000|500)", "ITERATIONS = 50", master.read_text("utf-8")), "utf-8")
    run("otter", "assign", f"{lesson.name}.ipynb", "dist", folder=folder)
    given = folder / "dist" / "student" / f"{lesson.name}.ipynb"
    (autograder,) = (folder / "dist" / "autograder").glob("*.zip")
    scores = {}
    for who, names in submissions(lesson).items():
        place = folder / who
        place.mkdir()
        shutil.copy(folder / "digits.npz", place)
        filled(given, lesson, names, place / given.name)
        run("otter", "run", "-a", autograder, "-o", place, given.name, folder=place)
        results = json.loads((place / "results.json").read_text("utf-8"))
        scores[who] = float(sum(test["score"] for test in results["tests"] if "score" in test))
    return scores


def main() -> None:
    """Grade, compare, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, required=True, help="folder of the two virtual environments")
    parser.add_argument("--only", choices=[*PACKAGES], help="grade with only one of the two")
    tools = parser.parse_args()
    ways = {"nbgrader": with_nbgrader, "otter": with_otter}
    found: dict[str, object] = {}
    wrong = []
    for name in [tools.only] if tools.only else PACKAGES:
        run = environment(tools.tools.resolve(), name)
        package = PACKAGES[name][0]
        version = re.search(r"^Version: (.+)$", run("pip", "show", package, folder=Path.cwd()), re.MULTILINE)
        assert version is not None
        marks: dict[str, object] = {"package": f"{package} {version[1]}"}
        with tempfile.TemporaryDirectory() as folder:
            released = Path(folder) / "release"
            release.release(released)
            for lesson in LESSONS:
                begun = time.monotonic()
                scores = ways[name](released, lesson, run)
                right = {who: sum(lesson[one].points for one in names) for who, names in submissions(lesson).items()}
                marks[lesson.name] = {"scores": scores, "right": right, "seconds": round(time.monotonic() - begun)}
                print(name, lesson.name, marks[lesson.name], flush=True)
                if scores != right:
                    wrong.append(f"{name}, {lesson.name}: must be {right}, got {scores}")
        found[name] = marks
    if not tools.only:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
