"""`byhand course check`: the public checks, a line about the hidden ones, and the time limit of a call."""

import itertools
import json
import subprocess
import sys
import time
from functools import partial

import pytest

from byhand.course import check_file
from byhand.course.sandbox.__main__ import TooSlowError, _time_limit
from byhand.course.sandbox.runner import Limits, Student
from helpers.submissions import FUNCTIONS, STUB, cells_of, first, instead, notebook, solution
from helpers.tiers import tiers

pytestmark = pytest.mark.usefixtures("quick_sandbox")


@pytest.fixture
def run(run):
    """Type `byhand course check …` in an empty folder: (exit code, stdout, stderr)."""
    return partial(run, "course", "check")


HIDDEN = (
    "Hidden checks were not run: the grader tests the same functions with other numbers, and may run additional "
    "checks.\n"
)


@pytest.mark.parametrize(
    ("cells", "code", "sentence", "counts"),
    tiers(
        1,
        [
            (
                cells_of(solution()),
                0,
                "All public checks passed. Train your network and draw digits: byhand play me.ipynb\n",
                "14 right\n",
            ),
            (
                [*cells_of(solution())[:3], *(STUB.format(name) for name in FUNCTIONS[2:])],
                0,
                "The public checks passed for all functions written so far; `byhand course next` shows the next one.\n",
                "2 right, 12 missing\n",
            ),
            (
                cells_of(instead("relu", "return np.abs(Z), Z")),
                1,
                "Not all public checks passed.\n",
                "13 right, 1 wrong\n",
            ),
        ],
    ),
)
def test_success_never_hides_that_hidden_checks_were_not_run(run, cells, code, sentence, counts, tmp_path):
    (tmp_path / "me.ipynb").write_bytes(notebook(cells))
    status, out, err = run("me.ipynb")
    assert (status, err) == (code, "")
    assert out.endswith(f"{counts}\n{sentence}{HIDDEN}")
    if code:
        assert "✗ relu                   wrong  (code cell 3, line 1)\n" in out
        assert "H: this is the absolute value: relu is 0 where Z is negative" in out


def test_a_slow_machine_does_not_stop_a_function_that_calls_others(tmp_path, monkeypatch):
    passed = iter(range(10**6))
    monkeypatch.setattr("byhand.course.sandbox.runner.time.monotonic", lambda: next(passed) / 10)
    path = tmp_path / "me.py"
    path.write_text(instead("relu", "return np.abs(Z), Z"))
    assert check_file(path)["L_layer_model"].status == "right"


@pytest.mark.parametrize("exported", [False, True], ids=["notebook", "exported"])
def test_functions_outside_graded_cells_are_used_but_not_checked(exported, tmp_path):
    source = solution().replace("np.exp(Z - np.max(Z, axis=0, keepdims=True))", "np.exp(Z)")
    source = source.replace("np.maximum(0,Z)", "2 * np.maximum(0,Z)")  # even a wrong one
    cells = [
        cell if cell.startswith(("def relu(", "def softmax(")) else f"#Graded\n{cell}" for cell in cells_of(source)
    ]
    path = tmp_path / ("me.py" if exported else "me.ipynb")
    path.write_bytes("\n".join(f"# In[1]:\n\n\n{cell}" for cell in cells).encode() if exported else notebook(cells))
    report = check_file(path)
    assert [one.function for one in report.verdicts] == [name for name in FUNCTIONS if name not in ("relu", "softmax")]
    assert {one.status for one in report.verdicts} == {"right"}
    assert report.notes == ("outside the #Graded cells, so used but not checked: relu and softmax",)


def test_a_stub_outside_the_graded_cells_is_still_to_be_written(tmp_path):
    graded = [f"#Graded\n{cell}" for cell in cells_of(solution())[2:]]
    path = tmp_path / "me.ipynb"
    path.write_bytes(notebook([cells_of(solution())[0], STUB.format("sigmoid"), *graded]))
    assert check_file(path)["sigmoid"].status == "missing"


def test_a_notebook_without_known_functions_does_not_pass(run, tmp_path):
    (tmp_path / "me.ipynb").write_bytes(notebook(["import numpy as np", "def softmx(Z): return Z, Z"]))
    code, out, err = run("me.ipynb")
    assert (code, err) == (1, "")
    assert "checks passed" not in out
    sentence = "me.ipynb has no function of the assignment\n"
    assert out.endswith(f"14 missing\n{sentence}\nNothing was checked.\n{HIDDEN}")


def test_json_output_has_the_same_verdicts(run, tmp_path):
    (tmp_path / "me.py").write_text(instead("sigmoid", "return Z * np.nan, Z"))
    code, out, _ = run("me.py", "--json")
    assert code == 1

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    report = json.loads(out, parse_constant=refuse)
    assert report["hidden_checks"] == "not run"
    assert report["verdicts"][0]["mistakes"] == ["not a number"]
    assert report["verdicts"][0]["evidence"]["yours"] == "nan"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        (
            "nowhere.ipynb",
            3,
            "nowhere.ipynb: no such file; `byhand course start` writes the notebooks to this folder\n",
        ),
        ("picture.png", 2, "NOTEBOOK must be a .ipynb or .py file, got "),
        (".", 2, "NOTEBOOK must be a .ipynb or .py file, got "),
    ],
)
def test_a_path_that_is_not_a_notebook_is_rejected(run, name, code, words):
    status, out, err = run(name)
    assert (status, out) == (code, "")
    assert words in err


