"""The architecture: imports only go down and never in circles, and `import byhand` loads NumPy and nothing else heavy.

Every import in src/byhand is read with `ast`, those inside functions and under TYPE_CHECKING too.
"""

import ast
import functools
import importlib
import itertools
import json
import re
import sys
from pathlib import Path

import pytest

from helpers.processes import python
from tools import import_cycles

SOURCE = Path(__file__).parents[1] / "src" / "byhand"

#: From the top down. A package may import those of the lines below its own, never one in the same line.
FLOORS = [
    ["cli"],
    ["play", "course", "sklearn", "distributed"],
    ["report", "explain", "export"],
    ["page"],
    ["training"],
    ["model"],
    ["data"],
    ["nn"],
    ["schema"],
    ["files", "checks", "threads", "lazy", "text"],
    ["errors"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: The reference stands apart, and `__init__` exports every name without loading it.
APART, FRONT_DOOR = "reference", {"__init__", "__main__"}


def package_of(module):
    """`byhand.nn.layers` → `nn`"""
    return module.split(".")[1] if "." in module else "__init__"


def nodes(source):
    """Return all nodes of the syntax tree."""
    return [*ast.walk(ast.parse(source))]


def imports(nodes, package):
    """Yield the full name of every module that is imported anywhere in the file."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            yield from (f"byhand.{alias.name}" for alias in node.names) if base == "byhand" else [base]


@functools.cache
def modules():
    """Return (full name of the module, its nodes from the root down, its package) of each module."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ["byhand", *path.relative_to(SOURCE).with_suffix("").parts]
        package = parts[:-1]
        name = ".".join(package if parts[-1] == "__init__" and len(parts) > 2 else parts)
        found.append((name, nodes(path.read_text(encoding="utf-8")), ".".join(package)))
    return found


def goes_up(importer, imported):
    """Return why one package may not import the other, or None."""
    if importer in FRONT_DOOR or imported in {importer, "__init__"}:
        return None
    if importer == APART:
        return None if FLOOR[imported] >= FLOOR["checks"] else "the reference stands apart"
    if imported == APART:
        return None if FLOOR[importer] <= FLOOR["course"] else "the reference is not a library"
    return None if FLOOR[imported] > FLOOR[importer] else "up or sideways"


def test_every_package_has_a_level():
    known = {*FLOOR, APART, *FRONT_DOOR}
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert {path.stem for path in SOURCE.glob("*.py")} | folders <= known


def test_imports_only_go_down():
    wrong = []
    for name, tree, package in modules():
        for target in imports(tree, package):
            if target.partition(".")[0] != "byhand" or target == "byhand.__version__":
                continue
            if (name, target) == ("byhand.reference.l_layer", "byhand.data"):
                continue  # only load_data needs it
            if why := goes_up(package_of(name), package_of(target)):
                wrong.append(f"{name} imports {target}: {why}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "importer", "is_wrong"),
    [
        ("import byhand.training.loop", "nn", True),
        ("from byhand.data import load", "nn", True),
        ("from byhand import model", "training", False),
        ("from byhand import training", "model", True),
        ("def f():\n    from byhand.cli import main", "play", True),
        ("from ..model import Model", "nn", True),
        ("from byhand.nn import layers", "reference", True),
        ("from byhand.errors import UsageError", "reference", False),
        ("from byhand.reference import l_layer", "training", True),
        ("from byhand.reference import l_layer", "course", False),
    ],
)
def test_a_planted_import_that_goes_up_is_found(line, importer, is_wrong):
    (target,) = imports(nodes(line), f"byhand.{importer}")
    assert bool(goes_up(importer, package_of(target))) == is_wrong


def write_package(folder, files):
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "byhand" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.with_name("__init__.py").touch()
    return folder / "byhand"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "import byhand.b", "b.py": "import numpy", "__init__.py": "from byhand.a import f"}, []),
        ({"a.py": "import byhand.b", "b.py": "def f():\n    from byhand.a import g"}, ["modules: byhand.a → byhand.b"]),
        ({"d/a.py": "from .b import f", "d/b.py": "from . import a"}, ["modules: byhand.d.a → byhand.d.b"]),
        (
            {"d/__init__.py": "from byhand.d.a import f", "d/a.py": "from byhand.d import g"},
            ["modules: byhand.d → byhand.d.a"],
        ),
        ({"d/__init__.py": "from byhand.d.a import f", "d/a.py": "", "d/b.py": "from byhand.d import a"}, []),
        (
            {"d/a.py": "from byhand.d.e.x import f", "d/e/y.py": "import byhand.d.a", "d/e/x.py": ""},
            ["folders in byhand.d: byhand.d.a → byhand.d.e"],
        ),
        (
            {"a.py": "import byhand.b", "b.py": "import byhand.c", "c.py": "if TYPE_CHECKING:\n    import byhand.a"},
            ["modules: byhand.a → byhand.b → byhand.c"],
        ),
    ],
)
def test_circular_imports_are_found(tmp_path, files, expected):
    found = import_cycles.all_cycles(write_package(tmp_path, files))
    assert [line.rpartition(" → ")[0] for line in found] == expected


