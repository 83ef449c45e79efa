"""The course: reading a student's file, running it safely apart, and saying what is right and what is not.

`check_file` is the way in. The student's code runs in a process of its own (`inside`, driven by `runner`); what it
returns comes back as plain numbers and is compared here with the reference pages (`pages`, `diagnosis`).
Names are fetched when first used, so that the student's process, which starts from this package, loads nothing of it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from byhand.course.checking import check_file as check_file
    from byhand.course.verdicts import Report as Report
    from byhand.course.verdicts import Verdict as Verdict

_ROOM_OF = {
    "Report": "byhand.course.verdicts",
    "Verdict": "byhand.course.verdicts",
    "check_file": "byhand.course.checking",
}

__all__ = ["Report", "Verdict", "check_file"]


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'byhand.course' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOM_OF[name]), name)
