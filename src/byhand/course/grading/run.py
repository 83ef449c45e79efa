"""Grade submissions, several in parallel, each in a process of its own.

A graded submission has a record, and is not graded again until it, the checks or byhand's version changes, so that an
interrupted run can be resumed.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

from byhand import files
from byhand.course.grading import BOUNDARY, LIMITS, Checks, Mark, Submission, mark_file, not_marked, read_checks
from byhand.course.grading.results import feedback, file_name
from byhand.course.grading.submissions import find
from byhand.course.sandbox.runner import SOURCE
from byhand.errors import UsageError
from byhand.schema import json_value
from byhand.threads import ONE_THREAD

GRACE = 60.0  # seconds beyond a submission's time limit before its worker is killed
PATIENCE = 5.0  # seconds for a worker to end its student's process at the end of the run
WORKER = "import sys; from byhand.course.grading import work; work(*sys.argv[1:])"


def prepare(
    submissions: Path, unpacked: Path, out: Path, checks_file: Path | None, page: str
) -> tuple[Path, Checks, list[Submission]]:
    """Return the folder of results, next to the table `out`, the checks, and the submissions.

    unpacked: an empty folder for the content of archives
    """
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out must be a .csv file, got {out}")
    folder = out.with_suffix("")
    if folder.resolve() == submissions.resolve():
        raise UsageError(f"--out must not have the name of SUBMISSIONS, because it also names a folder, got {out}")
    checks = read_checks(checks_file, page)
    return folder, checks, find(submissions, unpacked, leave_out=[one for one in (out, folder, checks_file) if one])


class Run(contextlib.AbstractContextManager["Run"]):
    """The worker processes, in a context that ends them; `folder` gets `records/` and `feedback/`."""

    def __init__(
        self, checks: Checks, checks_file: Path | None, folder: Path, *, again: bool = False, boundary: bool = False
    ) -> None:
        self.checks, self.checks_file, self.folder, self.again = checks, checks_file, folder, again
        self.boundary = boundary  # run submissions only within a boundary of the kernel
        self._live: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._stdin, lifeline = os.pipe()  # the workers' standard input; its other end closes when this process ends
        self._lifeline = os.fdopen(lifeline, "wb")

    def __exit__(self, *_: object) -> None:
        self.stop()
        os.close(self._stdin)

    def marks(
        self, submissions: Sequence[Submission], jobs: int, done: Callable[[Submission, Mark, bool], None]
    ) -> list[Mark]:
        """Return the marks in order; call `done(submission, mark, is_old)` for each, where an old mark has a record."""
        marks: dict[int, Mark] = {}
        for place, submission in enumerate(submissions):
            if (old := self._old(submission)) is not None:
                marks[place] = old
                done(submission, old, True)
        waiting = [place for place in range(len(submissions)) if place not in marks]
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
        self._stopped = True
        self._lifeline.close()  # ends each worker, even one that is just starting
        for process in list(self._live):
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def _old(self, submission: Submission) -> Mark | None:
        """Return the mark of an earlier run, if neither the submission nor the checks have changed."""
        try:
            mark = Mark.from_dict(json_value(self._path(submission, "records", "json").read_bytes()))
        except (OSError, UsageError):
            return None
        if self.again or (mark.digest, mark.checks) != (submission.digest(), self.checks.digest):
            return None
        if self.boundary and mark.sandbox not in ("", BOUNDARY):
            return None
        page = self._path(submission, "feedback", "html")
        if not page.exists():
            files.write_text(page, feedback(mark))
        return mark

    def _new(self, submission: Submission) -> Mark:
        mark = mark_file(submission, self.checks) if submission.problem else self._from_a_worker(submission)
        if self._stopped:
            return mark
        files.write_text(self._path(submission, "feedback", "html"), feedback(mark))
        if mark.digest:  # without a digest the worker failed, and the next run tries again
            record = json.dumps(asdict(mark), indent=1)
            files.write_bytes(self._path(submission, "records", "json"), record.encode())
        return mark

    def _from_a_worker(self, submission: Submission) -> Mark:
        """Return the mark that a worker process makes, or the reason why it failed."""
        checks_file = str(self.checks_file.resolve()) if self.checks_file else ""
        arguments = (
            submission.name,
            str(submission.path.resolve()),
            self.checks.page,
            checks_file,
            "boundary" * self.boundary,
        )
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER, *arguments],  # -P: import nothing from the working folder
            env={
                **os.environ,
                **ONE_THREAD,
                "PYTHONPATH": os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH")))),
            },
            stdin=self._stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that only the main process gets Ctrl-C
        )
        self._live.add(process)
        try:
            output, errors = process.communicate(timeout=LIMITS.wall_clock * self.checks.timeout + GRACE)
        except subprocess.TimeoutExpired:
            return not_marked(submission, self.checks, "the worker did not finish in time")
        finally:
            process.kill()
            process.communicate()  # closes the pipes
            self._live.discard(process)
        try:
            return Mark.from_dict(json_value(output))
        except UsageError:
            last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
            return not_marked(submission, self.checks, f"the worker failed: {last or 'no message'}")

    def _path(self, submission: Submission, kind: str, suffix: str) -> Path:
        return self.folder / kind / f"{file_name(submission.name)}.{suffix}"
