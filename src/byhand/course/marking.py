"""The former name of `byhand.course.grading`, kept for one release: teachers' check files import `extra` from here."""

import warnings

from byhand.course.grading import custom_check as extra

__all__ = ["extra"]

warnings.warn("byhand.course.marking.extra is now byhand.course.grading.custom_check", DeprecationWarning, stacklevel=2)
