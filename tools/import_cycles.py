"""Find import cycles in src/byhand: `python tools/import_cycles.py`; exits with 1 if there are any.

All imports count, also those in functions and under TYPE_CHECKING. There are two levels: modules, and the entries of
each folder, where a subfolder counts as one entry. The package's `__init__` and `__main__` are left out.

    python tools/import_cycles.py --small [LINES]      files under 110 LINES that exactly one other file imports
"""

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "byhand"
#: Module → the modules that it imports, as dotted names.
Graph = dict[str, set[str]]


def modules(package: Path) -> dict[str, Path]:
    """Return full name → file of all modules in the package, except lessons, which are notebooks."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        if "lessons" not in parts:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, name: str) -> Iterator[str]:
    """Yield the full names of the modules and names that the file imports."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def module_graph(files: dict[str, Path]) -> Graph:
    """Return the imports between modules, without `byhand` itself."""
    graph: Graph = {name: set() for name, path in files.items() if name.count(".") and path.stem != "__main__"}
    for name, targets in graph.items():
        for target in imports(files[name], name):
            module = target if target in files else target.rpartition(".")[0]
            if module in graph and module != name:
                targets.add(module)
    return graph


def folder_graphs(graph: Graph, files: dict[str, Path]) -> Iterator[tuple[str, Graph]]:
    """Yield each folder with subfolders, and the imports between its entries."""
    folders = {name for name, path in files.items() if path.name == "__init__.py"}
    for folder in sorted(folders):
        if not any(other.rpartition(".")[0] == folder for other in folders):
            continue
        entries: Graph = defaultdict(set)
        for name, targets in graph.items():
            for target in targets:
                if name.startswith(f"{folder}.") and target.startswith(f"{folder}."):
                    importer, imported = entry(name, folder), entry(target, folder)
                    entries[importer] |= {imported} - {importer}
        yield folder, dict(entries)


def entry(name: str, folder: str) -> str:
    """Return the entry of a folder that contains a module: `byhand.data.formats` for `byhand.data.formats.idx`."""
    return ".".join(name.split(".")[: folder.count(".") + 2])


def cycles(graph: Graph) -> list[list[str]]:
    """Return a shortest cycle for each group of nodes that reach one another."""
    found: list[list[str]] = []
    grouped: set[str] = set()
    for start in sorted(graph):
        if start in grouped:
            continue
        if path := shortest_path_back(graph, start):
            found.append(path)
            grouped |= {node for node in reachable(graph, start) if start in reachable(graph, node)}
    return found


def shortest_path_back(graph: Graph, start: str) -> list[str]:
    """Return a shortest path from a node back to itself (breadth-first search), or []."""
    queue, seen = [[start]], set[str]()
    while queue:
        path = queue.pop(0)
        for target in sorted(graph.get(path[-1], ())):
            if target == start:
                return [*path, start]
            if target not in seen:
                seen.add(target)
                queue.append([*path, target])
    return []


def reachable(graph: Graph, start: str) -> set[str]:
    """Return all nodes that are reachable from a node."""
    seen, queue = set[str](), [start]
    while queue:
        new = graph.get(queue.pop(), set()) - seen
        seen |= new
        queue.extend(new)
    return seen


def all_cycles(package: Path = PACKAGE) -> list[str]:
    """Return a line for each cycle."""
    files = modules(package)
    graph = module_graph(files)
    lines = [f"modules: {' → '.join(cycle)}" for cycle in cycles(graph)]
    for folder, entries in folder_graphs(graph, files):
        lines += [f"folders in {folder}: {' → '.join(cycle)}" for cycle in cycles(entries)]
    return lines


def small_files(limit: int, package: Path = PACKAGE) -> list[str]:
    """Return a line for each file shorter than `limit` that exactly one other file imports."""
    files = modules(package)
    importers: Graph = defaultdict(set)
    for name, targets in module_graph(files).items():
        for target in targets:
            importers[target].add(name)
    lines = []
    for name, by in sorted(importers.items()):
        length = len(files[name].read_text("utf-8").splitlines())
        if length < limit and len(by) == 1:
            lines.append(f"{files[name].relative_to(package.parent)}: {length} lines, imported by {min(by)}")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--small", type=int, nargs="?", const=110, metavar="LINES")
    arguments = parser.parse_args()
    if arguments.small is not None:
        print("\n".join(small_files(arguments.small, arguments.package)))
    else:
        found = all_cycles(arguments.package)
        print("\n".join(found or ["no cycles"]))
        sys.exit(bool(found))
