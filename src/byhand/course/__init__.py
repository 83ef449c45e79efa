"""The course: reading a student's file, running it safely apart, and saying what is right and what is not.

`check_file` is the way in. The student's code runs in a process of its own (`inside`, driven by `runner`); what it
returns comes back as plain numbers and is compared here with the reference pages (`pages`, `diagnosis`).
Names are fetched when first used, so that the student's process, which starts from this package, loads nothing of it.
"""

from typing import TYPE_CHECKING

from byhand.lazy import lazy_names

if TYPE_CHECKING:
    from byhand.course.check.checking import check_file as check_file
    from byhand.course.check.verdicts import Report as Report
    from byhand.course.check.verdicts import Verdict as Verdict

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Report": "byhand.course.check.verdicts",
        "Verdict": "byhand.course.check.verdicts",
        "check_file": "byhand.course.check.checking",
    },
)

__all__ = ["Report", "Verdict", "check_file"]
