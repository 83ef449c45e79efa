"""Synthetic submissions of the assignment: correct in several styles, wrong in known ways, broken, and hostile.

Each has the content of the file or folder, and the functions that must get points (`None`: it cannot be graded).
`few()` are for the tests, `many(n)` repeats and varies them for the long run.
"""

import json
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

from helpers.planted_mistakes import IN_L_LAYER, planted, rounds

STUDENTS = Path(__file__).parents[1] / "students"
STYLES = ("as_the_assignment", "in_einsum", "in_float32", "in_loops")
FUNCTIONS = (
    *("sigmoid", "relu", "softmax", "initialize_parameters", "layer_forward", "L_layer_forward", "compute_loss"),
    *("sigmoid_backward", "relu_backward", "layer_backward", "L_layer_backward", "update_parameters"),
    *("L_layer_model", "predict"),
)
ALL = frozenset(FUNCTIONS)
TOO_LARGE = 65 * 2**20


@dataclass(frozen=True)
class Synthetic:
    """A submission: its name in the folder, its content, and the functions that must be right."""

    name: str
    content: "bytes | dict[str, bytes]"
    right: "frozenset[str] | None"
    student: str = ""  # the name in the table; if empty, the file name without its suffix


def solution(style="as_the_assignment"):
    return (STUDENTS / f"{style}.py").read_text("utf-8")


def body_of(function, source):
    return re.search(rf"^def {function}\b.*\n(?:[ \t].*\n?|\n)*", source, re.MULTILINE)[0]


def instead(function, lines, source=None):
    """Return the solution with another body for one function; the lines are indented here."""
    source = solution() if source is None else source
    head = re.match(r"def .*\n", body_of(function, source))[0]
    body = "".join(f"    {line}\n" for line in lines.split("\n"))
    return source.replace(body_of(function, source), head + body + "\n")


def first(function, line):
    """Return the solution with a line inserted at the start of one function."""
    head = re.match(r"def .*\n", body_of(function, solution()))[0]
    return solution().replace(head, f"{head}    {line}\n")


def cells_of(source):
    return re.split(r"\n(?=def )", source)


def notebook(cells):
    code = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell} for cell in cells
    ]
    title = {"cell_type": "markdown", "metadata": {}, "source": "# Neural network"}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [title, *code]}).encode()


def without(*functions):
    return frozenset(ALL - set(functions))


STUB = "def {}(*arguments):\n    # write your code here\n    raise NotImplementedError\n"


def correct():
    for style in STYLES:
        yield Synthetic(f"{style}.py", solution(style).encode(), ALL)
    yield Synthetic("in cells.ipynb", notebook(cells_of(solution("in_einsum"))), ALL)
    head, *functions = cells_of(solution())
    yield Synthetic("upside down.ipynb", notebook([*functions[::-1], head]), ALL)
    training = (
        "parameters = L_layer_model(train_set_x, train_set_y, [784, 45, 10], num_iterations=2000)\nwhile True: pass"
    )
    magic = "%matplotlib inline\n!pip install numpy\n"
    yield Synthetic("trains for long.ipynb", notebook([magic + head, *functions, training]), ALL)


def with_mistakes():
    for number, mistakes in enumerate(rounds(IN_L_LAYER), 1):
        wrong = {function for function, *_ in mistakes}
        yield Synthetic(f"mistakes {number:02}.py", planted(solution(), mistakes).encode(), without(*wrong))


def single_mistakes():
    for number, mistake in enumerate(IN_L_LAYER, 1):
        yield Synthetic(f"mistake {number:03}.py", planted(solution(), [mistake]).encode(), without(mistake[0]))


def incomplete():
    head, *functions = cells_of(solution())
    stubs = [STUB.format(name) for name in FUNCTIONS]
    yield Synthetic("nothing written.ipynb", notebook([head, *stubs]), frozenset())
    yield Synthetic("half written.ipynb", notebook([head, *functions[:7], *stubs[7:]]), frozenset(FUNCTIONS[:7]))
    yield Synthetic("deleted cells.ipynb", notebook([head, *functions[:3], *functions[5:]]), without(*FUNCTIONS[3:5]))
    yield Synthetic("deleted all.ipynb", notebook([]), frozenset())
    yield Synthetic("copied, blank last.ipynb", notebook([head, *functions, stubs[2], stubs[9]]), ALL)
    wrong = "def relu(Z):\n    return Z, Z\n"
    yield Synthetic("copied, right last.ipynb", notebook([head, wrong, *functions]), ALL)
    yield Synthetic("copied, wrong last.ipynb", notebook([head, *functions, wrong]), without("relu"))
    broken = solution().replace("dZ[Z <= 0] = 0", "dZ[Z <= 0 = 0")
    yield Synthetic("one syntax error.py", broken.encode(), without("relu_backward"))
    yield Synthetic("no functions.py", b"print('hello')\n", frozenset())


def unreadable():
    yield Synthetic("no json.ipynb", b"PK\x03\x04 this was a zip", None)
    yield Synthetic("no cells.ipynb", b'{"a": 1}', None)
    yield Synthetic("zero bytes.ipynb", b"", None)
    yield Synthetic("no text.py", b"\xff\xfe\x00\x01", None)
    yield Synthetic("an essay.pdf", b"%PDF-1.4", None)
    yield Synthetic("too large.ipynb", b" " * TOO_LARGE, None)
    yield Synthetic("packed.zip", b"PK\x03\x04", None)
    yield Synthetic("two notebooks", {"a.ipynb": notebook([]), "b/b.ipynb": notebook([])}, None, "two notebooks")
    yield Synthetic("empty folder", {}, None, "empty folder")
    yield Synthetic("zero bytes of Python.py", b"", frozenset())