def test_the_argument_defaults_to_the_course_notebook_in_this_folder(run, tmp_path):
    missing = "byhand: network.ipynb: no such file; `byhand course start` writes the notebooks to this folder\n"
    assert run() == (3, "", missing)
    (tmp_path / "network.ipynb").write_bytes(notebook(["import numpy as np", RIGHT]))
    code, out, _ = run()
    assert code == 0
    assert out.startswith("network.ipynb: functions of byhand.reference.l_layer\n")
    assert "1 right, 13 missing\n" in out


def statuses(tmp_path, *cells):
    (tmp_path / "me.ipynb").write_bytes(notebook(["import numpy as np", *cells]))
    return {verdict.function: verdict.status for verdict in check_file(tmp_path / "me.ipynb").verdicts}


RIGHT, WRONG = "def relu(Z):\n    return np.maximum(Z, 0), Z\n", "def relu(Z):\n    return Z, Z\n"
BLANKS = (
    "def relu(Z):\n    pass\n",
    "def relu(Z):\n    n = Z.shape[0]\n    # write your code here\n    raise NotImplementedError('relu')\n",
    "def relu(Z):\n    H = # write your code here\n    return H, Z\n",
    "def relu(Z):\n    return np.maximum(Z 0), Z\n",
)


@pytest.mark.parametrize(
    "blank", [*BLANKS[1:3], *(pytest.param(blank, marks=pytest.mark.slow) for blank in BLANKS[::3])]
)
def test_a_blank_or_broken_copy_does_not_hide_the_other(blank, tmp_path):
    assert statuses(tmp_path, RIGHT, blank)["relu"] == "right"
    assert statuses(tmp_path, blank, RIGHT)["relu"] == "right"


def test_of_two_written_copies_the_last_one_counts(tmp_path):
    assert statuses(tmp_path, RIGHT, WRONG)["relu"] == "wrong"
    assert statuses(tmp_path, WRONG, RIGHT)["relu"] == "right"
    assert check_file(tmp_path / "me.ipynb").notes == (
        "relu is written 2 times, in code cell 2 and code cell 3: the last one counts",
    )


def test_a_function_that_returns_before_raising_counts_as_written(tmp_path):
    early = "def relu(Z):\n    return np.maximum(Z, 0), Z\n    raise NotImplementedError\n"
    assert statuses(tmp_path, early)["relu"] == "right"


@pytest.mark.slow
@pytest.mark.parametrize("line", ["while True: sigmoid(Z)", "while True: pass"])
@pytest.mark.timing
def test_an_endless_call_is_stopped_also_if_it_calls_other_functions(line, tmp_path):
    (tmp_path / "me.py").write_text(first("layer_forward", f"Z = b\n    {line}"))
    report = check_file(tmp_path / "me.py", limits=Limits(call=0.5))
    assert report["layer_forward"].reason == "did not end within 0.5 seconds"
    assert [verdict.function for verdict in report.verdicts if verdict.status != "right"] == ["layer_forward"]


#: Keeps to one CPU, beside the function of `COUNTING`.
SPINNING = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
COUNTING = """
import os
def sigmoid(Z):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for _ in range(int(Z)): pass
    return Z, Z
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the processor time of another process")
@pytest.mark.slow
@pytest.mark.timing
def test_a_call_beside_nine_busy_processes_is_not_stopped():
    """Half a second of computing takes five seconds there: more than twice the limit."""
    command = [sys.executable, "-c", SPINNING]
    busy = [subprocess.Popen(command, start_new_session=True) for _ in range(9)]
    try:
        began = time.process_time()  # measured beside them: another thread of the same core makes it slower
        for _ in range(1_000_000):
            pass
        count = round(500_000 / (time.process_time() - began))
        with Student([COUNTING], ["sigmoid"], Limits(call=1.0), {}) as student:
            assert student.call("sigmoid", [count]).value == (count, count)
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the processor time of another process")
@pytest.mark.slow
@pytest.mark.timing
def test_waiting_for_a_processor_does_not_count_towards_the_time_limit():
    """Use a sleeping process in place of one that waits for a busy processor."""
    cells = ["import time\ndef sigmoid(Z):\n    time.sleep(float(Z))\n    return Z, Z\n"]
    with Student(cells, ["sigmoid"], Limits(call=0.4, wall_clock=4), {}) as student:
        assert student.call("sigmoid", [0.8]).value == (0.8, 0.8)
        assert student.call("sigmoid", [1e6]).died == "did not end within 0.4 seconds"


@pytest.mark.slow
def test_a_pause_of_this_process_does_not_count_towards_the_time_limit(monkeypatch):
    cells = ["import time\ndef sigmoid(Z):\n    time.sleep(float(Z))\n    return Z, Z\n"]
    with Student(cells, ["sigmoid"], Limits(call=0.5, wall_clock=4), {}) as student:
        student.load()
        clock, pauses = student._clock, itertools.chain([0], itertools.repeat(100))  # 100 s after the call began
        monkeypatch.setattr(student, "_clock", lambda: clock() + next(pauses))
        assert student.call("sigmoid", [0.5]).value == (0.5, 0.5)


def spin():
    while True:
        pass


def test_a_top_level_statement_has_a_limit_of_cpu_time():
    with _time_limit(0.05, wall_clock=1000), pytest.raises(TooSlowError):
        spin()
    with _time_limit(0.05, wall_clock=1000):
        time.sleep(0.1)  # as on a busy machine: only the clock runs
    with _time_limit(0.05, wall_clock=1), pytest.raises(TooSlowError):
        time.sleep(60)
