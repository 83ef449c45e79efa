"""The members of a committee: several runs trained at once, each by a process of its own with one BLAS thread.

A member is an ordinary run. It is begun here, saved before its first step, and what trains it is
`byhand train --resume MEMBER`: so a member that was stopped, or whose process was killed, goes on like any other run,
to the bits it would have given. What the processes say comes back line by line.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from byhand.distributed.engines import ONE_THREAD
from byhand.errors import ByhandError
from byhand.training.runs import Run

#: How a process ends that was interrupted and has saved its run.
INTERRUPTED = 130
#: Seconds between two looks at whether somebody asked to stop.
GLANCE = 0.1


class MemberFailedError(ByhandError):
    """A member whose process did not come to the end of its training; `exit_code` is the process's own."""

    def __init__(self, message: str, exit_code: int = 1) -> None:  # a copy is made with the message alone
        super().__init__(message)
        self.exit_code = exit_code


def is_over(run: Run) -> bool:
    """Whether a member has come to the end of its training."""
    return run.model_path.is_file() and run.model().metadata.get("ending") not in (None, "interrupted")


def train_members(
    members: Sequence[Run],
    *,
    jobs: int,
    stop: threading.Event,
    say: Callable[[str], object],
    options: Sequence[str] = (),
) -> bool:
    """Train what is not over yet, `jobs` at a time; give whether all of it is. Setting `stop` ends each after its step.

    A member that fails leaves the others at work; its error is raised when they are done.
    """
    pool = Processes(stop, say, options)
    with ThreadPoolExecutor(jobs, "byhand-member") as threads:
        codes = {threads.submit(pool.train, run): run for run in members if not is_over(run)}
        try:
            waiting = set(codes)
            while waiting:
                waiting = wait(waiting, timeout=GLANCE).not_done
                if stop.is_set():
                    pool.interrupt()
        except BaseException:  # a second Ctrl-C: their last saved states are good
            stop.set()
            pool.kill()
            raise
    for future, run in codes.items():
        code, last = future.result()
        if code not in (0, INTERRUPTED) and not (stop.is_set() and code == -signal.SIGINT):  # before it could answer
            raise MemberFailedError(
                f"{run.folder}: {last or 'its process was killed'} (exit code {code}); what is there can go on with "
                f"byhand train --resume {run.folder.parent}",
                code if code > 0 else 1,
            )
    return all(future.result()[0] == 0 for future in codes)


class Processes:
    """The processes at work."""

    def __init__(self, stop: threading.Event, say: Callable[[str], object], options: Sequence[str]) -> None:
        self.stop, self.say, self.options = stop, say, options
        self.running: set[subprocess.Popen[str]] = set()
        self.asked: set[subprocess.Popen[str]] = set()
        self.lock = threading.Lock()

    def train(self, run: Run) -> tuple[int, str]:
        """Train one member to its end; its process's exit code, and the last line it said."""
        with self.lock:
            if self.stop.is_set():
                return INTERRUPTED, ""
            process = subprocess.Popen(
                [sys.executable, "-m", "byhand", "train", "--json", "--resume", str(run.folder), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,  # a process whose reader is gone ends at its next line
                text=True,
                encoding="utf-8",
                errors="replace",
                env=os.environ | ONE_THREAD,
                start_new_session=True,  # so that Ctrl-C reaches it once, through us
            )
            self.running.add(process)
        last = ""
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                last = line.rstrip()
                self.say(f"{run.folder.name}: {last}")
        with self.lock:
            self.running.discard(process)
        return process.returncode, last

    def interrupt(self) -> None:
        """Ask each process, once, to stop after its step."""
        with self.lock:
            for process in self.running - self.asked:
                process.send_signal(signal.SIGINT)
                self.asked.add(process)

    def kill(self) -> None:
        """End the processes at once."""
        with self.lock:
            for process in self.running:
                process.kill()
