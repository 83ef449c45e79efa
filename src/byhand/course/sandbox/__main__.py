"""The student's process, `python -m byhand.course.sandbox`: load the file, then serve calls.

Requests arrive on standard input, and replies go to the original standard output. Reference functions are not available
here: they are called through stubs that send the arguments to the main process.
"""

import __future__

import ast
import contextlib
import functools
import inspect
import io
import os
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from byhand.course.sandbox import environment, packed, receive, send, slicing

NO_ANNOTATIONS = __future__.annotations.compiler_flag  # don't evaluate annotations, which may be invalid
STATEMENT_SECONDS = 2.0  # limit of CPU time of one top-level statement, except imports
MAX_ECHO = 4000  # characters of a call's output that are sent back


class TooMuchOutputError(BaseException):
    """A call printed more than the limit."""


class TooSlowError(BaseException):
    """A top-level statement took longer than `STATEMENT_SECONDS`."""


class CapturedOutput(io.TextIOBase):
    """A stream with a limit, which keeps the first characters."""

    def __init__(self, limit: int) -> None:
        self.kept, self.size, self.limit = "", 0, limit

    def write(self, text: str) -> int:
        self.size += len(text)
        self.kept += text[: max(0, MAX_ECHO - len(self.kept))]
        if self.size > self.limit:
            raise TooMuchOutputError
        return len(text)

    def writable(self) -> bool:
        return True


