"""The lessons: text, pictures, checks, and the notebooks, which a Jupyter kernel runs from top to bottom."""

import inspect
import json
import re
import runpy
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import byhand
from byhand.course.check import PAGES
from byhand.course.notebooks import LESSONS, lesson_of, release
from helpers.needs import needs
from helpers.planted_mistakes import IN_L_LAYER, IN_TWO_LAYER, planted

pytestmark = pytest.mark.usefixtures("quick_sandbox")

NETWORK, TWO_LAYER = LESSONS
ROOT = Path(__file__).parents[1]
STUDENTS = ROOT / "tests" / "students"
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@each_lesson
def test_the_syllabus_has_the_checked_functions_in_order_and_100_points(lesson):
    page = PAGES[lesson.page]
    given = {"one_hot"} if lesson is NETWORK else set()
    assert [task.name for task in lesson.tasks] == [f.name for f in page.functions if f.name not in given]
    assert sum(task.points for task in lesson.tasks) == 100
    assert lesson_of(lesson.page) is lesson


@each_lesson
def test_each_function_is_explained_then_written_then_checked(lesson):
    marks = []
    for cell in release.lesson_source(lesson.name):
        marks += re.findall(r"<!-- task (\w+) -->", cell.text) if cell.is_markdown else [cell.graded, cell.checks]
    assert [mark for mark in marks if mark] == [name for task in lesson.tasks for name in (task.name,) * 3]


@each_lesson
def test_stubs_have_the_parameters_of_the_reference(lesson):
    for cell in release.lesson_source(lesson.name):
        if cell.graded:
            key = inspect.unwrap(getattr(PAGES[lesson.page].module, cell.graded)).__code__
            names = re.findall(r"(\w+)(?:=[^,)]+)?[,)]", re.search(r"def \w+\((.*)\):", cell.text)[1] + ")")
            assert names == list(key.co_varnames[: key.co_argcount])


@each_lesson
def test_jupytext_reads_the_same_cells(lesson):
    jupytext = needs("jupytext")
    path = ROOT / "src" / "byhand" / "course" / "lessons" / f"{lesson.name.replace('-', '_')}.py"
    theirs = jupytext.read(path, fmt="py:percent").cells
    ours = release.lesson_source(lesson.name)
    assert [(cell.source.strip(), cell.cell_type == "markdown") for cell in theirs] == [
        (cell.text, cell.is_markdown) for cell in ours
    ]


@each_lesson
def test_every_image_is_drawn_and_has_an_alternative_text(lesson):
    seen = 0
    for cell in release.lesson_source(lesson.name):
        for found in release._PICTURE.finditer(cell.text):
            svg = ElementTree.fromstring(release.picture(found["kind"], found["what"]))
            assert svg.tag == "{http://www.w3.org/2000/svg}svg"
            assert float(svg.get("width")) <= 800
            assert len(found["words"]) > 20
            seen += 1
        assert "](drawing" not in release._PICTURE.sub("", cell.text)
    assert seen >= 9


def test_the_drawings_are_up_to_date_and_all_are_used():
    tool = runpy.run_path(str(ROOT / "tools" / "make_drawings.py"))
    assert tool["main"](check=True) == 0
    text = "".join(cell.text for lesson in LESSONS for cell in release.lesson_source(lesson.name))
    assert set(re.findall(r"drawing:(\w+)", text)) == set(tool["DRAWINGS"])


def test_sides_that_must_match_are_drawn_with_equal_length():
    """The columns of W in W · H_prev are as long as the rows of H_prev."""
    shapes = runpy.run_path(str(ROOT / "tools" / "make_drawings.py"))["shapes"]
    boxes = re.findall(r"width='([\d.]+)' height='([\d.]+)' rx='3'", shapes("W[n,n_prev] · H_prev[n_prev,m]"))
    assert boxes[0][0] == boxes[1][1]


