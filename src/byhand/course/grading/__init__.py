"""Marking: a folder of submissions becomes marks.csv, a record and a page of feedback for each.

`checks` reads the teacher's file and `extras` runs what is in it beside the pages' own probes; `submissions` finds what
was handed in; `mark` marks one submission, in a process of its own (`worker`), and `run` all of them, several at once;
`table` and `feedback` write what comes of it. A record is kept for each submission that is done, so that a run that was
interrupted goes on where it was.
"""

from byhand.course.grading.checks import Checks, read_checks
from byhand.course.grading.extras import extra
from byhand.course.grading.mark import Item, Mark, mark_file
from byhand.course.grading.run import Run

__all__ = ["Checks", "Item", "Mark", "Run", "extra", "mark_file", "read_checks"]
