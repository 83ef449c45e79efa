"""Measure what `byhand check` says about single edits of right solutions, with an oracle of its own.

The kinds of edits differ from those that the checker makes of the reference. The original and the edited function are
called with random arguments of usual sizes, without the checker: the comparison decides whether an edit is wrong.
`TRUE` has the causes that are true for a kind whatever the place; every other cause, and every quote, is printed, to be
read by a person.

    python -m long.single_edits SEED [COUNT]    (in tests/; prints one line for each edit, then the counts)
"""

import ast
import contextlib
import copy
import io
import random
import re
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from byhand.course.check import PAGES
from helpers import in_process
from helpers.single_edits import drawn, edits_of

STUDENTS = Path(__file__).parents[1] / "students"
BASES = {"as_the_assignment": "l_layer", "in_einsum": "l_layer", "in_loops": "l_layer"}
BASES |= {"two_layer_as_published": "two_layer", "two_layer_rearranged": "two_layer"}
OTHERS = {"exp": ("exp2", "expm1"), "log": ("log2", "log1p"), "sum": ("mean", "prod"), "mean": ("sum", "median")}
OTHERS |= {"max": ("mean",), "maximum": ("minimum", "add"), "dot": ("multiply",), "zeros": ("ones",), "abs": ("sign",)}
OTHERS |= {"randn": ("rand",), "rand": ("randn",), "argmax": ("argmin",), "tanh": ("sin",), "matmul": ("multiply",)}
TEXTS = {"relu": ("sigmoid", "softmax"), "softmax": ("relu", "sigmoid"), "sigmoid": ("relu",), "W": ("b", "dW", "w")}
TEXTS |= {"dW": ("W", "db"), "db": ("b", "dW"), "dH": ("dA",), "b": ("W",)}
RAISED = {"no value", "key missing", "shapes do not fit", "index out of range", "wrong kind of value", "value refused"}
RAISED |= {"own assertion", "calls itself", "no end"}
SHAPE = {"too little returned", "too much returned", "nothing returned", "wrong kind", "wrong shape"}
TRUE = {
    "axis exchanged": {"argmax along the wrong axis", "bias summed over units", "softmax along the wrong axis"},
    "axis left out": {"bias summed over everything", "softmax over everything"},
    "keepdims left out": {"axis lost"},
    "condition reversed": {"relu turned round"},
    "sign": {"wrong sign", "sign of the exponent", "climbing"},
    "m - 1": {"divided by another size"},
    "in place": {"changed in place"},
    "value not returned": {"nothing returned", "too little returned"},
    "text": {"wrong derivative", "softmax left out", "activation ignored", "sigmoid for relu"},
    "doubled": {"constant factor"},
    "transposed": {"transposed"},
}


