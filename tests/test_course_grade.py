"""`byhand course grade`: right marks, the same marks every time, and no submission lost."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from byhand.course.grading import Item, Mark, Submission, described, mark_file, read_checks, run, submissions
from byhand.course.grading.results import (
    as_classroom,
    as_gradescope,
    class_page,
    overview,
    safe,
    write_results,
    write_table,
)
from byhand.course.grading.run import Run
from byhand.course.grading.submissions import find
from byhand.course.sandbox.runner import missing_boundary
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.schema import checked
from helpers import processes
from helpers.submissions import ALL, FUNCTIONS, STUB, Synthetic, few, first, hand_in, instead, name_of, solution
from helpers.tiers import tiers
from helpers.waiting import until

pytestmark = pytest.mark.usefixtures("quick_sandbox")

FEW = few()
TOML = "seed = 5\n[points]\n" + "".join(f"{name} = 1\n" for name in FUNCTIONS)
COMMAND = [sys.executable, "-m", "byhand", "course", "grade"]


def grade(*arguments):
    return processes.run(*COMMAND, *arguments, encoding="utf-8")


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def right_in(mark):
    return {item.name for item in mark.items if item.points}


def marked(path, content, checks):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return mark_file(Submission(path.stem, path), checks)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Grade all submissions with the command, then some of them again; tests/long/submissions.py grades all twice."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "hidden.toml").write_text(TOML)
    ran = []
    for name, some in (("first", FEW), ("second", FEW[::5])):
        hand_in(folder / f"{name} handed in", some)
        out = folder / name / "marks.csv"
        ran.append(grade(folder / f"{name} handed in", "--out", out, "--checks", folder / "hidden.toml"))
    return folder, ran


@pytest.mark.slow
@pytest.mark.parametrize("one", FEW, ids=lambda one: one.name[:40])
def test_each_submission_gets_its_expected_mark(one, twice):
    folder, _ = twice
    row = rows_of(folder / "first" / "marks.csv")[safe(name_of(one))]
    assert row["state"] == ("not marked" if one.right is None else "marked")
    assert {name for name in FUNCTIONS if row[name] == "1"} == set(one.right or ()), row["look"]
    assert (row["points"], row["of"]) == ("" if one.right is None else str(len(one.right)), "14")
    assert one.right is not None or {row[name] for name in FUNCTIONS} == {""}


@pytest.mark.slow
def test_grading_twice_gives_identical_files(twice):
    folder, ran = twice
    for one in ran:
        assert one.returncode == 0, one.stderr
    first, second = ({*(folder / name).rglob("*.*")} for name in ("first", "second"))
    of_the_class = 2  # the table and a page
    assert (len(first), len(second)) == (2 * len(FEW) + of_the_class, 2 * len(FEW[::5]) + of_the_class)
    same = [
        one
        for one in second
        if one.read_bytes() == (folder / "first" / one.relative_to(folder / "second")).read_bytes()
    ]
    assert len(same) == 2 * len(FEW[::5])
    marks, again = (rows_of(folder / name / "marks.csv") for name in ("first", "second"))
    assert len(marks) == len(FEW)
    assert {name: marks[name] for name in again} == again


@pytest.mark.slow
def test_the_command_describes_the_sandbox_and_lists_submissions_to_look_at(twice):
    _, (ran, _) = twice
    assert f"sandbox: {described(missing_boundary())}" in ran.stderr
    assert "not marked: an essay: must be a .ipynb or .py file, got an essay.pdf\n" in ran.stdout
    assert "look at hangs: sigmoid: did not end within 3 seconds\n" in ran.stdout
    unmarked = sum(one.right is None for one in FEW)
    assert f"{len(FEW) - unmarked} marked, " in ran.stdout
    assert "sigmoid                     1 " in ran.stdout


@pytest.mark.slow
def test_feedback_pages_escape_what_submissions_contain(twice):
    folder, _ = twice
    pages = sorted((folder / "first" / "marks" / "feedback").iterdir())
    assert len(pages) == len(FEW)
    for page in pages:
        text = page.read_text("utf-8")
        assert "<script" not in text
        assert "<img" not in text
        assert "default-src 'none'" in text
    markup = (folder / "first" / "marks" / "feedback" / "markup.html").read_text("utf-8")
    assert "ValueError: &lt;script&gt;alert(1)&lt;/script&gt; =1+1" in markup
    assert "13 of 14 points" in markup


@pytest.mark.slow
def test_copies_are_noted(twice):
    folder, _ = twice
    record = json.loads((folder / "first" / "marks" / "records" / "copied, wrong last.json").read_bytes())
    assert record["notes"] == ["relu is written 2 times, in code cell 3 and code cell 16: the last one counts"]


def test_cells_that_a_spreadsheet_would_compute_are_escaped():
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"):
        assert safe(text) == f"'{text}"
    assert safe("Åse = 1") == "Åse = 1"


@pytest.mark.slow
def test_a_submission_cannot_read_or_change_other_submissions_or_marks(tmp_path):
    other, marks = tmp_path / "other.py", tmp_path / "marks.csv"
    other.write_text(solution())
    marks.write_text("student,points\n")
    checks = read_checks()
    tries = [
        f"open({str(other)!r}).read()",
        f"open({str(marks)!r}, 'a').write('me,100')",
        f"import os; os.remove({str(marks)!r})",
        f"import os; os.rename({str(marks)!r}, 'mine')",
        f"import os; os.listdir({str(tmp_path)!r})",
        f"import os; os.link({str(other)!r}, 'mine'); open('mine').read()",
        f"import os; os.symlink({str(other)!r}, 'mine'); open('mine').read()",
    ]
    for line in tries:
        mark = marked(tmp_path / "me.py", first("relu", line), checks)
        (relu,) = (item for item in mark.items if item.name == "relu")
        assert relu.status == "wrong"
        assert relu.words[0].startswith("PermissionError: "), relu.words
    assert marks.read_text() == "student,points\n"
    allowed = "open('mine', 'w').write('x'); assert open('mine').read() == 'x'"
    assert "relu" in right_in(marked(tmp_path / "me.py", first("relu", allowed), checks))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a process a network of its own")
def test_there_is_no_network_even_below_python(tmp_path):
    lines = "open('/proc/net/dev').read().count(':')"  # one line per interface; only loopback is left
    apart = "import ctypes; ctypes.CDLL(None).unshare(0x50000000)"
    if subprocess.run([sys.executable, "-c", f"{apart} and exit(1)"], check=False).returncode:
        pytest.skip("this system gives no process a network of its own")
    mark = marked(tmp_path / "me.py", first("relu", f"assert {lines} == 1"), read_checks())
    assert "relu" in right_in(mark)
    mark = marked(tmp_path / "me.py", first("relu", f"assert {lines} != 1"), read_checks())
    assert "relu" not in right_in(mark)


@pytest.mark.slow
def test_modules_are_not_imported_from_the_folder_of_the_grader(tmp_path):
    (tmp_path / "hidden.py").write_text("page = 'l_layer'\nsecret = 1\n")
    (tmp_path / "secrets.py").write_text("raise SystemExit('imported from the working directory')")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "me.py").write_text(first("relu", "import hidden"))
    command = [COMMAND[0], "-P", *COMMAND[1:], "in", "--out", "marks.csv", "--checks", "hidden.py"]
    ran = processes.run(*command, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert rows_of(tmp_path / "marks.csv")["me"]["relu"] == "0"
    assert "No module named" in (tmp_path / "marks" / "feedback" / "me.html").read_text("utf-8")


@pytest.mark.slow
def test_grading_does_not_import_byhand_data(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "me.py").write_text(STUB.format("relu"))
    code = (
        "import sys; from byhand.cli.group import cli; cli(['course', 'grade', 'in', '--out', 'm.csv'],"
        " standalone_mode=False); print([name for name in sys.modules if name.startswith('byhand.data')])"
    )
    ran = processes.python("-c", code, cwd=tmp_path)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr


def descendants(pid):
    """Return the process ids below a process, from /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    below = {pid}
    while grown := {child for child, parent in parents.items() if parent in below} - below:
        below |= grown
    return below - {pid}


