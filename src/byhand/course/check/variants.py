"""Variants of the reference: its functions with one edit each, to find the edit that gives exactly the wrong numbers.

An edit changes one operator, name, constant, axis, index or call, or leaves something out. Edits are made by rule from
the syntax tree, so that no list of mistakes has to foresee them. A variant is quoted only if it returns the student's
numbers in every call, the right ones included: then the quote is true, even if the student writes it in another way.
"""

import ast
import contextlib
import copy
import functools
import inspect
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

OPERATORS = ast.Add, ast.Sub, ast.Mult, ast.Div
COMPARISONS = ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq
FUNCTIONS = (
    *({"exp", "log"}, {"sum", "mean", "max", "min"}, {"maximum", "minimum"}, {"argmax", "argmin"}, {"zeros", "ones"}),
    *({"dot", "multiply"}, {"relu", "sigmoid", "softmax"}, {"relu_backward", "sigmoid_backward"}),
    *({"ReLU", "softmax", "ReLU_deriv"}, {"randn", "rand"}),
)
WORDS = {"W", "b"}, {"dW", "db"}, {"relu", "sigmoid", "softmax"}

#: Usual ways to write a function, where the reference is written in another: the same edit gives other numbers.
SPELLINGS = {
    "sigmoid": ("def f(Z): H = 1 / (1 + np.exp(-Z)); return H", "def f(Z): H = (1 + np.tanh(Z / 2)) / 2; return H"),
    "relu": (
        "def f(Z): H = np.maximum(0, Z); return H",
        "def f(Z): H = np.where(Z > 0, Z, 0); return H",
        "def f(Z): H = (np.abs(Z) + Z) / 2; return H",
    ),
    "softmax": (
        "def f(Z): E = np.exp(Z - np.max(Z, axis=0, keepdims=True)); return E / np.sum(E, axis=0)",
        "def f(Z): E = np.exp(Z - np.max(Z)); return E / np.sum(E, axis=0)",
        "def f(Z): return np.exp(Z) / np.sum(np.exp(Z), axis=0)",
    ),
    "ReLU": (
        "def f(Z): return np.maximum(0, Z)",
        "def f(Z): return np.where(Z > 0, Z, 0)",
        "def f(Z): return Z * (Z > 0)",
    ),
    "relu_backward": (
        "def f(dH, Z): dZ = dH * (Z > 0); return dZ",
        "def f(dH, Z): dZ = dH * (1 + np.sign(Z)) / 2; return dZ",
        "def f(dH, Z): return np.where(Z > 0, dH, 0)",
    ),
    "sigmoid_backward": (
        "def f(dH, Z): H = 1 / (1 + np.exp(-Z)); dZ = dH * H * (1 - H); return dZ",
        "def f(dH, Z): H = 1 / (1 + np.exp(-Z)); dZ = dH * (H * (1 - H)); return dZ",
        "def f(dH, Z): H = 1 / (1 + np.exp(Z)); dZ = dH * H * (1 - H); return dZ",
    ),
    "compute_loss": (
        "def f(HL, Y): m = Y.shape[1]; loss = -1 / m * np.sum(Y * np.log(HL)); return loss",
        "def f(HL, Y): m = Y.shape[1]; loss = np.sum(-Y * np.log(HL)) / m; return loss",
        "def f(HL, Y): loss = -np.mean(np.log(np.sum(Y * HL, axis=0))); return loss",
    ),
    "update_parameters": (
        """def f(parameters, gradients, learning_rate):
    L = len(parameters) // 2
    for l in range(1, L + 1):
        parameters[f"W{l}"] = parameters[f"W{l}"] - learning_rate * gradients[f"dW{l}"]
        parameters[f"b{l}"] = parameters[f"b{l}"] - learning_rate * gradients[f"db{l}"]
    return parameters
""",
        """def f(parameters, gradients, learning_rate):
    for name in parameters:
        parameters[name] = parameters[name] - learning_rate * gradients[f"d{name}"]
    return parameters
""",
    ),
    "L_layer_model": (
        """def f(X, Y, dimensions, learning_rate=0.0075, num_iterations=3000):
    parameters = initialize_parameters(dimensions)
    for i in range(num_iterations):
        HL, memories = L_layer_forward(X, parameters)
        gradients = L_layer_backward(HL, Y, memories)
        parameters = update_parameters(parameters, gradients, learning_rate)
    return parameters
""",
    ),
    "gradient_descent": (
        """def f(X, Y, alpha, iterations):
    W1, b1, W2, b2 = init_params(inputs=X.shape[0])
    for i in range(iterations):
        Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
        dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y)
        W1, b1, W2, b2 = update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha)
    return W1, b1, W2, b2
""",
    ),
    "one_hot": (
        "def f(j): Y = np.zeros((10, len(j))); Y[j, np.arange(len(j))] = 1; return Y",
        "def f(j): return np.arange(10)[:, np.newaxis] == j",
    ),
    "get_accuracy": ("def f(predictions, Y): return np.sum(predictions == Y) / Y.size",),
}
WITH_MEMORY = ("sigmoid", "relu", "softmax")  # of the L-layer network: they also return Z
MOST = 3  # statements that are quoted
TRIVIAL = re.compile(r"[*/] 1\b|\b1 \*|\d [-+] 1\b")  # quoted only if nothing else gives these numbers


