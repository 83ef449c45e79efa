"""Running a student's code: a process apart, one call after another, with limits.

`Student` starts `python -m byhand.course.sandbox`, sends it the cells, and calls functions in it. A call that takes too
long, and a process that dies or prints without end, is ended together with everything it started; the next call starts
a fresh process. The result is an `Outcome`: a value, an error with its place, or how the process ended.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from byhand.course.sandbox import BrokenMessageError, receive, send

SOURCE = str(Path(__file__).parents[3])  # the folder of byhand; not our sys.path, which may hold the caller's folder
Answer = Callable[[Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Limits:
    """The limits of a student's process."""

    call: float = 3.0  # seconds of processor time for one call, or of the clock where processor time can't be read
    load: float = 7.0  # the same to read the file, imports included
    waits: float = 2.0  # times these seconds that it may take by the clock, where the processor time can be read
    total: float = 60.0  # the same for the whole file
    memory: int = 2 * 2**30  # bytes of address space: NumPy and its threads reserve much that they never touch
    output: int = 2**20  # characters that one call may print, and bytes that the process may write past the capture


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call: `value`, or `error` (type and message), or `died` (how the process ended).

    `cut` is True if it died because the time for the file is used up, to which other calls contributed. The place of an
    error is the cell (0 for a plain file), the line in it, and the text of the line. `changed` are the positions of the
    arguments that were written into.
    """

    value: Any = None
    error: str = ""
    message: str = ""
    died: str = ""
    cut: bool = False
    cell: int | None = None
    line: int | None = None
    text: str = ""
    printed: str = ""
    changed: Sequence[int] = ()


class Student(contextlib.AbstractContextManager["Student"]):
    """The student's functions, callable from here while they run in the other process."""

    def __init__(self, cells: list[str], targets: Sequence[str], limits: Limits, files: Mapping[str, bytes]) -> None:
        self.cells, self.targets, self.limits, self.files = cells, list(targets), limits, files
        self.loaded: dict[str, Any] = {}
        self._began, self._used = time.monotonic(), 0.0  # the clock, and the processor time of processes that ended
        self._resources = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="byhand-check-", ignore_cleanup_errors=True)
        self._folder = self._resources.enter_context(folder)
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the other resources
        self._output = self._resources.enter_context(output)  # what the process writes past the capture; never read
        for name, content in files.items():
            Path(self._folder, name).write_bytes(content)
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[Any] = queue.Queue()

    def __exit__(self, *_: object) -> None:
        """End the process, and remove its folder."""
        self._end()
        self._resources.close()

    def load(self) -> Outcome:
        """Start the process and let it read the file; `loaded` then describes its content."""
        self._end()
        self._start()
        limits = {"output": self.limits.output, "memory": self.limits.memory, "seconds": int(self.limits.total) + 1}
        outcome = self._ask({"cells": self.cells, "targets": self.targets, **limits}, self.limits.load)
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
    ) -> Outcome:
        """Call a function; `answers` are the functions of the student's that are answered from here instead."""
        if self._process is None:
            outcome = self.load()
            if outcome.died:
                return outcome
        request = {"function": function, "arguments": list(arguments), "keywords": dict(keywords or {})}
        return self._ask({**request, "ask": list(answers or {})}, self.limits.call, answers or {})

    def largest(self, names: Sequence[str]) -> dict[str, float]:
        """Return the largest number in each array of these names at the file's top level, if it can be computed."""
        if self._process is None and self.load().died:
            return {}
        found = self._ask({"largest": list(names)}, self.limits.load).value
        entries = found.items() if isinstance(found, dict) else ()
        return {str(name): float(value) for name, value in entries if isinstance(value, int | float)}

    @property
    def spent(self) -> bool:
        """True if the time for the file is used up."""
        now = self._processor_time()
        return self._is_over(self.limits.total, self._began, None if now is None else self._used + now)

    # ---- the process

    def _start(self) -> None:
        self._replies = queue.Queue()
        self._output.seek(0)
        self._output.truncate()
        environment = {
            **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH")))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            **dict.fromkeys(("HOME", "TMPDIR"), self._folder),
            **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "byhand.course.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            cwd=self._folder,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=_put_replies, args=(self._process.stdout, self._replies), daemon=True).start()

    def _send(self, request: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: waiting for the reply finds out how
            send(self._process.stdin, request)  # type: ignore[arg-type]

    def _ask(self, request: Any, seconds: float, answers: Mapping[str, Answer] | None = None) -> Outcome:
        """Send a request and return its outcome, answering the stubs' questions that come before it."""
        self._send(request)
        began, used = time.monotonic(), self._processor_time()
        while True:
            with contextlib.suppress(queue.Empty):
                reply = self._replies.get(timeout=0.2)
                if not isinstance(reply, dict) or self._has_flooded():
                    return Outcome(died=self._how_it_ended(reply))
                if "ask" not in reply:
                    return self._outcome(reply)
                self._send(_answer(reply, answers or {}))
            if self._has_flooded():
                return Outcome(died=self._how_it_ended(None))
            now = self._processor_time()
            if self._is_over(seconds, began, None if now is None or used is None else now - used):
                self._end()
                return Outcome(died=f"did not end within {seconds:g} seconds")
            if self.spent:
                self._end()
                total = f"the {self.limits.total:g} seconds for the file"
                return Outcome(died=f"did not end before {total} were used up", cut=True)

    def _is_over(self, seconds: float, began: float, used: float | None) -> bool:
        """Return True if so many seconds of the processor are used, or `waits` times as many have passed by the clock.

        On a busy machine an honest call waits for its turn; if the processor time of another process can't be read, the
        clock alone decides.
        """
        passed = time.monotonic() - began
        if used is None:
            return passed >= seconds
        return used >= seconds or passed >= self.limits.waits * seconds

    def _processor_time(self) -> float | None:
        """Return the seconds of processor time that the student's process has used, or None if they can't be read."""
        if sys.platform != "linux":
            return None
        if self._process is None:
            return 0.0
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)  # a clock of that process: clock_getcpuclockid(3)
        except OSError:  # it has ended, and the next message reports it
            return 0.0

    def _outcome(self, reply: dict[str, Any]) -> Outcome:
        if "loaded" in reply:
            return Outcome(reply["loaded"])
        error = reply.get("error")
        if not error:
            return Outcome(reply["value"], printed=reply["printed"], changed=reply["changed"])
        if error["type"] == "TooMuchOutputError":
            return Outcome(died=f"printed more than {self.limits.output:,} characters")
        if error["type"] == "MemoryError":
            return Outcome(died=f"asked for more than {self.limits.memory / 2**30:.0f} GB of memory")
        place = {name: error[name] for name in ("cell", "line", "text")}
        return Outcome(error=error["type"], message=error["message"], printed=reply["printed"], **place)

    def _how_it_ended(self, last: Any) -> str:
        """End the process and describe the flood, the exit code or the signal that ended it."""
        assert self._process is not None
        if self._has_flooded():
            self._end()
            return f"wrote more than {self.limits.output:,} bytes of output"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.poll()
        self._end()
        if isinstance(last, BrokenMessageError) or code is None:
            return "wrote into the channel that carries its answers"
        if code < 0:
            names = {one.value: one.name for one in signal.Signals}
            return f"crashed the process ({names.get(-code, f'signal {-code}')})"
        return f"ended the process (exit code {code})"

    def _has_flooded(self) -> bool:
        return os.fstat(self._output.fileno()).st_size > self.limits.output

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
        process.wait()  # its standard output is closed by the thread that reads it


def _put_replies(stream: BinaryIO, replies: "queue.Queue[Any]") -> None:
    """Put each message into the queue, and at the end the error that ended them."""
    with stream:
        while True:
            try:
                replies.put(receive(stream))
            except (EOFError, BrokenMessageError, ValueError, OSError) as error:
                replies.put(error)
                return


def _answer(question: dict[str, Any], answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Return the right answer to a call that a stub passed on."""
    arguments, keywords = question["arguments"], question["keywords"]
    given = [*arguments, *keywords.values()]
    try:
        if question["ask"] not in answers or any(_is_large(one) for one in given):
            raise ValueError("this can't be answered")
        value = answers[question["ask"]](arguments, keywords)
    except Exception as error:  # any error of the reference on the student's arguments is sent back
        return {"error": str(error)[:300] or type(error).__name__}
    return {"value": value, "after": given}


def _is_large(value: Any) -> bool:
    """Return True if an array in there is larger than anything that a check uses."""
    if isinstance(value, np.ndarray):
        return value.size > 100_000 or any(side > 1000 for side in value.shape)
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, tuple | list) and any(_is_large(one) for one in value)
