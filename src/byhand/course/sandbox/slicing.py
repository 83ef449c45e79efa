"""Select the statements of a student's file to run: a notebook may train for half an hour.

Each cell is split into its top-level statements. A statement is kept if it binds a function to check, or a global name
that a kept statement refers to. Statements that are not valid Python are skipped.
"""

import ast
import io
import re
import symtable
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
IMPORTS = ast.Import | ast.ImportFrom
NEWER = re.compile(r"^\s*(?:type\s+\w+.*=|(?:def|class)\s+\w+\[)", re.MULTILINE)  # syntax of Python 3.12
MAX_BLOCKS = 40  # per statement, if a cell can't be parsed as a whole


@dataclass(frozen=True)
class Piece:
    """One top-level statement of a cell, with the names that it binds and those that it refers to."""

    cell: int
    node: ast.stmt
    binds: frozenset[str]
    needs: frozenset[str]


@dataclass(frozen=True)
class Broken:
    """Lines that are not valid Python, with the names that they would define."""

    cell: int
    line: int
    message: str
    names: tuple[str, ...]
    stub: bool  # True for an unfilled blank of the assignment


def cut(cells: list[str]) -> tuple[list[Piece], list[Broken]]:
    """Return every top-level statement of every cell, and the parts that cannot be parsed."""
    pieces: list[Piece] = []
    broken: list[Broken] = []
    for cell, source in enumerate(cells):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as an invalid escape in a docstring
            lines = list(io.StringIO(source))  # str.splitlines splits at characters where Python does not
            for start, block in _readable_blocks(lines):
                parsed = _parse(block)
                if isinstance(parsed, ast.Module):
                    ast.increment_lineno(parsed, start)
                    bound = [(node, frozenset(_bound(node)), frozenset(_referred(node))) for node in parsed.body]
                    pieces += [Piece(cell, *one) for one in bound]
                else:
                    broken.append(_broken(cell, start, block, parsed))
    return pieces, broken


def worth_running(pieces: list[Piece], targets: Iterable[str]) -> list[Piece]:
    """Return the statements that bind the targets or anything that they depend on, in the file's order."""
    needed = set(targets)
    modules = {name for piece in pieces if isinstance(piece.node, IMPORTS) for name in piece.binds}
    kept: set[int] = set()
    while fresh := {k for k, piece in enumerate(pieces) if k not in kept and _is_needed(piece, needed, modules)}:
        needed.update(*(pieces[k].needs for k in fresh))
        kept |= fresh
    return [pieces[k] for k in sorted(kept)]


def without_stub_copies(pieces: list[Piece]) -> tuple[list[Piece], dict[str, list[int]]]:
    """Return the pieces without stubs of functions that are written elsewhere, and the cells of copied functions."""
    cells: dict[str, list[int]] = {}
    for piece in pieces:
        for name in functions([piece]).keys() - stubs([piece]):
            cells.setdefault(name, []).append(piece.cell)
    kept = [piece for piece in pieces if not stubs([piece]) & cells.keys()]
    return kept, {name: found for name, found in cells.items() if len(set(found)) > 1}


def functions(pieces: Iterable[Piece]) -> dict[str, ast.FunctionDef]:
    return {piece.node.name: piece.node for piece in pieces if isinstance(piece.node, ast.FunctionDef)}


def inside(pieces: Iterable[Piece]) -> dict[str, str]:
    """Return the functions inside a class or another function, with a description of it."""
    found: dict[str, str] = {}
    for piece in pieces:
        if isinstance(piece.node, DEFINITIONS):
            kind = "class" if isinstance(piece.node, ast.ClassDef) else "function"
            inner = (one.name for one in ast.walk(piece.node) if isinstance(one, DEFINITIONS) and one is not piece.node)
            found |= dict.fromkeys(inner, f"the {kind} {piece.node.name} (line {piece.node.lineno})")
    return found


def stubs(pieces: Iterable[Piece]) -> set[str]:
    """Return the functions that do nothing, or end in `raise NotImplementedError` and never return."""
    nodes = [piece.node for piece in pieces if isinstance(piece.node, ast.FunctionDef)]
    return {node.name for node in nodes if all(map(does_nothing, node.body)) or _ends_in_a_stub(node)}


