"""Entries of the API reference: signature and docstring of a public name, as Markdown for Sphinx.

The signature is the source's own, so that types have their short names: `path: StrPath`, not a union of four classes.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

#: Space before the shapes of arrays, at the end of a line.
SHAPES = re.compile(r"(?<=\S) {3,}(?=\S)")
#: A line of a list of arguments: `path: a file`, or `labels, predictions: (N,)`.
ARGUMENT = re.compile(r"^[A-Za-z_]\w*(, \w+)*: ")


def entry(path: str) -> str:
    """Return the entry of a name, such as `byhand.load`, as Markdown."""
    module, _, name = path.rpartition(".")
    target = getattr(importlib.import_module(module), name)
    if not inspect.isclass(target):
        return described("function", path, target)
    members = "\n".join(described(kind, name, member) for kind, name, member in members_of(target))
    return described("class", path, target, members)


def described(kind: str, name: str, target: Any, content: str = "") -> str:
    """Return the Markdown of one object: a directive of Sphinx's domain for Python."""
    fence, option = "`" * (3 if kind in ("method", "property") else 5), ""
    if isinstance(target, property):
        returned = definition(target.fget).returns
        arguments, option = "", f":type: {type_of(returned)}\n" if returned else ""
    else:
        if isinstance(target, classmethod):
            target, option = target.__func__, ":classmethod:\n"
        arguments = signature(target)
    text = markdown(inspect.getdoc(target) or "")
    return f"{fence}{{py:{kind}}} {name}{arguments}\n{option}\n{text}\n\n{content}\n{fence}\n"


def members_of(target: type) -> Iterator[tuple[str, str, Any]]:
    """Yield kind, name and object of the public methods and properties with a docstring, inherited ones included."""
    found: dict[str, Any] = {}
    for base in target.__mro__:
        if base.__module__.startswith("byhand"):
            found = found | {name: member for name, member in vars(base).items() if name not in found}
    for name, member in found.items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        if not function.__doc__.startswith("Deprecated"):
            yield "property" if isinstance(member, property) else "method", name, member


def definition(function: Any) -> ast.FunctionDef:
    """Return the syntax tree of a function."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    assert isinstance(node, ast.FunctionDef)
    return node


def signature(target: Any) -> str:
    """Return the arguments and the type of the result, as the source has them; of a class, those of its constructor."""
    if inspect.isclass(target):
        code = getattr(target.__init__, "__code__", None)
        if hasattr(target, "_fields") or (code and code.co_filename == "<string>"):  # made by NamedTuple or dataclass
            return f"({', '.join(fields(target).values())})"
        if code is None:
            return ""
        target = target.__init__
    try:
        node = definition(target)
    except OSError:  # made by a program, as the constructors of the estimators
        return re.sub(r"\(self(, )?", "(", str(inspect.signature(target)).partition(" -> ")[0])
    returned = None if node.name == "__init__" else node.returns
    if node.args.args and node.args.args[0].arg in ("self", "cls"):
        del node.args.args[0]
    arrow = f" -> {type_of(returned)}" if returned else ""
    return f"({ast.unparse(node.args)}){arrow}"


def type_of(node: ast.expr) -> str:
    """Return a type as text, without the quotes of a name that is defined later."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)


def fields(target: type) -> dict[str, str]:
    """Return the fields of a data class or named tuple, with types and defaults."""
    found: dict[str, str] = {}
    for base in reversed(target.__mro__):
        if base.__module__.startswith("byhand"):
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(tree, ast.ClassDef)
            lines = (ast.unparse(line) for line in tree.body if isinstance(line, ast.AnnAssign))
            found |= {
                line.partition(":")[0]: line for line in lines if "ClassVar" not in line and "init=False" not in line
            }
    return found


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown: shapes at the end of a line and arguments keep lines of their own."""
    lines: list[str] = []
    for line in docstring.splitlines():
        if lines and lines[-1] and ARGUMENT.match(line):
            lines[-1] += "\\"
        text, *shapes = (line,) if line.startswith(" ") else SHAPES.split(line, maxsplit=1)
        lines.append(f"{text}\\\n`{shapes[0]}`" if shapes else text)
    return "\n".join(lines)