def has_ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at the processes through /proc")
@pytest.mark.timing
def test_grading_resumes_after_a_kill_or_an_interrupt(tmp_path):
    handed_in, out = tmp_path / "in", tmp_path / "marks.csv"
    endless = solution().replace("):\n", "):\n    while True: pass\n")
    hand_in(handed_in, [Synthetic("a.py", solution().encode(), None), Synthetic("b.py", endless.encode(), None)])
    record = tmp_path / "marks" / "records" / "a.json"
    written = []
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            [*COMMAND, str(handed_in), "--out", str(out), "--jobs", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        # b is being marked: its worker runs, and below that the student's process
        until(lambda process=process: record.exists() and len(descendants(process.pid)) >= 2)
        below = descendants(process.pid)
        os.kill(process.pid, number)
        _, messages = process.communicate(timeout=300)
        until(lambda below=below: all(map(has_ended, below)))
        written.append(record.stat().st_mtime_ns)
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        assert not out.exists()
        assert [one.name for one in record.parent.iterdir()] == ["a.json"]
    assert "interrupted: 1 of 2 are graded; run the same command again to resume" in messages
    (handed_in / "b.py").write_text(solution())
    ran = grade(handed_in, "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert [row["points"] for row in rows_of(out).values()] == ["90", "90"]
    assert {*written, record.stat().st_mtime_ns} == {written[0]}


def test_a_submission_that_cannot_be_graded_has_no_points_rather_than_zero(tmp_path):
    hand_in(tmp_path / "in", [Synthetic("readme.md", b"hello", None)])
    ran = grade(tmp_path / "in", "--out", tmp_path / "marks.csv", "--json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.endswith("1/1  readme: not marked\n")
    (mark,) = json.loads(ran.stdout)["marks"]
    assert (mark["state"], mark["points"], mark["of"]) == ("not marked", None, 100)
    row = rows_of(tmp_path / "marks.csv")["readme"]
    assert (row["points"], row["of"], row["relu"], row["state"]) == ("", "100", "", "not marked")
    page = (tmp_path / "marks" / "feedback" / "readme.html").read_text("utf-8")
    assert "not marked" in page
    assert "0 of 100" not in page


@pytest.mark.slow
def test_only_changed_submissions_are_graded_again(tmp_path, monkeypatch):
    handed_in = tmp_path / "in"
    names = ("a", "b")
    hand_in(handed_in, [Synthetic(f"{name}.py", STUB.format("relu").encode(), None) for name in names])
    checks = read_checks()

    def again(checks, **options):
        news = []
        with Run(checks, None, tmp_path / "marks", **options) as one:
            one.marks(
                find(handed_in, tmp_path), 1, lambda submission, _mark, is_old: news.append((submission.name, is_old))
            )
        return [name for name, is_old in news if not is_old]

    assert again(checks) == ["a", "b"]
    assert again(checks) == []
    (handed_in / "b.py").write_text("x = 1\n")
    (tmp_path / "marks" / "feedback" / "a.html").unlink()
    assert again(checks) == ["b"]
    assert (tmp_path / "marks" / "feedback" / "a.html").exists()
    (tmp_path / "marks" / "records" / "a.json").write_text('{"items": [')
    assert again(checks) == ["a"]
    assert again(checks, again=True) == ["a", "b"]
    other = dataclasses.replace(checks, digest="other")
    asked = []
    monkeypatch.setattr(Run, "_from_a_worker", lambda _, one: asked.append(one.name) or mark_file(one, other))
    assert again(other) == asked == ["a", "b"]


@pytest.mark.slow
def test_after_a_crash_or_timeout_of_the_worker_grading_is_retried(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.py").write_text(solution())
    checks = read_checks()

    def mark(checks):
        with Run(checks, None, tmp_path / "marks") as one:
            return one.marks(find(tmp_path / "in", tmp_path), 1, lambda *_: None)[0]

    with monkeypatch.context() as patch:
        patch.setattr(run, "WORKER", "import byhand.course.no_such_module")
        broken = mark(checks)
    assert broken.state == "not marked"
    assert "the worker failed: " in broken.why
    assert "no_such_module" in broken.why
    with monkeypatch.context() as patch:
        patch.setattr(run, "GRACE", 0.0)
        assert mark(dataclasses.replace(checks, timeout=0.001)).why == "the worker did not finish in time"
    assert not (tmp_path / "marks" / "records").exists()
    assert mark(checks).points == 90


def test_submissions_are_files_and_folders_and_others_are_reported(tmp_path):
    files = {
        "a.ipynb": b"{}",
        "A.py": b"",
        "b.py": b"",
        "c.txt": b"",
        ".d.py": b"",
        "e.PY": b"",
        "marks.csv": b"",
        "x.tar.gz": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder" / "deep" / ".ipynb_checkpoints").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "s.ipynb").write_bytes(b"{}")
    (tmp_path / "folder" / "deep" / ".ipynb_checkpoints" / "s-checkpoint.ipynb").write_bytes(b"{}")
    (tmp_path / "folder" / "helper.py").write_bytes(b"")
    (tmp_path / "linked.py").symlink_to(tmp_path / "b.py")
    found = {one.name: one for one in find(tmp_path, tmp_path, leave_out=[tmp_path / "marks.csv"])}
    assert set(found) == {"a", "A", "b", "c", "e", "x.tar", "folder", "linked.py"}
    assert not found["e"].problem
    assert found["folder"].path.name == "s.ipynb"
    assert found["c"].problem == "must be a .ipynb or .py file, got c.txt"
    assert found["x.tar"].problem == "must be a .zip file, or unpacked into a folder of this name"
    assert found["linked.py"].problem == "links are not followed"
    (tmp_path / "a.py").write_bytes(b"")
    assert {"a.ipynb", "a.py"} <= {one.name for one in find(tmp_path, tmp_path)}


def test_an_empty_folder_is_rejected(tmp_path):
    with pytest.raises(DataMissingError, match=r"must contain notebooks, .*, got an empty folder"):
        find(tmp_path, tmp_path)


# ---- archives, and the names that learning platforms give to files


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def found_in(tmp_path, files, name="class.zip"):
    (tmp_path / "unpacked").mkdir()
    return find(zipped(tmp_path / name, files), tmp_path / "unpacked")


def test_the_zip_of_moodle_is_read_with_folders_or_without(tmp_path):
    files = {
        "Anna Lovelace_12345_assignsubmission_file_/x.ipynb": "{}",
        "Anna Lovelace_12345_assignsubmission_onlinetext_/onlinetext.html": "done",
        "Bob Byte_12_assignsubmission_file/y.py": "",
        "Bob Byte_13_assignsubmission_file/y.py": "",
        "Cy_14_assignsubmission_file_essay.pdf": "essay",
        "Dee O_15_assignsubmission_file_my_network.ipynb": "{}",
        "__MACOSX/._x": "",
    }
    found = found_in(tmp_path, files)
    assert [(one.name, one.path.name) for one in found if not one.problem] == [
        ("Anna Lovelace", "x.ipynb"),
        ("Bob Byte_12_assignsubmission_file", "y.py"),
        ("Bob Byte_13_assignsubmission_file", "y.py"),
        ("Dee O", "Dee O_15_assignsubmission_file_my_network.ipynb"),
    ]
    assert [(one.name, one.problem.partition(",")[0]) for one in found if one.problem] == [
        ("Cy", "must be a .ipynb or .py file")
    ]


def test_the_zip_of_canvas_groups_the_files_of_a_student(tmp_path):
    files = {
        "lovelaceanna_1234_56789_network.ipynb": "{}",
        "bytebob_LATE_1235_56790_network-1.ipynb": "{}",
        "coddcy_1236_56791_a.ipynb": "{}",
        "coddcy_1236_56792_b.ipynb": "{}",
        "dee_1237_56793_readme.txt": "",
        "dee_1237_56794_work.py": "",
    }
    found = {one.name: one for one in found_in(tmp_path, files)}
    assert {name for name, one in found.items() if not one.problem} == {"lovelaceanna", "bytebob", "dee"}
    assert found["dee"].path.name == "dee_1237_56794_work.py"
    assert found["coddcy"].problem.startswith("must contain one .ipynb file, got coddcy_1236_56791_a.ipynb, ")


def test_a_zip_per_student_is_unpacked_once(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"deep/work.py": "x = 1", "deep/picture.png": "x" * 99}).read_bytes()
    twice = zipped(tmp_path / "twice.zip", {"inner.zip": inner}).read_bytes()
    found = {
        one.name: one
        for one in found_in(tmp_path, {"c/anna.zip": inner, "c/bob/x.zip": inner, "c/cy.zip": twice}, "c.zip")
    }
    assert not found["anna"].problem
    assert found["bob"].path.read_bytes() == b"x = 1"
    assert (found["bob"].path.parent / "picture.png").stat().st_size == 0  # only what may be graded has its content
    assert found["cy"].problem == "must contain a .ipynb or .py file, got an archive: unpack it"


@pytest.mark.parametrize("name", ["../out.py", "/out.py", "a/../../out.py", "..\\out.py", "C:\\out.py"])
def test_an_archive_cannot_write_outside_its_folder(name, tmp_path):
    inner = zipped(tmp_path / "inner.zip", {name: "x = 1", "work.py": ""})
    (one,) = found_in(tmp_path, {"anna.zip": inner.read_bytes()})
    assert one.problem.startswith("must not name files outside the archive, got ")
    assert not (tmp_path / "out.py").exists()
    with pytest.raises(DataError, match=r"inner\.zip: must not name files outside"):
        find(inner, tmp_path / "unpacked")


def test_damaged_and_excessive_archives_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_UNPACKED", 100)
    monkeypatch.setattr(submissions, "MAX_FILES", 3)
    bomb = zipped(tmp_path / "bomb.zip", {"a.py": "0" * 101}).read_bytes()
    many = zipped(tmp_path / "many.zip", {f"{k}.py": "" for k in range(4)}).read_bytes()
    found = {one.name: one.problem for one in found_in(tmp_path, {"a.zip": b"PK", "b.zip": bomb, "c.zip": many})}
    assert found["a"] == "can't be unpacked: File is not a zip file"
    assert found["b"] == "must unpack to at most 0 MB"
    assert found["c"] == "must contain at most 3 files, got 4"


def test_a_single_file_is_a_submission_and_other_files_are_rejected(tmp_path):
    for name in ("anna.py", "anna.rar"):
        (tmp_path / name).write_bytes(b"")
    assert find(tmp_path / "anna.py", tmp_path) == [Submission("anna", tmp_path / "anna.py")]
    with pytest.raises(UsageError, match=r"SUBMISSIONS must be a folder, or a \.zip"):
        find(tmp_path / "anna.rar", tmp_path)


# ---- formats of other platforms


class GradescopeTest(TypedDict):
    """A test in results.json: gradescope-autograders.readthedocs.io/en/latest/specs, "Output format"."""

    score: float
    max_score: float
    name: str
    number: NotRequired[str]
    output: NotRequired[str]
    status: NotRequired[Literal["passed", "failed"]]
    tags: NotRequired[list[str]]
    visibility: NotRequired[Literal["hidden", "after_due_date", "after_published", "visible"]]
    extra_data: NotRequired[dict[str, Any]]


class Gradescope(TypedDict):
    score: float
    execution_time: NotRequired[float]
    output: NotRequired[str]
    visibility: NotRequired[Literal["hidden", "after_due_date", "after_published", "visible"]]
    stdout_visibility: NotRequired[Literal["hidden", "after_due_date", "after_published", "visible"]]
    extra_data: NotRequired[dict[str, Any]]
    tests: list[GradescopeTest]


class ClassroomTest(TypedDict):
    """A test in the result of a runner, as classroom-resources/autograding-grading-reporter reads it."""

    name: str
    status: Literal["pass", "fail", "error"]
    score: float
    message: str


class Classroom(TypedDict):
    version: Literal[1]
    status: Literal["pass", "fail", "error"]
    max_score: float
    tests: list[ClassroomTest]


ITEMS = (
    Item("relu", 3, 3, "right"),
    Item("softmax", 0, 4, "wrong", ("<b> & ü", "2"), ("softmax over everything",), "line 7"),
    Item("predict", 0, 2.5, "missing", ("not written yet",)),
)
MARKS = [
    Mark("anna", "n.ipynb", "d", "c", "marked", ITEMS, notes=("relu is written 2 times",)),
    Mark("bob", "b.pdf", "d", "c", "not marked", tuple(dataclasses.replace(one, points=0) for one in ITEMS), "no file"),
]


def test_results_follow_the_schema_of_gradescope():
    anna, bob = (checked(Gradescope, as_gradescope(mark)) for mark in MARKS)
    assert (anna["score"], sum(one["score"] for one in anna["tests"])) == (3, 3)
    assert sum(one["max_score"] for one in anna["tests"]) == 9.5
    assert anna["tests"][1]["output"] == "wrong (line 7)\n<b> & ü\n2"
    assert anna["tests"][2]["output"] == "not written yet"
    assert (anna["output"], bob["output"], bob["score"]) == ("relu is written 2 times", "no file", 0)


def test_results_follow_the_schema_of_github_classroom():
    anna, bob = (checked(Classroom, as_classroom(mark)) for mark in MARKS)
    # the reporter adds up `score` and `max_score`, and fails if `status` is fail or error
    assert (sum(one["score"] for one in anna["tests"]), anna["max_score"], anna["status"]) == (3, 9.5, "fail")
    assert bob["status"] == "error"
    right = dataclasses.replace(MARKS[0], items=ITEMS[:1])
    assert as_classroom(right)["status"] == "pass"


def test_results_are_files_per_student_and_feedback_in_the_folders_of_nbgrader(tmp_path):
    handed_in = [
        Submission("anna", tmp_path / "submitted" / "anna" / "ps1" / "problem 1.ipynb"),
        Submission("bob", tmp_path / "in" / "bob.pdf"),
    ]
    for platform in ("gradescope", "classroom", "nbgrader"):
        folder = write_results(platform, tmp_path / "marks", handed_in, MARKS, "l_layer")
        assert folder == tmp_path / "marks" / platform
    written = sorted(str(one.relative_to(tmp_path / "marks")) for one in (tmp_path / "marks").rglob("*.*"))
    assert written == [
        *("classroom/anna.json", "classroom/bob.json", "gradescope/anna.json", "gradescope/bob.json"),
        *("nbgrader/feedback/anna/ps1/problem 1.html", "nbgrader/feedback/bob/network/network.html"),
    ]
    assert json.loads((tmp_path / "marks" / "gradescope" / "anna.json").read_bytes())["score"] == 3


def test_the_page_of_the_class_counts_mistakes_without_names():
    page = class_page([*MARKS, MARKS[0]], read_checks())
    assert "2 submissions marked, 3.0 of 100 points on average, 1 not marked" in page
    assert '<th scope="row">2</th><td>softmax</td><td>' in page
    assert "anna" not in page
    assert "0 submissions marked" in class_page(MARKS[1:], read_checks())


CUSTOM = '''
import numpy as np
from byhand.course.grading import custom_check

points = {"softmax": 4}

@custom_check("softmax", points=2)
def a_large_batch(student, rng):
    """Columns sum to 1, with 500 samples too."""
    H, _ = student.softmax(rng.normal(size=(10, 500)))
    assert abs(H.sum(axis=0) - 1).max() < 1e-9, "some columns do not sum to 1"

@custom_check("L_layer_model", points=0.5)
def the_loss_falls(student, rng):
    """Twenty steps lead downhill."""
    X, Y = rng.random((6, 20)), np.eye(10)[:, rng.integers(10, size=20)]
    first, last = (student.L_layer_forward(X, student.L_layer_model(X, Y, [6, 5, 10], 0.1, k))[0] for k in (1, 20))
    assert student.compute_loss(last, Y) < student.compute_loss(HL=first, Y=Y), "the loss does not fall"
'''


@pytest.mark.parametrize(
    ("source", "points", "words"),
    tiers(
        3,
        [
            (solution(), [4, 2, 0.5], ""),
            (instead("softmax", "return np.exp(Z), Z"), [0, 0, 0.5], "some columns do not sum to 1"),
            (instead("softmax", "return Z"), [0, 0, 0.5], "the returned value can't be used (ValueError"),
            (instead("softmax", "raise KeyError('x')"), [0, 0, 0.5], "softmax: KeyError: 'x'"),
            (instead("compute_loss", "return 5"), [4, 2, 0.5], ""),
            (solution().replace("range(0, num_iterations)", "range(0)"), [4, 2, 0], "the loss does not fall"),
            ("import numpy as np\ndef relu(Z): return Z, Z", [0, 0, 0], "softmax: not written yet"),
        ],
    ),
)
def test_custom_checks_give_points_and_one_mistake_counts_once(source, points, words, tmp_path):
    (tmp_path / "checks.py").write_text(CUSTOM)
    checks = read_checks(tmp_path / "checks.py")
    assert checks.of == 6.5
    mark = marked(tmp_path / "me.py", source, checks)
    assert [item.points for item in mark.items] == points
    assert words in " ".join(word for item in mark.items if item.extra for word in item.words)


def test_no_points_for_calling_the_reference_of_a_later_function(tmp_path):
    """A custom check replaces wrong functions by the reference, which a softmax must not reach through them."""
    (tmp_path / "checks.py").write_text(CUSTOM)
    trick = "return layer_forward(Z, np.eye(len(Z)), np.zeros((len(Z), 1)), 'softmax')[0], Z"
    source = f"{instead('softmax', trick)}\nlayer_forward = lambda *arguments: None\n"
    mark = marked(tmp_path / "me.py", source, read_checks(tmp_path / "checks.py"))
    assert {item.name: item.points for item in mark.items} == {"softmax": 0, "a_large_batch": 0, "the_loss_falls": 0.5}


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        ("c.txt", "", UsageError, r"the checks must be a \.py or \.toml file"),
        ("c.py", "points = {'sigmod': 1}", UsageError, r"must be for .* \(did you mean sigmoid\?\), got"),
        ("c.py", "points = {'relu': -1}", UsageError, r"points\['relu'\] must be at least 0 points, got -1"),
        ("c.py", "points = {'relu': float('nan')}", UsageError, "must be at least 0 points, got nan"),
        ("c.py", "points = [1]", UsageError, r"points must be a dictionary {function: points}, got \[1\]"),
        ("c.py", "points = {}", UsageError, "points must not all be 0"),
        ("c.py", "seed = 'x'", UsageError, "seed must be an integer of at least 0, got 'x'"),
        ("c.py", "rounds = 0", UsageError, "rounds must be an integer from 1 to 100, got 0"),
        ("c.py", "timeout = 0", UsageError, "timeout must be from 1 to 3600 seconds, got 0"),
        ("c.py", "page = 'cnn'", UsageError, "page must be one of l_layer, two_layer, got 'cnn'"),
        ("c.py", "names = {'relu': 'a b'}", UsageError, r"names\['relu'\] must be a Python name, got 'a b'"),
        ("c.py", "names = {'x': 'y'}", UsageError, "names must be for functions of l_layer, got 'x'"),
        ("c.py", "1 / 0", DataError, "ZeroDivisionError"),
        ("c.py", "def", DataError, "SyntaxError"),
        ("c.toml", "a = ", DataError, "must be valid TOML"),
        ("c.toml", "marks = 1", UsageError, "entries must be page, seed, rounds, .*, got marks"),
        (
            "c.py",
            CUSTOM.replace("< 1e-9", "> 1"),
            UsageError,
            "a_large_batch must pass with the reference functions, got",
        ),
        (
            "c.py",
            CUSTOM.replace("    H, _ = student.softmax", "    return\n    H, _ = student.softmax"),
            UsageError,
            "a_large_batch must fail if the functions return None, but it passes",
        ),
        ("c.py", CUSTOM.replace("student.softmax", "student.softmaks"), UsageError, "l_layer has no function softmaks"),
        (
            "c.py",
            CUSTOM.replace('@custom_check("softmax"', '@custom_check("x"'),
            UsageError,
            "the custom check a_large_batch must be for",
        ),
        ("c.py", CUSTOM.replace("def a_large_batch", "def relu"), UsageError, "must not have the name of a function"),
    ],
)
def test_an_invalid_checks_file_is_rejected_with_the_rule(name, text, error, words, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=words):
        read_checks(tmp_path / name)


def test_a_missing_checks_file_is_reported(tmp_path):
    with pytest.raises(DataMissingError, match=r"c\.py: no such file"):
        read_checks(tmp_path / "c.py")


def test_the_former_name_of_custom_checks_still_works(tmp_path):
    old = CUSTOM.replace("grading import custom_check", "marking import extra").replace("@custom_check", "@extra")
    (tmp_path / "checks.py").write_text(old)
    with pytest.warns(DeprecationWarning, match="extra is deprecated, use custom_check"):
        assert read_checks(tmp_path / "checks.py").of == 6.5


def test_without_a_checks_file_the_points_of_the_course_are_used():
    assert read_checks().of == 100
    assert read_checks(page="two_layer").of == 100
    assert read_checks().digest != read_checks(page="two_layer").digest


def test_functions_may_have_other_names_in_the_notebook(tmp_path):
    (tmp_path / "checks.toml").write_text('[names]\nsoftmax = "soft_max"\nlayer_forward = "forward"\n')
    source = solution().replace("softmax(", "soft_max(").replace("layer_forward(", "forward(")
    source = source.replace("L_forward(", "L_layer_forward(")
    mark = marked(tmp_path / "me.py", source, read_checks(tmp_path / "checks.toml"))
    assert right_in(mark) == ALL


@pytest.mark.slow
def test_another_seed_gives_other_numbers_and_the_same_marks(tmp_path):
    source = instead("relu", "return np.abs(Z), Z")
    words = []
    for seed in (1, 2):
        (tmp_path / "checks.toml").write_text(f"seed = {seed}\nrounds = 2\n[points]\nrelu = 1\n")
        mark = marked(tmp_path / "me.py", source, read_checks(tmp_path / "checks.toml"))
        words.append(mark.items[0].words)
        assert mark.points == 0
    assert words[0] != words[1]
    assert words[0][0] == words[1][0] == "H: this is the absolute value: relu is 0 where Z is negative"


@pytest.mark.slow
def test_the_overview_counts_and_names_the_most_frequent_mistake(tmp_path):
    checks = read_checks()
    sources = [instead("relu", "return np.abs(Z), Z"), instead("relu", "return Z > 0, Z"), solution()]
    sources.append(instead("relu", "return abs(Z), Z"))
    marks = [marked(tmp_path / f"{k}.py", source, checks) for k, source in enumerate(sources)]
    (row,) = (row for row in overview(marks) if row[0] == "relu")
    assert row == ("relu", "3", "1", "3", "0", "0", "absolute value (2)")
    assert {row[-1] for row in overview(marks) if row[3] == "0"} == {""}
    write_table(tmp_path / "marks.csv", marks, checks)
    assert [row["relu"] for row in rows_of(tmp_path / "marks.csv").values()] == ["0", "0", "3", "0"]


@pytest.mark.slow
def test_the_overview_quotes_reasons_of_mistakes_without_a_name(tmp_path):
    checks = read_checks()
    sources = [instead("relu", "return np.maximum(Z, 1), Z")] * 2
    sources += [instead("relu", f"raise RuntimeError({'x' * 200!r})"), instead("relu", "return np.abs(Z), Z")]
    marks = [marked(tmp_path / f"{k}.py", source, checks) for k, source in enumerate(sources)]
    often = [next(row[-1] for row in overview(some) if row[0] == "relu") for some in (marks, marks[2:3], marks[3:])]
    assert often[0] == "these are the numbers of `H = np.maximum(1, Z)` (2)"
    assert often[1].startswith("RuntimeError: xxx")
    assert often[1].endswith("x … (1)")
    assert len(often[1]) < 80
    assert often[2] == "absolute value (1)"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    tiers(
        1,
        [
            (["{in}", "--out", "marks.txt"], 2, "--out must be a .csv file, got marks.txt"),
            (["{in}", "--out", "{in}.csv"], 2, "--out must not have the name of SUBMISSIONS"),
            (["{in}"], 2, "Missing option '--out'"),
            (["nowhere", "--out", "m.csv"], 2, "Path 'nowhere' does not exist"),
            (["{in}", "--out", "m.csv", "--jobs", "0"], 2, "0 is not in the range"),
            (["{in}", "--out", "m.csv"], 3, "must contain notebooks"),
        ],
    ),
)
def test_wrong_usage_gives_a_one_line_error(arguments, code, words, tmp_path):
    ran = grade(*(argument.replace("{in}", str(tmp_path)) for argument in arguments))
    assert ran.returncode == code
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