def defined(piece: Piece) -> set[str]:
    """Return the functions and classes that a statement defines, including those inside an `if` or `try`."""
    if isinstance(piece.node, DEFINITIONS):
        return {piece.node.name}
    return {inner.name for inner in ast.walk(piece.node) if isinstance(inner, DEFINITIONS)}


def _ends_in_a_stub(node: ast.FunctionDef) -> bool:
    last = node.body[-1]
    returns = any(isinstance(inner, ast.Return | ast.Yield) for inner in ast.walk(node))
    return isinstance(last, ast.Raise) and does_nothing(last) and not returns


def does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Return):
        return node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _is_needed(piece: Piece, needed: set[str], modules: set[str]) -> bool:
    """Return True if the statement binds a needed name, or is `from … import *`; `plt.show()` does not bind `plt`."""
    if isinstance(piece.node, IMPORTS):
        return bool(piece.binds & (needed | {"*"}))
    if isinstance(piece.node, DEFINITIONS):
        return piece.node.name in needed
    return bool((piece.binds - modules) & needed)


def _parse(source: str) -> ast.Module | Exception:
    try:
        tree = ast.parse(source)
        compile(source, "student", "exec")  # finds more errors, such as `return` outside a function
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error
    return tree


def _readable_blocks(lines: list[str]) -> list[tuple[int, str]]:
    """Return (line offset, text) of the whole cell if it can be parsed, otherwise of its smallest valid blocks."""

    def reads(start: int, end: int) -> bool:
        return isinstance(_parse("".join(lines[start:end])), ast.Module)

    if reads(0, len(lines)):
        return [(0, "".join(lines))]
    starts = [n for n, line in enumerate(lines) if re.match(r"[^\s#)\]}]", line)]
    starts = [n for k, n in enumerate(starts) if k == 0 or not lines[starts[k - 1]].startswith("@")]
    starts = [n for n in starts if not re.match(r"(else|elif|except|finally)\b", lines[n])]
    edges = [*starts, len(lines)]
    blocks, k = [], 0
    while k < len(edges) - 1:
        reach = next(
            (far for far in range(k + 1, min(k + MAX_BLOCKS, len(edges))) if reads(edges[k], edges[far])),
            k + 1,  # this block alone is broken
        )
        blocks.append((edges[k], "".join(lines[edges[k] : edges[reach]])))
        k = reach
    return blocks


def _broken(cell: int, start: int, block: str, error: Exception) -> Broken:
    names = tuple(re.findall(r"^(?:async\s+)?(?:def|class)\s+(\w+)", block, re.MULTILINE))
    line = start + (getattr(error, "lineno", None) or 1)
    comments = re.findall(r"(?:=|return|\()\s*(#.*)", block)  # each line once, so that the search is linear
    stub = any("write your code" in comment.lower() for comment in comments)
    message = getattr(error, "msg", None) or type(error).__name__
    if "f-string" in message or NEWER.search(block):
        message += f" (newer versions of Python than {sys.version_info.major}.{sys.version_info.minor} may accept it)"
    return Broken(cell, line, message, names, stub)


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds or changes: `a = …`, `a[0] = …`, `a.append(…)`, `import a`."""
    names: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, DEFINITIONS):
            names.add(inner.name)
        elif isinstance(inner, ast.alias):
            names.add((inner.asname or inner.name).split(".")[0])
        elif isinstance(inner, ast.Name | ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store):
            names |= _base(inner)
        elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            method = inner.value.func
            names |= _base(method) if isinstance(method, ast.Attribute) else set()
    return names


def _base(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _referred(node: ast.stmt) -> set[str]:
    """Return the global names that a statement refers to, including those in its functions."""
    try:
        table = symtable.symtable(ast.unparse(node), "student", "exec")
    except (SyntaxError, ValueError, RecursionError):  # such as a statement that is nested too deeply
        return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    scopes = list(table.get_children())
    while scopes:
        scope = scopes.pop()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        scopes += scope.get_children()
    return names
