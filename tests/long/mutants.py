"""Mutation testing: `python tests/long/mutants.py [--mutants 300] [--seed 0] [--tier first|all] [--jobs 2]`.

A mutant is one small edit of the source: a comparison, an operator, a number or a flag is changed, a condition negated,
a statement removed. The tests should fail for each. A first run under coverage records which test executes which line;
each mutant, in a copy of the project, is then tested by the tests that execute its line (the quickest first, until
one fails), and if they pass by all the tests of those files. A mutant that no test executes survives at once.

Takes minutes to record and about ten seconds a mutant; needs the `dev` extra. The results go to
`benchmarks/results/mutants-TIER.json`, and the survivors are printed with their edits: a test should kill each of them,
or it is equivalent to the original and EQUIVALENT names it.
"""

import argparse
import ast
import concurrent.futures
import copy
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "byhand"
MUTATED = ["nn", "reference", "training", "data/handwriting", "course/check"]
#: (file, edit) of mutants that compute the same, with the reason.
EQUIVALENT: dict[tuple[str, str], str] = {}
CPU_SECONDS = 180  #: per mutant; one that needs more counts as killed (an endless loop)
MOST_TESTS = 150  #: per mutant in the first attempt

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
FUNCTIONS = {"maximum": "minimum", "minimum": "maximum", "sum": "max", "mean": "sum", "any": "all", "all": "any"}
FUNCTIONS |= {"min": "max", "max": "min", "argmax": "argmin", "sqrt": "square", "exp": "expm1", "log": "log1p"}


class Mutant(NamedTuple):
    """One edit: the file (relative to the package), its place, and the text before and after."""

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {' '.join(self.before.split())} → {self.after}"

    def source(self) -> str:
        text = (PACKAGE / self.file).read_bytes()
        return (text[: self.start] + self.after.encode() + text[self.end :]).decode()


def changed(node: ast.AST) -> Iterator[ast.AST | str]:
    """Yield the mutated forms of one node: another node, or text."""
    other = copy.deepcopy(node)
    match other:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARISONS:
            other.ops = [COMPARISONS[type(operator)]()]
            yield other
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            other.op = OPERATORS[type(operator)]()
            yield other
        case ast.BoolOp():
            other.op = ast.And() if isinstance(other.op, ast.Or) else ast.Or()
            yield other
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield other.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Attribute(attr=name) if name in FUNCTIONS:
            other.attr = FUNCTIONS[name]
            yield other
        case ast.AugAssign(op=operator) if type(operator) in OPERATORS:
            other.op = OPERATORS[type(operator)]()
            yield other
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield "pass"


def conditions(node: ast.AST) -> list[ast.AST]:
    """Return the conditions of a node that have no operator to change: they are negated."""
    tests = [node.test] if isinstance(node, ast.If | ast.IfExp | ast.While) else []
    return [test for test in tests if isinstance(test, ast.Name | ast.Attribute | ast.Call)]


