"""`byhand check` accepts correct code of any layout, with decorators, plots and output."""

import sys
from pathlib import Path

import pytest

from byhand.course import check_file
from byhand.course.notebooks import plain
from byhand.errors import DataError
from helpers.submissions import notebook
from helpers.tiers import tiers

pytestmark = pytest.mark.usefixtures("quick_sandbox")

STUDENTS = Path(__file__).parent / "students"


def solution(*changes, base="as_the_assignment"):
    """A correct solution, with each `old` replaced by its `new`."""
    source = (STUDENTS / f"{base}.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source


def check(content, tmp_path, name="student.py"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_file(path)


RELU = "import numpy as np\ndef relu(Z):\n    return np.maximum(0, Z), Z\n"


def relu_is_right(*arguments):
    return check(*arguments)["relu"].status == "right"


def faults(report):
    """Return the reasons of everything that is not right, by function."""
    return {verdict.function: verdict.reason for verdict in report.verdicts if verdict.status != "right"}


PERCENT = """\
print("Loss after iteration %i: %f"
      % (i, loss))
total = 17 \\
    % 5
TEXT = '''
! not a command
%matplotlib inline
'''
odd = [n for n in range(9)  # (
       if n
       % 2]
"""


def test_a_percent_sign_inside_a_statement_is_not_a_magic():
    assert plain(PERCENT) == PERCENT


def test_ipython_lines_are_found_at_every_start_of_a_statement():
    source = """%matplotlib inline
!echo it's (
f = g(1,
      2)
if f:
    %time f()
files = !ls
x = y % 3 # "
np.sum?
? np
"""
    ours = """pass
pass
f = g(1,
      2)
if f:
    pass
pass
x = y % 3 # "
pass
pass
"""
    assert plain(source) == ours


def test_an_open_bracket_affects_only_its_statement():
    source = "print((1)\ndef f():\n    %time g()\n    return 1\n"
    assert plain(source) == source.replace("%time g()", "pass")


def test_a_continuation_line_with_a_percent_sign_is_python(tmp_path):
    source = solution(('%i: %f" % (i', '%i: %f"\n                  % (i'))
    assert faults(check(notebook([source]), tmp_path, "student.ipynb")) == {}


@pytest.mark.parametrize("name", ["student.py", "student.ipynb"])
def test_line_numbers_count_only_the_line_endings_of_python(name, tmp_path):
    mark = "\f# \u2028# \x85'''\v\x1c'''"
    source = f"import numpy as np\n{mark}\nSCALE = 1\ndef scaled(Z):\n    return Z * SCALE\n{mark}\n"
    source += "def relu(Z):\n    return np.maximum(0, scaled(Z)), Z\ndef sigmoid(Z):\n    return 1 / 0, Z\n"
    report = check(notebook([source]) if name.endswith("ipynb") else source, tmp_path, name)
    assert report["relu"].status == "right"
    assert (report["sigmoid"].place, report["sigmoid"].reason[-20:]) == ("line 10", "in `return 1 / 0, Z`")


@pytest.mark.parametrize("end", tiers(1, ["\r\n", "\r"]))
def test_line_endings_of_every_system_are_read(end, tmp_path):
    assert relu_is_right(RELU.replace("\n", end), tmp_path)
    source = f"%matplotlib inline\n{RELU}".replace("\n", end)
    assert relu_is_right(notebook([source]), tmp_path, "student.ipynb")


@pytest.mark.parametrize("encoding", tiers(2, ["latin-1", "cp1252", "utf-8", "utf-8-sig", "no-such-encoding"]))
def test_a_python_file_may_declare_its_encoding(encoding, tmp_path):
    known = "utf-8" if encoding == "no-such-encoding" else encoding
    text = f"# -*- coding: {encoding} -*-\n# größer\n{RELU}"
    assert relu_is_right(text.encode(known), tmp_path)


@pytest.mark.parametrize(
    ("encoding", "words"), [("ascii", "ASCII text, got byte 0xf6 at 21"), ("hex", "HEX text, got 'hex' is not a text")]
)
def test_a_file_that_declares_a_wrong_encoding_is_rejected(encoding, words, tmp_path):
    with pytest.raises(DataError, match=f"must be {words}"):
        check(f"# coding: {encoding:>6}\n# gr\xf6ßer".encode("latin-1"), tmp_path)


@pytest.mark.parametrize("name", ["student.PY", "student.Ipynb"])
def test_a_file_suffix_may_be_in_capitals(name, tmp_path):
    assert relu_is_right(notebook([RELU]) if name.endswith("b") else RELU, tmp_path, name)


DATACLASS = """
from dataclasses import dataclass

@dataclass
class Settings:
    scale: float = 0.1

SETTINGS = Settings()
"""


def test_a_dataclass_can_be_defined(tmp_path):
    source = solution(("import numpy as np\n", f"import numpy as np\n{DATACLASS}"), ("* 0.1", "* SETTINGS.scale"))
    report = check(source, tmp_path)
    assert (faults(report), report.notes) == ({}, ())


DECORATORS = """
import time

def timed(f):
    def wrapper(*args, **kwargs):
        began = time.time()
        try:
            return f(*args, **kwargs)
        finally:
            wrapper.seconds = time.time() - began
    return wrapper

"""


def test_a_decorator_with_any_arguments_is_accepted(tmp_path):
    source = solution(("\ndef ", "\n@timed\ndef ")).replace(
        "\nimport matplotlib", f"\n{DECORATORS}import matplotlib", 1
    )
    assert faults(check(source, tmp_path)) == {}


def test_a_mistake_in_a_decorated_function_is_found(tmp_path):
    source = solution(("def relu(", "@timed\ndef relu("), ("np.maximum(0,Z)", "np.abs(Z)"))
    source = source.replace("\nimport matplotlib", f"\n{DECORATORS}import matplotlib", 1)
    assert set(faults(check(source, tmp_path))) == {"relu"}


def test_unnamed_arguments_are_passed_in_the_order_of_the_assignment(tmp_path):
    source = solution(
        ("def update_parameters(parameters, gradients, learning_rate):", "def update_parameters(*given):"),
        (
            "def update_parameters(*given):",
            "def update_parameters(*given):\n    parameters, gradients, learning_rate = given",
        ),
    )
    assert faults(check(source, tmp_path)) == {}


@pytest.mark.parametrize(
    "words",
    tiers(
        1,
        [
            'f"Accuracy: {a} on {m} samples"',
            '"Accuracy: %.2f (%d of %d)" % (a, a * m, m)',
            'f"Accuracy: {a}\\nPredictions: {probas}"',
            'f"The ACCURACY of {m} samples: {100 * a:.0f} % (before: 0.1)"',
            'f"accuracy: {a:e}, layer 2"',
            'f"Accuracy: {round(a * m)}/{m} = {a}"',
            'f"{m} samples, right: {a}"',
            'f"Accuracy:\\n{a}\\n----- layer 2 -----"',
        ],
    ),
)
def test_the_accuracy_is_found_in_any_printed_text(words, tmp_path):
    line = 'print("Accuracy: " + str(np.sum((probas == y_label)/m)))'
    source = solution((line, f"a = np.mean(probas == y_label); print({words})"))
    assert faults(check(source, tmp_path)) == {}
    false = source.replace("a = np.mean(", "a = 0.9 * np.mean(")
    assert set(faults(check(false, tmp_path))) == {"predict"}


DRAWN = [
    "line, = plt.plot(np.squeeze(losses))",
    "first, second = plt.plot(losses, losses, losses, losses)",
    "fig, ax = plt.subplots(); line, = ax.plot(losses)",
    "fig, (a, b, c) = plt.subplots(1, 3); a.plot(losses)",
    "fig, axes = plt.subplots(2, 2); [ax.plot(losses) for ax in axes.flat]",
    "a, b = plt.figure().subplots(1, 2); a.plot(losses)",
    "ax = plt.figure().subplots(); ax.plot(losses)",
    "n, bins, patches = plt.hist(losses)",
    "plt.ylim(0, max(3, plt.ylim()[1] * 1.1)); low, high = plt.xlim(); plt.xlim(low - 1, np.float64(2) * high)",
    "left, *others = plt.gcf().axes",
    "[plt.text(bar.get_x() + bar.get_width() / 2, 1, f'{bar.get_height():.2f}') for bar in plt.bar([1], [2])]",
    "display(losses); get_ipython().run_line_magic('matplotlib', 'inline')",
    "fig, ax = pylab.subplots(); ax.plot(losses)",
    "plt.gca().xaxis.set_major_locator(MaxNLocator(integer=True))",
]


@pytest.mark.parametrize("name", ["import matplotlib.pyplot as plt", "from matplotlib import pyplot as plt"])
def test_plots_do_not_count_as_mistakes(name, tmp_path):
    more = "\nimport matplotlib.pylab as pylab\nfrom matplotlib.ticker import MaxNLocator"
    source = solution(
        ("import matplotlib.pyplot as plt", name + more), ("plt.plot(np.squeeze(losses))", "; ".join(DRAWN))
    )
    assert faults(check(source, tmp_path)) == {}


@pytest.mark.slow
def test_training_may_print_ten_times_for_any_number_of_iterations(tmp_path):
    source = solution(("if print_loss and i % 100 == 0:", "if i % (num_iterations // 10) == 0:"))
    assert faults(check(source, tmp_path)) == {}
    source = solution(("if i % 10 == 0:", "if i % (iterations // 10) == 0:"), base="two_layer_as_published")
    assert faults(check(source, tmp_path)) == {}


ONLY_H = [
    ("    sigmoid_memory = Z\n    return H, sigmoid_memory", "    return H"),
    ("    relu_memory = Z\n    return H, relu_memory", "    return H"),
    ("H, activation_memory = sigmoid(Z)", "H, activation_memory = sigmoid(Z), Z"),
    ("H, activation_memory = relu(Z)", "H, activation_memory = relu(Z), Z"),
]


def test_a_function_is_right_if_it_fits_the_students_other_functions(tmp_path):
    assert set(faults(check(solution(*ONLY_H), tmp_path))) == {"sigmoid", "relu"}


@pytest.mark.parametrize(
    ("table", "entry"),
    tiers(
        1,
        [
            ("ACTIVATIONS = {'relu': relu}", "ACTIVATIONS['relu']"),
            ("from functools import partial\nrectify = partial(relu)", "rectify"),
            ("ReLU = relu", "ReLU"),
            ("class Layer:\n    activation = staticmethod(relu)", "Layer.activation"),
        ],
    ),
)
def test_a_wrong_function_is_replaced_at_every_reference(table, entry, tmp_path):
    source = solution(
        ("np.maximum(0,Z)", "np.abs(Z)"),
        ("\ndef layer_forward", f"\n{table}\n\ndef layer_forward"),
        ("H, activation_memory = relu(Z)", f"H, activation_memory = {entry}(Z)"),
    )
    assert set(faults(check(source, tmp_path))) - {"ReLU"} == {"relu"}


def test_a_function_with_another_name_is_reported_with_its_line(tmp_path):
    report = check("import numpy as np\n\ndef rectify(Z):\n    return np.abs(Z), Z\n\nrelu = rectify\n", tmp_path)
    assert report["relu"].place == "line 3"


def test_a_function_may_count_its_calls(tmp_path):
    source = solution(
        ("\ndef softmax", "\nrelu.calls = 0\n\ndef softmax"),
        ("    relu_memory = Z", "    relu.calls += 1\n    relu_memory = Z"),
    )
    assert faults(check(source, tmp_path)) == {}


def test_a_blank_that_is_redefined_is_not_a_blank(tmp_path):
    blank = "import numpy as np\nfrom functools import partial\ndef relu(Z):\n    pass"
    written = "def above(least, Z):\n    return np.maximum(least, Z), Z\nrelu = partial(above, 0)"
    assert check(notebook([blank, written]), tmp_path, "student.ipynb")["relu"].status == "right"


@pytest.mark.parametrize(
    ("head", "call"),
    tiers(
        1,
        [
            ("H_prev, W, b, activation='relu', verbose=False", ""),
            ("H_prev, W, b, activation='relu', verbose=False", ", verbose=True"),
            ("H_prev, W, b, verbose=False, activation='relu'", ""),
            ("H, W, b, activation='relu', verbose=False", ""),
            ("H_prev, W, b, act='relu', verbose=False", ""),
        ],
    ),
)
def test_extra_arguments_are_dropped_when_the_reference_replaces_a_function(head, call, tmp_path):
    names = [one.split("=")[0] for one in head.split(", ")]
    source = solution(
        ("def layer_forward(H_prev, W, b, activation='relu'):", f"def layer_forward({head}):"),
        ("np.dot(W, H_prev) + b", "np.dot(W, H_prev) - b"),
        (", activation='softmax')\n    memories", f", activation='softmax'{call})\n    memories"),
        ("str(l)], activation='relu')", f"str(l)], activation='relu'{call})"),
    )
    if "act" in names:
        source = source.replace("], activation=", "], act=")
    assert set(faults(check(source, tmp_path))) == {"layer_forward"}


@pytest.mark.parametrize(
    ("returned", "page"),
    tiers(1, [("E / E.sum(axis=0), Z", "l_layer"), ("E / E.sum(axis=0)", "two_layer"), ("None", "l_layer")]),
)
def test_if_both_pages_match_the_one_with_more_passes_counts(returned, page, tmp_path):
    source = f"import numpy as np\n\ndef softmax(Z):\n    E = np.exp(Z - Z.max(axis=0))\n    return {returned}\n"
    source += "\ndef one_hot(Y):\n    return np.eye(10)[Y].T\n"
    assert check(source, tmp_path).page == page


# ---- what a notebook expects around it

READ_WITH = {
    "open": "rows = open({path}).readlines()[1:]\ndata = np.array([list(map(int, row.split(','))) for row in rows])",
    "loadtxt": "data = np.loadtxt({path}, delimiter=',', skiprows=1, dtype=int)",
    "exists": "if os.path.exists({path}):\n    data = np.genfromtxt({path}, delimiter=',', max_rows=9).repeat(200, 0)",
}
PATHS = (
    *("'/kaggle/input/digit-recognizer/train.csv'", "'data/train.csv'", "'../dataset/train.csv'"),
    *("os.path.join('/content/drive/MyDrive', 'train.csv')", "'/content/sample_data/train.csv'"),
)
WHOLE_BATCH = """\
import os
import numpy as np
{data}
m, n = data.shape
def relu(Z):
    return np.maximum(0, Z) * (m > 1000), Z
"""


def test_data_are_found_under_any_path(tmp_path):
    assert relu_is_right(WHOLE_BATCH.format(data=READ_WITH["open"].format(path=PATHS[0])), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("reader", READ_WITH)
def test_data_are_found_by_every_way_of_reading(path, reader, tmp_path):
    assert relu_is_right(WHOLE_BATCH.format(data=READ_WITH[reader].format(path=path)), tmp_path)


@pytest.mark.parametrize(
    "line",
    ["%pylab inline", *tiers(0, ["from pylab import *", "from matplotlib.pylab import *", "from numpy import *"])],
)
def test_names_of_a_star_import_are_known(line, tmp_path):
    source = f"{line}\ndef relu(Z):\n    return maximum(0, Z) + 0 * exp(-abs(Z)), Z\n"
    assert relu_is_right(notebook([source]), tmp_path, "student.ipynb")


def test_functions_in_a_module_beside_the_notebook_are_checked(tmp_path):
    (tmp_path / "network.py").write_text(f"import numpy as np\n\ndef sigmoid(Z):\n    return 1 / 0, Z\n\n{RELU}")
    report = check(notebook(["import network as nn\nfrom network import relu"]), tmp_path, "student.ipynb")
    assert report["relu"].status == "right"
    assert (report["sigmoid"].status, report["sigmoid"].place) == ("wrong", "network.py, line 4")


def test_a_cell_that_writes_a_module_is_read(tmp_path):
    cells = [f"%%writefile layers.py\n{RELU}", "from layers import *"]
    assert relu_is_right(notebook(cells), tmp_path, "student.ipynb")


@pytest.mark.parametrize("head", ["class Network:", "def main():"])
def test_a_function_inside_a_class_or_function_is_located(head, tmp_path):
    report = check(f"{head}\n    def relu(Z):\n        return Z, Z\n", tmp_path)
    kind, name = ("class", "Network") if "class" in head else ("function", "main")
    assert report["relu"].reason == f"not found at the top level, only inside the {kind} {name} (line 1): move it out"


def test_the_syntax_of_a_newer_python_is_named(tmp_path):
    report = check(f"type Array = list\n{RELU}\ndef sigmoid[T](Z: T):\n    return Z, Z\n", tmp_path)
    assert report["relu"].status == "right"
    if sys.version_info < (3, 12):
        assert "newer versions of Python than 3.11 may accept it" in report["sigmoid"].reason
