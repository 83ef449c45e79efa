"""`byhand check` on student files: every planted mistake is named, correct code passes, and no file makes it hang."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from byhand.course import check_file
from byhand.course.check import PAGES, Check, pixel_verdicts
from byhand.course.check.diagnosis import MISTAKES, Evidence, Report, Verdict, close, diagnose
from byhand.course.probes import Function, Probe
from byhand.course.sandbox.runner import Limits
from byhand.errors import DataError, DataMissingError, UsageError
from helpers import in_process
from helpers.needs import needs
from helpers.planted_mistakes import IN_L_LAYER, IN_TWO_LAYER, planted, rounds
from helpers.submissions import notebook
from helpers.tiers import tiers

pytestmark = pytest.mark.usefixtures("quick_sandbox")

ROOT = Path(__file__).parents[1]
KEY = ROOT / "src" / "byhand" / "reference" / "l_layer.py"
STUDENTS = ROOT / "tests" / "students"
QUICK = Limits(call=0.5)
ROUNDS = [("as_the_assignment", mistakes) for mistakes in rounds(IN_L_LAYER)]
ROUNDS += [("two_layer_as_published", mistakes) for mistakes in rounds(IN_TWO_LAYER)]


def student(name="as_the_assignment"):
    return (STUDENTS / f"{name}.py").read_text(encoding="utf-8")


def check(source, tmp_path, **options):
    path = tmp_path / "student.py"
    path.write_text(source, encoding="utf-8")
    return check_file(path, **options)


def statuses(report):
    return {verdict.function: verdict.status for verdict in report.verdicts}


@pytest.mark.parametrize("path", tiers(4, sorted(STUDENTS.glob("*.py"))), ids=lambda path: path.stem)
def test_a_correct_solution_in_any_style_gets_no_false_accusation(path):
    report = check_file(path)
    assert [verdict for verdict in report.verdicts if verdict.status != "right"] == []
    assert len(report.verdicts) >= 12
    assert report.ok
    assert report.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_correct_solution_is_right_for_other_random_numbers(seed):
    for name in ("in_float32", "two_layer_rearranged"):
        assert check_file(STUDENTS / f"{name}.py", seed=seed).ok


@pytest.mark.parametrize(("base", "mistakes"), tiers(len(ROUNDS) - 5, ROUNDS))
def test_each_planted_mistake_is_named_and_no_other_function_is_wrong(base, mistakes, tmp_path):
    report = check(planted(student(base), mistakes), tmp_path)
    named = {function: mistake for function, mistake, *_ in mistakes}
    for verdict in report.verdicts:
        if verdict.function in named:
            assert (verdict.status, verdict.mistakes) == ("wrong", (named[verdict.function],)), verdict
            assert verdict.reason
        else:
            assert verdict.status == "right", verdict
    assert not report.ok


def test_enough_mistakes_are_planted_and_every_name_is_known():
    names = {mistake for _, mistake, *_ in (*IN_L_LAYER, *IN_TWO_LAYER)}
    assert len(names) >= 50
    assert names <= set(MISTAKES)


def test_docs_list_every_mistake():
    listed = re.findall(r"^\| ([^|]+?) \| [^|]+ \|$", (ROOT / "docs" / "check.md").read_text("utf-8"), re.MULTILINE)
    assert listed[1:] == list(MISTAKES)


def test_two_mistakes_in_one_function_are_both_named(tmp_path):
    changes = ("(1./m) * np.sum", "np.sum"), ("np.dot(dZ, H_prev.T)", "np.dot(H_prev, dZ.T)")
    verdict = check(planted(student(), [("layer_backward", "", *changes)]), tmp_path)["layer_backward"]
    assert verdict.mistakes == ("transposed", "1/m missing")
    assert verdict.reason.startswith("dW: transposed")
    assert "; db: 1/m is missing" in verdict.reason


def test_the_evidence_is_a_number_with_its_measured_slope(tmp_path):
    missing = [m for m in IN_L_LAYER if m[:2] == ("layer_backward", "1/m missing")]
    verdict = check(planted(student(), missing), tmp_path)["layer_backward"]
    assert verdict.reason == "dW and db: 1/m is missing: divide the sum over the samples by their number, m"
    assert verdict.evidence.measured == pytest.approx(verdict.evidence.right, rel=1e-5)
    assert verdict.evidence.yours / verdict.evidence.right == pytest.approx(5)
    assert re.fullmatch(r"dW\[\d, \d\]", verdict.evidence.where)
    assert verdict.place.startswith("line ")


@pytest.mark.slow
def test_the_same_file_gets_the_same_report_and_another_seed_other_numbers(tmp_path):
    source = planted(student(), [m for m in IN_L_LAYER if m[:2] == ("compute_loss", "1/m missing")])
    first = check(source, tmp_path)
    assert check(source, tmp_path) == first
    other = check(source, tmp_path, seed=1)
    assert other["compute_loss"].evidence.right != first["compute_loss"].evidence.right
    assert statuses(other) == statuses(first)


@pytest.mark.slow
def test_a_batch_size_taken_from_the_whole_data_is_detected(tmp_path):
    source = student("two_layer_as_published").replace("/kaggle/input/digit-recognizer/train.csv", "mnist_train.csv")
    source = source.replace("    m = Y.size\n", "")
    verdict = check(source, tmp_path)["backward_prop"]
    assert verdict.mistakes == ("divided by all",)
    assert "use the number of samples in this batch" in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "mistakes"), [(" / 255.0", {}), ("", {"X_dev", "X_train"}), (" / 255.0 / 255.0", {"X_dev", "X_train"})]
)
def test_wrongly_scaled_pixels_are_detected(scale, mistakes, tmp_path):
    needs("pandas")
    source = student("two_layer_as_published").replace("/kaggle/input/digit-recognizer/train.csv", "train.csv")
    report = check(source.replace(" / 255.0", scale), tmp_path)
    wrong = [verdict for verdict in report.verdicts if verdict.status == "wrong"]
    assert {verdict.function for verdict in wrong} == set(mistakes)
    for verdict in wrong:
        assert verdict.mistakes == (("pixels scaled twice",) if scale else ("pixels not scaled",))
        assert verdict.evidence.where == f"{verdict.function}.max()"


def test_stubs_are_missing_and_not_wrong(tmp_path):
    stubs = '''
import numpy as np

def sigmoid(Z):
    H = # write your code here
    return H, Z

def relu(Z):
    """Not yet."""
    pass

def softmax(Z):
    raise NotImplementedError

def compute_loss(HL, Y):
    m = Y.shape[1]
    return -np.sum(Y * np.log(HL)) / m
'''
    report = check(stubs, tmp_path)
    assert statuses(report)["compute_loss"] == "right"
    for name in ("sigmoid", "relu", "softmax"):
        assert (report[name].status, report[name].reason) == ("missing", "not written yet")
    assert report["predict"].reason == "not found"
    assert report.counts() == {"right": 1, "wrong": 0, "not run": 0, "missing": 13}
    assert report.ok


def test_a_syntax_error_costs_only_its_own_function(tmp_path):
    report = check(student().replace("dZ[Z <= 0] = 0", "dZ[Z <= 0 = 0"), tmp_path)
    assert [verdict.function for verdict in report.verdicts if verdict.status != "right"] == ["relu_backward"]
    assert re.match("invalid Python: .*", report["relu_backward"].reason)
    assert re.fullmatch(r"line \d+", report["relu_backward"].place)


def test_a_misspelled_function_is_suggested(tmp_path):
    report = check(student().replace("update_parameters", "update_parameter"), tmp_path)
    verdict = report["update_parameters"]
    assert verdict.status == "missing"
    assert verdict.reason == "not found; is update_parameter meant?"


def test_an_exception_is_reported_with_its_line(tmp_path):
    verdict = check(student().replace("np.dot(W, H_prev) + b", "np.dot(W, H_prev) + c"), tmp_path)["layer_forward"]
    assert verdict.mistakes == ("no value",)
    assert verdict.reason == f"c in `Z = np.dot(W, H_prev) + c`: {MISTAKES['no value']}"
    assert "in `Z = np.dot(W, H_prev) + c`" in verdict.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [("np.exp(-Z)", "missing.exp(-Z)"), ("def sigmoid(Z):", "@missing.jit\ndef sigmoid(Z):")],
    ids=["call", "decorator"],
)
def test_a_missing_package_is_not_the_students_mistake(old, new, tmp_path):
    report = check(f"import a_missing_package as missing\n{student().replace(old, new)}", tmp_path)
    assert report["sigmoid"].status == "not run"
    assert report["sigmoid"].reason == "needs a package: No module named 'a_missing_package'"


def test_loss_at_a_probability_of_0_is_a_remark(tmp_path):
    remarks = check(student(), tmp_path)["compute_loss"].remarks
    assert remarks == ("NaN where a probability is exactly 0 and its label too: 0 · log 0",)


MANY_REMARKS = [
    ("softmax", "overflows beyond 709", ("np.exp(Z - np.max(Z, axis=0, keepdims=True))", "np.exp(Z)")),
    ("sigmoid", "overflows beyond 709", ("1/(1+np.exp(-Z))", "np.exp(Z)/(1+np.exp(Z))")),
]


def test_what_is_right_for_ordinary_numbers_is_right_with_a_remark(tmp_path):
    report = check(planted(student(), MANY_REMARKS), tmp_path)
    assert report.ok
    for function, words, _ in MANY_REMARKS:
        assert report[function].status == "right"
        assert words in report[function].remarks[0]


def test_a_one_hot_sized_by_its_labels_and_another_range_are_remarks(tmp_path):
    source = "import numpy as np\ndef one_hot(Y):\n    return np.eye(Y.max() + 1)[Y].T\n"
    source += (
        "def init_params():\n    r = np.random.randn\n    return r(10, 784) * 0.01, r(10, 1), r(10, 10), r(10, 1)\n"
    )
    report = check(source, tmp_path, page="two_layer")
    assert [report[name].status for name in ("one_hot", "init_params")] == ["right", "right"]
    assert "the size depends on the labels" in report["one_hot"].remarks[0]
    assert "another range" in report["init_params"].remarks[0]


CAUSES = [
    ("Z for z", ("np.exp(-Z)", "np.exp(-z)"), "sigmoid", "did you mean Z?"),
    ("NumPy's function", ("np.exp(-Z)", "exp(-Z)"), "sigmoid", "did you mean NumPy's, np.exp?"),
    (
        "one branch",
        ("dZ = sigmoid_backward(dH, activation_memory)", "dZ = dH"),
        "layer_backward",
        'only wrong with activation="sigmoid"',
    ),
    (
        "the number of classes",
        ("    m = Y.shape[1]", "    m = Y.shape[0]"),
        "compute_loss",
        "divided by another size than m",
    ),
    (
        "a loop",
        ("in range(1, L):", "in range(2, L):"),
        "L_layer_forward",
        "these are the numbers of `for l in range(2, L):`",
    ),
    ("in place", ("H = np.maximum(0,Z)", "H = Z; H[H < 0] = 0"), "relu", "Z is changed in place"),
    (
        "a number",
        ("H = np.maximum(0,Z)", "H = np.maximum(1,Z)"),
        "relu",
        "these are the numbers of `H = np.maximum(1, Z)`",
    ),
    ("a factor", ("dW = (1./m)", "dW = (3./m)"), "layer_backward", "dW: 3 times the right value"),
    (
        "b.T",
        ("np.dot(W, H_prev) + b\n", "np.dot(W, H_prev) + b[0]\n"),
        "layer_forward",
        "these are the numbers of `Z = np.dot(W, H_prev) + b[0]`",
    ),
]


@pytest.mark.parametrize(("what", "change", "function", "words"), tiers(2, CAUSES))
def test_each_edit_is_described_by_its_numbers_place_or_case(what, change, function, words, tmp_path, monkeypatch):
    path = tmp_path / "student.py"
    path.write_text(planted(student(), [(function, "", change)]))
    verdict = in_process.check(path, "l_layer", monkeypatch, seed=3)[function]
    assert verdict.status == "wrong", what
    assert any(words in line for line in verdict.words), verdict


@pytest.mark.parametrize(
    ("before", "head", "words"),
    tiers(
        2,
        [
            ("@not_there", "def sigmoid(Z):", "its definition failed: NameError: name 'not_there' is not defined"),
            ("", "def sigmoid(Z, k=K):", "its definition failed: NameError: name 'K' is not defined"),
            ("", "def sigmoid(Z, k=1 / 0):", "its definition failed: ZeroDivisionError: division by zero"),
            ("K = 1\n@K", "def sigmoid(Z):", "its definition failed: TypeError: 'int' object is not callable"),
            ("", "def sigmoid(Z, k=sleep(9)):", "its definition took too long"),
        ],
    ),
)
def test_a_definition_that_fails_affects_only_its_own_function(before, head, words, tmp_path):
    source = student().replace("import numpy as np", "import numpy as np\nfrom time import sleep", 1)
    report = check(source.replace("def sigmoid(Z):", f"{before}\n{head}".lstrip()), tmp_path)
    assert (report["sigmoid"].status, report["sigmoid"].reason) == ("wrong", words)
    assert re.fullmatch(r"line \d+", report["sigmoid"].place)
    assert [verdict.function for verdict in report.verdicts if verdict.status != "right"] == ["sigmoid"]


def test_a_definition_that_fails_inside_a_block_is_reported(tmp_path):
    report = check("if True:\n    @not_there\n    def relu(Z):\n        return Z, Z\n", tmp_path)
    assert report["relu"].reason == "its definition failed: NameError: name 'not_there' is not defined"
    assert report.found


def test_a_blank_whose_definition_fails_is_not_written_yet(tmp_path):
    report = check("@not_there\ndef relu(Z):\n    raise NotImplementedError\n", tmp_path)
    assert (report["relu"].status, report["relu"].reason) == ("missing", "not written yet")


def test_a_copy_whose_definition_fails_does_not_replace_the_first(tmp_path):
    report = check(f"{student()}\n@not_there\ndef relu(Z):\n    return Z, Z\n", tmp_path)
    assert report["relu"].status == "right"


def test_an_annotation_that_cannot_be_evaluated_is_ignored(tmp_path):
    source = student().replace("def sigmoid(Z):", "def sigmoid(Z: Array) -> tuple[Array, Array]:")
    report = check(source.replace("import numpy as np", "import numpy as np\nSCALE: Array = 1", 1), tmp_path)
    assert report.ok
    assert report.notes == ()


WITHOUT_FUNCTIONS = {
    "empty": "",
    "an essay": "My summer holidays\n\nWe went to the sea, and it's been (mostly) sunny.\n",
    "fails at import": "import a_missing_package\n",
    "never ends": "while True: pass\n",
    "exits at once": "import os\nos._exit(0)\n",
    "misspelled": "import numpy as np\ndef softmx(Z):\n    return Z, Z\n",
    "the answer key": "from byhand.reference.l_layer import *\n",
}


@pytest.mark.parametrize("content", tiers(3, [*WITHOUT_FUNCTIONS.values()]), ids=WITHOUT_FUNCTIONS)
def test_a_file_without_one_function_of_the_assignment_is_not_ok(content, tmp_path):
    report = check(content, tmp_path)
    assert (report.found, report.ok) == (False, False)
    assert set(statuses(report).values()) == {"missing"}
    assert report.as_dict()["found"] is False


@pytest.mark.parametrize(
    "content",
    tiers(
        2,
        [
            "def relu(Z):\n    pass\n",
            "def relu(Z):\n    H = # write your code here\n    return H, Z\n",
            "import numpy as np\ndef relu(Z):\n    return np.maximum(Z, 0), Z\n",
            "import numpy as np\none_hot = lambda Y: np.eye(10)[Y].T\n",
        ],
    ),
    ids=["blank", "blank, not Python", "written", "on the other page"],
)
def test_one_function_is_enough_to_be_ok_even_if_blank(content, tmp_path):
    report = check(content, tmp_path)
    assert (report.found, report.ok) == (True, True), report


RELU = "def relu(Z):\n    return np.maximum(0, Z), Z\n"


@pytest.mark.parametrize(
    ("body", "words"),
    tiers(
        9,
        [
            ("sigmoid.n = getattr(sigmoid, 'n', 0) + 1; raise ValueError(sigmoid.n)", "ValueError: 1 in `"),
            ("return (x for x in Z)", "TypeError: must return numbers, got generator"),
            ("return object(), Z", "H: must be an array of shape (3, 5), got object"),
            ("return 'H', 'Z'", "H and Z in the memory: must be an array of shape (3, 5), got a str"),
            ("return Z.astype(object), Z", "H: must be an array of shape (3, 5), got an array of object"),
            ("return [[1], [2, 3]], Z", "H: must be an array of shape (3, 5), got a list"),
            ("return Z[0], Z", "H: must have shape (3, 5), got (5,)"),
            ("while True: pass", "did not end within 0.5 seconds"),
            ("import os; os._exit(3)", "ended the process (exit code 3)"),
            ("import ctypes; ctypes.string_at(0)", "crashed the process (SIGSEGV)"),
            ("print('x' * 50_000_000); return Z, Z", "printed more than 1,048,576 characters"),
            ("import os; os.write(1, b'x' * 50_000_000); return Z, Z", "wrote more than 1,048,576 bytes of output"),
            ("return np.ones((10**6, 10**6)), Z", "needed more than 2 GB of memory"),
            ("raise SystemExit(0)", "SystemExit: 0 in `raise SystemExit(0)`"),
            ("return sigmoid(Z)", "RecursionError: maximum recursion depth exceeded"),
            (
                "import sys; sys.stdin.read(); return Z, None",
                "nothing returned|must be|Z in the memory: nothing is returned",
            ),
            ("import subprocess; subprocess.run(['true'])", "PermissionError: subprocess.Popen is not allowed"),
            ("import os; os.fork()", "PermissionError: os.fork is not allowed"),
            ("import socket; socket.create_connection(('127.0.0.1', 9))", "PermissionError: socket.getaddrinfo is not"),
        ],
    ),
)
@pytest.mark.timing
def test_every_behavior_of_a_function_ends_in_a_verdict(body, words, tmp_path):
    report = check(f"import numpy as np\ndef sigmoid(Z):\n    {body}\n{RELU}", tmp_path, limits=QUICK)
    verdict = report["sigmoid"]
    assert verdict.status == "wrong"
    assert any(part in verdict.reason for part in words.split("|")), verdict.reason
    assert report["relu"].status == "right"
    assert report.counts()["wrong"] == 1


@pytest.mark.parametrize(
    ("returned", "what"),
    tiers(
        3,
        [
            ("{}, {}, {}, {}", "W1 must be an array of numbers, got a dict"),
            ("np.ones((10, 784)), 'b', 1, 2", "b1 must be an array of numbers, got a str"),
            ("np.zeros(0), 1, 2, 3", "W1 must be an array of numbers, got an array of shape (0,)"),
            ("[[1], [1, 2]], 1, 2, 3", "W1 must be an array of numbers, got a list"),
            ("np.zeros((10, 784), complex), 1, 2, 3", "W1 must be an array of numbers, got an array of complex128"),
            ("(lambda: 1), 1, 2, 3", "W1 must be an array of numbers, got function"),
        ],
    ),
)
def test_parameters_that_are_not_numbers_are_wrong(returned, what, tmp_path):
    report = check(f"import numpy as np\ndef init_params():\n    return {returned}\n", tmp_path, page="two_layer")
    assert (report["init_params"].status, report["init_params"].reason) == ("wrong", what)


def test_a_returned_value_that_cannot_be_read_is_wrong(tmp_path, monkeypatch):
    def refuse(value, printed):
        raise TypeError("float() argument must be a real number")

    function = dataclasses.replace(PAGES["two_layer"]["ReLU"], outputs=refuse)
    monkeypatch.setitem(PAGES, "two_layer", dataclasses.replace(PAGES["two_layer"], functions=(function,)))
    verdict = check(student("two_layer_as_published"), tmp_path, page="two_layer")["ReLU"]
    assert verdict.status == "wrong"
    assert verdict.reason == "the returned value can't be used: float() argument must be a real number"


@pytest.mark.slow
def test_after_the_time_limit_of_the_file_nothing_more_is_run(tmp_path):
    endless = re.sub(r"(def \w+\(.*\):\n)", r"\1    while True: pass\n", student())
    report = check(endless, tmp_path, timeout=1.5, limits=QUICK)
    found = statuses(report)
    assert found["sigmoid"] == "wrong"
    assert found["predict"] == "not run"
    assert report["predict"].reason == "the time limit of 1.5 seconds for the file is used up"
    assert set(found.values()) == {"wrong", "not run"}


@pytest.mark.slow
@pytest.mark.timing
def test_a_call_stopped_by_the_time_limit_of_the_file_names_it(tmp_path):
    endless = re.sub(r"(def \w+\(.*\):\n)", r"\1    while True: pass\n", student())
    report = check(endless, tmp_path, timeout=1.5, limits=Limits(call=60))
    first, *others = ((verdict.status, verdict.reason) for verdict in report.verdicts)
    assert first == ("not run", "did not end before the 1.5 seconds for the file were used up")
    assert set(others) == {("not run", "the time limit of 1.5 seconds for the file is used up")}


@pytest.mark.slow
def test_loading_that_takes_the_whole_time_limit_is_reported(tmp_path):
    source = "def slow():\n    while True: pass\nK = [slow(), slow()]\n" + student().replace("np.exp(-Z)", "K")
    report = check(source, tmp_path, timeout=1)
    assert report.notes == ("reading the file did not end before the 1 seconds for the file were used up",)
    assert set(statuses(report).values()) == {"not run"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("K = __import__('os')._exit(0)", "ended the process (exit code 0)"),
        ("K = __import__('ctypes').string_at(0)", "crashed the process (SIGSEGV)"),
        pytest.param(
            "while True:\n    try:\n        K = sleep(9)\n    except BaseException: pass",
            "did not end within 1 seconds",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.timing
def test_a_file_that_ends_the_process_while_loading_is_not_run(line, words, tmp_path):
    source = student().replace("import numpy as np", f"import numpy as np\nfrom time import sleep\n{line}")
    source = source.replace("np.exp(-Z)", "np.exp(-Z + 0 * (K or 0))")
    report = check(source, tmp_path, limits=Limits(load=1))
    assert set(statuses(report).values()) == {"not run"}
    assert words in report["sigmoid"].reason
    assert not report.ok


def test_top_level_statements_are_not_run(tmp_path):
    before = "import sys\nsys.exit(1)\nwhile True: pass\n"
    after = "\nparameters = L_layer_model(None, None, [1])\nprint('x' * 10**9)"
    assert check(before + student() + after, tmp_path).ok


@pytest.mark.slow
@pytest.mark.timing
def test_a_slow_constant_is_skipped_with_a_note(tmp_path):
    source = student().replace("import numpy as np", "import numpy as np, time\nSCALE = time.sleep(60)")
    report = check(source.replace("1/(1+np.exp(-Z))\n    sigmoid", "SCALE/(1+np.exp(-Z))\n    sigmoid"), tmp_path)
    assert report["sigmoid"].mistakes == ("no value",)
    assert report.notes == ("line 4: took too long and was skipped",)


@pytest.mark.parametrize(
    "cheat",
    tiers(
        3,
        [
            "from byhand.reference.l_layer import *",
            "import byhand.reference.l_layer as key\nsigmoid, relu = key.sigmoid, key.relu",
            "import importlib\nkey = importlib.import_module('byhand.reference.l_layer')\nsigmoid = key.sigmoid",
            f"key = {{}}\nexec(open({str(KEY)!r}).read(), key)\nsigmoid = key['sigmoid']",
            "import sys\nkey = sys.modules['byhand.reference.l_layer']\nsigmoid = key.sigmoid",
            "import gc\nsigmoid = next(f for f in gc.get_objects() if getattr(f, '__name__', '') == 'sigmoid')",
        ],
    ),
)
def test_student_code_cannot_import_the_reference(cheat, tmp_path):
    report = check(f"import numpy as np\n{cheat}\n\ndef relu(Z):\n    return np.maximum(0, Z), Z\n", tmp_path)
    assert statuses(report)["relu"] == "right"
    assert {status for name, status in statuses(report).items() if name != "relu"} == {"missing"}


def test_a_notebook_is_checked_cell_by_cell(tmp_path):
    functions = re.split(r"\n(?=def )", student())
    cells = [
        "%matplotlib inline\n!pip install h5py\nimport h5py\n" + functions[0],
        "%%time\n" + functions[1].replace("np.exp(-Z)", "np.exp(Z)"),
        "sigmoid?\nfiles = !ls\nZ = np.arange(8).reshape(4,2)\nprint(sigmoid(Z))",
        "%%bash\nwhile true; do echo; done",
        "this is no Python at all",
        *functions[2:],
        "parameters = L_layer_model(train_set_x, train_set_y, dimensions, num_iterations=2000)",
    ]
    path = tmp_path / "student.ipynb"
    path.write_bytes(notebook(cells))
    report = check_file(path)
    assert [verdict.function for verdict in report.verdicts if verdict.status != "right"] == ["sigmoid"]
    assert report["sigmoid"].mistakes == ("sign of the exponent",)
    assert report["sigmoid"].place == "code cell 2, line 2"
    assert report.notes == ("code cell 5, line 1 is not valid Python: invalid syntax",)


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("a.txt", b"", UsageError, r"FILE must be a \.py or \.ipynb file, got .*a\.txt"),
        ("a.ipynb", b"not json", DataError, r"a\.ipynb: must be a notebook, got invalid JSON"),
        ("a.ipynb", b"[1, 2]", DataError, r"a\.ipynb: must be a notebook, got JSON without cells"),
        ("a.ipynb", b"[" * 100_000, DataError, r"a\.ipynb: must be a notebook, got invalid JSON"),
        ("a.py", b"\xff\xfe", DataError, r"a\.py: must be UTF-8 text, got byte 0xff at 0"),
        ("a.py", None, DataMissingError, r"a\.py: no such file"),
    ],
)
def test_a_file_that_cannot_be_checked_is_rejected_by_name(name, content, error, words, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=words):
        check_file(path)


def test_an_unknown_page_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="page must be one of l_layer, two_layer, got 'cnn'"):
        check(student(), tmp_path, page="cnn")


def test_the_command_describes_the_mistake_and_exits_with_1(run, tmp_path):
    path = tmp_path / "student.py"
    path.write_text(planted(student(), [m for m in IN_L_LAYER if m[:2] == ("compute_loss", "1/m missing")]))
    code, out, err = run("check", path)
    assert (code, err) == (1, "")
    line = 1 + student().splitlines().index("def compute_loss(HL, Y):")
    assert f"✗ compute_loss           wrong  (line {line})" in out
    assert "loss: 1/m is missing: divide the sum over the samples by their number, m" in out
    assert out.endswith("13 right, 1 wrong\n")


@pytest.mark.parametrize("command", [["check"], ["course", "check"]], ids=" ".join)
def test_the_help_explains_the_time_limit(command, run):
    words = " ".join(run(*command, "--help")[1].split())
    assert "in seconds of CPU time; twice that in wall-clock time. One call may take 3 s." in words
    assert (Limits().call, Limits().wall_clock) == (3, 2)


def test_the_command_rejects_other_kinds_of_files(run):
    code, out, err = run("check", "picture.png")
    assert (code, out) == (2, "")
    assert "FILE must be a .py, .ipynb or .safetensors file" in err


def test_close_accepts_float32_rounding_and_nothing_larger():
    right = np.array([1.0, 1000.0])
    assert close(right.astype(np.float32) * (1 + 1e-6), right)
    assert not close(right * 1.001, right)
    assert not close([1.0, 999.0], right)
    assert not close([[1.0, 1000.0]], right)
    assert not close("1", right)
    assert close([np.nan], np.array([np.nan]))
    assert close([1000.0, 0.005], np.array([1000.0, 0.0]))  # 1e-5 of the largest number
    assert not close([1000.0, 0.02], np.array([1000.0, 0.0]))


def test_the_random_numbers_follow_from_the_content_or_the_seed(tmp_path):
    def drawn(source, seed=None):
        path = tmp_path / "student.py"
        path.write_text(source, "utf-8")
        with Check(path, "l_layer", Limits(), seed=seed) as checked:
            return checked.rng.random()

    assert drawn("a = 1\n") == drawn("a = 1\n") != drawn("a = 2\n")
    assert drawn("a = 1\n", seed=3) == drawn("a = 2\n", seed=3) != drawn("a = 2\n", seed=4)


RIGHT = np.array([[1.0, 2.0, -3.0], [4.0, 5.0, 6.0], [7.0, 9.0, 8.0]])
A_NAN = np.where(RIGHT == 5, np.nan, RIGHT)
SHIFTED = np.where(RIGHT == 5, 5.5, RIGHT)


def diagnosis(right, got, m=5):
    relu = Function("relu", lambda value, printed: value, iter, default_message="differs")
    verdict = diagnose([(Probe({}, m=m, right=right), got)], relu, PAGES["l_layer"])
    return verdict.reason, verdict.mistakes, verdict.evidence


@pytest.mark.parametrize(
    ("got", "mistakes"),
    [
        (RIGHT.T, ("transposed",)),
        (RIGHT.ravel(), ("axis lost",)),
        (RIGHT * 5, ("1/m missing",)),
        (RIGHT / 5, ("1/m twice",)),
        (RIGHT * 5 / 7, ("divided by all",)),
        (-RIGHT, ("wrong sign",)),
        (RIGHT * 0, ("zero",)),
        (A_NAN, ("not a number",)),
        (None, ("nothing returned",)),
        (RIGHT * 5 / 3, ("constant factor",)),  # divided by fewer
        (RIGHT * 5 / 6.4, ("constant factor",)),
        (SHIFTED * 5 / 7, ()),
        (SHIFTED, ()),
        (RIGHT.ravel()[:4], ("wrong shape",)),
    ],
)
def test_scale_sign_and_shape_are_recognized_for_any_output(got, mistakes):
    assert diagnosis({"dW": RIGHT}, {"dW": got})[1] == mistakes


def test_a_factor_is_a_mistake_only_with_several_samples():
    assert [diagnosis({"dW": RIGHT}, {"dW": RIGHT * k}, m=1)[1] for k in (2, 1 / 2)] == [("constant factor",)] * 2
    assert diagnosis({"dW": RIGHT}, {"dW": RIGHT * 2}, m=2)[1] == ("1/m missing",)
    assert diagnosis({"dW": RIGHT}, {"dW": RIGHT / 1.5}, m=2)[1] == ("divided by all",)


def test_a_missing_output_is_named_only_without_another_mistake():
    right = {"dW": RIGHT, "db": RIGHT}
    assert diagnosis(right, {"dW": RIGHT})[1] == ("output missing",)
    reason, mistakes, _ = diagnosis(right, {"dW": -RIGHT})
    assert mistakes == ("wrong sign",)
    assert reason == f"dW: {MISTAKES['wrong sign']}"


def test_an_unknown_mistake_is_described_by_factor_shape_or_default():
    reasons = [diagnosis({"Z": RIGHT}, {"Z": got})[0] for got in (RIGHT * 1.25, RIGHT[:2], SHIFTED, {})]
    assert reasons[0] == "Z: 1.25 times the right value: look at the numbers in the formula"
    assert reasons[1] == "Z: must have shape (3, 3), got (2, 3)"
    assert reasons[2] == "Z: differs"
    assert reasons[3] == "Z: must be an array of shape (3, 3), got a dict"


def test_the_evidence_is_the_number_with_the_largest_error():
    assert diagnosis({"Z": RIGHT}, {"Z": SHIFTED})[2] == Evidence("Z[1, 1]", 5.5, 5.0)
    assert diagnosis({"Z": RIGHT}, {"Z": np.where(RIGHT == 2, np.inf, SHIFTED)})[2] == Evidence("Z[0, 1]", np.inf, 2.0)
    assert diagnosis({"Z": RIGHT, "H": RIGHT}, {"Z": RIGHT[0], "H": SHIFTED})[2] == Evidence("H[1, 1]", 5.5, 5.0)
    assert diagnosis({"loss": np.array(2.0)}, {"loss": 3.0})[2] == Evidence("loss", 3.0, 2.0)


def test_a_verdict_has_its_reason_evidence_and_remarks_as_lines():
    verdict = Verdict("relu", "wrong", "reason", evidence=Evidence("Z[0]", 1.0, 2.0), remarks=("remark",))
    assert verdict.words == ("reason", "Z[0]: yours 1, right 2", "remark")
    assert Verdict("relu", "right").words == ()


def test_only_nan_and_infinity_become_texts_in_the_report():
    verdict = Verdict("relu", "wrong", evidence=Evidence("Z[0]", np.inf, 2.0))
    evidence = Report("file", "l_layer", (verdict,)).as_dict()["verdicts"][0]["evidence"]
    assert evidence == {"where": "Z[0]", "yours": "inf", "right": 2.0, "measured": None}


def test_pixels_must_have_a_maximum_between_a_64th_and_1():
    largest = {"a": 1.0, "b": 1.01, "c": 255.0, "d": 1 / 64, "e": 1 / 65, "f": 1e-9, "g": 0.0}
    found = {verdict.function: verdict.mistakes for verdict in pixel_verdicts(largest)}
    too_small, too_large = ("pixels scaled twice",), ("pixels not scaled",)
    assert found == {"b": too_large, "c": too_large, "e": too_small, "f": too_small}
