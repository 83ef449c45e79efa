"""`byhand course import`: existing notebooks of the assignment can then be checked and graded."""

import json
from functools import partial

import pytest

from byhand.course import check_file
from byhand.course.grading import Submission, mark_file, read_checks
from byhand.course.grading.importing import import_notebook
from byhand.errors import DataError, DataMissingError, UsageError
from helpers.submissions import FUNCTIONS, body_of, cells_of, notebook, solution

pytestmark = pytest.mark.usefixtures("quick_sandbox")


@pytest.fixture
def run(type_in):
    """Type `byhand course import …`: (exit code, stdout, stderr)."""
    return partial(type_in, "course", "import")


def blank(function, source):
    """Return a cell as in the assignment: the head, a comment, and blanks that are not yet Python."""
    head = body_of(function, source).partition("\n")[0]
    return f"#Graded\n\n{head}\n    # {function}: see the formula\n    H = # write your code here\n\n    return H\n"


@pytest.fixture
def assignment(tmp_path):
    """A notebook of the assignment: reversed order, two functions renamed, and other graded cells."""
    source = solution().replace("initialize_parameters", "init_weights").replace("layer_forward", "forward_layer")
    source = source.replace("L_forward_layer", "L_layer_forward")
    functions = [cell.split("(")[0].removeprefix("def ") for cell in cells_of(source)[1:]]
    cells = [blank(name, source) for name in functions[::-1]]
    cells[0] = cells[0].replace("#Graded\n", "%%time\n")
    plot = "# graded\ndef draw_loss(losses):\n    plt.plot(losses)\n"
    imports = "import numpy as np\nimport matplotlib.pyplot as plt\n%matplotlib inline"
    path = tmp_path / "Assignment.ipynb"
    path.write_bytes(notebook([imports, *cells, plot, "#Graded\n# write your code here\n"]))
    return path, source


def test_functions_are_found_in_any_order_and_under_other_names(assignment):
    path, _ = assignment
    found = import_notebook(path)
    assert found.page == "l_layer"
    assert tuple(found.functions) == FUNCTIONS
    assert found.names == {"initialize_parameters": "init_weights", "layer_forward": "forward_layer"}
    assert found.functions["predict"].cells == (2,)
    assert found.functions["sigmoid"].arguments == ("Z",)
    assert (found.absent, [one.name for one in found.unknown], found.empty) == ((), ["draw_loss"], (17,))


def test_the_copy_differs_only_in_the_marks_of_graded_cells(assignment):
    path, _ = assignment
    before = json.loads(path.read_bytes())
    after = import_notebook(path).notebook
    assert after["metadata"]["byhand"]["names"]["layer_forward"] == "forward_layer"
    assert len(after["cells"]) == len(before["cells"])
    for cell, old in zip(after["cells"], before["cells"], strict=True):
        source = "".join(cell["source"])
        graded = cell["metadata"].pop("byhand", {}).get("graded")
        if graded == ["predict"]:
            assert source.startswith("%%time\n#Graded\n")
            assert source.replace("#Graded\n", "", 1) == old["source"]
        else:
            assert source == old["source"]
        assert not graded or source.lstrip("%time\n").startswith("#Graded")


