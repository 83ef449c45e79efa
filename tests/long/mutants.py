"""Mutation testing: `python tests/long/mutants.py [--mutants 300] [--seed 0] [--tier first|all] [--jobs 1]`.

A mutant is one small edit of the source: a comparison, an operator, a number or a flag is changed, a condition negated,
a statement removed. The tests should fail for each. Each file of tests first runs under coverage, which records the
lines that each test executes. Then each mutant, in a copy of the project, is tested by the tests that execute its
statement, the quickest first, until one fails, then by the others of the same files, which may share their set-up.
A statement that is executed at import is tested by the files with tests that execute its file. Only the first
SECONDS_OF_TESTS are run of each, so a mutant may survive that more tests kill.

With `--tier all`, the survivors of the first tier are also tested by the slow tests of the same files.

The sample hardly changes when the code does, because a mutant is drawn by a hash of the seed and the edit. Everything
is kept in `build/mutants`: an interrupted run continues, a file of tests is recorded again only after a change, and a
mutant that a test killed is tested again only if its file or that test's file changed. Limits are processor time, so
that a busy machine kills no mutant. At the end each test that killed a mutant must pass without one.

It needs the extra `dev` and the package coverage, and takes about two seconds a mutant. The results are in
`benchmarks/results/mutants-TIER.json`. A test should kill each survivor, or EQUIVALENT says why none can.
"""