def changes(node, names, parent):  # noqa: PLR0912, PLR0915 - a table of the kinds
    """Yield (kind, changed node); statements may become several."""
    call, load = (lambda name, *given: ast.Call(ast.Name(name, load), list(given), [])), ast.Load()
    if isinstance(node, ast.BinOp):
        a, b, op = node.left, node.right, node.op
        if isinstance(op, ast.Div):
            yield "integer division", ast.BinOp(a, ast.FloorDiv(), b)
            yield "m - 1", ast.BinOp(a, op, ast.BinOp(b, ast.Sub(), ast.Constant(1)))
        if isinstance(op, ast.Mult | ast.Div):
            if isinstance(b, ast.BinOp) and isinstance(b.op, ast.Add | ast.Sub):
                yield "parentheses", ast.BinOp(ast.BinOp(a, op, b.left), b.op, b.right)
            if isinstance(a, ast.BinOp) and isinstance(a.op, ast.Add | ast.Sub):
                yield "parentheses", ast.BinOp(a.left, a.op, ast.BinOp(a.right, op, b))
            yield "inverse", ast.BinOp(a, ast.Div() if isinstance(op, ast.Mult) else ast.Mult(), b)
        if isinstance(op, ast.Sub | ast.Div | ast.MatMult):
            yield "operands exchanged", ast.BinOp(b, op, a)
        if isinstance(op, ast.Add | ast.Sub):
            yield "sign", ast.BinOp(a, ast.Sub() if isinstance(op, ast.Add) else ast.Add(), b)
            if "'" not in ast.unparse(node):
                yield "absolute", call("abs", node)
        yield "operand left out", a
        yield "operand left out", b
    elif isinstance(node, ast.UnaryOp):
        yield "sign", node.operand
    elif isinstance(node, ast.Compare):
        turned = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq}
        if type(node.ops[0]) in turned:
            yield "condition reversed", ast.Compare(node.left, [turned[type(node.ops[0])]()], node.comparators)
        one_more = ast.BinOp(node.comparators[0], ast.Add(), ast.Constant(1))
        yield "bound", ast.Compare(node.left, node.ops, [one_more])
    elif isinstance(node, ast.Constant) and not isinstance(parent, ast.Expr):
        if isinstance(node.value, str):
            yield from (("text", ast.Constant(other)) for other in TEXTS.get(node.value, ()))
        elif type(node.value) in (int, float):
            some = (node.value + 1, node.value - 1) if type(node.value) is int else (node.value * 0.1, node.value * 2)
            yield from (("constant", ast.Constant(value)) for value in some)
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for other in OTHERS.get(name, ()):
            if isinstance(node.func, ast.Attribute):
                yield "function", ast.Call(ast.Attribute(node.func.value, other, load), node.args, node.keywords)
        for k, one in enumerate(node.keywords):
            rest = node.keywords[:k] + node.keywords[k + 1 :]
            if one.arg == "axis":
                yield "axis left out", ast.Call(node.func, node.args, rest)
                other = ast.keyword("axis", ast.Constant(1 - one.value.value))
                yield "axis exchanged", ast.Call(node.func, node.args, [other, *rest])
            if one.arg == "keepdims":
                yield "keepdims left out", ast.Call(node.func, node.args, rest)
        if name == "range":
            for shift in (ast.Add(), ast.Sub()):
                yield (
                    "loop",
                    ast.Call(node.func, [*node.args[:-1], ast.BinOp(node.args[-1], shift, ast.Constant(1))], []),
                )
            start = node.args[0] if len(node.args) > 1 else ast.Constant(0)
            yield "loop", ast.Call(node.func, [ast.BinOp(start, ast.Add(), ast.Constant(1)), node.args[-1]], [])
        elif len(node.args) > 1:
            yield (
                "arguments exchanged",
                ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords),
            )
            yield "argument left out", ast.Call(node.func, node.args[:-1], node.keywords)
        elif len(node.args) == 1 and name not in ("len", "str", "print"):
            yield "call left out", node.args[0]
        if name in ("dot", "matmul") and len(node.args) == 2:
            for one in node.args:
                turned = [ast.Attribute(two, "T", load) if two is one else two for two in node.args]
                yield "transpose", ast.Call(node.func, turned, node.keywords)
            yield "elementwise", ast.BinOp(node.args[0], ast.Mult(), node.args[1])
    elif (
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id != "np"
        and not isinstance(parent, ast.Call)
    ):
        yield "typo", ast.Name(node.id.swapcase() if node.id.swapcase() not in names else f"{node.id}_", load)
        yield from (("name", ast.Name(other, load)) for other in names if other != node.id)
    elif isinstance(node, ast.Subscript):
        index = node.slice
        if isinstance(index, ast.Constant) and isinstance(index.value, int):
            yield "index", ast.Subscript(node.value, ast.Constant(1 - index.value), node.ctx)
        elif isinstance(index, ast.Name | ast.BinOp) and "Str" not in ast.dump(index) and "'" not in ast.unparse(index):
            for shift in (ast.Add(), ast.Sub()):
                yield "index", ast.Subscript(node.value, ast.BinOp(index, shift, ast.Constant(1)), node.ctx)
        elif isinstance(index, ast.Slice):
            yield "slice", ast.Subscript(node.value, ast.Slice(ast.Constant(1), index.upper), node.ctx)
            yield (
                "slice",
                ast.Subscript(node.value, ast.Slice(index.lower, ast.UnaryOp(ast.USub(), ast.Constant(1))), node.ctx),
            )
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", node.value
    elif isinstance(node, ast.IfExp):
        yield "branches exchanged", ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.For | ast.While):
        yield "left after one round", type(node)(**{**dict(ast.iter_fields(node)), "body": [*node.body, ast.Break()]})
        if len(node.body) > 1:
            loop = type(node)(**{**dict(ast.iter_fields(node)), "body": node.body[:-1]})
            yield "moved out of the loop", [loop, node.body[-1]]
    elif isinstance(node, ast.If) and node.orelse:
        yield "branches exchanged", ast.If(node.test, node.orelse, node.body)
    elif isinstance(node, ast.AugAssign):
        yield "assigned, not added", ast.Assign([copy.deepcopy(node.target)], node.value)
        yield "statement left out", ast.Pass()
    elif isinstance(node, ast.Assign):
        yield "statement left out", ast.Pass()
        yield "done twice", [node, node]
        target = node.targets[0]
        if isinstance(target, ast.Tuple):
            yield (
                "unpacked in another order",
                ast.Assign([ast.Tuple([*target.elts[1:], target.elts[0]], ast.Store())], node.value),
            )
        elif isinstance(node.value, ast.BinOp | ast.Call):
            yield "sign", ast.Assign(node.targets, ast.UnaryOp(ast.USub(), node.value))
            yield "doubled", ast.Assign(node.targets, ast.BinOp(ast.Constant(2), ast.Mult(), node.value))
        if isinstance(node.value, ast.BinOp) and isinstance(node.value.left, ast.Name):
            name = node.value.left.id
            moved = ast.AugAssign(ast.Name(name, ast.Store()), node.value.op, node.value.right)
            if not isinstance(node.value.op, ast.MatMult):
                yield "in place", [moved, ast.Assign(node.targets, ast.Name(name, load))]
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "value not returned", ast.Expr(node.value)
        if isinstance(node.value, ast.Tuple):
            some = node.value.elts
            yield "returned in another order", ast.Return(ast.Tuple([some[1], some[0], *some[2:]], load))
            yield "value not returned", ast.Return(some[0] if len(some) == 2 else ast.Tuple(some[:-1], load))
            yield "sign", ast.Return(ast.Tuple([ast.UnaryOp(ast.USub(), some[0]), *some[1:]], load))
        else:
            yield "transposed", ast.Return(ast.Attribute(node.value, "T", load))
            yield "doubled", ast.Return(ast.BinOp(ast.Constant(2), ast.Mult(), node.value))


