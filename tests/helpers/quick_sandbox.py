"""Sandbox processes that start at once, as forks of one process that has imported NumPy.

A check costs 0.2 s, half of it for the start of the sandbox. The first tier checks 150 files this way, the second tier
and the program start `python -m byhand.course.sandbox`.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

SOURCE = str(Path(__file__).parents[2] / "src")
NUMBER = b"%10d"  # of a process, or its exit code


def started() -> tuple[subprocess.Popen, socket.socket]:
    """Start the process to fork; return it and the socket of its requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": SOURCE, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment), ours


class Process:
    """A fork in place of `subprocess.Popen`, with the methods that `byhand.course.sandbox.runner` calls."""

    def __init__(self, control, command, *, stdin, stdout, stderr, cwd, env, start_new_session) -> None:
        assert command == [sys.executable, "-P", "-m", "byhand.course.sandbox"]
        assert (stdin, stdout, start_new_session) == (subprocess.PIPE, subprocess.PIPE, True)
        (requests, to_it), (from_it, replies), (self._end, end) = os.pipe(), os.pipe(), os.pipe()
        given = [requests, replies, stderr.fileno(), end]
        socket.send_fds(control, [json.dumps({"cwd": cwd, "env": env}).encode()], given)
        for descriptor in (requests, replies, end):
            os.close(descriptor)
        self.stdin, self.stdout = os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb")
        self.pid, self.returncode = int(os.read(self._end, 10)), None

    def wait(self, timeout=None) -> int:
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("byhand.course.sandbox", timeout)
            self.returncode = int(os.read(self._end, 10))
            os.close(self._end)
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, signal.SIGKILL)


def serve(control: socket.socket) -> None:
    """Fork for each request; write each child's number to its pipe, and its exit code when it ends."""
    import ctypes  # noqa: F401  what the sandbox imports when it limits itself
    import resource  # noqa: F401

    from byhand.course.sandbox import __main__ as program

    gc.freeze()  # a child must not copy all pages for a collection
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    pipes: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            os.read(ended, 1000)
            while pipes and (found := os.waitpid(-1, os.WNOHANG))[0]:
                os.write(pipe := pipes.pop(found[0]), NUMBER % os.waitstatus_to_exitcode(found[1]))
                os.close(pipe)
        if control in ready:
            message, descriptors, _, _ = socket.recv_fds(control, 2**16, 4)
            if not message:
                return
            if (pid := os.fork()) == 0:
                run(program, descriptors, **json.loads(message))
            *streams, pipes[pid] = descriptors
            os.write(pipes[pid], NUMBER % pid)
            for stream in streams:
                os.close(stream)


def run(program, descriptors, cwd, env) -> None:
    """Run the sandbox in a child, in the state that a new process has."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for place, stream in enumerate(descriptors[:3]):
            os.dup2(stream, place)
        os.closerange(3, 1000)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        program.np.random.seed()
        sys.modules["__main__"] = program
        program.main()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
