"""Three hundred submissions, marked on two cores, twice: `python tools/long/submissions.py`, under ten minutes a time.

The submissions are those of tests/submissions.py: correct in several styles, with each planted mistake, broken and
hostile. Each must get the mark that it deserves, and the second time the very same table, records and pages.
What was found is written to benchmarks/results/course_marks.json.
"""

import csv
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import submissions as made  # noqa: E402 - it lies with the tests
from byhand.course.marking.table import safe  # noqa: E402
from byhand.files import write_text  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "course_marks.json"
COUNT, JOBS = 300, 2
POINTS = "seed = 300\n[points]\n" + "".join(f"{name} = 1\n" for name in made.FUNCTIONS)


def marked(folder, name):
    """Seconds for one run of the command."""
    checks, out = folder / "hidden.toml", folder / name / "marks.csv"
    command = [sys.executable, "-m", "byhand", "course", "grade", str(folder / "in"), "--out", str(out)]
    began = time.monotonic()
    subprocess.run([*command, "--checks", str(checks), "--jobs", str(JOBS)], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def undeserved(table, handed_in):
    """Those whose mark is not what it must be, and what is known about them."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(handed_in), "somebody is lost"
    wrong = []
    for one in handed_in:
        row = rows[safe(made.name_of(one))]
        right = {name for name in made.FUNCTIONS if row[name] == "1"}
        if right != set(one.right or ()) or (row["state"] == "marked") != (one.right is not None):
            wrong.append({"name": one.name, "differs in": sorted(right ^ set(one.right or ())), "look": row["look"]})
    return wrong


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main():
    handed_in = made.many(COUNT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made.hand_in(folder / "in", handed_in)
        (folder / "hidden.toml").write_text(POINTS)
        seconds = [marked(folder, "first"), marked(folder, "second")]
        wrong = undeserved(folder / "first" / "marks.csv", handed_in)
        first, second = (contents(folder / name) for name in ("first", "second"))
        differing = sorted(str(path) for path in first.keys() | second.keys() if first.get(path) != second.get(path))
    found = {
        "submissions": len(handed_in),
        "not markable": sum(one.right is None for one in handed_in),
        "jobs": JOBS,
        "seconds": [round(one, 1) for one in seconds],
        "wrong marks": wrong,
        "differs the second time": differing,
        "made_with": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    }
    write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    sys.exit(1 if wrong or differing or max(seconds) > 600 else 0)


if __name__ == "__main__":
    main()
