"""The sandbox, part by part: messages between the processes, selected statements, limits."""

import io
import os
import re
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from byhand.course import sandbox
from byhand.course.sandbox import runner, slicing
from byhand.course.sandbox.runner import Limits, Outcome, Student, flatten, is_overfull, locked, remove_abandoned
from byhand.errors import UsageError
from helpers.attacks import ATTACKS, VALUES, hostile_files

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
arrays = npst.arrays(
    st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?"]), npst.array_shapes(min_dims=0, min_side=0), elements={}
)


def sent(value):
    return sandbox.receive(io.BytesIO(sandbox.packed(value)))


@given(plain)
def test_plain_values_arrive_unchanged(value):
    arrived = sent(value)
    assert arrived == value
    assert type(arrived) is type(value)


@given(arrays)
def test_arrays_arrive_unchanged(array):
    arrived = sent({"a": (array, array.T)})["a"]
    for one, right in zip(arrived, (array, array.T), strict=True):
        assert (one.dtype, one.shape) == (right.dtype, right.shape)
        np.testing.assert_array_equal(one, right)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (object(), "object"),
        (lambda: 0, "function"),
        (np.array([object()]), "an array of object"),
        (np.array(["a"]), "an array of <U1"),
        (2**80, "a very large int"),
        ({1: 2}, "dict"),
        (1j, "complex"),
    ],
)
def test_a_value_that_cannot_be_sent_arrives_as_its_type(value, what):
    assert sent([value, 1]) == [sandbox.Unsendable(what), 1]


def test_a_list_that_contains_itself_can_be_sent():
    endless = []
    endless.append(endless)
    assert "Unsendable" in str(sent(endless))


def message(tree, blob=b""):
    return io.BytesIO(struct.pack(">II", len(tree), len(blob)) + tree + blob)


@pytest.mark.parametrize(
    "stream",
    [
        message(b'{"a": ["<f8", [1000000000000], 8]}', b"12345678"),
        message(b'{"a": ["<f8", [-1, -1], 8]}', b"12345678"),
        message(b'{"a": ["O", [1], 8]}', b"12345678"),
        message(b'{"a": ["<f8", [1], 8]}', b"1234"),
        message(b'{"a": ["<f8,<f8", [1], 16]}', b"1234567812345678"),
        message(b'{"x": 1}'),
        message(b'{"t": 1}'),
        message(b"{}"),
        message(b"not json"),
        message(b"[" * 100_000),
        message(b'{"d": [[]]}'),
        io.BytesIO(struct.pack(">II", 2**31, 2**31)),
    ],
)
def test_an_invalid_message_is_rejected_before_memory_is_allocated(stream):
    with pytest.raises(sandbox.BrokenMessageError):
        sandbox.receive(stream)


def test_a_truncated_message_raises_eof_error():
    whole = sandbox.packed([1, np.ones(4)])
    for size in range(len(whole)):
        with pytest.raises(EOFError):
            sandbox.receive(io.BytesIO(whole[:size]))


def kept(source, *wanted):
    pieces, broken = slicing.cut([source])
    assert not broken
    return [piece.node.lineno for piece in slicing.worth_running(pieces, wanted)]


def test_only_statements_that_the_function_needs_are_kept():
    source = """\
import numpy as np
import pandas as pd
SCALE = 0.1
data = pd.read_csv("x.csv")
TABLE = {}
TABLE["relu"] = SCALE
TABLE.update(a=1)
def helper(x): return x * SCALE
def other(data): return pd.concat(data)
def wanted(Z, data=None): return np.abs(helper(Z)) + TABLE["relu"]
print(wanted(3))
while True: pass
np.random.seed(1)
"""
    assert kept(source, "wanted") == [1, 3, 5, 6, 7, 8, 10]


def test_a_local_name_does_not_keep_a_global_statement():
    source = "parameters = train()\ndef train(): pass\ndef wanted(X):\n    parameters = 1\n    return parameters\n"
    assert kept(source, "wanted") == [3]


