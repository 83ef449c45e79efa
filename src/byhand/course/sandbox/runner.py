"""Run a student's code in a sandbox process, call by call, with limits.

`Student` starts `python -m byhand.course.sandbox`, sends it the cells, and calls functions in it. If a call exceeds a
limit, the process is killed with everything that it started, and the next call starts a new one.
"""

import contextlib
import functools
import os
import queue
import shutil
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

from byhand.course.sandbox import MAX_REPLY_TREE, BrokenMessageError, receive, send
from byhand.errors import UsageError
from byhand.threads import ONE_THREAD

SOURCE = str(Path(__file__).parents[3])  # the folder of byhand; sys.path may contain the caller's folder
#: Seconds between two looks at the limits of a call.
POLL = 0.2
#: Names of the working folders.
PREFIX = "byhand-check-"
#: Seconds after which an unlocked folder belongs to a killed process.
ABANDONED = 60.0
#: Limits of a working folder, and of the threads of a process. A process that exceeds them is killed.
MAX_FILES, MAX_FILE_BYTES, MAX_THREADS = 1000, 64 * 2**20, 256
#: Limit of a question to the reference: sizes of layers, steps, and lengths of lists, together. No probe comes near it.
MAX_TOTAL = 5000
Answer = Callable[[Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Limits:
    """Limits of a student's process. Times are seconds of CPU time, or wall-clock time where that is not available."""

    call: float = 3.0  # for one call
    load: float = 7.0  # to load the file, imports included
    wall_clock: float = 2.0  # the limits of wall-clock time without waiting for a CPU, as multiples of the CPU limits
    total: float = 60.0  # for the whole file
    memory: int = 2 * 2**30  # bytes of address space: NumPy and its threads reserve more than they use
    output: int = 2**20  # characters per call, and bytes that the process may write past the capture
    boundary: bool = False  # True to run nothing where the kernel gives no boundary


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call: a value, an error with its place, or the reason why the process died."""

    value: Any = None
    error: str = ""  # the type of the exception
    message: str = ""
    died: str = ""
    cut: bool = False  # True if it died because the time for the whole file is used up
    cell: int | None = None
    line: int | None = None
    text: str = ""  # of the line
    printed: str = ""
    changed: Sequence[int] = ()  # positions of the arguments that were changed in place


def locked(folder: Path) -> int | None:
    """Lock a folder, and return its descriptor; None if another process holds it, or if folders can't be locked."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, AttributeError, OSError):  # the first two on Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@functools.cache  # once per process
def remove_abandoned(home: Path) -> None:
    """Remove the working folders of this user's killed processes."""
    for folder in home.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            facts = folder.lstat()
            is_old = time.time() - facts.st_mtime > ABANDONED
            if is_old and facts.st_uid == os.getuid() and (descriptor := locked(folder)) is not None:
                flatten(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)


def flatten(folder: Path) -> None:
    """Move nested folders to the top, because removing thousands of levels would exceed the recursion limit."""
    with contextlib.suppress(OSError):
        top, found = tempfile.mkdtemp(dir=folder), [str(folder)]
        for current in found:  # which grows
            for entry in [*os.scandir(current)]:
                if entry.is_dir(follow_symlinks=False) and entry.path != top:
                    os.chmod(entry.path, 0o700)
                    found.append(os.path.join(top, str(len(found))))
                    os.rename(entry.path, found[-1])


def is_overfull(folder: str) -> bool:
    """Return True if a folder exceeds `MAX_FILES` or `MAX_FILE_BYTES`, or has parts that cannot be read."""
    found, count, size = [folder], 0, 0
    for current in found:  # which grows
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    count, size = count + 1, size + entry.stat(follow_symlinks=False).st_size
                    if count > MAX_FILES or size > MAX_FILE_BYTES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        found.append(entry.path)
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError:
            return True
    return False


def missing_boundary() -> str:
    """Return the reason why this machine gives no boundary around the sandbox, or an empty text if it does."""
    with Student([], [], Limits(), {}) as student:
        outcome = student.load()
        return outcome.died if student.no_boundary is None else student.no_boundary


class Student(contextlib.AbstractContextManager["Student"]):
    """The student's functions, which run in another process."""

    def __init__(
        self,
        cells: list[str],
        targets: Sequence[str],
        limits: Limits,
        files: Mapping[str, bytes],
        modules: Sequence[str] = (),  # names under which the cells can be imported
    ) -> None:
        self.cells, self.targets, self.limits, self.files = cells, list(targets), limits, files
        self.modules = list(modules)
        self.loaded: dict[str, Any] = {}
        self.no_boundary: str | None = None  # the reason why there is none; None before the first process
        self._used = self._waited = 0.0  # of the processes that have ended: CPU time, and time without a CPU
        self._began = time.monotonic()
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self._held = locked(Path(self._folder.name))  # until the process ends
        remove_abandoned(Path(self._folder.name).parent)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - written past the capture, and never read
        for name, content in files.items():
            Path(self._folder.name, name).write_bytes(content)
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[Any] = queue.Queue()

    def __exit__(self, *_: object) -> None:
        self._end()
        self._output.close()
        flatten(Path(self._folder.name))
        self._folder.cleanup()
        if self._held is not None:
            os.close(self._held)

    def load(self) -> Outcome:
        """Start a process and load the file; `loaded` then describes its content."""
        self._end()
        self._start()
        closed = self._ask({"memory": self.limits.memory, "seconds": int(self.limits.total) + 1}, self.limits.load)
        if closed.died:
            return closed
        self.no_boundary = closed.value  # sent before the student's code runs, so it cannot be forged
        if self.no_boundary and self.limits.boundary:
            self._end()
            raise UsageError(f"not run, because there is no boundary around the sandbox: {self.no_boundary}")
        limits = {"output": self.limits.output, "wall_clock": self.limits.wall_clock}
        names = {"targets": self.targets, "modules": self.modules}
        outcome = self._ask({"cells": self.cells, **names, **limits}, self.limits.load)
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
        """Call a function; `answers` replace functions of the student."""
        request = {"function": function, "arguments": list(arguments), "keywords": dict(keywords or {})}
        return self._ask({**request, "ask": list(answers or {})}, self.limits.call, answers or {})

    def largest(self, names: Sequence[str]) -> dict[str, float]:
        """Return the maximum of each global array with one of these names, if it can be computed."""
        found = self._ask({"largest": list(names)}, self.limits.load).value
        entries = found.items() if isinstance(found, dict) else ()
        return {str(name): float(value) for name, value in entries if isinstance(value, int | float)}

    @property
    def spent(self) -> bool:
        now = self._processor_time()
        passed = self._clock() - self._began
        return self._is_over(self.limits.total, passed, None if now is None else self._used + now)

    def _start(self) -> None:
        self._replies = queue.Queue()
        self._output.seek(0)
        self._output.truncate()
        environment = {
            **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH")))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            **dict.fromkeys(("HOME", "TMPDIR"), self._folder.name),
            **ONE_THREAD,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "byhand.course.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            cwd=self._folder.name,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=_put_replies, args=(self._process.stdout, self._replies), daemon=True).start()

    def _send(self, request: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process has ended: `_ask` reports how
            send(self._process.stdin, request)  # type: ignore[arg-type]

    def _ask(self, request: Any, seconds: float, answers: Mapping[str, Answer] | None = None) -> Outcome:
        """Send a request and return its outcome; answer the requests of reference stubs in between."""
        if self._process is None and (loading := self.load()).died:
            return loading
        self._send(request)
        passed, last, used = 0.0, self._clock(), self._processor_time()
        while True:
            with contextlib.suppress(queue.Empty):
                reply = self._replies.get(timeout=POLL)
                if not isinstance(reply, dict) or self._excess():
                    return Outcome(died=self._death(reply))
                if "ask" not in reply:
                    return self._outcome(reply)
                self._send(_answer(reply, answers or {}))
                passed = passed if used is None else 0.0  # it is not idle: CPU time is the limit
            if self._excess():
                return Outcome(died=self._death(None))
            # A longer pause is one of this process: on a busy machine, the reply may have arrived since.
            passed, last = passed + min(self._clock() - last, 2 * POLL), self._clock()
            now = self._processor_time()
            if self._is_over(seconds, passed, None if now is None or used is None else now - used):
                self._end()
                return Outcome(died=f"did not end within {seconds:g} seconds")
            if self.spent:
                self._end()
                total = f"the {self.limits.total:g} seconds for the file"
                return Outcome(died=f"did not end before {total} were used up", cut=True)

    def _is_over(self, seconds: float, passed: float, used: float | None) -> bool:
        """Return True if a limit is exceeded: of CPU time, or `wall_clock` times more of wall-clock time."""
        if used is None:
            return passed >= seconds
        return used >= seconds or passed >= self.limits.wall_clock * seconds

    def _processor_time(self) -> float | None:
        """Return the CPU time of the student's process in seconds, or None if it is not available."""
        if sys.platform != "linux":
            return None
        if self._process is None:
            return 0.0
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)  # its CPU clock: see clock_getcpuclockid(3)
        except OSError:  # it has ended
            return 0.0

    def _clock(self) -> float:
        """Return the time in seconds, without the time that the student's processes were ready but had no CPU."""
        return time.monotonic() - self._waited - self._waiting_time()

    def _waiting_time(self) -> float:
        if sys.platform != "linux" or self._process is None:
            return 0.0
        try:
            return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):  # it has ended, or the kernel does not count
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
            return Outcome(died=f"needed more than {self.limits.memory / 2**30:.0f} GB of memory")
        place = {name: error[name] for name in ("cell", "line", "text")}
        return Outcome(error=error["type"], message=error["message"], printed=reply["printed"], **place)

    def _death(self, last: Any) -> str:
        """Kill the process and return the reason: an exceeded limit, the exit code or the signal."""
        assert self._process is not None
        if excess := self._excess():
            self._end()
            return excess
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.poll()
        self._end()
        if isinstance(last, BrokenMessageError) or code is None:
            return "wrote to the sandbox's message channel"
        if code < 0:
            names = {one.value: one.name for one in signal.Signals}
            return f"crashed the process ({names.get(-code, f'signal {-code}')})"
        return f"ended the process (exit code {code})"

    def _excess(self) -> str:
        """Return the limit of output, files or threads that the process exceeds, if any."""
        assert self._process is not None
        if os.fstat(self._output.fileno()).st_size > self.limits.output:
            return f"wrote more than {self.limits.output:,} bytes of output"
        if is_overfull(self._folder.name):
            return f"wrote more than {MAX_FILES:,} files or {MAX_FILE_BYTES >> 20} MB"
        with contextlib.suppress(OSError):  # outside Linux, or it has ended
            if len(os.listdir(f"/proc/{self._process.pid}/task")) > MAX_THREADS:
                return f"started more than {MAX_THREADS} threads"
        return ""

    def _end(self) -> None:
        self._used += self._processor_time() or 0.0
        self._waited += self._waiting_time()
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
        process.wait()  # the thread that reads its standard output closes it


def _put_replies(stream: BinaryIO, replies: "queue.Queue[Any]") -> None:
    """Put each message into the queue, and finally the error that ended them."""
    with stream:
        while True:
            try:
                replies.put(receive(stream, MAX_REPLY_TREE))
            except (EOFError, BrokenMessageError, ValueError, OSError) as error:
                replies.put(error)
                return


def _answer(question: dict[str, Any], answers: Mapping[str, Answer]) -> dict[str, Any]:
    arguments, keywords = question["arguments"], question["keywords"]
    given = [*arguments, *keywords.values()]
    try:
        if question["ask"] not in answers or _total(given) > MAX_TOTAL:
            raise ValueError("unknown function, or an argument is too large")
        value = answers[question["ask"]](arguments, keywords)
    except Exception as error:  # with the student's arguments, the reference may raise anything
        return {"error": str(error)[:300] or type(error).__name__}
    returned = value if isinstance(value, tuple) else (value,)
    same = [
        next((k for k, one in enumerate(given) if one is part and isinstance(one, dict)), None) for part in returned
    ]
    return {"value": value, "after": given, "same": same}


def _total(value: Any) -> float:
    """Return the sum of the numbers that may be sizes, and of the lengths of lists; infinite for a large array."""
    if isinstance(value, np.ndarray):
        return np.inf if value.size > 100_000 or any(side > 1000 for side in value.shape) else 0
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return len(value) + sum(map(_total, value))
    return abs(value) if isinstance(value, int) else 0
