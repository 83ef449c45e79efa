"""Single edits of a correct solution, each of one operator, name or number, with the causes that name it rightly.

The kinds are changes of the syntax tree and know nothing about the mistakes of the course. `CAUSES` has the names that
a report may give for each kind, besides `FACTS`, which are true whenever they are reported: an exception, a shape, or
numbers that were compared. `HARMLESS` are the kinds of which some edits change no result, such as a dropped copy.
"""

import ast
import copy
import random
from dataclasses import dataclass

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
COMPARISONS = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
FUNCTIONS = {
    "exp": "log",
    "log": "exp",
    "sum": "mean",
    "mean": "sum",
    "maximum": "minimum",
    "max": "min",
    "argmax": "argmin",
    "dot": "multiply",
    "matmul": "multiply",
    "zeros": "ones",
    "randn": "rand",
    "rand": "randn",
    "relu": "sigmoid",
    "sigmoid": "relu",
    "softmax": "sigmoid",
    "relu_backward": "sigmoid_backward",
    "ReLU": "softmax",
    "sigmoid_backward": "relu_backward",
    "ReLU_deriv": "ReLU",
}
TEXTS = {"relu": "sigmoid", "sigmoid": "relu", "softmax": "relu", "W": "b", "b": "W", "dW": "db", "db": "dW"}


FACTS = {
    *(
        "one edit",
        "no value",
        "key missing",
        "shapes do not fit",
        "index out of range",
        "wrong kind of value",
        "no end",
    ),
    *("value refused", "own assertion", "calls itself", "too little returned", "too much returned", "nothing returned"),
    *(
        "wrong kind",
        "wrong shape",
        "axis lost",
        "output missing",
        "zero",
        "not a number",
        "the wrong array",
        "transposed",
    ),
    *("Z and H mixed up", "constant factor", "wrong sign", "one line wrong", "numerator and denominator exchanged"),
}
CAUSES = {
    "name": {"not updated", "changed in place"},
    "comparison": {"activation ignored", "minimum for maximum", "not trained", "relu turned round"},
    "operator": {"bias subtracted", "climbing", "multiplied by m", "1/m twice"},
    "loop": {"an iteration too few", "an iteration too many", "last memory left out", "not updated"},
    "function": {
        *(
            "1/m missing",
            "1/m twice",
            "minimum for maximum",
            "rand for randn",
            "right ones counted",
            "wrong derivative",
        ),
        *("activation ignored", "biases not zero", "mean over all entries", "relu of the memory"),
    },
    "transpose": {"weights not transposed", "weights transposed"},
    "statement dropped": {"not trained", "not updated"},
    "index": {"Z taken for H", "divided by another size"},
    "operand dropped": {
        *("1/m missing", "derivative left out", "last memory left out", "learning rate left out", "bias left out"),
        *("factor left out", "dH left out", "old weight dropped"),
    },
    "operands exchanged": {"multiplied by m"},
    "division dropped": {"1/m missing", "right ones counted", "softmax not normalized", "wrong scale of the weights"},
    "constant": {
        "an iteration too few",
        "argmax along the wrong axis",
        "wrong scale of the weights",
        "biases not zero",
    },
    "text": {"softmax left out", "sigmoid for relu", "activation ignored", "wrong derivative"},
    "axis": {"argmax along the wrong axis", "bias summed over units", "softmax along the wrong axis"},
    "axis dropped": {"bias summed over everything", "softmax over everything"},
    "sign dropped": {"half not subtracted", "sign of the exponent"},
    "in place": {"changed in place"},
    "copy dropped": {"changed in place"},
}
HARMLESS = {
    "name",
    "in place",
    "keepdims dropped",
    "index",
    "axis dropped",
    "operands exchanged",
    "constant",
    "copy dropped",
}


@dataclass(frozen=True)
class Edit:
    kind: str
    function: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self):
        return f"{self.function}: {self.kind}: `{self.before}` -> `{self.after}`"


def _is_transposed(node):
    return isinstance(node, ast.Attribute) and node.attr == "T"