def test_names_in_defaults_decorators_and_inner_functions_are_kept():
    source = "A = 1\nB = 2\nC = 3\n@C\ndef wanted(x=A):\n    def inner(): return B\n    return inner\n"
    assert kept(source, "wanted") == [1, 2, 3, 5]


def test_a_definition_inside_an_if_statement_is_found():
    assert kept("import x\nif True:\n    def wanted(): return x\n", "wanted") == [1, 2]


def test_a_syntax_error_affects_only_its_own_statement():
    source = '''\
def first(): return """
text at the margin
"""
def second(:
    pass
@decorated
def third():
    return 1
try:
    A = 1
except ValueError:
    A = 2
H = # write your code here
'''
    pieces, broken = slicing.cut([source])
    assert [piece.node.lineno for piece in pieces] == [1, 7, 9]
    assert [(one.line, one.names, one.stub) for one in broken] == [(4, ("second",), False), (13, (), True)]


@given(st.text(alphabet="def f():\n x=1+\"'#[]@\t", max_size=60))
def test_any_text_can_be_split_into_statements(text):
    slicing.cut([text])


def test_a_function_can_be_replaced_by_the_reference():
    source = "def inner(x, y=2): return x * y\ndef outer(x): return inner(x) + inner(y=5, x=x)\n"
    asked = []

    def answer(arguments, keywords):
        asked.append((arguments, keywords))
        return 100

    with Student([source], ["inner", "outer"], Limits(), {}) as student:
        assert student.call("outer", [3]).value == 21
        assert student.call("outer", [3], answers={"inner": answer}).value == 200
        assert student.call("outer", [3]).value == 21
    assert asked == [([], {"x": 3, "y": 2}), ([], {"x": 3, "y": 5})]


@pytest.mark.parametrize(
    "argument", [[2500, 2501], 10**9, (-6000,), {"sizes": [3, 9000]}, [[0] * 2000] * 3, np.ones((2, 1001))]
)
def test_the_reference_is_not_asked_for_enormous_networks_or_trainings(argument):
    """It runs in the grader, whose memory and time are not limited."""
    question = {"ask": "inner", "arguments": [argument], "keywords": {}}
    answered = []
    reply = runner._answer(question, {"inner": lambda *arguments: answered.append(arguments)})
    assert (reply, answered) == ({"error": "unknown function, or an argument is too large"}, [])


def test_changed_arguments_are_reported():
    source = "def f(a, b): a[0] = 7; return b\ndef g(d): d['new'] = 1"
    with Student([source], ["f", "g"], Limits(), {}) as student:
        outcome = student.call("f", [np.zeros(2), np.ones(2)])
        assert outcome.changed == [0]
        assert student.call("g", [{"old": 0}]).changed == [0]


def test_output_below_python_is_limited_per_process():
    source = "import os\ndef f(): os.write(1, b'x' * 3_000_000)\ndef g(): os.write(2, b'x'); return 1"
    with Student([source], ["f", "g"], Limits(), {}) as student:
        assert student.call("f").died == "wrote more than 1,048,576 bytes of output"
        assert student.call("g").value == 1


def test_a_call_after_a_crash_gets_a_new_process():
    with Student(["import os\ndef f(x): os._exit(x)\ndef g(): return 1"], ["f", "g"], Limits(), {}) as student:
        assert student.call("f", [4]).died == "ended the process (exit code 4)"
        assert student.call("g").value == 1


def test_the_working_folder_is_empty_and_removed_afterwards():
    source = "import os\ndef f():\n    open('note', 'w').write('x')\n    return os.getcwd(), sorted(os.listdir('.'))"
    with Student([source], ["f"], Limits(), {"given": b"1"}) as student:
        folder, names = student.call("f").value
    assert names == ["given", "note"]
    assert not Path(folder).exists()


