"""The floors: imports only go down, and `import byhand` loads NumPy and nothing else heavy.

Every import in src/byhand is read with `ast`, those inside functions and under TYPE_CHECKING too.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "byhand"

#: From the top down. A room may import the rooms of the lines below its own, never one beside it.
FLOORS = [
    ["cli"],
    ["play", "course", "sklearn", "distributed"],
    ["report", "explain", "export"],
    ["page"],
    ["training"],
    ["model"],
    ["data", "nn"],
    ["files", "checks", "threads", "lazy", "text"],
    ["errors"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: The page stands apart, and the front door knows every name without loading it.
APART, FRONT_DOOR = "reference", {"__init__", "__main__"}


def room_of(module):
    """`byhand.nn.layers` → `nn`"""
    return module.split(".")[1] if "." in module else "__init__"


def imports(tree, package):
    """Every module that is imported anywhere in the file, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            yield from (f"byhand.{alias.name}" for alias in node.names) if base == "byhand" else [base]


def modules():
    """(module's full name, its syntax tree, its package)"""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ["byhand", *path.relative_to(SOURCE).with_suffix("").parts]
        package = parts[:-1]
        name = ".".join(package if parts[-1] == "__init__" and len(parts) > 2 else parts)
        yield name, ast.parse(path.read_text(encoding="utf-8")), ".".join(package)


def goes_up(importer, imported):
    """Why one room may not import the other, or None."""
    if importer in FRONT_DOOR or imported in {importer, "__init__"}:
        return None
    if importer == APART:
        return None if FLOOR[imported] >= FLOOR["checks"] else "the page stands apart"
    if imported == APART:
        return None if FLOOR[importer] <= FLOOR["course"] else "the page is no library"
    return None if FLOOR[imported] > FLOOR[importer] else "up or sideways"


def test_every_room_has_a_floor():
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
                continue  # load_data alone asks data for the pictures
            if why := goes_up(room_of(name), room_of(target)):
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
def test_the_test_sees_an_import_that_goes_up(line, importer, is_wrong):
    (target,) = imports(ast.parse(line), f"byhand.{importer}")
    assert bool(goes_up(importer, room_of(target))) == is_wrong


@pytest.mark.parametrize(("room", "allowed"), [("nn", {"numpy"}), ("reference", {"numpy", "matplotlib"})])
def test_the_mathematics_needs_numpy_and_nothing_else(room, allowed):
    found = {
        target.partition(".")[0]
        for name, tree, package in modules()
        if room_of(name) == room
        for target in imports(tree, package)
    }
    assert found - sys.stdlib_module_names - {"byhand"} <= allowed
    assert "numpy" in found


# numpy.random is NumPy too, and brings a module of its compiler with it: what it loads is no cost of ours.
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
    run = subprocess.run([sys.executable, "-c", LOADED.format(line)], capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in json.loads(run.stdout)}
    assert loaded - sys.stdlib_module_names <= {"byhand", "numpy"}
    assert "byhand" in loaded


COST = """
import time, numpy
start = time.process_time()
import byhand
print(time.process_time() - start)
"""


def test_import_byhand_costs_little_more_than_numpy():
    # measured: under 2 ms; the bound is wide, for slow machines, and still far under any heavy package
    run = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 0.1
