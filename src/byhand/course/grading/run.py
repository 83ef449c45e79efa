"""Find the submissions in a folder, and grade them, several in parallel, each in a process of its own.

A submission is a notebook or Python file, or a folder with one of them. Any other entry becomes a submission with a
`problem`, so that it has a row in the table. A graded submission has a record, and is not graded again until it, the
checks or byhand's version changes, so that an interrupted run can be resumed.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from pathlib import Path

from byhand import files
from byhand.course.grading import LIMITS, Checks, Mark, Submission, mark_file, not_marked, read_checks
from byhand.course.grading.results import feedback
from byhand.course.sandbox.runner import SOURCE
from byhand.errors import DataMissingError, UsageError
from byhand.schema import json_value

IGNORED = ("__MACOSX", "__pycache__")
MAX_FILES = 20_000  # per submission
MAX_LISTED = 5
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")

GRACE = 60.0  # seconds beyond a submission's time limit before its worker is killed
PATIENCE = 5.0  # seconds for a worker to end its student's process at the end of the run
WORKER = "import sys; from byhand.course.grading import work; work(*sys.argv[1:])"
MAX_NAME = 120  # bytes of a file name, without a hash and a suffix
FORBIDDEN = '<>:"/\\|?*'


def prepare(submissions: Path, out: Path, checks_file: Path | None, page: str) -> tuple[Path, Checks, list[Submission]]:
    """Return the folder of results, next to the table `out`, the checks, and the submissions."""
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out must be a .csv file, got {out}")
    folder = out.with_suffix("")
    if folder.resolve() == submissions.resolve():
        raise UsageError(f"--out must not have the name of SUBMISSIONS, because it also names a folder, got {out}")
    checks = read_checks(checks_file, page)
    return folder, checks, find(submissions, leave_out=[one for one in (out, folder, checks_file) if one])


def find(folder: Path, leave_out: Collection[Path] = ()) -> list[Submission]:
    """Return the submissions in a folder, sorted by name, without the files `leave_out`."""
    if not folder.is_dir():
        raise DataMissingError(f"{folder}: no such folder")
    excluded = {path.resolve() for path in leave_out}
    entries = sorted(folder.iterdir(), key=lambda path: (path.name.casefold(), path.name))
    entries = [one for one in entries if not _is_hidden(one.name) and one.resolve() not in excluded]
    found = [_of(one) for one in entries]
    count = Counter(one.name for one in found)
    if not found:
        raise DataMissingError(f"{folder}: must contain notebooks, or a folder per student, got an empty folder")
    return [replace(one, name=at.name) if count[one.name] > 1 else one for one, at in zip(found, entries, strict=True)]


def _of(entry: Path) -> Submission:
    if entry.is_symlink():
        return Submission(entry.name, entry, "links are not followed")
    if entry.is_dir():
        return _in_folder(entry)
    if entry.suffix.lower() in ARCHIVES:
        return Submission(entry.stem, entry, "archives must be unpacked, into a folder of this name")
    if entry.suffix.lower() not in (".ipynb", ".py"):
        return Submission(entry.stem, entry, f"must be a .ipynb or .py file, got {entry.name}")
    return Submission(entry.stem, entry, "" if entry.is_file() else "must be a regular file")


def _in_folder(folder: Path) -> Submission:
    """Return the only notebook in the folder, or the only Python file if there is no notebook."""
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        files += [Path(place, name) for name in sorted(names) if not _is_hidden(name)]
        if len(files) > MAX_FILES:
            return Submission(folder.name, folder, f"must contain at most {MAX_FILES:,} files")
    files = [one for one in files if one.is_file() and not one.is_symlink()]
    for suffix in (".ipynb", ".py"):
        found = [one for one in files if one.suffix.lower() == suffix]
        if len(found) == 1:
            return Submission(folder.name, found[0])
        if found:
            listed = ", ".join(str(one.relative_to(folder)) for one in found[:MAX_LISTED])
            more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
            return Submission(folder.name, folder, f"must contain one {suffix} file, got {listed}{more}")
    archive = "an archive: unpack it" if any(one.suffix.lower() in ARCHIVES for one in files) else "none"
    return Submission(folder.name, folder, f"must contain a .ipynb or .py file, got {archive}")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED


class Run(contextlib.AbstractContextManager["Run"]):
    """The worker processes, in a context that ends them; `folder` gets `records/` and `feedback/`."""

    def __init__(self, checks: Checks, checks_file: Path | None, folder: Path, *, again: bool = False) -> None:
        self.checks, self.checks_file, self.folder, self.again = checks, checks_file, folder, again
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
        arguments = submission.name, str(submission.path.resolve()), self.checks.page, checks_file
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER, *arguments],  # -P: import nothing from the working folder
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))},
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
        return self.folder / kind / f"{_file_name(submission.name)}.{suffix}"


def _file_name(name: str) -> str:
    """Return a portable file name: the student's name if possible, otherwise a similar one with a hash."""
    plain = "".join("_" if one in FORBIDDEN or not one.isprintable() else one for one in name)
    short = plain.encode("utf-8", "replace")[:MAX_NAME].decode("utf-8", "ignore").rstrip(" .")
    if short == name:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{short}-{digest[:8]}"