def _call_name(node):
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _changes(node, names, parent):  # noqa: PLR0912, PLR0915 - a table of the kinds
    """Yield (kind, changed node) for one node; None in place of a statement drops it."""
    if isinstance(node, ast.BinOp):
        for old, new in OPERATORS.items():
            if isinstance(node.op, old):
                yield "operator", ast.BinOp(node.left, new(), node.right)
        if isinstance(node.op, ast.Mult | ast.Add | ast.Sub):
            yield "operand dropped", node.left
            yield "operand dropped", node.right
        if isinstance(node.op, ast.Div):
            yield "division dropped", node.left
        if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult):
            yield "operands exchanged", ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(parent, ast.Subscript):
        yield "sign dropped", node.operand
    elif isinstance(node, ast.Compare):
        for old, new in COMPARISONS.items():
            if isinstance(node.ops[0], old):
                yield "comparison", ast.Compare(node.left, [new()], node.comparators)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str) and node.value in TEXTS:
            yield "text", ast.Constant(TEXTS[node.value])
        elif type(node.value) in (int, float):
            yield "constant", ast.Constant(node.value + 1 if type(node.value) is int else node.value * 10)
            if node.value == 1 and isinstance(node.value, int):
                yield "constant", ast.Constant(0)
    elif isinstance(node, ast.Call):
        name = _call_name(node)
        if name in FUNCTIONS:
            changed = copy.deepcopy(node)
            if isinstance(changed.func, ast.Attribute):
                changed.func.attr = FUNCTIONS[name]
            else:
                changed.func.id = FUNCTIONS[name]
            yield "function", changed
        for k, one in enumerate(node.keywords):
            if one.arg == "axis":
                yield "axis dropped", ast.Call(node.func, node.args, node.keywords[:k] + node.keywords[k + 1 :])
                other = ast.keyword("axis", ast.Constant(1 - one.value.value))
                yield "axis", ast.Call(node.func, node.args, [*node.keywords[:k], other, *node.keywords[k + 1 :]])
            if one.arg == "keepdims":
                yield "keepdims dropped", ast.Call(node.func, node.args, node.keywords[:k] + node.keywords[k + 1 :])
        if name in ("array", "copy") and [*node.args, node.func]:
            inner = node.args[0] if node.args else node.func.value
            if isinstance(inner, ast.Name):
                yield "copy dropped", inner
        if name in ("dot", "matmul") and len(node.args) == 2:
            for k, one in enumerate(node.args):
                args = list(node.args)
                args[k] = one.value if _is_transposed(one) else ast.Attribute(one, "T", ast.Load())
                yield "transpose", ast.Call(node.func, args, node.keywords)
            yield "operands exchanged", ast.Call(node.func, node.args[::-1], node.keywords)
        if name == "range":
            for end in (ast.Add(), ast.Sub()):
                args = [*node.args[:-1], ast.BinOp(node.args[-1], end, ast.Constant(1))]
                yield "loop", ast.Call(node.func, args, [])
            start = node.args[0] if len(node.args) > 1 else ast.Constant(0)
            args = [ast.BinOp(start, ast.Add(), ast.Constant(1)), node.args[-1]]
            yield "loop", ast.Call(node.func, args, [])
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not isinstance(parent, ast.Call):
        for other in names:
            if other != node.id:
                yield "name", ast.Name(other, ast.Load())
    elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice | ast.Tuple):
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            yield "index", ast.Subscript(node.value, ast.Constant(1 - node.slice.value), node.ctx)
        elif isinstance(node.slice, ast.Name | ast.BinOp) and not isinstance(node.ctx, ast.Store):
            for sign in (ast.Add(), ast.Sub()):
                moved = ast.BinOp(node.slice, sign, ast.Constant(1))
                if "str" not in ast.dump(node.slice):
                    yield "index", ast.Subscript(node.value, moved, node.ctx)
    elif isinstance(node, ast.Attribute) and _is_transposed(node) and not isinstance(parent, ast.Call):
        yield "transpose", node.value
    if isinstance(node, ast.Assign | ast.AugAssign) or (
        isinstance(node, ast.Expr) and _call_name(node.value) in ("append", "seed")
    ):
        yield "statement dropped", ast.Pass()
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.left, ast.Name):
        op = node.value.op
        if isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Div):
            target = ast.Name(node.value.left.id, ast.Store())
            yield (
                "in place",
                [
                    ast.AugAssign(target, op, node.value.right),
                    ast.Assign(node.targets, ast.Name(target.id, ast.Load())),
                ],
            )
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        parts = node.value.elts
        yield "returned in another order", ast.Return(ast.Tuple([*parts[1:], parts[0]], ast.Load()))
        yield "one value not returned", ast.Return(parts[0] if len(parts) == 2 else ast.Tuple(parts[:-1], ast.Load()))


class _Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        if node is not self.old:
            return super().visit(node)
        return self.new if isinstance(node, ast.stmt) else self.new[0]


def _skipped(node):
    """Printing, drawing and asserting is not edited: no value depends on it."""
    text = ast.unparse(node)
    return isinstance(node, ast.Assert | ast.Expr) and any(w in text for w in ("assert", "print", "plt.", "losses"))


def edits_of(source, functions, changes=_changes):
    """Return every edit of these functions, of the kinds of `changes`."""
    found = []
    module = ast.parse(source)
    for function in module.body:
        if not isinstance(function, ast.FunctionDef) or function.name not in functions:
            continue
        statements = [one for one in function.body if not _skipped(one)]
        nodes, seen = [], set()
        names = sorted(
            {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            | {one.arg for one in function.args.args}
        )

        def walk(node, parent, nodes=nodes):
            if isinstance(node, ast.Assert) or (isinstance(node, ast.stmt) and _skipped(node)):
                return
            if isinstance(node, ast.If) and "print" in ast.unparse(node):
                return
            nodes.append((node, parent))
            for child in ast.iter_child_nodes(node):
                walk(child, node)

        for one in statements:
            walk(one, function)
        lines = source.splitlines(keepends=True)
        first, last = function.lineno - 1, function.end_lineno
        original = ast.unparse(function)
        order = list(ast.walk(function))
        for node, parent in nodes:
            for kind, new in changes(node, names, parent):
                after = copy.deepcopy(function)
                target = list(ast.walk(after))[order.index(node)]
                put = [ast.fix_missing_locations(ast.copy_location(one, node)) for one in _listed(new)]
                text = ast.unparse(_Replace(target, put).visit(after))
                if text not in seen and text != original:
                    seen.add(text)
                    edited = "".join([*lines[:first], text + "\n", *lines[last:]])
                    shown = "; ".join(map(ast.unparse, put))
                    found.append(Edit(kind, function.name, node.lineno, ast.unparse(node), shown, edited))
    return found


def _listed(new):
    return new if isinstance(new, list) else [new]


def drawn(edits, count, seed):
    """Draw edits so that functions and kinds are equally frequent, as far as there are enough."""
    rng = random.Random(seed)
    groups = {}
    for one in edits:
        groups.setdefault((one.function, one.kind), []).append(one)
    keys = sorted(groups)
    rng.shuffle(keys)
    for one in groups.values():
        rng.shuffle(one)
    chosen = []
    while len(chosen) < count and any(groups.values()):
        for key in keys:
            if groups[key] and len(chosen) < count:
                chosen.append(groups[key].pop())
    return chosen
