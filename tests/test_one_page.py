"""Limits on the files, functions and calls of one training step, and on the length of functions of `nn`."""

import ast
import collections
import itertools
import sys
from pathlib import Path

import numpy as np

import byhand

PACKAGE = Path(byhand.__file__).parent
#: Limits for one training step: files, functions, calls, and changes of file.
FILES, FUNCTIONS, CALLS, MOVES = 9, 28, 55, 42
#: Lines of a function of `nn` without its docstring.
LONGEST = 20


def trace(batches):
    """Return the calls inside the package while `fit` runs, and the number of changes of file."""
    rng = np.random.default_rng(0)
    X, y = rng.random((128 * batches, 784), dtype=np.float32), rng.integers(10, size=128 * batches)
    model = byhand.Model([784, 128, 10], seed=0)
    calls, stack, path = collections.Counter(), [], []

    def profile(frame, event, _argument):
        if event == "call":
            file = frame.f_code.co_filename if frame.f_code.co_filename.startswith(str(PACKAGE)) else None
            stack.append(file)
            if file is not None:
                calls[file, frame.f_code.co_qualname] += 1
                path.append(file)
        elif event == "return" and stack:
            stack.pop()
            path.extend([file for file in stack if file][-1:])

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        byhand.fit(model, (X, y), epochs=1, batch_size=128, validation=0, threads=1, seed=0)
    finally:
        sys.setprofile(before)
    return calls, sum(a != b for a, b in itertools.pairwise(path))


def test_one_step_touches_few_files_and_functions():
    (few, few_moves), (many, many_moves) = trace(10), trace(30)
    step = {key: count for key in many if (count := (many[key] - few[key]) / 20) >= 0.5}
    assert len({file for file, _ in step}) <= FILES
    assert len(step) <= FUNCTIONS
    assert sum(step.values()) <= CALLS
    assert (many_moves - few_moves) / 20 <= MOVES
    assert str(PACKAGE / "training" / "loop.py") in {file for file, _ in step}


def test_functions_of_nn_are_short():
    long = []
    for path in sorted((PACKAGE / "nn").glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                body = function.body[1:] if ast.get_docstring(function) else function.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > LONGEST:
                    long.append(f"{path.name}: {function.name}, {lines} lines")
    assert long == []


def test_the_architecture_lists_the_files_of_one_step():
    page = (PACKAGE.parent.parent / "docs" / "architecture.md").read_text("utf-8")
    calls, _ = trace(2)
    step_only = {file for file, name in calls if calls[file, name] >= 2}
    route = ["training/loop.py", "training/batches.py", "nn/backprop.py", "nn/layers.py", "nn/activations.py"]
    route += ["nn/losses.py", "nn/schedules.py", "nn/optimizers.py"]
    assert {str(PACKAGE / file) for file in route} <= step_only
    places = [page.index(f"src/byhand/{file}") for file in route]
    assert places == sorted(places)