def solved_names(lesson):
    """Return the names of a finished notebook: helpers, one_hot, and every function."""
    names = {}
    for cell in release.lesson_source(lesson.name):
        is_given = "def compare" in cell.text or "def one_hot" in cell.text or "def draw_loss" in cell.text
        if cell.graded or (is_given and not cell.is_markdown):
            exec(cell.text.split("\ntrain_set_x, ")[0], names)
    names["plt"] = None
    return names


def checks_of(lesson):
    """Return each function's check by name, including the hidden part."""
    return {cell.checks: cell.text for cell in release.lesson_source(lesson.name) if cell.checks}


@each_lesson
def test_right_functions_pass_every_check_without_output(lesson, capsys):
    names = solved_names(lesson)
    for _ in range(5):
        for text in checks_of(lesson).values():
            exec(text, dict(names))  # warnings are errors; nbgrader gives 0 points if anything is on stderr
    assert capsys.readouterr() == ("", "")


OTHER_STYLES = {
    "loss, safe from 0": (
        NETWORK,
        """def compute_loss(HL, Y):
    return -np.sum(Y * np.log(HL + 1e-8)) / Y.shape[1]""",
    ),
    "loss, clipped": (
        NETWORK,
        """def compute_loss(HL, Y):
    return -np.sum(Y * np.log(np.clip(HL, 1e-7, 1 - 1e-7))) / Y.shape[1]""",
    ),
    "backward, into HL": (
        NETWORK,
        """def L_layer_backward(HL, Y, memories):
    dZ, gradients = HL, {}
    dZ -= Y
    for l in range(len(memories), 0, -1):
        linear_memory, activation_memory = memories[l - 1]
        if l < len(memories):
            dZ = relu_backward(gradients[f"dH{l}"].copy(), activation_memory)
        (gradients[f"dH{l - 1}"], gradients[f"dW{l}"], gradients[f"db{l}"]) = layer_backward_of(dZ, linear_memory)
    return gradients


def layer_backward_of(dZ, memory):
    H_prev, W, b = memory
    return W.T @ dZ, dZ @ H_prev.T / dZ.shape[1], dZ.mean(axis=1, keepdims=True)""",
    ),
    "momentum, in place": (
        NETWORK,
        """def update_with_momentum(parameters, gradients, velocities, learning_rate, momentum=0.9):
    for name in parameters:
        velocities[name] *= momentum
        velocities[name] += gradients["d" + name]
        parameters[name] -= learning_rate * velocities[name]
    return parameters, velocities""",
    ),
    "backward, into A2": (
        TWO_LAYER,
        """def backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y):
    m, dZ2 = Y.size, A2
    dZ2[Y, np.arange(m)] -= 1
    dZ1 = (W2.T @ dZ2) * (Z1 > 0)
    return dZ1 @ X.T / m, dZ1.mean(1, keepdims=True), dZ2 @ A1.T / m, dZ2.mean(1, keepdims=True)""",
    ),
    "drawn with another generator, in another order": (
        TWO_LAYER,
        """def init_params():
    rng = np.random.default_rng()
    W1, W2 = rng.uniform(-0.5, 0.5, (10, 784)), rng.uniform(-0.5, 0.5, (10, 10))
    return W1, rng.random((10, 1)) - 0.5, W2, rng.random((10, 1)) - 0.5""",
    ),
}


@pytest.mark.parametrize("style", OTHER_STYLES)
def test_right_functions_in_other_styles_pass_every_check(style):
    lesson, source = OTHER_STYLES[style]
    names = solved_names(lesson)
    exec(source, names)
    for _ in range(3):
        for text in checks_of(lesson).values():
            exec(text, dict(names))


def test_momentum_that_updates_nothing_is_wrong():
    names = solved_names(NETWORK)
    exec(
        """def update_with_momentum(parameters, gradients, velocities, learning_rate, momentum=0.9):
    v = {name: momentum * velocities[name] + gradients["d" + name] for name in velocities}
    return {name: parameters[name] - learning_rate * v[name] for name in parameters}, v""",
        names,
    )
    with pytest.raises(AssertionError, match="must update the dictionaries it is given"):
        exec(checks_of(NETWORK)["update_with_momentum"], names)


