"""The course: check a student's file, make the notebooks, and grade submissions.

`check_file` runs the student's code in a process of its own (`sandbox`) and compares the results with a reference
(`check`, `probes`). `notebooks` reads and makes notebooks, and `grading` grades a folder of submissions. Names are
loaded on first use, because the student's process imports this package.
"""

from typing import TYPE_CHECKING

from byhand.lazy import lazy_names

if TYPE_CHECKING:
    from byhand.course.check import check_file as check_file
    from byhand.course.check.diagnosis import Report as Report
    from byhand.course.check.diagnosis import Verdict as Verdict

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Report": "byhand.course.check.diagnosis",
        "Verdict": "byhand.course.check.diagnosis",
        "check_file": "byhand.course.check",
    },
)

__all__ = ["Report", "Verdict", "check_file"]