def in_folders():
    files = {"work/solution.ipynb": notebook(cells_of(solution())), "data.csv": b"1,2", ".hidden.ipynb": b"x"}
    yield Synthetic("in a folder", files, ALL, "in a folder")
    yield Synthetic("in a folder, Python.d", {"solution.py": solution().encode()}, ALL, "in a folder, Python.d")


def endless():
    yield Synthetic("hangs.py", instead("sigmoid", "while True: pass").encode(), without("sigmoid"))
    yield Synthetic(
        "asleep.py", first("layer_backward", "import time; time.sleep(10**6)").encode(), without("layer_backward")
    )


def hostile():
    yield Synthetic("prints without end.py", first("relu", "while True: print('x' * 10**5)").encode(), without("relu"))
    yield Synthetic(
        "much memory.py", first("softmax", "return np.ones((10**6, 10**6)), Z").encode(), without("softmax")
    )
    yield Synthetic("goes.py", first("predict", "import os; os._exit(0)").encode(), without("predict"))
    yield Synthetic("crashes.py", first("relu", "import ctypes; ctypes.string_at(0)").encode(), without("relu"))
    yield Synthetic("forks.py", first("relu", "import os\n    while True: os.fork()").encode(), without("relu"))
    yield Synthetic("kills.py", first("relu", "import os; os.kill(os.getppid(), 9)").encode(), without("relu"))
    yield Synthetic("shell.py", first("relu", "import os; os.system('true')").encode(), without("relu"))
    network = "import socket; socket.create_connection(('127.0.0.1', 9))"
    yield Synthetic("network.py", first("relu", network).encode(), without("relu"))
    gone = solution().replace("import numpy as np", "import numpy as np\nK = __import__('os')._exit(0)")
    yield Synthetic("goes at once.py", gone.replace("np.", "(K or np).").encode(), frozenset())
    markup = "raise ValueError('<script>alert(1)</script>\\n=1+1')"
    yield Synthetic("markup.py", first("relu", markup).encode(), without("relu"))
    yield Synthetic(
        "nothing that can be sent.py", instead("relu", "return object(), lambda: 0").encode(), without("relu")
    )


def dishonest():
    star = "import numpy as np\nfrom byhand.reference.l_layer import *\n"
    yield Synthetic("answer key.py", star.encode(), frozenset())
    read = (
        f"{star}exec(open(__import__('sys').modules['numpy'].__file__ + '/../../byhand/reference/l_layer.py').read())"
    )
    yield Synthetic("answer key, read.py", read.encode(), frozenset())
    published = "np.array([[.268941421, .119202922, 2.26032430e-06], [.731058579, .880797078, .99999774]])"
    yield Synthetic("hard-coded.py", instead("softmax", f"return {published}, Z").encode(), without("softmax"))
    patched = "np.allclose = np.isclose = np.array_equal = lambda *a, **k: True\nnp.testing.assert_allclose = print"
    yield Synthetic("patches numpy.py", instead("relu", f"{patched}\nreturn Z, Z").encode(), without("relu"))
    seeded = "np.random.seed = lambda *a: None\nreturn {f'W{k}': np.zeros((1, 1)) for k in (1, 2)}"
    yield Synthetic(
        "patches the seed.py", instead("initialize_parameters", seeded).encode(), without("initialize_parameters")
    )
    peek = "import os\nfor place in ('..', '../..'):\n    print(os.listdir(place))\nreturn Z, Z"
    yield Synthetic("reads the marks.py", instead("relu", peek).encode(), without("relu"))
    message = "__import__('os').write(fd, b'\\0\\0\\0\\2\\0\\0\\0\\0{}')"
    forge = f"for fd in range(3, 20):\n    try: {message}\n    except OSError: pass\nreturn Z, Z"
    yield Synthetic("forges an answer.py", instead("predict", forge).encode(), without("predict"))


def oddly_named():
    for name in (
        "=1+1",
        "+49 170",
        "-minus",
        "@SUM(A1)",
        "Åse Ünïcode 学生",
        "<img src=x onerror=alert(1)>",
        "a" * 200,
    ):
        yield Synthetic(
            f"{name}.py", b"import numpy as np\ndef relu(Z):\n    return np.maximum(0, Z), Z\n", frozenset({"relu"})
        )


def few():
    """Return the submissions for the tests: each kind, and rounds of planted mistakes."""
    kinds = (correct, incomplete, unreadable, in_folders, endless, hostile, dishonest, oddly_named)
    mistakes = list(with_mistakes())[:3]
    return [one for kind in kinds for one in kind()] + mistakes


def many(count, seed=0):
    """Return `count` submissions: each kind, each planted mistake alone, then more in other styles."""
    rng = random.Random(seed)
    found = [*few(), *single_mistakes()]
    while len(found) < count:
        one = replace(rng.choice(found), name="")
        if isinstance(one.content, bytes) and len(one.content) < TOO_LARGE and one.right is not None and one.content:
            suffix = ".ipynb" if one.content.startswith(b"{") else ".py"
            changed = one.content if suffix == ".ipynb" else one.content + f"\n# {len(found)}\n".encode()
            found.append(replace(one, name=f"more {len(found):03}{suffix}", content=changed, student=""))
    return found[:count]


def hand_in(folder, submissions):
    """Write the submissions into a folder."""
    for one in submissions:
        if isinstance(one.content, dict):
            (folder / one.name).mkdir(parents=True)
            for path, content in one.content.items():
                (folder / one.name / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / one.name / path).write_bytes(content)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / one.name).write_bytes(one.content)


def name_of(one):
    """Return the student's name for the table, before it is escaped for a spreadsheet."""
    return one.student or Path(one.name).stem