def test_initial_biases_of_equal_sign_pass_the_check():
    names, check = solved_names(TWO_LAYER), checks_of(TWO_LAYER)["init_params"]
    np.random.seed(459)  # all ten biases have the same sign: one seed in 512
    assert len(set(np.sign(names["init_params"]()[1].ravel()))) == 1
    np.random.seed(459)
    exec(check, names)


def test_initial_weights_that_make_every_relu_dead_pass_the_check():
    names, check = solved_names(TWO_LAYER), checks_of(TWO_LAYER)["gradient_descent"]
    np.random.seed(83)  # three seeds in a thousand lead to dead ReLUs only
    exec(check, names)


@each_lesson
def test_a_stub_fails_its_check_with_instructions(lesson):
    names = solved_names(lesson)
    for cell in release.student(lesson)["cells"]:
        source = "".join(cell["source"])
        if source.startswith("#Graded"):
            name = re.search(r"def (\w+)", source)[1]
            assert "# write your code here" in source
            broken = dict(names)
            exec(source, broken)
            with pytest.raises(NotImplementedError, match=f"{name} is not written yet: put your code in place of this"):
                exec(checks_of(lesson)[name], broken)


@pytest.mark.parametrize(
    ("lesson", "base", "mistakes"),
    [(NETWORK, "as_the_assignment", IN_L_LAYER), (TWO_LAYER, "two_layer_as_published", IN_TWO_LAYER)],
    ids=["network", "two-layer"],
)
def test_the_checks_catch_every_planted_mistake(lesson, base, mistakes):
    right = (STUDENTS / f"{base}.py").read_text("utf-8")
    checks, missed = checks_of(lesson), []
    for mistake in mistakes:
        if mistake[0] not in checks:
            continue  # one_hot is handed out
        names = solved_names(lesson)
        source = re.search(rf"^def {mistake[0]}\(.*?(?=^\S|\Z)", planted(right, [mistake]), re.MULTILINE | re.DOTALL)[0]
        exec(source, names)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(checks[mistake[0]], names)
            missed.append(mistake[:2])
        except Exception:
            pass
    assert not missed


def test_the_compare_function_names_the_difference():
    names = solved_names(NETWORK)
    compare, parts = names["compare"], names["parts"]
    compare("H", [1.0, 2.0], [1.0, 2.0 + 1e-9])
    for yours, right, sentence in (
        (None, [1.0], "H is None: is something returned?"),
        ([[1.0]], [1.0], r"H must have the shape \(1,\), yours has \(1, 1\)"),
        ([[1.0, 2.5]], [[1.0, 2.0]], r"H\[0, 1\] must be 2, yours is 2.5"),
        ([np.nan], [1.0], r"H\[0\] must be 1, yours is nan"),
        (3.0, 2.0, "^H must be 2, yours is 3$"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            compare("H", yours, right)
    with pytest.raises(AssertionError, match="must return H, memory, in this order"):
        parts(1.0, "H", "memory")


def run(notebook, folder, digits, cuts=()):
    """Run a notebook with a kernel in `folder`; return each cell's output by its id, and the error or None."""
    nbformat = needs("nbformat")
    nbclient = needs("nbclient")
    needs("ipykernel")
    (folder / "digits.npz").write_bytes(release.packed(digits))
    text = json.dumps(notebook)
    for old, new in cuts:
        assert old in text
        text = text.replace(old, new)
    book = nbformat.reads(text, 4)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # the kernel's own warnings do not count
        patch.delenv("MPLBACKEND", raising=False)
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            patch.setenv(name, "1")  # two threads on a busy machine are seven times slower
        client = nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}})
        error = None
        try:
            client.execute()
        except nbclient.exceptions.CellExecutionError as stopped:
            error = stopped
    printed = {
        cell.id: "".join(one.get("text", "") for one in cell.outputs if one.get("name") == "stdout")
        for cell in book.cells
        if cell.cell_type == "code"
    }
    errors = [one.text for cell in book.cells for one in cell.get("outputs", ()) if one.get("name") == "stderr"]
    assert not errors
    return printed, error


