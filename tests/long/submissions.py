"""Three hundred submissions graded on two cores, twice: `python tests/long/submissions.py`, under ten minutes each.

With a folder as argument everything is kept there, and each call grades once. The submissions are those of
tests/helpers/submissions.py: correct in several styles, with planted mistakes, broken and hostile. Each must get its
expected mark, and the second run the same table, records and pages. Results go to benchmarks/results/course_marks.json.
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

from byhand.course.grading.results import safe  # noqa: E402
from byhand.files import write_text  # noqa: E402
from helpers.submissions import FUNCTIONS, hand_in, many, name_of  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "course_marks.json"
COUNT, JOBS = 300, 2
POINTS = "seed = 300\n[points]\n" + "".join(f"{name} = 1\n" for name in FUNCTIONS)


def marked(folder, name):
    """Return the seconds of one run of the command; a complete run in the folder is not repeated."""
    checks, out, noted = folder / "hidden.toml", folder / name / "marks.csv", folder / f"{name}.seconds"
    if not noted.exists():
        command = [sys.executable, "-m", "byhand", "course", "grade", str(folder / "in"), "--out", str(out)]
        began = time.monotonic()
        subprocess.run([*command, "--checks", str(checks), "--jobs", str(JOBS)], check=True, stdout=subprocess.DEVNULL)
        write_text(noted, str(time.monotonic() - began))
    return float(noted.read_text())


def wrong_marks(table, handed_in):
    """Return the submissions with a wrong mark, and details."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(handed_in), "a submission is missing in the table"
    wrong = []
    for one in handed_in:
        row = rows[safe(name_of(one))]
        right = {name for name in FUNCTIONS if row[name] == "1"}
        if right != set(one.right or ()) or (row["state"] == "marked") != (one.right is not None):
            wrong.append({"name": one.name, "differs in": sorted(right ^ set(one.right or ())), "look": row["look"]})
    return wrong


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main(kept=None):
    handed_in = many(COUNT)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(kept or temporary)
        if not (folder / "hidden.toml").exists():
            hand_in(folder / "in", handed_in)
            write_text(folder / "hidden.toml", POINTS)
        if kept and not (folder / "first.seconds").exists():
            print(f"{marked(folder, 'first'):.1f} seconds; run the same command again for the second run")
            return
        seconds = [marked(folder, name) for name in ("first", "second")]
        wrong = wrong_marks(folder / "first" / "marks.csv", handed_in)
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
    main(*sys.argv[1:])
