"""Marking everybody: several submissions at a time, each in its own process, none lost.

A submission that is done has its record in the folder of records, and is not marked again until it, the checks or
byhand itself change. So an interrupted run, by Ctrl-C or worse, goes on where it was. The table of marks is written at
the end, in one piece.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from byhand import files
from byhand.course.grading.checks import Checks
from byhand.course.grading.feedback import feedback
from byhand.course.grading.mark import LIMITS, Mark, digest_of, not_marked
from byhand.course.grading.submissions import Submission
from byhand.course.sandbox.runner import ROOM

GRACE = 60.0  # seconds beyond a submission's longest time before its marker is ended, too
PATIENCE = 5.0  # seconds that a marker has to end its student's process, when all is to end
WORKER = "byhand.course.grading.worker"
LONGEST_NAME = 120  # bytes: a name in a folder has an end, and ours get endings
FORBIDDEN = '<>:"/\\|?*'


class Run:
    """One run over a folder of submissions; a context, so that no process outlives it.

    `folder` gets `records/` (one JSON file for each submission) and `feedback/` (one page for each student).
    """

    def __init__(self, checks: Checks, checks_file: Path | None, folder: Path, *, again: bool = False) -> None:
        self.checks, self.checks_file, self.folder, self.again = checks, checks_file, folder, again
        self._live: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._lifeline = os.pipe()  # (read end, the workers' standard input; write end, which closes when we end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        for end in self._lifeline:
            os.close(end)

    def marks(
        self, submissions: Sequence[Submission], jobs: int, done: Callable[[Submission, Mark, bool], None]
    ) -> list[Mark]:
        """The mark of each, in their order. `done` hears of each when it is there, and whether it is an old one."""
        marks: dict[int, Mark] = {}
        waiting: list[int] = []
        for place, submission in enumerate(submissions):
            old = None if self.again else self._old(submission)
            if old is None:
                waiting.append(place)
            else:
                marks[place] = old
                if not self.feedback_of(submission).exists():
                    self._write_feedback(submission, old)
                done(submission, old, True)
        with ThreadPoolExecutor(jobs) as pool:
            pending: dict[Future[Mark], int] = {pool.submit(self._new, submissions[one]): one for one in waiting}
            try:
                while pending:
                    ended, _ = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in ended:
                        place = pending.pop(future)
                        marks[place] = future.result()
                        done(submissions[place], marks[place], False)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise
        return [marks[place] for place in range(len(submissions))]

    def stop(self) -> None:
        """End the processes that are still marking; what they were at is marked again next time."""
        with self._lock:
            self._stopped = True
            live = list(self._live)
        for process in live:
            process.terminate()
        for process in live:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def feedback_of(self, submission: Submission) -> Path:
        """Where the page for this student lies."""
        return self.folder / "feedback" / f"{_as_file_name(submission.name)}.html"

    # ---- one submission

    def _old(self, submission: Submission) -> Mark | None:
        """The mark that an earlier run has kept, if nothing that it rests on has changed."""
        try:
            mark = Mark.from_dict(json.loads(self._record_of(submission).read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return mark if (mark.digest, mark.checks) == (digest_of(submission), self.checks.digest) else None

    def _new(self, submission: Submission) -> Mark:
        if submission.problem:
            mark = not_marked(submission, self.checks, submission.problem, digest_of(submission))
        else:
            mark = self._from_a_worker(submission)
        if self._stopped:
            return mark
        self._write_feedback(submission, mark)
        if mark.digest:  # without one the marker itself was at fault: that is tried again
            files.write_bytes(self._record_of(submission), json.dumps(mark.as_dict(), indent=1).encode())
        return mark

    def _from_a_worker(self, submission: Submission) -> Mark:
        """What the worker says, or how it ended without a word."""
        process = self._started(submission)
        if process is None:
            return not_marked(submission, self.checks, "interrupted")
        try:
            said, complaint = process.communicate(timeout=LIMITS.waits * self.checks.timeout + GRACE)
        except subprocess.TimeoutExpired:
            return not_marked(submission, self.checks, "marking it did not come to an end")
        finally:
            self._ended(process)
        try:
            return Mark.from_dict(json.loads(said))
        except (ValueError, TypeError, KeyError):
            last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
            return not_marked(submission, self.checks, f"the marker ended without a mark: {last or 'no word'}")

    def _started(self, submission: Submission) -> "subprocess.Popen[bytes] | None":
        checks_file = str(self.checks_file.resolve()) if self.checks_file else ""
        arguments = submission.name, str(submission.path.resolve()), self.checks.page, checks_file
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER, *arguments],  # -P: nothing is imported from where we stand
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (ROOM, os.environ.get("PYTHONPATH"))))},
                stdin=self._lifeline[0],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to hear
            )
            self._live.add(process)
        return process

    def _ended(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        process.communicate()  # nothing more to hear: this closes the pipes
        with self._lock:
            self._live.discard(process)

    def _write_feedback(self, submission: Submission, mark: Mark) -> None:
        files.write_text(self.feedback_of(submission), feedback(mark))

    def _record_of(self, submission: Submission) -> Path:
        return self.folder / "records" / f"{_as_file_name(submission.name)}.json"


def _as_file_name(name: str) -> str:
    """A name that every system takes: the student's, where that is one; else as much of it as possible, and a hash."""
    plain = "".join("_" if one in FORBIDDEN or not one.isprintable() else one for one in name)
    short = plain.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore").rstrip(" .")
    if short == name:
        return name
    return f"{short}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