import argparse
import ast
import compileall
import concurrent.futures
import contextlib
import copy
import functools
import hashlib
import importlib
import json
import multiprocessing
import os
import py_compile
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "byhand"
KEPT = ROOT / "build" / "mutants"
MUTATED = ["nn", "reference", "training", "data/handwriting", "course/check"]
#: (file, line of the source, text after the edit) of mutants that compute the same, with the reason.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "nn/gradcheck.py",
        "if again is not None and _relative_error(analytic, again) < error:",
        "(_relative_error(analytic, again) <= error)",
    ): "of two slopes with the same error, either may be reported",
    (
        "training/loop.py",
        "if self.ema is not None and recipe.ema_decay is not None:",
        "(self.ema is not None or recipe.ema_decay is not None)",
    ): "both are None, or neither",
    (
        "training/loop.py",
        "if self.best is not None and self.best_statistics is not None:",
        "(self.best is not None or self.best_statistics is not None)",
    ): "both are None, or neither",
    (
        "training/setup.py",
        "self.message = aligned(self.network.size + 3, self.network.dtype)",
        "4",
    ): "one number more is summed, and not read",
    (
        "training/plan.py",
        "self.pool.shutdown(cancel_futures=True)",
        "False",
    ): "no thread exists that could run the queued job",
    (
        "training/loop.py",
        "self._stream.close()  # type: ignore[attr-defined]",
        "pass",
    ): "the next line drops the last reference, which closes it",
    (
        "training/plan.py",
        "WORTH_WAITING = 700_000_000",
        "700000001",
    ): "a threshold of speed: both ways compute the same",
    (
        "training/plan.py",
        "WORTH_THREADS = 2_000",
        "2001",
    ): "a threshold of speed: both ways compute the same",
    (
        "training/watchdog.py",
        "for layer, out in zip(pass_.layers, pass_.outs, strict=True):",
        "False",
    ): "a pass has one output for each layer",
    (
        "training/checkpoint.py",
        'self._pool = self._pool or ThreadPoolExecutor(1, "byhand-checkpoint")',
        "2",
    ): "a checkpoint is submitted only after the one before is written",
    (
        "training/run.py",
        "name, count = (data.name, len(data)) if isinstance(data, Dataset) else (ARRAYS, len(data[0]))",
        "1",
    ): "as many labels as images: checked before",
    (
        "training/progress.py",
        "INTERVAL, NOTEBOOK_LINES = 0.1, 12",
        "13",
    ): "a choice of layout",
    (
        "data/handwriting/ink.py",
        "return np.where(np.append(keep, False)[pieces], ink, 0).astype(np.uint8), int(keep.sum())",
        "True",
    ): "outside the components, the ink is 0",
    (
        "course/check/diagnosis.py",
        "if any(abs(divisor - size) < SAME * size for size in sizes):",
        "(abs(divisor - size) <= SAME * size)",
    ): "equality of rounded numbers",
    (
        "training/lr_find.py",
        "return now > EXPLODED * lowest or (lowest < LEARNED * first and now > first)",
        "(now >= first)",
    ): "equality of two losses",
    (
        "nn/gradcheck.py",
        "direction.flat[index] = 1",
        "2",
    ): "the direction is scaled to length 1",
    (
        "data/handwriting/__init__.py",
        "inside = np.pad(4 * ink.astype(np.int64) >= int(ink.max()), 1)",
        "2",
    ): "a wider margin has no outline",
    (
        "data/handwriting/__init__.py",
        "if outline > LONGEST_OUTLINE * longest or outline_of(ink) > GRAINIEST * coarse_side(ink) * outline:",
        "(outline >= LONGEST_OUTLINE * longest)",
    ): "equality of two measured lengths",
    (
        "data/handwriting/__init__.py",
        "if outline > LONGEST_OUTLINE * longest or outline_of(ink) > GRAINIEST * coarse_side(ink) * outline:",
        "(outline_of(ink) >= GRAINIEST * coarse_side(ink) * outline)",
    ): "equality of two measured lengths",
    (
        "data/handwriting/line.py",
        "rows, columns = (values[:: 1 + len(values) // 20_000] for values in np.nonzero(is_ink))",
        "20001",
    ): "a threshold of speed: how many pixels are looked at",
    (
        "training/batches.py",
        "PREFETCH_SIZE, PREFETCH_DEPTH = 1_024, 2",
        "1025",
    ): "a threshold of speed: any group of batches has the same samples",
    (
        "reference/l_layer.py",
        "return shifted - np.log(np.sum(np.exp(shifted), axis=0, keepdims=True))",
        "False",
    ): "(m,) broadcasts like (1, m)",
    (
        "reference/l_layer.py",
        "return E / np.sum(E, axis=0, keepdims=True), Z",
        "False",
    ): "(m,) broadcasts like (1, m)",
    (
        "training/batches.py",
        "self.rows = self.X = np.empty((0, 0), dtype)",
        "1",
    ): "no batch has this shape",
    (
        "training/checkpoint.py",
        "if self._environment is None or self._environment[0] is not trainer:",
        "1",
    ): "the same values are computed again",
    (
        "training/checkpoint.py",
        "self._lock.close()",
        "pass",
    ): "the next line drops the last reference, which closes it",
    (
        "data/handwriting/line.py",
        "edges = sliding_window_view(np.pad(slices, 1, constant_values=-1), (3, 3)).max(axis=(2, 3))",
        "2",
    ): "the window has the pixel too, and is at least −1",
    (
        "data/handwriting/line.py",
        "below = np.minimum.accumulate(np.where(is_paper, rows, 2 * count)[::-1], axis=0)[::-1]",
        "3",
    ): "any row beyond the picture will do",
    (
        "nn/losses.py",
        "wrong = ~(np.abs(sums - 1) < 1e-3)",
        "(np.abs(sums - 1) <= 0.001)",
    ): "equality of rounded numbers",
    (
        "nn/losses.py",
        "target = target if target.ndim == 2 else target.astype(np.intp, copy=False)",
        "True",
    ): "a copy of the labels",
    (
        "training/recipe.py",
        "return self.epochs - math.ceil(round(self.epochs * self.weak_augment, 3))  # 100 · 0.07 > 7",
        "4",
    ): "both remove a rounding error",
    (
        "training/plan.py",
        "for (member, share), future in zip(others, futures, strict=True):",
        "False",
    ): "one future for each member",
    (
        "data/handwriting/__init__.py",
        "inside = 4 * ink.astype(np.int64) >= max(int(ink.max()), 1)",
        "2",
    ): "4 times a pixel is at least 4, or 0",
    (
        "data/handwriting/deskew.py",
        "gap = width + 1  # zeros for a row that is shifted by its whole width",
        "2",
    ): "one zero more than needed",
    (
        "data/handwriting/line.py",
        "at = np.clip(np.array(columns)[:, None] + offsets, 0, mark.shape[1] - 1)",
        "(np.array(columns)[:, None] - offsets)",
    ): "the same columns in the other order",
    (
        "nn/backprop.py",
        "self.shape = (-1, -1)",
        "1",
    ): "no batch has a negative number of samples or inputs",
    (
        "course/check/__init__.py",
        "rng = np.random.default_rng(0)",
        "1",
    ): "any seed will do",
}
SECONDS_OF_TESTS = 6  #: of processor time, per mutant: of those that execute it, and of the others of their files
IDLE_SECONDS = 900  #: a mutant that has not ended by then waits forever
#: Imported once, before the processes fork. Nothing of byhand: that is what changes.
COMMON = ["numpy", "pytest", "hypothesis", "click", "rich.console", "PIL.Image", "requests", "safetensors.numpy"]
COMMON += ["threadpoolctl", "starlette.applications", "uvicorn"]
Killer = list[str] | None  #: a test and its message

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
        return f"{self.file}:{self.line}: {self.edit}"

    @property
    def edit(self) -> str:
        return f"{' '.join(self.before.split())} → {self.after}"

    @property
    def statement(self) -> str:
        return (PACKAGE / self.file).read_text("utf-8").splitlines()[self.line - 1].strip()

    @property
    def reason(self) -> str | None:
        return EQUIVALENT.get((self.file, self.statement, self.after))

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


