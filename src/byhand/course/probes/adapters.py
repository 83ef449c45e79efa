"""Adapters: TOML files that describe other assignments, so that they are checked like those of the course.

An adapter has the right functions under the assignment's names, and the random arguments of each. Causes of mistakes
are found by the rules that hold for any formula: scale, sign, shape, and single edits of the right function.
"""

import ast
import linecache
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NotRequired, TypedDict

import numpy as np

from byhand.course.probes import Outputs, Page, Probe, Random, Reader, entries, one, several
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.schema import checked, toml_value
from byhand.text import near_path

FOLDER = Path(__file__).parents[1] / "adapters"
NAMED = re.compile(r"^# byhand: adapter (\S+)$", re.MULTILINE)
SIZES = "nmpqk"  # of the arguments, from 3 to 7, all different


class Entry(TypedDict):
    """A function: Python expressions for its arguments, those of single cases, and the names of its outputs."""

    name: str
    arguments: dict[str, Any]  # a name that begins with _ is for the other expressions only
    outputs: list[str]
    cases: NotRequired[list[dict[str, Any]]]
    hidden: NotRequired[list[dict[str, Any]]]  # more cases, for grading only
    samples: NotRequired[str]  # an expression for the number of samples, such as a size
    random: NotRequired[bool]  # True if only the shapes and the biases are compared


class Adapter(TypedDict):
    title: str
    reference: str
    function: list[Entry]
    given: NotRequired[list[str]]  # the functions of the reference that modules of the assignment have
    modules: NotRequired[list[str]]
    glue: NotRequired[str]  # functions that call methods of the student's class
    glue_class: NotRequired[str]
    play: NotRequired[str]  # see `Page.play`


def shipped_adapters() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def named_adapter(cells: Sequence[str]) -> str | None:
    """Return the shipped adapter that a file names: a file of a stranger must not choose a TOML file."""
    found = NAMED.search("\n".join(cells))
    if found and found[1] not in shipped_adapters():
        raise UsageError(f"a file can name one of the adapters {', '.join(shipped_adapters())}, got {found[1]}")
    return found[1] if found else None


def load_adapter(name: str, *, with_hidden: bool = False) -> Page:
    """Return the page of a shipped adapter or a TOML file, for grading also with the hidden cases."""
    shipped = shipped_adapters()
    path = FOLDER / f"{name}.toml" if name in shipped else Path(name)
    if not path.is_file():
        raise DataMissingError(f"--adapter must be {', '.join(shipped)} or a TOML file, got {name}{near_path(path)}")
    try:
        adapter: Adapter = checked(Adapter, toml_value(path.read_bytes()))
        return _page(path.stem, adapter, with_hidden)
    except (UsageError, SyntaxError, NameError, AttributeError) as error:
        raise DataError(f"{path}: {error}") from None


def _page(name: str, adapter: Adapter, with_hidden: bool) -> Page:
    source = f"import numpy as np\n{adapter['reference']}"
    module = ModuleType(f"byhand_adapter_{name}")
    file = f"<adapter {name}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # for inspect.getsource
    sys.modules[module.__name__] = module
    exec(compile(source, file, "exec"), vars(module))
    given, names = adapter.get("given", []), [entry["name"] for entry in adapter["function"]]
    texts = {node.name: ast.unparse(node) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    prelude = "\n".join(["import numpy as np", *(texts[one] for one in given)])
    modules = dict.fromkeys(adapter.get("modules", []), "") if given else {}
    page = Page(
        name,
        module,
        given=tuple(names),
        modules={key: prelude if place == 0 else "" for place, key in enumerate(modules)},
        glue=adapter.get("glue", ""),
        glue_class=adapter.get("glue_class", ""),
        play=adapter.get("play", ""),
    )
    for entry in adapter["function"]:
        read = _shapes if entry.get("random") else _reader(entry["outputs"])
        called = {*getattr(module, entry["name"]).__code__.co_names}
        page.function(read, uses=tuple(one for one in names if one in called))(_probes(entry, module, with_hidden))
    return page


def _probes(entry: Entry, module: ModuleType, with_hidden: bool) -> Any:
    def probes(rng: Random) -> Iterator[Probe]:
        draw = {
            "normal": lambda *shape: rng.normal(size=shape),
            "uniform": lambda *shape: rng.uniform(0.1, 0.9, shape),
            "integers": lambda high, *shape: rng.integers(high, size=shape),
        }
        cases = entry.get("cases") or [dict[str, Any]()]
        for case in [*cases, *(entry.get("hidden", []) if with_hidden else [])]:
            for _ in range(2):
                names = {**vars(module), **draw, **dict(zip(SIZES, map(int, 3 + rng.permutation(5)), strict=True))}
                for key, text in {**entry["arguments"], **case}.items():
                    names[key] = eval(text, names)
                arguments = {key: names[key] for key in entry["arguments"] if not key.startswith("_")}
                described = ", ".join(f"{key}={names[key]!r}" for key in case) if case in cases else ""
                m = int(eval(entry["samples"], names)) if "samples" in entry else 0
                yield Probe(arguments, m=m, case=described)

    probes.__name__ = entry["name"]
    return probes


def _reader(names: list[str]) -> Reader:
    """Return a reader of one value or several, in which lists, tuples and dictionaries become one output per entry."""
    read = one(names[0]) if len(names) == 1 else several(*names)

    def outputs(value: Any, printed: str) -> Outputs:
        if len(names) == 1 and isinstance(value, dict):
            return entries(value, names[0])
        return dict(leaf for name, part in read(value, printed).items() for leaf in _leaves(name, part))

    return outputs


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if inner is None:
        yield name, value
    else:
        for key, part in inner:
            yield from _leaves(f"{name}[{key!r}]", part)


def _shapes(value: Any, _printed: str) -> Outputs:
    """Return the shapes of a dictionary of random arrays, and its biases."""
    found = entries(value, "parameters")
    biases = {name: array for name, array in found.items() if name.startswith("b")}
    return {**{f"shape of {name}": np.array(np.shape(array)) for name, array in found.items()}, **biases}
