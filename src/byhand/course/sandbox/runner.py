"""Running a student's code: a process apart, one call after another, and an end to everything.

`Student` starts `byhand.course.sandbox`, hands it the cells, and calls functions in it. A call that takes too long, or
a process that dies or prints without end, is ended together with everything it started; the next call finds a fresh
process. What comes back is an `Outcome`: a value, an error with its place, or how the process ended.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from byhand.course.sandbox import wire

ROOM = str(Path(__file__).parents[3])  # where byhand lies; not our own sys.path, the caller's folder may be in that
Answer = Callable[[Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Limits:
    """What a student's process may use."""

    call: float = 3.0  # seconds of processor time for one call, where that can be read
    load: float = 7.0  # the same to read the file, imports included
    waits: float = 2.0  # times these seconds that it may take by the clock, where the processor time can be read
    total: float = 60.0  # the same for the whole file
    memory: int = 2 * 2**30  # bytes of address space: NumPy and its threads reserve much that they never touch
    output: int = 2**20  # characters that one call may print, and bytes that the process may write past us


@dataclass(frozen=True)
class Place:
    """Where in the student's file: the cell (0 for a plain file), the line in it, and its text."""

    cell: int
    line: int
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a call: `value`, or `error` (type and message), or `died` (how the process ended).

    `cut` is where it died of the time for the file, which others have used too.
    """

    value: Any = None
    error: str = ""
    message: str = ""
    died: str = ""
    cut: bool = False
    place: Place | None = None
    printed: str = ""
    changed: Mapping[int, Any] = field(default_factory=dict)  # arguments written into, by position


class Student:
    """The student's functions, callable from here while they run there."""

    def __init__(self, cells: list[str], wanted: Sequence[str], limits: Limits, files: Mapping[str, bytes]) -> None:
        self.cells, self.wanted, self.limits, self.files = cells, list(wanted), limits, files
        self.loaded: dict[str, Any] = {}
        self._began, self._used = time.monotonic(), 0.0  # the clock's time, and the processor's of processes that ended
        self._folder = tempfile.TemporaryDirectory(prefix="byhand-check-", ignore_cleanup_errors=True)
        for name, content in files.items():
            Path(self._folder.name, name).write_bytes(content)
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[Any] = queue.Queue()
        self._flooded = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()
        self._folder.cleanup()

    def load(self) -> Outcome:
        """Start the process and let it read the file; `loaded` then says what is in it."""
        self._end()
        self._start()
        self._send(
            {
                "cells": self.cells,
                "wanted": self.wanted,
                "output": self.limits.output,
                "memory": self.limits.memory,
                "seconds": int(self.limits.total) + 1,
            }
        )
        outcome = self._wait(self.limits.load, {})
        if not outcome.died:
            self.loaded = outcome.value
        return outcome

    def call(
        self,
        function: str,
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
        *,
        answers: Mapping[str, Answer] | None = None,
        seed: int = 2,
    ) -> Outcome:
        """One call; `answers` are the functions of the student's that are answered from here instead."""
        if self._process is None:
            outcome = self.load()
            if outcome.died:
                return outcome
        request = {"function": function, "arguments": list(arguments), "keywords": dict(keywords or {}), "seed": seed}
        self._send({**request, "ask": list(answers or {})})
        return self._wait(self.limits.call, answers or {})

    def peek(self, names: Sequence[str]) -> dict[str, float]:
        """The largest number in each array of these names at the file's top level, where it can be computed."""
        if self._process is None and self.load().died:
            return {}
        self._send({"peek": list(names)})
        outcome = self._wait(self.limits.load, {})
        found = outcome.value if isinstance(outcome.value, dict) else {}
        return {str(name): float(value) for name, value in found.items() if isinstance(value, int | float)}

    @property
    def spent(self) -> bool:
        """Whether the time for the file is used up."""
        now = self._processor_time()
        return self._is_over(self.limits.total, self._began, None if now is None else self._used + now)

    # ---- the process

    def _start(self) -> None:
        self._answers, self._flooded = queue.Queue(), threading.Event()
        environment = {
            **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(filter(None, (ROOM, os.environ.get("PYTHONPATH")))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            **dict.fromkeys(("HOME", "TMPDIR"), self._folder.name),
            **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "byhand.course.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder.name,
            env=environment,
            start_new_session=True,
        )
        for work, its in (
            (_listen, (self._process.stdout, self._answers)),
            (_drain, (self._process, self._flooded, self.limits.output)),
        ):
            threading.Thread(target=work, args=its, daemon=True).start()

    def _send(self, request: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has gone: the next wait finds out how
            wire.send(self._process.stdin, request)  # type: ignore[arg-type]

    def _wait(self, seconds: float, answers: Mapping[str, Answer]) -> Outcome:
        """The answer to what was sent last, serving the questions that come before it."""
        began, used = time.monotonic(), self._processor_time()
        while True:
            with contextlib.suppress(queue.Empty):
                reply = self._answers.get(timeout=0.2)
                if not isinstance(reply, dict):
                    return Outcome(died=self._how_it_ended(reply))
                if "ask" not in reply:
                    return self._outcome(reply)
                self._send(_served(reply, answers))
            now = self._processor_time()
            if self._is_over(seconds, began, None if now is None or used is None else now - used):
                self._end()
                return Outcome(died=f"did not end within {seconds:g} seconds")
            if self.spent:
                self._end()
                total = f"the {self.limits.total:g} seconds for the file"
                return Outcome(died=f"did not end before {total} were used up", cut=True)

    def _is_over(self, seconds: float, began: float, used: float | None) -> bool:
        """Whether so many seconds of the processor are used, or `waits` times as many have passed by the clock.

        On a machine with much else to do an honest call waits for its turn; where the processor time of another process
        can't be read, the clock alone decides.
        """
        passed = time.monotonic() - began
        if used is None:
            return passed >= seconds
        return used >= seconds or passed >= self.limits.waits * seconds

    def _processor_time(self) -> float | None:
        """Seconds of processor time that the student's process has used."""
        if sys.platform != "linux":
            return None
        if self._process is None:
            return 0.0
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)  # a clock of that process: clock_getcpuclockid(3)
        except OSError:  # it has ended, and the next message says so
            return 0.0

    def _outcome(self, reply: dict[str, Any]) -> Outcome:
        if "loaded" in reply:
            return Outcome(reply["loaded"])
        error = reply.get("error")
        if not error:
            changed = {int(place): value for place, value in reply["changed"].items()}
            return Outcome(reply["value"], printed=reply["printed"], changed=changed)
        if error["type"] == "TooMuchOutputError":
            return Outcome(died=f"printed more than {self.limits.output:,} characters")
        if error["type"] == "MemoryError":
            return Outcome(died=f"asked for more than {self.limits.memory / 2**30:.0f} GB of memory")
        place = Place(error["cell"], error["line"], error["text"]) if error["line"] else None
        return Outcome(error=error["type"], message=error["message"], place=place, printed=reply["printed"])

    def _how_it_ended(self, last: Any) -> str:
        """In words: the flood, the exit code or the signal that ended the process."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.poll()
        self._end()
        if self._flooded.is_set():
            return f"wrote more than {self.limits.output:,} bytes of output"
        if isinstance(last, wire.BrokenMessageError) or code is None:
            return "wrote into the channel that carries its answers"
        if code < 0:
            names = {one.value: one.name for one in signal.Signals}
            return f"crashed the process ({names.get(-code, f'signal {-code}')})"
        return f"ended the process (exit code {code})"

    def _end(self) -> None:
        """Kill the process and everything that it started."""
        self._used += self._processor_time() or 0.0
        process, self._process = self._process, None
        if process is None:
            return
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        process.wait()  # the other two streams are closed by the threads that read them


def _listen(stream: BinaryIO, answers: "queue.Queue[Any]") -> None:
    """Put each message into the queue, and at the end what ended them."""
    with stream:
        while True:
            try:
                answers.put(wire.receive(stream))
            except (EOFError, wire.BrokenMessageError, ValueError, OSError) as error:
                answers.put(error)
                return


def _drain(process: "subprocess.Popen[bytes]", flooded: threading.Event, limit: int) -> None:
    """Read what the process writes past us and forget it; end the process when that goes on and on."""
    assert process.stderr is not None
    size = 0
    with process.stderr as stream:
        while chunk := stream.read1(2**16):  # type: ignore[attr-defined]
            size += len(chunk)
            if size > limit and not flooded.is_set():
                flooded.set()
                process.kill()


def _served(question: dict[str, Any], answers: Mapping[str, Answer]) -> dict[str, Any]:
    """The right answer to a call that a stand-in passed on."""
    arguments, keywords = question["arguments"], question["keywords"]
    given = [*arguments, *keywords.values()]
    try:
        if question["ask"] not in answers or any(_is_large(one) for one in given):
            raise ValueError("this can't be answered")
        value = answers[question["ask"]](arguments, keywords)
    except Exception as error:  # whatever the reference makes of the student's arguments goes back as an error
        return {"error": str(error)[:300] or type(error).__name__}
    return {"value": value, "after": given}


def _is_large(value: Any) -> bool:
    """Whether an array in there is beyond anything that is asked for in a check."""
    if isinstance(value, np.ndarray):
        return value.size > 100_000 or any(side > 1000 for side in value.shape)
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, tuple | list) and any(_is_large(one) for one in value)