def test_there_are_no_circular_imports():
    assert import_cycles.all_cycles() == []


def test_small_files_with_one_importer_are_listed(tmp_path):
    files = {"a.py": "import byhand.b, byhand.c, byhand.d", "b.py": "x = 1\n", "c.py": "import byhand.d", "d.py": ""}
    package = write_package(tmp_path, {**files, "e.py": "import byhand.c\n" * 3, "a.py": files["a.py"] + "\n" * 200})
    assert import_cycles.small_files(110, package) == ["byhand/b.py: 1 lines, imported by byhand.a"]


def words_after_m(node):
    """Yield each module that a list, tuple or string starts with `-m`."""
    if isinstance(node, ast.List | ast.Tuple):
        words = [element.value if isinstance(element, ast.Constant) else None for element in node.elts]
        yield from (after for word, after in itertools.pairwise(words) if word == "-m" and isinstance(after, str))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from re.findall(r"(?<!\S)-m\s+([\w.]+)", node.value)


def docstrings(nodes):
    """Return the nodes of the file's docstrings, in which a command is only named."""
    bodies = [node.body for node in nodes if isinstance(getattr(node, "body", None), list) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def starts_the_program(nodes):
    """Return the lines that hold a command line of `python -m byhand`, to be run as a subprocess."""
    named = docstrings(nodes)
    return [
        node.lineno
        for node in nodes
        if id(node) not in named
        and any(module in {"byhand", "byhand.__main__", "byhand.cli"} for module in words_after_m(node))
    ]


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ('subprocess.run([sys.executable, "-m", "byhand", "train"])', True),
        ('command = ("-P", "-m", "byhand.cli", *options)', True),
        ('os.system(f"{python} -m byhand train --seed {seed}")', True),
        ('subprocess.run([sys.executable, "-m", "byhand.course.sandbox"])', False),
        ('def f():\n    """Like `python -m byhand train`."""', False),
        ('words = ["byhand", "train"]', False),
    ],
)
def test_a_planted_start_of_the_program_is_found(line, is_wrong):
    assert bool(starts_the_program(nodes(line))) == is_wrong


def test_no_package_below_the_command_line_starts_the_program():
    wrong = [
        f"{name}, line {line}"
        for name, tree, _ in modules()
        if package_of(name) not in {"cli", *FRONT_DOOR}
        for line in starts_the_program(tree)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("room", "allowed"), [("nn", {"numpy"}), ("reference", {"numpy", "matplotlib"})])
def test_the_mathematics_needs_only_numpy(room, allowed):
    found = {
        target.partition(".")[0]
        for name, tree, package in modules()
        if package_of(name) == room
        for target in imports(tree, package)
    }
    assert found - sys.stdlib_module_names - {"byhand"} <= allowed
    assert "numpy" in found


# numpy.random is part of NumPy and loads modules of its compiler, which do not count.
LOADED = (
    "import json, sys, numpy.random; before = set(sys.modules); {}; "
    "print(json.dumps(sorted(set(sys.modules) - before)))"
)


@pytest.mark.parametrize(
    "line",
    [
        "import byhand",
        "import byhand; byhand.Network; byhand.gradcheck; byhand.ByhandError",
        "import byhand.reference.l_layer, byhand.reference.two_layer",
    ],
)
def test_importing_loads_numpy_and_the_standard_library_only(line):
    loaded = {module.partition(".")[0] for module in json.loads(python("-c", LOADED.format(line)).stdout)}
    assert loaded - sys.stdlib_module_names <= {"byhand", "numpy"}
    assert "byhand" in loaded


COST = """
import time, numpy
start = time.process_time()
import byhand
print(time.process_time() - start)
"""


@pytest.mark.timing
def test_import_byhand_costs_little_more_than_numpy():
    # Measured: under 2 ms. The bound is wide for slow machines, and still far below any heavy package.
    assert float(python("-c", COST).stdout) < 0.1


ROOT = SOURCE.parents[1]
#: Programs that are run by hand, except those that are run with the previous version.
PROGRAMS = [path for place in ("tools", "tests/long", "benchmarks") for path in sorted((ROOT / place).glob("*.py"))]
PROGRAMS = [path for path in PROGRAMS if not path.name.startswith("make_golden_")]
WITH_SKLEARN = [path for path in PROGRAMS if "byhand.sklearn" in path.read_text("utf-8")]
PROGRAMS = [path for path in PROGRAMS if path not in WITH_SKLEARN] + [
    pytest.param(path, marks=pytest.mark.slow) for path in WITH_SKLEARN
]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_programs_run_by_hand_import_existing_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {"byhand", "benchmarks"}:
            if node.module == "benchmarks.jax_jit":
                continue  # it needs JAX
            if node.module == "byhand.sklearn":
                pytest.importorskip("sklearn", reason="needs the package sklearn")
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