def sample(count: int, seed: int) -> dict[str, Mutant]:
    """Return mutants of all parts, each with a name that stays while its line does: those with the smallest hashes."""
    named, seen = {}, Counter[str]()
    for path in (path for part in MUTATED for path in sorted((PACKAGE / part).rglob("*.py"))):
        lines = path.read_text("utf-8").splitlines()
        for mutant in sorted(mutants_of(path)):
            text = f"{seed} {mutant.file} {lines[mutant.line - 1].strip()} {mutant.edit}"
            seen[text] += 1
            named[hashlib.sha256(f"{text} {seen[text]}".encode()).hexdigest()[:12]] = mutant
    return {name: named[name] for name in sorted(named)[:count]}


def statement_lines(mutant: Mutant) -> range:
    """Return the lines of the innermost statement around a mutant; of a compound one, its first lines."""
    found = range(mutant.line, mutant.line + 1)
    for node in ast.walk(ast.parse((PACKAGE / mutant.file).read_bytes())):
        if isinstance(node, ast.stmt) and node.lineno <= mutant.line <= node.end_lineno:
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
            if mutant.line <= last:
                found = range(node.lineno, last + 1)
    return found


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()[:16]


def snapshot(folder: Path) -> None:
    """Copy the project, and read the sources and tests from there: the original may be edited during a run."""
    global ROOT, PACKAGE
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    # Compiled files are compared with the text, not with its time: a mutant is never hidden by an older one.
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(folder / "src", quiet=2, invalidation_mode=mode)
    ROOT, PACKAGE = folder, folder / "src" / "byhand"


