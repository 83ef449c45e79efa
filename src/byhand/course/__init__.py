"""The course: read a student's file, run it safely apart, and report what is right and what is not.

`check_file` is the entry point, for Python and for `byhand check`. The student's code runs in a process of its own
(`sandbox`); what it returns comes back as plain numbers and is compared with the reference pages (`check`, `probes`).
Around that, `notebooks` makes and reads the notebooks, and `grading` marks a folder of submissions. Names are loaded
when first used, because the student's process, which starts from this package, must load nothing of it.
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