ONLY_500 = (("NUM_ITERATIONS = 2000", "NUM_ITERATIONS = 500"),)
PASSED = "{}: the public checks pass (hidden ones are not run here)\n"


def all_pass(lesson, printed):
    return [printed[f"check-{task.name}".replace("_", "-")] for task in lesson.tasks] == [
        PASSED.format(task.name) for task in lesson.tasks
    ]


@pytest.mark.slow
def test_the_solved_notebook_runs_from_top_to_bottom_on_the_bundled_sample(tmp_path):
    printed, error = run(release.student(NETWORK, solved=True), tmp_path, byhand.load("mnist-5k"), ONLY_500)
    assert error is None
    assert all_pass(NETWORK, printed)
    everything = "".join(printed.values())
    losses = re.findall(r"Loss after iteration \d+: ([\d.]+)", everything)
    assert losses == ["2.424653", "2.131932", "1.883358", "1.616479", "1.364004", "2.410799", "2.106240"]
    full_batch, batches = (re.findall(r"Accuracy: ([\d.]+)", everything)[k] for k in (1, 3))
    assert 0.73 < float(full_batch) < 0.77
    assert 0.91 < float(batches) < 0.94


def test_the_text_quotes_the_losses_that_the_tests_check():
    text = " ".join(" ".join(cell.text for cell in release.lesson_source("network")).split())
    assert "2.422624 at iteration 0, 2.129232 at 100, 1.876095 at 200, … 0.457054 at 1900" in text
    assert "2.424653, 2.131932, 1.883358, … 0.439419" in text


@pytest.mark.slow
@pytest.mark.full_mnist
def test_the_solved_notebook_has_the_published_losses_on_the_full_mnist(tmp_path, full_mnist):
    book = release.student(NETWORK, solved=True)
    last = next(k for k, cell in enumerate(book["cells"]) if "NUM_ITERATIONS = 2000" in "".join(cell["source"]))
    book["cells"] = book["cells"][: last + 1]
    printed, error = run(book, tmp_path, full_mnist, ONLY_500)
    assert error is None
    everything = "".join(printed.values())
    assert "train_set_x shape: (784, 50000)\ntrain_set_y shape: (10, 50000)\n" in everything
    assert "test_set_x shape: (784, 10000)\ntest_set_y shape: (10, 10000)\n" in everything
    losses = re.findall(r"Loss after iteration \d+: ([\d.]+)", everything)
    assert losses[:3] == ["2.422624", "2.129232", "1.876095"]
    assert len(losses) == 5


@pytest.mark.slow
def test_the_solved_two_layer_notebook_runs_from_top_to_bottom(tmp_path):
    cuts = (("ITERATIONS = 500", "ITERATIONS = 101"),)
    printed, error = run(release.student(TWO_LAYER, solved=True), tmp_path, byhand.load("mnist-5k"), cuts)
    assert error is None
    assert all_pass(TWO_LAYER, printed)
    accuracies = [float(one) for one in re.findall(r"accuracy: ([\d.]+)", "".join(printed.values()))]
    assert accuracies[0] < 0.25
    assert accuracies[-1] > 0.5


@pytest.mark.slow
@each_lesson
def test_the_students_notebook_stops_at_its_first_stub_with_instructions(lesson, tmp_path):
    printed, error = run(release.student(lesson), tmp_path, byhand.load("mnist-5k"))
    first = lesson.tasks[0]
    assert error.ename == "NotImplementedError"
    assert error.evalue == f"{first.name} is not written yet: put your code in place of this line"
    assert not [name for name, text in printed.items() if name.startswith("check") and text]


def test_without_its_data_the_notebook_names_the_command_that_writes_it(tmp_path):
    names = {}
    source = next(cell.text for cell in release.lesson_source("network") if "def load_data" in cell.text)
    exec(source.split("def show")[0], {"os": __import__("os"), "np": np}, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match="must be next to this notebook: `byhand course start` writes it"):
            names["load_data"]()