def in_child(project: Path, work: Callable[[], Any], cpu: float) -> Any:
    """Call `work` in a forked process that imports from a project; None if it needs more processor time, or crashes."""
    result = project / "result.json"
    result.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 1))
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            os.chdir(project)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            output = os.open(project / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(output, stream)
            sys.path[:1] = [str(project), str(project / "src")]
            os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
            result.with_suffix(".part").write_text(json.dumps(work()), "utf-8")
            result.with_suffix(".part").rename(result)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    end = time.monotonic() + IDLE_SECONDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it started
    return json.loads(result.read_text("utf-8")) if result.exists() else None


def processor_time() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class Watch:
    """A plugin of pytest: each test's processor time, the first failure, and the test that coverage records."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: dict[str, str] = {}
        self.coverage: Any = None

    def pytest_runtest_protocol(self, item: Any) -> None:
        if self.coverage:
            self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.seconds[nodeid] = -processor_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] += processor_time()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.failed[report.nodeid] = " ".join(str(crash.message if crash else report.longrepr).split())[:200]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed[report.nodeid] = " ".join(str(report.longrepr).split())[-200:]


def run_pytest(watch: Watch, slow: bool, *words: str) -> int:
    import pytest

    marker = "slow" if slow else "not slow"
    options = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins are imported before the process forks
    options += [
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:unraisableexception",
        "--no-header",
        "--durations=0",
        "--hypothesis-seed=0",
    ]
    return int(pytest.main([*options, "-m", marker, *words], plugins=[watch]))


def coverage_of(source: Path) -> Any:
    import coverage

    return coverage.Coverage(data_file=None, source=[str(source)], config_file=False)


def lines_by_context(measured: Any, source: Path) -> dict[str, dict[int, list[str]]]:
    data = measured.get_data()
    paths = {Path(path).relative_to(source / "byhand").as_posix(): path for path in data.measured_files()}
    return {file: data.contexts_by_lineno(path) for file, path in paths.items()}


def record_import(project: Path) -> dict[str, list[int]]:
    """Return the lines of the mutated files that run when they are imported."""
    measured = coverage_of(project / "src")
    measured.start()
    for path in (path for part in MUTATED for path in sorted((PACKAGE / part).rglob("*.py"))):
        importlib.import_module(".".join(path.relative_to(ROOT / "src").with_suffix("").parts))
    measured.stop()
    return {file: sorted(lines) for file, lines in lines_by_context(measured, project / "src").items()}


def record_file(project: Path, name: str) -> dict[str, Any]:
    """Run a file of tests under coverage: the tests that pass, their seconds, and by file and line their numbers."""
    watch = Watch()
    watch.coverage = measured = coverage_of(project / "src")
    measured.start()
    run_pytest(watch, False, name)
    measured.stop()
    tests = [test for test in watch.seconds if test not in watch.failed]
    number = {test: at for at, test in enumerate(tests)}
    found = lines_by_context(measured, project / "src")
    lines = {
        file: {line: [number[test] for test in contexts if test in number] for line, contexts in lines.items()}
        for file, lines in found.items()
        if any(file.startswith(f"{part}/") for part in MUTATED)
    }
    executed = {file: sorted(lines) for file, lines in found.items()}
    seconds = [round(watch.seconds[test], 4) for test in tests]
    return {"failed": watch.failed, "tests": tests, "seconds": seconds, "lines": lines, "executed": executed}


class Record:
    """The lines that each test of the first tier executes, kept for each state of the code and of its file."""

    def __init__(self, project: Path) -> None:
        files = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if "long" not in path.parts)
        helpers = [ROOT / "tests" / "conftest.py", *(ROOT / "tests" / "helpers").glob("*.py")]
        self.state = digest(*sorted([*PACKAGE.rglob("*.py"), *helpers]))
        self.key = digest(*files) + self.state
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[int, set[str]]] = {}
        executed: dict[str, set[int]] = {}
        self.at_import = self.made(f"import-{self.state}", lambda: record_import(project), project)
        for path in files:
            name = path.relative_to(ROOT).as_posix()
            record = f"{digest(path)}-{self.state}"
            found = self.made(record, functools.partial(record_file, project, name), project)
            if found["failed"]:
                print(f"not used, because they fail without a mutant: {', '.join(found['failed'])}", flush=True)
            self.seconds |= dict(zip(found["tests"], found["seconds"], strict=True))
            for file, lines in found["lines"].items():
                of_file = self.lines.setdefault(file, {})
                for line, tests in lines.items():
                    of_file.setdefault(int(line), set()).update(found["tests"][at] for at in tests)
            for file, numbers in found["executed"].items():
                executed.setdefault(file, set()).update(numbers)
        count = Counter[str]()
        reader = coverage_of(ROOT / "src")
        for path in sorted(PACKAGE.rglob("*.py")):
            if "lessons" not in path.parts:
                statements = set(reader.analysis2(str(path))[1])
                count["all"] += len(statements)
                count["executed"] += len(statements & executed.get(path.relative_to(PACKAGE).as_posix(), set()))
        self.coverage = round(count["executed"] / count["all"], 4)

    @staticmethod
    def made(name: str, work: Callable[[], Any], project: Path) -> Any:
        path = KEPT / "records" / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            found = in_child(project, work, 1200)
            if found is None:
                raise SystemExit(f"recording failed:\n{(project / 'output').read_text()[-3000:]}")
            path.write_text(json.dumps(found), "utf-8")
        return json.loads(path.read_text("utf-8"))

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that may notice a mutant, the quickest first."""
        of_file, statement = self.lines.get(mutant.file, {}), statement_lines(mutant)
        at_import = set(self.at_import.get(mutant.file, ()))
        is_at_import = not at_import.isdisjoint(statement)
        lines = set(of_file) - at_import if is_at_import else statement
        at_line = set().union(*(of_file.get(line, ()) for line in lines))
        # Set-up that tests share is recorded for the first of them only, and what an import computes for none.
        files = {test.partition("::")[0] for test in at_line}
        same_files = {test for test in self.seconds if test.partition("::")[0] in files or not at_line}
        groups = (at_line | same_files,) if is_at_import else (at_line, same_files - at_line)
        chosen = []
        for tests in groups:
            total = 0.0
            for test in sorted(tests, key=lambda test: self.seconds[test]):
                total += self.seconds[test]
                if total > SECONDS_OF_TESTS and chosen:
                    break
                chosen.append(test)
        return chosen


def attempts(tests: list[str], last: str | None) -> Iterator[list[str]]:
    """Yield parts of the tests: the one that killed the mutant before, some of a few files, and the others."""
    if last in tests:
        yield [last]
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))[:2]
    first = [test for test in tests if test.partition("::")[0] in files][:40]
    if first:
        yield first
    if len(first) < len(tests):
        yield [test for test in tests if test not in set(first)]