def test_working_folders_of_killed_processes_are_removed(tmp_path):
    pytest.importorskip("fcntl")
    folders = [tmp_path / f"byhand-check-{name}" for name in ("killed", "running", "new", "link")]
    for folder in folders[:3]:
        folder.mkdir()
        (folder / "file").touch()
    for folder in folders[:2]:
        os.utime(folder, (0, 0))
    folders[3].symlink_to(tmp_path)
    held = locked(folders[1])
    remove_abandoned(tmp_path)
    os.close(held)
    assert [folder.exists() for folder in folders] == [False, True, True, True]


@pytest.mark.slow
def test_a_folder_of_three_thousand_levels_can_be_removed(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for _ in range(3000):
        os.mkdir("deep")
        os.chdir("deep")
    os.chdir(tmp_path)
    assert is_overfull("work")
    flatten(Path("work"))
    shutil.rmtree("work")


def test_a_folder_is_overfull_by_files_or_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "MAX_FILES", 2)
    monkeypatch.setattr(runner, "MAX_FILE_BYTES", 10)
    for name, size, expected in (("a", 5, False), ("b", 5, False), ("b", 6, True), ("b", 0, False), ("c", 0, True)):
        (tmp_path / name).write_bytes(bytes(size))
        assert is_overfull(str(tmp_path)) is expected, name


def test_a_reply_with_a_large_tree_is_rejected():
    message = sandbox.packed([1] * 100)
    assert sandbox.receive(io.BytesIO(message)) == [1] * 100
    with pytest.raises(sandbox.BrokenMessageError):
        sandbox.receive(io.BytesIO(message), 100)


@pytest.mark.usefixtures("quick_sandbox")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this boundary")
def test_the_kernel_closes_the_process_below_python():
    source = f"""\
def f():
    import ctypes
    libc = ctypes.CDLL(None)
    return [libc.socket(1, 1, 0), libc.fork(), libc.open({str(Path(__file__))!r}.encode(), 0)]
"""
    with Student([source], ["f"], Limits(), {}) as student:
        student.load()
        if student.no_boundary:
            pytest.skip(f"no boundary here: {student.no_boundary}")
        assert student.call("f").value == [-1, -1, -1]


def test_a_file_is_not_run_without_a_required_boundary(monkeypatch):
    monkeypatch.setattr(Student, "_start", lambda self: None)
    monkeypatch.setattr(Student, "_ask", lambda *_: Outcome("it needs Linux"))
    with Student([], [], Limits(boundary=True), {}) as student, pytest.raises(UsageError, match="it needs Linux"):
        student.load()


def test_the_table_in_security_has_the_numbers_of_the_attacks():
    page = (Path(__file__).parents[1] / "SECURITY.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ([a-z ]+): .*\| (\d+ \| \d+ \| \d+) \|$", page, re.MULTILINE))
    expected = {}
    for kind in dict.fromkeys(one.kind for one in ATTACKS):
        stopped = [one.stopped for one in ATTACKS if one.kind == kind]
        expected[kind] = f"{len(stopped)} | {len(stopped)} | {stopped.count('everywhere')}"
    for kind, files in (("values", VALUES), ("files", hostile_files(Path(), Path()))):
        expected[kind] = f"{len(files)} | {len(files)} | {len(files)}"
    assert rows == expected


def test_plotting_code_runs_without_matplotlib():
    source = """\
import matplotlib.pyplot as plt
from matplotlib import cm
def f():
    line, = plt.plot([1, 2])
    figure, axes = plt.subplots(2, 3, figsize=(4, 4))
    axes[1, 2].imshow([[1]], cmap=cm.gray)
    figure, (left, right) = plt.subplots(1, 2)
    figure, ax = plt.subplots()
    ax.set(title="a").legend()["x"] = 1
    with plt.style.context("dark"):
        plt.show()
    return 1
"""
    with Student([source], ["f"], Limits(), {}) as student:
        assert student.call("f").value == 1
