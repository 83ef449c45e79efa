"""Source: the lines of byhand's own code that computed a number, and the formulas that stand in their docstrings.

Both are read from the code itself when an explanation is made, so neither can go stale. Where someone has rewritten a
function so that the expression looked for is gone, the whole function is shown instead; a test sees to it that in
byhand itself this never happens.
"""

import ast
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

Documented = Callable[..., Any] | type | ModuleType


@dataclass(frozen=True)
class Quote:
    """Some lines of code: which function they are of, the file, the number of the first line, and the lines.

    `is_exact` is false where they are the whole function because what was looked for was not found in it.
    """

    function: str
    file: str
    line: int
    text: str
    is_exact: bool = True

    @property
    def place(self) -> str:
        """`byhand/nn/layers.py:108`"""
        return f"{self.file}:{self.line}" if self.line else self.file


def quote(function: Callable[..., Any], mention: str | None = None) -> Quote:
    """The statements of `function` that mention the expression `mention`; without one, all of its body.

    A return that only hands the thing out is left away where another statement made it.
    The expression is compared as code, not as text: `gradient["W"]` finds `gradient['W']` too. Where the sources were
    not installed the quotation is empty and still says where the code is.
    """
    function = inspect.unwrap(function)
    module = importlib.import_module(function.__module__)
    file = "/".join(function.__module__.split(".")) + ".py"
    try:
        lines = _lines(module.__name__)
        tree = _tree(module.__name__)
    except (OSError, TypeError):
        return Quote(function.__qualname__, file, 0, "")
    body = _body(tree, function.__qualname__)
    wanted = None if mention is None else ast.dump(ast.parse(mention, mode="eval").body)
    found = [statement for statement in _simple(body) if wanted is not None and _mentions(statement, wanted)]
    if made := [statement for statement in found if not isinstance(statement, ast.Return)]:
        found = made
    parts = [(s.lineno, s.end_lineno) for s in found] or [(body[0].lineno, body[-1].end_lineno)]
    text = "\n".join(textwrap.dedent("\n".join(lines[first - 1 : last])) for first, last in parts)
    text = re.sub(r"  # type: ignore.*", "", text)
    return Quote(function.__qualname__, file, parts[0][0], text, is_exact=bool(found) or wanted is None)


def formula(thing: Documented) -> str:
    """The formula in a function's docstring: its first line, up to the shapes that stand beside it."""
    return _first_line(thing)[0]


def shapes(thing: Documented) -> str:
    """The shapes that stand beside the formula."""
    return _first_line(thing)[1]


def formulas(thing: Documented) -> str:
    """Every line of a longer docstring that is a formula, up to the shapes that stand beside it."""
    lines = inspect.cleandoc(thing.__doc__ or "").splitlines()[1:]
    found = [re.split(r"(?<=\S) {6,}", line.strip())[0] for line in lines if re.match(r"\s*\S+( P)? += ", line)]
    return "\n".join(re.sub(r"\s+", " ", line) for line in found)


def _first_line(thing: Documented) -> tuple[str, str]:
    line = inspect.cleandoc(thing.__doc__ or "").splitlines()[0]
    left, _, right = re.sub(r"\s{3,}", "\0", line).partition("\0")
    return left.removesuffix("."), right.replace("\0", "  ")


@functools.cache
def _lines(module: str) -> list[str]:
    path = inspect.getsourcefile(importlib.import_module(module))
    if path is None:
        raise OSError(module)
    return Path(path).read_text("utf-8").splitlines()


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse("\n".join(_lines(module)))


def _body(tree: ast.Module, qualified: str) -> list[ast.stmt]:
    """The statements of a function, found by its qualified name, without its docstring."""
    scope: list[ast.stmt] = tree.body
    for name in qualified.split("."):
        found = next(s for s in scope if isinstance(s, ast.FunctionDef | ast.ClassDef) and s.name == name)
        scope = found.body
    documented = isinstance(scope[0], ast.Expr) and isinstance(scope[0].value, ast.Constant)
    return scope[1:] if documented else scope


def _simple(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that have no others inside them, in order, whatever they are nested in."""
    simple: list[ast.stmt] = []
    for statement in statements:
        blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        if any(blocks):
            for block in blocks:
                simple += _simple(block)
        else:
            simple.append(statement)
    return simple


def _mentions(statement: ast.stmt, wanted: str) -> bool:
    """Whether some expression in the statement is this one. Reading and writing a thing both count."""
    return any(
        isinstance(node, ast.expr) and ast.dump(node).replace("Store()", "Load()") == wanted
        for node in ast.walk(statement)
    )
