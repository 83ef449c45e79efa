"""The student's process: load the file, then answer calls until there are no more.

It reads requests from its standard input and answers on what was its standard output; whatever the student's code
prints goes elsewhere. The first request holds the cells, each later one a call. Where a call is to be tried with the
right earlier functions, those names are bound to stand-ins that ask the other side for the answer: the answers are
never here.
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

from byhand.course.sandbox import drawing, lockdown, slicing, wire

NO_ANNOTATIONS = __future__.annotations.compiler_flag  # kept as text: one that has no value costs no function
PATIENCE = 2.0  # seconds that one top-level statement may take, imports apart
ECHO = 4000  # characters of what a call prints that are sent back


class TooMuchOutputError(BaseException):
    """More was printed than one call may print."""


class TooSlowError(BaseException):
    """A top-level statement took longer than `PATIENCE`."""


class Paper(io.TextIOBase):
    """A place to print to: keeps the first characters, counts the rest, and has an end."""

    def __init__(self, limit: int) -> None:
        self.kept, self.size, self.limit = "", 0, limit

    def write(self, text: str) -> int:
        self.size += len(text)
        self.kept += text[: max(0, ECHO - len(self.kept))]
        if self.size > self.limit:
            raise TooMuchOutputError
        return len(text)

    def writable(self) -> bool:
        return True


class Room:
    """The student's names, and the two streams to the other side."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests, self.answers = requests, answers
        module = sys.modules["student"] = types.ModuleType("student")  # a dataclass looks up where it stands
        self.names: dict[str, Any] = module.__dict__
        self.names.update(display=drawing.Canvas(), get_ipython=drawing.Canvas())  # every notebook has them
        self.cells: list[str] = []
        self.pieces: list[slicing.Piece] = []
        self.run: list[slicing.Piece] = []
        self.doors: dict[str, Callable[..., Any]] = {}  # the student's functions as the student's code finds them
        self.stand_ins: dict[str, Callable[..., Any]] = {}
        self.output = 0

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run what is worth running of the cells, statement by statement, and tell what came of it."""
        self.cells, self.output = request["cells"], request["output"]
        pieces, broken = slicing.cut(self.cells)
        pieces, copies = slicing.without_blank_copies(pieces)
        self.pieces, self.run = pieces, slicing.worth_running(pieces, request["wanted"])
        failed: list[dict[str, Any]] = []
        stubs = slicing.stubs(pieces)
        for piece in self.run:
            error = self._run(piece)
            self._put_doors(piece.binds & set(request["wanted"]))
            if error is not None:
                defines = sorted(slicing.defined(piece))
                failed.append({**error, "names": sorted(piece.binds), "defines": defines})
        described = {name: self._describe(name) for name in request["wanted"] if callable(self.names.get(name))}
        return {
            "functions": {
                name: {**one, "stub": name in stubs and one["line"] is not None}  # a blank is a `def`, and has its line
                for name, one in described.items()
            },
            "copies": {name: cells for name, cells in copies.items() if name in request["wanted"]},
            "defined": sorted({piece.node.name for piece in pieces if isinstance(piece.node, ast.FunctionDef)}),
            "broken": [
                {"cell": one.cell, "line": one.line, "message": one.message, "names": list(one.names), "stub": one.stub}
                for one in broken
            ],
            "failed": failed,
            "stubs": sorted(stubs),
        }

    def _run(self, piece: slicing.Piece) -> dict[str, Any] | None:
        code = compile(ast.Module([piece.node], []), f"<cell {piece.cell}>", "exec", NO_ANNOTATIONS, dont_inherit=True)
        try:
            with self._quiet(), _patience(None if isinstance(piece.node, slicing.IMPORTS) else PATIENCE):
                exec(code, self.names)
        except BaseException as error:
            return self._told(error)
        return None

    def _describe(self, name: str) -> dict[str, Any]:
        """The parameters of a function of the student's, those without a default first counted."""
        function = self.names[name]
        try:
            parameters = list(inspect.signature(function).parameters.values())
            written = inspect.unwrap(function, stop=_is_in_a_cell)
        except (ValueError, TypeError):
            return {"parameters": None, "required": 0, "more": False, "cell": None, "line": None}
        code = written.__code__ if _is_in_a_cell(written) else None
        return {
            "parameters": [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)],
            "required": sum(one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters),
            "more": any(one.kind is one.VAR_POSITIONAL for one in parameters),
            "cell": int(code.co_filename[6:-1]) if code else None,
            "line": code.co_firstlineno if code else None,
        }

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """One call of one function, its answer or its error, and what it changed and printed on the way."""
        arguments, keywords = request["arguments"], request["keywords"]
        given = (*arguments, *keywords.values())
        before = [wire.packed(one) for one in given]
        np.random.seed(request["seed"])
        with self._stand_ins(request["ask"]), self._quiet() as paper:
            try:
                value = self.names[request["function"]](*arguments, **keywords)
            except BaseException as error:
                return {"error": self._told(error), "printed": paper.kept}
        changed = {str(place): one for place, one in enumerate(given) if wire.packed(one) != before[place]}
        return {"value": value, "changed": changed, "printed": paper.kept}

    def peek(self, names: list[str]) -> dict[str, Any]:
        """The largest number in each array of these names, after running what they come from."""
        for piece in slicing.worth_running(self.pieces, names):
            if piece not in self.run:
                self._run(piece)
        arrays = {name: self.names[name] for name in names if isinstance(self.names.get(name), np.ndarray)}
        largest = {name: array.max() for name, array in arrays.items() if array.size and array.dtype.kind in "biuf"}
        return {"value": {name: float(number) for name, number in largest.items()}, "changed": {}, "printed": ""}

    def _put_doors(self, names: Iterable[str]) -> None:
        """Each function of these names behind a door, where its stand-in can be put: also one held in a table."""

        def door(name: str, own: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(own)
            def enter(*arguments: Any, **keywords: Any) -> Any:
                return self.stand_ins.get(name, own)(*arguments, **keywords)

            return enter

        for name in names:
            own = self.names.get(name)
            if isinstance(own, types.FunctionType) and own is not self.doors.get(name):
                self.names[name] = self.doors[name] = door(name, own)

    @contextlib.contextmanager
    def _stand_ins(self, names: list[str]) -> Iterator[None]:
        """For the time of one call, the functions of these names are answered from the other side."""
        own = {name: self.names[name] for name in names if name in self.names}
        self.stand_ins = {name: self._stand_in(name, own.get(name)) for name in names}
        self.names.update(self.stand_ins)
        try:
            yield
        finally:
            for name in names:
                self.names.pop(name, None)
            self.names.update(own)
            self.stand_ins = {}

    def _stand_in(self, name: str, own: Callable[..., Any] | None) -> Callable[..., Any]:
        def ask(*arguments: Any, **keywords: Any) -> Any:
            if own is not None:
                with contextlib.suppress(TypeError, ValueError):
                    signature = inspect.signature(own)
                    bound = signature.bind(*arguments, **keywords)
                    bound.apply_defaults()
                    if all(one.kind is one.POSITIONAL_OR_KEYWORD for one in signature.parameters.values()):
                        arguments, keywords = (), dict(bound.arguments)
            wire.send(self.answers, {"ask": name, "arguments": list(arguments), "keywords": keywords})
            reply = wire.receive(self.requests)
            if "error" in reply:
                raise ValueError(f"{name}: {reply['error']}")
            for old, new in zip((*arguments, *keywords.values()), reply["after"], strict=True):
                if isinstance(old, dict) and isinstance(new, dict):
                    old.update(new)
            return reply["value"]

        return ask

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[Paper]:
        """Prints go to paper, warnings nowhere."""
        paper = Paper(self.output)
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(paper),
            contextlib.redirect_stderr(paper),
        ):
            warnings.simplefilter("ignore")
            yield paper

    def _told(self, error: BaseException) -> dict[str, Any]:
        """What was raised, and where in the student's own lines."""
        place = None
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith("<cell "):
                place = int(frame.filename[6:-1]), frame.lineno or 1
        lines = self.cells[place[0]].split("\n") if place else []
        try:
            message = str(error)[:500]
        except Exception:
            message = ""
        return {
            "type": type(error).__name__,
            "message": message,
            "cell": place[0] if place else None,
            "line": place[1] if place else None,
            "text": lines[place[1] - 1].strip()[:200] if place and place[1] <= len(lines) else "",
        }


def _is_in_a_cell(function: Any) -> bool:
    """Whether it is written in the student's file itself."""
    code = getattr(function, "__code__", None)
    return isinstance(code, types.CodeType) and code.co_filename.startswith("<cell ")


@contextlib.contextmanager
def _patience(seconds: float | None) -> Iterator[None]:
    """Raise `TooSlowError` after so many seconds, where the system has such an alarm."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: Any) -> None:
        raise TooSlowError

    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def main() -> None:
    """Keep the two streams for ourselves, close the door, and serve."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    room = Room(requests, answers)
    first = wire.receive(requests)
    drawing.put_up()
    lockdown.close(first["memory"], first["seconds"])
    wire.send(answers, {"loaded": room.load(first)})
    while True:
        try:
            request = wire.receive(requests)
        except EOFError:
            return
        wire.send(answers, room.peek(request["peek"]) if "peek" in request else room.call(request))


if __name__ == "__main__":
    main()
