"""Marking: a folder of submissions becomes marks.csv, a record and a page of feedback for each.

`checks` reads the teacher's file and `extras` runs what is in it beside the pages' own probes; `submissions` finds what
was handed in; `mark` marks one submission, in a process of its own (`worker`), and `run` all of them, several at once;
`table` and `feedback` write what comes of it. A record is kept for each submission that is done, so that a run that was
interrupted goes on where it was.
"""

from byhand.course.marking.checks import Checks, read_checks
from byhand.course.marking.extras import extra
from byhand.course.marking.mark import Item, Mark, mark_file
from byhand.course.marking.run import Run

__all__ = ["Checks", "Item", "Mark", "Run", "extra", "mark_file", "read_checks"]