def judged(project: Path, mutant: Mutant, groups: list[list[str]], seconds: dict[str, float], slow: bool) -> Killer:
    """Return the test that kills a mutant, with its message; None if the mutant survives."""

    def work(words: list[str]) -> tuple[int, dict[str, str]]:
        watch = Watch()
        code = run_pytest(watch, slow, "-x", *words)
        return code, watch.failed

    path = project / "src" / "byhand" / mutant.file
    original = path.read_bytes()
    path.write_text(mutant.source(), "utf-8")
    try:
        for group in groups:
            words = group
            cpu = 600 if slow else 30 + 5 * sum(seconds.get(test, 0) for test in group)
            done = in_child(project, functools.partial(work, words), cpu)
            if done is not None and done[0] == 4 and not done[1]:  # a mutant can change the names of tests
                words = sorted({test.partition("::")[0] for test in group})
                done = in_child(project, functools.partial(work, words), cpu)
            if done is None:
                return [group[0] if len(group) == 1 else "", f"no end after {cpu:.0f} s of processor time, or a crash"]
            if done[1]:
                return list(next(iter(done[1].items())))
            if done[0] not in {0, 5}:
                return ["", f"pytest ends with {done[0]}"]
        return None
    finally:
        path.write_bytes(original)


def failing(project: Path, tests: set[str], slow: bool) -> set[str]:
    """Return the tests that fail without a mutant, run without the others of their files."""
    watch, found = Watch(), set()

    def work(words: list[str]) -> list[str]:
        run_pytest(watch, slow, *words)
        return list(watch.failed)

    for file in sorted({test.partition("::")[0] for test in tests}):
        words = sorted(test for test in tests if test.partition("::")[0] == file)
        failed = in_child(project, lambda words=words: work(words), 1200)
        found |= set(words if failed is None else failed)
    return found


projects: list[Path] = []  # of this process


def start(folder: str, taken: Any) -> None:
    with taken.get_lock():
        taken.value += 1
        projects.append(Path(shutil.copytree(ROOT, Path(folder) / str(taken.value), symlinks=True)))


def test(mutant: Mutant, groups: list[list[str]], seconds: dict[str, float], slow: bool) -> tuple[Killer, float]:
    started = time.monotonic()
    return judged(projects[0], mutant, groups, seconds, slow), round(time.monotonic() - started, 1)