class Sandbox:
    """The student's names, and the two streams to the main process."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests, self.answers = requests, answers
        module = sys.modules["student"] = types.ModuleType("student")  # dataclasses look up their module
        self.names: dict[str, Any] = module.__dict__
        self.names.update(display=environment.Canvas(), get_ipython=environment.Canvas())  # globals of a notebook
        self.cells: list[str] = []
        self.pieces: list[slicing.Piece] = []
        self.ran: list[slicing.Piece] = []
        self.proxies: dict[str, Callable[..., Any]] = {}
        self.reference_stubs: dict[str, Callable[..., Any]] = {}
        self.output, self.wall_clock = 0, 1.0

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the needed statements of the cells; return the functions, copies, broken parts and errors."""
        self.cells, self.output, targets = request["cells"], request["output"], request["targets"]
        self.wall_clock = request["wall_clock"]
        sys.modules.update(dict.fromkeys(request["modules"], sys.modules["student"]))
        pieces, broken = slicing.cut(self.cells)
        pieces, copies = slicing.without_stub_copies(pieces)
        self.pieces, self.ran = pieces, slicing.worth_running(pieces, targets)
        failed: list[dict[str, Any]] = []
        stubs = slicing.stubs(pieces)
        for piece in self.ran:
            error = self._run(piece)
            self._wrap(piece.binds & set(targets))
            if error is not None:
                failed.append({**error, "names": sorted(piece.binds), "defines": sorted(slicing.defined(piece))})
        described = {name: self._describe(name) for name in targets if callable(self.names.get(name))}
        for name, one in described.items():
            one["stub"] = name in stubs and one["line"] is not None  # a stub is a `def`, so it has a line
        return {
            "functions": described,
            "copies": {name: cells for name, cells in copies.items() if name in targets},
            "defined": sorted(slicing.functions(pieces)),
            "inside": slicing.inside(pieces),
            "broken": [vars(one) for one in broken],
            "failed": failed,
            "stubs": sorted(stubs),
        }

    def _run(self, piece: slicing.Piece) -> dict[str, Any] | None:
        code = compile(ast.Module([piece.node], []), f"<cell {piece.cell}>", "exec", NO_ANNOTATIONS, dont_inherit=True)
        limit = None if isinstance(piece.node, slicing.IMPORTS) else STATEMENT_SECONDS
        try:
            with self._captured(), _time_limit(limit, self.wall_clock):
                exec(code, self.names)
        except BaseException as error:
            return self._error_of(error)
        return None

    def _describe(self, name: str) -> dict[str, Any]:
        function = self.names[name]
        try:
            parameters = list(inspect.signature(function).parameters.values())
            written = inspect.unwrap(function, stop=_is_in_a_cell)
        except (ValueError, TypeError):
            return {"parameters": None, "required": 0, "more": False, "cell": None, "line": None, "names": []}
        code = written.__code__ if _is_in_a_cell(written) else None
        return {
            "parameters": [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)],
            "required": sum(one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters),
            "more": any(one.kind is one.VAR_POSITIONAL for one in parameters),
            "cell": int(code.co_filename[6:-1]) if code else None,
            "line": code.co_firstlineno if code else None,
            "names": [*code.co_varnames, *code.co_cellvars, *code.co_names] if code else [],
        }

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call a function; return its value or error, the arguments that it changed, and its output."""
        arguments, keywords = request["arguments"], request["keywords"]
        given = (*arguments, *keywords.values())
        before = [packed(one) for one in given]
        np.random.seed(2)  # the assignment's seed, for functions that do not set it
        with self._replaced(request["ask"]), self._captured() as output:
            try:
                value = self.names[request["function"]](*arguments, **keywords)
            except BaseException as error:
                return {"error": self._error_of(error), "printed": output.kept}
        changed = [place for place, one in enumerate(given) if packed(one) != before[place]]
        return {"value": value, "changed": changed, "printed": output.kept}

    def largest(self, names: list[str]) -> dict[str, Any]:
        """Return the maximum of each array with one of these names, after running the statements that define it."""
        for piece in slicing.worth_running(self.pieces, names):
            if piece not in self.ran:
                self._run(piece)
        arrays = {name: self.names[name] for name in names if isinstance(self.names.get(name), np.ndarray)}
        found = {name: array.max() for name, array in arrays.items() if array.size and array.dtype.kind in "biuf"}
        return {"value": {name: float(number) for name, number in found.items()}, "changed": [], "printed": ""}

    # ---- reference functions in place of the student's

    def _wrap(self, names: Iterable[str]) -> None:
        """Wrap these functions, so that a stub can replace them even inside a table or an object."""

        def proxy(name: str, own: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(own)
            def call(*arguments: Any, **keywords: Any) -> Any:
                return self.reference_stubs.get(name, own)(*arguments, **keywords)

            return call

        for name in names:
            own = self.names.get(name)
            if isinstance(own, types.FunctionType) and own is not self.proxies.get(name):
                self.names[name] = self.proxies[name] = proxy(name, own)

    @contextlib.contextmanager
    def _replaced(self, names: list[str]) -> Iterator[None]:
        """Replace these functions by stubs during one call."""
        own = {name: self.names[name] for name in names if name in self.names}
        self.reference_stubs = {name: self._reference_stub(name, own.get(name)) for name in names}
        self.names.update(self.reference_stubs)
        try:
            yield
        finally:
            for name in names:
                self.names.pop(name, None)
            self.names.update(own)
            self.reference_stubs = {}

    def _reference_stub(self, name: str, own: Callable[..., Any] | None) -> Callable[..., Any]:
        def ask(*arguments: Any, **keywords: Any) -> Any:
            if own is not None:
                with contextlib.suppress(TypeError, ValueError):
                    signature = inspect.signature(own)
                    bound = signature.bind(*arguments, **keywords)
                    bound.apply_defaults()
                    if all(one.kind is one.POSITIONAL_OR_KEYWORD for one in signature.parameters.values()):
                        arguments, keywords = (), dict(bound.arguments)
            send(self.answers, {"ask": name, "arguments": list(arguments), "keywords": keywords})
            reply = receive(self.requests)
            if "error" in reply:
                raise ValueError(f"{name}: {reply['error']}")
            given, value = (*arguments, *keywords.values()), reply["value"]
            for old, new in zip(given, reply["after"], strict=True):
                if isinstance(old, dict) and isinstance(new, dict):
                    old.update(new)
            returned = value if isinstance(value, tuple) else (value,)
            both = zip(reply["same"], returned, strict=True)  # a dictionary that is returned is the caller's own
            returned = tuple(part if place is None else given[place] for place, part in both)
            return returned if isinstance(value, tuple) else returned[0]

        return ask

    @contextlib.contextmanager
    def _captured(self) -> Iterator[CapturedOutput]:
        output = CapturedOutput(self.output)
        with warnings.catch_warnings(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            warnings.simplefilter("ignore")
            yield output

    def _error_of(self, error: BaseException) -> dict[str, Any]:
        """Return the type and the message of an error, and its place in the student's code."""
        place = None
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith("<cell "):
                place = int(frame.filename[6:-1]), frame.lineno or 1
        cell, line = place or (None, None)
        lines = self.cells[cell].split("\n") if cell is not None else []
        try:
            message = str(error)[:500]
        except Exception:
            message = ""
        text = lines[line - 1].strip()[:200] if line is not None and line <= len(lines) else ""
        return {"type": type(error).__name__, "message": message, "cell": cell, "line": line, "text": text}


def _is_in_a_cell(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return isinstance(code, types.CodeType) and code.co_filename.startswith("<cell ")


@contextlib.contextmanager
def _time_limit(seconds: float | None, wall_clock: float = 2.0) -> Iterator[None]:
    """Raise `TooSlowError` after `seconds` of CPU time or `wall_clock` times as long, if there are interval timers."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: Any) -> None:
        raise TooSlowError

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, 1.0), (signal.SIGALRM, signal.ITIMER_REAL, wall_clock))
    old = [signal.signal(number, ring) for number, _, _ in timers]
    for _, timer, factor in timers:
        signal.setitimer(timer, factor * seconds)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, old, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def main() -> None:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sandbox = Sandbox(requests, answers)
    limits = receive(requests)
    environment.hide_drawing()
    environment.find_data()
    send(answers, {"loaded": environment.close(**limits)})
    send(answers, {"loaded": sandbox.load(receive(requests))})
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        names = request.get("largest")
        send(answers, sandbox.call(request) if names is None else sandbox.largest(names))


if __name__ == "__main__":
    main()