def explained(module: ModuleType, name: str, agrees: Callable[[Callable[..., Any]], bool]) -> list[str]:
    """Return the changed statement of each variant that agrees; none if there are more than a few."""
    for spelling in variants_of(module, name):
        with _same_random_numbers():
            found = dict.fromkeys(quote() for quote, function in spelling if agrees(_quiet(function)))
        found = {one: None for one in found if not TRIVIAL.search(one)} or found
        if found:
            targets = {statement.partition(" = ")[0] for statement in found}
            if len(found) <= MOST:
                return [*found]
            return sorted(found, key=len)[:2] if len(targets) == 1 else []
    return []


def variants_of(module: ModuleType, name: str) -> Iterator[Iterator[tuple[Callable[[], str], Callable[..., Any]]]]:
    """Yield the variants of a function, (quote of the changed statement, function), for each of its spellings."""
    reference = inspect.unwrap(getattr(module, name))
    # without the checks of arguments: they take time, and numbers that they reject may be the student's
    home = {
        key: inspect.unwrap(one) if callable(one) else one for key, one in vars(inspect.getmodule(reference)).items()
    }
    remembers = name in WITH_MEMORY and inspect.signature(reference).return_annotation == "Pair"

    def edited(source: str, excluded: str) -> Iterator[tuple[Callable[[], str], Callable[..., Any]]]:
        for variant in _variants(source, excluded):
            names = {**home, "show": lambda *_: None}
            if variant.code is not None:
                exec(variant.code, names)
                function = names[variant.called]
                yield variant.quote, _with_memory(function) if remembers else function

    is_ours = module.__name__.startswith("byhand.")
    spellings = (SPELLINGS.get(name) if is_ours else None) or [inspect.getsource(reference)]
    yield from (edited(one, "") for one in spellings)
    yield from (edited(_inverted(one), one) for one in spellings if "/" in one)


