"""Every version of the notebooks is valid, and contains what it should and nothing else."""

import json
import re
import sys
from functools import partial

import pytest

from byhand.cli import main
from byhand.course.notebooks import LESSONS, release
from byhand.course.notebooks.release import between, region
from byhand.errors import UsageError
from helpers.needs import needs

pytestmark = pytest.mark.usefixtures("quick_sandbox")

VERSIONS = {
    "student": release.student,
    "solved": partial(release.student, solved=True),
    "nbgrader": release.for_nbgrader,
    "otter": release.for_otter,
}
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
each_version = pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)


def sources(notebook, kind="code"):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


@each_lesson
@each_version
def test_every_version_is_a_valid_notebook_with_an_id_for_each_cell(lesson, version):
    nbformat = needs("nbformat")
    notebook = version(lesson)
    nbformat.validate(nbformat.reads(json.dumps(notebook), 4))
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


@each_lesson
@each_version
def test_images_and_headings_are_filled_in(lesson, version):
    text = "\n".join(sources(version(lesson), "markdown"))
    assert "<!-- task" not in text
    assert "(drawing:" not in text
    assert "(shapes:" not in text
    for task in lesson.tasks:
        assert f"### `{task.name}`\n" in text
        assert f"| {task.takes} | {task.gives} |" in text
    for words, data in re.findall(r'<img alt="([^"]*)" src="([^"]*)">', text):
        assert len(words) > 20
        assert data.startswith("data:image/svg+xml;base64,")


@each_lesson
def test_the_students_version_has_no_answer_and_no_hidden_check(lesson):
    notebook = release.student(lesson)
    text = "\n".join(sources(notebook))
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "default_rng()" not in text  # fresh numbers are for the hidden checks
    blanks = [source for source in sources(notebook) if source.startswith("#Graded\n")]
    assert len(blanks) == len(lesson.tasks)
    for blank, task in zip(blanks, lesson.tasks, strict=True):
        lines = [line.strip() for line in blank.splitlines()]
        assert lines[-2] == "# write your code here"
        assert lines[-1].startswith(f'raise NotImplementedError("{task.name} is not written yet')
    checks = [cell for cell in notebook["cells"] if cell["id"].startswith("check-")]
    assert len(checks) == len(lesson.tasks)
    assert all(cell["metadata"] == {"editable": False, "deletable": False} for cell in checks)


@each_lesson
def test_solved_and_students_versions_differ_only_in_graded_cells(lesson):
    student, solved = release.student(lesson), release.student(lesson, solved=True)
    differing = [
        one["id"]
        for one, other in zip(student["cells"], solved["cells"], strict=True)
        if one["source"] != other["source"]
    ]
    assert differing == [task.name.replace("_", "-") for task in lesson.tasks]


@each_lesson
def test_nbgrader_metadata_follow_its_schema(lesson):
    allowed = {"schema_version", "grade_id", "grade", "solution", "locked", "task", "points"}
    cells = [cell for cell in release.for_nbgrader(lesson)["cells"] if "nbgrader" in cell["metadata"]]
    marks = [cell["metadata"]["nbgrader"] for cell in cells]
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
    for cell, mark in zip(cells, marks, strict=True):
        source = "".join(cell["source"])
        assert set(mark) <= allowed
        assert mark["schema_version"] == 3
        assert re.fullmatch(r"[A-Za-z0-9_-]+", mark["grade_id"])
        assert ("points" in mark) == mark["grade"]
        kind = (mark["grade"], mark["solution"], mark["locked"])
        assert kind in {(False, True, False), (True, False, True), (False, False, True)}
        if mark["solution"]:
            assert source.count("### BEGIN SOLUTION") == source.count("### END SOLUTION") == 1
        if mark["grade"]:
            assert source.count("### BEGIN HIDDEN TESTS") == source.count("### END HIDDEN TESTS") == 1
            takes_numbers = mark["grade_id"] != "check-init_params"  # it has no inputs
            assert ("np.random.default_rng()" in region(source, "HIDDEN TESTS")) == takes_numbers
            assert source.splitlines()[-1].startswith("print("), "nbgrader would read a bare number as the points"
    assert sum(mark.get("points", 0) for mark in marks) == sum(task.points for task in lesson.tasks)
    for cell in release.for_nbgrader(lesson)["cells"]:  # helpers are locked; students may change other cells
        is_marked = cell["cell_type"] == "code" and "\ndef " in "\n" + "".join(cell["source"])
        assert ("nbgrader" in cell["metadata"]) == (is_marked or cell["id"].startswith("check-"))


@each_lesson
def test_training_is_short_when_nbgrader_grades(lesson):
    text = "\n".join(sources(release.for_nbgrader(lesson)))
    assert re.search(r'if "NBGRADER_EXECUTION" in os.environ:\n    (NUM_)?ITERATIONS = \d{2,3}\b', text)


@each_lesson
def test_otter_markers_open_and_close_in_order(lesson):
    raw = [source.splitlines() for source in sources(release.for_otter(lesson), "raw")]
    assert raw[0][0] == "# ASSIGNMENT CONFIG"
    heads = [lines[0] for lines in raw[1:]]
    one = ["# BEGIN QUESTION", "# BEGIN SOLUTION", "# END SOLUTION", "# BEGIN TESTS", "# END TESTS", "# END QUESTION"]
    assert heads == one * len(lesson.tasks)
    questions = [lines for lines in raw if lines[0] == "# BEGIN QUESTION"]
    assert [(lines[1], lines[2]) for lines in questions] == [
        (f'name: "{task.name}"', f"points: {task.points}") for task in lesson.tasks
    ]
    hidden = [source for source in sources(release.for_otter(lesson)) if source.startswith("# HIDDEN\n")]
    assert len(hidden) == len(lesson.tasks)


def test_the_same_source_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        release.release(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*.ipynb"))
    assert len(files) == 4 * len(LESSONS)
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
        assert (tmp_path / "first" / file).with_name("digits.npz").exists()


def test_release_lists_its_files_and_rejects_a_folder_in_use(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["byhand", "course", "release", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert not left.value.code
    assert out.count("wrote ") == 4 * len(LESSONS) + 1
    assert "byhand course grade" in err
    with pytest.raises(UsageError, match=r"DIR must be a new or empty folder, got .*out"):
        release.release(tmp_path / "out")


def test_nbgrader_settings_are_valid_python(tmp_path):
    release.release(tmp_path / "out")
    settings = (tmp_path / "out" / "nbgrader" / "nbgrader_config.py").read_text("utf-8")
    config = type("Any", (), {"__getattr__": lambda self, name: self.__dict__.setdefault(name, type(self)())})()
    exec(settings, {"get_config": lambda: config})
    assert "# write your code here\nraise NotImplementedError(" in config.ClearSolutions.code_stub["python"]


def test_a_replaced_region_keeps_its_indentation():
    text = "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"
    assert between(text, "SOLUTION", "# here\npass") == "def f():\n    # here\n    pass"
    assert between(text, "SOLUTION") == "def f():\n    return 1"