def skipped(node: ast.AST) -> list[ast.AST]:
    """Return the children of a node that are not mutated: annotations, type aliases, and texts."""
    match node:
        case ast.FunctionDef():
            return [node.returns, *(a.annotation for a in ast.walk(node.args) if isinstance(a, ast.arg))]
        case ast.AnnAssign():
            return [node.annotation]
        case ast.JoinedStr():
            return node.values
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return [node.test, *node.body]
        case ast.Raise():
            return [node.exc]
    return []


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file. Expressions are put in parentheses, so that precedence stays."""
    text = path.read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    todo: list[ast.AST] = [ast.parse(text)]
    while todo:
        node = todo.pop()
        left_out = skipped(node)
        todo += [child for child in ast.iter_child_nodes(node) if child not in left_out]
        edits = [(node, other) for other in changed(node)]
        edits += [(test, ast.UnaryOp(ast.Not(), test)) for test in conditions(node) if test not in left_out]
        for old, other in edits:
            after = other if isinstance(other, str) else ast.unparse(other)
            if isinstance(other, ast.expr) and not isinstance(other, ast.Constant | ast.Attribute):
                after = f"({after})"
            start, end = starts[old.lineno - 1] + old.col_offset, starts[old.end_lineno - 1] + old.end_col_offset
            name = path.relative_to(PACKAGE).as_posix()
            yield Mutant(name, old.lineno, start, end, text[start:end].decode(), after)


def sample(count: int, seed: int, parts: list[str]) -> list[Mutant]:
    files = [path for part in parts for path in sorted((PACKAGE / part).rglob("*.py"))]
    found = [mutant for path in files for mutant in sorted(mutants_of(path))]
    return sorted(random.Random(seed).sample(found, min(count, len(found))))


# Recording: this module is also the pytest plugin that tells coverage which test runs.
def pytest_runtest_protocol(item):  # type: ignore[no-untyped-def]
    import coverage

    if current := coverage.Coverage.current():
        current.switch_context(item.nodeid)


def pytest_runtest_logreport(report):  # type: ignore[no-untyped-def]
    if (path := os.environ.get("MUTANTS_SECONDS")) and report.when == "call" and report.passed:
        with open(path, "a", encoding="utf-8") as file:
            print(json.dumps([report.nodeid, report.duration]), file=file)


Lines = dict[str, dict[int, list[str]]]


def copy_project(folder: Path) -> Path:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run_pytest(*words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--durations=0", *words]


def environment(project: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}", "PYTHONDONTWRITEBYTECODE": "1"}


def record(project: Path, tier: str, tests: list[str]) -> tuple[Lines, dict[str, float], float]:
    """Run the tier under coverage: file → line → tests, each test's seconds, and the share of lines executed."""
    import coverage

    data, seconds = project / "coverage.db", project / "seconds.jsonl"
    words = ["-p", "tests.long.mutants", "-m", "not slow" if tier == "first" else "slow or not slow"]
    command = run_pytest(*words, *tests)
    command[1:2] = ["-m", "coverage", "run", f"--data-file={data}", f"--source={project / 'src'}", "-m"]
    done = subprocess.run(
        command,
        check=False,
        cwd=project,
        env=environment(project) | {"MUTANTS_SECONDS": str(seconds)},
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise SystemExit("the tests must pass before anything is mutated:\n" + (done.stdout + done.stderr)[-3000:])
    print(done.stdout.strip().splitlines()[-1])
    measured = coverage.CoverageData(basename=str(data))
    measured.read()
    lines: Lines = {}
    executed = statements = 0
    reader = coverage.Coverage(data_file=str(data))
    reader.load()
    for path in measured.measured_files():
        _, all_lines, _, missing, _ = reader.analysis2(path)
        executed, statements = executed + len(all_lines) - len(missing), statements + len(all_lines)
        contexts = measured.contexts_by_lineno(path)
        name = Path(path).relative_to(project / "src" / "byhand").as_posix()
        lines[name] = {line: sorted(filter(None, tests)) for line, tests in contexts.items()}
    times = dict(json.loads(line) for line in seconds.read_text("utf-8").splitlines())
    return lines, times, executed / statements


def limit_cpu() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def killed(project: Path, mutant: Mutant, lines: Lines, seconds: dict[str, float], tier: str) -> bool:
    """Return whether a test fails for the mutant."""
    of_file = lines.get(mutant.file, {})
    at_line = of_file.get(mutant.line, [])
    # A line that runs at import or in shared set-up is in the context of one test only: all of these files may see it.
    files = sorted({test.partition("::")[0] for tests in of_file.values() for test in tests})
    path = project / "src" / "byhand" / mutant.file
    original = path.read_bytes()
    path.write_text(mutant.source(), "utf-8")
    try:
        quickest = sorted((test for test in at_line if test in seconds), key=seconds.__getitem__)[:MOST_TESTS]
        marker = ["-m", "not slow" if tier == "first" else "slow or not slow"]
        for words in filter(None, (quickest, files)):
            command = run_pytest("-x", *marker, *words)
            done = subprocess.run(
                command, cwd=project, env=environment(project), capture_output=True, preexec_fn=limit_cpu, check=False
            )
            if done.returncode not in {0, 5}:
                return True
        return False
    finally:
        path.write_bytes(original)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tier", choices=["first", "all"], default="first")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--parts", nargs="*", choices=MUTATED, default=MUTATED)
    parser.add_argument("--tests", nargs="*", default=[], help="Only these files of tests. Nothing is written then.")
    options = parser.parse_args()
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        projects = [copy_project(Path(folder) / str(job)) for job in range(options.jobs)]
        lines, seconds, coverage = record(projects[0], options.tier, options.tests)
        print(f"recorded in {time.time() - started:.0f} s; {coverage:.1%} of the package's lines executed", flush=True)
        mutants = sample(options.mutants, options.seed, options.parts)
        free = list(projects)

        def test(mutant: Mutant) -> bool:
            project = free.pop()
            try:
                return killed(project, mutant, lines, seconds, options.tier)
            finally:
                free.append(project)

        survivors = []
        by_part: dict[str, list[bool]] = {part: [] for part in options.parts}
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for mutant, dead in zip(mutants, pool.map(test, mutants), strict=True):
                by_part[next(part for part in options.parts if mutant.file.startswith(part))].append(dead)
                if not dead:
                    why = EQUIVALENT.get((mutant.file, f"{mutant.before} → {mutant.after}"))
                    survivors.append({"mutant": str(mutant), "equivalent": why})
                    print(f"survived: {mutant}{f' (equivalent: {why})' if why else ''}", flush=True)
    equivalent = sum(bool(each["equivalent"]) for each in survivors)
    counted = len(mutants) - equivalent
    share = (counted - len(survivors) + equivalent) / counted
    print(f"{len(mutants)} mutants, {equivalent} equivalent, {share:.1%} of the others killed")
    for part, outcomes in by_part.items():
        print(f"  {part}: {sum(outcomes)} of {len(outcomes)}")
    results = {
        "seed": options.seed, "tier": options.tier, "mutants": len(mutants), "killed": share, "coverage": coverage,
        "parts": {part: [sum(outcomes), len(outcomes)] for part, outcomes in by_part.items()}, "survivors": survivors,
    }  # fmt: skip
    if options.tests or options.parts != MUTATED:
        return
    path = ROOT / "benchmarks" / "results" / f"mutants-{options.tier}.json"
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