# ---- the oracle

TOP_LEVEL = r"import pandas|import matplotlib|from matplotlib|data|m, n =|[XY]_\w+ =|np.random|W1|test_"  # not run


def arguments(name, page, right, rng):
    """Return arguments of a usual size, in the order of the assignment; memories come from the right functions."""
    normal, (n, p, m) = rng.normal, (int(one) for one in rng.integers(2, 9, 3))
    if rng.random() < 0.3:
        n = p = m
    labels = np.append(rng.integers(0, 10, m - 1), 9)
    Y = np.eye(10)[labels].T
    rate = float(rng.uniform(0.05, 0.9))
    if page == "two_layer":
        W1, b1, W2, b2 = normal(size=(10, p)) / p, normal(size=(10, 1)), normal(size=(10, 10)) / 3, normal(size=(10, 1))
        P, X = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}, rng.random((p, m))
        Z1, A1, Z2, A2 = call(right["forward_prop"], {**P, "X": X})
        grads = {f"d{key}": normal(size=one.shape) for key, one in P.items()}
        known = {**P, **grads, "X": X, "Y": labels, "Z": normal(size=(n, m)), "z": normal(size=(n, m)), "alpha": rate}
        known |= {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "y": labels, "predictions": rng.permutation(labels)}
        if name == "gradient_descent":
            known |= {"X": rng.random((784, m)), "iterations": int(rng.integers(10, 14))}
        return known
    sizes = [p, *rng.integers(2, 8, int(rng.integers(0, 4))).tolist(), 10]
    if n == p:
        sizes = [10] * len(sizes)
    start = {}
    for k in range(1, len(sizes)):
        start |= {f"W{k}": normal(size=(sizes[k], sizes[k - 1])) / 2, f"b{k}": normal(size=(sizes[k], 1))}
    X = rng.random((sizes[0], m))
    HL, memories = right["L_layer_forward"](X, start)
    kind = ("relu", "sigmoid", "softmax")[int(rng.integers(2 if name == "layer_backward" else 3))]
    W, H, b = normal(size=(n, p)), normal(size=(p, m)), normal(size=(n, 1))
    Z, grads = normal(size=(n, m)), {f"d{key}": normal(size=one.shape) for key, one in start.items()}
    return {
        **dict.fromkeys(("sigmoid", "relu", "softmax"), (Z,)),
        "initialize_parameters": (sizes,),
        "layer_forward": (H, W, b, kind),
        "L_layer_forward": (X, start),
        "compute_loss": (HL, Y),
        **dict.fromkeys(("sigmoid_backward", "relu_backward"), (normal(size=(n, m)), Z)),
        "layer_backward": (normal(size=(n, m)), ((H, W, b), Z), kind),
        "L_layer_backward": (HL, Y, memories),
        "update_parameters": (start, grads, rate),
        "L_layer_model": (X, Y, sizes, rate, int(rng.integers(10, 13))),
        "predict": (X, Y, start),
        "one_hot": (labels,),
    }[name]


