"""`byhand course import`: existing notebooks of the assignment can then be checked and graded."""

import json
import re
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
    assert (
        "initialize_parameters  not written yet     6 points  code cell 12, named init_weights here: please confirm\n"
        in out
    )
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
    assert checks.of == 100
    mark = mark_file(Submission("student", tmp_path / "student.ipynb"), checks)
    assert {item.name for item in mark.items if not item.points} == {"relu"}


def test_a_notebook_with_answers_is_reported(run, tmp_path):
    path = tmp_path / "solved.ipynb"
    path.write_bytes(notebook([*cells_of(solution()), "def load_data():\n    return 1\n"]))
    code, out, err = run(path)
    assert (code, err) == (0, "14 of 14 graded functions are filled in: this copy contains the answers\n")
    assert "the notebook to hand out" not in out


GIVEN = ("sigmoid", "relu", "softmax", "sigmoid_backward", "relu_backward", "L_layer_model", "predict")
POINTS = {"initialize_parameters": 10, "layer_forward": 15, "L_layer_forward": 15, "compute_loss": 10}
POINTS |= {"layer_backward": 15, "L_layer_backward": 15, "update_parameters": 10}  # 90 in all


def starter(folder, *, solved=False, marks=True, stated=POINTS):
    """Write the assignment as it is handed out: half of its functions are given, softmax among them overflows."""
    source = solution().replace("np.exp(Z - np.max(Z, axis=0, keepdims=True))", "np.exp(Z)")
    cells = ["import numpy as np\nimport matplotlib.pyplot as plt\n%matplotlib inline"]
    cells.append("".join(body_of(name, source) for name in GIVEN[:3]))
    for name in FUNCTIONS[3:]:
        text = body_of(name, source)
        if name in POINTS:
            text = text if solved else blank(name, source).removeprefix("#Graded\n\n")
            if not solved and name == "compute_loss":
                text = "def compute_loss(HL, Y):\n    ### YOUR CODE ###\n    loss = None\n    return loss\n"
            head = f"#Graded ({stated[name]} points)\n" if name in stated else "#Graded\n"
            text = f"{head if marks else ''}\n{text}"
        cells.append(text)
    path = folder / f"{'solved' if solved else 'blank'}.ipynb"
    path.write_bytes(notebook(cells))
    return path


def test_the_blank_assignment_earns_0_and_the_solution_100(run, tmp_path):
    path = starter(tmp_path)
    code, out, err = run(path)
    assert (code, err) == (0, "")
    assert "softmax                given              no points  code cell 2\n" in out
    assert "layer_forward          not written yet  16.7 points  code cell 4\n" in out
    assert "compute_loss           incomplete       11.1 points  code cell 6\n" in out
    assert "points: the notebook's, scaled from 90 to 100\n" in out
    assert "blank.byhand.ipynb: the notebook to hand out; " in out
    checks = read_checks(tmp_path / "blank_checks.py")
    assert list(checks.points) == list(POINTS)
    copies = path, tmp_path / "blank.byhand.ipynb", starter(tmp_path, solved=True)
    marks = [mark_file(Submission(copy.name, copy), checks) for copy in copies]
    assert [round(mark.points, 6) for mark in marks] == [0, 0, 100]


def test_importing_a_copy_again_changes_nothing(tmp_path):
    first = import_notebook(starter(tmp_path))
    out, _ = first.write(tmp_path / "copy.ipynb", force=True)
    again = import_notebook(out)
    assert (again.notebook, again.points, again.given) == (first.notebook, first.points, first.given)
    assert again.given == GIVEN


@pytest.mark.slow
def test_without_marks_the_written_functions_of_a_blank_notebook_are_given(tmp_path):
    found = import_notebook(starter(tmp_path, marks=False))
    assert found.given == GIVEN
    assert sum(found.points.values()) == 100
    marked = [cell for cell in found.notebook["cells"] if "".join(cell["source"]).startswith("#Graded\n")]
    assert len(marked) == len(POINTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stated", "points", "words"),
    [
        ({**POINTS, "compute_loss": 20}, {**POINTS, "compute_loss": 20}, "points: the notebook's"),
        ({}, None, "points: the notebook states none, so those of byhand's course, scaled to 100"),
        (
            {name: 1 for name in POINTS if name != "update_parameters"},
            None,
            "points: the notebook's and, for update_parameters, those of byhand's course, scaled to 100",
        ),
    ],
    ids=["all", "none", "one"],
)
def test_points_are_the_notebooks_own_and_always_100(stated, points, words, tmp_path):
    found = import_notebook(starter(tmp_path, stated=stated))
    assert round(sum(found.points.values()), 6) == 100
    assert points is None or found.points == points
    assert found.lines()[-1] == words


@pytest.mark.slow
@pytest.mark.parametrize("place", ["text", "solution cell", "test cell"])
def test_points_are_read_from_the_text_and_from_nbgrader(place, tmp_path):
    path = starter(tmp_path, stated={})
    content = json.loads(path.read_bytes())
    cells = []
    for cell in content["cells"]:
        name = re.search(r"^def (\w+)", "".join(cell["source"]), re.MULTILINE)
        points = POINTS.get(name[1]) if name else None
        own = {"nbgrader": {"grade": True, "points": points}}
        if points and place == "text":
            cells.append({"cell_type": "markdown", "metadata": {}, "source": f"### Exercise, {points} points"})
        if points and place == "solution cell":
            cell["metadata"] = own
        cells.append(cell)
        if points and place == "test cell":
            cells.append({**cell, "metadata": own, "source": "assert True"})
    path.write_text(json.dumps({**content, "cells": cells}))
    assert import_notebook(path).own_points == POINTS


@pytest.mark.slow
def test_a_filled_function_with_a_mark_gets_no_points_and_is_reported(run, tmp_path):
    path = starter(tmp_path)
    source = body_of("update_parameters", solution())
    content = json.loads(path.read_bytes())
    (cell,) = (one for one in content["cells"] if "def update_parameters" in one["source"])
    cell["source"] = f"#Graded\n{source}"
    path.write_text(json.dumps(content))
    _, _, err = run(path)
    assert err == (
        "update_parameters is filled in, but marked #Graded: no points; if students must write it, empty it and import "
        "the notebook again\n"
    )
    checks = read_checks(tmp_path / "blank_checks.py")
    assert "update_parameters" not in checks.points
    assert "update_parameters" not in [one.function for one in check_file(tmp_path / "blank.byhand.ipynb").verdicts]


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
