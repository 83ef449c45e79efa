"""One submission in a process of its own: `python -m byhand.course.grading.worker`, started by `run`.

The mark goes to standard output as JSON, once, at the end; whatever a teacher's checks print goes elsewhere. Standard
input is a lifeline: when its other end closes, by whatever end of the marker, this process ends its student's and goes.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from byhand.course.grading.checks import read_checks
from byhand.course.grading.mark import mark_file, not_marked
from byhand.course.grading.submissions import Submission


def main(name: str, path: str, page: str, checks_file: str) -> None:
    """Mark it, and say how that went."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_hold_on, daemon=True).start()
    submission = Submission(name, Path(path))
    checks = read_checks(Path(checks_file) if checks_file else None, page)
    try:
        mark = mark_file(submission, checks)
    except Exception as error:  # the student's process answered with something that no honest one answers with
        mark = not_marked(submission, checks, f"marking it ended in {type(error).__name__}: {error}")
    answers.write(json.dumps(mark.as_dict()).encode())
    answers.close()


def _hold_on() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