def call(function, given):
    if not isinstance(given, dict):
        return function(*given)
    code = function.__code__
    return function(**{name: given[name] for name in code.co_varnames[: code.co_argcount] if name in given})


def module(source):
    kept = re.sub(rf"^(?:{TOP_LEVEL}).*$", "", source, flags=re.MULTILINE)
    names = {"__name__": "student", "plt": type("Plot", (), {"__getattr__": lambda *_: lambda *_, **__: None})()}
    exec(compile(kept, "<oracle>", "exec"), names)
    return names


def observed(names, name, given):
    """Return (value, printed accuracy, arguments afterwards) of one call, or the exception."""
    given, printed = copy.deepcopy(given), io.StringIO()
    np.random.seed(2)
    names["rng"] = np.random.default_rng(3)
    with contextlib.redirect_stdout(printed), np.errstate(all="ignore"):
        try:
            value = call(names[name], given)
        except Exception as error:
            return f"{type(error).__name__}: {error}", "", None
    found = re.findall(r"[-\d.e]+", printed.getvalue())[-1:] if name == "predict" else []
    return value, found and round(float(found[0]), 4), given


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(one, b[key]) for key, one in a.items())
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    try:
        x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    except (TypeError, ValueError):
        return type(a) is type(b) and a == b
    return x.shape == y.shape and np.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True)


def drawn_numbers(value):
    """Describe random arrays by what a program without a seed promises: their shapes, and both signs."""
    if not isinstance(value, tuple) or not all(isinstance(one, np.ndarray) and one.size for one in value):
        return value
    return [np.shape(one) for one in value], min(map(np.min, value)) < 0 < max(map(np.max, value))


def judged(original, edit, page):
    """Return "wrong", "mutates" if only the arguments differ afterwards, or "right"."""
    right, rng, mutates = module(original), np.random.default_rng(77), False

    def late(*_):
        raise TimeoutError

    signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, 20)  # CPU time
    try:
        edited = module(edit.source)
        for _ in range(30):
            given = arguments(edit.function, page, right, rng)
            a, b = observed(right, edit.function, given), observed(edited, edit.function, given)
            if edit.function == "init_params":
                a, b = ((drawn_numbers(one[0]), *one[1:]) for one in (a, b))
            if not same(a[:2], b[:2]):
                return "wrong"
            mutates |= not same(a[2], b[2])
    except TimeoutError:
        return "wrong"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return "mutates" if mutates else "right"


def main(seed, count=300):
    counts = dict.fromkeys(("wrong", "missed", "false alarm", "named", "to read", "no name"), 0)
    for base, page in BASES.items():
        source = (STUDENTS / f"{base}.py").read_text("utf-8")
        names = [function.name for function in PAGES[page].functions]
        edits = edits_of(source, names, changes)
        random.Random(seed).shuffle(edits)
        for edit in drawn(edits, count // len(BASES), seed):
            truth = judged(source, edit, page)
            with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
                path = Path(folder, "student.py")
                path.write_text(edit.source.replace("/kaggle/input/digit-recognizer/", ""), encoding="utf-8")
                report = in_process.check(path, page, patch, seed=4)
            verdict = report[edit.function]
            blamed = [
                one.function for one in report.verdicts if one.status == "wrong" and one.function != edit.function
            ]
            state = "named"
            if verdict.status == "right":
                state = "missed" if truth == "wrong" else "right"
            elif truth != "wrong":
                state = "false alarm"
            elif not verdict.mistakes:
                state = "no name"
            elif not set(verdict.mistakes) <= RAISED | SHAPE | TRUE.get(edit.kind, set()):
                state = "to read"
            counts["wrong"] += truth == "wrong"
            if state in counts:
                counts[state] += 1
            words = " / ".join(verdict.words)
            print(f"[{state}] {base} {edit} => {truth}; {verdict.status} {list(verdict.mistakes)}: {words}", flush=True)
            if blamed:
                print(f"    [BLAMED] {blamed}")
    print(counts)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