def read_kept(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {each["name"]: each for each in map(json.loads, lines)}


def versions(mutant: Mutant, killer: str | None) -> list[str]:
    """Return the digests of the mutated file and of the file with the test that kills the mutant."""
    paths = [PACKAGE / mutant.file, ROOT / (killer or "").partition("::")[0]]
    return [digest(path) if path.is_file() else "" for path in paths]


def holds(each: dict[str, Any] | None, mutant: Mutant, record: Record) -> bool:
    """Return whether a result is still valid. A mutant that survives is tested again after any change."""
    if each is None:
        return False
    if each["killer"] is None:
        return bool(each["key"] == record.key)
    there = each["tier"] == "all" or each["killer"] in record.seconds or "::" not in each["killer"]
    return there and each["versions"] == versions(mutant, each["killer"])


def summary(drawn: dict[str, Mutant], survivors: list[str]) -> dict[str, Any]:
    """Return the table, and print it."""

    def row(name: str, mutants: dict[str, Mutant]) -> dict[str, Any]:
        alive = [mutants[name] for name in survivors if name in mutants]
        equivalent = sum(mutant.reason is not None for mutant in alive)
        counts = {"mutants": len(mutants), "equivalent": equivalent, "killed": len(mutants) - len(alive)}
        share = counts["killed"] / max(1, len(mutants) - equivalent)
        print(f"{name}: {counts['mutants']} mutants, {equivalent} equivalent, {share:.1%} of the others killed")
        return counts | {"share": round(share, 4)}

    parts = {part: {name: each for name, each in drawn.items() if each.file.startswith(f"{part}/")} for part in MUTATED}
    rows = {part: row(part, mutants) for part, mutants in parts.items()} | {"all": row("all", drawn)}
    alive = [{"mutant": str(drawn[name]), "equivalent": drawn[name].reason} for name in survivors]
    return {"rows": rows, "survivors": alive}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tier", choices=["first", "all"], default="first")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--parts", nargs="*", choices=MUTATED, default=MUTATED, help="Write no results.")
    options = parser.parse_args()
    for name in COMMON:
        importlib.import_module(name)
    table = ROOT / "benchmarks" / "results" / f"mutants-{options.tier}.json"
    with tempfile.TemporaryDirectory() as folder:
        snapshot(Path(folder) / "0")
        drawn = sample(options.mutants, options.seed)
        in_parts = tuple(f"{part}/" for part in options.parts)
        drawn = {name: mutant for name, mutant in drawn.items() if mutant.file.startswith(in_parts)}
        record = Record(ROOT)
        print(f"{len(record.seconds)} tests execute {record.coverage:.1%} of the package's lines", flush=True)
        survivors = survivors_of(drawn, record, options, "first", folder)
        if options.tier == "all":
            others = {name: drawn[name] for name in survivors if drawn[name].reason is None}
            alive = survivors_of(others, record, options, "all", folder)
            survivors = [name for name in survivors if name in alive or name not in others]
        results = {"seed": options.seed, "tier": options.tier, "coverage": record.coverage} | summary(drawn, survivors)
    if options.parts == MUTATED and options.seed == 0:
        table.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")


def survivors_of(
    mutants: dict[str, Mutant], record: Record, options: argparse.Namespace, tier: str, folder: str
) -> list[str]:
    """Test the mutants with the tests of a tier, and return the names of those that survive."""
    path, slow = KEPT / f"{tier}-{options.seed}.jsonl", tier == "all"
    kept = read_kept(path)
    todo = {name: mutant for name, mutant in mutants.items() if not holds(kept.get(name), mutant, record)}
    print(f"{tier}: {len(mutants)} mutants, {len(todo)} of them to be tested", flush=True)
    context = multiprocessing.get_context("fork")
    arguments = (folder, context.Value("i", 0))
    with concurrent.futures.ProcessPoolExecutor(options.jobs, context, start, arguments) as pool:
        waiting = {}
        for name, mutant in todo.items():
            tests = record.tests(mutant)
            groups = list(attempts(tests, kept.get(name, {}).get("killer")))
            if slow:
                groups = [sorted({test.partition("::")[0] for test in tests})] if tests else []
            seconds = {test: record.seconds[test] for test in tests}
            waiting[pool.submit(test, mutant, groups, seconds, slow)] = name
        for done in concurrent.futures.as_completed(waiting):
            name, (found, took) = waiting[done], done.result()
            mutant, (killer, message) = todo[name], found or (None, "")
            each = {"name": name, "mutant": str(mutant), "tier": tier, "killer": killer, "message": message}
            each |= {"seconds": took, "key": record.key, "versions": versions(mutant, killer)}
            with path.open("a", encoding="utf-8") as file:
                print(json.dumps(each, ensure_ascii=False), file=file, flush=True)
            if found is None:
                print(f"survived: {mutant}   {mutant.statement}", flush=True)
    kept = read_kept(path)
    killers = {str(kept[name]["killer"]) for name in mutants}
    if wrong := failing(ROOT, {killer for killer in killers if "::" in killer}, slow):
        still = [json.dumps(each, ensure_ascii=False) for each in kept.values() if each["killer"] not in wrong]
        path.write_text("".join(f"{line}\n" for line in still), "utf-8")
        raise SystemExit(f"run this again: these tests fail without a mutant, and their results are removed: {wrong}")
    return [name for name in mutants if kept[name]["killer"] is None]


if __name__ == "__main__":
    main()