@pytest.mark.slow
def test_an_imported_notebook_can_be_checked_and_graded(run, assignment, tmp_path):
    path, source = assignment
    code, out, err = run(path)
    assert (code, err) == (0, "")
    assert "initialize_parameters  not written yet  code cell 12, named init_weights here: please confirm\n" in out
    assert (
        "code cell 16 is graded and defines draw_loss, which is not part of the assignment: no points assigned\n" in out
    )
    assert "code cell 17 is graded and defines no function: no points assigned\n" in out
    handed_out = tmp_path / "Assignment.byhand.ipynb"
    notebook = json.loads(handed_out.read_bytes())
    assert {verdict.status for verdict in check_file(handed_out).verdicts} == {"missing"}

    for cell in notebook["cells"]:  # a student fills it in, and makes one mistake
        for name in cell["metadata"].get("byhand", {}).get("graded", []):
            theirs = notebook["metadata"]["byhand"]["names"].get(name, name)
            cell["source"] = f"#Graded\n{body_of(theirs, source)}"
    (tmp_path / "student.ipynb").write_text(json.dumps(notebook).replace("np.maximum(0,Z)", "np.abs(Z)"))
    assert check_file(tmp_path / "student.ipynb").counts()["right"] == 13
    checks = read_checks(tmp_path / "Assignment_checks.py")
    assert checks.of == 90
    mark = mark_file(Submission("student", tmp_path / "student.ipynb"), checks)
    assert {item.name for item in mark.items if not item.points} == {"relu"}


@pytest.mark.parametrize(
    ("written", "are"), [(14, "14 of 14 graded functions are"), (1, "1 of 14 graded functions is")]
)
def test_a_notebook_with_answers_is_reported(run, written, are, tmp_path):
    head, *functions = cells_of(solution().replace("initialize_parameters", "init_weights"))
    blanks = [blank(cell.split("(")[0].removeprefix("def "), solution()) for cell in cells_of(solution())[1:]]
    given = "def load_data():\n    return 1\n"
    path = tmp_path / "solved.ipynb"
    path.write_bytes(notebook([head, given, *functions[:written], *blanks[written:]]))
    code, out, err = run(path)
    assert (code, err) == (0, f"{are} filled in: this copy contains the answers\n")
    assert "the notebook to hand out" not in out


def test_existing_files_are_overwritten_only_with_force(run, assignment, tmp_path):
    path, _ = assignment
    (tmp_path / "Assignment_checks.py").write_text("mine")
    code, _, err = run(path)
    assert code == 2
    assert "Assignment_checks.py already exists: use --force to overwrite it" in err
    assert (tmp_path / "Assignment_checks.py").read_text() == "mine"
    assert not (tmp_path / "Assignment.byhand.ipynb").exists()
    assert run(path, "--force", "-o", tmp_path / "out.ipynb")[0] == 0
    assert (tmp_path / "out_checks.py").exists()


def test_two_imports_get_different_random_seeds(assignment):
    path, _ = assignment
    found = import_notebook(path)
    assert found.checks() != found.checks()


def test_the_two_layer_notebook_is_recognized(tmp_path):
    source = solution("two_layer_as_published")
    path = tmp_path / "app.ipynb"
    path.write_bytes(notebook(cells_of(source)))
    found = import_notebook(path)
    assert (found.page, found.names, found.absent) == ("two_layer", {}, ())


def test_missing_functions_are_listed(tmp_path):
    path = tmp_path / "short.ipynb"
    path.write_bytes(notebook(cells_of(solution())[:6]))
    found = import_notebook(path)
    assert tuple(found.functions) == FUNCTIONS[:5]
    assert found.absent == FUNCTIONS[5:]
    assert "# not in this notebook: L_layer_forward, " in found.checks()


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("a.py", b"", UsageError, r"NOTEBOOK must be a \.ipynb file, got .*a\.py"),
        ("a.ipynb", None, DataMissingError, r"a\.ipynb: no such file"),
        ("a.ipynb", b"x", DataError, "must be a notebook, got invalid JSON"),
        ("a.ipynb", b"[]", DataError, "must be a notebook of version 4, got JSON without cells"),
        ("a.ipynb", b'{"worksheets": []}', DataError, "got an older version: save it with Jupyter first"),
        ("a.ipynb", notebook(["def f(): pass"]), DataError, "must define functions of the assignment, got f"),
        ("a.ipynb", notebook([]), DataError, "must define functions of the assignment, got none"),
    ],
)
def test_files_that_cannot_be_imported_are_rejected(name, content, error, words, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        import_notebook(tmp_path / name)
