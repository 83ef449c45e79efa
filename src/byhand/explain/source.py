"""Quotations from byhand's own code: statements, and the formulas in docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Quote:
    """Lines of code with their function and place, such as `byhand/nn/layers.py:108`.

    `is_exact` is False if the expression was not found, and the whole function is quoted.
    reference: the lines of the reference implementation that compute the same
    """

    function: str
    place: str
    text: str
    is_exact: bool = True
    reference: "Quote | None" = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        same = {"reference": self.reference.to_json()} if self.reference else {}
        return {"place": self.place, "text": self.text, **same}

    def beside(self, function: str, mention: str | None = None, file: str = "l_layer") -> "Quote":
        """Return this quote beside the lines of the reference that compute the same."""
        return replace(self, reference=reference(function, mention, file))


def quote(function: Callable[..., Any], mention: str | None = None) -> Quote:
    """Return the statements with the expression `mention`, by default the whole body.

    Return statements are omitted if another statement has the expression. Expressions are
    compared as syntax trees. The text is empty if the sources are not installed.
    """
    function = inspect.unwrap(function)
    name, file = function.__qualname__, f"{function.__module__.replace('.', '/')}.py"
    try:
        source, first = inspect.getsourcelines(function)
    except OSError:
        return Quote(name, file, "")
    return from_source("".join(source), mention, name, file, first - 1)


@cache  # each step of an explanation quotes the same lines
def from_source(source: str, mention: str | None, name: str, file: str, before: int) -> Quote:
    """Quote a function whose source begins at line `before + 1` of the file."""
    lines = textwrap.dedent(source).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return statements(definition, mention, lines, name, file, before)


@cache
def reference(function: str, mention: str | None, file: str) -> Quote:
    """Quote a function of `byhand.reference` from its file, without importing it."""
    name, path = f"byhand/reference/{file}.py", resources.files("byhand").joinpath("reference", f"{file}.py")
    try:
        text = path.read_text("utf-8")
    except OSError:  # the sources are not installed
        return Quote(function, name, "")
    found = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == function)
    return statements(next(found), mention, text.splitlines(), function, name, 0)


def statements(
    definition: ast.FunctionDef, mention: str | None, lines: list[str], name: str, file: str, before: int
) -> Quote:
    """Quote the statements of a function with an expression. Line 1 of `lines` is line `before + 1` of the file."""
    body = definition.body[1 if ast.get_docstring(definition) else 0 :]
    found: list[ast.stmt] = []
    if mention is not None:
        expression = ast.dump(ast.parse(mention, mode="eval").body)
        nodes = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.stmt)]
        simple = sorted((node for node in nodes if not hasattr(node, "body")), key=lambda node: node.lineno)
        found = [statement for statement in simple if mentions(statement, expression)]
        found = [statement for statement in found if not isinstance(statement, ast.Return)] or found
    parts = [(s.lineno, s.end_lineno) for s in found] or [(body[0].lineno, body[-1].end_lineno)]
    text = "\n".join(textwrap.dedent("\n".join(lines[start - 1 : end])) for start, end in parts)
    text = re.sub(r"  # type: ignore.*", "", text)
    return Quote(name, f"{file}:{before + parts[0][0]}", text, is_exact=bool(found) or mention is None)


def mentions(statement: ast.stmt, expression: str) -> bool:
    """Return True if the statement has the expression, a dump of its syntax tree."""
    return any(
        isinstance(node, ast.expr) and ast.dump(node).replace("Store()", "Load()") == expression
        for node in ast.walk(statement)
    )


def formula(thing: object) -> str:
    """Return the formula in the first line of a docstring, without shapes."""
    line = inspect.cleandoc(thing.__doc__ or "").splitlines()[0]
    return re.split(r"\s{3,}", line)[0].removesuffix(".")


def formulas(thing: object) -> str:
    """Return the formulas in the other lines of a docstring, without shapes."""
    lines = inspect.cleandoc(thing.__doc__ or "").splitlines()[1:]
    found = [re.split(r"(?<=\S) {6,}", line.strip())[0] for line in lines if re.match(r"\s*\S+( P)? += ", line)]
    return "\n".join(re.sub(r"\s+", " ", line) for line in found)