def _with_memory(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda Z: (function(Z), Z)


def _inverted(source: str) -> str:
    """Return the source with `1 / m * A` in place of `A / m`."""

    class Inverted(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
            self.generic_visit(node)
            if not isinstance(node.op, ast.Div):
                return node
            return ast.BinOp(ast.BinOp(ast.Constant(1), ast.Div(), node.right), ast.Mult(), node.left)

    return ast.unparse(Inverted().visit(ast.parse(source)))


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a variant: it returns (value, printed text), with NumPy's generator seeded as in the sandbox."""

    def call(*arguments: Any) -> tuple[Any, str]:
        printed = io.StringIO()
        np.random.seed(2)
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(printed):
            warnings.simplefilter("ignore")
            return function(*copy.deepcopy(arguments)), printed.getvalue()

    return call


@contextlib.contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Restore the state of NumPy's generator at the end. (Reading it takes longer than most calls of a variant.)"""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


@dataclass(frozen=True)
class _Variant:
    """A module with one node replaced while it is compiled or quoted."""

    module: ast.Module
    called: str
    holder: ast.AST
    field: str
    place: int | None
    node: ast.AST
    edit: ast.AST
    around: ast.AST

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        _put(self.holder, self.field, self.place, self.edit)
        try:
            yield
        finally:
            _put(self.holder, self.field, self.place, self.node)

    @functools.cached_property
    def code(self) -> Any:
        """The compiled module; None if the edit is not valid Python."""
        with self._in_place(), contextlib.suppress(SyntaxError, ValueError), warnings.catch_warnings(action="ignore"):
            return compile(self.module, "<variant>", "exec")
        return None

    def quote(self) -> str:
        with self._in_place():
            return _quote(self.node, self.edit, self.around)


@functools.cache
def _variants(source: str, excluded: str = "") -> list[_Variant]:
    """Return a variant for each edit, except those of statements that the source `excluded` has as well."""
    module = ast.parse(source)
    function = module.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list, function.returns = [], None
    arguments = [*function.args.args, *function.args.kwonlyargs]
    for one in arguments:
        one.annotation = None
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    stored = (one.id for one in ast.walk(function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
    names = [*dict.fromkeys([*(one.arg for one in function.args.args), *stored])]
    known = {ast.dump(one) for one in ast.walk(ast.parse(excluded)) if isinstance(one, ast.stmt)}
    dump = functools.cache(ast.dump)
    return [
        _Variant(module, function.name, holder, name, place, node, ast.fix_missing_locations(edit), around)
        for holder, name, place, node, around in [*_places(module, module)]
        if not known or dump(around) not in known
        for edit in (ast.copy_location(one, node) for one in [*_edits(node, names)])
    ]


def _places(holder: ast.AST, around: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, ast.AST]]:
    """Yield (holder, field, index in the field, node, what is quoted) for each node below the holder.

    What is quoted is the smallest statement, or entry of a tuple that a statement assigns or returns.
    """
    for name, value in ast.iter_fields(holder):
        for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST):
                is_entry = isinstance(holder, ast.Tuple) and holder is getattr(around, "value", None)
                quoted = node if is_entry or isinstance(node, ast.stmt) else around
                yield holder, name, place, node, quoted
                yield from _places(node, quoted)


def _put(holder: ast.AST, name: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(holder, name, node)
    else:
        getattr(holder, name)[place] = node


def _quote(node: ast.AST, edit: ast.AST, around: ast.AST) -> str:
    """Return the text of the edit, while it is in its place."""
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
        whole = ast.unparse(node)
        return f"`{whole.partition(' = ')[0]} = …` left out" if " = " in whole else f"`{whole}` left out"
    text = ast.unparse(edit if around is node else around).partition("\n")[0]
    in_place_of = f" in place of `{node.id}`" if around is node and isinstance(node, ast.Name) else ""
    return f"`{text}`{in_place_of}"


def _edits(node: ast.AST, names: list[str]) -> Iterator[ast.AST]:
    """Yield what an edit may write in place of a node."""
    if isinstance(node, ast.BinOp):
        yield from (ast.BinOp(node.left, op(), node.right) for op in OPERATORS if not isinstance(node.op, op))
        yield from (node.left, node.right, ast.BinOp(node.right, node.op, node.left))
        yield from _other_terms(node)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare):
        yield from (ast.Compare(node.left, [op()], node.comparators) for op in COMPARISONS)
        yield from (node.left, ast.Compare(node.comparators[0], node.ops, node.comparators))
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, _other_constants(node.value))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        yield from (ast.Name(other, node.ctx) for other in names if other != node.id)
        yield from (ast.BinOp(node, op(), ast.Constant(1)) for op in (ast.Add, ast.Sub))
        yield from (ast.Subscript(node, ast.Constant(0), node.ctx), ast.Attribute(node, "T", node.ctx))
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
        yield ast.Pass()


def _other_terms(node: ast.BinOp) -> Iterator[ast.AST]:
    """Yield a fraction with another denominator or rounded down, a product with other brackets, and |a − b|."""
    if isinstance(node.op, ast.Div):
        yield ast.BinOp(node.left, ast.FloorDiv(), node.right)
        if not isinstance(node.right, ast.Name):
            yield from (
                ast.BinOp(node.left, node.op, ast.BinOp(node.right, op(), ast.Constant(1))) for op in OPERATORS[:2]
            )
    if isinstance(node.op, ast.Mult | ast.Div):
        if isinstance(one := node.left, ast.BinOp) and isinstance(one.op, ast.Add | ast.Sub):
            yield ast.BinOp(one.left, one.op, ast.BinOp(one.right, node.op, node.right))
        if isinstance(one := node.right, ast.BinOp) and isinstance(one.op, ast.Add | ast.Sub):
            yield ast.BinOp(ast.BinOp(node.left, node.op, one.left), one.op, one.right)
    elif isinstance(node.op, ast.Add | ast.Sub):
        yield ast.Call(ast.Name("abs", ast.Load()), [node], [])


def _other_constants(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        yield from (word for words in WORDS if value in words for word in sorted(words - {value}))
    elif type(value) in (int, float):
        yield from dict.fromkeys((value + 1, value - 1, value * 10, value / 10, -value, 0))


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    """Yield the call with another function, axis or order of its arguments, and its argument alone."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for other in (other for names in FUNCTIONS if name in names for other in sorted(names - {name})):
        called = ast.Attribute(node.func.value, other, ast.Load()) if isinstance(node.func, ast.Attribute) else None
        yield ast.Call(called or ast.Name(other, ast.Load()), node.args, node.keywords)
    if node.args and name not in ("range", "len", "float"):
        yield from node.args[:2]
    if len(node.args) == 2:
        yield ast.Call(node.func, node.args[::-1], node.keywords)
        if name in ("dot", "matmul"):
            for k, one in enumerate(node.args):
                turned = ast.Attribute(one, "T", ast.Load())
                yield ast.Call(node.func, [turned if k == j else two for j, two in enumerate(node.args)], node.keywords)
    for k, keyword in enumerate(node.keywords):
        yield ast.Call(node.func, node.args, node.keywords[:k] + node.keywords[k + 1 :])
        if keyword.arg == "axis":
            both = [one for one in node.keywords if one.arg not in ("axis", "keepdims")]
            turned_axis = [ast.keyword(one.arg, ast.Constant(1)) if one is keyword else one for one in node.keywords]
            yield from (ast.Call(node.func, node.args, both), ast.Call(node.func, node.args, turned_axis))
